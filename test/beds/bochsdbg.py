# SPDX-License-Identifier: BSD-2-Clause
"""Commands for Bochs's debugger, as a scenario's `debugger` has them: in place of {NAME} comes the address
of Margay's symbol, of {FUNCTION:INSN} that of its first instruction of that name, of {FUNCTION@FIELD} that
of the instruction after its first VMREAD of FIELD (hex), and of {FUNCTION%FIELD} the register that it reads
to. With several CPUs the debugger does not see a breakpoint where a CPU's turn begins: who needs one hit
sets two, on neighbours.
"""
import re
import subprocess

FIELD = re.compile(r'mov +\$0x([0-9a-f]+),%[er](\w+?)d?$')
VMREAD = re.compile(r'vmread %r(\w+),%(\w+)$')


def tool(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def listing(margay, function):
    """(address, instruction) of a function"""
    text = tool('objdump', '-d', '--no-show-raw-insn', f'--disassemble={function}', margay)
    for line in text.split('\n'):
        address, tab, instruction = line.partition(':\t')
        if tab:
            yield '0x' + address.strip(), instruction.rstrip()


def vmread(margay, function, field):
    """(the address after the VMREAD, its register)"""
    holds, found = {}, None
    for address, instruction in listing(margay, function):
        if found:
            return address, found
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
        name, kind, what = match.groups()
        if not kind:
            return symbols[name]
        if kind == ':':
            return next(at for at, insn in listing(margay, name) if insn.split()[0] == what)
        return vmread(margay, name, int(what, 16))[kind == '%']

    text = ''.join(re.sub(r'\{(\w+)(?:([:@%])(\w+))?\}', value, line) + '\n' for line in lines)
    return text + 'c\nq\n'
