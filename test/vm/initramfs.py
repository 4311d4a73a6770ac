# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Guest root file systems as newc cpio archives.

A Tree collects files, symbolic links and programs with the libraries they
need, and writes itself as an archive that the kernel unpacks as its root.
Several archives may follow each other: a Tree made with `below` leaves out
what the archive before it already carries.

Invariants:
 I1. /usr is merged as Debian's is: a file is stored below /usr only, so one
     library has one inode whichever path finds it (EAL needs that).
 I2. A library keeps its real name, its soname is a link: EAL loads plugins
     by their full version suffix.
"""

import os
import re
import subprocess

MERGED = ('bin', 'sbin', 'lib', 'lib64')
ALIGN = 512


class GuestError(Exception):
    """Something needed for the guest is missing or unusable; the text says what to do."""


def place(path):
    """Where `path` lies in the archive: relative, below /usr (I1)."""
    rel = os.path.normpath('/' + path).lstrip('/')
    head = rel.split('/', 1)[0]
    if head in MERGED and head != rel:
        rel = 'usr/' + rel
    if rel.startswith('usr/sbin/'):
        rel = 'usr/bin/' + rel[len('usr/sbin/'):]
    return rel


def libraries(program):
    """Paths of all shared libraries `program` needs, loader included; [] for a static one."""
    with open(program, 'rb') as stream:
        if stream.read(4) != b'\x7fELF':
            return []
    done = subprocess.run(['ldd', program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=30, check=False)
    found = []
    for line in done.stdout.splitlines():
        if 'not found' in line:
            raise GuestError(f'{program} needs {line.split()[0]}, which this machine lacks: '
                             'install the package that has it')
        match = re.match(r'\s+(?:\S+ => )?(/\S+) \(', line)
        if match is not None:
            found.append(match.group(1))
    return found


def _entry(name, data, mode):
    head = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    text = b'070701' + b''.join(b'%08x' % word for word in head) + name + b'\0'
    return text + b'\0' * (-len(text) % 4) + data + b'\0' * (-len(data) % 4)


class Tree:
    """The contents of one archive, and the host files it was made from (`inputs`)."""

    def __init__(self, below=()):
        self.nodes = {}
        self.below = frozenset(below)
        self.inputs = set()

    def names(self):
        """Every path in this archive and in those below it."""
        return self.below | set(self.nodes)

    def _add(self, rel, mode, data):
        if rel in self.below and mode & 0o170000 == 0o040000:
            return
        parent = os.path.dirname(rel)
        if parent and parent not in self.nodes and parent not in self.below:
            self._add(parent, 0o040755, b'')
        self.nodes[rel] = (mode, data)

    def folder(self, path):
        """An empty folder."""
        self._add(place(path), 0o040755, b'')

    def text(self, path, data, mode=0o644):
        """A file made of the string `data`."""
        self._add(place(path), 0o100000 | mode, data.encode())

    def link(self, path, target):
        """A symbolic link."""
        self._add(place(path), 0o120777, target.encode())

    def copy(self, source, path, mode=None):
        """The host's file `source` at `path`; its mode unless told otherwise."""
        try:
            with open(source, 'rb') as stream:
                data = stream.read()
                have = os.fstat(stream.fileno()).st_mode & 0o777
        except OSError as err:
            raise GuestError(f'{source}: {err.strerror}: the guest needs this file') from err
        self.inputs.add(source)
        self._add(place(path), 0o100000 | (have if mode is None else mode), data)

    def library(self, source):
        """A shared library under its real name, with its soname as a link (I2)."""
        real = os.path.realpath(source)
        rel, alias = place(real), place(source)
        if rel not in self.names():
            self.copy(real, rel)
        if alias != rel and alias not in self.names():
            self.link(alias, os.path.relpath('/' + rel, os.path.dirname('/' + alias)))

    def program(self, source, path, mode=0o755):
        """A program or plugin with every library it needs."""
        self.copy(source, path, mode)
        for needed in libraries(source):
            self.library(needed)

    def archive(self):
        """The archive's bytes, padded so that another may follow."""
        parts = []
        for rel in sorted(self.nodes):
            mode, data = self.nodes[rel]
            parts.append(_entry(rel.encode(), data, mode))
        parts.append(_entry(b'TRAILER!!!', b'', 0))
        size = sum(map(len, parts))
        parts.append(b'\0' * (-size % ALIGN))
        return b''.join(parts)


def module_info(path):
    """Names of the modules that the kernel module at `path` needs."""
    with open(path, 'rb') as stream:
        image = stream.read()
    match = re.search(rb'(?:^|\0)depends=([^\0]*)\0', image)
    return match.group(1).decode().split(',') if match is not None and match.group(1) else []


class Modules:
    """The modules of one unpacked kernel, found by name and put in load order."""

    def __init__(self, folder):
        self.folder = folder
        self.paths = {}
        for where, _, files in os.walk(folder):
            for name in files:
                if name.endswith('.ko'):
                    self.paths[self._key(name[:-3])] = os.path.join(where, name)
        with open(os.path.join(folder, 'modules.builtin'), encoding='ascii') as stream:
            self.builtin = {self._key(os.path.basename(line.strip())[:-3]) for line in stream}

    @staticmethod
    def _key(name):
        return name.replace('-', '_')

    def order(self, wanted):
        """Paths of `wanted` and all they need, each after what it needs."""
        done, out = set(), []

        def visit(name):
            key = self._key(name)
            if key in done or key in self.builtin:
                return
            done.add(key)
            if key not in self.paths:
                raise GuestError(f'the guest kernel in {self.folder} has no module {name}')
            for needed in module_info(self.paths[key]):
                visit(needed)
            out.append(self.paths[key])

        for name in wanted:
            visit(name)
        return out
