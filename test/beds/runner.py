# SPDX-License-Identifier: BSD-2-Clause
"""Run (scenario, bed) pairs, several at once, report each and sum up. Used by test/beds/run.py and
test/beds/bootmatrix.py. Logs are left in $O/test/BED/NAME.log.
"""
import concurrent.futures
import difflib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading

import beds
import bochsdbg
import scenarios
from verdict import Verdict

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..'))
MARGAY = os.path.join(beds.OUT, 'margay')    # bootmatrix can boot another one
TAIL = 15
say_lock = threading.Lock()


class Outcome:
    """The result of a scenario on a bed: 'ok', 'FAIL' or 'skip', and the reason."""
    def __init__(self, name, bed, verdict, reason='', seconds=0.0, log=None):
        self.name, self.bed, self.verdict, self.reason = name, bed, verdict, reason
        self.seconds, self.log = seconds, log

    def report(self):
        text = f'{self.verdict:4} {self.bed:9} {self.name} ({self.seconds:.1f} s)'
        if self.reason:
            text += f': {self.reason}'
        lines = self.last_lines()
        if lines:
            text += f'\n     the last lines of {self.log}:\n' + '\n'.join('     | ' + line for line in lines)
        with say_lock:
            print(text, flush=True)

    def last_lines(self):
        """Return the last lines of a failed scenario's log."""
        if self.verdict != 'FAIL' or not self.log or not os.path.exists(self.log):
            return []
        with open(self.log, encoding='utf-8', errors='replace') as file:
            log = beds.ESCAPES.sub('', file.read()).replace('\0', '?')
        return log.rstrip('\n').split('\n')[-TAIL:]


def make_image(scenario, path):
    options = f'when_empty={scenario["when_empty"]} {scenario["options"]}'.strip()
    kind = 'net' if scenario['kind'] == 'ipxe' else scenario['kind']    # which is another way to boot it
    command = [os.path.join(ROOT, 'scripts/mkimage'), '-k', kind, '-o', path,
               '--no-check', '--options', options, '--cache', os.path.join(beds.CACHE, 'grub')]
    for file, args in scenarios.modules(scenario):
        command += ['-m', f'{file}={args}']
    command += [word for line in scenario['grub'] for word in ('--before', line)]
    done = subprocess.run([*command, MARGAY], capture_output=True, text=True, check=False)
    if done.returncode:
        raise beds.BedError(done.stderr.strip())


class Parts:
    """What several machines of a scenario have in common: the path of a disk, and the sockets of both ends of a wire."""
    def __init__(self, disk=None, wire=None):
        self.disk, self.wire = disk, wire

    def devices(self):
        """Return QEMU's arguments for a machine with these."""
        words = []
        if self.disk:
            words += ['-drive', f'if=none,id=disk,format=raw,file={self.disk},file.locking=off',
                      '-device', 'nvme,drive=disk,serial=1,addr=3,share-rw=on']
        if self.wire:
            here, there = self.wire
            words += ['-netdev', f'dgram,id=wire,local.type=unix,local.path={here},remote.type=unix,remote.path={there}',
                      '-device', f'e1000e,netdev=wire,addr=4,mac=52:54:00:00:00:0{here[-1]}']
        return words


def machine_for(scenario, bed, image, parts=Parts()):
    machine = beds.Machine(image, scenario['kind'], scenario['firmware'], scenario['cpus'],
                           scenario['ram'], scenario['qemu'] + parts.devices())
    machine.bochs = scenario['bochs']
    machine.threads = scenario['threads']
    if scenario['debugger']:
        machine.commands = bochsdbg.commands(scenario['debugger'], MARGAY)
    if bed in beds.ON_XEN:
        guest = scenario['guests'][0]
        machine.image = scenarios.guest_file(guest['elf'])
        machine.mem = max(machine.mem, guest['mem'] + 384)
        machine.oracle_args = guest['cmdline']
        machine.oracle_initrd = guest['initrd'] and scenarios.guest_file(guest['initrd'])
        machine.oracle_vcpus = guest['vcpus']
        machine.oracle_mem = guest['mem']
    return machine


def missing_file(scenario, bed):
    files = [path for path, _ in scenarios.modules(scenario)]
    if bed not in beds.ON_XEN:
        files.insert(0, MARGAY)
    return next((path for path in files if not os.path.exists(path)), None)


def remove(path):
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.exists(path):
        os.remove(path)


def debugger_silent(scenario, log):
    """Return None, or the line that Bochs's debugger should have printed and did not."""
    if not scenario['debugger_says']:
        return None
    with open(log + '.console', encoding='utf-8', errors='replace') as file:
        text = file.read()
    return next((f"the debugger said nothing that matches '{pattern}'"
                 for pattern in scenario['debugger_says']
                 if not re.search(pattern, text, re.MULTILINE)), None)


def seen(log):
    """Return the lines of a log that begin with `see`."""
    with open(log, encoding='utf-8', errors='replace') as file:
        return re.findall(r'^(?:\[[^]]*\] )?see (.*?)\s*$', beds.ESCAPES.sub('', file.read()), re.MULTILINE)


def bare_image(kernel, initrd, words, path):
    """Make an ISO with which GRUB boots Linux."""
    with tempfile.TemporaryDirectory() as work:
        os.makedirs(os.path.join(work, 'boot/grub'))
        for file, name in ((kernel, 'linux'), (initrd, 'initrd')):
            shutil.copy(file, os.path.join(work, 'boot', name))
        with open(os.path.join(work, 'boot/grub/grub.cfg'), 'w', encoding='utf-8') as file:
            file.write(f'linux /boot/linux {words}\ninitrd /boot/initrd\nboot\n')
        subprocess.run(['grub-mkrescue', '-d', '/usr/lib/grub/i386-pc', '-o', path, work], capture_output=True, check=True)


def bare_machine(scenario, bed, image):
    """Return the scenario's machine as it boots the first guest's kernel without Margay."""
    guest = scenario['guests'][0]
    kernel = os.path.join(beds.CACHE, guest['elf'].removeprefix('linux-'), 'vmlinuz')
    initrd, words = scenarios.guest_file(guest['initrd']), f'{guest["cmdline"]} console=ttyS0 {scenario["bare"]}'
    if bed == 'qemu':
        machine = machine_for(dict(scenario, kind='linux'), bed, kernel)
        machine.threads = True      # by -icount, the other CPUs of a bare Linux never come up
        machine.oracle_initrd, machine.oracle_args = initrd, words
        return machine
    bare_image(kernel, initrd, words, image)
    return machine_for(scenario, bed, image)


def bare_differs(scenario, bed, log, image):
    """Boot the first guest's kernel without Margay. Return None, or how its lines `see ...` differ from the guest's."""
    if scenario['bare'] is None:
        return None
    bare_log = log.replace('.log', '.bare.log')
    passed = scenarios.PASS.format('', scenario['guests'][0]['test'])
    verdict = Verdict(dict(scenario, expect=[passed], forbid=[], count=[]), bed)
    reason = verdict.judge(beds.run(bed, bare_machine(scenario, bed, image), verdict, bare_log, scenario['timeout']))
    if reason:
        return f'without Margay: {reason}'
    bare = seen(bare_log)
    differ = [line for line in difflib.unified_diff(bare, seen(log), n=0, lineterm='') if not line.startswith('@')]
    return None if bare and not differ else 'it does not see what it sees on the bare machine:\n' + '\n'.join(differ[2:])


def run_with(scenario, key, parts):
    """Run the scenario that another one names as `first` or `peer`. Return the reason if it failed, and its outcome."""
    name, bed = scenario[key]
    outcome = run_again(next(other for other in scenarios.load() if other['name'] == name), bed, parts)
    return outcome.reason and f'{name} on {bed}: {outcome.reason}', outcome


def run_several(scenario, bed, parts):
    """Run a scenario after its first one, and together with its peer."""
    if scenario['first']:
        reason, outcome = run_with(scenario, 'first', parts)
        if reason:
            return Outcome(scenario['name'], bed, 'FAIL', reason, log=outcome.log)
    if not scenario['peer']:
        return run_one(scenario, bed, parts)
    with tempfile.TemporaryDirectory() as work, concurrent.futures.ThreadPoolExecutor(1) as pool:
        ends = [os.path.join(work, end) for end in '12']
        peer = pool.submit(run_with, scenario, 'peer', Parts(parts.disk, ends[::-1]))
        own = run_one(scenario, bed, Parts(parts.disk, ends))
        reason, outcome = peer.result()
    if own.reason and reason:
        own.reason += f'; {reason}'
    elif reason:
        own = Outcome(scenario['name'], bed, 'FAIL', reason, log=outcome.log)
    return own


def run_one(scenario, bed, parts=None):
    """Run a scenario. parts: what it has in common with the one that names it."""
    if not parts and (scenario['disk'] or scenario['first'] or scenario['peer']):
        with tempfile.NamedTemporaryFile(dir=beds.OUT) as file:
            file.truncate((scenario['disk'] or 0) << 20)
            return run_several(scenario, bed, Parts(scenario['disk'] and file.name))
    name = scenario['name']
    directory = os.path.join(beds.OUT, 'test', bed)
    log = os.path.join(directory, name + '.log')
    # A concurrent run of the same scenario has its own image.
    image = os.path.join(directory, f'{name}.{os.getpid()}.{scenario["kind"]}')
    if os.path.exists(log):
        os.remove(log)
    missing = missing_file(scenario, bed)
    if missing:
        return Outcome(name, bed, 'FAIL', f'{missing} is not built')
    try:
        os.makedirs(directory, exist_ok=True)
        if bed not in beds.ON_XEN:
            make_image(scenario, image)
        verdict = Verdict(scenario, bed)
        ended = beds.run(bed, machine_for(scenario, bed, image, parts or Parts()), verdict, log,
                         scenario['timeout'])
        reason = verdict.judge(ended) or debugger_silent(scenario, log) or \
            bare_differs(scenario, bed, log, image)
    except beds.BedError as error:
        return Outcome(name, bed, 'FAIL', str(error), log=log)
    finally:
        remove(image)
    return Outcome(name, bed, 'FAIL' if reason else 'ok', reason or '', ended.seconds, log)


def never_started(bed, log):
    """Return whether Debian's Xen hung on the emulator before its guest ran, which sometimes happens: this is not a
    failure of the guest.
    """
    if bed not in beds.ON_XEN or not log or not os.path.exists(log):
        return False
    with open(log, encoding='utf-8', errors='replace') as file:
        lines = file.read().split('\n')
    said = [line for line in lines if line.strip()]
    verdicts = [line for line in said if 'PASS' in line or 'FAIL' in line]
    return bool(said) and said[-1].startswith('(XEN) ') and not verdicts


def run_again(scenario, bed, parts=None):
    outcome = run_one(scenario, bed, parts)
    if outcome.verdict == 'FAIL' and never_started(bed, outcome.log):
        outcome = run_one(scenario, bed, parts)
    return outcome


def run_all(jobs, chosen):
    """Run (scenario, bed) pairs, the longest first, and return their outcomes."""
    def task(pair):
        outcome = run_again(*pair)
        outcome.report()
        return outcome

    chosen = sorted(chosen, key=lambda pair: -pair[0]['timeout'])
    with concurrent.futures.ThreadPoolExecutor(max_workers=jobs) as pool:
        return list(pool.map(task, chosen))


def table_of(outcomes, left=()):
    """Return one line per scenario and one column per bed, with `long` where only check-long runs it (`left`)."""
    cells = {**{pair: 'long' for pair in left}, **{(o.name, o.bed): o.verdict for o in outcomes}}
    columns = [bed for bed in beds.BEDS if any(pair[1] == bed for pair in cells)]
    names = sorted({name for name, _ in cells})
    width = max([8] + [len(name) for name in names])
    lines = [f'{"":{width}}  ' + ' '.join(f'{bed:9}' for bed in columns).rstrip()]
    for name in names:
        row = ' '.join(f'{cells.get((name, bed), "-"):9}' for bed in columns)
        lines.append(f'{name:{width}}  {row}'.rstrip())
    return '\n'.join(lines)


def totals(outcomes):
    count = {v: sum(o.verdict == v for o in outcomes) for v in ('ok', 'FAIL', 'skip')}
    return f'{count["ok"]} passed, {count["FAIL"]} failed, {count["skip"]} skipped'


def failures(outcomes, words):
    """Return for each failed test a line with the command that runs it alone, then the reason and the end of its log.
    scripts/check.py repeats them.
    """
    here = os.path.relpath(os.path.realpath(sys.argv[0]), ROOT)
    program = here if beds.OUT == 'build' else f'O={shlex.quote(beds.OUT)} {here}'
    lines = []
    for o in outcomes:
        if o.verdict == 'FAIL':
            lines.append(f'FAILED {o.bed} {o.name}; again: {program} {words(o)}')
            lines += ['    | ' + line for line in [o.reason, *o.last_lines()]]
    return lines


def sum_up(outcomes, left=(), words=lambda outcome: outcome.name):
    """Print the table, the failed tests and the totals. words() returns the arguments of the running script for one
    test. Return the exit status.
    """
    failed = failures(outcomes, words)
    print('\n'.join(['', table_of(outcomes, left), '', *failed, totals(outcomes)]))
    return 1 if failed else 0
