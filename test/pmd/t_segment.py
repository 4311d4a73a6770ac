#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Regions of more than two ports: who gets which frame, and what a port that fails costs others.

  shell: port 0, port 1, ... port N-1, all of one process   --- region of N ports
  and, where a case says so, ports of other processes

Nothing happens between two commands of a shell, so each frame is accounted for exactly.
"""

import errno

import lab
import pair

ALL = 'ff:ff:ff:ff:ff:ff'
GROUP = '01:00:5e:00:00:01'
NOBODY = '02:00:00:00:00:77'
ZERO = '00:00:00:00:00:00'   # nobody's, too


class Segment:
    """A shell with the first ports of a region; or, after first, with the next ones."""

    def __init__(self, name, ports, own=None, more='', memory=128, pool='8191 2048', region=None,
                 first=0, **geometry):
        self.region = region or pair.Region(**{'size': '64M', 'ports': ports, 'queues': 1,
                                               **geometry})
        self.own = ports if own is None else own
        self.shared = False     # with another shell, which numbers its frames, too
        self.shell = pair.Shell(name, memory=memory)
        self.shell.do(f'pool {pool}')
        for port in range(self.own):
            number = self.shell.do(f'probe net_ivshmem{port} ' + self.region.args(
                f'port={first + port}', *filter(None, [more])))['port']
            lab.check(number == port, f'port {first + port} became ethdev port {number}')
            self.shell.do(f'configure {port} 1 1')
            self.shell.do(f'start {port}')
            self.shell.do(f'promisc {port} on')     # a switch shows here, not a filter
        self.macs = [self.shell.do(f'mac {port}')['mac'].lower() for port in range(self.own)]

    def meet(self):
        """All own ports hear each other, and have counted nothing yet."""
        for port in range(self.own):
            self.shell.do(f'link {port} up 10000')
        met = set()

        def all_met():
            for port in set(range(self.own)) - met:
                got = self.send(port, ALL)
                if len(got) == self.own - 1:
                    met.add(port)
            return len(met) == self.own
        lab.wait_until(all_met, 60, f'all {self.own} ports to hear each other')
        for port in range(self.own):
            self.shell.do(f'reset {port}')
        return self

    def send(self, port, dst, count=1, length=64, src=None, quiet=2, sent=None, segs=1):
        """Sends, lets all own ports receive, and returns who got how many: {port: frames}."""
        if src:
            self.shell.do(f'src {src}')
        self.shell.do(f'dst {dst}')
        reply = self.shell.do(f'send {port} 0 {count} {length} {segs}')
        lab.check(reply['sent'] == (count if sent is None else sent), f'{count} frames: {reply}')
        return self.gather(quiet)

    def gather(self, quiet=2):
        reply = self.shell.do(f'gather {self.own} {quiet}')
        bad, late = reply.pop('bad'), reply.pop('late')
        lab.check(not bad and (self.shared or not late), f'{bad} bad, {late} late frames: {reply}')
        return {int(k): v for k, v in reply.items()}

    def expect(self, want, *args, **kwargs):
        got = self.send(*args, **kwargs)
        lab.check(got == want, f'{args} {kwargs}: received {got}, not {want}')

    def xstats(self, port):
        return self.shell.do(f'xstats {port}')

    def others(self, port, count=1):
        return {p: count for p in range(self.own) if p != port}

    def end(self):
        """All ports closed: every mbuf is back."""
        for port in range(self.own):
            self.shell.do(f'stop {port}')
        memory = self.shell.do('memory')
        lab.check(memory['mbufs'] == memory['of'], f'mbufs are missing: {memory}')
        self.shell.quit()
        self.region.remove()


def who_gets_what():
    """5 ports: unicast to one, group and unknown addresses to all, the own address to nobody."""
    seg = Segment('five', 5).meet()
    for source in range(5):
        for target in range(5):
            if source != target:
                seg.expect({target: 40}, source, seg.macs[target], 40)
        for dst in (ALL, GROUP, NOBODY, ZERO):
            seg.expect(seg.others(source, 33), source, dst, 33)
        before = seg.xstats(source)
        seg.expect({}, source, seg.macs[source], 3)
        after = seg.xstats(source)
        lab.check(after['tx_to_self'] - before['tx_to_self'] == 3 ==
                  after['tx_dropped'] - before['tx_dropped'], 'frames to itself')
    # in a burst that goes everywhere each port's frames keep their order: gather checks it
    for dst in (seg.macs[1], ALL, seg.macs[2], seg.macs[1], NOBODY, seg.macs[3]):
        seg.shell.do(f'dst {dst}')
        seg.shell.do('send 0 0 5 200')
    got = seg.gather()
    lab.check(got == {1: 20, 2: 15, 3: 15, 4: 10}, f'received {got}')
    # jumbo frames, which need several buffers each, flooded and not
    seg.expect({}, 0, ALL, 1, length=9619, segs=6)
    lab.check(seg.xstats(0)['tx_too_long'] == 1, 'a frame that is too long counts once')
    seg.expect({}, 0, ALL, 1, length=1519)      # their MTU is 1500
    seg.end()


def own_counts():
    """What a port counts of each other: sum and parts agree."""
    seg = Segment('counts', 4).meet()
    for port in range(4):
        seg.shell.do(f'reset {port}')
    seg.expect({1: 10}, 0, seg.macs[1], 10, length=100)
    seg.expect({2: 20}, 0, seg.macs[2], 20, length=100)
    seg.expect(seg.others(0, 5), 0, ALL, 5, length=100)
    values, stats = seg.xstats(0), seg.shell.do('stats 0')
    lab.check([values[f'port{p}_tx_packets'] for p in (1, 2, 3)] == [15, 25, 5], f'{values}')
    lab.check((stats['opackets'], stats['obytes'], stats['oerrors']) == (35, 3500, 0), f'{stats}')
    lab.check(all(values[f'port{p}_state'] == 3 for p in (1, 2, 3)) and 'port0_state' not in values,
              f'{values}')
    seg.shell.do('reset 0')
    left = {k: v for k, v in seg.xstats(0).items() if v}
    lab.check(all(k.endswith(('_state', '_life', '_slot', '_ns')) for k in left),
              f'{left} after a reset')
    seg.end()


def learned():
    """An address that is not announced is learned where it is heard from, and moves with it."""
    seg = Segment('learn', 4).meet()
    guest = '02:aa:00:00:00:05'
    seg.expect(seg.others(0, 3), 0, guest, 3)               # unknown
    seg.expect(seg.others(3, 1), 3, ALL, 1, src=guest)      # heard from port 3
    seg.expect({3: 3}, 0, guest, 3, src='02:00:00:00:00:01')
    seg.expect(seg.others(1, 1), 1, ALL, 1, src=guest)      # it moved to port 1
    seg.expect({1: 3}, 0, guest, 3, src='02:00:00:00:00:01')
    # nobody takes an announced address away by sending from it
    seg.expect(seg.others(1, 1), 1, ALL, 1, src=seg.macs[2])
    seg.expect({2: 3}, 0, seg.macs[2], 3, src='02:00:00:00:00:01')
    seg.end()


def set_address():
    """A port that takes another address is found there, and not at its old one."""
    seg = Segment('move', 3).meet()
    old, new = seg.macs[1], '02:bb:00:00:00:01'
    seg.shell.do(f'mac 1 {new}')
    lab.wait_until(lambda: seg.send(0, new) == {1: 1}, 10, 'the new address to be known')
    seg.expect(seg.others(0, 2), 0, old, 2)     # unknown now
    seg.end()


def collisions():
    """An address that another port has is refused; one that is taken anyway harms nobody."""
    seg = Segment('mac', 4, own=3).meet()
    reply = seg.shell.refused('probe net_ivshmem3 '
                              + seg.region.args('port=3', f'mac={seg.macs[1]}'),
                              seg.macs[1].upper(), 'port 1', 'mac=')
    lab.check(reply.errno == errno.EADDRINUSE, f'errno {reply.errno}')
    reply = seg.shell.refused(f'mac 2 {seg.macs[0]}', seg.macs[0].upper(), 'port 0')
    lab.check(seg.shell.do('mac 2')['mac'].lower() == seg.macs[2], 'a refused address was set')
    # a peer that announces port 1's address, and port 0's own, all the same
    odd = pair.OddPeer('mac-odd', seg.region, slot=3)
    odd.do('start')

    def see(state):
        def seen():
            seg.shell.do_all([f'link {port}' for port in range(3)])     # each looks now
            return [seg.xstats(port)['port3_state'] for port in range(3)] == [state] * 3
        lab.wait_until(seen, 10, f'port 3 to be seen in state {state}')

    def conflicts():
        return [seg.xstats(port)['mac_conflicts'] for port in range(3)]
    see(3)
    for victim in (1, 0):
        want = [count + (victim == 1) for count in conflicts()]
        odd.do('state 1')
        see(1)
        odd.do(f'conf 1 1 {seg.macs[victim]}')
        odd.do('state 3')
        see(3)
        lab.wait_until(lambda: conflicts() == want, 10, f'conflicts to be {want}')
        for source in range(3):
            if source != victim:
                seg.expect({victim: 7}, source, seg.macs[victim], 7)
        lab.check(conflicts() == want, f'conflicts {conflicts()}, not once each life')
    odd.quit()
    seg.end()


def full_costs_only_itself():
    """One port that does not receive: its frames are dropped and counted, no other's."""
    seg = Segment('full', 4).meet()
    before = seg.xstats(0)
    # 3000 frames for each of 1, 2, 3 in turn, in the same bursts; only 2 and 3 receive
    got = {1: 0, 2: 0, 3: 0}
    for _ in range(300):
        for target in (1, 2, 1, 3, 1):
            seg.shell.do(f'dst {seg.macs[target]}')
            lab.check(seg.shell.do('send 0 0 10 64')['sent'] == 10, 'a full ring held frames back')
        for target in (2, 3):
            reply = seg.shell.do(f'recv {target} 0 10 1000')
            lab.check(not reply['bad'] and not reply['gaps'], f'{reply}')
            got[target] += reply['got']
    lab.check(got[2] == got[3] == 3000, f'received {got} of 3000 each')
    values = seg.xstats(0)
    sent = values['port1_tx_packets'] - before['port1_tx_packets']
    dropped = values['port1_tx_full'] - before['port1_tx_full']
    lab.check(dropped > 0 and sent + dropped == 9000, f'{sent} + {dropped} frames are not 9000')
    lab.check(values['tx_dropped'] - before['tx_dropped'] == dropped ==
              seg.shell.do('stats 0')['oerrors'], f'{values}')
    lab.check(not values['port2_tx_full'] and not values['port3_tx_full'], f'{values}')
    # broadcasts reach the others as before, and cost the full one only
    seg.shell.do(f'dst {ALL}')
    seg.shell.do('send 0 0 5 64')
    for target in (2, 3):
        lab.check(seg.shell.do(f'recv {target} 0 5 1000')['got'] == 5, f'port {target}')
    lab.check(seg.xstats(0)['port1_tx_full'] - values['port1_tx_full'] == 5, 'flooded drops')
    # what was accepted is all there, and no buffer of it was used for another port
    seg.shell.do('promisc 1 off')
    reply = seg.shell.do(f'recv 1 0 {sent + 1} 200')
    lab.check(reply['got'] == sent and not reply['bad'], f'{reply}, not {sent} frames')
    seg.expect({1: 30}, 0, seg.macs[1], 30)
    seg.end()


def full_wait():
    """full=wait: frames for a full ring stay with the sender; none is lost."""
    seg = Segment('wait', 3, more='full=wait').meet()
    seg.shell.do(f'dst {seg.macs[1]}')
    taken = seg.shell.do('send 0 0 100000 64')['sent']
    lab.check(0 < taken < 100000, f'{taken} of 100000 frames were taken by a full ring')
    lab.check(seg.xstats(0)['port1_tx_full'] == 0 == seg.xstats(0)['tx_dropped'], 'dropped')
    lab.check(seg.shell.do('send 0 0 1 64')['sent'] == 0, 'a full ring took one more')
    reply = seg.shell.do(f'recv 1 0 {taken + 1} 200')
    lab.check(reply['got'] == taken and not reply['bad'] and not reply['gaps'], f'{reply}')
    seg.expect({1: 30}, 0, seg.macs[1], 30)
    seg.expect(seg.others(0, 3), 0, ALL, 3)
    # a port that runs and has not polled yet is waited for, too; one that was stopped is not
    seg.shell.do_all(['stop 2', 'start 2', 'link 2 up 10000', 'reset 0', f'dst {seg.macs[2]}'])
    seg.region.wait_for_beats(0, 3)
    lab.check(seg.shell.do('send 0 0 40 64')['sent'] == 0, 'the sender was not held back')
    seg.shell.do('stop 2')
    seg.region.wait_for_beats(0, 3)
    lab.check(seg.shell.do('send 0 0 40 64')['sent'] == 40, 'the sender was held back')
    values = seg.xstats(0)
    lab.check(values['port2_tx_down'] + values['tx_dropped'] >= 40, f'{values}')
    seg.expect({1: 30}, 0, seg.macs[1], 30)
    seg.end()


def round_robin():
    """Ten sources into one: each burst begins at the source after the last one served."""
    for name, more in (('ten', ''), ('ten-lent', 'zero_copy=1')):
        seg = Segment(name, 11, size='128M', more=more).meet()
        seg.shell.do(f'dst {seg.macs[0]}')
        seqs = {}
        for source in range(1, 11):
            reply = seg.shell.do(f'send {source} 0 64 512')
            lab.check(reply['sent'] == 64, f'port {source}: {reply}')
            seqs[source] = reply['first']
        served = []
        for _ in range(20):
            reply = seg.shell.do('recv 0 0 32 1000')
            lab.check(reply['got'] == 32 and not reply['bad'] and not reply['gaps'], f'{reply}')
            served.append(next(s for s, first in seqs.items()
                               if first <= reply['first'] < first + 64))
        lab.check(served[:10] == served[10:] and len(set(served[:10])) == 10,
                  f'{name}: bursts came from ports {served}')
        lab.check(seg.shell.do('recv 0 0 1 20')['got'] == 0, 'more than was sent')
        lent = seg.xstats(0)['rx_lent']
        lab.check(lent == (640 if more else 0), f'{name}: {lent} frames were lent')
        seg.end()


def ports_come_and_go():
    """A port that dies or leaves costs its own frames; the others never lose one."""
    seg = Segment('come', 4, own=3).meet()
    for turn in range(3):
        vdev = seg.region.vdev('port=3')
        other = pair.Shell(f'come-{turn}', vdev).up()
        other.link('up')
        mac = other.do('mac 0')['mac']

        def heard():
            seg.send(0, mac)
            return other.do('recv 0 0 1 5')['got']
        lab.wait_until(heard, 10, 'port 3 to hear port 0')
        other.do('recv 0 0 100 20')
        seg.shell.do(f'dst {mac}')
        seg.shell.do('send 0 0 25 64')
        lab.check(other.do('recv 0 0 26 100')['got'] == 25, 'frames to the port that came')
        before = seg.xstats(0)
        if turn == 1:
            other.kill()
        else:
            other.quit()
        lab.wait_until(lambda: seg.send(0, mac, 10) == {} and
                       seg.xstats(0)['port3_tx_down'] > before['port3_tx_down'], 30,
                       'frames for the dead port to be dropped')
        before = seg.xstats(0)
        seg.expect({}, 0, mac, 17)      # nobody else gets what is for it
        after = seg.xstats(0)
        lab.check(after['port3_tx_down'] - before['port3_tx_down'] == 17 ==
                  after['tx_dropped'] - before['tx_dropped'], f'{after}')
        seg.expect(seg.others(0, 9), 0, ALL, 9)
        seg.expect({2: 40}, 0, seg.macs[2], 40)
        lab.check(seg.shell.do('link 0')['link'] == 'up', 'the link of a segment with live ports')
    seg.end()


def alone():
    """The one rule for a port without a live peer: the link is down, and a burst takes nothing."""
    seg = Segment('alone', 3, own=1)
    lab.check(seg.shell.do('link 0')['link'] == 'down', 'a link to nobody')
    for dst in (ALL, NOBODY):
        seg.expect({}, 0, dst, 3, sent=0)
    lab.check(seg.xstats(0)['tx_dropped'] == 0, 'dropped')
    other = pair.Shell('alone-b', seg.region.vdev('port=2')).up()
    other.link('up')
    seg.shell.do('link 0 up 10000')
    other.quit()
    lab.wait_until(lambda: seg.shell.do('link 0')['link'] == 'down', 10, 'the link to go down')
    seg.expect({}, 0, ALL, 3, sent=0)
    seg.end()


def sixty_four():
    """64 ports, half of them in another process: what each sends arrives where it belongs."""
    low = Segment('many-a', 64, own=32, size='1G', memory=256, pool='32767 2048')
    high = Segment('many-b', 64, own=32, first=32, region=low.region, memory=256,
                   pool='32767 2048')
    halves = (low, high)
    low.shared = high.shared = True
    macs = low.macs + high.macs
    low.meet()
    high.meet()

    def send(source, dst, count):
        got = halves[source // 32].send(source % 32, dst, count, quiet=1)
        return {**{p + source // 32 * 32: n for p, n in got.items()},
                **{p + 32 - source // 32 * 32: n
                   for p, n in halves[1 - source // 32].gather(1).items()}}

    def all_met():
        return all(len(send(source, ALL, 1)) == 63 for source in range(64))
    lab.wait_until(all_met, 60, 'all 64 ports to hear each other')
    for source in range(64):
        for step in (1, 7, 32, 45):
            target = (source + step) % 64
            got = send(source, macs[target], 11)
            lab.check(got == {target: 11}, f'{source} to {target}: {got}')
        got = send(source, ALL, 2)
        lab.check(got == {p: 2 for p in range(64) if p != source}, f'{source} to all: {got}')
    for half in halves:
        for port in range(32):
            values = half.xstats(port)
            wrong = {k: v for k, v in values.items() if v and ('_bad_' in k or k.endswith('_full'))}
            lab.check(not wrong, f'{half.shell.name} {port}: {wrong}')
    low.shell.quit()
    high.end()


def processes():
    """Two of five ports, each a process: judged traffic with nothing lost (full=wait)."""
    region = pair.Region('64M', ports=5)
    macs = ['02:cc:00:00:00:01', '02:cc:00:00:00:02']
    vdevs = [region.vdev('full=wait', f'port={3 * i}', f'mac={mac}') for i, mac in enumerate(macs)]
    counts = [['--count', '1000000', '--dst-mac', macs[1 - side], '--promisc', 'off']
              for side in (0, 1)]
    pair.exchange('segment', vdevs, ['--sizes', '60-1514'], counts)
    region.remove()


def gentle_and_greedy():
    """Two sources into one that is too slow for both: the gentle one loses nothing."""
    seg = Segment('fair', 3, own=3).meet()
    seg.shell.do(f'dst {seg.macs[0]}')
    for turn in range(200):
        seg.shell.do('send 1 0 64 64')      # greedy: its ring is soon full, and stays so
        reply = seg.shell.do('send 2 0 16 64')
        lab.check(reply['sent'] == 16, f'{reply}')
        seg.shell.do('recv 0 0 32 1000')    # a burst of 32 is all that the receiver takes
    values = seg.xstats(1), seg.xstats(2)
    lab.check(values[0]['port0_tx_full'] > 0 and values[1]['port0_tx_full'] == 0 and
              values[1]['port0_tx_packets'] == 200 * 16, f'{values}')
    seg.gather()
    total = seg.shell.do('stats 0')['ipackets']
    lab.check(total == sum(v['port0_tx_packets'] for v in values), f'{total} received: {values}')
    seg.end()


def refusals():
    """What a segment can not be."""
    region = pair.Region('64M')
    shell = pair.Shell('refuse')
    shell.refused('probe net_ivshmem0 ' + region.args('full=drop'), 'full=drop', '2 ports')
    shell.refused('probe net_ivshmem0 ' + region.args('full=never'), 'full=never', 'drop', 'wait')
    shell.refused('probe net_ivshmem0 ' + pair.Region('1M', ports=64).args(), 'ports 64',
                  'does not fit')
    small = pair.Region('64M', ports=5)
    shell.refused('probe net_ivshmem0 ' + small.args('port=5'), 'port=5', '0..4')
    for port in range(5):
        shell.do(f'probe net_ivshmem{port} ' + small.args())
    shell.refused('probe net_ivshmem5 ' + small.args(), 'all 5 ports', 'taken')
    shell.refused('probe net_ivshmem5 ' + small.args('port=3'), 'port=3', 'taken', 'life 1')
    shell.quit()


lab.main(who_gets_what, own_counts, learned, set_address, collisions, full_costs_only_itself,
         full_wait, round_robin, gentle_and_greedy, ports_come_and_go, alone, sixty_four, processes,
         refusals)
