# SPDX-License-Identifier: BSD-2-Clause
"""Runs under QEMU's -icount, where time is the number of executed instructions, and the figures from their serial
lines. Used by scripts/perf.py. The figures of our own guests repeat; those of Linux on two CPUs vary by a few per cent
from run to run.
"""
import collections
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../beds'))
# pylint: disable=wrong-import-position
import beds  # noqa: E402
import xen as xen_tools  # noqa: E402

ROOT = os.path.join(HERE, '../..')
ICOUNT = ['-icount', 'shift=0,sleep=off', '-seed', '1', '-rtc',
          'base=2026-01-01T00:00:00,clock=vm']
SWAP = re.compile(r'swap with \d+ vCPUs: (\d+) there, (\d+) back')
GAPS = re.compile(r'gap of \d+ vCPUs: (\d+) ticks without, (\d+) with (\d+) swaps; a slice is (\d+)')
SWAPS = re.compile(r'swaps: (\d+) ticks in the mean, (\d+) at most')
YIELDS = re.compile(r'yield, two switches: built-in (\d+), rr (\d+), (\d+) more per call')
SWITCH_GAP = re.compile(r'the longest gap is (\d+) ticks, all are (\d+)')
BENCH = re.compile(r'bench (\w+) (\d+) (\d+)')
NOISE = re.compile(r'noise (\w+) (\d+) (\d+) (\d+)$')
STEP = re.compile(r'\(margay\) boot: (.+) at (\d+) ticks')
OWN = re.compile(r"\(margay\) memory: .* Margay's own (\d+) KiB")
HOST_OWN = re.compile(r'host_memory own (\d+) KiB')
WORK = re.compile(r'work (\w+) (\d+)')
# Features of both a bare machine and a guest, so that a kernel does the same on both.
SAME_CPU = beds.STOCK_CPU + ',-rdtscp,-monitor,-smap,-xsave'
SAME_KERNEL = 'rdinit=/bin/work norandmaps nokaslr mitigations=off quiet'
EXITS = re.compile(r'\(margay\) (\S+): exit (\S+) (\d+)$')
TIME = re.compile(r'\(margay\) \S+: time (guest|margay) (\d+)\.(\d{9}) s$')
HYPERCALLS = re.compile(r'\(margay\) \S+: hypercall (\S+) \S+ (\d+)$')


class PerfError(Exception):
    """A run did not print a figure; the text says which, and where its log is."""


class Lines(beds.Watcher):
    """Collects all lines. A line that matches `end` ends the run, for machines that do not power off."""
    def __init__(self, end=None):
        self.text, self.end, self.over = [], end and re.compile(end), None

    def line(self, text, now):
        self.text.append(text)
        if self.end and self.end.search(text):
            self.over = now

    def deadline(self, now):
        return self.over

    def find(self, expression):
        return [match for match in map(expression.search, self.text) if match]


def guest(name):
    return os.path.join(beds.OUT, 'guests', name)


def finish(lines, ended, log, sign):
    """Return the lines of a run, in which `sign` must have come."""
    if ended.how == 'limit' or not lines.find(re.compile(sign)):
        raise PerfError(f'no line {sign} in {log}')
    return lines


def image_of(name, modules, options='', margay='margay'):
    """A CD that starts Margay with (file, arguments) modules, and where the log of its run goes."""
    directory = os.path.join(beds.OUT, 'perf')
    os.makedirs(directory, exist_ok=True)
    image, log = (os.path.join(directory, name + ext) for ext in ('.iso', '.log'))
    command = [os.path.join(ROOT, 'scripts/mkimage'), '-o', image, '--cache',
               os.path.join(beds.CACHE, 'grub'), '--options', f'when_empty=poweroff {options}']
    for file, args in modules:
        command += ['-m', f'{file}={args}']
    done = subprocess.run([*command, os.path.join(beds.OUT, margay)], capture_output=True,
                          text=True, check=False)
    if done.returncode:
        raise PerfError(done.stderr.strip())
    return image, log


def on_margay(name, modules, sign, options='', cpus=1, mem=1024, limit=200, extra=(), end=None):
    """Boot Margay by GRUB with (file, arguments) modules. Idle CPUs do not scrub, and the screen is not a
    console: the clock of several CPUs would count that, too."""
    # pylint: disable=too-many-arguments
    image, log = image_of(name, modules, f'noidlescrub console=com1 {options}')
    lines = Lines(end)
    machine = beds.Machine(image, cpus=cpus, mem=mem, extra=[*ICOUNT, *extra])
    machine.cpu = beds.STOCK_CPU        # with Linux's faster way to allocate memory
    ended = beds.run_qemu(machine, lines, log, limit)
    os.remove(image)
    return finish(lines, ended, log, sign)


def on_xen(name, elf, sign, vcpus=1, cpus=1, mem=1024, limit=600, args='', extra=(), guest_mem=64):
    """Boot elf as the initial domain of Xen."""
    # pylint: disable=too-many-arguments
    log = os.path.join(beds.OUT, 'perf', name + '.log')
    os.makedirs(os.path.dirname(log), exist_ok=True)
    machine = beds.Machine(elf, cpus=cpus, mem=mem, extra=[*ICOUNT, *extra])
    machine.oracle_vcpus = vcpus
    machine.oracle_mem = guest_mem
    machine.oracle_args = args
    lines = Lines(end=sign)
    return finish(lines, beds.run_oracle(machine, lines, log, limit), log, sign)


def bench_of(lines):
    """Return {name: {min, mean}} of the bench guest's lines, in their order."""
    return {m[1]: {'min': int(m[2]), 'mean': int(m[3])} for m in lines.find(BENCH)}


def noise_of(lines):
    """Return the same of the guest noise; and as noise_alone the number and the sum of the gaps in a loop that nothing
    should disturb.
    """
    alone = next(m for m in lines.find(NOISE) if m[1] == 'alone')
    return {**bench_of(lines), 'noise_alone': {'min': int(alone[2]), 'mean': int(alone[3])}}


# A guest, its vCPUs and the machine's CPUs, its command line.
BENCHES = (('bench', 2, 2, ''), ('noise', 1, 1, ''), ('bench_exits', 1, 1, ''),
           ('bench_memory', 1, 1, ''), ('bench_pair', 2, 1, ''), ('bench_pair', 2, 2, 'other=1'))


def costs_of(name, lines):
    return noise_of(lines) if name == 'noise' else bench_of(lines)


def pair_of_domains(cpus, arg):
    """Return two guests that send each other events. The first has the lower number."""
    elf = guest('bench_domains')
    return on_margay(f'bench_domains-{cpus}', [
        (elf, f'guest name=bench_domains mem=32M pin=0 -- peer=2 {arg}'),
        (elf, f'guest name=pong mem=32M pin={cpus - 1} -- peer=1 {arg}')],
                     'PASS bench_domains', cpus=cpus)


def timed_net(name, row, empty):
    """Return the cost of one operation of that row on Xen without its decoder: the plugin's count between the marks,
    less its count between marks with only the readings of the TSC, which are two exits there.
    """
    intervals, instructions, inside, calls = row[:4]
    share = intervals / empty[0]
    left = instructions - inside - share * (empty[1] - empty[2])
    if name == 'yield_two':
        # The other vCPU also yields in an interval, but not always as often. Each yield is one
        # exit.
        return left / (calls - share * empty[3])
    # There and back. The time and the count include the instructions of all CPUs.
    return left / intervals / (2 if name.startswith(('ipi_', 'event_')) else 1)


def noise_nets(rows, gaps, costs):
    """Return the same for two rows of the guest noise: a loop that reads the TSC, which on this emulator exits,
    undisturbed and with a timer. In the undisturbed loop each turn is one call of the decoder.
    """
    alone, timer = rows
    turn, each = alone[1] / alone[3], alone[2] / alone[3]
    # The time outside of gaps consists of iterations without one.
    within = timer[2] - (timer[1] - int(gaps[3])) / turn * each
    # The handler reads the clock, which is an exit. The timer may expire at any point of an
    # iteration, which includes the decoder: the difference of mean and least is the wait for the
    # end of that.
    late = costs['timer_late']
    before = each + (late['mean'] - late['min']) * each / turn
    return {'noise_alone': costs['noise_alone']['mean'],    # none: else an iteration would not be one call
            'timer_tick': costs['timer_tick']['mean'] - within / int(gaps[2]),
            'timer_late': late['mean'] - before}


def nets_of(costs, rows, lines):
    """Return {name: its mean without Xen's decoder}. The plugin's rows are in the order of the figures. The readings
    of the TSC come first, after the empty operation of the guest bench; the guest marks one execution of each
    operation alone, between the readings.
    """
    if not all(row[0] for row in rows):
        raise ValueError('a row without marks')
    if 'noise_alone' in costs:
        return noise_nets(rows, next(m for m in lines.find(NOISE) if m[1] == 'timer'), costs)
    alone = 'null_hypercall' in costs
    nets = {}
    for name, row in zip(costs, rows[1 + alone:], strict=True):
        if alone and name != 'cross_vcpu_wake':
            nets[name] = costs[name]['mean'] - (row[2] - rows[0][2])
        else:
            nets[name] = timed_net(name, row, rows[alone])
    return nets


def bench_on_xen(name, vcpus, cpus, arg):
    counts = os.path.join(beds.OUT, 'perf', f'{name}-{cpus}-xen.counts')
    lines = on_xen(f'{name}-{cpus}-xen', guest(name), f'PASS {name}', vcpus, cpus, args=arg,
                   extra=xen_tools.counting(counts, **xen_tools.decoding()))
    costs, rows = costs_of(name, lines), xen_tools.rows_of(counts)
    try:
        nets = nets_of(costs, rows, lines)
    except (ValueError, IndexError, ZeroDivisionError):
        raise PerfError(f'{len(costs)} figures, but other marks in {counts}') from None
    return {row: {**cost, 'net': max(0, round(nets[row]))} for row, cost in costs.items()}


def bench(xen=True):
    """Run the bench guests on Margay and on Xen. Xen starts one domain only, so it has no row of two."""
    result = {'margay': {}}
    for name, vcpus, cpus, arg in BENCHES:
        lines = on_margay(f'{name}-{cpus}', [
            (guest(name), f'guest name={name} vcpus={vcpus} mem=64M -- {arg}')], f'PASS {name}',
                          cpus=cpus)
        result['margay'].update(costs_of(name, lines))
    for cpus, arg in ((1, ''), (2, 'other=1')):
        result['margay'].update(bench_of(pair_of_domains(cpus, arg)))
    if xen:
        result['xen'] = {}
        for name, vcpus, cpus, arg in (b for b in BENCHES if b[0] != 'bench_exits'):
            result['xen'].update(bench_on_xen(name, vcpus, cpus, arg))
    return result


def traced_accesses(text, names):
    """Return {name: [VMREADs, VMWRITEs]} of Bochs's trace. The bench guest marks the start and the end of one
    execution of each operation by a magic breakpoint; the first is the empty one.
    """
    parts = re.split(r'Magic breakpoint', text)[1::2][1:]
    return {name: [len(re.findall(rf': {insn} ', part)) for insn in ('vmread', 'vmwrite')]
            for name, part in zip(names, parts)}


def vtx_image(name, vcpus, arg):
    return image_of(name + '-vtx', [(guest(name), f'guest name={name} vcpus={vcpus} mem=64M -- {arg}')])


def vtx_costs(name, image, cpus, log):
    machine, lines = beds.Machine(image, cpus=cpus), Lines()
    return bench_of(finish(lines, beds.run('broadwell', machine, lines, log, 300), log,
                           f'PASS {name}'))


def vtx():
    """Run the bench guests on Margay with VT-x, under Bochs, whose TSC counts instructions in steps of 5 with two
    CPUs; and trace one execution of each operation of the guest bench.
    """
    others = {}
    for name, vcpus, cpus, arg in BENCHES[2:]:
        image, log = vtx_image(name, vcpus, arg)
        others.update(vtx_costs(name, image, cpus, log))
        os.remove(image)
    image, log = vtx_image('bench', 2, '')
    costs = vtx_costs('bench', image, 2, log)
    marked = [name for name in costs if name != 'cross_vcpu_wake']
    machine = beds.Machine(image, cpus=1)
    machine.bochs = {'MAGIC': 1}
    machine.commands = 'c\ntrace on\nc\ntrace off\n' * (len(marked) + 1) + 'q\n'
    trace = log.replace('bench', 'trace')
    beds.run('broadwell', machine, Lines(), trace, 300)
    os.remove(image)
    with open(trace + '.console', encoding='utf-8', errors='replace') as file:
        accesses = traced_accesses(file.read(), marked)
    if not accesses or not any(accesses['null_hypercall']):
        raise PerfError(f'no VMREAD in {trace}.console')
    return {name: {**cost, 'accesses': accesses.get(name)}
            for name, cost in {**costs, **others}.items()}


def switch():
    """Measure what it costs to give a guest of 4 vCPUs CPUs of its own, or to take them back: on Bochs with VT-x,
    whose CPUs run side by side. A tick is an instruction of each of them. What the guest's CPUs execute for it
    are its gaps.
    """
    rounds = 50
    image, log = image_of('switch-vtx', [
        (guest('switch_gap'), 'guest name=switch_gap vcpus=4 mem=32M dedicated=0-3 -- ms=400'),
        (guest('dedicated_switch'), f'guest name=dedicated_switch mem=32M control -- cpus=15 rounds={rounds} last=1')],
                          'housekeeping=4')
    lines = Lines()
    finish(lines, beds.run('broadwell', beds.Machine(image, cpus=5), lines, log, 300), log, 'PASS switch_gap')
    os.remove(image)
    if not lines.find(re.compile('PASS dedicated_switch')):
        raise PerfError(f'no {rounds} switches in {log}')
    caller, gap = bench_of(lines)['switch']['mean'], lines.find(SWITCH_GAP)[0]
    others = int(gap[2]) // (2 * rounds)
    return {'the caller': caller, 'the four CPUs': others, 'in all': caller + others, 'longest gap': int(gap[1])}


def boot_on_xen(cpus):
    """Count the instructions of all CPUs from Xen's entry to its first VMRUN."""
    counts = os.path.join(beds.OUT, 'perf', f'boot-{cpus}-xen.counts')
    on_xen(f'boot-{cpus}-xen', guest('hello'), 'PASS hello', cpus=cpus,
           extra=xen_tools.counting(counts, **xen_tools.entering()))
    return xen_tools.counted(counts, 'vmrun')


def boot(xen=True):
    """Count the instructions from Margay's entry to each step of its boot, for one and two CPUs; and from Xen's to its
    first guest.
    """
    result = {'xen': {f'{cpus} CPU' + 's' * (cpus > 1): boot_on_xen(cpus) for cpus in (1, 2)}} if xen else {}
    for cpus in (1, 2):
        lines = on_margay(f'boot-{cpus}', [(guest('hello'), 'guest name=hello mem=64M')],
                          'PASS hello', 'perf_boot', cpus=cpus)
        result[f'{cpus} CPU' + 's' * (cpus > 1)] = {m[1]: int(m[2]) for m in lines.find(STEP)}
    return result


def swap_gap(vcpus):
    """Return the longest gap that a guest on 4 CPUs sees, without and with swaps, and the cost of a swap."""
    modules = [(os.path.join(beds.OUT, f'modules/{name}.mod'), 'policy select=none')
               for name in ('rr', 'credit', 'gang', 'edf')]
    lines = on_margay(f'swap_gap_{vcpus}', [
        (guest('swap_gap'), f'guest name=swap_gap vcpus={vcpus} mem=32M control -- cpus=4 together=1'), *modules],
        'PASS swap_gap', 'loglevel=warn', cpus=4)
    gaps, swaps = lines.find(GAPS)[0], lines.find(SWAPS)[0]
    return {f'longest gap, {vcpus} vCPUs on 4 CPUs': int(gaps[1]),
            f'... with {gaps[3]} swaps, {vcpus} vCPUs': int(gaps[2]),
            f'a swap on 4 CPUs, {vcpus} vCPUs': int(swaps[1]), f'... at most, {vcpus} vCPUs': int(swaps[2])}


def policy():
    """Measure the cost of decisions by a module: the guest policy_cost, with 1 CPU and 2 vCPUs. swap_gap measures what
    guests see of swaps.
    """
    lines = on_margay('policy', [
        (guest('policy_cost'), 'guest name=policy_cost vcpus=2 mem=32M control -- cpus=1'),
        (os.path.join(beds.OUT, 'modules/rr.mod'), 'policy select=none')], 'PASS policy_cost', 'loglevel=warn')
    swap, yields = lines.find(SWAP), lines.find(YIELDS)
    return {'swap to rr': int(swap[0][1]), 'swap back': int(swap[0][2]),
            'two switches, built-in': int(yields[0][1]), 'two switches, rr': int(yields[0][2]),
            'more per call': int(yields[0][3]), **swap_gap(4), **swap_gap(8)}


def memory_of_xen(vcpus, mem):
    """Return the memory of Xen on a machine of 2 CPUs and 2 GiB: RAM less the free memory and that of its only domain.
    """
    lines = on_xen('memory-xen', guest('host_memory'), 'PASS host_memory', vcpus, cpus=2, mem=2048,
                   guest_mem=mem)
    return int(lines.find(HOST_OWN)[0][1])


def memory(xen=True):
    """Return Margay's own memory in KiB on a machine of 2 CPUs and 2 GiB, without and with guests; and Xen's."""
    result = {'xen': {}} if xen else {}
    for name, vcpus, mem in (('hello, 1 vCPU, 64 MiB', 1, 64), ('hello, 2 vCPUs, 1 GiB', 2, 1024)):
        lines = on_margay('memory', [(guest('hello'), f'guest name=hello vcpus={vcpus} mem={mem}M')],
                          'PASS hello', 'perf_boot', cpus=2, mem=2048)
        own = [int(m[1]) for m in lines.find(OWN)]
        if len(own) != 2:
            raise PerfError(f'Margay printed its memory {len(own)} times, not twice')
        result['no guest'], result[name] = own
        if xen:
            result['xen'][name] = memory_of_xen(vcpus, mem)
    return result


def linux_run(name, vcpus, cmdline, sign):
    """Count the exits and hypercalls of a stock kernel from its entry to its power-off."""
    args = f'guest name=linux vcpus={vcpus} mem=256M -- console=hvc0 {cmdline}'
    lines = on_margay(name, [(guest('linux-cloud'), args),
                             (guest('initramfs.gz'), 'initrd for=linux')],
                      sign, 'loglevel=debug', cpus=vcpus)
    ns = {m[1]: int(m[2] + m[3]) for m in lines.find(TIME)}
    hypercalls = collections.Counter()
    for m in lines.find(HYPERCALLS):
        hypercalls[m[1]] += int(m[2])
    return {'exits': {m[2]: int(m[3]) for m in lines.find(EXITS)}, 'hypercalls': dict(hypercalls),
            'ns': {'guest': ns['guest'], 'Margay': ns['margay']}}


def asleep_on_margay(cmdline):
    lines = on_margay('linux-asleep', [(guest('linux-generic'),
                                        f'guest name=linux vcpus=1 mem=512M -- console=hvc0 {cmdline}'),
                                       (guest('initramfs.gz'), 'initrd for=linux')],
                      'guest linux ended: power-off', 'loglevel=debug', extra=['-cpu', SAME_CPU])
    return next(int(m[3]) for m in lines.find(EXITS) if m[2] == 'total')


def asleep_on_xen(cmdline):
    """Count Xen's returns to the kernel, which is paravirtual there: after a hypercall, system call, fault or
    interrupt. It has no exits as hardware-virtualized guests do.
    """
    counts = os.path.join(beds.OUT, 'perf/linux-asleep-xen.counts')
    linux_on_xen('linux-asleep-xen', guest('initramfs.gz'), cmdline, 'Entering ACPI S5',
                 extra=xen_tools.counting(counts, **xen_tools.returning()))
    return xen_tools.counted(counts, 'passes')


def asleep(run):
    """Count the exits of a stock kernel whose first process sleeps for a second and then powers off, and those of a
    second of sleep: the difference to a run that sleeps ten seconds more.
    """
    short, long = (run(f'quiet rdinit=/bin/busybox -- poweroff -f -d {seconds}') for seconds in (1, 11))
    return {'from entry to power-off, a second asleep': short, 'a second asleep': (long - short) / 10}


def linux(xen=True):
    """Measure a boot whose first process powers off at once, with all kernel messages on the console; the same with
    `quiet`; one that runs the test `boot`, with its shell and some twenty processes; and one with 1 vCPU of the kernel
    that runs on Xen too.
    """
    result = {'asleep': {'margay': asleep(asleep_on_margay)}}
    if xen:
        result['asleep']['xen'] = asleep(asleep_on_xen)
    for vcpus in (1, 2):
        name = f'{vcpus} vCPU' + 's' * (vcpus > 1)
        for what, cmdline, sign in (
                ('', 'rdinit=/bin/busybox -- poweroff -f', 'guest linux ended: power-off'),
                (', quiet', 'quiet rdinit=/bin/busybox -- poweroff -f',
                 'guest linux ended: power-off'),
                (', test', f'margay.test=boot margay.cpus={vcpus}', 'PASS boot')):
            try:
                result[name + what] = linux_run(f'linux-{vcpus}{what[2:]}', vcpus, cmdline, sign)
            except PerfError as error:
                if vcpus == 1:
                    raise
                # As on the bare machine: see native().
                print(f'perf: {name}{what}: {error}: has the emulator not run the second CPU?', file=sys.stderr)
    return result


def on_bare_machine(name, kernel, initrd, cmdline, sign, limit=200, extra=()):
    """Boot a kernel on the emulator itself. QEMU starts an ELF with Xen's PVH note."""
    log = os.path.join(beds.OUT, 'perf', name + '.log')
    os.makedirs(os.path.dirname(log), exist_ok=True)
    machine = beds.Machine(None, cpus=1, mem=512, extra=[*ICOUNT, *extra])
    command = [*beds.qemu_base(machine, cpu=SAME_CPU), '-nic', 'none', '-kernel', kernel, '-initrd',
               initrd, '-append', f'console=ttyS0 {cmdline}', '-serial', 'stdio']
    lines = Lines()
    return finish(lines, beds.run_piped(command, lines, log, limit), log, sign)


def linux_on_xen(name, initrd, cmdline, sign, end=None, cpus=1, limit=400, extra=()):
    """Run Debian's kernel as Xen's initial domain, of 512 MiB. It is paravirtual: as PVH, as on Margay, that kernel
    does not start there.
    """
    # pylint: disable=too-many-arguments
    log, xen, kernel = (os.path.join(beds.OUT, path) for path in (
        f'perf/{name}.log', 'cache/xen/xen', 'cache/generic/vmlinuz'))
    for path in (xen, kernel):
        if not os.path.exists(path):
            raise PerfError(f'no {path} (run scripts/setup check)')
    machine = beds.Machine(None, cpus=cpus, mem=1536, extra=[*ICOUNT, *extra])
    command = [*beds.qemu_base(machine, cpu=SAME_CPU), '-nic', 'none', '-kernel', xen, '-append',
               f'com1=115200,8n1 console=com1 noreboot dom0_max_vcpus={cpus} dom0_mem=512M', '-initrd',
               f'{kernel} console=hvc0 {cmdline},{initrd}', '-serial', 'stdio']
    lines = Lines(end=end)
    return finish(lines, beds.run_piped(command, lines, log, limit), log, sign)


def linux_on_kvm(name, sign, limit=600):
    """Run the same kernel with the same work as a guest of KVM, inside that kernel again, which has all of this in its
    initramfs (mkkvm).
    """
    log = os.path.join(beds.OUT, 'perf', name + '.log')
    machine = beds.Machine(None, cpus=1, mem=1536, extra=ICOUNT)
    cmdline = ('console=ttyS0 norandmaps nokaslr mitigations=off quiet -- '
               f'console=ttyS0 {SAME_KERNEL}')
    command = [*beds.qemu_base(machine, cpu=SAME_CPU), '-nic', 'none', '-kernel', guest('linux-generic'),
               '-initrd', guest('initramfs-kvm.cpio'), '-append', cmdline, '-serial', 'stdio']
    lines = Lines(end=sign)
    return finish(lines, beds.run_piped(command, lines, log, limit), log, sign)


def work_of(lines):
    return {m[1]: int(m[2]) for m in lines.find(WORK)}


def work_on_margay(cpus, cmdline, dedicated=False):
    """Run the same work on Margay. All have the same features: QEMU takes the last -cpu. A guest with CPUs of its own
    leaves another one to Margay.
    """
    words = f' dedicated=0-{cpus - 1} trusted' if dedicated else ''
    return work_of(on_margay(f'work-{cpus}-margay' + '-dedicated' * dedicated, [
        (guest('linux-generic'), f'guest name=linux vcpus={cpus} mem=512M{words} -- console=hvc0 {cmdline}'),
        (guest('initramfs-work.gz'), 'initrd for=linux')], 'PASS work', f'housekeeping={cpus}' if dedicated else '',
                             cpus=cpus + dedicated, end='PASS work' if dedicated else None,
                             extra=['-cpu', SAME_CPU]))


def work_on_xen(cpus, cmdline):
    return work_of(linux_on_xen(f'work-{cpus}-xen', guest('initramfs-work.gz'), cmdline, 'PASS work',
                                end='PASS work', cpus=cpus))


def native(with_others=False):
    """Run the same work in the same stock kernel on the bare machine, on Margay, on Xen and on KVM, with one CPU each;
    and on Margay and Xen the work that needs two CPUs. The bare kernel does not bring up a second CPU under -icount:
    QEMU continues with the CPU that a timer has interrupted, and the first one waits for the other without PAUSE or
    HLT.
    """
    initrd, kernel = guest('initramfs-work.gz'), guest('linux-generic')
    two = SAME_KERNEL + ' lpj=4000000 -- two'   # the second CPU would measure it in a loop, too
    own = 'tsc=reliable ' + SAME_KERNEL
    result = {'native': work_of(on_bare_machine('work-native', kernel, initrd, SAME_KERNEL, 'PASS work')),
              'margay': {**work_on_margay(1, SAME_KERNEL), **work_on_margay(2, two)},
              'dedicated': {**work_on_margay(1, own, True), **work_on_margay(2, 'tsc=reliable ' + two, True)}}
    if with_others:
        result['xen'] = {**work_on_xen(1, SAME_KERNEL), **work_on_xen(2, two)}
        result['kvm'] = work_of(linux_on_kvm('work-kvm', 'PASS work'))
    return result


# In the order of the rows that count.c writes.
IO_ROW = re.compile(r'\bio (?!memory)(\w+) (\d+)$')
IO_LONGEST = re.compile(r'\bio longest (\w+) (\d+)$')
IO_MEMORY = re.compile(r'\bio memory (\d+)$')
IO_CMDLINE = 'console=hvc0 quiet nokaslr margay.test=io'
# As for the bed xendom0.
IO_CPU = beds.TCG_CPU + ',-monitor,-smap,-rdtscp'
MARGAY_RANGE = '0xffffffff80000000:0xffffffff81000000'
IDLE = 'idle_guest', 'idle_control'


def io_rows(lines, path):
    """Return {name: {all, hypervisor, decoder}}, the instructions of one operation: of all parties, the hypervisor's,
    and those of its decoder; of an idle guest for each second.
    """
    rows, names = xen_tools.rows_of(path), [(m[1], int(m[2])) for m in lines.find(IO_ROW)]
    if len(rows) != len(names):
        raise PerfError(f'{len(rows)} rows in {path} for {len(names)} names')
    result = {name: dict(zip(('all', 'hypervisor', 'decoder'), (round(row[i] / times) for i in (1, 4, 2))))
              for (name, times), row in zip(names, rows)}
    with_guest, alone = map(result.pop, IDLE)
    result['idle'] = {key: with_guest[key] - alone[key] for key in alone}
    result['memory'] = {'kib': int(lines.find(IO_MEMORY)[0][1])}
    result['longest'] = {m[1]: int(m[2]) for m in lines.find(IO_LONGEST)}
    return result


def control_on_margay():
    counts = os.path.join(beds.OUT, 'perf/control.counts')
    image, log = image_of('control', [
        (guest('linux-generic'), f'guest name=control vcpus=1 mem=768M initial -- {IO_CMDLINE}'),
        (guest('initramfs-io.gz'), 'initrd for=control')], 'console=com1')
    lines = Lines()
    machine = beds.Machine(image, cpus=1, mem=4096, extra=[*ICOUNT, *xen_tools.counting(counts, range=MARGAY_RANGE)])
    machine.cpu = IO_CPU
    ended = beds.run_qemu(machine, lines, log, 1500)
    os.remove(image)
    return io_rows(finish(lines, ended, log, 'PASS io'), counts)


def control_on_xen():
    counts, log = (os.path.join(beds.OUT, f'perf/control-xen.{name}') for name in ('counts', 'log'))
    os.makedirs(os.path.dirname(log), exist_ok=True)
    machine = beds.Machine(None, cpus=1, mem=4096, extra=[
        *ICOUNT, *xen_tools.counting(counts, range=xen_tools.RANGE, **xen_tools.decoding())])
    machine.oracle_args, machine.oracle_mem = IO_CMDLINE, 768
    machine.oracle_initrd = guest('initramfs-io.gz')
    lines = Lines(end='^(PASS|FAIL) io')
    ended = beds.run_oracle(machine, lines, log, 3000, kernel='generic/vmlinuz')
    return io_rows(finish(lines, ended, log, 'PASS io'), counts)


def control(xen=True):
    """Count what a control domain and its guests let the hypervisor do: test/beds/control/tests/io. A control domain of
    Xen is paravirtual.
    """
    return {'margay': control_on_margay(), **({'xen': control_on_xen()} if xen else {})}


# A disk that needs no time, and two network cards on one wire.
DEVICES = ['-device', 'nvme,drive=n0,serial=margay,addr=5', '-drive', 'if=none,id=n0,file.driver=null-co,file.size=1G',
           '-netdev', 'hubport,id=h0,hubid=0', '-device', 'e1000e,netdev=h0,addr=6',
           '-netdev', 'hubport,id=h1,hubid=0', '-device', 'e1000e,netdev=h1,addr=7']
IOMMUS = {'VT-d': 'intel-iommu,intremap=on,aw-bits=48', 'AMD-Vi': 'amd-iommu,intremap=on'}
DEVICES_CMDLINE = 'norandmaps nokaslr mitigations=off quiet tsc=reliable margay.test=io margay.devices=1'


def device_rows(lines, path):
    """Return {name: {all, hypervisor, exits, inside}} of one operation: exits with a decimal, inside of one call. A row
    with an interval for each operation also has their median.
    """
    rows, names = xen_tools.rows_of(path), [(m[1], int(m[2])) for m in lines.find(IO_ROW)]
    if len(rows) != len(names):
        raise PerfError(f'{len(rows)} rows in {path} for {len(names)} names')
    return {name: {'all': round(row[1] / times), 'hypervisor': round(row[4] / times), 'exits': round(row[5] / times, 2),
                   'inside': round(row[2] / max(1, row[3])), **({'median': row[6]} if row[0] > 1 else {})}
            for (name, times), row in zip(names, rows)}


def places(what):
    """Return the addresses in Margay of the lines of its disassembly that match."""
    text = subprocess.run(['objdump', '-d', '--no-show-raw-insn', os.path.join(beds.OUT, 'margay')],
                          capture_output=True, text=True, check=True).stdout
    found = re.findall(rf'^([0-9a-f]+):?\s+{what}', text, re.M)
    if not found:
        raise PerfError(f'Margay has no {what}')
    return [f'0x{address}' for address in found]


def devices_on_margay(iommu, dedicated):
    """Run the work in a guest. Margay's part from an interrupt to the guest's entry is what the plugin counts inside. A
    guest with a CPU of its own leaves another one to Margay, and powers off without an exit.
    """
    name = f'devices-{iommu}' + '-dedicated' * dedicated
    counts = os.path.join(beds.OUT, f'perf/{name}.counts')
    inside = ':'.join(places('<trap_common>:') + places('vmrun'))
    args = 'guest name=linux vcpus=1 mem=512M pci=0000:00:05.0,0000:00:06.0,0000:00:07.0'
    lines = on_margay(name, [
        (guest('linux-generic'), f"{args}{' dedicated=0 trusted' * dedicated} -- console=hvc0 {DEVICES_CMDLINE}"),
        (guest('initramfs-io-device.gz'), 'initrd for=linux')], 'PASS io', 'housekeeping=1' if dedicated else '',
                      cpus=1 + dedicated, limit=600, end='(PASS|FAIL) io', extra=[
                          '-cpu', SAME_CPU, '-device', IOMMUS[iommu], *DEVICES,
                          *xen_tools.counting(counts, range=MARGAY_RANGE, inside=inside)])
    return device_rows(lines, counts)


def page_costs(iommu):
    """Return the costs of page operations for a guest that has the machine's devices."""
    extra = ['-device', IOMMUS[iommu]] if iommu else []
    lines = on_margay(f'pages-{iommu}', [(guest('bench_memory'), 'guest name=bench_memory mem=64M initial')],
                      'PASS bench_memory', extra=extra)
    return {name: cost['mean'] for name, cost in bench_of(lines).items()}


def devices():
    """Count what a guest's own devices cost: test/beds/initramfs/tests/io on the bare machine, and with each IOMMU in a
    guest with a shared CPU and in one with a CPU of its own; and page operations with and without IOMMU.
    """
    counts = os.path.join(beds.OUT, 'perf/devices-bare.counts')
    os.makedirs(os.path.dirname(counts), exist_ok=True)
    lines = on_bare_machine('devices-bare', guest('linux-generic'), guest('initramfs-io-device.gz'), DEVICES_CMDLINE,
                            'PASS io', 600, [*DEVICES, *xen_tools.counting(counts)])
    return {'bare': device_rows(lines, counts), **{name: devices_on_margay(name, False) for name in IOMMUS},
            'dedicated': {name: devices_on_margay(name, True) for name in IOMMUS},
            'pages': {name or 'none': page_costs(name) for name in (None, *IOMMUS)}}
