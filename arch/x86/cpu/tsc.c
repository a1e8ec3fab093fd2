/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System time is the scaled TSC. Its rate comes from the HPET, else from the PIT, and is checked
 * against the other and CPUID; each CPU's TSC is compared with the boot CPU's when it starts. SDM
 * 3B 18.17, Intel 8254, HPET 1.0a.
 */
#include <margay/boot_state.h>
#include <x86/features.h>
#include <x86/hvm.h>
#include <x86/io.h>
#include <x86/msr.h>
#include <x86/paging.h>
#include <x86/regs.h>
#include <x86/tsc.h>

#define PIT_GATE 0x61
#define TSC_HZ_MIN 1000000UL
#define TSC_HZ_MAX 8000000000UL
#define CALIBRATE_MS 2		/* for the HPET, and for the PIT as its check */
#define CALIBRATE_ALONE_MS 10	/* for the PIT alone: coarser ticks, nothing to check them */

/* Registers, as 32-bit words. */
enum { HPET_PERIOD = 0x004 / 4, HPET_CONFIG = 0x010 / 4, HPET_COUNTER = 0x0f0 / 4 };
#define FEMTO 1000000000000000UL
#define FEMTO_PER_NANO 1000000UL

u64 tsc_base, tsc_skew_max;
static u32 ns_mul;		/* ns = tsc delta * ns_mul >> ns_shift */
static u8 ns_shift;
u64 tsc_mul = 3UL << TSC_SHIFT; /* 3 GHz until the rate is known */

void cpu_relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}

u64 tsc_to_ns(u64 tsc)
{
	return (u64)((unsigned __int128)tsc * ns_mul >> ns_shift);
}

u64 arch_tsc_hz(void)
{
	return x86.tsc_hz;
}

/* Returns the same scale for guests: ns = (delta << shift) * mul >> 32; shift may be negative. */
void tsc_pvclock_scale(u32 *mul, s8 *shift)
{
	*mul = ns_mul;
	*shift = (s8)(32 - ns_shift);
}

stime_t now(void)
{
	return tsc_to_ns(rdtsc() - tsc_base);
}

void udelay(unsigned us)
{
	u64 end = rdtsc() + ns_to_tsc(us * 1000UL);

	while ((s64)(rdtsc() - end) < 0)
		cpu_relax();
}

/*
 * Returns TSC ticks per second, measured over ms of the PIT's channel 2; 0 if it does not count
 * within `limit` ticks, e.g. because firmware gates its clock.
 */
static u64 __init pit_calibrate(unsigned ms, u64 limit)
{
	u32 count = PIT_HZ * ms / 1000;
	u64 start;

	outb(PIT_GATE, (u8)((inb(PIT_GATE) & ~2) | 1));
	outb(PIT_CMD, 0xb0);			/* channel 2, both bytes, mode 0 */
	outb(PIT_CH2, (u8)count);
	outb(PIT_CH2, (u8)(count >> 8));
	start = rdtsc();
	while (!(inb(PIT_GATE) & 0x20))
		if (rdtsc() - start > limit)
			return 0;
	start = (rdtsc() - start) * PIT_HZ / count;
	return start < TSC_HZ_MIN ? 0 : start;	/* a port without a device reads as expired */
}

/*
 * Reads the counter and the TSC at the same time. Uses the try with the shortest time between two
 * TSC readings, since interruptions (SMI, a busy emulator) lengthen the others.
 */
static u32 __init hpet_stamp(const volatile u32 *h, u64 *tsc)
{
	u64 best = ~0UL;
	u32 count = 0;

	for (unsigned i = 0; i < 5; i++) {
		u64 before = rdtsc();
		u32 c = h[HPET_COUNTER];
		u64 took = rdtsc() - before;

		if (took < best) {
			best = took;
			count = c;
			*tsc = before;
		}
	}
	return count;
}

static u64 __init hpet_calibrate(paddr_t pa)
{
	volatile u32 *h = pa ? map_mmio(pa, 0x400) : NULL;
	u64 period = h ? h[HPET_PERIOD] : 0, t0 = 0, t1 = 0, spins = 0;
	u32 c0, ticks;

	if (!period || period > 100000000)	/* HPET 2.3.4: at most 100 ns */
		return 0;
	h[HPET_CONFIG] |= 1;
	ticks = (u32)(FEMTO / 1000 * CALIBRATE_MS / period);
	c0 = hpet_stamp(h, &t0);
	while (h[HPET_COUNTER] - c0 < ticks)
		if (++spins > 50000000)
			return 0;
	ticks = hpet_stamp(h, &t1) - c0;
	return (t1 - t0) * 1000000000UL / (ticks * period / FEMTO_PER_NANO);
}

/* Leaf 15H: core crystal and ratio; some CPUs report the ratio but no crystal. SDM 3B 20.7.3. */
static u64 __init cpuid_tsc_hz(void)
{
	u32 a, b, c, d;

	cpuid_count(0, 0, &a, &b, &c, &d);
	if (a < 0x15)
		return 0;
	cpuid_count(0x15, 0, &a, &b, &c, &d);
	return a && b && c ? (u64)c * b / a : 0;
}

static bool __init differs(u64 a, u64 b)
{
	u64 diff = a > b ? a - b : b - a;

	return diff > a / 100;
}

void __init tsc_init(void)
{
	u64 hpet = hpet_calibrate(boot_acpi.hpet_base), id = cpuid_tsc_hz();
	unsigned ms = hpet ? CALIBRATE_MS : CALIBRATE_ALONE_MS;
	/* Wait ten times the expected time; without a known rate, a second of the fastest CPU. */
	u64 limit = (hpet ? hpet : id) ? (hpet ? hpet : id) / 100 * ms : TSC_HZ_MAX;
	u64 pit = pit_calibrate(ms, limit);

	/* An interruption delays the end of the PIT's count: use the shortest of three. */
	for (unsigned i = 0; i < 2 && pit && (!hpet || differs(hpet, pit)); i++) {
		u64 again = pit_calibrate(ms, limit);

		pit = again ? min(pit, again) : pit;
	}
	x86.tsc_hz = hpet ? hpet : pit ? pit : id;
	if (!x86.tsc_hz)
		panic("the TSC's rate is unknown: no PIT, HPET or CPUID leaf 15H answers\n");
	if (pit && hpet && differs(pit, hpet))
		pr_warn("TSC: the PIT says %lu kHz, the HPET %lu kHz: using the HPET's rate\n",
			pit / 1000, hpet / 1000);
	if (id && differs(x86.tsc_hz, id))
		pr_warn("TSC: measured %lu kHz, CPUID says %lu kHz: using the measured rate\n",
			x86.tsc_hz / 1000, id / 1000);
	/*
	 * Use the largest multiplier that fits 32 bits; the shift is at most 32, which pvclock can
	 * express.
	 */
	ns_shift = 32;
	while (ns_shift && (1000000000UL << ns_shift) / x86.tsc_hz >> 32)
		ns_shift--;
	ns_mul = (u32)((1000000000UL << ns_shift) / x86.tsc_hz);
	tsc_mul = (x86.tsc_hz << TSC_SHIFT) / 1000000000UL;
	tsc_base = rdtsc();
	pr_info("TSC: %lu.%03lu MHz by %s\n", x86.tsc_hz / 1000000, x86.tsc_hz / 1000 % 1000,
		hpet ? "HPET" :
		pit  ? "PIT" :
		       "CPUID");
}

/*
 * Both sides exchange time stamps: neither side's stamp may lie before the other's last one. The
 * worst step back that a side sees is how far its TSC is behind. A CPU with IA32_TSC_ADJUST then
 * adjusts its TSC by that, and both measure again, since the transfer time of a stamp hides part of
 * a small difference. SDM 3B 18.17.3.
 */
#define SYNC_ROUNDS 50
#define SYNC_DONE (2 * SYNC_ROUNDS + 1)
#define SYNC_TRIES 5
static volatile u64 sync_stamp;
static volatile u32 sync_turn;	/* even: the boot CPU's turn */
static volatile u64 sync_behind[2];	/* how far the boot CPU and the other are behind */

static void sync_side(u32 parity)
{
	for (u32 i = parity; i < 2 * SYNC_ROUNDS; i += 2) {
		while (READ_ONCE(sync_turn) != i)
			cpu_relax();

		u64 t = rdtsc();

		if (i && (s64)(sync_stamp - t) > (s64)sync_behind[parity])
			sync_behind[parity] = sync_stamp - t;
		sync_stamp = t;
		smp_mb();
		sync_turn = i + 1;
	}
}

/*
 * Returns true if both sides measure again, after the other CPU has adjusted its TSC. Both have the
 * same data and decide alike.
 */
static bool sync_again(u64 skew, unsigned tries)
{
	return skew && tries < SYNC_TRIES && x86.tsc_adjust;
}

void tsc_sync_bsp(struct cpu *c)
{
	unsigned tries = 0;
	u64 skew;

	do {
		sync_behind[0] = sync_behind[1] = 0;
		sync_side(0);
		while (READ_ONCE(sync_turn) != SYNC_DONE)
			cpu_relax();
		skew = max(sync_behind[0], sync_behind[1]);
		sync_turn = 0;
	} while (sync_again(skew, ++tries));
	if (skew)
		pr_warn("CPU %u: its TSC differs by up to %lu ticks: clocks may step back\n", c->id,
			skew);
	else if (tries > 1)
		pr_info("CPU %u: its TSC was adjusted\n", c->id);
	tsc_skew_max = max(tsc_skew_max, skew);
}

void tsc_sync_ap(void)
{
	unsigned tries = 0;
	bool again;

	do {
		sync_side(1);
		again = sync_again(max(sync_behind[0], sync_behind[1]), ++tries);
		if (again)
			wrmsr(MSR_TSC_ADJUST,
			      rdmsr(MSR_TSC_ADJUST) + sync_behind[1] - sync_behind[0]);
		sync_turn = SYNC_DONE;
	} while (again);
}
