/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Faults of the units, polled on the housekeeping CPU: once a second, and more often as long as
 * there are some. A function with faults in FOREVER polls in a row, which is a second, is cut off.
 */
#include <margay/boot_state.h>
#include <margay/pci.h>
#include <margay/percpu.h>
#include <margay/timer.h>

#include "iommu_priv.h"

#define POLL_NS NS_PER_S
#define BUSY_NS (NS_PER_S / 100)
#define FOREVER 100U
#define FAULTS_A_POLL 64U
#define LINES_A_SECOND 10U

/* A function that had faults. */
static struct source {
	u32 sbdf;
	bool cut;		/* reported for the last time */
	u64 last;		/* poll that saw a fault; 0: unused */
	unsigned run;		/* polls in a row before, with it */
} sources[64];
static u64 polls;
static bool due;
static struct timer timer;
static stime_t second;		/* start of the one in which these were counted: */
static u32 lines, silent;

static struct source *source_of(u32 sbdf)
{
	struct source *oldest = NULL;

	for (struct source *s = sources; s < sources + ARRAY_SIZE(sources); s++) {
		if (s->last && s->sbdf == sbdf)
			return s;
		if (!s->cut && (!oldest || s->last < oldest->last))
			oldest = s;
	}
	if (oldest)
		*oldest = (struct source){ .sbdf = sbdf };
	return oldest;
}

void iommu_forget_faults(u32 sbdf)
{
	for (struct source *s = sources; s < sources + ARRAY_SIZE(sources); s++)
		if (s->sbdf == sbdf) {
			s->run = 0;
			WRITE_ONCE(s->cut, false);
		}
}

static void report(const struct iommu_fault *f)
{
	if (now() - second >= NS_PER_S) {
		if (silent)
			pr_warn("iommu: %u more faults\n", silent);
		second = now();
		lines = silent = 0;
	}
	if (++lines > LINES_A_SECOND)
		silent++;
	else
		pr_warn("iommu: " PCI_FMT ": %s %#lx blocked: %s (%u)\n", PCI_ARGS(f->sbdf),
			f->interrupt ? "interrupt" :
			f->write     ? "write to" :
				       "read of",
			f->address, f->what, f->reason);
}

/* Called with u->lock. */
static void cut_off(struct iommu *u, u32 sbdf)
{
	if (iommu_find_function(u, sbdf))
		u->ops->attach(u, sbdf, NULL);
	iommu_stop_master(sbdf);
	pr_err("iommu: " PCI_FMT " has faults for ever: it is cut off\n", PCI_ARGS(sbdf));
}

/* Returns whether there was a fault of a function that is not cut off. */
static bool poll_unit(struct iommu *u)
{
	struct iommu_fault f;
	bool any = false;

	guard(&u->lock);
	for (unsigned n = 0; n < FAULTS_A_POLL && u->ops && u->ops->fault(u, &f); n++) {
		struct source *s = source_of(f.sbdf);

		if (!s || s->cut)
			continue;
		any = true;
		report(&f);
		if (s->last == polls)
			continue;
		s->run = s->last && s->last == polls - 1 ? s->run + 1 : 1;
		s->last = polls;
		s->cut = s->run == FOREVER;
		if (s->cut)
			cut_off(u, f.sbdf);
		iommu_check_answer(u);
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
	bool any = false;

	if (likely(!due) || this_cpu() != housekeeping_cpu)
		return;
	due = false;
	polls++;
	for (unsigned i = 0; i < boot_acpi.nr_iommus; i++)
		if (iommu_units[i].ops)
			any |= poll_unit(&iommu_units[i]);
	if (any)
		busy_until = polls + FOREVER;
	timer_set(&timer, now() + (polls < busy_until ? BUSY_NS : POLL_NS));
}

void iommu_start_polling(void)
{
	if (!iommu_driver)
		return;
	timer_init(&timer, timer_fired);
	due = true;
	cpu_raise(housekeeping_cpu, CPU_WORK_ERRORS);
}
