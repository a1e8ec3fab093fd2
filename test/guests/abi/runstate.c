/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: runstate by hypercall and in registered areas. The times add up to the elapsed time,
 * and vCPUs see each other's state.
 */
#include "guest.h"

#define SLEEP	(30 * NS_PER_MS)

static struct vcpu_runstate_info area, two[2];

static uint64_t total(const struct vcpu_runstate_info *r)
{
	return r->time[0] + r->time[1] + r->time[2] + r->time[3];
}

static void get(unsigned int vcpu, struct vcpu_runstate_info *r)
{
	CHECK_RET(vcpu_op(VCPUOP_get_runstate_info, vcpu, r), 0);
}

static void nap(void)
{
	struct sched_poll p = { .timeout = now_ns() + SLEEP };

	CHECK_RET(sched_op(SCHEDOP_poll, &p), 0);
}

#define CPUS 4

static struct vcpu_runstate_info areas[CPUS];
static volatile bool stop;

static void spin(void)
{
	while (!stop)
		cpu_pause();
	/* Not HLT with interrupts off, which ends the vCPU on Xen. */
	for (;;)
		sched_op(SCHEDOP_block, NULL);
}

static bool any_runs(unsigned int n)
{
	bool any = false;

	for (unsigned int i = 1; i < n; i++)
		any |= READ_ONCE(areas[i].state) == RUNSTATE_running;
	return any;
}

/*
 * Checks the areas of the other vCPUs: first more of them spin than there are CPUs, then all sleep.
 */
static void check_others(void)
{
	struct vcpu_register_runstate_memory_area reg;
	unsigned int n = cpu_count() < CPUS ? cpu_count() : CPUS;

	for (unsigned int i = 1; i < n; i++) {
		cpu_start(i, spin);
		reg.addr.v = &areas[i];
		CHECK_RET(vcpu_op(VCPUOP_register_runstate_memory_area, i, &reg), 0);
	}
	for (unsigned int i = 1; i < n; i++)
		CHECK(WAIT_FOR(READ_ONCE(areas[i].state) == RUNSTATE_runnable, 5 * NS_PER_S),
		      "vCPU %u, preempted, has state %d", i, areas[i].state);
	CHECK(WAIT_FOR(any_runs(n), 5 * NS_PER_S), "no other vCPU is seen running");
	stop = true;
	for (unsigned int i = 1; i < n; i++)
		CHECK(WAIT_FOR(READ_ONCE(areas[i].state) == RUNSTATE_blocked, 5 * NS_PER_S),
		      "vCPU %u, asleep, has state %d", i, areas[i].state);
}

int main(void)
{
	struct vcpu_register_runstate_memory_area reg = { .addr.v = &area };
	uint64_t t[4], blocked;

	t[0] = now_ns();
	get(0, &two[0]);
	t[1] = now_ns();
	nap();
	t[2] = now_ns();
	get(0, &two[1]);
	t[3] = now_ns();
	CHECK(two[0].state == RUNSTATE_running && two[1].state == RUNSTATE_running, "states %d, %d",
	      two[0].state, two[1].state);
	CHECK(total(&two[1]) - total(&two[0]) >= t[2] - t[1] &&
		      total(&two[1]) - total(&two[0]) <= t[3] - t[0],
	      "%lu ns in all states together, while %lu to %lu passed",
	      total(&two[1]) - total(&two[0]), t[2] - t[1], t[3] - t[0]);
	blocked = two[1].time[RUNSTATE_blocked] - two[0].time[RUNSTATE_blocked];
	CHECK(blocked > SLEEP / 2 && blocked <= t[2] - t[1], "%lu ns blocked in a sleep of %lu",
	      blocked, t[2] - t[1]);
	CHECK(two[1].time[RUNSTATE_running] >= two[0].time[RUNSTATE_running], "running time fell");

	CHECK_RET(vm_assist(VMASST_CMD_enable, VMASST_TYPE_runstate_update_flag), 0);
	CHECK_RET(vcpu_op(VCPUOP_register_runstate_memory_area, 0, &reg), 0);
	nap();
	CHECK(area.state == RUNSTATE_running, "state %d in the area", area.state);
	CHECK(!(area.state_entry_time & XEN_RUNSTATE_UPDATE), "update flag left set");
	CHECK(area.state_entry_time > t[3] && area.state_entry_time <= now_ns(),
	      "entry time %lu, now %lu", area.state_entry_time, now_ns());
	CHECK(area.time[RUNSTATE_blocked] >= two[1].time[RUNSTATE_blocked] + SLEEP / 2,
	      "area shows no blocked time");
	get(0, &two[0]);
	CHECK(two[0].time[RUNSTATE_blocked] == area.time[RUNSTATE_blocked],
	      "blocked %lu by hypercall, %lu in the area", two[0].time[RUNSTATE_blocked],
	      area.time[RUNSTATE_blocked]);

	CHECK_RET(vcpu_op(VCPUOP_get_runstate_info, 4096, &two[0]), -XEN_ENOENT);
	CHECK_RET(vcpu_op(VCPUOP_get_runstate_info, 0, (void *)0x7f0000000000), -XEN_EFAULT);
	if (cpu_count() > 1) {
		get(1, &two[0]);
		CHECK(two[0].state == RUNSTATE_offline, "vCPU 1, never started, has state %d",
		      two[0].state);
	}
	check_others();
	pass();
}
