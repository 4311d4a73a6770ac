# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Sphinx configuration. app/setup docs builds the documents into build/doc/html."""

from docutils import nodes

project = 'net_ivshmem'
copyright = '2026 The net_ivshmem authors'
version = release = '1.0'

needs_sphinx = '5.3'
root_doc = 'index'
exclude_patterns = ['man']
highlight_language = 'none'
numfig = True

html_theme = 'alabaster'
html_theme_options = {
    'description': 'Ethernet ports over QEMU shared memory, for DPDK',
    'page_width': '70em',
    'sidebar_width': '14em',
}
html_show_sourcelink = False
html_copy_source = False
smartquotes = False


def strip_comment_stars(_app, doctree):
    """A table that literalinclude quotes out of a C comment loses the comment's margin."""
    for block in doctree.findall(nodes.literal_block):
        lines = block.astext().split('\n')
        if all(line.startswith(' *') for line in lines if line):
            text = '\n'.join(line[3:] for line in lines)
            block.rawsource = text
            block.children = [nodes.Text(text)]


def setup(app):
    app.connect('doctree-read', strip_comment_stars)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
