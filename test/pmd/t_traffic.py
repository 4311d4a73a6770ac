#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Traffic between two processes: every frame arrives, once, in order, with its own bytes.

  ivshmem-traffic (port 0) --- region, by path= or by a server's socket= --- ivshmem-traffic

The sink checks each byte, the order in each queue and the mbufs; pair.exchange compares what one
side sent with what the other received, and the drivers' own counters of errors.
"""

import lab
import pair


def both_ways(name, region, options, count, memory=128):
    """Traffic in both directions at once; count frames a queue from each side."""
    pair.exchange(name, [region.vdev()] * 2, [*options, '--idle', 1, '--wait', 30],
                  [['--count', count]] * 2, memory)
    region.remove()


def one_way(name, region, options, count, memory=128):
    reports = pair.exchange(name, [region.vdev()] * 2, ['--wait', 30, '--count', count, *options],
                            [[], []], memory, ('gen', 'sink'))
    region.remove()
    return reports


def any_size(queues, count):
    both_ways(f'any-size-{queues}q', pair.Region('256M', queues=8),
              ['--sizes', '60-9618', '--segments', '1-5', '--queues', queues, '--desc', 256,
               '--seed', 7 + queues], count, memory=256)


def any_size_1_queue():
    any_size(1, 40000)


def any_size_4_queues():
    any_size(4, 10000)


def any_size_8_queues():
    any_size(8, 5000)


def small_mbufs():
    """Frames that need many mbufs on one side, and many buffers in between."""
    region = pair.Region('16M', buf_size=256)
    pair.exchange('small-mbufs', [region.vdev()] * 2,
                  ['--sizes', '60-8000', '--wait', 30, '--count', 10000, '--segments', '1-3'],
                  [['--mbuf-size', 9216], ['--mbuf-size', 192, '--mbufs', 60000]],
                  roles=('gen', 'sink'))


def ten_million():
    """10^7 frames of 64 bytes, none lost."""
    reports = one_way('ten-million', pair.Region(), ['--sizes', 64], 10 ** 7)
    lab.check(reports[1]['totals']['received'] == 10 ** 7, 'not 10^7 received')


def imix():
    both_ways('imix', pair.Region(queues=4), ['--sizes', 'imix', '--queues', 4], 100000)


def fast_free():
    """MBUF_FAST_FREE: plain frames, and plain ones among chains."""
    wish = ['--offloads', 'fast-free']
    both_ways('fast-free', pair.Region(), ['--sizes', '60-1518', *wish], 50000)
    both_ways('fast-free-chains', pair.Region(), ['--sizes', '60-9618', '--segments', '1-3', *wish],
              20000)


def region_1_mib():
    both_ways('1m', pair.Region('1M'), ['--sizes', '60-9618', '--segments', '1-5'], 20000)


def region_2_mib():
    both_ways('2m', pair.Region('2M'), ['--sizes', '60-1518'], 50000)


def region_1_gib():
    both_ways('1g', pair.Region('1G', queues=8),
              ['--sizes', '60-9618', '--queues', 2, '--desc', 4096], 20000, memory=256)


def odd_geometry():
    """Rings smaller than the queues ask for, buffers of an odd size, an odd number of queues."""
    both_ways('odd', pair.Region('8M', queues=3, ring_size=32, buf_size=832),
              ['--sizes', '60-5000', '--queues', 3, '--desc', 1000, '--segments', '1-3'], 10000)


def through_a_server():
    both_ways('server', pair.Served('-l', '64M', '--ports', 2, '--queues', 4),
              ['--sizes', '60-9618', '--segments', '1-5', '--queues', 4, '--desc', 256], 10000,
              memory=192)


def through_a_server_1_mib():
    one_way('server-1m', pair.Served('-l', '1M'), ['--sizes', '60-1518'], 50000)


def through_a_server_1_gib():
    one_way('server-1g', pair.Served('-l', '1G', '--queues', 8),
            ['--sizes', '60-1518', '--queues', 8, '--desc', 256], 10000, memory=192)


def slow_receiver():
    """A sender that is much faster fills the ring and waits; nothing is dropped."""
    region = pair.Region('2M')
    sink = pair.Shell('slow-sink', region.vdev('port=1')).up()
    gen = pair.Traffic('slow-gen', 'gen', region.vdev('port=0'), '--count', 2000, '--quiet',
                       '--burst', 64, '--wait', 30)
    got = 0
    while gen.running() or got < 2000:
        some = sink.do('recv 0 0 100 20')['got']
        got += some
        if not gen.running() and not some:
            break
    sent = gen.report()
    pair.check_clean(sent)
    lab.check(sent['totals']['sent'] == got == 2000, f'{sent["totals"]["sent"]} sent, {got} here')
    lab.check(sent['port']['xstats'].get('tx_ring_full', 0) > 0, 'the ring was never full')
    sink.quit()


def hugepages_are_back():
    """Last: all that the processes above took is free again."""
    lab.kill_children()
    lab.wait_until(lambda: lab.hugepages_free() >= FREE, 30, f'{FREE} free hugepages')


FREE = lab.hugepages_free()
lab.main(any_size_1_queue, any_size_4_queues, any_size_8_queues, small_mbufs, ten_million, imix,
         fast_free, region_1_mib, region_2_mib, region_1_gib, odd_geometry, through_a_server,
         through_a_server_1_mib, through_a_server_1_gib, slow_receiver, hugepages_are_back)
