# SPDX-License-Identifier: BSD-2-Clause
"""Tests of tools/image/extract-elf: one small bzImage per compression, and broken ones."""
import bz2
import gzip
import importlib.machinery
import importlib.util
import lzma
import os
import shutil
import struct
import subprocess
import tempfile
import unittest

TOOL = os.path.join(os.path.dirname(__file__), '../../tools/image/extract-elf')
loader = importlib.machinery.SourceFileLoader('extract_elf', TOOL)
spec = importlib.util.spec_from_loader('extract_elf', loader)
extract_elf = importlib.util.module_from_spec(spec)
loader.exec_module(extract_elf)
ExtractError = extract_elf.ExtractError


def make_elf(body=b'kernel text ' * 100):
    """A small ELF64 with one segment, and a .bss whose size must not count as file size."""
    header = bytearray(64)
    header[:6] = b'\x7fELF\x02\x01'
    sections = 120 + len(body)
    struct.pack_into('<QQ', header, 32, 64, sections)
    struct.pack_into('<HHHH', header, 54, 56, 1, 64, 1)
    segment = struct.pack('<IIQQQQQQ', 1, 5, 120, 0, 0, len(body), len(body), 1)
    bss = struct.pack('<IIQQQQIIQQ', 0, 8, 3, 0, sections, 1 << 30, 0, 0, 1, 0)
    return bytes(header) + segment + body + bss


def make_bzimage(payload, setup_sects=1, version=0x20f):
    sectors = setup_sects or 4
    image = bytearray((sectors + 1) * 512)
    image[0x1f1] = setup_sects
    struct.pack_into('<H', image, 0x1fe, 0xaa55)
    image[0x202:0x206] = b'HdrS'
    struct.pack_into('<H', image, 0x206, version)
    loader_code = b'\x90' * 77
    struct.pack_into('<II', image, 0x248, len(loader_code), len(payload))
    return bytes(image) + loader_code + payload + b'after the payload'


def with_size(data, packed):
    return packed + struct.pack('<I', len(data))


def command(data, *argv):
    return subprocess.run(argv, input=data, capture_output=True, check=True).stdout


ELF = make_elf()
KERNEL = ELF + b'relocations' * 9    # Linux appends these; they must be cut off


class Compressions(unittest.TestCase):
    def check(self, name, payload, **kwargs):
        got_name, elf = extract_elf.extract(make_bzimage(payload, **kwargs))
        self.assertEqual(got_name, name)
        self.assertEqual(elf, ELF)

    def check_command(self, name, *argv):
        if not shutil.which(argv[0]):
            self.skipTest(f'no command {argv[0]}')
        self.check(name, with_size(KERNEL, command(KERNEL, *argv)))

    def test_gzip(self):
        self.check('gzip', gzip.compress(KERNEL))

    def test_bzip2(self):
        self.check('bzip2', with_size(KERNEL, bz2.compress(KERNEL)))

    def test_xz(self):
        filters = [{'id': lzma.FILTER_X86}, {'id': lzma.FILTER_LZMA2, 'dict_size': 1 << 20}]
        packed = lzma.compress(KERNEL, lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=filters)
        self.check('xz', with_size(KERNEL, packed))

    def test_lzma(self):
        self.check('lzma', with_size(KERNEL, lzma.compress(KERNEL, lzma.FORMAT_ALONE)))

    def test_zstd(self):
        self.check_command('zstd', 'zstd', '-cq')

    def test_lz4(self):
        self.check_command('lz4', 'lz4', '-lcq')

    def test_lzo(self):
        self.check_command('lzo', 'lzop', '-cq')

    def test_uncompressed(self):
        self.check('none', KERNEL)

    def test_setup_sects_zero_means_four(self):
        self.check('gzip', gzip.compress(KERNEL), setup_sects=0)


class BadInputs(unittest.TestCase):
    def refuse(self, image, pattern):
        with self.assertRaisesRegex(ExtractError, pattern):
            extract_elf.extract(image)

    def test_empty(self):
        self.refuse(b'', 'too short')

    def test_elf(self):
        self.refuse(ELF, 'ELF file already')

    def test_not_a_kernel(self):
        self.refuse(bytes(4096), 'no Linux setup header')

    def test_old_protocol(self):
        self.refuse(make_bzimage(b'', version=0x204), 'protocol 2.04')

    def test_truncated_file(self):
        self.refuse(make_bzimage(gzip.compress(KERNEL))[:-100], 'truncated')

    def test_payload_length_zero(self):
        self.refuse(make_bzimage(b''), 'not inside')

    def test_payload_length_wild(self):
        image = bytearray(make_bzimage(gzip.compress(KERNEL)))
        struct.pack_into('<I', image, 0x24c, 0xffffffff)
        self.refuse(bytes(image), 'not inside')

    def test_unknown_compression(self):
        self.refuse(make_bzimage(b'not a stream at all'), 'unknown compression')

    def test_cut_streams(self):
        for packed in (bz2.compress(KERNEL), lzma.compress(KERNEL)):
            self.refuse(make_bzimage(with_size(KERNEL, packed[:-12])), 'damaged|ends too soon')
        self.refuse(make_bzimage(gzip.compress(KERNEL)[:-12]), 'ends too soon')

    def test_damaged_stream(self):
        packed = bytearray(gzip.compress(KERNEL))
        packed[20:40] = bytes(20)
        self.refuse(make_bzimage(bytes(packed)), 'damaged')

    def test_damaged_zstd(self):
        if not shutil.which('zstd'):
            self.skipTest('no command zstd')
        packed = command(KERNEL, 'zstd', '-cq')
        self.refuse(make_bzimage(with_size(KERNEL, packed[:-8])), 'zstd')

    def test_wrong_size(self):
        payload = bz2.compress(KERNEL) + struct.pack('<I', 12345)
        self.refuse(make_bzimage(payload), 'should be 12345')

    def test_payload_not_elf(self):
        self.refuse(make_bzimage(gzip.compress(b'hello' * 100)), 'not an ELF')

    def test_elf32(self):
        elf = bytearray(ELF)
        elf[4] = 1
        self.refuse(make_bzimage(gzip.compress(bytes(elf))), 'ELF64')

    def test_elf_cut(self):
        self.refuse(make_bzimage(gzip.compress(ELF[:-10])), 'beyond the payload')

    def test_segment_beyond_end(self):
        elf = bytearray(ELF)
        struct.pack_into('<Q', elf, 64 + 32, 1 << 40)
        self.refuse(make_bzimage(gzip.compress(bytes(elf))), 'longer than the payload')


class CommandLine(unittest.TestCase):
    def test_writes_file_and_reports_errors(self):
        with tempfile.TemporaryDirectory() as directory:
            image, out = os.path.join(directory, 'vmlinuz'), os.path.join(directory, 'elf')
            with open(image, 'wb') as file:
                file.write(make_bzimage(gzip.compress(KERNEL)))
            done = subprocess.run([TOOL, image, out], capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, '', ''))
            with open(out, 'rb') as file:
                self.assertEqual(file.read(), ELF)
            done = subprocess.run([TOOL, out, out + '2'], capture_output=True, text=True,
                                  check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn('ELF file already', done.stderr)
            self.assertFalse(os.path.exists(out + '2'))
            done = subprocess.run([TOOL, image + 'x', out], capture_output=True, text=True,
                                  check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn('No such file', done.stderr)


if __name__ == '__main__':
    unittest.main()
