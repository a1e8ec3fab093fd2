/* SPDX-License-Identifier: BSD-2-Clause */
/* A vCPU's local APIC: xAPIC by MMIO, x2APIC by MSR. SDM 3A 11, APM2 16. arch/x86/guest/vlapic.c */
#pragma once

#include <margay/vcpu.h>

#define VLAPIC_BASE 0xfee00000UL

int vlapic_create(struct vcpu *v);
void vlapic_destroy(struct vcpu *v);

/* Returns the highest vector that PPR lets through, or -1. */
int vlapic_pending(struct vcpu *v);
/* Returns true if only the TPR blocks a vector: the guest's next write to CR8 must exit. */
bool vlapic_held_by_tpr(struct vcpu *v);
/* Moves an injected vector from IRR to ISR. */
void vlapic_accept(struct vcpu *v, u8 vector);
/* Returns the page with TPR, ISR and, with hardware delivery, IRR. SDM 3C 30.1. */
void *vlapic_page(struct vcpu *v);
/*
 * Selects hardware delivery of interrupts if `can` and the APIC's mode allow it. Returns whether it
 * is used: then software injects none, and before an entry vlapic_sync_irr_to_page() adds new
 * interrupts to the page; it returns the highest vectors of IRR (bits 7:0) and ISR.
 */
bool vlapic_by_hardware(struct vcpu *v, bool can);
u16 vlapic_sync_irr_to_page(struct vcpu *v);
/* Finishes a level-triggered interrupt whose EOI hardware has done, if the vector has one. */
void vlapic_end_level(struct vcpu *v, u8 vector);
/* Writes the 256 bits of vectors whose EOI software must see. */
void vlapic_eoi_exits(struct vcpu *v, u64 *bits);
/*
 * Delivers a device's message to the vCPUs that match its destination: fixed, or to the one with the
 * lowest priority. Ignores what is no such message. level: somebody waits for the EOI. Any CPU. SDM
 * 3A 11.11.1.
 */
#define MSG_BASE 0xfee00000UL
#define MSG_DEST_SHIFT 12
#define MSG_LOGICAL BIT(2)
#define MSG_HINT BIT(3)
void vlapic_message(struct domain *d, u64 address, u32 data, bool level);
/* Returns a vCPU that a device's message is for. */
struct vcpu *vlapic_message_vcpu(struct domain *d, u64 address);
/*
 * Returns the CPU whose local APIC can take the message as it is: its only vCPU owns that CPU and
 * uses its APIC (direct.h). Else NULL.
 */
struct cpu *vlapic_message_owner(const struct domain *d, u64 address, u32 data);
/* CR8 as the guest sees it. */
u8 vlapic_get_cr8(struct vcpu *v);
void vlapic_set_cr8(struct vcpu *v, u8 cr8);

/*
 * MSRs: IA32_APIC_BASE, IA32_TSC_DEADLINE, 0x800-0x8ff; reg is an MSR number less 0x800. 0 or
 * -EPERM: inject #GP.
 */
struct msr_read vlapic_read_base(struct vcpu *v);
struct msr_read vlapic_read_deadline(struct vcpu *v);
struct msr_read vlapic_read_x2apic(struct vcpu *v, u32 reg);
int vlapic_wrmsr(struct vcpu *v, u32 msr, u64 val);

/* Accesses an aligned 32-bit register at an offset in the page, in xAPIC mode. */
u32 vlapic_read(struct vcpu *v, u32 offset);
void vlapic_write(struct vcpu *v, u32 offset, u32 val);

/*
 * The APIC ids of a guest that sees the machine's topology: those of its CPUs. So that they are small,
 * its first package is number 0, unless it is to have the page of the real APICs. apic_ids.c
 */
struct apic_ids {
	u32 base, mask;
	u16 *hash;	/* mask + 1 vCPU numbers, plus 1 */
	u16 cpu[];	/* by vCPU */
};
int apic_ids_create(struct domain *d);

static inline u32 domain_apic_id(const struct domain *d, unsigned vcpu)
{
	const struct apic_ids *ids = d->apic_ids;

	return unlikely(ids) ? cpus[ids->cpu[vcpu]]->apic_id - ids->base : vcpu << d->apic_shift;
}
static inline u32 vlapic_id(const struct vcpu *v) { return domain_apic_id(v->domain, v->id); }
/* Returns the vCPU with that id, or NULL. */
static inline struct vcpu *vlapic_find(struct domain *d, u32 id)
{
	const struct apic_ids *ids = d->apic_ids;
	u32 i = id >> d->apic_shift, at = id;
	struct vcpu *v;

	if (unlikely(ids)) {
		while ((i = ids->hash[at & ids->mask] - 1U) != ~0U && domain_apic_id(d, i) != id)
			at++;
	}
	v = domain_vcpu(d, i);
	return v && vlapic_id(v) == id ? v : NULL;
}
