/* SPDX-License-Identifier: BSD-2-Clause */
/* vsnprintf() for the formats listed in console.h, without allocation. */
#include "console.h"
#include "string.h"

struct out {
	char *buf;
	size_t size, len;
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void put_padded(struct out *o, const char *s, size_t len, size_t width, bool left, char pad)
{
	size_t fill = width > len ? width - len : 0;

	if (!left)
		for (size_t i = 0; i < fill; i++)
			put(o, pad);
	for (size_t i = 0; i < len; i++)
		put(o, s[i]);
	if (left)
		for (size_t i = 0; i < fill; i++)
			put(o, ' ');
}

static size_t digits(char *end, uint64_t v, unsigned int base)
{
	size_t n = 0;

	do {
		*--end = "0123456789abcdef"[v % base];
		v /= base;
		n++;
	} while (v);
	return n;
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out o = { buf, size, 0 };

	for (; *fmt; fmt++) {
		char tmp[24], *end = tmp + sizeof(tmp), pad = ' ';
		size_t width = 0, precision = SIZE_MAX, n;
		bool left = false;
		int longs = 0;
		uint64_t v;

		if (*fmt != '%') {
			put(&o, *fmt);
			continue;
		}
		for (fmt++; *fmt == '-' || *fmt == '0'; fmt++) {
			left |= *fmt == '-';
			pad = *fmt == '0' ? '0' : pad;
		}
		for (; *fmt >= '0' && *fmt <= '9'; fmt++)
			width = width * 10 + (size_t)(*fmt - '0');
		if (*fmt == '.')
			for (fmt++, precision = 0; *fmt >= '0' && *fmt <= '9'; fmt++)
				precision = precision * 10 + (size_t)(*fmt - '0');
		for (; *fmt == 'l' || *fmt == 'z'; fmt++)
			longs++;
		switch (*fmt) {
		case 's': {
			const char *s = va_arg(ap, const char *);

			for (n = 0; n < precision && s[n]; n++)
				;
			put_padded(&o, s, n, width, left, ' ');
			break;
		}
		case 'c':
			tmp[0] = (char)va_arg(ap, int);
			put_padded(&o, tmp, 1, width, left, ' ');
			break;
		case 'd':
		case 'i': {
			int64_t i = longs ? va_arg(ap, long) : va_arg(ap, int);

			n = digits(end, i < 0 ? -(uint64_t)i : (uint64_t)i, 10);
			if (i < 0)
				end[-(long)++n] = '-';
			put_padded(&o, end - n, n, width, left, ' ');
			break;
		}
		case 'u':
		case 'x':
			v = longs ? va_arg(ap, unsigned long) : va_arg(ap, unsigned int);
			n = digits(end, v, *fmt == 'u' ? 10 : 16);
			put_padded(&o, end - n, n, width, left, pad);
			break;
		case 'p':
			n = digits(end, (uintptr_t)va_arg(ap, void *), 16);
			put_padded(&o, end - n, n, 16, false, '0');
			break;
		case '%':
			put(&o, '%');
			break;
		default:
			put(&o, '?');
		}
	}
	if (size)
		buf[o.len < size ? o.len : size - 1] = '\0';
	return (int)o.len;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
