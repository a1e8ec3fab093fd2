/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The consoles (UARTs, the screen) that Margay and all guests share: output tagged by source, input
 * for one of them at a time, Margay's own keys, and the log. common/console.c, console_guest.c
 */
#pragma once

#include <margay/list.h>

struct domain;

/*
 * One console device. Its driver sets the upper part; all functions run with the console lock and
 * none waits. The rest belongs to common/console.c.
 */
struct console {
	const char *name;		/* as `console=` names it */
	unsigned burst;			/* characters that it takes once it is ready */
	bool (*ready)(struct console *c); /* NULL: a burst per poll, for slow drawing */
	void (*put)(struct console *c, char ch);
	int (*get)(struct console *c);	/* a character or -1; NULL: no input */
	bool (*route)(struct console *c); /* routes its interrupt to console_irq(); NULL: none */
	/* Acknowledges the interrupt's cause. Returns false if there was none. */
	bool (*pending)(struct console *c);
	void (*enable)(struct console *c, bool tx); /* input interrupts, and for output if tx */

	struct list link;
	u32 sent;			/* output before this position has gone out */
	unsigned credit;		/* left of a burst */
	bool routed;			/* an interrupt is expected */
	bool works;			/* ... and has arrived: no polling */
	bool told;			/* ... and has not for long, which was reported */
	u32 sent_before; /* `sent` at a poll, and the time of the first with this value */
	u64 stuck;
};

void console_add(struct console *c);	/* sends it all output so far that the buffer still holds */
bool console_leave_screen(void); /* sends all output, then no more to the screen. Was there one? */
void console_start(void);		/* after boot: interrupts, and no waiting from now on */
void console_describe(void);		/* prints which consoles are used, and how */
void console_flush(void);		/* returns when all output is sent */
void console_irq(void);			/* called by the UARTs' interrupt */
void console_guests_started(void);	/* gives the input to the first guest */
void console_work(void);           /* CPU_WORK_CONSOLE: input, and output that waits for room */

/* Begins a panic: forces polled output from now on and stops other CPUs. */
void console_panic_start(void);
/* Stops this CPU if another CPU panics. Called in an NMI. */
void panic_poll(void);
/* Adds the consoles on ports that the command line names. A panic before that calls it, too. */
void arch_console_early(void);

/* Starts to serve a guest's console ring. Needs HVM_PARAM_CONSOLE_PFN; sets CONSOLE_EVTCHN. */
int console_attach(struct domain *d);

/* Writes one line of Margay's own. Does not wait: a line without room is lost and counted. Any
 * context but NMI. */
void console_write(const char *s, size_t n);

/*
 * Copies Margay's messages from position *at, or the oldest that is kept, and advances *at. Returns
 * the number of characters, 0 at the end.
 */
size_t console_log_read(u64 *at, char *to, size_t n);

/* console_io of the initial domain. Return the number of characters written or read. */
size_t console_guest_write(struct domain *d, const char *s, size_t n);
size_t console_guest_read(struct domain *d, char *s, size_t n);

/*
 * Handles one of Margay's keys. False: it prints for an earlier key and takes no other yet. Called
 * with domains_lock.
 */
bool console_key(char key);
/* Prints the next part of what a key asked for. False: there was nothing. With domains_lock. */
bool console_key_step(void);
/* Print the keys' lists on other occasions: a guest's end, the end of boot. */
void domain_show_exits(struct domain *d);
void memory_show(void);

/* Copies all output to RAM at `base` from now on, for the loader of the next boot. kept_log.c */
void kept_log_init(paddr_t base);
void kept_log_put(char c);
