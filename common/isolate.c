/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dedicates CPUs to a domain's vCPUs and takes them back, in steps between which nobody waits. A CPU
 * with an owner is in no other vCPU's `allowed`, has no policies, and gets NMIs in place of kicks.
 * Once the kicks that were on their way have arrived (a grace period), it is isolated: its timers go
 * to the housekeeping CPU, and from then on each interrupt that it takes is its owner's. The owner
 * then uses the CPU's local APIC: arch/x86/guest/direct.c.
 */
#include <margay/arch.h>
#include <margay/boot_guest.h>
#include <margay/domain_parts.h>
#include <margay/errno.h>
#include <margay/isolate.h>
#include <margay/pci.h>
#include <margay/policy_registry.h>
#include <margay/quiesce.h>
#include <margay/sched.h>

#define TRIES 1000U

const char *isolate_why(int rc)
{
	switch (rc) {
	case -EOPNOTSUPP:
		return "devices' interrupts are posted, perhaps to any CPU: it needs the option noposting";
	case -EINVAL:
		return "the number of CPUs is not that of its vCPUs";
	case -ENOENT:
		return "there is no such CPU";
	case -EBUSY:
		return "a CPU has an owner already, or the guest has CPUs";
	case -EPERM:
		return "the housekeeping CPU stays shared, and so does a control domain";
	case -EEXIST:
		return "another guest may run on these CPUs only, or its device still interrupts one";
	case -ENOSPC:
		return "not so many CPUs are free";
	case -EXDEV:
		return "trusted: the APIC ids of its vCPUs are not those of the CPUs";
	default:
		return "not possible";
	}
}

/* Returns whether a vCPU of another domain would have no CPU left. */
static bool needed_by_others(const struct domain *d, const struct cpu_set *set)
{
	struct cpu_set taken = owned_cpus;
	const struct domain *other;
	unsigned i;

	for_each_cpu(i, set)
		cpu_set_add(&taken, i);
	guard(&domains_lock);
	list_for_each(other, &domain_list, link)
		for (i = 0; other != d && !other->isolation && other->state < DOM_DYING &&
			    i < other->nr_vcpus;
		     i++) {
			struct cpu_set left = other->vcpus[i]->affinity;

			for (unsigned j = 0; j < ARRAY_SIZE(left.bits); j++)
				left.bits[j] &= ~taken.bits[j];
			if (cpu_set_next(&left, 0) == nr_cpus)
				return true;
		}
	return false;
}

static int check(const struct domain *d, const struct cpu_set *set)
{
	unsigned i, n = 0;

	if (!arch_can_isolate())
		return -EOPNOTSUPP;
	if (d->isolation)
		return -EBUSY;
	for (i = nr_cpus; i < MAX_CPUS; i++)
		if (cpu_set_has(set, i))
			return -ENOENT;
	if (d->control || cpu_set_has(set, housekeeping_cpu->id))
		return -EPERM;
	for_each_cpu(i, set) {
		if (cpus[i]->owner)
			return -EBUSY;
		if (d->trusted && n < d->nr_vcpus &&
		    arch_vcpu_apic_id(d->vcpus[n]) != cpus[i]->apic_id)
			return -EXDEV;
		n++;
	}
	if (n != d->nr_vcpus)
		return -EINVAL;
	return needed_by_others(d, set) ? -EEXIST : 0;
}

/* Returns the CPUs that no domain and no boot guest has, or was told of. */
static struct cpu_set free_cpus(const struct domain *d)
{
	struct cpu_set set = boot_guests_cpus();
	const struct domain *other;

	guard(&domains_lock);
	list_for_each(other, &domain_list, link)
		for (unsigned i = 0; other != d && other->own_cpus && i < ARRAY_SIZE(set.bits); i++)
			set.bits[i] |= other->own_cpus->bits[i];
	cpu_set_add(&set, housekeeping_cpu->id);
	for (unsigned i = 0; i < ARRAY_SIZE(set.bits); i++)
		set.bits[i] = ~(set.bits[i] | owned_cpus.bits[i]);
	return set;
}

static bool is_whole_core(const struct cpu *c, const struct cpu_set *set)
{
	for (const struct cpu *s = c->sibling; s != c; s = s->sibling)
		if (!cpu_set_has(set, s->id))
			return false;
	return true;
}

int isolate_choose(const struct domain *d, struct cpu_set *set)
{
	struct cpu_set free = free_cpus(d);
	unsigned left = d->max_vcpus, i;

	memset(set, 0, sizeof(*set));
	for (unsigned n = 0; n < 2 * nr_nodes; n++) /* each node's whole cores, then its others */
		for_each_cpu(i, &free) {
			if (!left || cpus[i]->node != (d->node + n / 2) % nr_nodes ||
			    (n % 2 == 0 && !is_whole_core(cpus[i], &free)) || cpu_set_has(set, i))
				continue;
			cpu_set_add(set, i);
			if (needed_by_others(d, set))
				cpu_set_remove(set, i);
			else
				left--;
		}
	return left ? -ENOSPC : 0;
}

/* Moves every vCPU whose set of allowed CPUs has changed. */
static void restrict_all(void)
{
	struct domain *d;

	guard(&domains_lock);
	list_for_each(d, &domain_list, link)
		for (unsigned i = 0; d->state < DOM_DYING && i < d->nr_vcpus; i++)
			vcpu_restrict(d->vcpus[i], &d->vcpus[i]->affinity);
}

static void set_owners(struct domain *d, const struct cpu_set *set)
{
	unsigned i, n = 0;

	for_each_cpu(i, set) {
		struct vcpu *v = d->vcpus[n++];

		cpu_set_add(&owned_cpus, i);
		v->core = cpus[i];
		cpus[i]->nmi_kicks = true;
	}
	restrict_all();
	/* Last: its policy must hear who leaves the CPU's queue. */
	for (n = 0; n < d->nr_vcpus; n++)
		WRITE_ONCE(d->vcpus[n]->core->owner, d->vcpus[n]);
}

static void clear_owners(struct domain *d)
{
	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		struct vcpu *v = d->vcpus[i];

		cpu_set_remove(&owned_cpus, v->core->id);
		WRITE_ONCE(v->core->owner, NULL);
		v->core = NULL;
	}
	restrict_all();
}

static void raise_on_all(struct domain *d, u32 work)
{
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		cpu_raise(d->vcpus[i]->core, work);
}

/* Returns whether each of d's CPUs is left by others, and its owner is there. */
static bool alone(const struct domain *d)
{
	bool all = true;

	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		const struct vcpu *v = d->vcpus[i];
		const struct vcpu *loaded = READ_ONCE(v->core->loaded);

		if (READ_ONCE(v->cpu) == v->core && (!loaded || loaded == v) &&
		    !READ_ONCE(v->core->view.nr_queued))
			continue;
		cpu_raise(v->cpu, CPU_WORK_EXPEL);
		cpu_raise(v->core, CPU_WORK_EXPEL);
		all = false;
	}
	return all;
}

/* Returns whether devices interrupt its CPUs. Such interrupts move, and a grace period later are gone. */
static bool has_vectors(const struct domain *d)
{
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		if (READ_ONCE(d->vcpus[i]->core->device_vectors))
			return true;
	return false;
}

/* Returns whether a CPU of d's is still isolated, or is not yet, or a vCPU is still direct. */
static bool any(const struct domain *d, bool isolated, bool direct)
{
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		if (direct ? READ_ONCE(d->vcpus[i]->direct) :
			     READ_ONCE(d->vcpus[i]->core->isolated) == isolated)
			return true;
	return false;
}

void isolate_here(void)
{
	struct cpu *c = this_cpu();
	bool begins = c->owner->domain->isolation == ISOLATION_BEGINS;

	if (begins == c->isolated)
		return;
	arch_cpu_isolate(begins);
	c->isolated = begins;
	if (begins)
		timers_leave();
}

static int next_stage(struct domain *d, enum isolation stage)
{
	WRITE_ONCE(d->isolation, (u8)stage);
	return -ERESTART;
}

int isolate_dedicate(struct domain *d, const struct cpu_set *set)
{
	struct cpu_set chosen;
	int rc = 0;

	switch (d->isolation) {
	case ISOLATION_TAKES:
		if (!quiesce_over(d->isolation_period))
			return -ERESTART;
		pci_follow();
		if (!alone(d) || has_vectors(d)) {
			if (d->isolation_tries++ < TRIES) {
				d->isolation_period = quiesce_start();
				return -ERESTART;
			}
			clear_owners(d);
			d->isolation = ISOLATION_NONE;
			return -EEXIST;
		}
		next_stage(d, ISOLATION_BEGINS);
		raise_on_all(d, CPU_WORK_ISOLATE);
		return -ERESTART;
	case ISOLATION_BEGINS:
		if (any(d, false, false))
			return -ERESTART;
		next_stage(d, ISOLATION_DONE);
		raise_on_all(d, CPU_WORK_RESCHED);
		pr_debug("guest %s: has %u CPU%s of its own\n", d->name, d->nr_vcpus,
			 d->nr_vcpus == 1 ? "" : "s");
		if (d->trusted)
			cpu_raise(housekeeping_cpu, CPU_WORK_GUESTS);
		return 0;
	}
	if (find_next_bit(set->bits, MAX_CPUS, 0) < MAX_CPUS)
		chosen = *set;
	else if (d->own_cpus)
		chosen = *d->own_cpus;
	else
		rc = isolate_choose(d, &chosen);
	rc = rc ? rc : check(d, &chosen);
	if (rc)
		return rc;
	set_owners(d, &chosen);
	pci_follow();
	d->isolation_tries = 0;
	d->isolation_period = quiesce_start();
	return next_stage(d, ISOLATION_TAKES);
}

int isolate_share(struct domain *d)
{
	switch (d->isolation) {
	case ISOLATION_NONE:
		return 0;
	case ISOLATION_TAKES:
	case ISOLATION_BEGINS:
		(void)isolate_dedicate(d, NULL);
		return -ERESTART;
	case ISOLATION_DONE:
		next_stage(d, ISOLATION_LEAVES);
		raise_on_all(d, CPU_WORK_RESCHED);
		return -ERESTART;
	case ISOLATION_LEAVES:
		if (isolate_trusted(d) || any(d, false, true))
			return -ERESTART;
		pci_follow();
		d->isolation_period = quiesce_start();
		return next_stage(d, ISOLATION_WAITS);
	case ISOLATION_WAITS:
		if (!quiesce_over(d->isolation_period))
			return -ERESTART;
		next_stage(d, ISOLATION_ENDS);
		raise_on_all(d, CPU_WORK_ISOLATE);
		return -ERESTART;
	}
	if (any(d, true, false))
		return -ERESTART;
	clear_owners(d);
	d->isolation = ISOLATION_NONE;
	pr_debug("guest %s: shares its CPUs again\n", d->name);
	return 0;
}

static bool all_online(const struct domain *d)
{
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		if (!vcpu_online(d->vcpus[i]) || !arch_vcpu_may_be_direct(d->vcpus[i]))
			return false;
	return true;
}

int isolate_trusted(struct domain *d)
{
	bool wanted = d->trusted && d->isolation == ISOLATION_DONE && all_online(d);

	/* No vCPU may use one APIC's registers and have its state in the other. */
	if (wanted != d->apic_mapped && !d->isolation_pause) {
		d->isolation_pause = true;
		domain_pause(d);
	}
	if (wanted != d->apic_mapped) {
		if (!domain_off_cpus(d))
			return -ERESTART;
		if (wanted)
			wanted = !arch_map_apic(d);
		else
			arch_unmap_apic(d);
		d->apic_mapped = wanted;
	}
	if (d->isolation_pause) {
		d->isolation_pause = false;
		domain_unpause(d);
	}
	return 0;
}

static int isolate_destroy(struct domain *d)
{
	int rc;

	if (!policy_control_enter())
		return -ERESTART;
	rc = isolate_share(d);
	policy_control_leave();
	return rc;
}

const struct domain_part isolate_part = { .destroy = isolate_destroy };
