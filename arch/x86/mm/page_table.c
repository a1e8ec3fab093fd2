/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes and splits tables; see page_table.h. */
#include <margay/errno.h>
#include <x86/page_table.h>

int pt_split(struct page_table *pt, u64 *at, unsigned level)
{
	u64 *t = pt->format->new_table(pt), old = *at, step = PAGE_SIZE << 9 * (level - 1);

	if (!t)
		return -ENOMEM;
	if (pt_present(old)) {
		if (level == 1)
			old &= ~PTE_PS;
		if (pt->format->split)
			old = pt->format->split(pt, old, level);
		for (unsigned i = 0; i < 512; i++)
			t[i] = old + i * step;
	}
	if (pt->format->written)
		pt->format->written(t, 512);
	WRITE_ONCE(*at, virt_to_phys(t) | (pt->format->table + level * pt->format->table_level));
	if (pt->format->written)
		pt->format->written(at, 1);
	return 0;
}

u64 *pt_make(struct page_table *pt, u64 page, unsigned level)
{
	u64 *t = pt->root;

	for (unsigned l = PT_LEVELS - 1; l > level; l--) {
		u64 *at = &t[pt_index(page, l)];

		if ((!pt_present(*at) || pt_is_leaf(*at, l)) && pt_split(pt, at, l))
			return NULL;
		t = pt_table(*at);
	}
	return &t[pt_index(page, level)];
}
