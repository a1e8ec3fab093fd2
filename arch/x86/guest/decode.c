/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The instruction decoder (SDM volume 2, chapter 2 and appendix A; APM volume 3, chapter 1). Its
 * input is hostile guest memory: it reads only the bytes given and refuses what it does not know.
 */
#include <margay/bytes.h>
#include <margay/errno.h>
#include <x86/decode.h>

/* The state of one decode. `err` is the first error; reads after it return zeroes. */
struct cursor {
	const u8 *p;
	unsigned int at, len;
	enum insn_mode mode;
	struct insn_prefixes pre;
	int err;
};

static void decode_fail(struct cursor *c)
{
	if (!c->err)
		c->err = -EOPNOTSUPP;
}

static u8 next_byte(struct cursor *c)
{
	if (c->at >= INSN_MAX_LEN)
		decode_fail(c);
	else if (c->at >= c->len && !c->err)
		c->err = -ENODATA;
	return c->err ? 0 : c->p[c->at++];
}

/* Reads a sign-extended little-endian number of n bytes. */
static s64 next_imm(struct cursor *c, unsigned int n)
{
	u64 v = 0;

	for (unsigned int i = 0; i < n; i++)
		v |= (u64)next_byte(c) << (8 * i);
	return n ? (s64)(v << (64 - 8 * n)) >> (64 - 8 * n) : 0;
}

/* Consumes all prefixes; returns the byte after them. */
static u8 prefixes(struct cursor *c)
{
	for (;;) {
		u8 b = next_byte(c);

		switch (b) {
		case 0x66: c->pre.opsize = true; break;
		case 0x67: c->pre.addrsize = true; break;
		case 0xf0: c->pre.lock = true; break;
		case 0x26: /* ES CS SS DS */
		case 0x2e:
		case 0x36:
		case 0x3e: c->pre.seg = b >> 3 & 3; break;
		case 0x64: /* FS GS */
		case 0x65: c->pre.seg = b & 7; break;
		case 0xf2: /* no effect on the instructions decoded here */
		case 0xf3:
			break;
		default:
			if (c->mode != INSN_MODE_64 || (b & 0xf0) != 0x40)
				return b;
			/* A REX prefix counts only directly before the opcode. */
			c->pre.rex = b;
			continue;
		}
		c->pre.rex = 0;
	}
}

int insn_prefixes(const u8 *bytes, unsigned int len, enum insn_mode mode, struct insn_prefixes *out)
{
	struct cursor c = { .p = bytes, .len = len, .mode = mode, .pre.seg = NO_SEG };

	prefixes(&c);
	*out = c.pre;
	return c.err ? c.err : (int)c.at - 1;
}

static u8 operand_size(const struct cursor *c)
{
	if (c->pre.rex & REX_W)
		return 8;
	return (c->mode == INSN_MODE_16) != c->pre.opsize ? 2 : 4;
}

static u8 address_size(const struct cursor *c)
{
	if (c->mode == INSN_MODE_64)
		return c->pre.addrsize ? 4 : 8;
	return (c->mode == INSN_MODE_16) != c->pre.addrsize ? 2 : 4;
}

/* Consumes ModRM, SIB and displacement of a memory operand; returns the 3 bits of the reg field. */
static u8 modrm_mem(struct cursor *c)
{
	u8 modrm = next_byte(c), mod = modrm >> 6, rm = modrm & 7;
	unsigned int disp = mod == 1;

	if (mod == 3)
		decode_fail(c);
	if (address_size(c) == 2) {
		if (mod == 2 || (mod == 0 && rm == 6))
			disp = 2;
	} else {
		if (rm == 4)
			rm = next_byte(c) &
			     7; /* SIB's base field: 5 has the same meaning as in rm */
		if (mod == 2 || (mod == 0 && rm == 5))
			disp = 4;
	}
	next_imm(c, disp);
	return modrm >> 3 & 7;
}

/*
 * Sets the operation (-1: not supported) and its use of memory; mem_left: memory is the left
 * operand.
 */
static void set_op(struct cursor *c, struct insn *out, int op, bool mem_left)
{
	if (op < 0) {
		decode_fail(c);
		return;
	}
	out->op = (enum insn_op)op;
	out->mem_read = op != INSN_MOV || !mem_left;
	out->mem_left = mem_left;
	out->mem_dest = mem_left && op != INSN_CMP && op != INSN_TEST;
}

/* The eight operations of opcodes 00-3f and group 1; ADC and SBB are not supported. */
static int alu_op(u8 n)
{
	static const s8 ops[8] = { INSN_ADD, INSN_OR,  -1,	-1,
				  INSN_AND, INSN_SUB, INSN_XOR, INSN_CMP };

	return ops[n & 7];
}

/* Opcode groups, where the reg field selects the operation; -1 for those not supported. */
static int group_op(u8 opcode, u8 field)
{
	switch (opcode) {
	case 0x80 ... 0x83:
		return alu_op(field);
	case 0xc6 ... 0xc7:
		return field == 0 ? INSN_MOV : -1;
	default:
		return field == 0 ? INSN_TEST : field == 2 ? INSN_NOT : -1; /* f6, f7 */
	}
}

static void decode_one(struct cursor *c, struct insn *out, u8 opcode)
{
	u8 field;

	out->size = out->mem_size = opcode & 1 ? operand_size(c) : 1;
	switch (opcode) {
	case 0x0f: /* two-byte opcodes: MOVZX and MOVSX */
		opcode = next_byte(c);
		set_op(c, out,
		       (opcode & 0xf6) != 0xb6 ? -1 :
		       opcode < 0xb8           ? INSN_MOVZX :
						 INSN_MOVSX,
		       false);
		out->mem_size = opcode & 1 ? 2 : 1;
		break;
	case 0x63: /* MOVSXD, only where it extends; vendors differ on the other forms */
		set_op(c, out, c->pre.rex & REX_W ? INSN_MOVSX : -1, false);
		out->mem_size = 4;
		break;
	case 0x84 ... 0x85: set_op(c, out, INSN_TEST, true); break;
	case 0x86 ... 0x87: set_op(c, out, INSN_XCHG, true); break;
	case 0x88 ... 0x8b: set_op(c, out, INSN_MOV, opcode < 0x8a); break;
	case 0x80 ... 0x81:
	case 0x83:
	case 0xc6 ... 0xc7:
	case 0xf6 ... 0xf7:
		set_op(c, out, group_op(opcode, modrm_mem(c)), true);
		out->has_imm = out->op != INSN_NOT;
		if (out->has_imm)
			out->imm = next_imm(c, opcode == 0x83 ? 1 : min(out->size, (u8)4));
		return;
	case 0xa0 ... 0xa3: /* the address follows the opcode, the register is rAX */
		set_op(c, out, INSN_MOV, opcode > 0xa1);
		next_imm(c, address_size(c));
		return;
	default:
		set_op(c, out, opcode < 0x40 && (opcode & 7) <= 3 ? alu_op(opcode >> 3) : -1,
		       !(opcode & 2));
	}
	field = modrm_mem(c);
	out->high_byte = out->size == 1 && !c->pre.rex && field >= 4;
	out->reg = field + (out->high_byte ? -4 : c->pre.rex & REX_R ? 8 : 0);
}

int insn_decode(const u8 *bytes, unsigned int len, enum insn_mode mode, struct insn *out)
{
	struct cursor c = { .p = bytes, .len = len, .mode = mode };
	u8 opcode = prefixes(&c);

	memset(out, 0, sizeof(*out));
	if (!c.err)
		decode_one(&c, out, opcode);
	/* LOCK is an error unless the instruction reads and writes memory. */
	if (c.pre.lock && !(out->mem_read && out->mem_dest))
		decode_fail(&c);
	out->len = c.at;
	return c.err;
}
