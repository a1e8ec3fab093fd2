#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Faults inside Margay and bad tables from firmware, each on a whole machine (QEMU).

    test/beds/faults.py [--jobs N] [--list] [NAME...]

Margay has no code to make its own faults. QEMU starts stopped; gdb, with Margay's symbols, lets it
run up to a function and then changes a register or memory, so that the CPU itself takes the fault.
What Margay makes of it is judged by its serial lines, and a halt by the CPUs' state. The cases are in
fault_cases.py, fault_tables.py, fault_devices.py, fault_boot.py and
fault_console.py. NAME may be a shell pattern. Logs are left in $O/test/faults:
NAME.log the serial line, NAME.gdb what gdb said.
"""
import argparse
import concurrent.futures
import contextlib
import fnmatch
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading

sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import beds  # noqa: E402
import fault_boot  # noqa: E402
import fault_cases  # noqa: E402
import fault_console  # noqa: E402
import fault_devices  # noqa: E402
import fault_tables  # noqa: E402
import gdbkit  # noqa: E402
import runner  # noqa: E402
import scenarios  # noqa: E402
from verdict import Verdict  # noqa: E402

DIRECTORY = os.path.join(beds.OUT, 'test/faults')
CASES = fault_cases.CASES | fault_tables.CASES | fault_devices.CASES | fault_boot.CASES | fault_console.CASES
PROMPT = b'(qemu) '
image_lock = threading.Lock()


def ask_monitor(path, text):
    """Send a command to QEMU's monitor and return the answer."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(100)
        link.connect(path)
        answer = b''
        for line in (b'', text.encode() + b'\n'):
            link.sendall(line)
            answer = b''
            while not answer.endswith(PROMPT):
                data = link.recv(65536)
                if not data:
                    raise OSError('the monitor went away')
                answer += data
        return answer.decode(errors='replace')


class FaultVerdict(Verdict):
    """Checks before the machine ends that all its CPUs are halted, if the case expects it."""
    def __init__(self, scenario, case, monitor):
        super().__init__(scenario, 'qemu')
        self.case, self.monitor, self.looked = case, monitor, False

    def line(self, text, now):
        super().line(text, now)
        if 'panic: the machine' in text and self.end is None:
            self.end = now + 0.5    # a panic that is not the expected one

    def deadline(self, now):
        if (self.case.halts or self.case.screen) and not self.left and self.end and now >= self.end and not self.looked:
            self.looked = True
            self.failure = self.failure or self.look()
        return self.end

    def look(self):
        """Return None if the screen shows what it must, or every CPU waits in HLT with interrupts off."""
        try:
            if self.case.screen:
                return self.case.screen(lambda text: ask_monitor(self.monitor, text))
            text = ask_monitor(self.monitor, 'info registers -a')
        except OSError as error:
            return f'no answer from the monitor: {error}'
        flags = re.findall(r'[RE]FL=([0-9a-f]+)', text)
        halted = re.findall(r'HLT=(\d)', text)
        if len(flags) != self.scenario['cpus'] or len(halted) != len(flags):
            return 'the monitor shows no registers'
        for cpu, (rflags, hlt) in enumerate(zip(flags, halted)):
            if hlt != '1' or int(rflags, 16) & 0x200:
                return f'CPU {cpu} is not halted (HLT {hlt}, RFLAGS {rflags})'
        return None


class Injection(threading.Thread):
    """gdb, which performs the case."""
    def __init__(self, case, stub, log):
        super().__init__()
        self.name, self.module = case.name, case.inject.__module__
        self.stub, self.log = stub, log
        self.process = None
        self.over = threading.Event()

    def run(self):
        beds.wait_for(self.stub, self.over.is_set)
        here = os.path.dirname(os.path.abspath(__file__))
        code = (f"import sys; sys.dont_write_bytecode = True; sys.path.insert(0, '{here}'); "
                f"import {self.module}, gdbkit; "
                f"gdbkit.run({self.module}.CASES['{self.name}'].inject)")
        command = ['gdb', '-nx', '-q', '-batch', '-ex', 'set pagination off',
                   '-ex', 'set confirm off', '-ex', f'target remote {self.stub}',
                   '-ex', 'python ' + code, runner.MARGAY]
        with open(self.log, 'wb') as log, subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True) as self.process:
            self.process.wait()

    def finish(self):
        """End gdb. Return whether the case did all that it has to, however gdb ended: on a busy machine the emulated one
        may end before gdb does.
        """
        self.over.set()
        if self.process and self.process.poll() is None:
            self.process.kill()
        self.join()
        with contextlib.suppress(FileNotFoundError), open(self.log, encoding='utf-8', errors='replace') as log:
            return any(line.rstrip() == gdbkit.DONE for line in log)
        return False


def image_for(scenario):
    """Return one image for all cases that boot alike."""
    key = re.sub(r'\W+', '_', f'{scenario["options"]}-{scenario["modules"]}-{scenario["grub"]}-{scenario["guests"]}')
    path = os.path.join(DIRECTORY, f'{key}.{os.getpid()}.iso')
    with image_lock:
        if not os.path.exists(path):
            runner.make_image(scenario, path)
    return path


def scenario_of(case):
    entry = {'name': case.name, 'options': case.options, 'expect': case.expect,
             'forbid': case.forbid, 'ordered': case.ordered, 'cpus': case.cpus,
             'guests': [{'name': 'hello', 'mem': '32M', 'flags': case.flags, 'pass': False}], 'panics': case.panics,
             'ends': case.ends, 'timeout': case.timeout, 'qemu': case.qemu, 'ram': case.ram,
             'modules': case.modules, 'firmware': case.firmware, 'when_empty': case.when_empty, 'grub': case.grub}
    return scenarios.check(scenarios.fill(entry, scenarios.FIELDS, case.name), case.name)


def boot(case, scenario, log):
    """Return the reason why the case failed, or None, and the time that it took."""
    with tempfile.TemporaryDirectory() as work:
        stub, monitor = os.path.join(work, 'gdb'), os.path.join(work, 'monitor')
        machine = runner.machine_for(scenario, 'qemu', image_for(scenario))
        command = [*beds.qemu_base(machine, cpu=case.cpu or beds.TCG_CPU),
                   *beds.qemu_disk(machine), '-chardev', 'stdio,id=c0,signal=off',
                   '-serial', 'chardev:c0',
                   '-chardev', f'socket,id=m0,path={monitor},server=on,wait=off',
                   '-mon', 'chardev=m0,mode=readline']
        verdict = FaultVerdict(scenario, case, monitor)
        injection, injected = None, True
        if case.gdb:
            command += ['-S', '-chardev', f'socket,id=g0,path={stub},server=on,wait=off',
                        '-gdb', 'chardev:g0']
            injection = Injection(case, stub, log[:-4] + '.gdb')
            injection.start()
        try:
            ended = beds.run_piped(command, verdict, log, scenario['timeout'])
        finally:
            if injection:
                injected = injection.finish()
        reason = verdict.judge(ended)
        if not injected:
            reason = '; '.join(filter(None, [f'gdb failed, see {injection.log}', reason]))
        return reason, ended.seconds


def run_case(case):
    log = os.path.join(DIRECTORY, case.name + '.log')
    try:
        reason, seconds = boot(case, scenario_of(case), log)
    except beds.BedError as error:
        reason, seconds = str(error), 0.0
    outcome = runner.Outcome(case.name, 'qemu', 'FAIL' if reason else 'ok', reason or '', seconds,
                             log)
    outcome.report()
    return outcome


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--jobs', type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument('--list', action='store_true', help='say what would run')
    parser.add_argument('names', nargs='*', metavar='NAME')
    parser.error = lambda why: parser.exit(2, f'faults: {why}\n')
    args = parser.parse_args()
    os.chdir(runner.ROOT)
    for pattern in args.names:
        if not fnmatch.filter(CASES, pattern):
            print(f"faults: no case matches '{pattern}'", file=sys.stderr)
            return 2
    chosen = [case for name, case in CASES.items()
              if not args.names or any(fnmatch.fnmatch(name, p) for p in args.names)]
    if args.list:
        for case in chosen:
            print(f'{case.name:20} {case.what}')
        return 0
    for program in ('gdb', 'qemu-system-x86_64'):
        beds.need(program, program)
    os.makedirs(DIRECTORY, exist_ok=True)
    try:
        with concurrent.futures.ThreadPoolExecutor(max_workers=args.jobs) as pool:
            outcomes = list(pool.map(run_case, chosen))
    finally:
        for name in os.listdir(DIRECTORY):
            if name.endswith(f'.{os.getpid()}.iso'):
                os.remove(os.path.join(DIRECTORY, name))
    return runner.sum_up(outcomes)


if __name__ == '__main__':
    sys.exit(main())
