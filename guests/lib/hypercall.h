/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Xen's interface for a PVH guest: the CPUID leaves, the hypercall page, and one typed wrapper per
 * hypercall. Structures and numbers come from Xen's public headers. All wrappers return 0 or more
 * on success and a negative XEN_E* value on failure.
 */
#ifndef GUEST_HYPERCALL_H
#define GUEST_HYPERCALL_H

#include "types.h"
#include <xen/xen.h>
#include <xen/errno.h>
#include <xen/event_channel.h>
#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/hvm_vcpu.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>
#include <xen/arch-x86/cpuid.h>
#include <xen/arch-x86/hvm/start_info.h>

extern uint32_t xen_leaf;		/* first CPUID leaf of the hypervisor; 0: none */
extern const struct hvm_start_info *start_info;
extern uint8_t hypercall_page[4096];

void hypercall_init(void);
const char *cmdline(void);

/* Returns the decimal value of "key=" on the command line, or dflt. */
uint64_t cmdline_number(const char *key, uint64_t dflt);

/*
 * Calls any hypercall by number, with up to five arguments. Inline, so that bench adds little cost.
 */
static inline long hypercall5(unsigned int nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
			      uint64_t e)
{
	register uint64_t r10 asm("r10") = d;
	register uint64_t r8 asm("r8") = e;
	uint8_t *entry = hypercall_page + nr * 32ul;
	long ret;

	asm volatile("call *%[entry]"
		     : "=a"(ret), "+D"(a), "+S"(b), "+d"(c), "+r"(r10), "+r"(r8)
		     : [entry] "r"(entry) : "memory", "rcx", "r11");
	return ret;
}

#define hypercall1(nr, a)	hypercall5(nr, (uint64_t)(a), 0, 0, 0, 0)
#define hypercall2(nr, a, b)	hypercall5(nr, (uint64_t)(a), (uint64_t)(b), 0, 0, 0)
#define hypercall3(nr, a, b, c)	\
	hypercall5(nr, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), 0, 0)

static inline long xen_version(int op, void *arg)
{
	return hypercall2(__HYPERVISOR_xen_version, op, arg);
}

static inline long memory_op(unsigned int op, void *arg)
{
	return hypercall2(__HYPERVISOR_memory_op, op, arg);
}

static inline long event_channel_op(int op, void *arg)
{
	return hypercall2(__HYPERVISOR_event_channel_op, op, arg);
}

static inline long sched_op(int op, void *arg)
{
	return hypercall2(__HYPERVISOR_sched_op, op, arg);
}

static inline long vcpu_op(int op, unsigned int vcpu, void *arg)
{
	return hypercall3(__HYPERVISOR_vcpu_op, op, vcpu, arg);
}

static inline long hvm_op(int op, void *arg)
{
	return hypercall2(__HYPERVISOR_hvm_op, op, arg);
}

static inline long set_timer_op(uint64_t ns)
{
	return hypercall1(__HYPERVISOR_set_timer_op, ns);
}

static inline long grant_table_op(unsigned int op, void *arg, unsigned int count)
{
	return hypercall3(__HYPERVISOR_grant_table_op, op, arg, count);
}

static inline long multicall(struct multicall_entry *list, unsigned int count)
{
	return hypercall2(__HYPERVISOR_multicall, list, count);
}

static inline long vm_assist(unsigned int cmd, unsigned int type)
{
	return hypercall2(__HYPERVISOR_vm_assist, cmd, type);
}

static inline long console_io(int cmd, int count, void *buffer)
{
	return hypercall3(__HYPERVISOR_console_io, cmd, count, buffer);
}

long hvm_get_param(uint32_t index, uint64_t *value);
long hvm_set_param(uint32_t index, uint64_t value);
long sched_shutdown(unsigned int reason);

/* Maps a page of another domain or of the hypervisor (DOMID_XEN) at a guest-physical address. */
long map_foreign(domid_t from, uint64_t frame, uintptr_t to);

#endif
