/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: code that changes while the hypervisor emulates it: between two runs, and by another
 * vCPU during an exit. Each run acts like one of the versions, or faults.
 */
#include "guest.h"

#define RUN_TIME	NS_PER_S

static uint8_t code[PAGE_SIZE] PAGE_ALIGNED;
static volatile bool stop;

/* mov $N, %eax; vmmcall (vmcall); ret. N changes, and a NOP replaces the call. */
static void check_alone(void)
{
	uint8_t call = cpuid(0, 0).b == 0x756e6547 ? 0xc1 : 0xd9;
	const uint8_t text[] = { 0xb8, 0, 0, 0, 0, 0x0f, 0x01, call, 0xc3 };
	long version = xen_version(XENVER_version, NULL);

	memcpy(code, text, sizeof(text));
	for (unsigned int i = 0; i < 2000; i++) {
		bool real = i & 1;
		uint8_t nr = i & 2 ? __HYPERVISOR_xen_version : 63;
		long want = !real ? nr : i & 2 ? version : -XEN_ENOSYS, ret;

		code[1] = nr;
		code[5] = real ? 0x0f : 0x66;			/* 66 90: a two-byte NOP */
		code[6] = real ? 0x01 : 0x90;
		code[7] = real ? call : 0x90;
		asm volatile("call *%1" : "=a"(ret) : "r"(code), "D"(0), "S"(0) : "memory");
		CHECK(ret == want, "round %u: %ld, wanted %ld", i, ret, want);
	}
}

/* Versions of the code at code[0], each two bytes and a RET. RDI points to the data. */
static const uint8_t accesses[][2] = {
	{ 0x89, 0x07 },			/* mov %eax, (%rdi) */
	{ 0x8b, 0x07 },			/* mov (%rdi), %eax */
	{ 0x89, 0x0f },			/* mov %ecx, (%rdi) */
	{ 0x8b, 0x37 },			/* mov (%rdi), %esi */
};

static const uint8_t exits[][2] = {
	{ 0x89, 0x07 },			/* mov %eax, (%rdi) */
	{ 0x0f, 0x0b },			/* ud2 */
	{ 0x0f, 0xa2 },			/* cpuid */
	{ 0xec, 0x90 },			/* in (%dx), %al; nop */
	{ 0xee, 0x90 },			/* out %al, (%dx); nop */
	{ 0x0f, 0x32 },			/* rdmsr */
};

/*
 * The bytes after them: RET, and operands for mixed halves of two versions. MOV (89) with 90 or a2
 * takes them as an offset, which must not lead to a hole, where the hypervisor could not emulate
 * what it finds. OR and XOR (0b, 32) take the RET as their operands and continue with two additions
 * and the next RET.
 */
static const uint8_t rest[] = { 0xc3, 0x00, 0x00, 0x00, 0xc3, 0xc3 };

static const uint8_t (*versions)[2];
static unsigned int nr_versions;

/*
 * The rounds take different times: on Bochs, where the CPUs execute instructions by turns, this loop
 * would keep step with the other vCPU's exits, and the code be another one at each of them.
 */
static void change(void)
{
	for (unsigned int i = 0; !stop; i++) {
		for (unsigned int b = 0; b < 2; b++)
			((volatile uint8_t *)code)[b] = versions[i % nr_versions][b];
		for (unsigned int pause = i * 7 % 61; pause; pause--)
			cpu_pause();
	}
}

static void run_changing(const uint8_t (*v)[2], unsigned int n, uint64_t data)
{
	uint64_t end = now_ns() + RUN_TIME;
	unsigned int faults = 0;
	volatile unsigned int runs = 0;

	versions = v;
	nr_versions = n;
	code[0] = v[0][0];
	code[1] = v[0][1];
	memcpy(code + 2, rest, sizeof(rest));
	stop = false;
	cpu_start(1, change);
	while (now_ns() < end) {
		/*
		 * Mixed halves of two versions may also use (%rbx), (%rax + offset) and (%rdx +
		 * offset).
		 */
		uint64_t a = 0, b = data, c = 0, d = 0x61, di = data, si = 0;

		runs = runs + 1;
		if (FAULT_OF(asm volatile("call *%6"
					  : "+a"(a), "+b"(b), "+c"(c), "+d"(d), "+D"(di),
					    "+S"(si)
					  : "r"(code) : "memory")) >= 0)
			faults++;
	}
	stop = true;
	printf("%u runs, %u faults\n", runs, faults);
	CHECK(runs > 100, "only %u runs", runs);
	delay_ns(10 * NS_PER_MS);
}

int main(void)
{
	CHECK(cpu_count() > 1, "needs two vCPUs");
	canary_init(16);
	check_alone();
	/* A store to the LAPIC that is a load when the hypervisor reads it, and changing exits. */
	run_changing(accesses, ARRAY_SIZE(accesses), 0xfee00080);
	lapic_write(LAPIC_TPR, 0);
	run_changing(exits, ARRAY_SIZE(exits), (uintptr_t)code + 0x800);
	canary_check("self-modifying code");
	pass();
}
