#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""How soon a port knows that another came or went, and what a pause in its life costs.

  shell a (port 0) --- server or file --- shell b (port 1)

Times are printed; what is asserted is ten times the promise, and in the long form also that the
median of several keeps the promise itself.
"""

import os
import signal
import statistics
import time

import client
import lab
import pair
from sleepers import Sleeper, check_honest

SOON = 1            # 10 times 100 ms: the server tells
LATE = 30           # 10 times 3 s: silence tells
BACK = 20           # 10 times 2 s: traffic after a pause
MEDIAN = {SOON: 0.1, LATE: 3.1}     # the promise; 100 ms more where the scheduler has a say
TURNS = {SOON: 5, LATE: 3} if lab.LONG else {SOON: 1, LATE: 1}
PAUSES = [(side, s) for side in ('gen', 'sink') for s in (1, 5, 30)] if lab.LONG else \
    [('gen', 1), ('sink', 5)]
ORPHAN_FRAMES = 1000000 if lab.LONG else 100000     # without a server, and with the next one
ORPHAN_MS = 30000 if lab.LONG else 10000
FLIP_SECONDS = 60 if lab.LONG else 5        # in each direction
FLIPS = FLIP_SECONDS * 50 if lab.LONG else 100      # at least; 100 a second are meant
FLIP_PATIENCE = 5   # ms that both ends of a ring have to agree on a session
AWAY_SECONDS = 10 if lab.LONG else 3
RUN = 3


# -- how soon ----------------------------------------------------------------

class Watch:
    """Shell a, which is told of links by callback alone; (link, callbacks) are what it knows."""

    def __init__(self, kind, region):
        self.kind = kind
        self.shell = pair.Shell(f'times-{kind}-a', region.vdev()).up(options='lsc=1')
        self.count = 0
        self.took = {}

    def told(self, what, want, bound, began):
        """The callback comes for a link that is so now, within the bound since then."""
        self.count += 1
        self.shell.until('link 0', lambda r: r['events'] >= self.count, bound,
                         f'callback {self.count}, {what}, within {bound} s')
        seconds = time.monotonic() - began
        reply = self.shell.do('link 0')
        lab.check(reply['link'] == want and reply['events'] == self.count,
                  f'{self.kind}, {what}: {reply}, not {want} and callback {self.count}')
        lab.check(seconds < bound, f'{self.kind}, {what}: told after {seconds:.1f} s')
        state = self.shell.do('xstats 0')['port1_state']
        lab.check((state == RUN) == (want == 'up'),
                  f'{self.kind}, {what}: port1_state is {state}')
        print(f'{self.kind}: {what} known after {1000 * seconds:.0f} ms')
        self.took.setdefault(what, []).append(seconds)

    def keeps(self, promise):
        """The median of the times of each event is within the promise."""
        for what, took in self.took.items():
            median = statistics.median(took)
            print(f'{self.kind}: {what}: median of {len(took)}: {1000 * median:.0f} ms')
            lab.check(median <= promise, f'{self.kind}, {what}: told after {median:.3f} s, the '
                      f'median of {", ".join(f"{x:.3f}" for x in took)}')


def newcomer(watch, region, name):
    """Port 1 starts."""
    b = pair.Shell(f'times-{watch.kind}-{name}', region.vdev())
    b.do('pool 4095 2048')
    b.do('configure 0 1 1')
    began = time.monotonic()
    b.do('start 0')
    watch.told('attach', 'up', SOON, began)
    b.link('up')
    watch.shell.exchange(b)
    return b


def comes_and_goes(kind, region, silence):
    watch = Watch(kind, region)
    for turn in range(TURNS[silence]):
        b = newcomer(watch, region, f'b{turn}')
        began = time.monotonic()
        b.send('quit\n')
        watch.told('clean detach', 'down', SOON, began)
        lab.check(b.wait(20) == 0, f'{b.name} did not end with status 0\n{b.tail()}')
        b = newcomer(watch, region, f'killed{turn}')
        began = time.monotonic()
        os.kill(b.pid, signal.SIGKILL)
        watch.told('kill -9', 'down', silence, began)
        b.kill()
    b = newcomer(watch, region, 'last')
    pair.quit_all(b, watch.shell)
    region.remove()
    if lab.LONG:
        watch.keeps(MEDIAN[silence])


def with_vectors():
    comes_and_goes('vectors', pair.Served('-l', '16M', name='times-server'), SOON)


def one_vector():
    comes_and_goes('one-vector', pair.Served('-l', '16M', '-n', 1, name='times-server-1'), SOON)


def without_server():
    comes_and_goes('no-server', pair.Region('16M'), LATE)


# -- pauses ------------------------------------------------------------------

class Ground:
    """A generator at port 1 and a sink at port 0 with rings that may sleep, by a server."""

    def __init__(self, name, *sink):
        self.name = name
        self.region = pair.Region()
        self.served = pair.Served('-m', self.region.path, '-l', '16M', name=f'{name}-server')
        self.sink = self.start('sink', 0, *sink)
        self.gen = self.start('gen', 1)
        self.passed()
        for slot in (0, 1, 0):  # only who was seen alive can be held for dead
            self.region.wait_for_beats(slot)

    def start(self, role, slot, *options, server=None):
        vdev = f'net_ivshmem0,socket={(server or self.served.server).socket}'
        life = self.region.state(slot)[0]
        side = pair.Traffic(f'{self.name}-{role}{life + 1}', role, vdev, '--quiet', '--idle', 0,
                            '--rxq-intr', 'on', '--sizes', 'imix', '--tx-timeout', 120,
                            '--wait', 120, *options)
        lab.wait_until(lambda: self.region.state(slot) == (life + 1, RUN), 30, f'{role} to run')
        return side

    def passed(self, amount=2000, seconds=60):
        epoch, index = self.region.consumed(0)

        def moved():
            now = self.region.consumed(0)
            return now[1] >= (index if now[0] == epoch else 0) + amount
        lab.wait_until(moved, seconds, f'{amount} frames to pass')

    def judge(self):
        """Ends both; what was sent was received or is counted as lost, and nothing is bad.
        Returns both reports."""
        self.gen.proc.send_signal(signal.SIGTERM)
        sent = self.gen.report()
        last = self.region.produced(1)
        lab.wait_until(lambda: self.region.consumed(0)[1] == last[1], 30, 'the last frames')
        self.sink.proc.send_signal(signal.SIGTERM)
        got = self.sink.report()
        lost = sent['port']['xstats'].get('tx_lost_on_restart', 0) + \
            got['port']['xstats'].get('rx_lost_on_restart', 0)
        found = sent['totals']['sent'], got['totals']['received']
        lab.check(found[0] == found[1] + lost, f'{found[0]} sent, {found[1]} received, {lost} '
                  'counted as lost')
        print(f'{self.name}: {found[0]} sent, {found[1]} received, {lost} counted as lost')
        self.served.remove()
        self.region.remove()
        return sent, got


def paused():
    """Either side stands still in mid-traffic, long enough to be declared dead or not."""
    for side, seconds in PAUSES:
        # a sink that comes back with a new life starts its rings anew: what is in them is lost
        ground = Ground(f'paused-{side}-{seconds}', '--expect', 'lost=any')
        process = getattr(ground, side).proc
        slot = {'sink': 0, 'gen': 1}[side]
        life = ground.region.state(slot)[0] + (seconds >= 5)
        process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        if seconds >= 5:
            lab.wait_until(lambda: ground.region.holds(1 - slot, slot) == life - 1, LATE,
                           'the other side to hold it for dead')
        process.send_signal(signal.SIGCONT)
        began = time.monotonic()
        ground.passed(seconds=BACK)
        print(f'{side} paused for {seconds} s: traffic after {time.monotonic() - began:.2f} s')
        # dead to the other after 2.8 s, and back with another life
        lab.wait_until(lambda: ground.region.state(slot) == (life, RUN), BACK, f'life {life}')
        ground.passed()
        lab.check(ground.region.state(1 - slot)[0] == 1, 'the other side took a new life, too')
        ground.judge()


def taken_over():
    """The slot of a paused port goes to another process: the paused one says so, and stops.

    Until its next heartbeat it does not know, and its frames come up between those of the other;
    none is garbled.
    """
    ground = Ground('taken', '--expect', 'received=any,lost=any,stale=any')
    old = ground.gen
    old.proc.send_signal(signal.SIGSTOP)
    ground.served.server.kill()
    server = lab.Server('-m', ground.region.path, '-l', '16M', name='taken-server2')
    place = client.Client(server.socket).handshake(5, [])       # of slot 0, which lives on
    lab.check(place.id == 0, f'the server gave slot {place.id} first')
    gen = ground.start('gen', 1, server=server)
    ground.passed()
    old.proc.send_signal(signal.SIGCONT)
    old.expect('another process took port 1', 30)
    ground.passed(100000)
    old.proc.send_signal(signal.SIGTERM)
    old.wait(60)
    ground.passed(100000)
    place.close()
    gen.proc.send_signal(signal.SIGTERM)
    sent = gen.report()
    last = ground.region.produced(1)
    lab.wait_until(lambda: ground.region.consumed(0)[1] == last[1], 30, 'the last frames')
    ground.sink.proc.send_signal(signal.SIGTERM)
    got = ground.sink.report()['totals']
    pair.check_clean(sent)
    print(f'taken over: {got["stale"]} frames of the paused port came up late, {got["lost"]} of '
          f'the other were lost, of {got["received"]}')
    lab.check(server.stop() == 0, 'the server did not end with status 0')
    ground.region.remove()


# -- a server that is killed, and started again ------------------------------

def check_unmoved(name, xstats, links):
    """So many link events, of the start and the end; each wakeup was a doorbell."""
    lab.check(xstats.get('link_changes', 0) in links,
              f'{name}: link_changes is not in {links}: {xstats}')
    odd = {k: v for k, v in xstats.items() if v and k in (
        'backstop_wakes', 'unreachable_ports', 'peer_restarts', 'port_rejoins')}
    lab.check(not odd, f'{name}: {odd}')


def server_killed_in_traffic():
    """No frame is lost or comes twice, neither while there is no server nor with the next one."""
    ground = Ground('orphans')
    ground.served.server.kill()
    ground.passed(ORPHAN_FRAMES)
    ground.served.server = lab.Server('-m', ground.region.path, '-l', '16M',
                                      name='orphans-server2')
    ground.passed(ORPHAN_FRAMES)
    sent, got = ground.judge()
    # the generator counts from its start on, and the sink may see it leave
    for report, links in (sent, [0, 1]), (got, [1, 2]):
        pair.check_clean(report)
        check_unmoved(f'orphans, {report["role"]}', report['port']['xstats'], links)


def server_killed_between_sleepers():
    """Nor is a wakeup: ports that sleep ring each other by the eventfds that they have."""
    region = pair.Region()
    server = lab.Server('-m', region.path, '-l', '16M', name='asleep-server')
    vdev = f'net_ivshmem0,socket={server.socket}'
    pong = Sleeper('asleep-pong', 'pong', vdev)
    lab.wait_until(lambda: region.state(0)[1] == RUN, 30, 'pong to run')
    bounce = Sleeper('asleep-bounce', 'bounce', vdev, ms=ORPHAN_MS)

    def passed():
        last = region.consumed(0)[1] + 2000
        lab.wait_until(lambda: region.consumed(0)[1] >= last, 60, '2000 frames to pass')
    passed()
    server.kill()
    passed()
    server = lab.Server('-m', region.path, '-l', '16M', name='asleep-server2')
    passed()
    lab.check(bounce.running(), f'the frames were over too soon\n{bounce.tail()}')
    there, back = bounce.result(), pong.result()
    print(f'{there["sent"]} frames there and back, {there["sleeps"]} and {back["sleeps"]} sleeps')
    lab.check(there['sent'] == back['received'] == back['sent'] == there['received'] > 6000,
              f'{there}, {back}')
    check_honest(there, back)
    for sleeper, found, links in (bounce, there, [1]), (pong, back, [2]):
        lab.check(found['sleeps'] > 100, f'{sleeper.name} hardly slept: {found}')
        check_unmoved(sleeper.name, found, links)
        told = sleeper.output().count('traffic goes on without the server')
        lab.check(told == 1, f'{sleeper.name} said {told} times that the server is gone')
    lab.check(server.stop() == 0, 'the server did not end with status 0')
    region.remove()


# -- restarts under running bursts -------------------------------------------

def flip(b, work):
    """Port 0 of b stops and starts about 100 times a second, some frames in between; what work()
    returned each time."""
    counts = []
    end = time.monotonic() + FLIP_SECONDS
    while time.monotonic() < end:
        due = time.monotonic() + 0.01
        counts.append(work(b))
        b.do('stop 0')
        b.do('start 0')
        if len(counts) % 10 == 0:
            b.link('up')
        time.sleep(max(0, due - time.monotonic()))
    print(f'{len(counts)} restarts in {FLIP_SECONDS} s, {sum(counts)} frames in '
          f'{sum(map(bool, counts))} of them')
    lab.check(len(counts) >= FLIPS and sum(counts) > 1000,
              f'{len(counts)} restarts in {FLIP_SECONDS} s, {sum(counts)} frames')
    return counts


def flipped_sender():
    """a receives without a break while b, which sends, stops and starts."""
    region = pair.Region('16M')
    a, b = pair.shell_pair(region, 'flipped-rx-')
    a.send('recv 0 0 1000000000 1500\n')
    counts = flip(b, lambda b: b.do(f'send 0 0 200 300 1 {FLIP_PATIENCE}')['sent'])
    sent, busy = sum(counts), sum(map(bool, counts))
    got = a._reply('recv', 30)
    lost = a.do('xstats 0')['rx_lost_on_restart']
    print(f'{sent} sent, {got["got"]} received, {lost} counted as lost')
    lab.check(not got['bad'] and sent == got['got'] + lost, f'{sent} sent, {got}, {lost} lost')
    lab.check(busy > len(counts) / 2, f'only {busy} of {len(counts)} times it sent anything')
    b.link('up')
    a.exchange(b)
    pair.quit_all(a, b)


def flipped_receiver():
    """a sends without a break while b, which receives, stops and starts."""
    region = pair.Region('16M')
    a, b = pair.shell_pair(region, 'flipped-tx-')
    a.send('send 0 0 1000000000 300 1 1500\n')
    bad = []

    def work(b):
        reply = b.do('recv 0 0 200 2')
        bad.append(reply['bad'] + reply['gaps'])
        return reply['got']
    got = sum(flip(b, work))
    b.do('stop 0')
    sent = a._reply('send', 30)['sent']
    b.do('start 0')
    b.link('up')
    a.link('up')
    sent += a.meet(b)
    lost = a.do('xstats 0')['tx_lost_on_restart']
    print(f'{sent} sent, {got} received, {lost} counted as lost')
    lab.check(not any(bad), f'{sum(bad)} frames bad or out of order')
    lab.check(sent == got + lost, f'{sent} sent, {got} received, {lost} lost')
    a.exchange(b)
    pair.quit_all(a, b)


def away():
    """Another port is killed and comes back while our application does not poll."""
    region = pair.Region('16M')
    a, b = pair.shell_pair(region, 'away-', options='lsc=1')
    a.do('send 0 0 100 64')
    b.do('send 0 0 100 64')
    b.kill()
    time.sleep(AWAY_SECONDS / 2)
    b = pair.Shell('away-b2', region.vdev('port=1')).up()
    time.sleep(AWAY_SECONDS / 2)
    a.link('up')
    b.link('up')
    a.exchange(b)
    found = a.do('xstats 0')
    lab.check(found['tx_lost_on_restart'] == found['rx_lost_on_restart'] == 100, f'{found}')
    pair.quit_all(a, b)


lab.main(with_vectors, one_vector, without_server, paused, taken_over, server_killed_in_traffic,
         server_killed_between_sleepers, flipped_sender, flipped_receiver, away)
