/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ACPI tables of the control domain that has the machine's devices: the machine's own at their
 * addresses, where the domain sees them, but for a new root and a MADT with the vCPUs and the
 * machine's IO-APICs, which vioapic.c emulates. Without DMAR, IVRS, HPET and SRAT: Margay keeps
 * what they describe. ACPI 6.4, 5.2.12.
 */
#include <margay/boot_state.h>
#include <x86/vlapic.h>

#include "acpi_build.h"

struct madt_ioapic {
	u8 type, length, id, reserved;
	u32 base, gsi_base;
} __packed;

struct madt_override {
	u8 type, length, bus, irq;
	u32 gsi;
	u16 flags;
} __packed;

enum { MADT_IOAPIC = 1, MADT_OVERRIDE = 2 };

#define XSDT_AT 48UL

static u64 madt_at(void)
{
	return ALIGN_UP(XSDT_AT + sizeof(struct acpi_header) +
				(boot_acpi.nr_passed + 1) * sizeof(u64),
			16UL);
}

static u64 madt_size(const struct domain *d)
{
	return sizeof(struct acpi_madt) + boot_acpi.nr_ioapics * sizeof(struct madt_ioapic) +
	       boot_acpi.nr_overrides * sizeof(struct madt_override) + acpi_cpus_size(d);
}

u64 acpi_machine_size(const struct domain *d)
{
	return madt_at() + madt_size(d);
}

/* No 8259s: flags is 0. No NMIs of local APICs: no pin of a virtual one has any. */
static void build_madt(struct acpi_madt *m, const struct domain *d)
{
	struct madt_ioapic *io = (struct madt_ioapic *)(m + 1);
	struct madt_override *o;

	m->lapic = VLAPIC_BASE;
	for (unsigned i = 0; i < boot_acpi.nr_ioapics; i++, io++) {
		const struct acpi_ioapic *a = &boot_acpi.ioapics[i];

		*io = (struct madt_ioapic){ MADT_IOAPIC, sizeof(*io), a->id, 0, (u32)a->base,
					    a->gsi_base };
	}
	o = (struct madt_override *)io;
	for (unsigned i = 0; i < boot_acpi.nr_overrides; i++, o++) {
		const struct acpi_override *a = &boot_acpi.overrides[i];

		*o = (struct madt_override){ MADT_OVERRIDE, sizeof(*o), 0, a->irq, a->gsi,
					     a->flags };
	}
	acpi_cpus(o, d);
	acpi_finish_table(&m->header, "APIC", 4, madt_size(d));
}

void acpi_machine_build(void *to, gpaddr_t gpa, const struct domain *d)
{
	struct acpi_header *xsdt = (struct acpi_header *)((u8 *)to + XSDT_AT);
	u8 *entry = (u8 *)(xsdt + 1);
	u64 madt = gpa + madt_at();

	memcpy(entry, &madt, sizeof(madt));
	memcpy(entry + sizeof(madt), boot_acpi.passed, boot_acpi.nr_passed * sizeof(madt));
	acpi_finish_table(xsdt, "XSDT", 1,
			  sizeof(*xsdt) + (boot_acpi.nr_passed + 1) * sizeof(madt));
	build_madt((struct acpi_madt *)((u8 *)to + madt_at()), d);
	acpi_rsdp(to, gpa + XSDT_AT);
}
