/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MADT: CPUs and interrupt controllers (ACPI 6.4, section 5.2.12). acpi_parse() checks the table's
 * length and checksum before it calls this; the entries are checked here.
 */
#include <margay/acpi.h>
#include <margay/bytes.h>

#define MADT_ENTRIES 44

#define CPU_ENABLED BIT(0)

enum madt_entry {
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_OVERRIDE = 2,
	MADT_X2APIC = 9,
};

static void __init add_cpu(struct acpi_info *out, u32 apic_id, u32 uid, u32 flags)
{
	if (!(flags & CPU_ENABLED))
		return;
	for (unsigned int i = 0; i < out->nr_cpus; i++) {
		if (out->cpus[i].apic_id != apic_id)
			continue;
		/* Firmware usually lists a CPU both as LAPIC and as x2APIC. */
		if (out->cpus[i].uid != uid)
			pr_warn("acpi: APIC: second CPU with APIC id %u, ignored\n", apic_id);
		return;
	}
	if (out->nr_cpus == MAX_CPUS)
		pr_warn("acpi: APIC: more than %u CPUs, APIC id %u ignored\n", MAX_CPUS, apic_id);
	else
		out->cpus[out->nr_cpus++] = (struct acpi_cpu){ apic_id, uid, 0 };
}

static void __init add_ioapic(struct acpi_info *out, const u8 *e)
{
	u32 base = get_u32(e + 4), i;

	for (i = 0; i < out->nr_ioapics; i++) {
		if (out->ioapics[i].base == base || out->ioapics[i].gsi_base == get_u32(e + 8)) {
			pr_warn("acpi: APIC: second IO-APIC at %#x, ignored\n", base);
			return;
		}
	}
	if (!base || out->nr_ioapics == ACPI_MAX_IOAPICS)
		pr_warn("acpi: APIC: IO-APIC %u at %#x ignored\n", e[2], base);
	else
		out->ioapics[out->nr_ioapics++] =
			(struct acpi_ioapic){ get_u32(e + 8), base, e[2] };
}

static void __init add_override(struct acpi_info *out, const u8 *e)
{
	if (e[2] || e[3] >= 16) {
		pr_warn("acpi: APIC: override of bus %u interrupt %u ignored\n", e[2], e[3]);
		return;
	}
	for (unsigned int i = 0; i < out->nr_overrides; i++) {
		if (out->overrides[i].irq == e[3]) {
			pr_warn("acpi: APIC: second override of interrupt %u ignored\n", e[3]);
			return;
		}
	}
	/* At most one per ISA interrupt, so there is room. */
	out->overrides[out->nr_overrides++] =
		(struct acpi_override){ e[3], get_u16(e + 8), get_u32(e + 4) };
}

static void __init madt_add_entry(const u8 *e, u32 size __unused, void *out)
{
	switch (e[0]) {
	/* APIC ids of all ones are placeholders. */
	case MADT_LAPIC:
		if (e[3] != 0xff)
			add_cpu(out, e[3], e[2], get_u32(e + 4));
		break;
	case MADT_X2APIC:
		if (get_u32(e + 4) != 0xffffffffU)
			add_cpu(out, get_u32(e + 4), get_u32(e + 12), get_u32(e + 8));
		break;
	case MADT_IOAPIC: add_ioapic(out, e); break;
	case MADT_OVERRIDE: add_override(out, e); break;
	}
}

void __init acpi_parse_madt(const u8 *t, u32 len, struct acpi_info *out)
{
	static const u8 min[] = { [MADT_LAPIC] = 8, [MADT_IOAPIC] = 12, [MADT_OVERRIDE] = 10,
				  [MADT_X2APIC] = 16 };
	static const struct acpi_records entries = { "APIC", 2, acpi_size8, min, ARRAY_SIZE(min),
						     madt_add_entry };

	acpi_each_record(&entries, t, MADT_ENTRIES, len, out);
}
