#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Ports that are killed on purpose between two steps of publish, return, arm and state changes.

The driver of the victim is a copy with a stop before each statement of the functions that
instrument.py names. First a port with it lives from its probe to its close, as a census of what is
reached; then ports are stopped before one step each, at its first time or a later one, killed
there, and followed by one with the driver as it is: see torture.py for what has to follow.
"""

import mmap
import os
import subprocess
import time
from pathlib import Path

import lab
import torture

HERE = lab.BUILD / 'test' / 'torture'
KILLS = int(os.environ.get('IVSHMEM_TORTURE_KILLS') or (10 ** 9 if lab.LONG else 3))
# Part 0/4 of the places, for instance, where all take too long at a time.
PART, PARTS = map(int, os.environ.get('IVSHMEM_TORTURE_PART', '0/1').split('/'))
PLACE = os.environ.get('IVSHMEM_TORTURE_PLACE', '')     # "a producer_start": only places with that
GROUP_KILLS = 50
REACH = 3.0         # seconds after its start in which a step is reached
LEAVE = 0.4         # the same where it is one of those that a port takes when it leaves
# Each of these must have been a place to be killed at, whatever chance chose.
ESSENTIAL = {
    'copy': 'tx_fill_dest tx_wire tx_session producer_publish producer_start producer_adopt '
            'consumer_avail rx_ring consumer_release consumer_start consumer_adopt '
            'port_claim port_set_state port_release port_set_conf port_beat start stop dev_close',
    'zero_copy': 'tx_fill_lend tx_large tx_place flight_take flight_give flight_release rx_large '
                 'loan_lend loan_free loan_batch_flush loans_drain loans_take_back '
                 'consumer_publish_returns producer_returned tx_lend_reap',
    'forwarding': 'tx_pass tx_lend_reap tx_publish tx_unicast flight_take flight_give',
    'interrupts': 'rx_queue_intr_enable rx_queue_intr_disable intr_note intr_has_work tx_bell '
                  'intr_drain',
}


def build():
    done = subprocess.run(['ninja', '-C', lab.BUILD, 'test/torture/libtorture_steps.so'],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lab.check(done.returncode == 0, f'the instrumented driver is not built:\n{done.stdout[-3000:]}')
    path = lab.private_dir() / 'torture_steps.so'
    path.write_bytes((HERE / 'libtorture_steps.so').read_bytes())
    return path


class Steps:
    """The steps, and a victim's counts of them."""

    def __init__(self):
        self.plugin = build()
        self.texts = (HERE / 'steps.txt').read_text().splitlines()
        self.path = lab.private_dir() / 'counts'

    def start(self, group, who, stop=None):
        self.path.write_bytes(bytes(4 * len(self.texts)))
        env = {'IVSHMEM_STEP_COUNTS': str(self.path)}
        if stop is not None:
            env['IVSHMEM_STEP_STOP'] = f'{stop[0]} {stop[1]}'
        return group.start(who, plugin=self.plugin, env=env)

    def counts(self):
        with open(self.path, 'rb') as file, \
                mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as counts:
            return [int.from_bytes(counts[at:at + 4], 'little')
                    for at in range(0, len(counts), 4)]

    def place(self, step):
        """Function and text."""
        return self.texts[step].partition(' ')[2]

    def function(self, step):
        return self.place(step).split()[0]


def state_of(process):
    """T when it is stopped, Z when it has ended."""
    text = Path(f'/proc/{process.pid}/stat').read_text()
    return text[text.rindex(')') + 2]


def wait_stop(process, seconds):
    end = time.monotonic() + seconds
    while state_of(process) not in 'TZX' and time.monotonic() < end:
        time.sleep(0.002)
    return state_of(process) == 'T'


def census(steps, group, who):
    """{step: how often before the port left} of a whole life of that port under traffic."""
    group.nodes[who].leave()
    steps.start(group, who).ready()
    group.check(f'the census of {who}')
    early = steps.counts()
    group.nodes[who].leave()
    group.start(who).ready()
    group.check(f'the start of {who} after its census')
    return {step: early[step] for step, count in enumerate(steps.counts()) if count}


def kill_at(steps, group, who, step, count, seconds):
    """False when the step was not reached so often before the port had left."""
    group.nodes[who].leave()
    group.resume()
    victim = steps.start(group, who, (step, count))
    lab.wait_until(lambda: state_of(victim) in 'TZX' or 'reply: ' in victim.output(),
                   torture.BOUND, f'the start of {victim.name}')
    stopped = wait_stop(victim, seconds)
    if not stopped and victim.running():
        victim.send('quit\n')
        stopped = wait_stop(victim, torture.BOUND)
    if stopped:
        victim.die()
    else:
        lab.check(victim.wait(torture.BOUND) == 0, f'{victim.name} left with an error\n'
                  + victim.tail())
        victim.forget()
    group.start(who).ready()
    group.check(f'the kill of {who} before {steps.texts[step]}, time {count}')
    return stopped


def kill_at_steps(name, make):
    steps = Steps()
    chance = torture.seeded(name)
    group = make(f'{name}-census')
    group.start_all()
    found = {who: census(steps, group, who) for who in group.roles}
    group.end()
    reached = {steps.function(step) for hits in found.values() for step in hits}
    missing = set(ESSENTIAL[name].split()) - reached
    lab.check(not missing, f'{name}: steps of {missing} are never reached')
    places = [(who, step, hits[step]) for who, hits in found.items() for step in hits]
    chance.shuffle(places)
    places = [place for place in places if PLACE in f'{place[0]} {steps.place(place[1])}']
    places = places[PART::PARTS]
    print(f'{name}: {len(places)} places in {len(reached)} functions', flush=True)
    done = late = 0
    for at, (who, step, hits) in enumerate(places[:KILLS]):
        if at % GROUP_KILLS == 0:
            if at:
                group.end()
            group = make(f'{name}{at}')
            group.start_all()
        count = 1 if chance.random() < 0.5 else chance.randint(1, max(1, hits // 4))
        if kill_at(steps, group, who, step, count, REACH if hits else LEAVE):
            done += 1
        else:
            late += 1
        if (done + late) % 10 == 0:
            torture.progress(f'{name}: {done + late} of {min(KILLS, len(places))} places')
    group.end()
    lab.check(late <= (done + late) // 4 + 1, f'{name}: {late} of {done + late} ports left before '
              'they reached their step')
    print(f'{name}: {done} kills between steps, {late} not reached that often, {torture.FRAMES} '
          'checked frames and an account after each', flush=True)


def copy():
    kill_at_steps('copy', torture.copy)


def zero_copy():
    kill_at_steps('zero_copy', torture.zero_copy)


def forwarding():
    kill_at_steps('forwarding', torture.forwarding)


def interrupts():
    kill_at_steps('interrupts', torture.ping_pong)


lab.main(copy, zero_copy, forwarding, interrupts)
