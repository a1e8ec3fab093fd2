# SPDX-License-Identifier: BSD-2-Clause
"""Builds and boots the steps of the chapter "From an empty file"."""
import os
import subprocess

from exercise import OUT, ROOT, Broken, Fail, boot_image

STEPS = {
    1: ('one.asm',),
    2: ('start.asm', 'two.c'),
    3: ('start.asm', 'three.c', 'svm_on.c', 'vmx_on.c'),
    4: ('start.asm', 'four.c', 'svm_on.c', 'vmx_on.c', 'svm_enter.c', 'vmx_enter.c', 'switch.asm'),
    5: ('start.asm', 'five.c', 'svm_on.c', 'vmx_on.c', 'svm_enter.c', 'vmx_enter.c', 'switch.asm'),
}
OURS = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'steps')
CFLAGS = ('-std=gnu11 -O2 -Wall -Wextra -Wno-main -ffreestanding -fno-pic -fno-stack-protector '
          '-fcf-protection=none -mno-red-zone -mgeneral-regs-only').split()
LD = ('ld', '-nostdlib', '-static', '-n', '--no-warn-rwx-segments', '-z', 'noexecstack')


def call(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    if done.returncode:
        raise Broken('it does not build:\n' + done.stdout.strip())


def build(step, directory, work):
    """Build a step from the files in `directory`, or from the tree's. Return the program's path."""
    directory = os.path.abspath(directory or OURS)
    os.makedirs(work, exist_ok=True)
    objects = []
    for name in STEPS[step]:
        source = os.path.join(directory, name)
        target = os.path.join(work, name + '.o')
        if not os.path.exists(source):
            raise Fail(f'no file {source}')
        if name.endswith('.c'):
            call('gcc', *CFLAGS, '-c', source, '-o', target)
        else:
            call('nasm', '-f', 'elf64', source, '-o', target)
        objects.append(target)
    script = os.path.join(directory, 'link.ld')
    if not os.path.exists(script):
        raise Fail(f'no file {script}')
    program = os.path.join(work, f'step{step}')
    call(*LD, '-T', script, *objects, '-o', program)
    return program


def boot(program, vtx, work, label):
    """Boot the program and return the lines of its serial line, without GRUB's."""
    image = os.path.join(work, label + '.iso')
    call(os.path.join(ROOT, 'scripts/mkimage'), '-o', image, '--no-check', '--cache',
         os.path.join(OUT, 'cache/grub'), program)
    lines = boot_image(image, os.path.join(work, label + '.log'), mem=128,
                       bed='broadwell' if vtx else 'qemu')
    first = next((n for n, line in enumerate(lines) if line.startswith('step')), len(lines))
    return [line.rstrip() for line in lines[first:]]
