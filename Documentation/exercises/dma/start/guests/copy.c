/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exercise: let a device copy memory, and write to a page that the guest has given back. guests/lib/pci.h has what the
 * device needs.
 */
#include "guest.h"

int main(void)
{
	struct edu edu = { 0 };

	CHECK(edu_init(&edu), "there is no edu");
	pass();
}
