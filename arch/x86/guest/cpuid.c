/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CPUID policy: the machine's features, limited to those that Margay switches or emulates for a
 * guest, with a topology of nr_vcpus single-thread cores in one package and APIC id = vCPU id.
 * Fields that cannot hold nr_vcpus have their maximum; the 8-bit APIC id is the lower part of the
 * id. A guest with `dedicated=` has the topology of its CPUs instead. The policy is computed once
 * per domain and then constant; the exit copies words and fills in what depends on the vCPU. SDM 2A
 * CPUID, APM3 E, xen/arch-x86/cpuid.h.
 */
#include <margay/cpu_policy.h>
#include <margay/domain_parts.h>
#include <x86/cpuid_policy.h>
#include <x86/pmu.h>
#include <x86/spec.h>
#include <x86/tsc.h>

#include <xen/arch-x86/cpuid.h>

#include "guest.h"

#define MAX_BASIC 0xdU
#define MAX_EXT 0x21U
#define NR_CACHES 5U
#define LEAF_DIES 0x1fU	/* as leaf 0xb, with more levels; row MAX_BASIC + 1 */
#define NR_DIES 5U
#define XEN_LEAVES 6U
#define NR_XSAVE 10U /* components, up to PKRU */

/*
 * Rows of results. Each leaf has a row, and leaves beyond all limits share an empty one; then come
 * the rows of subleaves. Those from ROW_OWN on differ between vCPUs or change: struct vcpu has its
 * own, and the policy their initial values.
 */
enum {
	ROW_XEN = MAX_BASIC + 2,
	ROW_EXT = ROW_XEN + XEN_LEAVES,
	ROW_NONE = ROW_EXT + MAX_EXT + 1,
	NR_LEAVES,
	ROW_CACHE_INTEL = NR_LEAVES,
	ROW_CACHE_AMD = ROW_CACHE_INTEL + NR_CACHES,
	ROW_TIME = ROW_CACHE_AMD + NR_CACHES,
	ROW_OWN = ROW_TIME + 3,
	ROW_1 = ROW_OWN,
	ROW_81,
	ROW_1E,
	ROW_XEN_ID,
	ROW_7,			/* three subleaves */
	ROW_DIES = ROW_7 + 3,
	ROW_TOPO = ROW_DIES + NR_DIES,	/* two levels, and what is beyond them */
	ROW_TOPO_END = ROW_TOPO + 2,
	ROW_XSAVE,
	NR_ROWS = ROW_XSAVE + NR_XSAVE,
};
_Static_assert(NR_ROWS - ROW_OWN == NR_OWN_CPUID, "struct vcpu");
_Static_assert(NR_LEAVES <= 64 && NR_ROWS <= 256, "struct subleaves");

/* How a leaf's subleaves select rows, relative to the leaf's own row. */
static const struct subleaves {
	u8 nr, first, others;
} subleaves[64] = {
#define SUBLEAVES(leaf, nr, first, others) [leaf] = { nr, (first) - (leaf), (others) - (leaf) }
	SUBLEAVES(1, 0, 1, ROW_1),
	SUBLEAVES(4, NR_CACHES, ROW_CACHE_INTEL, 4),
	SUBLEAVES(7, 3, ROW_7, 7),
	SUBLEAVES(0xb, 2, ROW_TOPO, ROW_TOPO_END),
	SUBLEAVES(0xd, NR_XSAVE, ROW_XSAVE, 0xd),
	SUBLEAVES(MAX_BASIC + 1, NR_DIES, ROW_DIES, ROW_TOPO_END),
	SUBLEAVES(ROW_XEN + 3, 3, ROW_TIME, ROW_XEN + 3),
	SUBLEAVES(ROW_XEN + 4, 1, ROW_XEN_ID, ROW_XEN + 4),
	SUBLEAVES(ROW_EXT + 1, 0, ROW_EXT, ROW_81),
	SUBLEAVES(ROW_EXT + 0x1d, NR_CACHES, ROW_CACHE_AMD, ROW_EXT + 0x1d),
	SUBLEAVES(ROW_EXT + 0x1e, 0, ROW_EXT, ROW_1E),
};

struct cpuid_policy {
	u32 max_basic, max_ext; /* max_ext without the 0x80000000 */
	u32 nr_vcpus;
	bool intel, machine;	/* machine: it has the topology of the CPUs */
	/* Leaves 1, 7 and 0x80000001 are built here and then moved to their rows in own[]. */
	union {
		struct {
			struct cpuid_regs basic[MAX_BASIC + 2], xen[XEN_LEAVES], ext[MAX_EXT + 1];
		};
		struct cpuid_regs rows[NR_ROWS];
	};
	u32 feat1, feat2;	/* leaf 7: subleaf 1, EAX; subleaf 2, EDX */
	u64 cr4, efer, xcr0;
};

/*
 * Leaf 1. Not here: DTES64 MONITOR (cpuid_policy_init() has it) DS_CPL VMX SMX EIST TM2 CNXT_ID SDBG
 * xTPR PDCM DCA.
 */
#define L1C_MONITOR BIT(3)
#define L1C_PCID BIT(17)
#define L1C_X2APIC BIT(21)
#define L1C_TSC_DEADLINE BIT(24)
#define L1C_XSAVE BIT(26)
#define L1C_OSXSAVE BIT(27)
#define L1C_AVX BIT(28)
#define L1C_HYPERVISOR BIT(31)
#define L1C_NEEDS_AVX (BIT(12) | BIT(28) | BIT(29)) /* FMA AVX F16C */
#define L1C_ALLOW                                                                               \
	(BIT(0) /* SSE3 */ | BIT(1) /* PCLMULQDQ */ | BIT(9) /* SSSE3 */ | BIT(12) /* FMA */ |  \
	 BIT(13) /* CX16 */ | L1C_PCID | BIT(19) | BIT(20) /* SSE4.1, 4.2 */ |                  \
	 BIT(22) /* MOVBE */ | BIT(23) /* POPCNT */ | BIT(25) /* AES */ | L1C_XSAVE | L1C_AVX | \
	 BIT(29) /* F16C */ | BIT(30) /* RDRAND */)

/* Not here: MCE MCA MTRR (cpuid_latent()) PSN DS ACPI SS TM PBE. */
#define L1D_APIC BIT(9)
#define L1D_HTT BIT(28)
#define L1D_ALLOW                                                                             \
	(0x7fU /* FPU to PAE */ | BIT(8) /* CX8 */ | L1D_APIC | BIT(11) /* SEP */ | BIT(13) | \
	 BIT(15) /* CMOV */ | BIT(16) /* PAT */ | BIT(17) /* PSE36 */ | BIT(19) /* CLFSH */ | \
	 BIT(23) | BIT(24) | BIT(25) | BIT(26) /* MMX FXSR SSE SSE2 */)

/*
 * Leaf 7. Not here: TSC_ADJUST (its checks would exit) SGX HLE RTM PQM MPX PQE PT.
 * make_speculation() adds the bits of SPEC_CTRL.
 */
#define L7B_FSGSBASE BIT(0)
#define L7B_SMEP BIT(7)
#define L7B_SMAP BIT(20)
#define L7B_AVX512F BIT(16)
#define L7B_AVX512 \
	(L7B_AVX512F | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31))
#define L7B_ALLOW                                                                            \
	(L7B_FSGSBASE | BIT(3) /* BMI1 */ | BIT(5) /* AVX2 */ | BIT(6) | L7B_SMEP |          \
	 BIT(8) /* BMI2 */ | BIT(9) /* ERMS */ | BIT(10) | BIT(13) | BIT(18) | BIT(19) | \
	 L7B_SMAP | BIT(23) | BIT(24) | BIT(29) /* SHA */ | L7B_AVX512)
#define L7C_UMIP BIT(2)
#define L7C_PKU BIT(3)
#define L7C_OSPKE BIT(4)
#define L7C_RDPID BIT(22)
#define L7C_AVX512 (BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14))
#define L7C_NEEDS_AVX (BIT(9) | BIT(10)) /* VAES VPCLMULQDQ */
#define L7C_ALLOW                                                                                \
	(BIT(0) | L7C_UMIP | L7C_PKU | BIT(8) /* GFNI */ | L7C_NEEDS_AVX | L7C_RDPID | BIT(25) | \
	 BIT(27) | BIT(28) | L7C_AVX512)
#define L7D_AVX512 (BIT(2) | BIT(3) | BIT(8) | BIT(23))
#define L7D_ALLOW (BIT(4) /* FSRM */ | BIT(10) /* MD_CLEAR */ | BIT(14) | L7D_AVX512)
#define L71A_NEEDS_AVX BIT(4)
#define L71A_AVX512 BIT(5)
#define L72D_ALLOW 0x3fU /* MCDT_NO and bits of SPEC_CTRL */
#define L71A_ALLOW (L71A_NEEDS_AVX | L71A_AVX512 | BIT(10) | BIT(11) | BIT(12))

/* Leaf 0x80000001. Not here: SVM EXTAPIC OSVW IBS SKINIT WDT LWP NODEID PERFCTR* DBX MWAITX. */
#define E1C_CMP_LEGACY BIT(1)
#define E1C_TOPOEXT BIT(22)
#define E1C_NEEDS_AVX (BIT(11) | BIT(16)) /* XOP FMA4 */
#define E1C_ALLOW                                                                           \
	(BIT(0) /* LAHF */ | BIT(4) /* CR8_LEGACY */ | BIT(5) /* ABM */ | BIT(6) | BIT(7) | \
	 BIT(8) | E1C_NEEDS_AVX | BIT(21) /* TBM */ | E1C_TOPOEXT)
#define E1D_NX BIT(20)
#define E1D_FFXSR BIT(25)
#define E1D_PAGE1G BIT(26)
#define E1D_RDTSCP BIT(27)
#define E1D_AMD_COPY 0x0183f3ffU /* bits that repeat leaf 1 on AMD */
#define E1D_ALLOW                                                                                  \
	(BIT(11) /* SYSCALL */ | E1D_NX | BIT(22) | E1D_FFXSR | E1D_PAGE1G | E1D_RDTSCP | \
	 BIT(29) | BIT(30) | BIT(31)) /* LM 3DNOWEXT 3DNOW */
#define E7D_INVARIANT_TSC BIT(8)
#define E8B_ALLOW (BIT(0) /* CLZERO */ | BIT(2) /* RSTR_FP_ERR_PTRS */ | BIT(9) /* WBNOINVD */)
/* NO_NESTED_DATA_BP, LFENCE_RDTSC, NULL_SEL_CLR_BASE */
#define E21A_ALLOW (BIT(0) | BIT(2) | BIT(6))

#define L6A_ARAT BIT(2)

/*
 * Leaf 0xd, subleaf 1: XSAVEOPT, XSAVEC and XGETBV of XCR1, not XSAVES. ECX[1] of a component: aligned when
 * compacted.
 */
#define XSAVE_XSAVEC BIT(1)
#define XSAVE_ALLOW (BIT(0) | XSAVE_XSAVEC | BIT(2))
#define XSAVE_ALIGN BIT(1)

/* Returns how many bits an APIC id needs for n cores. */
static u32 order_of(u32 n)
{
	u32 order = 0;

	while ((1U << order) < n)
		order++;
	return order;
}

/* Clears the features whose instructions need XSAVE state that the guest does not have. */
static void drop_vector_features(struct cpuid_policy *p)
{
	struct cpuid_regs *l7 = &p->basic[7];

	if (!(p->xcr0 & XCR0_AVX)) {
		p->basic[1].ecx &= ~(u32)L1C_NEEDS_AVX;
		l7->ebx &= ~(u32)BIT(5);
		l7->ecx &= ~(u32)L7C_NEEDS_AVX;
		p->feat1 &= ~(u32)L71A_NEEDS_AVX;
		p->ext[1].ecx &= ~(u32)E1C_NEEDS_AVX;
	}
	if ((p->xcr0 & XCR0_AVX512) != XCR0_AVX512 || !(l7->ebx & L7B_AVX512F)) {
		l7->ebx &= ~(u32)L7B_AVX512;
		l7->ecx &= ~(u32)L7C_AVX512;
		l7->edx &= ~(u32)L7D_AVX512;
		p->feat1 &= ~(u32)L71A_AVX512;
	}
	if (!(p->xcr0 & XCR0_PKRU))
		l7->ecx &= ~(u32)L7C_PKU;
}

/* Copies the deterministic cache parameters. Only the counts of sharing CPUs may be Margay's. */
static void make_caches(struct cpuid_policy *p, u32 leaf, u32 row)
{
	u32 cores = p->intel ? 1U << order_of(p->nr_vcpus) : p->nr_vcpus;

	for (unsigned i = 0; i < NR_CACHES - 1; i++) {
		struct cpuid_regs *c = &p->rows[row + i];
		u32 level;

		cpuid_machine(leaf, i, c);
		if (!(c->eax & 0x1f)) {
			*c = (struct cpuid_regs){ 0 };
			break;
		}
		if (p->machine)
			continue;
		level = c->eax >> 5 & 7;
		c->eax &= 0x3ff;
		if (level >= 3)
			c->eax |= (cores - 1) << 14;
		if (p->intel)
			c->eax |= min(cores - 1, 63U) << 26;
	}
}

/* The machine's leaves that guests see, masked. The others are empty or filled in below. */
static const struct {
	u32 first, last;
	struct cpuid_regs allow;
} machine_leaves[] = {
	{ 1, 1, { ~0U, 0xff00, L1C_ALLOW, L1D_ALLOW } },
	{ 7, 7, { ~0U, L7B_ALLOW, L7C_ALLOW, L7D_ALLOW } },
	{ 0x80000001, 0x80000001, { ~0U, ~0U, E1C_ALLOW, E1D_ALLOW } },
	{ 0x80000002, 0x80000006, { ~0U, ~0U, ~0U, ~0U } }, /* the CPU's name, caches and TLBs */
	{ 0x80000008, 0x80000008, { 0xff00, E8B_ALLOW, 0, 0 } },
	{ 0x80000019, 0x8000001a, { ~0U, ~0U, ~0U, ~0U } }, /* TLBs, instruction performance */
	{ 0x80000021, 0x80000021, { E21A_ALLOW, 0, 0, 0 } },
};

static void copy_leaf(struct cpuid_policy *p, u32 leaf, const struct cpuid_regs *allow)
{
	struct cpuid_regs *out = leaf >> 31 ? &p->ext[leaf & 0xff] : &p->basic[leaf];

	if ((leaf & 0xff) > (leaf >> 31 ? p->max_ext : p->max_basic))
		return;
	cpuid_machine(leaf, 0, out);
	out->eax &= allow->eax;
	out->ebx &= allow->ebx;
	out->ecx &= allow->ecx;
	out->edx &= allow->edx;
}

static void copy_machine(struct cpuid_policy *p)
{
	struct cpuid_regs *b = p->basic, *e = p->ext, r;

	cpuid_machine(0, 0, &b[0]);
	p->max_basic = b[0].eax = min(b[0].eax, MAX_BASIC);
	cpuid_machine(0x80000000, 0, &e[0]);
	p->max_ext = min(e[0].eax - 0x80000000, p->intel ? 8 : MAX_EXT);
	e[0].eax = 0x80000000 + p->max_ext;
	for (unsigned i = 0; i < ARRAY_SIZE(machine_leaves); i++)
		for (u32 l = machine_leaves[i].first; l <= machine_leaves[i].last; l++)
			copy_leaf(p, l, &machine_leaves[i].allow);
	if (p->intel)
		cpuid_machine(2, 0, &b[2]);
	b[7].eax = min(b[7].eax, 2U);
	if (b[7].eax) {
		cpuid_machine(7, 1, &r);
		p->feat1 = r.eax & L71A_ALLOW;
	}
	if (b[7].eax == 2 && spec.guest_ctrl) {
		cpuid_machine(7, 2, &r);
		p->feat2 = r.edx & L72D_ALLOW;
	}
}

/* Adds the guests' speculation features: SPEC_CTRL's bits, PRED_CMD, IA32_ARCH_CAPABILITIES. */
static void make_speculation(struct cpuid_policy *p)
{
	u32 ctrl = spec.guest_ctrl;
	bool ibpb = spec.guest_ibpb;

	if (p->intel && ibpb) {
		p->basic[7].edx |= (u32)BIT(26) | (ctrl & SPEC_CTRL_STIBP ? (u32)BIT(27) : 0) |
				   (ctrl & SPEC_CTRL_SSBD ? (u32)BIT(31) : 0) |
				   (spec.guest_l1d_flush ? (u32)BIT(28) : 0) |
				   (spec_arch_caps ? (u32)BIT(29) : 0);
	} else if (!p->intel) {
		p->ext[8].ebx |= (ibpb ? (u32)BIT(12) : 0) |
				 (ctrl & SPEC_CTRL_IBRS ? (u32)BIT(14) : 0) |
				 (ctrl & SPEC_CTRL_STIBP ? (u32)BIT(15) : 0) |
				 (ctrl & SPEC_CTRL_SSBD ? (u32)BIT(24) : 0) |
				 (ctrl & SPEC_CTRL_PSFD ? (u32)BIT(28) : 0);
	}
}

static void make_leaves(struct cpuid_policy *p)
{
	struct cpuid_regs *b = p->basic, *e = p->ext;
	u32 n = p->nr_vcpus;

	b[1].ebx |= min(n, 255U) << 16;
	b[1].ecx |= L1C_X2APIC | L1C_TSC_DEADLINE | L1C_HYPERVISOR;
	b[1].edx |= L1D_APIC | (n > 1 ? L1D_HTT : 0);
	b[6].eax = L6A_ARAT;
	p->rows[ROW_TOPO] = (struct cpuid_regs){ 0, 1, 0x100, 0 };
	p->rows[ROW_TOPO + 1] = (struct cpuid_regs){ order_of(n), n, 0x201, 0 };
	if (!x86.page1g)
		e[1].edx &= ~(u32)E1D_PAGE1G;
	e[7].edx = x86.invariant_tsc ? E7D_INVARIANT_TSC : 0;
	e[8].eax |= x86.phys_bits;
	make_speculation(p);
	if (p->intel)
		return;
	e[1].edx |= b[1].edx & E1D_AMD_COPY;
	e[1].ecx |= n > 1 ? E1C_CMP_LEGACY : 0;
	if (p->max_ext < 0x1e)
		e[1].ecx &= ~(u32)E1C_TOPOEXT;
	e[8].ecx = min(n - 1, 255U) | order_of(n) << 12;
}

static void copy_levels(struct cpuid_policy *p, u32 leaf, u32 row, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		struct cpuid_regs *r = &p->rows[row + i];

		cpuid_machine(leaf, i, r);
		*r = (struct cpuid_regs){ r->eax & 0x1f, r->ebx & 0xffff, (r->ecx & 0xff00) | i,
					  0 };
	}
}

/* Shows the machine's topology: what it says of this CPU it says of all, but for their ids. */
static void copy_topology(struct cpuid_policy *p)
{
	struct cpuid_regs *b = p->basic, *e = p->ext, r;

	cpuid_machine(1, 0, &r);
	b[1].ebx = (b[1].ebx & 0xffff) | (r.ebx & 0xff0000);
	b[1].edx = (b[1].edx & ~(u32)L1D_HTT) | (r.edx & L1D_HTT);
	cpuid_machine(0, 0, &r);
	if (r.eax >= 0xb)
		copy_levels(p, 0xb, ROW_TOPO, 2);
	if (r.eax >= LEAF_DIES)
		copy_levels(p, LEAF_DIES, ROW_DIES, NR_DIES);
	if (p->rows[ROW_DIES].ebx)
		p->max_basic = b[0].eax = LEAF_DIES;
	if (p->intel)
		return;
	cpuid_machine(0x80000001, 0, &r);
	e[1].ecx = (e[1].ecx & ~(u32)E1C_CMP_LEGACY) | (r.ecx & E1C_CMP_LEGACY);
	cpuid_machine(0x80000008, 0, &r);
	e[8].ecx = r.ecx & 0xf0ff;
}

static void make_xsave(struct cpuid_policy *p)
{
	struct cpuid_regs *rows = &p->rows[ROW_XSAVE];

	if (!x86.xsave) {
		p->basic[1].ecx &= ~(u32)L1C_XSAVE;
		return;
	}
	p->xcr0 = x86.xcr0_mask;
	for (u32 i = 2; i < NR_XSAVE; i++) {
		struct cpuid_regs r = { 0 };

		if (p->xcr0 >> i & 1)
			cpuid_machine(0xd, i, &r);
		rows[i] = (struct cpuid_regs){ r.eax, r.ebx, r.ecx & XSAVE_ALIGN, 0 };
	}
	cpuid_machine(0xd, 1, &rows[1]);
	rows[1] = (struct cpuid_regs){ rows[1].eax & XSAVE_ALLOW, 0, 0, 0 };
	rows[0] = (struct cpuid_regs){ (u32)p->xcr0, 0, x86.xsave_size, (u32)(p->xcr0 >> 32) };
}

#define CR4_IF(cond, bits) ((cond) ? (bits) : 0)

static void make_limits(struct cpuid_policy *p)
{
	const struct cpuid_regs *l1 = &p->basic[1], *l7 = &p->basic[7];

	/* VME PVI TSD DE PSE PAE follow leaf 1. PCE may be set; RDPMC needs counters, too: pmu.c. */
	p->cr4 = (l1->edx & BIT(1) ? 3U : 0) | 0x3cU | CR4_PGE | BIT(8) | CR4_OSFXSR |
		 CR4_OSXMMEXCPT | CR4_IF(l7->ecx & L7C_UMIP, CR4_UMIP) |
		 CR4_IF(l7->ebx & L7B_FSGSBASE, CR4_FSGSBASE) |
		 CR4_IF(l1->ecx & L1C_PCID, CR4_PCIDE) | CR4_IF(l1->ecx & L1C_XSAVE, CR4_OSXSAVE) |
		 CR4_IF(l7->ebx & L7B_SMEP, CR4_SMEP) | CR4_IF(l7->ebx & L7B_SMAP, CR4_SMAP) |
		 CR4_IF(l7->ecx & L7C_PKU, CR4_PKE) | CR4_IF(l1->edx & CPUID_MCA, CR4_MCE);
	p->efer = EFER_SCE | EFER_LME | EFER_LMA | CR4_IF(p->ext[1].edx & E1D_NX, EFER_NXE) |
		  CR4_IF(p->ext[1].edx & E1D_FFXSR, EFER_FFXSR);
}

static void make_xen(struct cpuid_policy *p)
{
	struct cpuid_regs *time = &p->rows[ROW_TIME];
	s8 shift;

	p->xen[0] = (struct cpuid_regs){ XEN_CPUID_LEAF(XEN_CPUID_MAX_NUM_LEAVES),
					 XEN_CPUID_SIGNATURE_EBX, XEN_CPUID_SIGNATURE_ECX,
					 XEN_CPUID_SIGNATURE_EDX };
	p->xen[1].eax = 4 << 16 | 17;
	p->xen[2] = (struct cpuid_regs){ 1, MSR_XEN_HYPERCALL, 0, 0 };
	time[0] = (struct cpuid_regs){ (x86.invariant_tsc ? 2U : 0) | (x86.tsc_aux ? 4U : 0), 0,
				       (u32)(x86.tsc_hz / 1000), 0 };
	/* The scale is pvclock's: ns = ((tsc << shift) * mul) >> 32. */
	tsc_pvclock_scale(&time[1].ecx, &shift);
	time[1].edx = (u32)shift;
	time[2].eax = (u32)(x86.tsc_hz / 1000);
	/* Not UPCALL_VECTOR: the callback vector needs no EOI, hence fewer exits. */
	p->rows[ROW_XEN_ID].eax = XEN_HVM_CPUID_VCPU_ID_PRESENT | XEN_HVM_CPUID_DOMID_PRESENT;
}

/* Moves the leaves that differ between vCPUs to the rows of which each vCPU has its own. */
static void make_own(struct cpuid_policy *p)
{
	p->rows[ROW_1] = p->basic[1];
	p->rows[ROW_81] = p->ext[1];
	p->rows[ROW_7] = p->basic[7];
	p->rows[ROW_7 + 1].eax = p->feat1;
	p->rows[ROW_7 + 2].edx = p->feat2;
	p->basic[7] = (struct cpuid_regs){ 0 };
}

static struct cpuid_policy *policy_make(unsigned vcpus, bool machine)
{
	struct cpuid_policy *p = kzalloc(sizeof(*p));

	if (!p)
		return NULL;
	p->nr_vcpus = vcpus;
	p->machine = machine;
	p->intel = x86.vendor == X86_VENDOR_INTEL;
	copy_machine(p);
	make_leaves(p);
	if (machine)
		copy_topology(p);
	if (p->intel && p->max_basic >= 4)
		make_caches(p, 4, ROW_CACHE_INTEL);
	else if (p->ext[1].ecx & E1C_TOPOEXT)
		make_caches(p, 0x8000001d, ROW_CACHE_AMD);
	make_xsave(p);
	drop_vector_features(p);
	make_limits(p);
	make_xen(p);
	make_own(p);
	return p;
}

struct cpuid_policy *cpu_policy_make(unsigned vcpus) { return policy_make(vcpus, false); }

static int cpuid_policy_init(struct domain *d)
{
	d->cpuid = policy_make(d->max_vcpus, d->own_cpus);
	if (!d->cpuid || apic_ids_create(d))
		return -ENOMEM;
	if (d->native) {
		struct cpuid_policy *p = d->cpuid;
		struct cpuid_regs m1, m5;

		cpuid_machine(1, 0, &m1);
		cpuid_machine(5, 0, &m5);
		p->basic[1].ecx &= ~(d->trusted       ? (u32)(L1C_X2APIC | L1C_TSC_DEADLINE) :
				     x86.tsc_deadline ? 0 :
							(u32)L1C_TSC_DEADLINE);
		/* MWAIT up to C1: another CPU's write wakes, without an IPI. */
		p->basic[1].ecx |= m1.ecx & L1C_MONITOR;
		p->basic[5] = (struct cpuid_regs){ m5.eax, m5.ebx, m5.ecx & 3, m5.edx & 0xff };
		p->rows[ROW_1].ecx = p->basic[1].ecx;
		/* Its IPI needs no exit. */
		p->rows[ROW_XEN_ID].eax |= XEN_HVM_CPUID_UPCALL_VECTOR;
	}
	if (d->pmu) {
		struct cpuid_policy *p = d->cpuid;

		d->pmu = pmu_cpuid(&p->basic[1], &p->basic[10], &p->rows[ROW_81]);
		p->rows[ROW_1].ecx = p->basic[1].ecx;
	}
	if (!d->cpuid->intel)	/* the size of the core's part of an APIC id */
		d->cpuid->ext[8].ecx += (u32)d->apic_shift << 12;
	return 0;
}

static void cpuid_policy_free(struct domain *d)
{
	kfree(d->cpuid);
	d->cpuid = NULL;
	kfree(d->apic_ids);
	d->apic_ids = NULL;
}

const struct domain_part arch_part = { .create = cpuid_policy_init, .free = cpuid_policy_free };

/* Nested page tables have four levels, whatever the CPU could address. */
unsigned arch_phys_bits(void) { return x86.phys_bits < 48 ? x86.phys_bits : 48; }

u32 cpuid_latent(const struct domain *d) { return d->cpuid->rows[ROW_1].edx & CPUID_LATENT_1D; }

u64 cpuid_cr4_allowed(const struct domain *d) { return d->cpuid->cr4; }
u64 cpuid_efer_allowed(const struct domain *d) { return d->cpuid->efer; }
u64 cpuid_xcr0_allowed(const struct domain *d) { return d->cpuid->xcr0; }

static struct cpuid_regs *own_row(struct vcpu *v, u32 row)
{
	return &v->cpuid[row - ROW_OWN];
}

void cpuid_vcpu_init(struct vcpu *v)
{
	const struct cpuid_policy *p = v->domain->cpuid;
	const struct apic_ids *ids = v->domain->apic_ids;
	const u32 *core = ids ? cpus[ids->cpu[v->id]]->amd_core : (u32[]){ v->id & 0xff, 0 };

	memcpy(v->cpuid, &p->rows[ROW_OWN], sizeof(v->cpuid));
	own_row(v, ROW_1)->ebx |= vlapic_id(v) << 24;
	if (p->ext[1].ecx & E1C_TOPOEXT)
		*own_row(v, ROW_1E) = (struct cpuid_regs){ vlapic_id(v), core[0], core[1], 0 };
	own_row(v, ROW_XEN_ID)->ebx = v->id;
	own_row(v, ROW_XEN_ID)->ecx = v->domain->id;
	for (u32 row = ROW_DIES; row <= ROW_TOPO_END; row++)
		own_row(v, row)->edx = vlapic_id(v);
	/* Ids that the shift leaves out belong to threads that the cores do not have. */
	own_row(v, ROW_TOPO)->eax += v->domain->apic_shift;
	own_row(v, ROW_TOPO + 1)->eax += v->domain->apic_shift;
}

void cpuid_follow(struct vcpu *v)
{
	const struct cpuid_policy *p = v->domain->cpuid;
	struct cpuid_regs *l1 = own_row(v, ROW_1);
	u32 apic = vlapic_hw_enabled(v->vlapic) ? (u32)L1D_APIC : 0;
	u64 cr4 = hvm->cr4(v) & p->cr4;

	l1->ecx = (p->basic[1].ecx & ~(apic ? 0 : (u32)L1C_X2APIC)) |
		  (cr4 & CR4_OSXSAVE ? (u32)L1C_OSXSAVE : 0);
	l1->edx = p->basic[1].edx & (apic | ~(u32)L1D_APIC);
	own_row(v, ROW_81)->edx = p->ext[1].edx & (apic | ~(u32)L1D_APIC);
	own_row(v, ROW_7)->ecx = p->rows[ROW_7].ecx | (cr4 & CR4_PKE ? (u32)L7C_OSPKE : 0);
}

/*
 * Updates rows that change without an exit or depend on any subleaf. The sizes of the enabled XSAVE
 * components come from the CPU, which holds the guest's XCR0.
 */
static inline const struct cpuid_regs *refresh(struct cpuid_regs *r, u32 row, u32 sub)
{
	if (row == ROW_TOPO_END)
		r->ecx = sub & 0xff;
	else
		r->ebx = cpuid_machine_ebx(0xd, sub);
	return r;
}

static u32 leaf_of(const struct cpuid_policy *p, u32 leaf)
{
	if (leaf <= p->max_basic)
		return leaf <= MAX_BASIC ? leaf : leaf == LEAF_DIES ? MAX_BASIC + 1 : ROW_NONE;
	if (leaf - 0x80000000 <= p->max_ext)
		return ROW_EXT + leaf - 0x80000000;
	if (leaf - XEN_CPUID_FIRST_LEAF < XEN_LEAVES)
		return ROW_XEN + leaf - XEN_CPUID_FIRST_LEAF;
	/* Beyond a limit, Intel CPUs return the highest basic leaf. SDM 2A CPUID. */
	return p->intel && leaf >> 16 != 0x4000 ? min(p->max_basic, MAX_BASIC + 1) : ROW_NONE;
}

/* The masks bound the indices in speculation, too. */
const struct cpuid_regs *cpuid_guest(struct vcpu *v, u32 leaf, u32 sub)
{
	const struct cpuid_policy *p = v->domain->cpuid;
	u32 row = leaf_of(p, leaf) % ARRAY_SIZE(subleaves);
	const struct subleaves *s = &subleaves[row];
	struct cpuid_regs *r;

	row += sub < s->nr ? s->first + sub % 16 : s->others;
	if (likely(row < ROW_OWN))
		return &p->rows[row];
	r = own_row(v, row);
	return row >= ROW_TOPO_END && row < ROW_XSAVE + 2 ? refresh(r, row, sub) : r;
}

struct cpuid_regs *cpuid_policy_at(struct cpuid_policy *p, u32 leaf, u32 sub)
{
	u32 row = leaf_of(p, leaf) % ARRAY_SIZE(subleaves);
	const struct subleaves *s = &subleaves[row];

	return &p->rows[row + (sub < s->nr ? s->first + sub % 16 : s->others)];
}

int cpuid_policy_limit(struct cpuid_policy *p, u32 leaf, u32 max)
{
	u32 *limit = leaf ? &p->max_ext : &p->max_basic;

	/* Linux and Margay rely on the leaves of 64-bit CPUs. */
	if (max - leaf > *limit || max - leaf < (leaf ? 8 : 1))
		return -EINVAL;
	*limit = max - leaf;
	(leaf ? p->ext : p->basic)->eax = max;
	return 0;
}

/* Drops the XSAVE components whose features are gone. */
static void limit_xsave(struct cpuid_policy *p)
{
	struct cpuid_regs *rows = &p->rows[ROW_XSAVE];
	u64 drop = p->basic[1].ecx & L1C_AVX ? 0 : XCR0_AVX | XCR0_AVX512;

	if (!(p->basic[7].ebx & L7B_AVX512F))
		drop |= XCR0_AVX512;
	if (!(p->basic[7].ecx & L7C_PKU))
		drop |= XCR0_PKRU;
	if (!(p->basic[1].ecx & L1C_XSAVE)) {
		memset(rows, 0, NR_XSAVE * sizeof(*rows));
		drop = p->xcr0;
	}
	p->xcr0 &= ~drop;
	if (!p->xcr0)
		return;
	rows[0] = (struct cpuid_regs){ (u32)p->xcr0, 0, FXSAVE_SIZE + XSAVE_HEADER_SIZE,
				       (u32)(p->xcr0 >> 32) };
	for (u32 i = 2; i < NR_XSAVE; i++) {
		if (!(p->xcr0 >> i & 1))
			rows[i] = (struct cpuid_regs){ 0 };
		rows[0].ecx = max(rows[0].ecx, rows[i].eax + rows[i].ebx);
	}
}

/* Recomputes what depends on features after some have been cleared in their rows. */
static void settle(struct cpuid_policy *p)
{
	p->basic[1] = p->rows[ROW_1];
	p->basic[7] = p->rows[ROW_7];
	p->feat1 = p->rows[ROW_7 + 1].eax;
	p->feat2 = p->rows[ROW_7 + 2].edx;
	p->ext[1] = p->rows[ROW_81];
	if (!p->intel)
		p->ext[1].edx = (p->ext[1].edx & (p->basic[1].edx | ~(u32)E1D_AMD_COPY)) |
				(p->basic[1].edx & CPUID_LATENT_1D);
	limit_xsave(p);
	drop_vector_features(p);
	make_limits(p);
	make_own(p);
}

void cpuid_offer_mtrr(struct domain *d)
{
	d->cpuid->basic[1].edx |= (u32)CPUID_MTRR;
	d->cpuid->rows[ROW_1].edx |= (u32)CPUID_MTRR;
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		own_row(d->vcpus[i], ROW_1)->edx |= (u32)CPUID_MTRR;
}

struct cpuid_policy *cpu_policy_copy(const struct domain *d)
{
	struct cpuid_policy *p = kzalloc(sizeof(*p));

	if (p)
		*p = *d->cpuid;
	return p;
}

int cpu_policy_set(struct domain *d, struct cpuid_policy *p)
{
	guard(&d->lock);
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		if (d->vcpus[i]->state != RUN_OFFLINE)
			return -EEXIST;
	settle(p);
	*d->cpuid = *p;
	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		cpuid_vcpu_init(d->vcpus[i]);
		cpuid_follow(d->vcpus[i]);
	}
	return 0;
}
