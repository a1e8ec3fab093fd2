/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: an initial domain that crashes in the middle of what Xen's tools do, again and again:
 * domains half made, half destroyed or paused, pages and grant tables of others mapped, channels
 * bound, its own pages mapped by others. The next life ends all that; then as much memory must be
 * free as each time before. With friend=1 on the command line it is the guest
 * that refers to the control domain across its end.
 */
#define __XEN_TOOLS__ 1
#include "guest.h"

#include <xen/domctl.h>
#include <xen/sysctl.h>

#define REF		FIRST_GRANT
#define PORTS		4u
#define HOLES		64u
#define GUEST_KB	8192u

static struct xen_domctl op;
static uintptr_t holes;

static long domctl_of(struct xen_domctl *o, uint32_t cmd, unsigned int id)
{
	o->cmd = cmd;
	o->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	o->domain = (domid_t)id;
	return hypercall1(__HYPERVISOR_domctl, o);
}

static long domctl(uint32_t cmd, unsigned int id)
{
	return domctl_of(&op, cmd, id);
}

/* Finds the domain with the lowest id from *id on. Returns its flags, or 0 when there is none. */
static uint32_t next_domain(unsigned int *id)
{
	if (domctl(XEN_DOMCTL_getdomaininfo, *id))
		return 0;
	*id = op.domain;
	return op.u.getdomaininfo.flags | XEN_DOMINF_hvm_guest;
}

/* Domains of the scenario itself have the ids up to this one. */
static unsigned int boot_guests;

/* Destroys what the last life left, and lets the others run again. */
static void clean_up(void)
{
	for (unsigned int id = 1; next_domain(&id); id++) {
		if (id > boot_guests) {
			CHECK_RET(domctl(XEN_DOMCTL_destroydomain, id), 0);
			continue;
		}
		while (!domctl(XEN_DOMCTL_unpausedomain, id))
			;
	}
	for (unsigned int id = boot_guests + 1; next_domain(&id);)
		fail("domain %u cannot be destroyed: flags %x", id, op.u.getdomaininfo.flags);
}

static uint64_t free_pages(void)
{
	static struct xen_sysctl s = { .cmd = XEN_SYSCTL_physinfo,
				       .interface_version = XEN_SYSCTL_INTERFACE_VERSION };

	CHECK_RET(hypercall1(__HYPERVISOR_sysctl, &s), 0);
	return s.u.physinfo.free_pages;
}

/* Makes a domain as far as stage says. Returns its id, or 0. */
static unsigned int make_domain(struct xen_domctl *o, unsigned int stage)
{
	xen_pfn_t extents[4] = { 0, 512, 1024, 1536 };
	struct xen_memory_reservation r = { .nr_extents = 4, .extent_order = 9 };
	unsigned int id;

	memset(o, 0, sizeof(*o));
	o->u.createdomain.flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap;
	o->u.createdomain.max_vcpus = 2;
	o->u.createdomain.max_grant_frames = o->u.createdomain.max_maptrack_frames = 32;
	o->u.createdomain.grant_opts = XEN_DOMCTL_GRANT_version(1);
	o->u.createdomain.arch.emulation_flags = XEN_X86_EMU_LAPIC;
	if (domctl_of(o, XEN_DOMCTL_createdomain, 0))
		return 0;
	id = o->domain;
	o->u.max_vcpus.max = 2;
	if (stage > 0)
		CHECK_RET(domctl_of(o, XEN_DOMCTL_max_vcpus, id), 0);
	o->u.max_mem.max_memkb = GUEST_KB;
	CHECK_RET(domctl_of(o, XEN_DOMCTL_max_mem, id), 0);
	r.domid = (domid_t)id;
	set_xen_guest_handle(r.extent_start, extents);
	if (stage > 1)
		CHECK_RET(memory_op(XENMEM_populate_physmap, &r), 4);
	return id;
}

/* Returns a random hole without a mapping of another domain's page. */
static uintptr_t hole(void)
{
	uintptr_t where = holes + random_u64() % HOLES * PAGE_SIZE;
	struct xen_remove_from_physmap r = { .domid = DOMID_SELF, .gpfn = where >> PAGE_SHIFT };

	memory_op(XENMEM_remove_from_physmap, &r);
	return where;
}

static void map_grant_table(unsigned int id)
{
	xen_pfn_t frame = hole() >> PAGE_SHIFT;
	struct xen_mem_acquire_resource a = { .domid = (domid_t)id,
					      .type = XENMEM_resource_grant_table,
					      .nr_frames = 1 };

	set_xen_guest_handle(a.frame_list, &frame);
	memory_op(XENMEM_acquire_resource, &a);
}

/* Vandalism on the other vCPU, until the domain crashes. */
static void make_and_break(void)
{
	static struct xen_domctl o;

	for (;;) {
		unsigned int stage = (unsigned int)(random_u64() % 4), id = make_domain(&o, stage);

		for (unsigned int i = 0; stage > 1 && i < 8; i++)
			map_foreign((domid_t)id, random_u64() % 2048, hole());
		if (stage && random_u64() % 2)
			map_grant_table(id);
		if (random_u64() % 2)
			domctl_of(&o, XEN_DOMCTL_destroydomain, id);
	}
}

/* References of all kinds to a guest from a boot module. */
static void refer(unsigned int id)
{
	struct evtchn_alloc_unbound a = { .dom = (domid_t)id };
	static struct xen_hvm_param p;

	for (unsigned int i = 0; i < 16; i++)
		map_foreign((domid_t)id, 0x100 + i, hole());
	map_grant_table(id);
	if (!event_channel_op(EVTCHNOP_alloc_unbound, &a))
		CHECK(evtchn_bind_interdomain((domid_t)id, a.port) > 0, "no channel");
	p = (struct xen_hvm_param){ .domid = (domid_t)id, .index = HVM_PARAM_CONSOLE_EVTCHN };
	if (random_u64() % 2 && !hypercall2(__HYPERVISOR_hvm_op, HVMOP_get_param, &p))
		CHECK(evtchn_bind_interdomain((domid_t)id, (evtchn_port_t)p.value) > 0,
		      "domain %u does not lend its console", id);
	if (random_u64() % 2)
		CHECK_RET(domctl(XEN_DOMCTL_pausedomain, id), 0);
}

/* In the friend's page, which outlives us. */
struct kept {
	uint64_t lives, pages;
};

/*
 * As much memory must be free as when the second life had cleaned up, but for a page for each chunk
 * that Margay leaves split, and the heap's slack. Pages lost in each life add up.
 */
#define SLACK 16u

static void compare(const struct kept *kept, uint64_t pages)
{
	CHECK(pages + SLACK >= kept->pages && pages <= kept->pages + SLACK,
	      "life %lu: %lu pages free, not %lu", kept->lives, pages, kept->pages);
}

/* The last life ends when the others have; the friend stays as a zombie while we map its page. */
static void outlive(void)
{
	for (unsigned int id = 1; next_domain(&id); id++) {
		if (!(op.u.getdomaininfo.flags & XEN_DOMINF_dying)) {
			delay_ns(10000000);
			id = 0;
		}
	}
	pass();
}

static void live(void)
{
	grant_handle_t handle;
	uint64_t *page = page_alloc(1), pages, lives = cmdline_number("lives", 10);
	struct kept *kept = (struct kept *)hole_alloc(1);

	clean_up();
	for (uint64_t n = now_ns() / 1000 % 1000; n; n--)
		random_u64();	/* each life does something else */
	holes = hole_alloc(HOLES);
	delay_ns(20000000);	/* others' references to the last life end, too */
	pages = free_pages();
	grants_init();
	*page = now_ns();
	grant(REF, 1, page, 0);
	CHECK(WAIT_FOR(grant_in_use(REF), 10 * NS_PER_S), "the friend does not map the page");
	delay_ns(20000000);
	CHECK_RET(map_grant(1, REF, GNTMAP_host_map, (uintptr_t)kept, &handle), GNTST_okay);
	if (++kept->lives == 2)
		kept->pages = pages;
	if (kept->lives > 1)
		compare(kept, pages);
	if (kept->lives == lives)
		outlive();
	for (unsigned int id = 1; id <= boot_guests; id++)
		refer(id);
	CHECK(make_domain(&op, 0) && make_domain(&op, 1) && make_domain(&op, 2), "no domain");
	cpu_start(1, make_and_break);
	delay_ns(1000000 + random_u64() % 8000000);
	sched_shutdown(SHUTDOWN_crash);
}

/* Keeps the last control domain's page until there is another's. */
static void befriend(void)
{
	uint64_t end = now_ns() + cmdline_number("seconds", 10) * NS_PER_S, stamp = 0;
	volatile uint64_t *at[2] = { (void *)hole_alloc(1), (void *)hole_alloc(1) };
	uint64_t *page = page_alloc(1);
	grant_handle_t handle[2];
	unsigned int n = 0;

	grants_init();
	grant(REF, 0, page, 0);
	canary_init(128);
	while (now_ns() < end) {
		unsigned int i = n % 2;

		delay_ns(1000000);
		canary_check("a life of the control domain");
		CHECK(!n || *at[!i] == stamp, "the page of a dead domain has changed");
		if (map_grant(0, REF, GNTMAP_host_map, (uintptr_t)at[i], &handle[i]) != GNTST_okay)
			continue;
		if (n && *at[i] == stamp) {	/* still the same one's */
			CHECK_RET(unmap_grant((uintptr_t)at[i], handle[i]), GNTST_okay);
			continue;
		}
		stamp = *at[i];
		if (n)
			CHECK_RET(unmap_grant((uintptr_t)at[!i], handle[!i]), GNTST_okay);
		n++;
	}
	printf("%u control domains\n", n);
	pass();
}

int main(void)
{
	if (cmdline_number("friend", 0))
		befriend();
	boot_guests = (unsigned int)cmdline_number("guests", 2);
	live();
	fail("a crash returns");
}
