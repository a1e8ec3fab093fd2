/* SPDX-License-Identifier: BSD-2-Clause */
/* See test.h. */
#include "test.h"
#include "console.h"
#include "hypercall.h"
#include "x86.h"

static void NORETURN power_off(void)
{
	irq_disable();
	console_flush();
	sched_shutdown(SHUTDOWN_poweroff);
	for (;;)
		asm volatile("hlt");
}

void pass(void)
{
	printf("PASS %s\n", guest_name);
	power_off();
}

/* Two vCPUs may fail at once: only the first prints. */
void fail(const char *fmt, ...)
{
	static int failed;
	char reason[256];
	va_list ap;

	if (__atomic_exchange_n(&failed, 1, __ATOMIC_SEQ_CST))
		for (;;)
			cpu_pause();
	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	printf("FAIL %s: %s\n", guest_name, reason);
	power_off();
}
