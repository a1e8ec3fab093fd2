/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: two vCPUs wake each other by events; each blocks while the other runs. */
#include "guest.h"

#define ROUNDS	2000u

static long ports[2];			/* for vCPU 0 and for vCPU 1 */
static volatile unsigned int count[2];

static void on_event(evtchn_port_t port)
{
	count[port == ports[1]]++;
}

static void wait_turn(unsigned int id, unsigned int value)
{
	while (count[id] < value)
		asm volatile("sti; hlt; cli" ::: "memory");
}

static void answer(void)
{
	for (unsigned int i = 1; i <= ROUNDS; i++) {
		wait_turn(1, i);
		CHECK_RET(evtchn_send((evtchn_port_t)ports[0]), 0);
	}
}

int main(void)
{
	uint64_t start;

	CHECK(cpu_count() > 1, "needs two vCPUs");
	CHECK_RET(upcall_by_callback(UPCALL_VECTOR), 0);
	for (unsigned int id = 0; id < 2; id++) {
		ports[id] = evtchn_bind_ipi(id);
		CHECK(ports[id] > 0, "bind_ipi %ld", ports[id]);
		evtchn_set_handler((evtchn_port_t)ports[id], on_event);
		evtchn_unmask((evtchn_port_t)ports[id]);
	}
	cpu_start(1, answer);
	start = now_ns();
	for (unsigned int i = 1; i <= ROUNDS; i++) {
		CHECK_RET(evtchn_send((evtchn_port_t)ports[1]), 0);
		wait_turn(0, i);
	}
	printf("%u rounds, %lu ns each\n", ROUNDS, (now_ns() - start) / ROUNDS);
	pass();
}
