#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""get_monitor_addr: a CPU may wait at one address for the next frame, in a region of 2 ports."""

import errno

import lab
import pair


def verdict(shell):
    return shell.do('monitored')['verdict']


def two_ports():
    """The callback says wait until something is published, in each session anew."""
    region = pair.Region('16M')
    a, b = pair.shell_pair(region, 'monitor-', queues=2)
    for turn in range(3):
        for queue in range(2):
            a.do(f'monitor 0 {queue}')
            lab.check(verdict(a) == 0, f'turn {turn}, queue {queue}: no waiting, nothing came')
            b.do(f'send 0 {1 - queue} 1 64')
            lab.check(verdict(a) == 0, f'turn {turn}, queue {queue}: the other queue counted')
            b.do(f'send 0 {queue} 1 64')
            lab.check(verdict(a) == -1, f'turn {turn}, queue {queue}: waits past a frame')
            a.do(f'monitor 0 {queue}')
            lab.check(verdict(a) == -1, f'turn {turn}, queue {queue}: a frame waits, unseen')
            for number in (queue, 1 - queue):
                got = a.do(f'recv 0 {number} 2 200')
                lab.check(got['got'] == 1 and not got['bad'], f'{got}')
        if turn == 1:
            b.do('stop 0')
            b.do('start 0')
            b.link('up')
            a.link('up')
            for queue in range(2):
                b.meet(a, queue, queue)
    pair.quit_all(a, b)


def more_ports():
    """One address cannot watch several rings."""
    region = pair.Region('16M', ports=3)
    a, b = pair.shell_pair(region, 'monitor3-')
    lab.check(a.refused('monitor 0 0').errno == errno.ENOTSUP, 'a region of 3 ports has one')
    pair.quit_all(a, b)


lab.main(two_ports, more_ports)
