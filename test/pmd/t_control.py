#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""What the ethdev calls promise: addresses and filters, MTU, scattered Rx, queues, statistics.

  shell a (port 0) --- region --- shell b (port 1)
"""

import errno

import lab
import pair

ALL = 'ff:ff:ff:ff:ff:ff'
GROUP = '01:00:5e:00:00:%02x'


def mac_is_stable():
    """Made of region and slot: local, unicast, the same in each life, another in each slot."""
    region = pair.Region('16M')
    macs = {}
    for turn in range(3):
        for slot in (0, 1):
            shell = pair.Shell(f'mac-{turn}{slot}', region.vdev(f'port={slot}'))
            mac = shell.do('mac 0')['mac']
            first = int(mac[:2], 16)
            lab.check(first & 3 == 2, f'{mac} is not a local unicast address')
            lab.check(macs.setdefault(slot, mac) == mac, f'slot {slot} had {macs[slot]}, has {mac}')
            shell.quit()
    other = pair.Shell('mac-other', pair.Region('16M').vdev('port=0'))
    macs[2] = other.do('mac 0')['mac']
    lab.check(len(set(macs.values())) == 3, f'{macs} are not different')
    other.quit()


def mac_is_settable():
    """By an argument, and at run time: then the filter follows."""
    region = pair.Region()
    shell = pair.Shell('mac-arg', region.vdev('mac=02:11:22:33:44:55'))
    lab.check(shell.do('mac 0')['mac'].lower() == '02:11:22:33:44:55', 'mac= was not taken')
    shell.quit()
    a, b = pair.shell_pair(region, 'mac-')
    old = b.do('mac 0')['mac']
    new = '02:00:00:00:00:99'
    b.do('promisc 0 off')
    expect_arrives(a, b, old, True)
    expect_arrives(a, b, new, False)
    lab.check(b.do(f'mac 0 {new}')['mac'].lower() == new, 'the address was not set')
    expect_arrives(a, b, old, False)
    expect_arrives(a, b, new, True)
    b.do('stop 0')
    b.do('start 0')
    lab.check(b.do('mac 0')['mac'].lower() == new, 'a stop lost the address')
    b.refused('mac 0 01:00:00:00:00:01')
    b.refused('mac 0 00:00:00:00:00:00')
    pair.quit_all(a, b)


def expect_arrives(a, b, dst, arrives):
    a.link('up')
    a.do(f'dst {dst}')
    sent = a.do('send 0 0 3 64')
    got = b.do(f'recv 0 0 {3 if arrives else 100} {5000 if arrives else 50}')
    lab.check(sent['sent'] == 3 and got['got'] == (3 if arrives else 0) and not got['bad'],
              f'to {dst}: {got}, not {"all" if arrives else "none"}')


def filters():
    """Promiscuous, allmulticast and the multicast list, each as it is switched."""
    region = pair.Region()
    a, b = pair.shell_pair(region, 'filter-')
    own = b.do('mac 0')['mac']
    foreign = '02:00:00:00:00:77'
    b.do('promisc 0 on')
    for dst in (own, foreign, GROUP % 1, ALL):
        expect_arrives(a, b, dst, True)
    b.do('promisc 0 off')
    for dst in (own, ALL):
        expect_arrives(a, b, dst, True)
    for dst in (foreign, GROUP % 1):
        expect_arrives(a, b, dst, False)
    b.do('allmulti 0 on')
    expect_arrives(a, b, GROUP % 1, True)
    expect_arrives(a, b, foreign, False)
    b.do('allmulti 0 off')
    expect_arrives(a, b, GROUP % 1, False)
    b.do(f'mclist 0 {GROUP % 1} {GROUP % 2}')
    for last, arrives in ((1, True), (2, True), (3, False)):
        expect_arrives(a, b, GROUP % last, arrives)
    b.do(f'mclist 0 {GROUP % 3}')
    for last, arrives in ((1, False), (2, False), (3, True)):
        expect_arrives(a, b, GROUP % last, arrives)
    b.do('mclist 0')
    expect_arrives(a, b, GROUP % 3, False)
    b.do('mclist 0 ' + ' '.join(GROUP % i for i in range(16)))
    expect_arrives(a, b, GROUP % 15, True)
    refusal = b.refused('mclist 0 ' + ' '.join(GROUP % i for i in range(17)), '17', '16',
                        'allmulticast')
    lab.check(refusal.errno == errno.ENOSPC, f'errno {refusal.errno}')
    expect_arrives(a, b, GROUP % 15, True)      # the list before is still the list
    pair.quit_all(a, b)


def mtu_and_limits():
    region = pair.Region()
    a, b = pair.shell_pair(region, 'mtu-', options='scatter=1 segs=1 mtu=9600')
    info = b.do('info 0')
    lab.check((info['min_mtu'], info['max_mtu'], info['max_rx_pktlen']) == (68, 9600, 9618),
              f'{info}')
    for mtu in (9600, 1500, 68, 4000, 9600):
        lab.check(b.do(f'mtu 0 {mtu}')['mtu'] == mtu, f'MTU {mtu} was not set')
        before = b.do('xstats 0')['rx_too_long']
        for size, arrives in ((mtu + 18, 1), (mtu + 19, 0)):
            if size > 9618:
                continue
            a.do(f'send 0 0 1 {size} 5')
            got = b.do(f'recv 0 0 {1 if arrives else 100} {5000 if arrives else 50}')
            lab.check(got['got'] == arrives and not got['bad'], f'MTU {mtu}, {size} bytes: {got}')
        lab.check(b.do('xstats 0')['rx_too_long'] == before + (mtu < 9600), 'rx_too_long')
    for mtu in (67, 9601, 65535):
        refusal = b.refused(f'mtu 0 {mtu}')
        lab.check(refusal.errno == errno.EINVAL, f'MTU {mtu}: errno {refusal.errno}')
        lab.check(b.do('mtu 0')['mtu'] == 9600, 'a refused MTU was set')
    pair.quit_all(a, b)
    # what the geometry can not carry is not offered
    shell = pair.Shell('mtu-small', pair.Region('4M', buf_size=256, ring_size=32).vdev())
    lab.check(shell.do('info 0')['max_mtu'] == 32 * 128 - 18, f'{shell.do("info 0")}')
    shell.do('pool 1023 9000')
    shell.refused('configure 0 1 1 mtu=9000')
    shell.quit()


def mtu_needs_scatter():
    """A larger MTU while the port runs, when its frames would need several mbufs."""
    region = pair.Region()
    a, b = pair.shell_pair(region, 'grow-')
    b.refused('mtu 0 9000')
    lab.check(b.do('mtu 0')['mtu'] == 1500, 'a refused MTU was set')
    a.exchange(b, length=1518)
    pair.quit_all(a, b)


def scattered_rx():
    """Small mbufs: a frame of 9,618 bytes in 76 of them, and one of a single byte in the last."""
    region = pair.Region()
    a = pair.Shell('scatter-a', region.vdev()).up(options='segs=1 scatter=1 mtu=9600')
    b = pair.Shell('scatter-b', region.vdev()).up(pool='8191 128', options='scatter=1 mtu=9600')
    a.link('up')
    b.link('up')
    a.meet(b)
    for size in (60, 127, 128, 129, 256, 257, 1793, 3584, 3585, 9617, 9618):
        sent = a.do(f'send 0 0 10 {size} {min(5, size // 20)}')
        got = b.do('recv 0 0 10 5000')
        lab.check(sent['sent'] == got['got'] == 10 and not got['bad'] and not got['gaps'] and
                  got['segs'] == -(-size // 128), f'{size} bytes: {sent}, {got}')
    info = b.do('info 0')
    lab.check(info['scattered'] == 1 and info['rx_buf'] == 128, f'{info}')
    lab.check(a.do('info 0')['scattered'] == 1, 'mbufs of 2048 hold no frame of 9618')
    memory = b.do('memory')
    lab.check(memory['mbufs'] == memory['of'], f'mbufs are missing: {memory}')
    pair.quit_all(a, b)


def statistics():
    """Counts and bytes, in sum and of each queue; a reset sets all to 0."""
    region = pair.Region(queues=4)
    a, b = pair.shell_pair(region, 'stats-', queues=4)
    a.do('reset 0')
    b.do('reset 0')
    for queue in range(4):
        count, size = 10 + queue, 100 + queue
        lab.check(a.do(f'send 0 {queue} {count} {size}')['sent'] == count, 'not sent')
        lab.check(b.do(f'recv 0 {queue} {count}')['got'] == count, 'not received')
    sent, got = a.do('xstats 0'), b.do('xstats 0')
    frames, octets = sum(10 + q for q in range(4)), sum((10 + q) * (100 + q) for q in range(4))
    for queue in range(4):
        count, size = 10 + queue, 100 + queue
        for values, side in ((sent, 'tx'), (got, 'rx')):
            lab.check(values[f'{side}_q{queue}_packets'] == count and
                      values[f'{side}_q{queue}_bytes'] == count * size,
                      f'{side} queue {queue}: {values}')
    for shell, side in ((a, 'o'), (b, 'i')):
        values = shell.do('stats 0')
        lab.check(values[side + 'packets'] == frames and values[side + 'bytes'] == octets,
                  f'{shell.name}: {values}')
        shell.do('reset 0')
        lab.check(not any(shell.do('stats 0').values()), f'{shell.do("stats 0")} after a reset')
        left = {k: v for k, v in shell.do('xstats 0').items() if v}
        lab.check(set(left) <= {'port_slot', 'port_life', 'port0_state', 'port0_life',
                                'port1_state', 'port1_life', 'memory_load_ns'},
                  f'{left} after a reset')
    # and they go on from there, over a stop
    a.exchange(b)
    lab.check(b.do('stats 0')['ipackets'] == 101, f'{b.do("stats 0")}')
    b.do('stop 0')
    b.do('start 0')
    lab.check(b.do('stats 0')['ipackets'] == 101, f'{b.do("stats 0")} after a stop')
    pair.quit_all(a, b)


def reset_of_losses():
    """A reset covers what is counted on the rings, too."""
    region = pair.Region()
    a, b = pair.shell_pair(region, 'reset-')
    a.do('send 0 0 30 64')
    b.do('stop 0')
    b.do('start 0')
    b.link('up')
    a.link('up')
    a.meet(b)
    lab.check(a.do('xstats 0')['tx_lost_on_restart'] >= 30, 'nothing was lost')
    a.do('reset 0')
    left = a.do('xstats 0')
    lab.check(left['tx_lost_on_restart'] == left['link_changes'] == 0, f'{left} after a reset')
    a.do('send 0 0 20 64')
    b.do('stop 0')
    b.do('start 0')
    b.link('up')
    a.link('up')
    astray = a.meet(b)
    lab.check(a.do('xstats 0')['tx_lost_on_restart'] == 20 + astray, f'{a.do("xstats 0")}')
    pair.quit_all(a, b)


def xstat_names():
    """The names that programs and the guide know."""
    shell = pair.Shell('names', pair.Region('16M').vdev()).up()
    found = {n for n in shell.do('xstats 0') if '_q' not in n}
    wanted = {'rx_good_packets', 'tx_good_packets', 'rx_good_bytes', 'tx_good_bytes',
              'rx_missed_errors', 'rx_errors', 'tx_errors', 'rx_mbuf_allocation_errors',
              'rx_bad_flags', 'rx_bad_section', 'rx_bad_buffer', 'rx_bad_length', 'rx_bad_chain',
              'rx_too_long', 'rx_not_mine', 'rx_discarded_on_restart', 'rx_bad_index',
              'rx_bad_ring', 'rx_lost_on_restart', 'tx_ring_full', 'tx_too_long', 'tx_too_short',
              'tx_bad_index', 'tx_lost_on_restart', 'link_changes', 'peer_restarts', 'port_slot',
              'port_life', 'port1_state', 'port1_life', 'tx_dropped', 'tx_to_self', 'mac_conflicts',
              'memory_load_ns', 'memory_uncached'}
    lab.check(found >= wanted, f'missing: {sorted(wanted - found)}')
    shell.quit()


def queues_and_descriptors():
    """Numbers of queues and descriptors: what is offered works, what is not is refused."""
    region = pair.Region('64M', queues=4)
    shell = pair.Shell('limits', region.vdev())
    shell.do('pool 4095 2048')
    info = shell.do('info 0')
    lab.check(info['driver'] == 'net_ivshmem' and info['max_rx_queues'] == 4 ==
              info['max_tx_queues'] and info['lsc'] == 1, f'{info}')
    lab.check((info['desc_min'], info['desc_max']) == (32, 32768), f'{info}')
    for desc in (32, 33, 100, 1024, 4096, 32768):
        shell.do(f'configure 0 1 1 desc={desc}')
        shell.do('start 0')
        info = shell.do('info 0')
        lab.check(info['rx_desc'] == info['tx_desc'] == desc, f'{desc} descriptors: {info}')
        lab.check(info['rx_state'] == info['tx_state'] == 1, f'{info}')
        shell.do('stop 0')
        info = shell.do('info 0')
        lab.check(info['rx_state'] == info['tx_state'] == 0, f'stopped: {info}')
    for desc in (1, 31, 32769, 65535):
        shell.refused(f'configure 0 1 1 desc={desc}')
    for queues in ('5 1', '1 5', '16 16'):
        shell.refused('configure 0 ' + queues)
    for queues, text in (('0 1', '0 Rx queues and 1 Tx'), ('1 0', '1 Rx queues and 0 Tx')):
        shell.refused('configure 0 ' + queues, text, 'one of each is needed')
    shell.do('configure 0 4 1')
    shell.do('start 0')
    shell.do('stop 0')
    for bit, kind in ((1, 'Rx'), (2, 'Tx')):
        shell.refused(f'configure 0 2 2 deferred={bit}', f'{kind} queue 0', 'no deferred start')
        shell.do('configure 0 1 1')
        shell.do(f'configure 0 2 2 skip={bit}')
        shell.refused('start 0', f'{kind} queue 1 was not set up', 'set up all')
    shell.do('configure 0 2 2')
    shell.do('start 0')
    shell.do('stop 0')
    shell.do('pool 1023 20')
    shell.refused('configure 0 1 1', '148', '192')
    shell.quit()


def unequal_queues():
    """4 queues meet 1 and 3: Tx queue q leads to Rx queue q modulo the other's number."""
    region = pair.Region('64M', queues=4)
    a = pair.Shell('many', region.vdev()).up(queues=4)
    b = pair.Shell('few', region.vdev())
    for queues in (1, 3):
        b.up(queues)
        a.link('up')
        b.link('up')
        for queue in range(4):
            a.meet(b, queue, queue % queues)
        for queue in range(queues):
            b.meet(a, queue, queue)
        b.do('stop 0')
    pair.quit_all(a, b)


lab.main(mac_is_stable, mac_is_settable, filters, mtu_and_limits, mtu_needs_scatter, scattered_rx,
         statistics, reset_of_losses, xstat_names, queues_and_descriptors, unequal_queues)
