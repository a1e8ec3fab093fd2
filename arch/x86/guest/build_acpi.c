/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ACPI tables of a guest: hardware-reduced (no PM timer, 8259, RTC, 8042 or VGA), a local APIC
 * or, for ids that an xAPIC cannot have, an x2APIC per vCPU, no IO-APIC. The DSDT holds an empty
 * \_SB: the MADT alone lets a kernel bring CPUs up and take them offline. For a guest with PCI
 * functions it has the host bridge, and the MCFG says where config space is. ACPI 6.4, chapters 5
 * and 6.4 (resources), 20.2 (AML); PCI Firmware 3.2, 4.1.
 */
#include <x86/vlapic.h>

#include "acpi_build.h"

#define FADT_SIZE 268U /* revision 5 */
#define FADT_WBINVD BIT(0)
#define FADT_PWR_BUTTON BIT(4) /* no fixed power and sleep buttons */
#define FADT_SLP_BUTTON BIT(5)
#define FADT_HW_REDUCED BIT(20)
#define FADT_NO_VGA BIT(2)
#define FADT_NO_ASPM BIT(4)
#define FADT_NO_RTC BIT(5)
#define MADT_LAPIC 0
#define MADT_X2APIC 9
#define XAPIC_IDS 255U /* 255 is the broadcast destination */
#define MADT_ENABLED 1U

/* The tables in the order in which they lie in the guest's memory. */
struct tables {
	struct acpi_rsdp rsdp;
	struct {
		struct acpi_header header;
		u64 fadt, madt, mcfg;
	} __packed __aligned(16) xsdt;
	struct {
		struct acpi_header header;
		u8 aml[176];
	} __packed __aligned(16) dsdt;
	struct {
		struct acpi_header header;
		u8 reserved[8];
		u64 base;
		u16 segment;
		u8 first, last, reserved2[4];
	} __packed __aligned(16) mcfg;
	struct {
		struct acpi_header header;
		u32 facs, dsdt;
		u8 legacy[65];
		u16 boot_arch;
		u8 reserved;
		u32 flags;
		u8 reset[24];
		u64 x_dsdt;
		u8 x_legacy[FADT_SIZE - 148];
	} __packed __aligned(16) fadt;
	struct {
		struct acpi_madt table;
		u8 cpus[];
	} __packed __aligned(16) madt;
};

struct madt_lapic {
	u8 type, length, uid, id;
	u32 flags;
} __packed;

struct madt_x2apic {
	u8 type, length, reserved[2];
	u32 id, flags, uid;
} __packed;

u64 acpi_cpus_size(unsigned nr_vcpus)
{
	unsigned lapics = min(nr_vcpus, XAPIC_IDS);

	return lapics * sizeof(struct madt_lapic) +
	       (nr_vcpus - lapics) * sizeof(struct madt_x2apic);
}

u64 acpi_size(unsigned int nr_vcpus)
{
	return offsetof(struct tables, madt.cpus) + acpi_cpus_size(nr_vcpus);
}

static u8 checksum(const void *table, size_t n)
{
	const u8 *p = table;
	u8 sum = 0;

	while (n--)
		sum += *p++;
	return (u8)-sum;
}

void acpi_finish_table(struct acpi_header *h, const char *signature, u8 revision, size_t size)
{
	*h = (struct acpi_header){ .length = (u32)size, .revision = revision, .oem_id = "MARGAY",
				   .oem_table_id = "PVHGUEST", .oem_revision = 1,
				   .creator_id = "MRGY", .creator_revision = 1 };
	memcpy(h->signature, signature, 4);
	h->checksum = checksum(h, size);
}

void acpi_rsdp(struct acpi_rsdp *r, gpaddr_t xsdt)
{
	*r = (struct acpi_rsdp){ .signature = "RSD PTR ", .oem_id = "MARGAY", .revision = 2,
				 .length = sizeof(*r), .xsdt = xsdt };
	r->checksum = checksum(r, 20);
	r->checksum_all = checksum(r, sizeof(*r));
}

void acpi_cpus(void *to, unsigned nr_vcpus)
{
	unsigned lapics = min(nr_vcpus, XAPIC_IDS);
	struct madt_lapic *l = to;
	struct madt_x2apic *x = (struct madt_x2apic *)(l + lapics);

	for (unsigned i = 0; i < lapics; i++)
		l[i] = (struct madt_lapic){ MADT_LAPIC, sizeof(*l), (u8)i, (u8)i, MADT_ENABLED };
	for (u32 i = lapics; i < nr_vcpus; i++)
		x[i - lapics] = (struct madt_x2apic){ .type = MADT_X2APIC, .id = i,
			.length = sizeof(*x), .flags = MADT_ENABLED, .uid = i };
}

static const u8 scope_sb[] = { 0x10, 0x06, '\\', '_', 'S', 'B', '_' }; /* Scope (\_SB) {} */

#define BYTES4(x) (u8)(x), (u8)((x) >> 8), (u8)((x) >> 16), (u8)((x) >> 24)
#define ZEROS4 0, 0, 0, 0
#define PCI_WINDOW_HIGH 102 /* offset of the minimum in the QWordMemory; maximum, length follow */

/* clang-format off */
static const u8 scope_pci[] = {
	0x10, 0x4f, 0x0a, '\\', '_', 'S', 'B', '_',	/* Scope (\_SB) */
	0x5b, 0x82, 0x4e, 0x07, 'P', 'C', 'I', '0',	/* Device (PCI0) */
	0x08, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x0a, 0x08,	/* PNP0A08 */
	0x08, '_', 'C', 'I', 'D', 0x0c, 0x41, 0xd0, 0x0a, 0x03,	/* PNP0A03 */
	0x08, '_', 'C', 'R', 'S', 0x11, 0x4e, 0x05, 0x0a, 0x5a,	/* Buffer (90) */
	0x88, 0x0d, 0x00, 0x02, 0x0c, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0,	/* bus 0 */
	0x87, 0x17, 0x00, 0x00, 0x0c, 0x01, ZEROS4,	/* DWordMemory: granularity, */
	BYTES4(GUEST_PCI_BASE), BYTES4(GUEST_PCI_END - 1), ZEROS4, BYTES4(GUEST_PCI_END - GUEST_PCI_BASE),
	0x8a, 0x2b, 0x00, 0x00, 0x0c, 0x01, ZEROS4, ZEROS4,	/* QWordMemory */
	ZEROS4, ZEROS4, ZEROS4, ZEROS4, ZEROS4, ZEROS4, ZEROS4, ZEROS4,
	0x79, 0x00,
	0x5b, 0x82, 0x26, 'E', 'C', 'A', 'M',		/* Device (ECAM) */
	0x08, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x0c, 0x02,	/* PNP0C02 */
	0x08, '_', 'C', 'R', 'S', 0x11, 0x11, 0x0a, 0x0e,	/* Buffer (14) */
	0x86, 0x09, 0x00, 0x01, BYTES4(GUEST_PCI_ECAM), BYTES4(GUEST_PCI_ECAM_SIZE),
	0x79, 0x00,
};
/* clang-format on */

/* Returns the size of the DSDT's code. */
static size_t pci_tables(struct tables *t, gpaddr_t gpa)
{
	const u64 high[] = { guest_pci_high(), guest_pci_high_end() - 1, 0,
			     guest_pci_high_end() - guest_pci_high() };

	_Static_assert(sizeof(scope_pci) == sizeof(t->dsdt.aml), "its size");
	memcpy(t->dsdt.aml, scope_pci, sizeof(scope_pci));
	memcpy(t->dsdt.aml + PCI_WINDOW_HIGH, high, sizeof(high));
	t->mcfg.base = GUEST_PCI_ECAM;
	acpi_finish_table(&t->mcfg.header, "MCFG", 1,
			  offsetof(struct tables, mcfg.reserved2) + 4 -
				  offsetof(struct tables, mcfg));
	t->xsdt.mcfg = gpa + offsetof(struct tables, mcfg);
	return sizeof(scope_pci);
}

void acpi_build(void *to, gpaddr_t gpa, unsigned int nr_vcpus, bool pci)
{
	struct tables *t = to;
	size_t aml = sizeof(scope_sb);

	acpi_rsdp(&t->rsdp, gpa + offsetof(struct tables, xsdt));
	t->xsdt.fadt = gpa + offsetof(struct tables, fadt);
	t->xsdt.madt = gpa + offsetof(struct tables, madt);
	memcpy(t->dsdt.aml, scope_sb, sizeof(scope_sb));
	if (pci)
		aml = pci_tables(t, gpa);
	acpi_finish_table(&t->xsdt.header, "XSDT", 1,
			  sizeof(struct acpi_header) + (pci ? 3 : 2) * sizeof(u64));
	acpi_finish_table(&t->dsdt.header, "DSDT", 2, sizeof(struct acpi_header) + aml);
	t->fadt.x_dsdt = gpa + offsetof(struct tables, dsdt);
	t->fadt.dsdt = (u32)t->fadt.x_dsdt;
	t->fadt.boot_arch = FADT_NO_VGA | FADT_NO_ASPM | FADT_NO_RTC;
	t->fadt.flags = FADT_WBINVD | FADT_PWR_BUTTON | FADT_SLP_BUTTON | FADT_HW_REDUCED;
	acpi_finish_table(&t->fadt.header, "FACP", 5, FADT_SIZE);
	t->madt.table.lapic = VLAPIC_BASE;
	acpi_cpus(t->madt.cpus, nr_vcpus);
	acpi_finish_table(&t->madt.table.header, "APIC", 4,
			  sizeof(t->madt.table) + acpi_cpus_size(nr_vcpus));
}
