/* SPDX-License-Identifier: BSD-2-Clause */
/* Step 5: runs one instruction of the guest: its CPUID exits, and the answer is ours. */
#include "hv.h"

#define LEAF 0x40000000		/* reserved for hypervisors */

static struct regs regs;

/* What a processor does for CPUID: registers in, registers out, and on to the next instruction. */
static void do_cpuid(struct regs *r)
{
	print("        CPUID of leaf ");
	print_hex((u32)r->rax);
	print("\r\n");
	r->rax = LEAF;
	r->rbx = 0x2131;	/* "1!" */
	r->rcx = r->rdx = 0;
}

void main(void)
{
	bool amd = svm_present();
	enum why why;

	if (!(amd ? svm_on() : vmx_on())) {
		print("no AMD-V or VT-x: see what step 3 says\r\n");
		power_off();
	}
	if (amd)
		svm_prepare(guest_cpuid);
	else
		vmx_prepare(guest_cpuid);
	print(amd ? "step 5: a guest on AMD-V\r\n" : "step 5: a guest on VT-x\r\n");
	while ((why = amd ? svm_enter(&regs) : vmx_enter(&regs)) == WHY_CPUID) {
		do_cpuid(&regs);
		if (amd)
			svm_skip(2);
		else
			vmx_skip();
	}
	print(why == WHY_HLT ? "        HLT, and the guest has EBX " :
			       "        another exit, EBX ");
	print_hex(regs.rbx);
	print("\r\n");
	power_off();
}
