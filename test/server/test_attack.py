#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""A crowd of bad clients beside good ones: a QEMU (id 0) and a client (id 1), which must live on,
be told what concerns them and nothing else, also when the server is replaced in the middle of it.

2,000 bad ones come; with --long 10,000, and all ids of --announce-leave are used up.
"""

import os
import random
import resource
import signal
import socket
import struct

import lab
from client import Client, settle, wait_state, LIVE, LEFT, DROPPED, BOUND
from crowd import CROWD, attack, crowd
from manager import Manager
from qemu import Qemu, device, need_qemu, rings_both_ways

VECTORS = 2


def good_ones(path):
    qemu = Qemu('qemu', *device(path, VECTORS))
    watch = Client(path).handshake(VECTORS, [0])
    lab.check(watch.id == 1, f'id {watch.id}')
    return qemu, watch


def unharmed(server, qemu, watch, ports):
    """Both have their first life, hear and ring each other, and were told of each id once."""
    lab.check(server.running() and qemu.running(), f'{server.tail()}\n{qemu.tail()}')
    while not watch.silent():
        watch.vectors(VECTORS)
    lab.check(set(watch.peers) <= set(range(ports)), f'told of {watch.peers}')
    for slot in (0, 1):
        lab.check(watch.region.slot(slot)[0] == (1, LIVE, 0, VECTORS), 'slot table')
    rings_both_ways(qemu, watch)


def wait_empty(watch, ports):
    for slot in range(2, ports):
        lab.wait_until(lambda: watch.region.slot(slot)[0][1] in (LEFT, DROPPED), BOUND,
                       f'slot {slot} to be free again')


def thousands_of_bad_clients():
    """No id, fd or memory is lost by it."""
    need_qemu()
    random.seed(1)
    server = lab.Server('--ports', 4, '-n', VECTORS, '-l', '4M', '--client-timeout', 1)
    qemu, watch = good_ones(server.socket)
    crowd(server.socket, 50)
    wait_empty(watch, 4)
    fds = lab.fd_count(server.pid)
    rss = lab.rss_kib(server.pid)
    crowd(server.socket, CROWD)
    wait_empty(watch, 4)
    lives = sum(watch.region.slot(slot)[0][0] for slot in (2, 3))
    lab.check(lives > CROWD / 20, f'only {lives} of {CROWD} got an id: this shows little')
    unharmed(server, qemu, watch, 4)
    lab.wait_until(lambda: lab.fd_count(server.pid) == fds, BOUND,
                   f'{fds} fds, there are {lab.fd_count(server.pid)}')
    lab.check(lab.rss_kib(server.pid) - rss < 4096, 'it takes more memory than before')
    last = Client(server.socket).handshake(VECTORS, [0, 1, 3])
    lab.check(last.id == 2, f'id {last.id}')
    lab.check(server.output().count('refused') < 50, 'the log is flooded')
    qemu.quit()
    lab.check(server.stop() == 0, 'exit status')


def hundreds_at_the_same_time():
    """More than the backlog; all are answered, and a good one gets in between them."""
    need_qemu()
    server = lab.Server('--ports', 4, '-n', VECTORS, '-l', '4M')
    qemu, watch = good_ones(server.socket)
    socks = []
    for _ in range(400):
        socks.append(socket.socket(socket.AF_UNIX))
        socks[-1].connect(str(server.socket))   # waits while the backlog is full
        socks[-1].settimeout(BOUND)
    greeted = [sock for sock in socks if sock.recv(8) == bytes(8)]
    lab.check(len(greeted) == 2, f'{len(greeted)} of them got an id, two were free')
    server.expect('all 4 ports are taken')
    lab.check(server.output().count('refused') < 50, 'the log is flooded')
    unharmed(server, qemu, watch, 4)
    for sock in socks:
        sock.close()
    wait_empty(watch, 4)
    Client(server.socket).handshake(VECTORS, [0, 1, 3])
    qemu.quit()


def most_of_them_never_read():
    """Fourteen mute ones, whose sockets fill up, cost six good ones nothing."""
    server = lab.Server('--ports', 20, '-n', 64, '--client-timeout', 1)
    mute = []
    for number in range(14):
        mute.append(Client(server.socket))
        server.expect(r'attach id=\d+ ')
        text = server.output()      # on a slow machine one may have been given up already
        lab.check(f'attach id={number} ' in text or 'detach id=' in text, text)
    good = []
    for number in range(14, 20):
        newcomer = Client(server.socket).greet()
        told = [newcomer.vectors(64) for _ in range(number)]
        if newcomer.id != number:
            break   # a machine so slow that mute ones were given up already
        lab.check(newcomer.vectors(64) == number and sorted(told) == list(range(number)), 'told')
        for client in good:
            lab.check(client.vectors(64) == number, f'client {client.id} was not told')
        good.append(newcomer)
    server.expect(r'detach id=\d+ .*state=dropped.*does not read')
    for client in good:
        lab.check(client.region.slot(client.id)[0][1] == LIVE, f'client {client.id} was harmed')
        os.eventfd_write(good[0].peers[client.id][63], 3)
        lab.check(client.drain(63) == 3, f'a doorbell of client {client.id}')


def fds_are_scarce_under_attack():
    """The server may open hardly more files than it has; good ones are served all the same."""
    need_qemu()
    random.seed(2)
    server = lab.Server('--ports', 4, '-n', VECTORS, '-l', '4M')
    qemu, watch = good_ones(server.socket)
    before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    highest = max(int(fd) for fd in os.listdir(f'/proc/{server.pid}/fd'))
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (highest + 2, before[1]))
    crowd(server.socket, 100, at_once=60)
    unharmed(server, qemu, watch, 4)
    lab.check(re_count(server, 'can be accepted|refused') > 0, 'nothing was scarce')
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
    server.expect('accepted again|refused', 20)
    wait = Client(server.socket)
    wait.greet()
    unharmed(server, qemu, watch, 4)
    qemu.quit()


def re_count(server, words):
    return sum(server.output().count(word) for word in words.split('|'))


def replaced_under_attack():
    """By --takeover and by kill -9 with --fd-store, while bad clients come all the time."""
    need_qemu()
    random.seed(3)
    manager = Manager()
    path = lab.private_dir() / 's'
    args = ('--ports', 4, '-n', VECTORS, '-l', '4M')
    server = manager.start('server', path, *args)
    server.expect('ready')
    qemu, watch = good_ones(path)
    for number in range(10 if lab.LONG else 4):
        with attack(path):
            lives = watch.region.slot(2)[0][0]
            lab.wait_until(lambda: watch.region.slot(2)[0][0] > lives + 20, BOUND, 'the attack')
            server.kill()
        server = manager.start(f'server-{number}', path, *args)
        server.expect('ready', 20)
        unharmed(server, qemu, watch, 4)
    wait_empty(watch, 4)
    lab.check(server.stop(number=signal.SIGINT) == 0 and manager.names() == [], server.tail())
    manager.close()
    server = lab.Server(*args, name='plain')
    other, watch = good_ones(server.socket)
    for number in range(10 if lab.LONG else 4):
        with attack(server.socket):
            lives = watch.region.slot(2)[0][0]
            lab.wait_until(lambda: watch.region.slot(2)[0][0] > lives + 20, BOUND, 'the attack')
            heir = lab.Process(f'heir-{number}', [lab.server(), '-S', server.socket, '--takeover'])
            heir.socket = server.socket
            heir.expect('ready', 20)
            lab.check(server.wait() == 0, server.tail())
        server = heir
        unharmed(server, other, watch, 4)
    for one in (qemu, other):
        one.quit()


def an_eventfd_is_filled_just_then():
    """Between the server's look and its write, by a client that made it blocking."""
    path = lab.private_dir() / 's'
    server = lab.Process('bound', [lab.server(), '-S', path, '--ports', 3, '-n', 1],
                         env={'LD_PRELOAD': lab.BUILD / 'test/server/libalways_ready.so'})
    server.expect('ready')
    one = Client(path).handshake(1, [])
    fd = one.peers[0][0]
    os.eventfd_write(fd, 2**64 - 2)
    os.set_blocking(fd, True)
    two = Client(path).handshake(1, [0])
    two.close()
    wait_state(one.region, 1, LEFT)
    settle(one.region)          # it rings after it has written that
    lab.check(os.eventfd_read(fd) == 2**64 - 2, 'the full eventfd was written to')
    os.eventfd_write(fd, 2**64 - 2)
    lab.check(server.stop() == 0, f'it does not end\n{server.tail()}')


def every_id_is_used_up():
    """With --announce-leave, where none is given twice."""
    last = 65536
    server = lab.Server('--ports', 3, '-n', 1, '--announce-leave')
    stays = Client(server.socket).handshake(1, [])
    for number in range(1, last):
        client = Client(server.socket).greet()
        lab.check(client.id == number, f'id {client.id}, not {number}')
        client.close()
        while not stays.silent():
            if stays.sock.recv(1, socket.MSG_PEEK) == b'':
                raise lab.Failure('who stays was given up')
            stays.message()
            if len(stays.fds) > 100:
                for fd in stays.fds[10:]:
                    os.close(fd)
                del stays.fds[10:]
    lab.check(Client(server.socket).message() is None, 'a client after the last id')
    server.expect('all 65536 ids were given')


lab.main(thousands_of_bad_clients, hundreds_at_the_same_time, most_of_them_never_read,
         fds_are_scarce_under_attack, replaced_under_attack, an_eventfd_is_filled_just_then,
         *([every_id_is_used_up] if lab.LONG else []))   # test_ids.c sets the counter instead
