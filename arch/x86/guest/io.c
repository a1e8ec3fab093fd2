/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * I/O ports. Those of the machine are the control domain's that has the devices (hardware_io.c). For
 * other guests no port has a device. Reads return 0 rather than all ones, since 0 ends the loops in
 * which kernels calibrate clocks or wait for a busy bit. The ports of PCI configuration space do
 * return all ones: on 0 a kernel would scan all buses with over a thousand exits. Two ports reset
 * the guest as on a PC.
 */
#include <margay/guest_copy.h>
#include <x86/build.h>
#include <x86/decode.h>
#include <x86/hardware.h>
#include <x86/paging.h>

#include "guest.h"

#define PORT_KEYBOARD 0x64
#define KEYBOARD_PULSE_RESET 0xfe
#define PORT_RESET_CONTROL 0xcf9
#define RESET_CONTROL_RST_CPU 0x04

#define PORT_PCI_CONFIG 0xcf8 /* to 0xcff */
#define PM_TIMER_PER_NS ((3579545UL << 32) / NS_PER_S) /* 32 bits of fraction */

#define STRING_STEPS 64U /* elements per exit; each may walk four page tables */
#define RFLAGS_DF BIT(10)

static u32 read_port(struct vcpu *v, const struct io_exit *io)
{
	u16 port = io->port;

	if (unlikely(v->domain->hardware))
		return hardware_in(v, port, io->size);
	if (port == PORT_PM_TIMER && v->domain->native)
		return (u32)((unsigned __int128)now() * PM_TIMER_PER_NS >> 32) & 0xffffff;
	return (port & ~7) == PORT_PCI_CONFIG ? ~0U : 0;
}

static void write_port(struct vcpu *v, const struct io_exit *io, u32 val)
{
	u16 port = io->port;

	if (unlikely(v->domain->hardware))
		hardware_out(v, port, io->size, val);
	else if ((port == PORT_KEYBOARD && (u8)val == KEYBOARD_PULSE_RESET) ||
		 (port == PORT_RESET_CONTROL && (val & RESET_CONTROL_RST_CPU)))
		domain_shutdown(v->domain, SHUTDOWN_reboot);
}

/* The operands of INS and OUTS, from mode and prefixes: not all hardware reports them. */
struct string_insn {
	u8 addr_size;	/* 2, 4, 8 */
	u8 seg;
};

static struct string_insn string_prefixes(struct vcpu *v, const struct vcpu_mode *m, bool in)
{
	struct string_insn s = { .addr_size = (u8)(m->width / 8), .seg = in ? SEG_ES : SEG_DS };
	struct insn_prefixes p;
	u8 b[INSN_MAX_LEN];

	insn_prefixes(b, guest_fetch(v, m, b, sizeof(b)), (enum insn_mode)m->width, &p);
	if (p.addrsize)
		s.addr_size = m->width == 32 ? 2 : 4;
	if (p.seg != NO_SEG && !in)
		s.seg = p.seg;
	return s;
}

#define SEG_WRITE BIT(1) /* code: readable */
#define SEG_DOWN BIT(2)	 /* code: conforming */
#define SEG_CODE BIT(3)
#define SEG_P BIT(7)
#define SEG_BIG BIT(10)

/* Checks a segment's limit and type as SDM 3A 5.3 to 5.5 do outside 64-bit mode. */
static bool in_segment(const struct vcpu_seg *s, u32 offset, unsigned n, bool write)
{
	u32 end = offset + n - 1;

	if (!(s->attr & SEG_P) || end < offset)
		return false;
	if (s->attr & SEG_CODE ? write || !(s->attr & SEG_WRITE) : write && !(s->attr & SEG_WRITE))
		return false;
	if ((s->attr & (SEG_CODE | SEG_DOWN)) == SEG_DOWN)
		return offset > s->limit && end <= (s->attr & SEG_BIG ? ~0U : 0xffff);
	return end <= s->limit;
}

static bool linear_address(struct vcpu *v, const struct vcpu_mode *m, const struct io_exit *io,
			   unsigned seg, u64 offset, gvaddr_t *va)
{
	struct vcpu_seg s = hvm->seg(v, seg);

	if (m->width == 64) {
		*va = offset + (seg >= SEG_FS ? s.base : 0);
		return is_canonical(*va, m->cr4) && is_canonical(*va + io->size - 1, m->cr4);
	}
	*va = (u32)(s.base + offset);
	return in_segment(&s, (u32)offset, io->size, io->in);
}

/*
 * Transfers an element between a port of the machine and memory, which the caller has found
 * accessible: a device may change by a read, and another vCPU may unmap the memory at any time.
 */
static void transfer(struct vcpu *v, const struct io_exit *io, gvaddr_t va, u32 access)
{
	struct access_fault f;
	u32 val = ~0U;

	if (io->in) {
		val = hardware_in(v, io->port, io->size);
		(void)!guest_operand(v, va, &val, io->size, access, &f);
	} else {
		(void)!copy_from_guest(&val, va, io->size);
		hardware_out(v, io->port, io->size, val);
	}
}

/*
 * Returns true when the instruction is complete, false when the guest must execute it again:
 * elements are left or a fault is pending.
 */
static bool string_io(struct vcpu *v, const struct io_exit *io)
{
	u64 step = (v->regs.rflags & RFLAGS_DF) ? -(u64)io->size : io->size, count = 1;
	u64 *index = io->in ? &v->regs.rdi : &v->regs.rsi;
	bool machine = v->domain->hardware;
	u32 val = machine ? 0 : read_port(v, io), access = io->in ? PF_WRITE : 0;
	struct string_insn s;
	struct access_fault f;
	struct vcpu_mode m;
	gvaddr_t va;

	hvm->mode(v, &m);
	s = string_prefixes(v, &m, io->in);
	access |= m.cpl == 3 ? PF_USER : 0;
	if (io->rep)
		count = v->regs.rcx & size_mask(s.addr_size);
	for (unsigned i = 0; i < STRING_STEPS && count; i++, count--) {
		if (!linear_address(v, &m, io, s.seg, *index & size_mask(s.addr_size), &va)) {
			inject_exception(v, s.seg == SEG_SS ? X86_SS : X86_GP, true, 0);
			return false;
		}
		if (!guest_operand(v, va, io->in && !machine ? &val : NULL, io->size, access, &f)) {
			hvm->set_cr2(v, f.va);
			inject_exception(v, X86_PF, true, f.error);
			return false;
		}
		if (unlikely(machine))
			transfer(v, io, va, access);
		set_register(index, *index + step, s.addr_size);
		if (io->rep)
			set_register(&v->regs.rcx, v->regs.rcx - 1, s.addr_size);
	}
	if (count)
		v->regs.rflags |= RFLAGS_RF;
	return !count;
}

void exit_io(struct vcpu *v, const struct io_exit *io)
{
	if (io->string && !string_io(v, io))
		return;
	if (!io->string && io->in)
		set_register(&v->regs.rax, read_port(v, io), io->size);
	else if (!io->string)
		write_port(v, io, (u32)v->regs.rax);
	guest_skip(v, (unsigned)(io->next_rip - v->regs.rip));
}
