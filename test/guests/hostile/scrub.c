/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: a guest's memory holds nothing of others. The emulator has planted a mark in RAM before
 * Margay starts, at several places. Each life of this guest looks for that mark and for its own,
 * fills its memory with its own, and reboots. The third one passes.
 */
#include "guest.h"

#define LIVES 3
/* Inverted, so that the marks are not in the guest's image. */
#define NOT_PLANTED 0xa3d54e12a3d54e12ul
#define NOT_FILLED 0x9ca2a7b9513f6d8eul

extern uint8_t image_start[], image_end[];

static bool is_image(const uint64_t *p)
{
	return (uintptr_t)p >= (uintptr_t)image_start && (uintptr_t)p < (uintptr_t)image_end;
}

static void scan(uint64_t *p, uint64_t *end, bool fill)
{
	for (; p < end; p++) {
		uint64_t found = ~*(volatile uint64_t *)p;

		if (is_image(p))
			continue;
		CHECK(found != NOT_PLANTED, "what was in RAM before Margay is at %p", (void *)p);
		CHECK(found != NOT_FILLED, "what a guest wrote is at %p", (void *)p);
		if (fill && (uintptr_t)p % 512 == 504)
			*(volatile uint64_t *)p = ~NOT_FILLED;
	}
}

int main(void)
{
	bool last = own_domid() >= LIVES;
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < memory_map_entries; i++) {
		const struct hvm_memmap_table_entry *e = &memory_map[i];

		if (e->type != XEN_HVM_MEMMAP_TYPE_RAM)
			continue;
		bytes += e->size;
		scan((uint64_t *)e->addr, (uint64_t *)(e->addr + e->size), !last);
	}
	CHECK(bytes >= 96ul << 20, "%lu bytes of RAM", bytes);
	if (last)
		pass();
	sched_shutdown(SHUTDOWN_reboot);
	return 1;
}
