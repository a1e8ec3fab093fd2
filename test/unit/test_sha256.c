/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SHA-256: NIST's examples for FIPS 180-4, and the lengths around a block's end (from another
 * implementation, Python's hashlib).
 * unit-sources: common/policy/sha256.c
 */
#include "host.h"

#include <margay/module.h>

static void digests_to(const void *data, size_t len, const char *expected)
{
	u8 *copy = malloc(len ? len : 1), digest[32];
	struct sha256 s = { 0 };
	size_t before = 0;
	char hex[65];

	memcpy(copy, data, len);
	while (!sha256_step(&s, copy, len))
		assert_true(s.done - before <= 512), before = s.done;
	memcpy(digest, s.digest, sizeof(digest));
	free(copy);
	for (unsigned i = 0; i < 32; i++)
		sprintf(hex + 2 * i, "%02x", digest[i]);
	assert_string_equal(hex, expected);
}

static void test_nist(void **state)
{
	static const char two_blocks[] = "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
					 "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";
	static char million[1000000];

	(void)state;
	digests_to("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	digests_to("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	digests_to("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
		   "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	digests_to(two_blocks, 112,
		   "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
	memset(million, 'a', sizeof(million));
	digests_to(million, sizeof(million),
		   "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* n bytes 0, 1, 2 ... */
static void test_lengths(void **state)
{
	static const struct {
		unsigned n;
		const char *digest;
	} cases[] = {
		{ 1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d" },
		{ 55, "463eb28e72f82e0a96c0a4cc53690c571281131f672aa229e0d45ae59b598b59" },
		{ 56, "da2ae4d6b36748f2a318f23e7ab1dfdf45acdc9d049bd80e59de82a60895f562" },
		{ 57, "2fe741af801cc238602ac0ec6a7b0c3a8a87c7fc7d7f02a3fe03d1c12eac4d8f" },
		{ 63, "29af2686fd53374a36b0846694cc342177e428d1647515f078784d69cdb9e488" },
		{ 64, "fdeab9acf3710362bd2658cdc9a29e8f9c757fcf9811603a8c447cd1d9151108" },
		{ 65, "4bfd2c8b6f1eec7a2afeb48b934ee4b2694182027e6d0fc075074f2fabb31781" },
		{ 119, "da18797ed7c3a777f0847f429724a2d8cd5138e6ed2895c3fa1a6d39d18f7ec6" },
		{ 120, "f52b23db1fbb6ded89ef42a23ce0c8922c45f25c50b568a93bf1c075420bbb7c" },
		{ 121, "335a461692b30bba1d647cc71604e88e676c90e4c22455d0b8c83f4bd7c8ac9b" },
		{ 128, "471fb943aa23c511f6f72f8d1652d9c880cfa392ad80503120547703e56a2be5" },
		{ 256, "40aff2e9d2d8922e47afd4648e6967497158785fbd1da870e7110266bf944880" },
	};
	u8 data[256];

	(void)state;
	for (unsigned i = 0; i < 256; i++)
		data[i] = (u8)i;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		digests_to(data, cases[i].n, cases[i].digest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nist),
		cmocka_unit_test(test_lengths),
	};

	return cmocka_run_group_tests_name("sha256", tests, NULL, NULL);
}
