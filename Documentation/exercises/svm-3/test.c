/* SPDX-License-Identifier: BSD-2-Clause */
#include "../host.h"

enum { CPUS = 3, VCPUS = 12, MAX = 7 };

int main(void)
{
	static struct {
		uint32_t asid;
		uint32_t flushes;
		int at;
	} last[CPUS][VCPUS];
	static int user[CPUS][MAX + 1];
	struct cpu cpus[CPUS];
	struct vcpu vcpus[VCPUS] = { 0 };
	uint32_t used[CPUS] = { 0 }, where[VCPUS];

	memset(where, 255, sizeof(where));
	for (int c = 0; c < CPUS; c++) {
		cpu_init(&cpus[c], c, MAX);
		EXPECT(cpus[c].max == MAX && !cpus[c].flushes, "cpu_init() sets max and flushes");
		for (int i = 0; i < c; i++)
			EXPECT(cpus[c].generation != cpus[i].generation,
			       "CPUs have the same generation");
	}
	for (int round = 0; round < 200000; round++) {
		uint32_t c = chance() % CPUS, n = chance() % VCPUS, before = cpus[c].flushes;
		uint32_t id = asid_for(&cpus[c], &vcpus[n]);
		bool stays = where[n] == c && last[c][n].at && last[c][n].flushes == before;

		EXPECT(id >= 1 && id <= MAX, "id %u is not between 1 and %u", id, (unsigned)MAX);
		EXPECT(!stays || id == last[c][n].asid, "a vCPU's id changed without need");
		EXPECT(cpus[c].flushes == before || used[c] == MAX, "a flush while ids were free");
		if (cpus[c].flushes != before) {
			used[c] = 0;
			memset(user[c], 0, sizeof(user[c]));
		}
		EXPECT(stays || !user[c][id], "id %u was in use in this generation", id);
		if (!stays)
			used[c]++;
		user[c][id] = (int)n + 1;
		last[c][n].asid = id, last[c][n].flushes = cpus[c].flushes, last[c][n].at = 1;
		where[n] = c;
	}
	return 0;
}
