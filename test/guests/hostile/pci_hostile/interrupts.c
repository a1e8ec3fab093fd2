/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts by MSI and MSI-X: forged and stormed. */
#include "hostile_device.h"

#define MSG		0xfee00000u
#define MSG_LOGICAL	(1u << 2)
#define MSI_CONTROL	2u
#define MSI_ENABLE	1u
#define MSIX_CONTROL	2u
#define MSIX_ENABLE	0x8000u
#define MSIX_TABLE	0x2000u		/* in BAR 0 of QEMU's NVMe disk */
#define OWN_VECTOR	0x60

static volatile unsigned int arrived[256];
static unsigned int msi;

static void on_interrupt(struct trap_regs *regs)
{
	arrived[regs->vector]++;
	lapic_eoi();
}

/* An exception's vector would arrive here without the error code that the handler expects. */
static bool is_harmful_here(uint64_t address, uint16_t data)
{
	uint8_t vector = (uint8_t)data, dest = (uint8_t)(address >> 12);

	return vector >= 16 && vector < 32 && (!dest || dest == 0xff || (address & MSG_LOGICAL));
}

static void try(uint64_t address, uint16_t data)
{
	if (is_harmful_here(address, data))
		return;
	edu_set_message(&edu, address, data);
	edu_raise(&edu);
}

static void check_own(const char *after)
{
	unsigned int before = arrived[OWN_VECTOR];

	edu_set_message(&edu, MSG | this_cpu()->apic_id << 12, OWN_VECTOR);
	edu_raise(&edu);
	CHECK(WAIT_FOR(arrived[OWN_VECTOR] != before, NS_PER_S), "after %s: no interrupt", after);
}

static void begin(void)
{
	msi = pci_cap(edu.config, PCI_CAP_MSI);
	CHECK(msi, "edu has no MSI");
	for (unsigned int v = 32; v < 256; v++)
		set_trap_handler((uint8_t)v, on_interrupt);
	lapic_enable();
	irq_enable();
	check_own("the start");
}

static void end(const char *after)
{
	check_own(after);
	pci_write16(edu.config, msi + MSI_CONTROL, 0);
	irq_disable();
	devices_restore(after);
}

void messages_everywhere(void)
{
	uint64_t n = cmdline_number("messages", 500);

	begin();
	/* Each vector to each CPU that there may be, and to all. */
	for (unsigned int vector = 0; vector < 256; vector++) {
		try(MSG, (uint16_t)vector);
		try(MSG | (vector % 8) << 12, (uint16_t)vector);
		try(MSG | 0xffu << 12, (uint16_t)vector);
	}
	/* NMI, INIT and the like; logical destinations; places that take no messages. */
	for (uint64_t i = 0; i < n; i++) {
		uint16_t data = (uint16_t)random_u64();

		try(MSG | (random_u64() & 0xfffff), data);
		try(random_u64() & ~3ul, data);
	}
	try(0x200000, OWN_VECTOR);
	end("forged messages");
}

void msix_everywhere(void)
{
	unsigned int cap = nvme ? pci_cap(nvme, PCI_CAP_MSIX) : 0;
	uint64_t n = cmdline_number("accesses", 3000);

	if (!cap)
		return;
	pci_write16(nvme, cap + MSIX_CONTROL, MSIX_ENABLE);
	for (uint64_t i = 0; i < n; i++) {
		volatile uint8_t *table = nvme_regs + MSIX_TABLE;
		uint64_t val = random_u64();

		/* Mostly parts of entries, sometimes any bytes, also across pages and behind the table. */
		if (i % 4)
			access_store(table + random_u64() % 0x500 / 4 * 4, 4,
				     i & 1 ? MSG | (val & 0xff000) : val);
		else
			access_store(table + random_u64() % 0x2000, 1u << random_u64() % 5, val);
		if (i % 64 == 0)
			pci_write16(nvme, cap + MSIX_CONTROL, (uint16_t)random_u64());
	}
	pci_write16(nvme, cap + MSIX_CONTROL, 0);
	devices_restore("MSI-X tables");
}

static void raise_many(void)
{
	uint64_t n = cmdline_number("storm", 20000);

	for (uint64_t i = 0; i < n; i++)
		edu_raise(&edu);
}

/* To this vCPU, to the other one, which takes none, and to one that does not exist. */
void storm(void)
{
	static const uint8_t to[] = { 0, 1, 7 };

	begin();
	for (unsigned int i = 0; i < ARRAY_SIZE(to); i++) {
		edu_set_message(&edu, MSG | (uint32_t)to[i] << 12, OWN_VECTOR);
		if (cpu_count() > 1)
			cpu_start_all(raise_many);
		raise_many();
		CHECK(WAIT_FOR(cpu_count() < 2 || cpus_done(), 20 * NS_PER_S),
		      "vCPU 1 storms for ever");
	}
	end("storms");
}
