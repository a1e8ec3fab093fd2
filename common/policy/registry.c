/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registry of policy modules. Loading, selection and unloading are control operations, one at a
 * time. Each CPU uses a change when it next calls the policy. One flag ejects a module that must
 * not be called any more: callers check it before each call, and the CPUs drop the module when they
 * next schedule. The core's own queues and states stay correct throughout.
 */
#include <stdarg.h>

#include <margay/cmdline.h>
#include <margay/domain_parts.h>
#include <margay/page_owner.h>
#include <margay/policy_registry.h>
#include <margay/quiesce.h>
#include <margay/trace.h>

#define MAX_POLICIES 32
#define LOG_PAUSE_NS 10000000UL

static struct list policies = LIST_INIT(policies);
static u32 slots_used;
static u64 serial;
static u32 control;		/* an operation is in progress */
static struct policy *machine[NR_POINTS]; /* selected for the machine's points */

bool policy_control_enter(void)
{
	return atomic_cas(&control, 0U, 1U);
}

void policy_control_leave(void)
{
	atomic_store(&control, 0U);
}

/* Removes all pointers to p. CPUs may still be in a call to it. */
static void clear_pointers(struct policy *p)
{
	for (unsigned i = POINT_PLACE; i < NR_POINTS; i++)
		(void)atomic_cas(&machine[i], p, (struct policy *)NULL);
	for (unsigned i = 0; i < nr_cpus; i++) {
		for (unsigned j = 0; j < POINT_PLACE; j++)
			(void)atomic_cas(&cpus[i]->policy[j], p, (struct policy *)NULL);
		quiesce_raise(cpus[i], CPU_WORK_RESCHED);
	}
}

void policy_eject(struct policy *p, const char *what, const char *why, ...)
{
	va_list ap;

	if (atomic_xchg(&p->ejected, true))
		return;
	va_start(ap, why);
	vsnprintf(p->why, sizeof(p->why), why, ap);
	va_end(ap);
	pr_warn("policy %s ejected, the built-in policy decides:\n  %s: %s\n", p->mod.name, what,
		p->why);
	clear_pointers(p);
}

struct policy *policy_called(const struct cpu *c)
{
	const struct policy_fn *f = c->policy_called;

	return container_of(f - f->nr, struct policy, fn[0]);
}

struct policy *policy_find(const char *name)
{
	struct policy *p;

	list_for_each(p, &policies, link)
		if (!strcmp(p->mod.name, name))
			return p;
	return NULL;
}

struct policy *policy_nth(unsigned i)
{
	struct policy *p;

	list_for_each(p, &policies, link)
		if (!i--)
			return p;
	return NULL;
}

struct policy *policy_last(void)
{
	return list_entry(policies.prev, struct policy, link);
}

struct policy *policy_selected(enum policy_point point, unsigned cpu)
{
	return point >= POINT_PLACE ? machine[point] : cpus[cpu]->policy[point];
}

static void discard(struct policy *p)
{
	if (p->serial)
		slots_used &= ~BIT(p->slot);
	if (p->pages)
		free_pages(p->pages, p->nr_pages);
	kfree(p);
}

static void copy_functions(struct policy *p)
{
	const struct policy_module *d = p->mod.desc;
	const void *const *sched = (const void *const *)d->sched;

	_Static_assert(offsetof(struct sched_policy, pick) == FN_PICK * sizeof(void *), "order");
	_Static_assert(offsetof(struct sched_policy, balance) == FN_IDLE * sizeof(void *), "order");
	for (unsigned i = 0; i < NR_FNS; i++)
		p->fn[i] = (struct policy_fn){ sched && i < FN_IDLE ? sched[i] : NULL, i };
	p->fn[FN_IDLE].code = d->idle ? d->idle->idle : NULL;
	p->fn[FN_EXIT].code = d->exit ? d->exit->exit : NULL;
	p->fn[FN_NODE].code = d->place ? d->place->node : NULL;
	p->fn[FN_MIGRATE_ROUND].code = d->migrate ? d->migrate->round : NULL;
	p->fn[FN_START].code = d->start;
	p->fn[FN_COUNTER].code = d->counter;
	p->balance = sched && d->sched->balance;
}

static int begin_load(struct policy_load *l)
{
	struct policy *p = l->p = kzalloc(sizeof(*p));

	l->why[0] = 0;
	if (!p)
		return -ENOMEM;
	while (p->slot < MAX_POLICIES && slots_used & BIT(p->slot))
		p->slot++;
	if (p->slot == MAX_POLICIES) {
		snprintf(l->why, MODULE_REASON, "there are %u modules already", MAX_POLICIES);
		return -ENOSPC;
	}
	slots_used |= BIT(p->slot);
	p->serial = ++serial;
	l->link = (struct module_link){ .file = l->file,
					.len = l->len,
					.base = arch_module_base(p->slot),
					.max = MODULE_MEM_MAX,
					.m = &p->mod,
					.reason = l->why };
	return -ERESTART;
}

static int alloc_memory(struct policy_load *l)
{
	l->p->nr_pages = (unsigned)(l->link.end >> PAGE_SHIFT);
	l->p->pages = l->link.to = alloc_pages(l->p->nr_pages, NODE_ANY);
	return l->link.to ? -ERESTART : -ENOMEM;
}

/* Adds the linked module to the registry. */
static int finish_load(struct policy_load *l)
{
	struct policy *p = l->p;
	int rc;

	if (!policy_allowed(p->mod.digest)) {
		snprintf(l->why, MODULE_REASON,
			 "its SHA-256 is not in the list of allowed modules");
		return -EPERM;
	}
	if (policy_find(p->mod.name)) {
		snprintf(l->why, MODULE_REASON, "module %s is loaded already", p->mod.name);
		return -EEXIST;
	}
	rc = arch_module_map(&p->mod, p->pages);
	if (rc)
		return rc;
	strcopy(p->summary, p->mod.desc->summary, sizeof(p->summary));
	copy_functions(p);
	list_add_tail(&p->link, &policies);
	arch_policy_nmis(true);
	(void)quiesce_start();	/* makes all CPUs see its pages read-only in the direct map */
	pr_info("policy %s loaded: %s\n", p->mod.name, p->summary);
	l->p = NULL;
	return 0;
}

void policy_load_cancel(struct policy_load *l)
{
	if (l->p)
		discard(l->p);
	l->p = NULL;
}

int policy_load_step(struct policy_load *l)
{
	int rc;

	if (!l->p) {
		rc = begin_load(l);
	} else if (l->link.end && !l->link.to) {
		rc = alloc_memory(l);
	} else if (!l->linked) {
		rc = module_link_step(&l->link);
		l->linked = !rc;
		rc = rc ? rc : -ERESTART;
	} else {
		rc = finish_load(l);
	}
	if (rc && rc != -ERESTART)
		policy_load_cancel(l);
	return rc;
}

static bool in_use(const struct policy *p)
{
	for (unsigned i = 0; i < nr_cpus; i++)
		for (unsigned j = 0; j < POINT_PLACE; j++)
			if (cpus[i]->policy[j] == p)
				return true;
	for (unsigned i = POINT_PLACE; i < NR_POINTS; i++)
		if (machine[i] == p)
			return true;
	return false;
}

static void set_policy(struct cpu *c, enum policy_point point, struct policy *p)
{
	trace(POLICY, NULL, point | (u64)c->id << 8, p ? p->serial : 0);
	if (point == POINT_SCHED)
		sched_set_policy(c, p);
	else
		WRITE_ONCE(c->policy[point], p);
	quiesce_raise(c, CPU_WORK_RESCHED);
}

int policy_unload(const char *name)
{
	struct policy *p = policy_find(name);

	if (!p)
		return -ENOENT;
	if (in_use(p))
		return -EBUSY;
	/*
	 * CPUs call modules only between two visits to the scheduler's loop: none is in a call
	 * after a grace period.
	 */
	if (!p->period) {
		p->ejected = true;
		p->period = quiesce_start();
	}
	if (!quiesce_over(p->period))
		return -ERESTART;
	if (!p->unmapped) {
		arch_module_unmap(&p->mod, p->pages);
		p->unmapped = true;
		p->period = quiesce_start();
		return -ERESTART;
	}
	list_del(&p->link);
	if (list_empty(&policies))
		arch_policy_nmis(false);
	pr_info("policy %s unloaded\n", p->mod.name);
	discard(p);
	return 0;
}

static bool decides(const struct policy *p, enum policy_point point)
{
	static const u8 needs[NR_POINTS] = { FN_PICK, FN_IDLE, FN_EXIT, FN_NODE, FN_MIGRATE_ROUND };

	return p->fn[needs[point]].code != NULL;
}

static int start_module(struct policy *p)
{
	s32 rc = 0;

	if (p->started)
		return 0;
	if (p->fn[FN_START].code)
		rc = (s32)policy_do(p, FN_START, nr_cpus, 0, 0, 0);
	if (p->ejected)
		return -EIO;
	if (rc < 0)
		return rc < -4095 ? -EINVAL : rc;
	p->started = true;
	return 0;
}

int policy_select(enum policy_point point, struct policy *p, const struct cpu_set *set)
{
	int rc = 0;
	unsigned i;

	if (p && !decides(p, point))
		return -EOPNOTSUPP;
	if (p && p->ejected)
		return -EPERM;
	if (point < POINT_PLACE && cpu_set_next(set, 0) == nr_cpus)
		return -EINVAL;
	if (p)
		rc = start_module(p);
	if (rc)
		return rc;
	if (point >= POINT_PLACE)
		WRITE_ONCE(machine[point], p);
	else
		for_each_cpu(i, set)
			set_policy(cpus[i], point, p);
	if (!p)
		return 0;
	p->selected++;
	smp_mb();
	if (p->ejected)		/* ejected meanwhile: remove the pointers again */
		clear_pointers(p);
	return 0;
}

/* Writes a list such as 0-3,5, as far as there is room. */
static void list_cpus(const struct cpu_set *set, char *list, size_t size)
{
	size_t n = 0;

	for (unsigned first = cpu_set_next(set, 0), end; first < nr_cpus && n < size;
	     first = cpu_set_next(set, end)) {
		for (end = first; end + 1 < nr_cpus && cpu_set_has(set, end + 1); end++)
			;
		n += (size_t)snprintf(list + n, size - n, n ? ",%u" : "%u", first);
		if (end++ > first && n < size)
			n += (size_t)snprintf(list + n, size - n, "-%u", end - 1);
	}
}

void policy_log_selection(enum policy_point point, const struct policy *p,
			  const struct cpu_set *set, const struct domain *by)
{
	char list[48] = "";

	if (opt.loglevel < LOG_INFO)
		return;
	if (point < POINT_PLACE)
		list_cpus(set, list, sizeof(list));
	pr_info("policy %s selected for %s%s%s by %s\n", p ? p->mod.name : "built-in",
		policy_point_names[point], list[0] ? " on CPUs " : "", list,
		by ? by->name : "its boot module");
}

int policy_set(struct policy *p, const struct domain *d, const char *name, u64 value)
{
	/* The module reads a copy, which no one changes and which outlives the call. */
	static char copy[32];
	s32 rc;

	if (!p->fn[FN_SET].code)
		return -EOPNOTSUPP;
	if (p->ejected)
		return -EPERM;
	rc = start_module(p);
	if (rc)
		return rc;
	strcopy(copy, name, sizeof(copy));
	rc = (s32)policy_do(p, FN_SET, d ? d->slot : POLICY_MAX_DOMAINS, (u64)copy, value, 0);
	if (p->ejected)
		return -EIO;
	return rc < -4095 || rc > 0 ? -EINVAL : rc;
}

/* Copies a string from an untrusted address. Fails if it leaves the module's memory. */
static bool copy_text(const struct policy *p, u64 at, char *to, size_t size)
{
	u64 end = p->mod.group[MODULE_DATA] + p->mod.size[MODULE_DATA];

	for (size_t i = 0; i < size; i++, at++) {
		if (at - p->mod.base >= end)
			return false;
		/*
		 * Read through the direct map, which has no gaps between the groups. The module may
		 * change the string.
		 */
		to[i] = (char)READ_ONCE(p->pages[at - p->mod.base]);
		if (!to[i])
			return true;
	}
	to[size - 1] = 0;
	return true;
}

bool policy_counter(struct policy *p, u32 i, char *name, u64 *value)
{
	struct cpu *c = this_cpu();
	u64 at;

	if (!p->fn[FN_COUNTER].code || p->ejected)
		return false;
	c->policy_answer = 0;
	at = policy_do(p, FN_COUNTER, i, (u64)&c->policy_answer, 0, 0);
	if (!at)
		return false;
	if (!copy_text(p, at, name, 32)) {
		policy_eject(p, "counter", "a name outside of the module");
		return false;
	}
	*value = c->policy_answer;
	return true;
}

u8 policy_node(u64 mem, unsigned vcpus, u8 own)
{
	static struct place_node nodes[MAX_NODES];	/* guests are built on one CPU at a time */
	struct policy *p = READ_ONCE(machine[POINT_PLACE]);
	struct domain *d;
	u32 node;

	if (!p)
		return own;
	for (unsigned n = 0; n < nr_nodes; n++)
		nodes[n] = (struct place_node){ .free = node_free_pages(n) << PAGE_SHIFT };
	for (unsigned i = 0; i < nr_cpus; i++)
		nodes[cpus[i]->node].nr_cpus += !cpus[i]->owner;
	spin_lock(&domains_lock);
	list_for_each(d, &domain_list, link)
		nodes[d->node].nr_vcpus += d->isolation ? 0 : d->nr_vcpus;
	spin_unlock(&domains_lock);
	node = (u32)policy_do(p, FN_NODE, (u64)nodes, nr_nodes, mem, vcpus);
	if (node >= nr_nodes)
		policy_eject(p, "node", "there is no node %u", node);
	return p->ejected ? own : (u8)node;
}

enum migrate_how policy_migrate(const struct migrate_round *r)
{
	struct policy *p = READ_ONCE(machine[POINT_MIGRATE]);
	enum migrate_how how;

	if (!p)
		return MIGRATE_AS_XEN;
	how = policy_do(p, FN_MIGRATE_ROUND, (u64)r, 0, 0, 0);
	if (how > MIGRATE_STOP)
		policy_eject(p, "round", "%u is nothing that the tools can do", how);
	return p->ejected ? MIGRATE_AS_XEN : how;
}

static int policy_domain_gone(struct domain *d)
{
	struct policy *p;

	if (!policy_control_enter())
		return -ERESTART;
	policy_load_gone(d);
	list_for_each(p, &policies, link)
		if (p->started && !p->ejected && p->fn[FN_DOMAIN_GONE].code)
			policy_do(p, FN_DOMAIN_GONE, d->slot, 0, 0, 0);
	policy_control_leave();
	return 0;
}

const struct domain_part policy_part = { .destroy = policy_domain_gone };

/* Functions for modules: on the policy stack, interrupts on, arguments untrusted. */
u64 policy_now(void)
{
	return now();
}

void policy_resched(u32 cpu)
{
	if (cpu >= nr_cpus)
		return;
	arch_irqs_off(); /* an interrupt between the two writes of an IPI may send an IPI */
	cpus[cpu]->repick = true;
	quiesce_raise(cpus[cpu], CPU_WORK_RESCHED);
	arch_irqs_on();
}

const char *policy_exit_name(u32 reason)
{
	return reason < NR_EXITS ? exit_names[reason] : NULL;
}

void policy_log(const char *text)
{
	static stime_t last;
	static u32 left_out;
	char copy[96];

	/* Copy first, without a lock: the copy may fault. */
	strcopy(copy, text, sizeof(copy));
	arch_irqs_off();
	if (now() - last > LOG_PAUSE_NS) {
		u32 n = atomic_xchg(&left_out, 0);

		last = now();
		if (n)
			printk("policies: lines left out: %u\n", n);
		printk("policy %s: %s\n", policy_called(this_cpu())->mod.name, copy);
	} else {
		atomic_add(&left_out, 1);
	}
	arch_irqs_on();
}
