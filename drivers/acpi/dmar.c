/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DMAR: units of VT-d, the functions that each covers, and memory that firmware wants functions to
 * reach (VT-d 4.1, chapter 8). acpi_parse() checks the table's length and checksum before it calls
 * this; the structures are checked here. The end of a path of bridges is found later, by the core
 * in iommu/.
 */
#include <margay/acpi.h>
#include <margay/bytes.h>
#include <margay/pci.h>

#define DMAR_FLAGS 37
#define DMAR_STRUCTURES 48

enum dmar_structure { DMAR_DRHD = 0, DMAR_RMRR = 1 };
#define DRHD_ALL BIT(0)
#define DRHD_SCOPES 16
#define RMRR_SCOPES 24
#define SCOPE_PATH 6
#define ADDRESSES (1UL << 52)

/* Returns why a device scope is unusable, or NULL and the scope. */
static const char *__init scope_fault(const u8 *e, u16 segment, struct acpi_scope *s)
{
	/* The type 5, a device in ACPI's name space, has no id that requests show. */
	static const enum acpi_scope_kind kinds[] = {
		[1] = SCOPE_FUNCTION, [2] = SCOPE_BRIDGE, [3] = SCOPE_IOAPIC, [4] = SCOPE_HPET,
	};
	u32 steps = (e[1] - SCOPE_PATH) / 2U;

	if (!e[0] || e[0] >= ARRAY_SIZE(kinds))
		return "its type is unknown";
	if (!steps || steps > ACPI_PATH_MAX + 1)
		return "its path is empty or too long";
	*s = (struct acpi_scope){ .kind = kinds[e[0]], .id = e[4], .path_len = (u8)(steps - 1) };
	for (u32 i = 0; i < steps; i++) {
		const u8 *step = e + SCOPE_PATH + 2 * i;
		u8 devfn = (u8)(step[0] << 3 | step[1]);

		if (step[0] > 31 || step[1] > 7)
			return "its path names no function";
		if (i)
			s->path[i - 1] = devfn;
		else
			s->first = s->last = PCI_SBDF(segment, e[5], devfn);
	}
	return NULL;
}

/* Adds the scopes from e to end. Returns their number. */
static unsigned __init add_scopes(const u8 *e, const u8 *end, u16 segment, struct acpi_info *out)
{
	unsigned first = out->nr_scopes;
	struct acpi_scope s;

	for (; end - e >= 2; e += e[1]) {
		const char *why;

		if (e[1] < SCOPE_PATH || e[1] > end - e) {
			pr_err("acpi: DMAR: scope type %u: length %u is wrong, rest ignored\n",
			       e[0], e[1]);
			break;
		}
		why = scope_fault(e, segment, &s);
		if (!why && out->nr_scopes == ACPI_MAX_SCOPES)
			why = "too many";
		if (why)
			pr_warn("acpi: DMAR: scope type %u of bus %u ignored: %s\n", e[0], e[5],
				why);
		else
			out->scopes[out->nr_scopes++] = s;
	}
	return out->nr_scopes - first;
}

static void __init add_unit(const u8 *e, u32 len, struct acpi_info *out)
{
	struct acpi_iommu u = { .all = e[4] & DRHD_ALL,
				.segment = get_u16(e + 6),
				.base = get_u64(e + 8),
				.first_scope = out->nr_scopes };
	const char *why = out->nr_iommus == ACPI_MAX_IOMMUS ? "too many" : NULL;

	if (!u.base || !IS_ALIGNED(u.base, PAGE_SIZE) || u.base >= ADDRESSES)
		why = "no such address";
	for (unsigned i = 0; i < out->nr_iommus; i++) {
		const struct acpi_iommu *other = &out->iommus[i];

		if (other->base == u.base)
			why = "a second one there";
		/* All of the segment is the first one's; this one still has to block DMA. */
		else if (u.all && other->all && other->segment == u.segment) {
			pr_warn("acpi: DMAR: second unit for all of segment %u at %#lx\n",
				u.segment, u.base);
			u.all = false;
		}
	}
	if (why) {
		pr_warn("acpi: DMAR: unit at %#lx ignored: %s\n", u.base, why);
		return;
	}
	u.nr_scopes = add_scopes(e + DRHD_SCOPES, e + len, u.segment, out);
	out->iommus[out->nr_iommus++] = u;
}

static void __init add_reserved(const u8 *e, u32 len, struct acpi_info *out)
{
	u64 base = get_u64(e + 8), limit = get_u64(e + 16);
	struct acpi_reserved r = { .base = base,
				   .size = limit + 1 - base,
				   .read = true,
				   .write = true,
				   .first_scope = out->nr_scopes };

	if (out->nr_reserved == ACPI_MAX_RESERVED || limit <= base || limit >= ADDRESSES ||
	    !IS_ALIGNED(base, PAGE_SIZE) || !IS_ALIGNED(limit + 1, PAGE_SIZE)) {
		pr_warn("acpi: DMAR: reserved memory %#lx-%#lx ignored\n", base, limit);
		return;
	}
	r.nr_scopes = add_scopes(e + RMRR_SCOPES, e + len, get_u16(e + 6), out);
	out->reserved[out->nr_reserved++] = r;
}

void __init acpi_parse_dmar(const u8 *t, u32 len, struct acpi_info *out)
{
	static const u8 min_size[] = { [DMAR_DRHD] = DRHD_SCOPES, [DMAR_RMRR] = RMRR_SCOPES };

	if (len < DMAR_STRUCTURES) {
		pr_err("acpi: DMAR: length %u is too short, ignored\n", len);
		return;
	}
	out->dmar_flags = t[DMAR_FLAGS];
	for (u32 at = DMAR_STRUCTURES, size; len - at >= 4; at += size) {
		u16 type = get_u16(t + at);

		size = get_u16(t + at + 2);
		if (size < (type < ARRAY_SIZE(min_size) ? min_size[type] : 4) || size > len - at) {
			pr_err("acpi: DMAR: structure %u at %u: length %u is wrong, rest ignored\n",
			       type, at, size);
			break;
		}
		if (type == DMAR_DRHD)
			add_unit(t + at, size, out);
		else if (type == DMAR_RMRR)
			add_reserved(t + at, size, out);
	}
	if (!out->nr_iommus)
		pr_warn("acpi: DMAR: no units\n");
}
