#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""Start, readiness, end: what the system around the server sees."""

import fcntl
import os
import re
import resource
import signal
import socket
import stat
import subprocess

import lab
from client import Client, BOUND


def alive(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


def ready_line():
    place = lab.private_dir()
    with subprocess.Popen([lab.server(), '-S', place / 's', '-l', '8M', '--ports', '4',
                           '--queues', '2', '-n', '2'], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as server:
        try:
            line = server.stdout.readline()
            lab.check(line == f'ready socket={place}/s size=8388608 ports=4 queues=2 vectors=2 '
                      'id-first=0\n', line)
            one = Client(place / 's').handshake(2, [])
            lab.check(one.region.geometry()['size'] == 8 << 20, f'{one.region.geometry()}')
        finally:
            server.terminate()
        lab.check(server.stdout.read() == '', 'more than the readiness line on stdout')


def signals_leave_nothing():
    for number in (signal.SIGTERM, signal.SIGINT):
        name = f'ivshmem-test-{os.getpid()}'
        place = lab.private_dir()
        server = lab.Server('-M', name, '-p', place / 'pid', name=f'server-{number.name}')
        lab.check((place / 'pid').read_text() == f'{server.pid}\n', 'pid file')
        lab.check(os.path.exists(f'/dev/shm/{name}'), 'no shm object')
        one = Client(server.socket).handshake(5, [])
        server.proc.send_signal(signal.SIGHUP)
        two = Client(server.socket).handshake(5, [0])
        lab.check(server.stop(number=number) == 0, f'exit status after {number.name}')
        lab.check(not os.path.exists(f'/dev/shm/{name}'), 'the shm object is left')
        lab.check(os.listdir(place) == [], f'left: {os.listdir(place)}')
        lab.check(os.listdir(server.socket.parent) == [], 'the socket is left')
        lab.check(one.closed() and two.closed(), 'connections are left')


def a_signal_ends_the_start():
    """It may come at any time; whenever it does, nothing is left."""
    place = lab.private_dir()
    for number in range(10):
        server = lab.Process(f'server-{number}', [lab.server(), '-S', place / 's', '-l', '256M',
                                                  '-m', place / 'region'])
        lab.wait_until(lambda: (place / 'region').exists() or not server.running(), BOUND,
                       'the file')
        status = server.stop()
        lab.check(status in (0, 1), f'exit status {status}')
        lab.check(not (place / 's').exists(), 'the socket is left')
        if status == 1:
            lab.check(not (place / 'region').exists(), 'an unfinished region is left')
        else:
            (place / 'region').unlink()


def live_socket_refused_stale_one_replaced():
    server = lab.Server()
    other = lab.Process('other', [lab.server(), '-S', server.socket])
    lab.check(other.wait() == 1, 'exit status of the second server')
    lab.check('living server' in other.output() and str(server.socket) in other.output(),
              other.output())
    one = Client(server.socket).handshake(5, [])
    lab.check(one.region.slot(0)[0][0] == 1, 'the second server was a client of the first')
    server.kill()
    lab.check(server.socket.is_socket() and one.closed(), 'SIGKILL left no socket')
    heir = lab.Process('heir', [lab.server(), '-S', server.socket])
    heir.expect('ready')
    lab.check(Client(server.socket).handshake(5, []).id == 0, 'the heir does not serve')
    lab.check(heir.stop() == 0 and not server.socket.exists(), 'the end of the heir')


def one_of_two_takes_a_stale_socket():
    """Both start together; strace holds the first back just before it removes the dead one's."""
    dead = lab.Server(name='dead')
    dead.kill()
    first = lab.Process('first', [
        'strace', '-D', '-o', '/dev/null', '-e', 'inject=unlink:delay_enter=1000000:when=1',
        lab.server(), '-S', dead.socket], env={'ASAN_OPTIONS': 'detect_leaks=0'})
    first.expect('memfd: ', 30)
    second = lab.Process('second', [lab.server(), '-S', dead.socket])
    ready = []
    for server in (first, second):
        lab.wait_until(lambda: not server.running() or 'ready' in server.output(), 30,
                       f'{server.name} to be ready or to end')
        if server.running():
            ready.append(server)
        else:
            lab.check(server.wait() == 1 and 'living server' in server.output(), server.tail())
    lab.check(len(ready) == 1, f'{len(ready)} servers say that they listen there')
    lab.check(Client(dead.socket).handshake(5, []).id == 0, 'it does not serve')
    lab.check(ready[0].stop() == 0 and os.listdir(dead.socket.parent) == [], 'something is left')


def a_directory_that_stays_locked():
    server = lab.Server(name='other')
    fd = os.open(server.socket.parent, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    late = lab.Process('late', [lab.server(), '-S', server.socket.parent / 'new'])
    late.expect('ready', 60)    # whoever may open the directory must not keep a server away
    lab.check(late.stop() == 0, late.tail())
    os.close(fd)


def what_is_no_socket_stays():
    place = lab.private_dir()
    (place / 'file').write_text('precious')
    server = lab.Process('server', [lab.server(), '-S', place / 'file'])
    lab.check(server.wait() == 1 and 'no socket' in server.output(), server.output())
    lab.check((place / 'file').read_text() == 'precious', 'the file was touched')


def another_servers_socket_is_not_removed():
    server = lab.Server()
    server.socket.unlink()
    thief = socket.socket(socket.AF_UNIX)
    thief.bind(str(server.socket))
    lab.check(server.stop() == 0 and server.socket.is_socket(), 'a foreign socket was removed')


def socket_problems():
    for path, words in (('/nonexistent/s', 'No such file'), ('/' + 'x' * 107, 'at most 107')):
        server = lab.Process('server', [lab.server(), '-S', path])
        lab.check(server.wait() == 1 and words in server.output(), server.output())


def socket_mode():
    for args, mode in (([], 0o660), (['--socket-mode', '600'], 0o600),
                       (['--socket-mode', '0777'], 0o777)):
        server = lab.Server(*args)
        found = stat.S_IMODE(server.socket.stat().st_mode)
        lab.check(found == mode, f'{args}: {found:o}')
        server.stop()


def log_names_clients():
    server = lab.Server('-n', 1)
    one = Client(server.socket).handshake(1, [])
    line = server.expect(r'^.*attach id=0.*$')
    lab.check(re.match(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} attach id=0 life=1 '
                       rf'pid={os.getpid()} uid={os.getuid()} clients=1/2$', line), line)
    one.close()
    server.expect(r'detach id=0 life=1 .*state=left .*clients=0/2: closed by the client')


def notified(address, name):
    """Starts a server with this NOTIFY_SOCKET and returns what it was told until the end."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.settimeout(BOUND)
    manager.bind(address)
    server = lab.Process(name, [lab.server(), '-S', lab.private_dir() / 's'],
                         env={'NOTIFY_SOCKET': address.replace('\0', '@')})
    first = manager.recv(4096).decode()
    lab.check(f'MAINPID={server.pid}' in first.split('\n'), first)
    lab.check(server.stop() == 0, 'exit status')
    return first, manager.recv(4096).decode()


def service_manager_is_notified():
    for address, name in ((str(lab.private_dir() / 'notify'), 'path'),
                          (f'\0ivshmem-test-{os.getpid()}', 'abstract')):
        first, last = notified(address, name)
        lab.check('READY=1' in first.split('\n') and last == 'STOPPING=1', f'{first}, {last}')
    server = lab.Process('absent', [lab.server(), '-S', lab.private_dir() / 's'],
                         env={'NOTIFY_SOCKET': '/nonexistent'})
    server.expect('ready')


def daemonize():
    place = lab.private_dir()
    done = subprocess.run([lab.server(), '--daemonize', '-S', place / 's', '-p', place / 'pid'],
                          capture_output=True, text=True, timeout=20)
    lab.check(done.returncode == 0, f'exit status {done.returncode}: {done.stderr}')
    lab.check(re.match(r'ready socket=\S+/s ', done.stdout), f'no readiness line: {done.stdout}')
    pid = int((place / 'pid').read_text())
    try:
        lab.check(os.getsid(pid) == pid != os.getsid(0), 'not in a session of its own')
        Client(place / 's').handshake(5, [])
        again = subprocess.run([lab.server(), '--daemonize', '-S', place / 's2',
                                '-p', place / 'pid'], capture_output=True, text=True, timeout=20)
        lab.check(again.returncode == 1 and str(pid) in again.stderr, again.stderr)
        lab.check(not (place / 's2').exists(), 'the refused one left its socket')
    finally:
        os.kill(pid, signal.SIGTERM)
    lab.wait_until(lambda: os.listdir(place) == [], BOUND, 'the daemon to remove its files')


def daemonize_reports_failures():
    for args, status in ((['-S', '/nonexistent/s'], 1), (['-l', '3M'], 2)):
        done = subprocess.run([lab.server(), '--daemonize', *args], capture_output=True,
                              text=True, timeout=20)
        lab.check(done.returncode == status and 'error' in done.stderr, f'{args}: {done}')


def pid_file():
    place = lab.private_dir()
    (place / 'stale').write_text('99999999\n')
    server = lab.Server('-p', place / 'stale')
    lab.check((place / 'stale').read_text() == f'{server.pid}\n', 'a stale pid file stays')
    (place / 'precious').write_text('precious things, 20 bytes')
    other = lab.Process('other', [lab.server(), '-S', place / 's', '-p', place / 'precious'])
    lab.check(other.wait() == 1 and 'no pid file' in other.output(), other.output())
    lab.check((place / 'precious').read_text().startswith('precious'), 'the file was touched')
    lab.check(not (place / 's').exists(), 'the socket is left')


def closed_standard_files():
    place = lab.private_dir()
    server = lab.Process('server', ['sh', '-c', f'exec "$0" -S {place}/s -n 1 <&- >&- 2>&-',
                                    lab.server()])
    lab.wait_until(lambda: (place / 's').is_socket(), BOUND, 'the socket')
    Client(place / 's').handshake(1, [])
    lab.check(server.stop() == 0, 'exit status')


def fds_that_can_not_suffice():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    done = lab.Process('server', ['prlimit', '--nofile=200:200', lab.server(), '-S',
                                  lab.private_dir() / 's', '--ports', '4', '-n', '64'])
    lab.check(done.wait() == 1, 'exit status')
    for word in ('--ports 4', '--vectors 64', f' {4 * 64 + 4 + 32} open files', ' 200;'):
        lab.check(word in done.output(), f'no {word!r} in {done.output()}')
    path = lab.private_dir() / 's'
    raised = lab.Process('raised', ['prlimit', f'--nofile=64:{hard}', lab.server(), '-S', path,
                                    '-n', '64'])
    raised.expect('ready')
    Client(path).handshake(64, [])


lab.main(ready_line, signals_leave_nothing, a_signal_ends_the_start,
         live_socket_refused_stale_one_replaced, one_of_two_takes_a_stale_socket,
         a_directory_that_stays_locked, what_is_no_socket_stays,
         another_servers_socket_is_not_removed, socket_problems, socket_mode, log_names_clients,
         service_manager_is_notified, daemonize, daemonize_reports_failures, pid_file,
         closed_standard_files, fds_that_can_not_suffice)
