/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenario: starting vCPUs by hypercall in 32-bit and 64-bit mode, is_up, down and up. Needs three
 * vCPUs, since each can be initialised only once, until an INIT.
 */
#include "guest.h"

static volatile uint64_t ticks[3];

static void tick(void)
{
	for (;;) {
		ticks[this_cpu()->id]++;
		cpu_pause();
	}
}

static void check_errors(void)
{
	struct vcpu_hvm_context ctx = { .mode = 7 };

	CHECK_RET(vcpu_op(VCPUOP_is_up, 4096, NULL), -XEN_ENOENT);
	CHECK_RET(vcpu_op(VCPUOP_up, 4096, NULL), -XEN_ENOENT);
	CHECK_RET(vcpu_op(VCPUOP_up, 1, NULL), -XEN_EINVAL);
	CHECK_RET(vcpu_op(VCPUOP_initialise, 1, (void *)0x7f0000000000), -XEN_EFAULT);
	CHECK_RET(vcpu_op(VCPUOP_initialise, 1, &ctx), -XEN_EINVAL);
	/* 32-bit flat mode without any present segment. */
	ctx.mode = VCPU_HVM_MODE_32B;
	ctx.cpu_regs.x86_32.cr0 = 0x11;
	CHECK_RET(vcpu_op(VCPUOP_initialise, 1, &ctx), -XEN_EINVAL);
	/* 64-bit mode without LMA and paging. */
	ctx = (struct vcpu_hvm_context){ .mode = VCPU_HVM_MODE_64B };
	CHECK_RET(vcpu_op(VCPUOP_initialise, 1, &ctx), -XEN_EINVAL);
	CHECK_RET(vcpu_op(99, 0, NULL), -XEN_ENOSYS);
	CHECK_RET(vcpu_op(VCPUOP_is_up, 1, NULL), 0);
}

#define AR_DPL3 0x60u
#define AR_READABLE 2u
#define AR_BUSY_TSS 3u
#define CR4_LA57 (1u << 12)
#define RFLAGS_VM (1ul << 17)

/* States that a CPU could not have, or that a vCPU could not start in. */
static void check_states(void)
{
	static const struct {
		uint32_t flags, cs, ss, ds, tr;	/* bits to change */
		uint32_t cr4;
	} bad32[] = {
		{ .flags = 1u << 15 }, { .flags = RFLAGS_VM }, { .cs = AR_DPL3 }, { .ss = AR_DPL3 },
		{ .ds = AR_READABLE | 8 }, { .tr = AR_BUSY_TSS }, { .cr4 = 1u << 17 },
		{ .cr4 = CR4_LA57 },
	};
	static const struct {
		uint64_t flags, rip;
	} bad64[] = { { .flags = 1ul << 15 }, { .flags = 1ul << 22 }, { .flags = 1ul << 32 },
		      { .flags = RFLAGS_VM }, { .rip = 1ul << 47 }, { .rip = 1ul << 63 } };

	for (unsigned int i = 0; i < ARRAY_SIZE(bad32); i++) {
		struct vcpu_hvm_context ctx = { .mode = VCPU_HVM_MODE_32B };

		ctx.cpu_regs.x86_32 = (struct vcpu_hvm_x86_32){
			.eflags = bad32[i].flags,
			.cr0 = 0x11,
			.cr4 = bad32[i].cr4,
			.cs_limit = ~0u,
			.ds_limit = ~0u,
			.ss_limit = ~0u,
			.es_limit = ~0u,
			.tr_limit = 0x67,
			.cs_ar = 0xc9b ^ bad32[i].cs,
			.ds_ar = 0xc93 ^ bad32[i].ds,
			.ss_ar = 0xc93 ^ bad32[i].ss,
			.es_ar = 0xc93,
			.tr_ar = 0x8b ^ bad32[i].tr,
		};
		CHECK(vcpu_op(VCPUOP_initialise, 1, &ctx) == -XEN_EINVAL, "32-bit state %u", i);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(bad64); i++) {
		struct vcpu_hvm_context ctx = { .mode = VCPU_HVM_MODE_64B };

		ctx.cpu_regs.x86_64 = (struct vcpu_hvm_x86_64){
			.rip = bad64[i].rip, .rflags = bad64[i].flags, .cr0 = read_cr0(),
			.cr3 = read_cr3(), .cr4 = read_cr4(), .efer = rdmsr(MSR_EFER),
		};
		CHECK(vcpu_op(VCPUOP_initialise, 1, &ctx) == -XEN_EINVAL, "64-bit state %u", i);
	}
}

static void check_down_up(unsigned int id)
{
	struct vcpu_hvm_context ctx = { .mode = VCPU_HVM_MODE_64B };
	uint64_t seen;

	CHECK_RET(vcpu_op(VCPUOP_is_up, id, NULL), 1);
	CHECK_RET(vcpu_op(VCPUOP_up, id, NULL), 0);
	CHECK_RET(vcpu_op(VCPUOP_initialise, id, &ctx), -XEN_EEXIST);
	seen = ticks[id];
	CHECK(WAIT_FOR(ticks[id] != seen, NS_PER_S), "vCPU %u does not run", id);

	CHECK_RET(vcpu_op(VCPUOP_down, id, NULL), 0);
	CHECK_RET(vcpu_op(VCPUOP_is_up, id, NULL), 0);
	delay_ns(20 * NS_PER_MS);			/* it may still be going down */
	seen = ticks[id];
	delay_ns(20 * NS_PER_MS);
	CHECK(ticks[id] == seen, "vCPU %u runs though it is down", id);

	CHECK_RET(vcpu_op(VCPUOP_up, id, NULL), 0);
	CHECK_RET(vcpu_op(VCPUOP_is_up, id, NULL), 1);
	CHECK(WAIT_FOR(ticks[id] != seen, NS_PER_S), "vCPU %u does not run again", id);
}

/* After an INIT, a new state is set as soon as that is allowed: the vCPU may still be on a CPU. */
static void check_init(unsigned int id)
{
	struct vcpu_hvm_context bad = { .mode = 7 };

	for (unsigned int i = 0; i < 50; i++) {
		long rc;

		lapic_icr(cpu_apic_id(id), ICR_INIT | ICR_ASSERT);
		while ((rc = vcpu_op(VCPUOP_initialise, id, &bad)) == -XEN_EEXIST)
			cpu_pause();
		CHECK_RET(rc, -XEN_EINVAL);
		cpu_start_by_hypercall(id, tick, VCPU_HVM_MODE_64B);
	}
}

int main(void)
{
	CHECK(cpu_count() == 3, "wants 3 vCPUs, got %u", cpu_count());
	CHECK_RET(vcpu_op(VCPUOP_is_up, 0, NULL), 1);
	check_errors();
	if (cmdline_number("states", 0))
		check_states();
	cpu_start_by_hypercall(1, tick, VCPU_HVM_MODE_32B);
	check_down_up(1);
	cpu_start_by_hypercall(2, tick, VCPU_HVM_MODE_64B);
	check_down_up(2);
	check_init(2);
	pass();
}
