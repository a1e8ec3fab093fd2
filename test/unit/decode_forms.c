/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes every instruction form that the decoder accepts, for comparison with objdump, one per
 * line: `MODE LENGTH OP SIZE MEM_SIZE BYTES`. It tries all prefixes, opcodes, ModRM and SIB bytes;
 * the bytes after them are fixed.
 */
#include <stdio.h>
#include <string.h>

#include <margay/lib.h>
#include <x86/decode.h>

static const char *const op_names[] = { "mov", "movz", "movs", "xchg", "add", "or",
				       "and", "sub",  "xor",  "cmp",  "test", "not" };

static const struct {
	u8 n, b[3];
} prefixes[] = {
	{ 0, { 0 } },
	{ 1, { 0x66 } },
	{ 1, { 0x67 } },
	{ 2, { 0x66, 0x67 } },
	{ 1, { 0x65 } },
	{ 1, { 0xf0 } },
	{ 2, { 0xf3, 0x2e } },
	{ 1, { 0x48 } },
	{ 2, { 0x66, 0x4c } },
	{ 2, { 0x67, 0x47 } },
	{ 3, { 0x64, 0x66, 0x40 } },
};

static bool is_prefix(unsigned int b, enum insn_mode mode)
{
	static const u8 legacy[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
				     0x66, 0x67, 0xf0, 0xf2, 0xf3 };

	return (b < 256 && memchr(legacy, b, sizeof(legacy))) ||
	       (mode == INSN_MODE_64 && b >= 0x40 && b <= 0x4f);
}

static void try(const u8 *insn, enum insn_mode mode)
{
	struct insn out;
	unsigned int i;

	if (insn_decode(insn, INSN_MAX_LEN, mode, &out))
		return;
	printf("%d %u %s %u %u ", mode, out.len, op_names[out.op], out.size, out.mem_size);
	for (i = 0; i < INSN_MAX_LEN; i++)
		printf("%02x", insn[i]);
	printf("\n");
}

int main(void)
{
	static const u8 sibs[] = { 0x00, 0x25, 0x64, 0x8d, 0xe5 };
	unsigned int mode, p, opcode, modrm, s;
	u8 insn[32];

	for (mode = INSN_MODE_16; mode <= INSN_MODE_64; mode *= 2)
		for (p = 0; p < ARRAY_SIZE(prefixes); p++)
			for (opcode = 0; opcode < 512; opcode++)
				for (modrm = 0; modrm < 256; modrm += 7)
					for (s = 0; s < ARRAY_SIZE(sibs); s++) {
						u8 *b = insn;

						if (((modrm & 7) != 4 && s) ||
						    is_prefix(opcode, mode))
							break;
						memset(insn, 0x11, sizeof(insn));
						memcpy(b, prefixes[p].b, prefixes[p].n);
						b += prefixes[p].n;
						if (opcode >= 256)
							*b++ = 0x0f;
						*b++ = opcode;
						*b++ = modrm;
						*b = sibs[s];
						try(insn, mode);
					}
	return 0;
}
