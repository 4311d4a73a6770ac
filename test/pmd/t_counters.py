#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Each named counter goes up for its reason, and no other does; the port goes on working.

  shell (port 0) --- region --- odd peer, or another shell (port 1)

A case breaks one rule, compares all counters before and after, then passes good frames in both
directions with the same peer.
"""

import lab
import pair

# Of the port's state, not of faults; and what counts good frames.
FREE = {'port_slot', 'port_life', 'port1_state', 'port1_life', 'memory_load_ns',
        'memory_uncached'}
# Of segments: driven by t_segment.py.
SEGMENT = {'tx_dropped', 'tx_to_self', 'mac_conflicts'}
# Of interrupts: driven by the suite intr.
INTR = {'rx_arms', 'rx_wakes', 'rx_spurious_wakes', 'rx_masked', 'control_interrupts',
        'control_masked', 'port_rejoins', 'backstop_wakes', 'unreachable_ports',
        'port1_tx_doorbells'}
ODD_GEOMETRY = {'size': '2M', 'queues': 1, 'ring_size': 256}

# Of zero_copy=1 and tx_pool=: t_zero_copy.py, t_tx_pool.py.
ZERO_COPY = {'rx_lent', 'tx_passed', 'tx_from_pool', 'tx_bad_cookies', 'reclaims'}

seen = set()        # the names that some case drove above 0


class Bench:
    """The shell's port and the odd peer, met; counts what changes."""

    def __init__(self, name, options='', pool='4095 2048', **geometry):
        region = pair.Region(**{**ODD_GEOMETRY, **geometry})
        self.a = pair.Shell(name + '-port', region.vdev('port=0')).up(pool=pool, options=options)
        self.a.do('promisc 0 on')       # whatever the odd peer's buffers hold
        self.b = pair.OddPeer(name + '-odd', region)
        self.b.do('start')
        self.a.link('up')
        self.meet()
        self.before = self.counters()

    def meet(self):
        """Both ends ready: the shell's steps are taken in its bursts."""
        def ready():
            self.a.do('send 0 0 1 64')
            self.a.do('recv 0 0 1 5')       # many polls: a liar is let wait for some
            try:
                self.b.do('ready 20')
            except pair.Refused:
                return False
            self.b.do('take 1000')
            return True
        lab.wait_until(ready, 20, 'the ring between port and odd peer')

    def counters(self):
        values = {**self.a.do('xstats 0'), **self.a.do('stats 0')}
        return {k: v for k, v in values.items()
                if k not in FREE and not k.endswith(('packets', 'bytes'))
                and not k.startswith(('rx_good', 'tx_good'))}

    def changed(self):
        """What changed since the last look."""
        now = self.counters()
        found = {k: now[k] - self.before[k] for k in now if now[k] != self.before[k]}
        self.before = now
        return found

    def expect(self, **wanted):
        """Exactly these counters went up, by so much ('+': by anything)."""
        # a sum, of all that EAL's own table names an error
        for alias, name in (('rx_errors', 'ierrors'), ('tx_errors', 'oerrors'),
                            ('rx_mbuf_allocation_errors', 'rx_nombuf')):
            if name in wanted:
                wanted[alias] = wanted[name]
        found = self.changed()
        lab.check(found.keys() == wanted.keys() and all(
            found[k] == wanted[k] if wanted[k] != '+' else found[k] > 0 for k in wanted),
            f'counters went up by {found}, not by {wanted}')
        seen.update(wanted)

    def recv(self, count, quiet=50):
        got = self.a.do(f'recv 0 0 100 {quiet}')
        lab.check(got['got'] == count and not got['bad'], f'{got}, not {count} good frames')
        return got

    def works(self):
        """Good frames in both directions, and no counter moves."""
        self.meet()
        self.changed()
        self.b.do('good 50 200')
        self.b.do('publish')
        got = self.recv(50)
        lab.check(not got['gaps'], f'{got}')
        lab.check(self.a.do('send 0 0 50 200')['sent'] == 50, 'not 50 sent')
        taken = self.b.do('take 1000')
        lab.check(taken == {'taken': 50, 'bad': 0}, f'{taken}')
        self.expect()

    def end(self):
        self.works()
        pair.quit_all(self.b, self.a)


def descriptors():
    """Each rule that a descriptor can break, between two good frames."""
    bench = Bench('desc')
    bufs, length = bench.b.hello['bufs'], bench.b.hello['buf_len']
    cases = [
        # section flags buf off len
        ('1 0x8000 0 128 64', {'rx_bad_flags': 1}),
        ('1 4 0 128 64', {'rx_bad_flags': 1}),
        ('0 0 0 128 64', {'rx_bad_section': 1}),
        ('2 0 0 128 64', {'rx_bad_section': 1}),
        ('65535 0 0 128 64', {'rx_bad_section': 1}),
        (f'1 0 {bufs} 128 64', {'rx_bad_buffer': 1}),
        ('1 0 0xffffffff 128 64', {'rx_bad_buffer': 1}),
        ('1 0 0 128 13', {'rx_bad_length': 1}),
        ('1 0 0 128 0', {'rx_bad_length': 1}),
        (f'1 0 0 {length - 63} 64', {'rx_bad_length': 1}),
        ('1 0 0 65535 65535', {'rx_bad_length': 1}),
        ('1 0 0 128 1519', {'rx_too_long': 1}),
    ]
    for descriptor, counted in cases:
        bench.b.do('good 1 100')
        bench.b.do('put ' + descriptor)
        bench.b.do('good 1 100')
        bench.b.do('publish')
        bench.recv(2)
        bench.expect(ierrors=1, **counted)
    bench.b.do(f'put 1 0 {bufs - 1} {length - 64} 64')     # the last byte that there is
    bench.b.do('publish')
    lab.check(bench.a.do('recv 0 0 100 50')['got'] == 1, 'the last buffer was refused')
    bench.expect()
    bench.end()


def chains():
    """The same rules inside a chain; chains that are too long, or have no end."""
    bench = Bench('chain')
    good = 'put 1 1 0 128 100'
    for rest, counted in (
            (['put 1 0x11 0 128 100', 'put 1 0 0 128 100'], 'rx_bad_flags'),
            (['put 0 1 0 128 100', 'put 1 0 0 128 100'], 'rx_bad_section'),
            (['put 1 1 999999 128 100', 'put 1 0 0 128 100'], 'rx_bad_buffer'),
            (['put 1 1 0 128 0', 'put 1 0 0 128 100'], 'rx_bad_length'),
            (['put 1 1 0 128 100'] * 10, 'rx_bad_chain'),           # no end: publish stops it
            (['put 1 1 0 128 15'] * 63 + ['put 1 0 0 128 15'], 'rx_bad_chain'),
            (['put 1 1 0 128 1000', 'put 1 0 0 128 1000'], 'rx_too_long')):
        bench.b.do('good 1 100')
        for line in [good, *rest]:
            bench.b.do(line)
        bench.b.do('publish')
        got = bench.a.do('recv 0 0 100 50')
        found = bench.changed()
        lab.check(found.get(counted, 0) > 0 and
                  set(found) <= {counted, 'ierrors', 'rx_errors'} and
                  found['ierrors'] == found[counted] == 1,
                  f'{rest[0]}, ...: {found}, not {counted}')
        lab.check(got['got'] >= 1 and got['first'] >= 0, f'the good frame before: {got}')
        seen.add(counted)
        bench.works()
    # 64 pieces are a frame
    bench.b.do('put 1 1 0 128 14')
    for _ in range(62):
        bench.b.do('put 1 1 0 128 1')
    bench.b.do('put 1 0 0 128 1')
    bench.b.do('publish')
    lab.check(bench.a.do('recv 0 0 100 50')['got'] == 1, 'a frame of 64 pieces was refused')
    bench.expect()
    bench.end()


def wrong_index():
    """An index that can not be: a new session follows, after a while."""
    bench = Bench('index')
    slots = bench.b.hello['slots']
    for index in (slots + 1, 0x80000000, 0xffffffff):
        bench.b.do(f'index {index}')
        bench.recv(0)
        bench.expect(rx_bad_index='+')
        bench.works()
    bench.b.do('good 10 64')
    bench.b.do('publish')
    bench.recv(10)
    bench.b.do('index 0')       # backwards
    bench.recv(0)
    bench.expect(rx_bad_index='+')
    bench.works()
    # the consumer's index: ahead of what was sent
    for index in (1000000, 0xffffffff):
        bench.a.do('send 0 0 10 64')
        bench.changed()
        bench.b.do(f'consumed {index}')
        lab.wait_until(lambda: bench.a.do('send 0 0 1 64') and
                       bench.a.do('xstats 0')['tx_bad_index'] > bench.before['tx_bad_index'],
                       10, 'the producer to look')
        bench.expect(tx_bad_index=1)
        bench.b.do('consume')
        bench.works()
    bench.end()


def wrong_ring():
    """A directory that can not be: no ring is used, until there is a good one."""
    bench = Bench('ring')
    for directory in ('3', '16', '65536', '100', '256 4096', '256 1', '256 0xffffffffffffff00',
                      '256 0x7fffffffffffffc0', '0x80000000'):
        bench.b.do('produce ' + directory)
        lab.wait_until(lambda: bench.a.do('recv 0 0 1 5') and
                       bench.a.do('xstats 0')['rx_bad_ring'] > bench.before['rx_bad_ring'],
                       10, f'directory {directory} to be refused')
        bench.expect(rx_bad_ring='+')
        bench.b.do('produce')
        bench.works()
    bench.end()


def lost():
    """The peer's ends start anew while frames are queued."""
    bench = Bench('lost')
    bench.b.do('good 30 64')
    bench.b.do('publish')
    lab.check(bench.a.do('recv 0 0 10')['got'] == 10, 'not 10')
    bench.b.do('produce')
    bench.recv(0)
    bench.expect(rx_lost_on_restart=20)
    bench.works()
    lab.check(bench.a.do('send 0 0 30 64')['sent'] == 30, 'not 30')
    bench.b.do('take 10')
    bench.b.do('consume')
    lab.wait_until(lambda: bench.a.do('send 0 0 1 64')['sent'] == 0, 10, 'the producer to look')
    found = bench.changed()
    lab.check(found.keys() - {'tx_ring_full'} == {'tx_lost_on_restart'} and
              found['tx_lost_on_restart'] >= 20, f'{found}')
    seen.add('tx_lost_on_restart')
    bench.end()


def discarded():
    """Sessions that end while frames of them are copied: the burst is thrown away, and counted."""
    bench = Bench('storm', size='16M', ring_size=1024)
    spin = 0

    def caught():
        nonlocal spin
        spin = (spin + 997) % 20000
        bench.b.send(f'storm 400 {spin}\n')
        bench.a.do('recv 0 0 100000000 200')
        bench.b._reply('storm', 20)
        return bench.a.do('xstats 0')['rx_discarded_on_restart'] > 0
    lab.wait_until(caught, 60, 'a session to end in the middle of a burst')
    found = bench.changed()
    lab.check(found.keys() == {'rx_discarded_on_restart', 'rx_lost_on_restart'}, f'{found}')
    seen.update(found)
    bench.b.do('produce')
    bench.end()


def transmit():
    """What no wire carries is freed and counted; a full ring is only back-pressure."""
    bench = Bench('tx', options='mtu=9600 segs=1 scatter=1', pool='4095 10000')
    for length, wanted in ((13, 'tx_too_short'), (1, 'tx_too_short'), (9619, 'tx_too_long'),
                           (9900, 'tx_too_long')):
        sent = bench.a.do(f'send 0 0 3 {length}')
        lab.check(sent['sent'] == 3, f'{sent}')
        bench.expect(oerrors=3, **{wanted: 3})
    sent = bench.a.do('send 0 0 1 9619 5')
    lab.check(sent['sent'] == 1, f'{sent}')
    bench.expect(oerrors=1, tx_too_long=1)
    lab.check(bench.b.do('take 1000')['taken'] == 0, 'a refused frame was sent')
    slots = bench.b.hello['slots']
    sent = bench.a.do('send 0 0 1000 64')
    lab.check(sent['sent'] == slots, f'{sent}, not {slots}')
    bench.expect(tx_ring_full='+')
    lab.check(bench.b.do('take 1000') == {'taken': slots, 'bad': 0}, 'not what was sent')
    memory = bench.a.do('memory')
    lab.check(memory['mbufs'] == memory['of'], f'mbufs are missing: {memory}')
    bench.end()


def no_mbuf():
    """Without mbufs frames stay in the ring, whole ones and chains."""
    bench = Bench('nombuf', pool='127 512', options='scatter=1')
    bench.b.do('good 20 100')
    bench.b.do('publish')
    bench.a.do('drain 0')
    bench.recv(0)
    bench.expect(rx_nombuf='+')
    bench.a.do('release')
    lab.check(not bench.recv(20)['gaps'], 'frames are missing')
    bench.expect()
    # 1500 bytes need 3 mbufs of 512
    first = bench.b.do('good 20 1500')['first']
    bench.b.do('publish')
    for left in (1, 2):
        bench.a.do(f'drain {left}')
        bench.recv(0)
        bench.expect(rx_nombuf='+')
        bench.a.do('release')
    bench.a.do('drain 3')
    got = bench.a.do('recv 0 0 100 50')
    lab.check(got['got'] == 20 and got['first'] == first and not got['bad'] and not got['gaps'],
              f'3 mbufs are enough for frames of 3: {got}')
    bench.changed()
    bench.a.do('release')
    memory = bench.a.do('memory')
    lab.check(memory['mbufs'] == memory['of'], f'mbufs are missing: {memory}')
    bench.end()


def not_mine():
    """A unicast frame for another address, when the port is not promiscuous."""
    region = pair.Region()
    a, b = pair.shell_pair(region, 'mine-')
    b.do('promisc 0 off')
    before = b.do('stats 0')
    a.do('dst 02:00:00:00:00:77')
    a.do('send 0 0 7 64')
    lab.check(b.do('recv 0 0 100 50')['got'] == 0, 'foreign frames were delivered')
    lab.check(b.do('xstats 0')['rx_not_mine'] == 7, 'rx_not_mine is not 7')
    lab.check(b.do('stats 0')['ierrors'] == before['ierrors'] == 0, 'a filtered frame is no error')
    seen.add('rx_not_mine')
    a.do('dst ff:ff:ff:ff:ff:ff')
    a.exchange(b)
    pair.quit_all(a, b)


def link_and_peer():
    """link_changes, peer_restarts and what shows the state of both ends."""
    bench = Bench('link')
    values = bench.a.do('xstats 0')
    lab.check((values['port_slot'], values['port_life'], values['port1_state'],
               values['port1_life']) == (0, 1, 3, 1), f'{values}')
    for state, link in ((2, 'down'), (3, 'up'), (1, 'down'), (3, 'up'), (77, 'down'), (3, 'up')):
        bench.b.do(f'state {state}')
        bench.a.link(link)
        bench.expect(link_changes=1)
        lab.check(bench.a.do('xstats 0')['port1_state'] == (state if state < 4 else 0),
                  'port1_state')
    bench.works()
    path = bench.b.argv[1]
    bench.b.quit()
    bench.a.link('down')
    bench.expect(link_changes=1)
    bench.b = pair.Driven('link-odd-2', [pair.TOOLS / 'ivshmem-odd-peer', path, 1])
    bench.b.do('start')
    bench.a.link('up')
    found = bench.changed()
    lab.check(found.pop('peer_restarts', 0) == 1 and found.pop('link_changes', 0) == 1, f'{found}')
    lab.check(bench.a.do('xstats 0')['port1_life'] == 2, 'port1_life is not 2')
    seen.update(FREE, {'link_changes', 'peer_restarts'})
    bench.end()


def wrong_configuration():
    """Queue counts that can not be are ignored; a return mode that we do not serve only waits."""
    bench = Bench('conf')
    for counts in ('0 1', '1 0', '17 1', '65535 65535', '2 1'):
        bench.b.do('conf ' + counts)
        bench.recv(0)
        bench.works()
    bench.b.do('conf 1 1')
    bench.b.do('consume')
    bench.b.do('return-mode 1')
    lab.wait_until(lambda: bench.a.do('send 0 0 1 64')['sent'] == 0, 10, 'the producer to look')
    try:
        bench.b.do('ready 100')
    except pair.Refused:
        pass
    lab.check(bench.a.do('send 0 0 1 64')['sent'] == 0, 'it sent to a consumer that keeps buffers')
    bench.b.do('return-mode 0')
    bench.end()


def all_names():
    """Every extended counter of the driver was driven by some case above."""
    names = set(pair.Shell('names', pair.Region('1M').vdev()).up().do('xstats 0'))
    own = {n for n in names if not n.startswith(('rx_q', 'tx_q', 'rx_good', 'tx_good'))}
    seen.update(SEGMENT, INTR, ZERO_COPY, {'rx_missed_errors'})
    lab.check(not own - seen, f'not driven: {sorted(own - seen)}')


lab.main(descriptors, chains, wrong_index, wrong_ring, lost, discarded, transmit, no_mbuf, not_mine,
         link_and_peer, wrong_configuration, all_names)
