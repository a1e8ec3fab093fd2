/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-x's get_state() and set_state(): set_state() restores what get_state() returned; and the MSR
 * bitmaps.
 * unit-sources: arch/x86/vmx/state.c
 */
#include "some_state.h"

#include <margay/guest_copy.h>
#include <x86/cpuid_policy.h>
#include <x86/features.h>
#include <x86/msr.h>

#include "../../arch/x86/vmx/vmx.h"

static u64 vmcs[0x8000];
struct vmx_caps vmx_caps;
struct x86_features x86 = { .phys_bits = 40 };
static u64 pdpte[4];

u64 vmread(enum vmcs_field f)
{
	return vmcs[f];
}

void vmwrite(enum vmcs_field f, u64 val)
{
	vmcs[f] = val;
}

u64 cpuid_cr4_allowed(const struct domain *d)
{
	(void)d;
	return ~(CR4_VMXE | CR4_MCE);
}

int copy_from_gpa(struct domain *d, void *dst, gpaddr_t src, size_t n)
{
	(void)d;
	(void)src;
	memcpy(dst, pdpte, n);
	return 0;
}

/* Clears state that vmx_vcpu holds instead of the VMCS: its words are not compared here. */
static void drop_switched(struct vcpu_state *st)
{
	memset(st->msr, 0, NR_SWITCHED_MSRS * sizeof(st->msr[0]));
	st->cr2 = st->dr6 = 0;
}

static void test_vmx(void **state)
{
	static struct vmx_vcpu s;

	(void)state;
	guest.hvm = &s;
	guest.domain = &dom;
	for (unsigned int i = 0; i < 1000; i++) {
		struct vcpu_state st = some_state(i & 1), got = { 0 }, again = { 0 };
		struct regs regs;

		fill_regs();
		regs = guest.regs;
		drop_switched(&st);
		memset(vmcs, 0xa5, sizeof(vmcs));
		vmx_write_state(&guest, &st);
		/* As after a hypercall: only the VMCS has RSP. */
		guest.regs.rsp = s.rsp = 0;
		vmx_read_state(&guest, &got);
		assert_same(&st, &got);
		assert_memory_equal(&regs, &guest.regs, sizeof(regs));
		memset(vmcs, 0x5a, sizeof(vmcs));
		vmx_write_state(&guest, &got);
		vmx_read_state(&guest, &again);
		assert_same(&got, &again);
		/* A shadow ends with the instruction that exits. */
		guest.regs.rip++;
		vmx_read_state(&guest, &again);
		assert_int_equal(again.blocked, st.blocked & BLOCKED_BY_NMI);
	}
}

static void test_bitmaps(void **state)
{
	static const struct {
		u32 msr;
		int at; /* the number of its first bit */
	} cases[] = { { 0, 0 },
		      { 0x1fff, 0x1fff },
		      { 0x2000, -1 },
		      { MSR_EFER, 0x2080 },
		      { 0xc0001fff, 0x3fff },
		      { 0xc0002000, -1 },
		      { 0xc0010015, -1 },
		      { 0x40000000, -1 },
		      { 0x80000010, -1 },
		      { ~0U, -1 } };

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		u8 map[PAGE_SIZE] = { 0 };
		int at = cases[i].at;

		assert_int_equal(vmx_bitmap_set(map, cases[i].msr, true, false),
				 at < 0 ? -EINVAL : 0);
		assert_int_equal(bits_set(map, sizeof(map)), at >= 0);
		if (at >= 0)
			assert_true(map[(at) / 8] >> (at) % 8 & 1);
	}
}

/* An entry that has reserved bits becomes absent: VT-x would not enter the guest. */
static void test_pdptes(void **state)
{
	static struct vmx_vcpu hw;
	struct vcpu_state st = { .cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PAE };

	(void)state;
	guest.hvm = &hw;
	pdpte[0] = 0x1001;
	pdpte[1] = 0x1003;
	pdpte[2] = 0x1001 | 1UL << 40;
	pdpte[3] = 0x1000;
	vmx_write_state(&guest, &st);
	assert_int_equal(vmcs[GUEST_PDPTE0], 0x1001);
	for (unsigned int i = 1; i < 4; i++)
		assert_int_equal(vmcs[GUEST_PDPTE0 + 2 * i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vmx),
		cmocka_unit_test(test_bitmaps),
		cmocka_unit_test(test_pdptes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
