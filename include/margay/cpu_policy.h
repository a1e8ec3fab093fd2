/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPUID policies in the form of Xen's ABI, for privileged calls. A policy is a domain's, or one of
 * the caller's, to be freed by kfree(). arch/x86/guest/cpuid.c, cpu_policy.c
 */
#pragma once

#include <margay/xen.h>

struct cpuid_policy;
struct domain;

#define CPU_POLICY_LEAVES 118U	/* more than any policy has, and no more than libxc takes */
#define CPU_FEATURE_WORDS 14U	/* xen/arch-x86/cpufeatureset.h */

/* What a new guest with so many vCPUs would get. NULL when there is no memory. */
struct cpuid_policy *cpu_policy_make(unsigned vcpus);
struct cpuid_policy *cpu_policy_copy(const struct domain *d);

/*
 * Advances *l to p's next leaf; p NULL: to that of the machine. Starts at CPU_POLICY_START. Returns
 * false after the last one.
 */
#define CPU_POLICY_START { .leaf = ~0U, .subleaf = XEN_CPUID_NO_SUBLEAF }
bool cpu_policy_next(struct cpuid_policy *p, struct xen_cpuid_leaf *l);
void cpu_policy_features(struct cpuid_policy *p, u32 words[CPU_FEATURE_WORDS]);

/* What guests read in IA32_ARCH_CAPABILITIES. */
u64 cpu_policy_arch_caps(void);

/*
 * Clears the features in p that *l lacks; ignores topology and leaves without features. -EINVAL: *l
 * has features, XSAVE components or leaves that p has not, or another vendor's. A guest that ran
 * elsewhere would miss them.
 */
int cpu_policy_restrict(struct cpuid_policy *p, const struct xen_cpuid_leaf *l);
/*
 * Gives d the policy p, a restricted copy of its own. All parts of d are created. -EEXIST when a
 * vCPU has started.
 */
int cpu_policy_set(struct domain *d, struct cpuid_policy *p);
