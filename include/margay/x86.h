/* SPDX-License-Identifier: BSD-2-Clause */
/* The processor: registers' bits by the manuals' names, and the instructions C has no words for. */
#ifndef MARGAY_X86_H
#define MARGAY_X86_H

#include <margay/lib.h>
#include <margay/mm.h>
#include <margay/percpu.h>

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

#define CR4_PAE BIT(5)
#define CR4_MCE BIT(6)
#define CR4_PGE BIT(7)
#define CR4_OSFXSR BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP BIT(11)
#define CR4_LA57 BIT(12)
#define CR4_VMXE BIT(13)
#define CR4_FSGSBASE BIT(16)
#define CR4_OSXSAVE BIT(18)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)

/* The components of XCR0, SDM 1 13.1. */
#define XCR0_X87 BIT(0)
#define XCR0_SSE BIT(1)
#define XCR0_AVX BIT(2)
#define XCR0_AVX512 (BIT(5) | BIT(6) | BIT(7))
#define XCR0_PKRU BIT(9)

/* The parts of an XSAVE area that are always there. */
#define FXSAVE_SIZE 512U
#define XSAVE_HEADER_SIZE 64U

#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)
#define EFER_SVME BIT(12)
#define EFER_FFXSR BIT(14)

#define DR6_B 0xfUL
#define DR6_BD BIT(13)
#define DR6_BS BIT(14)
#define DR7_GD BIT(13)

#define RFLAGS_TF BIT(8)
#define RFLAGS_IF BIT(9)

#define PTE_P BIT(0)
#define PTE_W BIT(1)
#define PTE_U BIT(2)
#define PTE_PWT BIT(3)
#define PTE_PCD BIT(4)
#define PTE_A BIT(5)
#define PTE_D BIT(6)
#define PTE_PS BIT(7)
#define PTE_G BIT(8)
#define PTE_NX BIT(63)
#define PTE_ADDR 0x000ffffffffff000UL
#define RIGHTS_RX (PTE_P | PTE_A | PTE_G)
#define RIGHTS_RO (PTE_P | PTE_A | PTE_G | PTE_NX)
#define RIGHTS_RW (PTE_P | PTE_A | PTE_D | PTE_G | PTE_W | PTE_NX)

#define MSR_TSC 0x10
#define MSR_APIC_BASE 0x1b
#define MSR_FEATURE_CONTROL 0x3a
#define MSR_PRED_CMD 0x49
#define PRED_CMD_IBPB 1
#define MSR_SYSENTER_CS 0x174
#define MSR_SYSENTER_ESP 0x175
#define MSR_SYSENTER_EIP 0x176
#define MSR_PAT 0x277
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_X2APIC_BASE 0x800
#define MSR_EFER 0xc0000080
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_CSTAR 0xc0000083
#define MSR_SFMASK 0xc0000084
#define MSR_FS_BASE 0xc0000100
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_TSC_AUX 0xc0000103
#define MSR_VM_CR 0xc0010114
#define MSR_VM_HSAVE_PA 0xc0010117

static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (u64)hi << 32 | lo;
}

static inline void wrmsr(u32 msr, u64 val)
{
	__asm__ volatile("wrmsr" ::"c"(msr), "a"((u32)val), "d"((u32)(val >> 32)) : "memory");
}

/* Adds a fault address and where to go on instead to the exception table. */
#define EXTABLE(from, to) ".pushsection .extable,\"a\"; .quad " from ", " to "; .popsection\n"

/* False, and *val untouched, when the CPU refuses with #GP. */
static inline bool rdmsr_safe(u32 msr, u64 *val)
{
	u32 lo, hi;
	bool ok = false;

	__asm__ volatile("1: rdmsr; movb $1, %2; 2:\n" EXTABLE("1b", "2b")
			 : "=a"(lo), "=d"(hi), "+r"(ok)
			 : "c"(msr));
	if (ok)
		*val = (u64)hi << 32 | lo;
	return ok;
}

static inline void cpuid_count(u32 leaf, u32 sub, u32 *a, u32 *b, u32 *c, u32 *d)
{
	__asm__ volatile("cpuid" : "=a"(*a), "=b"(*b), "=c"(*c), "=d"(*d) : "a"(leaf), "c"(sub));
}

#define DEFINE_REG(name)                                                                      \
	static inline u64 read_##name(void)                                                   \
	{                                                                                     \
		u64 v;                                                                        \
		__asm__ volatile("mov %%" #name ", %0" : "=r"(v));                            \
		return v;                                                                     \
	}                                                                                     \
	static inline void write_##name(u64 v)                                                \
	{                                                                                     \
		__asm__ volatile("mov %0, %%" #name ::"r"(v) : "memory");                     \
	}
DEFINE_REG(cr0)
DEFINE_REG(cr2)
DEFINE_REG(cr3)
DEFINE_REG(cr4)
DEFINE_REG(dr6)

static inline void write_xcr0(u64 v)
{
	__asm__ volatile("xsetbv" ::"c"(0), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

#define DEFINE_IO(size, type)                                                                 \
	static inline type in##size(u16 port)                                                 \
	{                                                                                     \
		type v;                                                                       \
		__asm__ volatile("in" #size " %1, %0" : "=a"(v) : "Nd"(port));                \
		return v;                                                                     \
	}                                                                                     \
	static inline void out##size(u16 port, type v)                                        \
	{                                                                                     \
		__asm__ volatile("out" #size " %0, %1" ::"a"(v), "Nd"(port));                 \
	}
DEFINE_IO(b, u8)
DEFINE_IO(w, u16)

/* What traps.asm pushes; the order of its stores. */
struct trap_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8;
	u64 rdi, rsi, rbp, rbx, rdx, rcx, rax;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss;
};

/* Vectors Margay uses on the host. */
enum {
	VEC_NMI = 2,
	VEC_DF = 8,
	VEC_MC = 18,
	VEC_UART = 0xf0,
	VEC_TIMER = 0xf1,
	VEC_KICK = 0xf2,
	VEC_SPURIOUS = 0xff,
};

/* What LGDT and LIDT take. */
struct table_ptr {
	u16 limit;
	u64 base;
} __packed;

#define SEL_CODE 0x08
#define SEL_DATA 0x10
#define SEL_TSS 0x18

void idt_init(void);
void idt_use_stacks(void);
void idt_load(void);
void gdt_init_cpu(struct cpu *c);
void gdt_load(struct cpu *c);
u64 gdt_base(const struct cpu *c);
u64 gdt_tss_base(const struct cpu *c);
u64 idt_base(void);
void __noreturn stack_switch(void *top, void (*fn)(void *arg), void *arg);
void machine_check_init(void);
void trap_backtrace(u64 rip, u64 rsp, u64 rbp);
bool trap_in_policy(struct cpu *c, struct trap_frame *f);
void policy_nmi(struct cpu *c, struct trap_frame *f);
void policy_nmi_init(void);
const char *exception_name(u64 vector);

/* Local APIC of the host: MMIO or x2APIC. arch/x86/cpu/apic.c */
void apic_init(bool allow_x2apic);
void apic_init_cpu(void);
u32 apic_id(void);
void apic_eoi(void);
void apic_send_ipi(u32 apic_id, u32 icr_low);
void apic_send_nmi(u32 apic_id);	/* from an NMI handler, too */
void apic_timer_calibrate(u64 tsc_hz);
#define ICR_INIT 0x4500U
#define ICR_SIPI 0x4600U
#define ICR_NMI 0x4400U

/* The PIT: channel 2 to calibrate, channel 0 for regular NMIs. Intel 82C54. */
#define PIT_HZ 1193182U
#define PIT_CH0 0x40
#define PIT_CH2 0x42
#define PIT_CMD 0x43
#define PIT_RATE 0x34		/* channel 0, both bytes, mode 2 */
#define PIT_STOP 0x30		/* mode 0, which waits for a count */

/* Machine features and time. */
void features_init(void);
void features_init_cpu(void);
void tsc_init(void);
extern u64 tsc_mul;
#define TSC_SHIFT 28
static inline u64 ns_to_tsc(u64 ns)
{
	return (u64)((unsigned __int128)ns * tsc_mul >> TSC_SHIFT);
}
extern u64 tsc_base; /* TSC at system time 0 */
void udelay(unsigned us);
void tsc_sync_bsp(struct cpu *c);
void tsc_sync_ap(void);
extern u64 tsc_skew_max; /* ticks by which one TSC is behind another; 0: they agree */
void tsc_pvclock_scale(u32 *mul, s8 *shift);

/* arch/x86/mm */
struct boot_info;
void paging_init(const struct boot_info *bi);
void paging_load_cpu(void);
void *map_mmio(paddr_t pa, size_t size);
void *map_stack(unsigned pages);		/* top of a stack with a guard page below */
enum stack_area { STACK_NONE, STACK_PAGE, STACK_GUARD } stack_area(u64 va);
/* Whole pages, 4 KiB each, with RIGHTS_*. 0 or -ENOMEM. Unmapping frees nothing and flushes nothing. */
int map_pages(u64 va, paddr_t pa, u64 size, u64 rights);
void unmap_pages(u64 va, u64 size);
/* Makes whole pages of RAM read-only in the direct map, or writable again. 0 or -ENOMEM; no flush. */
int protect_direct(paddr_t pa, u64 size, bool readonly);
void flush_all_cpus(void);	/* all TLBs; waits; no locks held */
void paging_end_init(void);			/* gives init memory back */
extern paddr_t image_paddr;			/* where the image's first byte lies */

void smp_boot_aps(void);
void ioapic_init(void);
/* Routes an ISA interrupt (by its MADT override) to CPU 0: a vector, or RTE_NMI. 0 or -ENODEV. */
#define RTE_NMI 0x400U
int ioapic_route_isa(unsigned irq, u32 what);
void legacy_pic_off(void);

u64 rtc_read_wallclock(void);			/* seconds since 1970, UTC */

#endif
