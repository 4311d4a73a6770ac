#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""What a hostile port costs two others in speed; see rates.c. Only on request: it measures time.

  ivshmem-traffic gen: port 0 --- region --- ivshmem-traffic sink: port 1
                                    |
                               attacker: port 2

The attacker counts in slices of time that take turns, so that other load costs both sorts alike.
"""

import re
import signal

import lab
import pair

SECONDS = 60 if lab.LONG else 10
# what is broadcast goes to the attacker, too, and costs the honest port as much again
MACS = ['02:cc:00:00:00:01', '02:cc:00:00:00:02']
MODES = {'copy': [], 'zero-copy': ['zero_copy=1']}


def measured(kind, mode, poll):
    """The attacker's numbers, with traffic from port 0 to port 1 all the time."""
    name = f'{kind}-{mode}'
    region = pair.Region('16M', ports=3, queues=1)
    ends = [pair.Traffic(f'{name}-{role}', role,
                         region.vdev(f'port={port}', f'mac={MACS[port]}', *MODES[mode]),
                         '--quiet', '--poll', poll, '--idle', 0, '--wait', 60,
                         '--tx-timeout', 60, '--sizes', 60, '--dst-mac', MACS[1],
                         '--expect', 'lost=any,received=any,foreign=any,corrupted=any')
            for port, role in enumerate(('gen', 'sink'))]
    lab.wait_until(lambda: region.path.exists() and region.path.read_bytes()[:8] == b'IVSHMNET' and
                   region.consumed(1)[1] > 0, 60, 'the first frames')
    progress = region.dir / 'progress'
    progress.write_bytes(bytes(4096))
    attacker = lab.Process(f'{name}-attacker', [
        lab.BUILD / 'test/hostile/ivshmem-attacker', region.path, 2, kind, 'own', 1, 0, 0, SECONDS,
        progress])
    status = attacker.wait(SECONDS + 30)
    text = attacker.output()
    lab.check(status == 0, f'the attacker ended with status {status}\n{text}')
    for end in ends:
        end.proc.send_signal(signal.SIGTERM)
        end.report()
    region.remove()
    return {k: int(v) for k, v in re.findall(r'(\w+)=(\d+)', text)}


def scribbled():
    """Scribbling over its own section costs others at most a tenth of their rate."""
    for mode in MODES:
        found = measured('rate-scribble', mode, 'yield')
        lab.check(found['quiet_ms'] and found['ms'], f'no slices: {found}')
        quiet = found['quiet_frames'] / found['quiet_ms']
        rate = found['frames'] / found['ms']
        print(f'{mode}: {found["writes"]:,} stores; {quiet:.0f} frames a ms without, {rate:.0f} '
              f'with: {100 * rate / quiet:.1f} %')
        lab.check(rate >= 0.9 * quiet, f'{mode}: others had {100 * rate / quiet:.1f} % of their '
                  'rate, less than 90 %')


def shared():
    """Of two sources that send as fast as they can each gets 40 to 60 %. That bursts alternate
    exactly shows pmd:t_segment round_robin."""
    for mode in MODES:
        found = measured('rate-share', mode, 'busy')
        mine, theirs = found['quiet_frames'], found['attacker_frames']
        lab.check(mine and theirs, f'nothing arrived: {found}')
        share = 100 * mine / (mine + theirs)
        print(f'{mode}: {mine:,} frames of the honest port, {theirs:,} of the attacker: '
              f'{share:.1f} %')
        lab.check(40 <= share <= 60, f'{mode}: the honest port had {share:.1f} %')


lab.main(scribbled, shared)
