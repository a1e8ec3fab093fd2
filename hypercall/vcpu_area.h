/* SPDX-License-Identifier: BSD-2-Clause */
/* Registering a vCPU's areas: `cur` asks, for `v` of the same domain. Private to hypercall/. */
#ifndef VCPU_AREA_H
#define VCPU_AREA_H

#include <margay/evtchn.h>

long register_vcpu_info(struct vcpu *cur, struct vcpu *v, gvaddr_t arg);
long register_runstate(struct vcpu *cur, struct vcpu *v, gvaddr_t arg);
long register_time(struct vcpu *cur, struct vcpu *v, gvaddr_t arg);

#endif
