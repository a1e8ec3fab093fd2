/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CPUID policy, on machines that report everything, nothing, or one vendor's features.
 * unit-sources: test/unit/no_policies.c arch/x86/guest/cpuid.c test/unit/mock_vcpu.c test/unit/mock_heap.c
 * unit-sources: arch/x86/guest/vlapic.c arch/x86/guest/vlapic_timer.c arch/x86/guest/vlapic_ipi.c
 * unit-sources: arch/x86/guest/inject.c arch/x86/guest/cpu_policy.c arch/x86/guest/apic_ids.c
 */
#include "mock_vcpu.h"

#include <margay/cpu_policy.h>
#include <margay/domain_parts.h>
#include <x86/features.h>
#include <x86/regs.h>
#include <x86/smp.h>
#include <x86/tsc.h>

static u32 features; /* every feature word of the machine */
static u32 max_basic, max_ext;
static u32 topo_levels; /* of leaf 0x1f; 0: the machine's topology is not asked for */
static struct cpu cpu[2] = { { .apic_id = 0x107, .amd_core = { 0x103, 0x205 } },
			     { .apic_id = 0x302, .amd_core = { 0x101, 0x206 } } };
unsigned nr_cpus = 2;

u32 package_first_id(const struct cpu *c) { return c->apic_id & ~0xffU; }

static void cache(u32 sub, struct cpuid_regs *r)
{
	static const u32 cache_levels[] = { 1, 1, 2, 3 };

	*r = (struct cpuid_regs){ 0 };
	if (sub < ARRAY_SIZE(cache_levels))
		*r = (struct cpuid_regs){ 0xfc01c000 | cache_levels[sub] << 5 | 1, 0x1c0003f, 0x3f,
					  0 };
}

/* Returns the XSAVE size for the components in the CPU's XCR0, which holds the vCPU's value. */
static u32 xsave_size(bool compact)
{
	u64 xcr0 = mock_vcpus[0].v.xcr0;
	u32 size = 576;

	for (u32 i = 2; i < 64; i++) {
		u32 need = i == 2 ? 256 : 64, at = i == 2 ? 576 : 1024 + i * 64;

		if (xcr0 >> i & 1)
			size = compact ? size + need : max(size, at + need);
	}
	return size;
}

u32 cpuid_machine_ebx(u32 leaf, u32 sub)
{
	struct cpuid_regs r;

	cpuid_machine(leaf, sub, &r);
	return r.ebx;
}

void cpuid_machine(u32 leaf, u32 sub, struct cpuid_regs *r)
{
	*r = (struct cpuid_regs){ features, features, features, features };
	if (leaf == 0)
		r->eax = max_basic;
	else if (leaf == 0x80000000)
		r->eax = max_ext;
	else if (leaf == 1)
		r->eax = 0x800f12;
	else if (leaf == 4 || leaf == 0x8000001d)
		cache(sub, r);
	else if (leaf == 0xd && sub < 2)
		r->ebx = features ? xsave_size(sub == 1) : 0;
	else if (leaf == 0xd)
		*r = (struct cpuid_regs){ sub == 2 ? 256 : 64, sub == 2 ? 576 : 1024 + sub * 64, 2,
					  0 };
	else if (leaf == 7 && sub == 0)
		r->eax = 1;
	if (!topo_levels)
		return;
	if (leaf == 1)
		*r = (struct cpuid_regs){ 0x800f12, 0x07100800, ~0U, ~0U };
	else if (leaf == 0xb || leaf == 0x1f)
		*r = (struct cpuid_regs){ sub + 1,
					  sub < (leaf == 0xb ? 2 : topo_levels) ? 2 << sub : 0,
					  (sub < topo_levels ? (sub + 1) << 8 : 0) | sub, 7 };
	else if (leaf == 0x80000008)
		*r = (struct cpuid_regs){ 0x3028, 0, 0x501f, 0 };
}

void guest_triple_fault(struct vcpu *v)
{
	(void)v;
	fail_msg("triple fault");
}

void tsc_pvclock_scale(u32 *mul, s8 *shift)
{
	*mul = 0xcccccccc;
	*shift = -1;
}

static void start(bool is_intel, u32 words, u32 basic, u32 ext, unsigned int vcpus)
{
	features = words;
	max_basic = basic;
	max_ext = ext;
	mock_vcpu_free();
	mock_vcpu_init(true);
	x86.vendor = is_intel ? X86_VENDOR_INTEL : X86_VENDOR_AMD;
	mock_domain.max_vcpus = vcpus;
	mock_domain.id = 7;
}

static void policy(void)
{
	assert_int_equal(arch_part.create(&mock_domain), 0);
	for (unsigned int i = 0; i < MOCK_VCPUS; i++)
		cpuid_vcpu_init(vcpu_nr(i));
}

static struct cpuid_regs ask(unsigned int i, u32 leaf, u32 sub)
{
	cpuid_follow(vcpu_nr(i));
	return *cpuid_guest(vcpu_nr(i), leaf, sub);
}

static void assert_zero(struct cpuid_regs r)
{
	assert_int_equal(r.eax | r.ebx | r.ecx | r.edx, 0);
}

static int teardown(void **state)
{
	(void)state;
	arch_part.free(&mock_domain);
	mock_vcpu_free();
	assert_null(mock_domain.cpuid);
	return 0;
}

/* A guest that gets functions sees MTRRs, now and after its registers change. */
static void test_mtrr(void **state)
{
	(void)state;
	start(false, ~0U, 0x20, 0x80000022, 4);
	policy();
	assert_false(ask(1, 1, 0).edx & BIT(12));
	cpuid_offer_mtrr(&mock_domain);
	assert_true(cpuid_guest(vcpu_nr(1), 1, 0)->edx & BIT(12));
	assert_true(ask(1, 1, 0).edx & BIT(12));
	assert_true(cpuid_policy_at(mock_domain.cpuid, 1, 0)->edx & BIT(12));
}

/* On a machine with every bit set, hidden features stay hidden. */
static void test_hidden(void **state)
{
	struct cpuid_regs r;

	(void)state;
	start(false, ~0U, 0x20, 0x80000022, 4);
	x86.xcr0_mask = 7;
	x86.xsave = true;
	policy();
	r = ask(0, 1, 0);
	assert_int_equal(r.ecx & (BIT(2) | BIT(3) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(15) |
				  BIT(18)),
			 0);
	assert_int_equal(r.ecx & (BIT(21) | BIT(24) | BIT(31)), BIT(21) | BIT(24) | BIT(31));
	assert_int_equal(
		r.edx & (BIT(7) | BIT(12) | BIT(14) | BIT(18) | BIT(21) | BIT(22) | BIT(29)), 0);
	r = ask(0, 7, 0);
	assert_int_equal(r.eax, 1);
	/* TSC_ADJUST SGX HLE PQM RTM MPX PQE PT; all of AVX512, whose state is not switched */
	assert_int_equal(r.ebx & (BIT(1) | BIT(2) | BIT(4) | BIT(11) | BIT(12) | BIT(14) | BIT(15) |
				  BIT(25) | BIT(16) | BIT(17) | BIT(21) | BIT(30) | BIT(31)),
			 0);
	assert_int_equal(r.ecx & (BIT(3) | BIT(4) | BIT(5) | BIT(16) | BIT(30)), 0);
	assert_int_equal(r.edx & (BIT(26) | BIT(27) | BIT(28) | BIT(29) | BIT(30) | BIT(31)), 0);
	assert_true(r.ebx & BIT(5)); /* AVX2 is visible */
	assert_zero(ask(0, 5, 0));
	assert_zero(ask(0, 0xa, 0));
	r = ask(0, 6, 0);
	assert_int_equal(r.eax, BIT(2));
	r = ask(0, 0x80000001, 0);
	assert_int_equal(r.ecx & (BIT(2) | BIT(3) | BIT(9) | BIT(10) | BIT(12) | BIT(13) | BIT(15) |
				  BIT(19) | BIT(23) | BIT(24) | BIT(26) | BIT(29)),
			 0);
	assert_int_equal(r.edx & BIT(26), 0); /* 1 GiB pages only if x86 reports them */
	r = ask(0, 0x80000007, 0);
	assert_int_equal(r.edx, 0);
	assert_zero(ask(0, 0x8000000a, 0));
	assert_zero(ask(0, 0x8000001f, 0));
	assert_int_equal(ask(0, 0x80000000, 0).eax, 0x80000021);
	assert_zero(ask(0, 0x80000022, 0));
	assert_zero(ask(0, 0x8fffffff, 0));
	assert_zero(ask(0, 0xe, 0));
	assert_zero(ask(0, 0x1f, 0));
	assert_zero(ask(0, 0xffffffff, 0xffffffff));
	assert_int_equal(ask(0, 0, 0).eax, 0xd);
}

static void test_bare_machine(void **state)
{
	struct cpuid_regs r;

	(void)state;
	start(false, 0, 1, 0x80000008, 1);
	policy();
	r = ask(0, 1, 0);
	assert_int_equal(r.ecx, BIT(21) | BIT(24) | BIT(31));
	assert_int_equal(r.edx, BIT(9));
	assert_zero(ask(0, 7, 0));
	assert_zero(ask(0, 0xd, 0));
	assert_int_equal(cpuid_xcr0_allowed(&mock_domain), 0);
	assert_int_equal(cpuid_efer_allowed(&mock_domain), EFER_SCE | EFER_LME | EFER_LMA);
	assert_int_equal(cpuid_cr4_allowed(&mock_domain) &
				 (CR4_SMEP | CR4_SMAP | CR4_OSXSAVE | CR4_UMIP | CR4_FSGSBASE |
				  BIT(17) | BIT(22)),
			 0);
}

static void test_topology(void **state)
{
	struct cpuid_regs r;

	(void)state;
	for (unsigned int n = 1; n <= MOCK_VCPUS; n++) {
		unsigned int order = n == 1 ? 0 : n == 2 ? 1 : 2;

		start(false, ~0U, 0x10, 0x8000001e, n);
		policy();
		for (unsigned int i = 0; i < n; i++) {
			r = ask(i, 1, 0);
			assert_int_equal(r.ebx >> 24, i);
			assert_int_equal(r.ebx >> 16 & 0xff, n);
			assert_int_equal(!!(r.edx & BIT(28)), n > 1);
			r = ask(i, 0xb, 0);
			assert_int_equal(r.eax, 0);
			assert_int_equal(r.ebx, 1);
			assert_int_equal(r.ecx, 0x100);
			assert_int_equal(r.edx, i);
			r = ask(i, 0xb, 1);
			assert_int_equal(r.eax, order);
			assert_int_equal(r.ebx, n);
			assert_int_equal(r.ecx, 0x201);
			assert_int_equal(r.edx, i);
			r = ask(i, 0xb, 2);
			assert_int_equal(r.ebx, 0);
			assert_int_equal(r.ecx, 2);
			r = ask(i, 0x8000001e, 0);
			assert_int_equal(r.eax, i);
			assert_int_equal(r.ebx, i);
		}
		r = ask(0, 0x80000008, 0);
		assert_int_equal(r.eax & 0xff, 40);
		assert_int_equal(r.ecx, (n - 1) | order << 12);
		assert_int_equal(ask(0, 0x8000001d, 0).eax >> 14, 0);
		assert_int_equal(ask(0, 0x8000001d, 3).eax >> 14 & 0xfff, n - 1);
		assert_zero(ask(0, 0x8000001d, 4));
		assert_zero(ask(0, 0x8000001d, 99));
		arch_part.free(&mock_domain);
	}
	/* Fields of 8 bits and less have their maximum; an id's upper bits do not spill over. */
	start(false, ~0U, 0x10, 0x8000001e, 1024);
	vcpu_nr(1)->id = 0x203;
	policy();
	assert_int_equal(ask(1, 1, 0).ebx >> 16, 0x03ff);
	assert_int_equal(ask(1, 0xb, 1).eax, 10);
	assert_int_equal(ask(1, 0xb, 1).ebx, 1024);
	assert_int_equal(ask(1, 0xb, 1).edx, 0x203);
	assert_int_equal(ask(1, 0x80000008, 0).ecx, 255 | 10 << 12);
	assert_int_equal(ask(1, 0x8000001d, 3).eax >> 14, 1023);
	assert_int_equal(ask(1, 0x8000001e, 0).eax, 0x203);
	assert_int_equal(ask(1, 0x8000001e, 0).ebx, 3);
	arch_part.free(&mock_domain);
	start(true, ~0U, 0x20, 0x80000008, 1024);
	policy();
	assert_int_equal(ask(0, 4, 3).eax, 63U << 26 | 1023 << 14 | 3 << 5 | 1);
	arch_part.free(&mock_domain);
	start(true, ~0U, 0x20, 0x80000008, 3);
	policy();
	assert_int_equal(ask(0, 4, 0).eax, 3U << 26 | 1 << 5 | 1);
	assert_int_equal(ask(0, 4, 3).eax, 3U << 26 | 3 << 14 | 3 << 5 | 1);
	assert_zero(ask(0, 4, 4));
	/* Beyond the limit Intel returns the last basic leaf. */
	assert_int_equal(ask(0, 0x30, 0).eax, ask(0, 0xd, 0).eax);
	assert_int_equal(ask(0, 0x80000001, 0).ecx & BIT(1), 0);
}

/* A guest with CPUs of its own has the machine's fields, and ids of its own. */
static void test_own_cpus(void **state)
{
	static const struct cpu_set own = { { 3 } };
	struct cpuid_regs r;

	(void)state;
	cpus[0] = &cpu[0];
	cpus[1] = &cpu[1];
	for (unsigned intel = 0; intel < 2; intel++)
		for (topo_levels = 1; topo_levels <= 6; topo_levels++) {
			start(intel, ~0U, 0x20, intel ? 0x80000008 : 0x8000001e, 2);
			mock_domain.own_cpus = &own;
			assert_int_equal(arch_part.create(&mock_domain), 0);
			for (unsigned i = 0; i < 2; i++) {
				u32 id = i ? 0x202 : 7;

				cpuid_vcpu_init(vcpu_nr(i));
				cpuid_follow(vcpu_nr(i));
				assert_int_equal(ask(i, 0, 0).eax, 0x1f);
				r = ask(i, 1, 0);
				assert_int_equal(r.ebx, (id & 0xff) << 24 | 0x100800);
				assert_int_not_equal(r.edx & BIT(28), 0);
				for (u32 sub = 0; sub < 8; sub++) {
					u32 known = min(topo_levels, 5U);

					r = ask(i, 0xb, sub);
					assert_int_equal(r.eax, sub < 2 ? sub + 1 : 0);
					assert_int_equal(r.ebx, sub < 2 ? 2 << sub : 0);
					assert_int_equal(r.ecx & 0xff, sub);
					assert_int_equal(r.edx, id);
					r = ask(i, 0x1f, sub);
					assert_int_equal(r.ebx, sub < known ? 2 << sub : 0);
					assert_int_equal(r.ecx,
							 (sub < known ? (sub + 1) << 8 : 0) | sub);
					assert_int_equal(r.edx, id);
				}
				assert_zero(ask(i, 0xe, 0));
				assert_zero(ask(i, 0x1e, 1));
				assert_int_equal(ask(i, 0x20, 2).edx, intel ? id : 0);
				if (intel) {
					assert_int_equal(ask(i, 4, 3).eax, 0xfc01c000 | 3 << 5 | 1);
					assert_zero(ask(i, 4, 4));
					continue;
				}
				assert_int_equal(ask(i, 0x8000001d, 2).eax,
						 0xfc01c000 | 2 << 5 | 1);
				assert_int_equal(ask(i, 0x80000008, 0).ecx, 0x501f);
				assert_int_not_equal(ask(i, 0x80000001, 0).ecx & BIT(1), 0);
				r = ask(i, 0x8000001e, 0);
				assert_int_equal(r.eax, id);
				assert_int_equal(r.ebx, cpu[i].amd_core[0]);
				assert_int_equal(r.ecx, cpu[i].amd_core[1]);
			}
			arch_part.free(&mock_domain);
		}
	/* No leaf 0x1f, or an empty one, and no leaf 0xb */
	topo_levels = 1;
	start(true, ~0U, 0x1e, 0x80000008, 2);
	mock_domain.own_cpus = &own;
	assert_int_equal(arch_part.create(&mock_domain), 0);
	cpuid_vcpu_init(vcpu_nr(0));
	assert_int_equal(ask(0, 0, 0).eax, 0xd);
	assert_int_equal(ask(0, 0x1f, 0).eax, ask(0, 0xd, 0).eax);
	arch_part.free(&mock_domain);
	start(false, ~0U, 7, 0x80000008, 2);
	mock_domain.own_cpus = &own;
	assert_int_equal(arch_part.create(&mock_domain), 0);
	cpuid_vcpu_init(vcpu_nr(0));
	assert_int_equal(ask(0, 0, 0).eax, 7);
	assert_zero(ask(0, 0xb, 0));
	topo_levels = 0;
}

static void test_xsave(void **state)
{
	struct vcpu *v = vcpu_nr(0);
	struct cpuid_regs r;

	(void)state;
	start(false, ~0U, 0xd, 0x80000008, 1);
	x86.xcr0_mask = BIT(0) | BIT(1) | BIT(2) | BIT(9);
	x86.xsave = true;
	x86.xsave_size = 1024 + 9 * 64 + 64;
	policy();
	v->xcr0 = 1;
	r = ask(0, 0xd, 0);
	assert_int_equal(r.eax, x86.xcr0_mask);
	assert_int_equal(r.ebx, 576);
	assert_int_equal(r.ecx, 1024 + 9 * 64 + 64);
	v->xcr0 = 7;
	assert_int_equal(ask(0, 0xd, 0).ebx, 832);
	r = ask(0, 0xd, 1);
	assert_int_equal(r.eax, 7); /* not XSAVES */
	assert_int_equal(r.ebx, 832);
	v->xcr0 = 0x207;
	assert_int_equal(ask(0, 0xd, 1).ebx, 896); /* compacted */
	r = ask(0, 0xd, 2);
	assert_int_equal(r.eax, 256);
	assert_int_equal(r.ebx, 576);
	assert_zero(ask(0, 0xd, 3));
	assert_zero(ask(0, 0xd, 64));
	/* Bits that follow CR4. */
	assert_false(ask(0, 1, 0).ecx & BIT(27));
	assert_false(ask(0, 7, 0).ecx & BIT(4));
	assert_true(ask(0, 7, 0).ecx & BIT(3));
	mock_vcpus[0].mode.cr4 = CR4_OSXSAVE | BIT(22);
	assert_true(ask(0, 1, 0).ecx & BIT(27));
	assert_true(ask(0, 7, 0).ecx & BIT(4));
	arch_part.free(&mock_domain);
	/* Without XSAVE, AVX and the features that depend on it are absent. */
	start(false, ~0U, 0xd, 0x80000008, 1);
	mock_vcpus[0].mode.cr4 = CR4_OSXSAVE;
	policy();
	assert_int_equal(ask(0, 1, 0).ecx & (BIT(26) | BIT(27) | BIT(28) | BIT(12)), 0);
	assert_int_equal(ask(0, 7, 0).ebx & BIT(5), 0);
}

static void test_xen_leaves(void **state)
{
	struct cpuid_regs r;

	(void)state;
	start(false, ~0U, 0xd, 0x80000008, 2);
	x86.tsc_hz = 2500000000;
	x86.invariant_tsc = x86.tsc_aux = true;
	policy();
	r = ask(1, 0x40000000, 0);
	assert_memory_equal(&r.ebx, "XenVMMXenVMM", 12);
	assert_true(r.eax >= 0x40000004 && r.eax < 0x40000100);
	assert_int_equal(ask(1, 0x40000001, 0).eax, 0x40011);
	r = ask(1, 0x40000002, 0);
	assert_int_equal(r.eax, 1);
	assert_int_equal(r.ebx, 0x40000000);
	r = ask(1, 0x40000003, 0);
	assert_int_equal(r.eax, 6);
	assert_int_equal(r.ecx, 2500000);
	r = ask(1, 0x40000003, 1);
	assert_int_equal(r.eax | r.ebx, 0);
	assert_int_equal(r.ecx, 0xcccccccc);
	assert_int_equal(r.edx, 0xffffffff);
	assert_int_equal(ask(1, 0x40000003, 2).eax, 2500000);
	r = ask(1, 0x40000004, 0);
	assert_int_equal(r.eax, BIT(3) | BIT(4));
	assert_int_equal(r.ebx, 1);
	assert_int_equal(r.ecx, 7);
	assert_zero(ask(1, 0x40000100, 0));
	assert_zero(ask(1, 0x400000ff, 0));
	assert_int_equal(ask(1, 0x80000007, 0).edx, BIT(8));
}

/* A guest may use what the policy shows and nothing else. */
static void test_limits(void **state)
{
	u64 cr4;

	(void)state;
	start(false, ~0U, 0xd, 0x80000008, 1);
	x86.xcr0_mask = 7;
	x86.xsave = true;
	policy();
	cr4 = cpuid_cr4_allowed(&mock_domain);
	assert_int_equal(cr4 & (CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_SMEP | CR4_SMAP | CR4_OSXSAVE |
				CR4_FSGSBASE | CR4_UMIP | BIT(17)),
			 CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_SMEP | CR4_SMAP | CR4_OSXSAVE |
				 CR4_FSGSBASE | CR4_UMIP | BIT(17));
	assert_int_equal(cr4 & (CR4_MCE | CR4_LA57 | BIT(13) | BIT(14) | BIT(22)), 0);
	assert_int_equal(cpuid_efer_allowed(&mock_domain),
			 EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_FFXSR);
	assert_int_equal(cpuid_xcr0_allowed(&mock_domain), 7);
	/* What the p2m can map. A guest's PCI bus has BARs of 64 bits in the upper half of that. */
	assert_int_equal(arch_phys_bits(), 40);
	x86.phys_bits = 52;
	assert_int_equal(arch_phys_bits(), 48);
}

/* Checks the rules of the tools: leaves and subleaves in order and in range. Returns the number. */
static unsigned list(struct cpuid_policy *p)
{
	struct xen_cpuid_leaf l = CPU_POLICY_START, last = l;
	unsigned n = 0;

	while (cpu_policy_next(p, &l)) {
		bool indexed = l.leaf == 4 || l.leaf == 7 || l.leaf == 0xb || l.leaf == 0xd;

		assert_true(l.leaf <= 0xd || l.leaf == 0x40000000 ||
			    (l.leaf >= 0x80000000 && l.leaf <= 0x80000021));
		assert_int_equal(l.subleaf != XEN_CPUID_NO_SUBLEAF, indexed);
		assert_true(!n || l.leaf > last.leaf ||
			    (l.leaf == last.leaf && l.subleaf > last.subleaf));
		last = l;
		n++;
	}
	assert_true(n < CPU_POLICY_LEAVES);
	return n;
}

static void test_list(void **state)
{
	struct cpuid_policy *p;
	u32 words[CPU_FEATURE_WORDS];

	(void)state;
	start(false, ~0U, 0x20, 0x80000022, 4);
	x86.xcr0_mask = 7;
	x86.xsave = true;
	policy();
	assert_true(list(NULL) > 60);
	cpu_policy_features(NULL, words);
	assert_int_equal(words[0], ~0U);
	assert_int_equal(words[2], ~0x0183f3ffU);
	p = cpu_policy_make(1);
	assert_non_null(p);
	assert_true(list(p) > 40);
	cpu_policy_features(p, words);
	assert_int_equal(words[1] & (BIT(5) | BIT(27) | BIT(31)), BIT(31));
	kfree(p);
	features = 0;
	max_basic = 1;
	max_ext = 0x80000000;
	assert_int_equal(list(NULL), 3);
	features = ~0U;
	max_basic = max_ext = ~0U;
	list(NULL);
}

static int restrict_leaf(struct cpuid_policy *p, u32 leaf, u32 sub, u32 a, u32 b, u32 c, u32 d)
{
	struct xen_cpuid_leaf l = { leaf, sub, a, b, c, d };

	return cpu_policy_restrict(p, &l);
}

/* A policy's own list changes nothing; another one can only take features away. */
static void test_restrict(void **state)
{
	struct xen_cpuid_leaf l = CPU_POLICY_START;
	struct cpuid_regs before, after;
	struct cpuid_policy *p;

	(void)state;
	start(false, ~0U, 0x20, 0x80000022, 2);
	x86.xcr0_mask = 7;
	x86.xsave = true;
	x86.xsave_size = 832;
	policy();
	p = cpu_policy_copy(&mock_domain);
	while (cpu_policy_next(p, &l))
		assert_int_equal(cpu_policy_restrict(p, &l), 0);
	before = ask(1, 1, 0);
	assert_int_equal(cpu_policy_set(&mock_domain, p), 0);
	after = ask(1, 1, 0);
	assert_memory_equal(&before, &after, sizeof(after));
	assert_int_equal(ask(1, 0xd, 0).ecx, 832);
	/* What it lacks is refused, and adds nothing. */
	before = ask(1, 7, 0);
	assert_int_equal(restrict_leaf(p, 1, XEN_CPUID_NO_SUBLEAF, 0, 0, 0, BIT(21)), -EINVAL);
	assert_int_equal(restrict_leaf(p, 7, 0, 0, BIT(2), 0, 0), -EINVAL);
	assert_int_equal(restrict_leaf(p, 7, 1, BIT(2), 0, 0, 0), -EINVAL);
	assert_int_equal(restrict_leaf(p, 0xd, 1, 8, 0, 0, 0), -EINVAL);	/* XSAVES */
	assert_int_equal(restrict_leaf(p, 0xd, 0, BIT(9), 0, 0, 0), -EINVAL);
	assert_int_equal(restrict_leaf(p, 0xd, 2, 256, 4096, 0, 0), -EINVAL);	/* another place */
	assert_int_equal(restrict_leaf(p, 0, XEN_CPUID_NO_SUBLEAF, 7, 1, 2, 3), -EINVAL);
	assert_int_equal(restrict_leaf(p, 0x80000008, XEN_CPUID_NO_SUBLEAF, 0, BIT(25), 0, 0),
			 -EINVAL);
	assert_int_equal(restrict_leaf(p, 0x12345678, 3, 0, 0, 0, 0), 0);
	assert_int_equal(cpu_policy_set(&mock_domain, p), 0);
	after = ask(1, 7, 0);
	assert_memory_equal(&before, &after, sizeof(after));
	/* A guest of Xen's keeps machine checks and MTRRs, which new guests do not have. */
	before = ask(1, 1, 0);
	assert_int_equal(cpuid_latent(&mock_domain), 0);
	assert_int_equal(restrict_leaf(p, 1, XEN_CPUID_NO_SUBLEAF, 0, 0, before.ecx,
				       before.edx | CPUID_LATENT_1D),
			 0);
	assert_int_equal(cpu_policy_set(&mock_domain, p), 0);
	assert_int_equal(cpuid_latent(&mock_domain), CPUID_LATENT_1D);
	assert_int_equal(ask(1, 1, 0).edx, before.edx | CPUID_LATENT_1D);
	assert_int_equal(ask(1, 0x80000001, 0).edx & CPUID_LATENT_1D, CPUID_LATENT_1D);
	assert_true(cpuid_cr4_allowed(&mock_domain) & CR4_MCE);
	/* Without AVX, neither AVX2 nor its state remains; HTT and HYPERVISOR are Margay's. */
	assert_int_equal(restrict_leaf(p, 1, XEN_CPUID_NO_SUBLEAF, 0, 0,
				       before.ecx & (u32) ~(BIT(28) | BIT(31)), 0),
			 0);
	assert_int_equal(cpu_policy_set(&mock_domain, p), 0);
	assert_int_equal(ask(1, 7, 0).ebx & BIT(5), 0);
	assert_int_equal(ask(1, 1, 0).edx & ~BIT(9), BIT(28));
	assert_true(ask(1, 1, 0).ecx & BIT(31));
	assert_int_equal(cpuid_xcr0_allowed(&mock_domain), 3);
	assert_int_equal(ask(1, 0xd, 0).ecx, 576);
	/* No XSAVE: none of it. */
	assert_int_equal(restrict_leaf(p, 1, XEN_CPUID_NO_SUBLEAF, 0, 0, 0, 0), 0);
	assert_int_equal(cpu_policy_set(&mock_domain, p), 0);
	assert_int_equal(cpuid_cr4_allowed(&mock_domain) & CR4_OSXSAVE, 0);
	assert_int_equal(cpuid_xcr0_allowed(&mock_domain), 0);
	/* Limits only fall. */
	assert_int_equal(restrict_leaf(p, 0, XEN_CPUID_NO_SUBLEAF, 0xe, 0, 0, 0), -EINVAL);
	assert_int_equal(restrict_leaf(p, 0, XEN_CPUID_NO_SUBLEAF, 0, 0, 0, 0), -EINVAL);
	assert_int_equal(restrict_leaf(p, 0x80000000, XEN_CPUID_NO_SUBLEAF, 3, 0, 0, 0), -EINVAL);
	assert_int_equal(restrict_leaf(p, 0x80000000, XEN_CPUID_NO_SUBLEAF, 0x80000008, 0, 0, 0),
			 0);
	before = ask(1, 0, 0);
	assert_int_equal(restrict_leaf(p, 0, XEN_CPUID_NO_SUBLEAF, 7, before.ebx, before.ecx,
				       before.edx),
			 0);
	assert_int_equal(cpu_policy_set(&mock_domain, p), 0);
	assert_int_equal(ask(1, 0, 0).eax, 7);
	assert_zero(ask(1, 0xd, 0));
	/* Not for a guest that runs. */
	vcpu_nr(0)->state = RUN_RUNNING;
	assert_int_equal(cpu_policy_set(&mock_domain, p), -EEXIST);
	vcpu_nr(0)->state = RUN_OFFLINE;
	kfree(p);
}

#define TEST(f) cmocka_unit_test_teardown(f, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_hidden),   TEST(test_mtrr),       TEST(test_bare_machine),
		TEST(test_topology), TEST(test_own_cpus),   TEST(test_xsave),
		TEST(test_xen_leaves), TEST(test_limits),   TEST(test_list),
		TEST(test_restrict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
