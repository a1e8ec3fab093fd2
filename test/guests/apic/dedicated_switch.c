/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Gives domain 1 CPUs of its own and takes them back, at random times, until it has ended: at least
 * rounds=N times, or with last=1 just so often. cpus=MASK. Requests that make no sense are refused by
 * name first. most=N: no switch takes more microseconds.
 */
#include "guest.h"

#include "bench.h"

#include <public/margay.h>

static struct margay_op op;
static uint64_t seed = 1;
static struct bench_sum cost = BENCH_SUM;

static long call(uint32_t cmd, uint32_t domain, uint64_t cpus)
{
	memset(&op, 0, sizeof(op));
	op.cmd = cmd;
	op.interface = MARGAY_INTERFACE;
	op.u.dedicate.domain = domain;
	op.u.dedicate.cpus[0] = cpus;
	return hypercall1(MARGAY_HYPERCALL, &op);
}

/* Switches, and adds the ticks to `cost`. */
static long timed(uint32_t cmd, uint64_t cpus)
{
	uint64_t start;
	long rc;

	bench_mark();
	start = rdtsc();
	rc = call(cmd, 1, cpus);
	if (!rc)
		bench_add(&cost, rdtsc() - start);
	bench_mark();
	return rc;
}

static void pause_for(uint64_t most_us)
{
	seed = seed * 6364136223846793005ul + 1442695040888963407ul;
	block_until(now_ns() + (seed >> 33) % most_us * NS_PER_US);
}

int main(void)
{
	uint64_t cpus = cmdline_number("cpus", 3), rounds = cmdline_number("rounds", 10), n = 0;
	uint64_t longest = 0, most = cmdline_number("most", 20000), start;
	bool last = cmdline_number("last", 0);
	long rc;

	CHECK_RET(call(MARGAY_SHARE, 99, 0), -XEN_ESRCH);
	delay_ns(100 * NS_PER_MS);	/* domain 1 begins with CPUs of its own, or without */
	CHECK_RET(call(MARGAY_SHARE, 1, 0), 0);
	CHECK_RET(call(MARGAY_DEDICATE, 1, cpus << 1), -XEN_EPERM);	/* housekeeping */
	if (cpus != 1)
		CHECK_RET(call(MARGAY_DEDICATE, 1, cpus & 1), -XEN_EINVAL);
	CHECK_RET(call(MARGAY_DEDICATE, 1, 1ul << 60), -XEN_ENOENT);
	CHECK_RET(call(MARGAY_DEDICATE, DOMID_SELF, 1), -XEN_EPERM);
	while (!last || n < rounds) {
		start = now_ns();
		rc = timed(MARGAY_DEDICATE, cpus);
		if (rc == -XEN_ESRCH)
			break;
		CHECK(!rc, "round %lu: dedicate %ld", n, rc);
		longest = now_ns() - start > longest ? now_ns() - start : longest;
		CHECK_RET(call(MARGAY_DEDICATE, 1, cpus), -XEN_EBUSY);
		pause_for(4000);
		start = now_ns();
		rc = timed(MARGAY_SHARE, 0);
		if (rc == -XEN_ESRCH)
			break;
		CHECK(!rc, "round %lu: share %ld", n, rc);
		longest = now_ns() - start > longest ? now_ns() - start : longest;
		pause_for(4000);
		n++;
	}
	longest /= NS_PER_US;
	bench_report("switch", &cost);
	printf("%lu rounds, the longest switch took %lu us\n", n, longest);
	CHECK(n >= rounds, "%lu rounds", n);
	CHECK(longest <= most, "a switch took %lu us", longest);
	pass();
}
