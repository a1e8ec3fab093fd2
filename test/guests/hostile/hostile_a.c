/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: the attacker of a pair; `bystander` runs beside it. For some seconds it tries to bind
 * to, send to, map from, and shut down every other domain. All attempts must be refused.
 */
#include "guest.h"

#define DOMAINS	16u
#define PORTS	128u
#define REFS	32u

static domid_t self;
static unsigned int tries;

static void refused(const char *what, domid_t dom, long ret)
{
	tries++;
	CHECK(ret < 0, "%s of domain %u was allowed: %ld", what, dom, ret);
}

static void attack(domid_t dom, uintptr_t where)
{
	struct sched_remote_shutdown remote = { .domain_id = dom, .reason = SHUTDOWN_crash };
	struct evtchn_alloc_unbound au = { .dom = dom, .remote_dom = self };
	struct evtchn_status st = { .dom = dom, .port = 1 };
	struct evtchn_reset reset = { .dom = dom };
	struct xen_hvm_param param = { .domid = dom, .index = HVM_PARAM_CONSOLE_PFN };
	struct xen_add_to_physmap map = {
		.domid = dom, .space = XENMAPSPACE_shared_info, .gpfn = where >> PAGE_SHIFT,
	};
	struct gnttab_setup_table table = { .dom = dom, .nr_frames = 1 };
	struct gnttab_query_size size = { .dom = dom };
	static uint64_t frames[1];
	grant_handle_t h;

	for (evtchn_port_t p = 0; p < PORTS; p++)
		refused("bind_interdomain to a port", dom, evtchn_bind_interdomain(dom, p));
	for (grant_ref_t r = 0; r < REFS; r++) {
		refused("a grant", dom, map_grant(dom, r, GNTMAP_host_map, where, &h));
		refused("a read-only grant", dom,
			map_grant(dom, r, GNTMAP_host_map | GNTMAP_readonly, where, &h));
	}
	refused("alloc_unbound", dom, event_channel_op(EVTCHNOP_alloc_unbound, &au));
	refused("port status", dom, event_channel_op(EVTCHNOP_status, &st));
	refused("event channel reset", dom, event_channel_op(EVTCHNOP_reset, &reset));
	refused("remote shutdown", dom, sched_op(SCHEDOP_remote_shutdown, &remote));
	refused("get_param", dom, hvm_op(HVMOP_get_param, &param));
	refused("set_param", dom, hvm_op(HVMOP_set_param, &param));
	refused("shared info", dom, memory_op(XENMEM_add_to_physmap, &map));
	refused("reservation", dom, memory_op(XENMEM_current_reservation, &dom));
	set_xen_guest_handle(table.frame_list, frames);
	refused("grant table", dom,
		grant_table_op(GNTTABOP_setup_table, &table, 1) ?: table.status);
	refused("grant table size", dom,
		grant_table_op(GNTTABOP_query_size, &size, 1) ?: size.status);
}

/* The guest may own ports with the other domain as remote; an event must not reach it. */
static void knock(domid_t dom)
{
	long port = evtchn_alloc_unbound(dom);

	if (port <= 0)
		return;
	evtchn_send((evtchn_port_t)port);
	evtchn_close((evtchn_port_t)port);
}

int main(void)
{
	uint64_t end = now_ns() + cmdline_number("seconds", 8) * NS_PER_S;
	uintptr_t where;

	self = own_domid();
	canary_init(64);
	grants_init();
	where = hole_alloc(1);
	do {
		for (domid_t dom = 0; dom < DOMAINS; dom++) {
			if (dom == self)
				continue;
			attack(dom, where);
			knock(dom);
		}
		for (evtchn_port_t p = 8; p < NR_EVENT_CHANNELS; p += 37)
			evtchn_send(p);
	} while (now_ns() < end);
	canary_check("the attack");
	printf("%u attacks refused\n", tries);
	pass();
}
