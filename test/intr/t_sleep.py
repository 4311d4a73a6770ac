#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Processes that sleep on Rx interrupts: no wakeup is lost, whatever the vectors.

  ivshmem-sleeper --- server --- ivshmem-sleeper

Each waits without a time-out; 5 s without the frame that is under way are a lost wakeup.
"""

import time

import lab
import pair
from sleepers import Sleeper, check_honest, check_refused, check_round_trips, check_vectors

ROUNDS = 100000 if lab.LONG else 10000
FRAMES = 300000 if lab.LONG else 25000     # in bursts of 1 to 64
BURST_MS = 600000 if lab.LONG else 60000    # that they may take
BACKSTOP_S = 2.5    # it looks each second, and acts at the second look


def ping_pong(name, queues, vectors, rounds=ROUNDS):
    served = pair.Served('-n', vectors, name=name)
    pong = Sleeper(f'{name}-pong', 'pong', served.vdev(), queues=queues)
    ping = Sleeper(f'{name}-ping', 'ping', served.vdev(), queues=queues, count=rounds)
    found = check_round_trips(ping, pong, rounds)
    served.remove()
    for process in (ping, pong):
        check_vectors(process, queues, min(queues, vectors - 1))
    return found


def own_vectors():
    """A vector for each queue: control is only heard when somebody comes or goes."""
    for queues in (1, 4):
        for found in ping_pong(f'own{queues}', queues, 5):
            lab.check(found.get('control_interrupts', 0) < 10, f'{found}')


def shared_vectors():
    """Fewer vectors than queues, down to one for all: vector 0 relays."""
    for queues, vectors in ((1, 1), (4, 1), (4, 3)):
        for found in ping_pong(f'shared{queues}{vectors}', queues, vectors, ROUNDS // 2):
            lab.check(found['control_interrupts'] > ROUNDS // 8, f'{found}')
            lab.check(not found.get('control_masked'), f'rings that woke it were cut off: {found}')


def random_bursts(source_role, other_role):
    """Bursts after random gaps of 0 to 10 ms. Returns what both sides counted, both honest."""
    served = pair.Served(name=source_role)
    other = Sleeper(f'{source_role}-{other_role}', other_role, served.vdev(), queues=2)
    source = Sleeper(f'{source_role}-source', source_role, served.vdev(), queues=2, count=FRAMES,
                     ms=BURST_MS)
    sent, got = source.result(BURST_MS / 1000 + 60), other.result()
    served.remove()
    lab.check(sent['sent'] == got['received'] >= FRAMES, f'{sent}, {got}')
    lab.check(got['sleeps'] > FRAMES / 500, f'it hardly slept: {got}')
    check_honest(sent, got)
    return sent, got


def bursts():
    """One way, all of it received."""
    random_bursts('burst', 'sink')


def bursts_there_and_back():
    """The sender sleeps, too, until each of its bursts is back."""
    there, back = random_bursts('bounce', 'pong')
    lab.check(there['received'] == back['sent'] == there['sent'], f'{there}, {back}')
    lab.check(there['sleeps'] > FRAMES / 500, f'it hardly slept: {there}')


def peer_starts_anew():
    """Its new session ends a sleep at once: no backstop has to find it seconds later."""
    served = pair.Served(name='anew')
    pong = Sleeper('anew-pong', 'pong', served.vdev())
    shell = pair.Shell('anew-shell', served.vdev()).up()
    shell.link('up')
    for _ in range(2):
        shell.do('stop 0')
        shell.do('start 0')
        shell.link('up')
        time.sleep(BACKSTOP_S)
    found = pong.stop_and_tell()
    shell.quit()
    served.remove()
    check_honest(found)
    lab.check(found.get('rx_wakes'), f'nothing ended its sleep: {found}')


def no_vectors():
    """Without vectors: refused with a reason."""
    region = pair.Region('16M')
    sleeper = Sleeper('none', 'pong', region.vdev())
    check_refused(sleeper, sleeper.wait(30))


lab.main(own_vectors, shared_vectors, bursts, bursts_there_and_back, peer_starts_anew,
         no_vectors)
