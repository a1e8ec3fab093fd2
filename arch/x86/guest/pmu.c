/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's performance counters are the CPU's while its vCPU is loaded, and count in the guest only:
 * on Intel the exit stops them (PERF_GLOBAL_CTRL in VT-x's MSR areas), on AMD each has GuestOnly set.
 * At a switch they are saved and cleared. Reads of counters do not exit; writes of control registers do,
 * and are checked. An overflow interrupts Margay by NMI, which then raises what the guest's LVT says.
 * Not here: PEBS, BTS, LBR, uncore, AMD's PerfMonV2. SDM 3B 20.2, APM2 13.2.
 */
#include <x86/apic.h>
#include <x86/cpuid_policy.h>
#include <x86/direct.h>
#include <x86/pmu.h>

#include "guest.h"

#define MSR_PMC0 0xc1
#define MSR_PERFEVTSEL0 0x186
#define MSR_FIXED_CTR0 0x309
#define MSR_PERF_CAPABILITIES 0x345
#define MSR_FIXED_CTR_CTRL 0x38d
#define MSR_PERF_GLOBAL_STATUS 0x38e
#define MSR_PERF_GLOBAL_CTRL 0x38f
#define MSR_PERF_GLOBAL_OVF_CTRL 0x390
#define MSR_A_PMC0 0x4c1	/* the same counters, written in full */
#define MSR_CORE_EVNTSEL0 0xc0010200

#define L1C_PDCM BIT(15)
#define E1C_PERFCTR_CORE BIT(23)
#define PERF_CAP_FW_WRITE BIT(13)
#define SELECT_INT BIT(20)
#define SELECT_EN BIT(22)
#define INTEL_SELECT 0xffd7ffffUL	/* not the pin control, not AnyThread */
#define AMD_SELECT 0xfffd7ffffUL
#define AMD_GUEST_ONLY BIT(40)
#define AMD_SIGN BIT(47)
#define K7_COUNTERS 4U
#define CORE_COUNTERS 6U
#define FIXED_INT 8U
#define FIXED_CONTROL 0xbbbUL		/* not AnyThread */
#define FIXED_STATUS 32
#define LVT_PERF_REG (APIC_LVT + 0x10 * LVT_PERF)

/* The machine's registers: counters with a control register each, then Intel's fixed ones with one. */
static struct {
	bool intel;
	unsigned nr, fixed, nr_counters, nr_controls;
	u32 counter[PMU_COUNTERS + PMU_FIXED], control[PMU_COUNTERS + 1];
	u64 all;	/* counters, as bits of PERF_GLOBAL_STATUS */
	struct cpuid_regs leaf10;
} pmu;

static void __init add(unsigned nr, unsigned fixed, u32 control, u32 counter, u32 step)
{
	for (u32 i = 0; i < nr; i++) {
		pmu.control[i] = control + i * step;
		pmu.counter[i] = counter + i * step;
	}
	for (u32 i = 0; i < fixed; i++)
		pmu.counter[nr + i] = MSR_FIXED_CTR0 + i;
	pmu.control[nr] = MSR_FIXED_CTR_CTRL;
	pmu.nr = nr;
	pmu.fixed = fixed;
	pmu.nr_counters = nr + fixed;
	pmu.nr_controls = nr + !!fixed;
	pmu.all = (BIT(nr) - 1) | (BIT(fixed) - 1) << FIXED_STATUS;
}

static void __init init_intel(void)
{
	struct cpuid_regs *l = &pmu.leaf10, leaf0, leaf1;
	u64 caps;

	cpuid_machine(0, 0, &leaf0);
	cpuid_machine(1, 0, &leaf1);
	if (leaf0.eax < 10 || !(leaf1.ecx & L1C_PDCM))
		return;
	cpuid_machine(10, 0, l);
	if ((l->eax & 0xff) < 2 || !rdmsr_safe(MSR_PERF_CAPABILITIES, &caps) ||
	    !(caps & PERF_CAP_FW_WRITE))
		return;
	add(min(l->eax >> 8 & 0xff, (u32)PMU_COUNTERS), min(l->edx & 0x1f, (u32)PMU_FIXED),
	    MSR_PERFEVTSEL0, MSR_A_PMC0, 1);
	/* Version 2 has no AnyThread. */
	*l = (struct cpuid_regs){ (l->eax & 0xffff0000) | pmu.nr << 8 | 2, l->ebx, 0,
				  (l->edx & 0x1fe0) | pmu.fixed };
}

void __init pmu_init(void)
{
	struct cpuid_regs ext1;
	u64 val;

	pmu.intel = x86.vendor == X86_VENDOR_INTEL;
	cpuid_machine(0x80000001, 0, &ext1);
	if (pmu.intel)
		init_intel();
	else if (ext1.ecx & E1C_PERFCTR_CORE)
		add(CORE_COUNTERS, 0, MSR_CORE_EVNTSEL0, MSR_CORE_EVNTSEL0 + 1, 2);
	else
		add(K7_COUNTERS, 0, MSR_K7_EVNTSEL0, MSR_K7_EVNTSEL0 + K7_COUNTERS, 1);
	for (unsigned i = 0; i < pmu.nr_counters; i++)
		if (!rdmsr_safe(pmu.counter[i], &val) ||
		    !rdmsr_safe(pmu.control[min(i, pmu.nr)], &val))
			add(0, 0, 0, 0, 0);
}

bool pmu_cpuid(struct cpuid_regs *leaf1, struct cpuid_regs *leaf10, struct cpuid_regs *ext1)
{
	if (pmu.nr && pmu.intel) {
		leaf1->ecx |= (u32)L1C_PDCM;
		*leaf10 = pmu.leaf10;
	} else if (pmu.nr == CORE_COUNTERS) {
		ext1->ecx |= (u32)E1C_PERFCTR_CORE;
	}
	return pmu.nr;
}

int pmu_create(struct vcpu *v)
{
	struct pmu *p;
	int rc = 0;

	if (!v->domain->pmu)
		return 0;
	v->pmu = p = kzalloc(sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->global[0].msr = p->global[1].msr = MSR_PERF_GLOBAL_CTRL;
	p->global[0].value = BIT(pmu.nr) - 1;	/* as after RESET */
	p->told = pmu.intel ? 0 : pmu.all;
	for (unsigned i = 0; i < pmu.nr_counters && !rc; i++)
		rc = hvm->msr_exits(v, pmu.counter[i], false, !pmu.intel);
	for (unsigned i = 0; i < pmu.nr && pmu.intel && !rc; i++)
		rc = hvm->msr_exits(v, MSR_PMC0 + i, false, false);
	return rc || !pmu.intel ? rc : hvm->msr_exits(v, MSR_PERF_GLOBAL_CTRL, false, false);
}

void pmu_destroy(struct vcpu *v)
{
	kfree(v->pmu);
	v->pmu = NULL;
}

static void write_control(const struct pmu *p, unsigned i)
{
	wrmsr(pmu.control[i], p->control[i] | (pmu.intel ? 0 : AMD_GUEST_ONLY));
}

void pmu_load(struct vcpu *v)
{
	struct pmu *p = v->pmu;

	if (p->loaded)
		return;
	for (unsigned i = 0; i < pmu.nr_counters; i++)
		wrmsr(pmu.counter[i], p->counter[i]);
	for (unsigned i = 0; i < pmu.nr_controls; i++)
		write_control(p, i);
	p->loaded = true;
}

static u64 read_status(const struct pmu *p)
{
	return (p->status | rdmsr(MSR_PERF_GLOBAL_STATUS)) & pmu.all;
}

/* Returns the counters that have overflowed, should interrupt, and have not yet. */
static u64 overflows(const struct pmu *p)
{
	u64 set = 0, status = pmu.intel ? read_status(p) : 0;

	for (unsigned i = 0; i < pmu.nr; i++)
		if (!pmu.intel && p->control[i] & SELECT_EN && !(rdmsr(pmu.counter[i]) & AMD_SIGN))
			status |= BIT(i);
	for (unsigned i = 0; i < pmu.nr; i++)
		set |= p->control[i] & SELECT_INT ? BIT(i) : 0;
	for (unsigned i = 0; i < pmu.fixed; i++)
		set |= p->control[pmu.nr] >> 4 * i & FIXED_INT ? BIT(FIXED_STATUS + i) : 0;
	return set & status & ~p->told;
}

void pmu_save(struct vcpu *v)
{
	struct pmu *p = v->pmu;

	apic_write(LVT_PERF_REG, LVT_MASKED);
	if (overflows(p))	/* the NMI may come too late */
		atomic_or(&v->pending, VCPU_WORK_PMI);
	p->loaded = false;
	for (unsigned i = 0; i < pmu.nr_controls; i++)
		wrmsr(pmu.control[i], 0);
	for (unsigned i = 0; i < pmu.nr_counters; i++) {
		p->counter[i] = rdmsr(pmu.counter[i]);
		wrmsr(pmu.counter[i], 0);
	}
	if (!pmu.intel)
		return;
	p->status = read_status(p);
	wrmsr(MSR_PERF_GLOBAL_OVF_CTRL, pmu.all);
}

/* Returns whether the CPU's LVT is the guest's own. */
static bool has_lvt(const struct vcpu *v)
{
	return v->direct && v->domain->trusted;
}

void pmu_arm(const struct vcpu *v)
{
	if (!has_lvt(v))
		apic_write(LVT_PERF_REG, LVT_NMI);
}

bool pmu_nmi(const struct cpu *c)
{
	struct vcpu *v = c->loaded;

	if (!v || !v->pmu || !v->pmu->loaded || !overflows(v->pmu))
		return false;
	atomic_or(&v->pending, VCPU_WORK_PMI);
	return true;
}

void pmu_interrupt(struct vcpu *v)
{
	u64 new = overflows(v->pmu);
	u32 *lvt = &v->vlapic->lvt[LVT_PERF], how = has_lvt(v) ? LVT_NMI : *lvt;

	v->pmu->told |= new;
	pmu_arm(v);	/* the CPU masks its LVT when that interrupts */
	if (!new || how & LVT_MASKED)
		return;
	if ((how & LVT_DELIVERY) == LVT_NMI)
		v->nmi_pending = true;
	else if (!(how & LVT_DELIVERY))
		vlapic_lvt_deliver(v->vlapic, LVT_PERF);
	if (pmu.intel)
		*lvt |= LVT_MASKED;
}

/* Returns where msr is in a list of registers, or -1. The K7's numbers mean the first ones. */
static int find(const u32 *list, unsigned nr, u32 msr, u32 k7)
{
	if (!pmu.intel && msr - k7 < K7_COUNTERS)
		return (int)(msr - k7);
	for (unsigned i = 0; i < nr; i++)
		if (list[i] == msr)
			return (int)i;
	return -1;
}

static int find_control(u32 msr)
{
	return find(pmu.control, pmu.nr_controls, msr, MSR_K7_EVNTSEL0);
}

static int find_counter(u32 msr)
{
	return find(pmu.counter, pmu.nr_counters, msr, MSR_K7_EVNTSEL0 + K7_COUNTERS);
}

struct msr_read pmu_rdmsr(struct vcpu *v, u32 msr)
{
	const struct pmu *p = v->pmu;
	struct msr_read r = { 0, 0 };

	if (p && find_control(msr) >= 0)
		r.val = p->control[find_control(msr)];
	else if (p && find_counter(msr) >= 0)
		r.val = rdmsr(pmu.counter[find_counter(msr)]);
	else if (p && pmu.intel && msr == MSR_PERF_GLOBAL_STATUS)
		r.val = read_status(p);
	else if (p && pmu.intel && msr == MSR_PERF_CAPABILITIES)
		r.val = PERF_CAP_FW_WRITE;
	else if (!p || !pmu.intel || msr != MSR_PERF_GLOBAL_OVF_CTRL)
		r.err = -EPERM;
	return r;
}

/* AMD's reserved bits are ignored: a guest that could be a host may set some. */
static int write_select(struct pmu *p, unsigned i, u64 val)
{
	u64 valid = !pmu.intel ? AMD_SELECT :
		    i < pmu.nr ? INTEL_SELECT :
				 FIXED_CONTROL & (BIT(4 * pmu.fixed) - 1);

	if (pmu.intel && val & ~valid)
		return -EPERM;
	p->control[i] = val & valid;
	write_control(p, i);
	return 0;
}

int pmu_wrmsr(struct vcpu *v, u32 msr, u64 val)
{
	struct pmu *p = v->pmu;
	int i = find_counter(msr);

	if (p && find_control(msr) >= 0)
		return write_select(p, (unsigned)find_control(msr), val);
	if (p && pmu.intel && msr == MSR_PERF_GLOBAL_OVF_CTRL) {
		p->status &= ~val;
		p->told &= ~val;
		wrmsr(msr, val & pmu.all);
		return 0;
	}
	if (!p || i < 0)
		return -EPERM;
	/* AMD: negative values overflow. */
	p->told = val & AMD_SIGN ? p->told & ~BIT(i) : p->told | BIT(i);
	wrmsr(pmu.counter[i], val & (2 * AMD_SIGN - 1));
	return 0;
}
