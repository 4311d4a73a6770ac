# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Two guests on one server: from nothing to the verdict that testpmd's frames arrived.

  host: ivshmem-server --- guest a: testpmd txonly   [ivshmem-doorbell, vfio-pci]
                       \\-- guest b: testpmd rxonly   [ivshmem-doorbell, vfio-pci]
"""

import re
import sys
import time

import lab

sys.path.insert(0, str(lab.ROOT / 'test' / 'vm'))

from vmset import VmError, VmSet, doorbell  # noqa: E402

FRAMES = 100000
BOUND = 600             # ten times the limit
SCRIPT = '''
addr=$(ivshmem_addr) || exit 3
bind "$addr" vfio-pci || exit 4
exec stdbuf -oL dpdk-testpmd --lcores 0@0,1@0 --main-lcore 0 -a "$addr" -m 32 -- \\
  -i --no-lsc-interrupt --total-num-mbufs=4096 --forward-mode={mode}
'''


def _count(job, what):
    for line in job.ask('show port stats 0'):
        match = re.search(what + r'-packets: (\d+)', line)
        if match:
            return int(match.group(1))
    raise lab.Failure(f'{job.vm.name}: no {what}-packets in the answer of testpmd:\n'
                      + '\n'.join(job.lines[-20:]))


def _traffic(tx, rx):
    """The frames sent and received once FRAMES have arrived and both sides have stopped."""
    rx.ask('start')
    tx.ask('start')
    lab.wait_until(lambda: _count(rx, 'RX') >= FRAMES, 120, f'{FRAMES} frames')
    tx.ask('stop')
    sent = _count(tx, 'TX')
    lab.wait_until(lambda: _count(rx, 'RX') == sent, 30, f'the last of {sent} frames sent')
    rx.ask('stop')
    for job in (tx, rx):
        job.send('quit\n')
        status = job.wait(60)
        lab.check(status == 0, f'{job.vm.name}: testpmd ended with {status}:\n{job.output}')


def seconds():
    """Boots, binds, runs, judges and ends; how long that took."""
    begun = time.monotonic()
    try:
        with VmSet(timeout=BOUND, echo=None, logs=str(lab.log_dir() / 'vm')) as vms:
            server = vms.server('16M', vectors=2)
            a = vms.add('a', devices=[doorbell(server.socket, vectors=2)])
            b = vms.add('b', devices=[doorbell(server.socket, vectors=2)])
            vms.start()
            jobs = [vm.start_job(SCRIPT.format(mode=mode), stdin=True)
                    for vm, mode in ((a, 'txonly'), (b, 'rxonly'))]
            for job in jobs:
                job.wait_line('testpmd> $', 120)
            _traffic(*jobs)
            spent = time.monotonic() - begun
            vms.finish()
    except VmError as error:
        raise lab.Failure(f'VM pair: {error}; logs: {lab.log_dir()}/vm')
    return spent
