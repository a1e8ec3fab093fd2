/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * I/O ports and devices' memory, and the PIT: channel 2 for calibration, channel 0 for periodic NMIs.
 * Intel 82C54.
 */
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

/* Access a port by its size: 1, 2 or 4 bytes. */
static inline u32 port_read(u16 port, unsigned size)
{
	return size == 1 ? inb(port) : size == 2 ? inw(port) : inl(port);
}

static inline void port_write(u16 port, unsigned size, u32 val)
{
	switch (size) {
	case 1: outb(port, (u8)val); break;
	case 2: outw(port, (u16)val); break;
	default: outl(port, val); break;
	}
}

/* Access a device's memory by the size, to which it is aligned: 1, 2, 4 or 8 bytes. */
static inline u64 device_read(const volatile void *at, unsigned size)
{
	switch (size) {
	case 1: return *(const volatile u8 *)at;
	case 2: return *(const volatile u16 *)at;
	case 4: return *(const volatile u32 *)at;
	default: return *(const volatile u64 *)at;
	}
}

static inline void device_write(volatile void *at, unsigned size, u64 val)
{
	switch (size) {
	case 1: *(volatile u8 *)at = (u8)val; break;
	case 2: *(volatile u16 *)at = (u16)val; break;
	case 4: *(volatile u32 *)at = (u32)val; break;
	default: *(volatile u64 *)at = val; break;
	}
}

static inline void device_access(volatile void *at, unsigned size, u64 *val, bool write)
{
	if (write)
		device_write(at, size, *val);
	else
		*val = device_read(at, size);
}

#define PIT_HZ 1193182U
#define PIT_CH0 0x40
#define PIT_CH2 0x42
#define PIT_CMD 0x43
#define PIT_RATE 0x34		/* channel 0, both bytes, mode 2 */
#define PIT_STOP 0x30		/* mode 0, waits for a count */
