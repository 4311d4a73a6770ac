#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Stop, start, kill and restart of either side: what was queued arrives whole or is counted.

  a (port 0) --- region --- b (port 1)

The claim that is tested: the end that lives on counts what the other left behind, each descriptor
once (rx_lost_on_restart: published to us, never read; tx_lost_on_restart: published by us, never
read). An end that starts anew counts nothing. So for each direction, over any number of restarts
of one side:  published = consumed + counted.
"""

import signal

import lab
import pair

KILLS = 30 if lab.LONG else 10
MOVES = 20000       # descriptors that have to pass between two kills

QUIET = ['--quiet', '--tx-timeout', 60, '--wait', 60]


# -- frame by frame ----------------------------------------------------------

def lost(shell, side):
    return shell.do('xstats 0')[f'{side}_lost_on_restart']


def expect_lost(shell, side, count):
    found = lost(shell, side)
    lab.check(found == count, f'{shell.name}: {side}_lost_on_restart is {found}, not {count}')


def receive(shell, count, first, queue=0):
    """Exactly that many good frames, from that number on, and no other behind them."""
    got = shell.do(f'recv 0 {queue} {count + 1} 300')
    lab.check(got['got'] == count and not got['bad'] and not got['gaps'] and
              (count == 0 or got['first'] == first),
              f'{shell.name}: {count} frames from {first} on expected, received {got}')


def restart(shell, how, region, options='', queues=1):
    """Starts the shell's port anew in one of three ways; returns the shell that has it now."""
    if how == 'port':
        shell.do('stop 0')
        shell.do(f'configure 0 {queues} {queues} {options}')
        shell.do('start 0')
        return shell
    slot = shell.do('xstats 0')['port_slot']
    if how == 'kill':
        shell.kill()
    else:
        shell.quit()
    new = pair.Shell(shell.name + '+', region.vdev(f'port={slot}'))
    return new.up(queues, options=options)


def queue_up(sender, receiver, count=100, some=40, what='64', queue=0):
    """Sends count frames, of which some are received; returns the number of the first."""
    sent = sender.do(f'send 0 {queue} {count} {what}')
    lab.check(sent['sent'] == count, f'{sender.name}: {sent}, not {count}')
    got = receiver.do(f'recv 0 {queue} {some}')
    lab.check(got['got'] == some and not got['bad'], f'{receiver.name}: {got}, not {some}')
    return sent['first']


def receiver_restarts():
    for how in ('port', 'quit', 'kill'):
        region = pair.Region()
        a, b = pair.shell_pair(region, how + '-rx-')
        queue_up(a, b)
        b = restart(b, how, region)
        b.link('up')
        a.link('up')
        region.wait_for_beats(0)
        lab.check(a.meet(b) == 0, 'frames went to the session before, a heartbeat after its end')
        receive(b, 0, 0)    # none of the 60 comes up again
        expect_lost(a, 'tx', 60)
        expect_lost(b, 'rx', 0)
        a.exchange(b)
        # several lives that nobody looked at between: still exact
        queue_up(a, b, 50, 20)
        for _ in range(3):
            b = restart(b, how, region)
        b.link('up')
        a.link('up')
        astray = a.meet(b)
        a.exchange(b)
        expect_lost(a, 'tx', 90 + astray)
        pair.quit_all(a, b)


def sender_restarts():
    for how in ('port', 'quit', 'kill'):
        region = pair.Region()
        a, b = pair.shell_pair(region, how + '-tx-')
        queue_up(a, b)
        a = restart(a, how, region)
        receive(b, 0, 0)    # what was queued is counted, never delivered beside the new frames
        expect_lost(b, 'rx', 60)
        a.link('up')
        b.link('up')
        a.exchange(b)
        queue_up(a, b, 50, 20)
        lab.check(a.do('send 0 0 40 64')['sent'] == 40, 'not 40 sent')     # unseen by b
        for _ in range(3):
            a = restart(a, how, region)
        receive(b, 0, 0)
        expect_lost(b, 'rx', 60 + 30 + 40)
        expect_lost(a, 'tx', 0)
        a.exchange(b)
        pair.quit_all(a, b)


def both_restart():
    """Nobody is left to count; but nothing old is delivered."""
    region = pair.Region()
    a, b = pair.shell_pair(region, 'both-')
    queue_up(a, b)
    queue_up(b, a)
    a.kill()
    b.kill()
    a = pair.Shell('both-a+', region.vdev('port=0')).up()
    b = pair.Shell('both-b+', region.vdev('port=1')).up()
    a.link('up')
    b.link('up')
    receive(a, 0, 0)
    receive(b, 0, 0)
    a.exchange(b)
    for side in (a, b):
        expect_lost(side, 'rx', 0)
        expect_lost(side, 'tx', 0)
    pair.quit_all(a, b)


def left_in_order():
    """What was sent before a stop or a close can still be received: nothing is lost."""
    for how in ('stop 0', 'close 0'):
        region = pair.Region()
        a, b = pair.shell_pair(region, how[:-2] + '-')
        first = queue_up(a, b, 100, 0)
        a.do('stop 0')
        if how == 'close 0':
            a.do(how)
        b.link('down')
        receive(b, 100, first)
        expect_lost(b, 'rx', 0)
        pair.quit_all(a, b)


def chains():
    """A chain counts by its descriptors, and no half of one is ever delivered."""
    options = 'mtu=9600 scatter=1 segs=1'
    region = pair.Region()
    a, b = pair.shell_pair(region, 'chain-', options=options)
    queue_up(a, b, 10, 4, '9600 5')
    b = restart(b, 'kill', region, options)
    b.link('up')
    astray = a.meet(b)
    receive(b, 0, 0)
    expect_lost(a, 'tx', 6 * 6 + astray)    # 9600 bytes lie in 6 buffers of 1920 - 128
    queue_up(a, b, 10, 4, '9600 5')
    a = restart(a, 'kill', region, options)
    receive(b, 0, 0)
    expect_lost(b, 'rx', 6 * 6)
    pair.quit_all(a, b)


def other_queues():
    """The receiver comes back with fewer queues: the second Tx queue leads elsewhere."""
    region = pair.Region(queues=2)
    a, b = pair.shell_pair(region, 'queues-', queues=2)
    expected = 0
    for how in ('port', 'kill'):
        for queue in (0, 1):
            queue_up(a, b, 30, 10, queue=queue)
        for queues in (1, 2):
            b = restart(b, how, region, queues=queues)
            b.link('up')
            a.link('up')
            astray = a.meet(b, 0, 0) + a.meet(b, 1, queues - 1)
            expected += astray + (40 if queues == 1 else 0)
            receive(b, 0, 0)
            expect_lost(a, 'tx', expected)
    # the sender with fewer queues
    for queue in (0, 1):
        queue_up(a, b, 30, 10, queue=queue)
    a = restart(a, 'port', region, queues=1)
    a.link('up')
    b.link('up')
    for queue in (0, 1):
        receive(b, 0, 0, queue)
    expect_lost(b, 'rx', 40)
    a.exchange(b)
    pair.quit_all(a, b)


# -- in mid-traffic ----------------------------------------------------------

class Ground:
    """A region whose words can be read, its ports taken by path= or through a server."""

    def __init__(self, kind):
        self.kind = kind
        self.region = pair.Region()
        self.served = None
        if kind == 'socket':
            self.served = pair.Served('-m', self.region.path, '-l', '64M', name='server-restart')

    def start(self, name, role, slot, *options):
        """The next process in that slot, running. The server gives the lowest that is free."""
        life = self.region.state(slot)[0] if self.region.path.exists() else 0
        vdev = self.served.vdev() if self.served else self.region.vdev(f'port={slot}')
        process = pair.Traffic(f'{self.kind}-{name}', role, vdev, *QUIET, *options)
        lab.wait_until(lambda: self.region.path.exists() and self.region.path.stat().st_size and
                       self.region.state(slot) == (life + 1, 3), 30, f'{name} to run')
        return process

    def passed(self, slot, amount=MOVES):
        """Waits until the consumer's end of slot has moved on so far in one session."""
        began = self.region.consumed(slot)

        def moved():
            epoch, index = self.region.consumed(slot)
            return index >= (began[1] if epoch == began[0] else 0) + amount
        lab.wait_until(moved, 60, f'{amount} frames to pass')

    def drained(self, producer):
        """Waits until all that the producer's slot has published is consumed."""
        last = self.region.produced(producer)[1]
        lab.wait_until(lambda: self.region.consumed(1 - producer)[1] == last, 30,
                       'the last frames')

    def end(self):
        if self.served:
            self.served.remove()
        self.region.remove()


def kill_sender(kind, kills):
    ground = Ground(kind)
    sink = ground.start('sink', 'sink', 0, '--idle', 0)
    published = 0
    epochs = set()
    files = []
    for turn in range(kills):
        gen = ground.start(f'gen{turn}', 'gen', 1, '--sizes', '60-300')
        ground.passed(0)
        gen.kill()
        epoch, index = ground.region.produced(1)
        lab.check(epoch not in epochs, f'epoch {epoch} was used before')
        epochs.add(epoch)
        published += index
        files.append(lab.fd_count(sink.pid))
    gen = ground.start('gen-last', 'gen', 1, '--count', MOVES)
    published += gen.report()['totals']['sent']
    ground.drained(1)
    sink.proc.send_signal(signal.SIGTERM)
    report = sink.report()
    xstats = report['port']['xstats']
    lost_count = xstats.get('rx_lost_on_restart', 0)
    received = report['totals']['received']
    lab.check(received + lost_count == published,
              f'{published} published, {received} received, {lost_count} counted as lost')
    lab.check(report['totals']['streams'] == kills + 1, f'{report["totals"]["streams"]} streams')
    lab.check(xstats['peer_restarts'] == kills, f'{xstats["peer_restarts"]} restarts of the peer')
    lab.check(files[0] == files[-1], f'open files of the sink after each restart: {files}')
    ground.end()


def kill_receiver(kind, kills):
    ground = Ground(kind)
    late = ['--first', 'any', '--idle', 1]
    gen = None
    consumed = 0
    for turn in range(kills):
        sink = ground.start(f'sink{turn}', 'sink', 0, *late)
        gen = gen or ground.start('gen', 'gen', 1, '--sizes', '60-300')
        ground.passed(0)
        sink.kill()
        consumed += ground.region.consumed(0)[1]
    sink = ground.start('sink-last', 'sink', 0, *late)
    ground.passed(0)
    gen.proc.send_signal(signal.SIGTERM)
    sent = gen.report()
    received = sink.report()['totals']['received']
    lost_count = sent['port']['xstats'].get('tx_lost_on_restart', 0)
    lab.check(sent['totals']['sent'] == consumed + received + lost_count,
              f'{sent["totals"]["sent"]} sent, {consumed} consumed by those killed, {received} '
              f'received by the last, {lost_count} counted as lost')
    ground.end()


def kill_sender_path():
    kill_sender('path', KILLS)


def kill_sender_socket():
    kill_sender('socket', KILLS // 2)


def kill_receiver_path():
    kill_receiver('path', KILLS)


def kill_receiver_socket():
    kill_receiver('socket', KILLS // 2)


def testpmd_receives():
    """testpmd stops and starts its port while the other side sends on; its count is ours."""
    ground = Ground('testpmd-rx')
    gen = ground.start('gen', 'gen', 1)
    pmd = lab.Testpmd('testpmd-rx', ['--vdev=' + ground.region.vdev('port=0')], memory=128)
    pmd.command('set fwd rxonly')
    for _ in range(5):
        pmd.command('start')
        ground.passed(0)
        pmd.command('stop')
        pmd.command('port stop 0')
        pmd.command('port start 0')
    pmd.command('start')
    ground.passed(0)
    gen.proc.send_signal(signal.SIGTERM)
    sent = gen.report()
    ground.drained(1)
    pmd.command('stop')
    received = pmd.stats()['RX-packets']
    lost_count = sent['port']['xstats'].get('tx_lost_on_restart', 0)
    lab.check(sent['totals']['sent'] == received + lost_count,
              f'{sent["totals"]["sent"]} sent, {received} received, {lost_count} counted as lost')
    pmd.quit()


def testpmd_sends():
    """The same with testpmd as the sender; its frames are strange to the sink, but counted."""
    ground = Ground('testpmd-tx')
    sink = ground.start('sink', 'sink', 0, '--idle', 0, '--expect',
                        'received=0,foreign=1-999999999999')
    pmd = lab.Testpmd('testpmd-tx', ['--vdev=' + ground.region.vdev('port=1')], memory=128)
    pmd.command('set fwd txonly')
    for turn in range(5):
        pmd.command('start')
        ground.passed(0)
        pmd.command('stop')
        if turn < 4:
            pmd.command('port stop 0')
            pmd.command('port start 0')
    sent = pmd.stats()['TX-packets']
    ground.drained(1)
    sink.proc.send_signal(signal.SIGTERM)
    port = sink.report()['port']
    received = port['stats']['ipackets']
    lost_count = port['xstats'].get('rx_lost_on_restart', 0)
    lab.check(sent == received + lost_count,
              f'{sent} sent, {received} received, {lost_count} counted as lost')
    pmd.quit()


lab.main(receiver_restarts, sender_restarts, both_restart, left_in_order, chains, other_queues,
         kill_sender_path, kill_sender_socket, kill_receiver_path, kill_receiver_socket,
         testpmd_receives, testpmd_sends)
