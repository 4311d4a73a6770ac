# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""A stand-in for systemd: a notify socket, a store of files, and starts that give them back.

As systemd does, it takes files with FDSTORE=1 under FDNAME, but none that it has, forgets them with
FDSTOREREMOVE=1, and passes its own to the next start from 3 on, counted and named by LISTEN_FDS and
LISTEN_FDNAMES, in no order to rely on.
"""

import array
import ctypes
import os
import platform
import socket
import struct
import sys
import threading

import lab
from client import readable

libc = ctypes.CDLL(None)
SYS_KCMP = {'x86_64': 312, 'aarch64': 272}

# moves the files to 3, 4 ... and becomes the program, whose process id only it knows
STARTER = '''
import fcntl, os, sys
fds = [int(word) for word in sys.argv[1].split(",") if word]
high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3 + 2 * len(fds) + max(fds)) for fd in fds]
for number, fd in enumerate(high):
    os.dup2(fd, 3 + number, inheritable=True)
for fd in fds:
    if fd >= 3 + len(fds):
        os.close(fd)
if fds:
    os.environ["LISTEN_FDS"] = str(len(fds))
    os.environ["LISTEN_PID"] = str(os.getpid())
os.execvp(sys.argv[2], sys.argv[2:])
'''


def same(one, other):
    """Whether two fds are one open file, as kcmp(2) says."""
    pid = os.getpid()
    return libc.syscall(SYS_KCMP[platform.machine()], pid, pid, 0, one, other) == 0


class Manager:
    """store is {name: [fd, ...]}; said is every other line that it got."""

    def __init__(self, most=None):
        self.socket = lab.private_dir() / 'notify'
        self.most = most    # files that it keeps, as FileDescriptorStoreMax=
        self.store, self.said = {}, []
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(self.socket))
        self.sock.setblocking(False)
        self.open = True
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _take(self):
        try:
            text, ancillary, _, _ = self.sock.recvmsg(4096, socket.CMSG_SPACE(struct.calcsize('i')))
        except BlockingIOError:
            return False
        fds = array.array('i')
        for _, _, content in ancillary:
            fds.frombytes(content)
        lines = text.decode().split('\n')
        name = next((line[7:] for line in lines if line.startswith('FDNAME=')), None)
        if 'FDSTORE=1' in lines:
            if self.most is not None and sum(map(len, self.store.values())) >= self.most:
                os.close(fds[0])
                return True
            if any(same(fds[0], fd) for each in self.store.values() for fd in each):
                os.close(fds[0])
                return True
            self.store.setdefault(name, []).append(fds[0])
        elif 'FDSTOREREMOVE=1' in lines:
            for fd in self.store.pop(name, []):
                os.close(fd)
        else:
            self.said += lines
        return True

    def _listen(self):
        while self.open:
            if not readable(self.sock, 0.02):   # without the lock: the test may want it
                continue
            with self.lock:
                while self._take():
                    pass

    def away(self):
        """Nothing can be sent to it until back()."""
        self.socket.rename(self.socket.with_suffix('.away'))

    def back(self):
        self.socket.with_suffix('.away').rename(self.socket)

    def names(self):
        """The names of what it keeps, after it has read everything that was sent."""
        with self.lock:
            while self._take():
                pass
            return sorted(name for name, fds in self.store.items() for _ in fds)

    def start(self, name, path, *args, prefix=(), env=None):
        """Starts a server with all that is kept; returns the process, not necessarily ready."""
        self.names()
        with self.lock:
            files = [(key, fd) for key, fds in self.store.items() for fd in fds]
            files.sort(key=lambda file: hash(file[0]))
            fds = [fd for _, fd in files]
            return lab.Process(name, [
                sys.executable, '-c', STARTER, ','.join(map(str, fds)), *prefix,
                lab.server(), '-S', path, '--fd-store', *args], pass_fds=fds,
                env={'NOTIFY_SOCKET': str(self.socket),
                     'LISTEN_FDNAMES': ':'.join(key for key, _ in files), **(env or {})})

    def close(self):
        self.open = False
        self.thread.join()
        for fds in self.store.values():
            for fd in fds:
                os.close(fd)
        self.store = {}
        self.sock.close()
