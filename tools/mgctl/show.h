/* SPDX-License-Identifier: BSD-2-Clause */
/* What is done with trace files, without Margay: show.c and export.c. Return what mgctl exits with. */
#ifndef MGCTL_SHOW_H
#define MGCTL_SHOW_H

#include "trace.h"

int show_trace(const char *name, FILE *out, FILE *err);
int export_trace(const char *name, FILE *out, FILE *err);

extern const char *const run_names[4];		/* by what TRACE_SCHED says */
extern const char *const inject_names[8];	/* by the type of an injected event */

#endif
