# SPDX-License-Identifier: BSD-2-Clause
"""Draw the results of scripts/perf.py as a picture (SVG): a bar for each operation and system, on a scale on which
each grid line is ten times the one before.
"""
import math
from xml.sax.saxutils import escape

BAR, GAP, LEFT, WIDTH, RIGHT = 13, 9, 200, 520, 90    # pixels
COLOURS = {'margay': '#2b6cb0', 'margay, VT-x': '#63b3ed', 'xen': '#c05621', 'xen, net': '#ed8936'}


def series(result):
    """Return {operation: [(system, instructions), ...]} of the results. A star: of the hypervisor alone, for guests
    of a control domain.
    """
    rows = {}
    for system, data in (('margay', result.get('bench', {}).get('margay', {})),
                         ('margay, VT-x', result.get('vtx', {})),
                         ('xen', result.get('bench', {}).get('xen', {}))):
        for name, cost in data.items():
            rows.setdefault(name, []).append((system, cost['mean']))
            if 'net' in cost:
                rows[name].append((f'{system}, net', cost['net']))
    for system in ('margay', 'xen'):
        for name, cost in result.get('control', {}).get(system, {}).items():
            if 'hypervisor' not in cost:
                continue
            rows.setdefault(f'*{name}', []).append((system, cost['hypervisor']))
            if cost['decoder']:
                rows[f'*{name}'].append((f'{system}, net', cost['hypervisor'] - cost['decoder']))
    return rows


def text(x, y, words, anchor='start', size=12, colour='#1a202c'):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
            f'fill="{colour}">{escape(words)}</text>')


def legend(systems, y):
    out, x = [], LEFT
    for system in systems:
        out.append(f'<rect x="{x}" y="{y - 10}" width="11" height="11" fill="{COLOURS[system]}"/>')
        out.append(text(x + 16, y, system))
        x += 130
    return out


def svg(result):
    """Return the picture as text, or '' when there are no results for it."""
    rows = series(result)
    values = [value for bars in rows.values() for _, value in bars]
    if not values:
        return ''
    low = 10 ** math.floor(math.log10(max(1, min(values))))
    decades = max(1, math.ceil(math.log10(max(values) / low)))
    systems = [name for name in COLOURS if any(name == s for bars in rows.values() for s, _ in bars)]
    height = 70 + sum(len(bars) * BAR + GAP for bars in rows.values()) + 30
    total = LEFT + WIDTH + RIGHT

    def across(value):
        return WIDTH * math.log10(max(value, low) / low) / decades

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{height}" '
           f'viewBox="0 0 {total} {height}" font-family="sans-serif">',
           f'<rect width="{total}" height="{height}" fill="white"/>',
           text(10, 22, 'Instructions of one operation, as a guest sees them (mean); *: the hypervisor alone', size=15),
           *legend(systems, 46)]
    for power in range(decades + 1):
        x = LEFT + WIDTH * power / decades
        out.append(f'<line x1="{x:.1f}" y1="58" x2="{x:.1f}" y2="{height - 24}" stroke="#cbd5e0"/>')
        out.append(text(x, height - 9, f'{low * 10 ** power:,}', 'middle', 11, '#4a5568'))
    y = 66
    for name, bars in rows.items():
        out.append(text(LEFT - 8, y + len(bars) * BAR / 2 + 4, name, 'end'))
        for system, value in bars:
            out.append(f'<rect x="{LEFT}" y="{y}" width="{max(1, across(value)):.1f}" '
                       f'height="{BAR - 2}" fill="{COLOURS[system]}"/>')
            out.append(text(LEFT + across(value) + 5, y + BAR - 3, f'{value:,}', size=10))
            y += BAR
        y += GAP
    return '\n'.join(out + ['</svg>', ''])
