/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the files that save and load a vCPU's parts: vcpu_record.h says what each does. */
#pragma once

#include <margay/sched.h>
#include <margay/vcpu_record.h>

#include "guest.h"

u32 save_lapic(struct vcpu *v, void *record);
int load_lapic(struct vcpu *v, const void *record, u32 n);
u32 save_lapic_regs(struct vcpu *v, void *record);
int load_lapic_regs(struct vcpu *v, const void *record, u32 n);
