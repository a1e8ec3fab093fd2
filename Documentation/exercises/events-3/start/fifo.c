/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exercise: take events from a queue of the FIFO ABI, as a guest does, but without other vCPUs and without Margay
 * linking meanwhile: no atomic operations.
 */
#include <stdint.h>

#define PENDING (1U << 31)
#define MASKED (1U << 30)
#define LINKED (1U << 29)
#define LINK 0x1ffffU

/*
 * Returns the next port of the queue that begins at *head (0: empty) and is pending and not masked; 0 if there is none.
 * Ports leave the queue on the way: their words lose LINKED and the link. A returned port is not pending any more; a
 * masked one stays pending, and is dropped from the queue. *head is the next port, or 0.
 */
static uint32_t fifo_take(uint32_t *words, uint32_t *head)
{
	(void)words, (void)head;
	return 0;
}
