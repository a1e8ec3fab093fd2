/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Margay's own hypercall, number 55 (__HYPERVISOR_arch_7), for control domains: policies, counters,
 * the trace. The first argument points to a struct margay_op. The result is 0 or a negative Xen
 * errno. All fields are little endian; unused fields are zero.
 */
#ifndef MARGAY_PUBLIC_H
#define MARGAY_PUBLIC_H

#include <stdint.h>

#define MARGAY_HYPERCALL 55
#define MARGAY_INTERFACE 1	/* margay_op.interface; -EACCES if Margay has another */

#define MARGAY_POLICY_LOAD 1	/* u.load */
#define MARGAY_POLICY_UNLOAD 2	/* name; -EBUSY while selected */
#define MARGAY_POLICY_LIST 3	/* u.list by index; -ENOENT after the last */
#define MARGAY_POLICY_SELECT 4	/* name (empty: built-in), u.select */
#define MARGAY_POLICY_SELECTED 5 /* u.select.point and .cpu in; name out; -ENOENT: no such CPU */
#define MARGAY_POLICY_SET 6	/* name, u.set */
#define MARGAY_POLICY_COUNTER 7	/* name, u.counter by index; -ENOENT after the last */
#define MARGAY_STAT 8		/* u.stat; -ENOENT: no such vCPU or CPU, -ESRCH: no such domain */
#define MARGAY_TRACE 9		/* u.trace; -EINVAL: pages */
#define MARGAY_TRACE_RING 10	/* u.ring; -ENOENT: no such CPU, or it never traced */
#define MARGAY_SPECULATION 11	/* u.line by index; -ENOENT after the last */
#define MARGAY_LOG 12		/* u.log */
#define MARGAY_PCI_LIST 13	/* u.pci by index; -ENOENT after the last */
#define MARGAY_PCI_ASSIGN 14	/* u.pci.sbdf and .domain: gives the function to the domain */
/*
 * u.pci.sbdf: takes it from its owner; then it is nobody's. -EAGAIN: the guest was asked for it and
 * has not given it up yet; MARGAY_PCI_FORCE in u.pci.flags does not ask.
 */
#define MARGAY_PCI_REVOKE 15
/*
 * u.bus: gives a domain a PCI bus with empty slots. -EEXIST: it has one; -E2BIG: it has RAM where the
 * bus would be. The caller describes it to the domain: guest_pci.h.
 */
#define MARGAY_PCI_BUS 16
/*
 * u.dedicate: gives each vCPU of the domain a CPU of the set, in their order; an empty set lets Margay
 * choose. -EINVAL: the numbers differ; -ENOENT: no such CPU; -EBUSY: a CPU has an owner, or the domain
 * has CPUs; -EPERM: the housekeeping CPU, or a control domain; -EEXIST: others need a CPU; -ENOSPC: not
 * so many are free; -EXDEV: APIC ids differ (trusted).
 */
#define MARGAY_DEDICATE 17
#define MARGAY_SHARE 18		/* u.dedicate.domain: takes them back */

#define MARGAY_POINT_SCHED 0
#define MARGAY_POINT_IDLE 1
#define MARGAY_POINT_EXIT 2
/* Of the machine: */
#define MARGAY_POINT_PLACE 3
#define MARGAY_POINT_MIGRATE 4

#define MARGAY_ALL_CPUS 0xffffffffU
#define MARGAY_POLICY_ITSELF 0x7ffeU	/* u.set.domain: the policy's own parameter */

#define MARGAY_STAT_MACHINE 0x7ffeU /* u.stat.domain: index is a CPU */
#define MARGAY_STAT_WHOLE \
	0xffffffffU         /* u.stat.index: the domain or machine itself, not a (v)CPU */
#define MARGAY_NONE 0x7fffU /* no domain */

/* MARGAY_STAT writes an array of these. It omits exits and hypercalls that have not happened. */
struct margay_counter {
	char group[12];
	char name[20];
	uint32_t sub;	/* a hypercall's operation (31: this or a larger one); else 0xffffffff */
	uint32_t pad;
	uint64_t value;	/* times in ns, memory in bytes */
};

/* Kinds of trace records, with (a; b). */
#define MARGAY_TRACE_EXIT 0	/* (reason, in the order of exits.def; RIP) */
#define MARGAY_TRACE_ENTRY 1	/* (RIP; 0) */
#define MARGAY_TRACE_HYPERCALL 2 /* (number; first argument) */
#define MARGAY_TRACE_INJECT \
	3 /* (vector, type in bits 10:8: 0 interrupt, 2 NMI, 3 exception; error) */
#define MARGAY_TRACE_SCHED \
	4 /* (new state of v: 0 offline, 1 blocked, 2 waiting, 3 running; number waiting) */
#define MARGAY_TRACE_WAKE 5 /* (0; 0), by this CPU */
#define MARGAY_TRACE_POLICY \
	6 /* (point, CPU in bits 8 and up; serial number of the module, 0: built-in) */
#define MARGAY_TRACE_FAULT \
	7 /* nested page fault (guest physical address; 1 write, 2 fetch, 4 table) */
#define MARGAY_TRACE_EVENTS 8

struct margay_trace {
	uint64_t tsc;
	uint8_t event, pad;
	uint16_t cpu, domain, vcpu;	/* MARGAY_NONE: no domain */
	uint64_t a, b;
};

/*
 * The first page of a CPU's ring. The records follow from the second page on; record n is at index
 * n % records. The ring wraps: after reading, read `written`; records with numbers above written -
 * records are valid.
 */
#define MARGAY_TRACE_VERSION 1U
struct margay_trace_ring {
	uint32_t version, cpu;
	uint64_t written;	/* total number of records written */
	uint32_t records, pad;	/* capacity */
	uint64_t tsc_hz;
};

#define MARGAY_PCI_HIDDEN 1U	/* Margay's own, or broken: nobody gets it */
#define MARGAY_PCI_BRIDGE 2U
#define MARGAY_PCI_RESERVED 4U	/* a boot guest's */
#define MARGAY_NO_NODE 0xffffffffU
#define MARGAY_PCI_FORCE 8U	/* in, to MARGAY_PCI_REVOKE */

struct margay_op {
	uint32_t cmd;
	uint32_t interface;
	char name[32];			/* of a policy; NUL-terminated */
	union {
		struct {
			uint64_t file;		/* address of the module file */
			uint64_t size;		/* bytes */
			uint64_t reason; /* address of 120 bytes for the refusal's reason, or 0 */
		} load;
		struct {
			uint32_t index;		/* in */
			uint32_t points;	/* a bit per MARGAY_POINT_* that it can decide */
			uint8_t digest[32];	/* SHA-256 of its file */
			uint8_t build_id[20];
			uint32_t ejected;	/* 0 or 1 */
			uint64_t selected;	/* number of selections */
			uint64_t memory;	/* bytes */
			char summary[64];
			char why[96];		/* why it was ejected */
		} list;
		struct {
			uint32_t point;
			uint32_t cpu;		/* for MARGAY_POLICY_SELECTED */
			uint64_t cpus[16];	/* a bit per CPU; unused for the machine's points */
		} select;
		struct {
			uint32_t domain;
			uint32_t pad;
			char name[32];
			uint64_t value;
		} set;
		struct {
			uint32_t index;		/* in */
			uint32_t pad;
			char name[32];
			uint64_t value;
		} counter;
		struct {
			uint32_t domain; /* or MARGAY_STAT_MACHINE; sets margay_op.name */
			uint32_t index;		/* of a vCPU or CPU, or MARGAY_STAT_WHOLE */
			uint64_t counters;	/* address of the array */
			uint32_t max;		/* in: size of the array */
			uint32_t nr;		/* out: number of counters, with or without room */
			uint32_t next; /* out: the next higher domain id; MARGAY_NONE: none */
			uint32_t pad;
		} stat;
		struct {
			uint32_t events; /* a bit per MARGAY_TRACE_* to record; out: old value */
			uint32_t pages; /* of a ring: a power of two <= 256, set only once */
		} trace;
		struct {
			uint32_t cpu;		/* in */
			uint32_t pages;		/* including the first */
			uint64_t frame;		/* for XENMAPSPACE_gmfn_foreign of DOMID_XEN */
		} ring;
		struct {
			uint32_t index;		/* in */
			uint32_t pad;
			char text[160];		/* NUL-terminated */
		} line;
		struct {
			uint32_t index;		/* in */
			uint32_t sbdf;		/* segment, bus, device and function: 16, 8, 5, 3 */
			uint32_t domain;	/* owner; MARGAY_NONE: nobody */
			uint32_t seen_at;	/* its address for the owner; ~0: it has none */
			uint16_t vendor, device;
			uint32_t class_code;	/* 24 bits */
			uint32_t group;	/* the lowest sbdf of those not isolated from it */
			uint32_t flags;		/* MARGAY_PCI_* */
			uint64_t interrupts, refused;	/* refused: the owner's writes */
			uint32_t node;		/* MARGAY_NO_NODE: not known */
			uint32_t physfn;	/* of a virtual function; else sbdf again */
		} pci;
		struct {
			uint32_t domain;
			uint32_t pad;
			uint64_t cpus[16];	/* a bit per CPU */
		} dedicate;
		struct {
			uint32_t domain;
			uint32_t pad;
			uint64_t high, high_size;	/* out: for BARs of 64 bits */
		} bus;
		struct {
			/*
			 * In: the number of the first byte to read, counted from Margay's start.
			 * Out: the number of the byte after text. It is more than in + size if the
			 * log does not hold the first bytes any more.
			 */
			uint64_t at;
			uint32_t size;		/* out: bytes in text; 0: nothing new */
			char text[224];
		} log;
	} u;
};

#endif
