/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parses files of microcode updates: Intel's (SDM 3A 10.11) and AMD's containers, as in
 * linux-firmware. Every length is checked against the file; the CPU itself checks an update's
 * signature.
 */
#include <margay/bytes.h>
#include <x86/microcode.h>

#define INTEL_HEADER 48U
#define INTEL_DEFAULT_DATA 2000U
#define INTEL_EXT_HEADER 20U
#define INTEL_EXT_ENTRY 12U

#define AMD_MAGIC 0x00414d44U
#define AMD_SECTION_HEADER 8U
#define AMD_EQUIV_TABLE 0U
#define AMD_UPDATE 1U
#define AMD_EQUIV_ENTRY 16U
#define AMD_UPDATE_HEADER 64U

static u32 sum_of(const u8 *p, u32 size)
{
	u32 sum = 0;

	for (u32 i = 0; i + 4 <= size; i += 4)
		sum += get_u32(p + i);
	return sum;
}

/*
 * Matches a CPU's signature and platform with those in a header or in the extended signature table.
 */
static bool intel_matches(const u8 *signature, const u8 *platforms, const struct ucode_cpu *cpu)
{
	return get_u32(signature) == cpu->signature &&
	       ((get_u32(platforms) & cpu->platform) || !get_u32(platforms));
}

static bool intel_ext_matches(const u8 *ext, u32 size, const struct ucode_cpu *cpu)
{
	u32 count;

	if (size < INTEL_EXT_HEADER)
		return false;
	count = get_u32(ext);
	if (count > (size - INTEL_EXT_HEADER) / INTEL_EXT_ENTRY ||
	    sum_of(ext, INTEL_EXT_HEADER + count * INTEL_EXT_ENTRY))
		return false;
	for (u32 i = 0; i < count; i++) {
		const u8 *e = ext + INTEL_EXT_HEADER + i * INTEL_EXT_ENTRY;

		if (intel_matches(e, e + 4, cpu))
			return true;
	}
	return false;
}

/*
 * Returns the length of the update at p, or 0 if it is invalid. Sets *match if it is for the CPU.
 */
static u32 intel_update(const u8 *p, size_t left, const struct ucode_cpu *cpu, bool *match)
{
	u32 data, total, end;

	if (left < INTEL_HEADER || get_u32(p) != 1 || get_u32(p + 20) != 1)
		return 0;
	data = get_u32(p + 28);
	total = data ? get_u32(p + 32) : INTEL_HEADER + INTEL_DEFAULT_DATA;
	data = data ?: INTEL_DEFAULT_DATA;
	if (total > left || total % 16 || total < INTEL_HEADER || data % 4 ||
	    data > total - INTEL_HEADER)
		return 0;
	end = INTEL_HEADER + data;
	*match = intel_matches(p + 12, p + 24, cpu) ||
		 (total > end && intel_ext_matches(p + end, total - end, cpu));
	if (*match && sum_of(p, end))
		*match = false;
	return total;
}

static void find_intel(const u8 *p, size_t left, const struct ucode_cpu *cpu,
		       struct ucode_update *out)
{
	bool match = false;

	for (u32 n; (n = intel_update(p, left, cpu, &match)); p += n, left -= n)
		if (match && get_u32(p + 4) > out->revision)
			*out = (struct ucode_update){ p + INTEL_HEADER, get_u32(p + 4) };
}

/* Returns the short id that updates use for a CPU, or 0 if the table does not list it. */
static u16 amd_equivalent(const u8 *table, u32 size, u32 signature)
{
	for (; size >= AMD_EQUIV_ENTRY && get_u32(table);
	     table += AMD_EQUIV_ENTRY, size -= AMD_EQUIV_ENTRY)
		if (get_u32(table) == signature)
			return get_u16(table + 12);
	return 0;
}

static void find_amd(const u8 *p, size_t left, const struct ucode_cpu *cpu,
		     struct ucode_update *out)
{
	u16 id = 0;

	while (left >= AMD_SECTION_HEADER) {
		u32 type = get_u32(p), size;

		/* Another container follows. */
		if (type == AMD_MAGIC) {
			p += 4;
			left -= 4;
			continue;
		}
		size = get_u32(p + 4);
		p += AMD_SECTION_HEADER;
		left -= AMD_SECTION_HEADER;
		if (size > left)
			return;
		if (type == AMD_EQUIV_TABLE)
			id = amd_equivalent(p, size, cpu->signature);
		else if (type == AMD_UPDATE && id && size >= AMD_UPDATE_HEADER &&
			 get_u16(p + 24) == id && get_u32(p + 4) > out->revision)
			*out = (struct ucode_update){ p, get_u32(p + 4) };
		p += size;
		left -= size;
	}
}

bool ucode_find(const u8 *file, size_t size, const struct ucode_cpu *cpu, struct ucode_update *out)
{
	*out = (struct ucode_update){ NULL, cpu->revision };
	if (!cpu->amd)
		find_intel(file, size, cpu, out);
	else if (size >= 4 && get_u32(file) == AMD_MAGIC)
		find_amd(file, size, cpu, out);
	return out->data;
}
