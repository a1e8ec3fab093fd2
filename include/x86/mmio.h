/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory of a domain that Margay emulates beside the local APIC: IO-APICs, PCI config space, MSI-X
 * tables. arch/x86/guest/mmio.c
 */
#pragma once

#include <margay/vcpu.h>

struct mmio_region {
	struct mmio_region *next;
	gpaddr_t base;
	u64 size;
	/*
	 * size: 1, 2, 4 or 8 bytes, within a page; offset from base. A read finds ones in *val. On the
	 * vCPU's CPU, no lock.
	 */
	void (*access)(struct vcpu *v, struct mmio_region *r, u64 offset, unsigned size, u64 *val,
		       bool write);
};

/*
 * Add and remove a region. No mapping of the p2m may cover it. d's vCPUs may run: one that
 * looked a region up may use it until a grace period is over.
 */
void mmio_add(struct domain *d, struct mmio_region *r);
void mmio_remove(struct domain *d, struct mmio_region *r);
