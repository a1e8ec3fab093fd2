# SPDX-License-Identifier: BSD-2-Clause
"""Every operation that a hypercall handles has a name for keys and mgctl: include/margay/operations.def."""
import glob
import os
import re
import unittest

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..')
# Only Xen's tools may use its constant.
NAMELESS = {'XENMEM_claim_pages'}


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


class Operations(unittest.TestCase):
    def test_names(self):
        text = read(os.path.join(TOP, 'include/margay/operations.def'))
        named = set(re.findall(r'^OPERATION\(\w+, (\w+),|(?<=\) )OPERATION\(\w+, (\w+),', text, flags=re.M))
        named = {name for pair in named for name in pair if name}
        prefixes = dict(re.findall(r'^#define (\w+)\(\w+(?:, \w+)?\) OPERATION\(\w+, (\w+)##', text, flags=re.M))
        for macro, prefix in prefixes.items():
            named |= {prefix + name for name in re.findall(rf'(?<!define )\b{macro}\((\w+)', text)}
        # Those of one sysctl or domctl are not counted apart, and physdev_op serves none.
        handled = {name for path in glob.glob(os.path.join(TOP, 'hypercall/*.c')) for name in
                   re.findall(r'case ((?!XEN_(?:SYS|DOM)CTL_|PHYSDEVOP_)(?:\w+OP|XENMEM|XENVER|CONSOLEIO|VMASST_CMD|MARGAY)_\w+):', read(path))}
        self.assertGreater(len(handled), 60)
        self.assertEqual(handled - named - NAMELESS, set())


if __name__ == '__main__':
    unittest.main()
