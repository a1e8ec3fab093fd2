/* SPDX-License-Identifier: BSD-2-Clause */
/* Each CPU's segments: a GDT, and a TSS with stacks for #DF, NMI and #MC. SDM 3A 8.7, 6.14.5. */
#include <margay/mm.h>
#include <x86/msr.h>
#include <x86/paging.h>
#include <x86/traps.h>

struct tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3, iomap;
} __packed;

struct cpu_desc {
	u64 gdt[5];
	struct tss tss;
};

void gdt_init_cpu(struct cpu *c)
{
	struct cpu_desc *d = kzalloc(sizeof(*d));

	if (!d)
		panic("no memory for CPU %u's descriptor tables\n", c->id);
	c->arch = d;
	for (unsigned i = 0; i < 3; i++)
		d->tss.ist[i] = (u64)map_stack(1);
	d->tss.iomap = sizeof(d->tss);

	u64 base = (u64)&d->tss;

	d->gdt[SEL_CODE / 8] = 0x00af9b000000ffff;
	d->gdt[SEL_DATA / 8] = 0x00cf93000000ffff;
	d->gdt[SEL_TSS / 8] = (sizeof(d->tss) - 1) | (base & 0xffffff) << 16 | 0x89UL << 40 |
			      (base >> 24 & 0xff) << 56;
	d->gdt[SEL_TSS / 8 + 1] = base >> 32;
}

u64 gdt_base(const struct cpu *c)
{
	return (u64)((const struct cpu_desc *)c->arch)->gdt;
}

u64 gdt_tss_base(const struct cpu *c)
{
	return (u64) & ((const struct cpu_desc *)c->arch)->tss;
}

/* Loads c's GDT and TSS. Runs on c itself; sets GS to struct cpu. */
void gdt_load(struct cpu *c)
{
	struct cpu_desc *d = c->arch;
	struct table_ptr r = { sizeof(d->gdt) - 1, (u64)d->gdt };

	__asm__ volatile("lgdt %0\n\t"
			 "mov %1, %%ds; mov %1, %%es; mov %1, %%ss\n\t"
			 "mov %2, %%fs; mov %2, %%gs\n\t"
			 "pushq %3; leaq 1f(%%rip), %%rax; pushq %%rax; lretq; 1:\n\t"
			 "ltr %w4"
			 ::"m"(r), "r"(SEL_DATA), "r"(0), "i"(SEL_CODE), "r"(SEL_TSS)
			 : "rax", "memory");
	wrmsr(MSR_GS_BASE, (u64)c);
}
