# SPDX-License-Identifier: BSD-2-Clause
"""The picture of `make perf` is well-formed and has a bar of the right length for each figure; the evaluation of
the plugin's counts; and the limits of a guest with a CPU of its own.
"""
import contextlib
import copy
import io
import math
import os
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

for place in '../perf', '../../scripts':
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), place))
# pylint: disable=wrong-import-position
import measure  # noqa: E402
import perf  # noqa: E402
import plot  # noqa: E402

RESULT = {'bench': {'margay': {'null': {'min': 199, 'mean': 200}, 'a<b&c': {'min': 1, 'mean': 2000}},
                    'xen': {'null': {'min': 1, 'mean': 5813, 'net': 700}}},
          'vtx': {'null': {'min': 1, 'mean': 190, 'accesses': [5, 1]}}, 'boot': {'x': {'y': 1}},
          'control': {'margay': {'disk': {'all': 900, 'hypervisor': 400, 'decoder': 0}, 'memory': {'kib': 3}},
                      'xen': {'disk': {'all': 900, 'hypervisor': 800, 'decoder': 300}}}}


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
        wanted = {('margay', 200), ('xen', 5813), ('xen, net', 700), ('margay, VT-x', 190), ('margay', 2000),
                  ('margay', 400), ('xen', 800), ('xen, net', 500)}
        self.assertEqual(self.bars(), {(plot.COLOURS[system], round(scale * math.log10(value / 100), 1))
                                       for system, value in wanted})

    def test_texts(self):
        for words in ('null', 'a<b&c', '5,813', '190', 'xen', 'xen, net', '700', '100', '10,000', '*disk'):
            self.assertIn(words, self.texts)

    def test_inside(self):
        width, height = (float(self.root.get(key)) for key in ('width', 'height'))
        for element in self.rects[1:]:
            self.assertLess(float(element.get('x')) + float(element.get('width')), width)
            self.assertLess(float(element.get('y')) + float(element.get('height')), height - 24)

    def test_nothing(self):
        self.assertEqual(plot.svg({'boot': {}}), '')


class Net(unittest.TestCase):
    """Rows are (intervals, instructions, in the decoder, its calls)."""
    def test_one_go(self):
        costs = {'null_hypercall': {'mean': 5736}, 'cross_vcpu_wake': {'mean': 25000}}
        rows = [(1, 1, 0, 0), (10, 1100, 900, 20), (1, 5731, 4967, 1), (100, 200000, 150000, 300)]
        self.assertEqual(measure.nets_of(costs, rows, measure.Lines()),
                         {'null_hypercall': 769, 'cross_vcpu_wake': 480})

    def test_shares(self):
        costs = {'release_1': {}, 'yield_two': {}, 'ipi_same_cpu': {}}
        rows = [(10, 1100, 900, 20), (40, 20800, 16000, 120), (5, 5100, 4000, 20), (5, 5100, 4000, 20)]
        self.assertEqual(measure.nets_of(costs, rows, measure.Lines()),
                         {'release_1': 100, 'yield_two': 100, 'ipi_same_cpu': 100})

    def test_noise(self):
        lines = measure.Lines()
        lines.text = ['noise alone 0 0 0', 'noise timer 10 20000 2200']
        costs = {'timer_tick': {'mean': 2000}, 'timer_late': {'mean': 700, 'min': 650}, 'noise_alone': {'mean': 0}}
        # An iteration takes 100 instructions, 80 of them the decoder's; outside of the gaps there
        # are 800.
        rows = [(1, 100000, 80000, 1000), (1, 100000, 64000 + 10 * 500, 850)]
        nets = measure.nets_of(costs, rows, lines)
        self.assertEqual({name: round(net) for name, net in nets.items()},
                         {'noise_alone': 0, 'timer_tick': 1500, 'timer_late': 580})

    def test_other_marks(self):
        with self.assertRaises(ValueError):
            measure.nets_of({'release_1': {}}, [(10, 1100, 900, 20)], measure.Lines())
        with self.assertRaises(ValueError):
            measure.nets_of({'release_1': {}}, [(10, 1100, 900, 20), (0, 0, 0, 0)], measure.Lines())


class Devices(unittest.TestCase):
    def test_rows(self):
        lines = measure.Lines()
        lines.text = ['io nvme_4k 10', 'io nvme_4k_each 4']
        with tempfile.NamedTemporaryFile('w') as file:
            file.write('row 1 1000 60 3 200 25 1000\nrow 4 400 0 0 8 1 99\n')
            file.flush()
            self.assertEqual(measure.device_rows(lines, file.name), {
                'nvme_4k': {'all': 100, 'hypervisor': 20, 'exits': 2.5, 'inside': 20},
                'nvme_4k_each': {'all': 100, 'hypervisor': 2, 'exits': 0.25, 'inside': 0, 'median': 99}})

    def shown(self, name, **figures):
        """Return the last word of each row, after a change of one of them."""
        cost = {'all': 1000, 'median': 1000, 'hypervisor': 0, 'exits': 0}
        bare = {row[0]: dict(cost) for row in perf.DEDICATED_ROWS}
        units = {unit: copy.deepcopy(bare) for unit in measure.IOMMUS}
        units['AMD-Vi'][name].update(figures)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            perf.show_dedicated(bare, units)
        return [line.split()[-1] for line in out.getvalue().split('\n')[3:3 + len(bare)]]

    def test_limits(self):
        good = ['ok'] * 4
        self.assertEqual(self.shown('frame'), good)
        self.assertEqual(self.shown('nvme_4k_each', median=1020), good)
        self.assertEqual(self.shown('nvme_4k_each', median=1021), ['over'] + good[1:])
        self.assertEqual(self.shown('nvme_4k', all=2000), good)
        self.assertEqual(self.shown('nvme_4k_32', all=1021), ['ok', 'ok', 'over', 'ok'])
        self.assertEqual(self.shown('nvme_4k', exits=0.01), ['ok', 'over', 'ok', 'ok'])


if __name__ == '__main__':
    unittest.main()
