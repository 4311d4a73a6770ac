# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""./test/run --clean: both commands of the README in a fresh Debian root.

debootstrap makes the root from this machine's own mirror; HEAD is cloned into it; then
./app/demo and ./test/run are run there. Mounts and processes live in namespaces of their own,
so that nothing of them can be left behind, however this ends; the root is removed at the end.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = ['./app/demo', './test/run']
LIMIT = 3600        # seconds, each command
INSIDE = 'root/net_ivshmem'

# In the new namespaces: mounts, then the commands in the root. $1 is the root. It becomes the
# namespace's own root, which chroot alone does not do: then unshare --mount fails inside.
SCRIPT = r'''
set -eu
root=$1
shift
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
cd "$root"
mkdir -p mnt/outside
pivot_root . mnt/outside
umount -l /mnt/outside
exec chroot / /usr/bin/env -i HOME=/root LC_ALL=C.UTF-8 \
    PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -c 'cd "$0" && exec "$@"' /INSIDE "$@"
'''.replace('INSIDE', INSIDE)


def say(text):
    print('clean: ' + text, flush=True)


def _must(argv, what, **more):
    if subprocess.run([str(a) for a in argv], **more).returncode != 0:
        sys.exit(f'test/run --clean: error: {what} failed, see above')


def _make_root(source, root):
    """A minimal Debian of this machine's release, with its mirrors and proxies."""
    lines = subprocess.run([source / 'app' / 'setup', '--print-debian-sources'], check=True,
                           stdout=subprocess.PIPE, text=True).stdout.splitlines()
    entries = [re.sub(r'^deb (\[[^]]*\] )?', '', line).split() for line in lines]
    main = [e for e in entries if '-' not in e[1] and '/' not in e[1]]
    if not main:
        sys.exit('test/run --clean: error: /etc/apt names no mirror of this Debian release')
    mirror, release = main[0][:2]
    say(f'debootstrap of {release} from {mirror}')
    _must(['debootstrap', '--variant=minbase', release, root, mirror], 'debootstrap',
          stdout=subprocess.DEVNULL)
    sources = root / 'etc' / 'apt' / 'sources.list'
    sources.write_text('\n'.join(lines) + '\n')
    for key in set(re.findall(r'signed-by=([^\] ]+)', ' '.join(lines))):
        target = root / key.lstrip('/')
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(key, target)
    acquire = subprocess.run(['apt-config', 'dump', 'Acquire'], check=True,
                             stdout=subprocess.PIPE, text=True).stdout.splitlines()
    (root / 'etc/apt/apt.conf.d/90acquire').write_text(
        ''.join(x + '\n' for x in acquire if 'Proxy' in x or 'proxy' in x))
    for name in ('resolv.conf', 'hosts'):
        if Path('/etc', name).exists():
            shutil.copy(Path('/etc', name), root / 'etc' / name)
    _must(['chroot', root, 'apt-get', '-q', 'update'], 'apt-get update in the new root',
          stdout=subprocess.DEVNULL)


def _in_root(root, command):
    argv = ['unshare', '--mount', '--pid', '--ipc', '--fork', '--kill-child=SIGKILL',
            '--propagation', 'private', 'sh', '-c', SCRIPT, 'sh', str(root), *command]
    began = time.monotonic()
    say('running ' + ' '.join(command))
    proc = subprocess.Popen(argv)
    try:
        status = proc.wait(LIMIT)
    except subprocess.TimeoutExpired:
        status = f'none within {LIMIT} s'
    finally:
        if proc.poll() is None:
            proc.kill()
            proc.wait()
    say(f'{" ".join(command)}: exit status {status} after {time.monotonic() - began:.0f} s')
    return status == 0


def run(source, base):
    """Returns the exit status."""
    git = ['git', '-c', 'safe.directory=*']
    _must([source / 'app' / 'setup', 'clean'], 'app/setup clean')
    if subprocess.run([*git, '-C', source, 'status', '--porcelain'], check=True,
                      stdout=subprocess.PIPE).stdout:
        say('the checkout has changes that are not committed: they are not in HEAD')
    os.makedirs(base, exist_ok=True)
    top = Path(tempfile.mkdtemp(prefix='ivshmem-clean-', dir=base))
    root = top / 'root'
    try:
        root.mkdir()
        _make_root(source, root)
        _must([*git, 'clone', '-q', '--no-hardlinks', source, root / INSIDE], 'git clone')
        good = all([_in_root(root, [command]) for command in COMMANDS])
    finally:
        shutil.rmtree(top, ignore_errors=True)
        if top.exists():
            print(f'test/run --clean: {top} could not be removed', file=sys.stderr)
    say('passed' if good else 'FAILED')
    return 0 if good else 1
