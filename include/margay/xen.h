/* SPDX-License-Identifier: BSD-2-Clause */
/* Xen's public ABI, from the installed headers (libxen-dev), interface version 4.17. */
#pragma once

#include <margay/errno.h>
#include <margay/types.h>

#define __XEN_TOOLS__ 1

#include <xen/xen.h>
#include <xen/event_channel.h>
#include <xen/features.h>
#include <xen/foreign/x86_32.h>
#include <xen/grant_table.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/hvm_vcpu.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>
