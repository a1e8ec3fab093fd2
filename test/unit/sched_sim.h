/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A simulated machine for scheduling policies: CPUs, vCPUs that are always busy or alternate with
 * sleep, and a core that follows the policy's decisions and checks each answer. Time is simulated.
 * Defined in sched_sim.c.
 */
#ifndef TEST_UNIT_SCHED_SIM_H
#define TEST_UNIT_SCHED_SIM_H

#include <public/policy.h>

#define SIM_CPUS 8
#define SIM_VCPUS 64
#define MS 1000000UL
#define S 1000000000UL

struct sim_vcpu {
	struct policy_vcpu view;
	u64 affinity[POLICY_MAX_CPUS / 64];
	enum { SIM_ABSENT, SIM_ASLEEP, SIM_QUEUED, SIM_RUNNING } state;
	u64 busy, sleep;	/* ns, in turn; sleep 0 means always busy */
	u64 left;		/* ns left of the current busy phase */
	u64 wakes;		/* wake-up time while asleep */
	u64 ran, longest_wait, picks;
	u64 turn;		/* order in which vCPUs began to wait */
};

struct sim_cpu {
	struct policy_cpu view;
	struct sim_vcpu *current;
	u64 began, until;	/* start and end of the run, or when to ask again */
	bool resched;
};

struct sim {
	const struct policy_module *policy;
	u32 nr_cpus, nr_vcpus;
	u64 now, late;		/* late: greatest delay of a timer interrupt, ns */
	u64 picks;
	bool goes_on;	/* sim_run() leaves running vCPUs on their CPUs */
	struct sim_cpu cpu[SIM_CPUS];
	struct sim_vcpu vcpu[SIM_VCPUS];
	void (*watch)(u64 from, u64 to);	/* called between events; nothing changes there */
};
extern struct sim sim;

void sim_init(const struct policy_module *policy, u32 nr_cpus);
/* Adds a domain. Its vCPUs sleep until `at`, each on CPU id % nr_cpus. Returns the first vCPU. */
struct sim_vcpu *sim_domain(u16 slot, u32 nr_vcpus, u64 busy, u64 sleep, u64 at);
void sim_run(u64 until);
/* Returns the time that all vCPUs of a domain ran, ns. */
u64 sim_ran(u16 slot);
void sim_forget(void);	/* clears the recorded run and wait times */
void sim_move(struct sim_vcpu *v, u32 cpu);
void sim_swap(u32 cpu, const struct policy_module *policy);
u64 sim_random(u64 below);
void sim_seed(u64 seed);

#endif
