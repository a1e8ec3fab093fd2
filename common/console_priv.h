/* SPDX-License-Identifier: BSD-2-Clause */
/* Between console.c and console_guest.c. The caller holds console_lock unless stated otherwise. */
#pragma once

#include <margay/console.h>
#include <margay/lock.h>

/* Guests write while less than OUT_HIGH is waiting to be sent, and again when it is below OUT_LOW.
 * This bounds the delay of any other line. */
#define OUT_LOW 512U
#define OUT_HIGH 1024U

extern struct spinlock console_lock;

u32 console_backlog(void);		/* characters that the slowest console still has to send */
void console_put(struct domain *d, char c); /* adds to d's line; the caller checked the backlog */
void console_end_line_of(struct domain *d); /* ends d's unfinished line, if there is one */
void console_send(void);		/* after console_put(): sends what can be sent now */
void console_want_work(void); /* raises CPU_WORK_CONSOLE once the backlog is below OUT_LOW */
void console_want_work_later(void); /* ... after a pause, at this and all further requests */
/* Arms the timer if a console needs it. Called on the housekeeping CPU, without lock. */
void console_poll(void);
/* Moves on the input. take: returns false to be given the character again later. Without lock. */
void console_input(bool (*take)(char ch));
bool console_has_input(void);
