/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order in which a scheduler picks, seen by a guest whose vCPUs share one CPU. First vCPU 0 wakes the others one
 * after the other, again and again; then all are busy for seconds= (3). Prints the orders in which the woken ones ran,
 * and how long busy ones waited.
 */
#include "guest.h"

#define ROUNDS		50u
#define WOKEN		3u
#define IPI_VECTOR	0x61
#define NAP		(5 * NS_PER_MS)
#define SHORT_WAIT	(50 * NS_PER_MS)
#define LONG_WAIT	(300 * NS_PER_MS)

static unsigned int ran[WOKEN], nr_ran;
static volatile bool stop;
static uint64_t work[WOKEN + 1];
static unsigned int shorter, middle, longer;	/* numbers of waits */

static unsigned int nr_ran_now(void)
{
	return __atomic_load_n(&nr_ran, __ATOMIC_SEQ_CST);
}

static void on_ipi(struct trap_regs *regs)
{
	unsigned int n = __atomic_fetch_add(&nr_ran, 1, __ATOMIC_SEQ_CST);

	(void)regs;
	if (n < WOKEN)
		ran[n] = this_cpu()->id;
	lapic_eoi();
}

static void halt(void)
{
	lapic_enable();
	while (!stop)
		asm volatile("sti; hlt; cli" ::: "memory");
}

/* Blocks vCPU 0, so that the others run whatever the order. */
static void nap(void)
{
	struct sched_poll poll = { .timeout = now_ns() + NAP };

	CHECK_RET(sched_op(SCHEDOP_poll, &poll), 0);
}

static void wake_all(void)
{
	nr_ran = 0;
	for (unsigned int id = 1; id <= WOKEN; id++)
		lapic_icr(cpu_apic_id(id), ICR_FIXED | ICR_ASSERT | IPI_VECTOR);
	for (unsigned int i = 0; i < 1000 && nr_ran_now() < WOKEN; i++)
		nap();
	CHECK(nr_ran_now() == WOKEN, "%u of %u vCPUs ran", nr_ran_now(), WOKEN);
}

static void wakes(void)
{
	unsigned int first_first = 0, last_first = 0;

	lapic_enable();
	set_trap_handler(IPI_VECTOR, on_ipi);
	cpu_start_all(halt);
	nap();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		wake_all();
		nap();
		first_first += ran[0] == 1 && ran[1] == 2 && ran[2] == 3;
		last_first += ran[0] == 3 && ran[1] == 2 && ran[2] == 1;
	}
	stop = true;
	wake_all();
	CHECK(WAIT_FOR(cpus_done() == WOKEN, 10 * NS_PER_S), "%u of %u halted", cpus_done(), WOKEN);
	printf("woken 1 2 3: ran 1 2 3 in %u of %u rounds, 3 2 1 in %u\n", first_first, ROUNDS,
	       last_first);
}

/* Returns how long the calling vCPU has waited since its start. */
static uint64_t waited(void)
{
	struct vcpu_runstate_info rs;

	CHECK_RET(vcpu_op(VCPUOP_get_runstate_info, this_cpu()->id, &rs), 0);
	return rs.time[RUNSTATE_runnable];
}

static void count_wait(uint64_t ns)
{
	unsigned int *count = ns < SHORT_WAIT ? &shorter : ns < LONG_WAIT ? &middle : &longer;

	if (ns >= NS_PER_MS)
		__atomic_fetch_add(count, 1, __ATOMIC_SEQ_CST);
}

static void busy(void)
{
	uint64_t before, now, then, end;

	cpu_barrier(WOKEN + 1);
	before = waited();
	then = now_ns();
	end = then + cmdline_number("seconds", 3) * NS_PER_S;
	while ((now = now_ns()) < end) {
		work[this_cpu()->id]++;
		if (now - then >= NS_PER_MS) {
			uint64_t all = waited();

			count_wait(all - before);
			before = all;
		}
		then = now;
		for (int i = 0; i < 1000; i++)
			cpu_pause();
	}
}

int main(void)
{
	uint64_t least = ~0ul, most = 0;

	CHECK(cpu_count() == WOKEN + 1, "needs %u vCPUs", WOKEN + 1);
	wakes();
	cpu_start_all(busy);
	busy();
	CHECK(WAIT_FOR(cpus_done() == WOKEN, 10 * NS_PER_S), "%u of %u finished", cpus_done(),
	      WOKEN);
	for (unsigned int i = 0; i <= WOKEN; i++) {
		least = work[i] < least ? work[i] : least;
		most = work[i] > most ? work[i] : most;
	}
	printf("busy: %u waits below 50 ms, %u to 300 ms, %u longer\n", shorter, middle, longer);
	CHECK(least * 4 >= most, "one vCPU did %lu rounds, another %lu", least, most);
	pass();
}
