/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A trace file: the header, then records as Margay writes them, CPU by CPU in order of time, and these of
 * mgctl's own. All is little-endian; a record and the header are 32 bytes each.
 */
#ifndef MGCTL_TRACE_H
#define MGCTL_TRACE_H

#include "mgctl.h"

#define TRACE_MAGIC "MGTRACE1"
#define TRACE_NAME 254		/* domain's name: 16 bytes in a and b */
#define TRACE_LOST 255		/* of cpu's, a records before the next one */

struct trace_header {
	char magic[8];
	uint64_t tsc_hz;
	uint32_t cpus, pad[3];
};

/* A whole file in order of time; first is the TSC of the first record. */
struct trace_file {
	struct trace_header h;
	struct margay_trace *records;
	size_t nr;
	uint64_t first;
	char names[0x8000][17];
};

/* MGCTL_OK, or MGCTL_USAGE after a complaint. */
int trace_load(const char *name, struct trace_file **file, FILE *err);
void trace_free(struct trace_file *t);
/* Nanoseconds since the first record. */
uint64_t trace_ns(const struct trace_file *t, uint64_t tsc);
/* "linux/0", for a terminal; "-" for no domain. */
const char *trace_who(const struct trace_file *t, const struct margay_trace *r);

#endif
