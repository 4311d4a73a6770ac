#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Who polls pays nothing for interrupts: no doorbell, and no system call in the bursts' threads.

  ivshmem-traffic gen --- server --- ivshmem-traffic sink        strace watches both

Both poll without a break, once with queues that may sleep (--rxq-intr on) and once without. What
strace sees from all other threads is the heartbeat's alarm.
"""

import re
import signal
import time

import lab
import pair

FRAMES = 10 ** 8
PLAIN_FRAMES = 10 ** 8 if lab.LONG else 10 ** 7
CALLS_A_BEAT = 20       # of the alarm's thread: its timer, epoll, the server's socket
BEATS = 20              # a second


class Watched:
    """strace on all threads of a process; calls() ends it."""

    def __init__(self, process):
        self.target = process
        self.file = lab.log_dir() / f'{process.name}.strace'
        self.began = time.monotonic()
        self.strace = lab.Process(f'{process.name}-strace', [
            'strace', '-f', '-o', self.file, '-p', process.pid])
        self.strace.expect(rf'Process {process.pid} attached')

    def calls(self):
        """(names of the calls of the thread that polls, number of all the others', seconds)"""
        seconds = time.monotonic() - self.began
        self.strace.proc.send_signal(signal.SIGINT)
        self.strace.wait(20)
        found = re.findall(r'^(\d+) +(\w+)\(', self.file.read_text(), re.M)
        own = [name for thread, name in found if int(thread) == self.target.pid]
        return own, len(found) - len(own), seconds


def check_calls(watched):
    own, other, seconds = watched.calls()
    name = watched.target.name
    print(f'{name}: {len(own)} system calls of the thread that polls, {other} of others in '
          f'{seconds:.1f} s')
    lab.check(not own, f'{name}: the thread that polls called {own[:20]}')
    lab.check(0 < other <= (seconds * BEATS + 10) * CALLS_A_BEAT,
              f'{name}: {other} calls of other threads in {seconds:.1f} s')


def poll_on(kind, frames):
    name = f'polling-{kind}'
    region = pair.Region()
    served = pair.Served('-m', region.path, '-l', '16M', name=f'{name}-server')

    def start(role):
        side = pair.Traffic(f'{name}-{role}', role, served.vdev(), '--quiet', '--poll', 'busy',
                            '--rxq-intr', kind, '--idle', 0)
        slot = int(role == 'gen')
        lab.wait_until(lambda: region.state(slot)[1] == 3, 30, f'port {slot} to run')
        return side

    sink, gen = sides = [start('sink'), start('gen')]
    lab.wait_until(lambda: region.consumed(0)[1], 30, 'the first frames')
    watched = [Watched(side) for side in sides]
    last = region.consumed(0)[1] + frames
    lab.wait_until(lambda: region.consumed(0)[1] >= last, 250, f'{frames} frames')
    for one in watched:
        check_calls(one)
    gen.proc.send_signal(signal.SIGTERM)
    sent = gen.report()
    lab.wait_until(lambda: region.consumed(0)[1] == region.produced(1)[1], 30,
                   'the last frames')
    sink.proc.send_signal(signal.SIGTERM)
    got = sink.report()
    served.remove()
    region.remove()
    lab.check(sent['totals']['sent'] == got['totals']['received'] > frames,
              f'{sent["totals"]}, {got["totals"]}')
    for report in (sent, got):
        pair.check_clean(report)
        xstats = report['port']['xstats']
        rung = {k: v for k, v in xstats.items() if k.endswith('tx_doorbells') or
                k in ('rx_arms', 'rx_wakes', 'rx_spurious_wakes', 'backstop_wakes')}
        lab.check(not any(rung.values()) and xstats['link_changes'], f'{xstats}')
        lab.check(xstats.get('control_interrupts', 0) < 10, f'{xstats}')


def may_sleep():
    poll_on('on', FRAMES)


def cannot_sleep():
    poll_on('off', PLAIN_FRAMES)


lab.main(may_sleep, cannot_sleep)
