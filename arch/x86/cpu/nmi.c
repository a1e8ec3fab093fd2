/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NMIs that Margay did not send: a system error or failed I/O check of the chipset, a BMC's
 * request, a button. They are reported and the machine continues, which is Linux's default. Port
 * 0x61 holds the chipset's status, NMI_SC in Intel's chipset manuals.
 */
#include <margay/arch.h>
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

static u32 reasons, unknown, last_cpu;

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
		atomic_or(&reasons, status);
		outb(NMI_SC, (status & NMI_SC_ENABLES) | off);
		outb(NMI_SC, status & NMI_SC_ENABLES);
	} else {
		atomic_add(&unknown, 1);
	}
	WRITE_ONCE(last_cpu, c->id);
	atomic_or(&c->work, CPU_WORK_ERRORS);
}

void arch_report_errors(void)
{
	static stime_t last;
	u32 why;

	mce_report();
	if (!reasons && !unknown)
		return;
	if (last && now() - last < REPORT_PAUSE_NS)
		return;
	last = now();
	why = atomic_xchg(&reasons, 0);
	if (why & NMI_SC_SERR)
		pr_err("NMI on CPU %u: a PCI device reported a system error (SERR#)\n", last_cpu);
	if (why & NMI_SC_IOCHK)
		pr_err("NMI on CPU %u: an I/O check failed (IOCHK#)\n", last_cpu);
	why = atomic_xchg(&unknown, 0);
	if (why)
		pr_err("%u NMI%s of unknown source, the last on CPU %u: a BMC or a button?\n", why,
		       why == 1 ? "" : "s", last_cpu);
}
