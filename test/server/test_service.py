#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""The systemd unit: how exposed systemd finds it, and whether the server gets along in it.

systemd itself is not process 1 here, so the unit is not started; its filter of system calls and its
limits are put on the server by hand.
"""

import re
import subprocess
from pathlib import Path

import lab
from client import Client
from manager import Manager

UNIT = lab.BUILD / 'app' / 'ivshmem-server@.service'
MANUAL = lab.ROOT / 'doc/man/ivshmem-server.8'
WORST = 1.0     # of 10


def analyze(*args):
    done = subprocess.run(['systemd-analyze', '--no-pager', *map(str, args)], text=True,
                          capture_output=True, timeout=60, check=False,
                          env={'PATH': '/usr/bin:/bin', 'LC_ALL': 'C.UTF-8'})
    lab.check(done.returncode == 0, f'systemd-analyze {args}: {done.stdout[-2000:]}{done.stderr}')
    return done.stdout


def exposure():
    """As the manual says."""
    text = analyze('security', '--offline=true', f'--threshold={round(WORST * 10)}', UNIT)
    score = re.search(r'Overall exposure level for \S+: ([\d.]+)', text).group(1)
    lab.check(float(score) <= WORST, f'exposure {score}')
    lab.check(f'exposure level of {score} ' in MANUAL.read_text(), f'not in the manual: {score}')


def settings(name):
    return re.findall(rf'^{name}=(.*)$', UNIT.read_text(), re.M)


def calls_of(group):
    """The system calls of a group, with those of the groups in it."""
    found = set()
    for word in re.findall(r'^    ([@\w-]+)$', analyze('syscall-filter', group), re.M):
        found |= calls_of(word) if word.startswith('@') else {word}
    return found


def system_calls_are_allowed():
    """All that the server does from its start to its end, and once more with what was kept."""
    allowed = set()
    for line in settings('SystemCallFilter'):
        for word in line.lstrip('~').split():
            calls = calls_of(word)
            allowed = allowed - calls if line.startswith('~') else allowed | calls
    manager = Manager()
    path = lab.private_dir() / 's'
    traces = []
    for number in range(2):
        traces.append(lab.log_dir() / f'trace-{number}')
        server = manager.start(f'server-{number}', path, '-n', 2, '--ports', 3, '--numa-node', 0,
                               prefix=['strace', '-D', '-f', '-o', traces[-1]])
        server.expect('ready', 30)
        clients = [Client(path).greet() for _ in range(2)]
        clients[0].sock.send(b'x')
        server.expect('dropped')
        clients[1].close()
        server.expect('left')
        lab.check(server.stop() == 0, server.tail())
    used = set()
    for trace in traces:
        lines = trace.read_text().splitlines()
        ours = lines[next(n for n, line in enumerate(lines) if 'ivshmem-server' in line):]
        used |= set(re.findall(r'^\d+ +(\w+)\(', '\n'.join(ours), re.M))
    lab.check(len(used) > 30, f'only {sorted(used)}')
    lab.check(used <= allowed, f'the unit forbids {sorted(used - allowed)}')
    manager.close()


def what_it_says_of_files():
    """Enough for 64 ports of 8 vectors and for all that the server may open at the most."""
    lab.check(int(settings('FileDescriptorStoreMax')[0]) >= 64 * (1 + 8) + 4, 'the store')
    lab.check(int(settings('LimitNOFILE')[0]) >= 1024 * (1 + 64) + 32, 'open files')
    start = settings('ExecStart')[0].split()
    lab.check(start[0].endswith('sbin/ivshmem-server') and '--fd-store' in start, f'{start}')
    options = Path(lab.ROOT / 'app/ivshmem-server/options.c').read_text()
    for word in start[1:]:
        lab.check(not word.startswith('--') or f'"{word[2:]}"' in options, f'no option {word}')
    lab.check('Type=notify' in UNIT.read_text(), 'Type')


lab.main(exposure, system_calls_are_allowed, what_it_says_of_files)
