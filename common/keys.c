/* SPDX-License-Identifier: BSD-2-Clause */
/* Margay's console keys, each declared once in the table at the end. */
#include <margay/arch.h>
#include <margay/console.h>
#include <margay/evtchn.h>
#include <margay/printk.h>
#include <margay/sched.h>
#include <margay/trace.h>

static const char *const dom_states[] = { "building", "running", "shut down", "dying" };
static const char *const run_states[] = { "offline", "blocked", "runnable", "running" };

static void show_domain(struct domain *d)
{
	printk("domain %u %s: %s%s, %lu MiB, %u vCPUs, refused requests %lu\n", d->id, d->name,
	       dom_states[d->state], d->initial ? ", initial" : "", d->tot_pages >> 8, d->nr_vcpus,
	       d->refusals);
	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		struct vcpu *v = d->vcpus[i];
		struct vcpu_runstate_info rs;

		vcpu_runstate(v, &rs);
		printk("  vcpu %u: %s on CPU %u, ran %lu ms, waited %lu ms, %lu events, %lu wake-ups\n",
		       i, run_states[v->state], v->cpu->id, rs.time[RUNSTATE_running] / 1000000,
		       rs.time[RUNSTATE_runnable] / 1000000, v->stats.events + v->stats.interrupts,
		       v->stats.wakeups);
	}
}

static void show_cpus(void)
{
	for (unsigned i = 0; i < nr_cpus; i++) {
		struct cpu *c = cpus[i];
		struct vcpu *v = c->current, *w;
		unsigned waiting = 0;

		spin_lock(&c->runq.lock);
		list_for_each(w, &c->runq.queue, runq_link)
			waiting++;
		spin_unlock(&c->runq.lock);
		printk("CPU %u node %u: %s%s%u, %u waiting, %lu switches, %lu timer interrupts, %lu kicks%s\n",
		       i, c->node, v ? v->domain->name : "idle", v ? " vcpu " : " ", v ? v->id : 0,
		       waiting, c->stats.switches, c->stats.timer_irqs, c->stats.kicks,
		       c == housekeeping_cpu ? ", housekeeping" : "");
	}
}

void domain_show_exits(struct domain *d)
{
	u64 all = 0, ran = 0, margay = 0;

	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		struct vcpu_runstate_info rs;

		vcpu_runstate(d->vcpus[i], &rs);
		ran += rs.time[RUNSTATE_running];
		margay += tsc_to_ns(READ_ONCE(d->vcpus[i]->exit_ticks));
	}
	printk("%s ran %lu ns, %lu of them in Margay\n", d->name, ran, margay);
	for (unsigned r = 0; r < NR_EXITS; r++) {
		u64 n = 0;

		for (unsigned i = 0; i < d->nr_vcpus; i++)
			n += d->vcpus[i]->exits[r];
		all += n;
		if (n)
			printk("%s exits %s %lu\n", d->name, exit_names[r], n);
	}
	printk("%s exits total %lu\n", d->name, all);
	for (unsigned h = 1; h < NR_HYPERCALLS; h++) {
		u64 n = 0;

		for (unsigned i = 0; i < d->nr_vcpus * HCALL_SUBOPS; i++)
			n += hypercall_counts(d->vcpus[i / HCALL_SUBOPS], h)[i % HCALL_SUBOPS];
		if (n && hypercall_name(h))
			printk("%s hypercall %s %lu\n", d->name, hypercall_name(h), n);
	}
}

/* to: the name of the counters' owner. */
static void show_counter(void *to, const char *group, const char *name, u32 sub, u64 value)
{
	if (!value)
		return;
	printk("%s: %s %s", (const char *)to, group, name);
	if (sub != NO_SUB)
		printk(" %u", sub);
	printk(" %lu\n", value);
}

static void show_machine(void)
{
	char who[8];

	counters_of_machine(show_counter, (void *)(uintptr_t) "machine");
	for (unsigned i = 0; i < nr_cpus; i++) {
		snprintf(who, sizeof(who), "CPU %u", i);
		counters_of_cpu(cpus[i], show_counter, who);
	}
}

static void show_memory(struct domain *d)
{
	counters_of_domain(d, show_counter, d->name);
}

static void show_counters(struct domain *d)
{
	char who[48];

	show_memory(d);
	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		snprintf(who, sizeof(who), "%s/%u", d->name, i);
		counters_of_vcpu(d->vcpus[i], show_counter, who);
	}
}

void memory_show(void)
{
	struct mem_stats st;

	mem_stats(&st);
	printk("memory: %lu MiB, %lu MiB free, Margay's own %lu KiB, %lu split chunks\n",
	       st.total_pages >> 8, st.free_pages >> 8, st.margay_pages << 2, st.split_chunks);
	if (st.dirty_pages || st.retired_pages)
		printk("memory: %lu MiB to scrub, %lu KiB retired\n", st.dirty_pages >> 8,
		       st.retired_pages << 2);
}

static void key_panic(void)
{
	panic("asked for by a key\n");
}

static void key_help(void);

static const struct {
	char key;
	void (*fn)(void);
	void (*each)(struct domain *d);	/* called for every domain, after fn */
	const char *what;
} keys[] = {
	{ 'h', key_help, NULL, "this list" },
	{ 'd', show_cpus, show_domain, "CPUs, domains and vCPUs" },
	{ 'e', NULL, domain_show_exits, "exits by reason, hypercalls by number" },
	{ 's', show_machine, show_counters, "all counters, by CPU and vCPU" },
	{ 'm', memory_show, show_memory, "memory" },
	{ 'v', arch_show_speculation, NULL, "what is done about speculation" },
	{ 'c', NULL, evtchn_dump, "event channels" },
	{ '!', key_panic, NULL, "panic on purpose, to see what one looks like" },
	{ 'R', arch_reboot, NULL, "reboot the machine" },
	{ 'P', arch_poweroff, NULL, "power the machine off" },
};

static void key_help(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++)
		printk("%c  %s\n", keys[i].key, keys[i].what);
}

/*
 * Skips a terminal's reports (ESC [ ... letter), such as the cursor position: an R in one must not
 * reboot the machine.
 */
static bool part_of_escape(char key)
{
	static enum { NO, ESCAPE, SEQUENCE } state;

	if (key == 0x1b) {
		state = ESCAPE;
		return true;
	}
	if (state == ESCAPE) {
		state = key == '[' || key == 'O' ? SEQUENCE : NO;
		return true;
	}
	if (state == SEQUENCE) {
		state = key >= '@' && key <= '~' ? NO : SEQUENCE;
		return true;
	}
	return false;
}

void console_key(char key)
{
	struct domain *d;

	if (part_of_escape(key))
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
		if (keys[i].key != key)
			continue;
		if (keys[i].fn)
			keys[i].fn();
		list_for_each(d, &domain_list, link)
			if (keys[i].each)
				keys[i].each(d);
	}
}
