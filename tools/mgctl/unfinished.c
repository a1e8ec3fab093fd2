/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mgctl adopt --follow: destroys domains that nobody finishes building, as after an `xl create` that
 * was killed. When a domain is whole, libxl writes its configuration into a file; without that file
 * it is half-built. Whether somebody still works for it only processes tell. Sleeps until libxl writes
 * to xenstore; as long as a domain is half-built, looks once a second.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <xencall.h>	/* first: the next headers need it */
#define __XEN_TOOLS__ 1
#include <xen/domctl.h>
#include <xenstore.h>

#include "mgctl.h"

#define WHOLE "/var/lib/xen/userdata-d.%u.%s.libxl-json"
#define SCRIPTS "/etc/xen/scripts/"
#define AGAIN_MS 1000
/* libxl creates a domain first, and then tells xenstore; it may be killed between. */
#define LOOK_SECONDS 60
/* How long a domain that gets no more pages is left alone: if no xl or libvirt runs, */
#define LEFT_SECONDS 3
/* and if one does; longer than libxl waits for a script or a device model. */
#define IDLE_SECONDS 90

/* Who may work for a half-built domain. */
enum worker {
	NOBODY,
	BUILDER,		/* xl or libvirt, perhaps for another domain */
	SCRIPT			/* of an xl that may be dead, and ends soon */
};

struct watch {
	struct mgctl *m;
	struct xs_handle *xs;
	uint32_t id;		/* a half-built domain, as it was at `since` */
	uint64_t pages;
	time_t since;
};

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* An xl that has made its guest and waits for its end writes to a file. */
static bool is_monitor(const char *pid)
{
	char path[40], file[128];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%.20s/fd/1", pid);
	n = readlink(path, file, sizeof(file));
	return n > 0 && memmem(file, (size_t)n, "/xl-", 4);
}

static enum worker worker(const char *pid)
{
	char line[512];
	const char *name;
	ssize_t n;
	int fd;

	snprintf(line, sizeof(line), "/proc/%.20s/cmdline", pid);
	fd = *pid >= '1' && *pid <= '9' ? open(line, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return NOBODY;
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (n <= 0)
		return NOBODY;
	line[n] = 0;
	if (memmem(line, (size_t)n, SCRIPTS, strlen(SCRIPTS)))
		return SCRIPT;
	name = strrchr(line, '/');
	name = name ? name + 1 : line;
	return !strcmp(name, "libvirtd") || !strcmp(name, "virtxend") ||
			       (!strcmp(name, "xl") && !is_monitor(pid)) ?
		       BUILDER :
		       NOBODY;
}

static enum worker find_worker(void)
{
	enum worker best = NOBODY, one;
	DIR *proc = opendir("/proc");
	struct dirent *d;

	while (proc && (d = readdir(proc)))
		if ((one = worker(d->d_name)) > best)
			best = one;
	if (proc)
		closedir(proc);
	return best;
}

static bool is_half_built(const struct watch *w, const struct xen_domctl_getdomaininfo *info)
{
	char path[128], uuid[UUID_TEXT];
	void *adopted;

	if (!(info->flags & XEN_DOMINF_paused) || info->flags & XEN_DOMINF_dying || info->cpu_time)
		return false;
	uuid_text(uuid, info->handle);
	snprintf(path, sizeof(path), WHOLE, info->domain, uuid);
	if (!access(path, F_OK))
		return false;
	snprintf(path, sizeof(path), ADOPTED, info->domain);
	adopted = xs_read(w->xs, XBT_NULL, path, NULL);
	free(adopted);
	return !adopted;
}

/* Finds the first half-built domain. Returns 0, or -errno: -ESRCH if there is none. */
static int find(const struct watch *w, struct xen_domctl_getdomaininfo *info)
{
	for (uint32_t id = 1; id < DOMAINS_END; id = info->domain + 1U) {
		struct xen_domctl op = { .cmd = XEN_DOMCTL_getdomaininfo,
					 .interface_version = XEN_DOMCTL_INTERFACE_VERSION };
		int rc;

		op.domain = (domid_t)id;
		rc = xen_domctl(w->m, &op, sizeof(op));
		if (rc)
			return rc;
		*info = op.u.getdomaininfo;
		if (is_half_built(w, info))
			return 0;
	}
	return -ESRCH;
}

/* Returns whether nobody works for the domain. */
static bool is_left(struct watch *w, const struct xen_domctl_getdomaininfo *info)
{
	enum worker who = find_worker();

	if (who == SCRIPT || w->id != info->domain || w->pages != info->tot_pages) {
		w->id = info->domain;
		w->pages = info->tot_pages;
		w->since = now();
	}
	return now() - w->since >= (who == BUILDER ? IDLE_SECONDS : LEFT_SECONDS);
}

static void destroy(struct watch *w, uint32_t id)
{
	char number[12], xl[] = "xl", command[] = "destroy",
			 *argv[] = { xl, command, number, NULL };
	int status = -1;
	pid_t pid;

	snprintf(number, sizeof(number), "%u", id);
	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) ||
	    waitpid(pid, &status, 0) != pid || status)
		say(w->m->err, "mgctl: domain %u is half-built, and `xl destroy` failed", id);
	else
		fprintf(w->m->out, "domain %u was half-built; destroyed\n", id);
	fflush(w->m->out);
	w->id = 0;
}

/* Returns whether to look again soon. */
static bool look(struct watch *w)
{
	struct xen_domctl_getdomaininfo info;

	while (!find(w, &info)) {
		if (!is_left(w, &info))
			return true;
		destroy(w, info.domain);
	}
	return false;
}

/* Returns when libxl has written something. A library without threads cannot wait for a limited time. */
static void wait_in_child(void)
{
	struct xs_handle *xs = xs_open(0);
	unsigned int n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!xs || !xs_watch(xs, "/libxl", "libxl"))
		_exit(1);
	free(xs_read_watch(xs, &n));	/* fires at once, too */
	free(xs_read_watch(xs, &n));
	_exit(0);
}

/*
 * Waits until libxl writes something, or for a while. A child for each wait, so that nothing comes of
 * what libxl writes until the domain is built. Returns false if xenstored does not answer.
 */
static bool wait_for_libxl(void)
{
	const struct timespec limit = { .tv_sec = LOOK_SECONDS };
	int status = 0;
	sigset_t ended;
	pid_t pid;

	sigemptyset(&ended);
	sigaddset(&ended, SIGCHLD);
	sigprocmask(SIG_BLOCK, &ended, NULL);
	pid = fork();
	if (!pid)
		wait_in_child();
	if (pid < 0)
		return false;
	sigtimedwait(&ended, NULL, &limit);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	sigprocmask(SIG_UNBLOCK, &ended, NULL);
	return !WIFEXITED(status) || !WEXITSTATUS(status);
}

int watch_unfinished(struct mgctl *m, struct xs_handle *xs)
{
	struct watch w = { .m = m, .xs = xs };

	while (wait_for_libxl())
		do {
			if (!m->wait(m, AGAIN_MS))
				return MGCTL_OK;
		} while (look(&w));
	say(m->err, "mgctl: xenstored does not answer");
	return MGCTL_REFUSED;
}
