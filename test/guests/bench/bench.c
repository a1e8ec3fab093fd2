/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the hypervisor costs a single vCPU: 1000 rounds of each operation. bench_memory.c measures
 * pages and grants; bench_pair.c and bench_domains.c measure interaction between vCPUs and domains.
 */
#include "guest.h"

#include "bench.h"

#define ROUNDS		1000u
#define WAKE_ROUNDS	200u

static evtchn_port_t masked, peer, wake_port;
static volatile uint64_t woken_at;
static volatile bool asleep;
static struct evtchn_send send_masked, send_upcall;
static uint64_t later;

/* Inlined, so that only the operation lies between the two readings. */
static inline __attribute__((always_inline)) void measure(const char *name, void (*op)(void))
{
	struct bench_sum b = BENCH_SUM;

	op();
	bench_mark();
	op();
	bench_mark();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint64_t start = rdtsc();

		op();
		bench_add(&b, rdtsc() - start);
	}
	if (name) {
		bench_report(name, &b);
	} else {
		bench_mark_row();
		bench_overhead = b.least;
	}
}

static inline void op_nothing(void)
{
	barrier();
}

static inline void op_null(void)
{
	xen_version(XENVER_version, NULL);
}

static inline void op_unknown(void)
{
	hypercall1(63, 0);
}

static inline void op_cpuid(void)
{
	cpuid(xen_leaf, 0);
}

/*
 * Sends an event that is masked. Clears it each time, which costs a few instructions of the guest.
 */
static inline void op_send_masked(void)
{
	evtchn_clear(masked);
	event_channel_op(EVTCHNOP_send, &send_masked);
}

static inline void op_send_upcall(void)
{
	event_channel_op(EVTCHNOP_send, &send_upcall);
}

static inline void op_set_timer(void)
{
	set_timer_op(later);
}

static inline void op_singleshot(void)
{
	struct vcpu_set_singleshot_timer t = { .timeout_abs_ns = later };

	vcpu_op(VCPUOP_set_singleshot_timer, 0, &t);
}

static inline void op_yield(void)
{
	sched_op(SCHEDOP_yield, NULL);
}

static inline void op_rdmsr(void)
{
	rdmsr(MSR_APIC_BASE);
}

static inline void op_xapic(void)
{
	(void)*(volatile uint32_t *)(0xfee00000ul + LAPIC_ID);
}

static inline void op_x2apic(void)
{
	rdmsr(MSR_X2APIC + LAPIC_ID / 16);
}

static void on_upcall(evtchn_port_t port)
{
	(void)port;
}

static void on_wake(evtchn_port_t port)
{
	(void)port;
	woken_at = rdtsc();
	bench_mark_second();
}

static void sleeper(void)
{
	for (;;) {
		asleep = true;
		asm volatile("sti; hlt; cli" ::: "memory");
	}
}

/* Measures from the send on one vCPU to the handler on another that was asleep. */
static void measure_wake(void)
{
	struct bench_sum b = BENCH_SUM;
	uint64_t start;

	wake_port = (evtchn_port_t)evtchn_bind_ipi(1);
	evtchn_set_handler(wake_port, on_wake);
	evtchn_unmask(wake_port);
	cpu_start(1, sleeper);
	for (unsigned int i = 0; i < WAKE_ROUNDS; i++) {
		CHECK(WAIT_FOR(asleep, NS_PER_S), "vCPU 1 does not sleep");
		delay_ns(200 * NS_PER_US);
		asleep = false;
		woken_at = 0;
		bench_mark_second();
		start = rdtsc();
		evtchn_send(wake_port);
		CHECK(WAIT_FOR(woken_at, NS_PER_S), "vCPU 1 does not wake");
		bench_add(&b, woken_at - start);
	}
	bench_report("cross_vcpu_wake", &b);
}

int main(void)
{
	long a = evtchn_alloc_unbound(DOMID_SELF), b = evtchn_alloc_unbound(DOMID_SELF);
	evtchn_port_t loud;

	send_masked.port = (evtchn_port_t)a;
	masked = (evtchn_port_t)evtchn_bind_interdomain(DOMID_SELF, (evtchn_port_t)a);
	peer = send_upcall.port = (evtchn_port_t)b;
	loud = (evtchn_port_t)evtchn_bind_interdomain(DOMID_SELF, peer);
	CHECK(a > 0 && b > 0 && masked && loud, "channels");
	evtchn_clear(masked);
	evtchn_clear(loud);
	this_cpu()->info->evtchn_upcall_pending = 0;
	CHECK_RET(upcall_by_callback(UPCALL_VECTOR), 0);
	evtchn_set_handler(loud, on_upcall);
	evtchn_unmask(loud);
	later = now_ns() + 3600 * NS_PER_S;
	lapic_enable();

	measure(NULL, op_nothing);
	bench_mark_readings();
	measure("null_hypercall", op_null);
	measure("unknown_hypercall", op_unknown);
	measure("cpuid", op_cpuid);
	measure("send_masked", op_send_masked);
	irq_enable();
	measure("send_upcall", op_send_upcall);
	irq_disable();
	measure("set_timer_op", op_set_timer);
	measure("set_singleshot_timer", op_singleshot);
	measure("yield", op_yield);
	measure("rdmsr", op_rdmsr);
	measure("xapic_read", op_xapic);
	set_timer_op(0);
	vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL);
	if (cpu_count() > 1)
		measure_wake();
	if (lapic_enter_x2apic())
		measure("x2apic_read", op_x2apic);
	pass();
}
