/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The share of the CPUs that a busy guest gets. On the command line, in thousandths: running= is
 * the least share of the time that each of its vCPUs must run, at_most= the most; together= is the
 * least share of that time in which its other vCPUs must run too; seconds= is the duration (3). A
 * guest with the control privilege first selects policy= (1 credit, 2 edf, 3 gang) and sets domain
 * N's weightN=, capN=, period_usN= and budget_usN=.
 */
#include "guest.h"

#include <public/margay.h>

#define SETTLE (NS_PER_S / 2)
#define MEASURE (cmdline_number("seconds", 3) * NS_PER_S)
#define MAX_DOMAIN 3

static const char *const policies[] = { "", "credit", "edf", "gang" };
static uint64_t running[MAX_CPUS], together[MAX_CPUS];

static struct margay_op op = { .interface = MARGAY_INTERFACE };

static void set(const char *policy, unsigned int domain, const char *name)
{
	char key[24];
	uint64_t value;

	snprintf(key, sizeof(key), "%s%u", name, domain);
	value = cmdline_number(key, ~0ul);
	if (value == ~0ul)
		return;
	memset(&op.u, 0, sizeof(op.u));
	op.cmd = MARGAY_POLICY_SET;
	memset(op.name, 0, sizeof(op.name));
	memcpy(op.name, policy, strlen(policy));
	op.u.set.domain = domain;
	memcpy(op.u.set.name, name, strlen(name));
	op.u.set.value = value;
	CHECK_RET(hypercall1(MARGAY_HYPERCALL, &op), 0);
}

static void control(const char *policy)
{
	static const char *const names[] = { "weight", "cap", "period_us", "budget_us" };

	for (unsigned int d = 1; d <= MAX_DOMAIN; d++)
		for (unsigned int i = 0; i < 4; i++)
			set(policy, d, names[i]);
	memset(&op.u, 0, sizeof(op.u));
	op.cmd = MARGAY_POLICY_SELECT;
	memcpy(op.name, policy, strlen(policy) + 1);
	op.u.select.point = MARGAY_POINT_SCHED;
	memset(op.u.select.cpus, 0xff, sizeof(op.u.select.cpus));
	CHECK_RET(hypercall1(MARGAY_HYPERCALL, &op), 0);
}

static struct vcpu_runstate_info runstate(unsigned int vcpu)
{
	struct vcpu_runstate_info rs;

	CHECK_RET(hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_get_runstate_info, vcpu, &rs), 0);
	return rs;
}

static void spin(uint64_t until)
{
	while (now_ns() < until)
		cpu_pause();
}

/* Spins to the end; counts per vCPU. */
static void measure(void)
{
	unsigned int id = this_cpu()->id, n = cpu_count();
	uint64_t now, end, ran, samples = 0, with = 0;

	spin(now_ns() + SETTLE);
	now = now_ns();
	end = now + MEASURE;
	ran = runstate(id).time[RUNSTATE_running];
	while (now_ns() < end) {
		unsigned int others = 0;

		for (unsigned int i = 0; i < 1000; i++)
			cpu_pause();
		for (unsigned int i = 0; i < n; i++)
			others += i != id && runstate(i).state == RUNSTATE_running;
		samples++;
		with += others == n - 1;
	}
	ran = runstate(id).time[RUNSTATE_running] - ran;
	running[id] = ran * 1000 / (now_ns() - now);
	together[id] = with * 1000 / samples;
	spin(end + SETTLE);
}

int main(void)
{
	uint64_t policy = cmdline_number("policy", 0), most = cmdline_number("at_most", 1001);

	CHECK(policy < 4, "policy %lu", policy);
	if (policy)
		control(policies[policy]);
	if (cpu_count() > 1)
		cpu_start_all(measure);
	measure();
	CHECK(WAIT_FOR(cpus_done() == cpu_count() - 1, 60 * NS_PER_S), "%u finished", cpus_done());
	for (unsigned int i = 0; i < cpu_count(); i++)
		printf("vCPU %u ran %lu of 1000, with all others %lu of 1000\n", i, running[i],
		       together[i]);
	for (unsigned int i = 0; i < cpu_count(); i++) {
		CHECK(running[i] >= cmdline_number("running", 0) && running[i] <= most,
		      "vCPU %u ran %lu of 1000", i, running[i]);
		CHECK(together[i] >= cmdline_number("together", 0),
		      "vCPU %u ran together with all others in %lu of 1000", i, together[i]);
	}
	pass();
}
