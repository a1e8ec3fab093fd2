/* SPDX-License-Identifier: BSD-2-Clause */
/* The small part of a C library that Margay uses, and common helpers. */
#pragma once

#include <margay/printk.h>

#ifndef MARGAY_UNIT
void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);

/*
 * Formats: %c %s %d %u %x, each with a width and -, %.*s, %ld %lu %lx, 0 for u and x, # for x; %%.
 * Returns the length as C99 does. Prints the text after an unknown format verbatim.
 */
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
int snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);
#endif

/* Copies at most size - 1 characters and always terminates the string. */
static inline void strcopy(char *dst, const char *src, size_t size)
{
	size_t n = strnlen(src, size - 1);

	memcpy(dst, src, n);
	dst[n] = 0;
}

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(n) (1UL << (n))
#define ALIGN_UP(x, a) (((x) + ((__typeof__(x))(a) - 1)) & ~((__typeof__(x))(a) - 1))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a) - 1))
#define IS_ALIGNED(x, a) (((x) & ((__typeof__(x))(a) - 1)) == 0)
#define container_of(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))

#define min(a, b) ({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a < _b ? _a : _b; })
#define max(a, b) ({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a > _b ? _a : _b; })

/*
 * Bounds an untrusted index so that the CPU cannot speculate past the array. Returns idx when idx <
 * size, else 0, without a branch.
 */
static inline u64 index_nospec(u64 idx, u64 size)
{
	u64 mask;

	__asm__ volatile("cmp %1, %2; sbb %0, %0" : "=r"(mask) : "rm"(size), "r"(idx) : "cc");
	return idx & mask;
}

/* The same for a power-of-two size, in one instruction. The asm keeps gcc from removing it. */
static inline u64 mask_nospec(u64 idx, u64 size)
{
	__asm__ volatile("andq %1, %0" : "+r"(idx) : "er"(size - 1) : "cc");
	return idx;
}
