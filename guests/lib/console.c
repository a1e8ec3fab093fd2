/* SPDX-License-Identifier: BSD-2-Clause */
/* The two console transports (see console.h) and printf(). */
#include "console.h"
#include "hypercall.h"
#include "string.h"
#include "x86.h"
#include <xen/io/console.h>

static struct xencons_interface *ring;
static struct evtchn_send ring_event;
static bool use_hypercall;
static int lock;

void console_init(void)
{
	uint64_t pfn, port;

	if (start_info->flags & SIF_INITDOMAIN) {
		use_hypercall = true;
		return;
	}
	if (hvm_get_param(HVM_PARAM_CONSOLE_PFN, &pfn) || !pfn ||
	    hvm_get_param(HVM_PARAM_CONSOLE_EVTCHN, &port))
		return;
	ring = (struct xencons_interface *)(pfn << PAGE_SHIFT);
	ring_event.port = (evtchn_port_t)port;
}

static void ring_write(const char *s, size_t len)
{
	while (len) {
		XENCONS_RING_IDX prod = ring->out_prod, cons = READ_ONCE(ring->out_cons);

		mfence();
		while (len && prod - cons < sizeof(ring->out)) {
			ring->out[MASK_XENCONS_IDX(prod, ring->out)] = *s++;
			prod++;
			len--;
		}
		mfence();
		WRITE_ONCE(ring->out_prod, prod);
		event_channel_op(EVTCHNOP_send, &ring_event);
		if (len)
			sched_op(SCHEDOP_yield, NULL);
	}
}

void console_write(const char *s, size_t len)
{
	if (use_hypercall)
		console_io(CONSOLEIO_write, (int)len, (void *)(uintptr_t)s);
	else if (ring)
		ring_write(s, len);
}

void console_flush(void)
{
	/* The wait is bounded: the scenario's verdict matters more than its last byte. */
	for (int i = 0; ring && i < 100000; i++) {
		if (READ_ONCE(ring->out_cons) == ring->out_prod)
			return;
		sched_op(SCHEDOP_yield, NULL);
	}
}

int printf(const char *fmt, ...)
{
	char buf[512];
	uint64_t flags;
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = (size_t)vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	asm volatile("pushfq; pop %0; cli" : "=r"(flags) :: "memory");
	while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
		cpu_pause();
	console_write(buf, n < sizeof(buf) ? n : sizeof(buf) - 1);
	__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
	if (flags & RFLAGS_IF)
		irq_enable();
	return (int)n;
}
