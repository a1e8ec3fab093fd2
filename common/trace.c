/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Trace rings, one per CPU. Only that CPU writes its ring; control domains read it through
 * read-only mappings. New records overwrite the oldest, and a reader sees the loss by the count. A
 * ring is allocated when tracing is first enabled and is never freed, so its mappings need no care.
 */
#include <margay/trace.h>

void trace_write(unsigned event, const struct vcpu *v, u64 a, u64 b)
{
	struct cpu *c = this_cpu();
	struct margay_trace_ring *r = c->ring;
	u64 n = r->written;
	struct margay_trace *t = (struct margay_trace *)((u8 *)r + PAGE_SIZE) + n % r->records;

	/* Update the count last, so that a reader does not trust a record that is being written. */
	*t = (struct margay_trace){ .tsc = rdtsc(),
				    .event = (u8)event,
				    .cpu = (u16)c->id,
				    .domain = v ? v->domain->id : MARGAY_NONE,
				    .vcpu = v ? (u16)v->id : 0,
				    .a = a,
				    .b = b };
	barrier();
	WRITE_ONCE(r->written, n + 1);
}

void trace_exit(const struct vcpu *v, u32 reason)
{
	trace(EXIT, v, reason, v->regs.rip);
	if (reason == EXIT_HYPERCALL)
		trace(HYPERCALL, v, v->regs.rax, v->regs.rdi);
}

static int make_ring(struct cpu *c, u32 pages)
{
	struct margay_trace_ring *r = alloc_pages(1 + pages, c->node);

	if (!r)
		return -ENOMEM;
	r->version = MARGAY_TRACE_VERSION;
	r->cpu = c->id;
	r->records = (u32)(pages * PAGE_SIZE / sizeof(struct margay_trace));
	r->tsc_hz = arch_tsc_hz();
	c->ring = r;
	return 0;
}

int trace_set(u32 mask, u32 pages)
{
	int rc = pages && pages <= TRACE_MAX_PAGES && !(pages & (pages - 1)) ? 0 : -EINVAL;

	for (unsigned i = 0; i < nr_cpus && !rc; i++)
		if (!cpus[i]->ring)
			rc = make_ring(cpus[i], pages);
	smp_mb();
	for (unsigned i = 0; i < nr_cpus && !rc; i++)
		WRITE_ONCE(cpus[i]->trace, mask);
	/* The caller's exit was not recorded. Posted work makes its entry read the mask again. */
	if (current_vcpu())
		vcpu_post(current_vcpu(), VCPU_WORK_WINDOW);
	return rc;
}

bool trace_page(mfn_t mfn)
{
	for (unsigned i = 0; i < nr_cpus; i++) {
		const struct margay_trace_ring *r = cpus[i]->ring;

		if (r &&
		    mfn - virt_to_mfn(r) <= r->records * sizeof(struct margay_trace) / PAGE_SIZE)
			return true;
	}
	return false;
}
