/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU's state in Xen's records: a kind each, which the part that has the state fills and loads.
 * xen/arch-x86/hvm/save.h
 */
#pragma once

#include <margay/vcpu.h>

#include <xen/hvm/save.h>

#define VCPU_RECORD_MAX 8192U

struct vcpu_record {
	u16 type;
	bool started;		/* only of a vCPU that has been started */
	u32 least, most;	/* bytes that load() takes */
	/* Fills the record, which is zero. Returns its size; 0: v needs none. */
	u32 (*save)(struct vcpu *v, void *record);
	/* Loads a record of n bytes; zeros follow. -EINVAL: v is as before. */
	int (*load)(struct vcpu *v, const void *record, u32 n);
};

/*
 * In the order of their types, with an end whose save is NULL. v runs on no CPU. The guest's TSC is
 * that of the instant domain.record_tsc.
 */
extern const struct vcpu_record vcpu_records[];
