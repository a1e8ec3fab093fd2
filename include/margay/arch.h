/* SPDX-License-Identifier: BSD-2-Clause */
/* The interface of the architecture to common/. The definitions have longer comments. */
#pragma once

#include <margay/types.h>

struct boot_guest;
struct cpu;
struct domain;
struct vcpu;
struct vcpu_hvm_context;
struct vcpu_guest_context;
struct cpu_user_regs;

/* Runs v on this CPU until it blocks or is stopped. The scheduler enters guests only here. */
void arch_vcpu_run(struct vcpu *v);
/* Load v's FPU, debug registers and MSRs before it runs on this CPU, and save them afterwards. */
void arch_vcpu_load(struct vcpu *v);
void arch_vcpu_save(struct vcpu *v);

int arch_vcpu_init(struct vcpu *v);
void arch_vcpu_free(struct vcpu *v);

/* Set the state after INIT, and start in real mode at vector << 12. SDM 3A 10.1.1. */
void arch_vcpu_reset(struct vcpu *v);
void arch_vcpu_start_sipi(struct vcpu *v, u8 vector);
/* VCPUOP_initialise. Returns 0 or -EINVAL. */
int arch_vcpu_set_context(struct vcpu *v, const struct vcpu_hvm_context *ctx);

/*
 * Get the registers, and set the general ones. v runs on no CPU. -EINVAL: no CPU could have such a
 * state, and v is unchanged.
 */
void arch_vcpu_get_context(struct vcpu *v, struct vcpu_guest_context *c);
int arch_vcpu_set_user_regs(struct vcpu *v, const struct cpu_user_regs *r);

void arch_vcpu_dump(struct vcpu *v);
void arch_show_speculation(void); /* a line for each vulnerability */
/* Writes line i of the same. Returns 0, or -ENOENT after the last. */
int arch_speculation_line(unsigned i, char *text, size_t size);

/* Returns the number of interrupt vectors, of all CPUs, that guests' devices have. */
u64 arch_device_vectors(void);

/* Returns whether an interrupt is pending (vLAPIC, NMI) that the guest would take now. */
bool arch_vcpu_has_interrupt(struct vcpu *v);

/* Updates v's pvclock record (vcpu_time_info). */
void arch_update_time(struct vcpu *v);
/* Return and set the wall clock at system time zero, in ns since 1970. */
u64 arch_wallclock(void);
void arch_set_wallclock(u64 ns);

/* Delivers an edge-triggered interrupt to v's LAPIC; wakes v. Any CPU. Vectors < 16 set ESR. */
bool arch_vcpu_interrupt(struct vcpu *v, u8 vector);
/* Delivers v->upcall_vector. A LAPIC that is off takes none, and looks again when it is turned on. */
void arch_vcpu_upcall(struct vcpu *v);

unsigned arch_phys_bits(void);	/* of a guest's physical address */
/* Returns the number of c's core within its package, and that of the package. */
void arch_cpu_topology(const struct cpu *c, u32 *core, u32 *package);

u64 arch_mce_caps(void);	/* MCG_CAP of this CPU, or 0 */
void arch_cpu_nmi(struct cpu *c);
void arch_report_errors(void);		/* CPU_WORK_ERRORS */
void arch_cpu_kick(struct cpu *c);	/* sends an IPI: ends guest mode or sleep */
void arch_timer_program(stime_t at);	/* sets this CPU's only timer interrupt */
/* Gives this CPU's local APIC, without its timer, to an owner, or sets it up for Margay again. */
void arch_cpu_isolate(bool on);
bool arch_can_isolate(void);	/* all interrupts of other domains' devices can be kept away */
/* Returns whether v can use its core's local APIC, once it runs there. */
bool arch_vcpu_may_be_direct(const struct vcpu *v);
u32 arch_vcpu_apic_id(const struct vcpu *v);
int arch_map_apic(struct domain *d);	/* isolate_trusted() */
void arch_unmap_apic(struct domain *d);
void arch_idle(void);			/* sleeps until an interrupt, unless work is pending */
void arch_irqs_on(void);
void arch_irqs_off(void);
void arch_flush_translations(void);	/* this CPU's, for Margay's own pages */
void arch_poll_irqs(void);		/* opens a short window for pending interrupts */
void __noreturn arch_halt(void);	/* for good; NMIs and SMIs still arrive */
void __noreturn arch_reboot(void);
void __noreturn arch_poweroff(void);
#ifndef MARGAY_UNIT
static inline u64 rdtsc(void)
{
	u64 lo, hi;	/* RDTSC clears the upper halves */

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return hi << 32 | lo;
}
#endif
u64 tsc_to_ns(u64 tsc);
u64 arch_tsc_hz(void);
void cpu_relax(void);
void udelay(unsigned us);

/*
 * Gives a boot guest its memory, memory map, images and initial state, in bounded steps counted in
 * bg->stage, which begins at 1. Returns 0 when done, -ERESTART to be called again, or an error,
 * which it reports. One guest at a time.
 */
int arch_build_guest(struct domain *d, struct boot_guest *bg);
