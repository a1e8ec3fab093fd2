/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: a control domain that takes the functions of another domain (pci_hostile) away and gives
 * them back, at any moment of their traffic.
 */
#include "guest.h"
#include <public/margay.h>

static const struct {
	uint16_t vendor, device;
} functions[] = { { 0x1234, 0x11e8 }, { 0x1b36, 0x0010 } };

static long call(struct margay_op *op, uint32_t cmd)
{
	op->cmd = cmd;
	op->interface = MARGAY_INTERFACE;
	return hypercall1(MARGAY_HYPERCALL, op);
}

/* Returns what Margay says of function n. */
static struct margay_op look(unsigned int n)
{
	struct margay_op op = { 0 };

	while (!call(&op, MARGAY_PCI_LIST)) {
		if (op.u.pci.vendor == functions[n].vendor &&
		    op.u.pci.device == functions[n].device)
			return op;
		op.u.pci.index++;
	}
	fail("there is no function %u", n);
}

static void sleep_ms(uint64_t ms)
{
	block_until(now_ns() + ms * NS_PER_MS);
}

int main(void)
{
	uint64_t rounds = cmdline_number("rounds", 20);
	struct margay_op op;
	uint32_t owner;

	for (uint64_t i = 0; i < rounds; i++) {
		op = look(i % ARRAY_SIZE(functions));
		owner = op.u.pci.domain;
		CHECK(owner != MARGAY_NONE, "round %lu: it is nobody's", i);
		sleep_ms(random_u64() % 400);
		op.u.pci.flags = MARGAY_PCI_FORCE;
		CHECK_RET(call(&op, MARGAY_PCI_REVOKE), 0);
		CHECK(look(i % ARRAY_SIZE(functions)).u.pci.domain == MARGAY_NONE,
		      "round %lu: it is somebody's", i);
		if (random_u64() % 2)
			sleep_ms(random_u64() % 200);
		op.u.pci.domain = owner;
		CHECK_RET(call(&op, MARGAY_PCI_ASSIGN), 0);
	}
	printf("%lu times revoked and given back\n", rounds);
	pass();
}
