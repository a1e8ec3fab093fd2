/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text output: the hypervisor's own console for an initial domain, the PV console ring for any
 * other. Lines of several vCPUs do not mix: a lock is held for each printf().
 */
#ifndef GUEST_CONSOLE_H
#define GUEST_CONSOLE_H

#include "types.h"

void console_init(void);
void console_write(const char *s, size_t len);

/* Wait until what was written has left the ring. */
void console_flush(void);

/* %s %c %d %i %u %x %p %%, with width, 0, -, precision for %s, and the l / ll / z sizes. */
int printf(const char *fmt, ...) PRINTF(1, 2);
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap) PRINTF(3, 0);
int snprintf(char *buf, size_t size, const char *fmt, ...) PRINTF(3, 4);

#endif
