/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Domains: creation, shutdown, and tear-down in bounded steps. A domain that shuts down stops at once;
 * the CPU that reaps takes it apart later, a batch at a time, and builds it again if that is wanted.
 */
#include <margay/arch.h>
#include <margay/boot_guest.h>
#include <margay/boot_state.h>
#include <margay/console.h>
#include <margay/evtchn.h>
#include <margay/grant.h>
#include <margay/page_owner.h>
#include <margay/policy_registry.h>
#include <margay/printk.h>
#include <margay/sched.h>

#define REAP_PAUSE_NS 100000UL
#define RESTART_NS 1000000000UL	/* from one start of a guest to the next, at least */

struct list domain_list = LIST_INIT(domain_list);
struct spinlock domains_lock = SPINLOCK_INIT(LOCK_DOMAINS);

static struct timer reap_timer;
static unsigned restarts_due;	/* guests that will start again; only CPU 0 counts */
static u64 slots[POLICY_MAX_DOMAINS / 64];
static domid_t last_id = FIRST_DOMID - 1;

struct domain *domain_get(domid_t id)
{
	struct domain *d;

	guard(&domains_lock);
	list_for_each(d, &domain_list, link)
		/* One that is being built has not got all its parts yet. */
		if (d->id == id && (d->state == DOM_RUNNING || d->state == DOM_SHUTDOWN)) {
			domain_hold(d);
			return d;
		}
	return NULL;
}

void domain_put(struct domain *d)
{
	if (atomic_sub(&d->refs, 1))
		return;
	/* Off the list, torn down, and nobody holds it. */
	evtchn_free(d);
	grant_free(d);
	if (d->shared_info)
		free_page(d->shared_info);
	kfree(d);
}

/* Under domains_lock. */
static domid_t next_id(void)
{
	struct domain *d;

again:
	last_id = last_id + 1U < DOMID_FIRST_RESERVED ? (domid_t)(last_id + 1) : FIRST_DOMID;
	list_for_each(d, &domain_list, link)
		if (d->id == last_id)
			goto again;
	return last_id;
}

static int domain_init(struct domain *d)
{
	int rc;

	d->shared_info = alloc_pages(1, d->node);
	if (!d->shared_info)
		return -ENOMEM;
	rc = p2m_init(d);
	rc = rc ? rc : evtchn_init(d);
	rc = rc ? rc : grant_init(d);
	rc = rc ? rc : arch_domain_init(d);
	if (rc)
		return rc;
	while (d->nr_vcpus < d->spec.vcpus)
		if (vcpu_create(d))
			return -ENOMEM;
	domain_watchdog_init(d);
	domain_update_wallclock(d);
	return 0;
}

/* The node of the first CPU the guest is pinned to; else the one with most free memory. */
static u8 choose_node(const struct guest_spec *spec)
{
	struct cpu_set set;
	unsigned cpu, best = 0;

	if (spec->nr_pin) {
		guest_spec_affinity(spec, 0, &set);
		cpu = cpu_set_next(&set, 0);
		return cpu < nr_cpus ? cpus[cpu]->node : 0;
	}
	for (unsigned n = 1; n < nr_nodes; n++)
		if (node_free_pages(n) > node_free_pages(best))
			best = n;
	return policy_node(spec->mem, spec->vcpus, (u8)best);
}

/* The first number that no living domain has, for policies' arrays; with the domains' lock. */
static int take_slot(struct domain *d)
{
	unsigned n = 0;

	while (n < POLICY_MAX_DOMAINS && test_bit(n, slots))
		n++;
	if (n == POLICY_MAX_DOMAINS)
		return -ENOSPC;
	set_bit(n, slots);
	d->slot = (u16)n;
	return 0;
}

struct domain *domain_create(const struct guest_spec *spec)
{
	struct domain *d = kzalloc(sizeof(*d));
	int rc;

	if (!d)
		return NULL;
	d->refs = 1;
	d->state = DOM_BUILDING;
	d->initial = spec->initial;
	d->control = spec->control || spec->initial;
	d->shutdown_code = SHUTDOWN_CODE_NONE;
	strcopy(d->name, spec->name, sizeof(d->name));
	d->spec = *spec;
	d->node = choose_node(spec);
	d->max_pages = spec->mem >> PAGE_SHIFT;
	spin_init(&d->lock, LOCK_DOMAIN);
	spin_lock(&domains_lock);
	rc = take_slot(d);
	if (!rc) {
		d->id = spec->initial ? INITIAL_DOMID : next_id();
		list_add_tail(&d->link, &domain_list);
	}
	spin_unlock(&domains_lock);
	if (rc) {
		pr_err("guest %s: there are %u domains already\n", d->name, POLICY_MAX_DOMAINS);
		kfree(d);
		return NULL;
	}
	if (domain_init(d)) {
		pr_err("guest %s: not enough memory for its virtual CPUs and tables\n", d->name);
		domain_destroy(d);
		return NULL;
	}
	return d;
}

void domain_start(struct domain *d)
{
	d->vcpus[0]->initialised = true;
	d->boot->started = now();
	d->state = DOM_RUNNING;
	vcpu_up(d->vcpus[0]);
}

static const char *const shutdown_names[] = {
	"power-off", "reboot", "suspend", "crash", "watchdog", "soft reset",
};

static const char *shutdown_name(unsigned code)
{
	return code < ARRAY_SIZE(shutdown_names) ? shutdown_names[code] : "unknown";
}

void domain_shutdown(struct domain *d, unsigned code)
{
	if (!atomic_cas(&d->state, DOM_RUNNING, DOM_SHUTDOWN))
		return;
	if (d->shutdown_code == SHUTDOWN_CODE_NONE)
		d->shutdown_code = (u8)code;
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		vcpu_stop(d->vcpus[i]);
	cpu_raise(cpus[0], CPU_WORK_REAP);
}

void domain_crash(struct domain *d, struct vcpu *v, const char *why, ...)
{
	char text[160];
	va_list ap;

	if (d->state != DOM_RUNNING)
		return;
	va_start(ap, why);
	vsnprintf(text, sizeof(text), why, ap);
	va_end(ap);
	printk("guest %s crashed: %s\n", d->name, text);
	if (v)
		arch_vcpu_dump(v);
	domain_shutdown(d, SHUTDOWN_crash);
}

/* Off their CPUs, for good: who shuts a domain down may not be through with stopping them. */
static bool all_stopped(const struct domain *d)
{
	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		const struct vcpu *v = d->vcpus[i];

		if (!READ_ONCE(v->stopped) || READ_ONCE(v->on_cpu))
			return false;
	}
	return true;
}

/*
 * A CPU that looked a domain up (with a reference, or under a lock that is free again) before it began to
 * die may still be using its parts, which references do not keep. It is done when it has come to its loop.
 */
static u32 rounds_before[MAX_CPUS];

static void rounds_start(void)
{
	smp_mb();
	for (unsigned i = 0; i < nr_cpus; i++) {
		rounds_before[i] = cpus[i]->rounds;
		cpu_raise(cpus[i], CPU_WORK_RESCHED);
	}
}

static bool rounds_over(void)
{
	for (unsigned i = 0; i < nr_cpus; i++)
		if (cpus[i] != this_cpu() && cpus[i]->rounds == rounds_before[i])
			return false;
	return true;
}

static void stop_timers(struct domain *d)
{
	domain_watchdog_stop(d);
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		vcpu_timers_stop(d->vcpus[i]);
}

/* One bounded step of a dead domain's end; true when all is given back. */
static bool teardown_step(struct domain *d)
{
	bool done = true;

	switch (d->teardown_step) {
	case 0:
		done = all_stopped(d);
		if (!done)
			break;
		if (d->boot && opt.loglevel == LOGLEVEL_DEBUG)
			domain_show_exits(d);
		stop_timers(d);
		rounds_start();
		break;
	case 1:
		done = rounds_over() && console_drained(d);
		if (done)
			console_detach(d);
		break;
	case 2:
		done = !grant_teardown(d);
		break;
	case 3:
		done = !evtchn_teardown(d);
		break;
	case 4:
		while (d->nr_vcpus)
			vcpu_destroy(d->vcpus[--d->nr_vcpus]);
		break;
	case 5:
		done = policy_domain_gone(d);
		break;
	default:
		if (p2m_teardown(d))
			return false;
		arch_domain_free(d);
		return true;
	}
	d->teardown_step += done;
	return false;
}

/* Nobody finds it any more; it goes when the last reference does. */
static void unlist(struct domain *d)
{
	guard(&domains_lock);
	list_del(&d->link);
	clear_bit(d->slot, slots);
}

void domain_destroy(struct domain *d)
{
	d->state = DOM_DYING;
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		vcpu_stop(d->vcpus[i]);
	while (!teardown_step(d))
		;
	unlist(d);
	domain_put(d);
}

static void if_last_guest_gone(void)
{
	if (!list_empty(&domain_list) || restarts_due)
		return;
	if (opt.when_empty == WHEN_EMPTY_POWEROFF) {
		printk("no guests left: power off\n");
		arch_poweroff();
	}
	if (opt.when_empty == WHEN_EMPTY_REBOOT) {
		printk("no guests left: reboot\n");
		arch_reboot();
	}
	printk("no guests left\n");
}

static void start_again(struct timer *t)
{
	restarts_due--;
	boot_guest_start(container_of(t, struct boot_guest, restart));
	if_last_guest_gone();
}

/* The domain has ended and is off the list: what now. One that ends at once must not keep Margay busy. */
static void after_end(struct boot_guest *bg, unsigned code)
{
	stime_t again = bg->started + RESTART_NS, t = now();
	bool restart = false;

	if (code == SHUTDOWN_reboot)
		restart = bg->spec.on_reboot == GUEST_RESTART;
	else if (code == SHUTDOWN_crash || code == SHUTDOWN_watchdog)
		restart = bg->spec.on_crash == GUEST_RESTART;
	if (restart) {
		if (again > t)
			printk("guest %s ended soon after its start: starts again in %lu ms\n",
			       bg->spec.name, (again - t) / 1000000);
		restarts_due++;
		timer_init(&bg->restart, start_again);
		timer_set(&bg->restart, again);
	}
	if_last_guest_gone();
}

static struct domain *next_to_reap(void)
{
	struct domain *d;

	guard(&domains_lock);
	list_for_each(d, &domain_list, link)
		if (d->state == DOM_SHUTDOWN || (d->state == DOM_DYING && d->boot))
			return d;
	return NULL;
}

static void reap_again(struct timer *t __unused)
{
	cpu_raise(this_cpu(), CPU_WORK_REAP);
}

void domains_reap(void)
{
	struct domain *d = next_to_reap();
	struct boot_guest *bg;
	struct mem_stats st;
	stime_t begin = now(), took;
	unsigned code;

	if (!d)
		return;
	d->state = DOM_DYING;
	if (!reap_timer.fn)
		timer_init(&reap_timer, reap_again);
	if (!teardown_step(d)) {
		/* Scrubbing takes half of this CPU's time at most. */
		took = now() - begin;
		timer_set(&reap_timer, now() + max(took, (stime_t)REAP_PAUSE_NS));
		return;
	}
	unlist(d);
	bg = d->boot;
	code = d->shutdown_code;
	printk("guest %s ended: %s\n", d->name, shutdown_name(code));
	domain_put(d);
	mem_stats(&st);
	pr_info("%lu pages free\n", st.free_pages);
	after_end(bg, code);
	cpu_raise(this_cpu(), CPU_WORK_REAP);
}

void domain_update_wallclock(struct domain *d)
{
	struct shared_info *s = d->shared_info;
	u64 sec;
	u32 nsec;

	arch_wallclock(&sec, &nsec);
	s->wc_version++;
	barrier();
	s->wc_sec = (u32)sec;
	s->wc_sec_hi = (u32)(sec >> 32);
	s->wc_nsec = nsec;
	barrier();
	s->wc_version++;
}
