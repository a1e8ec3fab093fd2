/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: the experiment of the book's chapter on DMA. A guest lets its device write to memory at
 * mb=N MiB, which is not the guest's, and read it back.
 */
#include "guest.h"

/* Margay looks for faults once a second, and the unit records one at a time. */
static void wait_for_report(void)
{
	block_until(now_ns() + 1200 * NS_PER_MS);
}

int main(void)
{
	uint64_t address = cmdline_number("mb", 256) << 20;
	static uint64_t text[2], back[2];
	struct edu edu = { 0 };

	CHECK(edu_init(&edu), "there is no edu");
	memcpy(text, "from the device", sizeof(text));
	CHECK(edu_read(&edu, (uintptr_t)text, 0, sizeof(text)), "edu is not ready");
	printf("the device writes to 0x%lx, and reads it\n", address);
	CHECK(edu_write(&edu, address, 0, sizeof(text)), "edu is not ready");
	wait_for_report();
	CHECK(edu_read(&edu, address, sizeof(text), sizeof(text)), "edu is not ready");
	wait_for_report();
	CHECK(edu_write(&edu, (uintptr_t)back, sizeof(text), sizeof(text)), "edu is not ready");
	barrier();
	if (address >= ram_bytes())
		CHECK(memcmp(back, text, sizeof(text)), "'%s' was there: nothing stops the device",
		      (const char *)back);
	printf("'%s' was there\n", (const char *)back);
	pass();
}
