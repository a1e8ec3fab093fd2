/* SPDX-License-Identifier: BSD-2-Clause */
/* See user.h. */
#include "user.h"
#include "alloc.h"
#include "x86.h"

#define TSS_SELECTOR	0x38
#define TSS_ATTR	(0x89ull << 40)

static struct {
	uint32_t reserved;
	uint64_t rsp[3], reserved2, ist[7], reserved3;
	uint16_t reserved4, io_map;
} __attribute__((packed)) tss;

extern uint64_t boot_gdt[], page_tables[];

void user_init(void)
{
	uint64_t base = (uintptr_t)&tss;

	tss.io_map = sizeof(tss);
	boot_gdt[TSS_SELECTOR / 8] = (sizeof(tss) - 1) | (base & 0xffffff) << 16 | TSS_ATTR |
				     (base >> 24 & 0xff) << 56;
	boot_gdt[TSS_SELECTOR / 8 + 1] = base >> 32;
	asm volatile("ltr %w0" :: "r"(TSS_SELECTOR));
}

void map_page(uint64_t va, uint64_t pa, uint64_t flags)
{
	uint64_t *table = page_tables;

	for (unsigned int shift = 39; shift > 12; shift -= 9) {
		uint64_t *e = &table[va >> shift & 511];

		if (!(*e & PTE_P) || (*e & PTE_PS))
			*e = (uintptr_t)page_alloc(1);
		*e |= PTE_P | PTE_RW | PTE_US;
		table = (uint64_t *)(*e & 0xffffffffff000);
	}
	table[va >> 12 & 511] = pa | flags;
	invlpg((void *)va);
}

void user_enter(const struct user_start *s)
{
	asm volatile("lea -1024(%%rsp), %%rax; mov %%rax, %[rsp0];"
		     "mov $0x2b, %%eax; mov %%eax, %%ds; mov %%eax, %%es;"
		     "push %%rax; push 24(%%rbx); push 16(%%rbx); push 8(%%rbx); push (%%rbx);"
		     "mov 32(%%rbx), %%rax; mov 40(%%rbx), %%rcx; mov 48(%%rbx), %%rdx;"
		     "mov 56(%%rbx), %%rsi; mov 64(%%rbx), %%rdi; iretq"
		     : [rsp0] "=m"(tss.rsp[0])
		     : "b"(s)
		     : "rax", "rcx", "rdx", "rsi", "rdi", "memory");
}
