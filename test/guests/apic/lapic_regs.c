/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: LAPIC registers: ID, version, LVT and software disable, ESR, APIC base transitions, and
 * which accesses fault in x2APIC mode.
 */
#include "guest.h"

static uint32_t msr_of(unsigned int reg)
{
	return MSR_X2APIC + reg / 16;
}

static void check_registers(void)
{
	uint32_t version = lapic_read(LAPIC_VERSION), max_lvt = version >> 16 & 0xff;
	static const unsigned int lvts[] = {
		LAPIC_LVT_TIMER, LAPIC_LVT_LINT0, LAPIC_LVT_LINT1, LAPIC_LVT_ERROR,
	};

	CHECK((version & 0xff) >= 0x10 && (version & 0xff) <= 0x1f, "version %x", version);
	CHECK(max_lvt >= 3 && max_lvt <= 6, "%u LVT entries", max_lvt + 1);
	CHECK(lapic_id() == cpu_apic_id(0), "APIC ID %u, MADT says %u", lapic_id(), cpu_apic_id(0));

	lapic_enable();
	for (unsigned int i = 0; i < ARRAY_SIZE(lvts); i++) {
		lapic_write(lvts[i], 0x41 + i);
		CHECK((lapic_read(lvts[i]) & 0x100ff) == 0x41 + i, "LVT %x reads %x", lvts[i],
		      lapic_read(lvts[i]));
	}
	lapic_write(LAPIC_SVR, 0xff);				/* software disable */
	for (unsigned int i = 0; i < ARRAY_SIZE(lvts); i++) {
		CHECK(lapic_read(lvts[i]) & LVT_MASKED, "LVT %x unmasked in a disabled LAPIC",
		      lvts[i]);
		lapic_write(lvts[i], 0x41 + i);
		CHECK(lapic_read(lvts[i]) & LVT_MASKED, "LVT %x unmasked in a disabled LAPIC",
		      lvts[i]);
	}
	lapic_enable();
	lapic_write(LAPIC_TPR, 0x35);
	CHECK(lapic_read(LAPIC_TPR) == 0x35, "TPR %x", lapic_read(LAPIC_TPR));
	CHECK((lapic_read(LAPIC_PPR) & 0xf0) == 0x30, "PPR %x with TPR 0x35",
	      lapic_read(LAPIC_PPR));
	CHECK(read_cr8() == 3, "CR8 %lx with TPR 0x35", read_cr8());
	write_cr8(5);
	CHECK((lapic_read(LAPIC_TPR) & 0xf0) == 0x50, "TPR %x with CR8 5", lapic_read(LAPIC_TPR));
	write_cr8(0);
}

static void check_xapic(void)
{
	uint32_t version = lapic_read(LAPIC_VERSION);

	lapic_write(LAPIC_VERSION, 0);
	CHECK(lapic_read(LAPIC_VERSION) == version, "the version register was written");
	lapic_write(LAPIC_ESR, 0);
	CHECK(!lapic_read(LAPIC_ESR), "ESR %x with no error", lapic_read(LAPIC_ESR));
	/* The sender or the receiver reports an illegal vector. */
	lapic_icr(0, ICR_SELF | ICR_ASSERT | 5);
	lapic_write(LAPIC_ESR, 0);
	CHECK(lapic_read(LAPIC_ESR) & 0x60, "ESR %x after an IPI with vector 5",
	      lapic_read(LAPIC_ESR));
}

static void check_x2apic(void)
{
	static const unsigned int read_only[] = {
		LAPIC_ID, LAPIC_VERSION, LAPIC_PPR, LAPIC_LDR, LAPIC_ISR, LAPIC_IRR,
		LAPIC_TIMER_CURRENT,
	};
	static const unsigned int absent[] = { LAPIC_DFR, LAPIC_ICR_HIGH, 0x40, 0x90, 0x3d0 };
	uint64_t v;

	for (unsigned int i = 0; i < ARRAY_SIZE(read_only); i++) {
		CHECK(rdmsr_safe(msr_of(read_only[i]), &v) < 0, "register %x: #GP when read",
		      read_only[i]);
		CHECK(wrmsr_safe(msr_of(read_only[i]), 0) == X86_GP, "register %x can be written",
		      read_only[i]);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(absent); i++) {
		CHECK(rdmsr_safe(msr_of(absent[i]), &v) == X86_GP, "register %x can be read",
		      absent[i]);
		CHECK(wrmsr_safe(msr_of(absent[i]), 0) == X86_GP, "register %x can be written",
		      absent[i]);
	}
	CHECK(rdmsr_safe(msr_of(LAPIC_EOI), &v) == X86_GP, "EOI can be read");
	CHECK(wrmsr_safe(msr_of(LAPIC_EOI), 1) == X86_GP, "EOI takes 1");
	CHECK(rdmsr_safe(msr_of(LAPIC_SELF_IPI), &v) == X86_GP, "self IPI can be read");
	CHECK(wrmsr_safe(msr_of(LAPIC_ESR), 1) == X86_GP, "ESR takes 1");
	CHECK(wrmsr_safe(msr_of(LAPIC_TPR), 0x100) == X86_GP, "TPR takes 0x100");
	CHECK(wrmsr_safe(msr_of(LAPIC_SVR), 1ull << 32 | 0x1ff) == X86_GP, "SVR takes bit 32");
	CHECK(wrmsr_safe(msr_of(LAPIC_TIMER_DIVIDE), 0x1000) == X86_GP, "divider takes 0x1000");
}

static void check_base(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	CHECK((base & 0xffffff000) == 0xfee00000, "APIC base %lx", base);
	CHECK(wrmsr_safe(MSR_APIC_BASE, base | 1) == X86_GP, "APIC base takes a reserved bit");
	if (!(cpuid(1, 0).c & 1u << 21))
		return;
	CHECK(wrmsr_safe(MSR_APIC_BASE, (base & ~(uint64_t)APIC_BASE_ENABLE) | APIC_BASE_X2APIC) ==
		      X86_GP,
	      "x2APIC without enable");
	CHECK(lapic_enter_x2apic(), "no x2APIC");
	CHECK(lapic_is_x2apic(), "x2APIC mode did not hold");
	CHECK(wrmsr_safe(MSR_APIC_BASE, base) == X86_GP, "from x2APIC straight to xAPIC mode");
}

int main(void)
{
	uint64_t v;

	CHECK(!lapic_is_x2apic(), "starts in x2APIC mode");
	CHECK(rdmsr_safe(msr_of(LAPIC_ID), &v) == X86_GP, "x2APIC MSR in xAPIC mode");
	check_registers();
	check_xapic();
	check_base();
	if (lapic_is_x2apic()) {
		check_registers();
		check_x2apic();
	}
	pass();
}
