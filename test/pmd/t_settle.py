#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""What an earlier life of a port lent, and third ports still look at, is not used again.

  shells a, b and c: ports 0, 1 and 2 of one region, all with zero_copy=1
"""

import lab
import pair

MACS = [f'02:00:00:00:00:0{slot + 1}' for slot in range(3)]
POOL = 'net_ivshmem0_tx'
COUNT = 512
POOLED = [f'tx_pool={COUNT}']
BEATS = 6       # far more than a port needs to look at the others
BUSY = 2000000  # frames: many heartbeats
FILL = 8192     # frames: more than a ring holds


def vdev(region, slot, *more):
    return region.vdev('zero_copy=1', f'port={slot}', f'mac={MACS[slot]}', *more)


class ServedRegion(pair.Region):
    """One that a server gives slots of, in the order of clients; it tells of their ends."""

    def __init__(self, size, ports, queues):
        super().__init__(size)
        self.server = lab.Server('-m', self.path, '-l', size, '--ports', ports, '--queues', queues)

    def args(self, *more):
        return ','.join([f'socket={self.server.socket}',
                         *[word for word in more if not word.startswith('port=')]])

    def remove(self):
        lab.check(self.server.stop() == 0, self.server.tail())
        super().remove()


def segment(name, queues=1, pool=False, made=pair.Region):
    """The region and its three ports, started; a has a Tx pool if asked for."""
    region = made('64M', ports=3, queues=queues)
    more = [POOLED if pool else [], [], []]
    shells = [pair.Shell(f'{name}-{port}', vdev(region, slot, *more[slot])).up(queues)
              for slot, port in enumerate('abc')]
    shells[0].link('up')
    return region, *shells


def killed(old, name, *devargs):
    """kill -9; returns the port's next life."""
    old.kill()
    return pair.Shell(name, vdev(*devargs)).up()


def end(region, *shells):
    lab.check(not shells[0].do('xstats 0')['reclaims'],
              'used again after a time, not when given back')
    pair.quit_all(*shells)
    region.remove()


def kept_by(b, a, count=50, pool=None):
    """b keeps so many frames that a sent it, out of a pool if one is named; what b has then."""
    a.meet(b)
    if pool:
        a.do(f'use {pool}')
    lab.check(a.do(f'send 0 0 {count} 1000 1 1000')['sent'] == count, 'not all sent')
    held = b.do('held')['held'] + count
    lab.wait_until(lambda: b.do('hold 0 0 512') and b.do('held')['held'] == held, 10,
                   f'{count} frames')
    return b.do('held')


def look(*shells):
    """Each takes its part in the others' new sessions."""
    for shell in shells:
        shell.do('recv 0 0 1 1')


def start_while_settling():
    """A port waits for what b keeps of two Tx queues before it shares its buffers out for one, also
    when it is stopped and started meanwhile."""
    region, a, b, c = segment('start', queues=2)
    a.do(f'dst {MACS[1]}')
    for queue in range(2):
        a.meet(b, queue, queue)
        lab.check(a.do(f'send 0 {queue} 50 1000 1 1000')['sent'] == 50, f'queue {queue}')
        lab.wait_until(lambda: b.do('held')['held'] + b.do(f'hold 0 {queue} 64')['got'] >=
                       50 * (queue + 1), 10, f'50 frames of queue {queue}')
    before = b.do('held')
    a.do_all(['stop 0', 'configure 0 1 1', 'start 0', 'stop 0', 'start 0', f'dst {MACS[2]}'])
    for _ in range(BEATS):
        region.wait_for_beats(0, 3)
        look(a, b)
        a.do('send 0 0 64 1000 1 1')
        got = c.do('recv 0 0 256 20')['got']
        lab.check(got == 0, f'{got} frames to c, out of buffers that b may look at')
    lab.check(b.do('held') == before, f'held before: {before}, now: {b.do("held")}')
    b.do('release')

    def served():
        look(a, b)
        b.do('recv 0 1 1 1')
        a.do('send 0 0 64 1000 1 1')
        return c.do('recv 0 0 256 20')['got'] >= 64
    lab.wait_until(served, 30, 'frames to c')
    end(region, a, b, c)


def busy_with_another():
    """What b gives back comes home while a's only Tx queue has its hands full with c."""
    region, a, b, c = segment('busy', pool=True)
    a.do(f'dst {MACS[2]}')
    a.meet(c)
    a.do(f'dst {MACS[1]}')
    kept_by(b, a, 100, POOL)
    a.do_all(['use', f'dst {MACS[2]}'])
    c.send(f'recv 0 0 {BUSY} 500\n')
    a.send(f'send 0 0 {BUSY} 1000 1 1000\n')
    b.do('release')
    sent = a._reply('send', 60)['sent']
    free = a.do(f'mempool {POOL}')['free']      # at once: soon the queue counts as idle
    got = c._reply('recv', 60)
    lab.check(free == COUNT and sent == BUSY,
              f'{free} of {COUNT} mbufs came home in {sent} frames')
    lab.check(got['got'] > 1000 and not got['bad'], f'{got}')
    end(region, a, b, c)


def passed_on(name, **more):
    """b passed mbufs of a's pool on to c, which keeps them. Returns region, shells, what c has."""
    region, a, b, c = segment(name, pool=True, **more)
    a.do(f'dst {MACS[1]}')
    a.meet(b)
    a.do(f'use {POOL}')
    held = 0

    def kept():
        nonlocal held
        b.send(f'forward 0 {MACS[2]} 100\n')
        a.do('send 0 0 16 1000')
        held += c.do('hold 0 0 64')['got']
        b._reply('forward', 20)
        held += c.do('hold 0 0 64')['got']
        return held >= 50
    lab.wait_until(kept, 20, '50 frames of the pool that c keeps')
    return region, a, b, c, c.do('held')


def waits_for(region, a, before, *others):
    """a's next life makes no mbuf of its pool as long as c, the last of the others, keeps some."""
    a = killed(a, 'a2', region, 0, *POOLED)
    for _ in range(BEATS):
        region.wait_for_beats(0, 3)
        look(a, *others)
        free = a.do(f'mempool {POOL}')['free']
        lab.check(free == 0, f'{free} mbufs are to be had, though c may look at them')
    slot = a.do('xstats 0')['port_slot']
    lab.check(slot == 0, f'a has slot {slot} now')
    after = others[-1].do('held')
    lab.check(after == before, f'held before: {before}, now: {after}')
    return a


def middle_starts_anew_first():
    """b dies and comes back, then a."""
    region, a, b, c, before = passed_on('middle')
    b = killed(b, 'middle-b2', region, 1)
    b.link('up')
    region.wait_for_beats(2, 3)
    look(b, c)
    a = waits_for(region, a, before, b, c)
    c.do('release')
    lab.wait_until(lambda: look(a, b, c) or a.do(f'mempool {POOL}')['free'] == COUNT, 30,
                   f'{COUNT} mbufs in {POOL}')
    end(region, a, b, c)


def middle_leaves():
    """b closes its port and is not seen again, then a dies."""
    region, a, b, c, before = passed_on('leaves')
    b.quit()
    region.wait_for_beats(2, 3)
    look(c)
    a = waits_for(region, a, before, c)
    c.do('release')
    lab.wait_until(lambda: look(a, c) or a.do(f'mempool {POOL}')['free'] == COUNT, 30,
                   f'{COUNT} mbufs in {POOL}')
    end(region, a, c)


def middle_dies():
    """b dies, of which the server tells, and is not seen again; then a."""
    region, a, b, c, before = passed_on('dies', made=ServedRegion)
    b.kill()
    region.wait_for_beats(2, 3)
    look(c)
    a = waits_for(region, a, before, c)
    end(region, a, c)


def closed_with_frames_held():
    """b closes its port and still has mbufs of it: they stay as they are until it lets go of them,
    or ends."""
    region = pair.Region('16M', queues=1)
    a = pair.Shell('close-a', vdev(region, 0, *POOLED)).up()
    for ends in (False, True):
        b = pair.Shell(f'close-b{ends:d}', vdev(region, 1)).up()
        b.link('up')
        a.do(f'dst {MACS[1]}')
        before = kept_by(b, a, 100, POOL)
        b.do_all(['stop 0', 'close 0'])
        for _ in range(BEATS):
            region.wait_for_beats(0, 3)
            free = a.do(f'mempool {POOL}')['free']
            lab.check(free == COUNT - 100, f'{free} mbufs are to be had, though b has 100')
        lab.check(b.do('held') == before, f'held before: {before}, now: {b.do("held")}')
        if not ends:
            b.do('release')
        else:
            b.quit()
        lab.wait_until(lambda: a.do(f'mempool {POOL}')['free'] == COUNT, 10, f'{COUNT} in {POOL}')
        if not ends:
            b.quit()
        a.do('use')
    end(region, a)


def restarted_in_place():
    """a knows what is out when it is stopped and started: the rest is for new frames at once."""
    region, a, b, c = segment('place')
    a.do(f'dst {MACS[1]}')
    for _ in range(3):
        before = kept_by(b, a)
        a.do_all(['stop 0', 'start 0'])
        a.link('up')
        a.exchange(b, length=1000)
        lab.check(b.do('held') == before, f'held before: {before}, now: {b.do("held")}')
    b.do('release')
    end(region, a, b, c)


def restarted_again_and_again():
    """What b keeps is used all the same after a minute, however often a has started anew meanwhile;
    but not what b keeps of a later session."""
    region, a, b, c = segment('again')
    a.do(f'dst {MACS[1]}')

    def restarted():
        a.do_all(['stop 0', 'start 0'])
        a.link('up')
        region.wait_for_beats(0, 10)
        return a.do('xstats 0')['reclaims']
    kept_by(b, a)
    restarted()
    before = kept_by(b, a)
    lab.check(not before['bad'], f'{before}')
    lab.wait_until(restarted, 100, 'buffers that are used again')
    a.meet(b)
    a.do(f'send 0 0 {FILL} 900 1 1')        # shorter: what it overwrites is neither
    after = b.do('held')
    lab.check(after['held'] == 100 and after['bad'] == 50,
              f'the first 50 should be overwritten, and only they: {after}')
    b.do('release')
    pair.quit_all(a, b, c)
    region.remove()


def back_but_not_started():
    """b died with mbufs of a's pool, and its next life does not start: they come home all the same,
    after a minute."""
    region = pair.Region('16M', queues=1)
    a = pair.Shell('back-a', vdev(region, 0, *POOLED)).up()
    b = pair.Shell('back-b', vdev(region, 1)).up()
    a.link('up')
    a.do(f'dst {MACS[1]}')
    kept_by(b, a, 100, POOL)
    b.kill()
    b = pair.Shell('back-b2', vdev(region, 1))
    lab.wait_until(lambda: a.do(f'mempool {POOL}')['free'] == COUNT, 100, f'{COUNT} in {POOL}')
    pair.quit_all(a, b)
    region.remove()


lab.main(start_while_settling, busy_with_another, middle_starts_anew_first, middle_leaves,
         middle_dies, closed_with_frames_held, restarted_in_place, restarted_again_and_again,
         *[back_but_not_started] * lab.LONG)
