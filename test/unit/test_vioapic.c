/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The emulated IO-APIC over a model of the machine's, with real virtual local APICs: registers,
 * binding, edges, levels and their EOI, what the guest may not reach.
 * unit-sources: test/unit/no_policies.c arch/x86/guest/vioapic.c arch/x86/guest/vlapic.c arch/x86/guest/vlapic_timer.c
 * unit-sources: arch/x86/guest/vlapic_ipi.c arch/x86/guest/inject.c test/unit/mock_vcpu.c test/unit/mock_heap.c
 */
#include "mock_vcpu.h"

#include <margay/acpi.h>
#include <margay/domain_parts.h>
#include <margay/iommu.h>
#include <margay/pci.h>
#include <margay/percpu.h>
#include <x86/irq.h>
#include <x86/mmio.h>
#include <x86/platform.h>
#include <x86/vioapic.h>

#include "../../arch/x86/guest/guest.h"
#include "mock_heap.h"

#define PINS 24
#define KEPT 4
#define BASE 0xfec00000UL
#define VECTOR 0x30	/* the first that irq_bind() gives */

struct spinlock pci_lock;
static struct cpu cpus_here[MOCK_VCPUS];
static struct irq *bound[256];
static unsigned unbound, remap_entries, ends;
static bool no_vector, remaps;
static u64 machine[PINS];

extern const struct domain_part vioapic_part;

void guest_triple_fault(struct vcpu *v)
{
	(void)v;
	fail_msg("triple fault");
}

int irq_bind(struct irq *i, struct cpu *c)
{
	if (no_vector)
		return -ENOSPC;
	i->cpu = c;
	for (i->vector = VECTOR; bound[i->vector]; i->vector++)
		;
	bound[i->vector] = i;
	return 0;
}

void irq_unbind(struct irq *i)
{
	unbound++;
	bound[i->vector] = NULL;
}

int iommu_ioapic_sbdf(u8 ioapic_id, u32 *sbdf)
{
	assert_int_equal(ioapic_id, 5);
	*sbdf = 0xf0;
	return remaps ? 0 : -ENODEV;
}

int iommu_irq_alloc(struct iommu_irq *i, u32 sbdf)
{
	assert_true(spin_is_locked(&pci_lock));
	assert_int_equal(sbdf, 0xf0);
	*i = (struct iommu_irq){ .unit = (void *)1, .index = (u16)remap_entries++ };
	return 0;
}

void iommu_irq_free(struct iommu_irq *i)
{
	remap_entries -= i->unit ? 1 : 0;
}

void iommu_irq_route(struct iommu_irq *i, u32 apic_id, u8 vector, bool level)
{
	i->apic_id = apic_id;
	i->vector = vector;
	i->level = level;
}

u64 iommu_irq_rte(const struct iommu_irq *i)
{
	return i->unit ? (u64)i->index << 49 | 1UL << 48 | i->vector :
			 (u64)i->apic_id << 56 | i->vector;
}

const struct acpi_ioapic *ioapic_pins(unsigned n, unsigned *pins)
{
	static const struct acpi_ioapic a = { .base = BASE, .id = 5 };

	*pins = PINS;
	return n ? NULL : &a;
}

bool ioapic_is_kept(unsigned n, unsigned pin)
{
	return !n && pin == KEPT;
}

void ioapic_set(unsigned n, unsigned pin, u64 rte)
{
	assert_int_equal(n, 0);
	machine[pin] = rte;
}

void ioapic_set_low(unsigned n, unsigned pin, u32 low)
{
	assert_int_equal(n, 0);
	assert_int_not_equal(pin, KEPT);
	machine[pin] = (machine[pin] >> 32 << 32) | low;
}

void ioapic_end(unsigned n, unsigned pin, u32 low)
{
	assert_int_equal(n, 0);
	assert_int_equal((u8)low, (u8)machine[pin]);
	ends++;
}

void mmio_add(struct domain *d, struct mmio_region *r)
{
	assert_null(d->mmio);
	d->mmio = r;
}

static void poke(u64 offset, unsigned size, u64 val)
{
	mock_domain.mmio->access(vcpu_nr(0), mock_domain.mmio, offset, size, &val, true);
	assert_false(spin_is_locked(&pci_lock));
}

static u32 peek(u64 offset)
{
	u64 val = ~0UL;

	mock_domain.mmio->access(vcpu_nr(0), mock_domain.mmio, offset, 4, &val, false);
	return (u32)val;
}

static void put_reg(u32 reg, u32 val)
{
	poke(0, 4, reg);
	poke(0x10, 4, val);
}

static u32 get_reg(u32 reg)
{
	poke(0, 4, reg);
	return peek(0x10);
}

static void set_entry(unsigned pin, u8 dest, u32 low)
{
	put_reg(0x10 + 2 * pin + 1, (u32)dest << 24);
	put_reg(0x10 + 2 * pin, low);
}

static void fire(u8 vector)
{
	assert_non_null(bound[vector]);
	bound[vector]->fn(bound[vector]);
}

/* The vCPU takes the vector and ends it. */
static void serve(unsigned v, u8 vector)
{
	assert_int_equal(vlapic_pending(vcpu_nr(v)), vector);
	vlapic_accept(vcpu_nr(v), vector);
	assert_int_equal(vlapic_pending(vcpu_nr(v)), -1);
	vlapic_write(vcpu_nr(v), APIC_EOI, 0);
}

static int setup(void **state)
{
	(void)state;
	mock_vcpu_init(false);
	mock_domain.hardware = true;
	memset(bound, 0, sizeof(bound));
	memset(machine, 0, sizeof(machine));
	unbound = ends = remap_entries = 0;
	no_vector = remaps = false;
	for (unsigned i = 0; i < MOCK_VCPUS; i++) {
		cpus_here[i].apic_id = 10 + i;
		vcpu_nr(i)->cpu = &cpus_here[i];
		assert_int_equal(vlapic_create(vcpu_nr(i)), 0);
		vlapic_write(vcpu_nr(i), APIC_SVR, SVR_ENABLE | 0xff);
	}
	assert_int_equal(vioapic_part.create(&mock_domain), 0);
	assert_non_null(mock_domain.mmio);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mock_domain.mmio = (void *)1;	/* a region of a part that is gone */
	assert_int_equal(vioapic_part.destroy(&mock_domain), 0);
	for (unsigned i = 0; i < 256; i++)
		assert_null(bound[i]);
	assert_int_equal(remap_entries, 0);
	mock_vcpu_free();
	assert_int_equal(heap_objects, 0);
	return 0;
}

static void test_registers(void **state)
{
	(void)state;
	assert_int_equal(mock_domain.mmio->base, BASE);
	assert_int_equal(get_reg(0), 5 << 24);
	put_reg(0, ~0U);
	assert_int_equal(get_reg(0), 5 << 24);	/* as firmware set it */
	assert_int_equal(get_reg(1), 0x11 | (PINS - 1) << 16);
	for (u32 i = 0; i < 256; i++)
		put_reg(i, RTE_MASKED | ~0xffffU);
	assert_int_equal(get_reg(0x10), RTE_MASKED);
	assert_int_equal(get_reg(0x11), 0xff000000);
	assert_int_equal(get_reg(0x10 + 2 * PINS), 0);
	put_reg(0x12, 0x1ffff);
	assert_int_equal(get_reg(0x12), 0x1afff); /* delivery status and remote IRR */
	/* What is no register. */
	poke(0x40, 4, 0x31);
	poke(0x14, 4, 0x31);
	poke(0x10, 1, 0x31);
	assert_int_equal(peek(0x40), 0);
	assert_int_equal(get_reg(0x12), 0x1afff);
	for (unsigned i = 0; i < PINS; i++)
		assert_int_equal(machine[i], 0);
}

static void test_edge(void **state)
{
	(void)state;
	set_entry(8, 2, 0x41 | RTE_LOW);
	assert_int_equal(machine[8], (u64)housekeeping_cpu->apic_id << 56 | VECTOR | RTE_LOW);
	fire(VECTOR);
	assert_int_equal(machine[8] & RTE_MASKED, 0);
	serve(2, 0x41);
	/* Masked entries deliver nothing. */
	put_reg(0x20, 0x41 | RTE_LOW | RTE_MASKED);
	assert_true(machine[8] & RTE_MASKED);
	fire(VECTOR);
	assert_int_equal(vlapic_pending(vcpu_nr(2)), -1);
	/* The next destination and vector need no change on the machine. */
	set_entry(8, 0xff, 0x52 | RTE_LOW);
	assert_int_equal(machine[8], (u64)housekeeping_cpu->apic_id << 56 | VECTOR | RTE_LOW);
	fire(VECTOR);
	for (unsigned i = 0; i < MOCK_VCPUS; i++)
		serve(i, 0x52);
	set_entry(8, 9, 0x52 | RTE_LOW);
	fire(VECTOR);
	/* Logical destinations; lowest priority. */
	for (unsigned i = 0; i < MOCK_VCPUS; i++)
		vlapic_write(vcpu_nr(i), APIC_LDR, 1U << (24 + i));
	set_entry(8, 0x5, 0x53 | RTE_LOW | RTE_LOGICAL);
	fire(VECTOR);
	serve(0, 0x53);
	serve(2, 0x53);
	vlapic_write(vcpu_nr(0), APIC_TPR, 0x20);
	set_entry(8, 0x5, 0x53 | RTE_LOW | RTE_LOGICAL | RTE_LOWEST);
	fire(VECTOR);
	serve(2, 0x53);
	for (unsigned i = 0; i < MOCK_VCPUS; i++)
		assert_int_equal(vlapic_pending(vcpu_nr(i)), -1);
	assert_int_equal(ends, 0);
}

static void test_level(void **state)
{
	const u32 entry = 0x61 | RTE_LEVEL | RTE_LOW;

	(void)state;
	set_entry(9, 1, entry);
	assert_int_equal(machine[9],
			 (u64)housekeeping_cpu->apic_id << 56 | VECTOR | RTE_LEVEL | RTE_LOW);
	fire(VECTOR);
	assert_true(machine[9] & RTE_MASKED);
	assert_int_equal(get_reg(0x22), entry | RTE_REMOTE_IRR);
	assert_int_equal(vlapic_read(vcpu_nr(1), APIC_TMR + 0x30), 2);
	fire(VECTOR);	/* one more was on its way */
	/* A new vector does not lose the EOI. */
	put_reg(0x22, (entry & ~0xffU) | 0x71);
	assert_true(machine[9] & RTE_MASKED);
	serve(1, 0x61);
	assert_int_equal(ends, 1);
	assert_int_equal(machine[9] & RTE_MASKED, 0);
	assert_int_equal(vlapic_read(vcpu_nr(1), APIC_TMR + 0x30), 0);
	assert_int_equal(get_reg(0x22) & RTE_REMOTE_IRR, 0);
	/* Masked while in service: stays masked after the EOI. */
	fire(VECTOR);
	put_reg(0x22, (entry & ~0xffU) | 0x71 | RTE_MASKED);
	serve(1, 0x71);
	assert_int_equal(ends, 2);
	assert_true(machine[9] & RTE_MASKED);
	put_reg(0x22, entry);
	assert_int_equal(machine[9] & RTE_MASKED, 0);
	/* A guest ends an interrupt without an EOI: edge and back. */
	fire(VECTOR);
	put_reg(0x22, 0x61 | RTE_LOW | RTE_MASKED);
	assert_int_equal(machine[9] & RTE_LEVEL, 0);
	put_reg(0x22, entry);
	assert_int_equal(machine[9] & (RTE_MASKED | RTE_LEVEL), RTE_LEVEL);
	assert_int_equal(get_reg(0x22), entry);
	vlapic_accept(vcpu_nr(1), 0x61);
	vlapic_write(vcpu_nr(1), APIC_EOI, 0);
	/* An edge that shares the vector ends nothing. */
	fire(VECTOR);
	arch_vcpu_interrupt(vcpu_nr(0), 0x61);
	serve(0, 0x61);
	assert_true(machine[9] & RTE_MASKED);
	serve(1, 0x61);
	assert_int_equal(machine[9] & RTE_MASKED, 0);
}

/* Hardware delivers and ends; it says which vectors' EOI it shows. */
static void test_by_hardware(void **state)
{
	struct vcpu *v = vcpu_nr(1);
	u64 exits[4];

	(void)state;
	vlapic_wrmsr(v, MSR_APIC_BASE, VLAPIC_BASE | APIC_BASE_EN | APIC_BASE_EXTD);
	assert_true(vlapic_by_hardware(v, true));
	set_entry(9, 1, 0x61 | RTE_LEVEL);
	fire(VECTOR);
	vlapic_eoi_exits(v, exits);
	assert_int_equal(exits[0] | exits[2] | exits[3], 0);
	assert_int_equal(exits[1], 1UL << 0x21);
	assert_int_equal(vlapic_sync_irr_to_page(v), 0x61);
	vlapic_end_level(v, 0x61);
	assert_int_equal(machine[9] & RTE_MASKED, 0);
	vlapic_eoi_exits(v, exits);
	assert_int_equal(exits[1], 0);
	vlapic_end_level(v, 0x61);
	assert_int_equal(ends, 1);
}

static void test_refusals(void **state)
{
	(void)state;
	/* Margay's own pin, and modes that no pin of a guest's has. */
	set_entry(KEPT, 0, 0x41);
	assert_int_equal(get_reg(0x10 + 2 * KEPT), 0x41);
	set_entry(0, 0, 0x441);
	set_entry(1, 0, 0x5);
	for (unsigned i = 0; i < 256; i++)
		assert_null(bound[i]);
	no_vector = true;
	set_entry(3, 0, 0x41);
	assert_int_equal(host_logged("no vector"), 1);
	host_log_clear();
	no_vector = false;
	set_entry(3, 0, 0x41);
	assert_int_equal(machine[3], (u64)housekeeping_cpu->apic_id << 56 | VECTOR);
}

static void test_remapped(void **state)
{
	(void)state;
	assert_int_equal(vioapic_part.destroy(&mock_domain), 0);
	mock_domain.mmio = NULL;
	remaps = true;
	assert_int_equal(vioapic_part.create(&mock_domain), 0);
	assert_int_equal(remap_entries, PINS - 1);
	cpus_here[3].apic_id = 300;
	set_entry(5, 3, 0x42 | RTE_LOW);
	assert_int_equal(machine[5], 4UL << 49 | 1UL << 48 | VECTOR | RTE_LOW);
	set_entry(6, 3, 0x43);
	assert_int_equal(machine[6], 5UL << 49 | 1UL << 48 | (VECTOR + 1));
	fire(VECTOR + 1);
	serve(3, 0x43);
}

static void test_other_domains(void **state)
{
	struct domain d = { .nr_vcpus = 0 };

	(void)state;
	assert_int_equal(vioapic_part.create(&d), 0);
	assert_null(d.mmio);
	assert_int_equal(vioapic_part.destroy(&d), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_registers), TEST(test_edge),	   TEST(test_level),
		TEST(test_by_hardware), TEST(test_refusals), TEST(test_remapped),
		TEST(test_other_domains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
