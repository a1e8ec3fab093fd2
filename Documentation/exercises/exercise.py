# SPDX-License-Identifier: BSD-2-Clause
"""Code that the exercises' `check` scripts share. Without arguments a check looks at this tree, with --solution at a
copy of it under $O/exercises to which the reference solution was applied. With --start it looks at such a copy with
the files of start/, or without any, and must find them unsolved.
"""
import argparse
import glob
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..'))
OUT = os.path.abspath(os.environ.get('O', os.path.join(ROOT, 'build')))
COPIED = ('arch', 'common', 'drivers', 'guests', 'hypercall', 'include', 'iommu', 'modules',
          'scripts', 'test', 'tools', 'Makefile', 'VERSION')
LIMIT = 60      # seconds of the emulator for one boot; Bochs needs more


class Fail(Exception):
    """The exercise is not solved; the text gives the reason."""


class Broken(Fail):
    """The check could not judge the exercise: a build, an image or an emulator failed."""


def apply_patch(tree, path):
    """Apply a unified diff. Hunks are found by their text, wherever the lines have moved to."""
    with open(path, encoding='utf-8') as file:
        parts = re.split(r'^--- .*\n\+\+\+ [^/\n]*/(\S+).*\n', file.read(), flags=re.M)
    for name, hunks in zip(parts[1::2], parts[2::2]):
        target = os.path.join(tree, name)
        with open(target, encoding='utf-8') as file:
            text = file.read()
        for hunk in re.split(r'^@@.*\n', hunks, flags=re.M)[1:]:
            lines = hunk.splitlines(keepends=True)
            old = ''.join(line[1:] for line in lines if line[0] in ' -')
            new = ''.join(line[1:] for line in lines if line[0] in ' +')
            if text.count(old) != 1:
                raise Broken(f'the solution is out of date: {path} does not fit {name}')
            text = text.replace(old, new)
        with open(target, 'w', encoding='utf-8') as file:
            file.write(text)


def boot_image(image, log, cpus=1, mem=256, extra=(), typed=(), bed='qemu'):
    """Boot an image and return the lines of its serial line. typed: see Exercise.boot()."""
    # pylint: disable=too-many-arguments,import-outside-toplevel
    sys.path.insert(0, os.path.join(ROOT, 'test/beds'))
    os.chdir(ROOT)
    import beds

    class Watch(beds.Watcher):
        """Collects the lines and types the input."""
        def __init__(self):
            self.lines, self.todo = [], list(typed)

        def line(self, text, now):
            self.lines.append(text)

        def waiting(self, partial, now):
            if self.todo and any(re.search(self.todo[0][0], x) for x in self.lines + [partial]):
                return self.todo.pop(0)[1]
            return None

    watch = Watch()
    try:
        limit = LIMIT if bed == 'qemu' else 5 * LIMIT
        ended = beds.run(bed, beds.Machine(image, cpus=cpus, mem=mem, extra=extra), watch, log, limit)
    except beds.BedError as error:
        raise Broken(f'{bed}: {error}') from error
    for line in watch.lines:
        if re.search(r'\(margay\) panic', line):
            raise Broken(f'{line.strip()} (see {log})')
        if re.search(r'^(\[[^]]*\] )?FAIL ', line):
            raise Fail(f'{line.strip()} (see {log})')
    if ended.how != 'off':
        raise Broken(f'the machine did not end within {limit} s (see {log})')
    return watch.lines


class Exercise:
    """An exercise: the location of its tree, and the operations that a check needs."""
    def __init__(self, script):
        self.dir = os.path.dirname(os.path.abspath(script))
        self.name = os.path.basename(self.dir)
        parser = argparse.ArgumentParser(description=f'Check the exercise "{self.name}".')
        which = parser.add_mutually_exclusive_group()
        which.add_argument('--solution', action='store_true', help='try the reference solution')
        which.add_argument('--start', action='store_true', help='try that the unchanged start fails')
        parser.error = lambda why: parser.exit(2, f'check: {why}\n')
        args = parser.parse_args()
        self.solution, self.start = args.solution, args.start
        self.given = 'solution' if args.solution else 'start' if args.start else ''
        self.tree, self.out = ROOT, OUT
        self.work = os.path.join(OUT, 'exercises', self.name, *(['start'] if args.start else []))

    def run(self, check):
        """Call check(self) and print the result. Return the exit status."""
        os.makedirs(self.work, exist_ok=True)
        try:
            check(self)
            reason = None
        except Broken as error:
            print(f'FAIL {self.name}: {error}')
            return 1
        except Fail as error:
            reason = str(error)
        if not self.start:
            print(f'FAIL {self.name}: {reason}' if reason else f'PASS {self.name}')
            return 1 if reason else 0
        if not reason:
            print(f'FAIL {self.name}: the check passes with the unchanged start')
            return 1
        print(f'PASS {self.name}: the unchanged start fails: {reason}')
        return 0

    def file(self, name):
        """Return the path of the reader's file of that name in the exercise's directory, or of the solution's or
        start's.
        """
        path = os.path.join(self.dir, self.given, name)
        if not os.path.exists(path):
            raise (Broken if self.given else Fail)(f'no file {os.path.relpath(path, ROOT)}; begin with a copy from start/')
        return path

    def answers(self, names):
        """Read NAME = NUMBER lines of the file `answers`; all names must have a number."""
        path, found = self.file('answers'), {}
        with open(path, encoding='utf-8') as file:
            for line in file:
                match = re.match(r'(\w+) *= *(0x[0-9a-fA-F]+|\d+)?\s*(#.*)?$', line)
                if match and match[2]:
                    found[match[1]] = int(match[2], 0)
        for name in names:
            if name not in found:
                raise Fail(f'{os.path.relpath(path, ROOT)} gives no number for {name}')
        return found

    def copy_tree(self):
        """Return a copy of the tree with the build's objects, so that only changed files are compiled again."""
        self.tree = os.path.join(self.work, 'tree')
        # Make's dependency files use the object names of the build.
        rel = os.path.relpath(OUT, ROOT)
        reuse = not rel.startswith('..')
        self.out = os.path.join(self.tree, rel if reuse else 'build')
        shutil.rmtree(self.tree, ignore_errors=True)
        os.makedirs(self.out)
        for name in COPIED:
            source, target = os.path.join(ROOT, name), os.path.join(self.tree, name)
            if os.path.isdir(source):
                shutil.copytree(source, target, symlinks=True)
            elif os.path.exists(source):
                shutil.copy2(source, target)
        for name in ('obj', 'guests/obj', 'flags'):
            if reuse and os.path.isdir(os.path.join(OUT, name)):
                shutil.copytree(os.path.join(OUT, name), os.path.join(self.out, name))
        given = os.path.join(self.dir, self.given)
        for where, _, files in os.walk(given):
            for name in files:
                path = os.path.join(where, name)
                if name.endswith('.patch'):
                    apply_patch(self.tree, path)
                else:
                    target = os.path.join(self.tree, os.path.relpath(path, given))
                    os.makedirs(os.path.dirname(target), exist_ok=True)
                    shutil.copyfile(path, target)

    def build(self, guests, targets=()):
        """Build Margay, guests and other targets, in the reader's tree or in a copy with the solution or the start."""
        for name in guests:
            if not self.given and not has_guest(ROOT, name):
                raise Fail(f'no guests/{name}.c; begin with a copy from start/')
        if self.given:
            self.copy_tree()
        out = os.path.relpath(self.out, self.tree)
        command = ['make', '--no-print-directory', f'O={out}', 'margay',
                   *[f'{out}/guests/{guest}' for guest in guests], *targets]
        environment = {key: value for key, value in os.environ.items()
                       if key not in ('MAKEFLAGS', 'MAKELEVEL', 'MFLAGS', 'O')}
        done = subprocess.run(command, cwd=self.tree, stdout=subprocess.PIPE, env=environment,
                              stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise Broken('it does not build:\n' + done.stdout.strip()[-2000:])

    def boot(self, modules, options='', cpus=1, mem=256, qemu=(), typed=(), label='run'):
        """Boot Margay with modules (guest, string) and return the lines of the console. typed is a list of (regular
        expression, text): a line that matches makes the machine receive the text.
        """
        # pylint: disable=too-many-arguments
        image = os.path.join(self.work, label + '.iso')
        command = [os.path.join(ROOT, 'scripts/mkimage'), '-o', image, '--no-check', '--options',
                   f'when_empty=poweroff {options}', '--cache', os.path.join(OUT, 'cache/grub')]
        for guest, text in modules:
            command += ['--module', f'{self.out}/guests/{guest}={text}']
        done = subprocess.run([*command, os.path.join(self.out, 'margay')], check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise Broken(f'no image: {done.stdout.strip()}')
        return boot_image(image, os.path.join(self.work, label + '.log'), cpus, mem, qemu, typed)


def has_guest(tree, name):
    """Return whether the tree has that guest's source: one of Margay's, or of the tests."""
    return any(glob.glob(os.path.join(tree, where, f'{name}.c')) for where in ('guests', 'test/guests/*'))


def want(lines, pattern):
    """Return the first match of pattern in the lines. Fail if there is none."""
    for line in lines:
        match = re.search(pattern, line)
        if match:
            return match
    raise Fail(f"no line on the console matches '{pattern}'")


def total(lines, guest, counter):
    """Return the sum of a guest's counter, such as `hypercall sched_op`, over its operations. Fail if there is none."""
    pattern = rf'^\(margay\) {guest}: {counter}(?: \S+)? (\d+)$'
    want(lines, pattern)
    return sum(int(match[1]) for line in lines if (match := re.search(pattern, line)))


def compile_host(ex, sources, program, flags=()):
    """Compile sources for the build machine, with sanitizers."""
    command = ['gcc', '-std=gnu11', '-Wall', '-Wextra', '-O1', '-g', '-fsanitize=address,undefined',
               '-fno-sanitize-recover=all', *flags, '-o', program, *sources]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    if done.returncode:
        raise Broken(f'{ex.name} does not compile:\n{done.stdout}')


def check_numbers(ex, headers, numbers):
    """Compare the reader's answers with C expressions that use the headers."""
    given = ex.answers(numbers)
    text = ''.join(f'#include {header}\n' for header in ('<stddef.h>', *headers))
    if any(header.startswith('"xen/') for header in headers):
        text = ('#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__\n'
                '#include <stdint.h>\n' + text)
    for name, expression in numbers.items():
        text += f'_Static_assert(({expression}) == {given[name]:#x}UL, "{name} is not {given[name]:#x}");\n'
    command = ['gcc', '-std=gnu11', '-w', '-fsyntax-only', '-I.', '-Iinclude', '-Icommon', '-xc', '-']
    done = subprocess.run(command, input=text, cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    wrong = re.findall(r'static assertion failed: "(.*)"', done.stdout)
    if wrong:
        raise Fail('; '.join(wrong))
    if done.returncode:
        raise Broken(done.stdout[:500])


def check_function(ex, name, flags=()):
    """Compile the reader's C file together with the exercise's test.c, which includes it, and run it. test.c prints
    what is wrong.
    """
    program = os.path.join(ex.work, 'test')
    compile_host(ex, [os.path.join(ex.dir, 'test.c')], program, [f'-DFILE_UNDER_TEST="{ex.file(name)}"', *flags])
    try:
        done = subprocess.run([program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=60, check=False, env={'ASAN_OPTIONS': 'detect_leaks=0'})
    except subprocess.TimeoutExpired as error:
        raise Fail(f'{name} does not end') from error
    if done.returncode:
        wrong = [line for line in done.stdout.splitlines() if line.strip('= ')]
        raise Fail(wrong[0] if wrong else f'{name} ended with {done.returncode}')
