# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Debian's testpmd runs in a guest, interactively; EAL loads the plugins by itself."""

import re

import lab
from vmset import VmSet

TESTPMD = ('exec stdbuf -oL dpdk-testpmd --lcores 0@0,1@0 --main-lcore 0 --no-pci -m 32 '
           '--vdev=net_null0 -- -i --total-num-mbufs=2048')


def packets_of(lines):
    """RX-packets of `show port stats`."""
    for line in lines:
        match = re.search(r'RX-packets: (\d+)', line)
        if match is not None:
            return int(match.group(1))
    raise lab.Failure('no RX-packets in:\n' + '\n'.join(lines))


def testpmd_on_net_null():
    with VmSet() as vms:
        vm = vms.add('a')
        vms.start()
        job = vm.start_job(TESTPMD, stdin=True)
        job.ask('set fwd io', timeout=120)
        lab.check(packets_of(job.ask('show port stats 0')) == 0, 'packets before start')
        maps = vm.check('cat /proc/$(pidof dpdk-testpmd)/maps')
        lab.check('/librte_net_ivshmem.so.' in maps, 'EAL did not load our plugin by itself')
        job.ask('start')
        lab.wait_until(lambda: packets_of(job.ask('show port stats 0')) > 1000, 120,
                       '1000 packets of net_null')
        job.ask('stop')
        job.send('quit\n')
        status = job.wait()
        lab.check(status == 0, f'testpmd ended with {status}:\n{job.output}')
        # too little memory is an error that reaches us
        failed = vm.run('hugepages 0; ' + TESTPMD)
        lab.check(failed.status != 0, 'testpmd ran without hugepages')
        vms.finish()


lab.main(testpmd_on_net_null)
