/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Placement: a new domain gets a node that has room for all its memory and the fewest vCPUs per CPU
 * afterwards, since remote memory stays slower for the domain's whole life. Among equals it takes
 * the node with the least room, which keeps large holes for large domains. If none has room, it
 * takes the node with the most free memory.
 */
#include <public/policy_lib.h>

POLICY_MODULE_NOTE

static u64 fitting, spilled;

/* Returns whether node a is better than b for vcpus more vCPUs. Compares without division. */
static bool better(const struct place_node *a, const struct place_node *b, u32 vcpus)
{
	u64 load_a = (u64)(a->nr_vcpus + vcpus) * b->nr_cpus;
	u64 load_b = (u64)(b->nr_vcpus + vcpus) * a->nr_cpus;

	if (!a->nr_cpus || !b->nr_cpus)
		return a->nr_cpus > b->nr_cpus;
	return load_a != load_b ? load_a < load_b : a->free < b->free;
}

static u32 node(const struct place_node *nodes, u32 n, u64 mem, u32 vcpus)
{
	u32 best = n, largest = 0;

	for (u32 i = 0; i < n; i++) {
		if (nodes[i].free > nodes[largest].free)
			largest = i;
		if (nodes[i].free >= mem && (best == n || better(&nodes[i], &nodes[best], vcpus)))
			best = i;
	}
	if (best < n)
		fitting++;
	else
		spilled++;
	return best < n ? best : largest;
}

static const char *counter(u32 i, u64 *value)
{
	if (i > 1)
		return NULL;
	*value = i ? spilled : fitting;
	return i ? "domains-without-room" : "domains-with-room";
}

static const struct place_policy place = { .node = node };

const struct policy_module policy_module = {
	.name = "numa",
	.summary = "the least loaded node that has room",
	.place = &place,
	.counter = counter,
};
