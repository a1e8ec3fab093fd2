/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The list of policy modules that may be loaded. Written on the boot CPU before guests run; it does
 * not change later.
 */
#include <margay/cmdline.h>
#include <margay/policy_registry.h>

#define DIGEST 32

static u8 (*allowed)[DIGEST];
static unsigned nr_allowed;
static bool enforced;

static bool read_digest(const char *s, size_t len, u8 *digest)
{
	if (len < 2 * DIGEST)
		return false;
	for (unsigned i = 0; i < DIGEST; i++) {
		int hi = hex_digit(s[2 * i]), lo = hex_digit(s[2 * i + 1]);

		if (hi > 15 || lo > 15)
			return false;
		digest[i] = (u8)(hi << 4 | lo);
	}
	return len == 2 * DIGEST || s[2 * DIGEST] == ' ' || s[2 * DIGEST] == '\r';
}

/* Skips empty lines and lines that start with #. Reports other lines that are not a digest. */
void policy_allow(const char *text, size_t len)
{
	unsigned lines = 1, nr = 0;

	enforced = true;
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	kfree(allowed);
	nr_allowed = 0;
	allowed = kzalloc((u64)lines * DIGEST);
	if (!allowed) {
		pr_err("policies-allowed: no memory for %u lines: no policy is loaded\n", lines);
		return;
	}
	for (const char *s = text, *end = text + len; s < end; nr++) {
		const char *nl = memchr(s, '\n', (size_t)(end - s)), *stop = nl ? nl : end;

		if (read_digest(s, (size_t)(stop - s), allowed[nr_allowed]))
			nr_allowed++;
		else if (s < stop && *s != '#')
			pr_err("policies-allowed: line %u does not start with a SHA-256\n", nr + 1);
		s = stop + 1;
	}
	pr_info("only %u policies are allowed\n", nr_allowed);
}

bool policy_allowed(const u8 digest[DIGEST])
{
	for (unsigned i = 0; i < nr_allowed; i++)
		if (!memcmp(allowed[i], digest, DIGEST))
			return true;
	return !enforced;
}
