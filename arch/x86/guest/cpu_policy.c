/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPUID policies as Xen's tools know them: a list of leaves, and words of features. Only the caller
 * uses the policy meanwhile. xen/arch-x86/cpufeatureset.h, xen/arch-x86/xen.h
 */
#include <margay/cpu_policy.h>
#include <x86/cpuid_policy.h>
#include <x86/spec.h>

#include <xen/arch-x86/cpuid.h>

#define EXT_FIRST 0x80000000U
/* The limits of the tools, which refuse leaves and subleaves beyond. */
#define MAX_BASIC 0xdU
#define MAX_EXT (EXT_FIRST + 0x21)

static const struct {
	u32 leaf, last;
} indexed[] = { { 4, 5 }, { 7, 2 }, { 0xb, 1 }, { 0xd, 62 } };

/*
 * Where each word of features is. `ours`: bits that do not name a feature, or that Margay decides.
 * `latent`: features that new guests do not have, but those from another hypervisor may.
 */
static const struct feature_word {
	u32 leaf, sub, reg, ours, latent;
} feature_words[CPU_FEATURE_WORDS] = {
	{ 1, ~0U, 3, 1U << 9 | 1U << 28, CPUID_LATENT_1D },  /* APIC HTT */
	{ 1, ~0U, 2, 1U << 27 | 1U << 31, 0 }, /* OSXSAVE HYPERVISOR */
	{ EXT_FIRST + 1, ~0U, 3, 0x0183f3ff, 0 }, /* the bits of word 0 on AMD */
	{ EXT_FIRST + 1, ~0U, 2, 1U << 1, 0 },    /* CMP_LEGACY */
	{ 0xd, 1, 0, 0, 0 },
	{ 7, 0, 1, 0, 0 },
	{ 7, 0, 2, 1U << 4, 0 }, /* OSPKE */
	{ EXT_FIRST + 7, ~0U, 3, 0, 0 },
	{ EXT_FIRST + 8, ~0U, 1, 0, 1U << 20 }, /* no EFER.LMSLE */
	{ 7, 0, 3, 0, 0 },
	{ 7, 1, 0, 0, 0 },
	{ EXT_FIRST + 0x21, ~0U, 0, 0, 0 },
	{ 7, 1, 1, 0, 0 },
	{ 7, 2, 3, 0, 0 },
};
_Static_assert(XEN_CPUID_NO_SUBLEAF == ~0U, "sub of feature_words");

static u32 *reg_of(struct cpuid_regs *r, u32 reg)
{
	return reg == 0 ? &r->eax : reg == 1 ? &r->ebx : reg == 2 ? &r->ecx : &r->edx;
}

static struct cpuid_regs result(struct cpuid_policy *p, u32 leaf, u32 sub)
{
	struct cpuid_regs r;

	sub = sub == XEN_CPUID_NO_SUBLEAF ? 0 : sub;
	if (p)
		return *cpuid_policy_at(p, leaf, sub);
	cpuid_machine(leaf, sub, &r);
	return r;
}

/* Returns the highest leaf of the same range. */
static u32 last_of(struct cpuid_policy *p, u32 leaf)
{
	if (leaf < XEN_CPUID_FIRST_LEAF)
		return min(result(p, 0, 0).eax, MAX_BASIC);
	/* Of Xen's own leaves, the tools know the first. */
	return leaf < EXT_FIRST ? leaf : min(result(p, EXT_FIRST, 0).eax, MAX_EXT);
}

static u32 last_subleaf(u32 leaf)
{
	for (unsigned i = 0; i < ARRAY_SIZE(indexed); i++)
		if (indexed[i].leaf == leaf)
			return indexed[i].last;
	return XEN_CPUID_NO_SUBLEAF;
}

static bool advance(struct cpuid_policy *p, struct xen_cpuid_leaf *l)
{
	if (l->subleaf != last_subleaf(l->leaf)) {
		l->subleaf++;
		return true;
	}
	if (l->leaf == ~0U || l->leaf < last_of(p, l->leaf))
		l->leaf++;
	else if (l->leaf < XEN_CPUID_FIRST_LEAF && p)
		l->leaf = XEN_CPUID_FIRST_LEAF;
	else if (l->leaf < EXT_FIRST)
		l->leaf = EXT_FIRST;
	else
		return false;
	l->subleaf = last_subleaf(l->leaf) == XEN_CPUID_NO_SUBLEAF ? XEN_CPUID_NO_SUBLEAF : 0;
	return true;
}

bool cpu_policy_next(struct cpuid_policy *p, struct xen_cpuid_leaf *l)
{
	struct cpuid_regs r;

	do {
		if (!advance(p, l))
			return false;
		r = result(p, l->leaf, l->subleaf);
	} while (l->subleaf != XEN_CPUID_NO_SUBLEAF && l->subleaf &&
		 !(r.eax | r.ebx | r.ecx | r.edx));
	l->a = r.eax;
	l->b = r.ebx;
	l->c = r.ecx;
	l->d = r.edx;
	return true;
}

void cpu_policy_features(struct cpuid_policy *p, u32 words[CPU_FEATURE_WORDS])
{
	for (unsigned i = 0; i < CPU_FEATURE_WORDS; i++) {
		const struct feature_word *w = &feature_words[i];
		struct cpuid_regs r = { 0 };

		if (w->leaf <= last_of(p, w->leaf))
			r = result(p, w->leaf, w->sub);
		words[i] = *reg_of(&r, w->reg);
	}
	words[2] &= ~feature_words[2].ours;
}

u64 cpu_policy_arch_caps(void) { return spec_arch_caps; }

/* Returns whether l has p's vendor and, of XSAVE's components, only such as p has. */
static bool same_machine(struct cpuid_policy *p, const struct xen_cpuid_leaf *l)
{
	struct cpuid_regs own = result(p, l->leaf, l->subleaf);

	if (l->leaf == 0)
		return l->b == own.ebx && l->c == own.ecx && l->d == own.edx;
	if (l->leaf != 0xd || l->subleaf == 1)
		return true;
	if (l->subleaf == 0)
		return !(l->a & ~own.eax) && !(l->d & ~own.edx);
	return !l->a || (l->a == own.eax && l->b == own.ebx);
}

int cpu_policy_restrict(struct cpuid_policy *p, const struct xen_cpuid_leaf *l)
{
	struct cpuid_regs given = { l->a, l->b, l->c, l->d };

	if (!same_machine(p, l))
		return -EINVAL;
	if (l->leaf == 0 || l->leaf == EXT_FIRST)
		return cpuid_policy_limit(p, l->leaf, l->a);
	for (unsigned i = 0; i < CPU_FEATURE_WORDS; i++) {
		const struct feature_word *w = &feature_words[i];
		u32 *own, bits;

		if (l->leaf != w->leaf || l->subleaf != w->sub)
			continue;
		bits = *reg_of(&given, w->reg);
		if (l->leaf > last_of(p, l->leaf))
			return bits ? -EINVAL : 0;
		own = reg_of(cpuid_policy_at(p, w->leaf, w->sub), w->reg);
		if (bits & ~(*own | w->ours | w->latent))
			return -EINVAL;
		*own = (*own & (bits | w->ours)) | (bits & w->latent);
	}
	return 0;
}
