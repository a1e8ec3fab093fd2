/* SPDX-License-Identifier: BSD-2-Clause */
/* See time.h. Implements the pvclock protocol: retry if the version is odd or has changed. */
#include "time.h"
#include "cpu.h"
#include "x86.h"

static uint64_t scale(uint64_t ticks, uint32_t mul, int8_t shift)
{
	ticks = shift < 0 ? ticks >> -shift : ticks << shift;
	return (uint64_t)(((unsigned __int128)ticks * mul) >> 32);
}

uint64_t pvclock_ns(const struct vcpu_time_info *t)
{
	uint32_t version;
	uint64_t ns;

	do {
		version = READ_ONCE(t->version);
		barrier();
		ns = t->system_time +
		     scale(rdtsc() - t->tsc_timestamp, t->tsc_to_system_mul, t->tsc_shift);
		barrier();
	} while ((version & 1) || version != READ_ONCE(t->version));
	return ns;
}

/* Turns interrupts off: a vCPU must read its own record with its own TSC. */
uint64_t now_ns(void)
{
	return pvclock_ns(&this_cpu()->info->time);
}

uint64_t tsc_khz(void)
{
	const struct vcpu_time_info *t = &this_cpu()->info->time;
	uint64_t khz = (NS_PER_MS << 32) / t->tsc_to_system_mul;

	return t->tsc_shift < 0 ? khz << -t->tsc_shift : khz >> t->tsc_shift;
}

void delay_ns(uint64_t ns)
{
	uint64_t end = now_ns() + ns;

	while (now_ns() < end)
		cpu_pause();
}

void block_until(uint64_t when_ns)
{
	struct sched_poll sleep = { .timeout = when_ns };

	while (now_ns() < when_ns)
		sched_op(SCHEDOP_poll, &sleep);
}

long singleshot_timer(uint64_t when_ns, uint32_t flags)
{
	struct vcpu_set_singleshot_timer t = { .timeout_abs_ns = when_ns, .flags = flags };

	return vcpu_op(VCPUOP_set_singleshot_timer, this_cpu()->id, &t);
}
