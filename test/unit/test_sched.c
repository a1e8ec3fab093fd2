/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler's core: the states of a vCPU and the queues, step by step and by random sequences checked
 * against what must always hold. The file itself is included: each CPU's loop is done one round a time.
 * unit-sources: common/timer.c test/unit/no_policies.c
 */
#include "host.h"

#include "../../common/sched.c"

#define CPUS 3
#define VCPUS 9

static struct cpu cpu[CPUS];
struct cpu *host_cpu, *cpus[MAX_CPUS];
unsigned nr_cpus = CPUS;
struct margay_options opt = { .sched_slice = 1000 };
static struct domain dom;
static struct vcpu vcpu[VCPUS];
static bool has_work[VCPUS];
static stime_t clock_now;
static stime_t hardware[CPUS];
static unsigned runs[VCPUS];

stime_t now(void)
{
	return clock_now;
}
void arch_timer_program(stime_t at)
{
	hardware[host_cpu->id] = at;
}
void arch_cpu_kick(struct cpu *c)
{
	assert_ptr_not_equal(c, host_cpu);
}
void arch_idle(void)
{
}
void cpu_relax(void)
{
	fail_msg("waits for ever");
}
void cpu_do_call(struct cpu *c)
{
	(void)c;
}
void console_work(void)
{
}
void domains_reap(void)
{
}
void runstate_update(struct vcpu *v)
{
	(void)v;
}
bool arch_vcpu_has_interrupt(struct vcpu *v)
{
	return has_work[v->id];
}
void cpu_raise(struct cpu *c, u32 work)
{
	c->work |= work;
}

void arch_vcpu_load(struct vcpu *v)
{
	assert_null(host_cpu->loaded);
	assert_ptr_equal(v->cpu, host_cpu);
}

void arch_vcpu_save(struct vcpu *v)
{
	assert_ptr_equal(host_cpu->loaded, v);
}

/* This CPU goes into the guest. */
void arch_vcpu_run(struct vcpu *v)
{
	assert_ptr_equal(host_cpu->current, v);
	assert_ptr_equal(host_cpu->loaded, v);
	assert_int_equal(v->state, RUN_RUNNING);
	assert_false(v->stopped);
	assert_true(may_run_on(v, host_cpu));
	runs[v->id]++;
}

static unsigned queued_on(const struct cpu *c, const struct vcpu *v)
{
	const struct vcpu *q;
	unsigned n = 0;

	list_for_each(q, &c->runq.queue, runq_link)
		n += q == v;
	return n;
}

static unsigned waiting(unsigned c)
{
	const struct vcpu *q;
	unsigned n = 0;

	list_for_each(q, &cpu[c].runq.queue, runq_link)
		n++;
	return n;
}

static void check(void)
{
	for (unsigned c = 0; c < CPUS; c++) {
		assert_false(spin_is_locked(&cpu[c].runq.lock));
		if (cpu[c].current)
			assert_ptr_equal(cpu[c].loaded, cpu[c].current);
	}
	for (unsigned i = 0; i < VCPUS; i++) {
		const struct vcpu *v = &vcpu[i];
		unsigned queues = 0, current = 0, loaded = 0;

		for (unsigned c = 0; c < CPUS; c++) {
			queues += queued_on(&cpu[c], v);
			current += cpu[c].current == v;
			loaded += cpu[c].loaded == v;
		}
		assert_true(queues <= 1 && current <= 1 && loaded <= 1);
		assert_true(may_run_on(v, v->cpu));
		assert_int_equal(queues, queued_on(v->cpu, v));
		assert_int_equal(current, v->cpu->current == v);
		assert_int_equal(loaded, v->on_cpu);
		assert_int_equal(loaded, v->cpu->loaded == v);
		/* Never lost when it could run, never there when it must not. */
		assert_int_equal(queues, v->state == RUN_RUNNABLE && !v->stopped);
		if (v->state == RUN_RUNNING)
			assert_int_equal(current, 1);
		if (current)
			assert_int_not_equal(v->state, RUN_RUNNABLE);
		/* One that must go is told so. */
		if (v->on_cpu && (v->stopped || v->state == RUN_OFFLINE))
			assert_true(v->cpu->work & CPU_WORK_RESCHED);
		assert_int_equal(v->runstate.state, v->state == RUN_RUNNING || current ?
							    RUNSTATE_running :
						    v->state == RUN_RUNNABLE ? RUNSTATE_runnable :
						    v->state == RUN_BLOCKED  ? RUNSTATE_blocked :
									       RUNSTATE_offline);
	}
}

/* One round of a CPU's loop. True when it ran a guest. */
static bool step(unsigned c)
{
	struct vcpu *v;

	host_cpu = &cpu[c];
	clear_bit(c, idle_cpus);
	if (hardware[c] <= clock_now)
		host_cpu->work |= CPU_WORK_TIMER;
	while (host_cpu->work)
		do_work(host_cpu);
	v = schedule(host_cpu);
	if (v)
		run_current(host_cpu, v);
	else if (!waiting(c))
		set_bit(c, idle_cpus);
	check();
	return v;
}

static void settle(void)
{
	for (unsigned n = 0; n < 10; n++)
		for (unsigned c = 0; c < CPUS; c++)
			step(c);
}

/* As at its creation: before it runs. */
static void set_affinity(unsigned i, u64 mask)
{
	vcpu[i].affinity[0] = mask;
	vcpu[i].cpu = &cpu[__builtin_ctzl(mask)];
}

static int setup(void **state)
{
	(void)state;
	clock_now = 1000;
	memset(idle_cpus, 0, sizeof(idle_cpus));
	for (unsigned c = 0; c < CPUS; c++) {
		cpu[c] = (struct cpu){ .id = c, .node = c == 2 };
		cpus[c] = &cpu[c];
		hardware[c] = ~0UL;
		sched_init_cpu(&cpu[c]);
	}
	host_cpu = &cpu[0];
	for (unsigned i = 0; i < VCPUS; i++) {
		vcpu[i] = (struct vcpu){ .id = i, .domain = &dom, .cpu = &cpu[0] };
		vcpu[i].runstate.state = RUNSTATE_offline;
		vcpu[i].runstate.state_entry_time = clock_now;
		list_init(&vcpu[i].runq_link);
		memset(vcpu[i].affinity, 0xff, sizeof(vcpu[i].affinity));
		runs[i] = 0;
		has_work[i] = false;
	}
	settle();
	return 0;
}

static unsigned where(unsigned i)
{
	return vcpu[i].cpu->id;
}

static void test_life(void **state)
{
	struct vcpu *v = &vcpu[0];
	struct vcpu_runstate_info rs;

	(void)state;
	vcpu_wake(v); /* is off: nothing happens */
	assert_int_equal(v->state, RUN_OFFLINE);
	vcpu_up(v);
	assert_int_equal(v->state, RUN_RUNNABLE);
	clock_now += 10;
	assert_true(step(where(0)));
	assert_int_equal(v->state, RUN_RUNNING);
	vcpu_up(v);
	assert_int_equal(v->state, RUN_RUNNING);
	clock_now += 100;
	/* Sleeps, with its registers left in the CPU. */
	vcpu_block(v);
	assert_int_equal(v->state, RUN_BLOCKED);
	assert_false(step(where(0)));
	assert_true(v->on_cpu);
	clock_now += 1000;
	vcpu_wake(v);
	assert_true(step(where(0)));
	/* Work that waits already: it does not sleep. */
	has_work[0] = true;
	vcpu_block(v);
	assert_int_equal(v->state, RUN_RUNNING);
	has_work[0] = false;
	/* Woken on its way to sleep. */
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

/* HLT with interrupts off: only what it would take even so wakes it. */
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
	/* Taken down and started anew, its next sleep is not that one. */
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

/* Another vCPU takes it down while it is on its way to sleep. */
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

static void test_spread(void **state)
{
	(void)state;
	/* As many as there are CPUs, at once: one each, before any of the CPUs has looked. */
	for (unsigned i = 0; i < CPUS; i++)
		vcpu_up(&vcpu[i]);
	assert_true(where(0) != where(1) && where(1) != where(2) && where(0) != where(2));
	settle();
	/* One more waits; when a CPU has nothing to do any more it takes it. */
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

/* Two that share a CPU while another is idle: the idle one is told, and takes one of them. */
static void test_offer(void **state)
{
	(void)state;
	set_affinity(0, 3);
	set_affinity(1, 3);
	vcpu_up(&vcpu[0]);
	settle();
	assert_int_equal(where(0), 0);
	/* CPU 1 has looked for work in vain, and not yet said that it sleeps. */
	clear_bit(1, idle_cpus);
	vcpu_up(&vcpu[1]);
	set_bit(1, idle_cpus);
	assert_int_equal(waiting(0), 1);
	clock_now += opt.sched_slice * 1000UL;
	cpu[0].work |= CPU_WORK_RESCHED;
	cpu[1].work = 0;
	step(0); /* takes turns, and offers the other */
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

		/* Nothing happens in the middle of a slice. */
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
	/* Alone it has no timer at all. */
	for (unsigned i = 0; i < 4; i++)
		if (&vcpu[i] != cpu[0].current)
			vcpu_down(&vcpu[i]);
	clock_now += opt.sched_slice * 1000UL;
	step(0);
	clock_now += opt.sched_slice * 1000UL;
	step(0);
	assert_int_equal(hardware[0], ~0UL);
}

static void test_stop(void **state)
{
	struct vcpu *v = &vcpu[0], *w = &vcpu[1], *asleep = &vcpu[2];

	(void)state;
	/* On a queue: it never runs. */
	vcpu_up(v);
	vcpu_stop(v);
	assert_false(queued(v));
	settle();
	assert_int_equal(runs[0], 0);
	/* While it runs: it goes, and its registers with it. */
	vcpu_up(w);
	settle();
	assert_true(w->on_cpu);
	vcpu_stop(w);
	settle();
	assert_false(w->on_cpu);
	assert_int_equal(w->state, RUN_RUNNABLE);
	/* Asleep with its registers in a CPU; what would wake it does no more. */
	vcpu_up(asleep);
	settle();
	host_cpu = asleep->cpu;
	vcpu_block(asleep);
	settle();
	assert_true(asleep->on_cpu);
	vcpu_stop(asleep);
	vcpu_wake(asleep);
	settle();
	assert_false(asleep->on_cpu);
	/* Nor does its being taken down and up. */
	vcpu_down(w);
	vcpu_up(w);
	settle();
	assert_false(queued(v) || queued(w) || queued(asleep));
	assert_false(w->on_cpu);
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
	/* Others that may not run on the CPU that is idle wait all the same. */
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
	/* CPU 2 has nothing to do: it takes the one it may run. */
	host_cpu = &cpu[2];
	vcpu_block(&vcpu[2]);
	settle();
	assert_int_equal(where(4), 2);
	assert_int_equal(vcpu[4].state, RUN_RUNNING);
	assert_int_equal(where(3), 0);
}

/* Another CPU acts while this one has taken a vCPU from a queue and not yet made it current. */
static void test_stolen(void **state)
{
	struct vcpu *v = &vcpu[0];

	(void)state;
	for (unsigned act = 0; act < 4; act++) {
		setup(NULL);
		vcpu_up(v);
		assert_int_equal(where(0), 0);
		host_cpu = &cpu[1];
		assert_ptr_equal(steal(&cpu[1]), v);
		assert_ptr_equal(v->cpu, &cpu[1]);
		host_cpu = &cpu[2];
		vcpu_down(v);
		vcpu_up(v);
		switch (act) {
		case 1:
			vcpu_down(v);
			break;
		case 2:
			vcpu_stop(v);
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

static unsigned pick_random(unsigned n)
{
	return (unsigned)rand() % n;
}

static void random_op(void)
{
	struct cpu *c = &cpu[pick_random(CPUS)];
	struct vcpu *v = &vcpu[pick_random(VCPUS)];

	host_cpu = c;
	switch (pick_random(12)) {
	case 0:
	case 1:
		vcpu_wake(v);
		break;
	case 2:
	case 3:
		if (c->current) {
			has_work[c->current->id] = pick_random(4) == 0;
			vcpu_block(c->current);
		}
		break;
	case 4:
		if (!pick_random(200))
			vcpu_stop(v);
		break;
	case 6:
		vcpu_up(v);
		break;
	case 7:
		if (!pick_random(3))
			vcpu_down(v);
		break;
	case 5:
	case 8:
		vcpu_up(v);
		break;
	case 9:
		if (c->current)
			vcpu_yield(c->current);
		break;
	case 10:
		clock_now += pick_random(1500000);
		break;
	case 11:
		if (v->state == RUN_BLOCKED)
			v->halted = pick_random(2);
		break;
	}
	check();
}

/* Whoever can run does, and no CPU is idle while one that it may run waits. */
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
		if (vcpu[i].state >= RUN_RUNNABLE && !vcpu[i].stopped)
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
		}
		random_op();
		if (pick_random(2))
			step(pick_random(CPUS));
		if (n % 500 == 0)
			check_progress();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_life, setup),
		cmocka_unit_test_setup(test_halted, setup),
		cmocka_unit_test_setup(test_down_beats_block, setup),
		cmocka_unit_test_setup(test_spread, setup),
		cmocka_unit_test_setup(test_offer, setup),
		cmocka_unit_test_setup(test_round_robin, setup),
		cmocka_unit_test_setup(test_stop, setup),
		cmocka_unit_test_setup(test_affinity, setup),
		cmocka_unit_test_setup(test_stolen, setup),
		cmocka_unit_test_setup(test_random, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
