# SPDX-License-Identifier: BSD-2-Clause
"""scripts/send, to a machine whose Margay is a few lines here and whose guest is this machine's shell."""
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

SEND = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../scripts/send')
SHELL = shutil.which('dash') or '/bin/sh'


class Machine(threading.Thread):
    """A serial line: tags, three Ctrl-A, and a guest `dom0` with a shell that has the directory /tmp elsewhere."""
    def __init__(self, path, tmp, damage=None):
        super().__init__(daemon=True)
        self.damage, self.focus, self.typed, self.open, self.said = damage, 0, b'', False, b''
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen(1)
        self.pid, self.shell = pty.fork()
        if not self.pid:
            os.execve(SHELL, [SHELL], {'PATH': os.environ['PATH'], 'PS1': 'control# ', 'TMP_HERE': tmp})
        self.tmp = tmp

    def say(self, line, data):
        """Send a guest's output, with its tag before each line."""
        self.said += data
        for part in data.splitlines(keepends=True):
            line.sendall((b'' if self.open else b'[dom0] ') + part)
            self.open = not part.endswith(b'\n')

    def take(self, line, data):
        for byte in (data[i:i + 1] for i in range(len(data))):
            if byte == b'\x01':
                self.typed += byte
                if self.typed.endswith(b'\x01\x01\x01'):
                    self.typed, self.focus = b'', (self.focus + 1) % 3
                    name = ('dom0', 'neighbour', 'Margay, h for help')[self.focus]
                    line.sendall(f'\r\n(margay) input goes to {name}; Ctrl-A three times switches\r\n'.encode())
                    self.open = False
            else:
                self.keys(byte)

    def keys(self, byte):
        assert self.focus == 0, f'{byte} was typed while the input went elsewhere'
        self.typed += byte
        if byte != b'\r':
            return
        text, self.typed = self.typed.replace(b'/tmp/', self.tmp.encode() + b'/'), b''
        if self.damage and re.fullmatch(rb'[\w+/=]+\r', text):
            text, self.damage = text[:-5] + b'AAAA\r', None
        os.write(self.shell, text.replace(b'\r', b'\n'))

    def run(self):
        with self.server.accept()[0] as line:
            try:
                while self.serve(line):
                    pass
            except OSError:
                pass

    def serve(self, line):
        for ready in select.select([line, self.shell], [], [])[0]:
            data = line.recv(4096) if ready is line else os.read(ready, 4096)
            if not data:
                return False
            (self.take if ready is line else self.say)(line, data)
        return True

    def stop(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.shell)
        self.server.close()


class Send(unittest.TestCase):
    def setUp(self):
        self.work = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.work)
        self.path, self.tmp = os.path.join(self.work, 'console'), os.path.join(self.work, 't')
        os.mkdir(self.tmp)

    def send(self, *words, damage=None):
        machine = self.machine = Machine(self.path, self.tmp, damage)
        self.addCleanup(machine.stop)
        machine.start()
        return subprocess.run([SEND, '--console', self.path, '--patience', '600', *words], capture_output=True,
                              text=True, check=False)

    def file(self, name, data):
        path = os.path.join(self.work, name)
        with open(path, 'wb') as file:
            file.write(data)
        return path

    def test_arrives(self):
        data = os.urandom(3000)     # does not compress: many lines
        done = self.send(self.file('x.mod', data), self.file('empty', b''))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, 'dom0: /tmp/x.mod, 3000 bytes\ndom0: /tmp/empty, 0 bytes\n')
        for name, want in (('x.mod', data), ('empty', b'')):
            with open(os.path.join(self.tmp, name), 'rb') as file:
                self.assertEqual(file.read(), want)
        self.assertEqual(sorted(os.listdir(self.tmp)), ['empty', 'x.mod'])
        # The shell's prompt may come before the answer.
        sums = re.findall(rb'sum [0-9a-f]{64}[^\r\n]*', self.machine.said)
        self.assertEqual((len(sums), [line for line in sums if len(b'[dom0] ' + line) > 80]), (2, []))

    def test_damage_is_seen(self):
        done = self.send(self.file('x.mod', os.urandom(3000)), damage=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn('x.mod arrived damaged', done.stderr)

    def test_no_such_guest(self):
        done = self.send('--guest', 'freebsd', self.file('x.mod', b'1'))
        self.assertEqual(done.returncode, 1)
        self.assertIn('no guest freebsd, only Margay, dom0, neighbour', done.stderr)

    def test_no_machine(self):
        done = subprocess.run([SEND, '--console', self.path, SEND], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn('is `make run` running?', done.stderr)

    def test_no_such_file(self):
        done = self.send(os.path.join(self.work, 'none'))
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, f'send: {self.work}/none: No such file or directory\n')

    def test_odd_name(self):
        done = self.send(self.file('a;reboot', b'1'))
        self.assertEqual(done.returncode, 1)
        self.assertIn("'a;reboot' has characters", done.stderr)


if __name__ == '__main__':
    unittest.main()
