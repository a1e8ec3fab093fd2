/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: XSETBV accepts the masks that CPUID offers and faults on all others. */
#include "guest.h"

#define XCR0_X87	1u
#define XCR0_SSE	2u
#define XCR0_AVX	4u

int main(void)
{
	uint64_t offered;

	if (!(cpuid(1, 0).c & 1u << 26)) {
		CHECK(FAULT_OF(write_cr4(read_cr4() | CR4_OSXSAVE)) == X86_GP,
		      "CR4.OSXSAVE without XSAVE");
		printf("no XSAVE offered\n");
		pass();
	}
	CHECK(FAULT_OF(xsetbv(0, 1)) == X86_UD, "XSETBV without CR4.OSXSAVE: vector %d",
	      this_cpu()->fault.vector);
	CHECK(FAULT_OF(xgetbv(0)) == X86_UD, "XGETBV without CR4.OSXSAVE: vector %d",
	      this_cpu()->fault.vector);
	write_cr4(read_cr4() | CR4_OSXSAVE);
	offered = cpuid(0xd, 0).a | (uint64_t)cpuid(0xd, 0).d << 32;
	CHECK((offered & 3) == 3, "offered %lx", offered);
	CHECK(xgetbv(0) == XCR0_X87 || xgetbv(0) == (XCR0_X87 | XCR0_SSE), "XCR0 starts as %lx",
	      xgetbv(0));

	CHECK(FAULT_OF(xsetbv(0, XCR0_X87 | XCR0_SSE)) < 0, "x87 and SSE");
	CHECK(xgetbv(0) == 3, "XCR0 reads %lx", xgetbv(0));
	CHECK(FAULT_OF(xsetbv(0, offered)) < 0, "all that is offered, %lx", offered);
	CHECK(xgetbv(0) == offered, "XCR0 reads %lx, not %lx", xgetbv(0), offered);

	CHECK(FAULT_OF(xsetbv(0, 0)) == X86_GP, "nothing");
	CHECK(FAULT_OF(xsetbv(0, XCR0_SSE)) == X86_GP, "SSE without x87");
	CHECK(FAULT_OF(xsetbv(0, XCR0_X87 | XCR0_AVX)) == X86_GP, "AVX without SSE");
	CHECK(FAULT_OF(xsetbv(1, 1)) == X86_GP, "XCR1");
	CHECK(FAULT_OF(xsetbv(0, 1ull << 63 | 3)) == X86_GP, "bit 63");
	for (volatile unsigned int bit = 2; bit < 63; bit++)
		if (!(offered & 1ull << bit))
			CHECK(FAULT_OF(xsetbv(0, 3 | 1ull << bit)) == X86_GP, "bit %u, not offered",
			      bit);
	CHECK(xgetbv(0) == offered, "XCR0 %lx after refusals", xgetbv(0));
	if (offered & XCR0_AVX) {
		asm volatile("vpcmpeqd %%xmm0, %%xmm0, %%xmm0" ::: "memory");
		xsetbv(0, 3);
		CHECK(FAULT_OF(asm volatile("vpcmpeqd %%ymm0, %%ymm0, %%ymm0" ::: "memory"))
		      == X86_UD, "AVX with XCR0.AVX clear");
	}
	xsetbv(0, 1);
	pass();
}
