/* SPDX-License-Identifier: BSD-2-Clause */
/* See mock_vcpu.h. */
#include "mock_vcpu.h"

#include <margay/sched.h>
#include <x86/apic.h>
#include <x86/direct.h>
#include <x86/features.h>
#include <x86/regs.h>
#include <x86/spec.h>
#include <x86/pmu.h>
#include <x86/posting.h>
#include <x86/vioapic.h>

struct domain mock_domain = { .vcpus = { [MOCK_VCPUS - 1] = NULL } };
struct mock_vcpu mock_vcpus[MOCK_VCPUS];
__attribute__((weak)) struct cpu *cpus[MAX_CPUS];

static struct cpu mock_cpu;
struct cpu *host_cpu = &mock_cpu, *housekeeping_cpu = &mock_cpu;
stime_t mock_now;
int mock_shutdown;
unsigned int mock_crashes, mock_timers_fired, mock_polls_kept;

static struct timer *waiting[8];

static struct mock_vcpu *of(struct vcpu *v)
{
	return container_of(v, struct mock_vcpu, v);
}

static void mock_mode(struct vcpu *v, struct vcpu_mode *m)
{
	*m = of(v)->mode;
}

static u64 mock_cr4(struct vcpu *v)
{
	return of(v)->mode.cr4;
}

static void mock_skip_shadow(struct vcpu *v)
{
	of(v)->shadow_drops++;
}

static void mock_flush(struct vcpu *v)
{
	of(v)->flushes++;
}

static const struct hvm_ops mock_ops = {
	.mode = mock_mode,
	.cr4 = mock_cr4,
	.skip_shadow = mock_skip_shadow,
	.request_flush = mock_flush,
};

const struct hvm_ops *hvm = &mock_ops;
struct x86_features x86;
struct spec_plan spec;
u64 spec_arch_caps;

/* No vCPU has a CPU's local APIC; test_direct.c links the real functions. */
#define NO_DIRECT(decl) __attribute__((weak)) decl { fail_msg("%s", __func__); }
NO_DIRECT(void apic_send_ipi(u32 dest __unused, u32 icr __unused))
NO_DIRECT(void apic_write(u32 reg __unused, u32 val __unused))
NO_DIRECT(void cpu_raise(struct cpu *c __unused, u32 work __unused))
NO_DIRECT(void direct_leave(struct vcpu *v __unused))
NO_DIRECT(void direct_move_irr(struct vcpu *v __unused))
NO_DIRECT(void direct_put_back(u8 vector __unused))
NO_DIRECT(void pmu_interrupt(struct vcpu *v __unused))
NO_DIRECT(void pmu_arm(const struct vcpu *v __unused))
NO_DIRECT(void pmu_load(struct vcpu *v __unused))
NO_DIRECT(void pmu_save(struct vcpu *v __unused))
__attribute__((weak)) bool pmu_cpuid(struct cpuid_regs *leaf1 __unused,
				     struct cpuid_regs *leaf10 __unused,
				     struct cpuid_regs *ext1 __unused)
{
	return false;
}
__attribute__((weak)) struct msr_read pmu_rdmsr(struct vcpu *v __unused, u32 msr __unused)
{
	return (struct msr_read){ 0, -EPERM };
}
__attribute__((weak)) int pmu_wrmsr(struct vcpu *v __unused, u32 msr __unused, u64 val __unused)
{
	return -EPERM;
}
__attribute__((weak)) void direct_timer(struct vcpu *v __unused, bool direct __unused)
{
}
__attribute__((weak)) bool arch_vcpu_may_be_direct(const struct vcpu *v __unused)
{
	return false;
}

/* Nothing is posted. */
__attribute__((weak)) void posting_free(struct vcpu *v)
{
	(void)v;
}

/* In a domain without emulated IO-APICs. */
__attribute__((weak)) void vioapic_eoi(struct domain *d, u8 vector)
{
	(void)d;
	(void)vector;
}

void mock_vcpu_free(void)
{
	for (unsigned int i = 0; i < MOCK_VCPUS; i++)
		vlapic_destroy(vcpu_nr(i));
}

void mock_vcpu_init(bool lapic)
{
	memset(waiting, 0, sizeof(waiting));
	memset(mock_vcpus, 0, sizeof(mock_vcpus));
	memset(&mock_domain, 0, sizeof(mock_domain));
	mock_now = 1000000;
	mock_shutdown = -1;
	mock_crashes = 0;
	snprintf(mock_domain.name, sizeof(mock_domain.name), "mock");
	mock_domain.nr_vcpus = MOCK_VCPUS;
	x86 = (struct x86_features){ .tsc_hz = 1000000000,
				     .phys_bits = 40,
				     .vendor = X86_VENDOR_AMD };
	for (unsigned int i = 0; i < MOCK_VCPUS; i++) {
		struct vcpu *v = vcpu_nr(i);

		v->id = i;
		v->domain = &mock_domain;
		v->info = &mock_vcpus[i].info;
		v->regs.rflags = RFLAGS_IF;
		mock_vcpus[i].sipi_vector = -1;
		mock_domain.vcpus[i] = v;
		if (lapic)
			assert_int_equal(vlapic_create(v), 0);
	}
}

void mock_time_to(stime_t t)
{
	for (;;) {
		struct timer *first = NULL;
		unsigned int at = 0;

		for (unsigned int i = 0; i < ARRAY_SIZE(waiting); i++) {
			if (waiting[i] && waiting[i]->expires <= t &&
			    (!first || waiting[i]->expires < first->expires)) {
				first = waiting[i];
				at = i;
			}
		}
		if (!first)
			break;
		waiting[at] = NULL;
		mock_now = max(mock_now, first->expires);
		mock_timers_fired++;
		first->fn(first);
	}
	mock_now = max(mock_now, t);
}

void timers_keep_poll(void)
{
	mock_polls_kept++;
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	memset(t, 0, sizeof(*t));
	t->fn = fn;
}

void timer_stop(struct timer *t)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(waiting); i++)
		if (waiting[i] == t)
			waiting[i] = NULL;
}

void timer_set(struct timer *t, stime_t expires)
{
	timer_stop(t);
	t->expires = expires;
	for (unsigned int i = 0; i < ARRAY_SIZE(waiting); i++) {
		if (!waiting[i]) {
			waiting[i] = t;
			return;
		}
	}
	fail_msg("too many timers");
}

stime_t now(void)
{
	return mock_now;
}

u64 rdtsc(void)
{
	return mock_now;
}

u64 tsc_to_ns(u64 tsc)
{
	return tsc;
}

void vcpu_post(struct vcpu *v, u32 work)
{
	v->pending |= work;
}

void vcpu_wake(struct vcpu *v)
{
	of(v)->woken++;
}

void vcpu_wait_deadline(struct vcpu *v)
{
	v->not_before = 0;
}

void vcpu_early_timer_slow(struct vcpu *v, stime_t at)
{
	v->not_before = at;
}

void vcpu_up(struct vcpu *v)
{
	of(v)->ups++;
}

void vcpu_down(struct vcpu *v)
{
	of(v)->downs++;
}

struct vcpu *domain_vcpu(struct domain *d, u32 id)
{
	return id < d->nr_vcpus ? d->vcpus[id] : NULL;
}

__attribute__((weak)) void arch_vcpu_reset(struct vcpu *v)
{
	of(v)->resets++;
	v->regs.rflags = 2;
	v->inject.valid = v->nmi_pending = v->nmi_blocked = false;
}

__attribute__((weak)) void arch_vcpu_start_sipi(struct vcpu *v, u8 vector)
{
	of(v)->sipi_vector = vector;
}

void arch_update_time(struct vcpu *v)
{
	of(v)->time_updates++;
}

void arch_vcpu_dump(struct vcpu *v)
{
	(void)v;
}

void domain_shutdown(struct domain *d, unsigned int code)
{
	(void)d;
	mock_shutdown = (int)code;
}

void domain_crash(struct domain *d, struct vcpu *v, const char *why, ...)
{
	(void)d;
	(void)v;
	(void)why;
	mock_crashes++;
}

__attribute__((weak)) void arch_poll_irqs(void)
{
}
