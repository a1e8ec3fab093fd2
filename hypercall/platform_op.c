/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * platform_op: what an initial domain's kernel asks of the machine. Margay itself controls CPUs,
 * power and firmware: those operations are refused, which Linux takes for a lack of the feature.
 * xen/platform.h
 */
#include <margay/cpu_policy.h>
#include <margay/sched.h>

#include <xen/platform.h>
#include "hypercall_priv.h"

#define NS_MAX_S (~0UL / NS_PER_S)

/* Sets the wall clock to secs.nsecs at the system time at_ns. */
static long set_time(u64 secs, u32 nsecs, u64 at_ns)
{
	u64 ns;

	if (secs >= NS_MAX_S || nsecs >= NS_PER_S)
		return -EINVAL;
	ns = secs * NS_PER_S + nsecs;
	if (at_ns > ns)
		return -EINVAL;
	domain_set_wallclock(ns - at_ns);
	return 0;
}

/* Clears the CPUs of the map that are not there. */
static long get_idle_time(struct xenpf_getidletime *u)
{
	gvaddr_t map = handle_va(u->cpumap_bitmap);
	u32 nr = min(u->cpumap_nr_cpus, (u32)MAX_CPUS);
	struct cpu_set set = { 0 };
	unsigned i;

	if (copy_from_guest(&set, map, (nr + 7) / 8))
		return -EFAULT;
	for (i = nr_cpus; i < MAX_CPUS; i++)
		cpu_set_remove(&set, i);
	for_each_cpu(i, &set) {
		u64 idle = cpu_idle_time(cpus[i]);

		if (i < nr && guest_write(handle_va(u->idletime), i, &idle))
			return -EFAULT;
	}
	u->now = now();
	return copy_to_guest(map, &set, (nr + 7) / 8);
}

static long get_cpu_info(struct xenpf_pcpuinfo *u)
{
	const struct cpu *c = u->xen_cpuid < nr_cpus ? cpus[index_nospec(u->xen_cpuid, MAX_CPUS)] :
						       NULL;

	u->max_present = nr_cpus - 1;
	u->flags = c ? XEN_PCPU_FLAGS_ONLINE : XEN_PCPU_FLAGS_INVALID;
	u->apic_id = c ? c->apic_id : 0;
	u->acpi_id = c ? c->acpi_id : 0;
	return 0;
}

/* All CPUs are of one version. CPUID leaf 1: SDM 2A CPUID, "version information". */
void machine_version(struct xenpf_pcpu_version *u)
{
	struct xen_cpuid_leaf l = CPU_POLICY_START;
	const u32 *const vendor[] = { &l.b, &l.d, &l.c };

	cpu_policy_next(NULL, &l);
	for (unsigned i = 0; i < ARRAY_SIZE(vendor); i++)
		memcpy(u->vendor_id + 4 * i, vendor[i], 4);
	cpu_policy_next(NULL, &l);
	u->family = l.a >> 8 & 15;
	u->model = l.a >> 4 & 15;
	if (u->family == 6 || u->family == 15)
		u->model |= l.a >> 12 & 0xf0;
	if (u->family == 15)
		u->family += l.a >> 20 & 0xff;
	u->stepping = l.a & 15;
}

static long get_cpu_version(struct xenpf_pcpu_version *u)
{
	machine_version(u);
	u->max_present = nr_cpus - 1;
	return u->xen_cpuid < nr_cpus ? 0 : -ENODEV;
}

/* Margay keeps nothing of what the BIOS knows, and the control domain has no disk of it. */
static long get_firmware_info(struct xenpf_firmware_info *u)
{
	switch (u->type) {
	case XEN_FW_DISK_INFO:
	case XEN_FW_DISK_MBR_SIGNATURE: return -ENOENT;
	case XEN_FW_VBEDDC_INFO: return -ESRCH;
	case XEN_FW_EFI_INFO: return -EOPNOTSUPP;
	case XEN_FW_KBD_SHIFT_FLAGS:
		if (u->index)
			return -ESRCH;
		u->u.kbd_shift_flags = 0;
		return 0;
	default: return -EINVAL;
	}
}

static long platform_op(struct xen_platform_op *op)
{
	switch (op->cmd) {
	case XENPF_settime32:
		return set_time(op->u.settime32.secs, op->u.settime32.nsecs,
				op->u.settime32.system_time);
	case XENPF_settime64:
		return op->u.settime64.mbz ? -EINVAL :
					     set_time(op->u.settime64.secs, op->u.settime64.nsecs,
						      op->u.settime64.system_time);
	case XENPF_getidletime: return get_idle_time(&op->u.getidletime);
	case XENPF_get_cpuinfo: return get_cpu_info(&op->u.pcpu_info);
	case XENPF_get_cpu_version: return get_cpu_version(&op->u.pcpu_version);
	case XENPF_firmware_info: return get_firmware_info(&op->u.firmware_info);
	default: return -ENOSYS;
	}
}

long do_platform_op(struct vcpu *v, struct regs *h)
{
	struct xen_platform_op op;
	long rc;

	if (copy_from_guest(&op, h->rdi, sizeof(op)))
		return -EFAULT;
	if (op.interface_version != XENPF_INTERFACE_VERSION)
		return -EACCES;
	hcall_recount(v, __HYPERVISOR_platform_op, h->rdi, op.cmd);
	rc = platform_op(&op);
	if (!rc && copy_to_guest(h->rdi, &op, sizeof(op)))
		return -EFAULT;
	return rc;
}
