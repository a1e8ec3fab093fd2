/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports of the machine, as the control domain that has the devices uses them. Margay keeps its own
 * and those that reach more than one device: interrupt controllers, timers, DMA controllers, config
 * space. It watches for resets and sleep states: they end the domain, not the machine.
 */
#include <margay/boot_state.h>
#include <x86/hardware.h>
#include <x86/io.h>
#include <x86/platform.h>
#include <x86/vpci.h>

#define PORT_KEYBOARD 0x64
#define KEYBOARD_PULSE(val) (((val) & 0xf1) == 0xf0)	/* of output lines; line 0 resets */
#define PORT_RTC 0x70
#define RTC_NMI_OFF 0x80U
#define PORT_SYSTEM_A 0x92
#define SYSTEM_A_RESET 0x01
#define PORT_PCI_CONFIG 0xcf8
#define PORT_RESET_CONTROL 0xcf9
#define RESET_CONTROL_RST_CPU 0x04

/* The upper byte of PM1 control. ACPI 6.4, table 4.15. */
#define PM1_SLP_TYP(byte) ((byte) >> 2 & 7)
#define PM1_SLP_EN 0x20

/* Margay's: 8237s (whose DMA has no IOMMU everywhere), 8259s, PIT, its gate, config space. */
static const struct {
	u16 first, last;
} kept[] = {
	{ 0x00, 0x0f }, { 0x20, 0x21 }, { 0x40, 0x43 }, { 0x61, 0x61 },
	{ 0x81, 0x8f }, { 0xa0, 0xa1 }, { 0xc0, 0xdf }, { 0xcf8, 0xcff },
};

/* Returns whether an access touches what is Margay's. */
static bool is_kept(u16 port, unsigned size)
{
	for (unsigned p = port; p < port + size; p++) {
		if (p > 0xffff || uart_at_port((u16)p))
			return true;
		for (unsigned i = 0; i < ARRAY_SIZE(kept); i++)
			if (p >= kept[i].first && p <= kept[i].last)
				return true;
	}
	return false;
}

u32 hardware_in(struct vcpu *v, u16 port, unsigned size)
{
	u64 val = ~0UL;

	if ((port & ~7) == PORT_PCI_CONFIG)
		vpci_ports(v, port, size, &val, false);
	else
		val = is_kept(port, size) ? 0 : port_read(port, size);
	return (u32)val;
}

/*
 * Handles the write of a byte that resets the machine or changes its power state. Returns true if
 * it is one: then nothing else happens.
 */
static bool ends_domain(struct vcpu *v, u16 port, u8 val)
{
	const struct acpi_info *a = &boot_acpi;
	bool pm1a = a->pm1a_cnt && port == a->pm1a_cnt + 1;
	bool pm1b = a->pm1b_cnt && port == a->pm1b_cnt + 1;

	if ((pm1a || pm1b) && (val & PM1_SLP_EN)) {
		/* Margay itself would not survive other sleep states. */
		if (a->s5_valid && PM1_SLP_TYP(val) == (pm1a ? a->s5_typ_a : a->s5_typ_b))
			domain_shutdown(v->domain, SHUTDOWN_poweroff);
		else
			pr_warn("%s: sleep state refused\n", v->domain->name);
		return true;
	}
	if ((port == PORT_KEYBOARD && KEYBOARD_PULSE(val)) ||
	    (port == PORT_SYSTEM_A && (val & SYSTEM_A_RESET)) ||
	    (port == PORT_RESET_CONTROL && (val & RESET_CONTROL_RST_CPU)) ||
	    (a->reset_port && port == a->reset_port && val == a->reset_value)) {
		domain_shutdown(v->domain, SHUTDOWN_reboot);
		return true;
	}
	return false;
}

void hardware_out(struct vcpu *v, u16 port, unsigned size, u32 val)
{
	/* A write of four bytes to config space's address is none of reset control. */
	for (unsigned i = 0; i < size && (size < 4 || port != PORT_PCI_CONFIG); i++)
		if (ends_domain(v, (u16)(port + i), (u8)(val >> 8 * i)))
			return;
	if ((port & ~7) == PORT_PCI_CONFIG)
		vpci_ports(v, port, size, &(u64){ val }, true);
	if (is_kept(port, size))
		return;
	if (port == PORT_RTC)	/* Margay needs NMIs */
		val &= ~RTC_NMI_OFF;
	port_write(port, size, val);
}
