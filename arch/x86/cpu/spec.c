/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Speculation: one table of vulnerabilities and Margay's mitigations on a CPU that enumerates them,
 * as in Xen 4.17. Guests share no memory with Margay, so Meltdown needs no mitigation. Guests
 * control SSBD and flush their own history, through SPEC_CTRL and PRED_CMD. Intel's and AMD's
 * manuals on speculative side channels; SDM 4, IA32_ARCH_CAPABILITIES.
 */
#include <margay/cmdline.h>
#include <x86/cpuid_policy.h>
#include <x86/features.h>
#include <x86/msr.h>
#include <x86/spec.h>

#define L7D_MD_CLEAR BIT(10)
#define L7D_IBRSB BIT(26)
#define L7D_STIBP BIT(27)
#define L7D_L1D_FLUSH BIT(28)
#define L7D_ARCH_CAPS BIT(29)
#define L7D_SSBD BIT(31)
#define L72D_PSFD BIT(0)
#define L72D_IPRED_CTRL BIT(1)
#define L72D_RRSBA_CTRL BIT(2)
#define L72D_DDPD_U BIT(3)
#define L72D_BHI_CTRL BIT(4)

#define CAPS_RDCL_NO BIT(0)
#define CAPS_IBRS_ALL BIT(1)
#define CAPS_SKIP_L1DFL BIT(3)
#define CAPS_SSB_NO BIT(4)
#define CAPS_MDS_NO BIT(5)
#define CAPS_TAA_NO BIT(8)
#define CAPS_MMIO_NO (BIT(13) | BIT(14) | BIT(15)) /* SBDR_SSDP_NO FBSDP_NO PSDP_NO */
#define CAPS_BHI_NO BIT(20)
#define CAPS_RFDS_CLEAR BIT(28)
/*
 * The bits that guests read: also RSBA, PSCHANGE_MC_NO, FB_CLEAR, RRSBA, PBRSB_NO, GDS_NO and
 * RFDS_NO, but no TSX bits.
 */
#define CAPS_GUEST                                                                             \
	(CAPS_RDCL_NO | CAPS_IBRS_ALL | BIT(2) | CAPS_SKIP_L1DFL | CAPS_SSB_NO | CAPS_MDS_NO | \
	 BIT(6) | CAPS_TAA_NO | CAPS_MMIO_NO | BIT(17) | BIT(19) | CAPS_BHI_NO | BIT(24) |     \
	 BIT(26) | BIT(27) | CAPS_RFDS_CLEAR)

#define E8B_IBPB BIT(12)
#define E8B_IBRS BIT(14)
#define E8B_STIBP BIT(15)
#define E8B_SSBD BIT(24)
#define E8B_PSFD BIT(28)
#define E21A_AUTO_IBRS BIT(8)
#define E21A_SRSO_NO BIT(29)

struct spec_plan spec;
u64 spec_arch_caps;
u32 spec_host_ctrl;	/* read by the world switch */
u8 spec_exit;

#define THUNK_SIZE 32
extern u8 indirect_thunks[]; /* one for each register: thunks.asm */

/* Cost: instructions each time. */
static const struct {
	u32 action;
	const char *name, *against, *what, *cost;
} table[] = {
	{ SPEC_IBPB, "ibpb", "Spectre v2 between guests", "IBPB at vCPU loads", "4" },
	{ SPEC_MSR, "ibrs", "Spectre v2, BHI", "IBRS, STIBP, BHI_DIS_S", "12" },
	{ SPEC_AUTO_IBRS, "autoibrs", "Spectre v2", "EFER.AIBRSE", "0" },
	{ SPEC_RETPOLINE, "retpoline", "Spectre v2", "retpolines in Margay", "4 a branch, else 2" },
	{ SPEC_RSB, "rsb", "SpectreRSB", "return stack filled after exits", "70" },
	{ SPEC_BHB, "bhb", "BHI", "branch history overwritten after exits", "800" },
	{ SPEC_IBPB_EXIT, "ibpb-exit", "Retbleed, SRSO", "IBPB after exits", "4" },
	{ SPEC_VERW, "verw", "MDS, TAA, MMIO, RFDS", "VERW before entries", "1" },
	{ SPEC_L1D, "l1d", "L1TF", "L1D flushed before entries", "4" },
	{ SPEC_ZENBLEED, "zenbleed", "Zenbleed", "DE_CFG[9]", "0" },
	{ SPEC_ITLB, "itlb", "iTLB multihit", "no code in large EPT pages", "0" },
};

/* The bits of SPEC_CTRL by their features in leaf 7, subleaf 2, EDX. */
static u32 newer_ctrl(u32 l72d)
{
	return (l72d & L72D_PSFD ? SPEC_CTRL_PSFD : 0) |
	       (l72d & L72D_IPRED_CTRL ? SPEC_CTRL_IPRED_DIS : 0) |
	       (l72d & L72D_RRSBA_CTRL ? SPEC_CTRL_RRSBA_DIS : 0) |
	       (l72d & L72D_DDPD_U ? SPEC_CTRL_DDPD_U : 0) |
	       (l72d & L72D_BHI_CTRL ? SPEC_CTRL_BHI_DIS_S : 0);
}

static void decide_intel(const struct spec_cpu *c, struct spec_plan *p)
{
	u64 caps = c->caps;

	if (c->l7d & L7D_IBRSB) {
		p->actions |= SPEC_IBPB | SPEC_MSR | SPEC_RSB;
		p->host_ctrl = SPEC_CTRL_IBRS;
		p->guest_ctrl = SPEC_CTRL_IBRS | newer_ctrl(c->l72d);
	}
	if (c->l7d & L7D_STIBP)
		p->guest_ctrl |= SPEC_CTRL_STIBP;
	if (c->l7d & L7D_SSBD)
		p->guest_ctrl |= SPEC_CTRL_SSBD;
	p->guest_l1d_flush = c->l7d & L7D_L1D_FLUSH;
	p->host_ctrl |= p->guest_ctrl & SPEC_CTRL_STIBP;
	if (!(caps & CAPS_BHI_NO) && (c->l72d & L72D_BHI_CTRL))
		p->host_ctrl |= SPEC_CTRL_BHI_DIS_S;
	else if (!(caps & CAPS_BHI_NO) && (caps & CAPS_IBRS_ALL))
		p->actions |= SPEC_BHB;
	if ((c->l7d & L7D_L1D_FLUSH) && !(caps & (CAPS_RDCL_NO | CAPS_SKIP_L1DFL)))
		p->actions |= SPEC_L1D;
	if ((c->l7d & L7D_MD_CLEAR) &&
	    (!(caps & CAPS_MDS_NO) || !(caps & CAPS_TAA_NO) ||
	     (caps & CAPS_MMIO_NO) != CAPS_MMIO_NO || (caps & CAPS_RFDS_CLEAR)))
		p->actions |= SPEC_VERW;
}

static void decide_amd(const struct spec_cpu *c, struct spec_plan *p)
{
	u32 model = c->model;

	if (c->e8b & E8B_IBPB)
		p->actions |= SPEC_IBPB | SPEC_RSB;
	if (c->e8b & E8B_IBRS)
		p->guest_ctrl |= SPEC_CTRL_IBRS;
	if (c->e8b & E8B_STIBP)
		p->guest_ctrl |= SPEC_CTRL_STIBP;
	if (c->e8b & E8B_SSBD)
		p->guest_ctrl |= SPEC_CTRL_SSBD;
	if (c->e8b & E8B_PSFD)
		p->guest_ctrl |= SPEC_CTRL_PSFD;
	p->host_ctrl = p->guest_ctrl & (SPEC_CTRL_IBRS | SPEC_CTRL_STIBP);
	if (c->e21a & E21A_AUTO_IBRS) {
		p->actions |= SPEC_AUTO_IBRS;
		p->host_ctrl &= ~SPEC_CTRL_IBRS;
	}
	if (p->guest_ctrl)
		p->actions |= SPEC_MSR;
	/* Zen 1 and 2 (branch type confusion), Zen 3 and 4 (return stack overflow). */
	if ((c->e8b & E8B_IBPB) && (c->family == 0x17 || c->family == 0x18 ||
				    (c->family == 0x19 && !(c->e21a & E21A_SRSO_NO))))
		p->actions |= SPEC_IBPB_EXIT;
	/* Zen 2. */
	if (c->family == 0x17 &&
	    ((model >= 0x30 && model < 0x50) || (model >= 0x60 && model < 0x80) ||
	     (model >= 0x90 && model < 0xb0)))
		p->actions |= SPEC_ZENBLEED;
}

struct spec_plan spec_decide(const struct spec_cpu *cpu)
{
	struct spec_plan p = { 0 };

	if (cpu->intel)
		decide_intel(cpu, &p);
	else if (cpu->amd)
		decide_amd(cpu, &p);
	/* Otherwise no guest can steer Margay's indirect branches. */
	if (!(p.host_ctrl & SPEC_CTRL_IBRS) && !(p.actions & (SPEC_AUTO_IBRS | SPEC_IBPB_EXIT)))
		p.actions |= SPEC_RETPOLINE;
	return p;
}

/*
 * Replaces each thunk by `jmp register; int3`. Called on the boot CPU, while Margay's text is still
 * writable.
 */
static void __init drop_retpolines(void)
{
	for (u8 reg = 0; reg < 16; reg++) {
		u8 jump[] = { 0x41, 0xff, 0xe0 | (reg & 7), 0xcc };

		memcpy(indirect_thunks + reg * THUNK_SIZE, jump + (reg < 8), reg < 8 ? 3 : 4);
	}
}

static void __init read_cpu(struct spec_cpu *c)
{
	struct cpuid_regs r;
	u32 max;

	cpuid_machine(0, 0, &r);
	max = r.eax;
	c->intel = r.ebx == 0x756e6547;				  /* Genu(ineIntel) */
	c->amd = r.ebx == 0x68747541 || r.ebx == 0x6f677948; /* Auth(enticAMD), Hygo(nGenuine) */
	cpuid_machine(1, 0, &r);
	c->family = (r.eax >> 8 & 15) + ((r.eax >> 8 & 15) == 15 ? r.eax >> 20 & 0xff : 0);
	c->model = (r.eax >> 4 & 15) | (r.eax >> 12 & 0xf0);
	if (max >= 7) {
		cpuid_machine(7, 0, &r);
		c->l7d = r.edx;
		if (r.eax >= 2) {
			cpuid_machine(7, 2, &r);
			c->l72d = r.edx;
		}
	}
	if (c->l7d & L7D_ARCH_CAPS)
		rdmsr_safe(MSR_ARCH_CAPABILITIES, &c->caps);
	cpuid_machine(0x80000000, 0, &r);
	max = r.eax;
	cpuid_machine(0x80000008, 0, &r);
	c->e8b = r.ebx;
	if (max >= 0x80000021) {
		cpuid_machine(0x80000021, 0, &r);
		c->e21a = r.eax;
	}
}

void __init spec_init(void)
{
	const char *words[ARRAY_SIZE(table) + 2] = { "off", "all" };
	struct spec_cpu cpu = { 0 };

	for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
		words[2 + i] = table[i].name;
	option_check("spec", "mitigation", opt.spec, words, ARRAY_SIZE(words));
	read_cpu(&cpu);
	spec = spec_decide(&cpu);
	spec_arch_caps = cpu.l7d & L7D_ARCH_CAPS ? cpu.caps & CAPS_GUEST : 0;
	spec.actions |= x86.itlb_multihit ? SPEC_ITLB : 0;
	if (under_tcg())	/* no guest trains a predictor of this CPU */
		spec.actions &= ~SPEC_RETPOLINE;
	if (option_lists(opt.spec, "all"))
		spec.actions |= SPEC_SWITCH | SPEC_RETPOLINE;
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
		if (option_lists(opt.spec, "off") || option_lists(opt.spec, table[i].name))
			spec.actions &= ~table[i].action;
	if (!(spec.actions & SPEC_MSR))
		spec.host_ctrl = spec.guest_ctrl = 0;
	/* Intel has one bit for SPEC_CTRL and PRED_CMD. */
	spec.guest_ibpb = (spec.actions & SPEC_IBPB) && (cpu.amd || spec.guest_ctrl);
	if (!(spec.actions & SPEC_RETPOLINE))
		drop_retpolines();
	x86.itlb_multihit = spec.actions & SPEC_ITLB;
	spec_host_ctrl = spec.host_ctrl;
	spec_exit = (u8)spec.actions;
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
		if (spec.actions & table[i].action)
			pr_info("speculation: %s: %s\n", table[i].name, table[i].what);
}

void spec_init_cpu(void)
{
	u64 cfg;

	if (spec.actions & SPEC_AUTO_IBRS)
		wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_AIBRSE);
	if (spec.actions & SPEC_MSR)
		wrmsr_safe(MSR_SPEC_CTRL, spec.host_ctrl);
	if ((spec.actions & SPEC_ZENBLEED) && rdmsr_safe(MSR_DE_CFG, &cfg))
		wrmsr_safe(MSR_DE_CFG, cfg | DE_CFG_FP_BACKUP);
}

_Static_assert(offsetof(struct vcpu, spec_ctrl) == 21 * 8 &&
		       offsetof(struct vcpu, spec_ctrl_direct) == 21 * 8 + 4,
	       "switch.inc");

void spec_enter(struct vcpu *v)
{
	if (spec.actions & SPEC_MSR)
		wrmsr(MSR_SPEC_CTRL, x86.virt_spec_ctrl ? 0 : v->spec_ctrl);
	if (spec.actions & SPEC_L1D)
		wrmsr(MSR_FLUSH_CMD, FLUSH_CMD_L1D);
}

int arch_speculation_line(unsigned i, char *text, size_t size)
{
	if (i > ARRAY_SIZE(table))
		return -ENOENT;
	if (i == ARRAY_SIZE(table)) {
		snprintf(text, size, "SPEC_CTRL %#x in Margay, %#x for guests to set",
			 spec.host_ctrl, spec.guest_ctrl);
		return 0;
	}
	i = (unsigned)index_nospec(i, ARRAY_SIZE(table));
	snprintf(text, size, "%-9s %s %s: %s; cost %s", table[i].name,
		 spec.actions & table[i].action ? "on " : "off", table[i].against, table[i].what,
		 table[i].cost);
	return 0;
}

void arch_show_speculation(void)
{
	char line[160];

	for (unsigned i = 0; !arch_speculation_line(i, line, sizeof(line)); i++)
		printk("%s\n", line);
}
