/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Domains: creation, shutdown, pause and teardown. The creator of a domain (the boot guests' code)
 * drives creation and destruction in bounded steps. parts.c knows the parts of a domain. A domain
 * that has shut down stays until its creator destroys it. domains_lock protects the list, d->lock
 * the pause count.
 */
#include <margay/evtchn.h>
#include <margay/domain_parts.h>
#include <margay/page_owner.h>
#include <margay/policy_registry.h>
#include <margay/quiesce.h>
#include <margay/sched.h>

#define HOLDS_AT_ONCE 128U

struct list domain_list = LIST_INIT(domain_list);
struct spinlock domains_lock = SPINLOCK_INIT(LOCK_DOMAINS);

static u64 slots[POLICY_MAX_DOMAINS / 64];
static domid_t last_id = FIRST_DOMID - 1;

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

void domain_put(struct domain *d)
{
	if (atomic_sub(&d->refs, 1))
		return;
	/* The domain is off the list and torn down, and nobody refers to it. */
	domain_parts_free(d);
	kfree(d);
}

/* Called with domains_lock. */
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

	while (n < POLICY_MAX_DOMAINS && test_bit(n, slots))
		n++;
	if (n == POLICY_MAX_DOMAINS)
		return -ENOSPC;
	set_bit(n, slots);
	d->slot = (u16)n;
	return 0;
}

struct domain *domain_create(const struct domain_config *config,
			     void (*on_shutdown)(struct domain *d))
{
	struct domain *d = kzalloc(sizeof(*d) + config->vcpus * sizeof(d->vcpus[0]));
	int rc;

	if (!d)
		return NULL;
	d->refs = 1;
	d->state = DOM_BUILDING;
	d->initial = config->initial;
	d->control = config->control;
	d->shutdown_code = SHUTDOWN_CODE_NONE;
	d->on_shutdown = on_shutdown;
	strcopy(d->name, config->name, sizeof(d->name));
	d->max_vcpus = config->vcpus;
	d->max_pages = config->pages;
	d->node = config->node == NODE_ANY ? choose_node(config) : config->node;
	spin_init(&d->lock, LOCK_DOMAIN);
	spin_lock(&domains_lock);
	rc = alloc_slot(d);
	if (!rc) {
		d->id = config->id == DOMID_INVALID ? next_id() : config->id;
		list_add_tail(&d->link, &domain_list);
	}
	spin_unlock(&domains_lock);
	if (!rc)
		return d;
	pr_err("guest %s: there are %u domains already\n", d->name, POLICY_MAX_DOMAINS);
	kfree(d);
	return NULL;
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
	d->on_shutdown(d);
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

/* Takes d off the list. The last domain_put() frees it. */
static void unlist(struct domain *d)
{
	guard(&domains_lock);
	list_del(&d->link);
	clear_bit(d->slot, slots);
}

int domain_destroy(struct domain *d)
{
	int rc;

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
	unlist(d);
	domain_put(d);
	return 0;
}

/* Writes the wall clock to shared_info and increments wc_version. */
static void update_wallclock(struct domain *d)
{
	struct shared_info *s = d->shared_info;
	struct shared_info_x86_32 *narrow = (void *)s;
	bool is_32bit = d->shared_32bit;
	u32 *version = is_32bit ? &narrow->wc_version : &s->wc_version, nsec;
	u64 sec;

	arch_wallclock(&sec, &nsec);
	WRITE_ONCE(*version, *version + 1);
	barrier();
	*(is_32bit ? &narrow->wc_sec : &s->wc_sec) = (u32)sec;
	*(is_32bit ? &narrow->arch.wc_sec_hi : &s->wc_sec_hi) = (u32)(sec >> 32);
	*(is_32bit ? &narrow->wc_nsec : &s->wc_nsec) = nsec;
	barrier();
	WRITE_ONCE(*version, *version + 1);
}

void domain_set_layout(struct domain *d, bool is_32bit)
{
	struct shared_info *s = d->shared_info;

	_Static_assert(offsetof(struct shared_info_x86_32, evtchn_mask) ==
			       offsetof(struct shared_info, evtchn_pending[1024 / 64]),
		       "the first 1024 ports are pending in the same bits");
	guard(&d->lock);
	if (d->shared_32bit != is_32bit) {
		memset(&s->evtchn_pending[1024 / 64], 0,
		       offsetof(struct shared_info, wc_version) -
			       offsetof(struct shared_info, evtchn_pending[1024 / 64]));
		d->shared_32bit = is_32bit;
		evtchn_update_layout(d);
	}
	update_wallclock(d);
}

static int shared_create(struct domain *d)
{
	d->shared_info = alloc_pages(1, d->node);
	if (!d->shared_info)
		return -ENOMEM;
	update_wallclock(d);
	return 0;
}

static void shared_free(struct domain *d)
{
	if (d->shared_info)
		free_page(d->shared_info);
}

const struct domain_part shared_part = { .create = shared_create, .free = shared_free };
