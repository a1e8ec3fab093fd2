# SPDX-License-Identifier: BSD-2-Clause
"""Cases of test/beds/faults.py: the boot loader's information is wrong, or the CPU lacks a feature. gdb stops Margay
before it reads the information and changes it. See fault_cases.py.

gdb stops Margay before it reads the loader's information and changes it. See fault_cases.py.
"""
import struct

import gdbkit as k
from fault_cases import HELLO, case

CASES = {}
MODULE, MEMORY_MAP = 3, 6
OTHERS = [['hello', 'guest name=a mem=32M'], ['hello', 'guest name=b mem=32M']]
SAYS = r'^\(margay\) module 2 \(guest name=a mem=32M file=hello\) at 0x[0-9a-f]+-0x[0-9a-f]+$'
NO_SVM = r'^\(margay\) no usable hardware virtualization: Margay needs AMD-V'
HALTED = r'^\(margay\) halted$'


def goes_on(*expect, **changes):
    changes = {'panics': False, 'halts': False, 'ends': 'off', 'options': '', 'modules': OTHERS,
               **changes}
    return case(CASES, expect=list(expect), ordered=False, **changes)


def stops(message, before=()):
    """A panic before the options are read, so that it reboots."""
    return case(CASES, halts=False, expect=[
        *before, r'^\(margay\) panic on CPU 0:$', rf'^\(margay\) {message}$',
        r'^\(margay\) backtrace:$', r' boot_main\+',
        r'^\(margay\) panic: the machine reboots in 5 seconds$'])


def without(cpu, *expect):
    """A CPU that lacks a feature: Margay reports it and halts."""
    return case(CASES, cpu=cpu, gdb=False, panics=False, expect=list(expect))


def tags():
    """Yield the address and type of each tag of the loader's information, at Margay's mb2_parse()."""
    k.stop('mb2_parse')
    info = k.value('$rdi')
    total, = struct.unpack('<I', k.read(info, 4))
    at = info + 8
    while at < info + total:
        kind, size = struct.unpack('<II', k.read(at, 8))
        yield at, kind
        at += size + 7 & ~7


def modules():
    return [at for at, kind in tags() if kind == MODULE]


@goes_on(r'^\(margay\) modules 2 \(guest name=a .*\) and 3 \(guest name=b .*\)$',
         r'^\(margay\)   overlap, neither is used$', r'^\(margay\) guest hello: domain', HELLO, forbid=['guest [ab]: domain'])
def modules_overlap():
    """Two modules overlap: neither is used, the third guest starts."""
    _, first, second = modules()
    k.write(second + 8, k.read(first + 8, 8))


@goes_on(SAYS, r'^\(margay\)   is not in RAM, not used$', HELLO, r'^\[b\] PASS hello$')
def module_outside():
    """A module lies outside of RAM."""
    k.write(modules()[1] + 8, struct.pack('<II', 0x80000000, 0x80100000))


@goes_on(SAYS, r'^\(margay\)   ends before it starts, not used$', HELLO, r'^\[b\] PASS hello$')
def module_reversed():
    """A module ends before it starts."""
    k.write(modules()[1] + 8, struct.pack('<II', 0x2000000, 0x1000000))


@goes_on(SAYS, r'^\(margay\)   is empty, not used$', HELLO, r'^\[b\] PASS hello$')
def module_empty():
    """A module of no bytes."""
    k.write(modules()[1] + 8, struct.pack('<II', 0x1000000, 0x1000000))


@goes_on(r'^\(margay\) module 2 \(\) ', r'^\(margay\)   its string is not terminated, not used$', HELLO,
         r'^\[b\] PASS hello$')
def module_string():
    """A module's command line is not terminated."""
    at = modules()[1]
    size, = struct.unpack('<I', k.read(at + 4, 4))
    k.write(at + 16, b'x' * (size - 16))


@stops("the boot loader's information is unusable",
       [r'^\(margay\) multiboot2: no memory map$'])
def no_memory_map():
    """The loader gives no memory map."""
    for at, kind in tags():
        if kind == MEMORY_MAP:
            k.write(at, b'\x99')


@stops("the boot loader's information is unusable",
       [r'^\(margay\) multiboot2: tag type 6 at [0-9]+: size 3 is wrong$'])
def bad_tag():
    """A tag is shorter than its minimum."""
    k.write(next(at for at, kind in tags() if kind == MEMORY_MAP) + 4, b'\3\0\0\0')


@stops(r'not started by a multiboot2 loader \(magic 0x2badb002\)')
def bad_loader():
    """Another kind of loader."""
    k.stop('boot_main')
    k.put('rdi', 0x2badb002)


@without('qemu64,-svm', NO_SVM, HALTED)
def no_svm():
    """A CPU without AMD-V."""


@without('max,+svm,-npt', r"^\(margay\) this CPU's AMD-V has no nested paging", NO_SVM, HALTED)
def no_npt():
    """AMD-V without nested paging."""


@without('qemu64,-nx', r'^\(margay\) this CPU has no 64-bit mode or no NX')
def no_nx():
    """A CPU without NX."""


@without('pentium3', r'^\(margay\) this CPU has no 64-bit mode or no NX')
def no_long_mode():
    """A CPU of 32 bits."""


@case(CASES, cpu='Dhyana,+svm', gdb=False, expect=[HELLO], options='', panics=False, halts=False, ends='off')
def hygon():
    """AMD-V by another vendor than AMD: guests get AMD's hypercall instruction."""
