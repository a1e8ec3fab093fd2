/* SPDX-License-Identifier: BSD-2-Clause */
/* Possible guest states and registers, for tests of the back-ends' get_state() and set_state(). */
#ifndef UNIT_SOME_STATE_H
#define UNIT_SOME_STATE_H

#include "host.h"

#include <x86/hvm.h>
#include <x86/regs.h>

static struct domain dom;
static struct vcpu guest;

static u64 random64(void)
{
	return (u64)(u32)rand() << 40 ^ (u64)(u32)rand() << 20 ^ (u32)rand();
}

/* Returns a possible guest state. Every word differs, except where words must agree. */
static struct vcpu_state some_state(bool nmi)
{
	struct vcpu_state st;
	struct vcpu_seg *seg = st.seg;

	for (unsigned int i = 0; i < sizeof(st) / 8; i++)
		((u64 *)&st)[i] = random64();
	st.cr0 |= CR0_NE | CR0_ET;
	st.cr4 &= ~(CR4_VMXE | CR4_MCE);
	st.efer &= EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	st.pending_debug = 0;
	st.blocked = (u64)(rand() & 1) * BLOCKED_BY_STI | (nmi ? BLOCKED_BY_NMI : 0);
	for (unsigned int i = 0; i < NR_SEGS; i++) {
		bool wide = rand() & 1;

		seg[i].limit = wide ? (u32)rand() << 12 | 0x80000fff : (u32)rand() & 0xfffe;
		seg[i].attr = (u16)((seg[i].attr & 0x7f0) | (i == SEG_TR ? 0xb : 0x3) |
				    (wide ? 0x800 : 0));
		if (i == SEG_TR || i == SEG_CS || rand() & 1)
			seg[i].attr |= 0x80;
	}
	st.gdtr.sel = st.gdtr.attr = st.idtr.sel = st.idtr.attr = 0;
	return st;
}

static void fill_regs(void)
{
	for (unsigned int i = 0; i < 16; i++)
		guest.regs.gpr[i] = random64();
	guest.regs.rip = random64();
	guest.regs.rflags = random64() & ~RFLAGS_TF;
}

static void assert_same(const struct vcpu_state *a, const struct vcpu_state *b)
{
	assert_memory_equal(a, b, sizeof(*a));
}

static unsigned int bits_set(const u8 *map, size_t n)
{
	unsigned int sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (unsigned int)__builtin_popcount(map[i]);
	return sum;
}

#endif
