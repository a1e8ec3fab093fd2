/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Simulates firmware in a small physical memory. Tests build its tables one by one, or like those
 * of QEMU's q35, and parse them.
 */
#ifndef TEST_UNIT_ACPI_SIM_H
#define TEST_UNIT_ACPI_SIM_H

#include "host.h"

#include <margay/acpi.h>

#define BASE 0x7ff00000UL

extern u8 sim_mem[65536];	 /* at BASE */
extern size_t sim_used;		 /* bytes of sim_mem */
extern paddr_t sim_tables[16];
extern unsigned int sim_nr_tables;
extern u8 sim_rsdp[36];

/* The result of the last parse. */
extern struct acpi_info sim_info;

/* Sets up an empty machine, as a cmocka fixture. */
int sim_setup(void **state);

/* Writes the n low bytes of v to sim_mem. */
void sim_put(size_t at, u64 v, u32 n);

/* Sets *sum, one of the len bytes at p, so that the bytes add up to zero. */
void sim_fix_sum(u8 *p, size_t len, u8 *sum);

/* Starts a table of len zero bytes and returns its offset in sim_mem. Close it after changes. */
size_t sim_table(const char *sig, u32 len, u8 revision);
void sim_close(size_t at);

/* Adds a table with the given body; NULL means all zeroes. */
size_t sim_table_of(const char *sig, u8 revision, const void *body, u32 n);
size_t sim_madt(void);
size_t sim_fadt(u32 len);
size_t sim_hpet(void);

/* Writes an SRAT memory entry. */
void sim_mem_node(u8 *e, u64 base, u64 size, u32 pxm, u32 flags);

/*
 * Adds the root table and the RSDP. The functions below parse with a copy of that RSDP or another.
 */
void sim_root(const char *sig, u32 width);
int sim_parse(void);
int sim_parse_at(const void *rsdp, size_t size);

/* Builds all tables of a typical machine. */
void sim_q35(void);

void sim_assert_one_cpu(void);

#endif
