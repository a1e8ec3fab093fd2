/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of Margay's messages: read from a position, after it has wrapped, and beyond its end; and
 * lines that the output buffer has no room for.
 * unit-sources: common/console.c test/unit/mock_cpus.c
 */
#include "host.h"

#include <margay/arch.h>
#include <margay/cmdline.h>
#include <margay/console.h>
#include <margay/timer.h>

#include "mock_cpus.h"

#define LOG 65536U

struct margay_options opt;
struct cpu *housekeeping_cpu;
static char sent[1 << 20];
static size_t nr_sent;
static bool is_ready;

void kept_log_put(char c)
{
	(void)c;
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	(void)t;
	(void)fn;
}

void timer_set(struct timer *t, stime_t when)
{
	(void)t;
	(void)when;
}

stime_t now(void)
{
	return 0;
}

void cpu_raise(struct cpu *c, u32 work)
{
	(void)c;
	(void)work;
}

void arch_console_early(void)
{
}

void arch_cpu_nmi(struct cpu *c)
{
	(void)c;
}

void udelay(unsigned us)
{
	(void)us;
}

void arch_halt(void)
{
	abort();
}

static bool ready(struct console *c)
{
	(void)c;
	return is_ready;
}

static void put(struct console *c, char ch)
{
	(void)c;
	sent[nr_sent++] = ch;
}

static struct console line = { .name = "line", .burst = 16, .ready = ready, .put = put };

static void write_line(unsigned i)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "message %06u\n", i);

	console_write(text, (size_t)n);
}

static int setup(void **state)
{
	(void)state;
	mock_cpus_init(1);
	return 0;
}

static void test_wrapped_log(void **state)
{
	char text[15 * 3];
	u64 at = 0;

	(void)state;
	assert_int_equal(console_log_read(&at, text, sizeof(text)), 0);
	write_line(0);
	assert_int_equal(console_log_read(&at, text, 4), 4);
	assert_memory_equal(text, "mess", 4);
	assert_int_equal(console_log_read(&at, text, sizeof(text)), 11);
	assert_memory_equal(text, "age 000000\n", 11);
	assert_int_equal(at, 15);

	for (unsigned i = 1; i < 10000; i++)
		write_line(i);
	assert_int_equal(console_log_read(&at, text, 10), 10);
	assert_int_equal(at, 150000 - LOG + 10);
	at = 150000 - 15;
	assert_int_equal(console_log_read(&at, text, sizeof(text)), 15);
	assert_memory_equal(text, "message 009999\n", 15);
	assert_int_equal(console_log_read(&at, text, sizeof(text)), 0);
	assert_int_equal(at, 150000);
	at = UINT64_MAX;
	assert_int_equal(console_log_read(&at, text, sizeof(text)), sizeof(text));
	assert_int_equal(at, 150000 - LOG + sizeof(text));
}

/* A console that is not ready holds up no writer: the lines are lost, counted, and in the log. */
static void test_lost_lines(void **state)
{
	char text[16];
	u64 at = 0;

	(void)state;
	is_ready = true;	/* or each character waits */
	console_add(&line);
	console_start();
	is_ready = false;
	nr_sent = 0;
	for (unsigned i = 0; i < 2000; i++)
		write_line(i);
	assert_int_equal(nr_sent, 0);
	is_ready = true;
	write_line(2000);
	write_line(2001);
	sent[nr_sent] = 0;
	assert_non_null(strstr(sent, "(margay) message 000000\r\n(margay) message 000001\r\n"));
	assert_non_null(strstr(sent, " lines of output lost\r\n"));
	assert_non_null(strstr(sent, "message 002001\r\n"));
	at = UINT64_MAX;
	while (console_log_read(&at, text, 15) == 15)
		;
	at -= 15;
	assert_int_equal(console_log_read(&at, text, sizeof(text)), 15);
	assert_memory_equal(text, "message 002001\n", 15);
}

/* The console without input gets what was written until then, and nothing after it. */
static void test_screen(void **state)
{
	(void)state;
	is_ready = true;
	nr_sent = 0;
	write_line(1);
	assert_true(console_leave_screen());
	write_line(2);
	console_flush();
	sent[nr_sent] = 0;
	assert_non_null(strstr(sent, "message 000001\r\n"));
	assert_null(strstr(sent, "message 000002"));
	assert_false(console_leave_screen());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_wrapped_log, setup),
		cmocka_unit_test_setup(test_lost_lines, setup),
		cmocka_unit_test_setup(test_screen, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
