/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * BARs of a domain's functions. The control domain sees the machine's own and may move them while
 * decoding is off. The BARs of other guests are virtual: the device keeps its addresses, and while
 * the guest's COMMAND says so its pages are mapped where the guest's BARs are, but for those with
 * the MSI-X table. PCI 3.0, 6.2.5.1.
 */
#include <margay/errno.h>
#include <x86/build.h>
#include <x86/hardware.h>

#include "vpci.h"

static bool is_memory(const struct pci_bar *b) { return b->size && !b->io; }

int vpci_place_bars(struct vpci_function *v, unsigned n)
{
	gpaddr_t next[] = { guest_pci_slot(n, false), guest_pci_slot(n, true) };

	for (unsigned i = 0; i < PCI_BARS; i++) {
		const struct pci_bar *b = &v->f->bar[i];
		struct vpci_register *r = &v->reg[PCI_BAR0 / 4 + i];
		bool high = b->is64 && b->prefetch;
		gpaddr_t at = ALIGN_UP(next[high], max(b->size, 1UL));

		r->virt = ~0U;
		if (!is_memory(b))
			continue;
		next[high] = at + b->size;
		if (next[high] < b->size || next[high] > guest_pci_slot(n + 1, high))
			return -ENOSPC;
		r[0].value = (u32)at | (b->is64 ? PCI_BAR_64 : 0) |
			     (b->prefetch ? PCI_BAR_PREFETCH : 0);
		r[0].write = (u32)-b->size & ~0xfU;
		if (b->is64) {
			r[1].value = (u32)(at >> 32);
			r[1].write = (u32)(-b->size >> 32);
		}
	}
	return 0;
}

/* Maps the pages of a BAR where no others are. */
static void map_bar(struct vpci_function *v, unsigned i, gpaddr_t gpa)
{
	const struct pci_bar *b = &v->f->bar[i];
	u64 step;

	for (u64 at = 0; at < b->size; at += step) {
		gfn_t gfn = (gpa + at) >> PAGE_SHIFT;
		mfn_t mfn = (b->base + at) >> PAGE_SHIFT;

		/* A BAR is aligned to its size, here and there. */
		step = b->size < CHUNK_SIZE ? PAGE_SIZE : CHUNK_SIZE;
		if (step == CHUNK_SIZE && !vmsi_has_table(v->msi, i, at, step) &&
		    p2m_lookup(v->d, gfn).type == P2M_NONE && !p2m_map(v->d, gfn, mfn, 9, P2M_MMIO))
			continue;
		step = PAGE_SIZE;
		if (!vmsi_has_table(v->msi, i, at, step))
			(void)p2m_map_over(v->d, gfn, mfn, P2M_MMIO, 0);
	}
}

void vpci_unmap(struct domain *d, gpaddr_t gpa, u64 size)
{
	gfn_t end = (gpa + size + PAGE_SIZE - 1) >> PAGE_SHIFT;
	u64 pages;

	for (gfn_t gfn = gpa >> PAGE_SHIFT; gfn < end; gfn += pages) {
		struct p2m_entry e = p2m_lookup(d, gfn);

		pages = (1UL << e.order) - (gfn & ((1UL << e.order) - 1));
		if (e.type != P2M_MMIO)
			continue;
		if (pages != CHUNK_PAGES || pages > end - gfn)
			pages = 1;
		/* A part of a large mapping needs a table. */
		if (!p2m_unmap_pages(d, gfn, (unsigned)pages, 1U << P2M_MMIO) &&
		    p2m_lookup(d, gfn).type == P2M_MMIO)
			domain_crash(d, NULL, "no memory to take a device away");
	}
}

/* Returns where the domain wants a BAR; 0: nowhere, or where it must not be. */
static gpaddr_t wanted(const struct vpci_function *v, unsigned i)
{
	const struct pci_bar *b = &v->f->bar[i];
	const struct vpci_register *r = &v->reg[PCI_BAR0 / 4 + i];
	gpaddr_t at = r[0].value & ~0xfU, end;

	if (v->d->hardware)
		return b->base;
	at |= b->is64 ? (u64)r[1].value << 32 : 0;
	end = at + b->size;
	return end > at && ((at >= GUEST_PCI_BASE && end <= GUEST_PCI_END) ||
			    (at >= guest_pci_high() && end <= guest_pci_high_end())) ?
		       at :
		       0;
}

void vpci_map_bars(struct vpci_function *v, bool on)
{
	for (unsigned i = 0; i < PCI_BARS; i++) {
		const struct pci_bar *b = &v->f->bar[i];
		/* The domain with the devices maps by touching, whether they decode or not. */
		gpaddr_t was = v->d->hardware ? b->base : v->mapped[i];

		if (!is_memory(b))
			continue;
		vmsi_move_table(v->msi, i, 0);
		if (was)
			vpci_unmap(v->d, was, b->size);
		v->mapped[i] = on ? wanted(v, i) : 0;
		if (!v->mapped[i])
			continue;
		if (!v->d->hardware)
			map_bar(v, i, v->mapped[i]);
		vmsi_move_table(v->msi, i, v->mapped[i]);
	}
}

/* Returns whether n BARs that follow each other have some of the memory. */
static bool has(const struct pci_bar *b, unsigned n, u64 unit, paddr_t at, u64 size)
{
	paddr_t base = ALIGN_DOWN(b->base, unit), end = ALIGN_UP(b->base + n * b->size, unit);

	return n && is_memory(b) && base && at < end && base < at + size;
}

/*
 * Returns whether o or one of its virtual functions, but not f, decodes some of the memory, or of its
 * pages if f's owner is another.
 */
static bool decodes(const struct pci_function *o, const struct domain *d,
		    const struct pci_function *f, paddr_t at, u64 size)
{
	u64 unit = o->owner == d ? 1 : PAGE_SIZE;
	unsigned nr_vfs = f && f->physfn == o ? 0 : o->nr_vfs;

	for (unsigned i = 0; i < PCI_BARS; i++)
		if ((o != f && has(&o->bar[i], 1, unit, at, size)) ||
		    has(&o->vf_bar[i], nr_vfs, unit, at, size))
			return true;
	return false;
}

/* Returns whether the domain with the devices has o, and is not losing it. */
static bool is_seen(const struct domain *d, const struct pci_function *o)
{
	const struct vpci_function *v = o->view;

	return v && v->d == d && v->sbdf == o->sbdf;
}

bool pci_memory_is_free(const struct domain *d, const struct pci_function *f, paddr_t at, u64 size)
{
	const struct pci_function *o;

	return !pci_find_if(o, (f || !is_seen(d, o)) && decodes(o, d, f, at, size));
}

bool pci_bars_are_sound(const struct domain *d, struct pci_function *f)
{
	pci_update_bars(f);
	for (unsigned i = 0; i < PCI_BARS; i++) {
		const struct pci_bar *b = &f->bar[i];

		if (!is_memory(b))
			continue;
		if (!d->hardware && (!b->base || b->size < PAGE_SIZE))
			return false;
		if (b->base && !memory_is_devices(d, f, b->base, b->size))
			return false;
	}
	return true;
}
