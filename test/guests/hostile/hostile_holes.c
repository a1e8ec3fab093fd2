/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: data accesses without memory: holes of the map, the edge of RAM, read-only tables.
 * Reads return ones and writes are dropped, for plain moves of each width.
 */
#include "guest.h"

static void check_hole(uintptr_t where)
{
	volatile uint8_t *p8 = (volatile uint8_t *)where;
	volatile uint16_t *p16 = (volatile uint16_t *)where;
	volatile uint32_t *p32 = (volatile uint32_t *)where;
	volatile uint64_t *p64 = (volatile uint64_t *)where;

	*p64 = 0x1122334455667788;
	*p32 = 0x11223344;
	*p16 = 0x1122;
	*p8 = 0x11;
	CHECK(*p8 == 0xff && *p16 == 0xffff && *p32 == ~0u && *p64 == ~0ul,
	      "hole at %lx reads %x %x %x %lx", where, *p8, *p16, *p32, *p64);
}

int main(void)
{
	uintptr_t hole = hole_alloc(16);
	uint64_t top = 0;

	canary_init(16);
	for (unsigned int i = 0; i < 16; i++)
		check_hole(hole + i * PAGE_SIZE + (i & 7) * 8);
	for (unsigned int i = 0; i < memory_map_entries; i++)
		if (memory_map[i].type == XEN_HVM_MEMMAP_TYPE_RAM &&
		    memory_map[i].addr + memory_map[i].size < 0xe0000000)
			top = memory_map[i].addr + memory_map[i].size;
	if (is_hole(top, top + PAGE_SIZE) && !(top & 0xfff)) {
		check_hole(top);
		CHECK(*(volatile uint64_t *)(top - 8) != 1, "top of RAM");
	}
	/* An argument in a hole, a result to a hole. */
	CHECK_RET(xen_version(XENVER_extraversion, (void *)hole), -XEN_EFAULT);
	CHECK_RET(event_channel_op(EVTCHNOP_alloc_unbound, (void *)hole), -XEN_EFAULT);
	canary_check("holes");
	pass();
}
