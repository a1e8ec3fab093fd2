/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's IO-APICs as the domain with the devices sees them. arch/x86/guest/vioapic.c */
#pragma once

#include <margay/types.h>

struct domain;

/* Ends the level-triggered interrupts that were delivered with this vector. No lock. */
void vioapic_eoi(struct domain *d, u8 vector);
