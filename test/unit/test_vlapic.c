/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual local APIC: modes, registers, priorities, IPIs, INIT and SIPI, the timer.
 * unit-sources: test/unit/no_policies.c arch/x86/guest/vlapic.c arch/x86/guest/vlapic_timer.c arch/x86/guest/vlapic_ipi.c
 * unit-sources: arch/x86/guest/inject.c test/unit/mock_vcpu.c test/unit/mock_heap.c
 */
#include "mock_vcpu.h"

#include <x86/features.h>
#include <x86/msr.h>

#include "../../arch/x86/guest/guest.h"

#define X2APIC(offset) (MSR_X2APIC_BASE + (offset) / 16)
#define BASE(mode) (VLAPIC_BASE | (mode))

void guest_triple_fault(struct vcpu *v)
{
	(void)v;
	fail_msg("triple fault");
}

static long read_msr(struct vcpu *v, u32 msr, u64 *val)
{
	struct msr_read r = msr == MSR_APIC_BASE    ? vlapic_read_base(v) :
			    msr == MSR_TSC_DEADLINE ? vlapic_read_deadline(v) :
						      vlapic_read_x2apic(v, msr - MSR_X2APIC_BASE);

	*val = r.val;
	return r.err;
}

static int setup(void **state)
{
	(void)state;
	mock_vcpu_init(true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mock_vcpu_free();
	return 0;
}

static void wr(unsigned int i, u32 offset, u32 val)
{
	assert_true(vlapic_mmio_enabled(vcpu_nr(i)));
	vlapic_write(vcpu_nr(i), offset, val);
}

static u32 rd(unsigned int i, u32 offset)
{
	assert_true(vlapic_mmio_enabled(vcpu_nr(i)));
	return vlapic_read(vcpu_nr(i), offset);
}

static void enable_all(void)
{
	for (unsigned int i = 0; i < MOCK_VCPUS; i++)
		wr(i, APIC_SVR, 0x1ff);
}

static void to_x2apic(unsigned int i)
{
	u64 base;

	assert_int_equal(read_msr(vcpu_nr(i), MSR_APIC_BASE, &base), 0);
	assert_int_equal(vlapic_wrmsr(vcpu_nr(i), MSR_APIC_BASE, base | APIC_BASE_EXTD), 0);
}

static void test_reset(void **state)
{
	u64 base;

	(void)state;
	assert_int_equal(read_msr(vcpu_nr(0), MSR_APIC_BASE, &base), 0);
	assert_int_equal(base, 0xfee00900);
	assert_int_equal(read_msr(vcpu_nr(3), MSR_APIC_BASE, &base), 0);
	assert_int_equal(base, 0xfee00800);
	assert_int_equal(rd(3, APIC_ID), 3 << 24);
	assert_int_equal(rd(0, APIC_VERSION), 0x50014);
	assert_int_equal(rd(0, APIC_SVR), 0xff);
	assert_int_equal(rd(0, APIC_DFR), 0xffffffff);
	for (unsigned int i = 0; i < NR_LVTS; i++)
		assert_int_equal(rd(0, APIC_LVT + 16 * i), 0x10000);
	assert_false(vcpu_nr(0)->sipi_wait);
	assert_true(vcpu_nr(1)->sipi_wait);
}

static void test_modes(void **state)
{
	struct vcpu *v = vcpu_nr(1);
	static const struct {
		u64 val;
		int rc;
	} steps[] = {
		{ BASE(APIC_BASE_EN), 0 },             /* unchanged */
		{ BASE(APIC_BASE_EXTD), -EPERM },      /* no such mode */
		{ 0xfed00000 | APIC_BASE_EN, -EPERM }, /* relocation */
		{ BASE(APIC_BASE_EN | 1), -EPERM },    /* reserved bits */
		{ BASE(APIC_BASE_EN) | BIT(45), -EPERM },
		{ BASE(APIC_BASE_EN | APIC_BASE_EXTD), 0 },
		{ BASE(APIC_BASE_EN), -EPERM }, /* x2APIC to xAPIC */
		{ BASE(0), 0 },
		{ BASE(APIC_BASE_EN | APIC_BASE_EXTD), -EPERM }, /* disabled to x2APIC */
		{ BASE(APIC_BASE_EN), 0 },
		{ BASE(0), 0 },
	};
	u64 val64;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(steps); i++)
		if (vlapic_wrmsr(v, MSR_APIC_BASE, steps[i].val) != steps[i].rc)
			fail_msg("step %u", i);
	assert_false(vlapic_mmio_enabled(v));
	assert_int_equal(read_msr(v, X2APIC(APIC_ID), &val64), -EPERM);
	/* The guest cannot change the BSP bit. */
	assert_int_equal(vlapic_wrmsr(vcpu_nr(0), MSR_APIC_BASE, BASE(APIC_BASE_EN)), 0);
	assert_int_equal(read_msr(vcpu_nr(0), MSR_APIC_BASE, &val64), 0);
	assert_int_equal(val64, 0xfee00900);
}

static void test_x2apic_registers(void **state)
{
	struct vcpu *v = vcpu_nr(2);
	static const struct {
		u32 offset;
		u64 val;
		int rc;
	} writes[] = {
		{ APIC_TPR, 0xff, 0 },
		{ APIC_TPR, 0x100, -EPERM },
		{ APIC_EOI, 0, 0 },
		{ APIC_EOI, 1, -EPERM },
		{ APIC_ESR, 1, -EPERM },
		{ APIC_ESR, 0, 0 },
		{ APIC_SVR, 0x1ff, 0 },
		{ APIC_SVR, 0x200, -EPERM },
		{ APIC_ID, 0, -EPERM },
		{ APIC_VERSION, 0, -EPERM },
		{ APIC_PPR, 0, -EPERM },
		{ APIC_LDR, 0, -EPERM },
		{ APIC_DFR, 0, -EPERM },
		{ APIC_ICR_HIGH, 0, -EPERM },
		{ APIC_ISR, 0, -EPERM },
		{ APIC_LVT, 0x300ff, 0 },
		{ APIC_LVT, 0x70000, -EPERM },
		{ APIC_LVT, 0x80000, -EPERM },
		{ APIC_LVT, 0x200, -EPERM },
		{ APIC_LVT + 0x50, 0x100fe, 0 },
		{ APIC_LVT + 0x50, 0x700, -EPERM },
		{ APIC_TMICT, 1UL << 32, -EPERM },
		{ APIC_TMCCT, 0, -EPERM },
		{ APIC_TDCR, 0xb, 0 },
		{ APIC_TDCR, 4, -EPERM },
		{ APIC_ICR, 0x1000, -EPERM },
		{ APIC_ICR, 0x100000, -EPERM },
		{ APIC_SELF_IPI, 0x100, -EPERM },
		{ 0x2f0, 0, -EPERM },
		{ 0xff0, 0, -EPERM },
	};
	static const u32 unreadable[] = { APIC_EOI, APIC_DFR, APIC_ICR_HIGH, APIC_SELF_IPI,
					  0,        0x2f0,    APIC_APR,      0xff0 };
	u64 val;

	(void)state;
	to_x2apic(2);
	assert_false(vlapic_mmio_enabled(v));
	for (unsigned int i = 0; i < ARRAY_SIZE(writes); i++)
		if (vlapic_wrmsr(v, X2APIC(writes[i].offset), writes[i].val) != writes[i].rc)
			fail_msg("write %u: %#x", i, writes[i].offset);
	for (unsigned int i = 0; i < ARRAY_SIZE(unreadable); i++)
		assert_int_equal(read_msr(v, X2APIC(unreadable[i]), &val), -EPERM);
	assert_int_equal(read_msr(v, X2APIC(APIC_ID), &val), 0);
	assert_int_equal(val, 2);
	assert_int_equal(read_msr(v, X2APIC(APIC_LDR), &val), 0);
	assert_int_equal(val, 4);
}

static void test_priorities(void **state)
{
	struct vcpu *v = vcpu_nr(0);

	(void)state;
	arch_vcpu_interrupt(v, 0x41);
	assert_int_equal(vlapic_pending(v), -1); /* disabled by SVR */
	v->upcall_vector = 0x51;
	arch_vcpu_upcall(v);	/* waits outside the APIC, whose IRR the guest reads */
	assert_int_equal(rd(0, APIC_IRR + 0x20) >> 17 & 1, 0);
	v->pending = 0;
	wr(0, APIC_SVR, 0x1ff);
	assert_int_equal(vlapic_pending(v), 0x41);
	assert_true(v->pending & VCPU_WORK_LAPIC);
	assert_true(v->pending & VCPU_WORK_EVENT);
	vlapic_accept(v, 0x41);
	assert_int_equal(rd(0, APIC_ISR + 0x20), 2);
	assert_int_equal(rd(0, APIC_IRR + 0x20), 0);
	assert_int_equal(rd(0, APIC_PPR), 0x40);
	arch_vcpu_interrupt(v, 0x4f); /* same class: stays pending */
	assert_int_equal(vlapic_pending(v), -1);
	arch_vcpu_interrupt(v, 0xf0);
	assert_int_equal(vlapic_pending(v), 0xf0);
	assert_int_equal(rd(0, APIC_IRR + 0x70), 0x10000);
	assert_int_equal(rd(0, APIC_TMR + 0x70), 0); /* all are edge triggered */
	vlapic_accept(v, 0xf0);
	v->pending = 0;
	wr(0, APIC_EOI, 0);
	assert_true(v->pending & VCPU_WORK_LAPIC);
	assert_int_equal(rd(0, APIC_PPR), 0x40);
	wr(0, APIC_EOI, 0);
	assert_int_equal(vlapic_pending(v), 0x4f);
	wr(0, APIC_TPR, 0x40);
	assert_int_equal(vlapic_get_cr8(v), 4);
	assert_int_equal(vlapic_pending(v), -1);
	v->pending = 0;
	vlapic_set_cr8(v, 3);
	assert_int_equal(rd(0, APIC_TPR), 0x30);
	assert_true(v->pending & VCPU_WORK_LAPIC);
	assert_int_equal(vlapic_pending(v), 0x4f);
	wr(0, APIC_EOI, 0); /* nothing is in service */
}

static void test_set_once_wakes_once(void **state)
{
	(void)state;
	enable_all();
	arch_vcpu_interrupt(vcpu_nr(1), 0x50);
	arch_vcpu_interrupt(vcpu_nr(1), 0x50);
	assert_int_equal(mock_vcpus[1].woken, 1);
}

static void test_esr(void **state)
{
	(void)state;
	enable_all();
	wr(0, APIC_LVT + 16 * LVT_ERROR, 0xfe);
	arch_vcpu_interrupt(vcpu_nr(0), 3);
	assert_int_equal(rd(0, APIC_ESR), 0); /* only a write updates it */
	wr(0, APIC_ESR, 0);
	assert_int_equal(rd(0, APIC_ESR), 0x40);
	assert_int_equal(vlapic_pending(vcpu_nr(0)), 0xfe);
	wr(0, APIC_ESR, 0);
	assert_int_equal(rd(0, APIC_ESR), 0);
	wr(0, APIC_ICR, 15 | 1 << 18); /* vector too low */
	wr(0, APIC_ESR, 0);
	assert_int_equal(rd(0, APIC_ESR), 0x20);
	wr(0, 0x2f0, 1); /* no such register */
	assert_int_equal(rd(0, 0x400), 0);
	wr(0, APIC_ESR, 0);
	assert_int_equal(rd(0, APIC_ESR), 0x80);
	/* An error LVT with a bad vector does not raise errors endlessly. */
	wr(0, APIC_LVT + 16 * LVT_ERROR, 5);
	arch_vcpu_interrupt(vcpu_nr(0), 3);
	/* A software disable masks the LVTs, and they stay masked until it ends. */
	wr(0, APIC_SVR, 0xff);
	assert_int_equal(rd(0, APIC_LVT + 16 * LVT_ERROR), 0x10005);
	wr(0, APIC_LVT + 16 * LVT_ERROR, 0xfe);
	assert_int_equal(rd(0, APIC_LVT + 16 * LVT_ERROR), 0x100fe);
}

/* Sends from vCPU 0, in xAPIC mode. Returns the set of vCPUs with the vector in IRR. */
static u32 ipi(u32 dest, u32 low)
{
	u32 got = 0;
	u8 vector = (u8)low;

	wr(0, APIC_ICR_HIGH, dest << 24);
	wr(0, APIC_ICR, low);
	for (unsigned int i = 0; i < MOCK_VCPUS; i++) {
		struct vlapic *vl = vcpu_nr(i)->vlapic;

		if (test_bit(vector, vl->irr))
			got |= 1U << i;
		clear_bit(vector, vl->irr);
	}
	return got;
}

static void test_ipi_xapic(void **state)
{
	(void)state;
	enable_all();
	assert_int_equal(ipi(2, 0x4041), 1 << 2);
	assert_int_equal(ipi(9, 0x4041), 0);
	assert_int_equal(ipi(0xff, 0x4041), 0xf);
	assert_int_equal(ipi(0, 0x40041 | 0x4000), 1); /* self */
	assert_int_equal(ipi(0, 0x84041), 0xf);        /* all */
	assert_int_equal(ipi(0, 0xc4041), 0xe);        /* others */
	for (unsigned int i = 0; i < MOCK_VCPUS; i++)
		wr(i, APIC_LDR, 1U << (24 + i));
	assert_int_equal(ipi(0x0a, 0x4841), 0xa); /* flat */
	assert_int_equal(ipi(0xff, 0x4841), 0xf);
	for (unsigned int i = 0; i < MOCK_VCPUS; i++) {
		wr(i, APIC_DFR, 0x0fffffff);
		wr(i, APIC_LDR, (i / 2) << 28 | 1U << (24 + i % 2));
	}
	assert_int_equal(ipi(0x13, 0x4841), 0xc); /* cluster 1, both */
	assert_int_equal(ipi(0x02, 0x4841), 0x2);
	/* Lowest priority: the vCPU with the lowest, or the first of them. */
	wr(2, APIC_TPR, 0x20);
	wr(3, APIC_TPR, 0x10);
	assert_int_equal(ipi(0x13, 0x4941), 0x8);
	wr(3, APIC_TPR, 0x20);
	assert_int_equal(ipi(0x13, 0x4941), 0x4);
	/* A disabled APIC accepts none. */
	wr(2, APIC_SVR, 0xff);
	assert_int_equal(ipi(0x13, 0x4941), 0x8);
	assert_int_equal(ipi(0xff, 0x4041), 0xb);
	/* Reserved modes and invalid shorthands have no effect. */
	assert_int_equal(ipi(1, 0x4341), 0);
	assert_int_equal(ipi(1, 0x4741), 0);
	wr(0, APIC_ICR, 0x84400); /* NMI to all including itself */
	for (unsigned int i = 0; i < MOCK_VCPUS; i++)
		assert_false(vcpu_nr(i)->nmi_pending);
}

static void test_ipi_x2apic(void **state)
{
	struct vcpu *v = vcpu_nr(0);
	u64 icr;

	(void)state;
	enable_all();
	for (unsigned int i = 0; i < MOCK_VCPUS; i++)
		to_x2apic(i);
	assert_int_equal(vlapic_wrmsr(v, X2APIC(APIC_ICR), 0x300004052), 0);
	assert_int_equal(read_msr(v, X2APIC(APIC_ICR), &icr), 0);
	assert_int_equal(icr, 0x300004052);
	assert_int_equal(vlapic_pending(vcpu_nr(3)), 0x52);
	assert_int_equal(vlapic_wrmsr(v, X2APIC(APIC_ICR), 0xffffffff00004053), 0);
	assert_int_equal(vlapic_pending(vcpu_nr(1)), 0x53);
	assert_int_equal(vlapic_wrmsr(v, X2APIC(APIC_ICR), 0xff00004054),
			 0); /* no broadcast here */
	assert_int_equal(vlapic_pending(vcpu_nr(1)), 0x53);
	assert_int_equal(vlapic_wrmsr(v, X2APIC(APIC_ICR), 0x0000000400004855), 0); /* logical */
	assert_int_equal(vlapic_pending(vcpu_nr(2)), 0x55);
	assert_int_equal(vlapic_pending(vcpu_nr(1)), 0x53);
	assert_int_equal(vlapic_wrmsr(v, X2APIC(APIC_ICR), 0x0001000400004856), 0); /* cluster 1 */
	assert_int_equal(vlapic_pending(vcpu_nr(2)), 0x55);
	assert_int_equal(vlapic_wrmsr(v, X2APIC(APIC_SELF_IPI), 0x60), 0);
	assert_int_equal(vlapic_pending(v), 0x60);
}

/* Ids that follow no order: each interrupt finds its vCPU. */
static void test_own_ids(void **state)
{
	static struct cpu cpu[MOCK_VCPUS] = { { .apic_id = 0x17 }, { .apic_id = 0x30 },
					      { .apic_id = 0x11 }, { .apic_id = 0x207 } };
	static const u32 id[MOCK_VCPUS] = { 7, 0x20, 1, 0x1f7 };
	static u16 hash[8] = { [0] = 2, [1] = 3, [7] = 1 };
	static struct {
		struct apic_ids ids;
		u16 room[MOCK_VCPUS];
	} own = { { 0x10, 7, hash }, { 0, 1, 2, 3 } };
	struct vcpu *v = vcpu_nr(0);
	u64 val;

	(void)state;
	enable_all();
	for (unsigned i = 0; i < MOCK_VCPUS; i++) {
		cpus[i] = &cpu[i];
		cpu[i].id = i;
		to_x2apic(i);
	}
	hash[2] = 4;	/* 7 is taken, and so are 0 and 1 */
	mock_domain.apic_ids = &own.ids;
	for (unsigned i = 0; i < MOCK_VCPUS; i++) {
		assert_int_equal(read_msr(vcpu_nr(i), X2APIC(APIC_ID), &val), 0);
		assert_int_equal(val, id[i]);
		assert_int_equal(vlapic_wrmsr(v, X2APIC(APIC_ICR), (u64)id[i] << 32 | 0x4050 | i),
				 0);
		assert_int_equal(vlapic_pending(vcpu_nr(i)), 0x50 | i);
		/* logical: its cluster and its bit */
		assert_int_equal(vlapic_wrmsr(v, X2APIC(APIC_ICR),
					      (u64)(id[i] >> 4 << 16 | 1U << id[i] % 16) << 32 |
						      0x4860 | i),
				 0);
		assert_int_equal(vlapic_pending(vcpu_nr(i)), 0x60 | i);
		if (id[i] < 256) {
			vlapic_message(&mock_domain, MSG_BASE | id[i] << MSG_DEST_SHIFT, 0x70 | i,
				       false);
			assert_int_equal(vlapic_pending(vcpu_nr(i)), 0x70 | i);
		}
	}
	/* Nobody has the number of a vCPU, if it is no id. */
	vlapic_message(&mock_domain, MSG_BASE | 3 << MSG_DEST_SHIFT, 0x80, false);
	assert_int_equal(vlapic_wrmsr(v, X2APIC(APIC_ICR), 0x200004080), 0);
	for (unsigned i = 0; i < MOCK_VCPUS; i++)
		assert_in_range(vlapic_pending(vcpu_nr(i)), 0x60, 0x7f);
	mock_domain.apic_ids = NULL;
}

static void test_startup(void **state)
{
	struct vcpu *t = vcpu_nr(1);
	struct mock_vcpu *m = &mock_vcpus[1];

	(void)state;
	enable_all();
	/* A SIPI alone starts a vCPU that never ran; a second one is ignored. */
	wr(0, APIC_ICR_HIGH, 1 << 24);
	wr(0, APIC_ICR, 0x4698);
	wr(0, APIC_ICR, 0x4699);
	assert_int_equal(m->ups, 1);
	assert_true(t->pending & VCPU_WORK_LAPIC);
	assert_true(arch_vcpu_has_interrupt(t));
	vcpu_prepare_entry(t, true);
	assert_int_equal(m->sipi_vector, 0x98);
	assert_false(t->sipi_wait);
	assert_true(t->initialised);
	assert_int_equal(m->resets, 0);
	assert_int_equal(m->downs, 0);
	/* A running vCPU ignores it. */
	wr(0, APIC_ICR, 0x4697);
	assert_false(arch_vcpu_has_interrupt(t));
	/* INIT level de-assert has no effect. INIT takes the vCPU down asynchronously. */
	wr(0, APIC_ICR, 0x8500);
	assert_false(arch_vcpu_has_interrupt(t));
	t->regs.rflags = 2;
	t->nmi_pending = true;
	t->inject.valid = true;
	arch_vcpu_interrupt(t, 0x70);
	wr(0, APIC_ICR, 0xc500);
	assert_int_equal(m->resets, 0);
	assert_true(arch_vcpu_has_interrupt(t));
	assert_false(vcpu_prepare_entry(t, true));
	assert_int_equal(m->resets, 1);
	assert_int_equal(m->downs, 1);
	assert_true(t->sipi_wait);
	assert_false(t->initialised || t->nmi_pending || t->inject.valid);
	assert_int_equal(rd(1, APIC_SVR), 0xff);
	assert_int_equal(rd(1, APIC_IRR + 0x30), 0);
	/* An NMI does not wake it; a SIPI does. */
	wr(0, APIC_ICR, 0x4400);
	assert_false(t->nmi_pending);
	wr(0, APIC_ICR, 0x4612);
	assert_int_equal(m->ups, 2);
	vcpu_prepare_entry(t, true);
	assert_int_equal(m->sipi_vector, 0x12);
	/* INIT and SIPI before the target looks: it never goes down. */
	wr(0, APIC_ICR, 0xc500);
	wr(0, APIC_ICR, 0x4634);
	vcpu_prepare_entry(t, true);
	assert_int_equal(m->resets, 2);
	assert_int_equal(m->downs, 1);
	assert_int_equal(m->sipi_vector, 0x34);
}

static void test_nmi(void **state)
{
	(void)state;
	enable_all();
	vcpu_nr(2)->sipi_wait = vcpu_nr(3)->sipi_wait = false;
	wr(0, APIC_ICR_HIGH, 2 << 24);
	wr(0, APIC_ICR, 0x4402);
	assert_true(vcpu_nr(2)->nmi_pending);
	assert_true(vcpu_nr(2)->pending & VCPU_WORK_NMI);
	wr(0, APIC_ICR, 0xc4400);
	assert_false(vcpu_nr(0)->nmi_pending);
	assert_false(vcpu_nr(1)->nmi_pending); /* waits for SIPI */
	assert_true(vcpu_nr(3)->nmi_pending);
}

static void test_timer(void **state)
{
	struct vcpu *v = vcpu_nr(0);
	stime_t t0 = mock_now;

	(void)state;
	enable_all();
	wr(0, APIC_TDCR, 3); /* by 16 */
	wr(0, APIC_LVT, 0x40);
	wr(0, APIC_TMICT, 1000);
	assert_int_equal(rd(0, APIC_TMICT), 1000);
	mock_time_to(t0 + 8000);
	assert_int_equal(rd(0, APIC_TMCCT), 500);
	assert_int_equal(vlapic_pending(v), -1);
	wr(0, APIC_TDCR, 0xb); /* by 1: the rest expires faster */
	assert_int_equal(rd(0, APIC_TMCCT), 500);
	mock_time_to(t0 + 8499);
	assert_int_equal(vlapic_pending(v), -1);
	mock_time_to(t0 + 8500);
	assert_int_equal(vlapic_pending(v), 0x40);
	assert_int_equal(rd(0, APIC_TMCCT), 0);
	vlapic_accept(v, 0x40);
	wr(0, APIC_EOI, 0);
	mock_time_to(t0 + 900000);
	assert_int_equal(vlapic_pending(v), -1);
	/* A masked timer counts without an interrupt; 0 stops it. */
	wr(0, APIC_LVT, 0x10040);
	wr(0, APIC_TMICT, 10);
	mock_time_to(mock_now + 10);
	assert_int_equal(vlapic_pending(v), -1);
	wr(0, APIC_LVT, 0x40);
	wr(0, APIC_TMICT, 10);
	wr(0, APIC_TMICT, 0);
	mock_time_to(mock_now + 100);
	assert_int_equal(vlapic_pending(v), -1);
}

static void test_timer_periodic(void **state)
{
	struct vcpu *v = vcpu_nr(0);
	stime_t t0 = mock_now;
	unsigned int ticks = 0;

	(void)state;
	enable_all();
	wr(0, APIC_TDCR, 0xb);
	wr(0, APIC_LVT, 0x20040);
	wr(0, APIC_TMICT, 100000);
	for (unsigned int i = 1; i <= 50; i++) {
		mock_time_to(t0 + i * 50000);
		if (vlapic_pending(v) == 0x40) {
			ticks++;
			vlapic_accept(v, 0x40);
			wr(0, APIC_EOI, 0);
		}
	}
	assert_int_equal(ticks, 25);
	/* A period too short to serve is extended to 20 us. */
	wr(0, APIC_TMICT, 1);
	for (ticks = 0, t0 = mock_now; mock_now < t0 + 1000000; mock_time_to(mock_now + 100)) {
		if (vlapic_pending(v) == 0x40) {
			ticks++;
			vlapic_accept(v, 0x40);
			wr(0, APIC_EOI, 0);
		}
	}
	assert_in_range(ticks, 49, 51);
	wr(0, APIC_TMICT, 0);
	mock_time_to(mock_now + 1000000);
	assert_int_equal(vlapic_pending(v), -1);
}

static unsigned int armed_times(stime_t ns)
{
	unsigned int before = mock_timers_fired;

	mock_time_to(mock_now + ns);
	return mock_timers_fired - before;
}

/* A timer whose ticks the guest cannot observe is not armed; its count continues. */
static void test_timer_unseen(void **state)
{
	struct vcpu *v = vcpu_nr(0);
	stime_t t0;
	u64 val;

	(void)state;
	enable_all();
	wr(0, APIC_TDCR, 0xb);
	wr(0, APIC_LVT, 0x30040); /* periodic, masked */
	t0 = mock_now;
	wr(0, APIC_TMICT, 30000);
	assert_int_equal(armed_times(1000000), 0);
	assert_int_equal(rd(0, APIC_TMCCT), 30000 - 1000000 % 30000);
	wr(0, APIC_LVT, 0x20040); /* still in phase */
	mock_time_to(t0 + 1019999);
	assert_int_equal(vlapic_pending(v), -1);
	mock_time_to(t0 + 1020000);
	assert_int_equal(vlapic_pending(v), 0x40);
	/* Not delivered: one more tick finds it pending, and no more follow. */
	assert_int_equal(armed_times(1000000), 1);
	assert_int_equal(rd(0, APIC_TMCCT), 30000 - 1000000 % 30000);
	vlapic_accept(v, 0x40);
	wr(0, APIC_EOI, 0);
	mock_time_to(t0 + 2039999);
	assert_int_equal(vlapic_pending(v), -1);
	mock_time_to(t0 + 2040000);
	assert_int_equal(vlapic_pending(v), 0x40);
	/* Held back, it restarts with another vector, and when hardware delivers the interrupt. */
	assert_int_equal(armed_times(1000000), 1);
	wr(0, APIC_LVT, 0x20050);
	assert_int_equal(armed_times(30000), 1);
	assert_int_equal(vlapic_pending(v), 0x50);
	assert_int_equal(armed_times(1000000), 1);
	vlapic_sync_irr_to_page(v);
	assert_int_equal(armed_times(1000000), 2);
	/* Masked while it runs, it stops after one more tick. */
	vlapic_sync_irr_to_page(v);
	wr(0, APIC_LVT, 0x30050);
	assert_int_equal(armed_times(1000000), 1);
	wr(0, APIC_TMICT, 0);
	wr(0, APIC_LVT, 0x20050);
	assert_int_equal(armed_times(1000000), 0);
	/* Ticks with an illegal vector set ESR once, until it is read. */
	wr(0, APIC_LVT, 0x20003);
	wr(0, APIC_TMICT, 30000);
	assert_int_equal(armed_times(1000000), 2);
	wr(0, APIC_ESR, 0);
	assert_int_equal(armed_times(1000000), 2);
	wr(0, APIC_TMICT, 0);
	/* A one-shot that expires while masked is over; one that has not expired remains. */
	wr(0, APIC_LVT, 0x10060);
	wr(0, APIC_TMICT, 100);
	assert_int_equal(armed_times(100), 0);
	wr(0, APIC_LVT, 0x60);
	assert_int_equal(armed_times(1000000), 0);
	assert_int_equal(rd(0, APIC_TMCCT), 0);
	wr(0, APIC_LVT, 0x10060);
	wr(0, APIC_TMICT, 100);
	assert_int_equal(armed_times(99), 0);
	wr(0, APIC_LVT, 0x60);
	assert_int_equal(armed_times(1), 1);
	wr(0, APIC_LVT, 0x50060);
	assert_int_equal(vlapic_wrmsr(v, MSR_TSC_DEADLINE, mock_now + 100), 0);
	assert_int_equal(armed_times(99), 0);
	assert_int_equal(read_msr(v, MSR_TSC_DEADLINE, &val), 0);
	assert_int_equal(val, mock_now + 1);
	assert_int_equal(armed_times(1), 0);
	assert_int_equal(read_msr(v, MSR_TSC_DEADLINE, &val), 0);
	assert_int_equal(val, 0);
}

static void test_timer_deadline(void **state)
{
	struct vcpu *v = vcpu_nr(0);
	u64 val;

	(void)state;
	enable_all();
	v->tsc_offset = -500UL;
	assert_int_equal(vlapic_wrmsr(v, MSR_TSC_DEADLINE, ~0UL), 0);
	assert_int_equal(read_msr(v, MSR_TSC_DEADLINE, &val), 0);
	assert_int_equal(val, 0); /* not in that mode */
	wr(0, APIC_LVT, 0x40040);
	wr(0, APIC_TMICT, 1000);
	assert_int_equal(rd(0, APIC_TMICT), 0);
	assert_int_equal(rd(0, APIC_TMCCT), 0);
	assert_int_equal(vlapic_wrmsr(v, MSR_TSC_DEADLINE, mock_now - 500 + 1000), 0);
	mock_time_to(mock_now + 999);
	assert_int_equal(vlapic_pending(v), -1);
	assert_int_equal(read_msr(v, MSR_TSC_DEADLINE, &val), 0);
	assert_int_equal(val, mock_now - 500 + 1);
	mock_time_to(mock_now + 2);
	assert_int_equal(vlapic_pending(v), 0x40);
	assert_int_equal(read_msr(v, MSR_TSC_DEADLINE, &val), 0);
	assert_int_equal(val, 0);
	vlapic_accept(v, 0x40);
	wr(0, APIC_EOI, 0);
	/*
	 * A deadline in the past fires at once; one at the end of time never, and can be cancelled.
	 */
	assert_int_equal(vlapic_wrmsr(v, MSR_TSC_DEADLINE, 1), 0);
	assert_int_equal(vlapic_pending(v), 0x40);
	vlapic_accept(v, 0x40);
	wr(0, APIC_EOI, 0);
	assert_int_equal(vlapic_wrmsr(v, MSR_TSC_DEADLINE, ~0UL), 0);
	mock_time_to(mock_now + 1000000000000);
	assert_int_equal(vlapic_pending(v), -1);
	assert_int_equal(vlapic_wrmsr(v, MSR_TSC_DEADLINE, mock_now + 10000), 0);
	wr(0, APIC_LVT, 0x40); /* leaving the mode disarms */
	mock_time_to(mock_now + 20000);
	assert_int_equal(vlapic_pending(v), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_reset),
		TEST(test_modes),
		TEST(test_x2apic_registers),
		TEST(test_priorities),
		TEST(test_set_once_wakes_once),
		TEST(test_esr),
		TEST(test_ipi_xapic),
		TEST(test_ipi_x2apic), TEST(test_own_ids),
		TEST(test_startup),
		TEST(test_nmi),
		TEST(test_timer),
		TEST(test_timer_periodic),
		TEST(test_timer_unseen),
		TEST(test_timer_deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
