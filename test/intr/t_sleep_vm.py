# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Guests that sleep on Rx interrupts: no wakeup is lost, and nobody who is awake is rung.

    a0 - b0              5 vectors: every queue has its own; QEMU sees doorbells (ioeventfd=off)
    a1 - b1              1 vector, QEMU's default: vector 0 for all
    a2 - b2              2 and 8 vectors, where the server gives 2
    a3 - b3              5 and 2 vectors, where the server gives 5
    a4 - host process    5 vectors, where the server gives 64
    b4                   ivshmem-plain: none
"""

import subprocess

import driver
import lab
import sleepers
from driver import GuestEnd
from sleepers import Sleeper, check_honest, check_refused, check_round_trips, check_vectors
from vmset import doorbell, plain

QUEUES = 4
ROUNDS = 100000 if lab.LONG else 10000
ALL_ROUNDS = 2 * ROUNDS     # of all cases
ROUND_SECONDS = 0.03        # a bound, not an expectation: interrupts are dear under emulation
BOOT_SECONDS = 200
SERVED = [5, 1, 2, 5, 64]
VECTORS = {'a': [5, 1, 2, 5, 5], 'b': [5, 1, 8, 2]}
FRAMES = 1000000
TRACED = 'memory_region_ops_write'


class GuestSleeper:
    """ivshmem-sleeper in a guest; the counterpart of sleepers.Sleeper."""

    def __init__(self, end, role, **keys):
        self.name = f'{role} in {end.name}'
        self.job = end.vm.start_job(' '.join([
            'exec ivshmem-sleeper', driver.GUEST_EAL.format(level='info'), end.allow,
            *sleepers.arguments(role, keys)]))

    def output(self):
        return self.job.output

    def result(self, seconds=driver.WAIT):
        return sleepers.result(self.name, self.job.wait(seconds), self.output())


class World:
    def __init__(self, vms):
        self.vms = vms
        self.servers = [vms.server('16M', vectors=count, options=f'--ports 2 --queues {QUEUES}')
                        for count in SERVED]
        self.ends = {'a': self._add('a'), 'b': self._add('b', self._plain())}
        self.plain = GuestEnd(self.ends['b'][0].vm, len(VECTORS['b']), 'port=0')
        vms.start()
        for vm in vms.vms:
            driver.bind(vm, len(vm.config['devices']))

    def _plain(self):
        path = self.vms.path('plain')
        subprocess.run([lab.server(), 'format', '--size', '16M', '--ports', '2', path], check=True,
                       timeout=60, stdout=subprocess.DEVNULL)
        return plain(path, '16M')

    def _add(self, name, *more):
        devices = [doorbell(server.socket, count, props='' if at else 'ioeventfd=off')
                   for at, (server, count) in enumerate(zip(self.servers, VECTORS[name]))]
        vm = self.vms.add(name, memory=384, hugepages=80, devices=[*devices, *more],
                          add=((str(sleepers.SLEEPER), None),),
                          qemu=('-D', self.trace(name), '-trace', TRACED))
        return [GuestEnd(vm, at) for at in range(len(devices))]

    def trace(self, name):
        return self.vms.path(f'trace-{name}')

    def doorbells(self):
        """Writes to the registers of a0 and b0 so far, as QEMU traced them."""
        count = 0
        for name in VECTORS:
            with open(self.trace(name), encoding='ascii', errors='replace') as stream:
                count += sum("name 'ivshmem-mmio'" in line for line in stream)
        return count


shared = driver.Shared(World, timeout=BOOT_SECONDS + ALL_ROUNDS * ROUND_SECONDS)


def bound(rounds):
    return driver.WAIT + rounds * ROUND_SECONDS


def guests(index, own, rounds):
    """Round trips from b to a; own: of their queues, those that must have a vector."""
    ends = shared.get().ends
    sides = [GuestSleeper(ends['a'][index], 'pong', queues=QUEUES),
             GuestSleeper(ends['b'][index], 'ping', queues=QUEUES, count=rounds)]
    found = check_round_trips(sides[1], sides[0], rounds, bound(rounds))
    for side, count in zip(sides, own):
        check_vectors(side, QUEUES, count)
    return found


def own_vectors():
    for found in guests(0, (4, 4), ROUNDS):
        lab.check(found.get('control_interrupts', 0) < 10, f'{found}')


def one_vector_for_all():
    for found in guests(1, (0, 0), ROUNDS // 4):
        lab.check(found['control_interrupts'] > ROUNDS // 16, f'{found}')


def as_many_vectors_as_the_server_and_more():
    guests(2, (1, 1), ROUNDS // 4)


def rings_who_has_more_vectors():
    """b can ring two of a's vectors: for the other queues it rings vector 0, which relays."""
    rounds = ROUNDS // 4
    for found in guests(3, (4, 1), rounds):
        lab.check(found['control_interrupts'] > rounds // 8, f'{found}')


def guest_with_fewer_vectors_and_host_process():
    world = shared.get()
    pong = GuestSleeper(world.ends['a'][4], 'pong', queues=QUEUES)
    ping = Sleeper('host-ping', 'ping', f'net_ivshmem0,socket={world.servers[4].socket}',
                   queues=QUEUES, count=ROUNDS // 4)
    check_round_trips(ping, pong, ROUNDS // 4, bound(ROUNDS // 4))
    check_vectors(pong, QUEUES, QUEUES)


def no_doorbell_while_polling():
    """10^6 frames to a queue that may sleep and is awake, then some to one that sleeps."""
    world = shared.get()
    for awake, count in (1, FRAMES), (0, 1000):
        before = world.doorbells()
        sink = GuestSleeper(world.ends['b'][0], 'sink', awake=awake)
        source = GuestSleeper(world.ends['a'][0], 'burst', count=count, ms=driver.WAIT * 1000,
                              spread=64, gap=0 if awake else 10000)
        sent, got = source.result(), sink.result()
        lab.check(sent['sent'] == got['received'] >= count, f'{sent}, {got}')
        check_honest(sent, got)
        rung = world.doorbells() - before
        print(f'{got["received"]} frames, {got["sleeps"]} sleeps: {rung} doorbells')
        told = sum(v for x in (sent, got) for k, v in x.items() if k.endswith('tx_doorbells'))
        lab.check(rung == told and (rung == 0) == (awake == 1),
                  f'{rung} doorbells, of which the driver counted {told}: {sent}, {got}')


def no_vectors():
    """A plain device has none, and uio_pci_generic gives none of those that a device has."""
    world = shared.get()
    uio = world.ends['b'][1]
    uio.vm.check(f'bind {uio.addr} uio_pci_generic')
    for end in world.plain, uio:
        sleeper = GuestSleeper(end, 'pong')
        check_refused(sleeper, sleeper.job.wait(driver.WAIT))
    uio.vm.check(f'bind {uio.addr} vfio-pci')


shared.main(own_vectors, one_vector_for_all, as_many_vectors_as_the_server_and_more,
            rings_who_has_more_vectors, guest_with_fewer_vectors_and_host_process,
            no_doorbell_while_polling, no_vectors)
