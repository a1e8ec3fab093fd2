/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The NUMA nodes of a guest with `dedicated=`: where its memory shall be, where it is, and the tables
 * that tell the guest: SRAT (ACPI 6.4, 5.2.16) and SLIT (5.2.17). The guest's nodes are the machine's
 * that have CPUs or memory of its own, numbered from 0 on in the same order.
 */
#include <margay/boot_state.h>
#include <x86/vlapic.h>

#include "acpi_build.h"

enum { SRAT_MEM = 1, SRAT_X2APIC = 2, SRAT_ENABLED = 1 };

struct srat {
	struct acpi_header header;
	u32 one;
	u64 reserved;
} __packed;

struct srat_mem {
	u8 type, length;
	u32 node;
	u16 reserved;
	u64 base, size;
	u32 reserved1, flags;
	u64 reserved2;
} __packed;

struct srat_x2apic {
	u8 type, length;
	u16 reserved;
	u32 node, id, flags, clock_domain, reserved1;
} __packed;

struct slit {
	struct acpi_header header;
	u64 n;
	u8 distance[];
} __packed;

static u8 cpu_node(unsigned cpu)
{
	return cpus[cpu]->node < nr_nodes ? cpus[cpu]->node : 0;
}

void numa_begin(struct guest_numa *g, const struct domain *d, u64 mem)
{
	unsigned count[MAX_NODES] = { 0 }, sum = 0, i;

	g->nr_parts = g->nr_ranges = 0;
	if (!d->own_cpus || nr_nodes == 1)
		return;
	for_each_cpu(i, d->own_cpus)
		count[cpu_node(i)]++;
	for (i = 0; i < nr_nodes; i++) {
		sum += count[i];
		if (count[i]) {
			g->part[g->nr_parts].node = (u8)i;
			g->part[g->nr_parts++].end =
				ALIGN_DOWN(mem * sum / d->nr_vcpus, PAGE_SIZE * CHUNK_PAGES);
		}
	}
	g->part[g->nr_parts - 1].end = mem;
}

u8 numa_wanted(const struct guest_numa *g, u64 done, u64 *left)
{
	for (unsigned i = 0; i < g->nr_parts; i++)
		if (done < g->part[i].end) {
			*left = g->part[i].end - done;
			return g->part[i].node;
		}
	*left = ~0UL;
	return NODE_ANY;
}

void numa_add(struct guest_numa *g, gpaddr_t base, u64 size, mfn_t mfn)
{
	struct acpi_mem *last = &g->range[max(g->nr_ranges, 1U) - 1];
	u8 node = g->nr_parts ? (u8)page_node(mfn) : 0;

	if (!g->nr_parts)
		return;
	if (g->nr_ranges && last->node == node && last->base + last->size == base) {
		last->size += size;
	} else if (g->nr_ranges < NUMA_RANGES) {
		g->range[g->nr_ranges++] = (struct acpi_mem){ base, size, node };
	} else {
		pr_warn("a guest's memory is in more than %u pieces: it sees no nodes\n",
			NUMA_RANGES);
		g->nr_parts = 0;
	}
}

u64 acpi_numa_size(const struct domain *d)
{
	if (!d->own_cpus || nr_nodes == 1)
		return 0;
	return sizeof(struct srat) + NUMA_RANGES * sizeof(struct srat_mem) +
	       d->nr_vcpus * sizeof(struct srat_x2apic) + sizeof(struct slit) + nr_nodes * nr_nodes;
}

static struct acpi_header *add_slit(struct slit *s, u64 nodes, u64 n)
{
	u8 *to = s->distance;
	unsigned i, j;

	for_each_bit(i, &nodes, nr_nodes)
		for_each_bit(j, &nodes, nr_nodes) {
			u8 told = boot_acpi.distance[i][j];

			*to++ = told ? told : i == j ? SLIT_LOCAL : SLIT_REMOTE;
		}
	s->n = n;
	acpi_finish_table(&s->header, "SLIT", 1, (size_t)(to - (u8 *)s));
	return &s->header;
}

struct acpi_header *acpi_numa(struct acpi_header *to, const struct domain *d,
			      const struct guest_numa *g)
{
	struct srat *s = (struct srat *)to;
	struct srat_mem *m = (struct srat_mem *)(s + 1);
	struct srat_x2apic *x = (struct srat_x2apic *)(m + g->nr_ranges);
	u8 number[MAX_NODES], n = 0;
	u64 nodes = 0;

	for (unsigned i = 0; i < g->nr_parts; i++)
		nodes |= BIT(g->part[i].node);
	for (unsigned i = 0; i < g->nr_ranges; i++)
		nodes |= BIT(g->range[i].node);
	for (unsigned i = 0; i < nr_nodes; i++) {
		number[i] = n;
		n = (u8)(n + (nodes >> i & 1));
	}
	if (!g->nr_parts || n == 1)
		return NULL;
	for (const struct acpi_mem *r = g->range; r < g->range + g->nr_ranges; r++)
		*m++ = (struct srat_mem){ SRAT_MEM, sizeof(*m), number[r->node], 0, r->base,
					  r->size,  0,          SRAT_ENABLED,    0 };
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		*x++ = (struct srat_x2apic){ .type = SRAT_X2APIC, .length = sizeof(*x),
					     .node = number[cpu_node(d->apic_ids->cpu[i])],
					     .id = domain_apic_id(d, i),
					     .flags = SRAT_ENABLED };
	s->one = 1;
	acpi_finish_table(&s->header, "SRAT", 3, (size_t)((u8 *)x - (u8 *)s));
	return add_slit((struct slit *)x, nodes, n);
}
