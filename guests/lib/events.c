/* SPDX-License-Identifier: BSD-2-Clause */
/* See events.h. */
#include "events.h"
#include "alloc.h"
#include "lapic.h"
#include "test.h"
#include "traps.h"
#include "x86.h"

#define CALLBACK_TYPE_VECTOR	((uint64_t)HVM_PARAM_CALLBACK_TYPE_VECTOR << 56)
#define BITS_PER_WORD		64

struct shared_info *shared_info;
static void (*handlers[NR_EVENT_CHANNELS])(evtchn_port_t port);
static bool upcall_needs_eoi[MAX_CPUS];

void events_init(void)
{
	struct xen_add_to_physmap map = { .domid = DOMID_SELF, .space = XENMAPSPACE_shared_info };
	uintptr_t where = hole_alloc(1);

	map.gpfn = where >> PAGE_SHIFT;
	CHECK_RET(memory_op(XENMEM_add_to_physmap, &map), 0);
	shared_info = (struct shared_info *)where;
	for (unsigned int i = 0; i < BITS_PER_WORD; i++)
		shared_info->evtchn_mask[i] = ~0ul;
	this_cpu()->info = shared_vcpu_info(this_cpu()->id);
}

struct vcpu_info *shared_vcpu_info(unsigned int id)
{
	static struct vcpu_info *further;

	if (id < XEN_LEGACY_MAX_VCPUS)
		return &shared_info->vcpu_info[id];
	if (!further)
		further = page_alloc(MAX_CPUS * sizeof(*further) / PAGE_SIZE);
	return &further[id];
}

long evtchn_alloc_unbound(domid_t remote)
{
	struct evtchn_alloc_unbound a = { .dom = DOMID_SELF, .remote_dom = remote };
	long ret = event_channel_op(EVTCHNOP_alloc_unbound, &a);

	return ret ? ret : a.port;
}

long evtchn_bind_interdomain(domid_t remote, evtchn_port_t remote_port)
{
	struct evtchn_bind_interdomain b = { .remote_dom = remote, .remote_port = remote_port };
	long ret = event_channel_op(EVTCHNOP_bind_interdomain, &b);

	return ret ? ret : b.local_port;
}

void evtchn_to_self(evtchn_port_t *a, evtchn_port_t *b)
{
	long from = evtchn_alloc_unbound(DOMID_SELF);
	long to = evtchn_bind_interdomain(DOMID_SELF, (evtchn_port_t)from);

	CHECK(from > 0 && to > 0, "channel to this domain: %ld, %ld", from, to);
	*a = (evtchn_port_t)from;
	*b = (evtchn_port_t)to;
	evtchn_clear(*b);
}

long evtchn_bind_virq(unsigned int virq, unsigned int vcpu)
{
	struct evtchn_bind_virq b = { .virq = virq, .vcpu = vcpu };
	long ret = event_channel_op(EVTCHNOP_bind_virq, &b);

	return ret ? ret : b.port;
}

long evtchn_bind_ipi(unsigned int vcpu)
{
	struct evtchn_bind_ipi b = { .vcpu = vcpu };
	long ret = event_channel_op(EVTCHNOP_bind_ipi, &b);

	return ret ? ret : b.port;
}

long evtchn_bind_vcpu(evtchn_port_t port, unsigned int vcpu)
{
	struct evtchn_bind_vcpu b = { .port = port, .vcpu = vcpu };

	return event_channel_op(EVTCHNOP_bind_vcpu, &b);
}

long evtchn_send(evtchn_port_t port)
{
	struct evtchn_send s = { .port = port };

	return event_channel_op(EVTCHNOP_send, &s);
}

long evtchn_close(evtchn_port_t port)
{
	struct evtchn_close c = { .port = port };

	return event_channel_op(EVTCHNOP_close, &c);
}

long evtchn_unmask(evtchn_port_t port)
{
	struct evtchn_unmask u = { .port = port };

	return event_channel_op(EVTCHNOP_unmask, &u);
}

long evtchn_status(evtchn_port_t port, struct evtchn_status *st)
{
	st->dom = DOMID_SELF;
	st->port = port;
	return event_channel_op(EVTCHNOP_status, st);
}

static unsigned long bit(evtchn_port_t port)
{
	return 1ul << (port % BITS_PER_WORD);
}

bool evtchn_pending(evtchn_port_t port)
{
	return READ_ONCE(shared_info->evtchn_pending[port / BITS_PER_WORD]) & bit(port);
}

bool evtchn_clear(evtchn_port_t port)
{
	return __atomic_fetch_and(&shared_info->evtchn_pending[port / BITS_PER_WORD], ~bit(port),
				  __ATOMIC_SEQ_CST) &
	       bit(port);
}

void evtchn_mask(evtchn_port_t port)
{
	__atomic_fetch_or(&shared_info->evtchn_mask[port / BITS_PER_WORD], bit(port),
			  __ATOMIC_SEQ_CST);
}

void evtchn_clear_mask(evtchn_port_t port)
{
	__atomic_fetch_and(&shared_info->evtchn_mask[port / BITS_PER_WORD], ~bit(port),
			   __ATOMIC_SEQ_CST);
}

/* Takes the selector word, then every pending unmasked port of each of its bits. */
static void deliver(struct vcpu_info *vi)
{
	unsigned long sel, bits;

	while (READ_ONCE(vi->evtchn_upcall_pending)) {
		WRITE_ONCE(vi->evtchn_upcall_pending, 0);
		sel = __atomic_exchange_n(&vi->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
		for (; sel; sel &= sel - 1) {
			unsigned int word = (unsigned int)__builtin_ctzl(sel);

			bits = READ_ONCE(shared_info->evtchn_pending[word]) &
			       ~READ_ONCE(shared_info->evtchn_mask[word]);
			for (; bits; bits &= bits - 1) {
				evtchn_port_t port =
					word * BITS_PER_WORD + (unsigned int)__builtin_ctzl(bits);

				if (evtchn_clear(port) && handlers[port])
					handlers[port](port);
			}
		}
	}
}

static void upcall(struct trap_regs *regs)
{
	(void)regs;
	if (upcall_needs_eoi[this_cpu()->id])
		lapic_eoi();
	deliver(this_cpu()->info);
}

long upcall_by_callback(uint8_t vector)
{
	set_trap_handler(vector, upcall);
	return hvm_set_param(HVM_PARAM_CALLBACK_IRQ, CALLBACK_TYPE_VECTOR | vector);
}

long upcall_by_vector(unsigned int vcpu, uint8_t vector)
{
	struct xen_hvm_evtchn_upcall_vector v = { .vcpu = vcpu, .vector = vector };
	long ret = hvm_op(HVMOP_set_evtchn_upcall_vector, &v);

	if (!ret) {
		set_trap_handler(vector, upcall);
		upcall_needs_eoi[vcpu] = true;
	}
	return ret;
}

void evtchn_set_handler(evtchn_port_t port, void (*handler)(evtchn_port_t port))
{
	handlers[port] = handler;
}
