/* SPDX-License-Identifier: BSD-2-Clause */
/* Config space of a domain by ports. arch/x86/guest/vpci.c */
#pragma once

#include <margay/vcpu.h>

/*
 * Accesses the ports 0xcf8 to 0xcff of the control domain that has the devices. A read finds ones in
 * *val.
 */
void vpci_ports(struct vcpu *v, u16 port, unsigned size, u64 *val, bool write);
