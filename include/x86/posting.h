/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts that an IOMMU posts to a vCPU: it sets the vector's bit in the vCPU's descriptor and
 * notifies a CPU by a vector. A CPU that runs the vCPU takes the bits without an exit; elsewhere the
 * vector is Margay's, which wakes the vCPU. arch/x86/guest/posting.c. SDM 3C 30.6; VT-d 4.1, 5.2.
 */
#pragma once

#include <margay/atomic.h>
#include <margay/vcpu.h>

/* VT-d 4.1, 9.12. Hardware changes PIR and ON at any time. */
struct posted {
	u64 pir[4];		/* a bit for each vector */
	u64 control;		/* POSTED_*, the notification's vector in 23:16, CPU in 63:32 */
	u64 reserved[3];
} __aligned(64);
#define POSTED_ON BIT(0)	/* there was a notification; no other one follows */
#define POSTED_SN BIT(1)	/* no notifications */

/* Says where notifications go. The destination has the format of the machine's APIC mode. */
static inline void posted_aim(struct posted *p, u8 vector, u32 apic_id, bool x2apic, bool suppress)
{
	u64 old, new = (u64)(x2apic ? apic_id : (apic_id & 0xff) << 8) << 32 | (u64)vector << 16 |
		       (suppress ? POSTED_SN : 0);

	do
		old = atomic_load(&p->control);
	while (!atomic_cas(&p->control, old, new | (old & POSTED_ON)));
}

/* Takes the vectors. Those that come later cause a notification, as ON is cleared first. */
static inline bool posted_take(struct posted *p, u64 bits[4])
{
	u64 any = 0;

	atomic_and(&p->control, ~POSTED_ON);
	for (unsigned i = 0; i < 4; i++)
		any |= bits[i] = atomic_xchg(&p->pir[i], 0UL);
	return any;
}

/*
 * Returns the machine address of the descriptor of the one vCPU that a message goes to, new if need
 * be. 0: it cannot be posted. Called with the pci_lock.
 */
paddr_t posting_target(struct domain *d, u64 address, u32 data);
/* The vCPU's registers are loaded on this CPU, or will be saved. */
void posting_load(struct vcpu *v);
void posting_save(struct vcpu *v);
/* Returns the notification's vector if it comes to this CPU, and the descriptor's address; or 0. */
u8 posting_vector(const struct vcpu *v, paddr_t *at);
void posting_free(struct vcpu *v);
