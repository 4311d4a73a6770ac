# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""What a test guest boots: Debian's cloud kernel and a small root file system.

The kernel comes out of the package that linux-image-cloud-amd64 depends on;
nothing is installed. Kernel and base archive are kept in build/vm and made
again when what they were made from has changed. A second archive, made for
each run, carries our own plugin and tools and whatever a test adds.

Invariants:
 I1. A file under build/vm is complete or absent: written aside, then renamed.
 I2. One process prepares at a time (a lock file); others wait, bounded.
"""

import collections
import fcntl
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from initramfs import GuestError, Modules, Tree, libraries

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
KERNEL_META = 'linux-image-cloud-amd64'
MODULES = ('vfio-pci', 'vfio_iommu_type1', 'virtio_pci', 'virtio_net')
# copied, and loaded by bind() or load() only
MODULES_KEPT = ('uio_pci_generic', 'device_dax', 'dax_hmem', 'nfit', 'nd_pmem')
PMDS = ('bus_pci', 'bus_vdev', 'mempool_ring', 'net_memif', 'net_null', 'net_ring', 'net_virtio')
BUSYBOX = '/bin/busybox'
TOOLS = ('dpdk-testpmd', 'stdbuf')
LOCK_WAIT = 300
DOWNLOAD_WAIT = 300

Base = collections.namedtuple('Base', 'kernel initramfs release abi names')


def say(text):
    """One line of progress."""
    print(f'vm: {text}', file=sys.stderr, flush=True)


def build_root():
    """meson's build folder: IVSHMEM_BUILD, or build/ of this tree."""
    return os.path.abspath(os.environ.get('IVSHMEM_BUILD_ROOT') or os.path.join(ROOT, 'build'))


def _command(argv, wait, cwd=None):
    try:
        done = subprocess.run(argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=wait, check=False)
    except FileNotFoundError as err:
        raise GuestError(f'{argv[0]}: not installed: run app/setup') from err
    except subprocess.TimeoutExpired as err:
        raise GuestError(f'{" ".join(argv)}: no end after {wait} s') from err
    if done.returncode != 0:
        tail = ' / '.join(done.stdout.strip().splitlines()[-3:])
        raise GuestError(f'{" ".join(argv)} failed with {done.returncode}: {tail}')
    return done.stdout


def _stamp(path):
    info = os.stat(path)
    return [os.path.realpath(path), info.st_size, info.st_mtime_ns]


def _stamps_hold(stamps):
    try:
        return all(_stamp(path) == kept for path, kept in stamps.items())
    except OSError:
        return False


def _load(path):
    try:
        with open(path, encoding='utf-8') as stream:
            return json.load(stream)
    except (OSError, ValueError):
        return {}


def _store(path, data):
    """Writes bytes, or anything else as JSON, in one step (I1)."""
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    with open(path + '.new', 'wb') as stream:
        stream.write(raw)
    os.rename(path + '.new', path)


class _Lock:
    """I2."""

    def __init__(self, path):
        self.path = path
        self.stream = None

    def __enter__(self):
        self.stream = open(self.path, 'w', encoding='ascii')
        end, told = time.monotonic() + LOCK_WAIT, False
        while True:
            try:
                fcntl.flock(self.stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return self
            except BlockingIOError:
                if time.monotonic() > end:
                    self.stream.close()
                    raise GuestError(f'{self.path}: held by another process for '
                                     f'{LOCK_WAIT} s: find it with fuser') from None
            if not told:
                say('another process prepares the guest, waiting')
                told = True
            time.sleep(0.1)

    def __exit__(self, *_):
        self.stream.close()


def _kernel_wanted():
    """Name and version of the newest cloud kernel package that apt knows."""
    try:
        text = _command(['apt-cache', 'depends', KERNEL_META], 60)
        name = re.search(r'^\s*Depends: (linux-image-\S+)', text, re.M).group(1)
        text = _command(['apt-cache', 'policy', name], 60)
        version = re.search(r'^\s*Candidate: (\S+)', text, re.M).group(1)
    except AttributeError:
        raise GuestError(f'apt knows no kernel behind {KERNEL_META}: run apt-get update, and '
                         'see that /etc/apt has Debian\'s main archive') from None
    return name, version


def _kernel_fetch(folder, name, version):
    """Downloads and unpacks one kernel package into folder/kernel."""
    say(f'fetching {name} {version}')
    work = tempfile.mkdtemp(prefix='kernel.', dir=folder)
    try:
        _command(['apt-get', '-q', 'download', f'{name}={version}'], DOWNLOAD_WAIT, cwd=work)
        packages = glob.glob(os.path.join(work, '*.deb'))
        if len(packages) != 1:
            raise GuestError(f'apt-get download {name} left {len(packages)} packages in {work}')
        _command(['dpkg', '-x', packages[0], os.path.join(work, 'tree')], 120)
        final = os.path.join(folder, 'kernel')
        shutil.rmtree(final, ignore_errors=True)
        os.rename(os.path.join(work, 'tree'), final)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _kernel(folder):
    """Makes folder/kernel the kernel apt offers; returns (vmlinuz, modules, release)."""
    kept_path = os.path.join(folder, 'kernel.json')
    kept = _load(kept_path)
    lists = {path: _stamp(path) for path in ('/var/lib/apt/lists',) if os.path.exists(path)}
    images = glob.glob(os.path.join(folder, 'kernel/boot/vmlinuz-*'))
    if kept.get('lists') != lists or not images:
        name, version = _kernel_wanted()
        if [kept.get('name'), kept.get('version')] != [name, version] or not images:
            _kernel_fetch(folder, name, version)
        _store(kept_path, {'name': name, 'version': version, 'lists': lists})
        images = glob.glob(os.path.join(folder, 'kernel/boot/vmlinuz-*'))
    if len(images) != 1:
        raise GuestError(f'{folder}/kernel/boot has {len(images)} kernels, not one')
    release = os.path.basename(images[0])[len('vmlinuz-'):]
    return images[0], os.path.join(folder, 'kernel/lib/modules', release), release


def _scripts():
    return {name: os.path.join(HERE, 'guest', name) for name in ('init', 'agent', 'job')}


def _recipe():
    """Digest of everything in this tree that shapes the base archive."""
    digest = hashlib.sha256(repr((MODULES, MODULES_KEPT, PMDS, TOOLS)).encode())
    for path in (*_scripts().values(), __file__, os.path.join(HERE, 'initramfs.py')):
        with open(path, 'rb') as stream:
            digest.update(stream.read())
    return digest.hexdigest()


def _add_dpdk(tree):
    """testpmd and the PMDs, reachable from the plugin folder and the library folder alike."""
    for tool in TOOLS:
        path = shutil.which(tool, path='/usr/bin:/bin')
        if path is None:
            raise GuestError(f'{tool}: not installed: run app/setup')
        tree.program(path, '/usr/bin/' + tool)
    eal = [lib for lib in libraries(shutil.which('dpdk-testpmd', path='/usr/bin:/bin'))
           if os.path.basename(lib).startswith('librte_eal.so')]
    real = os.path.realpath(eal[0])
    abi = real.rsplit('.so.', 1)[1]
    libdir = os.path.dirname(real)
    for pmd in PMDS:
        plugin = f'{libdir}/dpdk/pmds-{abi}/librte_{pmd}.so.{abi}'
        soname = f'{libdir}/dpdk/pmds-{abi}/librte_{pmd}.so.{abi.split(".")[0]}'
        if not os.path.exists(plugin):
            raise GuestError(f'{plugin}: missing: the guest needs this driver of package dpdk\'s')
        for needed in libraries(plugin):
            tree.library(needed)
        tree.library(plugin)
        tree.library(soname)
    # as Debian: every plugin, testpmd's own included, is found by name from another one
    library = os.path.basename(libdir)
    for name in sorted(tree.names()):
        folder, alias = os.path.split(name)
        if folder.endswith(f'/dpdk/pmds-{abi}') and '.so.' in alias and \
                f'usr/lib/{library}/{alias}' not in tree.names():
            tree.link(f'{libdir}/{alias}', f'dpdk/pmds-{abi}/{alias}')
    # pthread_cancel loads it at exit; without it a good run ends with SIGABRT
    tree.library(f'/lib/{library}/libgcc_s.so.1')
    tree.copy('/usr/libexec/coreutils/libstdbuf.so', '/usr/libexec/coreutils/libstdbuf.so')
    return abi


def _base_make(modules):
    tree = Tree()
    for name in ('dev', 'proc', 'sys', 'tmp', 'run', 'mnt', 'root', 'etc', 'var', 'usr/lib64'):
        tree.folder(name)
    for name, target in (('bin', 'usr/bin'), ('sbin', 'usr/bin'), ('lib', 'usr/lib'),
                         ('lib64', 'usr/lib64'), ('var/run', '../run')):
        tree.link(name, target)
    tree.link('usr/sbin', 'bin')
    if not os.path.exists(BUSYBOX):
        raise GuestError(f'{BUSYBOX}: not installed: run app/setup')
    if libraries(BUSYBOX):
        raise GuestError(f'{BUSYBOX} is not static: install busybox-static')
    tree.copy(BUSYBOX, '/usr/bin/busybox', 0o755)
    abi = _add_dpdk(tree)
    for applet in _command([BUSYBOX, '--list'], 10).split():
        if f'usr/bin/{applet}' not in tree.names():
            tree.link(f'/usr/bin/{applet}', 'busybox')
    found = Modules(modules)
    order = found.order(MODULES)
    for path in (*order, *found.order(MODULES + MODULES_KEPT)):
        tree.copy(path, '/usr/lib/modules/' + os.path.basename(path), 0o644)
    tree.text('/usr/lib/modules/order', ''.join(os.path.basename(p) + '\n' for p in order))
    scripts = _scripts()
    tree.copy(scripts['init'], '/init', 0o755)
    for name in ('agent', 'job'):
        tree.copy(scripts[name], '/usr/lib/vm/' + name, 0o644)
    return tree, abi


def prepare(folder=None):
    """Kernel and base archive, made now or kept from an earlier call; returns a Base."""
    folder = folder or os.path.join(build_root(), 'vm')
    os.makedirs(folder, exist_ok=True)
    begun = time.monotonic()
    with _Lock(os.path.join(folder, 'lock')):
        kernel, modules, release = _kernel(folder)
        kept_path, archive = os.path.join(folder, 'base.json'), os.path.join(folder, 'base.cpio')
        kept, recipe = _load(kept_path), _recipe() + release
        if (kept.get('recipe') != recipe or not os.path.exists(archive)
                or not _stamps_hold(kept.get('inputs', {}))):
            say('making the guest\'s root file system')
            tree, abi = _base_make(modules)
            kept = {'recipe': recipe, 'abi': abi, 'names': sorted(tree.names()),
                    'inputs': {path: _stamp(path) for path in sorted(tree.inputs)}}
            if os.path.exists(kept_path):
                os.unlink(kept_path)
            _store(archive, tree.archive())
            _store(kept_path, kept)
            say(f'guest ready after {time.monotonic() - begun:.1f} s: kernel {release}, '
                f'{os.path.getsize(archive) >> 20} MiB in {archive}')
    return Base(kernel, archive, release, kept['abi'], frozenset(kept['names']))


def vmtool():
    """Path of the static helper that every guest carries."""
    path = os.path.join(build_root(), 'test/vm/vmtool')
    if not os.path.exists(path):
        raise GuestError(f'{path}: not built: run app/setup, or set IVSHMEM_BUILD_ROOT '
                         'to the build folder')
    return path


def overlay(base, add=()):
    """The archive of one run: our plugin and tools, and each (FILE, DEST or None) of `add`."""
    tree, build = Tree(below=base.names), build_root()
    tree.program(vmtool(), '/usr/bin/vmtool')
    plugin = os.path.join(build, 'drivers/librte_net_ivshmem.so')
    if os.path.exists(plugin):
        libdir = next(os.path.dirname(name) for name in base.names if '/librte_eal.so.' in name)
        name = f'librte_net_ivshmem.so.{base.abi}'
        tree.program(plugin, f'/{libdir}/dpdk/pmds-{base.abi}/{name}', 0o644)
    traffic = os.path.join(build, 'test/traffic/ivshmem-traffic')
    if os.path.exists(traffic):
        tree.program(traffic, '/usr/bin/ivshmem-traffic')
    for source, dest in add:
        name = os.path.basename(source)
        if not os.access(source, os.R_OK):
            raise GuestError(f'{source}: not readable: --add takes FILE[:DEST]')
        if os.access(source, os.X_OK):
            tree.program(source, dest or '/usr/bin/' + name)
        else:
            tree.copy(source, dest or '/root/' + name)
    return tree.archive()


if __name__ == '__main__':
    print('\n'.join(prepare()[:3]))
