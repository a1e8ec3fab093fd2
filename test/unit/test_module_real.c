/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The module loader with real modules: all link, none links truncated, and one runs after linking,
 * in memory with the rights of its groups.
 * unit-sources: common/policy/loader.c common/policy/check.c common/policy/sha256.c
 */
#include "host.h"
#include "link_whole.h"

#include <dirent.h>
#include <sys/mman.h>

#include <margay/errno.h>
#include <margay/lib.h>
#include <margay/module.h>

#define MAX_MEM MODULE_MEM_MAX

unsigned nr_cpus = 4;

static u8 *window;	/* in the lowest 2 GiB, so that a module's code reaches everything */
static u8 *stubs;	/* behind it: a jump to each exported function */
static u8 *to;
static struct module m;
static char reason[MODULE_REASON];
static u64 rescheds, fake_now;

static u64 now(void)
{
	return fake_now;
}

static void resched(u32 cpu)
{
	rescheds += cpu + 1;
}

static void no_log(const char *text)
{
	(void)text;
}

static const char *exit_name(u32 reason_nr)
{
	return reason_nr < 2 ? "some-reason" : NULL;
}

static const struct {
	const char *name;
	u64 fn;
} functions[] = {
	{ "policy_now", (u64)now },	      { "policy_resched", (u64)resched },
	{ "policy_log", (u64)no_log },	      { "policy_exit_name", (u64)exit_name },
	{ "memset", (u64)memset },	      { "memcpy", (u64)memcpy },
	{ "memcmp", (u64)memcmp },
};

u64 module_export(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(functions); i++)
		if (!strcmp(functions[i].name, name))
			return (u64)stubs + 16 * i;
	return 0;
}

const u8 *module_hypervisor_id(void)
{
	return NULL;
}

static int setup(void **state)
{
	(void)state;
	window = mmap(NULL, MAX_MEM + PAGE_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	assert_true(window != MAP_FAILED && (u64)window + MAX_MEM < 1UL << 31);
	stubs = window + MAX_MEM;
	for (unsigned i = 0; i < ARRAY_SIZE(functions); i++) {	/* mov $fn, %rax; jmp *%rax */
		memcpy(stubs + 16 * i, "\x48\xb8", 2);
		memcpy(stubs + 16 * i + 2, &functions[i].fn, 8);
		memcpy(stubs + 16 * i + 10, "\xff\xe0", 2);
	}
	to = malloc(MAX_MEM);
	return mprotect(stubs, PAGE_SIZE, PROT_READ | PROT_EXEC);
}

static int teardown(void **state)
{
	(void)state;
	free(to);
	return munmap(window, MAX_MEM + PAGE_SIZE);
}

static u8 *read_file(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	u8 *data = malloc(MODULE_FILE_MAX);

	if (!f)
		fail_msg("%s: can not be opened", path);
	*size = fread(data, 1, MODULE_FILE_MAX, f);
	fclose(f);
	return data;
}

/* Calls what() with each module of a directory, in an exact allocation. Returns their number. */
static unsigned for_each(const char *directory, void (*what)(const char *, const u8 *, size_t))
{
	DIR *d = opendir(directory);
	unsigned n = 0;
	struct dirent *e;

	if (!d)
		fail_msg("%s: no directory", directory);
	while ((e = readdir(d))) {
		char path[512];
		size_t size;
		u8 *file;

		if (!strstr(e->d_name, ".mod"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, e->d_name);
		file = read_file(path, &size);
		file = realloc(file, size);
		what(e->d_name, file, size);
		free(file);
		n++;
	}
	closedir(d);
	return n;
}

static void link_it(const char *file_name, const u8 *file, size_t size)
{
	if (module_link(file, size, (u64)window, to, MAX_MEM, &m, reason))
		fail_msg("%s: %s", file_name, reason);
	assert_memory_equal(m.name, file_name, strlen(m.name));
	assert_string_equal(file_name + strlen(m.name), ".mod");
	assert_true(m.size[MODULE_TEXT] && m.size[MODULE_RODATA]);
	assert_memory_not_equal(m.build_id, ((u8[20]){ 0 }), 20);
	/* They also link at Margay's addresses for modules. */
	stubs = (u8 *)0xffffffffc8000000;
	assert_int_equal(module_link(file, size, 0xffffffffc0000000, to, MAX_MEM, &m, reason), 0);
	stubs = window + MAX_MEM;
}

static void test_all_link(void **state)
{
	(void)state;
	assert_true(for_each(MODULES, link_it) >= 7);
	assert_true(for_each(TEST_MODULES, link_it) >= 12);
}

static void cut(const char *file_name, const u8 *file, size_t size)
{
	static u64 done;

	if (done++ % 4)		/* only some, since they are similar */
		return;
	for (size_t n = 0; n < size; n++) {
		u8 *copy = malloc(n ? n : 1);

		memcpy(copy, file, n);
		if (!module_link(copy, n, (u64)window, to, MAX_MEM, &m, reason))
			fail_msg("%s links when cut to %zu bytes", file_name, n);
		assert_true(reason[0]);
		free(copy);
	}
}

static void test_cut(void **state)
{
	(void)state;
	for_each(MODULES, cut);
}

static const struct policy_module *make_runnable(const char *path)
{
	static const int rights[MODULE_GROUPS] = { PROT_READ | PROT_EXEC, PROT_READ,
						   PROT_READ | PROT_WRITE };
	size_t size;
	u8 *file = read_file(path, &size);

	if (module_link(file, size, (u64)window, to, MAX_MEM, &m, reason))
		fail_msg("%s: %s", path, reason);
	free(file);
	for (unsigned g = 0; g < MODULE_GROUPS; g++) {
		memcpy(window + m.group[g], to + m.group[g], m.size[g]);
		if (m.size[g] && mprotect(window + m.group[g], m.size[g], rights[g]))
			fail_msg("mprotect");
	}
	return m.desc;
}

static void test_rr_runs(void **state)
{
	const struct policy_module *rr = make_runnable(MODULES "/rr.mod");
	struct policy_cpu c = { .id = 4 };
	struct policy_vcpu v[3] = { 0 };
	u64 slice;

	(void)state;
	assert_string_equal(rr->name, "rr");
	assert_int_equal(rr->start(2), 0);
	assert_int_equal(rr->sched->set(POLICY_MAX_DOMAINS, "slice_us", 2000), 0);
	assert_int_equal(rr->sched->set(POLICY_MAX_DOMAINS, "slice", 2000), -POLICY_ENOENT);
	for (unsigned i = 0; i < 3; i++)
		rr->sched->enqueue(&c, &v[i], POLICY_WOKEN);
	rr->sched->dequeue(&c, &v[1]);
	c.nr_queued = 2;
	c.first = &v[0];
	assert_ptr_equal(rr->sched->pick(&c, &slice), &v[0]);
	assert_int_equal(slice, 2000000);
	c.nr_queued = 1;
	c.first = &v[2];
	rr->sched->enqueue(&c, &v[2], POLICY_WOKEN);
	assert_int_equal(rescheds, 0);
	assert_ptr_equal(rr->sched->pick(&c, &slice), &v[2]);
	assert_true(slice == POLICY_FOREVER);
	rr->sched->enqueue(&c, &v[1], POLICY_WOKEN);
	assert_int_equal(rescheds, 5);
}

static void test_exitstat_runs(void **state)
{
	const struct policy_module *stat = make_runnable(MODULES "/exitstat.mod");
	struct policy_vcpu v = { .domain = 42, .slot = 9 };
	struct policy_cpu c = { 0 };
	u64 value;

	(void)state;
	stat->exit->exit(&c, &v, 1);
	stat->exit->exit(&c, &v, 1);
	assert_string_equal(stat->counter(0, &value), "42.some-reason");
	assert_int_equal(value, 2);
	assert_null(stat->counter(1, &value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_link, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rr_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exitstat_runs, setup, teardown),
	};

	return cmocka_run_group_tests_name("module_real", tests, NULL, NULL);
}
