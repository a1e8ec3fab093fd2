/* SPDX-License-Identifier: BSD-2-Clause */
/* CPU start-up; percpu.h has what other files use of CPUs. arch/x86/cpu/smp.c */
#pragma once

#include <margay/acpi.h>
#include <margay/boot.h>
#include <margay/percpu.h>

struct cpu *cpu_create(unsigned id, const struct acpi_cpu *a);
/* Selects a page for the AP trampoline: RAM outside modules and boot information. */
void smp_place_trampoline(const struct boot_info *bi, paddr_t info, u64 size);
void smp_boot_aps(void);
/* Returns the number of low bits of an APIC id that number the threads of a core. topology.c */
unsigned thread_bits(void);
/* Reads what only this CPU, c, can tell of its place. */
void topology_init_here(struct cpu *c);
/* Returns the lowest APIC id that a CPU of c's package may have. topology_init() first. */
u32 package_first_id(const struct cpu *c);
/* Links the hyperthreads of each core. Called when all CPUs run. */
void topology_init(void);
void cpu_init_here(struct cpu *c);
/* Chooses how idle CPUs sleep. idle.c */
void idle_init(void);
/* Halts until an interrupt. Called with interrupts off. */
void idle_hlt(void);
