# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Two guests under emulation, each with both devices, that take turns in the same testpmd:

  guest a: testpmd txonly ---- ivshmem-doorbell, one region ------- guest b: testpmd rxonly
                          \\--- virtio-net, a stream socket of QEMU --/

Under emulation only ratios say something. Each guest has a CPU of its own, and the
real-time class while a slice lasts: two that poll and share a CPU pass a ring per time
slice, and nothing else is measured then.
"""

import os
import statistics
import time
from pathlib import Path

import lab
import pmd
import vmpair
from vmset import GuestError, VmError, VmSet, doorbell

# Ports in the order of their PCI addresses, and what their drivers are called.
CONTESTANTS = {'ivshmem': 1, 'virtio-net': 0}
DRIVERS = {'ivshmem': 'net_ivshmem', 'virtio-net': 'net_virtio'}
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


def _favour(vms, wanted):
    """A CPU for each guest, and the class for its threads: QEMU's own before the vCPU's."""
    for vm, cpu in zip(vms, lab.cpus(len(vms))):
        vcpus = {found['thread-id'] for found in vm.qmp('query-cpus-fast')}
        for task in os.listdir(f'/proc/{vm.pid}/task'):
            try:
                os.sched_setaffinity(int(task), {cpu})
            except OSError:
                continue        # it ended
            pmd.favour(int(task), (pmd.FORWARD if int(task) in vcpus else pmd.SERVE)
                       if wanted else 0)


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
    pmd.favour(0, pmd.WATCH)
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
                for name, port in CONTESTANTS.items():
                    vmpair.ask(job, f'show port info {port}', 'Driver name: ' + DRIVERS[name])
            for turn in range(SLICES[mode]):
                order = list(CONTESTANTS)[::-1] if turn % 2 else list(CONTESTANTS)
                for name in order:
                    _favour(vms.vms, True)
                    found[name].append(_slice(*jobs, CONTESTANTS[name]))
                    _favour(vms.vms, False)
                    time.sleep(SECONDS)
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
