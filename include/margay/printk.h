/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages on Margay's console. Any context but NMI; lines are not torn between CPUs. */
#ifndef MARGAY_PRINTK_H
#define MARGAY_PRINTK_H

#include <margay/types.h>

#include <stdarg.h>

enum loglevel { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void printk_at(enum loglevel level, const char *fmt, ...) __printf(2, 3);
void vprintk(const char *fmt, va_list ap);

/* A fmt ends in \n; one call is one line. */
#define printk(...) printk_at(LOG_ERR, __VA_ARGS__) /* whatever the level; no error */
#define pr_err(...) printk_at(LOG_ERR, __VA_ARGS__)
#define pr_warn(...) printk_at(LOG_WARN, __VA_ARGS__)
#define pr_info(...) printk_at(LOG_INFO, __VA_ARGS__)
#define pr_debug(...) printk_at(LOG_DEBUG, __VA_ARGS__)

void __noreturn panic(const char *fmt, ...) __printf(1, 2);

#ifndef MARGAY_UNIT
/* Only for invariants of our own: never for what a guest or a firmware table can cause. */
#define BUG_ON(cond)                                                                      \
	do {                                                                              \
		if (__builtin_expect(!!(cond), 0))                                        \
			panic("BUG at %s:%d: %s\n", __FILE__, __LINE__, #cond);           \
	} while (0)
#else
#include <assert.h>
#define BUG_ON(cond) assert(!(cond))
#endif

#endif
