#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Write the fuzzers' seed inputs: mkseeds.py DIRECTORY MODULE... (one sub-directory per fuzzer)."""
import pathlib
import struct
import sys


def write(directory, name, seeds):
    path = directory / name
    path.mkdir(parents=True)
    for i, seed in enumerate(seeds):
        (path / f"seed{i:02}").write_bytes(seed)


def mb2():
    def tag(kind, body):
        return (struct.pack("<II", kind, 8 + len(body)) + body).ljust((len(body) + 15) & ~7, b"\0")

    def info(*tags):
        body = b"".join(tags) + tag(0, b"")
        return struct.pack("<II", 8 + len(body), 0) + body

    ranges = [(0, 0x9fc00, 1), (0x9fc00, 0x400, 2), (0x100000, 0x3fee0000, 1), (0x3ffe0000, 0x20000, 3)]
    mmap = tag(6, struct.pack("<II", 24, 0) + b"".join(struct.pack("<QQII", *r, 0) for r in ranges))
    other = tag(6, struct.pack("<II", 32, 0) + b"".join(
        struct.pack("<QQIIQ", base, size, t, 0, 0)
        for t, base, size in ((7, 0, 160), (1, 0x100000, 0x3000000), (3, 0x2ff0000, 0x20000), (4, 0x3200000, 1))))
    mods = [tag(3, struct.pack("<II", a, b) + s + b"\0") for a, b, s in (
        (0x1000000, 0x1400000, b"guest name=a vcpus=2"), (0x1400000, 0x1500000, b"initrd for=a"),
        (0x13ff000, 0x1500000, b"overlap"), (0xa0000, 0xb0000, b"hole"))]
    rsdp1, rsdp2 = tag(14, b"RSD PTR ".ljust(20, b"\0")), tag(15, b"RSD PTR ".ljust(36, b"\0"))
    line = tag(1, b"com1=115200 loglevel=debug\0")
    yield info(line, *mods[:2], mmap, rsdp1)
    yield info(line, other, mods[0], tag(12, bytes(8)), tag(18, b""), rsdp2)
    for base, pitch, width, height, bits, kind in ((0xe0000000, 4096, 1024, 768, 32, 1), (0xb8000, 160, 80, 25, 16, 2)):
        yield info(mmap, tag(8, struct.pack("<QIIIBBH6x", base, pitch, width, height, bits, kind, 0)))
    yield info(mmap, other, *mods)
    yield info(other, rsdp1, rsdp2, tag(99, b"x"))


def acpi():
    def table(name, body):
        return name + struct.pack("<H", len(body)) + body

    madt = struct.pack("<II", 0xfee00000, 1) + b"".join((
        *(struct.pack("<BBBBI", 0, 8, i, i, i != 3) for i in range(4)),
        struct.pack("<BBHIII", 9, 16, 0, 256, 1, 4), struct.pack("<BBBBII", 1, 12, 0, 0, 0xfec00000, 0),
        struct.pack("<BBBBIH", 2, 10, 0, 0, 2, 0), struct.pack("<BBBHB", 4, 6, 255, 0, 1),
        struct.pack("<BBHIB3x", 10, 12, 0, 4, 1), struct.pack("<BBHQ", 5, 12, 0, 0xfee00000)))
    srat = bytes(12) + b"".join((
        struct.pack("<BBBBIB3sI", 0, 16, 0, 0, 1, 0, b"", 0), struct.pack("<BBHIIII4x", 2, 24, 0, 1, 256, 1, 0),
        struct.pack("<BBIHQQIIQ", 1, 40, 0, 0, 0, 0x40000000, 0, 1, 0),
        struct.pack("<BBIHQQIIQ", 1, 40, 1, 0, 0x100000000, 0x40000000, 0, 3, 0)))
    fadt = bytearray(208)
    struct.pack_into("<HIB", fadt, 10, 9, 0xb2, 2)
    struct.pack_into("<II", fadt, 28, 0x604, 0)
    struct.pack_into("<IBBBBQB", fadt, 76, 1 << 10, 1, 8, 0, 1, 0xcf9, 15)
    struct.pack_into("<BBBBQ", fadt, 136, 1, 16, 0, 2, 0x604)
    dsdt = b"\x10\x14\\\0\x08_S5_\x12\x06\x04\0\x0a\x05\0\0"
    hpet = struct.pack("<IBBBBQBHB", 0x8086a201, 0, 64, 0, 0, 0xfed00000, 0, 100, 0)
    yield table(b"DSDT", dsdt) + table(b"FACP", fadt) + table(b"APIC", madt) + table(b"SRAT", srat) + table(b"HPET", hpet)
    yield table(b"APIC", madt) + table(b"APIC", madt) + table(b"SSDT", dsdt)
    slit = struct.pack("<Q", 2) + b"\x0a\x15\x1f\x0a"
    yield table(b"SRAT", srat) + table(b"SLIT", slit)
    gas = struct.pack("<BBBBQ", 1, 8, 0, 1, 0x2f8)
    spcr = (b"\0\0\0\0" + gas + bytes(6) + b"\x07").ljust(44, b"\0")
    dbg2 = struct.pack("<II", 44, 1) + struct.pack("<BHBHHHHHHHHH", 0, 38, 1, 0, 0, 0, 0, 0x8000, 0, 0, 22, 34) + gas + bytes(4)
    yield table(b"SPCR", spcr) + table(b"DBG2", dbg2)
    entries = b"".join((
        struct.pack("<BHB", 2, 8, 0), struct.pack("<BHBBHB", 3, 0x100, 0, 4, 0x1ff, 0), struct.pack("<BHBBHB", 66, 0x200, 0, 0, 0xa5, 0),
        struct.pack("<BHBBHBBHB", 67, 0x300, 0, 0, 0xa4, 0, 4, 0x307, 0), struct.pack("<BHBBHB", 72, 0, 0xd7, 0, 0xa0, 1),
        struct.pack("<BHB8s8sBB3s", 240, 0xa5, 0, b"AMDI0020", b"", 2, 3, b"abc"), struct.pack("<BHB", 1, 0, 0)))
    ivrs = bytes(12) + b"".join(struct.pack("<BBHHHQHHI", kind, 0xb0, head + len(entries), 2, 0x40, 0xfd200000, 0, 0, 0) +
                                bytes(head - 24) + entries for kind, head in ((0x10, 24), (0x11, 40), (0x40, 40)))
    ivrs += b"".join(struct.pack("<BBHHHQQQ", kind, 7, 32, 8, 0x1ff, 0, 0x10000, 0x2000) for kind in (0x20, 0x21, 0x22))
    yield table(b"IVRS", ivrs)

    def image(revision, root_name, width):
        root = root_name + struct.pack("<I", 36 + width) + bytes(28) + (0x1000000 + 128).to_bytes(width, "little")
        root = root[:9] + bytes([-sum(root) & 255]) + root[10:]
        rsdp = bytearray(b"RSD PTR ".ljust(36, b"\0"))
        rsdp[15] = revision
        struct.pack_into("<IIQ", rsdp, 16, 0x1000040, 36, 0x1000040 if width == 8 else 0)
        rsdp[8] = -sum(rsdp[:20]) & 255
        rsdp[32] = -sum(rsdp) & 255
        apic = bytearray(b"APIC" + struct.pack("<I", 36 + len(madt)) + bytes(28) + madt)
        apic[9] = -sum(apic) & 255
        return b"\0" + (bytes(rsdp).ljust(64, b"\0") + root).ljust(128, b"\0") + bytes(apic)

    yield image(0, b"RSDT", 4)
    yield image(2, b"XSDT", 8)


def elf():
    def note(name, kind, desc):
        pad = lambda b: b.ljust((len(b) + 3) & ~3, b"\0")
        return struct.pack("<III", len(name), len(desc), kind) + pad(name) + pad(desc)

    notes = note(b"GNU\0", 3, bytes(20)) + note(b"Xen\0", 6, b"linux\0") + note(b"Xen\0", 18, struct.pack("<Q", 0x1000010))
    loads = ((0x1000000, 0x200, 0x80, 0x1000), (0x2000000, 0x280, 0, 0x9000))
    head = b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x1000000, 64, 0, 0, 64, 56, 3, 0, 0, 0)
    phdrs = b"".join(struct.pack("<IIQQQQQQ", 1, 5, off, pa, pa, fsz, msz, 4096) for pa, off, fsz, msz in loads)
    phdrs += struct.pack("<IIQQQQQQ", 4, 4, 0x180, 0, 0, len(notes), len(notes), 4)
    yield ((head + phdrs).ljust(0x180, b"\0") + notes).ljust(0x280, b"\x90")

    notes = note(b"Xen\0", 18, struct.pack("<I", 0x100000))
    head = b"\x7fELF\1\1\1".ljust(16, b"\0") + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, 0x100000, 52, 0, 0, 52, 32, 2, 0, 0, 0)
    phdrs = struct.pack("<IIIIIIII", 1, 0x100, 0x100000, 0x100000, 0x40, 0x2000, 7, 4096)
    phdrs += struct.pack("<IIIIIIII", 4, 0xc0, 0, 0, len(notes), len(notes), 4, 4)
    yield ((head + phdrs).ljust(0xc0, b"\0") + notes).ljust(0x140, b"\x90")


def decode():
    code = ("8937", "8b4720", "c787b000000000000000", "8707", "a1b000e0fe", "678b07", "440fb65424081", "4863c8",
            "f78000030000001000", "f0832701", "81a7f0000000fffeffff", "66c7001234", "48a18877665544332211",
            "f717", "0fb70424", "26666789480c", "8b04c5b000e0fe", "88200000", "3b07", "64890425b000e0fe")
    for mode in range(3):
        for c in code:
            yield bytes([mode]) + bytes.fromhex(c + "0" * (len(c) % 2))


def cmdline():
    yield b"cwhen_empty=poweroff maxcpus=4 com1=115200,8n1,0x2f8 sched_slice=5000 conswitch=b"
    yield b"cconsole_sync loglevel=debug nox2apic noreboot=no perf_boot=yes bogus maxcpus=0 when_empty=x"
    yield b"s115200,8n1,0x3f8"
    yield b"s9600,7e2"
    yield b"gguest name=a vcpus=2 mem=512M pin=0,2-3 initial control on_reboot=destroy on_crash=restart -- console=hvc0"
    yield b"gguest name=node-1 vcpus=64 mem=0x80000K pin=0-63"
    yield b"ginitrd for=a"
    yield b"gpolicy select=sched,idle cpus=0,2-3"
    yield b"gpolicies-allowed"


def microcode():
    intel = struct.pack('<12I', 1, 9, 0x01012020, 0x306d4, 0, 1, 2, 16, 96, 0, 0, 0) + bytes(16)
    intel = bytearray(intel + struct.pack('<8I', 1, 0, 0, 0, 0, 0x306d4, 2, 0))
    for start, finish, at in ((0, 64, 16), (64, 96, 68)):
        total = sum(struct.unpack(f'<{(finish - start) // 4}I', intel[start:finish]))
        struct.pack_into('<I', intel, at, -total & 0xffffffff)
    amd = struct.pack('<11I', 0x00414d44, 0, 32, 0x800f12, 0, 0, 0x8012, 0, 0, 0, 0)
    amd += struct.pack('<2I', 1, 96) + struct.pack('<24I', 0, 9, 0, 0, 0, 0, 0x8012, *bytes(17))
    for seed in bytes(intel), bytes(intel) * 2, amd, amd * 2:
        yield seed


def module():
    """Policy modules as built, and variants with other section headers and symbols."""
    for path in sys.argv[2:]:
        yield pathlib.Path(path).read_bytes()
    data = bytearray(pathlib.Path(sys.argv[2]).read_bytes())
    headers, = struct.unpack_from("<Q", data, 40)
    count, = struct.unpack_from("<H", data, 60)
    for i in range(count):
        for field, value in ((4, 8), (8, 7), (32, 1 << 40), (48, 8192)):
            changed = bytearray(data)
            struct.pack_into("<I" if field == 4 else "<Q", changed, headers + 64 * i + field, value)
            yield bytes(changed)


def domctl():
    """Calls of fuzz_domctl.c: the hypercall, the operation, and what follows its interface version."""
    handle = struct.pack("<Q", 0xaa << 56 | 0x1000)
    for op in range(96):
        yield bytes([0, op]) + struct.pack("<IIQ", 1, 0, 1) + 4 * (struct.pack("<II", 64, 0) + handle)
        yield bytes([1, op]) + struct.pack("<Q", 64) + 4 * (handle + struct.pack("<Q", 64))
    create = struct.pack("<II", 2, 0) + bytes(20) + struct.pack("<IIIIIII", 3, 0, 2, 0, 0, 0, 1)
    yield b"\0\1" + (create + bytes(16) + struct.pack("<I", 1)).ljust(136, b"\0") + b"\0\17" + struct.pack("<III", 2, 0, 2)


def main():
    directory = pathlib.Path(sys.argv[1])
    for maker in (mb2, acpi, elf, decode, cmdline, microcode, module, domctl):
        write(directory, maker.__name__, maker())


main()
