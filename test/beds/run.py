#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Run the scenarios of the table on their beds, several at once, and sum up.

    test/beds/run.py [--bed BED] [--long] [--jobs N] [--patience FACTOR] [--timeout S] [--append WORDS]
                     [--options WORDS] [--traced] [--list] [NAME...]

NAME may be a shell pattern. Logs are left in $O/test/BED/NAME.log.
"""
import argparse
import fnmatch
import os
import shlex
import sys

sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import beds  # noqa: E402
import runner  # noqa: E402
import scenarios  # noqa: E402


def check_bed(bed):
    known = [*beds.BEDS, *beds.GROUPS]
    if bed not in (None, *known):
        raise beds.BedError(f"there is no bed '{bed}'; the beds are\n  {' '.join(known)}")


def wanted(args, bed):
    return args.bed in (None, bed) or bed in beds.GROUPS.get(args.bed, ())


def select(args):
    table = scenarios.load()
    for pattern in args.names:
        if not fnmatch.filter([scenario['name'] for scenario in table], pattern):
            raise scenarios.TableError(f"no scenario matches '{pattern}'; `make scenarios` lists them")
    chosen = []
    for scenario in table:
        for field in ('timeout', 'long_timeout'):
            scenario[field] = args.timeout or scenario[field]
        for guest in scenario['guests']:
            guest['cmdline'] = f'{guest["cmdline"]} {args.append}'.strip()
        scenario['options'] = f'{scenario["options"]} {args.options}'.strip()
        named = any(fnmatch.fnmatch(scenario['name'], pattern) for pattern in args.names)
        if args.names and not named or not args.names and scenario['long'] and not args.long:
            continue
        if args.long or args.names:
            slow = dict(scenario, timeout=scenario['long_timeout'])
            chosen += [(slow, bed) for bed in scenario['long_beds'] if wanted(args, bed)]
        for bed in scenario['beds']:
            quick = args.long or args.names or args.bed or any(
                fnmatch.fnmatch(scenario['name'], name) for name in beds.QUICK.get(bed, '*'))
            if wanted(args, bed) and quick:
                chosen.append((scenario, bed))
    if args.names and not chosen:
        raise scenarios.TableError(f"'{' '.join(args.names)}' does not run on bed {args.bed}; "
                                   '`make scenarios` lists the beds of each')
    return chosen


def left_for_long(args):
    """Return the pairs of the requested beds that only check-long runs."""
    if args.names:
        return []
    return [(scenario['name'], bed) for scenario in scenarios.load()
            for bed in scenario['beds'] + scenario['long_beds']
            if wanted(args, bed) and not (args.no_oracle and bed in beds.ON_XEN)]


def list_all(names):
    """Print a line for each scenario: its name and its beds, with + after those that only check-long runs."""
    for scenario in scenarios.load():
        if not names or any(fnmatch.fnmatch(scenario['name'], pattern) for pattern in names):
            words = [bed + '+' * scenario['long'] for bed in scenario['beds']] + \
                [bed + '+' for bed in scenario['long_beds']]
            print(f'{scenario["name"]:24} ' + ' '.join(words))
    sys.stdout.flush()
    return 0


def again(args, outcome):
    """Return the words with which this script runs the test of that outcome alone, in the same way."""
    words = ['--bed', outcome.bed]
    for option, value in (('--timeout', args.timeout), ('--append', args.append), ('--options', args.options)):
        words += [option, shlex.quote(str(value))] if value else []
    if args.traced:
        words.append('--traced')
    return ' '.join([*words, outcome.name.removesuffix(scenarios.TRACED)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--bed')
    parser.add_argument('--no-oracle', action='store_true', help='all beds but the oracle')
    parser.add_argument('--long', action='store_true', help='the long ones too')
    parser.add_argument('--jobs', type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument('--patience', metavar='FACTOR',
                        help='for all time limits, as PATIENCE in the environment')
    parser.add_argument('--timeout', type=int, metavar='S', help="in place of the scenarios' own")
    parser.add_argument('--append', default='', metavar='WORDS', help="to guests' command lines")
    parser.add_argument('--options', default='', metavar='WORDS', help="to Margay's command line")
    parser.add_argument('--traced', action='store_true', help='Margay records all it does')
    parser.add_argument('--list', action='store_true', help='list all scenarios with their beds')
    parser.add_argument('--needs', action='store_true', help="list the sets of scripts/setup that it needs")
    parser.add_argument('names', nargs='*', metavar='NAME')
    parser.error = lambda why: parser.exit(2, f'run: {why}\n')
    args = parser.parse_args()
    os.chdir(runner.ROOT)
    if args.patience:
        os.environ['PATIENCE'] = args.patience
    try:
        beds.patience()
        check_bed(args.bed)
        if args.list:
            return list_all(args.names)
        chosen = select(args)
        if args.needs:
            sets = {beds.NEEDS.get(bed, 'bochs') for _, bed in chosen}
            sets |= {'libvirt' for scenario, _ in chosen for guest in scenario['guests']
                     if guest['initrd'] == 'initramfs-virt.gz'}
            print(' '.join(sorted(sets)))
            return 0
    except (scenarios.TableError, beds.BedError) as error:
        print(f'run: {error}', file=sys.stderr)
        return 2
    if args.no_oracle:
        chosen = [pair for pair in chosen if pair[1] not in beds.ON_XEN]
    if args.traced:
        chosen = [(scenarios.traced(scenario), bed) for scenario, bed in chosen if bed not in beds.ON_XEN]
    outcomes = runner.run_all(args.jobs, chosen)
    return runner.sum_up(outcomes, [] if args.traced else left_for_long(args),
                         lambda outcome: again(args, outcome))


if __name__ == '__main__':
    try:
        sys.exit(main())
    except BrokenPipeError:     # such as `--list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
