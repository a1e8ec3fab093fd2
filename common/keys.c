/* SPDX-License-Identifier: BSD-2-Clause */
/* Margay's console keys, each declared once in the table at the end. */
#include <margay/console.h>
#include <margay/evtchn.h>
#include <margay/policy_registry.h>
#include <margay/sched.h>
#include <margay/trace.h>

#define SECONDS "%lu.%03lu s"
#define AS_SECONDS(ns) (ns) / 1000000000, (ns) / 1000000 % 1000

static const char *const dom_states[] = { "building", "running", "shut down", "dying" };
static const char *const run_states[] = { "offline", "blocked", "waiting", "running" };

static void show_domain(struct domain *d)
{
	printk("domain %u %s: %s%s, %lu MiB, %u vCPU%s, refused %lu\n", d->id, d->name,
	       dom_states[d->state], d->initial ? ", initial" : "", d->tot_pages >> 8, d->nr_vcpus,
	       d->nr_vcpus == 1 ? "" : "s", d->refusals);
}

static void show_vcpu(struct vcpu *v)
{
	struct vcpu_runstate_info rs;

	vcpu_runstate(v, &rs);
	printk("  vcpu %u: %s on CPU %u, ran " SECONDS ", waited " SECONDS "\n", v->id,
	       run_states[v->state], v->cpu->id, AS_SECONDS(rs.time[RUNSTATE_running]),
	       AS_SECONDS(rs.time[RUNSTATE_runnable]));
}

static void show_cpu(struct cpu *c)
{
	const struct policy *p = policy_of(c, POINT_SCHED);
	struct vcpu *v = c->current;

	printk("CPU %u node %u: %s%s%u, %u waiting, policy %s%s\n", c->id, c->node,
	       v ? v->domain->name : "idle", v ? "/" : " ", v ? v->id : 0,
	       READ_ONCE(c->view.nr_queued), p ? p->mod.name : "built-in",
	       c == housekeeping_cpu ? ", housekeeping" : "");
	for (unsigned i = POINT_IDLE; i <= POINT_EXIT; i++)
		if ((p = policy_of(c, i)))
			printk("  %s policy %s\n", policy_point_names[i], p->mod.name);
}

/* Prints a line as `mgctl stat --all` does. to: the name of the counters' owner. */
static void show_counter(void *to, const char *group, const char *name, u32 sub, u64 value)
{
	char what[112], number[8];
	const char *op = "";

	if (!value)
		return;
	if (sub != NO_SUB) {
		snprintf(number, sizeof(number), "%u", sub);
		op = operation_name(name, sub) ?: number;
	}
	snprintf(what, sizeof(what), "%s: %s %s %s%s", (const char *)to, group, name, op,
		 *op ? " " : "");
	if (!strcmp(group, "time"))
		printk("%s%lu.%09lu s\n", what, value / 1000000000, value % 1000000000);
	else if (!strcmp(group, "memory"))
		printk("%s%lu KiB\n", what, value >> 10);
	else if (!strcmp(name, "run"))
		printk("%s%s\n", what, run_states[value]);
	else
		printk("%s%lu\n", what, value);
}

/* The sums of the vCPUs' times, exits and hypercalls, without their other counters. */
void domain_show_exits(struct domain *d)
{
	u64 all = 0, ran = 0, margay = 0;

	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		struct vcpu_runstate_info rs;

		vcpu_runstate(d->vcpus[i], &rs);
		ran += rs.time[RUNSTATE_running];
		margay += tsc_to_ns(READ_ONCE(d->vcpus[i]->exit_ticks));
	}
	show_counter(d->name, "time", "guest", NO_SUB, ran - min(ran, margay));
	show_counter(d->name, "time", "margay", NO_SUB, margay);
	for (unsigned r = 0; r < NR_EXITS; r++) {
		u64 n = 0;

		for (unsigned i = 0; i < d->nr_vcpus; i++)
			n += d->vcpus[i]->exits[r];
		all += n;
		show_counter(d->name, "exit", exit_names[r], NO_SUB, n);
	}
	show_counter(d->name, "exit", "total", NO_SUB, all);
	for (unsigned h = 0; h < NR_HYPERCALLS * HCALL_SUBOPS; h++) {
		const char *name = hypercall_name(h / HCALL_SUBOPS);
		u64 n = 0;

		for (unsigned i = 0; name && i < d->nr_vcpus; i++)
			n += hypercall_counts(d->vcpus[i], h / HCALL_SUBOPS)[h % HCALL_SUBOPS];
		show_counter(d->name, "hypercall", name, h % HCALL_SUBOPS, n);
	}
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

static void key_unknown(void)
{
	printk("no such key: h for help\n");
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
	{ 'd', "CPUs, their policies, domains and vCPUs", NULL, show_cpu, show_domain, show_vcpu },
	{ 'e', "exits and hypercalls of each domain", .domain = domain_show_exits },
	{ 's', "all counters, like `mgctl stat --all`", show_machine, show_cpu_counters,
	  show_memory, show_vcpu_counters },
	{ 'm', "memory", memory_show, .domain = show_memory },
	{ 'v', "what is done about speculation", .once = arch_show_speculation },
	{ 'c', "event channels of each domain", .domain = evtchn_dump },
	{ '!', "panic on purpose, to see what one looks like", .once = key_panic },
	{ 'R', "reboot the machine", .once = arch_reboot },
	{ 'P', "power the machine off", .once = arch_poweroff },
	{ 0, NULL, .once = key_unknown },
};

static void key_help(void)
{
	for (const struct key *k = keys; k->key; k++)
		printk("%c  %s\n", k->key, k->what);
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
	memset(&progress, 0, sizeof(progress));
	for (progress.key = keys; progress.key->key && progress.key->key != key;)
		progress.key++;
	return true;
}
