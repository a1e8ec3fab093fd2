/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nvmecheck DEVICE DWORD10 DWORD11, in a Linux that has an NVMe controller with virtual functions:
 * sends it the command Virtualization Management, which gives a secondary controller its queues and
 * vectors and brings it online. NVM Express 1.4, 5.22.
 */
#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#define VIRTUALIZATION_MANAGEMENT 0x1c

int main(int argc, char **argv)
{
	struct nvme_admin_cmd command = { .opcode = VIRTUALIZATION_MANAGEMENT };
	int fd, status;

	if (argc != 4) {
		fprintf(stderr, "usage: nvmecheck DEVICE DWORD10 DWORD11\n");
		return 2;
	}
	fd = open(argv[1], O_RDONLY);
	command.cdw10 = (unsigned)strtoul(argv[2], NULL, 0);
	command.cdw11 = (unsigned)strtoul(argv[3], NULL, 0);
	status = fd < 0 ? -1 : ioctl(fd, NVME_IOCTL_ADMIN_CMD, &command);
	if (status < 0)
		perror("nvmecheck");
	else if (status)
		fprintf(stderr, "nvmecheck: status %#x\n", (unsigned)status);
	return status != 0;
}
