#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""--announce-leave: what a client that only knows QEMU's example server relies on."""

import os
import subprocess

import lab
from client import Client, eventfd_id, wait_state, FREE, LIVE, LEFT, DROPPED


def start(*args, **kwargs):
    return lab.Server('--announce-leave', *args, **kwargs)


def ids_count_up():
    server = start('--ports', 3, '-n', 2)
    stays = Client(server.socket).handshake(2, [])
    lab.check(stays.id == 0, 'the first id is not 0')
    kept = []  # so that the kernel does not use the numbers of the eventfds again
    for number in range(1, 21):
        goes = Client(server.socket).handshake(2, [0])
        lab.check(goes.id == number == stays.vectors(2), f'id {goes.id}, not {number}')
        fds = {eventfd_id(fd) for fd in goes.peers[number]}
        lab.check(fds == {eventfd_id(fd) for fd in stays.peers[number]}, 'other eventfds')
        lab.check(not fds & {eventfd_id(fd) for fd in kept}, 'the eventfds of an earlier id')
        kept += map(os.dup, goes.peers[number])
        os.eventfd_write(stays.peers[number][1], number)
        lab.check(goes.drain(1) == number, 'the doorbell')
        goes.close()
        lab.check(stays.left() == number and stays.silent(), 'not one leave each')
    for fd in kept:
        os.close(fd)
    lab.check(stays.drain() == 0, 'the server rang')
    stays.close()
    server.expect('detach id=0 ')
    lab.check(lab.fd_count(server.pid) < 16, 'the eventfds of those who left are kept')
    lab.check(server.stop() == 0, 'exit status')


def a_newcomer_hears_of_the_living():
    server = start('--ports', 4, '-n', 3)
    clients = [Client(server.socket).handshake(3, list(range(n))) for n in range(4)]
    for client in clients[:3]:
        lab.check([client.vectors(3) for _ in range(3 - client.id)] ==
                  list(range(client.id + 1, 4)), 'who was there was not told')
    clients[1].close()
    clients[2].sock.send(b'garbage')
    for client in (clients[0], clients[3]):
        lab.check(sorted([client.left(), client.left()]) == [1, 2] and client.silent(), 'leaves')
    newcomer = Client(server.socket).handshake(3, [0, 3])
    lab.check(newcomer.id == 4, f'id {newcomer.id}')
    lab.check([clients[0].vectors(3), clients[3].vectors(3)] == [4, 4], 'not told of 4')
    newcomer.close()
    lab.check([clients[0].left(), clients[3].left()] == [4, 4], 'not told that 4 left')


def who_reads_late_misses_nothing():
    """What it could not be sent is made up for when it reads: what it is told is consistent."""
    server = start('--ports', 4, '-n', 64, '--client-timeout', 3600)
    late = Client(server.socket).handshake(64, [])
    last = None
    for number in range(1, 41):
        last = Client(server.socket).handshake(64, [0])
        if number < 40:
            last.close()
            server.expect(f'detach id={number} ')
    told = []
    gone = []
    while 40 not in told:
        value, fd = late.message()
        if fd is None:
            lab.check(value in told and value not in gone, f'{value} left, of {told}')
            gone.append(value)
            continue
        lab.check(value not in gone, f'{value} came after it had left')
        if value not in told:
            lab.check(told == sorted(told) and told == gone, f'{value} before the leave of {told}')
            told.append(value)
    lab.check(len(told) < 40, 'its socket was never full: this showed nothing')
    late.peers[40] = late.fds[-1:]
    for _ in range(63):
        lab.check(late.message()[0] == 40, 'the vectors of the last one')
    last.close()
    lab.check(late.left() == 40 and late.silent(), 'the last leave')


def slots_are_ids_below_ports():
    """The table has a row for each port of the region; who comes later has none."""
    server = start('--ports', 2, '-n', 1)
    join = lab.BUILD / 'test/server/join'
    watch = Client(server.socket).handshake(1, [])
    lab.check(watch.region.slot(0)[0] == (1, LIVE, 0, 1), 'slot 0')
    lab.check(watch.region.slot(1)[0][1] == FREE, 'slot 1')
    done = subprocess.run([join, server.socket], capture_output=True, text=True, timeout=30,
                          check=False)
    lab.check(done.stdout == 'joined: port 1\n', done.stdout + done.stderr)
    lab.check(wait_state(watch.region, 1, LEFT)[0] == 1, 'the life of port 1')
    done = subprocess.run([join, server.socket], capture_output=True, text=True, timeout=30,
                          check=False)
    lab.check(done.returncode == 1 and 'port 2 is not in the region' in done.stdout and
              'ports 0..1' in done.stdout, done.stdout + done.stderr)
    server.expect('detach id=2 life=0 ')
    foreign = Client(server.socket).handshake(1, [0])
    lab.check(foreign.id == 3 and watch.region.slot(1)[0][:2] == (1, LEFT), 'the row of port 1')
    lab.check(Client(server.socket).message() is None, 'more clients than ports')
    server.expect('refused .*all 2 ports are taken')
    watch.sock.send(b'x')
    lab.check(wait_state(foreign.region, 0, DROPPED)[0] == 1, 'slot 0 after garbage')
    lab.check(foreign.left() == 0 and Client(server.socket).handshake(1, [3]).id == 4, 'next id')


lab.main(ids_count_up, a_newcomer_hears_of_the_living, who_reads_late_misses_nothing,
         slots_are_ids_below_ports)
