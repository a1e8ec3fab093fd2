/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine whose firmware can be built table by table, or like QEMU's q35, in a small simulated
 * physical memory, and parsed.
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

/* An empty machine; for cmocka. */
int sim_setup(void **state);

/* The n low bytes of v into sim_mem. */
void sim_put(size_t at, u64 v, u32 n);

/* Set *sum, a byte of the len at p, so that they add up to zero. */
void sim_fix_sum(u8 *p, size_t len, u8 *sum);

/* Start a table of len zero bytes; returns its offset in sim_mem. After changes, close it. */
size_t sim_table(const char *sig, u32 len, u8 revision);
void sim_close(size_t at);

/* A table whose body is given; NULL for zeroes. */
size_t sim_table_of(const char *sig, u8 revision, const void *body, u32 n);
size_t sim_madt(void);
size_t sim_fadt(u32 len);
size_t sim_hpet(void);

/* A SRAT entry for memory. */
void sim_mem_node(u8 *e, u64 base, u64 size, u32 pxm, u32 flags);

/* The last table, and the RSDP; then parse with a copy of that, or with any. */
void sim_root(const char *sig, u32 width);
int sim_parse(void);
int sim_parse_at(const void *rsdp, size_t size);

/* All tables of a usual machine. */
void sim_q35(void);

void sim_assert_one_cpu(void);

#endif
