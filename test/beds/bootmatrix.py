#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Boot Margay with its hello guest in every way: {BIOS, UEFI} x {iso, disk, gpt, net, ipxe} x CPUs.

    test/beds/bootmatrix.py [--all] [--jobs N] [--list] [NAME...]

Without --all, each way but gpt and ipxe with 2 CPUs; BIOS from ISO is left to the scenarios. NAME is a shell pattern
for names such as boot-uefi-disk-4.
"""
import argparse
import fnmatch
import os
import sys

sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import runner  # noqa: E402
import scenarios  # noqa: E402

CPUS = (1, 2, 4, 16)


def cell(firmware, kind, cpus, args):
    entry = {
        'name': f'boot-{firmware}-{kind}-{cpus}', 'firmware': firmware, 'kind': kind, 'cpus': cpus,
        'guests': [] if args.hypervisor else [{'name': 'hello', 'mem': '32M'}],
        'expect': [text.replace('@CPUS@', str(cpus)) for text in args.expect],
        'options': args.options,
        'timeout': 60 if firmware == 'bios' else 120, 'ends': 'any' if args.hypervisor else 'off',
    }
    return scenarios.check(scenarios.fill(entry, scenarios.FIELDS, entry['name']), entry['name'])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--all', action='store_true', help='1, 2, 4 and 16 CPUs')
    parser.add_argument('--jobs', type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument('--list', action='store_true', help='say what would run')
    parser.add_argument('--hypervisor', help='another multiboot2 image, without guests')
    parser.add_argument('--options', default='', help='options of the hypervisor')
    parser.add_argument('--expect', action='append', metavar='REGEX',
                        help='lines to wait for; @CPUS@ stands for the number of CPUs')
    parser.add_argument('names', nargs='*', metavar='NAME')
    parser.error = lambda why: parser.exit(2, f'bootmatrix: {why}\n')
    args = parser.parse_args()
    os.chdir(runner.ROOT)
    args.expect = args.expect or [r'^\(margay\).*\b@CPUS@ CPU']
    if args.hypervisor:
        runner.MARGAY = args.hypervisor
    counts = CPUS if args.all or args.names else (2,)
    cells = [cell(firmware, kind, cpus, args) for firmware in ('bios', 'uefi')
             for kind in ('iso', 'disk', 'gpt', 'net', 'ipxe') for cpus in counts]
    if args.names:
        cells = [c for c in cells if any(fnmatch.fnmatch(c['name'], n) for n in args.names)]
        if not cells:
            print('bootmatrix: no such names', file=sys.stderr)
            return 2
    elif not args.all:
        cells = [c for c in cells if c['name'] != 'boot-bios-iso-2' and c['kind'] not in ('gpt', 'ipxe')]
    if args.list:
        print('\n'.join(c['name'] for c in cells))
        return 0
    return runner.sum_up(runner.run_all(args.jobs, [(c, 'qemu') for c in cells]))


if __name__ == '__main__':
    sys.exit(main())
