/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest whose log of dirty pages goes on from a checkpoint to the next, which reads only these pages. The
 * log belongs to one chain: both note the same random name. Whoever else uses the log, such as a migration,
 * ends it, which this notices. live.c
 */
#pragma once

#include "chain.h"

#include <libxl.h>

#define LIVE_NAME 33u

/* What was read of a guest, one bit for a page in the maps: pages of the file are `read`, and the guest `has` them. */
struct memory {
	int pages;	/* the file: page number times CHAIN_PAGE */
	uint8_t *has, *read;	/* read: NULL, all that it has */
	uint64_t nr;
	char *rest;	/* of the stream */
	size_t nr_rest;
};

struct live;

/* Opens what it takes. NULL: an error was set, chain_error(). */
struct live *live_open(uint32_t domid);
void live_close(struct live *l);

/* Whether the guest's log has gone on since the point, with `name` in its state "log". */
bool live_goes_on(struct live *l, struct chain *point);

/*
 * Reads the pages that the running guest has written since; then no other chain may rely on the log.
 * 0 or -1.
 */
int live_read(struct live *l, struct memory *m);
/* The same of a guest that has suspended, and its state, in place of that in the point's stream. 0 or -1. */
int live_read_last(struct live *l, struct chain *point, struct memory *m);

/* Begins a log, of a guest that has suspended. 0 or -1. */
int live_begin(struct live *l);
/* Ends it, if there is one: large pages are mapped as such again. 0 or -1. */
int live_end(struct live *l);
/* Makes a name for a point. 0 or -1. */
int live_name(char name[LIVE_NAME]);
/* Notes that the log goes on from the point of that name; NULL: from none. 0 or -1. */
int live_note(struct live *l, const char *name);
