/* SPDX-License-Identifier: BSD-2-Clause */
/* Gives a wrong answer: a node that does not exist. */
#include <public/policy_lib.h>

POLICY_MODULE_NOTE

static u32 node(const struct place_node *nodes, u32 n, u64 mem, u32 vcpus)
{
	(void)nodes;
	(void)mem;
	(void)vcpus;
	return n;
}

static const struct place_policy place = { .node = node };

const struct policy_module policy_module = {
	.name = "bad_node",
	.summary = "places on a node that is not there",
	.place = &place,
};
