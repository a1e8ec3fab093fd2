/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Access to guest memory through the guest's page tables and the p2m. v->copying_guest_memory is
 * set during a copy, and whoever takes a page from the domain waits until it is clear; so a copy
 * takes no page references. SDM 3A 4, APM2 5.
 */
#include <margay/guest_copy.h>
#include <x86/features.h>
#include <x86/hvm.h>
#include <x86/paging.h>
#include <x86/regs.h>

#define NO_ADDRESS (~0UL)
#define NO_PAGE 1UL
#define NO_GENERATION (~0UL)

static __noinline void drop_caches(struct vcpu *v)
{
	_Static_assert(ARRAY_SIZE(v->map) == ARRAY_SIZE(v->walked), "one loop for both");
	for (unsigned i = 0; i < ARRAY_SIZE(v->map); i++) {
		v->map[i].size = 0;
		v->walked[i].page = NO_PAGE;
	}
	v->recent = v->walked;
	v->walk_checked = false;
}

/*
 * Copies do not nest (even in a multicall): they are leaf functions. The p2m windows of earlier
 * copies stay valid until p2m_flush() runs. It increments the generation first and then waits for
 * copying_guest_memory, so either it waits for this copy or this copy sees the new generation.
 * Removing transient pages leaves the generation: a copy that has used one sets NO_GENERATION, and
 * the next one drops the caches.
 */
static inline void check_caches(struct vcpu *v)
{
	bool changed = hvm->refresh_paging_state(v);
	u64 generation = READ_ONCE(v->domain->p2m.generation);

	if (unlikely(changed || v->map_generation != generation)) {
		v->map_generation = generation;
		drop_caches(v);
	}
}

/* p2m_flush() waits for the copy from here on. */
static inline void copy_enter(struct vcpu *v)
{
	v->copying_guest_memory = true;
	smp_mb();
}

static inline void copy_begin(struct vcpu *v)
{
	copy_enter(v);
	check_caches(v);
}

static inline void copy_end(struct vcpu *v)
{
	atomic_store(&v->copying_guest_memory, false);
}

static __noinline bool move_window(struct domain *d, struct p2m_window *w, gpaddr_t gpa)
{
	struct vcpu *v = this_cpu()->current;
	struct p2m_entry e = p2m_lookup(d, gpa >> PAGE_SHIFT);

	if (unlikely(e.type == P2M_NONE && d->nr_on_demand) &&
	    !on_demand_allocate(d, gpa >> PAGE_SHIFT))
		e = p2m_lookup(d, gpa >> PAGE_SHIFT);
	if (e.type == P2M_NONE || e.type == P2M_MMIO)
		return false;
	if (unlikely(p2m_transient(e.type)) && v)
		v->map_generation = NO_GENERATION;
	w->size = PAGE_SIZE << e.order;
	w->base = gpa & -w->size;
	w->host = (u8 *)mfn_to_virt(e.mfn) - ((gpa & PAGE_MASK) - w->base);
	w->writable = e.type <= P2M_SHARED && !d->p2m.log.on;
	return true;
}

/* The first write through a window that may have to be logged; the window stays until a flush. */
static __noinline bool open_window(struct domain *d, struct p2m_window *w, gpaddr_t gpa)
{
	w->writable = p2m_mark_dirty(d, gpa >> PAGE_SHIFT);
	return w->writable;
}

/*
 * Returns the host address of a guest physical address, or NULL if it is not RAM or usable as RAM.
 */
static inline void *gpa_to_ptr(struct domain *d, struct p2m_window *w, gpaddr_t gpa, bool write)
{
	if (unlikely(gpa - w->base >= w->size) && !move_window(d, w, gpa))
		return NULL;
	if (unlikely(write && !w->writable) && !open_window(d, w, gpa))
		return NULL;
	return w->host + index_nospec(gpa - w->base, w->size);
}

static inline void *own_ptr(struct vcpu *v, gpaddr_t gpa, bool write)
{
	return gpa_to_ptr(v->domain, &v->map[gpa >> 21 & (ARRAY_SIZE(v->map) - 1)], gpa, write);
}

/*
 * Sets bits in a guest page-table entry, if the guest may write it. False: the entry no longer
 * equals e.
 */
static __noinline bool mark_entry(struct vcpu *v, gpaddr_t gpa, bool wide, u64 e, u64 set)
{
	void *p = own_ptr(v, gpa, true);

	if (!p)
		return true;
	return wide ? atomic_cas((u64 *)p, e, e | set) :
		      atomic_cas((u32 *)p, (u32)e, (u32)(e | set));
}

/* The rights that an access needs from the entries that map its page. */
struct rights {
	bool write;
	u64 need;	/* bits that all entries must have */
	u64 forbid;	/* a bit that not all entries may have */
	u64 reserved;	/* bits that no entry may have */
};

/* Returns the rights of Margay's own copies, which are the guest kernel's. */
static inline struct rights kernel_rights(const struct vcpu *v, bool write)
{
	return (struct rights){ .write = write,
				.need = write && (v->paging.cr0 & CR0_WP) ? PTE_W : 0 };
}

/* Walks the tables of one paging mode. longmode and pae are constants in each caller. */
static __always_inline gpaddr_t walk_tables(struct vcpu *v, struct vcpu_walk *w, gvaddr_t va,
					    const struct rights *r, bool longmode, bool pae)
{
	const struct paging_state *p = &v->paging;
	unsigned bits = pae ? 9 : 10, levels = longmode ? (p->cr4 & CR4_LA57 ? 5 : 4) : pae ? 3 : 2;
	unsigned shift = PAGE_SHIFT + bits * (levels - 1), unused = 64 - PAGE_SHIFT - 9 * levels;
	struct walk_step *step = w->steps;
	gpaddr_t base = p->cr3 & (longmode ? PTE_ADDR : pae ? 0xffffffe0UL : 0xfffff000UL), at;
	u64 addr_mask = pae ? PTE_ADDR : 0xfffff000UL, e, set, all, common = ~0UL;

	w->error = 0;
	if (longmode && unlikely((u64)((s64)(va << unused) >> unused) != va))
		return NO_ADDRESS;	/* not canonical */
	for (;; shift -= bits) {
		bool pdpte = !longmode && pae && shift == 30, last;
		void *entry;

		at = base + (va >> shift & ((1U << bits) - 1)) * (pae ? 8 : 4);
		entry = own_ptr(v, at, false);
		if (unlikely(!entry))
			return NO_ADDRESS;
again:
		e = pae ? READ_ONCE(*(const u64 *)entry) : READ_ONCE(*(const u32 *)entry);
		if (unlikely(!(e & PTE_P)))
			return NO_ADDRESS;
		if (unlikely(e & r->reserved)) {
			w->error = PF_PRESENT | PF_RESERVED;
			return NO_ADDRESS;
		}
		last = shift == PAGE_SHIFT || ((e & PTE_PS) && !pdpte && shift <= 30);
		all = pdpte ? common : common & e;
		if (last && unlikely((all & r->need) != r->need || (all & r->forbid))) {
			w->error = PF_PRESENT;
			return NO_ADDRESS;
		}
		set = (pdpte ? 0 : PTE_A) | (last && r->write ? PTE_D : 0);
		if (unlikely((e & set) != set) && !mark_entry(v, at, pae, e, set))
			goto again;
		common = all;
		if (longmode)
			*step++ = (struct walk_step){ entry, e | set };
		if (last)
			break;
		base = e & addr_mask;
	}
	w->end = step;
	return (e & addr_mask & -(1UL << shift)) | (va & ((1UL << shift) - 1));
}

static __noinline gpaddr_t walk_legacy(struct vcpu *v, struct vcpu_walk *w, gvaddr_t va,
				       const struct rights *r)
{
	w->end = w->steps;
	if (va >= ARG64)
		return NO_ADDRESS;
	va = (u32)va;
	if (!(v->paging.cr0 & CR0_PG))
		return va;
	return v->paging.cr4 & CR4_PAE ? walk_tables(v, w, va, r, false, true) :
					 walk_tables(v, w, va, r, false, false);
}

_Static_assert(ARRAY_SIZE(((struct vcpu *)NULL)->walked) == 1 << (32 - 28), "walk_of()");

/*
 * Returns the cache slot for va's page: one of two, so that two pages that alternate both stay. The
 * slot may hold another page.
 */
static inline struct vcpu_walk *walk_of(struct vcpu *v, gvaddr_t va)
{
	/* Hash by the golden ratio, since stacks lie at multiples of their size. */
	unsigned i = (u32)(va >> PAGE_SHIFT) * 0x9e3779b1U >> 28;

	if (v->walked[i].page != (va & PAGE_MASK) && v->walked[i].page != NO_PAGE)
		i ^= 1;
	return &v->walked[i];
}

static inline gpaddr_t walk(struct vcpu *v, gvaddr_t va, const struct rights *r)
{
	struct vcpu_walk *w = walk_of(v, va);

	w->page = NO_PAGE;
	v->walk_checked = false;
	return likely(v->paging.efer & EFER_LMA) ? walk_tables(v, w, va, r, true, true) :
						   walk_legacy(v, w, va, r);
}

static inline bool is_same(const struct walk_step *s)
{
	return READ_ONCE(*s->at) == s->val;
}

/* Returns whether the guest's entries are those of the walk: four, most often. */
static inline bool is_current(const struct vcpu_walk *w)
{
	const struct walk_step *s = w->steps;

	if (likely(w->end == s + 4))
		return is_same(s) && is_same(s + 1) && is_same(s + 2) && is_same(s + 3);
	while (s != w->end && is_same(s))
		s++;
	return s == w->end;
}

/*
 * Returns the host address of va if its translation is cached, or NULL. Compares the guest's
 * entries again, since a guest changes its tables without an exit.
 */
static inline u8 *same_page(struct vcpu *v, gvaddr_t va, bool write)
{
	struct vcpu_walk *w = v->recent;

	if (w->page != (va & PAGE_MASK))
		w = walk_of(v, va);
	if (w->page != (va & PAGE_MASK) || w->cr3 != v->paging.cr3 || (write && !w->write) ||
	    unlikely(!is_current(w)))
		return NULL;
	v->recent = w;
	v->walk_checked = true;
	return w->host + (va & ~PAGE_MASK);
}

static u8 *translate(struct vcpu *v, gvaddr_t va, bool write)
{
	struct vcpu_walk *w = walk_of(v, va);
	struct rights r = kernel_rights(v, write);
	gpaddr_t gpa = walk(v, va, &r);
	u8 *p = gpa == NO_ADDRESS ? NULL : own_ptr(v, gpa, write);

	if (p && w->end != w->steps)
		w->page = va & PAGE_MASK;
	w->cr3 = v->paging.cr3;
	w->host = (u8 *)((u64)p & PAGE_MASK);
	w->write = write;
	v->recent = w;
	v->walk_checked = w->page != NO_PAGE;
	return p;
}

static void *arg64(const struct vcpu *v, gvaddr_t va, size_t n)
{
	u64 at = va - ARG64;

	return v->arg64 && at < ARG64_SIZE && n <= ARG64_SIZE - at ? v->arg64 + at : NULL;
}

/* Copies 4 bytes, or a number of words. */
static inline void copy_whole(u8 *to, const u8 *from, size_t n)
{
	if (n == 8) {
		*(u64 *)to = *(const u64 *)from;
	} else if (n == 4) {
		*(u32 *)to = *(const u32 *)from;
	} else {
		n /= 8;
		__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(n)::"memory");
	}
}

static inline void copy_part(u8 *to, const u8 *from, size_t n)
{
	if (n % 8 && n != 4)
		memcpy(to, from, n);
	else
		copy_whole(to, from, n);
}

/*
 * Copies between copy_begin() and copy_end(). Returns the bytes copied: fewer than n where the
 * guest has no memory.
 */
static __noinline size_t copy_pages(struct vcpu *v, gvaddr_t va, u8 *buf, size_t n, bool to_guest)
{
	size_t done = 0;

	while (done < n) {
		size_t part = min(n - done, PAGE_SIZE - (va & ~PAGE_MASK));
		u8 *p = translate(v, va, to_guest);

		if (unlikely(!p))
			p = arg64(v, va, part);
		if (!p)
			break;
		copy_part(to_guest ? p : buf + done, to_guest ? buf + done : p, part);
		va += part;
		done += part;
	}
	return done;
}

/*
 * Copies without the last copy's translation. Called after copy_enter(); ends the copy. Returns the
 * bytes copied.
 */
static __always_inline size_t copy_checked(struct vcpu *v, gvaddr_t va, u8 *buf, size_t n,
					   bool to_guest)
{
	size_t done = n;
	u8 *p;

	check_caches(v);
	p = same_page(v, va, to_guest);
	if (likely(p && n <= PAGE_SIZE - (va & ~PAGE_MASK)))
		copy_part(to_guest ? p : buf, to_guest ? buf : p, n);
	else
		done = copy_pages(v, va, buf, n, to_guest);
	copy_end(v);
	return done;
}

static __noinline int read_other_page(struct vcpu *v, gvaddr_t va, u8 *buf, size_t n)
{
	return copy_checked(v, va, buf, n, false) == n ? 0 : -EFAULT;
}

static __noinline int write_other_page(struct vcpu *v, gvaddr_t va, u8 *buf, size_t n)
{
	return copy_checked(v, va, buf, n, true) == n ? 0 : -EFAULT;
}

/*
 * Between two entries a CPU may keep a translation, so the one that the last copy used is good
 * while the p2m has not changed. Calls nothing else for that.
 */
static __always_inline int copy_linear(struct vcpu *v, gvaddr_t va, void *buf, size_t n,
				       bool to_guest)
{
	const struct vcpu_walk *w = v->recent;
	u64 off = va & ~PAGE_MASK;
	u8 *p;

	copy_enter(v);
	if (unlikely(!v->walk_checked || w->page != (va & PAGE_MASK) || (to_guest && !w->write) ||
		     n > PAGE_SIZE - off || (n % 8 && n != 4) ||
		     v->map_generation != READ_ONCE(v->domain->p2m.generation)))
		return to_guest ? write_other_page(v, va, buf, n) : read_other_page(v, va, buf, n);
	p = w->host + off;
	copy_whole(to_guest ? p : buf, to_guest ? buf : p, n);
	copy_end(v);
	return 0;
}

int copy_from_guest(void *dst, gvaddr_t src, size_t n)
{
	return copy_linear(current_vcpu(), src, dst, n, false);
}

int copy_to_guest(gvaddr_t dst, const void *src, size_t n)
{
	return copy_linear(current_vcpu(), dst, (void *)(uintptr_t)src, n, true);
}

unsigned guest_fetch(struct vcpu *v, const struct vcpu_mode *m, void *buf, unsigned n)
{
	gvaddr_t pc = m->cs_base + v->regs.rip;

	copy_enter(v);
	return (unsigned)copy_checked(v, m->width == 64 ? pc : (u32)pc, buf, n, false);
}

int guest_translate(gvaddr_t va, bool write, gpaddr_t *gpa)
{
	struct vcpu *v = this_cpu()->current;
	struct rights r;

	copy_begin(v);
	r = kernel_rights(v, write);
	*gpa = walk(v, va, &r);
	copy_end(v);
	return *gpa == NO_ADDRESS ? -EFAULT : 0;
}

/* Returns the rights that the guest's instruction needs. SDM 3A 4.6.1. */
static struct rights insn_rights(const struct vcpu *v, u32 access)
{
	const struct paging_state *p = &v->paging;
	bool user = access & PF_USER, smap = p->cr4 & CR4_SMAP, write = access & PF_WRITE;
	struct rights r = {
		.write = write,
		.need = (write && (user || (p->cr0 & CR0_WP)) ? PTE_W : 0) | (user ? PTE_U : 0),
		.forbid = !user && smap && !(v->regs.rflags & RFLAGS_AC) ? PTE_U : 0,
	};

	/* Only PAE entries have bits this high. */
	if (p->cr4 & CR4_PAE)
		r.reserved = (PTE_ADDR & ~((1UL << x86.phys_bits) - 1)) |
			     (p->efer & EFER_NXE ? 0 : PTE_NX);
	return r;
}

/* Checks protection keys, which apply to user pages in long mode. SDM 3A 4.6.2. */
static bool key_refuses(const struct vcpu *v, const struct vcpu_walk *w, u32 access)
{
	u64 e;
	u32 key;

	if (!(v->paging.cr4 & CR4_PKE) || w->end == w->steps)
		return false;
	for (const struct walk_step *s = w->steps; s != w->end; s++)
		if (!(s->val & PTE_U))
			return false;
	e = w->end[-1].val;
	key = read_pkru() >> (e >> PTE_KEY_SHIFT & 15) * 2;
	return (key & 1) || ((key & 2) && (access & PF_WRITE) &&
			     ((access & PF_USER) || (v->paging.cr0 & CR0_WP)));
}

static bool operand_page(struct vcpu *v, gvaddr_t va, u32 access, u8 **p, struct access_fault *f)
{
	struct rights r = insn_rights(v, access);
	const struct vcpu_walk *w = walk_of(v, va);
	gpaddr_t gpa = walk(v, va, &r);

	*f = (struct access_fault){ va, w->error | access };
	if (gpa != NO_ADDRESS && key_refuses(v, w, access)) {
		f->error |= PF_PRESENT | PF_KEY;
		return false;
	}
	*p = gpa == NO_ADDRESS ? NULL : own_ptr(v, gpa, r.write);
	return gpa != NO_ADDRESS;
}

bool guest_operand(struct vcpu *v, gvaddr_t va, const void *buf, unsigned n, u32 access,
		   struct access_fault *f)
{
	size_t first = min((size_t)n, PAGE_SIZE - (va & ~PAGE_MASK));
	gvaddr_t end = va + first;
	u8 *p[2] = { NULL, NULL };
	bool ok;

	copy_begin(v);
	if (!(v->paging.efer & EFER_LMA))
		end = (u32)end;
	ok = operand_page(v, va, access, &p[0], f) &&
	     (first == n || operand_page(v, end, access, &p[1], f));
	if (ok && buf && p[0])
		memcpy(p[0], buf, first);
	if (ok && buf && p[1])
		memcpy(p[1], (const u8 *)buf + first, n - first);
	copy_end(v);
	return ok;
}

/*
 * Copies under copying_guest_memory if d is the current domain; else d is being built and nothing
 * runs in it.
 */
static int copy_gpa(struct domain *d, gpaddr_t gpa, void *buf, size_t n, bool to_guest)
{
	struct vcpu *v = this_cpu()->current;
	bool own = v && v->domain == d;
	struct p2m_window other = { 0 };
	u8 *b = buf;

	BUG_ON(!own && d->state != DOM_BUILDING);
	if (own)
		copy_begin(v);
	while (n) {
		size_t part = min(n, PAGE_SIZE - (gpa & ~PAGE_MASK));
		u8 *p = own ? own_ptr(v, gpa, to_guest) : gpa_to_ptr(d, &other, gpa, to_guest);

		if (!p)
			break;
		memcpy(to_guest ? p : b, to_guest ? b : p, part);
		gpa += part;
		b += part;
		n -= part;
	}
	if (own)
		copy_end(v);
	return n ? -EFAULT : 0;
}

int copy_from_gpa(struct domain *d, void *dst, gpaddr_t src, size_t n)
{
	return copy_gpa(d, src, dst, n, false);
}

int copy_to_gpa(struct domain *d, gpaddr_t dst, const void *src, size_t n)
{
	return copy_gpa(d, dst, (void *)(uintptr_t)src, n, true);
}
