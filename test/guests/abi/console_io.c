/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: the initial domain's console by hypercall. Must run as the initial domain. */
#include "guest.h"

int main(void)
{
	static char line[3000], input[16];

	CHECK(start_info->flags & SIF_INITDOMAIN, "not the initial domain");
	memset(line, '.', sizeof(line));
	for (unsigned int i = 99; i < sizeof(line); i += 100)
		line[i] = '\n';
	CHECK_RET(console_io(CONSOLEIO_write, sizeof(line), line), 0);
	CHECK_RET(console_io(CONSOLEIO_write, 0, line), 0);
	CHECK_RET(console_io(CONSOLEIO_write, 5, (void *)0x7f0000000000), -XEN_EFAULT);
	CHECK_RET(console_io(CONSOLEIO_read, sizeof(input), input), 0);
	CHECK_RET(console_io(99, 1, line), -XEN_ENOSYS);
	pass();
}
