/* SPDX-License-Identifier: BSD-2-Clause */
/* Atomic operations on plain integers and bitmaps, over the compiler's builtins. */
#pragma once

#include <margay/types.h>

#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

#define atomic_add(p, v) __atomic_add_fetch((p), (v), __ATOMIC_SEQ_CST)
#define atomic_sub(p, v) __atomic_sub_fetch((p), (v), __ATOMIC_SEQ_CST)
#define atomic_or(p, v) __atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST)
#define atomic_and(p, v) __atomic_fetch_and((p), (v), __ATOMIC_SEQ_CST)
#define atomic_xchg(p, v) __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
#define atomic_load(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define atomic_store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
/* Sets *p to val if it is old. Returns whether it did. */
#define atomic_cas(p, old, val)                                                               \
	({                                                                                    \
		__typeof__(*(p)) _o = (old);                                                  \
		__atomic_compare_exchange_n((p), &_o, (val), false, __ATOMIC_SEQ_CST,         \
					    __ATOMIC_SEQ_CST);                                \
	})

static inline void barrier(void) { __asm__ volatile("" ::: "memory"); }

static inline void smp_mb(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

/* Bitmaps of u64 words. The atomic operations are safe on memory shared with a guest. */
static inline bool test_bit(unsigned n, const volatile void *p)
{
	return ((const volatile u64 *)p)[n / 64] >> (n % 64) & 1;
}

static inline bool test_and_set_bit(unsigned n, volatile void *p)
{
	u64 mask = 1UL << (n % 64);	/* gcc compiles this form to LOCK BTS */

	return __atomic_fetch_or((volatile u64 *)p + n / 64, mask, __ATOMIC_SEQ_CST) & mask;
}

static inline bool test_and_clear_bit(unsigned n, volatile void *p)
{
	u64 mask = 1UL << (n % 64);

	return __atomic_fetch_and((volatile u64 *)p + n / 64, ~mask, __ATOMIC_SEQ_CST) & mask;
}

static inline void set_bit(unsigned n, volatile void *p) { (void)test_and_set_bit(n, p); }

static inline void clear_bit(unsigned n, volatile void *p) { (void)test_and_clear_bit(n, p); }

/* Returns the index of the lowest set bit at or after from; nbits when there is none. */
static inline unsigned find_next_bit(const u64 *p, unsigned nbits, unsigned from)
{
	while (from < nbits) {
		u64 w = p[from / 64] >> (from % 64);

		if (w) {
			from += (unsigned)__builtin_ctzl(w);
			return from < nbits ? from : nbits;
		}
		from = (from / 64 + 1) * 64;
	}
	return nbits;
}

#define for_each_bit(i, p, nbits)                                                             \
	for ((i) = find_next_bit((p), (nbits), 0); (i) < (nbits);                             \
	     (i) = find_next_bit((p), (nbits), (i) + 1))
