/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads of policies by hypercall: one at a time, in bounded steps. The caller restarts its call for
 * each step. Another load begins when this one is done, or when its caller has given up. The
 * control flag protects all of it.
 */
#include <margay/arch.h>
#include <margay/domain.h>
#include <margay/guest_copy.h>
#include <margay/page_owner.h>
#include <margay/policy_registry.h>

#define ABANDONED_NS 1000000000UL

static struct guest_load {
	struct vcpu *by;
	gvaddr_t from;
	stime_t stepped;
	u8 *file;
	size_t copied;
	struct policy_load load;
} * guest_load;

static unsigned pages_of(size_t len)
{
	return (unsigned)(ALIGN_UP(len, PAGE_SIZE) >> PAGE_SHIFT);
}

static void end_guest_load(void)
{
	policy_load_cancel(&guest_load->load);
	if (guest_load->file)
		free_pages(guest_load->file, pages_of(guest_load->load.len));
	kfree(guest_load);
	guest_load = NULL;
}

static int begin_guest_load(struct vcpu *v, gvaddr_t from, size_t len)
{
	struct guest_load *g = guest_load = kzalloc(sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->by = v;
	g->from = from;
	g->load.len = len;
	g->load.file = g->file = alloc_pages(pages_of(len), NODE_ANY);
	return g->file ? -ERESTART : -ENOMEM;
}

/* Copies the file before it is checked, since its owner could change it meanwhile. */
static int step_guest_load(struct guest_load *g)
{
	size_t n = min(g->load.len - g->copied, PAGE_SIZE);

	g->stepped = now();
	if (!n)
		return policy_load_step(&g->load);
	if (copy_from_guest(g->file + g->copied, g->from + g->copied, n))
		return -EFAULT;
	g->copied += n;
	return -ERESTART;
}

int policy_load_guest(struct vcpu *v, gvaddr_t from, size_t len, char *why)
{
	const struct guest_load *g = guest_load;
	int rc;

	if (g && (g->by != v || g->from != from || g->load.len != len)) {
		if (g->by != v && now() - g->stepped < ABANDONED_NS)
			return -EBUSY;
		end_guest_load();
	}
	rc = guest_load ? step_guest_load(guest_load) : begin_guest_load(v, from, len);
	if (rc != -ERESTART && guest_load) {
		strcopy(why, guest_load->load.why, MODULE_REASON);
		end_guest_load();
	}
	return rc;
}

void policy_load_gone(const struct domain *d)
{
	if (guest_load && guest_load->by->domain == d)
		end_guest_load();
}
