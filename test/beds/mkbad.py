#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Make broken guest kernels out of a good one, for the scenarios of bad input.

    mkbad GOOD DIRECTORY    writes bad-text, bad-cut, bad-note, bad-class, bad-segment, bad-microcode
"""
import os
import struct
import sys

PHYS32_ENTRY = 18


def without_note(elf):
    """Rename the owner of the note that gives the PVH entry point."""
    note = struct.pack('<III', 4, 4, PHYS32_ENTRY) + b'Xen\0'
    wide = struct.pack('<III', 4, 8, PHYS32_ENTRY) + b'Xen\0'
    at = max(elf.find(note), elf.find(wide))
    if at < 0:
        sys.exit('mkbad: the good kernel has no PVH note to break')
    return elf[:at + 12] + b'Nex\0' + elf[at + 16:]


def wild_segment(elf):
    """Let the first segment's file size reach far beyond the file."""
    elf = bytearray(elf)
    phoff, = struct.unpack_from('<Q', elf, 32)
    struct.pack_into('<QQ', elf, phoff + 32, 1 << 62, 1 << 62)
    return bytes(elf)


def microcode():
    """Return an update for the CPU of the bed qemu, in AMD's container. TCG ignores it."""
    table = struct.pack('<11I', 0x00414d44, 0, 32, 0x800f12, 0, 0, 0x8012, 0, 0, 0, 0)
    header = struct.pack('<24I', 0, 0x7fffffff, 0, 0, 0, 0, 0x8012, *bytes(17))
    return table + struct.pack('<2I', 1, len(header)) + header


def main():
    good, directory = sys.argv[1:3]
    with open(good, 'rb') as file:
        elf = file.read()
    kinds = {
        'bad-text': b'This is not a kernel.\n' * 100,
        'bad-cut': elf[:len(elf) // 3],
        'bad-note': without_note(elf),
        'bad-class': elf[:4] + b'\1' + elf[5:],
        'bad-segment': wild_segment(elf),
        'bad-microcode': microcode(),
    }
    for name, data in kinds.items():
        with open(os.path.join(directory, name), 'wb') as file:
            file.write(data)


if __name__ == '__main__':
    main()
