/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text for people. A terminal of 80 columns shows it behind Margay's tag, such as `[linux] `: lines
 * have 72 columns. Text from Margay and its modules may hold any bytes.
 */
#include <stdarg.h>
#include <string.h>

#include "mgctl.h"

#define COLUMNS 72

static char printable(char c)
{
	return c < ' ' || c > '~' ? '?' : c;
}

void print_text(FILE *f, int width, const char *text, size_t size)
{
	int n = 0;

	for (; (size_t)n < size && text[n]; n++)
		fputc(printable(text[n]), f);
	for (; n < width; n++)
		fputc(' ', f);
}

void say(FILE *f, const char *fmt, ...)
{
	char text[1024], *p = text;
	size_t column = 0, n;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	while (*p) {
		size_t gap = strspn(p, " ");

		n = gap + strcspn(p + gap, " ");
		if (column && column + n > COLUMNS) {
			fputs("\n  ", f);
			column = 2;
			p += gap;
			n -= gap;
		}
		for (column += n; n; n--)
			fputc(printable(*p++), f);
	}
	fputc('\n', f);
}
