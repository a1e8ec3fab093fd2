/* SPDX-License-Identifier: BSD-2-Clause */
/* One writer's text onto the shared line: d NULL is Margay itself. Tags lines. Any context but NMI. */
#ifndef MARGAY_CONSOLE_OUT_H
#define MARGAY_CONSOLE_OUT_H

#include <margay/types.h>

struct domain;
void console_write(struct domain *d, const char *s, size_t n);

#endif
