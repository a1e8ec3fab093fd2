#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Boot the image of `make node` as an administrator does, and type what shows that its parts work.

    test/beds/node.py [--list] [NAME...]

NAME is a shell pattern for node-bios, node-uefi or node-net. Logs are left in $O/test/node.
"""
import argparse
import fnmatch
import os
import sys

sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import beds  # noqa: E402
import runner  # noqa: E402
import scenarios  # noqa: E402
from verdict import Verdict  # noqa: E402

DIRECTORY = os.path.join(beds.OUT, 'test', 'node')
NODE = os.path.join(beds.OUT, 'node')
LIMIT = 3000        # the emulator's own seconds
RAM = 4096
CASES = {'node-bios': ('gpt', 'bios'), 'node-uefi': ('gpt', 'uefi'), 'node-net': ('ipxe', 'bios')}
PROMPT = r'root@node:~# '

# What is typed, each after the one before has printed its number, and the lines that must come.
STEPS = (
    ('systemctl is-system-running --wait; systemctl --failed --plain --no-legend --no-pager', r'running$'),
    ('xl list', r'Domain-0 +0 +\d+ +2 '),
    ('xl create -q /etc/xen/linux.cfg && xl list', r'linux +\d+ +128 +2 '),
    ('virsh -c xen:///system list', r' 0 +Domain-0 +running'),
    ('ip -br addr show xenbr0', r'xenbr0 .*10\.0\.0\.1/24'),
    ('ls /sys/class/net/xenbr0/brif', r'vif\d+\.0'),
    ('ssh-keyscan -T 100 -t ed25519 localhost 2>/dev/null | cut -c 1-21', r'localhost ssh-ed25519$'),
    ('man -w mgctl; _completion_loader mgctl; complete -p mgctl', r'complete .*mgctl$'),
    ('mgctl stat | head -n 3', r'.*\bup\b'),
    ('xl destroy linux; xl list | grep -q linux || echo linux is gone', r'linux is gone$'),
)
WHOLE = ('node-bios',)      # the others boot, and show that the services came up


def scenario(name):
    """Return a scenario as test/scenarios.list would have it."""
    steps = STEPS if name in WHOLE else STEPS[:2]
    typed = [{'after': PROMPT, 'send': f'{steps[0][0]}; echo step $((1+0))\r'}]
    typed += [{'after': rf'^\[dom0\] step {n}$', 'send': f'{command}; echo step $(({n}+1))\r'}
              for n, (command, _) in enumerate(steps[1:], 1)]
    typed.append({'after': rf'^\[dom0\] step {len(steps)}$', 'send': 'poweroff\r'})
    entry = {'name': name, 'guests': [], 'timeout': LIMIT, 'ends': 'off', 'input': typed,
             'expect': [rf'^\[dom0\] {line}' for _, line in steps] + [r'^\(margay\) guest dom0 ended: power-off']}
    return scenarios.check(scenarios.fill(entry, scenarios.FIELDS, name), name)


def run(name):
    kind, firmware = CASES[name]
    log = os.path.join(DIRECTORY, name + '.log')
    os.makedirs(DIRECTORY, exist_ok=True)
    image = os.path.join(NODE, 'margay-node.img' if kind == 'gpt' else 'net')
    verdict = Verdict(scenario(name), 'qemu')
    # The image is left as it is.
    extra = ['-snapshot'] if kind == 'gpt' else []
    try:
        if not os.path.exists(image):
            raise beds.BedError(f'no {image}: run make node')
        ended = beds.run('qemu', beds.Machine(image, kind, firmware, 2, RAM, extra), verdict, log, LIMIT)
    except beds.BedError as error:
        return runner.Outcome(name, 'qemu', 'FAIL', str(error), log=log)
    reason = verdict.judge(ended)
    return runner.Outcome(name, 'qemu', 'FAIL' if reason else 'ok', reason or '', ended.seconds, log)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--list', action='store_true', help='say what would run')
    parser.add_argument('names', nargs='*', metavar='NAME')
    parser.error = lambda why: parser.exit(2, f'node: {why}\n')
    args = parser.parse_args()
    os.chdir(runner.ROOT)
    names = [name for name in CASES if not args.names or any(fnmatch.fnmatch(name, n) for n in args.names)]
    if args.list:
        print('\n'.join(names))
        return 0
    if not names:
        print('node: no such names', file=sys.stderr)
        return 2
    outcomes = []
    for name in names:
        outcomes.append(run(name))
        outcomes[-1].report()
    return runner.sum_up(outcomes)


if __name__ == '__main__':
    sys.exit(main())
