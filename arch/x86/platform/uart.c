/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 16550 serial ports, at I/O ports or in memory: those of the options com1= and com2=, and those of
 * the firmware's tables SPCR and DBG2. National Semiconductor PC16550D, section 8.
 */
#include <margay/boot_state.h>
#include <margay/cmdline.h>
#include <margay/console.h>
#include <margay/pci.h>
#include <x86/io.h>
#include <x86/paging.h>
#include <x86/platform.h>
#include <x86/traps.h>

enum { DATA = 0, IER = 1, IIR = 2, FCR = 2, LCR = 3, MCR = 4, LSR = 5 };
enum { DLL = 0, DLM = 1 }; /* while LCR_DLAB is set */

#define LCR_DLAB 0x80
#define LSR_DR 0x01
#define LSR_THRE 0x20
#define IER_RX 0x01
#define IER_TX 0x02
#define IER_ALL 0x0f
#define IIR_NONE 0x01
#define FCR_ENABLE_CLEAR_14 0xc7
#define MCR_DTR_RTS_OUT2 0x0b
#define UART_CLOCK 115200U
#define FIFO_SIZE 16
#define REGISTERS 8U

struct uart {
	struct console con;
	volatile u8 *regs;	/* NULL: at I/O ports */
	paddr_t base;		/* of regs */
	u16 port;
	u8 shift;		/* log2 of the distance between registers */
	u8 width;		/* of an access to memory: 1 or 4 bytes */
};

static struct uart uarts[4];

static u8 get(const struct uart *u, unsigned reg)
{
	reg <<= u->shift;
	if (!u->regs)
		return inb((u16)(u->port + reg));
	return u->width == 4 ? (u8) * (volatile u32 *)(u->regs + reg) : u->regs[reg];
}

static void set(const struct uart *u, unsigned reg, u8 value)
{
	reg <<= u->shift;
	if (!u->regs)
		outb((u16)(u->port + reg), value);
	else if (u->width == 4)
		*(volatile u32 *)(u->regs + reg) = value;
	else
		u->regs[reg] = value;
}

static struct uart *uart_of(struct console *c)
{
	return container_of(c, struct uart, con);
}

static bool uart_ready(struct console *c)
{
	return get(uart_of(c), LSR) & LSR_THRE;
}

static void uart_put(struct console *c, char ch)
{
	set(uart_of(c), DATA, (u8)ch);
}

static int uart_get(struct console *c)
{
	struct uart *u = uart_of(c);

	return get(u, LSR) & LSR_DR ? get(u, DATA) : -1;
}

/* Only the ports of the PC have a fixed interrupt: COM1 and COM3 share 4, COM2 and COM4 share 3. */
static bool uart_route(struct console *c)
{
	const struct uart *u = uart_of(c);
	bool odd = u->port == 0x3f8 || u->port == 0x3e8;

	if (u->regs || (!odd && u->port != 0x2f8 && u->port != 0x2e8))
		return false;
	return !ioapic_route_isa(odd ? 4 : 3, VEC_UART);
}

static bool uart_pending(struct console *c)
{
	return !(get(uart_of(c), IIR) & IIR_NONE);
}

static void uart_enable(struct console *c, bool tx)
{
	set(uart_of(c), IER, tx ? IER_RX | IER_TX : IER_RX);
}

/* Nothing but a UART has an interrupt enable register: four bits at its place. */
static bool uart_there(const struct uart *u)
{
	u8 off, on;

	set(u, IER, 0);
	off = get(u, IER);
	set(u, IER, IER_ALL);
	on = get(u, IER);
	set(u, IER, 0);
	return !(off & IER_ALL) && (on & IER_ALL) == IER_ALL;
}

static bool uart_known(const struct uart *u)
{
	for (unsigned i = 0; i < ARRAY_SIZE(uarts); i++)
		if (uarts[i].con.name && uarts[i].port == u->port && uarts[i].regs == u->regs)
			return true;
	return false;
}

/* baud 0: speed and format stay as firmware set them. */
static void uart_add(const char *name, const struct uart *at, u32 baud, u8 lcr)
{
	struct uart *u = uarts;

	if (uart_known(at))
		return;
	while (u->con.name)
		u++;
	*u = *at;
	if (!uart_there(u)) {
		pr_warn("console %s: no serial port there\n", name);
		return;
	}
	if (baud) {
		u32 divisor = UART_CLOCK / baud;

		set(u, LCR, LCR_DLAB);
		set(u, DLL, (u8)divisor);
		set(u, DLM, (u8)(divisor >> 8));
		set(u, LCR, lcr);
	}
	set(u, FCR, FCR_ENABLE_CLEAR_14);
	set(u, MCR, MCR_DTR_RTS_OUT2);
	u->con = (struct console){ .name = name, .burst = FIFO_SIZE, .ready = uart_ready,
				   .put = uart_put, .get = uart_get, .route = uart_route,
				   .pending = uart_pending, .enable = uart_enable };
	console_add(&u->con);
}

bool uart_at_port(u16 port)
{
	for (const struct uart *u = uarts; u < uarts + ARRAY_SIZE(uarts); u++)
		if (u->con.name && !u->regs && port >= u->port && port - u->port < (int)REGISTERS)
			return true;
	return false;
}

bool uart_in_memory(paddr_t at, u64 size)
{
	for (const struct uart *u = uarts; u < uarts + ARRAY_SIZE(uarts); u++)
		if (u->con.name && u->regs && u->base < at + size &&
		    at < u->base + ((u64)REGISTERS << u->shift))
			return true;
	return false;
}

static void uart_option(const char *name, const char *value, u16 iobase)
{
	struct uart_config c;
	struct uart u = { 0 };

	if (!option_lists(opt.console, name))
		return;
	uart_parse(name, value, iobase, &c);
	u.port = c.pci ? pci_serial_port() : c.iobase;
	if (!u.port)
		pr_warn("console %s: no PCI serial port with I/O ports\n", name);
	else
		uart_add(name, &u, c.baud, c.lcr);
}

void arch_console_early(void)
{
	option_check("console", "console", opt.console, console_names, ARRAY_SIZE(console_names));
	uart_option("com1", opt.com1, 0x3f8);
	uart_option("com2", opt.com2, 0x2f8);
}

static void __init uart_table(const char *name, const struct acpi_uart *a)
{
	struct uart u = { .shift = a->shift, .width = a->width };

	if (!option_lists(opt.console, name))
		return;
	if (!a->there) {
		pr_warn("console %s: firmware has no such table with a serial port\n", name);
		return;
	}
	if (a->space == ACPI_SPACE_IO) {
		u.port = (u16)a->address;
	} else {
		u.base = a->address;
		u.regs = map_mmio(a->address, (u64)REGISTERS << a->shift);
		if (!u.regs)
			return;
	}
	uart_add(name, &u, a->baud, 3);
}

void __init uart_tables(void)
{
	uart_table("spcr", &boot_acpi.spcr);
	uart_table("dbg2", &boot_acpi.dbg2);
}
