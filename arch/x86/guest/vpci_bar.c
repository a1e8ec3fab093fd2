/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * BARs of a domain's functions. The control domain sees the machine's own and may move them while
 * decoding is off. The BARs of other guests are virtual: the device keeps its addresses, and while
 * the guest's COMMAND says so its pages are mapped where the guest's BARs are, but for those with
 * the MSI-X table. PCI 3.0, 6.2.5.1.
 */
#include <margay/boot_state.h>
#include <margay/errno.h>
#include <margay/page_owner.h>
#include <x86/build.h>
#include <x86/features.h>
#include <x86/hardware.h>

#include "vpci.h"

#define SAMPLES 4096UL			/* pages of a large BAR that are looked at */

static const struct pci_bar *bar_of(const struct vpci_function *v, unsigned i, bool *upper)
{
	*upper = i && v->f->bar[i - 1].is64;
	return &v->f->bar[i - *upper];
}

static u32 decoding(const struct vpci_function *v, const struct pci_bar *b)
{
	u32 command = v->d->hardware ? pci_read(v->f->sbdf, PCI_COMMAND, 2) : v->command;

	return command & (b->io ? PCI_COMMAND_IO : PCI_COMMAND_MEM);
}

u32 vpci_read_bar(const struct vpci_function *v, unsigned i)
{
	return v->d->hardware ? pci_read(v->f->sbdf, PCI_BAR0 + 4 * i, 4) : v->bar[i];
}

void vpci_write_bar(struct vpci_function *v, unsigned i, u32 val)
{
	bool upper;
	const struct pci_bar *b = bar_of(v, i, &upper);

	if (!b->size || (b->io && !v->d->hardware))
		return;
	if (decoding(v, b)) {
		v->refused++;
		return;
	}
	if (v->d->hardware)
		pci_write(v->f->sbdf, PCI_BAR0 + 4 * i, 4, val);
	else if (upper)
		v->bar[i] = val & (u32)(-b->size >> 32);
	else
		v->bar[i] = (val & (u32)-b->size) | (b->is64 ? PCI_BAR_64 : 0) |
			    (b->prefetch ? PCI_BAR_PREFETCH : 0);
}

/* The control domain may turn a ROM on and off, and size it while decoding is off. */
void vpci_write_rom(struct vpci_function *v, u32 val)
{
	u32 was = pci_read(v->f->sbdf, PCI_ROM, 4);
	bool moves = (val ^ was) & PCI_ROM_BASE;

	if (moves && ((val & PCI_ROM_ENABLE) || decoding(v, &v->f->rom)))
		v->refused++;
	else
		pci_write(v->f->sbdf, PCI_ROM, 4, val);
}

int vpci_place_bars(struct vpci_function *v)
{
	struct vpci *p = v->d->vpci;

	for (unsigned i = 0; i < PCI_BARS; i++) {
		const struct pci_bar *b = &v->f->bar[i];
		gpaddr_t at, end = b->is64 ? guest_pci_high_end() : GUEST_PCI_END;

		if (!b->size || b->io)
			continue;
		at = ALIGN_UP(p->next[b->is64], b->size);
		if (at < p->next[b->is64] || at > end || end - at < b->size)
			return -ENOSPC;
		p->next[b->is64] = at + b->size;
		vpci_write_bar(v, i, (u32)at);
		if (b->is64)
			vpci_write_bar(v, i + 1, (u32)(at >> 32));
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

		step = CHUNK_SIZE;
		if (IS_ALIGNED(gfn | mfn, CHUNK_PAGES) && b->size - at >= CHUNK_SIZE &&
		    p2m_lookup(v->d, gfn).type == P2M_NONE &&
		    !vmsi_has_table(v->msix, i, at, CHUNK_SIZE) &&
		    !p2m_map(v->d, gfn, mfn, 9, P2M_MMIO))
			continue;
		step = PAGE_SIZE;
		if (!vmsi_has_table(v->msix, i, at, PAGE_SIZE))
			(void)p2m_map_over(v->d, gfn, mfn, P2M_MMIO, 0);
	}
}

void vpci_unmap(struct domain *d, gpaddr_t gpa, u64 size)
{
	u64 step;

	for (u64 at = 0; at < size; at += step) {
		gfn_t gfn = (gpa + at) >> PAGE_SHIFT;

		step = CHUNK_SIZE;
		if (IS_ALIGNED(gfn, CHUNK_PAGES) && size - at >= CHUNK_SIZE &&
		    p2m_unmap_pages(d, gfn, CHUNK_PAGES, 1U << P2M_MMIO))
			continue;
		step = PAGE_SIZE;
		(void)p2m_unmap(d, gfn, 1U << P2M_MMIO);
	}
}

static bool in_windows(gpaddr_t at, u64 size)
{
	gpaddr_t end = at + size;

	return end > at && ((at >= GUEST_PCI_BASE && end <= GUEST_PCI_END) ||
			    (at >= guest_pci_high() && end <= guest_pci_high_end()));
}

/* Returns whether another BAR of the domain is mapped there. */
static bool is_used(const struct vpci_function *v, gpaddr_t at, u64 size)
{
	const struct vpci *p = v->d->vpci;

	for (const struct vpci_function *o = p->functions; o; o = o->next)
		for (unsigned i = 0; i < PCI_BARS; i++)
			if (o->mapped[i] && at < o->mapped[i] + o->f->bar[i].size &&
			    o->mapped[i] < at + size)
				return true;
	return false;
}

void vpci_map_bars(struct vpci_function *v, bool on)
{
	for (unsigned i = 0; i < PCI_BARS; i++) {
		const struct pci_bar *b = &v->f->bar[i];
		gpaddr_t at = v->bar[i] & ~0xfU;

		if (!b->size || b->io)
			continue;
		at |= b->is64 ? (u64)v->bar[i + 1] << 32 : 0;
		if (!on && v->mapped[i]) {
			vmsi_move_table(v->msix, i, 0);
			vpci_unmap(v->d, v->mapped[i], b->size);
			v->mapped[i] = 0;
		} else if (on && in_windows(at, b->size) && !is_used(v, at, b->size)) {
			v->mapped[i] = at;
			map_bar(v, i, at);
			vmsi_move_table(v->msix, i, at);
		}
	}
}

/* Returns whether o decodes some of the memory, or of its pages if f's owner is another. */
static bool decodes(const struct pci_function *o, const struct domain *d, paddr_t at, u64 size)
{
	u64 unit = o->owner == d ? 1 : PAGE_SIZE;

	for (unsigned i = 0; i < PCI_BARS; i++) {
		paddr_t base = ALIGN_DOWN(o->bar[i].base, unit);
		paddr_t end = ALIGN_UP(o->bar[i].base + o->bar[i].size, unit);

		if (o->bar[i].size && !o->bar[i].io && base && at < end && base < at + size)
			return true;
	}
	return false;
}

bool pci_memory_is_free(const struct domain *d, const struct pci_function *f, paddr_t at, u64 size)
{
	const struct pci_function *o;

	list_for_each(o, &pci_functions, link)
		if (o != f && (f || o->owner != d) && decodes(o, d, at, size))
			return false;
	return true;
}

bool pci_bar_is_sound(const struct pci_function *f, unsigned i)
{
	paddr_t at = f->bar[i].base;
	u64 size = f->bar[i].size;

	if (at + size < at || (at + size - 1) >> x86.phys_bits || memory_is_margays(at, size))
		return false;
	for (unsigned n = 0; n < boot_acpi.nr_ioapics; n++)
		if (at < boot_acpi.ioapics[n].base + PAGE_SIZE &&
		    boot_acpi.ioapics[n].base < at + size)
			return false;
	for (u64 off = 0; off < size; off += ALIGN_UP(max(PAGE_SIZE, size / SAMPLES), PAGE_SIZE))
		if (page_owner((at + off) >> PAGE_SHIFT) != OWNER_NONE)
			return false;
	return pci_memory_is_free(f->owner, f, at, size);
}

bool vpci_bars_allowed(struct vpci_function *v)
{
	struct pci_function *f = v->f;

	pci_update_bars(f);
	for (unsigned i = 0; i < PCI_BARS; i++) {
		const struct pci_bar *b = &f->bar[i];

		if (!b->size || b->io)
			continue;
		if (b->base && !pci_bar_is_sound(f, i))
			return false;
	}
	return true;
}

void vpci_follow_bars(struct vpci_function *v)
{
	for (unsigned i = 0; i < PCI_BARS; i++)
		if (vmsi_has_table(v->msix, i, 0, ~0UL))
			vmsi_move_table(v->msix, i,
					vmsi_map_table(v->msix) ? 0 : v->f->bar[i].base);
}
