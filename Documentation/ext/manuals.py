# SPDX-License-Identifier: BSD-2-Clause
"""Checks that Documentation/manuals.rst lists each section of Intel's manual (SDM) that the tree cites."""
import os
import re

TOP = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..'))
PLACES = ('arch', 'common', 'drivers', 'guests', 'hypercall', 'include', 'modules', 'test',
          'Documentation')
VOLUME = r'(?:1|2A|3[A-D]|4)(?!\w)'
NUMBER = r'(?:table )?(?:\d+(?:[.-]\d+)*|[A-C]|CPUID)(?!\w)'
CITATION = re.compile(rf'(?:SDM |, )({VOLUME})(?:, chapters?)?((?:(?:,| and|,? to)? {NUMBER})*)')


def citations(text):
    """Return each 'VOLUME SECTION' that the text cites, also across the lines of a comment."""
    text = re.sub(r'\n[ \t]*(?:\*|;|#)?[ \t]*', ' ', text)
    result = []
    for start in re.finditer(rf'SDM {VOLUME}', text):
        at = start.start()
        while match := CITATION.match(text, at):
            sections = re.findall(NUMBER, match[2])
            if not sections and at != start.start():
                break
            result += [f'{match[1]} {section}' for section in sections] or [match[1]]
            at = match.end()
    return result


def listed(text):
    """Return the 'VOLUME SECTION' of each row of the table in manuals.rst."""
    table = text.split(':name: sdm-sections')[1]
    return {row.split('|')[0].strip() for row in table.split('\n') if '|' in row}


def unlisted(top=TOP):
    """Return (file, 'VOLUME SECTION') of each citation that the table lacks."""
    with open(os.path.join(top, 'Documentation/manuals.rst'), encoding='utf-8') as file:
        known = listed(file.read())
    result = []
    for place in PLACES:
        for where, _, files in os.walk(os.path.join(top, place)):
            for name in sorted(files):
                path = os.path.join(where, name)
                with open(path, encoding='utf-8', errors='replace') as file:
                    text = file.read()
                if name not in ('manuals.rst', 'test_manuals.py'):
                    result += [(os.path.relpath(path, top), cited) for cited in citations(text)
                               if cited not in known]
    return result


def check(app):    # pylint: disable=unused-argument
    from sphinx.util import logging    # pylint: disable=import-outside-toplevel
    for path, cited in unlisted():
        logging.getLogger(__name__).warning('manuals.rst does not list SDM %s, cited in %s', cited,
                                            path)


def setup(app):
    app.connect('builder-inited', check)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
