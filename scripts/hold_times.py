#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Print the longest times, in instructions, for which Margay keeps interrupts off, per place. A debug build counts TSC
ticks, which are instructions under QEMU's -icount. The places are exits, hypercalls, and parts of a CPU's loop. The
guests perform the most expensive operations, and one of them is destroyed. O is the debug build. The exit status is 1
when a time exceeds the limit.
"""
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../test/perf'))
# pylint: disable=wrong-import-position
import measure  # noqa: E402

LIMIT = 100_000
HOLD = re.compile(r'^\(margay\) hold (\S+) (\d+)$')
# Guests that run together on one CPU: with several CPUs the clock also counts the other CPUs'
# instructions. Each guest is destroyed while the others run.
RUNS = (('holds', 1, ('holds', 'hello', 'bench_memory', 'grants_self')),
        ('hostile', 1, ('hostile_args', 'grant_copy', 'held_pages', 'multicall', 'evtchn_ports')),
        ('cpu', 1, ('smp', 'ipi', 'timers', 'sched_ops', 'vcpu_op', 'exceptions')))


def longest():
    """Return {place: ticks}, the longest time of all runs."""
    found = {}
    for name, cpus, guests in RUNS:
        modules = [(measure.guest(g), f'guest name={g} mem=64M vcpus=6') for g in guests]
        lines = measure.on_margay(f'hold-{name}', modules, r'power off', cpus=cpus, limit=600)
        for match in lines.find(HOLD):
            found[match[1]] = max(found.get(match[1], 0), int(match[2]))
    return found


def main():
    found = longest()
    if not found:
        print('hold-times: not a debug build', file=sys.stderr)
        return 1
    print(f'\nLongest time with interrupts off, in instructions (limit {LIMIT:,})')
    for place, ticks in sorted(found.items(), key=lambda item: -item[1]):
        print(f'  {place:24}{ticks:>10,}{"  above the limit" if ticks > LIMIT else ""}')
    return max(found.values()) > LIMIT


if __name__ == '__main__':
    sys.exit(main())
