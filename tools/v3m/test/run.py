#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Run V3M's tests: unit, conformance on mock and on QEMU, this host, bad input, fuzzing, speed, memory, ABI.

    O=build tools/v3m/test/run.py [--write-abi] [NAME...]

The conformance steps are the same for every back-end. QEMU's run in a libvirt session of an ordinary user, which root
becomes for that (nobody); without libvirt's qemu driver that test is skipped.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
O = pathlib.Path(os.environ.get('O', 'build')).resolve() / 'v3m'
V2M = str(O / 'v2m')
OK, INVALID, USAGE, NOT_FOUND, EXISTS, STATE, UNSUPPORTED, NO_BACKEND = range(8)
NOBODY = 65534
CHECK_LIMIT = 2_000_000_000  # instructions: some 0.5 s of CPU time
FUZZ_RUNS = 20000


class Skip(Exception):
    pass


class Bed:
    """A directory of its own, and v2m run in it, by an ordinary user if that is asked for."""

    def __init__(self, user=False):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix='v3m-', dir='/tmp'))
        self.prefix = []
        (self.dir / 'run').mkdir(mode=0o700)
        self.env = {'PATH': os.environ['PATH'], 'HOME': str(self.dir), 'XDG_RUNTIME_DIR': str(self.dir / 'run'),
                    'V3M_MOCK': str(self.dir / 'mock.xml'), 'V3M_BOOT': str(self.dir / 'boot'), 'LC_ALL': 'C'}
        if user and os.geteuid() == 0:
            for path in (self.dir, self.dir / 'run'):
                os.chown(path, NOBODY, NOBODY)
            # The tree may be where that user cannot look.
            for file in ('v2m', 'libv3m.so.0'):
                shutil.copy(O / file, self.dir)
            self.prefix = ['setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups']
        self.v2m = str(self.dir / 'v2m') if self.prefix else V2M

    def run(self, *args, wrap=(), env=None, timeout=120):
        return subprocess.run([*self.prefix, *wrap, self.v2m, *map(str, args)], env={**self.env, **(env or {})},
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout, cwd=self.dir,
                              stdin=subprocess.DEVNULL)

    def write(self, name, text):
        path = self.dir / name
        path.write_text(text)
        path.chmod(0o644)
        return path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pid = self.libvirtd()
        if pid:
            os.kill(pid, signal.SIGTERM)
        shutil.rmtree(self.dir, ignore_errors=True)

    def libvirtd(self):
        """Return the process id of this bed's own session daemon, or None."""
        try:
            pid = int((self.dir / 'run/libvirt/libvirtd.pid').read_text())
            return pid if b'libvirtd' in pathlib.Path(f'/proc/{pid}/cmdline').read_bytes() else None
        except (OSError, ValueError):
            return None


def same(got, wanted, what=''):
    if got != wanted:
        raise AssertionError(f'{what}: got {got!r}, wanted {wanted!r}')


def profile(name='a', type_='mock', extra='', image=None):
    disk = f'<image size="50">{image}</image>' if image else '<kernel>/etc/hostname</kernel>'
    return f'<profile><name>{name}</name><type>{type_}</type><memory>64</memory>{disk}{extra}</profile>'


# A step: command with its words; the code; then the state that `list` and `show` must say of machine a ('' if it is
# not there, None: not looked at). {d} is the bed's directory.
STEPS = [
    ('list', OK, ''), ('show a', NOT_FOUND, ''), ('start a', NOT_FOUND, ''), ('pause a', NOT_FOUND, ''),
    ('resume a', NOT_FOUND, ''), ('stop a', NOT_FOUND, ''), ('stop --force a', NOT_FOUND, ''),
    ('destroy a', NOT_FOUND, ''), ('checkpoint a {d}/c', NOT_FOUND, ''), ('restore {d}/c', NOT_FOUND, ''),
    ('check {d}/a.xml', OK, ''), ('create --dry-run {d}/a.xml', OK, ''), ('create {d}/bad.xml', INVALID, ''),
    ('create {d}/a.xml', OK, 'off'), ('create {d}/a.xml', EXISTS, 'off'), ('show a', OK, 'off'),
    ('pause a', STATE, 'off'), ('resume a', STATE, 'off'), ('stop a', STATE, 'off'), ('stop --force a', STATE, 'off'),
    ('checkpoint a {d}/c', STATE, 'off'), ('start --dry-run a', OK, 'off'), ('start a', OK, 'running'),
    ('start a', STATE, 'running'), ('create {d}/a.xml', EXISTS, 'running'), ('resume a', STATE, 'running'),
    ('pause a', OK, 'paused'), ('pause a', STATE, 'paused'), ('start a', STATE, 'paused'), ('show a', OK, 'paused'),
    ('resume a', OK, 'running'), ('checkpoint a {d}/c', OK, 'off'), ('restore {d}/c', OK, 'running'),
    ('stop --force a', OK, 'off'), ('start a', OK, 'running'), ('destroy a', OK, ''), ('destroy a', NOT_FOUND, ''),
    ('create {d}/a.xml', OK, 'off'), ('destroy a', OK, ''), ('list', OK, ''),
]


def state_of(bed, type_, name):
    listed = {m['name']: m['state'] for m in json.loads(bed.run('--on', type_, '--json', 'list').stdout)}
    shown = bed.run('--on', type_, '--json', 'show', name)
    state = json.loads(shown.stdout) if shown.returncode == OK else {}
    same(state.get('state', ''), listed.get(name, ''), 'show and list')
    if state:
        same((state['memory'], state['cpus']), (64 << 20, 1), 'memory and CPUs')
    return listed.get(name, '')


def conform(bed, type_):
    bed.write('a.xml', profile(type_=type_, image=bed.dir / 'a.img', extra='<nic1><type>TUN/TAP</type></nic1>'))
    bed.write('bad.xml', profile(type_=type_, extra='<cpus>0</cpus>'))
    for number, (command, code, state) in enumerate(STEPS, 1):
        words = command.format(d=bed.dir).split()
        done = bed.run('--on', type_, *words)
        what = f'step {number}, {command}'
        same(done.returncode, code, f'{what}: {done.stderr}')
        same(bool(done.stderr), code != OK, f'{what}: messages')
        if state is not None:
            same(state_of(bed, type_, 'a'), state, what)
    same((bed.dir / 'a.img').stat().st_size, 50 << 20, 'the image stays')


def test_unit():
    done = subprocess.run([O / 'test_profile'], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    same(done.returncode, 0, done.stdout + done.stderr)


def test_conformance_mock():
    with Bed() as bed:
        conform(bed, 'mock')


def qemu_bed():
    bed = Bed(user=True)
    if bed.run('--on', 'qemu', 'list').returncode == NO_BACKEND:
        with bed:
            raise Skip("no libvirt session: run scripts/setup v3m")
    return bed


def test_conformance_qemu():
    with qemu_bed() as bed:
        try:
            conform(bed, 'qemu')
        finally:
            bed.run('--on', 'qemu', 'destroy', 'a')


def test_2007():
    """The 2007 profile as it stands, its path apart: checked, and after a change of its type run on mock."""
    text = (HERE / 'profiles/2007.xml').read_text()
    with Bed() as bed:
        same(bed.run('check', '--offline', HERE / 'profiles/2007.xml').returncode, OK)
        text = text.replace('/srv/vm', str(bed.dir / 'vm')).replace('Xen', 'mock')
        path = bed.write('p.xml', text)
        for command in (['create', path], ['--on', 'mock', 'start', 'test'], ['--on', 'mock', 'destroy', 'test']):
            done = bed.run(*command)
            same(done.returncode, OK, done.stderr)
        same((bed.dir / 'vm/test_xen.img').stat().st_size, 50 << 20)


def test_2007_qemu():
    """The same on QEMU, started for real."""
    text = (HERE / 'profiles/2007.xml').read_text()
    with qemu_bed() as bed:
        path = bed.write('p.xml', text.replace('/srv/vm', str(bed.dir / 'vm')).replace('Xen', 'QEMU'))
        try:
            for command in (['create', path], ['start', 'test']):
                done = bed.run('--on', 'qemu', *command)
                same(done.returncode, OK, done.stderr)
            same(json.loads(bed.run('--json', 'show', 'test').stdout)['state'], 'running')
            # The daemon dies; the machine goes on, and the next call finds it.
            pid = bed.libvirtd()
            os.kill(pid, signal.SIGKILL)
            while os.path.exists(f'/proc/{pid}') and open(f'/proc/{pid}/stat').read().split()[2] != 'Z':
                time.sleep(0.1)
            same(json.loads(bed.run('--json', 'show', 'test').stdout)['state'], 'running')
        finally:
            same(bed.run('--on', 'qemu', 'destroy', 'test').returncode, OK)


# A boot sector that sends each byte of the serial line back, plus one.
ECHO = bytes.fromhex('bafd03 ec a801 74f8 baf803 ec 40 ee ebf0')


def test_console_qemu():
    """Bytes go to a machine that an image boots, and come back."""
    with qemu_bed() as bed:
        (bed.dir / 'e.img').write_bytes(ECHO.ljust(510, b'\0') + b'\x55\xaa' + bytes(1 << 20))
        if bed.prefix:
            os.chown(bed.dir / 'e.img', NOBODY, NOBODY)
        path = bed.write('p.xml', profile(type_='qemu', image=bed.dir / 'e.img').replace(' size="50"', ''))
        try:
            for command in (['create', path], ['start', 'a']):
                done = bed.run(*command)
                same(done.returncode, OK, done.stderr)
            console = subprocess.Popen([*bed.prefix, 'timeout', '60', bed.v2m, 'console', 'a'], env=bed.env, stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, bufsize=0)
            got = b''
            os.set_blocking(console.stdout.fileno(), False)
            for _ in range(100):  # until the firmware has booted
                console.stdin.write(b'HAL')
                time.sleep(0.3)
                got += console.stdout.read() or b''
                if b'IBM' in got:
                    break
            same(b'IBM' in got, True, got)
            console.stdin.write(b'\x1d')
            same(console.wait(), OK)
        finally:
            bed.run('destroy', 'a')


def test_xml_accepted():
    """libvirt's own schema accepts the XML of every back-end."""
    if not shutil.which('virt-xml-validate'):
        raise Skip('no virt-xml-validate')
    with Bed() as bed:
        nics = ''.join(f'<nic{i}>{body}</nic{i}>' for i, body in enumerate((
            '<type>TUN/TAP</type><mac>02:00:00:00:00:01</mac>', '<type>NAT</type>',
            '<type>bridge</type><bridge>br0</bridge>', '<type>PCI</type><device>0000:03:00.0</device>'), 1))
        text = profile(image='/srv/a.img', extra='<cpus pin="0-1" nodes="2">4</cpus><cdrom>/srv/c.iso</cdrom>' + nics)
        for type_ in ('mock', 'qemu', 'kvm', 'xen', 'margay', 'vmware'):
            path = bed.write('p.xml', text.replace('>mock<', f'>{type_}<'))
            done = bed.run('convert', path)
            same(done.returncode, OK, done.stderr)
            xml = bed.write('d.xml', done.stdout)
            done = subprocess.run(['virt-xml-validate', xml, 'domain'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True)
            same(done.returncode, 0, f'{type_}: {done.stdout}')


def test_host():
    """Faults of this host are found before anything is touched, each with its place."""
    with Bed() as bed:
        small = bed.write('small.img', 'x')
        cases = [
            (profile(image=bed.dir / 'small.img'), rf"p.xml:1:\d+: the image '{small}' has 0 MiB, too small"),
            (profile(extra='<image>/nowhere/x.img</image>'), r"the image '/nowhere/x.img' is missing; with size="),
            (profile(extra='<cdrom>/nowhere/x.iso</cdrom>'), r"the image '/nowhere/x.iso': No such file"),
            (profile().replace('/etc/hostname', '/nowhere/k'), r"the kernel '/nowhere/k': No such file"),
            (profile(extra='<nic1><type>bridge</type><bridge>v3mnone</bridge></nic1>'),
             r"there is no bridge 'v3mnone'"),
            (profile(extra='<nic1><type>PCI</type><device>fffe:00:00.0</device></nic1>'),
             r"there is no PCI function fffe:00:00.0"),
        ]
        for text, message in cases:
            path = bed.write('p.xml', text)
            for command in ('check', 'create'):
                done = bed.run(command, path)
                same(done.returncode, INVALID, done.stderr)
                if not re.search(message, done.stderr):
                    raise AssertionError(f'{done.stderr!r} does not say {message!r}')
            same(bed.run('check', '--offline', path).returncode, OK)
        path = bed.write('p.xml', profile(type_='xen'))
        done = bed.run('check', path, env={'V3M_DRIVERS': '/nowhere/'})
        same(done.returncode, INVALID)
        same('xen is not installed: it comes with the package libvirt-daemon-driver-xen' in done.stderr, True)
        same(json.loads(bed.run('--on', 'mock', '--json', 'list').stdout), [])


def test_undo():
    """A create that fails or is killed leaves nothing half-made, and running it again completes."""
    with Bed() as bed:
        images = f'<image size="5">{bed.dir}/one.img</image><image size="5">/proc/nowhere/two.img</image>'
        path = bed.write('p.xml', profile(extra=images))
        same(bed.run('create', path).returncode in (8, 9), True)
        same(sorted(f.name for f in bed.dir.glob('one*')), [], 'images of a failed create')
        path = bed.write('p.xml', profile(image=bed.dir / 'a.img'))
        (bed.dir / 'a.img.v3m-new').write_text('of a killed create')
        same(bed.run('create', path).returncode, OK)
        same(sorted(f.name for f in bed.dir.glob('a.img*')), ['a.img'])


def test_killed():
    """A create that is killed at any time leaves whole images or none; run again it completes."""
    with Bed() as bed:
        images = ''.join(f'<image size="5">{bed.dir}/{i}.img</image>' for i in range(8))
        path = bed.write('p.xml', profile(extra=images))
        killed = 0
        for delay in range(24):
            child = subprocess.Popen([V2M, 'create', str(path)], env=bed.env, stderr=subprocess.DEVNULL)
            time.sleep(delay / 1000)
            child.kill()
            killed += child.wait() == -signal.SIGKILL
            same({f.stat().st_size for f in bed.dir.glob('*.img')} <= {5 << 20}, True, 'sizes')
            done = bed.run('create', path)
            same(done.returncode in (OK, EXISTS), True, done.stderr)
            same(len(list(bed.dir.glob('*.img'))), 8)
            same(list(bed.dir.glob('*.v3m-new')), [])
            same(bed.run('--on', 'mock', 'destroy', 'a').returncode, OK)
            for image in bed.dir.glob('*.img'):
                image.unlink()
        same(killed > 0, True, 'none was killed in time')


def test_in_use():
    """An image has one writer; readers share it."""
    with Bed() as bed:
        image = bed.dir / "a&'.img"
        same(bed.run('create', bed.write('p.xml', profile(image=str(image).replace('&', '&amp;')))).returncode, OK)
        other = profile('b', image=str(image).replace('&', '&amp;'))
        done = bed.run('create', bed.write('q.xml', other))
        same(done.returncode, INVALID)
        same(done.stderr, f"v2m: the image '{image}' is already in use by 'a'\n")
        same(bed.run('create', bed.write('q.xml', other.replace('size="50"', 'mode="ro"'))).returncode, OK)
        same(image.exists(), True)


def test_set():
    with Bed() as bed:
        path = bed.write('s.xml', '<profileset><name>s</name>' + profile().replace('<profile>', '<profile count="4">')
                         + '</profileset>')
        for command, state in ((['create', path], 'off'), (['set', 'start', path], 'running'),
                               (['set', 'pause', path], 'paused'), (['set', 'resume', path], 'running')):
            done = bed.run(*command)
            same(done.returncode, OK, done.stderr)
            listed = json.loads(bed.run('--on', 'mock', '--json', 'list').stdout)
            same({m['name']: m['state'] for m in listed}, {f'a-{i}': state for i in range(1, 5)})
        done = bed.run('--dry-run', 'set', 'destroy', path)
        same((done.returncode, done.stdout), (OK, ''.join(f'destroy a-{i} on mock\n' for i in range(1, 5))))
        same(len(json.loads(bed.run('--on', 'mock', '--json', 'list').stdout)), 4)
        same(bed.run('set', 'destroy', path).returncode, OK)
        same(json.loads(bed.run('--on', 'mock', '--json', 'list').stdout), [])


def test_boot():
    """What a back-end cannot do is said so."""
    with Bed() as bed:
        path = bed.write('p.xml', profile(type_='boot'))
        same(bed.run('create', path).returncode, OK)
        same((bed.dir / 'boot/a.cfg').read_text(), "module2 '/etc/hostname' guest name=a vcpus=1 mem=64M\n")
        for command in ('start a', 'pause a', 'resume a', 'stop a', 'console a', 'checkpoint a c', 'migrate a u'):
            done = bed.run('--on', 'boot', *command.split())
            same(done.returncode, UNSUPPORTED, command)
            same(done.stderr.startswith('v2m: boot cannot '), True, done.stderr)
        same(bed.run('--on', 'boot', 'destroy', '../a').returncode, NOT_FOUND)
        same(bed.run('--on', 'boot', 'destroy', 'a').returncode, OK)


def test_usage():
    with Bed() as bed:
        for words in ([], ['fly'], ['start'], ['start', 'a', 'b'], ['--on', 'zen', 'list'], ['--no'], ['set', 'x', 'y']):
            same(bed.run(*words).returncode, USAGE, words)
        same(bed.run('check', '/nowhere').returncode, NOT_FOUND)
        message = json.loads(bed.run('--json', 'check', bed.write('p.xml', '<profile>\n<nmae/></profile>')).stderr)
        same((message['line'], message['column']), (2, 1))
        same(message['message'], 'unknown element <nmae>, did you mean <name>?')


def test_table():
    """The book's table of what is unsupported is what `v2m backends` says, and the completion knows the commands."""
    with Bed() as bed:
        printed = {line.split()[0]: line.partition('; cannot: ')[2] for line in bed.run('backends').stdout.splitlines()}
        rows = re.findall(r'^   ``(\w+)`` \|[^|]*\| ?(.*)$', (HERE.parents[2] / 'Documentation/v3m.rst').read_text(), re.M)
        same({name: text for name, text in rows if name in printed}, printed)
        script = f'. {HERE.parent}/v2m.bash; COMP_WORDS=(v2m "$1"); COMP_CWORD=1; _v2m; echo "${{COMPREPLY[@]}}"'
        for word, wanted in (('che', 'check checkpoint'), ('--j', '--json'), ('cons', 'console')):
            done = subprocess.run(['bash', '-c', script, 'bash', word], stdout=subprocess.PIPE, text=True,
                                  env={**bed.env, 'PATH': f'{O}:{bed.env["PATH"]}'})
            same(done.stdout.split(), wanted.split())


def test_list_calls():
    """`list` asks the driver at most three times about 200 machines."""
    with Bed() as bed:
        path = bed.write('s.xml', '<profileset><name>s</name>'
                         + profile().replace('<profile>', '<profile count="200">') + '</profileset>')
        same(bed.run('create', path).returncode, OK)
        done = bed.run('--on', 'mock', 'list', env={'LIBVIRT_DEBUG': '1', 'LIBVIRT_LOG_FILTERS': '1:libvirt',
                                                    'LIBVIRT_LOG_OUTPUTS': f'1:file:{bed.dir}/log'})
        same(len(done.stdout.splitlines()), 200)
        calls = re.findall(r': (vir(?:Connect|Domain)\w+):\d+ :', (bed.dir / 'log').read_text())
        calls = [c for c in calls if not re.search(r'Open|Close|Free|Ref|Dispose|GetName|Obj', c)]
        same(0 < len(calls) <= 3, True, calls)


def test_thousand():
    """A set of 1,000 profiles is checked within a number of instructions."""
    one = ('<profile><name>n{0}</name><type>Xen</type><memory>512</memory><image size="50">/srv/vm/{0}.img</image><nic1>'
           '<type>TUN/TAP</type><mac>02:00:00:00:{1:02x}:{2:02x}</mac></nic1></profile>\n')
    with Bed() as bed:
        text = ''.join(one.format(i, i >> 8, i & 255) for i in range(1000))
        path = bed.write('s.xml', f'<profileset><name>s</name>{text}</profileset>')
        done = bed.run('check', '--offline', path, wrap=['valgrind', '--tool=callgrind', '--callgrind-out-file=/dev/null'],
                       timeout=300)
        same(done.returncode, OK, done.stderr)
        count = int(re.search(r'Collected : (\d+)', done.stderr)[1])
        print(f'  1,000 profiles: {count / 1e6:.0f} million instructions')
        same(count < CHECK_LIMIT, True, f'{count} instructions')


def test_valgrind():
    """No error and no leak in loading, refusing, creating and listing."""
    with Bed() as bed:
        good = bed.write('p.xml', profile(image=bed.dir / 'a.img'))
        bad = bed.write('q.xml', '<profile><nmae/></profile>')
        for words, code in ((['check', '--offline', good], OK), (['check', bad], INVALID), (['create', good], OK),
                            (['--on', 'mock', 'list'], OK), (['--on', 'mock', 'destroy', 'a'], OK)):
            done = bed.run(*words, wrap=['valgrind', '-q', '--leak-check=full', '--errors-for-leak-kinds=definite',
                                         '--show-leak-kinds=definite', '--error-exitcode=99'], timeout=300)
            same(done.returncode, code, f'{words}: {done.stderr}')


def test_fuzz():
    with Bed() as bed:
        corpus = bed.dir / 'corpus'
        shutil.copytree(HERE / 'profiles', corpus)
        (corpus / 'set.xml').write_text('<profileset><name>s</name><network name="n"/>' + profile(
            extra='<cpus dedicated="yes" pin="1" nodes="1">2</cpus><ft mode="live" interval="5"/>'
            '<nic1><type>NAT</type></nic1>') + '</profileset>')
        done = subprocess.run([O / 'fuzz_profile', f'-runs={FUZZ_RUNS}', '-seed=1', '-max_len=4096', '-timeout=20', '-close_fd_mask=1', corpus],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=bed.dir, timeout=300)
        same(done.returncode, 0, done.stderr[-3000:])


def write_abi(path):
    """Describe the library's interface by what v3m.h shows of it."""
    with tempfile.TemporaryDirectory() as headers:
        shutil.copy(HERE.parent / 'v3m.h', headers)
        subprocess.run(['abidw', '--exported-interfaces-only', '--no-show-locs', '--no-corpus-path', '--no-comp-dir-path',
                        '--drop-private-types', '--headers-dir', headers, '--out-file', path, O / 'libv3m.so.0'],
                       check=True)


def test_abi():
    """The library's interface is that of libv3m.abi, or adds to it."""
    with Bed() as bed:
        write_abi(bed.dir / 'new.abi')
        done = subprocess.run(['abidiff', '--no-added-syms', HERE.parent / 'libv3m.abi', bed.dir / 'new.abi'],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    same(done.returncode, 0, done.stdout)
    names = subprocess.run(['nm', '-D', '--defined-only', O / 'libv3m.so.0'], stdout=subprocess.PIPE, text=True,
                           check=True).stdout
    exported = {line.split()[2].split('@')[0] for line in names.splitlines()} - {'V3M_0'}
    declared = set(re.findall(r'\b(v3m_\w+(?<!_fn)|vm_create)\(', (HERE.parent / 'v3m.h').read_text()))
    same(exported, declared, 'exported symbols and v3m.h')


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--write-abi', action='store_true', help='store the interface as the one to keep')
    parser.add_argument('names', nargs='*')
    parser.error = lambda why: parser.exit(2, f'run: {why}\n')
    args = parser.parse_args()
    if args.write_abi:
        return write_abi(HERE.parent / 'libv3m.abi')
    names = args.names
    tests = {name[5:]: test for name, test in globals().items() if name.startswith('test_')}
    for name in names:
        if name not in tests:
            parser.error(f'there is no test {name!r}; the tests are\n  ' + ' '.join(tests))
    passed = failed = skipped = 0
    for name in names or tests:
        print(f'  TEST    v3m {name}', flush=True)
        try:
            tests[name]()
            passed += 1
        except Skip as why:
            print(f'  skipped: {why}')
            skipped += 1
        except Exception as error:
            failed += 1
            print(f'FAILED v3m {name}; again: O={O.parent} tools/v3m/test/run.py {name}')
            print(''.join(f'    | {line}\n' for line in f'{type(error).__name__}: {error}'.splitlines()[-20:]), end='')
    print(f'{passed} passed, {failed} failed, {skipped} skipped')
    return failed != 0


if __name__ == '__main__':
    sys.exit(main())
