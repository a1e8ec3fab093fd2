#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Measure Margay in instructions under QEMU's -icount: exits and hypercalls beside those of Xen, those with VT-x under
Bochs, and switches of CPUs to a guest; and for both hypervisors the boot, the memory, the exits of a stock Linux
kernel, busy and asleep, and what a control domain and its guests cost; and what a guest's own devices cost.

    scripts/perf.py [--no-xen] [--diff | --baseline] [bench] [vtx] [switch] [boot] [memory] [policy]
                 [linux] [native] [control] [devices]

The figures repeat, but for Linux on 2 CPUs. All of them also go to $O/perf/perf.json, a picture of
the operations' costs to perf.svg, the logs beside it. Targets are shown, not enforced: the exit
status tells only whether all could be measured. --diff measures what repeats and tells what has
changed by more than 2 % against test/perf/baseline.json; --baseline writes that file.
"""
import argparse
import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../test/perf'))
# pylint: disable=wrong-import-position
import measure  # noqa: E402
import plot  # noqa: E402
import beds  # noqa: E402

PARTS = ('vtx', 'switch', 'bench', 'boot', 'memory', 'policy', 'linux', 'native', 'control', 'devices')
BASELINE = os.path.join(os.path.dirname(measure.__file__), 'baseline.json')
WITH_XEN = ('bench', 'boot', 'memory', 'linux', 'native', 'control')
DIFF_PARTS = ('bench', 'boot', 'memory', 'native', 'control', 'devices')
# The parts whose figures varied between runs of one source: how long a second CPU takes to start,
# where in a tick the sleeps begin, in which order the emulator runs two CPUs, and how many packets a
# backend finds at once; and when the emulator's disk is done.
VARYING = ('boot.2 CPUs.', 'native.margay.sleep_excess', 'native.margay.futex_two',
           'control.margay.control_', 'control.margay.guest_', 'control.margay.disk_1m', 'control.margay.idle',
           'control.margay.longest',
           'devices.bare', 'devices.VT-d.nvme', 'devices.AMD-Vi.nvme')
TOLERANCE = 0.02
BENCH_TARGETS = {'null_hypercall': 150, 'cpuid': 250, 'send_masked': 400, 'send_upcall': 700,
                 'set_timer_op': 300, 'yield': 500, 'yield_two': 500, 'timer_tick': 1500,
                 'noise_alone': 0}
QUARTER = 4                 # least ratio of Xen's net figure to Margay's
VTX_TARGET = ('null_hypercall', 250, 6)     # instructions; VMREADs and VMWRITEs
SWITCH_TARGETS = {'in all': 50_000, 'longest gap': 20_000}
BOOT_TARGET = ('first guest entry', 30_000_000)
MEMORY_TARGET_KIB = 3 * 1024
CALL_TARGET = 40
SWAP_TARGET = 4 * 5000  # the sum of four CPUs
SLICE = 10_000_000
EXITS_TARGET = 3000
ADDED_TARGET = 0.01


def table(title, head, rows):
    """Print a table. The first column is aligned to the left, all others to the right."""
    rows = [head] + [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    print(f'\n{title}')
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]
        print('  ' + '  '.join(cells).rstrip())


def verdict(value, target):
    """Return the two cells that compare a value with its target, if it has one."""
    return ['', ''] if target is None else [f'{target:,}', 'ok' if value <= target else 'over']


def beside(mean, other):
    """Return the cells that compare a mean with Xen's."""
    if not other:
        return ['-'] * 5
    net = other.get('net')
    cells = [f"{other['mean']:,}", f"{other['mean'] / max(1, mean):.1f}"]
    return cells + ['-'] * 3 if net is None else \
        [*cells, f'{net:,}', f'{net / max(1, mean):.1f}', 'ok' if QUARTER * mean <= net else 'over']


def show_bench(data, vtx):
    xen = data.get('xen', {})
    rows = []
    for name, cost in data['margay'].items():
        row = [name, f"{cost['min']:,}", f"{cost['mean']:,}"]
        if vtx:
            row.append(f"{vtx[name]['mean']:,}" if name in vtx else '-')
        if xen:
            row += beside(cost['mean'], xen.get(name))
        rows.append(row + verdict(cost['min'], BENCH_TARGETS.get(name)))
    head = ['', 'least', 'mean'] + (['VT-x'] if vtx else []) + \
        (['Xen', 'ratio', 'Xen net', 'ratio', 'quarter'] if xen else []) + ['target', '']
    table('Instructions of one operation, as a guest sees them', head, rows)
    if vtx:
        print('  VT-x: the mean there, on Bochs; all else is AMD-V on QEMU.')
    if xen:
        print('  Xen net: without its decoding of instructions, which it would not do on a CPU with NRIPS;\n'
              '  quarter: is the mean at most a quarter of that?')
    print('  timer_tick: a gap in a loop by a timer of its own; timer_late: nanoseconds. noise_alone: the gaps\n'
          '  in 100 ms of a loop without one, and their sum. What ends in 64: for as many pages in one call;\n'
          '  in cpu: half a round between two vCPUs or domains that sleep until the other one signals.')


def show_vtx(data):
    rows = []
    for name, cost in data.items():
        reads, writes = cost['accesses'] or ('-', '-')
        cells = ['', '']
        if name == VTX_TARGET[0]:
            good = cost['min'] <= VTX_TARGET[1] and reads + writes <= VTX_TARGET[2]
            cells = [f'{VTX_TARGET[1]}, {VTX_TARGET[2]}', 'ok' if good else 'over']
        rows.append([name, f"{cost['min']:,}", f"{cost['mean']:,}", reads, writes] + cells)
    table('Instructions of one operation with VT-x, on Bochs',
          ['', 'least', 'mean', 'VMREAD', 'VMWRITE', 'target', ''], rows)


def show_switch(data):
    table("Instructions to give 4 vCPUs CPUs of their own, or to take them back, with VT-x, on Bochs",
          ['', 'mean', 'target', ''],
          [[name, f'{cost:,}'] + verdict(cost, SWITCH_TARGETS.get(name)) for name, cost in data.items()])
    print("  The longest gap is what one of the guest's CPUs loses at a time.")


def show_boot(data):
    name, target = BOOT_TARGET
    xen = data.get('xen', {})
    columns = [c for c in data if c != 'xen']
    steps = list(data[columns[0]])
    rows = [[step] + [f'{data[c].get(step, 0):,}' for c in columns] +
            [f'{cost:,}' if step == name else '' for cost in xen.values()] +
            (verdict(max(data[c].get(step, 0) for c in columns), target) if step == name
             else ['', '']) for step in steps]
    table("Instructions since the hypervisor's entry (1 GiB, hello with 64 MiB)",
          [''] + columns + [f'Xen, {c}' for c in xen] + ['target', ''], rows)


def show_memory(data):
    xen = data.get('xen')
    rows = [[name, f'{kib:,}'] + ([f'{xen[name]:,}' if name in xen else ''] if xen else []) +
            verdict(kib, MEMORY_TARGET_KIB) for name, kib in data.items() if name != 'xen']
    table("The hypervisor's own memory in KiB (2 GiB, 2 CPUs)",
          ['', 'Margay'] + (['Xen'] if xen else []) + ['target', ''], rows)
    if xen:
        print('  Of Xen, which has another guest that asks it: all that is neither free nor the guest\'s.')


def show_policy(data):
    targets = {'more per call': CALL_TARGET}
    for vcpus in (4, 8):
        targets[f'... at most, {vcpus} vCPUs'] = SWAP_TARGET
        name = next(name for name in data if name.endswith(f'swaps, {vcpus} vCPUs'))
        targets[name] = data[f'longest gap, {vcpus} vCPUs on 4 CPUs'] + SLICE
    rows = [[name, f'{cost:,}'] + verdict(cost, targets.get(name)) for name, cost in data.items()]
    table('Instructions of policies: the module rr and the built-in one, and swaps among all', ['', '', 'target', ''],
          rows)
    print('  The gaps are those that a spinning guest sees, in instructions of all CPUs together: at most one\n'
          '  time slice more with swaps than without.')


def show_linux(data):
    columns = [c for c in data if c != 'asleep']
    for kind in ('exits', 'hypercalls'):
        names = list(dict.fromkeys(name for c in columns for name in data[c][kind]))
        names.sort(key=lambda name: name == 'total')
        rows = [[name] + [f'{data[c][kind].get(name, 0):,}' for c in columns] +
                (verdict(data[columns[0]][kind].get(name, 0), EXITS_TARGET)
                 if name == 'total' else ['', '']) for name in names]
        table(f"A stock Linux kernel from entry to power-off by its first process: {kind}",
              [''] + columns + ['target', ''], rows)
    times = [data[c]['ns'] for c in columns]
    added = times[0]['Margay'] / times[0]['guest']
    table('The same: instructions (nanoseconds of the vCPUs)', [''] + columns + ['target', ''],
          [[name] + [f'{t[name]:,}' for t in times] + ['', ''] for name in times[0]] +
          [['added'] + [f"{t['Margay'] / t['guest']:.2%}" for t in times] +
           [f'{ADDED_TARGET:.0%}', 'ok' if added <= ADDED_TARGET else 'over']])
    show_asleep(data['asleep'])


def show_asleep(data):
    rows = [[name] + [f'{costs[name]:,}' for costs in data.values()] for name in data['margay']]
    table('Exits of a stock kernel (generic), 1 vCPU', [''] + [name.capitalize() for name in data], rows)
    if 'xen' in data:
        print("  On Xen that kernel is the initial domain, and paravirtual: what counts are Xen's returns to it,\n"
              '  be it from a hypercall, a system call, a fault or an interrupt.')


PEERS = {'xen': 'Xen', 'kvm': 'KVM'}
# What computes, and by how much it may take more on Margay, and with CPUs of its own.
COMPUTE = ('arithmetic', 'streaming', 'random_access', 'hpc_stream', 'hpc_dgemm', 'hpc_fft', 'hpc_random_access')
WORK_TARGETS = {'margay': 0.0005, 'dedicated': 0.00001}


def show_native(data):
    native, margay, dedicated = data['native'], data['margay'], data['dedicated']
    peers = [name for name in PEERS if name in data]
    head = ['', 'bare machine', 'Margay', 'more', 'dedicated', 'more']
    head += [cell for peer in peers for cell in (PEERS[peer], 'more')]
    rows = []
    for name in dict.fromkeys([*margay, *dedicated, *native]):
        ticks = native.get(name)
        row = [name]
        for side in (native, margay, dedicated, *(data[peer] for peer in peers)):
            row.append(f'{side[name]:,}' if name in side else '-')
            if side is not native:
                row.append(f'{side[name] / ticks - 1:+.3%}' if ticks and name in side else '')
        if name in COMPUTE:
            row += [', '.join(f'{most:.3%}' for most in WORK_TARGETS.values()),
                    ', '.join('ok' if data[side][name] / ticks - 1 <= most else 'over'
                              for side, most in WORK_TARGETS.items())]
        else:
            row += ['', '']
        rows.append(row)
    table('The same work of a stock kernel, 1 CPU: instructions, and of sleeps and gaps nanoseconds',
          head + ['target', ''], rows)
    print('  futex_two: each of two CPUs wakes the other one by turns; instructions of both.')
    if peers:
        print("  On Xen the kernel is the initial domain, and paravirtual: its system calls and page faults go\n"
              "  through Xen. KVM's host is the same kernel on the bare machine, with QEMU.")


# The row, what it is, and the limit.
CONTROL_ROWS = (
    ('disk_4k', 'read of 4 KiB from a disk', 8_000),
    ('disk_4k_32', '... of 32 at once', 800),
    ('disk_1m', 'read of 1 MiB', 30_000),
    ('control_trip', 'TCP round trip to the control domain', 10_000),
    ('guest_trip', '... to another guest', 22_000),
    ('control_mib', '1 MiB by TCP to the control domain', 250_000),
    ('guest_mib', '... to another guest', None),
    ('create', 'xl create, 256 MiB', 15_000_000),
    ('destroy', 'xl destroy, with scrubbing', 40_000_000),
    ('save', 'xl save, 256 MiB, idle', 100_000_000),
    ('restore', 'xl restore of that', 60_000_000),
    ('migrate', 'xl migrate to the same host, idle', 200_000_000),
    ('migrate_load', '... that writes 40 MiB a second', 250_000_000),
    ('gap_256', '... 256 MiB, idle but for a timer', None),
    ('gap_1024', '... 1024 MiB', None),
    ('checkpoint', 'margay-checkpoint save, 1024 MiB', None),
    ('checkpoint_next', '... the next one, of a guest that writes 40 MiB a second', 80_000_000),
    ('idle', 'an idle Linux guest, a second', 60_000))
CONTROL_MEMORY_KIB = 256
# The limits of all parties' instructions.
CONTROL_ALL = {'save': 600_000_000, 'restore': 400_000_000, 'migrate': 1_000_000_000, 'migrate_load': 1_200_000_000}


def show_control(data):
    margay, xen = data['margay'], data.get('xen')
    rows = []
    for name, what, target in CONTROL_ROWS:
        cost = margay[name]
        row = [what, f"{cost['all']:,}", f"{cost['hypervisor']:,}"]
        if xen:
            other = xen[name]
            row += [f"{other[key]:,}" for key in ('all', 'hypervisor')]
            row.append(f"{other['hypervisor'] - other['decoder']:,}")
        limit, (wanted, good) = CONTROL_ALL.get(name), verdict(cost['hypervisor'], target)
        if limit and cost['all'] > limit:
            good = 'over'
        rows.append(row + [f'{limit:,}, {wanted}' if limit else wanted, good])
    row = ['memory for a guest of 256 MiB, KiB', '', f"{margay['memory']['kib']:,}"]
    row += ['', f"{xen['memory']['kib']:,}", ''] if xen else []
    rows.append(row + verdict(margay['memory']['kib'], CONTROL_MEMORY_KIB))
    table('A control domain and its guests, 1 CPU: instructions of all parties, and of the hypervisor',
          ['', 'all', 'Margay'] + (['all', 'Xen', 'Xen net'] if xen else []) + ['target', ''], rows)
    for name, ns in margay['longest'].items():
        beside_xen = f", on Xen {xen['longest'][name]:,}" if xen else ''
        print(f"  Longest gap of the guest's CLOCK_REALTIME, {name}: {ns:,} ns{beside_xen}.")
    if xen:
        print("  The control domain is paravirtual on Xen. Xen net: without its decoding of instructions.")


# The row, what it is, the limit of Margay's instructions in all of a bare machine's, and that of exits.
DEVICE_ROWS = (
    ('nvme_4k', 'NVMe, read of 4 KiB', 0.02, 1),
    ('nvme_4k_polled', '... polled, without interrupts', 0.02, 0),
    ('nvme_4k_32', '... of 32 at once', None, 1),
    ('nvme_1m', 'read of 1 MiB', None, None),
    ('frame', 'frame from e1000e to e1000e', None, 2))
# The row of a guest with a CPU of its own, what it is, which figure, and whether the ratio has a limit.
DEDICATED_ROWS = (
    ('nvme_4k_each', 'NVMe, read of 4 KiB, the median', 'median', True),
    ('nvme_4k', '... the mean', 'all', False),
    ('nvme_4k_32', '... of 32 at once, the mean', 'all', True),
    ('frame', 'frame from e1000e to e1000e', 'all', True))
DEDICATED_TARGET = 1.02, 0      # of the bare machine's instructions, and exits
PAGES_TARGET = 1.5
INTERRUPT_TARGET = 1500


def show_dedicated(bare, units):
    """Show the devices of a guest with a CPU of its own. The ratio is that of all instructions, Margay's included."""
    rows = []
    for name, what, key, limited in DEDICATED_ROWS:
        row, good = [what, f'{bare[name][key]:,}'], True
        for unit in units.values():
            cost = unit[name]
            ratio = cost[key] / bare[name][key]
            row += [f'{cost[key]:,}', f'{ratio:.3f}', f"{cost['hypervisor']:,}", f"{cost['exits']:.2f}"]
            good &= cost['exits'] <= DEDICATED_TARGET[1] and (not limited or ratio <= DEDICATED_TARGET[0])
        rows.append(row + [f'{DEDICATED_TARGET[0]}, ' * limited + f'{DEDICATED_TARGET[1]}', 'ok' if good else 'over'])
    table("The same of a guest with a CPU of its own: instructions, times the bare machine's, Margay's, and exits",
          ['', 'bare machine'] + [cell for unit in units for cell in (unit, 'times', 'Margay', 'exits')] +
          ['times, exits', ''], rows)
    print('  The mean includes ticks, as many as fall into the emulator\'s waiting for the disk.')


def show_devices(data):
    units = [name for name in data if name not in ('bare', 'dedicated', 'pages')]
    rows = []
    for name, what, limit, exits in DEVICE_ROWS:
        bare, good = data['bare'][name]['all'], True
        row = [what, f'{bare:,}']
        for unit in units:
            cost = data[unit][name]
            row += [f"{cost['all']:,}", f"{cost['hypervisor']:,}", f"{cost['exits']:.2f}"]
            good &= (exits is None or cost['exits'] <= exits) and (not limit or cost['hypervisor'] <= limit * bare)
        wanted = ([f'{limit:.0%}'] if limit else []) + ([] if exits is None else [f'{exits}'])
        rows.append(row + [', '.join(wanted), ('ok' if good else 'over') if wanted else ''])
    table("A guest's own devices, 1 CPU: instructions of all parties, of Margay, and exits",
          ['', 'bare machine'] + [cell for unit in units for cell in (unit, 'Margay', 'exits')] +
          ['more, exits', ''], rows)
    print('  Polled: how often the guest asks depends on the emulator.')
    show_dedicated(data['bare'], data['dedicated'])
    delivery = [data[unit]['nvme_4k']['inside'] for unit in units]
    rows = [['from an interrupt to the waiting guest'] + [f'{cost:,}' for cost in delivery] +
            verdict(max(delivery), INTERRUPT_TARGET)]
    table('Instructions', ['', *units, 'target', ''], rows)
    none = data['pages']['none']
    rows = []
    for name in ('release_1', 'populate_1', 'release_64', 'populate_64', 'release_2m', 'populate_2m'):
        costs = [data['pages'][unit][name] for unit in units]
        limit = PAGES_TARGET * none[name] if name.endswith('2m') else None
        rows.append([name, f'{none[name]:,}'] + [f'{cost:,}' for cost in costs] + verdict(max(costs), limit))
    table('Page operations of a guest that has the devices', ['', 'no IOMMU', *units, 'target', ''], rows)


def flat(data, prefix=''):
    """Return {'a.b.c': number} of all numbers in nested dictionaries."""
    if isinstance(data, dict):
        return {key: value for name, entry in data.items()
                for key, value in flat(entry, f'{prefix}.{name}' if prefix else name).items()}
    return {prefix: data} if isinstance(data, (int, float)) else {}


def repeating(result):
    """Return the contents of a baseline: Margay's own figures of the parts that repeat."""
    numbers = flat({part: result[part] for part in DIFF_PARTS if part in result})
    return {key: value for key, value in numbers.items()
            if not key.startswith(('bench.xen', 'native.xen', 'native.kvm', 'control.xen', *VARYING)) and
            not (key.startswith('devices.dedicated.') and not key.endswith(('.median', '.exits'))) and
            not (key.startswith('control.') and key.endswith(('.all', '.decoder')))}


def show_diff(result):
    """Print the figures that differ from the baseline. Return their number."""
    with open(BASELINE, encoding='utf-8') as file:
        before = json.load(file)
    after, rows = repeating(result), []
    for key in sorted(set(before) | set(after)):
        old, new = before.get(key), after.get(key)
        if old is None or new is None:
            rows.append([key, old if old is not None else 'new', new if new is not None else 'gone', ''])
        elif abs(new - old) > TOLERANCE * max(1, old):
            rows.append([key, f'{old:,}', f'{new:,}', f'{new / max(1, old) - 1:+.1%}'])
    if rows:
        table(f'Changed by more than {TOLERANCE:.0%}', ['', 'before', 'now', ''], rows)
    else:
        print(f'\nNo figure of {len(before)} has changed by more than {TOLERANCE:.0%}.')
    return len(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n', maxsplit=1)[0])
    parser.add_argument('--no-xen', action='store_true', help='measure Margay alone')
    parser.add_argument('--diff', action='store_true', help='compare with the baseline')
    parser.add_argument('--baseline', action='store_true', help='write the baseline')
    parser.add_argument('parts', nargs='*', metavar='PART', help=' '.join(PARTS) + ' (default: all)')
    parser.error = lambda why: parser.exit(2, f'perf: {why}\n')
    args = parser.parse_args()
    for part in args.parts:
        if part not in PARTS:
            parser.error(f"unknown part '{part}'")
    compared = args.diff or args.baseline
    parts = args.parts or (DIFF_PARTS if compared else PARTS)
    path = os.path.join(beds.OUT, 'perf/perf.json')
    result = {}
    if os.path.exists(path) and not compared:
        with open(path, encoding='utf-8') as file:
            result = json.load(file)
    shows = {'vtx': show_vtx, 'switch': show_switch, 'bench': lambda data: show_bench(data, result.get('vtx', {})),
             'boot': show_boot, 'memory': show_memory, 'policy': show_policy, 'linux': show_linux,
             'native': show_native, 'control': show_control, 'devices': show_devices}
    status = 0
    for part in parts:
        try:
            if part in WITH_XEN:
                result[part] = getattr(measure, part)(not args.no_xen and not compared)
            else:
                result[part] = getattr(measure, part)()
            shows[part](result[part])
            sys.stdout.flush()
        except (measure.PerfError, beds.BedError) as error:
            print(f'perf: {part}: {error}', file=sys.stderr)
            result.pop(part, None)
            status = 1
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(result, file, indent='\t')
        file.write('\n')
    with open(path.replace('.json', '.svg'), 'w', encoding='utf-8') as file:
        file.write(plot.svg(result))
    if args.baseline and not status:
        with open(BASELINE, 'w', encoding='utf-8') as file:
            json.dump(repeating(result), file, indent='\t', sort_keys=True)
            file.write('\n')
    if args.diff and not status:
        status = 1 if show_diff(result) else 0
    return status


if __name__ == '__main__':
    sys.exit(main())
