/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs common/sched.c itself in tests, on CPUs whose loops advance one iteration at a time. Checks
 * the invariants and performs random operations. One file of a program includes it after host.h.
 */
#ifndef TEST_UNIT_SCHED_BENCH_H
#define TEST_UNIT_SCHED_BENCH_H

#include "../../common/sched.c"

#define CPUS 3
#define VCPUS 9
#define DOMAINS 3

static struct cpu cpu[CPUS];
struct cpu *host_cpu, *cpus[MAX_CPUS];
unsigned nr_cpus = CPUS;
struct margay_options opt = { .sched_slice = 1000 };
static struct domain dom;
static struct vcpu vcpu[VCPUS];
static bool has_work[VCPUS];
static stime_t clock_now;
static stime_t hardware[CPUS];
struct cpu *housekeeping_cpu = &cpu[0];
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
static stime_t relaxes; /* the test expects waiting; each wait takes this long */
static bool yielding; /* a yield for which no vCPU waits pauses */
void cpu_relax(void)
{
	if (yielding)
		return;
	if (!relaxes)
		fail_msg("waits for ever");
	clock_now += relaxes;
}
void quiesce_here(void)
{
}
void isolate_here(void)
{
}
static void __unused yield(struct vcpu *v)
{
	yielding = true;
	vcpu_yield(v);
	yielding = false;
}

static char works[16];		/* a letter for each work done */
static unsigned console_again;	/* how often the consoles' work raises both again */
static void worked(char letter)
{
	size_t n = strlen(works);

	if (n < sizeof(works) - 1)
		memcpy(works + n, (char[]){ letter, 0 }, 2);
}

void console_work(void)
{
	worked('c');
	if (console_again && console_again--)
		host_cpu->work |= CPU_WORK_CONSOLE | CPU_WORK_GUESTS;
}
void arch_report_errors(void) {}

void boot_guests_work(void)
{
	worked('g');
}
void vcpu_timers_follow(struct vcpu *v)
{
	v->moved = false;
}

void vcpu_timers_resume(struct vcpu *v)
{
	v->slow_tick = false;
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
	assert_int_equal(work & (work - 1), 0);
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

/* Enters the guest on this CPU. */
void arch_vcpu_run(struct vcpu *v)
{
	assert_ptr_equal(host_cpu->current, v);
	assert_ptr_equal(host_cpu->loaded, v);
	assert_int_equal(v->state, RUN_RUNNING);
	assert_false(v->holds);
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
		assert_true(may_run_on(v, v->cpu) || v->cpu->work & CPU_WORK_EXPEL);
		assert_int_equal(queues, queued_on(v->cpu, v));
		assert_int_equal(current, v->cpu->current == v);
		assert_int_equal(loaded, v->on_cpu);
		assert_int_equal(loaded, v->cpu->loaded == v);
		/* A vCPU that can run is on exactly one queue; one that cannot run is on none. */
		assert_int_equal(queues, v->state == RUN_RUNNABLE && !v->holds);
		if (v->state == RUN_RUNNING)
			assert_int_equal(current, 1);
		if (current)
			assert_int_not_equal(v->state, RUN_RUNNABLE);
		/* A vCPU that must leave its CPU has been told so. */
		if (v->on_cpu && (v->holds || v->state == RUN_OFFLINE))
			assert_true(v->cpu->work & CPU_WORK_RESCHED);
		assert_int_equal(v->runstate.state,
				 v->state == RUN_RUNNING || current ? RUNSTATE_running :
				 v->state == RUN_RUNNABLE           ? v->holds ? RUNSTATE_offline :
										 RUNSTATE_runnable :
				 v->state == RUN_BLOCKED            ? RUNSTATE_blocked :
								      RUNSTATE_offline);
	}
}

/* Runs one iteration of a CPU's loop. Returns true if it ran a guest. */
static bool step(unsigned c)
{
	struct vcpu *v;

	host_cpu = &cpu[c];
	cpu_set_remove(&idle_cpus, c);
	if (hardware[c] <= clock_now) {
		hardware[c] = ~0UL;
		host_cpu->work |= CPU_WORK_TIMER;
	}
	while (host_cpu->work)
		do_work(host_cpu);
	v = schedule(host_cpu);
	if (v)
		run_current(host_cpu, v);
	else if (!waiting(c))
		cpu_set_add(&idle_cpus, c);
	if (!v)
		ask_displaced();
	check();
	return v;
}

static void settle(void)
{
	for (unsigned n = 0; n < 10; n++)
		for (unsigned c = 0; c < CPUS; c++)
			step(c);
}

/* Sets the affinity as at creation, before the vCPU runs. */
static void set_affinity(unsigned i, u64 mask)
{
	vcpu[i].affinity.bits[0] = vcpu[i].allowed.bits[0] = mask;
	assign_cpu(&vcpu[i], &cpu[__builtin_ctzl(mask)]);
}

static int setup(void **state)
{
	(void)state;
	clock_now = 1000;
	memset(&idle_cpus, 0, sizeof(idle_cpus));
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
		vcpu[i].view = (struct policy_vcpu){ .domain = (u16)(i % DOMAINS + 1),
						     .slot = i % DOMAINS,
						     .id = i / DOMAINS,
						     .nr_vcpus = VCPUS / DOMAINS,
						     .affinity = vcpu[i].allowed.bits };
		list_init(&vcpu[i].runq_link);
		cpu_set_fill(&vcpu[i].affinity);
		cpu_set_fill(&vcpu[i].allowed);
		cpu_set_fill(&vcpu[i].soft_affinity);
		runs[i] = 0;
		has_work[i] = false;
	}
	settle();
	return 0;
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
			vcpu_hold(v, 1);
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
			yield(c->current);
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

#endif
