/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: the FIFO ABI of event channels: errors, queues and their order, priorities, masks,
 * ports beyond the 2-level limit, two vCPUs, garbage in the words, and the return to the 2-level
 * ABI by a reset.
 */
#include "guest.h"

#define WORDS_PER_PAGE (PAGE_SIZE / sizeof(event_word_t))
#define ARRAY_PAGES 8u
#define NR_WORDS (ARRAY_PAGES * WORDS_PER_PAGE)
#define PENDING (1u << EVTCHN_FIFO_PENDING)
#define MASKED (1u << EVTCHN_FIFO_MASKED)
#define LINKED (1u << EVTCHN_FIFO_LINKED)
#define BUSY (1u << EVTCHN_FIFO_BUSY)
#define DEFAULT EVTCHN_FIFO_PRIORITY_DEFAULT
#define ROUNDS 200u
#define NOWHERE 0xfffffffffull

static event_word_t words[NR_WORDS] PAGE_ALIGNED;
static struct evtchn_fifo_control_block blocks[2] PAGE_ALIGNED;
static unsigned int heads[2][EVTCHN_FIFO_MAX_QUEUES];	/* 0: read the control block */
static evtchn_port_t taken[NR_WORDS];			/* in order of arrival */
static unsigned int nr_taken, hits[2];
static volatile bool stop;

static long init_control(unsigned int vcpu, uint64_t gfn, unsigned int offset)
{
	struct evtchn_init_control c = { .control_gfn = gfn, .offset = offset, .vcpu = vcpu };
	long ret = event_channel_op(EVTCHNOP_init_control, &c);

	CHECK(ret || c.link_bits == EVTCHN_FIFO_LINK_BITS, "link_bits %u", c.link_bits);
	return ret;
}

static uint64_t gfn_of(const void *p)
{
	return (uintptr_t)p >> PAGE_SHIFT;
}

static long init_vcpu(unsigned int vcpu)
{
	return init_control(vcpu, gfn_of(blocks), vcpu * sizeof(blocks[0]));
}

static long expand(uint64_t gfn)
{
	struct evtchn_expand_array a = { .array_gfn = gfn };

	return event_channel_op(EVTCHNOP_expand_array, &a);
}

static long set_priority(evtchn_port_t port, unsigned int priority)
{
	struct evtchn_set_priority p = { .port = port, .priority = priority };

	return event_channel_op(EVTCHNOP_set_priority, &p);
}

static void reset(void)
{
	struct evtchn_reset r = { .dom = DOMID_SELF };

	CHECK_RET(event_channel_op(EVTCHNOP_reset, &r), 0);
}

static event_word_t word(evtchn_port_t port)
{
	return READ_ONCE(words[port]);
}

static void mask(evtchn_port_t port)
{
	__atomic_fetch_or(&words[port], MASKED, __ATOMIC_SEQ_CST);
}

/* Clears LINKED as the ABI requires; returns the queue's next port. */
static evtchn_port_t unlink_port(evtchn_port_t port)
{
	event_word_t old = word(port);

	while (!__atomic_compare_exchange_n(&words[port], &old,
					    old & ~(LINKED | (event_word_t)EVTCHN_FIFO_LINK_MASK),
					    false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
	return old & (event_word_t)EVTCHN_FIFO_LINK_MASK;
}

/* Takes all ports from a vCPU's queues, highest priority first. Adds pending ports to taken[]. */
static void consume(unsigned int vcpu)
{
	struct evtchn_fifo_control_block *cb = &blocks[vcpu];
	unsigned int ready = __atomic_exchange_n(&cb->ready, 0, __ATOMIC_SEQ_CST);

	while (ready) {
		unsigned int q = (unsigned int)__builtin_ctz(ready), port = heads[vcpu][q];

		if (!port)
			port = READ_ONCE(cb->head[q]);
		CHECK(port && port < NR_WORDS, "queue %u of vCPU %u begins with port %u", q, vcpu,
		      port);
		heads[vcpu][q] = unlink_port(port);
		if (!heads[vcpu][q])
			ready &= ~(1u << q);
		if (!(word(port) & MASKED) &&
		    (__atomic_fetch_and(&words[port], ~PENDING, __ATOMIC_SEQ_CST) & PENDING)) {
			if (nr_taken < NR_WORDS)
				taken[nr_taken++] = port;
			__atomic_fetch_add(&hits[vcpu], 1, __ATOMIC_SEQ_CST);
		}
		ready |= __atomic_exchange_n(&cb->ready, 0, __ATOMIC_SEQ_CST);
	}
}

/* Consumes on vCPU 0, whose upcalls are off here, and compares. */
static void expect(unsigned int n, const evtchn_port_t *ports)
{
	nr_taken = 0;
	WRITE_ONCE(this_cpu()->info->evtchn_upcall_pending, 0);
	consume(0);
	CHECK(nr_taken == n, "%u events, not %u", nr_taken, n);
	for (unsigned int i = 0; i < n; i++)
		CHECK(taken[i] == ports[i], "event %u is of port %u, not %u", i, taken[i],
		      ports[i]);
}
#define EXPECT(...)                                                                       \
	do {                                                                              \
		const evtchn_port_t list[] = { __VA_ARGS__ };                             \
		expect(ARRAY_SIZE(list), list);                                           \
	} while (0)

static evtchn_port_t open_ipi(unsigned int vcpu)
{
	long port = evtchn_bind_ipi(vcpu);

	CHECK(port > 0, "bind_ipi %ld", port);
	return (evtchn_port_t)port;
}

static void test_errors(void)
{
	CHECK_RET(expand(gfn_of(words)), -XEN_EOPNOTSUPP);
	CHECK_RET(set_priority(open_ipi(0), 0), -XEN_ENOSYS);
	CHECK_RET(init_control(4096, gfn_of(blocks), 0), -XEN_ENOENT);
	CHECK_RET(init_control(0, gfn_of(blocks), PAGE_SIZE - sizeof(blocks[0]) + 8), -XEN_EINVAL);
	CHECK_RET(init_control(0, gfn_of(blocks), ~0u), -XEN_EINVAL);
	CHECK_RET(init_control(0, gfn_of(blocks), 4), -XEN_EINVAL);
	CHECK_RET(init_control(0, NOWHERE, 0), -XEN_EINVAL);
	CHECK_RET(event_channel_op(EVTCHNOP_init_control, (void *)0x7f0000000000), -XEN_EFAULT);
	/* Failed calls changed nothing. */
	CHECK_RET(expand(gfn_of(words)), -XEN_EOPNOTSUPP);
}

static void test_start(void)
{
	evtchn_port_t before = open_ipi(0), early;

	CHECK_RET(evtchn_send(before), 0);
	CHECK(evtchn_pending(before), "no event in the 2-level ABI");
	CHECK_RET(init_vcpu(0), 0);
	CHECK_RET(init_vcpu(0), -XEN_EINVAL);
	CHECK_RET(expand(NOWHERE), -XEN_EINVAL);
	early = open_ipi(0);
	CHECK_RET(evtchn_send(early), 0);
	CHECK(!READ_ONCE(blocks[0].ready), "a queue has a port that has no word");
	CHECK_RET(expand(gfn_of(words)), 0);
	CHECK((word(early) & (PENDING | LINKED)) == (PENDING | LINKED), "word %x of an early event",
	      word(early));
	CHECK(READ_ONCE(blocks[0].ready) == 1u << DEFAULT, "ready %x", READ_ONCE(blocks[0].ready));
	EXPECT(before, early);
	for (unsigned int i = 1; i < ARRAY_PAGES; i++)
		CHECK_RET(expand(gfn_of(&words[i * WORDS_PER_PAGE])), 0);
}

static void test_order(void)
{
	evtchn_port_t a = open_ipi(0), b = open_ipi(0), c = open_ipi(0);

	CHECK_RET(evtchn_send(b), 0);
	CHECK(READ_ONCE(this_cpu()->info->evtchn_upcall_pending), "no upcall is pending");
	CHECK_RET(evtchn_send(a), 0);
	CHECK_RET(evtchn_send(b), 0);
	CHECK_RET(evtchn_send(c), 0);
	CHECK(READ_ONCE(blocks[0].head[DEFAULT]) == b, "head %u",
	      READ_ONCE(blocks[0].head[DEFAULT]));
	CHECK(word(b) == (PENDING | LINKED | a), "word of the first: %x", word(b));
	CHECK(word(c) == (PENDING | LINKED), "word of the last: %x", word(c));
	EXPECT(b, a, c);
	/* The last one again, which was the tail. */
	CHECK_RET(evtchn_send(c), 0);
	CHECK_RET(evtchn_send(b), 0);
	EXPECT(c, b);

	CHECK_RET(set_priority(c, EVTCHN_FIFO_PRIORITY_MIN + 1), -XEN_EINVAL);
	CHECK_RET(set_priority(NR_WORDS, 0), -XEN_EINVAL);
	CHECK_RET(set_priority(c, EVTCHN_FIFO_PRIORITY_MAX), 0);
	CHECK_RET(set_priority(b, EVTCHN_FIFO_PRIORITY_MIN), 0);
	CHECK_RET(evtchn_send(b), 0);
	CHECK_RET(evtchn_send(a), 0);
	CHECK_RET(evtchn_send(c), 0);
	EXPECT(c, a, b);

	mask(a);
	CHECK_RET(evtchn_send(a), 0);
	CHECK(word(a) == (PENDING | MASKED), "word of a masked port: %x", word(a));
	CHECK_RET(evtchn_unmask(a), 0);
	CHECK(word(a) == (PENDING | LINKED), "word of an unmasked port: %x", word(a));
	EXPECT(a);

	/* A closed port keeps its place in the queue, and nobody receives it. */
	CHECK_RET(evtchn_send(a), 0);
	CHECK_RET(evtchn_close(a), 0);
	CHECK(word(a) == LINKED, "word of a closed port: %x", word(a));
	CHECK(open_ipi(0) != a, "a linked port is given out again");
	expect(0, NULL);
	CHECK(open_ipi(0) == a, "the port is not given out again");
}

static void test_many(void)
{
	long port = 0;
	evtchn_port_t at;

	while (port < (long)NR_WORDS - 1) {
		port = evtchn_alloc_unbound(DOMID_SELF);
		CHECK(port > 0, "error %ld", port);
	}
	CHECK_RET(evtchn_close((evtchn_port_t)port - 1), 0);
	at = (evtchn_port_t)evtchn_bind_interdomain(DOMID_SELF, (evtchn_port_t)port);
	CHECK(at == port - 1, "bind_interdomain gives port %u", at);
	EXPECT(at);
	CHECK_RET(evtchn_send(at), 0);
	EXPECT((evtchn_port_t)port);
}

static void upcall(struct trap_regs *regs)
{
	(void)regs;
	while (READ_ONCE(this_cpu()->info->evtchn_upcall_pending)) {
		WRITE_ONCE(this_cpu()->info->evtchn_upcall_pending, 0);
		consume(this_cpu()->id);
	}
}

static void wait_for_events(void)
{
	irq_enable();
	while (!stop)
		cpu_pause();
	irq_disable();
}

static void expect_hits(unsigned int vcpu, unsigned int n)
{
	CHECK(WAIT_FOR(READ_ONCE(hits[vcpu]) == n, 10 * NS_PER_S), "vCPU %u got %u of %u events",
	      vcpu, READ_ONCE(hits[vcpu]), n);
}

static void test_vcpus(void)
{
	evtchn_port_t a = (evtchn_port_t)evtchn_alloc_unbound(DOMID_SELF), ipi = open_ipi(1), b;

	CHECK_RET(upcall_by_callback(UPCALL_VECTOR), 0);
	set_trap_handler(UPCALL_VECTOR, upcall);
	CHECK_RET(init_vcpu(1), 0);
	cpu_start(1, wait_for_events);
	b = (evtchn_port_t)evtchn_bind_interdomain(DOMID_SELF, a);
	expect(1, &b);
	hits[0] = 0;
	irq_enable();
	for (unsigned int i = 1; i <= ROUNDS; i++) {
		/* Between vCPUs and priorities, with another port in the queues. */
		CHECK_RET(evtchn_bind_vcpu(b, 1), 0);
		CHECK_RET(set_priority(b, i % EVTCHN_FIFO_MAX_QUEUES), 0);
		CHECK_RET(evtchn_send(a), 0);
		CHECK_RET(evtchn_send(ipi), 0);
		expect_hits(1, 2 * i);
		CHECK_RET(evtchn_bind_vcpu(b, 0), 0);
		CHECK_RET(evtchn_send(a), 0);
		expect_hits(0, i);
	}
	stop = true;
	irq_disable();
	CHECK(WAIT_FOR(cpus_done() == 1, 10 * NS_PER_S), "vCPU 1 does not end");
}

/* A guest that writes garbage to its words can only lose events. */
static void test_garbage(void)
{
	evtchn_port_t port[8];

	for (unsigned int i = 0; i < ARRAY_SIZE(port); i++)
		port[i] = open_ipi(i % 2);
	for (unsigned int n = 0; n < 2000; n++) {
		evtchn_port_t p = port[random_u64() % ARRAY_SIZE(port)];

		WRITE_ONCE(words[port[random_u64() % ARRAY_SIZE(port)]],
			   (event_word_t)random_u64());
		WRITE_ONCE(blocks[n & 1].head[random_u64() % EVTCHN_FIFO_MAX_QUEUES], ~0u);
		WRITE_ONCE(blocks[n & 1].ready, (uint32_t)random_u64());
		CHECK_RET(set_priority(p, n % EVTCHN_FIFO_MAX_QUEUES), 0);
		CHECK_RET(evtchn_send(p), 0);
		CHECK_RET(evtchn_unmask(p), 0);
	}
}

int main(void)
{
	evtchn_port_t port;

	CHECK(start_info->flags & SIF_INITDOMAIN, "not the initial domain");
	CHECK(cpu_count() >= 2, "needs two vCPUs");
	test_errors();
	test_start();
	test_order();
	test_vcpus();
	test_garbage();

	reset();
	CHECK_RET(expand(gfn_of(words)), -XEN_EOPNOTSUPP);
	port = open_ipi(0);
	CHECK_RET(evtchn_send(port), 0);
	CHECK(evtchn_pending(port), "no event in the 2-level ABI after a reset");
	evtchn_clear(port);

	/* Start again, like a kernel started by kexec. */
	memset(words, 0, sizeof(words));
	memset(blocks, 0, sizeof(blocks));
	memset(heads, 0, sizeof(heads));
	CHECK_RET(evtchn_close(port), 0);
	test_errors();
	test_start();
	test_many();
	reset();
	pass();
}
