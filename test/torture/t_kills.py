#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""kill -9 at instants uniform over the first 2 s of a port or of the server; all is accounted for.

Each turn one port leaves in good order and is started again; that process is killed 0 to 2 s after
its start, wherever it is then, and another one takes its place: see torture.py for what has to
follow. In the short form the instants, and who is killed, are the same each time.
"""

import os
import time

import lab
import torture

KILLS = int(os.environ.get('IVSHMEM_TORTURE_KILLS') or (250 if lab.LONG else 4))
GROUP_KILLS = 50    # then all processes are new: who judges knows no more than 256 streams
FIRST_SECONDS = 2.0


def kill_ports(name, make, kills=None):
    """kills: of any port of such groups."""
    chance = torture.seeded(name)
    kills = kills or KILLS
    done = 0
    while done < kills:
        group = make(f'{name}{done}')
        group.start_all()
        for _ in range(min(GROUP_KILLS, kills - done)):
            who = chance.choice(list(group.roles))
            instant = chance.uniform(0, FIRST_SECONDS)
            group.nodes[who].leave()
            group.resume()
            victim = group.start(who)
            time.sleep(instant)
            victim.die()
            group.start(who).ready()
            group.check(f'the kill of {who} {instant:.3f} s after its start')
            done += 1
            if done % 10 == 0:
                torture.progress(f'{name}: {done} of {kills} kills')
        group.end()
    print(f'{name}: {done} kills, {torture.FRAMES} checked frames and an account after each',
          flush=True)


def copy():
    kill_ports('copy', torture.copy)


def zero_copy():
    kill_ports('zero_copy', torture.zero_copy)


def multi_segment():
    kill_ports('chains', torture.chains, max(3, KILLS // 2))


def forwarding():
    kill_ports('forwarding', torture.forwarding)


def interrupts():
    kill_ports('interrupts', torture.ping_pong)


def kill_server(group, who, instant):
    """The server is killed while that port comes, and started again, as the port is."""
    service = group.service
    what = f'the kill of the server {instant:.3f} s after its start, with {who} coming'
    group.nodes[who].leave()
    service.server.kill()
    lab.forget(service.server)
    killed = service.start()
    newcomer = group.start(who)
    time.sleep(instant)
    killed.kill()
    lab.forget(killed)
    service.server = service.start()
    service.server.expect('ready', 30)
    try:
        newcomer.ready()
    except lab.Failure:     # it was half way in; who supervises it starts it again
        lab.check(newcomer.proc.poll() is not None, f'{what}: it hangs\n{newcomer.tail()}')
        newcomer.forget()
        group.start(who).ready()
    group.check(what)


def kill_servers(name, make, kills):
    """Ports that are there go on; the one that comes joins."""
    chance = torture.seeded(name)
    done = 0
    while done < kills:
        group = make(f'{name}{done}')
        group.start_all()
        had = torture.belongings(group.service.server.pid)
        for _ in range(min(GROUP_KILLS, kills - done)):
            kill_server(group, chance.choice(list(group.roles)), chance.uniform(0, FIRST_SECONDS))
            now = group.service.server
            lab.wait_until(lambda: torture.belongings(now.pid) == had, 10, f'{name}: the server to '
                           f'have {had} again, it has {torture.belongings(now.pid)}')
            done += 1
            if done % 10 == 0:
                torture.progress(f'{name}: {done} of {kills} kills of the server')
        group.end()
    print(f'{name}: {done} kills, {torture.FRAMES} checked frames and an account after each',
          flush=True)


def server():
    for name, make in (('server-copy', torture.served),
                       ('server-zero', torture.served_zero_copy),
                       ('server-chain', torture.served_forwarding),
                       ('server-asleep', torture.ping_pong)):
        kill_servers(name, make, max(1, KILLS // 4))


def hugepages_are_back():
    lab.kill_children()
    lab.wait_until(lambda: torture.unmapped_hugepages() <= UNMAPPED, 30,
                   f'no more than {UNMAPPED} hugepages to be taken and not mapped')


UNMAPPED = torture.unmapped_hugepages()
lab.main(copy, zero_copy, multi_segment, forwarding, interrupts, server, hugepages_are_back)
