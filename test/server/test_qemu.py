#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Real QEMUs as clients: they come, go and come again with an id that was used before.

QEMU frees memory twice when a peer leaves and its id returns, and once more when the device is
unplugged; with this server it must survive all of that. The guests never run: the device's
function 1 of an empty slot can be unplugged without a guest's help.

    watch (id 0, Python)      sees slot table and doorbells
    stays (id 1, QEMU)        lives through everything
    goes  (id 2, QEMU)        quits and is replaced, plugs and unplugs
"""

import json
import re
import shutil
import socket
from pathlib import Path

import lab
from client import Client, eventfd_id, wait_state, LIVE, LEFT, BOUND

QEMU = 'qemu-system-x86_64'
START = 60  # seconds, bound only


class Qemu(lab.Process):
    """A QEMU without guest and its monitor."""

    def __init__(self, name, *args):
        self.place = lab.private_dir()
        super().__init__(name, [
            QEMU, '-accel', 'tcg', '-machine', 'q35', '-nodefaults', '-display', 'none', '-S',
            '-m', '64', '-qmp', f'unix:{self.place}/qmp,server=on,wait=off',
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

    def unplug(self):
        self.qmp('device_del', id='device')
        self.event('DEVICE_DELETED')
        self.qmp('chardev-remove', id='link')

    def quit(self):
        self.qmp('quit')
        lab.check(self.wait() == 0, f'{self.name}: status {self.proc.returncode}\n{self.tail()}')


def device(path, vectors):
    return ['-chardev', f'socket,path={path},id=link',
            '-device', f'ivshmem-doorbell,vectors={vectors},chardev=link']


def need_qemu():
    if shutil.which(QEMU) is None:
        lab.skip(f'{QEMU} is not installed')


def qemu_joins():
    """With fewer vectors than the server gives, as many, and more."""
    need_qemu()
    for vectors in (1, 4, 8):
        server = lab.Server('--ports', 3, '-n', 4, '-l', '4M', name=f'server-{vectors}')
        watch = Client(server.socket).handshake(4, [])
        one = Qemu(f'one-{vectors}', *device(server.socket, vectors))
        two = Qemu(f'two-{vectors}', *device(server.socket, vectors))
        for slot in (1, 2):
            lab.check(wait_state(watch.region, slot, LIVE) == (1, LIVE, 0, 4), 'slot table')
            lab.check(watch.vectors(4) == slot, 'announcement')
        lab.check(watch.drain() == 2, 'the control vector was not rung twice')
        for qemu in (one, two):
            if vectors >= 4:
                qemu.hears(watch)
            lab.check('error' not in qemu.output().lower(), qemu.output())
            qemu.quit()
        for slot in (1, 2):
            wait_state(watch.region, slot, LEFT)
        lab.check(server.stop() == 0, 'exit status')


def quit_and_replaced():
    need_qemu()
    server = lab.Server('--ports', 3, '-n', 2, '-l', '4M')
    watch = Client(server.socket).handshake(2, [])
    stays = Qemu('stays', *device(server.socket, 2))
    server.expect('attach id=1 ')
    for life in range(1, 5):
        goes = Qemu(f'goes-{life}', *device(server.socket, 2))
        lab.check(wait_state(watch.region, 2, LIVE)[0] == life, f'life {life}')
        if life % 2 == 0:
            goes.kill()
        else:
            goes.quit()
        lab.check(wait_state(watch.region, 2, LEFT)[0] == life, f'life {life}')
        lab.check(stays.qmp('query-status')['running'] is False, 'the survivor does not answer')
    lab.check(watch.region.slot(1)[0] == (1, LIVE, 0, 2), 'the survivor lost its slot')
    stays.quit()
    wait_state(watch.region, 1, LEFT)


def unplugged_and_replaced():
    """Each life in a process of its own: QEMU 7.2 keeps the handlers of an unplugged device's
    eventfds, and calls them when another file gets the number. No server can help that."""
    need_qemu()
    server = lab.Server('--ports', 3, '-n', 2, '-l', '4M')
    watch = Client(server.socket).handshake(2, [])
    stays = Qemu('stays')
    stays.plug(server.socket, 2)
    watch.vectors(2)
    for life in range(1, 21):
        goes = Qemu('goes')
        goes.plug(server.socket, 2)
        lab.check(wait_state(watch.region, 2, LIVE)[0] == life, f'life {life}')
        if life == 1:
            watch.vectors(2)
        # nor can it help a device that is unplugged while messages for it arrive
        goes.hears(watch)
        stays.hears(watch)
        goes.unplug()
        lab.check(wait_state(watch.region, 2, LEFT)[0] == life, f'life {life}')
        goes.quit()
    lab.check(watch.region.slot(1)[0] == (1, LIVE, 0, 2), 'the survivor lost its slot')
    # now the survivor's own device, after twenty leaves of its peer: where QEMU frees twice
    stays.unplug()
    wait_state(watch.region, 1, LEFT)
    heir = Qemu('heir', *device(server.socket, 2))
    lab.check(wait_state(watch.region, 1, LIVE)[0] == 2, 'the slot of the survivor is lost')
    lab.check(watch.silent(), 'the watcher was told of an id again')
    stays.quit()
    heir.quit()


lab.main(qemu_joins, quit_and_replaced, unplugged_and_replaced)
