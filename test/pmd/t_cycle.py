#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""1,000 cycles of configure, start, stop and close, 100 probes and removes: nothing leaks.

  ivshmem-cycle (port 0) --- region with 4 queues --- a sink that polls (port 1), or nobody
"""

import re
import signal

import lab
import pair


def cycle(args, name, cycles, probes, links=0):
    process = lab.Process(name, [pair.TOOLS / 'ivshmem-cycle', *pair.eal(), '--log-level=4',
                                 '--', args, cycles, probes, links])
    status = process.wait(100)
    lab.check(status == 0, f'{name} ended with status {status}\n{process.tail(30)}')
    lab.check(process.output().count(' before, ') == 7, f'{name} measured nothing')
    return int(re.search(r'^sent: (\d+)$', process.output(), re.M).group(1))


def sink(vdev):
    """Takes what comes, until it is told to end."""
    peer = pair.Traffic('peer', 'sink', vdev, '--queues', 4, '--idle', 0, '--wait', 0,
                        '--poll', 'sleep', '--quiet', '--expect', 'received=0,foreign=1-1000000')
    return peer


def end(peer, sent):
    """Each frame that left was received, or was counted when the sender started anew."""
    peer.proc.send_signal(signal.SIGTERM)
    report = peer.report()
    lost = report['port']['xstats'].get('rx_lost_on_restart', 0)
    lab.check(report['port']['stats']['ipackets'] + lost == sent,
              f'{sent} frames sent, {report["port"]["stats"]["ipackets"]} received, '
              f'{lost} counted as lost')
    lab.check(report['port']['xstats'].get('peer_restarts', 0) > 0, 'the peer saw no restart')


def with_a_peer():
    region = pair.Region(queues=4)
    peer = sink(region.vdev('port=1'))
    sent = cycle(region.args('port=0'), 'cycle-first', 1, 2, links=1)
    before = lab.fd_count(peer.pid)
    sent += cycle(region.args('port=0'), 'cycle', 1000, 100, links=40)
    after = lab.fd_count(peer.pid)
    lab.check(before == after, f'the peer had {before} open files, has {after}')
    end(peer, sent)


def with_a_server():
    served = pair.Served('-l', '64M', '--queues', '4')
    peer = sink(served.vdev())
    # the server keeps what it made for a slot
    sent = cycle(served.args(), 'cycle-first', 1, 2, links=1)
    files = lab.fd_count(peer.pid), lab.fd_count(served.server.pid)
    sent += cycle(served.args(), 'cycle-served', 100, 50, links=20)
    lab.wait_until(lambda: (lab.fd_count(peer.pid), lab.fd_count(served.server.pid)) == files, 10,
                   f'peer and server to have {files} open files again')
    end(peer, sent)
    served.remove()


def alone():
    cycle(pair.Region(queues=8).args(), 'cycle-alone', 100, 20)


lab.main(with_a_peer, with_a_server, alone)
