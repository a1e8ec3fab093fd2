# SPDX-License-Identifier: BSD-2-Clause
"""Cases of test/beds/faults.py: wrong ACPI tables and boot modules, on a whole machine. gdb stops Margay where it
starts to read them and corrupts them in memory. Margay reports each error, and the guest runs with the rest.
fault_cases.py describes the form of a case.

gdb stops Margay where it starts to read them and spoils them in memory. Whatever is wrong is named,
and the guest runs with what is left. See fault_cases.py for the form of a case.
"""
import struct

import gdbkit as k
from fault_cases import HELLO, case

CASES = {}
PLACE = 0x70000         # unused RAM below 1 MiB
HALTED = r'^\(margay\) this machine cannot be powered off by ACPI: halted$'
PIT = r'^\(margay\) TSC: [0-9.]+ MHz by PIT$'
ONE_CPU = [r'^\(margay\) acpi: no CPU in a MADT \(APIC table\): using one CPU$',
           r'^\(margay\) 1 CPU on 1 node;', HELLO]
NUMA = ['-object', 'memory-backend-ram,id=m0,size=256M', '-object',
        'memory-backend-ram,id=m1,size=256M', '-numa', 'node,nodeid=0,cpus=0-1,memdev=m0',
        '-numa', 'node,nodeid=1,cpus=2-3,memdev=m1']
DISTANCES = [*NUMA, '-numa', 'dist,src=0,dst=1,val=31']
NODES = {'cpus': 4, 'flags': 'vcpus=2 dedicated=1-2'}     # its guest has CPUs and memory of both nodes
LAPIC, X2APIC, MEMORY = 0, 9, 1
MADT_ENTRIES, SRAT_ENTRIES, SLIT_MATRIX = 44, 48, 44


def cpus(number, nodes=1):
    return rf'^\(margay\) {number} CPUs? on {nodes} nodes?;'


def says(text):
    return rf'^\(margay\) acpi: {text}$'


def tables_case(*expect, cases=None, **changes):
    """A case in which Margay continues: it expects the guest's PASS and forbids a panic."""
    # A guest that is pinned to a CPU that is lost is not started.
    changes = {'flags': '' if ONE_CPU[0] in expect else 'pin=1', 'panics': False, 'halts': False, 'ends': 'off', 'options': '', **changes}
    expect = list(expect) + ([] if HELLO in expect else [HELLO])
    return case(CASES if cases is None else cases, expect=expect, **changes)


def entries(table, start):
    """Return the entries of a MADT or SRAT, as bytes each."""
    result = []
    while start < len(table):
        result.append(bytes(table[start:start + table[start + 1]]))
        start += table[start + 1]
    return result


def lapic(apic_id):
    return struct.pack('<BBBBI', LAPIC, 8, apic_id, apic_id, 1)


def x2apic(apic_id):
    return struct.pack('<BBHIII', X2APIC, 16, 0, apic_id, 1, apic_id)


def new_madt(change):
    """Write another MADT, with the entries that change() makes of the machine's CPU and other entries."""
    tables = k.Tables()
    madt = k.table_bytes(tables.find('APIC'))
    old = entries(madt, MADT_ENTRIES)
    new = change([e for e in old if e[0] == LAPIC], [e for e in old if e[0] != LAPIC])
    tables.replace('APIC', k.with_sum(madt[:MADT_ENTRIES] + b''.join(new)), PLACE)


@tables_case(says("the boot loader's RSDP is corrupt"), *ONE_CPU, HALTED, ends='any')
def rsdp_checksum():
    """The RSDP is corrupt: one CPU, and no power-off."""
    k.write(k.Tables().rsdp + 8, b'\x55')


@tables_case(says('no RSDP'), *ONE_CPU, HALTED, ends='any')
def rsdp_none():
    """The boot loader gives no RSDP."""
    k.stop('acpi_parse')
    k.put('rdi', 0)


@tables_case(says('RSDT: wrong checksum, ignored'), says(r'no root table \(XSDT or RSDT\)'),
             *ONE_CPU, HALTED, ends='any')
def rsdt_checksum():
    """The only root table is corrupt: as if there were none."""
    k.spoil(k.Tables().root)


def new_xsdt():
    """Give the boot loader's RSDP version 2, with an XSDT (which SeaBIOS does not provide) and the RSDT."""
    tables = k.Tables()
    rsdt, xsdt = k.table_bytes(tables.root), PLACE + 64
    listed = b''.join(struct.pack('<Q', table) for _, table in tables.entries())
    k.write(xsdt, k.with_sum(b'XSDT' + rsdt[4:36] + listed))
    rsdp = bytearray(k.read(tables.rsdp, 20) + struct.pack('<IQI', 36, xsdt, 0))
    rsdp[15], rsdp[8] = 2, 0
    rsdp[8] = -sum(rsdp[:20]) & 0xff
    rsdp[32] = -sum(rsdp) & 0xff
    k.write(PLACE, rsdp)
    k.put('rdi', k.phys(PLACE))
    k.put('rsi', len(rsdp))
    return xsdt


@tables_case(cpus(2), forbid=['acpi:'])
def xsdt():
    """A valid XSDT: the same as the next two, not corrupted."""
    new_xsdt()


@tables_case(says('XSDT: wrong checksum, ignored'), cpus(2))
def xsdt_checksum():
    """The XSDT is corrupt: Margay uses the RSDT."""
    k.spoil(new_xsdt())


@tables_case(says('XSDT: length 4294967295 is wrong, ignored'), cpus(2))
def xsdt_length():
    """The XSDT's length is absurd: Margay uses the RSDT."""
    k.write(new_xsdt() + 4, b'\xff\xff\xff\xff')


@tables_case(says('APIC: wrong checksum, ignored'), *ONE_CPU)
def madt_checksum():
    """The MADT is corrupt: one CPU."""
    k.spoil(k.Tables().find('APIC'))


@tables_case(*ONE_CPU)
def madt_none():
    """There is no MADT: one CPU."""
    madt = k.Tables().find('APIC')
    k.write(madt, b'NONE')
    k.fix_sum(madt)


@tables_case(says('APIC: wrong checksum, ignored'), *ONE_CPU)
def madt_length():
    """The MADT's length reaches beyond RAM."""
    k.write(k.Tables().find('APIC') + 4, struct.pack('<I', 2 << 20))


@tables_case(says('APIC: entry type 2 at [0-9]+: length 0 is wrong, rest ignored'), cpus(2))
def madt_entry():
    """An entry of the MADT has length 0: Margay uses the entries before it."""
    new_madt(lambda old, rest: [*old, *[e for e in rest if e[0] == 1], b'\x02\x00', *rest])


@tables_case(says('APIC: entry type 0 at 44: length 0 is wrong, rest ignored'), *ONE_CPU)
def madt_first_entry():
    """The very first entry of the MADT has length 0."""
    new_madt(lambda old, rest: [b'\x00\x00', *old, *rest])


@tables_case(says('APIC: more than 1024 CPUs, APIC id 2024 ignored'),
             says('APIC: more than 1024 CPUs, APIC id 2099 ignored'), cpus(2))
def madt_1100():
    """1,100 CPUs in the MADT, of which two exist and 1,024 fit into Margay's list."""
    new_madt(lambda old, rest: [*old, *(x2apic(1000 + i) for i in range(2, 1100)), *rest])


@tables_case(r'^\(margay\) CPU with APIC id 7 did not start$', cpus(2))
def madt_ghost():
    """The MADT has a CPU that does not exist."""
    new_madt(lambda old, rest: [old[0], lapic(7), old[1], *rest])


@tables_case(r'^\(margay\) CPU with APIC id 257 needs x2APIC mode: not started$', cpus(2))
def madt_x2apic():
    """A CPU with an APIC id that needs x2APIC mode, on a machine without that mode."""
    new_madt(lambda old, rest: [old[0], x2apic(257), old[1], *rest])


@tables_case(says('APIC: second table of this name, ignored'), cpus(2))
def madt_twice():
    """Two entries of the root table lead to a MADT."""
    tables = k.Tables()
    at = tables.entry_of('WAET')
    k.write(at, k.read(tables.entry_of('APIC'), tables.width))
    k.fix_sum(tables.root)


@tables_case(says('SRAT: wrong checksum, ignored'), cpus(4, 1), qemu=NUMA, **NODES)
def srat_checksum():
    """The SRAT is corrupt: one node."""
    k.spoil(k.Tables().find('SRAT'))


@tables_case(says('SRAT: more than 64 nodes, domain [0-9]+ joins the last'), cpus(4, 64), qemu=NUMA,
             **NODES)
def srat_nodes():
    """The SRAT names nodes that no other table knows, too many of them, and CPUs that do not exist."""
    tables = k.Tables()
    srat = k.table_bytes(tables.find('SRAT'))
    for node in range(100):
        apic_id = node if node < 3 else 100 + node
        srat += struct.pack('<BBIHQQIIQ', MEMORY, 40, 0xdead0000 + node, 0, (16 + node) << 40,
                            1 << 30, 0, 1, 0)
        srat += struct.pack('<BBHIIIII', 2, 24, 0, 0xbeef0000 + node, apic_id, 1, 0, 0)
    tables.replace('SRAT', k.with_sum(srat), PLACE)


@tables_case(says('SRAT: entry type 1 at [0-9]+: length 0 is wrong, rest ignored'),
             r'^\(margay\) 4 CPUs on', qemu=NUMA, **NODES)
def srat_entry():
    """An entry of the SRAT has length 0."""
    tables = k.Tables()
    srat = k.table_bytes(tables.find('SRAT'))
    srat[SRAT_ENTRIES:SRAT_ENTRIES] = b'\x01\x00'
    tables.replace('SRAT', k.with_sum(srat), PLACE)


@tables_case(says('SLIT: distance 9 of nodes 0 and 1 is wrong, ignored'), cpus(4, 2),
             qemu=DISTANCES, **NODES)
def slit_distance():
    """The SLIT has a distance that is less than that of a node to itself."""
    slit = k.Tables().find('SLIT')
    k.write(slit + SLIT_MATRIX + 1, b'\x09')
    k.fix_sum(slit)


@tables_case(says('SLIT: length 48 is wrong for 3 nodes, ignored'), cpus(4, 2), qemu=DISTANCES, **NODES)
def slit_nodes():
    """The SLIT has a matrix for fewer nodes than it says."""
    slit = k.Tables().find('SLIT')
    k.write(slit + SLIT_MATRIX - 8, b'\x03')
    k.fix_sum(slit)


@tables_case(says('SLIT: wrong checksum, ignored'), cpus(4, 2), cpus=4, qemu=DISTANCES)
def slit_checksum():
    """The SLIT is corrupt."""
    k.spoil(k.Tables().find('SLIT'))


@tables_case(says('HPET: wrong checksum, ignored'), PIT, cpus(2))
def hpet_checksum():
    """The HPET table is corrupt: the PIT measures the TSC."""
    k.spoil(k.Tables().find('HPET'))


@tables_case(says('HPET: length 4294967295 is wrong, ignored'),
             PIT, cpus(2))
def hpet_length():
    """The HPET table's length is absurd."""
    k.write(k.Tables().find('HPET') + 4, b'\xff\xff\xff\xff')


@tables_case(r"^\(margay\) TSC: the PIT says 21830393 kHz, the HPET [0-9]+ kHz: using the HPET's rate$",
             r'^\(margay\) TSC: [0-9.]+ MHz by HPET$', cpus(2))
def pit_wrong():
    """The PIT's rate differs from the HPET's, three times: the HPET's is used."""
    for _ in range(3):
        k.stop('pit_calibrate')
        k.here_returns(21830393000)


@tables_case(says('FACP: wrong checksum, ignored'), cpus(2), HELLO, HALTED, ends='any')
def fadt_checksum():
    """The FADT is corrupt: no power-off."""
    k.spoil(k.Tables().find('FACP'))
