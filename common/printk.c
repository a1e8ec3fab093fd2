/* SPDX-License-Identifier: BSD-2-Clause */
/* Margay's own messages on the console. */
#include <margay/cmdline.h>
#include <margay/console.h>
#include <margay/printk.h>

#define LINE_MAX 256

void vprintk(const char *fmt, va_list ap)
{
	char line[LINE_MAX];
	int n = vsnprintf(line, sizeof(line), fmt, ap);

	if ((unsigned)n >= sizeof(line))
		strcopy(line + sizeof(line) - 5, "...\n", 5);
	console_write(line, strlen(line));
}

void printk_at(enum loglevel level, const char *fmt, ...)
{
	va_list ap;

	if ((unsigned)level > opt.loglevel)
		return;
	va_start(ap, fmt);
	vprintk(fmt, ap);
	va_end(ap);
}
