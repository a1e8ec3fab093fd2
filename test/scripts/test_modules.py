# SPDX-License-Identifier: BSD-2-Clause
"""Policy modules built outside of the tree, from the installed headers alone, as their authors would."""
import os
import shutil
import subprocess
import tempfile
import unittest

TREE = os.path.abspath(os.path.join(os.path.dirname(__file__), '../..'))
MODULE = '''#include <public/policy_lib.h>
%s
enum idle_how idle(struct policy_cpu *c, u64 slept, u64 *ns);
static const struct idle_policy ops = { .idle = idle };
const struct policy_module policy_module = { .name = "own", .summary = "my own", .idle = &ops };
'''
IDLE = '''#include <public/policy.h>
enum idle_how idle(struct policy_cpu *c, u64 slept, u64 *ns);
enum idle_how idle(struct policy_cpu *c, u64 slept, u64 *ns)
{
	*ns = slept / 2 + c->id;
	%s
	return IDLE_POLL;
}
'''


def run(*argv, **kwargs):
    return subprocess.run(argv, capture_output=True, text=True, check=False, **kwargs)


class OutOfTree(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # Without the variables of the surrounding make, such as O=.
        env = {k: v for k, v in os.environ.items() if k not in ('MAKEFLAGS', 'MFLAGS', 'MAKELEVEL', 'O')}
        cls.env = env
        cls.work = tempfile.mkdtemp()
        done = run('make', '-C', TREE, 'install-headers', f'DESTDIR={cls.work}', 'PREFIX=/opt', env=env)
        assert done.returncode == 0, done.stderr
        cls.link = os.path.join(cls.work, 'link')
        sources = [os.path.join(TREE, f) for f in ('test/scripts/link_module.c', 'common/policy/loader.c',
                                                   'common/policy/check.c', 'common/policy/sha256.c')]
        done = run('gcc', '-std=gnu11', '-include', f'{TREE}/test/unit/unit.h', f'-I{TREE}/include', '-o', cls.link,
                   *sources)
        assert done.returncode == 0, done.stderr

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.work)

    def directory(self, files):
        path = tempfile.mkdtemp(dir=self.work)
        for name, text in files.items():
            with open(os.path.join(path, name), 'w', encoding='utf-8') as file:
                file.write(text)
        return path

    def make(self, path, *args):
        return run('make', '-C', path, f'MARGAY={self.work}/opt', *args, env=self.env)

    def built(self, path, module, *args):
        done = self.make(path, *args)
        self.assertEqual(done.returncode, 0, done.stderr)
        return run(self.link, os.path.join(path, module)).stdout.strip()

    def test_what_is_installed(self):
        found = [os.path.relpath(os.path.join(d, f), self.work + '/opt')
                 for d, _, files in os.walk(self.work + '/opt') for f in files]
        self.assertEqual(sorted(found), ['include/margay/public/policy.h', 'include/margay/public/policy_lib.h',
                                         'include/margay/public/types.h', 'share/margay/module.mk'])

    def test_example_without_headers(self):
        path = os.path.join(self.work, 'early')
        shutil.copytree(os.path.join(TREE, 'modules/example'), path)
        done = run('make', '-C', path, 'MARGAY=/nowhere', env=self.env)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("headers are not in /nowhere: run `make install-headers`", done.stderr)

    def test_example(self):
        path = os.path.join(self.work, 'example')
        shutil.copytree(os.path.join(TREE, 'modules/example'), path)
        with open(os.path.join(path, 'Makefile'), encoding='utf-8') as file:
            self.assertLessEqual(len(file.readlines()), 10)
        self.assertEqual(self.built(path, 'lottery.mod'), 'lottery')
        self.assertIn('up to date', self.make(path).stdout)
        self.make(path, 'clean')
        self.assertEqual(sorted(os.listdir(path)), ['Makefile', 'lottery.c'])

    def own(self, idle='', note='POLICY_MODULE_NOTE', lines=''):
        makefile = f'MODULE := own\nSRCS := a.c b.c\n{lines}\ninclude $(MARGAY)/share/margay/module.mk\n'
        return self.directory({'Makefile': makefile, 'a.c': MODULE % note, 'b.c': IDLE % idle})

    def test_several_files(self):
        self.assertEqual(self.built(self.own(), 'own.mod'), 'own')

    def test_debug_information(self):
        self.assertEqual(self.built(self.own(lines='CFLAGS := -g'), 'own.mod'), 'own')

    def test_refusals_that_authors_will_see(self):
        self.assertEqual(self.built(self.own(note=''), 'own.mod'),
                         'refused: no note with the policy ABI (.note.margay)')
        path = self.own('extern int printk(const char *fmt, ...); printk("hi");')
        self.assertEqual(self.built(path, 'own.mod'),
                         'refused: symbol printk is not exported to modules')
        path = self.own('static __thread u64 n; *ns = n++;')
        self.assertRegex(self.built(path, 'own.mod'), r'refused: section \.tbss: unknown flags 0x403')
        path = self.own('static int (*const f)(void) __attribute__((section(".init_array"), used)) = 0;')
        self.assertRegex(self.built(path, 'own.mod'), r'refused: section \.init_array: modules have no')

    def test_no_floating_point(self):
        done = self.make(self.own('double d = *ns; *ns = (u64)(d * 1.5);'))
        self.assertNotEqual(done.returncode, 0)

    def test_corrupt(self):
        path = self.own()
        self.assertEqual(self.built(path, 'own.mod'), 'own')
        done = run(os.path.join(TREE, 'test/modules/corrupt.py'), path + '/own.mod', '210', path + '/bad')
        self.assertEqual(done.returncode, 0, done.stderr)
        files = sorted(os.listdir(path + '/bad'))
        self.assertEqual(len(files), 210)
        answers = run(self.link, *files, cwd=path + '/bad').stdout.strip().split('\n')
        self.assertEqual([f for f, a in zip(files, answers) if not a.startswith('refused: ')], [])
        self.assertGreater(len(set(answers)), 60)

    def test_tied_to_a_build(self):
        path = self.own()
        margay = {'right': 'ABCDEFGHIJKLMNOPQRST', 'wrong': 'ABCDEFGHIJKLMNOPQRSU'}
        for which, build_id in margay.items():
            asm = f'.section .note.gnu.build-id,"a",@note\n.long 4,20,3\n.asciz "GNU"\n.ascii "{build_id}"\n'
            done = run('gcc', '-x', 'assembler', '-c', '-o', os.path.join(path, which), '-', input=asm)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.built(path, 'own.mod', 'FOR=right'), 'own')
        self.make(path, 'clean', 'FOR=right')
        self.assertEqual(self.built(path, 'own.mod', 'FOR=wrong'),
                         'refused: section .note.margay: built for another build of Margay')


if __name__ == '__main__':
    unittest.main()
