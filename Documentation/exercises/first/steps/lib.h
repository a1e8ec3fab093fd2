/* SPDX-License-Identifier: BSD-2-Clause */
/* Step 2: the few instructions that C has no words for, and a serial line. */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

static inline void outb(u16 port, u8 val)
{
	__asm__ volatile("outb %0, %1" : : "a"(val), "Nd"(port));
}

static inline u8 inb(u16 port)
{
	u8 val;

	__asm__ volatile("inb %1, %0" : "=a"(val) : "Nd"(port));
	return val;
}

static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return lo | (u64)hi << 32;
}

static inline void wrmsr(u32 msr, u64 val)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)val), "d"((u32)(val >> 32)) : "memory");
}

struct cpuid {
	u32 eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(u32 leaf)
{
	struct cpuid r;

	__asm__("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(0));
	return r;
}

static inline void print(const char *s)
{
	for (; *s; s++) {
		while (!(inb(0x3f8 + 5) & 0x20))
			;
		outb(0x3f8, (u8)*s);
	}
}

static inline void print_hex(u64 val)
{
	char text[] = "0x0000000000000000";

	for (int i = 17; i > 1; i--, val >>= 4)
		text[i] = "0123456789abcdef"[val & 15];
	print(text);
}

static inline _Noreturn void power_off(void)
{
	__asm__ volatile("outw %w0, %w1" : : "a"(0x2000), "d"(0x604));
	for (const char *s = "Shutdown"; *s; s++)
		outb(0x8900, (u8)*s);
	for (;;)
		__asm__ volatile("cli; hlt");
}
