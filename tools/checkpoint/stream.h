/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A saved guest in the stream of Xen's tools, taken apart and put together again. The stream has pages
 * in any order, some several times, in records between others. stream.c
 */
#pragma once

#include "chain.h"

/* Types of libxc's records. */
enum { STREAM_TSC = 8, STREAM_CONTEXT, STREAM_PARAMS };

/*
 * Reads a stream up to its end. Each page goes to its place in the file `pages` (page number times
 * CHAIN_PAGE), the last one wins; the rest goes to *rest, to be freed, as it came. *seen, to be freed,
 * has a bit for each of *nr_seen pages: the guest has it. 0 or -1: chain_error() says why.
 */
int stream_read(int from, int pages, uint8_t **seen, uint64_t *nr_seen, char **rest,
		size_t *nr_rest);

/* Writes the stream with the pages of a point, which has `rest`. 0 or -1. */
int stream_write(int to, struct chain *c, const char *rest, size_t nr_rest);

/*
 * Calls `renew` for each of libxc's records in `rest`, which may change the data, in memory of malloc(), and their
 * length. It returns 0, or -1 to end. 0 or -1.
 */
int stream_renew(char **rest, size_t *nr_rest,
		 int (*renew)(void *arg, uint32_t type, char **data, uint32_t *length), void *arg);
