/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU's state in Xen's records: another vCPU that loads them has the same state and gets the same
 * interrupts; what no CPU could have is refused and changes nothing.
 * unit-sources: test/unit/no_policies.c arch/x86/guest/record.c arch/x86/guest/vlapic_record.c arch/x86/guest/start.c
 * unit-sources: arch/x86/guest/vlapic.c arch/x86/guest/vlapic_timer.c arch/x86/guest/vlapic_ipi.c
 * unit-sources: arch/x86/guest/inject.c test/unit/mock_vcpu.c test/unit/mock_heap.c
 */
#include "mock_vcpu.h"

#include <margay/vcpu_record.h>
#include <x86/features.h>
#include <x86/msr.h>

#include "../../arch/x86/guest/guest.h"

#define XSAVE_SIZE 832U
#define LVT(n) (APIC_LVT + 0x10 * (n))
#define MS 1000000U

static struct hvm_ops ops;
static struct vcpu_state states[MOCK_VCPUS];
static struct regs machine_regs[MOCK_VCPUS];
static _Alignas(64) u8 xsave[MOCK_VCPUS][PAGE_SIZE];
static u8 record[VCPU_RECORD_MAX];
static u32 size;

void guest_triple_fault(struct vcpu *v)
{
	(void)v;
	fail_msg("triple fault");
}

static void set_state(struct vcpu *v, const struct vcpu_state *st)
{
	states[v->id] = *st;
	machine_regs[v->id] = v->regs;
}

static void get_state(struct vcpu *v, struct vcpu_state *st)
{
	*st = states[v->id];
	v->regs = machine_regs[v->id];
}

/* As context.c has it for a vCPU that is on no CPU. */
void context_reset(struct vcpu *v)
{
	memset(v->xsave, 0, XSAVE_SIZE);
	*(u64 *)((u8 *)v->xsave + FXSAVE_SIZE) = 3;
	v->xcr0 = 1;
	memset(v->dr, 0, sizeof(v->dr));
	v->msr_tsc_aux = v->spec_ctrl = 0;
}

bool pat_valid(u64 val)
{
	return (u8)val != 2;
}

bool xcr0_valid(const struct domain *d, u64 val)
{
	(void)d;
	return val == 1 || val == 3 || val == 7;
}

u64 cpuid_xcr0_allowed(const struct domain *d)
{
	(void)d;
	return 7;
}

u64 cpuid_cr4_allowed(const struct domain *d)
{
	(void)d;
	return CR4_PAE | CR4_PCIDE;
}

u64 cpuid_efer_allowed(const struct domain *d)
{
	(void)d;
	return EFER_SCE | EFER_LME | EFER_NXE;
}

void cpuid_follow(struct vcpu *v)
{
	(void)v;
}

int guest_wrmsr(struct vcpu *v, u32 msr, u64 val)
{
	if (msr != MSR_SPEC_CTRL || val > 7)
		return -EPERM;
	v->spec_ctrl = (u32)val;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	mock_vcpu_init(true);
	x86.xsave = true;
	x86.xsave_size = XSAVE_SIZE;
	x86.xcr0_mask = 7;
	x86.phys_bits = 40;
	if (!ops.get_state) {
		ops = *hvm;
		ops.get_state = get_state;
		ops.set_state = set_state;
		hvm = &ops;
	}
	for (unsigned i = 0; i < MOCK_VCPUS; i++) {
		vcpu_nr(i)->xsave = xsave[i];
		context_reset(vcpu_nr(i));
		states[i] = state_after_init();
		memset(&machine_regs[i], 0, sizeof(machine_regs[i]));
		machine_regs[i].rflags = RFLAGS_FIXED;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mock_vcpu_free();
	return 0;
}

static const struct vcpu_record *kind(u16 type)
{
	const struct vcpu_record *r = vcpu_records;

	while (r->save && r->type != type)
		r++;
	assert_non_null(r->save);
	return r;
}

static void *save(unsigned i, u16 type)
{
	memset(record, 0, sizeof(record));
	size = kind(type)->save(vcpu_nr(i), record);
	assert_true(size <= kind(type)->most);
	return record;
}

static int load(unsigned i, u16 type)
{
	return kind(type)->load(vcpu_nr(i), record, size);
}

/* Moves all from one vCPU to another, as a stream does. */
static void move(unsigned from, unsigned to)
{
	static u8 all[8][VCPU_RECORD_MAX];
	u32 sizes[8];
	unsigned n = 0;

	for (const struct vcpu_record *r = vcpu_records; r->save; r++, n++) {
		memset(all[n], 0, sizeof(all[n]));
		sizes[n] = r->save(vcpu_nr(from), all[n]);
	}
	n = 0;
	for (const struct vcpu_record *r = vcpu_records; r->save; r++, n++)
		if (sizes[n])
			assert_int_equal(r->load(vcpu_nr(to), all[n], sizes[n]), 0);
}

static void wr(unsigned i, u32 offset, u32 val)
{
	vlapic_write(vcpu_nr(i), offset, val);
}

static u32 rd(unsigned i, u32 offset)
{
	return vlapic_read(vcpu_nr(i), offset);
}

/* In 64-bit mode, with every register of its own. */
static void some_registers(unsigned i)
{
	struct vcpu *v = vcpu_nr(i);
	struct vcpu_state *st = &states[i];

	for (unsigned n = 0; n < 16; n++)
		machine_regs[i].gpr[n] = 0x1111111111111111UL * n + 5;
	machine_regs[i].rip = 0xffffffff81000000UL;
	machine_regs[i].rflags = 0x246;
	st->cr0 = CR0_PG | CR0_PE | CR0_ET;
	st->cr3 = 0x1234000;
	st->cr4 = CR4_PAE;
	st->efer = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE;
	st->dr7 = 0x455;
	st->pat = 0x0007040600070401;
	for (unsigned n = 0; n < NR_STATE_MSRS; n++)
		st->msr[n] = 0x100 + n;
	for (unsigned n = 0; n < NR_SEGS; n++)
		st->seg[n] = (struct vcpu_seg){ (u16)(8 * n), (u16)(0x93 + n), 0xfffff + n,
						0x10000 * n };
	st->gdtr = (struct vcpu_seg){ .limit = 0x7f, .base = 0xfffffe0000001000 };
	st->idtr = (struct vcpu_seg){ .limit = 0xfff, .base = 0xfffffe0000000000 };
	for (unsigned n = 0; n < 4; n++)
		v->dr[n] = 0x2000 + n;
	v->msr_tsc_aux = 3;
	v->spec_ctrl = 1;
	v->xcr0 = 7;
	for (unsigned n = 0; n < XSAVE_SIZE; n++)
		xsave[i][n] = (u8)(n * 7);
	memset(xsave[i] + FXSAVE_SIZE, 0, XSAVE_HEADER_SIZE);
	*(u64 *)(xsave[i] + FXSAVE_SIZE) = 7;
}

static void test_registers(void **state)
{
	struct vcpu *a = vcpu_nr(0), *b = vcpu_nr(1);

	(void)state;
	some_registers(0);
	move(0, 1);
	assert_memory_equal(&states[0], &states[1], sizeof(states[0]));
	assert_memory_equal(&machine_regs[0], &machine_regs[1], sizeof(machine_regs[0]));
	assert_memory_equal(a->dr, b->dr, sizeof(a->dr));
	assert_memory_equal(xsave[0] + FXSAVE_SIZE, xsave[1] + FXSAVE_SIZE,
			    XSAVE_SIZE - FXSAVE_SIZE);
	assert_int_equal(b->msr_tsc_aux, 3);
	assert_int_equal(b->spec_ctrl, 1);
	assert_int_equal(b->xcr0, 7);
	assert_true(b->initialised && mock_vcpus[1].ups && b->pending & VCPU_WORK_TIME);
}

/* All count on from the instant at which the save began. */
static void test_tsc(void **state)
{
	struct hvm_hw_cpu *c;

	(void)state;
	mock_now = 1000;
	mock_domain.record_tsc = 900;
	vcpu_nr(0)->tsc_offset = 50;
	c = save(0, HVM_SAVE_CODE(CPU));
	assert_int_equal(c->tsc, 950);
	mock_now = 70000;
	mock_domain.record_tsc = 69000;
	assert_int_equal(load(1, HVM_SAVE_CODE(CPU)), 0);
	assert_int_equal(69000 + vcpu_nr(1)->tsc_offset, 950);
	c->tsc = 0;	/* of a guest that the tools have just built */
	assert_int_equal(load(1, HVM_SAVE_CODE(CPU)), 0);
	assert_int_equal(vcpu_nr(1)->tsc_offset, 0);
}

static void test_events(void **state)
{
	static const struct {
		u32 event, error;
		int rc;
		struct injection then;
	} cases[] = {
		{ 0x80000030, 0, 0, { .valid = true, .vector = 0x30, .type = INJ_EXTINT } },
		{ 0x80000202, 0, 0, { .valid = true, .vector = 2, .type = INJ_NMI } },
		{ 0x80000002, 0, 0, { .valid = true, .vector = 2, .type = INJ_NMI } },
		{ 0x80000b0e, 6, 0, { .valid = true, .has_error = true, .vector = 14,
				      .type = INJ_EXCEPTION, .error = 6 } },
		{ 0x80000301, 0, 0, { .valid = true, .vector = 1, .type = INJ_EXCEPTION } },
		{ 0x80000680, 0, 0, { .valid = false } },	/* INT 0x80: it runs again */
		{ 0x0000030e, 0, 0, { .valid = false } },
		{ 0x8000030e, 0, -EINVAL, { 0 } },	/* #PF without an error code */
		{ 0x80000b01, 0, -EINVAL, { 0 } },	/* #DB with one */
		{ 0x80000b0e, 0x10000, -EINVAL, { 0 } },
		{ 0x80000330, 0, -EINVAL, { 0 } },	/* no exception */
		{ 0x80000230, 0, -EINVAL, { 0 } },	/* no NMI */
		{ 0x80000005, 0, -EINVAL, { 0 } },	/* no interrupt */
		{ 0x80001030, 0, -EINVAL, { 0 } },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct hvm_hw_cpu *c = save(0, HVM_SAVE_CODE(CPU));

		c->pending_event = cases[i].event;
		c->error_code = cases[i].error;
		vcpu_nr(1)->inject.valid = false;
		assert_int_equal(load(1, HVM_SAVE_CODE(CPU)), cases[i].rc);
		assert_int_equal(vcpu_nr(1)->inject.valid, cases[i].then.valid);
		if (!cases[i].then.valid)
			continue;
		assert_memory_equal(&vcpu_nr(1)->inject, &cases[i].then, sizeof(cases[i].then));
		c = save(1, HVM_SAVE_CODE(CPU));
		assert_int_equal(c->pending_event & 0xff, cases[i].then.vector);
		assert_int_equal(c->pending_event >> 8 & 7, cases[i].then.type);
		assert_int_equal(c->error_code, cases[i].error);
	}
	vcpu_nr(2)->nmi_pending = true;
	save(2, HVM_SAVE_CODE(CPU));
	assert_int_equal(load(3, HVM_SAVE_CODE(CPU)), 0);
	assert_int_equal(vcpu_nr(3)->inject.type, INJ_NMI);
}

static void test_interrupts(void **state)
{
	static const u32 kept[] = { APIC_TPR, APIC_LDR, APIC_DFR, APIC_SVR, APIC_ICR, APIC_ICR_HIGH,
				    LVT(LVT_TIMER), LVT(LVT_PERF), LVT(LVT_LINT0), LVT(LVT_ERROR),
				    APIC_TMICT, APIC_TDCR };

	(void)state;
	wr(0, APIC_SVR, SVR_ENABLE | 0xff);
	wr(0, APIC_LDR, 0x02000000);
	wr(0, APIC_DFR, 0x0fffffff);
	wr(0, LVT(LVT_ERROR), 0x33);
	wr(0, LVT(LVT_LINT0), 0x10700);
	wr(0, APIC_ICR_HIGH, 3U << 24);
	arch_vcpu_interrupt(vcpu_nr(0), 0x51);
	vlapic_accept(vcpu_nr(0), 0x51);
	arch_vcpu_interrupt(vcpu_nr(0), 0x42);
	arch_vcpu_interrupt(vcpu_nr(0), 0x91);
	wr(0, APIC_TPR, 0x20);
	move(0, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(kept); i++)
		assert_int_equal(rd(0, kept[i]), rd(1, kept[i]));
	assert_int_equal(rd(1, APIC_ID) >> 24, 1);
	assert_int_equal(vlapic_pending(vcpu_nr(1)), 0x91);
	assert_true(vcpu_nr(1)->pending & VCPU_WORK_LAPIC);
	vlapic_accept(vcpu_nr(1), 0x91);
	wr(1, APIC_EOI, 0);
	assert_int_equal(vlapic_pending(vcpu_nr(1)), -1);	/* 0x51 is in service */
	wr(1, APIC_EOI, 0);
	assert_int_equal(vlapic_pending(vcpu_nr(1)), 0x42);
}

static void test_x2apic(void **state)
{
	struct vlapic *vl = vcpu_nr(0)->vlapic;

	(void)state;
	assert_int_equal(vlapic_wrmsr(vcpu_nr(0), MSR_APIC_BASE, vl->base | APIC_BASE_EXTD), 0);
	assert_int_equal(
		vlapic_wrmsr(vcpu_nr(0), MSR_X2APIC_BASE + APIC_SVR / 16, SVR_ENABLE | 0xff), 0);
	move(0, 1);
	vl = vcpu_nr(1)->vlapic;
	assert_true(vlapic_x2apic(vl) && vlapic_enabled(vl));
	assert_false(vl->base & APIC_BASE_BSP);
	assert_int_equal(vlapic_read_x2apic(vcpu_nr(1), APIC_ID / 16).val, 1);
}

/* Each timer goes on where it was, on another clock. */
static void test_timers(void **state)
{
	struct vlapic *vl = vcpu_nr(1)->vlapic;

	(void)state;
	mock_now = 100 * MS;
	wr(0, APIC_SVR, SVR_ENABLE | 0xff);
	wr(0, APIC_TDCR, 0xb);
	wr(0, LVT(LVT_TIMER), 0x40);
	wr(0, APIC_TMICT, 10 * MS);
	mock_time_to(104 * MS);
	move(0, 1);
	wr(0, APIC_TMICT, 0);
	mock_time_to(109 * MS);
	assert_int_equal(vlapic_pending(vcpu_nr(1)), -1);
	mock_time_to(110 * MS + 1);
	assert_int_equal(vlapic_pending(vcpu_nr(1)), 0x40);
	assert_true(vcpu_nr(1)->moved);

	wr(2, APIC_SVR, SVR_ENABLE | 0xff);
	wr(2, LVT(LVT_TIMER), LVT_PERIODIC | 0x41);
	wr(2, APIC_TDCR, 0xb);
	wr(2, APIC_TMICT, 3 * MS);
	mock_time_to(mock_now + MS);
	move(2, 1);
	wr(2, APIC_TMICT, 0);
	for (unsigned i = 0; i < 3; i++) {
		mock_time_to(mock_now + (i ? 3 : 2) * MS + 1);
		assert_int_equal(vlapic_pending(vcpu_nr(1)), 0x41);
		vlapic_accept(vcpu_nr(1), 0x41);
		wr(1, APIC_EOI, 0);
	}

	wr(3, APIC_SVR, SVR_ENABLE | 0xff);
	wr(3, LVT(LVT_TIMER), LVT_DEADLINE | 0x42);
	mock_domain.record_tsc = mock_now;
	vcpu_nr(3)->tsc_offset = 1000 * MS;
	assert_int_equal(vlapic_wrmsr(vcpu_nr(3), MSR_TSC_DEADLINE, mock_now + 1005 * MS), 0);
	move(3, 1);
	assert_int_equal(vl->tsc_deadline, mock_now + 1005 * MS);
	vlapic_wrmsr(vcpu_nr(3), MSR_TSC_DEADLINE, 0);
	mock_time_to(mock_now + 5 * MS - 2);
	assert_int_equal(vlapic_pending(vcpu_nr(1)), -1);
	mock_time_to(mock_now + 4);
	assert_int_equal(vlapic_pending(vcpu_nr(1)), 0x42);

	/* One that has expired, but whose CPU has not noticed, is not lost. */
	assert_int_equal(vlapic_wrmsr(vcpu_nr(3), MSR_TSC_DEADLINE, mock_now + 1001 * MS), 0);
	mock_now += 2 * MS;
	vlapic_accept(vcpu_nr(1), 0x42);
	move(3, 1);
	assert_int_equal(vlapic_pending(vcpu_nr(1)), 0x42);
}

/* Changes one word of a record, which must be refused, and then leaves the vCPU as it was. */
#define REFUSED(code, type, word)                                                              \
	do {                                                                                   \
		struct type *r = save(0, code);                                                \
		struct vcpu_state st = states[1];                                              \
		struct vcpu v = *vcpu_nr(1);                                                   \
		struct vlapic vl = *v.vlapic;                                                  \
									                       \
		r->word;                                                                       \
		assert_int_equal(load(1, code), -EINVAL);                                      \
		assert_memory_equal(&st, &states[1], sizeof(st));                              \
		assert_memory_equal(&v, vcpu_nr(1), sizeof(v));                                \
		assert_memory_equal(&vl, v.vlapic, sizeof(vl));                                \
	} while (0)

static void test_refused(void **state)
{
	static u8 before[XSAVE_SIZE];
	struct hvm_hw_cpu_xsave *x;

	(void)state;
	some_registers(0);
	REFUSED(HVM_SAVE_CODE(CPU), hvm_hw_cpu, cr0 = CR0_PG);
	REFUSED(HVM_SAVE_CODE(CPU), hvm_hw_cpu, cr4 |= CR4_SMEP);
	REFUSED(HVM_SAVE_CODE(CPU), hvm_hw_cpu, cr3 = 1UL << 40);
	REFUSED(HVM_SAVE_CODE(CPU), hvm_hw_cpu, msr_efer |= BIT(12));
	REFUSED(HVM_SAVE_CODE(CPU), hvm_hw_cpu, rip = 1UL << 47);
	REFUSED(HVM_SAVE_CODE(CPU), hvm_hw_cpu, msr_lstar = 1UL << 63);
	REFUSED(HVM_SAVE_CODE(CPU), hvm_hw_cpu, fs_base = 1UL << 63);
	REFUSED(HVM_SAVE_CODE(CPU), hvm_hw_cpu, dr7 = 1UL << 32);
	REFUSED(HVM_SAVE_CODE(LAPIC), hvm_hw_lapic, apic_base_msr = VLAPIC_BASE | APIC_BASE_EXTD);
	REFUSED(HVM_SAVE_CODE(LAPIC), hvm_hw_lapic, apic_base_msr += PAGE_SIZE);
	REFUSED(HVM_SAVE_CODE(MTRR), hvm_hw_mtrr, msr_pat_cr = 2);
	REFUSED(CPU_XSAVE_CODE, hvm_hw_cpu_xsave, xcr0 = 2);
	REFUSED(CPU_XSAVE_CODE, hvm_hw_cpu_xsave, save_area.xsave_hdr.xstate_bv = BIT(9));
	REFUSED(CPU_XSAVE_CODE, hvm_hw_cpu_xsave, save_area.xsave_hdr.xcomp_bv = 1UL << 63);
	REFUSED(CPU_XSAVE_CODE, hvm_hw_cpu_xsave, save_area.xsave_hdr.reserved[5] = 1);
	/* A larger machine's record: what it has more must be unused. */
	memcpy(before, xsave[1], XSAVE_SIZE);
	x = save(0, CPU_XSAVE_CODE);
	size += 64;
	record[size - 1] = 1;
	assert_int_equal(load(1, CPU_XSAVE_CODE), -EINVAL);
	assert_memory_equal(before, xsave[1], XSAVE_SIZE);
	record[size - 1] = 0;
	((u32 *)&x->save_area)[6] = ~0U;	/* MXCSR: reserved bits would fault in Margay */
	assert_int_equal(load(1, CPU_XSAVE_CODE), 0);
	assert_int_equal(((u32 *)xsave[1])[6], 0xffff);
}

static void test_msrs(void **state)
{
	static struct {
		u32 count, pad;
		struct hvm_one_msr msr[2];
	} m = { 2, 0, { { MSR_SPEC_CTRL, 0, 5 }, { 0x140, 0, 0 } } };

	(void)state;
	memcpy(record, &m, sizeof(m));
	size = sizeof(m);
	assert_int_equal(load(1, CPU_MSR_CODE), 0);
	assert_int_equal(vcpu_nr(1)->spec_ctrl, 5);
	((struct hvm_msr *)record)->count = 3;
	assert_int_equal(load(1, CPU_MSR_CODE), -EINVAL);
	m.msr[1].val = 1;
	memcpy(record, &m, sizeof(m));
	assert_int_equal(load(1, CPU_MSR_CODE), -EINVAL);
	m = (typeof(m)){ 1, 0, { { MSR_SPEC_CTRL, 0, 8 } } };
	memcpy(record, &m, sizeof(m));
	assert_int_equal(load(1, CPU_MSR_CODE), -EINVAL);
	assert_int_equal(kind(CPU_MSR_CODE)->save(vcpu_nr(0), record), 0);
}

static void test_user_regs(void **state)
{
	struct vcpu_guest_context c = { .flags = 0 };

	(void)state;
	some_registers(0);
	arch_vcpu_get_context(vcpu_nr(0), &c);
	assert_int_equal(c.user_regs.r15, machine_regs[0].r15);
	assert_int_equal(c.ctrlreg[3], 0x1234000);
	c.user_regs.rax = 1;
	assert_int_equal(arch_vcpu_set_user_regs(vcpu_nr(0), &c.user_regs), 0);
	assert_int_equal(machine_regs[0].rax, 1);
	c.user_regs.rip = 1UL << 60;
	c.user_regs.rax = 2;
	assert_int_equal(arch_vcpu_set_user_regs(vcpu_nr(0), &c.user_regs), -EINVAL);
	assert_int_equal(machine_regs[0].rax, 1);
}

/* What Margay or the CPU relies on, whatever was loaded. */
static void assert_sound(const struct vcpu *v)
{
	const struct vcpu_state *st = &states[v->id];
	const struct hvm_hw_cpu_xsave_hdr *h = (void *)(xsave[v->id] + FXSAVE_SIZE);
	struct vlapic *vl = v->vlapic;

	assert_true(state_valid(v, &machine_regs[v->id], st));
	for (unsigned i = 0; i < NR_SEGS; i++)
		assert_true(is_canonical(st->seg[i].base, st->cr4) && !(st->seg[i].attr >> 12));
	assert_true(is_canonical(st->gdtr.base, st->cr4) && is_canonical(st->idtr.base, st->cr4));
	assert_true(is_canonical(st->msr[1], st->cr4) && is_canonical(st->msr[2], st->cr4));
	assert_false(st->dr6 >> 32 || st->dr7 >> 32 || st->msr[3] >> 32);
	assert_true(pat_valid(st->pat));
	assert_false(h->xstate_bv & ~7UL || h->xcomp_bv || h->reserved[0] || h->reserved[5]);
	assert_false(((u32 *)xsave[v->id])[6] >> 16);
	assert_true(xcr0_valid(v->domain, v->xcr0) && v->spec_ctrl <= 7);
	assert_true(!v->inject.valid || v->inject.type <= INJ_EXCEPTION);
	assert_true(!v->inject.valid || v->inject.type != INJ_EXCEPTION || v->inject.vector < 32);
	assert_int_equal(vl->base & ~(APIC_BASE_BSP | APIC_BASE_EN | APIC_BASE_EXTD), VLAPIC_BASE);
	assert_true((vl->base & APIC_BASE_EN) || !(vl->base & APIC_BASE_EXTD));
	assert_false(vl->svr & ~SVR_VALID || vl->tdcr & ~TDCR_VALID || (u32)vl->icr & ~ICR_VALID);
	for (unsigned i = 0; i < NR_LVTS; i++)
		assert_false(vl->lvt[i] & ~vlapic_lvt_valid[i]);
	assert_false(vl->irr[0] & 0xffff || *vlapic_reg(vl, APIC_ISR) & 0xffff);
	assert_false(*vlapic_reg(vl, APIC_TMR) || *vlapic_reg(vl, APIC_TPR) >> 8);
	assert_true(vl->isr < 0 || *vlapic_reg(vl, APIC_ISR + 0x10 * ((u32)vl->isr / 32)));
}

/* Records with some bytes changed: loaded or refused, the vCPU is sound. */
static void test_random(void **state)
{
	unsigned loaded = 0, refused = 0, kinds = 0;

	(void)state;
	srand(1);
	some_registers(0);
	while (vcpu_records[kinds].save)
		kinds++;
	for (unsigned n = 0; n < 40000; n++) {
		const struct vcpu_record *r = &vcpu_records[(unsigned)rand() % kinds];

		memset(record, 0, sizeof(record));
		size = r->save(vcpu_nr(0), record);
		for (int i = rand() % 6; size && i >= 0; i--)
			record[(u32)rand() % size] ^= (u8)(rand() & 3 ? 1 << rand() % 8 : rand());
		if (size > r->least && !(rand() & 7)) {
			size = r->least + (u32)rand() % (size - r->least + 1);
			memset(record + size, 0, sizeof(record) - size);
		}
		if (size < r->least)
			continue;
		*(r->load(vcpu_nr(1), record, size) ? &refused : &loaded) += 1;
		assert_sound(vcpu_nr(1));
	}
	assert_true(loaded > 1000 && refused > 1000);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_registers), TEST(test_tsc),	 TEST(test_events),
		TEST(test_interrupts), TEST(test_x2apic), TEST(test_timers),
		TEST(test_refused),    TEST(test_msrs),	 TEST(test_user_regs), TEST(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
