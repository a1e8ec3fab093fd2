/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduling policies of modules/ on a simulated machine: do they keep their promises? No
 * policy may lose or starve a vCPU; the simulation itself checks each answer.
 * unit-sources: test/unit/sched_sim.c modules/rr.c modules/credit.c modules/edf.c modules/gang.c
 * unit-sources: modules/example/lottery.c
 */
#include "host.h"

#include <margay/lib.h>
#include <public/policy.h>

#include "sched_sim.h"

extern const struct policy_module module_rr, module_credit, module_edf, module_gang, module_lottery;

static const struct policy_module *const all[] = { &module_rr, &module_credit, &module_edf,
						   &module_gang, &module_lottery };
#define NR_TICKLESS 4	/* the first ones set no timer for a vCPU that is alone */

const char *policy_exit_name(u32 reason)
{
	(void)reason;
	return NULL;
}

static void set(const struct policy_module *m, u32 slot, const char *name, u64 value)
{
	assert_int_equal(m->sched->set(slot, name, value), 0);
}

static void set_fails(const struct policy_module *m, u32 slot, const char *name, u64 value, int why)
{
	assert_int_equal(m->sched->set(slot, name, value), -why);
}

/* Checks the domain's share of the CPUs' time, within some per cent of that time. */
static void assert_share(u16 slot, u64 time, double expected, double tolerance)
{
	double share = (double)sim_ran(slot) / (double)time;

	if (share < expected - tolerance || share > expected + tolerance)
		fail_msg("domain %u had %.2f %%, not %.2f %%", slot, 100 * share, 100 * expected);
}

static u64 longest_wait(void)
{
	u64 longest = 0;

	for (u32 i = 0; i < sim.nr_vcpus; i++)
		longest = max(longest, sim.vcpu[i].longest_wait);
	return longest;
}

static void test_rr_equal(void **state)
{
	(void)state;
	sim_init(&module_rr, 2);
	for (u16 d = 0; d < 3; d++)
		sim_domain(d, 2, 0, 0, d * MS);
	sim_run(10 * S);
	for (u16 d = 0; d < 3; d++)
		assert_share(d, 20 * S, 1 / 3.0, 0.005);
	assert_in_range(longest_wait(), 19 * MS, 21 * MS);
	set(&module_rr, POLICY_MAX_DOMAINS, "slice_us", 1000);
	sim_run(11 * S);
	sim_forget();
	sim_run(12 * S);
	assert_in_range(longest_wait(), 2 * MS - 1, 3 * MS);
	set_fails(&module_rr, POLICY_MAX_DOMAINS, "slice_us", 1, POLICY_EINVAL);
	set_fails(&module_rr, POLICY_MAX_DOMAINS, "slice", 1000, POLICY_ENOENT);
	set_fails(&module_rr, 0, "slice_us", 1000, POLICY_ENOENT);
}

/* A vCPU alone on its CPU is not preempted; a later one does not wait long. */
static void test_alone(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NR_TICKLESS; i++) {
		sim_init(all[i], 2);
		sim_domain(0, 2, 0, 0, 0);
		sim_run(5 * S);
		assert_true(sim.picks <= 6);
		sim_domain(1, 2, 0, 0, 0);
		sim_run(6 * S);
		sim_forget();
		sim_run(8 * S);
		/* The time that it ran alone is not charged to it. */
		assert_share(0, 4 * S, 0.5, 0.01);
		assert_share(1, 4 * S, 0.5, 0.01);
		assert_in_range(longest_wait(), 1, 30 * MS);
	}
}

static void test_credit_weights(void **state)
{
	(void)state;
	sim_init(&module_credit, 1);
	for (u16 d = 0; d < 3; d++) {
		sim_domain(d, 1, 0, 0, d * 7 * MS);
		set(&module_credit, d, "weight", 256UL << d);
	}
	sim_run(1 * S);
	sim_forget();
	sim_run(11 * S);
	for (u16 d = 0; d < 3; d++)
		assert_share(d, 10 * S, (1 << d) / 7.0, 0.01);
	set(&module_credit, 2, "weight", 256);
	sim_run(12 * S);
	sim_forget();
	sim_run(22 * S);
	for (u16 d = 0; d < 3; d++)
		assert_share(d, 10 * S, d == 1 ? 0.5 : 0.25, 0.01);
	set_fails(&module_credit, 0, "weight", 0, POLICY_EINVAL);
	set_fails(&module_credit, 0, "weight", 65536, POLICY_EINVAL);
	set_fails(&module_credit, POLICY_MAX_DOMAINS, "weight", 1, POLICY_ENOENT);
	set_fails(&module_credit, 0, "speed", 1, POLICY_ENOENT);
}

/* Two guests with four vCPUs on two and four CPUs, and one with more vCPUs than the other. */
static void test_credit_machine(void **state)
{
	(void)state;
	for (u32 cpus = 2; cpus <= 4; cpus += 2)
		for (u32 vcpus = 4; vcpus <= 8; vcpus += 4) {
			sim_init(&module_credit, cpus);
			sim_domain(1, 4, 0, 0, 0);
			sim_domain(2, vcpus, 0, 0, 3 * MS);
			set(&module_credit, 2, "weight", 768);
			sim_run(1 * S);
			sim_forget();
			sim_run(11 * S);
			assert_share(1, 10 * S * cpus, 0.25, 0.01);
			assert_share(2, 10 * S * cpus, 0.75, 0.01);
			/* The vCPUs of a domain get equal shares. */
			for (u32 i = 0; i < 4; i++)
				assert_in_range(sim.vcpu[i].ran, 10 * S * cpus / 16 - 50 * MS,
						10 * S * cpus / 16 + 50 * MS);
		}
}

/* A vCPU that sleeps half of the time gets what it asks for while that is below its share. */
static void test_credit_sleeper(void **state)
{
	(void)state;
	sim_init(&module_credit, 1);
	sim_domain(1, 1, 0, 0, 0);
	sim_domain(2, 1, 2 * MS, 8 * MS, 0);
	set(&module_credit, 2, "weight", 1024);
	sim_run(10 * S);
	assert_true(sim_ran(2) > S && sim_ran(2) < 2 * S + 10 * MS);
	assert_share(1, 10 * S, 1 - (double)sim_ran(2) / (10 * S), 0.01);
	/* Extreme weights starve nobody. */
	set(&module_credit, 2, "weight", 65535);
	set(&module_credit, 1, "weight", 1);
	sim.vcpu[1].sleep = 0;
	sim_run(11 * S);
	sim_forget();
	sim_run(21 * S);
	assert_true(longest_wait() <= 260 * MS);
}

static void test_credit_cap(void **state)
{
	(void)state;
	/* A cap set late does not charge earlier run time. */
	sim_init(&module_credit, 1);
	sim_domain(1, 1, 0, 0, 0);
	sim_run(5 * S);
	set(&module_credit, 1, "cap", 25);
	sim_run(6 * S);
	sim_forget();
	sim_run(8 * S);
	assert_share(1, 2 * S, 0.25, 0.01);

	sim_init(&module_credit, 2);
	sim_domain(1, 2, 0, 0, 0);
	set(&module_credit, 1, "cap", 25);
	sim_run(10 * S);	/* alone, and still capped */
	assert_share(1, 10 * S, 0.25, 0.003);
	sim_domain(2, 2, 0, 0, 0);
	sim_run(11 * S);
	sim_forget();
	sim_run(21 * S);
	assert_share(1, 10 * S, 0.25, 0.005);
	assert_share(2, 10 * S, 1.75, 0.02);
	set(&module_credit, 1, "cap", 150);
	sim_run(22 * S);
	sim_forget();
	sim_run(32 * S);
	assert_share(1, 10 * S, 1, 0.02);	/* its weight gives it less than the cap allows */
	set(&module_credit, 2, "cap", 1);
	set(&module_credit, 1, "cap", 0);
	sim_run(33 * S);
	sim_forget();
	sim_run(43 * S);
	assert_share(1, 10 * S, 1.99, 0.005);
	assert_share(2, 10 * S, 0.01, 0.003);
	set_fails(&module_credit, 1, "cap", 100UL * POLICY_MAX_CPUS + 1, POLICY_EINVAL);
}

#define NR_PROMISED 3
static const u64 period_of[NR_PROMISED] = { 30 * MS, 100 * MS, 20 * MS };
static u64 of_period[NR_PROMISED], shortest[NR_PROMISED], periods[NR_PROMISED];

/* Records what the promised domains, 0 to 2, run in each period. */
static void watch_periods(u64 from, u64 to)
{
	for (u32 d = 0; d < NR_PROMISED; d++) {
		u64 at = from, running = 0;

		for (u32 i = 0; i < sim.nr_cpus; i++)
			running += sim.cpu[i].current && sim.cpu[i].current->view.slot == d;
		while (at < to) {
			u64 end = (at / period_of[d] + 1) * period_of[d];

			of_period[d] += running * (min(end, to) - at);
			at = min(end, to);
			if (at < end)
				break;
			if (periods[d]++)	/* the first period was not whole */
				shortest[d] = min(shortest[d], of_period[d]);
			of_period[d] = 0;
		}
	}
}

static void watch_from_now(void)
{
	for (u32 d = 0; d < NR_PROMISED; d++) {
		shortest[d] = POLICY_FOREVER;
		periods[d] = of_period[d] = 0;
	}
	sim.watch = watch_periods;
}

static void test_edf_budgets(void **state)
{
	static const u64 budget[3] = { 10 * MS, 30 * MS, 5 * MS };	/* 33, 30 and 25 % */

	(void)state;
	sim_init(&module_edf, 1);
	for (u16 d = 0; d < NR_PROMISED; d++) {
		sim_domain(d, 1, 0, 0, 0);
		set(&module_edf, d, "period_us", period_of[d] / 1000);
		set(&module_edf, d, "budget_us", budget[d] / 1000);
	}
	sim_domain(3, 4, 0, 0, 0);	/* four more that want all the time they can get */
	watch_from_now();
	sim_run(20 * S);
	for (u16 d = 0; d < NR_PROMISED; d++) {
		assert_true(periods[d] > 190);
		/* Its last slice was 50 us too long and 20 us late; it paid both back. */
		if (shortest[d] < budget[d] - 75000)
			fail_msg("domain %u: only %lu us in a period", d,
				 (unsigned long)shortest[d] / 1000);
	}
	/* The rest goes to those that wait longest, not to the three. */
	assert_share(3, 20 * S, 0.1167, 0.005);
	assert_true(longest_wait() < 600 * MS);
}

/* Promises over two CPUs, to domains that also sleep. */
static void test_edf_machine(void **state)
{
	static const u64 budget[3] = { 30 * MS, 60 * MS, 5 * MS };

	(void)state;
	sim_init(&module_edf, 2);
	for (u16 d = 0; d < NR_PROMISED; d++) {
		sim_domain(d, 2, d == 2 ? 2 * MS : 0, d == 2 ? MS / 2 : 0, 0);
		set(&module_edf, d, "period_us", period_of[d] / 1000);
		set(&module_edf, d, "budget_us", budget[d] / 1000);
	}
	sim_domain(3, 2, 0, 0, 0);
	watch_from_now();
	sim_run(10 * S);
	for (u16 d = 0; d < NR_PROMISED; d++)
		if (shortest[d] < budget[d] - 120000)
			fail_msg("domain %u: only %lu us in a period", d,
				 (unsigned long)shortest[d] / 1000);
}

static void test_edf_admission(void **state)
{
	u64 refused, value_after;

	(void)state;
	sim_init(&module_edf, 2);
	assert_string_equal(module_edf.counter(1, &refused), "promises-refused");
	set(&module_edf, 1, "period_us", 10000);
	set(&module_edf, 1, "budget_us", 10000);	/* 100 % */
	set(&module_edf, 2, "budget_us", 80000);	/* of 100 ms: 80 */
	set_fails(&module_edf, 3, "budget_us", 11000, POLICY_ENOSPC);
	set_fails(&module_edf, 1, "period_us", 9000, POLICY_ENOSPC);
	set(&module_edf, 3, "budget_us", 10000);	/* 10: no more is left */
	set_fails(&module_edf, 4, "budget_us", 1, POLICY_ENOSPC);
	set(&module_edf, 2, "budget_us", 0);
	set(&module_edf, 4, "budget_us", 80000);
	module_edf.sched->domain_gone(4);
	set(&module_edf, 5, "budget_us", 80000);
	set_fails(&module_edf, 6, "period_us", 999, POLICY_EINVAL);
	set_fails(&module_edf, 6, "period_us", 1000001, POLICY_EINVAL);
	set_fails(&module_edf, 6, "budget_us", ~0UL, POLICY_EINVAL);
	set_fails(&module_edf, 6, "budget", 1, POLICY_ENOENT);
	set_fails(&module_edf, POLICY_MAX_DOMAINS, "budget_us", 1, POLICY_ENOENT);
	module_edf.counter(1, &value_after);
	assert_int_equal(value_after - refused, 3);
	assert_null(module_edf.counter(2, &refused));
}

static u64 some[8], together[8];

/* Records how long any vCPU of a domain runs, and how long as many as there are CPUs. */
static void watch_gangs(u64 from, u64 to)
{
	u32 n[8] = { 0 };

	for (u32 i = 0; i < sim.nr_cpus; i++)
		if (sim.cpu[i].current)
			n[sim.cpu[i].current->view.slot]++;
	for (u32 d = 0; d < 8; d++) {
		some[d] += n[d] ? to - from : 0;
		together[d] += n[d] == sim.nr_cpus ? to - from : 0;
	}
}

static double overlap(u32 d)
{
	return (double)together[d] / (double)some[d];
}

static void run_gangs(const struct policy_module *policy, u64 busy, u64 sleep)
{
	sim_init(policy, 4);
	memset(some, 0, sizeof(some));
	memset(together, 0, sizeof(together));
	/* They wake one by one, at odd times, like guests' vCPUs. */
	for (u16 d = 0; d < 3; d++) {
		struct sim_vcpu *v = sim_domain(d, 4, busy, d == 1 ? sleep : 0, 0);

		for (u32 i = 0; i < 4; i++)
			v[i].wakes += sim_random(20 * MS);
	}
	sim_run(1 * S);
	sim_forget();
	sim.watch = watch_gangs;
	sim_run(11 * S);
}

static void test_gang_overlap(void **state)
{
	double without;

	(void)state;
	run_gangs(&module_rr, 0, 0);
	without = overlap(0);
	assert_true(without < 0.6);
	run_gangs(&module_gang, 0, 0);
	for (u16 d = 0; d < 3; d++) {
		if (overlap(d) < 0.99)
			fail_msg("domain %u: together %.1f %%, under rr %.1f %%", d,
				 100 * overlap(d), 100 * without);
		assert_share(d, 40 * S, 1 / 3.0, 0.01);
	}
	assert_true(longest_wait() < 21 * MS);
	/* With windows of 1 ms a timer that is late by 20 us matters more. */
	set(&module_gang, POLICY_MAX_DOMAINS, "window_us", 1000);
	sim_forget();
	memset(some, 0, sizeof(some));
	memset(together, 0, sizeof(together));
	sim_run(13 * S);
	for (u16 d = 0; d < 3; d++)
		assert_true(overlap(d) > 0.95);
	set(&module_gang, POLICY_MAX_DOMAINS, "window_us", 10000);
	set_fails(&module_gang, POLICY_MAX_DOMAINS, "window_us", 0, POLICY_EINVAL);
	set_fails(&module_gang, 1, "window_us", 1000, POLICY_ENOENT);
}

/* A sleeping domain leaves its windows to the others, whose vCPUs still run together. */
static void test_gang_sleeper(void **state)
{
	(void)state;
	run_gangs(&module_gang, MS, 30 * MS);
	assert_true(overlap(0) > 0.85 && overlap(2) > 0.85);
	assert_share(0, 40 * S, 0.485, 0.02);
	assert_share(2, 40 * S, 0.485, 0.02);
}

/* A domain with one vCPU uses one CPU in its windows; the other CPUs are not idle meanwhile. */
static void test_gang_fallback(void **state)
{
	(void)state;
	sim_init(&module_gang, 4);
	sim_domain(1, 1, 0, 0, 0);
	sim_domain(2, 4, 0, 0, 0);
	sim_run(10 * S);
	assert_share(1, 10 * S, 0.5, 0.02);
	assert_share(2, 10 * S, 3.5, 0.03);
}

/*
 * Many kinds of guests, migrated between CPUs: nothing is lost (the simulation checks) or starves.
 */
static void mixed_load(u64 seed, u32 cpus, u32 domains)
{
	sim_seed(seed);
	for (u16 d = 0; d < domains; d++)
		sim_domain(d, 1 + (u32)sim_random(6), 1000 + sim_random(20 * MS),
			   sim_random(3) ? 1000 + sim_random(20 * MS) : 0, sim_random(S));
	for (u32 i = 0; i < sim.nr_vcpus; i++)
		if (!sim_random(4))
			sim.vcpu[i].affinity[0] = 1UL << sim.vcpu[i].view.cpu;
	for (u32 i = 0; i < sim.nr_vcpus; i++)
		sim.vcpu[i].affinity[0] &= (1UL << cpus) - 1;
}

static void disturb(void)
{
	struct sim_vcpu *v = &sim.vcpu[sim_random(sim.nr_vcpus)];
	u32 to = (u32)sim_random(sim.nr_cpus);

	if (v->state == SIM_QUEUED && v->affinity[0] >> to & 1)
		sim_move(v, to);
}

static void assert_nobody_starved(u64 limit)
{
	for (u32 i = 0; i < sim.nr_vcpus; i++) {
		const struct sim_vcpu *v = &sim.vcpu[i];

		assert_true(v->picks);
		if (v->longest_wait > limit)
			fail_msg("vCPU %u of domain %u waited %lu ms", v->view.id, v->view.slot,
				 (unsigned long)(v->longest_wait / MS));
		if (v->state == SIM_QUEUED)
			assert_true(sim.now - v->view.since < limit);
	}
}

static void test_nothing_starves(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		for (u64 seed = 1; seed < 12; seed++) {
			u32 cpus = 1 + (u32)seed % 4;

			sim_init(all[i], cpus);
			mixed_load(seed, cpus, 4 + seed % 4);
			if (all[i] == &module_credit)
				for (u16 d = 0; d < 4; d++)
					set(all[i], d, "weight", 1 + sim_random(1000));
			if (all[i] == &module_edf)
				for (u16 d = 0; d < 4; d++)
					set(all[i], d, "budget_us", sim_random(20000 * cpus));
			for (u64 t = 0; t < 300; t++) {
				disturb();
				sim_run(sim.now + 10 * MS + sim_random(5 * MS));
			}
			assert_nobody_starved(S);
		}
}

/* From each policy to each other, on one CPU after the other and back, under load. */
static void test_swaps(void **state)
{
	u64 ran[SIM_VCPUS];

	(void)state;
	for (u64 seed = 1; seed < 5; seed++) {
		for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
			sim_init(all[i], 3);
		mixed_load(seed, 3, 5);
		for (u32 t = 0; t < 2000; t++) {
			sim_swap((u32)sim_random(3), all[sim_random(ARRAY_SIZE(all))]);
			sim_run(sim.now + sim_random(3 * MS));
			disturb();
		}
		assert_nobody_starved(S);
		for (u32 i = 0; i < 3; i++)
			sim_swap(i, all[seed % ARRAY_SIZE(all)]);
		for (u32 i = 0; i < sim.nr_vcpus; i++)
			ran[i] = sim.vcpu[i].ran;
		sim_run(sim.now + 2 * S);
		for (u32 i = 0; i < sim.nr_vcpus; i++)
			assert_true(sim.vcpu[i].ran > ran[i]);
	}
}

/* A policy does not charge what a domain ran before the swap. */
static void test_swap_is_fair(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NR_TICKLESS; i++) {
		sim_init(all[i], 1);
		sim_swap(0, &module_rr);
		sim_domain(0, 1, 0, 0, 0);
		sim_domain(1, 1, 0, 0, 5 * S);
		sim_run(sim.now + 5 * S - MS);
		sim_swap(0, all[i]);
		sim_run(sim.now + S);
		sim_forget();
		sim_run(sim.now + S);
		assert_share(0, S, 0.5, 0.05);
	}
	/* Nor does a cap count what ran under another policy. */
	sim_init(&module_credit, 1);
	set(&module_credit, 0, "cap", 25);
	sim_swap(0, &module_rr);
	sim_domain(0, 1, 0, 0, 0);
	sim.goes_on = true;
	sim_run(sim.now + 5 * S);
	sim.goes_on = false;
	sim_domain(1, 1, 0, 0, 0);
	sim_swap(0, &module_credit);
	sim_run(sim.now + S);
	sim_forget();
	sim_run(sim.now + S);
	assert_share(0, S, 0.25, 0.02);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rr_equal),
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_credit_weights),
		cmocka_unit_test(test_credit_machine),
		cmocka_unit_test(test_credit_sleeper),
		cmocka_unit_test(test_credit_cap),
		cmocka_unit_test(test_edf_budgets),
		cmocka_unit_test(test_edf_machine),
		cmocka_unit_test(test_edf_admission),
		cmocka_unit_test(test_gang_overlap),
		cmocka_unit_test(test_gang_sleeper),
		cmocka_unit_test(test_gang_fallback),
		cmocka_unit_test(test_nothing_starves),
		cmocka_unit_test(test_swaps),
		cmocka_unit_test(test_swap_is_fair),
	};

	return cmocka_run_group_tests_name("policies", tests, NULL, NULL);
}
