/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small x86 instruction decoder: the loads and stores that kernels use on the LAPIC page, and the
 * length of prefixes. It computes no address (the exit reports it) and changes no state.
 */
#pragma once

#include <margay/types.h>

#define INSN_MAX_LEN 15

/* Code size of the guest's current segment. */
enum insn_mode { INSN_MODE_16 = 16, INSN_MODE_32 = 32, INSN_MODE_64 = 64 };

/* The prefixes of an instruction. */
struct insn_prefixes {
	bool opsize, addrsize, lock;
	u8 rex; /* 0: none */
	u8 seg; /* segment override: SEG_*; NO_SEG: none */
};
#define NO_SEG 0xffU
#define REX_W 8
#define REX_R 4
#define REX_B 1

enum insn_op {
	INSN_MOV,
	INSN_MOVZX, /* load mem_size bytes, zero-extend to size */
	INSN_MOVSX, /* the same, sign-extend */
	INSN_XCHG,
	INSN_ADD,
	INSN_OR,
	INSN_AND,
	INSN_SUB,
	INSN_XOR,
	INSN_CMP,  /* flags only */
	INSN_TEST, /* flags only */
	INSN_NOT,  /* no second operand, no flags */
};

struct insn {
	u8 len;
	enum insn_op op;
	u8 size;       /* operand size in bytes: 1, 2, 4, 8 */
	u8 mem_size;   /* bytes of memory touched; differs from size for MOVZX and MOVSX */
	bool mem_read; /* memory is read */
	bool mem_dest; /* memory is written */
	bool mem_left; /* memory is the left operand: that of `cmp [mem], reg` */
	bool high_byte; /* reg is 0..3 and means AH, CH, DH, BH */
	bool has_imm;  /* the other operand is `imm`, else register `reg` (0 = rax ... 15 = r15) */
	u8 reg;
	s64 imm; /* sign-extended */
};

/*
 * Decodes one instruction with a memory operand from `len` fetched bytes. Returns -EOPNOTSUPP if it
 * is not one of the above (or has a register operand, or is too long), -ENODATA if more bytes are
 * needed.
 */
int insn_decode(const u8 *bytes, unsigned int len, enum insn_mode mode, struct insn *out);

/*
 * Reads the legacy and REX prefixes before the opcode and returns their number. -ENODATA: the
 * opcode is beyond `len`, -EOPNOTSUPP: more prefixes than an instruction may have.
 */
int insn_prefixes(const u8 *bytes, unsigned int len, enum insn_mode mode,
		  struct insn_prefixes *out);
