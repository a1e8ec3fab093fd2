#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Compare the instruction decoder with objdump: decode_objdump.py DECODE_FORMS WORKDIR

Every line of decode_forms is put into a slot of its own; objdump must find an instruction of the
same length, operation and operand size there, with a memory operand.
"""
import re
import subprocess
import sys

MACHINES = {"16": "i8086", "32": "i386", "64": "i386:x86-64"}
SLOT = 32
PREFIXES = set("data16 data32 addr16 addr32 es cs ss ds fs gs lock repz repnz xacquire xrelease".split())
SUFFIX = {1: "b", 2: "w", 4: "l", 8: "q"}


def disassemble(path, machine):
    """Address of each instruction -> (length, text), in AT&T syntax with suffixes."""
    out = subprocess.run(
        ["objdump", "-D", "-z", "-b", "binary", "-m", machine, "-M", "suffix", "--insn-width=16", path],
        check=True, capture_output=True, text=True).stdout
    found = {}
    for line in out.splitlines():
        m = re.match(r"\s*([0-9a-f]+):\t((?:[0-9a-f]{2} )+)\s*\t(.*)", line)
        if m:
            found[int(m[1], 16)] = (len(m[2].split()), m[3])
    return found


def expected(op, size, mem_size):
    """The mnemonics objdump may give."""
    names = [op + SUFFIX[size]]
    if op in ("movz", "movs"):
        names = [op + SUFFIX[mem_size] + SUFFIX[size]]
    if op == "mov":
        names.append("movabs" + SUFFIX[size])
    return names


def main():
    forms, work = sys.argv[1:]
    lines = subprocess.run([forms], check=True, capture_output=True, text=True).stdout.splitlines()
    wrong = checked = 0
    for bits, machine in MACHINES.items():
        rows = [l.split() for l in lines if l.startswith(bits + " ")]
        path = f"{work}/decode_forms.{bits}"
        with open(path, "wb") as f:
            for row in rows:
                f.write(bytes.fromhex(row[5]).ljust(SLOT, b"\x90"))
        found = disassemble(path, machine)
        for i, (_, length, op, size, mem_size, code) in enumerate(rows):
            got_length, text = found.get(i * SLOT, (0, "nothing"))
            words = text.split()
            while words and (words[0] in PREFIXES or words[0].startswith("rex")):
                words.pop(0)
            name = words[0] if words else "nothing"
            checked += 1
            if (got_length == int(length) and name in expected(op, int(size), int(mem_size))
                    and ("(" in text or "0x" in text)):
                continue
            wrong += 1
            if wrong <= 20:
                print(f"{bits}-bit {code[:2 * int(length)]}: decoder: {length} bytes, {op} size {size}/{mem_size}; "
                      f"objdump: {got_length} bytes, {text}", file=sys.stderr)
    print(f"{checked} forms compared, {wrong} differ")
    if wrong or checked < 10000:
        sys.exit(1)


main()
