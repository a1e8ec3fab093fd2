/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's power-off and reset: ACPI S5, the ACPI reset register, then older methods. ACPI
 * 4.8.
 */
#include <margay/arch.h>
#include <margay/boot_state.h>
#include <margay/console.h>
#include <x86/io.h>
#include <x86/platform.h>
#include <x86/traps.h>

#define SLP_EN 0x2000
#define SCI_EN 0x0001

void arch_poweroff(void)
{
	const struct acpi_info *a = &boot_acpi;

	arch_irqs_off();
	console_flush();
	if (a->s5_valid && a->pm1a_cnt) {
		if (a->smi_cmd && a->acpi_enable && !(inw(a->pm1a_cnt) & SCI_EN)) {
			outb(a->smi_cmd, a->acpi_enable);
			for (unsigned i = 0; i < 300 && !(inw(a->pm1a_cnt) & SCI_EN); i++)
				udelay(1000);
		}
		outw(a->pm1a_cnt, (u16)(a->s5_typ_a << 10 | SLP_EN));
		if (a->pm1b_cnt)
			outw(a->pm1b_cnt, (u16)(a->s5_typ_b << 10 | SLP_EN));
		udelay(1000000);
	}
	printk("this machine cannot be powered off by ACPI: halted\n");
	arch_halt();
}

void arch_reboot(void)
{
	const struct acpi_info *a = &boot_acpi;
	struct table_ptr none = { 0, 0 };

	arch_irqs_off();
	console_flush();
	/* An NMI of the PIT must not meet the firmware before it has a handler: OVMF has none. */
	ioapic_mask_all();
	if (a->reset_port) {
		outb(a->reset_port, a->reset_value);
		udelay(100000);
	}
	outb(0xcf9, 0x02);
	outb(0xcf9, 0x06);
	udelay(100000);
	outb(0x64, 0xfe);
	udelay(100000);
	/* Cause a triple fault. */
	__asm__ volatile("lidt %0; int3" ::"m"(none));
	__builtin_unreachable();
}
