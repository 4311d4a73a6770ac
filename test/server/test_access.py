#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Who may connect: the socket's permissions, and users and groups by what the kernel says of them.

build/test/server/join connects as the driver does and prints its words.
"""

import os
import re
import shutil
import subprocess

import lab
from client import Client, LIVE

UID, GID = os.geteuid(), os.getegid()
NOBODY = 65534


def join(path, uid=UID, gid=GID):
    """Exit status and words of a client of that user and group."""
    place = lab.private_dir()
    place.chmod(0o711)
    program = shutil.copy(lab.BUILD / 'test/server/join', place / 'join')
    prefix = []
    if (uid, gid) != (UID, GID):
        prefix = ['setpriv', f'--reuid={uid}', f'--regid={gid}', '--clear-groups']
    done = subprocess.run([*prefix, program, path], capture_output=True, text=True, timeout=30,
                          check=False)
    return done.returncode, done.stdout + done.stderr


def lists_admit_by_user_or_group():
    """By the effective ids of the process; root is nobody special."""
    for number, (args, admitted) in enumerate((
            ([], True),
            (['--allow-uid', UID], True),
            (['--allow-uid', f'{UID + 1},{UID},{UID + 2}'], True),
            (['--allow-uid', UID + 1, '--allow-uid', UID], True),
            (['--allow-uid', UID + 1, '--allow-gid', GID], True),
            (['--allow-gid', f'{GID + 1},{GID}'], True),
            (['--allow-uid', UID + 1], False),
            (['--allow-gid', GID + 1], False),
            (['--allow-uid', f'{UID + 1},{UID + 2}', '--allow-gid', GID + 1], False))):
        server = lab.Server('-n', 1, *args, name=f'server-{number}')
        client = Client(server.socket)
        if admitted:
            client.handshake(1, [])
            server.expect('attach id=0 ')
            continue
        lab.check(client.message() is None, f'{args}: not refused')
        server.expect(rf'refused 1 connection.* pid={os.getpid()} uid={UID} gid={GID}: .*'
                      '--allow-uid')
        lab.check('attach' not in server.output(), 'it got an id')


def a_user_is_no_group():
    if UID != 0:
        lab.skip('needs root, to be another user')
    place = lab.private_dir()
    place.chmod(0o711)
    server = lab.Process('server', [lab.server(), '-S', place / 's', '--socket-mode', '0666',
                                    '--allow-uid', '1234', '--allow-gid', '5678'])
    server.expect('ready')
    for uid, gid, status in ((1234, 1, 0), (1, 5678, 0), (5678, 1234, 1), (0, 0, 1)):
        found, words = join(place / 's', uid, gid)
        lab.check(found == status, f'uid {uid}, gid {gid}: {words}')


def refused_ones_cost_nothing():
    """No id, no fd, no log without bound, and nothing for who is there: all counted, though."""
    place = lab.private_dir()
    place.chmod(0o711)
    if UID != 0:
        lab.skip('needs root, to be another user')
    server = lab.Process('server', [lab.server(), '-S', place / 's', '-n', '2', '--socket-mode',
                                    '0666', '--ports', '2', '--allow-uid', '0'])
    server.expect('ready')
    stays = Client(place / 's').handshake(2, [])
    fds = lab.fd_count(server.pid)
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        for _ in range(200):
            lab.check(Client(place / 's').message() is None, 'not refused')
    finally:
        os.seteuid(0)
        os.setegid(GID)
    line = (rf'refused (\d+) connection\(s\), the last of pid={os.getpid()} '
            rf'uid={NOBODY} gid={NOBODY}')
    lab.wait_until(lambda: sum(map(int, re.findall(line, server.output()))) == 200, 10,
                   'the log to count all 200')
    lab.check(len(re.findall(line, server.output())) < 50, 'the log is flooded')
    lab.check(stays.silent() and stays.drain() == 0, 'who is there was told')
    lab.check(lab.fd_count(server.pid) == fds, f'{lab.fd_count(server.pid)} fds, {fds} before')
    lab.check(Client(place / 's').handshake(2, [0]).id == 1, 'an id was used up')
    lab.check(stays.region.slot(0)[0][1] == LIVE, 'the slot table')


def the_driver_says_why():
    """In the words of a socket= device: no socket, no permission, not allowed, no port left."""
    place = lab.private_dir()
    place.chmod(0o711)
    path = place / 's'
    status, words = join(path)
    lab.check(status == 1 and 'does not exist' in words and str(path) in words, words)
    other = (NOBODY, NOBODY) if UID == 0 else (UID, GID)
    mode = '0600' if UID == 0 else '0000'
    server = lab.Process('mode', [lab.server(), '-S', path, '--socket-mode', mode])
    server.expect('ready')
    status, words = join(path, *other)
    for word in ('no permission', str(path), '--socket-mode'):
        lab.check(status == 1 and word in words, words)
    server.stop()
    server = lab.Process('list', [lab.server(), '-S', path, '--allow-uid', UID + 1,
                                  '--ports', '2'])
    server.expect('ready')
    status, words = join(path)
    for word in ('closed the connection', 'allowed', '--allow-uid', 'log'):
        lab.check(status == 1 and word in words, words)
    server.stop()
    server = lab.Process('full', [lab.server(), '-S', path, '-n', '1'])
    server.expect('ready')
    lab.check(join(path) == (0, 'joined: port 0\n'), 'a port that is free')
    clients = [Client(path).greet() for _ in range(2)]
    status, words = join(path)
    lab.check(status == 1 and 'ports may be taken' in words and len(clients) == 2, words)


lab.main(lists_admit_by_user_or_group, a_user_is_no_group, refused_ones_cost_nothing,
         the_driver_says_why)
