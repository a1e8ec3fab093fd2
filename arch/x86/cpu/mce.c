/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Machine checks. Each CPU polls its banks for errors that raise no exception. The exception's
 * handler takes no lock: it panics, or leaves the banks to mce_report(), which runs in the
 * scheduler's loop, reports and clears them, retires the page and ends its owner. Interrupts for
 * corrected errors (CMCI, AMD's thresholds) stay masked: a storm costs one poll. SDM 3B 16, APM2 9.
 */
#include <margay/arch.h>
#include <margay/console.h>
#include <margay/mce_log.h>
#include <margay/xen.h>
#include <x86/exit.h>
#include <x86/features.h>
#include <x86/mce.h>
#include <x86/traps.h>
#include <xen/arch-x86/xen-mca.h>

#define MSR_MCG_CAP 0x179
#define MSR_MCG_STATUS 0x17a
#define MSR_MCG_CTL 0x17b
#define MSR_MC0_CTL 0x400
#define MSR_SMCA_MC0_CTL 0xc0002000U
#define SMCA_BANKS 64U
#define LEGACY_BANKS 32U	/* the next MSRs are VT-x's */
enum { MC_CTL, MC_STATUS, MC_ADDR, MC_MISC, MC_CONFIG, MC_DESTAT = 8, MC_DEADDR };
#define MC_CONFIG_MCAX BIT(32)	/* the system knows the registers of SMCA */

#define POLL_NS 10000000000UL
#define REPORT_PAUSE_NS 1000000000UL

static struct mce_caps caps;
static bool smca;
static u32 corrected;

static u32 bank_msr(u32 bank, u32 reg)
{
	return smca ? MSR_SMCA_MC0_CTL + 16 * bank + reg : MSR_MC0_CTL + 4 * bank + reg;
}

u64 arch_mce_caps(void)
{
	u64 cap = 0;

	rdmsr_safe(MSR_MCG_CAP, &cap);
	return cap;
}

static u32 nr_banks(void)
{
	return min((u32)arch_mce_caps() & 0xff, smca ? SMCA_BANKS : LEGACY_BANKS);
}

/* Reads a bank. Returns false when it holds no error. */
static bool read_bank(u32 bank, struct mce_bank *b)
{
	*b = (struct mce_bank){ .bank = bank };
	if (!rdmsr_safe(bank_msr(bank, MC_STATUS), &b->status) || !(b->status & MC_VAL))
		return false;
	if (b->status & MC_ADDRV)
		rdmsr_safe(bank_msr(bank, MC_ADDR), &b->addr);
	if (b->status & MC_MISCV)
		rdmsr_safe(bank_msr(bank, MC_MISC), &b->misc);
	return true;
}

static void print_bank(const char *what, const struct mce_bank *b)
{
	printk("machine check: CPU %u: %s: bank %u status %016lx\n"
	       "address %016lx misc %016lx\n",
	       this_cpu()->id, what, b->bank, b->status, b->addr, b->misc);
}

/* Panics. f: the interrupted state, if this CPU ran Margay. */
static void __noreturn fatal(const struct trap_frame *f, const char *why)
{
	struct mce_bank b;

	console_panic_start();	/* this CPU may hold the console's lock */
	for (u32 i = 0, n = nr_banks(); i < n; i++)
		if (read_bank(i, &b))
			print_bank(mce_grade(&b, &caps) == MCE_FATAL ? "fatal" : "error", &b);
	if (f) {
		trap_dump_frame(f);
		trap_backtrace(f->rip, f->rsp, f->rbp);
	}
	panic("machine check on CPU %u: %s\n", this_cpu()->id, why);
}

/* Reports a corrected error, at most one a second; counts all. */
static void report_corrected(const struct mce_bank *b)
{
	static stime_t last;
	u32 n = atomic_add(&corrected, 1);
	stime_t t = now();

	if (last && t - last < REPORT_PAUSE_NS)
		return;
	last = t;
	print_bank("corrected error", b);
	if (n > 1)
		pr_warn("machine check: %u corrected errors since boot\n", n);
}

/* Keeps an error for the control domain. owner: of its page. */
static void keep(const struct mce_bank *b, u32 flags, int owner)
{
	struct mce_record r = {
		.status = b->status, .addr = b->addr, .misc = b->misc, .tsc = rdtsc(),
		.bank = b->bank, .cpu = this_cpu()->id, .apic_id = this_cpu()->apic_id,
		.flags = flags,
		.owner = owner >= 0 && owner < (int)DOMID_FIRST_RESERVED ? (u16)owner :
									   DOMID_INVALID,
	};

	rdmsr_safe(MSR_MCG_STATUS, &r.gstatus);
	mce_log(&r, flags & MC_FLAG_MCE);
}

/* Retires the page of an uncorrected error and returns its owner. Ends the owner if `end`. */
static int lose_page(const struct mce_bank *b, bool end)
{
	mfn_t mfn = (b->addr & ((1UL << x86.phys_bits) - 1)) >> PAGE_SHIFT;
	int owner = page_retire(mfn);
	struct domain *d;

	if (owner == OWNER_NONE || owner < 0) {
		pr_err("machine check: page %lx is not retired: %s\n", mfn,
		       owner < 0 ? "no memory" : "no RAM, or retired already");
		return owner;
	}
	pr_err("machine check: page %lx of %s is retired\n", mfn,
	       owner == OWNER_FREE   ? "free memory" :
	       owner == OWNER_MARGAY ? "Margay" :
				       "a guest");
	d = end ? domain_get((domid_t)owner) : NULL;
	if (d) {
		domain_crash(d, NULL, "machine check: its page %lx is lost", mfn);
		domain_put(d);
	}
	return owner;
}

void mce_report(void)
{
	bool signalled = atomic_xchg(&this_cpu()->mce_signalled, false);
	struct mce_bank b;

	this_cpu()->timers.poll = now() + POLL_NS;
	for (u32 i = 0, n = nr_banks(); i < n; i++) {
		u32 flags = signalled ? MC_FLAG_MCE : MC_FLAG_POLLED;
		int owner = OWNER_NONE;
		enum mce_grade grade;
		bool valid = read_bank(i, &b);

		if (!valid && smca && rdmsr_safe(bank_msr(i, MC_DESTAT), &b.status))
			rdmsr_safe(bank_msr(i, MC_DEADDR), &b.addr);
		/* MC_STATUS may hold a copy of the deferred error. */
		if (smca && (b.status & MC_VAL) && (!valid || (b.status & MC_DEFERRED)))
			wrmsr_safe(bank_msr(i, MC_DESTAT), 0);
		grade = mce_grade(&b, &caps);
		/* What an exception signals is the handler's; the poll may see it before. */
		if (grade == MCE_NONE || (grade > MCE_LATENT && !signalled))
			continue;
		if (grade == MCE_FATAL)
			fatal(NULL, "the CPU cannot recover");
		if (grade == MCE_CORRECTED) {
			report_corrected(&b);
		} else {
			print_bank("uncorrected error", &b);
			if (mce_has_page(&b, &caps))
				owner = lose_page(&b, grade != MCE_LATENT);
		}
		flags |= grade == MCE_CORRECTED ? MC_FLAG_CORRECTABLE : MC_FLAG_UNCORRECTABLE;
		keep(&b, flags, owner);
		domain_tell_control(VIRQ_MCA);
		if (valid)
			wrmsr_safe(bank_msr(i, MC_STATUS), 0);
	}
}

/*
 * Returns the worst grade in the banks, for the interrupted code. On Intel, the exception is
 * broadcast: a CPU with RIPV and without EIPV did not consume the data.
 */
static enum mce_grade exception_grade(void)
{
	enum mce_grade worst = MCE_NONE, grade;
	struct mce_bank b;
	u64 mcg = 0;

	rdmsr_safe(MSR_MCG_STATUS, &mcg);
	for (u32 i = 0, n = nr_banks(); i < n; i++) {
		grade = read_bank(i, &b) ? mce_grade(&b, &caps) : MCE_NONE;
		if (grade == MCE_REQUIRED && caps.intel && (mcg & MCG_STATUS_RIPV) &&
		    !(mcg & MCG_STATUS_EIPV))
			grade = MCE_OPTIONAL;
		worst = max(worst, grade);
	}
	if (mcg & MCG_STATUS_RIPV)
		return worst;
	/* The interrupted code cannot continue. If no bank signals an error, nobody knows why. */
	return worst < MCE_OPTIONAL ? MCE_FATAL : max(worst, (enum mce_grade)MCE_REQUIRED);
}

/* Ends the exception: another one before this would reset the machine. */
static void exception_done(void)
{
	wrmsr_safe(MSR_MCG_STATUS, 0);
}

void mce_trap(struct trap_frame *f)
{
	switch (exception_grade()) {
	case MCE_FATAL:
		fatal(f, "the CPU cannot recover");
	case MCE_REQUIRED:
		fatal(f, "Margay cannot continue");
	default:
		exception_done();
	}
	this_cpu()->mce_signalled = true;
	atomic_or(&this_cpu()->work, CPU_WORK_ERRORS);
}

void exit_machine_check(struct vcpu *v, unsigned insn_len __unused)
{
	enum mce_grade grade = exception_grade();

	if (grade == MCE_FATAL)
		fatal(NULL, "the CPU cannot recover");
	exception_done();
	this_cpu()->mce_signalled = true;
	mce_report();
	if (grade == MCE_REQUIRED)
		domain_crash(v->domain, v, "machine check: it used bad data");
}

void mce_start_polling(void)
{
	if (nr_banks())
		this_cpu()->timers.poll = now() + POLL_NS;
}

static void read_caps(u64 cap)
{
	u32 a, b, c, d;

	caps.intel = x86.vendor == X86_VENDOR_INTEL;
	caps.recovery = cap & MCG_CAP_SER_P;
	if (caps.intel)
		return;
	cpuid_count(0x80000007, 0, &a, &b, &c, &d);
	caps.overflow_recovery = b & BIT(0);
	caps.recovery = b >> 1 & 1;
	smca = b >> 3 & 1;
}

/* Before Nehalem, firmware owns the first bank's control register. SDM 3B 16.3.2.1. */
static bool firmware_owns_bank0(void)
{
	u32 a, b, c, d;

	cpuid_count(1, 0, &a, &b, &c, &d);
	return caps.intel && (a >> 8 & 15) == 6 && ((a >> 12 & 0xf0) | (a >> 4 & 15)) < 0x1a;
}

/* Enables all reports of every bank, logs what firmware left there and clears it. */
void mce_init_cpu(void)
{
	struct mce_bank b;
	u64 cap, config;

	if (!rdmsr_safe(MSR_MCG_CAP, &cap))
		return;
	if (!this_cpu()->id)
		read_caps(cap);
	if (cap & MCG_CAP_CTL_P)
		wrmsr_safe(MSR_MCG_CTL, ~0UL);
	for (u32 i = 0, n = nr_banks(); i < n; i++) {
		if (read_bank(i, &b)) {
			print_bank("error before Margay", &b);
			keep(&b, MC_FLAG_RESET, OWNER_NONE);
		}
		if (smca && rdmsr_safe(bank_msr(i, MC_CONFIG), &config))
			wrmsr_safe(bank_msr(i, MC_CONFIG), config | MC_CONFIG_MCAX);
		if (i || !firmware_owns_bank0())
			wrmsr_safe(bank_msr(i, MC_CTL), ~0UL);
		wrmsr_safe(bank_msr(i, MC_STATUS), 0);
	}
}
