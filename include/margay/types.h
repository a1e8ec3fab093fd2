/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address types, one per kind of address, so that the compiler refuses to mix them. paddr_t and
 * mfn_t are machine addresses; gpaddr_t and gfn_t are guest physical ones.
 */
#pragma once

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

/* Code and data used only until the first guest runs; their pages are released then. */
#define __init __section(".init.text")
#define __initdata __section(".init.data")
