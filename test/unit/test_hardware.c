/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of the machine's memory and ports reaches the domain that has the devices, with models of
 * both.
 * unit-sources: arch/x86/guest/hardware.c
 */
#include "host.h"

#include <margay/boot_state.h>
#include <margay/errno.h>
#include <margay/iommu.h>
#include <margay/pci.h>
#include <x86/features.h>
#include <x86/hardware.h>
#include <x86/io.h>
#include <x86/mmio.h>
#include <x86/platform.h>
#include <x86/vpci.h>

static u32 sim_read(u16 port, unsigned size);
static void sim_write(u16 port, unsigned size, u32 val);

#define port_read sim_read
#define port_write sim_write
#include "../../arch/x86/guest/hardware_io.c"

struct x86_features x86 = { .phys_bits = 40 };
struct boot_info boot_info;
struct acpi_info boot_acpi;
struct spinlock pci_lock;

static struct domain dom;
static struct vcpu vcpu = { .domain = &dom };
static u32 last_port, last_size, last_val, config_val;
static int ended;	/* SHUTDOWN_*, or -1 */
static u64 mapped, mapped_size;
static int map_result;
static unsigned crashes;

static u32 sim_read(u16 port, unsigned size)
{
	last_port = port;
	last_size = size;
	return 0xa1b2c3d4;
}

static void sim_write(u16 port, unsigned size, u32 val)
{
	last_port = port;
	last_size = size;
	last_val = val;
}

void vpci_ports(struct vcpu *v, u16 port, unsigned size, u64 *val, bool write)
{
	assert_ptr_equal(v, &vcpu);
	assert_true(port + size <= 0xd00);
	if (write)
		config_val = (u32)*val;
	else
		*val = (u32)port << 8 | size;
}

void domain_shutdown(struct domain *d, unsigned code)
{
	assert_ptr_equal(d, &dom);
	ended = (int)code;
}

void domain_crash(struct domain *d, struct vcpu *v, const char *why, ...)
{
	assert_ptr_equal(d, v->domain);
	assert_non_null(why);
	crashes++;
}

bool uart_at_port(u16 port)
{
	return port >= 0x3f8 && port < 0x400;
}

bool uart_in_memory(paddr_t at, u64 size)
{
	return at <= 0xfe000000 && at + size > 0xfe000000;
}

bool iommu_in_memory(paddr_t at, u64 size)
{
	return at < 0xfed94000 && at + size > 0xfed90000;
}

bool pci_memory_is_free(const struct domain *d, const struct pci_function *f, paddr_t at, u64 size)
{
	assert_ptr_equal(d, &dom);
	assert_null(f);
	return at > 0xf0001000 || at + size <= 0xf0001000;	/* a function of another domain */
}

int p2m_map_device(struct domain *d, gfn_t gfn, unsigned order)
{
	assert_ptr_equal(d, &dom);
	assert_true(IS_ALIGNED(gfn, 1UL << order));
	mapped = gfn << PAGE_SHIFT;
	mapped_size = PAGE_SIZE << order;
	return map_result;
}

static int setup(void **state)
{
	static struct mem_range mem[] = { { 0, 0x9f000, MEM_RAM },
					  { 0xf0000, 0x10000, MEM_RESERVED },
					  { 0x100000, 0x7ff00000, MEM_RAM },
					  { 0x80000000, 0x10000, MEM_ACPI },
					  { 0x100000000, 0x80000000, MEM_RAM },
					  { 0x180000000, 0x200000, MEM_UNCACHED } };

	(void)state;
	boot_info = (struct boot_info){ .mem = mem, .nr_mem = ARRAY_SIZE(mem) };
	boot_acpi = (struct acpi_info){
		.hpet_base = 0xfed00000,
		.ecam = { { .base = 0xb0000000, .size = 256UL << 20 } }, .nr_ecam = 1,
		.pm1a_cnt = 0x604, .pm1b_cnt = 0x704, .s5_valid = true, .s5_typ_a = 5,
		.s5_typ_b = 6, .reset_port = 0xcf9, .reset_value = 0xf,
	};
	dom = (struct domain){ .hardware = true };
	ended = -1;
	last_port = ~0U;
	crashes = 0;
	map_result = 0;
	return 0;
}

static bool maps(gpaddr_t gpa, u64 at, u64 size)
{
	mapped = ~0UL;
	return hardware_map(&vcpu, gpa) && mapped == at && mapped_size == size;
}

static bool refuses(gpaddr_t gpa)
{
	mapped = ~0UL;
	return !hardware_map(&vcpu, gpa) && mapped == ~0UL;
}

static void test_memory(void **state)
{
	struct mmio_region ioapic = { .base = 0xfec00000, .size = 0x400 };

	(void)state;
	dom.mmio = &ioapic;
	assert_true(maps(0xfd123456, 0xfd000000, 0x200000));
	assert_true(maps(0x8000000000, 0x8000000000, 0x200000));
	assert_true(refuses(1UL << 40));
	/* Beside RAM, page by page. */
	assert_true(maps(0xa0010, 0xa0000, 0x1000));
	assert_true(maps(0x80001000, 0x80000000, 0x200000));
	assert_true(refuses(0x5000));
	assert_true(refuses(0x7ffff000));
	assert_true(refuses(0x120000000));
	assert_true(refuses(0x180000000));
	/* What Margay drives or emulates, and what is beside it. */
	assert_true(refuses(0xfec00000));
	assert_true(maps(0xfec01000, 0xfec01000, 0x1000));
	assert_true(refuses(0xfee00000));
	assert_true(refuses(0xfeeff000));
	assert_true(maps(0xfef00000, 0xfef00000, 0x1000));
	assert_true(refuses(0xfed00000));
	assert_true(refuses(0xfed93000));
	assert_true(maps(0xfed94000, 0xfed94000, 0x1000));
	assert_true(refuses(0xfe000000));
	assert_true(refuses(0xb0000000));
	assert_true(refuses(0xbffff000));
	assert_true(refuses(0xf0001000));
	assert_true(maps(0xf0002000, 0xf0002000, 0x1000));
	/* Something is mapped there already. */
	map_result = -EBUSY;
	assert_true(maps(0xfd123456, 0xfd123000, 0x1000));
	map_result = -EINVAL;
	assert_true(maps(0xfd123456, 0xfd000000, 0x200000));
	map_result = -ENOMEM;
	assert_true(maps(0xfd123456, 0xfd000000, 0x200000));
	assert_int_equal(crashes, 1);
}

/* Returns whether a write reached the machine. */
static bool writes(u16 port, unsigned size, u32 val)
{
	last_port = ~0U;
	hardware_out(&vcpu, port, size, val);
	if (last_port == ~0U)
		return false;
	assert_int_equal(last_port, port);
	assert_int_equal(last_size, size);
	return true;
}

static bool reads(u16 port, unsigned size)
{
	last_port = ~0U;
	return hardware_in(&vcpu, port, size) && last_port == port;
}

static void test_ports(void **state)
{
	static const u16 margays[] = { 0x00, 0x0f, 0x20, 0x21, 0x40, 0x43, 0x61,
				    0x81, 0xa1, 0xc0, 0xdf, 0x3f8, 0x3ff };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(margays); i++) {
		assert_false(reads(margays[i], 1));
		assert_false(writes(margays[i], 1, 0x55));
	}
	/* An access that touches one of them. */
	assert_false(reads(0x3f6, 4));
	assert_false(writes(0x1e, 4, 0));
	assert_false(reads(0xffff, 2));
	assert_true(reads(0x1f0, 4));
	assert_true(writes(0x80, 1, 0x12));
	assert_true(writes(0x1f0, 2, 0x1234));
	assert_int_equal(last_val, 0x1234);
	assert_true(writes(0x70, 1, 0x8b)); /* without the bit that masks NMIs */
	assert_int_equal(last_val, 0x0b);
	assert_int_equal(hardware_in(&vcpu, 0xcfc, 2), 0xcfc02);
	assert_false(writes(0xcf8, 4, 0x80000400));
	assert_int_equal(config_val, 0x80000400);
	assert_int_equal(ended, -1);
}

static int ends(u16 port, unsigned size, u32 val)
{
	ended = -1;
	assert_false(writes(port, size, val));
	return ended;
}

static void test_ends(void **state)
{
	(void)state;
	assert_int_equal(ends(0x604, 2, 0x2000 | 5 << 10), SHUTDOWN_poweroff);
	assert_int_equal(ends(0x605, 1, 0x20 | 5 << 2), SHUTDOWN_poweroff);
	assert_int_equal(ends(0x704, 2, 0x2000 | 6 << 10), SHUTDOWN_poweroff);
	assert_int_equal(ends(0x602, 4, 0x20000000 | 5 << 26), SHUTDOWN_poweroff);
	assert_int_equal(ends(0x604, 2, 0x2000 | 1 << 10), -1);	/* S3 */
	assert_int_equal(host_logged("sleep state refused"), 1);
	assert_true(writes(0x604, 2, 1 | 5 << 10)); /* not yet */
	assert_int_equal(ends(0x64, 1, 0xfe), SHUTDOWN_reboot);
	assert_int_equal(ends(0x63, 2, 0xfe00), SHUTDOWN_reboot);
	assert_true(writes(0x64, 1, 0xff));
	assert_true(writes(0x64, 1, 0xd1));
	assert_int_equal(ends(0x92, 1, 0x01), SHUTDOWN_reboot);
	assert_true(writes(0x92, 1, 0x02));
	assert_int_equal(ends(0xcf9, 1, 0x06), SHUTDOWN_reboot);
	assert_int_equal(ends(0xcf9, 1, 0x02), -1);
	assert_int_equal(ends(0xcf9, 1, 0x0f), SHUTDOWN_reboot);
	ended = -1;
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	static const struct CMUnitTest tests[] = { TEST(test_memory), TEST(test_ports),
						   TEST(test_ends) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
