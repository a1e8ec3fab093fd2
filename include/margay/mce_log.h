/* SPDX-License-Identifier: BSD-2-Clause */
/* Errors of the machine, kept until the control domain has read them. common/mce_log.c */
#pragma once

#include <margay/types.h>

/* An error as a machine-check bank reports it. */
struct mce_record {
	u64 id;			/* given by mce_log() */
	u64 gstatus;		/* MCG_STATUS */
	u64 status, addr, misc, tsc;
	u32 bank, cpu, apic_id;
	u32 flags;		/* MC_FLAG_* */
	u16 owner;		/* the domain that had the page, or DOMID_INVALID */
};

/*
 * Keeps a copy of r. urgent: signalled by an exception. Drops it when the log is full: the first
 * errors say most.
 */
void mce_log(const struct mce_record *r, bool urgent);
/* Copies the oldest error. Returns false when there is none. */
bool mce_log_oldest(bool urgent, struct mce_record *r);
/* Forgets the oldest error if its id is this one. */
void mce_log_ack(bool urgent, u64 id);
