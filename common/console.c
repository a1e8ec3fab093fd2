/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Output to the consoles, input from them, and the log. All output goes through one buffer from
 * which each console sends at its own speed, by its interrupt or a timer. No CPU waits for a
 * console except at boot, at power-off and in a panic. One lock, the innermost, protects it all.
 */
#include <margay/vcpu.h>
#include <margay/cmdline.h>
#include <margay/timer.h>

#include "console_priv.h"

#define OUT_SIZE 16384U
#define OUT_SPARE 64U		/* for a tag and line ends */
#define IN_SIZE 256U
#define LOG_SIZE 65536U
#define SEND_NS 1000000UL	/* polls a console without an interrupt while it has output */
#define INPUT_NS 20000000UL	/* ... or has none */
#define IRQ_WAIT_NS 1000000000UL /* for the first interrupt */
#define STUCK_NS 5000000000UL	/* a console that sends nothing for so long is given up */
#define SYNC_TRIES 100000U	/* a stuck line must not stop Margay */

struct spinlock console_lock = SPINLOCK_INIT(LOCK_CONSOLE);
static struct list consoles = LIST_INIT(consoles);

static char out[OUT_SIZE];
static u32 out_head;
static u32 lost;		/* lines of Margay's for which out[] had no room */
static bool sync = true;	/* send each message at once */
static bool want_work;
static stime_t work_after;		/* guests' endless output leaves the CPU some time */
static volatile bool panicking;
static struct cpu *panic_cpu;

static char in[IN_SIZE];
static u32 in_head, in_tail;

static char messages[LOG_SIZE];
static u64 log_head;

static struct domain *line_owner;	/* the writer of the unfinished line; NULL: Margay */
static bool line_open;

static struct timer poll_timer;
static bool polling;			/* poll_timer is armed, or console_poll() will arm it */
static stime_t started;

u32 console_backlog(void)
{
	struct console *c;
	u32 most = 0;

	list_for_each(c, &consoles, link)
		most = max(most, out_head - c->sent);
	return most;
}

static bool can_send(struct console *c)
{
	if (!c->credit && c->ready && c->ready(c))
		c->credit = c->burst;
	return c->credit;
}

static void send(struct console *c)
{
	while (c->sent != out_head && can_send(c)) {
		c->put(c, out[c->sent++ % OUT_SIZE]);
		c->credit--;
	}
}

static void send_sync(void)
{
	struct console *c;

	list_for_each(c, &consoles, link)
		while (c->sent != out_head) {
			for (unsigned i = 0; c->ready && i < SYNC_TRIES && !can_send(c); i++)
				;
			c->put(c, out[c->sent++ % OUT_SIZE]);
			c->credit -= c->credit != 0;
		}
}

static void put_raw(char c)
{
	kept_log_put(c);
	out[out_head++ % OUT_SIZE] = c;
}

static void put_string(const char *s)
{
	while (*s)
		put_raw(*s++);
}

static void end_line(void)
{
	put_string("\r\n");
	line_open = false;
}

void console_end_line_of(struct domain *d)
{
	if (line_open && line_owner == d)
		end_line();
}

/* Starts each line with its writer's name. Ends another writer's unfinished line first. */
void console_put(struct domain *d, char c)
{
	if (line_open && line_owner != d)
		end_line();
	if (!line_open) {
		put_raw(d ? '[' : '(');
		put_string(d ? d->name : "margay");
		put_string(d ? "] " : ") ");
		line_open = true;
		line_owner = d;
	}
	if (c == '\n')
		end_line();
	else
		put_raw(c);
}

static void put_lost(void)
{
	char line[48];

	snprintf(line, sizeof(line), "%u line%s of output lost\n", lost, lost == 1 ? "" : "s");
	lost = 0;
	for (const char *s = line; *s; s++)
		console_put(NULL, *s);
}

void console_send(void)
{
	struct console *c;

	BUG_ON(!panicking && !spin_is_locked(&console_lock));
	if (sync)
		send_sync();
	if (lost && console_backlog() < OUT_LOW)
		put_lost();
	list_for_each(c, &consoles, link) {
		send(c);
		if (c->routed)
			c->enable(c, c->sent != out_head || !c->works);
		if (!polling && !c->works && c->sent != out_head) {
			polling = true;
			cpu_raise(housekeeping_cpu, CPU_WORK_CONSOLE);
		}
	}
	if (want_work && console_backlog() < OUT_LOW && now() >= work_after) {
		want_work = false;
		cpu_raise(housekeeping_cpu, CPU_WORK_CONSOLE);
	}
}

void console_want_work(void)
{
	want_work = true;
	console_send();
}

void console_want_work_later(void)
{
	work_after = now() + SEND_NS;
	polling = true;
	console_want_work();
}

void console_write(const char *s, size_t n)
{
	bool own = panicking && panic_cpu == this_cpu();

	if (!own)
		spin_lock(&console_lock);
	for (size_t i = 0; i < n; i++)
		messages[log_head++ % LOG_SIZE] = s[i];
	if (n + OUT_SPARE > OUT_SIZE - console_backlog())
		lost++;
	else
		while (n--)
			console_put(NULL, *s++);
	console_send();
	if (!own)
		spin_unlock(&console_lock);
}

size_t console_log_read(u64 *at, char *to, size_t n)
{
	size_t got = 0;

	guard(&console_lock);
	if (*at > log_head || log_head - *at > LOG_SIZE)
		*at = log_head < LOG_SIZE ? 0 : log_head - LOG_SIZE;
	while (got < n && *at < log_head)
		to[got++] = messages[(*at)++ % LOG_SIZE];
	return got;
}

void console_panic_start(void)
{
	/* If several CPUs panic at once, only the first continues. */
	if (atomic_xchg(&panicking, true)) {
		if (panic_cpu == this_cpu())
			return;
		arch_halt();
	}
	panic_cpu = this_cpu();
	smp_mb();
	for (unsigned i = 0; i < nr_cpus; i++)
		if (cpus[i] != this_cpu())
			arch_cpu_nmi(cpus[i]);
	if (nr_cpus > 1)
		udelay(1000);
	if (!started && list_empty(&consoles))
		arch_console_early();
	sync = true;
	send_sync();
}

void panic_poll(void)
{
	if (panicking && panic_cpu != this_cpu())
		arch_halt();
}

void console_flush(void)
{
	struct console *c;

	guard(&console_lock);
	send_sync();
	/* A UART is ready again when the last character has left its buffer. */
	list_for_each(c, &consoles, link)
		for (unsigned i = 0; i < SYNC_TRIES && c->ready && !c->ready(c); i++)
			;
}

/* Input. */

static void receive(struct console *c)
{
	int ch;

	/* The limit bounds the loop for a UART that is gone, which always has data. */
	for (unsigned i = 0; c->get && i < IN_SIZE && (ch = c->get(c)) >= 0; i++) {
		if (in_head - in_tail < IN_SIZE)
			in[in_head++ % IN_SIZE] = (char)ch;
		atomic_or(&this_cpu()->work, CPU_WORK_CONSOLE);
	}
}

void console_input(bool (*take)(char ch))
{
	while (in_tail != in_head && take(in[in_tail % IN_SIZE]))
		in_tail++;
}

bool console_has_input(void)
{
	return in_head != in_tail;
}

/*
 * Serves the UARTs in both directions until none has a cause left, so that an edge-triggered
 * interrupt arrives again. Leaves the rest to the CPU's loop (CPU_WORK_CONSOLE).
 */
void console_irq(void)
{
	struct console *c;

	guard(&console_lock);
	list_for_each(c, &consoles, link)
		for (unsigned i = 0; c->routed && i < IN_SIZE && c->pending(c); i++) {
			c->works = true;
			receive(c);
			send(c);
		}
	console_send();
}

/* Gives up a console that has not sent anything for a long time, so that others go on. */
static bool stuck(struct console *c)
{
	if (c->sent == out_head || c->sent != c->sent_before) {
		c->sent_before = c->sent;
		c->stuck = now();
	}
	return now() - c->stuck > STUCK_NS;
}

/* Serves the consoles whose interrupt is not there or has not been seen. */
static void poll(struct timer *t)
{
	struct console *c, *next;
	stime_t pause = 0;
	const char *gone = NULL, *mute = NULL;

	spin_lock(&console_lock);
	for (c = list_first(&consoles, struct console, link); &c->link != &consoles; c = next) {
		next = list_first(&c->link, struct console, link);
		if (c->works)
			continue;
		receive(c);
		if (!c->ready)
			c->credit = c->burst;
		send(c);
		if (c->routed && !c->told && now() - started > IRQ_WAIT_NS) {
			mute = c->name;
			c->told = true;
		}
		if (stuck(c)) {
			gone = c->name;
			list_del(&c->link);
		} else if (c->sent != out_head || c->get) {
			pause = c->sent != out_head ? SEND_NS : pause ? pause : INPUT_NS;
		}
	}
	console_send();
	if (want_work)
		pause = SEND_NS;
	polling = pause;
	spin_unlock(&console_lock);
	if (pause)
		timer_set(t, now() + pause);
	if (mute)
		pr_warn("console %s: no interrupt in a second: it is polled\n", mute);
	if (gone)
		pr_warn("console %s: sends nothing: not used any more\n", gone);
}

void console_poll(void)
{
	if (polling && !timer_armed(&poll_timer))
		timer_set(&poll_timer, now() + SEND_NS);
}

void console_add(struct console *c)
{
	guard(&console_lock);
	c->sent = out_head > OUT_SIZE ? out_head - OUT_SIZE : 0;
	list_add_tail(&c->link, &consoles);
	if (sync)
		send_sync();
}

bool console_leave_screen(void)
{
	struct console *c;

	guard(&console_lock);
	list_for_each(c, &consoles, link)
		if (!c->get) {
			send_sync();
			list_del(&c->link);
			return true;
		}
	return false;
}

void __init console_describe(void)
{
	struct console *c;

	list_for_each(c, &consoles, link)
		printk("console %s: output%s\n", c->name,
		       !c->get   ? "" :
		       c->routed ? ", input by interrupt" :
				   ", input by polling");
}

void console_start(void)
{
	struct console *c;

	timer_init(&poll_timer, poll);
	started = now();
	list_for_each(c, &consoles, link) {
		c->routed = c->route && c->route(c);
		if (c->get && !c->routed)
			pr_warn("console %s: it has no interrupt: it is polled\n", c->name);
	}
	sync = opt.console_sync;
	polling = true;
	cpu_raise(housekeeping_cpu, CPU_WORK_CONSOLE);
	guard(&console_lock);
	list_for_each(c, &consoles, link)
		if (c->routed)
			c->enable(c, true);
}
