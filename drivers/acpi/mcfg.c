/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MCFG: where the config space of PCI functions is in memory (PCI Firmware 3.2, 4.1.2).
 * acpi_parse() checks the table's length and checksum before it calls this.
 */
#include <margay/acpi.h>
#include <margay/bytes.h>

#define MCFG_ENTRIES 44
#define ENTRY_SIZE 16
#define BUS_SIZE (1UL << 20)
#define ADDRESSES (1UL << 52)

static const char *__init mcfg_fault(const struct acpi_ecam *e, const struct acpi_info *out)
{
	if (e->last < e->first)
		return "its last bus is below the first";
	if (!e->base || !IS_ALIGNED(e->base, BUS_SIZE) || e->base > ADDRESSES - 256 * BUS_SIZE)
		return "no such address";
	for (unsigned i = 0; i < out->nr_ecam; i++)
		if (out->ecam[i].segment == e->segment && e->first <= out->ecam[i].last &&
		    e->last >= out->ecam[i].first)
			return "a bus has two";
	return out->nr_ecam == ACPI_MAX_ECAM ? "too many" : NULL;
}

void __init acpi_parse_mcfg(const u8 *t, u32 len, struct acpi_info *out)
{
	for (u32 at = MCFG_ENTRIES; len >= ENTRY_SIZE && at <= len - ENTRY_SIZE; at += ENTRY_SIZE) {
		struct acpi_ecam e = { get_u64(t + at), get_u16(t + at + 8), t[at + 10],
				       t[at + 11] };
		const char *why = mcfg_fault(&e, out);

		if (why)
			pr_warn("acpi: MCFG: %#lx, segment %u, buses %u to %u ignored: %s\n",
				e.base, e.segment, e.first, e.last, why);
		else
			out->ecam[out->nr_ecam++] = e;
	}
	if (len < MCFG_ENTRIES || (len - MCFG_ENTRIES) % ENTRY_SIZE)
		pr_warn("acpi: MCFG: length %u is wrong\n", len);
}
