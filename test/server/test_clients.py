#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Bad clients harm themselves, and no resource is lost on the way."""

import errno
import os
import resource
import shutil
import signal
import socket
import time

import lab
from client import Client, lasting, wait_state, LIVE, LEFT, DROPPED, BOUND


def garbage_drops_only_its_sender():
    server = lab.Server('--ports', 3, '-n', 2)
    good = Client(server.socket).handshake(2, [])
    bad = Client(server.socket).handshake(2, [0])
    good.vectors(2)
    bad.sock.send(os.urandom(65536))
    lab.check(bad.closed(), 'the sender is still connected')
    server.expect(r'detach id=1 .*state=dropped.*sent data')
    lab.check(good.silent() and good.region.slot(0)[0][1] == LIVE, 'the other was harmed')
    Client(server.socket).handshake(2, [0])


def a_byte_out_of_band_is_one():
    server = lab.Server('-n', 1)
    good = Client(server.socket).handshake(1, [])
    bad = Client(server.socket).handshake(1, [0])
    bad.sock.send(b'x', socket.MSG_OOB)
    lab.check(bad.closed(), 'the sender is still connected')
    wait_state(good.region, 1, DROPPED)


def files_that_last_to_close():
    """Who sends along what takes an hour to close: to be read, behind a byte, and when refused."""
    server = lab.Server('-n', 1)
    good = Client(server.socket).handshake(1, [])
    for first in (b'', b'x'):
        bad = Client(server.socket).handshake(1, [0])
        with lasting() as file:
            server.proc.send_signal(signal.SIGSTOP)
            bad.sock.send(first)
            socket.send_fds(bad.sock, [b'x'], [file])
        server.proc.send_signal(signal.SIGCONT)
        lab.check(bad.closed(), 'the sender is still connected')
        wait_state(good.region, 1, DROPPED)
    other = Client(server.socket).handshake(1, [0])
    server.proc.send_signal(signal.SIGSTOP)
    refused = socket.socket(socket.AF_UNIX)
    refused.connect(str(server.socket))
    with lasting() as file:
        socket.send_fds(refused, [b'x'], [file])
    server.proc.send_signal(signal.SIGCONT)
    server.expect('refused .*all 2 ports are taken')
    other.close()
    wait_state(good.region, 1, LEFT)
    server.proc.send_signal(signal.SIGSTOP)
    waits = socket.socket(socket.AF_UNIX)   # is never accepted: the server is told to end first
    waits.connect(str(server.socket))
    with lasting() as file:
        socket.send_fds(waits, [b'x'], [file])
    server.proc.send_signal(signal.SIGTERM)
    server.proc.send_signal(signal.SIGCONT)
    lab.check(server.wait() == 0, 'exit status')


def half_closed_is_closed():
    server = lab.Server('-n', 1)
    good = Client(server.socket).handshake(1, [])
    half = Client(server.socket).handshake(1, [0])
    half.sock.shutdown(socket.SHUT_WR)
    lab.check(half.closed(), 'still connected')
    wait_state(good.region, 1, LEFT)


def slow_client_harms_only_itself():
    """The first never reads: its socket is full long before 16 x 64 vectors."""
    server = lab.Server('--ports', 16, '-n', 64, '--client-timeout', 1)
    slow = Client(server.socket)
    server.expect('attach id=0 ')
    clients = []
    while len(clients) < 15:
        newcomer = Client(server.socket).greet()
        told = [newcomer.vectors(64) for _ in range(len(clients) + 1)]
        if newcomer.id == 0:
            break  # a machine so slow that the slot is free again already
        lab.check(newcomer.vectors(64) == newcomer.id, 'the own vectors do not come last')
        lab.check(sorted(told) == list(range(newcomer.id)), f'told of {told}')
        for client in clients:
            lab.check(client.vectors(64) == newcomer.id, f'client {client.id} was not told')
        clients.append(newcomer)
    server.expect(r'detach id=0 life=1 .*state=dropped.*does not read')
    for client in clients:
        lab.check(client.silent() and client.region.slot(client.id)[0][1] == LIVE,
                  f'client {client.id} was harmed')
    if newcomer.id != 0:
        life, state, cause, _ = newcomer.region.slot(0)[0]
        lab.check((life, state, cause) == (1, DROPPED, errno.ETIMEDOUT), 'slot of the slow one')
        newcomer = Client(server.socket).greet()
    lab.check(newcomer.id == 0, 'the slot of the slow client is lost')
    slow.close()


def late_reader_gets_everything():
    """A full socket is no fault as long as the client reads before its time is over."""
    server = lab.Server('--ports', 16, '-n', 64, '--client-timeout', 3600)
    late = Client(server.socket)
    server.expect('attach id=0 ')
    clients = [Client(server.socket).handshake(64, list(range(n))) for n in range(1, 16)]
    late.handshake(64, [])
    lab.check([late.vectors(64) for _ in clients] == list(range(1, 16)), 'order of ids')
    lab.check(late.silent(), 'more than everything')


def steady_reader_is_not_given_up():
    """The kernel calls a socket writable when it is half empty: that takes this one much longer
    than its patience lasts, but it reads."""
    server = lab.Server('--ports', 16, '-n', 64, '--client-timeout', 4)
    reader = Client(server.socket)
    server.expect('attach id=0 ')
    clients = [Client(server.socket).handshake(64, list(range(n))) for n in range(1, 16)]
    reader.greet()
    for _ in range(16):     # the kernel's half are 209
        lab.check(reader.message() is not None, 'its connection ended')
        time.sleep(0.5)
    lab.check(clients[0].region.slot(0)[0][1] == LIVE, 'it was given up')


def too_many_fds_in_flight():
    """Without privileges the kernel limits the fds on their way: wait, do not drop."""
    place = lab.private_dir()
    binary = shutil.copy(lab.server(), place / 'server')
    prefix = []
    if os.geteuid() == 0:
        os.chown(place, 65534, 65534)
        prefix = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
                  '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs']
    server = lab.Process('server', [*prefix, 'prlimit', '--nofile=115:115', binary, '-v',
                                    '-S', place / 'sock', '-n', '40'])
    server.expect('ready')
    first = Client(place / 'sock')
    server.expect('attach id=0')
    second = Client(place / 'sock')
    server.expect('waits for fds in flight')
    first.handshake(40, [])
    second.handshake(40, [0])
    first.vectors(40)
    lab.check(first.silent() and second.silent(), 'told too much')


def ports_exhausted():
    server = lab.Server('--ports', 2, '-n', 1)
    one = Client(server.socket).handshake(1, [])
    two = Client(server.socket).handshake(1, [0])
    for _ in range(50):
        lab.check(Client(server.socket).message() is None, 'a third client of 2 ports got an id')
    server.expect(r'refused .*all 2 ports are taken.*--ports')
    lab.check(server.output().count('refused') < 20, 'the log is flooded')
    one.close()
    server.expect('detach id=0')
    lab.check(Client(server.socket).greet().id == 0, 'not the slot that became free')
    lab.check(two.region.slot(1)[0][1] == LIVE, 'the second client was harmed')


def no_fd_to_accept_with():
    server = lab.Server('-n', 1)
    stays = Client(server.socket).handshake(1, [])
    before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    highest = max(int(fd) for fd in os.listdir(f'/proc/{server.pid}/fd'))
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (highest + 1, before[1]))
    waiting = Client(server.socket)
    server.expect(f'error: no connection can be accepted: .* {highest + 1} files .*--nofile')
    # it does not spin, which would be thousands of calls: it tries again each second
    calls = lab.log_dir() / 'accept4'
    tracer = lab.Process('strace', ['strace', '-e', 'trace=accept4', '-o', calls,
                                    '-p', server.pid])
    tracer.expect('attached')
    time.sleep(1.5)
    lab.wait_until(lambda: 'accept4(' in calls.read_text(), BOUND, 'another try')
    tracer.stop()
    tries = calls.read_text().count('accept4(')
    lab.check(tries <= 20, f'it tried {tries} times')
    lab.check(server.output().count('can be accepted') == 1, 'logged again and again')
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
    waiting.handshake(1, [0])
    server.expect('accepted again')
    lab.check(stays.vectors(1) == 1, 'who was there was not told')


def no_fd_for_a_newcomers_vectors():
    """The connection is accepted, but its eventfds are too many: who is there does not notice."""
    server = lab.Server('--ports', 3, '-n', 8)
    stays = Client(server.socket).handshake(8, [])
    before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    highest = max(int(fd) for fd in os.listdir(f'/proc/{server.pid}/fd'))
    fds = lab.fd_count(server.pid)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (highest + 5, before[1]))
    lab.check(Client(server.socket).message() is None, 'a client without eventfds got an id')
    server.expect(rf'refused 1 .*pid={os.getpid()} .* {highest + 5} files .*--nofile')
    lab.check(stays.silent() and stays.drain() == 0, 'who is there was told')
    lab.check(lab.fd_count(server.pid) == fds, f'{lab.fd_count(server.pid)} fds, {fds} before')
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
    other = Client(server.socket).handshake(8, [0])
    lab.check(stays.vectors(8) == other.id == 1, 'the next one was not served')


def no_file_left_in_the_system():
    """ENFILE can only be played: strace gives it to the second connection and the third eventfd."""
    place = lab.private_dir()
    server = lab.Process('server', [
        'strace', '-D', '-o', '/dev/null', '-e', 'inject=accept4:error=ENFILE:when=2',
        '-e', 'inject=eventfd2:error=ENFILE:when=3', lab.server(), '-S', place / 's', '-n', '2'],
        env={'ASAN_OPTIONS': 'detect_leaks=0'})  # which ptrace would end
    server.expect('ready', 30)
    stays = Client(place / 's').handshake(2, [])
    waits = Client(place / 's')
    server.expect('no connection can be accepted: .*file-max')
    server.expect('accepted again')
    lab.check(waits.message() is None, 'a client without eventfds got an id')
    server.expect('refused 1 .*file-max')
    other = Client(place / 's').handshake(2, [0])
    lab.check(stays.vectors(2) == other.id == 1, 'the next one was not served')
    lab.check(server.stop() == 0, 'exit status')


def a_thousand_clients_leak_nothing():
    server = lab.Server('--ports', 4, '-n', 3)
    stays = Client(server.socket).handshake(3, [])
    for client in [Client(server.socket).greet() for _ in range(3)]:
        client.close()
    for slot in range(1, 4):
        wait_state(stays.region, slot, LEFT)
    fds = lab.fd_count(server.pid)
    rss = lab.rss_kib(server.pid)
    for number in range(1000):
        client = Client(server.socket)
        if number % 3 != 0:
            client.greet()
        if number % 5 == 0:
            client.sock.send(b'garbage')
        client.close()
    lab.wait_until(lambda: server.output().count('detach id=') == 1003, BOUND,
                   'the server to see the last client leave')
    lab.wait_until(lambda: lab.fd_count(server.pid) == fds, BOUND, f'{fds} fds as before')
    lab.check('refused' not in server.output(), 'a client was refused for one that was gone')
    grown = lab.rss_kib(server.pid) - rss
    lab.check(grown < 4096, f'{grown} KiB more memory than before')
    lab.check(server.stop() == 0, 'exit status')


lab.main(garbage_drops_only_its_sender, a_byte_out_of_band_is_one, files_that_last_to_close,
         half_closed_is_closed, slow_client_harms_only_itself, late_reader_gets_everything,
         steady_reader_is_not_given_up, too_many_fds_in_flight, ports_exhausted,
         no_fd_to_accept_with, no_fd_for_a_newcomers_vectors, no_file_left_in_the_system,
         a_thousand_clients_leak_nothing)
