/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: a console ring that is never empty. fill=1: vCPU 1 adds output all the time while vCPU 0
 * sends the ring's event. share=1: grants the console's page to the next domain and reboots.
 * share=2: adds output to the console of the domain before this one, also after that has ended.
 */
#include "guest.h"

#include <xen/io/console.h>

static volatile struct xencons_interface *ring;
static volatile bool stop;

static void fill_text(void)
{
	for (unsigned int i = 0; i < sizeof(ring->out); i++)
		ring->out[i] = i % 32 == 31 ? '\n' : 'Z';
}

static void keep_full(void)
{
	while (!stop)
		ring->out_prod = ring->out_cons + sizeof(ring->out);
}

static void own_ring(void)
{
	uint64_t pfn;

	CHECK_RET(hvm_get_param(HVM_PARAM_CONSOLE_PFN, &pfn), 0);
	ring = (volatile struct xencons_interface *)(pfn << PAGE_SHIFT);
}

static void fill(void)
{
	uint64_t port;

	CHECK_RET(hvm_get_param(HVM_PARAM_CONSOLE_EVTCHN, &port), 0);
	fill_text();
	cpu_start(1, keep_full);
	for (unsigned int i = 0; i < 20; i++)
		CHECK_RET(evtchn_send((evtchn_port_t)port), 0);
	stop = true;
}

static void share(void)
{
	grant(FIRST_GRANT, own_domid() + 1, (void *)(uintptr_t)ring, 0);
	delay_ns(2 * NS_PER_S);
	sched_shutdown(SHUTDOWN_reboot);
}

static void use_shared(void)
{
	uint64_t end = now_ns() + cmdline_number("seconds", 6) * NS_PER_S;
	uintptr_t where = hole_alloc(1);
	grant_handle_t handle;

	delay_ns(NS_PER_S);
	CHECK_RET(map_grant(own_domid() - 1, FIRST_GRANT, GNTMAP_host_map, where, &handle), 0);
	ring = (volatile struct xencons_interface *)where;
	fill_text();
	while (now_ns() < end) {
		for (unsigned int i = 0; i < 1000; i++)
			ring->out_prod = ring->out_cons + sizeof(ring->out);
		cpu_pause();
	}
}

int main(void)
{
	unsigned int how = (unsigned int)cmdline_number("share", 0);

	grants_init();
	own_ring();
	if (how == 2)
		use_shared();
	else if (how == 1)
		share();
	else
		fill();
	pass();
}
