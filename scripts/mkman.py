#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Make the manual page margay(7) from the sections of the README that describe how to boot Margay.

    scripts/mkman.py README.md VERSION DATE >margay.7

Of Markdown it knows what these sections use: paragraphs, tables of two or three columns, `code`, links, code blocks.
"""
import re
import sys

SECTIONS = {            # heading in the README: heading of the page
    'Booting a node': 'BOOTING',
    'Options of Margay': 'OPTIONS',
    'Guest modules': 'BOOT MODULES',
    'Keys on the console': 'KEYS',
}
HEAD = '''\
.\\" Made from README.md by scripts/mkman.py.
.TH MARGAY 7 "{date}" "Margay {version}" "Margay"
.SH NAME
margay \\- a small type-I hypervisor for x86_64 nodes: command line and boot modules
.SH SYNOPSIS
.nf
\\fBmultiboot2 /boot/margay\\fR [\\fIOPTION\\fR...]
\\fBmodule2\\fR \\fIFILE\\fR \\fBguest name=\\fINAME\\fR [\\fIWORD\\fR...] [\\fB\\-\\-\\fR \\fIKERNEL COMMAND LINE\\fR]
\\fBmodule2\\fR \\fIFILE\\fR \\fBinitrd for=\\fINAME\\fR
.fi
'''
TAIL = '''\
.SH FILES
.TP
.I /boot/margay
the hypervisor
.TP
.I /etc/default/margay
the options and boot modules of the menu entry that
.I /etc/grub.d/20_margay
adds to GRUB's menu; after a change run
.BR update\\-grub (8)
.SH SEE ALSO
.BR mgctl (8)
'''


class ManError(Exception):
    """The README lacks what the page needs."""


def escaped(text):
    return text.replace('\\', '\\e').replace('-', '\\-')


def inline(text):
    """Turn a line's Markdown into roff."""
    text = re.sub(r'\[([^]]*)\]\([^)]*\)', r'\1', text.replace('\\|', '|'))
    parts = re.split(r'`([^`]*)`', text)
    text = ''.join(rf'\fB{escaped(part)}\fR' if n % 2 else escaped(part) for n, part in enumerate(parts))
    return re.sub(r'\*\*?([^*]+)\*\*?', r'\\fI\1\\fR', text)


def safe(line):
    """A line that begins like a request of roff."""
    return '\\&' + line if line[:1] in ('.', "'") else line


def table_row(line):
    """Return roff for a row `| term | default | meaning |` or `| term | meaning |`."""
    cells = [cell.strip() for cell in re.split(r'(?<!\\)\|', line)[1:-1]]
    term, *middle, meaning = cells
    default = f' (default: {inline(middle[0])})' if middle and middle[0] else ''
    return ['.TP', safe(inline(term)), safe(inline(meaning) + default)]


def body(lines):
    """Return the roff of a section."""
    result, code, table = [], None, False
    for line in lines:
        mark = '```' if line.startswith('```') else '    ' if line.startswith('    ') else None
        if code is None and mark:               # code between marks, or indented
            code = mark
            result.append('.PP\n.RS 4\n.nf')
            if mark == '```':
                continue
        elif code and (mark == '```' or code == '    ' and not mark):
            result.append('.fi\n.RE')
            code = None
            if mark == '```':
                continue
        if code:
            result.append(safe(escaped(line.strip() if code == '    ' else line.rstrip())))
        elif line.startswith('|'):
            if re.match(r'\|[-| ]+\|$', line):
                table = True
            elif table:
                result += table_row(line)
        else:
            table = False
            result.append(safe(inline(line)) if line else '.PP')
    return result


def sections(text):
    """Return the lines of each section of SECTIONS, up to the next heading."""
    found, name, code = {}, None, False
    for line in text.split('\n'):
        code ^= line.startswith('```')
        heading = not code and re.match(r'#+ (.*)', line)
        if heading:
            name = next((title for title in SECTIONS if heading[1].startswith(title)), None)
        elif name:
            found.setdefault(name, []).append(line)
    for title in SECTIONS:
        if title not in found:
            raise ManError(f"no section '{title}'")
    return found


def page(text, version, date):
    found = sections(text)
    lines = [HEAD.format(version=escaped(version), date=escaped(date))]
    for title, heading in SECTIONS.items():
        lines += [f'.SH {heading}', *body(found[title])]
    text = '\n'.join(lines) + '\n' + TAIL
    return re.sub(r'(\.PP\n)+(?=\.(SH|PP|TP|RS))|(?<=\n)\n', '', text)


def main():
    if len(sys.argv) != 4:
        print('usage: mkman.py README.md VERSION DATE', file=sys.stderr)
        return 2
    try:
        with open(sys.argv[1], encoding='utf-8') as file:
            print(page(file.read(), *sys.argv[2:]), end='')
    except (ManError, OSError) as error:
        print(f'mkman: {sys.argv[1]}: {getattr(error, "strerror", error)}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
