# SPDX-License-Identifier: BSD-2-Clause
"""Judge a run of a scenario by its serial lines, while it runs and at its end."""
import os
import re
import subprocess

from beds import ON_XEN, Watcher
from scenarios import FORBIDDEN, PANIC

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..')
AFTER_FAILURE = 1.0     # the emulator's own seconds (beds.OwnTime) for a register dump or backtrace
POWER_OFF = 20.0        # ... to power off in, once all expected lines came


class Verdict(Watcher):
    """Watches for a scenario's expected and forbidden lines, and types its input."""
    def __init__(self, scenario, bed):
        self.scenario = scenario
        self.left = [re.compile(pattern) for pattern in scenario['expect']]
        forbidden = FORBIDDEN + scenario['forbid'] + ([] if scenario['panics'] else [PANIC])
        self.forbidden = [re.compile(pattern) for pattern in forbidden]
        self.counts = [[re.compile(entry['line']), 0] for entry in scenario['count']]
        self.same = [[re.compile(pattern), []] for pattern in scenario['same']]
        self.input = list(scenario['input'])
        self.recent = []        # lines since the last input, for `after`
        self.failure = None
        self.end = None
        self.must_power_off = scenario['ends'] == 'off' and bed not in ON_XEN

    def line(self, text, now):
        self.recent = self.recent[-200:] + [text]
        if self.scenario['ordered']:
            if self.left and self.left[0].search(text):
                del self.left[0]
        else:
            self.left = [pattern for pattern in self.left if not pattern.search(text)]
        for entry in self.counts:       # lines during the end of the run do not count
            entry[1] += self.end is None and bool(entry[0].search(text))
        for pattern, values in self.same:
            match = pattern.search(text)
            if match:
                values.append(match[1])
        for pattern in self.forbidden:
            if pattern.search(text) and not self.failure:
                self.failure = f'forbidden line: {text.strip()}'
                self.end = now + AFTER_FAILURE
        if not self.failure and self.end is None and self.complete():
            self.end = now + (POWER_OFF if self.must_power_off else 0.2)

    def complete(self):
        """Return whether all expected lines have come."""
        enough = all(count >= entry['least'] for entry, (_, count)
                     in zip(self.scenario['count'], self.counts))
        return not self.left and not self.input and enough

    def waiting(self, partial, now):
        if not self.input or self.failure:
            return None
        after = re.compile(self.input[0]['after'])
        if not any(after.search(text) for text in self.recent + [partial]):
            return None
        self.recent = []
        if 'host' in self.input[0]:
            subprocess.run(['sh', '-c', f"{{ {self.input[0]['host']}; }} &"], cwd=ROOT, check=False)
        return self.input.pop(0)['send']

    def deadline(self, now):
        return self.end

    def judge(self, ended):
        """Return None when the run passed, or the reason why it failed."""
        if self.failure:
            return self.failure
        if self.left:
            where = {'off': 'the machine went off', 'limit': 'time ran out',
                     'watcher': 'the run ended'}[ended.how]
            return f"{where} before a line came that matches '{self.left[0].pattern}'"
        if self.input:
            return f"no line came that matches '{self.input[0]['after']}', to type after"
        for entry, (pattern, count) in zip(self.scenario['count'], self.counts):
            if count < entry['least'] or count > entry.get('most', count):
                return f"{count} lines match '{pattern.pattern}', should be {entry}"
        for pattern, values in self.same:
            if len(values) < 2:
                return f"{len(values)} lines match '{pattern.pattern}', too few to compare"
            if len(set(values)) > 1:
                return f"'{pattern.pattern}' does not stay the same: " + ' '.join(values[:8])
        if self.must_power_off and ended.how != 'off':
            return 'all lines came, but the machine did not power off'
        return None
