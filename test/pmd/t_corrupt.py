#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Every field of the format corrupted, one by one: refused by name, or the culprit's own affair.

  shell: port 0 the victim, port 1 the culprit, ports 2 and 3 a pair that wants nothing of either
         --- region of 4 ports, which this test writes into

The fields are those of test/abi/layout.golden: a field that no case knows is a failure. Corrupted
are the superblock, the culprit's slot and all of its section, which is the victim's "other" and the
culprit's own one. Nothing happens between two commands of the shell but heartbeats.
"""

import mmap
import re

import lab
import pair

CULPRIT, VICTIM, PAIR = 1, 0, (2, 3)
BOTH_WAYS = (CULPRIT, VICTIM), (VICTIM, CULPRIT)
PORTS = 4
SERVER = 77         # epoch of a server that only these tests know of
GEOMETRY = 128      # bytes of a section's header that repeat the superblock, before its owner's


def fields():
    """{struct: {name: (offset, length)}}, as the compiler has them."""
    found = {}
    for line in (lab.ROOT / 'test/abi/layout.golden').read_text().splitlines():
        head = re.fullmatch(r'(\w+): struct \w+, \d+ bytes', line)
        row = re.fullmatch(r' *(\d+) +(\d+) (\w+)', line)
        if head:
            rows = found[head[1]] = {}
        elif row:
            rows[row[3]] = (int(row[1]), int(row[2]))
    del found['entry'], found['section']['conf']    # made of others that are there
    return found


FORMAT = fields()

# -- what is expected --------------------------------------------------------

# When the region is attached to: changed, the field is refused by this word ...
REFUSED = {'superblock': {name: name for name in '''
    magic feat_ro feat_incompat total_len section_off section_len line_len granule ring_slots
    buf_len buf_cnt headroom rxq_off prod_off cons_off slot_len ring_off ring_len buf_off
    '''.split()}, 'section': {name: name for name in '''
    magic slot hdr_len section_len rxq_off prod_off cons_off ring_slots ring_off ring_len buf_off
    buf_len buf_cnt headroom'''.split()}}
REFUSED['superblock'].update(major='version', server_epoch='server')
# ... or refused or accepted, by its value ...
EITHER = {'hdr_len', 'port_cnt', 'queue_cnt', 'slot_off'}
# ... or nobody's business.
ACCEPTED = {'minor', 'feat_compat', 'uuid', 'server_beat'}

# While ports run: what goes up at the victim (or what starts with it), for at least one value.
COUNTED = {
    'desc.section': 'rx_bad_section', 'desc.flags': 'rx_bad_flags', 'desc.buf': 'rx_bad_buffer',
    'desc.data_off': 'rx_bad_length', 'desc.data_len': 'rx_bad_length',
    'prod.pw': 'rx_bad_index', 'prod.desc_cnt': 'rx_bad_ring', 'prod.desc_off': 'rx_bad_ring',
    'cons.cw': 'tx_bad_index', 'cons.return_mode': 'tx_bad_index', 'section.row': 'tx_dropped',
}
# The same, where only some turns of events lead to it: an answer that nobody gave.
MAYBE = {'prod.yours': 'rx_bad_index', 'cons.yours': 'tx_bad_index'}
# Nothing is counted, and frames pass as before or wait until the field is put right.
HARMLESS = {
    'superblock': set(REFUSED['superblock']) | EITHER | ACCEPTED,
    'slot': {'row', 'server_epoch', 'cause', 'vectors', 'mac'},
    'section': set(REFUSED['section']) | {'nonce', 'owner_kind', 'pid', 'beat', 'beat_ms',
                                          'dir_gen', 'pool_cnt', 'conf_seq', 'held'},
    'conf': {'feat', 'max_frame', 'flags', 'rxq_cnt', 'txq_cnt', 'mac_cnt', 'rss_key_len',
             'return_mode', 'reta_cnt', 'rss_types', 'rx_offloads', 'tx_offloads', 'mac',
             'rss_key', 'reta'},
    'rxq': {'arm', 'may_arm', 'vector'},
    'prod': {'yours', 'space_arm', 'dir_epoch', 'prev', 'frames', 'bytes', 'prev_yours', 'flight'},
    'cons': {'rw', 'yours', 'clear', 'dir_epoch', 'ret_cnt', 'ret_off', 'copybreak', 'prev',
             'frames', 'refused'},
    'desc': {'cookie'},
    'meta': {'pkt_len', 'hash', 'vlan', 'mss', 'lens'},
}
# What only goes up at the victim for a fault; the rest is what restarts cost.
FAULTS = re.compile(r'rx_bad_|rx_too_long|tx_bad_index|tx_too|mac_conflicts')
# What the pair may notice: who lives, and what the culprit flooded, taken or left behind unread.
NOTICED = re.compile(r'peer_restarts|port1_(state|life)|rx_not_mine|rx_lost_on_restart')
TRAFFIC = re.compile(r'[io](packets|bytes)|(rx|tx)_(good|q0)|port\d_tx_packets')
# No sums: a flag joins two frames to one; who lost its section ends as a new device.
UNACCOUNTED = {'desc.flags', 'section.nonce'}


def every_field():
    """No field of the format is without a case, and no case without a field."""
    known = {struct: {name for name in names if not name.startswith('reserved')}
             for struct, names in FORMAT.items()}
    told = {struct: set(names) for struct, names in HARMLESS.items()}
    for field in COUNTED:
        struct, name = field.split('.')
        told.setdefault(struct, set()).add(name)
    for struct in {**known, **told}:
        odd = known.get(struct, set()) ^ told.get(struct, set())
        lab.check(not odd, f'struct {struct}: {sorted(odd)}: in the format or here, not in both; '
                  'say in the tables above what happens when it is wrong')


def values(now):
    """What the bytes are replaced by."""
    length = len(now)
    if length not in (2, 4, 8):
        return [v for v in (bytes(length), b'\1' * length, b'\xff' * length) if v != now]
    number = int.from_bytes(now, 'little')
    top = (1 << 8 * length) - 1
    steps = [1, -1, 64, 4096, (top + 1) // 2] + ([1 << 32, -1 << 32] if length == 8 else [])
    found = dict.fromkeys([0, 1, top, *((number + step) & top for step in steps)])
    return [v.to_bytes(length, 'little') for v in found if v != number]


class Memory:
    """The region's bytes: of the superblock, and of one port."""

    def __init__(self, path, slot=CULPRIT):
        with open(path, 'r+b') as file:
            self.map = mmap.mmap(file.fileno(), 0)
        self.base = {'superblock': 0}
        known = {name: self.number('superblock', name) for name in FORMAT['superblock']}
        section = known['section_off'] + slot * known['section_len']
        self.base.update(slot=known['slot_off'] + slot * known['slot_len'], section=section,
                         conf=section + 512, rxq=section + known['rxq_off'],
                         prod=section + known['prod_off'], cons=section + known['cons_off'])

    def read(self, struct, name):
        off, length = FORMAT[struct][name]
        return self.map[self.base[struct] + off:self.base[struct] + off + length]

    def number(self, struct, name):
        return int.from_bytes(self.read(struct, name), 'little')

    def write(self, struct, name, value):
        off, length = FORMAT[struct][name]
        if isinstance(value, int):
            value = value.to_bytes(length, 'little')
        self.map[self.base[struct] + off:self.base[struct] + off + length] = value
        if struct == 'conf':    # a configuration that nobody announces is not read
            self.write('section', 'conf_seq', self.number('section', 'conf_seq') + 2 & 0xffffffff)

    def find_descriptor(self):
        """The next one that the culprit writes for the victim is 'desc' from now on."""
        index = self.number('prod', 'pw') & (self.number('prod', 'desc_cnt') - 1)
        at = self.base['section'] + self.number('prod', 'desc_off') + 32 * index
        self.base.update(desc=at, meta=at + 16)


# -- while ports run ---------------------------------------------------------

class Bench:
    """All four ports in one shell, met; corrupts a field, watches, and puts it right again."""

    def __init__(self, name):
        region = pair.Region('16M', ports=PORTS, queues=2)
        self.region = region
        self.shell = pair.Shell(name)
        self.shell.do('pool 4095 2048')
        for port in range(PORTS):
            self.probe(port)
        self.macs = [self.shell.do(f'mac {port}')['mac'] for port in range(PORTS)]
        self.memory = Memory(region.path)
        self.counted = set()
        lab.wait_until(lambda: self.works() and self.others_work(), 10, 'all ports to meet')

    def probe(self, port):
        number = self.shell.do(f'probe net_ivshmem{port} ' + self.region.args(f'port={port}'))
        lab.check(number['port'] == port, f'port {port} became ethdev port {number}')
        self.shell.do_all([f'configure {port} 1 1', f'start {port}', f'promisc {port} off'])

    def look(self):
        """Every port looks at the others now, not with its next heartbeat."""
        self.shell.do_all([f'link {port}' for port in range(PORTS)])

    def send(self, *ways):
        self.shell.do_all([line for source, target in ways for line in (
            f'dst {self.macs[target]}', f'send {source} 0 4 64')])

    def passes(self, *ways):
        """Whether frames arrive, each way as many as were sent and as they were sent."""
        replies = self.shell.do_all([line for source, target in ways for line in (
            f'dst {self.macs[target]}', f'send {source} 0 3 64', f'recv {target} 0 3 20')])
        return all(sent['sent'] == got['got'] == 3 and not got['bad'] and not got['gaps']
                   for sent, got in zip(replies[1::3], replies[2::3]))

    def others_work(self):
        return self.passes(PAIR, PAIR[::-1], (VICTIM, PAIR[0]))

    def works(self):
        """The culprit's frames arrive, and frames to it."""
        self.look()
        self.gather()
        return self.passes(*BOTH_WAYS)

    def gather(self):
        """What is on its way between culprit and victim, in order or not; how much of it is bad."""
        got = self.shell.do(f'gather {PORTS} 1')
        lab.check(not {str(p) for p in PAIR} & got.keys(), f'the pair received {got}')
        return got['bad']

    def counters(self):
        said = self.shell.do_all([f'{what} {port}' for what in ('xstats', 'stats')
                                  for port in range(PORTS)])
        return [{**xstats, **stats} for xstats, stats in zip(said, said[PORTS:])]

    def restart(self, port):
        """Anew on the same memory: as a port where that goes, else as a device."""
        self.shell.do(f'stop {port}')
        try:
            self.shell.do(f'start {port}')
        except pair.Refused:
            self.shell.do(f'remove net_ivshmem{port}')
            self.probe(port)

    def watch(self, struct):
        """Traffic with a corrupted field; returns how many frames were bad."""
        bad = 0
        for turn in range(3):
            if struct == 'cons':        # before the consumer's next word replaces it
                self.look()
                self.send((VICTIM, CULPRIT))
            bad += self.gather()
            self.look()
            lab.check(self.others_work(), 'frames of ports that are not concerned are missing')
            self.send(*BOTH_WAYS)
        return bad

    def judge(self, field, before, after):
        """Only what the field is about was counted."""
        gone_up = [{k for k in b if b[k] != a[k]} for a, b in zip(before, after)]
        faults = {k for k in gone_up[VICTIM] if FAULTS.match(k)}
        self.counted |= {(field, k) for k in gone_up[VICTIM]}
        lab.check(faults <= {COUNTED.get(field), MAYBE.get(field)}, f'the victim counted {faults}')
        for port in PAIR:
            found = {k for k in gone_up[port] if not NOTICED.match(k) and not TRAFFIC.match(k)}
            lab.check(not found, f'port {port}, which is not concerned, counted {found}')

    def end(self):
        self.shell.quit()
        self.region.remove()

    def account(self, before, after):
        """What the ports say they sent each other was received, or is counted."""
        def more(port, *names):
            return sum(after[port][name] - before[port][name] for name in names)
        for source, sent in ((CULPRIT, more(CULPRIT, 'opackets')),
                             (VICTIM, more(VICTIM, f'port{CULPRIT}_tx_packets'))):
            target = VICTIM + CULPRIT - source
            got = more(target, 'ipackets')
            counted = more(source, 'tx_lost_on_restart') + more(
                target, 'ierrors', 'rx_not_mine', 'rx_lost_on_restart', 'rx_discarded_on_restart')
            lab.check(sent <= got + counted, f'port {source} sent {sent} frames, port {target} '
                      f'received {got}, and {counted} were counted')

    def prepare(self, struct, mode):
        if mode == 'life':
            self.shell.do(f'stop {CULPRIT}')
        elif mode == 'claim':
            self.shell.do(f'remove net_ivshmem{CULPRIT}')
        elif struct in ('superblock', 'slot'):      # as if a server gave the ports
            self.memory.write('superblock', 'server_epoch', SERVER)
            self.memory.write('slot', 'server_epoch', SERVER)
            self.memory.write('slot', 'row', self.memory.number('section', 'row') | 1)
        else:
            self.memory.find_descriptor()
            self.send(*BOTH_WAYS)

    def provoke(self, field, mode):
        if mode == 'session':
            self.restart(VICTIM)
        elif mode == 'life':
            self.shell.do(f'start {CULPRIT}')
        elif mode == 'claim':
            self.probe(CULPRIT)
        elif field == 'section.nonce':      # its owner looks with its heart's next beat
            self.shell.link('down', port=CULPRIT)

    def recover(self, field, mode):
        """Traffic again; a ring's end may have lost an answer that its owner gave meanwhile."""
        if field == 'section.nonce' or (mode in ('session', 'life') and
                                        not any(self.works() for _ in range(5))):
            self.restart(CULPRIT)
        lab.wait_until(self.works, 10, 'traffic after the field was put right')
        self.memory.write('superblock', 'server_epoch', 0)

    def corrupt(self, field, number, mode):
        """One value of a field; True when it has more of them."""
        struct, name = field.split('.')
        memory = self.memory
        before = self.counters()
        self.prepare(struct, mode)
        old = memory.read(struct, name)
        value = values(old)[number]
        try:
            memory.write(struct, name, value)
            self.provoke(field, mode)
            bad = self.watch(struct)
            lab.check(not bad or struct in ('desc', 'prod', 'cons'), f'{bad} bad frames')
            if memory.read(struct, name) == value:
                memory.write(struct, name, old)
            self.recover(field, mode)
            after = self.counters()
            self.judge(field, before, after)
            if mode != 'claim' and field not in UNACCOUNTED:
                self.account(before, after)
            pool = self.shell.do('memory')
            lab.check(pool['mbufs'] == pool['of'], f'mbufs are missing: {pool}')
        except lab.Failure as failure:
            raise lab.Failure(f'{field} {old[:8].hex()} -> {value[:8].hex()}, {mode}: {failure}')
        return number + 1 < len(values(old))

    def corrupt_all(self, mode, structs, names=None):
        cases = 0
        for struct in structs:
            for name in names or FORMAT[struct]:
                number = 0
                while self.corrupt(f'{struct}.{name}', number, mode):
                    number += 1
                cases += number + 1
        print(f'{cases} values, {mode}')


def running():
    """The fields of a region in use; those of ring ends also while a session is agreed on."""
    bench = Bench('run')
    bench.corrupt_all('run', FORMAT)
    bench.corrupt_all('session', ['prod', 'cons'])
    missing = {field for field, name in COUNTED.items() if (field, name) not in bench.counted}
    lab.check(not missing, f'counted for no value: {missing}')
    bench.end()


def left_behind():
    """What the last owner of a section left in it, when its port starts and when it is claimed."""
    bench = Bench('left')
    bench.corrupt_all('life', ['prod', 'cons'])
    bench.corrupt_all('claim', ['section'], [name for name, (off, _) in FORMAT['section'].items()
                                             if off >= GEOMETRY])
    bench.end()


# -- while a region is attached to -------------------------------------------

def passes_traffic(shell, args):
    """Port 0 is probed: a second one is, and frames pass both ways; then both go."""
    shell.do('probe net_ivshmem1 ' + args)
    shell.do_all([f'{what} {port} {more}' for port in (0, 1)
                  for what, more in (('configure', '1 1'), ('start', ''))])
    shell.do_all(['link 0 up 5000', 'link 1 up 5000'])

    def passed():
        replies = shell.do_all(['send 0 0 3 64', 'recv 1 0 3 20', 'send 1 0 3 64', 'recv 0 0 3 20'])
        return all(reply.get('got', 3) == 3 and not reply.get('bad') for reply in replies)
    lab.wait_until(passed, 10, 'traffic')
    shell.do_all(['remove net_ivshmem0', 'remove net_ivshmem1'])


def attach(shell, args, memory, struct, name):
    """What the driver makes of the region with one field changed."""
    said = None
    before = memory.map[:]
    try:
        shell.do('probe net_ivshmem0 ' + args)
    except pair.Refused as refusal:
        said = refusal.text
    if said is None:
        lab.check(name in EITHER | ACCEPTED or name.startswith('reserved'), 'was accepted')
        passes_traffic(shell, args)
        return
    word = REFUSED[struct].get(name, name)
    lab.check(name in REFUSED[struct] or name in EITHER, f'was refused: {said}')
    lab.check(re.search(rf'\b{word}\b', said), f'the refusal has no word of {word}: {said}')
    lab.check(memory.map[:] == before, 'the refused region was written to')


def attaching():
    """The superblock and the headers of the first and the last section."""
    region = pair.Region('1M', queues=2)
    args = f'path={region.path}'
    shell = pair.Shell('attach')
    shell.do('pool 8191 2048')
    shell.do('probe net_ivshmem0 ' + region.args())
    shell.do('remove net_ivshmem0')
    good = region.path.read_bytes()
    for struct, slot in (('superblock', 0), ('section', 0), ('section', 1)):
        memory = Memory(region.path, slot)
        for name, (off, _) in FORMAT[struct].items():
            if struct == 'section' and off >= GEOMETRY:
                continue
            old = memory.read(struct, name)
            for value in values(old):
                memory.write(struct, name, value)
                try:
                    attach(shell, args, memory, struct, name)
                except lab.Failure as failure:
                    raise lab.Failure(f'{struct}.{name} {old.hex()} -> {value.hex()}: {failure}')
                memory.map[:] = good
    shell.quit()
    region.remove()


def let_off_soon():
    """Who lied again and again waits longer each time, but no longer than a heartbeat, however
    seldom somebody sends to it."""
    bench = Bench('liar')
    for lie in range(18):
        before = bench.counters()[VICTIM]['tx_bad_index']

        def lied():
            word = int.from_bytes(bench.memory.read('cons', 'cw'), 'little')
            bench.memory.write('cons', 'cw', ((word & ~0xffffffff) |
                                              (word + 40000 & 0xffffffff)).to_bytes(8, 'little'))
            bench.look()
            bench.send((VICTIM, CULPRIT))
            bench.gather()
            return bench.counters()[VICTIM]['tx_bad_index'] > before
        lab.wait_until(lied, 20, f'lie {lie} to be noticed')
    lab.wait_until(bench.works, 20, 'traffic with who lied')
    bench.end()


lab.main(every_field, attaching, running, let_off_soon, left_behind)
