/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Basic types. There is one type per kind of address, so that the compiler refuses to mix them:
 * paddr_t/mfn_t name the machine's memory, gpaddr_t/gfn_t a guest's idea of it.
 */
#ifndef MARGAY_TYPES_H
#define MARGAY_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

typedef u64 paddr_t;	/* machine (host) physical address, bytes */
typedef u64 gpaddr_t;	/* guest physical address, bytes */
typedef u64 gvaddr_t;	/* guest linear address, bytes */
typedef u64 mfn_t;	/* machine page frame number, 4 KiB units */
typedef u64 gfn_t;	/* guest page frame number, 4 KiB units */

typedef u64 stime_t;	/* Margay's system time: nanoseconds since boot */

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096UL
#define PAGE_MASK (~(PAGE_SIZE - 1))

#define CHUNK_SHIFT 21
#define CHUNK_SIZE (1UL << CHUNK_SHIFT)
#define CHUNK_PAGES 512U

#define INVALID_MFN (~(mfn_t)0)
#define INVALID_GFN (~(gfn_t)0)

#define __packed __attribute__((packed))
#define __aligned(n) __attribute__((aligned(n)))
#define __section(s) __attribute__((section(s)))
#define __noreturn __attribute__((noreturn))
#define __noinline __attribute__((noinline))
#undef __always_inline /* the C library of the unit tests has one */
#define __always_inline inline __attribute__((always_inline))
#define __printf(f, a) __attribute__((format(printf, f, a)))
#define __unused __attribute__((unused))
#define __must_check __attribute__((warn_unused_result))

/* Code and data needed only until the first guest runs; the pages are given back then. */
#define __init __section(".init.text")
#define __initdata __section(".init.data")

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#endif
