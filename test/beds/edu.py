#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Let QEMU's edu device of a running machine read and write memory, as if its driver had asked for it.

    test/beds/edu.py SOCKET read|write ADDRESS

SOCKET is that of QEMU's -qtest, by which this finds the device on bus 0, enables it and starts the transfer.
"""
import socket
import sys

ID = 0x11e81234
COMMANDS = {'read': 1, 'write': 3}  # of the machine's memory
BUFFER = 0x40000            # edu's own, in its address space


class Machine:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.file = self.socket.makefile('r')

    def do(self, *words):
        self.socket.sendall((' '.join(w if isinstance(w, str) else hex(w) for w in words) + '\n').encode())
        answer = self.file.readline().split()
        return int(answer[1], 16) if len(answer) > 1 else 0

    def config(self, devfn, register, value=None):
        self.do('outl', 0xcf8, 1 << 31 | devfn << 8 | register)
        return self.do('inl', 0xcfc) if value is None else self.do('outl', 0xcfc, value)


def main():
    machine, command, address = Machine(sys.argv[1]), COMMANDS[sys.argv[2]], int(sys.argv[3], 0)
    edu = next(devfn for devfn in range(256) if machine.config(devfn, 0) == ID)
    registers = machine.config(edu, 0x10) & ~15
    machine.config(edu, 4, 6)       # memory and bus master
    source, target = (address, BUFFER) if command == COMMANDS['read'] else (BUFFER, address)
    for register, value in (0x80, source), (0x88, target), (0x90, 64), (0x98, command):
        machine.do('writeq', registers + register, value)
    while machine.do('readq', registers + 0x98) & 1:
        pass


main()
