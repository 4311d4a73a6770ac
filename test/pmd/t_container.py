# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""A container without root, hugepages and network has a port, by a server's socket alone.

  ivshmem-traffic, NOBODY in namespaces of its own (see container.py) --- server's region ---
  ivshmem-traffic, root on the host
"""

import container
import lab
import pair

COUNT = 50000
OPTIONS = ['--count', COUNT, '--wait', 60, '--idle', 60, '--linger', 0]


def start(mode='0666'):
    """(image, server) for a container; the server's socket has this mode."""
    server = lab.Server('-l', '16M', '--ports', 2, '--queues', 2, '--socket-mode', mode)
    container.open_to_all(server.socket)
    return container.Image(), server


def exchange_with_a_host_process():
    """There and back; the container comes first, then last, to the server."""
    image, server = start()
    host = f'net_ivshmem0,socket={server.socket}'
    for options in (['--sizes', 'imix', '--queues', 2],
                    ['--sizes', '60-9618', '--segments', '1-5', '--queues', 2, '--desc', 256]):
        options += OPTIONS
        sink = container.Traffic('container-sink', image, server.socket, 'sink', *options)
        sink.check_contained()
        gen = pair.Traffic('host-gen', 'gen', host, *options)
        judge(gen, sink)
        sink = pair.Traffic('host-sink', 'sink', host, *options)
        gen = container.Traffic('container-gen', image, server.socket, 'gen', *options)
        gen.check_contained()
        judge(gen, sink)
    log = server.output()
    lab.check(log.count(f' uid={container.NOBODY} ') == 4 and log.count(' uid=0 ') == 4,
              'the server did not see four clients of each user:\n' + log)
    lab.check(server.stop() == 0, 'the server did not end with status 0\n' + server.tail())


def judge(gen, sink):
    sent, got = gen.report(), sink.report()
    for report in (sent, got):
        pair.check_clean(report)
    sent, got = sent['totals']['sent'], got['totals']['received']
    lab.check(sent == got == 2 * COUNT, f'{2 * COUNT} frames: {sent} sent, {got} received')


def the_socket_decides():
    """The default mode, 0660, keeps a user out, and the error says how to let him in."""
    image, server = start('0660')
    gen = container.Traffic('kept-out', image, server.socket, 'gen')
    lab.check(gen.wait(60) != 0, 'a socket of mode 0660 let a foreign user in')
    lab.check(f'no permission for socket {container.SOCKET}: see ivshmem-server --socket-mode'
              in gen.output(), f'no error with the reason:\n{gen.tail()}')
    lab.check('attach' not in server.output(), 'the server saw it:\n' + server.tail())
    lab.check(server.stop() == 0, 'the server did not end with status 0\n' + server.tail())


lab.main(exchange_with_a_host_process, the_socket_decides)
