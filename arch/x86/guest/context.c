/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of a vCPU that no back-end switches: XSAVE state (eagerly, at every change of vCPU), debug
 * registers, TSC_AUX; and the vCPU's life as far as the processor is concerned. SDM 1 13, 3A 9.1, 17.2.
 */
#include <margay/arch.h>
#include <margay/boot_state.h>
#include <margay/cmdline.h>
#include <margay/hypercall.h>
#include <margay/printk.h>
#include <x86/build.h>
#include <x86/cpuid_policy.h>
#include <x86/features.h>
#include <x86/hvm.h>
#include <x86/msr.h>
#include <x86/regs.h>
#include <x86/tsc.h>
#include <x86/vlapic.h>

#define FCW_RESET 0x037f
#define MXCSR_RESET 0x1f80
#define RFLAGS_FIXED 2UL

#define ATTR_CODE16 0x09b
#define ATTR_DATA16 0x093
#define ATTR_CODE64 0xa9b
#define ATTR_DATA32 0xc93
#define ATTR_LDT 0x082
#define ATTR_TSS 0x08b

/* Components XSAVEOPT finds unchanged are still written when the state moved: plain XSAVE is safe. */
static void fpu_save(struct vcpu *v)
{
	u64 mask = x86.xcr0_mask;
	u32 lo, hi;

	if (!x86.xsave) {
		__asm__ volatile("fxsave64 (%0)" ::"r"(v->xsave) : "memory");
		return;
	}
	/* Not every emulator intercepts XSETBV: the CPU knows what the guest has set. */
	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	v->xcr0 = (u64)hi << 32 | lo;
	write_xcr0(mask);
	__asm__ volatile("xsave64 (%0)" ::"r"(v->xsave), "a"((u32)mask), "d"((u32)(mask >> 32))
			 : "memory");
}

static void fpu_restore(struct vcpu *v)
{
	u32 lo = (u32)x86.xcr0_mask, hi = (u32)(x86.xcr0_mask >> 32);

	if (!x86.xsave) {
		__asm__ volatile("fxrstor64 (%0)" ::"r"(v->xsave) : "memory");
		return;
	}
	/* XCR0 is Margay's, with all features, while no guest's registers are loaded. */
	__asm__ volatile("xrstor64 (%0)" ::"r"(v->xsave), "a"(lo), "d"(hi) : "memory");
	write_xcr0(v->xcr0);
}

void arch_vcpu_load(struct vcpu *v)
{
	struct cpu *c = this_cpu();

	if (hvm->load)
		hvm->load(v);
	/* What one guest taught the branch predictor must not steer another. */
	if (x86.ibpb && c->last_domain != v->domain->id + 1U) {
		wrmsr(MSR_PRED_CMD, PRED_CMD_IBPB);
		c->last_domain = v->domain->id + 1U;
	}
	fpu_restore(v);
	__asm__ volatile(
		"mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2; mov %3, %%dr3" ::"r"(v->dr[0]),
		"r"(v->dr[1]), "r"(v->dr[2]), "r"(v->dr[3]));
	if (x86.rdtscp)
		wrmsr(MSR_TSC_AUX, v->msr_tsc_aux);
}

void arch_vcpu_save(struct vcpu *v)
{
	if (hvm->save)
		hvm->save(v);
	fpu_save(v);
	__asm__ volatile("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2; mov %%dr3, %3"
			 : "=r"(v->dr[0]), "=r"(v->dr[1]), "=r"(v->dr[2]), "=r"(v->dr[3]));
}

void arch_vcpu_run(struct vcpu *v)
{
	if (unlikely(opt.perf_boot))
		boot_guest_entered();
	hvm->run(v);
}

static void reset_context(struct vcpu *v)
{
	u8 *x = v->xsave;

	memset(x, 0, x86.xsave_size);
	*(u16 *)x = FCW_RESET;
	*(u32 *)(x + 24) = MXCSR_RESET;
	/* XSTATE_BV: the two words above count; all else is in its initial state. */
	*(u64 *)(x + FXSAVE_SIZE) = 3;
	v->xcr0 = x86.xsave;
	memset(v->dr, 0, sizeof(v->dr));
	v->msr_tsc_aux = 0;
	v->inject.valid = false;
	v->nmi_pending = v->nmi_blocked = false;
	v->waiting_window = 0;
	if (this_cpu()->loaded == v) {
		if (x86.xsave)
			write_xcr0(x86.xcr0_mask);
		arch_vcpu_load(v);
	}
}

static struct vcpu_seg segment(u16 sel, u16 attr, u32 limit, u64 base)
{
	return (struct vcpu_seg){ sel, attr, limit, base };
}

static struct vcpu_state empty_state(void)
{
	return (struct vcpu_state){ .cr0 = CR0_ET,
				    .seg[SEG_LDTR] = segment(0, ATTR_LDT, 0xffff, 0),
				    .seg[SEG_TR] = segment(0, ATTR_TSS, 0xffff, 0) };
}

/* SDM 3A table 9-1, APM2 14.1.3. */
static void start_real_mode(struct vcpu *v, u16 cs, u64 cs_base, u64 rip)
{
	struct vcpu_state st = empty_state();

	for (unsigned i = SEG_ES; i <= SEG_GS; i++)
		st.seg[i] = segment(0, ATTR_DATA16, 0xffff, 0);
	st.seg[SEG_CS] = segment(cs, ATTR_CODE16, 0xffff, cs_base);
	memset(&v->regs, 0, sizeof(v->regs));
	v->regs.rip = rip;
	v->regs.rflags = RFLAGS_FIXED;
	hvm->set_state(v, &st);
}

void arch_vcpu_reset(struct vcpu *v)
{
	reset_context(v);
	start_real_mode(v, 0xf000, 0xffff0000, 0xfff0);
}

void arch_vcpu_start_sipi(struct vcpu *v, u8 vector)
{
	start_real_mode(v, (u16)(vector << 8), (u64)vector << 12, 0);
}

static bool state_valid(const struct vcpu *v, const struct vcpu_state *st)
{
	bool pg = st->cr0 & CR0_PG, lma = st->efer & EFER_LMA;

	if ((st->cr0 >> 32) || (pg && !(st->cr0 & CR0_PE)) ||
	    ((st->cr0 & CR0_NW) && !(st->cr0 & CR0_CD)))
		return false;
	if ((st->cr4 & ~cpuid_cr4_allowed(v->domain)) ||
	    (st->efer & ~(cpuid_efer_allowed(v->domain) | EFER_LMA)))
		return false;
	if (lma != (pg && (st->efer & EFER_LME)) || (lma && !(st->cr4 & CR4_PAE)))
		return false;
	return st->cr3 < 1UL << x86.phys_bits;
}

#define AR_TYPE_CODE BIT(3)
#define AR_TYPE_WRITE BIT(1)
#define AR_S BIT(4)
#define AR_P BIT(7)
#define AR_L BIT(9)
#define AR_UNUSED 0xf000U

/* Code and stack must be there; data segments may be absent. */
static bool segments_valid(const struct vcpu_hvm_x86_32 *x)
{
	const u16 data[] = { x->ds_ar, x->es_ar };

	if ((x->cs_ar & (AR_P | AR_S | AR_TYPE_CODE | AR_L | AR_UNUSED)) !=
	    (AR_P | AR_S | AR_TYPE_CODE))
		return false;
	if ((x->ss_ar & (AR_P | AR_S | AR_TYPE_CODE | AR_TYPE_WRITE | AR_UNUSED)) !=
	    (AR_P | AR_S | AR_TYPE_WRITE))
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(data); i++)
		if ((data[i] & AR_P) && (data[i] & (AR_S | AR_UNUSED)) != AR_S)
			return false;
	return (x->tr_ar & (AR_P | AR_S | AR_UNUSED)) == AR_P;
}

static void context_32(const struct vcpu_hvm_x86_32 *x, struct regs *r, struct vcpu_state *st)
{
	/* The general registers come in encoding order. */
	for (unsigned i = 0; i < 8; i++)
		r->gpr[i] = (&x->eax)[i];
	r->rip = x->eip;
	r->rflags = x->eflags | RFLAGS_FIXED;
	st->cr0 = x->cr0 | CR0_ET;
	st->cr3 = x->cr3;
	st->cr4 = x->cr4;
	st->efer = x->efer;
	st->seg[SEG_CS] = segment(0, x->cs_ar & 0xfff, x->cs_limit, x->cs_base);
	st->seg[SEG_SS] = segment(0, x->ss_ar & 0xfff, x->ss_limit, x->ss_base);
	st->seg[SEG_DS] = segment(0, x->ds_ar & 0xfff, x->ds_limit, x->ds_base);
	st->seg[SEG_ES] = segment(0, x->es_ar & 0xfff, x->es_limit, x->es_base);
	st->seg[SEG_FS] = st->seg[SEG_GS] = st->seg[SEG_ES];
	st->seg[SEG_TR] = segment(0, x->tr_ar & 0xfff, x->tr_limit, x->tr_base);
}

static void context_64(const struct vcpu_hvm_x86_64 *x, struct regs *r, struct vcpu_state *st)
{
	for (unsigned i = 0; i < 8; i++)
		r->gpr[i] = (&x->rax)[i];
	r->rip = x->rip;
	r->rflags = x->rflags | RFLAGS_FIXED;
	st->cr0 = x->cr0 | CR0_ET;
	st->cr3 = x->cr3;
	st->cr4 = x->cr4;
	st->efer = x->efer;
	for (unsigned i = SEG_ES; i <= SEG_GS; i++)
		st->seg[i] = segment(0x10, ATTR_DATA32, ~0U, 0);
	st->seg[SEG_CS] = segment(0x08, ATTR_CODE64, ~0U, 0);
}

int arch_vcpu_set_context(struct vcpu *v, const struct vcpu_hvm_context *ctx)
{
	struct vcpu_state st = empty_state();
	struct regs regs = { 0 };
	bool ok = false;

	if (ctx->mode == VCPU_HVM_MODE_32B) {
		context_32(&ctx->cpu_regs.x86_32, &regs, &st);
		ok = segments_valid(&ctx->cpu_regs.x86_32);
	} else if (ctx->mode == VCPU_HVM_MODE_64B) {
		context_64(&ctx->cpu_regs.x86_64, &regs, &st);
		ok = st.efer & EFER_LMA;
	}
	if (!ok || !state_valid(v, &st))
		return -EINVAL;
	reset_context(v);
	v->sipi_wait = false; /* a SIPI does not start it a second time */
	v->regs = regs;
	hvm->set_state(v, &st);
	return 0;
}

/* One for all that CPUs of today have but AMX, which guests are not shown. */
static unsigned xsave_pages(void)
{
	return (unsigned)(ALIGN_UP(x86.xsave_size, PAGE_SIZE) >> PAGE_SHIFT);
}

int arch_vcpu_init(struct vcpu *v)
{
	int rc;

	v->xsave = alloc_pages(xsave_pages(), v->domain->node);
	if (!v->xsave)
		return -ENOMEM;
	rc = hvm->vcpu_init(v);
	if (!rc)
		rc = vlapic_create(v);
	if (!rc)
		arch_vcpu_reset(v);
	return rc;
}

void arch_vcpu_free(struct vcpu *v)
{
	vlapic_destroy(v);
	hvm->vcpu_free(v);
	if (v->xsave)
		free_pages(v->xsave, xsave_pages());
	v->xsave = NULL;
}

int arch_domain_init(struct domain *d)
{
	return cpuid_policy_init(d);
}

void arch_domain_free(struct domain *d)
{
	cpuid_policy_free(d);
}

void arch_vcpu_dump(struct vcpu *v)
{
	struct regs now = v->regs, *r = &now;

	if (hvm->regs)
		hvm->regs(v, r);
	printk("%s vcpu %u: RIP %016lx RFLAGS %08lx RSP %016lx\n", v->domain->name, v->id, r->rip,
	       r->rflags, r->rsp);
	printk("RAX %016lx RBX %016lx RCX %016lx RDX %016lx\n", r->rax, r->rbx, r->rcx, r->rdx);
	printk("RSI %016lx RDI %016lx RBP %016lx R8  %016lx\n", r->rsi, r->rdi, r->rbp, r->r8);
	printk("R9  %016lx R10 %016lx R11 %016lx R12 %016lx\n", r->r9, r->r10, r->r11, r->r12);
	printk("R13 %016lx R14 %016lx R15 %016lx\n", r->r13, r->r14, r->r15);
	hvm->dump(v);
}

unsigned arch_memory_map(struct domain *d, struct e820_entry *map, unsigned max_entries)
{
	struct hvm_memmap_table_entry r[GUEST_MEM_MAP_MAX];
	struct guest_layout l;
	unsigned n;

	if (guest_layout(d->spec.mem, strlen(d->spec.cmdline), &l))
		return 0;
	n = guest_memory_map(&l, r);
	n = min(n, max_entries);
	for (unsigned i = 0; i < n; i++)
		map[i] = (struct e820_entry){ r[i].addr, r[i].size, r[i].type };
	return n;
}

/*
 * Time is a linear function of the TSC that never changes, so a record is written when its place or the
 * guest's TSC offset changes, and never again. xen.h, struct vcpu_time_info.
 */
static void put_time(const struct vcpu *v, struct vcpu_time_info *t)
{
	u32 version = v->pvclock_version;
	u32 mul;
	s8 shift;

	tsc_pvclock_scale(&mul, &shift);
	WRITE_ONCE(t->version, version - 1);
	barrier();
	t->tsc_timestamp = tsc_base + v->tsc_offset;
	t->system_time = 0;
	t->tsc_to_system_mul = mul;
	t->tsc_shift = shift;
	t->flags = tsc_skew_max ? 0 : XEN_PVCLOCK_TSC_STABLE_BIT;
	barrier();
	WRITE_ONCE(t->version, version);
}

void arch_update_time(struct vcpu *v)
{
	const struct guest_area *a = &v->time_area;

	v->pvclock_version += 2;
	put_time(v, &v->info->time);
	if (atomic_load(&a->va))
		put_time(v, (struct vcpu_time_info *)((char *)mfn_to_virt(a->mfn[0]) + a->off));
}
