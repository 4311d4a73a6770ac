# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Guests and runners that hang or die: the end comes in bounded time and nothing stays behind."""

import os
import re
import signal
import subprocess
import sys
import time

import lab
from vmset import RUN_DIR, RUN_PREFIX, VmError, VmSet, VmTimeout

RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'run')
HELD = '-S'     # QEMU waits for a debugger: a guest that never boots and costs no time


def gone(pid):
    """True when the process is not there, or only its entry."""
    try:
        with open(f'/proc/{pid}/stat', encoding='ascii') as stream:
            return stream.read().rpartition(')')[2].split()[0] == 'Z'
    except OSError:
        return True


def qemu_of(pid, seconds=60):
    """Pid of the QEMU that a runner has started."""
    def find():
        with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as stream:
            children = stream.read().split()
        for child in children:
            try:
                with open(f'/proc/{child}/cmdline', 'rb') as line:
                    if line.read().startswith(b'qemu-system'):
                        return int(child)
            except OSError:
                pass    # one of the short-lived helpers that prepare the guest
        return None
    return lab.wait_until(find, seconds, f'QEMU below {pid}')


def hanging_guest():
    with VmSet() as vms:
        vm = vms.add('a')
        vms.start()
        job = vm.start_job("trap '' TERM; while :; do :; done")
        try:
            job.wait(3)
            raise lab.Failure(f'an endless loop ended with {job.status}')
        except VmTimeout as err:
            lab.check('the end of' in str(err), f'the error hides what was waited for: {err}')
        pid = vm.pid
    lab.check(gone(pid), f'QEMU {pid} is still there')


def runner_with_hanging_guests():
    run = subprocess.Popen([sys.executable, RUN, '--timeout', '12', '--qemu=' + HELD,
                            '--vm', 'exit 0', '--vm', 'exit 0'], stdout=subprocess.PIPE, text=True)
    try:
        pid = qemu_of(run.pid)
        out, _ = run.communicate(timeout=120)
    finally:
        run.kill()
        run.wait(30)
    lab.check(run.returncode == 124, f'status {run.returncode} instead of 124:\n{out}')
    lab.check(re.search('waiting for the guest to boot, [0-9]+ s of', out),
              f'no progress line:\n{out}')
    lab.check(gone(pid), f'QEMU {pid} is still there')


def ended_runner(number, status):
    """A signal ends a runner; its QEMU ends with it."""
    run = subprocess.Popen([sys.executable, RUN, '--timeout', '250', '--qemu=' + HELD,
                            '--vm', 'exit 0'])
    try:
        pid = qemu_of(run.pid)
        time.sleep(0.2)
        run.send_signal(number)
        run.wait(60)
    finally:
        run.kill()
        run.wait(30)
    lab.check(run.returncode == status, f'signal {number}: status {run.returncode}, not {status}')
    lab.wait_until(lambda: gone(pid), 30, f'the end of QEMU {pid} after signal {number}')
    left = [name for name in os.listdir(RUN_DIR) if name.startswith(f'{RUN_PREFIX}{run.pid}.')]
    if number == signal.SIGKILL:
        with VmSet(echo=None):
            left = [name for name in os.listdir(RUN_DIR)
                    if name.startswith(f'{RUN_PREFIX}{run.pid}.')]
    lab.check(left == [], f'signal {number} left {left}')


def terminated_runner():
    ended_runner(signal.SIGTERM, 128 + signal.SIGTERM)


def interrupted_runner():
    ended_runner(signal.SIGINT, 128 + signal.SIGINT)


def killed_runner():
    ended_runner(signal.SIGKILL, -signal.SIGKILL)


def mute_server():
    """A server that never says that it is ready ends in an error that shows its output."""
    script = os.path.join(lab.private_dir(), 'mute')
    with open(script, 'w', encoding='ascii') as stream:
        stream.write('#!/bin/sh\necho "not yet"\nexec sleep 1000\n')
    os.chmod(script, 0o755)
    with VmSet(timeout=60) as vms:
        try:
            vms.server('1M', program=script, timeout=2)
            raise lab.Failure('a mute server counted as ready')
        except VmError as err:
            lab.check('not yet' in str(err), f'the error does not show the output: {err}')
        pid = vms.servers[0].pid
    lab.check(gone(pid), f'server {pid} is still there')


lab.main(hanging_guest, runner_with_hanging_guests, terminated_runner, interrupted_runner,
         killed_runner, mute_server)
