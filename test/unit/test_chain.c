/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Chains of checkpoints: what is read is what was written, from any point, after merges, with any number
 * of threads; whatever happens to a file, a reader has the right page or an error.
 * unit-sources: tools/checkpoint/chain.c
 */
#include "../../tools/checkpoint/chain.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#define XXH_INLINE_ALL
#include <xxhash.h>
#include <zstd.h>

#define PAGES 1500
#define POINTS 5

static char dir[64];
/* The memory at each point; a version of 0: there is no such page, 1: of zeros. */
static uint32_t versions[POINTS][PAGES];

static void fill(uint8_t *page, unsigned gfn, uint32_t version)
{
	memset(page, 0, CHAIN_PAGE);
	for (unsigned i = 0; version > 1 && i < CHAIN_PAGE; i += 4)
		*(uint32_t *)(page + i) = version * 2654435761u ^ (i % 512) ^ gfn << 10;
}

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/chain-XXXXXX");
	assert_non_null(mkdtemp(dir));
	srand(7);
	return 0;
}

static void path_of(char *path, size_t n, const char *name)
{
	snprintf(path, n, "%s/%s", dir, name);
}

static int teardown(void **state)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	char path[512];

	(void)state;
	while ((e = readdir(d))) {
		path_of(path, sizeof(path), e->d_name);
		unlink(path);
	}
	closedir(d);
	return rmdir(dir);
}

/* The memory changes a little from point to point. */
static void change(unsigned point)
{
	for (unsigned i = 0; i < PAGES; i++) {
		uint32_t old = point ? versions[point - 1][i] : (uint32_t)rand() % 4;

		versions[point][i] = rand() % 10 ? old : (uint32_t)rand() % 50;
	}
}

static void write_point(unsigned point, struct chain *parent, unsigned threads)
{
	struct chain_new *n = chain_begin(dir, parent, threads);
	uint64_t all, stored;
	uint8_t page[CHAIN_PAGE];
	char text[32];

	assert_non_null(n);
	for (unsigned i = 0; i < PAGES; i++) {
		fill(page, i, versions[point][i]);
		if (versions[point][i])
			assert_int_equal(chain_add(n, i, page), 0);
		else
			assert_int_equal(chain_gone(n, i), 0);
	}
	chain_counts(n, &all, &stored);
	assert_true(stored < all && (!parent || stored < PAGES / 4));
	snprintf(text, sizeof(text), "state of %u", point);
	assert_int_equal(chain_add_state(n, "vcpus", text, strlen(text)), 0);
	assert_int_equal(chain_add_state(n, "empty", "", 0), 0);
	assert_int_equal(chain_commit(n), 0);
}

static void write_all(unsigned threads)
{
	struct chain *c = NULL;

	for (unsigned i = 0; i < POINTS; i++) {
		change(i);
		write_point(i, c, threads);
		chain_close(c);
		c = chain_open(dir, CHAIN_LAST);
		assert_non_null(c);
		assert_int_equal(chain_point(c), i);
	}
	chain_close(c);
}

/* Returns false if the chain said that something is wrong. */
static bool reads(struct chain *c, unsigned point)
{
	uint8_t page[CHAIN_PAGE], wanted[CHAIN_PAGE];
	uint64_t next = 0;
	size_t size;
	char text[32];
	void *data;

	for (unsigned i = 0; i < PAGES; i++) {
		int rc = chain_page(c, i, page);

		if (rc < 0)
			return false;
		assert_int_equal(rc, versions[point][i] != 0);
		fill(wanted, i, versions[point][i]);
		if (rc)
			assert_memory_equal(page, wanted, sizeof(page));
		if (rc) {
			assert_true(chain_next(c, &next));
			assert_int_equal(next, i);
			next++;
		}
	}
	assert_false(chain_next(c, &next));
	if (chain_state(c, "vcpus", &data, &size) < 0)
		return false;
	assert_non_null(data);
	snprintf(text, sizeof(text), "state of %u", point);
	assert_int_equal(size, strlen(text));
	assert_memory_equal(data, text, size);
	free(data);
	return true;
}

static void assert_point(uint64_t number, unsigned point)
{
	struct chain *c = chain_open(dir, number);

	assert_non_null(c);
	assert_true(reads(c, point));
	chain_close(c);
}

static unsigned files(void)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	for (const struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static void test_points(void **state)
{
	struct chain *c;
	size_t size;
	void *data;

	(void)state;
	assert_null(chain_open(dir, CHAIN_LAST));
	assert_non_null(strstr(chain_error(), "there is no checkpoint"));
	write_all(3);
	for (unsigned i = 0; i < POINTS; i++)
		assert_point(i, i);
	assert_int_equal(files(), POINTS);
	c = chain_open(dir, 2);
	assert_int_equal(chain_state(c, "none", &data, &size), 0);
	assert_null(data);
	assert_int_equal(chain_state(c, "empty", &data, &size), 1);
	free(data);
	assert_int_equal(size, 0);
	chain_close(c);
	assert_null(chain_open(dir, POINTS));
	assert_null(chain_open("/nowhere", CHAIN_LAST));
}

static void test_unchanged(void **state)
{
	struct chain *c;
	struct stat st;
	char path[128];

	(void)state;
	change(0);
	memcpy(versions[1], versions[0], sizeof(versions[0]));
	write_point(0, NULL, 1);
	c = chain_open(dir, 0);
	write_point(1, c, 1);
	chain_close(c);
	path_of(path, sizeof(path), "1.ckpt");
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size < 1000);	/* equal pages cost nothing */
	assert_point(1, 1);
}

static void test_merge(void **state)
{
	struct chain *open;

	(void)state;
	write_all(2);
	open = chain_open(dir, 4);
	assert_int_equal(chain_merge(dir, 2, 2), 0);
	assert_int_equal(files(), 3);
	assert_null(chain_open(dir, 1));
	for (unsigned i = 2; i < POINTS; i++)
		assert_point(i, i);
	assert_true(reads(open, 4));	/* its files are gone, but not for it */
	chain_close(open);
	assert_int_equal(chain_merge(dir, CHAIN_LAST, 1), 0);
	assert_int_equal(files(), 1);
	assert_point(4, 4);
	assert_int_equal(chain_merge(dir, 4, 1), 0);
	assert_point(4, 4);
	assert_int_equal(chain_merge(dir, 3, 1), -1);
}

/* Somebody goes back to an earlier point and begins anew from there. */
static void test_branch(void **state)
{
	struct chain *c;

	(void)state;
	write_all(1);
	c = chain_open(dir, 1);
	memcpy(versions[0], versions[1], sizeof(versions[1]));
	versions[0][5] = 77;
	write_point(0, c, 1);
	chain_close(c);
	assert_point(5, 0);
	assert_int_equal(chain_merge(dir, 3, 1), 0);
	assert_point(5, 0);
	assert_point(4, 4);
}

/* A writer that died leaves the chain as it was, and the next one is not in its way. */
static void test_torn(void **state)
{
	static const uint8_t page[CHAIN_PAGE] = { 1 };
	struct chain_new *n;
	struct chain *c;
	char path[128];
	int fd;

	(void)state;
	write_all(2);
	c = chain_open(dir, 4);
	n = chain_begin(dir, c, 2);
	assert_int_equal(chain_add(n, 1, page), 0);
	assert_point(CHAIN_LAST, 4);
	chain_abort(n);
	path_of(path, sizeof(path), "5.new");
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, dir, 10), 10);
	close(fd);
	assert_point(CHAIN_LAST, 4);
	/* A broken last point does not hide the one before. */
	path_of(path, sizeof(path), "6.ckpt");
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, dir, 10), 10);
	close(fd);
	assert_point(CHAIN_LAST, 4);
	assert_null(chain_open(dir, 6));
	assert_non_null(strstr(chain_error(), "6.ckpt: offset 0: the file is cut off"));
	/* Pages in a wrong order make no point. */
	n = chain_begin(dir, c, 1);
	assert_int_equal(chain_add(n, 9, page), 0);
	assert_int_equal(chain_add(n, 9, page), -1);
	assert_int_equal(chain_commit(n), -1);
	assert_point(CHAIN_LAST, 4);
	chain_close(c);
}

/* Truncated, changed and exchanged files: the right pages, or an error. */
static void test_damage(void **state)
{
	static uint8_t all[2 << 20], other[2 << 20];
	char path[128], second[128];
	unsigned wrong = 0;
	ssize_t n, m;
	int fd, from;

	(void)state;
	write_all(2);
	path_of(path, sizeof(path), "3.ckpt");
	path_of(second, sizeof(second), "2.ckpt");
	fd = open(path, O_RDWR);
	n = read(fd, all, sizeof(all));
	assert_true(n > 1000 && n < (ssize_t)sizeof(all));
	for (unsigned i = 0; i < 600; i++) {
		off_t at = i < 150 ? n - 1 - (off_t)i : rand() % n;
		uint8_t changed = (uint8_t)(all[at] ^ (1 << rand() % 8));
		struct chain *c;

		if (i % 3)
			assert_int_equal(pwrite(fd, &changed, 1, at), 1);
		else
			assert_int_equal(ftruncate(fd, at), 0);
		c = chain_open(dir, 4);
		wrong += !c || !reads(c, 4);
		chain_close(c);
		assert_int_equal(pwrite(fd, all, (size_t)n, 0), n);
	}
	assert_true(wrong > 400);	/* the rest is in pages that a later point has, too */
	/* A file in another's place. */
	from = open(second, O_RDONLY);
	m = read(from, other, sizeof(other));
	close(from);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, other, (size_t)m, 0), m);
	assert_null(chain_open(dir, 3));
	assert_null(chain_open(dir, 4));
	assert_point(2, 2);
	close(fd);
}

/* Finds the n-th block of a type in a file; a block's header has 64 bytes, and its type at 24. */
static off_t block_at(int fd, uint32_t type, unsigned n)
{
	uint64_t head[8];
	off_t at = 0;

	while (pread(fd, head, sizeof(head), at) == sizeof(head)) {
		if ((uint32_t)head[3] == type && !n--)
			return at;
		at += (off_t)(sizeof(head) + head[4]);
	}
	fail_msg("no such block");
	return -1;
}

/*
 * Damage to a block's header is not taken for a state that is not there, ends no merge with less than there
 * was, and no reader goes round in circles.
 */
static void test_states(void **state)
{
	static const struct {
		unsigned type, n, offset, size;
		uint64_t value;
	} damages[] = {
		{ 3, 0, 24, 4, 2 },		/* a state becomes pages: one bit */
		{ 3, 1, 24, 4, 4 },
		{ 3, 1, 32, 8, -64ul },		/* the next block is the same one */
		{ 2, 0, 32, 8, -64ul },
		{ 1, 0, 32, 8, -64ul },
		{ 3, 0, 64 + 12, 1, 0xa5 },
	};
	char path[128];
	size_t size;
	void *data;

	(void)state;
	write_all(1);
	path_of(path, sizeof(path), "4.ckpt");
	for (unsigned i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		int fd = open(path, O_RDWR), rc;
		uint8_t before[8];
		struct chain *c;
		off_t at;

		at = block_at(fd, damages[i].type, damages[i].n) + damages[i].offset;
		assert_int_equal(pread(fd, before, damages[i].size, at), damages[i].size);
		assert_int_equal(pwrite(fd, &damages[i].value, damages[i].size, at),
				 damages[i].size);
		alarm(20);
		c = chain_open(dir, 4);
		rc = c ? chain_state(c, "empty", &data, &size) : -1;
		assert_true(rc < 0 || damages[i].type == 2);
		if (rc > 0)
			free(data);
		chain_close(c);
		if (damages[i].type == 3)
			assert_int_equal(chain_merge(dir, 4, 1), -1);
		alarm(0);
		assert_int_equal(files(), POINTS);
		assert_int_equal(pwrite(fd, before, damages[i].size, at), damages[i].size);
		close(fd);
		assert_point(4, 4);
	}
	assert_int_equal(chain_merge(dir, 4, 1), 0);
	assert_point(4, 4);
}

static size_t most_read;

/* The kernel reads less than it is asked for, and stops for signals; it does so above 2 GiB. */
ssize_t pread(int fd, void *to, size_t n, off_t at)
{
	if (most_read && n > 100 && !(rand() % 5)) {
		errno = EINTR;
		return -1;
	}
	return syscall(SYS_pread64, fd, to, most_read && n > most_read ? most_read : n, at);
}

static void test_short_reads(void **state)
{
	(void)state;
	most_read = 700;
	write_all(2);
	for (unsigned i = 0; i < POINTS; i++)
		assert_point(i, i);
	assert_int_equal(chain_merge(dir, 3, 1), 0);
	assert_point(4, 4);
	most_read = 0;
}

/* Writes a block anew whose checksum is right. */
static void forge(int fd, off_t at, const uint64_t head[8], const void *stored)
{
	uint64_t h[8];
	XXH3_state_t s;
	XXH128_hash_t sum;

	memcpy(h, head, sizeof(h));
	h[6] = h[7] = 0;
	XXH3_128bits_reset(&s);
	XXH3_128bits_update(&s, h, sizeof(h));
	XXH3_128bits_update(&s, stored, h[4]);
	sum = XXH3_128bits_digest(&s);
	memcpy(h + 6, &sum, sizeof(sum));
	assert_int_equal(pwrite(fd, h, sizeof(h), at), sizeof(h));
	assert_int_equal(pwrite(fd, stored, h[4], at + (off_t)sizeof(h)), (ssize_t)h[4]);
}

/* Somebody who knows the checksum: no size makes the reader allocate more than the kind of block may have. */
static void test_bombs(void **state)
{
	static const struct {
		uint32_t type;
		size_t size;
	} bombs[] = { { 1, 64 << 20 }, { 2, 64 << 20 }, { 2, (1 << 20) + 1 }, { 1, 0 } };
	char path[128];
	uint8_t *zeros = calloc(1, 64 << 20), *to = malloc(64 << 20), page[CHAIN_PAGE];

	(void)state;
	write_all(1);
	path_of(path, sizeof(path), "0.ckpt");
	for (unsigned i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
		int fd = open(path, O_RDWR), rc = 0;
		off_t at = block_at(fd, bombs[i].type, 0), end = lseek(fd, 0, SEEK_END);
		uint64_t head[8];
		uint8_t *all = malloc((size_t)end);
		struct chain *c;

		assert_int_equal(pread(fd, all, (size_t)end, 0), end);
		memcpy(head, all + at, sizeof(head));
		head[4] = ZSTD_compress(to, 64 << 20, zeros, bombs[i].size, 1);
		head[5] = bombs[i].size;
		forge(fd, at, head, to);
		c = chain_open(dir, 0);
		for (unsigned n = 0; c && n < PAGES && rc >= 0; n++)
			rc = chain_page(c, n, page);
		assert_true(!c || rc < 0);
		assert_non_null(strstr(chain_error(), "or than its kind can be"));
		chain_close(c);
		assert_int_equal(pwrite(fd, all, (size_t)end, 0), end);
		close(fd);
		free(all);
		assert_point(0, 0);
	}
	free(zeros);
	free(to);
}

/* A page that no guest can have would begin the list again. */
static void test_highest(void **state)
{
	static const uint8_t page[CHAIN_PAGE] = { 1 };
	struct chain_new *n;

	(void)state;
	n = chain_begin(dir, NULL, 1);
	assert_non_null(n);
	assert_int_equal(chain_add(n, UINT64_MAX, page), -1);
	chain_abort(n);
}

static void make_file(const char *name)
{
	char path[128];
	int fd;

	path_of(path, sizeof(path), name);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
}

/* Names that no save makes are no points; the next point always has a number that is found again. */
static void test_names(void **state)
{
	static const char *const names[] = { "-1.ckpt", "-2.ckpt", "07.ckpt", " 8.ckpt", "+9.ckpt",
					     "99999999999999999999999.ckpt", ".ckpt",
					     "18446744073709551614.ckpt" };
	struct chain *c;

	(void)state;
	write_all(1);
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		make_file(names[i]);
	c = chain_open(dir, CHAIN_LAST);
	assert_int_equal(chain_point(c), 4);
	memcpy(versions[0], versions[4], sizeof(versions[0]));
	write_point(0, c, 1);
	chain_close(c);
	assert_point(CHAIN_LAST, 0);
	assert_point(5, 0);
	assert_int_equal(chain_merge(dir, CHAIN_LAST, 1), 0);
	assert_point(5, 0);
}

/* What is no file is neither waited for nor written through. */
static void test_no_files(void **state)
{
	char path[128], aim[128];
	struct chain_new *n;
	struct chain *c;
	struct stat st;

	(void)state;
	write_all(1);
	c = chain_open(dir, CHAIN_LAST);
	path_of(aim, sizeof(aim), "precious");
	make_file("precious");
	assert_int_equal(truncate(aim, 5), 0);
	path_of(path, sizeof(path), "5.new");
	assert_int_equal(symlink(aim, path), 0);
	assert_null(chain_begin(dir, c, 1));
	assert_non_null(strstr(chain_error(), "5.new"));
	unlink(path);
	assert_int_equal(link(aim, path), 0);	/* as what a dead writer has left: the name goes */
	n = chain_begin(dir, c, 1);
	assert_non_null(n);
	chain_abort(n);
	assert_int_equal(stat(aim, &st), 0);
	assert_int_equal(st.st_size, 5);
	alarm(20);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_null(chain_begin(dir, c, 1));
	unlink(path);
	path_of(path, sizeof(path), "5.ckpt");
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_null(chain_open(dir, 5));
	assert_point(CHAIN_LAST, 4);
	assert_int_equal(chain_merge(dir, 4, 1), 0);
	unlink(path);
	path_of(path, sizeof(path), "4.ckpt");
	path_of(aim, sizeof(aim), "6.ckpt");
	assert_int_equal(symlink(path, aim), 0);
	assert_null(chain_open(dir, 6));
	alarm(0);
	chain_close(c);
}

/* Of two that write, one is refused, and the other's checkpoint is whole. */
static void test_two_writers(void **state)
{
	struct chain_new *n, *second;
	struct chain *c;
	uint8_t page[CHAIN_PAGE];

	(void)state;
	write_all(2);
	c = chain_open(dir, CHAIN_LAST);
	n = chain_begin(dir, c, 1);
	assert_non_null(n);
	fill(page, 1, 33);
	assert_int_equal(chain_add(n, 1, page), 0);
	second = chain_begin(dir, c, 1);
	assert_null(second);
	assert_non_null(strstr(chain_error(), "5.new: another process writes"));
	assert_int_equal(chain_commit(n), 0);
	chain_close(c);
	c = chain_open(dir, CHAIN_LAST);
	assert_int_equal(chain_point(c), 5);
	assert_int_equal(chain_page(c, 1, page), 1);
	chain_close(c);
	n = chain_begin(dir, NULL, 1);
	assert_non_null(n);
	assert_int_equal(chain_new_point(n), 6);
	chain_abort(n);
	assert_int_equal(files(), 6);
}

/* The next writer removes what dead ones have left, but not what a living one writes. */
static void test_left_over(void **state)
{
	struct chain_new *n;
	struct chain *c;
	char path[128];

	(void)state;
	write_all(1);
	make_file("2.new");
	make_file("3.new");
	make_file("x.new");
	c = chain_open(dir, CHAIN_LAST);
	n = chain_begin(dir, c, 1);
	assert_non_null(n);
	assert_int_equal(files(), POINTS + 2);
	path_of(path, sizeof(path), "3.new");
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(chain_merge(dir, 3, 1), 0);
	path_of(path, sizeof(path), "5.new");
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(chain_commit(n), 0);
	chain_close(c);
	assert_int_equal(files(), 4);
}

/* A directory that cannot be listed is not an empty one: its first point stays. */
static void test_no_list(void **state)
{
	struct rlimit old, few;
	struct chain *c;
	int fd;

	(void)state;
	write_all(1);
	c = chain_open(dir, CHAIN_LAST);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	fd = open("/dev/null", O_RDONLY);
	close(fd);
	few = (struct rlimit){ (rlim_t)fd, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_null(chain_begin(dir, c, 1));
	assert_non_null(strstr(chain_error(), "Too many open files"));
	assert_null(strstr(chain_error(), "0.new"));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	chain_close(c);
	assert_point(4, 4);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_points),      TEST(test_unchanged),   TEST(test_merge),
		TEST(test_branch),      TEST(test_torn),        TEST(test_damage),
		TEST(test_states),      TEST(test_short_reads), TEST(test_bombs),
		TEST(test_highest),     TEST(test_names),       TEST(test_no_files),
		TEST(test_two_writers), TEST(test_no_list), TEST(test_left_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
