/* SPDX-License-Identifier: BSD-2-Clause */
/* All headers of guests/lib, for scenarios that use most of them. */
#ifndef GUEST_GUEST_H
#define GUEST_GUEST_H

#include "alloc.h"
#include "console.h"
#include "cpu.h"
#include "events.h"
#include "grants.h"
#include "hostile.h"
#include "hypercall.h"
#include "lapic.h"
#include "pci.h"
#include "smp.h"
#include "string.h"
#include "test.h"
#include "time.h"
#include "traps.h"
#include "user.h"
#include "x86.h"

#endif
