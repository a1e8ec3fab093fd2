# SPDX-License-Identifier: BSD-2-Clause
"""The directive `results` shows Documentation/results.json as a dated table and a chart. Also checks that the README
has the same figures.
"""
import json
import math
import os
import re
from xml.sax.saxutils import escape

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.util import logging

import source_tree

HERE = os.path.dirname(os.path.abspath(__file__))
FILE = os.path.join(HERE, '../results.json')
LEFT, WIDTH, RIGHT, BAR, GAP, TOP = 230, 420, 60, 11, 10, 24
COLOURS = (('Margay', '#2b6cb0'), ('Xen 4.17, net', '#ed8936'))


def load():
    with open(FILE, encoding='utf-8') as file:
        return json.load(file)


def words(x, y, text, anchor='start'):
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="12" text-anchor="{anchor}">{escape(text)}</text>'


def chart(rows):
    """Return an SVG with two bars for each row, on a logarithmic scale from 100 on."""
    top = max(max(row[1:]) for row in rows)

    def length(value):
        return WIDTH * math.log10(value / 100) / math.log10(top / 100)

    out, y = [], TOP
    for n, (name, colour) in enumerate(COLOURS):
        out += [f'<rect x="{LEFT + 160 * n}" y="4" width="11" height="11" fill="{colour}"/>',
                words(LEFT + 160 * n + 16, 14, name)]
    for name, *values in rows:
        out.append(words(LEFT - 8, y + BAR + 4, name, 'end'))
        for value, (_, colour) in zip(values, COLOURS):
            out += [f'<rect x="{LEFT}" y="{y}" width="{length(value):.1f}" height="{BAR}" fill="{colour}"/>',
                    words(LEFT + length(value) + 5, y + BAR - 1, f'{value:,}')]
            y += BAR
        y += GAP
    width = LEFT + WIDTH + RIGHT
    return (f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" '
            f'width="{width}" font-family="sans-serif" role="img" '
            'aria-label="The table above as bars, on a logarithmic scale">' + ''.join(out) + '</svg>')


class Results(Directive):
    def run(self):
        self.state.document.settings.env.note_dependency(FILE)
        data = load()
        table = source_tree.make_table(
            ['Operation', 'Margay', 'Xen 4.17, net', 'Margay of Xen'],
            [[name, f'{ours:,}', f'{xen:,}', f'{100 * ours / xen:.0f} %']
             for name, ours, xen in data['rows']])
        table.insert(0, nodes.title('', f'Results of {data["date"]}, by {data["command"]}: '
                                    f'{data["unit"]}'))
        return [table, nodes.raw('', chart(data['rows']), format='html')]


def check_readme(app):    # pylint: disable=unused-argument
    """Warn of each row of the README's table of figures that differs from results.json."""
    data = load()
    with open(os.path.join(HERE, '../../README.md'), encoding='utf-8') as file:
        text = file.read()
    rows = {row[0]: row[1:] for row in data['rows']}
    shown = {name: [cell.strip().replace(',', '') for cell in cells.split('|')[:2]]
             for name, cells in re.findall(r'^\| ([^|]+) \| ([^\n]*)$', text, flags=re.M)
             if name in rows}
    for name, cells in shown.items():
        if cells != [str(value) for value in rows[name]]:
            logging.getLogger(__name__).warning('README.md has other figures for %s', name)
    if len(shown) < 5 or data['date'] not in text:
        logging.getLogger(__name__).warning('README.md lacks figures of results.json, or their date')


def setup(app):
    app.add_directive('results', Results)
    app.connect('builder-inited', check_readme)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
