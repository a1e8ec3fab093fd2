/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: several vCPUs share one CPU. Each has its own x87, SSE, AVX, MSR and debug register
 * contents and finds them unchanged after each of many switches.
 */
#include "guest.h"

#define ROUNDS	400

struct regs {
	uint64_t ymm[16][4];
	uint64_t mm[8];
	uint32_t mxcsr;
};

static bool avx;
static struct regs wanted[MAX_CPUS], seen[MAX_CPUS];

static void load(const struct regs *r)
{
#define LOAD_YMM(n) asm volatile("vmovdqu %0, %%ymm" #n :: "m"(r->ymm[n]))
#define LOAD_XMM(n) asm volatile("movdqu %0, %%xmm" #n :: "m"(r->ymm[n]))
#define LOAD_MM(n) asm volatile("movq %0, %%mm" #n :: "m"(r->mm[n]))
#define EACH8(op) op(0); op(1); op(2); op(3); op(4); op(5); op(6); op(7)
#define EACH16(op) EACH8(op); op(8); op(9); op(10); op(11); op(12); op(13); op(14); op(15)
	if (avx) {
		EACH16(LOAD_YMM);
	} else {
		EACH16(LOAD_XMM);
	}
	EACH8(LOAD_MM);
	asm volatile("ldmxcsr %0" :: "m"(r->mxcsr));
}

static void store(struct regs *r)
{
#define STORE_YMM(n) asm volatile("vmovdqu %%ymm" #n ", %0" : "=m"(r->ymm[n]))
#define STORE_XMM(n) asm volatile("movdqu %%xmm" #n ", %0" : "=m"(r->ymm[n]))
#define STORE_MM(n) asm volatile("movq %%mm" #n ", %0" : "=m"(r->mm[n]))
	if (avx) {
		EACH16(STORE_YMM);
	} else {
		EACH16(STORE_XMM);
	}
	EACH8(STORE_MM);
	asm volatile("stmxcsr %0" : "=m"(r->mxcsr));
}

static void enable_vectors(void)
{
	if (!(cpuid(1, 0).c & 1u << 26))
		return;
	write_cr4(read_cr4() | CR4_OSXSAVE);
	xsetbv(0, avx ? 7 : 3);
}

static void choose(unsigned int id, unsigned int round)
{
	struct regs *r = &wanted[id];

	for (unsigned int i = 0; i < 16; i++)
		for (unsigned int j = 0; j < (avx ? 4u : 2u); j++)
			r->ymm[i][j] = (uint64_t)id << 56 | (uint64_t)round << 16 | i << 4 | j;
	for (unsigned int i = 0; i < 8; i++)
		r->mm[i] = (uint64_t)id << 48 | round << 8 | i;
	r->mxcsr = 0x1f80 | (id & 3) << 13;
}

static const uint32_t msrs[] = {
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SFMASK, MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
	MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP,
};

static void check_once(unsigned int id, unsigned int round)
{
	struct regs *want = &wanted[id], *got = &seen[id];

	choose(id, round);
	load(want);
	sched_op(SCHEDOP_yield, NULL);
	for (volatile int i = 0; i < 100; i++)
		;
	sched_op(SCHEDOP_yield, NULL);
	store(got);
	CHECK(!memcmp(got, want, sizeof(*got)), "vCPU %u, round %u: vector or FPU state changed",
	      id, round);
	for (unsigned int i = 0; i < ARRAY_SIZE(msrs); i++)
		CHECK(rdmsr(msrs[i]) == (id << 8 | i), "vCPU %u: MSR %x reads %lx", id, msrs[i],
		      rdmsr(msrs[i]));
	CHECK(read_dr0() == 0x1000 + id && read_dr3() == 0x3000 + id, "vCPU %u: DR0 %lx, DR3 %lx",
	      id, read_dr0(), read_dr3());
	CHECK(read_cr2() == 0x2000 + id, "vCPU %u: CR2 %lx", id, read_cr2());
}

static void run(void)
{
	unsigned int id = this_cpu()->id;

	enable_vectors();
	asm volatile("fninit");
	for (unsigned int i = 0; i < ARRAY_SIZE(msrs); i++)
		wrmsr(msrs[i], id << 8 | i);
	write_dr0(0x1000 + id);
	write_dr3(0x3000 + id);
	write_cr2(0x2000 + id);
	for (unsigned int round = 0; round < ROUNDS; round++)
		check_once(id, round);
}

int main(void)
{
	unsigned int n = cpu_count();

	CHECK(n > 1, "needs more than one vCPU");
	avx = (cpuid(1, 0).c & 1u << 28) && (cpuid(0xd, 0).a & 4);
	cpu_start_all(run);
	run();
	CHECK(WAIT_FOR(cpus_done() == n - 1, 30 * NS_PER_S), "%u of %u vCPUs finished",
	      cpus_done() + 1, n);
	pass();
}
