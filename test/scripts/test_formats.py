# SPDX-License-Identifier: BSD-2-Clause
"""Every message of Margay uses only the conversions of its own vsnprintf(). The compiler checks them against the C
library, which has more.
"""
import glob
import os
import re
import unittest

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..')
STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
KNOWN = re.compile(r'%[-0#]*\d*(\.\*)?l?[%csdux]|%[a-z]?\d\b')    # or an operand of inline assembly


def unknown(text):
    """The first conversion in a string that vsnprintf() does not know, or None."""
    at = text.find('%')
    while at >= 0:
        match = KNOWN.match(text, at)
        if not match:
            return text[at:at + 8]
        at = text.find('%', match.end())
    return None


class Formats(unittest.TestCase):
    def test_unknown(self):
        self.assertIsNone(unknown('a %u %#lx %016lx %-5s %.*s 100%%\\n'))
        self.assertEqual(unknown('%u %.4s'), '%.4s')
        self.assertEqual(unknown('%zu'), '%zu')

    def test_sources(self):
        for directory in ('arch', 'common', 'drivers', 'hypercall', 'include/margay'):
            for path in glob.glob(os.path.join(TOP, directory, '**/*.[ch]'), recursive=True):
                with open(path, encoding='utf-8') as file:
                    for number, line in enumerate(file, 1):
                        for text in STRING.findall(line):
                            with self.subTest(line=f'{path}:{number}'):
                                self.assertIsNone(unknown(text))


if __name__ == '__main__':
    unittest.main()
