/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MOV to a control register, where it exits: to CR8 while the back-end has a reason to look, and to CR4
 * with reserved bits on QEMU, which reports an invalid guest state for it. APM3 MOV CRn.
 */
#include <margay/guest_copy.h>
#include <x86/decode.h>
#include <x86/exit.h>
#include <x86/hvm.h>
#include <x86/vlapic.h>

#include "svm.h"

#define PREFIX_LOCK 0xf0 /* stands for REX.R on AMD */
#define REX_R 4
#define REX_B 1

/* The number of the register it takes the value from, or -1 when it is not this instruction. */
static int decode(struct vcpu *v, unsigned cr, unsigned *len)
{
	u8 b[INSN_MAX_LEN], rex = 0, high = 0;
	struct vcpu_mode m;
	enum insn_mode mode;
	int n, prefixes;

	hvm->mode(v, &m);
	mode = m.width == 64 ? INSN_MODE_64 : m.width == 32 ? INSN_MODE_32 : INSN_MODE_16;
	n = (int)guest_fetch(v, m.cs_base + v->regs.rip, b, sizeof(b));
	prefixes = insn_prefix_len(b, (unsigned)n, mode);
	if (prefixes < 0 || n < prefixes + 3 || b[prefixes] != 0x0f || b[prefixes + 1] != 0x22)
		return -1;
	if (m.width == 64 && prefixes && (b[prefixes - 1] & 0xf0) == 0x40)
		rex = b[prefixes - 1];
	for (int i = 0; i < prefixes; i++)
		if (b[i] == PREFIX_LOCK)
			high = 8;
	if (rex & REX_R)
		high = 8;
	if ((b[prefixes + 2] >> 3 & 7U) + high != cr)
		return -1;
	*len = (unsigned)prefixes + 3;
	return (b[prefixes + 2] & 7) + (rex & REX_B ? 8 : 0);
}

void svm_write_cr8(struct vcpu *v)
{
	unsigned len;
	int reg = decode(v, 8, &len);

	if (reg < 0) {
		domain_crash(v->domain, v, "write to CR8 by an instruction that is not known");
	} else if (v->regs.gpr[reg] >> 4) {
		inject_gp(v);
	} else {
		vlapic_set_cr8(v, (u8)v->regs.gpr[reg]);
		guest_skip(v, len);
	}
}

bool svm_at_cr4_write(struct vcpu *v)
{
	unsigned len;

	return decode(v, 4, &len) >= 0;
}
