/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Faults of the units, polled on the housekeeping CPU: once a second, and more often as long as
 * there are some. Then interrupts also follow vCPUs to other CPUs. A function that has faults in
 * FOREVER polls more than it has none in is cut off: after a second at the earliest.
 */
#include <margay/pci.h>
#include <margay/pci_regs.h>
#include <margay/percpu.h>
#include <margay/timer.h>

#include "iommu_priv.h"

#define POLL_NS NS_PER_S
#define BUSY_NS (NS_PER_S / 100)
#define FOREVER 100U
#define FAULTS_A_POLL 64U
#define LINES_A_SECOND 10U

/* Has the faults of ids that no function has. */
static struct pci_function unknown;
static u64 polls;
static bool due;
static struct timer timer;
static stime_t second;		/* start of the one in which these were counted: */
static u32 lines, silent;

static void report(struct iommu *u, const struct iommu_fault *f)
{
	const struct iommu_ops *ops = iommu_driver;
	const char *why = f->reason < ops->nr_reasons ? ops->reasons[f->reason] : NULL;

	if (now() - second >= NS_PER_S) {
		if (silent)
			pr_warn("iommu: %u more faults\n", silent);
		second = now();
		lines = silent = 0;
	}
	if (++lines > LINES_A_SECOND) {
		silent++;
		u->counts[IOMMU_SUPPRESSED]++;
		return;
	}
	u->counts[IOMMU_REPORTED]++;
	pr_warn("iommu: " PCI_FMT ": %s %#lx blocked: %s (%u)\n", PCI_ARGS(f->sbdf),
		f->interrupt ? "interrupt" :
		f->write     ? "write to" :
			       "read of",
		f->address, why ? why : "bad table", f->reason);
}

/* Returns whether there was a fault of a function that is not cut off. */
static bool poll_unit(struct iommu *u)
{
	struct iommu_fault fault;
	bool any = false;

	guard(&u->lock);
	for (unsigned n = 0; n < FAULTS_A_POLL && u->in_use && u->ops->fault(u, &fault); n++) {
		struct pci_function *f = pci_find(fault.sbdf);
		u64 missed;

		f = f ? f : &unknown;
		if (f->faults.cut) {
			u->counts[IOMMU_SUPPRESSED]++;
			continue;
		}
		any = true;
		report(u, &fault);
		if (f->faults.poll == polls)
			continue;
		missed = polls - f->faults.poll - 1;
		f->faults.run = (f->faults.run > missed ? f->faults.run - (u32)missed : 0) + 1;
		f->faults.poll = polls;
		f->faults.cut = f->faults.run == FOREVER;
		if (!f->faults.cut)
			continue;
		u->counts[IOMMU_CUT_OFF]++;
		iommu_cut_off(u, fault.sbdf);
		pr_err("iommu: " PCI_FMT " has faults for ever: it is cut off\n",
		       PCI_ARGS(fault.sbdf));
	}
	return any;
}

static void timer_fired(struct timer *t __unused)
{
	due = true;
	atomic_or(&this_cpu()->work, CPU_WORK_ERRORS);
}

void iommu_report_faults(void)
{
	static u64 busy_until;
	struct pci_function *f;
	bool any = false;

	if (likely(!due) || this_cpu() != housekeeping_cpu)
		return;
	due = false;
	polls++;
	guard(&pci_lock);
	for (struct iommu *u = iommu_units; u; u = u->next)
		any |= poll_unit(u);
	list_for_each(f, &pci_functions, link)
		vpci_follow(f, false);
	if (any)
		busy_until = polls + FOREVER;
	timer_set(&timer, now() + (polls < busy_until ? BUSY_NS : POLL_NS));
}

void iommu_counters_of_machine(counter_fn *put, void *to)
{
	static const char *const names[IOMMU_NR_COUNTS] = { "reported", "suppressed", "cut-off" };

	for (unsigned i = 0; i < IOMMU_NR_COUNTS; i++)
		for (const struct iommu *u = iommu_units; u; u = u->next)
			put(to, "iommu", names[i], u->index, READ_ONCE(u->counts[i]));
}

void iommu_start_polling(void)
{
	if (!iommu_driver)
		return;
	timer_init(&timer, timer_fired);
	due = true;
	cpu_raise(housekeeping_cpu, CPU_WORK_ERRORS);
}
