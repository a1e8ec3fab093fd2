/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: the domain with the machine's devices gets their interrupts through the emulated
 * IO-APIC: edges of the RTC, and the level of ACPI's PM timer, which stays until the guest has
 * cleared its cause. Reads the machine's FADT and a string of bytes from a port.
 */
#include "guest.h"

#define IOAPIC		0xfec00000ul
#define RTE_LOW		0x2000u
#define RTE_REMOTE_IRR	0x4000u
#define RTE_LEVEL	0x8000u
#define RTE_MASKED	0x10000u
#define EDGE		0x51
#define LEVEL		0x61
#define RTC_PIN		8u
#define FIRST_PCI_PIN	16u
#define CMOS_LIFE	0x7fu
#define SECOND_LIFE	0xa5

static volatile unsigned int edges, levels;
static unsigned int leave;	/* interrupts of the level to answer without clearing the cause */
static unsigned int sci_pin = 9;
static uint32_t sci_flags = RTE_LEVEL;
static uint16_t event_port, control_port, smi_port;
static uint8_t acpi_enable;

static uint8_t rtc(uint8_t reg)
{
	outb(0x70, reg);
	return inb(0x71);
}

static uint32_t ioapic(unsigned int reg)
{
	*(volatile uint32_t *)IOAPIC = reg;
	return *(volatile uint32_t *)(IOAPIC + 0x10);
}

static void set_entry(unsigned int pin, uint32_t low)
{
	*(volatile uint32_t *)IOAPIC = 0x10 + 2 * pin + 1;
	*(volatile uint32_t *)(IOAPIC + 0x10) = cpu_apic_id(0) << 24;
	*(volatile uint32_t *)IOAPIC = 0x10 + 2 * pin;
	*(volatile uint32_t *)(IOAPIC + 0x10) = low;
}

static void on_edge(struct trap_regs *regs)
{
	(void)regs;
	edges++;
	rtc(0x0c);
	lapic_eoi();
}

static void on_level(struct trap_regs *regs)
{
	(void)regs;
	levels++;
	CHECK(lapic_vector_bit(LAPIC_TMR, LEVEL), "no bit in TMR");
	if (leave)
		leave--;
	else
		outw(event_port, 1);
	lapic_eoi();
}

static void read_tables(void)
{
	const uint8_t *fadt = acpi_find("FACP"), *madt = acpi_find("APIC");
	uint32_t size = *(const uint32_t *)(madt + 4);

	event_port = *(const uint16_t *)(fadt + 56);
	control_port = *(const uint16_t *)(fadt + 64);
	smi_port = *(const uint16_t *)(fadt + 48);
	acpi_enable = fadt[52];
	sci_pin = *(const uint16_t *)(fadt + 46);
	for (uint32_t at = 44; at + 2 <= size && madt[at + 1]; at += madt[at + 1])
		if (madt[at] == 2 && madt[at + 3] == sci_pin)
			sci_flags |= (madt[at + 8] & 3) == 3 ? RTE_LOW : 0;
}

static void check_edges(void)
{
	unsigned int before;

	edges = 0;
	outb(0x70, 0x0a);
	outb(0x71, 0x26);	/* 1024 a second */
	rtc(0x0c);
	outb(0x70, 0x0b);
	outb(0x71, rtc(0x0b) | 0x40);
	set_entry(RTC_PIN, EDGE);
	CHECK(WAIT_FOR(edges >= 20, NS_PER_S), "%u interrupts of the RTC", edges);
	set_entry(RTC_PIN, EDGE | RTE_MASKED);
	delay_ns(2 * NS_PER_MS);
	before = edges;
	delay_ns(10 * NS_PER_MS);
	CHECK(edges == before, "interrupts of a masked pin");
	rtc(0x0c);
	set_entry(RTC_PIN, EDGE);
	CHECK(WAIT_FOR(edges >= before + 20, NS_PER_S), "%u interrupts after the mask", edges);
	outb(0x70, 0x0b);
	outb(0x71, rtc(0x0b) & ~0x40);
	set_entry(RTC_PIN, RTE_MASKED);
}

/* Where ACPI's interrupt may come: the FADT's pin or, on Bochs, one of the PCI bus's. */
static void set_sci_pins(uint32_t low)
{
	set_entry(sci_pin, low | sci_flags);
	for (unsigned int pin = FIRST_PCI_PIN; pin < FIRST_PCI_PIN + 4; pin++)
		set_entry(pin, low | RTE_LEVEL);
}

static void check_level(void)
{
	levels = 0;
	leave = 3;
	outw(event_port, 1);
	set_sci_pins(LEVEL);
	/*
	 * The timer's highest bit changes every 2.3 s. Bochs 2.7 then looks at the register only
	 * when it is written.
	 */
	CHECK(WAIT_FOR((outw(event_port + 2, 1), delay_ns(10 * NS_PER_MS), levels), 5 * NS_PER_S),
	      "no interrupt of ACPI, status %x", inw(event_port));
	CHECK(WAIT_FOR(levels == 4, 100 * NS_PER_MS), "%u interrupts of ACPI, not 4", levels);
	delay_ns(10 * NS_PER_MS);
	CHECK(levels == 4, "%u interrupts of ACPI, not 4", levels);
	for (unsigned int pin = 0; pin < 24; pin++)
		CHECK(!(ioapic(0x10 + 2 * pin) & RTE_REMOTE_IRR), "remote IRR of %u stays", pin);
	CHECK(!lapic_vector_bit(LAPIC_TMR, LEVEL), "TMR stays");
	outw(event_port + 2, 0);
	set_sci_pins(RTE_MASKED);
}

static void check_mode(void)
{
	lapic_enable();
	irq_enable();
	check_edges();
	check_level();
	irq_disable();
}

/* The clock's registers by REP INSB: the index stays at the seconds. */
static void check_strings(void)
{
	uint8_t secs[200];
	void *to = secs;
	uint64_t n = sizeof(secs);
	unsigned int wrong = 0;

	outb(0x70, 0x0d);	/* valid RAM: bit 7 alone */
	asm volatile("rep insb" : "+D"(to), "+c"(n) : "d"((uint16_t)0x71) : "memory");
	CHECK(!n && to == secs + sizeof(secs), "%lu bytes left", n);
	for (unsigned int i = 0; i < sizeof(secs); i++)
		wrong += secs[i] != secs[0];
	CHECK(!wrong && secs[0] == 0x80, "%u bytes differ from %x", wrong, secs[0]);
}

/*
 * The first of two lives ends by a reset while pins are open; the clock's RAM says which life it is.
 */
static void reset_once(void)
{
	if (rtc(CMOS_LIFE) == SECOND_LIFE) {
		outb(0x70, CMOS_LIFE);
		outb(0x71, 0);
		return;
	}
	outb(0x70, CMOS_LIFE);
	outb(0x71, SECOND_LIFE);
	set_entry(RTC_PIN, EDGE);
	set_sci_pins(LEVEL);
	outb(0xcf9, 0x06);
	for (;;)
		cpu_pause();
}

int main(void)
{
	CHECK((ioapic(1) & 0xff) == 0x11, "IO-APIC version %x", ioapic(1));
	CHECK(ioapic(0x10) & RTE_MASKED, "not masked");
	set_trap_handler(EDGE, on_edge);
	set_trap_handler(LEVEL, on_level);
	read_tables();
	if (!(inw(control_port) & 1))
		outb(smi_port, acpi_enable);
	CHECK(WAIT_FOR(inw(control_port) & 1, NS_PER_S), "ACPI is not on");
	check_strings();
	if (cmdline_number("reset", 0))
		reset_once();
	lapic_in_each_mode(check_mode);
	pass();
}
