# SPDX-License-Identifier: BSD-2-Clause
"""Lets a page of the book be a Markdown file: NAME.rst that is empty but for `.. from-markdown` is
read from NAME.md. Of Markdown only what we use: # headings, lists, `code`, **bold**, paragraphs."""
import os
import re

MARK = '.. from-markdown\n'
LINES = {1: '=', 2: '-', 3: '~'}


def convert(text):
    result = []
    for line in text.split('\n'):
        heading = re.match(r'(#{1,3}) (.*)', line)
        if line.startswith('<!--'):
            continue
        line = re.sub(r'(?<!`)`([^`]+)`(?!`)', r'``\1``', line)
        if heading:
            title = line[heading.end(1) + 1:]
            result += [title, LINES[len(heading[1])] * (len(title) + 1)]
        else:
            result.append(line)
    return '\n'.join(result)


def read_source(app, docname, source):
    if not source[0].endswith(MARK):
        return
    path = os.path.join(app.srcdir, docname + '.md')
    app.env.note_dependency(path)
    with open(path, encoding='utf-8') as file:
        source[0] = convert(file.read())


def setup(app):
    app.connect('source-read', read_source)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
