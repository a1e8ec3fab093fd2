# SPDX-License-Identifier: BSD-2-Clause
"""The book's exercises, as a reader begins them."""
import glob
import os
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..'))
EXERCISES = os.path.join(ROOT, 'Documentation/exercises')
sys.dont_write_bytecode = True
sys.path.insert(0, EXERCISES)
# pylint: disable=wrong-import-position
import exercise  # noqa: E402


def run(path, *options, out=None):
    """Run a check. Return its status and its output."""
    done = subprocess.run([sys.executable, path, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, **({'O': out} if out else {})}, check=False)
    return done.returncode, done.stdout


class Start(unittest.TestCase):
    def test_guests_are_there(self):
        """A guest that a check boots is in the tree, or comes with the exercise's start."""
        seen = 0
        for path in glob.glob(os.path.join(EXERCISES, '*/check')):
            with open(path, encoding='utf-8') as file:
                names = re.findall(r"'(\w+)'", ' '.join(re.findall(r'ex\.build\(\[([^\]]*)\]', file.read())))
            for name in names:
                start = os.path.join(os.path.dirname(path), 'start')
                self.assertTrue(exercise.has_guest(ROOT, name) or exercise.has_guest(start, name), f'{path}: {name}')
                seen += 1
        self.assertGreater(seen, 4)

    def test_all_are_tried(self):
        """check-exercises tries the solution and the start of every exercise, and fails if one of them does."""
        done = subprocess.run(['make', '-n', '-o', 'build/margay', '-o', 'guests', 'check-exercises'], cwd=ROOT, text=True,
                              env={'PATH': os.environ['PATH']}, capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        for path in glob.glob(os.path.join(EXERCISES, '*/check')):
            name = os.path.basename(os.path.dirname(path))
            self.assertRegex(done.stdout, rf'for e in [^;]*\b{re.escape(name)}[ ;]')
        self.assertIn('--solution --start', done.stdout)


CHECK = """
import sys
sys.path.insert(0, {exercises!r})
from exercise import Broken, Exercise, Fail, compile_host
def check(ex):
    text = open(ex.file('answer'), encoding='utf-8').read()
    if text == 'broken':
        raise Broken('no emulator')
    if text == 'syntax':
        compile_host(ex, [ex.file('bad.c')], '/dev/null')
    if text != 'right':
        raise Fail(f'{{text}} is wrong')
sys.exit(Exercise(__file__).run(check))
"""


class How(unittest.TestCase):
    """The result of an exercise by the option, and by what its files are."""
    def setUp(self):
        # pylint: disable=consider-using-with
        self.room = tempfile.TemporaryDirectory()
        self.addCleanup(self.room.cleanup)
        self.dir = os.path.join(self.room.name, 'sample')
        for name in ('start', 'solution'):
            os.makedirs(os.path.join(self.dir, name))
        self.write('check', CHECK.format(exercises=EXERCISES))
        self.write('solution/answer', 'right')

    def write(self, name, text):
        with open(os.path.join(self.dir, name), 'w', encoding='utf-8') as file:
            file.write(text)

    def check(self, *options):
        return run(os.path.join(self.dir, 'check'), *options, out=self.room.name)

    def test_solution(self):
        self.assertEqual(self.check('--solution'), (0, 'PASS sample\n'))

    def test_unsolved_start(self):
        self.write('start/answer', 'this')
        self.assertEqual(self.check('--start'), (0, 'PASS sample: the unchanged start fails: this is wrong\n'))

    def test_start_that_is_a_solution(self):
        self.write('start/answer', 'right')
        self.assertEqual(self.check('--start'), (1, 'FAIL sample: the check passes with the unchanged start\n'))

    def test_start_that_proves_nothing(self):
        """An emulator that fails, a start that does not compile, and a missing file are no unsolved exercises."""
        self.write('start/answer', 'broken')
        self.assertEqual(self.check('--start'), (1, 'FAIL sample: no emulator\n'))
        self.write('start/answer', 'syntax')
        self.write('start/bad.c', 'int main(void) { return }')
        ended, text = self.check('--start')
        self.assertEqual((ended, text[:36]), (1, 'FAIL sample: sample does not compile'))
        os.remove(os.path.join(self.dir, 'start/answer'))
        ended, text = self.check('--start')
        self.assertEqual(ended, 1, text)
        self.assertIn('no file', text)

    def test_own_work(self):
        ended, text = self.check()
        self.assertEqual((ended, text[:20]), (1, 'FAIL sample: no file'), text)
        self.write('answer', 'this')
        self.assertEqual(self.check(), (1, 'FAIL sample: this is wrong\n'))
        self.write('answer', 'right')
        self.assertEqual(self.check(), (0, 'PASS sample\n'))


if __name__ == '__main__':
    unittest.main()
