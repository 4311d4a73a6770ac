#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Real QEMUs as clients: they come, go and come again with an id that was used before.

QEMU frees memory twice when a peer leaves and its id returns, and once more when the device is
unplugged; with this server it must survive all of that. The guests never run: the device's
function 1 of an empty slot can be unplugged without a guest's help.

    watch (id 0, Python)      sees slot table and doorbells
    stays (id 1, QEMU)        lives through everything
    goes  (id 2, QEMU)        quits and is replaced, plugs and unplugs
"""

import signal
import sys
from pathlib import Path

import lab
from client import Client, settle, wait_state, LIVE, LEFT
from qemu import Qemu, device, need_qemu, rings_both_ways

THOUSAND = 1000


def qemu_joins():
    """With fewer vectors than the server gives, as many, and more."""
    need_qemu()
    for vectors in (1, 4, 8):
        server = lab.Server('--ports', 3, '-n', 4, '-l', '4M', name=f'server-{vectors}')
        watch = Client(server.socket).handshake(4, [])
        one = Qemu(f'one-{vectors}', *device(server.socket, vectors))
        two = Qemu(f'two-{vectors}', *device(server.socket, vectors))
        for slot in (1, 2):
            lab.check(wait_state(watch.region, slot, LIVE) == (1, LIVE, 0, 4), 'slot table')
            lab.check(watch.vectors(4) == slot, 'announcement')
        settle(watch.region)
        lab.check(watch.drain() == 2, 'the control vector was not rung twice')
        for qemu in (one, two):
            if vectors >= 4:
                qemu.hears(watch)
            lab.check('error' not in qemu.output().lower(), qemu.output())
            qemu.quit()
        for slot in (1, 2):
            wait_state(watch.region, slot, LEFT)
        lab.check(server.stop() == 0, 'exit status')


def quit_and_replaced():
    need_qemu()
    server = lab.Server('--ports', 3, '-n', 2, '-l', '4M')
    watch = Client(server.socket).handshake(2, [])
    stays = Qemu('stays', *device(server.socket, 2))
    server.expect('attach id=1 ')
    for life in range(1, 5):
        goes = Qemu(f'goes-{life}', *device(server.socket, 2))
        lab.check(wait_state(watch.region, 2, LIVE)[0] == life, f'life {life}')
        if life % 2 == 0:
            goes.kill()
        else:
            goes.quit()
        lab.check(wait_state(watch.region, 2, LEFT)[0] == life, f'life {life}')
        lab.check(stays.qmp('query-status')['running'] is False, 'the survivor does not answer')
    lab.check(watch.region.slot(1)[0] == (1, LIVE, 0, 2), 'the survivor lost its slot')
    stays.quit()
    wait_state(watch.region, 1, LEFT)


def unplugged_and_replaced():
    """Each life in a process of its own: QEMU 7.2 keeps the handlers of an unplugged device's
    eventfds, and calls them when another file gets the number. No server can help that."""
    need_qemu()
    server = lab.Server('--ports', 3, '-n', 2, '-l', '4M')
    watch = Client(server.socket).handshake(2, [])
    stays = Qemu('stays')
    stays.plug(server.socket, 2)
    watch.vectors(2)
    for life in range(1, 21):
        goes = Qemu('goes')
        goes.plug(server.socket, 2)
        lab.check(wait_state(watch.region, 2, LIVE)[0] == life, f'life {life}')
        if life == 1:
            watch.vectors(2)
        # nor can it help a device that is unplugged while messages for it arrive
        goes.hears(watch)
        stays.hears(watch)
        goes.unplug()
        lab.check(wait_state(watch.region, 2, LEFT)[0] == life, f'life {life}')
        goes.quit()
    lab.check(watch.region.slot(1)[0] == (1, LIVE, 0, 2), 'the survivor lost its slot')
    # now the survivor's own device, after twenty leaves of its peer: where QEMU frees twice
    stays.unplug()
    wait_state(watch.region, 1, LEFT)
    heir = Qemu('heir', *device(server.socket, 2))
    lab.check(wait_state(watch.region, 1, LIVE)[0] == 2, 'the slot of the survivor is lost')
    lab.check(watch.silent(), 'the watcher was told of an id again')
    stays.quit()
    heir.quit()


class Pair:
    """Two QEMUs that stay, with ids 0 and 1; the second's device can be unplugged."""

    def __init__(self, path, name):
        self.path = path
        self.first = Qemu(name + '-first', *device(path, 2))
        self.second = Qemu(name + '-second')
        self.second.plug(path, 2)

    def a_thousand_come_and_go(self, step, unplug=True):
        """Clients with the ids 2, 2 + step ...; the last one hears the first QEMU and is heard by
        it, also after the second one lost its device. Failure when that is not so."""
        for number in range(THOUSAND + 1):
            client = Client(self.path).handshake(2, [0, 1])
            lab.check(client.id == 2 + number * step, f'id {client.id} in round {number}')
            if number < THOUSAND:
                client.close()
            for qemu in (self.first, self.second):
                lab.check(qemu.running(), f'{qemu.name} ended\n{qemu.tail()}')
        rings_both_ways(self.first, client)
        self.second.hears(client)
        if unplug:
            self.second.unplug()
            rings_both_ways(self.first, client)
        for qemu in (self.second, self.first):
            lab.check(qemu.qmp('query-status')['running'] is False, 'no answer')
            qemu.quit()


def a_thousand_reuses_of_an_id():
    need_qemu()
    server = lab.Server('--ports', 3, '-n', 2, '-l', '4M')
    Pair(server.socket, 'stays').a_thousand_come_and_go(0)
    server.expect(rf'detach id=2 life={THOUSAND} ')
    lab.check(server.stop() == 0, 'exit status')


def a_thousand_announced_leaves():
    """No id twice, one leave each. Unplugging would be the end of QEMU 7.2 after any leave."""
    need_qemu()
    server = lab.Server('--ports', 3, '-n', 2, '-l', '4M', '--announce-leave')
    Pair(server.socket, 'stays').a_thousand_come_and_go(1, unplug=False)
    server.expect(rf'detach id={1 + THOUSAND} ')
    lab.check(server.stop() == 0, 'exit status')


def a_naive_server_kills_qemu():
    """So that the two above can fail: ids given again and leaves announced, as one would do it. The
    same program with the rule of ivshmem-server is the control."""
    need_qemu()
    for mode in ('kept', 'naive'):
        path = lab.private_dir() / 's'
        server = lab.Process(mode, [sys.executable, Path(__file__).with_name('naive.py'), path,
                                    2, mode])
        server.expect('ready')
        pair = Pair(path, mode)
        try:
            pair.a_thousand_come_and_go(0)
        except (lab.Failure, OSError) as error:
            lab.check(mode == 'naive', f'the control failed: {error}')
            dead = [qemu for qemu in (pair.first, pair.second) if not qemu.running()]
            lab.check(dead and all(qemu.wait() in (-signal.SIGABRT, -signal.SIGSEGV)
                                   for qemu in dead), f'no QEMU died of a signal: {error}')
            continue
        lab.check(mode == 'kept', 'both QEMUs live: this shows nothing')


lab.main(qemu_joins, quit_and_replaced, unplugged_and_replaced, a_thousand_reuses_of_an_id,
         a_thousand_announced_leaves, a_naive_server_kills_qemu)
