/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exercise: find a capability of a PCI function that may be broken, or lie. PCI 3.0, 6.7: bit 4 of the status register
 * (0x06) says whether there is a list; the byte at 0x34 leads to the first capability, which is at 0x40 or above. Each
 * has its id in the first byte and the next one's place in the second; 0 ends the list. The lower two bits of a place
 * are reserved, and ignored.
 */
#include <stdbool.h>
#include <stdint.h>

/*
 * Returns the place of the first capability with that id that has at least `size` bytes of the config space, or 0.
 * Every list must come to an end here, also one that leads back to itself or below 0x40.
 */
static unsigned int find_cap(const uint8_t config[256], uint8_t id, unsigned int size)
{
	(void)config, (void)id, (void)size;
	return 0;
}
