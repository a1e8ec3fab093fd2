#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Boot the image of `make usb` as a tester does, and read the report that it stores.

    test/beds/usb.py [--all] [--jobs N] [--list] [NAME...]

Without --all, only what is quick. NAME is a shell pattern. Logs and reports are left in $O/test/usb.
"""
import argparse
import concurrent.futures
import fnmatch
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import beds  # noqa: E402
import runner  # noqa: E402

ESP = '@@1048576'
DIRECTORY = os.path.join(beds.OUT, 'test', 'usb')
STORED, LOST = 'REPORT STORED', 'NO REPORT IN MEMORY'
LIMIT = 900         # the emulator's own seconds
AFTER = 2.0         # ... from the last message until the run ends
LAST_LINE = '(margay) no guests left: reboot'

# What each report must have: a line for each section. First those that GRUB writes.
GRUB_SECTIONS = {
    'version': r'margay_version=\S', 'firmware': r'firmware=(pc|efi)$',
    'firmware of SMBIOS': r'firmware_vendor=\S',
}
SECTIONS = {
    'CPU': r'\(margay\) CPU: \w+ family 0x\w+ model 0x\w+ stepping \d+ microcode 0x',
    'CPUID': r'\(margay\) CPUID 00000007:0 ', 'used features': r'\(margay\) feature \w+: used',
    'mitigations': r'\(margay\) verw +o', 'memory map': r'\(margay\) memory map: .* RAM',
    'consoles': r'\(margay\) console com1: output, input by ', 'screen': r'\(margay\) screen: \w+, \d+x\d+ at 0x',
    'SPCR': r'\(margay\) SPCR: ', 'DBG2': r'\(margay\) DBG2: ', 'exits': r'\(margay\) hello: exit total \d+',
    'run times': r'\(margay\) hello: time guest \d+\.\d{9} s', 'end': r'\(margay\) no guests left: reboot$',
}


class Case:
    """A machine, and what is special about the run."""
    # pylint: disable=too-many-instance-attributes
    def __init__(self, name, bed='qemu', cpu=beds.TCG_CPU, firmware='bios', quick=False, image=(), says=(),
                 key=None, state=None):
        # pylint: disable=too-many-arguments,too-many-positional-arguments
        self.name, self.bed, self.cpu, self.firmware, self.quick = name, bed, cpu, firmware, quick
        self.image = image      # more arguments of mkusb.py
        self.says = says        # the report has these lines; empty: all passed
        self.key = key          # (REGEX, TEXT): typed once behind a line that matches
        self.state = state      # state.env before the run


ENDLESS = ('--guest', f'{beds.OUT}/guests/shares=guest name=endless mem=32M -- seconds=1000000', '--seconds', '4',
           '--only', 'hello')
FEW = [word for name in ('hello', 'version', 'smp', 'exceptions') for word in ('--only', name)]


def models():
    """QEMU's CPU models with AMD-V; TCG emulates those of their features that it knows."""
    for name in ('EPYC-Rome', 'EPYC-Milan', 'Opteron_G4', 'Opteron_G5', 'Dhyana', 'max'):
        # With the Opterons QEMU 7.2 stands still at the write of CR4.OSXSAVE, under Linux, too.
        cpu = f'{name},+svm,+npt' + (',-xsave' if 'Opteron' in name else '') + beds.NO_CX16
        yield Case(f'few-{name}', cpu=cpu, image=FEW)


BOCHS_BEDS = ('ryzen', 'broadwell', 'ivy', 'skylake')
CASES = [
    Case('few', image=FEW, quick=True),
    Case('few-uefi', image=FEW, firmware='uefi', quick=True),
    *(Case(f'few-{bed}', bed=bed, image=FEW) for bed in BOCHS_BEDS),
    *models(),
    # All that the image has, once for each firmware and vendor.
    Case('bios-EPYC'),
    Case('uefi-max', cpu='max,+svm' + beds.NO_CX16, firmware='uefi'),
    Case('bochs-broadwell', bed='broadwell'),
    # The guest never ends, so one_by_one= ends it, and the next one runs.
    Case('hang', image=ENDLESS, says=(
        r'\(margay\) guest endless ended: watchdog', r'tests_failed= endless$', r'tests_passed= hello $',
        r'\(margay\) no guests left')),
    # A panic ends the run; its text is in the report.
    Case('panic', image=ENDLESS, key=(r'guest endless: domain', '!'), says=(
        r'\(margay\) panic on CPU', r'\(margay\) asked for by a key', r'tests_failed= endless hello$')),
    # Without AMD-V the report says so and describes the machine.
    Case('no-svm', cpu='EPYC,-svm', image=('--only', 'hello'), says=(
        r'\(margay\) report: no hardware virtualization', r'\(margay\) memory map: .* RAM',
        r'\(margay\) no usable hardware virtualization', r'tests_failed= hello$')),
    # The firmware cleared the memory.
    Case('lost', state='running', image=('--only', 'hello')),
]


class Watch(beds.Watcher):
    """Ends the run soon after GRUB has said what became of the report. On Bochs it ends at the reboot: the time of
    Bochs 2.7 stands still after a reset of a machine with several CPUs, and its BIOS gives up the keyboard.
    """
    def __init__(self, case):
        self.key, self.end, self.result, self.text = case.key, None, None, None
        self.words = (STORED, LOST, 'REPORT NOT STORED') if case.bed == 'qemu' else (LAST_LINE,)

    def line(self, text, now):
        if self.key and re.search(self.key[0], text):
            self.text, self.key = self.key[1], None
        for word in self.words:
            if word in text and not self.result:
                self.result, self.end = word, now + AFTER

    def waiting(self, partial, now):
        text, self.text = self.text, None
        return text

    def deadline(self, now):
        return self.end


def tool(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise beds.BedError(f'{command[0]}: {done.stderr.strip()}')
    return done.stdout


def read_report(image):
    """Return the lines of REPORT.TXT, without what save_env adds to them."""
    text = tool('mtype', '-i', image + ESP, '::/REPORT.TXT')
    return [re.sub(r'\\$', '', line) for line in text.rstrip('#\n').split('\n')]


def judge_log(watch, lines, guests):
    """Judge by the serial line alone: return None, or why the run failed."""
    if not watch.result:
        return 'Margay did not reach its last line'
    for name in guests:
        if not any(line.startswith(f'[{name}] PASS ') for line in lines):
            return f'{name} has not passed'
    for name, pattern in SECTIONS.items():
        if not any(re.match(pattern, line) for line in lines):
            return f"the log has no line that matches '{pattern}' ({name})"
    return None


def judge(case, watch, ended, lines, guests):
    """Return None, or why the run failed."""
    if case.state:
        return None if watch.result == LOST else f'GRUB said {watch.result}, not {LOST}'
    if case.bed != 'qemu':
        return judge_log(watch, lines, guests)
    if watch.result != STORED:
        return f'no report stored: GRUB said {watch.result}, the run ended by {ended.how}'
    wanted = list(case.says)
    if not wanted:
        sections = {**GRUB_SECTIONS, **SECTIONS}
        wanted = [*sections.values(), 'tests_failed=$', f'tests_passed= {" ".join(guests)} $']
        names = {text: name for name, text in sections.items()}
    for pattern in wanted:
        if not any(re.match(pattern, line) for line in lines):
            return f"the report has no line that matches '{pattern}'" + (
                '' if case.says else f' ({names.get(pattern, "verdicts")})')
    return None


def run(case):
    image, log = (os.path.join(DIRECTORY, case.name + suffix) for suffix in ('.img', '.log'))
    os.makedirs(DIRECTORY, exist_ok=True)
    runner.remove(image + '.lock')      # of a Bochs that was killed
    command = [os.path.join(runner.ROOT, 'scripts/mkusb.py'), '-o', image,
               *case.image, runner.MARGAY]
    try:
        tool(*command)
        guests = re.search(r'^set guests="(.*)"$', tool('mtype', '-i', image + ESP, '::/boot/grub/grub.cfg'), re.M)[1]
        if case.state:
            set_state(image, case.state)
        machine = beds.Machine(image, 'usb', case.firmware, 2, 1024)
        machine.cpu = case.cpu
        watch = Watch(case)
        ended = beds.run(case.bed, machine, watch, log, LIMIT)
        if case.bed == 'qemu':
            lines = read_report(image)
        else:
            with open(log, encoding='utf-8', errors='replace') as file:
                lines = file.read().split('\n')
    except beds.BedError as error:
        return runner.Outcome(case.name, case.bed, 'FAIL', str(error), log=log)
    finally:
        runner.remove(image)
        runner.remove(image + '.lock')
    with open(os.path.join(DIRECTORY, case.name + '.txt'), 'w', encoding='utf-8') as file:
        file.write('\n'.join(lines) + '\n')
    reason = judge(case, watch, ended, lines, guests.split())
    return runner.Outcome(case.name, case.bed, 'FAIL' if reason else 'ok', reason or '', ended.seconds, log)


def set_state(image, state):
    path = image + '.state'
    with open(path, 'w', encoding='ascii') as file:
        file.write(f'# GRUB Environment Block\nstage={state}\n'.ljust(1024, '#'))
    tool('mcopy', '-o', '-i', image + ESP, path, '::/boot/grub/state.env')
    os.remove(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--all', action='store_true', help='the slow ones too')
    parser.add_argument('--jobs', type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument('--list', action='store_true', help='say what would run')
    parser.add_argument('names', nargs='*', metavar='NAME')
    parser.error = lambda why: parser.exit(2, f'usb: {why}\n')
    args = parser.parse_args()
    os.chdir(runner.ROOT)
    cases = [case for case in CASES if args.all or case.quick]
    if args.names:
        cases = [c for c in CASES if any(fnmatch.fnmatch(c.name, name) for name in args.names)]
    if args.list:
        print('\n'.join(case.name for case in cases))
        return 0
    if not cases:
        print('usb: no such names', file=sys.stderr)
        return 2

    def task(case):
        outcome = run(case)
        outcome.report()
        return outcome
    with concurrent.futures.ThreadPoolExecutor(max_workers=args.jobs) as pool:
        return runner.sum_up(list(pool.map(task, cases)))


if __name__ == '__main__':
    sys.exit(main())
