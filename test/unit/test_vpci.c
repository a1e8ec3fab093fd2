/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI functions of domains: who gets one, what the domain sees of it and changes in it, MSI and
 * MSI-X, and what is left of it all afterwards.
 * unit-sources: arch/x86/guest/vpci.c arch/x86/guest/vpci_bar.c arch/x86/guest/vmsi.c common/passthrough.c
 * unit-sources: arch/x86/guest/vport.c arch/x86/guest/vsriov.c drivers/pci/scan.c drivers/pci/reset.c drivers/pci/sriov.c test/unit/pci_sim.c test/unit/mock_heap.c
 */
#include "pci_sim.h"

#include <margay/domain_parts.h>
#include <margay/errno.h>
#include <margay/evtchn.h>
#include <margay/iommu.h>
#include <margay/quiesce.h>
#include <x86/build.h>
#include <x86/cpuid_policy.h>
#include <x86/features.h>
#include <x86/hardware.h>
#include <x86/irq.h>
#include <x86/mmio.h>
#include <x86/paging.h>
#include <x86/posting.h>
#include <x86/vlapic.h>
#include <x86/vpci.h>

#include "../../arch/x86/guest/vpci.h"

#include "mock_heap.h"

#define NVME PCI_SBDF(0, 0, 5 << 3)
#define NIC PCI_SBDF(0, 0, 6 << 3)
#define GUEST_NVME PCI_SBDF(0, 1, 0)
#define PF PCI_SBDF(0, 0, 12 << 3)	/* has two virtual functions: */
#define VF(n) (PF + 2 + 2 * (n))
#define VF_BAR 0xf0000000UL
#define BAR 0xe000004000UL
#define TABLE 0x2000
#define MESSAGES 5
#define RAM_END 0x80000000UL
#define MAPPED 64

struct x86_features x86 = { .phys_bits = 40 };
extern const struct domain_part pci_part;

static struct cpu cpu[2] = { { .apic_id = 0 }, { .id = 1, .apic_id = 1 } };
struct cpu *host_cpu = &cpu[0];
static struct vcpu vcpus[2];
static struct domain *guest, *other, *control;
static u8 table_pages[4 * PAGE_SIZE] __aligned(4096); /* of the function, from TABLE on */
static struct {
	struct domain *d;
	gfn_t gfn;
	mfn_t mfn;
} mapped[MAPPED];
static struct domain *attached[256];	/* by device and function */
static unsigned detaches, bound_irqs, routes, allocated, periods, left_until_over;
static struct irq *last_bound;
static bool reserved, no_vectors;
static paddr_t table_at;
static gfn_t demanded;	/* memory of a guest that comes when it is touched */
static u16 delivered;	/* destination << 8 | vector */

void vlapic_message(struct domain *d, u64 address, u32 data, bool level)
{
	assert_false(level || (data & 0xff00));
	assert_ptr_equal(d, guest);
	delivered = (u16)((address >> 4 & 0xff00) | (u8)data);
}

struct vcpu *vlapic_message_vcpu(struct domain *d, u64 address)
{
	return d->vcpus[address >> 12 & 1];
}

static const struct domain *has_mtrr;

void cpuid_offer_mtrr(struct domain *d) { has_mtrr = d; }

static u32 event;	/* the PIRQ of the last one */

void evtchn_pirq(struct domain *d, u32 pirq)
{
	assert_ptr_equal(d, guest);
	event = pirq;
}

struct vcpu *evtchn_pirq_vcpu(struct domain *d, u32 pirq)
{
	return d->vcpus[pirq & 1];
}

struct cpu *housekeeping_cpu;
static struct cpu *owner;	/* of whose local APIC a vCPU uses */

struct cpu *vlapic_message_owner(const struct domain *d, u64 address, u32 data)
{
	(void)d;
	(void)address;
	return data < 0x100 ? owner : NULL;
}

static bool posts;	/* the IOMMU can */
static struct iommu_irq last_route;

bool iommu_irq_posts(const struct iommu_irq *i)
{
	return posts && i->unit;
}

/* Only these go to one vCPU for sure. */
paddr_t posting_target(struct domain *d, u64 address, u32 data)
{
	assert_ptr_equal(d, guest);
	assert_int_not_equal(data, 0);
	return address == 0xfee01000 ? 0x12340 : 0;
}

int irq_bind(struct irq *i, struct cpu *c)
{
	if (no_vectors)
		return -ENOSPC;
	last_bound = i;
	i->cpu = c;
	i->vector = (u8)(0x40 + bound_irqs++);
	return 0;
}

void irq_unbind(struct irq *i)
{
	bound_irqs -= i->cpu != NULL;
	i->cpu = NULL;
}

bool iommu_present(void) { return true; }
bool iommu_covers(u32 sbdf) { return sbdf != PCI_SBDF(0, 0, 7 << 3); }
bool iommu_isolates(u32 sbdf) { return iommu_covers(sbdf) && !(sbdf == NVME && reserved); }

int iommu_attach(struct domain *d, struct pci_function *f)
{
	assert_null(attached[f->sbdf & 0xff]);
	if (!iommu_covers(f->sbdf))
		return -ENODEV;
	attached[f->sbdf & 0xff] = d;
	return 0;
}

void iommu_detach(struct pci_function *f)
{
	attached[f->sbdf & 0xff] = NULL;
	detaches++;
}

int iommu_irq_alloc(struct iommu_irq *i, u32 sbdf)
{
	*i = (struct iommu_irq){ .unit = (void *)1, .sbdf = sbdf, .index = (u16)allocated++ };
	return 0;
}

void iommu_irq_route(struct iommu_irq *i, u32 apic_id, u8 vector, bool level)
{
	assert_false(level);
	i->apic_id = apic_id;
	i->vector = vector;
	last_route = *i;
	routes++;
}

void iommu_irq_free(struct iommu_irq *i)
{
	iommu_irq_route(i, 0, 0, false);
	allocated--;
}

void iommu_irq_message(const struct iommu_irq *i, u64 *address, u32 *data)
{
	*address = 0xfee00010UL | i->index << 5;
	*data = 0;
}

void *map_mmio(paddr_t pa, size_t size)
{
	assert_true(pa == table_at && size == PAGE_SIZE);
	return table_pages;
}

void mmio_add(struct domain *d, struct mmio_region *r)
{
	r->next = d->mmio;
	d->mmio = r;
}

void mmio_remove(struct domain *d, struct mmio_region *r)
{
	struct mmio_region **at = &d->mmio;

	while (*at && *at != r)
		at = &(*at)->next;
	assert_non_null(*at);
	*at = r->next;
}

struct p2m_entry p2m_lookup(struct domain *d, gfn_t gfn)
{
	for (unsigned i = 0; i < MAPPED; i++)
		if (mapped[i].d == d && mapped[i].gfn == gfn)
			return (struct p2m_entry){ mapped[i].mfn, P2M_MMIO, 0 };
	return (struct p2m_entry){ .type = P2M_NONE };
}

int p2m_map_over(struct domain *d, gfn_t gfn, mfn_t mfn, enum p2m_type type, u32 over)
{
	assert_true(type == P2M_MMIO && !over);
	if (p2m_lookup(d, gfn).type != P2M_NONE)
		return -EINVAL;
	for (unsigned i = 0; i < MAPPED; i++)
		if (!mapped[i].d) {
			mapped[i].d = d;
			mapped[i].gfn = gfn;
			mapped[i].mfn = mfn;
			return 0;
		}
	fail_msg("too many pages");
	return -ENOMEM;
}

int p2m_map(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned order, enum p2m_type type)
{
	(void)d;
	fail_msg("%lx %lx %u %u: no BAR is so large", gfn, mfn, order, type);
	return 0;
}

int p2m_unmap(struct domain *d, gfn_t gfn, u32 types)
{
	assert_int_equal(types, 1U << P2M_MMIO);
	for (unsigned i = 0; i < MAPPED; i++)
		if (mapped[i].d == d && mapped[i].gfn == gfn) {
			mapped[i].d = NULL;
			return 0;
		}
	return -ENOENT;
}

static bool no_tables;
static struct domain *crashed;

unsigned p2m_unmap_pages(struct domain *d, gfn_t gfn, unsigned n, u32 types)
{
	assert_int_equal(n, 1);	/* no BAR is larger than a chunk */
	return !no_tables && !p2m_unmap(d, gfn, types);
}

void domain_crash(struct domain *d, struct vcpu *v, const char *why, ...)
{
	assert_null(v);
	assert_string_equal(why, "no memory to take a device away");
	crashed = d;
}

bool memory_is_devices(const struct domain *d, const struct pci_function *f, paddr_t at, u64 size)
{
	return at >= RAM_END && !(at < 0xfef00000 && at + size > 0xfee00000) &&
	       pci_memory_is_free(d, f, at, size);
}
bool on_demand(const struct domain *d, gfn_t gfn)
{
	(void)d;
	return gfn == demanded;
}
unsigned arch_phys_bits(void)
{
	return x86.phys_bits;
}
u64 quiesce_start(void)
{
	left_until_over = 2;
	return ++periods;
}
bool quiesce_over(u64 period)
{
	return period <= periods && !(left_until_over && left_until_over--);
}

static unsigned pages_of(const struct domain *d)
{
	unsigned n = 0;

	for (unsigned i = 0; i < MAPPED; i++)
		n += mapped[i].d == d;
	return n;
}

static struct domain *new_domain(bool hardware)
{
	struct domain *d =
		calloc(1, sizeof(*d) + sizeof(vcpus) / sizeof(vcpus[0]) * sizeof(void *));

	d->hardware = hardware;
	d->nr_vcpus = 2;
	d->vcpus[0] = &vcpus[0];
	d->vcpus[1] = &vcpus[1];
	return d;
}

static int setup(void **state)
{
	struct sim_function *s;

	sim_pci_setup(state);
	memset(mapped, 0, sizeof(mapped));
	memset(attached, 0, sizeof(attached));
	memset(table_pages, 0, sizeof(table_pages));
	detaches = bound_irqs = routes = allocated = 0;
	reserved = no_vectors = posts = false;
	demanded = 0;
	table_at = BAR + TABLE;
	vcpus[0].cpu = &cpu[0];
	vcpus[1].cpu = &cpu[1];
	sim_add(PCI_SBDF(0, 0, 0), 0x8086, 0x29c0, 0x60000);
	s = sim_add(NVME, 0x1b36, 0x10, 0x10802);
	sim_bar(s, 0, BAR, 0x4000, PCI_BAR_64);
	sim_bar(s, 2, 0xc000, 0x20, PCI_BAR_IO);
	sim_cap(s, 0x40, PCI_CAP_MSIX);
	sim_set(s, 0x42, 2, MESSAGES - 1, 0xc000);
	sim_set(s, 0x44, 4, TABLE, 0);
	sim_set(s, 0x48, 4, 0x3000, 0);
	sim_cap(s, 0x60, PCI_CAP_MSI);
	sim_set(s, 0x62, 2, PCI_MSI_64 | 2 << 1, 0x71);
	sim_set(s, 0x64, 4, 0, ~3U);
	sim_set(s, 0x68, 4, 0, ~0U);
	sim_set(s, 0x6c, 2, 0, 0xffff);
	sim_express(s, 0x80, 0, true);
	sim_acs(s);
	s = sim_add(NIC, 0x8086, 0x10d3, 0x20000);
	sim_bar(s, 0, 0xfe000000, 0x20000, 0);
	sim_express(s, 0x80, 0, true);
	s = sim_add(PF, 0x1b36, 0x11, 0x10802);
	sim_bar(s, 0, 0xf8000000, 0x4000, 0);
	sim_express(s, 0x80, 0, true);
	sim_sriov(s, 2, 2, 2, 0x12);
	sim_vf_bar(s, 0, 0, 0x4000, PCI_BAR_64);
	sim_vf_bar(s, 2, 0, 0x1000, 0);
	for (unsigned i = 0; i < 2; i++) {
		s = sim_add(VF(i), 0xffff, 0xffff, 0x10802);
		sim_set(s, PCI_COMMAND, 2, 0, PCI_COMMAND_MASTER);
		sim_express(s, 0x80, 0, true);
		sim_cap(s, 0x40, PCI_CAP_MSIX);
		sim_set(s, 0x42, 2, 0, 0xc000);
		sim_set(s, 0x44, 4, TABLE, 0);
	}
	boot_acpi.ecam[0] = (struct acpi_ecam){ 0xb0000000, 256UL << 20, 0 };
	boot_acpi.nr_ecam = 1;
	pci_init();
	guest = new_domain(false);
	other = new_domain(false);
	control = new_domain(true);
	assert_int_equal(vpci_create(guest), 0);
	assert_int_equal(vpci_create(other), 0);
	return 0;
}

static void destroy(struct domain *d)
{
	while (pci_part.destroy(d) == -ERESTART)
		sim_now += 1000000;
	free(d);
}

static int teardown(void **state)
{
	struct pci_function *f;

	(void)state;
	destroy(guest);
	destroy(other);
	destroy(control);
	list_for_each(f, &pci_functions, link) {
		assert_null(f->owner);
		assert_null(f->view);
		assert_false(sim_get(sim_function(f->sbdf), PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
		assert_null(attached[f->sbdf & 0xff]);
	}
	assert_int_equal(bound_irqs, 0);
	assert_int_equal(allocated, 0);
	assert_int_equal(pages_of(guest) + pages_of(control), 0);
	sim_pci_setup(NULL);
	assert_int_equal(heap_objects, 0);
	return 0;
}

static int create_control(void)
{
	int rc;

	while ((rc = pci_part.create(control)) == -ERESTART)
		;
	return rc;
}

static int assign(struct domain *d, u32 sbdf)
{
	int rc;

	while ((rc = pci_assign(d, sbdf)) == -ERESTART)
		sim_now += 1000000;
	return rc;
}

static int revoke(u32 sbdf)	/* by force */
{
	int rc;

	while ((rc = pci_revoke(sbdf, true)) == -ERESTART)
		sim_now += 1000000;
	return rc;
}

static u64 region_read(struct mmio_region *r, u64 offset, unsigned size)
{
	u64 val = ~0UL;

	r->access(&vcpus[0], r, offset, size, &val, false);
	return val;
}

static void region_write(struct mmio_region *r, u64 offset, unsigned size, u64 val)
{
	r->access(&vcpus[0], r, offset, size, &val, true);
}

/* Accesses config space by its memory. */
static u64 config(struct domain *d, u64 at, unsigned size, u64 val, bool write)
{
	struct vcpu v = { .domain = d };
	struct mmio_region *r = d->mmio;

	while (r && r->size == PAGE_SIZE)
		r = r->next;
	r->access(&v, r, at, size, &val, write);
	return val;
}

static u32 read_of(struct domain *d, u32 sbdf, unsigned reg, unsigned size)
{
	return (u32)config(d, sbdf * 4096UL + reg, size, ~0UL, false);
}

static void write_of(struct domain *d, u32 sbdf, unsigned reg, unsigned size, u32 val)
{
	config(d, sbdf * 4096UL + reg, size, val, true);
}

static u32 rd(unsigned reg, unsigned size) { return read_of(guest, GUEST_NVME, reg, size); }

static void wr(unsigned reg, unsigned size, u32 val)
{
	write_of(guest, GUEST_NVME, reg, size, val);
}

static void test_view(void **state)
{
	struct sim_function *s = sim_function(NVME);
	u64 at;

	(void)state;
	assert_int_equal(assign(guest, NVME), 0);
	assert_int_equal(s->resets, 1);
	assert_ptr_equal(attached[NVME], guest);
	assert_int_equal(assign(guest, NVME), -EBUSY);
	assert_int_equal(assign(other, NVME), -EBUSY);
	assert_int_equal(rd(0, 4), 0x00101b36);
	assert_int_equal(read_of(guest, PCI_SBDF(0, 0, 0), 0, 4), ~0U);
	assert_int_equal((u16)read_of(other, GUEST_NVME, 0, 2), 0xffff);
	assert_int_equal(rd(PCI_COMMAND, 2), 0);
	assert_int_equal(rd(PCI_BAR0 + 8, 4), 0);	/* no ports */
	assert_int_equal(rd(PCI_ROM, 4), 0);
	assert_false(rd(0x84, 4) & PCI_EXP_DEVCAP_FLR);
	/* Size, and place. */
	at = rd(PCI_BAR0, 4) | (u64)rd(PCI_BAR0 + 4, 4) << 32;
	assert_int_equal(at, GUEST_PCI_BASE | PCI_BAR_64);
	wr(PCI_BAR0, 4, ~0U);
	wr(PCI_BAR0 + 4, 4, ~0U);
	assert_int_equal(rd(PCI_BAR0, 4), 0xffffc004);
	assert_int_equal(rd(PCI_BAR0 + 4, 4), ~0U);
	wr(PCI_COMMAND, 2, PCI_COMMAND_MEM);	/* that is nowhere */
	assert_int_equal(pages_of(guest), 0);
	wr(PCI_COMMAND, 2, 0);
	wr(PCI_BAR0, 4, 0xd0004000);
	wr(PCI_BAR0 + 4, 4, 0);
	wr(PCI_COMMAND, 2, PCI_COMMAND_MEM | PCI_COMMAND_MASTER | PCI_COMMAND_IO);
	assert_int_equal(rd(PCI_COMMAND, 2), PCI_COMMAND_MEM | PCI_COMMAND_MASTER);
	assert_int_equal(sim_get(s, PCI_COMMAND, 2),
			 PCI_COMMAND_MEM | PCI_COMMAND_MASTER | PCI_COMMAND_NO_INTX);
	/* All pages but the table's. */
	assert_int_equal(pages_of(guest), 3);
	assert_int_equal(p2m_lookup(guest, 0xd0004).mfn, BAR >> PAGE_SHIFT);
	assert_int_equal(p2m_lookup(guest, 0xd0007).mfn, (BAR >> PAGE_SHIFT) + 3);
	assert_int_equal(p2m_lookup(guest, 0xd0006).type, P2M_NONE);
	/* A BAR does not move while it decodes. */
	wr(PCI_BAR0, 4, 0xd0008000);
	assert_int_equal(rd(PCI_BAR0, 4), 0xd0004004);
	wr(PCI_COMMAND, 2, 0);
	assert_int_equal(pages_of(guest), 0);
	assert_int_equal(sim_get(s, PCI_BAR0, 4), (u32)BAR | PCI_BAR_64);
	/* Parts of registers. */
	wr(PCI_BAR0 + 1, 1, 0x80);
	assert_int_equal(rd(PCI_BAR0, 4), 0xd0008004);
	assert_int_equal(rd(PCI_BAR0 + 2, 2), 0xd000);
	wr(PCI_COMMAND, 4, 0xffff0002);
	assert_int_equal(pages_of(guest), 3);
	/* A guest does not keep what cannot be unmapped. */
	no_tables = true;
	wr(PCI_COMMAND, 2, 0);
	no_tables = false;
	assert_ptr_equal(crashed, guest);
	assert_int_equal(pages_of(guest), 3);
	vpci_unmap(guest, 0xd0008000, 0x4000);
	wr(PCI_COMMAND, 2, PCI_COMMAND_MEM);
	assert_int_equal(revoke(NVME), 0);
	assert_int_equal(s->resets, 2);
	assert_int_equal(revoke(NVME), -ENOENT);
	assert_int_equal(rd(0, 4), ~0U);
	assert_int_equal(assign(other, NVME), 0);
}

static struct mmio_region *table_region(void)
{
	struct mmio_region *r = guest->mmio;

	while (r && r->size != PAGE_SIZE)
		r = r->next;
	return r;
}

static void entry_write(unsigned i, u64 address, u32 data, u32 masked)
{
	struct mmio_region *r = table_region();

	region_write(r, i * 16, 8, address);
	region_write(r, i * 16 + 8, 4, data);
	region_write(r, i * 16 + 12, 4, masked);
}

static u32 hw(unsigned i, unsigned dword) { return ((u32 *)table_pages)[i * 4 + dword]; }

static void test_msix(void **state)
{
	struct sim_function *s = sim_function(NVME);
	struct mmio_region *r;

	(void)state;
	assert_int_equal(assign(guest, NVME), 0);
	assert_null(table_region());
	wr(PCI_COMMAND, 2, PCI_COMMAND_MEM);
	r = table_region();
	assert_non_null(r);
	assert_int_equal(r->base, GUEST_PCI_BASE + TABLE);
	assert_int_equal(rd(0x42, 2), MESSAGES - 1);
	entry_write(1, 0xfee01000, 0x55, 0);
	assert_int_equal(hw(1, 3), 1);	/* off: nothing is bound */
	assert_int_equal(bound_irqs, 0);
	wr(0x42, 2, 0xffff);
	assert_int_equal(rd(0x42, 2), 0xc000 | (MESSAGES - 1));
	assert_int_equal(sim_get(s, 0x42, 2), 0xc000 | (MESSAGES - 1));
	wr(0x42, 2, PCI_MSIX_ENABLE);
	assert_int_equal(hw(1, 0), 0xfee00010);
	assert_int_equal(hw(1, 3), 0);
	for (unsigned i = 0; i < MESSAGES; i++)
		assert_int_equal(hw(i, 3), i != 1);
	assert_int_equal(bound_irqs, 1);
	assert_int_equal(routes, 1);
	/* Reads give what was written. */
	assert_int_equal(region_read(r, 16, 8), 0xfee01000);
	assert_int_equal(region_read(r, 24, 8), 0x55);
	assert_int_equal(region_read(r, 25, 1), 0);
	/* The same vCPU: no new vector. Another one: a new one, and the last stays for a while. */
	entry_write(1, 0xfee01000, 0x56, 0);
	assert_int_equal(bound_irqs, 1);
	entry_write(1, 0xfee00000, 0x56, 0);
	assert_int_equal(bound_irqs, 2);
	entry_write(1, 0xfee00000, 0x56, 1);
	assert_int_equal(hw(1, 3), 1);
	/* The rest of the page is the device's; so are odd accesses nobody's. */
	region_write(r, 0x800, 4, 0x12345678);
	assert_int_equal(*(u32 *)(table_pages + 0x800), 0x12345678);
	assert_int_equal(region_read(r, 0x802, 2), 0x1234);
	assert_int_equal(region_read(r, 0x801, 2), (u64)~0UL);
	region_write(r, 18, 2, 0xffff);
	assert_int_equal(region_read(r, 16, 4), 0xfee00000);
	/* No vector is left: silence, not another's interrupt. */
	no_vectors = true;
	entry_write(2, 0xfee01000, 0x57, 0);
	assert_int_equal(hw(2, 3), 1);
	assert_logged("PCI: 0000:00:05.0: no vectors left for its interrupts");
	no_vectors = false;
	wr(0x42, 2, 0);
	assert_int_equal(sim_get(s, 0x42, 2), MESSAGES - 1);
	wr(PCI_COMMAND, 2, 0);
	assert_null(table_region());
	/* Another vCPU had found the region before, and takes its offset from the new base. */
	assert_int_equal(r->base, 0);
	assert_int_equal(region_read(r, GUEST_PCI_BASE + TABLE + 0x800, 4), (u64)~0UL);
	region_write(r, GUEST_PCI_BASE + TABLE + 0x800, 4, 1);
}

/* A guest has a share of the entries that all need. The log says once that it has no more. */
static void test_many(void **state)
{
	(void)state;
	assert_int_equal(assign(guest, NVME), 0);
	((struct vpci *)guest->vpci)->messages = 510;
	wr(PCI_COMMAND, 2, PCI_COMMAND_MEM);
	host_log_clear();
	for (unsigned n = 0; n < 2; n++) {
		wr(0x42, 2, PCI_MSIX_ENABLE);
		for (unsigned i = 0; i < MESSAGES; i++)
			entry_write(i, 0xfee01000, 0x55, 0);
		for (unsigned i = 0; i < MESSAGES; i++)
			assert_int_equal(hw(i, 3), i >= 2);
		assert_int_equal(allocated, 2);
		wr(0x42, 2, 0);
		assert_int_equal(allocated, 0);
		for (unsigned i = 0; i < MESSAGES; i++)
			entry_write(i, 0xfee01000, 0x55, 1);
	}
	assert_int_equal(host_logged("no remapping entries left for its interrupts"), 1);
	assert_int_equal(((struct vpci *)guest->vpci)->messages, 510);
	((struct vpci *)guest->vpci)->messages = 0;
}

static void interrupt(struct irq *i, struct cpu *c)
{
	host_cpu = c;
	delivered = 0;
	i->fn(i);
	host_cpu = &cpu[0];
	assert_int_equal(delivered, 0x155);
}

/* A vCPU moves. An interrupt at the old place is delivered, and later ones come to the new one. */
static void test_follows(void **state)
{
	struct pci_function *f = pci_find(NVME);
	struct irq *before;

	(void)state;
	assert_int_equal(assign(guest, NVME), 0);
	wr(PCI_COMMAND, 2, PCI_COMMAND_MEM);
	wr(0x42, 2, PCI_MSIX_ENABLE);
	entry_write(1, 0xfee01000, 0x55, 0);
	before = last_bound;
	interrupt(before, guest->vcpus[1]->cpu);
	vpci_follow(f, false);
	assert_ptr_equal(last_bound, before);
	guest->vcpus[1]->cpu = &cpu[0];
	vpci_follow(f, false);
	assert_ptr_equal(last_bound, before);
	interrupt(before, before->cpu);
	vpci_follow(f, false);
	assert_ptr_not_equal(last_bound, before);
	assert_ptr_equal(last_bound->cpu, &cpu[0]);
	assert_int_equal(routes, 2);
	interrupt(before, before->cpu);
	interrupt(last_bound, &cpu[0]);
}

/* A message that names a PIRQ becomes an event at the CPU of its vCPU, although its entry is masked. */
static void test_pirq(void **state)
{
	struct pci_function *f = pci_find(NVME);
	struct irq *before;

	(void)state;
	assert_int_equal(assign(guest, NVME), 0);
	assert_true(guest->pirqs);
	assert_non_null(has_mtrr);
	wr(PCI_COMMAND, 2, PCI_COMMAND_MEM);
	wr(0x42, 2, PCI_MSIX_ENABLE);
	entry_write(1, 0x12300feeab000UL, 0x700, 1);
	assert_int_equal(hw(1, 3), 0);
	before = last_bound;
	assert_ptr_equal(before->cpu, guest->vcpus[1]->cpu);
	delivered = 0;
	host_cpu = before->cpu;
	before->fn(before);
	host_cpu = &cpu[0];
	assert_int_equal(event, 0x123ab);
	assert_int_equal(delivered, 0);
	vpci_follow(f, false);
	assert_ptr_equal(last_bound, before);
	guest->vcpus[1]->cpu = &cpu[0];
	host_cpu = before->cpu;
	before->fn(before);
	host_cpu = &cpu[0];
	vpci_follow(f, false);
	assert_ptr_equal(last_bound->cpu, &cpu[0]);
	entry_write(1, 0xfee00000, 0x55, 1);
	assert_int_equal(hw(1, 3), 1);
	guest->pirqs = false;
	entry_write(1, 0x12300feeab000UL, 0x700, 1);
	assert_int_equal(hw(1, 3), 1);
}

/* The domain's own vector at a CPU that its vCPU owns, once an interrupt has come; and the way back. */
static void test_straight(void **state)
{
	struct pci_function *f = pci_find(NVME);
	struct irq *before;

	(void)state;
	assert_int_equal(assign(guest, NVME), 0);
	wr(PCI_COMMAND, 2, PCI_COMMAND_MEM);
	wr(0x42, 2, PCI_MSIX_ENABLE);
	entry_write(1, 0xfee01000, 0x55, 0);
	before = last_bound;
	assert_int_not_equal(last_route.vector, 0x55);
	owner = &cpu[1];
	interrupt(before, guest->vcpus[1]->cpu);
	routes = 0;
	vpci_follow(f, false);
	assert_int_equal(last_route.vector, 0x55);
	assert_int_equal(last_route.apic_id, cpu[1].apic_id);
	vpci_follow(f, true);
	assert_int_equal(routes, 1);
	entry_write(1, 0xfee01000, 0x56, 0);
	assert_int_equal(last_route.vector, 0x56);
	owner = NULL;
	vpci_follow(f, true);
	assert_int_equal(last_route.vector, last_bound->vector);
	assert_int_equal(last_route.apic_id, last_bound->cpu->apic_id);
	assert_int_equal(routes, 3);
	vpci_follow(f, true);
	assert_int_equal(routes, 3);
}

/* No vector of Margay's for a message that is posted; the way back, too. */
static void test_posted(void **state)
{
	struct vpci_function *v;
	struct irq *before;

	(void)state;
	posts = true;
	assert_int_equal(assign(guest, NVME), 0);
	wr(PCI_COMMAND, 2, PCI_COMMAND_MEM);
	wr(0x42, 2, PCI_MSIX_ENABLE);
	entry_write(1, 0xfee01000, 0x55, 0);
	assert_int_equal(bound_irqs, 0);
	assert_int_equal(last_route.posted, 0x12340);
	assert_int_equal(last_route.vector, 0x55);
	guest->vcpus[1]->cpu = &cpu[0];
	routes = 0;
	vpci_follow(pci_find(NVME), false);
	assert_int_equal(routes, 0);
	posts = false;	/* a CPU takes it for some time */
	v = pci_find(NVME)->view;
	v->astray = true;
	vpci_follow(pci_find(NVME), false);
	assert_int_equal(last_route.posted, 0);
	assert_int_equal(bound_irqs, 1);
	interrupt(last_bound, &cpu[0]);
	posts = v->astray = true;
	vpci_follow(pci_find(NVME), false);
	assert_int_equal(last_route.posted, 0x12340);
	assert_int_equal(last_route.vector, 0x55);
	/* Another vector; a destination that cannot be posted to; and again one that can. */
	entry_write(1, 0xfee01000, 0x56, 0);
	assert_int_equal(last_route.vector, 0x56);
	entry_write(1, 0xfee01004, 0x55, 0);
	assert_int_equal(last_route.posted, 0);
	assert_int_equal(bound_irqs, 1);	/* the vector that it had is still its own */
	before = last_bound;
	assert_int_equal(last_route.vector, before->vector);
	interrupt(before, &cpu[0]);
	entry_write(1, 0xfee01000, 0x55, 0);
	assert_int_equal(last_route.posted, 0x12340);
	assert_int_equal(last_route.vector, 0x55);
	/* What was on its way arrives. */
	interrupt(before, &cpu[0]);
	no_vectors = true;
	entry_write(1, 0xfee01004, 0x55, 0);
	assert_int_equal(last_route.posted, 0);
	assert_int_equal(last_route.vector, before->vector);
	no_vectors = false;
	/* A disabled function has neither. */
	entry_write(1, 0xfee01000, 0x58, 0);
	wr(0x42, 2, 0);
	assert_int_equal(last_route.posted, 0);
	assert_int_equal(last_route.vector, 0);
	assert_int_equal(bound_irqs, 0);
}

static void test_msi(void **state)
{
	struct sim_function *s = sim_function(NVME);

	(void)state;
	assert_int_equal(assign(guest, NVME), 0);
	wr(0x64, 4, 0xfee01003);
	wr(0x6c, 2, 0x61);
	assert_int_equal(sim_get(s, 0x64, 4), 0);
	wr(0x62, 2, 5 << 4 | 1);	/* 32; there is one, and was one of 4 */
	assert_int_equal(rd(0x62, 2), PCI_MSI_64 | 1);
	assert_int_equal(rd(0x64, 4), 0xfee01000);
	assert_int_equal(sim_get(s, 0x62, 2), PCI_MSI_64 | 2 << 1 | 1);
	assert_int_equal(sim_get(s, 0x64, 4), 0xfee00010);
	assert_int_equal(sim_get(s, 0x6c, 2), 0);
	assert_int_equal(bound_irqs, 1);
	assert_int_equal(allocated, 1);
	wr(0x62, 2, 0);
	assert_int_equal(bound_irqs, 0);
	assert_int_equal(allocated, 0);
	wr(0x62, 2, 1);
	assert_int_equal(bound_irqs, 1);
	/* No vector is left: silence. */
	wr(0x62, 2, 0);
	no_vectors = true;
	wr(0x62, 2, 1);
	assert_int_equal(sim_get(s, 0x62, 2) & PCI_MSI_ENABLE, 0);
	assert_int_equal(allocated, 0);
	no_vectors = false;
	wr(0x62, 2, 1);
	assert_int_equal(bound_irqs, 1);
}

/* One kind at a time, and all that one had is free before the other comes. */
static void test_msi_or_msix(void **state)
{
	struct sim_function *s = sim_function(NVME);

	(void)state;
	assert_int_equal(assign(guest, NVME), 0);
	wr(PCI_COMMAND, 2, PCI_COMMAND_MEM);
	wr(0x62, 2, 1);
	assert_int_equal(allocated, 1);
	entry_write(1, 0xfee01000, 0x55, 0);
	wr(0x42, 2, PCI_MSIX_ENABLE);
	assert_int_equal(sim_get(s, 0x62, 2) & PCI_MSI_ENABLE, 0);
	assert_int_equal(hw(1, 3), 0);
	assert_int_equal(allocated, 1);
	assert_int_equal(bound_irqs, 1);
	wr(0x42, 2, 0);
	assert_int_equal(sim_get(s, 0x42, 2) & PCI_MSIX_ENABLE, 0);
	assert_int_equal(sim_get(s, 0x62, 2) & PCI_MSI_ENABLE, PCI_MSI_ENABLE);
	assert_int_equal(allocated, 1);
	/* The table's entry is as it was. */
	wr(0x62, 2, 0);
	wr(0x42, 2, PCI_MSIX_ENABLE);
	assert_int_equal(hw(1, 3), 0);
	assert_int_equal(allocated, 1);
}

#define PORT PCI_SBDF(0, 0, 1 << 3)
#define SLOT_CONTROL 0x58
#define SLOT_STATUS 0x5a
#define LINK_STATUS 0x52

static u32 port_rd(unsigned reg, unsigned size)
{
	return read_of(guest, PORT, reg, size) & ~0U >> (32 - 8 * size);
}

static void port_wr(unsigned reg, unsigned size, u32 val) { write_of(guest, PORT, reg, size, val); }

static int ask(void) { return pci_revoke(NVME, false); }

/* The guest hears of a function that comes, is asked for it, and gives it up. */
static void test_slot(void **state)
{
	(void)state;
	assert_int_equal(port_rd(PCI_CLASS, 4) >> 8, 0x060400);
	assert_int_equal(port_rd(PCI_HEADER, 1), 1);
	assert_int_equal(port_rd(PCI_BUSES, 4), 0x010100);
	assert_int_equal(port_rd(PCI_MEMORY_WINDOW, 4), 0xc3f0c000);
	assert_int_equal(port_rd(0x100, 4), 0);
	assert_int_equal(read_of(guest, PCI_SBDF(0, 0, 9 << 3), 0, 4), ~0U);
	assert_int_equal(port_rd(SLOT_STATUS, 2), 0);
	/* MSI, and all that a driver wants to hear. */
	port_wr(0x84, 4, 0xfee01000);
	port_wr(0x8c, 2, 0x77);
	port_wr(0x82, 2, PCI_MSI_ENABLE);
	port_wr(SLOT_CONTROL, 2, 0x1031 | SLOT_POWER_OFF);
	delivered = 0;
	assert_int_equal(assign(guest, NVME), 0);
	assert_int_equal(delivered, 0x177);
	assert_int_equal(port_rd(SLOT_STATUS, 2),
			 SLOT_PRESENT | SLOT_PRESENT_CHANGED | SLOT_LINK_CHANGED);
	assert_int_equal(port_rd(LINK_STATUS, 2), 0x2011);
	/* Ones clear what happened, and only that. */
	port_wr(SLOT_STATUS, 2, SLOT_PRESENT | SLOT_PRESENT_CHANGED);
	assert_int_equal(port_rd(SLOT_STATUS, 2), SLOT_PRESENT | SLOT_LINK_CHANGED);
	port_wr(SLOT_CONTROL, 4, 0xffff0000 | 0x1031 | SLOT_POWER_ON);
	assert_int_equal(port_rd(SLOT_CONTROL, 4), SLOT_PRESENT << 16 | 0x1031 | SLOT_POWER_ON);
	/* The function follows the number of its bus, which is never 0. */
	port_wr(PCI_BUSES + 1, 1, 5);
	assert_int_equal(rd(0, 4), ~0U);
	assert_int_equal(read_of(guest, PCI_SBDF(0, 5, 0), 0, 4), 0x00101b36);
	assert_int_equal(read_of(guest, PCI_SBDF(0, 5, 1), 0, 4), ~0U);
	port_wr(PCI_BUSES + 1, 1, 0);
	assert_int_equal(read_of(guest, 0, 0, 4), ~0U);
	port_wr(PCI_BUSES + 1, 1, 1);
	/* One press of the button, however often the tools ask. */
	delivered = 0;
	assert_int_equal(ask(), -EAGAIN);
	assert_int_equal(delivered, 0x177);
	assert_int_equal(port_rd(SLOT_STATUS, 2), SLOT_PRESENT | SLOT_BUTTON);
	port_wr(SLOT_STATUS, 2, SLOT_BUTTON);
	delivered = 0;
	assert_int_equal(ask(), -EAGAIN);
	assert_int_equal(delivered, 0);
	assert_int_equal(rd(0, 4), 0x00101b36);
	port_wr(SLOT_CONTROL, 2, 0x1031 | SLOT_POWER_OFF);
	assert_int_equal(port_rd(SLOT_STATUS, 2), SLOT_PRESENT_CHANGED | SLOT_LINK_CHANGED);
	assert_int_equal(port_rd(LINK_STATUS, 2), 0x11);
	assert_int_equal(rd(0, 4), ~0U);
	while (ask() == -ERESTART)
		sim_now += 1000000;
	assert_null(pci_find(NVME)->owner);
	/* By force; and a guest whose slot is off need not be asked. The message names a PIRQ now. */
	port_wr(SLOT_STATUS, 2, ~0U);
	port_wr(0x84, 4, 0xfeeab000);
	port_wr(0x8c, 2, 0x700);
	event = 0;
	assert_int_equal(assign(guest, NVME), 0);
	assert_int_equal(event, 0xab);
	assert_int_equal(ask(), -ERESTART);
	assert_int_equal(revoke(NVME), 0);
	assert_int_equal(port_rd(SLOT_STATUS, 2), SLOT_PRESENT_CHANGED | SLOT_LINK_CHANGED);
	/* Without interrupts, nothing is sent. */
	port_wr(SLOT_CONTROL, 2, 0x1011 | SLOT_POWER_ON);
	delivered = 0;
	assert_int_equal(assign(guest, NVME), 0);
	assert_int_equal(ask(), -EAGAIN);
	assert_int_equal(delivered, 0);
}

/* The tools stop halfway, from the control domain or from nobody: nothing is lost. */
static void test_halfway(void **state)
{
	(void)state;
	assert_int_equal(create_control(), 0);
	for (unsigned steps = 1; steps < 40; steps++) {
		struct domain *to = steps % 3 ? guest : control;

		for (unsigned i = 0; i < steps && pci_assign(to, NVME) == -ERESTART; i++)
			sim_now += 30000000;
		for (unsigned i = 0; i < steps / 2 && pci_revoke(NVME, true) == -ERESTART; i++)
			sim_now += 30000000;
		if (steps % 4)
			continue;
		while (pci_revoke(NVME, true) == -ERESTART)
			sim_now += 1000000;
		assert_null(pci_find(NVME)->owner);
		assert_null(pci_find(NVME)->view);
		assert_null(attached[NVME]);
		assert_int_equal(assign(guest, NVME), 0);
		assert_int_equal(rd(0, 4), 0x00101b36);
	}
}

/* Slots and their addresses are used again, and there are no more. */
static void test_slots(void **state)
{
	struct sim_function *s = NULL;

	(void)state;
	for (unsigned i = 0; i <= GUEST_PCI_SLOTS; i++) {
		s = sim_add(PCI_SBDF(0, 0, (16 + i) << 3), 1, 1, 0x20000);
		sim_express(s, 0x80, 0, true);
		sim_bar(s, 0, 0xf0000000 + 0x1000 * i, 0x1000, 0);
	}
	pci_init();
	for (unsigned i = 0; i < GUEST_PCI_SLOTS; i++)
		assert_int_equal(assign(guest, PCI_SBDF(0, 0, (16 + i) << 3)), 0);
	assert_int_equal(assign(guest, s->sbdf), -ENOSPC);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(revoke(PCI_SBDF(0, 0, 18 << 3)), 0);
		assert_int_equal(assign(guest, PCI_SBDF(0, 0, 18 << 3)), 0);
		assert_int_equal(read_of(guest, PCI_SBDF(0, 3, 0), PCI_BAR0, 4),
				 guest_pci_slot(2, false));
	}
	/* A guest that has memory there has no place for a bus. */
	demanded = GUEST_PCI_BASE >> PAGE_SHIFT;
	assert_int_equal(vpci_create(other), -E2BIG);
	demanded = 0;
	assert_int_equal(p2m_map_over(other, GUEST_PCI_BASE >> PAGE_SHIFT, 1, P2M_MMIO, 0), 0);
	assert_int_equal(vpci_create(other), -E2BIG);
	/* A BAR for which no slot has room. */
	assert_int_equal(revoke(PCI_SBDF(0, 0, 16 << 3)), 0);
	s = sim_add(PCI_SBDF(0, 0, 30 << 3), 1, 1, 0x20000);
	sim_express(s, 0x80, 0, true);
	sim_bar(s, 0, 0x88000000, 0x8000000, 0);
	pci_init();
	assert_int_equal(assign(guest, s->sbdf), -ENOSPC);
	assert_null(pci_find(s->sbdf)->owner);
}

/* Whatever a guest writes, and in whatever order, only what it may change is changed. */
static void test_random(void **state)
{
	static const struct {
		unsigned from, to;
	} open[] = { { PCI_COMMAND, PCI_STATUS + 1 }, { PCI_CACHE_LINE, PCI_CACHE_LINE + 1 },
		     { 0x42, 0x43 }, { 0x62, 0x6d }, { 0x88, 0x8b } };
	struct sim_function *s = sim_function(NVME);
	u8 before[4096];
	u64 seed = 1;

	(void)state;
	assert_int_equal(assign(guest, NVME), 0);
	/* The device takes every write. */
	for (unsigned i = 0; i < 4096; i++)
		if (i < 0x40 || i > 0x8b)
			s->writable[i] = 0xff;
	memcpy(before, s->config, sizeof(before));
	for (unsigned n = 0; n < 12000; n++) {
		unsigned size, reg;
		u32 val;

		seed = seed * 6364136223846793005UL + 1442695040888963407UL;
		size = 1U << (seed >> 60) % 3;
		reg = (seed >> 40 & (n & 1 ? 0xfff : 0xff)) & ~(size - 1);
		val = (u32)(seed >> 20) | (seed >> 59 & 1 ? 2 : 0);
		if (!(n % 16)) {	/* a place where BARs may be */
			wr(PCI_COMMAND, 2, 0);
			wr(PCI_BAR0, 4, 0xc0000000 | (val & 0x1fffffff));
			wr(PCI_BAR0 + 4, 4, 0);
		}
		wr(reg, size, val);
		(void)rd(reg, size);
		if (!(n % 32)) {	/* the port above keeps its function where it is */
			port_wr(reg, size, val);
			port_wr(PCI_BUSES, 4, 0x010100);
		}
		if (table_region() && n % 3)
			entry_write(val % 300, seed, val, val >> 8);
		for (unsigned i = 0; i < MAPPED; i++) {
			if (!mapped[i].d)
				continue;
			assert_true(mapped[i].mfn >= BAR >> PAGE_SHIFT &&
				    mapped[i].mfn < (BAR + 0x4000) >> PAGE_SHIFT &&
				    mapped[i].mfn != (BAR + TABLE) >> PAGE_SHIFT);
			assert_true((mapped[i].gfn >= GUEST_PCI_BASE >> PAGE_SHIFT &&
				     mapped[i].gfn < GUEST_PCI_END >> PAGE_SHIFT) ||
				    mapped[i].gfn >= guest_pci_high() >> PAGE_SHIFT);
		}
		for (unsigned i = 0; i < MESSAGES; i++)
			assert_true(!hw(i, 0) || (hw(i, 0) & 0xfff00010) == 0xfee00010);
		assert_true(!sim_get(s, 0x64, 4) ||
			    (sim_get(s, 0x64, 4) & 0xfff00010) == 0xfee00010);
		assert_false(sim_get(s, PCI_COMMAND, 2) &
			     ~(PCI_COMMAND_MEM | PCI_COMMAND_MASTER | PCI_COMMAND_NO_INTX));
		assert_false(sim_get(s, 0x88, 2) & 0x2e0);
	}
	assert_int_equal(s->resets, 1);
	for (unsigned i = 0; i < 4096; i++) {
		bool may = false;

		for (unsigned k = 0; k < ARRAY_SIZE(open); k++)
			may |= i >= open[k].from && i <= open[k].to;
		if (!may && s->config[i] != before[i])
			fail_msg("byte %#x has changed from %#x to %#x", i, before[i],
				 s->config[i]);
	}
}

static void test_refusals(void **state)
{
	struct sim_function *s;

	(void)state;
	s = sim_add(PCI_SBDF(0, 0, 7 << 3), 1, 1, 0x20000);	/* no IOMMU covers it */
	sim_express(s, 0x80, 0, true);
	s = sim_add(PCI_SBDF(0, 0, 8 << 3), 1, 1, 0x20000);	/* in another's page */
	sim_express(s, 0x80, 0, true);
	sim_bar(s, 0, 0xfd000000, 0x100, 0);
	s = sim_add(PCI_SBDF(0, 0, 9 << 3), 1, 1, 0x20000);	/* no reset */
	s = sim_add(PCI_SBDF(0, 0, 10 << 3), 1, 1, 0x20000);	/* in RAM */
	sim_express(s, 0x80, 0, true);
	sim_bar(s, 0, 0x10000000, 0x1000, 0);
	for (unsigned i = 0; i < 2; i++)	/* two that cannot be isolated */
		sim_express(sim_add(PCI_SBDF(0, 0, 11 << 3 | i), 1, 1, 0x20000), 0x80, 0, true);
	for (u32 sbdf = PCI_SBDF(0, 0, 7 << 3); sbdf <= PCI_SBDF(0, 0, 11 << 3 | 1); sbdf++)
		pci_discover(sbdf);
	assert_int_equal(assign(guest, PCI_SBDF(0, 0, 20 << 3)), -ENODEV);
	assert_int_equal(assign(guest, PCI_SBDF(0, 0, 7 << 3)), -EOPNOTSUPP);
	assert_int_equal(assign(guest, PCI_SBDF(0, 0, 8 << 3)), -EINVAL);
	assert_int_equal(assign(guest, PCI_SBDF(0, 0, 9 << 3)), -ENXIO);
	assert_int_equal(assign(guest, PCI_SBDF(0, 0, 10 << 3)), -EINVAL);
	assert_int_equal(assign(guest, PCI_SBDF(0, 0, 11 << 3)), 0);
	assert_int_equal(assign(other, PCI_SBDF(0, 0, 11 << 3 | 1)), -EXDEV);
	assert_int_equal(assign(guest, PCI_SBDF(0, 0, 11 << 3 | 1)), 0);
	reserved = true;
	assert_int_equal(assign(guest, NVME), -EOPNOTSUPP);
	reserved = false;
	guest->nr_on_demand = 1;
	assert_int_equal(assign(guest, NVME), -EADDRNOTAVAIL);
	guest->nr_on_demand = 0;
	pci_find(NVME)->hidden = true;
	assert_int_equal(assign(guest, NVME), -ENODEV);
	pci_find(NVME)->hidden = false;
	assert_int_equal(pci_assign(guest, NIC), -ERESTART);
	sim_function(NIC)->dead = true;
	assert_int_equal(assign(guest, NIC), -ETIMEDOUT);
	assert_null(pci_find(NIC)->owner);
	sim_function(NIC)->dead = false;
}

static u32 cr(u32 sbdf, unsigned reg, unsigned size)
{
	return read_of(control, sbdf, reg, size) & ~0U >> (32 - 8 * size);
}

static void test_control(void **state)
{
	struct sim_function *s = sim_function(NIC);

	struct sim_function *usb = sim_add(PCI_SBDF(0, 0, 7 << 3), 1, 1, 0xc0330);

	(void)state;
	pci_find(PCI_SBDF(0, 0, 0))->hidden = true;
	/* No IOMMU covers it, and firmware left it on. */
	sim_set(usb, PCI_COMMAND, 2, PCI_COMMAND_MASTER, 0x547);
	pci_discover(usb->sbdf);
	assert_int_equal(create_control(), 0);
	assert_int_equal(sim_get(usb, PCI_COMMAND, 2), 0);
	assert_ptr_equal(attached[NIC], control);
	assert_int_equal(cr(NIC, 0, 2), 0x8086);
	assert_int_equal(cr(PCI_SBDF(0, 0, 0), 0, 2), 0xffff);
	/* Its own BARs move where nothing else is. */
	write_of(control, NIC, PCI_BAR0, 4, 0xfd000000);
	assert_int_equal(cr(NIC, PCI_BAR0, 4), 0xfd000000);
	write_of(control, NIC, PCI_COMMAND, 2, PCI_COMMAND_MEM | PCI_COMMAND_MASTER);
	assert_int_equal(sim_get(s, PCI_COMMAND, 2), PCI_COMMAND_MEM | PCI_COMMAND_MASTER);
	write_of(control, NIC, PCI_BAR0, 4, 0xfc000000);
	assert_int_equal(cr(NIC, PCI_BAR0, 4), 0xfd000000);
	for (unsigned i = 0; i < 2; i++) {	/* RAM, the APICs */
		static const u32 bad[] = { 0x10000000, 0xfee00000 };

		write_of(control, NIC, PCI_COMMAND, 2, 0);
		write_of(control, NIC, PCI_BAR0, 4, bad[i]);
		write_of(control, NIC, PCI_COMMAND, 2, PCI_COMMAND_MEM);
		assert_int_equal(sim_get(s, PCI_COMMAND, 2), 0);
	}
	assert_int_equal(host_logged("BARs refused"), 2);
	/* It loses nothing by what is refused: no reset, no whole page. */
	sim_set(s, 0x84, 4, 0, 0);
	assert_int_equal(assign(guest, NIC), -ENXIO);
	sim_set(s, 0x84, 4, PCI_EXP_DEVCAP_FLR, 0);
	pci_find(NIC)->bar[0].size = 0x100;
	assert_int_equal(assign(guest, NIC), -EINVAL);
	pci_find(NIC)->bar[0].size = 0x20000;
	assert_ptr_equal(pci_find(NIC)->owner, control);
	assert_int_equal(cr(NIC, 0, 2), 0x8086);
	/* What it loses, it cannot map any more. */
	assert_true(pci_memory_is_free(control, NULL, BAR, 0x1000));
	assert_int_equal(pci_assign(guest, NVME), -ERESTART);
	assert_false(pci_memory_is_free(control, NULL, BAR, 0x1000));
	assert_int_equal(revoke(NVME), 0);
	assert_int_equal(assign(control, NVME), 0);
	/* A guest gets one: the control domain has it no more, nor what it touched without decoding. */
	assert_int_equal(cr(NVME, 0, 2), 0x1b36);
	write_of(control, NVME, PCI_COMMAND, 2, 0);
	write_of(control, NVME, PCI_BAR0, 4, (u32)BAR + 0x4000);
	assert_int_equal(p2m_map_over(control, (BAR >> PAGE_SHIFT) + 5, 0, P2M_MMIO, 0), 0);
	table_at = BAR + 0x4000 + TABLE;
	pci_find(NVME)->msix_page = 0;
	assert_int_equal(assign(guest, NVME), 0);
	assert_ptr_equal(attached[NVME], guest);
	assert_int_equal(pages_of(control), 0);
	assert_int_equal(cr(NVME, 0, 2), 0xffff);
	write_of(control, NVME, PCI_COMMAND, 2, 0);
	assert_int_equal(sim_get(sim_function(NVME), PCI_COMMAND, 2),
			 PCI_COMMAND_MEM | PCI_COMMAND_NO_INTX);
	assert_int_equal(revoke(NVME), 0);
	assert_int_equal(cr(NVME, 0, 2), 0xffff);
	assert_int_equal(assign(control, NVME), 0);
	assert_int_equal(cr(NVME, 0, 2), 0x1b36);
}

/*
 * Firmware has put an MSI-X table over an APIC; another one is in the middle of a page. MSI-X turned on
 * before the table is anywhere.
 */
static void test_tables(void **state)
{
	struct sim_function *s = sim_function(NVME);
	struct mmio_region *r;

	(void)state;
	sim_bar(s, 0, 0xfee00000, 0x4000, PCI_BAR_64);
	sim_set(s, PCI_COMMAND, 2, PCI_COMMAND_MEM, 0x547);
	pci_update_bars(pci_find(NVME));
	s = sim_add(PCI_SBDF(0, 0, 8 << 3), 1, 1, 0x20000);
	sim_bar(s, 0, 0xfc000400, 0x400, 0);
	sim_cap(s, 0x40, PCI_CAP_MSIX);
	sim_set(s, 0x42, 2, 1, 0xc000);
	sim_set(s, 0x44, 4, 0x100, 0);
	sim_set(s, PCI_COMMAND, 2, PCI_COMMAND_MEM, 0x547);
	pci_discover(s->sbdf);
	table_at = 0xfc000000;
	assert_int_equal(create_control(), 0);
	write_of(control, NVME, 0x42, 2, PCI_MSIX_ENABLE);
	for (r = control->mmio; r && r->base != 0xfc000000; r = r->next)
		;
	assert_non_null(r);
	region_write(r, 0x510, 8, 0xfee01000);
	region_write(r, 0x518, 4, 0x55);
	region_write(r, 0x51c, 4, 0);
	write_of(control, s->sbdf, 0x42, 2, PCI_MSIX_ENABLE);
	assert_int_equal(((u32 *)table_pages)[0x510 / 4], 0xfee00010);
	assert_int_equal(region_read(r, 0x518, 4), 0x55);
	region_write(r, 0x3fc, 4, 0x1234);	/* a neighbour's register */
	assert_int_equal(((u32 *)table_pages)[0x3fc / 4], 0x1234);
	destroy(control);
	control = new_domain(true);
	/* As ordinary guests may. */
	table_at = 0xfc002000;
	memset(table_pages, 0, sizeof(table_pages));
	sim_bar(sim_function(NVME), 0, 0xfc000000, 0x4000, PCI_BAR_64);
	sim_bar(s, 0, 0xfc008000, 0x400, 0);
	pci_update_bars(pci_find(s->sbdf));
	assert_int_equal(assign(guest, NVME), 0);
	wr(0x42, 2, PCI_MSIX_ENABLE);
	assert_int_equal(hw(0, 3), 0);
	wr(PCI_COMMAND, 2, PCI_COMMAND_MEM);
	assert_int_equal(hw(0, 3), 1);
	entry_write(1, 0xfee01000, 0x55, 0);
	assert_int_equal(hw(1, 0) & 0xfff00010, 0xfee00010);
	table_pages[16] = 0;	/* lost */
	wr(PCI_COMMAND, 2, 0);
	wr(PCI_COMMAND, 2, PCI_COMMAND_MEM);
	assert_int_equal(hw(1, 0) & 0xfff00010, 0xfee00010);
}

/* A port looks empty to the control domain, as a guest has what is behind it. It must stay on. */
static void test_port(void **state)
{
	const u32 port = PCI_SBDF(0, 0, 16 << 3), nic = PCI_SBDF(0, 3, 17 << 3);
	struct sim_function *p = sim_bridge(port, 3, 3);
	/* Register, what is written, what of it is refused. */
	static const struct {
		unsigned reg;
		u32 val, refused;
	} w[] = { { PCI_BRIDGE_CONTROL, 0x43, PCI_BRIDGE_RESET },
		  { 0x40 + PCI_PM_CONTROL, 3, 3 },
		  { 0x80 + PCI_EXP_LINK, 0x50, 0x10 },
		  { 0x80 + PCI_EXP_SLOT, 0x7c0, 0x400 } };

	(void)state;
	sim_express(p, 0x80, PCI_EXP_TYPE_ROOT_PORT, false);
	sim_acs(p);
	sim_cap(p, 0x40, PCI_CAP_PM);
	sim_set(p, 0x40 + PCI_PM_CONTROL, 2, 0, 3);
	sim_set(p, 0x80 + PCI_EXP_LINK, 4, 0, 0xffff);
	sim_set(p, 0x80 + PCI_EXP_SLOT, 4, 0, 0xffff);
	sim_express(sim_add(nic, 0x8086, 0x10d3, 0x20000), 0x80, 0, true);
	while (!list_empty(&pci_functions))
		pci_forget(list_first(&pci_functions, struct pci_function, link));
	pci_init();
	assert_int_equal(create_control(), 0);
	assert_null(attached[port & 0xff]);	/* its id may be that of what is behind */
	/* It is the control domain's, the guest's, and nobody's. */
	for (unsigned step = 0; step < 3; step++) {
		bool guests = step == 1;

		for (unsigned i = 0; i < ARRAY_SIZE(w); i++) {
			u32 got;

			write_of(control, port, w[i].reg, 2, w[i].val);
			got = sim_get(p, w[i].reg, 2);
			assert_int_equal(got, w[i].val & ~(guests ? w[i].refused : 0));
			write_of(control, port, w[i].reg, 2, 0);
		}
		/* What a sleep may have turned off is on again for the guest. */
		sim_set(p, PCI_EXT_FIRST + PCI_ACS_CONTROL, 2, 0, 0x5f);
		assert_int_equal(step ? 0 : assign(guest, nic), 0);
		assert_int_equal(sim_get(p, PCI_EXT_FIRST + PCI_ACS_CONTROL, 2),
				 step ? 0 : PCI_ACS_WANTED);
		assert_int_equal(guests ? revoke(nic) : 0, 0);
	}
}

/* The control domain writes to the SR-IOV capability. Returns how many writes were refused. */
static u64 sw(unsigned reg, unsigned size, u32 val)
{
	u64 interrupts, before, after;
	u32 seen;

	vpci_show(pci_find(PF), &seen, &interrupts, &before);
	write_of(control, PF, SIM_SRIOV + reg, size, val);
	vpci_show(pci_find(PF), &seen, &interrupts, &after);
	return after - before;
}

static u32 sr(unsigned reg, unsigned size)
{
	return sim_get(sim_function(PF), SIM_SRIOV + reg, size);
}

/* Places both BARs, and turns on. */
static bool turn_on(u64 bar, u32 bar2, u16 n)
{
	bool done;

	assert_int_equal(sw(PCI_SRIOV_BAR0, 4, (u32)bar) + sw(PCI_SRIOV_BAR0 + 4, 4, bar >> 32), 0);
	assert_int_equal(sw(PCI_SRIOV_BAR0 + 8, 4, bar2) + sw(PCI_SRIOV_NUM, 2, n), 0);
	done = !sw(PCI_SRIOV_CONTROL, 2, PCI_SRIOV_VFE | PCI_SRIOV_MSE);
	assert_int_equal(sr(PCI_SRIOV_CONTROL, 2), done ? PCI_SRIOV_VFE | PCI_SRIOV_MSE : 0);
	return done;
}

static int remove_function(u32 sbdf)
{
	int rc;

	while ((rc = pci_remove(control, sbdf)) == -ERESTART)
		sim_now += 1000000;
	return rc;
}

/* Virtual functions are on only where nothing else is, and then nothing about them changes. */
static void test_sriov_writes(void **state)
{
	static const u64 bad[] = { 0, 0x10000000, 0xfee00000, 0xfedfc000, 0xf8000000, 0xf7ffc000,
				   0xfe000000, 0xf1000000, 0xf0ffc000 };
	struct sim_function *s = sim_function(PF);

	(void)state;
	assert_int_equal(create_control(), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(turn_on(bad[i], 0xf1000000, 2));
	assert_int_equal(host_logged("memory or ids are wrong"), ARRAY_SIZE(bad));
	assert_false(turn_on(VF_BAR, 0xf1000000, 0));
	assert_false(turn_on(VF_BAR, 0xf1000000, 3));
	sim_set(s, SIM_SRIOV + PCI_SRIOV_OFFSET, 2, 0x10000 - PF, 0);	/* ids of other segments */
	assert_false(turn_on(VF_BAR, 0xf1000000, 2));
	sim_set(s, SIM_SRIOV + PCI_SRIOV_OFFSET, 2, 0x10028 - PF, 0);	/* the second is the NVMe */
	assert_false(turn_on(VF_BAR, 0xf1000000, 2));
	sim_set(s, SIM_SRIOV + PCI_SRIOV_OFFSET, 2, 2, 0);
	assert_true(turn_on(VF_BAR, 0xf1000000, 2));
	assert_int_equal(sw(PCI_SRIOV_PAGE_SIZE, 4, PCI_SRIOV_4K), 0);
	assert_int_equal(sw(PCI_SRIOV_PAGE_SIZE, 4, 2), 1);
	assert_int_equal(sw(PCI_SRIOV_BAR0, 4, 0x10000000), 1);
	assert_int_equal(sw(PCI_SRIOV_NUM, 2, 1), 1);
	assert_int_equal(sr(PCI_SRIOV_BAR0, 4), VF_BAR | PCI_BAR_64);
	assert_int_equal(sr(PCI_SRIOV_NUM, 2), 2);
	assert_int_equal(sw(PCI_SRIOV_CONTROL + 1, 1, 0xff), 0);
	assert_int_equal(sw(PCI_SRIOV_CONTROL, 4, 0xffffffff), 0);
	assert_int_equal(sr(PCI_SRIOV_CONTROL, 4), PCI_SRIOV_VFE | PCI_SRIOV_MSE);
	/* Other functions do not move there. */
	write_of(control, NIC, PCI_BAR0, 4, VF_BAR);
	write_of(control, NIC, PCI_COMMAND, 2, PCI_COMMAND_MEM);
	assert_int_equal(sim_get(sim_function(NIC), PCI_COMMAND, 2), 0);
	write_of(control, PF, PCI_BAR0, 4, VF_BAR);
	write_of(control, PF, PCI_COMMAND, 2, PCI_COMMAND_MEM);
	assert_int_equal(sim_get(sim_function(PF), PCI_COMMAND, 2), 0);
	write_of(control, PF, PCI_BAR0, 4, 0xf8000000);
	write_of(control, PF, PCI_COMMAND, 2, PCI_COMMAND_MEM);
	assert_int_equal(sim_get(sim_function(PF), PCI_COMMAND, 2), PCI_COMMAND_MEM);
	assert_int_equal(assign(guest, PF), -EBUSY);
	assert_false(pci_memory_is_free(control, pci_find(NIC), VF_BAR - 0x1000, 0x2000));
	assert_int_equal(sw(PCI_SRIOV_CONTROL, 2, 0), 0);
	assert_int_equal(sr(PCI_SRIOV_CONTROL, 2), 0);
	/* Those that are off decode nothing, also not where they were. */
	assert_true(pci_memory_is_free(control, pci_find(NIC), VF_BAR - 0x1000, 0x2000));
	write_of(control, NIC, PCI_COMMAND, 2, PCI_COMMAND_MEM);
	assert_int_equal(sim_get(sim_function(NIC), PCI_COMMAND, 2), PCI_COMMAND_MEM);
	assert_false(turn_on(VF_BAR, 0xf1000000, 2));
	write_of(control, NIC, PCI_COMMAND, 2, 0);
}

static bool control_region(paddr_t at)
{
	const struct mmio_region *r = control->mmio;

	while (r && r->base != at)
		r = r->next;
	return r;
}

/* The control domain tells of a virtual function; a guest has it, and loses it when its end is told. */
static void test_sriov(void **state)
{
	struct sim_function *s;

	(void)state;
	assert_int_equal(create_control(), 0);
	table_at = VF_BAR + TABLE;
	assert_true(turn_on(VF_BAR, 0xf1000000, 2));
	s = sim_function(VF(0));
	assert_int_equal(cr(VF(0), PCI_CLASS, 4) >> 8, 0x10802);
	sim_set(s, PCI_VENDOR, 2, 0x1b36, 0);	/* it must not, but it is none of its own */
	assert_int_equal(cr(VF(0), PCI_CLASS, 4) >> 8, 0x10802);
	assert_null(pci_find(VF(0)));
	sim_set(s, PCI_VENDOR, 2, 0xffff, 0);
	write_of(control, VF(0), PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_int_equal(sim_get(s, PCI_COMMAND, 2), 0);
	assert_int_equal(assign(guest, VF(0)), -ENODEV);
	assert_int_equal(pci_add(control, VF(0), ~0U, NODE_ANY), -ENODEV);
	assert_int_equal(pci_add(control, VF(0), NVME, NODE_ANY), -ENODEV);
	assert_int_equal(pci_add(control, VF(2), PF, NODE_ANY), -ENODEV);
	assert_int_equal(pci_add(other, VF(0), PF, NODE_ANY), -ENODEV);
	assert_int_equal(pci_add(control, PF, ~0U, 1), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pci_add(control, VF(0), PF, NODE_ANY), 0);
	assert_int_equal(pci_find(VF(0))->node, 1);
	assert_ptr_equal(attached[VF(0)], control);
	assert_true(control_region(VF_BAR + TABLE));
	write_of(control, VF(0), PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEM);
	assert_int_equal(sim_get(s, PCI_COMMAND, 2), PCI_COMMAND_MASTER);
	assert_int_equal(sw(PCI_SRIOV_CONTROL, 2, 0), 1);
	assert_int_equal(host_logged("they have owners"), 1);
	/* A guest sees an ordinary function. */
	assert_int_equal(assign(guest, VF(0)), 0);
	assert_int_equal(s->resets, 1);
	assert_ptr_equal(attached[VF(0)], guest);
	assert_int_equal(rd(0, 4), 0x00121b36);
	assert_int_equal(rd(PCI_BAR0, 4), GUEST_PCI_BASE | PCI_BAR_64);
	wr(PCI_COMMAND, 2, PCI_COMMAND_MEM | PCI_COMMAND_MASTER);
	assert_int_equal(sim_get(s, PCI_COMMAND, 2), PCI_COMMAND_MASTER);
	assert_int_equal(p2m_lookup(guest, GUEST_PCI_BASE >> PAGE_SHIFT).mfn, VF_BAR >> PAGE_SHIFT);
	assert_int_equal(pages_of(guest), 3 + 1);
	assert_int_equal(sw(PCI_SRIOV_CONTROL, 2, 0), 1);
	/* A reset of the physical function: they come back as they were, or not at all. */
	sim_set(sim_function(PF), SIM_SRIOV + PCI_SRIOV_CONTROL, 2, 0, 0x1f);
	assert_false(turn_on(0xf2000000, 0xf1000000, 2));
	assert_false(turn_on(VF_BAR, 0xf1000000, 1));
	assert_true(turn_on(VF_BAR, 0xf1000000, 2));
	assert_int_equal(remove_function(VF(0)), 0);
	assert_int_equal(pages_of(guest), 0);
	assert_int_equal(s->resets, 2);
	assert_null(attached[VF(0)]);
	assert_null(pci_find(VF(0)));
	assert_int_equal(remove_function(VF(0)), -ENODEV);
	/* Nobody has it any more: it does not keep the others on. */
	assert_int_equal(pci_add(control, VF(0), PF, NODE_ANY), 0);
	assert_int_equal(revoke(VF(0)), 0);
	assert_int_equal(sw(PCI_SRIOV_CONTROL, 2, 0), 0);
	assert_null(pci_find(VF(0)));
	assert_int_equal(pci_add(control, VF(0), PF, NODE_ANY), -ENODEV);
}

/* A function that the control domain's kernel removes may be a guest's, come again, or be another. */
static void test_hotplug(void **state)
{
	const u32 slot = PCI_SBDF(0, 0, 20 << 3);
	struct sim_function *s;

	(void)state;
	assert_int_equal(create_control(), 0);
	assert_int_equal(cr(slot, 0, 2), 0xffff);
	s = sim_add(slot, 0x8086, 0x1234, 0x20000);
	sim_express(s, 0x80, 0, true);
	sim_bar(s, 0, 0, 0x10000, 0);
	sim_cap(s, 0x40, PCI_CAP_MSIX);
	sim_set(s, 0x42, 2, 0, 0xc000);
	sim_set(s, 0x44, 4, TABLE, 0);
	assert_int_equal((u16)read_of(guest, slot, 0, 2), 0xffff);
	assert_null(pci_find(slot));
	assert_int_equal(cr(slot, 0, 4), 0x12348086);
	assert_ptr_equal(attached[slot], control);
	assert_int_equal(pci_find(slot)->bar[0].size, 0x10000);
	write_of(control, slot, PCI_BAR0, 4, ~0U);
	assert_int_equal(cr(slot, PCI_BAR0, 4), 0xffff0000);
	write_of(control, slot, PCI_BAR0, 4, 0x10000000);	/* RAM */
	write_of(control, slot, PCI_COMMAND, 2, PCI_COMMAND_MEM);
	assert_int_equal(sim_get(s, PCI_COMMAND, 2), 0);
	write_of(control, slot, PCI_BAR0, 4, 0xf0000000);
	table_at = 0xf0000000 + TABLE;
	write_of(control, slot, PCI_COMMAND, 2, PCI_COMMAND_MEM | PCI_COMMAND_MASTER);
	assert_int_equal(sim_get(s, PCI_COMMAND, 2), 6);
	/* Its MSI-X has a place since then. */
	assert_true(control_region(table_at));
	write_of(control, slot, 0x42, 2, PCI_MSIX_ENABLE);
	assert_int_equal(sim_get(s, 0x42, 2), PCI_MSIX_ENABLE);
	assert_int_equal(pci_add(control, slot, ~0U, NODE_ANY), 0);
	/* Removed, and found by a rescan. */
	assert_int_equal(remove_function(slot), 0);
	assert_null(attached[slot]);
	assert_null(pci_find(slot)->owner);
	assert_int_equal(sim_get(s, PCI_COMMAND, 2), 2);
	assert_int_equal(cr(slot, 0, 4), 0x12348086);
	assert_ptr_equal(attached[slot], control);
	/* Removed, and given to a guest: then it is none of the control domain's business. */
	assert_int_equal(remove_function(slot), 0);
	assert_int_equal(assign(guest, slot), 0);
	assert_int_equal(cr(slot, 0, 2), 0xffff);
	assert_int_equal(remove_function(slot), 0);
	assert_ptr_equal(attached[slot], guest);
	assert_int_equal(revoke(slot), 0);
	assert_int_equal(cr(slot, 0, 2), 0xffff);
	assert_int_equal(assign(control, slot), 0);
	/* Pulled; another one is plugged in. */
	assert_int_equal(remove_function(slot), 0);
	s->dead = true;
	assert_int_equal(cr(slot, 0, 2), 0xffff);
	assert_null(pci_find(slot));
	s->dead = false;
	sim_set(s, PCI_DEVICE, 2, 0x4321, 0);
	sim_bar(s, 0, 0, 0x20000, 0);
	assert_int_equal(cr(slot, 0, 4), 0x43218086);
	assert_int_equal(pci_find(slot)->bar[0].size, 0x20000);
	/* A physical function does not go while somebody has a virtual one. */
	assert_true(turn_on(VF_BAR, 0xf1000000, 2));
	table_at = VF_BAR + TABLE;
	assert_int_equal(pci_add(control, VF(0), PF, NODE_ANY), 0);
	assert_int_equal(assign(guest, VF(0)), 0);
	assert_int_equal(remove_function(PF), 0);
	assert_int_equal(cr(PF, 0, 2), 0xffff);
	assert_ptr_equal(pci_find(VF(0))->physfn, pci_find(PF));
	assert_int_equal(remove_function(VF(0)), 0);
	assert_int_equal(cr(PF, 0, 2), 0x1b36);
	assert_int_equal(sr(PCI_SRIOV_CONTROL, 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_view, setup, teardown),
		cmocka_unit_test_setup_teardown(test_msix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_follows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pirq, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_straight, setup, teardown),
		cmocka_unit_test_setup_teardown(test_posted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_msi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_msi_or_msix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slots, setup, teardown),
		cmocka_unit_test_setup_teardown(test_halfway, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(test_port, setup, teardown),
		cmocka_unit_test_setup_teardown(test_control, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sriov_writes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sriov, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hotplug, setup, teardown),
	};

	return cmocka_run_group_tests_name("vpci", tests, NULL, NULL);
}
