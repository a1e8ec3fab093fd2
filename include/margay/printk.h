/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages on Margay's console. Any context but NMI. Lines of different CPUs do not mix. */
#pragma once

#include <margay/types.h>

#include <stdarg.h>

enum loglevel { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void printk_at(enum loglevel level, const char *fmt, ...) __printf(2, 3);
void vprintk(const char *fmt, va_list ap);

/* fmt ends in \n, and has another one where a line would exceed 72 columns. */
#define printk(...) printk_at(LOG_ERR, __VA_ARGS__) /* at any level; not an error */
#define pr_err(...) printk_at(LOG_ERR, __VA_ARGS__)
#define pr_warn(...) printk_at(LOG_WARN, __VA_ARGS__)
#define pr_info(...) printk_at(LOG_INFO, __VA_ARGS__)
#define pr_debug(...) printk_at(LOG_DEBUG, __VA_ARGS__)

void __noreturn panic(const char *fmt, ...) __printf(1, 2);

#ifndef MARGAY_UNIT
/* Only for Margay's own invariants, never for what a guest or a firmware table can cause. */
#define BUG_ON(cond)                                                                      \
	do {                                                                              \
		if (__builtin_expect(!!(cond), 0))                                        \
			panic("BUG at %s:%d: %s\n", __FILE__, __LINE__, #cond);           \
	} while (0)
#endif
