#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""The live list in the region, and the control vector that tells of its changes."""

import errno
import os

import lab
from client import Client, settle, wait_state, FREE, LIVE, LEFT, DROPPED


def table_follows_clients():
    server = lab.Server('--ports', 3, '-n', 2)
    watch = Client(server.socket).handshake(2, [])
    region = watch.region
    lab.check(region.epoch() != 0, 'server_epoch is 0 while the server runs')
    lab.check(region.slot(0) == ((1, LIVE, 0, 2), region.epoch()), f'slot 0: {region.slot(0)}')
    lab.check(region.slot(1) == ((0, FREE, 0, 0), 0), f'slot 1: {region.slot(1)}')
    other = Client(server.socket).greet()
    lab.check(region.slot(1) == ((1, LIVE, 0, 2), region.epoch()),
              f'slot 1 when its client has its id: {region.slot(1)}')
    lab.check([other.vectors(2), other.vectors(2)] == [0, 1], 'vectors')
    other.close()
    lab.check(wait_state(region, 1, LEFT) == (1, LEFT, 0, 2), f'after leaving: {region.slot(1)}')
    other = Client(server.socket).handshake(2, [0])
    lab.check(region.slot(1)[0] == (2, LIVE, 0, 2), f'next life: {region.slot(1)}')
    other.sock.send(b'x')
    lab.check(wait_state(region, 1, DROPPED) == (2, DROPPED, errno.EPROTO, 2),
              f'after garbage: {region.slot(1)}')
    lab.check(region.slot(0)[0] == (1, LIVE, 0, 2), 'the other slot changed')


def unread_messages_are_a_leave_too():
    server = lab.Server('--ports', 2, '-n', 2)
    watch = Client(server.socket).handshake(2, [])
    Client(server.socket).close()
    life, state, cause, _ = wait_state(watch.region, 1, LEFT)
    lab.check((life, state) == (1, LEFT) and cause in (0, errno.ECONNRESET, errno.EPIPE),
              f'slot 1: {watch.region.slot(1)}')


def control_vector_at_attach_and_detach():
    server = lab.Server('--ports', 3, '-n', 2)
    one = Client(server.socket).handshake(2, [])
    lab.check(one.drain() == 0, 'rung for its own attach')
    two = Client(server.socket).handshake(2, [0])
    lab.check(one.rung() == 1, 'not rung once at attach')
    three = Client(server.socket).handshake(2, [0, 1])
    lab.check((one.rung(), two.rung()) == (1, 1), 'not rung once at the third attach')
    three.close()
    lab.check((one.rung(), two.rung()) == (1, 1), 'not rung once at detach')
    lab.check(one.region.slot(2)[0][1] == LEFT, 'rung before the slot table was written')
    two.sock.send(b'x')
    lab.check(one.rung() == 1 and one.region.slot(1)[0][1] == DROPPED, 'not rung at the drop')
    lab.check([one.drain(v) for v in (0, 1)] == [0, 0], 'rung too often, or on a queue vector')


def full_eventfd_does_not_stop_the_server():
    server = lab.Server('--ports', 3, '-n', 1)
    one = Client(server.socket).handshake(1, [])
    fd = one.peers[0][0]
    os.eventfd_write(fd, 2**64 - 2)
    os.set_blocking(fd, True)
    two = Client(server.socket).handshake(1, [0])
    two.close()
    wait_state(one.region, 1, LEFT)
    settle(one.region)          # it rings after it has written that
    lab.check(os.eventfd_read(fd) == 2**64 - 2, 'the full eventfd was written to')
    os.set_blocking(fd, False)
    two = Client(server.socket).handshake(1, [0])
    lab.check(one.rung() == 1, 'not rung when there was room again')


def beat_and_end():
    server = lab.Server()
    watch = Client(server.socket).handshake(5, [])
    start = watch.region.beat()
    lab.wait_until(lambda: watch.region.beat() >= start + 2, 10, 'two heartbeats of the server')
    lab.check(server.stop() == 0, 'exit status')
    lab.check(watch.region.epoch() == 0, 'server_epoch is not 0 after the end')
    lab.check(watch.rung() == 1, 'not rung at the end')
    lab.check(watch.region.slot(0)[0][1] == LIVE, 'the end of the server was made a leave')


lab.main(table_follows_clients, unread_messages_are_a_leave_too,
         control_vector_at_attach_and_detach, full_eventfd_does_not_stop_the_server, beat_and_end)
