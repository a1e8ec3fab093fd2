/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exercise: read characters from a guest's console ring. The guest can write all of it at any time; so look at out_prod
 * once, and believe nothing. The indices run freely, modulo 2^32; a position is the index modulo the ring's size.
 */
#include <stdint.h>

#define OUT_SIZE 2048U

struct ring {
	char in[1024], out[OUT_SIZE];
	uint32_t in_cons, in_prod, out_cons, out_prod;
};

/*
 * Copies at most `room` new characters to `to` and writes out_cons. *cons is your own copy of out_cons, which counts:
 * the guest may have changed the other. An out_prod more than OUT_SIZE ahead is invalid: drop the output by setting
 * *cons to it. Returns how many characters were copied.
 */
static unsigned ring_read(volatile struct ring *r, uint32_t *cons, char *to, unsigned room)
{
	(void)r, (void)cons, (void)to, (void)room;
	return 0;
}
