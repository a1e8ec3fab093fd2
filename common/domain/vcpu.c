/* SPDX-License-Identifier: BSD-2-Clause */
/* Creation and destruction of vCPUs. Only the domain's teardown frees them. */
#include <margay/domain_parts.h>
#include <margay/evtchn.h>
#include <margay/isolate.h>

#define VCPU_PAGES ((unsigned)(ALIGN_UP(sizeof(struct vcpu), PAGE_SIZE) >> PAGE_SHIFT))

struct vcpu *domain_vcpu(struct domain *d, u32 id)
{
	unsigned n = READ_ONCE(d->nr_vcpus);

	return id < n ? d->vcpus[index_nospec(id, n)] : NULL;
}

int vcpu_set_affinity(struct vcpu *v, const struct cpu_set *set)
{
	/* Start the search for a CPU at the id, which spreads vCPUs over the allowed CPUs. */
	struct cpu_set allowed = isolate_allowed(v, set);
	unsigned first = cpu_set_next(&allowed, v->id % nr_cpus);

	if (first >= nr_cpus)
		first = cpu_set_next(&allowed, 0);
	if (first >= nr_cpus)
		return -EINVAL;
	v->affinity = *set;
	v->allowed = allowed;
	v->cpu = cpus[first];
	v->view.cpu = first;
	return 0;
}

/* Creates the next vCPU, offline. It may run on any CPU. */
static int vcpu_create(struct domain *d)
{
	struct vcpu *v = dom_alloc_meta(d, VCPU_PAGES);
	struct cpu_set all;
	unsigned id = d->nr_vcpus;

	if (!v)
		return -ENOMEM;
	spin_lock(&d->lock);
	v->holds = d->pauses != 0;
	d->vcpus[d->nr_vcpus++] = v;
	spin_unlock(&d->lock);
	v->domain = d;
	v->id = id;
	v->state = RUN_OFFLINE;
	list_init(&v->runq_link);
	v->info_mfn = INVALID_MFN;
	spin_init(&v->fifo.lock, LOCK_FIFO);
	v->info = id < XEN_LEGACY_MAX_VCPUS ? &d->shared_info->vcpu_info[id] : &dummy_vcpu_info;
	v->runstate.state = RUNSTATE_offline;
	v->runstate.state_entry_time = now();
	vcpu_timers_init(v);
	v->view = (struct policy_vcpu){ .domain = d->id, .slot = d->slot, .id = id,
					.nr_vcpus = d->max_vcpus, .affinity = v->allowed.bits };
	cpu_set_fill(&all);
	vcpu_set_affinity(v, &all);
	v->soft_affinity = all;
	v->recent = v->walked;
	if (arch_vcpu_init(v))
		return -ENOMEM;	/* vcpus_destroy() frees the rest */
	v->pending = VCPU_WORK_TIME;
	return d->nr_vcpus < d->max_vcpus ? -ERESTART : 0;
}

static void vcpu_destroy(struct vcpu *v)
{
	vcpu_areas_release(v);
	arch_vcpu_free(v);
	dom_free_meta(v->domain, v, VCPU_PAGES);
}

/* Destroys one vCPU per call. */
static int vcpus_destroy(struct domain *d)
{
	if (d->nr_vcpus)
		vcpu_destroy(d->vcpus[--d->nr_vcpus]);
	return d->nr_vcpus ? -ERESTART : 0;
}

const struct domain_part vcpus_part = { .create = vcpu_create, .destroy = vcpus_destroy };
