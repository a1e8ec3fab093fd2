/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks of checkpoints, on a device mapper of this file's own: each snapshot is in a point of the chain, or goes
 * away, whenever the process dies; a restart that fails changes nothing.
 * unit-sources: tools/checkpoint/disk.c tools/checkpoint/chain.c
 */
#include "../../tools/checkpoint/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <libdevmapper.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define POOL_MINOR 1u
#define DEVICES 4
#define IDS 64

static char dir[64];

/* Devices of the device mapper: their names are v0, v1, ... */
static struct device {
	bool exists, suspended;
	int open;
	uint32_t id, loaded;
} devices[DEVICES];
static uint32_t ids[IDS];	/* of the pool; 0: none */
static unsigned steps, fail_at;	/* operation number fail_at fails; 0: none */
static bool dies;		/* ... as if the process were killed */
static jmp_buf killed;

struct dm_task {
	int type, errno_;
	char name[64], text[64], words[64];
	struct device *d;
};

static uint32_t *find_id(uint32_t id)
{
	for (unsigned i = 0; i < IDS; i++)
		if (ids[i] == id)
			return &ids[i];
	return NULL;
}

static unsigned nr_ids(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < IDS; i++)
		n += ids[i] != 0;
	return n;
}

void dm_log_with_errno_init(dm_log_with_errno_fn fn) { (void)fn; }

struct dm_task *dm_task_create(int type)
{
	struct dm_task *t = calloc(1, sizeof(*t));

	t->type = type;
	return t;
}

int dm_task_set_name(struct dm_task *t, const char *name)
{
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->d = name[0] == 'v' ? &devices[name[1] - '0'] : NULL;
	return 1;
}

void dm_task_destroy(struct dm_task *t)
{
	free(t);
}
int dm_task_get_errno(struct dm_task *t)
{
	return t->errno_;
}
int dm_task_set_sector(struct dm_task *t, uint64_t sector)
{
	return (void)t, !sector;
}
int dm_task_set_cookie(struct dm_task *t, uint32_t *cookie, uint16_t flags)
{
	return (void)t, (void)cookie, (void)flags, 0;
}
int dm_udev_wait(uint32_t cookie)
{
	return (void)cookie, 1;
}
const char *dm_task_get_name(const struct dm_task *t)
{
	return t->name;
}

int dm_task_set_message(struct dm_task *t, const char *message)
{
	snprintf(t->text, sizeof(t->text), "%s", message);
	return 1;
}

int dm_task_add_target(struct dm_task *t, uint64_t start, uint64_t size, const char *type,
		       const char *words)
{
	assert_int_equal(start, 0);
	assert_int_equal(size, 800);
	assert_string_equal(type, "thin");
	snprintf(t->words, sizeof(t->words), "%s", words);
	return 1;
}

int dm_task_set_major_minor(struct dm_task *t, int major, int minor, int fallback)
{
	assert_int_equal(major, 253);
	assert_int_equal(minor, POOL_MINOR);
	(void)fallback;
	strcpy(t->name, "pool");
	return 1;
}

static int message(const char *text)
{
	uint32_t new, from, *slot;

	if (sscanf(text, "create_snap %u %u", &new, &from) == 2) {
		if (!find_id(from))
			return ENODATA;
		for (unsigned i = 0; i < DEVICES; i++)
			assert_true(!devices[i].exists || devices[i].id != from ||
				    devices[i].suspended);
		slot = find_id(0);
		assert_non_null(slot);
		if (find_id(new))
			return EEXIST;
		*slot = new;
		return 0;
	}
	assert_int_equal(sscanf(text, "delete %u", &new), 1);
	for (unsigned i = 0; i < DEVICES; i++)
		if (devices[i].exists && devices[i].id == new)
			return EBUSY;
	slot = find_id(new);
	if (!slot)
		return ENODATA;
	*slot = 0;
	return 0;
}

static int do_task(struct dm_task *t)
{
	struct device *d = t->d;
	unsigned a, b;

	if (t->type != DM_DEVICE_INFO && t->type != DM_DEVICE_TABLE && ++steps == fail_at) {
		if (dies) {
			free(t);
			longjmp(killed, 1);
		}
		return EIO;
	}
	switch (t->type) {
	case DM_DEVICE_INFO: return 0;
	case DM_DEVICE_TARGET_MSG: return message(t->text);
	case DM_DEVICE_CREATE:
		assert_false(d->exists);
		*d = (struct device){ .exists = true };
		return 0;
	}
	if (!d->exists)
		return ENXIO;
	switch (t->type) {
	case DM_DEVICE_SUSPEND: d->suspended = true; break;
	case DM_DEVICE_RESUME:
		d->id = d->loaded ? d->loaded : d->id;
		d->loaded = 0;
		d->suspended = false;
		break;
	case DM_DEVICE_RELOAD:
		assert_int_equal(sscanf(t->words, "%u:%u %u", &a, &b, &d->loaded), 3);
		assert_true(a == 253 && b == POOL_MINOR && find_id(d->loaded));
		break;
	case DM_DEVICE_REMOVE: d->exists = false; break;
	}
	return 0;
}

int dm_task_run(struct dm_task *t)
{
	t->errno_ = do_task(t);
	return !t->errno_;
}

int dm_task_get_info(struct dm_task *t, struct dm_info *info)
{
	memset(info, 0, sizeof(*info));
	info->exists = !t->d || t->d->exists;
	info->open_count = t->d ? t->d->open : 1;
	info->major = 253;
	info->minor = t->d ? 10 + (uint32_t)(t->d - devices) : POOL_MINOR;
	return 1;
}

void *dm_get_next_target(struct dm_task *t, void *next, uint64_t *start, uint64_t *length,
			 char **type, char **params)
{
	static char thin[] = "thin";

	*start = 0;
	*length = 800;
	*type = t->d->id ? thin : NULL;
	snprintf(t->words, sizeof(t->words), "253:%u %u", POOL_MINOR, t->d->id);
	*params = t->words;
	return next;
}

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/disk-XXXXXX");
	assert_non_null(mkdtemp(dir));
	memset(devices, 0, sizeof(devices));
	memset(ids, 0, sizeof(ids));
	steps = fail_at = 0;
	dies = false;
	for (unsigned i = 0; i < 2; i++) {
		devices[i] = (struct device){ .exists = true, .open = 1, .id = i + 1 };
		ids[i] = i + 1;
	}
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

/* The guest's two disks, as disks_add() finds them. */
static struct disks running(void)
{
	struct disks d = { .nr = 2 };

	for (unsigned i = 0; i < 2; i++) {
		snprintf(d.of[i].vdev, sizeof(d.of[i].vdev), "xvd%c", 'a' + i);
		snprintf(d.of[i].name, sizeof(d.of[i].name), "v%u", i);
		strcpy(d.of[i].pool, "pool");
		d.of[i].id = devices[i].id;
		d.of[i].sectors = 800;
	}
	return d;
}

static unsigned spares(void)
{
	char command[128];
	unsigned n = 0;
	FILE *f;

	snprintf(command, sizeof(command), "ls %s | grep -c spare", dir);
	f = popen(command, "r");
	assert_int_equal(fscanf(f, "%u", &n), 1);
	pclose(f);
	return n;
}

/* A whole point with these disks, as main.c makes it. Returns its number. */
static uint64_t point(void)
{
	struct chain *parent = chain_open(dir, CHAIN_LAST);
	struct chain_new *n = chain_begin(dir, parent, 1);
	uint64_t number = chain_new_point(n);
	struct disks d = running();
	char *text;

	assert_int_equal(disks_snapshot(&d, dir, number), 0);
	text = disks_text(&d);
	assert_int_equal(chain_add_state(n, "disks", text, strlen(text) + 1), 0);
	free(text);
	assert_int_equal(chain_commit(n), 0);
	chain_close(parent);
	disks_clean(dir);
	return number;
}

static struct disks disks_at(uint64_t number)
{
	struct chain *c = chain_open(dir, number);
	struct disks d;

	assert_non_null(c);
	assert_int_equal(disks_of(c, &d), 0);
	chain_close(c);
	return d;
}

static void test_point(void **state)
{
	struct disks d;

	(void)state;
	assert_int_equal(point(), 0);
	assert_int_equal(nr_ids(), 4);
	assert_int_equal(spares(), 0);
	d = disks_at(0);
	assert_int_equal(d.nr, 2);
	assert_string_equal(d.of[1].vdev, "xvdb");
	assert_string_equal(d.of[1].pool, "pool");
	assert_true(find_id(d.of[0].id) && find_id(d.of[1].id) && d.of[0].id > 2);
	for (unsigned i = 0; i < 2; i++)
		assert_true(!devices[i].suspended && devices[i].id == i + 1);
}

/* Killed, or refused, at each step: no snapshot is left, and the disks go on, or can. */
static void unfinished_at(unsigned at, bool kill)
{
	struct disks d = running();

	steps = 0;
	fail_at = at;
	dies = kill;
	if (!setjmp(killed))
		assert_int_equal(disks_snapshot(&d, dir, 0), -1);
	fail_at = 0;
	for (unsigned i = 0; i < 2; i++)
		devices[i].suspended = false;
	disks_clean(dir);
	assert_int_equal(nr_ids(), 2);
	assert_int_equal(spares(), 0);
}

static void test_unfinished(void **state)
{
	(void)state;
	for (unsigned at = 1; at <= 6; at++) {
		unfinished_at(at, false);
		unfinished_at(at, true);
	}
}

static void test_restart(void **state)
{
	struct disks d, before;

	(void)state;
	point();
	point();
	d = disks_at(0);
	assert_int_equal(disks_restore(&d, &before), -1);
	assert_non_null(strstr(chain_error(), "v0 is in use"));
	devices[0].open = devices[1].open = 0;
	assert_int_equal(disks_restore(&d, &before), 0);
	assert_true(devices[0].id > 2 && devices[0].id != d.of[0].id);
	disks_keep(&before, false);
	assert_int_equal(nr_ids(), 6);
	assert_null(find_id(1));
	/* It did not start: the disks are again what they were. */
	d = disks_at(1);
	before = running();
	assert_int_equal(disks_restore(&d, &before), 0);
	disks_keep(&before, true);
	assert_int_equal(devices[0].id, before.of[0].id);
	assert_int_equal(nr_ids(), 6);
	/* After a boot of the node there are no volumes. */
	devices[0].exists = devices[1].exists = false;
	ids[0] = ids[1] = 0;
	assert_int_equal(disks_restore(&d, &before), 0);
	disks_keep(&before, false);
	assert_true(devices[0].exists && devices[1].exists && find_id(devices[1].id));
}

/* Each step of a restart fails: all is as before. */
static void test_restart_fails(void **state)
{
	struct disks d, before;
	unsigned was;

	(void)state;
	point();
	d = disks_at(0);
	devices[0].open = devices[1].open = 0;
	was = nr_ids();
	for (unsigned at = 1;; at++) {
		steps = 0;
		fail_at = at;
		if (!disks_restore(&d, &before))
			break;
		fail_at = 0;
		assert_true(devices[0].id == 1 && devices[1].id == 2);
		assert_int_equal(nr_ids(), was);
		assert_true(at < 20);
	}
	assert_true(steps >= 6);
}

static void test_merge(void **state)
{
	struct disks d;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		point();
	assert_int_equal(nr_ids(), 8);
	for (uint64_t i = 0; i < 2; i++) {
		d = disks_at(i);
		assert_int_equal(disks_forget(dir, i, &d), 0);
	}
	/* Another process's command looks meanwhile; a fork would have the lock, so this one reads only. */
	assert_int_equal(spares(), 1);
	assert_int_equal(chain_merge(dir, 2, 1), 0);
	disks_clean(dir);
	assert_int_equal(nr_ids(), 4);
	assert_int_equal(disks_at(2).nr, 2);
	assert_int_equal(spares(), 0);
}

static void test_bad(void **state)
{
	const char *texts[] = { "xvda", "xvda v0 pool x 800\n", "xvda v0 pool 3 800\nxvdb\n" };
	struct disks d = { 0 };
	struct chain *c;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct chain_new *n = chain_begin(dir, NULL, 1);

		assert_int_equal(chain_add_state(n, "disks", texts[i], strlen(texts[i]) + (i < 2)),
				 0);
		assert_int_equal(chain_commit(n), 0);
		c = chain_open(dir, i);
		assert_int_equal(disks_of(c, &d), -1);
		chain_close(c);
	}
	assert_int_equal(disks_add(&d, "xvda", "/dev/null"), -1);
	assert_non_null(strstr(chain_error(), "/dev/null is not a thin volume"));
	assert_int_equal(disks_add(&d, "xvda", "/none"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_point, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unfinished, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_merge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
