# SPDX-License-Identifier: BSD-2-Clause
"""mgctl trace show and export, on a trace file made here: the export must satisfy viewers of Chrome's trace event
format.
"""
import json
import os
import shutil
import struct
import subprocess
import tempfile
import unittest

TREE = os.path.abspath(os.path.join(os.path.dirname(__file__), '../..'))
RECORD = struct.Struct('<QBBHHHQQ')
EXIT, ENTRY, HYPERCALL, INJECT, SCHED, WAKE, POLICY, FAULT = range(8)
NAME, LOST = 254, 255
NONE = 0x7fff
HZ = 2_000_000_000


def record(tsc, event, cpu=0, domain=1, vcpu=0, a=0, b=0):
    return RECORD.pack(tsc, event, 0, cpu, domain, vcpu, a, b)


def name(domain, text):
    return record(0, NAME, domain=domain, a=int.from_bytes(text[:8].ljust(8, b'\0'), 'little'),
                  b=int.from_bytes(text[8:].ljust(8, b'\0'), 'little'))


# Ring by ring, as mgctl writes them. CPU 1 wakes a vCPU that CPU 0 then runs.
RECORDS = [
    name(1, b'li"nux\x1b'), name(2, b'sixteen letters!'),
    record(1000, SCHED, a=3), record(1000, ENTRY, a=0xfff0),
    record(3000, EXIT, a=5, b=0xffffffff81000000), record(3010, HYPERCALL, a=29, b=1),
    record(3500, SCHED, a=1),
    record(5100, SCHED, a=3), record(5200, INJECT, a=0xf3), record(5300, ENTRY, a=0xfff0),
    record(9000, EXIT, a=17, b=0x1000), record(9001, FAULT, a=0xfee00020, b=1),
    record(9100, ENTRY, a=0x1004),
    record(2000, POLICY, cpu=1, domain=NONE, a=1 << 8, b=7), record(5000, WAKE, cpu=1),
    record(9500, LOST, cpu=1, domain=NONE, a=33), record(9600, EXIT, cpu=1, domain=2, vcpu=2, a=7),
]


class Trace(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        env = {k: v for k, v in os.environ.items() if k not in ('MAKEFLAGS', 'MFLAGS', 'MAKELEVEL', 'O')}
        cls.work = tempfile.mkdtemp()
        done = subprocess.run(['make', '-C', TREE, f'O={cls.work}', 'tools'], capture_output=True,
                              text=True, check=False, env=env)
        assert done.returncode == 0, done.stderr

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.work)

    def mgctl(self, command, data):
        path = os.path.join(self.work, 'trace')
        with open(path, 'wb') as file:
            file.write(data)
        return subprocess.run([f'{self.work}/tools/mgctl', 'trace', command, path],
                              capture_output=True, text=True, check=False)

    @staticmethod
    def file(records, hz=HZ, magic=b'MGTRACE1'):
        """A recording ends with the domains' names, once more."""
        return magic + struct.pack('<QI12x', hz, 2) + b''.join(records) + name(3, b'last')

    def exported(self, records):
        done = self.mgctl('export', self.file(records))
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        return json.loads(done.stdout)

    def test_format(self):
        """Every event has what its phase requires."""
        trace = self.exported(RECORDS)
        self.assertIn(trace['displayTimeUnit'], ('ms', 'ns'))
        for event in trace['traceEvents']:
            self.assertIsInstance(event['name'], str)
            self.assertIsInstance(event['pid'], int)
            self.assertIsInstance(event['tid'], int)
            self.assertGreaterEqual(event['ts'], 0)
            self.assertIn(event['ph'], 'XiM')
            if event['ph'] == 'X':
                self.assertGreaterEqual(event['dur'], 0)
            elif event['ph'] == 'i':
                self.assertIn(event['s'], 'gpt')
            else:
                self.assertIn(event['name'], ('process_name', 'thread_name'))
                self.assertIsInstance(event['args']['name'], str)

    def test_tracks(self):
        """All threads have a name, and numbers of their own; slices on one do not overlap."""
        events = self.exported(RECORDS)['traceEvents']
        threads = {e['tid']: e['pid'] for e in events}
        for event in events:
            self.assertEqual(threads[event['tid']], event['pid'])
        named = {e['tid'] for e in events if e['name'] == 'thread_name'}
        self.assertEqual(named, {e['tid'] for e in events if e['ph'] != 'M'} | named)
        names = {e['args']['name'] for e in events if e['ph'] == 'M'}
        self.assertEqual(names, {'CPUs', 'CPU 0', 'CPU 1', 'li"nux\x1b', 'vCPU 0', 'sixteen letters!',
                                 'vCPU 2'})
        for thread in threads:
            end = 0
            for event in sorted((e for e in events if e['tid'] == thread and e['ph'] == 'X'),
                                key=lambda e: e['ts']):
                self.assertGreaterEqual(event['ts'], end)
                end = event['ts'] + event['dur']

    def test_slices(self):
        """Slices last from an exit to the entry or to leaving the CPU, in microseconds since the first record."""
        events = self.exported(RECORDS)['traceEvents']
        slices = [(e['name'], e['ts'], e['dur']) for e in events if e['ph'] == 'X']
        self.assertEqual(sorted(slices, key=lambda s: s[1]), [
            ('li"nux?/0', 0, 1.25), ('sched_op block', 1, 0.25), ('li"nux?/0', 2.05, 2.25),
            ('npf', 4, 0.05), ('hlt', 4.3, 0)])
        instants = [(e['name'], e['ts']) for e in events if e['ph'] == 'i']
        self.assertEqual(instants, [
            ('policy sched of CPU 1', 0.5), ('woken by CPU 1', 2), ('interrupt 243', 2.1),
            ('fault 0xfee00020', 4), ('33 records lost', 4.25)])

    def test_show(self):
        done = self.mgctl('show', self.file(RECORDS))
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), len(RECORDS) - 2)
        self.assertEqual(lines, sorted(lines, key=lambda line: float(line.split()[0])))
        self.assertRegex(lines[4], r'^ +0\.000001005 CPU 0 +li"nux\?/0 +hypercall sched_op block$')
        self.assertRegex(lines[-2], r'0\.000004250 CPU 1 +33 records lost$')
        self.assertRegex(lines[-1], r'sixteen letters!/2 +exit +hlt at 0$')

    def test_same_time(self):
        """A coarse TSC gives many records the same time: they stay in order."""
        records = [record(7, HYPERCALL, a=17, b=i) for i in range(32, 2032)]
        done = self.mgctl('show', self.file(records))
        self.assertEqual([int(line.split()[-1], 16) for line in done.stdout.splitlines()],
                         list(range(32, 2032)))

    def test_empty(self):
        self.assertEqual(self.mgctl('show', self.file([])).stdout, '')
        self.assertEqual([e['ph'] for e in self.exported([])['traceEvents']], ['M'] * 3)

    def test_unknown(self):
        """Records, numbers and domains that this mgctl does not know."""
        records = [record(i, event, cpu=65535, domain=65535, vcpu=65535, a=2**64 - 1, b=2**64 - 1)
                   for i, event in enumerate(range(256))]
        self.exported(records)
        self.assertEqual(self.mgctl('show', self.file(records)).returncode, 0)

    def test_no_trace(self):
        for data in (b'', b'MGTRACE1', self.file([], magic=b'MGTRACE2'), self.file([], hz=0)):
            done = self.mgctl('show', data)
            self.assertEqual((done.returncode, done.stdout), (2, ''))
            self.assertIn('is not a trace', done.stderr)

    def test_truncated(self):
        """What is there is shown, and the status says that the end is missing, also if whole records are."""
        for missing, kept in ((1, 0), (RECORD.size, 0), (RECORD.size + 9, 1), (2 * RECORD.size, 1)):
            cut = self.file(RECORDS)[:-missing]
            shown, exported = self.mgctl('show', cut), self.mgctl('export', cut)
            self.assertEqual(len(shown.stdout.splitlines()), len(RECORDS) - 2 - kept)
            self.assertTrue(json.loads(exported.stdout))
            for done in (shown, exported):
                self.assertEqual(done.returncode, 1)
                self.assertIn('trace: is truncated: its end is missing\n', done.stderr)


if __name__ == '__main__':
    unittest.main()
