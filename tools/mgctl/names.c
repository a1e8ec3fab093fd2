/* SPDX-License-Identifier: BSD-2-Clause */
/* Names for Margay's numbers, from the hypervisor's own tables. */
#include <stdint.h>
#include <string.h>

#define __XEN_TOOLS__ 1
#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#include <xen/xen.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/hvm/hvm_op.h>
#include <xen/memory.h>
#include <xen/platform.h>
#include <xen/arch-x86/xen-mca.h>
#include <xen/sched.h>
#include <xen/sysctl.h>
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

static const struct {
	const char *call;
	uint32_t nr;
	const char *name;
} operations[] = {
#define OPERATION(call, nr, name) { #call, nr, #name },
#include <margay/operations.def>
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
