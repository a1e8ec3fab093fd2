/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls Margay by libxencall, through the kernel's /dev/xen/privcmd. */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <xencall.h>	/* first: the next header needs it */
#define __XEN_TOOLS__ 1	/* today's interface, not the oldest */
#include <xenforeignmemory.h>
#include <xen/xen.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/hvm/hvm_op.h>

#include "mgctl.h"

#define PRIVCMD "/dev/xen/privcmd"
#define OPEN_SECONDS 3

struct link {
	xencall_handle *xc;
	struct margay_op *op;
	xenforeignmemory_handle *memory; /* opened on first use */
};

static bool on_xen(void)
{
	uint32_t eax, text[4] = { 0 };

	for (uint32_t leaf = 0x40000000; leaf < 0x40010000; leaf += 0x100) {
		__cpuid(leaf, eax, text[0], text[1], text[2]);
		if (!strcmp((const char *)text, "XenVMMXenVMM"))
			return true;
	}
	return false;
}

static void on_alarm(int signal)
{
	(void)signal;
}

/*
 * In a guest, kernels with the fix for XSA-482 open the device only after a xenstore has told them
 * which domain the guest may control. There may be no xenstore, so wait only briefly.
 */
static int open_device(void)
{
	const struct sigaction act = { .sa_handler = on_alarm }, old = { .sa_handler = SIG_DFL };
	/* Repeat every second: the first signal might precede open(). */
	const struct itimerval limit = { { 1, 0 }, { OPEN_SECONDS, 0 } }, none = { 0 };
	int fd, error;

	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &limit, NULL);
	fd = open(PRIVCMD, O_RDWR | O_CLOEXEC);
	error = errno;
	setitimer(ITIMER_REAL, &none, NULL);
	sigaction(SIGALRM, &old, NULL);
	errno = error;
	return fd;
}

static int check_device(struct mgctl *m)
{
	int fd;

	if (!on_xen())
		return no_access(m, "this machine does not run on Margay");
	fd = open_device();
	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (errno == EINTR)
		return restricted(m);
	if (errno == EACCES || errno == EPERM)
		return no_access(m, "no access to " PRIVCMD ": only root has it");
	if (errno == ENOENT || errno == ENXIO || errno == ENODEV)
		return no_access(m, "there is no " PRIVCMD
				    ": load the kernel's module xen-privcmd, and mount /dev");
	say(m->err, "mgctl: cannot open " PRIVCMD ": %s", strerror(errno));
	return MGCTL_NO_ACCESS;
}

static int xen_call(struct mgctl *m, struct margay_op *op)
{
	struct link *l = m->link;
	int rc;

	op->interface = MARGAY_INTERFACE;
	*l->op = *op;
	rc = xencall1(l->xc, MARGAY_HYPERCALL, (uint64_t)(uintptr_t)l->op) < 0 ? -errno : 0;
	*op = *l->op;
	return rc;
}

static void *xen_alloc(struct mgctl *m, size_t size)
{
	struct link *l = m->link;

	return xencall_alloc_buffer(l->xc, size);
}

static void xen_free(struct mgctl *m, void *p)
{
	struct link *l = m->link;

	xencall_free_buffer(l->xc, p);
}

/* Maps foreign pages of DOMID_XEN, like Xen's own trace buffers. */
static const void *xen_map(struct mgctl *m, uint64_t frame, uint32_t pages)
{
	struct link *l = m->link;
	xen_pfn_t *frames = calloc(pages, sizeof(*frames));
	void *p = NULL;

	if (!l->memory)
		l->memory = xenforeignmemory_open(NULL, 0);
	for (uint32_t i = 0; frames && i < pages; i++)
		frames[i] = frame + i;
	if (frames && l->memory)
		p = xenforeignmemory_map(l->memory, DOMID_XEN, PROT_READ, pages, frames, NULL);
	free(frames);
	return p;
}

void *xen_map_pages(struct mgctl *m, uint32_t domain, uint64_t gfn, uint32_t pages)
{
	struct link *l = m->link;
	xen_pfn_t frames[2] = { gfn, gfn + 1 };

	if (!l->memory)
		l->memory = xenforeignmemory_open(NULL, 0);
	if (!l->memory || pages > 2)
		return NULL;
	return xenforeignmemory_map(l->memory, domain, PROT_READ | PROT_WRITE, pages, frames, NULL);
}

static void xen_unmap(struct mgctl *m, const void *p, uint32_t pages)
{
	struct link *l = m->link;

	xenforeignmemory_unmap(l->memory, (void *)(uintptr_t)p, pages);
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

static bool xen_wait(struct mgctl *m, uint64_t ms)
{
	const struct sigaction act = { .sa_handler = on_interrupt };
	const struct timespec time = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

	(void)m;
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	if (!interrupted)
		nanosleep(&time, NULL);
	return !interrupted;
}

/* Any guest may ask Margay for its version. */
static bool xen_may_call(struct mgctl *m)
{
	struct link *l = m->link;

	return xencall2(l->xc, __HYPERVISOR_xen_version, 0, 0) >= 0 || errno != EPERM;
}

int xen_open(struct mgctl *m)
{
	struct link *l;
	int rc = check_device(m);

	if (rc)
		return rc;
	l = calloc(1, sizeof(*l));
	if (!l)
		return no_access(m, "out of memory");
	m->link = l;
	m->call = xen_call;
	m->may_call = xen_may_call;
	m->alloc = xen_alloc;
	m->free = xen_free;
	m->map = xen_map;
	m->unmap = xen_unmap;
	m->wait = xen_wait;
	l->xc = xencall_open(NULL, 0);
	if (l->xc)
		l->op = xencall_alloc_buffer(l->xc, sizeof(*l->op));
	rc = l->op ? check_access(m) : no_access(m, "libxencall cannot use " PRIVCMD);
	if (rc)
		xen_close(m);
	return rc;
}

/* Calls Margay with the address of a structure, after an operation number unless that is NO_OP. */
#define NO_OP UINT64_MAX

static int call_with(struct mgctl *m, uint64_t nr, uint64_t op, void *data, size_t size)
{
	struct link *l = m->link;
	void *buffer = xencall_alloc_buffer(l->xc, size);
	uint64_t at = (uint64_t)(uintptr_t)buffer;
	int rc;

	if (!buffer)
		return -ENOMEM;
	memcpy(buffer, data, size);
	rc = op == NO_OP ? xencall1(l->xc, (unsigned int)nr, at) :
			   xencall2(l->xc, (unsigned int)nr, op, at);
	rc = rc < 0 ? -errno : rc;
	memcpy(data, buffer, size);
	xencall_free_buffer(l->xc, buffer);
	return rc;
}

int xen_domctl(struct mgctl *m, void *op, size_t size)
{
	return call_with(m, __HYPERVISOR_domctl, NO_OP, op, size);
}

uint64_t xen_hvm_param(struct mgctl *m, uint32_t domain, uint32_t index)
{
	struct xen_hvm_param p = { .domid = (domid_t)domain, .index = index };

	return call_with(m, __HYPERVISOR_hvm_op, HVMOP_get_param, &p, sizeof(p)) ? 0 : p.value;
}

int xen_set_hvm_param(struct mgctl *m, uint32_t domain, uint32_t index, uint64_t value)
{
	struct xen_hvm_param p = { .domid = (domid_t)domain, .index = index, .value = value };

	return call_with(m, __HYPERVISOR_hvm_op, HVMOP_set_param, &p, sizeof(p));
}

int xen_alloc_port(struct mgctl *m, uint32_t domain)
{
	struct evtchn_alloc_unbound a = { .dom = (domid_t)domain, .remote_dom = 0 };
	int rc = call_with(m, __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, &a, sizeof(a));

	return rc ? rc : (int)a.port;
}

int xen_add_page(struct mgctl *m, uint32_t domain, uint64_t gfn)
{
	struct link *l = m->link;
	xen_pfn_t *frame = xencall_alloc_buffer(l->xc, sizeof(*frame));
	struct xen_memory_reservation r = { .nr_extents = 1, .domid = (domid_t)domain };
	int rc;

	if (!frame)
		return -ENOMEM;
	*frame = gfn;
	set_xen_guest_handle(r.extent_start, frame);
	rc = call_with(m, __HYPERVISOR_memory_op, XENMEM_populate_physmap, &r, sizeof(r));
	xencall_free_buffer(l->xc, frame);
	return rc == 1 ? 0 : rc ? rc : -ENOMEM;
}

int xen_grant_page(struct mgctl *m, uint32_t domain, unsigned int ref, uint64_t gfn)
{
	struct link *l = m->link;
	xenforeignmemory_resource_handle *resource;
	grant_entry_v1_t *entry;
	void *table = NULL;
	int rc = 0;

	if (!l->memory)
		l->memory = xenforeignmemory_open(NULL, 0);
	if (!l->memory)
		return -errno;
	resource = xenforeignmemory_map_resource(l->memory, (domid_t)domain,
						 XENMEM_resource_grant_table,
						 XENMEM_resource_grant_table_id_shared, 0, 1,
						 &table, PROT_READ | PROT_WRITE, 0);
	if (!resource)
		return -errno;
	entry = (grant_entry_v1_t *)table + ref;
	if (entry->flags) {
		rc = -EBUSY;
	} else {
		entry->domid = 0;
		entry->frame = (uint32_t)gfn;
		__atomic_store_n(&entry->flags, GTF_permit_access, __ATOMIC_RELEASE);
	}
	xenforeignmemory_unmap_resource(l->memory, resource);
	return rc;
}

void xen_close(struct mgctl *m)
{
	struct link *l = m->link;

	if (l->memory)
		xenforeignmemory_close(l->memory);
	if (l->op)
		xencall_free_buffer(l->xc, l->op);
	if (l->xc)
		xencall_close(l->xc);
	free(l);
	m->link = NULL;
}
