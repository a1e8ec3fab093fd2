/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Performance counters against a model of the CPU's: what CPUID shows and which MSRs are open, values
 * that move between vCPUs on one CPU, and the way of an overflow's NMI to the guest.
 * unit-sources: test/unit/no_policies.c arch/x86/guest/vlapic.c arch/x86/guest/vlapic_timer.c
 * unit-sources: arch/x86/guest/vlapic_ipi.c arch/x86/guest/inject.c test/unit/mock_vcpu.c test/unit/mock_heap.c
 */
#include "mock_vcpu.h"

#include <x86/msr.h>

static u64 fake_rdmsr(u32 msr);
static void fake_wrmsr(u32 msr, u64 val);
static bool fake_rdmsr_safe(u32 msr, u64 *val);
#define rdmsr fake_rdmsr
#define wrmsr fake_wrmsr
#define rdmsr_safe fake_rdmsr_safe
#include "../../arch/x86/guest/pmu.c"

#define NONE ~0U
#define VECTOR 0x77

/* The CPU's registers, by number; those of an AMD CPU begin at AMD_AT. */
#define AMD_AT 0x1000
static u64 cpu_msr[0x1400];
static struct {
	bool rd, wr;
} open_msr[ARRAY_SIZE(cpu_msr)];
static u32 absent, lvt, no_memory_at;
static struct cpuid_regs leaf[2][16]; /* basic and extended */
static struct vcpu *v, *w;

static u32 at(u32 msr)
{
	if (msr >= 0xc0010000)
		msr = msr - 0xc0010000 + AMD_AT;
	assert_true(msr < ARRAY_SIZE(cpu_msr));
	return msr;
}

static u64 fake_rdmsr(u32 msr)
{
	assert_int_not_equal(msr, absent);
	return cpu_msr[at(msr)];
}

static bool fake_rdmsr_safe(u32 msr, u64 *val)
{
	if (msr == absent)
		return false;
	*val = cpu_msr[at(msr)];
	return true;
}

static void fake_wrmsr(u32 msr, u64 val)
{
	assert_int_not_equal(msr, MSR_PERF_GLOBAL_STATUS);
	if (msr == MSR_PERF_GLOBAL_OVF_CTRL) {
		assert_int_equal(val & ~pmu.all, 0);
		cpu_msr[MSR_PERF_GLOBAL_STATUS] &= ~val;
		return;
	}
	/* Written by this name, a counter gets 32 bits. */
	assert_false(msr - MSR_PMC0 < PMU_COUNTERS && x86.vendor == X86_VENDOR_INTEL);
	cpu_msr[at(msr)] = val;
}

void cpuid_machine(u32 nr, u32 sub, struct cpuid_regs *out)
{
	(void)sub;
	*out = leaf[nr >> 31][nr & 15];
}

void apic_write(u32 reg, u32 val)
{
	assert_int_equal(reg, LVT_PERF_REG);
	lvt = val;
}

static int set_msr_exits(struct vcpu *who, u32 msr, bool rd, bool wr)
{
	assert_non_null(who->pmu);
	if (msr == no_memory_at)
		return -ENOMEM;
	open_msr[at(msr)].rd = !rd;
	open_msr[at(msr)].wr = !wr;
	return 0;
}

void guest_triple_fault(struct vcpu *who)
{
	fail_msg("triple fault of vCPU %u", who->id);
}

static void machine(bool intel, bool core)
{
	memset(cpu_msr, 0, sizeof(cpu_msr));
	memset(open_msr, 0, sizeof(open_msr));
	memset(leaf, 0, sizeof(leaf));
	memset(&pmu, 0, sizeof(pmu));
	absent = no_memory_at = NONE;
	lvt = LVT_MASKED;
	x86.vendor = intel ? X86_VENDOR_INTEL : X86_VENDOR_AMD;
	leaf[0][0].eax = 0xd;
	leaf[0][1].ecx = intel ? L1C_PDCM : 0;
	leaf[0][10] = (struct cpuid_regs){ 0x08300a05, 3, 0xff, 0x8604 | 1U << 15 };
	leaf[1][1].ecx = core ? E1C_PERFCTR_CORE : 0;
	cpu_msr[MSR_PERF_CAPABILITIES] = PERF_CAP_FW_WRITE | 0x70fff;
}

static void start(bool intel, bool core)
{
	static struct hvm_ops ops;

	machine(intel, core);
	pmu_init();
	ops = (struct hvm_ops){ .msr_exits = set_msr_exits };
	hvm = &ops;
	mock_domain.pmu = true;
	v = vcpu_nr(0);
	w = vcpu_nr(1);
	assert_int_equal(pmu_create(v), 0);
	assert_int_equal(pmu_create(w), 0);
	host_cpu->loaded = v;
	v->vlapic->svr = SVR_ENABLE | 0xff;
	pmu_load(v);
	pmu_arm(v);
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
	pmu_destroy(vcpu_nr(0));
	pmu_destroy(vcpu_nr(1));
	mock_vcpu_free();
	return 0;
}

static bool rd_faults(u32 msr)
{
	return pmu_rdmsr(v, msr).err;
}

/* What CPUID shows is what there is: version 2, 8 and 3 counters at most, without AnyThread. */
static void test_intel(void **state)
{
	struct cpuid_regs l1 = { 0 }, l10 = { 0 }, e1 = { 0 };

	(void)state;
	start(true, false);
	assert_true(pmu_cpuid(&l1, &l10, &e1));
	assert_int_equal(l1.ecx, L1C_PDCM);
	assert_int_equal(e1.ecx, 0);
	assert_int_equal(l10.eax, 0x08300802);
	assert_int_equal(l10.ebx, 3);
	assert_int_equal(l10.ecx, 0);
	assert_int_equal(l10.edx, 0x603);
	assert_int_equal(v->pmu->global[0].msr, MSR_PERF_GLOBAL_CTRL);
	assert_int_equal(v->pmu->global[0].value, 0xff);
	assert_int_equal(v->pmu->global[1].value, 0);
	for (u32 msr = 0; msr < ARRAY_SIZE(open_msr); msr++) {
		bool counter = msr - MSR_PMC0 < 8 || msr - MSR_A_PMC0 < 8 ||
			       msr - MSR_FIXED_CTR0 < 3 || msr == MSR_PERF_GLOBAL_CTRL;

		assert_int_equal(open_msr[msr].rd, counter);
		assert_int_equal(open_msr[msr].wr, counter);
	}
	assert_int_equal(pmu_wrmsr(v, MSR_PERFEVTSEL0 + 7, 0x4300c0), 0);
	assert_int_equal(cpu_msr[MSR_PERFEVTSEL0 + 7], 0x4300c0);
	assert_int_equal(pmu_rdmsr(v, MSR_PERFEVTSEL0 + 7).val, 0x4300c0);
	assert_int_equal(pmu_wrmsr(v, MSR_PERFEVTSEL0, BIT(21)), -EPERM);
	assert_int_equal(pmu_wrmsr(v, MSR_PERFEVTSEL0, BIT(32)), -EPERM);
	assert_int_equal(pmu_wrmsr(v, MSR_FIXED_CTR_CTRL, 0xbbb), 0);
	assert_int_equal(pmu_wrmsr(v, MSR_FIXED_CTR_CTRL, 0x4), -EPERM);
	assert_int_equal(pmu_wrmsr(v, MSR_FIXED_CTR_CTRL, 0xb000), -EPERM);
	assert_int_equal(cpu_msr[MSR_FIXED_CTR_CTRL], 0xbbb);
	assert_int_equal(pmu_rdmsr(v, MSR_PERF_CAPABILITIES).val, PERF_CAP_FW_WRITE);
	assert_int_equal(pmu_wrmsr(v, MSR_PERF_CAPABILITIES, 0), -EPERM);
	assert_int_equal(pmu_wrmsr(v, MSR_PERF_GLOBAL_STATUS, 0), -EPERM);
	assert_true(rd_faults(MSR_PERFEVTSEL0 + 8));
	assert_true(rd_faults(0x3f1) && rd_faults(0x1a6) && rd_faults(MSR_K7_EVNTSEL0));
	assert_int_equal(pmu_wrmsr(v, MSR_K7_EVNTSEL0, 0), -EPERM);
}

/* Which counters AMD has; they count in the guest only. The K7's names are those of the first four. */
static void test_amd(void **state)
{
	struct cpuid_regs l1 = { 0 }, l10 = { 0 }, e1 = { 0 };

	(void)state;
	for (unsigned core = 0; core < 2; core++) {
		u32 sel = core ? 0xc0010202 : 0xc0010001, ctr = core ? 0xc0010203 : 0xc0010005;

		start(false, core);
		assert_true(pmu_cpuid(&l1, &l10, &e1));
		assert_int_equal(l1.ecx | l10.eax, 0);
		assert_int_equal(e1.ecx, core ? E1C_PERFCTR_CORE : 0);
		for (u32 msr = 0; msr < ARRAY_SIZE(open_msr); msr++) {
			u32 n = msr - AMD_AT;

			assert_int_equal(open_msr[msr].rd,
					 core ? n >= 0x200 && n < 0x20c && n % 2 : n - 4 < 4);
			assert_false(open_msr[msr].wr);
		}
		assert_int_equal(pmu_wrmsr(v, sel, 0x5300c0 | BIT(41) | BIT(21)), 0);
		assert_int_equal(cpu_msr[at(sel)], 0x5300c0 | BIT(40));
		assert_int_equal(pmu_rdmsr(v, sel).val, 0x5300c0);
		assert_int_equal(pmu_rdmsr(v, 0xc0010001).val, 0x5300c0);
		assert_int_equal(pmu_wrmsr(v, 0xc0010005, 0x1234), 0);
		assert_int_equal(cpu_msr[at(ctr)], 0x1234);
		assert_int_equal(pmu_rdmsr(v, ctr).val, 0x1234);
		assert_int_equal(rd_faults(0xc001020b), !core);
		assert_true(rd_faults(0xc001020c) && rd_faults(0xc0000301));
		assert_true(rd_faults(MSR_PERFEVTSEL0) && rd_faults(MSR_PERF_GLOBAL_STATUS));
		teardown(NULL);
		setup(NULL);
	}
}

/* Machines whose counters cannot be saved whole, or that lack what CPUID promises. */
static void test_none(void **state)
{
	struct cpuid_regs r[3] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		machine(i < 5, true);
		if (i == 0)
			leaf[0][10].eax = 0x08300801;
		else if (i == 1)
			leaf[0][1].ecx = 0;
		else if (i == 2)
			cpu_msr[MSR_PERF_CAPABILITIES] = 0;
		else if (i == 3)
			absent = MSR_FIXED_CTR_CTRL;
		else if (i == 4)
			leaf[0][0].eax = 9;
		else
			absent = 0xc001020b;
		pmu_init();
		assert_false(pmu_cpuid(&r[0], &r[1], &r[2]));
		assert_int_equal(r[0].ecx | r[1].eax | r[2].ecx, 0);
	}
	/* A domain without: no counters, and all accesses fault. */
	machine(true, false);
	pmu_init();
	v = vcpu_nr(0);
	assert_int_equal(pmu_create(v), 0);
	assert_null(v->pmu);
	assert_true(rd_faults(MSR_PERFEVTSEL0));
	assert_int_equal(pmu_wrmsr(v, MSR_PERFEVTSEL0, 0), -EPERM);
	host_cpu->loaded = v;
	assert_false(pmu_nmi(host_cpu));
}

static void test_no_memory(void **state)
{
	static const struct hvm_ops ops = { .msr_exits = set_msr_exits };

	(void)state;
	machine(true, false);
	pmu_init();
	hvm = &ops;
	mock_domain.pmu = true;
	no_memory_at = MSR_PERF_GLOBAL_CTRL;
	assert_int_equal(pmu_create(vcpu_nr(0)), -ENOMEM);
	no_memory_at = MSR_A_PMC0 + 3;
	assert_int_equal(pmu_create(vcpu_nr(1)), -ENOMEM);
}

/* Two vCPUs on one CPU, in turns: each finds its own values, and the CPU keeps none between them. */
static void test_turns(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 3; kind++) {
		u64 value[2][PMU_COUNTERS + PMU_FIXED] = { 0 };

		start(kind == 0, kind == 2);
		pmu_save(v);
		for (unsigned round = 0; round < 40; round++) {
			unsigned who = round / 2 % 2;
			struct vcpu *now = who ? w : v;

			pmu_load(now);
			for (unsigned i = 0; i < pmu.nr_counters; i++) {
				assert_int_equal(cpu_msr[at(pmu.counter[i])], value[who][i]);
				value[who][i] = (u64)(rand() | 1) << 16 | round;
				cpu_msr[at(pmu.counter[i])] = value[who][i];
			}
			for (unsigned i = 0; i < pmu.nr_controls; i++) {
				u32 want = round % 2 || round > 3 ? 2 + who : 0;

				assert_int_equal(pmu_rdmsr(now, pmu.control[i]).val, want);
				assert_int_equal((u32)cpu_msr[at(pmu.control[i])], want);
				assert_int_equal(pmu_wrmsr(now, pmu.control[i], 2 + who), 0);
			}
			pmu_load(now); /* again, by a reset: changes nothing */
			pmu_save(now);
			assert_int_equal(lvt, LVT_MASKED);
			for (unsigned i = 0; i < ARRAY_SIZE(cpu_msr); i++)
				assert_true(!cpu_msr[i] || i == MSR_PERF_CAPABILITIES);
		}
		teardown(NULL);
		setup(NULL);
	}
}

/* An NMI comes; returns what the guest gets: VECTOR, 2 for an NMI, or 0. */
static int nmi(bool expect_pmi)
{
	int got = 0;

	v->pending = 0;
	assert_int_equal(pmu_nmi(host_cpu), expect_pmi);
	assert_int_equal(v->pending, expect_pmi ? VCPU_WORK_PMI : 0);
	v->inject.valid = v->nmi_blocked = false;
	lvt = LVT_MASKED; /* as the CPU does */
	vcpu_prepare_entry(v, true);
	if (v->inject.valid)
		got = v->inject.vector;
	if (expect_pmi)
		assert_int_equal(lvt, LVT_NMI);
	v->inject.valid = false;
	return got;
}

static void set_lvt(u32 val)
{
	v->vlapic->lvt[LVT_PERF] = val;
}

/* Each overflow interrupts once, as the guest's LVT says; other NMIs are Margay's alone. */
static void test_interrupt_intel(void **state)
{
	(void)state;
	start(true, false);
	set_lvt(LVT_NMI);
	assert_int_equal(nmi(false), 0);
	cpu_msr[MSR_PERF_GLOBAL_STATUS] = BIT(1);
	assert_int_equal(nmi(false), 0); /* it is not to interrupt */
	assert_int_equal(pmu_wrmsr(v, MSR_PERFEVTSEL0 + 1, SELECT_EN | SELECT_INT), 0);
	assert_int_equal(nmi(true), 2);
	assert_true(v->vlapic->lvt[LVT_PERF] & LVT_MASKED); /* as a CPU does */
	set_lvt(LVT_NMI);
	assert_int_equal(nmi(false), 0); /* the guest's handler is still at work */
	assert_int_equal(pmu_rdmsr(v, MSR_PERF_GLOBAL_STATUS).val, BIT(1));
	assert_int_equal(pmu_wrmsr(v, MSR_PERF_GLOBAL_OVF_CTRL, BIT(1) | BIT(62)), 0);
	assert_int_equal(pmu_rdmsr(v, MSR_PERF_GLOBAL_STATUS).val, 0);
	assert_int_equal(nmi(false), 0);

	set_lvt(VECTOR);
	assert_int_equal(pmu_wrmsr(v, MSR_FIXED_CTR_CTRL, 0xb0), 0);
	cpu_msr[MSR_PERF_GLOBAL_STATUS] = BIT(33);
	assert_int_equal(nmi(true), VECTOR);
	cpu_msr[MSR_PERF_GLOBAL_STATUS] |= BIT(1);
	assert_int_equal(nmi(true), 0); /* masked */
	set_lvt(VECTOR);
	assert_int_equal(nmi(false), 0); /* it was lost */
}

/* An overflow just before v leaves the CPU is not lost, nor its status, nor another vCPU's matter. */
static void test_interrupt_late(void **state)
{
	(void)state;
	start(true, false);
	set_lvt(LVT_NMI);
	assert_int_equal(pmu_wrmsr(v, MSR_PERFEVTSEL0, SELECT_EN | SELECT_INT), 0);
	cpu_msr[MSR_PERF_GLOBAL_STATUS] = BIT(0);
	v->pending = 0;
	pmu_save(v);
	assert_int_equal(v->pending, VCPU_WORK_PMI);
	assert_int_equal(cpu_msr[MSR_PERF_GLOBAL_STATUS], 0);
	assert_false(pmu_nmi(host_cpu));
	host_cpu->loaded = w;
	pmu_load(w);
	assert_int_equal(pmu_rdmsr(w, MSR_PERF_GLOBAL_STATUS).val, 0);
	assert_false(pmu_nmi(host_cpu));
	pmu_save(w);
	host_cpu->loaded = v;
	pmu_load(v);
	assert_int_equal(pmu_rdmsr(v, MSR_PERF_GLOBAL_STATUS).val, BIT(0));
	vcpu_prepare_entry(v, true);
	assert_true(v->inject.valid && v->inject.type == INJ_NMI);
	v->inject.valid = v->nmi_blocked = false;
	assert_int_equal(nmi(false), 0);
	assert_int_equal(pmu_wrmsr(v, MSR_PERF_GLOBAL_OVF_CTRL, BIT(0)), 0);
	assert_int_equal(pmu_rdmsr(v, MSR_PERF_GLOBAL_STATUS).val, 0);
}

/* AMD has no status: a counter that was negative is negative no more. */
static void test_interrupt_amd(void **state)
{
	const u32 sel = 0xc0010204, ctr = 0xc0010205;
	const u64 negative = BIT(48) - 1000;

	(void)state;
	start(false, true);
	set_lvt(LVT_NMI);
	assert_int_equal(pmu_wrmsr(v, sel, SELECT_EN | SELECT_INT), 0);
	assert_int_equal(nmi(false), 0); /* it is 0, and was not negative */
	assert_int_equal(pmu_wrmsr(v, ctr, negative), 0);
	assert_int_equal(nmi(false), 0);
	for (unsigned i = 0; i < 3; i++) {
		cpu_msr[at(ctr)] = 5 - i;
		assert_int_equal(nmi(true), 2);
		assert_false(v->vlapic->lvt[LVT_PERF] & LVT_MASKED);
		cpu_msr[at(ctr)] = 20;
		assert_int_equal(nmi(false), 0);
		assert_int_equal(pmu_wrmsr(v, ctr, ~0UL - 999), 0);
		assert_int_equal(cpu_msr[at(ctr)], negative);
		assert_int_equal(nmi(false), 0);
	}
	cpu_msr[at(ctr)] = 5;
	assert_int_equal(pmu_wrmsr(v, sel, SELECT_INT), 0);
	assert_int_equal(nmi(false), 0); /* stopped */
}

/* A trusted guest has the CPU's LVT: Margay leaves that alone. NMIs still come to Margay. */
static void test_interrupt_trusted(void **state)
{
	(void)state;
	start(true, false);
	mock_domain.trusted = v->direct = true;
	set_lvt(LVT_MASKED); /* of before */
	lvt = LVT_NMI | LVT_MASKED;
	pmu_arm(v);
	assert_int_equal(lvt, LVT_NMI | LVT_MASKED);
	assert_int_equal(pmu_wrmsr(v, MSR_PERFEVTSEL0, SELECT_EN | SELECT_INT), 0);
	cpu_msr[MSR_PERF_GLOBAL_STATUS] = BIT(0);
	atomic_or(&v->pending, VCPU_WORK_PMI);
	pmu_interrupt(v);
	assert_true(v->nmi_pending);
	assert_int_equal(lvt, LVT_NMI | LVT_MASKED);
	v->direct = mock_domain.trusted = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_intel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_amd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_turns, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interrupt_intel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interrupt_late, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interrupt_amd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interrupt_trusted, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
