/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory and string functions. The hot ones use the string instructions, which are fast on current
 * CPUs.
 */
#include <margay/lib.h>

void *memcpy(void *dst, const void *src, size_t n)
{
	void *d = dst;

	size_t words = n / 8;

	if (words)
		__asm__ volatile("rep movsq" : "+D"(d), "+S"(src), "+c"(words)::"memory");
	n %= 8;
	if (n)
		__asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(n)::"memory");
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	u8 *d = dst;
	const u8 *s = src;

	if (d <= s || d >= s + n)
		return memcpy(dst, src, n);
	while (n--)
		d[n] = s[n];
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	void *d = dst;

	if (((uintptr_t)dst | n) % 8 == 0) {
		n /= 8;
		__asm__ volatile("rep stosq"
				 : "+D"(d), "+c"(n)
				 : "a"((u64)(u8)c * 0x0101010101010101UL)
				 : "memory");
	} else {
		__asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
	}
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (; n--; x++, y++)
		if (*x != *y)
			return *x < *y ? -1 : 1;
	return 0;
}

void *memchr(const void *s, int c, size_t n)
{
	for (const u8 *p = s; n--; p++)
		if (*p == (u8)c)
			return (void *)(uintptr_t)p;
	return NULL;
}

size_t strlen(const char *s)
{
	return strnlen(s, ~(size_t)0);
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	for (; *a == *b; a++, b++)
		if (!*a)
			return 0;
	return (u8)*a < (u8)*b ? -1 : 1;
}
