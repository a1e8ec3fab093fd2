/* SPDX-License-Identifier: BSD-2-Clause */
/* libFuzzer's entry to the profile parser: any bytes give a set or messages, and a set gives a domain. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "v3m.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void say(void *opaque, const char *file, int line, int column, const char *text)
{
	(void)opaque, (void)file, (void)text;
	if (line < 0 || column < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct v3m_set *set;

	if (v3m_load((const char *)data, size, "fuzz", &set, say, NULL))
		return 0;
	for (unsigned int i = 0; i < v3m_set_count(set) && i < 4; i++)
		free(v3m_domain(v3m_set_profile(set, i), say, NULL));
	v3m_set_free(set);
	return 0;
}
