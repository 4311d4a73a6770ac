# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""A client of the ivshmem protocol that checks what the server says, and a view of the region.

Every wait is bounded; an expectation that fails is a lab.Failure.
"""

import array
import contextlib
import mmap
import os
import re
import resource
import select
import socket
import struct

import lab

BOUND = 10  # seconds that a message may take
FREE, LIVE, LEFT, DROPPED = range(4)
RESET, INIT, READY, RUN = range(4)

# 64 clients of 4 vectors in one test get 16,000 fds
_hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (_hard, _hard))


def readable(fd, seconds):
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def eventfd_id(fd):
    """The kernel's number of the eventfd object, the same for every fd of it."""
    with open(f'/proc/self/fdinfo/{fd}') as file:
        return int(re.search(r'eventfd-id:\s*(\d+)', file.read()).group(1))


_readers = []


@contextlib.contextmanager
def lasting():
    """A file whose last close() takes an hour: TCP that nobody reads, with SO_LINGER. In the end
    it is closed here: then somebody else has to have it, stopped, or this process takes an hour."""
    with socket.create_server(('127.0.0.1', 0)) as listener:
        file = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    file.setblocking(False)
    try:
        while True:
            file.send(bytes(65536))
    except BlockingIOError:
        pass
    file.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 3600))
    _readers.append(other)      # it would be over if this end was closed
    yield file.fileno()
    file.close()


class Region:
    """The words of a region that the server writes or looks at; offsets of the format 1.0."""

    def __init__(self, fd):
        self.map = mmap.mmap(fd, os.fstat(fd).st_size)

    def _get(self, form, off):
        return struct.unpack_from('<' + form, self.map, off)[0]

    def magic(self):
        return self.map[:8]

    def uuid(self):
        return self.map[40:56]

    def geometry(self):
        return {'size': self._get('Q', 56), 'ports': self._get('I', 80),
                'queues': self._get('I', 84), 'ring_size': self._get('I', 96),
                'buf_size': self._get('I', 100), 'headroom': self._get('I', 108)}

    def epoch(self):
        return self._get('Q', 192)

    def beat(self):
        return self._get('Q', 200)

    def slot(self, number):
        """(life, state, cause, vectors) and the epoch of who wrote that"""
        off = self._get('Q', 152) + 64 * number
        row, epoch, cause, vectors = struct.unpack_from('<QQII', self.map, off)
        return (row >> 32, row & 0xffffffff, cause, vectors), epoch

    def set_port_state(self, number, state, life=1):
        off = self._get('Q', 64) + self._get('Q', 72) * number + 256
        struct.pack_into('<Q', self.map, off, life << 32 | state)

    def close(self):
        self.map.close()


class Client:
    """Connects; message() is the next message, handshake() all that a newcomer gets.

    It leaves with close(), or when nobody refers to it any more.
    """

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.fds = []
        self.id = None
        self.region = None
        self.peers = {}  # id: list of eventfds, by vector
        self.sock.settimeout(BOUND)
        self.sock.connect(str(path))

    def message(self):
        """(value, fd or None), or None at end of file."""
        space = socket.CMSG_SPACE(struct.calcsize('i') * 4)
        try:
            data, ancillary, flags, _ = self.sock.recvmsg(8, space)
        except socket.timeout:
            raise lab.Failure(f'client {self.id}: no message within {BOUND} s')
        except ConnectionResetError:
            return None
        fds = array.array('i')
        for level, kind, content in ancillary:
            lab.check((level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS), 'foreign cmsg')
            fds.frombytes(content)
        self.fds += fds
        lab.check(flags & socket.MSG_CTRUNC == 0 and len(fds) <= 1,
                  f'more than one fd in a message: {list(fds)}')
        if not data:
            return None
        lab.check(len(data) == 8, f'a message of {len(data)} bytes')
        return struct.unpack('<q', data)[0], fds[0] if fds else None

    def silent(self):
        """True when the server has nothing to say just now."""
        return not readable(self.sock, 0)

    def greet(self):
        """Version, id, memory."""
        lab.check(self.message() == (0, None), 'the first message is not version 0')
        self.id, fd = self.message()
        lab.check(fd is None and self.id >= 0, f'no id but {self.id}, fd {fd}')
        value, self.memory = self.message()
        lab.check(value == -1 and self.memory is not None, f'no memory but {value}')
        self.region = Region(self.memory)
        return self

    def vectors(self, count):
        """The vectors of one id; returns the id."""
        first = None
        for vector in range(count):
            value, fd = self.message()
            first = value if first is None else first
            lab.check(value == first and fd is not None,
                      f'client {self.id}, vector {vector} of {first}: got {value}, fd {fd}')
            self.peers.setdefault(value, []).append(fd)
        lab.check(len(self.peers[first]) == count, f'client {self.id} was told of {first} twice')
        return first

    def left(self):
        """The word that an id left, where leaves are announced; returns the id."""
        value, fd = self.message()
        lab.check(fd is None and value in self.peers, f'client {self.id}: got {value}, fd {fd}, '
                  f'not the leave of one of {sorted(self.peers)}')
        for old in self.peers.pop(value):
            self.fds.remove(old)
            os.close(old)
        return value

    def handshake(self, vectors, others):
        """All messages of a newcomer that has to hear of these other ids, in any order."""
        self.greet()
        heard = [self.vectors(vectors) for _ in others]
        lab.check(sorted(heard) == sorted(others), f'told of {heard}, not of {others}')
        lab.check(self.vectors(vectors) == self.id, 'the own vectors do not come last')
        return self

    def drain(self, vector=0):
        """Counts waiting on an own vector; 0 when there are none."""
        try:
            return os.eventfd_read(self.peers[self.id][vector])
        except BlockingIOError:
            return 0

    def rung(self):
        """Waits for the control vector."""
        fd = self.peers[self.id][0]
        lab.check(readable(fd, BOUND), f'client {self.id} was not rung')
        return os.eventfd_read(fd)

    def closed(self):
        """Reads on to the end of file; Failure if there is none."""
        while self.message() is not None:
            pass
        return True

    def close(self):
        self.sock.close()
        if self.region is not None:
            self.region.close()
        for fd in self.fds:
            os.close(fd)
        self.fds = []

    def __del__(self):
        self.close()


def wait_state(region, slot, state):
    """Waits until the slot table says so; returns (life, state, cause, vectors)."""
    lab.wait_until(lambda: region.slot(slot)[0][1] == state, BOUND,
                   f'slot {slot} in state {state}')
    return region.slot(slot)[0]


def group(path, count, vectors):
    """That many clients who have heard of each other and are not rung any more."""
    clients = []
    for number in range(count):
        clients.append(Client(path).handshake(vectors, list(range(number))))
        for client in clients[:-1]:
            client.vectors(vectors)
            client.rung()   # which is the last thing that the server does for a newcomer
    return clients


def settle(region):
    """Waits until the server has gone through its loop."""
    beat = region.beat()
    lab.wait_until(lambda: region.beat() > beat, BOUND, 'the beat of the server')


def table(client, ports):
    """What the slot table says, with the server's epoch."""
    return client.region.epoch(), [client.region.slot(number) for number in range(ports)]


def untouched(clients, before):
    """Nothing happened to these clients, and the slot table says what it said."""
    for client in clients:
        lab.check(client.silent(), f'client {client.id} was sent something, or an end of file')
        lab.check(client.drain() == 0, f'client {client.id} was rung')
    now = table(clients[0], len(before[1]))
    lab.check(now == before, f'the slot table changed: {before}, {now}')
