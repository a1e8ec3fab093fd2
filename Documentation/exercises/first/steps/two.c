/* SPDX-License-Identifier: BSD-2-Clause */
/* Step 2: C code in 64-bit mode. */
#include "lib.h"

void main(void)
{
	print("step 2: C in 64-bit mode, EFER ");
	print_hex(rdmsr(0xc0000080));
	print("\r\n");
	power_off();
}
