# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Devices as people have them: four in a guest, any number of vectors, uio, BAR0s in one page.

    a0 - b0              1 vector     each on a server of its own, whose ports have 4 queues
    a1 - host process    4 vectors    and 5 vectors
    a2 - host process    5 vectors
    a3 - host process    8 vectors

Guest b has no IOMMU: its device is bound to uio_pci_generic, those of guest a to vfio-pci.
"""

import driver
import lab
from driver import IMIX, SEGMENTED, GuestEnd, HostEnd, send, send_all
from vmset import doorbell

VECTORS = [1, 4, 5, 8]
SERVED_VECTORS = 5
QUEUES = 4
PAGE = 4096
FEW = ('--desc', 256)           # several programs share the guest's memory
SELF_TEST = ['--role', 'gensink', '--count', 10, '--idle', 1, '--json', '--quiet']
# vfio's mappings in all ivshmem-traffic; it puts the physical address where a file's offset is.
MAPPED = """cat $(pidof ivshmem-traffic | sed -E 's,([0-9]+),/proc/\\1/maps,g') |
    sed -nE 's/^[0-9a-f-]+ [rwxsp-]+ ([0-9a-f]+) .*anon_inode:.vfio-device.*/\\1/p'"""


class World:
    """Guest b is at its server before guest a, the processes of the host come later."""

    def __init__(self, vms):
        options = f'--ports 2 --queues {QUEUES}'
        servers = [vms.server('16M', vectors=SERVED_VECTORS, options=options) for _ in VECTORS]
        self.b = vms.add('b', iommu=None, devices=[doorbell(servers[0].socket, VECTORS[0])])
        self.b.start()
        servers[0].wait_line('.*attach id=0 ', 60)
        self.a = vms.add('a', memory=384, hugepages=80, devices=[
            doorbell(server.socket, count) for server, count in zip(servers, VECTORS)])
        vms.start()
        driver.bind(self.a, len(VECTORS))
        self.b.check('[ -z "$(ls /sys/kernel/iommu_groups)" ] && '
                     'bind $(ivshmem_addr) uio_pci_generic')
        self.ends = [GuestEnd(self.a, index) for index in range(len(VECTORS))]
        self.others = [GuestEnd(self.b), *(HostEnd(server, f'host{index}') for index, server
                                           in enumerate(servers[1:], 1))]


shared = driver.Shared(World)


def check_slot(run, index):
    """Its port is the one that its server gave it."""
    found = run.port()
    want = (0 if index else 1, 2, 'pci', 16 << 20)
    lab.check(found == want, f'{run.name}: port, ports, front and bytes are {found}, not {want}')


def bar(end, number):
    """Where in the guest's physical memory a BAR is."""
    return int(end.vm.check(f'sed -n {number + 1}p /sys/bus/pci/devices/{end.addr}/resource')
               .split()[0], 16)


def four_devices_at_once_with_any_number_of_vectors():
    """Fewer than queues, fewer than the server's, as many, more: all poll, all work."""
    world = shared.get()
    ends, others = world.ends, world.others
    runs = send_all([(ends[0], others[0]), (ends[1], others[1]), (others[2], ends[2]),
                     (others[3], ends[3])], 5000, *IMIX, *FEW, queues=QUEUES)
    mine = [runs[0][0], runs[1][0], runs[2][1], runs[3][1]]
    for index, (run, count) in enumerate(zip(mine, VECTORS)):
        check_slot(run, index)
        run.wait_line(rf'IVSHMEM: ivshmem: {ends[index].addr}: {count} interrupt vectors$')


def uio_in_one_guest_vfio_in_the_other():
    world = shared.get()
    vfio, uio = world.ends[0], world.others[0]
    runs = send(uio, vfio, 20000, *IMIX), send(vfio, uio, 5000, *SEGMENTED)
    for found in runs[0]['gen'].port(), runs[1]['sink'].port():
        lab.check(found == (0, 2, 'pci', 16 << 20), f'{uio.name}: port, ports, front and bytes '
                  f'are {found}, not as the server said')


def share_a_page(vm, ends):
    """Has the guest's kernel place BAR0 of these devices anew; returns where they are."""
    addrs = ' '.join(end.addr for end in ends)
    vm.check(f'for addr in {addrs}; do echo 1 > /sys/bus/pci/devices/$addr/remove; done; '
             'echo 1 > /sys/bus/pci/rescan; '
             f'for addr in {addrs}; do bind $addr vfio-pci || exit 1; done')
    places = [bar(end, 0) for end in ends]
    lab.check(len(set(places)) == len(places) and len({x // PAGE for x in places}) == 1,
              f'BAR0s do not share a page: {[hex(x) for x in places]}')
    return places


def bar0s_in_one_page():
    """vfio does not let BAR0 be mapped then: the port's number is read through vfio's file."""
    world = shared.get()
    pairs = list(zip(world.others[:2], world.ends[:2]))
    for apart in True, False:
        if not apart:
            share_a_page(world.a, world.ends[:2])
        options = driver.options_of(5000, '--queues', QUEUES, *IMIX, *FEW)
        sinks = [end.traffic('sink', *options) for _, end in pairs]
        for index, sink in enumerate(sinks):
            check_slot(sink, index)
        mapped = {int(line, 16) for line in world.a.check(MAPPED).split()}
        for end in world.ends[:2]:
            lab.check(bar(end, 2) in mapped and (bar(end, 0) & -PAGE in mapped) == apart,
                      f'{end.name}: BAR0 at {bar(end, 0):#x}, {"apart" if apart else "shared"}, '
                      f'BAR2 at {bar(end, 2):#x}; mapped are {[hex(x) for x in mapped]}')
        for (other, _), sink in zip(pairs, sinks):
            driver.judge(other.traffic('gen', *options), sink, 5000 * QUEUES)
    send_all([(end, other) for other, end in pairs], 5000, *IMIX, *FEW, queues=QUEUES)


def uio_cannot_tell_bar0s_in_one_page_apart():
    """What it maps is the page: the second device is refused, before it takes a wrong number."""
    world = shared.get()
    places = share_a_page(world.a, world.ends[:2])
    end = world.ends[max((0, 1), key=lambda index: places[index])]
    world.a.check(f'bind {end.addr} uio_pci_generic')
    job = world.a.run(driver.guest_script('ivshmem-traffic', end.allow, SELF_TEST), driver.WAIT)
    lab.check(job.status != 0, f'{end.addr} was not refused')
    lab.check(any(end.addr in line and 'vfio-pci' in line and 'BAR0' in line
                  for line in job.lines if 'IVSHMEM: ' in line),
              'no error with the reason:\n' + '\n'.join(job.lines))
    world.a.check(f'bind {end.addr} vfio-pci')


shared.main(four_devices_at_once_with_any_number_of_vectors, uio_in_one_guest_vfio_in_the_other,
            bar0s_in_one_page, uio_cannot_tell_bar0s_in_one_page_apart)
