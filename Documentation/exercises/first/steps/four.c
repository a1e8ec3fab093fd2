/* SPDX-License-Identifier: BSD-2-Clause */
/* Step 4: enters a guest whose first instruction is HLT, and reports why it came back. */
#include "hv.h"

static struct regs regs;

void main(void)
{
	bool amd = svm_present();
	enum why why;

	if (!(amd ? svm_on() : vmx_on())) {
		print("no AMD-V or VT-x: see what step 3 says\r\n");
		power_off();
	}
	if (amd)
		svm_prepare(guest_hlt);
	else
		vmx_prepare(guest_hlt);
	why = amd ? svm_enter(&regs) : vmx_enter(&regs);
	print(why == WHY_HLT ? "step 4: the guest ran until its HLT\r\n" : "step 4: no HLT\r\n");
	power_off();
}
