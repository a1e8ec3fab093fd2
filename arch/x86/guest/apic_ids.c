/* SPDX-License-Identifier: BSD-2-Clause */
/* The APIC ids of guests with `dedicated=`. include/x86/vlapic.h says what they are. */
#include <margay/errno.h>
#include <x86/smp.h>
#include <x86/vlapic.h>

int apic_ids_create(struct domain *d)
{
	u32 size = 2, base = ~0U;
	struct apic_ids *ids;
	unsigned i, n = 0;

	if (!d->own_cpus)
		return 0;
	while (size < 2 * d->max_vcpus)
		size *= 2;
	ids = kzalloc(sizeof(*ids) + (d->max_vcpus + size) * sizeof(u16));
	if (!ids)
		return -ENOMEM;
	for_each_cpu(i, d->own_cpus)
		base = min(base, d->trusted ? 0 : package_first_id(cpus[i]));
	ids->base = base;
	ids->mask = size - 1;
	ids->hash = ids->cpu + d->max_vcpus;
	/* In the order in which isolate.c gives them CPUs. */
	for_each_cpu(i, d->own_cpus) {
		u32 at = cpus[i]->apic_id - base;

		while (ids->hash[at & ids->mask])
			at++;
		ids->cpu[n++] = (u16)i;
		ids->hash[at & ids->mask] = (u16)n;
	}
	d->apic_ids = ids;
	return 0;
}
