/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler's core: vCPU states and queues, step by step, and by random sequences checked
 * against the invariants. Includes the source itself; each CPU's loop runs one iteration at a time.
 * unit-sources: common/timer.c test/unit/no_policies.c
 */
#include "host.h"

#include "sched_bench.h"

static unsigned where(unsigned i)
{
	return vcpu[i].cpu->id;
}

static void test_life(void **state)
{
	struct vcpu *v = &vcpu[0];
	struct vcpu_runstate_info rs;

	(void)state;
	vcpu_wake(v); /* it is offline: nothing happens */
	assert_int_equal(v->state, RUN_OFFLINE);
	vcpu_up(v);
	assert_int_equal(v->state, RUN_RUNNABLE);
	clock_now += 10;
	assert_true(step(where(0)));
	assert_int_equal(v->state, RUN_RUNNING);
	vcpu_up(v);
	assert_int_equal(v->state, RUN_RUNNING);
	clock_now += 100;
	/* Blocks, with its registers still in the CPU. */
	vcpu_block(v);
	assert_int_equal(v->state, RUN_BLOCKED);
	assert_false(step(where(0)));
	assert_true(v->on_cpu);
	clock_now += 1000;
	vcpu_wake(v);
	assert_true(step(where(0)));
	/* Work is pending: it does not block. */
	has_work[0] = true;
	vcpu_block(v);
	assert_int_equal(v->state, RUN_RUNNING);
	has_work[0] = false;
	/* Woken while it blocks. */
	vcpu_block(v);
	vcpu_wake(v);
	assert_int_equal(v->state, RUN_RUNNING);
	vcpu_down(v);
	clock_now += 10000;
	assert_false(step(where(0)));
	assert_false(v->on_cpu);
	vcpu_runstate(v, &rs);
	assert_int_equal(rs.state, RUNSTATE_offline);
	assert_int_equal(rs.time[RUNSTATE_runnable], 10);
	assert_int_equal(rs.time[RUNSTATE_blocked], 1000);
	assert_int_equal(rs.time[RUNSTATE_running], 10100);
	check();
}

/* HLT with interrupts off: only events that IF does not mask wake it. */
static void test_halted(void **state)
{
	(void)state;
	vcpu_up(&vcpu[0]);
	step(where(0));
	vcpu[0].halted = true;
	vcpu_block(&vcpu[0]);
	vcpu_wake(&vcpu[0]);
	assert_int_equal(vcpu[0].state, RUN_BLOCKED);
	step(where(0));
	/* Taken down and started again, its next sleep is a new one. */
	vcpu_down(&vcpu[0]);
	step(where(0));
	vcpu_up(&vcpu[0]);
	step(where(0));
	vcpu_block(&vcpu[0]);
	vcpu_wake(&vcpu[0]);
	assert_int_equal(vcpu[0].state, RUN_RUNNING);
	vcpu[0].halted = true;
	vcpu_block(&vcpu[0]);
	has_work[0] = true;
	vcpu_wake(&vcpu[0]);
	assert_int_equal(vcpu[0].state, RUN_RUNNING);
}

/* Another vCPU takes it down while it blocks. */
static void test_down_beats_block(void **state)
{
	(void)state;
	vcpu_up(&vcpu[0]);
	step(where(0));
	vcpu_down(&vcpu[0]);
	vcpu_block(&vcpu[0]);
	assert_int_equal(vcpu[0].state, RUN_OFFLINE);
	vcpu_wake(&vcpu[0]);
	settle();
	assert_int_equal(vcpu[0].state, RUN_OFFLINE);
}

/* Consoles that always have work do not put off the work of guests. */
static void test_console_and_guests(void **state)
{
	(void)state;
	works[0] = 0;
	console_again = 2;
	host_cpu = &cpu[0];
	cpu_raise(&cpu[0], CPU_WORK_CONSOLE);
	cpu_raise(&cpu[0], CPU_WORK_GUESTS);
	step(0);
	assert_string_equal(works, "gcgcgc");
}

static void slow_timer(struct timer *t __unused)
{
	clock_now += 30000;
}

/* The time that a CPU spends on the timers of others does not shorten a slice. */
static void test_foreign_timer(void **state)
{
	static struct timer t;
	struct vcpu *v;
	stime_t end;

	(void)state;
	for (unsigned i = 0; i < VCPUS; i++)
		vcpu_up(&vcpu[i]);
	settle();
	v = cpu[0].current;
	host_cpu = &cpu[0];
	timer_init(&t, slow_timer);
	for (unsigned mine = 0; mine < 2; mine++) {
		end = v->slice_end;
		assert_true(end > clock_now + 30000 && end != POLICY_FOREVER);
		t.owner = mine ? v : &vcpu[v == &vcpu[0]];
		timer_set(&t, clock_now);
		cpu_raise(&cpu[0], CPU_WORK_TIMER);
		assert_true(step(0));
		assert_ptr_equal(cpu[0].current, v);
		assert_int_equal(v->slice_end, mine ? end : end + 30000);
	}
	check();
}

static void test_spread(void **state)
{
	(void)state;
	/* As many vCPUs as CPUs at once: one for each, before any CPU has looked. */
	for (unsigned i = 0; i < CPUS; i++)
		vcpu_up(&vcpu[i]);
	assert_true(where(0) != where(1) && where(1) != where(2) && where(0) != where(2));
	settle();
	/* One more waits; a CPU that becomes idle takes it. */
	vcpu_up(&vcpu[3]);
	check();
	settle();
	for (unsigned i = 0; i < CPUS; i++)
		if (where(i) != where(3)) {
			vcpu_block(&vcpu[i]);
			break;
		}
	settle();
	for (unsigned c = 0; c < CPUS; c++)
		assert_int_equal(waiting(c), 0);
	assert_int_equal(vcpu[3].state, RUN_RUNNING);
}

/* CPUs 0 and 1 become threads of one core. */
static void make_siblings(void)
{
	cpu[0].sibling = &cpu[1];
	cpu[1].sibling = &cpu[0];
}

/* A vCPU prefers an idle core to an idle thread of a busy one, but not one of another node. */
static void test_siblings(void **state)
{
	(void)state;
	make_siblings();
	cpu[2].node = 0;
	vcpu_up(&vcpu[0]);
	assert_int_equal(where(0), 0);
	set_affinity(1, 7);
	assign_cpu(&vcpu[1], &cpu[1]);
	vcpu_up(&vcpu[1]);
	assert_int_equal(where(1), 2);
	vcpu_up(&vcpu[2]);
	assert_int_equal(where(2), 1);
	settle();
	for (unsigned i = 0; i < 3; i++)
		vcpu_down(&vcpu[i]);
	settle();
	/* All cores are idle: it stays where it was. */
	vcpu_up(&vcpu[2]);
	assert_int_equal(where(2), 1);
	step(1);
	cpu[2].node = 1;
	vcpu_up(&vcpu[0]);
	assert_int_equal(where(0), 0);
}

/* A vCPU that waits wakes a CPU of an idle core. */
static void test_siblings_offer(void **state)
{
	(void)state;
	make_siblings();
	cpu[2].node = 0;
	vcpu_up(&vcpu[0]);
	settle();
	assert_int_equal(where(0), 0);
	/* No CPU is idle yet, so the second one waits on the same CPU. */
	cpu_set_remove(&idle_cpus, 1);
	cpu_set_remove(&idle_cpus, 2);
	assign_cpu(&vcpu[1], &cpu[0]);
	vcpu_up(&vcpu[1]);
	assert_int_equal(waiting(0), 1);
	cpu_set_add(&idle_cpus, 1);
	cpu_set_add(&idle_cpus, 2);
	cpu[1].work = cpu[2].work = 0;
	clock_now += opt.sched_slice * 1000UL;
	cpu[0].work |= CPU_WORK_RESCHED;
	step(0);
	assert_false(cpu[1].work);
	assert_true(cpu[2].work & CPU_WORK_RESCHED);
}

/* Two share a CPU while another is idle: the idle CPU is kicked and takes one of them. */
static void test_offer(void **state)
{
	(void)state;
	set_affinity(0, 3);
	set_affinity(1, 3);
	vcpu_up(&vcpu[0]);
	settle();
	assert_int_equal(where(0), 0);
	/* CPU 1 found no work and has not yet marked itself idle. */
	cpu_set_remove(&idle_cpus, 1);
	vcpu_up(&vcpu[1]);
	cpu_set_add(&idle_cpus, 1);
	assert_int_equal(waiting(0), 1);
	clock_now += opt.sched_slice * 1000UL;
	cpu[0].work |= CPU_WORK_RESCHED;
	cpu[1].work = 0;
	step(0); /* switches, and offers the other vCPU */
	assert_true(cpu[1].work & CPU_WORK_RESCHED);
	step(1);
	assert_int_equal(waiting(0), 0);
	assert_int_equal(vcpu[0].state, RUN_RUNNING);
	assert_int_equal(vcpu[1].state, RUN_RUNNING);
}

static void test_round_robin(void **state)
{
	unsigned n;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		set_affinity(i, 1);
		vcpu_up(&vcpu[i]);
	}
	step(0);
	for (n = 0; n < 40; n++) {
		struct vcpu *before = cpu[0].current;

		/* Nothing happens within a slice. */
		clock_now += opt.sched_slice * 500UL;
		cpu[0].work |= CPU_WORK_RESCHED;
		step(0);
		assert_ptr_equal(cpu[0].current, before);
		assert_true(hardware[0] <= clock_now + opt.sched_slice * 500UL);
		clock_now += opt.sched_slice * 500UL;
		step(0);
		assert_ptr_not_equal(cpu[0].current, before);
	}
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(vcpu[i].runstate.time[RUNSTATE_running] / 1000,
				 10 * opt.sched_slice);
	/* Alone it has no timer. */
	for (unsigned i = 0; i < 4; i++)
		if (&vcpu[i] != cpu[0].current)
			vcpu_down(&vcpu[i]);
	clock_now += opt.sched_slice * 1000UL;
	step(0);
	clock_now += opt.sched_slice * 1000UL;
	step(0);
	assert_int_equal(hardware[0], ~0UL);
}

/* Ends a slice on CPU 0. */
static void end_slice(void)
{
	clock_now += opt.sched_slice * 1000UL;
	cpu[0].work |= CPU_WORK_RESCHED;
	settle();
}

/* All but two wait on one CPU: a preempted vCPU moves to a shorter queue, first on its node. */
static void test_balance(void **state)
{
	(void)state;
	set_affinity(7, BIT(1));
	set_affinity(8, BIT(2));
	for (unsigned i = 0; i < VCPUS; i++) {
		if (i < 7)
			set_affinity(i, BIT(0));
		vcpu_up(&vcpu[i]);
	}
	settle();
	assert_int_equal(waiting(0), 6);
	/* They may run on no other CPU. */
	end_slice();
	assert_int_equal(waiting(0), 6);
	for (unsigned i = 0; i < 7; i++)
		set_affinity(i, BIT(0) | BIT(1) | BIT(2));
	cpu[1].node = 1;
	cpu[2].node = 0;
	end_slice();
	assert_int_equal(waiting(1), 0);
	assert_int_equal(waiting(2), 1);
	end_slice();
	assert_int_equal(waiting(1), 1);
	end_slice();
	end_slice();
	/* Three on each; nothing moves any more, not even to a CPU with a single vCPU. */
	for (unsigned n = 0; n < 10; n++) {
		for (unsigned c = 0; c < CPUS; c++)
			assert_int_equal(waiting(c), 2);
		end_slice();
	}
	/* Two leave one CPU, one leaves another: the queues are balanced again. */
	for (unsigned n = 0; n < 3; n++)
		vcpu_down(list_first(&cpu[1 + n / 2].runq.queue, struct vcpu, runq_link));
	settle();
	assert_int_equal(waiting(0) + waiting(1) + waiting(2), 3);
	end_slice();
	end_slice();
	for (unsigned c = 0; c < CPUS; c++)
		assert_int_equal(waiting(c), 1);
}

static void test_stop(void **state)
{
	struct vcpu *v = &vcpu[0], *w = &vcpu[1], *asleep = &vcpu[2];

	(void)state;
	/* On a queue: it never runs. */
	vcpu_up(v);
	vcpu_hold(v, 1);
	assert_false(queued(v));
	settle();
	assert_int_equal(runs[0], 0);
	/* While it runs: it leaves the CPU with its registers. */
	vcpu_up(w);
	settle();
	assert_true(w->on_cpu);
	vcpu_hold(w, 1);
	settle();
	assert_false(w->on_cpu);
	assert_int_equal(w->state, RUN_RUNNABLE);
	/* Blocked with its registers in a CPU; a wake-up has no effect any more. */
	vcpu_up(asleep);
	settle();
	host_cpu = asleep->cpu;
	vcpu_block(asleep);
	settle();
	assert_true(asleep->on_cpu);
	vcpu_hold(asleep, 1);
	vcpu_wake(asleep);
	settle();
	assert_false(asleep->on_cpu);
	/* Taking it down and up has no effect either. */
	vcpu_down(w);
	vcpu_up(w);
	settle();
	assert_false(queued(v) || queued(w) || queued(asleep));
	assert_false(w->on_cpu);
}

/* Holds are counted. Neither a wake-up nor taking a held vCPU up lets it run. */
static void test_hold(void **state)
{
	struct vcpu *v = &vcpu[0], *asleep = &vcpu[1], *off = &vcpu[2];

	(void)state;
	vcpu_up(v);
	vcpu_up(asleep);
	settle();
	host_cpu = asleep->cpu;
	vcpu_block(asleep);
	settle();
	for (unsigned i = 0; i < 3; i++) {
		vcpu_hold(&vcpu[i], 1);
		vcpu_hold(&vcpu[i], 1);
	}
	settle();
	memset(runs, 0, sizeof(runs));
	vcpu_wake(asleep);
	vcpu_up(off);
	for (unsigned i = 0; i < 3; i++)
		vcpu_release(&vcpu[i]);
	settle();
	for (unsigned i = 0; i < 3; i++) {
		assert_false(queued(&vcpu[i]) || vcpu[i].on_cpu);
		assert_int_equal(runs[i], 0);
		assert_int_equal(vcpu[i].state, RUN_RUNNABLE);
		assert_int_equal(vcpu[i].runstate.state, RUNSTATE_offline);
		vcpu_release(&vcpu[i]);
	}
	settle();
	for (unsigned i = 0; i < 3; i++)
		assert_true(runs[i] > 0);
	/* Held and released before its CPU looked: it continues. */
	vcpu_hold(v, 1);
	vcpu_release(v);
	settle();
	assert_int_equal(v->state, RUN_RUNNING);
	/* A blocked one stays blocked. */
	host_cpu = asleep->cpu;
	vcpu_block(asleep);
	settle();
	vcpu_hold(asleep, 1);
	vcpu_release(asleep);
	settle();
	assert_int_equal(asleep->state, RUN_BLOCKED);
}

static void test_affinity(void **state)
{
	(void)state;
	for (unsigned c = 0; c < CPUS; c++) {
		set_affinity(c, BIT(c));
		vcpu_up(&vcpu[c]);
		assert_int_equal(where(c), c);
	}
	settle();
	/* The others may not run on the idle CPU, so they keep waiting. */
	set_affinity(3, BIT(0));
	set_affinity(4, BIT(0) | BIT(2));
	vcpu_up(&vcpu[3]);
	host_cpu = &cpu[1];
	vcpu_block(&vcpu[1]);
	settle();
	assert_int_equal(where(3), 0);
	assert_null(cpu[1].current);
	vcpu_up(&vcpu[4]);
	settle();
	assert_null(cpu[1].current);
	/* CPU 2 is idle: it takes the one that it may run. */
	host_cpu = &cpu[2];
	vcpu_block(&vcpu[2]);
	settle();
	assert_int_equal(where(4), 2);
	assert_int_equal(vcpu[4].state, RUN_RUNNING);
	assert_int_equal(where(3), 0);
}

/* A CPU with an owner runs nothing else, and the owner runs nowhere else. Then it is shared again. */
static void test_owner(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 6; i++)
		vcpu_up(&vcpu[i]);
	settle();
	cpu_set_add(&owned_cpus, 1);
	vcpu[0].core = &cpu[1];
	for (unsigned i = 0; i < VCPUS; i++)
		vcpu_restrict(&vcpu[i], &vcpu[i].affinity);
	settle();
	cpu[1].owner = &vcpu[0];
	settle();
	for (unsigned n = 0; n < 50; n++) {
		host_cpu = &cpu[0];
		vcpu_wake(&vcpu[n % VCPUS]);
		if (n % 7 == 3) {
			host_cpu = cpu[0].current ? &cpu[0] : &cpu[2];
			if (host_cpu->current)
				vcpu_block(host_cpu->current);
		}
		clock_now += 1000000;
		settle();
		assert_ptr_equal(cpu[1].current, &vcpu[0]);
		assert_int_equal(waiting(1), 0);
		assert_false(cpu_set_has(&idle_cpus, 1));
		assert_false(timer_armed(&cpu[1].slice));
	}
	/* A direct vCPU halts in its guest. */
	vcpu[0].direct = true;
	vcpu_block(&vcpu[0]);
	settle();
	assert_int_equal(vcpu[0].state, RUN_RUNNING);
	vcpu[0].direct = false;

	cpu_set_remove(&owned_cpus, 1);
	vcpu[0].core = NULL;
	cpu[1].owner = NULL;
	for (unsigned i = 0; i < VCPUS; i++)
		vcpu_restrict(&vcpu[i], &vcpu[i].affinity);
	for (unsigned i = 0; i < 6; i++)
		vcpu_wake(&vcpu[i]);
	settle();
	for (unsigned n = 0, i = runs[0]; n < 20; n++, clock_now += 10000000) {
		settle();
		assert_true(runs[0] >= i);
	}
	assert_int_equal(vcpu[0].allowed.bits[0], ~0UL);
}

/* Restricts vCPU i, which is loaded, while its CPU chooses another one. */
static void restrict_late(unsigned i, u64 mask)
{
	struct cpu *c = vcpu[i].cpu;
	struct cpu_set set = { .bits = { mask } };
	struct vcpu *next;

	assert_ptr_equal(c->loaded, &vcpu[i]);
	assert_int_equal(vcpu_restrict(&vcpu[i], &set), 0);
	clock_now += 100000000;
	host_cpu = c;
	next = schedule(c);
	if (next)
		run_current(c, next);
	settle();
	assert_ptr_not_equal(c->loaded, &vcpu[i]);
}

static void test_stranded(void **state)
{
	(void)state;
	for (unsigned c = 0; c < CPUS; c++) {
		set_affinity(c, BIT(c));
		vcpu_up(&vcpu[c]);
	}
	/* It is preempted, and waits. */
	set_affinity(3, BIT(1));
	vcpu_up(&vcpu[3]);
	settle();
	restrict_late(1, BIT(0));
	assert_int_equal(where(1), 0);
	/* It has halted. */
	host_cpu = &cpu[1];
	vcpu_block(&vcpu[3]);
	settle();
	assert_ptr_equal(cpu[1].loaded, &vcpu[3]);
	set_affinity(4, BIT(1));
	vcpu_up(&vcpu[4]);
	restrict_late(3, BIT(2));
	vcpu_wake(&vcpu[3]);
	assert_int_equal(where(3), 2);
}

/* As domctl does it. */
static void prefer(unsigned i, u64 mask)
{
	vcpu[i].soft_affinity.bits[0] = mask;
	if (vcpu[i].on_cpu)
		cpu_raise(vcpu[i].cpu, CPU_WORK_EXPEL);
	settle();
}

static void test_soft_affinity(void **state)
{
	struct vcpu *v = &vcpu[0];

	(void)state;
	/* A CPU of another node, since it is preferred. */
	prefer(0, BIT(2));
	vcpu_up(v);
	settle();
	assert_int_equal(where(0), 2);
	/* While it runs, and while it sleeps with its registers in a CPU. */
	prefer(0, BIT(1));
	assert_int_equal(where(0), 1);
	assert_int_equal(v->state, RUN_RUNNING);
	host_cpu = &cpu[1];
	vcpu_block(v);
	settle();
	assert_true(v->on_cpu);
	prefer(0, BIT(0) | BIT(2));
	assert_int_equal(where(0), 0);
	assert_int_equal(v->state, RUN_BLOCKED);
	vcpu_wake(v);
	settle();
	assert_int_equal(where(0), 0);
	assert_int_equal(v->state, RUN_RUNNING);

	/* The preferred CPU is busy: another one until it is free. */
	set_affinity(1, BIT(1));
	vcpu_up(&vcpu[1]);
	settle();
	prefer(0, BIT(1));
	assert_int_equal(where(0), 0);
	host_cpu = &cpu[0];
	vcpu_block(v);
	settle();
	vcpu_wake(v);
	settle();
	assert_int_equal(where(0), 0);
	host_cpu = &cpu[1];
	vcpu_block(&vcpu[1]);
	settle();
	assert_int_equal(where(0), 1);
	assert_int_equal(v->state, RUN_RUNNING);

	/* Its registers stay in the CPU to which it had to go, and it comes back when it wakes. */
	vcpu_wake(&vcpu[1]);
	host_cpu = &cpu[1];
	vcpu_block(v);
	settle();
	assert_int_equal(vcpu[1].state, RUN_RUNNING);
	vcpu_wake(v);
	settle();
	assert_int_not_equal(where(0), 1);
	host_cpu = v->cpu;
	vcpu_block(v);
	settle();
	host_cpu = &cpu[1];
	vcpu_block(&vcpu[1]);
	settle();
	vcpu_wake(v);
	settle();
	assert_int_equal(where(0), 1);

	/* The preferred CPU becomes idle between the choice of another one and the first run there. */
	host_cpu = &cpu[1];
	vcpu_down(v);
	settle();
	cpu_set_remove(&idle_cpus, 1);
	vcpu_up(v);
	assert_int_not_equal(where(0), 1);
	cpu_set_add(&idle_cpus, 1);
	step(where(0));
	step(where(0));
	assert_int_equal(where(0), 1);
	settle();
	assert_int_equal(v->state, RUN_RUNNING);

	/* It may not run where it prefers to. */
	set_affinity(2, BIT(0));
	prefer(2, BIT(2));
	vcpu_up(&vcpu[2]);
	settle();
	assert_int_equal(where(2), 0);
	assert_int_equal(vcpu[2].state, RUN_RUNNING);
}

/* Another CPU acts after this one took a vCPU from a queue and before it made it current. */
static void test_stolen(void **state)
{
	struct vcpu *v = &vcpu[0];

	(void)state;
	for (unsigned act = 0; act < 4; act++) {
		setup(NULL);
		vcpu_up(v);
		assert_int_equal(where(0), 0);
		host_cpu = &cpu[1];
		/* CPU 0 was woken for v and runs it itself, unless it is busy. */
		assert_null(steal_vcpu(&cpu[1]));
		cpu[0].current = &vcpu[1];
		assert_ptr_equal(steal_vcpu(&cpu[1]), v);
		cpu[0].current = NULL;
		assert_ptr_equal(v->cpu, &cpu[1]);
		host_cpu = &cpu[2];
		vcpu_down(v);
		vcpu_up(v);
		switch (act) {
		case 1:
			vcpu_down(v);
			break;
		case 2:
			vcpu_hold(v, 1);
			break;
		case 3:
			vcpu_down(v);
			vcpu_up(v);
			break;
		}
		settle();
		assert_int_equal(v->state, act == 1 ? RUN_OFFLINE :
					   act == 2 ? RUN_RUNNABLE :
						      RUN_RUNNING);
		assert_int_equal(v->on_cpu, act != 1 && act != 2);
	}
}

/* Every vCPU that can run does, and no CPU is idle while one that it may run waits. */
static void check_progress(void)
{
	unsigned before[VCPUS];

	memcpy(before, runs, sizeof(runs));
	for (unsigned n = 0; n < 3 * VCPUS; n++) {
		clock_now += opt.sched_slice * 1000UL;
		for (unsigned c = 0; c < CPUS; c++)
			step(c);
	}
	for (unsigned i = 0; i < VCPUS; i++)
		if (vcpu[i].state >= RUN_RUNNABLE && !vcpu[i].holds)
			assert_true(runs[i] > before[i]);
	for (unsigned c = 0; c < CPUS; c++)
		if (!cpu[c].current)
			for (unsigned i = 0; i < VCPUS; i++)
				assert_false(queued(&vcpu[i]) && may_run_on(&vcpu[i], &cpu[c]));
}

static void test_random(void **state)
{
	(void)state;
	srand(7);
	for (unsigned n = 0; n < 200000; n++) {
		if (n % 4000 == 0) {
			setup(NULL);
			for (unsigned i = 0; i < VCPUS; i++)
				set_affinity(i, pick_random(2) ? 7 : 1 + pick_random(7));
			for (unsigned i = 0; i < VCPUS; i++)
				vcpu[i].soft_affinity.bits[0] = pick_random(2) ? 7 : pick_random(8);
		}
		random_op();
		if (pick_random(2))
			step(pick_random(CPUS));
		if (n % 500 == 0)
			check_progress();
	}
}

/* Woken a little early, a vCPU enters its guest in time; a running one is notified in time. */
static void test_date(void **state)
{
	struct vcpu *v = &vcpu[0];
	struct timer t = { .expires = 20001000 };
	stime_t ahead;

	(void)state;
	clock_now = 10000000;
	set_affinity(0, 1);
	vcpu_up(v);
	step(0);
	vcpu_block(v);
	step(0);
	/* Late twice: this CPU wakes vCPUs earlier from then on. */
	for (unsigned i = 0; i < 2; i++) {
		ahead = cpu[0].timers.ahead;
		v->not_before = clock_now;
		clock_now += 800;
		vcpu_wait_deadline(v);
		assert_int_equal(v->not_before, 0);
		assert_true(cpu[0].timers.ahead > ahead && cpu[0].timers.ahead < 800);
	}
	/* A single very late wake-up is ignored, and frequent ones have a limit. */
	ahead = cpu[0].timers.ahead;
	v->not_before = clock_now - 1000000;
	vcpu_wait_deadline(v);
	assert_int_equal(cpu[0].timers.ahead, ahead);
	for (unsigned i = 0; i < 100; i++) {
		v->not_before = clock_now - TIMER_AHEAD_MAX / 2;
		vcpu_wait_deadline(v);
	}
	assert_int_equal(cpu[0].timers.ahead, TIMER_AHEAD_MAX);
	/*
	 * Blocked: the deadline is recorded and the entry waits for it. The next wake-up is less
	 * early.
	 */
	clock_now = 20000000;
	host_cpu->timers.due = clock_now;
	vcpu_early_timer_fired(v, &t);
	assert_int_equal(clock_now, 20000000);
	assert_int_equal(v->not_before, t.expires);
	relaxes = 10;
	vcpu_wait_deadline(v);
	assert_true(clock_now >= t.expires && clock_now < t.expires + 10);
	assert_true(cpu[0].timers.ahead < TIMER_AHEAD_MAX);
	for (unsigned i = 0; i < 100; i++) {
		v->not_before = clock_now + 2000;
		vcpu_wait_deadline(v);
	}
	assert_int_equal(cpu[0].timers.ahead, TIMER_EXIT_NS);
	/* An expiry near 0 is in the past. */
	relaxes = 0;
	v->not_before = 1;
	vcpu_wait_deadline(v);
	assert_int_equal(v->not_before, 0);
	relaxes = 10;
	/* It runs: the deadline is waited for before the vCPU is notified. */
	vcpu_wake(v);
	step(0);
	assert_int_equal(v->state, RUN_RUNNING);
	t.expires = clock_now + 500;
	host_cpu->timers.due = clock_now;
	vcpu_early_timer_fired(v, &t);
	assert_true(clock_now >= t.expires);
	assert_int_equal(v->not_before, 0);
	/* Past: no wait. */
	relaxes = 0;
	host_cpu->timers.due = clock_now;
	vcpu_early_timer_fired(v, &t);
	/* Rearmed for much later while its function runs here: no timer runs so early. */
	relaxes = 10;
	t.expires = clock_now + 1000000000;
	vcpu_early_timer_fired(v, &t);
	assert_true(clock_now < host_cpu->timers.due + TIMER_AHEAD_MAX + 100);
	vcpu_block(v);
	step(0);
	vcpu_early_timer_fired(v, &t);
	assert_true(v->not_before <= host_cpu->timers.due + TIMER_AHEAD_MAX);
}

/* A due timer fires in the run loop; other work returns to the scheduler's loop. */
static void test_wanted(void **state)
{
	(void)state;
	set_affinity(0, 1);
	vcpu_up(&vcpu[0]);
	step(0);
	timer_set(&cpu[0].slice, clock_now + 10);
	cpu[0].work |= CPU_WORK_TIMER;
	assert_false(sched_wanted(&cpu[0]));
	assert_int_equal(cpu[0].work, 0);
	clock_now += 10;
	cpu[0].work |= CPU_WORK_TIMER;
	assert_true(sched_wanted(&cpu[0]));
	assert_int_equal(cpu[0].work, CPU_WORK_RESCHED);
	cpu[0].work = CPU_WORK_CONSOLE | CPU_WORK_TIMER;
	assert_true(sched_wanted(&cpu[0]));
	assert_int_equal(cpu[0].work, CPU_WORK_CONSOLE | CPU_WORK_TIMER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_life, setup),
		cmocka_unit_test_setup(test_halted, setup),
		cmocka_unit_test_setup(test_down_beats_block, setup),
		cmocka_unit_test_setup(test_foreign_timer, setup),
		cmocka_unit_test_setup(test_console_and_guests, setup),
		cmocka_unit_test_setup(test_spread, setup),
		cmocka_unit_test_setup(test_siblings, setup),
		cmocka_unit_test_setup(test_siblings_offer, setup),
		cmocka_unit_test_setup(test_offer, setup),
		cmocka_unit_test_setup(test_round_robin, setup),
		cmocka_unit_test_setup(test_balance, setup),
		cmocka_unit_test_setup(test_stop, setup),
		cmocka_unit_test_setup(test_hold, setup),
		cmocka_unit_test_setup(test_affinity, setup),
		cmocka_unit_test_setup(test_owner, setup),
		cmocka_unit_test_setup(test_stranded, setup),
		cmocka_unit_test_setup(test_soft_affinity, setup),
		cmocka_unit_test_setup(test_stolen, setup),
		cmocka_unit_test_setup(test_date, setup),
		cmocka_unit_test_setup(test_wanted, setup),
		cmocka_unit_test_setup(test_random, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
