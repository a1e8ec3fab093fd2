/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parsing of boot module strings.
 * unit-sources: common/boot/guest_spec.c common/boot/cmdline.c
 */
#include "host.h"

#include <margay/cmdline.h>
#include <margay/errno.h>
#include <margay/lib.h>

static struct guest_spec g;

static int setup(void **state)
{
	(void)state;
	host_log_clear();
	memset(&g, 0xaa, sizeof(g));
	g.number = 7;
	return 0;
}

static void test_minimal(void **state)
{
	(void)state;
	assert_int_equal(guest_spec_parse("guest name=a", &g), 0);
	assert_silent();
	assert_int_equal(g.kind, MODULE_GUEST);
	assert_string_equal(g.name, "a");
	assert_int_equal(g.vcpus, 1);
	assert_int_equal(g.mem, 128UL << 20);
	assert_false(g.initial);
	assert_false(g.control);
	assert_int_equal(g.on_reboot, GUEST_RESTART);
	assert_int_equal(g.on_crash, GUEST_DESTROY);
	assert_int_equal(g.nr_pin, 0);
	assert_string_equal(g.cmdline, "");
}

static void test_whole(void **state)
{
	static const char args[] = "  guest vcpus=3 name=Node_0.a-b mem=1G initial control "
				   "pin=5,0-1 on_reboot=destroy on_crash=restart --  "
				   "console=hvc0 -- x=\"a b\" ";

	(void)state;
	assert_int_equal(guest_spec_parse(args, &g), 0);
	assert_silent();
	assert_string_equal(g.name, "Node_0.a-b");
	assert_int_equal(g.vcpus, 3);
	assert_int_equal(g.mem, 1UL << 30);
	assert_true(g.initial);
	assert_true(g.control);
	assert_int_equal(g.on_reboot, GUEST_DESTROY);
	assert_int_equal(g.on_crash, GUEST_RESTART);
	assert_int_equal(g.nr_pin, 3);
	assert_int_equal(g.pin.bits[0], 0x23);
	assert_string_equal(g.cmdline, "console=hvc0 -- x=\"a b\" ");
	assert_false(g.dedicated || g.trusted);
	assert_int_equal(guest_spec_parse("guest name=a pmu", &g), 0);
	assert_true(g.pmu && !g.dedicated);
	assert_int_equal(guest_spec_parse("guest name=a dedicated=4-5 trusted vcpus=2", &g), 0);
	assert_true(g.dedicated && g.trusted && !g.pmu);
	assert_int_equal(g.pin.bits[0], 0x30);
	assert_int_equal(guest_spec_parse("guest name=a on_reboot=machine", &g), 0);
	assert_int_equal(g.on_reboot, GUEST_MACHINE);
}

static void test_affinity(void **state)
{
	struct cpu_set set;

	(void)state;
	assert_int_equal(guest_spec_parse("guest name=a vcpus=3 pin=200,0-1", &g), 0);
	guest_spec_affinity(&g, 0, &set);
	assert_true(set.bits[0] == 0 && set.bits[1] == 0 && set.bits[2] == 0);
	assert_true(set.bits[3] == BIT(200 - 192));
	guest_spec_affinity(&g, 2, &set);
	assert_true(set.bits[0] == 2 && set.bits[3] == 0);
	guest_spec_affinity(&g, 3, &set); /* no such vCPU */
	assert_true(set.bits[0] == 3 && set.bits[3] == BIT(200 - 192));

	assert_int_equal(guest_spec_parse("guest name=a vcpus=2 pin=0-255", &g), 0);
	assert_int_equal(g.nr_pin, 256);
	guest_spec_affinity(&g, 1, &set);
	assert_true(set.bits[0] == ~0UL && set.bits[3] == ~0UL);

	assert_int_equal(guest_spec_parse("guest name=a vcpus=2 pin=3", &g), 0);
	guest_spec_affinity(&g, 1, &set);
	assert_true(set.bits[0] == 8 && set.bits[1] == 0);

	assert_int_equal(guest_spec_parse("guest name=a vcpus=2", &g), 0);
	guest_spec_affinity(&g, 1, &set);
	assert_true(set.bits[0] == ~0UL && set.bits[3] == ~0UL);

	/* A later pin= overrides an earlier one. */
	assert_int_equal(guest_spec_parse("guest name=a pin=3 pin=4", &g), 0);
	assert_int_equal(g.nr_pin, 1);
	assert_int_equal(g.pin.bits[0], 16);
}

static void test_other_kinds(void **state)
{
	(void)state;
	assert_int_equal(guest_spec_parse("initrd for=a", &g), 0);
	assert_int_equal(g.kind, MODULE_INITRD);
	assert_string_equal(g.name, "a");
	assert_silent();
	assert_int_equal(guest_spec_parse("initrd", &g), -EINVAL);
	assert_logged("module 7 (initrd): has no for=");
	assert_int_equal(guest_spec_parse("initrd for=a mem=1", &g), -EINVAL);
	assert_logged("mem=1:\n  unknown word of an initrd");
	assert_int_equal(guest_spec_parse("initrd for", &g), -EINVAL);
	assert_int_equal(guest_spec_parse("policies-allowed", &g), 0);
	assert_int_equal(g.kind, MODULE_ALLOWED);
	assert_int_equal(guest_spec_parse("policies-allowed all", &g), -EINVAL);
	assert_logged("all:\n  unknown word of policies-allowed");
}

static void test_policies(void **state)
{
	(void)state;
	assert_int_equal(guest_spec_parse("policy", &g), 0);
	assert_int_equal(g.kind, MODULE_POLICY);
	assert_int_equal(g.points, 31);
	assert_int_equal(g.nr_pin, 0);
	assert_int_equal(guest_spec_parse("policy select=none", &g), 0);
	assert_int_equal(g.points, 0);
	assert_int_equal(guest_spec_parse("policy select=place,sched cpus=0,2-3", &g), 0);
	assert_int_equal(g.points, 9);
	assert_int_equal(g.pin.bits[0], 13);
	assert_silent();
	assert_int_equal(guest_spec_parse("policy select=sched,", &g), -EINVAL);
	assert_logged("select=sched,:\n  must be none, or a list of sched,idle,exit,place");
	assert_int_equal(guest_spec_parse("policy select=fork", &g), -EINVAL);
	assert_logged("select=fork:\n  must be none, or a list of");
	assert_int_equal(guest_spec_parse("policy credit", &g), -EINVAL);
	assert_logged("credit:\n  unknown word of a policy");
}

static void test_bad(void **state)
{
	static const struct {
		const char *args, *message;
	} bad[] = {
		{ "",
		  "module 7 (): must start with\n  guest, initrd, policy, policies-allowed or microcode" },
		{ "--", "must start with" },
		{ "kernel name=a", "module 7 (kernel name=a): must start with" },
		{ "guest=1 name=a", "must start with" },
		{ "guests name=a", "must start with" },
		{ "guest", "module 7 (guest): has no name=" },
		{ "guest -- name=a", "module 7 (guest): has no name=" },
		{ "guest name", "name:\n  unknown word" },
		{ "guest name=", "name=:\n  a name has 1 to 31" },
		{ "guest name=a/b", "name=a/b:\n  a name has only" },
		{ "guest name=a:", "a name has only" },
		{ "guest name=0123456789012345678901234567890x", "a name has 1 to 31" },
		{ "guest name=a foo", "module 7 (guest a): foo:\n  unknown word" },
		{ "guest foo=1 name=a", "module 7 (guest a): foo=1:\n  unknown word" },
		{ "guest foo=1", "module 7 (guest): foo=1:\n  unknown word" },
		{ "guest foo file=vmlinux name=a -- name=b file=c",
		  "module 7 (guest a, vmlinux): foo:\n  unknown word" },
		{ "policy name=a file=rr.mod",
		  "module 7 (policy a, rr.mod): name=a:\n  unknown word of a policy" },
		{ "policy foo file=rr.mod",
		  "module 7 (policy, rr.mod): foo:\n  unknown word of a policy" },
		{ "initrd for=a mem=1 file=initrd.gz",
		  "module 7 (initrd a, initrd.gz): mem=1:\n  unknown" },
		{ "guest name=a initial=1", "initial=1:\n  unknown word" },
		{ "guest name=a vcpus", "vcpus:\n  unknown word" },
		{ "guest name=a vcpus=0", "vcpus=0:\n  must be 1 to 1024" },
		{ "guest name=a vcpus=1025", "vcpus=1025:\n  must be 1 to 1024" },
		{ "guest name=a vcpus=two", "vcpus=two:\n  must be 1 to 1024" },
		{ "guest name=a mem=512", "mem=512:\n  must be 2M to 16T" },
		{ "guest name=a mem=1M", "mem=1M:\n  must be" },
		{ "guest name=a mem=17T", "mem=17T:\n  must be" },
		{ "guest name=a mem=2049K", "mem=2049K:\n  must be" },
		{ "guest name=a mem=-1G", "mem=-1G:\n  must be" },
		{ "guest name=a mem=99999999999999999999G", "must be" },
		{ "guest name=a on_reboot=maybe",
		  "on_reboot=maybe:\n  must be restart, destroy or machine" },
		{ "guest name=a on_crash=", "on_crash=:\n  must be restart, destroy or machine" },
		{ "guest name=a pin=", "pin=:\n  not a list" },
		{ "guest name=a pin=1,", "pin=1,:\n  not a list" },
		{ "guest name=a pin=,1", "not a list" },
		{ "guest name=a pin=1-", "not a list" },
		{ "guest name=a pin=-1", "not a list" },
		{ "guest name=a pin=3-2", "CPU numbers are 0 to 1023" },
		{ "guest name=a pin=1024", "CPU numbers are 0 to 1023" },
		{ "guest name=a pin=0-4294967295", "CPU numbers are 0 to 1023" },
		{ "guest name=a pin=0-18446744073709551615", "CPU numbers are 0 to 1023" },
		{ "guest name=a pin=1,0-2", "a CPU is listed twice" },
		{ "guest name=a dedicated=1,x", "not a list" },
		{ "guest name=a dedicated=1-2", "dedicated= lists a CPU for each vCPU" },
		{ "guest name=a vcpus=3 dedicated=1-2", "dedicated= lists a CPU for each vCPU" },
		{ "guest name=a trusted", "trusted is for such a guest" },
		{ "guest name=a pci=", "pci=:\n  not a list" },
		{ "guest name=a pci=03:00.0", "not a list of PCI functions such as" },
		{ "guest name=a pci=0000:03:00.0,", "not a list" },
		{ "guest name=a pci=0000:03:20.0", "not a list" },
		{ "guest name=a pci=0000:03:00.8", "not a list" },
		{ "guest name=a pci=0000:103:00.0", "not a list" },
		{ "guest name=a pci=00000:03:00.0", "not a list" },
		{ "guest name=a pci=0000:03:00.0x", "not a list" },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		setup(state);
		if (guest_spec_parse(bad[i].args, &g) != -EINVAL)
			fail_msg("'%s' was taken", bad[i].args);
		assert_logged(bad[i].message);
		assert_int_equal(host_logged("module 7 "), 1);
		assert_true(strnlen(g.name, sizeof(g.name)) < sizeof(g.name));
		assert_non_null(g.cmdline);
	}
	/* The parser reports all errors, and sets the name. */
	setup(state);
	assert_int_equal(guest_spec_parse("guest vcpus=0 mem=0 name=z", &g), -EINVAL);
	assert_int_equal(host_logged("module 7 "), 2);
	assert_string_equal(g.name, "z");
}

static void test_pci(void **state)
{
	const char *p, *end;
	u32 sbdf;

	(void)state;
	assert_int_equal(guest_spec_parse("guest name=a pci=0000:03:00.0,fFff:ff:1f.7", &g), 0);
	assert_true(g.pci);
	p = g.pci_list;
	end = p + g.pci_list_len;
	assert_int_equal(next_pci_function(&p, end, &sbdf), 0);
	assert_int_equal(sbdf, 0x300);
	assert_int_equal(next_pci_function(&p, end, &sbdf), 0);
	assert_int_equal(sbdf, ~0U);
	assert_null(p);
	/* A bus without functions. */
	assert_int_equal(guest_spec_parse("guest name=a pci", &g), 0);
	assert_true(g.pci);
	assert_null(g.pci_list);
}

static void test_name_length(void **state)
{
	(void)state;
	assert_int_equal(guest_spec_parse("guest name=0123456789012345678901234567890", &g), 0);
	assert_int_equal(strlen(g.name), 31);
	assert_int_equal(guest_spec_parse("guest name=longer name=b", &g), 0);
	assert_string_equal(g.name, "b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_minimal, setup),
		cmocka_unit_test_setup(test_whole, setup),
		cmocka_unit_test_setup(test_affinity, setup),
		cmocka_unit_test_setup(test_other_kinds, setup),
		cmocka_unit_test_setup(test_policies, setup),
		cmocka_unit_test_setup(test_bad, setup),
		cmocka_unit_test_setup(test_pci, setup),
		cmocka_unit_test_setup(test_name_length, setup),
	};

	return cmocka_run_group_tests_name("guest_spec", tests, NULL, NULL);
}
