/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ACPI tables of a guest: hardware-reduced (no PM timer, 8259, RTC, 8042 or VGA), a local APIC per
 * vCPU, no IO-APIC. The DSDT holds an empty \_SB: the MADT alone lets a kernel start CPUs and take them
 * down and up again. ACPI 6.4, chapter 5.
 */
#include <margay/build.h>
#include <margay/vlapic.h>

#define RSDP_SIZE 36
#define XSDT_SIZE (sizeof(struct acpi_header) + 2 * sizeof(u64))
#define FADT_SIZE 268U /* revision 5 */
#define FADT_WBINVD BIT(0)
#define FADT_PWR_BUTTON BIT(4) /* no fixed power and sleep buttons */
#define FADT_SLP_BUTTON BIT(5)
#define FADT_HW_REDUCED BIT(20)
#define FADT_NO_VGA BIT(2)
#define FADT_NO_ASPM BIT(4)
#define FADT_NO_RTC BIT(5)
#define FADT_FLAGS_OFFSET 112
#define FADT_BOOT_ARCH_OFFSET 109
#define FADT_X_DSDT_OFFSET 140
#define FADT_DSDT_OFFSET 40
#define MADT_LAPIC 0
#define MADT_X2APIC 9
#define MADT_ENABLED 1U
#define XAPIC_MAX_ID 254U

struct acpi_header {
	char signature[4];
	u32 length;
	u8 revision, checksum;
	char oem_id[6], oem_table_id[8];
	u32 oem_revision;
	char creator_id[4];
	u32 creator_revision;
} __packed;

struct tables {
	u8 *buf;
	size_t size, used;
	gpaddr_t gpa;
};

static void put(u8 *at, u64 val, unsigned bytes)
{
	memcpy(at, &val, bytes);
}

static u8 checksum(const u8 *p, size_t n)
{
	u8 sum = 0;

	while (n--)
		sum += *p++;
	return (u8)-sum;
}

/* Room for a table, zeroed but for its header; NULL when there is none. */
static u8 *new_table(struct tables *t, const char *signature, u8 revision, size_t size)
{
	struct acpi_header *h = (struct acpi_header *)(t->buf + t->used);

	if (size > t->size - t->used)
		return NULL;
	memset(h, 0, size);
	memcpy(h->signature, signature, 4);
	h->length = (u32)size;
	h->revision = revision;
	memcpy(h->oem_id, "MARGAY", 6);
	memcpy(h->oem_table_id, "PVHGUEST", 8);
	h->oem_revision = 1;
	memcpy(h->creator_id, "MRGY", 4);
	h->creator_revision = 1;
	t->used = min(ALIGN_UP(t->used + size, 16), t->size);
	return (u8 *)h;
}

static gpaddr_t seal(const struct tables *t, u8 *table)
{
	struct acpi_header *h = (struct acpi_header *)table;

	h->checksum = checksum(table, h->length);
	return t->gpa + (gpaddr_t)(table - t->buf);
}

/* Scope (\_SB) {} */
static gpaddr_t build_dsdt(struct tables *t)
{
	static const u8 aml[] = { 0x10, 0x06, '\\', '_', 'S', 'B', '_' };
	u8 *p = new_table(t, "DSDT", 2, sizeof(struct acpi_header) + sizeof(aml));

	if (!p)
		return 0;
	memcpy(p + sizeof(struct acpi_header), aml, sizeof(aml));
	return seal(t, p);
}

static gpaddr_t build_fadt(struct tables *t, gpaddr_t dsdt)
{
	u8 *p = new_table(t, "FACP", 5, FADT_SIZE);

	if (!p)
		return 0;
	put(p + FADT_DSDT_OFFSET, dsdt, 4);
	put(p + FADT_X_DSDT_OFFSET, dsdt, 8);
	put(p + FADT_BOOT_ARCH_OFFSET, FADT_NO_VGA | FADT_NO_ASPM | FADT_NO_RTC, 2);
	put(p + FADT_FLAGS_OFFSET,
	    FADT_WBINVD | FADT_PWR_BUTTON | FADT_SLP_BUTTON | FADT_HW_REDUCED, 4);
	return seal(t, p);
}

static gpaddr_t build_madt(struct tables *t, unsigned int nr_vcpus)
{
	size_t size = sizeof(struct acpi_header) + 8;
	u8 *p, *e;

	for (unsigned int i = 0; i < nr_vcpus; i++)
		size += i <= XAPIC_MAX_ID ? 8 : 16;
	p = new_table(t, "APIC", 4, size);
	if (!p)
		return 0;
	e = p + sizeof(struct acpi_header);
	put(e, VLAPIC_BASE, 4);
	e += 8;
	for (unsigned int i = 0; i < nr_vcpus; i++) {
		if (i <= XAPIC_MAX_ID) {
			e[0] = MADT_LAPIC;
			e[1] = 8;
			e[2] = e[3] = (u8)i;
			put(e + 4, MADT_ENABLED, 4);
		} else {
			e[0] = MADT_X2APIC;
			e[1] = 16;
			put(e + 4, i, 4);
			put(e + 8, MADT_ENABLED, 4);
			put(e + 12, i, 4);
		}
		e += e[1];
	}
	return seal(t, p);
}

size_t acpi_build(void *buf, size_t size, gpaddr_t gpa, unsigned int nr_vcpus)
{
	struct tables t = { .buf = buf, .size = size, .used = 64, .gpa = gpa };
	gpaddr_t dsdt, fadt, madt;
	u8 *rsdp = buf, *xsdt;

	if (size < 64)
		return 0;
	memset(rsdp, 0, 64);
	xsdt = new_table(&t, "XSDT", 1, XSDT_SIZE);
	dsdt = build_dsdt(&t);
	fadt = dsdt ? build_fadt(&t, dsdt) : 0;
	madt = fadt ? build_madt(&t, nr_vcpus) : 0;
	if (!xsdt || !madt)
		return 0;
	put(xsdt + sizeof(struct acpi_header), fadt, 8);
	put(xsdt + sizeof(struct acpi_header) + 8, madt, 8);

	memcpy(rsdp, "RSD PTR ", 8);
	memcpy(rsdp + 9, "MARGAY", 6);
	rsdp[15] = 2;
	put(rsdp + 20, RSDP_SIZE, 4);
	put(rsdp + 24, seal(&t, xsdt), 8);
	rsdp[8] = checksum(rsdp, 20);
	rsdp[32] = checksum(rsdp, RSDP_SIZE);
	return t.used;
}
