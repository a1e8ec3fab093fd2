/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: up to 1,024 vCPUs start and know their ids. An IPI goes from each to the next, around
 * all of them; then vCPU 0 sends one to all others.
 */
#include "guest.h"

#define VECTOR		0x60
#define TIMEOUT		(60 * NS_PER_S)

static unsigned int hits[MAX_CPUS], ready, n;

static void on_ipi(struct trap_regs *regs)
{
	(void)regs;
	__atomic_fetch_add(&hits[this_cpu()->id], 1, __ATOMIC_SEQ_CST);
	lapic_eoi();
}

/* Halts until this vCPU has taken `count` interrupts. */
static void wait_hits(unsigned int count)
{
	while (READ_ONCE(hits[this_cpu()->id]) < count)
		asm volatile("sti; hlt; cli" ::: "memory");
}

static void check_ids(unsigned int id)
{
	struct cpuid_regs topology = cpuid(0xb, 1), leaf1 = cpuid(1, 0);

	CHECK(lapic_id() == id, "vCPU %u has APIC id %u", id, lapic_id());
	CHECK(cpuid(xen_leaf + 4, 0).b == id, "vCPU %u is %u by CPUID", id,
	      cpuid(xen_leaf + 4, 0).b);
	CHECK(leaf1.b >> 24 == (id & 0xff), "leaf 1 of vCPU %u: %x", id, leaf1.b);
	CHECK((leaf1.b >> 16 & 0xff) == (n < 255 ? n : 255), "leaf 1: %x", leaf1.b);
	if (cpuid(0, 0).a >= 0xb)
		CHECK(topology.d == id && topology.b == n, "leaf 0xb of vCPU %u: %u, %u vCPUs", id,
		      topology.d, topology.b);
}

static void ap(void)
{
	unsigned int id = this_cpu()->id;

	CHECK(lapic_enter_x2apic(), "no x2APIC");
	lapic_enable();
	check_ids(id);
	__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	wait_hits(1);
	lapic_icr((id + 1) % n, ICR_FIXED | ICR_ASSERT | VECTOR);
	wait_hits(2);
}

int main(void)
{
	n = cpu_count();
	CHECK(n == cmdline_number("vcpus", 0), "%u vCPUs in the MADT", n);
	for (unsigned int id = 0; id < n; id++)
		CHECK(cpu_apic_id(id) == id, "vCPU %u has APIC id %u in the MADT", id,
		      cpu_apic_id(id));
	set_trap_handler(VECTOR, on_ipi);
	lapic_enable();
	/* 255 is no id for an xAPIC, but all of them, this one too. */
	lapic_icr(0xff, ICR_FIXED | ICR_ASSERT | VECTOR);
	wait_hits(1);
	hits[0] = 0;
	CHECK(lapic_enter_x2apic(), "no x2APIC");
	check_ids(0);
	cpu_start_all(ap);
	CHECK(WAIT_FOR(READ_ONCE(ready) == n - 1, TIMEOUT), "%u APs are ready", ready);
	printf("%u vCPUs run\n", n);
	lapic_icr(1, ICR_FIXED | ICR_ASSERT | VECTOR);
	wait_hits(1);
	for (unsigned int id = 0; id < n; id++)
		CHECK(hits[id] == 1, "vCPU %u took %u interrupts", id, hits[id]);
	lapic_icr(0, ICR_OTHERS | ICR_FIXED | ICR_ASSERT | VECTOR);
	CHECK(WAIT_FOR(cpus_done() == n - 1, TIMEOUT), "%u of %u APs are done", cpus_done(), n - 1);
	for (unsigned int id = 1; id < n; id++)
		CHECK(hits[id] == 2, "vCPU %u took %u interrupts", id, hits[id]);
	pass();
}
