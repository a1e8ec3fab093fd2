/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzzes the arguments of domctl and sysctl. The input is a list of calls: a byte that selects the
 * hypercall and the operation, and the structure. Handles are reduced to a small guest memory, of
 * which a part faults. Domains without a machine take the calls.
 * fuzz-sources: hypercall/domctl.c hypercall/domctl_vcpu.c hypercall/domctl_context.c hypercall/domctl_shadow.c hypercall/sysctl.c hypercall/sysctl_topology.c hypercall/cpu_policy.c hypercall/domain_info.c
 */
#include "fuzz.h"

#include <margay/arch.h>
#include <margay/boot_state.h>
#include <margay/console.h>
#include <margay/cpu_policy.h>
#include <margay/domain_parts.h>
#include <margay/guest_copy.h>
#include <margay/hypercall.h>
#include <margay/p2m.h>
#include <margay/pci.h>
#include <margay/policy_registry.h>
#include <margay/quiesce.h>
#include <margay/sched.h>
#include <margay/vcpu_record.h>

#include <xen/domctl.h>
#include <xen/sysctl.h>

#define CPUS 3
#define VCPUS 2
#define DOMAINS 3
#define GUEST_BASE 0x10000UL
#define OP_AT 0x800UL		/* the structure, in guest memory */
#define MOST_CALLS 32

struct boot_info boot_info;
struct acpi_info boot_acpi;
struct list domain_list = LIST_INIT(domain_list);
struct spinlock domains_lock;
struct cpu *cpus[MAX_CPUS], *housekeeping_cpu;
unsigned nr_cpus = CPUS, nr_nodes = 2;

static u8 memory[16384];
static struct cpu cpu[CPUS];
static struct vcpu vcpus[DOMAINS][VCPUS];
static struct domain *doms[DOMAINS];
static unsigned looks, copies, references;
static int policies;	/* copies of CPUID policies that were not freed */

long do_domctl(struct vcpu *v, struct regs *h);
long do_sysctl(struct vcpu *v, struct regs *h);
void hcall_recount(struct vcpu *v, unsigned nr, u64 arg, u64 sub);

/* Guest memory; addresses above its end fault, and so does every 61st copy. */
static u8 *guest(gvaddr_t va, size_t n)
{
	if (!n)
		return memory;
	if (va < GUEST_BASE || va - GUEST_BASE >= sizeof(memory) || ++copies % 61 == 0)
		return NULL;
	return n <= sizeof(memory) - (va - GUEST_BASE) ? memory + (va - GUEST_BASE) : NULL;
}

int copy_from_guest(void *dst, gvaddr_t src, size_t n)
{
	const u8 *p = guest(src, n);

	if (p)
		memcpy(dst, p, n);
	return p ? 0 : -EFAULT;
}

int copy_to_guest(gvaddr_t dst, const void *src, size_t n)
{
	volatile u8 sum = 0;
	u8 *p = guest(dst, n);

	for (size_t i = 0; i < n; i++)	/* what is leaked must be ours */
		sum = (u8)(sum + ((const u8 *)src)[i]);
	if (p)
		memcpy(p, src, n);
	return p ? 0 : -EFAULT;
}

bool hcall_preempt(void)
{
	return ++looks % 7 == 0;
}
void cpu_relax(void)
{
}
stime_t now(void)
{
	return 1000;
}
u64 arch_tsc_hz(void)
{
	return 1000000000;
}
unsigned arch_phys_bits(void)
{
	return 40;
}
u64 node_free_pages(unsigned node)
{
	return node < nr_nodes ? 100 : 0;
}
u64 node_total_pages(unsigned node)
{
	return node < nr_nodes ? 1000 : 0;
}
struct p2m_entry p2m_lookup(struct domain *d, gfn_t gfn)
{
	(void)d;
	return (struct p2m_entry){ .type = gfn % 3 ? P2M_RAM : P2M_NONE };
}

void cpu_raise(struct cpu *c, u32 work)
{
	c->work |= work;
}
bool console_key(char key)
{
	return key & 1;
}
void vcpu_wake(struct vcpu *v)
{
	v->pending |= 1;
}
void vcpu_post(struct vcpu *v, u32 work)
{
	v->pending |= work;
}
void vcpu_up(struct vcpu *v)
{
	CHECK(v->domain->pauses);
}
void policy_control_leave(void)
{
}
bool policy_control_enter(void)
{
	return hcall_preempt();
}
struct policy *policy_find(const char *name)
{
	return name[0] == 'c' ? (void *)name : NULL;
}

int policy_set(struct policy *p, const struct domain *d, const char *name, u64 value)
{
	(void)p;
	(void)d;
	return name[0] == 'w' && !value ? -EINVAL : 0;
}

void arch_cpu_topology(const struct cpu *c, u32 *core, u32 *package)
{
	*core = c->id;
	*package = 0;
}

void mem_stats(struct mem_stats *s)
{
	memset(s, 0, sizeof(*s));
	s->total_pages = 1000;
}

long hcall_unsupported(struct vcpu *v, const char *what, u64 op)
{
	(void)v;
	(void)what;
	(void)op;
	return -ENOSYS;
}

void hcall_recount(struct vcpu *v, unsigned nr, u64 arg, u64 sub)
{
	(void)v;
	(void)nr;
	(void)arg;
	(void)sub;
}

size_t console_log_read(u64 *at, char *to, size_t n)
{
	static const char text[1000] = "log";

	n = *at < sizeof(text) && n > sizeof(text) - *at ? sizeof(text) - *at : n;
	if (*at >= sizeof(text))
		return 0;
	memcpy(to, text + *at, n);
	*at += n;
	return n;
}

/* Domains. */

static struct domain *hold(struct domain *d)
{
	if (d) {
		d->refs++;
		references++;
	}
	return d;
}

struct domain *domain_next(u32 from)
{
	for (unsigned i = 0; i < DOMAINS; i++)
		if (doms[i] && doms[i]->id >= from)
			return hold(doms[i]);
	return NULL;
}

struct domain *domain_find(domid_t id)
{
	for (unsigned i = 0; i < DOMAINS; i++)
		if (doms[i] && doms[i]->id == id)
			return hold(doms[i]);
	return NULL;
}

struct domain *domain_get(domid_t id)
{
	struct domain *d = domain_find(id);

	if (!d || d->state == DOM_RUNNING || d->state == DOM_SHUTDOWN)
		return d;
	domain_put(d);
	return NULL;
}

void domain_put(struct domain *d)
{
	CHECK(d->refs && references);
	d->refs--;
	references--;
}

static struct domain *add(unsigned i, unsigned max_vcpus)
{
	struct domain *d = calloc(1, sizeof(*d) + max_vcpus * sizeof(d->vcpus[0]));

	d->id = (domid_t)i;
	d->max_vcpus = max_vcpus;
	d->state = DOM_BUILDING;
	doms[i] = d;
	return d;
}

int domain_parts_create(struct domain *d)
{
	for (unsigned i = 0; i < d->max_vcpus && i < VCPUS; i++) {
		d->vcpus[i] = &vcpus[d->id][i];
		memset(d->vcpus[i], 0, sizeof(struct vcpu));
		d->vcpus[i]->domain = d;
		d->vcpus[i]->id = i;
		d->vcpus[i]->cpu = &cpu[0];
		d->nr_vcpus = i + 1;
	}
	return ++d->parts_created < 3 ? -ERESTART : 0;
}

int domain_create(const struct domain_config *config, const struct domain_life *life,
		  struct domain **out)
{
	CHECK(config->vcpus && config->vcpus <= MAX_VCPUS);
	if (doms[DOMAINS - 1])
		return -ENOSPC;
	*out = add(DOMAINS - 1, config->vcpus);
	(*out)->life = life;
	return 0;
}

int domain_destroy(struct domain *d)
{
	CHECK(d != doms[0]);
	d->state = hcall_preempt() ? DOM_DYING : DOM_DEAD;
	return d->state == DOM_DEAD ? 0 : -ERESTART;
}

struct vcpu *domain_vcpu(struct domain *d, u32 id)
{
	return id < d->nr_vcpus ? d->vcpus[id] : NULL;
}

void domain_pause(struct domain *d) { d->pauses++; }

void domain_unpause(struct domain *d)
{
	CHECK(d->pauses);
	d->pauses--;
}

void vcpu_runstate(struct vcpu *v, struct vcpu_runstate_info *out)
{
	memset(out, 0, sizeof(*out));
	out->time[RUNSTATE_running] = v->id;
}

int vcpu_restrict(struct vcpu *v, const struct cpu_set *set)
{
	if (find_next_bit(set->bits, nr_cpus, 0) >= nr_cpus)
		return -EINVAL;
	v->affinity = *set;
	return 0;
}

/* One kind of record, which has a size of its own. */
static u32 save_record(struct vcpu *v, void *record)
{
	CHECK(v->domain->pauses || v->domain->state == DOM_SHUTDOWN);
	memset(record, 0x55, 100 + v->id);
	return 100 + v->id;
}

static int load_record(struct vcpu *v, const void *record, u32 n)
{
	CHECK(v->domain->pauses || v->domain->state == DOM_SHUTDOWN);
	CHECK(n >= 8 && n <= 200);
	return *(const u8 *)record & 1 ? -EINVAL : 0;
}

const struct vcpu_record vcpu_records[] = {
	{ HVM_SAVE_CODE(CPU), false, 8, 200, save_record, load_record },
	{ .save = NULL },
};

void arch_vcpu_get_context(struct vcpu *v, struct vcpu_guest_context *c)
{
	c->user_regs.rip = v->id;
}

int arch_vcpu_set_user_regs(struct vcpu *v, const struct cpu_user_regs *r)
{
	(void)v;
	return r->rip & 1 ? -EINVAL : 0;
}

enum migrate_how policy_migrate(const struct migrate_round *r)
{
	return r->round % 4;
}

bool domain_off_cpus(const struct domain *d)
{
	CHECK(d->pauses);
	return hcall_preempt();
}

int domain_stopped(struct domain *d)
{
	if (!d->pauses && d->state != DOM_SHUTDOWN)
		return -EINVAL;
	return hcall_preempt() ? -ERESTART : 0;
}

int domain_resume(struct domain *d)
{
	if (d->state == DOM_SHUTDOWN)
		d->state = DOM_RUNNING;
	return 0;
}

bool on_demand(const struct domain *d, gfn_t gfn)
{
	return d->id == 1 && gfn % 5 == 0;
}

int on_demand_allocate(struct domain *d, gfn_t gfn)
{
	CHECK(on_demand(d, gfn));
	return gfn % 2 ? -ENOMEM : 0;
}

void *kzalloc(size_t size)
{
	policies++;
	return calloc(1, size);
}

/* A policy is a count of leaves. */
struct cpuid_policy *cpu_policy_make(unsigned n)
{
	u32 *p = hcall_preempt() ? NULL : malloc(sizeof(*p));

	if (p) {
		*p = 20 + n;
		policies++;
	}
	return (struct cpuid_policy *)p;
}

struct cpuid_policy *cpu_policy_copy(const struct domain *d)
{
	return cpu_policy_make(d->nr_vcpus);
}

void kfree(void *p)
{
	policies -= !!p;
	free(p);
}

bool cpu_policy_next(struct cpuid_policy *p, struct xen_cpuid_leaf *l)
{
	u32 n = l->leaf == ~0U ? 0 : l->leaf + 1;

	*l = (struct xen_cpuid_leaf){ .leaf = n };
	return n < (p ? *(u32 *)p : 30);
}

void cpu_policy_features(struct cpuid_policy *p, u32 words[CPU_FEATURE_WORDS])
{
	(void)p;
	memset(words, 0x55, CPU_FEATURE_WORDS * sizeof(words[0]));
}

u64 cpu_policy_arch_caps(void)
{
	return 7;
}

int cpu_policy_restrict(struct cpuid_policy *p, const struct xen_cpuid_leaf *l)
{
	return l->leaf > *(u32 *)p ? -EINVAL : 0;
}

int cpu_policy_set(struct domain *d, struct cpuid_policy *p)
{
	(void)p;
	return d->nr_vcpus ? 0 : -EEXIST;
}

/* A log of a few pages. The bits are its last memory, so that writes beyond are found. */

void *dom_alloc_meta(struct domain *d, unsigned n)
{
	(void)d;
	return hcall_preempt() ? NULL : malloc(n * PAGE_SIZE);
}

bool dirty_log_free(struct domain *d, bool end)
{
	if (end) {
		free(d->p2m.log.bits);
		memset(&d->p2m.log, 0, sizeof(d->p2m.log));
	}
	return true;
}

gfn_t dirty_log_scan(struct domain *d, gfn_t gfn, gfn_t end, unsigned how)
{
	CHECK(d->p2m.log.on && gfn < end && how < 4);
	d->p2m.log.bits[gfn % LOG_PAGES / 64] |= 1;
	return gfn < 100000 && end > gfn + 30000 ? gfn + 30000 : end;
}

gfn_t dirty_log_merge(struct domain *d, gfn_t gfn)
{
	d->p2m.log.tables[d->p2m.log.nr_tables++] = NULL;
	return gfn + 512;
}

bool pci_owns_some(const struct domain *d) { return d->id == 1; }
bool quiesce_over(u64 period) { return period == 7; }
u64 quiesce_start(void) { return 7; }
void p2m_flush(struct domain *d) { CHECK(d); }

static void call(bool sys, u8 cmd)
{
	struct regs h = { .rdi = GUEST_BASE + OP_AT };
	u32 *op = (u32 *)(memory + OP_AT);
	u64 *u = (u64 *)(op + 4);
	long rc;

	op[0] = cmd;
	op[1] = sys ? XEN_SYSCTL_INTERFACE_VERSION : XEN_DOMCTL_INTERFACE_VERSION;
	if (!sys)
		op[2] %= DOMAINS + 1;
	/* What looks like the end of memory is a handle. */
	for (unsigned i = 0; i < 16; i++)
		if (u[i] >> 56 == 0xaa)
			u[i] = GUEST_BASE + u[i] % (2 * sizeof(memory));
	for (unsigned i = 0; i < 2000; i++) {
		rc = (sys ? do_sysctl : do_domctl)(doms[0]->vcpus[0], &h);
		CHECK(!references);
		CHECK(!policies);
		if (rc != HCALL_RESTART)
			break;
	}
	CHECK(rc == HCALL_RESTART || (rc >= -4095 && rc <= 0));
	if (doms[DOMAINS - 1] && doms[DOMAINS - 1]->state == DOM_DEAD) {
		dirty_log_free(doms[DOMAINS - 1], true);
		free(doms[DOMAINS - 1]);
		doms[DOMAINS - 1] = NULL;
	}
}

/* The guests that are there from the start are not the tools' to destroy. */
static void boot_destroy(struct domain *d)
{
	CHECK(d != doms[0]);
}

static const struct domain_life boot_life = { .destroy = boot_destroy };

static void start(void)
{
	looks = copies = 0;
	for (unsigned i = 0; i < CPUS; i++) {
		memset(&cpu[i], 0, sizeof(cpu[i]));
		cpu[i].id = i;
		cpu[i].sibling = &cpu[i];
		cpus[i] = &cpu[i];
	}
	housekeeping_cpu = &cpu[0];
	for (unsigned i = 0; i < DOMAINS; i++)
		doms[i] = NULL;
	for (unsigned i = 0; i < DOMAINS - 1; i++) {
		add(i, VCPUS);
		while (domain_parts_create(doms[i]))
			;
		doms[i]->state = DOM_RUNNING;
		doms[i]->life = &boot_life;
	}
	doms[0]->initial = true;
	doms[0]->tot_pages = 1000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	host_log_clear();
	start();
	memset(memory, 0, sizeof(memory));
	memcpy(memory, data, size < sizeof(memory) ? size : sizeof(memory));
	for (unsigned n = 0; size > 2 && n < MOST_CALLS; n++) {
		size_t take = size - 2 < 136 ? size - 2 : 136;

		memset(memory + OP_AT, 0, 256);
		memcpy(memory + OP_AT + 8, data + 2, take);
		call(data[0] & 1, data[1] % 96);
		data += 2 + take;
		size -= 2 + take;
	}
	for (unsigned i = 0; i < DOMAINS; i++) {
		if (doms[i])
			dirty_log_free(doms[i], true);
		free(doms[i]);
	}
	return 0;
}
