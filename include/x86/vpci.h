/* SPDX-License-Identifier: BSD-2-Clause */
/* Config space of a domain by ports and by memory. arch/x86/guest/vpci.c */
#pragma once

#include <margay/vcpu.h>

/* Access d's config space, which has PCI_CONFIG_SIZE bytes for each function, 1 to 4 at a time. d has a PCI bus. */
u64 vpci_read(struct domain *d, u64 address, unsigned size);
void vpci_write(struct domain *d, u64 address, unsigned size, u32 val);

/* Access the ports 0xcf8 to 0xcff of the control domain that has the devices. */
u32 vpci_in(struct vcpu *v, u16 port, unsigned size);
void vpci_out(struct vcpu *v, u16 port, unsigned size, u32 val);
