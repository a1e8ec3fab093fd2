# SPDX-License-Identifier: BSD-2-Clause
"""Tests of what is installed: scripts/version, the manual page margay(7), GRUB's menu entry, make install."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

TOP = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..'))
GIT = {'GIT_AUTHOR_NAME': 'a', 'GIT_AUTHOR_EMAIL': 'a', 'GIT_COMMITTER_NAME': 'a', 'GIT_COMMITTER_EMAIL': 'a',
       'GIT_AUTHOR_DATE': '2026-03-04T05:06:07Z', 'GIT_COMMITTER_DATE': '2026-03-04T05:06:07Z'}


def output(*command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, **more).stdout


class Version(unittest.TestCase):
    def setUp(self):
        self.work = self.enterContext(tempfile.TemporaryDirectory())
        self.tree = os.path.join(self.work, 'tree')
        os.makedirs(os.path.join(self.tree, 'scripts'))
        for name in ('scripts/version', 'VERSION', '.gitattributes'):
            shutil.copy2(os.path.join(TOP, name), os.path.join(self.tree, name))
        self.env = dict(os.environ, **GIT)
        self.env.pop('SOURCE_DATE_EPOCH', None)

    def git(self, *words):
        return output('git', '-C', self.tree, *words, env=self.env)

    def commit(self):
        self.git('init', '-q')
        self.git('add', '.')
        self.git('commit', '-q', '-m', 'x')
        return self.git('rev-parse', 'HEAD')[:10]

    def version(self, *words, tree=None, **env):
        return output(os.path.join(tree or self.tree, 'scripts/version'), *words, env={**self.env, **env}).strip()

    def archive(self):
        tree = os.path.join(self.work, 'archive')
        os.makedirs(tree)
        subprocess.run(['tar', '-x', '-C', tree], check=True, input=subprocess.run(
            ['git', '-C', self.tree, 'archive', 'HEAD'], check=True, stdout=subprocess.PIPE).stdout)
        return tree

    def test_without_git(self):
        """A copy, also inside another repository, has only the number."""
        self.assertEqual(self.version(), '0.1')
        self.assertEqual(self.version('--date'), 'no date')
        output('git', 'init', '-q', self.work)
        self.assertEqual(self.version(), '0.1')
        self.assertEqual(self.version('--date', SOURCE_DATE_EPOCH='86400'), '1970-01-02')

    def test_without_tag(self):
        commit = self.commit()
        self.assertEqual(self.version(), f'0.1-g{commit}')
        self.assertEqual(self.version('--date'), '2026-03-04')
        self.assertEqual(self.version('--date', SOURCE_DATE_EPOCH='86400'), '1970-01-02')
        self.assertEqual(self.version(tree=self.archive()), f'0.1-g{commit}')
        with open(os.path.join(self.tree, 'VERSION'), 'a', encoding='ascii') as file:
            file.write('\n')
        self.assertEqual(self.version(), f'0.1-g{commit}-dirty')

    def test_tag(self):
        self.commit()
        self.git('tag', 'v3.4')
        self.git('tag', 'odd')
        self.assertEqual(self.version(), '3.4')
        tree = self.archive()
        self.assertEqual(self.version(tree=tree), '3.4')
        self.assertEqual(self.version('--date', tree=tree), '2026-03-04')
        self.git('commit', '-q', '--allow-empty', '-m', 'y')
        self.assertEqual(self.version(), f'3.4-1-g{self.git("rev-parse", "HEAD")[:10]}')

    def test_header(self):
        commit, path = self.commit(), os.path.join(self.work, 'out/build.h')
        self.version('--header', path)
        with open(path, encoding='ascii') as file:
            self.assertEqual(file.read(), f'#define MARGAY_VERSION "0.1-g{commit}"\n#define MARGAY_DATE "2026-03-04"\n'
                                          f'#define MARGAY_CHANGESET "2026-03-04 git:{commit}"\n')
        os.utime(path, (1, 1))
        self.version('--header', path)
        self.assertEqual(os.stat(path).st_mtime, 1)     # not written again


def long_lines(page):
    """Return the warnings about a manual page, and its lines above 80 columns."""
    done = subprocess.run(['groff', '-t', '-man', '-Tascii', '-P-c', '-P-b', '-P-u', '-ww', '-rLL=78n'], input=page, capture_output=True, text=True,
                          check=True)
    return [*done.stderr.splitlines(), *(line for line in done.stdout.splitlines() if len(line) > 80)]


class ManualPage(unittest.TestCase):
    def test_has_all_of_the_readme(self):
        page = output(os.path.join(TOP, 'scripts/mkman.py'), os.path.join(TOP, 'README.md'), '1.2', '2026-01-02')
        self.assertIn('.TH MARGAY 7 "2026\\-01\\-02" "Margay 1.2"', page)
        plain = page.replace('\\-', '-')
        with open(os.path.join(TOP, 'include/margay/options.def'), encoding='utf-8') as file:
            options = re.findall(r'^OPT_\w+\((\w+),', file.read(), re.M)
        self.assertGreater(len(options), 15)
        for name in options:
            self.assertRegex(plain, rf'(?m)^\.TP\n\\fB{name}(=.*)?\\fR$')
        for text in ('policies-allowed', 'microcode', '\\fBpin=LIST\\fR', 'multiboot2 /boot/margay com1=115200', '.SH KEYS'):
            self.assertIn(text, plain)
        if shutil.which('groff'):
            self.assertEqual(long_lines(page), [])

    def test_mgctl(self):
        """Sphinx's page has the usual headings, and no table, which grotty would complain about."""
        if not shutil.which('sphinx-build') or not shutil.which('groff'):
            self.skipTest('no sphinx-build or no groff')
        with tempfile.TemporaryDirectory() as work:
            output('sphinx-build', '-q', '-b', 'man', '-d', f'{work}/doctrees', os.path.join(TOP, 'Documentation'), work)
            with open(os.path.join(work, 'mgctl.8'), encoding='utf-8') as file:
                page = file.read()
        headings = re.findall(r'^\.SH (.*)', page, re.M)
        self.assertEqual(headings[:3], ['NAME', 'SYNOPSIS', 'DESCRIPTION'])
        self.assertIn('OPTIONS', headings)
        self.assertEqual(long_lines(page), [])

    def test_missing_section(self):
        with tempfile.NamedTemporaryFile('w', suffix='.md') as file:
            file.write('# Margay\n')
            file.flush()
            done = subprocess.run([os.path.join(TOP, 'scripts/mkman.py'), file.name, '1', '2'], capture_output=True,
                                  text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no section 'Booting a node'", done.stderr)


class MenuEntry(unittest.TestCase):
    """tools/grub/20_margay, with grub-probe's and grub-mkrelpath's answers given here."""
    def setUp(self):
        self.work = self.enterContext(tempfile.TemporaryDirectory())
        for name in ('margay', 'hello', 'vmlinux', 'other'):
            with open(os.path.join(self.work, name), 'w', encoding='ascii'):
                pass
        self.probe, self.mkrelpath = (self.script(*words) for words in (
            ('probe', 'case "$*" in */other) echo /dev/sdb1 ;; *target=device*) echo /dev/sda1 ;; '
                      '*fs_uuid*) echo 12-34 ;; *fs*) echo fat ;; *partmap*) echo gpt ;; esac'),
            ('mkrelpath', 'echo "/rel/${1##*/}"')))

    def script(self, name, text):
        path = os.path.join(self.work, name)
        with open(path, 'w', encoding='ascii') as file:
            file.write(f'#!/bin/sh\n{text}\n')
        os.chmod(path, 0o755)
        return path

    def entry(self, text):
        config = os.path.join(self.work, 'default')
        with open(config, 'w', encoding='ascii') as file:
            file.write(f"MARGAY_FILE={self.work}/margay\n{text.replace('@', self.work)}\n")
        return subprocess.run([os.path.join(TOP, 'tools/grub/20_margay')], capture_output=True, text=True, check=True,
                              env=dict(os.environ, MARGAY_CONFIG=config, grub_probe=self.probe, grub_mkrelpath=self.mkrelpath))

    def test_entry(self):
        done = self.entry("MARGAY_OPTIONS='when_empty=reboot com1=115200'\nMARGAY_MODULES='\n  @/vmlinux guest name=a "
                          "-- a=$x b;c\n\n# comment\n@/hello guest name=hello\n@/hello microcode\n'")
        self.assertIn('\tmultiboot2 /rel/margay when_empty=reboot com1=115200\n'
                      "\tmodule2 /rel/vmlinux guest file=vmlinux name=a -- 'a=$x' 'b;c'\n"
                      '\tmodule2 /rel/hello guest file=hello name=hello\n\tmodule2 /rel/hello microcode\n}\n', done.stdout)
        self.assertIn('search --no-floppy --fs-uuid --set=root 12-34', done.stdout)
        path = os.path.join(self.work, 'grub.cfg')
        with open(path, 'w', encoding='ascii') as file:
            file.write(done.stdout)
        subprocess.run(['grub-script-check', path], check=True)

    def test_refusals(self):
        for text, why in (("MARGAY_MODULES=''", 'no boot modules'), ("MARGAY_MODULES='@/gone guest'", 'no file .*/gone'),
                          ("MARGAY_MODULES='@/hello guest name=a\n@/other guest name=b'", 'another file system'),
                          ('MARGAY_FILE=@/gone', 'no file .*/gone')):
            done = self.entry(text)
            self.assertEqual(done.stdout, '')
            self.assertRegex(done.stderr, f'^20_margay: .*{why}.*no menu entry\n$')

    def test_without_configuration(self):
        done = subprocess.run([os.path.join(TOP, 'tools/grub/20_margay')], capture_output=True, text=True, check=True,
                              env=dict(os.environ, MARGAY_CONFIG='/nonexistent'))
        self.assertEqual((done.stdout, done.stderr), ('', ''))


class Install(unittest.TestCase):
    def test_files(self):
        """What `make install` does once all is built, into a staging directory."""
        with tempfile.TemporaryDirectory() as work:
            words = ['make', '-C', TOP, '--no-print-directory', f'DESTDIR={work}/stage', 'PREFIX=/usr', f'O={work}/out']
            built = ('margay', 'guests/hello', 'tools/mgctl', 'tools/bootcheck', 'man/margay.7', 'man/mgctl.8',
                     *(f'modules/{name[:-2]}.mod' for name in os.listdir(os.path.join(TOP, 'modules')) if name.endswith('.c')))
            old = []
            for name in built:
                path = os.path.join(work, 'out', name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, 'w', encoding='ascii') as file:
                    file.write(name)
                old += ['-o', path]
            output(*words, *old, 'install')
            stage = os.path.join(work, 'stage')
            files = {os.path.relpath(os.path.join(where, name), stage) for where, _, names in os.walk(stage) for name in names}
            for name in ('boot/margay', 'boot/margay-hello', 'etc/grub.d/20_margay', 'etc/default/margay', 'usr/sbin/mgctl',
                         'usr/bin/margay-mkimage', 'usr/bin/margay-extract-elf', 'usr/lib/margay/bootcheck', 'usr/lib/margay/modules/rr.mod',
                         'usr/share/man/man7/margay.7', 'usr/share/man/man8/mgctl.8', 'usr/include/margay/public/policy.h',
                         'usr/share/margay/module.mk'):
                self.assertIn(name, files)
            config = os.path.join(stage, 'etc/default/margay')
            with open(config, 'w', encoding='ascii') as file:
                file.write('mine')
            output(*words, *old, 'install')
            with open(config, encoding='ascii') as file:
                self.assertEqual(file.read(), 'mine')       # the administrator's


if __name__ == '__main__':
    unittest.main()
