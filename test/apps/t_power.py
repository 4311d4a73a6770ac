# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Applications that sleep between two of our ports: they forward, and cost no CPU when idle.

  shell a --- server a --- application --- server b --- shell b
"""

import json
import os
import re
import shutil
import signal
import socket
import time
from pathlib import Path

import examples
import lab
import pair

ROUNDS = 20
FRAMES = 30         # one burst of the application's


def ends():
    """Two servers, and a shell at the far port of each."""
    servers = [lab.Server('--ports', '2', '-l', '16M', name=f'server-{x}') for x in 'ab']
    shells = [pair.Shell(f'end-{x}', f'net_ivshmem0,socket={server.socket}').up()
              for x, server in zip('ab', servers)]
    for shell in shells:
        shell.do('promisc 0 on')    # applications may rewrite addresses
    return servers, shells


def vdevs(servers):
    return [x for i, server in enumerate(servers)
            for x in ('--vdev', f'net_ivshmem{i},socket={server.socket}')]


def cpu_seconds(pid):
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return sum(int(x) for x in fields[11:13]) / os.sysconf('SC_CLK_TCK')


def meet(sender, receiver):
    """Frames one by one until one is through: the first ones find rings that are not ready yet."""
    sender.link('up')
    for _ in range(20):
        sent = sender.do('send 0 0 1 64')
        got = receiver.do('recv 0 0 1 500')
        if got['got']:
            lab.check(got['first'] == sent['first'] and not got['bad'], f'{sent}, {got}')
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


def telemetry(prefix, query):
    """DPDK's answer for a process."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(10)
        sock.connect(f'/var/run/dpdk/{prefix}/dpdk_telemetry.v2')
        sock.recv(16384)
        sock.send(query.encode())
        return json.loads(sock.recv(65536))


def l3fwd_power():
    program = examples.build('l3fwd-power', 'l3fwd-power')
    servers, shells = ends()
    prefix = f'ivshmem-test-{os.getpid()}'
    process = lab.Process('l3fwd-power', [
        'stdbuf', '-oL', program, *pair.eal(96), '--file-prefix', prefix, *vdevs(servers), '--',
        '-p', '3', '-P', '--config', '(0,0,0),(1,0,0)', '--interrupt-only', '--parse-ptype',
        '--no-numa'])
    try:
        process.expect('entering main interrupt loop', 60)
        for shell, address in zip(shells, ('2.1.1.7', '1.1.1.7')):  # routes of its own
            shell.do(f'ip {address}')
        forwards(shells)
        idles(process, 10, 0.1, 0.01)    # its epoll_wait() gives up after 10 ms
        forwards(shells)
        found = [telemetry(prefix, f'/ethdev/xstats,{port}')['/ethdev/xstats'] for port in (0, 1)]
    finally:
        shutil.rmtree(f'/var/run/dpdk/{prefix}', ignore_errors=True)
    text = process.output()
    for words in ('sleeps until interrupt triggers', 'from rx interrupt on port 0 queue 0',
                  'from rx interrupt on port 1 queue 0'):
        lab.check(words in text, f'no word of {words!r}\n{process.tail()}')
    lab.check("won't enable" not in text, process.tail())
    for values in found:
        lab.check(values['rx_arms'] >= ROUNDS and values['rx_wakes'] >= ROUNDS and
                  not values['backstop_wakes'] and not values['rx_masked'], f'{values}')
    check_rung(shells)
    status = process.stop(60, signal.SIGINT)
    lab.check(status == 0, f'l3fwd-power ended with {status}:\n{process.tail()}')


def l2fwd_sleep():
    """Our own example, with what it says of itself at its end."""
    program = examples.build('l2fwd-sleep', 'l2fwd-sleep', lab.ROOT)
    servers, shells = ends()
    process = lab.Process('l2fwd-sleep', [program, *pair.eal(96), *vdevs(servers), '--'])
    process.expect('sleeps after 50 us', 60)
    forwards(shells)
    idles(process, 5, 0.05, 1)
    forwards(shells)
    check_rung(shells)
    status = process.stop(60)
    lab.check(status == 0, f'l2fwd-sleep ended with {status}:\n{process.tail()}')
    found = {k: int(v) for k, v in re.findall(r'(\w+)=(\d+)', process.expect('frames=.*'))}
    print(found)
    counts = [shell.do('stats 0') for shell in shells]
    lab.check(found['frames'] == sum(x['ipackets'] for x in counts) >= 4 * ROUNDS * FRAMES and
              found['frames'] + found['dropped'] == sum(x['opackets'] for x in counts),
              f'{found}, {counts}')     # dropped: while the far ring was not ready yet
    lab.check(found['sleeps'] >= ROUNDS and found['polls'] > found['sleeps'], f'{found}')


lab.main(l3fwd_power, l2fwd_sleep)
