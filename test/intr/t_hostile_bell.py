#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Ports that misuse doorbells: they cost a little time, never a frame.

  victim (port 0) --- server --- whoever sleeps and wakes with it --- a client with all eventfds

The client speaks the server's protocol only: it rings, and reads eventfds that are not its own.
"""

import fcntl
import os
import time

import client
import lab
import pair
from sleepers import Sleeper

FLIP_MS = 3000
RINGS = 100000      # a second
WAKES = 1000        # for nothing that a queue takes in a second, as in ivshmem_intr.h,
MASKS = 100         # and then one more after each mask of 10 ms
RING_SECONDS = 20 if lab.LONG else 3
THEFTS = 10 if lab.LONG else 2


def served_file(name, *options):
    """A region that can be looked at, and its server."""
    region = pair.Region()
    served = pair.Served('-m', region.path, '-l', '16M', *options, name=f'{name}-server')
    served.region = region
    return served


def wait_running(region, slot):
    lab.wait_until(lambda: region.state(slot)[1] == 3, 30, f'port {slot} to run')


def armer(name):
    """A shell that meets an odd peer whose queue may sleep; its eventfds are the client's."""
    served = served_file(name, '-n', 2)
    shell = pair.Shell(f'{name}-shell', served.vdev()).up()
    bells = client.Client(served.server.socket).handshake(2, [0])
    odd = pair.OddPeer(f'{name}-odd', served.region)
    odd.do('may-arm 1')
    odd.do('start')
    shell.link('up')
    return served, shell, bells, odd


def flip_and_send(shell, odd):
    """Returns the bursts of the shell that took frames, and the odd peer's account."""
    odd.send(f'flip {FLIP_MS}\n')
    sent = bursts = 0
    end = time.monotonic() + FLIP_MS / 2000
    while time.monotonic() < end:
        reply = shell.do('send 0 0 3200 64 1 200')
        sent += reply['sent']
        bursts += reply['bursts']
    account = odd._reply('flip', 30)
    lab.check(sent == account['taken'] > 3200 and not account['bad'],
              f'{sent} frames sent in {bursts} bursts, {account}')
    return bursts, account


def flips_wake_word():
    """A wake word that changes all the time costs one doorbell a Tx burst."""
    served, shell, bells, odd = armer('flip')
    bursts, account = flip_and_send(shell, odd)
    rung = shell.do('xstats 0')['port1_tx_doorbells']
    print(f'{account["flips"]} values of the wake word, {bursts} Tx bursts, {rung} doorbells')
    lab.check(0 < rung <= bursts + 2, f'{rung} doorbells for {bursts} bursts')   # 2: the session's
    lab.check(bells.drain(1) == rung, 'the doorbells rang not what was asked for')
    shell.quit()


def full_eventfd():
    """Nor does an eventfd that takes no more, be it a blocking one, stall who rings."""
    served, shell, bells, odd = armer('full')
    fd = bells.peers[bells.id][1]
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    fcntl.fcntl(fd, fcntl.F_SETFL, flags & ~os.O_NONBLOCK)
    os.eventfd_write(fd, 2 ** 64 - 2)
    flip_and_send(shell, odd)
    shell.quit()


def eventfds(served, vectors):
    """Of port 0; who was once a client of the server keeps them."""
    guest = client.Client(served.server.socket).handshake(vectors, [0])
    kept = [os.dup(fd) for fd in guest.peers[0]]
    guest.close()
    with open(served.region.path, 'r+b') as file:
        client.wait_state(client.Region(file.fileno()), 1, client.LEFT)
    return kept


def ring(fd, seconds):
    """RINGS a second, evenly; returns how many there were, and the seconds that they took."""
    step = 10 ** 9 // RINGS
    due = began = time.monotonic_ns()
    count = 0
    while due - began < seconds * 10 ** 9:
        while time.monotonic_ns() < due:
            pass
        os.eventfd_write(fd, 1)
        due += step
        count += 1
    return count, (time.monotonic_ns() - began) / 10 ** 9


def rings_unasked(name, vectors, vector):
    served = served_file(name, '-n', vectors)
    sink = Sleeper(f'{name}-sink', 'sink', served.vdev())
    wait_running(served.region, 0)
    bell = eventfds(served, vectors)[vector]
    source = Sleeper(f'{name}-source', 'burst', served.vdev(), ms=RING_SECONDS * 1000)
    wait_running(served.region, 1)
    began = time.monotonic()
    count, took = ring(bell, RING_SECONDS)
    lab.check(count / took >= 0.9 * RINGS, f'only {count} rings in {took:.1f} s')
    sent, got = source.result(), sink.result()
    seconds = time.monotonic() - began
    print(f'{name}: {count} rings, {got}')
    lab.check(sent['sent'] == got['received'] > RING_SECONDS * 100, f'{sent}, {got}')
    lab.check(got['cpu_ms'] < seconds * 500, f'{seconds:.1f} s cost {got["cpu_ms"]} ms of CPU')
    return sink, got, seconds


def rings_a_queue():
    """A queue's vector is masked for 10 ms each time, which is told once a minute."""
    sink, got, seconds = rings_unasked('queue', 2, 1)
    lab.check(WAKES < got['rx_spurious_wakes'] < 3 * (seconds + 1) * (WAKES + MASKS) and
              got.get('rx_masked', 0) > 0, f'{seconds:.1f} s: {got}')
    told = sink.output().count('rings without cause')
    lab.check(told == 1, f'{told} warnings')


def rings_control():
    """So is vector 0, which here wakes the queue, too."""
    _, got, seconds = rings_unasked('control', 1, 0)
    lab.check(1000 < got['control_interrupts'] < (seconds + 2) * 1200 and
              got['control_masked'] > 0, f'{got}')


def steals():
    """A wakeup that is read away, from a blocking eventfd, comes a second or two later."""
    served = served_file('steal', '-n', 2)
    region = served.region
    pong = Sleeper('steal-pong', 'pong', served.vdev(), silence=30000)
    wait_running(region, 0)
    bell = eventfds(served, 2)[1]
    fcntl.fcntl(bell, fcntl.F_SETFL, fcntl.fcntl(bell, fcntl.F_GETFL) & ~os.O_NONBLOCK)
    ping = Sleeper('steal-ping', 'ping', served.vdev(), count=10 ** 9, silence=30000)
    wait_running(region, 1)
    stalls = []
    end = time.monotonic() + 60
    while len(stalls) < THEFTS:
        try:
            os.preadv(bell, [bytearray(8)], -1, os.RWF_NOWAIT)
        except BlockingIOError:
            lab.check(time.monotonic() < end, f'only {len(stalls)} thefts')
            continue
        index = region.consumed(0)
        began = time.monotonic()
        lab.wait_until(lambda: region.consumed(0) != index, 30, 'a wakeup that was stolen')
        if time.monotonic() - began > 0.5:      # else it was awake, and needed no count
            stalls.append(time.monotonic() - began)
        time.sleep(0.05)
    there, back = (process.stop_and_tell() for process in (ping, pong))
    print(f'stalls of {", ".join(f"{s:.1f}" for s in stalls)} s; {back}')
    lab.check(there['sent'] - there['received'] <= 1 and there['received'] > 100, f'{there}')
    lab.check(back['backstop_wakes'] >= THEFTS, f'{back}')


def server_restarts():
    """Ports of two servers cannot ring each other: they look each millisecond."""
    for old, new in (('pong', 'ping'), ('ping', 'pong')):
        name = f'unreachable-{old}'
        served = served_file(name)
        region = served.region
        first = Sleeper(f'{name}-old', old, served.vdev(), count=10 ** 9)
        wait_running(region, 0)
        served.server.kill()
        server = lab.Server('-m', region.path, '-l', '16M', name=f'{name}-again')
        second = Sleeper(f'{name}-new', new, f'net_ivshmem0,socket={server.socket}',
                         count=10 ** 9)
        wait_running(region, 1)
        lab.wait_until(lambda: min(region.consumed(0)[1], region.consumed(1)[1]) >= 200, 60,
                       '200 frames there and back')
        found = second.stop_and_tell()
        lab.check(found['unreachable_ports'] == 1 and not found.get('port0_tx_doorbells') and
                  found['sleeps'] > 100, f'{found}')
        other = first.stop_and_tell()
        print(f'{old}: {other}\n{new}: {found}')
        lab.check(other['sleeps'] > 100 and not other.get('port1_tx_doorbells') and
                  found['received'] >= other['sent'] - 1 and
                  other['received'] >= found['sent'] - 1, f'{found}, {other}')
        lab.check(server.stop() == 0, 'the server did not end with status 0')


lab.main(flips_wake_word, full_eventfd, rings_a_queue, rings_control, steals, server_restarts)
