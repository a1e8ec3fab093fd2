/* SPDX-License-Identifier: BSD-2-Clause */
/* Panic: prints the registers and a backtrace with symbol names, and stops Margay. */
#include <margay/vcpu.h>
#include <margay/cmdline.h>
#include <margay/console.h>
#include <margay/version.h>
#include <x86/paging.h>
#include <x86/regs.h>
#include <x86/traps.h>

extern const u32 sym_count, sym_addr[];
extern const char sym_name[];
extern const u8 image_start[], text_end[];

/* Returns the function that contains addr, and the offset in it; NULL outside Margay's code. */
static const char *symbol_of(u64 addr, u64 *offset)
{
	const char *name = sym_name;
	u64 off = addr - (u64)image_start;
	u32 i;

	if (addr < (u64)image_start || addr >= (u64)text_end || !sym_count || off < sym_addr[0])
		return NULL;
	for (i = 0; i + 1 < sym_count && sym_addr[i + 1] <= off; i++)
		name += strlen(name) + 1;
	*offset = off - sym_addr[i];
	return name;
}

/*
 * ret: 1 for a return address, whose call lies before it: behind a call that does not return the
 * next function may begin.
 */
static void print_symbol(u64 addr, unsigned ret)
{
	u64 off = 0;
	const char *name = symbol_of(addr - ret, &off);

	if (name)
		printk("  %016lx %s+%#lx\n", addr, name, off + ret);
	else
		printk("  %016lx\n", addr);
}

void trap_backtrace(u64 rip, u64 rsp, u64 rbp)
{
	u64 low = rbp & ~0x3fffUL, off;

	printk("backtrace:\n");
	print_symbol(rip, 0);
	/*
	 * A function without a frame, such as memcpy(), has its return address on top of the stack.
	 */
	if (stack_area(rsp) == STACK_PAGE && rsp % 8 == 0 && symbol_of(*(u64 *)rsp, &off))
		print_symbol(*(u64 *)rsp, 1);
	/* Frames must ascend and stay close: a broken chain ends the backtrace. */
	for (unsigned i = 0; i < 24 && rbp >= DIRECTMAP_BASE && rbp % 8 == 0 && rbp - low < 0x8000;
	     i++) {
		const u64 *frame = (const u64 *)rbp;

		if (frame[0] <= rbp)
			break;
		print_symbol(frame[1], 1);
		rbp = frame[0];
	}
}

void panic(const char *fmt, ...)
{
	va_list ap;

	arch_irqs_off();
	console_panic_start();
	va_start(ap, fmt);
	printk("panic on CPU %u:\n", this_cpu()->id);
	vprintk(fmt, ap);
	va_end(ap);
	printk("RSP %016lx CR2 %016lx CR3 %016lx\nCR0 %08lx CR4 %08lx\n",
	       (u64)__builtin_frame_address(0), read_cr2(), read_cr3(), read_cr0(), read_cr4());
	trap_backtrace((u64)__builtin_return_address(0) - 1, 0, *(u64 *)__builtin_frame_address(0));
	version_print();
	printk("panic: the machine %s\n", opt.noreboot ? "stays halted" : "reboots in 5 seconds");
	if (opt.noreboot)
		arch_halt();
	udelay(5000000);
	arch_reboot();
}

u64 __stack_chk_guard = 0x9ad7c5f1e0b3ff00;
void __stack_chk_fail(void);

void __stack_chk_fail(void)
{
	panic("stack overrun in the caller of __stack_chk_fail\n");
}
