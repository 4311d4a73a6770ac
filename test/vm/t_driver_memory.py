# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Where a QEMU in its sandbox gets the memory from, and who is at the other end.

    a0   ivshmem-doorbell                              a container
    a1   ivshmem-plain on a memfd that QEMU makes      a process of the host
    a2   ivshmem-plain on a file                       a process of the host
"""

import subprocess

import container
import driver
import lab
import pair
from driver import IMIX, GuestEnd, send_all
from vmset import doorbell, memfd, plain

SERVED, MEMFD, FILE = range(3)
SANDBOX = 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'
COUNT = 20000
# What the guide says to do, with QEMU and FOLDER set.
FORMAT = """
memory=$(find /proc/$QEMU/fd -lname '/memfd:memory-backend-memfd*')
$SERVER format -l 16M $FOLDER/blank
dd if=$FOLDER/blank of=$memory bs=1M conv=notrunc,sparse
rm $FOLDER/blank
echo memory $memory
"""


class PathEnd:
    """Port 1 of a region that the host reaches by a file."""

    def __init__(self, name, path):
        self.name, self.vdev, self.count = name, f'net_ivshmem0,path={path},port=1', 0

    def traffic(self, role, *options):
        self.count += 1
        return pair.Traffic(f'{self.name}-{role}{self.count}', role, self.vdev, *options)


class ContainerEnd:
    """A container on a server's socket."""

    def __init__(self, server):
        container.open_to_all(server.socket)
        self.image, self.socket = container.Image(), server.socket

    def traffic(self, role, *options):
        return container.Traffic(f'container-{role}', self.image, self.socket, role,
                                 *options).check_contained()


class World:
    def __init__(self, vms):
        self.server = vms.server('16M', vectors=4, options='--ports 2 --socket-mode 0666')
        self.file = vms.path('file')
        self.shell({'FILE': self.file}, '$SERVER format -l 16M $FILE')
        self.a = vms.add('a', memory=320, hugepages=64, qemu=['-sandbox', SANDBOX], devices=[
            doorbell(self.server.socket, 4), memfd('16M'), plain(self.file, '16M')])
        vms.start()
        driver.bind(self.a, 3)
        said = self.shell({'QEMU': str(self.a.pid), 'FOLDER': vms.folder}, FORMAT)
        self.memory = said.split('memory ')[1].strip()
        self.ends = [GuestEnd(self.a, index, 'port=0' if index else '') for index in range(3)]
        self.others = [ContainerEnd(self.server), PathEnd('memfd', self.memory),
                       PathEnd('file', self.file)]

    @staticmethod
    def shell(variables, script):
        """Runs it as a user would, on the host; returns what it prints."""
        done = subprocess.run(['sh', '-ec', script], timeout=60, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False,
                              env={'PATH': '/usr/bin:/bin', 'SERVER': lab.server(), **variables})
        lab.check(done.returncode == 0, f'{script}: status {done.returncode}:\n{done.stdout}')
        return done.stdout


shared = driver.Shared(World)


def qemu_is_in_its_sandbox():
    world = shared.get()
    with open(f'/proc/{world.a.pid}/status', encoding='ascii') as stream:
        found = [line.split()[1] for line in stream if line.startswith(('Seccomp:', 'NoNewPrivs'))]
    lab.check(found == ['1', '2'], f'NoNewPrivs and Seccomp are {found}, not 1 and 2 (a filter)')


def frames_to_a_container_a_memfd_and_a_file():
    """From the guest to all three at once, and back."""
    world = shared.get()
    for pairs in zip(world.ends, world.others), zip(world.others, world.ends):
        for index, runs in enumerate(send_all(list(pairs), COUNT, *IMIX)):
            mine = next(run for run in runs if isinstance(run, driver.GuestRun))
            found = mine.port()
            want = (0, 2, 'pci', 16 << 20)
            lab.check(found == want, f'{world.ends[index].name}: port, ports, front and bytes are '
                      f'{found}, not {want}')


shared.main(qemu_is_in_its_sandbox, frames_to_a_container_a_memfd_and_a_file)
