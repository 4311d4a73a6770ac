#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""The link follows the peer, and the LSC callback says so.

  shell a (port 0) --- region --- shell b, or an odd peer (port 1)
"""

import signal

import lab
import pair

SUSPECT = 15        # seconds within which silence has to be noticed: 3 s, and much room


def events(shell):
    return shell.do('link 0')['events']


def expect_link(shell, want, before, seconds=10):
    """The link comes to be so, and the callback fired once for it; returns the new count."""
    shell.until(f'link 0 {want} 100', lambda r: r['link'] == want and r['events'] == before + 1,
                seconds, f'{shell.name}: link {want} and callback {before + 1}')
    return before + 1


def follows_the_peer():
    for region in (pair.Region(), pair.Served('-l', '16M')):
        kind = type(region).__name__.lower()
        a = pair.Shell(kind + '-a', region.vdev()).up(options='lsc=1')
        reply = a.do('link 0')
        lab.check(reply['link'] == 'down' and reply['events'] == 0, f'alone: {reply}')
        b = pair.Shell(kind + '-b', region.vdev())
        b.do('pool 4095 2048')
        b.do('configure 0 1 1')
        lab.check(a.do('link 0')['link'] == 'down', 'up before the peer was started')
        b.do('start 0')
        count = expect_link(a, 'up', 0)
        b.link('up')
        a.exchange(b)
        b.do('stop 0')
        count = expect_link(a, 'down', count)
        b.do('start 0')
        count = expect_link(a, 'up', count)
        b.link('up')
        a.exchange(b)
        b.do('set-link 0 down')
        count = expect_link(a, 'down', count)
        lab.check(b.do('link 0')['link'] == 'down', 'b: the own link is up')
        lab.check(a.do('send 0 0 1 64')['sent'] == b.do('send 0 0 1 64')['sent'] == 0,
                  'sent while the link was down')
        b.do('set-link 0 up')
        count = expect_link(a, 'up', count)
        b.link('up')
        a.exchange(b)
        b.kill()        # with a server its socket tells, else silence
        count = expect_link(a, 'down', count, SUSPECT)
        b = pair.Shell(kind + '-b2', region.vdev()).up()
        count = expect_link(a, 'up', count)
        b.link('up')
        a.exchange(b)
        b.quit()
        count = expect_link(a, 'down', count)
        values = a.do('xstats 0')
        lab.check(values['link_changes'] == count, f'link_changes is {values["link_changes"]}')
        lab.check(values['peer_restarts'] == 1, f'peer_restarts is {values["peer_restarts"]}')
        a.quit()
        region.remove()


def own_callback():
    """A link that the application sets down is told to its callback, too."""
    region = pair.Region()
    a, b = pair.shell_pair(region, 'own-', options='lsc=1')
    count = events(a)
    a.do('set-link 0 down')
    count = expect_link(a, 'down', count)
    b.link('down')
    a.do('set-link 0 up')
    expect_link(a, 'up', count)
    b.link('up')
    a.exchange(b)
    pair.quit_all(a, b)


def silence():
    """A heart that stops is suspected, and believed again; a paused process rejoins by itself."""
    region = pair.Region('16M')
    a = pair.Shell('silence-a', region.vdev('port=0')).up(options='lsc=1')
    b = pair.OddPeer('silence-b', region)
    b.do('start')
    count = expect_link(a, 'up', 0)
    b.do('beat 0')
    count = expect_link(a, 'down', count, SUSPECT)
    b.do('beat 1')
    expect_link(a, 'up', count)
    pair.quit_all(b, a)

    region = pair.Region('16M')
    a, b = pair.shell_pair(region, 'paused-', options='lsc=1')
    count = events(a)
    b.proc.send_signal(signal.SIGSTOP)
    count = expect_link(a, 'down', count, SUSPECT)
    b.proc.send_signal(signal.SIGCONT)
    expect_link(a, 'up', count)
    b.link('up')
    a.exchange(b)
    pair.quit_all(a, b)


def left_running():
    """A region whose row still says RUN for a process that is gone: no link until one beats."""
    region = pair.Region('16M')
    a, b = pair.shell_pair(region, 'gone-')
    a.kill()
    b.kill()
    a = pair.Shell('gone-a2', region.vdev('port=0')).up(options='lsc=1')
    lab.check(region.state(1)[1] == 3, 'the row of the killed port does not say RUN')
    lab.check(a.do('link 0 up 1000')['link'] == 'down', 'the link of a dead peer came up')
    lab.check(a.do('send 0 0 1 64')['sent'] == 0, 'sent to a dead peer')
    lab.check(events(a) == 0, 'a callback fired')
    b = pair.Shell('gone-b2', region.vdev('port=1')).up()
    expect_link(a, 'up', 0)
    b.link('up')
    a.exchange(b)
    pair.quit_all(a, b)


def closed_by_the_callback():
    """From EAL's thread, for each way in which it may hear of the end: others do not notice."""
    for name, served in (('path', False), ('vectors', True)):
        for ending in ('set-link 0 down', 'quit'):
            region = pair.Served('-l', '16M', '-n', 2) if served else pair.Region('16M')
            a = pair.Shell(f'closes-{name}', region.vdev()).up(options='lsc=2')
            b = pair.Shell(f'ends-{name}', region.vdev()).up()
            a.link('up')
            if ending == 'quit':
                b.quit()
            else:
                b.do(ending)
            lab.wait_until(lambda a=a: 'the callback closed port 0' in a.output(), 20, ending)
            c = pair.Shell(f'next-{name}', region.vdev()).up()
            if ending == 'quit':
                lab.check(c.do('link 0 up 500')['link'] == 'down', 'the closed port is alive')
                c.quit()
            else:
                b.do('set-link 0 up')
                c.link('up')
                c.exchange(b)
                pair.quit_all(b, c)
            a.quit()
            region.remove()


def taken_over():
    """Another process in the slot: this port goes down for good, says so, and does no harm."""
    region = pair.Region('16M')
    a = pair.Shell('stolen-a', region.vdev('port=0')).up(options='lsc=1')
    b = pair.OddPeer('stolen-b', region)
    b.do('start')
    count = expect_link(a, 'up', 0)
    b.do('steal')
    expect_link(a, 'down', count)
    lab.check('another process took port 0' in a.output(), 'it was not logged')
    lab.check(a.do('send 0 0 1 64')['sent'] == 0, 'it still sends')
    section = region.section(0)
    a.do('recv 0 0 1 300')
    wrong = [i for i, (x, y) in enumerate(zip(section, region.section(0))) if x != y]
    lab.check(not wrong, f'it still writes into the section, at {wrong[:16]}')
    a.do('stop 0')
    a.refused('start 0', 'belongs to another process now', 'probe it again')
    row = region.state(0)
    a.quit()
    lab.check(region.state(0) == row, 'it wrote its state over that of the new owner')
    b.quit()


lab.main(follows_the_peer, own_callback, silence, left_running, closed_by_the_callback,
         taken_over)
