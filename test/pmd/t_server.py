#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""The server is replaced beneath ports that run: they do not notice, and what happens afterwards
reaches them through the new one."""

import lab
import pair


def taken_over_beneath_traffic():
    region = pair.Served('--ports', 3, '--queues', 1, '-l', '8M')
    first, second = pair.shell_pair(region, name='port-')
    downs = [port.output().count('link') for port in (first, second)]
    for number in range(3):
        heir = lab.Process(f'heir-{number}', [lab.server(), '-S', region.server.socket,
                                              '--takeover'])
        heir.socket = region.server.socket
        sent = first.do('send 0 0 50 64 1 1000')
        heir.expect('ready')
        lab.check(region.server.wait() == 0, region.server.tail())
        region.server = heir
        got = second.do('recv 0 0 51 500')
        lab.check(got['got'] == sent['sent'] == 50 and not got['bad'], f'sent {sent}, got {got}')
        first.exchange(second)
    for port, before in zip((first, second), downs):
        lab.check('without the server' not in port.output(), f'{port.name} lost the server')
        lab.check(port.output().count('link') == before, f'{port.name}: its link changed')
    # the death of one, and a newcomer in its place, are told by the new server
    second.kill()
    first.link('down')
    again = pair.Shell('again', region.vdev()).up()
    first.link('up')
    again.link('up')
    first.exchange(again)
    pair.quit_all(first, again)
    region.remove()


lab.main(taken_over_beneath_traffic)
