/* SPDX-License-Identifier: BSD-2-Clause */
/* See monitor.h */
#include "monitor.h"

#include <fcntl.h>
#include <inttypes.h>
#include <libxl_event.h>
#include <libxl_utils.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define OTHERS_S 2	/* An xl that has not seen the suspend acts at once. */

/* Returns whether the guest is there, and, in *down, whether it is shut down. */
static bool look(libxl_ctx *ctx, uint32_t domid, bool *down)
{
	libxl_dominfo info;
	bool there;

	libxl_dominfo_init(&info);
	there = !libxl_domain_info(ctx, &info, domid) && !info.dying;
	*down = info.shutdown;
	libxl_dominfo_dispose(&info);
	return there;
}

/* Waits for the next shutdown. Returns false if the guest is gone. */
static bool wait_for(libxl_ctx *ctx, uint32_t domid, libxl_shutdown_reason *why)
{
	libxl_evgen_domain_death *watch;
	libxl_event *event = NULL;
	bool down;

	if (libxl_evenable_domain_death(ctx, domid, 0, &watch))
		return false;
	down = !libxl_event_wait(ctx, &event, LIBXL_EVENTMASK_ALL, NULL, NULL) &&
	       event->type == LIBXL_EVENT_TYPE_DOMAIN_SHUTDOWN;
	if (down)
		*why = event->u.domain_shutdown.shutdown_reason;
	if (event)
		libxl_event_free(ctx, event);
	libxl_evdisable_domain_death(ctx, watch);
	return down;
}

static libxl_action_on_shutdown action_for(const libxl_domain_config *c, libxl_shutdown_reason why)
{
	switch (why) {
	case LIBXL_SHUTDOWN_REASON_POWEROFF: return c->on_poweroff;
	case LIBXL_SHUTDOWN_REASON_REBOOT: return c->on_reboot;
	case LIBXL_SHUTDOWN_REASON_CRASH: return c->on_crash;
	case LIBXL_SHUTDOWN_REASON_WATCHDOG: return c->on_watchdog;
	case LIBXL_SHUTDOWN_REASON_SOFT_RESET: return c->on_soft_reset;
	default: return LIBXL_ACTION_ON_SHUTDOWN_DESTROY;
	}
}

/* Does what the guest's configuration says. Returns whether it is there afterwards, as *domid. */
static bool act(libxl_ctx *ctx, uint32_t *domid, libxl_domain_config *c, libxl_shutdown_reason why)
{
	libxl_action_on_shutdown action = action_for(c, why);
	char path[256];

	switch (action) {
	case LIBXL_ACTION_ON_SHUTDOWN_PRESERVE: return false;
	case LIBXL_ACTION_ON_SHUTDOWN_SOFT_RESET:
		return !libxl_domain_soft_reset(ctx, c, *domid, NULL, NULL) &&
		       !libxl_domain_unpause(ctx, *domid, NULL);
	case LIBXL_ACTION_ON_SHUTDOWN_COREDUMP_DESTROY:
	case LIBXL_ACTION_ON_SHUTDOWN_COREDUMP_RESTART:
		snprintf(path, sizeof(path), "/var/lib/xen/dump/%s", c->c_info.name);
		libxl_domain_core_dump(ctx, *domid, path, NULL);
		break;
	default:
		break;
	}
	if (libxl_domain_destroy(ctx, *domid, NULL) || action == LIBXL_ACTION_ON_SHUTDOWN_DESTROY ||
	    action == LIBXL_ACTION_ON_SHUTDOWN_COREDUMP_DESTROY)
		return false;
	*domid = 0;
	return !libxl_domain_create_new(ctx, c, domid, NULL, NULL) &&
	       !libxl_domain_unpause(ctx, *domid, NULL);
}

/* Returns a lock that only one process has for the guest, or -1. */
static int lock_of(uint32_t domid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/run/margay-checkpoint.%" PRIu32, domid);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void monitor(libxl_ctx *ctx, uint32_t domid)
{
	libxl_shutdown_reason why = LIBXL_SHUTDOWN_REASON_UNKNOWN;
	uint32_t locked = domid;
	libxl_domain_config config;
	bool goes_on = true, down;

	while (goes_on && wait_for(ctx, domid, &why)) {
		if (why == LIBXL_SHUTDOWN_REASON_SUSPEND) {
			while (look(ctx, domid, &down) && down)
				usleep(100000);
			continue;
		}
		sleep(OTHERS_S);
		libxl_domain_config_init(&config);
		goes_on = look(ctx, domid, &down) && down &&
			  !libxl_retrieve_domain_configuration(ctx, domid, &config, NULL) &&
			  act(ctx, &domid, &config, why);
		libxl_domain_config_dispose(&config);
		if (goes_on && domid != locked)	/* a reboot */
			goes_on = lock_of(locked = domid) >= 0;
	}
}

void monitor_start(uint32_t domid, libxl_ctx *(*open_libxl)(void))
{
	libxl_ctx *ctx;
	int null;

	if (fflush(NULL) || fork())
		return;
	if (lock_of(domid) < 0)
		_exit(0);
	setsid();
	null = open("/dev/null", O_RDWR);
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	ctx = open_libxl();
	if (ctx)
		monitor(ctx, domid);
	_exit(0);
}
