/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds the PCI functions at boot, with their BARs and capabilities, and which of them cannot be
 * isolated from each other. Disables bus mastering that firmware left on, so that no packet of a
 * network boot and no other stale transfer is written to memory that has a new use. Devices may be
 * broken or hostile: every walk is bounded. PCI 3.0, 6.2; PCI Express Base 4.0, 6.12 and 7.9.
 */
#include <margay/boot_state.h>
#include <margay/pci.h>
#include <margay/pci_regs.h>

#define MAX_CAPS 48U
#define MAX_EXT_CAPS 480U

struct list pci_functions = LIST_INIT(pci_functions);
struct spinlock pci_lock = SPINLOCK_INIT(LOCK_DEVICES);

/*
 * Calls fn for each function of a bus, and marks the buses behind bridges. ecam: its config space, to
 * look first where most likely nothing is; or NULL.
 */
static void __init scan_bus(u32 bus, const volatile u8 *ecam, u64 *buses, void (*fn)(u32 sbdf))
{
	for (u32 sbdf = bus, header = 0; sbdf < bus + 256; sbdf++, header = 0) {
		u32 at = pci_devfn(sbdf) * PCI_CONFIG_SIZE;

		if ((!ecam || *(const volatile u16 *)(ecam + at) != 0xffff) &&
		    pci_read(sbdf, PCI_VENDOR, 2) != 0xffff) {
			header = pci_read(sbdf, PCI_HEADER, 1);
			if ((header & PCI_HEADER_TYPE) == 1)
				set_bit(pci_read(sbdf, PCI_SECONDARY, 1), buses);
			fn(sbdf);
		}
		/* Without a function 0 there is no device. */
		if (!(sbdf & 7) && !(header & PCI_HEADER_MULTI))
			sbdf |= 7;
	}
}

/*
 * Calls fn for each function of some buses of a segment: bus 0 of the first, those behind bridges, and
 * those where config space in memory shows some, as only AML knows which are root buses.
 */
static void __init walk(u16 segment, unsigned first, unsigned last, void (*fn)(u32 sbdf))
{
	u64 buses[256 / 64] = { !segment };

	for (unsigned bus = first; bus <= last; bus++) {
		u32 sbdf = PCI_SBDF(segment, bus, 0);
		bool known = test_bit(bus, buses);
		const volatile u8 *ecam = known ? NULL : pci_ecam(sbdf);

		if (known || ecam)
			scan_bus(sbdf, ecam, buses, fn);
	}
}

static unsigned cap_size(u32 sbdf, u8 id, u8 at)
{
	u32 flags;

	switch (id) {
	case PCI_CAP_MSI:
		flags = pci_read(sbdf, at + PCI_MSI_CONTROL, 2);
		return 10 + (flags & PCI_MSI_64 ? 4 : 0) + (flags & PCI_MSI_MASKING ? 10 : 0);
	case PCI_CAP_EXPRESS:
		return (pci_read(sbdf, at + PCI_EXP_FLAGS, 2) & 0xf) > 1 ? 0x3c : 0x14;
	default: return id == PCI_CAP_PM ? 8 : 12;
	}
}

static void find_caps(struct pci_function *f)
{
	u8 at = (u8)pci_read(f->sbdf, PCI_CAPS, 1) & 0xfc, id, *to;

	if (f->header > 1 || !(pci_read(f->sbdf, PCI_STATUS, 2) & PCI_STATUS_CAPS))
		return;
	for (unsigned n = 0; n < MAX_CAPS && at >= PCI_CAPS_FIRST; n++) {
		id = (u8)pci_read(f->sbdf, at, 1);
		to = id == PCI_CAP_PM      ? &f->pm :
		     id == PCI_CAP_MSI     ? &f->msi :
		     id == PCI_CAP_EXPRESS ? &f->express :
		     id == PCI_CAP_MSIX    ? &f->msix :
					     NULL;
		if (to && !*to && at + cap_size(f->sbdf, id, at) <= 256)
			*to = at;
		at = (u8)pci_read(f->sbdf, at + 1, 1) & 0xfc;
	}
	if (f->express)
		f->express_type = (u8)pci_read(f->sbdf, f->express + PCI_EXP_FLAGS, 1) >> 4;
}

static void find_ext_caps(struct pci_function *f)
{
	unsigned at = PCI_EXT_FIRST;

	for (unsigned n = 0; f->express && n < MAX_EXT_CAPS && at >= PCI_EXT_FIRST; n++) {
		u32 header = pci_read(f->sbdf, at, 4);

		if (!header || header == ~0U)
			return;
		if ((header & 0xffff) == PCI_EXT_ACS && !f->acs)
			f->acs = (u16)at;
		if ((header & 0xffff) == PCI_EXT_SRIOV && !f->sriov &&
		    at + PCI_SRIOV_SIZE <= PCI_CONFIG_SIZE)
			f->sriov = (u16)at;
		at = header >> 20 & ~3U;
	}
}

/* Returns which bits of `bits` in a register can be written. Leaves the register as it was. */
static u32 probe(u32 sbdf, unsigned reg, u32 bits)
{
	u32 was = pci_read(sbdf, reg, 4), got;

	pci_write(sbdf, reg, 4, bits);
	got = pci_read(sbdf, reg, 4);
	pci_write(sbdf, reg, 4, was);
	return got;
}

/* Sizes a BAR. Returns how many registers it has. */
static unsigned size_bar(struct pci_function *f, struct pci_bar *b, unsigned reg, bool last)
{
	u64 mask = probe(f->sbdf, reg, ~0U);
	bool wide;

	if (!mask || mask == ~0U)
		return 1;
	b->io = mask & PCI_BAR_IO;
	b->prefetch = !b->io && (mask & PCI_BAR_PREFETCH);
	wide = !b->io && (mask & PCI_BAR_64);
	b->is64 = wide && !last;
	mask &= b->io ? ~3UL : ~0xfUL;
	if (b->is64)
		mask |= (u64)probe(f->sbdf, reg + 4, ~0U) << 32;
	else
		mask |= b->io && !(mask >> 16) ? ~0xffffUL : ~0UL << 32;
	b->size = -mask;
	/* The bits that can be written have gaps, or are none, or the upper half is missing. */
	if ((b->size & (b->size - 1)) || wide != b->is64 || (!wide && b->size >> 32)) {
		pr_warn("PCI: " PCI_FMT ": BAR %#x is broken: nobody gets this function\n",
			PCI_ARGS(f->sbdf), reg);
		f->hidden = true;
		b->size = 0;
	}
	return b->is64 ? 2 : 1;
}

void pci_size_bars(struct pci_function *f, struct pci_bar *b, unsigned reg, unsigned nr)
{
	for (unsigned i = 0; i < nr;)
		i += size_bar(f, &b[i], reg + 4 * i, i + 1 == nr);
}

/* Decoding is off meanwhile, but not where the console may be, or what others are behind of. */
static void size_bars(struct pci_function *f)
{
	u32 command = pci_read(f->sbdf, PCI_COMMAND, 2);
	bool keep = f->class >> 16 == PCI_CLASS_DISPLAY || f->class >> 16 == PCI_CLASS_BRIDGE;
	unsigned nr = !f->header ? 6 : f->header == 1 ? 2 : 0;

	if (!nr)
		return;
	if (!keep)
		pci_change(f->sbdf, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEM, 0);
	pci_size_bars(f, f->bar, PCI_BAR0, nr);
	pci_update_bars(f);
	if (!keep)
		pci_write(f->sbdf, PCI_COMMAND, 2, command);
}

paddr_t pci_bar_base(const struct pci_function *f, const struct pci_bar *b, unsigned reg)
{
	u64 at = b->size ? pci_read(f->sbdf, reg, 4) : 0;

	if (b->is64)
		at |= (u64)pci_read(f->sbdf, reg + 4, 4) << 32;
	return at & -b->size;
}

void pci_update_bars(struct pci_function *f)
{
	for (unsigned i = 0; i < PCI_BARS && !f->physfn; i++)
		f->bar[i].base = pci_bar_base(f, &f->bar[i], PCI_BAR0 + 4 * i);
}

void pci_insert(struct pci_function *f)
{
	struct pci_function *g;

	list_for_each(g, &pci_functions, link)
		if (g->sbdf > f->sbdf)
			break;
	list_add_tail(&f->link, &g->link);
}

struct pci_function *pci_find(u32 sbdf)
{
	struct pci_function *f;

	return pci_find_if(f, f->sbdf == sbdf);
}

static unsigned stopped __initdata;

static void __init stop_function(const struct pci_function *f)
{
	if (f->header == 1 || f->class >> 16 == PCI_CLASS_DISPLAY ||
	    f->class >> 16 == PCI_CLASS_BRIDGE || f->class >> 8 == PCI_CLASS_USB ||
	    !(pci_read(f->sbdf, PCI_COMMAND, 2) & PCI_COMMAND_MASTER))
		return;		/* SMM code may drive USB for a keyboard */
	pci_change(f->sbdf, PCI_COMMAND, PCI_COMMAND_MASTER, 0);
	stopped++;
}

/* Finds the bridge above. Its bus is below the bus behind it, so that there is no loop. */
static struct pci_function *find_bridge(u32 sbdf)
{
	struct pci_function *b;

	return pci_find_if(b, b->header == 1 && pci_segment(b->sbdf) == pci_segment(sbdf) &&
				      b->secondary == pci_bus(sbdf) &&
				      b->secondary > pci_bus(b->sbdf));
}

/* Keeps functions below a port, or in a device, from reaching each other. */
static void turn_on_acs(const struct pci_function *f)
{
	if (f->acs)
		pci_change(f->sbdf, f->acs + PCI_ACS_CONTROL, 0,
			   pci_read(f->sbdf, f->acs + PCI_ACS_CAP, 2) & PCI_ACS_WANTED);
}

void pci_probe(struct pci_function *f)
{
	u32 sbdf = f->sbdf;

	f->vendor = (u16)pci_read(sbdf, PCI_VENDOR, 2);
	f->device = (u16)pci_read(sbdf, PCI_DEVICE, 2);
	f->class = pci_read(sbdf, PCI_CLASS, 4) >> 8;
	f->header = pci_read(sbdf, PCI_HEADER, 1) & PCI_HEADER_TYPE;
	f->express_type = PCI_EXP_TYPE_NONE;
	f->group = sbdf;
	f->node = NODE_ANY;
	find_caps(f);
	find_ext_caps(f);
	turn_on_acs(f);
}

void pci_isolate(void)
{
	const struct pci_function *f;

	list_for_each(f, &pci_functions, link)
		turn_on_acs(f);
}

/* Called in the order of sbdf, so that bridges come before what is behind them. */
static struct pci_function *new_function(u32 sbdf)
{
	struct pci_function *f = kzalloc(sizeof(*f));

	if (!f)
		return NULL;
	f->sbdf = sbdf;
	pci_probe(f);
	f->bridge = find_bridge(sbdf);
	if (f->header == 1) {
		f->secondary = (u8)pci_read(sbdf, PCI_SECONDARY, 1);
		f->subordinate = (u8)pci_read(sbdf, PCI_SUBORDINATE, 1);
	}
	size_bars(f);
	if (f->sriov)
		pci_vf_init(f);
	pci_insert(f);
	return f;
}

static void __init add_function(u32 sbdf)
{
	const struct pci_function *f = new_function(sbdf);

	if (!f)
		panic("no memory for PCI functions\n");
	stop_function(f);
}

/* Returns whether packets enter b's switch by a port that sends them on to its neighbours. */
static bool in_open_switch(const struct pci_function *b)
{
	const struct pci_function *g;

	return pci_find_if(g, g->bridge == b->bridge && !g->acs &&
				      g->express_type == PCI_EXP_TYPE_DOWNSTREAM);
}

bool pci_leaks(const struct pci_function *b)
{
	for (; b; b = b->bridge)
		if (b->express_type != PCI_EXP_TYPE_UPSTREAM &&
		    (!b->acs || in_open_switch(b) ||
		     (b->express_type != PCI_EXP_TYPE_ROOT_PORT &&
		      b->express_type != PCI_EXP_TYPE_DOWNSTREAM)))
			return true;
	return false;
}

/* On a bus of PCI Express that is no root bus, all functions are of one device. */
static bool in_one_device(const struct pci_function *f, const struct pci_function *g)
{
	return !f->physfn && !g->physfn &&
	       (g->sbdf >> 3 == f->sbdf >> 3 || (f->bridge && g->bridge == f->bridge));
}

static void join(const struct pci_function *a, const struct pci_function *b)
{
	u32 to = min(a->group, b->group), from = max(a->group, b->group);
	struct pci_function *f;

	list_for_each(f, &pci_functions, link)
		if (f->group == from)
			f->group = to;
}

static void find_groups(void)
{
	struct pci_function *f, *g;

	list_for_each(f, &pci_functions, link) {
		if (pci_leaks(f->bridge))
			join(f, f->bridge);
		list_for_each(g, &pci_functions, link)
			if (in_one_device(f, g) && !f->acs &&
			    (!g->acs || f->express_type == PCI_EXP_TYPE_DOWNSTREAM))
				join(f, g);
	}
}

struct pci_function *pci_discover(u32 sbdf)
{
	struct pci_function *f = NULL, *g;

	/* A virtual function may say a vendor, but has BARs elsewhere. */
	if (pci_find_if(g, pci_vf_index(g, sbdf) >= 0))
		return NULL;
	if (pci_read(sbdf, PCI_VENDOR, 2) != 0xffff &&
	    !(pci_read(sbdf, PCI_HEADER, 1) & PCI_HEADER_TYPE))
		f = new_function(sbdf);
	if (f)
		find_groups();
	return f;
}

static u32 serial_function __initdata = ~0U;

void __init pci_init(void)
{
	walk(0, 0, 255, add_function);
	for (unsigned i = 0; i < boot_acpi.nr_ecam; i++) {
		const struct acpi_ecam *e = &boot_acpi.ecam[i];

		if (pci_segment(e->sbdf))
			walk((u16)pci_segment(e->sbdf), pci_bus(e->sbdf),
			     pci_bus(e->sbdf) + (unsigned)(e->size >> 20) - 1, add_function);
	}
	find_groups();
	if (pci_find(serial_function))
		pci_find(serial_function)->hidden = true;
	if (stopped)
		pr_info("PCI: stopped %u device%s that firmware left as bus master%s\n", stopped,
			stopped == 1 ? "" : "s", stopped == 1 ? "" : "s");
}

static u16 serial_port __initdata;

static void __init find_serial(u32 sbdf)
{
	u32 bar = pci_read(sbdf, PCI_BAR0, 4);

	if (serial_port || pci_read(sbdf, PCI_CLASS, 4) >> 16 != PCI_CLASS_SERIAL ||
	    !(bar & PCI_BAR_IO))
		return;
	serial_port = bar & 0xfffc;
	serial_function = sbdf;
	pci_change(sbdf, PCI_COMMAND, 0, PCI_COMMAND_IO);
}

u16 __init pci_serial_port(void)
{
	walk(0, 0, 255, find_serial);
	return serial_port;
}
