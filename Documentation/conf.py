# SPDX-License-Identifier: BSD-2-Clause
"""Sphinx's settings for the book. Only what Debian's python3-sphinx and graphviz have is used."""
import os
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'ext'))

project = 'Margay'
author = 'the Margay developers'
copyright = '2026, ' + author    # pylint: disable=redefined-builtin
release = subprocess.run([os.path.join(os.path.dirname(os.path.abspath(__file__)), '../scripts/version')],
                         capture_output=True, text=True, check=True).stdout.strip()
extensions = ['source_tree', 'listings', 'results', 'manuals', 'markdown_page', 'sphinx.ext.graphviz']
graphviz_output_format = 'svg'
exclude_patterns = ['exercises/**']
html_theme = 'alabaster'
html_theme_options = {
    'description': 'A small hypervisor for x86_64 nodes',
    'fixed_sidebar': True,
    'page_width': '72rem',
    'show_relbars': True,
    'show_powered_by': False,      # the theme does not look at html_show_sphinx
}
# The start page has the contents in its text, the others in the sidebar.
html_sidebars = {'index': ['about.html', 'searchbox.html'],
                 '**': ['about.html', 'navigation.html', 'searchbox.html']}
html_static_path = ['static']
html_copy_source = False
html_show_sphinx = False
highlight_language = 'none'
man_pages = [('mgctl', 'mgctl', 'control and observe Margay', author, 8),
             ('v2m', 'v2m', 'run virtual machines by profile', author, 1),
             ('libv3m', 'libv3m', 'virtual machines by profile over libvirt', author, 3)]
nitpicky = True
