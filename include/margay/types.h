/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The types of addresses. There is one type per kind of address, so that the compiler refuses to mix them:
 * paddr_t/mfn_t name the machine's memory, gpaddr_t/gfn_t a guest's idea of it.
 */
#ifndef MARGAY_TYPES_H
#define MARGAY_TYPES_H

#include <public/types.h>

typedef u64 paddr_t;	/* machine (host) physical address, bytes */
typedef u64 gpaddr_t;	/* guest physical address, bytes */
typedef u64 gvaddr_t;	/* guest linear address, bytes */
typedef u64 mfn_t;	/* machine page frame number, 4 KiB units */
typedef u64 gfn_t;	/* guest page frame number, 4 KiB units */

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096UL
#define PAGE_MASK (~(PAGE_SIZE - 1))

#define CHUNK_SHIFT 21
#define CHUNK_SIZE (1UL << CHUNK_SHIFT)
#define CHUNK_PAGES 512U

#define INVALID_MFN (~(mfn_t)0)
#define INVALID_GFN (~(gfn_t)0)

/* Code and data needed only until the first guest runs; the pages are given back then. */
#define __init __section(".init.text")
#define __initdata __section(".init.data")

#endif
