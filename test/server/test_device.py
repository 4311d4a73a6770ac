#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""What doc/device.rst and doc/server-protocol.rst say of QEMU's device, asked of QEMU itself.

No guest runs: registers and configuration space are read and written through qtest.

    watch (id 0, Python) -- server -- QEMU (id 1), device 4 of the root bus
"""

import array
import json
import os
import shutil
import socket
import struct

import lab
from client import Client, readable, LIVE, BOUND

QEMU = 'qemu-system-x86_64'
BAR = {0: 0xe0000000, 1: 0xe0001000, 2: 0xe1000000}
MASK, STATUS, POSITION, DOORBELL = 0, 4, 8, 12
MEMORY_ON = 2
MSIX, MSIX_ON = 0x11, 1 << 31
# of QEMU 7.2, and of later ones
NO_MEMORY = "can't determine size of shared memory sent by server|server didn't provide fd"


class Qemu(lab.Process):
    """A QEMU with one device and nothing that runs; reads and writes are of 4 bytes."""

    def __init__(self, name, *args):
        place = lab.private_dir()
        self.ends = {}
        for end in ('qtest', 'qmp'):
            self.ends[end] = socket.socket(socket.AF_UNIX)
            self.ends[end].bind(f'{place}/{end}')
            self.ends[end].listen(1)
            self.ends[end].settimeout(BOUND)
        super().__init__(name, [
            QEMU, '-machine', 'q35', '-accel', 'tcg', '-nodefaults', '-display', 'none', '-S',
            '-m', '64', '-qtest', f'unix:{place}/qtest', '-qtest-log', '/dev/null',
            '-qmp', f'unix:{place}/qmp', *args])

    def ask(self, command):
        """A command of qtest; its value, if it has one."""
        return self._ask('qtest', command, lambda line: line.startswith('OK'))[3:]

    def reset(self):
        for command in ('qmp_capabilities', 'system_reset'):
            self._ask('qmp', json.dumps({'execute': command}), lambda line: '"return"' in line)

    def _ask(self, end, command, is_answer):
        if isinstance(self.ends[end], socket.socket):
            link = self.ends[end].accept()[0]
            link.settimeout(BOUND)
            self.ends[end] = link.makefile('rw')
        self.ends[end].write(command + '\n')
        self.ends[end].flush()
        while True:
            line = self.ends[end].readline().strip()
            lab.check(line, f'{self.name} ended at {command!r}\n{self.tail()}')
            if is_answer(line):
                return line

    def config(self, off, value=None):
        self.ask(f'outl 0xcf8 {0x80000000 | 4 << 11 | off:#x}')
        if value is None:
            return int(self.ask('inl 0xcfc'), 16)
        return self.ask(f'outl 0xcfc {value:#x}')

    def bar_masks(self):
        """What BAR0 to BAR3 read when all ones were written."""
        for off in range(0x10, 0x20, 4):
            self.config(off, 0xffffffff)
        return [self.config(off) for off in range(0x10, 0x20, 4)]

    def place_bars(self):
        for bar, address in BAR.items():
            self.config(0x10 + 4 * bar, address)
        self.config(0x1c, 0)
        self.config(4, MEMORY_ON)

    def read(self, off, bar=0, form='l'):
        return int(self.ask(f'read{form} {BAR[bar] + off:#x}'), 16)

    def write(self, off, value):
        self.ask(f'writel {BAR[0] + off:#x} {value:#x}')

    def registers(self):
        return [self.read(off) for off in range(0, 256, 4)]

    def check_identity(self):
        found = [self.config(off) for off in (0, 8, 0x2c)]
        lab.check(found == [0x11101af4, 0x05000001, 0x11001af4], f'ids: {list(map(hex, found))}')
        lab.check(self.config(0x3c) & 0xff00 == 0, 'an interrupt pin')


def registers_keep_their_promise(qemu, position):
    """Registers as in the table of the document; DOORBELL is looked at elsewhere."""
    lab.check(qemu.registers() == [0, 0, position] + [0] * 61, f'start: {qemu.registers()}')
    qemu.write(MASK, 0xdeadbeef)
    lab.check([qemu.read(MASK)] * 2 == [0xdeadbeef] * 2, 'INTRMASK')
    lab.check(qemu.read(MASK + 1, form='b') != 0xbe, 'a byte of a register')
    qemu.write(STATUS, 0x1234)
    lab.check([qemu.read(STATUS), qemu.read(STATUS)] == [0x1234, 0], 'INTRSTATUS')
    for off in (POSITION, 16, 252):
        qemu.write(off, 7)
    lab.check(qemu.registers() == [0xdeadbeef, 0, position] + [0] * 61, f'{qemu.registers()}')


def plain_has_no_interrupts():
    memory = lab.private_dir() / 'memory'
    qemu = Qemu('plain', '-object', f'memory-backend-file,id=m,share=on,size=1M,mem-path={memory}',
                '-device', 'ivshmem-plain,memdev=m,addr=4')
    qemu.check_identity()
    masks = qemu.bar_masks()
    lab.check(masks == [0xffffff00, 0, 0xfff0000c, 0xffffffff], f'BARs: {list(map(hex, masks))}')
    lab.check(qemu.config(4) >> 20 & 1 == 0 and qemu.config(0x34) == 0, 'a capability')
    qemu.place_bars()
    registers_keep_their_promise(qemu, 0)
    qemu.write(DOORBELL, 1 << 16)
    qemu.ask(f'writeq {BAR[2]:#x} 0x1122334455667788')
    lab.check(memory.read_bytes()[:8] == bytes.fromhex('8877665544332211'), 'BAR2')
    qemu.kill()


def msix_of(qemu):
    """Offset of the capability, or 0."""
    off = qemu.config(0x34) & 0xff
    while off != 0 and qemu.config(off) & 0xff != MSIX:
        off = qemu.config(off) >> 8 & 0xff
    return off


def joined(vectors):
    """A server, the watcher and a QEMU with the device in place."""
    server = lab.Server('--ports', 3, '-n', vectors, '-l', '1M')
    watch = Client(server.socket).handshake(vectors, [])
    qemu = Qemu('doorbell', '-chardev', f'socket,path={server.socket},id=link', '-device',
                f'ivshmem-doorbell,vectors={vectors},chardev=link,addr=4')
    qemu.check_identity()
    lab.check(watch.vectors(vectors) == 1 and watch.rung() == 1, 'the device is not id 1')
    qemu.place_bars()
    return server, watch, qemu


def doorbells():
    server, watch, qemu = joined(3)
    lab.check(qemu.config(0x10) & 1 == 0 and msix_of(qemu) != 0, 'no MSI-X')
    control = qemu.config(msix_of(qemu))
    lab.check((control >> 16 & 0x7ff) + 1 == 3, 'the table size is not the number of vectors')
    pending = qemu.config(msix_of(qemu) + 8)
    lab.check(pending & 7 == 1 and qemu.config(msix_of(qemu) + 4) & 7 == 1, 'not in BAR1')
    registers_keep_their_promise(qemu, 1)
    lab.check(qemu.read(0, 2, 'q') == int.from_bytes(b'IVSHMNET', 'little'), 'BAR2')
    for vector in range(3):
        qemu.write(DOORBELL, vector)
    lab.wait_until(lambda: readable(watch.peers[0][2], 0), BOUND, 'a ring')
    lab.check([watch.drain(v) for v in range(3)] == [1, 1, 1], 'rings of each vector')
    lab.check(qemu.read(DOORBELL) == 0, 'DOORBELL reads something')
    for absent in (2 << 16, 15 << 16, 16 << 16, 0xffff << 16, 3, 255, 0xffff):
        qemu.write(DOORBELL, absent)
    qemu.write(DOORBELL, 256)
    lab.check(watch.rung() == 1, '256 is not 0')
    lab.check([watch.drain(v) for v in range(3)] == [0, 0, 0], 'who was not named was rung')
    # lost while MSI-X is off; kept while it is on and the vector masked, as it is at first
    bits = lambda: qemu.read(pending & ~7, 1)
    os.eventfd_write(watch.peers[1][2], 1)
    lab.wait_until(lambda: not readable(watch.peers[1][2], 0), BOUND, 'QEMU to take the ring')
    qemu.config(msix_of(qemu), control | MSIX_ON)
    lab.check(bits() == 0, f'pending: {bits()}')
    qemu.write(DOORBELL, 1 << 16 | 1)
    os.eventfd_write(watch.peers[1][0], 2)
    lab.wait_until(lambda: bits() == 0b011, BOUND, 'rings of the own id and of another')
    qemu.kill()


def reset_is_not_noticed():
    server, watch, qemu = joined(2)
    qemu.config(msix_of(qemu), qemu.config(msix_of(qemu)) | MSIX_ON)
    qemu.write(MASK, 5)
    qemu.write(STATUS, 5)
    qemu.ask(f'writeq {BAR[2] + 0xff000:#x} 0x1122')
    qemu.reset()
    found = [qemu.config(off) for off in (4, 0x10, 0x14, 0x18)]
    lab.check([found[0] & 7, *found[1:]] == [0, 0, 0, 0xc], f'after the reset: {found}')
    lab.check(qemu.config(msix_of(qemu)) & MSIX_ON == 0, 'MSI-X is on')
    qemu.place_bars()
    lab.check(qemu.registers() == [0, 0, 1] + [0] * 61, f'registers: {qemu.registers()}')
    lab.check(qemu.read(0xff000, 2, 'q') == 0x1122, 'the region lost its content')
    lab.check(watch.region.slot(1)[0] == (1, LIVE, 0, 2) and watch.silent() and
              watch.drain() == 0, 'the server noticed')
    qemu.write(DOORBELL, 1)
    lab.wait_until(lambda: readable(watch.peers[0][1], 0), BOUND, 'a ring after the reset')
    qemu.config(msix_of(qemu), qemu.config(msix_of(qemu)) | MSIX_ON)
    os.eventfd_write(watch.peers[1][1], 1)
    pending = qemu.config(msix_of(qemu) + 8) & ~7
    lab.wait_until(lambda: qemu.read(pending, 1) == 2, BOUND, 'a ring for the reset device')
    qemu.kill()


class Script:
    """A server that says what it is told to say. 2 vectors, the device has id 1."""

    def __init__(self, name, *messages):
        path = lab.private_dir() / 'sock'
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(1)
        listener.settimeout(BOUND)
        self.memory = os.memfd_create('region')
        os.ftruncate(self.memory, 1 << 20)
        self.fds = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(3)]
        self.qemu = Qemu(name, '-chardev', f'socket,path={path},id=link', '-device',
                         'ivshmem-doorbell,vectors=2,chardev=link,addr=4')
        self.link = listener.accept()[0]
        for message in messages:
            self.say(*message)

    def say(self, value, fd=None):
        rights = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                         array.array('i', [fd]))]
        self.link.sendmsg([struct.pack('<q', value)], rights)


def what_fails_the_device():
    event = os.eventfd(0)
    for name, messages, words in (
            ('version', [(1,)], 'server sent version 1, expecting 0'),
            ('version-fd', [(0, event)], 'server sent invalid version message'),
            ('id', [(0,), (65536,)], 'server sent invalid ID message'),
            ('id-fd', [(0,), (1, event)], 'server sent invalid ID message'),
            ('memory', [(0,), (1,), (-1,)], NO_MEMORY),
            ('message', [(0,), (1,), (-2,)], 'server sent invalid message -2')):
        script = Script(name, *messages)
        lab.check(script.qemu.wait(BOUND) == 1, f'{name}: status {script.qemu.proc.returncode}')
        script.qemu.expect(words)


def what_only_makes_a_line():
    """Nor does the end of the file: rings go on."""
    script = Script('lines', (0,), (1,))
    script.say(0, script.fds[0])    # before the memory
    script.say(-1, script.memory)
    script.say(0, script.fds[1])
    qemu = script.qemu
    qemu.place_bars()
    for message, words in (
            ((-1, script.memory), 'server sent unexpected shared memory message'),
            ((-1,), 'server sent unexpected shared memory message|' + NO_MEMORY),
            ((-2,), 'server sent invalid message -2'),
            ((65536, script.fds[2]), 'server sent invalid message 65536'),
            ((0, script.fds[2]), 'Too many eventfd received, device has 2 vectors'),
            ((1,), 'invalid peer 1')):
        script.say(*message)
        qemu.expect(words)
    script.link.close()
    for vector in (0, 1, 2):
        qemu.write(DOORBELL, vector)
    lab.check([os.eventfd_read(fd) for fd in script.fds[:2]] == [1, 1], 'a ring')
    lab.check(not readable(script.fds[2], 0), 'a ring of a vector that was refused')
    qemu.kill()


if shutil.which(QEMU) is None:
    lab.skip(f'{QEMU} is not installed')
lab.main(plain_has_no_interrupts, doorbells, reset_is_not_noticed, what_fails_the_device,
         what_only_makes_a_line)
