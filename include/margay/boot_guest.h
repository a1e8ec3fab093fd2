/* SPDX-License-Identifier: BSD-2-Clause */
/* Guests from boot modules. common/boot/boot_guests.c */
#ifndef MARGAY_BOOT_GUEST_H
#define MARGAY_BOOT_GUEST_H

#include <margay/cmdline.h>
#include <margay/timer.h>

/* All that is needed to build the guest, again and again. The images are in the direct map. */
struct boot_guest {
	struct guest_spec spec;
	const void *image;
	size_t image_size;
	const void *initrd; /* NULL when there is none */
	size_t initrd_size;
	stime_t started;	/* the last time */
	struct timer restart;	/* the next time */
};

#endif
