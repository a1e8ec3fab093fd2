/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A chain of checkpoints of one guest's memory and state: a directory with a file for each point. A
 * file has the pages that differ from the point before, its parent; one without a parent has all.
 * Files appear whole or not at all, and nothing changes a file but a merge, which replaces it by one
 * with the same pages and no parent. Every block has a checksum of itself and of its place, so that
 * what was read is what was written, or an error that names the file and the offset. chain.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHAIN_PAGE 4096u
#define CHAIN_LAST UINT64_MAX
#define CHAIN_NAME 32u		/* room for a state's name */

struct chain;		/* a point that is open for reading */
struct chain_new;	/* a point that is being written */

/*
 * Opens a point of the chain in the directory, CHAIN_LAST: the last one that is whole. NULL: chain_error()
 * says why. The files may be merged meanwhile.
 */
struct chain *chain_open(const char *dir, uint64_t point);
/* Opens the last point below that number that is whole. */
struct chain *chain_open_below(const char *dir, uint64_t below);
void chain_close(struct chain *c);
uint64_t chain_point(const struct chain *c);

/* Sets *gfn to the first page from *gfn on. Returns false if there is none. */
bool chain_next(struct chain *c, uint64_t *gfn);
/* Reads a page. 1; 0: the point has no such page; -1: error. */
int chain_page(struct chain *c, uint64_t gfn, void *page);
/* Reads a state. 1: its contents are *data, to be freed; 0: the point has none of that name; -1: error. */
int chain_state(struct chain *c, const char *name, void **data, size_t *size);

/*
 * Begins the point after `parent`, which stays open until the end; NULL: the first one. threads: how
 * many compress, at least 1.
 */
struct chain_new *chain_begin(const char *dir, struct chain *parent, unsigned threads);
uint64_t chain_new_point(const struct chain_new *n);
/* Adds a page. One that is zero, or the same in the parent, costs nothing. 0 or -1. */
int chain_add(struct chain_new *n, uint64_t gfn, const void *page);
/* Says that the point has no such page, though its parent may. */
int chain_gone(struct chain_new *n, uint64_t gfn);
/* Adds a state. No page can come after it. */
int chain_add_state(struct chain_new *n, const char *name, const void *data, size_t size);
/* Makes the point durable. 0, or -1: there is no new point. In either case n is freed. */
int chain_commit(struct chain_new *n);
void chain_abort(struct chain_new *n);
/* Pages given to chain_add(): all; stored, since they are new and not zero. */
void chain_counts(const struct chain_new *n, uint64_t *all, uint64_t *stored);

/*
 * Replaces a point by one with the same pages and without a parent, and removes the points before, unless
 * a later point needs one of them. 0 or -1: the chain's points can be opened as before. Others may read
 * and write the chain meanwhile, but not merge.
 */
int chain_merge(const char *dir, uint64_t point, unsigned threads);

/* What the last failed call of this thread says; sets it, and returns -1. */
const char *chain_error(void);
int chain_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
