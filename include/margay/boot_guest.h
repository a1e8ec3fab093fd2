/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guests from boot modules: common/boot/boot_guests.c reads the modules, guest_life.c starts and
 * restarts the guests.
 */
#pragma once

#include <margay/cmdline.h>
#include <margay/list.h>

struct domain;

enum boot_guest_state {
	GUEST_OFF,	/* will not be started (again) */
	GUEST_DUE,	/* starts at `due` */
	GUEST_BUILDING,	/* one guest at a time */
	GUEST_READY,
	GUEST_RUNNING,
	GUEST_ENDING,	/* its domain is being destroyed */
};

/* All that is needed to build the guest repeatedly. The images are in the direct map. */
struct boot_guest {
	struct guest_spec spec;
	const void *image;
	size_t image_size;
	const void *initrd; /* NULL: none */
	size_t initrd_size;
	struct list link;
	enum boot_guest_state state;
	struct domain *domain;	/* while building to ending; holds the creator's reference */
	stime_t started, due;
	unsigned stage;		/* of arch_build_guest() */
	bool built;		/* that is done, and the guest gets its PCI functions: */
	const char *next_pci;	/* the rest of their list; NULL: none */
	unsigned pinned;	/* vCPUs whose affinity is set */
	unsigned refused;	/* consecutive failed restarts */
};

/* Adds a guest, due at once. */
void boot_guest_add(struct boot_guest *bg);
/*
 * Builds all guests at boot; the housekeeping CPU starts them. Reports failures. Returns the number
 * that will start.
 */
unsigned boot_guests_start(void);
/* Returns the CPUs that are some guest's own by its module's line, whether it runs or not. */
struct cpu_set boot_guests_cpus(void);
/* Builds and destroys guests in bounded steps: CPU_WORK_GUESTS. */
void boot_guests_work(void);
