/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's memory, by its own page tables and the p2m. While a copy runs v->in_copy is set, and whoever
 * takes a page from the domain waits for it: so no reference is needed a page. SDM 3A 4, APM2 5.
 */
#include <margay/guest_copy.h>
#include <margay/hvm.h>
#include <margay/x86.h>

/* One copy: the vCPU's mode, and the mapping of the p2m that was used last, for the next access is near. */
struct walk {
	struct domain *d;
	struct vcpu_mode m;
	gpaddr_t base;		/* of that mapping, with its size (0: none yet) and place */
	u64 size;
	u8 *host;
	bool writable;
};

/* Nested use (a hypercall inside a multicall) does not happen: copies are leaf functions. */
static void copy_begin(struct vcpu *v)
{
	v->in_copy = true;
	smp_mb();
}

static void copy_end(struct vcpu *v)
{
	atomic_store(&v->in_copy, false);
}

static __noinline bool find_mapping(struct walk *w, gpaddr_t gpa)
{
	struct p2m_entry e = p2m_lookup(w->d, gpa >> PAGE_SHIFT);

	if (e.type == P2M_NONE || e.type == P2M_MMIO)
		return false;
	w->size = PAGE_SIZE << e.order;
	w->base = gpa & -w->size;
	w->host = (u8 *)mfn_to_virt(e.mfn) - ((gpa & PAGE_MASK) - w->base);
	w->writable = e.type != P2M_GRANT_RO;
	return true;
}

/* Machine memory behind a guest physical address, if it is RAM or may be used like it. */
static inline void *gpa_to_ptr(struct walk *w, gpaddr_t gpa, bool write)
{
	if (unlikely(gpa - w->base >= w->size) && !find_mapping(w, gpa))
		return NULL;
	return unlikely(write && !w->writable) ? NULL : w->host + (gpa - w->base);
}

/* One entry, with the accessed (and for the last level of a write the dirty) bit set in it. */
static bool read_entry(struct walk *w, gpaddr_t gpa, bool wide, u64 set, u64 *out)
{
	u8 *p = gpa_to_ptr(w, gpa, false);
	u64 e;

	if (!p)
		return false;
	e = wide ? READ_ONCE(*(u64 *)p) : READ_ONCE(*(u32 *)p);
	*out = e;
	if ((e & PTE_P) && (e & set) != set && gpa_to_ptr(w, gpa, true)) {
		if (wide)
			atomic_or((u64 *)p, set);
		else
			atomic_or((u32 *)p, (u32)set);
	}
	return true;
}

static bool walk(struct walk *w, gvaddr_t va, bool write, gpaddr_t *gpa)
{
	bool pae = w->m.cr4 & CR4_PAE, longmode = w->m.efer & EFER_LMA;
	unsigned levels = longmode ? (w->m.cr4 & CR4_LA57 ? 5 : 4) : pae ? 3 : 2;
	unsigned bits = pae ? 9 : 10, shift;
	u64 base = w->m.cr3 & (longmode ? PTE_ADDR : pae ? 0xffffffe0UL : 0xfffff000UL), e;

	if (!(w->m.cr0 & CR0_PG)) {
		*gpa = va & 0xffffffff;
		return true;
	}
	if (!longmode)
		va &= 0xffffffff;
	else if ((u64)((s64)(va << (64 - 9 * levels - 12)) >> (64 - 9 * levels - 12)) != va)
		return false;	/* not canonical */
	while (levels--) {
		bool top_pae = !longmode && pae && levels == 2, last;

		shift = PAGE_SHIFT + bits * levels;
		if (!read_entry(w, base + (va >> shift & ((1U << bits) - 1)) * (pae ? 8 : 4), pae,
				top_pae ? 0 : PTE_A, &e))
			return false;
		if (!(e & PTE_P) || (!top_pae && write && !(e & PTE_W) && (w->m.cr0 & CR0_WP)))
			return false;
		last = !levels || (!top_pae && levels < 3 && (e & PTE_PS) &&
				   (longmode || levels == 1));
		if (last)
			break;
		base = e & (pae ? PTE_ADDR : 0xfffff000UL);
	}
	if (write && !(e & PTE_D))
		read_entry(w, base + (va >> shift & ((1U << bits) - 1)) * (pae ? 8 : 4), pae,
			   PTE_A | PTE_D, &e);
	*gpa = (e & (pae ? PTE_ADDR : 0xfffff000UL) & ~((1UL << shift) - 1)) | (va & ((1UL << shift) - 1));
	return true;
}

static int copy_linear(struct vcpu *v, gvaddr_t va, void *buf, size_t n, bool to_guest, size_t *done)
{
	struct walk w = { .d = v->domain };
	u8 *b = buf;
	int rc = 0;

	hvm->mode(v, &w.m);
	copy_begin(v);
	while (n) {
		size_t part = min(n, PAGE_SIZE - (va & ~PAGE_MASK));
		gpaddr_t gpa;
		u8 *p;

		if (!walk(&w, va, to_guest, &gpa) || !(p = gpa_to_ptr(&w, gpa, to_guest))) {
			rc = -EFAULT;
			break;
		}
		if (part == 8)
			*(u64 *)(to_guest ? p : b) = *(u64 *)(to_guest ? b : p);
		else if (part == 4)
			*(u32 *)(to_guest ? p : b) = *(u32 *)(to_guest ? b : p);
		else
			memcpy(to_guest ? p : b, to_guest ? b : p, part);
		va += part;
		b += part;
		n -= part;
	}
	copy_end(v);
	if (done)
		*done = (size_t)(b - (u8 *)buf);
	return rc;
}

int copy_from_guest(void *dst, gvaddr_t src, size_t n)
{
	return copy_linear(this_cpu()->current, src, dst, n, false, NULL);
}

int copy_to_guest(gvaddr_t dst, const void *src, size_t n)
{
	return copy_linear(this_cpu()->current, dst, (void *)(uintptr_t)src, n, true, NULL);
}

unsigned guest_fetch(struct vcpu *v, gvaddr_t va, void *buf, unsigned n)
{
	size_t done = 0;

	if (copy_linear(v, va, buf, n, false, &done))
		return (unsigned)done;
	return n;
}

int guest_translate(gvaddr_t va, bool write, gpaddr_t *gpa)
{
	struct vcpu *v = this_cpu()->current;
	struct walk w = { .d = v->domain };
	bool ok;

	hvm->mode(v, &w.m);
	copy_begin(v);
	ok = walk(&w, va, write, gpa);
	copy_end(v);
	return ok ? 0 : -EFAULT;
}

/* Its own memory under in_copy; a domain nobody runs yet needs no care; others' pages by reference. */
static int copy_gpa(struct domain *d, gpaddr_t gpa, void *buf, size_t n, bool to_guest)
{
	struct vcpu *v = this_cpu()->current;
	bool own = v && v->domain == d, free = d->state == DOM_BUILDING;
	struct walk w = { .d = d };
	u8 *b = buf;
	int rc = 0;

	if (own)
		copy_begin(v);
	while (n) {
		size_t part = min(n, PAGE_SIZE - (gpa & ~PAGE_MASK));
		mfn_t mfn = INVALID_MFN;
		u8 *p;

		if (own || free) {
			p = gpa_to_ptr(&w, gpa, to_guest);
		} else {
			p = p2m_get_page(d, gpa >> PAGE_SHIFT, to_guest, &mfn) ?
				    NULL : (u8 *)mfn_to_virt(mfn) + (gpa & ~PAGE_MASK);
		}
		if (!p) {
			rc = -EFAULT;
			break;
		}
		memcpy(to_guest ? p : b, to_guest ? b : p, part);
		if (mfn != INVALID_MFN)
			page_put(mfn);
		gpa += part;
		b += part;
		n -= part;
	}
	if (own)
		copy_end(v);
	return rc;
}

int copy_from_gpa(struct domain *d, void *dst, gpaddr_t src, size_t n)
{
	return copy_gpa(d, src, dst, n, false);
}

int copy_to_gpa(struct domain *d, gpaddr_t dst, const void *src, size_t n)
{
	return copy_gpa(d, dst, (void *)(uintptr_t)src, n, true);
}
