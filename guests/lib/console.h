/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text output: by console_io in an initial domain, by the PV console ring in any other. printf()
 * holds a lock, so that lines of several vCPUs do not mix.
 */
#ifndef GUEST_CONSOLE_H
#define GUEST_CONSOLE_H

#include "types.h"

void console_init(void);
void console_write(const char *s, size_t len);

/* Waits until all output has left the ring. */
void console_flush(void);

/*
 * Supports %s %c %d %i %u %x %p %%, with width, 0, -, precision for %s, and the sizes l, ll and z.
 */
int printf(const char *fmt, ...) PRINTF(1, 2);
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap) PRINTF(3, 0);
int snprintf(char *buf, size_t size, const char *fmt, ...) PRINTF(3, 4);

#endif
