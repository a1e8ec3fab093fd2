/* SPDX-License-Identifier: BSD-2-Clause */
/* See smp.h. APs start one at a time, on the stack that ap_stack in start.asm names. */
#include "smp.h"
#include "alloc.h"
#include "events.h"
#include "lapic.h"
#include "string.h"
#include "test.h"
#include "time.h"
#include "traps.h"
#include "x86.h"

#define MADT_LAPIC	0
#define MADT_X2APIC	9
#define CR0_PE_ET	0x11
#define SEG_CODE32	0xc9b
#define SEG_DATA32	0xc93
#define SEG_TSS32	0x8b
#define START_TIMEOUT	(5 * NS_PER_S)

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t rest[28];
} __attribute__((packed));

struct acpi_rsdp {
	char signature[8];
	uint8_t rest[16];
	uint64_t xsdt;
} __attribute__((packed));

extern const uint8_t ap_trampoline[], ap_trampoline_end[], ap_entry32[], ap_entry64[];
extern uint64_t page_tables[512];
extern uint64_t ap_stack;
NORETURN void ap_start(void);

uint8_t boot_stack[STACK_SIZE] __attribute__((aligned(STACK_SIZE)));
static struct cpu *cpus[MAX_CPUS];	/* of the vCPUs started so far */
static unsigned int nr_cpus;
static uint32_t apic_ids[MAX_CPUS];
static unsigned int done;
static volatile bool started[MAX_CPUS];

static void add_cpu(uint32_t apic_id, uint32_t flags)
{
	if ((flags & 1) && nr_cpus < MAX_CPUS)
		apic_ids[nr_cpus++] = apic_id;
}

static void parse_madt(const struct acpi_header *madt)
{
	const uint8_t *p = (const uint8_t *)madt + 44, *end = (const uint8_t *)madt + madt->length;

	for (; p + 2 <= end && p[1]; p += p[1]) {
		uint32_t w[4];

		if (p[0] == MADT_LAPIC) {
			memcpy(w, p + 4, 4);
			add_cpu(p[3], w[0]);
		} else if (p[0] == MADT_X2APIC) {
			memcpy(w, p, 16);
			add_cpu(w[1], w[2]);
		}
	}
}

const void *acpi_find(const char *name)
{
	const struct acpi_rsdp *rsdp = (const struct acpi_rsdp *)start_info->rsdp_paddr;
	const struct acpi_header *xsdt;

	CHECK(rsdp && !memcmp(rsdp->signature, "RSD PTR ", 8), "no RSDP at %p", (void *)rsdp);
	xsdt = (const struct acpi_header *)rsdp->xsdt;
	/* Ignore its signature: Xen's is wrong if the firmware has only an RSDT. */
	CHECK(xsdt, "no XSDT");
	for (uint32_t off = sizeof(*xsdt); off + 8 <= xsdt->length; off += 8) {
		uint64_t addr;

		memcpy(&addr, (const uint8_t *)xsdt + off, 8);
		if (!memcmp((const void *)addr, name, 4))
			return (const void *)addr;
	}
	return NULL;
}

unsigned int cpu_count(void)
{
	const struct acpi_header *madt;

	if (nr_cpus)
		return nr_cpus;
	madt = acpi_find("APIC");
	if (madt)
		parse_madt(madt);
	CHECK(nr_cpus, "no processor in the MADT");
	return nr_cpus;
}

uint32_t cpu_apic_id(unsigned int id)
{
	CHECK(id < cpu_count(), "vCPU %u of %u", id, cpu_count());
	return apic_ids[id];
}

/* The first C code of an AP. */
void ap_start(void)
{
	struct cpu *cpu = this_cpu();

	traps_init();
	started[cpu->id] = true;
	cpu->task();
	__atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
	irq_disable();
	for (;;)
		asm volatile("hlt");
}

/* Registers the vcpu_info of a vCPU that has none in shared_info. Does so once. */
static void place_vcpu_info(unsigned int id, struct vcpu_info *info)
{
	static bool placed[MAX_CPUS];
	struct vcpu_register_vcpu_info r = {
		.mfn = (uintptr_t)info >> PAGE_SHIFT,
		.offset = (uint32_t)((uintptr_t)info % PAGE_SIZE),
	};

	if (!placed[id])
		CHECK_RET(vcpu_op(VCPUOP_register_vcpu_info, id, &r), 0);
	placed[id] = true;
}

static void prepare(unsigned int id, void (*task)(void))
{
	struct cpu *cpu;

	CHECK(id && id < MAX_CPUS, "cannot start vCPU %u", id);
	if (!cpus[id]) {
		uintptr_t pages = (uintptr_t)page_alloc(2 * STACK_SIZE / PAGE_SIZE - 1);

		cpus[id] = (struct cpu *)((pages + STACK_SIZE - 1) & ~(STACK_SIZE - 1));
	}
	cpu = cpus[id];
	memset(cpu, 0, sizeof(*cpu));
	cpu->id = id;
	cpu->apic_id = cpu_apic_id(id);
	cpu->info = shared_vcpu_info(id);
	if (id >= XEN_LEGACY_MAX_VCPUS)
		place_vcpu_info(id, cpu->info);
	cpu->task = task;
	started[id] = false;
	ap_stack = (uintptr_t)cpu + STACK_SIZE;
}

void cpu_start(unsigned int id, void (*task)(void))
{
	static uint8_t *tramp;

	if (!tramp) {
		tramp = low_page();
		memcpy(tramp, ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
	}
	prepare(id, task);
	lapic_icr(apic_ids[id], ICR_INIT | ICR_ASSERT);
	delay_ns(100 * NS_PER_US);
	lapic_icr(apic_ids[id], ICR_STARTUP | ICR_ASSERT | (uint32_t)((uintptr_t)tramp >> 12));
	CHECK(WAIT_FOR(started[id], START_TIMEOUT), "vCPU %u did not start by INIT/SIPI", id);
}

void cpu_start_all(void (*task)(void))
{
	done = 0;
	for (unsigned int id = 1; id < cpu_count(); id++)
		cpu_start(id, task);
}

void cpu_start_by_hypercall(unsigned int id, void (*task)(void), uint32_t mode)
{
	struct vcpu_hvm_context ctx = { .mode = mode };

	prepare(id, task);
	if (mode == VCPU_HVM_MODE_32B) {
		ctx.cpu_regs.x86_32 = (struct vcpu_hvm_x86_32){
			.eip = (uint32_t)(uintptr_t)ap_entry32, .cr0 = CR0_PE_ET,
			.cs_limit = ~0u, .ds_limit = ~0u, .ss_limit = ~0u, .es_limit = ~0u,
			.tr_limit = 0x67, .cs_ar = SEG_CODE32, .ds_ar = SEG_DATA32,
			.ss_ar = SEG_DATA32, .es_ar = SEG_DATA32, .tr_ar = SEG_TSS32,
		};
	} else {
		ctx.cpu_regs.x86_64 = (struct vcpu_hvm_x86_64){
			.rip = (uintptr_t)ap_entry64, .rsp = ap_stack, .cr0 = read_cr0(),
			.cr3 = (uintptr_t)page_tables, .cr4 = read_cr4(), .efer = rdmsr(MSR_EFER),
		};
	}
	CHECK_RET(vcpu_op(VCPUOP_initialise, id, &ctx), 0);
	CHECK_RET(vcpu_op(VCPUOP_up, id, NULL), 0);
	CHECK(WAIT_FOR(started[id], START_TIMEOUT), "vCPU %u did not start by VCPUOP_up", id);
}

unsigned int cpus_done(void)
{
	return __atomic_load_n(&done, __ATOMIC_SEQ_CST);
}

void cpu_barrier(unsigned int n)
{
	static unsigned int arrived, round;
	unsigned int my_round = __atomic_load_n(&round, __ATOMIC_SEQ_CST);

	if (__atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST) == n) {
		__atomic_store_n(&arrived, 0, __ATOMIC_SEQ_CST);
		__atomic_fetch_add(&round, 1, __ATOMIC_SEQ_CST);
		return;
	}
	while (__atomic_load_n(&round, __ATOMIC_SEQ_CST) == my_round)
		cpu_pause();
}
