# SPDX-License-Identifier: BSD-2-Clause
"""Commands for Bochs's debugger, from a scenario's `debugger` lines. {NAME} becomes the address of Margay's symbol,
{FUNCTION:INSN} the address of its first instruction of that name, {FUNCTION@FIELD} the address of the instruction
after its first VMREAD of FIELD (hex), and {FUNCTION%FIELD} the register that this VMREAD writes. With several CPUs the
debugger misses a breakpoint on the first instruction of a CPU's turn: set two breakpoints on neighbouring
instructions.
"""
import re
import subprocess

FIELD = re.compile(r'mov +\$0x([0-9a-f]+),%[er](\w+?)d?$')
VMREAD = re.compile(r'vmread %r(\w+),%(\w+)$')


def tool(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def listing(margay, function):
    """Return the (address, instruction) pairs of a function."""
    text = tool('objdump', '-d', '--no-show-raw-insn', f'--disassemble={function}', margay)
    for line in text.split('\n'):
        address, tab, instruction = line.partition(':\t')
        if tab:
            yield '0x' + address.strip(), instruction.rstrip()


def vmread(margay, function, field):
    """Return the address after the VMREAD, and its register."""
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
    """Return the debugger's commands: those lines, then `continue` until the machine ends."""
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
