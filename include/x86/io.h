/* SPDX-License-Identifier: BSD-2-Clause */
/* I/O ports, and the PIT: channel 2 for calibration, channel 0 for periodic NMIs. Intel 82C54. */
#pragma once

#include <margay/types.h>

#define DEFINE_IO(size, type)                                                                 \
	static inline type in##size(u16 port)                                                 \
	{                                                                                     \
		type v;                                                                       \
		__asm__ volatile("in" #size " %1, %0" : "=a"(v) : "Nd"(port));                \
		return v;                                                                     \
	}                                                                                     \
	static inline void out##size(u16 port, type v)                                        \
	{                                                                                     \
		__asm__ volatile("out" #size " %0, %1" ::"a"(v), "Nd"(port));                 \
	}
DEFINE_IO(b, u8)
DEFINE_IO(w, u16)
DEFINE_IO(l, u32)

#define PIT_HZ 1193182U
#define PIT_CH0 0x40
#define PIT_CH2 0x42
#define PIT_CMD 0x43
#define PIT_RATE 0x34		/* channel 0, both bytes, mode 2 */
#define PIT_STOP 0x30		/* mode 0, waits for a count */
