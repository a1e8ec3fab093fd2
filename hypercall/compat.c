/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hypercalls of 32-bit kernels: the number in EAX, the arguments in EBX, ECX and EDX. Structures
 * that hold an unsigned long, a frame number or a guest handle have another layout there. Each is
 * converted to the 64-bit one, which the usual handler then finds at ARG64.
 */
#include "hypercall_priv.h"

/*
 * The fields of a structure. W: 4 bytes in both layouts. Q: 8 bytes in both, aligned only in the
 * 64-bit one. L: an unsigned long. -: 4 bytes of padding in the 64-bit one.
 */
struct layout {
	u8 nr, op;
	bool out;		/* the handler writes to it */
	const char *fields;
};

static const struct layout layouts[] = {
	{ __HYPERVISOR_memory_op, XENMEM_increase_reservation, false, "LLWWW" },
	{ __HYPERVISOR_memory_op, XENMEM_decrease_reservation, false, "LLWWW" },
	{ __HYPERVISOR_memory_op, XENMEM_populate_physmap, false, "LLWWW" },
	{ __HYPERVISOR_memory_op, XENMEM_add_to_physmap, false, "WWLL" },
	{ __HYPERVISOR_memory_op, XENMEM_add_to_physmap_batch, false, "WWLLL" },
	{ __HYPERVISOR_memory_op, XENMEM_remove_from_physmap, false, "WL" },
	{ __HYPERVISOR_memory_op, XENMEM_memory_map, true, "WL" },
	{ __HYPERVISOR_xen_version, XENVER_platform_parameters, true, "L" },
	{ __HYPERVISOR_grant_table_op, GNTTABOP_setup_table, true, "WWWL" },
	{ __HYPERVISOR_grant_table_op, GNTTABOP_copy, true, "LWLW-WW" },
	{ __HYPERVISOR_sched_op, SCHEDOP_poll, false, "LWQ" },
	{ __HYPERVISOR_vcpu_op, VCPUOP_get_runstate_info, true, "WQQQQQ" },
	{ __HYPERVISOR_vcpu_op, VCPUOP_register_runstate_memory_area, false, "L" },
	{ __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_time_memory_area, false, "L" },
	{ __HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, false, "QW" },
};

static unsigned narrow_size(const char *fields)
{
	unsigned n = 0;

	for (; *fields; fields++)
		n += *fields == 'Q' ? 8 : *fields == '-' ? 0 : 4;
	return n;
}

static void convert(const char *fields, u8 *narrow, u8 *wide, bool widen)
{
	for (; *fields; fields++) {
		unsigned n = *fields == 'Q' ? 8 : *fields == '-' ? 0 : 4;

		if ((*fields == 'L' || *fields == 'Q') && (u64)wide % 8)
			wide += 4;
		memcpy(widen ? wide : narrow, widen ? narrow : wide, n);
		narrow += n;
		wide += *fields == 'L' || *fields == 'Q' ? 8 : 4;
	}
}

/* Calls the handler, with the structure at args->rsi or args->rdx converted if l is not NULL. */
static long call_one(struct vcpu *v, u32 nr, struct regs *args, const struct layout *l)
{
	u64 *arg = nr == __HYPERVISOR_vcpu_op ? &args->rdx : &args->rsi;
	u64 wide[ARG64_SIZE / sizeof(u64)] = { 0 };
	gvaddr_t at = *arg;
	u8 narrow[ARG64_SIZE];
	long ret;

	v->arg64 = (u8 *)wide;
	/* If the guest cannot read it, neither can the handler, which returns its own error. */
	if (l && !copy_from_guest(narrow, at, narrow_size(l->fields))) {
		convert(l->fields, narrow, v->arg64, true);
		*arg = ARG64;
	}
	ret = hypercall(v, nr, args);
	v->arg64 = NULL;
	if (*arg != ARG64)
		return ret;
	*arg = at;
	if (!l->out || ret < 0)
		return ret;
	convert(l->fields, narrow, (u8 *)wide, false);
	return copy_to_guest(at, narrow, narrow_size(l->fields)) ? -EFAULT : ret;
}

/* Calls the handler for each element of a list in ECX and EDX. */
static long call_list(struct vcpu *v, u32 nr, struct regs *args, const struct layout *l)
{
	u64 count = args->rdx;
	long ret;

	for (; count; count--, args->rsi += narrow_size(l->fields)) {
		args->rdx = 1;
		ret = call_one(v, nr, args, l);
		if (ret)
			return ret;
		if (count > 1 && hcall_preempt()) {
			args->rsi += narrow_size(l->fields);
			args->rdx = count - 1;
			return HCALL_RESTART;
		}
	}
	return 0;
}

static long call(struct vcpu *v, u32 nr, struct regs *args)
{
	/* memory_op has the number of finished items above the operation. */
	u32 op = (u32)args->rdi & (nr == __HYPERVISOR_memory_op ? 63 : ~0U);

	if (nr == __HYPERVISOR_set_timer_op)
		args->rdi |= args->rsi << 32;
	for (unsigned i = 0; i < ARRAY_SIZE(layouts); i++) {
		const struct layout *l = &layouts[i];

		if (l->nr != nr || l->op != op)
			continue;
		if (nr == __HYPERVISOR_grant_table_op && op == GNTTABOP_copy && (s32)args->rdx >= 0)
			return call_list(v, nr, args, l);
		return call_one(v, nr, args, l);
	}
	return call_one(v, nr, args, NULL);
}

struct multicall_entry_32 {
	u32 op;
	s32 result;
	u32 args[6];
};

/* As do_multicall(). */
static long multicall_32(struct vcpu *v, struct regs *h)
{
	bool first = true;

	v->hypercalls[hcall_table[__HYPERVISOR_multicall].row + HCALL_SUBOPS - 1]++;
	for (; (u32)h->rsi; h->rsi--, h->rdi += sizeof(struct multicall_entry_32)) {
		struct multicall_entry_32 e;
		struct regs args;
		long ret;

		if (!first && hcall_preempt())
			return HCALL_RESTART;
		first = false;
		if (guest_read(&e, h->rdi, 0))
			return -EFAULT;
		args.rdi = e.args[0];
		args.rsi = e.args[1];
		args.rdx = e.args[2];
		ret = e.op == __HYPERVISOR_multicall ? -EINVAL : call(v, e.op, &args);
		if (ret == HCALL_RESTART) {
			e.args[0] = (u32)args.rdi;
			e.args[1] = (u32)args.rsi;
			e.args[2] = (u32)args.rdx;
		} else {
			e.result = (s32)ret;
		}
		if (guest_write(h->rdi, 0, &e))
			return -EFAULT;
		if (ret == HCALL_RESTART)
			return ret;
	}
	return 0;
}

long hypercall_32(struct vcpu *v, u32 nr, struct regs *h)
{
	struct regs args = { .rdi = (u32)h->rbx, .rsi = (u32)h->rcx, .rdx = (u32)h->rdx };
	long ret = nr == __HYPERVISOR_multicall ? multicall_32(v, &args) : call(v, nr, &args);

	if (ret != HCALL_RESTART)
		return (u32)ret;
	h->rbx = (u32)args.rdi;
	h->rcx = (u32)args.rsi;
	h->rdx = (u32)args.rdx;
	return ret;
}
