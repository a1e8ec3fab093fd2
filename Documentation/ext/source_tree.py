# SPDX-License-Identifier: BSD-2-Clause
"""Directives that show the source tree as it is. If what they name is gone, the build fails.

    .. c-source:: arch/x86/svm/run.c svm_run svm_take_asid

shows C functions, structures, enumerations or tables by name, with the comments above them;

    .. def-table:: include/margay/hypercalls.def
       :macro: HYPERCALL
       :columns: Number, Name, Handler, Caller

makes a table of a file of macro calls. Paths count from the top of the tree.
"""
import functools
import glob
import os
import re

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from sphinx import addnodes
from sphinx.util import logging

import listings

logger = logging.getLogger(__name__)
TOP = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..'))


def read(directive, path):
    full = os.path.join(TOP, path)
    directive.state.document.settings.env.note_dependency(full)
    directive.state.document.settings.record_dependencies.add(full)
    try:
        with open(full, encoding='utf-8') as file:
            return file.read().split('\n')
    except OSError as error:
        raise directive.error(f'{path}: {error.strerror}') from error


def find(lines, name):
    """Return the first and last line of the definition of name, or None."""
    word = re.escape(name)
    starts = (rf'[A-Za-z_][^;]*\b{word}\([^;]*$',                    # a function
              rf'(static )?(const )?(struct|enum|union) {word} \{{$',
              rf'[A-Za-z_}}].*\b{word}(\[[^=]*\])? = \{{$')         # a table
    for first, line in enumerate(lines):
        if any(re.match(start, line) for start in starts):
            last = first + 1
            # A body ends at a brace at the line's start; a declaration at a semicolon before it.
            brace = line.endswith('{')
            while last < len(lines) and lines[last][:1] != '}' and \
                    (brace or not lines[last - 1].endswith(');')):
                last += 1
                if lines[last - 1][:1] == '{':
                    last += next((n for n, text in enumerate(lines[last:]) if text[:1] == '}'), 0)
                    break
            while line.startswith('}'):     # a table of a nameless structure
                first -= 1
                line = lines[first] if lines[first][:1] not in ('', ' ', '\t') else '}'
            if last < len(lines) and lines[last][:1] == '}':
                return first, last
    macro = [n for n, line in enumerate(lines) if re.match(rf'#define {word}\b', line)]
    if macro:
        last = macro[0]
        while lines[last].endswith('\\'):
            last += 1
        return macro[0], last
    return None


def with_comment(lines, first):
    """Return the first line of the comment directly above `first`, or `first` if there is none."""
    at = first - 1
    if at < 0 or not lines[at].endswith('*/'):
        return first
    while at > 0 and '/*' not in lines[at]:
        at -= 1
    return at


class CSource(Directive):
    """c-source: PATH NAME..."""
    required_arguments = 2
    final_argument_whitespace = True
    option_spec = {'without-comment': directives.flag}

    def run(self):
        path, names = self.arguments[0], self.arguments[1].split()
        lines, result = read(self, path), []
        env = self.state.document.settings.env
        for name in names:
            found = find(lines, name)
            if not found:
                raise self.error(f'{path}: no definition of {name}')
            first = found[0] if 'without-comment' in self.options else \
                with_comment(lines, found[0])
            text = '\n'.join(lines[first:found[1] + 1])
            block = listings.listing(env, path, text, first + 1, 'c')
            target = 'code-' + nodes.make_id(f'{path}-{name}')
            block['ids'].append(target)
            entry = addnodes.index(entries=[('single', f'{name} ({path})', target, '', None)])
            result += [entry, block]
        return result


def split_arguments(text):
    """Cut macro arguments at the commas that stand outside of quotes and parentheses."""
    result, depth, quoted, word = [], 0, False, ''
    for char in text:
        if char == '"':
            quoted = not quoted
        elif not quoted and char in '()':
            depth += 1 if char == '(' else -1
        if char == ',' and not quoted and not depth:
            result.append(word.strip())
            word = ''
        else:
            word += char
    return [part.strip('"') for part in result + [word.strip()]]


class DefTable(Directive):
    """def-table: PATH, with :macro: (a regular expression) and :columns: (or - to leave one out)"""
    required_arguments = 1
    option_spec = {'macro': directives.unchanged_required,
                   'columns': directives.unchanged_required,
                   'last': directives.flag}      # the last column is the macro's last argument

    def run(self):
        path = self.arguments[0]
        columns = [column.strip() for column in self.options['columns'].split(',')]
        kept = [n for n, column in enumerate(columns) if column != '-']
        call = re.compile(rf'\s*\{{?\s*(?:{self.options["macro"]})\((.*)\)[,;]?\s*$')
        rows = []
        for line in read(self, path):
            match = call.match(line)
            if match and not line.startswith('#'):
                cells = split_arguments(match[1])
                if 'last' in self.options:
                    cells = cells[:len(columns) - 1] + cells[-1:]
                rows.append([cells[n] for n in kept])
        if not rows:
            raise self.error(f'{path}: no line of the form {self.options["macro"]}(...)')
        return [make_table([columns[n] for n in kept], rows)]


def make_table(header, rows):
    def row_of(cells):
        row = nodes.row()
        for cell in cells:
            row += nodes.entry('', nodes.paragraph('', cell))
        return row

    group = nodes.tgroup(cols=len(header))
    for _ in header:
        group += nodes.colspec(colwidth=1)
    group += nodes.thead('', row_of(header))
    group += nodes.tbody('', *[row_of(cells) for cells in rows])
    return nodes.table('', group, classes=['colwidths-auto'])


SOURCES = ('arch', 'common', 'drivers', 'guests', 'hypercall', 'include', 'iommu')
PATH = re.compile(rf'({"|".join(SOURCES)}|test|tools|scripts|Documentation)/[\w./*-]+')


@functools.lru_cache(maxsize=1)
def identifiers():
    """Return every word of the sources, including those of the exercises."""
    words = set()
    for top in SOURCES + ('Documentation/exercises',):
        for where, _, files in os.walk(os.path.join(TOP, top)):
            for name in files:
                with open(os.path.join(where, name), encoding='utf-8', errors='replace') as file:
                    words.update(re.findall(r'\w+', file.read()))
    return words


def check_names(app, doctree):    # pylint: disable=unused-argument
    """Warn of each function() and path/of/a/file in the text that is not in the tree."""
    words = identifiers()
    for node in doctree.findall(nodes.literal):
        text = node.astext()
        name = re.fullmatch(r'(\w+)\([\w]*\)', text)
        if name and name[1] not in words:
            logger.warning('there is no %s in the tree', text, location=node)
        elif PATH.fullmatch(text) and 'NAME' not in text and not (
                glob.glob(os.path.join(TOP, text)) or
                glob.glob(os.path.join(TOP, 'Documentation/exercises/*/*', text)) or
                os.path.basename(text) in ('answers', 'input', 'pvclock.c')):
            logger.warning('there is no file %s', text, location=node)


def check_readme(app):    # pylint: disable=unused-argument
    """Warn of each option and each word of a guest module that the README's tables lack."""
    def text_of(path):
        with open(os.path.join(TOP, path), encoding='utf-8') as file:
            return file.read()

    readme = text_of('README.md')
    names = re.findall(r'^OPT_[A-Z]+\((\w+),', text_of('include/margay/options.def'), flags=re.M)
    names += re.findall(r'key_is\(w, "(\w+)"\)', text_of('common/boot/guest_spec.c'))
    for name in names:
        if not re.search(rf'(^\| `|initrd ){name}\b', readme, flags=re.M):
            logger.warning('README.md says nothing about %s', name)


def setup(app):
    app.connect('builder-inited', check_readme)
    app.connect('doctree-read', check_names)
    app.add_directive('c-source', CSource)
    app.add_directive('def-table', DefTable)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
