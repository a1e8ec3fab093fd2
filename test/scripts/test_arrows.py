# SPDX-License-Identifier: BSD-2-Clause
"""scripts/check-arrows.py finds a planted breach of each kind."""
import os
import subprocess
import tempfile
import unittest

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'scripts', 'check-arrows.py')
GOOD = {
    'include/margay/arch.h': 'void arch_kick(void);\nvoid core(void);\n',
    'include/margay/boot_guest.h': '\n',
    'include/x86/apic.h': 'void apic_eoi(void);\nvoid shared_exit(void);\n',
    'common/core.c': '#include <margay/arch.h>\nvoid core(void)\n{\n\tarch_kick();\n}\n',
    'arch/x86/cpu/apic.c': '#include <margay/arch.h>\n#include <x86/apic.h>\n'
                           'void arch_kick(void) {}\nvoid apic_eoi(void) {}\n',
    'common/boot/guest.c': '#include <margay/boot_guest.h>\nvoid boot_guest(void)\n{\n\tcore();\n}\n',
    'hypercall/op.c': '#include <margay/arch.h>\nvoid do_op(void)\n{\n\tcore();\n}\n',
    'arch/x86/guest/exit.c': '#include <x86/apic.h>\nvoid shared_exit(void)\n{\n\tapic_eoi();\n}\n',
    'arch/x86/svm/run.c': '#include <x86/apic.h>\nvoid svm_run(void)\n{\n\tshared_exit();\n}\n',
    'arch/x86/vmx/run.c': 'void vmx_run(void) {}\n',
}


class Arrows(unittest.TestCase):
    def check(self, files):
        """Return what the check prints for the tree GOOD with these files in place of or beside its own."""
        with tempfile.TemporaryDirectory() as root:
            for name, text in {**GOOD, **files}.items():
                path = os.path.join(root, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, 'w', encoding='utf-8') as file:
                    file.write(text)
            for name in {**GOOD, **files}:
                if name.endswith('.c'):
                    path = os.path.join(root, name)
                    obj = os.path.join(root, 'build/obj', name[:-2] + '.o')
                    os.makedirs(os.path.dirname(obj), exist_ok=True)
                    subprocess.run(['gcc', '-w', '-ffreestanding', f'-I{root}/include', '-c', '-o', obj, path],
                                   check=True)
            done = subprocess.run([SCRIPT, root + '/build/obj', root], capture_output=True, text=True, check=False)
            self.assertEqual(done.stderr, '')
            self.assertEqual(done.returncode, 0 if done.stdout == 'arrows: 0 breaches\n' else 1)
            return done.stdout

    def breach(self, name, text, expected):
        out = self.check({name: text})
        self.assertIn(expected, out)
        self.assertIn('arrows: 1 breaches', out)

    def test_good(self):
        self.assertEqual(self.check({}), 'arrows: 0 breaches\n')

    def test_common_includes_processor(self):
        self.breach('common/a.c', '#include <x86/apic.h>\n', 'common/a.c:1: common may not include <x86/apic.h>')

    def test_core_header_includes_processor(self):
        self.breach('include/margay/a.h', '\n#include <x86/apic.h>\n', 'include/margay/a.h:2: include/margay may not')

    def test_public_header_includes_core(self):
        self.breach('include/public/a.h', '#include <margay/arch.h>\n', 'include/public/a.h:1')

    def test_common_calls_hypercall(self):
        self.breach('common/a.c', 'void do_op(void);\nvoid a(void)\n{\n\tdo_op();\n}\n',
                    'common/a.o: common may not use do_op of hypercall/op.o')

    def test_common_calls_what_is_not_declared(self):
        self.breach('common/a.c', 'void apic_eoi(void);\nvoid a(void)\n{\n\tapic_eoi();\n}\n',
                    'uses apic_eoi of arch/x86/cpu/apic.o, which include/margay does not declare')

    def test_domain_includes_boot(self):
        self.breach('common/domain/a.c', '#include <margay/boot_guest.h>\n',
                    'common/domain/a.c:1: common/domain may not include <margay/boot_guest.h>')

    def test_domain_calls_boot(self):
        self.breach('common/domain/a.c', 'void boot_guest(void);\nvoid a(void)\n{\n\tboot_guest();\n}\n',
                    'common/domain/a.o: common/domain may not use boot_guest of common/boot/guest.o')

    def test_domain_names_a_register(self):
        self.breach('common/domain/a.c', 'enum { ICR_NMI = 0x4400 };\n', 'common/domain/a.c:1: common/domain names a register')

    def test_common_names_a_register(self):
        self.breach('common/a.c', 'enum { ICR_NMI = 0x4400 };\n', 'common/a.c:1: common names a register')

    def test_common_holds_an_instruction(self):
        self.breach('common/a.c', 'void a(void)\n{\n\t__asm__ volatile("cli");\n}\n', 'common/a.c:3: common names')

    def test_store_around_the_gate(self):
        self.breach('common/a.c', '#define A(mfn) mfn_to_virt(mfn)\n', 'common/a.c:1: goes around guest_copy.h')

    def test_guest_calls_backend(self):
        self.breach('arch/x86/guest/a.c', 'void svm_run(void);\nvoid a(void)\n{\n\tsvm_run();\n}\n',
                    'arch/x86/guest may not use svm_run of arch/x86/svm/run.o')

    def test_backend_calls_the_other(self):
        self.breach('arch/x86/svm/a.c', 'void vmx_run(void);\nvoid a(void)\n{\n\tvmx_run();\n}\n',
                    'arch/x86/svm may not use vmx_run')

    def test_backend_includes_the_other(self):
        out = self.check({'arch/x86/vmx/a.c': '#include "../svm/vmcb.h"\n', 'arch/x86/svm/vmcb.h': '\n'})
        self.assertIn('arch/x86/vmx/a.c:1: arch/x86/vmx may not include', out)

    def test_hypercall_calls_backend(self):
        self.breach('hypercall/a.c', 'void svm_run(void);\nvoid a(void)\n{\n\tsvm_run();\n}\n',
                    'hypercall may not use svm_run')

    def test_driver_defines_architecture(self):
        self.breach('drivers/power.c', 'void arch_reboot(void) {}\n', 'arch_reboot belongs into arch/')

    def test_processor_calls_hypercall(self):
        self.breach('arch/x86/cpu/a.c', 'void do_op(void);\nvoid a(void)\n{\n\tdo_op();\n}\n',
                    'arch/x86/cpu may not use do_op')

    def test_branch_around_the_thunks(self):
        self.breach('common/a.c', 'void a(void (*fn)(void))\n{\n\tfn();\n\tfn = 0;\n}\n',
                    'common/a.o: branches around the thunks')

    def test_header_alone(self):
        self.breach('include/x86/a.h', 'struct a {\n\tu8 b;\n};\n', 'include/x86/a.h: does not compile alone')


if __name__ == '__main__':
    unittest.main()
