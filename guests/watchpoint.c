/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: breakpoints on data by write, by access, by length; general detect; INT1. Not on QEMU
 * 7.2, where these do not work inside a guest, under whatever hypervisor.
 */
#include "guest.h"

#define DR6_RESET	0xffff0ff0ul
#define DR6_BD		(1ul << 13)
#define DR7_RESET	0x400ul
#define DR7_GD		(1ul << 13)
#define DR7_G1		8ul
#define DR7_WRITE_4	(0xdul << 20)		/* DR1: 4 bytes, writes */
#define DR7_ACCESS_1	(0x3ul << 20)		/* DR1: 1 byte, reads and writes */

static unsigned int hits;
static uint64_t dr6;
static volatile uint32_t watched[2];

static void on_debug(struct trap_regs *regs)
{
	(void)regs;
	hits++;
	dr6 = read_dr6();
	if (dr6 & DR6_BD)
		write_dr7(DR7_RESET);
	write_dr6(DR6_RESET);
}

int main(void)
{
	set_trap_handler(X86_DB, on_debug);
	write_dr1((uintptr_t)watched);
	write_dr7(DR7_RESET | DR7_G1 | DR7_WRITE_4);
	(void)watched[0];
	watched[1] = 1;
	CHECK(!hits, "%u hits by a read, or by the neighbour", hits);
	watched[0] = 1;
	CHECK(hits == 1 && (dr6 & 2), "%u hits by a write, DR6 %lx", hits, dr6);
	((volatile uint8_t *)watched)[3] = 1;
	CHECK(hits == 2, "%u hits by a write to the last byte", hits);
	write_dr7(DR7_RESET | DR7_G1 | DR7_ACCESS_1);
	(void)watched[0];
	CHECK(hits == 3, "%u hits by a read", hits);
	write_dr7(DR7_RESET);
	watched[0] = 2;
	CHECK(hits == 3, "hit though disabled");
	hits = 0;
	write_dr7(DR7_RESET | DR7_GD);
	write_dr0(0);
	CHECK(hits == 1 && (dr6 & DR6_BD), "%u hits of general detect, DR6 %lx", hits, dr6);
	asm volatile(".byte 0xf1" ::: "memory");		/* INT1 */
	CHECK(hits == 2, "%u #DB by INT1", hits - 1);
	pass();
}
