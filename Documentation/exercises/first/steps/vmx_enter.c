/* SPDX-License-Identifier: BSD-2-Clause */
/* Step 4: a guest on VT-x. SDM 3C 25, 27.3.1, 3D A, B and C. */
#include "hv.h"

#define VMX_BASIC 0x480
#define PIN_CTLS 0x481		/* MSRs: the bits that must be and may be 1 */
#define CPU_CTLS 0x482
#define EXIT_CTLS 0x483
#define ENTRY_CTLS 0x484
#define HLT_EXITING (1U << 7)
#define HOST_64_BIT (1U << 9)
#define GUEST_64_BIT (1U << 9)

#define EXIT_CPUID 10		/* basic reasons */
#define EXIT_HLT 12

static u32 vmcs[1024] __attribute__((aligned(4096)));
static bool launched;

static void vmwrite(u64 field, u64 val)
{
	__asm__ volatile("vmwrite %1, %0" : : "r"(field), "r"(val) : "cc");
}

static u64 vmread(u64 field)
{
	u64 val;

	__asm__ volatile("vmread %1, %0" : "=r"(val) : "r"(field) : "cc");
	return val;
}

static void control(u64 field, u32 msr, u32 wanted)
{
	u64 allowed = rdmsr(msr);

	vmwrite(field, (wanted | (u32)allowed) & (u32)(allowed >> 32));
}

/* Sets a segment of the guest, and if it is to have one the host's selector. */
static void segment(unsigned n, u16 selector, u32 limit, u32 rights)
{
	vmwrite(0x800 + 2 * n, selector);
	vmwrite(0x4800 + 2 * n, limit);
	vmwrite(0x4814 + 2 * n, rights);
	vmwrite(0x6806 + 2 * n, 0);
	if (n != 6)		/* LDTR */
		vmwrite(n == 7 ? 0xc0c : 0xc00 + 2 * n, selector);
}

static void prepare_host(u64 cr0, u64 cr4)
{
	vmwrite(0x6c00, cr0);
	vmwrite(0x6c02, (u64)pml4);
	vmwrite(0x6c04, cr4);
	vmwrite(0x6c06, 0);		/* the bases of FS, GS, TR */
	vmwrite(0x6c08, 0);
	vmwrite(0x6c0a, 0);
	vmwrite(0x6c0c, (u64)gdt);
	vmwrite(0x6c0e, 0);		/* no IDT: an exception resets the machine */
	vmwrite(0x4c00, 0);		/* SYSENTER's registers */
	vmwrite(0x6c10, 0);
	vmwrite(0x6c12, 0);
}

/* The guest begins at rip, in 64-bit mode, with our own page tables: it could touch all we have. */
void vmx_prepare(const u8 *rip)
{
	u64 region = (u64)vmcs, cr0, cr4;

	__asm__("mov %%cr0, %0" : "=r"(cr0));
	__asm__("mov %%cr4, %0" : "=r"(cr4));
	vmcs[0] = (u32)rdmsr(VMX_BASIC);
	__asm__ volatile("vmclear %0" : : "m"(region) : "memory", "cc");
	__asm__ volatile("vmptrld %0" : : "m"(region) : "memory", "cc");
	control(0x4000, PIN_CTLS, 0);
	control(0x4002, CPU_CTLS, HLT_EXITING);
	control(0x400c, EXIT_CTLS, HOST_64_BIT);
	control(0x4012, ENTRY_CTLS, GUEST_64_BIT);
	vmwrite(0x4004, 0);		/* exceptions do not exit */
	vmwrite(0x400a, 0);		/* no CR3 targets */
	vmwrite(0x400e, 0);		/* no MSRs to store and load */
	vmwrite(0x4010, 0);
	vmwrite(0x4014, 0);
	vmwrite(0x4016, 0);		/* nothing to inject */
	vmwrite(0x6000, 0);		/* the guest owns all bits of CR0, CR4 */
	vmwrite(0x6002, 0);
	prepare_host(cr0, cr4);

	segment(0, 0x10, 0xffffffff, 0xc093);	/* ES, CS, SS, DS */
	segment(1, 0x08, 0xffffffff, 0xa09b);
	segment(2, 0x10, 0xffffffff, 0xc093);
	segment(3, 0x10, 0xffffffff, 0xc093);
	segment(4, 0, 0, 1 << 16);		/* FS, GS, LDTR: unusable */
	segment(5, 0, 0, 1 << 16);
	segment(6, 0, 0, 1 << 16);
	segment(7, 0x18, 0x67, 0x8b);		/* TR */
	vmwrite(0x6816, (u64)gdt);
	vmwrite(0x4810, (u64)(gdt_end - gdt - 1));
	vmwrite(0x6818, 0);			/* the IDT */
	vmwrite(0x4812, 0);
	vmwrite(0x6800, cr0);
	vmwrite(0x6802, (u64)pml4);
	vmwrite(0x6804, cr4);
	vmwrite(0x681a, 0x400);			/* DR7 */
	vmwrite(0x681c, (u64)guest_stack);
	vmwrite(0x681e, (u64)rip);
	vmwrite(0x6820, 2);			/* RFLAGS */
	vmwrite(0x6822, 0);			/* no pending debug exceptions */
	vmwrite(0x4824, 0);			/* interruptibility, activity */
	vmwrite(0x4826, 0);
	vmwrite(0x482a, 0);			/* SYSENTER's registers */
	vmwrite(0x6824, 0);
	vmwrite(0x6826, 0);
	vmwrite(0x2802, 0);			/* DEBUGCTL */
	vmwrite(0x2800, ~0UL);			/* no linked VMCS */
}

bool vmx_switch(struct regs *r, bool launched);	/* switch.asm */

enum why vmx_enter(struct regs *r)
{
	if (!vmx_switch(r, launched)) {
		print("VM-instruction error ");
		print_hex(vmread(0x4400));
		print("\r\n");
		return WHY_OTHER;
	}
	launched = true;
	switch (vmread(0x4402)) {
	case EXIT_HLT:
		return WHY_HLT;
	case EXIT_CPUID:
		return WHY_CPUID;
	}
	return WHY_OTHER;
}

/* The processor reports the length of the instruction. */
void vmx_skip(void)
{
	vmwrite(0x681e, vmread(0x681e) + vmread(0x440c));
}
