/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See chain.h. A file is a list of blocks: BEGIN, with the parent; PAGES; STATE; INDEX, the place
 * and the checksum of each page of this file; and END, with the place of the index, at the file's end
 * and not compressed. A reader needs END and INDEX of each file from the point back to the one without a parent, and of
 * the rest only what it reads. Numbers have the order of bytes of this machine, x86.
 */
#include "chain.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>
#include <zstd.h>

#define MAGIC 0x3154504b4347524dull	/* MRGCKPT1 */
#define BATCH 256u			/* pages of a block */
#define LEVEL 1				/* of zstd */
#define MOST_FILES 100000u
#define MOST_STATE (1ull << 30)
#define MOST_INDEX (1ull << 40)
#define MOST_POINT (UINT64_MAX / 2)
#define MOST_GFN (1ull << 52)
#define NO_PARENT UINT64_MAX
#define NAME_MAX_LEN 4096

enum { BEGIN = 1, PAGES, STATE, INDEX, END };

struct block {
	uint64_t magic, point, offset;	/* the last two bind it to its place */
	uint32_t type, unused;
	uint64_t stored, raw;		/* sizes of what follows, compressed and not */
	XXH128_hash_t sum;		/* of this, with sum 0, and of what follows as stored */
};

struct begin {
	uint64_t parent;
};

struct end {
	uint64_t index;
};

/* block: of the pages; 0: a page of zeros, or none. Sorted by gfn. */
enum { STORED, ZERO, GONE };
struct entry {
	uint64_t gfn, block;
	uint32_t slot, kind;
	XXH128_hash_t sum;
};

/* In a reader's own index. */
struct place {
	struct entry e;
	uint32_t file;
};

struct state_place {
	char name[CHAIN_NAME];
	uint64_t block;
};

struct file {
	int fd;
	uint64_t point, size, index;	/* index: where it is */
	char path[NAME_MAX_LEN];
};

struct chain {
	struct file *files;	/* the point's first, then its ancestors */
	unsigned nr_files;
	struct place *places;
	size_t nr_places, last;		/* last: where find() ended */
	/* The block of pages that was read last. */
	uint8_t *pages;
	uint32_t pages_file;
	uint64_t pages_block, pages_size;
};

static _Thread_local char error_text[NAME_MAX_LEN + 256];

const char *chain_error(void)
{
	return error_text;
}

int chain_fail(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(error_text, sizeof(error_text), format, ap);
	va_end(ap);
	return -1;
}

static int fail_at(const struct file *f, uint64_t offset, const char *why)
{
	return chain_fail("%s: offset %" PRIu64 ": %s", f->path, offset, why);
}

/* Whether a block of the type may have that size, before memory is allocated for it. */
static bool size_valid(uint32_t type, uint64_t stored, uint64_t raw)
{
	switch (type) {
	case BEGIN: return raw == sizeof(struct begin) && stored <= ZSTD_COMPRESSBOUND(raw);
	case PAGES: return raw <= BATCH * CHAIN_PAGE && stored <= ZSTD_COMPRESSBOUND(raw);
	case STATE: return raw <= CHAIN_NAME + MOST_STATE && stored <= ZSTD_COMPRESSBOUND(raw);
	case INDEX: return raw <= MOST_INDEX && stored <= ZSTD_COMPRESSBOUND(raw);
	case END: return raw == sizeof(struct end) && stored == raw;
	default: return false;
	}
}

static XXH128_hash_t sum_of(const struct block *b, const void *data)
{
	struct block plain = *b;
	XXH3_state_t s;

	memset(&plain.sum, 0, sizeof(plain.sum));
	XXH3_128bits_reset(&s);
	XXH3_128bits_update(&s, &plain, sizeof(plain));
	XXH3_128bits_update(&s, data, b->stored);
	return XXH3_128bits_digest(&s);
}

/* Reads n bytes: one call of pread() gets 2 GiB at most, and an index may be longer. */
static bool read_all(int fd, void *to, size_t n, uint64_t offset)
{
	for (size_t at = 0; at < n;) {
		ssize_t rc = pread(fd, (char *)to + at, n - at, (off_t)(offset + at));

		if (!rc || (rc < 0 && errno != EINTR))
			return false;
		at += rc < 0 ? 0 : (size_t)rc;
	}
	return true;
}

/*
 * Reads a block. Returns what it has, uncompressed, to be freed; NULL: error. stored_size: of the rest of it
 * in the file, unless NULL.
 */
static void *read_block(const struct file *f, uint64_t offset, uint32_t type, uint64_t *size,
			uint64_t *stored_size)
{
	struct block b;
	void *stored, *raw = NULL;
	size_t n;

	if (offset > f->size || f->size - offset < sizeof(b) ||
	    !read_all(f->fd, &b, sizeof(b), offset)) {
		fail_at(f, offset, "the file is cut off");
		return NULL;
	}
	if (b.magic != MAGIC || b.type != type || b.point != f->point || b.offset != offset) {
		fail_at(f, offset, "no block, or one of another place");
		return NULL;
	}
	if (b.stored > f->size - offset - sizeof(b) || !size_valid(type, b.stored, b.raw)) {
		fail_at(f, offset, "a block longer than the file, or than its kind can be");
		return NULL;
	}
	stored = malloc(b.stored + 1);
	*size = b.raw;
	if (stored_size)
		*stored_size = b.stored;
	if (!stored || !read_all(f->fd, stored, b.stored, offset + sizeof(b))) {
		fail_at(f, offset, stored ? "cannot read" : "no memory");
	} else if (!XXH128_isEqual(sum_of(&b, stored), b.sum)) {
		fail_at(f, offset, "wrong checksum");
	} else if (type == END) {
		return stored;
	} else {
		raw = malloc(b.raw + 1);
		n = raw ? ZSTD_decompress(raw, b.raw, stored, b.stored) : 0;
		if (!raw || ZSTD_isError(n) || n != b.raw) {
			fail_at(f, offset, raw ? "cannot be decompressed" : "no memory");
			free(raw);
			raw = NULL;
		}
	}
	free(stored);
	return raw;
}

static void file_path(char *path, const char *dir, uint64_t point, const char *ending)
{
	snprintf(path, NAME_MAX_LEN, "%s/%" PRIu64 "%s", dir, point, ending);
}

/* Opens a file and reads its index and its parent's number. */
static int open_file(struct file *f, const char *dir, uint64_t point, struct entry **index,
		     size_t *nr, uint64_t *parent)
{
	struct stat st;
	struct begin *b = NULL;
	struct end *e = NULL;
	uint64_t size, end = sizeof(struct block) + sizeof(*e);
	int rc = -1;

	f->point = point;
	file_path(f->path, dir, point, ".ckpt");
	f->fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (f->fd < 0)
		return chain_fail("%s: %s", f->path, strerror(errno));
	if (fstat(f->fd, &st) || !S_ISREG(st.st_mode)) {
		chain_fail("%s: not a file", f->path);
		goto out;
	}
	if (st.st_size < (off_t)end) {
		fail_at(f, 0, "the file is cut off");
		goto out;
	}
	f->size = (uint64_t)st.st_size;
	b = read_block(f, 0, BEGIN, &size, NULL);
	if (!b)
		goto out;
	*parent = b->parent;
	e = read_block(f, f->size - end, END, &size, NULL);
	if (!e)
		goto out;
	f->index = e->index;
	*index = read_block(f, e->index, INDEX, &size, NULL);
	if (!*index)
		goto out;
	*nr = size / sizeof(**index);
	rc = 0;
	if (size % sizeof(**index) || (*parent != NO_PARENT && *parent >= point))
		rc = fail_at(f, e->index, "not an index");
	for (size_t i = 0; !rc && i < *nr; i++)
		if ((*index)[i].gfn >= MOST_GFN || (i && (*index)[i].gfn <= (*index)[i - 1].gfn) ||
		    (*index)[i].slot >= BATCH || (*index)[i].kind > GONE)
			rc = fail_at(f, e->index, "not an index");
	if (rc)
		free(*index);
out:
	free(b);
	free(e);
	if (rc)
		close(f->fd);
	return rc;
}

/* Adds what the older file has and the newer ones have not: both lists are sorted. */
static int merge_index(struct chain *c, const struct entry *index, size_t nr, uint32_t file)
{
	struct place *all = calloc(c->nr_places + nr + 1, sizeof(*all));
	size_t i = 0, j = 0, n = 0;

	if (!all)
		return chain_fail("no memory");
	while (i < c->nr_places || j < nr) {
		if (j == nr || (i < c->nr_places && c->places[i].e.gfn <= index[j].gfn)) {
			j += j < nr && c->places[i].e.gfn == index[j].gfn;
			all[n++] = c->places[i++];
		} else {
			all[n++] = (struct place){ index[j++], file };
		}
	}
	free(c->places);
	c->places = all;
	c->nr_places = n;
	return 0;
}

static struct chain *open_point(const char *dir, uint64_t point)
{
	struct chain *c = calloc(1, sizeof(*c));
	uint64_t next = point, parent = NO_PARENT;
	struct entry *index = NULL;
	struct file *files;
	size_t nr = 0;
	int rc;

	while (c && next != NO_PARENT) {
		files = realloc(c->files, (c->nr_files + 1) * sizeof(*files));
		if (!files || c->nr_files == MOST_FILES) {
			chain_fail("%s: more than %u points in a row, or no memory", dir,
				   MOST_FILES);
			goto bad;
		}
		c->files = files;
		if (open_file(&files[c->nr_files], dir, next, &index, &nr, &parent))
			goto bad;
		rc = merge_index(c, index, nr, c->nr_files++);
		free(index);
		if (rc)
			goto bad;
		next = parent;
	}
	return c;
bad:
	chain_close(c);
	return NULL;
}

/* Sets *point to the highest point below `below`. 1; 0: there is none; -1: error. */
static int last_point(const char *dir, uint64_t below, uint64_t *point)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	int found = 0;

	if (!d)
		return chain_fail("%s: %s", dir, strerror(errno));
	chain_fail("%s: there is no checkpoint", dir);
	for (errno = 0; (e = readdir(d)); errno = 0) {
		uint64_t n = strtoull(e->d_name, NULL, 10);
		char name[32];

		/* Only names that a save makes: not 01.ckpt or -1.ckpt. */
		snprintf(name, sizeof(name), "%" PRIu64 ".ckpt", n);
		if (strcmp(e->d_name, name) || n >= below || n > MOST_POINT ||
		    (found && n <= *point))
			continue;
		found = 1;
		*point = n;
	}
	if (errno)
		found = chain_fail("%s: %s", dir, strerror(errno));
	closedir(d);
	return found;
}

struct chain *chain_open(const char *dir, uint64_t point)
{
	return point == CHAIN_LAST ? chain_open_below(dir, point) : open_point(dir, point);
}

struct chain *chain_open_below(const char *dir, uint64_t below)
{
	char why[sizeof(error_text)] = "";
	struct chain *c = NULL;

	/* A point that is broken does not hide the one before. */
	while (!c && last_point(dir, below, &below) > 0) {
		c = open_point(dir, below);
		if (!c && !*why)
			memcpy(why, error_text, sizeof(why));
	}
	if (!c && *why)
		memcpy(error_text, why, sizeof(why));
	return c;
}

void chain_close(struct chain *c)
{
	for (unsigned i = 0; c && i < c->nr_files; i++)
		close(c->files[i].fd);
	if (c) {
		free(c->files);
		free(c->places);
		free(c->pages);
	}
	free(c);
}

uint64_t chain_point(const struct chain *c)
{
	return c->files[0].point;
}

/* Returns the first place whose gfn is not lower: mostly that of the last call, or the next one. */
static const struct place *find(struct chain *c, uint64_t gfn)
{
	size_t low = 0, high = c->nr_places, end = c->last + 2 < high ? c->last + 2 : high;

	for (size_t i = c->last; i < end; i++)
		if (c->places[i].e.gfn >= gfn && (!i || c->places[i - 1].e.gfn < gfn))
			return &c->places[c->last = i];
	while (low < high) {
		size_t mid = (low + high) / 2;

		if (c->places[mid].e.gfn < gfn)
			low = mid + 1;
		else
			high = mid;
	}
	c->last = low;
	return low < c->nr_places ? &c->places[low] : NULL;
}

bool chain_next(struct chain *c, uint64_t *gfn)
{
	const struct place *p = find(c, *gfn);

	while (p && p->e.kind == GONE)
		p = ++p < c->places + c->nr_places ? p : NULL;
	if (p)
		*gfn = p->e.gfn;
	return p;
}

int chain_page(struct chain *c, uint64_t gfn, void *page)
{
	const struct place *p = find(c, gfn);
	const struct file *f;
	const uint8_t *at;

	if (!p || p->e.gfn != gfn || p->e.kind == GONE)
		return 0;
	memset(page, 0, CHAIN_PAGE);
	if (p->e.kind == ZERO)
		return 1;
	f = &c->files[p->file];
	if (!c->pages || c->pages_file != p->file || c->pages_block != p->e.block) {
		free(c->pages);
		c->pages = read_block(f, p->e.block, PAGES, &c->pages_size, NULL);
		c->pages_file = p->file;
		c->pages_block = p->e.block;
		if (!c->pages)
			return -1;
	}
	if ((p->e.slot + 1) * (uint64_t)CHAIN_PAGE > c->pages_size)
		return fail_at(f, p->e.block, "a page beyond its block");
	at = c->pages + (size_t)p->e.slot * CHAIN_PAGE;
	if (!XXH128_isEqual(XXH3_128bits(at, CHAIN_PAGE), p->e.sum))
		return fail_at(f, p->e.block, "another page");
	memcpy(page, at, CHAIN_PAGE);
	return 1;
}

/*
 * Reads the state at offset *at of the point's own file, and sets *at to the next one; 0: the first. Each
 * block on the way is read whole, so that damage to one is not taken for another, or for none. 1; 0: there
 * is no more; -1: error.
 */
static int next_state(struct chain *c, uint64_t *at, char **data, size_t *size)
{
	const struct file *f = &c->files[0];
	uint64_t n, stored;

	if (!*at) {
		/* The states come after the last block of pages, which the index has. */
		for (size_t i = 0; i < c->nr_places; i++) {
			const struct place *p = &c->places[i];

			if (!p->file && p->e.kind == STORED && p->e.block > *at)
				*at = p->e.block;
		}
		*data = read_block(f, *at, *at ? PAGES : BEGIN, &n, &stored);
		if (!*data)
			return -1;
		free(*data);
		*at += sizeof(struct block) + stored;
	}
	*data = NULL;
	if (*at == f->index)
		return 0;
	*data = read_block(f, *at, STATE, &n, &stored);
	if (!*data)
		return -1;
	if (n < CHAIN_NAME || (*data)[CHAIN_NAME - 1]) {
		free(*data);
		return fail_at(f, *at, "a state without a name");
	}
	*at += sizeof(struct block) + stored;
	*size = n - CHAIN_NAME;
	return 1;
}

int chain_state(struct chain *c, const char *name, void **data, size_t *size)
{
	uint64_t at = 0;
	char *found;
	int rc;

	while ((rc = next_state(c, &at, &found, size)) > 0 && strcmp(found, name))
		free(found);
	if (rc > 0)
		memmove(found, found + CHAIN_NAME, *size);
	else if (!rc)
		fail_at(&c->files[0], at, "no such state");
	*data = rc > 0 ? found : NULL;
	return rc;
}

/* Writing. A batch is filled, compressed by a thread, and written in its order. */

enum { FREE, FULL, BUSY, DONE };

struct batch {
	int state;
	unsigned pages;
	size_t first;		/* of the entries that are in it */
	size_t stored;
	uint8_t raw[BATCH * CHAIN_PAGE];
	uint8_t *out;
};

struct chain_new {
	int fd;
	uint64_t point, offset;
	char dir[NAME_MAX_LEN], path[NAME_MAX_LEN], end[NAME_MAX_LEN];
	struct chain *parent;
	struct entry *entries;
	size_t nr, room;
	uint64_t all, stored;
	bool failed, has_state;
	/* The ring of batches; `filling` is the current one, `oldest` the next to be written. */
	struct batch *ring;
	unsigned size, filling, oldest, next;
	pthread_t *threads;
	unsigned nr_threads;
	pthread_mutex_t lock;
	pthread_cond_t work, done;
	bool stop;
};

static int write_all(struct chain_new *n, const void *data, size_t size)
{
	for (size_t at = 0; at < size;) {
		ssize_t rc = write(n->fd, (const char *)data + at, size - at);

		if (rc < 0 && errno != EINTR)
			return chain_fail("%s: %s", n->path, strerror(errno));
		at += rc < 0 ? 0 : (size_t)rc;
	}
	n->offset += size;
	return 0;
}

static int write_block(struct chain_new *n, uint32_t type, const void *stored, size_t size,
		       size_t raw)
{
	struct block b = { MAGIC, n->point, n->offset, type, 0, size, raw, { 0, 0 } };

	b.sum = sum_of(&b, stored);
	return write_all(n, &b, sizeof(b)) || write_all(n, stored, size) ? -1 : 0;
}

static int write_data(struct chain_new *n, uint32_t type, const void *data, size_t size)
{
	size_t most = ZSTD_compressBound(size), got;
	void *to = malloc(most);
	int rc;

	got = to ? ZSTD_compress(to, most, data, size, LEVEL) : 0;
	rc = !to || ZSTD_isError(got) ? chain_fail("%s: cannot compress", n->path) :
					write_block(n, type, to, got, size);
	free(to);
	return rc;
}

static void *compress(void *arg)
{
	struct chain_new *n = arg;
	ZSTD_CCtx *z = ZSTD_createCCtx();

	pthread_mutex_lock(&n->lock);
	for (;;) {
		struct batch *b = &n->ring[n->next % n->size];
		size_t got;

		if (b->state != FULL) {
			if (n->stop)
				break;
			pthread_cond_wait(&n->work, &n->lock);
			continue;
		}
		n->next++;
		b->state = BUSY;
		pthread_mutex_unlock(&n->lock);
		got = z ? ZSTD_compressCCtx(z, b->out, ZSTD_compressBound(sizeof(b->raw)), b->raw,
					    (size_t)b->pages * CHAIN_PAGE, LEVEL) :
			  0;
		pthread_mutex_lock(&n->lock);
		b->stored = ZSTD_isError(got) ? 0 : got;
		b->state = DONE;
		pthread_cond_broadcast(&n->done);
	}
	pthread_mutex_unlock(&n->lock);
	ZSTD_freeCCtx(z);
	return NULL;
}

/* Writes the oldest batch, once it is compressed. */
static int write_oldest(struct chain_new *n)
{
	struct batch *b = &n->ring[n->oldest % n->size];
	uint64_t at = n->offset;

	pthread_mutex_lock(&n->lock);
	while (b->state != DONE)
		pthread_cond_wait(&n->done, &n->lock);
	pthread_mutex_unlock(&n->lock);
	for (size_t i = b->first, slot = 0; slot < b->pages; i++) {
		if (n->entries[i].kind == STORED) {
			n->entries[i].block = at;
			slot++;
		}
	}
	if (!b->stored)
		return chain_fail("%s: cannot compress", n->path);
	if (write_block(n, PAGES, b->out, b->stored, (size_t)b->pages * CHAIN_PAGE))
		return -1;
	b->pages = 0;
	b->state = FREE;
	n->oldest++;
	return 0;
}

/* Hands the batch that is being filled to the threads. */
static int hand_over(struct chain_new *n)
{
	pthread_mutex_lock(&n->lock);
	n->ring[n->filling % n->size].state = FULL;
	pthread_cond_signal(&n->work);
	pthread_mutex_unlock(&n->lock);
	n->filling++;
	return n->filling - n->oldest == n->size ? write_oldest(n) : 0;
}

static void free_new(struct chain_new *n)
{
	pthread_mutex_lock(&n->lock);
	n->stop = true;
	pthread_cond_broadcast(&n->work);
	pthread_mutex_unlock(&n->lock);
	for (unsigned i = 0; i < n->nr_threads; i++)
		pthread_join(n->threads[i], NULL);
	for (unsigned i = 0; n->ring && i < n->size; i++)
		free(n->ring[i].out);
	free(n->ring);
	free(n->threads);
	free(n->entries);
	if (n->fd >= 0)
		close(n->fd);
	free(n);
}

void chain_abort(struct chain_new *n)
{
	unlink(n->path);
	free_new(n);
}

/* Removes a file whose writer died. 0, or -1: it stays. */
static int remove_dead(const char *path)
{
	struct stat st, named;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), rc = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : chain_fail("%s: %s", path, strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		rc = chain_fail("%s: not a file", path);
	else if (flock(fd, LOCK_EX | LOCK_NB))
		rc = chain_fail("%s: another process writes this checkpoint", path);
	else if (!lstat(path, &named) && named.st_ino == st.st_ino && unlink(path))
		rc = chain_fail("%s: %s", path, strerror(errno));
	close(fd);
	return rc;
}

/* Removes what saves and merges that were killed have left: as much as a guest's memory each. */
static void remove_all_dead(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	char path[NAME_MAX_LEN], name[32];

	while (d && (e = readdir(d))) {
		uint64_t n = strtoull(e->d_name, NULL, 10);

		snprintf(name, sizeof(name), "%" PRIu64 ".new", n);
		file_path(path, dir, n, ".new");
		if (!strcmp(e->d_name, name))
			remove_dead(path);
	}
	if (d)
		closedir(d);
}

/* Makes a new file and locks it. Nobody's name is written through. -1: error. */
static int new_file(const char *path)
{
	struct stat st;
	int fd;

	for (;;) {
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 && errno != EEXIST)
			return chain_fail("%s: %s", path, strerror(errno));
		if (fd < 0 && remove_dead(path))
			return -1;
		if (fd < 0)
			continue;
		/* Between both calls, another process may have taken it for a dead one's. */
		if (!flock(fd, LOCK_EX | LOCK_NB) && !fstat(fd, &st) && st.st_nlink)
			return fd;
		close(fd);
	}
}

static struct chain_new *begin_point(const char *dir, uint64_t point, struct chain *parent,
				     unsigned threads)
{
	struct chain_new *n = calloc(1, sizeof(*n));
	struct begin b = { parent ? chain_point(parent) : NO_PARENT };

	if (!n) {
		chain_fail("no memory");
		return NULL;
	}
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->work, NULL);
	pthread_cond_init(&n->done, NULL);
	n->point = point;
	n->parent = parent;
	n->size = 2 * threads;
	snprintf(n->dir, sizeof(n->dir), "%s", dir);
	file_path(n->end, dir, point, ".ckpt");
	file_path(n->path, dir, point, ".new");
	remove_all_dead(dir);
	n->fd = new_file(n->path);
	if (n->fd < 0) {
		free_new(n);
		return NULL;
	}
	n->ring = calloc(n->size, sizeof(*n->ring));
	n->threads = calloc(threads, sizeof(*n->threads));
	for (unsigned i = 0; n->ring && i < n->size; i++) {
		n->ring[i].out = malloc(ZSTD_compressBound(sizeof(n->ring[i].raw)));
		if (!n->ring[i].out)
			goto no_memory;
	}
	while (n->ring && n->threads && n->nr_threads < threads &&
	       !pthread_create(&n->threads[n->nr_threads], NULL, compress, n))
		n->nr_threads++;
	if (!n->nr_threads)
		goto no_memory;
	if (!write_data(n, BEGIN, &b, sizeof(b)))
		return n;
	chain_abort(n);
	return NULL;
no_memory:
	chain_fail("no memory");
	chain_abort(n);
	return NULL;
}

struct chain_new *chain_begin(const char *dir, struct chain *parent, unsigned threads)
{
	struct chain_new *n;
	uint64_t last;
	int rc = last_point(dir, CHAIN_LAST, &last);

	if (rc < 0)
		return NULL;
	if (rc && last == MOST_POINT) {
		chain_fail("%s: there is no number after %" PRIu64, dir, last);
		return NULL;
	}
	/* After all that are there, broken ones, too. */
	n = begin_point(dir, rc ? last + 1 : 0, parent, threads);
	/* Another process may have committed the point since: with the lock, nobody else does. */
	if (n && !access(n->end, F_OK)) {
		chain_fail("%s: another process has written this checkpoint", n->end);
		chain_abort(n);
		return NULL;
	}
	return n;
}

uint64_t chain_new_point(const struct chain_new *n) { return n->point; }

static int add_entry(struct chain_new *n, uint64_t gfn, uint32_t kind, XXH128_hash_t sum)
{
	struct entry *more;

	if (gfn >= MOST_GFN || (n->nr && gfn <= n->entries[n->nr - 1].gfn))
		return chain_fail("%s: page %#" PRIx64 " is too high, or not above the last",
				  n->path, gfn);
	if (n->nr == n->room) {
		more = realloc(n->entries, (n->room * 2 + 1024) * sizeof(*more));
		if (!more)
			return chain_fail("no memory");
		n->entries = more;
		n->room = n->room * 2 + 1024;
	}
	n->entries[n->nr++] = (struct entry){ .gfn = gfn, .kind = kind, .sum = sum };
	return 0;
}

int chain_add(struct chain_new *n, uint64_t gfn, const void *page)
{
	static const uint8_t zeros[CHAIN_PAGE];
	bool zero = !memcmp(page, zeros, CHAIN_PAGE);
	XXH128_hash_t sum = XXH3_128bits(page, CHAIN_PAGE);
	const struct place *p = n->parent ? find(n->parent, gfn) : NULL;
	struct batch *b = &n->ring[n->filling % n->size];

	if (n->has_state) {
		n->failed = true;
		return chain_fail("%s: a page after a state", n->path);
	}
	n->all++;
	if (p && p->e.gfn == gfn && p->e.kind != GONE && XXH128_isEqual(p->e.sum, sum))
		return 0;
	if (add_entry(n, gfn, zero ? ZERO : STORED, sum)) {
		n->failed = true;
		return -1;
	}
	if (zero)
		return 0;
	n->stored++;
	if (!b->pages)
		b->first = n->nr - 1;
	n->entries[n->nr - 1].slot = b->pages;
	memcpy(b->raw + (size_t)b->pages++ * CHAIN_PAGE, page, CHAIN_PAGE);
	if (b->pages == BATCH && hand_over(n)) {
		n->failed = true;
		return -1;
	}
	return 0;
}

int chain_gone(struct chain_new *n, uint64_t gfn)
{
	const struct place *p = n->parent ? find(n->parent, gfn) : NULL;

	if (!p || p->e.gfn != gfn || p->e.kind == GONE)
		return 0;
	return add_entry(n, gfn, GONE, (XXH128_hash_t){ 0, 0 });
}

/* Writes the pages that are left. */
static int flush(struct chain_new *n)
{
	if (n->failed || (n->ring[n->filling % n->size].pages && hand_over(n)))
		return -1;
	while (n->oldest < n->filling)
		if (write_oldest(n))
			return -1;
	return 0;
}

int chain_add_state(struct chain_new *n, const char *name, const void *data, size_t size)
{
	char *all = calloc(1, CHAIN_NAME + size);
	int rc = -1;

	if (!all || strlen(name) >= CHAIN_NAME || size > MOST_STATE) {
		chain_fail("%s: a state's name or size, or no memory", name);
	} else if (!flush(n)) {
		memcpy(all, name, strlen(name));
		memcpy(all + CHAIN_NAME, data, size);
		rc = write_data(n, STATE, all, CHAIN_NAME + size);
	}
	free(all);
	n->failed |= rc != 0;
	n->has_state = true;
	return rc;
}

static int sync_directory(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	rc = fd < 0 || fsync(fd) ? chain_fail("%s: %s", dir, strerror(errno)) : 0;
	if (fd >= 0)
		close(fd);
	return rc;
}

int chain_commit(struct chain_new *n)
{
	struct end e;
	int rc;

	if (n->failed || flush(n)) {
		chain_abort(n);
		return -1;
	}
	e.index = n->offset;
	if (write_data(n, INDEX, n->entries, n->nr * sizeof(*n->entries)) ||
	    write_block(n, END, &e, sizeof(e), sizeof(e))) {
		chain_abort(n);
		return -1;
	}
	if (fsync(n->fd) || rename(n->path, n->end)) {
		chain_fail("%s: %s", n->path, strerror(errno));
		chain_abort(n);
		return -1;
	}
	rc = sync_directory(n->dir);
	free_new(n);
	return rc;
}

void chain_counts(const struct chain_new *n, uint64_t *all, uint64_t *stored)
{
	*all = n->all;
	*stored = n->stored;
}

/* Copies the point's pages and its states into a file of its own. */
static int copy_point(struct chain *c, struct chain_new *n)
{
	uint8_t page[CHAIN_PAGE];
	uint64_t at = 0;
	size_t size;
	char *data;
	int rc = 0;

	for (uint64_t gfn = 0; !rc && chain_next(c, &gfn); gfn++)
		rc = chain_page(c, gfn, page) == 1 ? chain_add(n, gfn, page) : -1;
	while (!rc && (rc = next_state(c, &at, &data, &size)) > 0) {
		rc = chain_add_state(n, data, data + CHAIN_NAME, size);
		free(data);
	}
	return rc;
}

/* Returns whether a later point has a parent before `point`: somebody went back and began anew. */
static bool is_branch(const char *dir, uint64_t point)
{
	uint64_t later = CHAIN_LAST, parent, size;
	struct file f = { .fd = -1 };
	struct begin *b;
	int rc;

	while ((rc = last_point(dir, later, &later)) > 0 && later > point) {
		file_path(f.path, dir, later, ".ckpt");
		f.point = later;
		f.size = UINT64_MAX;
		f.fd = open(f.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		b = f.fd < 0 ? NULL : read_block(&f, 0, BEGIN, &size, NULL);
		parent = b ? b->parent : 0;
		free(b);
		close(f.fd);
		if (parent < point)
			return true;
	}
	return rc < 0;
}

int chain_merge(const char *dir, uint64_t point, unsigned threads)
{
	struct chain *c = chain_open(dir, point);
	struct chain_new *n;
	char path[NAME_MAX_LEN];
	int rc = 0;

	if (!c)
		return -1;
	point = chain_point(c);
	if (c->nr_files > 1) {
		n = begin_point(dir, point, NULL, threads);
		if (n && copy_point(c, n)) {
			chain_abort(n);
			n = NULL;
		}
		rc = n ? chain_commit(n) : -1;
	}
	for (uint64_t below = point;
	     !rc && !is_branch(dir, point) && last_point(dir, below, &below) > 0;) {
		file_path(path, dir, below, ".ckpt");
		if (unlink(path))
			rc = chain_fail("%s: %s", path, strerror(errno));
	}
	chain_close(c);
	return rc;
}
