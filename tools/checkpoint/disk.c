/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See disk.h. The kernel's Documentation/admin-guide/device-mapper/thin-provisioning.rst has the messages and the
 * target's words. A file `spare.N` in the chain's directory, locked by the process that writes it, lists
 * snapshots with their points before they are made: what is in it and has no point when nobody holds the lock
 * is nobody's.
 */
#include "disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libdevmapper.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MAX_ID 0xffffffu	/* a thin device's number has 24 bits */
#define ID_TRIES 100

/* The list of this process. */
static int spare = -1;
static char spare_path[4096];

static void quiet(int level, const char *file, int line, int error, const char *format, ...)
{
	(void)level, (void)file, (void)line, (void)error, (void)format;
}

static struct dm_task *task(int type, const char *name)
{
	struct dm_task *t;

	dm_log_with_errno_init(quiet);
	t = dm_task_create(type);
	if (t && name && !dm_task_set_name(t, name)) {
		dm_task_destroy(t);
		t = NULL;
	}
	return t;
}

/* Runs a task and frees it. 0, or the error's number. */
static int run(struct dm_task *t)
{
	int rc = !t ? ENOMEM : dm_task_run(t) ? 0 : dm_task_get_errno(t);

	if (t)
		dm_task_destroy(t);
	return rc;
}

static int simple(int type, const char *name)
{
	struct dm_task *t = task(type, name);
	uint32_t cookie = 0;
	bool waits = t && type == DM_DEVICE_RESUME && dm_task_set_cookie(t, &cookie, 0);
	int rc = run(t);

	if (waits)
		dm_udev_wait(cookie);
	return rc;
}

static int message(const char *pool, const char *text)
{
	struct dm_task *t = task(DM_DEVICE_TARGET_MSG, pool);

	if (t && (!dm_task_set_sector(t, 0) || !dm_task_set_message(t, text))) {
		dm_task_destroy(t);
		t = NULL;
	}
	return run(t);
}

static int delete_id(const char *pool, uint32_t id)
{
	char text[64];

	snprintf(text, sizeof(text), "delete %" PRIu32, id);
	return message(pool, text);
}

/* Sets *open to how often a device is open, and *number to its number. 0 or an error. */
static int info_of(const char *name, int *open, dev_t *number)
{
	struct dm_task *t = task(DM_DEVICE_INFO, name);
	struct dm_info info = { 0 };
	int rc = ENXIO;

	if (t && dm_task_run(t) && dm_task_get_info(t, &info) && info.exists) {
		*open = info.open_count;
		*number = makedev(info.major, info.minor);
		rc = 0;
	}
	if (t)
		dm_task_destroy(t);
	return rc;
}

/* Copies the name of the device with that number. */
static int name_of(dev_t number, char *name, size_t room)
{
	struct dm_task *t = task(DM_DEVICE_INFO, NULL);
	int rc = -1;

	if (t && dm_task_set_major_minor(t, (int)major(number), (int)minor(number), 0) &&
	    dm_task_run(t) && dm_task_get_name(t) && strlen(dm_task_get_name(t)) < room) {
		strcpy(name, dm_task_get_name(t));
		rc = 0;
	}
	if (t)
		dm_task_destroy(t);
	return rc;
}

/* Reads the table of a thin volume, d->name, into d. 0 or -1. */
static int read_table(struct disk *d)
{
	struct dm_task *t = task(DM_DEVICE_TABLE, d->name);
	uint64_t start = 0, sectors = 0;
	char *type = NULL, *words = NULL;
	unsigned a, b;
	int rc = -1;

	if (t && dm_task_run(t)) {
		dm_get_next_target(t, NULL, &start, &sectors, &type, &words);
		if (type && !strcmp(type, "thin") && !start && words &&
		    sscanf(words, "%u:%u %" SCNu32, &a, &b, &d->id) == 3 &&
		    !name_of(makedev(a, b), d->pool, sizeof(d->pool))) {
			d->sectors = sectors;
			rc = 0;
		}
	}
	if (t)
		dm_task_destroy(t);
	return rc;
}

int disks_add(struct disks *d, const char *vdev, const char *path)
{
	struct disk *new = &d->of[d->nr];
	struct stat s;

	if (d->nr == DISKS_MAX)
		return chain_fail("more than %u disks", DISKS_MAX);
	if (stat(path, &s))
		return chain_fail("disk %s: %s: %s", vdev, path, strerror(errno));
	memset(new, 0, sizeof(*new));
	snprintf(new->vdev, sizeof(new->vdev), "%s", vdev);
	if (!S_ISBLK(s.st_mode) || name_of(s.st_rdev, new->name, sizeof(new->name)) ||
	    read_table(new))
		return chain_fail("disk %s: %s is not a thin volume of the device mapper", vdev,
				  path);
	d->nr++;
	return 0;
}

/* Opens and locks this process's list, unless it is open. 0 or -1. */
static int open_spare(const char *dir)
{
	if (spare >= 0)
		return 0;
	snprintf(spare_path, sizeof(spare_path), "%s/spare.XXXXXX", dir);
	spare = mkstemp(spare_path);
	if (spare < 0 || flock(spare, LOCK_EX | LOCK_NB))
		return chain_fail("%s: %s", spare_path, strerror(errno));
	return 0;
}

static int note(uint64_t point, const struct disk *d)
{
	if (dprintf(spare, "%" PRIu64 " %" PRIu32 " %s\n", point, d->id, d->pool) < 0 ||
	    fsync(spare))
		return chain_fail("%s: %s", spare_path, strerror(errno));
	return 0;
}

/* Copies the thin device `from` of d's pool under a new number, which is noted first for a point. 0 or -1. */
static int copy(struct disk *d, uint32_t from, uint64_t point)
{
	char text[64];
	int rc = EEXIST;

	for (int i = 0; rc == EEXIST && i < ID_TRIES; i++) {
		if (getrandom(&d->id, sizeof(d->id), 0) != sizeof(d->id))
			return chain_fail("getrandom: %s", strerror(errno));
		d->id &= MAX_ID;
		if (point != CHAIN_LAST && note(point, d))
			return -1;
		snprintf(text, sizeof(text), "create_snap %" PRIu32 " %" PRIu32, d->id, from);
		rc = message(d->pool, text);
	}
	return rc ? chain_fail("disk %s: no snapshot in the pool %s: %s", d->vdev, d->pool,
			       strerror(rc)) :
		    0;
}

int disks_snapshot(struct disks *d, const char *dir, uint64_t point)
{
	int rc = d->nr ? open_spare(dir) : 0;

	if (rc)
		return rc;
	/* All stand still together; what they were asked to write is written. */
	for (unsigned i = 0; i < d->nr; i++)
		rc = simple(DM_DEVICE_SUSPEND, d->of[i].name) ?
			     chain_fail("disk %s: %s does not suspend", d->of[i].vdev,
					d->of[i].name) :
			     rc;
	for (unsigned i = 0; !rc && i < d->nr; i++)
		rc = copy(&d->of[i], d->of[i].id, point);
	for (unsigned i = 0; i < d->nr; i++)
		if (simple(DM_DEVICE_RESUME, d->of[i].name))
			rc = chain_fail("disk %s: %s does not resume: dmsetup resume %s",
					d->of[i].vdev, d->of[i].name, d->of[i].name);
	return rc;
}

char *disks_text(const struct disks *d)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (unsigned i = 0; i < d->nr; i++)
		fprintf(f, "%s %s %s %" PRIu32 " %" PRIu64 "\n", d->of[i].vdev, d->of[i].name,
			d->of[i].pool, d->of[i].id, d->of[i].sectors);
	return fclose(f) ? NULL : text;
}

int disks_of(struct chain *c, struct disks *d)
{
	size_t size;
	void *state;
	int used = 0, rc = chain_state(c, "disks", &state, &size);
	char *text = state, *at = text;

	memset(d, 0, sizeof(*d));
	if (rc <= 0)	/* what cannot be read is not none */
		return rc;
	rc = 0;
	if (!size || text[size - 1])
		rc = -1;
	while (!rc && *at) {
		struct disk *new = &d->of[d->nr];

		if (d->nr == DISKS_MAX ||
		    sscanf(at, "%15s %127s %127s %" SCNu32 " %" SCNu64 "\n%n", new->vdev, new->name,
			   new->pool, &new->id, &new->sectors, &used) != 5)
			rc = -1;
		d->nr += !rc;
		at += used;
	}
	free(text);
	return rc ? chain_fail("point %" PRIu64 ": bad list of disks", chain_point(c)) : 0;
}

/* Makes the volume d->name the thin device d->id; it may be there. 0 or an error. */
static int switch_to(const struct disk *d)
{
	struct dm_task *t;
	dev_t pool, old;
	char words[64];
	int open, rc = info_of(d->pool, &open, &pool);

	if (rc)
		return rc;
	snprintf(words, sizeof(words), "%u:%u %" PRIu32, major(pool), minor(pool), d->id);
	if (info_of(d->name, &open, &old)) {
		rc = simple(DM_DEVICE_CREATE, d->name);
		if (rc)
			return rc;
	}
	t = task(DM_DEVICE_RELOAD, d->name);
	if (t && !dm_task_add_target(t, 0, d->sectors, "thin", words)) {
		dm_task_destroy(t);
		t = NULL;
	}
	rc = run(t);
	return rc ? rc : simple(DM_DEVICE_RESUME, d->name);
}

int disks_restore(const struct disks *point, struct disks *before)
{
	struct disks new = *point;
	dev_t number;
	int rc = 0, open = 0;

	*before = *point;
	for (unsigned i = 0; i < point->nr; i++) {
		struct disk *old = &before->of[i];

		if (info_of(old->name, &open, &number))
			old->sectors = 0;	/* it is not there, and was nothing */
		else if (open)
			return chain_fail("disk %s: %s is in use", old->vdev, old->name);
		else if (read_table(old) || strcmp(old->pool, point->of[i].pool))
			return chain_fail("disk %s: %s is not a thin volume of the pool %s",
					  old->vdev, old->name, point->of[i].pool);
	}
	before->nr = 0;
	for (unsigned i = 0; !rc && i < new.nr; i++) {
		rc = copy(&new.of[i], point->of[i].id, CHAIN_LAST);
		before->nr += !rc;
		if (!rc && (rc = switch_to(&new.of[i]))) {
			rc = chain_fail("disk %s: %s: %s", new.of[i].vdev, new.of[i].name,
					strerror(rc));
			delete_id(new.of[i].pool, new.of[i].id);
		}
	}
	if (rc)
		disks_keep(before, true);
	return rc;
}

void disks_keep(const struct disks *before, bool again)
{
	for (unsigned i = 0; i < before->nr; i++) {
		const struct disk *d = &before->of[i];
		struct disk now = *d;

		if (!again) {
			if (d->sectors)
				delete_id(d->pool, d->id);
			continue;
		}
		if (read_table(&now))
			now.id = d->id;
		if (!d->sectors || switch_to(d))
			simple(DM_DEVICE_REMOVE, d->name);
		if (now.id != d->id)
			delete_id(d->pool, now.id);
	}
}

int disks_forget(const char *dir, uint64_t point, const struct disks *d)
{
	int rc = d->nr ? open_spare(dir) : 0;

	for (unsigned i = 0; !rc && i < d->nr; i++)
		rc = note(point, &d->of[i]);
	return rc;
}

/* Removes the snapshots in a list whose points are not there, and then the list. */
static void clean(const char *dir, const char *name)
{
	char path[4096], point_path[4096], pool[128];
	uint64_t point;
	uint32_t id;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	if (!f)
		return;
	if (!flock(fileno(f), LOCK_EX | LOCK_NB)) {
		while (fscanf(f, "%" SCNu64 " %" SCNu32 " %127s\n", &point, &id, pool) == 3) {
			snprintf(point_path, sizeof(point_path), "%s/%" PRIu64 ".ckpt", dir, point);
			if (access(point_path, F_OK) && errno == ENOENT)
				delete_id(pool, id);
		}
		unlink(path);
	}
	fclose(f);
}

void disks_clean(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	if (spare >= 0)
		close(spare);
	spare = -1;
	while (d && (e = readdir(d)))
		if (!strncmp(e->d_name, "spare.", 6))
			clean(dir, e->d_name);
	if (d)
		closedir(d);
}
