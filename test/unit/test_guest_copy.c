/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Walks of a guest's page tables: the access rights of emulated instructions, their error codes,
 * and accessed and dirty bits while another CPU changes the entry.
 * unit-sources: arch/x86/guest/guest_copy.c
 */
#include "host.h"

#include <pthread.h>

#include <margay/guest_copy.h>
#include <x86/features.h>
#include <x86/hvm.h>
#include <x86/paging.h>
#include <x86/regs.h>

#define PAGES 8
#define VA 0x1234000UL
#define DATA 5UL /* page number */

int on_demand_allocate(struct domain *d, gfn_t gfn)
{
	(void)d;
	(void)gfn;
	return -ENOENT;
}

static u64 memory[PAGES][512] __attribute__((aligned(4096)));
u8 *host_directmap = (u8 *)memory;
static struct cpu cpu0;
struct cpu *host_cpu = &cpu0;
struct x86_features x86 = { .phys_bits = 40 };
u32 host_pkru;
static struct domain d;
static struct vcpu v = { .domain = &d };
static struct paging_state paging;
static bool steady;	/* the paging state does not change */
static struct p2m_entry data = { .mfn = DATA, .type = P2M_RAM };

static bool refresh(struct vcpu *vcpu)
{
	vcpu->paging = paging;
	return !steady;
}

static const struct hvm_ops ops = { .refresh_paging_state = refresh };
const struct hvm_ops *hvm = &ops;

struct p2m_entry p2m_lookup(struct domain *dom, gfn_t gfn)
{
	(void)dom;
	if (gfn == DATA)
		return data;
	return (struct p2m_entry){ .mfn = gfn, .type = gfn < PAGES ? P2M_RAM : P2M_NONE };
}

static unsigned marks;	/* of DATA */

bool p2m_mark_dirty(struct domain *dom, gfn_t gfn)
{
	marks += gfn == DATA;
	return !p2m_read_only(p2m_lookup(dom, gfn).type);
}

/* Builds four levels that map DATA. All entries but the last allow everything. */
static u64 *map(u64 flags)
{
	memset(memory, 0, sizeof(memory));
	for (unsigned i = 1; i < 4; i++)
		memory[i][VA >> (48 - 9 * i) & 511] = (i + 1) << PAGE_SHIFT | 0x7;
	memory[4][VA >> 12 & 511] = DATA << PAGE_SHIFT | flags;
	paging = (struct paging_state){ .cr0 = CR0_PG | CR0_PE | CR0_WP,
					.cr3 = 1 << PAGE_SHIFT,
					.cr4 = CR4_PAE,
					.efer = EFER_LMA | EFER_LME | EFER_NXE };
	v.regs.rflags = 2;
	cpu0.current = &v;
	return &memory[4][VA >> 12 & 511];
}

#define GOES -1

/* Returns the error code, or GOES if the store succeeded; only then is the page dirty. */
static int store(u64 flags, u32 access, u64 cr0_off, u64 cr4_on, u64 rflags)
{
	u64 *pte = map(flags);
	struct access_fault f;
	u32 val = 0x5a5a5a5a;
	bool ok;

	paging.cr0 &= ~cr0_off;
	paging.cr4 |= cr4_on;
	v.regs.rflags |= rflags;
	ok = guest_operand(&v, VA + 8, access & PF_WRITE ? &val : NULL, 4, access, &f);
	assert_int_equal((u32)memory[DATA][1], ok && (access & PF_WRITE) ? val : 0);
	if (!cr4_on || !(cr4_on & CR4_PKE))
		assert_int_equal(!!(*pte & PTE_D), ok && (access & PF_WRITE));
	if (!ok)
		assert_int_equal(f.va, VA + 8);
	return ok ? GOES : (int)f.error;
}

static void test_rights(void **state)
{
	const u64 U = PTE_U, W = PTE_W, P = PTE_P;

	(void)state;
	assert_int_equal(store(P | W | U, PF_WRITE | PF_USER, 0, 0, 0), GOES);
	assert_int_equal(store(P | W, PF_WRITE | PF_USER, 0, 0, 0), 7);
	assert_int_equal(store(P | U, PF_WRITE | PF_USER, 0, 0, 0), 7);
	assert_int_equal(store(P | U, PF_WRITE | PF_USER, CR0_WP, 0, 0), 7);
	assert_int_equal(store(P | U, PF_USER, 0, 0, 0), GOES);
	assert_int_equal(store(P, PF_USER, 0, 0, 0), 5);
	assert_int_equal(store(U | W, PF_WRITE | PF_USER, 0, 0, 0), 6);
	assert_int_equal(store(0, 0, 0, 0, 0), 0);
	/* Supervisor mode */
	assert_int_equal(store(P | W, PF_WRITE, 0, 0, 0), GOES);
	assert_int_equal(store(P, PF_WRITE, 0, 0, 0), 3);
	assert_int_equal(store(P, PF_WRITE, CR0_WP, 0, 0), GOES);
	assert_int_equal(store(P | W | U, PF_WRITE, 0, CR4_SMAP, 0), 3);
	assert_int_equal(store(P | W | U, 0, 0, CR4_SMAP, 0), 1);
	assert_int_equal(store(P | W | U, PF_WRITE, 0, CR4_SMAP, RFLAGS_AC), GOES);
	assert_int_equal(store(P | W, PF_WRITE, 0, CR4_SMAP, 0), GOES);
	/* Reserved bits: above the CPU's address width */
	assert_int_equal(store(P | W | 1UL << 40, PF_WRITE, 0, 0, 0), 11);
	assert_int_equal(store(P | W | 1UL << 63, PF_WRITE, 0, 0, 0), GOES);
	/* Protection keys apply to user pages only */
	host_pkru = 2U << 2 * 3;
	assert_int_equal(store(P | W | U | 3UL << 59, PF_WRITE | PF_USER, 0, CR4_PKE, 0), 39);
	assert_int_equal(store(P | W | U | 3UL << 59, PF_USER, 0, CR4_PKE, 0), GOES);
	assert_int_equal(store(P | W | U | 2UL << 59, PF_WRITE | PF_USER, 0, CR4_PKE, 0), GOES);
	assert_int_equal(store(P | W | 3UL << 59, PF_WRITE, 0, CR4_PKE, 0), GOES);
	host_pkru = 1U << 2 * 3;
	assert_int_equal(store(P | W | U | 3UL << 59, PF_USER, 0, CR4_PKE, 0), 37);
}

/* Neither half is written if the second page is not present. */
static void test_across_pages(void **state)
{
	struct access_fault f;
	u32 val = ~0U;

	(void)state;
	map(PTE_P | PTE_W);
	assert_false(guest_operand(&v, VA + PAGE_SIZE - 2, &val, 4, PF_WRITE, &f));
	assert_int_equal(f.va, VA + PAGE_SIZE);
	assert_int_equal(f.error, PF_WRITE);
	assert_int_equal(memory[DATA][511], 0);
}

static volatile bool stop;
static unsigned marked;

/* Clears the entry repeatedly, as a kernel that swaps the page out. What it leaves must stay. */
static void *swap_out(void *entry)
{
	u64 *pte = entry;

	while (!stop) {
		atomic_store(pte, DATA << PAGE_SHIFT | PTE_P | PTE_W);
		for (volatile unsigned i = 0; i < 20; i = i + 1)
			;
		atomic_store(pte, 0);
		for (volatile unsigned i = 0; i < 20; i = i + 1)
			;
		marked += READ_ONCE(*pte) != 0;
	}
	return NULL;
}

static void test_swapped_out(void **state)
{
	u64 *pte = map(0);
	unsigned done = 0;
	pthread_t other;

	(void)state;
	assert_int_equal(pthread_create(&other, NULL, swap_out, pte), 0);
	for (unsigned i = 0; i < 2000000 || !done; i++)
		done += !copy_to_guest(VA, &i, 1);
	stop = true;
	pthread_join(other, NULL);
	assert_true(done > 0);
	assert_int_equal(marked, 0);
}

/* A mapping of the domain's own is cached until a flush; one of another's page is not. */
static void test_transient(void **state)
{
	static const enum p2m_type types[] = { P2M_GRANT_RW, P2M_GRANT_RO, P2M_FOREIGN };
	u64 word;

	(void)state;
	map(0x3);
	memory[DATA][0] = 5;
	memory[6][0] = 6;
	assert_int_equal(copy_from_guest(&word, VA, sizeof(word)), 0);
	assert_int_equal(word, 5);
	steady = true;
	data.mfn = 6;
	assert_int_equal(copy_from_guest(&word, VA, sizeof(word)), 0);
	assert_int_equal(word, 5);
	d.p2m.generation++;
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		data = (struct p2m_entry){ .mfn = DATA, .type = types[i] };
		assert_int_equal(copy_from_guest(&word, VA, sizeof(word)), 0);
		assert_int_equal(word, 5);
		data.mfn = 6;
		assert_int_equal(copy_from_guest(&word, VA, sizeof(word)), 0);
		assert_int_equal(word, 6);
		data.type = P2M_NONE;
		assert_int_equal(copy_from_guest(&word, VA, sizeof(word)), -EFAULT);
	}
	data = (struct p2m_entry){ .mfn = DATA, .type = P2M_RAM };
	steady = false;
}

/* Like a CPU's TLB, a translation may stay until the next entry, but not its right to write. */
static void test_same_exit(void **state)
{
	u64 *pte = map(0x1), word = 0;

	(void)state;
	memory[DATA][0] = 5;
	assert_int_equal(copy_from_guest(&word, VA, sizeof(word)), 0);
	steady = true;
	*pte = 0;
	assert_int_equal(copy_from_guest(&word, VA + 8, sizeof(word)), 0);
	assert_int_equal(copy_to_guest(VA, &word, sizeof(word)), -EFAULT);
	*pte = DATA << PAGE_SHIFT | 0x3;
	assert_int_equal(copy_to_guest(VA, &word, sizeof(word)), 0);
	assert_int_equal(*pte & PTE_D, PTE_D);
	*pte = 0;
	assert_int_equal(copy_to_guest(VA, &word, 4), 0);
	vcpu_set_in_guest(&v);
	v.in_guest = false;
	assert_int_equal(copy_from_guest(&word, VA, sizeof(word)), -EFAULT);
	/* Another vCPU has all translations flushed. */
	*pte = DATA << PAGE_SHIFT | 0x3;
	assert_int_equal(copy_from_guest(&word, VA, sizeof(word)), 0);
	*pte = 0;
	d.p2m.generation++;
	assert_int_equal(copy_from_guest(&word, VA, sizeof(word)), -EFAULT);
	steady = false;
}

/* The first write to a page after a flush is logged, by all ways; to another's page always. */
static void test_logged(void **state)
{
	u64 *pte = map(0x3), word = 0;
	struct access_fault f;

	(void)state;
	steady = true;
	d.p2m.generation++;
	assert_int_equal(copy_to_guest(VA, &word, sizeof(word)), 0);
	marks = 0;
	d.p2m.log.on = true;
	for (unsigned i = 0; i < 3; i++) {
		d.p2m.generation++;
		assert_int_equal(copy_from_guest(&word, VA, sizeof(word)), 0);
		assert_int_equal(marks, i);
		assert_int_equal(copy_to_guest(VA, &word, sizeof(word)), 0);
		assert_int_equal(copy_to_guest(VA + 8, &word, sizeof(word)), 0);
		assert_int_equal(marks, i + 1);
	}
	d.p2m.generation++;
	assert_int_equal(copy_to_gpa(&d, DATA << PAGE_SHIFT, &word, 1), 0);
	assert_int_equal(marks, 4);
	d.p2m.generation++;
	assert_true(guest_operand(&v, VA, &word, 1, PF_WRITE, &f));
	assert_int_equal(marks, 5);
	d.p2m.log.on = false;
	d.p2m.generation++;
	data.type = P2M_GRANT_RO;
	assert_int_equal(copy_to_guest(VA, &word, sizeof(word)), -EFAULT);
	data.type = P2M_FOREIGN;
	d.p2m.generation++;
	marks = 0;
	assert_int_equal(copy_to_guest(VA, &word, sizeof(word)), 0);
	assert_int_equal(marks, 1);
	data.type = P2M_RAM;
	d.p2m.generation++;
	assert_int_equal(copy_to_guest(VA, &word, sizeof(word)), 0);
	assert_int_equal(marks, 1);
	assert_int_equal(*pte & PTE_D, PTE_D);
	steady = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rights),
		cmocka_unit_test(test_across_pages),
		cmocka_unit_test(test_swapped_out), cmocka_unit_test(test_transient),
		cmocka_unit_test(test_same_exit), cmocka_unit_test(test_logged),
	};

	return cmocka_run_group_tests_name("guest_copy", tests, NULL, NULL);
}
