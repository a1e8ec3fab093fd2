/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers: their order against a model, re-arming, moves between CPUs, and the hardware's setting.
 * Includes the source file itself, to see the heaps.
 */
#include "host.h"

#include <margay/vcpu.h>

#include "../../common/timer.c"

#define TIMERS 200
#define CPUS 3

static struct cpu cpu[CPUS];
struct cpu *host_cpu, *housekeeping_cpu = &cpu[0];
static unsigned raised;
static stime_t clock_now;
static stime_t hardware[CPUS];
static void (*relax)(void);

stime_t now(void)
{
	return clock_now;
}

void arch_timer_program(stime_t at)
{
	hardware[host_cpu - cpu] = at;
}

void cpu_raise(struct cpu *c, u32 work)
{
	assert_ptr_equal(c, housekeeping_cpu);
	assert_int_equal(work, CPU_WORK_TIMER);
	raised++;
}

/* The other CPU's work while this one waits. */
void cpu_relax(void)
{
	if (!relax)
		fail_msg("waits for ever");
	relax();
}

static struct model {
	struct timer t;
	bool armed;
	stime_t at;
	unsigned cpu;
	unsigned fired;
	stime_t again; /* the function re-arms its timer this much later */
} model[TIMERS];
static stime_t last_fired;

static void fn(struct timer *t)
{
	struct model *m = container_of(t, struct model, t);

	assert_false(timer_armed(t));
	assert_true(m->armed);
	assert_true(m->at <= clock_now);
	assert_true(m->at >= last_fired); /* in order */
	assert_int_equal(m->cpu, host_cpu - cpu);
	assert_false(spin_is_locked(&host_cpu->timers.lock));
	last_fired = m->at;
	m->armed = false;
	m->fired++;
	if (m->again) {
		m->at = clock_now + m->again;
		m->armed = true;
		timer_set(t, m->at);
	}
}

static int setup(void **state)
{
	(void)state;
	clock_now = 1000;
	last_fired = 0;
	relax = NULL;
	for (unsigned i = 0; i < CPUS; i++) {
		cpu[i] = (struct cpu){ .id = i };
		timers_init_cpu(&cpu[i].timers);
		hardware[i] = ~0UL;
	}
	host_cpu = &cpu[0];
	for (unsigned i = 0; i < TIMERS; i++) {
		model[i] = (struct model){ 0 };
		timer_init(&model[i].t, fn);
	}
	return 0;
}

static void set(unsigned i, stime_t at)
{
	model[i].armed = true;
	model[i].at = at;
	model[i].cpu = (unsigned)(host_cpu - cpu);
	timer_set(&model[i].t, at);
}

static void stop(unsigned i)
{
	model[i].armed = false;
	timer_stop(&model[i].t);
}

static stime_t first_of(unsigned c)
{
	stime_t first = ~0UL;

	for (unsigned i = 0; i < TIMERS; i++)
		if (model[i].armed && model[i].cpu == c)
			first = min(first, model[i].at);
	return first;
}

static unsigned rank_of(const struct timer *t)
{
	return t ? t->rank : 0;
}

/* Checks t and all timers below it. */
static void check_heap(unsigned c, const struct timer *t, const struct timer *up)
{
	if (!t)
		return;
	assert_true(!up || t->expires >= up->expires);
	assert_ptr_equal(t->cpu, &cpu[c]);
	assert_ptr_equal(t->up, up);
	assert_true(rank_of(t->left) >= rank_of(t->right));
	assert_int_equal(t->rank, rank_of(t->right) + 1);
	check_heap(c, t->left, t);
	check_heap(c, t->right, t);
}

static void check(void)
{
	for (unsigned i = 0; i < TIMERS; i++)
		assert_int_equal(timer_armed(&model[i].t), model[i].armed);
	for (unsigned c = 0; c < CPUS; c++) {
		const struct timer *t = cpu[c].timers.first;

		check_heap(c, t, NULL);
		assert_int_equal(t ? t->expires : ~0UL, first_of(c));
		/* Never late; an early interrupt finds nothing due. */
		assert_true(hardware[c] <= first_of(c));
	}
}

/* The hardware fires once, when it expires. */
static void look(void)
{
	stime_t *h = &hardware[host_cpu - cpu];

	if (*h <= clock_now)
		*h = ~0UL;
	timers_run(NULL);
}

static void run(unsigned c)
{
	host_cpu = &cpu[c];
	last_fired = 0;
	look();
	for (unsigned i = 0; i < TIMERS; i++)
		if (model[i].cpu == c && !model[i].again)
			assert_false(model[i].armed && model[i].at <= clock_now);
	/*
	 * Without a timer the hardware may stay armed for later: the interrupt then finds none due.
	 */
	if (first_of(c) != ~0UL)
		assert_int_equal(hardware[c], first_of(c));
	else
		assert_true(hardware[c] > clock_now);
}

static void test_basics(void **state)
{
	(void)state;
	run(0);
	assert_int_equal(hardware[0], ~0UL);
	set(0, 5000);
	assert_int_equal(hardware[0], 5000);
	set(1, 3000);
	assert_int_equal(hardware[0], 3000);
	set(2, 4000);
	set(1, 6000); /* later than before */
	check();
	clock_now = 4500;
	run(0);
	assert_int_equal(model[2].fired, 1);
	assert_int_equal(hardware[0], 5000);
	stop(0);
	stop(0);
	clock_now = 10000;
	run(0);
	assert_int_equal(model[0].fired, 0);
	assert_int_equal(model[1].fired, 1);
	/* An expiry in the past fires at the CPU's next look. */
	set(3, 1);
	assert_int_equal(hardware[0], 1);
	run(0);
	assert_int_equal(model[3].fired, 1);
	timer_stop(&model[4].t); /* never armed */
	check();
}

static void test_periodic(void **state)
{
	(void)state;
	set(0, 1010);
	model[0].again = 10;
	for (unsigned i = 0; i < 50; i++) {
		clock_now += 10;
		run(0);
	}
	assert_int_equal(model[0].fired, 50);
	/* Missed ticks are dropped, and a short period does not keep the CPU in the loop. */
	clock_now += 100000;
	run(0);
	assert_int_equal(model[0].fired, 51);
	model[0].again = 0;
	stop(0);
	check();
}

static void past(struct timer *t)
{
	struct model *m = container_of(t, struct model, t);

	m->fired++;
	clock_now += 100; /* slow, so that it is due again at once */
	timer_set(t, clock_now - 50);
}

static void test_no_endless_run(void **state)
{
	(void)state;
	timer_init(&model[0].t, past);
	timer_set(&model[0].t, clock_now);
	timers_run(NULL);
	assert_int_equal(model[0].fired, 1);
	assert_true(hardware[0] <= clock_now); /* the hardware fires again at once */
	timers_run(NULL);
	assert_int_equal(model[0].fired, 2);
}

static void slow(struct timer *t)
{
	(void)t;
	clock_now += TIMERS_LONG_NS / 8 + 1;
}

/* Work for other vCPUs than the running one is reported, and ends after some time. */
static void test_owner(void **state)
{
	static struct vcpu me, it;
	unsigned ran = 0;

	(void)state;
	timer_init(&model[0].t, slow);
	timer_set(&model[0].t, clock_now);
	assert_false(timers_run(&me));
	model[0].t.owner = &me;
	timer_set(&model[0].t, clock_now);
	assert_false(timers_run(&me));
	timer_set(&model[0].t, clock_now);
	assert_true(timers_run(&it));
	timer_set(&model[0].t, clock_now);
	assert_true(timers_run(NULL));
	for (unsigned i = 0; i < 16; i++) {
		timer_init(&model[i].t, slow);
		timer_set(&model[i].t, clock_now);
	}
	timers_run(NULL);
	for (unsigned i = 0; i < 16; i++)
		ran += !timer_armed(&model[i].t);
	assert_int_equal(ran, 8);
	timers_run(NULL);
	assert_null(cpu[0].timers.first);
}

#define MANY (4 * 1024U)

static struct timer many[MANY], old[MANY];

/* Returns how many timers' places in the heap differ from those in old[]. */
static unsigned moved(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < MANY; i++)
		n += memcmp(&many[i], &old[i], offsetof(struct timer, expires)) != 0;
	return n;
}

/* In which order timers were armed sets the shape of the heap. Guests choose it. */
static stime_t expiry(unsigned order, unsigned i)
{
	switch (order) {
	case 0:
		return 1000 + i;
	case 1:
		return 1000 + MANY - i;
	case 2:	/* outside in */
		return 1000 + (i & 1 ? i : 2 * MANY - i);
	default:
		return 1000 + (i * 2654435761U >> 8) % MANY;
	}
}

/*
 * To arm or remove one of 4,096 timers, all timers of a guest with 1,024 vCPUs, changes at most a
 * few times the logarithm of their number, in whatever order the guest arms and stops them.
 */
static void test_bounded(void **state)
{
	unsigned most = 0;

	(void)state;
	for (unsigned order = 0; order < 4; order++) {
		for (unsigned i = 0; i < MANY; i++) {
			timer_init(&many[i], slow);
			timer_set(&many[i], expiry(order, i));
		}
		for (unsigned n = 0; n < MANY; n++) {
			/* The first one, then one from the middle, and so on. */
			struct timer *t = cpu[0].timers.first;

			if (order & 1 && n & 1)
				t = t->left ? t->left : t;
			if (n > 512) {
				timer_stop(t);
				continue;
			}
			memcpy(old, many, sizeof(many));
			timer_stop(t);
			most = max(most, moved());
			if (n & 2)
				continue;
			memcpy(old, many, sizeof(many));
			timer_set(t, expiry(order, n) + MANY / 2);
			most = max(most, moved());
		}
		check_heap(0, cpu[0].timers.first, NULL);
		while (cpu[0].timers.first)
			timer_stop(cpu[0].timers.first);
	}
	print_message("at most %u of %u timers change\n", most, MANY);
	assert_true(most && most <= 3 * 12);
}

/* Another CPU arms or stops a timer: it moves, or leaves the other's heap. */
static void test_move(void **state)
{
	(void)state;
	set(0, 5000);
	set(1, 6000);
	host_cpu = &cpu[1];
	set(0, 5500);
	assert_int_equal(hardware[1], 5500);
	check();
	host_cpu = &cpu[2];
	stop(1);
	check();
	clock_now = 7000;
	run(0);
	assert_int_equal(model[0].fired, 0);
	run(1);
	assert_int_equal(model[0].fired, 1);
	run(2);
	check();
}

/* While a timer's function runs on CPU 0, CPU 1 arms or stops the timer. */
static enum { SETS, STOPS } other;
static bool finish;
static unsigned waits;

static void other_cpu(struct timer *t)
{
	struct model *m = container_of(t, struct model, t);

	m->fired++;
	host_cpu = &cpu[1];
	if (other == SETS) {
		timer_set(t, 9000);
		m->armed = true;
		m->at = 9000;
		assert_int_equal(hardware[1], ~0UL);
	} else {
		/* It has re-armed itself before the other CPU stops it. */
		host_cpu = &cpu[0];
		timer_set(t, 8000);
		host_cpu = &cpu[1];
		timer_stop(t);
		assert_true(waits);
		assert_false(timer_armed(t));
	}
	host_cpu = &cpu[0];
}

/* The function on CPU 0 ends after it has re-armed its timer. */
static void relax_end(void)
{
	waits++;
	if (!finish) {
		host_cpu = &cpu[0];
		timer_set(&model[0].t, 8500);
		host_cpu = &cpu[1];
		finish = true;
	}
	cpu[0].timers.running = NULL;
}

static void test_while_running(void **state)
{
	(void)state;
	timer_init(&model[0].t, other_cpu);
	other = SETS;
	set(0, 1000);
	model[0].armed = false;
	timers_run(NULL);
	/* It stays where its function ran, and that CPU has armed its hardware. */
	assert_ptr_equal(model[0].t.cpu, &cpu[0]);
	assert_int_equal(hardware[0], 9000);
	assert_null(cpu[1].timers.first);
	check();

	other = STOPS;
	relax = relax_end;
	set(0, 1000);
	model[0].armed = false;
	timers_run(NULL);
	assert_true(finish);
	check();
	assert_null(cpu[0].timers.first);
}

static void test_random(void **state)
{
	(void)state;
	srand(1);
	for (unsigned n = 0; n < 200000; n++) {
		unsigned i = (unsigned)rand() % TIMERS;

		host_cpu = &cpu[rand() % CPUS];
		switch (rand() % 8) {
		case 0:
			stop(i);
			break;
		case 1:
			clock_now += (stime_t)rand() % 50;
			run((unsigned)rand() % CPUS);
			break;
		case 2:
			model[i].again = rand() % 3 ? 0 : 1 + (stime_t)rand() % 100;
			break;
		default:
			/* A narrow range, so that equal expiries occur. */
			set(i, clock_now + (stime_t)rand() % 300);
		}
		if (n % 64 == 0)
			check();
	}
	for (unsigned i = 0; i < TIMERS; i++) {
		model[i].again = 0;
		if (i % 2)
			stop(i);
	}
	clock_now += 1000;
	for (unsigned c = 0; c < CPUS; c++) {
		run(c);
		assert_null(cpu[c].timers.first);
	}
}

/* An armed timer follows its vCPU to another CPU and fires once. */
static void test_follow(void **state)
{
	(void)state;
	set(0, 5000);
	host_cpu = &cpu[1];
	timer_follow(&model[0].t);
	timer_follow(&model[0].t);
	timer_follow(&model[1].t);
	assert_ptr_equal(model[0].t.cpu, &cpu[1]);
	assert_int_equal(hardware[1], 5000);
	assert_false(timer_armed(&model[1].t));
	model[0].cpu = 1;
	clock_now = 5000;
	run(0);
	assert_int_equal(model[0].fired, 0);
	run(1);
	assert_int_equal(model[0].fired, 1);
	host_cpu = &cpu[2];
	timer_follow(&model[0].t);
	assert_false(timer_armed(&model[0].t));
}

/* Armed in any order, some removed and re-armed: they fire in order, equal ones as armed. */
static unsigned order[TIMERS], fired;

static void note(struct timer *t)
{
	order[fired++] = (unsigned)(container_of(t, struct model, t) - model);
}

static void test_order(void **state)
{
	(void)state;
	for (unsigned i = 0; i < TIMERS; i++) {
		timer_init(&model[i].t, note);
		timer_set(&model[i].t, 2000 + i * 79 % TIMERS / 2);
	}
	for (unsigned i = 0; i < TIMERS; i += 3)
		timer_stop(&model[i].t);
	for (unsigned i = 0; i < TIMERS; i += 3)
		timer_set(&model[i].t, 2000 + i * 79 % TIMERS / 2);
	clock_now = 2000 + TIMERS;
	/* A few at a time; between them the CPU continues its other work. */
	for (fired = 0; fired < TIMERS;) {
		unsigned before = fired;

		look();
		assert_int_equal(fired, min(before + TIMERS_AT_ONCE, (unsigned)TIMERS));
		if (fired < TIMERS)
			assert_int_equal(hardware[0], clock_now + TIMERS_PAUSE_NS);
	}
	for (unsigned i = 1; i < TIMERS; i++)
		assert_true(model[order[i]].t.expires >= model[order[i - 1]].t.expires);
	assert_int_equal(cpu[0].timers.programmed, ~0UL);
}

/* Timers that may fire early wake an idle CPU early enough; others do not. */
static void test_early(void **state)
{
	(void)state;
	cpu[0].timers.ahead = 400;
	for (unsigned i = 0; i < 4; i++)
		timer_init(&model[i].t, note);
	model[1].t.early = model[3].t.early = true;
	fired = 0;
	timer_set(&model[0].t, 5000);
	timer_set(&model[1].t, 6000);
	timers_idle();
	assert_int_equal(hardware[0], 5000);
	clock_now = 4950;
	look();
	assert_int_equal(fired, 0);
	clock_now = 5000;
	look();
	assert_int_equal(fired, 1);
	/* The exit's latency is subtracted in any case. */
	assert_int_equal(hardware[0], 6000 - TIMER_EXIT_NS);
	timers_idle();
	assert_int_equal(hardware[0], 5600);
	timers_idle();
	assert_int_equal(hardware[0], 5600);
	clock_now = 5599;
	look();
	assert_int_equal(fired, 1);
	assert_int_equal(hardware[0], 6000 - TIMER_EXIT_NS);
	clock_now = 5600;
	look();
	assert_int_equal(fired, 2);
	assert_int_equal(order[1], 1);
	timer_set(&model[1].t, 6900);
	assert_int_equal(hardware[0], 6900 - TIMER_EXIT_NS);
	timer_stop(&model[1].t);
	hardware[0] = ~0UL;
	look();
	/* Not before time 0, and not after a timer that may not fire early. */
	timer_set(&model[3].t, 50);
	timers_idle();
	assert_int_equal(hardware[0], 50);
	look();
	timer_set(&model[2].t, 6050);
	timer_set(&model[3].t, 6260);
	timers_idle();
	assert_int_equal(hardware[0], 6050);
	clock_now = 6000;
	look();
	assert_int_equal(fired, 3);
	clock_now = 6050;
	look();
	assert_int_equal(fired, 5);
}

/* The timers of a CPU that becomes isolated go to the housekeeping CPU, and so do new ones. */
static void test_isolated(void **state)
{
	(void)state;
	set(0, 9000);
	host_cpu = &cpu[1];
	for (unsigned i = 1; i < 20; i++)
		set(i, 5000 + 100 * i);
	cpu[1].isolated = true;
	raised = 0;
	timers_leave();
	for (unsigned i = 1; i < 20; i++)
		model[i].cpu = 0;
	check_heap(0, cpu[0].timers.first, NULL);
	assert_null(cpu[1].timers.first);
	assert_true(raised);

	raised = 0;
	hardware[1] = ~0UL;
	model[20].armed = true;
	model[20].at = 4000;
	timer_set(&model[20].t, 4000);
	assert_ptr_equal(cpu[0].timers.first, &model[20].t);
	assert_int_equal(raised, 1);
	assert_int_equal(hardware[1], ~0UL);
	stop(5);
	timer_follow(&model[6].t);
	check_heap(0, cpu[0].timers.first, NULL);

	host_cpu = &cpu[0];
	clock_now = 10000;
	timers_run(NULL);
	for (unsigned i = 0; i <= 20; i++)
		assert_int_equal(model[i].fired, i != 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_basics, setup),
		cmocka_unit_test_setup(test_periodic, setup),
		cmocka_unit_test_setup(test_no_endless_run, setup),
		cmocka_unit_test_setup(test_owner, setup),
		cmocka_unit_test_setup(test_bounded, setup),
		cmocka_unit_test_setup(test_move, setup),
		cmocka_unit_test_setup(test_follow, setup),
		cmocka_unit_test_setup(test_isolated, setup),
		cmocka_unit_test_setup(test_while_running, setup),
		cmocka_unit_test_setup(test_random, setup),
		cmocka_unit_test_setup(test_order, setup),
		cmocka_unit_test_setup(test_early, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
