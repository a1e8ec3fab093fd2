/* SPDX-License-Identifier: BSD-2-Clause */
/* 16550 serial port. The console's lock protects it. National Semiconductor PC16550D, section 8. */
#include <margay/console.h>
#include <x86/io.h>
#include <x86/platform.h>
#include <x86/traps.h>

enum { DATA = 0, IER = 1, IIR = 2, FCR = 2, LCR = 3, MCR = 4, LSR = 5, SCR = 7 };
enum { DLL = 0, DLM = 1 }; /* while LCR_DLAB is set */

#define LCR_DLAB 0x80
#define LSR_DR 0x01
#define LSR_THRE 0x20
#define LSR_TEMT 0x40
#define IER_RX 0x01
#define IER_TX 0x02
#define FCR_ENABLE_CLEAR_14 0xc7
#define MCR_DTR_RTS_OUT2 0x0b
#define UART_CLOCK 115200U
#define FIFO_SIZE 16

static u16 base = 0x3f8;
static bool present;
static u8 tx_room;

void uart_drain(void)
{
	for (unsigned i = 0; i < 100000 && present && !(inb(base + LSR) & LSR_TEMT); i++)
		;
}

void uart_init(u16 iobase, u32 baud, u8 lcr)
{
	u32 divisor = baud && baud <= UART_CLOCK ? UART_CLOCK / baud : 1;

	/* Drain first: set-up clears the FIFO. */
	uart_drain();
	base = iobase;
	outb(base + SCR, 0x5a);
	present = inb(base + SCR) == 0x5a;
	outb(base + IER, 0);
	outb(base + LCR, LCR_DLAB);
	outb(base + DLL, (u8)divisor);
	outb(base + DLM, (u8)(divisor >> 8));
	outb(base + LCR, lcr);
	outb(base + FCR, FCR_ENABLE_CLEAR_14);
	outb(base + MCR, MCR_DTR_RTS_OUT2);
}

bool uart_present(void)
{
	return present;
}

void uart_putc_sync(char c)
{
	/* A stuck line (no hardware, flow control off) must not stop Margay. */
	for (unsigned i = 0; i < 100000 && !(inb(base + LSR) & LSR_THRE); i++)
		;
	outb(base + DATA, (u8)c);
}

bool uart_tx_ready(void)
{
	if (!tx_room && (inb(base + LSR) & LSR_THRE))
		tx_room = FIFO_SIZE;
	return tx_room != 0;
}

void uart_tx(char c)
{
	outb(base + DATA, (u8)c);
	tx_room--;
}

int uart_rx(void)
{
	return present && (inb(base + LSR) & LSR_DR) ? inb(base + DATA) : -1;
}

int uart_route_irq(void)
{
	/* COM2 and COM4 share ISA interrupt 3, COM1 and COM3 share 4. */
	return ioapic_route_isa(base == 0x2f8 || base == 0x2e8 ? 3 : 4, VEC_UART);
}

void uart_enable_irqs(bool tx)
{
	outb(base + IER, tx ? IER_RX | IER_TX : IER_RX);
	inb(base + IIR);
}
