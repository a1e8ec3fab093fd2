/* SPDX-License-Identifier: BSD-2-Clause */
/* Exercise: calls hypercall 54, operation 0, for the number of exits of the calling vCPU. */
#include "console.h"
#include "hypercall.h"
#include "test.h"
#include "x86.h"

#define ROUNDS 100
#define OP_EXITS 0

int main(void)
{
	long before = hypercall1(__HYPERVISOR_arch_6, OP_EXITS), after;

	CHECK(before > 0, "operation 0 gave %ld", before);
	for (int i = 0; i < ROUNDS; i++)
		cpuid(xen_leaf, 0);
	after = hypercall1(__HYPERVISOR_arch_6, OP_EXITS);
	/* One exit for each CPUID and one for the hypercall; a few more for interrupts. */
	CHECK(after - before > ROUNDS && after - before < 2 * ROUNDS, "%ld exits for %d CPUIDs",
	      after - before, ROUNDS);
	CHECK_RET(hypercall1(__HYPERVISOR_arch_6, 77), -XEN_ENOSYS);
	printf("%ld exits\n", after - before);
	pass();
}
