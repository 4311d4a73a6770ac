# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Instructions per packet of rx_burst and tx_burst, by callgrind, against a committed ceiling.

ivshmem-drive passes bursts between two ports of one process; callgrind counts what its
drive_rx() and drive_tx() cost, all that they call included: the driver, mbufs, mempool
and the C library. The numbers do not depend on how busy the machine is.
"""

import re
from pathlib import Path

import lab

# Frames that were made by the sender and end at the receiver, and frames that are sent back.
CASES = {'oneway-64': ['size=64'], 'oneway-1518': ['size=1518'],
         'io-64': ['size=64', 'forward=1'], 'io-1518': ['size=1518', 'forward=1']}
BURSTS, BURST = 200, 32
SIDES = ('rx', 'tx')
WAIT = 300              # ten times what a busy machine needs
CEILING = Path(__file__).with_name('instructions.ceiling')
# Ratio to memif's sum of Rx and Tx that is hoped for: (name, case)
TARGETS = {('ivshmem', 'oneway-64'): 1 / 2, ('ivshmem', 'io-64'): 1 / 2,
           ('ivshmem-zc', 'oneway-1518'): 1 / 3, ('ivshmem-zc', 'io-1518'): 1 / 3}


def _ivshmem(more=''):
    path = lab.private_dir() / 'region'
    return ['-d', lab.plugin(), '--vdev', f'net_ivshmem0,path={path},create=1,size=16M{more}',
            '--vdev', f'net_ivshmem1,path={path}{more}']


def _memif(more=''):
    """The server comes first; the client sends, as where rates are compared."""
    common = f'socket={lab.private_dir()}/memif.sock,socket-abstract=no'
    return ['--single-file-segments', '--vdev', f'net_memif0,role=server,{common}',
            '--vdev', f'net_memif1,role=client,{common}{more}']


CONTESTANTS = {
    'ivshmem': (_ivshmem, []),
    'ivshmem-zc': (lambda: _ivshmem(',zero_copy=1'), []),
    'memif': (_memif, ['from=1']),
    'memif-zc': (lambda: _memif(',zero-copy=yes'), ['from=1']),
}


class Refused(Exception):
    """The driver does not know a device argument."""


def inclusive(text, bursts):
    """{'rx': instructions, 'tx': ...} from callgrind's output without compressed names."""
    found = dict.fromkeys(SIDES, 0)
    calls = dict.fromkeys(SIDES, 0)
    for match in re.finditer(r'^cfn=drive_([rt]x)\n(?:c\w+=.*\n)*calls=(\d+) .*\n\S+ (\d+)$',
                             text, re.M):
        calls[match[1]] += int(match[2])
        found[match[1]] += int(match[3])
    lab.check(all(count >= bursts for count in calls.values()),
              f'callgrind saw {calls} bursts, not {bursts} each')
    return found


def count(name, case):
    """Of a contestant: {'rx': instructions per packet, 'tx': ...}"""
    devices, keys = CONTESTANTS[name]
    out = lab.log_dir() / f'callgrind-{name}-{case}.out'
    proc = lab.Process(f'drive-{name}-{case}', [
        'valgrind', '--tool=callgrind', f'--callgrind-out-file={out}', '--compress-strings=no',
        '--compress-pos=no', lab.BUILD / 'test' / 'perf' / 'ivshmem-drive', '--no-pci',
        '--no-huge', '-m', 64, '-l', lab.cpus(1)[0], '--no-telemetry', *devices(), '--',
        f'burst={BURST}', f'bursts={BURSTS}', *CASES[case], *keys])
    status = proc.wait(WAIT)
    refused = re.search(r'^IVSHMEM: .*argument .* is not known', proc.output(), re.M)
    if status != 0 and refused:
        raise Refused(f'driver refuses: {refused[0]}')
    lab.check(status == 0, f'{proc.name} ended with status {status}\n{proc.tail()}')
    return {side: found / BURSTS / BURST for side, found in
            inclusive(out.read_text(errors='replace'), BURSTS).items()}


def ceilings(text):
    """{(name, case, side): most instructions} of the ceiling file."""
    found = {}
    for line in text.splitlines():
        words = line.partition('#')[0].split()
        if words:
            name, case, side, most = words
            found[name, case, side] = float(most)
    return found


def above(measured, limit):
    """Lines that say what is above its ceiling, or has none, or was not measured."""
    problems = []
    for key, found in measured.items():
        what = '{} {} {}'.format(*key)
        if key[0].startswith('memif'):
            continue
        if key not in limit:
            problems.append(f'{what}: {found:.1f} instructions a packet, but no ceiling')
        elif found > limit[key]:
            problems.append(f'{what}: {found:.1f} instructions a packet, the ceiling is '
                            f'{limit[key]:.1f}')
    problems += ['{} {} {}: has a ceiling, but was not measured'.format(*key)
                 for key in limit if key not in measured]
    return problems


def measure(say, names=tuple(CONTESTANTS)):
    """({(name, case, side): instructions per packet}, [who was not run and why])"""
    measured, refused = {}, []
    for name in names:
        try:
            for case in CASES:
                found = count(name, case)
                measured.update({(name, case, side): found[side] for side in SIDES})
                say(f'{name} {case}: Rx {found["rx"]:.1f}, Tx {found["tx"]:.1f} '
                    'instructions a packet')
        except Refused as problem:
            refused.append(f'not run: {name}: {problem}')
            say(refused[-1])
    return measured, refused


def table(measured, limit):
    """Both sides and their sum, and the sum's ratio to memif's in that case."""
    text = [f'{"":12} {"":12} {"Rx":>7} {"Tx":>7} {"sum":>7} {"ceiling":>16}  of memif']
    for name, case in dict.fromkeys(key[:2] for key in measured):
        each = [measured[name, case, side] for side in SIDES]
        most = '/'.join(f'{limit[name, case, side]:.1f}' if (name, case, side) in limit else '-'
                        for side in SIDES)
        line = f'{name:12} {case:12} {each[0]:7.1f} {each[1]:7.1f} {sum(each):7.1f} {most:>16}'
        if ('memif', case, 'rx') in measured:
            ratio = sum(each) / sum(measured['memif', case, side] for side in SIDES)
            line += f'  {ratio:.2f}'
            if (name, case) in TARGETS:
                goal = TARGETS[name, case]
                line += f'  target {goal:.2f}: {"reached" if ratio <= goal else "MISSED"}'
        text.append(line)
    return '\n'.join(text)


def document(measured, refused):
    return {'instructions': [[*key, found] for key, found in measured.items()],
            'not_run': refused}
