# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""What ports that only sit there cost those that work: 2 to 8 in a region, one pair busy.

ivshmem-drive has all ports in one process and times each Rx burst of the busy pair; the
idle ports are started and have sent a frame, so their rings exist and are looked at.
Numbers of ports take turns, in rotated order. Two ports are a wire, more are a segment
whose receivers learn and look at addresses: that step is shown apart from the ports'.
"""

import re
import statistics

import lab
import slices

PORTS = (2, 3, 4, 8)
LIMIT = 5               # ns per idle port and Rx burst
BURSTS = 20000
ROUNDS = {'quick': 0, 'default': 10, 'full': 30}
KINDS = ('full', 'empty')


def take(name, ports, cpus):
    """{'full': ns of a receive of a burst, 'empty': ns of one that finds nothing}"""
    path = lab.private_dir() / 'region'
    devices = ['--vdev', f'net_ivshmem0,path={path},create=1,size=64M,ports={ports}']
    for index in range(1, ports):
        devices += ['--vdev', f'net_ivshmem{index},path={path}']
    proc = lab.Process(name, [
        lab.BUILD / 'test' / 'perf' / 'ivshmem-drive', '--no-pci', '--in-memory', '-m', 64,
        '--lcores', f'0@{cpus[0]}', '--no-telemetry', '-d', lab.plugin(), *devices, '--',
        'time=1', f'bursts={BURSTS}'])
    status = proc.wait(60)
    found = re.search(r'^bursts=.* full_ns=([\d.]+) empty_ns=([\d.]+)$', proc.output(), re.M)
    lab.check(status == 0 and found, f'{name} ended with status {status}\n{proc.tail()}')
    path.unlink()
    return {'full': float(found[1]), 'empty': float(found[2])}


def run(say, mode):
    """Rounds, as [{number of ports: {'full': ns, 'empty': ns}}]."""
    cpus = lab.cpus(2)
    rounds = []
    for turn in range(ROUNDS[mode]):
        first = turn % len(PORTS)
        found = {ports: take(f'idle-{turn:02}-{ports}', ports, cpus)
                 for ports in PORTS[first:] + PORTS[:first]}
        rounds.append(found)
        say('idle ports   ' + '  '.join(f'{ports}: {found[ports]["full"]:.0f}/'
                                        f'{found[ports]["empty"]:.1f}' for ports in PORTS)
            + ' ns an Rx burst of 32/0')
    return rounds


def cost(rounds, kind, low=PORTS[1], high=PORTS[-1]):
    """Quartiles of ns per extra port and burst, between two numbers of ports."""
    return slices.quartiles([(found[high][kind] - found[low][kind]) / (high - low)
                             for found in rounds])


def table(rounds):
    text = ['idle ports, ns of an Rx burst of the busy pair   32 frames    none']
    for ports in PORTS:
        medians = [statistics.median(found[ports][kind] for found in rounds) for kind in KINDS]
        text.append(f'  {ports} ports{"":38} {medians[0]:9.1f} {medians[1]:7.1f}')
    for low, high, what in ((3, 8, 'an idle port more'), (2, 3, 'a segment instead of a wire')):
        found = [cost(rounds, kind, low, high) for kind in KINDS]
        line = f'  {what} ({low} to {high})'
        text.append(f'{line:47} {found[0][1]:9.1f} {found[1][1]:7.1f}' + (
            f'  limit {LIMIT}: ' + ('ok' if found[0][1] <= LIMIT >= found[1][1] else 'MISSED')
            if high == PORTS[-1] else ''))
    return '\n'.join(text)


def document(rounds):
    return [{str(ports): found[ports] for ports in PORTS} for found in rounds]
