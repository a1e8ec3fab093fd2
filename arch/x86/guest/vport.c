/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Root ports of a guest's PCI bus. They exist in config space only: each has a slot for one function
 * of the guest's, which comes and goes while the guest runs, and tells the guest's driver by an MSI.
 * Their windows are there for guests that assign addresses; nothing enforces them. Called with the
 * pci_lock. PCI Express Base 4.0, 6.7 and 7.5.
 */
#include <x86/build.h>
#include <x86/vlapic.h>

#include "vpci.h"

/* Where a port has its capabilities: PCI Express, MSI. */
enum { EXPRESS = 0x40, MSI = 0x80 };
enum { LINK = EXPRESS + PCI_EXP_LINK, SLOT = EXPRESS + PCI_EXP_SLOT };

#define PORT_ID 0xc0015853U	/* Xen's vendor id */
#define LINK_X1_25 0x11U	/* one lane, 2.5 GT/s, in capability and status */

/* An attention button, a power indicator, surprise removal, hot-plug; no command completed. */
#define SLOT_CAPS 0x40071U

/* What all ports have at first: what is not here is 0 and read-only. */
static const struct {
	u16 at;
	u32 value, write, clear;
} registers[] = {
	{ PCI_VENDOR, PORT_ID, 0, 0 },
	{ PCI_COMMAND, (u32)PCI_STATUS_CAPS << 16, 0x547, 0 },
	{ PCI_CLASS, 0x060400 << 8, 0, 0 },
	{ PCI_CACHE_LINE, 1 << 16, 0xffff, 0 },
	{ PCI_BUSES, 0, 0xffffff, 0 },
	{ PCI_MEMORY_WINDOW, 0, 0xfff0fff0, 0 },
	{ PCI_PREFETCH_WINDOW, 0, 0xfff0fff0, 0 },
	{ PCI_PREFETCH_WINDOW + 4, 0, ~0U, 0 },
	{ PCI_PREFETCH_WINDOW + 8, 0, ~0U, 0 },
	{ PCI_CAPS, EXPRESS, 0, 0 },
	{ PCI_INT_LINE, 0, 0x300ff, 0 },
	{ EXPRESS, PCI_CAP_EXPRESS | MSI << 8 | PCI_EXP_SLOT_PORT << 16, 0, 0 },
	{ EXPRESS + PCI_EXP_DEVCTL, 0, 0x7fff, 0 },
	{ LINK - 4, LINK_X1_25 | PCI_EXP_LINK_REPORTS, 0, 0 },
	{ LINK, LINK_X1_25 << 16, 0xffff, 0 },
	{ SLOT - 4, SLOT_CAPS, 0, 0 },
	{ SLOT, SLOT_POWER_ON, 0x1fff, SLOT_EVENTS << 16 },
	{ EXPRESS + PCI_EXP_ROOT, 0, 0x1f, 0 },
	{ MSI, PCI_CAP_MSI | (u32)PCI_MSI_64 << 16, (u32)PCI_MSI_ENABLE << 16, 0 },
	{ MSI + 4, 0, ~3U, 0 },
	{ MSI + 8, 0, ~0U, 0 },
	{ MSI + 12, 0, 0xffff, 0 },
};

static u32 *reg(struct vpci_function *port, unsigned at) { return &port->reg[at / 4].value; }

/* Returns a window's register: bits 31:20 of the first and the last address. */
static u32 window(gpaddr_t from, u64 size)
{
	return ((u32)from >> 16 & 0xfff0) | ((u32)(from + size - 1) & 0xfff00000);
}

/* Sends the port's message if the guest wants to hear of what is in the slot's status. */
static void event(struct vpci_function *port, u32 events)
{
	u32 *slot = reg(port, SLOT), wanted;

	*slot |= events << 16;
	wanted = (*slot & 0x1f) | (*slot & SLOT_LINK_ENABLE ? SLOT_LINK_CHANGED : 0);
	if ((*slot & SLOT_INTERRUPT) && (*slot >> 16 & wanted & SLOT_EVENTS) &&
	    (*reg(port, MSI) & (u32)PCI_MSI_ENABLE << 16))
		vmsi_deliver(port->d, *reg(port, MSI + 4) | (u64)*reg(port, MSI + 8) << 32,
			     *reg(port, MSI + 12) & 0xffff);
}

static bool is_full(const struct vpci_function *port)
{
	return port->reg[SLOT / 4].value >> 16 & SLOT_PRESENT;
}

static void set_full(struct vpci_function *port, bool full)
{
	if (is_full(port) == full)
		return;
	*reg(port, SLOT) ^= SLOT_PRESENT << 16;
	*reg(port, LINK) ^= (u32)PCI_EXP_LINK_ACTIVE << 16;
	event(port, SLOT_PRESENT_CHANGED | SLOT_LINK_CHANGED);
}

void vport_create(struct domain *d)
{
	struct vpci *p = d->vpci;

	for (u32 i = 0; i < GUEST_PCI_SLOTS; i++) {
		struct vpci_function *port = &p->ports[i];
		gpaddr_t high = guest_pci_slot(i, true), high_end = guest_pci_slot(i + 1, true);

		port->d = d;
		port->sbdf = PCI_SBDF(0, 0, (i + 1) << 3);
		for (unsigned n = 0; n < ARRAY_SIZE(port->reg); n++)
			port->reg[n].virt = ~0U;
		for (unsigned n = 0; n < ARRAY_SIZE(registers); n++)
			port->reg[registers[n].at / 4] = (struct vpci_register){
				~0U, registers[n].write, registers[n].value, registers[n].clear };
		*reg(port, PCI_BUSES) = (i + 1) << 8 | (i + 1) << 16;
		*reg(port, PCI_MEMORY_WINDOW) =
			window(guest_pci_slot(i, false), guest_pci_slot(1, false) - GUEST_PCI_BASE);
		*reg(port, PCI_PREFETCH_WINDOW) = window(high, high_end - high) | PCI_WINDOW_64;
		*reg(port, PCI_PREFETCH_WINDOW + 4) = (u32)(high >> 32);
		*reg(port, PCI_PREFETCH_WINDOW + 8) = (u32)((high_end - 1) >> 32);
		*reg(port, SLOT - 4) |= (i + 1) << SLOT_NUMBER_SHIFT;
	}
}

u32 vport_sbdf(const struct vpci_function *port)
{
	return PCI_SBDF(0, port->reg[PCI_BUSES / 4].value >> 8 & 0xff, 0);
}

struct vpci_function *vport_find(struct vpci *p, u32 sbdf)
{
	for (unsigned i = 0; i < GUEST_PCI_SLOTS; i++) {
		struct vpci_function *port = &p->ports[i];

		if (port->sbdf == sbdf)
			return port;
		if (is_full(port) && sbdf && vport_sbdf(port) == sbdf)
			return port->other;
	}
	return NULL;
}

struct vpci_function *vport_free(struct vpci *p)
{
	for (unsigned i = 0; i < GUEST_PCI_SLOTS; i++)
		if (!p->ports[i].other)
			return &p->ports[i];
	return NULL;
}

void vport_plug(struct vpci_function *port, struct vpci_function *v)
{
	port->other = v;
	v->other = port;
	set_full(port, true);
}

void vport_unplug(struct vpci_function *port)
{
	set_full(port, false);
	port->other = NULL;
	port->asked = false;
}

bool vport_ask(struct vpci_function *port)
{
	bool off = (*reg(port, SLOT) & SLOT_POWER) == SLOT_POWER_OFF;

	if (!is_full(port) || off)
		return true;
	if (!port->asked)
		event(port, SLOT_BUTTON);
	port->asked = true;
	return false;
}

void vport_update(struct vpci_function *port)
{
	if (port->asked && (*reg(port, SLOT) & SLOT_POWER) == SLOT_POWER_OFF)
		set_full(port, false);
}
