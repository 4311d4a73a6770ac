# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""What connects two processes: devices for both ends, and what has to run beside them.

A wire is written as NAME[,KEY=VALUE...]:
  ivshmem  net_ivshmem       path         region in a file, no server
                             page=KIB     pages of the region, 4 or 2048 (4)
                             region=SIZE  size of the region (64M)
                             ring=N       descriptors asked of testpmd (the port's default)
                             buffer=N     bytes of a buffer (1920, or what holds 9000 bytes)
                             args=A=B+C=D more device arguments
                             build=DIR    the plugin and server of another build directory
  memif    net_memif         rsize=N      2^N descriptors a ring (10)
                             zero-copy    of the client, which sends
  virtio   virtio-user sends to vhost     size=N  descriptors a ring (1024)
  vhost    vhost sends to virtio-user     size=N
Short for others: ivshmem-zc = ivshmem,args=zero_copy=1   memif-zc = memif,zero-copy
"""

import collections
import os
from pathlib import Path

import lab

# queues: of a port; big: mbufs and buffers that hold 9000 B in one piece, everywhere;
# tool: the program at both ends, testpmd or traffic
Setup = collections.namedtuple('Setup', 'queues big tool', defaults=['testpmd'])

MTU = {False: 1500, True: 9000}
BIG_BUFFER = 9216
SHORT = {'ivshmem-zc': 'ivshmem,args=zero_copy=1', 'memif-zc': 'memif,zero-copy'}


class Wire:
    """open() gives the two device arguments, the sender's first; close() undoes it."""

    KEYS = {}                   # True: the key has a value
    receiver_first = False      # the sender fails to start before the receiver is there
    sender_first = False        # the reverse
    takes_mtu = True            # else testpmd's --max-pkt-len is refused, and not needed

    def __init__(self, text, options):
        self.text = text
        self.options = options
        self.plugin = lab.plugin()
        self.testpmd = ()       # more options of testpmd

    def open(self, name, setup):
        raise NotImplementedError

    def close(self):
        pass


class Ivshmem(Wire):
    KEYS = {'path': False, 'page': True, 'region': True, 'ring': True, 'buffer': True,
            'args': True, 'build': True}

    def __init__(self, text, options):
        super().__init__(text, options)
        self.server = self.file = None
        self.build = Path(options.get('build', lab.BUILD)).resolve()
        if 'build' in options:
            self.plugin = str(self.build / 'drivers' / 'librte_net_ivshmem.so')
        if 'ring' in options:
            self.testpmd += (f'--rxd={options["ring"]}', f'--txd={options["ring"]}')
        self.args = ''.join(',' + word for word in options.get('args', '').split('+') if word)
        if 'zero_copy=1' in self.args:
            self.testpmd += ('--tx-offloads=0',)    # lent buffers exclude MBUF_FAST_FREE
        self.page = options.get('page', '4')
        if self.page not in ('4', '2048'):
            raise ValueError(f"contestant '{text}': page is 4 or 2048")
        if 'path' in options and self.page != '4':
            raise ValueError(f"contestant '{text}': path is on pages of 4 KiB")
        for path in (self.plugin, self.build / 'app' / 'ivshmem-server'):
            if not os.path.exists(path):
                raise ValueError(f"contestant '{self.text}': {path} does not exist: build it")
        self.receiver_first = 'path' in options     # it makes the region

    def open(self, name, setup):
        size = self.options.get('region', '64M')
        geometry = {'queues': max(4, setup.queues)}
        if 'buffer' in self.options or setup.big:
            geometry['buf_size'] = self.options.get('buffer', BIG_BUFFER)
        if 'path' in self.options:
            self.file = lab.private_dir() / 'region'
            made = ''.join(f',{key}={value}' for key, value in geometry.items())
            return (f'net_ivshmem0,path={self.file}{self.args}',
                    f'net_ivshmem0,path={self.file},create=1,size={size}{made}{self.args}')
        socket = lab.private_dir() / 'ivshmem.sock'
        argv = [self.build / 'app' / 'ivshmem-server', '-S', socket, '-l', size]
        for key, value in geometry.items():
            argv += ['--' + key.replace('_', '-'), value]
        self.server = lab.Process(name + '-server',
                                  argv + ['--hugepages'] * (self.page == '2048'))
        self.server.expect('ready')
        return (f'net_ivshmem0,socket={socket}{self.args}',) * 2

    def close(self):
        if self.server:
            self.server.end()
        if self.file and self.file.exists():
            self.file.unlink()


class Memif(Wire):
    KEYS = {'rsize': True, 'zero-copy': False}
    receiver_first = True
    takes_mtu = False

    def __init__(self, text, options):
        super().__init__(text, options)
        rsize = options.get('rsize', '10')
        if not rsize.isdigit() or not 1 <= int(rsize) <= 14:
            raise ValueError(f"contestant '{text}': rsize is a number in 1..14")
        self.rsize = int(rsize)

    def open(self, name, setup):
        common = f'net_memif0,id=0,rsize={self.rsize},socket-abstract=no,' \
                 f'socket={lab.private_dir()}/memif.sock'
        if setup.big:
            common += f',bsize={BIG_BUFFER}'
        zero_copy = ',zero-copy=yes' if 'zero-copy' in self.options else ''
        return f'{common},role=client{zero_copy}', f'{common},role=server'


class Virtio(Wire):
    KEYS = {'size': True}
    receiver_first = True

    def __init__(self, text, options):
        super().__init__(text, options)
        if not options.get('size', '1024').isdigit():
            raise ValueError(f"contestant '{text}': size is a number")

    def open(self, name, setup):
        path = lab.private_dir() / 'vhost.sock'
        size = self.options.get('size', '1024')
        self.testpmd = (f'--rxd={size}', f'--txd={size}')
        return (f'net_virtio_user0,path={path},queues={setup.queues},queue_size={size}',
                f'net_vhost0,iface={path},queues={setup.queues}')


class Vhost(Virtio):
    receiver_first = False
    sender_first = True         # vhost is there before virtio-user

    def open(self, name, setup):
        return super().open(name, setup)[::-1]


NAMES = {'ivshmem': Ivshmem, 'memif': Memif, 'virtio': Virtio, 'vhost': Vhost}


def split(text, keys_of):
    """'memif,rsize=12' -> ('memif', {'rsize': '12'}); ValueError names what is wrong.

    keys_of: {name: KEYS} of all that there are.
    """
    name, *rest = text.split(',')
    if name in SHORT:
        name, *more = SHORT[name].split(',')
        rest = more + rest
    if name not in keys_of:
        raise ValueError(f"contestant '{text}': no contestant '{name}'; there are "
                         + ', '.join([*keys_of, *SHORT]))
    options = {}
    for word in rest:
        key, _, value = word.partition('=')
        if key not in keys_of[name]:
            raise ValueError(f"contestant '{text}': {name} has no '{key}'; it has "
                             + (', '.join(keys_of[name]) or 'no keys at all'))
        if keys_of[name][key] != (value != ''):
            raise ValueError(f"contestant '{text}': {key} takes "
                             + ('a value' if keys_of[name][key] else 'no value'))
        options[key] = value
    return name, options
