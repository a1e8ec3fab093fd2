/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI: locating the tables, a complete typical machine, and tables broken as a whole.
 * unit-sources: drivers/acpi/tables.c drivers/acpi/madt.c drivers/acpi/srat.c drivers/acpi/serial.c drivers/acpi/mcfg.c test/unit/acpi_sim.c
 */
#include "acpi_sim.h"

#include <margay/errno.h>
#include <margay/lib.h>

static void test_q35(void **state)
{
	(void)state;
	sim_q35();
	assert_int_equal(sim_parse(), 0);
	assert_silent();
	assert_int_equal(sim_info.nr_cpus, 3); /* without the online-capable one */
	assert_int_equal(sim_info.cpus[0].apic_id, 0);
	assert_int_equal(sim_info.cpus[1].apic_id, 1);
	assert_int_equal(sim_info.cpus[2].apic_id, 0x100);
	assert_int_equal(sim_info.cpus[2].uid, 7);
	assert_int_equal(sim_info.nr_ioapics, 1);
	assert_int_equal(sim_info.ioapics[0].base, 0xfec00000);
	assert_int_equal(sim_info.nr_overrides, 2);
	assert_int_equal(sim_info.overrides[0].irq, 0);
	assert_int_equal(sim_info.overrides[0].gsi, 2);
	assert_int_equal(sim_info.overrides[1].flags, 0xd);
	assert_int_equal(sim_info.nr_nodes, 3);
	assert_int_equal(sim_info.nodes[0], 5);
	assert_int_equal(sim_info.nodes[1], 300);
	assert_int_equal(sim_info.cpus[0].node, 0);
	assert_int_equal(sim_info.cpus[1].node, 0);
	assert_int_equal(sim_info.cpus[2].node, 1);
	assert_int_equal(sim_info.nr_mem, 3);
	assert_int_equal(sim_info.mem[1].base, 0x100000000);
	assert_int_equal(sim_info.mem[1].node, 1);
	assert_int_equal(sim_info.mem[2].node, 2); /* hot-plug: the node is known */

	assert_int_equal(sim_info.hpet_base, 0xfed00000);
	assert_int_equal(sim_info.smi_cmd, 0xb2);
	assert_int_equal(sim_info.acpi_enable, 2);
	assert_int_equal(sim_info.pm1a_cnt, 0x604);
	assert_int_equal(sim_info.pm1b_cnt, 0);
	assert_true(sim_info.s5_valid);
	assert_int_equal(sim_info.s5_typ_a, 0);
	assert_int_equal(sim_info.s5_typ_b, 3);
	assert_int_equal(sim_info.reset_port, 0xcf9);
	assert_int_equal(sim_info.reset_value, 0xf);
}

static void test_rsdt(void **state)
{
	(void)state;
	sim_fadt(116);
	sim_madt();
	sim_root("RSDT", 4);
	assert_int_equal(sim_parse_at(sim_rsdp, 20), 0);
	assert_silent();
	assert_int_equal(sim_info.nr_cpus, 3);
	assert_int_equal(sim_info.nr_nodes, 1);
	assert_int_equal(sim_info.pm1a_cnt, 0x604);
	assert_int_equal(sim_info.reset_port, 0);
	assert_int_equal(sim_info.hpet_base, 0);
}

static void test_nothing(void **state)
{
	(void)state;
	assert_int_equal(sim_parse_at(NULL, 0), -ENOENT);
	assert_logged("acpi: no RSDP");
	sim_assert_one_cpu();
}

static void test_bad_rsdp(void **state)
{
	(void)state;
	sim_q35();
	assert_int_equal(sim_parse_at(sim_rsdp, 19), -ENOENT);
	assert_int_equal(sim_parse_at(sim_rsdp, 20), -ENOENT); /* version 2 needs 36 bytes */
	sim_rsdp[32]++;
	assert_int_equal(sim_parse(), -ENOENT);
	sim_rsdp[32]--;
	*(u32 *)(sim_rsdp + 20) = 0xffffffff;
	assert_int_equal(sim_parse(), -ENOENT);
	*(u32 *)(sim_rsdp + 20) = 20;
	assert_int_equal(sim_parse(), -ENOENT);
	*(u32 *)(sim_rsdp + 20) = 36;
	sim_rsdp[0] = 'X';
	assert_int_equal(sim_parse(), -ENOENT);
	assert_int_equal(host_logged("RSDP is corrupt"), 6);
	sim_assert_one_cpu();
}

static void test_bad_root(void **state)
{
	u64 at;

	(void)state;
	sim_q35();
	memcpy(&at, sim_rsdp + 24, 8);
	sim_mem[at - BASE + 10]++;
	assert_int_equal(sim_parse(), -ENOENT);
	assert_logged("acpi: XSDT: wrong checksum");
	assert_logged("no root table");
	sim_assert_one_cpu();

	/* The RSDT is used instead. */
	sim_setup(NULL);
	sim_madt();
	sim_root("RSDT", 4);
	sim_rsdp[15] = 2;
	*(u64 *)(sim_rsdp + 24) = 0xdead0000;
	sim_fix_sum(sim_rsdp, 20, sim_rsdp + 8);
	sim_fix_sum(sim_rsdp, 36, sim_rsdp + 32);
	assert_int_equal(sim_parse(), 0);
	assert_logged("XSDT: no table at 0xdead0000");
	assert_int_equal(sim_info.nr_cpus, 3);

	/* Neither is valid. */
	*(u32 *)(sim_rsdp + 16) = BASE;
	sim_fix_sum(sim_rsdp, 20, sim_rsdp + 8);
	sim_fix_sum(sim_rsdp, 36, sim_rsdp + 32);
	assert_int_equal(sim_parse(), -ENOENT);
	assert_logged("RSDT: table at 0x7ff00000 is called APIC");
}

static void test_bad_tables(void **state)
{
	size_t at;

	(void)state;
	at = sim_madt();
	sim_mem[at + 50]++;
	sim_hpet();
	sim_tables[sim_nr_tables++] = 0x1000;
	sim_tables[sim_nr_tables++] = 0;
	sim_root("XSDT", 8);
	assert_int_equal(sim_parse(), 0);
	assert_logged("acpi: APIC: wrong checksum, ignored");
	assert_logged("no table at 0x1000");
	sim_assert_one_cpu();
	assert_int_equal(sim_info.hpet_base, 0xfed00000);

	sim_setup(NULL);
	at = sim_madt();
	sim_put(at + 4, 35, 4);
	at = sim_hpet();
	sim_put(at + 4, 0x40000000, 4);
	at = sim_table_of("SRAT", 3, NULL, 4);
	sim_put(at + 4, 0x200000, 4);
	sim_root("XSDT", 8);
	assert_int_equal(sim_parse(), 0);
	assert_logged("APIC: length 35 is wrong");
	assert_logged("HPET: length 1073741824 is wrong");
	assert_logged("SRAT: 2097152 bytes at");
	assert_int_equal(sim_info.hpet_base, 0);

	/* Correct checksums, but too short for their type */
	sim_setup(NULL);
	sim_table_of("APIC", 3, NULL, 7);
	sim_table_of("SRAT", 3, NULL, 11);
	sim_table_of("FACP", 3, NULL, 18);
	sim_table_of("HPET", 1, NULL, 4);
	sim_root("XSDT", 8);
	assert_int_equal(sim_parse(), 0);
	assert_logged("APIC: length 43 is too short");
	assert_logged("SRAT: length 47 is too short");
	assert_logged("FACP: length 54 is too short");
	assert_logged("HPET: no memory address");
	sim_assert_one_cpu();
}

static void test_duplicates(void **state)
{
	(void)state;
	sim_madt();
	sim_table_of("APIC", 3, NULL, 8);
	sim_hpet();
	sim_hpet();
	sim_root("XSDT", 8);
	assert_int_equal(sim_parse(), 0);
	assert_logged("APIC: second table of this name");
	assert_logged("HPET: second table of this name");
	assert_int_equal(sim_info.nr_cpus, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_q35, sim_setup),
		cmocka_unit_test_setup(test_rsdt, sim_setup),
		cmocka_unit_test_setup(test_nothing, sim_setup),
		cmocka_unit_test_setup(test_bad_rsdp, sim_setup),
		cmocka_unit_test_setup(test_bad_root, sim_setup),
		cmocka_unit_test_setup(test_bad_tables, sim_setup),
		cmocka_unit_test_setup(test_duplicates, sim_setup),
	};

	return cmocka_run_group_tests_name("acpi", tests, NULL, NULL);
}
