#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""zero_copy=1: buffers are lent up, passed on and given back; payload, order and count as ever.

  ivshmem-traffic (zero_copy=1 or not) --- region --- ivshmem-traffic (zero_copy=1 or not)

An echo passes on what it received, so a frame of the ping's crosses the region twice and is copied
once. Every case ends with all mbufs back in their pools ("leaked" of ivshmem-traffic) and with no
false cookie.
"""

import os
import signal
import time

import lab
import pair

Z = ['zero_copy=1']
COPYBREAK = 256
FAST_FREE = 1 << 16     # RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE
MIXED = ['--sizes', '60-1518']
JUMBO = ['--sizes', '60-9618', '--segments', '1-5']


def xstats(report):
    return report['port']['xstats']


def lends(reports, modes):
    """Who has zero_copy=1 lent most of these frames; who has not, none."""
    for report, mode in zip(reports, modes):
        lent, got = xstats(report).get('rx_lent', 0), report['totals']['received']
        lab.check((lent > got / 2) == (mode == Z and got > 0),
                  f'{report["role"]} with {mode}: {lent} of {got} frames lent')


def both_ways(name, modes, options, count=20000, memory=128, **geometry):
    region = pair.Region(**geometry)
    reports = pair.exchange(name, [region.vdev(*mode) for mode in modes],
                            ['--idle', 1, '--wait', 30, *options], [['--count', count]] * 2,
                            memory)
    lends(reports, modes)
    region.remove()


def any_mode_with_any():
    for name, modes in (('zz', (Z, Z)), ('zc', (Z, [])), ('cz', ([], Z))):
        both_ways(name, modes, MIXED)


def fast_free():
    """MBUF_FAST_FREE is for ports that copy, whose peer may lend or pass on what they send."""
    for name, modes in (('cc', ([], [])), ('zc', (Z, []))):
        echoed(f'fast-free-{name}', modes, MIXED, 16, ['--offloads', 'fast-free'])
    region = pair.Region()
    gen, sink = (pair.Traffic(f'fast-free-{role}', role, region.vdev(*mode), '--wait', 30,
                              '--quiet', *more)
                 for role, mode, more in (
                     ('gen', [], ['--count', 20000, '--offloads', 'fast-free', *MIXED]),
                     ('sink', Z, [])))
    reports = gen.report(), sink.report()
    for report in reports:
        pair.check_clean(report)
    lab.check(xstats(reports[1])['rx_lent'] > reports[0]['totals']['sent'] / 2, 'nothing lent')
    for mode, offered in (([], True), (Z, False)):
        shell = pair.Shell('offers', region.vdev(*mode))
        lab.check((shell.do('info 0')['tx_offloads'] & FAST_FREE != 0) == offered,
                  f'{mode}: MBUF_FAST_FREE offered: {not offered}')
        shell.quit()
    region.remove()


def loans_to_a_port_with_fast_free():
    """testpmd asks for it by itself, and sends lent frames through a port that copies."""
    near, far = pair.Region(), pair.Region()
    pmd = lab.Testpmd('fast-free-pmd', ['--vdev=' + near.vdev(*Z, 'port=1'),
                                        '--vdev=net_ivshmem1,' + far.args('port=1')], memory=192)
    lab.check('MBUF_FAST_FREE' in pmd.command('show port 1 tx_offload configuration'),
              'testpmd did not ask for MBUF_FAST_FREE')
    pmd.command('set fwd io')
    pmd.command('start')
    sink = pair.Traffic('fast-free-sink', 'sink', far.vdev('port=0'), '--wait', 30, '--quiet')
    lab.wait_until(lambda: 'Link status: up' in pmd.command('show port info 1'), 30, 'the link')
    gen = pair.Traffic('fast-free-gen', 'gen', near.vdev('port=0'), '--wait', 30, '--quiet',
                       '--count', 20000, '--rate', 50000, *MIXED)
    reports = gen.report(), sink.report()
    for report in reports:
        pair.check_clean(report)
    lab.check(reports[1]['totals']['received'] == 20000, f'{reports[1]["totals"]}')
    lab.check(pmd.xstats(0)['rx_lent'] > 10000, 'most loans did not come back')
    pmd.quit()
    near.remove()
    far.remove()


def chains():
    """Frames of several pieces, each of them lent by itself."""
    both_ways('chains', (Z, Z), JUMBO, queues=4)


def several_queues():
    both_ways('queues', (Z, Z), [*JUMBO, '--queues', 4, '--desc', 256], 10000, 256, size='256M',
              queues=8)


def small_region():
    """So few buffers that the sender waits for each of them."""
    both_ways('small', (Z, Z), MIXED, size='1M')


def small_frames():
    """Frames up to the copybreak are copied and come back by the index."""
    region = pair.Region()
    reports = pair.exchange('small-frames', [region.vdev(*Z)] * 2,
                            ['--wait', 30, '--count', 500000, '--sizes', f'60-{COPYBREAK}'],
                            [[], []], roles=('gen', 'sink'))
    lab.check(not xstats(reports[1]).get('rx_lent'), f'{xstats(reports[1])}')
    region.remove()


def small_frames_in_pieces():
    """A small frame travels in one buffer, in however many mbufs it comes: by the index, too."""
    region = pair.Region(queues=4)
    reports = pair.exchange('small-pieces', [region.vdev(*Z)] * 2,
                            ['--wait', 30, '--count', 50000, '--sizes', f'64-{COPYBREAK}',
                             '--segments', '2-4'], [[], []], roles=('gen', 'sink'))
    lab.check(not xstats(reports[1]).get('rx_lent'), f'{xstats(reports[1])}')
    region.remove()


def two_million():
    """Indices, generations and the return ring go round many times."""
    region = pair.Region()
    reports = pair.exchange('million', [region.vdev(*Z)] * 2,
                            ['--wait', 30, '--count', 2 * 10 ** 6, '--sizes', 1000],
                            [[], []], roles=('gen', 'sink'))
    lab.check(xstats(reports[1])['rx_lent'] == 2 * 10 ** 6, f'{xstats(reports[1])}')
    region.remove()


def echoed(name, modes, sizes, burst, more=()):
    region = pair.Region()
    ping = pair.Traffic(f'{name}-ping', 'ping', region.vdev(*modes[0], 'port=0'), '--wait', 30,
                        '--quiet', '--count', 5000, '--burst', burst, *sizes)
    echo = pair.Traffic(f'{name}-echo', 'echo', region.vdev(*modes[1], 'port=1'), '--wait', 30,
                        '--quiet', *sizes, *more)
    there = ping.report()
    echo.proc.send_signal(signal.SIGTERM)
    back = echo.report()
    for report in there, back:
        pair.check_clean(report)
    lab.check(there['totals']['received'] == there['totals']['sent'] == back['totals']['sent'] > 0,
              f'{there["totals"]}, {back["totals"]}')
    lends([there], modes)
    passed, sent = xstats(back).get('tx_passed', 0), back['totals']['sent']
    lab.check((passed > sent / 2) == (modes == (Z, Z)), f'{name}: {passed} of {sent} passed on')
    region.remove()


def passed_on():
    """From A to B and back to A, which finds its own buffers again."""
    for name, modes in (('zz', (Z, Z)), ('cz', ([], Z)), ('zc', (Z, []))):
        echoed(f'echo-{name}', modes, MIXED, 16)


def chains_passed_on():
    echoed('echo-jumbo', (Z, Z), ['--sizes', '60-9000', '--segments', '1-3'], 4)


def killed(side):
    """kill -9 of either side in mid-traffic, twice: the next life gets traffic by itself."""
    region = pair.Region('16M')
    stays = {'sink': 'gen', 'gen': 'sink'}[side]
    slots = {'sink': 0, 'gen': 1}
    count = [0]

    def start(role):
        count[0] += 1
        return pair.Traffic(f'killed-{side}-{role}{count[0]}', role,
                            region.vdev(*Z, f'port={slots[role]}'), '--quiet', '--idle', 0,
                            '--wait', 60, '--tx-timeout', 60, *MIXED,
                            '--expect', 'lost=any,stale=any,received=any')

    def passes():
        epoch, index = region.consumed(0)

        def moved():
            now = region.consumed(0)
            return now[1] >= (index if now[0] == epoch else 0) + 20000
        lab.wait_until(moved, 60, f'20000 frames after a new {side}')
    survivor = start(stays)
    lab.wait_until(lambda: region.path.exists() and
                   region.path.read_bytes()[:8] == b'IVSHMNET', 30, 'the region')
    other = start(side)
    for _ in range(2):
        passes()
        os.kill(other.pid, signal.SIGKILL)
        other.kill()
        time.sleep(0.1)
        other = start(side)
    passes()
    for process in (other, survivor) if side == 'gen' else (survivor, other):
        process.proc.send_signal(signal.SIGTERM)
        report = process.report()
        found = {k: v for k, v in xstats(report).items() if v and 'bad' in k or k == 'reclaims'}
        lab.check(not found and not report['totals']['leaked'] and
                  not report['totals']['corrupted'], f'{process.name}: {found}, {report["totals"]}')
        time.sleep(0.2)
    region.remove()


def sink_killed():
    killed('sink')


def gen_killed():
    killed('gen')


def odd_addresses():
    """A frame that starts at an odd address is copied, and its buffers go back all the same."""
    odd_peer(scatter=1)


def no_chains_unasked():
    """So is a chain, where the application did not ask for scattered Rx."""
    odd_peer(scatter=0)


def odd_peer(scatter):
    region = pair.Region()
    shell = pair.Shell('odd', region.vdev(*Z, 'port=0')).up(options=f'scatter={scatter}')
    shell.do('promisc 0 off')       # then the driver reads the address, too
    peer = pair.OddPeer('odd-peer', region)
    peer.do('start')
    shell.link('up')

    def ready():
        shell.do_all(['recv 0 0 1 1', 'send 0 0 1 64'])
        try:
            return peer.do('ready 5') is not None
        except pair.Refused:
            return False
    lab.wait_until(ready, 10, 'both ends')
    index, pieces = 0, 0
    for off, length, cut in ((128, 1000, 0), (129, 1000, 0), (128, 1000, 500), (129, 1000, 500),
                             (128, 1001, 501), (1, 1518, 0), (129, 200, 0)):
        lent = shell.do('xstats 0').get('rx_lent', 0)
        for _ in range(100 // (2 if cut else 1)):
            peer.do(f'good 1 {length} {off}')
            index += 1
            if cut:     # the same bytes once more, as a chain
                buf = (index - 1) % peer.hello['bufs']
                peer.do(f'put 1 1 {buf} {off} {cut}')
                peer.do(f'put 1 0 {buf} {off + cut} {length - cut}')
                index += 2
        peer.do('publish')
        got = shell.do('recv 0 0 100 500')
        lab.check(got['got'] == 100 and not got['bad'] and not got['odd'],
                  f'frames at {off}, cut at {cut}: {got}')
        lent = shell.do('xstats 0').get('rx_lent', 0) - lent
        whole = 100 if scatter or not cut else 50
        lab.check(lent == (0 if off % 2 or length <= COPYBREAK else whole),
                  f'{lent} of 100 frames of {length} at {off} were lent')
        pieces += 0 if length <= COPYBREAK else 150 if cut else 100
        shell.do('recv 0 0 1 1')    # takes back what was freed
        lab.check(region.returned(0)[1] == pieces and region.consumed(0)[1] == index,
                  f'{region.returned(0)} pieces of {pieces} came back, {region.consumed(0)[1]} of '
                  f'{index} descriptors')
    wrong = {k: v for k, v in shell.do('xstats 0').items() if v and 'bad' in k}
    lab.check(not wrong, f'{wrong}')
    pool = shell.do('memory')
    lab.check(pool['mbufs'] == pool['of'], f'mbufs are missing: {pool}')
    pair.quit_all(peer, shell)
    region.remove()


def fewer_queues_than_before():
    """A queue that was set up and never started is not there."""
    region = pair.Region('16M', queues=4)
    a, b = (pair.Shell(f'never-{side}', region.vdev(*Z)) for side in 'ab')
    a.do('pool 4095 2048')
    a.do_all(['configure 0 2 2', 'configure 0 1 1', 'start 0'])
    b.up()
    a.link('up')
    a.exchange(b, length=1000)
    pair.quit_all(a, b)
    region.remove()


def too_many_queues():
    """Each queue needs a return ring of its own."""
    region = pair.Region('2M', ring_size=32, queues=4)
    shell = pair.Shell('queues', region.vdev(*Z))
    shell.do('pool 4095 2048')
    try:
        shell.do('configure 0 4 1')
    except pair.Refused as refusal:
        lab.check('zero_copy=1 with 4 Rx queues needs rings of 128' in refusal.text, refusal.text)
    else:
        raise lab.Failure('4 queues on rings of 32 were accepted')
    shell.quit()


def keeping(name, queues):
    """b keeps a frame of each of a's queues; both are ready to go on."""
    region = pair.Region(queues=queues)
    a, b = (pair.Shell(f'{name}-{side}', region.vdev('zero_copy=1', f'port={port}')).up(queues)
            for port, side in enumerate('ab'))
    a.link('up')
    b.link('up')
    for queue in range(queues):
        a.meet(b, queue, queue)
        lab.check(a.do(f'send 0 {queue} 1 1000')['sent'] == 1, f'queue {queue}')
        lab.wait_until(lambda: b.do(f'hold 0 {queue} 32')['got'] == 1, 10, f'queue {queue}')
    return region, a, b


def queues_wait_at_the_same_time():
    """For what is never given back: 60 s, not 60 s each."""
    region, a, b = keeping('wait', 4)
    a.do_all(['stop 0', 'start 0'])
    began = time.monotonic()
    for queue in reversed(range(4)):
        lab.wait_until(lambda: (b.do(f'recv 0 {queue} 1 0') or True) and
                       a.do(f'send 0 {queue} 1 64')['sent'] == 1, 90, f'queue {queue} to send')
    lab.check(50 < time.monotonic() - began < 90, f'{time.monotonic() - began:.0f} s')
    lab.check(a.do('xstats 0')['reclaims'] == 4, f'{a.do("xstats 0")}')
    b.do('release')
    pair.quit_all(a, b)
    region.remove()


def later_sessions_wait_as_long():
    """What was kept 20 s later is not used again 60 s after what was kept first."""
    region, a, b = keeping('later', 1)
    b.do_all(['stop 0', 'start 0'])
    began = time.monotonic()
    a.link('up')
    a.meet(b)
    time.sleep(20)
    lab.check(a.do('send 0 0 1 1000')['sent'] == 1, 'the second frame')
    lab.wait_until(lambda: b.do('hold 0 0 32')['got'] == 1, 10, 'the second frame')
    b.do_all(['stop 0', 'start 0'])
    a.link('up')
    a.meet(b)
    lab.wait_until(lambda: a.do('xstats 0')['reclaims'], 120, 'the reclaim')
    lab.check(time.monotonic() - began > 75, f'{time.monotonic() - began:.0f} s')
    b.do('release')
    pair.quit_all(a, b)
    region.remove()


def hugepages_are_back():
    lab.kill_children()
    lab.wait_until(lambda: lab.hugepages_free() >= FREE, 30, f'{FREE} free hugepages')


FREE = lab.hugepages_free()
lab.main(any_mode_with_any, fast_free, loans_to_a_port_with_fast_free, chains, several_queues,
         small_region, small_frames, small_frames_in_pieces, two_million, passed_on,
         chains_passed_on, sink_killed, gen_killed, odd_addresses, no_chains_unasked,
         fewer_queues_than_before, too_many_queues,
         *([queues_wait_at_the_same_time, later_sessions_wait_as_long] if lab.LONG else []),
         hugepages_are_back)
