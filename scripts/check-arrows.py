#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Check that the arrows between the rooms of the hypervisor run one way, that each header compiles alone, and that
indirect branches use thunks.

    scripts/check-arrows.py OBJECTS [ROOT]

OBJECTS is the directory of the objects (ROOM/FILE.o below it). Two ways reveal an arrow: an #include line, and a
symbol that one room's object uses and another room's object defines. DESIGN: hypercall -> common -> declared
architecture interface (include/margay); svm and vmx -> guest -> common. common/domain does not know boot modules,
and only include/margay/guest_copy.h reaches guests' pages. Retpolines (arch/x86/cpu/thunks.asm) protect only indirect
branches that go through them.
"""
import pathlib
import re
import subprocess
import sys

# Room: (rooms whose headers it may not include, rooms whose symbols it may not use)
RULES = {
    'common': (r'<x86/|hypercall(?!s\.def)|svm|vmx', ['hypercall', 'arch/x86/svm', 'arch/x86/vmx']),
    'common/domain': (r'<x86/|hypercall(?!s\.def)|svm|vmx|boot|cmdline',
                      ['hypercall', 'arch/x86/svm', 'arch/x86/vmx', 'common/boot']),
    'drivers': (r'<x86/|hypercall', ['hypercall', 'arch/x86/svm', 'arch/x86/vmx']),
    'hypercall': (r'<x86/|svm|vmx', ['arch/x86/svm', 'arch/x86/vmx']),
    'iommu': (r'hypercall|svm|vmx', ['hypercall', 'arch/x86/svm', 'arch/x86/vmx']),
    'include/margay': (r'<x86/', []),
    'include/public': (r'<(x86|margay)/', []),
    'arch/x86/guest': (r'svm\.h|vmx\.h|vmcb|vmcs', ['arch/x86/svm', 'arch/x86/vmx']),
    'arch/x86/svm': (r'vmx|vmcs', ['arch/x86/vmx']),
    'arch/x86/vmx': (r'svm|vmcb', ['arch/x86/svm']),
    **{f'arch/x86/{room}': (r'svm\.h|vmx\.h|vmcb|vmcs|hypercall', ['hypercall'])
       for room in ('boot', 'cpu', 'lib', 'mm', 'platform', 'sandbox')},
}
# hvm_ops, the only way from shared code to a back-end, and symbols that the compiler uses itself.
ALLOWED = {'svm_ops', 'vmx_ops', '__stack_chk_fail', '__stack_chk_guard',
           *(f'__x86_indirect_thunk_{r}' for r in 'rax rcx rdx rbx rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split())}
# include/margay declares what the machine-independent rooms use of arch/.
DECLARED = ('common', 'hypercall', 'drivers')
# They name no register and contain no instruction.
REGISTER = re.compile(r'__asm__|\b(rd|wr)msr|\b(read|write)_[cd]r\d|\bMSR_[A-Z]|\b(CR0|CR4|EFER|ICR)_[A-Z]')
# These rooms reach a guest's page by include/margay/guest_copy.h. The files of GATE implement that or own the pages.
GATED = ('common/', 'hypercall/', 'arch/x86/guest/', 'arch/x86/svm/', 'arch/x86/vmx/')
GATE = re.compile(r'common/(boot|page_\w+)\b|arch/x86/guest/guest_copy\.c')
DIRECT = re.compile(r'\bmfn_to_virt\(|\bphys_to_virt\(.*PAGE_SHIFT')
# Runs once, before any guest.
PLAIN_BRANCHES = 'arch/x86/boot/entry.asm.o'
COMMENT = re.compile(r'/\*.*?\*/', re.S)


def room_of(path):
    return max((room for room in RULES if path.startswith(room + '/')), key=len, default=None)


def check_sources(root):
    for path in sorted({p for room in RULES for ext in ('*.[ch]', '*.asm') for p in (root / room).rglob(ext)}):
        name = path.relative_to(root).as_posix()
        room = room_of(name)
        if not room:
            continue
        text = COMMENT.sub(lambda m: '\n' * m[0].count('\n'), path.read_text(encoding='utf-8'))
        for number, line in enumerate(text.split('\n'), 1):
            if re.match(r'\s*[#%]\s*include', line) and re.search(RULES[room][0], line):
                yield f'{name}:{number}: {room} may not include {line.split()[-1]}'
            if name.startswith(('common/', 'hypercall/')) and REGISTER.search(line):
                yield f'{name}:{number}: {room} names a register or holds an instruction: {line.strip()}'
            if name.startswith(GATED) and not GATE.match(name) and DIRECT.search(line):
                yield f'{name}:{number}: goes around guest_copy.h to a page: {line.strip()}'


def symbols_of(path):
    defined, used = set(), set()
    for line in subprocess.check_output(['nm', path], text=True).splitlines():
        kind, symbol = line.split()[-2:]
        if kind == 'U':
            used.add(symbol)
        elif kind.isupper():
            defined.add(symbol)
    return defined, used


def check_symbols(objects, root, declared):
    tables = {}
    for path in sorted(objects.rglob('*.o')):
        name = path.relative_to(objects).as_posix()
        # An object without a source is left over from an earlier build.
        if (root / name[:-2]).exists() or (root / (name[:-2] + '.c')).exists():
            tables[name] = symbols_of(path)
    home = {symbol: name for name, (defined, _) in tables.items() for symbol in defined}
    for name, (defined, used) in tables.items():
        room = room_of(name)
        if not room:
            continue
        for symbol in sorted(used & home.keys() - ALLOWED):
            target = home[symbol]
            if any(target.startswith(other + '/') for other in RULES[room][1]):
                yield f'{name}: {room} may not use {symbol} of {target}'
            elif room.split('/')[0] in DECLARED and target.startswith('arch/') and symbol not in declared:
                yield f'{name}: uses {symbol} of {target}, which include/margay does not declare'
        if not room.startswith('arch/'):
            for symbol in sorted(s for s in defined if s.startswith('arch_')):
                yield f'{name}: {symbol} belongs into arch/'


def check_branches(objects, root):
    for path in sorted(objects.rglob('*.o')):
        name = path.relative_to(objects).as_posix()
        if room_of(name) and name != PLAIN_BRANCHES and list((root / name).parent.glob(path.stem + '*')):
            for line in subprocess.check_output(['objdump', '-d', '--no-show-raw-insn', path], text=True).splitlines():
                if re.search(r'\t(call|jmp) +\*', line):
                    yield f'{name}: branches around the thunks: {" ".join(line.split())}'


def check_headers(root, include):
    gcc = ['gcc', '-std=gnu11', '-ffreestanding', '-mgeneral-regs-only', '-fsyntax-only', '-x', 'c']
    paths = [f'-I{root}/include', '-isystem', include]
    for path in sorted((root / 'include').rglob('*.h')):
        done = subprocess.run([*gcc, *paths, path], capture_output=True, text=True, check=False)
        if done.returncode:
            yield f'{path.relative_to(root)}: does not compile alone: {done.stderr.splitlines()[0]}'


def main():
    objects = pathlib.Path(sys.argv[1])
    root = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else '.')
    text = ''.join(COMMENT.sub('', p.read_text(encoding='utf-8')) for p in (root / 'include/margay').glob('*.h'))
    breaches = list(check_sources(root))
    breaches += check_symbols(objects, root, set(re.findall(r'\w+', text)))
    breaches += check_branches(objects, root)
    breaches += check_headers(root, str(objects.parent / 'inc'))
    print(*breaches, sep='\n', end='\n' if breaches else '')
    print(f'arrows: {len(breaches)} breaches')
    return 1 if breaches else 0


if __name__ == '__main__':
    sys.exit(main())
