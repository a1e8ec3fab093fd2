/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The most expensive exits: among all CPUID leaves and among all MSRs with intercepted reads, in
 * both modes of the local APIC; and an xAPIC register read by code whose 2 MiB are not mapped as a
 * whole.
 */
#include "guest.h"

#include "bench.h"

#define ROUNDS 200u

static uint32_t chosen, chosen_sub;

/* Runs op ROUNDS times and adds the costs to b. Returns their sum. */
static inline __attribute__((always_inline)) uint64_t measure(struct bench_sum *b, void (*op)(void))
{
	op();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint64_t start = rdtsc();

		op();
		bench_add(b, rdtsc() - start);
	}
	return b->sum;
}

static inline __attribute__((always_inline)) void report(const char *name, void (*op)(void))
{
	struct bench_sum b = BENCH_SUM;

	bench_mark();
	op();
	bench_mark();
	measure(&b, op);
	bench_report(name, &b);
}

static inline void op_cpuid(void)
{
	cpuid(chosen, chosen_sub);
}

static inline void op_rdmsr(void)
{
	rdmsr(chosen);
}

static inline void op_xapic(void)
{
	(void)*(volatile uint32_t *)(0xfee00000ul + LAPIC_ID);
}

static void dearest_cpuid(void)
{
	static const struct {
		uint32_t first, last, subs;
	} leaves[] = { { 0, 0xd, 4 }, { 0x80000000, 0x80000021, 2 } };
	uint32_t leaf = 0, sub = 0;
	uint64_t most = 0;

	for (unsigned int i = 0; i <= 2; i++) {
		uint32_t first = i < 2 ? leaves[i].first : xen_leaf,
			 last = i < 2 ? leaves[i].last : first + 5;

		for (chosen = first; chosen <= last; chosen++) {
			for (chosen_sub = 0; chosen_sub < (i < 2 ? leaves[i].subs : 3);
			     chosen_sub++) {
				struct bench_sum b = BENCH_SUM;

				if (measure(&b, op_cpuid) <= most)
					continue;
				most = b.sum;
				leaf = chosen;
				sub = chosen_sub;
			}
		}
	}
	chosen = leaf;
	chosen_sub = sub;
	printf("the dearest leaf is %x.%u\n", chosen, chosen_sub);
	report("cpuid_dearest", op_cpuid);
}

static void try_msr(uint32_t msr, uint64_t *most, uint32_t *which)
{
	struct bench_sum b = BENCH_SUM;
	uint64_t val;

	chosen = msr;
	if (rdmsr_safe(msr, &val) >= 0 || measure(&b, op_rdmsr) <= *most)
		return;
	*most = b.sum;
	*which = msr;
}

static void dearest_rdmsr(const char *name, const uint32_t *msrs, unsigned int n, uint32_t first)
{
	uint64_t most = 0;
	uint32_t which = first;

	for (unsigned int i = 0; i < n; i++)
		try_msr(msrs ? msrs[i] : first + i, &most, &which);
	chosen = which;
	printf("the dearest MSR is %x\n", chosen);
	report(name, op_rdmsr);
}

/* Frees a page of the image, so that its pages are mapped individually. */
static void split_code(void)
{
	static uint8_t page[PAGE_SIZE] PAGE_ALIGNED;
	xen_pfn_t frame = (uintptr_t)page >> PAGE_SHIFT;
	struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };

	set_xen_guest_handle(r.extent_start, &frame);
	CHECK_RET(memory_op(XENMEM_decrease_reservation, &r), 1);
}

int main(void)
{
	static const uint32_t msrs[] = { 0x10,	     0x1b,	 0x8b,	     0x1d9,	 0x277,
					 0x6e0,	     0x17,	 0xce,	     0x3a,	 0x1a0,
					 0xc0000080, 0xc0000103, 0xc0010010, 0xc0010015, 0xc001001f,
					 0xc0010055, 0xc0010058, 0xc0011029 };

	bench_calibrate();
	dearest_cpuid();
	dearest_rdmsr("rdmsr_dearest", msrs, ARRAY_SIZE(msrs), msrs[0]);
	lapic_enable();
	split_code();
	report("xapic_read_split", op_xapic);
	if (lapic_enter_x2apic())
		dearest_rdmsr("x2apic_dearest", NULL, 0x40, MSR_X2APIC + LAPIC_ID / 16);
	pass();
}
