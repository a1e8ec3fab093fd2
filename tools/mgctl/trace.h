/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The trace file format: the header, then Margay's records, CPU by CPU in order of time, and
 * mgctl's own records below. All fields are little-endian; a record and the header have 32 bytes
 * each.
 */
#ifndef MGCTL_TRACE_H
#define MGCTL_TRACE_H

#include "mgctl.h"

#define TRACE_MAGIC "MGTRACE1"
#define TRACE_NAME 254		/* a domain's name: 16 bytes in a and b */
#define TRACE_LOST 255		/* cpu lost a records before the next one */

struct trace_header {
	char magic[8];
	uint64_t tsc_hz;
	uint32_t cpus, pad[3];
};

/*
 * A whole file in order of time; first is the TSC of its first record. A recording ends with the
 * domains' names: cut says that they are missing.
 */
struct trace_file {
	struct trace_header h;
	struct margay_trace *records;
	size_t nr;
	uint64_t first;
	bool cut;
	char names[0x8000][17];
};

/* Returns MGCTL_OK, or MGCTL_USAGE after a message. */
int trace_load(const char *name, struct trace_file **file, FILE *err);
void trace_free(struct trace_file *t);
/* Frees t. Returns MGCTL_OK, or MGCTL_REFUSED after a message if the file was cut. */
int trace_end(struct trace_file *t, const char *name, FILE *err);
/* Returns the nanoseconds since the first record. */
uint64_t trace_ns(const struct trace_file *t, uint64_t tsc);
/* Returns "linux/0", safe for a terminal, or "-" for no domain. */
const char *trace_who(const struct trace_file *t, const struct margay_trace *r);

#endif
