/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzzes the instruction decoder. The first byte selects the mode; the rest is code.
 * fuzz-sources: arch/x86/guest/decode.c
 */
#include "fuzz.h"

#include <margay/errno.h>
#include <x86/decode.h>

/* Decodes an exact copy of the n bytes. */
static int decode(const uint8_t *code, unsigned int n, enum insn_mode mode, struct insn *out)
{
	uint8_t *copy = malloc(n ? n : 1);
	int ret;

	memcpy(copy, code, n);
	ret = insn_decode(copy, n, mode, out);
	free(copy);
	return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum insn_mode mode;
	struct insn_prefixes p;
	struct insn a, b;
	unsigned int n, len;
	int ret, prefix;

	if (!size)
		return 0;
	mode = INSN_MODE_16 << data[0] % 3;
	data++;
	len = size - 1 > 32 ? 32 : size - 1;

	prefix = insn_prefixes(data, len, mode, &p);
	CHECK(prefix < INSN_MAX_LEN && (prefix < 0 || (unsigned int)prefix < len));
	ret = decode(data, len, mode, &a);
	if (ret) {
		CHECK(ret == -EOPNOTSUPP || ret == -ENODATA);
		return 0;
	}
	CHECK(a.len <= len && a.len <= INSN_MAX_LEN && prefix >= 0 && prefix + 2 <= a.len);
	CHECK(a.reg < 16 && (a.mem_read || a.mem_dest || a.op == INSN_CMP));
	CHECK(a.size == 1 || a.size == 2 || a.size == 4 || a.size == 8);
	CHECK(a.mem_size <= a.size);

	/* The result depends on every byte of the instruction and on no byte after it. */
	CHECK(!decode(data, a.len, mode, &b) && !memcmp(&a, &b, sizeof(a)));
	for (n = 0; n < a.len; n++)
		CHECK(decode(data, n, mode, &b) == -ENODATA);
	return 0;
}
