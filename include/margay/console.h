/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one serial line that Margay and all guests share: output tagged by its source, input given to one
 * of them at a time, Margay's own keys. common/console.c, arch/x86/platform/uart.c
 */
#ifndef MARGAY_CONSOLE_H
#define MARGAY_CONSOLE_H

#include <margay/types.h>

struct domain;

void console_early_init(void);		/* polled output at the default port */
void console_init(void);           /* after the command line: port and speed, then interrupts */
void console_flush(void);		/* all is sent when it returns */
void console_irq(void);			/* from the UART's interrupt */
void console_guests_started(void);	/* input goes to the first of them */
void console_work(void);           /* CPU_WORK_CONSOLE: input, and rings that waited for room */

/* A panic begins: output is forced and polled from now on, other CPUs are stopped. */
void console_panic_start(void);
/* In an NMI: stops here if another CPU panics. */
void panic_poll(void);

/* A guest's PV console ring is served from now on: needs HVM_PARAM_CONSOLE_PFN; sets CONSOLE_EVTCHN. */
int console_attach(struct domain *d);

/* One writer's text onto the shared line: d NULL is Margay itself. Tags lines. Any context but NMI. */
void console_write(struct domain *d, const char *s, size_t n);

/* console_io of the initial domain: how many characters there was room for, or were there. */
size_t console_guest_write(struct domain *d, const char *s, size_t n);
size_t console_guest_read(struct domain *d, char *s, size_t n);

/* One of Margay's keys was pressed. Under domains_lock. */
void console_key(char key);
/* The same lists for other occasions: a guest's end, the end of boot. */
void domain_show_exits(struct domain *d);
void memory_show(void);

/* UART driver. */
void uart_init(u16 iobase, u32 baud, u8 lcr);
void uart_putc_sync(char c);
bool uart_tx_ready(void);
void uart_tx(char c);
int uart_rx(void);			/* a character or -1 */
int uart_route_irq(void);		/* its interrupts reach console_irq(); 0 or -ENODEV */
void uart_enable_irqs(bool tx);
bool uart_present(void);
void uart_drain(void);			/* waits until the last character is on the line */

#endif
