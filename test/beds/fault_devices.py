# SPDX-License-Identifier: BSD-2-Clause
"""Cases of test/beds/faults.py: wrong ACPI tables of IOMMUs (DMAR, IVRS) and of PCI config space (MCFG), on a whole
machine. gdb puts another table in place of firmware's. Margay reports each error, uses what is sound, and the guest runs.
"""
import struct

import gdbkit as k
from fault_tables import PLACE, cpus, says, tables_case

CASES = {}
VTD = ['-device', 'intel-iommu,intremap=on,aw-bits=48']
AMDVI = ['-device', 'amd-iommu,intremap=on']
VTD_WORKS = r'^\(margay\) iommu: VT-d at 0xfed90000: DMA blocked, 1G pages, interrupts remapped$'
AMDVI_WORKS = r'^\(margay\) iommu: AMD-Vi at 0xfed80000: DMA blocked, 1G pages, interrupts remapped$'
NO_UNITS = r"^\(margay\) iommu: firmware's table has no units$"
RECORDS = 48            # of DMAR and IVRS
MCFG_ENTRIES = 44
IN_RAM = 16 << 20
NOWHERE = 0xfd000000


def devices_case(*expect, **changes):
    return tables_case(*expect, cpus(2), cases=CASES, **changes)


def no_iommu(*expect, qemu):
    return devices_case(*expect, qemu=qemu, forbid=['DMA blocked'])


def iommu_says(text):
    return rf'^\(margay\) iommu: {text}$'


def new_table(name, start, make):
    """Put in place of a table one with the same header and what make() returns for its old content."""
    tables = k.Tables()
    old = k.table_bytes(tables.find(name))
    tables.replace(name, k.with_sum(old[:start] + make(bytes(old[start:]))), PLACE)


def scope(kind, *path, bus=0, length=None):
    steps = b''.join(struct.pack('<BB', *step) for step in path)
    return struct.pack('<BBHBB', kind, 6 + len(steps) if length is None else length, 0, 0, bus) + steps


def drhd(base, *scopes):
    content = b''.join(scopes)
    return struct.pack('<HHBBHQ', 0, 16 + len(content), 0, 0, 0, base) + content


def rmrr(base, limit):
    return struct.pack('<HHHHQQ', 1, 24, 0, 0, base, limit)


def ivhd(base, sbdf, *entries, kind=0x10):
    content = b''.join(entries)
    return struct.pack('<BBHHHQHHI', kind, 0, 24 + len(content), sbdf, 0, base, 0, 0, 0) + content


def ivmd(base, size):
    return struct.pack('<BBHHHQQQ', 0x20, 7, 32, 0, 0, 0, base, size)


@no_iommu(NO_UNITS, qemu=VTD)
def dmar_none():
    """The DMAR has no units: no IOMMU."""
    new_table('DMAR', RECORDS, lambda old: b'')


@no_iommu(says('DMAR: wrong checksum, ignored'), qemu=VTD)
def dmar_checksum():
    """The DMAR is corrupt: no IOMMU."""
    k.spoil(k.Tables().find('DMAR'))


@devices_case(iommu_says('unit at 0xfed90800 ignored: no such address'),
              iommu_says('unit at 0x1000000000000000 ignored: no such address'),
              iommu_says('unit at 0x1000000 ignored: it is RAM'),
              iommu_says('DMAR scope type 9 of bus 0 ignored: its type is unknown'),
              iommu_says('DMAR scope type 1 of bus 0 ignored: its path is empty'),
              iommu_says('DMAR scope type 1 of bus 0 ignored: its path names no function'),
              iommu_says('DMAR scope type 1 of bus 0 ignored: its path leads to no bus'),
              iommu_says('DMAR scope type 2 of bus 200 ignored: its path leads to no bus'),
              says('DMAR scope: entry type 1 at [0-9]+: length 0 is wrong, rest ignored'),
              iommu_says('unit at 0xfed90000 ignored: it is a second one'),
              iommu_says('reserved memory 0x1000000-0x1000fff ignored: it has RAM'),
              iommu_says('reserved memory 0x[0-9a-f]+-0x[0-9a-f]+ ignored: wrong'),
              says('DMAR: entry type 0 at [0-9]+: length 0 is wrong, rest ignored'),
              iommu_says('VT-d at 0xfd000000 blocks no DMA: it does not answer'),
              VTD_WORKS, qemu=VTD)
def dmar_broken():
    """Units, scopes and memory of the DMAR are wrong, but for one unit."""
    def make(old):
        size, = struct.unpack('<H', old[2:4])
        scopes = [old[16:size], scope(9, (1, 0)), scope(1), scope(1, (40, 0)),
                  scope(1, *[(31, 0)] * 100), scope(2, (0, 0), (0, 0), bus=200), scope(1, length=0)]
        return b''.join([drhd(0xfed90800), drhd(1 << 60), drhd(IN_RAM), drhd(NOWHERE), drhd(0xfed90000, *scopes),
                         old[:size], rmrr(IN_RAM, IN_RAM + 0xfff), rmrr(0xf0000000, 0xe0000000), bytes(32)])
    new_table('DMAR', RECORDS, make)


@no_iommu(NO_UNITS, qemu=AMDVI)
def ivrs_none():
    """The IVRS has no units: no IOMMU."""
    new_table('IVRS', RECORDS, lambda old: b'')


@devices_case(iommu_says('reserved memory 0x1000000-0x1000fff ignored: it has RAM'),
              iommu_says('reserved memory 0xfffff000-0x[0-9a-f]+ ignored: wrong'),
              iommu_says('unit at 0xfed81000 ignored: no such address'),
              iommu_says('unit at 0x1000000 ignored: it is RAM'),
              iommu_says('IVRS: device entry type 9 ignored'),
              iommu_says('IVRS: range to 0x30 has no start, ignored'),
              says('IVHD: entry type 66 at [0-9]+: length 8 is wrong, rest ignored'),
              iommu_says('unit at 0xfed80000 ignored: it is a second one'),
              says('IVRS: entry type 16 at [0-9]+: length 0 is wrong, rest ignored'),
              AMDVI_WORKS, qemu=AMDVI)
def ivrs_broken():
    """Units, ranges and memory of the IVRS are wrong, but for one unit."""
    def make(old):
        size, = struct.unpack('<H', old[2:4])
        sbdf, = struct.unpack('<H', old[4:6])
        entries = [old[24:size], struct.pack('<BHB', 9, 0, 0), struct.pack('<BHB', 4, 0x30, 0),
                   struct.pack('<BHB', 3, 0x40, 0), struct.pack('<BHB', 66, 0x50, 0)]
        good = old[:4] + old[4:24] + b''.join(entries)
        good = good[:2] + struct.pack('<H', len(good)) + good[4:]
        return b''.join([ivmd(IN_RAM, 0x1000), ivmd(0xfffff000, 1 << 60), ivhd(0xfed81000, 0xf0), ivhd(IN_RAM, 0xf8),
                         good, ivhd(0xfed80000, sbdf + 8), bytes([16]) + bytes(31)])
    new_table('IVRS', RECORDS, make)


@devices_case(says('MCFG: 0xb0000000, segment 0, buses 0 to 255 ignored: a bus has two'),
              says('MCFG: 0x12345000, segment 2, buses 0 to 1 ignored: no such address'),
              says('MCFG: 0xc0000000, segment 3, buses 5 to 3 ignored: its last bus is below the first'),
              says('MCFG: length [0-9]+ is wrong'),
              says('MCFG: config space at 0x1000000 ignored: it has RAM'),
              VTD_WORKS, qemu=VTD)
def mcfg_broken():
    """Entries of the MCFG are wrong; one is in RAM, which must not be taken for devices."""
    def make(old):
        return b''.join([old[:16], *(struct.pack('<QHBBI', base, segment, first, last, 0) for base, segment, first, last in (
            (0xb0000000, 0, 0, 255), (0x12345000, 2, 0, 1), (0xc0000000, 3, 5, 3), (IN_RAM, 1, 0, 15))), bytes(4)])
    new_table('MCFG', MCFG_ENTRIES, make)


@devices_case(says('MCFG: wrong checksum, ignored'), VTD_WORKS, qemu=VTD)
def mcfg_checksum():
    """The MCFG is corrupt: config space by ports."""
    k.spoil(k.Tables().find('MCFG'))
