/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler's core with real policies: random operations with swaps and ejections never lose a
 * runnable vCPU. Wrong answers only change which policy decides.
 * unit-sources: common/timer.c common/policy/calls.c modules/rr.c modules/credit.c modules/edf.c
 * unit-sources: modules/gang.c modules/example/lottery.c
 */
#include "host.h"

#include "sched_bench.h"

extern const struct policy_module module_rr, module_credit, module_edf, module_gang, module_lottery;

static const struct policy_module *const modules[] = { &module_rr, &module_credit, &module_edf,
						       &module_gang, &module_lottery };
#define NR_POLICIES ARRAY_SIZE(modules)

static struct policy policies[NR_POLICIES + 1];
static u64 serial;
static unsigned ejections;
static bool fail_next;		/* the next call faults */
static unsigned calls[NR_FNS];

u64 policy_call(u64 a, u64 b, u64 c, u64 d, const struct policy_fn *fn)
{
	struct policy *p = container_of(fn - fn->nr, struct policy, fn[0]);

	assert_non_null(fn->code);
	assert_false(p->ejected);
	if (fn->nr != FN_PLACE) {
		const struct cpu *about = container_of((struct policy_cpu *)a, struct cpu, view);

		assert_true(spin_is_locked(&about->runq.lock));
		assert_ptr_equal(about->policy[POINT_SCHED], p);
	}
	calls[fn->nr]++;
	if (fail_next) {
		fail_next = false;
		policy_eject(p, "a call", "it faults");
		return 0;
	}
	return ((u64(*)(u64, u64, u64, u64))fn->code)(a, b, c, d);
}

void policy_eject(struct policy *p, const char *what, const char *why, ...)
{
	(void)what;
	(void)why;
	ejections += !p->ejected;
	p->ejected = true;
	for (unsigned c = 0; c < CPUS; c++)
		if (cpu[c].policy[POINT_SCHED] == p) {
			cpu[c].policy[POINT_SCHED] = NULL;
			cpu_raise(&cpu[c], CPU_WORK_RESCHED);
		}
}


void arch_poll_irqs(void)
{
}

void pages_idle(struct cpu *c __unused, stime_t at __unused)
{
}

u64 policy_now(void)
{
	return now();
}

void policy_resched(u32 c)
{
	assert_true(c < CPUS);
	cpu[c].repick = true;
	cpu_raise(&cpu[c], CPU_WORK_RESCHED);
}

void policy_log(const char *text)
{
	(void)text;
}

/* Loads the policy and starts it anew. */
static void load(struct policy *p, const struct policy_module *m)
{
	*p = (struct policy){ .serial = ++serial, .balance = m->sched->balance };
	for (unsigned i = 0; i < NR_FNS; i++)
		p->fn[i] = (struct policy_fn){
			i < FN_IDLE ? ((const void *const *)m->sched)[i] : NULL, i
		};
	if (m->start)
		assert_int_equal(m->start(CPUS), 0);
}

static int setup_policies(void **state)
{
	setup(state);
	for (unsigned i = 0; i < NR_POLICIES; i++)
		load(&policies[i], modules[i]);
	ejections = 0;
	fail_next = false;
	memset(calls, 0, sizeof(calls));
	return 0;
}

static void select_for(unsigned c, struct policy *p)
{
	host_cpu = &cpu[pick_random(CPUS)];
	sched_set_policy(&cpu[c], p);
	cpu_raise(&cpu[c], CPU_WORK_RESCHED);
	check();
}

/* Every vCPU that can run does so within a while. */
static void check_progress(void)
{
	unsigned before[VCPUS];

	memcpy(before, runs, sizeof(runs));
	for (unsigned n = 0; n < 400; n++) {
		clock_now += 2000000;
		for (unsigned c = 0; c < CPUS; c++)
			step(c);
	}
	for (unsigned i = 0; i < VCPUS; i++)
		if (vcpu[i].state >= RUN_RUNNABLE && !vcpu[i].holds)
			assert_true(runs[i] > before[i]);
}

static void one_swap(void)
{
	unsigned which = pick_random(NR_POLICIES + 1);
	struct policy *p = which < NR_POLICIES ? &policies[which] : NULL;

	if (p && p->ejected)
		load(p, modules[which]);
	select_for(pick_random(CPUS), p);
}

static void random_run(bool eject)
{
	srand(11);
	for (unsigned n = 0; n < 120000; n++) {
		if (n % 4000 == 0) {
			setup_policies(NULL);
			for (unsigned i = 0; i < VCPUS; i++)
				set_affinity(i, pick_random(2) ? 7 : 1 + pick_random(7));
		}
		random_op();
		if (!pick_random(8))
			one_swap();
		if (eject && !pick_random(50))
			fail_next = true;
		if (pick_random(2))
			step(pick_random(CPUS));
		if (n % 2000 == 0) {
			fail_next = false;
			check_progress();
		}
		if (!eject)
			assert_int_equal(ejections, 0);
	}
}

static void test_swaps(void **state)
{
	(void)state;
	random_run(false);
	for (unsigned i = 0; i <= FN_PLACE; i++)
		if (i != FN_PREEMPTS)
			assert_true(calls[i] > 0);
}

static void test_ejections(void **state)
{
	(void)state;
	random_run(true);
	assert_true(ejections > 0);
}

/* rr picks the same vCPU as the built-in policy, and for the same time. */
static void test_rr_is_built_in(void **state)
{
	unsigned order[2][40];

	(void)state;
	for (unsigned with = 0; with < 2; with++) {
		setup_policies(NULL);
		if (with) {
			assert_int_equal(module_rr.sched->set(POLICY_MAX_DOMAINS, "slice_us",
							      opt.sched_slice),
					 0);
			select_for(0, &policies[0]);
		}
		for (unsigned i = 0; i < 4; i++) {
			set_affinity(i, 1);
			vcpu_up(&vcpu[i]);
		}
		for (unsigned n = 0; n < 40; n++) {
			step(0);
			order[with][n] = cpu[0].current->id;
			if (n % 7 == 3)
				yield(cpu[0].current);
			else
				clock_now += opt.sched_slice * 1000UL;
		}
	}
	assert_memory_equal(order[0], order[1], sizeof(order[0]));
	assert_true(calls[FN_PICK] >= 39);
}

static struct policy_vcpu *answer;
static u64 answered_slice;

static void no_queue(struct policy_cpu *c, struct policy_vcpu *v, enum policy_why why)
{
	(void)c;
	(void)v;
	(void)why;
}

static void no_dequeue(struct policy_cpu *c, struct policy_vcpu *v)
{
	(void)c;
	(void)v;
}

static struct policy_vcpu *answer_pick(struct policy_cpu *c, u64 *slice)
{
	assert_ptr_equal(c->first,
			 &list_first(&cpu[c->id].runq.queue, struct vcpu, runq_link)->view);
	assert_int_equal(*slice, opt.sched_slice * 1000UL);
	*slice = answered_slice;
	return answer;
}

static const struct sched_policy answering = {
	.enqueue = no_queue,
	.dequeue = no_dequeue,
	.pick = answer_pick,
};
static const struct policy_module module_answering = { .sched = &answering };

static void two_on_cpu_0(void)
{
	setup_policies(NULL);
	load(&policies[NR_POLICIES], &module_answering);
	for (unsigned i = 0; i < 3; i++) {
		set_affinity(i, i < 2 ? 1 : 2);
		vcpu_up(&vcpu[i]);
	}
	select_for(0, &policies[NR_POLICIES]);
}

static void test_answers(void **state)
{
	struct policy *p = &policies[NR_POLICIES];
	const struct {
		u64 said, meant;
	} slices[] = { { 0, 100000 }, { 5000000, 5000000 }, { 1UL << 40, POLICY_STARVE_NS / 4 },
		       { POLICY_FOREVER, POLICY_STARVE_NS / 4 } };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(slices); i++) {
		two_on_cpu_0();
		answer = &vcpu[1].view;
		answered_slice = slices[i].said;
		assert_true(step(0));
		assert_ptr_equal(cpu[0].current, &vcpu[1]);
		assert_int_equal(vcpu[1].slice_end - clock_now, slices[i].meant);
		assert_false(p->ejected);
	}
	/* No vCPU: the CPU asks again later. */
	two_on_cpu_0();
	answer = NULL;
	answered_slice = 3000000;
	assert_false(step(0));
	assert_true(hardware[0] <= clock_now + 3000000);
	answer = &vcpu[0].view;
	clock_now += 3000000;
	assert_true(step(0));
	assert_false(p->ejected);
	/* A vCPU that waits elsewhere, or none: the longest waiting runs for the built-in slice. */
	for (unsigned i = 0; i < 2; i++) {
		two_on_cpu_0();
		answer = i ? (struct policy_vcpu *)8 : &vcpu[2].view;
		answered_slice = 1;
		assert_true(step(0));
		assert_true(p->ejected);
		assert_ptr_equal(cpu[0].current, &vcpu[0]);
		assert_int_equal(vcpu[0].slice_end - clock_now, opt.sched_slice * 1000UL);
	}
}

static enum policy_why last_why;
static unsigned enqueues, charges, preemptions;
static u32 placed;
static u64 word;		/* expected in the vCPUs' private words */

static void note_enqueue(struct policy_cpu *c, struct policy_vcpu *v, enum policy_why why)
{
	assert_int_equal(c->priv[0], 0);
	assert_int_equal(v->priv[0], word);
	v->priv[0] = 7;
	last_why = why;
	enqueues++;
}

static void note_charge(struct policy_cpu *c, struct policy_vcpu *v, u64 ns)
{
	(void)c;
	(void)v;
	assert_true(ns > 0);
	charges++;
}

static struct policy_vcpu *pick_first(struct policy_cpu *c, u64 *slice)
{
	*slice = answered_slice;
	return c->first;
}

static u32 place_there(const struct policy_vcpu *v, const u64 *idle)
{
	(void)idle;
	assert_int_equal(v->priv[0], 0);
	return placed;
}

static bool no_preempts(struct policy_cpu *c, const struct policy_vcpu *v,
			const struct policy_vcpu *cur)
{
	(void)c;
	(void)v;
	assert_int_equal(cur->priv[0], 0);
	preemptions++;
	return false;
}

static const struct sched_policy noting = {
	.enqueue = note_enqueue,
	.dequeue = no_dequeue,
	.pick = pick_first,
	.charge = note_charge,
}, placing = {
	.enqueue = no_queue,
	.dequeue = no_dequeue,
	.pick = pick_first,
	.place = place_there,
	.preempts = no_preempts,
};
static const struct policy_module module_noting = { .sched = &noting },
				  module_placing = { .sched = &placing };

/* Puts vCPUs 0 to n - 1 on CPU 0 under the built-in policy; the first one runs. */
static void on_cpu_0(unsigned n)
{
	setup_policies(NULL);
	enqueues = charges = 0;
	for (unsigned i = 0; i < n; i++) {
		set_affinity(i, 1);
		vcpu_up(&vcpu[i]);
	}
	step(0);
	assert_ptr_equal(cpu[0].current, &vcpu[0]);
}

/*
 * Adds each waiting vCPU once, as new, with zeroed words; a running one when it stops, uncharged.
 */
static void test_hand_over(void **state)
{
	struct policy *p = &policies[NR_POLICIES];

	(void)state;
	on_cpu_0(4);
	for (unsigned round = 1; round <= 2; round++) {
		answered_slice = 1000000;
		load(p, &module_noting);
		cpu[0].view.priv[0] = 5;
		enqueues = charges = word = 0;
		cpu[0].work = 0;
		select_for(0, p);
		assert_true(cpu[0].work & CPU_WORK_RESCHED);
		assert_int_equal(enqueues, 3);
		assert_int_equal(last_why, POLICY_MOVED);
		clock_now += opt.sched_slice * 1000UL;
		step(0);
		assert_int_equal(enqueues, 4);
		assert_int_equal(last_why, POLICY_MOVED);
		assert_int_equal(charges, 0);
		word = 7;
		clock_now += answered_slice;
		step(0);
		assert_int_equal(last_why, POLICY_PREEMPTED);
		assert_int_equal(charges, 1);
		/* There and back: handed over again. */
		select_for(0, NULL);
		cpu[0].view.priv[0] = 5;
		select_for(0, p);
		assert_int_equal(enqueues, 8);
		assert_int_equal(last_why, POLICY_MOVED);
		/*
		 * The next policy does not see the words, even if the same module is loaded again.
		 */
		select_for(0, NULL);
	}
}

/* A vCPU that one policy lets run forever is stopped after a slice by the next, alone or not. */
static void test_slice_after_swap(void **state)
{
	struct policy *p = &policies[NR_POLICIES];
	u64 slice = opt.sched_slice * 1000UL;

	(void)state;
	on_cpu_0(1);
	load(p, &module_placing);
	answered_slice = POLICY_FOREVER;
	placed = 0;
	select_for(0, p);
	clock_now += slice;
	step(0);
	assert_int_equal(vcpu[0].slice_end, POLICY_FOREVER);
	set_affinity(1, 1);
	vcpu_up(&vcpu[1]);
	step(0);
	/* It did not ask to choose again, so the core prevents starvation. */
	assert_ptr_equal(cpu[0].current, &vcpu[0]);
	assert_true(hardware[0] <= clock_now + POLICY_STARVE_NS / 4);
	select_for(0, NULL);
	step(0);
	assert_true(hardware[0] <= clock_now + slice);
	clock_now += slice;
	step(0);
	assert_ptr_equal(cpu[0].current, &vcpu[1]);
	/* For a single vCPU with a slice, the core asks again. */
	on_cpu_0(1);
	load(p, &module_placing);
	answered_slice = 3000000;
	select_for(0, p);
	clock_now += slice;
	step(0);
	assert_ptr_equal(cpu[0].current, &vcpu[0]);
	assert_true(timer_armed(&cpu[0].slice));
	assert_true(hardware[0] <= clock_now + 3000000);
}

/* Picks the second repeatedly while the first waits. */
static void pass_over(unsigned n, u64 ns)
{
	while (n--) {
		clock_now += ns;
		yield(cpu[0].current);
		answer = &list_entry(cpu[0].runq.queue.prev, struct vcpu, runq_link)->view;
		step(0);
	}
}

/* The second of two runs, and a third waits with the first. */
static void third_waits(void)
{
	two_on_cpu_0();
	answered_slice = 5000000;
	answer = &vcpu[1].view;
	step(0);
	set_affinity(3, 1);
	vcpu_up(&vcpu[3]);
}

static void test_starvation(void **state)
{
	struct policy *p = &policies[NR_POLICIES];

	(void)state;
	for (unsigned swap = 0; swap < 2; swap++) {
		third_waits();
		pass_over(6, POLICY_STARVE_NS / 3);
		assert_false(p->ejected);	/* long enough, but not often enough */
		if (swap) {
			load(p, &module_answering);
			select_for(0, p);
		}
		pass_over(1, 1000);
		assert_int_equal(p->ejected, !swap);
	}
	/* Picking it restarts the count. */
	third_waits();
	pass_over(7, 1000);
	assert_true(cpu[0].passed_over >= 7);
	answer = &list_first(&cpu[0].runq.queue, struct vcpu, runq_link)->view;
	yield(cpu[0].current);
	step(0);
	pass_over(1, POLICY_STARVE_NS * 2);
	assert_false(p->ejected);
}

/*
 * If a policy holds vCPUs back, an idle CPU takes none. A disallowed placement ejects the policy.
 */
static void test_held_back_and_place(void **state)
{
	struct policy *p = &policies[NR_POLICIES];

	(void)state;
	two_on_cpu_0();
	p->balance = true;
	vcpu[1].allowed.bits[0] = 5;
	answer = NULL;
	answered_slice = 3000000;
	assert_false(step(0));
	assert_true(cpu[0].held_back);
	assert_false(step(2));
	assert_ptr_equal(vcpu[1].cpu, &cpu[0]);

	setup_policies(NULL);
	load(p, &module_placing);
	set_affinity(0, 3);
	select_for(0, p);
	placed = 1;
	host_cpu = &cpu[0];
	vcpu_up(&vcpu[0]);
	assert_ptr_equal(vcpu[0].cpu, &cpu[1]);
	set_affinity(1, 3);
	placed = 2;
	vcpu_up(&vcpu[1]);
	assert_true(p->ejected);
	check();
}

/* A policy never sees another's words, not even of vCPUs that already wait or run. */
static void test_words(void **state)
{
	struct policy *p = &policies[NR_POLICIES];

	(void)state;
	on_cpu_0(2);
	load(p, &module_placing);
	answered_slice = 1000000;
	placed = preemptions = 0;
	vcpu[0].view.priv[0] = vcpu[2].view.priv[0] = 9;
	select_for(0, p);
	set_affinity(2, 1);
	vcpu_up(&vcpu[2]);
	assert_int_equal(preemptions, 0);
	clock_now += opt.sched_slice * 1000UL;
	step(0);
	assert_ptr_equal(cpu[0].current, &vcpu[1]);
	set_affinity(3, 1);
	vcpu_up(&vcpu[3]);
	assert_int_equal(preemptions, 1);
	assert_false(p->ejected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_answers, setup_policies),
		cmocka_unit_test_setup(test_hand_over, setup_policies),
		cmocka_unit_test_setup(test_slice_after_swap, setup_policies),
		cmocka_unit_test_setup(test_words, setup_policies),
		cmocka_unit_test_setup(test_starvation, setup_policies),
		cmocka_unit_test_setup(test_held_back_and_place, setup_policies),
		cmocka_unit_test_setup(test_rr_is_built_in, setup_policies),
		cmocka_unit_test_setup(test_swaps, setup_policies),
		cmocka_unit_test_setup(test_ejections, setup_policies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
