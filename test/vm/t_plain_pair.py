# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Two guests with ivshmem-plain on one file see each other's words in BAR2."""

import struct

import lab
from vmset import VmSet, plain, size_bytes

SIZE = '1M'
LAST = size_bytes(SIZE) - 4
PING, PONG, HOST = 0x70696e67, 0x706f6e67, 0x686f7374


def words_both_ways():
    with VmSet() as vms:
        path = vms.region(SIZE)
        with open(path, 'r+b') as stream:
            stream.seek(64)
            stream.write(struct.pack('<I', HOST))
        a = vms.add('a', devices=[plain(path, SIZE)])
        b = vms.add('b', devices=[plain(path, SIZE)])
        vms.start()
        for vm in vms.vms:
            found = vm.check('ivshmem_addrs').split()
            lab.check(found == ['0000:00:10.0'], f'{vm.name}: ivshmem devices {found}')
            seen = vm.check('vmtool get $(bar2 0000:00:10.0) 64').strip()
            lab.check(seen == f'{HOST:#010x}', f"{vm.name}: the host's word reads {seen}")
        jobs = vms.together({
            a: f'bar=$(bar2 0000:00:10.0); vmtool put $bar 0 {PING}; '
               f'vmtool wait $bar {LAST} {PONG} 100',
            b: f'bar=$(bar2 0000:00:10.0); vmtool wait $bar 0 {PING} 100 && '
               f'vmtool put $bar {LAST} {PONG}',
        }, timeout=120)
        for vm, job in jobs.items():
            lab.check(job.status == 0, f'{vm.name}: status {job.status}:\n{job.output}')
        # a word that nobody writes does not appear
        status = a.run(f'vmtool wait $(bar2 0000:00:10.0) 128 {PING} 1').status
        lab.check(status == 1, f'waiting for an absent word ended with {status}')
        vms.finish()
        with open(path, 'rb') as stream:
            data = stream.read()
    lab.check(struct.unpack_from('<I', data)[0] == PING, "the host does not see guest a's word")
    lab.check(struct.unpack_from('<I', data, LAST)[0] == PONG,
              "the host does not see guest b's word")


def bound_to_vfio():
    """The device gets a group of its own behind the vIOMMU, on the bus and behind a port."""
    with VmSet() as vms:
        path = vms.region(SIZE)
        vm = vms.add('a', devices=[plain(path, SIZE), plain(path, SIZE, hotplug=True)])
        vms.start()
        addrs = vm.check('ivshmem_addrs').split()
        lab.check(len(addrs) == 2, f'ivshmem devices {addrs}')
        for addr in addrs:
            vm.check(f'bind {addr} vfio-pci')
            driver = vm.check(f'basename $(readlink /sys/bus/pci/devices/{addr}/driver)').strip()
            lab.check(driver == 'vfio-pci', f'{addr} is bound to {driver}')
            vm.check(f'bind {addr} none')
        vm.check(f'bind {addrs[0]} uio_pci_generic')
        refused = vm.run('bind 0000:00:1e.7 vfio-pci')
        lab.check(refused.status == 1 and '0000:00:1e.7' in refused.output,
                  f'binding an absent device: {refused.status} {refused.output}')
        vm.device_del(1)
        left = vm.check('ivshmem_addrs').split()
        lab.check(left == addrs[:1], f'devices after the removal: {left}')
        vms.finish()


lab.main(words_both_ways, bound_to_vfio)
