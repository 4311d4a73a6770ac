# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The net_ivshmem authors
"""The two kinds of end a wire can have: a process of this host, and a guest's PCI device.

Both know the same: traffic() starts ivshmem-traffic on the port and returns a run with ended(),
finish() and received(); testpmd() starts dpdk-testpmd, with wait_prompt(), command() and quit().
One program uses the port at a time. Every wait is bounded.
"""

import json
import re
import shlex

import lab
from vmset import VmError, VmSet, doorbell

START_WAIT = 120
COMMAND_WAIT = 60
LOG = '--log-level=pmd.net.ivshmem:info'        # prints the port, the region and the link
PORT_LINE = r'ivshmem: \S+: (port \d+ of \d+ \(\w+\), region of .*)'
# testpmd's two lcores and ivshmem-traffic's one share the guest's CPU
GUEST_TESTPMD = ('dpdk-testpmd --lcores 0@0,1@0 --main-lcore 0 -m 32 -a {addr} {log} -- -i '
                 '--no-lsc-interrupt --total-num-mbufs=2048')
GUEST_TRAFFIC = 'ivshmem-traffic -l 0 -m 32 -a {addr} --log-level=pmd.net.ivshmem:5 -- {options}'


def traffic_options(role, size, frames):
    """Bounds are wide: the CPUs may be busy with other things, and a guest's clock be fast."""
    return ['--role', role, '--sizes', size, '--count', frames, '--json',
            '--wait', 120, '--tx-timeout', 120, '--idle', 30]


def show_once(end, role, command, prompt):
    """The command of each role; the other times only the size differs."""
    if role not in end.shown:
        end.shown.add(role)
        end.console.command(command, end.name + prompt)


def report_of(name, status, text):
    """The JSON object that ivshmem-traffic left among its other lines."""
    for line in text.splitlines():
        if line.startswith('{"role"'):
            return json.loads(line)
    tail = '\n'.join('    | ' + line[:160] for line in text.splitlines()[-12:])
    raise lab.Failure(f'ivshmem-traffic in {name} ended with status {status} and without a '
                      f'report\n{tail}')


def received_of(lines):
    """Frames by the newest line of progress."""
    found = [re.search(r'^ivshmem-traffic: .* received (\d+)', line) for line in lines]
    return next((int(match.group(1)) for match in reversed(found) if match), 0)


class HostTraffic(lab.Process):
    """ivshmem-traffic in a process of its own."""

    def ended(self):
        return not self.running()

    def finish(self):
        """(exit status, report)."""
        return self.wait(5), report_of(self.name, self.proc.returncode, self.output())

    def received(self):
        return received_of(self.output().splitlines()[-20:])


class HostTestpmd(lab.Testpmd):
    """testpmd in a process of its own."""

    def __init__(self, name, argv):
        lab.Process.__init__(self, name, argv)

    def wait_prompt(self):
        self.expect(self.PROMPT, START_WAIT)

    def text(self):
        return self.output()

    def command(self, line, seconds=COMMAND_WAIT):
        return super().command(line, seconds)


class HostEnd:
    """A process with a vdev on the server's socket."""

    def __init__(self, console, name, socket, cpu):
        self.console, self.name, self.cpu = console, name, cpu
        self.vdev = f'--vdev=net_ivshmem0,socket={socket}'
        self.poll = 0.2
        self.shown = set()

    def traffic(self, role, size, frames):
        argv = [lab.BUILD / 'test/traffic/ivshmem-traffic', '--lcores', f'0@{self.cpu}',
                '--no-pci', '--in-memory', '-m', 128, '-d', lab.plugin(),
                '--log-level=pmd.net.ivshmem:5', self.vdev, '--',
                *traffic_options(role, size, frames)]
        show_once(self, role, argv, '$')
        return HostTraffic(f'{self.name}-{role}-{size}', argv)

    def testpmd(self):
        argv = ['stdbuf', '-oL', 'dpdk-testpmd', '--no-pci', '--in-memory', '-m', 256,
                '--lcores', f'0@{self.cpu},1@{self.cpu}', '--main-lcore', 0, '-d', lab.plugin(),
                LOG, self.vdev, '--', '-i', '--no-lsc-interrupt', '--total-num-mbufs=16384']
        self.console.command(argv[2:], f'{self.name}$')
        return HostTestpmd(f'{self.name}-testpmd', argv)


class GuestTraffic:
    """ivshmem-traffic in a guest."""

    def __init__(self, vm, script):
        self.vm = vm
        self.job = vm.start_job('exec ' + script)

    def ended(self):
        if self.vm.ended:
            raise VmError(f'{self.vm.name}: QEMU ended with {self.vm.exit_code}')
        return self.job.status is not None

    def finish(self):
        status = self.job.wait(10)
        return status, report_of(self.vm.name, status, self.job.output)

    def received(self):
        return received_of(self.job.lines[-20:])

    def end(self):
        if not self.vm.ended and self.job.status is None:
            self.job.kill('KILL')


class GuestTestpmd:
    """testpmd in a guest, driven over the guest's command channel."""

    def __init__(self, vm, script):
        self.vm = vm
        self.job = vm.start_job('exec stdbuf -oL ' + script, stdin=True)

    def wait_prompt(self):
        self.job.wait_line('testpmd> ', START_WAIT)

    def text(self):
        return self.job.output

    def _answer(self, begin, line):
        """What was printed between the echo of the command and the next prompt; None so far."""
        lines = self.job.lines
        echo = next((at for at in range(begin, len(lines)) if lines[at].endswith(line)), None)
        if echo is not None:
            for at in range(echo + 1, len(lines)):
                if 'testpmd> ' in lines[at]:
                    return '\n'.join(lines[echo + 1:at])
            if 'testpmd> ' in self.job.partial:
                return '\n'.join(lines[echo + 1:])
        if self.job.status is not None:
            raise VmError(f"{self.vm.name}: testpmd ended with {self.job.status} instead of "
                          f"answering '{line}'; last lines:\n" + '\n'.join(lines[-10:]))
        return None

    def command(self, line, seconds=COMMAND_WAIT):
        begin = len(self.job.lines)
        self.job.send(line + '\n')
        self.vm.wait_until(lambda: self._answer(begin, line) is not None,
                           f"testpmd's answer to '{line}'", seconds)
        return self._answer(begin, line)

    def quit(self):
        self.job.send('quit\n')
        status = self.job.wait(COMMAND_WAIT)
        lab.check(status == 0, f'testpmd in {self.vm.name} ended with status {status}:\n'
                  + '\n'.join(self.job.lines[-10:]))


class GuestEnd:
    """A guest with its device bound to vfio-pci. device: what is known of it."""

    def __init__(self, console, vm):
        self.console, self.vm, self.name = console, vm, vm.name
        self.poll = 1
        self.shown = set()
        console.command(
            'echo vfio-pci > /sys/bus/pci/devices/$ADDR/driver_override; '
            'echo $ADDR > /sys/bus/pci/drivers_probe', f'{self.name}#')
        text = vm.check('''
            addr=$(ivshmem_addr) && bind $addr vfio-pci || exit 1
            dev=/sys/bus/pci/devices/$addr
            echo "address=$addr"
            echo "id=$(cat $dev/vendor):$(cat $dev/device)"
            echo "driver=$(basename $(readlink $dev/driver))"
            echo "iommu_group=$(basename $(readlink $dev/iommu_group))"
            echo "bar2_size=$(stat -c %s $(bar2 $addr))"''', START_WAIT)
        self.device = {'vm': self.name, **dict(re.findall(r'^(\w+)=(.*)$', text, re.M))}
        lab.check(self.device.get('driver') == 'vfio-pci',
                  f'{self.name}: the device is bound to {self.device.get("driver")}')
        console.say(f'{self.name}: PCI device {self.device["address"]} ({self.device["id"]}) is '
                    f'bound to {self.device["driver"]}, IOMMU group '
                    f'{self.device["iommu_group"]}, BAR2 of {self.device["bar2_size"]} bytes')

    def traffic(self, role, size, frames):
        options = shlex.join(str(word) for word in traffic_options(role, size, frames))
        script = GUEST_TRAFFIC.format(addr=self.device['address'], options=options)
        show_once(self, role, script, '#')
        return GuestTraffic(self.vm, script)

    def testpmd(self):
        script = GUEST_TESTPMD.format(addr=self.device['address'], log=LOG)
        self.console.command(script, f'{self.name}#')
        return GuestTestpmd(self.vm, script)


def machine_words(argv):
    """The arguments of QEMU that matter here: the machine, the vIOMMU, the ivshmem device."""
    words = [argv[0]]
    for option, value in zip(argv, argv[1:]):
        if option in ('-accel', '-machine', '-cpu', '-smp', '-m') or \
                value.startswith(('intel-iommu', 'socket,id=server', 'ivshmem-')):
            words += [option, value]
    return words


class DemoVms(VmSet):
    """Guests whose lines go to their logs only; the console says what is being waited for."""

    def __init__(self, console, logs, timeout):
        super().__init__(timeout=timeout, echo=None, logs=str(logs))
        self.console = console

    def boot(self, names, accel, server):
        """Boots one guest for each name on the server; returns their ends."""
        for name in names:
            vm = self.add(name, devices=[doorbell(server.socket, 2)], accel=accel)
            self.console.step(f'booting {name}', lambda vm=vm: ''.join(vm.console[-1:])[:70])
            vm.start()
            self.console.command(' '.join(machine_words(vm.argv)) + ' [kernel, image, consoles]')
        ends = []
        for vm in self.vms:
            self.console.step(f'waiting for {vm.name} to boot',
                              lambda vm=vm: ''.join(vm.console[-1:])[:70])
            vm.wait_ready()
            self.console.say(f'{vm.name}: booted in {vm.boot_seconds:.1f} s')
            ends.append(GuestEnd(self.console, vm))
        return ends
