/* SPDX-License-Identifier: BSD-2-Clause */
/* For the tests of the exercises that are a C function: they run on the build machine. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include FILE_UNDER_TEST

/* Says what is wrong, like printf(), and ends. */
#define EXPECT(cond, ...)							\
	do {									\
		if (!(cond)) {							\
			printf(__VA_ARGS__);					\
			printf("\n");						\
			exit(1);						\
		}								\
	} while (0)

/* Numbers by chance, the same in each run. */
static inline uint64_t chance(void)
{
	static uint64_t state = 88172645463325252UL;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 8;
}
