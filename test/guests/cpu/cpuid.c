/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: the hypervisor's CPUID leaves, and basic leaves on which kernels rely. */
#include "guest.h"

#define CPUID1_C_MONITOR	(1u << 3)
#define CPUID1_C_VMX		(1u << 5)
#define CPUID1_C_XSAVE		(1u << 26)
#define CPUID1_C_OSXSAVE	(1u << 27)
#define CPUID1_C_HYPERVISOR	(1u << 31)
#define CPUID1_D_WANTED		0x0781ab7du	/* FPU DE PSE TSC MSR PAE CX8 APIC SEP PGE
						   CMOV PAT MMX FXSR SSE SSE2 */
#define CPUID81_C_SVM		(1u << 2)
#define CPUID81_D_NX		(1u << 20)
#define CPUID81_D_LM		(1u << 29)

static void check_xen_leaves(void)
{
	struct cpuid_regs r = cpuid(xen_leaf, 0);
	uint64_t khz = tsc_khz();

	CHECK(xen_leaf, "no Xen leaves");
	CHECK(r.a >= xen_leaf + 4 && r.a < xen_leaf + 0x100, "last leaf %x", r.a);
	r = cpuid(xen_leaf + 2, 0);
	CHECK(r.a == 1, "%u hypercall pages", r.a);
	CHECK(r.b >= 0x40000000, "hypercall MSR %x", r.b);
	r = cpuid(xen_leaf + 3, 0);
	CHECK(r.b <= 3, "TSC mode %u", r.b);
	CHECK(r.c > khz - khz / 100 && r.c < khz + khz / 100,
	      "TSC rate %u kHz by CPUID, %lu by pvclock", r.c, khz);
	r = cpuid(xen_leaf + 4, 0);
	CHECK(r.a & XEN_HVM_CPUID_VCPU_ID_PRESENT, "no vCPU id, features %x", r.a);
	CHECK(!r.b, "the boot vCPU has id %u", r.b);
	if (r.a & XEN_HVM_CPUID_DOMID_PRESENT)
		CHECK(r.c < DOMID_FIRST_RESERVED, "domain id %x", r.c);
}

static void check_base_leaves(void)
{
	struct cpuid_regs r = cpuid(0, 0);

	CHECK(r.b, "no vendor");
	CHECK(r.a >= 1 && r.a < 0x100, "last basic leaf %x", r.a);
	r = cpuid(1, 0);
	CHECK(r.c & CPUID1_C_HYPERVISOR, "hypervisor bit clear");
	CHECK(!(r.c & CPUID1_C_MONITOR), "MONITOR offered");
	CHECK(!(r.c & CPUID1_C_VMX), "VMX offered");
	CHECK((r.d & CPUID1_D_WANTED) == CPUID1_D_WANTED, "leaf 1 EDX %x, wanted %x", r.d,
	      CPUID1_D_WANTED);
	CHECK(r.b >> 24 == lapic_id(), "APIC ID %u by CPUID, %u by LAPIC", r.b >> 24, lapic_id());
	r = cpuid(0x80000000, 0);
	CHECK(r.a >= 0x80000008 && r.a < 0x80000100, "last extended leaf %x", r.a);
	r = cpuid(0x80000001, 0);
	CHECK((r.d & CPUID81_D_NX) && (r.d & CPUID81_D_LM), "leaf 80000001 EDX %x", r.d);
	CHECK(!(r.c & CPUID81_C_SVM), "SVM offered");
	r = cpuid(0x80000008, 0);
	CHECK((r.a & 0xff) >= 32 && (r.a & 0xff) <= 52, "%u physical address bits", r.a & 0xff);
	CHECK((r.a >> 8 & 0xff) == 48 || (r.a >> 8 & 0xff) == 57, "%u linear address bits",
	      r.a >> 8 & 0xff);
}

/* Checks that OSXSAVE follows CR4 and that the size in leaf 0xd follows XCR0. */
static void check_dynamic_leaves(void)
{
	uint64_t cr4 = read_cr4(), supported;
	uint32_t small;

	if (!(cpuid(1, 0).c & CPUID1_C_XSAVE))
		return;
	CHECK(!(cpuid(1, 0).c & CPUID1_C_OSXSAVE), "OSXSAVE set with CR4.OSXSAVE clear");
	write_cr4(cr4 | CR4_OSXSAVE);
	CHECK(cpuid(1, 0).c & CPUID1_C_OSXSAVE, "OSXSAVE clear with CR4.OSXSAVE set");
	xsetbv(0, 1);
	small = cpuid(0xd, 0).b;
	CHECK(small == 576, "XSAVE size %u for x87 alone", small);
	supported = cpuid(0xd, 0).a | (uint64_t)cpuid(0xd, 0).d << 32;
	CHECK((supported & 3) == 3, "XCR0 mask %lx", supported);
	xsetbv(0, supported);
	CHECK(cpuid(0xd, 0).b == cpuid(0xd, 0).c, "XSAVE size %u with all of %u enabled",
	      cpuid(0xd, 0).b, cpuid(0xd, 0).c);
	xsetbv(0, 1);
	write_cr4(cr4);
	CHECK(!(cpuid(1, 0).c & CPUID1_C_OSXSAVE), "OSXSAVE stays");
}

int main(void)
{
	check_xen_leaves();
	check_base_leaves();
	check_dynamic_leaves();
	pass();
}
