/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The serial line that Margay and all guests share: output tagged by source, input for one of them
 * at a time, and Margay's own keys. common/console.c, arch/x86/platform/uart.c
 */
#ifndef MARGAY_CONSOLE_H
#define MARGAY_CONSOLE_H

#include <margay/types.h>

struct domain;

void console_early_init(void);		/* polled output on the default port */
void console_init(void);           /* after the command line: port, speed, interrupts */
void console_flush(void);		/* returns when all output is sent */
void console_irq(void);			/* called by the UART's interrupt */
void console_guests_started(void);	/* gives the input to the first guest */
void console_work(void);           /* CPU_WORK_CONSOLE: input, and rings waiting for room */

/* Begins a panic: forces polled output from now on and stops other CPUs. */
void console_panic_start(void);
/* Stops this CPU if another CPU panics. Called in an NMI. */
void panic_poll(void);

/* Starts to serve a guest's console ring. Needs HVM_PARAM_CONSOLE_PFN; sets CONSOLE_EVTCHN. */
int console_attach(struct domain *d);

/* Writes one writer's text with line tags. d NULL: Margay itself. Any context but NMI. */
void console_write(struct domain *d, const char *s, size_t n);

/* console_io of the initial domain. Return the number of characters written or read. */
size_t console_guest_write(struct domain *d, const char *s, size_t n);
size_t console_guest_read(struct domain *d, char *s, size_t n);

/* Handles one of Margay's keys. Called with domains_lock. */
void console_key(char key);
/* Print the keys' lists on other occasions: a guest's end, the end of boot. */
void domain_show_exits(struct domain *d);
void memory_show(void);

/* Copies all output to RAM at `base` from now on, for the loader of the next boot. kept_log.c */
void kept_log_init(paddr_t base);
void kept_log_put(char c);

/* UART driver. */
void uart_init(u16 iobase, u32 baud, u8 lcr);
void uart_putc_sync(char c);
bool uart_tx_ready(void);
void uart_tx(char c);
int uart_rx(void);			/* a character or -1 */
int uart_route_irq(void);		/* routes its interrupt to console_irq(); 0 or -ENODEV */
void uart_enable_irqs(bool tx);
bool uart_present(void);
void uart_drain(void);			/* waits until the last character has left the UART */

#endif
