/* SPDX-License-Identifier: BSD-2-Clause */
/* What tests of mgctl check: what it printed, in out and err of theirs, which run() fills. */
#ifndef MGCTL_SAYS_H
#define MGCTL_SAYS_H

#define assert_says(text, part)                                                        \
	do {                                                                           \
		if (!strstr(text, part))                                               \
			fail_msg("no \"%s\" in \"%s\"", part, text);                   \
	} while (0)
#define assert_wrong(line, part)                                                       \
	do {                                                                           \
		assert_int_equal(run(line), MGCTL_USAGE);                              \
		assert_says(err, part);                                                \
		assert_string_equal(out, "");                                          \
	} while (0)

#endif
