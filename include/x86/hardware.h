/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control domain that has the machine's devices (d->hardware): their memory and ports reach it
 * without emulation, but for what Margay keeps. arch/x86/guest/hardware.c, hardware_io.c
 */
#pragma once

#include <margay/vcpu.h>

struct pci_function;

/*
 * Maps devices' memory at gpa, and as much around it as one entry can have. Returns whether it is
 * mapped now; false: there is nothing, or it is Margay's. Own CPU, no lock.
 */
bool hardware_map(struct vcpu *v, gpaddr_t gpa);

/*
 * Returns whether memory is only devices', and of PCI functions only f's; f NULL: those of d, or of
 * nobody. There is no RAM, and nothing of Margay's: APICs, IOMMUs, config space and others. With
 * pci_lock.
 */
bool memory_is_devices(const struct domain *d, const struct pci_function *f, paddr_t at, u64 size);

/* Access a port of the machine. size: 1, 2 or 4. What is Margay's reads 0, writes are dropped. */
u32 hardware_in(struct vcpu *v, u16 port, unsigned size);
void hardware_out(struct vcpu *v, u16 port, unsigned size, u32 val);
