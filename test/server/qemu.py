# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""A QEMU with an ivshmem-doorbell device and no guest."""

import json
import os
import re
import shutil
import socket
from pathlib import Path

import lab
from client import BOUND, eventfd_id, readable

QEMU = 'qemu-system-x86_64'
START = 60  # seconds, bound only
BAR0 = 0xc0000000  # where ring() lets the registers be
DOORBELL = 12


class Qemu(lab.Process):
    """A QEMU without guest and its monitor."""

    def __init__(self, name, *args):
        self.place = lab.private_dir()
        super().__init__(name, [
            QEMU, '-accel', 'tcg', '-machine', 'q35', '-nodefaults', '-display', 'none', '-S',
            '-m', '64', '-qmp', f'unix:{self.place}/qmp,server=on,wait=off',
            '-qtest', f'unix:{self.place}/qtest,server=on,wait=off', '-qtest-log', '/dev/null',
            # the slot's own hotplug instead of ACPI's, which needs a guest
            '-global', 'ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off',
            '-device', 'pcie-root-port,id=root,chassis=1', *args],
            # freed memory is overwritten: its use shows
            env={'MALLOC_PERTURB_': '165'})
        self.monitor = socket.socket(socket.AF_UNIX)
        self.monitor.settimeout(BOUND)
        lab.wait_until(self._connect, START, f'the monitor of {name}')
        self.lines = self.monitor.makefile('r')
        self._read()
        self.qmp('qmp_capabilities')

    def _connect(self):
        lab.check(self.running(), f'{self.name} ended at its start\n{self.tail()}')
        try:
            self.monitor.connect(f'{self.place}/qmp')
            return True
        except OSError:
            return False

    def _read(self):
        try:
            line = self.lines.readline()
        except socket.timeout:
            raise lab.Failure(f'{self.name}: its monitor is silent\n{self.tail()}')
        if not line:
            raise lab.Failure(f'{self.name} ended, status {self.wait()}\n{self.tail()}')
        return json.loads(line)

    def qmp(self, command, **arguments):
        """Runs a command and returns its answer; events are kept for event()."""
        self.events = []
        self.monitor.sendall(json.dumps({'execute': command, 'arguments': arguments}).encode())
        while True:
            answer = self._read()
            lab.check('error' not in answer, f'{self.name}: {command}: {answer}')
            if 'return' in answer:
                return answer['return']
            self.events.append(answer.get('event'))

    def event(self, name):
        while name not in self.events:
            self.events.append(self._read().get('event'))

    def plug(self, path, vectors):
        address = {'type': 'unix', 'data': {'path': str(path)}}
        self.qmp('chardev-add', id='link', backend={
            'type': 'socket', 'data': {'addr': address, 'server': False}})
        self.qmp('device_add', driver='ivshmem-doorbell', id='device', bus='root', addr='0x0.1',
                 chardev='link', vectors=vectors)

    def eventfds(self):
        """The kernel's numbers of all eventfds that it holds."""
        found = set()
        for path in Path(f'/proc/{self.pid}/fdinfo').iterdir():
            try:
                found.update(re.findall(r'eventfd-id:\s*(\d+)', path.read_text()))
            except OSError:
                pass
        return {int(number) for number in found}

    def hears(self, client):
        """Waits until it has read all messages: it holds all eventfds that the client holds."""
        want = {eventfd_id(fd) for fds in client.peers.values() for fd in fds}
        lab.wait_until(lambda: want <= self.eventfds(), BOUND, f'{self.name} to have all eventfds')

    def ring(self, peer, vector):
        """Rings a doorbell as a guest would, through the registers of device()."""
        with socket.socket(socket.AF_UNIX) as qtest:
            qtest.settimeout(BOUND)
            qtest.connect(f'{self.place}/qtest')
            answers = qtest.makefile('r')

            def do(line):
                qtest.sendall(line.encode() + b'\n')
                answer = answers.readline()
                lab.check(answer.startswith('OK'), f'{self.name}: {line}: {answer}')

            for register, value in ((0x10, BAR0), (0x04, 2)):
                do(f'outl 0xcf8 {1 << 31 | 5 << 11 | register:#x}')
                do(f'outl 0xcfc {value:#x}')
            do(f'writel {BAR0 + DOORBELL:#x} {peer << 16 | vector:#x}')

    def unplug(self):
        self.qmp('device_del', id='device')
        self.event('DEVICE_DELETED')
        self.qmp('chardev-remove', id='link')

    def quit(self):
        self.qmp('quit')
        lab.check(self.wait() == 0, f'{self.name}: status {self.proc.returncode}\n{self.tail()}')


def device(path, vectors):
    return ['-chardev', f'socket,path={path},id=link',
            '-device', f'ivshmem-doorbell,id=device,vectors={vectors},chardev=link,addr=5']


def need_qemu():
    if shutil.which(QEMU) is None:
        lab.skip(f'{QEMU} is not installed')


def rings_both_ways(stays, client):
    """Between a QEMU with id 0 and a client, by vector 1."""
    stays.hears(client)
    client.drain(1)
    stays.ring(client.id, 1)
    lab.check(readable(client.peers[client.id][1], BOUND), f'{stays.name} can not ring')
    lab.check(client.drain(1) == 1, 'rung more than once')
    bell = client.peers[0][1]
    os.eventfd_write(bell, 1)
    # its device takes the count as an interrupt of a guest that has not enabled it
    lab.wait_until(lambda: re.search(r'eventfd-count:\s*0\b',
                                     Path(f'/proc/self/fdinfo/{bell}').read_text()),
                   BOUND, f'{stays.name} to hear its doorbell')
