/* SPDX-License-Identifier: BSD-2-Clause */
/* See pci_sim.h. */
#include "pci_sim.h"

struct acpi_info boot_acpi;
struct sim_function sim_functions[64];
unsigned sim_nr, sim_writes;
stime_t sim_now;

stime_t now(void) { return sim_now; }

int sim_pci_setup(void **state)
{
	struct pci_function *f;

	(void)state;
	host_log_clear();
	memset(&boot_acpi, 0, sizeof(boot_acpi));
	memset(sim_functions, 0, sizeof(sim_functions));
	sim_nr = sim_writes = 0;
	while (!list_empty(&pci_functions)) {
		f = list_first(&pci_functions, struct pci_function, link);
		list_del(&f->link);
		kfree(f);
	}
	return 0;
}

/* Returns what is valid until the next call. */
volatile u8 *pci_ecam(u32 sbdf)
{
	static u8 bus[256 * PCI_CONFIG_SIZE];

	for (unsigned i = 0; i < boot_acpi.nr_ecam; i++) {
		const struct acpi_ecam *e = &boot_acpi.ecam[i];

		if (sbdf < e->sbdf || sbdf - e->sbdf >= e->size / PCI_CONFIG_SIZE)
			continue;
		memset(bus, 0xff, sizeof(bus));
		for (unsigned n = 0; n < sim_nr; n++)
			if (sim_functions[n].sbdf >> 8 == sbdf >> 8)
				memcpy(bus + pci_devfn(sim_functions[n].sbdf) * PCI_CONFIG_SIZE,
				       sim_functions[n].config, PCI_CONFIG_SIZE);
		return bus + pci_devfn(sbdf) * PCI_CONFIG_SIZE;
	}
	return NULL;
}

struct sim_function *sim_function(u32 sbdf)
{
	for (unsigned i = 0; i < sim_nr; i++)
		if (sim_functions[i].sbdf == sbdf)
			return &sim_functions[i];
	return NULL;
}

void sim_set(struct sim_function *f, unsigned reg, unsigned size, u32 val, u32 writable)
{
	memcpy(f->config + reg, &val, size);
	memcpy(f->writable + reg, &writable, size);
}

u32 sim_get(const struct sim_function *f, unsigned reg, unsigned size)
{
	u32 val = 0;

	memcpy(&val, f->config + reg, size);
	return val;
}

struct sim_function *sim_add(u32 sbdf, u16 vendor, u16 device, u32 class)
{
	struct sim_function *f = &sim_functions[sim_nr++];

	f->sbdf = sbdf;
	sim_set(f, PCI_VENDOR, 2, vendor, 0);
	sim_set(f, PCI_DEVICE, 2, device, 0);
	sim_set(f, PCI_CLASS, 4, class << 8, 0);
	sim_set(f, PCI_COMMAND, 2, 0, 0x547);
	sim_set(f, PCI_CACHE_LINE, 2, 0, 0xffff);
	sim_set(f, PCI_INT_LINE, 1, 0, 0xff);
	if (sbdf & 7)
		sim_function(sbdf & ~7U)->config[PCI_HEADER] |= PCI_HEADER_MULTI;
	return f;
}

struct sim_function *sim_bridge(u32 sbdf, u8 secondary, u8 subordinate)
{
	struct sim_function *f = sim_add(sbdf, 0x1b36, 0xc, 0x60400);

	f->config[PCI_HEADER] |= 1;
	sim_set(f, PCI_BUSES + 1, 1, secondary, 0);
	sim_set(f, PCI_BUSES + 2, 1, subordinate, 0);
	sim_set(f, PCI_BRIDGE_CONTROL, 2, 0, 0x7f);
	return f;
}

static void set_bar(struct sim_function *f, unsigned reg, u64 base, u64 size, u32 flags)
{
	u64 mask = -size;

	sim_set(f, reg, 4, (u32)base | flags, (u32)mask & ~0xfU);
	if (flags & PCI_BAR_64)
		sim_set(f, reg + 4, 4, base >> 32, mask >> 32);
}

void sim_bar(struct sim_function *f, unsigned i, u64 base, u64 size, u32 flags)
{
	set_bar(f, PCI_BAR0 + 4 * i, base, size, flags);
}

void sim_vf_bar(struct sim_function *f, unsigned i, u64 base, u64 size, u32 flags)
{
	set_bar(f, SIM_SRIOV + PCI_SRIOV_BAR0 + 4 * i, base, size, flags);
}

void sim_sriov(struct sim_function *f, u16 total, u16 offset, u16 stride, u16 device)
{
	sim_set(f, PCI_EXT_FIRST, 4, sim_get(f, PCI_EXT_FIRST, 4) | 1 | SIM_SRIOV << 20, 0);
	sim_set(f, SIM_SRIOV, 4, PCI_EXT_SRIOV | 1 << 16, 0);
	sim_set(f, SIM_SRIOV + PCI_SRIOV_CONTROL, 2, 0, 0x1f);
	sim_set(f, SIM_SRIOV + PCI_SRIOV_TOTAL, 2, total, 0);
	sim_set(f, SIM_SRIOV + PCI_SRIOV_NUM, 2, 0, 0xffff);
	sim_set(f, SIM_SRIOV + PCI_SRIOV_OFFSET, 2, offset, 0);
	sim_set(f, SIM_SRIOV + PCI_SRIOV_STRIDE, 2, stride, 0);
	sim_set(f, SIM_SRIOV + PCI_SRIOV_DEVICE, 2, device, 0);
	sim_set(f, SIM_SRIOV + PCI_SRIOV_PAGE_SIZE, 4, 2, 0xffff);
}

unsigned sim_cap(struct sim_function *f, u8 at, u8 id)
{
	f->config[PCI_STATUS] |= PCI_STATUS_CAPS;
	f->config[at] = id;
	f->config[at + 1] = f->config[PCI_CAPS];
	f->config[PCI_CAPS] = at;
	return at;
}

unsigned sim_express(struct sim_function *f, u8 at, u8 type, bool flr)
{
	sim_cap(f, at, PCI_CAP_EXPRESS);
	sim_set(f, at + PCI_EXP_FLAGS, 2, type << 4 | 2, 0);
	sim_set(f, at + PCI_EXP_DEVCAP, 4, flr ? PCI_EXP_DEVCAP_FLR : 0, 0);
	sim_set(f, at + PCI_EXP_DEVCTL, 2, 0x2810, 0x7fff);
	sim_set(f, at + PCI_EXP_DEVCTL2, 2, 0, 0xffff);
	return at;
}

void sim_acs(struct sim_function *f)
{
	sim_set(f, PCI_EXT_FIRST, 4, PCI_EXT_ACS | 1 << 16, 0);
	sim_set(f, PCI_EXT_FIRST + PCI_ACS_CAP, 2, 0x5f, 0);
	sim_set(f, PCI_EXT_FIRST + PCI_ACS_CONTROL, 2, 0, 0x5f);
}

/* What can be written is zero after a reset. */
static void reset(struct sim_function *f)
{
	for (unsigned i = 0; i < sizeof(f->config); i++)
		f->config[i] &= ~f->writable[i];
	f->resets++;
	f->absent_reads = 3;
}

static unsigned find(const struct sim_function *f, u8 id)
{
	unsigned at = f->config[PCI_CAPS];

	for (unsigned n = 0; n < 20 && at && f->config[at] != id; n++)
		at = f->config[at + 1];
	return at;
}

u32 pci_read(u32 sbdf, unsigned reg, unsigned size)
{
	struct sim_function *f = sim_function(sbdf);

	assert_true(reg + size <= 4096 && !(reg % size));
	if (!f || f->dead)
		return ~0U >> (32 - 8 * size);
	if (f->absent_reads && reg == PCI_VENDOR) {
		f->absent_reads--;
		return 0xffff;
	}
	return sim_get(f, reg, size);
}

void pci_write(u32 sbdf, unsigned reg, unsigned size, u32 value)
{
	struct sim_function *f = sim_function(sbdf);
	unsigned express, pm;
	u8 was, state;

	assert_true(reg + size <= 4096 && !(reg % size));
	sim_writes++;
	if (!f || f->dead)
		return;
	was = f->config[PCI_BRIDGE_CONTROL];
	express = find(f, PCI_CAP_EXPRESS);
	pm = find(f, PCI_CAP_PM);
	state = pm ? f->config[pm + PCI_PM_CONTROL] & PCI_PM_STATE : 0;
	for (unsigned i = 0; i < size; i++) {
		u8 m = f->writable[reg + i];

		f->config[reg + i] = (f->config[reg + i] & ~m) | (value >> 8 * i & m);
	}
	if ((express && reg == express + PCI_EXP_DEVCTL && (value & PCI_EXP_DEVCTL_FLR)) ||
	    (pm && reg == pm + PCI_PM_CONTROL && state == 3 && !(value & PCI_PM_STATE)))
		reset(f);
	if ((f->config[PCI_HEADER] & 0x7f) == 1 && reg == PCI_BRIDGE_CONTROL &&
	    (was & PCI_BRIDGE_RESET) && !(value & PCI_BRIDGE_RESET))
		for (unsigned i = 0; i < sim_nr; i++)
			if (pci_bus(sim_functions[i].sbdf) == f->config[PCI_BUSES + 1])
				reset(&sim_functions[i]);
}
