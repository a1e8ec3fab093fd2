/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Margay's options, and numbers in boot strings.
 * unit-sources: common/boot/cmdline.c
 */
#include "host.h"

#include <margay/cmdline.h>
#include <margay/errno.h>
#include <margay/lib.h>

static struct margay_options defaults;

static int setup(void **state)
{
	(void)state;
	opt = defaults;
	host_log_clear();
	return 0;
}

static void test_defaults(void **state)
{
	(void)state;
	assert_int_equal(cmdline_parse(""), 0);
	assert_int_equal(cmdline_parse(" \t\n "), 0);
	assert_silent();
	assert_int_equal(opt.when_empty, WHEN_EMPTY_WAIT);
	assert_int_equal(opt.maxcpus, 1024);
	assert_string_equal(opt.com1, "115200,8n1,0x3f8");
	assert_int_equal(opt.sched_slice, 10000);
	assert_int_equal(opt.conswitch, 'a');
	assert_int_equal(opt.loglevel, LOGLEVEL_INFO);
	assert_false(opt.console_sync);
	assert_false(opt.nox2apic);
	assert_false(opt.noreboot);
	assert_false(opt.perf_boot);
}

static void test_all(void **state)
{
	static const char line[] = "when_empty=poweroff maxcpus=4  com1=57600 sched_slice=0x1000 "
				   "conswitch=x\tconsole_sync loglevel=debug nox2apic=yes "
				   "noreboot=1 perf_boot=on";

	(void)state;
	assert_int_equal(cmdline_parse(line), 0);
	assert_silent();
	assert_int_equal(opt.when_empty, WHEN_EMPTY_POWEROFF);
	assert_int_equal(opt.maxcpus, 4);
	assert_string_equal(opt.com1, "57600");
	assert_int_equal(opt.sched_slice, 4096);
	assert_int_equal(opt.conswitch, 'x');
	assert_true(opt.console_sync);
	assert_int_equal(opt.loglevel, LOGLEVEL_DEBUG);
	assert_true(opt.nox2apic);
	assert_true(opt.noreboot);
	assert_true(opt.perf_boot);
	/* Limits are inclusive. */
	assert_int_equal(cmdline_parse("maxcpus=1024 conswitch=z sched_slice=100"), 0);
	assert_int_equal(opt.maxcpus, 1024);
	assert_int_equal(cmdline_parse("maxcpus=1 conswitch=a sched_slice=1000000"), 0);
	assert_int_equal(opt.conswitch, 'a');
	/* The last occurrence takes effect. */
	assert_int_equal(cmdline_parse("nox2apic=no maxcpus=5 maxcpus=6 when_empty=reboot"), 0);
	assert_false(opt.nox2apic);
	assert_int_equal(opt.maxcpus, 6);
	assert_int_equal(opt.when_empty, WHEN_EMPTY_REBOOT);
}

static void test_bad(void **state)
{
	static const struct {
		const char *line, *message;
	} bad[] = {
		{ "bogus", "unknown option: bogus" },
		{ "bogus=1", "unknown option: bogus=1" },
		{ "maxcpu=1", "unknown option: maxcpu=1" },
		{ "maxcpus2=1", "unknown option: maxcpus2=1" },
		{ "=1", "unknown option: =1" },
		{ "maxcpus", "maxcpus needs a value: 1 to 1024" },
		{ "maxcpus=", "option maxcpus=: bad value, expected 1 to 1024" },
		{ "maxcpus=0", "option maxcpus=0: bad value" },
		{ "maxcpus=1025", "option maxcpus=1025: bad value" },
		{ "maxcpus=-1", "option maxcpus=-1: bad value" },
		{ "maxcpus=4x", "option maxcpus=4x: bad value" },
		{ "maxcpus=99999999999999999999", "bad value" },
		{ "maxcpus=4294967300", "bad value" },
		{ "when_empty=sleep", "bad value, expected wait|poweroff|reboot" },
		{ "when_empty=poweroffs", "bad value, expected wait|poweroff|reboot" },
		{ "when_empty=power", "bad value, expected wait|poweroff|reboot" },
		{ "loglevel=", "err|warn|info|debug" },
		{ "conswitch=ab", "bad value, expected a letter" },
		{ "conswitch=A", "bad value, expected a letter" },
		{ "nox2apic=maybe", "bad value, expected yes or no" },
		{ "nox2apic=", "bad value, expected yes or no" },
		{ "com1=01234567890123456789012345678901", "at most 31 characters" },
		{ "--", "unknown option: --" },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		setup(state);
		assert_int_equal(cmdline_parse(bad[i].line), 1);
		assert_logged(bad[i].message);
		assert_int_equal(host_logged("\n"), 1);
		assert_memory_equal(&opt, &defaults, sizeof(opt));
	}
	/* The other options still take effect. */
	setup(state);
	assert_int_equal(cmdline_parse("a b=c maxcpus=3 maxcpus=x"), 3);
	assert_int_equal(opt.maxcpus, 3);
}

static void test_long_word(void **state)
{
	static char line[5000];

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	assert_int_equal(cmdline_parse(line), 1);
	assert_true(strlen(host_log) < 120);
}

static void test_help(void **state)
{
	(void)state;
	cmdline_parse("maxcpus=7 when_empty=reboot noreboot");
	cmdline_help();
	assert_logged("maxcpus=7 ");
	assert_logged("when_empty=reboot ");
	assert_logged("wait|poweroff|reboot");
	assert_logged("noreboot=yes ");
	assert_logged("conswitch=a ");
	assert_logged("com1=115200,8n1,0x3f8 ");
	assert_lines_fit();
}

static int uint_of(const char *s, u64 *v)
{
	return parse_uint(s, strlen(s), v);
}

static int size_of(const char *s, u64 *v)
{
	return parse_size(s, strlen(s), v);
}

static void test_words_of_lists(void **state)
{
	static const char *const words[] = { "off", "rsb" };

	(void)state;
	option_check("spec", "mitigation", "rsb,off", words, 2);
	option_check("spec", "mitigation", "", words, 2);
	assert_silent();
	option_check("spec", "mitigation", "off,foo,rs", words, 2);
	assert_logged("option spec: there is no mitigation 'foo'");
	assert_logged("option spec: there is no mitigation 'rs'");
}

static void test_numbers(void **state)
{
	u64 v = 0;

	(void)state;
	assert_int_equal(uint_of("0", &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(uint_of("18446744073709551615", &v), 0);
	assert_true(v == ~0UL);
	assert_int_equal(uint_of("18446744073709551616", &v), -ERANGE);
	assert_int_equal(uint_of("0xFfFfffffffffffff", &v), 0);
	assert_true(v == ~0UL);
	assert_int_equal(uint_of("0x10000000000000000", &v), -ERANGE);
	assert_int_equal(uint_of("0xabcdef", &v), 0);
	assert_int_equal(v, 0xabcdef);
	assert_int_equal(uint_of("", &v), -EINVAL);
	assert_int_equal(uint_of("0x", &v), -EINVAL);
	assert_int_equal(uint_of("12a", &v), -EINVAL);
	assert_int_equal(uint_of("0x1g", &v), -EINVAL);
	assert_int_equal(uint_of("+1", &v), -EINVAL);
	assert_int_equal(uint_of(" 1", &v), -EINVAL);
	assert_int_equal(parse_uint("1234", 2, &v), 0);
	assert_int_equal(v, 12);

	assert_int_equal(size_of("512M", &v), 0);
	assert_int_equal(v, 512UL << 20);
	assert_int_equal(size_of("4k", &v), 0);
	assert_int_equal(v, 4096);
	assert_int_equal(size_of("1G", &v), 0);
	assert_int_equal(v, 1UL << 30);
	assert_int_equal(size_of("2t", &v), 0);
	assert_int_equal(v, 2UL << 40);
	assert_int_equal(size_of("7", &v), 0);
	assert_int_equal(v, 7);
	assert_int_equal(size_of("0x10K", &v), 0);
	assert_int_equal(v, 0x4000);
	assert_int_equal(size_of("16777215T", &v), 0);
	assert_int_equal(size_of("16777216T", &v), -ERANGE);
	assert_int_equal(size_of("M", &v), -EINVAL);
	assert_int_equal(size_of("", &v), -EINVAL);
	assert_int_equal(size_of("1MM", &v), -EINVAL);
	assert_int_equal(size_of("1P", &v), -EINVAL);
	assert_int_equal(parse_size("1M\0", 3, &v), -EINVAL);
}

static void test_com1(void **state)
{
	static const char *const bad[] = {
		"", "0", "9601", "115201", "x", ",8n1",
		"9600,", "9600,8", "9600,9n1", "9600,8x1", "9600,8n3", "9600,8n1,", "9600,8n1x",
		"9600,8n1,0", "9600,8n1,0x10000", "9600,8n1,pcie", "9600,8n1,0x3f8,",
	};
	struct uart_config c;
	unsigned int i;

	(void)state;
	assert_int_equal(uart_parse("com1", "9600", 0x3f8, &c), 0);
	assert_int_equal(c.baud, 9600);
	assert_int_equal(c.lcr, 0x03);
	assert_int_equal(c.iobase, 0x3f8);
	assert_int_equal(uart_parse("com1", "38400,7e2,0x2f8", 0x3f8, &c), 0);
	assert_int_equal(c.baud, 38400);
	assert_int_equal(c.lcr, 0x1e);
	assert_int_equal(c.iobase, 0x2f8);
	assert_int_equal(uart_parse("com1", "115200,8o1,0xfff8", 0x3f8, &c), 0);
	assert_int_equal(c.lcr, 0x0b);
	assert_int_equal(c.iobase, 0xfff8);
	assert_int_equal(uart_parse("com2", "19200,8n1", 0x2f8, &c), 0);
	assert_int_equal(c.iobase, 0x2f8);
	assert_false(c.pci);
	assert_int_equal(uart_parse("com1", "9600,8n1,pci", 0x3f8, &c), 0);
	assert_true(c.pci);
	assert_silent();
	assert_int_equal(uart_parse("com1", defaults.com1, 0x3f8, &c), 0);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		host_log_clear();
		if (uart_parse("com1", bad[i], 0x3f8, &c) != -EINVAL)
			fail_msg("com1=%s was taken", bad[i]);
		assert_logged("option com1=");
		assert_int_equal(c.baud, 115200);
		assert_int_equal(c.iobase, 0x3f8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_defaults, setup),
		cmocka_unit_test_setup(test_all, setup),
		cmocka_unit_test_setup(test_bad, setup),
		cmocka_unit_test_setup(test_long_word, setup),
		cmocka_unit_test_setup(test_help, setup),
		cmocka_unit_test_setup(test_words_of_lists, setup),
		cmocka_unit_test_setup(test_numbers, setup),
		cmocka_unit_test_setup(test_com1, setup),
	};

	defaults = opt;
	return cmocka_run_group_tests_name("cmdline", tests, NULL, NULL);
}
