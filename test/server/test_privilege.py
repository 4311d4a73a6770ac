#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Whose rights a running server has, as the kernel says, and what belongs to whom then."""

import grp
import os
import pwd
import re
import shutil
from pathlib import Path

import lab
from client import Client, BOUND

NOBODY = pwd.getpwnam('nobody')
# a process that changed its user can not be looked at by LeakSanitizer
ENV = {'ASAN_OPTIONS': 'detect_leaks=0'}


def rights(pid):
    return dict(re.findall(r'^(\w+):\s*(.*)$', Path(f'/proc/{pid}/status').read_text(), re.M))


def open_dir():
    place = lab.private_dir()
    os.chown(place, NOBODY.pw_uid, NOBODY.pw_gid)
    place.chmod(0o755)
    return place


def need_root():
    if os.geteuid() != 0:
        lab.skip('needs root, to become another user')


def another_user_for_good():
    need_root()
    for user in ('nobody', str(NOBODY.pw_uid)):
        place = open_dir()
        server = lab.Process('server', [lab.server(), '-S', place / 's', '-u', user, '-p',
                                        place / 'pid', '-m', place / 'region', '-l', '1M',
                                        '--socket-mode', '0666', '-n', '1'], env=ENV)
        server.expect('ready')
        found = rights(server.pid)
        lab.check(found['Uid'].split() == [str(NOBODY.pw_uid)] * 4, f'{found["Uid"]}')
        lab.check(found['Gid'].split() == [str(NOBODY.pw_gid)] * 4, f'{found["Gid"]}')
        groups = {g.gr_gid for g in grp.getgrall() if 'nobody' in g.gr_mem} | {NOBODY.pw_gid}
        lab.check({int(x) for x in found['Groups'].split()} == groups, found['Groups'])
        for name in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'):
            lab.check(int(found[name], 16) == 0, f'{name} {found[name]}')
        lab.check(found['NoNewPrivs'] == '1', 'it could gain privileges')
        for file in ('s', 's.control', 'pid', 'region'):
            lab.check((place / file).stat().st_uid == NOBODY.pw_uid, f'owner of {file}')
        first = Client(place / 's').handshake(1, [])
        Client(place / 's').handshake(1, [0])
        lab.check(first.vectors(1) == 1, 'it does not serve')
        lab.check(server.stop() == 0 and os.listdir(place) == ['region'], f'{os.listdir(place)}')


def root_takes_over_a_users_server():
    """As that user; not as root, whom nobody may give files."""
    need_root()
    place = open_dir()
    server = lab.Process('server', [lab.server(), '-S', place / 's', '-u', 'nobody', '-n', '1',
                                    '--socket-mode', '0666'], env=ENV)
    server.expect('ready')
    client = Client(place / 's').handshake(1, [])
    new = lab.Process('root', [lab.server(), '-S', place / 's', '--takeover'])
    lab.check(new.wait() == 1 and '--user' in new.output(), new.output())
    lab.wait_until(lambda: server.running() and client.silent(), BOUND, 'the server to go on')
    new = lab.Process('same', [lab.server(), '-S', place / 's', '--takeover', '-u', 'nobody'],
                      env=ENV)
    new.expect('ready')
    lab.check(server.wait() == 0 and client.silent(), server.tail())
    lab.check(new.stop() == 0 and os.listdir(place) == [], f'{os.listdir(place)}')


def no_user_no_way():
    place = lab.private_dir()
    server = lab.Process('absent', [lab.server(), '-S', place / 's', '-u', 'no-such-user'])
    lab.check(server.wait() == 1, 'exit status')
    for word in ('--user no-such-user', 'no such user', 'useradd'):
        lab.check(word in server.output(), server.output())
    need_root()
    place = open_dir()
    binary = shutil.copy(lab.server(), place / 'server')
    as_nobody = ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups']
    server = lab.Process('other', [*as_nobody, binary, '-S', place / 's', '-u', 'root'])
    lab.check(server.wait() == 1 and f'this process is user {NOBODY.pw_uid}' in server.output(),
              server.output())
    for number, more in enumerate(([], ['-u', 'nobody'])):
        server = lab.Process(f'plain-{number}', [*as_nobody, binary, '-S', place / 's', *more])
        server.expect('ready')
        lab.check(rights(server.pid)['NoNewPrivs'] == '1', 'it could gain privileges')
        lab.check(server.stop() == 0, server.tail())
    lab.check(os.listdir(place) == ['server'], f'left: {os.listdir(place)}')


lab.main(another_user_for_good, root_takes_over_a_users_server, no_user_no_way)
