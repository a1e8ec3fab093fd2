/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Margay's memory and string functions and its formatted output, compared with the host's. The
 * sources are included here with renamed functions, because the host's have the same names.
 */
#include "host.h"

#define memcpy margay_memcpy
#define memmove margay_memmove
#define memset margay_memset
#define memcmp margay_memcmp
#define memchr margay_memchr
#define strlen margay_strlen
#define strnlen margay_strnlen
#define strcmp margay_strcmp
#define vsnprintf margay_vsnprintf
#define snprintf margay_snprintf

void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
int snprintf(char *buf, size_t size, const char *fmt, ...);

#include <margay/list.h>
#include "../../arch/x86/lib/string.c"
#include "../../common/vsnprintf.c"

#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef memchr
#undef strlen
#undef strnlen
#undef strcmp
#undef vsnprintf
#undef snprintf

static u8 a[64], b[64];

static void fill(void)
{
	unsigned int i;

	for (i = 0; i < sizeof(a); i++)
		a[i] = b[i] = rand();
}

static void test_memory(void **state)
{
	unsigned int from, to, n;

	(void)state;
	for (from = 0; from < 24; from++) {
		for (to = 0; to < 24; to++) {
			for (n = 0; n < 40; n++) {
				fill();
				assert_ptr_equal(margay_memmove(a + to, a + from, n), a + to);
				memmove(b + to, b + from, n);
				assert_memory_equal(a, b, sizeof(a));

				margay_memcpy(a + to, "0123456789012345678901234567890123456789",
					      n);
				memcpy(b + to, "0123456789012345678901234567890123456789", n);
				margay_memset(a + from, 0x1a5, n);
				memset(b + from, 0xa5, n);
				assert_memory_equal(a, b, sizeof(a));
			}
		}
	}
}

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

static void test_compare(void **state)
{
	static const char *const s[] = { "", "a", "ab", "abc", "abd", "\377", "b", "ab\0x" };
	unsigned int i, j;
	size_t n;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(s); i++) {
		assert_int_equal(margay_strlen(s[i]), strlen(s[i]));
		for (n = 0; n < 5; n++)
			assert_int_equal(margay_strnlen(s[i], n), strnlen(s[i], n));
		for (n = 0; n < 256; n++) {
			assert_ptr_equal(margay_memchr(s[i], n, strlen(s[i])),
					 memchr(s[i], n, strlen(s[i])));
		}
		for (j = 0; j < ARRAY_SIZE(s); j++)
			assert_int_equal(sign(margay_strcmp(s[i], s[j])), sign(strcmp(s[i], s[j])));
	}
	assert_true(margay_memcmp("\200", "\177", 1) > 0);
	assert_true(margay_memcmp("a\0b", "a\0c", 3) < 0);
	assert_int_equal(margay_memcmp("a\0b", "a\0c", 2), 0);
}

/* Compares one format with the host's result, in buffers of all sizes. */
#define SAME(...)                                                                       \
	do {                                                                            \
		char x[80], y[80];                                                      \
		size_t size;                                                            \
		for (size = 0; size <= sizeof(x); size++) {                             \
			memset(x, 'x', sizeof(x));                                      \
			memset(y, 'x', sizeof(y));                                      \
			assert_int_equal(margay_snprintf(x, size, __VA_ARGS__),         \
					 snprintf(y, size, __VA_ARGS__));               \
			assert_memory_equal(x, y, sizeof(x));                           \
		}                                                                       \
	} while (0)

#pragma GCC diagnostic ignored "-Wformat-truncation"

static void test_format(void **state)
{
	static const u64 values[] = { 0,	  1,	      9,	  10,	       0x7fffffff,
				      0x80000000, 0xffffffff, 0x100000000, 1UL << 63, ~0UL };
	unsigned int i;

	(void)state;
	SAME("%s", "");
	SAME("plain %% text\n");
	SAME("%s|%5s|%-5s|%5s|%-4s|", "abc", "abc", "abc", "abcdef", "abcdef");
	SAME("%.*s|%.*s|%5.*s|%-5.*s|", 2, "abc", 9, "abc", 2, "abc", 0, "abc");
	SAME("%.*s|", 3, "abc\0def");
	SAME("%c%3c%-3c|", 'a', 'b', 'c');
	for (i = 0; i < ARRAY_SIZE(values); i++) {
		u64 v = values[i];

		SAME("%d %u %x", (int)v, (unsigned int)v, (unsigned int)v);
		SAME("%ld %lu %lx", (long)v, v, v);
		SAME("[%12d] [%-12d]", (int)v, (int)v);
		SAME("[%22ld] [%-22lx] [%022lu]", (long)v, v, v);
		SAME("[%2x] [%02x] [%08x]", (unsigned int)v, (unsigned int)v, (unsigned int)v);
		if (v)
			SAME("%#x %#lx", (unsigned int)(v | 1), v);
	}
	SAME("%d %ld", -1, -1L);
	SAME("[%5d] [%-5d]", -42, -42);
}

/* An unknown conversion ends the formatting: no argument is taken for another. */
static void test_bad_format(void **state)
{
	static const char bad[] = "%d %q %s";
	const char *format = bad;
	char s[20];

	(void)state;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	assert_int_equal(margay_snprintf(s, sizeof(s), format, 1, 2, 3), 7);
#pragma GCC diagnostic pop
	assert_string_equal(s, "1 %q %s");
}

static void test_strcopy(void **state)
{
	char s[5];

	(void)state;
	strcopy(s, "abcdef", sizeof(s));
	assert_string_equal(s, "abcd");
	strcopy(s, "ab", sizeof(s));
	assert_string_equal(s, "ab");
	strcopy(s, "ab", 1);
	assert_string_equal(s, "");
}

static void test_index(void **state)
{
	(void)state;
	assert_int_equal(index_nospec(0, 1), 0);
	assert_int_equal(index_nospec(1, 1), 0);
	assert_int_equal(index_nospec(7, 8), 7);
	assert_int_equal(index_nospec(8, 8), 0);
	assert_int_equal(index_nospec(~0UL, 8), 0);
	assert_int_equal(index_nospec(3, 0), 0);
}

static void test_list_find(void **state)
{
	struct node {
		int n;
		struct list link;
		struct node *next;
	} nodes[] = { { .n = 1 }, { .n = 2 }, { .n = 2 } }, *p = nodes;
	struct list head = LIST_INIT(head);

	(void)state;
	assert_null(list_find(p, &head, link, true));
	for (unsigned i = 0; i < 3; i++)
		list_add_tail(&nodes[i].link, &head);
	assert_ptr_equal(list_find(p, &head, link, p->n == 2), &nodes[1]);
	assert_ptr_equal(p, &nodes[1]);
	assert_ptr_equal(list_find(p, &head, link, p->n == 1), &nodes[0]);
	assert_null(list_find(p, &head, link, p->n == 3));
	assert_null(p);
	assert_null(chain_find(p, (struct node *)NULL, p->n == 1));
	nodes[0].next = &nodes[1];
	assert_ptr_equal(chain_find(p, nodes, p->n == 2), &nodes[1]);
	assert_null(chain_find(p, nodes, p->n == 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),	cmocka_unit_test(test_compare),
		cmocka_unit_test(test_format),	cmocka_unit_test(test_strcopy),
		cmocka_unit_test(test_index),	cmocka_unit_test(test_bad_format),
		cmocka_unit_test(test_list_find),
	};

	return cmocka_run_group_tests_name("lib", tests, NULL, NULL);
}
