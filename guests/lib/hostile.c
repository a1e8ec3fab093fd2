/* SPDX-License-Identifier: BSD-2-Clause */
/* See hostile.h. */
#include "hostile.h"
#include "alloc.h"
#include "hypercall.h"
#include "test.h"
#include "time.h"
#include "x86.h"

#define LINEAR_END	0x100000000ul	/* of the identity map */

static uintptr_t list[16];
const uintptr_t *bad_pointers = list;
unsigned int nr_bad_pointers;
static uint64_t *canary;
static unsigned int canary_words;

/* xorshift64 */
uint64_t random_u64(void)
{
	static uint64_t x;

	if (!x)
		x = cmdline_number("seed", 1) * 0x9e3779b97f4a7c15;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

void bad_pointers_init(void)
{
	uintptr_t bad[] = {
		0x7f0000000000,			/* not mapped */
		0x7f0000000fff,			/* and unaligned */
		LINEAR_END,			/* first address that is not mapped */
		LINEAR_END + 1,
		0x7ffffffffff8,			/* crosses the end of the lower half */
		0x800000000000,			/* non-canonical */
		0x80007f0000000000,
		0xffff7ffffffffff8,
		0xffff800000000000,		/* where a hypervisor may live */
		0xffff82d080000000,
		0xffffffff80000000,
		0xfffffffffffffff8,		/* wraps around */
		~0ul,
		hole_alloc(1),			/* mapped, but no memory behind it */
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
		list[i] = bad[i];
	nr_bad_pointers = ARRAY_SIZE(bad);
}

void canary_init(unsigned int pages)
{
	canary = page_alloc(pages);
	canary_words = (unsigned int)(pages * PAGE_SIZE / 8);
	for (unsigned int i = 0; i < canary_words; i++)
		canary[i] = i * 0x9e3779b97f4a7c15 ^ 0x5bd1e995;
}

void canary_check(const char *after)
{
	for (unsigned int i = 0; i < canary_words; i++) {
		if (!(i % 512))
			cpu_pause();	/* QEMU by -icount goes to the other CPU only then */
		CHECK(READ_ONCE(canary[i]) == (i * 0x9e3779b97f4a7c15 ^ 0x5bd1e995),
		      "after %s: memory at %p changed to %lx", after, (void *)&canary[i],
		      canary[i]);
	}
}
