/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's memory map as lists of ranges, before an allocator exists, and the checks of boot
 * modules against it. Pure functions on the caller's arrays; boot CPU only.
 */
#include <margay/boot.h>
#include <margay/lib.h>

/* Where ranges overlap, the type with the higher severity wins. Unknown types count as reserved. */
static unsigned int __init severity(u32 type)
{
	switch (type) {
	case MEM_RAM: return 1;
	case MEM_ACPI: return 2;
	case MEM_NVS: return 3;
	case MEM_UNUSABLE: return 5;
	default: return 4;
	}
}

/* Returns the end of a range, limited to the top of the address space. */
static u64 __init range_end(const struct mem_range *r)
{
	return r->size > ~0UL - r->base ? ~0UL : r->base + r->size;
}

unsigned int __init mem_sanitise(const struct mem_range *in, unsigned int n, struct mem_range *out,
				 unsigned int max)
{
	unsigned int nr = 0, i;
	u64 at = 0;

	/* Walk the boundaries upwards: the type is constant between two of them. */
	for (;;) {
		const struct mem_range *top = NULL;
		u64 next = ~0UL;

		for (i = 0; i < n; i++) {
			u64 end = range_end(&in[i]);

			if (in[i].base <= at && at < end) {
				if (!top || severity(in[i].type) > severity(top->type))
					top = &in[i];
				next = min(next, end);
			} else if (in[i].base > at && end > in[i].base) {
				next = min(next, in[i].base);
			}
		}

		if (top && nr && out[nr - 1].type == top->type && range_end(&out[nr - 1]) == at) {
			out[nr - 1].size += next - at;
		} else if (top && nr < max) {
			out[nr++] = (struct mem_range){ at, next - at, top->type };
		} else if (top) {
			pr_warn("memory map: no room for %#lx-%#lx, ignored\n", at, next);
		}
		if (next == ~0UL)
			return nr;
		at = next;
	}
}

bool __init mem_is_ram(const struct mem_range *r, unsigned int n, paddr_t base, u64 size)
{
	for (unsigned int i = 0; i < n; i++) {
		if (r[i].type == MEM_RAM && base >= r[i].base && base - r[i].base < r[i].size &&
		    size <= r[i].size - (base - r[i].base))
			return true;
	}
	return false;
}

bool mem_has_ram(const struct mem_range *r, unsigned int n, paddr_t base, u64 size)
{
	for (unsigned int i = 0; i < n; i++)
		if (r[i].type == MEM_RAM && r[i].base < base + size && base < r[i].base + r[i].size)
			return true;
	return false;
}

void __init boot_protect(struct boot_info *bi, paddr_t base, u64 size, const char *what)
{
	for (unsigned int i = 0; i < bi->nr_mods; i++) {
		struct boot_module *m = &bi->mods[i];

		if (m->bad || m->start >= base + size || base >= m->start + m->size)
			continue;
		pr_err("module %u (%.*s) at %#lx-%#lx\n  overlaps %s, not used\n", i + 1, 32,
		       m->args, m->start, m->start + m->size, what);
		m->bad = "overlaps memory that is in use";
	}
}
