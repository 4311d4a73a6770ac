# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""The harness itself: a guest boots, statuses come through exactly, nothing stays behind."""

import json
import os
import subprocess
import sys

import lab
from vmset import RUN_DIR, RUN_PREFIX, VmError, VmSet

RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'run')


def leftovers(pid):
    """Names of a process in the run folder."""
    return [name for name in os.listdir(RUN_DIR) if name.startswith(f'{RUN_PREFIX}{pid}.')]


def statuses_of_one_guest():
    with VmSet() as vms:
        vm = vms.add('a')
        vms.start()
        print(f'boot took {vm.boot_seconds:.1f} s')
        for status in (0, 7, 255):
            got = vm.run(f'exit {status}').status
            lab.check(got == status, f'exit {status} came back as {got}')
        # output precedes the status, an unfinished last line included
        job = vm.run('seq 1 50; printf end; exit 3')
        want = [str(i) for i in range(1, 51)] + ['end']
        lab.check(job.lines == want and job.status == 3,
                  f'{len(job.lines)} lines and status {job.status} instead of 51 and 3: '
                  f'{job.lines[-3:]}')
        # two jobs at once, one fed through its standard input
        cat = vm.start_job('while read -r word; do echo "got $word"; done; exit 9', stdin=True)
        cat.send('one\n')
        cat.wait_line('^got one$')
        lab.check(vm.check('echo meanwhile') == 'meanwhile\n', 'a second job did not run')
        cat.close_input()
        lab.check(cat.wait() == 9, f'the fed job ended with {cat.status}')
        # a job that would go on for ever ends when told to
        loop = vm.start_job('while :; do sleep 1; done')
        loop.kill()
        lab.check(loop.wait() == 143, f'SIGTERM made the status {loop.status}')
        smp = vm.check('cat /sys/devices/system/cpu/possible').strip()
        lab.check(smp == '0-1', f'possible CPUs {smp}: QEMU drops fences with one')
        pid = vm.pid
        lab.check(vm.rss()[0] > 0, 'no resident set')
        vm.reset()
        lab.check(vm.boots == 2, f'{vm.boots} boots after a reset')
        lab.check(vm.run('exit 0').status == 0, 'no command after a reset')
        vms.finish()
    lab.check(not os.path.exists(f'/proc/{pid}'), f'QEMU {pid} is still there')
    lab.check(leftovers(os.getpid()) == [], 'the run folder is still there')


def status_of_the_command():
    run = subprocess.Popen([sys.executable, RUN, '--json', '--timeout', '560', '--vm', 'exit 0',
                            '--vm', 'exit 7'], stdout=subprocess.PIPE)
    try:
        out, _ = run.communicate(timeout=580)
    finally:
        run.kill()
        run.wait(30)
    result = json.loads(out)
    lab.check([one['status'] for one in result['guests']] == [0, 7],
              f'statuses {result["guests"]} instead of 0 and 7')
    lab.check(run.returncode == 7, f'test/vm/run ended with {run.returncode}, not with 7')
    for one in result['guests']:
        lab.check(not os.path.exists(f'/proc/{one["pid"]}'), f'QEMU {one["pid"]} is still there')
    lab.check(leftovers(run.pid) == [], 'the run folder is still there')


def death_is_no_success():
    """A guest that panics, and a QEMU that refuses its options, are failures."""
    with VmSet() as vms:
        vm = vms.add('a', qemu=['-device', 'no-such-device'])
        try:
            vms.start()
            raise lab.Failure('a QEMU that cannot start counted as booted')
        except VmError as err:
            lab.check('no-such-device' in str(err), f'the error does not name the device: {err}')
    with VmSet() as vms:
        vm = vms.add('a')
        vms.start()
        job = vm.start_job('echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger')
        try:
            job.wait()
            raise lab.Failure(f'a panic ended the job with {job.status}')
        except VmError:
            lab.check(vm.ended, 'QEMU outlived the panic')
            lab.check(vm.exit_code == 0, f'QEMU ended with {vm.exit_code}')


lab.main(statuses_of_one_guest, status_of_the_command, death_is_no_success)
