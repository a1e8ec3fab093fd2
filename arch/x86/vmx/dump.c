/* SPDX-License-Identifier: BSD-2-Clause */
/* VT-x: prints the VMCS fields for a guest's dump. */
#include <margay/printk.h>
#include <x86/regs.h>

#include "vmx.h"

void vmx_dump(struct vcpu *v __unused)
{
	printk("exit %#lx qualification %lx gpa %lx event %lx idt-event %lx insn %lu error %lu\n",
	       vmread(EXIT_REASON), vmread(QUALIFICATION), vmread(GUEST_PHYSICAL),
	       vmread(EXIT_EVENT), vmread(IDT_EVENT), vmread(EXIT_INSN_LEN), vmread(INSN_ERROR));
	printk("entry event %lx blocked %lx controls %lx %lx %lx exit %lx entry %lx\n",
	       vmread(ENTRY_EVENT), vmread(INTERRUPTIBILITY), vmread(PIN_CONTROLS),
	       vmread(CPU_CONTROLS), vmread(CPU_CONTROLS2), vmread(EXIT_CONTROLS),
	       vmread(ENTRY_CONTROLS));
}
