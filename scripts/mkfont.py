#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Write the glyphs of Margay's screen as assembly, from a font of GRUB's: mkfont.py FONT.pf2

The font is ascii.pf2 of Debian's package grub-common: GNU Unifont, cells of 8 x 16 pixels. The file
has sections of a name, a length (both 4 bytes) and contents, big endian. CHIX lists code point (4
bytes), flags (1) and the glyph's offset in the file (4). A glyph is width, height, x and y offset of
its lower left corner, advance (2 bytes each), and its pixels, packed without gaps.
"""
import struct
import sys

HEIGHT, WIDTH, FIRST, LAST = 16, 8, 0x20, 0x7e


def sections(data):
    at = 0
    while at + 8 <= len(data):
        name, length = struct.unpack_from('>4sI', data, at)
        if name == b'DATA':     # the rest of the file
            return
        yield name, data[at + 8:at + 8 + length]
        at += 8 + length


def glyph(data, at, ascent):
    """The rows of a cell, a byte each."""
    width, height, x, y, _ = struct.unpack_from('>HHhhh', data, at)
    rows = [0] * HEIGHT
    for bit in range(width * height):
        if data[at + 10 + bit // 8] & 0x80 >> bit % 8:
            row, column = ascent - y - height + bit // width, x + bit % width
            if 0 <= row < HEIGHT and 0 <= column < WIDTH:
                rows[row] |= 0x80 >> column
    return rows


def font(data):
    parts = dict(sections(data))
    if parts.get(b'FILE') != b'PFF2' or b'CHIX' not in parts or b'ASCE' not in parts:
        sys.exit('mkfont: not a PFF2 font')
    ascent, = struct.unpack('>H', parts[b'ASCE'])
    index = {code: at for code, _, at in struct.iter_unpack('>IBI', parts[b'CHIX'])}
    missing = [code for code in range(FIRST, LAST + 1) if code not in index]
    if missing:
        sys.exit(f'mkfont: no glyph for {missing[0]:#x}')
    return [glyph(data, index[code], ascent) for code in range(FIRST, LAST + 1)]


def main():
    with open(sys.argv[1], 'rb') as file:
        glyphs = font(file.read())
    print('\t.section .rodata\n\t.globl font_glyphs\nfont_glyphs:')
    for rows in glyphs:
        print('\t.byte ' + ', '.join(map(str, rows)))
    print('\t.section .note.GNU-stack,"",@progbits')


if __name__ == '__main__':
    main()
