# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""What the tests of applications that sleep share: an application between two shells.

  shell a --- server a --- application --- server b --- shell b
"""

import os
import time
from pathlib import Path

import lab
import pair

ROUNDS = 20
FRAMES = 30         # one burst of the application's
L3FWD_OPTIONS = ['-p', '3', '-P', '--config', '(0,0,0),(1,0,0)', '--interrupt-only',
                 '--parse-ptype', '--no-numa']


def shells_of(servers):
    """A shell on each server, at the far end of the application."""
    shells = [pair.Shell(f'end-{x}', f'net_ivshmem0,socket={server.socket}').up()
              for x, server in zip('ab', servers)]
    for shell in shells:
        shell.do('promisc 0 on')    # applications may rewrite addresses
    return shells


def addresses(shells):
    """Routes that l3fwd-power has of its own."""
    for shell, address in zip(shells, ('2.1.1.7', '1.1.1.7')):
        shell.do(f'ip {address}')


def stat_seconds(text):
    """CPU that a process has used, by its /proc/PID/stat."""
    fields = text.rpartition(')')[2].split()
    return sum(int(x) for x in fields[11:13]) / os.sysconf('SC_CLK_TCK')


def cpu_seconds(pid):
    return stat_seconds(Path(f'/proc/{pid}/stat').read_text())


def meet(sender, receiver):
    """Frames one by one until one is through: the first ones find rings that are not ready yet."""
    sender.link('up')
    for _ in range(20):
        sent = sender.do('send 0 0 1 64')
        while (got := receiver.do('recv 0 0 1 500'))['got']:
            lab.check(not got['bad'] and got['first'] <= sent['first'], f'{sent}, {got}')
            if got['first'] == sent['first']:   # else one that took its time
                return
    raise lab.Failure(f'{sender.name}: no frame comes through to {receiver.name}')


def forwards(shells):
    """Some frames at a time there and back, with sleep in between, none missing."""
    for sender, receiver in (shells, shells[::-1]):
        meet(sender, receiver)
    for turn in range(ROUNDS):
        for sender, receiver in (shells, shells[::-1]):
            sent = sender.do(f'send 0 0 {FRAMES} {64 + 50 * turn} 1 1000')
            got = receiver.do(f'recv 0 0 {FRAMES} 5000')
            lab.check(sent['sent'] == got['got'] == FRAMES and not got['bad'] and
                      not got['gaps'] and got['first'] == sent['first'], f'{sent}, {got}')
            time.sleep(0.02)
    for shell in shells:
        lab.check(shell.do('recv 0 0 1 100')['got'] == 0, f'{shell.name}: a frame too many')


def idles(process, seconds, most, timeout):
    """CPU of a process that has nothing to do, less what its bare time-outs cost on this machine:
    so many of the same length are taken here meanwhile."""
    before, own = cpu_seconds(process.pid), time.process_time()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(timeout)
    used, bare = cpu_seconds(process.pid) - before, time.process_time() - own
    print(f'{process.name}: {used:.2f} s of CPU in {seconds} idle seconds, bare time-outs '
          f'{bare:.2f} s')
    lab.check(used - bare < most, f'{process.name}: {used:.2f} s of CPU in {seconds} idle s')


def check_rung(shells):
    for shell in shells:
        found = shell.do('xstats 0')
        rung = max(found.get(f'port{slot}_tx_doorbells', 0) for slot in (0, 1))
        lab.check(rung >= ROUNDS / 2, f'{shell.name} rang {rung} times')


def check_text(text):
    """What l3fwd-power prints when it sleeps and wakes on both ports."""
    for words in ('sleeps until interrupt triggers', 'from rx interrupt on port 0 queue 0',
                  'from rx interrupt on port 1 queue 0'):
        lab.check(words in text, f'no word of {words!r}\n{text[-1500:]}')
    lab.check("won't enable" not in text, text[-1500:])
