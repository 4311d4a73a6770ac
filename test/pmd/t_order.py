#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Who starts first does not matter: ports 0, 1 and 5 s apart; the server late, or gone.

The pauses are what is tested, not how long anything takes. All pairs wait at the same time.
"""

import time

import lab
import pair

COUNT = 20000


class Late:
    """A sender and a sink, one of them started seconds after the other."""

    def __init__(self, name, region, first, seconds):
        self.name = name
        self.region = region
        self.roles = ['gen', 'sink'] if first == 'gen' else ['sink', 'gen']
        self.sides = {}
        self.start()
        self.due = time.monotonic() + seconds

    def start(self):
        role = self.roles[len(self.sides)]
        self.sides[role] = pair.Traffic(
            f'{self.name}-{role}', role, self.region.vdev(), '--count', COUNT, '--quiet',
            '--sizes', '60-1518', '--desc', 256, '--wait', 60, '--poll', 'sleep', memory=64)

    def finish(self):
        sent = self.sides['gen'].report()
        received = self.sides['sink'].report()
        pair.check_clean(sent)
        pair.check_clean(received)
        lab.check(sent['totals']['sent'] == received['totals']['received'] == COUNT,
                  f'{self.name}: not {COUNT} sent and received')


def apart(make, name):
    pairs = [Late(f'{name}-{first}-{seconds}', make(), first, seconds)
             for seconds in (0, 1, 5) for first in ('gen', 'sink')]
    for late in sorted(pairs, key=lambda late: late.due):
        time.sleep(max(0, late.due - time.monotonic()))
        late.start()
    for late in pairs:
        late.finish()
        late.region.remove()


def by_path():
    apart(pair.Region, 'path')


def by_server():
    apart(lambda: pair.Served('-l', '16M'), 'socket')


def created_by_both_at_once():
    """Four times two processes that make the same file: one formats, both attach."""
    for turn in range(4):
        region = pair.Region('16M')
        late = Late(f'race-{turn}', region, 'gen', 0)
        late.start()
        late.finish()
        life = {region.state(0)[0], region.state(1)[0]}
        lab.check(life == {1}, f'lives {life}: the region was formatted twice or half')


def server_late():
    """Without a server a port is refused; with it the same command works."""
    served = pair.Served('-l', '16M')
    socket = served.server.socket
    lab.check(served.server.stop() == 0, 'the server did not end with status 0')
    status, text = pair.run([pair.TRAFFIC, *pair.eal(), '--vdev', served.vdev(), '--',
                             '--role', 'sink', '--count', 1])
    lab.check(status != 0 and f'socket {socket} does not exist' in text, text)
    served.server = lab.Process('server-late', [lab.server(), '-S', socket, '-l', '16M'])
    served.server.expect('ready')
    served.server.socket = socket
    late = Late('server-late', served, 'sink', 0)
    late.start()
    late.finish()
    served.remove()


def server_gone():
    """Ports that have met need the server no more."""
    served = pair.Served('-l', '16M')
    a, b = pair.shell_pair(served, 'gone-')
    served.server.kill()
    a.exchange(b)
    time.sleep(4)           # longer than it takes to doubt a peer
    a.exchange(b)
    for side in (a, b):
        lab.check(side.do('link 0')['link'] == 'up', f'{side.name}: the link went down')
        lab.check('traffic goes on without the server' in side.output(),
                  f'{side.name} did not tell that the server is gone')
    pair.quit_all(a, b)


lab.main(by_path, by_server, created_by_both_at_once, server_late, server_gone)
