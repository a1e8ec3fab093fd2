/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that misuses its CPUs, for ms=N milliseconds: the first vCPU sends everything to everybody,
 * writes every register of its local APIC, and sets its timer to the past; the others halt with
 * interrupts off, spin likewise, or sit in an NMI handler. The last act is a triple fault. Others take
 * the CPUs away meanwhile (dedicated_switch) and see whether neighbours notice.
 */
#include "guest.h"
#include "hostile.h"

#define MSR_TSC_DEADLINE 0x6e0

static unsigned int started;

static void ignore(struct trap_regs *regs)
{
	(void)regs;
	wrmsr(MSR_X2APIC + LAPIC_EOI / 16, 0);
}

static void in_nmi(struct trap_regs *regs)
{
	(void)regs;
	while (this_cpu()->id)
		cpu_pause();
}

static void others(void)
{
	unsigned int id = this_cpu()->id;

	lapic_enter_x2apic();
	lapic_enable();
	__atomic_fetch_add(&started, 1, __ATOMIC_SEQ_CST);
	irq_disable();
	for (;;) {
		if (id == 1)
			asm volatile("cli; hlt");
		else if (id == 2)
			cpu_pause();
	}
}

/* Bochs takes no EOI of the spurious vector: in service, it would block the CPU for ever. */
static uint64_t not_spurious(uint64_t val)
{
	return (val & 0xff) == 0xff ? val ^ 1 : val;
}

static void misuse(void)
{
	uint64_t r = random_u64(), val = random_u64();

	switch (r % 5) {
	case 0:	/* interrupts of all kinds to anybody, but no INIT to itself, and no SIPI */
		val = not_spurious((val & 0xffffffff000ccffful) | 0x20);
		if ((val >> 8 & 7) < 5 || ((val >> 8 & 7) == 5 && val >> 32 && !(val >> 18 & 3)))
			wrmsr_safe(MSR_X2APIC + LAPIC_ICR / 16, val);
		break;
	case 1:
		/* Below 32, only those without an error code in the guest's own stubs. */
		wrmsr_safe(MSR_X2APIC + LAPIC_SELF_IPI / 16,
			   r & 0x700 ? 32 + val % 223 : 16 + val % 7 * 2);
		break;
	case 2:
		wrmsr_safe(MSR_TSC_DEADLINE, r & 0x100 ? 1 : rdtsc() + val % 1000);
		break;
	case 3:	/* any register but SVR and ICR, which could end it */
		val |= 0x20;
		if ((r >> 8 & 0x3f) != LAPIC_SVR / 16 && (r >> 8 & 0x3f) != LAPIC_ICR / 16)
			wrmsr_safe(MSR_X2APIC + (uint32_t)(r >> 8 & 0x3f),
				   not_spurious(val & 0x3ffff));
		break;
	case 4:
		wrmsr_safe(MSR_X2APIC + LAPIC_LVT_TIMER / 16,
			   LVT_TIMER_DEADLINE | not_spurious(0x20 | (val & 0xff)));
		wrmsr_safe(MSR_X2APIC + LAPIC_TPR / 16, 0);
		break;
	}
}

int main(void)
{
	uint64_t ms = cmdline_number("ms", 500), end = now_ns() + ms * NS_PER_MS;
	uint64_t none[2] = { 0, 0 };

	for (unsigned int i = 32; i < 256; i++)
		set_trap_handler((uint8_t)i, ignore);
	for (unsigned int i = 16; i < 32; i++)
		set_trap_handler((uint8_t)i, ignore);
	set_trap_handler(2, in_nmi);
	CHECK(lapic_enter_x2apic(), "no x2APIC mode");
	lapic_enable();
	cpu_start_all(others);
	CHECK(WAIT_FOR(READ_ONCE(started) == cpu_count() - 1, 5 * NS_PER_S), "%u started", started);
	set_trap_handler(2, in_nmi);
	irq_enable();
	while (now_ns() < end)
		misuse();
	printf("PASS dedicated_hostile\n");
	asm volatile("lidt %0; int3" : : "m"(none));
	return 0;
}
