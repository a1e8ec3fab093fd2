/* SPDX-License-Identifier: BSD-2-Clause */
/* The CMOS clock, read once at boot to set the wall clock. Motorola MC146818A. */
#include <margay/lib.h>
#include <x86/io.h>
#include <x86/platform.h>

static u8 cmos(u8 reg)
{
	outb(0x70, reg);
	return inb(0x71);
}

static unsigned from_bcd(u8 v, bool bcd)
{
	return bcd ? (v >> 4) * 10U + (v & 15) : v;
}

/*
 * Returns the days from 1970-01-01 to a Gregorian date. Years start in March, so that leap days end
 * them.
 */
static u64 days_from_civil(unsigned y, unsigned m, unsigned d)
{
	if (m <= 2) {
		m += 12;
		y--;
	}
	return 365UL * y + y / 4 - y / 100 + y / 400 + (153 * m - 457) / 5 + d - 719469;
}

u64 rtc_read_wallclock(void)
{
	static const u8 reg[6] = { 0, 2, 4, 7, 8, 9 };
	u8 v[6] = { 0 }, last[6];
	unsigned hour;
	bool bcd;

	/* Retry until two readings outside an update agree. */
	for (unsigned tries = 0; tries < 2000; tries++) {
		if (cmos(10) & 0x80)
			continue;
		memcpy(last, v, sizeof(v));
		for (unsigned i = 0; i < 6; i++)
			v[i] = cmos(reg[i]);
		if (!memcmp(v, last, sizeof(v)))
			break;
	}
	bcd = !(cmos(11) & 4);
	hour = from_bcd(v[2] & 0x7f, bcd);
	if (!(cmos(11) & 2))	/* 12-hour mode: bit 7 is PM */
		hour = hour % 12 + (v[2] & 0x80 ? 12 : 0);
	return days_from_civil(2000 + from_bcd(v[5], bcd), from_bcd(v[4], bcd),
			       from_bcd(v[3], bcd)) *
		       86400 +
	       hour * 3600 + from_bcd(v[1], bcd) * 60 + from_bcd(v[0], bcd);
}
