/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzzes the boot string parsers. The first byte selects the parser; the rest is the string.
 * fuzz-sources: common/boot/cmdline.c common/boot/guest_spec.c
 */
#include "fuzz.h"

#include <margay/cmdline.h>

static void check_guest(const char *s, struct guest_spec *g)
{
	unsigned int n = 0, i;
	struct cpu_set set;

	CHECK(strnlen(g->name, sizeof(g->name)) <= GUEST_NAME_LEN && g->points < 32);
	CHECK(g->name[0] || g->kind == MODULE_POLICY || g->kind == MODULE_ALLOWED);
	CHECK(g->vcpus >= 1 && g->vcpus <= MAX_VCPUS && !(g->mem % 4096) && g->mem);
	CHECK(g->cmdline && strlen(g->cmdline) <= strlen(s));
	for (i = 0; i < MAX_CPUS / 64; i++)
		n += __builtin_popcountl(g->pin.bits[i]);
	CHECK(n == g->nr_pin);
	for (i = 0; i < g->vcpus; i++) {
		guest_spec_affinity(g, i, &set);
		CHECK(find_next_bit(set.bits, MAX_CPUS, 0) < MAX_CPUS);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct guest_spec g;
	struct uart_config c;
	char *s;

	if (!size)
		return 0;
	host_log_clear();
	s = malloc(size);
	memcpy(s, data + 1, size - 1);
	s[size - 1] = 0;

	switch (data[0]) {
	case 'c':
		cmdline_parse(s);
		cmdline_help();
		CHECK(opt.maxcpus >= 1 && opt.maxcpus <= MAX_CPUS);
		CHECK(strnlen(opt.com1, sizeof(opt.com1)) < sizeof(opt.com1) &&
		      strnlen(opt.com2, sizeof(opt.com2)) < sizeof(opt.com2));
		break;
	case 's':
		uart_parse("com1", s, 0x3f8, &c);
		CHECK(c.baud && 115200 % c.baud == 0 && (c.iobase || c.pci));
		break;
	default:
		if (!guest_spec_parse(s, &g))
			check_guest(s, &g);
	}
	free(s);
	return 0;
}
