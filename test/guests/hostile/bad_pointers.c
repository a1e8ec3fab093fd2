/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: each operation that takes a structure returns -EFAULT for every address without memory:
 * unmapped, non-canonical, wrapping, past the end.
 */
#include "guest.h"

static const struct {
	uint16_t nr, op;
} calls[] = {
	{ __HYPERVISOR_xen_version, XENVER_extraversion },
	{ __HYPERVISOR_xen_version, XENVER_compile_info },
	{ __HYPERVISOR_xen_version, XENVER_capabilities },
	{ __HYPERVISOR_xen_version, XENVER_changeset },
	{ __HYPERVISOR_xen_version, XENVER_platform_parameters },
	{ __HYPERVISOR_xen_version, XENVER_get_features },
	{ __HYPERVISOR_xen_version, XENVER_guest_handle },
	{ __HYPERVISOR_memory_op, XENMEM_current_reservation },
	{ __HYPERVISOR_memory_op, XENMEM_maximum_reservation },
	{ __HYPERVISOR_memory_op, XENMEM_maximum_gpfn },
	{ __HYPERVISOR_memory_op, XENMEM_add_to_physmap },
	{ __HYPERVISOR_memory_op, XENMEM_memory_map },
	{ __HYPERVISOR_event_channel_op, EVTCHNOP_bind_interdomain },
	{ __HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq },
	{ __HYPERVISOR_event_channel_op, EVTCHNOP_close },
	{ __HYPERVISOR_event_channel_op, EVTCHNOP_send },
	{ __HYPERVISOR_event_channel_op, EVTCHNOP_status },
	{ __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound },
	{ __HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi },
	{ __HYPERVISOR_event_channel_op, EVTCHNOP_bind_vcpu },
	{ __HYPERVISOR_event_channel_op, EVTCHNOP_unmask },
	{ __HYPERVISOR_event_channel_op, EVTCHNOP_reset },
	{ __HYPERVISOR_sched_op, SCHEDOP_shutdown },
	{ __HYPERVISOR_sched_op, SCHEDOP_poll },
	{ __HYPERVISOR_sched_op, SCHEDOP_shutdown_code },
	{ __HYPERVISOR_sched_op, SCHEDOP_watchdog },
	{ __HYPERVISOR_hvm_op, HVMOP_set_param },
	{ __HYPERVISOR_hvm_op, HVMOP_get_param },
	{ __HYPERVISOR_hvm_op, HVMOP_set_evtchn_upcall_vector },
};

/* These take the vCPU between the operation and the address. */
static const uint16_t vcpu_calls[] = {
	VCPUOP_get_runstate_info, VCPUOP_set_singleshot_timer, VCPUOP_set_periodic_timer,
	VCPUOP_register_vcpu_info, VCPUOP_register_runstate_memory_area,
};

static const uint16_t grant_calls[] = {
	GNTTABOP_map_grant_ref, GNTTABOP_unmap_grant_ref, GNTTABOP_setup_table, GNTTABOP_copy,
	GNTTABOP_query_size, GNTTABOP_set_version, GNTTABOP_get_version,
};

static void try(uintptr_t p)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++) {
		long ret = hypercall2(calls[i].nr, calls[i].op, p);

		CHECK(ret == -XEN_EFAULT, "hypercall %u.%u at %lx: %ld", calls[i].nr, calls[i].op,
		      p, ret);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(vcpu_calls); i++) {
		long ret = vcpu_op(vcpu_calls[i], 0, (void *)p);

		CHECK(ret == -XEN_EFAULT, "vcpu_op %u at %lx: %ld", vcpu_calls[i], p, ret);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(grant_calls); i++) {
		long ret = grant_table_op(grant_calls[i], (void *)p, 1);

		CHECK(ret == -XEN_EFAULT, "grant_table_op %u at %lx: %ld", grant_calls[i], p, ret);
	}
	CHECK_RET(multicall((void *)p, 1), -XEN_EFAULT);
	/* These return how much they did: nothing. */
	CHECK_RET(memory_op(XENMEM_populate_physmap, (void *)p), 0);
	CHECK_RET(memory_op(XENMEM_decrease_reservation, (void *)p), 0);
}

int main(void)
{
	canary_init(16);
	bad_pointers_init();
	for (unsigned int i = 0; i < nr_bad_pointers; i++)
		try(bad_pointers[i]);
	canary_check("bad pointers");
	pass();
}
