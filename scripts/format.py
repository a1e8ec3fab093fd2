#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Bring the C files into the style of .clang-format, or with --check report the files that differ.

clang-format knows no tabs before a comment at a line's end, and puts each entry of a table or enum
on a line of its own. Such places are left as their author aligned them: a change that only moves a
trailing comment, or only lays out a braced list, a macro, operands of assembly, a one-line function
or a one-line case differently, is not made.
"""
import argparse
import difflib
import os
import re
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
COLUMNS = 100
LIST_START = re.compile(r'(=\s*(\([^()]*\)\s*)?\{?|\benum\b[^;]*\{|\]\s*=.*|^\s+\{.*)\s*(/\*.*)?$')
ONE_LINE_CASE = re.compile(r'\s+(case .+|default):\s+(return\b.*|[^;]*;\s*break);$')
NOT_A_LIST = re.compile(r'(?<!\});|\b(if|else|for|while|do|switch|case|return|goto)\b')


def is_fine(line):
    return len(line.expandtabs(8)) <= COLUMNS and line == line.rstrip()


def squash(lines):
    return re.sub(r'\s+', '', ''.join(lines))


def plain(line):
    """Return the line without the parts that its author may lay out: blanks before a comment or a backslash at the
    end, before a macro's value, and around < and >, which clang-format may take for a C++ template's.
    """
    line = re.sub(r'^(#\s*define\s+[^\s(]+)\s+', r'\1 ', line)
    return re.sub(r'\s*([<>])\s*', r' \1 ', re.sub(r'\s+(?=/\*|\\$)', ' ', line))


def is_asm(old, new):
    """Return whether the lines are assembly with its operands. clang-format has no good layout for them."""
    return squash(old) == squash(new) and \
        any(re.search(r'\basm\b|^\s*:|^\s*"[^"]*"$', line) for line in old)


def macro_laid_out(old, new):
    """Return whether the lines belong to macros and differ in layout only."""
    def text(lines):
        return squash(line.removesuffix('\\') for line in lines)
    return any(re.search(r'^#\s*define|\\$', line) for line in old) and text(old) == text(new)


def one_line_function(old, new):
    """Return whether the lines are functions of one statement each, on one line each."""
    return squash(old) == squash(new) and \
        all(re.match(r'\w.*\) \{ [^;{}]*; \}$', line) or not line for line in old)


def list_laid_out(old, new, before):
    """Return whether the lines hold only entries of a braced list and differ in layout only."""
    if any(NOT_A_LIST.search(line) for line in old + new) or squash(old) != squash(new):
        return False
    inside = any('{' in line for line in old)
    for line in reversed(before):
        if inside or LIST_START.search(line):
            return True
        if not re.match(r'\s+.*,\s*(/\*.*)?$', line) and line.strip():
            return False
    return inside


def table_of_cases(old, new):
    """Return whether the lines are arms of a switch that serves as a table, each on one line."""
    return squash(old) == squash(new) and all(ONE_LINE_CASE.match(line) for line in old)


def keep(old, new, before):
    """Return whether the author's layout of these lines is as good as clang-format's."""
    if not old or not all(is_fine(line) for line in old):
        return False
    if [plain(line) for line in old] == [plain(line) for line in new]:
        return True
    return macro_laid_out(old, new) or is_asm(old, new) or table_of_cases(old, new) or \
        one_line_function(old, new) or list_laid_out(old, new, before)


def formatted(path, old):
    done = subprocess.run(['clang-format', '--assume-filename', path], input='\n'.join(old) + '\n',
                          capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(f'format: {path}: {done.stderr.strip()}')
    new, result = done.stdout.split('\n')[:-1], []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == 'equal' or keep(old[a:b], new[c:d], old[:a]):
            result += old[a:b]
        elif b - a == d - c:
            result += [o if keep([o], [n], old[:a + i]) else n
                       for i, (o, n) in enumerate(zip(old[a:b], new[c:d]))]
        else:
            result += new[c:d]
    return result


def files():
    """Return all C files that git tracks or would add. The .def lists are not complete C files."""
    done = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard', '*.c', '*.h'], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f'format: git: {done.stderr.strip()}')
    return [p for p in done.stdout.split('\n') if p and os.path.exists(os.path.join(ROOT, p))]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--check', action='store_true', help='change nothing, show what differs')
    parser.add_argument('files', nargs='*', metavar='FILE', help='default: all')
    parser.error = lambda why: parser.exit(2, f'format: {why}\n')
    args = parser.parse_args()
    paths = [os.path.relpath(path, ROOT) for path in args.files] or files()
    bad = []
    for path in paths:
        with open(os.path.join(ROOT, path), encoding='utf-8') as file:
            old = file.read().split('\n')
        old = old[:-1] if old[-1] == '' else old
        new = formatted(path, old)
        if new == old:
            continue
        bad.append(path)
        if args.check:
            print('\n'.join(difflib.unified_diff(old, new, path, path, lineterm='', n=1)))
            continue
        with open(os.path.join(ROOT, path), 'w', encoding='utf-8') as file:
            file.write('\n'.join(new) + '\n')
    if args.check:
        if bad:
            print(f"format: not in style: {len(bad)} file(s); `make format` puts that right")
        print(f'{len(paths) - len(bad)} passed, {len(bad)} failed, 0 skipped')
        return 1 if bad else 0
    return 0


if __name__ == '__main__':
    sys.exit(main())
