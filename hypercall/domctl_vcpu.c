/* SPDX-License-Identifier: BSD-2-Clause */
/* domctl: the operations on vCPUs. xen/domctl.h, xen/arch-x86/hvm/save.h */
#include <margay/sched.h>

#include "domctl.h"

long bitmap_from_guest(const struct xenctl_bitmap *from, struct cpu_set *to)
{
	size_t n = min((from->nr_bits + 7UL) / 8, sizeof(to->bits));

	memset(to, 0, sizeof(*to));
	if (copy_from_guest(to->bits, handle_va(from->bitmap), n))
		return -EFAULT;
	/* Bits past the end of the tools' map are not theirs. */
	for (u32 i = from->nr_bits; i < n * 8; i++)
		cpu_set_remove(to, i);
	return 0;
}

static struct cpu_set online_only(const struct cpu_set *set)
{
	struct cpu_set out = { 0 };

	for (unsigned i = 0; i < nr_cpus; i++)
		if (cpu_set_has(set, i))
			cpu_set_add(&out, i);
	return out;
}

long domctl_setvcpuaffinity(struct vcpu *cur __unused, struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_vcpuaffinity *a = &op->u.vcpuaffinity;
	struct vcpu *v = domain_vcpu(d, a->vcpu);
	struct cpu_set set;
	long rc;

	if (!v)
		return -EINVAL;
	if (a->flags & XEN_VCPUAFFINITY_HARD) {
		rc = bitmap_from_guest(&a->cpumap_hard, &set);
		if (rc)
			return rc;
		rc = vcpu_restrict(v, &set);
		if (!rc) {
			set = online_only(&v->affinity);
			rc = bitmap_to_guest(&a->cpumap_hard, set.bits, nr_cpus);
		}
		if (rc)
			return rc;
	}
	if (!(a->flags & XEN_VCPUAFFINITY_SOFT))
		return 0;
	rc = bitmap_from_guest(&a->cpumap_soft, &set);
	if (rc)
		return rc;
	v->soft_affinity = set;
	if (v->on_cpu)	/* it may prefer another CPU now */
		cpu_raise(v->cpu, CPU_WORK_EXPEL);
	set = online_only(&set);
	return bitmap_to_guest(&a->cpumap_soft, set.bits, nr_cpus);
}

long domctl_getvcpuaffinity(struct vcpu *cur __unused, struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_vcpuaffinity *a = &op->u.vcpuaffinity;
	struct vcpu *v = domain_vcpu(d, a->vcpu);
	long rc = 0;

	if (!v)
		return -EINVAL;
	if (a->flags & XEN_VCPUAFFINITY_HARD)
		rc = bitmap_to_guest(&a->cpumap_hard, v->affinity.bits, MAX_CPUS);
	if (!rc && a->flags & XEN_VCPUAFFINITY_SOFT)
		rc = bitmap_to_guest(&a->cpumap_soft, v->soft_affinity.bits, MAX_CPUS);
	return rc;
}

long domctl_getvcpuinfo(struct vcpu *cur __unused, struct domain *d, struct xen_domctl *op)
{
	struct xen_domctl_getvcpuinfo *i = &op->u.getvcpuinfo;
	struct vcpu *v = domain_vcpu(d, i->vcpu);
	struct vcpu_runstate_info rs;

	if (!v)
		return -EINVAL;
	vcpu_runstate(v, &rs);
	i->online = vcpu_online(v);
	i->blocked = READ_ONCE(v->state) == RUN_BLOCKED;
	i->running = READ_ONCE(v->state) == RUN_RUNNING;
	i->cpu_time = rs.time[RUNSTATE_running];
	i->cpu = v->cpu->id;
	return 0;
}

/* A PVH guest has no power or sleep button, and the tools hear no error, as on Xen. */
long domctl_sendtrigger(struct vcpu *cur __unused, struct domain *d, struct xen_domctl *op)
{
	struct vcpu *v = domain_vcpu(d, op->u.sendtrigger.vcpu);

	switch (op->u.sendtrigger.trigger) {
	case XEN_DOMCTL_SENDTRIGGER_NMI:
		if (!v || !v->initialised)
			return v ? -EINVAL : -ESRCH;
		v->nmi_pending = true;
		vcpu_post(v, VCPU_WORK_NMI);
		vcpu_wake(v);
		return 0;
	case XEN_DOMCTL_SENDTRIGGER_POWER:
	case XEN_DOMCTL_SENDTRIGGER_SLEEP: return 0;
	default: return -ENOSYS;
	}
}

/* The context of a domain: records, each with a descriptor, and an end. */

struct stream {
	gvaddr_t at;	/* 0: only the size is wanted */
	u32 size, done;
};

static long put_record(struct stream *s, u16 type, u16 instance, const void *record, size_t n)
{
	struct hvm_save_descriptor desc = { type, instance, (u32)n };
	u32 at = s->done;

	s->done += (u32)(sizeof(desc) + n);
	if (!s->at)
		return 0;
	if (s->done > s->size)
		return -ENOSPC;
	if (copy_to_guest(s->at + at, &desc, sizeof(desc)) ||
	    copy_to_guest(s->at + at + sizeof(desc), record, n))
		return -EFAULT;
	return 0;
}

/* Waits until no vCPU of the paused d runs. */
static bool runs(const struct domain *d)
{
	return !d->pauses || !domain_off_cpus(d);
}

long domctl_gethvmcontext(struct vcpu *cur, struct domain *d, struct xen_domctl *op)
{
	struct stream s = { handle_va(op->u.hvmcontext.buffer), op->u.hvmcontext.size, 0 };
	struct hvm_save_header header = { .magic = HVM_FILE_MAGIC, .version = HVM_FILE_VERSION,
					  .changeset = ~0UL,
					  .gtsc_khz = (u32)(arch_tsc_hz() / 1000) };
	struct hvm_hw_cpu cpu;
	struct hvm_hw_mtrr mtrr;
	long rc;

	if (d == cur->domain)
		return -EINVAL;
	if (s.at && runs(d))
		return d->pauses ? -ERESTART : -EINVAL;
	rc = put_record(&s, HVM_SAVE_CODE(HEADER), 0, &header, sizeof(header));
	for (u16 i = 0; !rc && i < d->nr_vcpus; i++) {
		if (!d->vcpus[i]->initialised)
			continue;
		arch_vcpu_record(d->vcpus[i], &cpu);
		rc = put_record(&s, HVM_SAVE_CODE(CPU), i, &cpu, sizeof(cpu));
	}
	for (u16 i = 0; !rc && i < d->nr_vcpus; i++) {
		arch_mtrr_record(d->vcpus[i], &mtrr);
		rc = put_record(&s, HVM_SAVE_CODE(MTRR), i, &mtrr, sizeof(mtrr));
	}
	if (!rc)
		rc = put_record(&s, HVM_SAVE_CODE(END), 0, NULL, 0);
	op->u.hvmcontext.size = s.done;
	return rc;
}

static long load_cpu(struct domain *d, u16 instance, gvaddr_t at, u32 n)
{
	struct vcpu *v = domain_vcpu(d, instance);
	struct hvm_hw_cpu cpu = { 0 };

	if (!v || n > sizeof(cpu) || n < offsetof(struct hvm_hw_cpu, flags))
		return -EINVAL;
	if (copy_from_guest(&cpu, at, n))
		return -EFAULT;
	if (arch_vcpu_load_record(v, &cpu))
		return -EINVAL;
	v->initialised = true;
	vcpu_up(v);
	return 0;
}

/*
 * Takes the CPU records. Others say what no guest of Margay's has (memory types) or what it has from
 * its start.
 */
long domctl_sethvmcontext(struct vcpu *cur, struct domain *d, struct xen_domctl *op)
{
	gvaddr_t at = handle_va(op->u.hvmcontext.buffer);
	u32 size = op->u.hvmcontext.size, done = 0;
	struct hvm_save_descriptor desc;
	long rc = 0;

	if (d == cur->domain || !d->pauses)
		return -EINVAL;
	if (runs(d))
		return -ERESTART;
	while (!rc) {
		if (size - done < sizeof(desc))
			return -ENODATA;
		if (copy_from_guest(&desc, at + done, sizeof(desc)))
			return -EFAULT;
		done += (u32)sizeof(desc);
		if (desc.length > size - done)
			return -ENODATA;
		if (desc.typecode == HVM_SAVE_CODE(END))
			return 0;
		if (desc.typecode == HVM_SAVE_CODE(CPU))
			rc = load_cpu(d, desc.instance, at + done, desc.length);
		done += desc.length;
	}
	return rc;
}
