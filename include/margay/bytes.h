/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Little-endian loads from unaligned foreign bytes (firmware tables, ELF images, guest code).
 * The caller has checked the bounds.
 */
#ifndef MARGAY_BYTES_H
#define MARGAY_BYTES_H

#include <margay/lib.h>
#include <margay/types.h>

static inline u8 get_u8(const void *p)
{
	return *(const u8 *)p;
}

static inline u16 get_u16(const void *p)
{
	u16 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline u32 get_u32(const void *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline u64 get_u64(const void *p)
{
	u64 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

#endif
