/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IO-APIC: all pins are masked except those that Margay uses (the UART's and the PIT's) and those
 * that a guest uses through vioapic.c, whose lock serializes it after boot. Intel 82093AA, 3.2.
 */
#include <margay/boot_state.h>
#include <margay/errno.h>
#include <margay/iommu.h>
#include <margay/percpu.h>
#include <x86/apic.h>
#include <x86/io.h>
#include <x86/paging.h>
#include <x86/platform.h>

enum { IOREGSEL = 0x00, IOWIN = 0x10, IOAPICVER = 1, IOREDTBL = 0x10 };

enum { IOEOI = 0x40 };			/* from version 0x20 on */
#define VERSION_EOI 0x20
#define MAX_PINS 256U

static struct ioapic {
	volatile u8 *regs;
	const struct acpi_ioapic *acpi;
	u32 pins;
	u8 version;
	u64 kept[MAX_PINS / 64];	/* Margay's own pins */
} ioapics[ACPI_MAX_IOAPICS];
static unsigned nr_ioapics;

static u32 ioapic_read(volatile u8 *r, u32 reg)
{
	*(volatile u32 *)(r + IOREGSEL) = reg;
	return *(volatile u32 *)(r + IOWIN);
}

static void ioapic_write(volatile u8 *r, u32 reg, u32 val)
{
	*(volatile u32 *)(r + IOREGSEL) = reg;
	*(volatile u32 *)(r + IOWIN) = val;
}

void __init ioapic_init(void)
{
	for (unsigned i = 0; i < boot_acpi.nr_ioapics; i++) {
		volatile u8 *r = map_mmio(boot_acpi.ioapics[i].base, PAGE_SIZE);
		u32 version;

		if (!r)
			continue;
		version = ioapic_read(r, IOAPICVER);
		ioapics[nr_ioapics++] = (struct ioapic){
			.regs = r, .acpi = &boot_acpi.ioapics[i],
			.pins = (version >> 16 & 0xff) + 1, .version = (u8)version };
	}
	ioapic_mask_all();
}

void ioapic_mask_all(void)
{
	for (unsigned i = 0; i < nr_ioapics; i++)
		for (u32 p = 0; p < ioapics[i].pins; p++)
			ioapic_write(ioapics[i].regs, IOREDTBL + 2 * p, RTE_MASKED);
}

int __init ioapic_route_isa(unsigned irq, u32 what)
{
	struct iommu_irq route = { 0 };
	u32 gsi = irq, flags = 0;

	for (unsigned i = 0; i < boot_acpi.nr_overrides; i++)
		if (boot_acpi.overrides[i].irq == irq) {
			gsi = boot_acpi.overrides[i].gsi;
			flags = boot_acpi.overrides[i].flags;
		}
	for (unsigned i = 0; i < nr_ioapics; i++) {
		u32 pin = gsi - ioapics[i].acpi->gsi_base, sbdf;

		if (pin >= ioapics[i].pins)
			continue;
		if (!iommu_ioapic_sbdf(ioapics[i].acpi->id, &sbdf) && iommu_irq_alloc(&route, sbdf))
			return -ENODEV;
		/* Without interrupt remapping a destination has 8 bits; 255 means all CPUs. */
		if (!route.unit && housekeeping_cpu->apic_id >= XAPIC_BROADCAST)
			return -ENODEV;
		/*
		 * MPS INTI flags: 3 is active low, 3 << 2 level-triggered; ISA's default is active
		 * high, edge-triggered.
		 */
		route.nmi = what & RTE_NMI;
		iommu_irq_route(&route, housekeeping_cpu->apic_id, (u8)what, (flags >> 2 & 3) == 3);
		ioapic_set(i, pin, iommu_irq_rte(&route) | ((flags & 3) == 3 ? RTE_LOW : 0));
		set_bit(pin, ioapics[i].kept);
		return 0;
	}
	return -ENODEV;
}

const struct acpi_ioapic *ioapic_pins(unsigned n, unsigned *pins)
{
	if (n >= nr_ioapics)
		return NULL;
	*pins = ioapics[n].pins;
	return ioapics[n].acpi;
}

bool ioapic_is_kept(unsigned n, unsigned pin)
{
	return test_bit(pin, ioapics[n].kept);
}

void ioapic_set_low(unsigned n, unsigned pin, u32 low)
{
	ioapic_write(ioapics[n].regs, IOREDTBL + 2 * pin, low);
}

void ioapic_set(unsigned n, unsigned pin, u64 rte)
{
	ioapic_set_low(n, pin, RTE_MASKED);
	ioapic_write(ioapics[n].regs, IOREDTBL + 2 * pin + 1, (u32)(rte >> 32));
	ioapic_set_low(n, pin, (u32)rte);
}

void ioapic_end(unsigned n, unsigned pin, u32 low)
{
	volatile u8 *r = ioapics[n].regs;

	if (ioapics[n].version >= VERSION_EOI)
		*(volatile u32 *)(r + IOEOI) = low & 0xff;
	else if (ioapic_read(r, IOREDTBL + 2 * pin) & RTE_REMOTE_IRR)
		ioapic_set_low(n, pin, (low & ~RTE_LEVEL) | RTE_MASKED);
}

/* Masks both 8259s. The masked LINT0 of every local APIC blocks anything still pending there. */
void __init legacy_pic_off(void)
{
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
}
