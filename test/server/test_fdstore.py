#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""--fd-store: what a service manager keeps makes a restart or a crash of the server invisible.

The service manager is manager.py; that systemd does the same can not be tried where it is not
process 1.
"""

import errno
import fcntl
import os
import re
import signal
import socket

import lab
from client import (Client, eventfd_id, group, lasting, settle, table, untouched, wait_state, LIVE,
                    LEFT, DROPPED, BOUND)
from manager import Manager

VECTORS = 2


def started(manager, path, *args, name='server', **more):
    server = manager.start(name, path, '-n', VECTORS, *args, **more)
    server.socket = path
    server.expect('ready', 30)
    return server


def kept(clients):
    """The names of all that has to be kept for these clients."""
    vectors = [f'v{client.id}.{vector}' for client in clients for vector in range(VECTORS)]
    lives = [f'c{client.id}.{client.region.slot(client.id)[0][0]}' for client in clients]
    return sorted(['state', 'memory', 'listen', *vectors, *lives])


def restarts_and_crashes_are_invisible():
    manager = Manager()
    path = lab.private_dir() / 's'
    server = started(manager, path, '--ports', 4, '-l', '4M')
    clients = group(path, 3, VECTORS)
    before = table(clients[0], 4)
    lab.check(manager.names() == kept(clients), f'kept: {manager.names()}')
    for number, end in enumerate((signal.SIGKILL, signal.SIGTERM) * (5 if lab.LONG else 2)):
        server.stop(number=end)
        untouched(clients, before)
        server = started(manager, path, '--ports', 4, '-l', '4M', name=f'server-{number}')
        untouched(clients, before)
        lab.check(manager.names() == kept(clients), f'kept: {manager.names()}')
    newcomer = Client(path).handshake(VECTORS, [0, 1, 2])
    for client in clients:
        lab.check(client.vectors(VECTORS) == 3 and client.rung() == 1, 'not told of a newcomer')
        lab.check(eventfd_id(client.peers[3][1]) == eventfd_id(newcomer.peers[3][1]), 'eventfd')
    newcomer.close()
    wait_state(clients[0].region, 3, LEFT)
    names = kept(clients) + ['v3.0', 'v3.1']
    lab.wait_until(lambda: manager.names() == sorted(names), BOUND, f'{manager.names()}')
    lab.check('READY=1' in manager.said, 'not said to be ready')
    # for good: nothing is kept, and everybody is told
    lab.check(server.stop(number=signal.SIGINT) == 0, 'exit status')
    lab.check(manager.names() == [], f'still kept: {manager.names()}')
    lab.check(clients[0].region.epoch() == 0 and clients[0].closed(), 'nobody was told of the end')
    lab.check(os.listdir(path.parent) == [], 'something is left')
    manager.close()


def who_goes_meanwhile_has_left():
    manager = Manager()
    path = lab.private_dir() / 's'
    server = started(manager, path, '--ports', 4)
    clients = group(path, 4, VECTORS)
    server.kill()
    for fd in manager.store.pop('c2.1'):    # as systemd does with FDPOLL=1, or an operator
        os.close(fd)
    clients[1].close()
    clients[3].sock.send(b'x')
    server = started(manager, path, '--ports', 4, name='again')
    lab.check(wait_state(clients[0].region, 1, LEFT) == (1, LEFT, 0, VECTORS), 'closed')
    lab.check(wait_state(clients[0].region, 2, LEFT)[2] == errno.ECONNRESET, 'not kept')
    lab.check(wait_state(clients[0].region, 3, DROPPED)[2] == errno.EPROTO, 'sent data')
    lab.check(clients[0].rung() > 0 and clients[0].silent(), 'the one that stays')
    wanted = sorted([*kept(clients[:1]), *(f'v{n}.{v}' for n in (1, 2, 3) for v in range(2))])
    lab.wait_until(lambda: manager.names() == wanted, BOUND, f'{wanted}')
    lab.check(Client(path).handshake(VECTORS, [0, 2, 3]).id == 1, 'its id is not given again')
    manager.close()


def killed_at(manager, call, when):
    """A newcomer comes while two are there, and the server is killed at that system call."""
    path = lab.private_dir() / 's'
    where = f'{call} {when}'
    server = started(manager, path, '--ports', 4, env={'ASAN_OPTIONS': 'detect_leaks=0'})
    clients = group(path, 2, VECTORS)
    tracer = lab.Process('strace', ['strace', '-o', '/dev/null', '-p', server.pid, '-e',
                                    f'inject={call}:signal=KILL:when={when}'])
    tracer.expect('attached')
    clients.append(Client(path))
    lab.wait_until(lambda: not server.running(), BOUND, f'the server to be killed at {where}')
    tracer.wait(30)
    server = started(manager, path, '--ports', 4, name='after')
    last = Client(path).greet()
    while last.vectors(VECTORS) != last.id:
        pass    # the own ones come last
    gone = [int(x) for x in re.findall(r'detach id=(\d) .*dropped.*: the last server ended while',
                                       server.output())]
    lab.check(len(gone) <= (call == 'sendmsg') and server.output().count('detach') == len(gone),
              f'{where}: {server.output()}')
    for client in clients[:2]:
        if client.id in gone:
            continue
        while set(client.peers) < set(last.peers):
            lab.check(client.vectors(VECTORS) in last.peers, f'{where}: told of nobody')
        lab.check(client.silent(), f'{where}: {client.id} is told too much')
    lab.check(server.stop(number=signal.SIGINT) == 0, f'{where}: {server.tail()}')
    lab.check(manager.names() == [], f'{where}: still kept: {manager.names()}')
    return [slot for slot in gone if slot < 2]


def killed_at_every_step():
    """Who is there stays, unless a message was on its way to it at that moment; nobody is told
    anything twice or in part, also not who comes next."""
    manager = Manager()
    sends = range(1, 17) if lab.LONG else (2, 3, 4, 6, 8, 10, 14)
    steps = [('accept4', 1), ('eventfd2', 2), ('epoll_ctl', 1), ('write', 1)]
    gone = [killed_at(manager, call, when) for call, when in steps]
    gone += [killed_at(manager, 'sendmsg', when) for when in sends]
    # the fourth to seventh are the messages to the two
    lab.check(sum(map(len, gone)) == (4 if lab.LONG else 2), f'given up: {gone}')
    manager.close()


def a_store_that_is_too_small():
    """Then nothing is taken up: half of the eventfds would be worse than none."""
    manager = Manager(most=5)
    path = lab.private_dir() / 's'
    server = started(manager, path)
    clients = group(path, 2, VECTORS)
    server.kill()
    server = started(manager, path, name='again')
    lab.check('FileDescriptorStoreMax=' in server.output() and 'starting anew' in server.output(),
              server.output())
    fresh = Client(path).handshake(VECTORS, [])
    lab.check(fresh.region.uuid() != clients[0].region.uuid(), 'the old region')
    lab.wait_until(lambda: clients[1].closed() and clients[0].closed(), BOUND, 'their end')
    manager.close()


def swapped(manager, name, fd):
    for old in manager.store.pop(name):
        os.close(old)
    manager.store[name] = [fd]


def what_is_kept_is_not_believed():
    """Other files under the names: refused with a reason, and a new region is made."""
    short = os.memfd_create('short', os.MFD_ALLOW_SEALING)
    os.ftruncate(short, 1 << 20)
    plain = os.memfd_create('plain', os.MFD_ALLOW_SEALING)
    os.ftruncate(plain, 4 << 20)
    state = os.memfd_create('state', os.MFD_ALLOW_SEALING)
    os.ftruncate(state, 8192)
    fcntl.fcntl(state, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK |
                fcntl.F_SEAL_GROW)
    pipe, _ = os.pipe()
    for number, (name, fd, words) in enumerate((
            ('memory', short, ['1048576 bytes', '4194304']), ('memory', plain, ['not sealed']),
            ('memory', pipe, ['0 bytes']), ('state', state, ['record of clients is none']),
            ('state', plain, ['record of clients is none']),
            ('v0.1', pipe, ['not all eventfds of id 0']),
            ('v0.0', short, ['not all eventfds of id 0']))):
        manager = Manager()
        path = lab.private_dir() / 's'
        server = started(manager, path, '-l', '4M', name=f'server-{number}')
        client = Client(path).handshake(VECTORS, [])
        server.kill()
        manager.names()
        swapped(manager, name, os.dup(fd))
        server = started(manager, path, '-l', '4M', name=f'again-{number}')
        for word in ['starting anew', *words]:
            lab.check(word in server.output(), f'{name}: no {word!r} in {server.output()}')
        fresh = Client(path).handshake(VECTORS, [])
        lab.check(fresh.region.uuid() != client.region.uuid() and client.closed(), 'taken up')
        lab.check(manager.names() == kept([fresh]), f'{name}: kept: {manager.names()}')
        server.stop(number=signal.SIGINT)
        manager.close()
    for fd in (short, plain, state, pipe):
        os.close(fd)


def a_hostile_region_changes_nothing():
    """Geometry and lives come from the record, which no client has; the table is corrected."""
    manager = Manager()
    path = lab.private_dir() / 's'
    server = started(manager, path, '--ports', 3)
    clients = group(path, 2, VECTORS)
    before = table(clients[0], 3)
    server.kill()
    region = clients[0].region
    off = region._get('Q', 152)
    geometry = region.map[:192]
    region.map[:208] = os.urandom(208)
    region.map[off:off + 3 * 64] = os.urandom(3 * 64)
    server = started(manager, path, '--ports', 3, name='again')
    for client in clients:
        lab.check(client.silent() and client.rung(), f'client {client.id}')
    region.map[:192] = geometry     # what the server does not repair
    lab.check(region.epoch() == before[0], 'the epoch')
    lab.check([region.slot(n) for n in (0, 1)] == before[1][:2], 'the slot table')
    third = Client(path).handshake(VECTORS, [0, 1])
    lab.check(third.region.slot(2)[0] == (1, LIVE, 0, VECTORS), 'the life of a newcomer')
    manager.close()


def the_socket_is_made_again():
    """Its name may be gone, with a runtime directory for example; and --socket may change."""
    manager = Manager()
    path = lab.private_dir() / 's'
    server = started(manager, path)
    client = Client(path).handshake(VECTORS, [])
    settle(client.region)
    server.kill()
    path.unlink()
    server = started(manager, path, name='again')
    second = Client(path).handshake(VECTORS, [0])
    lab.check(client.vectors(VECTORS) == second.id == 1 and client.rung(), 'not told')
    lab.check(manager.names() == kept([client, second]), f'kept: {manager.names()}')
    server.kill()
    moved = lab.private_dir() / 'moved'
    server = started(manager, moved, name='moved')
    second.close()
    wait_state(client.region, 1, LEFT)
    lab.check(Client(moved).handshake(VECTORS, [0]).id == 1, 'not served at the new place')
    manager.close()


def what_is_not_taken_is_given_again():
    """A service manager that cannot be reached for a moment has everything afterwards."""
    manager = Manager()
    path = lab.private_dir() / 's'
    server = started(manager, path, '--ports', 4, '-l', '4M')
    clients = group(path, 2, VECTORS)
    names = kept(clients)
    lab.check(manager.names() == names, f'kept: {manager.names()}')
    manager.away()
    clients += [Client(path).handshake(VECTORS, [0, 1])]
    server.expect('does not take v2.0: No such file or directory; .* trying again each second')
    for client in clients[:2]:
        lab.check(client.vectors(VECTORS) == 2 and client.rung() == 1, 'not told of a newcomer')
    lab.check(manager.names() == names, f'kept: {manager.names()}')
    manager.back()
    server.expect('has taken all files again')
    lab.check(manager.names() == kept(clients), f'kept: {manager.names()}')
    lab.check(server.output().count('does not take') == 1, 'said more than once')
    before = table(clients[0], 4)
    for end in (signal.SIGTERM, signal.SIGKILL):
        server.stop(number=end)
        server = started(manager, path, '--ports', 4, '-l', '4M', name=f'again-{end}')
        untouched(clients, before)
    manager.close()


def files_that_last_to_close():
    """What a client sent along is gone before the service manager, too, closes the connection."""
    manager = Manager()
    path = lab.private_dir() / 's'
    server = started(manager, path, '--ports', 4, '-l', '4M')
    client = Client(path).handshake(VECTORS, [])
    bad = Client(path).handshake(VECTORS, [0])
    with lasting() as file:
        server.proc.send_signal(signal.SIGSTOP)
        bad.sock.send(b'x')
        socket.send_fds(bad.sock, [b'x'], [file])
    server.proc.send_signal(signal.SIGCONT)
    wait_state(client.region, 1, DROPPED)
    lab.wait_until(lambda: manager.names() == sorted([*kept([client]), 'v1.0', 'v1.1']), BOUND,
                   f'{manager.names()}')
    manager.close()


def a_named_region():
    """Its lock is kept as well, and must not be in the way when nothing can be taken up."""
    manager = Manager()
    place = lab.private_dir()
    args = ['-m', place / 'region', '-l', '4M']
    server = started(manager, place / 's', *args)
    client = Client(place / 's').handshake(VECTORS, [])
    settle(client.region)
    server.kill()
    other = lab.Process('other', [lab.server(), '-S', place / 's2', *args])
    lab.check(other.wait() == 1 and 'another ivshmem-server' in other.output(), other.tail())
    server = started(manager, place / 's', *args, name='again')
    lab.check(client.silent(), 'noticed')
    server.kill()
    manager.names()
    for fd in manager.store.pop('state'):
        os.close(fd)
    server = started(manager, place / 's', *args, name='anew')
    fresh = Client(place / 's').handshake(VECTORS, [])
    lab.check(fresh.region.uuid() == client.region.uuid(), 'not the file')
    lab.check(fresh.region.epoch() != 0 and fresh.region.slot(0)[0][0] == 2, 'epoch, life')
    manager.close()


def without_a_manager():
    place = lab.private_dir()
    server = lab.Process('none', [lab.server(), '-S', place / 's', '--fd-store'])
    lab.check(server.wait() == 2 and 'NOTIFY_SOCKET' in server.output(), server.output())
    server = lab.Process('deaf', [lab.server(), '-S', place / 's', '--fd-store'],
                         env={'NOTIFY_SOCKET': str(place / 'nobody')})
    server.expect('ready')
    lab.check('the service manager does not take state' in server.output(), server.output())
    lab.check(server.stop() == 0 and os.listdir(place) == [], 'something is left')


lab.main(restarts_and_crashes_are_invisible, who_goes_meanwhile_has_left, killed_at_every_step,
         a_store_that_is_too_small, what_is_kept_is_not_believed, a_hostile_region_changes_nothing,
         the_socket_is_made_again, what_is_not_taken_is_given_again, files_that_last_to_close,
         a_named_region, without_a_manager)
