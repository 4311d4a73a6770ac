#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""A small ivshmem server to compare with: naive.py SOCKET VECTORS MODE

MODE naive: the lowest free id is given again, with new eventfds; everybody is told of every client
that comes and of every one that goes.
MODE kept:  the same id, but its eventfds are kept; nobody is told of an id twice, or of a leave.
"""

import array
import os
import select
import socket
import struct
import sys

MIB = 1 << 20


def send(sock, value, fd=None):
    ancillary = []
    if fd is not None:
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [fd]))]
    try:
        sock.sendmsg([struct.pack('<q', value)], ancillary)
    except OSError:
        pass  # its end of file will be seen


class Server:
    def __init__(self, path, vectors, naive):
        self.vectors = vectors
        self.naive = naive
        self.memory = os.memfd_create('naive')
        os.ftruncate(self.memory, MIB)
        self.clients = {}  # id: connection
        self.bells = {}  # id: eventfds
        self.told = {}  # id: ids that its client has heard of
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()

    def tell(self, to, about):
        if about in self.told[to]:
            return
        self.told[to].add(about)
        for bell in self.bells[about]:
            send(self.clients[to], about, bell)

    def attach(self, sock):
        number = min(set(range(len(self.clients) + 1)) - set(self.clients))
        if number not in self.bells:
            self.bells[number] = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(self.vectors)]
        self.clients[number] = sock
        self.told[number] = set()
        send(sock, 0)
        send(sock, number)
        send(sock, -1, self.memory)
        for other in self.clients:
            if other != number:
                self.tell(other, number)
        for other in self.bells:
            if other != number:
                self.tell(number, other)
        self.tell(number, number)

    def detach(self, number):
        self.clients.pop(number).close()
        if not self.naive:
            return
        for bell in self.bells.pop(number):
            os.close(bell)
        for other, sock in self.clients.items():
            self.told[other].discard(number)
            send(sock, number)

    def serve(self):
        while True:
            ready = select.select([self.listener, *self.clients.values()], [], [])[0]
            for number, sock in list(self.clients.items()):
                if sock in ready:
                    self.detach(number)
            if self.listener in ready and len(ready) == 1:
                self.attach(self.listener.accept()[0])


server = Server(sys.argv[1], int(sys.argv[2]), {'naive': True, 'kept': False}[sys.argv[3]])
print('ready', flush=True)
server.serve()
