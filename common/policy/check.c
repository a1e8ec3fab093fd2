/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks a linked module's description: names and tables of functions. All pointers must lead into
 * the module: function pointers into its text, all others into its read-only data, where the
 * checked data cannot change. No pointer is followed before its check.
 */
#include <margay/policy_registry.h>

#include "loader.h"

#define SUMMARY_MAX 100

#define TABLE(point, first, nr, required) \
	{ #point, offsetof(struct policy_module, point), sizeof(struct point##_policy), first, nr, \
	  required }

/* The tables that a module may define. The functions come first, and the required ones lead. */
static const struct {
	const char *name;
	size_t at, size;
	unsigned first, nr, required;
} tables[] = {
	TABLE(sched, FN_ENQUEUE, FN_IDLE, 3),
	TABLE(idle, FN_IDLE, 1, 1),
	TABLE(place, FN_NODE, 1, 1),
	TABLE(exit, FN_EXIT, 1, 1),
	TABLE(migrate, FN_MIGRATE_ROUND, 1, 1),
};

/* Returns size bytes of memory at an address in a group of the module; NULL: outside. */
static const void *find_in_group(const u8 *mem, const struct module *m, u64 addr, u64 size,
				 enum module_group g)
{
	u64 off = addr - m->base - m->group[g];

	return off < m->size[g] && size <= m->size[g] - off ? mem + m->group[g] + off : NULL;
}

/* Returns a printable string of at most max characters, or NULL. */
static const char *find_string(const u8 *mem, const struct module *m, const char *addr,
			       unsigned max)
{
	for (unsigned n = 0; n <= max; n++) {
		const char *c = find_in_group(mem, m, (u64)(uintptr_t)addr + n, 1, MODULE_RODATA);

		if (!c || (*c && (*c < ' ' || *c > '~')))
			return NULL;
		if (!*c)
			return c - n;
	}
	return NULL;
}

static bool good_name(const char *s)
{
	for (const char *c = s; *c; c++)
		if (!(*c >= '0' && *c <= '9') && !((*c | 32) >= 'a' && (*c | 32) <= 'z') &&
		    *c != '-' && *c != '_')
			return false;
	return *s;
}

static int check_table(const u8 *mem, u64 addr, unsigned t, const struct module *m, char *reason)
{
	const u8 *table = find_in_group(mem, m, addr, tables[t].size, MODULE_RODATA);
	u64 fn;

	if (!table || addr % 8)
		return module_refuse(reason,
				     "policy_module.%s is not in the module's read-only data",
				     tables[t].name);
	for (unsigned i = 0; i < tables[t].nr; i++) {
		memcpy(&fn, table + i * 8, 8);
		if (!fn && i >= tables[t].required)
			continue;
		if (!find_in_group(mem, m, fn, 1, MODULE_TEXT))
			return module_refuse(reason, "%s.%s is %s", tables[t].name,
					     policy_fn_names[tables[t].first + i],
					     fn ? "not a function of the module" : "missing");
	}
	return 0;
}

int module_check(const u8 *mem, u64 desc, struct module *m, char *reason)
{
	const u8 *at = find_in_group(mem, m, desc, sizeof(struct policy_module), MODULE_RODATA);
	struct policy_module d;
	const char *name;
	unsigned nr = 0;
	u64 addr;
	int rc;

	if (!at || desc % 8)
		return module_refuse(reason,
				     "symbol policy_module is not in the module's read-only data");
	memcpy(&d, at, sizeof(d));
	name = find_string(mem, m, d.name, sizeof(m->name) - 1);
	if (!name || !good_name(name))
		return module_refuse(reason,
				     "policy_module.name is not 1 to 31 letters, digits, - or _");
	if (!find_string(mem, m, d.summary, SUMMARY_MAX))
		return module_refuse(reason,
				     "policy_module.summary is not a line of at most %u characters",
				     SUMMARY_MAX);
	for (unsigned i = 0; i < ARRAY_SIZE(tables); i++) {
		memcpy(&addr, at + tables[i].at, 8);
		if (!addr)
			continue;
		nr++;
		rc = check_table(mem, addr, i, m, reason);
		if (rc)
			return rc;
	}
	if (!nr)
		return module_refuse(reason, "policy_module has no table of functions");
	if (d.start && !find_in_group(mem, m, (u64)(uintptr_t)d.start, 1, MODULE_TEXT))
		return module_refuse(reason, "policy_module.start is not a function of the module");
	if (d.counter && !find_in_group(mem, m, (u64)(uintptr_t)d.counter, 1, MODULE_TEXT))
		return module_refuse(reason,
				     "policy_module.counter is not a function of the module");
	strcopy(m->name, name, sizeof(m->name));
	m->desc = (const struct policy_module *)(uintptr_t)desc;
	return 0;
}
