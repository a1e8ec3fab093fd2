# SPDX-License-Identifier: BSD-2-Clause
"""The tree cites only sections of the SDM that the book's table lists."""
import os
import sys
import tempfile
import unittest

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..'))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, 'Documentation/ext'))
import manuals    # pylint: disable=wrong-import-position,import-error


class Manuals(unittest.TestCase):
    def test_citations(self):
        for text, wanted in (
                ('/* SDM 3C 27.6. */', ['3C 27.6']),
                ('/* SDM\n * 3A 6.9 and 6.15. */', ['3A 6.9', '3A 6.15']),
                ('(SDM 3A 5.3 to 5.5)', ['3A 5.3', '3A 5.5']),
                ('SDM 3C 24.7, 3D A, B and C.', ['3C 24.7', '3D A', '3D B', '3D C']),
                ('SDM 1 13, 3B 18.2. SDM 4, IA32_ARCH', ['1 13', '3B 18.2', '4']),
                ('SDM 3C, chapters 24 to 30)', ['3C 24', '3C 30']),
                ('SDM 3A table 6-5, APM2 9.3', ['3A table 6-5'])):
            self.assertEqual(manuals.citations(text), wanted, text)

    def test_tree(self):
        self.assertEqual(manuals.unlisted(), [])

    def test_wrong_citations(self):
        with tempfile.TemporaryDirectory() as top:
            os.makedirs(os.path.join(top, 'Documentation'))
            os.makedirs(os.path.join(top, 'arch'))
            with open(os.path.join(top, 'Documentation/manuals.rst'), 'w', encoding='utf-8') as file:
                file.write(':name: sdm-sections\n\n   3C 27.6 | Event Injection\n')
            with open(os.path.join(top, 'arch/a.c'), 'w', encoding='utf-8') as file:
                file.write('/* SDM 3C 26.6. */ /* SDM 3A 27.6. */ /* SDM 3C 27.6. */\n')
            self.assertEqual(manuals.unlisted(top), [('arch/a.c', '3C 26.6'), ('arch/a.c', '3A 27.6')])


if __name__ == '__main__':
    unittest.main()
