/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ACPI tables of a guest: hardware-reduced (no 8259, RTC, 8042, VGA, nor, but for a guest without
 * Xen's clock, PM timer), a local APIC
 * or, for ids that an xAPIC cannot have, an x2APIC per vCPU, no IO-APIC. The DSDT holds an empty
 * \_SB: the MADT alone lets a kernel bring CPUs up and take them offline. For a guest with a PCI bus
 * an SSDT has the host bridge, and the MCFG says where config space is. ACPI 6.4, chapter 5.
 */
#include <x86/vlapic.h>

#include "acpi_build.h"

#define FADT_SIZE 268U /* revision 5 */
#define FADT_X_PM_TIMER 208
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
		u64 table[6];
	} __packed __aligned(16) xsdt;
	struct {
		struct acpi_header header;
		u8 aml[7];
	} __packed dsdt __aligned(16);
	struct {
		struct acpi_header header;
		u8 aml[sizeof(guest_pci_aml)];
	} __packed ssdt __aligned(16);
	struct {
		struct acpi_header header;
		struct guest_pci_mcfg bridge;
	} __packed mcfg __aligned(16);
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

static bool is_xapic(const struct domain *d, unsigned vcpu)
{
	return vcpu < XAPIC_IDS && domain_apic_id(d, vcpu) < XAPIC_IDS;
}

u64 acpi_cpus_size(const struct domain *d)
{
	u64 size = 0;

	for (unsigned i = 0; i < d->nr_vcpus; i++)
		size += is_xapic(d, i) ? sizeof(struct madt_lapic) : sizeof(struct madt_x2apic);
	return size;
}

/* SRAT and SLIT come after the MADT. */
static u64 numa_at(const struct domain *d)
{
	return ALIGN_UP(offsetof(struct tables, madt.cpus) + acpi_cpus_size(d), 16UL);
}

u64 acpi_size(const struct domain *d)
{
	return numa_at(d) + acpi_numa_size(d);
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

void acpi_cpus(void *to, const struct domain *d)
{
	for (u32 i = 0; i < d->nr_vcpus; i++) {
		u32 id = domain_apic_id(d, i);
		struct madt_lapic *l = to;
		struct madt_x2apic *x = to;

		if (is_xapic(d, i)) {
			*l = (struct madt_lapic){ MADT_LAPIC, sizeof(*l), (u8)i, (u8)id,
						  MADT_ENABLED };
			to = l + 1;
		} else {
			*x = (struct madt_x2apic){ .type = MADT_X2APIC, .length = sizeof(*x),
						   .id = id, .flags = MADT_ENABLED, .uid = i };
			to = x + 1;
		}
	}
}

static const u8 scope_sb[] = { 0x10, 0x06, '\\', '_', 'S', 'B', '_' }; /* Scope (\_SB) {} */

/* A generic address: a port of 32 bits. For kernels that calibrate their TSC by it. */
static const u8 pm_timer_block[12] = { 1, 32, 0, 3, PORT_PM_TIMER & 0xff, PORT_PM_TIMER >> 8 };

static void pci_tables(struct tables *t, gpaddr_t gpa)
{
	const u64 high[] = { guest_pci_high(), guest_pci_high_end() - 1, 0,
			     guest_pci_high_end() - guest_pci_high() };

	memcpy(t->ssdt.aml, guest_pci_aml, sizeof(guest_pci_aml));
	memcpy(t->ssdt.aml + GUEST_PCI_HIGH, high, sizeof(high));
	acpi_finish_table(&t->ssdt.header, "SSDT", 2, sizeof(t->ssdt));
	t->mcfg.bridge.base = GUEST_PCI_ECAM;
	t->mcfg.bridge.last = GUEST_PCI_SLOTS;
	acpi_finish_table(&t->mcfg.header, "MCFG", 1, sizeof(t->mcfg));
	t->xsdt.table[2] = gpa + offsetof(struct tables, mcfg);
	t->xsdt.table[3] = gpa + offsetof(struct tables, ssdt);
}

void acpi_build(void *to, gpaddr_t gpa, const struct domain *d, bool pci,
		const struct guest_numa *numa)
{
	struct tables *t = to;
	unsigned n = pci ? 4 : 2;
	u8 *srat = (u8 *)to + numa_at(d);
	const void *slit = acpi_numa((void *)srat, d, numa);

	if (slit) {
		t->xsdt.table[n++] = gpa + (u64)(srat - (u8 *)to);
		t->xsdt.table[n++] = gpa + (u64)((const u8 *)slit - (u8 *)to);
	}
	acpi_rsdp(&t->rsdp, gpa + offsetof(struct tables, xsdt));
	t->xsdt.table[0] = gpa + offsetof(struct tables, fadt);
	t->xsdt.table[1] = gpa + offsetof(struct tables, madt);
	memcpy(t->dsdt.aml, scope_sb, sizeof(scope_sb));
	if (pci)
		pci_tables(t, gpa);
	acpi_finish_table(&t->xsdt.header, "XSDT", 1, sizeof(struct acpi_header) + n * sizeof(u64));
	acpi_finish_table(&t->dsdt.header, "DSDT", 2, sizeof(t->dsdt));
	t->fadt.x_dsdt = gpa + offsetof(struct tables, dsdt);
	t->fadt.dsdt = (u32)t->fadt.x_dsdt;
	t->fadt.boot_arch = FADT_NO_VGA | FADT_NO_ASPM | FADT_NO_RTC;
	t->fadt.flags = FADT_WBINVD | FADT_PWR_BUTTON | FADT_SLP_BUTTON | FADT_HW_REDUCED;
	if (d->native)
		memcpy(t->fadt.x_legacy + FADT_X_PM_TIMER - 148, pm_timer_block,
		       sizeof(pm_timer_block));
	acpi_finish_table(&t->fadt.header, "FACP", 5, FADT_SIZE);
	t->madt.table.lapic = VLAPIC_BASE;
	acpi_cpus(t->madt.cpus, d);
	acpi_finish_table(&t->madt.table.header, "APIC", 4,
			  sizeof(t->madt.table) + acpi_cpus_size(d));
}
