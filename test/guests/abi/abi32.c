/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: hypercalls of 32-bit code, from protected mode without paging and from a 32-bit segment
 * in long mode, and the 32-bit layout of shared_info. The checks themselves are 64-bit code.
 */
#include "guest.h"

#include <xen/foreign/x86_32.h>

#define SLEEP	(20 * NS_PER_MS)
#define HYPERCALL_MSR	cpuid(xen_leaf + 2, 0).b
#define SHARED32	((volatile struct shared_info_x86_32 *)shared_info)
#define INFO32	(&SHARED32->vcpu_info[0])

/* Registers of the 32-bit code; leave: it switches paging off. */
struct regs32 {
	uint32_t entry, eax, ebx, ecx, edx, leave;
};

void call32(struct regs32 *r);
extern char wrmsr32[];

/*
 * Calls r->entry in 32-bit code. Without paging the identity mapping is the same. The upper halves
 * of the registers are lost.
 */
asm(".text\n"
    "call32:\n"
    "	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "	pushfq; cli\n"
    "	mov %rsp, sp32\n"
    "	push $0x08; lea 1f(%rip), %rax; push %rax; lretq\n"
    ".code32\n"
    "1:	mov $0x18, %eax; mov %eax, %ss; mov %eax, %ds; mov %eax, %es\n"
    "	mov %edi, %ebp\n"
    "	mov %cr0, %eax; mov %eax, cr032\n"
    "	cmpl $0, 20(%ebp); je 2f\n"
    "	and $0x7fffffff, %eax; mov %eax, %cr0\n"
    "	mov $0xc0000080, %ecx; rdmsr; and $~0x100, %eax; wrmsr\n"
    "2:	mov 4(%ebp), %eax; mov 8(%ebp), %ebx; mov 12(%ebp), %ecx; mov 16(%ebp), %edx\n"
    "	xor %esi, %esi; xor %edi, %edi\n"
    "	call *(%ebp)\n"
    "	mov %eax, 4(%ebp); mov %ebx, 8(%ebp); mov %ecx, 12(%ebp); mov %edx, 16(%ebp)\n"
    "	cmpl $0, 20(%ebp); je 3f\n"
    "	mov $0xc0000080, %ecx; rdmsr; or $0x100, %eax; wrmsr\n"
    "	mov cr032, %eax; mov %eax, %cr0\n"
    "3:	ljmp $0x10, $4f\n"
    "wrmsr32: wrmsr; ret\n"
    ".code64\n"
    "4:	mov sp32, %rsp\n"
    "	popfq; pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "	ret\n"
    ".lcomm sp32, 8\n"
    ".lcomm cr032, 8\n");

#define ADDR(p)	((uint32_t)(uintptr_t)(p))

static uint32_t leave;	/* paging off in the calls */

static int32_t hypercall32(unsigned int nr, uint32_t a, uint32_t b, uint32_t c)
{
	struct regs32 r = { ADDR(hypercall_page + nr * 32), 0, a, b, c, leave };

	call32(&r);
	return (int32_t)r.eax;
}

static void set_page32(void)
{
	struct regs32 r = { ADDR(wrmsr32), ADDR(hypercall_page), 0, HYPERCALL_MSR, 0, leave };

	call32(&r);
}

#define CALL(nr, op, arg) hypercall32(__HYPERVISOR_##nr, (uint32_t)(op), ADDR(arg), 0)

static void check_version(void)
{
	struct xen_feature_info fi = { .submap_idx = 0 }, fi64 = fi;
	uint32_t platform[2] = { 1, 0x5a5a5a5a };
	char extra[XEN_EXTRAVERSION_LEN], extra64[XEN_EXTRAVERSION_LEN];

	CHECK_RET(CALL(xen_version, XENVER_version, 0), xen_version(XENVER_version, NULL));
	CHECK_RET(CALL(xen_version, XENVER_get_features, &fi), 0);
	CHECK_RET(xen_version(XENVER_get_features, &fi64), 0);
	CHECK(fi.submap == fi64.submap, "features %x, %x", fi.submap, fi64.submap);
	CHECK_RET(CALL(xen_version, XENVER_extraversion, extra), 0);
	CHECK_RET(xen_version(XENVER_extraversion, extra64), 0);
	CHECK(!memcmp(extra, extra64, sizeof(extra)), "extraversion %s, %s", extra, extra64);
	CHECK_RET(CALL(xen_version, XENVER_platform_parameters, platform), 0);
	CHECK(!platform[0] && platform[1] == 0x5a5a5a5a, "platform parameters %x %x", platform[0],
	      platform[1]);
	CHECK_RET(CALL(xen_version, XENVER_pagesize, 0), 4096);
	CHECK_RET(CALL(xen_version, 99, 0), -XEN_ENOSYS);
	CHECK_RET(hypercall32(60, 0, 0, 0), -XEN_ENOSYS);
}

/* The clock and the selector are where the layout has them. */
static void check_layout(void)
{
	long port = evtchn_bind_ipi(0), low = evtchn_alloc_unbound(DOMID_SELF);
	evtchn_port_t p = (evtchn_port_t)port;
	uint64_t sec = SHARED32->wc_sec | (uint64_t)SHARED32->arch.wc_sec_hi << 32;

	CHECK(SHARED32->wc_version && !(SHARED32->wc_version & 1), "wc_version %u",
	      SHARED32->wc_version);
	CHECK(sec > 900000000ul && sec < 20000000000ul && SHARED32->wc_nsec < NS_PER_S,
	      "wall clock %lu.%u", sec, SHARED32->wc_nsec);
	CHECK(port > 0 && low > 0, "ports %ld, %ld", port, low);

	memset((void *)SHARED32->evtchn_mask, 0xff, sizeof(SHARED32->evtchn_mask));
	INFO32->evtchn_pending_sel = 0;
	INFO32->evtchn_upcall_pending = 0;
	CHECK_RET(CALL(event_channel_op, EVTCHNOP_send, &p), 0);
	CHECK(SHARED32->evtchn_pending[p / 32] == 1u << p % 32, "pending %x",
	      SHARED32->evtchn_pending[p / 32]);
	CHECK(!INFO32->evtchn_upcall_pending && !INFO32->evtchn_pending_sel, "a masked port");
	CHECK_RET(CALL(event_channel_op, EVTCHNOP_unmask, &p), 0);
	CHECK(!(SHARED32->evtchn_mask[p / 32] & 1u << p % 32), "still masked");
	CHECK(INFO32->evtchn_upcall_pending && INFO32->evtchn_pending_sel == 1u << p / 32,
	      "no event: %u, %x", INFO32->evtchn_upcall_pending, INFO32->evtchn_pending_sel);

	/* Unmasked in advance. */
	INFO32->evtchn_pending_sel = 0;
	INFO32->evtchn_upcall_pending = 0;
	SHARED32->evtchn_pending[p / 32] = 0;
	CHECK_RET(CALL(event_channel_op, EVTCHNOP_send, &p), 0);
	CHECK(INFO32->evtchn_upcall_pending && INFO32->evtchn_pending_sel == 1u << p / 32,
	      "no second event: %u, %x", INFO32->evtchn_upcall_pending, INFO32->evtchn_pending_sel);
	SHARED32->evtchn_pending[p / 32] = 0;
	INFO32->evtchn_pending_sel = 0;
	INFO32->evtchn_upcall_pending = 0;
	CHECK_RET(CALL(event_channel_op, EVTCHNOP_close, &p), 0);
	p = (evtchn_port_t)low;
	CHECK_RET(CALL(event_channel_op, EVTCHNOP_close, &p), 0);
}

/* A port above 32 selects another word than in the 64-bit layout. */
static void check_ports(void)
{
	struct evtchn_bind_ipi ipi = { .vcpu = 0 };
	struct evtchn_status st = { .dom = DOMID_SELF };
	uint32_t first, n;

	CHECK_RET(CALL(event_channel_op, EVTCHNOP_bind_ipi, &ipi), 0);
	for (first = ipi.port; ipi.port < 40;)
		CHECK_RET(CALL(event_channel_op, EVTCHNOP_bind_ipi, &ipi), 0);
	SHARED32->evtchn_mask[1] = 0;
	CHECK_RET(CALL(event_channel_op, EVTCHNOP_send, &ipi.port), 0);
	CHECK(INFO32->evtchn_pending_sel == 2, "selector %x", INFO32->evtchn_pending_sel);
	SHARED32->evtchn_pending[1] = 0;
	SHARED32->evtchn_mask[1] = ~0u;
	INFO32->evtchn_pending_sel = 0;
	INFO32->evtchn_upcall_pending = 0;
	st.port = ipi.port;
	CHECK_RET(CALL(event_channel_op, EVTCHNOP_status, &st), 0);
	CHECK(st.status == EVTCHNSTAT_ipi, "status %u", st.status);

	/* Until none is left: there are 1024. */
	for (n = ipi.port; event_channel_op(EVTCHNOP_bind_ipi, &ipi) == 0; n = ipi.port)
		;
	CHECK(n == 1023, "the last port is %u", n);
	for (; n >= first; n--)
		CHECK_RET(CALL(event_channel_op, EVTCHNOP_close, &n), 0);
}

struct memory_map32 {
	uint32_t nr_entries, buffer;
};

struct reservation32 {
	uint32_t extent_start, nr_extents, extent_order, mem_flags, domid;
};

struct physmap32 {
	uint16_t domid, size;
	uint32_t space, idx, gpfn;
};

struct physmap_batch32 {
	uint16_t domid, space, size, foreign;
	uint32_t idxs, gpfns, errs;
};

struct remove32 {
	uint32_t domid, gpfn;
};

static void check_memory(void)
{
	static struct e820_entry e820[3];
	static uint32_t pfns[3], idxs[2];
	static int errs[2];
	struct memory_map32 map = { 2, ADDR(e820) };
	uint8_t *pages = page_alloc(2);
	uintptr_t hole = hole_alloc(2);
	struct reservation32 r = { ADDR(pfns), 2, 0, 0, DOMID_SELF };
	struct physmap32 add = { DOMID_SELF, 0, XENMAPSPACE_gmfn, ADDR(pages) >> PAGE_SHIFT,
				 ADDR(hole) >> PAGE_SHIFT };
	struct physmap_batch32 batch = { DOMID_SELF, XENMAPSPACE_gmfn, 2,	   0,
					 ADDR(idxs), ADDR(pfns),	ADDR(errs) };
	struct remove32 rm = { DOMID_SELF, ADDR(hole) >> PAGE_SHIFT };
	uint32_t self = DOMID_SELF;

	CHECK_RET(CALL(memory_op, XENMEM_memory_map, &map), 0);
	CHECK(map.nr_entries == 2 && map.buffer == ADDR(e820), "map of %u", map.nr_entries);
	CHECK(e820[0].size && e820[1].size && !e820[2].size, "wrong entries");
	CHECK_RET(CALL(memory_op, XENMEM_current_reservation, &self),
		  memory_op(XENMEM_current_reservation, &self));

	/* A page moves and comes back in a list. */
	memcpy((char *)pages, "first", sizeof("first"));
	memcpy((char *)pages + PAGE_SIZE, "second", sizeof("second"));
	CHECK_RET(CALL(memory_op, XENMEM_add_to_physmap, &add), 0);
	CHECK(!memcmp((char *)hole, "first", sizeof("first")), "the page has not moved");
	idxs[0] = ADDR(hole) >> PAGE_SHIFT;
	idxs[1] = (ADDR(pages) >> PAGE_SHIFT) + 1;
	pfns[0] = ADDR(pages) >> PAGE_SHIFT;
	pfns[1] = (ADDR(hole) >> PAGE_SHIFT) + 1;
	pfns[2] = 0x5a5a5a5a;
	errs[0] = errs[1] = 1;
	CHECK_RET(CALL(memory_op, XENMEM_add_to_physmap_batch, &batch), 0);
	CHECK(!errs[0] && !errs[1], "errors %d, %d", errs[0], errs[1]);
	CHECK(!memcmp((char *)pages, "first", sizeof("first")) &&
		      !memcmp((char *)hole + PAGE_SIZE, "second", sizeof("second")),
	      "the pages have not moved");

	/* Pages go and come. */
	rm.gpfn++;
	CHECK_RET(CALL(memory_op, XENMEM_remove_from_physmap, &rm), 0);
	pfns[0] = ADDR(pages) >> PAGE_SHIFT;
	r.nr_extents = 1;
	CHECK_RET(CALL(memory_op, XENMEM_decrease_reservation, &r), 1);
	pfns[1] = pfns[0] + 1;
	r.nr_extents = 2;
	CHECK_RET(CALL(memory_op, XENMEM_populate_physmap, &r), 2);
	memcpy((char *)pages + PAGE_SIZE, "again", sizeof("again"));
	/* The other one may be the page that was just given back: Xen does not clear it. */
	CHECK(!memcmp((char *)pages + PAGE_SIZE, "again", sizeof("again")), "no new page");
}

static void check_params(void)
{
	struct xen_hvm_param p = { .domid = DOMID_SELF, .index = HVM_PARAM_VM_GENERATION_ID_ADDR };

	p.value = 0x123456789abcdef0;
	CHECK_RET(CALL(hvm_op, HVMOP_set_param, &p), 0);
	p.value = 0;
	CHECK_RET(CALL(hvm_op, HVMOP_get_param, &p), 0);
	CHECK(p.value == 0x123456789abcdef0, "parameter %lx", p.value);
	p.index = HVM_NR_PARAMS;
	CHECK_RET(CALL(hvm_op, HVMOP_get_param, &p), -XEN_EINVAL);
	CHECK_RET(CALL(vm_assist, VMASST_CMD_enable, VMASST_TYPE_runstate_update_flag), 0);
	CHECK_RET(CALL(vm_assist, VMASST_CMD_disable, VMASST_TYPE_runstate_update_flag), 0);
}

struct copy32 {
	struct {
		uint32_t frame;
		uint16_t domid, offset;
	} source, dest;
	uint16_t len, flags;
	int16_t status, pad;
};

struct setup_table32 {
	uint16_t dom, pad;
	uint32_t nr_frames;
	int16_t status, pad2;
	uint32_t frame_list;
};

static void check_grants(void)
{
	static uint32_t frames[2];
	uint8_t *pages = page_alloc(2);
	struct gnttab_query_size q = { .dom = DOMID_SELF, .status = 1 };
	struct setup_table32 setup = { DOMID_SELF, 0, 1, 1, 0, ADDR(frames) };
	struct gnttab_set_version version = { .version = 1 };
	struct physmap32 add = { DOMID_SELF, 0, XENMAPSPACE_grant_table, 0,
				 ADDR(hole_alloc(1)) >> PAGE_SHIFT };
	struct copy32 copies[3];

	CHECK_RET(hypercall32(__HYPERVISOR_grant_table_op, GNTTABOP_query_size, ADDR(&q), 1), 0);
	CHECK(!q.status && q.max_nr_frames, "status %d", q.status);
	CHECK_RET(CALL(memory_op, XENMEM_add_to_physmap, &add), 0);
	frames[1] = 0x5a5a5a5a;
	CHECK_RET(hypercall32(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, ADDR(&setup), 1),
		  0);
	CHECK(!setup.status && setup.frame_list == ADDR(frames), "status %d", setup.status);
	CHECK(frames[0] == add.gpfn && frames[1] == 0x5a5a5a5a, "frame list %x, %x", frames[0],
	      frames[1]);
	CHECK_RET(hypercall32(__HYPERVISOR_grant_table_op, GNTTABOP_set_version, ADDR(&version), 1),
		  0);

	for (unsigned int i = 0; i < 3; i++) {
		memset(&copies[i], 0, sizeof(copies[i]));
		copies[i].source.frame = ADDR(pages) >> PAGE_SHIFT;
		copies[i].dest.frame = copies[i].source.frame + 1;
		copies[i].source.domid = copies[i].dest.domid = DOMID_SELF;
		copies[i].source.offset = (uint16_t)(16 * i);
		copies[i].dest.offset = (uint16_t)(64 * i);
		copies[i].len = 16;
		copies[i].status = 99;
		pages[16 * i] = (uint8_t)(i + 1);
	}
	copies[1].len = 8192;
	CHECK_RET(hypercall32(__HYPERVISOR_grant_table_op, GNTTABOP_copy, ADDR(copies), 3), 0);
	CHECK(!copies[0].status && copies[1].status == GNTST_bad_copy_arg && !copies[2].status,
	      "status %d %d %d", copies[0].status, copies[1].status, copies[2].status);
	CHECK(pages[PAGE_SIZE] == 1 && !pages[PAGE_SIZE + 64] && pages[PAGE_SIZE + 128] == 3,
	      "not copied");
	CHECK_RET(hypercall32(__HYPERVISOR_grant_table_op, GNTTABOP_copy, ADDR(copies), ~0u),
		  -XEN_EINVAL);
}

struct poll32 {
	uint32_t ports, nr_ports;
	uint64_t timeout;
} __attribute__((packed));

struct singleshot32 {
	uint64_t at;
	uint32_t flags;
} __attribute__((packed));

static uint64_t clock32(void)
{
	return pvclock_ns(&shared_info->vcpu_info[0].time);
}

static void check_time(void)
{
	struct evtchn_bind_virq virq = { .virq = VIRQ_TIMER };
	uint64_t start = clock32(), at;
	struct poll32 p = { 0, 0, start + SLEEP };
	struct singleshot32 shot = { 0, 0 };
	uint64_t took;

	CHECK_RET(CALL(sched_op, SCHEDOP_yield, 0), 0);
	CHECK_RET(CALL(sched_op, SCHEDOP_poll, &p), 0);
	took = clock32() - start;
	CHECK(took >= SLEEP && took < 100 * SLEEP, "poll slept %lu us", took / 1000);

	CHECK_RET(CALL(event_channel_op, EVTCHNOP_bind_virq, &virq), 0);
	p.ports = ADDR(&virq.port);
	p.nr_ports = 1;
	for (unsigned int i = 0; i < 2; i++) {
		start = clock32();
		at = start + SLEEP;
		p.timeout = start + 100 * SLEEP;
		shot.at = at;
		if (i)
			CHECK_RET(hypercall32(__HYPERVISOR_set_timer_op, (uint32_t)at,
					      (uint32_t)(at >> 32), 0),
				  0);
		else
			CHECK_RET(hypercall32(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0,
					      ADDR(&shot)),
				  0);
		CHECK_RET(CALL(sched_op, SCHEDOP_poll, &p), 0);
		took = clock32() - start;
		CHECK(SHARED32->evtchn_pending[virq.port / 32] & 1u << virq.port % 32,
		      "no timer in %lu us", took / 1000);
		CHECK(took >= SLEEP && took < 100 * SLEEP, "the timer took %lu us", took / 1000);
		SHARED32->evtchn_pending[virq.port / 32] = 0;
	}
	/* The upper half counts. */
	at = clock32() + (10ul << 32);
	CHECK_RET(hypercall32(__HYPERVISOR_set_timer_op, (uint32_t)at, (uint32_t)(at >> 32), 0), 0);
	p.timeout = clock32() + SLEEP;
	CHECK_RET(CALL(sched_op, SCHEDOP_poll, &p), 0);
	CHECK(!SHARED32->evtchn_pending[virq.port / 32], "a timer of 43 s has expired");
	CHECK_RET(hypercall32(__HYPERVISOR_set_timer_op, 0, 0, 0), 0);
	CHECK_RET(CALL(event_channel_op, EVTCHNOP_close, &virq.port), 0);
}

struct runstate32 {
	int32_t state;
	uint64_t entry, time[4];
	uint32_t end;
} __attribute__((packed));

static void check_runstate(const struct runstate32 *rs)
{
	uint64_t total = rs->time[0] + rs->time[1] + rs->time[2] + rs->time[3];

	CHECK(rs->state == RUNSTATE_running && rs->end == 0x5a5a5a5a, "state %d, end %x", rs->state,
	      rs->end);
	CHECK(rs->entry && rs->entry <= clock32() && rs->time[0] && total < 1000 * NS_PER_S,
	      "entered at %lu, times %lu", rs->entry, total);
}

static void check_vcpu(void)
{
	static struct runstate32 rs, area;
	uint32_t reg = ADDR(&area), none = 0;
	struct poll32 p = { 0, 0, clock32() + SLEEP };

	rs.end = area.end = 0x5a5a5a5a;
	CHECK_RET(hypercall32(__HYPERVISOR_vcpu_op, VCPUOP_is_up, 0, 0), 1);
	CHECK_RET(hypercall32(__HYPERVISOR_vcpu_op, VCPUOP_is_up, 77, 0), -XEN_ENOENT);
	CHECK_RET(hypercall32(__HYPERVISOR_vcpu_op, VCPUOP_get_runstate_info, 0, ADDR(&rs)), 0);
	check_runstate(&rs);
	CHECK_RET(hypercall32(__HYPERVISOR_vcpu_op, VCPUOP_register_runstate_memory_area, 0,
			      ADDR(&reg)),
		  0);
	check_runstate(&area);
	CHECK_RET(CALL(sched_op, SCHEDOP_poll, &p), 0);
	check_runstate(&area);
	CHECK(area.time[RUNSTATE_blocked] - rs.time[RUNSTATE_blocked] >= SLEEP / 2,
	      "blocked %lu, %lu", area.time[RUNSTATE_blocked], rs.time[RUNSTATE_blocked]);
	CHECK_RET(hypercall32(__HYPERVISOR_vcpu_op, VCPUOP_register_runstate_memory_area, 0,
			      ADDR(&none)),
		  0);
}

struct multicall32 {
	uint32_t op;
	int32_t result;
	uint32_t args[6];
};

static void check_multicall(void)
{
	static struct e820_entry e820[2];
	struct memory_map32 map = { 1, ADDR(e820) };
	struct multicall32 list[4] = {
		{ __HYPERVISOR_xen_version, -1, { XENVER_version } },
		{ __HYPERVISOR_memory_op, -1, { XENMEM_memory_map, ADDR(&map) } },
		{ 60, -1, { 0 } },
		{ __HYPERVISOR_xen_version, -1, { XENVER_pagesize } },
	};

	CHECK_RET(hypercall32(__HYPERVISOR_multicall, ADDR(list), 3, 0), 0);
	CHECK(list[0].result == xen_version(XENVER_version, NULL), "version %x", list[0].result);
	CHECK(!list[1].result && map.nr_entries == 1 && e820[0].size, "map %d", list[1].result);
	CHECK(list[2].result == -XEN_ENOSYS, "unknown call: %d", list[2].result);
	CHECK(list[3].result == -1, "one call too many");
}

int main(void)
{
	static char line[] = "a line of 32-bit code\n";

	CHECK(shared_info->wc_version && shared_info->wc_sec, "no wall clock at the start");
	for (leave = 0; leave < cmdline_number("modes", 2); leave++) {
		set_page32();
		check_version();
		check_layout();
		check_ports();
		check_memory();
		check_params();
		check_grants();
		check_time();
		check_vcpu();
		check_multicall();
		CHECK_RET(hypercall32(__HYPERVISOR_console_io, CONSOLEIO_write, sizeof(line) - 1,
				      ADDR(line)),
			  0);
	}
	/* The kernel that a boot loader starts. */
	wrmsr(HYPERCALL_MSR, (uintptr_t)hypercall_page);
	CHECK(shared_info->wc_version && !(shared_info->wc_version & 1) &&
		      shared_info->wc_sec > 900000000,
	      "no wall clock at the end: %u", shared_info->wc_sec);
	pass();
}
