/* SPDX-License-Identifier: BSD-2-Clause */
/* All counters by name. They change while they are read: only their sums are inexact. */
#include <margay/arch.h>
#include <margay/iommu.h>
#include <margay/pci.h>
#include <margay/sched.h>
#include <margay/trace.h>
#include <margay/xen.h>

#include <xen/platform.h>
#include <xen/arch-x86/xen-mca.h>
#include <xen/sysctl.h>

struct counter {
	const char *group, *name;
	size_t at;
};

static const struct counter vcpu_counters[] = {
#define CPU_COUNTER(field, group, name)
#define VCPU_COUNTER(field, group, name) { group, name, offsetof(struct vcpu, stats.field) },
#include <margay/counters.def>
}, cpu_counters[] = {
#define VCPU_COUNTER(field, group, name)
#define CPU_COUNTER(field, group, name) { group, name, offsetof(struct cpu, stats.field) },
#include <margay/counters.def>
};

static const struct {
	const char *name;
	enum hcall_row row;
} hypercalls[NR_HYPERCALLS] = {
#define HYPERCALL(nr, name, handler, who) [nr] = { #name, HCALL_ROW_##name },
#include <margay/hypercalls.def>
	/* Number 0 has no name of its own: it stands for all hypercalls that are not served. */
	[0] = { "unserved", HCALL_ROW_UNSERVED },
};

static const struct {
	const char *call;
	u64 nr;
	const char *name;
} operations[] = {
#define OPERATION(call, nr, name) { #call, nr, #name },
#include <margay/operations.def>
};

const char *operation_name(const char *call, u64 nr)
{
	for (unsigned i = 0; i < ARRAY_SIZE(operations); i++)
		if (operations[i].nr == nr && !strcmp(operations[i].call, call))
			return operations[i].name;
	return NULL;
}

const char *hypercall_name(unsigned nr)
{
	return hypercalls[nr].name;
}

const u64 *hypercall_counts(const struct vcpu *v, unsigned nr)
{
	return v->hypercalls + hypercalls[nr].row * HCALL_SUBOPS;
}

static void put_all(const struct counter *table, size_t n, const void *of, counter_fn *put,
		    void *to)
{
	for (size_t i = 0; i < n; i++)
		put(to, table[i].group, table[i].name, NO_SUB,
		    READ_ONCE(*(const u64 *)((const u8 *)of + table[i].at)));
}

static u64 less(u64 a, u64 b)
{
	return a > b ? a - b : 0;
}

void counters_of_vcpu(struct vcpu *v, counter_fn *put, void *to)
{
	struct vcpu_runstate_info rs;
	u64 margay = tsc_to_ns(READ_ONCE(v->exit_ticks));

	vcpu_runstate(v, &rs);
	put(to, "state", "run", NO_SUB, v->state);
	put(to, "state", "cpu", NO_SUB, v->cpu->id);
	put(to, "time", "guest", NO_SUB, less(rs.time[RUNSTATE_running], margay));
	put(to, "time", "margay", NO_SUB, margay);
	put(to, "time", "waiting", NO_SUB, rs.time[RUNSTATE_runnable]);
	put(to, "time", "idle", NO_SUB, rs.time[RUNSTATE_blocked]);
	put(to, "time", "offline", NO_SUB, rs.time[RUNSTATE_offline]);
	put_all(vcpu_counters, ARRAY_SIZE(vcpu_counters), v, put, to);
	for (unsigned r = 0; r < NR_EXITS; r++)
		if (v->exits[r])
			put(to, "exit", exit_names[r], NO_SUB, v->exits[r]);
	for (unsigned h = 0; h < NR_HYPERCALLS; h++) {
		const u64 *counts = hypercall_counts(v, h);

		for (u32 i = 0; i < HCALL_SUBOPS && hypercall_name(h); i++)
			if (counts[i])
				put(to, "hypercall", hypercall_name(h), i, counts[i]);
	}
}

void counters_of_domain(const struct domain *d, counter_fn *put, void *to)
{
	put(to, "memory", "used", NO_SUB, d->tot_pages << PAGE_SHIFT);
	put(to, "memory", "limit", NO_SUB, d->max_pages << PAGE_SHIFT);
	put(to, "memory", "margay", NO_SUB, (u64)d->meta_pages << PAGE_SHIFT);
	put(to, "memory", "p2m-tables", NO_SUB, (u64)d->p2m.table_pages << PAGE_SHIFT);
	iommu_counters_of_domain(d, put, to);
	put(to, "p2m", "4K", NO_SUB, d->p2m.entries[0]);
	put(to, "p2m", "2M", NO_SUB, d->p2m.entries[1]);
	put(to, "p2m", "1G", NO_SUB, d->p2m.entries[2]);
	put(to, "devices", "interrupts", NO_SUB, pci_interrupts(d));
	put(to, "refused", "unknown", NO_SUB, d->refusals);
	put(to, "state", "vcpus", NO_SUB, d->nr_vcpus);
}

void counters_of_cpu(const struct cpu *c, counter_fn *put, void *to)
{
	u64 ran = READ_ONCE(c->ran), all = now(), margay = tsc_to_ns(READ_ONCE(c->exit_ticks)),
	    guest;
	stime_t idle = cpu_idle_time(c);

	/* A negative value means that the period has not ended. */
	ran += (s64)ran < 0 ? rdtsc() : 0;
	guest = less(tsc_to_ns(ran), margay);
	put(to, "time", "guest", NO_SUB, guest);
	put(to, "time", "margay", NO_SUB, less(less(all, idle), guest));
	put(to, "time", "idle", NO_SUB, idle);
	put_all(cpu_counters, ARRAY_SIZE(cpu_counters), c, put, to);
}

void counters_of_machine(counter_fn *put, void *to)
{
	struct mem_stats st;

	mem_stats(&st);
	put(to, "time", "up", NO_SUB, now());
	put(to, "cpu", "online", NO_SUB, nr_cpus);
	put(to, "memory", "total", NO_SUB, st.total_pages << PAGE_SHIFT);
	put(to, "memory", "free", NO_SUB, st.free_pages << PAGE_SHIFT);
	put(to, "memory", "margay", NO_SUB, st.margay_pages << PAGE_SHIFT);
	put(to, "memory", "unscrubbed", NO_SUB, st.dirty_pages << PAGE_SHIFT);
	put(to, "memory", "retired", NO_SUB, st.retired_pages << PAGE_SHIFT);
	put(to, "chunks", "split", NO_SUB, st.split_chunks);
	put(to, "devices", "vectors", NO_SUB, arch_device_vectors());
	iommu_counters_of_machine(put, to);
}
