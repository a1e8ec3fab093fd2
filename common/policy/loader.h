/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the two halves of the module loader: module.c links, module_check.c looks at the result. */
#ifndef MODULE_PRIV_H
#define MODULE_PRIV_H

#include <margay/cpu_set.h>
#include <margay/module.h>

/* -ENOEXEC, with the reason written. */
int module_refuse(char *reason, const char *fmt, ...) __printf(2, 3);

/*
 * The linked module in mem describes itself at address desc: all pointers there lead into the module and
 * to what they should. Fills m->desc and m->name; the rest of m is set.
 */
int module_check(const u8 *mem, u64 desc, struct module *m, char *reason);

#endif
