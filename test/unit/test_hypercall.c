/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hypercalls from the registers down: privileges, restarted calls, and the resulting guest memory
 * and registered areas.
 * unit-sources: common/on_demand.c common/evtchn.c common/evtchn_fifo.c common/evtchn_bind.c common/grant.c common/grant_map.c test/unit/mock_guest.c hypercall/dispatch.c hypercall/compat.c hypercall/version.c hypercall/console_io.c hypercall/event_channel.c common/domain/vcpu_timers.c hypercall/sched_op.c hypercall/vcpu_op.c common/domain/vcpu_area.c hypercall/hvm_op.c hypercall/grant_table.c hypercall/memory_op.c hypercall/physdev_op.c test/unit/no_policies.c
 */
#include "mock_guest.h"

#include <margay/arch.h>
#include <margay/boot_state.h>
#include <margay/console.h>
#include <margay/domain_parts.h>
#include <margay/errno.h>
#include <margay/hypercall.h>
#include <margay/module.h>
#include <margay/pci.h>
#include <margay/sched.h>
#include <margay/trace.h>
#include <margay/version.h>

#include <sys/mman.h>
#include <xen/physdev.h>

#define A mock_dom[1]
#define B mock_dom[2]
#define V0 (A->vcpus[0])
#define BAD_PTR 0x1000UL

struct boot_info boot_info = { .cmdline = "secret" };
const char version_date[] = "2026-01-02", version_changeset[] = "2026-01-02 git:0123456789";

const u8 *module_hypervisor_id(void)
{
	return (const u8 *)"abcdefghijklmnopqrst";
}

struct acpi_info boot_acpi;
static struct {
	struct domain *d;
	u32 sbdf, physfn;
	unsigned waits;		/* calls until it is done */
	u8 node;
	bool removed;
} function;

int pci_add(struct domain *d, u32 sbdf, u32 physfn, u8 node)
{
	function.d = d;
	function.sbdf = sbdf;
	function.physfn = physfn;
	function.node = node;
	return function.waits && function.waits-- ? -ERESTART : 0;
}

int pci_remove(const struct domain *d, u32 sbdf)
{
	assert_ptr_equal(d, A);
	function.removed = sbdf == function.sbdf;
	return function.removed ? 0 : -ENODEV;
}

void cpu_relax(void) {}

/* Every n-th check requests preemption; 0: never. */
static unsigned preempt_every, looks;
static stime_t clock_ns = 1000;
static int shut_down;
static bool blocked;
static struct timer *set_last;
static char console[1024];
static size_t console_len;

void arch_poll_irqs(void)
{
	host_cpu->work = preempt_every && ++looks % preempt_every == 0;
}

/* Returns the memory of a 32-bit caller's converted argument, else the address itself. */
static void *at(gvaddr_t va)
{
	return va >= ARG64 && va - ARG64 < ARG64_SIZE && V0->arg64 ? V0->arg64 + (va - ARG64) :
								     (void *)va;
}

void domain_set_layout(struct domain *d, bool is_32bit)
{
	d->shared_32bit = is_32bit;
}

/* A guest linear address is a test's pointer, or faults. */
static bool faults(gvaddr_t va, size_t n)
{
	return n && (va < 0x10000 || va + n >= 1UL << 47 || va + n < va);
}

int copy_from_guest(void *dst, gvaddr_t src, size_t n)
{
	src = (gvaddr_t)at(src);
	if (faults(src, n))
		return -EFAULT;
	memcpy(dst, (const void *)src, n);
	return 0;
}

int copy_to_guest(gvaddr_t dst, const void *src, size_t n)
{
	dst = (gvaddr_t)at(dst);
	if (faults(dst, n))
		return -EFAULT;
	memcpy((void *)dst, src, n);
	return 0;
}

/* For registered areas, linear addresses equal physical ones. */
int guest_translate(gvaddr_t va, bool write, gpaddr_t *gpa)
{
	(void)write;
	*gpa = va;
	return 0;
}

stime_t now(void)
{
	return clock_ns;
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	t->fn = fn;
	t->expires = 0;
}

void timer_set(struct timer *t, stime_t expires)
{
	t->expires = expires;
	set_last = t;
}

void timer_follow(struct timer *t)
{
	(void)t;
}

void timer_stop(struct timer *t)
{
	t->expires = 0;
}

void domain_shutdown(struct domain *d, unsigned code)
{
	assert_ptr_equal(d, A);
	shut_down = (int)code;
}

void vcpu_block(struct vcpu *v)
{
	assert_ptr_equal(v, V0);
	blocked = true;
}

void vcpu_yield(struct vcpu *v)
{
	assert_ptr_equal(v, V0);
}

void vcpu_early_timer_slow(struct vcpu *v, stime_t at)
{
	v->not_before = at;
}

void vcpu_up(struct vcpu *v)
{
	v->state = RUN_RUNNABLE;
}

void vcpu_down(struct vcpu *v)
{
	v->state = RUN_OFFLINE;
}

void vcpu_runstate(struct vcpu *v, struct vcpu_runstate_info *out)
{
	*out = v->runstate;
}

static bool sipi;	/* v handles a SIPI before it leaves its CPU */

void vcpu_hold(struct vcpu *v, unsigned n)
{
	v->holds += n;
	v->initialised |= sipi;
}

/* v has left its CPU meanwhile. */
void vcpu_release(struct vcpu *v)
{
	v->holds--;
	v->on_cpu = false;
}

int arch_vcpu_set_context(struct vcpu *v, const struct vcpu_hvm_context *ctx)
{
	assert_true(v->holds && !v->on_cpu);
	return ctx->mode > VCPU_HVM_MODE_64B ? -EINVAL : 0;
}

void arch_update_time(struct vcpu *v)
{
	assert_ptr_equal(v, V0);
}

size_t console_guest_write(struct domain *d, const char *s, size_t n)
{
	(void)d;
	memcpy(console + console_len, s, n);
	console_len += n;
	return n;
}

size_t console_guest_read(struct domain *d, char *s, size_t n)
{
	(void)d;
	memset(s, 'r', n < 3 ? n : 3);
	return n < 3 ? n : 3;
}

void p2m_flush(struct domain *d)
{
	(void)d;
}

static mfn_t ring_page;

bool trace_page(mfn_t mfn)
{
	return mfn == ring_page;
}

/* There are no 2 MiB chunks here: large extents consist of pages. */
int dom_alloc_within(struct domain *d, unsigned order, u64 limit, mfn_t *mfn)
{
	return d->tot_pages < limit ? dom_alloc(d, order, mfn) : -E2BIG;
}

static unsigned chunks_wanted;	/* there are none */

int dom_alloc(struct domain *d, unsigned order, mfn_t *mfn)
{
	chunks_wanted += order == 9;
	if (order)
		return -ENOMEM;
	if (d->tot_pages == d->max_pages)
		return -E2BIG;
	*mfn = mock_page(d);
	d->tot_pages++;
	return 0;
}

/* Restarts the call like the assembly does, until it has a result. */
static long call_counted(unsigned nr, u64 a0, u64 a1, u64 a2, unsigned *restarts)
{
	struct regs *r = &V0->regs;
	long ret;

	*r = (struct regs){ .rax = nr, .rdi = a0, .rsi = a1, .rdx = a2 };
	for (*restarts = 0; (ret = hypercall(V0, nr, r)) == HCALL_RESTART; ++*restarts)
		assert_int_equal(r->rax, nr);
	return ret;
}

static long call(unsigned nr, u64 a0, u64 a1, u64 a2)
{
	unsigned restarts;

	return call_counted(nr, a0, a1, a2, &restarts);
}

#define P(x) ((u64)&(x))
#define MEM(op, arg) call(__HYPERVISOR_memory_op, op, P(arg), 0)

extern const struct domain_part timers_part;

static int setup(void **state)
{
	unsigned i;

	mock_setup(state);
	preempt_every = looks = 0;
	blocked = false;
	shut_down = -1;
	console_len = 0;
	A->max_pages = 1000;
	for (i = 0; i < MOCK_VCPUS; i++) {
		struct vcpu *v = A->vcpus[i];

		v->info_mfn = INVALID_MFN;
		v->state = i ? RUN_OFFLINE : RUN_RUNNING;
		vcpu_timers_init(v);
	}
	timers_part.create(A);
	host_cpu->current = V0;
	return 0;
}

static int teardown(void **state)
{
	unsigned i;

	for (i = 0; i < MOCK_VCPUS; i++)
		vcpu_areas_release(A->vcpus[i]);
	return mock_teardown(state);
}

/* What Linux tells of the machine's functions, if they are the domain's. */
static void test_physdev(void **state)
{
	struct {
		struct physdev_pci_device_add add;
		u32 pxm;
	} a = { { .seg = 1, .bus = 2, .devfn = 3 }, 7 };
	struct physdev_pci_device device = { 1, 2, 3 };

	(void)state;
	boot_acpi.nr_nodes = 2;
	boot_acpi.nodes[1] = 7;
	A->hardware = A->control = true;
	assert_int_equal(call(__HYPERVISOR_physdev_op, PHYSDEVOP_pci_device_add, P(a), 0), 0);
	assert_ptr_equal(function.d, A);
	assert_int_equal(function.sbdf, 0x10203);
	assert_int_equal(function.physfn, ~0U);
	assert_int_equal(function.node, NODE_ANY);
	a.add.flags = XEN_PCI_DEV_VIRTFN | XEN_PCI_DEV_PXM;
	a.add.physfn.bus = 4;
	a.add.physfn.devfn = 5;
	function.waits = 3;
	assert_int_equal(call(__HYPERVISOR_physdev_op, PHYSDEVOP_pci_device_add, P(a), 0), 0);
	assert_int_equal(function.waits, 0);
	assert_int_equal(function.physfn, 0x10405);
	assert_int_equal(function.node, 1);
	a.pxm = 8;	/* without CPUs and memory */
	assert_int_equal(call(__HYPERVISOR_physdev_op, PHYSDEVOP_pci_device_add, P(a), 0), 0);
	assert_int_equal(function.node, NODE_ANY);
	assert_int_equal(call(__HYPERVISOR_physdev_op, PHYSDEVOP_pci_device_add, BAD_PTR, 0),
			 -EFAULT);
	assert_int_equal(call(__HYPERVISOR_physdev_op, PHYSDEVOP_pci_device_remove, BAD_PTR, 0),
			 -EFAULT);
	assert_false(function.removed);
	assert_int_equal(call(__HYPERVISOR_physdev_op, PHYSDEVOP_pci_device_remove, P(device), 0),
			 0);
	assert_true(function.removed);
	device.devfn = 4;
	assert_int_equal(call(__HYPERVISOR_physdev_op, PHYSDEVOP_pci_device_remove, P(device), 0),
			 -ENODEV);
	A->hardware = A->control = false;
}

/* A guest with functions asks for a number, binds it, and hears that it owes no EOI. */
static void test_pirqs(void **state)
{
	struct physdev_get_free_pirq new = { .type = MAP_PIRQ_TYPE_MSI };
	struct physdev_irq_status_query query = { .flags = ~0U };
	struct evtchn_bind_pirq bind = { .port = 0 };
	struct xen_feature_info fi = { .submap_idx = 0 };

	(void)state;
	assert_int_equal(call(__HYPERVISOR_xen_version, XENVER_get_features, P(fi), 0), 0);
	assert_false(fi.submap >> XENFEAT_hvm_pirqs & 1);
	assert_int_equal(call(__HYPERVISOR_physdev_op, PHYSDEVOP_get_free_pirq, P(new), 0),
			 -ENOSYS);
	A->pirqs = true;
	assert_int_equal(call(__HYPERVISOR_xen_version, XENVER_get_features, P(fi), 0), 0);
	assert_true(fi.submap >> XENFEAT_hvm_pirqs & 1);
	assert_int_equal(call(__HYPERVISOR_physdev_op, PHYSDEVOP_get_free_pirq, P(new), 0), 0);
	bind.pirq = query.irq = new.pirq;
	assert_int_equal(call(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_pirq, P(bind), 0), 0);
	assert_true(bind.port > 0);
	assert_int_equal(call(__HYPERVISOR_physdev_op, PHYSDEVOP_irq_status_query, P(query), 0), 0);
	assert_int_equal(query.flags, 0);
	assert_int_equal(call(__HYPERVISOR_physdev_op, PHYSDEVOP_get_free_pirq, BAD_PTR, 0),
			 -EFAULT);
	assert_int_equal(call(__HYPERVISOR_physdev_op, PHYSDEVOP_irq_status_query, BAD_PTR, 0),
			 -EFAULT);
	assert_int_equal(call(__HYPERVISOR_physdev_op, PHYSDEVOP_map_pirq, P(new), 0), -ENOSYS);
	A->pirqs = false;
}

static void test_dispatch(void **state)
{
	char buf[1024];

	(void)state;
	assert_int_equal(call(__HYPERVISOR_xen_version, XENVER_version, 0, 0), 4 << 16 | 17);
	assert_int_equal(V0->hypercalls[HCALL_ROW_xen_version * HCALL_SUBOPS + XENVER_version], 1);
	assert_int_equal(A->refusals, 0);
	assert_int_equal(call(63, 0, 0, 0), -ENOSYS);
	assert_int_equal(call(64, 0, 0, 0), -ENOSYS);
	assert_int_equal(call(~0U, 0, 0, 0), -ENOSYS);
	assert_int_equal(A->refusals, 3);
	assert_int_equal(call(__HYPERVISOR_domctl, 0, 0, 0), -EPERM);
	assert_int_equal(call(__HYPERVISOR_physdev_op, PHYSDEVOP_pci_device_add, 0, 0), -EPERM);
	assert_int_equal(call(__HYPERVISOR_physdev_op, PHYSDEVOP_eoi, 0, 0), -ENOSYS);
	assert_int_equal(A->refusals, 4);
	A->control = true;
	assert_int_equal(call(__HYPERVISOR_domctl, 0, 0, 0), -ENOSYS);
	A->control = false;
	assert_int_equal(call(__HYPERVISOR_xen_version, XENVER_commandline, P(buf), 0), 0);
	assert_string_equal(buf, "<denied>");
	assert_int_equal(call(__HYPERVISOR_xen_version, XENVER_commandline, BAD_PTR, 0), -EFAULT);
	assert_int_equal(call(__HYPERVISOR_xen_version, XENVER_build_id, P(buf), 0), -EPERM);
	A->initial = true;
	assert_int_equal(call(__HYPERVISOR_xen_version, XENVER_commandline, P(buf), 0), 0);
	assert_string_equal(buf, "secret");
	assert_int_equal(call(__HYPERVISOR_xen_version, XENVER_changeset, P(buf), 0), 0);
	assert_string_equal(buf, "2026-01-02 git:0123456789");
	assert_int_equal(call(__HYPERVISOR_xen_version, XENVER_compile_info, P(buf), 0), 0);
	assert_string_equal(((struct xen_compile_info *)buf)->compile_date, "2026-01-02");
}

static void test_build_id(void **state)
{
	xen_build_id_t *id = calloc(1, sizeof(*id) + 24);

	(void)state;
	assert_int_equal(call(__HYPERVISOR_xen_version, XENVER_build_id, P(*id), 0), -EPERM);
	A->initial = true;
	assert_int_equal(call(__HYPERVISOR_xen_version, XENVER_build_id, 0, 0), 20);
	assert_int_equal(call(__HYPERVISOR_xen_version, XENVER_build_id, BAD_PTR, 0), -EFAULT);
	assert_int_equal(call(__HYPERVISOR_xen_version, XENVER_build_id, P(*id), 0), -EINVAL);
	id->len = 19;
	assert_int_equal(call(__HYPERVISOR_xen_version, XENVER_build_id, P(*id), 0), -ENOBUFS);
	id->len = 24;
	assert_int_equal(call(__HYPERVISOR_xen_version, XENVER_build_id, P(*id), 0), 20);
	assert_memory_equal(id->buf, "abcdefghijklmnopqrst\0\0\0", 24);
	free(id);
}

static void test_console_io(void **state)
{
	unsigned restarts, i;
	char text[1000];

	(void)state;
	for (i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 26);
	assert_int_equal(call(__HYPERVISOR_console_io, CONSOLEIO_write, 5, P(text)), -EPERM);
	A->initial = true;
	preempt_every = 1;
	assert_int_equal(call_counted(__HYPERVISOR_console_io, CONSOLEIO_write, sizeof(text),
				      P(text), &restarts),
			 0);
	assert_int_equal(restarts, 3);
	assert_int_equal(console_len, sizeof(text));
	assert_memory_equal(console, text, sizeof(text));
	assert_int_equal(call(__HYPERVISOR_console_io, CONSOLEIO_read, 2, P(text)), 2);
	assert_int_equal(call(__HYPERVISOR_console_io, CONSOLEIO_read, 200, P(text)), 3);
	assert_int_equal(call(__HYPERVISOR_console_io, CONSOLEIO_write, 1UL << 31, P(text)),
			 -E2BIG);
	assert_int_equal(call(__HYPERVISOR_console_io, CONSOLEIO_write, 1, BAD_PTR), -EFAULT);
	assert_int_equal(call(__HYPERVISOR_console_io, 2, 1, 0), -ENOSYS);
}

static void test_populate(void **state)
{
	xen_pfn_t gfns[100];
	struct xen_memory_reservation r = { .nr_extents = 100, .domid = DOMID_SELF };
	unsigned restarts, i;

	(void)state;
	r.extent_start.p = gfns;
	for (i = 0; i < 100; i++)
		gfns[i] = 500 + i;
	preempt_every = 7;
	assert_int_equal(call_counted(__HYPERVISOR_memory_op, XENMEM_populate_physmap, P(r), 0,
				      &restarts),
			 100);
	assert_in_range(restarts, 10, 20);
	assert_int_equal(A->tot_pages, 100);
	assert_int_equal(p2m_lookup(A, 599).type, P2M_RAM);
	assert_int_equal(call_counted(__HYPERVISOR_memory_op, XENMEM_decrease_reservation, P(r), 0,
				      &restarts),
			 100);
	assert_true(restarts > 0);
	assert_int_equal(p2m_lookup(A, 500).type, P2M_NONE);
	assert_int_equal(MEM(XENMEM_decrease_reservation, r), 0);

	/* The call goes as far as the limit allows. */
	A->tot_pages = 0;
	A->max_pages = 50;
	assert_int_equal(MEM(XENMEM_populate_physmap, r), 50);
	assert_int_equal(MEM(XENMEM_current_reservation, r.domid), 50);
	assert_int_equal(MEM(XENMEM_maximum_reservation, r.domid), 50);
	/* An extent succeeds as a whole or not at all. */
	A->max_pages = 50 + 511;
	r.nr_extents = 2;
	r.extent_order = 9;
	gfns[0] = 1024;
	assert_int_equal(MEM(XENMEM_populate_physmap, r), 0);
	assert_int_equal(p2m_lookup(A, 1024).type, P2M_NONE);
	A->tot_pages = 50; /* the mock does not count freed pages */
	A->max_pages = 50 + 512;
	assert_int_equal(MEM(XENMEM_populate_physmap, r), 1);
	assert_int_equal(p2m_lookup(A, 1024 + 511).type, P2M_RAM);

	r.extent_order = 10;
	assert_int_equal(MEM(XENMEM_populate_physmap, r), 0);
	r.extent_order = 0;
	r.domid = 2;
	assert_int_equal(MEM(XENMEM_populate_physmap, r), 0);
	r.domid = DOMID_SELF;
	r.nr_extents = ~0UL;
	assert_int_equal(MEM(XENMEM_populate_physmap, r), 0);
	r.nr_extents = 1;
	r.extent_start.p = (xen_pfn_t *)BAD_PTR;
	assert_int_equal(MEM(XENMEM_populate_physmap, r), 0);
	/* A guest may claim to continue a call that it never began. */
	assert_int_equal(MEM(XENMEM_populate_physmap | 5UL << 6, r), 5);
	r.extent_start.p = gfns;
	gfns[0] = ~0UL;
	r.extent_order = 9;
	assert_int_equal(MEM(XENMEM_populate_physmap, r), 0);
	assert_int_equal(MEM(XENMEM_decrease_reservation, r), 0);
}

/* The tools restore a guest page by page; pages that make up a chunk are populated as one. */
static void test_populate_chunks(void **state)
{
	static xen_pfn_t gfns[700];
	struct xen_memory_reservation r = { .nr_extents = 700, .domid = 2 };
	unsigned restarts;

	(void)state;
	r.extent_start.p = gfns;
	for (unsigned i = 0; i < 700; i++)
		gfns[i] = 1000 + i;	/* 24 pages, a chunk, 164 pages */
	A->control = true;
	B->max_pages = 2000;
	preempt_every = 7;
	chunks_wanted = 0;
	assert_int_equal(call_counted(__HYPERVISOR_memory_op, XENMEM_populate_physmap, P(r), 0,
				      &restarts),
			 700);
	assert_true(restarts > 10);
	assert_true(chunks_wanted > 0);
	assert_int_equal(B->tot_pages, 700);
	for (unsigned i = 0; i < 700; i++)
		assert_int_equal(p2m_lookup(B, 1000 + i).type, P2M_RAM);
	preempt_every = 0;

	/* Not in order: no chunk. All of one, or nothing. */
	r.nr_extents = 512;
	chunks_wanted = 0;
	for (unsigned i = 0; i < 512; i++)
		gfns[i] = 512 + (i ^ 1);
	assert_int_equal(MEM(XENMEM_populate_physmap, r), 512);
	assert_int_equal(chunks_wanted, 0);
	for (unsigned i = 0; i < 512; i++)
		gfns[i] = i;
	B->tot_pages = 0;
	B->max_pages = 511;
	assert_int_equal(MEM(XENMEM_populate_physmap, r), 0);
	assert_int_equal(chunks_wanted, 1);
	assert_int_equal(p2m_lookup(B, 0).type, P2M_NONE);
	/* A list that has changed since the call began, or was none to begin with. */
	gfns[1] = 7;
	B->max_pages = 2000;
	assert_int_equal(MEM(XENMEM_populate_physmap | 300UL << 32, r), 512);
	A->control = false;
}

static void test_physmap(void **state)
{
	struct xen_add_to_physmap x = { .domid = DOMID_SELF, .space = XENMAPSPACE_shared_info };
	struct xen_remove_from_physmap rm = { .domid = DOMID_SELF, .gpfn = 21 };
	unsigned restarts, i, before;
	mfn_t ram = mock_ram(A, 30);
	xen_ulong_t idxs[10];
	xen_pfn_t gpfns[10];
	int errs[10];
	struct xen_add_to_physmap_batch b = { .domid = DOMID_SELF, .size = 10,
					      .space = XENMAPSPACE_grant_table };
	struct gnttab_setup_table t = { .dom = DOMID_SELF, .nr_frames = 4 };

	(void)state;
	x.gpfn = 20;
	assert_int_equal(MEM(XENMEM_add_to_physmap, x), 0);
	assert_int_equal(p2m_lookup(A, 20).type, P2M_SHARED);
	x.gpfn = 21;
	assert_int_equal(MEM(XENMEM_add_to_physmap, x), 0);
	assert_int_equal(p2m_lookup(A, 20).type, P2M_NONE);
	assert_int_equal(p2m_lookup(A, 21).mfn, virt_to_mfn(A->shared_info));
	x.idx = 1;
	assert_int_equal(MEM(XENMEM_add_to_physmap, x), -EINVAL);
	assert_int_equal(MEM(XENMEM_remove_from_physmap, rm), 0);
	assert_int_equal(MEM(XENMEM_remove_from_physmap, rm), -ENOENT);

	/* A page of RAM moves; the page that was there is freed. */
	mock_ram(A, 31);
	before = mock_pages_in_use();
	x = (struct xen_add_to_physmap){ .domid = DOMID_SELF, .space = XENMAPSPACE_gmfn,
					 .idx = 30, .gpfn = 31 };
	assert_int_equal(MEM(XENMEM_add_to_physmap, x), 0);
	assert_int_equal(p2m_lookup(A, 30).type, P2M_NONE);
	assert_int_equal(p2m_lookup(A, 31).mfn, ram);
	assert_int_equal(mock_pages_in_use(), before - 1);
	assert_int_equal(MEM(XENMEM_add_to_physmap, x), -EINVAL);
	/* There is no destination: the page stays. */
	x.idx = 31;
	x.gpfn = MOCK_GFNS;
	assert_int_equal(MEM(XENMEM_add_to_physmap, x), -EINVAL);
	assert_int_equal(p2m_lookup(A, 31).mfn, ram);
	x.space = XENMAPSPACE_gmfn_foreign;
	assert_int_equal(MEM(XENMEM_add_to_physmap, x), -ENOSYS);
	x.domid = 2;
	x.space = XENMAPSPACE_gmfn;
	assert_int_equal(MEM(XENMEM_add_to_physmap, x), -EPERM);
	x.domid = 77;
	assert_int_equal(MEM(XENMEM_add_to_physmap, x), -ESRCH);

	b.idxs.p = idxs;
	b.gpfns.p = gpfns;
	b.errs.p = errs;
	for (i = 0; i < 10; i++) {
		idxs[i] = i == 9 ? GRANT_MAX_FRAMES : 9 - i;
		gpfns[i] = 100 + i;
		errs[i] = 99;
	}
	preempt_every = 3;
	assert_int_equal(call_counted(__HYPERVISOR_memory_op, XENMEM_add_to_physmap_batch, P(b), 0,
				      &restarts),
			 0);
	assert_int_equal(restarts, 3);
	for (i = 0; i < 9; i++)
		assert_int_equal(errs[i], 0);
	assert_int_equal(errs[9], -EINVAL);
	assert_int_equal(grant_nr_frames(A), 10);
	t.frame_list.p = gpfns;
	assert_int_equal(call(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, P(t), 1), 0);
	assert_int_equal(t.status, GNTST_okay);
	assert_true(gpfns[0] == ~0UL); /* index 0 is not mapped */
	assert_int_equal(gpfns[1], 108);
	assert_int_equal(gpfns[3], 106);
	b.space = XENMAPSPACE_gmfn_range;
	assert_int_equal(MEM(XENMEM_add_to_physmap_batch, b), -EOPNOTSUPP);
	b.space = XENMAPSPACE_grant_table;
	assert_int_equal(MEM(XENMEM_add_to_physmap_batch | 11UL << 6, b), -EILSEQ);
	b.idxs.p = (void *)BAD_PTR;
	assert_int_equal(MEM(XENMEM_add_to_physmap_batch, b), -EFAULT);
}

/* A control domain maps Margay's trace rings: foreign pages of DOMID_XEN, read-only. */
static void test_map_ring(void **state)
{
	xen_ulong_t idx;
	xen_pfn_t gpfn = 50;
	mfn_t mfn;
	u32 refs;
	int err = 99;
	struct xen_remove_from_physmap rm = { .domid = DOMID_SELF, .gpfn = 50 };
	struct xen_add_to_physmap_batch b = { .domid = DOMID_SELF,
					      .space = XENMAPSPACE_gmfn_foreign,
					      .size = 1,
					      .u.foreign_domid = DOMID_XEN };

	(void)state;
	idx = ring_page = 777;
	b.idxs.p = &idx;
	b.gpfns.p = &gpfn;
	b.errs.p = &err;
	assert_int_equal(MEM(XENMEM_add_to_physmap_batch, b), 0);
	assert_int_equal(err, -EPERM);
	A->control = true;
	assert_int_equal(MEM(XENMEM_add_to_physmap_batch, b), 0);
	assert_int_equal(err, 0);
	assert_int_equal(p2m_lookup(A, 50).type, P2M_SHARED_RO);
	assert_int_equal(p2m_lookup(A, 50).mfn, ring_page);
	idx++;
	assert_int_equal(MEM(XENMEM_add_to_physmap_batch, b), 0);
	assert_int_equal(err, -EINVAL);
	idx--;
	b.u.foreign_domid = 2;
	assert_int_equal(MEM(XENMEM_add_to_physmap_batch, b), 0);
	assert_int_equal(err, -EINVAL);	/* B has nothing there */
	mfn = mock_ram(B, 777);
	assert_int_equal(MEM(XENMEM_add_to_physmap_batch, b), 0);
	assert_int_equal(err, 0);
	assert_int_equal(p2m_lookup(A, 50).type, P2M_FOREIGN);
	assert_int_equal(mock_page_refs(mfn), 1);
	assert_int_equal(MEM(XENMEM_add_to_physmap_batch, b), 0);
	assert_int_equal(err, -EINVAL);	/* a foreign mapping is not replaced */
	assert_int_equal(mock_page_refs(mfn), 1);
	assert_int_equal(MEM(XENMEM_remove_from_physmap, rm), 0);
	assert_int_equal(p2m_lookup(A, 50).type, P2M_NONE);
	page_put(B, mfn);
	domain_put(B);
	/* The caller itself is no other domain, and keeps its references. */
	refs = A->refs;
	b.u.foreign_domid = A->id;
	assert_int_equal(MEM(XENMEM_add_to_physmap_batch, b), 0);
	assert_int_equal(err, -EINVAL);
	assert_int_equal(A->refs, refs);
	b.u.foreign_domid = 9;
	assert_int_equal(MEM(XENMEM_add_to_physmap_batch, b), 0);
	assert_int_equal(err, -ESRCH);
	A->control = false;
}

/* Memory operations may not remove or replace a grant mapping. */
static void test_grant_mapping_stays(void **state)
{
	struct xen_add_to_physmap x = { .domid = DOMID_SELF, .gpfn = 40 };
	struct xen_remove_from_physmap rm = { .domid = DOMID_SELF, .gpfn = 40 };
	xen_pfn_t gfn = 40;
	struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };
	struct gnttab_map_grant_ref m[20] = { 0 };
	struct gnttab_unmap_grant_ref u = { .host_addr = 40UL << PAGE_SHIFT };
	struct grant_entry_v1 *e;
	unsigned restarts, i;
	mfn_t mfn;

	(void)state;
	grant_frame(B, 0, &mfn);
	e = mfn_to_virt(mfn);
	for (i = 0; i < 3; i++) {
		mock_ram(B, 10 + i);
		e[8 + i] = (struct grant_entry_v1){ GTF_permit_access, 1, 10 + i };
	}
	/* More than a batch. */
	for (i = 0; i < ARRAY_SIZE(m); i++)
		m[i] = (struct gnttab_map_grant_ref){ .host_addr = (40UL + i % 3) << PAGE_SHIFT,
			.flags = GNTMAP_host_map, .ref = 8 + i % 3, .dom = 2, .status = 99 };
	preempt_every = 1;
	assert_int_equal(call_counted(__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, P(m),
				      ARRAY_SIZE(m), &restarts),
			 0);
	assert_int_equal(restarts, 1);
	for (i = 0; i < ARRAY_SIZE(m); i++)
		assert_int_equal(m[i].status, i < 3 ? GNTST_okay : GNTST_general_error);
	preempt_every = 0;
	r.extent_start.p = &gfn;
	assert_int_equal(MEM(XENMEM_populate_physmap, r), 0);
	assert_int_equal(MEM(XENMEM_decrease_reservation, r), 0);
	assert_int_equal(MEM(XENMEM_remove_from_physmap, rm), -ENOENT);
	assert_int_equal(MEM(XENMEM_add_to_physmap, x), -EINVAL);
	x.space = XENMAPSPACE_gmfn;
	mock_ram(A, 30);
	x.idx = 30;
	assert_int_equal(MEM(XENMEM_add_to_physmap, x), -EINVAL);
	x.idx = 40;
	x.gpfn = 50;
	assert_int_equal(MEM(XENMEM_add_to_physmap, x), -EINVAL);
	u.handle = m[0].handle;
	assert_int_equal(call(__HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, P(u), 1), 0);
	assert_int_equal(u.status, GNTST_okay);
	assert_int_equal(call(__HYPERVISOR_grant_table_op, GNTTABOP_transfer, P(u), 1), -ENOSYS);
	assert_int_equal(call(__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, P(m), ~0U),
			 -EINVAL);
	assert_int_equal(call(__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, BAD_PTR, 1),
			 -EFAULT);
	assert_int_equal(call(__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, BAD_PTR, 0), 0);
}

static void test_multicall(void **state)
{
	xen_pfn_t gfns[20];
	struct xen_memory_reservation r = { .nr_extents = 20, .domid = DOMID_SELF };
	struct multicall_entry e[4] = {
		{ .op = __HYPERVISOR_xen_version, .args = { XENVER_version } },
		{ .op = __HYPERVISOR_memory_op, .args = { XENMEM_populate_physmap, P(r) } },
		{ .op = __HYPERVISOR_multicall },
		{ .op = 1UL << 40 },
	};
	unsigned restarts, i;

	(void)state;
	r.extent_start.p = gfns;
	for (i = 0; i < 20; i++)
		gfns[i] = 60 + i;
	preempt_every = 4;
	assert_int_equal(call_counted(__HYPERVISOR_multicall, P(e), 4, 0, &restarts), 0);
	assert_true(restarts >= 4);
	assert_int_equal(e[0].result, 4 << 16 | 17);
	assert_int_equal(e[1].result, 20);
	assert_int_equal(A->tot_pages, 20);
	assert_int_equal((long)e[2].result, -EINVAL);
	assert_int_equal((long)e[3].result, -ENOSYS);
	assert_int_equal(call(__HYPERVISOR_multicall, BAD_PTR, 1, 0), -EFAULT);
	assert_int_equal(call(__HYPERVISOR_multicall, BAD_PTR, 0, 0), 0);
}

static long vcpu_op(unsigned op, unsigned vcpu, u64 arg)
{
	return call(__HYPERVISOR_vcpu_op, op, vcpu, arg);
}

/* Makes a 32-bit kernel's hypercall until it is done; checks that ESI and EDI stay. */
static s32 call_32(u32 nr, u32 a, u32 b, u32 c, unsigned *restarts)
{
	struct regs r = { .rbx = a, .rcx = b, .rdx = c, .rsi = 0x51, .rdi = 0xd1 };
	long ret;

	*restarts = 0;
	while ((ret = hypercall_32(V0, nr, &r)) == HCALL_RESTART && ++*restarts < 1000)
		assert_false((r.rbx | r.rcx | r.rdx) >> 32);
	assert_int_equal(ret, (u32)ret);
	assert_int_equal(r.rsi, 0x51);
	assert_int_equal(r.rdi, 0xd1);
	assert_null(V0->arg64);
	return (s32)ret;
}

static void test_32bit(void **state)
{
	/* In the order of struct xen_memory_reservation, gnttab_setup_table and multicall_entry. */
	struct {
		u32 gfns[20], list[5], reservation[5], setup[4], multi[2][8], poll[4], platform[2];
		struct {
			s32 state;
			u64 entry, time[4];
			u32 end;
		} __packed runstate;
	} *m = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	unsigned restarts, i;

	(void)state;
	assert_true(m != MAP_FAILED);
	for (i = 0; i < 20; i++)
		m->gfns[i] = 60 + i;
	memcpy(m->reservation, (u32[]){ (u32)P(m->gfns[0]), 20, 0, 0, DOMID_SELF }, 20);
	preempt_every = 4;
	assert_int_equal(call_32(__HYPERVISOR_memory_op, XENMEM_populate_physmap,
				 (u32)P(m->reservation), 0, &restarts),
			 20);
	assert_true(restarts >= 4);
	assert_int_equal(A->tot_pages, 20);
	m->reservation[2] = 6;
	assert_int_equal(call_32(__HYPERVISOR_memory_op, XENMEM_populate_physmap,
				 (u32)P(m->reservation), 0, &restarts),
			 0);

	/* The same pages go, by a multicall. */
	m->reservation[2] = 0;
	memcpy(m->multi[0],
	       (u32[]){ __HYPERVISOR_memory_op, 1, XENMEM_decrease_reservation,
			(u32)P(m->reservation) },
	       16);
	memcpy(m->multi[1], (u32[]){ __HYPERVISOR_multicall, 1 }, 8);
	assert_int_equal(call_32(__HYPERVISOR_multicall, (u32)P(m->multi), 2, 0, &restarts), 0);
	assert_int_equal(m->multi[0][1], 20);
	assert_int_equal((s32)m->multi[1][1], -EINVAL);
	assert_int_equal(p2m_lookup(A, 60).type, P2M_NONE);
	assert_int_equal(p2m_lookup(A, 79).type, P2M_NONE);
	preempt_every = 0;

	memcpy(m->setup, (u32[]){ DOMID_SELF, 2, 99, (u32)P(m->list) }, 16);
	m->list[2] = 7;
	assert_int_equal(call_32(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table,
				 (u32)P(m->setup), 1, &restarts),
			 0);
	assert_int_equal(m->setup[2] & 0xffff, GNTST_okay);
	assert_int_equal(m->list[1], ~0U);	/* not mapped */
	assert_int_equal(m->list[2], 7);

	m->runstate.end = m->platform[1] = 7;
	assert_int_equal(call_32(__HYPERVISOR_vcpu_op, VCPUOP_get_runstate_info, 0,
				 (u32)P(m->runstate), &restarts),
			 0);
	assert_int_equal(m->runstate.end, 7);
	assert_int_equal(call_32(__HYPERVISOR_xen_version, XENVER_platform_parameters,
				 (u32)P(m->platform), 0, &restarts),
			 0);
	assert_int_equal(m->platform[1], 7);
	assert_int_equal(call_32(__HYPERVISOR_set_timer_op, 5, 1, 0, &restarts), 0);
	assert_true(set_last == &V0->timer);
	assert_int_equal(call_32(__HYPERVISOR_memory_op, XENMEM_memory_map, BAD_PTR, 0, &restarts),
			 -EFAULT);
	assert_int_equal(call_32(~0U, 0, 0, 0, &restarts), -ENOSYS);
	munmap(m, PAGE_SIZE);
}

static void test_vcpu_info_area(void **state)
{
	struct vcpu_register_vcpu_info a = { .mfn = 10, .offset = 64 };
	mfn_t mfn = mock_ram(A, 10);

	(void)state;
	a.offset = PAGE_SIZE - 56;
	assert_int_equal(vcpu_op(VCPUOP_register_vcpu_info, 0, P(a)), -EINVAL);
	a.offset = 63;
	assert_int_equal(vcpu_op(VCPUOP_register_vcpu_info, 0, P(a)), -EINVAL);
	a.offset = PAGE_SIZE - 64;
	a.mfn = 11;
	assert_int_equal(vcpu_op(VCPUOP_register_vcpu_info, 0, P(a)), -EINVAL);
	a.mfn = 10;
	A->vcpus[1]->state = RUN_BLOCKED;
	assert_int_equal(vcpu_op(VCPUOP_register_vcpu_info, 1, P(a)), -EINVAL);
	assert_int_equal(vcpu_op(VCPUOP_register_vcpu_info, MOCK_VCPUS, P(a)), -ENOENT);
	assert_int_equal(mock_page_refs(mfn), 0);
	assert_int_equal(vcpu_op(VCPUOP_register_vcpu_info, 0, P(a)), 0);
	assert_int_equal(mock_page_refs(mfn), 1);
	assert_ptr_equal(V0->info, (char *)mfn_to_virt(mfn) + PAGE_SIZE - 64);
	assert_int_equal(V0->info->evtchn_upcall_pending, 1);
	assert_int_equal(vcpu_op(VCPUOP_register_vcpu_info, 0, P(a)), -EINVAL);
	/* The guest frees the page, and Margay can still write to it. */
	p2m_unmap(A, 10, ~0U);
	assert_int_equal(page_owner(mfn), 1);
}

static void test_runstate_area(void **state)
{
	struct vcpu_register_runstate_memory_area a = { .addr.p = (41UL << PAGE_SHIFT) - 20 };
	struct vcpu_runstate_info rs, *at;
	mfn_t m0 = mock_ram(A, 40), m1 = mock_ram(A, 41);
	unsigned i;

	(void)state;
	V0->runstate = (struct vcpu_runstate_info){ 1, 0x1122334455667788, { 1, 2, 3, 4 } };
	assert_int_equal(vcpu_op(VCPUOP_register_runstate_memory_area, 0, P(a)), 0);
	for (i = 0; i < 2; i++) {
		memcpy(&rs, (char *)mfn_to_virt(m0) + PAGE_SIZE - 20, 20);
		memcpy((char *)&rs + 20, mfn_to_virt(m1), sizeof(rs) - 20);
		assert_memory_equal(&rs, &V0->runstate, sizeof(rs));
		assert_int_equal(call(__HYPERVISOR_vm_assist, VMASST_CMD_enable,
				      VMASST_TYPE_runstate_update_flag, 0),
				 0);
		V0->runstate.time[3] = 99;
		runstate_update(V0);
	}
	assert_int_equal(mock_page_refs(m0) + mock_page_refs(m1), 2);
	a.addr.p = 40UL << PAGE_SHIFT;
	assert_int_equal(vcpu_op(VCPUOP_register_runstate_memory_area, 0, P(a)), 0);
	assert_int_equal(mock_page_refs(m0), 1);
	assert_int_equal(mock_page_refs(m1), 0);
	at = mfn_to_virt(m0);
	assert_int_equal(at->time[3], 99);
	a.addr.p = 90UL << PAGE_SHIFT;
	assert_int_equal(vcpu_op(VCPUOP_register_runstate_memory_area, 0, P(a)), -EFAULT);
	a.addr.p = (42UL << PAGE_SHIFT) - 20; /* the second page is not mapped */
	assert_int_equal(vcpu_op(VCPUOP_register_runstate_memory_area, 0, P(a)), -EFAULT);
	assert_int_equal(mock_page_refs(m1), 0);
	a.addr.p = ~0UL - 8;
	assert_int_equal(vcpu_op(VCPUOP_register_runstate_memory_area, 0, P(a)), -EINVAL);
	/* The area of another vCPU: only the first time. */
	a.addr.p = 41UL << PAGE_SHIFT;
	assert_int_equal(vcpu_op(VCPUOP_register_runstate_memory_area, 1, P(a)), 0);
	assert_int_equal(vcpu_op(VCPUOP_register_runstate_memory_area, 1, P(a)), -EINVAL);
	a.addr.p = 0;
	assert_int_equal(vcpu_op(VCPUOP_register_runstate_memory_area, 0, P(a)), 0);
	assert_int_equal(mock_page_refs(m0), 0);
	assert_int_equal(mock_page_refs(m1), 1);
	V0->runstate.time[3] = 100;
	runstate_update(V0);
	assert_int_equal(at->time[3], 99);
}

static void test_vcpus(void **state)
{
	struct vcpu_hvm_context ctx = { .mode = VCPU_HVM_MODE_64B };
	struct vcpu_set_singleshot_timer ss = { .timeout_abs_ns = 999,
						.flags = VCPU_SSHOTTMR_future };
	struct vcpu_set_periodic_timer per = { .period_ns = 999999 };

	(void)state;
	assert_int_equal(vcpu_op(VCPUOP_up, 1, 0), -EINVAL);
	ctx.mode = 2;
	assert_int_equal(vcpu_op(VCPUOP_initialise, 1, P(ctx)), -EINVAL);
	ctx.mode = VCPU_HVM_MODE_64B;
	A->vcpus[1]->on_cpu = sipi = true;
	assert_int_equal(vcpu_op(VCPUOP_initialise, 1, P(ctx)), -EEXIST);
	A->vcpus[1]->on_cpu = true;
	A->vcpus[1]->initialised = sipi = false;
	assert_int_equal(vcpu_op(VCPUOP_initialise, 1, P(ctx)), 0);
	assert_int_equal(A->vcpus[1]->holds, 0);
	assert_int_equal(vcpu_op(VCPUOP_initialise, 1, P(ctx)), -EEXIST);
	assert_int_equal(vcpu_op(VCPUOP_is_up, 1, 0), 0);
	assert_int_equal(vcpu_op(VCPUOP_up, 1, 0), 0);
	assert_int_equal(vcpu_op(VCPUOP_is_up, 1, 0), 1);
	assert_int_equal(vcpu_op(VCPUOP_down, 0, 0), 0);
	assert_int_equal(V0->state, RUN_OFFLINE);
	assert_int_equal(shut_down, -1);
	assert_int_equal(vcpu_op(VCPUOP_down, 1, 0), 0); /* the last vCPU */
	assert_int_equal(shut_down, SHUTDOWN_poweroff);

	assert_int_equal(vcpu_op(VCPUOP_set_singleshot_timer, 1, P(ss)), -EINVAL);
	assert_int_equal(vcpu_op(VCPUOP_set_singleshot_timer, 0, P(ss)), -ETIME);
	ss.flags = 0;
	assert_int_equal(vcpu_op(VCPUOP_set_singleshot_timer, 0, P(ss)), 0);
	assert_int_equal(V0->timer.expires, 999);
	assert_int_equal(vcpu_op(VCPUOP_set_periodic_timer, 1, P(per)), -EINVAL);
	per.period_ns = 1000000;
	assert_int_equal(vcpu_op(VCPUOP_set_periodic_timer, 1, P(per)), 0);
	assert_int_equal(A->vcpus[1]->periodic.expires, 1001000);
	assert_int_equal(evtchn_bind_virq(A, VIRQ_TIMER, 1), 1);
	clock_ns = 1001500;
	A->vcpus[1]->periodic.fn(&A->vcpus[1]->periodic);
	assert_true(evtchn_pending(A, 1));
	assert_int_equal(A->vcpus[1]->periodic.expires, 2001000);
	clock_ns = 5001500; /* some ticks were missed */
	A->vcpus[1]->state = RUN_RUNNING;
	A->vcpus[1]->periodic.fn(&A->vcpus[1]->periodic);
	assert_int_equal(A->vcpus[1]->periodic.expires, 6001500);
	/* Not running, with the last tick pending: ticks come slowly until it runs. */
	A->vcpus[1]->state = RUN_BLOCKED;
	clock_ns = 6001500;
	A->vcpus[1]->periodic.fn(&A->vcpus[1]->periodic);
	assert_int_equal(A->vcpus[1]->periodic.expires, 106001500);
	assert_true(A->vcpus[1]->slow_tick);
	vcpu_timers_resume(A->vcpus[1]);
	assert_int_equal(A->vcpus[1]->periodic.expires, 7001500);
	assert_false(A->vcpus[1]->slow_tick);
	assert_int_equal(vcpu_op(VCPUOP_get_physid, 0, P(ss)), -EINVAL);
	assert_int_equal(vcpu_op(77, 0, 0), -ENOSYS);

	assert_int_equal(call(__HYPERVISOR_set_timer_op, 7000000, 0, 0), 0);
	assert_int_equal(V0->timer.expires, 7000000);
	assert_int_equal(call(__HYPERVISOR_set_timer_op, ~0UL, 0, 0), 0);
	assert_int_equal(V0->timer.expires, clock_ns + 100000000);
	assert_int_equal(call(__HYPERVISOR_set_timer_op, 0, 0, 0), 0);
	assert_int_equal(V0->timer.expires, 0);
	clock_ns = 1000;
}

static long sched_op(unsigned op, u64 arg)
{
	return call(__HYPERVISOR_sched_op, op, arg, 0);
}

static void test_sched_op(void **state)
{
	struct sched_watchdog w = { .timeout = 2 };
	struct sched_shutdown s = { .reason = SHUTDOWN_reboot };
	struct sched_remote_shutdown rs = { .domain_id = 2 };
	evtchn_port_t ports[129] = { 0 };
	struct sched_poll p = { .nr_ports = 129, .timeout = 5000 };

	(void)state;
	assert_int_equal(sched_op(SCHEDOP_watchdog, P(w)), 1);
	assert_int_equal(A->watchdog[0].expires, 2000001000);
	assert_int_equal(sched_op(SCHEDOP_watchdog, P(w)), 2);
	assert_int_equal(sched_op(SCHEDOP_watchdog, P(w)), -ENOSPC);
	w = (struct sched_watchdog){ 2, 0 };
	assert_int_equal(sched_op(SCHEDOP_watchdog, P(w)), 0);
	assert_int_equal(A->watchdog[1].expires, 0);
	assert_int_equal(sched_op(SCHEDOP_watchdog, P(w)), -EINVAL);
	w.id = 3;
	assert_int_equal(sched_op(SCHEDOP_watchdog, P(w)), -EINVAL);
	w = (struct sched_watchdog){ 1, 9 };
	assert_int_equal(sched_op(SCHEDOP_watchdog, P(w)), 0);
	A->watchdog[0].fn(&A->watchdog[0]);
	assert_int_equal(shut_down, SHUTDOWN_watchdog);

	p.ports.p = ports;
	assert_int_equal(sched_op(SCHEDOP_poll, P(p)), -EINVAL);
	p.nr_ports = 128;
	ports[127] = EVTCHN_2L_NR_CHANNELS;
	assert_int_equal(sched_op(SCHEDOP_poll, P(p)), -EINVAL);
	assert_int_equal(V0->poll_ports, 0);
	assert_int_equal(evtchn_bind_ipi(A, 0), 1);
	set_bit(1, A->shared_info->evtchn_mask);
	ports[127] = 1;
	mock_clear_events();
	assert_int_equal(sched_op(SCHEDOP_poll, P(p)), 0);
	assert_int_equal(V0->poll_timer.expires, 5000);
	assert_int_equal(mock_wakes[1][0], 0);
	assert_int_equal(evtchn_send(A, 1), 0);
	assert_int_equal(mock_wakes[1][0], 1);
	/* Already pending: the poll is cancelled and no timer is set. */
	mock_wakes[1][0] = 0;
	assert_int_equal(sched_op(SCHEDOP_poll, P(p)), 0);
	assert_int_equal(mock_wakes[1][0], 1);
	assert_int_equal(V0->poll_timer.expires, 0);
	clear_bit(1, A->shared_info->evtchn_pending);
	p.nr_ports = 1;
	assert_int_equal(sched_op(SCHEDOP_poll, P(p)), 0);
	mock_wakes[1][0] = 0;
	V0->poll_timer.fn(&V0->poll_timer);
	V0->poll_timer.fn(&V0->poll_timer);
	assert_int_equal(mock_wakes[1][0], 1);

	V0->info->evtchn_upcall_mask = 1;
	blocked = false;
	assert_int_equal(sched_op(SCHEDOP_block, 0), 0);
	assert_true(blocked);
	assert_int_equal(V0->info->evtchn_upcall_mask, 0);
	assert_int_equal(sched_op(SCHEDOP_remote_shutdown, P(rs)), -EPERM);
	rs.domain_id = DOMID_SELF;
	assert_int_equal(sched_op(SCHEDOP_remote_shutdown, P(rs)), -ESRCH);
	assert_int_equal(sched_op(SCHEDOP_pin_override, P(rs)), -EPERM);
	A->shutdown_code = SHUTDOWN_CODE_NONE;
	assert_int_equal(sched_op(SCHEDOP_shutdown_code, P(s)), 0);
	assert_int_equal(A->shutdown_code, SHUTDOWN_reboot);
	s.reason = SHUTDOWN_crash;
	assert_int_equal(sched_op(SCHEDOP_shutdown_code, P(s)), 0);
	assert_int_equal(A->shutdown_code, SHUTDOWN_reboot);
	assert_int_equal(sched_op(SCHEDOP_shutdown, BAD_PTR), -EFAULT);
	assert_int_equal(sched_op(SCHEDOP_shutdown, P(s)), 0);
	assert_int_equal(shut_down, SHUTDOWN_crash);
	assert_int_equal(sched_op(8, 0), -ENOSYS);
}

static void test_params(void **state)
{
	struct xen_hvm_param p = { .domid = DOMID_SELF, .index = HVM_PARAM_CALLBACK_IRQ };
	struct xen_hvm_evtchn_upcall_vector u = { .vcpu = 1, .vector = 15 };

	(void)state;
	p.value = 2UL << 56 | 0xf3;
	assert_int_equal(call(__HYPERVISOR_hvm_op, HVMOP_set_param, P(p), 0), 0);
	assert_int_equal(A->callback_vector, 0xf3);
	p.value = 1UL << 56;
	assert_int_equal(call(__HYPERVISOR_hvm_op, HVMOP_set_param, P(p), 0), -ENOSYS);
	assert_int_equal(A->callback_vector, 0xf3);
	assert_int_equal(call(__HYPERVISOR_hvm_op, HVMOP_get_param, P(p), 0), 0);
	assert_true(p.value == (2UL << 56 | 0xf3));
	p.index = HVM_NR_PARAMS;
	assert_int_equal(call(__HYPERVISOR_hvm_op, HVMOP_get_param, P(p), 0), -EINVAL);
	p.index = HVM_PARAM_STORE_PFN;
	assert_int_equal(call(__HYPERVISOR_hvm_op, HVMOP_set_param, P(p), 0), -EPERM);
	assert_int_equal(call(__HYPERVISOR_hvm_op, HVMOP_get_param, P(p), 0), 0);
	assert_int_equal(p.value, 0);
	p.index = HVM_PARAM_IDENT_PT;
	assert_int_equal(call(__HYPERVISOR_hvm_op, HVMOP_get_param, P(p), 0), -EPERM);
	p.index = HVM_PARAM_DM_DOMAIN;
	assert_int_equal(call(__HYPERVISOR_hvm_op, HVMOP_get_param, P(p), 0), -ENODATA);
	p.domid = 2;
	assert_int_equal(call(__HYPERVISOR_hvm_op, HVMOP_get_param, P(p), 0), -EPERM);
	p.domid = 99;
	assert_int_equal(call(__HYPERVISOR_hvm_op, HVMOP_get_param, P(p), 0), -ESRCH);
	assert_int_equal(call(__HYPERVISOR_hvm_op, HVMOP_set_evtchn_upcall_vector, P(u), 0),
			 -EINVAL);
	u.vector = 0x40;
	assert_int_equal(call(__HYPERVISOR_hvm_op, HVMOP_set_evtchn_upcall_vector, P(u), 0), 0);
	assert_int_equal(A->vcpus[1]->upcall_vector, 0x40);
	assert_int_equal(call(__HYPERVISOR_vm_assist, VMASST_CMD_enable, 4, 0), -EINVAL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_physdev),
		TEST(test_pirqs),
		TEST(test_dispatch),
		TEST(test_console_io),
		TEST(test_populate),
		TEST(test_populate_chunks),
		TEST(test_build_id),
		TEST(test_32bit),
		TEST(test_physmap),
		TEST(test_multicall),
		TEST(test_grant_mapping_stays),
		TEST(test_map_ring),
		TEST(test_vcpu_info_area), TEST(test_runstate_area), TEST(test_vcpus),
		TEST(test_sched_op),	  TEST(test_params),
	};

	return cmocka_run_group_tests_name("hypercall", tests, NULL, NULL);
}
