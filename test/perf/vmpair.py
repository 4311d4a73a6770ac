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

from vmset import GuestError, VmError, VmSet, doorbell  # noqa: E402

FRAMES = 100000
BOUND = 600             # ten times the limit
SCRIPT = '''
addr=$(ivshmem_addr) || exit 3
bind "$addr" vfio-pci || exit 4
exec stdbuf -oL dpdk-testpmd --lcores 0@0,1@0 --main-lcore 0 -a "$addr" -m 32 -- \\
  -i --no-lsc-interrupt --total-num-mbufs=4096 --forward-mode={mode}
'''


def ask(job, command, pattern):
    """Sends a command; the match of the line that answers it. Prompts may be hidden by events."""
    begin = len(job.lines)
    job.send(command + '\n')
    return job.wait_line(pattern, 60, begin)


def _count(job, what):
    return int(ask(job, 'show port stats 0', what + r'-packets: (\d+)')[1])


def _traffic(tx, rx):
    """FRAMES arrive, both sides stop, and what was sent was received."""
    ask(rx, 'start', 'rxonly packet forwarding')
    ask(tx, 'start', 'txonly packet forwarding')
    lab.wait_until(lambda: _count(rx, 'RX') >= FRAMES, 120, f'{FRAMES} frames')
    ask(tx, 'stop', r'^Done\.')
    sent = _count(tx, 'TX')
    lab.wait_until(lambda: _count(rx, 'RX') == sent, 30, f'the last of {sent} frames sent')
    ask(rx, 'stop', r'^Done\.')
    end((tx, rx))


def end(jobs):
    """Every testpmd ends well."""
    for job in jobs:
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
                job.wait_line('^Done', 120)
            _traffic(*jobs)
            spent = time.monotonic() - begun
            vms.finish()
    except (VmError, GuestError) as error:
        raise lab.Failure(f'VM pair: {error}; logs: {lab.log_dir()}/vm')
    return spent
