# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""DPDK's l3fwd-power in interrupt-only mode in a guest: it forwards, sleeps, and costs no CPU.

  shell a (host) --- server a --- l3fwd-power in a guest --- server b --- shell b (host)
"""

import shlex

import driver
import examples
import lab
import pair
import power
from driver import WAIT
from vmset import doorbell

IDLE_SECONDS = 10
IDLE_CPU = 0.1      # seconds
# One instruction is one nanosecond: the guest's CPU times are then those of a CPU that does 10^9
# instructions a second, not those of the emulation, which is slower and depends on the host.
COUNTED = ('-icount', 'shift=0,sleep=on')


def boot(vms):
    program = examples.build('l3fwd-power', 'l3fwd-power')
    servers = [vms.server('16M', vectors=4, options='--ports 2') for _ in 'ab']
    vm = vms.add('a', devices=[doorbell(server.socket, 4) for server in servers], memory=512,
                 hugepages=110, qemu=COUNTED,
                 add=((str(program.resolve()), '/usr/bin/l3fwd-power'),))
    vms.start()
    driver.bind(vm, 2)
    return vm, power.shells_of(servers)


shared = driver.Shared(boot)


def cpu_seconds(vm, name):
    """CPU that a program of the guest has used."""
    text = vm.check(f'cat /proc/$(pidof {name})/stat')
    return power.stat_seconds(text)


def idles(vm):
    before = cpu_seconds(vm, 'l3fwd-power')
    bare = float(vm.check(f'vmtool naps {IDLE_SECONDS * 100} 10').split()[-1])
    used = cpu_seconds(vm, 'l3fwd-power') - before
    print(f'l3fwd-power in the guest: {used:.2f} s of CPU in {IDLE_SECONDS} idle seconds, bare '
          f'time-outs {bare:.2f} s')
    lab.check(used < IDLE_CPU, f'{used:.2f} s of CPU, bare time-outs {bare:.2f} s')


def l3fwd_power_in_a_guest():
    vm, shells = shared.get()
    allow = ' '.join(f'-a {device}' for device in examples.GuestForwarder.devices)
    job = vm.start_job(
        f'exec stdbuf -oL l3fwd-power --in-memory -l 0 -m 96 {allow} '
        f'--log-level=pmd.net.ivshmem:info -- {shlex.join(power.L3FWD_OPTIONS)}')
    job.wait_line('entering main interrupt loop', WAIT)
    power.addresses(shells)
    power.forwards(shells)
    idles(vm)
    power.forwards(shells)
    power.check_text(job.output)
    power.check_rung(shells)
    for shell in shells:
        shell.quit()
    job.kill('INT')
    status = job.wait(WAIT)
    lab.check(status == 0, f'l3fwd-power ended with {status}:\n' + job.output[-1500:])


shared.main(l3fwd_power_in_a_guest)
