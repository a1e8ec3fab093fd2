/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest of the book's text: what a hypercall, a CPUID and a reading of the clock cost. */
#include "console.h"
#include "hypercall.h"
#include "time.h"
#include "x86.h"

#define ROUNDS 1000

/* Prints the mean time of ROUNDS executions of what. */
#define PRICE(what)							\
	do {								\
		uint64_t start = now_ns();				\
		for (int i = 0; i < ROUNDS; i++)			\
			(void)(what);					\
		printf("%-14s %5lu ns\n", #what, (now_ns() - start) / ROUNDS);	\
	} while (0)

#define hypercall()	xen_version(XENVER_version, NULL)
#define cpuid_exit()	cpuid(xen_leaf, 0)

int main(void)
{
	PRICE(hypercall());
	PRICE(cpuid_exit());
	PRICE(now_ns());
	printf("PASS price\n");
	return 0;
}
