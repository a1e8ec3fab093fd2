/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: IPIs by every destination mode and shorthand, in xAPIC and x2APIC mode, and NMIs. */
#include "guest.h"

#define VECTOR		0x50
#define CPUS		3u
#define DFR_FLAT	0xffffffffu
#define DFR_CLUSTER	0x0fffffffu

static unsigned int hits[CPUS], nmis[CPUS];
static volatile unsigned int phase;

static void on_ipi(struct trap_regs *regs)
{
	(void)regs;
	__atomic_fetch_add(&hits[this_cpu()->id], 1, __ATOMIC_SEQ_CST);
	lapic_eoi();
}

static void on_nmi(struct trap_regs *regs)
{
	(void)regs;
	__atomic_fetch_add(&nmis[this_cpu()->id], 1, __ATOMIC_SEQ_CST);
}

/* The destination model: the phases of main(), and what a vCPU sets up for each. */
enum { FLAT = 1, CLUSTER, X2APIC };

static void enter_phase(unsigned int p)
{
	unsigned int id = this_cpu()->id;

	if (p == FLAT || p == CLUSTER) {
		lapic_write(LAPIC_DFR, p == FLAT ? DFR_FLAT : DFR_CLUSTER);
		lapic_write(LAPIC_LDR, (p == FLAT ? 1u << id : 0x20 | 1u << id) << 24);
	} else if (p == X2APIC) {
		CHECK(lapic_enter_x2apic(), "x2APIC went away");
	}
}

static void listen(void)
{
	unsigned int done = 0;

	lapic_enable();
	irq_enable();
	for (;;) {
		if (phase == done) {
			cpu_pause();
			continue;
		}
		done = phase;
		irq_disable();
		enter_phase(done);
		irq_enable();
		cpu_barrier(CPUS);
	}
}

static void start_phase(unsigned int p)
{
	enter_phase(p);
	phase = p;
	cpu_barrier(CPUS);
}

/* Sends, then checks that each vCPU in the mask got one interrupt and no other did. */
static void expect(const char *what, uint32_t dest, uint32_t low, unsigned int mask)
{
	memset(hits, 0, sizeof(hits));
	lapic_icr(dest, low | ICR_ASSERT | VECTOR);
	for (unsigned int id = 0; id < CPUS; id++)
		if (mask & 1u << id)
			CHECK(WAIT_FOR(READ_ONCE(hits[id]) == 1, NS_PER_S),
			      "%s: vCPU %u got %u interrupts", what, id, hits[id]);
	delay_ns(200 * NS_PER_US);
	for (unsigned int id = 0; id < CPUS; id++)
		CHECK(READ_ONCE(hits[id]) == (mask >> id & 1), "%s: vCPU %u got %u interrupts",
		      what, id, hits[id]);
}

static void expect_one(const char *what, uint32_t dest, uint32_t low)
{
	memset(hits, 0, sizeof(hits));
	lapic_icr(dest, low | ICR_ASSERT | VECTOR);
	CHECK(WAIT_FOR(READ_ONCE(hits[0]) + READ_ONCE(hits[1]) + READ_ONCE(hits[2]) == 1, NS_PER_S),
	      "%s: %u, %u, %u interrupts", what, hits[0], hits[1], hits[2]);
}

static void check_common(uint32_t broadcast)
{
	for (unsigned int id = 0; id < CPUS; id++)
		expect("fixed", cpu_apic_id(id), ICR_FIXED, 1u << id);
	expect("self", 0, ICR_SELF, 1);
	expect("all", 0, ICR_ALL, 7);
	expect("all but self", 0, ICR_OTHERS, 6);
	expect("broadcast", broadcast, ICR_FIXED, 7);

	memset(nmis, 0, sizeof(nmis));
	lapic_icr(cpu_apic_id(1), ICR_NMI | ICR_ASSERT);
	CHECK(WAIT_FOR(READ_ONCE(nmis[1]) == 1, NS_PER_S), "no NMI on vCPU 1");
	lapic_icr(0, ICR_NMI | ICR_ASSERT | ICR_OTHERS);
	CHECK(WAIT_FOR(READ_ONCE(nmis[1]) == 2 && READ_ONCE(nmis[2]) == 1, NS_PER_S),
	      "NMIs to the others: %u, %u", nmis[1], nmis[2]);
	CHECK(!nmis[0], "NMI on vCPU 0");
}

static void check_x2apic(void)
{
	uint32_t ldr = lapic_read(LAPIC_LDR), id = lapic_id();

	CHECK(ldr == ((id >> 4) << 16 | 1u << (id & 15)), "LDR %x for APIC ID %u", ldr, id);
	check_common(~0u);
	if (cpu_apic_id(2) < 16)
		expect("x2APIC logical", 1u << cpu_apic_id(1) | 1u << cpu_apic_id(2), ICR_LOGICAL,
		       6);
	memset(hits, 0, sizeof(hits));
	lapic_write(LAPIC_SELF_IPI, VECTOR);
	CHECK(WAIT_FOR(READ_ONCE(hits[0]) == 1, NS_PER_S), "self IPI register");
}

int main(void)
{
	CHECK(cpu_count() == CPUS, "wants %u vCPUs, got %u", CPUS, cpu_count());
	CHECK(!lapic_is_x2apic(), "starts in x2APIC mode");
	set_trap_handler(VECTOR, on_ipi);
	set_trap_handler(X86_NMI, on_nmi);
	lapic_enable();
	irq_enable();
	cpu_start_all(listen);

	start_phase(FLAT);
	check_common(0xff);
	expect("logical flat", 6, ICR_LOGICAL, 6);
	expect("logical flat, all", 0xff, ICR_LOGICAL, 7);
	expect_one("lowest priority", 7, ICR_LOGICAL | ICR_LOWEST);
	start_phase(CLUSTER);
	expect("logical cluster", 0x26, ICR_LOGICAL, 6);
	expect("other cluster", 0x16, ICR_LOGICAL, 0);
	if (cpuid(1, 0).c & 1u << 21) {
		start_phase(X2APIC);
		check_x2apic();
	} else {
		printf("no x2APIC offered\n");
	}
	pass();
}
