/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Posted interrupts against a model of an IOMMU that posts, and of two CPUs that take what is posted
 * to the vCPU in their VMCS: no vector is lost, and a vCPU that sleeps is woken.
 * unit-sources: arch/x86/guest/posting.c
 */
#include "host.h"

#include <stdlib.h>

#include <margay/errno.h>
#include <margay/mm.h>
#include <margay/percpu.h>
#include <x86/features.h>
#include <x86/irq.h>
#include <x86/posting.h>

#include "../../arch/x86/guest/guest.h"

static struct cpu cpu[2] = { { .apic_id = 0x12 }, { .id = 1, .apic_id = 0x345 } };
struct cpu *host_cpu = &cpu[0], *cpus[MAX_CPUS];
struct x86_features x86;
u8 *host_directmap;

static struct domain d = { .vcpus = { [1] = NULL } };
static struct vcpu v[2];
static struct vlapic vlapic[2];
static bool got[256];
static unsigned wakes, objects, vectors;
static bool no_vectors;

void *kzalloc(size_t size)
{
	void *p = aligned_alloc(64, ALIGN_UP(size, 64UL));

	objects++;
	return memset(p, 0, ALIGN_UP(size, 64UL));
}

void kfree(void *p)
{
	objects--;
	free(p);
}

struct vcpu *domain_vcpu(struct domain *dom, u32 id)
{
	return id < dom->nr_vcpus ? dom->vcpus[id] : NULL;
}

bool arch_vcpu_interrupt(struct vcpu *to, u8 vector)
{
	assert_ptr_equal(to, &v[1]);
	wakes += to->state == RUN_BLOCKED;
	to->state = to->state == RUN_BLOCKED ? RUN_RUNNABLE : to->state;
	got[vector] = true;
	return true;
}

void vcpu_post(struct vcpu *to, u32 work)
{
	atomic_or(&to->pending, work);
}

/* Vectors: number and CPU say which. */
static struct irq *table[2][256];

int irq_bind(struct irq *i, struct cpu *c)
{
	assert_null(i->cpu);
	if (no_vectors)
		return -ENOSPC;
	i->cpu = c;
	i->vector = (u8)(0x30 + ++vectors % 128);
	assert_null(table[c->id][i->vector]);
	table[c->id][i->vector] = i;
	return 0;
}

void irq_unbind(struct irq *i)
{
	if (i->cpu)
		table[i->cpu->id][i->vector] = NULL;
	i->cpu = NULL;
}

/* --- The hardware --- */

static struct {
	u8 vector;		/* VMCS: of notifications; 0: it processes none */
	const struct vcpu *runs;
	bool irr[256];
} hw[2];
static volatile u8 *desc;	/* as the unit sees it */

static u32 destination(void)
{
	return (u32)(desc[36] | desc[37] << 8 | desc[38] << 16) | (u32)desc[39] << 24;
}

/* VT-d 4.1, 5.2.3 */
static void unit_posts(u8 vector)
{
	desc[vector / 8] |= (u8)(1U << vector % 8);
	if (desc[32] & 3)	/* ON, SN */
		return;
	desc[32] |= 1;
	for (unsigned i = 0; i < 2; i++)
		if (destination() == cpu[i].apic_id)
			hw[i].irr[desc[34]] = true;
}

/* A CPU takes its interrupts: those of Margay, or in a guest, first what is posted. SDM 3C 30.6. */
static void cpu_runs(unsigned c)
{
	host_cpu = &cpu[c];
	for (unsigned n = 0; n < 256; n++) {
		if (!hw[c].irr[n])
			continue;
		hw[c].irr[n] = false;
		if (hw[c].runs && hw[c].vector == n) {
			desc[32] &= 0xfe;
			for (unsigned i = 0; i < 256; i++) {
				got[i] |= desc[i / 8] >> i % 8 & 1;
				desc[i / 8] &= (u8) ~(1U << i % 8);
			}
		} else if (table[c][n]) {
			table[c][n]->fn(table[c][n]);
		}
	}
}

static void run_on(unsigned c)
{
	paddr_t at = 0;

	host_cpu = &cpu[c];
	v[1].cpu = &cpu[c];
	v[1].state = RUN_RUNNING;
	v[1].pending = 0;
	posting_load(&v[1]);
	assert_true(!desc || v[1].pending & VCPU_WORK_LAPIC);
	hw[c].vector = posting_vector(&v[1], &at);
	if (hw[c].vector)
		assert_ptr_equal((u8 *)at, desc);
	hw[c].runs = &v[1];
}

static void leave(unsigned c, u8 state)
{
	host_cpu = &cpu[c];
	hw[c].runs = NULL;
	v[1].state = state;
	posting_save(&v[1]);
}

static int setup(void **state)
{
	(void)state;
	memset(hw, 0, sizeof(hw));
	memset(got, 0, sizeof(got));
	wakes = 0;
	no_vectors = false;
	desc = NULL;
	x86.x2apic = x86.posting = true;
	d.nr_vcpus = 2;
	for (unsigned i = 0; i < 2; i++) {
		vlapic[i] = (struct vlapic){ .v = &v[i], .svr = SVR_ENABLE, .base = APIC_BASE_EN };
		v[i] = (struct vcpu){ .domain = &d, .id = (u16)i, .vlapic = &vlapic[i],
				      .cpu = &cpu[0], .state = RUN_RUNNABLE };
		d.vcpus[i] = &v[i];
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	posting_free(&v[1]);
	assert_int_equal(objects, 0);
	for (unsigned i = 0; i < 512; i++)
		assert_null(table[i / 256][i % 256]);
	return 0;
}

#define MESSAGE 0xfee01000UL	/* to vCPU 1 */

static void begin(void)
{
	paddr_t at = posting_target(&d, MESSAGE, 0x41);

	assert_true(at && !(at & 63));
	desc = (u8 *)at;
}

static void test_layout(void **state)
{
	struct posted p = { 0 };
	const u8 *b = (const u8 *)&p;
	u64 bits[4];

	(void)state;
	assert_int_equal(sizeof(p), 64);
	posted_aim(&p, 0xa7, 0x12345678, true, false);
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(b[i], i == 34 ? 0xa7 :
				       i == 36 ? 0x78 :
				       i == 37 ? 0x56 :
				       i == 38 ? 0x34 :
				       i == 39 ? 0x12 :
						 0);
	/* A local APIC's id in xAPIC mode is in bits 15:8. ON stays as it is. */
	p.control |= 1;
	posted_aim(&p, 0x31, 0xfe, false, true);
	assert_int_equal(p.control, 0xfe00UL << 32 | 0x31 << 16 | 3);
	p.pir[0] = 1UL << 63;
	p.pir[3] = 5;
	assert_true(posted_take(&p, bits));
	assert_true(bits[0] == 1UL << 63 && !bits[1] && !bits[2] && bits[3] == 5);
	assert_int_equal(p.control, 0xfe00UL << 32 | 0x31 << 16 | 2);
	p.control |= 1;
	assert_false(posted_take(&p, bits));
	assert_int_equal(p.control & 1, 0);
	assert_int_equal(p.pir[0] | p.pir[3], 0);
}

static void test_target(void **state)
{
	static const struct {
		u64 address;
		u32 data;
	} no[] = {
		{ MESSAGE | 1 << 2, 0x41 }, { MESSAGE | 1 << 3, 0x41 }, { MESSAGE, 15 },
		{ MESSAGE, 0x141 },	    { MESSAGE, 0x441 },	        { MESSAGE, 0x8041 },
		{ 0xfee02000, 0x41 },	    { 0xfeeff000, 0x41 },	{ 0xfed01000, 0x41 },
		{ MESSAGE | 1UL << 32, 0x41 },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(no); i++)
		assert_int_equal(posting_target(&d, no[i].address, no[i].data), 0);
	x86.posting = false;
	assert_int_equal(posting_target(&d, MESSAGE, 0x41), 0);
	x86.posting = no_vectors = true;
	assert_int_equal(posting_target(&d, MESSAGE, 0x41), 0);
	assert_int_equal(objects, 0);
	no_vectors = false;
	begin();
	assert_int_equal(posting_target(&d, MESSAGE, 0x10), (paddr_t)desc);
	assert_int_equal(objects, 1);
	/* libxl's guests have APIC ids that are twice the vCPU's number. */
	d.apic_shift = 1;
	assert_int_equal(posting_target(&d, MESSAGE, 0x41), 0);
	assert_int_equal(posting_target(&d, 0xfee02000, 0x41), (paddr_t)desc);
	d.apic_shift = 0;
}

/* It runs, waits, sleeps. */
static void test_states(void **state)
{
	(void)state;
	begin();
	run_on(0);
	unit_posts(0x41);
	unit_posts(0x42);
	assert_int_equal(desc[32] & 3, 1);
	cpu_runs(0);
	assert_true(got[0x41] && got[0x42] && !wakes);
	/* Nobody is notified while it waits. */
	leave(0, RUN_RUNNABLE);
	unit_posts(0x43);
	assert_int_equal(desc[32] & 3, 2);
	cpu_runs(0);
	assert_false(got[0x43]);
	run_on(1);
	assert_true(got[0x43]);
	assert_int_equal(destination(), 0x345);
	assert_int_equal(desc[32] & 3, 0);
	/* The CPU where it ran last wakes it, saved or not. */
	leave(1, RUN_BLOCKED);
	unit_posts(0x44);
	cpu_runs(0);
	assert_false(got[0x44]);
	cpu_runs(1);
	assert_true(got[0x44] && wakes == 1);
	run_on(1);
	hw[1].runs = NULL;
	v[1].state = RUN_BLOCKED;
	unit_posts(0x45);
	cpu_runs(1);
	assert_true(got[0x45] && wakes == 2);
	/* A local APIC that is off drops it. */
	vlapic[1].svr = 0;
	unit_posts(0x46);
	cpu_runs(1);
	assert_false(got[0x46]);
}

/* Without a vector of its new CPU, notifications go on to the last one, which passes them on. */
static void test_no_vectors(void **state)
{
	(void)state;
	begin();
	run_on(0);
	leave(0, RUN_RUNNABLE);
	no_vectors = true;
	run_on(1);
	assert_int_equal(hw[1].vector, 0);
	assert_int_equal(destination(), 0x12);
	unit_posts(0x50);
	cpu_runs(1);
	assert_false(got[0x50]);
	cpu_runs(0);
	assert_true(got[0x50]);
}

static void test_random(void **state)
{
	unsigned on = 0, sent = 0;
	bool running = false;

	(void)state;
	begin();
	srand(14);
	for (unsigned n = 0; n < 200000; n++) {
		u8 vector = (u8)(16 + rand() % 240);

		switch (rand() % 6) {
		case 0:
			no_vectors = rand() % 4 == 0;
			if (running)
				leave(on, rand() % 2 ? RUN_RUNNABLE : RUN_BLOCKED);
			else
				run_on(on = (unsigned)rand() % 2);
			running = !running;
			break;
		case 1:
			got[vector] = false;
			unit_posts(vector);
			sent++;
			cpu_runs(0);
			cpu_runs(1);
			/* Only one that waits does not have it yet. */
			assert_true(got[vector] || v[1].state == RUN_RUNNABLE);
			assert_int_not_equal(v[1].state, RUN_BLOCKED * got[vector]);
			break;
		case 2:		/* it comes while the vCPU changes its state */
			unit_posts(vector);
			break;
		default:
			cpu_runs((unsigned)rand() % 2);
		}
	}
	assert_true(sent > 10000 && wakes > 1000);
	if (!running)
		run_on(0);
	cpu_runs(0);
	cpu_runs(1);
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(desc[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_layout, setup, teardown),
		cmocka_unit_test_setup_teardown(test_target, setup, teardown),
		cmocka_unit_test_setup_teardown(test_states, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_vectors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
