#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Boot the image of `make node` as an administrator does, and type what shows that its parts work.

    test/beds/node.py [--list] [--keep] [NAME...]

NAME is a shell pattern. node-bios, node-uefi and node-net boot the image on a machine without an IOMMU. node-install-*
install it on an NVMe disk, which node-boot-* boot; an install runs first if its disk is not there. --keep leaves the
disks in $O/test/node for the next run. Logs are left there in any case.
"""
import argparse
import collections
import fnmatch
import hashlib
import math
import os
import random
import sys
import tempfile

sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import beds  # noqa: E402
import runner  # noqa: E402
import scenarios  # noqa: E402
from verdict import Verdict  # noqa: E402

DIRECTORY = os.path.join(beds.OUT, 'test', 'node')
NODE = os.path.join(beds.OUT, 'node')
IMAGE = os.path.join(NODE, 'margay-node.img')
LIMIT = 3000        # the emulator's own seconds
RAM = 4096
PROMPT, GUEST_PROMPT = r'root@node:~# ', r'^\[dom0\] linux# '
TYPED_MOST = 255    # Margay's buffer for input

# What is typed once a line matches `after` (default: the step before is done), and the line that must come. A raw step
# is typed as it is; the others print a number when they are done. A line may be longer than Margay's buffer for input.
# host is a command to run on the build machine then; {qmp} is the socket of QEMU's monitor, {screen} a picture.
Step = collections.namedtuple('Step', 'send line after raw host', defaults=(None, None, False, None))

UP = Step('systemctl is-system-running --wait; systemctl --failed --plain --no-legend --no-pager', r'running$', PROMPT)
STEPS = (
    UP,
    Step('xl list', r'Domain-0 +0 +\d+ +2 '),
    Step('xl create -q /etc/xen/linux.cfg && xl list', r'linux +\d+ +128 +[12] '),
    Step('virsh -c xen:///system list', r' 0 +Domain-0 +running'),
    Step('ip -br addr show xenbr0', r'xenbr0 .*10\.0\.0\.1/24'),
    Step('ls /sys/class/net/xenbr0/brif', r'vif\d+\.0'),
    Step('ssh-keyscan -T 100 -t ed25519 localhost 2>/dev/null | cut -c 1-21', r'localhost ssh-ed25519$'),
    Step('man -w mgctl; _completion_loader mgctl; complete -p mgctl', r'complete .*mgctl$'),
    Step('mgctl stat | head -n 3', r'.*\bup\b'),
    Step('margay-install /dev/sda', r'margay-install: there is no /dev/sda; the control domain has no disks'),
    Step('xl destroy linux; xl list | grep -q linux || echo linux is gone', r'linux is gone$'),
)

VIRTIO = ',iommu_platform=on,disable-legacy=on'
IOMMUS = {'vtd': ('intel-iommu,intremap=on,aw-bits=48', r'iommu: VT-d at '),
          'amdvi': ('amd-iommu,intremap=on', r'iommu: AMD-Vi at ')}
# All devices are on bus 0: QEMU's amd-iommu takes the table of another function for DMA from behind a root port. A
# virtio device passes by the IOMMU without iommu_platform. 10.0.2.100 returns what it gets.
NETWORK = ['-netdev', 'user,id=net,guestfwd=tcp:10.0.2.100:7-cmd:cat', '-device']
CARD = 'e1000e,netdev=net,addr=4'
VIRTIO_CARD = f'virtio-net-pci,netdev=net,addr=4{VIRTIO}'
NVME = 'nvme,drive=disk,serial=1,addr=3,bootindex=2'
AHCI_DISK = 'ide-hd,drive=disk,bootindex=2'
VIRTIO_DISK = f'virtio-blk-pci,drive=disk,addr=3,bootindex=2{VIRTIO}'
AHCI = ['-device', 'ide-hd,drive=medium,bootindex=1']
USB = ['-device', 'usb-storage,drive=medium,bootindex=1']
DISK_SIZE, SMALL_SIZE = 3 << 30, 8 << 20
SUM = r'[0-9a-f]{40}'


# The USB keyboard and the screen, on which a login waits.
QMP = 'test/beds/qmp.py {qmp} '
CONSOLE = (
    Step('grep Name= /proc/bus/input/devices', r'.*QEMU USB Keyboard'),
    Step('cat /sys/class/graphics/fb0/name', r'bochs-drmdrmfb$'),
    Step('until grep -aq login: /dev/vcs1; do sleep 1; done'),
    Step('until grep -aq "login: margay" /dev/vcs1; do sleep 1; done; echo typed', 'typed$', host=QMP + 'keys margay'),
    Step('sleep 1', host=QMP + 'screen {screen}'),
)
LIT = 500           # pixels of a screen with a login at least


def install_steps(sums):
    """Steps with refusals, the installation, and sums of what must be as before: a partition of the medium, the small disk."""
    refused = (
        ('/dev/nvme9', 'there is no /dev/nvme9'), ('/etc', '/etc is not a disk'),
        ('/dev/sda2', '/dev/sda2 is not a whole disk'), ('/dev/sda', r'/dev/sda is not empty \(gpt.*wipefs -a /dev/sda'),
        ('/dev/vda', '/dev/vda is too small: it has 8 MiB'))
    return (
        UP, *(Step(f'margay-install {disk}', f'margay-install: {why}') for disk, why in refused),
        Step('mount -r /dev/sda2 /mnt; margay-install /dev/sda; umount /mnt', 'margay-install: /dev/sda is in use: /mnt'),
        Step('sha1sum /dev/sda1', f'{sums[0]}  /dev/sda1'), Step('sha1sum /dev/vda', f'{sums[1]}  /dev/vda'),
        Step('cmp -n 99999999 /dev/nvme0n1 /dev/zero && echo still empty', 'still empty$'),
        *CONSOLE,
        Step('margay-install /dev/nvme0n1', r'margay-install: done\.'),
        Step('margay-install /dev/nvme0n1', 'margay-install: /dev/nvme0n1 is not empty'))


INSTALLED = (
    UP,
    Step('findmnt -n -o SOURCE,FSTYPE /', r'/dev/(nvme0n1p|sda|vda)3 +ext4$'),
    Step('ip -br addr show enp0s4', r'enp0s4 +UP +10\.0\.2\.15/24'),
    Step('ping -q -c 3 10.0.2.2', r'3 packets transmitted, 3 received'),
)
# A guest with a disk on that disk, and a network by that card.
GUEST = (
    Step('xl create -q -c /etc/xen/linux.cfg\r', raw=True),
    Step('ip link set eth0 up; udhcpc -n -q -s /bin/true', r'udhcpc: lease of 10\.0\.0\.\d+ obtained from 10\.0\.0\.1',
         GUEST_PROMPT),
    Step('ip addr add 10.0.0.2/24 dev eth0; ip route add default via 10.0.0.1'),
    Step('ping -q -c 3 10.0.2.2', r'3 packets transmitted, 3 packets received'),
    Step('dd if=/dev/urandom of=f bs=64k count=64; sha1sum <f', f'{SUM}  -$'),
    Step('dd if=f of=/dev/xvda bs=64k; sync; echo 3 >/proc/sys/vm/drop_caches'),
    Step('head -c 4194304 /dev/xvda | cmp - f && echo disk works', r'disk works$'),
    Step('(cat f; sleep 5) | nc 10.0.2.100 7 | head -c 4194304 | cmp - f && echo network works', r'network works$'),
    Step('\x1d', raw=True),
    # The file that is the guest's disk has the same bytes. A partition of the disk is read into the guest's memory.
    Step('head -c 4194304 /var/lib/xen/linux.img | sha1sum', after=PROMPT),
    Step('xl block-attach linux phy:/dev/nvme0n1p1 xvdb r; md5sum </dev/nvme0n1p1', r'[0-9a-f]{32}  -$'),
    Step('xl console linux\r', raw=True),
    Step('\r', raw=True, after='xl console linux'),
    Step('md5sum </dev/xvdb', after=GUEST_PROMPT),
    Step('\x1d', raw=True),
    Step('xl destroy linux; xl list | grep -q linux || echo linux is gone', r'linux is gone$', PROMPT),
)
SAME = [rf'^\[dom0\] ({SUM})  -$', r'^\[dom0\] ([0-9a-f]{32})  -$']


class Case:
    """A machine with the image or an installed disk, and what is typed."""
    # pylint: disable=too-many-instance-attributes
    def __init__(self, kind, firmware, steps, iommu=None, medium=None, disk=NVME, card=CARD, same=()):
        # pylint: disable=too-many-arguments,too-many-positional-arguments
        self.devices = [disk, card]
        self.kind, self.firmware, self.steps, self.same = kind, firmware, steps, list(same)
        self.iommu = iommu      # of IOMMUS; None: no IOMMU and no devices
        self.medium = medium    # devices with the image, from which it is installed; None: the installed disk boots

    def installs(self):
        return bool(self.iommu and self.medium)

    def disk(self):
        return disk_of(self.iommu)

    def machine(self, qmp):
        if not self.iommu:
            image = IMAGE if self.kind == 'gpt' else os.path.join(NODE, 'net')
            # The image is left as it is.
            return beds.Machine(image, self.kind, self.firmware, 2, RAM, ['-snapshot'] if self.kind == 'gpt' else [])
        disk, card = self.devices
        extra = ['-device', IOMMUS[self.iommu][0], *NETWORK, card, '-device', disk,
                 *drive('disk', self.disk(), snapshot=not self.medium)]
        if self.medium:
            extra += ['-machine', 'i8042=off', '-device', 'qemu-xhci,addr=6', '-device', 'usb-kbd',
                      *drive('medium', IMAGE), *self.medium, *drive('small', small_disk()), '-device', f'virtio-blk-pci,drive=small,addr=5{VIRTIO}',
                      '-qmp', f'unix:{qmp},server=on,wait=off']
        return beds.Machine(None, 'none', self.firmware, 2, RAM, extra)


def disk_of(iommu):
    """Return the path of the disk that is installed with that IOMMU."""
    return os.path.join(DIRECTORY, f'{iommu}.img')


def drive(name, path, snapshot=True):
    path = path.replace(',', ',,')
    return ['-drive', f'if=none,id={name},format=raw,file={path},snapshot={"on" if snapshot else "off"}']


def small_disk():
    """Return the path of a disk that is too small, with random contents."""
    path = os.path.join(DIRECTORY, 'small.img')
    with open(path, 'wb') as file:
        file.write(random.Random(1).randbytes(SMALL_SIZE))
    return path


def lit(path):
    """Return how many pixels of a picture (PPM) are not black."""
    with open(path, 'rb') as file:
        size = [file.readline() for _ in range(3)][1]
        pixels = file.read()
    assert len(pixels) == 3 * math.prod(map(int, size.split())), size
    return sum(any(pixels[i:i + 3]) for i in range(0, len(pixels), 3))


def sha1(path, first=0, size=-1):
    with open(path, 'rb') as file:
        file.seek(first)
        return hashlib.sha1(file.read(size)).hexdigest()


def medium_sums():
    """Return the sums of the first partition of the image, and of the small disk."""
    return sha1(IMAGE, 34 * 512, 2014 * 512), sha1(small_disk())


CASES = {
    'node-bios': Case('gpt', 'bios', STEPS),
    # The others boot, and show that the services came up.
    'node-uefi': Case('gpt', 'uefi', STEPS[:2]),
    'node-net': Case('ipxe', 'bios', STEPS[:2]),
    'node-install-vtd': Case('none', 'bios', install_steps, 'vtd', AHCI),
    'node-boot-vtd': Case('none', 'bios', INSTALLED + GUEST, 'vtd', same=SAME),
    'node-boot-vtd-uefi': Case('none', 'uefi', INSTALLED, 'vtd', disk=AHCI_DISK),
    'node-install-amdvi': Case('none', 'uefi', install_steps, 'amdvi', USB),
    'node-boot-amdvi': Case('none', 'uefi', INSTALLED + GUEST, 'amdvi', same=SAME),
    'node-boot-amdvi-bios': Case('none', 'bios', INSTALLED, 'amdvi', disk=VIRTIO_DISK, card=VIRTIO_CARD),
}


def scenario(name, **files):
    """Return a scenario as test/scenarios.list would have it. files: those that the steps name."""
    case, typed, after = CASES[name], [], PROMPT
    steps = case.steps(medium_sums()) if callable(case.steps) else case.steps
    for n, step in enumerate(steps, 1):
        send = step.send if step.raw else f'{step.send}; echo step $(({n}+0))\r'
        assert len(send) <= TYPED_MOST, send
        typed.append({'after': step.after or after, 'send': send})
        if step.host:
            typed[-1]['host'] = step.host.format(**files)
        if not step.raw:
            after = rf'^\[dom0\] step {n}$'
    # A machine that reboots is off here.
    typed.append({'after': after, 'send': 'reboot\r' if case.installs() else 'poweroff\r'})
    end = 'the machine reboots' if case.installs() else 'no guests left: power off'
    expect = [rf'^\[dom0\] {step.line}' for step in steps if step.line] + [rf'^\(margay\) .*{end}$']
    entry = {'name': name, 'guests': [], 'timeout': LIMIT, 'ends': 'off', 'input': typed, 'same': case.same}
    if case.iommu:
        expect.append(IOMMUS[case.iommu][1])
        entry['forbid'] = [r'\(margay\) iommu: 0000:']      # blocked DMA
    return scenarios.check(scenarios.fill(dict(entry, expect=expect), scenarios.FIELDS, name), name)


def run(name):
    case = CASES[name]
    log = os.path.join(DIRECTORY, name + '.log')
    os.makedirs(DIRECTORY, exist_ok=True)
    screen = log.replace('.log', '.ppm')
    try:
        if not os.path.exists(IMAGE):
            raise beds.BedError(f'no {IMAGE}: run make node')
        if case.installs():
            runner.remove(case.disk())
            with open(case.disk(), 'wb') as file:
                file.truncate(DISK_SIZE)
        with tempfile.TemporaryDirectory() as work:     # a socket's path must be short
            qmp = os.path.join(work, 'qmp')
            verdict = Verdict(scenario(name, qmp=qmp, screen=screen), 'qemu')
            ended = beds.run('qemu', case.machine(qmp), verdict, log, LIMIT)
        reason = verdict.judge(ended)
        if not reason and case.installs() and lit(screen) < LIT:
            reason = f'the screen is dark: {screen}'
    except beds.BedError as error:
        return runner.Outcome(name, 'qemu', 'FAIL', str(error), log=log)
    if reason and case.installs():
        runner.remove(case.disk())
    return runner.Outcome(name, 'qemu', 'FAIL' if reason else 'ok', reason or '', ended.seconds, log)


def with_installs(names):
    """Return the names, and before the first boot of a disk its install, if the disk is not there and of this image."""
    result = []
    for name in names:
        case = CASES[name]
        install = f'node-install-{case.iommu}'
        if case.iommu and not case.medium and install not in result:
            disk = case.disk()
            if not os.path.exists(disk) or os.path.getmtime(disk) < os.path.getmtime(IMAGE):
                result.append(install)
        result.append(name)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--list', action='store_true', help='say what would run')
    parser.add_argument('--keep', action='store_true', help='leave the installed disks for the next run')
    parser.add_argument('names', nargs='*', metavar='NAME')
    parser.error = lambda why: parser.exit(2, f'node: {why}\n')
    args = parser.parse_args()
    os.chdir(runner.ROOT)
    names = [name for name in CASES if not args.names or any(fnmatch.fnmatch(name, n) for n in args.names)]
    if args.list:
        print('\n'.join(names))
        return 0
    if not names:
        print('node: no such names', file=sys.stderr)
        return 2
    outcomes = []
    try:
        for name in with_installs(names):
            outcomes.append(run(name))
            outcomes[-1].report()
    finally:
        if not args.keep:
            for iommu in IOMMUS:
                runner.remove(disk_of(iommu))
    return runner.sum_up(outcomes)


if __name__ == '__main__':
    sys.exit(main())
