#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Run the parts of `make check`, each a target of make, and sum up.

The last line of the output is `N passed, N failed, N skipped`. A part that tests many things prints
such a line itself (or cmocka's, or unittest's), and counts as many; any other part counts as one.
Before it come the failed tests, each with a command that runs it again. A part prints such a test as
`FAILED NAME; again: COMMAND`, and after it lines with `    | ` that say why, which are repeated;
unittest's are recognized too; else the command runs the whole part.
The full output of a part is left in $O/test/PART.log, the last line in $O/test/totals.
"""
import os
import re
import shlex
import subprocess
import sys
import time

TOTALS = re.compile(r'^(\d+) passed, (\d+) failed, (\d+) skipped')
CMOCKA = re.compile(r'^\[  (PASSED|FAILED|SKIPPED)  \].*?(\d+) test')
UNITTEST = re.compile(r'^Ran (\d+) tests? in ')
UNITTEST_FAIL = re.compile(r'^(?:FAIL|ERROR): (\w+) \(([\w.]+)\)')
AGAIN = re.compile(r'^FAILED (.+); again: (.+)')
WHY = '    | '
UNITTEST_BAD = re.compile(r'(failures|errors|skipped)=(\d+)')


def count(lines, status):
    """Return (passed, failed, skipped) of a part's output."""
    totals = [match for match in map(TOTALS.match, lines) if match]
    passed = failed = skipped = 0
    if totals:
        passed, failed, skipped = map(int, totals[-1].groups())
    else:
        for line in lines:
            match = CMOCKA.match(line)
            if match:
                passed += int(match[2]) * (match[1] == 'PASSED')
                failed += int(match[2]) * (match[1] == 'FAILED')
                skipped += int(match[2]) * (match[1] == 'SKIPPED')
            match = UNITTEST.match(line)
            if match:
                passed += int(match[1])
            if re.match(r'(OK|FAILED) \(', line):
                for kind, number in UNITTEST_BAD.findall(line):
                    passed -= int(number)
                    skipped += int(number) * (kind == 'skipped')
                    failed += int(number) * (kind != 'skipped')
        if passed + failed + skipped == 0 and status == 0:
            passed = 1
    if status and not failed:
        failed = 1
    return passed, failed, skipped


def failures(part, lines, make):
    """Return (test, command that runs it again, lines that say why) for each failed test of a part that failed."""
    result = []
    for line in lines:
        match = AGAIN.match(line)
        if match:
            result.append((*match.groups(), []))
        if result and line.startswith(WHY):
            result[-1][2].append(line)
        match = UNITTEST_FAIL.match(line)
        if match:
            # MODULE.CLASS.METHOD; Python 3.10 and older omit the METHOD. A file that does not load has a class of its own.
            words = match[2].removesuffix('.' + match[1]).split('.') + [match[1]]
            words = words[-1:] if '_FailedTest' in words else words
            result.append(('.'.join(words), f'python3 -B test/scripts/{words[0]}.py {".".join(words[1:])}'.strip(), []))
    return result or [('', f'{make} {part}', [])]


def run_part(make, part, directory):
    """Run one target and print its output as it comes. Return its counts and the failed tests (failures())."""
    print(f'== {part}', flush=True)
    start, lines = time.monotonic(), []
    with open(os.path.join(directory, part + '.log'), 'w', encoding='utf-8') as log, \
            subprocess.Popen([*make, part], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             stdin=subprocess.DEVNULL, text=True, errors='replace',
                             close_fds=False) as process:  # make's job server is inherited
        for line in process.stdout:
            log.write(line)
            print(line, end='', flush=True)
            lines.append(line.rstrip('\n'))
        status = process.wait()
    result = count(lines, status)
    print(f'== {part}: {result[0]} passed, {result[1]} failed, {result[2]} skipped'
          f' ({time.monotonic() - start:.0f} s)', flush=True)
    return result, failures(part, lines, plain(make)) if result[1] else []


def plain(make):
    """Return make's words as a person types them."""
    return ' '.join(['make', *(shlex.quote(word) for word in make[1:] if word[:2] == 'O=' and word != 'O=build')])


def main():
    if len(sys.argv) < 2:
        print('usage: check PART...', file=sys.stderr)
        return 2
    out = os.environ.get('O', 'build')
    directory = os.path.join(out, 'test')
    os.makedirs(directory, exist_ok=True)
    make = [os.environ.get('MAKE', 'make'), '--no-print-directory', f'O={out}']
    results = {part: run_part(make, part, directory) for part in sys.argv[1:]}
    print()
    for part, ((passed, failed, skipped), _) in results.items():
        print(f'{part:16} {passed:5} passed {failed:5} failed {skipped:5} skipped')
    for part, (_, failed) in results.items():
        for name, again, why in failed:
            print('\n'.join([f'FAILED {part} {name}'.rstrip(), f'    again: {again}', *why]))
    passed, failed, skipped = (sum(column) for column in zip(*(counts for counts, _ in results.values())))
    totals = f'{passed} passed, {failed} failed, {skipped} skipped'
    with open(os.path.join(directory, 'totals'), 'w', encoding='utf-8') as file:
        file.write(totals + '\n')
    print(totals)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
