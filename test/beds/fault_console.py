# SPDX-License-Identifier: BSD-2-Clause
"""Cases of test/beds/faults.py: consoles. The screen is read back and must show Margay's messages, and
firmware's tables of serial ports, right and wrong, are made here. See fault_cases.py.
"""
import importlib.machinery
import importlib.util
import os
import re
import struct
import tempfile

from fault_cases import HELLO, case
import gdbkit as k

CASES = {}
HERE = os.path.dirname(os.path.abspath(__file__))
FONT = '/usr/share/grub/ascii.pf2'
BANNER = '(margay) Margay, a hypervisor'
BANNER_LINE = r'^\(margay\) Margay, a hypervisor'
IO, MEMORY, COM2, DEBUG_SERIAL = 1, 0, 0x2f8, 0x8000
TABLES = tempfile.TemporaryDirectory(prefix='margay-tables-')   # pylint: disable=consider-using-with


def glyphs():
    """The rows of each character from the blank on, as the build makes them."""
    path = os.path.join(HERE, '../../scripts/mkfont.py')
    loader = importlib.machinery.SourceFileLoader('mkfont', path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader('mkfont', loader))
    loader.exec_module(module)
    with open(FONT, 'rb') as file:
        return module.font(file.read())


def text_of_pixels(path):
    """The lines of text in a PPM file, where each cell of 8 x 16 pixels is a glyph or `?`."""
    with open(path, 'rb') as file:
        data = file.read()
    header = re.match(rb'P6\s+(\d+)\s+(\d+)\s+255\s', data)
    width, height = int(header[1]), int(header[2])
    pixels = data[header.end():]
    known = {bytes(rows): chr(0x20 + i) for i, rows in enumerate(glyphs())}

    def cell(x, y):
        at = (y * width + x) * 3
        return sum(0x80 >> i for i in range(8) if pixels[at + 3 * i] > 127)

    return [''.join(known.get(bytes(cell(x, y + row) for row in range(16)), '?')
                    for x in range(0, width - 7, 8)) for y in range(0, height - 15, 16)]


def shows(lines, *wanted):
    for text in wanted:
        if not any(text in line for line in lines):
            return f"the screen does not show '{text}': {[line.rstrip() for line in lines[:4]]}"
    return None


def pixels_show_text(ask):
    with tempfile.TemporaryDirectory() as work:
        path = os.path.join(work, 'screen.ppm')
        ask(f'screendump {path}')
        return shows(text_of_pixels(path), BANNER, '[hello] PASS hello')


def vga_shows_text(ask):
    words = re.findall(r'0x([0-9a-f]{4})\b', ask('xp /2000hx 0xb8000'))
    text = ''.join(chr(int(word, 16) & 0x7f) for word in words)
    return shows([text[i:i + 80] for i in range(0, len(text), 80)], BANNER, '[hello] PASS hello')


def console_case(*expect, **changes):
    changes = {'panics': False, 'halts': False, 'gdb': False, 'options': '', 'ends': 'off', **changes}
    return case(CASES, expect=[*expect, HELLO], ordered=False, **changes)


@console_case(screen=vga_shows_text, when_empty='wait', ends='any')
def screen_text():
    """VGA text, as a PC's firmware leaves it, shows Margay's messages and a guest's."""


@console_case(screen=pixels_show_text, firmware='uefi', when_empty='wait', ends='any')
def screen_pixels():
    """The screen of UEFI shows Margay's messages and a guest's."""


def acpi_table(name, body):
    table = name + struct.pack('<IBB6s8sI4sI', 36 + len(body), 2, 0, b'MARGAY', b'TEST    ', 1,
                               b'TEST', 1) + body
    return table[:9] + bytes([-sum(table) & 255]) + table[10:]


def gas(space, address, bits=8, access=1):
    return struct.pack('<BBBBQ', space, bits, 0, access, address)


def spcr(address, kind=0):
    return acpi_table(b'SPCR', struct.pack('<B3s12sBBIBBBBBBHHBBBIBI', kind, b'', address, 0, 0, 0,
                                           7, 0, 1, 0, 0, 0, 0xffff, 0xffff, 0, 0, 0, 0, 0, 0))


def dbg2(address, length=38):
    return acpi_table(b'DBG2', struct.pack('<II', 44, 1) + struct.pack(
        '<BHBHHHHHHHHH', 0, length, 1, 0, 0, 0, 0, DEBUG_SERIAL, 0, 0, 22, 34) + address
        + struct.pack('<I', 8))


def with_table(table):
    """QEMU's arguments for COM2 as the line that is read, and an ACPI table."""
    with tempfile.NamedTemporaryFile(dir=TABLES.name, delete=False) as file:
        file.write(table)
    return ['-serial', 'null', '-acpitable', f'file={file.name}']


@console_case(BANNER_LINE, options='console=spcr', qemu=with_table(spcr(gas(IO, COM2))))
def spcr_port():
    """SPCR names COM2: all output goes there."""


@console_case(BANNER_LINE, options='console=dbg2', qemu=with_table(dbg2(gas(IO, COM2))))
def dbg2_port():
    """DBG2 names COM2: all output goes there."""


def wrong(message, table, name):
    return console_case(rf'^\(margay\) {message}', options=f'console=com2,{name}',
                        qemu=with_table(table))


@console_case(r'^\(margay\) device registers at 0xa000000-0xa[0-9a-f]+ are in RAM: ignored$', options='console=com1,vga', gdb=True)
def screen_in_ram():
    """The boot loader's screen lies in RAM: nothing is drawn there."""
    k.stop('screen_init')
    k.command('set var boot_info.screen.base = 0xa000000')


@wrong('acpi: SPCR: port at 0xffff: space 1, 8 bits, access 1: ignored',
       spcr(gas(IO, 0xffff)), 'spcr')
def spcr_address():
    """SPCR names ports above the last."""


@wrong('acpi: SPCR: interface type 3 is no 16550, ignored', spcr(gas(IO, COM2), 3), 'spcr')
def spcr_type():
    """SPCR names another kind of device."""


@wrong('device registers at 0x1000000-0x1000020 are in RAM: ignored', spcr(gas(MEMORY, 0x1000000, 32, 3)),
       'spcr')
def spcr_ram():
    """SPCR names RAM as a device."""


@wrong("device registers at 0x200000000000-0x200000000020 are above the CPU's addresses: ignored",
       spcr(gas(MEMORY, 1 << 45, 32, 3)), 'spcr')
def spcr_above():
    """SPCR names an address that the CPU does not have."""


@wrong('console spcr: no serial port there', spcr(gas(MEMORY, 0xfed80000, 32, 3)), 'spcr')
def spcr_nothing():
    """SPCR names memory where no device is."""


@wrong('acpi: DBG2: device at 44: length 500 is wrong, rest ignored', dbg2(gas(IO, COM2), 500), 'dbg2')
def dbg2_length():
    """A device of DBG2 is longer than the table."""
