/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: multicall: results in order, errors in their own entries, no nesting. */
#include "guest.h"

int main(void)
{
	struct multicall_entry list[6], many[200];
	xen_extraversion_t extra = "";
	long version = xen_version(XENVER_version, NULL);
	long port = evtchn_alloc_unbound(DOMID_SELF);
	struct evtchn_close close = { .port = (evtchn_port_t)port };

	memset(list, 0, sizeof(list));
	list[0].op = __HYPERVISOR_xen_version;
	list[0].args[0] = XENVER_version;
	list[1].op = 63;
	list[2].op = __HYPERVISOR_xen_version;
	list[2].args[0] = XENVER_extraversion;
	list[2].args[1] = (uintptr_t)extra;
	list[3].op = __HYPERVISOR_event_channel_op;
	list[3].args[0] = EVTCHNOP_close;
	list[3].args[1] = (uintptr_t)&close;
	list[4] = list[3];
	list[5].op = __HYPERVISOR_multicall;
	list[5].args[0] = (uintptr_t)list;
	list[5].args[1] = 1;
	CHECK_RET(multicall(list, 6), 0);
	CHECK((long)list[0].result == version, "first result %ld", (long)list[0].result);
	CHECK((long)list[1].result == -XEN_ENOSYS, "unknown call: %ld", (long)list[1].result);
	CHECK(!list[2].result && extra[0], "third result %ld", (long)list[2].result);
	CHECK(!list[3].result, "fourth result %ld", (long)list[3].result);
	CHECK((long)list[4].result == -XEN_EINVAL, "fifth result %ld", (long)list[4].result);
	CHECK((long)list[5].result == -XEN_EINVAL, "multicall in multicall: %ld",
	      (long)list[5].result);

	memset(many, 0, sizeof(many));
	for (unsigned int i = 0; i < ARRAY_SIZE(many); i++)
		many[i].op = __HYPERVISOR_xen_version;
	CHECK_RET(multicall(many, ARRAY_SIZE(many)), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(many); i++)
		CHECK((long)many[i].result == version, "result %u: %ld", i, (long)many[i].result);

	CHECK_RET(multicall(list, 0), 0);
	CHECK_RET(multicall((void *)0x7f0000000000, 1), -XEN_EFAULT);
	pass();
}
