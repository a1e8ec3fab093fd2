/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of guests from boot modules: build, end, restart, and what happens after the last one.
 * Runs on the housekeeping CPU in the scheduler's loop, in bounded steps with pauses, so that the
 * vCPUs there make progress. Only this file uses a struct boot_guest, so there is no lock.
 */
#include <margay/boot_guest.h>
#include <margay/console.h>
#include <margay/domain_parts.h>
#include <margay/hold.h>
#include <margay/iommu.h>
#include <margay/isolate.h>
#include <margay/pci.h>
#include <margay/policy_registry.h>
#include <margay/sched.h>

#define STEP_NS 30000UL			/* small steps are batched up to this time */
#define PAUSE_NS 60000UL		/* minimum between batches */
#define RESTART_NS 1000000000UL		/* minimum between two starts of a guest */
#define RETRY_MAX 3             /* a failed restart is retried after up to 2^3 times that */

static struct list guests = LIST_INIT(guests);
static struct timer timer;

static void timer_fn(struct timer *t __unused)
{
	cpu_raise(this_cpu(), CPU_WORK_GUESTS);
}

static void guest_ended(struct domain *d __unused)
{
	cpu_raise(housekeeping_cpu, CPU_WORK_GUESTS);
}

/* A control domain destroys a boot guest: it ends, whatever its module says, for good. */
static void guest_unwanted(struct domain *d)
{
	atomic_store(&d->unwanted, true);
	domain_shutdown(d, SHUTDOWN_poweroff);
	guest_ended(d);		/* it may have been suspended */
}

static const struct domain_life guest_life = { guest_ended, guest_unwanted };

/* The control domain that has the devices does not get those that a guest of the boot wants. */
static void reserve_functions(const struct guest_spec *spec)
{
	const char *p = spec->pci_list;
	struct pci_function *f;
	u32 sbdf;

	while (p && !next_pci_function(&p, spec->pci_list + spec->pci_list_len, &sbdf)) {
		f = pci_find(sbdf);
		if (f)
			f->reserved = true;
	}
}

void boot_guest_add(struct boot_guest *bg)
{
	reserve_functions(&bg->spec);
	bg->state = GUEST_DUE;
	list_add_tail(&bg->link, &guests);
}

static const char *shutdown_name(unsigned code)
{
	static const char *const names[] = { "power-off", "reboot", "suspend", "crash", "watchdog",
					     "soft reset" };

	return code < ARRAY_SIZE(names) ? names[code] : "unknown";
}

/* A failed first start is final. A failed restart is retried, since memory may become free. */
static void after_failure(struct boot_guest *bg)
{
	stime_t wait = RESTART_NS << min(bg->refused++, (unsigned)RETRY_MAX);

	bg->state = bg->started ? GUEST_DUE : GUEST_OFF;
	bg->due = now() + wait;
	if (bg->started)
		printk("guest %s: retries the start in %lu s\n", bg->spec.name, wait / 1000000000);
}

/* A guest that ends at once must not keep Margay busy. */
static void after_end(struct boot_guest *bg, unsigned code, bool unwanted)
{
	stime_t t = now();
	struct mem_stats st;
	enum guest_action action = GUEST_DESTROY;
	bool restart;

	printk("guest %s ended: %s\n", bg->spec.name, shutdown_name(code));
	mem_stats(&st);
	pr_info("%lu MiB free (%lu pages)\n", st.free_pages >> (20 - PAGE_SHIFT), st.free_pages);
	if (code == SHUTDOWN_reboot && !unwanted)
		action = bg->spec.on_reboot;
	else if ((code == SHUTDOWN_crash || code == SHUTDOWN_watchdog) && !unwanted)
		action = bg->spec.on_crash;
	if (action == GUEST_MACHINE) {
		printk("guest %s: the machine reboots\n", bg->spec.name);
		arch_reboot();
	}
	restart = action == GUEST_RESTART;
	bg->state = restart ? GUEST_DUE : GUEST_OFF;
	bg->due = bg->started + RESTART_NS;
	if (restart && bg->due > t)
		printk("guest %s ended soon after its start: restarts in %lu ms\n", bg->spec.name,
		       (bg->due - t) / 1000000);
}

static void if_last_guest_gone(void)
{
	const struct boot_guest *bg;

	list_for_each(bg, &guests, link)
		if (bg->state != GUEST_OFF)
			return;
	if (!list_empty(&domain_list))
		return;
	if (opt.when_empty == WHEN_EMPTY_POWEROFF) {
		printk("no guests left: power off\n");
		hold_print();
		arch_poweroff();
	}
	if (opt.when_empty == WHEN_EMPTY_REBOOT) {
		printk("no guests left: reboot\n");
		arch_reboot();
	}
	printk("no guests left\n");
}

static bool gets_devices(const struct guest_spec *spec)
{
	bool safe = iommu_present();

	if (!spec->initial || opt.devices == DEVICES_NONE || (opt.devices == DEVICES_AUTO && !safe))
		return false;
	if (!safe)
		pr_warn("devices=insecure: %s has the devices, without IOMMU and DMA\n",
			spec->name);
	if (console_leave_screen())
		printk("the screen is guest %s's from now on\n", spec->name);
	return true;
}

/* Returns the node of the first function that the guest gets; NODE_ANY: not known, or none. */
static u8 function_node(const struct guest_spec *spec)
{
	const char *p = spec->pci_list;
	const struct pci_function *f;
	u32 sbdf;

	if (!p || next_pci_function(&p, spec->pci_list + spec->pci_list_len, &sbdf))
		return NODE_ANY;
	guard(&pci_lock);
	f = pci_find(sbdf);
	return f ? f->node : NODE_ANY;
}

static struct domain *guest_create(struct guest_spec *spec)
{
	struct domain_config config = {
		.id = spec->initial ? INITIAL_DOMID : DOMID_INVALID,
		.initial = spec->initial,
		.control = spec->control || spec->initial,
		.vcpus = spec->vcpus,
		.pages = spec->mem >> PAGE_SHIFT,
		.node = function_node(spec),
	};
	struct cpu_set set;
	struct domain *d;

	strcopy(config.name, spec->name, sizeof(config.name));
	if (spec->nr_pin) {
		guest_spec_affinity(spec, 0, &set);
		config.node = cpus[cpu_set_next(&set, 0)]->node;
	}
	if (domain_create(&config, &guest_life, &d))
		return NULL;
	d->hardware = gets_devices(spec);
	d->native = spec->dedicated;
	if (spec->dedicated && !spec->nr_pin && !isolate_choose(d, &spec->pin))
		spec->nr_pin = spec->vcpus;
	d->own_cpus = spec->dedicated && spec->nr_pin ? &spec->pin : NULL;
	d->trusted = spec->trusted;
	d->pmu = spec->dedicated || spec->pmu;
	if (d->trusted)
		pr_warn("guest %s: trusted, hence insecure:\n  it may send any CPU any interrupt\n",
			d->name);
	return d;
}

/* Applies pin= to the vCPUs created since the last call, or prefers CPUs near the guest's functions. */
static void pin_vcpus(struct boot_guest *bg)
{
	u8 node = bg->spec.nr_pin ? NODE_ANY : function_node(&bg->spec);
	const struct domain *d = bg->domain;
	struct cpu_set set, near = { 0 };

	for (unsigned i = 0; i < nr_cpus; i++)
		if (cpus[i]->node == node)
			cpu_set_add(&near, i);
	for (; bg->pinned < d->nr_vcpus; bg->pinned++) {
		guest_spec_affinity(&bg->spec, bg->pinned, &set);
		vcpu_set_affinity(d->vcpus[bg->pinned], &set);
		if (node != NODE_ANY && cpu_set_next(&near, 0) < nr_cpus)
			d->vcpus[bg->pinned]->soft_affinity = near;
	}
}

static void guest_begin(struct boot_guest *bg)
{
	struct mem_stats st;

	/* A guest that cannot fit must not take the memory of others before it fails. */
	mem_stats(&st);
	bg->stage = bg->pinned = 0;
	bg->built = false;
	bg->next_pci = bg->spec.pci_list;
	bg->domain = NULL;
	if (bg->spec.mem >> PAGE_SHIFT > st.free_pages)
		pr_err("guest %s: not started: %lu MiB wanted, %lu MiB free\n", bg->spec.name,
		       bg->spec.mem >> 20, st.free_pages >> (20 - PAGE_SHIFT));
	else
		bg->domain = guest_create(&bg->spec);
	if (bg->domain)
		bg->state = GUEST_BUILDING;
	else
		after_failure(bg);
}

/* Returns whether there is more to do. */
static bool map_trusted(struct domain *d)
{
	bool more = true;

	if (policy_control_enter()) {
		more = isolate_trusted(d);
		policy_control_leave();
	}
	return more;
}

struct cpu_set boot_guests_cpus(void)
{
	struct cpu_set set = { 0 };
	const struct boot_guest *bg;

	list_for_each(bg, &guests, link)
		for (unsigned i = 0;
		     bg->spec.dedicated && bg->state != GUEST_OFF && i < ARRAY_SIZE(set.bits); i++)
			set.bits[i] |= bg->spec.pin.bits[i];
	return set;
}

/* Gives the guest its CPUs. Not before all CPUs run their loops. */
static int dedicate(struct boot_guest *bg)
{
	int rc = bg->spec.dedicated ? -ERESTART : 0;

	if (rc && policy_control_enter()) {
		rc = isolate_dedicate(bg->domain, &bg->spec.pin);
		policy_control_leave();
	}
	if (rc && rc != -ERESTART)
		pr_err("guest %s: dedicated%s%.*s: %s\n", bg->spec.name,
		       bg->spec.pin_list ? "=" : "", (int)bg->spec.pin_list_len,
		       bg->spec.pin_list ? bg->spec.pin_list : "", isolate_why(rc));
	return rc;
}

/* Gives the guest its next PCI function. */
static int give_function(struct boot_guest *bg)
{
	const char *rest = bg->next_pci;
	struct domain *d = bg->domain;
	u32 sbdf;
	int rc = 0;

	if (bg->spec.pci && !d->vpci)
		rc = vpci_create(d);
	if (rc || !rest)
		return rc;
	(void)next_pci_function(&rest, bg->spec.pci_list + bg->spec.pci_list_len, &sbdf);
	rc = pci_assign(d, sbdf);
	if (rc == -ERESTART)
		return rc;
	if (rc) {
		pr_err("guest %s: does not get PCI function " PCI_FMT " (error %d):\n  %s\n",
		       d->name, PCI_ARGS(sbdf), -rc, pci_why(rc));
		return rc;
	}
	bg->next_pci = rest;
	return rest ? -ERESTART : 0;
}

static int build_step(struct boot_guest *bg)
{
	struct domain *d = bg->domain;
	int rc;

	if (bg->built)
		return give_function(bg);
	if (bg->stage) {
		rc = arch_build_guest(d, bg);
		bg->built = !rc;
		return rc ? rc : -ERESTART;
	}
	rc = domain_parts_create(d);
	pin_vcpus(bg);
	if (!rc)
		bg->stage = 1;
	else if (rc != -ERESTART)
		pr_err("guest %s: not enough memory for its virtual CPUs and tables\n", d->name);
	return rc ? rc : -ERESTART;
}

static void guest_build(struct boot_guest *bg)
{
	struct domain *d = bg->domain;
	int rc = build_step(bg);

	if (rc == -ERESTART)
		return;
	if (rc) {
		pr_err("guest %s: not started\n", d->name);
		bg->state = GUEST_ENDING;
		return;
	}
	pr_info("guest %s: domain %u, %u vCPU%s, %lu MiB\n", d->name, d->id, d->nr_vcpus,
		d->nr_vcpus == 1 ? "" : "s", d->max_pages >> 8);
	bg->state = GUEST_READY;
}

static void guest_start(struct boot_guest *bg)
{
	int rc = dedicate(bg);

	if (rc) {
		bg->state = rc == -ERESTART ? GUEST_READY : GUEST_ENDING;
		return;
	}
	bg->started = now();
	bg->refused = 0;
	bg->state = GUEST_RUNNING;
	domain_start(bg->domain);
}

static void guest_destroy(struct boot_guest *bg)
{
	unsigned code = bg->domain->shutdown_code;
	bool unwanted = bg->domain->unwanted;

	if (domain_destroy(bg->domain))
		return;
	if (code == SHUTDOWN_CODE_NONE)
		after_failure(bg);
	else
		after_end(bg, code, unwanted);
	if_last_guest_gone();
}

/* Returns when bg has run too long: option one_by_one. */
static stime_t guest_limit(const struct boot_guest *bg)
{
	return opt.one_by_one ? bg->started + opt.one_by_one * 1000000000UL : ~0UL;
}

static void guest_end(struct boot_guest *bg)
{
	if (opt.loglevel == LOGLEVEL_DEBUG || opt.report)
		domain_show_exits(bg->domain);
	bg->state = GUEST_ENDING;
}

/* Returns whether d waits for the control domain's tools, which resume or destroy it. */
static bool suspended(const struct domain *d)
{
	struct domain *tools puts_domain = domain_get(INITIAL_DOMID);

	return tools && READ_ONCE(d->state) == DOM_SHUTDOWN &&
	       d->shutdown_code == SHUTDOWN_suspend && !READ_ONCE(d->unwanted);
}

/*
 * Does a bounded step of bg's life. `busy`: another guest must come first. Returns false if there
 * is nothing to do.
 */
static bool guest_step(struct boot_guest *bg, bool busy)
{
	switch (bg->state) {
	case GUEST_DUE:
		if (busy || bg->due > now())
			return false;
		guest_begin(bg);
		return true;
	case GUEST_BUILDING:
		guest_build(bg);
		return true;
	case GUEST_READY:
		guest_start(bg);
		return true;
	case GUEST_RUNNING:
		if (now() >= guest_limit(bg))
			domain_shutdown(bg->domain, SHUTDOWN_watchdog);
		if (READ_ONCE(bg->domain->state) == DOM_RUNNING)
			return bg->domain->trusted && map_trusted(bg->domain);
		if (suspended(bg->domain))
			return false;
		guest_end(bg);
		return true;
	case GUEST_ENDING:
		guest_destroy(bg);
		return true;
	default:
		return false;
	}
}

/* Does a step of the next guest, round robin, that has one. */
static bool guests_step_next(void)
{
	struct boot_guest *bg;
	bool busy = false;

	list_for_each(bg, &guests, link)
		busy |= bg->state == GUEST_BUILDING || (opt.one_by_one && bg->state > GUEST_DUE);
	list_for_each(bg, &guests, link)
		if (guest_step(bg, busy)) {
			list_del(&bg->link);
			list_add_tail(&bg->link, &guests);
			return true;
		}
	return false;
}

static stime_t next_work(void)
{
	const struct boot_guest *bg;
	stime_t next = ~0UL;

	list_for_each(bg, &guests, link)
		if (opt.one_by_one && bg->state == GUEST_RUNNING)
			return guest_limit(bg);
		else if (bg->state == GUEST_DUE)
			next = min(next, bg->due);
	return next;
}

void boot_guests_work(void)
{
	stime_t from = now(), next;
	bool more;

	domain_raise_virqs();
	do
		more = guests_step_next();
	while (more && now() - from < STEP_NS);
	next = next_work();
	if (more)	/* use at most half of this CPU's time */
		next = now() + max(now() - from, (stime_t)PAUSE_NS);
	if (next != ~0UL)
		timer_set(&timer, next);
}

unsigned boot_guests_start(void)
{
	struct boot_guest *bg;
	unsigned n = 0;

	timer_init(&timer, timer_fn);
	/* Build all before one runs: scrubbing takes long, and this CPU's guests would wait. */
	list_for_each(bg, &guests, link) {
		if (!opt.one_by_one)
			guest_begin(bg);
		while (bg->state == GUEST_BUILDING)
			guest_build(bg);
		n += opt.one_by_one || bg->state == GUEST_READY;
	}
	/* From here on, the housekeeping CPU has the guests. It starts them. */
	cpu_raise(housekeeping_cpu, CPU_WORK_GUESTS);
	return n;
}
