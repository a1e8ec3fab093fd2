/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting the other vCPUs, as an operating system does (INIT/SIPI) or by hypercall. */
#ifndef GUEST_SMP_H
#define GUEST_SMP_H

#include "cpu.h"

/* vCPUs named by the MADT; the APIC ID of the n-th. */
unsigned int cpu_count(void);
uint32_t cpu_apic_id(unsigned int id);

/*
 * Start vCPU id, which runs task() with interrupts off and then sleeps for good; returns once it
 * has reached C code, or fails the scenario after a few seconds. A vCPU that has left its task
 * may be started again.
 */
void cpu_start(unsigned int id, void (*task)(void));
void cpu_start_all(void (*task)(void));

/* The same by VCPUOP_initialise and VCPUOP_up; mode is VCPU_HVM_MODE_32B or _64B. */
void cpu_start_by_hypercall(unsigned int id, void (*task)(void), uint32_t mode);

/* How many APs have returned from their task since the last cpu_start*(). */
unsigned int cpus_done(void);

/* All of n vCPUs meet here. */
void cpu_barrier(unsigned int n);

#endif
