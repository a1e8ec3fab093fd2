/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: each vCPU's CPUID describes that vCPU, and all vCPUs agree on the rest. */
#include "guest.h"

static struct cpuid_regs leaf1[MAX_CPUS], leaf7[MAX_CPUS], ext1[MAX_CPUS];
static uint32_t x2apic_id[MAX_CPUS], vcpu_id[MAX_CPUS];
static bool has_leaf_b;

static void look(void)
{
	unsigned int id = this_cpu()->id;

	leaf1[id] = cpuid(1, 0);
	leaf7[id] = cpuid(7, 0);
	ext1[id] = cpuid(0x80000001, 0);
	x2apic_id[id] = cpuid(0xb, 0).d;
	vcpu_id[id] = cpuid(xen_leaf + 4, 0).b;
	CHECK(lapic_id() == cpu_apic_id(id), "vCPU %u: LAPIC ID %u, MADT %u", id, lapic_id(),
	      cpu_apic_id(id));
	for (uint32_t sub = 0; has_leaf_b && sub < 4; sub++) {
		struct cpuid_regs r = cpuid(0xb, sub);

		CHECK((r.c & 0xff) == sub, "leaf 0xb.%u answers for %u", sub, r.c & 0xff);
		if (!(r.c & 0xff00))
			break;
		CHECK((r.a & 0x1f) < 32 && r.d == cpu_apic_id(id), "leaf 0xb.%u: shift %u, ID %u",
		      sub, r.a & 0x1f, r.d);
		CHECK(r.b & 0xffff, "leaf 0xb.%u: a level of 0 logical processors", sub);
	}
}

int main(void)
{
	unsigned int n = cpu_count();

	has_leaf_b = cpuid(0, 0).a >= 0xb && (cpuid(0xb, 0).c & 0xff00);
	look();
	cpu_start_all(look);
	CHECK(WAIT_FOR(cpus_done() == n - 1, 5 * NS_PER_S), "%u of %u vCPUs answered",
	      cpus_done() + 1, n);
	for (unsigned int i = 0; i < n; i++) {
		CHECK(leaf1[i].b >> 24 == (cpu_apic_id(i) & 0xff), "vCPU %u: leaf 1 has APIC ID %u",
		      i, leaf1[i].b >> 24);
		CHECK(!has_leaf_b || x2apic_id[i] == cpu_apic_id(i),
		      "vCPU %u: leaf 0xb has APIC ID %u", i, x2apic_id[i]);
		CHECK(vcpu_id[i] == i, "vCPU %u: Xen's leaf says %u", i, vcpu_id[i]);
		for (unsigned int j = 0; j < i; j++)
			CHECK(cpu_apic_id(i) != cpu_apic_id(j), "vCPUs %u and %u share APIC ID %u",
			      i, j, cpu_apic_id(i));
		CHECK(leaf1[i].a == leaf1[0].a && leaf1[i].c == leaf1[0].c &&
			      leaf1[i].d == leaf1[0].d,
		      "vCPU %u: leaf 1 differs from vCPU 0", i);
		CHECK(!memcmp(&leaf7[i], &leaf7[0], sizeof(leaf7[0])),
		      "vCPU %u: leaf 7 differs from vCPU 0", i);
		CHECK(ext1[i].c == ext1[0].c && ext1[i].d == ext1[0].d,
		      "vCPU %u: leaf 80000001 differs from vCPU 0", i);
	}
	pass();
}
