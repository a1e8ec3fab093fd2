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
 * All of Margay's own writes to d's pages pass through guest_writes() or guest_shared_page(),
 * where a log of dirty pages will hook in. `make check-arrows` finds a pointer to a guest's page
 * that comes from elsewhere. shared_info and grant tables are Margay's pages (P2M_SHARED), which a
 * log skips: their parts save them.
 */

/* Before each write. Takes and returns the address, which lies in one page of d. */
static inline void *guest_writes(struct domain *d __unused, void *at)
{
	return at;
}

static inline void *guest_write_page(struct domain *d, mfn_t mfn, size_t off)
{
	return guest_writes(d, (char *)mfn_to_virt(mfn) + off);
}

/*
 * Once, for a referenced page that Margay keeps and writes at any time until it releases the page:
 * event words, the console's ring. To a log such a page is always dirty.
 */
static inline void *guest_shared_page(struct domain *d __unused, mfn_t mfn, size_t off)
{
	return (char *)mfn_to_virt(mfn) + off;
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
