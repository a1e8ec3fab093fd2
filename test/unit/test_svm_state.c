/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD-V's get_state() and set_state(): set_state() restores what get_state() returned; and the MSR
 * bitmaps.
 * unit-sources: arch/x86/svm/state.c
 */
#include "some_state.h"

#include <margay/guest_copy.h>
#include <x86/cpuid_policy.h>
#include <x86/msr.h>

#include "../../arch/x86/svm/svm.h"

u8 *host_directmap;
static u8 shared_map[MSRPM_PAGES * PAGE_SIZE];
u8 *svm_msrpm = shared_map;

void *dom_alloc_meta(struct domain *d, unsigned int n)
{
	(void)d;
	return calloc(n, PAGE_SIZE);
}

void cpuid_follow(struct vcpu *vcpu)
{
	(void)vcpu;
}

void svm_set_cr0(struct vcpu *vcpu, u64 val)
{
	svm(vcpu)->cr0_kept = val & (CR0_CD | CR0_NW);
	vmcb_of(vcpu)->cr0 = val & ~(CR0_CD | CR0_NW);
}

static void test_svm(void **state)
{
	static struct vmcb m, other;
	static struct svm_vcpu s;

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		struct vcpu_state st = some_state(i & 1), got, again;
		struct regs regs;

		memset(&m, 0, sizeof(m));
		s = (struct svm_vcpu){ 0 };
		guest.hvm = &s;
		guest.block = &m;
		fill_regs();
		regs = guest.regs;
		svm_set_state(&guest, &st);
		m.ss.attr ^= 0x60;	/* SYSRET may leave it so; CPL decides */
		memset(&guest.regs, 0, 8);	/* as after a hypercall: the VMCB has RAX */
		guest.regs.rip = 0;
		svm_get_state(&guest, &got);
		assert_same(&st, &got);
		assert_memory_equal(&regs, &guest.regs, sizeof(regs));
		/* Restore into another VMCB. */
		memset(&other, 0xa5, sizeof(other));
		guest.block = &other;
		guest.nmi_blocked = false;
		svm_set_state(&guest, &got);
		assert_int_equal(guest.nmi_blocked, i & 1);
		svm_get_state(&guest, &again);
		assert_same(&got, &again);
	}
}

static void test_svm_step(void **state)
{
	static struct vmcb m;
	static struct svm_vcpu s;
	struct vcpu_state st = some_state(true);

	(void)state;
	guest.hvm = &s;
	guest.block = &m;
	fill_regs();
	svm_set_state(&guest, &st);
	/* As step_over_iret() leaves it. */
	s.nmi_step = true;
	s.iret_rip = guest.regs.rip;
	m.rflags = guest.regs.rflags |= RFLAGS_TF;
	m.intercept1 &= ~INTERCEPT_IRET;
	svm_get_state(&guest, &st);
	assert_false(guest.regs.rflags & RFLAGS_TF);
	assert_true(st.blocked & BLOCKED_BY_NMI);
	assert_true(m.intercept1 & INTERCEPT_IRET);
	assert_false(s.nmi_step);
}

static void test_bitmaps(void **state)
{
	static const struct {
		u32 msr;
		int at; /* the number of its first bit */
	} cases[] = { { 0, 0 },
		      { 0x1fff, 0x3ffe },
		      { 0x2000, -1 },
		      { MSR_EFER, 0x4100 },
		      { 0xc0001fff, 0x7ffe },
		      { 0xc0002000, -1 },
		      { 0xc0010015, 0x802a },
		      { 0x40000000, -1 },
		      { 0x80000010, -1 },
		      { ~0U, -1 } };

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		u8 map[MSRPM_PAGES * PAGE_SIZE] = { 0 };
		int at = cases[i].at;

		assert_int_equal(svm_msrpm_set(map, cases[i].msr, false, true),
				 at < 0 ? -EINVAL : 0);
		assert_int_equal(bits_set(map, sizeof(map)), at >= 0);
		if (at >= 0)
			assert_true(map[(at + 1) / 8] >> (at + 1) % 8 & 1);
	}
}

/* The shared map does not change when a vCPU gets its own. */
static void test_own_map(void **state)
{
	static struct vmcb m;
	static struct svm_vcpu s;
	u8 *own;

	(void)state;
	guest.hvm = &s;
	guest.block = &m;
	guest.domain = &dom;
	memset(shared_map, 0xff, sizeof(shared_map));
	m.msrpm_pa = virt_to_phys(shared_map);
	assert_int_equal(svm_msr_exits(&guest, MSR_STAR, false, false), 0);
	own = phys_to_virt(m.msrpm_pa);
	assert_ptr_not_equal(own, shared_map);
	assert_int_equal(bits_set(shared_map, sizeof(shared_map)), sizeof(shared_map) * 8);
	assert_int_equal(bits_set(own, sizeof(shared_map)), sizeof(shared_map) * 8 - 2);
	assert_int_equal(svm_msr_exits(&guest, MSR_STAR, true, true), 0);
	assert_ptr_equal(own, phys_to_virt(m.msrpm_pa));
	assert_int_equal(bits_set(own, sizeof(shared_map)), sizeof(shared_map) * 8);
	free(own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_svm),
		cmocka_unit_test(test_svm_step),
		cmocka_unit_test(test_bitmaps),
		cmocka_unit_test(test_own_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
