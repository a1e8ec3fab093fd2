#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Use the keyboard, the screen and the monitor of a machine in QEMU, which serves its QMP on a socket.

    test/beds/qmp.py SOCKET keys TEXT       types small letters, and Return at the end
    test/beds/qmp.py SOCKET screen FILE     writes a picture (PPM)
    test/beds/qmp.py SOCKET monitor COMMAND  gives the monitor a command that says nothing if it succeeds
"""
import json
import os
import socket
import sys
import time

KEY_TIME = 0.1      # seconds from key to key


class Qmp:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.file = self.socket.makefile('rw', encoding='utf-8')
        self.file.readline()            # the greeting
        self.call('qmp_capabilities')

    def call(self, command, **arguments):
        """Return the result of a command. Raise RuntimeError with QEMU's message if it fails."""
        self.file.write(json.dumps({'execute': command, 'arguments': arguments}) + '\n')
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if 'error' in answer:
                raise RuntimeError(answer['error']['desc'])
            if 'return' in answer:      # not an event
                return answer['return']

    def keys(self, text):
        for key in [*text, 'ret']:
            self.call('send-key', keys=[{'type': 'qcode', 'data': key}])
            time.sleep(KEY_TIME)

    def screen(self, path):
        self.call('screendump', filename=os.path.abspath(path))

    def monitor(self, command):
        said = self.call('human-monitor-command', **{'command-line': command})
        if said:
            raise RuntimeError(said)


def main():
    if len(sys.argv) != 4 or sys.argv[2] not in ('keys', 'screen', 'monitor'):
        print(__doc__, file=sys.stderr)
        return 2
    getattr(Qmp(sys.argv[1]), sys.argv[2])(sys.argv[3])
    return 0


if __name__ == '__main__':
    sys.exit(main())
