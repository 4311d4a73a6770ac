#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Stress of the real code: with a barrier or the second look compiled out, wakeups are lost.

  ivshmem-sleeper ping busy=1 --- server --- ivshmem-sleeper pong hesitate=1

One side polls and answers after random gaps of 0 to 2 us, while the other arms after such a gap:
what is published then is seen by the second look, or rung for. One frame is under way, so that
nothing else wakes.
The model (test/model) says that each part is needed; this says that the code is what it models.
"""

import re
import time

import lab
import pair

SLEEPER = lab.BUILD / 'test' / 'intr' / 'ivshmem-sleeper'
GOOD_SECONDS = 60 if lab.LONG else 5
BAD_SECONDS = 60
SLEEPS = 1000       # wanted of whole(), however long they take
BOUND = 60
SILENCE_MS = 900    # the backstop looks once a second, and often comes first


def broken(part):
    """A copy of the plugin without that part, where EAL takes it from."""
    path = lab.private_dir() / f'without_{part}.so'
    path.write_bytes((lab.BUILD / 'test' / 'intr' / f'liblost_without_{part}.so').read_bytes())
    return path


class Side(lab.Process):
    def __init__(self, name, role, served, plugin, *keys):
        super().__init__(name, [SLEEPER, *pair.eal(plugin=plugin), '--vdev', served.vdev(), '--',
                                role, 'count=1000000000', *keys])

    def result(self):
        status = self.wait(30)
        match = re.search(r'^result: (.*)$', self.output(), re.M)
        lab.check(match, f'{self.name} ended with status {status}\n{self.tail()}')
        return {k: int(v) for k, v in (w.split('=') for w in match.group(1).split())}


def rounds(name, plugin, seconds, silence, sleeps=0):
    """Plays until a wakeup is lost, or the time is over and there were so many sleeps; the results
    of ping and pong."""
    served = pair.Served(name=name)
    pong = Side(f'{name}-pong', 'pong', served, plugin, f'silence={silence}', 'hesitate=1',
                f'tell={sleeps}')
    ping = Side(f'{name}-ping', 'ping', served, plugin, f'silence={silence * 2}', 'busy=1',
                'spread=1')
    end = time.monotonic() + seconds
    while time.monotonic() < end and ping.running() and pong.running():
        time.sleep(0.05)
    if sleeps and ping.running() and pong.running():
        pong.expect(f'slept {sleeps} times', BOUND)
    if ping.running():
        ping.proc.terminate()
    there, back = ping.result(), pong.result()
    served.remove()
    return there, back


def whole():
    """The driver as it is loses none."""
    there, back = rounds('whole', None, GOOD_SECONDS, 5000, SLEEPS)
    lab.check(there['sent'] == there['received'] or there['sent'] == there['received'] + 1,
              f'{there}')
    lab.check(back['sleeps'] >= SLEEPS, f'it hardly slept: {back}')
    for found in (there, back):
        lab.check(not any(found.get(k) for k in ('late', 'bad', 'order', 'backstop_wakes',
                                                 'leaked')), f'{there}, {back}')


def loses(part):
    there, back = rounds(part, broken(part), BAD_SECONDS, SILENCE_MS)
    lost = back['late'] + back.get('backstop_wakes', 0)
    print(f'without {part}: {back["received"]} frames, {back["sleeps"]} sleeps, {lost} lost, '
          f'{back.get("backstop_wakes", 0)} of them found by the backstop')
    lab.check(lost > 0 and not back['bad'] + back['order'],
              f'without {part} no wakeup was lost in {BAD_SECONDS} s: {there}, {back}')


def without_a1():
    loses('a1')


def without_a2():
    loses('a2')


def without_second_look():
    loses('look')


lab.main(whole, without_a1, without_a2, without_second_look)
