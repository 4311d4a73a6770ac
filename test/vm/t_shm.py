# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""shm=: the memory through another mapping of the region, registers through vfio as before.

    a0 - b0   ivshmem-doorbell, 16 MiB in a file
    b1        ivshmem-plain, another region
    b2        ivshmem-plain, nothing of ours

The same file is an nvdimm of both guests. Guest a calls it soft reserved, so that it becomes a
device DAX from its first byte on; guest b has it as a block device. Guest b was booted with
iomem=relaxed, without which Debian's kernel lets nobody map a BAR that vfio-pci has claimed.
"""

import subprocess

import driver
import lab
from driver import IMIX, SEGMENTED, GuestEnd, send
from vmset import doorbell, plain, size_bytes

SIZE = '16M'
NVDIMM_AT = 1 << 32         # where QEMU's device memory begins in a small guest
SOFT_RESERVED = '0xefffffff'
DAX = '/dev/dax0.0'
SELF_TEST = ['--role', 'gensink', '--count', 1000, '--idle', 1, '--json', '--quiet']


def nvdimm(path):
    """Options of a guest that has the file as an nvdimm, too."""
    return {'memory': '320,slots=1,maxmem=1G', 'qemu': (
        '-machine', 'nvdimm=on', '-object',
        f'memory-backend-file,id=dimm,share=on,mem-path={path},size={SIZE}',
        '-device', f'nvdimm,memdev=dimm,addr={NVDIMM_AT:#x}')}


def boot(vms):
    path, other = vms.path('region'), vms.path('other')
    server = vms.server(SIZE, vectors=4, options=f'--ports 2 -m {path}')
    subprocess.run([lab.server(), 'format', '--size', SIZE, '--ports', '2', other],
                   check=True, timeout=60, stdout=subprocess.DEVNULL)
    a = vms.add('a', devices=[doorbell(server.socket, 4)], **nvdimm(path),
                append=f'memmap={SIZE}%{NVDIMM_AT:#x}+{SOFT_RESERVED}')
    a.start()
    server.wait_line('.*attach id=0 ', 60)
    b = vms.add('b', devices=[doorbell(server.socket, 4), plain(other, SIZE),
                              plain(vms.region(SIZE, 'foreign'), SIZE)], **nvdimm(path),
                append='iomem=relaxed')
    vms.start()
    driver.bind(a, 1)
    driver.bind(b, 3)
    a.check(f'load device_dax dax_hmem; [ -c {DAX} ]')
    b.check('load libnvdimm nfit nd_btt nd_pmem; [ -b /dev/pmem0 ]')
    b.check('mount -t debugfs debugfs /sys/kernel/debug')
    return {'a': a, 'b': b}


shared = driver.Shared(boot)


def bar(name, index=0):
    return f'/sys/bus/pci/devices/{GuestEnd(shared.get()[name], index).addr}/resource2'


def ends(a_path, b_path):
    """Device 0 of both guests, each with its memory by that path (None: BAR2)."""
    return [GuestEnd(vm, 0, f'shm={path}' if path else '')
            for vm, path in zip(shared.get().values(), (a_path, b_path))]


def exchange(a_path, b_path):
    """Frames both ways; who was told shm= says so, has the number that the register gave, and
    finds the memory cached, as it is under TCG."""
    pair = ends(a_path, b_path)
    for sender, receiver, options in ((0, 1, IMIX), (1, 0, SEGMENTED)):
        runs = send(pair[sender], pair[receiver], 5000, *options)
        for slot, role in (sender, 'gen'), (receiver, 'sink'):
            front = 'shm' if (a_path, b_path)[slot] else 'pci'
            found, want = runs[role].port(), (slot, 2, front, size_bytes(SIZE))
            lab.check(found == want, f'{pair[slot].name}: port, ports, front and bytes are '
                      f'{found}, not {want}')
            said = '\n'.join(runs[role].job.lines)
            lab.check('memory is cached: ' in said and 'uncached' not in said, said)


def device_dax_and_write_combining_bar():
    exchange(DAX, bar('b') + '_wc')


def device_dax_and_bar_of_sysfs():
    exchange(DAX, bar('b'))


def device_dax_and_bar_of_vfio():
    exchange(DAX, None)


def memory_type_is_that_of_the_path():
    """x86 gives a page the type that its first mapping had: the path is mapped before the BAR."""
    vm = shared.get()['b']
    end = GuestEnd(vm)
    address = vm.check(f'sed -n 3p /sys/bus/pci/devices/{end.addr}/resource').split()[0]
    for path, want in (bar('b') + '_wc', 'write-combining'), (bar('b'), 'uncached-minus'):
        sink = GuestEnd(vm, 0, f'shm={path}').traffic('sink', '--count', 1, '--wait', driver.WAIT)
        sink.polls()
        types = vm.check(f'grep {address[2:]}- /sys/kernel/debug/x86/pat_memtype_list')
        sink.job.kill('KILL')
        sink.job.wait(driver.WAIT)
        lab.check({line.split()[-1] for line in types.splitlines()} == {want},
                  f'shm={path}: the types of BAR2 at {address} are not {want}:\n{types}')


def mapping_lives_as_long_as_the_port():
    """Also of a port that is closed before its device goes; then the device comes again."""
    vm = shared.get()['a']
    end = GuestEnd(vm, 0, f'shm={DAX}')
    testpmd = driver.Testpmd(vm, end.allow)

    def check(when, *want):
        testpmd.ask('show port summary all')       # it is at its prompt
        found = vm.run(f'grep -o -e {DAX} -e vfio-device /proc/$(pidof dpdk-testpmd)/maps').lines
        lab.check(set(found) == set(want), f'{when}: {set(found)} are mapped, not {set(want)}')
    check('started', DAX, 'vfio-device')
    testpmd.ask_all('port stop 0', 'port close 0')
    check('closed', 'vfio-device')
    testpmd.ask(f'device detach {end.addr}')
    check('detached')
    testpmd.ask(f'port attach {end.addr},shm={DAX}')
    check('attached again', DAX, 'vfio-device')
    testpmd.quit()


def refused(name, index, path, *words, args=''):
    """No port, and one line that has shm=, the path and all of the words."""
    end = GuestEnd(shared.get()[name], index, ','.join(x for x in (args, f'shm={path}') if x))
    job = end.vm.run(driver.guest_script('ivshmem-traffic', end.allow, SELF_TEST, level='notice'),
                     driver.WAIT)
    lab.check(job.status != 0, f'shm={path} in {end.name} was not refused:\n{job.output}')
    lab.check(any('IVSHMEM: ' in line and all(word in line for word in (f'shm={path}', *words))
                  for line in job.lines),
              f'shm={path} in {end.name}: no error with {words} in:\n{job.output}')


def wrong_paths_are_refused():
    shared.get()['b'].check('truncate -s 1M /run/small')
    need = str(size_bytes(SIZE))
    refused('b', 0, '/run/absent', '0000:00:10.0', 'No such file')
    refused('b', 0, '/run/small', 'has 1048576 bytes', need)
    refused('b', 0, f'{bar("b")}@4K', f'has {need} bytes', 'offset 4096')
    refused('b', 0, f'{bar("b")}@100', 'offset 100', 'page size')
    refused('b', 0, bar('b', 1), 'another region', 'uuid', 'BAR2')
    refused('b', 0, '/dev/zero', 'no region', 'magic')
    refused('b', 0, '/dev/pmem0', 'block device', '/dev/dax')
    refused('b', 2, bar('b', 2), 'no region of this format in BAR2')
    refused('a', 0, f'{DAX}@2M', f'has {need} bytes', 'offset 2097152')


def claimed_bar_needs_a_relaxed_kernel():
    """Debian's kernel takes the earlier mapping away: found before it is a SIGBUS."""
    for path in bar('a'), bar('a') + '_wc':
        refused('a', 0, path, 'took the mapping away', 'iomem=relaxed')


def works_after_all_that():
    exchange(None, None)


shared.main(device_dax_and_write_combining_bar, device_dax_and_bar_of_sysfs,
            device_dax_and_bar_of_vfio, memory_type_is_that_of_the_path,
            mapping_lives_as_long_as_the_port, wrong_paths_are_refused,
            claimed_bar_needs_a_relaxed_kernel, works_after_all_that)
