/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: instructions of every kind with a hole, the local APIC's page or a read-only page as
 * memory, and code there. Each is emulated or faults; none ends the guest, and none restarts
 * forever.
 */
#include "guest.h"

#define REF	FIRST_GRANT

static unsigned int done, faults;

static void count(const char *what, int vector)
{
	CHECK(vector == -1 || vector == X86_GP || vector == X86_UD || vector == X86_PF ||
		      vector == X86_SS,
	      "%s: vector %d", what, vector);
	if (vector == -1)
		done++;
	else
		faults++;
}

/* Runs an instruction with the address in RDI, RSI and RBX. */
#define TRY(insn) \
	count(insn, FAULT_OF({									\
		uint64_t di = where, si = where, b = where, a = 0, c = 1, d = 0;		\
												\
		asm volatile(insn : "+D"(di), "+S"(si), "+b"(b), "+a"(a), "+c"(c), "+d"(d)	\
			     : : "memory", "cc", "r8");						\
	}))

static void check_loads_and_stores(uint64_t where)
{
	TRY("bt %%eax, (%%rdi)");
	TRY("btl $3, (%%rdi)");
	TRY("btsl $3, (%%rdi)");
	TRY("lock btrl %%eax, (%%rdi)");
	TRY("adcl $1, (%%rdi)");
	TRY("sbbl (%%rdi), %%eax");
	TRY("incl (%%rdi)");
	TRY("decb (%%rdi)");
	TRY("negl (%%rdi)");
	TRY("xaddl %%eax, (%%rdi)");
	TRY("cmpxchgl %%ecx, (%%rdi)");
	TRY("cmpxchg8b (%%rdi)");
	TRY("shll $2, (%%rdi)");
	TRY("shldl $2, %%eax, (%%rdi)");
	TRY("imull (%%rdi), %%eax");
	TRY("mull (%%rdi)");
	TRY("cmovel (%%rdi), %%eax");
	TRY("sete (%%rdi)");
	TRY("bsfl (%%rdi), %%eax");
	TRY("movnti %%eax, (%%rdi)");
	TRY("movslq (%%rdi), %%rax");
	TRY("xlat");
	TRY("lea 8(%%rdi), %%rax; mov (%%rax), %%eax");
}

static void check_strings(uint64_t where)
{
	static uint8_t buffer[64];

	TRY("stosl");
	TRY("rep stosb");
	TRY("lodsl");
	TRY("scasl");
	TRY("cmpsb");
	TRY("movsl");
	count("movs to RAM", FAULT_OF({
		      uint64_t di = (uintptr_t)buffer, si = where, c = 4;

		asm volatile("rep movsb" : "+D"(di), "+S"(si), "+c"(c) : : "memory");
	}));
	count("movs from RAM", FAULT_OF({
		      uint64_t di = where, si = (uintptr_t)buffer, c = 4;

		asm volatile("rep movsb" : "+D"(di), "+S"(si), "+c"(c) : : "memory");
	}));
}

static void check_others(uint64_t where)
{
	TRY("pushq (%%rdi); popq %%rax");
	TRY("pushq $0; popq (%%rdi)");
	TRY("movups (%%rdi), %%xmm0");
	TRY("movups %%xmm0, (%%rdi)");
	TRY("movd %%xmm0, (%%rdi)");
	TRY("fldl (%%rdi); fninit");
	TRY("fnstcw (%%rdi)");
	TRY("fistpl (%%rdi); fninit");
	TRY("fxsave (%%rdi)");
	TRY("sgdt (%%rdi)");
	TRY("smsw (%%rdi)");
	TRY("lldt (%%rdi)");
	TRY("verr (%%rdi)");
	TRY("lar (%%rdi), %%eax");
	TRY("movw (%%rdi), %%gs");
	TRY("movw %%ds, (%%rdi)");
	TRY("invlpg (%%rdi)");
	TRY("clflush (%%rdi)");
	TRY("prefetcht0 (%%rdi)");
	TRY("call *(%%rdi)");
	TRY("jmp *(%%rdi)");
	TRY("ljmp *(%%rdi)");
	if (cpuid(1, 0).c >> 22 & 1)
		TRY("movbe (%%rdi), %%eax");
	if (cpuid(1, 0).c >> 20 & 1)
		TRY("crc32l (%%rdi), %%eax");
	if (cpuid(1, 0).c >> 23 & 1)
		TRY("popcntl (%%rdi), %%eax");
	if (cpuid(1, 0).c >> 13 & 1)
		TRY("cmpxchg16b (%%rdi)");
}

static void check_code(const char *what, uint64_t where)
{
	printf("code in %s\n", what);
	count(what, FAULT_OF(((void (*)(void))where)()));
}

static void check(const char *what, uint64_t where)
{
	printf("%s\n", what);
	check_loads_and_stores(where);
	check_strings(where);
	check_others(where);
	check_code(what, where);
	printf("%u done, %u faults\n", done, faults);
}

int main(void)
{
	uint64_t where = hole_alloc(3);
	uint64_t granted = where + PAGE_SIZE, writable = granted + PAGE_SIZE;
	uint8_t *page = page_alloc(2);
	grant_handle_t h;
	uint32_t tpr;

	write_cr4(read_cr4() | 3ul << 9);
	canary_init(4);
	memset(page, 0xc3, 2 * PAGE_SIZE);
	check("a hole", where);
	grants_init();
	grant(REF, own_domid(), page, GTF_readonly);
	grant(REF + 1, own_domid(), page + PAGE_SIZE, 0);
	CHECK_RET(map_grant(own_domid(), REF, GNTMAP_host_map | GNTMAP_readonly, granted, &h),
		  GNTST_okay);
	CHECK_RET(map_grant(own_domid(), REF + 1, GNTMAP_host_map, writable, &h), GNTST_okay);
	check("a read-only page", granted);
	for (unsigned int i = 0; i < PAGE_SIZE; i++)
		CHECK(page[i] == 0xc3, "the read-only page was written at %x", i);
	check_code("a granted page", writable);
	tpr = lapic_read(LAPIC_TPR);
	check("the local APIC", 0xfee00080);
	lapic_write(LAPIC_TPR, tpr);
	canary_check("accesses to no memory");
	pass();
}
