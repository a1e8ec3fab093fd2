/* SPDX-License-Identifier: BSD-2-Clause */
/* See mock_cpus.h. */
#include "mock_cpus.h"

struct cpu cpu[4];
struct cpu *host_cpu, *cpus[MAX_CPUS];
unsigned nr_cpus, nr_nodes = 1;

void mock_cpus_init(unsigned n)
{
	memset(cpu, 0, sizeof(cpu));
	nr_cpus = n;
	for (unsigned i = 0; i < n; i++) {
		cpu[i].id = i;
		cpu[i].sibling = &cpu[i];
		cpus[i] = &cpu[i];
	}
	host_cpu = &cpu[0];
}
