/* SPDX-License-Identifier: BSD-2-Clause */
/* The entries of a p2m, private to p2m.c and dirty_log.c. */
#pragma once

#include <margay/domain.h>
#include <x86/features.h>
#include <x86/hvm.h>
#include <x86/page_table.h>

#define TYPE_SHIFT 52		/* ignored by both vendors' hardware */
#define TYPE_MASK (7UL << TYPE_SHIFT)
#define EPT_X PTE_U
#define TEARDOWN_BATCH 32U

static inline u64 p2m_leaf(mfn_t mfn, enum p2m_type type, unsigned level)
{
	u64 rights = hvm->leaf[type] | (level ? PTE_PS : 0);

	/* No execute right: see p2m_split_code(). */
	if (level && x86.itlb_multihit)
		rights &= ~(u64)EPT_X;
	return mfn << PAGE_SHIFT | (u64)type << TYPE_SHIFT | rights;
}

static inline enum p2m_type type_of(u64 e)
{
	return e & PTE_P ? (e & TYPE_MASK) >> TYPE_SHIFT : P2M_NONE;
}

static inline mfn_t mfn_of(u64 e)
{
	return (e & PTE_ADDR) >> PAGE_SHIFT;
}

void p2m_free_table(struct domain *d, u64 *t);
