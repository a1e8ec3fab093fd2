/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU's interrupts on their way between the virtual local APIC and the CPU's, against a model of
 * the latter: nothing is lost and nothing doubled, and only the registers that are harmless are open.
 * unit-sources: test/unit/no_policies.c arch/x86/guest/vlapic.c arch/x86/guest/vlapic_timer.c
 * unit-sources: arch/x86/guest/vlapic_ipi.c arch/x86/guest/inject.c test/unit/mock_vcpu.c test/unit/mock_heap.c
 */
#include "mock_vcpu.h"

#include <margay/isolate.h>
#include <x86/msr.h>

static u64 fake_rdmsr(u32 msr);
static void fake_wrmsr(u32 msr, u64 val);
#define rdmsr fake_rdmsr
#define wrmsr fake_wrmsr
#include "../../arch/x86/guest/direct.c"

#define X2APIC(offset) (MSR_X2APIC_BASE + (offset) / 16)

static struct {
	bool irr[256], isr[256];
	u32 reg[64];
	u64 deadline;
	bool runs;	/* a read of the timer's count takes a tick */
} apic;
static struct {
	bool rd, wr;
} open_msr[0x1000];
static bool direct_on, no_memory;
static unsigned accepted;

static u64 fake_rdmsr(u32 msr)
{
	assert_int_equal(msr, MSR_TSC_DEADLINE);
	return apic.deadline;
}

static void fake_wrmsr(u32 msr, u64 val)
{
	assert_int_equal(msr, MSR_TSC_DEADLINE);
	apic.deadline = val;
}

static int first(const bool *set)
{
	for (int i = 255; i >= 0; i--)
		if (set[i])
			return i;
	return -1;
}

u32 apic_read(u32 reg)
{
	const bool *set = reg >= APIC_IRR ? apic.irr : apic.isr;
	u32 w = 0;

	if (reg == APIC_TMCCT && apic.runs && apic.reg[reg / 16])
		return apic.reg[reg / 16]--;
	if ((reg & ~0x7fU) != APIC_ISR && (reg & ~0x7fU) != APIC_IRR)
		return apic.reg[reg / 16];
	for (u32 i = 0; i < 32; i++)
		w |= (u32)set[reg % 0x80 / 16 * 32 + i] << i;
	return w;
}

void apic_write(u32 reg, u32 val)
{
	apic.reg[reg / 16] = val;
}

void apic_eoi(void)
{
	assert_true(first(apic.isr) >= 0);
	apic.isr[first(apic.isr)] = false;
}

bool apic_in_service(u8 vector)
{
	return apic.isr[vector];
}

void apic_send_ipi(u32 dest, u32 icr)
{
	assert_int_equal(dest, host_cpu->apic_id);
	assert_true(icr >= 16 && icr < 256);
	apic.irr[icr] = true;
}

/* Takes all interrupts that the priority lets through. */
void arch_poll_irqs(void)
{
	for (;;) {
		int irr = first(apic.irr), isr = first(apic.isr);
		int ppr = max((int)apic.reg[APIC_TPR / 16] >> 4, isr >> 4);

		if (irr < 0 || irr >> 4 <= ppr)
			return;
		assert_true(irr >= 32);	/* else it would be an exception on the host */
		apic.irr[irr] = false;
		apic.isr[irr] = true;
		accepted++;
		direct_interrupt(host_cpu, (u8)irr);
	}
}

void arch_cpu_isolate(bool on)
{
	assert_true(on);
	apic.reg[LVT_OF_TIMER / 16] = LVT_MASKED;
	apic.reg[APIC_TPR / 16] = 0x1f;
	arch_poll_irqs();
}

static int set_msr_exits(struct vcpu *v, u32 msr, bool rd, bool wr)
{
	(void)v;
	if (no_memory)
		return -ENOMEM;
	open_msr[msr].rd = !rd;
	open_msr[msr].wr = !wr;
	return 0;
}

static void set_direct(struct vcpu *v, bool on)
{
	(void)v;
	direct_on = on;
}

static void no_flush(struct vcpu *v)
{
	(void)v;
}

static const struct hvm_ops ops = { .msr_exits = set_msr_exits,
				    .direct = set_direct,
				    .request_flush = no_flush };

void quiesce_outside(void) {}
void quiesce_inside(void) {}
void cpu_raise(struct cpu *c, u32 work)
{
	c->work |= work;
}
void guest_triple_fault(struct vcpu *who)
{
	fail_msg("triple fault of vCPU %u", who->id);
}
int p2m_map(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned order, enum p2m_type type)
{
	(void)d, (void)gfn, (void)mfn, (void)order, (void)type;
	return -ENOMEM;
}
int p2m_unmap(struct domain *d, gfn_t gfn, u32 types)
{
	(void)d, (void)gfn, (void)types;
	return -ENOENT;
}

static struct vcpu *v;
static struct vlapic *vl;

static int setup(void **state)
{
	(void)state;
	mock_vcpu_init(true);
	memset(&apic, 0, sizeof(apic));
	memset(open_msr, 0, sizeof(open_msr));
	no_memory = direct_on = false;
	*host_cpu = (struct cpu){ .apic_id = 7, .isolated = true };
	hvm = &ops;
	v = vcpu_nr(1);
	vl = v->vlapic;
	v->cpu = v->core = host_cpu;
	host_cpu->owner = v;
	apic.reg[APIC_TPR / 16] = 0x1f;
	mock_domain.isolation = ISOLATION_DONE;
	x86.x2apic = x86.tsc_deadline = true;
	vl->base |= APIC_BASE_EXTD;
	vl->svr = SVR_ENABLE | 0xff;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mock_vcpu_free();
	return 0;
}

static void go(bool direct)
{
	mock_domain.isolation = direct ? ISOLATION_DONE : ISOLATION_LEAVES;
	direct_update(v);
	if (mock_domain.trusted && !direct) {
		assert_true(v->direct);	/* the page is still there */
		mock_domain.apic_mapped = false;
	}
	direct_update(v);
	assert_int_equal(v->direct, direct);
	assert_int_equal(direct_on, direct);
	if (direct)
		direct_move_irr(v);
}

/* What is harmless is open, and nothing else, on both vendors' hardware; closed again later. */
static void test_open(void **state)
{
	(void)state;
	vl->lvt[LVT_TIMER] = LVT_DEADLINE | 0x40;
	go(true);
	for (u32 msr = 0; msr < ARRAY_SIZE(open_msr); msr++) {
		bool state_reg = msr >= X2APIC(APIC_ISR) && msr < X2APIC(APIC_IRR) + 8;
		bool both = msr == X2APIC(APIC_TPR) || msr == MSR_TSC_DEADLINE;

		assert_int_equal(open_msr[msr].rd, both || state_reg || msr == X2APIC(APIC_PPR));
		assert_int_equal(open_msr[msr].wr,
				 both || msr == X2APIC(APIC_EOI) || msr == X2APIC(APIC_SELF_IPI));
	}
	go(false);
	for (u32 msr = 0; msr < ARRAY_SIZE(open_msr); msr++)
		assert_false(open_msr[msr].rd || open_msr[msr].wr);

	/* Without a deadline timer, as on many of AMD's, or with a TSC of its own: virtual. */
	for (unsigned i = 0; i < 2; i++) {
		x86.tsc_deadline = i;
		v->tsc_offset = i;
		go(true);
		assert_false(open_msr[MSR_TSC_DEADLINE].wr);
		assert_true(open_msr[X2APIC(APIC_EOI)].wr);
		go(false);
	}
}

/* In other modes, on shared CPUs and without memory the APIC stays virtual. */
static void test_not(void **state)
{
	(void)state;
	no_memory = true;
	direct_update(v);
	assert_false(v->direct || direct_on);
	no_memory = false;
	vl->base &= ~(u64)APIC_BASE_EXTD;
	direct_update(v);
	assert_false(v->direct);
	vl->base |= APIC_BASE_EXTD;
	x86.x2apic = false;
	direct_update(v);
	assert_false(v->direct);
	x86.x2apic = true;
	host_cpu->isolated = false;
	direct_update(v);
	assert_false(v->direct);
	host_cpu->isolated = true;
	*vlapic_reg(vl, APIC_ISR) = BIT(20);	/* on the host that were an exception */
	direct_update(v);
	assert_false(v->direct);
	*vlapic_reg(vl, APIC_ISR) = 0;
	go(true);
	vl->svr = 0xff;
	assert_int_equal(vlapic_wrmsr(v, X2APIC(APIC_SVR), 0xff), 0);	/* switched off */
	assert_false(v->direct || direct_on);
}

/* Random sets of pending interrupts and of those in service go there and back, and later ones too. */
static void test_random(void **state)
{
	(void)state;
	srand(1);
	for (unsigned round = 0; round < 300; round++) {
		bool isr[256] = { 0 }, irr[256] = { 0 };

		for (u32 class = 2; class < 16; class ++)
			if (rand() % 4 == 0)
				isr[class * 16 + (u32)rand() % 16] = true;
		for (u32 i = 16; i < 256; i++)
			irr[i] = rand() % 16 == 0;
		memset(vl->irr, 0, sizeof(vl->irr));
		for (u32 i = 0; i < 256; i++) {
			u32 *w = vlapic_reg(vl, APIC_ISR + i / 32 * 16);

			*w = (*w & ~(1U << i % 32)) | (u32)isr[i] << i % 32;
			if (irr[i])
				set_bit(i, vl->irr);
		}
		*vlapic_reg(vl, APIC_TPR) = (u32)rand() % 256;
		go(true);
		assert_memory_equal(apic.isr, isr, sizeof(isr));
		assert_memory_equal(apic.irr, irr, sizeof(irr));
		direct_outside(v);
		assert_int_equal(apic.reg[APIC_TPR / 16], *vlapic_reg(vl, APIC_TPR));
		apic.reg[APIC_TPR / 16] = round % 256;	/* the guest's write */
		direct_inside(v);
		assert_int_equal(*vlapic_reg(vl, APIC_TPR), round % 256);
		arch_poll_irqs();	/* a window during an exit */
		direct_move_irr(v);
		assert_memory_equal(apic.irr, irr, sizeof(irr));
		assert_memory_equal(apic.isr, isr, sizeof(isr));
		for (unsigned i = 0; i < 5; i++) {	/* others send, from any CPU */
			u8 vector = (u8)(32 + rand() % 224);

			irr[vector] = true;
			arch_vcpu_interrupt(v, vector);
		}
		if (first(apic.isr) >= 0 && round % 2) {
			isr[first(isr)] = false;
			apic_eoi();
		}
		go(false);
		for (u32 i = 0; i < 256; i++) {
			assert_int_equal(*vlapic_reg(vl, APIC_ISR + i / 32 * 16) >> i % 32 & 1,
					 isr[i]);
			assert_int_equal(test_bit(i, vl->irr), irr[i]);
			assert_false(apic.isr[i] || (apic.irr[i] && i >= 32));
		}
		assert_int_equal(vl->isr, first(isr));
		memset(apic.irr, 0, sizeof(apic.irr));
	}
	assert_true(accepted > 1000);
}

/* An interrupt that comes after the vCPU has left is the vCPU's, and wakes it. */
static void test_late(void **state)
{
	(void)state;
	go(true);
	go(false);
	mock_vcpus[1].woken = 0;
	apic_send_ipi(7, 0x55);
	arch_poll_irqs();
	assert_true(test_bit(0x55, vl->irr));
	assert_int_equal(mock_vcpus[1].woken, 1);
	assert_int_equal(first(apic.isr), -1);
}

/* A spurious interrupt is nobody's, and ends none that is in service. */
static void test_spurious(void **state)
{
	(void)state;
	go(true);
	apic.isr[0x33] = true;
	direct_interrupt(host_cpu, 0xff);
	assert_false(test_bit(0xff, vl->irr));
	assert_true(apic.isr[0x33]);
}

/* A deadline goes there and back; one that passes meanwhile is not raised again. */
static void test_deadline(void **state)
{
	(void)state;
	vl->lvt[LVT_TIMER] = LVT_DEADLINE | 0x40;
	vlapic_timer_deadline(vl, mock_now + 5000);
	go(true);
	assert_int_equal(apic.deadline, mock_now + 5000);
	assert_int_equal(apic.reg[LVT_OF_TIMER / 16], LVT_DEADLINE | 0x40);
	mock_time_to(mock_now + 1000);
	go(false);
	assert_int_equal(vlapic_read_deadline(v).val, mock_now + 4000);
	assert_true(apic.reg[LVT_OF_TIMER / 16] & LVT_MASKED);
	mock_time_to(mock_now + 4001);
	assert_true(test_bit(0x40, vl->irr));

	memset(vl->irr, 0, sizeof(vl->irr));
	vlapic_timer_deadline(vl, mock_now + 5000);
	go(true);
	apic.deadline = 0;	/* it passes: the APIC has raised its interrupt */
	apic.irr[0x40] = true;
	mock_time_to(mock_now + 9000);
	assert_false(test_bit(0x40, vl->irr));
	go(false);
	assert_true(test_bit(0x40, vl->irr));
	assert_int_equal(vlapic_read_deadline(v).val, 0);

	/* A change of the LVT while the CPU's timer runs: another mode, then back. */
	memset(vl->irr, 0, sizeof(vl->irr));
	go(true);
	fake_wrmsr(MSR_TSC_DEADLINE, mock_now + 700);
	assert_int_equal(vlapic_wrmsr(v, X2APIC(APIC_LVT), LVT_PERIODIC | 0x41), 0);
	assert_false(open_msr[MSR_TSC_DEADLINE].wr);
	assert_int_equal(vlapic_wrmsr(v, X2APIC(APIC_LVT), LVT_DEADLINE | 0x42), 0);
	assert_true(open_msr[MSR_TSC_DEADLINE].wr);
	assert_int_equal(apic.deadline, 0);
	assert_int_equal(apic.reg[LVT_OF_TIMER / 16], LVT_DEADLINE | 0x42);
	go(false);
}

/* A trusted domain's timer has counts. */
static void test_trusted(void **state)
{
	(void)state;
	mock_domain.trusted = true;
	direct_update(v);
	assert_false(v->direct);	/* in x2APIC mode */
	vl->base &= ~(u64)APIC_BASE_EXTD;
	direct_update(v);
	assert_false(v->direct);	/* the page is not mapped */
	mock_domain.apic_mapped = true;
	vl->lvt[LVT_TIMER] = 0x44;
	vl->ldr = 0x2000000;
	vl->lvt[LVT_PERF] = LVT_NMI;
	vl->tdcr = 0xb;
	vlapic_timer_start(vl, 9000);
	mock_time_to(mock_now + 2000);
	go(true);
	assert_int_equal(apic.reg[APIC_TMICT / 16], 7000);
	assert_int_equal(apic.reg[APIC_LDR / 16], 0x2000000);
	assert_int_equal(apic.reg[APIC_LVT / 16 + LVT_PERF], LVT_NMI);
	apic.reg[APIC_LVT / 16 + LVT_PERF] = LVT_NMI | LVT_MASKED;
	for (u32 msr = 0; msr < ARRAY_SIZE(open_msr); msr++)
		assert_false(open_msr[msr].rd || open_msr[msr].wr);
	apic.reg[APIC_TMCCT / 16] = 4000;
	apic.reg[LVT_OF_TIMER / 16] = LVT_PERIODIC | 0x45;
	apic.reg[APIC_TMICT / 16] = 50000;
	apic.reg[APIC_LDR / 16] = 0x4000000;
	go(false);
	assert_int_equal(vl->lvt[LVT_TIMER], LVT_PERIODIC | 0x45);
	assert_int_equal(vl->ldr, 0x4000000);
	assert_int_equal(vl->lvt[LVT_PERF], LVT_NMI | LVT_MASKED);
	assert_int_equal(vlapic_timer_count(vl), 4000);
	mock_time_to(mock_now + 4000);
	assert_true(test_bit(0x45, vl->irr));
}

/* The timer's last tick comes while the APIC is taken away: it is neither lost nor doubled. */
static void test_expires(void **state)
{
	(void)state;
	mock_domain.trusted = mock_domain.apic_mapped = true;
	vl->base &= ~(u64)APIC_BASE_EXTD;
	go(true);
	apic.reg[LVT_OF_TIMER / 16] = 0x45;
	apic.reg[APIC_TMICT / 16] = 50000;
	apic.reg[APIC_TMCCT / 16] = 1;
	apic.runs = true;
	go(false);
	assert_true(test_bit(0x45, vl->irr));
	assert_int_equal(vlapic_timer_count(vl), 0);
}

/* NMIs, and their handler, neither wait for the end of it nor hinder it. */
static void test_nmi(void **state)
{
	(void)state;
	v->nmi_blocked = true;
	go(true);
	v->nmi_blocked = false;
	v->nmi_pending = true;
	vcpu_post(v, VCPU_WORK_NMI);
	vcpu_prepare_entry(v, true);
	assert_true(v->inject.valid && v->inject.type == INJ_NMI);
	go(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_open, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late, setup, teardown),
		cmocka_unit_test_setup_teardown(test_spurious, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(test_trusted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_expires, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nmi, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
