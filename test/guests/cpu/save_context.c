/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: a control domain stops the domains before its own at random times, saves their vCPUs'
 * records, loads those of an earlier time, then the saved ones again, and lets them go on: they do not
 * notice. At least rounds=N times. domains=N: fewer. Broken streams are refused.
 */
#define __XEN_TOOLS__ 1
#include "guest.h"

#include <xen/domctl.h>
#include <xen/hvm/save.h>

#define ROOM (16 * PAGE_SIZE)
#define DOMAINS 2

static uint8_t old[DOMAINS][ROOM] PAGE_ALIGNED, saved[ROOM] PAGE_ALIGNED, again[ROOM] PAGE_ALIGNED;
static uint32_t old_size[DOMAINS];
static struct xen_domctl op;
static struct vcpu_guest_context context;
static uint64_t seed = 1;

static uint64_t rnd(void)
{
	seed = seed * 6364136223846793005ul + 1442695040888963407ul;
	return seed >> 33;
}

static long domctl(uint32_t cmd, uint32_t domain)
{
	op.cmd = cmd;
	op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op.domain = (domid_t)domain;
	return hypercall1(__HYPERVISOR_domctl, &op);
}

static long context_op(uint32_t cmd, uint32_t domain, void *at, uint32_t size)
{
	op.u.hvmcontext.size = size;
	set_xen_guest_handle(op.u.hvmcontext.buffer, at);
	return domctl(cmd, domain);
}

/* Returns the size. */
static uint32_t save(uint32_t domain, uint8_t *at)
{
	uint32_t size;

	CHECK_RET(context_op(XEN_DOMCTL_gethvmcontext, domain, NULL, 0), 0);
	size = op.u.hvmcontext.size;
	CHECK(size > 2000 && size <= ROOM, "%u bytes", size);
	CHECK_RET(context_op(XEN_DOMCTL_gethvmcontext, domain, at, size - 1), -XEN_ENOSPC);
	CHECK_RET(context_op(XEN_DOMCTL_gethvmcontext, domain, at, size), 0);
	CHECK(op.u.hvmcontext.size == size, "%u bytes of %u", op.u.hvmcontext.size, size);
	return size;
}

/* Returns the record of a type of vCPU 0 and its size. */
static void *record(uint8_t *at, uint16_t type, uint32_t *size)
{
	struct hvm_save_descriptor *d = (void *)at;

	while (d->typecode != type || d->instance) {
		CHECK(d->typecode, "no record of type %u", type);
		d = (void *)((uint8_t *)(d + 1) + d->length);
	}
	*size = d->length;
	return d + 1;
}

static void refused(uint32_t domain, uint32_t size)
{
	struct hvm_hw_cpu *cpu;
	uint32_t n;

	memcpy(again, saved, size);
	CHECK_RET(context_op(XEN_DOMCTL_sethvmcontext, domain, again, size - 1), -XEN_ENODATA);
	cpu = record(again, HVM_SAVE_CODE(CPU), &n);
	cpu->cr4 |= 1ul << 60;
	CHECK_RET(context_op(XEN_DOMCTL_sethvmcontext, domain, again, size), -XEN_EINVAL);
	CHECK_RET(context_op(XEN_DOMCTL_sethvmcontext, DOMID_SELF, again, size), -XEN_EINVAL);

	/* One record alone is the same. */
	cpu = record(saved, HVM_SAVE_CODE(CPU), &n);
	op.u.hvmcontext_partial.type = HVM_SAVE_CODE(CPU);
	op.u.hvmcontext_partial.instance = 0;
	op.u.hvmcontext_partial.bufsz = sizeof(again);
	set_xen_guest_handle(op.u.hvmcontext_partial.buffer, again);
	CHECK_RET(domctl(XEN_DOMCTL_gethvmcontext_partial, domain), 0);
	CHECK(op.u.hvmcontext_partial.bufsz == n, "a record of %lu bytes",
	      op.u.hvmcontext_partial.bufsz);
	CHECK(((struct hvm_hw_cpu *)again)->rip == cpu->rip, "another RIP");
	op.u.hvmcontext_partial.instance = 100;
	CHECK_RET(domctl(XEN_DOMCTL_gethvmcontext_partial, domain), -XEN_ENOENT);
	op.u.hvmcontext_partial.type = 77;
	CHECK_RET(domctl(XEN_DOMCTL_gethvmcontext_partial, domain), -XEN_EINVAL);

	op.u.vcpucontext.vcpu = 0;
	set_xen_guest_handle(op.u.vcpucontext.ctxt, &context);
	CHECK_RET(domctl(XEN_DOMCTL_getvcpucontext, domain), 0);
	CHECK(context.user_regs.rip == cpu->rip && context.ctrlreg[3] == cpu->cr3,
	      "another context");
	CHECK_RET(domctl(XEN_DOMCTL_setvcpucontext, domain), 0);
	context.user_regs.rip = 1ul << 60;
	CHECK_RET(domctl(XEN_DOMCTL_setvcpucontext, domain), -XEN_EINVAL);
	op.u.vcpucontext.vcpu = 100;
	CHECK_RET(domctl(XEN_DOMCTL_setvcpucontext, domain), -XEN_EINVAL);
}

/* Returns false when the domain has ended. */
static bool turn(uint32_t domain)
{
	unsigned int i = domain - 1;
	uint32_t size;
	long rc = domctl(XEN_DOMCTL_pausedomain, domain);

	if (rc == -XEN_ESRCH)
		return false;
	CHECK_RET(rc, 0);
	if (domctl(XEN_DOMCTL_getdomaininfo, domain) || op.domain != domain ||
	    op.u.getdomaininfo.flags & (XEN_DOMINF_shutdown | XEN_DOMINF_dying))
		return false;
	size = save(domain, saved);
	if (old_size[i]) {
		CHECK_RET(context_op(XEN_DOMCTL_sethvmcontext, domain, old[i], old_size[i]), 0);
		CHECK_RET(context_op(XEN_DOMCTL_sethvmcontext, domain, saved, size), 0);
	} else {
		refused(domain, size);
	}
	memcpy(old[i], saved, size);
	old_size[i] = size;
	CHECK_RET(domctl(XEN_DOMCTL_unpausedomain, domain), 0);
	/* A running one is paused for the call. */
	CHECK_RET(context_op(XEN_DOMCTL_gethvmcontext, domain, saved, ROOM), 0);
	return true;
}

int main(void)
{
	uint64_t rounds = cmdline_number("rounds", 20), n = 0;
	uint64_t domains = cmdline_number("domains", DOMAINS);
	bool going = true;

	delay_ns(100 * NS_PER_MS);
	for (; going; n++) {
		going = false;
		for (uint32_t d = 1; d <= domains; d++)
			going |= turn(d);
		block_until(now_ns() + rnd() % 5000 * NS_PER_US);
	}
	printf("%lu rounds\n", n);
	CHECK(n >= rounds, "%lu rounds", n);
	pass();
}
