/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MCFG: where the config space of PCI functions is in memory (PCI Firmware 3.2, 4.1.2).
 * acpi_parse() checks the table's length and checksum before it calls this.
 */
#include <margay/acpi.h>
#include <margay/bytes.h>
#include <margay/pci.h>

#define MCFG_ENTRIES 44
#define ENTRY_SIZE 16
#define BUS_SIZE (1UL << 20)
#define ADDRESSES (1UL << 52)

/* Adds an entry, whose address is that of bus 0. Returns what is wrong, or NULL. */
static const char *__init add_ecam(struct acpi_info *out, u64 at, u16 segment, u8 first, u8 last)
{
	struct acpi_ecam e = { at + first * BUS_SIZE, (last - first + 1UL) * BUS_SIZE,
			       PCI_SBDF(segment, first, 0) };

	if (last < first)
		return "its last bus is below the first";
	if (!at || !IS_ALIGNED(at, BUS_SIZE) || at > ADDRESSES - 256 * BUS_SIZE)
		return "no such address";
	for (const struct acpi_ecam *o = out->ecam; o < out->ecam + out->nr_ecam; o++)
		if (o->sbdf <= PCI_SBDF(segment, last, 0) &&
		    e.sbdf < o->sbdf + o->size / PCI_CONFIG_SIZE)
			return "a bus has two";
	if (out->nr_ecam == ACPI_MAX_ECAM)
		return "too many";
	out->ecam[out->nr_ecam++] = e;
	return NULL;
}

void __init acpi_parse_mcfg(const u8 *t, u32 len, struct acpi_info *out)
{
	for (u32 at = MCFG_ENTRIES; len >= ENTRY_SIZE && at <= len - ENTRY_SIZE; at += ENTRY_SIZE) {
		u64 base = get_u64(t + at);
		u16 segment = get_u16(t + at + 8);
		u8 first = t[at + 10], last = t[at + 11];
		const char *why = add_ecam(out, base, segment, first, last);

		if (why)
			pr_warn("acpi: MCFG: %#lx, segment %u, buses %u to %u ignored: %s\n", base,
				segment, first, last, why);
	}
	if (len < MCFG_ENTRIES || (len - MCFG_ENTRIES) % ENTRY_SIZE)
		pr_warn("acpi: MCFG: length %u is wrong\n", len);
}
