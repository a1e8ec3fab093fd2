/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first guest of the book. Prints which hypervisor it runs on and how many vCPUs and how much
 * memory it has, and powers off.
 */
#include "alloc.h"
#include "console.h"
#include "hypercall.h"
#include "smp.h"
#include "x86.h"

int main(void)
{
	struct cpuid_regs leaf = cpuid(xen_leaf, 0);
	uint32_t signature[3] = { leaf.b, leaf.c, leaf.d };
	uint32_t version = cpuid(xen_leaf + 1, 0).a;
	xen_extraversion_t extra = "";

	xen_version(XENVER_extraversion, extra);
	printf("Hello from a guest of our own!\n");
	printf("hypervisor: \"%.12s\", version %u.%u%s\n", (const char *)signature, version >> 16,
	       version & 0xffff, extra);
	printf("vCPUs:      %u\n", cpu_count());
	printf("memory:     %lu MiB\n", ram_bytes() >> 20);
	printf("arguments:  \"%s\"\n", cmdline());
	printf("PASS hello\n");
	return 0;
}
