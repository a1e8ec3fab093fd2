/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Access to a guest's memory. All accesses go through here. Guest pointers in hypercalls are linear
 * addresses of the current vCPU. They are translated by its own page tables with its own rights,
 * then by the p2m. (A kernel may pass a user-mode address that it can access; SMAP is not applied
 * to hypercall arguments, as in Xen.)
 */
#pragma once

#include <margay/vcpu.h>

/*
 * Margay's own writes to a guest's pages. `make check-arrows` finds a pointer to a guest's page that
 * comes from elsewhere. A log of dirty pages sees copies as it sees the CPU's writes. A page that
 * Margay holds a reference to, and writes at any time, counts as dirty at the last look at the log
 * (LOG_FINAL), and after its release by guest_release_page(). shared_info and grant tables are
 * Margay's pages (P2M_SHARED), which a log skips: their parts save them.
 */
static inline void *guest_write_page(mfn_t mfn, size_t off)
{
	return (char *)mfn_to_virt(mfn) + off;
}

/* Logs a page that has been written, or all pages if that one has no number. */
static inline void dirty_log_page(struct domain *d, gfn_t gfn)
{
	if (unlikely(d->p2m.log.on))
		p2m_mark_dirty(d, gfn);
}

static inline void dirty_log_all(struct domain *d)
{
	if (unlikely(d->p2m.log.on))
		WRITE_ONCE(d->p2m.log.all, true);
}

/* gfn: where the page was; if it is not there any more, all pages are logged. */
static inline void guest_release_page(struct domain *d, gfn_t gfn, mfn_t mfn)
{
	if (unlikely(d->p2m.log.on) && (p2m_lookup(d, gfn).mfn != mfn || !p2m_mark_dirty(d, gfn)))
		dirty_log_all(d);
	page_put(d, mfn);
}

static inline const void *guest_read_page(mfn_t mfn, size_t off)
{
	return (const char *)mfn_to_virt(mfn) + off;
}

/*
 * The address at which the handler of a 32-bit caller's hypercall finds its converted argument,
 * v->arg64. No guest has memory there: the address is not canonical.
 */
#define ARG64 (1UL << 63)
#define ARG64_SIZE 64U

/* Return 0 or -EFAULT. A failed copy may be partial. Any length, any alignment. */
int copy_from_guest(void *dst, gvaddr_t src, size_t n) __must_check;
int copy_to_guest(gvaddr_t dst, const void *src, size_t n) __must_check;

/* The same by guest physical address, in the current domain or one being built. RAM only. */
int copy_from_gpa(struct domain *d, void *dst, gpaddr_t src, size_t n) __must_check;
int copy_to_gpa(struct domain *d, gpaddr_t dst, const void *src, size_t n) __must_check;

/* Translates linear to physical by the current vCPU's page tables. 0 or -EFAULT. */
int guest_translate(gvaddr_t va, bool write, gpaddr_t *gpa) __must_check;

/*
 * Accesses the memory operand of an emulated instruction with that instruction's rights. Stores n
 * <= 8 bytes at linear address va; buf NULL: checks a load. Returns false for a page fault, with
 * its error code and address in *f. Drops writes to memory that is not RAM or is read-only in the
 * p2m. access: PF_WRITE, PF_USER.
 */
struct access_fault {
	gvaddr_t va;
	u32 error;
};
bool guest_operand(struct vcpu *v, gvaddr_t va, const void *buf, unsigned n, u32 access,
		   struct access_fault *f);

/* Fetches bytes of the next instruction. Returns their number: fewer than n at a page's end. */
unsigned guest_fetch(struct vcpu *v, const struct vcpu_mode *m, void *buf, unsigned n);

/* Read or write element i of an array that the guest passed. */
#define guest_read(dst, handle, i)                                                            \
	copy_from_guest((dst), (handle) + (u64)(i) * sizeof(*(dst)), sizeof(*(dst)))
#define guest_write(handle, i, src)                                                           \
	copy_to_guest((handle) + (u64)(i) * sizeof(*(src)), (src), sizeof(*(src)))
