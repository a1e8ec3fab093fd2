/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handles nested page faults that no mapping can satisfy: the local APIC's page, emulated devices,
 * holes (reads return all ones, writes are dropped, as on Xen) and read-only pages (writes are
 * dropped, as on Xen). The small decoder emulates the access. Instructions that it does not support
 * raise #GP, as on Xen, and so do instruction fetches, page walks and event delivery at such
 * addresses: the guest's kernel handles the #GP.
 */
#include <margay/guest_copy.h>
#include <margay/trace.h>
#include <x86/decode.h>
#include <x86/hardware.h>
#include <x86/mmio.h>

#include "guest.h"

#define RFLAGS_CF BIT(0)
#define RFLAGS_PF BIT(2)
#define RFLAGS_AF BIT(4)
#define RFLAGS_ZF BIT(6)
#define RFLAGS_SF BIT(7)
#define RFLAGS_OF BIT(11)
#define RFLAGS_ARITH (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

static u64 read_operand(const struct vcpu *v, const struct insn *in)
{
	u64 val = in->has_imm   ? (u64)in->imm :
		  in->high_byte ? v->regs.gpr[in->reg & 3] >> 8 :
				  v->regs.gpr[in->reg & 15];

	return val & size_mask(in->size);
}

static void write_gpr(struct vcpu *v, const struct insn *in, u64 val)
{
	u64 *r = &v->regs.gpr[in->reg & (in->high_byte ? 3 : 15)];

	if (in->high_byte)
		*r = (*r & ~0xff00UL) | (val & 0xff) << 8;
	else
		set_register(r, val, in->size);
}

static u64 sign_extend(u64 val, unsigned size)
{
	unsigned shift = 64 - size * 8;

	return (u64)((s64)(val << shift) >> shift);
}

/* Computes a op b and sets the result's flags in *flags. SDM 1 3.4.3.1. */
static u64 compute(enum insn_op op, u64 a, u64 b, unsigned size, u64 *flags)
{
	u64 sign = 1UL << (size * 8 - 1), r, f = 0;

	switch (op) {
	case INSN_ADD:
		r = (a + b) & size_mask(size);
		f |= (r < a ? RFLAGS_CF : 0) | ((a ^ b ^ r) & RFLAGS_AF);
		f |= ~(a ^ b) & (a ^ r) & sign ? RFLAGS_OF : 0;
		break;
	case INSN_SUB:
	case INSN_CMP:
		r = (a - b) & size_mask(size);
		f |= (a < b ? RFLAGS_CF : 0) | ((a ^ b ^ r) & RFLAGS_AF);
		f |= (a ^ b) & (a ^ r) & sign ? RFLAGS_OF : 0;
		break;
	case INSN_OR: r = a | b; break;
	case INSN_XOR: r = a ^ b; break;
	default: r = a & b; break;
	}
	f |= (r ? 0 : RFLAGS_ZF) | (r & sign ? RFLAGS_SF : 0);
	f |= __builtin_parity((unsigned)(r & 0xff)) ? 0 : RFLAGS_PF;
	*flags = f;
	return r;
}

struct access {
	gpaddr_t gpa;
	enum { TO_APIC, TO_HOLE, TO_READ_ONLY, TO_DEVICE } kind;
	struct mmio_region *region;	/* of TO_DEVICE */
};

/*
 * Reads the memory operand. The APIC's registers are 32 bits wide at multiples of 16. Narrower
 * reads return a part of the register; reads that touch the gaps return 0, and other writes have no
 * effect (SDM 3A 11.4.1: undefined).
 */
static u64 mmio_load(struct vcpu *v, const struct access *acc, unsigned size)
{
	u32 offset = acc->gpa & ~PAGE_MASK;
	u64 val = ~0UL;

	if (acc->kind == TO_APIC)
		val = offset & 0xc ? 0 : vlapic_read(v, offset & ~3U) >> (offset & 3) * 8;
	else if (acc->kind == TO_DEVICE)
		acc->region->access(v, acc->region, acc->gpa - acc->region->base, size, &val,
				    false);
	else if (acc->kind == TO_READ_ONLY && copy_from_gpa(v->domain, &val, acc->gpa, size))
		val = ~0UL;
	return val & size_mask(size);
}

static void mmio_store(struct vcpu *v, const struct access *acc, unsigned size, u64 val)
{
	if (acc->kind == TO_APIC && size >= 4 && !(acc->gpa & 0xf))
		vlapic_write(v, acc->gpa & ~PAGE_MASK, (u32)val);
	else if (acc->kind == TO_DEVICE)
		acc->region->access(v, acc->region, acc->gpa - acc->region->base, size, &val, true);
}

static void mmio_emulate(struct vcpu *v, const struct insn *in, const struct access *acc)
{
	u64 mem, operand, flags, r;

	/* Nearly all accesses are a MOV; a jump table costs more than a comparison. */
	if (likely(in->op == INSN_MOV)) {
		if (in->mem_dest)
			mmio_store(v, acc, in->mem_size, read_operand(v, in));
		else
			write_gpr(v, in, mmio_load(v, acc, in->mem_size));
		guest_skip(v, in->len);
		return;
	}
	mem = in->mem_read ? mmio_load(v, acc, in->mem_size) : 0;
	operand = read_operand(v, in);
	switch (in->op) {
	case INSN_MOVZX: write_gpr(v, in, mem); break;
	case INSN_MOVSX: write_gpr(v, in, sign_extend(mem, in->mem_size)); break;
	case INSN_NOT: mmio_store(v, acc, in->mem_size, ~mem); break;
	case INSN_XCHG:
		mmio_store(v, acc, in->mem_size, operand);
		write_gpr(v, in, mem);
		break;
	default:
		r = compute(in->op, in->mem_left ? mem : operand, in->mem_left ? operand : mem,
			    in->size, &flags);
		if (in->mem_dest)
			mmio_store(v, acc, in->mem_size, r);
		else if (!in->mem_left && in->op != INSN_CMP)
			write_gpr(v, in, r);
		v->regs.rflags = (v->regs.rflags & ~RFLAGS_ARITH) | flags;
		break;
	}
	guest_skip(v, in->len);
}

static void access_memory(struct vcpu *v, const struct npf_exit *npf, struct access *acc)
{
	u8 buf[INSN_MAX_LEN];
	const u8 *bytes = npf->insn;
	unsigned len = min(npf->insn_len, (unsigned)INSN_MAX_LEN);
	struct vcpu_mode m;
	struct insn in;

	hvm->mode(v, &m);
	if (!bytes || !len) {
		len = guest_fetch(v, &m, buf, sizeof(buf));
		/*
		 * The guest has unmapped its code since the exit; it faults when it executes again.
		 */
		if (!len)
			return;
		bytes = buf;
	}
	/*
	 * Do not emulate an operand that crosses into another page: that page's rights are
	 * unchecked.
	 */
	if (insn_decode(bytes, len, (enum insn_mode)m.width, &in) ||
	    (acc->gpa & ~PAGE_MASK) + in.mem_size > PAGE_SIZE)
		inject_gp(v);
	else if (in.mem_dest ? npf->write || in.mem_read : !npf->write)
		mmio_emulate(v, &in, acc);
	/* Otherwise another vCPU changed the code: the guest executes the new code. */
}

/* Protects the lists of regions. Taken with any other lock. */
static struct spinlock regions_lock = SPINLOCK_INIT(LOCK_CONFIG);

void mmio_add(struct domain *d, struct mmio_region *r)
{
	guard(&regions_lock);
	r->next = d->mmio;
	atomic_store(&d->mmio, r);
}

void mmio_remove(struct domain *d, struct mmio_region *r)
{
	guard(&regions_lock);
	for (struct mmio_region **at = &d->mmio; *at; at = &(*at)->next)
		if (*at == r) {
			atomic_store(at, r->next);
			return;
		}
}

static struct mmio_region *find_region(const struct domain *d, gpaddr_t gpa)
{
	struct mmio_region *r = READ_ONCE(d->mmio);

	while (r && gpa - r->base >= r->size)
		r = READ_ONCE(r->next);
	return r;
}

void exit_npf(struct vcpu *v, const struct npf_exit *npf)
{
	struct access acc = { .gpa = npf->gpa, .kind = TO_HOLE };
	struct p2m_entry e;

	trace(FAULT, v, npf->gpa, npf->write | npf->fetch << 1 | npf->in_walk << 2);
	if ((npf->gpa & PAGE_MASK) == VLAPIC_BASE && vlapic_mmio_enabled(v)) {
		acc.kind = TO_APIC;
	} else {
		e = p2m_lookup(v->domain, npf->gpa >> PAGE_SHIFT);
		if (npf->fetch && e.type == P2M_RAM && e.order && x86.itlb_multihit) {
			if (p2m_split_code(v->domain, npf->gpa >> PAGE_SHIFT))
				domain_crash(v->domain, v, "no memory for page tables");
			return;
		}
		if (unlikely(e.type == P2M_NONE && v->domain->nr_on_demand)) {
			int rc = on_demand_allocate(v->domain, npf->gpa >> PAGE_SHIFT);

			if (rc && rc != -ENOENT)
				domain_crash(v->domain, v, "no memory on demand at %lx (%d)",
					     npf->gpa, rc);
			if (rc != -ENOENT)
				return;
		}
		/* Another vCPU has mapped the page since the exit: the guest retries. */
		if (e.type != P2M_NONE && (!p2m_read_only(e.type) || !npf->write) &&
		    (e.type == P2M_RAM || !npf->fetch)) {
			/* Or this is the first write to a logged page, without dirty bits. */
			if (npf->write && p2m_mark_dirty(v->domain, npf->gpa >> PAGE_SHIFT))
				atomic_add(&v->domain->p2m.log.faults, 1);
			return;
		}
		if (p2m_read_only(e.type))
			acc.kind = TO_READ_ONLY;
		else if (unlikely(v->domain->mmio) &&
			 (acc.region = find_region(v->domain, npf->gpa)))
			acc.kind = TO_DEVICE;
		else if (unlikely(v->domain->hardware) && hardware_map(v, npf->gpa))
			return;
	}
	if (npf->in_walk || npf->fetch || v->inject.valid)
		inject_gp(v);
	else
		access_memory(v, npf, &acc);
}
