/* SPDX-License-Identifier: BSD-2-Clause */
/* Domains without a machine, for unit tests. A page is an index into an arena. See mock_guest.h. */
#include "mock_guest.h"

#include <margay/domain_parts.h>
#include <margay/hypercall.h>
#include <margay/sched.h>
#include <x86/vlapic.h>

struct domain *mock_dom[MOCK_DOMAINS + 1];
unsigned mock_wakes[MOCK_DOMAINS + 1][MOCK_VCPUS];
unsigned mock_posts[MOCK_DOMAINS + 1][MOCK_VCPUS];
int mock_vector = -1;
int mock_alloc_left = -1;

static u8 arena[MOCK_PAGES][PAGE_SIZE] __attribute__((aligned(4096)));
u8 *host_directmap = arena[0];
static struct mock_page {
	bool used;
	u16 owner;
	unsigned refs; /* references besides the owner's */
	bool given_up; /* the owner has freed it; only references keep it */
} page[MOCK_PAGES];

static struct p2m_entry p2m[MOCK_DOMAINS + 1][MOCK_GFNS];
static unsigned heap_objects;
static struct cpu cpu0;
struct cpu *host_cpu = &cpu0;

static bool may_alloc(void)
{
	if (mock_alloc_left > 0)
		return mock_alloc_left--;
	return mock_alloc_left < 0;
}

static mfn_t page_new(u16 owner)
{
	mfn_t m;

	for (m = 1; m < MOCK_PAGES; m++) {
		if (page[m].used)
			continue;
		page[m] = (struct mock_page){ .used = true, .owner = owner };
		memset(arena[m], 0, PAGE_SIZE);
		return m;
	}
	fail_msg("the test uses too many pages");
	return 0;
}

static void page_check(mfn_t mfn)
{
	if (mfn >= MOCK_PAGES || !page[mfn].used)
		fail_msg("page %lx is used after it was freed", (unsigned long)mfn);
}

void *alloc_pages(unsigned n, unsigned node)
{
	(void)node;
	assert_int_equal(n, 1);
	return may_alloc() ? arena[page_new(OWNER_MARGAY)] : NULL;
}

void free_pages(void *va, unsigned n)
{
	mfn_t m = virt_to_mfn(va);

	assert_int_equal(n, 1);
	page_check(m);
	assert_int_equal(page[m].owner, OWNER_MARGAY);
	page[m].used = false;
}

void *dom_alloc_meta(struct domain *d, unsigned n)
{
	void *p = alloc_pages(n, d->node);

	d->meta_pages += !!p;
	return p;
}

void dom_free_meta(struct domain *d, void *p, unsigned n)
{
	assert_true(d->meta_pages--);
	free_pages(p, n);
}

void __attribute__((weak)) p2m_flush(struct domain *d)
{
	(void)d;
}

void *kzalloc(size_t size)
{
	if (!may_alloc())
		return NULL;
	heap_objects++;
	return calloc(1, size);
}

void kfree(void *p)
{
	if (p)
		heap_objects--;
	free(p);
}

int page_get(const struct domain *d, mfn_t mfn)
{
	page_check(mfn);
	if (page[mfn].owner != d->id)
		return -EINVAL;
	page[mfn].refs++;
	return 0;
}

void page_put(struct domain *d, mfn_t mfn)
{
	page_check(mfn);
	assert_int_equal(page[mfn].owner, d->id);
	assert_true(page[mfn].refs > 0);
	if (!--page[mfn].refs && page[mfn].given_up)
		page[mfn].used = false;
}

u16 page_owner(mfn_t mfn)
{
	page_check(mfn);
	return page[mfn].owner;
}

void dom_free(struct domain *d, mfn_t mfn, unsigned order)
{
	page_check(mfn);
	assert_int_equal(order, 0);
	assert_int_equal(page[mfn].owner, d->id);
	assert_false(page[mfn].given_up);
	page[mfn].given_up = true;
	if (!page[mfn].refs)
		page[mfn].used = false;
}

mfn_t mock_page(struct domain *d)
{
	return page_new(d->id);
}

mfn_t mock_ram(struct domain *d, gfn_t gfn)
{
	mfn_t m = page_new(d->id);

	p2m[d->id][gfn] = (struct p2m_entry){ .mfn = m, .type = P2M_RAM };
	return m;
}

unsigned mock_page_refs(mfn_t mfn)
{
	return page[mfn].refs;
}

unsigned mock_pages_in_use(void)
{
	unsigned m, n = 0;

	for (m = 0; m < MOCK_PAGES; m++)
		n += page[m].used;
	return n;
}

struct p2m_entry p2m_lookup(struct domain *d, gfn_t gfn)
{
	return gfn < MOCK_GFNS ? p2m[d->id][gfn] : (struct p2m_entry){ .type = P2M_NONE };
}

bool p2m_mark_dirty(struct domain *d, gfn_t gfn)
{
	d->p2m.log.dirty += p2m_lookup(d, gfn).type == P2M_RAM;
	return true;
}

int p2m_unmap(struct domain *d, gfn_t gfn, u32 types)
{
	struct p2m_entry e = p2m_lookup(d, gfn);

	if (e.type == P2M_NONE)
		return -ENOENT;
	if (!(types >> e.type & 1))
		return -EINVAL;
	p2m[d->id][gfn].type = P2M_NONE;
	if (e.type == P2M_RAM)
		dom_free(d, e.mfn, 0);
	return 0;
}

unsigned p2m_unmap_pages(struct domain *d, gfn_t gfn, unsigned n, u32 types)
{
	unsigned i = 0;

	assert_true(n <= P2M_BATCH);
	while (i < n && !p2m_unmap(d, gfn + i, types))
		i++;
	return i;
}

int p2m_map(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned order, enum p2m_type type)
{
	assert_int_equal(order, 0);
	if (gfn >= MOCK_GFNS)
		return -EINVAL;
	if (p2m_transient(p2m_lookup(d, gfn).type))
		return -EINVAL;
	if (!may_alloc())
		return -ENOMEM;
	p2m_unmap(d, gfn, ~0U);
	p2m[d->id][gfn] = (struct p2m_entry){ .mfn = mfn, .type = type };
	return 0;
}

int p2m_map_over(struct domain *d, gfn_t gfn, mfn_t mfn, enum p2m_type type, u32 over)
{
	enum p2m_type before = p2m_lookup(d, gfn).type;

	return before != P2M_NONE && !(over >> before & 1) ? -EINVAL :
							     p2m_map(d, gfn, mfn, 0, type);
}

int p2m_detach(struct domain *d, gfn_t gfn, u32 types, struct p2m_entry *old)
{
	*old = p2m_lookup(d, gfn);
	if (old->type == P2M_NONE)
		return -ENOENT;
	if (!(types >> old->type & 1))
		return -EINVAL;
	p2m[d->id][gfn].type = P2M_NONE;
	return 0;
}

int p2m_get_page(struct domain *d, gfn_t gfn, mfn_t *mfn)
{
	struct p2m_entry e = p2m_lookup(d, gfn);

	*mfn = e.mfn;
	return e.type == P2M_RAM ? page_get(d, e.mfn) : -EINVAL;
}

unsigned p2m_max_order(void)
{
	return 9;
}

/* The mock's p2m_unmap() does not drop the references: the tests do. */
int p2m_map_foreign(struct domain *d, gfn_t gfn, mfn_t mfn, const struct domain *rd, u32 over)
{
	(void)rd;
	return p2m_map_over(d, gfn, mfn, P2M_FOREIGN, over);
}

void mem_stats(struct mem_stats *st)
{
	*st = (struct mem_stats){ .total_pages = MOCK_PAGES, .free_pages = MOCK_PAGES };
}

struct domain *domain_get(domid_t id)
{
	struct domain *d = id >= 1 && id <= MOCK_DOMAINS ? mock_dom[id] : NULL;

	if (!d || d->state != DOM_RUNNING)
		return NULL;
	d->refs++;
	return d;
}

/* mock_destroy() drops the mock's own reference. Until then refs is at least 1. */
void domain_put(struct domain *d)
{
	unsigned i;

	assert_false(spin_is_locked(&d->lock));
	assert_true(d->refs > 0);
	if (--d->refs)
		return;
	evtchn_part.free(d);
	grant_part.free(d);
	for (i = 0; i < MOCK_VCPUS; i++)
		free(d->vcpus[i]);
	mock_dom[d->id] = NULL;
	free_page(d->shared_info);
	assert_int_equal(d->meta_pages, 0);
	free(d);
}

void mock_destroy(struct domain *d)
{
	gfn_t gfn;

	d->state = DOM_DYING;
	while (evtchn_part.destroy(d) == -ERESTART)
		;
	while (grant_part.destroy(d) == -ERESTART)
		;
	for (gfn = 0; gfn < MOCK_GFNS; gfn++)
		p2m_unmap(d, gfn, ~0U);
	domain_put(d);
}

struct vcpu *domain_vcpu(struct domain *d, u32 id)
{
	return id < d->nr_vcpus ? d->vcpus[id] : NULL;
}

void vcpu_wake(struct vcpu *v)
{
	mock_wakes[v->domain->id][v->id]++;
}

void vcpu_post(struct vcpu *v, u32 work)
{
	assert_int_equal(work, VCPU_WORK_EVENT);
	mock_posts[v->domain->id][v->id]++;
}

bool arch_vcpu_interrupt(struct vcpu *v, u8 vector)
{
	(void)v;
	mock_vector = vector;
	return true;
}

void arch_vcpu_upcall(struct vcpu *v) { arch_vcpu_interrupt(v, v->upcall_vector); }

void spin_wait(const struct spinlock *l)
{
	assert_false(spin_is_locked(l));
}

void mock_clear_events(void)
{
	unsigned i, j;

	memset(mock_wakes, 0, sizeof(mock_wakes));
	memset(mock_posts, 0, sizeof(mock_posts));
	mock_vector = -1;
	for (i = 1; i <= MOCK_DOMAINS; i++) {
		if (!mock_dom[i])
			continue;
		memset(mock_dom[i]->shared_info->evtchn_pending, 0,
		       sizeof(mock_dom[i]->shared_info->evtchn_pending));
		for (j = 0; j < MOCK_VCPUS; j++) {
			mock_dom[i]->vcpus[j]->info->evtchn_pending_sel = 0;
			mock_dom[i]->vcpus[j]->info->evtchn_upcall_pending = 0;
		}
	}
}

int mock_setup(void **state)
{
	unsigned i, j;

	(void)state;
	mock_alloc_left = -1;
	for (i = 1; i <= MOCK_DOMAINS; i++) {
		struct domain *d = calloc(1, sizeof(*d) + MOCK_VCPUS * sizeof(d->vcpus[0]));

		d->id = (domid_t)i;
		d->refs = 1;
		d->state = DOM_RUNNING;
		snprintf(d->name, sizeof(d->name), "d%u", i);
		d->shared_info = alloc_page();
		d->nr_vcpus = MOCK_VCPUS;
		for (j = 0; j < MOCK_VCPUS; j++) {
			struct vcpu *v = calloc(1, sizeof(*v));

			v->domain = d;
			v->id = j;
			v->info = &d->shared_info->vcpu_info[j];
			d->vcpus[j] = v;
		}
		mock_dom[i] = d;
		assert_int_equal(evtchn_part.create(d), 0);
		assert_int_equal(grant_part.create(d), 0);
	}
	mock_clear_events();
	host_log_clear();
	return 0;
}

int mock_teardown(void **state)
{
	unsigned i;

	(void)state;
	mock_alloc_left = -1;
	for (i = 1; i <= MOCK_DOMAINS; i++)
		if (mock_dom[i])
			mock_destroy(mock_dom[i]);
	for (i = 1; i <= MOCK_DOMAINS; i++)
		assert_null(mock_dom[i]);
	assert_int_equal(mock_pages_in_use(), 0);
	assert_int_equal(heap_objects, 0);
	return 0;
}
