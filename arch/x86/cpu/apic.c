/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's local APICs: x2APIC through MSRs where the CPU has it, else xAPIC through its page.
 * Physical destinations only. The timer is TSC-deadline or a calibrated one-shot. SDM 3A 11, APM2
 * 16.
 */
#include <x86/apic.h>
#include <x86/apic_regs.h>
#include <x86/features.h>
#include <x86/hvm.h>
#include <x86/mce.h>
#include <x86/msr.h>
#include <x86/paging.h>
#include <x86/traps.h>
#include <x86/tsc.h>

#define LVT(n) (APIC_LVT + 0x10 * (n))
#define ICR_PENDING 0x1000U
#define DIVIDE_BY_1 0xbU
#define TIMER_MAX 0xffffffffU

static volatile u8 *regs;	/* NULL in x2APIC mode */
static u64 timer_mul;		/* timer ticks = ns * timer_mul >> 32 */

u32 apic_read(u32 reg)
{
	if (regs)
		return *(volatile u32 *)(regs + reg);
	return (u32)rdmsr(MSR_X2APIC_BASE + (reg >> 4));
}

void apic_write(u32 reg, u32 val)
{
	if (regs)
		*(volatile u32 *)(regs + reg) = val;
	else
		wrmsr(MSR_X2APIC_BASE + (reg >> 4), val);
}

/* Keeps x2APIC mode if firmware enabled it: firmware may have locked it, or CPUs may need it. */
void __init apic_init(bool allow_x2apic)
{
	if (x86.x2apic && !allow_x2apic && (rdmsr(MSR_APIC_BASE) & APIC_BASE_EXTD)) {
		pr_warn("nox2apic: firmware enabled x2APIC mode, which stays on\n");
		allow_x2apic = true;
	}
	if (!x86.x2apic || !allow_x2apic) {
		regs = map_mmio(rdmsr(MSR_APIC_BASE) & PTE_ADDR, PAGE_SIZE);
		if (!regs)
			panic("no memory to map the local APIC\n");
	}
	x86.x2apic = !regs;
	pr_info("local APIC: %s\n", regs ? "xAPIC" : "x2APIC");
}

/* Masks an entry of the LVT that firmware may have left on. SMIs stay firmware's. */
static void mask_lvt(u32 reg)
{
	if ((apic_read(reg) & LVT_DELIVERY) != LVT_SMI)
		apic_write(reg, LVT_MASKED);
}

static void mask_local_events(void)
{
	u32 version = apic_read(APIC_VERSION);
	u32 n = version & VERSION_EXTENDED ? APIC_COUNT(apic_read(APIC_EXTENDED)) : 0;

	mask_lvt(LVT(LVT_THERMAL));
	mask_lvt(LVT(LVT_PERF));
	if (APIC_COUNT(version) >= NR_LVTS)
		mask_lvt(APIC_LVT_CMCI);
	for (u32 i = 0; i < n; i++)
		mask_lvt(APIC_EXTENDED_LVT + 0x10 * i);
}

void apic_init_cpu(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_EN);
	if (!regs)
		wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_EN | APIC_BASE_EXTD);
	apic_write(APIC_TPR, 0);
	apic_write(APIC_SVR, SVR_ENABLE | VEC_SPURIOUS);
	apic_write(LVT(LVT_TIMER), x86.tsc_deadline ? LVT_DEADLINE | VEC_TIMER : VEC_TIMER);
	apic_write(LVT(LVT_LINT0), LVT_MASKED);
	apic_write(LVT(LVT_LINT1), LVT_NMI);
	apic_write(LVT(LVT_ERROR), LVT_MASKED);
	mask_local_events();
	apic_write(APIC_TDCR, DIVIDE_BY_1);
}

u32 apic_id(void)
{
	return regs ? apic_read(APIC_ID) >> 24 : apic_read(APIC_ID);
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

bool apic_in_service(u8 vector)
{
	return apic_read(APIC_ISR + vector / 32U * 16) >> vector % 32 & 1;
}

static void send_ipi(u32 dest, u32 icr_low)
{
	if (!regs) {
		/* WRMSR to the x2APIC does not order earlier stores. SDM 3A 11.12.3. */
		__asm__ volatile("mfence; lfence" ::: "memory");
		wrmsr(MSR_X2APIC_BASE + (APIC_ICR >> 4), (u64)dest << 32 | icr_low);
		return;
	}
	while (apic_read(APIC_ICR) & ICR_PENDING)
		cpu_relax();
	apic_write(APIC_ICR_HIGH, dest << 24);
	apic_write(APIC_ICR, icr_low);
}

/* What this interrupted may be the sending of an IPI: restores ICR_HIGH. */
static void send_between(u32 dest, u32 icr_low)
{
	u32 high;

	if (!regs) {
		send_ipi(dest, icr_low);
		return;
	}
	high = apic_read(APIC_ICR_HIGH);
	send_ipi(dest, icr_low);
	while (apic_read(APIC_ICR) & ICR_PENDING)
		cpu_relax();
	apic_write(APIC_ICR_HIGH, high);
}

void apic_send_ipi(u32 dest, u32 icr_low)
{
	if (unlikely(this_cpu()->isolated))
		send_between(dest, icr_low);
	else
		send_ipi(dest, icr_low);
}

void apic_send_nmi(u32 dest)
{
	send_between(dest, ICR_NMI);
}

void __init apic_timer_calibrate(u64 tsc_hz)
{
	u64 t0, ticks, tsc;

	if (x86.tsc_deadline)
		return;
	apic_write(APIC_TMICT, TIMER_MAX);
	t0 = rdtsc();
	ticks = apic_read(APIC_TMCCT);
	udelay(2000);
	ticks -= apic_read(APIC_TMCCT);
	tsc = rdtsc() - t0;
	apic_write(APIC_TMICT, 0);
	timer_mul = (ticks << 32) / tsc;
	pr_debug("APIC timer: %lu kHz\n", ticks * (tsc_hz / 1000) / tsc);
}

/* A guest may set any expiry. This many TSC ticks (36 years) are still in range. */
#define FAR_FUTURE BIT(60)

void arch_timer_program(stime_t at)
{
	u64 ticks = 1;
	u64 tsc = tsc_base + ns_to_tsc(min(at, FAR_FUTURE)) + 1, t;

	this_cpu()->timer_tsc = tsc;
	this_cpu()->policy_watched = false;
	if (unlikely(this_cpu()->isolated)) /* the timer is the owner's; NMIs end policies' calls */
		return;
	if (x86.tsc_deadline) {
		wrmsr(MSR_TSC_DEADLINE, tsc);
		return;
	}
	t = rdtsc();
	if (tsc > t)
		ticks = (u64)((unsigned __int128)(tsc - t) * timer_mul >> 32) + 1;
	apic_write(APIC_TMICT, (u32)min(ticks, (u64)TIMER_MAX));
}

void arch_cpu_kick(struct cpu *c)
{
	apic_send_ipi(c->apic_id, unlikely(READ_ONCE(c->owner)) ? ICR_NMI : VEC_KICK);
}

void arch_cpu_isolate(bool on)
{
	/* Else Margay's timer could fire with the owner's vector, or the owner's with Margay's. */
	if (on && x86.tsc_deadline)
		wrmsr(MSR_TSC_DEADLINE, 0);
	else if (on)
		apic_write(APIC_TMICT, 0);
	apic_init_cpu();
	if (!on) {
		/* What it has left pending there stays so: nothing but INIT takes it out. */
		if (apic_read(APIC_IRR))
			apic_write(APIC_TPR, TPR_ISOLATED);
		mce_start_polling();
		return;
	}
	apic_write(LVT(LVT_TIMER), LVT_MASKED);
	apic_write(APIC_TPR, TPR_ISOLATED);
	arch_poll_irqs();
}

void arch_cpu_nmi(struct cpu *c)
{
	apic_send_ipi(c->apic_id, ICR_NMI);
}
