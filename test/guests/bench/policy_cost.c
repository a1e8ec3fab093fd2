/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cost of policies in TSC ticks, which are instructions under -icount: a switch between two
 * yielding vCPUs, by the built-in policy and by the module rr (loaded at boot, select=none), and a
 * swap between the two. Needs as many vCPUs as should be busy during the swap.
 */
#include "guest.h"

#include <public/margay.h>

#define ROUNDS 400
#define CALLS 4		/* for two switches: enqueue and pick, each twice */
#define MOST 40		/* instructions, of the module and of Margay on its behalf */

static volatile bool stop, yield;

static void worker(void)
{
	while (!stop)
		if (yield)
			hypercall2(__HYPERVISOR_sched_op, SCHEDOP_yield, NULL);
		else
			cpu_pause();
}

static uint64_t select_rr(bool rr, uint64_t cpus)
{
	struct margay_op op = { .cmd = MARGAY_POLICY_SELECT, .interface = MARGAY_INTERFACE };
	uint64_t begin, end;
	long rc;

	if (rr)
		memcpy(op.name, "rr", 2);
	op.u.select.point = MARGAY_POINT_SCHED;
	op.u.select.cpus[0] = cpus;
	begin = rdtsc();
	rc = hypercall1(MARGAY_HYPERCALL, &op);
	end = rdtsc();
	CHECK(!rc, "select: %ld", rc);
	return end - begin;
}

static uint64_t yields(void)
{
	uint64_t least = ~0ul;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t begin = rdtsc();

		hypercall2(__HYPERVISOR_sched_op, SCHEDOP_yield, NULL);
		begin = rdtsc() - begin;
		least = begin < least ? begin : least;
	}
	return least;
}

int main(void)
{
	uint64_t built_in, module, there = ~0ul, back = ~0ul;
	uint64_t cpus = (1ul << cmdline_number("cpus", 1)) - 1;

	cpu_start_all(worker);
	for (int i = 0; i < 20; i++) {
		uint64_t t = select_rr(true, cpus), b;

		delay_ns(100000);
		b = select_rr(false, cpus);
		delay_ns(100000);
		there = t < there ? t : there;
		back = b < back ? b : back;
	}
	printf("swap with %u vCPUs: %lu there, %lu back\n", cpu_count(), there, back);
	yield = true;
	if (cpus == 1 && cpu_count() == 2) {
		built_in = yields();
		select_rr(true, cpus);
		module = yields();
		printf("yield, two switches: built-in %lu, rr %lu, %lu more per call\n", built_in,
		       module, (module - built_in) / CALLS);
		CHECK(module > built_in && module - built_in <= MOST * CALLS,
		      "a call costs more than %u instructions", MOST);
	}
	stop = true;
	pass();
}
