/* SPDX-License-Identifier: BSD-2-Clause */
#include "../host.h"

int main(void)
{
	struct task far = { 5, 10, 100, 0, true };
	struct task t[4] = { { 2000, 10000, 10000, 2000, true },
			     { 3000, 10000, 10000, 3000, true },
			     { 4000, 20000, 20000, 4000, true },
			     { 1000, 5000, 5000, 1000, false } };
	uint64_t ran[4] = { 0 }, idle = 0;

	refill(&far, 99);
	EXPECT(far.deadline == 100 && far.left == 0, "a period that is not over begins anew");
	refill(&far, 100);
	EXPECT(far.deadline == 110 && far.left == 5, "at its deadline a task's next period begins");
	refill(&far, 1000000007);
	EXPECT(far.deadline == 1000000010, "the deadline is %lu, not 1000000010", far.deadline);
	EXPECT(edf_pick(t, 4, 0) == 0, "the first of equal deadlines runs");
	t[3].runnable = true;
	EXPECT(edf_pick(t, 4, 0) == 3, "the earliest deadline runs");
	for (uint64_t now = 0; now < 200000; now += 100) { /* all budgets are 90 % of the CPU */
		int n = edf_pick(t, 4, now);

		EXPECT(n >= -1 && n < 4, "there is no task %d", n);
		if (n < 0) {
			idle += 100;
			continue;
		}
		EXPECT(t[n].left && t[n].runnable, "task %d may not run", n);
		ran[n] += 100;
		t[n].left -= 100;
	}
	for (int i = 0; i < 4; i++)
		EXPECT(ran[i] == 200000 / t[i].period * t[i].budget,
		       "task %d ran for %lu ns of %lu", i, ran[i],
		       200000 / t[i].period * t[i].budget);
	EXPECT(idle == 20000, "the CPU was idle for %lu ns, not for 20000", idle);
	return 0;
}
