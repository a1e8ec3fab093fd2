/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * margay-checkpoint: a running guest's checkpoints in a chain, and its restart from any of them, by Xen's
 * libxl: memory is copied while the guest runs, and the guest stops for the last round and its state.
 */
#include "disk.h"
#include "live.h"
#include "monitor.h"
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
	"Usage: margay-checkpoint save [-d] [-f] [-p] GUEST DIRECTORY   a new checkpoint; the guest goes on\n"
	"       margay-checkpoint restart DIRECTORY [N]                 starts the guest as it was then\n"
	"       margay-checkpoint list DIRECTORY                        the checkpoints that are whole\n"
	"       margay-checkpoint merge DIRECTORY [N]                   makes one of all up to N\n"
	"       margay-checkpoint resume GUEST                          lets it go on if a save was killed\n"
	"       margay-checkpoint forget GUEST                          ends its log of dirty pages\n"
	"N is the last one unless it is given. -d: the guest's disks are in the checkpoint, too: thin volumes\n"
	"of the device mapper. -f reads all of the memory, and keeps no log of dirty pages for the next save, so\n"
	"that the guest has large mappings again. -p leaves the guest paused, so that other disks can be copied; then: xl unpause GUEST.\n";

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
	int from, rc;
	struct memory *m;
	char why[512];
};

static void *read_stream(void *arg)
{
	struct reading *r = arg;
	struct memory *m = r->m;

	r->rc = stream_read(r->from, m->pages, &m->has, &m->nr, &m->rest, &m->nr_rest);
	if (r->rc)
		snprintf(r->why, sizeof(r->why), "%s", chain_error());
	close(r->from);	/* the writer hears of it */
	return NULL;
}

/* A guest of which a checkpoint is made. */
struct guest {
	libxl_ctx *ctx;
	uint32_t domid;
	struct live *live;
	bool stopped;	/* at least once */
	bool log, paused;	/* keeps a log for the next save; is paused in the end */
	struct disks disks;	/* none without -d */
	const char *dir;
	uint64_t point;
};

/* Ends the stop: with the disks' snapshots. 0 or -1; the guest goes on in either case. */
static int go_on(struct guest *g)
{
	int rc;

	g->stopped = true;
	rc = disks_snapshot(&g->disks, g->dir, g->point);
	if (g->paused)
		libxl_domain_pause(g->ctx, g->domid, NULL);
	if (libxl_domain_resume(g->ctx, g->domid, 1, NULL))
		fprintf(stderr,
			"margay-checkpoint: the guest does not go on: try resume, or restart it\n");
	return rc;
}

/* Saves the guest through a pipe, and its disks, and lets it go on. 0 or 1. */
static int take(struct guest *g, struct memory *m)
{
	struct reading r = { .rc = -1, .m = m };
	int fds[2], rc, end = 0;
	pthread_t thread;

	if (pipe2(fds, O_CLOEXEC))
		return fprintf(stderr, "margay-checkpoint: pipe: %s\n", strerror(errno)), 1;
	r.from = fds[0];
	if (pthread_create(&thread, NULL, read_stream, &r))
		return fprintf(stderr, "margay-checkpoint: no thread\n"), 1;
	rc = libxl_domain_suspend(g->ctx, g->domid, fds[1], LIBXL_SUSPEND_LIVE, NULL);
	if (!rc) {
		g->log = g->log && !live_begin(g->live); /* a guest with a PCI function has none */
		end = go_on(g);
	}
	close(fds[1]);
	pthread_join(thread, NULL);
	if (rc)
		return fprintf(stderr, "margay-checkpoint: libxl cannot save the guest: error %d\n",
			       rc),
		       1;
	if (r.rc)
		return fprintf(stderr, "margay-checkpoint: %s\n", r.why), 1;
	return end ? failed(g->dir) : 0;
}

/* The same by the log, which goes on since the point before. */
static int take_changes(struct guest *g, struct chain *before, struct memory *m)
{
	int rc;

	if (live_read(g->live, m))
		return failed(g->dir);
	rc = libxl_domain_suspend_only(g->ctx, g->domid, NULL);
	if (rc)
		return fprintf(stderr, "margay-checkpoint: libxl cannot stop the guest: error %d\n",
			       rc),
		       1;
	rc = live_read_last(g->live, before, m);
	if (rc)
		failed(g->dir);
	if (go_on(g) && !rc)
		rc = failed(g->dir);
	return rc != 0;
}

static bool bit(const uint8_t *map, uint64_t i)
{
	return map[i / 8] >> i % 8 & 1;
}

/* Stores what was taken in the new point n, which is then the chain's, or gone. log: its name, or NULL. */
static int store(const struct guest *g, struct chain_new *n, struct chain *parent,
		 const struct memory *m, const char *config, const char *log)
{
	char *text = disks_text(&g->disks);
	uint64_t old = 0, all, stored;
	uint8_t page[CHAIN_PAGE];
	int rc = text ? 0 : chain_fail("no memory");

	/* Pages that the guest has, and those that only the parent has, in their order. */
	for (uint64_t i = 0; !rc && i < m->nr; i++) {
		if (!(i % 8) && !m->has[i / 8])
			i += 7;
		if (!bit(m->has, i))
			continue;
		for (; !rc && parent && chain_next(parent, &old) && old < i; old++)
			rc = chain_gone(n, old);
		old = old == i ? i + 1 : old;
		if (rc || (m->read && !bit(m->read, i)))
			continue;
		memset(page, 0, sizeof(page));
		rc = pread(m->pages, page, sizeof(page), (off_t)(i * CHAIN_PAGE)) < 0 ?
			     chain_fail("the file of pages: %s", strerror(errno)) :
			     chain_add(n, i, page);
	}
	for (; !rc && parent && chain_next(parent, &old); old++)
		rc = chain_gone(n, old);
	if (!rc)
		rc = chain_add_state(n, "config", config, strlen(config) + 1) ||
				     chain_add_state(n, "stream", m->rest, m->nr_rest) ||
				     chain_add_state(n, "disks", text, strlen(text) + 1) ||
				     (log && chain_add_state(n, "log", log, LIVE_NAME)) ?
			     -1 :
			     0;
	free(text);
	chain_counts(n, &all, &stored);
	if (rc)
		chain_abort(n);
	else
		rc = chain_commit(n);
	if (rc || (log && live_note(g->live, log)))
		return failed(g->dir);
	printf("%" PRIu64 " pages read, of which %" PRIu64 " are new\n", all, stored);
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
	else if (ctx)
		monitor_start(domid, open_libxl);
	libxl_ctx_free(ctx);
	return rc;
}

static int forget(const char *guest)
{
	uint32_t domid;
	libxl_ctx *ctx = open_guest(guest, &domid);
	struct live *l = ctx ? live_open(domid) : NULL;
	int rc = !ctx ? 1 : !l || live_note(l, NULL) || live_end(l) ? failed(guest) : 0;

	live_close(l);
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

/* Makes an unnamed file in the directory. -1: error. */
static int unnamed(const char *dir)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/memory.XXXXXX", dir);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		chain_fail("%s: %s", path, strerror(errno));
	else
		unlink(path);
	return fd;
}

/* Makes the next point of the chain. full: of all of the guest's memory, and without a log. 0 or 1. */
static int save_point(struct guest *g, const char *config, bool full)
{
	struct chain *parent = chain_open(g->dir, CHAIN_LAST);
	bool changes = !full && parent && live_goes_on(g->live, parent);
	struct memory m = { .pages = unnamed(g->dir) };
	struct chain_new *n = m.pages < 0 ? NULL : chain_begin(g->dir, parent, threads());
	char name[LIVE_NAME];
	int rc = 1;

	g->log = !full;
	if (!n) {
		failed(g->dir);
	} else if (live_name(name) || live_note(g->live, NULL)) {
		failed(g->dir);
		chain_abort(n);
	} else {
		g->point = chain_new_point(n);
		rc = changes ? take_changes(g, parent, &m) : take(g, &m);
		if (rc)
			chain_abort(n);
		else
			rc = store(g, n, parent, &m, config, g->log ? name : NULL);
	}
	chain_close(parent);
	if (m.pages >= 0)
		close(m.pages);
	free(m.has);
	free(m.read);
	free(m.rest);
	return rc;
}

static int save(const char *name, const char *dir, bool with_disks, bool full, bool paused)
{
	struct guest g = { .dir = dir, .paused = paused };
	libxl_domain_config config;
	char *json = NULL;
	int rc = 1;

	g.ctx = open_guest(name, &g.domid);
	if (!g.ctx)
		return 1;
	libxl_domain_config_init(&config);
	g.live = live_open(g.domid);
	if (!g.live) {
		failed(name);
	} else if (libxl_retrieve_domain_configuration(g.ctx, g.domid, &config, NULL) ||
		   !(json = libxl_domain_config_to_json(g.ctx, &config))) {
		fprintf(stderr, "margay-checkpoint: libxl does not know the configuration of %s\n",
			name);
	} else if (mkdir(dir, 0700) && errno != EEXIST) {
		fprintf(stderr, "margay-checkpoint: %s: %s\n", dir, strerror(errno));
	} else if (!with_disks || !find_disks(&config, &g.disks)) {
		disks_clean(dir);	/* what a save that was killed has left */
		rc = save_point(&g, json, full);
		disks_clean(dir);
	}
	if (g.stopped)
		monitor_start(g.domid, open_libxl);
	live_close(g.live);
	free(json);
	libxl_domain_config_dispose(&config);
	libxl_ctx_free(g.ctx);
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
	void *state = NULL, *rest = NULL;
	const char *config;
	struct disks disks, before;
	int fds[2], status, rc;
	pid_t pid;

	if (!c || chain_state(c, "config", &state, &size) <= 0 ||
	    chain_state(c, "stream", &rest, &nr_rest) <= 0)
		return failed(dir);
	config = state;
	if (!size || config[size - 1]) {
		chain_fail("point %" PRIu64 ": bad configuration", chain_point(c));
		return failed(dir);
	}
	if (disks_of(c, &disks) || disks_restore(&disks, &before))
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
	free(state);
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
	bool disks = false, full = false, paused = false, wrong = false;
	uint64_t point = CHAIN_LAST;
	char none[] = "", *end = none;
	int option;

	if (argc == 2 && (!strcmp(what, "--help") || !strcmp(what, "-h")))
		return fputs(usage, stdout) == EOF;
	if (!strcmp(what, "save")) {
		optind = 2;
		while ((option = getopt(argc, argv, "dfp")) != -1) {
			disks |= option == 'd';
			full |= option == 'f';
			paused |= option == 'p';
			wrong |= option == '?';
		}
		if (!wrong && argc - optind == 2)
			return save(argv[optind], argv[optind + 1], disks, full, paused);
	}
	if (argc == 3 && !strcmp(what, "resume"))
		return resume(argv[2]);
	if (argc == 3 && !strcmp(what, "forget"))
		return forget(argv[2]);
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
