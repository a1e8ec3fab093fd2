/* SPDX-License-Identifier: BSD-2-Clause */
/* Declarations private to arch/x86/guest: the inside of a vLAPIC, MSR numbers. */
#pragma once

#include <x86/apic_regs.h>
#include <x86/exit.h>
#include <x86/features.h>

/* MSRs that only guests access; the others are in x86/msr.h. */
#define MSR_PLATFORM_INFO 0xce
#define MSR_MISC_ENABLE 0x1a0
#define MSR_DEBUGCTL 0x1d9
#define MSR_XEN_HYPERCALL 0x40000000
#define MSR_K7_EVNTSEL0 0xc0010000
#define MSR_K7_PERFCTR3 0xc0010007
#define MSR_SYSCFG 0xc0010010
#define MSR_HWCR 0xc0010015
#define MSR_NB_CFG 0xc001001f
#define MSR_INT_PENDING 0xc0010055
#define MSR_MMIO_CONF_BASE 0xc0010058

#define ESR_SEND_ILLEGAL BIT(5)
#define ESR_RECV_ILLEGAL BIT(6)
#define ESR_ILLEGAL_REG BIT(7)

#define RFLAGS_FIXED 2UL
#define PAT_RESET 0x0007040600070406UL

/* msr.c, exit.c: values that the guest may write. */
bool pat_valid(u64 val);
bool xcr0_valid(const struct domain *d, u64 val);

/* start.c. The state after INIT, but for the real mode's segments; a check of a new state. */
struct vcpu_state state_after_init(void);
bool state_valid(const struct vcpu *v, const struct regs *r, const struct vcpu_state *st);
/* Resets what vcpu_state does not have. */
void state_reset(struct vcpu *v);

static inline bool is_canonical(gvaddr_t va, u64 cr4)
{
	unsigned unused = cr4 & CR4_LA57 ? 64 - 57 : 64 - 48;

	return (u64)((s64)(va << unused) >> unused) == va;
}

static inline u64 size_mask(unsigned bytes) { return bytes == 8 ? ~0UL : (1UL << bytes * 8) - 1; }

/*
 * Writes like an instruction of that size: 32-bit writes clear the upper half, smaller ones keep
 * the rest.
 */
static inline void set_register(u64 *r, u64 val, unsigned bytes)
{
	*r = (bytes < 4 ? *r & ~size_mask(bytes) : 0) | (val & size_mask(bytes));
}

/* Pending INIT and SIPI: bits of vlapic.startup. */
#define STARTUP_INIT BIT(0)
#define STARTUP_SIPI BIT(1)
#define STARTUP_VECTOR_SHIFT 8

/*
 * Only the vCPU itself, on its own CPU, changes the registers. Other CPUs access irr, esr_new and
 * startup, atomically; the timer's function reads lvt, period and tsc_deadline on any CPU.
 *
 * TPR and ISR are in a page whose layout hardware defines (SDM 3C 30.1, APM2 15.29). Interrupts
 * arrive in irr[]; where hardware delivers them, they are moved from irr[] to the page's IRR.
 */
struct vlapic {
	struct vcpu *v;
	u8 *page;
	union {
		struct {
			bool by_hardware;
			bool has_level; /* level-triggered interrupts may come: vioapic.c */
		};
		u16 slow;	/* both: an EOI is more than the common case */
	};
	int isr; /* highest vector in ISR, or -1; not while hardware delivers */
	u64 base; /* IA32_APIC_BASE */
	u32 ldr, dfr, svr, esr;
	u64 icr;
	u32 lvt[NR_LVTS];
	u32 tmict, tdcr;
	u64 irr[4];
	struct posting *posting; /* posting.c; NULL: nothing is posted */
	u32 esr_new; /* errors since the last write to ESR */
	u32 startup;
	u32 ipi_next; /* the next target of an unfinished IPI to many; 0: none */
	struct timer timer;
	stime_t expires; /* expiry of the running count; 0 when stopped */
	stime_t period;  /* 0 unless periodic */
	bool timer_held; /* periodic, not armed: see vlapic_timer_fired() */
	u64 tsc_deadline;
	bool timer_given; /* the CPU's timer runs for it: direct.c */
};

static inline bool vlapic_x2apic(const struct vlapic *vl) { return vl->base & APIC_BASE_EXTD; }

static inline bool vlapic_hw_enabled(const struct vlapic *vl) { return vl->base & APIC_BASE_EN; }

static inline bool vlapic_mmio_enabled(const struct vcpu *v)
{
	return (v->vlapic->base & (APIC_BASE_EN | APIC_BASE_EXTD)) == APIC_BASE_EN;
}

/* The vLAPIC accepts fixed interrupts: enabled in IA32_APIC_BASE and in SVR. */
static inline bool vlapic_enabled(const struct vlapic *vl)
{
	return (vl->base & APIC_BASE_EN) && (vl->svr & SVR_ENABLE);
}

static inline u32 *vlapic_reg(const struct vlapic *vl, u32 offset)
{
	return (u32 *)(vl->page + offset);
}

/* Bits of registers that a guest may set. */
#define SVR_VALID 0x1ffU
#define TDCR_VALID 0xbU
#define ICR_VALID 0xccfffU
extern const u32 vlapic_lvt_valid[NR_LVTS];

u8 vlapic_ppr(const struct vlapic *vl);
/* Reads the register at an offset in the page without a trace. err: there is none. */
struct msr_read vlapic_peek(struct vlapic *vl, u32 offset);
bool vlapic_lvt_deliver(struct vlapic *vl, unsigned lvt);
/* As arch_vcpu_interrupt(), for a level-triggered interrupt of a vlapic with has_level. Any CPU. */
void vlapic_level(struct vlapic *vl, u8 vector);
void vlapic_error(struct vlapic *vl, u32 bits);
void vlapic_init_regs(struct vlapic *vl); /* INIT's register state; keeps IA32_APIC_BASE */

/*
 * Resets the registers that context.c switches to their state after INIT, also in the CPU if v is
 * loaded.
 */
void context_reset(struct vcpu *v);

/* vlapic_ipi.c */
void vlapic_send_icr(struct vlapic *vl);
void vlapic_continue_ipi(struct vlapic *vl);
u32 vlapic_logical_id(const struct vlapic *vl);
/*
 * Handles pending INIT and SIPI. Runs on the target's own CPU. Returns true when v's state changed.
 */
bool vlapic_handle_startup(struct vcpu *v);
static inline bool vlapic_startup_pending(const struct vcpu *v)
{
	return READ_ONCE(v->vlapic->startup) != 0;
}

/* vlapic_timer.c */
unsigned vlapic_divide_shift(u32 tdcr);
void vlapic_timer_fired(struct timer *t);
void vlapic_timer_stop(struct vlapic *vl);
void vlapic_timer_lvt(struct vlapic *vl, u32 old_lvt); /* the timer's LVT was written */
void vlapic_timer_start(struct vlapic *vl, u32 count); /* write to TMICT */
/* Rearms a held timer: the guest can see ticks again, e.g. after it took an interrupt. Own CPU. */
void vlapic_timer_resume(struct vlapic *vl);
void vlapic_timer_settle(struct vlapic *vl); /* v runs on no CPU: is about to be saved */
u32 vlapic_timer_count(const struct vlapic *vl);
void vlapic_timer_load(struct vlapic *vl, u32 count); /* starts from that count */
void vlapic_timer_divide(struct vlapic *vl, u32 tdcr);
void vlapic_timer_deadline(struct vlapic *vl, u64 tsc); /* a guest TSC value; 0 disarms */

/* Moves an accepted interrupt back to IRR, if it came from the APIC. */
void vlapic_unaccept(struct vcpu *v, u8 vector);
