/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds and checks the ACPI tables (ACPI 6.4, section 5.2) and reads the FADT, the HPET table and
 * the DSDT; the other tables have their own files. Firmware is not trusted: a table with a bad
 * length or checksum is reported and skipped. Boot CPU only.
 */
#include <margay/acpi.h>
#include <margay/bytes.h>
#include <margay/errno.h>

#define RSDP_SIZE_V1 20
#define RSDP_SIZE_V2 36
#define HEADER_SIZE 36
#define TABLE_MAX (16U << 20)

/* FADT fields (ACPI table 5.9) */
#define FADT_DSDT 40
#define FADT_SMI_CMD 48
#define FADT_ACPI_ENABLE 52
#define FADT_PM1A_CNT 64
#define FADT_PM1B_CNT 68
#define FADT_FLAGS 112
#define FADT_RESET_REG 116
#define FADT_RESET_VALUE 128
#define FADT_X_DSDT 140
#define FADT_X_PM1A_CNT 172
#define FADT_X_PM1B_CNT 184
#define FADT_MIN_SIZE 116
#define FADT_RESET_REG_SUP BIT(10)
#define GAS_SIZE 12

#define HPET_ADDRESS 40
#define HPET_MIN_SIZE 56

static acpi_map_fn *map __initdata;

static bool __init sum_ok(const u8 *p, u32 len)
{
	u8 sum = 0;

	while (len--)
		sum += *p++;
	return !sum;
}

static bool __init rsdp_ok(const u8 *p, size_t size)
{
	if (size < RSDP_SIZE_V1 || memcmp(p, "RSD PTR ", 8) || !sum_ok(p, RSDP_SIZE_V1))
		return false;
	if (p[15] < 2)
		return true;
	return size >= RSDP_SIZE_V2 && get_u32(p + 20) >= RSDP_SIZE_V2 && get_u32(p + 20) <= size &&
	       sum_ok(p, get_u32(p + 20));
}

/* Maps a whole table and checks it. `expect` is its signature, NULL for any. */
static const u8 *__init map_table(paddr_t pa, const char *expect)
{
	const u8 *t = pa ? map(pa, HEADER_SIZE) : NULL;
	char name[5] = "?";
	u32 len;

	if (!t) {
		pr_err("acpi: %s: no table at %#lx, ignored\n", expect ? expect : "table", pa);
		return NULL;
	}
	for (u32 i = 0; i < 4; i++)
		name[i] = t[i] >= ' ' && t[i] < 127 ? t[i] : '?';
	if (expect && memcmp(t, expect, 4)) {
		pr_err("acpi: %s: table at %#lx is called %s, ignored\n", expect, pa, name);
		return NULL;
	}
	len = get_u32(t + 4);
	if (len < HEADER_SIZE || len > TABLE_MAX) {
		pr_err("acpi: %s: length %u is wrong, ignored\n", name, len);
		return NULL;
	}
	t = map(pa, len);
	if (!t) {
		pr_err("acpi: %s: %u bytes at %#lx cannot be read, ignored\n", name, len, pa);
		return NULL;
	}
	if (get_u32(t + 4) != len || !sum_ok(t, len)) {
		pr_err("acpi: %s: wrong checksum, ignored\n", name);
		return NULL;
	}
	return t;
}

u32 __init acpi_size8(const u8 *e, u32 n __unused) { return e[1]; }
u32 __init acpi_size16(const u8 *e, u32 n __unused) { return get_u16(e + 2); }

u32 __init acpi_each_record(const struct acpi_records *r, const u8 *t, u32 at, u32 len, void *ctx)
{
	for (u32 size, need; at < len; at += size) {
		need = t[at] < r->nr ? max(r->min_size[t[at]] + 0U, r->head) : r->head;
		size = len - at < r->head ? 0 : r->size(t + at, len - at);
		if (size < need || size > len - at) {
			pr_err("acpi: %s: entry type %u at %u: length %u is wrong, rest ignored\n",
			       r->name, t[at], at, size);
			return at;
		}
		r->add(t + at, size, ctx);
	}
	if (at > len)
		pr_err("acpi: %s: length %u is too short, ignored\n", r->name, len);
	return at;
}

/* Parses a small AML integer (ACPI 20.2.3). Returns its length, 0 for other objects. */
static u32 __init aml_small_int(const u8 *p, u32 len, u8 *value)
{
	if (len >= 1 && p[0] <= 1) { /* ZeroOp, OneOp */
		*value = p[0];
		return 1;
	}
	if (len >= 2 && p[0] == 0x0a) { /* BytePrefix */
		*value = p[1];
		return 2;
	}
	return 0;
}

/*
 * Finds `Name (_S5_, Package () {a, b, ...})` without an interpreter: a NameOp before the name and
 * a package of integers after it occur together nowhere else.
 */
static void __init find_s5(const u8 *t, u32 len, struct acpi_info *out)
{
	u32 at, p, n;

	for (at = HEADER_SIZE + 1; at + 4 < len && !out->s5_valid; at++) {
		if (t[at] != '_' || memcmp(t + at, "_S5_", 4))
			continue;
		if (t[at - 1] != 0x08 && !(t[at - 1] == '\\' && t[at - 2] == 0x08))
			continue;
		p = at + 4;
		if (len - p < 4 || t[p] != 0x12) /* PackageOp */
			continue;
		p += 2 + (t[p + 1] >> 6); /* PkgLength (20.2.4) */
		if (p >= len || t[p] < 1)
			continue;
		n = t[p++];
		at = aml_small_int(t + p, len - p, &out->s5_typ_a);
		if (!at)
			return;
		p += at;
		at = n > 1 ? aml_small_int(t + p, len - p, &out->s5_typ_b) : 1;
		out->s5_valid = at && out->s5_typ_a < 8 && out->s5_typ_b < 8;
		return;
	}
}

static u16 __init port_at(u8 space, u64 addr, const char *what)
{
	if (space == ACPI_SPACE_IO && addr <= 0xffff)
		return (u16)addr;
	pr_warn("acpi: FACP: %s %#lx is not a port, ignored\n", what, addr);
	return 0;
}

/* Returns a port from an old FADT field or from the generic address that replaces it. */
static u16 __init fadt_port(const u8 *t, u32 len, u32 old, u32 ext, const char *what)
{
	if (len >= ext + GAS_SIZE && get_u64(t + ext + 4))
		return port_at(t[ext], get_u64(t + ext + 4), what);
	return port_at(ACPI_SPACE_IO, get_u32(t + old), what);
}

static void __init parse_fadt(const u8 *t, u32 len, struct acpi_info *out)
{
	const u8 *dsdt;
	u64 pa;

	if (len < FADT_MIN_SIZE) {
		pr_err("acpi: FACP: length %u is too short, ignored\n", len);
		return;
	}
	if (get_u32(t + FADT_SMI_CMD) <= 0xffff)
		out->smi_cmd = get_u32(t + FADT_SMI_CMD);
	out->acpi_enable = t[FADT_ACPI_ENABLE];
	out->pm1a_cnt = fadt_port(t, len, FADT_PM1A_CNT, FADT_X_PM1A_CNT, "PM1a control");
	out->pm1b_cnt = fadt_port(t, len, FADT_PM1B_CNT, FADT_X_PM1B_CNT, "PM1b control");
	if (len > FADT_RESET_VALUE && (get_u32(t + FADT_FLAGS) & FADT_RESET_REG_SUP)) {
		out->reset_port = port_at(t[FADT_RESET_REG], get_u64(t + FADT_RESET_REG + 4),
					  "reset register");
		out->reset_value = t[FADT_RESET_VALUE];
	}

	pa = len >= FADT_X_DSDT + 8 ? get_u64(t + FADT_X_DSDT) : 0;
	dsdt = map_table(pa ? pa : get_u32(t + FADT_DSDT), "DSDT");
	if (dsdt)
		find_s5(dsdt, get_u32(dsdt + 4), out);
}

static void __init parse_hpet(const u8 *t, u32 len, struct acpi_info *out)
{
	if (len < HPET_MIN_SIZE || t[HPET_ADDRESS] != ACPI_SPACE_MEM)
		pr_err("acpi: HPET: no memory address, ignored\n");
	else
		out->hpet_base = get_u64(t + HPET_ADDRESS + 4);
}

/* The core in iommu/ reads it when there is a heap. */
static void __init note_iommus(const u8 *t, u32 len, struct acpi_info *out)
{
	out->iommus = t;
	out->iommus_size = len;
}

/*
 * The tables that Margay uses, and reports errors in, and those that a domain with the machine's
 * devices gets as they are. It gets no other: most describe what Margay keeps, such as CPUs, memory
 * nodes, timers and IOMMUs. SRAT needs the CPUs of the MADT, SLIT the nodes of SRAT.
 */
#define MANY 1
#define PASS 2
static const struct {
	char name[5];
	u8 flags;
	void (*parse)(const u8 *t, u32 len, struct acpi_info *out);
} kinds[] = {
	{ "APIC", 0, acpi_parse_madt }, { "FACP", PASS, parse_fadt },
	{ "HPET", 0, parse_hpet },      { "SSDT", MANY | PASS, find_s5 },
	{ "SRAT", 0, acpi_parse_srat }, { "SLIT", 0, acpi_parse_slit },
	{ "SPCR", 0, acpi_parse_spcr }, { "DBG2", 0, acpi_parse_dbg2 },
	{ "IVRS", 0, note_iommus },     { "MCFG", PASS, acpi_parse_mcfg },
	{ "DMAR", 0, note_iommus },     { "PSDT", PASS, NULL },
	{ "SBST", PASS, NULL },		{ "SLIC", PASS, NULL },
	{ "MSDM", PASS, NULL },		{ "WDAT", PASS, NULL },
	{ "FPDT", PASS, NULL },		{ "S3PT", PASS, NULL },
};

/* Parses all tables of one kind. Reports unreadable tables once, with the first kind. */
static void __init tables_of_kind(const u8 *root, u32 width, u32 kind, struct acpi_info *out)
{
	bool seen = false;

	for (u32 at = HEADER_SIZE; at + width <= get_u32(root + 4); at += width) {
		paddr_t pa = width == 8 ? get_u64(root + at) : get_u32(root + at);
		const u8 *t = pa ? map(pa, HEADER_SIZE) : NULL;

		if (t ? memcmp(t, kinds[kind].name, 4) != 0 : kind != 0)
			continue;
		if (t && (kinds[kind].flags & PASS) && out->nr_passed < ACPI_MAX_PASSED)
			out->passed[out->nr_passed++] = pa;
		t = !t || kinds[kind].parse ? map_table(pa, NULL) : NULL;
		if (t && seen && !(kinds[kind].flags & MANY))
			pr_warn("acpi: %s: second table of this name, ignored\n", kinds[kind].name);
		else if (t)
			kinds[kind].parse(t, get_u32(t + 4), out);
		seen |= t != NULL;
	}
}

static const u8 *__init root_table(const u8 *rsdp, u32 *width)
{
	const u8 *root = NULL;

	if (rsdp[15] >= 2 && get_u64(rsdp + 24)) {
		*width = 8;
		root = map_table(get_u64(rsdp + 24), "XSDT");
	}
	if (!root && get_u32(rsdp + 16)) {
		*width = 4;
		root = map_table(get_u32(rsdp + 16), "RSDT");
	}
	return root;
}

int __init acpi_parse(const void *rsdp, size_t rsdp_size, acpi_map_fn *map_fn,
		      struct acpi_info *out)
{
	const u8 *root = NULL;
	u32 width;

	map = map_fn;
	memset(out, 0, sizeof(*out));

	if (!rsdp || !rsdp_ok(rsdp, rsdp_size))
		pr_err("acpi: %s\n", rsdp ? "the boot loader's RSDP is corrupt" : "no RSDP");
	else
		root = root_table(rsdp, &width);
	for (u32 kind = 0; root && kind < ARRAY_SIZE(kinds); kind++)
		tables_of_kind(root, width, kind, out);
	if (!root)
		pr_err("acpi: no root table (XSDT or RSDT)\n");
	if (!out->nr_cpus) {
		pr_err("acpi: no CPU in a MADT (APIC table): using one CPU\n");
		out->nr_cpus = 1;
	}
	out->nr_nodes = max(out->nr_nodes, 1U);
	return root ? 0 : -ENOENT;
}
