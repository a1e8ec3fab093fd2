/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the MTRRs that firmware set on the boot CPU, and sets the other CPUs' alike: different
 * types of the same memory are not coherent. Margay does not change the boot CPU's. SDM 3A 12.11.
 */
#include <margay/arch.h>
#include <margay/lock.h>
#include <margay/percpu.h>
#include <margay/printk.h>
#include <x86/msr.h>
#include <x86/mtrr.h>
#include <x86/paging.h>
#include <x86/regs.h>

#define MTRR_CAP_COUNT 0xff
#define MSR_MTRR_VARIABLE 0x200
#define MSR_AMD_SYSCFG 0xc0010010
#define SYSCFG_TOM2_ON BIT(21)
#define SYSCFG_TOM2_WB BIT(22)
#define MSR_AMD_TOP_MEM2 0xc001001d
#define CPUID_1_EDX_MTRR BIT(12)

static u32 reg_msr(unsigned i)
{
	static const u16 fixed[MTRR_FIXED] = { 0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
					       0x26b, 0x26c, 0x26d, 0x26e, 0x26f };

	return i < MTRR_FIXED ? fixed[i] : MSR_MTRR_VARIABLE + i - MTRR_FIXED;
}

static u64 read_wb_top(void)
{
	u64 cfg = 0, top = 0;

	/* Only AMD's CPUs have this register. */
	if (!rdmsr_safe(MSR_AMD_SYSCFG, &cfg) || !(cfg & SYSCFG_TOM2_ON) || !(cfg & SYSCFG_TOM2_WB))
		return 0;
	rdmsr_safe(MSR_AMD_TOP_MEM2, &top);
	return top & PTE_ADDR;
}

void __init mtrr_init(paddr_t image)
{
	u32 a, b, c, d;
	u64 cap = 0, len = 1;

	cpuid_count(1, 0, &a, &b, &c, &d);
	if (!(d & CPUID_1_EDX_MTRR) || !rdmsr_safe(MSR_MTRR_CAP, &cap))
		return;
	cpuid_count(0x80000008, 0, &a, &b, &c, &d);
	mtrrs.phys_bits = (u8)a;
	mtrrs.nr_regs = MTRR_FIXED + 2 * min((unsigned)cap & MTRR_CAP_COUNT, MTRR_MAX_VARIABLE);
	for (unsigned i = 0; i < mtrrs.nr_regs; i++)
		rdmsr_safe(reg_msr(i), &mtrrs.regs[i]);
	mtrrs.def = rdmsr(MSR_MTRR_DEF);
	mtrrs.wb_top = read_wb_top();
	if (mtrr_type(&mtrrs, image, &len) == MEMTYPE_WB)
		return;
	pr_warn("MTRRs: Margay's own memory is not write-back: all of them are ignored\n");
	mtrrs.nr_regs = 0;
}

/* Writes all of them, with the caches and the MTRRs off. SDM 3A 12.11.7.2 and 12.11.8. */
static void copy_regs(void)
{
	u64 cr0 = read_cr0();

	write_cr0((cr0 | CR0_CD) & ~CR0_NW);
	wbinvd();
	arch_flush_translations();
	wrmsr(MSR_MTRR_DEF, mtrrs.def & ~MTRR_DEF_ON);
	for (unsigned i = 0; i < mtrrs.nr_regs; i++)
		wrmsr_safe(reg_msr(i), mtrrs.regs[i]);
	wrmsr(MSR_MTRR_DEF, mtrrs.def);
	wbinvd();
	write_cr0(cr0);
	arch_flush_translations();
}

static unsigned count_differences(void)
{
	unsigned n = rdmsr(MSR_MTRR_DEF) != mtrrs.def;
	u64 v = 0;

	for (unsigned i = 0; i < mtrrs.nr_regs; i++)
		n += rdmsr_safe(reg_msr(i), &v) && v != mtrrs.regs[i];
	return n;
}

void mtrr_init_cpu(void)
{
	/* Hyperthreads share the registers. */
	static struct spinlock lock = SPINLOCK_INIT(LOCK_OWNER);
	unsigned before, after = 0;
	u64 def;

	if (!mtrrs.nr_regs)
		return;
	spin_lock(&lock);
	def = rdmsr(MSR_MTRR_DEF);
	before = count_differences();
	if (before) {
		copy_regs();
		after = count_differences();
	}
	spin_unlock(&lock);
	/* QEMU switches them off by INIT. */
	if (before)
		printk_at(def & MTRR_DEF_ON || after ? LOG_WARN : LOG_DEBUG,
			  "CPU %u: %u MTRRs differed from the boot CPU's, %u do now\n",
			  this_cpu()->id, before, after);
	if (read_wb_top() != mtrrs.wb_top)
		pr_warn("CPU %u: its TOP_MEM2 differs from the boot CPU's\n", this_cpu()->id);
}
