/* SPDX-License-Identifier: BSD-2-Clause */
/* Names for Margay's numbers: exits and hypercalls from Margay's tables, operations from Xen's. */
#include <stdint.h>
#include <string.h>

#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#include <xen/xen.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/hvm/hvm_op.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#include "mgctl.h"

static const char *const exits[] = {
#define EXIT(id, name, handler) name,
#include <margay/exits.def>
};

static const struct {
	uint64_t nr;
	const char *name;
} hypercalls[] = {
#define HYPERCALL(nr, name, handler, who) { nr, #name },
#include <margay/hypercalls.def>
};

#define OP(call, prefix, name) { #call, prefix##name, #name }

static const struct {
	const char *call;
	uint32_t nr;
	const char *name;
} operations[] = {
	OP(sched_op, SCHEDOP_, yield),
	OP(sched_op, SCHEDOP_, block),
	OP(sched_op, SCHEDOP_, shutdown),
	OP(sched_op, SCHEDOP_, poll),
	OP(sched_op, SCHEDOP_, remote_shutdown),
	OP(sched_op, SCHEDOP_, shutdown_code),
	OP(sched_op, SCHEDOP_, watchdog),
	OP(event_channel_op, EVTCHNOP_, bind_interdomain),
	OP(event_channel_op, EVTCHNOP_, bind_virq),
	OP(event_channel_op, EVTCHNOP_, close),
	OP(event_channel_op, EVTCHNOP_, send),
	OP(event_channel_op, EVTCHNOP_, status),
	OP(event_channel_op, EVTCHNOP_, alloc_unbound),
	OP(event_channel_op, EVTCHNOP_, bind_ipi),
	OP(event_channel_op, EVTCHNOP_, bind_vcpu),
	OP(event_channel_op, EVTCHNOP_, unmask),
	OP(event_channel_op, EVTCHNOP_, reset),
	OP(vcpu_op, VCPUOP_, initialise),
	OP(vcpu_op, VCPUOP_, up),
	OP(vcpu_op, VCPUOP_, down),
	OP(vcpu_op, VCPUOP_, is_up),
	OP(vcpu_op, VCPUOP_, get_runstate_info),
	OP(vcpu_op, VCPUOP_, register_runstate_memory_area),
	OP(vcpu_op, VCPUOP_, set_periodic_timer),
	OP(vcpu_op, VCPUOP_, stop_periodic_timer),
	OP(vcpu_op, VCPUOP_, set_singleshot_timer),
	OP(vcpu_op, VCPUOP_, stop_singleshot_timer),
	OP(vcpu_op, VCPUOP_, register_vcpu_info),
	OP(vcpu_op, VCPUOP_, register_vcpu_time_memory_area),
	OP(grant_table_op, GNTTABOP_, map_grant_ref),
	OP(grant_table_op, GNTTABOP_, unmap_grant_ref),
	OP(grant_table_op, GNTTABOP_, setup_table),
	OP(grant_table_op, GNTTABOP_, copy),
	OP(grant_table_op, GNTTABOP_, query_size),
	OP(grant_table_op, GNTTABOP_, set_version),
	OP(grant_table_op, GNTTABOP_, get_version),
	{ "arch_7", MARGAY_POLICY_LOAD, "policy_load" },
	{ "arch_7", MARGAY_POLICY_UNLOAD, "policy_unload" },
	{ "arch_7", MARGAY_POLICY_LIST, "policy_list" },
	{ "arch_7", MARGAY_POLICY_SELECT, "policy_select" },
	{ "arch_7", MARGAY_POLICY_SELECTED, "policy_selected" },
	{ "arch_7", MARGAY_POLICY_SET, "policy_set" },
	{ "arch_7", MARGAY_POLICY_COUNTER, "policy_counter" },
	{ "arch_7", MARGAY_STAT, "stat" },
	{ "arch_7", MARGAY_TRACE, "trace" },
	{ "arch_7", MARGAY_TRACE_RING, "trace_ring" },
	{ "arch_7", MARGAY_SPECULATION, "speculation" },
	{ "arch_7", MARGAY_LOG, "log" },
	OP(memory_op, XENMEM_, increase_reservation),
	OP(memory_op, XENMEM_, decrease_reservation),
	OP(memory_op, XENMEM_, populate_physmap),
	OP(memory_op, XENMEM_, current_reservation),
	OP(memory_op, XENMEM_, maximum_reservation),
	OP(memory_op, XENMEM_, maximum_ram_page),
	OP(memory_op, XENMEM_, maximum_gpfn),
	OP(memory_op, XENMEM_, add_to_physmap),
	OP(memory_op, XENMEM_, add_to_physmap_batch),
	OP(memory_op, XENMEM_, remove_from_physmap),
	OP(memory_op, XENMEM_, memory_map),
	OP(hvm_op, HVMOP_, set_param),
	OP(hvm_op, HVMOP_, get_param),
	OP(hvm_op, HVMOP_, set_evtchn_upcall_vector),
	OP(xen_version, XENVER_, version),
	OP(xen_version, XENVER_, extraversion),
	OP(xen_version, XENVER_, compile_info),
	OP(xen_version, XENVER_, capabilities),
	OP(xen_version, XENVER_, changeset),
	OP(xen_version, XENVER_, platform_parameters),
	OP(xen_version, XENVER_, get_features),
	OP(xen_version, XENVER_, pagesize),
	OP(xen_version, XENVER_, guest_handle),
	OP(xen_version, XENVER_, commandline),
	OP(xen_version, XENVER_, build_id),
};
#define NR_OPERATIONS (sizeof(operations) / sizeof(operations[0]))

const char *exit_name(uint64_t reason)
{
	return reason < sizeof(exits) / sizeof(exits[0]) ? exits[reason] : "?";
}

const char *hypercall_name(uint64_t nr)
{
	for (size_t i = 0; i < sizeof(hypercalls) / sizeof(hypercalls[0]); i++)
		if (hypercalls[i].nr == nr)
			return hypercalls[i].name;
	return "unserved";
}

const char *operation_name(const char *call, uint64_t op)
{
	for (size_t i = 0; i < NR_OPERATIONS; i++)
		if (operations[i].nr == op && !strcmp(operations[i].call, call))
			return operations[i].name;
	return NULL;
}

void print_operation(FILE *f, const char *call, uint64_t op)
{
	const char *name = operation_name(call, op);

	if (name)
		fprintf(f, " %s", name);
	else if (op < 32)
		fprintf(f, " %llu", (unsigned long long)op);
	else
		fprintf(f, " 0x%llx", (unsigned long long)op);
}
