# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""The driver in one guest: frames to and from a process of the host, and what it refuses.

    a0   ivshmem-doorbell, 16 MiB, the host's process at the other end
    a1   ivshmem-plain, 1 MiB, a foreign region
    a2   ivshmem-plain, 1 MiB, formatted
"""

import random
import subprocess
from pathlib import Path

import driver
import lab
import pair
from driver import IMIX, SEGMENTED, GuestEnd, HostEnd, options_of, send
from vmset import doorbell, plain

HOST, FOREIGN, PLAIN = range(3)
MIB = 1 << 20
AVP = '0x1104'              # the subsystem of net_avp's devices
RING_PORT = '--vdev net_ring0'
SELF_TEST = ['--role', 'gensink', '--count', 1000, '--idle', 1, '--json', '--quiet']


class World:
    """The guest's devices and their other ends."""

    def __init__(self, vms):
        self.server = vms.server('16M', vectors=4, options='--ports 2')
        self.host = HostEnd(self.server)
        self.files = {FOREIGN: Path(vms.region('1M', 'foreign')), PLAIN: Path(vms.path('plain'))}
        subprocess.run([lab.server(), 'format', '--size', '1M', '--ports', '2',
                        self.files[PLAIN]], check=True, timeout=60, stdout=subprocess.DEVNULL)
        # the host's process is there before the guest exists
        self.early = self.host.traffic('sink', *options_of(20000, *IMIX))
        self.early.port()
        self.vm = vms.add('a', devices=[doorbell(self.server.socket, 4),
                                        *(plain(self.files[x], '1M') for x in (FOREIGN, PLAIN))])
        vms.start()
        driver.bind(self.vm, 3)
        self.ends = [GuestEnd(self.vm, index) for index in range(3)]

    def alone(self, index, args='', more=''):
        """ivshmem-traffic with just this device (and `more`): (exit status, lines)."""
        end = GuestEnd(self.vm, index, args)
        job = self.vm.run(driver.guest_script('ivshmem-traffic', f'{end.allow} {more}', SELF_TEST,
                                              level='notice'), driver.WAIT)
        return job.status, job.lines


shared = driver.Shared(World)


def host_process_before_the_guest():
    world = shared.get()
    gen = world.ends[HOST].traffic('gen', *options_of(20000, *IMIX))
    driver.judge(gen, world.early, 20000)
    found = gen.port()
    lab.check(found == (1, 2, 'pci', 16 * MIB), f'port, ports, front and bytes are {found}; the '
              'host came first and has port 0')


def guest_before_the_host_process():
    world = shared.get()
    guest = world.ends[HOST]
    runs = send(world.host, guest, 50000, *IMIX, first='sink')
    # the host's process left port 0, the next one gets it; the guest keeps its own
    lab.check(runs['sink'].port()[0] == 1, f'the guest has port {runs["sink"].port()[0]}')
    send(guest, world.host, 5000, *SEGMENTED, first='gen')
    send(world.host, guest, 5000, *SEGMENTED)


def silent(lines, what):
    said = [line for line in lines if not line.startswith('{"role"') and
            any(word in line.lower() for word in ('ivshmem: ', 'error', 'cannot', 'failed'))]
    lab.check(not said, f'{what}: not left alone in silence:\n' + '\n'.join(said))


def foreign_region_is_left_alone():
    """Nothing claimed, nothing said, nothing written, and the program's other port works."""
    world = shared.get()
    path = world.files[FOREIGN]
    ours = world.files[PLAIN].read_bytes()
    noise = random.Random(1).randbytes(MIB)
    for what, data in (('all zeroes', bytes(MIB)), ('noise', noise),
                       ('our format but for a bit of the magic',
                        bytes([ours[0] ^ 1]) + ours[1:])):
        with open(path, 'r+b') as file:
            file.write(data)
        status, lines = world.alone(FOREIGN, 'port=0', RING_PORT)
        lab.check(any('(1af4:1110) device: 0000:00:11.0' in line for line in lines),
                  f'{what}: the device was not looked at:\n' + '\n'.join(lines))
        silent(lines, what)
        lab.check(status == 0 and any('"name":"net_ring0"' in line for line in lines),
                  f'{what}: ivshmem-traffic on net_ring0 ended with {status}:\n'
                  + '\n'.join(lines))
        lab.check(path.read_bytes() == data, f'{what}: the region was written to')


def other_subsystem_is_not_claimed():
    """QEMU's ivshmem devices have no option for it: the guest is shown another number."""
    world = shared.get()
    before = world.files[PLAIN].read_bytes()
    shown = f'/sys/bus/pci/devices/{world.ends[PLAIN].addr}/subsystem_device'
    world.vm.check(f'echo {AVP} > /run/subsystem; mount --bind /run/subsystem {shown}; '
                   f'[ "$(cat {shown})" = {AVP} ]')
    try:
        status, lines = world.alone(PLAIN, 'port=0', RING_PORT)
    finally:
        world.vm.check(f'umount {shown}; [ "$(cat {shown})" = 0x1100 ]')
    claimed = [line for line in lines if 'net_ivshmem_pci' in line]
    lab.check(not claimed, 'the driver took it: ' + ' '.join(claimed))
    silent(lines, 'another subsystem')
    lab.check(status == 0, f'ivshmem-traffic on net_ring0 ended with {status}:\n'
              + '\n'.join(lines))
    lab.check(world.files[PLAIN].read_bytes() == before, 'the region was written to')


def refused(index, args, *words):
    """No port, and an error with all of the words in one line."""
    status, lines = shared.get().alone(index, args)
    said = [line for line in lines if 'IVSHMEM: ' in line]
    lab.check(status != 0, f'{args!r} on device {index} was not refused')
    lab.check(any(all(word in line for word in words) for line in said),
              f'{args!r} on device {index}: no error with {words} in:\n' + '\n'.join(lines))


def wrong_arguments_are_refused():
    refused(PLAIN, '', '0000:00:12.0', 'port=N', '-a 0000:00:12.0,port=0')
    refused(PLAIN, 'port=2', 'port', '2')
    refused(HOST, 'port=0', 'port=0', 'port 1')
    refused(HOST, 'socket=/run/x', 'socket=', 'valid: port=, mac=')


def port_in_use_is_refused():
    """Port 0 of the plain region is free again when the process of the host that held it ends."""
    world = shared.get()
    path = world.files[PLAIN]
    holder = pair.Shell('holder', f'net_ivshmem0,path={path},port=0')
    refused(PLAIN, 'port=0', 'port 0 is taken', f'process {holder.pid}')
    holder.quit()
    host = pair.Traffic('host-plain', 'sink', f'net_ivshmem0,path={path},port=1',
                        *options_of(20000, *IMIX))
    gen = GuestEnd(world.vm, PLAIN, 'port=0').traffic('gen', *options_of(20000, *IMIX))
    driver.judge(gen, host, 20000)


def works_without_vfio():
    """On uio_pci_generic, behind whose back nothing is translated: the driver has no DMA."""
    world = shared.get()
    end = GuestEnd(world.vm, PLAIN, 'port=1')
    world.vm.check(f'bind {end.addr} uio_pci_generic')
    host = pair.Traffic('host-uio', 'sink', f'net_ivshmem0,path={world.files[PLAIN]},port=0',
                        *options_of(20000, *IMIX))
    driver.judge(end.traffic('gen', *options_of(20000, *IMIX)), host, 20000)


shared.main(host_process_before_the_guest, guest_before_the_host_process,
            foreign_region_is_left_alone, other_subsystem_is_not_claimed,
            wrong_arguments_are_refused, port_in_use_is_refused,
            works_without_vfio)
