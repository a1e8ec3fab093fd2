/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: memory_op: the memory map, reservation counts, and the mapping of shared info. */
#include "guest.h"

#define UNMAPPED	((void *)0x7f0000000000ul)

static void check_map(void)
{
	static struct e820_entry e820[2];
	struct xen_memory_map arg = { .nr_entries = 1 };

	set_xen_guest_handle(arg.buffer, e820);
	CHECK_RET(memory_op(XENMEM_memory_map, &arg), 0);
	CHECK(arg.nr_entries == 1, "%u entries in a buffer of 1", arg.nr_entries);
	CHECK(e820[0].type && e820[0].size, "empty first entry");
	CHECK(!e820[1].size && !e820[1].type, "written past the buffer's end");
	arg.nr_entries = 2;
	set_xen_guest_handle(arg.buffer, UNMAPPED);
	CHECK_RET(memory_op(XENMEM_memory_map, &arg), -XEN_EFAULT);
	CHECK_RET(memory_op(XENMEM_memory_map, UNMAPPED), -XEN_EFAULT);
}

static void check_reservations(void)
{
	domid_t self = DOMID_SELF, nobody = 0x7123;
	long current = memory_op(XENMEM_current_reservation, &self);
	long maximum = memory_op(XENMEM_maximum_reservation, &self);
	long ram = (long)(ram_bytes() >> PAGE_SHIFT), ret;

	/* The pages of shared info and firmware tables may or may not be counted. */
	CHECK(current > ram - 512 && current < ram + 4096, "current reservation %ld, RAM %ld",
	      current, ram);
	CHECK(maximum < 0 || maximum >= current, "maximum reservation %ld < %ld", maximum, current);
	CHECK(memory_op(XENMEM_maximum_gpfn, &self) > 0, "maximum gpfn");
	CHECK(memory_op(XENMEM_maximum_ram_page, NULL) > 0, "maximum RAM page");
	ret = memory_op(XENMEM_current_reservation, &nobody);
	CHECK(ret == -XEN_ESRCH || ret == -XEN_EPERM, "reservation of nobody: %ld", ret);
	CHECK_RET(memory_op(XENMEM_current_reservation, UNMAPPED), -XEN_EFAULT);
}

static long map_shared_info(domid_t domid, unsigned int space, unsigned long idx, uintptr_t where)
{
	struct xen_add_to_physmap map = {
		.domid = domid, .space = space, .idx = idx, .gpfn = where >> PAGE_SHIFT,
	};

	return memory_op(XENMEM_add_to_physmap, &map);
}

/* Checks that the page moves with its contents and is live at its new address. */
static void check_shared_info(void)
{
	uintptr_t where = hole_alloc(1);
	long port = evtchn_alloc_unbound(DOMID_SELF), ret;

	CHECK(port > 0, "alloc_unbound %ld", port);
	shared_info->evtchn_mask[1] = 0x1234567890abcdef;
	CHECK_RET(map_shared_info(DOMID_SELF, XENMAPSPACE_shared_info, 0, where), 0);
	shared_info = (struct shared_info *)where;
	CHECK(shared_info->evtchn_mask[1] == 0x1234567890abcdef, "shared info changed: %lx",
	      shared_info->evtchn_mask[1]);
	shared_info->evtchn_mask[1] = ~0ul;
	this_cpu()->info = shared_vcpu_info(0);
	ret = evtchn_bind_interdomain(DOMID_SELF, (evtchn_port_t)port);
	CHECK(ret > 0 && evtchn_pending((evtchn_port_t)ret), "no event in the moved shared info");
	CHECK_RET(evtchn_send((evtchn_port_t)ret), 0);
	CHECK(evtchn_pending((evtchn_port_t)port), "no event in the moved shared info");

	CHECK_RET(map_shared_info(DOMID_SELF, 99, 0, where), -XEN_EINVAL);
	CHECK_RET(map_shared_info(DOMID_SELF, XENMAPSPACE_shared_info, 1, where), -XEN_EINVAL);
	ret = map_shared_info(0x7123, XENMAPSPACE_shared_info, 0, where);
	CHECK(ret == -XEN_ESRCH || ret == -XEN_EPERM, "shared info of nobody: %ld", ret);
	CHECK_RET(memory_op(XENMEM_add_to_physmap, UNMAPPED), -XEN_EFAULT);
}

int main(void)
{
	check_map();
	check_reservations();
	check_shared_info();
	CHECK_RET(memory_op(60, NULL), -XEN_ENOSYS);
	pass();
}
