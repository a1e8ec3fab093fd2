/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The environment of a unit test on the build host, besides cmocka. A buffer keeps the messages of
 * the code under test, so that a test can check them.
 */
#ifndef TEST_UNIT_HOST_H
#define TEST_UNIT_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* All messages since host_log_clear(), of all levels. */
extern char host_log[65536];

void host_log_clear(void);

/* Returns how often `text` occurs in the messages. */
unsigned int host_logged(const char *text);

/* Aborts if a message has a line above 80 columns, with the "(margay) " that the console adds. */
void assert_lines_fit(void);

/* Fail, showing the messages, unless `text` is in them, or unless there is none. */
#define assert_logged(text)                                                             \
	do {                                                                            \
		if (!host_logged(text))                                                 \
			fail_msg("no \"%s\" in the messages:\n%s", text, host_log);    \
	} while (0)
#define assert_silent()                                                                 \
	do {                                                                            \
		if (host_log[0])                                                        \
			fail_msg("unexpected messages:\n%s", host_log);                 \
	} while (0)

#endif
