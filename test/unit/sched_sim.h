/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A simulated machine for scheduling policies: CPUs, vCPUs that are busy or sleep now and then, and a
 * core that does what the policy decides and checks each answer. Time is the simulation's. sched_sim.c
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
	u64 busy, sleep;	/* ns it runs and sleeps in turn; no sleep: it is always busy */
	u64 left;		/* of the present turn of being busy */
	u64 wakes;		/* when, asleep */
	u64 ran, longest_wait, picks;
	u64 turn;		/* in the order of all that ever came to wait */
};

struct sim_cpu {
	struct policy_cpu view;
	struct sim_vcpu *current;
	u64 began, until;	/* of the run; or until when to ask again */
	bool resched;
};

struct sim {
	const struct policy_module *policy;
	u32 nr_cpus, nr_vcpus;
	u64 now, late;		/* timers interrupt up to that many ns late */
	u64 picks;
	bool goes_on;	/* sim_run() leaves those that run where they are */
	struct sim_cpu cpu[SIM_CPUS];
	struct sim_vcpu vcpu[SIM_VCPUS];
	void (*watch)(u64 from, u64 to);	/* between two events, in which nothing changes */
};
extern struct sim sim;

void sim_init(const struct policy_module *policy, u32 nr_cpus);
/* A domain of so many vCPUs, each asleep until it wakes at `at`, on CPU id % nr_cpus. Its first vCPU. */
struct sim_vcpu *sim_domain(u16 slot, u32 nr_vcpus, u64 busy, u64 sleep, u64 at);
void sim_run(u64 until);
/* What all vCPUs of a domain ran. */
u64 sim_ran(u16 slot);
void sim_forget(void);	/* what was run and waited until now */
void sim_move(struct sim_vcpu *v, u32 cpu);
void sim_swap(u32 cpu, const struct policy_module *policy);
u64 sim_random(u64 below);
void sim_seed(u64 seed);

#endif
