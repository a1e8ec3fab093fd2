/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log that the boot loader reads word by word: no word of its text contains a zero, whatever
 * its length, and a log without room ends with a zero word.
 * unit-sources: common/kept_log.c
 */
#include "host.h"

#include <margay/console.h>
#include <margay/page_owner.h>

#define SIZE 0x80000U

static u32 log_words[SIZE / 4];
u8 *host_directmap = (u8 *)log_words;

bool early_claim(paddr_t base, u64 size)
{
	(void)base;
	assert_int_equal(size, SIZE);
	return true;
}

static unsigned words_of_text(void)
{
	unsigned n = 0;

	while (log_words[n])
		n++;
	return n;
}

static bool has_zero_byte(u32 word)
{
	return !(word & 0xff) || !(word & 0xff00) || !(word & 0xff0000) || !(word & 0xff000000);
}

static void test_every_length(void **state)
{
	(void)state;
	for (unsigned len = 0; len < 9; len++) {
		kept_log_init(0);
		for (unsigned i = 0; i < len; i++)
			kept_log_put((char)('a' + i));
		assert_int_equal(words_of_text(), 2 + (1 + len + 3) / 4);
		for (unsigned i = 0; i < words_of_text(); i++)
			assert_false(has_zero_byte(log_words[i]));
		assert_memory_equal((char *)log_words + 9, "abcdefgh", len);
	}
}

static void test_characters(void **state)
{
	(void)state;
	kept_log_init(0);
	for (const char *s = "a\r\n\t\x80"; *s; s++)
		kept_log_put(*s);
	assert_memory_equal(log_words,
			    "MargayLg\x1e"
			    "a\x1e??\x1e\x1e\x1e",
			    16);
}

static void test_full(void **state)
{
	(void)state;
	kept_log_init(0);
	for (unsigned i = 0; i < 2 * SIZE; i++)
		kept_log_put('x');
	assert_int_equal(words_of_text(), SIZE / 4 - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_characters),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
