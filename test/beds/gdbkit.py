# SPDX-License-Identifier: BSD-2-Clause
"""Helpers for the cases of test/beds/faults.py. They run inside gdb, which is attached to the emulated
machine: stop Margay at a function, look at its variables, and change registers and memory. All
addresses are virtual ones of Margay; physical memory is reached through its direct map.
"""
import contextlib
import os
import struct
import subprocess
import sys
import traceback

try:
    import gdb
except ImportError:     # the runner itself, which only reads the table of cases
    gdb = None

DIRECTMAP = 0xffff800000000000
PAGE = 4096
PTE_USER = 4
PTE_LARGE = 0x80
PTE_NX = 1 << 63
PTE_ADDR = 0x000ffffffffff000
DONE = 'the fault is injected'    # the runner looks for it: the case did all that it has to


def run(inject):
    """Do what a case says; when that fails the machine ends, and gdb with an error. From the detach on the machine may
    end at any time, and its runner ends gdb then.
    """
    try:
        inject()
        print(DONE, flush=True)
        with contextlib.suppress(gdb.error):
            command('detach')
    except Exception:   # pylint: disable=broad-except
        traceback.print_exc(file=sys.stdout)
        command('kill')
        command('quit 1')


def command(text):
    return gdb.execute(text, to_string=True)


def monitor(text):
    """QEMU's monitor."""
    return command('monitor ' + text)


def value(expression):
    return int(gdb.parse_and_eval(expression)) & 0xffffffffffffffff


def address(symbol):
    return value(f'(unsigned long)&{symbol}')


def guest_symbol(name, symbol):
    """An address in a program of the guest library."""
    path = os.path.join(os.environ.get('O', 'build'), 'guests', name)
    names = subprocess.run(['nm', path], check=True, capture_output=True, text=True).stdout
    return next(int(line.split()[0], 16) for line in names.splitlines() if line.split()[-1] == symbol)


def put(register, number):
    command(f'set ${register} = {number:#x}')


def read(where, size):
    return bytes(gdb.selected_inferior().read_memory(where, size))


def write(where, data):
    gdb.selected_inferior().write_memory(where, bytes(data))


def read_u64(where):
    return struct.unpack('<Q', read(where, 8))[0]


def write_u64(where, number):
    write(where, struct.pack('<Q', number & 0xffffffffffffffff))


def phys(where):
    """The place of a physical address in Margay's direct map."""
    return DIRECTMAP + where


def stop(where, cpu=None):
    """Let the machine run until a CPU (any, or that one) gets to a function or `*ADDRESS`."""
    text = where if cpu is None else f'{where} thread {cpu + 1}'
    command('thbreak ' + text)
    command('continue')
    if cpu is not None and gdb.selected_thread().num != cpu + 1:
        raise gdb.GdbError(f'stopped on CPU {gdb.selected_thread().num - 1}, not {cpu}')


def here_calls(function, *arguments):
    """At a function's first instruction: its caller has called another one instead."""
    put('rip', address(function))
    for register, argument in zip(('rdi', 'rsi', 'rdx'), arguments):
        put(register, argument)


def here_returns(number):
    """At a function's first instruction: it returns this number at once."""
    stack = value('$rsp')
    put('rax', number)
    put('rip', read_u64(stack))
    put('rsp', stack + 8)


def here_jumps(where):
    put('rip', where)


def make_user_page():
    """A page that user mode could read, write and execute: in low memory that nobody uses."""
    where, table = phys(0x9000), value('$cr3') & PTE_ADDR
    for level in (3, 2, 1, 0):
        at = phys(table) + (where >> 12 + 9 * level & 511) * 8
        entry = read_u64(at)
        if not entry & 1 or level and entry & PTE_LARGE:
            raise gdb.GdbError(f'{where:#x} is not mapped by small pages')
        write_u64(at, (entry | PTE_USER) & ~PTE_NX)
        table = entry & PTE_ADDR
    # Writing CR3 makes the emulator flush its TLB.
    command('maintenance packet P1d=' + struct.pack('<Q', value('$cr3')).hex())
    return where


class Tables:
    """The machine's ACPI tables, found as Margay is about to find them. From here on all memory is
    read and written by physical addresses, for Margay has not mapped the tables yet."""
    def __init__(self):
        stop('acpi_parse')
        self.rsdp = value('$rdi') - DIRECTMAP
        command('maintenance packet Qqemu.PhyMemMode:1')
        revision = read(self.rsdp + 15, 1)[0]
        self.width = 8 if revision >= 2 else 4
        at = self.rsdp + (24 if revision >= 2 else 16)
        self.root = int.from_bytes(read(at, self.width), 'little')

    def entries(self):
        """(address of the root table's entry, address of the table) of each."""
        size, = struct.unpack('<I', read(self.root + 4, 4))
        for at in range(self.root + 36, self.root + size, self.width):
            yield at, int.from_bytes(read(at, self.width), 'little')

    def find(self, name):
        """The address of a table of that name."""
        for _, table in self.entries():
            if read(table, 4) == name.encode():
                return table
        raise gdb.GdbError(f'the machine has no table {name}')

    def entry_of(self, name):
        return next(at for at, table in self.entries() if table == self.find(name))

    def replace(self, name, data, where):
        """Let the root table lead to other bytes, which are put at a physical address."""
        write(where, data)
        at = self.entry_of(name)
        write(at, where.to_bytes(self.width, 'little'))
        fix_sum(self.root)


def table_bytes(where):
    size, = struct.unpack('<I', read(where + 4, 4))
    return bytearray(read(where, size))


def with_sum(data):
    """A table's bytes with the right length and checksum."""
    data = bytearray(data)
    data[4:8] = struct.pack('<I', len(data))
    data[9] = 0
    data[9] = -sum(data) & 0xff
    return data


def fix_sum(where):
    write(where, with_sum(table_bytes(where)))


def spoil(where):
    """Make the checksum wrong."""
    write(where + 9, bytes([read(where + 9, 1)[0] ^ 0x55]))
