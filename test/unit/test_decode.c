/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The instruction decoder: registers, immediates, directions, and refused input. decode_objdump.py
 * compares lengths, operations and sizes of all forms with objdump.
 * unit-sources: arch/x86/guest/decode.c test/unit/decode_cases.asm
 */
#include "host.h"

#include <margay/errno.h>
#include <margay/lib.h>
#include <x86/decode.h>

struct decode_case {
	u8 bits, size, mem_size, flags, reg, len;
	s64 imm;
	char op[8];
	u8 code[16];
	char text[64];
} __packed;

extern const struct decode_case decode_cases[], decode_cases_end[];

static const char *const op_names[] = { "mov", "movzx", "movsx", "xchg", "add", "or",
				       "and", "sub",   "xor",	"cmp",	"test", "not" };

static enum insn_mode mode_of(u8 bits)
{
	return bits == 64 ? INSN_MODE_64 : bits == 32 ? INSN_MODE_32 : INSN_MODE_16;
}

static u8 flags_of(const struct insn *i)
{
	return (i->mem_read ? 1 : 0) | (i->mem_dest ? 2 : 0) | (i->has_imm ? 4 : 0) |
	       (i->high_byte ? 8 : 0) | (i->mem_left && !i->mem_dest ? 16 : 0);
}

static void test_cases(void **state)
{
	const struct decode_case *c;
	struct insn i;
	int ret;

	(void)state;
	assert_true(decode_cases_end - decode_cases > 60);
	for (c = decode_cases; c < decode_cases_end; c++) {
		ret = insn_decode(c->code, sizeof(c->code), mode_of(c->bits), &i);
		if (ret || i.len != c->len || strcmp(op_names[i.op], c->op) || i.size != c->size ||
		    i.mem_size != c->mem_size || flags_of(&i) != c->flags || i.reg != c->reg ||
		    i.imm != c->imm)
			fail_msg("%u-bit %s: %d, len %u of %u, %s, size %u/%u, flags %#x, reg %u, "
				 "imm %#llx",
				 c->bits, c->text, ret, i.len, c->len, ret ? "?" : op_names[i.op],
				 i.size, i.mem_size, flags_of(&i), i.reg,
				 (unsigned long long)i.imm);
	}
}

/* Every truncated instruction needs more bytes; an instruction followed by nothing is complete. */
static void test_truncated(void **state)
{
	const struct decode_case *c;
	struct insn i;
	unsigned int n;

	(void)state;
	for (c = decode_cases; c < decode_cases_end; c++) {
		for (n = 0; n <= c->len; n++) {
			u8 *exact = malloc(n ? n : 1);
			int ret;

			memcpy(exact, c->code, n);
			ret = insn_decode(exact, n, mode_of(c->bits), &i);
			free(exact);
			if (ret != (n < c->len ? -ENODATA : 0))
				fail_msg("%s cut to %u bytes: %d", c->text, n, ret);
		}
	}
}

#define REFUSED(mode, ...)                                                                  \
	do {                                                                                \
		static const u8 b_[] = { __VA_ARGS__, 0, 0, 0, 0, 0, 0, 0, 0 };              \
		struct insn i_;                                                             \
		assert_int_equal(insn_decode(b_, sizeof(b_), mode, &i_), -EOPNOTSUPP);      \
	} while (0)

static void test_refused(void **state)
{
	(void)state;
	REFUSED(INSN_MODE_64, 0x89, 0xc0);	       /* mov eax, eax */
	REFUSED(INSN_MODE_64, 0xc7, 0xc0);	       /* mov eax, imm */
	REFUSED(INSN_MODE_64, 0xf7, 0xd0);	       /* not eax */
	REFUSED(INSN_MODE_64, 0x0f, 0xb6, 0xc0);       /* movzx eax, al */
	REFUSED(INSN_MODE_64, 0x10, 0x00);	       /* adc */
	REFUSED(INSN_MODE_64, 0x18, 0x00);	       /* sbb */
	REFUSED(INSN_MODE_64, 0x04, 0x00);	       /* add al, imm: no memory operand */
	REFUSED(INSN_MODE_64, 0x81, 0x10);	       /* adc imm */
	REFUSED(INSN_MODE_64, 0x82, 0x00);
	REFUSED(INSN_MODE_32, 0x82, 0x00);
	REFUSED(INSN_MODE_64, 0xc7, 0x08);	       /* c7 /1 */
	REFUSED(INSN_MODE_64, 0xf7, 0x08);	       /* f7 /1, an alias of TEST */
	REFUSED(INSN_MODE_64, 0xf7, 0x18);	       /* neg */
	REFUSED(INSN_MODE_64, 0xff, 0x00);	       /* inc */
	REFUSED(INSN_MODE_64, 0xff, 0x30);	       /* push */
	REFUSED(INSN_MODE_64, 0xa4);		       /* movsb */
	REFUSED(INSN_MODE_64, 0xf3, 0xab);	       /* rep stosd */
	REFUSED(INSN_MODE_64, 0x0f, 0xc1, 0x00);       /* xadd */
	REFUSED(INSN_MODE_64, 0x0f, 0x0b);	       /* ud2 */
	REFUSED(INSN_MODE_64, 0x0f, 0x38, 0xf0, 0x00); /* movbe */
	REFUSED(INSN_MODE_64, 0xc5, 0xf8, 0x10, 0x00); /* VEX */
	REFUSED(INSN_MODE_64, 0x62, 0xf1, 0x7c);       /* EVEX */
	REFUSED(INSN_MODE_64, 0xd5, 0x00);	       /* REX2 */
	REFUSED(INSN_MODE_32, 0x63, 0x00);	       /* arpl */
	REFUSED(INSN_MODE_32, 0x48, 0x89, 0x00);       /* dec eax, not REX */
	REFUSED(INSN_MODE_64, 0x63, 0x00);	       /* movsxd without REX.W */
	/* LOCK where it is invalid */
	REFUSED(INSN_MODE_64, 0xf0, 0x89, 0x00);
	REFUSED(INSN_MODE_64, 0xf0, 0x8b, 0x00);
	REFUSED(INSN_MODE_64, 0xf0, 0x01 | 2, 0x00);
	REFUSED(INSN_MODE_64, 0xf0, 0x39, 0x00);
	REFUSED(INSN_MODE_64, 0xf0, 0xf7, 0x00);
}

static void test_too_long(void **state)
{
	struct insn_prefixes p;
	u8 b[32];
	struct insn i;

	(void)state;
	memset(b, 0x66, sizeof(b));
	assert_int_equal(insn_decode(b, sizeof(b), INSN_MODE_64, &i), -EOPNOTSUPP);
	assert_int_equal(insn_prefixes(b, sizeof(b), INSN_MODE_64, &p), -EOPNOTSUPP);
	assert_int_equal(insn_prefixes(b, 15, INSN_MODE_64, &p), -EOPNOTSUPP);
	assert_int_equal(insn_prefixes(b, 14, INSN_MODE_64, &p), -ENODATA);

	b[13] = 0x88;
	b[14] = 0x00;
	assert_int_equal(insn_decode(b, sizeof(b), INSN_MODE_64, &i), 0);
	assert_int_equal(i.len, 15);
	b[13] = 0x66;
	b[14] = 0x88;
	b[15] = 0x00;
	assert_int_equal(insn_decode(b, sizeof(b), INSN_MODE_64, &i), -EOPNOTSUPP);
}

static void test_rex_place(void **state)
{
	static const u8 late[] = { 0x48, 0x66, 0x89, 0x00 }, twice[] = { 0x48, 0x44, 0x89, 0x00 };
	struct insn i;

	(void)state;
	/* A legacy prefix after REX cancels it. Of two REX prefixes the last takes effect. */
	assert_int_equal(insn_decode(late, 4, INSN_MODE_64, &i), 0);
	assert_int_equal(i.size, 2);
	assert_int_equal(insn_decode(twice, 4, INSN_MODE_64, &i), 0);
	assert_int_equal(i.size, 4);
	assert_int_equal(i.reg, 8);
}

static void test_prefixes(void **state)
{
	static const u8 cpuid[] = { 0x0f, 0xa2 }, odd[] = { 0x2e, 0xf3, 0x66, 0x48, 0x0f, 0xa2 };
	static const u8 fs[] = { 0xf0, 0x36, 0x64, 0x67, 0x6e };
	struct insn_prefixes p;

	(void)state;
	assert_int_equal(insn_prefixes(cpuid, 2, INSN_MODE_64, &p), 0);
	assert_true(!p.opsize && !p.addrsize && !p.lock && !p.rex && p.seg == NO_SEG);
	assert_int_equal(insn_prefixes(odd, 6, INSN_MODE_64, &p), 4);
	assert_true(p.opsize && !p.addrsize && !p.lock && p.rex == 0x48 && p.seg == 1);
	assert_int_equal(insn_prefixes(odd, 6, INSN_MODE_32, &p), 3); /* 48 is an opcode here */
	assert_int_equal(insn_prefixes(odd, 4, INSN_MODE_64, &p), -ENODATA);
	assert_int_equal(insn_prefixes(odd, 0, INSN_MODE_64, &p), -ENODATA);
	assert_int_equal(insn_prefixes(fs, 5, INSN_MODE_32, &p), 4);
	assert_true(!p.opsize && p.addrsize && p.lock && p.seg == 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),	 cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_refused),	 cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_rex_place), cmocka_unit_test(test_prefixes),
	};

	return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
