# SPDX-License-Identifier: BSD-2-Clause
"""Tests of scripts/: check's sums, format's exceptions, mkimage's menus, qemu's look at KVM."""
import importlib.machinery
import importlib.util
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../scripts')


def load(name):
    loader = importlib.machinery.SourceFileLoader(name, os.path.join(SCRIPTS, name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


def read(path):
    with open(os.path.join(SCRIPTS, '..', path), encoding='utf-8') as file:
        return file.read()


class Check(unittest.TestCase):
    def count(self, text, status=0):
        return load('check.py').count(text.split('\n'), status)

    def test_plain_part(self):
        self.assertEqual(self.count('built the book'), (1, 0, 0))
        self.assertEqual(self.count('error: no', 2), (0, 1, 0))

    def test_totals(self):
        self.assertEqual(self.count('x\n3 passed, 0 failed, 1 skipped'), (3, 0, 1))
        self.assertEqual(self.count('3 passed, 2 failed, 0 skipped', 1), (3, 2, 0))
        self.assertEqual(self.count('3 passed, 0 failed, 0 skipped\nmake: error', 2), (3, 1, 0))

    def test_cmocka(self):
        text = ('[==========] Running 3 test(s).\n[       OK ] a\n[  PASSED  ] 2 test(s).\n'
                '[  FAILED  ] tests: 1 test(s), listed below:\n[  FAILED  ] b\n'
                '[  PASSED  ] 4 test(s).')
        self.assertEqual(self.count(text, 1), (6, 1, 0))

    def test_unittest(self):
        self.assertEqual(self.count('Ran 9 tests in 1s\n\nOK (skipped=2)'), (7, 0, 2))
        self.assertEqual(self.count('Ran 9 tests in 1s\n\nFAILED (failures=1, errors=2)', 1),
                         (6, 3, 0))


class Failures(unittest.TestCase):
    """failures(): the failed tests at the end of make check, with the commands that run them again."""
    def failures(self, text):
        return load('check.py').failures('check-x', text.split('\n'), 'make O=b')

    def test_named_by_the_part(self):
        self.assertEqual(self.failures('FAIL qemu      a (2 s)\nFAILED qemu a; again: test/beds/run.py --bed qemu a\n    | why\n'
                                       'FAILED unit test b; again: make x && y\n0 passed, 2 failed, 0 skipped'),
                         [('qemu a', 'test/beds/run.py --bed qemu a', ['    | why']),
                          ('unit test b', 'make x && y', [])])

    def test_unittest(self):
        self.assertEqual(self.failures('FAIL: test_a (test_scripts.Check.test_a)\nERROR: test_a (test_scripts.Check)'),
                         [('test_scripts.Check.test_a', 'python3 -B test/scripts/test_scripts.py Check.test_a', [])] * 2)
        self.assertEqual(self.failures('ERROR: test_a (unittest.loader._FailedTest.test_a)'),
                         [('test_a', 'python3 -B test/scripts/test_a.py', [])])

    def test_whole_part(self):
        self.assertEqual(self.failures('make: error'), [('', 'make O=b check-x', [])])

    def test_summary(self):
        """The failed part is named below the sums, and the totals stay the last line."""
        with tempfile.TemporaryDirectory() as work:
            make = os.path.join(work, 'make')
            with open(make, 'w', encoding='ascii') as file:
                file.write('#!/bin/sh\nfor part; do :; done\n[ $part = good ] || { printf "FAILED t; again: do it\\n    | why\\n"; exit 1; }\n')
            os.chmod(make, 0o755)
            done = subprocess.run([os.path.join(SCRIPTS, 'check.py'), 'good', 'bad'], capture_output=True, text=True,
                                  check=False, env=dict(os.environ, MAKE=make, O=work))
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout.split('\n')[-5:],
                         ['FAILED bad t', '    again: do it', '    | why', '1 passed, 1 failed, 0 skipped', ''])


class Fuzzers(unittest.TestCase):
    def test_each_counts(self):
        """check-fuzz counts its fuzzers, and names those that fail or were not built."""
        with tempfile.TemporaryDirectory() as work:
            os.mkdir(os.path.join(work, 'fuzz'))
            for name, status in (('good', 0), ('bad', 1)):
                path = os.path.join(work, 'fuzz', name)
                with open(path, 'w', encoding='ascii') as file:
                    file.write(f'#!/bin/sh\necho stat::number_of_executed_units: 5\necho cov: 7\nexit {status}\n')
                os.chmod(path, 0o755)
            done = subprocess.run(['test/fuzz/run_all.sh', work, '1', 'good', 'bad', 'none'], capture_output=True,
                                  text=True, check=False, cwd=os.path.join(SCRIPTS, '..'))
        self.assertEqual(done.returncode, 1)
        self.assertIn('\n1 passed, 2 failed, 0 skipped\n', done.stdout)
        self.assertIn('  FUZZ    good: 5 runs, cov: 7\n', done.stdout)
        for name in ('bad', 'none'):
            self.assertIn(f'FAILED fuzzer {name}; again: make O={work} check-fuzz FUZZ_TESTS={name}\n', done.stdout)


class Kvm(unittest.TestCase):
    """no_nested(): why `make run ACCEL=kvm` cannot work on a machine."""
    def why(self, device, **nested):
        """`nested` is the parameter of each module that is loaded."""
        with tempfile.TemporaryDirectory() as root:
            os.makedirs(os.path.join(root, 'dev'))
            if device:
                with open(os.path.join(root, 'dev/kvm'), 'w', encoding='ascii'):
                    pass
            for module, value in nested.items():
                parameters = os.path.join(root, 'sys/module', module, 'parameters')
                os.makedirs(parameters)
                with open(os.path.join(parameters, 'nested'), 'w', encoding='ascii') as file:
                    file.write(value + '\n')
            return load('qemu').no_nested(root)

    def test_machines(self):
        self.assertIn('/dev/kvm', self.why(False, kvm_amd='1'))
        self.assertIn('neither', self.why(True))
        for module in ('kvm_amd', 'kvm_intel'):
            self.assertIn(f'{module} with nested=1', self.why(True, **{module: '0'}))
            self.assertIn(f'{module} with nested=1', self.why(True, **{module: 'N'}))
            self.assertIsNone(self.why(True, **{module: '1'}))
            self.assertIsNone(self.why(True, **{module: 'Y'}))


class Qemu(unittest.TestCase):
    def test_unfit_image(self):
        unfit = load('qemu').unfit
        with tempfile.TemporaryDirectory() as work:
            path = os.path.join(work, 'x')
            self.assertEqual(unfit(path, 'iso'), f'no file {path}')
            with open(path, 'wb') as file:
                file.write(bytes(510) + b'\x55\xaa')
            self.assertIsNone(unfit(path, 'disk'))
            self.assertIn('not an image of kind iso', unfit(path, 'iso'))
            self.assertIn('not an image of kind net', unfit(path, 'net'))
            self.assertIn('is a directory', unfit(work, 'iso'))
            self.assertIn('no file margay.0', unfit(work, 'net'))
            os.rename(path, os.path.join(work, 'margay.0'))
            self.assertIsNone(unfit(work, 'net'))

    def test_no_banner_before_the_error(self):
        done = subprocess.run([os.path.join(SCRIPTS, 'qemu'), '/nope'], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (1, '', 'qemu: no file /nope\n'))

    def start(self, work, *words):
        """Run scripts/qemu, with programs instead of QEMU and gdb that print their arguments."""
        for name in ('qemu-system-x86_64', 'gdb'):
            path = os.path.join(work, name)
            with open(path, 'w', encoding='ascii') as file:
                file.write('#!/bin/sh\necho "$@"\n')
            os.chmod(path, 0o755)
        image = os.path.join(work, 'x')
        with open(image, 'wb') as file:
            file.write(bytes(0x8001) + b'CD001')
        done = subprocess.run([os.path.join(SCRIPTS, 'qemu'), *words, image], capture_output=True, text=True, check=False,
                              env={**os.environ, 'O': work, 'PATH': f'{work}:{os.environ["PATH"]}'})
        return done.returncode, done.stdout, done.stderr

    def test_socket_of_another_machine(self):
        """A second machine does not take the first one's serial line for scripts/send; a socket that is left does not
        count.
        """
        with tempfile.TemporaryDirectory() as work:
            for name, words in (('run', ()), ('debug', ('--debug', 'elf'))):
                path = os.path.join(work, f'{name}.console')
                with socket.socket(socket.AF_UNIX) as other:
                    other.bind(path)
                    other.listen(1)
                    status, out, err = self.start(work, *words)
                    self.assertIn(f'nother machine has {path}:', out + err)
                    self.assertEqual((status, f'path={path}' in out), (1, False) if words else (0, False))
                    self.assertTrue(os.path.exists(path))
            self.assertIn(f'path={os.path.join(work, "run.console")},', self.start(work)[1])

    def test_banner_fits_a_terminal(self):
        text = load('qemu').LEAVE.format(title='q35, 16 CPUs, 16384 MiB, TCG')
        self.assertEqual([line for line in text.split('\n') if len(line) > 80], [])


class Usage(unittest.TestCase):
    """A wrong command line gets a sentence that begins with the program's name, without a summary of its options."""
    PROGRAMS = {path: os.path.basename(path).removesuffix('.py') for path in (
        'scripts/qemu', 'scripts/mkimage', 'scripts/mkusb.py', 'scripts/perf.py', 'scripts/format.py', 'scripts/send',
        'tools/image/extract-elf', 'test/beds/run.py', 'test/beds/faults.py', 'test/beds/bootmatrix.py', 'test/beds/usb.py', 'test/beds/node.py',
        'tools/v3m/test/run.py',
        'Documentation/exercises/first/run')}

    def run_it(self, path, *words):
        return subprocess.run([os.path.join(SCRIPTS, '..', path), *words], capture_output=True, text=True, check=False)

    def test_wrong_option(self):
        for path, name in self.PROGRAMS.items():
            done = self.run_it(path, '-ox', '--frob', '1', '2')
            self.assertEqual((done.returncode, done.stdout), (2, ''))
            self.assertRegex(done.stderr, f'^{name}: .*--frob.*\n$')

    def test_all_programs(self):
        found = subprocess.run(['git', 'grep', '-l', r'ArgumentParser('], cwd=os.path.join(SCRIPTS, '..'),
                               capture_output=True, text=True, check=False).stdout.split()
        self.assertEqual(set(found) - {'Documentation/exercises/exercise.py', 'test/scripts/test_scripts.py'} - {*self.PROGRAMS},
                         set())

    def test_no_such_bed(self):
        done = self.run_it('test/beds/run.py', '--bed', 'zzz', 'hello')
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, r"^run: there is no bed 'zzz'; the beds are\n  qemu ryzen .* vtx\n$")

    def test_own_name(self):
        """An installed script has another name."""
        for path in ('scripts/mkimage', 'tools/image/extract-elf'):
            with tempfile.TemporaryDirectory() as work:
                name = os.path.join(work, 'margay-x')
                shutil.copy(os.path.join(SCRIPTS, '..', path), name)
                done = subprocess.run([name, '-o', '/nope/x', '/nope'] if 'mk' in path else [name, '/nope', 'x'],
                                      capture_output=True, text=True, check=False)
                self.assertRegex(done.stderr, r'^margay-x: /nope')


# Stands for gdb: takes Ctrl-C as an event.
DEBUGGER = """\
n=0
trap 'n=$((n + 1)); echo INT $n' INT
echo ready
while :; do
	read line
	[ "$line" != quit ] || exit 7
done
"""


class Debug(unittest.TestCase):
    def test_interrupt_reaches_gdb_alone(self):
        """Types Ctrl-C and Ctrl-Z on the terminal of a shell that runs scripts/qemu's in_foreground()."""
        code = ('import sys; sys.path.insert(0, sys.argv[1]); import test_scripts; '
                'print("status", test_scripts.load("qemu").in_foreground(["sh", "-c", test_scripts.DEBUGGER]))')
        pid, terminal = pty.fork()
        if pid == 0:
            # A job in the background, such as `make check &` in a script, ignores it, and sh cannot trap it then.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            here = os.path.dirname(os.path.abspath(__file__))
            os.execvp('sh', ['sh', '-c', '"$@"; echo goes on', 'sh', sys.executable, '-B', '-c', code, here])
        text = b''
        for wanted, typed in ((b'ready', b'\x03'), (b'INT 1', b'\x1a\x03'), (b'INT 2', b'quit\n'), (b'status 7', b''),
                              (b'goes on', b'')):
            while wanted not in text:
                if not select.select([terminal], [], [], 300)[0]:
                    os.kill(pid, signal.SIGKILL)
                    self.fail(f'no {wanted} in {text}')
                try:
                    data = os.read(terminal, 4096)
                except OSError:     # all processes on the terminal ended
                    data = b''
                if not data:
                    os.waitpid(pid, 0)
                    self.fail(f'no {wanted} in {text}')
                text += data
            os.write(terminal, typed)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        os.close(terminal)


class Make(unittest.TestCase):
    """The messages of make to users whose goal cannot be made."""
    def make(self, *words):
        done = subprocess.run(['make', '-C', os.path.join(SCRIPTS, '..'), '--no-print-directory', *words],
                              capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    def output(self, *words):
        return subprocess.run(['make', '-C', os.path.join(SCRIPTS, '..'), '--no-print-directory', *words],
                              capture_output=True, text=True, check=True).stdout

    def test_space_in_output_path(self):
        status, text = self.make('O=a b', 'help')
        self.assertNotEqual(status, 0)
        self.assertIn("O='a b' has a space", text)

    def test_help_fits_a_terminal(self):
        self.assertEqual([line for line in self.output('help', 'O=build').split('\n') if len(line) > 80], [])

    def test_help_names_each_target(self):
        text, phony = self.output('help'), set()
        for path in ('Makefile', 'scripts/run.mk', 'test/test.mk', 'Documentation/docs.mk', 'tools/tools.mk',
                     'guests/guests.mk', 'modules/modules.mk', 'scripts/install.mk'):
            phony |= {word for line in re.findall(r'^\.PHONY:(.*)', read(path), re.M) for word in line.split()}
        known = {('check' if word.startswith('-') else '') + word for word in re.split(r'[\s,;:.]+', text)}
        self.assertGreater(len(phony), 30)
        self.assertEqual(phony - known - {'FORCE', 'all', 'help'}, set())

    def test_changed_flags_compile_again(self):
        with tempfile.TemporaryDirectory() as work:
            for target, variable in (('obj/drivers/acpi/tables.o', 'DEBUG=1'), ('obj/drivers/acpi/tables.o', 'CC=cc'),
                                     ('obj/arch/x86/cpu/thunks.asm.o', 'NASM=/usr/bin/nasm'),
                                     ('modules/rr.mod', 'MODULE_LD=ld -r'), ('guests/obj/guests/lib/time.o', 'CC=cc'),
                                     ('tools/clockcheck', 'TOOL_CFLAGS=-O1'), ('obj/tools/mgctl/json.o', 'CC=cc'),
                                     ('unit/obj/drivers/acpi/tables.c.o', 'HOSTCC=cc')):
                words = (f'O={work}', f'{work}/{target}')
                self.output(*words)
                compiles = f' -o {words[1]} '
                self.assertNotIn(compiles, self.output('-n', *words))
                self.assertIn(compiles, self.output('-n', *words, variable), variable)

    def test_machine_that_cannot_be(self):
        for variable in ('CPUS=0', 'CPUS=-1', 'CPUS=two', 'MEM=0', 'MEM=2G', 'ACCEL=foo'):
            for goal in ('run', 'debug'):
                status, text = self.make('-n', 'SETUP=true', goal, variable)
                self.assertNotEqual(status, 0)
                why = 'neither tcg nor kvm' if 'ACCEL' in variable else 'not a number'
                self.assertIn(f"{variable.replace('=', chr(61) + chr(39))}' is {why}", text)
        done = subprocess.run([os.path.join(SCRIPTS, 'qemu'), '--cpus', '0', 'x'], capture_output=True, text=True,
                              check=False)
        self.assertIn("'0' is not a number from 1", done.stderr)

    def test_missing_program(self):
        """Whether it is new or not: an existing build has flags of another one."""
        with tempfile.TemporaryDirectory() as work:
            for target, variable, why in (
                    ('margay', 'CC=nonesuch', 'nonesuch is missing: is its name right'),
                    ('flags/unit', 'HOSTCC=nonesuch', 'nonesuch is missing: is its name right'),
                    ('flags/fuzz', 'PATH=/nonexistent', 'clang is missing: run scripts/setup check'),
                    ('flags/margay', 'PATH=/nonexistent', 'gcc is missing: run scripts/setup build')):
                status, text = self.make(f'O={work}', f'{work}/{target}', variable)
                self.assertNotEqual(status, 0)
                self.assertIn(why, text)
                self.assertNotIn('No such file', text)

    def test_new_output_directory_is_said(self):
        with tempfile.TemporaryDirectory() as work:
            flags = (f'O={work}/new', f'{work}/new/flags/margay')
            self.assertIn(f'  MKDIR   {work}/new\n', self.output(*flags))
            self.assertNotIn('MKDIR', self.output(*flags))
            self.assertNotIn('MKDIR', self.output('help', f'O={work}/other'))

    def test_scenario_without_name(self):
        status, text = self.make('scenario')
        self.assertNotEqual(status, 0)
        self.assertIn('make scenario NAME=', text)


class Format(unittest.TestCase):
    """keep(): the author's lines that stay although clang-format would change them."""
    def keep(self, old, new, before=()):
        return load('format.py').keep(old.split('\n'), new.split('\n'), list(before))

    def test_trailing_comment(self):
        self.assertTrue(self.keep('\tint a;\t\t/* x */', '\tint a; /* x */'))
        self.assertFalse(self.keep('\tint a ;\t/* x */', '\tint a; /* x */'))

    def test_table(self):
        self.assertTrue(self.keep('\tA = 1, B = 2,', '\tA = 1,\n\tB = 2,', ['enum x {']))
        self.assertTrue(self.keep('enum { A, B };', 'enum {\n\tA,\n\tB\n};'))
        self.assertFalse(self.keep('\tf(a,b);', '\tf(a, b);', ['{']))

    def test_code(self):
        self.assertFalse(self.keep('\tif (a) { b(); }', '\tif (a) {\n\t\tb();\n\t}', ['{']))
        self.assertFalse(self.keep('    return a;', '\treturn a;', ['{']))

    def test_table_of_cases(self):
        self.assertTrue(self.keep('\tcase A: return 1;', '\tcase A:\n\t\treturn 1;'))
        self.assertFalse(self.keep('\tcase A: f(); g(); break;', '\tcase A:\n\t\tf();\n\t\tg();\n'
                                   '\t\tbreak;'))

    def test_macros(self):
        self.assertTrue(self.keep('#define A\t1', '#define A 1'))
        self.assertTrue(self.keep('#define A(x) \\\n\tf(x)', '#define A(x)   \\\n\tf(x)'))

    def test_long_or_ragged_lines_never_stay(self):
        self.assertFalse(self.keep('\tA,' + ' ' * 99 + 'B,', '\tA, B,', ['enum x {']))
        self.assertFalse(self.keep('\tA, ', '\tA,', ['enum x {']))


class MakeUsb(unittest.TestCase):
    def test_guests_need_only_a_machine(self):
        names = [args.split()[1] for _, args in load('mkusb.py').chosen([])]
        self.assertIn('name=hello', names)
        for name in ('wake_early', 'policies', 'linux-boot', 'one-by-one', 'debug'):
            self.assertNotIn(f'name={name}', names)
        self.assertLess(len(names), 128)    # BOOT_MAX_MODULES

    def test_log_address(self):
        mkusb = load('mkusb.py')
        self.assertIn(f'read_dword -v m0 {mkusb.LOG_MIB << 20:#x}', mkusb.configs([], {}, 1)[1])
        self.assertIn('read_dword -v v 0x40$a$b$c$d$e', mkusb.STORE)
        self.assertEqual(mkusb.LOG_BASE, 0x4000000)

    def test_tables(self):
        self.assertIn("set c41='A'", mkusb_tables := load('mkusb.py').tables())
        self.assertIn('set c27="\'"', mkusb_tables)


def guest_elf():
    """Return the least kernel that Margay takes: a 32-bit ELF file with a segment and a PVH note."""
    note = struct.pack('<III4sI', 4, 4, 18, b'Xen', 0x100000)
    header = struct.pack('<4sBBB9xHHIIIIIHHHHHH', b'\x7fELF', 1, 1, 1, 2, 3, 1, 0x100000, 52, 0, 0, 52, 32, 2, 0, 0, 0)
    at = len(header) + 2 * 32
    segments = [struct.pack('<8I', kind, at, 0x100000, 0x100000, len(note), len(note), 5, 4) for kind in (1, 4)]
    return header + b''.join(segments) + note


class MakeImage(unittest.TestCase):
    def test_same_names(self):
        names = load('mkimage').module_names([('a/hello', ''), ('b/hello', ''), ('a/hello', 'x')])
        self.assertEqual(sorted(names.values()), ['hello', 'hello.2'])

    def test_config(self):
        config = load('mkimage').grub_config('when_empty=poweroff', [('hello', 'guest name=a')],
                                             ['set x=1'])
        self.assertIn('set x=1\nmultiboot2 /boot/margay when_empty=poweroff\n'
                      'module2 /boot/hello guest name=a\n', config)

    def test_quoting(self):
        quoted = load('mkimage').quoted
        self.assertEqual(quoted('guest name=a -- x=1,2'), 'guest name=a -- x=1,2')
        self.assertEqual(quoted("a;b $c it's"), "'a;b' '$c' 'it'\\''s'")

    def refused(self, *words):
        """Return what scripts/mkimage says to words that it must refuse, without its own name and the output's."""
        with tempfile.TemporaryDirectory() as work:
            path = os.path.join(work, 'x.iso')
            done = subprocess.run([os.path.join(SCRIPTS, 'mkimage'), '-o', path, '--cache', work, *words], capture_output=True,
                                  text=True, check=False)
            self.assertEqual((done.returncode, done.stdout, os.listdir(work)), (1, '', []))
        return done.stderr.removeprefix(f'mkimage: {path}: ')

    def test_check(self):
        """A wrong option or module is refused in Margay's words."""
        out = os.environ.get('O', 'build')
        subprocess.run(['make', '-C', os.path.join(SCRIPTS, '..'), '--no-print-directory', f'O={out}',
                        f'{out}/tools/bootcheck'], stdout=subprocess.DEVNULL, check=True)
        with tempfile.TemporaryDirectory() as work:
            elf, text, margay = (os.path.join(work, name) for name in ('elf', 'text', 'margay'))
            for path, data in ((elf, guest_elf()), (text, b'hello\n'), (margay, bytes(8) + b'\xd6\x50\x52\xe8')):
                with open(path, 'wb') as file:
                    file.write(data)
            good = [(elf, 'guest name=a mem=1G control -- x=1 -- y'), (text, 'initrd for=a'), (text, 'microcode'),
                    (elf, 'policy select=none'), (text, 'policies-allowed'), (elf, 'guest name=b --')]
            mkimage = load('mkimage')
            mkimage.check_words('when_empty=reboot noreboot com1=115200 spec=off', good)
            mkimage.check_files(margay, good)
            for options, file, words, why in (
                    ('when_emtpy=reboot', elf, 'guest name=x', 'unknown option: when_emtpy=reboot\nThe options are com1 com2'),
                    ('when_empty=explode', elf, 'guest name=x', 'when_empty=explode: bad value, expected wait|poweroff'),
                    ('com1=9601', elf, 'guest name=x', 'option com1=9601: bad value'),
                    ('console=ttyS0', elf, 'guest name=x', "option console: there is no console 'ttyS0'"),
                    ('spec=none', elf, 'guest name=x', "option spec: there is no mitigation 'none'"),
                    ('', elf, 'gest name=x', 'module 7 (gest name=x file=elf): must start with\n  guest, initrd'),
                    ('', elf, 'guest mem=1G', 'module 7 (guest, elf): has no name='),
                    ('', elf, 'guest name=a', 'module 7 (guest a, elf): ignored: that name is taken'),
                    ('', elf, 'guest name=x vcpu=2', 'module 7 (guest x, elf): vcpu=2:\n  unknown word\n--help lists'),
                    ('', elf, 'guest name=x vcpus=0', 'vcpus=0:\n  must be 1 to 1024'),
                    ('', elf, 'guest name=x pin=0-', 'pin=0-:\n  not a list of CPUs'),
                    ('', text, 'guest name=x', 'module 7 (guest x, text): its kernel cannot be started:\n  not an ELF file'),
                    ('', text, 'initrd', 'has no for='), ('', text, 'initrd for=c', 'there is no guest of that name'),
                    ('', text, 'policy', 'module 7 (policy, text): refused (-8):\n  not an ELF file'),
                    ('', elf, 'policy rr', 'rr:\n  unknown word of a policy'),
                    ('', text, 'microcode file=x', 'module 7 (microcode): has no words')):
                modules = [word for pair in [*good, (file, words)] for word in ('-m', '='.join(pair))]
                said = self.refused('--options', options, margay, *modules)
                self.assertTrue(said.startswith('Margay would say:\n'), said)
                self.assertIn(why, said)
                self.assertEqual([line for line in said.split('\n') if len(line) > 80], [])
            self.assertIn('no guest was started', self.refused(margay))
            self.assertIn('is not Margay', self.refused(text, '-m', f'{elf}=guest name=a'))
            self.assertEqual(self.refused(margay, '-m', elf), f"--module {elf} has no words, as in '{elf}=guest name=a'\n")
            with open(text, 'wb') as file:
                file.write(bytes(0x202) + b'HdrS')
            self.assertIn('extract-elf makes an ELF file', self.refused(margay, '-m', f'{text}=guest name=a'))

    def test_file_word(self):
        with_file = load('mkimage').with_file
        self.assertEqual(with_file('d/vmlinux', 'guest name=a -- b -- c'), 'guest name=a file=vmlinux -- b -- c')
        self.assertEqual(with_file('d/rr.mod', 'policy'), 'policy file=rr.mod')
        for path, text in (('a b', 'policy'), ('a', 'microcode'), ('a', ''), ('a', 'policy file=b')):
            self.assertEqual(with_file(path, text), text)

    def test_output_that_exists(self):
        mkimage = load('mkimage')
        with tempfile.TemporaryDirectory() as work:
            net, file = os.path.join(work, 'net'), os.path.join(work, 'file')
            os.mkdir(net)
            mkimage.check_output('net', net, False)
            with open(file, 'w', encoding='ascii'):
                pass
            mkimage.check_output('iso', file, False)
            for kind, path, why in (('iso', net, 'is a directory'), ('disk', work, 'is a directory'),
                                    ('net', file, 'is a file'), ('net', work, 'did not make')):
                with self.assertRaisesRegex(mkimage.ImageError, why):
                    mkimage.check_output(kind, path, True)
            with self.assertRaisesRegex(mkimage.ImageError, 'there is no directory .*/none'):
                mkimage.check_output('iso', os.path.join(work, 'none/x.iso'), True)
            with open(os.path.join(net, 'margay.0'), 'w', encoding='ascii'):
                pass
            with self.assertRaisesRegex(mkimage.ImageError, '--force'):
                mkimage.check_output('net', net, False)
            mkimage.check_output('net', net, True)

    def test_help(self):
        done = subprocess.run([os.path.join(SCRIPTS, 'mkimage'), '--help'], capture_output=True, text=True, check=True)
        self.assertIn("--module 'initrd.gz=initrd for=a'", done.stdout)
        source = read('common/boot/guest_spec.c')
        words = re.findall(r'key_is\(w, "(\w+)"\)', source)
        kinds = re.findall(r'"([\w-]+)"', re.search(r'kinds\[\] = \{(.*?)\}', source)[1])
        self.assertGreater(len(words), 10)
        for word in {*words, *kinds, 'microcode'} - {'file'}:
            self.assertRegex(done.stdout, rf'[ \[]{word}\b')
        self.assertEqual([line for line in done.stdout.split('\n') if len(line) > 80], [])

    def test_missing_file(self):
        mkimage = load('mkimage')
        with tempfile.TemporaryDirectory() as work:
            with self.assertRaisesRegex(mkimage.ImageError, 'no file .*/nothing'):
                mkimage.make_image('iso', work + '/x.iso', work + '/nothing', '', [], work)


if __name__ == '__main__':
    unittest.main()
