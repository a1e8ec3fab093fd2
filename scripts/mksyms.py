#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Read `nm -n` and write the symbol table for Margay's backtraces, as assembly. The table has text symbols only:
offsets from the image's base, sorted, and a string per name. It lies at the image's end, so its size does not move any
symbol between the two link passes.

Text symbols only: offsets from the image's base, sorted, and a string per name. The table lies at the
image's end, so its size does not move any symbol between the two link passes."""
import re
import sys

BASE = 0xFFFFFFFF80000000
# The linker script's symbols have addresses of functions. A name with a dot is a local label of
# NASM or a clone that GCC made of a function.
MARKS = {"image_start", "init_text_start", "init_text_end", "text_end"}
SPLIT = re.compile(r"\w+\.(part|isra|constprop|cold)\b")
syms = []
for line in sys.stdin:
    addr, kind, name = line.split()[:3]
    if kind not in "tT" or name in MARKS or "." in name and not SPLIT.match(name):
        continue
    if int(addr, 16) >= BASE:
        syms.append((int(addr, 16) - BASE, name))
print('\t.section .symtab_ro,"a"\n\t.globl sym_count, sym_addr, sym_name\n\t.balign 4')
print(f"sym_count:\t.long {len(syms)}\nsym_addr:")
for addr, _ in syms:
    print(f"\t.long {addr:#x}")
print("sym_name:")
for _, name in syms:
    print(f'\t.asciz "{name[:40]}"')
print('\t.section .note.GNU-stack,"",@progbits')
