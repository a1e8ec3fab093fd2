/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the two halves of the module loader: loader.c links, check.c checks the result. */
#pragma once

#include <margay/cpu_set.h>
#include <margay/module.h>

/* Writes the reason and returns -ENOEXEC. */
int module_refuse(char *reason, const char *fmt, ...) __printf(2, 3);

/*
 * Checks the description at address desc of the module linked in mem: all pointers must lead to the
 * right parts of the module. Fills m->desc and m->name; the rest of m is set already.
 */
int module_check(const u8 *mem, u64 desc, struct module *m, char *reason);
