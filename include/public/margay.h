/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Margay's own hypercall, number 55 (__HYPERVISOR_arch_7), for control domains: policies. The first
 * argument points to a struct margay_op; the result is 0 or a negative Xen errno. All is 64-bit and little
 * endian; unused fields are zero.
 */
#ifndef MARGAY_PUBLIC_H
#define MARGAY_PUBLIC_H

#include <stdint.h>

#define MARGAY_HYPERCALL 55
#define MARGAY_INTERFACE 1	/* in margay_op.interface; -EACCES when Margay has another */

#define MARGAY_POLICY_LOAD 1	/* u.load */
#define MARGAY_POLICY_UNLOAD 2	/* name; -EBUSY while selected */
#define MARGAY_POLICY_LIST 3	/* u.list by index; -ENOENT after the last */
#define MARGAY_POLICY_SELECT 4	/* name (empty: built-in), u.select */
#define MARGAY_POLICY_SELECTED 5 /* u.select.point and .cpu in; name out; -ENOENT: no such CPU */
#define MARGAY_POLICY_SET 6	/* name, u.set */
#define MARGAY_POLICY_COUNTER 7	/* name, u.counter by index; -ENOENT after the last */

#define MARGAY_POINT_SCHED 0
#define MARGAY_POINT_IDLE 1
#define MARGAY_POINT_EXIT 2
#define MARGAY_POINT_PLACE 3

#define MARGAY_ALL_CPUS 0xffffffffU
#define MARGAY_POLICY_ITSELF 0x7ffeU	/* u.set.domain: no domain's, the policy's own parameter */

struct margay_op {
	uint32_t cmd;
	uint32_t interface;
	char name[32];			/* of a policy; ends with a NUL */
	union {
		struct {
			uint64_t file;		/* address of the module file */
			uint64_t size;		/* bytes */
			uint64_t reason; /* address of 120 bytes for a refusal's reason, or 0 */
		} load;
		struct {
			uint32_t index;		/* in */
			uint32_t points;	/* a bit per MARGAY_POINT_* that it decides */
			uint8_t digest[32];	/* SHA-256 of its file */
			uint8_t build_id[20];
			uint32_t ejected;	/* 0 or 1 */
			uint64_t selected;	/* times */
			uint64_t memory;	/* bytes */
			char summary[64];
			char why[96];		/* it was ejected */
		} list;
		struct {
			uint32_t point;
			uint32_t cpu;		/* for MARGAY_POLICY_SELECTED */
			uint64_t cpus[4];	/* a bit each; not for MARGAY_POINT_PLACE */
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
	} u;
};

#endif
