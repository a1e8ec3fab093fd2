#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Print the longest times, per place, that Margay keeps interrupts off, and that it keeps a CPU without a look for
other work, in instructions: a debug build counts TSC ticks, which are instructions under QEMU's -icount and in Bochs.
The places are exits, hypercalls, and parts of a CPU's loop, while guests do what costs most, while policies are
loaded, swapped and thrown out, while a stock Linux kernel boots, and while guests are taken apart; with AMD-V under
QEMU, and with VT-x under Bochs. The debug build is
$O/debug. Arguments choose among the runs; all run without one. Exit status 1 when one is above the limit.
"""
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../test/perf'))
# pylint: disable=wrong-import-position
import measure  # noqa: E402
import beds  # noqa: E402

LIMIT = 100_000
HOLD = re.compile(r'^\(margay\) hold (\S+) (\d+) (\d+)$')
# One CPU: with several the clock also counts the other CPUs' instructions.
RUNS = {
    'holds': ('holds', 'hello', 'bench_memory', 'grants_self'),
    'ports': ('holds_ports', 'holds_tables'),
    'hostile': ('hostile_args', 'grant_copy', 'held_pages', 'multicall', 'evtchn_ports'),
    'cpu': ('smp', 'ipi', 'timers', 'sched_ops', 'vcpu_op', 'exceptions'),
    'policies': ('policies', 'hello'),
    'linux': ('linux-cloud', 'hello'),
    # Guests with 1,024 vCPUs.
    'vcpus': ('many_vcpus', 'holds', 'grants_self', 'idle_storm', 'hello'),
}
ARGS = {'holds_ports': 'vcpus=1024 mem=64M -- ports=131072',
        'holds_tables': 'mem=256M -- step=16',
        'policies': 'vcpus=4 mem=64M control -- swaps=30',
        'linux-cloud': 'vcpus=2 mem=256M -- console=hvc0 margay.test=boot margay.cpus=2'}


LARGE = {'many_vcpus': 'vcpus=1024 mem=128M -- vcpus=1024',
         'idle_storm': 'vcpus=1024 mem=64M -- kind=2 vcpus=1024 crash=1',
         'holds': 'vcpus=1024 mem=64M', 'grants_self': 'vcpus=1024 mem=64M'}


def modules(run, guests):
    args = ARGS | (LARGE if run == 'vcpus' else {})
    for name in guests:
        yield measure.guest(name), f'guest name={name} ' + args.get(name, 'vcpus=6 mem=64M')
        if name.startswith('linux'):
            yield measure.guest('initramfs.gz'), f'initrd for={name}'


def run(bed, name, guests):
    """{(place, kind): ticks} of a run."""
    image, log = measure.image_of(f'hold-{bed}-{name}', modules(name, guests), 'noidlescrub',
                                  'debug/margay')
    machine, lines = beds.Machine(image, cpus=1, mem=1024), measure.Lines()
    if bed == 'qemu':
        machine.extra = measure.ICOUNT
    ended = beds.run(bed, machine, lines, log, 900)
    os.remove(image)
    measure.finish(lines, ended, log, 'power off')
    return [(match[1], (int(match[2]), int(match[3]))) for match in lines.find(HOLD)]


def main():
    wrong = set(sys.argv[1:]) - set(RUNS)
    if wrong:
        print(f'hold-times: no run {", ".join(sorted(wrong))}; there are {", ".join(RUNS)}', file=sys.stderr)
        return 2
    found, above = {}, False
    for bed in ('qemu', 'broadwell'):
        for name, guests in RUNS.items():
            if sys.argv[1:] and name not in sys.argv[1:]:
                continue
            for place, ticks in run(bed, name, guests):
                row = found.setdefault(place, {})
                row[bed] = [max(pair) for pair in zip(ticks, row.get(bed, (0, 0)))]
    if not found:
        print('hold-times: not a debug build', file=sys.stderr)
        return 1
    print(f'\nLongest times in instructions, with interrupts off and without a look for other work (limit {LIMIT:,})')
    print(f'  {"":24}{"AMD-V: off":>12}{"no look":>12}{"VT-x: off":>12}{"no look":>12}')
    for place, row in sorted(found.items(), key=lambda item: -max(map(max, item[1].values()))):
        ticks = [*row.get('qemu', ('-', '-')), *row.get('broadwell', ('-', '-'))]
        over = max(t for t in ticks if t != '-') > LIMIT
        above |= over
        print(f'  {place:24}' + ''.join(f'{t:>12,}' if t != '-' else f'{t:>12}' for t in ticks) +
              ('  above the limit' if over else ''))
    return above


if __name__ == '__main__':
    sys.exit(main())
