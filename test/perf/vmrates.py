# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Two guests under emulation, each with both devices, that take turns in the same testpmd:

  guest a: testpmd txonly   port 0 ivshmem-doorbell, port 1 virtio-net   guest b: testpmd rxonly
                                   one region               a QEMU socket

Under emulation only ratios say something.
"""

import re
import statistics
import time
from pathlib import Path

import lab
import vmpair
from vmset import GuestError, VmError, VmSet, doorbell

CONTESTANTS = {'ivshmem': 0, 'virtio-net': 1}
SLICES = {'quick': 3, 'default': 8, 'full': 30}
SECONDS = 1
SIZE = 64
LIMIT = 5               # times virtio-net over a socket
VIRTIO_ADDR = '0000:00:08.0'
SCRIPT = '''
addr=$(ivshmem_addr) || exit 3
bind "$addr" vfio-pci || exit 4
bind {virtio} vfio-pci || exit 5
exec stdbuf -oL dpdk-testpmd --lcores 0@0,1@0 --main-lcore 0 -a "$addr" -a {virtio} -m 48 -- \
  -i --no-lsc-interrupt --total-num-mbufs=6144 --forward-mode={mode}
'''


def virtio(path, is_server):
    """QEMU's arguments of a virtio-net device on a stream socket to the other guest."""
    return ('-netdev', f'stream,id=other,server={"on" if is_server else "off"},addr.type=unix,'
                       f'addr.path={path}',
            '-device', 'virtio-net-pci,netdev=other,addr=0x8,iommu_platform=on,disable-legacy=on')


def _count(job, port):
    return int(vmpair.ask(job, f'show port stats {port}', r'RX-packets: (\d+)')[1])


def _slice(tx, rx, port):
    """Millions of packets a second that arrive at a port."""
    for job, mode in ((rx, 'rxonly'), (tx, 'txonly')):
        job.send(f'set portlist {port}\n')
        vmpair.ask(job, 'start', f'{mode} packet forwarding')
    time.sleep(SECONDS / 4)
    first, begun = _count(rx, port), time.monotonic()
    time.sleep(SECONDS)
    last, ended = _count(rx, port), time.monotonic()
    for job in (tx, rx):
        vmpair.ask(job, 'stop', r'^Done\.')
    lab.check(last > first, f'port {port}: nothing arrived within {SECONDS} s')
    return (last - first) / (ended - begun) / 1e6


def run(say, mode):
    """{contestant: [Mpps of each slice]}"""
    found = {name: [] for name in CONTESTANTS}
    try:
        with VmSet(timeout=vmpair.BOUND * 2, echo=None, logs=str(lab.log_dir() / 'vm')) as vms:
            server = vms.server('64M', vectors=2)
            path = vms.path('virtio.sock')
            for name in 'ab':
                vms.add(name, devices=[doorbell(server.socket, vectors=2)],
                        qemu=virtio(path, name == 'a'))
            vms.vms[0].start()
            lab.wait_until(Path(path).exists, 30, 'the socket of guest a')
            vms.start()
            jobs = [vm.start_job(SCRIPT.format(mode=mode, virtio=VIRTIO_ADDR), stdin=True)
                    for vm, mode in zip(vms.vms, ('txonly', 'rxonly'))]
            for job in jobs:
                job.wait_line('^Done', 120)
            for turn in range(SLICES[mode]):
                order = list(CONTESTANTS)[::-1] if turn % 2 else list(CONTESTANTS)
                for name in order:
                    found[name].append(_slice(*jobs, CONTESTANTS[name]))
                say('VM to VM     ' + '  '.join(f'{name} {rates[-1]:.3f}'
                                                for name, rates in found.items()) + ' Mpps')
            vmpair.end(jobs)
            vms.finish()
    except (VmError, GuestError) as error:
        raise lab.Failure(f'VM to VM: {error}; logs: {lab.log_dir()}/vm')
    return found


def ratio(found):
    """Median of the ratios, pair by pair."""
    return statistics.median(ours / theirs for ours, theirs in zip(*found.values()))


def table(found):
    text = [f'VM to VM, {SIZE} B, testpmd txonly to rxonly, emulated    median']
    text += [f'  {name:52} {statistics.median(rates):6.3f} Mpps' for name, rates in found.items()]
    text.append(f'  {" / ".join(found):52} {ratio(found):6.1f} x     target {LIMIT}: '
                + ('reached' if ratio(found) >= LIMIT else 'MISSED'))
    return '\n'.join(text)


def document(found):
    return {'size': SIZE, 'mpps': found}
