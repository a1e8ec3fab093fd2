/* SPDX-License-Identifier: BSD-2-Clause */
/* Set-up of CPUs; what everyone else uses of them is in percpu.h. arch/x86/cpu/smp.c */
#ifndef MARGAY_SMP_H
#define MARGAY_SMP_H

#include <margay/acpi.h>
#include <margay/percpu.h>

struct cpu *cpu_create(unsigned id, const struct acpi_cpu *a);
void smp_boot_aps(void);
void cpu_init_here(struct cpu *c);

#endif
