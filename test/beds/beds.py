# SPDX-License-Identifier: BSD-2-Clause
"""The beds: emulated machines on which an image boots, with a time limit.

qemu (AMD-V by QEMU's TCG), ryzen (AMD-V by Bochs), broadwell, ivy and skylake (VT-x by Bochs, with
and without APIC virtualization and 1 GiB pages), strict (broadwell, where an MSR that Bochs does not
know raises #GP), oracle (a guest ELF as the initial domain of Debian's Xen 4.17 under QEMU), xendom0
(the guest's initrd with Debian's generic kernel as that Xen's initial domain, paravirtualized, which
needs no IOMMU), xensave (the same on one CPU and with the host's clock, for guests that live long). In a table of scenarios `vtx` stands for all that have VT-x. All are headless. A
watcher sees every serial line as it comes, may answer with input, and may end the run early.

No verdict depends on how busy this machine is. The time inside an emulated machine is a count of its
instructions: Bochs knows no other, and QEMU has VIRTUAL_TIME. Limits are in OwnTime, times PATIENCE from the environment
(`make check PATIENCE=4`).
"""
import collections
import contextlib
import ctypes
import functools
import glob
import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import termios
import threading
import time
import tty

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.environ.get('O', 'build')
CACHE = os.path.join(OUT, 'cache')
OVMF = '/usr/share/OVMF/OVMF_CODE_4M.fd'
# Features of EPYC that TCG lacks are removed by name, or QEMU warns of each on each CPU.
STOCK_CPU = ('EPYC,+svm,-rdseed,-sha-ni,-fxsr-opt,-misalignsse,-3dnowprefetch,-osvw,-topoext,'
             '-nrip-save,-xsavec')
# CMPXCHG16B of QEMU 7.2 can leave an operand of an earlier comparison in RFLAGS. An interrupt just behind it
# pushes that, and the handler's IRET faults if bit NT is set. Linux does without the instruction.
NO_CX16 = ',-cx16'
TCG_CPU = STOCK_CPU + NO_CX16
XEN_CPU = TCG_CPU + ',-monitor,-smap,-rdtscp,-xsave'    # of the bed xensave
ESCAPES = re.compile(r'\x1b(\[[0-9;?=]*[A-Za-z]|[()][A-Z0-9]|c)')
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)
core_users, core_lock = collections.Counter(), threading.Lock()


class BedError(Exception):
    """The bed cannot run here; the text names what is missing."""


def patience():
    """Return the factor for all limits, PATIENCE of the environment, or 1 without it."""
    text = os.environ.get('PATIENCE') or '1'
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0 < factor < float('inf'):
        raise BedError(f"PATIENCE='{text}' is not a factor for time limits, such as 4")
    return factor


class Machine:
    """The machine and what it boots: everything that a bed needs to know."""
    # pylint: disable=too-many-instance-attributes
    def __init__(self, image, kind='iso', firmware='bios', cpus=2, mem=512, extra=()):
        self.image, self.kind, self.firmware = image, kind, firmware
        self.cpus, self.mem, self.extra = cpus, mem, list(extra)
        self.threads = False            # QEMU: each CPU has a thread, and time is this machine's
        self.bochs = {}                 # values for bochsrc, in place of the bed's
        self.commands = 'c\nq\n'        # for Bochs's debugger
        self.cpu = TCG_CPU              # QEMU's, which bed qemu boots
        self.oracle_args = ''           # the guest's command line (oracle, and kind linux)
        self.oracle_initrd = None
        self.oracle_vcpus = 1
        self.oracle_mem = 64
        self.oracle_options = ''


class Watcher:
    """Base class of objects that watch a run. Times are the emulator's own seconds (OwnTime)."""
    def line(self, text, now):
        """Called for each whole serial line."""

    def waiting(self, partial, now):    # pylint: disable=unused-argument
        """Called often with the unfinished line. Return text to type, or None."""
        return None

    def deadline(self, now):            # pylint: disable=unused-argument
        """Return the time at which the run ends before the limit, or None."""
        return None


class Ended:
    """The end of a run: 'off' (by the machine itself), 'watcher', or 'limit'."""
    def __init__(self, how, status, seconds):
        self.how, self.status, self.seconds = how, status, seconds


def qemu_disk(machine):
    """Return QEMU's arguments for the boot medium."""
    if machine.kind == 'none':      # machine.extra has all devices
        return []
    if machine.kind == 'linux':
        return ['-nic', 'none', '-kernel', machine.image, '-initrd', machine.oracle_initrd, '-append', machine.oracle_args]
    image = machine.image.replace(',', ',,')
    if machine.kind in ('net', 'ipxe'):
        program = 'margay.efi' if machine.firmware == 'uefi' else 'margay.0'
        if machine.kind == 'ipxe':      # the card's boot ROM runs a script
            program = 'margay.ipxe'
        return ['-netdev', f'user,id=n0,tftp={image},bootfile=/{program}',
                '-device', 'virtio-net-pci,netdev=n0,bootindex=1']
    if machine.kind == 'usb':
        return ['-nic', 'none', '-drive', f'file={image},if=none,id=stick,format=raw',
                '-device', 'qemu-xhci', '-device', 'usb-storage,drive=stick,bootindex=1']
    if machine.kind in ('disk', 'gpt'):
        return ['-nic', 'none', '-drive', f'file={image},if=virtio,format=raw']
    return ['-nic', 'none', '-cdrom', image]


def qemu_firmware(machine):
    if machine.firmware != 'uefi':
        return []
    if not os.path.exists(OVMF):
        raise BedError(f'no {OVMF} (package ovmf)')
    return ['-drive', f'if=pflash,format=raw,readonly=on,file={OVMF}']


def qemu_base(machine, accel='tcg', cpu=TCG_CPU):
    """Return QEMU's arguments for the machine, without its medium and serial line."""
    if accel == 'kvm':
        cpu = 'host'
    extra = list(machine.extra)
    # Maybe more than the host has: the guest never touches all of it.
    if machine.mem > 8192 and '-numa' not in machine.extra:
        extra += ['-object', f'memory-backend-ram,id=ram,size={machine.mem}M,reserve=off',
                  '-machine', 'memory-backend=ram']
    return ['qemu-system-x86_64', '-machine', 'q35', '-accel', accel, '-cpu', cpu,
            '-smp', str(machine.cpus), '-m', f'{machine.mem}M', '-display', 'none',
            '-monitor', 'none', *([] if machine.kind == 'usb' else ['-no-reboot']), *qemu_firmware(machine), *extra]


# An instruction takes 16 ns, an idle machine skips to its next timer at once, and the clock chip
# starts at DATE. All CPUs run in turns in one thread. That also protects Linux guests from a bug of
# QEMU 7.2: with threads it may miss a CPU's write to code that another CPU is translating, and
# continue with the old code. A kernel that patches itself was seen to execute its temporary
# breakpoint forever.
DATE = '2026-01-01T00:00:00'
ONE_THREAD = 'tcg,thread=single'    # an `accel` that does so with the host's clock
VIRTUAL_TIME = {'-icount': 'shift=4,sleep=off', '-seed': '1', '-rtc': f'base={DATE},clock=vm'}


def time_of(machine):
    """Return QEMU's arguments for the machine's time, if the machine does not set it."""
    if machine.threads:
        return []
    return [word for pair in VIRTUAL_TIME.items() if pair[0] not in machine.extra for word in pair]


class OwnTime:
    """The seconds of an emulator, independent of the load of this machine: its CPU time, and the time in which all its
    threads slept. The time in which they waited for a CPU does not count.
    """
    def __init__(self, pid):
        self.pid, self.total = pid, 0.0
        self.last = self.look()

    def look(self):
        """Return the wall clock, and the CPU time and the waiting time of all threads."""
        used = waited = 0
        for path in glob.glob(f'/proc/{self.pid}/task/*/schedstat'):
            try:
                with open(path, encoding='ascii') as file:
                    numbers = file.read().split()
            except OSError:     # the thread has just ended
                continue
            used, waited = used + int(numbers[0]), waited + int(numbers[1])
        return time.monotonic(), used / 1e9, waited / 1e9

    def now(self):
        last, self.last = self.last, self.look()
        wall, used, waited = (max(0.0, now - before) for now, before in zip(self.last, last))
        self.total += used + max(0.0, wall - used - waited)
        return self.total


@contextlib.contextmanager
def one_core(wanted=True):
    """Return words before QEMU's command that keep all its threads on one core of this machine; each run of this
    process gets another core as long as there are any. A CPU that executes XRSTOR, FXRSTOR or FLDENV in QEMU clears a
    flag (IGNNE) of CPU 0 without a lock. If this coincides with CPU 0's VMRUN or #VMEXIT, CPU 0 continues with its old
    flags: it walks a nested page table in the host, or none in the guest, and dies of a triple fault
    (cpu_clear_ignne() in target/i386/tcg/sysemu/fpu_helper.c, 7.2). On one core they cannot coincide, since the
    clearing is one instruction.
    """
    if not wanted:
        yield []
        return
    with core_lock:
        cores = os.sched_getaffinity(0)
        least = min(core_users[core] for core in cores)
        core = random.choice([core for core in cores if core_users[core] == least])
        core_users[core] += 1
    try:
        yield ['taskset', '-c', str(core)]
    finally:
        with core_lock:
            core_users[core] -= 1


def need(program, package):
    if not shutil.which(program):
        raise BedError(f'no {program} (package {package})')


def die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_for(path, ended):
    """Wait until an emulator has made the socket at path, or ended() returns true."""
    while not os.path.exists(path) and not ended():
        time.sleep(0.02)


class Line:
    """Splits the serial stream into clean lines for the watcher, and writes the log."""
    def __init__(self, watcher, log, pid, factor):
        self.watcher, self.log, self.partial = watcher, log, ''
        self.seconds, self.patience = OwnTime(pid).now, factor

    def now(self):
        """Return the time for limits and deadlines: patience slows it down."""
        return self.seconds() / self.patience

    def feed(self, data):
        self.log.write(data.replace(b'\r', b''))
        self.log.flush()
        text = self.partial + data.decode(errors='replace')
        *lines, self.partial = text.split('\n')
        for line in lines:
            self.watcher.line(ESCAPES.sub('', line).replace('\r', ''), self.now())

    def typed(self):
        return self.watcher.waiting(ESCAPES.sub('', self.partial).replace('\r', ''), self.now())

    def finish(self):
        if self.partial:
            self.feed(b'\n')

    def over(self, limit):
        """Return 'watcher' or 'limit' when the run must end, else None."""
        end = self.watcher.deadline(self.now())
        if end is not None and self.now() >= end:
            return 'watcher'
        return 'limit' if self.now() >= limit else None


def stop(process):
    if process.poll() is None:
        process.kill()
    return process.wait()


def run_piped(command, watcher, log_path, limit):
    """Run an emulator whose serial line is its stdin and stdout."""
    factor = patience()
    with open(log_path, 'wb') as log, tempfile.TemporaryFile() as errors, \
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                             preexec_fn=die_with_parent) as process:
        line, how = Line(watcher, log, process.pid, factor), 'off'
        os.set_blocking(process.stdout.fileno(), False)
        try:
            while True:
                ready, _, _ = select.select([process.stdout], [], [], 0.05)
                if ready:
                    data = process.stdout.read(65536)
                    if data == b'':
                        break
                    line.feed(data or b'')
                text = line.typed()
                if text:
                    process.stdin.write(text.encode())
                    process.stdin.flush()
                over = line.over(limit)
                if over:
                    how = over
                    break
        except BrokenPipeError:
            pass
        finally:
            try:
                process.wait(timeout=600 if how == 'off' else 0)
            except subprocess.TimeoutExpired:
                pass
            status = stop(process)
            line.finish()
            errors.seek(0)
            message = errors.read()
            log.write(message)
        if how == 'off' and status:
            text = message.decode(errors='replace').strip().split('\n')[-1]
            raise BedError(f'QEMU ended with status {status}: {text}')
        return Ended(how, status, line.seconds())


def run_qemu(machine, watcher, log_path, limit):
    need('qemu-system-x86_64', 'qemu-system-x86')
    resets = log_path + '.resets'
    # COM1, or a later port if the arguments have others, or the device that they give c0 to.
    serial = [] if any('chardev=c0' in word for word in machine.extra) else ['-serial', 'chardev:c0']
    command = [*qemu_base(machine, cpu=machine.cpu), *time_of(machine), *qemu_disk(machine),
               '-chardev', 'stdio,id=c0,signal=off', *serial, '-d', 'cpu_reset', '-D', resets]
    with one_core(machine.threads) as prefix:
        ended = run_piped([*prefix, *command], watcher, log_path, limit)
    try:
        with open(resets, encoding='utf-8', errors='replace') as file:
            faults = re.findall('Triple fault', file.read())
    except FileNotFoundError:
        return ended    # the limit came before QEMU had begun
    if not faults:
        os.remove(resets)
    elif ended.how == 'off':
        raise BedError(f'a triple fault of the machine: {resets}')
    return ended


def run_oracle(machine, watcher, log_path, limit, kernel=None, steady=False):
    """Boot the guest ELF machine.image as the initial domain of Xen, or instead a kernel of CACHE, paravirtualized.
    steady: so that guests live long.
    """
    need('qemu-system-x86_64', 'qemu-system-x86')
    xen = os.path.join(CACHE, 'xen/xen')
    if not os.path.exists(xen):
        raise BedError(f'no {xen} (run scripts/setup check)')
    kind = 'dom0=pv' if kernel else 'dom0=pvh dom0-iommu=none'
    options = (f'{kind} com1=115200,8n1 console=com1 noreboot '
               f'dom0_max_vcpus={machine.oracle_vcpus} dom0_mem={machine.oracle_mem}M '
               f'{machine.oracle_options}')
    image = os.path.join(CACHE, kernel) if kernel else machine.image
    module = f'{image} {machine.oracle_args}'.strip().replace(',', ',,')
    if machine.oracle_initrd:
        module += ',' + machine.oracle_initrd.replace(',', ',,')
    # On this emulator MWAIT sometimes raises #GP in Xen's idle loop, IRET does in ring 3 with SMAP, and RDTSCP exits
    # as RDTSC, which Xen cannot emulate.
    cpu = TCG_CPU + ',-monitor' + ',-smap,-rdtscp' * bool(kernel)
    base = [*qemu_base(machine, cpu=cpu), *time_of(machine)]
    if steady:
        # AVX registers change under a paravirtualized kernel. An interrupt that Xen injects comes again if the
        # emulator's loop ends before the next exit, as it does for each timer by -icount, and for each turn of several
        # CPUs: a guest that takes it before its SWAPGS dies.
        machine.cpus = 1
        base = qemu_base(machine, ONE_THREAD, XEN_CPU)
    command = [*base, '-nic', 'none', '-kernel', xen,
               '-append', options, '-initrd', module,
               '-chardev', 'stdio,id=c0,signal=off', '-serial', 'chardev:c0']
    return run_piped(command, watcher, log_path, limit)


def connection(server, process):
    """Return the connection to Bochs's serial line."""
    server.settimeout(0.5)
    while process.poll() is None:
        try:
            return server.accept()[0]
        except TimeoutError:
            pass
    raise BedError(f'Bochs has not started (status {process.returncode})')


def follow(link, line, limit):
    """Pass on a serial line's traffic until the emulator or the watcher ends it. Return how it ended."""
    while True:
        if select.select([link], [], [], 0.05)[0]:
            data = link.recv(65536)
            if not data:
                return 'off'
            line.feed(data)
        text = line.typed()
        if text:
            link.sendall(text.encode())
        over = line.over(limit)
        if over:
            return over


CYLINDER = 16 * 63 * 512     # bytes
BOCHS_MEDIA = {'iso': ('cdrom', 'cdrom', 'status=inserted'), 'usb': ('disk', 'disk', 'mode=flat')}


def drain_screen(process):
    """Read what Bochs writes to its screen, a pseudoterminal. If nobody did, Bochs would stand still when it is full."""
    def terminal():
        for path in glob.glob(f'/proc/{process.pid}/fdinfo/*'):
            with contextlib.suppress(OSError):      # Bochs has closed this file
                with open(path, encoding='ascii') as file:
                    found = re.search(r'^tty-index:\s*(\d+)', file.read(), re.M)
                if found:                           # it fails until Bochs has unlocked it
                    return os.open(f'/dev/pts/{found[1]}', os.O_RDWR | os.O_NOCTTY)
        return None

    screen = None
    while screen is None and process.poll() is None:
        time.sleep(0.05)
        screen = terminal()
    if screen is not None:
        with contextlib.suppress(OSError, termios.error):   # Bochs ended
            tty.setraw(screen)
            while os.read(screen, 65536):
                pass
        os.close(screen)


def run_bochs(machine, watcher, log_path, limit, model='ryzen', strict=False):
    """Run Bochs. Its serial line is a TCP connection to this process."""
    need('bochs-bin', 'bochs')
    if machine.kind not in BOCHS_MEDIA or machine.firmware != 'bios':
        raise BedError('Bochs boots an ISO or a disk by BIOS only')
    if machine.mem > 3072:
        raise BedError('Bochs has at most 3072 MiB here')
    factor = patience()
    with tempfile.TemporaryDirectory() as work, open(log_path, 'wb') as log, \
            socket.create_server(('127.0.0.1', 0)) as server:
        rc, commands = (os.path.join(work, name) for name in ('bochsrc', 'commands'))
        values = {'MAGIC': 0, 'MODEL': model, 'ROM': 'BIOS-bochs-latest', 'CPUS': machine.cpus,
                  **dict(zip(('BOOT', 'MEDIUM', 'MODE'), BOCHS_MEDIA[machine.kind])),
                  'MEGS': machine.mem, 'HOST': min(machine.mem, 1536),
                  'SERIAL': f'127.0.0.1:{server.getsockname()[1]}',
                  'IMAGE': os.path.abspath(machine.image), 'LOG': log_path + '.bochs',
                  'DISK': '', 'IGNORE': int(not strict), 'MSRS': os.path.join(HERE, 'msrs.def'),
                  **machine.bochs}
        if values['DISK']:      # a file, for a second disk: Bochs writes to a copy that fills its last cylinder
            disk = shutil.copy(values['DISK'], os.path.join(work, 'disk'))
            os.truncate(disk, -(-os.path.getsize(disk) // CYLINDER) * CYLINDER)
            values['DISK'] = f'ata0-slave: type=disk, path="{disk}", mode=flat'
        with open(os.path.join(HERE, 'bochsrc'), encoding='utf-8') as file:
            text = re.sub('@([A-Z]+)@', lambda m: str(values[m[1]]), file.read())
        for path, content in ((rc, text), (commands, machine.commands)):
            with open(path, 'w', encoding='utf-8') as file:
                file.write(content)
        with open(log_path + '.console', 'wb') as console, \
                subprocess.Popen(['bochs-bin', '-q', '-f', rc, '-rc', commands],
                                 stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                                 env=dict(os.environ, TERM='xterm'),
                                 preexec_fn=die_with_parent) as process:
            line = Line(watcher, log, process.pid, factor)
            threading.Thread(target=drain_screen, args=(process,), daemon=True).start()
            try:
                with connection(server, process) as link:
                    how = follow(link, line, limit)
            except ConnectionError:     # it ended with unread data
                how = 'off'
            finally:
                status = stop(process)
                line.finish()
        return Ended(how, status, line.seconds())


def bochs(model, strict=False):
    """Return a bed with that model of Bochs."""
    return functools.partial(run_bochs, model=model, strict=strict)


BEDS = {
    'qemu': run_qemu,
    'ryzen': bochs('ryzen'),
    'broadwell': bochs('broadwell_ult'),
    'ivy': bochs('corei7_ivy_bridge_3770k'),
    'skylake': bochs('corei7_skylake_x'),
    'icelake': bochs('corei7_icelake_u', strict=True),
    'strict': bochs('broadwell_ult', strict=True),
    'oracle': run_oracle,
    'xendom0': functools.partial(run_oracle, kernel='generic/vmlinuz'),
    'xensave': functools.partial(run_oracle, kernel='generic/vmlinuz', steady=True),
}
ON_XEN = ('oracle', 'xendom0', 'xensave')
# The set of scripts/setup that a bed needs besides `run`; others need bochs.
NEEDS = {'qemu': 'qemu', 'oracle': 'oracle', 'xendom0': 'oracle', 'xensave': 'oracle'}
GROUPS = {'vtx': ('broadwell', 'ivy', 'skylake')}
# In `make check` these beds run only the scenarios that concern them; in check-long, or on request,
# all. Ivy Bridge has neither 1 GiB pages nor interrupt delivery by hardware.
QUICK = {
    'skylake': (),
    'ivy': ('hello', 'smp', 'ipi', 'lapic_*', 'tpr*', 'upcall*', 'hlt', 'nmi', 'timers', 'evtchn_ipi',
            'exceptions', 'switch_state', 'paging', 'memory', 'linux-boot-*', 'vtx-*'),
}


def run(bed, machine, watcher, log_path, limit):
    """Boot machine on the bed of that name. Return Ended, or raise BedError."""
    os.makedirs(os.path.dirname(log_path), exist_ok=True)
    return BEDS[bed](machine, watcher, log_path, limit)
