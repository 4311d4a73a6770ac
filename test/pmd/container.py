# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""ivshmem-traffic in a container: no root, no hugepages, and a server's socket for all network.

A container is a process in its own user, mount and network namespace. On the host it is NOBODY,
inside it is user 1000, the only one there is; what it sees of the host is in ./container.
"""

import atexit
import os
import re
import shutil
import tempfile
from pathlib import Path

import lab
import pair

ENTER = Path(__file__).resolve().with_name('container')
NOBODY = 65534
SOCKET = '/run/ivshmem.sock'
PROGRAMS = '/opt/ivshmem'


def open_to_all(socket):
    """NOBODY gets as far as the socket; --socket-mode says whether it may connect."""
    Path(socket).parent.chmod(0o711)


class Image:
    """The containers' root file system: open to all, and not below /run, often mounted noexec."""

    def __init__(self):
        self.root = Path(tempfile.mkdtemp(prefix='ivshmem-image-', dir='/var/lib'))
        atexit.register(shutil.rmtree, self.root, ignore_errors=True)
        for name in ('usr', 'proc', 'sys', 'tmp', 'run', 'old', PROGRAMS[1:]):
            (self.root / name).mkdir(parents=True)
        (self.root / SOCKET[1:]).touch()
        for path in (ENTER, pair.TRAFFIC, lab.plugin()):
            shutil.copy(path, self.root / PROGRAMS[1:])
        for path in (self.root, *self.root.rglob('*')):
            path.chmod(0o755)           # whatever the umask is
        for name in ('bin', 'lib', 'lib64'):
            (self.root / name).symlink_to('usr/' + name)

    def command(self, socket, program, *arguments):
        """The command line of a program of the image in a container on this socket."""
        return ['setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups',
                f'{self.root}{PROGRAMS}/{ENTER.name}', self.root, socket,
                f'{PROGRAMS}/{program}', *arguments]


class Traffic(pair.Traffic):
    """pair.Traffic in a container of the image, on the server that listens on `socket`."""

    def __init__(self, name, image, socket, role, *options):
        cpus = ','.join(map(str, sorted(set(lab.cpus(2)))))
        lab.Process.__init__(self, name, image.command(
            socket, pair.TRAFFIC.name, '--no-pci', '--no-huge', '-m', 128,
            '--lcores', f'0@({cpus})', '-d', f'{PROGRAMS}/{Path(lab.plugin()).name}',
            '--log-level=pmd.net.ivshmem:info', '--vdev', f'net_ivshmem0,socket={SOCKET}', '--',
            '--role', role, '--json', *options))

    def check_contained(self):
        """Once it has its port: the process is what it is thought to be, seen from outside."""
        self.expect(r'ivshmem: net_ivshmem0: port \d+ of ', 30)
        proc = Path('/proc', str(self.pid))
        status = dict(line.split(':\t', 1) for line in (proc / 'status').read_text().splitlines()
                      if ':\t' in line)
        users = status['Uid'].split() + status['Gid'].split()
        lab.check(set(users) == {str(NOBODY)} and status['Groups'].split() == [],
                  f'{self.name}: its users and groups are {users} {status["Groups"]}')
        for kind in ('Inh', 'Prm', 'Eff', 'Bnd', 'Amb'):
            lab.check(int(status['Cap' + kind], 16) == 0,
                      f'{self.name}: it has capabilities, Cap{kind} is {status["Cap" + kind]}')
        inside = (proc / 'uid_map').read_text().split()
        lab.check(inside == ['1000', str(NOBODY), '1'], f'{self.name}: its users are {inside}')
        for kind in ('user', 'mnt', 'net'):
            lab.check(os.readlink(proc / 'ns' / kind) != os.readlink(f'/proc/self/ns/{kind}'),
                      f'{self.name}: it is in our {kind} namespace')
        links = re.findall(r'^ *(\S+):', (proc / 'net/dev').read_text(), re.M)
        lab.check(links == ['lo'], f'{self.name}: its network devices are {links}')
        mounts = [line.split()[1:3] for line in (proc / 'mounts').read_text().splitlines()]
        seen = sorted(at for at, _ in mounts if not at.startswith(('/sys/', '/proc/', '/usr/')))
        lab.check(seen == ['/', '/proc', SOCKET, '/sys', '/tmp', '/usr'],
                  f'{self.name}: its mounts are {mounts}')
        lab.check('hugetlbfs' not in [kind for _, kind in mounts], f'{self.name}: {mounts}')
        return self
