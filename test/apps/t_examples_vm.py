# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""DPDK's l2fwd forwards in a guest between two PCI devices; both neighbours are on the host."""

import driver
import examples
import lab
from driver import IMIX, HostEnd
from vmset import doorbell


def boot(vms):
    program = examples.build('l2fwd', 'l2fwd')
    servers = [vms.server('16M', vectors=4, options='--ports 2') for _ in 'ab']
    vm = vms.add('a', devices=[doorbell(server.socket, 4) for server in servers],
                 add=((str(program.resolve()), '/usr/bin/l2fwd'),))
    vms.start()
    driver.bind(vm, 2)
    return vm, [HostEnd(server, f'end-{name}') for server, name in zip(servers, 'ab')]


shared = driver.Shared(boot)


def l2fwd_in_a_guest():
    vm, ends = shared.get()
    forwarder = examples.l2fwd_between(
        lambda: examples.GuestForwarder(vm, 'l2fwd', *examples.L2FWD_OPTIONS), ends)
    examples.whole_pass(forwarder, ends, 0, '--sizes', '60-1514', '--segments', '1-3')
    examples.whole_pass(forwarder, ends, 1, *IMIX)
    examples.counted_pass(forwarder, ends, 1, 50000, *IMIX)
    status = forwarder.stop()
    lab.check(status == 0, f'l2fwd ended with {status}:\n' + forwarder.text()[-1500:])


shared.main(l2fwd_in_a_guest)
