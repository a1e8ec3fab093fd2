/* SPDX-License-Identifier: BSD-2-Clause */
/* Margay's console keys, each declared once in the table at the end. */
#include <margay/console.h>
#include <margay/evtchn.h>
#include <margay/sched.h>
#include <margay/trace.h>

static const char *const dom_states[] = { "building", "running", "shut down", "dying" };
static const char *const run_states[] = { "offline", "blocked", "runnable", "running" };

static void show_domain(struct domain *d)
{
	printk("domain %u %s: %s%s, %lu MiB, %u vCPUs, refused requests %lu\n", d->id, d->name,
	       dom_states[d->state], d->initial ? ", initial" : "", d->tot_pages >> 8, d->nr_vcpus,
	       d->refusals);
}

static void show_vcpu(struct vcpu *v)
{
	struct vcpu_runstate_info rs;

	vcpu_runstate(v, &rs);
	printk("  vcpu %u: %s on CPU %u, ran %lu ms, waited %lu ms, %lu events, %lu wake-ups\n",
	       v->id, run_states[v->state], v->cpu->id, rs.time[RUNSTATE_running] / 1000000,
	       rs.time[RUNSTATE_runnable] / 1000000, v->stats.events + v->stats.interrupts,
	       v->stats.wakeups);
}

static void show_cpu(struct cpu *c)
{
	struct vcpu *v = c->current;

	printk("CPU %u node %u: %s%s%u, %u waiting, %lu switches, %lu timer interrupts, %lu kicks%s\n",
	       c->id, c->node, v ? v->domain->name : "idle", v ? " vcpu " : " ", v ? v->id : 0,
	       READ_ONCE(c->view.nr_queued), c->stats.switches, c->stats.timer_irqs, c->stats.kicks,
	       c == housekeeping_cpu ? ", housekeeping" : "");
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
	counters_of_machine(show_counter, (void *)(uintptr_t) "machine");
}

static void show_cpu_counters(struct cpu *c)
{
	char who[16];

	snprintf(who, sizeof(who), "CPU %u", c->id);
	counters_of_cpu(c, show_counter, who);
}

static void show_memory(struct domain *d)
{
	counters_of_domain(d, show_counter, d->name);
}

static void show_vcpu_counters(struct vcpu *v)
{
	char who[48];

	snprintf(who, sizeof(who), "%s/%u", v->domain->name, v->id);
	counters_of_vcpu(v, show_counter, who);
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

/* A key runs these functions in this order, each once, or for each CPU, domain or vCPU. */
static const struct key {
	char key;
	const char *what;
	void (*once)(void);
	void (*cpu)(struct cpu *c);
	void (*domain)(struct domain *d);
	void (*vcpu)(struct vcpu *v);	/* a domain's, after the domain */
} keys[] = {
	{ 'h', "this list", .once = key_help },
	{ 'd', "CPUs, domains and vCPUs", NULL, show_cpu, show_domain, show_vcpu },
	{ 'e', "exits by reason, hypercalls by number", .domain = domain_show_exits },
	{ 's', "all counters, by CPU and vCPU", show_machine, show_cpu_counters, show_memory,
	  show_vcpu_counters },
	{ 'm', "memory", memory_show, .domain = show_memory },
	{ 'v', "what is done about speculation", .once = arch_show_speculation },
	{ 'c', "event channels", .domain = evtchn_dump },
	{ '!', "panic on purpose, to see what one looks like", .once = key_panic },
	{ 'R', "reboot the machine", .once = arch_reboot },
	{ 'P', "power the machine off", .once = arch_poweroff },
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

/*
 * How far the last key's functions have run: each step prints a few lines, so that a list takes
 * neither the CPU nor the consoles from others. Under domains_lock.
 */
static struct {
	const struct key *key;		/* NULL: all done */
	unsigned cpu;			/* 0: `once` is next */
	u32 domain;
	unsigned vcpu;			/* 0: the domain itself is next */
} progress;

static struct domain *next_domain(u32 from)
{
	struct domain *d, *best = NULL;

	list_for_each(d, &domain_list, link)
		if (d->id >= from && (!best || d->id < best->id))
			best = d;
	return best;
}

bool console_key_step(void)
{
	const struct key *k = progress.key;
	struct domain *d;

	if (!k)
		return false;
	if (progress.cpu <= (k->cpu ? nr_cpus : 0)) {
		if (progress.cpu)
			k->cpu(cpus[progress.cpu - 1]);
		else if (k->once)
			k->once();
		progress.cpu++;
		return true;
	}
	d = k->domain ? next_domain(progress.domain) : NULL;
	if (!d) {
		progress.key = NULL;
		return true;
	}
	if (d->id != progress.domain)
		progress.vcpu = 0;
	progress.domain = d->id;
	if (!progress.vcpu)
		k->domain(d);
	else if (progress.vcpu <= d->nr_vcpus)
		k->vcpu(d->vcpus[progress.vcpu - 1]);
	if (++progress.vcpu > (k->vcpu ? d->nr_vcpus : 0)) {
		progress.domain++;
		progress.vcpu = 0;
	}
	return true;
}

bool console_key(char key)
{
	if (progress.key)
		return false;
	if (part_of_escape(key))
		return true;
	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].key == key) {
			memset(&progress, 0, sizeof(progress));
			progress.key = &keys[i];
		}
	return true;
}
