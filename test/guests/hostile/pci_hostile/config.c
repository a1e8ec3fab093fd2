/* SPDX-License-Identifier: BSD-2-Clause */
/* Config space, BARs and bus mastering. */
#include "hostile_device.h"

#define CONFIG_SIZE	4096u
#define BUS_SIZE	0x100000u
#define PCI_BUSES	0x18
#define PCI_HEADER	0x0e

/* The bridges of this guest's bus, if it has any, and which buses they had at first. */
static struct {
	volatile uint8_t *config;
	uint32_t buses;
} bridges[32];
static unsigned int nr_bridges;

void bridges_init(void)
{
	for (unsigned int devfn = 0; devfn < 256; devfn += 8) {
		volatile uint8_t *config = pci_config(0, devfn);

		if (pci_read16(config, 0) == 0xffff || (pci_read8(config, PCI_HEADER) & 0x7f) != 1)
			continue;
		bridges[nr_bridges].config = config;
		bridges[nr_bridges++].buses = pci_read32(config, PCI_BUSES);
	}
}

void bridges_restore(void)
{
	for (unsigned int i = 0; i < nr_bridges; i++)
		pci_write32(bridges[i].config, PCI_BUSES, bridges[i].buses);
}

static void store(volatile uint8_t *at, unsigned int size, uint64_t val)
{
	switch (size) {
	case 1: *at = (uint8_t)val; break;
	case 2: *(volatile uint16_t *)at = (uint16_t)val; break;
	case 4: *(volatile uint32_t *)at = (uint32_t)val; break;
	case 8: *(volatile uint64_t *)at = val; break;
	default: asm volatile("movups %%xmm0, (%0)" :: "r"(at) : "memory");
	}
}

static void load(volatile uint8_t *at, unsigned int size)
{
	switch (size) {
	case 1: (void)*at; break;
	case 2: (void)*(volatile uint16_t *)at; break;
	case 4: (void)*(volatile uint32_t *)at; break;
	case 8: (void)*(volatile uint64_t *)at; break;
	default: asm volatile("movups (%0), %%xmm0" :: "r"(at) : "memory");
	}
}

void access_store(volatile uint8_t *at, unsigned int size, uint64_t val)
{
	(void)FAULT_OF(store(at, size, val));
	cpu_pause();	/* QEMU by -icount goes to the other CPU only then */
}

static void access_load(volatile uint8_t *at, unsigned int size)
{
	(void)FAULT_OF(load(at, size));
}

/* Accesses bytes of what has that size, in all widths, aligned or not. */
static void access_random(volatile uint8_t *base, unsigned int size)
{
	volatile uint8_t *at = base + random_u64() % size;
	unsigned int width = 1u << random_u64() % 5;

	if (random_u64() % 8)
		access_store(at, width, random_u64());
	else
		access_load(at, width);
}

/* Each register of a function in turn. */
static void config_function(volatile uint8_t *config)
{
	for (unsigned int reg = 0; reg < 256; reg++)
		for (unsigned int size = 1; size <= 16; size *= 2)
			access_store(config + reg, size, random_u64());
}

void config_everywhere(void)
{
	uint64_t n = cmdline_number("accesses", 3000);
	unsigned int buses = 1;

	while (pci_config(buses, 0))
		buses++;
	config_function(edu.config);
	if (nvme)
		config_function(nvme);
	for (uint64_t i = 0; i < n; i++) {
		access_random(edu.config, CONFIG_SIZE);
		if (nvme)
			access_random(nvme, CONFIG_SIZE);
		if (nr_bridges)
			access_random(bridges[i % nr_bridges].config, CONFIG_SIZE);
		if (i % 8 == 0)
			access_random(pci_config(0, 0), buses * BUS_SIZE);
		if (i % 64 == 0)
			bridges_restore();
	}
	bridges_restore();
	CHECK(pci_read32(edu.config, 0) == EDU_ID, "edu is now %x", pci_read32(edu.config, 0));
	devices_restore("config space");
}

static void try_as_memory(uintptr_t regs)
{
	xen_pfn_t gfn = regs >> PAGE_SHIFT;
	struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };
	grant_handle_t handle;

	set_xen_guest_handle(r.extent_start, &gfn);
	CHECK_RET(memory_op(XENMEM_decrease_reservation, &r), 0);
	CHECK_RET(sched_op(SCHEDOP_poll, (void *)regs), -XEN_EFAULT);
	grants_init();
	grant(FIRST_GRANT, own_domid(), (const void *)regs, 0);
	CHECK(map_grant(own_domid(), FIRST_GRANT, GNTMAP_host_map, hole_alloc(1), &handle) < 0,
	      "a register can be granted");
}

void bars_everywhere(void)
{
	static const uint32_t places[] = {
		0, 0x1000, 0x200000, 0x800000, 0x40000000, 0xb0000000, 0xbff00000, 0xbfffc000,
		0xc0000000, 0xc0100000, 0xc8000000, 0xdff00000, 0xdfffc000, 0xe0000000, 0xe0004000,
		0xe0008000, 0xe0010000, 0xfeb00000, 0xfebf0000, 0xfec00000, 0xfed80000, 0xfed90000,
		0xfee00000, 0xfffff000, 0xffffffff,
	};
	uint32_t version = lapic_read(LAPIC_VERSION), edu_at = (uint32_t)(uintptr_t)edu.regs;

	for (unsigned int i = 0; i < ARRAY_SIZE(places); i++)
		for (unsigned int order = 0; order < 4; order++) {
			volatile uint8_t *dev = nvme && order & 1 ? nvme : edu.config;

			pci_write16(dev, PCI_COMMAND, order & 2 ? PCI_COMMAND_MASTER : 0);
			pci_write32(dev, PCI_BAR(0), places[i]);
			if (dev == nvme)
				pci_write32(dev, PCI_BAR(1),
					    order & 2 ? (uint32_t)random_u64() : 0);
			pci_write16(dev, PCI_COMMAND, 0xffff);
			pci_write32(dev, PCI_BAR(0), ~places[i]); /* while it is decoded */
			CHECK(lapic_read(LAPIC_VERSION) == version, "BAR at %x: no LAPIC",
			      places[i]);
			CHECK(pci_read32(edu.config, 0) == EDU_ID, "BAR at %x: no config space",
			      places[i]);
			canary_check("moving a BAR");
		}
	/* Device memory is nobody's to give back, to grant or to have hypercalls' arguments in. */
	devices_restore("moving BARs");
	try_as_memory((uintptr_t)edu.regs);
	/* One over the other. */
	for (unsigned int i = 0; nvme && i < 2; i++) {
		volatile uint8_t *first = i ? nvme : edu.config, *second = i ? edu.config : nvme;

		pci_write16(edu.config, PCI_COMMAND, 0);
		pci_write16(nvme, PCI_COMMAND, 0);
		pci_write32(edu.config, PCI_BAR(0), edu_at);
		pci_write32(nvme, PCI_BAR(0), edu_at + 0x4000);
		pci_write32(nvme, PCI_BAR(1), 0);
		pci_write16(first, PCI_COMMAND, PCI_COMMAND_MEMORY);
		pci_write16(second, PCI_COMMAND, PCI_COMMAND_MEMORY);
		for (unsigned int reg = 0; reg < 0x8000; reg += 0x400)
			access_load((volatile uint8_t *)(uintptr_t)edu_at + reg, 4);
	}
	devices_restore("moving BARs");
}

/* Starts a transfer to own memory, changes COMMAND within its 100 ms. */
static void master_change(uint16_t before, uint16_t during, bool may_arrive)
{
	static uint64_t from, to;

	from = random_u64();
	to = 0;
	CHECK(edu_read(&edu, (uintptr_t)&from, 0, sizeof(from)), "edu is not ready");
	pci_write16(edu.config, PCI_COMMAND, before);
	edu_begin_write(&edu, (uintptr_t)&to, 0, sizeof(to));
	pci_write16(edu.config, PCI_COMMAND, during);
	block_until(now_ns() + 110 * NS_PER_MS);
	CHECK(!READ_ONCE(to) || may_arrive, "DMA without bus mastering: COMMAND %x, then %x",
	      before, during);
	pci_write16(edu.config, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

void bus_master_orders(void)
{
	const uint16_t mem = PCI_COMMAND_MEMORY, master = PCI_COMMAND_MASTER;

	master_change(mem, mem, false);
	master_change(mem | master, mem, false);
	master_change(mem | master, 0, false);
	master_change(mem | master, master, true);
	master_change(mem, mem | master, true);
	for (unsigned int i = 0; i < 200; i++)
		access_store(edu.config + PCI_COMMAND, 2, random_u64());
	devices_restore("bus mastering");
}
