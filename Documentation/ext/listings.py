# SPDX-License-Identifier: BSD-2-Clause
"""Listings of the source tree: tabs of 4, the file's own line numbers, a caption FILE:LINE that leads to a page with
the whole file. Used by c-source (source_tree.py), and by literalinclude, which this file replaces.

The build fails if a listing has a line of more than WIDTH columns, which would run off the column (custom.css).
"""
import os

import pygments
import pygments.formatters
import pygments.lexers
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.directives.code import LiteralInclude
from sphinx.util import logging

TOP = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..'))
TAB = 4
WIDTH = 100

logger = logging.getLogger(__name__)


def page_of(path):
    return 'source/' + path


def caption(env, path, first):
    """Return the caption 'path:first', a link to that line in the file's page, and have the page made."""
    if not hasattr(env, 'listed_files'):
        env.listed_files = {}
    env.listed_files.setdefault(path, set()).add(env.docname)
    text = f'{path}:{first}'
    reference = nodes.reference('', '', nodes.literal(text, text), internal=True,
                                refuri=f'{page_of(path)}.html#L-{first}')
    return nodes.caption('', '', reference)


def listing(env, path, text, first, language):
    """Return a listing of text, which begins at the line `first` of the file."""
    text = text.expandtabs(TAB)
    block = nodes.literal_block(text, text, language=language, linenos=True, force=True,
                                highlight_args={'linenostart': first})
    return nodes.container('', caption(env, path, first), block, literal_block=True,
                           classes=['literal-block-wrapper'])


class Listing(LiteralInclude):
    """literalinclude with the defaults above. Files that are not of the tree are not shown this way."""
    def run(self):
        self.options.setdefault('tab-width', TAB)
        self.options.setdefault('lineno-match')
        self.options.setdefault('force')
        result = super().run()
        if isinstance(result[0], nodes.literal_block):
            _, full = self.env.relfn2path(self.arguments[0])
            first = result[0]['highlight_args'].get('linenostart') or 1
            title = caption(self.env, os.path.relpath(full, TOP), first)
            return [nodes.container('', title, result[0], literal_block=True,
                                    classes=['literal-block-wrapper'])]
        return result


def check_width(app, doctree):    # pylint: disable=unused-argument
    for block in doctree.findall(nodes.literal_block):
        for line in block.astext().expandtabs(TAB).split('\n'):
            if len(line) > WIDTH:
                logger.warning('a line of %d columns in a listing: %s', len(line), line.strip(),
                               location=block)


def forget(app, env, docname):    # pylint: disable=unused-argument
    for users in getattr(env, 'listed_files', {}).values():
        users.discard(docname)


def source_pages(app):
    """Yield a page for each file of which some chapter shows a part."""
    for path, users in sorted(getattr(app.env, 'listed_files', {}).items()):
        if not users:
            continue
        with open(os.path.join(TOP, path), encoding='utf-8') as file:
            text = file.read().expandtabs(TAB)
        try:
            lexer = pygments.lexers.get_lexer_for_filename('x.c' if path.endswith('.def') else path)
        except pygments.util.ClassNotFound:
            lexer = pygments.lexers.get_lexer_by_name('text')
        form = pygments.formatters.HtmlFormatter(linenos='inline', lineanchors='L',
                                                 anchorlinenos=True, cssclass='highlight')
        body = f'<h1><code>{path}</code></h1>\n' + pygments.highlight(text, lexer, form)
        yield page_of(path), {'title': path, 'body': body, 'parents': []}, 'page.html'


def setup(app):
    directives.register_directive('literalinclude', Listing)
    app.connect('env-purge-doc', forget)
    app.connect('doctree-read', check_width)
    app.connect('html-collect-pages', source_pages)
    return {'parallel_read_safe': False, 'parallel_write_safe': True}
