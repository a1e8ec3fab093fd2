/* SPDX-License-Identifier: BSD-2-Clause */
/* Scenario: the life of interdomain channels from a domain to itself: bind, send, mask, close. */
#include "guest.h"

#define NOBODY	0x7123

static evtchn_port_t a, b;

static void check_status(evtchn_port_t port, unsigned int want, evtchn_port_t remote)
{
	struct evtchn_status st;

	CHECK_RET(evtchn_status(port, &st), 0);
	CHECK(st.status == want, "port %u has status %u, wanted %u", port, st.status, want);
	if (want == EVTCHNSTAT_interdomain)
		CHECK(st.u.interdomain.port == remote, "port %u is bound to %u, wanted %u", port,
		      st.u.interdomain.port, remote);
}

static void check_bind(void)
{
	long ret = evtchn_alloc_unbound(DOMID_SELF);

	CHECK(ret > 0 && ret < NR_EVENT_CHANNELS, "alloc_unbound %ld", ret);
	a = (evtchn_port_t)ret;
	check_status(a, EVTCHNSTAT_unbound, 0);
	CHECK_RET(evtchn_send(a), 0);			/* no receiver: dropped */
	CHECK(!evtchn_pending(a), "a send to nobody came back");
	ret = evtchn_bind_interdomain(DOMID_SELF, a);
	CHECK(ret > 0 && ret != a, "bind_interdomain %ld", ret);
	b = (evtchn_port_t)ret;
	check_status(a, EVTCHNSTAT_interdomain, b);
	check_status(b, EVTCHNSTAT_interdomain, a);
	/* The binder gets an event at once, so that it misses none sent before. */
	CHECK(evtchn_clear(b), "not pending after bind_interdomain");
	CHECK(!evtchn_pending(a), "the other end pending after bind_interdomain");
	CHECK_RET(evtchn_bind_interdomain(DOMID_SELF, a), -XEN_EINVAL);
}

static void check_send(void)
{
	struct vcpu_info *vi = this_cpu()->info;

	vi->evtchn_upcall_pending = 0;
	vi->evtchn_pending_sel = 0;
	CHECK_RET(evtchn_send(a), 0);
	CHECK(evtchn_pending(b) && !evtchn_pending(a), "send did not set the other end");
	CHECK(!vi->evtchn_upcall_pending && !vi->evtchn_pending_sel, "a masked event asks upcall");
	CHECK_RET(evtchn_send(a), 0);
	CHECK(evtchn_clear(b), "second send");

	/* Pending when unmasked by hypercall: the vCPU gets an upcall now. */
	CHECK_RET(evtchn_send(a), 0);
	CHECK_RET(evtchn_unmask(b), 0);
	CHECK(!(shared_info->evtchn_mask[b / 64] & (1ul << b % 64)), "still masked");
	CHECK(vi->evtchn_upcall_pending == 1, "no upcall for an unmasked event");
	CHECK(vi->evtchn_pending_sel == 1ul << (b / 64), "selector %lx", vi->evtchn_pending_sel);
	vi->evtchn_upcall_pending = 0;
	vi->evtchn_pending_sel = 0;

	/* Already pending: no second edge. */
	CHECK_RET(evtchn_send(a), 0);
	CHECK(!vi->evtchn_upcall_pending, "upcall for an event that was pending already");
	evtchn_clear(b);
	CHECK_RET(evtchn_send(a), 0);
	CHECK(vi->evtchn_upcall_pending == 1, "no upcall for an unmasked port");
	evtchn_clear(b);
	vi->evtchn_upcall_pending = 0;
	vi->evtchn_pending_sel = 0;
	CHECK_RET(evtchn_unmask(b), 0);
	CHECK(!vi->evtchn_upcall_pending, "upcall by unmask with nothing pending");
	evtchn_mask(b);
	CHECK_RET(evtchn_send(b), 0);
	CHECK(evtchn_clear(a) && !evtchn_pending(b), "the other direction");
}

static void check_close(void)
{
	long ret;

	CHECK_RET(evtchn_close(b), 0);
	check_status(a, EVTCHNSTAT_unbound, 0);
	check_status(b, EVTCHNSTAT_closed, 0);
	CHECK_RET(evtchn_close(b), -XEN_EINVAL);
	CHECK_RET(evtchn_send(b), -XEN_EINVAL);
	ret = evtchn_bind_interdomain(DOMID_SELF, a);
	CHECK(ret == b, "port %u was not used again, but %ld", b, ret);
	CHECK_RET(evtchn_close(a), 0);
	CHECK_RET(evtchn_close(b), 0);
}

static void check_errors(void)
{
	struct evtchn_alloc_unbound au = { .dom = NOBODY, .remote_dom = DOMID_SELF };
	struct evtchn_status st;
	long ret;

	CHECK_RET(evtchn_send(0), -XEN_EINVAL);
	CHECK_RET(evtchn_close(0), -XEN_EINVAL);
	CHECK_RET(evtchn_send(NR_EVENT_CHANNELS * 64), -XEN_EINVAL);
	CHECK_RET(evtchn_send(~0u), -XEN_EINVAL);
	CHECK_RET(evtchn_close(~0u), -XEN_EINVAL);
	CHECK_RET(evtchn_unmask(~0u), -XEN_EINVAL);
	CHECK_RET(evtchn_status(~0u, &st), -XEN_EINVAL);
	CHECK_RET(evtchn_status(0, &st), 0);
	CHECK(st.status == EVTCHNSTAT_closed, "port 0 has status %u", st.status);
	CHECK_RET(evtchn_bind_interdomain(DOMID_SELF, ~0u), -XEN_EINVAL);
	CHECK_RET(evtchn_bind_interdomain(DOMID_SELF, 4000), -XEN_EINVAL);
	CHECK_RET(evtchn_bind_interdomain(NOBODY, 1), -XEN_ESRCH);
	CHECK_RET(evtchn_bind_vcpu(4000, 0), -XEN_EINVAL);
	ret = event_channel_op(EVTCHNOP_alloc_unbound, &au);
	CHECK(ret == -XEN_ESRCH || ret == -XEN_EPERM, "alloc_unbound for nobody: %ld", ret);
	CHECK_RET(event_channel_op(99, &au), -XEN_ENOSYS);
	CHECK_RET(event_channel_op(EVTCHNOP_send, (void *)0x7f0000000000), -XEN_EFAULT);
}

int main(void)
{
	check_bind();
	check_send();
	check_close();
	check_errors();
	pass();
}
