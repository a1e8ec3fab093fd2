/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Resets a function in steps, and gives it back the registers that firmware set: without them it
 * does not decode its addresses, or sends packets that the bridges above refuse. Bus mastering and
 * interrupts stay off. Called with the pci_lock. PCI Express Base 4.0, 6.6.
 */
#include <margay/errno.h>
#include <margay/pci.h>
#include <margay/pci_regs.h>
#include <margay/timer.h>

#define MS 1000000UL
#define PENDING_NS (100 * MS)	/* for transactions under way */
#define READY_NS (1000 * MS)	/* for the first answer after the reset */

enum { RESET_NONE, RESET_FLR, RESET_AF, RESET_PM, RESET_BUS };
enum { STEP_BEGIN, STEP_DRAIN, STEP_HOLD, STEP_READY };

/* The time from the start of a reset to its end, and from there to the first access. */
static const struct {
	stime_t hold, settle;
} times[] = {
	[RESET_FLR] = { 100 * MS, 0 },
	[RESET_AF] = { 100 * MS, 0 },
	[RESET_PM] = { 10 * MS, 10 * MS },
	[RESET_BUS] = { 2 * MS, 100 * MS },
};

/* Returns whether a reset of the bus reaches no other function. */
static bool alone(const struct pci_function *f)
{
	const struct pci_function *g;

	if (!f->bridge || f->header)
		return false;
	list_for_each(g, &pci_functions, link)
		if (g != f && g->bridge == f->bridge)
			return false;
	return true;
}

static u8 reset_kind(const struct pci_function *f)
{
	if (f->express && (pci_read(f->sbdf, f->express + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR))
		return RESET_FLR;
	if (f->af && (pci_read(f->sbdf, f->af + PCI_AF_CAP, 1) & PCI_AF_CAP_FLR) == PCI_AF_CAP_FLR)
		return RESET_AF;
	if (f->pm && !(pci_read(f->sbdf, f->pm + PCI_PM_CONTROL, 2) & PCI_PM_NO_SOFT_RESET))
		return RESET_PM;
	return alone(f) ? RESET_BUS : RESET_NONE;
}

static bool has_devctl2(const struct pci_function *f)
{
	return f->express && (pci_read(f->sbdf, f->express + PCI_EXP_FLAGS, 2) & 0xf) > 1;
}

static void save(struct pci_function *f)
{
	u32 s = f->sbdf;

	for (unsigned i = 0; i < PCI_BARS; i++)
		f->reset.bar[i] = pci_read(s, PCI_BAR0 + 4 * i, 4);
	f->reset.rom = pci_read(s, PCI_ROM, 4);
	f->reset.command = (u16)pci_read(s, PCI_COMMAND, 2);
	f->reset.latency = (u16)pci_read(s, PCI_CACHE_LINE, 2);
	f->reset.int_line = (u8)pci_read(s, PCI_INT_LINE, 1);
	if (f->express)
		f->reset.devctl = (u16)pci_read(s, f->express + PCI_EXP_DEVCTL, 2);
	if (has_devctl2(f))
		f->reset.devctl2 = (u16)pci_read(s, f->express + PCI_EXP_DEVCTL2, 2);
	if (f->acs)
		f->reset.acs = (u16)pci_read(s, f->acs + PCI_ACS_CONTROL, 2);
}

static void restore(const struct pci_function *f)
{
	u32 s = f->sbdf;

	for (unsigned i = 0; i < PCI_BARS; i++)
		pci_write(s, PCI_BAR0 + 4 * i, 4, f->reset.bar[i]);
	pci_write(s, PCI_ROM, 4, f->reset.rom & ~(u32)PCI_ROM_ENABLE);
	pci_write(s, PCI_CACHE_LINE, 2, f->reset.latency);
	pci_write(s, PCI_INT_LINE, 1, f->reset.int_line);
	if (f->express)
		pci_write(s, f->express + PCI_EXP_DEVCTL, 2, f->reset.devctl);
	if (has_devctl2(f))
		pci_write(s, f->express + PCI_EXP_DEVCTL2, 2, f->reset.devctl2);
	if (f->acs)
		pci_write(s, f->acs + PCI_ACS_CONTROL, 2, f->reset.acs);
	pci_write(s, PCI_COMMAND, 2,
		  f->reset.command & ~(u32)(PCI_COMMAND_MASTER | PCI_COMMAND_NO_INTX));
}

static bool draining(const struct pci_function *f)
{
	if (f->reset.kind == RESET_AF)
		return pci_read(f->sbdf, f->af + PCI_AF_STATUS, 1) & 1;
	return f->express &&
	       (pci_read(f->sbdf, f->express + PCI_EXP_DEVSTA, 2) & PCI_EXP_DEVSTA_PENDING);
}

/* Starts the reset (on) or ends it. FLR ends by itself. */
static void drive(const struct pci_function *f, bool on)
{
	u32 bridge = f->bridge ? f->bridge->sbdf : 0;

	switch (f->reset.kind) {
	case RESET_FLR:
		if (on)
			pci_write(f->sbdf, f->express + PCI_EXP_DEVCTL, 2,
				  f->reset.devctl | PCI_EXP_DEVCTL_FLR);
		break;
	case RESET_AF:
		if (on)
			pci_write(f->sbdf, f->af + PCI_AF_CONTROL, 1, 1);
		break;
	case RESET_PM:
		pci_write(f->sbdf, f->pm + PCI_PM_CONTROL, 2, on ? PCI_PM_STATE : 0);
		break;
	case RESET_BUS:
		pci_write(bridge, PCI_BRIDGE_CONTROL, 2,
			  (pci_read(bridge, PCI_BRIDGE_CONTROL, 2) & ~(u32)PCI_BRIDGE_RESET) |
				  (on ? PCI_BRIDGE_RESET : 0));
		break;
	}
}

int pci_reset(struct pci_function *f)
{
	u32 vendor;

	switch (f->reset.step) {
	case STEP_BEGIN:
		f->reset.kind = reset_kind(f);
		if (f->reset.kind == RESET_NONE)
			return -EOPNOTSUPP;
		save(f);
		pci_write(f->sbdf, PCI_COMMAND, 2, PCI_COMMAND_NO_INTX);
		f->reset.until = now() + PENDING_NS;
		break;
	case STEP_DRAIN:
		if (draining(f) && now() < f->reset.until)
			return -ERESTART;
		drive(f, true);
		f->reset.until = now() + times[f->reset.kind].hold;
		break;
	case STEP_HOLD:
		if (now() < f->reset.until)
			return -ERESTART;
		drive(f, false);
		f->reset.until = now() + times[f->reset.kind].settle;
		break;
	case STEP_READY:
		if (now() < f->reset.until)
			return -ERESTART;
		vendor = pci_read(f->sbdf, PCI_VENDOR, 2);
		if (vendor == f->vendor) {
			restore(f);
			f->reset.step = STEP_BEGIN;
			return 0;
		}
		if (now() < f->reset.until + READY_NS)
			return -ERESTART;
		f->reset.step = STEP_BEGIN;
		return -ETIMEDOUT;
	}
	f->reset.step++;
	return -ERESTART;
}
