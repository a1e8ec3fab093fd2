/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUs 0 to nr_cpus - 1 of a test. host_cpu is the one that the code under test runs on. */
#ifndef TEST_UNIT_MOCK_CPUS_H
#define TEST_UNIT_MOCK_CPUS_H

#include <margay/percpu.h>

extern struct cpu cpu[4];
extern unsigned nr_nodes;

/* Resets n CPUs, and runs on the first. */
void mock_cpus_init(unsigned n);

#endif
