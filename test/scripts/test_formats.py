# SPDX-License-Identifier: BSD-2-Clause
"""Every message of Margay uses only the conversions of its own vsnprintf(). The compiler checks them against the C
library, which has more. And with names and numbers of common lengths each line fits a terminal.
"""
import glob
import os
import re
import unittest

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..')
STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
KNOWN = re.compile(r'%[-0#]*\d*(\.\*)?l?[%csdux]|%[a-z]?\d\b')    # or an operand of inline assembly


MESSAGE = re.compile(r'\b(?:printk|pr_err|pr_warn|pr_info|pr_debug|refuse|module_refuse|panic)\(')
LITERALS = re.compile(r'\s*(?:l, |reason, )?((?:"(?:[^"\\]|\\.)*"\s*)+)')
COLUMNS = 80 - len('(margay) ')
COMMON = {'s': 7, 'c': 1, 'u': 2, 'd': 2, 'x': 6}


def longest_line(text):
    """Return the length of the longest line of a message. Text stands for each conversion as in COMMON."""
    def value(match):
        width, kind = re.match(r'%[-0#]*(\d*).*(.)$', match[0]).groups()
        return '%' if kind == '%' else 'x' * int(width or COMMON[kind])
    return max(len(KNOWN.sub(value, line)) for line in text.split('\\n'))


def unknown(text):
    """The first conversion in a string that vsnprintf() does not know, or None."""
    at = text.find('%')
    while at >= 0:
        match = KNOWN.match(text, at)
        if not match:
            return text[at:at + 8]
        at = text.find('%', match.end())
    return None


def sources():
    """Yield the path and the text of each source of the hypervisor."""
    for directory in ('arch', 'common', 'drivers', 'hypercall', 'include/margay'):
        for path in glob.glob(os.path.join(TOP, directory, '**/*.[ch]'), recursive=True):
            with open(path, encoding='utf-8') as file:
                yield path, file.read()


class Formats(unittest.TestCase):
    def test_unknown(self):
        self.assertIsNone(unknown('a %u %#lx %016lx %-5s %.*s 100%%\\n'))
        self.assertEqual(unknown('%u %.4s'), '%.4s')
        self.assertEqual(unknown('%zu'), '%zu')

    def test_sources(self):
        for path, source in sources():
            for number, line in enumerate(source.split('\n'), 1):
                for text in STRING.findall(line):
                    with self.subTest(line=f'{path}:{number}'):
                        self.assertIsNone(unknown(text))

    def test_lines_fit_a_terminal(self):
        self.assertEqual(longest_line('a %04x: %.*s\\n%u%%\\n'), 15)
        found = 0
        for path, source in sources():
            for match in MESSAGE.finditer(source):
                literals = LITERALS.match(source, match.end())
                if literals:
                    text = ''.join(STRING.findall(literals[1]))
                    found += 1
                    with self.subTest(path=path, text=text):
                        self.assertLessEqual(longest_line(text), COLUMNS)
        self.assertGreater(found, 250)


if __name__ == '__main__':
    unittest.main()
