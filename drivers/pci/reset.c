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
#define STEP_NS (100 * MS)	/* to drain, from the start to the end, to the first access */
#define READY_NS (1000 * MS)	/* for the first answer after the reset */

enum { RESET_NONE, RESET_FLR, RESET_PM, RESET_BUS };
enum { STEP_BEGIN, STEP_DRAIN, STEP_HOLD, STEP_READY };

/* Returns whether a reset of the bus reaches no other function. */
static bool alone(const struct pci_function *f)
{
	const struct pci_function *g;

	return f->bridge && !f->header && !pci_find_if(g, g != f && g->bridge == f->bridge);
}

static u8 reset_kind(const struct pci_function *f)
{
	if (f->express && (pci_read(f->sbdf, f->express + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR))
		return RESET_FLR;
	if (f->pm && !(pci_read(f->sbdf, f->pm + PCI_PM_CONTROL, 2) & PCI_PM_NO_SOFT_RESET))
		return RESET_PM;
	return alone(f) ? RESET_BUS : RESET_NONE;
}

bool pci_has_reset(const struct pci_function *f) { return reset_kind(f) != RESET_NONE; }

/* Saves the registers that a reset destroys, without what stays off; or writes them back. */
static void transfer(struct pci_function *f, bool save)
{
	u16 express = f->express, acs = f->acs;
	bool two = express && (pci_read(f->sbdf, express + PCI_EXP_FLAGS, 2) & 0xf) > 1;
	/* Six BARs and the ROM's have 32 bits, the others 16. */
	const u16 regs[PCI_NR_SAVED] = {
		PCI_BAR0, PCI_BAR0 + 4, PCI_BAR0 + 8, PCI_BAR0 + 12, PCI_BAR0 + 16, PCI_BAR0 + 20,
		PCI_ROM, PCI_CACHE_LINE, PCI_INT_LINE, express ? express + PCI_EXP_DEVCTL : 0,
		two ? express + PCI_EXP_DEVCTL2 : 0, acs ? acs + PCI_ACS_CONTROL : 0, PCI_COMMAND,
	};

	for (unsigned i = 0; i < PCI_NR_SAVED; i++) {
		unsigned size = i <= PCI_BARS ? 4 : 2;
		u32 off = regs[i] == PCI_ROM     ? PCI_ROM_ENABLE :
			  regs[i] == PCI_COMMAND ? PCI_COMMAND_MASTER | PCI_COMMAND_NO_INTX :
						   0;

		if (regs[i] && save)
			f->reset.saved[i] = pci_read(f->sbdf, regs[i], size) & ~off;
		else if (regs[i])
			pci_write(f->sbdf, regs[i], size, f->reset.saved[i]);
	}
}

static bool draining(const struct pci_function *f)
{
	return f->express &&
	       (pci_read(f->sbdf, f->express + PCI_EXP_DEVSTA, 2) & PCI_EXP_DEVSTA_PENDING);
}

/* Starts the reset (on) or ends it. FLR ends by itself. */
static void drive(const struct pci_function *f, bool on)
{
	if (f->reset.kind == RESET_FLR && on)
		pci_change(f->sbdf, f->express + PCI_EXP_DEVCTL, 0, PCI_EXP_DEVCTL_FLR);
	else if (f->reset.kind == RESET_PM)
		pci_write(f->sbdf, f->pm + PCI_PM_CONTROL, 2, on ? PCI_PM_STATE : 0);
	else if (f->reset.kind == RESET_BUS)
		pci_change(f->bridge->sbdf, PCI_BRIDGE_CONTROL, PCI_BRIDGE_RESET,
			   on ? PCI_BRIDGE_RESET : 0);
}

int pci_reset(struct pci_function *f)
{
	bool drained = f->reset.step == STEP_DRAIN && !draining(f), answers;

	if (f->reset.step != STEP_BEGIN && !drained && now() < f->reset.until)
		return -ERESTART;
	switch (f->reset.step) {
	case STEP_BEGIN:
		f->reset.kind = reset_kind(f);
		if (f->reset.kind == RESET_NONE)
			return -EOPNOTSUPP;
		transfer(f, true);
		pci_write(f->sbdf, PCI_COMMAND, 2, PCI_COMMAND_NO_INTX);
		break;
	case STEP_DRAIN: drive(f, true); break;
	case STEP_HOLD: drive(f, false); break;
	case STEP_READY:
		answers = f->physfn ? pci_read(f->sbdf, PCI_CLASS, 4) >> 8 == f->class :
				      pci_read(f->sbdf, PCI_VENDOR, 2) == f->vendor;
		if (!answers && now() < f->reset.until + READY_NS)
			return -ERESTART;
		if (answers)
			transfer(f, false);
		f->reset.step = STEP_BEGIN;
		return answers ? 0 : -ETIMEDOUT;
	}
	f->reset.step++;
	f->reset.until = now() + STEP_NS;
	return -ERESTART;
}
