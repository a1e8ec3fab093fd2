/* SPDX-License-Identifier: BSD-2-Clause */
/* Starts the other vCPUs, by INIT/SIPI as an operating system does, or by hypercall. */
#ifndef GUEST_SMP_H
#define GUEST_SMP_H

#include "cpu.h"

/* Returns the first ACPI table of that name, or NULL. */
const void *acpi_find(const char *name);

/* cpu_count() returns the number of vCPUs in the MADT; cpu_apic_id() the APIC ID of the n-th. */
unsigned int cpu_count(void);
uint32_t cpu_apic_id(unsigned int id);

/*
 * Starts vCPU id, which runs task() with interrupts off and then halts. Returns when the vCPU has
 * reached C code, or fails the scenario after a few seconds. A vCPU whose task has returned may be
 * started again.
 */
void cpu_start(unsigned int id, void (*task)(void));
void cpu_start_all(void (*task)(void));

/* The same by VCPUOP_initialise and VCPUOP_up; mode is VCPU_HVM_MODE_32B or _64B. */
void cpu_start_by_hypercall(unsigned int id, void (*task)(void), uint32_t mode);

/* Returns how many APs have finished their task since the last cpu_start*(). */
unsigned int cpus_done(void);

/* Waits until all n vCPUs have called it. */
void cpu_barrier(unsigned int n);

#endif
