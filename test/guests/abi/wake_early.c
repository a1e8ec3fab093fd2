/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: a timer never wakes its vCPU early by the vCPU's own clock. The interrupt handler reads
 * the TSC in its first instruction; after a poll the caller reads it when the hypercall returns.
 */
#include "guest.h"

#define ROUNDS	200
#define STEP 1009 /* ns; varies the sleeps, so that they end at any phase of Margay's work */

void first_rdtsc(void);
extern volatile uint64_t handler_tsc;
extern volatile uint8_t *upcall_pending;
volatile uint64_t handler_tsc;
volatile uint8_t *upcall_pending;

/* The interrupted code expects RAX and RDX to change. Clearing the byte ends the level. */
asm(".text\n"
    "first_rdtsc:\n"
    "	rdtsc\n"
    "	shl $32, %rdx\n"
    "	or %rdx, %rax\n"
    "	mov %rax, handler_tsc\n"
    "	mov upcall_pending, %rax\n"
    "	movb $0, (%rax)\n"
    "	iretq\n");

static evtchn_port_t timer;

static uint64_t ns_of(uint64_t tsc)
{
	const struct vcpu_time_info *t = &this_cpu()->info->time;
	uint64_t ticks = tsc - t->tsc_timestamp;

	ticks = t->tsc_shift < 0 ? ticks >> -t->tsc_shift : ticks << t->tsc_shift;
	return t->system_time + (uint64_t)((unsigned __int128)ticks * t->tsc_to_system_mul >> 32);
}

/* The library's stubs would save registers first. */
static void replace_gate(uint8_t vector)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idtr;
	uintptr_t to = (uintptr_t)first_rdtsc;
	uint16_t *gate;

	asm volatile("sidt %0" : "=m"(idtr));
	gate = (uint16_t *)(idtr.base + 16ul * vector);
	gate[0] = (uint16_t)to;
	gate[3] = (uint16_t)(to >> 16);
}

static void arm(uint64_t due)
{
	evtchn_clear(timer);
	shared_info->vcpu_info[0].evtchn_pending_sel = 0;
	CHECK_RET(singleshot_timer(due, 0), 0);
}

static uint64_t wait_asleep(uint64_t due)
{
	arm(due);
	handler_tsc = 0;
	while (!handler_tsc)
		asm volatile("sti; hlt; cli" ::: "rax", "rdx", "memory");
	return handler_tsc;
}

static uint64_t wait_awake(uint64_t due)
{
	arm(due);
	handler_tsc = 0;
	while (!handler_tsc)
		asm volatile("sti; nop; pause; cli" ::: "rax", "rdx", "memory");
	return handler_tsc;
}

static uint64_t wait_in_poll(uint64_t due)
{
	struct sched_poll poll = { .nr_ports = 1 };

	set_xen_guest_handle(poll.ports, &timer);
	evtchn_mask(timer);
	arm(due);
	CHECK_RET(sched_op(SCHEDOP_poll, &poll), 0);
	return rdtsc();
}

static void check(const char *how, uint64_t (*wait)(uint64_t due))
{
	uint64_t early = 0, most = 0, least_late = ~0ul;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint64_t due = now_ns() + 20 * NS_PER_US + i * STEP, seen = ns_of(wait(due));

		if (seen < due) {
			early++;
			most = due - seen > most ? due - seen : most;
		} else if (seen - due < least_late) {
			least_late = seen - due;
		}
	}
	printf("%s: at least %lu ns late\n", how, least_late);
	CHECK(!early, "%s: %lu of %d wake-ups are early, by up to %lu ns", how, early, ROUNDS,
	      most);
}

int main(void)
{
	timer = (evtchn_port_t)evtchn_bind_virq(VIRQ_TIMER, 0);
	upcall_pending = &shared_info->vcpu_info[0].evtchn_upcall_pending;
	replace_gate(UPCALL_VECTOR);
	CHECK_RET(upcall_by_callback(UPCALL_VECTOR), 0);
	evtchn_clear_mask(timer);
	check("HLT", wait_asleep);
	check("awake", wait_awake);
	check("poll", wait_in_poll);
	pass();
}
