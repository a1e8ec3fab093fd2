# SPDX-License-Identifier: BSD-2-Clause
"""The book's exercises, as a reader begins them."""
import glob
import os
import re
import sys
import unittest

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..'))
EXERCISES = os.path.join(ROOT, 'Documentation/exercises')
sys.dont_write_bytecode = True
sys.path.insert(0, EXERCISES)
# pylint: disable=wrong-import-position
import exercise  # noqa: E402


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


if __name__ == '__main__':
    unittest.main()
