/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SRAT: the NUMA nodes of CPUs and memory (ACPI 6.4, section 5.2.16), and SLIT: their distances
 * (5.2.17). acpi_parse() calls them after the MADT, in this order, and checks a table's length and
 * checksum before.
 */
#include <margay/acpi.h>
#include <margay/bytes.h>

#define SRAT_ENTRIES 48
#define ENTRY_ENABLED BIT(0)
#define SLIT_LOCALITIES 36
#define SLIT_MATRIX 44		/* a byte for each pair of proximity domains */

enum srat_entry {
	SRAT_LAPIC = 0,
	SRAT_MEM = 1,
	SRAT_X2APIC = 2,
};

static u8 revision __initdata; /* of the table */

/*
 * Returns the node of a proximity domain. Assigns node numbers in order; domains beyond the limit
 * share the last node.
 */
static u8 __init node_of(struct acpi_info *out, u32 pxm)
{
	unsigned int i;

	for (i = 0; i < out->nr_nodes; i++) {
		if (out->nodes[i] == pxm)
			return (u8)i;
	}
	if (i == MAX_NODES) {
		pr_warn("acpi: SRAT: more than %u nodes, domain %u joins the last\n", i, pxm);
		return MAX_NODES - 1;
	}
	out->nodes[out->nr_nodes++] = pxm;
	return (u8)i;
}

static void __init set_cpu_node(struct acpi_info *out, u32 apic_id, u8 node)
{
	for (unsigned int i = 0; i < out->nr_cpus; i++) {
		if (out->cpus[i].apic_id == apic_id)
			out->cpus[i].node = node;
	}
}

static void __init add_mem(struct acpi_info *out, const u8 *e)
{
	u64 base = get_u64(e + 8), size = get_u64(e + 16);

	if (!size)
		return;
	if (size > ~0UL - base) {
		pr_warn("acpi: SRAT: memory at %#lx of size %#lx wraps, ignored\n", base, size);
		return;
	}
	if (out->nr_mem == ACPI_MAX_MEM) {
		pr_warn("acpi: SRAT: more than %u memory ranges, %#lx ignored\n", ACPI_MAX_MEM,
			base);
		return;
	}
	out->mem[out->nr_mem++] = (struct acpi_mem){ base, size, node_of(out, get_u32(e + 2)) };
}

static void __init srat_add_entry(const u8 *e, u32 size __unused, void *ctx)
{
	struct acpi_info *out = ctx;
	u32 pxm;

	if (e[0] == SRAT_LAPIC && (get_u32(e + 4) & ENTRY_ENABLED)) {
		/* Revision 1 has an 8-bit domain; the other bytes are reserved. */
		pxm = e[2];
		if (revision >= 2)
			pxm |= (u32)e[9] << 8 | (u32)e[10] << 16 | (u32)e[11] << 24;
		set_cpu_node(out, e[3], node_of(out, pxm));
	} else if (e[0] == SRAT_X2APIC && (get_u32(e + 12) & ENTRY_ENABLED)) {
		set_cpu_node(out, get_u32(e + 8), node_of(out, get_u32(e + 4)));
	} else if (e[0] == SRAT_MEM && (get_u32(e + 28) & ENTRY_ENABLED)) {
		add_mem(out, e);
	}
}

void __init acpi_parse_srat(const u8 *t, u32 len, struct acpi_info *out)
{
	static const u8 min[] = { [SRAT_LAPIC] = 16, [SRAT_MEM] = 40, [SRAT_X2APIC] = 24 };
	static const struct acpi_records entries = { "SRAT", 2, acpi_size8, min, ARRAY_SIZE(min),
						     srat_add_entry };

	revision = t[8];
	acpi_each_record(&entries, t, SRAT_ENTRIES, len, out);
}

/* Takes all distances, or none if one is impossible: 10 is a node's to itself, and of no other pair. */
void __init acpi_parse_slit(const u8 *t, u32 len, struct acpi_info *out)
{
	u64 n = len < SLIT_MATRIX ? 0 : get_u64(t + SLIT_LOCALITIES);

	if (len < SLIT_MATRIX || n > len || n * n != len - SLIT_MATRIX) {
		pr_err("acpi: SLIT: length %u is wrong for %lu nodes, ignored\n", len, n);
		return;
	}
	for (u64 i = 0; i < n * n; i++) {
		u8 d = t[SLIT_MATRIX + i];

		if (i % (n + 1) ? d <= SLIT_LOCAL : d != SLIT_LOCAL) {
			pr_err("acpi: SLIT: distance %u of nodes %lu and %lu is wrong, ignored\n",
			       d, i / n, i % n);
			return;
		}
	}
	for (unsigned i = 0; i < out->nr_nodes; i++)
		for (unsigned j = 0; j < out->nr_nodes; j++)
			if (out->nodes[i] < n && out->nodes[j] < n)
				out->distance[i][j] =
					t[SLIT_MATRIX + out->nodes[i] * n + out->nodes[j]];
}
