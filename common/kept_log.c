/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A copy of the console's output at a fixed address, which RAM keeps through a warm reboot, so that
 * the boot loader can store it: scripts/mkusb.py. Layout: 8 bytes of magic, then the text up to a
 * zero word. GRUB reads words and prints them without leading zeros. So '\n' is stored as 0x1e
 * (ASCII's record separator), and newlines fill the last word. The console's lock protects it.
 */
#include <margay/console.h>
#include <margay/page_owner.h>

#define LOG_SIZE 0x80000U
#define LOG_MAGIC "MargayLg"
#define WORD 4U
#define LOG_NEWLINE 0x1e

static char *text;
static u32 used;

void kept_log_put(char c)
{
	if (!text || used + WORD == LOG_SIZE || c == '\r')
		return;
	if (used % WORD == 0)
		memset(text + used, LOG_NEWLINE, WORD);
	if (c == '\n')
		c = LOG_NEWLINE;
	text[used++] = c >= ' ' && c <= '~' ? c : c == LOG_NEWLINE ? c : '?';
}

void __init kept_log_init(paddr_t base)
{
	if (!early_claim(base, LOG_SIZE)) {
		pr_warn("report: no free RAM at %#lx\n", base);
		return;
	}
	used = sizeof(LOG_MAGIC) - 1;
	memset(phys_to_virt(base), 0, LOG_SIZE);
	memcpy(phys_to_virt(base), LOG_MAGIC, used);
	text = phys_to_virt(base);
	kept_log_put('\n');
}
