/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * I/O ports: there is no device behind any. Reads give 0 rather than all ones, since 0 ends the loops
 * with which kernels calibrate clocks or wait for a busy bit. The ports of PCI's configuration space do
 * give all ones: to 0 a kernel answers with a search of all buses, over a thousand exits. Two ports reset
 * the guest as on a PC.
 */
#include <margay/guest_copy.h>
#include <x86/exit.h>
#include <x86/hvm.h>

#include "guest.h"

#define PORT_KEYBOARD 0x64
#define KEYBOARD_PULSE_RESET 0xfe
#define PORT_RESET_CONTROL 0xcf9
#define RESET_CONTROL_RST_CPU 0x04

#define PORT_PCI_CONFIG 0xcf8 /* and the seven after it */

#define STRING_STEPS 512U /* elements in one exit */
#define RFLAGS_DF BIT(10)
#define PF_WRITE BIT(1)
#define PF_USER BIT(2)
#define X86_PF 14

static u32 read_port(u16 port)
{
	return (port & ~7) == PORT_PCI_CONFIG ? ~0U : 0;
}

static void write_port(struct vcpu *v, u16 port, u8 val)
{
	if ((port == PORT_KEYBOARD && val == KEYBOARD_PULSE_RESET) ||
	    (port == PORT_RESET_CONTROL && (val & RESET_CONTROL_RST_CPU)))
		domain_shutdown(v->domain, SHUTDOWN_reboot);
}

/* OUTS: what it reads goes nowhere, so it is not read. */
static void outs(struct vcpu *v, const struct io_exit *io, u64 count)
{
	u64 step = (v->regs.rflags & RFLAGS_DF) ? -(u64)io->size : io->size;

	set_register(&v->regs.rsi, v->regs.rsi + step * count, io->addr_size);
	if (io->rep)
		set_register(&v->regs.rcx, 0, io->addr_size);
}

/* INS: to ES:RDI. False when it is to be executed again: more to do, or a page fault. */
static bool ins(struct vcpu *v, const struct io_exit *io, u64 count, const struct vcpu_mode *m)
{
	u32 val = read_port(io->port);
	u64 step = (v->regs.rflags & RFLAGS_DF) ? -(u64)io->size : io->size;
	u64 base = m->width == 64 ? 0 : hvm->seg_base(v, SEG_ES);

	for (unsigned i = 0; i < STRING_STEPS && count; i++, count--) {
		gvaddr_t va = base + (v->regs.rdi & size_mask(io->addr_size));

		if (copy_to_guest(m->width == 64 ? va : (u32)va, &val, io->size)) {
			hvm->set_cr2(v, va);
			inject_exception(v, X86_PF, true, PF_WRITE | (m->cpl == 3 ? PF_USER : 0));
			return false;
		}
		set_register(&v->regs.rdi, v->regs.rdi + step, io->addr_size);
		if (io->rep)
			set_register(&v->regs.rcx, v->regs.rcx - 1, io->addr_size);
	}
	return count == 0;
}

void exit_io(struct vcpu *v, const struct io_exit *exit)
{
	struct io_exit copy = *exit, *io = &copy;
	struct vcpu_mode m;
	u64 count;

	if (io->string)
		hvm->mode(v, &m);
	/* Not all hardware tells the address size (QEMU's does not): then it is that of the code. */
	if (io->string && !io->addr_size)
		io->addr_size = m.width / 8;
	count = io->rep ? v->regs.rcx & size_mask(io->addr_size) : 1;
	if (io->string && !io->in)
		outs(v, io, count);
	else if (io->string && !ins(v, io, count, &m))
		return;
	else if (!io->string && io->in)
		set_register(&v->regs.rax, read_port(io->port), io->size);
	else if (!io->string)
		write_port(v, io->port, (u8)v->regs.rax);
	guest_skip(v, (unsigned)(io->next_rip - v->regs.rip));
}
