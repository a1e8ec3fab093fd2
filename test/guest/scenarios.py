# SPDX-License-Identifier: BSD-2-Clause
"""The table of scenarios: test/guest/scenarios.toml, and guests/scenarios.list merged into it.

A line of scenarios.list is `NAME BED... [cpus=N] [mem=M] [vcpus=N] [timeout=S] [ram=M] [flags=W,W]
[cmdline=TEXT] [long=yes] [options=...]`: one guest build/guests/NAME that must print `PASS NAME`.
`options=` takes the rest of the line. All that a scenario of the TOML file may say is in FIELDS.
"""
import os
import re
import shlex
import tomllib

from beds import BEDS, GROUPS, OUT

HERE = os.path.dirname(os.path.abspath(__file__))
TOML = os.path.join(HERE, 'scenarios.toml')
LIST = os.path.join(HERE, '../../guests/scenarios.list')
PANIC = r'\(margay\) panic'
FORBIDDEN = [r'^(\[[^]]*\] )?FAIL ', r'GRUB: boot failed']
NO_TRACE = r'^\(margay\) no trace: '
TRACE = 'trace=8'
PASS = r'^(\[{}\] )?PASS {}$'       # the oracle puts no tag before the line

# field: default. Times are seconds, regular expressions are searched in each line.
FIELDS = {
    'name': None,
    'guests': None,             # default: one guest, build/guests/NAME
    'cpus': 2,                  # of the machine
    'ram': None,                # of the machine; default: what the guests need and 256 MiB
    'beds': ['qemu'],
    'options': '',              # Margay's, besides when_empty=poweroff
    'when_empty': 'poweroff',
    'expect': None,             # lines that must come, in any order; default: `PASS GUEST`, each
    'ordered': False,           # ... in this order
    'forbid': [],               # besides FORBIDDEN
    'panics': False,            # a panic of Margay is what should come
    'count': [],                # {line=REGEX, least=N [, most=N]}
    'same': [],                 # regexes with one group that must match the same text each time
    'input': [],                # {after=REGEX, send=TEXT}, in this order
    'clock': None,              # {start=REGEX, end=REGEX, tolerance=SECONDS [, wall=REGEX]}
    'ends': 'off',              # 'off': the machine must power itself off; 'any'
    'timeout': 60,
    'long': False,              # only in check-long
    'long_beds': [],            # more beds, in check-long; Bochs is slow, hence
    'long_timeout': 600,        # theirs
    'kind': 'iso',
    'firmware': 'bios',
    'qemu': [],                 # more arguments for QEMU
    'grub': [],                 # commands for GRUB before it loads Margay
    'bochs': {},                # MODEL and ROM, in place of the bed's
    'debugger': [],             # for Bochs's: test/guest/bochsdbg.py
    'debugger_says': [],        # regexes that must match lines of its output
    'modules': [],              # more boot modules: [FILE, ARGUMENTS]
}
GUEST_FIELDS = {'name': None, 'elf': None, 'vcpus': 1, 'mem': None, 'flags': '', 'cmdline': None,
                'initrd': None, 'test': None}


class TableError(Exception):
    """The table says something it must not; the text says where."""


def megabytes(text):
    match = re.fullmatch(r'(\d+)([MG]?)', str(text))
    if not match:
        raise TableError(f"'{text}' is not a size such as 512M or 2G")
    return int(match[1]) * (1024 if match[2] == 'G' else 1)


def fill(entry, fields, where):
    unknown = set(entry) - set(fields)
    if unknown:
        raise TableError(f"{where}: unknown field '{sorted(unknown)[0]}'")
    return {key: entry.get(key, default) for key, default in fields.items()}


def fill_guest(entry, where):
    """A Linux guest gets the initramfs, and with test=NAME the command line that starts it."""
    guest = fill(entry, GUEST_FIELDS, where)
    guest['name'] = guest['name'] or guest['elf']
    guest['elf'] = guest['elf'] or guest['name']
    linux = guest['elf'].startswith('linux-')
    guest['mem'] = megabytes(guest['mem'] or ('256M' if linux else '64M'))
    if linux:
        guest['initrd'] = guest['initrd'] or 'initramfs.gz'
        line = guest['cmdline'] or ''
        if guest['test']:
            line = f'margay.test={guest["test"]} margay.cpus={guest["vcpus"]} {line}'
        guest['cmdline'] = f'console=hvc0 {line}'.strip()
    elif guest['test']:
        raise TableError(f"{where}: 'test' is for Linux guests")
    guest['cmdline'] = guest['cmdline'] or ''
    return guest


def check(scenario, where):
    """Fill in the defaults that depend on other fields, and refuse what cannot be meant."""
    name = scenario['name']
    if not name or not re.fullmatch(r'[\w.+-]+', name):
        raise TableError(f"{where}: bad scenario name '{name}'")
    for field in ('beds', 'long_beds'):
        scenario[field] = [bed for word in scenario[field] for bed in GROUPS.get(word, (word,))]
    for bed in scenario['beds'] + scenario['long_beds']:
        if bed not in BEDS:
            raise TableError(f"{where}: unknown bed '{bed}' (known: {' '.join(BEDS)})")
    if scenario['guests'] is None:
        scenario['guests'] = [{'name': name}]
    scenario['guests'] = guests = [fill_guest(guest, where) for guest in scenario['guests']]
    if scenario['ram'] is None:
        scenario['ram'] = max(512, sum(guest['mem'] for guest in guests) + 256)
    scenario['ram'] = megabytes(scenario['ram'])
    if scenario['expect'] is None:
        scenario['expect'] = [PASS.format(re.escape(guest['name']), guest['test'] or
                                          re.escape(guest['elf'])) for guest in guests]
    for pattern in scenario['expect'] + scenario['forbid'] + scenario['same'] + scenario['debugger_says']:
        try:
            re.compile(pattern)
        except re.error as error:
            raise TableError(f"{where}: bad expression '{pattern}': {error}") from error
    return scenario


def traced(scenario):
    """The same, with Margay recording all it does from the start, unless the scenario says how much."""
    return dict(scenario, name=scenario['name'] + '+trace', forbid=scenario['forbid'] + [NO_TRACE],
                options=f'{TRACE} {scenario["options"]}'.strip())


def load_toml(path):
    with open(path, 'rb') as file:
        try:
            entries = tomllib.load(file).get('scenario', [])
        except tomllib.TOMLDecodeError as error:
            raise TableError(f'{path}: {error}') from error
    result = []
    for entry in entries:
        where = f"{path}: scenario '{entry.get('name')}'"
        result.append(check(fill(entry, FIELDS, where), where))
    return result


def load_list(path):
    result = []
    with open(path, encoding='utf-8') as file:
        for number, line in enumerate(file, 1):
            where = f'{path}:{number}'
            line, options = re.split(r'\soptions=', line.split('#')[0].strip() + ' ', maxsplit=1) \
                if ' options=' in line else (line.split('#')[0], '')
            words = shlex.split(line)
            if not words:
                continue
            entry = {'name': words[0], 'options': options.strip(), 'beds': []}
            guest = {'name': words[0]}
            for word in words[1:]:
                key, equals, value = word.partition('=')
                if not equals:
                    entry['beds'].append(key)
                elif key in ('cpus', 'timeout'):
                    entry[key] = int(value)
                elif key == 'ram':
                    entry[key] = value
                elif key == 'long':
                    entry[key] = value == 'yes'
                elif key == 'vcpus':
                    guest[key] = int(value)
                elif key in ('mem', 'cmdline'):
                    guest[key] = value
                elif key == 'flags':
                    guest[key] = value.replace(',', ' ')
                else:
                    raise TableError(f"{where}: unknown word '{word}'")
            entry['guests'] = [guest]
            result.append(check(fill(entry, FIELDS, where), where))
    return result


def load():
    """Return all scenarios. One in the TOML file takes the place of one of the same name."""
    result = load_toml(TOML)
    names = [scenario['name'] for scenario in result]
    if os.path.exists(LIST):
        for scenario in load_list(LIST):
            if scenario['name'] not in names:
                result.append(scenario)
                names.append(scenario['name'])
    for name in set(names):
        if names.count(name) > 1:
            raise TableError(f"scenario '{name}' is there twice")
    return result


def guest_file(name):
    return os.path.join(OUT, name) if '/' in name else os.path.join(OUT, 'guests', name)


def modules(scenario):
    """Return Margay's boot modules for a scenario: a list of (file, arguments)."""
    result = []
    for guest in scenario['guests']:
        args = f'guest name={guest["name"]} vcpus={guest["vcpus"]} mem={guest["mem"]}M'
        if guest['flags']:
            args += ' ' + guest['flags']
        if guest['cmdline']:
            args += ' -- ' + guest['cmdline']
        result.append((guest_file(guest['elf']), args))
        if guest['initrd']:
            result.append((guest_file(guest['initrd']), f'initrd for={guest["name"]}'))
    return result + [(guest_file(file), args) for file, args in scenario['modules']]
