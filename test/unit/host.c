/* SPDX-License-Identifier: BSD-2-Clause */
/* printk for tests on the build host. Formats into a buffer and truncates. A panic aborts. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <margay/printk.h>
#include <margay/trace.h>

__attribute__((weak)) void arch_poll_irqs(void);
void arch_poll_irqs(void)
{
}

extern char host_log[65536];
void host_log_clear(void);
unsigned int host_logged(const char *text);
void assert_lines_fit(void);

char host_log[65536];
static size_t used;

static void add(const char *fmt, va_list ap)
{
	int n = vsnprintf(host_log + used, sizeof(host_log) - used, fmt, ap);

	if (n > 0)
		used += n;
	if (used > sizeof(host_log) - 1)
		used = sizeof(host_log) - 1;
}

void printk_at(enum loglevel level, const char *fmt, ...)
{
	va_list ap;

	(void)level;
	va_start(ap, fmt);
	add(fmt, ap);
	va_end(ap);
}

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	abort();
}

void host_log_clear(void)
{
	used = 0;
	host_log[0] = 0;
}

unsigned int host_logged(const char *text)
{
	const char *p = host_log;
	unsigned int n = 0;

	while ((p = strstr(p, text))) {
		n++;
		p++;
	}
	return n;
}

void assert_lines_fit(void)
{
	for (const char *p = host_log, *end; *p; p = end + (*end == '\n')) {
		end = p + strcspn(p, "\n");
		if (end - p > 80 - 9) {
			fprintf(stderr, "above 80 columns: %.*s\n", (int)(end - p), p);
			abort();
		}
	}
}

/* Stubs for programs linked without the trace, the clock or the counters. They record nothing. */
void __attribute__((weak)) trace_write(unsigned event, const struct vcpu *v, u64 a, u64 b)
{
	(void)event, (void)v, (void)a, (void)b;
}

extern struct cpu *host_cpu __attribute__((weak)); /* of the program */

bool tracing(u32 events)
{
	return host_cpu->trace & events;
}

u64 with_cpu_work(u64 work)
{
	return work | host_cpu->work;
}

void count_exit_ticks(u64 ticks)
{
	host_cpu->exit_ticks += ticks;
}

/* One CPU: the locks only show whether they are held. */
void spin_lock(struct spinlock *l)
{
	l->owner++;
	l->next++;
}

void spin_lock_two(struct spinlock *a, struct spinlock *b)
{
	spin_lock(a);
	spin_lock(b);
}

void spin_unlock(struct spinlock *l)
{
	l->owner--;
}

bool spin_is_locked(const struct spinlock *l)
{
	return l->owner != 0;
}

u64 __attribute__((weak)) rdtsc(void)
{
	return 0;
}
