/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory types by the MTRRs' values: pure functions. SDM 3A 12.11.4, APM2 7.7. */
#include <margay/mm.h>
#include <margay/printk.h>
#include <x86/mtrr.h>

struct mtrrs mtrrs;

static const char *const names[8] = { "UC", "WC", "reserved", "reserved", "WT", "WP", "WB", "UC-" };

/* The type of memory that several ranges cover. The manual leaves other pairs undefined. */
static u8 overlap(u8 a, u8 b)
{
	if (a == b)
		return a;
	return min(a, b) == MEMTYPE_WT && max(a, b) == MEMTYPE_WB ? MEMTYPE_WT : MEMTYPE_UC;
}

static u8 fixed_type(const struct mtrrs *m, paddr_t at, u64 *end)
{
	unsigned shift = at < 0x80000 ? 16 : at < 0xc0000 ? 14 : 12;
	paddr_t first = at < 0x80000 ? 0 : at < 0xc0000 ? 0x80000 : 0xc0000;
	unsigned i = (unsigned)((at - first) >> shift) + (!first ? 0 : shift == 14 ? 8 : 24);

	*end = (at | ((1UL << shift) - 1)) + 1;
	return m->regs[i / 8] >> i % 8 * 8 & 7;
}

/* Returns the type at an address; it is constant at least up to *end. */
static u8 type_at(const struct mtrrs *m, paddr_t at, u64 *end)
{
	u64 top = 1UL << m->phys_bits;
	unsigned type = ~0U;

	*end = ~0UL;
	if (at < 0x100000 && (m->def & MTRR_DEF_FIXED))
		return fixed_type(m, at, end);
	for (unsigned i = MTRR_FIXED; i < m->nr_regs; i += 2) {
		u64 mask = m->regs[i + 1] & (top - PAGE_SIZE), step = mask & -mask, base;
		bool hit;

		if (!(m->regs[i + 1] & MTRR_MASK_VALID))
			continue;
		base = m->regs[i] & mask;
		hit = (at & mask) == base;
		/* A mask with holes, a firmware fault, makes several ranges. */
		if (step && (hit || mask + step != top))
			*end = min(*end, (at | (step - 1)) + 1);
		else if (step && at < base)
			*end = min(*end, base);
		if (hit)
			type = overlap((u8)(m->regs[i] & 7), type > 7 ? m->regs[i] & 7 : (u8)type);
	}
	if (at < 1UL << 32)
		*end = min(*end, 1UL << 32);
	else if (at < m->wb_top)
		*end = min(*end, m->wb_top);
	if (type > 7)
		type = at >= 1UL << 32 && at < m->wb_top ? MEMTYPE_WB : m->def & 7;
	return (u8)type;
}

u8 mtrr_type(const struct mtrrs *m, paddr_t at, u64 *len)
{
	u64 end, last = at + *len;
	u8 type;

	if (!m->nr_regs)
		return MEMTYPE_WB;
	if (!(m->def & MTRR_DEF_ON))
		return MEMTYPE_UC;
	type = type_at(m, at, &end);
	*len = min(end, last) - at;
	while (at + *len < last && type_at(m, at + *len, &end) == type)
		*len = min(end, last) - at;
	return type;
}

unsigned __init mtrr_uncached_ram(const struct mem_range *mem, unsigned n, struct mem_range *out,
				  unsigned max)
{
	unsigned nr = 0;

	for (const struct mem_range *r = mem; r < mem + n; r++)
		for (u64 at = r->base, end = at + r->size, len; at < end; at += len) {
			u8 type;

			len = end - at;
			type = mtrr_type(&mtrrs, at, &len);
			if (r->type != MEM_RAM || type == MEMTYPE_WB || nr == max)
				continue;
			pr_warn("memory map: RAM at %#lx-%#lx is %s in the MTRRs: not used\n", at,
				at + len, names[type]);
			out[nr++] = (struct mem_range){ at, len, MEM_UNCACHED };
		}
	return nr;
}
