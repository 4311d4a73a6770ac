#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""--takeover: a new server in the place of a running one. No client is sent a byte, rung, or sees a
word of the slot table change; and when it does not work the running one goes on."""

import errno
import os
import resource
import signal
import socket
import subprocess

import lab
from client import (Client, eventfd_id, group, table, untouched, wait_state, LIVE, LEFT, DROPPED,
                    BOUND)


def heir(path, *args, name='heir', **more):
    return lab.Process(name, [lab.server(), '-S', path, '--takeover', *args], **more)


def relieved(old, new):
    """The new one is ready and the old one is gone."""
    new.expect('ready')
    lab.check(old.wait() == 0, f'exit status of the old server\n{old.tail()}')


def clients_notice_nothing():
    """Ten times in a row; then who comes and who goes is told as ever."""
    server = lab.Server('--ports', 4, '-n', 2, '-l', '4M')
    path = server.socket
    clients = group(server.socket, 3, 2)
    gone = clients.pop()
    gone.close()
    wait_state(clients[0].region, 2, LEFT)
    lab.check([client.rung() for client in clients] == [1, 1], 'rings')
    before = table(clients[0], 4)
    inode = path.stat().st_ino
    for number in range(10):
        new = heir(path, name=f'heir-{number}')
        relieved(server, new)
        server = new
        untouched(clients, before)
    lab.check(path.stat().st_ino == inode, 'not the same socket')
    beat = clients[0].region.beat()
    lab.wait_until(lambda: clients[0].region.beat() > beat, BOUND, 'the beat to go on')
    lab.check(eventfd_id(clients[0].peers[1][1]) == eventfd_id(clients[1].peers[1][1]), 'eventfds')
    newcomer = Client(path).handshake(2, [0, 1])
    lab.check(newcomer.id == 2 and newcomer.region.slot(2)[0][0] == 2, 'the id or its life')
    lab.check(newcomer.region.uuid() == clients[0].region.uuid(), 'another region')
    lab.check([client.rung() for client in clients] == [1, 1], 'not rung for a newcomer')
    os.eventfd_write(newcomer.peers[1][1], 5)
    lab.check(clients[1].drain(1) == 5, 'a doorbell of a newcomer')
    clients[0].close()
    wait_state(newcomer.region, 0, LEFT)
    lab.check(newcomer.rung() and clients[1].silent(), 'the leave after a takeover')
    lab.check(server.stop() == 0 and os.listdir(path.parent) == [], 'the end of the last one')
    lab.check(newcomer.region.epoch() == 0 and newcomer.closed(), 'nobody was told of the end')


def messages_go_on_where_they_stopped():
    """With a client that has read nothing yet: the rest comes from the new server, in order."""
    server = lab.Server('--ports', 16, '-n', 64, '--client-timeout', 3600)
    late = Client(server.socket)
    server.expect('attach id=0 ')
    others = [Client(server.socket).handshake(64, list(range(n))) for n in range(1, 9)]
    new = heir(server.socket, '--client-timeout', 3600)
    relieved(server, new)
    more = [Client(server.socket).handshake(64, list(range(n))) for n in range(9, 12)]
    late.handshake(64, [])
    lab.check([late.vectors(64) for _ in range(11)] == list(range(1, 12)), 'order of ids')
    lab.check(late.silent(), 'more than everything')
    for number, client in enumerate(others, 1):
        for other in range(number + 1, 12):
            lab.check(client.vectors(64) == other and eventfd_id(client.peers[other][63]) ==
                      eventfd_id(late.peers[other][63]), 'another eventfd')
    lab.check(more[-1].silent(), 'the last one is told more')


def hostile_clients_stay_so():
    server = lab.Server('--ports', 3, '-n', 1)
    watch, bad = group(server.socket, 2, 1)
    server.proc.send_signal(signal.SIGSTOP)
    new = heir(server.socket)
    bad.sock.send(b'x')
    server.proc.send_signal(signal.SIGCONT)
    relieved(server, new)
    lab.check(wait_state(watch.region, 1, DROPPED)[2] == errno.EPROTO, 'cause')
    lab.check(watch.rung() == 1 and watch.silent(), 'not rung once')
    mute = Client(server.socket)    # and one that is in the middle of its greeting
    lab.check(mute.message() == (0, None), 'the first message')
    last = heir(server.socket, name='last')
    relieved(new, last)
    lab.check(mute.message() == (1, None), 'the second message')
    mute.close()
    wait_state(watch.region, 1, LEFT)


def a_named_region():
    """File and shm object: the lock goes along, and an object is removed by the last server."""
    place = lab.private_dir()
    name = f'ivshmem-test-{os.getpid()}'
    for number, memory in enumerate((['-m', place / 'region'], ['-M', name])):
        server = lab.Server('-n', 1, *memory, '-p', place / 'pid', name=f'server-{number}')
        client = Client(server.socket).handshake(1, [])
        new = heir(server.socket, *memory, '-p', place / 'pid', name=f'heir-{number}')
        relieved(server, new)
        lab.wait_until(lambda: (place / 'pid').exists(), BOUND, 'the pid file')
        lab.check((place / 'pid').read_text() == f'{new.pid}\n', 'pid file')
        other = lab.Process('other', [lab.server(), '-S', place / 's', *memory])
        lab.check(other.wait() == 1 and 'another ivshmem-server' in other.output(), other.tail())
        lab.check(client.silent(), 'the client noticed')
        lab.check(new.stop() == 0 and not (place / 'pid').exists(), new.tail())
    lab.check((place / 'region').exists() and not os.path.exists(f'/dev/shm/{name}'), 'what stays')


def what_does_not_fit_is_refused():
    """And the running server goes on, untouched."""
    server = lab.Server('--ports', 3, '-n', 2, '-l', '4M')
    clients = group(server.socket, 2, 2)
    before = table(clients[0], 3)
    for number, (args, words) in enumerate((
            (['--ports', 2], ['--ports 3', ' 2;']), (['-l', '8M'], ['--size 4194304']),
            (['-n', 4], ['--vectors 2', '4;']), (['-M', 'other'], ['memfd', 'other']))):
        new = heir(server.socket, *args, name=f'heir-{number}')
        lab.check(new.wait() == 1, f'{args}: exit status {new.proc.returncode}')
        for word in ['--takeover', *words]:
            lab.check(word in new.output(), f'{args}: no {word!r} in {new.output()}')
        server.expect('not handed over, going on')
        untouched(clients, before)
    relieved(server, heir(server.socket, '--ports', 3, '-l', '4M', '-n', 2))
    untouched(clients, before)


def nobody_to_take_over_from():
    place = lab.private_dir()
    new = heir(place / 's')
    lab.check(new.wait() == 1 and 'no server to take over from' in new.output(), new.output())
    server = lab.Server('--announce-leave')
    new = heir(server.socket, name='leave')
    lab.check(new.wait() == 1 and 'no server to take over from' in new.output(), new.output())
    for args in (['--force'], ['--announce-leave'], ['--fd-store']):
        new = heir(place / 's', *args, name='options')
        lab.check(new.wait() == 2 and 'exclude' in new.output(), new.output())
    lab.check(os.listdir(place) == [], 'something is left')


def asker(server):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.settimeout(BOUND)
    sock.connect(f'{server.socket}.control')
    return sock


def strangers_on_the_control_socket():
    """Who asks and does not finish: at each step gone, wrong, or silent."""
    server = lab.Server('-n', 1)
    clients = group(server.socket, 2, 1)
    before = table(clients[0], 2)
    mode = os.stat(f'{server.socket}.control').st_mode & 0o777
    lab.check(mode == 0o600, f'mode {mode:o} of the control socket')
    fds = lab.fd_count(server.pid)
    for number, first in enumerate((None, b'garbage', b'take 2', b'take 1')):
        sock = asker(server)
        if first is not None:
            sock.send(first)
            answer = sock.recv(256)
            lab.check(answer.startswith(b'file ' if first == b'take 1' else b'no '), f'{answer}')
        sock.close()
        server.expect('not handed over, going on')
    sock = asker(server)
    sock.send(b'take 1')
    while not sock.recv(256).startswith(b'end '):
        pass
    sock.send(b'maybe')
    server.expect('not handed over, going on')
    sock = asker(server)
    sock.send(b'take 1')
    server.expect('not handed over, going on: Connection timed out', 20)
    lab.check(sock.recv(256).startswith(b'file '), 'nothing was given')
    untouched(clients, before)
    lab.wait_until(lambda: lab.fd_count(server.pid) == fds, BOUND, f'{fds} fds as before')
    idle = asker(server)     # says nothing: nobody waits for it
    relieved(server, heir(server.socket))
    untouched(clients, before)
    idle.close()


def the_new_one_dies_when_it_is_ready():
    """Its "ready" is read when it is gone: the server goes on, and has its names again."""
    place = lab.private_dir()
    server = lab.Server('-n', 1, '-p', place / 'pid')
    clients = group(server.socket, 2, 1)
    before = table(clients[0], 2)
    fds = lab.fd_count(server.pid)
    sock = asker(server)
    sock.send(b'take 1')
    while not sock.recv(256).startswith(b'end '):
        pass
    server.proc.send_signal(signal.SIGSTOP)
    sock.send(b'ready')
    sock.close()
    server.proc.send_signal(signal.SIGCONT)
    server.expect('not handed over, going on: Broken pipe')
    lab.wait_until(lambda: (place / 'pid').exists(), BOUND, 'the pid file')
    untouched(clients, before)
    lab.check((place / 'pid').read_text() == f'{server.pid}\n', 'pid file')
    lab.check(lab.fd_count(server.pid) == fds, f'{lab.fd_count(server.pid)} fds, {fds} before')
    new = heir(server.socket, '-p', place / 'pid')
    relieved(server, new)
    untouched(clients, before)
    lab.check((place / 'pid').read_text() == f'{new.pid}\n', 'pid file of the new one')


def only_root_and_the_same_user_may():
    if os.geteuid() != 0:
        lab.skip('needs root, to be another user')
    place = lab.private_dir()
    place.chmod(0o711)
    server = lab.Process('server', [lab.server(), '-S', place / 's', '-n', '1'])
    server.expect('ready')
    client = Client(place / 's').handshake(1, [])
    os.chmod(place / 's.control', 0o666)    # as if the permissions did not protect it
    code = ('import os, socket, sys; os.setgid(65534); os.setuid(65534)\n'
            's = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1])\n'
            's.send(b"take 1"); sys.exit(0 if s.recv(256) == b"" else 1)')
    done = subprocess.run(['python3', '-c', code, place / 's.control'], timeout=30,
                          capture_output=True, text=True, check=False)
    lab.check(done.returncode == 0 or 'Reset' in done.stderr or 'Broken' in done.stderr,
              f'another user was given something: {done}')
    server.expect(r'refused --takeover by pid=\d+ uid=65534')
    lab.check(client.silent(), 'the client noticed')
    # nor does root take files from a user's server
    place.chmod(0o777)
    fake = subprocess.Popen(['python3', '-c', 'import os, socket, sys, time\n'
                             'os.setgid(65534); os.setuid(65534)\n'
                             's = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n'
                             's.bind(sys.argv[1]); s.listen(); print("up", flush=True)\n'
                             'time.sleep(60)', place / 'f.control'], stdout=subprocess.PIPE)
    try:
        fake.stdout.readline()
        new = heir(place / 'f', name='root')
        lab.check(new.wait() == 1, 'exit status')
        lab.check("server there is user 65534's" in new.output(), new.output())
    finally:
        fake.kill()
        fake.communicate()


def the_new_one_may_open_too_few_files():
    server = lab.Server('-n', 40)
    clients = group(server.socket, 2, 40)
    before = table(clients[0], 2)
    new = lab.Process('few', ['prlimit', '--nofile=60:60', lab.server(), '-S', server.socket,
                              '--takeover'])
    lab.check(new.wait() == 1 and 'Too many open files' in new.output(), new.output())
    server.expect('not handed over, going on')
    untouched(clients, before)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    new = lab.Process('raises', ['prlimit', f'--nofile=30:{hard}', lab.server(), '-S',
                                 server.socket, '--takeover'])
    relieved(server, new)
    untouched(clients, before)


def with_neither_ports_run_on():
    """The server is killed: who is there goes on, and a newcomer is told what to do."""
    server = lab.Server('-n', 1)
    one, two = group(server.socket, 2, 1)
    epoch = one.region.epoch()
    server.kill()
    join = [lab.BUILD / 'test/server/join', server.socket]
    done = subprocess.run(join, capture_output=True, text=True, timeout=30, check=False)
    words = f'socket {server.socket} has no server behind it: start ivshmem-server again'
    lab.check(done.returncode == 1 and words in done.stdout + done.stderr, f'{done}')
    lab.check(one.closed() and two.closed(), 'their connections')
    again = lab.Process('again', [lab.server(), '-S', server.socket, '-n', '1'])
    again.expect('ready')
    done = subprocess.run(join, capture_output=True, text=True, timeout=30, check=False)
    lab.check(done.stdout == 'joined: port 0\n', f'{done}')
    os.eventfd_write(one.peers[1][0], 3)
    os.eventfd_write(two.peers[0][0], 4)
    lab.check((two.drain(), one.drain()) == (3, 4), 'their doorbells')
    lab.check(one.region.epoch() == epoch, 'their region is another one')
    lab.check([one.region.slot(n)[0][1] for n in (0, 1)] == [LIVE, LIVE], 'the slot table')


def the_new_one_dies_on_the_way():
    """strace kills it: while files come, while it looks at them, before it says that all is well"""
    server = lab.Server('-n', 1)
    clients = group(server.socket, 2, 1)
    before = table(clients[0], 2)
    for number, (call, when) in enumerate((('recvmsg', 1), ('recvmsg', 5),
                                           ('getsockopt', 5), ('sendmsg', 2))):
        new = lab.Process(f'dies-{number}', [
            'strace', '-o', '/dev/null', '-e', f'inject={call}:signal=KILL:when={when}',
            lab.server(), '-S', server.socket, '--takeover'],
            env={'ASAN_OPTIONS': 'detect_leaks=0'})
        new.wait(30)
        lab.check('ready' not in new.output(), f'{call} {when}: not killed')
        server.expect('not handed over, going on', 20)
        untouched(clients, before)
    relieved(server, heir(server.socket))
    untouched(clients, before)


lab.main(clients_notice_nothing, messages_go_on_where_they_stopped,
         hostile_clients_stay_so, a_named_region, what_does_not_fit_is_refused,
         nobody_to_take_over_from, strangers_on_the_control_socket,
         the_new_one_dies_when_it_is_ready, only_root_and_the_same_user_may,
         the_new_one_may_open_too_few_files, with_neither_ports_run_on, the_new_one_dies_on_the_way)
