#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Give the monitor of a running QEMU a command.

    test/beds/monitor.py SOCKET COMMAND

SOCKET is that of QEMU's -monitor.
"""
import socket
import sys


def main():
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.connect(sys.argv[1])
        monitor.sendall(sys.argv[2].encode() + b'\n')
        monitor.shutdown(socket.SHUT_WR)
        while monitor.recv(4096):
            pass


main()
