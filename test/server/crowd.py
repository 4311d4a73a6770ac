# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Bad clients of the server, many of them."""

import contextlib
import os
import random
import signal
import socket

import lab
from client import BOUND

CROWD = 10000 if lab.LONG else 2000


def vanish(_):
    """Comes and is gone, before anything or in the middle of its messages."""


def read_some(sock):
    sock.settimeout(BOUND)
    sock.recv(random.choice((1, 7, 8, 20)))


def send_bytes(sock):
    try:
        sock.send(os.urandom(random.choice((1, 8, 4096))))
    except OSError:
        pass    # refused already


def half_close(sock):
    sock.shutdown(random.choice((socket.SHUT_WR, socket.SHUT_RD)))


def send_files(sock):
    """Descriptors, which must not stay in the server."""
    null = os.open('/dev/null', os.O_RDONLY)
    try:
        socket.send_fds(sock, [b'x'], [null] * 50)
    except OSError:
        pass
    os.close(null)


MANNERS = (vanish, read_some, send_bytes, half_close, send_files)


def crowd(path, count, at_once=8):
    """That many bad clients, some at a time: more than there are free ports."""
    waiting = []
    for number in range(count):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(path))
        random.choice(MANNERS)(sock)
        waiting.append(sock)
        if len(waiting) == at_once:
            waiting.pop(random.randrange(at_once)).close()
    for sock in waiting:
        sock.close()


@contextlib.contextmanager
def attack(path):
    """Bad clients that come all the time, as long as there is a server."""
    child = os.fork()
    if child == 0:
        try:
            crowd(path, 2**31)
        except OSError:
            pass    # no server at this moment
        finally:
            os._exit(0)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
