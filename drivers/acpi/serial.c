/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Serial ports that firmware names: SPCR, its console redirection, and DBG2, its debug ports. Both
 * tables are Microsoft's; the ACPI specification refers to them. Only 16550s are taken.
 */
#include <margay/acpi.h>
#include <margay/bytes.h>

#define SPCR_TYPE 36
#define SPCR_ADDRESS 40
#define SPCR_BAUD 58
#define SPCR_MIN_SIZE 80

#define DBG2_OFFSET 36
#define DBG2_NUMBER 40
#define DBG2_MIN_SIZE 44
#define DEVICE_LENGTH 1		/* of DBG2's device information structure */
#define DEVICE_REGISTERS 3
#define DEVICE_TYPE 12
#define DEVICE_SUBTYPE 14
#define DEVICE_ADDRESS 18
#define DEVICE_MIN_SIZE 22
#define TYPE_SERIAL 0x8000

enum { UART_16550 = 0, UART_16550_SUBSET = 1, UART_16550_GAS = 0x12 };

#define GAS_SIZE 12
#define GAS_BITS 1		/* width of a register */
#define GAS_ACCESS 3		/* 0: any, 1: byte, 2: word, 3: dword */
#define GAS_ADDRESS 4

static bool __init is_16550(u32 type)
{
	return type == UART_16550 || type == UART_16550_SUBSET || type == UART_16550_GAS;
}

static void __init take_port(const char *table, const u8 *gas, u32 baud, struct acpi_uart *out)
{
	u64 address = get_u64(gas + GAS_ADDRESS);
	u8 space = gas[0], bits = gas[GAS_BITS], access = gas[GAS_ACCESS];
	u8 shift = bits == 32 ? 2 : bits == 16 ? 1 : 0;
	u64 top = space == ACPI_SPACE_IO ? 0x10000 : 1UL << 52;

	if (space > ACPI_SPACE_IO || access == 2 || access > 3 || (bits & 7) || bits > 32 ||
	    address > top - (8U << shift) || (access == 3 && (shift != 2 || address & 3))) {
		pr_err("acpi: %s: port at %#lx: space %u, %u bits, access %u: ignored\n", table,
		       address, space, bits, access);
		return;
	}
	*out = (struct acpi_uart){ true, space, shift, access == 3 ? 4 : 1, baud, address };
}

void __init acpi_parse_spcr(const u8 *t, u32 len, struct acpi_info *out)
{
	static const u32 bauds[] = { [3] = 9600, [4] = 19200, [6] = 57600, [7] = 115200 };

	if (len < SPCR_MIN_SIZE)
		pr_err("acpi: SPCR: length %u is too short, ignored\n", len);
	else if (!is_16550(t[SPCR_TYPE]))
		pr_warn("acpi: SPCR: interface type %u is no 16550, ignored\n", t[SPCR_TYPE]);
	else if (get_u64(t + SPCR_ADDRESS + GAS_ADDRESS))	/* 0: redirection is off */
		take_port("SPCR", t + SPCR_ADDRESS,
			  t[SPCR_BAUD] < ARRAY_SIZE(bauds) ? bauds[t[SPCR_BAUD]] : 0, &out->spcr);
}

/* The first 16550 of the debug ports. */
void __init acpi_parse_dbg2(const u8 *t, u32 len, struct acpi_info *out)
{
	u32 at = len < DBG2_MIN_SIZE ? len : get_u32(t + DBG2_OFFSET), n, size, gas;

	if (len < DBG2_MIN_SIZE || at < DBG2_MIN_SIZE || at > len) {
		pr_err("acpi: DBG2: length %u or offset %u is wrong, ignored\n", len, at);
		return;
	}
	for (n = get_u32(t + DBG2_NUMBER); n && !out->dbg2.there; n--, at += size) {
		size = len - at < DEVICE_MIN_SIZE ? 0 : get_u16(t + at + DEVICE_LENGTH);
		gas = size < DEVICE_MIN_SIZE ? 0 : get_u16(t + at + DEVICE_ADDRESS);
		if (size < DEVICE_MIN_SIZE || size > len - at ||
		    (t[at + DEVICE_REGISTERS] && (gas > size || size - gas < GAS_SIZE))) {
			pr_err("acpi: DBG2: device at %u: length %u is wrong, rest ignored\n", at,
			       size);
			return;
		}
		if (t[at + DEVICE_REGISTERS] && get_u16(t + at + DEVICE_TYPE) == TYPE_SERIAL &&
		    is_16550(get_u16(t + at + DEVICE_SUBTYPE)))
			take_port("DBG2", t + at + gas, 0, &out->dbg2);
	}
}
