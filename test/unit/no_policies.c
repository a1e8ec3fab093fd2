/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of code that calls policies: no module is selected on any CPU. */
#include <margay/arch.h>
#include <margay/policy_registry.h>

void pages_idle(struct cpu *c __unused, stime_t at __unused)
{
}

void policy_enqueue(struct cpu *c __unused, struct vcpu *v __unused, enum policy_why why __unused)
{
}
void policy_dequeue(struct cpu *c __unused, struct vcpu *v __unused)
{
}
void policy_do_charge(struct policy *p __unused, struct cpu *c __unused, struct vcpu *v __unused)
{
}
void policy_idle(struct cpu *c __unused, u64 slept __unused)
{
}

bool policy_preempts(struct cpu *c __unused, struct vcpu *v __unused)
{
	return false;
}

struct vcpu *policy_pick(struct cpu *c __unused, u64 *slice __unused)
{
	return NULL;
}

struct cpu *policy_do_place(struct policy *p __unused, struct vcpu *v __unused,
			    const struct cpu_set *idle __unused)
{
	return NULL;
}

void policy_observe(struct vcpu *v __unused) {}

bool policy_exit(struct vcpu *v __unused)
{
	return false;
}

u8 policy_node(u64 mem __unused, unsigned vcpus __unused, u8 own)
{
	return own;
}

long do_domctl(struct vcpu *v __unused, struct regs *h __unused);
long do_domctl(struct vcpu *v __unused, struct regs *h __unused)
{
	return -ENOSYS;
}

long do_margay_op(struct vcpu *v __unused, struct regs *h __unused);
long do_margay_op(struct vcpu *v __unused, struct regs *h __unused)
{
	return -ENOSYS;
}

long do_sysctl(struct vcpu *v __unused, struct regs *h __unused);
long do_sysctl(struct vcpu *v __unused, struct regs *h __unused)
{
	return -ENOSYS;
}

long do_platform_op(struct vcpu *v __unused, struct regs *h __unused);
long do_platform_op(struct vcpu *v __unused, struct regs *h __unused)
{
	return -ENOSYS;
}

long do_mca(struct vcpu *v __unused, struct regs *h __unused);
long do_mca(struct vcpu *v __unused, struct regs *h __unused)
{
	return -ENOSYS;
}
