/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI: what is found, the sizes of BARs, capabilities, groups, resets; broken devices.
 * unit-sources: drivers/pci/scan.c drivers/pci/reset.c drivers/pci/sriov.c test/unit/pci_sim.c test/unit/mock_heap.c
 */
#include "pci_sim.h"

#include <margay/errno.h>

#define AT(bus, dev, fn) PCI_SBDF(0, bus, (dev) << 3 | (fn))

static unsigned found(void)
{
	struct pci_function *f;
	unsigned n = 0;
	u32 last = 0;

	list_for_each(f, &pci_functions, link) {
		assert_true(!n++ || f->sbdf > last);
		last = f->sbdf;
	}
	return n;
}

static void test_functions(void **state)
{
	struct sim_function *s;
	struct pci_function *f;

	(void)state;
	sim_add(AT(0, 0, 0), 0x8086, 0x29c0, 0x60000);
	s = sim_add(AT(0, 31, 0), 0x8086, 0x2918, 0x60100);
	sim_set(s, PCI_COMMAND, 2, 7, 7);
	sim_add(AT(0, 31, 2), 0x8086, 0x2922, 0x10601);
	sim_bridge(AT(0, 3, 0), 1, 2);
	sim_bridge(AT(1, 0, 0), 2, 2);
	s = sim_add(AT(2, 4, 0), 0x1b36, 0x10, 0x10802);
	sim_set(s, PCI_COMMAND, 2, 0x106, 0x547);
	sim_bar(s, 0, 0xe000004000, 0x4000, PCI_BAR_64);
	sim_bar(s, 2, 0xc000, 0x100, PCI_BAR_IO);
	sim_bar(s, 3, 0xfe000000, 0x1000000, PCI_BAR_PREFETCH);
	sim_set(s, PCI_ROM, 4, 0xfd000001, 0xffff0001);
	sim_cap(s, 0x40, PCI_CAP_PM);
	sim_cap(s, 0x50, PCI_CAP_MSI);
	sim_cap(s, 0x70, PCI_CAP_MSIX);
	sim_express(s, 0x80, 0, true);
	sim_set(s, 0x100, 4, 0x0001 | 1 << 16 | 0x140 << 20, 0);
	sim_set(s, 0x140, 4, PCI_EXT_ACS | 1 << 16, 0);
	/* Another segment, and a root bus that no bridge leads to. */
	boot_acpi.nr_ecam = 2;
	boot_acpi.ecam[0] = (struct acpi_ecam){ 0xb0000000, 256UL << 20, 0 };
	boot_acpi.ecam[1] = (struct acpi_ecam){ 0xe000000000, 16UL << 20, PCI_SBDF(1, 16, 0) };
	sim_add(AT(0x40, 0, 0), 1, 2, 0x20000);
	sim_add(AT(0x40, 3, 0), 1, 2, 0x20000);
	sim_add(AT(0x40, 3, 5), 1, 2, 0x20000);
	sim_add(PCI_SBDF(1, 17, 8), 1, 2, 0x20000);
	sim_add(PCI_SBDF(1, 32, 8), 1, 2, 0x20000);

	pci_init();
	assert_int_equal(found(), 10);
	assert_logged("PCI: stopped 1 device that");
	assert_null(pci_find(PCI_SBDF(1, 32, 8)));
	assert_non_null(pci_find(PCI_SBDF(1, 17, 8)));
	f = pci_find(AT(2, 4, 0));
	assert_ptr_equal(f->bridge, pci_find(AT(1, 0, 0)));
	assert_ptr_equal(f->bridge->bridge, pci_find(AT(0, 3, 0)));
	assert_null(f->bridge->bridge->bridge);
	assert_int_equal(f->bar[0].base, 0xe000004000);
	assert_int_equal(f->bar[0].size, 0x4000);
	assert_true(f->bar[0].is64 && !f->bar[1].size);
	assert_true(f->bar[2].io && f->bar[2].size == 0x100 && f->bar[2].base == 0xc000);
	assert_true(f->bar[3].prefetch && f->bar[3].size == 0x1000000);
	assert_int_equal(f->pm, 0x40);
	assert_int_equal(f->msi, 0x50);
	assert_int_equal(f->msix, 0x70);
	assert_int_equal(f->express, 0x80);
	assert_int_equal(f->express_type, 0);
	assert_int_equal(f->acs, 0x140);
	assert_false(f->hidden);
	/* All is as it was, but for bus mastering. */
	assert_int_equal(sim_get(s, PCI_COMMAND, 2), 0x102);
	assert_int_equal(sim_get(s, PCI_BAR0, 4), 0x4004);
	assert_int_equal(sim_get(s, PCI_BAR0 + 4, 4), 0xe0);
	assert_int_equal(sim_get(s, PCI_ROM, 4), 0xfd000001);
	assert_int_equal(sim_get(sim_function(AT(0, 31, 0)), PCI_COMMAND, 2), 7);
}

static u32 group(u32 sbdf) { return pci_find(sbdf)->group; }

static void test_groups(void **state)
{
	(void)state;
	/* Single functions on the root bus; several of one device, with and without ACS. */
	sim_add(AT(0, 1, 0), 1, 1, 0x20000);
	for (unsigned i = 0; i < 3; i++)
		sim_add(AT(0, 2, i), 1, 1, 0x20000);
	for (unsigned i = 0; i < 2; i++) {
		sim_express(sim_add(AT(0, 5, i), 1, 1, 0x20000), 0x80, 0, true);
		sim_acs(sim_function(AT(0, 5, i)));
	}
	/* A root port with ACS, and behind it a switch: one port with ACS, one without. */
	sim_express(sim_bridge(AT(0, 3, 0), 1, 4), 0x80, PCI_EXP_TYPE_ROOT_PORT, false);
	sim_acs(sim_function(AT(0, 3, 0)));
	sim_express(sim_bridge(AT(1, 0, 0), 2, 4), 0x80, PCI_EXP_TYPE_UPSTREAM, false);
	sim_express(sim_bridge(AT(2, 0, 0), 3, 3), 0x80, PCI_EXP_TYPE_DOWNSTREAM, false);
	sim_acs(sim_function(AT(2, 0, 0)));
	sim_express(sim_bridge(AT(2, 1, 0), 4, 4), 0x80, PCI_EXP_TYPE_DOWNSTREAM, false);
	sim_add(AT(3, 0, 0), 1, 1, 0x20000);
	sim_add(AT(4, 0, 0), 1, 1, 0x20000);
	/* Below a port, one device with more than eight functions. */
	sim_express(sim_bridge(AT(0, 4, 0), 6, 6), 0x80, PCI_EXP_TYPE_ROOT_PORT, false);
	sim_acs(sim_function(AT(0, 4, 0)));
	sim_add(AT(6, 0, 0), 1, 1, 0x20000);
	sim_add(AT(6, 1, 0), 1, 1, 0x20000);
	/* A switch with ACS in all ports. */
	sim_express(sim_bridge(AT(0, 6, 0), 7, 10), 0x80, PCI_EXP_TYPE_ROOT_PORT, false);
	sim_acs(sim_function(AT(0, 6, 0)));
	sim_express(sim_bridge(AT(7, 0, 0), 8, 10), 0x80, PCI_EXP_TYPE_UPSTREAM, false);
	for (unsigned i = 0; i < 2; i++) {
		sim_express(sim_bridge(AT(8, i, 0), (u8)(9 + i), (u8)(9 + i)), 0x80,
			    PCI_EXP_TYPE_DOWNSTREAM, false);
		sim_acs(sim_function(AT(8, i, 0)));
		sim_add(AT(9 + i, 0, 0), 1, 1, 0x20000);
	}
	/* A bridge to PCI. */
	sim_bridge(AT(0, 30, 0), 5, 5);
	sim_add(AT(5, 1, 0), 1, 1, 0x20000);
	sim_add(AT(5, 2, 0), 1, 1, 0x20000);
	pci_init();
	assert_int_equal(group(AT(0, 1, 0)), AT(0, 1, 0));
	assert_int_equal(group(AT(0, 2, 2)), AT(0, 2, 0));
	assert_int_equal(group(AT(0, 2, 1)), AT(0, 2, 0));
	assert_int_equal(group(AT(0, 5, 1)), AT(0, 5, 1));
	/* What enters by the port without ACS leaves by the other one. */
	assert_int_equal(group(AT(3, 0, 0)), AT(2, 0, 0));
	assert_int_equal(group(AT(2, 0, 0)), AT(2, 0, 0));
	assert_int_equal(group(AT(4, 0, 0)), AT(2, 0, 0));
	assert_int_equal(group(AT(1, 0, 0)), AT(1, 0, 0));
	assert_int_equal(group(AT(6, 1, 0)), AT(6, 0, 0));
	assert_int_equal(group(AT(9, 0, 0)), AT(9, 0, 0));
	assert_int_equal(group(AT(10, 0, 0)), AT(10, 0, 0));
	assert_int_equal(group(AT(5, 1, 0)), AT(0, 30, 0));
	assert_int_equal(group(AT(5, 2, 0)), AT(0, 30, 0));
	assert_int_equal(sim_get(sim_function(AT(0, 3, 0)), PCI_EXT_FIRST + PCI_ACS_CONTROL, 2),
			 0x1d);
}

static void test_broken(void **state)
{
	struct sim_function *s = sim_add(AT(0, 1, 0), 1, 1, 0x20000);

	(void)state;
	/* Loops of capabilities; ones that do not fit. */
	for (unsigned at = 0x40; at < 0x100; at += 4)
		sim_set(s, at, 4, (0x40 + (at - 0x3c) % 0xc0) << 8 | PCI_CAP_PM, 0);
	sim_cap(s, 0x40, PCI_CAP_EXPRESS);
	sim_set(s, 0x100, 4, 0x0001 | 0x100U << 20, 0);
	s = sim_add(AT(0, 2, 0), 1, 1, 0x20000);
	sim_cap(s, 0xf8, PCI_CAP_MSIX);
	sim_cap(s, 0xf4, PCI_CAP_MSI);
	s->config[0xf6] = 0x80;
	sim_cap(s, 0xf0, 0x13);
	sim_set(s, 0xf1, 1, 0xf7, 0);
	/* BARs: gaps; a last one of 64 bits; one of 64 bits and no size. */
	s = sim_add(AT(0, 3, 0), 1, 1, 0x20000);
	sim_set(s, PCI_BAR0, 4, 0xf0000000, 0xf0f00000);
	s = sim_add(AT(0, 4, 0), 1, 1, 0x20000);
	sim_set(s, PCI_BAR0 + 20, 4, PCI_BAR_64, 0xfff00000);
	s = sim_add(AT(0, 5, 0), 1, 1, 0x20000);
	sim_set(s, PCI_BAR0, 4, PCI_BAR_64, 0);
	s = sim_add(AT(0, 6, 0), 1, 1, 0x20000);
	sim_set(s, PCI_BAR0, 4, PCI_BAR_PREFETCH, 0);
	/* Bridges: to itself, to each other, to nowhere; an unknown header. */
	sim_bridge(AT(0, 7, 0), 0, 0);
	sim_bridge(AT(0, 8, 0), 1, 1);
	sim_bridge(AT(1, 0, 0), 0, 255);
	sim_bridge(AT(1, 1, 0), 1, 1);
	sim_bridge(AT(0, 9, 0), 255, 3);
	sim_add(AT(0, 10, 0), 1, 1, 0x20000)->config[PCI_HEADER] = 0x7f;
	pci_init();
	assert_int_equal(found(), 12);
	assert_int_equal(pci_find(AT(0, 1, 0))->express, 0x40);
	assert_int_equal(pci_find(AT(0, 2, 0))->msix, 0);
	assert_int_equal(pci_find(AT(0, 2, 0))->msi, 0);
	for (unsigned d = 3; d < 7; d++)
		assert_int_equal(pci_find(AT(0, d, 0))->hidden, d != 5);
	assert_int_equal(host_logged("is broken"), 3);
	assert_null(pci_find(AT(0, 7, 0))->bridge);
	assert_ptr_equal(pci_find(AT(1, 1, 0))->bridge, pci_find(AT(0, 8, 0)));
	assert_lines_fit();
}

static int reset_all(struct pci_function *f)
{
	int rc;

	for (unsigned n = 0; (rc = pci_reset(f)) == -ERESTART && n < 5000; n++)
		sim_now += 1000000;
	return rc;
}

static void test_reset(void **state)
{
	(void)state;
	sim_bridge(AT(0, 3, 0), 1, 1);
	for (unsigned k = 0; k < 3; k++) {
		struct sim_function *s = sim_add(AT(k == 2, 5 + k, 0), 1, 1, 0x20000);

		sim_bar(s, 0, 0xfe000000, 0x100000, 0);
		sim_set(s, PCI_COMMAND, 2, 0x406, 0x547);
		sim_set(s, PCI_INT_LINE, 1, 10, 0xff);
		if (k == 0)
			sim_express(s, 0x40, 0, true);
		if (k == 1)
			sim_set(s, sim_cap(s, 0x40, PCI_CAP_PM) + PCI_PM_CONTROL, 2, 0, 3);
	}
	pci_init();
	for (unsigned k = 0; k < 3; k++) {
		struct sim_function *s = sim_function(AT(k == 2, 5 + k, 0));

		assert_int_equal(reset_all(pci_find(s->sbdf)), 0);
		assert_int_equal(s->resets, 1);
		assert_int_equal(sim_get(s, PCI_BAR0, 4), 0xfe000000);
		assert_int_equal(sim_get(s, PCI_COMMAND, 2), 2);
		assert_int_equal(sim_get(s, PCI_INT_LINE, 1), 10);
		if (k == 0)
			assert_int_equal(sim_get(s, 0x48, 2), 0x2810);
	}
	/* Transactions that never end; it never answers again; it did not before. */
	sim_function(AT(0, 5, 0))->config[0x4a] = PCI_EXP_DEVSTA_PENDING;
	assert_int_equal(reset_all(pci_find(AT(0, 5, 0))), 0);
	assert_int_equal(pci_reset(pci_find(AT(0, 5, 0))), -ERESTART);
	sim_function(AT(0, 5, 0))->dead = true;
	assert_int_equal(reset_all(pci_find(AT(0, 5, 0))), -ETIMEDOUT);
	assert_int_equal(reset_all(pci_find(AT(0, 5, 0))), -ETIMEDOUT);
	/* Another one is on the bus; a bridge. */
	sim_pci_setup(NULL);
	sim_bridge(AT(0, 3, 0), 1, 1);
	sim_add(AT(1, 0, 0), 1, 1, 0x20000);
	sim_add(AT(1, 0, 1), 1, 1, 0x20000);
	pci_init();
	assert_int_equal(reset_all(pci_find(AT(1, 0, 1))), -EOPNOTSUPP);
	assert_int_equal(reset_all(pci_find(AT(0, 3, 0))), -EOPNOTSUPP);
}

/* A physical function at 00:05.0, whose virtual ones are two ids later and two apart. */
static struct sim_function *add_sriov(u32 flags)
{
	struct sim_function *s = sim_add(AT(0, 5, 0), 0x1b36, 0x10, 0x10802);

	sim_express(s, 0x80, 0, true);
	sim_sriov(s, 8, 2, 2, 0x11);
	sim_vf_bar(s, 0, 0, 0x4000, flags);
	/* A second one, which no driver looks for. */
	sim_set(s, SIM_SRIOV, 4, PCI_EXT_SRIOV | 1 << 16 | 0x300U << 20, 0);
	sim_set(s, 0x300, 4, PCI_EXT_SRIOV | 1 << 16, 0);
	return s;
}

static void test_virtual(void **state)
{
	struct sim_function *s, *v;
	struct pci_function *f, *vf;

	(void)state;
	s = add_sriov(PCI_BAR_64);
	sim_set(s, SIM_SRIOV + PCI_SRIOV_CONTROL, 2, 9, 0x1f);	/* firmware's are turned off */
	v = sim_add(AT(0, 5, 6), 0xffff, 0xffff, 0x10802);
	sim_express(v, 0x80, 0, true);
	sim_add(AT(0, 30, 0), 1, 1, 0x20000);
	v->dead = true;
	pci_init();
	f = pci_find(s->sbdf);
	assert_int_equal(f->sriov, SIM_SRIOV);
	assert_int_equal(sim_get(s, SIM_SRIOV + PCI_SRIOV_CONTROL, 2), 0);
	assert_int_equal(sim_get(s, SIM_SRIOV + PCI_SRIOV_PAGE_SIZE, 4), PCI_SRIOV_4K);
	assert_true(f->vf_bar[0].size == 0x4000 && f->vf_bar[0].is64 && !f->vf_bar[1].size);
	v->dead = false;
	f->node = 3;
	f->vf_bar[0].base = 0xfe000000;
	assert_int_equal(pci_vf_index(f, AT(0, 5, 2)), -1);	/* none is on */
	f->nr_vfs = 3;
	assert_int_equal(pci_vf_index(f, AT(0, 5, 2)), 0);
	assert_int_equal(pci_vf_index(f, AT(0, 5, 5)), -1);
	assert_int_equal(pci_vf_index(f, AT(0, 5, 3)), -1);
	assert_int_equal(pci_vf_index(f, AT(0, 5, 6)), 2);
	assert_int_equal(pci_vf_index(f, AT(0, 6, 0)), -1);
	assert_int_equal(pci_vf_index(f, 0), -1);
	assert_null(pci_vf_add(f, AT(0, 5, 1)));
	assert_null(pci_vf_add(pci_find(AT(0, 30, 0)), AT(0, 30, 1)));
	vf = pci_vf_add(f, AT(0, 5, 6));
	assert_ptr_equal(vf, pci_find(AT(0, 5, 6)));
	assert_int_equal(found(), 3);	/* in order */
	assert_true(vf->vendor == 0x1b36 && vf->device == 0x11 && vf->class == 0x10802);
	assert_true(vf->bar[0].base == 0xfe008000 && vf->bar[0].size == 0x4000);
	assert_true(vf->express == 0x80 && vf->node == 3 && vf->group == vf->sbdf);
	pci_update_bars(vf);
	assert_int_equal(vf->bar[0].base, 0xfe008000);
	/* It has no vendor that would say that it is back from its reset. */
	assert_int_equal(reset_all(vf), 0);
	assert_int_equal(v->resets, 1);
	v->dead = true;
	assert_int_equal(reset_all(vf), -ETIMEDOUT);
	vf->owner = (struct domain *)1;
	assert_false(pci_vfs_forget(f));
	vf->owner = NULL;
	assert_true(pci_vfs_forget(f));
	assert_null(pci_find(AT(0, 5, 6)));
}

/* A broken BAR of the virtual ones; one of them in another's group; a capability that does not fit. */
static void test_virtual_broken(void **state)
{
	struct sim_function *s = add_sriov(PCI_BAR_64);

	(void)state;
	sim_vf_bar(s, 2, 0, 0xf0f00000, 0);
	sim_bridge(AT(0, 7, 0), 1, 1);
	s = sim_add(AT(1, 0, 0), 1, 1, 0x20000);
	sim_express(s, 0x80, 0, true);
	sim_sriov(s, 8, 1, 1, 0x11);
	s = sim_add(AT(0, 8, 0), 1, 1, 0x20000);
	sim_express(s, 0x80, 0, true);
	sim_set(s, 0x100, 4, 0x0001 | 0xfc4U << 20, 0);
	sim_set(s, 0xfc4, 4, PCI_EXT_SRIOV, 0);
	pci_init();
	assert_true(pci_find(AT(0, 5, 0))->hidden);
	assert_int_equal(pci_find(AT(0, 8, 0))->sriov, 0);
	pci_find(AT(1, 0, 0))->nr_vfs = 1;
	assert_int_equal(pci_vf_add(pci_find(AT(1, 0, 0)), AT(1, 0, 1))->group, AT(0, 7, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_functions, sim_pci_setup, sim_pci_setup),
		cmocka_unit_test_setup_teardown(test_groups, sim_pci_setup, sim_pci_setup),
		cmocka_unit_test_setup_teardown(test_broken, sim_pci_setup, sim_pci_setup),
		cmocka_unit_test_setup_teardown(test_virtual, sim_pci_setup, sim_pci_setup),
		cmocka_unit_test_setup_teardown(test_virtual_broken, sim_pci_setup, sim_pci_setup),
		cmocka_unit_test_setup_teardown(test_reset, sim_pci_setup, sim_pci_setup),
	};

	return cmocka_run_group_tests_name("pci", tests, NULL, NULL);
}
