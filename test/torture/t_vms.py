#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Guests that are reset, and QEMUs that are killed, in mid-traffic: the host has it all back.

  ivshmem-torture-node, ping --- server --- guest, ivshmem-traffic, echo, zero_copy=1 or not

The guest's program is started again whenever it has booted, as an init system would.
"""

import os
import time

import driver
import lab
import torture
from vmset import VmSet, doorbell

KILLS = int(os.environ.get('IVSHMEM_TORTURE_VM_KILLS') or (16 if lab.LONG else 2))
VECTORS = 5         # as the server makes for 4 queues
FIRST_SECONDS = 2.0


class Guest:
    """A machine whose program echoes from its boot on."""

    def __init__(self, vms, service):
        self.vms, self.service = vms, service
        self.count = 0
        self.vm = None

    def boot(self):
        self.count += 1
        self.vm = self.vms.add(f'guest{self.count}',
                               devices=[doorbell(self.service.socket, VECTORS)])
        self.vms.start()
        self.echo()

    def echo(self):
        driver.bind(self.vm, 1)
        args = 'zero_copy=1' if self.count % 2 else ''
        self.run = driver.GuestEnd(self.vm, 0, args).traffic('echo', '--poll', 'yield', *PATIENT)
        self.run.port()

    def reset(self):
        self.vm.reset()
        self.echo()

    def kill(self):
        self.vm.kill()
        self.boot()

    def leave(self):
        self.run.job.kill('TERM')
        report = self.run.report()
        lab.check(report['totals']['leaked'] == 0, f'{report["totals"]}')
        self.vms.finish()


PATIENT = ['--wait', 3600, '--tx-timeout', 3600, '--mbufs', 4096]


def resets_and_kills(name, keys):
    chance = torture.seeded(name)
    service = torture.Service(name)
    roles = [torture.Role('a', 0, keys, ['--role', 'ping', '--burst', 32, '--count', 10 ** 12,
                                         '--ping-timeout', 10, *torture.MIXED])]
    group = torture.Group(name, roles, [('a', 'b', 'a')],
                          lambda _role: service.vdev('zero_copy=1'), service)
    done = {'reset': 0, 'kill': 0}
    with VmSet(timeout=120 * KILLS + 600) as vms:
        group.start('a').ready()
        guest = Guest(vms, service)
        guest.boot()
        group.check('the start')
        had = torture.belongings(service.server.pid)
        for turn in range(KILLS):
            what = ['reset', 'kill'][turn % 2]
            instant = chance.uniform(0, FIRST_SECONDS)
            group.resume()
            time.sleep(instant)
            getattr(guest, what)()
            group.check(f'{what} {instant:.3f} s after the traffic went on')
            now = torture.belongings(service.server.pid)
            lab.check(now == had, f'the server had {had}, after a {what} it has {now}')
            done[what] += 1
            torture.progress(f'{name}: {turn + 1} of {KILLS}: {done}')
        guest.leave()
        group.end()
    print(f'{name}: {done}, {torture.FRAMES} checked frames there and back and an account after '
          'each', flush=True)


def awake():
    resets_and_kills('awake', [])


def asleep():
    """The host's port sleeps: only what the guest's doorbell, or the server, rings wakes it."""
    resets_and_kills('asleep', ['sleep=1'])


lab.main(awake, asleep)
