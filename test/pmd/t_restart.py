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
        astray = a.meet(b)
        receive(b, 0, 0)    # none of the 60 comes up again
        expect_lost(a, 'tx', 60 + astray)
        expect_lost(b, 'rx', 0)
        a.exchange(b)
        # several lives that nobody looked at between: still exact
        queue_up(a, b, 50, 0)
        for _ in range(3):
            b = restart(b, how, region)
        b.link('up')
        a.link('up')
        astray += a.meet(b)
        a.exchange(b)
        expect_lost(a, 'tx', 110 + astray)
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
        queue_up(a, b, 50, 0)
        for _ in range(3):
            a = restart(a, how, region)
        receive(b, 0, 0)
        expect_lost(b, 'rx', 110)
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

def passed(region, slot, amount):
    """Waits until the consumer's end of slot has moved on so far in a session; its word then."""
    began = region.consumed(slot)

    def moved():
        now = region.consumed(slot)
        return now[1] >= (began[1] if now[0] == began[0] else 0) + amount and now
    return lab.wait_until(moved, 60, f'{amount} frames to pass')


def kill_sender():
    region = pair.Region()
    sink = pair.Traffic('sink', 'sink', region.vdev('port=1'), '--idle', 0, *QUIET)
    published = 0
    epochs = set()
    for turn in range(KILLS):
        gen = pair.Traffic(f'gen{turn}', 'gen', region.vdev('port=0'), *QUIET, '--sizes', '60-300')
        lab.wait_until(region.path.exists, 20, 'the region')
        lab.wait_until(lambda: region.path.stat().st_size and region.state(0)[1] == 3, 20, 'RUN')
        passed(region, 1, MOVES)
        gen.kill()
        epoch, index = region.produced(0)
        lab.check(epoch not in epochs, f'epoch {epoch} was used before')
        epochs.add(epoch)
        published += index
    gen = pair.Traffic('gen-last', 'gen', region.vdev('port=0'), *QUIET, '--count', MOVES)
    published += gen.report()['totals']['sent']
    passed_all = region.produced(0)[1]
    lab.wait_until(lambda: region.consumed(1)[1] == passed_all, 20, 'the last frames')
    files = lab.fd_count(sink.pid)
    sink.proc.send_signal(signal.SIGTERM)
    report = sink.report()
    xstats = report['port']['xstats']
    lost_count = xstats.get('rx_lost_on_restart', 0)
    received = report['totals']['received']
    lab.check(received + lost_count == published,
              f'{published} published, {received} received, {lost_count} counted as lost')
    lab.check(report['totals']['streams'] == KILLS + 1, f'{report["totals"]["streams"]} streams')
    lab.check(xstats['peer_restarts'] == KILLS, f'{xstats["peer_restarts"]} restarts of the peer')
    lab.check(files < 100, f'the sink had {files} open files')


def kill_receiver():
    region = pair.Region()
    gen = pair.Traffic('gen', 'gen', region.vdev('port=0'), *QUIET, '--sizes', '60-300')
    consumed = 0
    late = ['--first', 'any', '--idle', 1]
    for turn in range(KILLS):
        sink = pair.Traffic(f'sink{turn}', 'sink', region.vdev('port=1'), *QUIET, *late)
        lab.wait_until(lambda: region.path.exists() and region.path.stat().st_size and
                       region.state(1)[1] == 3, 20, 'RUN')
        passed(region, 1, MOVES)
        sink.kill()
        consumed += region.consumed(1)[1]
    sink = pair.Traffic('sink-last', 'sink', region.vdev('port=1'), *QUIET, *late)
    lab.wait_until(lambda: region.state(1) == (KILLS + 1, 3), 20, 'the last sink to start')
    passed(region, 1, MOVES)
    gen.proc.send_signal(signal.SIGTERM)
    sent = gen.report()
    received = sink.report()['totals']['received']
    lost_count = sent['port']['xstats'].get('tx_lost_on_restart', 0)
    lab.check(sent['totals']['sent'] == consumed + received + lost_count,
              f'{sent["totals"]["sent"]} sent, {consumed} consumed by those killed, {received} '
              f'received by the last, {lost_count} counted as lost')


def testpmd_ports():
    """testpmd stops and starts its port while the other side sends on; its count is ours."""
    region = pair.Region()
    gen = pair.Traffic('gen-pmd', 'gen', region.vdev('port=0'), *QUIET)
    pmd = lab.Testpmd('testpmd', ['--vdev=' + region.vdev('port=1')], memory=128)
    pmd.command('set fwd rxonly')
    for _ in range(5):
        before = region.consumed(1)
        pmd.command('start')
        lab.wait_until(lambda: region.consumed(1)[1] > before[1] + MOVES or
                       (region.consumed(1)[0] != before[0] and region.consumed(1)[1] > MOVES),
                       60, 'testpmd to receive')
        pmd.command('stop')
        pmd.command('port stop 0')
        pmd.command('port start 0')
    pmd.command('start')
    passed(region, 1, MOVES)
    gen.proc.send_signal(signal.SIGTERM)
    sent = gen.report()
    # the generator has left; what it left in the ring is received now
    lab.wait_until(lambda: region.consumed(1)[1] == region.produced(0)[1], 20, 'the last frames')
    pmd.command('stop')
    received = pmd.stats()['RX-packets']
    lost_count = sent['port']['xstats'].get('tx_lost_on_restart', 0)
    lab.check(sent['totals']['sent'] == received + lost_count,
              f'{sent["totals"]["sent"]} sent, {received} received, {lost_count} counted as lost')
    pmd.quit()


lab.main(receiver_restarts, sender_restarts, both_restart, left_in_order, chains, other_queues,
         kill_sender, kill_receiver, testpmd_ports)
