/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that crashes in the way that how=N on its command line selects. It never prints PASS: the
 * runner waits for the hypervisor's line about the guest's end, and checks that the hypervisor
 * continues.
 */
#include "guest.h"

extern uint64_t page_tables[512];

static void triple_fault(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = { 0, 0 };

	asm volatile("lidt %0; ud2" :: "m"(none));
}

int main(void)
{
	uint64_t how = cmdline_number("how", 0);
	uintptr_t hole = hole_alloc(1);

	printf("dying in way %lu\n", how);
	console_flush();
	switch (how) {
	case 0:
		triple_fault();
		break;
	case 3:						/* page tables in a hole */
		write_cr3(hole);
		break;
	case 4:						/* page tables in the LAPIC's page */
		write_cr3(0xfee00000);
		break;
	case 6:						/* a crash that the guest requests */
		sched_shutdown(SHUTDOWN_crash);
		break;
	case 9:						/* a reboot that the guest requests */
		sched_shutdown(SHUTDOWN_reboot);
		break;
	case 7: {					/* a watchdog fires */
		struct sched_watchdog w = { .timeout = 1 };

		sched_op(SCHEDOP_watchdog, &w);
		for (;;)
			cpu_pause();
	}
	}
	fail("way %lu of dying did not work", how);
}
