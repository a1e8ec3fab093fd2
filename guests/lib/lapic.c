/* SPDX-License-Identifier: BSD-2-Clause */
/* See lapic.h. */
#include "lapic.h"
#include "x86.h"

#define APIC_BASE_ADDRESS	0xffffff000ull
#define SPURIOUS_VECTOR		0xff
#define CPUID1_C_X2APIC		(1u << 21)
#define ICR_BUSY		(1u << 12)

bool lapic_is_x2apic(void)
{
	return rdmsr(MSR_APIC_BASE) & APIC_BASE_X2APIC;
}

static volatile uint32_t *mmio(unsigned int reg)
{
	return (volatile uint32_t *)((rdmsr(MSR_APIC_BASE) & APIC_BASE_ADDRESS) + reg);
}

uint32_t lapic_read(unsigned int reg)
{
	return lapic_is_x2apic() ? (uint32_t)rdmsr(MSR_X2APIC + reg / 16) : *mmio(reg);
}

void lapic_write(unsigned int reg, uint32_t val)
{
	if (lapic_is_x2apic())
		wrmsr(MSR_X2APIC + reg / 16, val);
	else
		*mmio(reg) = val;
}

uint32_t lapic_id(void)
{
	return lapic_is_x2apic() ? lapic_read(LAPIC_ID) : lapic_read(LAPIC_ID) >> 24;
}

void lapic_eoi(void)
{
	lapic_write(LAPIC_EOI, 0);
}

void lapic_enable(void)
{
	lapic_write(LAPIC_TPR, 0);
	lapic_write(LAPIC_SVR, SVR_ENABLE | SPURIOUS_VECTOR);
}

bool lapic_enter_x2apic(void)
{
	if (!(cpuid(1, 0).c & CPUID1_C_X2APIC))
		return false;
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_X2APIC);
	return true;
}

void lapic_in_each_mode(void (*check)(void))
{
	check();
	if (lapic_enter_x2apic())
		check();
}

void lapic_icr(uint32_t dest, uint32_t low)
{
	if (lapic_is_x2apic()) {
		wrmsr(MSR_X2APIC + LAPIC_ICR / 16, (uint64_t)dest << 32 | low);
		return;
	}
	lapic_write(LAPIC_ICR_HIGH, dest << 24);
	lapic_write(LAPIC_ICR, low);
	while (lapic_read(LAPIC_ICR) & ICR_BUSY)
		cpu_pause();
}

bool lapic_vector_bit(unsigned int reg, uint8_t vector)
{
	return lapic_read(reg + vector / 32 * 16u) >> (vector % 32) & 1;
}
