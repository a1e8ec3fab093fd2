/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The serial line. Output goes through one buffer that the UART's interrupt drains. A guest's ring
 * is drained only while the buffer has room, so a slow line slows guests and never Margay. One
 * lock, the innermost, protects the buffers and the UART. Guests' rings follow xen/io/console.h;
 * their contents are hostile.
 */
#include <margay/arch.h>
#include <margay/cmdline.h>
#include <margay/console.h>
#include <margay/domain_parts.h>
#include <margay/evtchn.h>
#include <margay/guest_copy.h>
#include <margay/printk.h>
#include <margay/sched.h>
#include <xen/io/console.h>

#define OUT_SIZE 8192U
#define OUT_LOW (OUT_SIZE / 4)
#define OUT_SPARE 128U		/* for a tag and a line end */
#define IN_SIZE 256U
#define POLL_NS 20000000UL	/* when the UART has no interrupt */

struct guest_console {
	struct list link;
	struct domain *d;
	struct xencons_interface *ring; /* the guest's, or a page of Margay's for console_io */
	int port;                       /* 0: the guest has no ring */
	bool waiting;                   /* for room in the output buffer */
};

static struct spinlock lock = SPINLOCK_INIT(LOCK_CONSOLE);
static struct list consoles = LIST_INIT(consoles); /* in order of creation; under domains_lock */

static char out[OUT_SIZE];
static u32 out_head, out_tail;
static bool sync = true;
static volatile bool panicking;
static struct cpu *panic_cpu;

static char in[IN_SIZE];
static u32 in_head, in_tail;

static struct domain *line_owner;	/* the writer of the unfinished line; NULL: Margay */
static bool line_open;

static struct domain *focus;		/* receives the input; NULL: Margay */
static char focus_name[32];		/* kept while that guest restarts */
static bool focus_chosen;
static unsigned escapes;

static struct timer poll_timer;

static u32 room(void)
{
	return OUT_SIZE - (out_head - out_tail);
}

static void pump(void)
{
	while (out_tail != out_head && uart_tx_ready())
		uart_tx(out[out_tail++ % OUT_SIZE]);
}

static void flush_one(void)
{
	uart_putc_sync(out[out_tail++ % OUT_SIZE]);
}

static void put_raw(char c)
{
	kept_log_put(c);
	if (sync) {
		uart_putc_sync(c);
		return;
	}
	if (!room())		/* only Margay's messages find the buffer full */
		flush_one();
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

/* Starts each line with its writer's name. Ends another writer's unfinished line first. */
static void put_tagged(struct domain *d, char c)
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

static void finish_output(void)
{
	if (sync)
		return;
	pump();
	uart_enable_irqs(out_tail != out_head);
}

void console_write(struct domain *d, const char *s, size_t n)
{
	bool own = panicking && panic_cpu == this_cpu();

	if (!own)
		spin_lock(&lock);
	while (n--)
		put_tagged(d, *s++);
	finish_output();
	if (!own)
		spin_unlock(&lock);
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
	while (out_tail != out_head)
		flush_one();
	sync = true;
}

void panic_poll(void)
{
	if (panicking && panic_cpu != this_cpu())
		arch_halt();
}

void console_flush(void)
{
	guard(&lock);
	while (out_tail != out_head)
		flush_one();
	uart_drain();
}

/* Guest rings. */

/*
 * Moves the guest's output to the buffer while there is room. Returns true when the guest must be
 * notified. Holds the lock throughout, since the guest's event and the UART's interrupt may run
 * this on two CPUs.
 */
static bool drain(struct guest_console *c)
{
	struct xencons_interface *r = c->ring;
	u32 prod, cons, start;

	guard(&lock);
	prod = READ_ONCE(r->out_prod);
	cons = start = READ_ONCE(r->out_cons);
	barrier();
	if (prod - cons > sizeof(r->out))	/* invalid: drop all of it */
		cons = prod;
	while (cons != prod && room() > OUT_SPARE)
		put_tagged(c->d, r->out[cons++ % sizeof(r->out)]);
	finish_output();
	c->waiting = cons != prod;
	barrier();
	WRITE_ONCE(r->out_cons, cons);
	return cons != start;
}

/* Handles the guest's event: it wrote output, or it read input and made room. */
static void ring_event(struct domain *d)
{
	struct guest_console *c = d->console;

	if (!c)
		return;
	if (drain(c))
		evtchn_notify(d, (unsigned)c->port);
	if (d == focus && in_head != in_tail)
		cpu_raise(housekeeping_cpu, CPU_WORK_CONSOLE);
}

int console_attach(struct domain *d)
{
	struct guest_console *c = kzalloc(sizeof(*c));
	u64 gfn = d->hvm_params[HVM_PARAM_CONSOLE_PFN];
	mfn_t mfn;

	if (!c)
		return -ENOMEM;
	if (!gfn)
		c->ring = alloc_page();
	else if (!p2m_get_page(d, gfn, &mfn))
		c->ring = guest_shared_page(d, mfn, 0);
	if (!c->ring) {
		kfree(c);
		return -ENOMEM;
	}
	c->d = d;
	list_init(&c->link);
	d->console = c;
	/* console_detach() releases everything from here on. */
	if (gfn) {
		c->port = evtchn_alloc_margay(d, ring_event);
		if (c->port < 0)
			return c->port;
		d->hvm_params[HVM_PARAM_CONSOLE_EVTCHN] = (u64)c->port;
	}
	guard(&domains_lock);
	list_add_tail(&c->link, &consoles);
	if (focus_chosen && !focus && !strcmp(focus_name, d->name))
		focus = d;
	return 0;
}

/* The guest's last output must reach the serial line. */
static bool console_drained(struct domain *d)
{
	struct guest_console *c = d->console;

	if (c)
		drain(c);
	return !c || !c->waiting;
}

static void console_detach(struct domain *d)
{
	struct guest_console *c = d->console;

	if (!c)
		return;
	spin_lock(&domains_lock);
	list_del(&c->link);
	if (focus == d)
		focus = NULL;
	spin_unlock(&domains_lock);
	spin_lock(&lock);
	if (line_open && line_owner == d)
		end_line();
	finish_output();
	spin_unlock(&lock);
	d->console = NULL;
	if (c->port)
		page_put(d, virt_to_mfn(c->ring));
	else
		free_page(c->ring);
	kfree(c);
}

static int console_destroy(struct domain *d)
{
	if (!console_drained(d))
		return -ERESTART;
	console_detach(d);
	return 0;
}

const struct domain_part console_part = { .destroy = console_destroy };

size_t console_guest_write(struct domain *d, const char *s, size_t n)
{
	size_t done = 0;

	guard(&lock);
	while (done < n && room() > OUT_SPARE)
		put_tagged(d, s[done++]);
	finish_output();
	return done;
}

/* Serves console_io for a domain without a ring. Only the domain itself calls this. */
size_t console_guest_read(struct domain *d, char *s, size_t n)
{
	struct xencons_interface *r = d->console->ring;
	size_t got = 0;

	guard(&lock);
	while (got < n && r->in_cons != READ_ONCE(r->in_prod))
		s[got++] = r->in[r->in_cons++ % sizeof(r->in)];
	return got;
}

/* Input. */

/* Puts a character into the guest's ring. False: it is full. Called with domains_lock. */
static bool give(struct domain *d, char ch)
{
	struct guest_console *c = d->console;
	struct xencons_interface *r = c->ring;
	u32 prod = READ_ONCE(r->in_prod);

	if (prod - READ_ONCE(r->in_cons) >= sizeof(r->in))
		return false;
	r->in[prod % sizeof(r->in)] = ch;
	barrier();
	WRITE_ONCE(r->in_prod, prod + 1);
	if (c->port)
		evtchn_notify(d, (unsigned)c->port);
	else
		evtchn_virq(d->vcpus[0], VIRQ_CONSOLE);
	return true;
}

/* Moves the input to the next guest, and after the last one to Margay. Called with domains_lock. */
static void rotate_focus(void)
{
	struct guest_console *c = focus ? focus->console : NULL;
	struct list *next = c ? c->link.next : consoles.next;

	focus = next == &consoles ? NULL : list_entry(next, struct guest_console, link)->d;
	strcopy(focus_name, focus ? focus->name : "", sizeof(focus_name));
}

static void say_focus(void)
{
	printk("input goes to %s; Ctrl-%c three times switches\n",
	       focus ? focus_name : "Margay, h for help", (char)opt.conswitch - 32);
}

void console_guests_started(void)
{
	guard(&domains_lock);
	if (!focus)
		rotate_focus();
	focus_chosen = true;
	say_focus();
}

/* Handles one input character. Returns false when the guest has no room for it now. */
static bool take_input(char ch)
{
	char escape = (char)(opt.conswitch & 0x1f);

	if (ch == escape) {
		if (++escapes == 3) {
			escapes = 0;
			rotate_focus();
			say_focus();
		}
		return true;
	}
	/* Fewer than three escape characters belong to the guest. */
	for (; escapes && focus; escapes--)
		give(focus, escape);
	escapes = 0;
	if (focus)
		return give(focus, ch);
	console_key(ch);
	return true;
}

void console_work(void)
{
	struct guest_console *c;

	guard(&domains_lock);
	while (in_tail != in_head && take_input(in[in_tail % IN_SIZE]))
		in_tail++;
	list_for_each(c, &consoles, link)
		if (c->waiting && drain(c))
			evtchn_notify(c->d, (unsigned)c->port);
}

/* Serves the UART in both directions. Leaves the rest to the CPU's loop (CPU_WORK_CONSOLE). */
void console_irq(void)
{
	bool work = false;
	int ch;

	spin_lock(&lock);
	/* The limit bounds the loop for a UART that is gone, which always has data. */
	for (unsigned i = 0; i < IN_SIZE && (ch = uart_rx()) >= 0; i++) {
		if (in_head - in_tail < IN_SIZE)
			in[in_head++ % IN_SIZE] = (char)ch;
		work = true;
	}
	pump();
	uart_enable_irqs(out_tail != out_head);
	work |= OUT_SIZE - room() < OUT_LOW;
	spin_unlock(&lock);
	if (work)
		atomic_or(&this_cpu()->work, CPU_WORK_CONSOLE);
}

static void poll(struct timer *t)
{
	console_irq();
	timer_set(t, now() + POLL_NS);
}

void console_early_init(void)
{
	uart_init(0x3f8, 115200, 3);
}

void console_init(void)
{
	struct com1_config c;

	com1_parse(opt.com1, &c);
	uart_init(c.iobase, c.baud, c.lcr);
	sync = opt.console_sync || !uart_present();
	if (!uart_present())
		return;
	if (uart_route_irq()) {
		pr_warn("no interrupt for the serial port: it is polled\n");
		sync = true;
		timer_init(&poll_timer, poll);
		timer_set(&poll_timer, now() + POLL_NS);
		return;
	}
	uart_enable_irqs(false);
}
