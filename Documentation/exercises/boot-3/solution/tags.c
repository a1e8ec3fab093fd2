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
	uint32_t total, tag[2];

	if (room < 8)
		return NULL;
	memcpy(&total, info, 4);
	if (total > room)
		total = room;
	for (uint32_t at = 8; at <= total && total - at >= 8;) {
		memcpy(tag, info + at, 8);
		if (tag[1] < 8 || tag[1] > total - at)
			return NULL;
		if (tag[0] == type)
			return info + at;
		if (!tag[0] || tag[1] > total - at - 7)
			return NULL;
		at += (tag[1] + 7) & ~7U;
	}
	return NULL;
}
