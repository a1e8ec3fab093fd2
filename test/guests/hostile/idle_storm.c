/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest whose vCPUs sleep and still cause work. kind=0: masked periodic LAPIC timers of the
 * shortest period; 1: the same, unmasked but with interrupts off; 2: Xen's periodic timer with its
 * port masked; 3: polls with short timeouts; 4: events that vCPU 0 sends to the others' polls. It
 * never prints PASS: `share` beside it must keep its CPU. crash=1: it crashes when all have begun.
 */
#include "guest.h"

#define MAX_VCPUS	1024
#define AP_STACK	1024
#define VECTOR		0x60

enum { MASKED, UNSEEN, XEN_PERIODIC, POLLS, WOKEN };

extern uint64_t page_tables[512];
static uint8_t stacks[MAX_VCPUS][AP_STACK] __attribute__((aligned(AP_STACK)));
static struct vcpu_info infos[MAX_VCPUS] __attribute__((aligned(PAGE_SIZE)));
static evtchn_port_t ports[MAX_VCPUS];
static unsigned int kind, ready;

static uint64_t now_here(void)
{
	return pvclock_ns(&shared_info->vcpu_info[0].time);
}

static void sleep_for_good(void)
{
	for (;;)
		asm volatile("cli; hlt");
}

static void lapic_timer(uint32_t lvt)
{
	lapic_write(LAPIC_SVR, SVR_ENABLE | 0xff);
	lapic_write(LAPIC_TIMER_DIVIDE, TIMER_DIVIDE_1);
	lapic_write(LAPIC_LVT_TIMER, lvt | LVT_TIMER_PERIODIC | VECTOR);
	lapic_write(LAPIC_TIMER_INITIAL, 1);
}

/* Cannot use this_cpu(): the stacks are too small. VCPUOP_initialise sets RDI, and so id. */
static NORETURN void ap(unsigned long id)
{
	struct sched_poll poll = { .nr_ports = 1 };

	if (kind <= UNSEEN)
		lapic_timer(kind == MASKED ? LVT_MASKED : 0);
	__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	set_xen_guest_handle(poll.ports, &ports[id]);
	while (kind >= POLLS) {
		poll.timeout = kind == POLLS ? now_here() + 20 * NS_PER_US : 0;
		sched_op(SCHEDOP_poll, &poll);
		evtchn_clear(ports[id]);
	}
	sleep_for_good();
	__builtin_unreachable();
}

static void start(unsigned int id)
{
	struct vcpu_register_vcpu_info info = {
		.mfn = (uintptr_t)&infos[id] >> PAGE_SHIFT,
		.offset = (uintptr_t)&infos[id] % PAGE_SIZE,
	};
	struct vcpu_set_periodic_timer period = { .period_ns = NS_PER_MS };
	struct vcpu_hvm_context ctx = { .mode = VCPU_HVM_MODE_64B };

	CHECK_RET(vcpu_op(VCPUOP_register_vcpu_info, id, &info), 0);
	if (kind == XEN_PERIODIC) {
		evtchn_bind_virq(VIRQ_TIMER, id);
		CHECK_RET(vcpu_op(VCPUOP_set_periodic_timer, id, &period), 0);
	} else {
		ports[id] = (evtchn_port_t)evtchn_bind_ipi(id);
	}
	ctx.cpu_regs.x86_64 = (struct vcpu_hvm_x86_64){
		.rip = (uintptr_t)ap, .rdi = id, .rsp = (uintptr_t)stacks[id] + AP_STACK - 8,
		.cr0 = read_cr0(), .cr3 = (uintptr_t)page_tables, .cr4 = read_cr4(),
		.efer = rdmsr(MSR_EFER),
	};
	CHECK_RET(vcpu_op(VCPUOP_initialise, id, &ctx), 0);
	CHECK_RET(vcpu_op(VCPUOP_up, id, NULL), 0);
}

int main(void)
{
	unsigned int n = (unsigned int)cmdline_number("vcpus", 64);

	kind = (unsigned int)cmdline_number("kind", 0);
	for (unsigned int id = 1; id < n && id < MAX_VCPUS; id++)
		start(id);
	while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) < n - 1)
		sched_op(SCHEDOP_yield, NULL);
	printf("%u vCPUs sleep\n", n - 1);
	console_flush();
	if (cmdline_number("crash", 0))
		sched_shutdown(SHUTDOWN_crash);
	while (kind == WOKEN) {
		for (unsigned int id = 1; id < n; id++)
			evtchn_send(ports[id]);
		cpu_pause();
	}
	sleep_for_good();
	return 0;
}
