/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * margay-checkpoint: a running guest's checkpoints in a chain, and its restart from any of them, by Xen's
 * libxl: memory is copied while the guest runs, and the guest stops for the last round and its state.
 */
#include "disk.h"
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libxl.h>
#include <libxl_utils.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define XL_MAGIC "Xen saved domain, xl format\n \0 \r"	/* 32 bytes */
#define XL_BYTE_ORDER 0x01020304u
#define XL_JSON_STREAM2 3u

static const char usage[] =
	"Usage: margay-checkpoint save [-d] [-p] GUEST DIRECTORY   a new checkpoint; the guest goes on\n"
	"       margay-checkpoint restart DIRECTORY [N]            starts the guest as it was then\n"
	"       margay-checkpoint list DIRECTORY                   the checkpoints that are whole\n"
	"       margay-checkpoint merge DIRECTORY [N]              makes one of all up to N\n"
	"       margay-checkpoint resume GUEST                     lets it go on if a save was killed\n"
	"N is the last one unless it is given. -d: the guest's disks are in the checkpoint, too: thin volumes\n"
	"of the device mapper. -p leaves the guest paused, so that other disks can be copied; then: xl unpause GUEST.\n";

static int failed(const char *what)
{
	fprintf(stderr, "margay-checkpoint: %s: %s\n", what, chain_error());
	return 1;
}

static unsigned threads(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > 16 ? 16 : (unsigned)n;
}

struct reading {
	int from, pages, rc;
	uint8_t *seen;
	uint64_t nr_seen;
	char *rest, why[512];
	size_t nr_rest;
};

static void *read_stream(void *arg)
{
	struct reading *r = arg;

	r->rc = stream_read(r->from, r->pages, &r->seen, &r->nr_seen, &r->rest, &r->nr_rest);
	if (r->rc)
		snprintf(r->why, sizeof(r->why), "%s", chain_error());
	close(r->from);	/* the writer hears of it */
	return NULL;
}

/* What the disks of a checkpoint are and where they are noted; nr is 0 without -d. */
struct disks_at {
	struct disks disks;
	const char *dir;
	uint64_t point;
};

/* Saves the guest through a pipe, and its disks, and lets it go on, or be paused. 0 or 1. */
static int take(libxl_ctx *ctx, uint32_t domid, bool paused, struct reading *r, struct disks_at *at)
{
	int fds[2], rc, disks = 0;
	pthread_t thread;

	if (pipe2(fds, O_CLOEXEC))
		return fprintf(stderr, "margay-checkpoint: pipe: %s\n", strerror(errno)), 1;
	r->from = fds[0];
	if (pthread_create(&thread, NULL, read_stream, r))
		return fprintf(stderr, "margay-checkpoint: no thread\n"), 1;
	rc = libxl_domain_suspend(ctx, domid, fds[1], LIBXL_SUSPEND_LIVE, NULL);
	if (!rc)
		disks = disks_snapshot(&at->disks, at->dir, at->point);
	if (!rc && paused)
		libxl_domain_pause(ctx, domid, NULL);
	if (!rc && libxl_domain_resume(ctx, domid, 1, NULL))
		fprintf(stderr,
			"margay-checkpoint: the guest does not go on: try resume, or restart it\n");
	close(fds[1]);
	pthread_join(thread, NULL);
	if (rc)
		return fprintf(stderr, "margay-checkpoint: libxl cannot save the guest: error %d\n",
			       rc),
		       1;
	if (r->rc)
		return fprintf(stderr, "margay-checkpoint: %s\n", r->why), 1;
	return disks ? failed(at->dir) : 0;
}

/* Stores what was taken in the new point n, which is then the chain's, or gone. */
static int store(const char *dir, struct chain_new *n, struct chain *parent,
		 const struct reading *r, const char *config, const struct disks *disks)
{
	char *text = disks_text(disks);
	uint64_t old = 0, all, stored;
	uint8_t page[CHAIN_PAGE];
	int rc = text ? 0 : chain_fail("no memory");

	/* Pages that the guest has, and those that only the parent has, in their order. */
	for (uint64_t i = 0; !rc && i < r->nr_seen; i++) {
		if (!(i % 8) && !r->seen[i / 8])
			continue;
		if (!(r->seen[i / 8] >> i % 8 & 1))
			continue;
		for (; !rc && parent && chain_next(parent, &old) && old < i; old++)
			rc = chain_gone(n, old);
		memset(page, 0, sizeof(page));
		if (!rc && pread(r->pages, page, sizeof(page), (off_t)(i * CHAIN_PAGE)) < 0)
			rc = -1;
		if (!rc)
			rc = chain_add(n, i, page);
		old = old == i ? i + 1 : old;
	}
	for (; !rc && parent && chain_next(parent, &old); old++)
		rc = chain_gone(n, old);
	if (!rc)
		rc = chain_add_state(n, "config", config, strlen(config) + 1) ||
				     chain_add_state(n, "stream", r->rest, r->nr_rest) ||
				     chain_add_state(n, "disks", text, strlen(text) + 1) ?
			     -1 :
			     0;
	free(text);
	chain_counts(n, &all, &stored);
	if (rc)
		chain_abort(n);
	else
		rc = chain_commit(n);
	if (rc)
		return failed(dir);
	printf("%" PRIu64 " pages, of which %" PRIu64 " are new\n", all, stored);
	return 0;
}

static libxl_ctx *open_libxl(void)
{
	xentoollog_logger *log = (void *)xtl_createlogger_stdiostream(
		stderr, XTL_ERROR, XTL_STDIOSTREAM_HIDE_PROGRESS);
	libxl_ctx *ctx = NULL;

	if (!log || libxl_ctx_alloc(&ctx, LIBXL_VERSION, 0, log))
		fprintf(stderr, "margay-checkpoint: no libxl: is this a control domain?\n");
	return ctx;
}

/* Opens libxl and finds a guest. NULL: an error was printed. */
static libxl_ctx *open_guest(const char *guest, uint32_t *domid)
{
	libxl_ctx *ctx = open_libxl();

	if (ctx && (libxl_domain_qualifier_to_domid(ctx, guest, domid) || !*domid)) {
		fprintf(stderr, "margay-checkpoint: there is no guest %s\n", guest);
		libxl_ctx_free(ctx);
		return NULL;
	}
	return ctx;
}

static int resume(const char *guest)
{
	uint32_t domid;
	libxl_ctx *ctx = open_guest(guest, &domid);
	int rc = !ctx || libxl_domain_resume(ctx, domid, 1, NULL);

	if (ctx && rc)
		fprintf(stderr, "margay-checkpoint: %s is not stopped by a save\n", guest);
	libxl_ctx_free(ctx);
	return rc;
}

static int find_disks(const libxl_domain_config *config, struct disks *d)
{
	for (int i = 0; i < config->num_disks; i++)
		if (disks_add(d, config->disks[i].vdev, config->disks[i].pdev_path))
			return failed("save -d");
	return 0;
}

static int save(const char *guest, const char *dir, bool with_disks, bool paused)
{
	uint32_t domid;
	libxl_ctx *ctx = open_guest(guest, &domid);
	struct disks_at at = { .dir = dir };
	struct reading r = { .rc = -1 };
	struct chain *parent;
	struct chain_new *n;
	libxl_domain_config config;
	char path[4096], *json = NULL;
	int rc = 1;

	if (!ctx)
		return 1;
	libxl_domain_config_init(&config);
	if (libxl_retrieve_domain_configuration(ctx, domid, &config, NULL) ||
	    !(json = libxl_domain_config_to_json(ctx, &config))) {
		fprintf(stderr, "margay-checkpoint: libxl does not know the configuration of %s\n",
			guest);
		goto out;
	}
	if (with_disks && find_disks(&config, &at.disks))
		goto out;
	if (mkdir(dir, 0700) && errno != EEXIST) {
		fprintf(stderr, "margay-checkpoint: %s: %s\n", dir, strerror(errno));
		goto out;
	}
	snprintf(path, sizeof(path), "%s/memory.XXXXXX", dir);
	r.pages = mkostemp(path, O_CLOEXEC);
	if (r.pages < 0) {
		fprintf(stderr, "margay-checkpoint: %s: %s\n", path, strerror(errno));
		goto out;
	}
	unlink(path);
	disks_clean(dir);	/* what a save that was killed has left */
	parent = chain_open(dir, CHAIN_LAST);
	n = chain_begin(dir, parent, threads());
	if (n) {
		at.point = chain_new_point(n);
		rc = take(ctx, domid, paused, &r, &at);
		if (rc)
			chain_abort(n);
		else
			rc = store(dir, n, parent, &r, json, &at.disks);
	} else {
		failed(dir);
	}
	chain_close(parent);
	disks_clean(dir);
	close(r.pages);
out:
	free(json);
	libxl_domain_config_dispose(&config);
	libxl_ctx_free(ctx);
	return rc;
}

/* What `xl restore` reads before the stream. */
static int write_head(int to, const char *config)
{
	uint32_t n = (uint32_t)strlen(config) + 1;
	struct {
		char magic[32];
		uint32_t order, mandatory, optional, length, config;
	} head = { XL_MAGIC, XL_BYTE_ORDER, XL_JSON_STREAM2, 0, 4 + n, n };

	return write(to, &head, sizeof(head)) == sizeof(head) &&
			       write(to, config, n) == (ssize_t)n ?
		       0 :
		       -1;
}

static int restart(const char *dir, uint64_t point)
{
	struct chain *c = chain_open(dir, point);
	size_t size, nr_rest;
	char *config = c ? chain_state(c, "config", &size) : NULL;
	char *rest = config ? chain_state(c, "stream", &nr_rest) : NULL;
	struct disks disks, before;
	int fds[2], status, rc;
	pid_t pid;

	if (!rest || !size || config[size - 1] || disks_of(c, &disks) ||
	    disks_restore(&disks, &before))
		return failed(dir);
	if (pipe(fds) || (pid = fork()) < 0) {
		fprintf(stderr, "margay-checkpoint: %s\n", strerror(errno));
		disks_keep(&before, true);
		return 1;
	}
	if (!pid) {
		char name[32];

		close(fds[1]);
		snprintf(name, sizeof(name), "/dev/fd/%d", fds[0]);
		execlp("xl", "xl", "restore", name, NULL);
		fprintf(stderr, "margay-checkpoint: xl: %s\n", strerror(errno));
		_exit(127);
	}
	close(fds[0]);
	signal(SIGPIPE, SIG_IGN);
	rc = write_head(fds[1], config) || stream_write(fds[1], c, rest, nr_rest);
	if (rc)
		failed(dir);
	close(fds[1]);
	if (waitpid(pid, &status, 0) < 0 || status)
		rc = 1;
	disks_keep(&before, rc);
	free(config);
	free(rest);
	chain_close(c);
	return rc != 0;
}

static int list(const char *dir)
{
	uint64_t below = CHAIN_LAST;
	struct disks disks;
	struct chain *c;

	while ((c = chain_open_below(dir, below))) {
		below = chain_point(c);
		printf("%" PRIu64, below);
		if (disks_of(c, &disks))
			fprintf(stderr, "margay-checkpoint: %s\n", chain_error());
		for (unsigned i = 0; i < disks.nr; i++)
			printf(" %s=%s:%" PRIu32, disks.of[i].vdev, disks.of[i].pool,
			       disks.of[i].id);
		printf("\n");
		chain_close(c);
	}
	return below == CHAIN_LAST ? failed(dir) : 0;
}

/* Merges all points up to that one; what is only theirs goes, snapshots of disks too. */
static int merge(const char *dir, uint64_t point)
{
	struct chain *c = chain_open(dir, point);
	uint64_t below = c ? chain_point(c) : 0;
	struct disks disks;
	int rc = c ? 0 : -1;

	point = below;
	chain_close(c);
	while (!rc && (c = chain_open_below(dir, below))) {
		below = chain_point(c);
		rc = disks_of(c, &disks) || disks_forget(dir, below, &disks);
		chain_close(c);
	}
	rc = rc || chain_merge(dir, point, threads());
	if (rc)
		failed(dir);
	disks_clean(dir);
	return rc;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	bool disks = false, paused = false, wrong = false;
	uint64_t point = CHAIN_LAST;
	char none[] = "", *end = none;
	int option;

	if (argc == 2 && (!strcmp(what, "--help") || !strcmp(what, "-h")))
		return fputs(usage, stdout) == EOF;
	if (!strcmp(what, "save")) {
		optind = 2;
		while ((option = getopt(argc, argv, "dp")) != -1) {
			disks |= option == 'd';
			paused |= option == 'p';
			wrong |= option == '?';
		}
		if (!wrong && argc - optind == 2)
			return save(argv[optind], argv[optind + 1], disks, paused);
	}
	if (argc == 3 && !strcmp(what, "resume"))
		return resume(argv[2]);
	if (argc == 4) {
		errno = 0;
		point = strtoull(argv[3], &end, 10);
	}
	if (argc < 3 || argc > 4 || *end || (argc == 4 && errno)) {
		fputs(usage, stderr);
		return 2;
	}
	if (!strcmp(what, "restart"))
		return restart(argv[2], point);
	if (!strcmp(what, "list") && argc == 3)
		return list(argv[2]);
	if (!strcmp(what, "merge"))
		return merge(argv[2], point);
	fputs(usage, stderr);
	return 2;
}
