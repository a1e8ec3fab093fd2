/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exercise: find a tag in multiboot2 information that you do not trust. It begins with its total size and a reserved
 * word (32 bits each); then come tags, each at a multiple of 8: type, size with these 8 bytes, data. Type 0 ends them.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Returns the first tag of that type, or NULL. info may be read for room bytes, whatever it says, and a tag must lie
 * within the total size, too.
 */
static const uint8_t *find_tag(const uint8_t *info, uint32_t room, uint32_t type)
{
	(void)info, (void)room, (void)type;
	return NULL;
}
