/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The disks of a guest at a point of its chain: thin volumes of the device mapper, whose snapshots share all
 * blocks that neither has written since. disk.c
 */
#pragma once

#include "chain.h"

#define DISKS_MAX 32u

struct disk {
	char vdev[16], name[128], pool[128]; /* the guest's name, and those of the device mapper */
	uint32_t id;				/* of the thin device in its pool */
	uint64_t sectors;
};

struct disks {
	unsigned nr;
	struct disk of[DISKS_MAX];
};

/* Adds the volume at `path`, the guest's disk vdev. 0 or -1: chain_error() says why. */
int disks_add(struct disks *d, const char *vdev, const char *path);

/*
 * Makes a snapshot of each disk for a point that is being written. Called while the guest does not run. The
 * snapshots are the chain's when the point is committed; until then, and if it never is, they are what
 * disks_clean() removes. Sets the ids to the snapshots'. 0 or -1.
 */
int disks_snapshot(struct disks *d, const char *dir, uint64_t point);

/* As the state "disks" of a point; to be freed. NULL: no memory. */
char *disks_text(const struct disks *d);
/* Reads it. A point without it has no disks. 0 or -1. */
int disks_of(struct chain *c, struct disks *d);

/*
 * Makes each volume a new copy of the point's, for a guest that starts from there. The volumes must not be in
 * use; *before gets what they were. 0 or -1: all is as before.
 */
int disks_restore(const struct disks *point, struct disks *before);
/* Ends that: removes what the volumes were, or makes them that again. */
void disks_keep(const struct disks *before, bool again);

/* Notes that the snapshots of that point go when its file has gone. 0 or -1. */
int disks_forget(const char *dir, uint64_t point, const struct disks *d);
/* Removes snapshots of points that are not in the chain: of merged ones, and of saves that were killed. */
void disks_clean(const char *dir);
