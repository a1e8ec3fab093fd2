#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Write corrupt copies of a policy module, each of which the loader must refuse.

corrupt MODULE COUNT DIRECTORY: the same files for the same module, each named after what is wrong.
"""
import pathlib
import random
import struct
import sys

SECTION = struct.Struct('<IIQQQQIIQQ')
NAME, TYPE, FLAGS, OFFSET, SIZE, ALIGN = 0, 4, 8, 24, 32, 48
PROGBITS, SYMTAB, RELA, NOTE = 1, 2, 4, 7
WRITE, ALLOC, EXEC = 1, 2, 4


class Module:
    def __init__(self, data):
        self.data = bytearray(data)
        self.headers, = struct.unpack_from('<Q', data, 40)
        count, = struct.unpack_from('<H', data, 60)
        self.sections = [SECTION.unpack_from(data, self.headers + 64 * i) for i in range(count)]

    def put(self, form, offset, *values):
        struct.pack_into('<' + form, self.data, offset, *values)

    def pick(self, rng, fits):
        """Return the number of a section that is not empty and that fits(type, flags)."""
        return rng.choice([i for i, s in enumerate(self.sections) if s[5] and fits(s[1], s[2])])

    def put_section(self, i, field, value):
        self.put('I' if field in (NAME, TYPE) else 'Q', self.headers + 64 * i + field, value)

    def entry(self, rng, kind, size):
        """Return the offset of one of a section's entries; of relocations, one of a loaded section."""
        loaded = {i for i, s in enumerate(self.sections) if s[2] & ALLOC}
        tables = [s for s in self.sections if s[1] == kind and s[5] and (kind != RELA or s[7] in loaded)]
        table = rng.choice(tables)
        return table[4] + size * rng.randrange(table[5] // size)


def cut(m, rng):
    del m.data[rng.randrange(len(m.data)):]


def header(m, rng):
    offset, form, values = rng.choice((
        (0, 'B', (0, 0x7e)), (4, 'B', (0, 1, 3)), (5, 'B', (0, 2)), (16, 'H', (0, 2, 3, 4)),
        (18, 'H', (3, 183, 243)), (40, 'Q', (1 << 40, 2**64 - 64, len(m.data) - 63)),
        (58, 'H', (0, 40, 63, 65)), (60, 'H', (0, 65, 0xffff)), (62, 'H', (0, 1, 0xffff))))
    m.put(form, offset, rng.choice(values))


def section_place(m, rng):
    i = m.pick(rng, lambda kind, flags: kind in (PROGBITS, SYMTAB, RELA, NOTE))
    m.put_section(i, *rng.choice(((OFFSET, len(m.data)), (OFFSET, 2**64 - 8), (SIZE, len(m.data)),
                                  (SIZE, 2**63), (NAME, 0xffff))))


def section_kind(m, rng):
    i = m.pick(rng, lambda kind, flags: flags & ALLOC)
    m.put_section(i, *rng.choice(((TYPE, 14), (TYPE, 0x70000001), (FLAGS, WRITE | ALLOC | EXEC),
                                  (FLAGS, ALLOC | 0x400), (FLAGS, 2**63 | ALLOC), (ALIGN, 3),
                                  (ALIGN, 8192))))


def relocation(m, rng):
    offset = m.entry(rng, RELA, 24)
    rng.choice((lambda: m.put('Q', offset, rng.choice((1 << 20, 2**64 - 1, 2**64 - 4))),
                lambda: m.put('I', offset + 8, rng.choice((0, 3, 5, 9, 12, 17, 22, 41, 255))),
                lambda: m.put('I', offset + 12, rng.choice((0xffff, 2**32 - 1))),
                lambda: m.put('q', offset + 16, 2**63 - 1 - rng.randrange(99))))()


def description(m, rng):
    """The symbol policy_module has another type, another section, too small a size or another name."""
    symtab = next(s for s in m.sections if s[1] == SYMTAB)
    strings = m.sections[symtab[6]][4]
    for offset in range(symtab[4], symtab[4] + symtab[5], 24):
        name, = struct.unpack_from('<I', m.data, offset)
        if m.data[strings + name:].startswith(b'policy_module\0'):
            form, at, value = rng.choice((
                ('I', 0, name + 1), ('I', 0, 2**32 - 1), ('B', 4, 0x12), ('B', 4, 0x10),
                ('H', 6, 0), ('H', 6, 0xfff1), ('H', 6, 0xfff2), ('H', 6, len(m.sections)),
                ('Q', 8, 1), ('Q', 8, 2**64 - 8), ('Q', 16, 8)))
            m.put(form, offset + at, value)


def note(m, rng):
    at = m.data.index(b'Margay\0')
    form, offset, value = rng.choice((('B', 0, 0x6d), ('I', -12, 2**32 - 1), ('I', -8, 2**32 - 4),
                                      ('I', -4, rng.randrange(3, 99)), ('I', 8, rng.randrange(2, 99)),
                                      ('I', 8, 0)))
    m.put(form, at + offset, value)


def main():
    if len(sys.argv) != 4:
        sys.exit('usage: corrupt MODULE COUNT DIRECTORY')
    data, directory = pathlib.Path(sys.argv[1]).read_bytes(), pathlib.Path(sys.argv[3])
    directory.mkdir(parents=True, exist_ok=True)
    rng = random.Random(1)
    kinds = (cut, header, section_place, section_kind, relocation, description, note)
    for i in range(int(sys.argv[2])):
        module, kind = Module(data), kinds[i % len(kinds)]
        kind(module, rng)
        (directory / f'{i:03}-{kind.__name__}.mod').write_bytes(module.data)


if __name__ == '__main__':
    main()
