/* SPDX-License-Identifier: BSD-2-Clause */
/* Formatted output into a buffer; lib.h lists the formats. */
#include <margay/lib.h>

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

static void put_padded(struct out *o, const char *s, size_t n, size_t width, bool left, char pad)
{
	size_t fill = width > n ? width - n : 0;

	for (size_t i = 0; !left && i < fill; i++)
		put(o, pad);
	for (size_t i = 0; i < n; i++)
		put(o, s[i]);
	for (size_t i = 0; left && i < fill; i++)
		put(o, ' ');
}

/* Writes the digits of v before `end`; returns their number. */
static size_t digits(char *end, u64 v, unsigned base)
{
	size_t n = 0;

	do {
		*--end = "0123456789abcdef"[v % base];
		n++;
		v /= base;
	} while (v);
	return n;
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out o = { buf, size, 0 };

	for (; *fmt; fmt++) {
		char tmp[24], *end = tmp + sizeof(tmp), pad = ' ';
		bool left = false, alt = false, wide;
		size_t width = 0, n = ~0UL;
		const char *s;
		u64 v;

		if (*fmt != '%') {
			put(&o, *fmt);
			continue;
		}
		for (fmt++; *fmt == '-' || *fmt == '0' || *fmt == '#'; fmt++) {
			left |= *fmt == '-';
			alt |= *fmt == '#';
			pad = *fmt == '0' ? '0' : pad;
		}
		for (; *fmt >= '0' && *fmt <= '9'; fmt++)
			width = width * 10 + (size_t)(*fmt - '0');
		if (fmt[0] == '.' && fmt[1] == '*') {
			n = (size_t)va_arg(ap, int);
			fmt += 2;
		}
		wide = *fmt == 'l';
		fmt += wide;

		switch (*fmt) {
		case '%':
			put(&o, '%');
			continue;
		case 'c':
			*--end = (char)va_arg(ap, int);
			n = 1;
			break;
		case 's':
			s = va_arg(ap, const char *);
			put_padded(&o, s, strnlen(s, n), width, left, ' ');
			continue;
		case 'd':
			v = wide ? (u64)va_arg(ap, long) : (u64)va_arg(ap, int);
			n = digits(end, (s64)v < 0 ? -v : v, 10);
			end -= n;
			if ((s64)v < 0) {
				*--end = '-';
				n++;
			}
			break;
		case 'u':
		case 'x':
			v = wide ? va_arg(ap, unsigned long) : va_arg(ap, unsigned);
			n = digits(end, v, *fmt == 'x' ? 16 : 10);
			end -= n;
			if (alt) {
				put(&o, '0');
				put(&o, 'x');
			}
			break;
		default: /* a bug of ours: print the rest verbatim */
			put(&o, '%');
			while (*fmt)
				put(&o, *fmt++);
			goto out;
		}
		put_padded(&o, end, n, width, left, pad);
	}
out:
	if (size)
		buf[min(o.len, size - 1)] = 0;
	return (int)o.len;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(buf, size, fmt, ap);

	va_end(ap);
	return n;
}
