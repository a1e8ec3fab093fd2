/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unaligned little-endian loads from untrusted bytes (firmware tables, ELF images, guest code). The
 * caller checks the bounds.
 */
#pragma once

#include <margay/lib.h>
#include <margay/types.h>

#define DEFINE_GET(type)                                                                      \
	static inline type get_##type(const void *p)                                          \
	{                                                                                     \
		type v;                                                                       \
		memcpy(&v, p, sizeof(v));                                                     \
		return v;                                                                     \
	}
DEFINE_GET(u16)
DEFINE_GET(u32)
DEFINE_GET(u64)
