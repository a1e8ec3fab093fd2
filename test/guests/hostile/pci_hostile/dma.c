/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DMA to what is not this guest's. A pattern is written to each address and read back; neither may
 * arrive. QEMU's edu gets zeros where a unit blocks its reads.
 */
#include "hostile_device.h"

#define CHUNK		0x200000ul
#define UNIT		64u			/* bytes of a transfer */
#define BATCH 60u /* of units that the device's buffer holds beside the pattern */
#define INTERRUPTS	0xfee00000ul

static uint64_t pattern[UNIT / 8], back[BATCH][UNIT / 8];
static uint64_t tried[BATCH];
static unsigned int nr_tried;

static void load_pattern(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(pattern); i++)
		pattern[i] = random_u64();
	CHECK(edu_read(&edu, (uintptr_t)pattern, 0, UNIT), "edu is not ready");
}

/* Looks whether a pattern came back from one of the addresses. */
static void check_tried(void)
{
	if (!nr_tried)
		return;
	memset(back, 0xee, sizeof(back));
	CHECK(edu_write(&edu, (uintptr_t)back, UNIT, nr_tried * UNIT), "edu is not ready");
	for (unsigned int i = 0; i < nr_tried; i++)
		for (unsigned int j = 0; j < ARRAY_SIZE(pattern); j++) {
			CHECK(READ_ONCE(back[i][j]) != pattern[j], "DMA wrote and read %lx",
			      tried[i]);
			CHECK(!READ_ONCE(back[i][j]), "DMA read %lx: %lx", tried[i], back[i][j]);
		}
	nr_tried = 0;
}

static void try(uint64_t address)
{
	if (nr_tried == BATCH)
		check_tried();
	tried[nr_tried++] = address;
	CHECK(edu_write(&edu, address, 0, UNIT) && edu_read(&edu, address, nr_tried * UNIT, UNIT),
	      "edu is not ready at %lx", address);
}

/* Gives a page of this guest back, and has the device use it as before. */
static void try_given_back(uintptr_t page)
{
	xen_pfn_t gfn = page >> PAGE_SHIFT;
	struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };

	set_xen_guest_handle(r.extent_start, &gfn);
	CHECK_RET(memory_op(XENMEM_decrease_reservation, &r), 1);
	try(page);
	CHECK_RET(memory_op(XENMEM_populate_physmap, &r), 1);
	CHECK(!*(volatile uint64_t *)page || ~*(volatile uint64_t *)page, "no page at %lx", page);
}

void dma_everywhere(void)
{
	static const uint64_t places[] = {
		0xb0000000, /* the machine's config space; it is a hole here */
		0xc0000000, /* BARs: this guest's, then the machine's */
		0xfe000000,
		0xfe001000,
		0xfea00000,
		0xfeb00000,
		0xfebf0000,
		0xfec00000, /* IO-APIC, HPET */
		0xfed00000,
		0xfed80000, 0xfed80008, 0xfed82000,	/* AMD-Vi: tables, control, commands */
		0xfed90000, 0xfed90020, 0xfed90080,	/* VT-d: the same */
		0xffc00000, 0xfffff000,	/* firmware */
		0xe0000000,		/* this guest's config space */
		0x100000000, 0x17ffff000, 0x8000000000, 0x7ffffffff000, 0x800000000000,
		0xfffffffff000,
		/* Above what tables of four levels have: QEMU's AMD-Vi ignores these bits. */
		0x1000040000000,
		0xffffffffff000,
		0x10000040000000,
		0x8000000040000000,
		0xfffffffffffff000,
		0xffffffffffffffc0,
	};
	uint64_t own = ram_bytes(), step = cmdline_number("step_kb", 4096) * 1024;
	uint64_t end = cmdline_number("machine_mb", 512) << 20;
	uintptr_t page = (uintptr_t)page_alloc(2);

	load_pattern();
	for (unsigned int i = 0; i < ARRAY_SIZE(places); i++)
		try(places[i]);
	own = (own + CHUNK - 1) & ~(CHUNK - 1);
	for (uint64_t at = own; at < end; at += step)
		try(at + random_u64() % step / UNIT * UNIT);
	check_tried();
	for (unsigned int i = 0; i < 4; i++)
		try_given_back(page);
	check_tried();
	devices_restore("DMA");
}

/* A page that another domain has granted may be read until the grant is unmapped, and never written. */
void dma_to_grants(void)
{
	static uint64_t buffer[UNIT / 8];
	domid_t friend = (domid_t)cmdline_number("friend", 0);
	uintptr_t where = hole_alloc(1);
	grant_handle_t handle;

	if (!friend)
		return;
	CHECK(WAIT_FOR(map_grant(friend, FIRST_GRANT + 1, GNTMAP_host_map | GNTMAP_readonly, where,
				 &handle) == GNTST_okay,
		       5 * NS_PER_S),
	      "no page is granted");
	CHECK(edu_read(&edu, where, 0, UNIT) && edu_write(&edu, (uintptr_t)buffer, 0, UNIT),
	      "edu is not ready");
	barrier();
	CHECK(!memcmp(buffer, (const void *)where, UNIT), "DMA did not read a granted page");
	load_pattern();
	CHECK(edu_write(&edu, where, 0, UNIT), "edu is not ready");
	CHECK(!memcmp(buffer, (const void *)where, UNIT), "DMA wrote a page granted read-only");
	CHECK_RET(unmap_grant(where, handle), GNTST_okay);
	try(where);
	check_tried();
}

/*
 * Writes to where messages of interrupts go: each vector to each CPU, in the compatibility format,
 * and an index of each remapping entry near the first. Vectors of exceptions, and modes other than
 * fixed, are left out: a unit blocks them all, but QEMU's let them pass.
 */
void dma_to_interrupts(void)
{
	static uint32_t messages[512] __attribute__((aligned(64)));
	uint64_t cpus = cmdline_number("machine_cpus", 2);

	for (unsigned int first = 32; first < 256; first += 56)
		for (uint64_t cpu = 0; cpu <= cpus; cpu++) {
			for (unsigned int i = 0; i < ARRAY_SIZE(messages); i++)
				messages[i] = i & 4 ? 0 : first + i / 8 % 56;
			CHECK(edu_read(&edu, (uintptr_t)messages, 0, sizeof(messages)) &&
				      edu_write(&edu, INTERRUPTS + (cpu << 12), 0,
						sizeof(messages)),
			      "edu is not ready");
		}
	load_pattern();
	check_tried();
	devices_restore("messages by DMA");
}
