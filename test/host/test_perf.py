# SPDX-License-Identifier: BSD-2-Clause
"""The picture of `make perf`: well-formed, a bar for each figure, as long as the figure says."""
import math
import os
import sys
import unittest
import xml.etree.ElementTree as xml

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../perf'))
# pylint: disable=wrong-import-position
import plot  # noqa: E402

RESULT = {'bench': {'margay': {'null': {'min': 199, 'mean': 200}, 'a<b&c': {'min': 1, 'mean': 2000}},
                    'xen': {'null': {'min': 1, 'mean': 5813, 'net': 700}}},
          'vtx': {'null': {'min': 1, 'mean': 190, 'accesses': [5, 1]}}, 'boot': {'x': {'y': 1}}}


class Plot(unittest.TestCase):
    def setUp(self):
        self.root = xml.fromstring(plot.svg(RESULT))
        self.rects = [e for e in self.root if e.tag.endswith('rect')]
        self.texts = [e.text for e in self.root if e.tag.endswith('text')]

    def bars(self):
        return {(e.get('fill'), float(e.get('width'))) for e in self.rects if e.get('x') == str(plot.LEFT)
                and e.get('width') != '11'}

    def test_bars(self):
        scale = plot.WIDTH / 2      # 100 to 10,000
        wanted = {('margay', 200), ('xen', 5813), ('xen, net', 700), ('margay, VT-x', 190), ('margay', 2000)}
        self.assertEqual(self.bars(), {(plot.COLOURS[system], round(scale * math.log10(value / 100), 1))
                                       for system, value in wanted})

    def test_texts(self):
        for words in ('null', 'a<b&c', '5,813', '190', 'xen', 'xen, net', '700', '100', '10,000'):
            self.assertIn(words, self.texts)

    def test_inside(self):
        width, height = (float(self.root.get(key)) for key in ('width', 'height'))
        for element in self.rects[1:]:
            self.assertLess(float(element.get('x')) + float(element.get('width')), width)
            self.assertLess(float(element.get('y')) + float(element.get('height')), height - 24)

    def test_nothing(self):
        self.assertEqual(plot.svg({'boot': {}}), '')


if __name__ == '__main__':
    unittest.main()
