/* SPDX-License-Identifier: BSD-2-Clause */
/* The CMOS clock, read once at boot for the wall clock. Motorola MC146818A. */
#include <margay/x86.h>

static u8 cmos(u8 reg)
{
	outb(0x70, reg);
	return inb(0x71);
}

static unsigned from_bcd(u8 v, bool bcd)
{
	return bcd ? (v >> 4) * 10U + (v & 15) : v;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar. */
static s64 days_from_civil(s64 y, unsigned m, unsigned d)
{
	y -= m <= 2;

	s64 era = y / 400;
	s64 yoe = y - era * 400;
	s64 doy = (153 * (s64)(m + (m > 2 ? -3U : 9U)) + 2) / 5 + d - 1;
	s64 doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

	return era * 146097 + doe - 719468;
}

u64 rtc_read_wallclock(void)
{
	u8 v[6], w[6];
	static const u8 reg[6] = { 0, 2, 4, 7, 8, 9 };
	bool bcd, same;

	/* Read until two readings outside of an update agree. */
	for (unsigned tries = 0; tries < 1000; tries++) {
		while ((cmos(10) & 0x80) && tries++ < 1000)
			;
		for (unsigned i = 0; i < 6; i++)
			v[i] = cmos(reg[i]);
		same = true;
		for (unsigned i = 0; i < 6; i++) {
			w[i] = cmos(reg[i]);
			same &= v[i] == w[i];
		}
		if (same && !(cmos(10) & 0x80))
			break;
	}
	bcd = !(cmos(11) & 4);

	unsigned hour = from_bcd(v[2] & 0x7f, bcd);

	if (!(cmos(11) & 2))	/* 12-hour mode: bit 7 is PM */
		hour = hour % 12 + (v[2] & 0x80 ? 12 : 0);
	s64 days = days_from_civil(2000 + (s64)from_bcd(v[5], bcd), from_bcd(v[4], bcd),
				   from_bcd(v[3], bcd));

	return (u64)(days * 86400 + hour * 3600 + from_bcd(v[1], bcd) * 60 + from_bcd(v[0], bcd));
}
