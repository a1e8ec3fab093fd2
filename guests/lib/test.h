/* SPDX-License-Identifier: BSD-2-Clause */
/* Ends a scenario: prints one line PASS or FAIL, then powers the domain off. */
#ifndef GUEST_TEST_H
#define GUEST_TEST_H

#include "types.h"

extern const char guest_name[];

NORETURN void pass(void);
NORETURN void fail(const char *fmt, ...) PRINTF(1, 2);

/* Ends with FAIL and the reason unless cond holds. */
#define CHECK(cond, ...) do {				\
	if (!(cond))					\
		fail(__VA_ARGS__);			\
} while (0)

/* The same for a call that must return a given value. */
#define CHECK_RET(call, want) do {						\
	long got_ = (call), want_ = (want);					\
	CHECK(got_ == want_, "%s = %ld, wanted %ld (line %d)", #call, got_,	\
	      want_, __LINE__);							\
} while (0)

#endif
