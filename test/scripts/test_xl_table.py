# SPDX-License-Identifier: BSD-2-Clause
"""The table of xl's commands in Documentation/status.rst has every command that `xl help` lists, and only tests that
there are."""
import os
import re
import sys
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..')
sys.path.insert(0, os.path.join(ROOT, 'test/beds'))
# pylint: disable=wrong-import-position
import scenarios  # noqa: E402


def read(path):
    with open(os.path.join(ROOT, path), encoding='utf-8') as file:
        return file.read()


def table():
    """Return the rows of the table, as lists of cells."""
    text = read('Documentation/status.rst').split('Every command of ``xl help``')[1]
    rows = text.split('Command | State | Test\n')[1].split('\n\n')[0]
    return [[cell.strip() for cell in row.split('|')] for row in rows.split('\n')]


class TableTest(unittest.TestCase):
    def test_commands(self):
        said = read('test/beds/control/tests/xl-same.expected').split('full list of subcommands:')[1].split('\n$ ')[0]
        commands = set(re.findall(r'^ ([a-z][a-z0-9-]+)(?: [A-Z]|$)', said, re.MULTILINE)) | {'help'}
        self.assertGreater(len(commands), 80)
        named = [name for row in table() for name in re.findall('``([a-z0-9-]+)``', row[0])]
        self.assertEqual(sorted(named), sorted(commands))

    def test_tests(self):
        known = {scenario['name'] for scenario in scenarios.load()}
        for row in table():
            for name in re.findall('``(xl-[a-z*]+)``', row[2]):
                self.assertTrue(name == 'xl-*' or name in known, f'{row[0]}: no scenario {name}')


if __name__ == '__main__':
    unittest.main()
