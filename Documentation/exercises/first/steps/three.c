/* SPDX-License-Identifier: BSD-2-Clause */
/* Step 3: finds AMD-V or VT-x and switches it on. */
#include "hv.h"

void main(void)
{
	print("step 3: ");
	if (svm_present())
		print(svm_on() ? "AMD-V is on\r\n" : "AMD-V is locked off by firmware\r\n");
	else if (vmx_present())
		print(vmx_on() ? "VT-x is on\r\n" : "VT-x is locked off by firmware\r\n");
	else
		print("this processor has neither AMD-V nor VT-x\r\n");
	power_off();
}
