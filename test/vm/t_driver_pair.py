# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""The driver in two guests: frames over doorbell and plain devices, testpmd, two devices at once.

    a0 - b0   ivshmem-doorbell, 64 MiB
    a1 - b1   ivshmem-plain, 1 MiB
    a2 - b2   ivshmem-plain, 1 GiB
"""

import subprocess

import driver
import lab
from driver import IMIX, SEGMENTED, GuestEnd, send
from vmset import doorbell, plain, size_bytes

SIZES = ['64M', '1M', '1G']


def boot(vms):
    """Guest b comes to the server before guest a: its port is 0."""
    server = vms.server(SIZES[0], vectors=4, options='--ports 2')
    devices = [doorbell(server.socket, 4)]
    for size in SIZES[1:]:
        path = vms.path(f'region{size}')
        subprocess.run([lab.server(), 'format', '--size', size, '--ports', '2', path],
                       check=True, timeout=60, stdout=subprocess.DEVNULL)
        devices.append(plain(path, size))
    vms.add('b', devices=devices).start()
    server.wait_line('.*attach id=0 ', 60)
    vms.add('a', devices=devices)
    vms.start()
    for vm in vms.vms:
        driver.bind(vm, len(devices))
    b, a = vms.vms
    return {'a': [GuestEnd(a, i, 'port=0' if i else '') for i in range(len(devices))],
            'b': [GuestEnd(b, i, 'port=1' if i else '') for i in range(len(devices))]}


shared = driver.Shared(boot)


def exchange(index, *transfers):
    """Both are at the port and in the region they should be; each transfer is judged."""
    ends = {name: end[index] for name, end in shared.get().items()}
    slots = {'a': 0, 'b': 1} if index else {'a': 1, 'b': 0}
    for sender, receiver, count, options, first in transfers:
        runs = send(ends[sender], ends[receiver], count, *options, first=first)
        for role, name in (('gen', sender), ('sink', receiver)):
            want = (slots[name], 2, 'pci', size_bytes(SIZES[index]))
            found = runs[role].port()
            lab.check(found == want, f'{ends[name].name}: port, ports, front and bytes are '
                      f'{found}, not {want}')


def doorbell_pair_exchanges_frames():
    exchange(0, ('b', 'a', 50000, IMIX, 'sink'), ('a', 'b', 50000, IMIX, 'gen'),
             ('a', 'b', 5000, SEGMENTED, None), ('b', 'a', 5000, SEGMENTED, None))


def plain_pair_exchanges_frames_over_1_mib():
    exchange(1, ('a', 'b', 50000, IMIX, 'gen'), ('b', 'a', 5000, SEGMENTED, None))


def plain_pair_exchanges_frames_over_1_gib():
    exchange(2, ('b', 'a', 50000, IMIX, None), ('a', 'b', 5000, SEGMENTED, 'sink'))


def testpmd_counts_what_it_sent():
    """txonly to rxonly, each way; after the stop the receiver has all."""
    ends = shared.get()
    testpmds = {name: driver.Testpmd(ends[name][0].vm, ends[name][0].allow) for name in 'ab'}
    for tx, rx in (testpmds['a'], testpmds['b']), (testpmds['b'], testpmds['a']):
        tx.ask_all('set fwd txonly', 'clear port stats all')
        rx.ask_all('set fwd rxonly', 'clear port stats all', 'start')
        tx.ask('start')
        lab.wait_until(lambda rx=rx: rx.counter('RX-packets') > 100000, driver.WAIT,
                       f'100000 packets from {tx.vm.name} to {rx.vm.name}')
        tx.ask('stop')
        sent = tx.counter('TX-packets')
        lab.wait_until(lambda rx=rx, sent=sent: rx.counter('RX-packets') >= sent, driver.WAIT,
                       f'the {sent} packets that {tx.vm.name} sent')
        rx.ask('stop')
        got, missed, errors = (rx.counter(name) for name in
                               ('RX-packets', 'RX-missed', 'RX-errors'))
        lab.check((got, missed, errors) == (sent, 0, 0),
                  f'{tx.vm.name} sent {sent} packets, {rx.vm.name} received {got}, missed '
                  f'{missed}, errors {errors}')
    for testpmd in testpmds.values():
        testpmd.quit()


def one_process_forwards_between_two_devices():
    """b0 -> a0 -> a2 -> b2: testpmd in a has both devices. It drops what a full ring does not
    take, so all frames fit into the rings it asks for, however long the sink is away; the first
    of them must get through like the others."""
    ends, count = shared.get(), 3000
    a, b = ends['a'], ends['b']
    forwarder = driver.Testpmd(a[0].vm, f'{a[0].allow} {a[2].allow}', '--txd=4096')
    forwarder.ask_all('set fwd io', 'start')
    forwarder.wait_link(1, 'down')
    sink = b[2].traffic('sink', *driver.options_of(count, *IMIX))
    sink.polls()
    forwarder.wait_link(1, 'up')
    driver.judge(b[0].traffic('gen', *driver.options_of(count, *IMIX)), sink, count)
    forwarder.ask('stop')
    seen = [forwarder.counter('RX-packets', 0), forwarder.counter('TX-packets', 1)]
    lab.check(seen == [count] * 2, f'testpmd in a received and sent {seen} packets')
    forwarder.quit()


shared.main(doorbell_pair_exchanges_frames, plain_pair_exchanges_frames_over_1_mib,
            plain_pair_exchanges_frames_over_1_gib, testpmd_counts_what_it_sent,
            one_process_forwards_between_two_devices)
