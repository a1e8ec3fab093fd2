/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guests at the consoles. A guest's output stays in its own ring until the guest has its turn: the
 * guests that have output take turns, each by a line or TURN characters, while the consoles'
 * backlog is short. So a slow console or a flood slows down only the guest that writes. The lists
 * of keys (keys.c) take turns, too. The input belongs to one guest or to Margay. Guests' rings
 * follow xen/io/console.h; their contents are hostile.
 */
#include <margay/cmdline.h>
#include <margay/domain_parts.h>
#include <margay/evtchn.h>
#include <margay/guest_copy.h>
#include <xen/io/console.h>

#include "console_priv.h"

#define TURN 256U
#define UNLIMITED (~0U)
#define WORK_NS 100000UL	/* of console_work() at once */

struct guest_console {
	struct list link;
	struct domain *d;
	struct xencons_interface *ring; /* the guest's, or a page of Margay's for console_io */
	int port;                       /* 0: the guest has no ring */
	bool lent; /* the control domain serves the ring; changes under both locks */
	struct list turn; /* in `waiting` while output waits in the ring; console_lock */
	u32 left; /* characters that a guest that has ended may still print; else UNLIMITED */
};

static struct list guests = LIST_INIT(guests); /* in order of creation; under domains_lock */
static struct list waiting = LIST_INIT(waiting); /* console_lock */

static struct domain *focus;		/* receives the input; NULL: Margay */
static char focus_name[32];		/* kept while that guest restarts */
static bool focus_chosen;
static unsigned escapes;

/*
 * Moves output from the guest's ring: a line or TURN characters. Returns the number of characters
 * that the guest gets room for; if more are left, it waits for its next turn. Called with
 * console_lock.
 */
static u32 move_output(struct guest_console *c)
{
	struct xencons_interface *r = c->ring;
	u32 cons = READ_ONCE(r->out_cons), n = READ_ONCE(r->out_prod) - cons, i = 0;
	char ch = 0;

	barrier();
	list_del(&c->turn);
	if (n > sizeof(r->out)) {	/* invalid: drop all of it */
		WRITE_ONCE(r->out_cons, cons + n);
		if (c->left != UNLIMITED)
			c->left = 0;
		return n;
	}
	n = min(n, c->left);
	while (i < n && i < TURN && ch != '\n') {
		ch = r->out[(cons + i++) % sizeof(r->out)];
		console_put(c->d, ch);
	}
	if (c->left != UNLIMITED)
		c->left -= i;
	if (i < n)
		list_add_tail(&c->turn, &waiting);
	barrier();
	WRITE_ONCE(r->out_cons, cons + i);
	return i;
}

/*
 * Gives turns to c until another guest's turn comes, for a ring's size at most: the guest may add
 * output all the time. Returns whether c's ring has more room now.
 */
static bool drain_ring(struct guest_console *c)
{
	u32 moved = 0, n = 1;

	guard(&console_lock);
	if (c->lent)
		return false;
	while (n && moved < sizeof(c->ring->out) && console_backlog() < OUT_HIGH &&
	       (list_empty(&waiting) || waiting.next == &c->turn)) {
		n = move_output(c);
		moved += n;
	}
	if (list_empty(&c->turn) && c->left && READ_ONCE(c->ring->out_prod) != c->ring->out_cons)
		list_add_tail(&c->turn, &waiting);
	if (list_empty(&waiting))
		console_send();
	else
		console_want_work();
	return moved;
}

static bool console_has_room(void)
{
	guard(&console_lock);
	return console_backlog() < OUT_HIGH;
}

/* Gives the next guest its turn. Returns whether a guest still waits. Called with domains_lock. */
static bool next_turn(void)
{
	struct guest_console *c;
	bool more;
	u32 moved;

	spin_lock(&console_lock);
	if (list_empty(&waiting)) {
		spin_unlock(&console_lock);
		return false;
	}
	c = list_first(&waiting, struct guest_console, turn);
	moved = move_output(c);
	more = !list_empty(&waiting);
	console_send();
	spin_unlock(&console_lock);
	if (moved)
		evtchn_notify(c->d, (unsigned)c->port);
	return more;
}

/* Handles the guest's event: it wrote output, or it read input and made room. */
static void ring_event(struct domain *d)
{
	struct guest_console *c = d->console;

	if (!c)
		return;
	if (drain_ring(c))
		evtchn_notify(d, (unsigned)c->port);
	if (d == focus && console_has_input())
		cpu_raise(housekeeping_cpu, CPU_WORK_CONSOLE);
}

static void print_focus(void)
{
	printk("input goes to %s; Ctrl-%c three times switches\n",
	       focus ? focus_name : "Margay, h for help", (char)opt.conswitch - 32);
}

/* Puts the guest among those that may have the input. Called with domains_lock. */
static void join(struct guest_console *c)
{
	list_add_tail(&c->link, &guests);
	if (focus_chosen && !focus && !strcmp(focus_name, c->d->name)) {
		focus = c->d;
		print_focus();
	}
}

/* Undoes join(), and takes the guest's turn. Called with domains_lock and console_lock. */
static void leave(struct guest_console *c)
{
	list_del(&c->link);
	list_del(&c->turn);
	console_end_line_of(c->d);
	console_send();
	if (focus == c->d)
		focus = NULL;
}

/*
 * The control domain has taken the guest's port, to serve the ring by xenconsoled, or it has closed
 * its end, perhaps by its own: then Margay goes on where it left off.
 */
static void ring_lent(struct domain *d)
{
	bool focused, lent;
	struct guest_console *c;

	guard(&domains_lock);
	c = d->console;
	if (!c)
		return;
	lent = evtchn_lent(d, (unsigned)c->port);
	if (lent == c->lent)
		return;
	spin_lock(&console_lock);
	c->lent = lent;
	focused = focus == d;
	if (lent) {
		leave(c);
	} else if (c->left && READ_ONCE(c->ring->out_prod) != c->ring->out_cons) {
		list_add_tail(&c->turn, &waiting);
		console_want_work();
	}
	spin_unlock(&console_lock);
	if (!lent)
		join(c);
	else if (focused)
		print_focus();
}

static const struct evtchn_margay ring_channel = { ring_event, ring_lent };

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
		c->ring = guest_write_page(mfn, 0);
	if (!c->ring) {
		kfree(c);
		return -ENOMEM;
	}
	c->d = d;
	c->left = UNLIMITED;
	list_init(&c->link);
	list_init(&c->turn);
	d->console = c;
	/* console_detach() releases everything from here on. */
	if (gfn) {
		c->port = evtchn_alloc_margay(d, &ring_channel);
		if (c->port < 0)
			return c->port;
		d->hvm_params[HVM_PARAM_CONSOLE_EVTCHN] = (u64)c->port;
	}
	guard(&domains_lock);
	join(c);
	return 0;
}

/*
 * The guest's last output must reach the consoles: what the ring holds when the guest has ended. It
 * may have shared the page, so others could add more for ever.
 */
static bool console_drained(struct domain *d)
{
	struct guest_console *c = d->console;

	if (!c)
		return true;
	if (c->left == UNLIMITED)
		c->left = min(READ_ONCE(c->ring->out_prod) - READ_ONCE(c->ring->out_cons),
			      (u32)sizeof(c->ring->out));
	drain_ring(c);
	return list_empty(&c->turn);
}

static void console_detach(struct domain *d)
{
	struct guest_console *c = d->console;
	bool focused;

	if (!c)
		return;
	spin_lock(&domains_lock);
	focused = focus == d;
	spin_lock(&console_lock);
	leave(c);
	spin_unlock(&console_lock);
	if (focused)
		print_focus();
	d->console = NULL;
	spin_unlock(&domains_lock);
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

/* While others wait, their turns come first. */
size_t console_guest_write(struct domain *d, const char *s, size_t n)
{
	size_t done = 0;

	guard(&console_lock);
	while (done < n && console_backlog() < (list_empty(&waiting) ? OUT_HIGH : OUT_LOW))
		console_put(d, s[done++]);
	console_send();
	return done;
}

/* Serves console_io for a domain without a ring. Only the domain itself calls this. */
size_t console_guest_read(struct domain *d, char *s, size_t n)
{
	struct xencons_interface *r = d->console->ring;
	size_t got = 0;

	guard(&console_lock);
	while (got < n && r->in_cons != READ_ONCE(r->in_prod))
		s[got++] = r->in[r->in_cons++ % sizeof(r->in)];
	return got;
}

/* Input. */

/* Puts a character into the guest's ring. False: it is full. Called with domains_lock. */
static bool put_input(struct domain *d, char ch)
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
	struct list *next = c ? c->link.next : guests.next;

	focus = next == &guests ? NULL : list_entry(next, struct guest_console, link)->d;
	strcopy(focus_name, focus ? focus->name : "", sizeof(focus_name));
}

void console_guests_started(void)
{
	guard(&domains_lock);
	if (!focus)
		rotate_focus();
	focus_chosen = true;
	print_focus();
}

/* Handles one input character. Returns false when the guest has no room for it now. */
static bool handle_input(char ch)
{
	char escape = (char)(opt.conswitch & 0x1f);

	if (ch == escape) {
		if (++escapes == 3) {
			escapes = 0;
			rotate_focus();
			print_focus();
		}
		return true;
	}
	/* Fewer than three escape characters belong to the guest. */
	for (; escapes && focus; escapes--)
		put_input(focus, escape);
	escapes = 0;
	if (focus)
		return put_input(focus, ch);
	return console_key(ch);
}

void console_work(void)
{
	stime_t from = now();
	bool more;

	guard(&domains_lock);
	do {
		console_input(handle_input);
		more = console_key_step();
		more |= next_turn();
	} while (more && console_has_room() && now() - from < WORK_NS);
	if (more) {
		spin_lock(&console_lock);
		console_want_work_later();
		spin_unlock(&console_lock);
	}
	console_poll();
}
