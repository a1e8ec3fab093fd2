/* SPDX-License-Identifier: BSD-2-Clause */
/* Guests from boot modules: common/boot/boot_guests.c reads the modules, guest_life.c starts the guests again. */
#ifndef MARGAY_BOOT_GUEST_H
#define MARGAY_BOOT_GUEST_H

#include <margay/cmdline.h>
#include <margay/list.h>

struct domain;

enum boot_guest_state {
	GUEST_OFF,	/* not to be started (again) */
	GUEST_DUE,	/* starts at `due` */
	GUEST_BUILDING,	/* one at a time */
	GUEST_READY,
	GUEST_RUNNING,
	GUEST_ENDING,	/* its domain is being destroyed */
};

/* All that is needed to build the guest, again and again. The images are in the direct map. */
struct boot_guest {
	struct guest_spec spec;
	const void *image;
	size_t image_size;
	const void *initrd; /* NULL when there is none */
	size_t initrd_size;
	struct list link;
	enum boot_guest_state state;
	struct domain *domain;	/* from building to ending; its maker's reference */
	stime_t started, due;
	unsigned stage;		/* of arch_build_guest() */
	unsigned refused;	/* restarts in a row that failed */
};

/* A new guest, due at once. */
void boot_guest_add(struct boot_guest *bg);
/* At boot: builds all, then starts them; returns how many. Reports why others do not start. */
unsigned boot_guests_start(void);
/* CPU_WORK_GUESTS: builds and destroys, in bounded steps. */
void boot_guests_work(void);

#endif
