/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Builds with DEBUG=1 measure how long a CPU keeps interrupts off, from one window to the next, and
 * how long it does not look for other work. They keep the longest times for each place: an exit, a
 * hypercall, a part of the CPU's loop. `make hold-times` prints them.
 */
#pragma once

#include <margay/types.h>

#if defined(DEBUG) && !defined(MARGAY_UNIT)
void hold_at(const char *place);	/* names the current place; a constant string */
void hold_begin(void);			/* interrupts are off from here on */
void hold_end(void);			/* called before a window */
void hold_over(void);			/* before a guest entry, or before the CPU halts */
void hold_look(void);			/* the CPU looks for other work */
void hold_print(void);
#else
#define hold_at(place) ((void)0)
static inline void hold_begin(void) {}
static inline void hold_end(void) {}
static inline void hold_over(void) {}
static inline void hold_look(void) {}
static inline void hold_print(void) {}
#endif
