/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Simulates the config space of PCI functions: bytes, and which bits of them can be written. Tests
 * build functions of it, and see what the code under test left there.
 */
#ifndef TEST_UNIT_PCI_SIM_H
#define TEST_UNIT_PCI_SIM_H

#include "host.h"

#include <margay/boot_state.h>
#include <margay/pci.h>
#include <margay/pci_regs.h>
#include <margay/timer.h>

struct sim_function {
	u32 sbdf;
	u8 config[4096], writable[4096];
	unsigned resets, absent_reads; /* after a reset it does not answer so many reads */
	bool dead;
};

extern struct sim_function sim_functions[64];
extern unsigned sim_nr, sim_writes;
extern stime_t sim_now;

/* Empties the machine, as a cmocka fixture. */
int sim_pci_setup(void **state);
struct sim_function *sim_function(u32 sbdf);
/* Adds a function with a class; its header and COMMAND are as they have to be. */
struct sim_function *sim_add(u32 sbdf, u16 vendor, u16 device, u32 class);
struct sim_function *sim_bridge(u32 sbdf, u8 secondary, u8 subordinate);
void sim_bar(struct sim_function *f, unsigned i, u64 base, u64 size, u32 flags);
/* Adds a capability, with the first in front. Returns its offset. */
unsigned sim_cap(struct sim_function *f, u8 at, u8 id);
unsigned sim_express(struct sim_function *f, u8 at, u8 type, bool flr);
void sim_acs(struct sim_function *f);
/* Adds the capability of virtual functions, and a BAR of the first of them. */
#define SIM_SRIOV 0x200U
void sim_sriov(struct sim_function *f, u16 total, u16 offset, u16 stride, u16 device);
void sim_vf_bar(struct sim_function *f, unsigned i, u64 base, u64 size, u32 flags);
void sim_set(struct sim_function *f, unsigned reg, unsigned size, u32 val, u32 writable);
u32 sim_get(const struct sim_function *f, unsigned reg, unsigned size);

#endif
