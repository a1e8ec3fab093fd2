# SPDX-License-Identifier: BSD-2-Clause
"""Reads the table of scenarios, test/scenarios.list.

A scenario is a line and, indented below it, what one line cannot say:

    NAME BED... [WORD...] [KEY=VALUE...] [-- COMMAND LINE OF THE GUEST]
            KEY TEXT

BED is one of beds.BEDS or beds.GROUPS. With no `guest` lines there is one guest, $O/guests/NAME; the keys of GUEST on
the first line are its. It passes when each guest has printed `PASS` and its program's (or test's) name, unless
`no-pass` says that this one does not, and all `expect` lines came. A `#` begins a comment where a line begins.

Words: long (only in check-long), panics (Margay must panic), ordered (the expected lines come in this order),
    threads (QEMU runs each CPU in a thread, for races; no time may be judged), no-guest, no-pass
Keys on the first line: NUMBERS and TEXTS, and long=BED,... for more beds in check-long;
    like=NAME takes all from a scenario above but its beds, to change some
Indented: guest NAME [KEY=VALUE...] [-- COMMAND LINE]; options, for Margay; expect, forbid, same (a group that must match the
    same text each time), count LEAST[-MOST] and says (by Bochs's debugger), each with a regular expression; after REGEX and
    send TEXT to type it, or host COMMAND to run one on the build machine; module FILE ARGUMENTS; qemu, with arguments ($XEN_CPU: the CPU of bed xensave); grub, a command before Margay is loaded;
    disk MIB, an empty NVMe disk; first NAME BED, another scenario that runs before, with the same disk; peer NAME BED,
    one that runs at the same time, with the same disk and at the other end of an Ethernet. These may have no bed;
    bochs KEY=VALUE; bare WORDS: the guest's lines `see ...` must be those of its kernel, with these words more, on the
    same machine without Margay; debugger, commands with `;` between (bochsdbg.py)
"""
import copy
import os
import re
import shlex

from beds import BEDS, GROUPS, OUT, XEN_CPU

HERE = os.path.dirname(os.path.abspath(__file__))
TABLE = os.path.normpath(os.path.join(HERE, '../scenarios.list'))
PANIC = r'\(margay\) panic'
FORBIDDEN = [r'^(\[[^]]*\] )?FAIL ', r'GRUB: boot failed', r'no suitable video mode']
NO_TRACE = r'^\(margay\) no trace: '
TRACE, TRACED = 'trace=8', '+trace'
PASS = r'^(\[{}\] )?PASS {}$'       # the oracle puts no tag before the line

# field: default. Times are in the emulator's own seconds (beds.OwnTime). Regular expressions are
# searched for in each line.
FIELDS = {
    'name': None,
    'guests': None,             # default: one guest, build/guests/NAME
    'cpus': 2,                  # of the machine
    'ram': None,                # of the machine; default: what the guests need and 256 MiB
    'beds': ['qemu'],
    'options': '',              # Margay's, besides when_empty=poweroff
    'when_empty': 'poweroff',
    'expect': [],               # lines required besides the guests' `PASS NAME`, in any order
    'ordered': False,           # ... in this order
    'forbid': [],               # besides FORBIDDEN
    'panics': False,            # Margay must panic
    'count': [],                # {line=REGEX, least=N [, most=N]}
    'same': [],                 # regexes with one group that must match the same text each time
    'input': [],                # {after=REGEX, send=TEXT [, host=COMMAND]}, in this order
    'ends': 'off',              # 'off': the machine must power itself off; 'any'
    'threads': False,           # beds.Machine.threads
    'timeout': 60,
    'long': False,              # only in check-long
    'long_beds': [],            # more beds, in check-long; Bochs is slow,
    'long_timeout': 600,        # hence theirs
    'kind': 'iso',
    'firmware': 'bios',
    'qemu': [],                 # more arguments for QEMU
    'grub': [],                 # commands for GRUB before it loads Margay
    'bochs': {},                # MODEL, ROM, DISK and MSRS, in place of the bed's
    'debugger': [],             # commands for Bochs's debugger: test/beds/bochsdbg.py
    'debugger_says': [],        # regexes that must match lines of its output
    'modules': [],              # more boot modules: [FILE, ARGUMENTS]
    'disk': None,               # MiB of an NVMe disk
    'first': None,              # (NAME, BED): runs before, with the disk
    'peer': None,               # (NAME, BED): runs at the same time
    'bare': None,               # words for the first guest's kernel on the bare machine
}
GUEST_FIELDS = {'name': None, 'elf': None, 'vcpus': 1, 'mem': None, 'flags': '', 'cmdline': None,
                'initrd': None, 'test': None, 'pass': True}


class TableError(Exception):
    """The table is invalid; the text says where."""


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
    """Give a Linux guest the initramfs, and with test=NAME the command line that starts the test."""
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
        # The kernel's tests of its own ciphers take as long as the rest of its boot.
        guest['cmdline'] = f'console=hvc0 cryptomgr.notests {line}'.strip()
    elif guest['test']:
        raise TableError(f"{where}: 'test' is for Linux guests")
    guest['cmdline'] = guest['cmdline'] or ''
    return guest


def check(scenario, where):
    """Fill in the defaults that depend on other fields, and reject contradictions."""
    name = scenario['name']
    if not name or not re.fullmatch(r'[\w.+-]+', name):
        raise TableError(f"{where}: bad scenario name '{name}'")
    for field in ('beds', 'long_beds'):
        scenario[field] = [bed for word in scenario[field] for bed in GROUPS.get(word, (word,))]
    for bed in scenario['beds'] + scenario['long_beds']:
        if bed not in BEDS:
            raise TableError(f"{where}: unknown bed '{bed}' (known: {' '.join(BEDS)})")
        if bed in scenario['beds'] and bed in scenario['long_beds']:
            raise TableError(f"{where}: bed '{bed}' is there twice")
    if scenario['guests'] is None:
        scenario['guests'] = [{'name': name}]
    scenario['guests'] = guests = [fill_guest(guest, where) for guest in scenario['guests']]
    if scenario['ram'] is None:
        scenario['ram'] = max(512, sum(guest['mem'] for guest in guests) + 256)
    scenario['ram'] = megabytes(scenario['ram'])
    scenario['expect'] = scenario['expect'] + [
        PASS.format(re.escape(guest['name']), guest['test'] or re.escape(guest['elf']))
        for guest in guests if guest['pass']]
    for pattern in scenario['expect'] + scenario['forbid'] + scenario['same'] + scenario['debugger_says']:
        try:
            re.compile(pattern)
        except re.error as error:
            raise TableError(f"{where}: bad expression '{pattern}': {error}") from error
    return scenario


def traced(scenario):
    """Return the scenario with a trace of all events from the start, unless it sets the trace's size itself."""
    return dict(scenario, name=scenario['name'] + TRACED, forbid=scenario['forbid'] + [NO_TRACE],
                options=f'{TRACE} {scenario["options"]}'.strip())


NUMBERS = ('cpus', 'timeout', 'long_timeout')
TEXTS = ('ram', 'when_empty', 'ends', 'kind', 'firmware')
LISTS = {'expect': 'expect', 'forbid': 'forbid', 'same': 'same', 'grub': 'grub', 'says': 'debugger_says'}
OWN = ('name', 'beds', 'long', 'long_beds')     # like= does not copy these


def number(text, where):
    if not text.isdecimal():
        raise TableError(f"{where}: '{text}' is not a number")
    return int(text)


def escapes(text):
    """`\r` and `\x01` in text to be typed."""
    return text.encode('latin-1').decode('unicode_escape')


def guest_word(guest, key, value):
    """Take key=value for a guest. Return False if no guest has that key."""
    if key == 'no-pass':
        guest['pass'] = False
    elif key == 'vcpus':
        guest[key] = number(value, key)
    elif key == 'flags':
        guest[key] = re.sub(r',(?![0-9a-f]+:)', ' ', value)     # but not those between PCI functions
    elif key in ('elf', 'mem', 'initrd', 'test'):
        guest[key] = value
    else:
        return False
    return True


def split_line(text):
    """Return the words, and the command line behind `--`, or None."""
    text, dashes, cmdline = (text + ' ').partition(' -- ')
    return text.split(), cmdline.strip() if dashes else None


def guest_line(text, where):
    words, cmdline = split_line(text)
    guest = {'name': words[0]}
    for word in words[1:]:
        if not guest_word(guest, *word.partition('=')[::2]):
            raise TableError(f"{where}: unknown word '{word}'")
    return guest if cmdline is None else dict(guest, cmdline=cmdline)


def first_line(text, before, where):
    """Parse a scenario's first line. `before` has the scenarios that like= may name."""
    words, cmdline = split_line(text)
    entry, guest = {'name': words[0], 'beds': []}, {}
    for word in words[1:]:
        key, equals, value = word.partition('=')
        if key == 'like' and value in before:
            like = {field: text for field, text in before[value].items() if field not in OWN}
            entry = dict(copy.deepcopy(like), **entry)
        elif word == 'no-guest':
            entry['guests'] = []
        elif key == 'long' and equals:
            entry['long_beds'] = value.split(',')
        elif key in ('long', 'panics', 'ordered', 'threads') and not equals:
            entry[key] = True
        elif not equals and key != 'no-pass':
            entry['beds'].append(key)
        elif key in NUMBERS:
            entry[key] = number(value, where)
        elif key in TEXTS:
            entry[key] = value
        elif not guest_word(guest, key, value):
            raise TableError(f"{where}: unknown word '{word}'")
    if cmdline is not None:
        guest['cmdline'] = cmdline
    if 'guests' not in entry:
        linux = guest.get('elf', '').startswith('linux-')
        entry['guests'] = [{'name': 'linux' if linux else guest.get('elf', words[0])}]
    if guest:
        entry['guests'][0].update(guest)
    return entry


def further_line(entry, key, text, seen, where):
    """Parse an indented line. `seen` has the keys that earlier lines of the entry set."""
    field = LISTS.get(key) or {'guest': 'guests', 'after': 'input', 'module': 'modules'}.get(key, key)
    if field not in seen and key not in ('options', 'bare', 'send', 'host', 'disk', 'first', 'peer'):
        entry[field] = {} if key == 'bochs' else []
        seen.add(field)
    if key in LISTS:
        entry[field].append(text)
    elif key in ('options', 'bare'):
        entry[key] = text
    elif key == 'disk':
        entry[key] = number(text, where)
    elif key in ('first', 'peer'):
        entry[key] = tuple(text.split())
    elif key == 'guest':
        entry['guests'].append(guest_line(text, where))
    elif key == 'count':
        times, line = text.split(maxsplit=1)
        least, dash, most = times.partition('-')
        entry['count'].append({'line': line, 'least': int(least), **({'most': int(most)} if dash else {})})
    elif key == 'after':
        entry['input'].append({'after': text, 'send': ''})
    elif key == 'send' and entry.get('input'):
        entry['input'][-1]['send'] = escapes(text)
    elif key == 'host' and entry.get('input'):
        entry['input'][-1]['host'] = text.replace('$O', OUT)
    elif key == 'module':
        entry['modules'].append((text.split(maxsplit=1) + [''])[:2])
    elif key == 'qemu':
        entry['qemu'] += shlex.split(text.replace('$O', OUT).replace('$XEN_CPU', XEN_CPU))
    elif key == 'bochs':
        entry['bochs'].update([text.replace('$O', OUT).split('=', 1)])
    elif key == 'debugger':
        entry['debugger'] += [command.strip() for command in text.split(';')]
    else:
        raise TableError(f"{where}: unknown word '{key}'")


def load(path=TABLE):
    """Return all scenarios."""
    entries, entry, seen = {}, None, set()
    with open(path, encoding='utf-8') as file:
        for count, line in enumerate(file, 1):
            where, line = f'{path}:{count}', line.rstrip('\n')
            words = line.split(maxsplit=1)
            if not words or words[0].startswith('#'):
                continue
            if line[0].isspace():
                if entry is None:
                    raise TableError(f'{where}: indented, but below no scenario')
                further_line(entry, words[0], ''.join(words[1:]), seen, where)
                continue
            entry, seen = first_line(line, entries, where), set()
            if entry['name'] in entries:
                raise TableError(f"{where}: scenario '{entry['name']}' is there twice")
            entries[entry['name']] = entry
    table = [check(fill(entry, FIELDS, name), f"{path}: scenario '{name}'") for name, entry in entries.items()]
    named = {scenario[key][0] for scenario in table for key in ('first', 'peer') if scenario[key]}
    for scenario in table:
        if not scenario['beds'] + scenario['long_beds'] and scenario['name'] not in named:
            raise TableError(f"{path}: scenario '{scenario['name']}': no bed")
    if named - set(entries):
        raise TableError(f"{path}: no scenario '{sorted(named - set(entries))[0]}'")
    return table


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
