# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""DPDK's l2fwd and basicfwd, as Debian's source package has them, forward on the host."""

import examples
import lab
import pair
from driver import IMIX, HostEnd


def servers_and_ends():
    servers = [lab.Server('--ports', '2', '-l', '16M', name=f'server-{name}') for name in 'ab']
    return servers, [HostEnd(server, f'end-{name}') for server, name in zip(servers, 'ab')]


def l2fwd():
    program = examples.build('l2fwd', 'l2fwd')
    servers, ends = servers_and_ends()
    forwarder = examples.l2fwd_between(
        lambda: examples.HostForwarder(program, servers, *examples.L2FWD_OPTIONS), ends)
    examples.whole_pass(forwarder, ends, 1, '--sizes', '60-1514', '--segments', '1-3')
    examples.whole_pass(forwarder, ends, 0, *IMIX)
    examples.counted_pass(forwarder, ends, 1, 200000, *IMIX)
    examples.counted_pass(forwarder, ends, 0, 50000, '--sizes', '60-1514')
    status = forwarder.stop()
    lab.check(status == 0, f'l2fwd ended with {status}:\n{forwarder.process.tail()}')


def l2fwd_with_its_own_addresses():
    """By default l2fwd rewrites both addresses; the sink is promiscuous."""
    program = examples.build('l2fwd', 'l2fwd')
    servers, ends = servers_and_ends()
    options = [x for x in examples.L2FWD_OPTIONS if x != '--no-mac-updating']
    forwarder = examples.l2fwd_between(
        lambda: examples.HostForwarder(program, servers, *options), ends)
    examples.whole_pass(forwarder, ends, 1, *IMIX)
    lab.check(forwarder.stop() == 0, 'l2fwd did not end with status 0')


def basicfwd():
    program = examples.build('skeleton', 'basicfwd')
    servers, ends = servers_and_ends()
    forwarder = examples.HostForwarder(program, servers)
    examples.whole_pass(forwarder, ends, 1, *IMIX)
    examples.whole_pass(forwarder, ends, 0, '--sizes', '60-1514')
    lab.check(forwarder.process.running(), 'basicfwd has ended')


def send_in_place():
    """Ours: nothing is copied, and the sender gets all of its mbufs back."""
    program = examples.build('send-in-place', 'send-in-place', lab.ROOT)
    for args, pool in (('zero_copy=1,tx_pool=256', '256 mbufs of net_ivshmem0_tx'),
                       ('zero_copy=1', '4095 mbufs of send_in_place')):
        server = lab.Server('--ports', '2', '-l', '16M', name='server-' + pool[:4].strip())

        def start(role, more):
            return lab.Process(f'in-place-{role}', [
                program, *pair.eal(64), '--vdev',
                f'net_ivshmem0,socket={server.socket},{more}', '--', role, 200000])
        receiver, sender = start('receive', 'zero_copy=1'), start('send', args)
        for process, line in ((receiver, 'received=200000'), (sender, 'sent=200000 out=0')):
            status = process.wait(100)
            lab.check(status == 0 and f'send-in-place: {line}\n' in process.output(),
                      f'{process.name} ended with {status}:\n{process.tail()}')
        lab.check(pool in sender.output(), f'not {pool}:\n{sender.tail()}')
        lab.check(server.stop() == 0, 'the server did not end with status 0')


lab.main(send_in_place, l2fwd, l2fwd_with_its_own_addresses, basicfwd)
