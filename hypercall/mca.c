/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mca: the machine's errors for the control domain, whose kernel offers them as /dev/mcelog. A fetch
 * leaves an error in the log until it is acknowledged. xen/arch-x86/xen-mca.h
 */
#include <margay/arch.h>
#include <margay/cpu_policy.h>
#include <margay/mce_log.h>
#include <margay/sched.h>

#include <xen/arch-x86/xen-mca.h>
#include <xen/platform.h>
#include "hypercall_priv.h"

/* mc_vendor. Its reader takes it for Linux's number. */
enum { VENDOR_INTEL = 0, VENDOR_AMD = 2 };
#define IA32_MCG_CAP 0x179

/* Returns the number of c's thread within its core, and that of the core's threads. */
static u16 thread_of(const struct cpu *c, u32 *threads)
{
	u16 before = 0;

	*threads = 1;
	for (const struct cpu *s = c->sibling; s != c; s = s->sibling) {
		before = (u16)(before + (s->apic_id < c->apic_id));
		(*threads)++;
	}
	return before;
}

/* The entries of an error: the CPU and its bank. */
static void fill_info(const struct mce_record *r, struct mc_info *info)
{
	struct mcinfo_global g = {
		.common = { MC_TYPE_GLOBAL, sizeof(g) },
		.mc_domid = DOMID_INVALID,
		.mc_vcpuid = XEN_MC_VCPUID_INVALID,
		.mc_apicid = r->apic_id,
		.mc_flags = r->flags,
		.mc_gstatus = r->gstatus,
	};
	struct mcinfo_bank b = {
		.common = { MC_TYPE_BANK, sizeof(b) },
		.mc_bank = (u16)r->bank,
		.mc_domid = r->owner,
		.mc_status = r->status,
		.mc_addr = r->addr,
		.mc_misc = r->misc,
		.mc_tsc = r->tsc,
	};
	const struct cpu *c = cpus[index_nospec(r->cpu, MAX_CPUS)];
	u32 core, threads;

	arch_cpu_topology(c, &core, &g.mc_socketid);
	g.mc_coreid = (u16)core;
	g.mc_core_threadid = thread_of(c, &threads);
	memset(info, 0, sizeof(*info));
	info->mi_nentries = 2;
	memcpy(info->mi_data, &g, sizeof(g));
	memcpy((u8 *)info->mi_data + sizeof(g), &b, sizeof(b));
}

static long fetch(struct xen_mc_fetch *u)
{
	u32 which = u->flags & (XEN_MC_NONURGENT | XEN_MC_URGENT);
	bool urgent = which == XEN_MC_URGENT;
	struct mce_record r;
	struct mc_info info;

	if (which != XEN_MC_URGENT && which != XEN_MC_NONURGENT)
		return -EINVAL;
	if (u->flags & XEN_MC_ACK) {
		mce_log_ack(urgent, u->fetch_id);
		u->flags = XEN_MC_OK;
		return 0;
	}
	if (!handle_va(u->data))
		return -EINVAL;
	u->flags = XEN_MC_NODATA;
	u->fetch_id = 0;
	if (!mce_log_oldest(urgent, &r))
		return 0;
	fill_info(&r, &info);
	u->flags = XEN_MC_OK;
	u->fetch_id = r.id;
	return guest_write(handle_va(u->data), 0, &info);
}

/* Describes a CPU. All are of one kind. */
static void fill_cpu(const struct cpu *c, struct mcinfo_logical_cpu *l)
{
	struct xenpf_pcpu_version version = { 0 };
	u32 words[CPU_FEATURE_WORDS], core;

	machine_version(&version);
	cpu_policy_features(NULL, words);
	memset(l, 0, sizeof(*l));
	l->mc_cpunr = c->id;
	l->mc_apicid = c->apic_id;
	arch_cpu_topology(c, &core, &l->mc_chipid);
	l->mc_coreid = (u16)core;
	l->mc_threadid = thread_of(c, &l->mc_nthreads);
	l->mc_ncores = l->mc_ncores_active = 1;
	l->mc_family = version.family;
	l->mc_model = version.model;
	l->mc_step = version.stepping;
	memcpy(l->mc_vendorid, version.vendor_id, sizeof(version.vendor_id));
	l->mc_vendor = version.vendor_id[0] == 'G' ? VENDOR_INTEL : VENDOR_AMD;
	l->mc_cpu_caps[MC_CAPS_STD_EDX] = words[0];
	l->mc_cpu_caps[MC_CAPS_STD_ECX] = words[1];
	l->mc_cpu_caps[MC_CAPS_AMD_EDX] = words[2];
	l->mc_cpu_caps[MC_CAPS_AMD_ECX] = words[3];
	l->mc_nmsrvals = 1;
	l->mc_msrvalues[0].reg = IA32_MCG_CAP;
	l->mc_msrvalues[0].value = arch_mce_caps();
}

static long cpu_info(struct xen_mc_physcpuinfo *u)
{
	u32 n = nr_cpus;
	struct mcinfo_logical_cpu l;

	if (handle_va(u->info)) {
		if ((s32)u->ncpus <= 0)
			return -EINVAL;
		n = min(n, u->ncpus);
		for (u32 i = 0; i < n; i++) {
			fill_cpu(cpus[i], &l);
			if (guest_write(handle_va(u->info), i, &l))
				return -EFAULT;
		}
	}
	u->ncpus = n;
	return 0;
}

/* Margay reports errors; it injects none. */
static long mca(struct xen_mc *op)
{
	switch (op->cmd) {
	case XEN_MC_fetch: return fetch(&op->u.mc_fetch);
	case XEN_MC_physcpuinfo: return cpu_info(&op->u.mc_physcpuinfo);
	case XEN_MC_msrinject:
	case XEN_MC_mceinject:
	case XEN_MC_inject_v2: return -EOPNOTSUPP;
	default: return -EINVAL;
	}
}

long do_mca(struct vcpu *v, struct regs *h)
{
	struct xen_mc op;
	long rc;

	if (copy_from_guest(&op, h->rdi, sizeof(op)))
		return -EFAULT;
	if (op.interface_version != XEN_MCA_INTERFACE_VERSION)
		return -EACCES;
	hcall_recount(v, __HYPERVISOR_mca, h->rdi, op.cmd);
	rc = mca(&op);
	if (!rc && copy_to_guest(h->rdi, &op, sizeof(op)))
		return -EFAULT;
	return rc;
}
