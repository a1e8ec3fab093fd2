/* SPDX-License-Identifier: BSD-2-Clause */
/* A client of xenstore, for the guest's own directory: paths are relative to /local/domain/ID. */
#ifndef HOSTILE_FRONT_STORE_H
#define HOSTILE_FRONT_STORE_H

#include "guest.h"

#include <xen/io/xs_wire.h>

extern struct xenstore_domain_interface *store_ring;

void store_init(void);

/* Tells xenstored of the ring. */
void store_kick(void);

/*
 * Sends a request. Returns the length of the answer, of which up to size bytes are copied, or -1 if
 * xenstored refuses or does not answer within 10 s, after which it is asked no more.
 */
long store_call(uint32_t type, uint32_t tx, const void *data, size_t len, void *answer,
		size_t size);

/* Reads a value as a string. An absent one is empty. */
void store_read(const char *path, char *value, size_t size);
void store_write(const char *path, const void *value, size_t len);

#endif
