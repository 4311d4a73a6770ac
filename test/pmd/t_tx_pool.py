#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""tx_pool=N: mbufs whose data lies in the own section are sent without a copy, and come home.

  shell a (zero_copy=1,tx_pool=512) --- region --- shell b (zero_copy=1)

The sender finds the mempool by its name alone. That nothing was copied is told by the descriptors,
which name the pool's buffers, and by tx_from_pool. Every case ends with all mbufs home.
"""

import errno
import os
import signal

import lab
import pair

POOL = 'net_ivshmem0_tx'
COUNT = 512
Z = ['zero_copy=1']
P = [*Z, f'tx_pool={COUNT}']
COPYBREAK = 256


def free(shell):
    return shell.do(f'mempool {POOL}')['free']


def is_home(shell, seconds=10, count=COUNT):
    lab.wait_until(lambda: free(shell) == count, seconds, f'{count} mbufs in {POOL}')


def sender(name, vdev, options='', **more):
    shell = pair.Shell(name, vdev, **more)
    lab.check(shell.do(f'mempool {POOL}') == {'free': COUNT, 'of': COUNT, 'room': 1920, 'priv': 0},
              f'{shell.do("mempool " + POOL)}')
    shell.up(options=options)
    return shell


def two(name, region, options=''):
    """a, which sends from its pool, and b; met. Returns both."""
    a = sender(name + '-a', region.vdev(*P, 'port=0'), options)
    b = pair.Shell(name + '-b', region.vdev(*Z, 'port=1')).up(options=options)
    a.link('up')
    b.link('up')
    a.meet(b)
    a.do('use ' + POOL)
    return a, b


def end(region, *shells):
    """All mbufs are home: the pool's, and those that the shells made."""
    for shell in shells:
        shell.do('release')
        memory = shell.do('memory')
        lab.wait_until(lambda: shell.do('memory')['mbufs'] == memory['of'], 10,
                       f'{shell.name}: all mbufs')
    is_home(shells[0])
    lab.check(not [x for x in shells if x.do('xstats 0')['tx_bad_cookies']], 'false cookies')
    pair.quit_all(*shells)
    region.remove()


def passes(a, b, count, length, segs=1, pooled=None, lent=None):
    """Frames from a to b, of which so many go from the pool, and are lent up."""
    before = a.do('xstats 0')['tx_from_pool'], b.do('xstats 0')['rx_lent']
    sent = a.do(f'send 0 0 {count} {length} {segs} 1000')
    got = b.do(f'recv 0 0 {count + 1} 200')
    lab.check(sent['sent'] == got['got'] == count and not got['bad'] and not got['gaps']
              and got['first'] == sent['first'], f'sent {sent}, received {got}')
    found = (a.do('xstats 0')['tx_from_pool'] - before[0],
             b.do('xstats 0')['rx_lent'] - before[1])
    wanted = count if pooled is None else pooled, count if lent is None else lent
    lab.check(found == wanted, f'from the pool and lent: {found}, not {wanted}')
    return got


def serves_again(a, b):
    """Every mbuf comes home once both speak to each other, and is sent from again."""
    a.meet(b)
    is_home(a)
    a.do('use ' + POOL)
    passes(a, b, 300, 1000)


def hands_over(a, b, region, count=200):
    """b keeps frames that lie in a's pool."""
    index = region.produced(0)[1]
    lab.check(a.do(f'send 0 0 {count} 1000 1 1000')['sent'] == count, 'not all sent')
    lab.wait_until(lambda: holds(b, count), 10, f'{count} frames at b')
    return index


def holds(b, count):
    b.kept = getattr(b, 'kept', 0) + b.do('hold 0 0 512')['got']
    if b.kept < count:
        return False
    lab.check(b.kept == count, f'{b.kept} frames, not {count}')
    b.kept = 0
    return True


def stays_out(region, a, count, slot=0):
    """What others still look at is not used again, however often the port looks."""
    for _ in range(3):
        region.wait_for_beats(slot, 3)
        lab.check(free(a) == count, f'{free(a)} mbufs are free, not {count}')


def by_descriptor(region, a, b):
    """Each descriptor names another buffer of the pool, at the end of the section."""
    lab.check(a.do('info 0')['tx_offloads'] == 1 << 15, 'a Tx offload besides MULTI_SEGS')
    for length in (COPYBREAK + 1, 1000, 1518):
        passes(a, b, 300, length)
    passes(a, b, 100, COPYBREAK, pooled=0, lent=0)
    index = hands_over(a, b, region)
    named = [region.sent_by(0, index + i) for i in range(200)]
    lab.check(len(region.pool(0)) == COUNT, f'{region.pool(0)}')
    lab.check({x[0] for x in named} == {0} and len({x[1] for x in named}) == 200 and
              all(x[1] in region.pool(0) for x in named), f'{named} not in {region.pool(0)}')
    stays_out(region, a, COUNT - 200)
    b.do('release')
    is_home(a)


def chains(a, b):
    lab.check(passes(a, b, 20, 5000, 4)['segs'] == 4, 'the pieces are not as they were sent')
    a.do('kind mixed')
    passes(a, b, 20, 5000, 4, pooled=0)
    a.do('kind plain')


def referenced(a, b):
    """Mbufs that others refer to are copied, and nothing of them changes."""
    for kind in ('shared', 'cloned', 'orphan'):
        a.do('kind ' + kind)
        passes(a, b, 50, 1000, pooled=0)
        a.do('release')
        is_home(a)
    a.do('kind plain')
    passes(a, b, 50, 1000)


def plain_receiver():
    """A receiver that copies: the frames are copied, and so on."""
    region = pair.Region()
    a = sender('plain-a', region.vdev(*P, 'port=0'))
    b = pair.Shell('plain-b', region.vdev('port=1')).up()
    a.link('up')
    a.meet(b)
    a.do('use ' + POOL)
    passes(a, b, 300, 1000, pooled=0, lent=0)
    end(region, a, b)


def dry(a, b):
    """An empty pool sends nothing, and fills again by itself, or when asked."""
    lab.check(a.do('take 1000')['took'] == COUNT, 'not all mbufs could be taken')
    lab.check(a.do('send 0 0 1 1000')['sent'] == 0, 'sent without an mbuf')
    a.do('release')
    for turn in range(20):
        lab.check(a.do('send 0 0 400 1000')['sent'] == 400, 'not 400 sent')
        got = b.do('recv 0 0 400 200')
        lab.check(got['got'] == 400 and not got['bad'] and not got['gaps'], f'{got}')
        b.do('recv 0 0 1 0')    # gives back
        if turn == 0:
            is_home(a)
            continue
        done = a.do('done 0 0')['done']
        lab.check(free(a) == COUNT, f'{free(a)} free after tx_done_cleanup')
        if done == 400:     # else the heartbeat was sooner with some
            return
    raise lab.Failure(f'tx_done_cleanup never took back 400, but {done}')


def sends():
    region = pair.Region()
    a, b = two('send', region, 'mtu=9000 scatter=1 segs=1')
    by_descriptor(region, a, b)
    chains(a, b)
    referenced(a, b)
    dry(a, b)
    end(region, a, b)


def start_anew(region, a, b, lines):
    """What b keeps is not used again before b has freed it."""
    hands_over(a, b, region)
    a.do_all([*lines, 'use'])
    stays_out(region, a, COUNT - 200)
    b.do('recv 0 0 1 50')       # b takes its part in the new session
    a.do('send 0 0 1 64')
    b.do('recv 0 0 1 50')       # which may bring it there already
    stays_out(region, a, COUNT - 200)
    b.do('release')
    a.link('up')
    serves_again(a, b)
    is_home(a)


def starts_anew():
    """Also when queues are set up anew: nothing of what is out is forgotten."""
    region = pair.Region()
    a, b = two('anew', region)
    start_anew(region, a, b, ['stop 0', 'start 0'])
    start_anew(region, a, b, ['stop 0', 'configure 0 1 1', 'start 0'])
    end(region, a, b)


def fewer_queues():
    """A Tx queue that is not there any more holds what it has sent until that comes back."""
    region = pair.Region(queues=2)
    a = sender('fewer-a', region.vdev(*P, 'port=0'))
    a.do_all(['stop 0', 'configure 0 2 2', 'start 0'])
    b = pair.Shell('fewer-b', region.vdev(*Z, 'port=1')).up(2)
    a.link('up')
    a.meet(b, 1, 1)
    a.do('use ' + POOL)
    lab.check(a.do('send 0 1 100 1000')['sent'] == 100, 'not 100 sent')
    lab.check(b.do('hold 0 1 512')['got'] == 100, 'not 100 received')
    a.do_all(['stop 0', 'configure 0 1 1', 'start 0', 'use'])
    stays_out(region, a, COUNT - 100)
    b.do('release')
    b.do('recv 0 1 1 50')       # its second queue sees that its ring is not used any more
    a.link('up')
    a.meet(b)
    is_home(a)
    end(region, a, b)


def killed_with_server():
    """The server tells of the death: nobody else can have the buffers of a wire."""
    served = pair.Served('-l', '64M')
    a = sender('served-a', served.vdev(*P))
    b = pair.Shell('served-b', served.vdev(*Z)).up()
    a.link('up')
    a.meet(b)
    a.do('use ' + POOL)
    lab.check(a.do('send 0 0 200 1000')['sent'] == 200, 'not 200 sent')
    lab.check(b.do('hold 0 0 512')['got'] == 200, 'not 200 received')
    os.kill(b.pid, signal.SIGKILL)
    a.link('down')
    is_home(a)
    b = pair.Shell('served-b2', served.vdev(*Z)).up()
    a.link('up')
    a.do('use')
    serves_again(a, b)
    end(served, a, b)


def killed_without():
    """Silence proves nothing: the buffers come home with the next life of the receiver."""
    region = pair.Region()
    a, b = two('killed', region)
    hands_over(a, b, region)
    os.kill(b.pid, signal.SIGKILL)
    b.kill()
    a.link('down')
    stays_out(region, a, COUNT - 200)
    b = pair.Shell('killed-b2', region.vdev(*Z, 'port=1')).up()
    a.do('use')
    a.link('up')
    serves_again(a, b)
    end(region, a, b)


def left_unread():
    """What a receiver that left had not read is counted as lost, whoever lets go of it."""
    region = pair.Region()
    a, b = two('unread', region)
    lab.check(a.do('send 0 0 150 1000')['sent'] == 150, 'not 150 sent')
    lab.check(free(a) == COUNT - 150, f'{free(a)} mbufs are at home')
    b.quit()
    is_home(a)
    lost = a.do('xstats 0')['tx_lost_on_restart']
    lab.check(lost == 150, f'{lost} counted as lost')
    b = pair.Shell('unread-b2', region.vdev(*Z, 'port=1')).up()
    a.do('use')
    a.link('up')
    serves_again(a, b)
    lost = a.do('xstats 0')['tx_lost_on_restart']
    lab.check(lost == 150, f'{lost} counted as lost')
    end(region, a, b)


def receiver_paused():
    """Taken for dead by its silence, it still looks at what was lent to it."""
    region = pair.Region()
    a, b = two('paused', region)
    hands_over(a, b, region)
    os.kill(b.pid, signal.SIGSTOP)
    a.link('down')
    stays_out(region, a, COUNT - 200)
    os.kill(b.pid, signal.SIGCONT)
    a.link('up')
    b.do('recv 0 0 1 50')       # b takes its part in the new session
    stays_out(region, a, COUNT - 200)
    b.do('release')
    a.do('use')
    serves_again(a, b)
    end(region, a, b)


def small_frames_in_two_buffers():
    """Copybreak would have them copied from one, but its room is less: they come home, too."""
    region = pair.Served('--ports', 2, '--queues', 1, '-l', '4M', '--buf-size', 512,
                         '--headroom', 320)
    a = pair.Shell('two-a', region.vdev(*P)).up(options='scatter=1 segs=1')
    b = pair.Shell('two-b', region.vdev(*Z)).up(options='scatter=1')
    a.link('up')
    b.link('up')
    a.meet(b)
    a.do('use ' + POOL)
    for _ in range(5):
        sent = a.do('send 0 0 300 200 1 1000')
        got = b.do('recv 0 0 301 200')
        lab.check(sent['sent'] == got['got'] == 300 and not got['bad'] and not got['gaps'],
                  f'sent {sent}, received {got}')
        b.do('recv 0 0 1 0')    # gives back
        is_home(a)
    end(region, a, b)


def not_for_rx():
    """Mbufs whose buffers are pinned cannot have others attached: no Rx pool for zero_copy=1."""
    region = pair.Region()
    a = pair.Shell('rx-pool', region.vdev(*P))
    a.do('pool 4095 2048')
    a.do('use ' + POOL)
    a.refused('configure 0 1 1 source=1', 'pinned external buffers', POOL)
    a.quit()
    region.remove()


def sender_killed():
    """The next life of the sender gets no mbuf of a buffer that b still looks at."""
    region = pair.Region()
    a, b = two('life', region)
    hands_over(a, b, region)
    os.kill(a.pid, signal.SIGKILL)
    a.kill()
    a = pair.Shell('life-a2', region.vdev(*P, 'port=0'))
    lab.check(free(a) == 0, f'{free(a)} mbufs before the earlier life was settled')
    a.up()
    b.do('recv 0 0 1 50')
    a.link('up')
    stays_out(region, a, 0)
    b.do('release')
    serves_again(a, b)
    end(region, a, b)


def closed_with_mbufs_out():
    """Mapping and mempool stay until the last mbuf is free; the name is taken as long."""
    region = pair.Region()
    a = pair.Shell('close')
    a.do('probe net_ivshmem0 ' + region.args(*P))
    a.up().do('stop 0')
    a.do('remove net_ivshmem0')     # at once: nothing is out
    a.do('probe net_ivshmem0 ' + region.args(*P))
    a.up().do('use ' + POOL)
    a.do('take 3')
    a.do('stop 0')
    for _ in range(2):
        refusal = a.refused('remove net_ivshmem0', '3 mbufs of the closed port are in use: free')
        lab.check(refusal.errno == errno.EBUSY, f'errno {refusal.errno}')
        lab.check(free(a) == COUNT - 3, f'{free(a)} free')
    lab.check(str(region.path) in maps(a), 'the region is not mapped any more')
    a.do('release')

    def gone():
        try:
            a.do('mempool ' + POOL)
        except pair.Refused:
            return True
        return False
    lab.wait_until(gone, 10, 'the mempool to go')
    a.do('remove net_ivshmem0')
    lab.check(str(region.path) not in maps(a), 'the region is still mapped')
    a.do('probe net_ivshmem0 ' + region.args(*P))
    a.up()
    is_home(a)
    a.do('use ' + POOL)
    a.do('take 3')
    a.do_all(['stop 0', 'close 0'])
    a.do('release')
    lab.wait_until(gone, 10, 'the mempool to go')
    a.quit()
    region.remove()


def maps(shell):
    with open(f'/proc/{shell.pid}/maps', encoding='utf-8') as file:
        return file.read()


def arguments():
    region = pair.Region('1M')
    a = pair.Shell('args')
    for args, *words in (
            (['tx_pool=8'], 'tx_pool= needs zero_copy=1'),
            ([*Z, 'tx_pool=x'], 'tx_pool=x', 'no number in 0..1000000'),
            ([*Z, 'tx_pool=-1'], 'tx_pool=-1', 'no number in 0..1000000'),
            ([*Z, 'tx_pool=5000'], 'tx_pool=5000 of ', 'buffers: at most ', 'larger region')):
        a.refused('probe net_ivshmem0 ' + region.args(*args), *words)
    a.refused('probe net_ivshmem_of_long_name ' + region.args(*Z, 'tx_pool=8'),
              "with tx_pool= a device's name has at most 22 bytes")
    most = a.refused('probe net_ivshmem0 ' + region.args(*Z, 'tx_pool=5000')).text
    most = int(most.partition('at most ')[2].partition(',')[0])
    a.refused('probe net_ivshmem0 ' + region.args(*Z, f'tx_pool={most + 1}'), f'at most {most}')
    a.do('probe net_ivshmem0 ' + region.args(*Z, f'tx_pool={most}'))
    lab.check(free(a) == most, f'{free(a)} of {most}')
    a.quit()
    region.remove()


def flooded():
    """To several ports at once: one gets the buffer, the others copies."""
    region = pair.Region('64M', ports=4)
    a = sender('flood-a', region.vdev(*P, 'port=0'))
    others = [pair.Shell(f'flood-{i}', region.vdev(*Z, f'port={i}')).up() for i in (1, 2, 3)]

    def all_met():
        a.do('send 0 0 1 64')
        return all(x.do('recv 0 0 10 10')['got'] for x in others)
    a.link('up')
    lab.wait_until(all_met, 20, 'all ports')
    a.do('use ' + POOL)
    lab.check(a.do('send 0 0 100 1000')['sent'] == 100, 'not 100 sent')
    for other in others:
        got = other.do('recv 0 0 1000 200')
        lab.check(got['got'] >= 100 and not got['bad'] and not got['gaps'], f'{got}')
    lab.check(a.do('xstats 0')['tx_from_pool'] == 100, 'not all from the pool')
    end(region, a, *others)


def volume(name, options, roles=('gen', 'sink'), count=300000):
    """Buffers, slots, generations and the return ring go round many times."""
    region = pair.Region(queues=4)
    reports = pair.exchange(name, [region.vdev(*P), region.vdev(*P)],
                            ['--wait', 30, '--count', count, '--from', 'port', '--mbuf-size', 1792,
                             *options], [[], []], roles=roles)
    found = reports[0]['port']['xstats']['tx_from_pool']
    lab.check(found > reports[0]['totals']['sent'] / 2, f'{found} of {reports[0]["totals"]}')
    region.remove()


def many():
    volume('many', ['--sizes', '60-1518'])


def many_chains():
    volume('jumbo', ['--sizes', '60-9618', '--segments', '1-5'], count=50000)


def both_ways():
    volume('both', ['--sizes', '60-1518', '--queues', 2, '--idle', 1], ('gensink', 'gensink'),
           50000)


def to_and_fro():
    """A frame that comes home is sent anew, and its mbuf is free when all is back."""
    region = pair.Region()
    ping = pair.Traffic('ping', 'ping', region.vdev(*P, 'port=0'), '--wait', 30, '--quiet',
                        '--count', 5000, '--from', 'port', '--mbuf-size', 1792,
                        '--sizes', '257-1518', '--burst', 16)
    echo = pair.Traffic('echo', 'echo', region.vdev(*Z, 'port=1'), '--wait', 30, '--quiet')
    there = ping.report()
    echo.proc.send_signal(signal.SIGTERM)
    back = echo.report()
    for report in there, back:
        pair.check_clean(report)
    lab.check(there['totals']['received'] == there['totals']['sent'] >= 5000, f'{there["totals"]}')
    lab.check(there['port']['xstats']['tx_from_pool'] == there['totals']['sent'] ==
              back['port']['xstats']['tx_passed'], f'{there["port"]}, {back["port"]}')
    region.remove()


def hugepages_are_back():
    lab.kill_children()
    lab.wait_until(lambda: lab.hugepages_free() >= FREE, 30, f'{FREE} free hugepages')


FREE = lab.hugepages_free()
lab.main(sends, plain_receiver, starts_anew, fewer_queues, killed_with_server, killed_without,
         left_unread, receiver_paused, small_frames_in_two_buffers, not_for_rx, sender_killed,
         closed_with_mbufs_out, arguments, flooded, many, many_chains, both_ways, to_and_fro,
         hugepages_are_back)
