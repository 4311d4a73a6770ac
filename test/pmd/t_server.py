#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""The server is replaced beneath ports that run: they do not notice, and what happens afterwards
reaches them through the new one. Nor do they notice that bad clients come to it."""

import random

import lab
import pair
from client import Client
from crowd import CROWD, attack


def taken_over_beneath_traffic():
    region = pair.Served('--ports', 3, '--queues', 1, '-l', '8M')
    first, second = pair.shell_pair(region, name='port-')
    downs = [port.output().count('link') for port in (first, second)]
    for number in range(3):
        heir = lab.Process(f'heir-{number}', [lab.server(), '-S', region.server.socket,
                                              '--takeover'])
        heir.socket = region.server.socket
        sent = first.do('send 0 0 50 64 1 1000')
        heir.expect('ready')
        lab.check(region.server.wait() == 0, region.server.tail())
        region.server = heir
        got = second.do('recv 0 0 51 500')
        lab.check(got['got'] == sent['sent'] == 50 and not got['bad'], f'sent {sent}, got {got}')
        first.exchange(second)
    for port, before in zip((first, second), downs):
        lab.check('without the server' not in port.output(), f'{port.name} lost the server')
        lab.check(port.output().count('link') == before, f'{port.name}: its link changed')
    # the death of one, and a newcomer in its place, are told by the new server
    second.kill()
    first.link('down')
    again = pair.Shell('again', region.vdev()).up()
    first.link('up')
    again.link('up')
    first.exchange(again)
    pair.quit_all(first, again)
    region.remove()


def bad_clients_beside_traffic():
    """They come and go by the thousand, more at a time than there are free ids."""
    random.seed(1)
    region = pair.Served('--ports', 4, '--queues', 1, '-l', '16M', '--client-timeout', 1)
    ports = pair.shell_pair(region, name='beside-')
    ports[0].exchange(ports[1])
    watch = Client(region.server.socket).greet()
    watch.sock.close()
    before = [(lab.fd_count(port.pid), port.do('xstats 0')['link_changes']) for port in ports]
    turns = meanwhile = 0

    def lives():
        return sum(watch.region.slot(slot)[0][0] for slot in (2, 3))

    def exchanged():
        nonlocal turns, meanwhile
        come = lives()
        ports[0].exchange(ports[1])
        turns += 1
        came = lives() - come
        meanwhile += came
        return turns >= 20 and came > 0 and meanwhile > CROWD / 20     # most are refused
    with attack(region.server.socket):
        lab.wait_until(exchanged, 120, 'frames beside bad clients')
    print(f'{meanwhile} bad clients got an id during {turns} exchanges')
    for port, (fds, changes) in zip(ports, before):
        lab.check('without the server' not in port.output(), f'{port.name} lost the server')
        lab.check(port.do('xstats 0')['link_changes'] == changes, f'{port.name}: its link changed')
        # the eventfds of two ids more, which are made once
        lab.check(lab.fd_count(port.pid) <= fds + 2 * 2,
                  f'{port.name} had {fds} files open, now {lab.fd_count(port.pid)}')
    # who comes last gets an id, and is told as ever
    last = pair.Shell('last', region.vdev()).up()
    last.link('up')
    ports[0].exchange(last)
    pair.quit_all(*ports, last)
    region.remove()


lab.main(taken_over_beneath_traffic, bad_clients_beside_traffic)
