# SPDX-License-Identifier: BSD-2-Clause
"""Cases of test/beds/faults.py: exceptions, NMIs and machine checks in Margay and in a guest. A case is a function
that gdb calls while the machine stands at its first instruction. Its decorator lists the expected results. The runner
reads this file for the decorators, gdb for the functions.

A case is a function that gdb calls while the machine stands at its first instruction; its decorator
says what must come of it. The file is read by the runner and, for the function, by gdb.
"""
import gdbkit as k

CASES = {}
NOREBOOT = 'noreboot'
END = r'^\(margay\) panic: the machine stays halted$'
HELLO = r'^\[hello\] PASS hello$'


class Case:
    """What to boot and what to expect; by default a panic that halts."""
    # pylint: disable=too-many-instance-attributes
    cpus, ram, cpu, qemu, timeout = 2, '512M', None, [], 90
    options, expect, forbid, ordered, modules, grub = NOREBOOT, [], [], True, [], []
    panics, halts, ends, gdb = True, True, 'any', True
    screen, firmware, when_empty = None, 'bios', 'poweroff'    # screen: looks at it, by QEMU's monitor
    flags = 'pin=1'             # words of the guest's module

    def __init__(self, name, what, inject, changes):
        self.name, self.what, self.inject = name, what, inject
        for key, value in changes.items():
            if not hasattr(self, key):
                raise AttributeError(f'{name}: {key}')
            setattr(self, key, value)


def case(cases=None, **changes):
    def add(function):
        name = function.__name__.replace('_', '-')
        what = function.__doc__.split('\n', maxsplit=1)[0]
        (CASES if cases is None else cases)[name] = Case(name, what, function, changes)
        return function
    return add


def exception(name, *backtrace, cpu=0, error=None, before=()):
    """Return the lines of a panic by an exception: its name and CPU, registers, backtrace, and the end."""
    number = {'#DF': 8, '#GP': 13, '#PF': 14, '#UD': 6}[name]
    lines = [rf'^\(margay\) exception {number} {name} on CPU {cpu}$', *before]
    return lines + panic(cpu, backtrace, error)


def registers(error=None):
    error = '[0-9a-f]+' if error is None else format(error, 'x')
    word = '[0-9a-f]{16}'
    return [rf'^\(margay\) RIP {word} RFLAGS [0-9a-f]+ CS 0008 SS 00[01]0$',
            rf'^\(margay\) RSP {word} RBP {word} error {error}$',
            rf'^\(margay\) RAX {word} RBX {word} RCX {word}$',
            rf'^\(margay\) R14 {word} R15 {word}$',
            rf'^\(margay\) CR0 [0-9a-f]+ CR2 {word} CR3 {word} CR4 [0-9a-f]+$']


def panic(cpu, backtrace, error=None):
    symbols = [rf'^\(margay\)   [0-9a-f]{{16}}{name}' for name in backtrace]
    return registers(error) + [r'^\(margay\) backtrace:$', *symbols,
                               rf'^\(margay\) panic on CPU {cpu}:$', END]


GOES_ON = {'panics': False, 'halts': False, 'ends': 'off', 'options': 'loglevel=debug'}
PLAIN = '$'     # an address outside of Margay's code has no name


@case(expect=exception('#PF', r' memset\+', r' svm_run\+', r' sched_loop\+', cpu=1, error=3))
def write_text():
    """Code is not writable."""
    k.stop('do_memory_op', cpu=1)
    k.here_calls('memset', k.address('do_memory_op'), 0xcc, 1)


@case(expect=exception('#PF', r' memset\+', error=3))
def write_text_direct():
    """Code is not writable through the direct map either."""
    k.stop('boot_guests')
    k.here_calls('memset', k.phys(k.value('image_paddr')), 0xcc, 1)


@case(expect=exception('#PF', r' memset\+', error=3))
def write_rodata():
    """Constants are not writable."""
    k.stop('boot_guests')
    k.here_calls('memset', k.address('sym_name'), 0xcc, 1)


@case(expect=exception('#PF', PLAIN, error=0x11))
def execute_data():
    """Variables are not executable."""
    k.stop('boot_guests')
    k.here_jumps(k.address('boot_info'))


@case(expect=exception('#PF', PLAIN, error=0x11))
def execute_direct():
    """Code is not executable through the direct map."""
    k.stop('boot_guests')
    k.here_jumps(k.phys(k.value('image_paddr')) + k.address('memset') - k.address('image_start'))


@case(expect=exception('#PF', PLAIN, error=0x11))
def execute_stack():
    """The stack is not executable."""
    k.stop('boot_guests')
    k.write(k.value('$rsp') - 256, b'\xeb\xfe')
    k.here_jumps(k.value('$rsp') - 256)


@case(expect=exception('#PF', r' boot_main\+0x0', r' svm_run\+', cpu=1, error=0x10))
def execute_init():
    """Code that only the boot needs is gone once guests run."""
    k.stop('do_memory_op', cpu=1)
    k.here_jumps(k.address('boot_main'))


@case(expect=exception('#PF', PLAIN, error=0x10))
def execute_null():
    """A call through a null pointer."""
    k.stop('boot_guests')
    k.here_jumps(0)


@case(expect=exception('#DF', r' svm_run\+|long_op\+', cpu=1,
                       before=[r'^\(margay\) stack overflow: the guard page at [0-9a-f]+ was hit']))
def stack_overflow():
    """A stack that grows into its guard page: the double fault has a stack of its own."""
    k.stop('do_memory_op', cpu=1)
    k.put('rsp', k.value('cpus[1]->stack_top') - 2 * k.PAGE)


@case(expect=exception('#PF', r' memset\+', error=2,
                       before=[r'^\(margay\) stack overflow: the guard page at [0-9a-f]+ was hit']))
def guard_page():
    """A write below the stack, as by an overrun of an array on it."""
    k.stop('boot_guests')
    k.here_calls('memset', k.value('cpus[0]->stack_top') - 2 * k.PAGE - 1, 0, 1)


@case(expect=exception('#PF', r' memcpy\+')[:-3] + exception('#PF', r' trap_backtrace\+'))
def recursive_fault():
    """A broken frame pointer: the backtrace itself must not fault for ever."""
    k.stop('boot_guests')
    k.put('rbp', 0xffffd00000000000)
    k.here_calls('memcpy', k.value('$rsp') - 256, 0xffffd00000000000, 8)


@case(expect=exception('#PF', PLAIN, r' main_on_own_stack\+', error=0x11))
def smep():
    """Margay cannot execute a user page."""
    k.stop('boot_guests')
    k.here_jumps(k.make_user_page())


@case(expect=exception('#PF', r' memcpy\+', r' main_on_own_stack\+', error=1))
def smap_read():
    """Margay cannot read a user page."""
    k.stop('boot_guests')
    k.here_calls('memcpy', k.value('$rsp') - 256, k.make_user_page(), 1)


@case(expect=exception('#PF', r' memset\+', r' main_on_own_stack\+', error=3))
def smap_write():
    """Margay cannot write a user page."""
    k.stop('boot_guests')
    k.here_calls('memset', k.make_user_page(), 0, 1)


@case(cpu='max,+svm', expect=exception('#GP')[:4] + [
    r'CR4 00[0-9a-f]*[37bf][0-9a-f]{2}[89a-f][0-9a-f]{2}$'])
def control_bits():
    """SMEP, SMAP and UMIP are on where the CPU has them."""
    k.stop('boot_guests')
    k.here_calls('memcpy', k.value('$rsp') - 256, 0x8000000000000000, 8)


@case(expect=[r'^\(margay\) panic on CPU 0:$', r'^\(margay\) stack overrun', r'backtrace:',
              r' __stack_chk_fail\+', r' snprintf\+', END])
def stack_protector():
    """An overwritten canary causes a panic that names the function."""
    k.stop('boot_guests')
    k.stop('vsnprintf')         # called by snprintf(), which has arguments on its stack and so a canary
    guard = k.read(k.address('__stack_chk_guard'), 8)
    at = k.value('$rsp')
    frame = k.read(at, -at % k.PAGE)
    # All of them: one may be left from an earlier call.
    k.write(at, frame.replace(guard, b'overrun!'))


def expect_nmi(cpu):
    """Let the machine run until an NMI's handler starts. No other handler may start before."""
    k.stop('trap_handler', cpu=cpu)
    vector = k.read_u64(k.value('$rdi') + 15 * 8)
    if vector != 2:
        raise k.gdb.GdbError(f'vector {vector} instead of an NMI')


NMI_REPORTED = r'^\(margay\) CPU [01]: [12] NMIs?: unknown source: a BMC or a button\?$'


@case(expect=[NMI_REPORTED, HELLO, r'^\(margay\) hello: exit hypercall'], forbid=['hello: exit nmi'], **GOES_ON)
def nmi_in_margay():
    """An NMI while Margay runs is reported and has no other effect."""
    k.stop('do_memory_op', cpu=1)
    k.monitor('nmi')
    expect_nmi(1)


def raise_serr():
    """An NMI whose handler reads SERR# from the chipset's port."""
    k.monitor('nmi')
    k.stop('nmi_unasked')
    lines = k.command('disassemble nmi_unasked').replace('=>', '').splitlines()
    after = next(i for i, line in enumerate(lines) if line.split()[2:3] == ['in']) + 1
    k.stop('*' + lines[after].split()[0])
    k.put('rax', 0x80)


@case(expect=[r'^\(margay\) CPU 0: 3 NMIs: a PCI device reported a system error \(SERR#\)$', r'^\[other\] PASS hello$'],
      cpus=1, flags='', modules=[['hello', 'guest name=other mem=32M']], **GOES_ON)
def nmi_serr():
    """Three system errors before the first report are counted."""
    k.stop('do_memory_op')
    for _ in range(3):
        raise_serr()


@case(expect=[rf'^\(margay\) CPU 1: unexpected interrupt vector 0x77, {n} until now$' for n in (1, 2, 4, 8)] + [HELLO],
      forbid=['0x77, [35679] until'], **GOES_ON)
def stray_vectors():
    """Interrupts that nobody asked for: the messages say how many there were."""
    k.stop('boot_guests')
    for _ in range(9):
        k.monitor('nmi')
        k.stop('trap_handler', cpu=1)
        k.write_u64(k.value('$rdi') + 15 * 8, 0x77)


@case(expect=[HELLO], grub=['write_dword 0xfee00340 0x4ef', 'write_dword 0xfee00330 0xef'], **GOES_ON)
def lvt_of_firmware():
    """Firmware left local interrupts of the performance counters and the thermal sensor on: they are masked."""
    k.stop('boot_guests')
    text = k.command('monitor info lapic')
    for name in ('LVTPC', 'LVTTHMR'):
        line = next(line for line in text.splitlines() if name in line)
        if 'masked' not in line:
            raise k.gdb.GdbError(line)


@case(expect=[HELLO], **GOES_ON)
def nmi_early():
    """An NMI while Margay boots, before exceptions have their own stacks."""
    k.stop('acpi_parse')
    k.monitor('nmi')
    expect_nmi(0)


@case(expect=[HELLO, r'^\(margay\) hello: exit nmi 1$'], **GOES_ON)
def nmi_in_guest():
    """An NMI while a guest runs causes an exit, and the guest continues unharmed."""
    k.stop('svm_switch', cpu=1)     # GIF is clear: it waits until VMRUN
    k.monitor('nmi')
    expect_nmi(1)
    if k.value('cpus[1]->current->exits[EXIT_NMI]'):
        raise k.gdb.GdbError('the exit was handled before the NMI')


def sata_command():
    """Return the command register of the SATA controller that the BIOS booted from, by the monitor."""
    k.monitor('o /4 0xcf8 0x8000fa04')
    return int(k.monitor('i /2 0xcfc').split('=')[1], 16)


@case(expect=[r'^\(margay\) PCI: stopped [1-9]\d* devices? that firmware left as bus masters?$', HELLO], **GOES_ON)
def bus_masters():
    """A device that firmware left as a bus master does no DMA once guests start."""
    k.stop('pci_init')
    if not sata_command() & 4:
        raise k.gdb.GdbError('the BIOS left no bus master: the case shows nothing')
    k.stop('boot_guests')
    if sata_command() & 7 != 3:
        raise k.gdb.GdbError(f'command register {sata_command():#x}')


@case(expect=exception('#UD', r'', error=0), options=NOREBOOT)
def undefined():
    """An undefined instruction."""
    k.stop('boot_guests')
    k.write(k.value('$rip'), b'\x0f\x0b')


@case(expect=exception('#PF', PLAIN, r' boot_main\+', error=0x10))
def early():
    """A fault before the CPU has its own stack and data."""
    k.stop('acpi_map_table')
    k.here_jumps(0)


@case(expect=exception('#DF', PLAIN, r' boot_main\+'))
def early_double():
    """A double fault before the CPU has its own stack and data."""
    k.stop('acpi_map_table')
    k.write(k.address('idt') + 14 * 16 + 5, b'\x0e')   # no gate for #PF
    k.put('rip', 0)


@case(options='', halts=False, ends='off', expect=exception('#PF', PLAIN)[:-1] + [
    r'^\(margay\) panic: the machine reboots in 5 seconds$'])
def reboot():
    """Without `noreboot` the machine reboots after the panic."""
    k.stop('boot_guests')
    k.here_jumps(0)


def bank_lines(cpu, what, bank, status, address='0+123456000', misc='0+'):
    return [rf'^\(margay\) machine check: CPU {cpu}: {what}: bank {bank} status {status:x}$',
            rf'^\(margay\) address {address} misc {misc}$']


CORRUPT = "the CPU cannot recover"


# An interrupt may come first where gdb has stopped the CPU.
@case(expect=[*bank_lines(0, 'error before Margay', 2, 0x9c << 56, '0+1000'),
              *bank_lines(0, 'fatal', 2, 0xbe << 56), *panic(0, [r' (boot_guests|trap_stubs)\+'])[:-1],
              rf'^\(margay\) machine check on CPU 0: {CORRUPT}$', END])
def mce_in_margay():
    """A machine check in Margay is printed with its bank and causes a panic.

    The bank has an older, corrected entry, which Margay reports and clears: otherwise the new one
    would report an overflow.
    """
    k.stop('boot_main')
    k.monitor('mce 0 2 0x9c00000000000000 0 0x1000 0')
    k.stop('boot_guests')
    k.monitor('mce 0 2 0xbe00000000000000 4 0x123456000 0')


def exit_by_mce(status, misc, address=None):
    """Ends the guest's turn on CPU 1 by a machine check.

    TCG cannot intercept it, so the exit's reason is written here. The bank reports a corrected error,
    for which the emulator fills in the bank and raises no exception. UC is set in Margay's copies.
    """
    k.stop('svm_switch', cpu=1)
    vmcb = k.phys(k.value('((struct vcpu *)$rbx)->hw_block'))
    address = address or guest_page(1, 0x100000)    # of the guest that this turn ends
    k.monitor(f'mce 1 2 {status:#x} 0 {address:#x} {misc:#x}')
    k.stop('*' + hex(k.read_u64(k.value('$rsp'))), cpu=1)
    k.write_u64(vmcb + 0x70, 0x52)


def set_uncorrected():
    while True:
        k.stop('mce_grade', cpu=1)
        b = k.value('$rdi')
        if k.read_u64(b + 8) >> 63:
            k.write_u64(b + 8, k.read_u64(b + 8) | 1 << 61)
            return


def recovers_like_intel():
    k.command("set var 'arch/x86/cpu/mce.c'::caps.intel = 1")
    k.command("set var 'arch/x86/cpu/mce.c'::caps.recovery = 1")


def guest_page(cpu, gpa):
    """The machine's address of a page of the guest on a CPU."""
    table = k.value(f'cpus[{cpu}]->current->domain->p2m.pt.root')
    for level in (3, 2, 1, 0):
        entry = k.read_u64(table + (gpa >> 12 + 9 * level & 511) * 8)
        if not level or entry & k.PTE_LARGE:
            mask = (1 << 12 + 9 * level) - 1
            return entry & k.PTE_ADDR & ~mask | gpa & mask & ~4095
        table = k.phys(entry & k.PTE_ADDR)


@case(expect=[rf'^\(margay\) machine check on CPU 1: {CORRUPT}$', END])
def mce_unexplained():
    """The guest cannot continue, and the only error in a bank is one that raises no exception: nobody knows why."""
    k.stop('boot_guests')
    recovers_like_intel()
    exit_by_mce(0x9c << 56, 0x8c)
    set_uncorrected()


@case(expect=[*bank_lines(1, 'corrected error', 4, 0x9c << 56)], forbid=['machine check: CPU 1: (fatal|uncorrected)'],
      options='when_empty=wait', panics=False, halts=False)
def mce_poll_leaves_signalled():
    """The poll leaves an error to the exception that signals it."""
    k.stop('boot_guests')
    recovers_like_intel()
    k.monitor('mce 1 3 0x9d80000000000000 0 0x123456000 0x8c')
    k.monitor('mce 1 4 0x9c00000000000000 0 0x123456000 0')
    k.stop('mce_report', cpu=1)
    set_uncorrected()


@case(expect=[rf'^\(margay\) machine check on CPU 1: {CORRUPT}$', END])
def mce_in_guest():
    """A machine check in a guest that the CPU does not recover from ends in a panic."""
    exit_by_mce(0x9c << 56, 0, 0x123456000)
    set_uncorrected()


LOST = [r'^\(margay\) machine check: page [0-9a-f]+ of a guest is retired$',
        r'^\(margay\) guest hello crashed: machine check: its page [0-9a-f]+ is lost$']


@case(expect=[*bank_lines(1, 'uncorrected error', 2, 0xbd8 << 52, '[0-9a-f]+', '0+8c'), *LOST,
              r'^\[other\] PASS hello$'],
      options='', panics=False, halts=False, ends='off',
      modules=[['hello', 'guest name=other mem=32M pin=1']])
def mce_ends_guest():
    """A recoverable error in a page that a guest reads ends that guest alone and retires the page."""
    k.stop('boot_guests')
    recovers_like_intel()
    exit_by_mce(0x9d8 << 52, 0x8c)
    set_uncorrected()
    set_uncorrected()
    k.stop('page_retire', cpu=1)


@case(expect=LOST, options='', panics=False, halts=False, ends='off')
def mce_latent_in_guest_page():
    """An error that a scrub found in a guest's page: broadcast to all CPUs while Margay runs."""
    k.stop('boot_guests')
    recovers_like_intel()
    k.stop('do_xen_version', cpu=1)
    k.monitor(f'mce -b 1 2 {0xbd << 56:#x} 5 {guest_page(1, 0x100000):#x} 0x8c')


@case(expect=[*bank_lines(1, 'corrected error', 3, 0x9c << 56)],
      options='when_empty=wait', panics=False, halts=False)
def mce_corrected():
    """A corrected error raises no exception: the CPU's poll finds it, reports it and clears it."""
    k.stop('boot_guests')
    k.monitor('mce 1 3 0x9c00000000000000 0 0x123456000 0')
    k.stop('mce_report', cpu=1)


@case(expect=[*bank_lines(1, 'corrected error', 3, 0x9c << 56), r'^\[mca\] bank 3 status 9c0+ address 123456000$',
              r'^\[mca\] PASS mca$'],
      options='', panics=False, halts=False, ends='off', timeout=200,
      modules=[['mca', 'guest name=mca mem=32M pin=0 initial control -- error=1']])
def mce_to_control_domain():
    """The control domain hears of a corrected error by VIRQ_MCA, fetches and acknowledges it."""
    k.stop('do_mca')
    k.monitor('mce 1 3 0x9c00000000000000 0 0x123456000 0')
    k.stop('mce_report', cpu=1)


@case(expect=[*bank_lines(1, 'corrected error', 3, 0x9c << 56),
              r'^\[control\] record of 1 error:  9c0{14} 0{16} 0+123456000 $',
              r'^\[control\] PASS mcelog$'],
      options='', panics=False, halts=False, ends='off', timeout=300, ram='2G',
      modules=[['linux-generic', 'guest name=control mem=768M pin=0 initial -- console=hvc0 margay.test=mcelog'],
               ['initramfs-xl.gz', 'initrd for=control']])
def mce_to_linux():
    """The kernel of a control domain puts a corrected error of the machine into /dev/mcelog."""
    k.stop('do_mca')
    k.monitor('mce 1 3 0x9c00000000000000 0 0x123456000 0')
    k.stop('mce_report', cpu=1)


@case(expect=[HELLO], options='', panics=False, halts=False, ends='off')
def mce_in_running_guest():
    """An uncorrected machine check while a guest runs reaches a handler and does not reset the machine. TCG cannot
    intercept it: the guest's handler gets it and is skipped here.
    """
    k.stop('boot_guests')
    recovers_like_intel()       # the poll finds the bank later: it must not be fatal there
    k.stop('*' + hex(k.guest_symbol('hello', 'main')), cpu=1)
    k.monitor('mce 1 2 0xb400000000000000 5 0x123456000 0')
    k.stop('*' + hex(k.guest_symbol('hello', 'trap_stubs') + 18 * 16), cpu=1)
    k.put('rip', k.guest_symbol('hello', 'fault_save') - 2)     # the IRETQ before it


@case(expect=[r'^\[regs\] PASS control_regs$'], options='', panics=False, halts=False, ends='off',
      modules=[['control_regs', 'guest name=regs mem=32M pin=0']])
def guest_control_bits():
    """CR0.CD, CR0.NW and CR4.MCE are Margay's while a guest runs, whatever the guest wrote."""
    for _ in range(3):
        k.stop('do_xen_version', cpu=0)
        vmcb = k.phys(k.value('cpus[0]->current->hw_block'))
        cr4, cr0 = k.read_u64(vmcb + 0x548), k.read_u64(vmcb + 0x558)
        if cr0 & 0x60000000 or not cr4 & 0x40:
            raise k.gdb.GdbError(f'the guest runs with CR0 {cr0:#x}, CR4 {cr4:#x}')
