/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event injection at an entry: combinations of exceptions, priorities, windows, and no lost event.
 * unit-sources: test/unit/no_policies.c arch/x86/guest/inject.c arch/x86/guest/vlapic.c arch/x86/guest/vlapic_timer.c
 * unit-sources: arch/x86/guest/vlapic_ipi.c test/unit/mock_vcpu.c test/unit/mock_heap.c
 */
#include "mock_vcpu.h"

#include <x86/features.h>
#include <x86/msr.h>
#include <x86/regs.h>

#define CALLBACK 0xf3

static unsigned int triple_faults;
static struct vcpu *v;

void guest_triple_fault(struct vcpu *who)
{
	assert_ptr_equal(who, v);
	triple_faults++;
}

static int setup(void **state)
{
	(void)state;
	mock_vcpu_init(true);
	triple_faults = 0;
	v = vcpu_nr(0);
	vlapic_write(v, 0xf0, 0x1ff);
	mock_domain.callback_vector = CALLBACK;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mock_vcpu_free();
	return 0;
}

static void expect(unsigned int type, unsigned int vector)
{
	assert_true(v->inject.valid);
	assert_int_equal(v->inject.type, type);
	assert_int_equal(v->inject.vector, vector);
	v->inject.valid = false;
}

static void raise_upcall(void)
{
	v->info->evtchn_upcall_pending = 1;
	vcpu_post(v, VCPU_WORK_EVENT);
}

/* SDM 3A table 6-5. */
static void test_exceptions(void **state)
{
	static const struct {
		u8 first, second, result;
	} cases[] = {
		{ 1, 13, 13 }, { 3, 14, 14 },  { 6, 6, 6 },    { 13, 6, 6 },
		{ 14, 1, 1 },  { 16, 13, 13 }, { 13, 13, 8 },  { 0, 11, 8 },
		{ 12, 10, 8 }, { 21, 0, 8 },   { 13, 14, 14 }, { 14, 13, 8 },
		{ 14, 14, 8 }, { 14, 0, 8 },   { 20, 14, 8 },  { 8, 6, 6 },
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		inject_exception(v, cases[i].first, true, 5);
		inject_exception(v, cases[i].second, true, 7);
		if (v->inject.vector != cases[i].result)
			fail_msg("case %u: vector %u", i, v->inject.vector);
		assert_int_equal(v->inject.error, cases[i].result == 8 ? 0 : 7);
		assert_true(v->inject.has_error);
		v->inject.valid = false;
	}
	for (u8 second = 10; second <= 14; second++) {
		inject_exception(v, 8, true, 0);
		inject_exception(v, second, true, 0);
		assert_false(v->inject.valid);
	}
	assert_int_equal(triple_faults, 5);
}

static void test_exception_over_interrupt(void **state)
{
	(void)state;
	/* From the APIC: the vector is pending in IRR again. */
	arch_vcpu_interrupt(v, 0x55);
	mock_polls_kept = 0;
	assert_false(vcpu_prepare_entry(v, true));
	assert_int_equal(mock_polls_kept, 0);
	assert_true(v->inject.valid);
	inject_exception(v, 14, true, 2);
	assert_true(v->pending & VCPU_WORK_LAPIC);
	assert_true(vcpu_prepare_entry(v, true));
	assert_int_equal(mock_polls_kept, 1);
	expect(INJ_EXCEPTION, 14);
	assert_false(vcpu_prepare_entry(v, true));
	expect(INJ_EXTINT, 0x55);
	vlapic_write(v, 0xb0, 0);
	/* The callback vector: the flag in the shared page is still set. */
	raise_upcall();
	vcpu_prepare_entry(v, true);
	assert_int_equal(v->inject.vector, CALLBACK);
	inject_exception(v, 13, true, 0);
	assert_true(vcpu_prepare_entry(v, true));
	expect(INJ_EXCEPTION, 13);
	vcpu_prepare_entry(v, true);
	expect(INJ_EXTINT, CALLBACK);
	v->info->evtchn_upcall_pending = 0;
	/* NMI. */
	v->nmi_pending = true;
	vcpu_prepare_entry(v, true);
	inject_exception(v, 14, true, 0);
	assert_true(v->nmi_pending);
	assert_false(v->nmi_blocked);
	expect(INJ_EXCEPTION, 14);
	vcpu_prepare_entry(v, true);
	expect(INJ_NMI, 2);
}

static void test_priority(void **state)
{
	(void)state;
	v->nmi_pending = true;
	raise_upcall();
	arch_vcpu_interrupt(v, 0xfe);
	assert_true(vcpu_prepare_entry(v, true));
	expect(INJ_NMI, 2);
	assert_true(v->nmi_blocked);
	assert_true(vcpu_prepare_entry(v, true));
	expect(INJ_EXTINT, CALLBACK);
	v->info->evtchn_upcall_pending = 0;
	assert_false(vcpu_prepare_entry(v, true));
	expect(INJ_EXTINT, 0xfe);
	assert_false(vcpu_prepare_entry(v, true));
	assert_false(v->inject.valid);
	assert_int_equal(v->pending | v->waiting_window, 0);
	assert_int_equal(v->stats.nmis, 1);
	assert_int_equal(v->stats.events, 1);
	assert_int_equal(v->stats.interrupts, 1);
	assert_int_equal(v->stats.exceptions, 0);
}

static void test_window(void **state)
{
	(void)state;
	raise_upcall();
	arch_vcpu_interrupt(v, 0x40);
	assert_true(vcpu_prepare_entry(v, false));
	assert_false(v->inject.valid);
	/* The run loop must not see work that cannot be done now. */
	assert_int_equal(v->pending, 0);
	assert_int_equal(v->waiting_window, VCPU_WORK_EVENT | VCPU_WORK_LAPIC);
	vcpu_post(v, VCPU_WORK_WINDOW);
	assert_true(vcpu_prepare_entry(v, true));
	expect(INJ_EXTINT, CALLBACK);
	/* The guest has handled the upcall and cleared the flag; now the APIC delivers. */
	v->info->evtchn_upcall_pending = 0;
	vcpu_post(v, VCPU_WORK_WINDOW);
	assert_false(vcpu_prepare_entry(v, true));
	expect(INJ_EXTINT, 0x40);
	assert_int_equal(v->waiting_window, 0);
}

/* Level: while the byte is set, Margay checks it again when the guest can take the upcall. */
static void test_callback_level(void **state)
{
	(void)state;
	raise_upcall();
	assert_false(vcpu_prepare_entry(v, true));
	expect(INJ_EXTINT, CALLBACK);
	/* An exit for another reason, inside the handler. */
	vcpu_post(v, VCPU_WORK_TIME);
	assert_true(vcpu_prepare_entry(v, false));
	assert_false(v->inject.valid);
	/* The handler returned without clearing the byte. */
	assert_false(vcpu_prepare_entry(v, true));
	expect(INJ_EXTINT, CALLBACK);
	v->info->evtchn_upcall_pending = 0;
	assert_false(vcpu_prepare_entry(v, true));
	assert_false(v->inject.valid);
	assert_int_equal(v->waiting_window, 0);
}

static void test_no_callback(void **state)
{
	(void)state;
	mock_domain.callback_vector = 0;
	raise_upcall();
	assert_false(vcpu_prepare_entry(v, true));
	assert_false(v->inject.valid);
	assert_false(arch_vcpu_has_interrupt(v));
	v->info = NULL;
	vcpu_post(v, VCPU_WORK_EVENT);
	assert_false(vcpu_prepare_entry(v, true));
}

static void test_upcall_vector(void **state)
{
	(void)state;
	v->upcall_vector = 0xf0;
	raise_upcall();
	assert_true(arch_vcpu_has_interrupt(v));
	assert_false(vcpu_prepare_entry(v, true));
	expect(INJ_EXTINT, 0xf0);
	/* Edge: one interrupt each, through the APIC's in-service register. */
	vlapic_write(v, 0xb0, 0);
	vcpu_post(v, VCPU_WORK_TIME);
	assert_false(vcpu_prepare_entry(v, true));
	assert_false(v->inject.valid);
	raise_upcall();
	assert_true(vcpu_prepare_entry(v, false));
	v->info->evtchn_upcall_pending = 0;
	assert_false(vcpu_prepare_entry(v, true));
	expect(INJ_EXTINT, 0xf0);
}

static void test_reinjection_goes_first(void **state)
{
	(void)state;
	v->inject = (struct injection){ .valid = true, .type = INJ_EXTINT, .vector = 0x30 };
	arch_vcpu_interrupt(v, 0x80);
	assert_true(vcpu_prepare_entry(v, true));
	expect(INJ_EXTINT, 0x30);
	assert_false(vcpu_prepare_entry(v, true));
	expect(INJ_EXTINT, 0x80);
}

static void test_nmi(void **state)
{
	(void)state;
	/* With IF clear the NMI is injected. */
	v->regs.rflags = 2;
	v->nmi_pending = true;
	vcpu_post(v, VCPU_WORK_NMI);
	assert_true(arch_vcpu_has_interrupt(v));
	assert_false(vcpu_prepare_entry(v, false));
	expect(INJ_NMI, 2);
	/* The next NMI waits for IRET, without a window. */
	v->nmi_pending = true;
	vcpu_post(v, VCPU_WORK_NMI);
	assert_false(arch_vcpu_has_interrupt(v));
	assert_false(vcpu_prepare_entry(v, false));
	assert_false(v->inject.valid);
	/* The guest executed IRET. */
	v->nmi_blocked = false;
	vcpu_post(v, VCPU_WORK_NMI);
	assert_false(vcpu_prepare_entry(v, false));
	expect(INJ_NMI, 2);
	v->nmi_blocked = false;
	/* In a shadow with IF set the NMI waits as well. */
	v->regs.rflags = RFLAGS_IF;
	v->nmi_pending = true;
	assert_true(vcpu_prepare_entry(v, false));
	assert_false(vcpu_prepare_entry(v, true));
	expect(INJ_NMI, 2);
}

static void test_has_interrupt(void **state)
{
	(void)state;
	assert_false(arch_vcpu_has_interrupt(v));
	arch_vcpu_interrupt(v, 0x40);
	assert_true(arch_vcpu_has_interrupt(v));
	v->regs.rflags = 2;
	assert_false(arch_vcpu_has_interrupt(v));
	raise_upcall();
	assert_false(arch_vcpu_has_interrupt(v));
	v->regs.rflags = RFLAGS_IF;
	vlapic_accept(v, 0x40);
	assert_true(arch_vcpu_has_interrupt(v));
}

#define EVENT(type, vector) ((u64)(type) << 8 | (vector))

/* Reinjects an interrupted event, unless the instruction raises it. SDM 3C 28.2.4, APM2 15.7.2. */
static void test_interrupted_event(void **state)
{
	static const u64 again[] = {
		EVENT(INJ_SOFT, 0x80), EVENT(5, 1), EVENT(6, 3), EVENT(INJ_EXCEPTION, 3),
		EVENT(INJ_EXCEPTION, 4),
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(again); i++) {
		vcpu_interrupted_event(v, again[i] | BIT(31), 0);
		assert_false(v->inject.valid);
	}
	vcpu_interrupted_event(v, EVENT(INJ_EXCEPTION, 14) | BIT(11) | BIT(31), 6);
	assert_true(v->inject.has_error);
	assert_int_equal(v->inject.error, 6);
	expect(INJ_EXCEPTION, 14);
	vcpu_interrupted_event(v, EVENT(INJ_EXTINT, 0x41) | BIT(31), 0);
	assert_false(v->inject.has_error);
	expect(INJ_EXTINT, 0x41);
	v->nmi_blocked = true;
	vcpu_interrupted_event(v, EVENT(INJ_NMI, 2) | BIT(31), 0);
	expect(INJ_NMI, 2);
	assert_false(v->nmi_blocked);
	v->nmi_blocked = true;	/* AMD-V's */
	vcpu_interrupted_event(v, EVENT(INJ_EXTINT, 2) | BIT(31), 0);
	expect(INJ_NMI, 2);
	assert_false(v->nmi_blocked);
}

/* Hardware delivers the vLAPIC's interrupts, but not upcalls. */
static void test_by_hardware(void **state)
{
	(void)state;
	v->regs.rflags = RFLAGS_IF;
	assert_false(vlapic_by_hardware(v, true)); /* an xAPIC */
	assert_int_equal(vlapic_wrmsr(v, MSR_APIC_BASE, VLAPIC_BASE | 0xd00), 0);
	assert_false(vlapic_by_hardware(v, false));
	assert_true(vlapic_by_hardware(v, true));
	vlapic_accept(v, 0x31);
	arch_vcpu_interrupt(v, 0x41);
	arch_vcpu_interrupt(v, 0x92);
	assert_false(vcpu_prepare_entry(v, true));
	assert_false(v->inject.valid);
	assert_int_equal(v->waiting_window, 0);
	assert_int_equal(vlapic_sync_irr_to_page(v), 0x92 | 0x31 << 8);
	assert_true(arch_vcpu_has_interrupt(v));
	assert_int_equal(vlapic_sync_irr_to_page(v), 0x92 | 0x31 << 8);
	raise_upcall();
	assert_true(vcpu_prepare_entry(v, false));
	assert_false(vcpu_prepare_entry(v, true));
	expect(INJ_EXTINT, CALLBACK);
	/* A software-disabled APIC delivers nothing; hardware cannot know that. */
	assert_int_equal(vlapic_wrmsr(v, MSR_X2APIC_BASE + 0xf, 0xff), 0);
	assert_false(vlapic_by_hardware(v, true));
}

static void test_other_work(void **state)
{
	(void)state;
	vcpu_post(v, VCPU_WORK_FLUSH | VCPU_WORK_TIME | VCPU_WORK_STOP);
	assert_false(vcpu_prepare_entry(v, true));
	assert_int_equal(mock_vcpus[0].flushes, 1);
	assert_int_equal(mock_vcpus[0].time_updates, 1);
	assert_int_equal(v->pending, VCPU_WORK_STOP); /* belongs to the run loop */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_exceptions),
		TEST(test_exception_over_interrupt),
		TEST(test_priority),
		TEST(test_window),
		TEST(test_callback_level),
		TEST(test_no_callback),
		TEST(test_upcall_vector),
		TEST(test_reinjection_goes_first),
		TEST(test_nmi),
		TEST(test_has_interrupt),
		TEST(test_interrupted_event),
		TEST(test_by_hardware),
		TEST(test_other_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
