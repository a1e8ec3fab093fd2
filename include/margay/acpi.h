/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The information that Margay reads from the ACPI tables (ACPI 6.4, chapter 5): CPUs, interrupt
 * controllers, NUMA nodes, HPET, and how to power off and reset. The boot CPU reads the tables
 * once, at boot.
 */
#pragma once

#include <margay/cpu_set.h>
#include <margay/mm.h>

#define ACPI_MAX_IOAPICS 32
#define ACPI_MAX_OVERRIDES 24
#define ACPI_MAX_MEM 128
#define ACPI_MAX_ECAM 64
#define ACPI_MAX_PASSED 128

/* Address space ids of a generic address structure (ACPI 5.2.3.2). */
#define ACPI_SPACE_MEM 0
#define ACPI_SPACE_IO 1

#define SLIT_LOCAL 10	/* the distance of a node to itself */
#define SLIT_REMOTE 20	/* of two nodes, where no SLIT says it */

struct acpi_cpu {
	u32 apic_id;
	u32 uid;
	u8 node; /* index into nodes */
};

struct acpi_ioapic {
	u32 gsi_base;
	paddr_t base;
	u8 id;
};

/* The config space of whole buses of a segment, PCI_CONFIG_SIZE bytes for each function. */
struct acpi_ecam {
	paddr_t base;
	u64 size;
	u32 sbdf;		/* the first */
};

struct acpi_override {
	u8 irq; /* ISA interrupt */
	u16 flags; /* MPS INTI: bits 1:0 polarity, 3:2 trigger mode */
	u32 gsi;
};

struct acpi_mem {
	paddr_t base;
	u64 size;
	u8 node;
};

/* A 16550 that a table names. */
struct acpi_uart {
	bool there;
	u8 space;	/* ACPI_SPACE_* */
	u8 shift;	/* log2 of the distance between registers */
	u8 width;	/* of an access to memory: 1 or 4 bytes */
	u32 baud;	/* 0: as firmware set it */
	u64 address;
};

struct acpi_info {
	struct acpi_cpu cpus[MAX_CPUS]; /* present CPUs; at least one */
	unsigned int nr_cpus;
	struct acpi_ioapic ioapics[ACPI_MAX_IOAPICS];
	unsigned int nr_ioapics;
	struct acpi_override overrides[ACPI_MAX_OVERRIDES];
	unsigned int nr_overrides;

	/* node number -> proximity domain; at least one node */
	u32 nodes[MAX_NODES];
	unsigned int nr_nodes;
	u8 distance[MAX_NODES][MAX_NODES];	/* of two nodes; 0: not said, 255: unreachable */
	struct acpi_mem mem[ACPI_MAX_MEM];
	unsigned int nr_mem;

	const u8 *iommus;	/* DMAR or IVRS, as acpi_map_fn returned it; NULL: none */
	u32 iommus_size;
	struct acpi_ecam ecam[ACPI_MAX_ECAM];	/* MCFG */
	unsigned int nr_ecam;

	/* Tables that a domain with the machine's devices needs as they are. */
	paddr_t passed[ACPI_MAX_PASSED];
	unsigned int nr_passed;

	paddr_t hpet_base; /* 0: none */
	struct acpi_uart spcr, dbg2;

	/* 0 where the machine has none */
	u16 smi_cmd;
	u8 acpi_enable;
	u16 pm1a_cnt, pm1b_cnt;
	bool s5_valid;
	u8 s5_typ_a, s5_typ_b;
	u16 reset_port;
	u8 reset_value;
};

/* Returns a readable view of `len` bytes at `pa`, valid until acpi_parse() returns, or NULL. */
typedef const void *acpi_map_fn(paddr_t pa, size_t len);

/*
 * Reads the tables into `out`, from the loader's copy of the RSDP (NULL: none). Reports and skips
 * bad tables, so `out` is always usable: with no MADT it lists one CPU with APIC id 0. -ENOENT: no
 * RSDP or no root table.
 */
int acpi_parse(const void *rsdp, size_t rsdp_size, acpi_map_fn *map, struct acpi_info *out);

/* Parse one table each, for acpi_parse(). `t` is complete, its header and checksum valid. */
void acpi_parse_madt(const u8 *t, u32 len, struct acpi_info *out);
void acpi_parse_srat(const u8 *t, u32 len, struct acpi_info *out);
void acpi_parse_slit(const u8 *t, u32 len, struct acpi_info *out);
void acpi_parse_spcr(const u8 *t, u32 len, struct acpi_info *out);
void acpi_parse_dbg2(const u8 *t, u32 len, struct acpi_info *out);
void acpi_parse_mcfg(const u8 *t, u32 len, struct acpi_info *out);

/* The records of a table, or of a record. */
struct acpi_records {
	const char *name;	/* in messages */
	u32 head;		/* bytes that each has at least */
	u32 (*size)(const u8 *e, u32 n);	/* of a record, from the head bytes or more at e */
	const u8 *min_size;	/* of each type, which is the first byte; 0: any */
	u32 nr;			/* of min_size */
	void (*add)(const u8 *e, u32 size, void *ctx);
};

u32 acpi_size8(const u8 *e, u32 n);	/* the length is at 1 */
u32 acpi_size16(const u8 *e, u32 n);	/* ... at 2, 16 bits */

/*
 * Calls add for the valid records from `at` on, up to len. A valid record is complete and has at
 * least the size of its type. Stops at the first invalid record and reports it. Returns where.
 */
u32 acpi_each_record(const struct acpi_records *r, const u8 *t, u32 at, u32 len, void *ctx);
