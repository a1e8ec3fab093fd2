/* SPDX-License-Identifier: BSD-2-Clause */
/* The first C code of a guest: initializes the library, runs main(), powers off. */
#include "alloc.h"
#include "console.h"
#include "cpu.h"
#include "events.h"
#include "string.h"
#include "traps.h"
#include "x86.h"

int main(void);
void guest_start(const struct hvm_start_info *info);

void guest_start(const struct hvm_start_info *info)
{
	start_info = info;
	memset(this_cpu(), 0, sizeof(struct cpu));
	traps_init();
	hypercall_init();
	if (xen_leaf) {
		console_init();
		memory_map_init();
		events_init();
		main();
		console_flush();
		sched_shutdown(SHUTDOWN_poweroff);
	}
	for (;;)
		asm volatile("cli; hlt");
}
