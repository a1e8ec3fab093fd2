/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The FIFO ABI of event channels: queues, moves between them, words added late, hostile words, and
 * pinned pages.
 * unit-sources: common/evtchn.c common/evtchn_fifo.c common/evtchn_bind.c common/grant.c common/grant_map.c test/unit/mock_guest.c
 */
#include "mock_guest.h"

#include "../../common/evtchn_priv.h"

#define A mock_dom[1]
#define PENDING (1U << EVTCHN_FIFO_PENDING)
#define MASKED (1U << EVTCHN_FIFO_MASKED)
#define LINKED (1U << EVTCHN_FIFO_LINKED)
#define BUSY (1U << EVTCHN_FIFO_BUSY)
#define LINK ((u32)EVTCHN_FIFO_LINK_MASK)
#define DEFAULT EVTCHN_FIFO_PRIORITY_DEFAULT
#define CONTROL_GFN 100U
#define WORDS_GFN 200U

static struct evtchn_fifo_control_block *block[MOCK_VCPUS];
static event_word_t *words;	/* the first page of words */
static mfn_t control_mfn, words_mfn;

static void start(void)
{
	control_mfn = mock_ram(A, CONTROL_GFN);
	words_mfn = mock_ram(A, WORDS_GFN);
	words = mfn_to_virt(words_mfn);
	for (u32 i = 0; i < MOCK_VCPUS; i++) {
		block[i] = (void *)((char *)mfn_to_virt(control_mfn) + i * sizeof(*block[0]));
		assert_int_equal(evtchn_fifo_init_control(A, i, CONTROL_GFN,
							  (u32)(i * sizeof(*block[0]))),
				 0);
	}
	assert_int_equal(evtchn_fifo_expand_array(A, WORDS_GFN), 0);
}

static u32 ipi(u32 vcpu)
{
	int port = evtchn_bind_ipi(A, vcpu);

	assert_true(port > 0);
	return (u32)port;
}

/* Consumes an event as a guest does; returns the next port. */
static u32 consume(u32 port)
{
	u32 next = words[port] & LINK;

	assert_true(words[port] & LINKED);
	words[port] &= ~(PENDING | LINKED | LINK);
	return next;
}

static void test_arguments(void **state)
{
	mfn_t mfn = mock_ram(A, CONTROL_GFN);

	(void)state;
	assert_int_equal(evtchn_fifo_expand_array(A, CONTROL_GFN), -EOPNOTSUPP);
	assert_int_equal(evtchn_fifo_set_priority(A, ipi(0), 1), -ENOSYS);
	assert_int_equal(evtchn_fifo_init_control(A, MOCK_VCPUS, CONTROL_GFN, 0), -ENOENT);
	assert_int_equal(evtchn_fifo_init_control(A, 0, CONTROL_GFN, 4), -EINVAL);
	assert_int_equal(evtchn_fifo_init_control(A, 0, CONTROL_GFN, 4096 - 64), -EINVAL);
	assert_int_equal(evtchn_fifo_init_control(A, 0, ~0UL, 0), -EINVAL);
	mock_alloc_left = 0;
	assert_int_equal(evtchn_fifo_init_control(A, 0, CONTROL_GFN, 0), -ENOMEM);
	mock_alloc_left = -1;
	assert_int_equal(mock_page_refs(mfn), 0);
	assert_int_equal(evtchn_fifo_init_control(A, 0, CONTROL_GFN, 4096 - 72), 0);
	assert_int_equal(evtchn_fifo_init_control(A, 0, CONTROL_GFN, 0), -EINVAL);
	assert_int_equal(mock_page_refs(mfn), 1);
	assert_int_equal(evtchn_fifo_expand_array(A, ~0UL), -EINVAL);
	assert_int_equal(evtchn_fifo_set_priority(A, 9, 1), -EACCES);
	assert_int_equal(evtchn_fifo_set_priority(A, 1, 16), -EINVAL);
	assert_int_equal(evtchn_fifo_set_priority(A, ~0U, 1), -EINVAL);
}

/* Events from before the guest added words for them: from the 2-level ABI, and later ones. */
static void test_late_words(void **state)
{
	u32 a = ipi(0), b = ipi(1), c = ipi(0);

	(void)state;
	assert_int_equal(evtchn_send(A, a), 0);
	assert_int_equal(evtchn_send(A, c), 0);
	control_mfn = mock_ram(A, CONTROL_GFN);
	words = mfn_to_virt(words_mfn = mock_ram(A, WORDS_GFN));
	assert_int_equal(evtchn_fifo_init_control(A, 0, CONTROL_GFN, 0), 0);
	/* A port that is closed before it has a word loses its event. */
	assert_int_equal(evtchn_close(A, c), 0);
	assert_int_equal(ipi(0), c);
	assert_int_equal(evtchn_send(A, b), 0);
	assert_int_equal(evtchn_pending(A, a), 0);
	assert_int_equal(evtchn_fifo_init_control(A, 1, CONTROL_GFN, 128), 0);
	assert_int_equal(evtchn_fifo_expand_array(A, WORDS_GFN), 0);
	assert_false(test_bit(a, A->shared_info->evtchn_pending));
	assert_int_equal(words[a], PENDING | LINKED);
	assert_int_equal(words[b], PENDING | LINKED);
	assert_int_equal(words[c], 0);
	assert_int_equal(evtchn_pending(A, b), 1);
	assert_int_equal(mock_wakes[1][1], 1);
	/* vCPU 2 has no control block: its events stay pending in the word, unlinked. */
	a = ipi(2);
	assert_int_equal(evtchn_send(A, a), 0);
	assert_int_equal(words[a], PENDING);
}

/* Many missed events are raised in steps. Another vCPU's call adds its own page. */
static void test_replay(void **state)
{
	unsigned steps = 1, pending = 0;
	event_word_t *second;
	int rc;

	(void)state;
	mock_ram(A, CONTROL_GFN);
	words = mfn_to_virt(mock_ram(A, WORDS_GFN));
	second = mfn_to_virt(mock_ram(A, WORDS_GFN + 1));
	assert_int_equal(evtchn_fifo_init_control(A, 0, CONTROL_GFN, 0), 0);
	for (u32 port = 0; port < 1100;)
		assert_int_equal(evtchn_send(A, port = ipi(0)), 0);
	assert_int_equal(evtchn_fifo_expand_array(A, WORDS_GFN), -ERESTART);
	assert_int_equal(evtchn_fifo_expand_array(A, WORDS_GFN + 1), -ERESTART);
	while ((rc = evtchn_fifo_expand_array(A, WORDS_GFN)) == -ERESTART)
		steps++;
	assert_int_equal(rc, 0);
	assert_in_range(steps, 10, 100);
	assert_int_equal(second[0], 0);
	/* From here on, another CPU restarts the call. */
	assert_int_equal(evtchn_fifo_expand_array(A, WORDS_GFN), 0);
	while ((rc = evtchn_fifo_expand_array(A, WORDS_GFN + 1)) == -ERESTART)
		;
	assert_int_equal(rc, 0);
	assert_int_equal(second[0] & ~LINK, PENDING | LINKED);
	for (unsigned i = 0; i < 1024; i++)
		pending += (words[i] >> EVTCHN_FIFO_PENDING & 1) +
			   (second[i] >> EVTCHN_FIFO_PENDING & 1);
	assert_in_range(pending, 1090, 1100);
}

/* A port that is closed while its event waits for the replay loses the event. */
static void test_replay_close(void **state)
{
	int rc;

	(void)state;
	mock_ram(A, CONTROL_GFN);
	mock_ram(A, WORDS_GFN);
	for (u32 port = 0; port < 1000;)
		assert_int_equal(evtchn_send(A, port = ipi(0)), 0);
	assert_int_equal(evtchn_fifo_init_control(A, 0, CONTROL_GFN, 0), 0);
	assert_int_equal(evtchn_fifo_expand_array(A, WORDS_GFN), -ERESTART);
	assert_int_equal(evtchn_close(A, 900), 0);
	assert_int_equal(ipi(0), 900);
	while ((rc = evtchn_fifo_expand_array(A, WORDS_GFN)) == -ERESTART)
		;
	assert_int_equal(rc, 0);
	assert_int_equal(evtchn_pending(A, 900), 0);
	assert_false(test_bit(900, A->shared_info->evtchn_pending));
}

/* A sender that chose the 2-level ABI before the switch marks its event after the replay. */
static void test_late_sender(void **state)
{
	u32 port = ipi(0);

	(void)state;
	start();
	assert_true(evtchn_2l_set(A, evtchn_known(A, port), port, false));
	evtchn_fifo_adopt(A, port);
	assert_int_equal(words[port], PENDING | LINKED);
	assert_false(test_bit(port, A->shared_info->evtchn_pending));
	evtchn_fifo_adopt(A, port);
	assert_int_equal(words[port], PENDING | LINKED);
}

/* The search for a port ends though each bucket has a free one that is still linked. */
static void test_linked_ports(void **state)
{
	event_word_t *page[5];

	(void)state;
	mock_ram(A, CONTROL_GFN);
	assert_int_equal(evtchn_fifo_init_control(A, 0, CONTROL_GFN, 0), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(page); i++) {
		page[i] = mfn_to_virt(mock_ram(A, WORDS_GFN + i));
		assert_int_equal(evtchn_fifo_expand_array(A, WORDS_GFN + i), 0);
	}
	while (ipi(0) < 5 * 1024 - 1)
		;
	for (u32 port = 9; port < 5 * 1024; port += 256) {
		assert_int_equal(evtchn_close(A, port), 0);
		page[port / 1024][port % 1024] = LINKED;
	}
	assert_int_equal(evtchn_bind_ipi(A, 0), -ENOSPC);
	page[2][9] = 0;
	assert_int_equal(evtchn_bind_ipi(A, 0), 2048 + 9);
}

static void test_queues(void **state)
{
	u32 a, b, c;

	(void)state;
	start();
	a = ipi(0), b = ipi(0), c = ipi(0);
	assert_int_equal(evtchn_send(A, a), 0);
	assert_int_equal(evtchn_send(A, b), 0);
	assert_int_equal(evtchn_send(A, a), 0);
	assert_int_equal(block[0]->ready, 1U << DEFAULT);
	assert_int_equal(block[0]->head[DEFAULT], a);
	assert_int_equal(mock_wakes[1][0], 1);
	assert_int_equal(words[a], PENDING | LINKED | b);
	/* The guest consumes both. The second is the tail, so the queue restarts. */
	assert_int_equal(consume(a), b);
	assert_int_equal(consume(b), 0);
	block[0]->ready = 0;
	assert_int_equal(evtchn_send(A, c), 0);
	assert_int_equal(block[0]->head[DEFAULT], c);
	assert_int_equal(words[b], 0);
	assert_int_equal(evtchn_send(A, a), 0);
	assert_int_equal(words[c], PENDING | LINKED | a);

	/*
	 * A consumed tail moves to another queue: its old queue is empty and does not link to it.
	 */
	assert_int_equal(consume(c), a);
	assert_int_equal(consume(a), 0);
	assert_int_equal(evtchn_fifo_set_priority(A, a, 3), 0);
	assert_int_equal(evtchn_send(A, a), 0);
	assert_int_equal(block[0]->head[3], a);
	assert_int_equal(evtchn_send(A, b), 0);
	assert_int_equal(words[a], PENDING | LINKED);
	assert_int_equal(block[0]->head[DEFAULT], b);
}

static void test_move(void **state)
{
	int up = evtchn_alloc_unbound(A, 1), p;
	u32 port, other;

	(void)state;
	start();
	p = evtchn_bind_interdomain(A, A, (u32)up);
	port = (u32)p;
	other = ipi(0);
	assert_int_equal(consume(port), 0);
	block[0]->ready = 0;
	assert_int_equal(evtchn_bind_vcpu(A, port, 2), 0);
	assert_int_equal(evtchn_send(A, (u32)up), 0);
	assert_int_equal(block[2]->head[DEFAULT], port);
	assert_int_equal(evtchn_send(A, other), 0);
	assert_int_equal(words[port], PENDING | LINKED);
	assert_int_equal(block[0]->head[DEFAULT], other);
	/* It is still linked there, so it stays there. */
	words[port] &= ~PENDING;
	assert_int_equal(evtchn_bind_vcpu(A, port, 1), 0);
	assert_int_equal(evtchn_send(A, (u32)up), 0);
	assert_int_equal(block[1]->ready, 0);
	for (u32 i = 0; i < MOCK_VCPUS; i++)
		assert_false(spin_is_locked(&A->vcpus[i]->fifo.lock));
}

static void test_close_linked(void **state)
{
	u32 a, b;

	(void)state;
	start();
	a = ipi(0);
	assert_int_equal(evtchn_send(A, a), 0);
	assert_int_equal(evtchn_close(A, a), 0);
	assert_int_equal(words[a], LINKED);
	b = ipi(0);
	assert_true(a != b);
	/* Nor if a guest keeps all of them linked; the search is then short. */
	memset(words, 0xff, PAGE_SIZE);
	assert_int_equal(evtchn_bind_ipi(A, 0), -ENOSPC);
	memset(words, 0, PAGE_SIZE);
	assert_int_equal(evtchn_bind_ipi(A, 0), a);
}

/* The tail's word changes on each read, as a hostile guest may arrange. */
static void test_hostile_words(void **state)
{
	u32 port[4], seed = 1;

	(void)state;
	start();
	for (unsigned i = 0; i < 4; i++)
		port[i] = ipi(i % MOCK_VCPUS);
	for (unsigned n = 0; n < 100000; n++) {
		seed = seed * 1664525 + 1013904223;
		words[port[seed >> 8 & 3]] = seed;
		block[n % MOCK_VCPUS]->head[n % 16] = seed;
		block[n % MOCK_VCPUS]->ready = seed >> 3;
		assert_int_equal(evtchn_send(A, port[seed >> 10 & 3]), 0);
		assert_int_equal(evtchn_unmask(A, port[seed >> 12 & 3]), 0);
		assert_int_equal(evtchn_fifo_set_priority(A, port[seed >> 14 & 3], seed >> 16 & 15),
				 0);
		for (unsigned i = 0; i < MOCK_VCPUS; i++)
			for (unsigned q = 0; q < 16; q++)
				assert_true(A->vcpus[i]->fifo.tail[q] <= port[3]);
	}
}

static void test_limit(void **state)
{
	unsigned n, steps = 0;

	(void)state;
	start();
	for (n = 1; n <= 128; n++) {
		mock_ram(A, WORDS_GFN + n);
		assert_int_equal(evtchn_fifo_expand_array(A, WORDS_GFN + n), n < 128 ? 0 : -ENOSPC);
	}
	/* A restarted call: its page is there already. */
	assert_int_equal(evtchn_fifo_expand_array(A, WORDS_GFN), 0);
	assert_int_equal(mock_page_refs(words_mfn), 1);
	for (n = 1; n < EVTCHN_FIFO_NR_CHANNELS; n++)
		assert_int_equal(evtchn_alloc_unbound(A, 2), n);
	assert_int_equal(evtchn_alloc_unbound(A, 2), -ENOSPC);
	assert_int_equal(evtchn_close(A, 100000), 0);
	assert_int_equal(evtchn_bind_ipi(A, 0), 100000);
	assert_int_equal(evtchn_send(A, 100000), 0);
	assert_int_equal(block[0]->head[DEFAULT], 100000);
	assert_int_equal(evtchn_pending(A, 100000), 1);
	assert_int_equal(evtchn_pending(A, EVTCHN_FIFO_NR_CHANNELS), -EINVAL);
	while (evtchn_reset(A) == -ERESTART)
		steps++;
	assert_true(steps > 1000);
	/* The guest owns the pages again, and the 2-level ABI applies with its limit. */
	assert_int_equal(mock_page_refs(words_mfn), 0);
	assert_int_equal(mock_page_refs(control_mfn), 0);
	assert_int_equal(evtchn_fifo_expand_array(A, WORDS_GFN), -EOPNOTSUPP);
	assert_int_equal(evtchn_send(A, 100000), -EINVAL);
	for (n = 1; n < EVTCHN_2L_NR_CHANNELS; n++)
		assert_int_equal(evtchn_bind_ipi(A, 0), n);
	assert_int_equal(evtchn_bind_ipi(A, 0), -ENOSPC);
	assert_int_equal(evtchn_send(A, 100), 0);
	assert_true(test_bit(100, A->shared_info->evtchn_pending));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, mock_setup, mock_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_arguments),    TEST(test_late_words),   TEST(test_replay),
		TEST(test_replay_close),  TEST(test_late_sender), TEST(test_linked_ports),
		TEST(test_queues),        TEST(test_move),        TEST(test_close_linked),
		TEST(test_hostile_words), TEST(test_limit),
	};

	return cmocka_run_group_tests_name("evtchn_fifo", tests, NULL, NULL);
}
