/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Helpers shared by the tests of mgctl: counted memory, and checks of the output. Each test defines
 * out and err, which run() fills.
 */
#ifndef MGCTL_HOST_H
#define MGCTL_HOST_H

#include "../../tools/mgctl/mgctl.h"

static unsigned int allocated;

static void *fake_alloc(struct mgctl *m, size_t size)
{
	(void)m;
	allocated++;
	return malloc(size);
}

static void fake_free(struct mgctl *m, void *p)
{
	(void)m;
	allocated--;
	free(p);
}

#define assert_says(text, part)                                                        \
	do {                                                                           \
		if (!strstr(text, part))                                               \
			fail_msg("no \"%s\" in \"%s\"", part, text);                   \
	} while (0)

/* Checks that a terminal of 80 columns shows each line whole behind the tag `[linux] `. */
static void assert_fits(const char *text)
{
	for (const char *p = text; *p; p += strcspn(p, "\n") + 1)
		if (strcspn(p, "\n") > 72)
			fail_msg("wider than 72 columns: %.100s", p);
}

#define assert_wrong(line, part)                                                       \
	do {                                                                           \
		assert_int_equal(run(line), MGCTL_USAGE);                              \
		assert_fits(err);                                                      \
		assert_says(err, part);                                                \
		assert_string_equal(out, "");                                          \
	} while (0)

#endif
