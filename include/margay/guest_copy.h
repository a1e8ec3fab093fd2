/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The only way to a guest's memory. Guest pointers in hypercalls are linear addresses of the current
 * vCPU, translated by its own page tables with its own rights (a user-mode address is fine for a kernel
 * that may reach it; SMAP is not applied to hypercall arguments, as in Xen), then by the p2m.
 */
#ifndef MARGAY_GUEST_COPY_H
#define MARGAY_GUEST_COPY_H

#include <margay/vcpu.h>

/*
 * Margay's own writes to d's memory pass through here with the place about to be written, which lies in one page. A log
 * of dirty pages hangs here. Not so the words that events set in vcpu_info: a save takes their pages last.
 */
static inline void *guest_writes(struct domain *d __unused, void *at)
{
	return at;
}

/* 0 or -EFAULT; on failure part of the destination may have been written. Any length, any alignment. */
int copy_from_guest(void *dst, gvaddr_t src, size_t n) __must_check;
int copy_to_guest(gvaddr_t dst, const void *src, size_t n) __must_check;

/* By guest physical address, of the current domain or of one that is being built. 0 or -EFAULT. RAM only. */
int copy_from_gpa(struct domain *d, void *dst, gpaddr_t src, size_t n) __must_check;
int copy_to_gpa(struct domain *d, gpaddr_t dst, const void *src, size_t n) __must_check;

/* Linear to physical with the current vCPU's tables. 0 or -EFAULT. */
int guest_translate(gvaddr_t va, bool write, gpaddr_t *gpa) __must_check;

/*
 * The operand of an instruction that is carried out for the guest, with that instruction's rights. Stores n <= 8
 * bytes at linear address va; buf NULL: checks a load. False: a page fault, with its error code and address in
 * *f. What is no RAM, or read-only by the p2m, takes nothing. access: PF_WRITE, PF_USER.
 */
struct access_fault {
	gvaddr_t va;
	u32 error;
};
bool guest_operand(struct vcpu *v, gvaddr_t va, const void *buf, unsigned n, u32 access,
		   struct access_fault *f);

/* Instruction bytes at linear address va; the number fetched, which may be short at a page's end. */
unsigned guest_fetch(struct vcpu *v, gvaddr_t va, void *buf, unsigned n);

/* Element i of an array the guest handed over, and back. */
#define guest_read(dst, handle, i)                                                            \
	copy_from_guest((dst), (handle) + (u64)(i) * sizeof(*(dst)), sizeof(*(dst)))
#define guest_write(handle, i, src)                                                           \
	copy_to_guest((handle) + (u64)(i) * sizeof(*(src)), (src), sizeof(*(src)))

#endif
