# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""What is measured: works, who takes part in each, and how often.

  oneway-SIZE     txonly to rxonly            io-SIZE   both forward one fixed set of packets
  producer-SIZE   flowgen to rxonly: the sender is the slower end
  consumer-SIZE   txonly to icmpecho: the receiver is the slower end
  ...-bN          bursts of N, not of 32      ...-qN    N queues, served by one worker
  imix            ivshmem-traffic, sizes mixed, every byte checked
  rtt-SIZE        ivshmem-traffic, round trip of one frame at a time
"""

import collections
import re
import statistics

import wires

# need: {contestant: undisturbed slices beside the subjects' that are wanted}
Work = collections.namedtuple('Work', 'name kind size burst setup need')

BURST = 32
BIG = 2000              # a longer frame needs the set-up with big buffers
SUBJECTS = ['ivshmem', 'ivshmem-zc']
RIVALS = ['memif', 'memif-zc']
OTHERS = ['virtio', 'vhost', 'ring', 'null', 'bare']
# Zero-copy at 2^13 would have all mbufs of a process in its rings.
RSIZES = {'memif': range(10, 14), 'memif-zc': range(10, 13)}

# Mode: (pairs with rivals, pairs with others, slices of each ring size in the search)
EFFORT = {'quick': (5, 2, 2), 'default': (15, 3, 3), 'full': (70, 10, 5)}
MAIN = {
    'quick': ['oneway-64', 'oneway-1518', 'io-64', 'io-1518'],
    'default': ['oneway-64', 'oneway-256', 'oneway-1518', 'oneway-9000', 'io-64', 'io-1518',
                'io-9000'],
}
MAIN['full'] = MAIN['default']
# Without the others, and with fewer pairs, since no target stands there.
SIDE = {
    'quick': [],
    'default': [f'oneway-64-b{burst}' for burst in (1, 4, 128, 512)] +
    ['oneway-64-q2', 'oneway-1518-q2', 'producer-64', 'consumer-64'],
}
SIDE['full'] = SIDE['default'] + ['producer-1518', 'consumer-1518', 'io-64-q2', 'io-1518-q2',
                                  'oneway-1518-b1', 'io-64-b1']
SIDE_PAIRS = 5
# With targets: as many pairs as the main works. Started anew for each slice, which takes 3 s.
TIMED = {'quick': [], 'default': ['rtt-64'], 'full': ['rtt-64']}
MIXED = {'quick': [], 'default': ['imix'], 'full': ['imix']}


def parse(text, need=None):
    """'oneway-64-b4-q2' -> Work; ValueError names what is wrong."""
    match = re.fullmatch(r'(oneway|producer|consumer|io)-(\d+)(?:-b(\d+))?(?:-q(\d+))?'
                         r'|(imix)|(rtt)-(\d+)', text)
    if not match:
        raise ValueError(f"work '{text}': none of imix, rtt-SIZE, and oneway-SIZE, producer-SIZE, "
                         'consumer-SIZE and io-SIZE, the latter with -bN and -qN behind it if '
                         'wanted')
    if match[5] or match[6]:
        size = int(match[7] or 1518)
        if not 64 <= size <= 1518:
            raise ValueError(f"work '{text}': {size} is not in 64..1518, the sizes")
        return Work(text, match[5] or match[6], size, BURST if match[5] else 1,
                    wires.Setup(1, False, 'traffic'), need or {})
    size, burst, queues = (int(match[i] or otherwise) for i, otherwise in
                           ((2, 0), (3, BURST), (4, 1)))
    for value, low, high, what in ((size, 60, 9000, 'sizes'), (burst, 1, 512, 'bursts'),
                                   (queues, 1, 8, 'queues')):
        if not low <= value <= high:
            raise ValueError(f"work '{text}': {value} is not in {low}..{high}, the {what}")
    return Work(text, match[1], size, burst, wires.Setup(queues, size > BIG), need or {})


def plan(mode, pairs=None):
    """The works of a mode; pairs: where targets stand, when not as many as the mode has."""
    rivals, others, _ = EFFORT[mode]
    rivals = pairs or rivals
    core = {**dict.fromkeys(SUBJECTS + RIVALS, rivals), **dict.fromkeys(OTHERS, others)}
    found = [parse(name, dict(core)) for name in MAIN[mode]]
    for name in SIDE[mode]:
        need = rivals if name.endswith('-b1') else SIDE_PAIRS
        found.append(parse(name, dict.fromkeys(SUBJECTS + RIVALS, need)))
    for name in TIMED[mode]:
        found.append(parse(name, dict.fromkeys(
            SUBJECTS + RIVALS + ['virtio', 'vhost', 'bare'], rivals)))
    for name in MIXED[mode]:
        found.append(parse(name, dict.fromkeys(SUBJECTS + RIVALS + ['virtio', 'vhost'],
                                               SIDE_PAIRS)))
    return found


def unit(work):
    """The key of a slice that is compared."""
    return 'p50_ns' if work.kind == 'rtt' else 'mpps'


def wants_search(text):
    """Whether the best ring size is to be found for this contestant."""
    return text in RSIZES


def sized(text, rsize):
    return f'{text},rsize={rsize}'


def base(work):
    """The name of the work whose best ring sizes it takes: the usual bursts and queues; for
    what is not sent by testpmd a stream of small frames."""
    return f'{work.kind}-{work.size}' if work.setup.tool == 'testpmd' else 'oneway-64'


def candidates(works, pairs):
    """Works of a search, with every ring size of those whose best is wanted."""
    found = {}
    for work in works:
        texts = [text for text in work.need if wants_search(text)]
        if texts:
            found.setdefault(base(work), {}).update(
                (sized(text, rsize), pairs) for text in texts for rsize in RSIZES[text])
    return [parse(name, need) for name, need in found.items()]


def settle(work, best):
    """The work with ring sizes. best: {(work's name, contestant): ring size}."""
    need = {}
    for text, pairs in work.need.items():
        found = best.get((base(work), text))
        need[sized(text, found) if found and wants_search(text) else text] = pairs
    return work._replace(need=need)


def best(tallies):
    """{(work's name, contestant): ring size} after the search: the highest median."""
    found = {}
    for tally in tallies:
        rates = {}
        for text in tally.work.need:
            taken = [one['slices'][text]['mpps'] for one in tally.rounds if text in one['slices']]
            if taken:
                name, _, rsize = text.rpartition(',rsize=')
                rates.setdefault(name, []).append((statistics.median(taken), int(rsize)))
        for name, choice in rates.items():
            found[tally.work.name, name] = max(choice)[1]
    return found
