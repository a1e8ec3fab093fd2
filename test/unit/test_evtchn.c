/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event channels: the life of a port, delivery, and who is notified.
 * unit-sources: common/evtchn.c common/evtchn_fifo.c common/evtchn_bind.c common/grant.c common/grant_map.c test/unit/mock_guest.c
 */
#include "mock_guest.h"

#include <margay/domain_parts.h>

#define A mock_dom[1]
#define B mock_dom[2]
#define C mock_dom[3]

static struct evtchn_status st_of(struct domain *d, u32 port)
{
	struct evtchn_status st;

	memset(&st, 0xa5, sizeof(st));
	assert_int_equal(evtchn_status(d, port, &st), 0);
	return st;
}

static bool pending(struct domain *d, u32 port)
{
	return test_bit(port, d->shared_info->evtchn_pending);
}

static void connect_ports(struct domain *l, struct domain *r, u32 *lp, u32 *rp)
{
	int port = evtchn_alloc_unbound(r, l->id);

	assert_true(port > 0);
	*rp = (u32)port;
	port = evtchn_bind_interdomain(l, r, *rp);
	assert_true(port > 0);
	*lp = (u32)port;
}

static void test_ports(void **state)
{
	(void)state;
	assert_int_equal(evtchn_alloc_unbound(A, 2), 1);
	assert_int_equal(evtchn_alloc_unbound(A, 3), 2);
	assert_int_equal(evtchn_bind_ipi(A, 1), 3);
	assert_int_equal(st_of(A, 1).status, EVTCHNSTAT_unbound);
	assert_int_equal(st_of(A, 1).u.unbound.dom, 2);
	assert_int_equal(st_of(A, 0).status, EVTCHNSTAT_closed);
	assert_int_equal(st_of(A, 4).status, EVTCHNSTAT_closed);
	assert_int_equal(evtchn_close(A, 1), 0);
	assert_int_equal(st_of(A, 1).status, EVTCHNSTAT_closed);
	assert_int_equal(evtchn_close(A, 1), -EINVAL);
	assert_int_equal(evtchn_close(A, 0), -EINVAL);
	assert_int_equal(evtchn_close(A, EVTCHN_2L_NR_CHANNELS), -EINVAL);
	assert_int_equal(evtchn_close(A, ~0U), -EINVAL);
	assert_int_equal(evtchn_bind_ipi(A, 0), 1);
	assert_int_equal(evtchn_bind_ipi(A, MOCK_VCPUS), -ENOENT);
	/* A port does not exist until its objects are allocated. */
	assert_int_equal(evtchn_send(A, EVTCHN_2L_NR_CHANNELS - 1), -EINVAL);
	assert_int_equal(evtchn_unmask(A, EVTCHN_2L_NR_CHANNELS - 1), -EINVAL);
	assert_int_equal(evtchn_unmask(A, ~0U), -EINVAL);
}

static void test_interdomain(void **state)
{
	u32 a, b;

	(void)state;
	b = (u32)evtchn_alloc_unbound(B, 1);
	assert_int_equal(evtchn_bind_interdomain(C, B, b), -EINVAL);
	assert_int_equal(evtchn_bind_interdomain(A, B, b + 1), -EINVAL);
	assert_int_equal(evtchn_bind_interdomain(A, B, ~0U), -EINVAL);
	/* The failed call allocated no port. */
	assert_int_equal(evtchn_bind_ipi(A, 0), 1);
	assert_int_equal(evtchn_close(A, 1), 0);

	assert_int_equal(evtchn_send(B, b), 0);
	a = (u32)evtchn_bind_interdomain(A, B, b);
	assert_int_equal(a, 1);
	assert_true(pending(A, a)); /* an event that B sent earlier is kept */
	assert_int_equal(st_of(A, a).status, EVTCHNSTAT_interdomain);
	assert_int_equal(st_of(A, a).u.interdomain.dom, 2);
	assert_int_equal(st_of(A, a).u.interdomain.port, b);
	assert_int_equal(st_of(B, b).u.interdomain.dom, 1);
	assert_int_equal(evtchn_bind_interdomain(A, B, b), -EINVAL);

	mock_clear_events();
	assert_int_equal(evtchn_bind_vcpu(B, b, 2), 0);
	assert_int_equal(evtchn_send(A, a), 0);
	assert_true(pending(B, b));
	assert_false(pending(A, a));
	assert_int_equal(B->vcpus[2]->info->evtchn_upcall_pending, 1);
	assert_int_equal(B->vcpus[2]->info->evtchn_pending_sel, 1);
	assert_int_equal(mock_wakes[2][2], 1);
	assert_int_equal(evtchn_send(B, b), 0);
	assert_true(pending(A, a));

	assert_int_equal(evtchn_close(A, a), 0);
	assert_false(pending(A, a));
	assert_int_equal(st_of(B, b).status, EVTCHNSTAT_unbound);
	assert_int_equal(st_of(B, b).u.unbound.dom, 1);
	assert_int_equal(evtchn_send(B, b), 0);
	assert_int_equal(A->refs, 1);
	assert_int_equal(B->refs, 1);
}

static void test_loopback(void **state)
{
	u32 p, q;

	(void)state;
	connect_ports(A, A, &p, &q);
	mock_clear_events();
	assert_int_equal(evtchn_send(A, p), 0);
	assert_true(pending(A, q));
	assert_false(pending(A, p));
	assert_int_equal(evtchn_close(A, q), 0);
	assert_int_equal(st_of(A, p).status, EVTCHNSTAT_unbound);
	assert_int_equal(evtchn_close(A, p), 0);
	assert_false(spin_is_locked(&A->lock));
}

static void test_virq(void **state)
{
	int timer, con;

	(void)state;
	assert_int_equal(evtchn_bind_virq(A, NR_VIRQS, 0), -EINVAL);
	assert_int_equal(evtchn_bind_virq(A, VIRQ_TIMER, MOCK_VCPUS), -ENOENT);
	assert_int_equal(evtchn_bind_virq(A, VIRQ_CONSOLE, 1), -EINVAL);
	timer = evtchn_bind_virq(A, VIRQ_TIMER, 1);
	assert_int_equal(timer, 1);
	assert_int_equal(evtchn_bind_virq(A, VIRQ_TIMER, 1), -EEXIST);
	assert_int_equal(evtchn_bind_virq(A, VIRQ_TIMER, 2), 2);
	con = evtchn_bind_virq(A, VIRQ_CONSOLE, 0);
	assert_int_equal(con, 3);

	evtchn_virq(A->vcpus[0], VIRQ_TIMER);
	assert_false(pending(A, 1) || pending(A, 2));
	evtchn_virq(A->vcpus[1], VIRQ_TIMER);
	assert_true(pending(A, 1));
	assert_int_equal(mock_wakes[1][1], 1);
	assert_int_equal(evtchn_send(A, 1), -EINVAL);

	assert_int_equal(evtchn_bind_vcpu(A, 1, 0), -EINVAL);
	assert_int_equal(evtchn_bind_vcpu(A, 3, 2), 0);
	assert_int_equal(evtchn_bind_vcpu(A, 3, MOCK_VCPUS), -ENOENT);
	evtchn_virq(A->vcpus[0], VIRQ_CONSOLE);
	assert_true(pending(A, 3));
	assert_int_equal(mock_wakes[1][2], 1);
	assert_int_equal(st_of(A, 3).status, EVTCHNSTAT_virq);
	assert_int_equal(st_of(A, 3).u.virq, VIRQ_CONSOLE);
	assert_int_equal(st_of(A, 3).vcpu, 2);

	assert_int_equal(evtchn_close(A, 1), 0);
	assert_int_equal(A->vcpus[1]->virq_port[VIRQ_TIMER], 0);
	assert_int_equal(A->vcpus[2]->virq_port[VIRQ_TIMER], 2);
	mock_clear_events();
	evtchn_virq(A->vcpus[1], VIRQ_TIMER);
	assert_int_equal(mock_wakes[1][1], 0);
	assert_int_equal(evtchn_bind_virq(A, VIRQ_TIMER, 1), 1);
}

/* Numbers for interrupts of a guest's functions, from a call or at random. */
static void test_pirq(void **state)
{
	int pirq = evtchn_new_pirq(A), port;

	(void)state;
	assert_int_equal(evtchn_bind_pirq(A, (u32)pirq), -EINVAL);
	A->pirqs = true;
	assert_int_equal(evtchn_bind_pirq(A, NR_PIRQS), -EINVAL);
	assert_int_equal(evtchn_bind_pirq(A, ~0U), -EINVAL);
	evtchn_pirq(A, (u32)pirq);
	evtchn_pirq(A, NR_PIRQS);
	evtchn_pirq(A, ~0U);
	assert_false(pending(A, 0) || pending(A, 1));
	assert_ptr_equal(evtchn_pirq_vcpu(A, (u32)pirq), A->vcpus[0]);
	port = evtchn_bind_pirq(A, (u32)pirq);
	assert_int_equal(port, 1);
	assert_true(pending(A, 1));	/* one may have been lost */
	assert_int_equal(evtchn_bind_pirq(A, (u32)pirq), -EEXIST);
	assert_int_equal(evtchn_bind_vcpu(A, 1, 2), 0);
	assert_ptr_equal(evtchn_pirq_vcpu(A, (u32)pirq), A->vcpus[2]);
	assert_int_equal(evtchn_send(A, 1), -EINVAL);
	mock_clear_events();
	evtchn_pirq(A, (u32)pirq);
	assert_true(pending(A, 1));
	assert_int_equal(mock_wakes[1][2], 1);
	assert_int_equal(st_of(A, 1).status, EVTCHNSTAT_pirq);
	assert_int_equal(st_of(A, 1).u.pirq, pirq);
	for (unsigned i = 1; i < NR_PIRQS + 10; i++)
		assert_int_not_equal(evtchn_new_pirq(A), pirq);
	for (u32 i = 0; i < NR_PIRQS; i++)
		assert_true(evtchn_bind_pirq(A, i) == -EEXIST || i != (u32)pirq);
	assert_int_equal(evtchn_new_pirq(A), -ENOSPC);
	assert_int_equal(evtchn_close(A, 1), 0);
	assert_int_equal(evtchn_new_pirq(A), pirq);
	mock_clear_events();
	evtchn_pirq(A, (u32)pirq);
	assert_false(pending(A, 1));
	assert_int_equal(evtchn_reset(A), -ERESTART);
}

static void test_mask(void **state)
{
	int p = evtchn_bind_ipi(A, 1), q = evtchn_bind_ipi(A, 1);
	struct vcpu *v = A->vcpus[1];

	(void)state;
	set_bit((unsigned)p, A->shared_info->evtchn_mask);
	assert_int_equal(evtchn_send(A, (u32)p), 0);
	assert_true(pending(A, (u32)p));
	assert_int_equal(v->info->evtchn_upcall_pending, 0);
	assert_int_equal(v->info->evtchn_pending_sel, 0);
	assert_int_equal(mock_wakes[1][1], 0);

	assert_int_equal(evtchn_unmask(A, (u32)p), 0);
	assert_int_equal(v->info->evtchn_upcall_pending, 1);
	assert_int_equal(mock_wakes[1][1], 1);
	/* No second notification, for this port or another, before the guest has looked. */
	assert_int_equal(evtchn_unmask(A, (u32)p), 0);
	assert_int_equal(evtchn_send(A, (u32)p), 0);
	assert_int_equal(evtchn_send(A, (u32)q), 0);
	assert_int_equal(mock_wakes[1][1], 1);
	assert_int_equal(mock_posts[1][1], 1);
	/* Unmasking a port that is not pending notifies nobody. */
	mock_clear_events();
	set_bit((unsigned)q, A->shared_info->evtchn_mask);
	assert_int_equal(evtchn_unmask(A, (u32)q), 0);
	assert_int_equal(mock_wakes[1][1], 0);
	assert_int_equal(evtchn_bind_vcpu(A, (u32)p, 0), -EINVAL);
}

static void test_32bit(void **state)
{
	struct shared_info_x86_32 *s = (void *)A->shared_info;
	struct vcpu_info_x86_32 *info = &s->vcpu_info[1];
	struct vcpu_info moved;
	int p = 0;

	(void)state;
	A->shared_32bit = true;
	evtchn_update_layout(A);
	while (p < 70)
		p = evtchn_bind_ipi(A, 1);
	s->evtchn_mask[2] = 1U << 6;
	assert_int_equal(evtchn_send(A, 70), 0);
	assert_int_equal(s->evtchn_pending[2], 1U << 6);
	assert_int_equal(info->evtchn_pending_sel, 0);
	assert_int_equal(st_of(A, 70).status, EVTCHNSTAT_ipi);
	assert_int_equal(evtchn_pending(A, 70), 1);
	assert_int_equal(evtchn_unmask(A, 70), 0);
	assert_int_equal(s->evtchn_mask[2], 0);
	assert_int_equal(info->evtchn_pending_sel, 1U << 2);
	assert_int_equal(info->evtchn_upcall_pending, 1);
	assert_int_equal(mock_wakes[1][1], 1);
	info->evtchn_pending_sel = 0;
	assert_int_equal(evtchn_send(A, 32), 0);
	assert_int_equal(info->evtchn_pending_sel, 1U << 1);

	evtchn_move_vcpu_info(A->vcpus[1], &moved);
	assert_int_equal(((struct vcpu_info_x86_32 *)&moved)->evtchn_pending_sel, ~0U);
	assert_int_equal(moved.evtchn_upcall_pending, 1);
	A->vcpus[1]->info = &A->shared_info->vcpu_info[1];

	while ((p = evtchn_bind_ipi(A, 0)) > 0)
		assert_true(p < 1024);
	assert_int_equal(p, -ENOSPC);
	A->shared_32bit = false;
	evtchn_update_layout(A);
	assert_int_equal(evtchn_bind_ipi(A, 0), 1024);
}

static void test_upcall_vector(void **state)
{
	int p = evtchn_bind_ipi(A, 2);

	(void)state;
	A->vcpus[2]->upcall_vector = 0xf3;
	assert_int_equal(evtchn_send(A, (u32)p), 0);
	assert_int_equal(mock_vector, 0xf3);
	assert_int_equal(mock_posts[1][2], 0);
}

static void test_vcpu_info(void **state)
{
	struct vcpu *v = A->vcpus[0];
	struct vcpu_info to;

	(void)state;
	memset(&to, 0xff, sizeof(to));
	v->info->arch.cr2 = 0x1234;
	evtchn_move_vcpu_info(v, &to);
	assert_ptr_equal(v->info, &to);
	assert_int_equal(to.arch.cr2, 0x1234);
	assert_int_equal(to.evtchn_upcall_pending, 1);
	assert_true(to.evtchn_pending_sel == ~0UL);
	assert_int_equal(mock_wakes[1][0], 1);

	/* A vCPU beyond the legacy ones gets no events until it registers a vcpu_info. */
	v = A->vcpus[1];
	v->info = &dummy_vcpu_info;
	assert_int_equal(evtchn_send(A, (u32)evtchn_bind_ipi(A, 1)), 0);
	assert_int_equal(mock_wakes[1][1], 0);
	assert_int_equal(dummy_vcpu_info.evtchn_upcall_pending, 0);
	memset(&to, 0xff, sizeof(to));
	evtchn_move_vcpu_info(v, &to);
	assert_int_equal(to.evtchn_upcall_mask, 1);
	assert_int_equal(to.arch.cr2, 0);
	assert_int_equal(mock_wakes[1][1], 1);
	A->vcpus[0]->info = v->info = &A->shared_info->vcpu_info[0];
	dummy_vcpu_info.evtchn_pending_sel = 0;
}

static unsigned calls;

static void call(struct domain *d)
{
	assert_ptr_equal(d, A);
	calls++;
	evtchn_notify(d, 1); /* must not deadlock on the lock */
}

static unsigned changes;

static void change(struct domain *d)
{
	assert_ptr_equal(d, A);
	changes += evtchn_lent(d, 1) ? 1 : 0x100;
}

static const struct evtchn_margay margay = { call, change };

static void test_margay_end(void **state)
{
	int port = evtchn_alloc_margay(A, &margay);

	(void)state;
	calls = 0;
	assert_int_equal(port, 1);
	assert_int_equal(evtchn_send(A, 1), 0);
	assert_int_equal(calls, 1);
	assert_true(pending(A, 1));
	assert_int_equal(mock_wakes[1][0], 1);
	assert_int_equal(st_of(A, 1).status, EVTCHNSTAT_interdomain);
	assert_int_equal(st_of(A, 1).u.interdomain.dom, DOMID_XEN);
	assert_int_equal(evtchn_bind_vcpu(A, 1, 1), 0);
	mock_clear_events();
	evtchn_notify(A, 1);
	assert_int_equal(mock_wakes[1][1], 1);
	assert_int_equal(evtchn_bind_ipi(A, 0), 2);
	assert_int_equal(evtchn_reset(A), 0);
	assert_int_equal(st_of(A, 1).status, EVTCHNSTAT_interdomain);
	assert_int_equal(st_of(A, 2).status, EVTCHNSTAT_closed);
	assert_int_equal(evtchn_close(A, 1), 0);
	mock_clear_events();
	evtchn_notify(A, 1);
	assert_false(pending(A, 1));
	assert_int_equal(evtchn_send(A, 1), -EINVAL);
	assert_int_equal(evtchn_alloc_margay(A, &margay), 1); /* left for the teardown */
}

/* The control domain takes Margay's port; both ends can end that. */
static void test_lent(void **state)
{
	u32 p = (u32)evtchn_alloc_margay(A, &margay);
	int q;

	(void)state;
	calls = changes = 0;
	assert_int_equal(evtchn_bind_interdomain(B, A, p), -EINVAL);
	B->initial = true;
	A->initial = true;
	assert_int_equal(evtchn_bind_interdomain(B, A, p), -EINVAL);
	A->initial = false;
	assert_false(evtchn_lent(A, p));
	q = evtchn_bind_interdomain(B, A, p);
	assert_true(q > 0);
	assert_int_equal(changes, 1);
	assert_true(pending(B, (u32)q));
	assert_int_equal(evtchn_bind_interdomain(B, A, p), -EINVAL);
	assert_int_equal(st_of(A, p).status, EVTCHNSTAT_interdomain);
	assert_int_equal(st_of(A, p).u.interdomain.dom, B->id);
	assert_int_equal(st_of(B, (u32)q).u.interdomain.port, p);
	mock_clear_events();
	assert_int_equal(evtchn_send(A, p), 0);
	assert_true(pending(B, (u32)q));
	assert_false(pending(A, p));
	assert_int_equal(evtchn_send(B, (u32)q), 0);
	assert_true(pending(A, p));
	assert_int_equal(calls, 0);
	mock_clear_events();
	evtchn_notify(A, p);
	assert_false(pending(A, p));
	assert_int_equal(evtchn_reset(A), 0); /* keeps it */
	assert_true(evtchn_lent(A, p));

	assert_int_equal(evtchn_close(B, (u32)q), 0);
	assert_int_equal(changes, 0x101);
	assert_int_equal(st_of(A, p).u.interdomain.dom, DOMID_XEN);
	assert_int_equal(evtchn_send(A, p), 0);
	assert_int_equal(calls, 1);

	q = evtchn_bind_interdomain(B, A, p);
	assert_int_equal(changes, 0x102);
	assert_int_equal(evtchn_close(A, p), 0);
	assert_int_equal(changes, 0x202);
	assert_int_equal(st_of(A, p).status, EVTCHNSTAT_closed);
	assert_int_equal(st_of(B, (u32)q).status, EVTCHNSTAT_unbound);
	B->initial = false;
}

static void test_limit(void **state)
{
	unsigned before = mock_pages_in_use(), n, steps = 0;
	u32 a, b;

	(void)state;
	connect_ports(A, B, &a, &b);
	for (n = 2; n < EVTCHN_2L_NR_CHANNELS; n++)
		assert_int_equal(evtchn_alloc_unbound(A, 2), n);
	assert_int_equal(evtchn_alloc_unbound(A, 2), -ENOSPC);
	assert_int_equal(evtchn_bind_ipi(A, 0), -ENOSPC);
	assert_int_equal(evtchn_bind_virq(A, VIRQ_TIMER, 0), -ENOSPC);
	assert_int_equal(A->vcpus[0]->virq_port[VIRQ_TIMER], 0);
	assert_int_equal(evtchn_close(A, 4000), 0);
	assert_int_equal(evtchn_bind_ipi(A, 0), 4000);
	assert_int_equal(evtchn_send(A, 4000), 0);
	assert_true(A->vcpus[0]->info->evtchn_pending_sel & 1UL << (4000 / 64));
	while (evtchn_reset(A) == -ERESTART)
		steps++;
	assert_true(steps > 10);
	assert_int_equal(st_of(B, b).status, EVTCHNSTAT_unbound);
	for (n = 0; n < EVTCHN_2L_NR_CHANNELS; n++)
		assert_int_equal(st_of(A, n).status, EVTCHNSTAT_closed);
	assert_int_equal(evtchn_bind_ipi(A, 0), 1);
	assert_int_equal(mock_pages_in_use(), before + 15);
}

static void test_no_memory(void **state)
{
	unsigned n;

	(void)state;
	for (n = 1; n < 256; n++)
		assert_int_equal(evtchn_bind_ipi(A, 0), n);
	mock_alloc_left = 0;
	assert_int_equal(evtchn_bind_ipi(A, 0), -ENOMEM);
	assert_int_equal(evtchn_alloc_margay(A, &margay), -ENOMEM);
	assert_int_equal(evtchn_bind_virq(A, VIRQ_TIMER, 0), -ENOMEM);
	mock_alloc_left = -1;
	assert_int_equal(evtchn_bind_virq(A, VIRQ_TIMER, 0), 256);
}

static void test_death(void **state)
{
	u32 a, b, a2, c;

	(void)state;
	connect_ports(A, B, &a, &b);
	connect_ports(A, C, &a2, &c);
	assert_int_equal(evtchn_part.destroy(A), 0);
	assert_int_equal(evtchn_alloc_unbound(A, 2), -ENOSPC);
	mock_destroy(A);
	assert_null(mock_dom[1]);
	assert_int_equal(st_of(B, b).status, EVTCHNSTAT_unbound);
	assert_int_equal(st_of(B, b).u.unbound.dom, 1);
	assert_int_equal(st_of(C, c).status, EVTCHNSTAT_unbound);
	assert_int_equal(evtchn_send(B, b), 0);
}

static void test_poll(void **state)
{
	int p = evtchn_bind_ipi(A, 0), q = evtchn_bind_ipi(A, 0);
	struct vcpu *v = A->vcpus[1];

	(void)state;
	set_bit((unsigned)p, A->shared_info->evtchn_mask);
	set_bit((unsigned)q, A->shared_info->evtchn_mask);
	evtchn_poll_begin(v, 1, (unsigned)p);
	assert_int_equal(evtchn_send(A, (u32)q), 0);
	assert_int_equal(mock_wakes[1][1], 0);
	assert_int_equal(evtchn_send(A, (u32)p), 0);
	assert_int_equal(mock_wakes[1][1], 1);
	assert_true(evtchn_pending(A, (unsigned)p));
	assert_int_equal(v->poll_ports, 0);
	assert_false(evtchn_poll_end(v));

	mock_clear_events();
	evtchn_poll_begin(v, 2, 0);
	assert_int_equal(evtchn_send(A, (u32)q), 0);
	assert_int_equal(mock_wakes[1][1], 1);
	mock_clear_events();
	assert_int_equal(evtchn_send(A, (u32)q), 0);
	assert_int_equal(mock_wakes[1][1], 0);
	evtchn_poll_begin(v, 2, 0);
	assert_true(evtchn_poll_end(v));
}

static void check_symmetry(void)
{
	unsigned i, p;

	for (i = 1; i <= MOCK_DOMAINS; i++) {
		for (p = 0; p < 64; p++) {
			struct evtchn_status s = st_of(mock_dom[i], p), r;

			if (s.status != EVTCHNSTAT_interdomain)
				continue;
			r = st_of(mock_dom[s.u.interdomain.dom], s.u.interdomain.port);
			assert_int_equal(r.status, EVTCHNSTAT_interdomain);
			assert_int_equal(r.u.interdomain.dom, i);
			assert_int_equal(r.u.interdomain.port, p);
		}
		assert_int_equal(mock_dom[i]->refs, 1);
	}
}

/* Any order of operations leaves both ends of every connection consistent. */
static void test_random_walk(void **state)
{
	u32 seed = 12345;
	unsigned n;

	(void)state;
	for (n = 0; n < 200000; n++) {
		struct domain *d, *e;
		u32 r, p;

		seed = seed * 1664525 + 1013904223;
		r = seed >> 8;
		d = mock_dom[1 + r % 3];
		e = mock_dom[1 + r / 3 % 3];
		p = r / 9 % 40;
		switch (r / 360 % 9) {
		case 0:
			evtchn_alloc_unbound(d, e->id);
			break;
		case 1:
		case 2:
			evtchn_bind_interdomain(d, e, p);
			break;
		case 3:
		case 4:
			evtchn_close(d, p);
			break;
		case 5:
			evtchn_send(d, p);
			break;
		case 6:
			evtchn_bind_virq(d, p % NR_VIRQS, r % 2);
			break;
		case 7:
			evtchn_bind_vcpu(d, p, r % 4);
			break;
		case 8:
			if (r % 50 == 0)
				evtchn_reset(d);
			else
				evtchn_bind_ipi(d, r % 4);
			break;
		}
		if (n % 64 == 0)
			check_symmetry();
	}
}

static void test_dump(void **state)
{
	u32 a, b;

	(void)state;
	connect_ports(A, B, &a, &b);
	assert_int_equal(evtchn_bind_virq(A, VIRQ_DEBUG, 1), 2);
	evtchn_dump(A);
	assert_logged("port 1: interdomain to d2:1");
	assert_logged("port 2: virq 1, vCPU 1");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, mock_setup, mock_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_ports),         TEST(test_interdomain), TEST(test_loopback),
		TEST(test_virq),          TEST(test_pirq),        TEST(test_mask),
		TEST(test_upcall_vector), TEST(test_vcpu_info),   TEST(test_margay_end),
		TEST(test_lent),          TEST(test_limit),       TEST(test_32bit),
		TEST(test_no_memory),     TEST(test_death),       TEST(test_poll),
		TEST(test_random_walk),   TEST(test_dump),
	};

	return cmocka_run_group_tests_name("evtchn", tests, NULL, NULL);
}
