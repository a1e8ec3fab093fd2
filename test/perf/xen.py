# SPDX-License-Identifier: BSD-2-Clause
"""Measure Debian's Xen from outside, by the emulator's plugin count.c and the map of Xen's symbols: the cost of its
instruction decoder, the time to its first guest, and its returns to a guest.
"""
import os
import re
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../beds'))
# pylint: disable=wrong-import-position
import beds  # noqa: E402

XEN, MAP = (os.path.join(beds.CACHE, 'xen', name) for name in ('xen', 'xen.map'))
PLUGIN = os.path.join(beds.OUT, 'tools/count.so')
PT_LOAD = 1
# Its text, and the stubs of each CPU.
RANGE = '0xffff82d040000000:0xffff82d0c0000000'
# Xen calls it for the length of an intercepted instruction. If the CPU stores the next RIP at an
# exit (NRIPS) it uses that and decodes nothing.
DECODER = 'svm_get_insn_len'
# The return to a paravirtual guest, from an exception, an interrupt or a hypercall.
RETURN = 'x86_64/entry.S#restore_all_guest'
ROW = re.compile('row' + r' (\d+)' * 7)


def need(path):
    if not os.path.exists(path):
        raise beds.BedError(f'no {path} (run scripts/setup check)')
    return path


def symbol(name):
    """Return the address of a symbol of Xen."""
    with open(need(MAP), encoding='utf-8') as file:
        for line in file:
            address, _, this = line.split()
            if this == name:
                return int(address, 16)
    raise beds.BedError(f'{MAP} has no {name}')


def image():
    """Return Xen's loaded image, and the physical address of its entry, which is its start."""
    with open(need(XEN), 'rb') as file:
        elf = file.read()
    entry, table = struct.unpack_from('<II', elf, 24)
    count, = struct.unpack_from('<H', elf, 44)
    for i in range(count):
        kind, offset, _, start, size = struct.unpack_from('<5I', elf, table + 32 * i)
        if kind == PT_LOAD and start == entry:
            return elf[offset:offset + size], entry
    raise beds.BedError(f'{XEN} does not begin with its entry')


def returns_of(function):
    """Return the addresses after the calls of a function. No jump may lead to the function: it would return to an
    address that is not watched.
    """
    code, _ = image()
    base, target = symbol('start'), symbol(function)
    end = symbol('_etext') - base - 4

    def places(opcode):
        return [at for at in (m.start() for m in re.finditer(opcode, code[:end]))
                if base + at + 5 + struct.unpack_from('<i', code, at + 1)[0] == target]

    calls = places(rb'\xe8')
    if not calls or places(rb'\xe9'):
        raise beds.BedError(f'{XEN} calls {function} {len(calls)} times, or jumps to it: '
                            f'{MAP} may be of another build')
    return [base + at + 5 for at in calls]


def counting(path, **options):
    """Return QEMU's arguments that let the plugin write its counts to a file."""
    if not os.path.exists(PLUGIN):
        raise beds.BedError(f'no {PLUGIN} (run make perf)')
    text = ''.join(f',{name}={value}' for name, value in options.items())
    return ['-plugin', f'{PLUGIN},to={path}{text}']


def decoding():
    """Return the plugin's options to count the work of the decoder."""
    return {'inside': ':'.join(map(hex, [symbol(DECODER), *returns_of(DECODER)]))}


def entering():
    """Return the plugin's options to count from Xen's entry to the first run of a guest."""
    return {'from': hex(image()[1])}


def returning():
    """Return the plugin's options to count the returns to a paravirtual guest."""
    return {'passes': hex(symbol(RETURN))}


def counted(path, what):
    """Return the number that the plugin wrote after that word."""
    with open(path, encoding='utf-8') as file:
        found = re.search(rf'^{what} (\d+)$', file.read(), re.M)
    if not found:
        raise beds.BedError(f'no {what} in {path}')
    return int(found[1])


def rows_of(path):
    """Return [(intervals, instructions, of these in the decoder, its calls, in the range, VMRUNs, the median of the
    intervals' instructions), ...], a row per guest.
    """
    with open(path, encoding='utf-8') as file:
        return [tuple(map(int, row)) for row in ROW.findall(file.read())]
