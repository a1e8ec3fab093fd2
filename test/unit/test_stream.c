/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The stream of a saved guest: taken apart into pages and the rest, and put together again from a
 * checkpoint; cut off and changed streams are refused, or read within their bounds.
 * unit-sources: tools/checkpoint/stream.c tools/checkpoint/chain.c
 */
#include "../../tools/checkpoint/stream.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NONE (0xfull << 60)
#define BROKEN (0xdull << 60)
#define ALLOCATE (0xeull << 60)
#define HIGH 0xfeffc	/* as the page of the store */

static char dir[] = "/tmp/stream-XXXXXX";
static uint8_t stream[1 << 20];
static size_t size;

static void put(const void *data, size_t n)
{
	memcpy(stream + size, data, n);
	size += n;
}

static void put_record(uint32_t type, const void *data, uint32_t n)
{
	put(&type, 4);
	put(&n, 4);
	put(data, n);
	size = (size + 7) & ~7ul;
}

static void fill(uint8_t *page, unsigned seed)
{
	for (unsigned i = 0; i < CHAIN_PAGE; i++)
		page[i] = (uint8_t)(seed * 31 + i * 7 + i / 256);
}

static void put_pages(const uint64_t *pfns, uint32_t n, unsigned seed)
{
	static uint8_t data[64 * 1024];
	size_t at = 8 + 8ul * n;

	memset(data, 0, 8);
	memcpy(data, &n, 4);
	memcpy(data + 8, pfns, 8ul * n);
	for (uint32_t i = 0; i < n; i++) {
		if (pfns[i] >> 60 >= 0xd)
			continue;
		fill(data + at, seed + i);
		at += CHAIN_PAGE;
	}
	put_record(1, data, (uint32_t)at);
}

/* A guest with pages 0 to 5 but 2, and a high one; 1 and 4 come twice, and 3 goes. */
static void make_stream(void)
{
	static const uint64_t first[] = { 0, 1, NONE | 2, 3, 4 }, second[] = { 5, 1, HIGH },
			      third[] = { NONE | 3, 4, BROKEN | 7, ALLOCATE | 8 };
	const struct {
		uint64_t marker;
		uint32_t id, version, zero[2], type, page_bits, major, minor;
	} xc = { UINT64_MAX, 0x464e4558, 0x03000000, { 0, 0 }, 2, 12, 4, 17 };

	memset(stream, 0, sizeof(stream));
	size = 0;
	put("LibxlFmt\0\0\0\2\0\0\0\0", 16);
	put_record(1, "", 0);
	put(&xc, sizeof(xc));
	put_record(0x11, "a CPUID policy", 15);
	put_record(0x10, "", 0);
	put_pages(first, 5, 100);
	put_pages(second, 3, 200);
	put_pages(third, 4, 240);
	put_record(9, "the context of vCPUs", 20);
	put_record(0, "", 0);
	put_record(0, "", 0);
}

static int open_file(const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	unlink(path);
	return fd;
}

static int file_of(const void *data, size_t n)
{
	int fd = open_file("stream");

	assert_int_equal(write(fd, data, n), (ssize_t)n);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static void assert_page(int pages, uint64_t n, unsigned seed)
{
	uint8_t page[CHAIN_PAGE], wanted[CHAIN_PAGE];

	assert_int_equal(pread(pages, page, sizeof(page), (off_t)(n * CHAIN_PAGE)), sizeof(page));
	fill(wanted, seed);
	assert_memory_equal(page, wanted, sizeof(page));
}

static const struct {
	uint64_t n;
	unsigned seed;
} wanted[] = { { 0, 100 }, { 1, 201 }, { 4, 241 }, { 5, 200 }, { HIGH, 202 } };

static void test_round(void **state)
{
	int from, pages = open_file("pages"), to = open_file("to");
	uint64_t nr_seen, again_seen;
	uint8_t *seen, *seen2, page[CHAIN_PAGE];
	char *rest, *rest2;
	size_t nr_rest, nr_rest2;
	struct chain_new *n;
	struct chain *c;

	(void)state;
	make_stream();
	from = file_of(stream, size);
	assert_int_equal(stream_read(from, pages, &seen, &nr_seen, &rest, &nr_rest), 0);
	for (unsigned i = 0; i < 5; i++)
		assert_page(pages, wanted[i].n, wanted[i].seed);
	assert_int_equal(seen[0], 0x33);
	assert_int_equal(seen[1], 1);	/* page 8 is there, without contents yet */
	/* Page 3 went: should it come back as zeros, nothing is written. */
	assert_int_equal(pread(pages, page, sizeof(page), 3 * CHAIN_PAGE), sizeof(page));
	for (unsigned i = 0; i < sizeof(page); i++)
		assert_int_equal(page[i], 0);
	assert_true(nr_seen > HIGH && seen[HIGH / 8] >> HIGH % 8 & 1);

	n = chain_begin(dir, NULL, 1);
	for (unsigned i = 0; i < 5; i++) {
		fill(page, wanted[i].seed);
		assert_int_equal(chain_add(n, wanted[i].n, page), 0);
	}
	assert_int_equal(chain_commit(n), 0);
	c = chain_open(dir, 0);
	assert_int_equal(stream_write(to, c, rest, nr_rest), 0);
	chain_close(c);
	lseek(to, 0, SEEK_SET);
	assert_int_equal(ftruncate(pages, 0), 0);
	assert_int_equal(stream_read(to, pages, &seen2, &again_seen, &rest2, &nr_rest2), 0);
	assert_int_equal(nr_rest, nr_rest2);
	assert_memory_equal(rest, rest2, nr_rest);
	for (unsigned i = 0; i < 5; i++)
		assert_page(pages, wanted[i].n, wanted[i].seed);
	assert_int_equal(seen2[0], 0x33);
	free(seen);
	free(seen2);
	free(rest);
	free(rest2);
	close(from);
	close(pages);
	close(to);
}

static int read_of(size_t n)
{
	int from = file_of(stream, n), pages = open_file("pages"), rc;
	uint64_t nr_seen;
	size_t nr_rest;
	uint8_t *seen;
	char *rest;

	rc = stream_read(from, pages, &seen, &nr_seen, &rest, &nr_rest);
	if (!rc) {
		free(seen);
		free(rest);
	}
	close(from);
	close(pages);
	return rc;
}

static void test_refused(void **state)
{
	char why[64];

	(void)state;
	make_stream();
	for (size_t n = 0; n < size; n += n < 300 ? 1 : 997) {
		assert_int_equal(read_of(n), -1);
		snprintf(why, sizeof(why), "the stream ends at offset %zu", n);
		assert_non_null(strstr(chain_error(), why));
	}
	assert_int_equal(read_of(size), 0);
	stream[11] = 3;
	assert_int_equal(read_of(size), -1);
	assert_non_null(strstr(chain_error(), "not a stream of libxl"));
	make_stream();
	stream[24 + 24] = 1;	/* a PV guest */
	assert_int_equal(read_of(size), -1);
	assert_non_null(strstr(chain_error(), "PVH"));
	make_stream();
	memset(stream + 24 + 40 + 4, 0xff, 4);	/* the length of a record */
	assert_int_equal(read_of(size), -1);
	assert_non_null(strstr(chain_error(), "offset 64: a record of 4294967295 bytes"));
}

/* Any byte may be any other. */
static void test_random(void **state)
{
	unsigned refused = 0;

	(void)state;
	srand(3);
	for (unsigned i = 0; i < 800; i++) {
		make_stream();
		/* Mostly in the headers: the pages are long. */
		for (int n = rand() % 3; n >= 0; n--)
			stream[rand() % 3 ? (size_t)rand() % 200 : (size_t)rand() % size] ^=
				(uint8_t)(1 << rand() % 8);
		refused += read_of(size) != 0;
	}
	assert_true(refused > 150);
}

static int calls;

/* The context gets longer. */
static int renew(void *arg, uint32_t type, char **data, uint32_t *length)
{
	calls++;
	if (type != STREAM_CONTEXT)
		return 0;
	free(*data);
	*length = (uint32_t)strlen(arg);
	*data = strdup(arg);
	return *length ? 0 : -1;
}

static char *find(char *in, size_t n, const char *text)
{
	for (size_t i = 0; i + strlen(text) <= n; i++)
		if (!memcmp(in + i, text, strlen(text)))
			return in + i;
	return NULL;
}

static void test_renew(void **state)
{
	static char longer[] = "another context of the vCPUs", nothing[] = "";
	int from, pages = open_file("pages");
	char *rest, *part, *found;
	uint64_t nr_seen;
	uint8_t *seen;
	size_t n, nr;

	(void)state;
	make_stream();
	from = file_of(stream, size);
	assert_int_equal(stream_read(from, pages, &seen, &nr_seen, &rest, &n), 0);
	for (nr = 0; nr < n - 8; nr++) {	/* libxl's last record is not looked at */
		size_t cut = nr;

		part = malloc(nr + 1);
		memcpy(part, rest, nr);
		assert_int_equal(stream_renew(&part, &cut, renew, longer), -1);
		assert_int_equal(cut, nr);
		free(part);
	}
	calls = 0;
	nr = n;
	assert_int_equal(stream_renew(&rest, &nr, renew, nothing), -1);
	assert_int_equal(nr, n);
	assert_int_equal(stream_renew(&rest, &nr, renew, longer), 0);
	assert_int_equal(calls, 3 + 4);
	assert_int_equal(nr, n + 8);
	assert_int_equal(memcmp(rest + nr - 16, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16), 0);
	found = find(rest, nr, longer);
	assert_non_null(found);
	assert_int_equal(*(uint32_t *)(void *)(found - 4), sizeof(longer) - 1);
	assert_null(find(rest, nr, "the context of"));
	free(seen);
	free(rest);
	close(from);
	close(pages);
}

static int setup(void **state)
{
	(void)state;
	return !mkdtemp(dir);
}

static int teardown(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "%s/0.ckpt", dir);
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_renew),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
