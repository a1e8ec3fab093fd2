/* SPDX-License-Identifier: BSD-2-Clause */
/* The pvclock records from which a vCPU's guest computes the time. xen.h, struct vcpu_time_info. */
#include <margay/guest_copy.h>
#include <x86/tsc.h>

/*
 * Writes a record. Time is a fixed linear function of the TSC, so a record is written only when its
 * address or the guest's TSC offset changes.
 */
static void put_time(const struct vcpu *v, struct vcpu_time_info *t)
{
	u32 version = v->pvclock_version;
	u32 mul;
	s8 shift;

	tsc_pvclock_scale(&mul, &shift);
	WRITE_ONCE(t->version, version - 1);
	barrier();
	t->tsc_timestamp = tsc_base + v->tsc_offset;
	t->system_time = 0;
	t->tsc_to_system_mul = mul;
	t->tsc_shift = shift;
	t->flags = tsc_skew_max ? 0 : XEN_PVCLOCK_TSC_STABLE_BIT;
	barrier();
	WRITE_ONCE(t->version, version);
}

void arch_update_time(struct vcpu *v)
{
	const struct guest_area *a = &v->time_area;

	v->pvclock_version += 2;
	put_time(v, &v->info->time);
	if (atomic_load(&a->va))
		put_time(v, guest_write_page(a->mfn[0], a->off));
}
