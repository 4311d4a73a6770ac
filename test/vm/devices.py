# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""The command line of QEMU: the machine every guest is, and its ivshmem devices."""

import collections

QEMU = 'qemu-system-x86_64'
FIRST_ADDR = 0x10
DEVICES_MAX = 8
EXIT_VALUE = 85         # isa-debug-exit says 2v+1 for the 42 that guest/agent writes
# A small code buffer boots no slower, and a reset guest faster: fewer stale blocks to drop.
TCG = 'tcg,tb-size=32'
KERNEL_LINE = ('console=ttyS0 quiet panic=-1 nokaslr mitigations=off intel_iommu=on '
               'tsc=reliable no_timer_check cryptomgr.notests')

Device = collections.namedtuple('Device', 'kind where vectors size readonly hotplug props')


def doorbell(socket, vectors=4, hotplug=False, props=''):
    """ivshmem-doorbell on a server's socket; hotplug: behind a root port of its own."""
    return Device('doorbell', str(socket), vectors, None, False, hotplug, props)


def plain(path, size, readonly=False, hotplug=False, props=''):
    """ivshmem-plain on a file."""
    return Device('plain', str(path), None, str(size), readonly, hotplug, props)


def memfd(size, props=''):
    """ivshmem-plain on a memfd that QEMU makes."""
    return Device('memfd', '', None, str(size), False, False, props)


def device_args(device, index):
    """Arguments of the index-th ivshmem device, its id is ivshmem<index>."""
    if index >= DEVICES_MAX:
        raise ValueError(f'a guest takes at most {DEVICES_MAX} ivshmem devices')
    where = device.where.replace(',', ',,')
    args = []
    tail = f'id=ivshmem{index}'
    if device.hotplug:
        args += ['-device', f'pcie-root-port,id=port{index},chassis={index + 1},'
                            f'addr={FIRST_ADDR + DEVICES_MAX + index:#x}']
        tail += f',bus=port{index}'
    else:
        tail += f',addr={FIRST_ADDR + index:#x}'
    if device.props:
        tail += ',' + device.props
    if device.kind == 'doorbell':
        args += ['-chardev', f'socket,id=server{index},path={where}',
                 '-device', f'ivshmem-doorbell,chardev=server{index},'
                            f'vectors={device.vectors},{tail}']
    else:
        readonly = ',readonly=on' if device.readonly else ''
        kind = 'memfd' if device.kind == 'memfd' else f'file,mem-path={where}{readonly}'
        args += ['-object', f'memory-backend-{kind},id=shm{index},size={device.size},share=on',
                 '-device', f'ivshmem-plain,memdev=shm{index},{tail}']
    return args


def machine_args(config, base, initrd_fd, fds):
    """Arguments of the machine; fds are those of console, command channel and QMP."""
    kernel_line = f'{KERNEL_LINE} hugepages={config["hugepages"]} {config["append"]}'.strip()
    args = [QEMU, '-nodefaults', '-no-user-config', '-display', 'none',
            '-accel', TCG if config['accel'] == 'tcg' else config['accel'],
            '-machine', 'q35,dump-guest-core=off',
            '-cpu', config['cpu'], '-smp', config['smp'], '-m', str(config['memory']),
            '-action', 'reboot=shutdown',
            '-device', 'isa-debug-exit,iobase=0xf4,iosize=0x04',
            '-kernel', base.kernel, '-initrd', f'/proc/self/fd/{initrd_fd}',
            '-append', kernel_line]
    if config['iommu']:
        args += ['-device', config['iommu']]
    for name, option in (('console', '-serial'), ('channel', '-serial'), ('qmp', '-mon')):
        args += ['-chardev', f'socket,id={name},fd={fds[name]}']
        args += [option, f'chardev={name},mode=control' if name == 'qmp' else f'chardev:{name}']
    for index, device in enumerate(config['devices']):
        args += device_args(device, index)
    return args + list(config['qemu'])
