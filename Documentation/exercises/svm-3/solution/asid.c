/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exercise: give vCPUs address space ids. Each CPU has its own, from 1 to max. A vCPU keeps its id on a CPU until that
 * CPU begins a new generation, which it does only when an id is needed and none is left. Then it flushes everything
 * once, and all ids are free again.
 */
#include <stdint.h>

struct cpu {
	uint64_t generation;	/* never 0; two CPUs must never have the same one */
	uint32_t next, max;	/* the next free id */
	uint32_t nr, flushes;	/* its number; how many flushes there were */
};

struct vcpu {
	uint64_t generation;	/* 0: none yet */
	uint32_t asid;
};

static void cpu_init(struct cpu *c, uint32_t nr, uint32_t max)
{
	c->nr = nr;
	c->generation = (uint64_t)nr << 48 | 1;
	c->next = 1;
	c->max = max;
	c->flushes = 0;
}

/* Returns the id for an entry of v on c. */
static uint32_t asid_for(struct cpu *c, struct vcpu *v)
{
	if (v->generation == c->generation)
		return v->asid;
	if (c->next > c->max) {
		c->generation++;
		c->next = 1;
		c->flushes++;
	}
	v->generation = c->generation;
	v->asid = c->next++;
	return v->asid;
}
