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

import examples
import lab
import pair
from power import (FRAMES, L3FWD_OPTIONS, ROUNDS, addresses, check_rung, check_text, forwards,
                   idles, shells_of)


def ends():
    """Two servers, and a shell at the far port of each."""
    servers = [lab.Server('--ports', '2', '-l', '16M', name=f'server-{x}') for x in 'ab']
    return servers, shells_of(servers)


def vdevs(servers):
    return [x for i, server in enumerate(servers)
            for x in ('--vdev', f'net_ivshmem{i},socket={server.socket}')]


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
        *L3FWD_OPTIONS])
    try:
        process.expect('entering main interrupt loop', 60)
        addresses(shells)
        forwards(shells)
        idles(process, 10, 0.1, 0.01)    # its epoll_wait() gives up after 10 ms
        forwards(shells)
        found = [telemetry(prefix, f'/ethdev/xstats,{port}')['/ethdev/xstats'] for port in (0, 1)]
    finally:
        shutil.rmtree(f'/var/run/dpdk/{prefix}', ignore_errors=True)
    check_text(process.output())
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
