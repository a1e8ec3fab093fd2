# SPDX-License-Identifier: BSD-2-Clause
"""Tests of the scenario runner's judgement: a run that should fail must not pass."""
import os
import subprocess
import sys
import tempfile
import time
import types
import unittest
import unittest.mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../beds'))
# pylint: disable=wrong-import-position
import beds  # noqa: E402
import faults  # noqa: E402
import gdbkit  # noqa: E402
import run  # noqa: E402
import runner  # noqa: E402
import scenarios  # noqa: E402
from verdict import POWER_OFF, Verdict  # noqa: E402

OFF = beds.Ended('off', 0, 1.0)
LIMIT = beds.Ended('limit', -9, 60.0)


def scenario(**fields):
    fields.setdefault('name', 'timers')
    return scenarios.check(scenarios.fill(fields, scenarios.FIELDS, 'test'), 'test')


SILENT = [{'name': 'timers', 'pass': False}]


def judge(lines, ended=OFF, bed='qemu', **fields):
    verdict = Verdict(scenario(**fields), bed)
    for number, text in enumerate(lines):
        verdict.line(text, float(number))
    return verdict.judge(ended)


class Judging(unittest.TestCase):
    def test_pass(self):
        self.assertIsNone(judge(['(margay) hello', '[timers] PASS timers']))
        self.assertIsNone(judge(['PASS timers'], beds.Ended('watcher', -9, 2.0), 'oracle'))

    def test_no_verdict(self):
        self.assertIn('went off', judge(['(margay) hello']))
        self.assertIn('time ran out', judge(['(margay) hello'], LIMIT))

    def test_verdict_of_another(self):
        self.assertIn('PASS timers', judge(['[timers] PASS timers2']))
        self.assertIn('PASS timers', judge(['[other] PASS timers']))
        self.assertIn('PASS timers', judge(['[timers] no PASS timers']))

    def test_forbidden(self):
        self.assertIn('FAIL timers: late', judge(['[timers] FAIL timers: late',
                                                  '[timers] PASS timers']))
        self.assertIn('panic', judge(['[timers] PASS timers', '(margay) panic: oh']))
        self.assertIn('forbidden', judge(['[timers] PASS timers', 'odd'], forbid=['^odd$']))
        self.assertIn('GRUB', judge(['GRUB: boot failed']))

    def test_does_not_power_off(self):
        lines = ['[timers] PASS timers']
        self.assertIn('did not power off', judge(lines, beds.Ended('watcher', -9, 22.0)))
        self.assertIsNone(judge(lines, beds.Ended('watcher', -9, 22.0), ends='any'))

    def test_two_guests(self):
        guests = [{'name': 'a', 'elf': 'x'}, {'name': 'b', 'elf': 'x'}]
        self.assertIn('b', judge(['[a] PASS x'], guests=guests))
        self.assertIsNone(judge(['[b] PASS x', '[a] PASS x'], guests=guests))

    def test_order(self):
        self.assertIsNone(judge(['one', 'two'], guests=SILENT, expect=['one', 'two'], ordered=True))
        self.assertIn('two', judge(['two', 'one'], guests=SILENT, expect=['one', 'two'], ordered=True))

    def test_count_and_same(self):
        fields = {'guests': SILENT, 'count': [{'line': '^up', 'least': 2, 'most': 3}],
                  'same': ['free ([0-9]+)']}
        self.assertIsNone(judge(['up free 5', 'up free 5'], **fields))
        self.assertIn('1 lines', judge(['up free 5', 'free 5'], **fields))
        self.assertIn('4 lines', judge(['up free 5'] * 4 + ['end'], expect=['^end'], **fields))
        self.assertIsNone(judge(['up free 5'] * 3 + ['end', 'up free 5'], expect=['^end'], ends='any', **fields))
        self.assertIn('stay the same', judge(['up free 5', 'up free 4'], **fields))
        self.assertIn('too few', judge(['up', 'up free 4'], **fields))

    def test_traced(self):
        plain = scenario(options='trace=256 maxcpus=2', forbid=['odd'])
        traced = scenarios.traced(plain)
        # The scenario's own options come later and take precedence.
        self.assertEqual(traced['options'], 'trace=8 trace=256 maxcpus=2')
        self.assertEqual((plain['name'], traced['name']), ('timers', 'timers+trace'))
        verdict = Verdict(traced, 'qemu')
        for text in ('(margay) no trace: 8 pages are too many, or not a power of two', '[timers] PASS timers'):
            verdict.line(text, 1.0)
        self.assertIn('no trace', verdict.judge(OFF))

    def test_input(self):
        fields = {'guests': SILENT, 'expect': ['^answer 42'],
                  'input': [{'after': 'linux# ', 'send': 'answer\r'}, {'after': '^answer', 'send': 'exit\r'}]}
        verdict = Verdict(scenario(**fields), 'qemu')
        self.assertIsNone(verdict.waiting('lin', 0.0))
        self.assertEqual(verdict.waiting('[linux] linux# ', 0.1), 'answer\r')
        self.assertIsNone(verdict.waiting('', 0.2))
        self.assertIn('answer', verdict.judge(LIMIT))
        verdict.line('answer 42', 0.3)
        self.assertIsNone(verdict.deadline(0.3))
        self.assertEqual(verdict.waiting('', 0.4), 'exit\r')
        self.assertIsNone(verdict.judge(OFF))

    def test_ends_soon_after_the_last_line(self):
        verdict = Verdict(scenario(), 'qemu')
        verdict.line('[timers] PASS timers', 5.0)
        self.assertEqual(verdict.deadline(5.0), 5.0 + POWER_OFF)


class Tables(unittest.TestCase):
    def load(self, text):
        with tempfile.NamedTemporaryFile('w', suffix='.list') as file:
            file.write(text)
            file.flush()
            return scenarios.load(file.name)

    def test_lines(self):
        table = self.load('# comment\n\ntimers qemu oracle vcpus=2 mem=128M timeout=9 flags=control,pin=1 -- a -- b\n'
                          'grants ryzen long=vtx cpus=4\n\toptions sched_slice=100 maxcpus=2\n'
                          'l qemu long elf=linux-cloud test=boot\nsmp-2 qemu elf=smp\n')
        self.assertEqual([s['name'] for s in table], ['timers', 'grants', 'l', 'smp-2'])
        self.assertEqual(table[0]['beds'], ['qemu', 'oracle'])
        self.assertEqual(table[0]['timeout'], 9)
        self.assertEqual(table[1]['options'], 'sched_slice=100 maxcpus=2')
        self.assertEqual(table[1]['long_beds'], ['broadwell', 'ivy', 'skylake'])
        self.assertEqual(scenarios.modules(table[0])[0][1],
                         'guest name=timers vcpus=2 mem=128M control pin=1 -- a -- b')
        self.assertEqual((table[2]['guests'][0]['name'], table[2]['long']), ('linux', True))
        self.assertEqual(table[3]['guests'][0]['name'], 'smp')

    def test_indented_lines(self):
        table = self.load('two qemu ordered ends=any\n\tguest a elf=x vcpus=3 -- how=0\n'
                          '\tguest b no-pass elf=y\n\texpect ^one two\n\tcount 3-7 up\n\tcount 2 down\n\tsame free (.*)\n'
                          '\tafter x# $\n\tsend \\x01a b\\r\n\tafter y\n\thost cp $O/a .\n\tmodule hello guest name=c\n\tqemu -a "b c"\n'
                          '\tbochs MODEL=m\n\tdebugger c; set x = 1\n\tsays odd\n\tgrub wrmsr 1 2\n\tforbid bad\n')
        self.assertEqual([g['elf'] for g in table[0]['guests']], ['x', 'y'])
        self.assertEqual(table[0]['guests'][0]['cmdline'], 'how=0')
        self.assertEqual(table[0]['expect'], ['^one two', r'^(\[a\] )?PASS x$'])
        self.assertEqual(table[0]['count'], [{'line': 'up', 'least': 3, 'most': 7}, {'line': 'down', 'least': 2}])
        self.assertEqual(table[0]['input'], [
            {'after': 'x# $', 'send': '\x01a b\r'}, {'after': 'y', 'send': '', 'host': f'cp {beds.OUT}/a .'}])
        self.assertEqual(table[0]['modules'], [['hello', 'guest name=c']])
        self.assertEqual(table[0]['qemu'], ['-a', 'b c'])
        self.assertEqual((table[0]['bochs'], table[0]['debugger']), ({'MODEL': 'm'}, ['c', 'set x = 1']))
        self.assertEqual((table[0]['debugger_says'], table[0]['grub']), (['odd'], ['wrmsr 1 2']))
        self.assertEqual((table[0]['forbid'], table[0]['ordered'], table[0]['ends']), (['bad'], True, 'any'))

    def test_like(self):
        table = self.load('a qemu long timeout=7 vcpus=2 -- x\n\tqemu -icount 1\n\texpect e\n\tforbid f\n'
                          'b ryzen like=a vcpus=3\n\tqemu\n\texpect g\n')
        self.assertEqual((table[1]['beds'], table[1]['long'], table[1]['timeout']), (['ryzen'], False, 7))
        self.assertEqual((table[1]['qemu'], table[1]['forbid']), ([], ['f']))
        self.assertEqual(table[1]['expect'][0], 'g')
        self.assertEqual([(g['name'], g['vcpus'], g['cmdline']) for g in table[1]['guests']], [('a', 3, 'x')])
        self.assertEqual(table[0]['guests'][0]['vcpus'], 2)

    def test_several_machines(self):
        table = self.load('a qemu\n\tdisk 8\n\tfirst b qemu\n\tpeer c xendom0\nb\nc\n')
        self.assertEqual((table[0]['disk'], table[0]['first'], table[0]['peer']), (8, ('b', 'qemu'), ('c', 'xendom0')))
        self.assertEqual(table[1]['beds'], [])
        for text in ('b\n', 'a qemu\n\tfirst b qemu\n'):
            self.assertRaises(scenarios.TableError, self.load, text)

    def test_refuses(self):
        for text, why in (('timers moon', 'unknown bed'), ('timers qemu cups=2', 'unknown word'),
                          ('timers qemu mem=lots', 'not a size'), ('\tguest x', 'below no scenario'),
                          ('a qemu\n\tguess x', 'unknown word'), ('a qemu\n\tguest x cups=2', 'unknown word'),
                          ('a qemu\na qemu', 'twice'), ('a qemu long=qemu', 'twice'), ('a', 'no bed'),
                          ('a qemu like=b', 'unknown word'), ('a qemu\n\tsend x', 'unknown word'),
                          ('a qemu cpus=two', 'not a number')):
            with self.assertRaisesRegex(scenarios.TableError, why):
                self.load(text + '\n')

    def test_linux_guest(self):
        entry = scenario(guests=[{'name': 'l', 'elf': 'linux-cloud', 'test': 'boot', 'vcpus': 2}])
        self.assertEqual([args for _, args in scenarios.modules(entry)], [
            'guest name=l vcpus=2 mem=256M -- console=hvc0 cryptomgr.notests margay.test=boot '
            'margay.cpus=2',
            'initrd for=l'])
        self.assertIsNone(Verdict(entry, 'qemu').failure)
        self.assertEqual(entry['expect'], [r'^(\[l\] )?PASS boot$'])

    def test_refuses_unknown_field_and_bad_expression(self):
        with self.assertRaisesRegex(scenarios.TableError, 'unknown field'):
            scenario(tiemout=3)
        with self.assertRaisesRegex(scenarios.TableError, 'bad expression'):
            scenario(expect=['('])

    def test_the_real_table_loads(self):
        self.assertGreater(len(scenarios.load()), 10)


class Emulator(unittest.TestCase):
    """The runner's own code, with a shell in the place of an emulator."""
    def run_shell(self, script, limit=10, **fields):
        verdict = Verdict(scenario(**fields), 'qemu')
        with tempfile.TemporaryDirectory() as work:
            ended = beds.run_piped(['sh', '-c', script], verdict, os.path.join(work, 'log'), limit)
        return ended, verdict.judge(ended)

    def test_lines_and_power_off(self):
        ended, reason = self.run_shell(r'printf "\033[0m[timers] PASS timers\r\n"')
        self.assertEqual((ended.how, reason), ('off', None))

    def test_limit(self):
        ended, reason = self.run_shell('sleep 30', limit=0.3)
        self.assertEqual(ended.how, 'limit')
        self.assertIn('time ran out', reason)

    def test_patience(self):
        with unittest.mock.patch.dict(os.environ, PATIENCE='100'):
            ended, _ = self.run_shell('sleep 1', limit=0.1)
        self.assertEqual(ended.how, 'off')
        self.assertGreater(ended.seconds, 0.5)      # the report's seconds are not divided
        for text in ('many', '0', '-1', 'inf'):
            with unittest.mock.patch.dict(os.environ, PATIENCE=text), self.assertRaisesRegex(beds.BedError, 'PATIENCE='):
                self.run_shell('sleep 30')

    def test_limit_on_a_busy_machine(self):
        """Beside three others on one core, the emulator gets only a small part of the time that passes."""
        core = str(min(os.sched_getaffinity(0)))
        loops = [subprocess.Popen(['taskset', '-c', core, 'sh', '-c', 'while :; do :; done'],
                                  preexec_fn=beds.die_with_parent) for _ in range(4)]
        try:
            own, start = beds.OwnTime(loops[0].pid), time.monotonic()
            while time.monotonic() < start + 2:
                time.sleep(0.05)
                seconds = own.now()
            self.assertLess(seconds, 0.6 * (time.monotonic() - start))
        finally:
            for loop in loops:
                beds.stop(loop)

    def test_typing(self):
        ended, reason = self.run_shell('printf "name? "; read name; echo "hello $name"',
                                       guests=SILENT, expect=['^name. hello moon'],
                                       input=[{'after': 'name', 'send': 'moon\n'}])
        self.assertEqual((ended.how, reason), ('off', None))

    def test_host_command(self):
        with tempfile.TemporaryDirectory() as work:
            pipe = os.path.join(work, 'pipe')
            os.mkfifo(pipe)
            ended, reason = self.run_shell(f'echo ready; read text <{pipe}; echo "got $text"', guests=SILENT,
                                           expect=['^got it'],
                                           input=[{'after': '^ready', 'send': '', 'host': f'echo it >{pipe}'}])
        self.assertEqual((ended.how, reason), ('off', None))

    def test_dead_emulator(self):
        with self.assertRaisesRegex(beds.BedError, 'status 3: no such cpu'):
            self.run_shell('echo no such cpu >&2; exit 3')

    def test_limit_before_qemu_begins(self):
        """QEMU has not made its file of resets then."""
        verdict = Verdict(scenario(), 'qemu')
        with tempfile.TemporaryDirectory() as work:
            with open(os.path.join(work, 'qemu-system-x86_64'), 'w', encoding='ascii') as file:
                file.write('#!/bin/sh\nexec sleep 30\n')
            os.chmod(file.name, 0o755)
            with unittest.mock.patch.dict(os.environ, PATH=f'{work}:{os.environ["PATH"]}'):
                ended = beds.run_qemu(beds.Machine('none.iso'), verdict, os.path.join(work, 'log'), 0.3)
        self.assertIn('time ran out', verdict.judge(ended))

    def injected(self, gdb):
        """Return whether a case counts as injected if gdb is that shell script, which this machine's end kills."""
        with tempfile.TemporaryDirectory() as work:
            stub, log = os.path.join(work, 'stub'), os.path.join(work, 'log')
            with open(os.path.join(work, 'gdb'), 'w', encoding='utf-8') as file:
                file.write(f'#!/bin/sh\n{gdb}\n')
            os.chmod(file.name, 0o755)
            with unittest.mock.patch.dict(os.environ, PATH=f'{work}:{os.environ["PATH"]}'):
                injection = faults.Injection(faults.CASES['madt-checksum'], stub, log)
                injection.start()
                with open(stub, 'w', encoding='ascii'):
                    pass
                while not os.path.exists(log) or os.path.getsize(log) == 0:
                    time.sleep(0.02)
                return injection.finish()

    def test_machine_ends_before_gdb(self):
        self.assertTrue(self.injected(f'echo "{gdbkit.DONE}"; exec sleep 100'))
        self.assertFalse(self.injected('echo starting; exec sleep 100'))
        self.assertFalse(self.injected('echo Error; exit 1'))


class Summary(unittest.TestCase):
    def test_failed_tests_have_commands(self):
        outcomes = [runner.Outcome('a', 'qemu', 'ok'), runner.Outcome('b+trace', 'vtx', 'FAIL', 'why')]
        args = types.SimpleNamespace(timeout=None, append='', options="x='1 2'", traced=True)
        with unittest.mock.patch.object(sys, 'argv', [os.path.join(runner.ROOT, 'test/beds/run.py')]), \
                unittest.mock.patch.object(beds, 'OUT', 'other'):
            lines = runner.failures(outcomes, lambda outcome: run.again(args, outcome))
        self.assertEqual(lines, ['FAILED vtx b+trace; again: O=other test/beds/run.py --bed vtx '
                                 "--options 'x='\"'\"'1 2'\"'\"'' --traced b", '    | why'])


class Arguments(unittest.TestCase):
    def run_main(self, *words):
        done = subprocess.run([os.path.join(runner.ROOT, 'test/beds/run.py'), *words], capture_output=True,
                              text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_needs(self):
        self.assertEqual(self.run_main('--needs', 'hello'), (0, 'bochs oracle qemu\n'))
        self.assertEqual(self.run_main('--needs', '--bed', 'qemu', 'hello'), (0, 'qemu\n'))
        self.assertEqual(self.run_main('--needs', '--bed', 'vtx', 'hello'), (0, 'bochs\n'))

    def test_group_of_beds(self):
        args = types.SimpleNamespace(names=['hello'], bed='vtx', timeout=None, append='', options='', long=False)
        self.assertEqual([bed for _, bed in run.select(args)], ['broadwell', 'ivy', 'skylake'])

    def test_refuses(self):
        self.assertEqual(self.run_main('--needs', '--bed', 'strict', 'hello'),
                         (2, "run: 'hello' does not run on bed strict; `make scenarios` lists the beds of each\n"))
        self.assertEqual(self.run_main('--needs', 'helo'),
                         (2, "run: no scenario matches 'helo'; `make scenarios` lists them\n"))

    def test_list_into_a_closed_pipe(self):
        done = subprocess.run(['/bin/bash', '-c', 'test/beds/run.py --list | head -n 1; exit ${PIPESTATUS[0]}'],
                              cwd=runner.ROOT, capture_output=True, text=True, check=False)
        self.assertEqual((done.stderr, done.stdout.split()[0]), ('', 'hello'))


class Configuration(unittest.TestCase):
    def test_bochs_paths(self):
        """A tree whose path has a space: Bochs reads such a path only in quotation marks."""
        with open(os.path.join(beds.HERE, 'bochsrc'), encoding='utf-8') as file:
            text = file.read()
        for name in ('IMAGE', 'MSRS'):
            self.assertEqual(text.count(f'"@{name}@"'), text.count(f'@{name}@'), name)
            self.assertIn(f'@{name}@', text)


if __name__ == '__main__':
    unittest.main()
