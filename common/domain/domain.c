/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Domains: creation, shutdown, pause and teardown. The creator of a domain (the boot guests' code)
 * drives creation and destruction in bounded steps. parts.c knows the parts of a domain. A domain
 * that has shut down stays until its creator destroys it. domains_lock protects the list, d->lock
 * the pause count.
 */
#include <margay/evtchn.h>
#include <margay/domain_parts.h>
#include <margay/evtchn.h>
#include <margay/page_owner.h>
#include <margay/policy_registry.h>
#include <margay/quiesce.h>
#include <margay/sched.h>

#define HOLDS_AT_ONCE 128U
#define WEIGHT_DEFAULT 256

struct list domain_list = LIST_INIT(domain_list);
struct spinlock domains_lock = SPINLOCK_INIT(LOCK_DOMAINS);

struct domain *domain_slots[POLICY_MAX_DOMAINS];
static domid_t last_id = FIRST_DOMID - 1;

/* Takes a reference unless the last one is gone and domain_put() frees d. With domains_lock. */
static bool hold_listed(struct domain *d)
{
	u32 refs;

	do
		refs = READ_ONCE(d->refs);
	while (refs && !atomic_cas(&d->refs, refs, refs + 1));
	return refs;
}

struct domain *domain_get(domid_t id)
{
	struct domain *d;

	guard(&domains_lock);
	list_for_each(d, &domain_list, link)
		/* A domain that is being built does not have all its parts yet. */
		if (d->id == id && (d->state == DOM_RUNNING || d->state == DOM_SHUTDOWN)) {
			domain_hold(d);
			return d;
		}
	return NULL;
}

/* Prefers a live domain: an initial domain may start while references keep the last one. */
struct domain *domain_find(domid_t id)
{
	struct domain *d = domain_get(id);

	if (d)
		return d;
	guard(&domains_lock);
	list_for_each(d, &domain_list, link)
		if (d->id == id && hold_listed(d))
			return d;
	return NULL;
}

struct domain *domain_next(u32 from)
{
	struct domain *d, *best;

	guard(&domains_lock);
	do {
		best = NULL;
		list_for_each(d, &domain_list, link)
			/* The last of its id: earlier ones are initial domains that have ended. */
			if (d->id >= from && READ_ONCE(d->refs) && (!best || d->id <= best->id))
				best = d;
	} while (best && !hold_listed(best));
	return best;
}

static u32 virqs_wanted;

void domain_tell_control(unsigned virq)
{
	atomic_or(&virqs_wanted, 1U << virq);
	cpu_raise(housekeeping_cpu, CPU_WORK_GUESTS);
}

void domain_raise_virqs(void)
{
	u32 wanted = READ_ONCE(virqs_wanted) ? atomic_xchg(&virqs_wanted, 0) : 0;
	struct domain *d;

	if (likely(!wanted))
		return;
	d = domain_get(INITIAL_DOMID);
	if (!d)
		return;
	for (unsigned i = 0; i < NR_VIRQS; i++)
		if (wanted & 1U << i)
			evtchn_virq(d->vcpus[0], i);
	domain_put(d);
}

/* Takes d off the list. */
static void unlist(struct domain *d)
{
	guard(&domains_lock);
	list_del(&d->link);
	domain_slots[d->slot] = NULL;
}

void domain_put(struct domain *d)
{
	if (atomic_sub(&d->refs, 1))
		return;
	/* The domain is torn down, and nobody refers to it. */
	unlist(d);
	domain_parts_free(d);
	kfree(d);
	domain_tell_control(VIRQ_DOM_EXC);
}

/* Called with domains_lock. Others may keep references to the last initial domain. */
static bool id_taken(domid_t id)
{
	struct domain *d;

	list_for_each(d, &domain_list, link)
		if (d->id == id && (id != INITIAL_DOMID || d->state != DOM_DEAD))
			return true;
	return false;
}

/* Called with domains_lock. */
static domid_t next_id(void)
{
again:
	last_id = last_id + 1U < DOMID_FIRST_RESERVED ? (domid_t)(last_id + 1) : FIRST_DOMID;
	if (id_taken(last_id))
		goto again;
	return last_id;
}

/* Returns the node with the most free memory, or the policy's choice. */
static u8 choose_node(const struct domain_config *config)
{
	unsigned best = 0;

	for (unsigned n = 1; n < nr_nodes; n++)
		if (node_free_pages(n) > node_free_pages(best))
			best = n;
	return policy_node(config->pages << PAGE_SHIFT, config->vcpus, (u8)best);
}

/* Takes the lowest unused slot, for arrays of policies. Called with domains_lock. */
static int alloc_slot(struct domain *d)
{
	unsigned n = 0;

	while (n < POLICY_MAX_DOMAINS && domain_slots[n])
		n++;
	if (n == POLICY_MAX_DOMAINS)
		return -ENOSPC;
	domain_slots[n] = d;
	d->slot = (u16)n;
	return 0;
}

int domain_create(const struct domain_config *config, const struct domain_life *life,
		  struct domain **out)
{
	struct domain *d = kzalloc(sizeof(*d) + config->vcpus * sizeof(d->vcpus[0]));
	int rc;

	if (!d)
		return -ENOMEM;
	d->refs = 1;
	d->state = DOM_BUILDING;
	d->initial = config->initial;
	d->control = config->control;
	d->shutdown_code = SHUTDOWN_CODE_NONE;
	d->life = life;
	strcopy(d->name, config->name, sizeof(d->name));
	d->max_vcpus = config->vcpus;
	d->max_pages = config->pages;
	d->weight = WEIGHT_DEFAULT;
	d->node = config->node == NODE_ANY ? choose_node(config) : config->node;
	spin_init(&d->lock, LOCK_DOMAIN);
	spin_init(&d->on_demand_lock, LOCK_ON_DEMAND);
	spin_lock(&domains_lock);
	rc = config->id != DOMID_INVALID && id_taken(config->id) ? -EEXIST : alloc_slot(d);
	if (!rc) {
		d->id = config->id == DOMID_INVALID ? next_id() : config->id;
		list_add_tail(&d->link, &domain_list);
	}
	spin_unlock(&domains_lock);
	if (!rc) {
		*out = d;
		return 0;
	}
	if (rc == -ENOSPC)
		pr_err("guest %s: there are %u domains already\n", d->name, POLICY_MAX_DOMAINS);
	kfree(d);
	return rc;
}

void domain_start(struct domain *d)
{
	d->vcpus[0]->initialised = true;
	d->state = DOM_RUNNING;
	vcpu_up(d->vcpus[0]);
}

/*
 * Holds the next vCPUs of a domain that ends, the current one first. Returns -ERESTART until all
 * are held: a large guest takes several steps, so its other vCPUs may run a little longer.
 */
static int hold_some(struct domain *d)
{
	const struct vcpu *v = this_cpu()->current;
	unsigned left = HOLDS_AT_ONCE;

	if (!d->held)
		d->first_held = v && v->domain == d ? v->id : 0;
	for (; d->held < d->nr_vcpus && left--; d->held++)
		vcpu_hold(d->vcpus[(d->first_held + d->held) % d->nr_vcpus], 1);
	return d->held < d->nr_vcpus ? -ERESTART : 0;
}

void domain_shutdown(struct domain *d, unsigned code)
{
	if (!atomic_cas(&d->state, DOM_RUNNING, DOM_SHUTDOWN))
		return;
	if (d->shutdown_code == SHUTDOWN_CODE_NONE)
		d->shutdown_code = (u8)code;
	(void)hold_some(d);
	d->life->ended(d);
	domain_tell_control(VIRQ_DOM_EXC);
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

void domain_pause(struct domain *d)
{
	guard(&d->lock);
	for (unsigned i = 0; !d->pauses && i < d->nr_vcpus; i++)
		vcpu_hold(d->vcpus[i], 1);
	d->pauses++;
}

void domain_unpause(struct domain *d)
{
	guard(&d->lock);
	BUG_ON(!d->pauses);
	d->pauses--;
	for (unsigned i = 0; !d->pauses && i < d->nr_vcpus; i++)
		vcpu_release(d->vcpus[i]);
}

bool domain_off_cpus(const struct domain *d)
{
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		if (!READ_ONCE(d->vcpus[i]->holds) || READ_ONCE(d->vcpus[i]->on_cpu))
			return false;
	return true;
}

int domain_stopped(struct domain *d)
{
	if (d->state == DOM_SHUTDOWN ? hold_some(d) : !d->pauses)
		return d->state == DOM_SHUTDOWN ? -ERESTART : -EINVAL;
	return domain_off_cpus(d) ? 0 : -ERESTART;
}

int domain_resume(struct domain *d)
{
	int rc = d->state == DOM_SHUTDOWN ? domain_stopped(d) : 0;

	if (rc || !atomic_cas(&d->state, DOM_SHUTDOWN, DOM_RUNNING))
		return rc;
	d->shutdown_code = SHUTDOWN_CODE_NONE;
	d->held = 0;
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		vcpu_release(d->vcpus[i]);
	return 0;
}

int domain_destroy(struct domain *d)
{
	int rc;

	if (d->state == DOM_DEAD)
		return 0;
	atomic_store(&d->state, DOM_DYING);
	if (hold_some(d) || !domain_off_cpus(d))
		return -ERESTART;
	/*
	 * References do not keep the parts. A CPU that looked d up earlier may use them until a
	 * grace period is over.
	 */
	if (!d->period)
		d->period = quiesce_start();
	if (!quiesce_over(d->period))
		return -ERESTART;
	rc = domain_parts_destroy(d);
	if (rc)
		return rc;
	atomic_store(&d->state, DOM_DEAD);
	domain_tell_control(VIRQ_DOM_EXC);
	domain_put(d);
	return 0;
}

/* Writes the wall clock to shared_info and increments wc_version. Called with domains_lock. */
static void update_wallclock(struct domain *d)
{
	struct shared_info *s = d->shared_info;
	struct shared_info_x86_32 *narrow = (void *)s;
	bool is_32bit = d->shared_32bit;
	u32 *version = is_32bit ? &narrow->wc_version : &s->wc_version;
	u64 ns = arch_wallclock(), sec = ns / NS_PER_S;

	WRITE_ONCE(*version, *version + 1);
	barrier();
	*(is_32bit ? &narrow->wc_sec : &s->wc_sec) = (u32)sec;
	*(is_32bit ? &narrow->arch.wc_sec_hi : &s->wc_sec_hi) = (u32)(sec >> 32);
	*(is_32bit ? &narrow->wc_nsec : &s->wc_nsec) = (u32)(ns % NS_PER_S);
	barrier();
	WRITE_ONCE(*version, *version + 1);
}

void domain_set_layout(struct domain *d, bool is_32bit)
{
	struct shared_info *s = d->shared_info;

	_Static_assert(offsetof(struct shared_info_x86_32, evtchn_mask) ==
			       offsetof(struct shared_info, evtchn_pending[1024 / 64]),
		       "the first 1024 ports are pending in the same bits");
	guard(&domains_lock);
	spin_lock(&d->lock);
	if (d->shared_32bit != is_32bit) {
		memset(&s->evtchn_pending[1024 / 64], 0,
		       offsetof(struct shared_info, wc_version) -
			       offsetof(struct shared_info, evtchn_pending[1024 / 64]));
		d->shared_32bit = is_32bit;
		evtchn_update_layout(d);
	}
	spin_unlock(&d->lock);
	update_wallclock(d);
}

static int shared_create(struct domain *d)
{
	d->shared_info = alloc_pages(1, d->node);
	if (!d->shared_info)
		return -ENOMEM;
	guard(&domains_lock);
	update_wallclock(d);
	return 0;
}

void domain_set_wallclock(u64 ns)
{
	struct domain *d;

	guard(&domains_lock);
	arch_set_wallclock(ns);
	list_for_each(d, &domain_list, link)
		if (d->shared_info)
			update_wallclock(d);
}

static void shared_free(struct domain *d)
{
	if (d->shared_info)
		free_page(d->shared_info);
}

const struct domain_part shared_part = { .create = shared_create, .free = shared_free };
