/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands on trace files that need no Margay: show.c and export.c. They return mgctl's exit code.
 */
#ifndef MGCTL_SHOW_H
#define MGCTL_SHOW_H

#include "trace.h"

int show_trace(const char *name, FILE *out, FILE *err);
int export_trace(const char *name, FILE *out, FILE *err);

extern const char *const run_names[4];		/* indexed by the value in TRACE_SCHED */
extern const char *const inject_names[8];	/* indexed by the type of an injected event */

#endif
