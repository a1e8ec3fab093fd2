# SPDX-License-Identifier: BSD-2-Clause
"""Commands for Bochs's debugger, as a scenario's `debugger` has them: in place of {NAME} comes the address
of Margay's symbol, of {FUNCTION@FIELD} that of the instruction after FUNCTION's first VMREAD of FIELD (hex),
and of {FUNCTION%FIELD} the register that it reads to.
"""
import re
import subprocess

FIELD = re.compile(r'mov +\$0x([0-9a-f]+),%e(\w+)$')
VMREAD = re.compile(r'vmread %r(\w+),%(\w+)$')


def tool(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def vmread(margay, function, field):
    """(the address after the VMREAD, its register)"""
    text = tool('objdump', '-d', '--no-show-raw-insn', f'--disassemble={function}', margay)
    holds, found = {}, None
    for line in text.split('\n'):
        address, tab, instruction = line.partition(':\t')
        instruction = instruction.rstrip()
        if found and tab:
            return f'0x{address.strip()}', found
        if match := FIELD.match(instruction):
            holds[match[2]] = int(match[1], 16)
        elif (match := VMREAD.match(instruction)) and holds.get(match[1]) == field:
            found = match[2]
    raise KeyError(f'{function} reads no field {field:x}')


def commands(lines, margay):
    """The text for the debugger: those lines, and on until the machine ends."""
    symbols = {}
    for line in tool('nm', margay).split('\n'):
        if line:
            address, _, name = line.split()
            symbols[name] = '0x' + address

    def value(match):
        name, kind, field = match.groups()
        return vmread(margay, name, int(field, 16))[kind == '%'] if field else symbols[name]

    text = ''.join(re.sub(r'\{(\w+)(?:([@%])(\w+))?\}', value, line) + '\n' for line in lines)
    return text + 'c\nq\n'
