/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NMIs that Margay did not send: a system error or failed I/O check of the chipset, a BMC's
 * request, a button. They are reported and the machine continues, which is Linux's default. Port
 * 0x61 holds the chipset's status, NMI_SC in Intel's chipset manuals.
 */
#include <margay/arch.h>
#include <margay/iommu.h>
#include <x86/io.h>
#include <x86/mce.h>
#include <x86/traps.h>

#define NMI_SC 0x61
#define NMI_SC_ENABLES 0x0f	/* setting bits 3 and 2 clears and disables IOCHK# and SERR# */
#define NMI_SC_IOCHK_OFF 0x08
#define NMI_SC_SERR_OFF 0x04
#define NMI_SC_IOCHK 0x40
#define NMI_SC_SERR 0x80
#define REPORT_PAUSE_NS 1000000000UL

static u32 counts[3], last_cpu;	/* NMIs that are not reported yet */

static const char *const causes[] = {
	"a PCI device reported a system error (SERR#)",
	"an I/O check failed (IOCHK#)",
	"unknown source: a BMC or a button?",
};

/*
 * Records an NMI. Runs in the NMI handler on c, where it may take no lock; a later pass of the
 * scheduler's loop reports it.
 */
void nmi_unasked(struct cpu *c)
{
	u8 status = inb(NMI_SC), off = 0;

	off |= status & NMI_SC_IOCHK ? NMI_SC_IOCHK_OFF : 0;
	off |= status & NMI_SC_SERR ? NMI_SC_SERR_OFF : 0;
	if (off) {
		outb(NMI_SC, (status & NMI_SC_ENABLES) | off);
		outb(NMI_SC, status & NMI_SC_ENABLES);
	}
	atomic_add(&counts[status & NMI_SC_SERR ? 0 : status & NMI_SC_IOCHK ? 1 : 2], 1);
	WRITE_ONCE(last_cpu, c->id);
	atomic_or(&c->work, CPU_WORK_ERRORS);
}

/* Later calls report what comes within a second; the poll for machine checks is the last. */
void arch_report_errors(void)
{
	static stime_t last;

	mce_report();
	iommu_report_faults();
	if (last && now() - last < REPORT_PAUSE_NS)
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
		u32 n = READ_ONCE(counts[i]) ? atomic_xchg(&counts[i], 0) : 0;

		if (!n)
			continue;
		last = now();
		pr_err("CPU %u: %u NMI%s: %s\n", last_cpu, n, n == 1 ? "" : "s", causes[i]);
	}
}
