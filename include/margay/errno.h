/* SPDX-License-Identifier: BSD-2-Clause */
/* Error numbers: Xen's public ones (which guests see) under their plain names. */
#pragma once

#ifndef MARGAY_UNIT
#define XEN_ERRNO(name, value) name = value,
enum margay_errno {
#include <xen/errno.h>
	ERESTART = 85,	/* internal: never returned to a guest */
};
#endif
