/* SPDX-License-Identifier: BSD-2-Clause */
/* VT-x: what a VMCS says, for whoever reads a guest's obituary. */
#include <margay/printk.h>
#include <x86/features.h>
#include <x86/regs.h>

#include "vmx.h"

void vmx_dump(struct vcpu *v)
{
	static const char name[8][5] = { "ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR" };

	if (this_cpu()->loaded != v) {
		printk("%s vcpu %u: not in this CPU\n", v->domain->name, v->id);
		return;
	}
	printk("exit %#lx qualification %lx gpa %lx event %lx idt-event %lx insn %lu error %lu\n",
	       vmread(EXIT_REASON), vmread(QUALIFICATION), vmread(GUEST_PHYSICAL),
	       vmread(EXIT_EVENT), vmread(IDT_EVENT), vmread(EXIT_INSN_LEN), vmread(INSN_ERROR));
	printk("entry event %lx blocked %lx controls %lx %lx %lx exit %lx entry %lx\n",
	       vmread(ENTRY_EVENT), vmread(INTERRUPTIBILITY), vmread(PIN_CONTROLS),
	       vmread(CPU_CONTROLS), vmread(CPU_CONTROLS2), vmread(EXIT_CONTROLS),
	       vmread(ENTRY_CONTROLS));
	printk("RIP %016lx RSP %016lx RFLAGS %08lx DR7 %lx\n", vmread(GUEST_RIP), vmread(GUEST_RSP),
	       vmread(GUEST_RFLAGS), vmread(GUEST_DR7));
	printk("CR0 %08lx (%08lx) CR2 %016lx CR3 %016lx CR4 %08lx EFER %05lx\n", vmread(GUEST_CR0),
	       vmread(CR0_SHADOW), read_cr2(), vmread(GUEST_CR3), vmread(GUEST_CR4),
	       vmread(GUEST_EFER));
	for (unsigned i = 0; i < 8; i++)
		printk("%-4s %04lx rights %05lx limit %08lx base %016lx\n", name[i],
		       vmread(GUEST_ES_SEL + 2 * i), vmread(GUEST_ES_RIGHTS + 2 * i),
		       vmread(GUEST_ES_LIMIT + 2 * i), vmread(GUEST_ES_BASE + 2 * i));
	printk("GDTR limit %04lx base %016lx, IDTR limit %04lx base %016lx\n",
	       vmread(GUEST_GDTR_LIMIT), vmread(GUEST_GDTR_BASE), vmread(GUEST_IDTR_LIMIT),
	       vmread(GUEST_IDTR_BASE));
}
