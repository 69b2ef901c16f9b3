# SPDX-License-Identifier: GPL-2.0-or-later
"""A remap device in the guest: set up and asked with plain dmsetup.

Used by the tests here and by the demo.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from tests.harness.agent import Command
from tests.harness.blockd import BlockServer, Disk
from tests.harness.qemu import Machine, MachineError

NAME = "disk"
PATH = f"/dev/mapper/{NAME}"

# In the guest's image: a real tree of files, and the checksum of each.
TREE = "/srv/tree"
TREE_SUMS = "/srv/tree.b2sums"


@dataclass(frozen=True)
class Status:
    """What `dmsetup status` says: mode, slots, and the key=value pairs."""

    line: str
    mode: str
    used: int
    total: int
    values: dict[str, int]


def table(vm: Machine, main: str, spare: str) -> str:
    sizes = vm.text(f"blockdev --getsz {main}; blockdev --getsz {spare}").split()
    return f"0 {sizes[0]} remap {main} {spare} 0 {sizes[1]}"


def activate(vm: Machine, main: str, spare: str) -> str:
    """Create the device (formatting a blank spare) and return its path."""
    line = table(vm, main, spare)
    vm.run(f"dmsetup create {NAME} --table '{line}' || {{ dmesg | tail -20 >&2; exit 1; }}; "
           "udevadm settle")
    return PATH


def status(vm: Machine) -> Status:
    line = vm.text(f"dmsetup status {NAME}")
    mode, slots, *pairs = line.split()[3:]
    used, total = slots.split("/")
    split = (pair.split("=", 1) for pair in pairs)
    values = {key: int(value) for key, value in split if value.isdigit()}
    return Status(line, mode, int(used), int(total), values)


def plug_in(vm: Machine, module: Path, disks: list[Disk]) -> str:
    """Load the module, plug in main and spare, activate; returns the device's path."""
    vm.load_module(module)
    main, spare = (vm.add_disk(disk.name, nbd=disk.socket_path) for disk in disks)
    return activate(vm, main, spare)


GUEST_IO = Path(__file__).with_name("guest_io.py")
REGION_SECTORS = (16 << 20) // 512    # of each process that does I/O


@dataclass(frozen=True)
class Model:
    """What a process that did I/O says must be in its region, and after how many operations."""

    index: int
    seed: int
    operations: int
    text: str

    def check(self, vm: Machine, device: str) -> None:
        """All of it is there; the guest may be another one."""
        vm.put(GUEST_IO, "/run/guest_io.py", 0o755)
        vm.put(self.text.encode(), f"/run/model{self.index}")
        vm.run(f"/run/guest_io.py check {device} {region(self.index)} {self.seed} "
               f"/run/model{self.index}")


def region(index: int) -> str:
    """First sector and number of sectors of a process."""
    return f"{index * REGION_SECTORS} {REGION_SECTORS}"


def start_io(vm: Machine, device: str, seed: int = 0) -> list[Command]:
    """Two processes on a CPU each, and two more that share the CPUs; a region each."""
    vm.put(GUEST_IO, "/run/guest_io.py", 0o755)
    return [vm.start(f"exec taskset -c {i % 2} /run/guest_io.py run {device} {region(i)} "
                     f"{seed + i + 1} /run/stop") for i in range(4)]


def finish_io(vm: Machine, jobs: list[Command], seed: int = 0) -> list[Model]:
    """Stop the I/O; every process must have found all as it should be."""
    vm.run("touch /run/stop")
    results = [job.wait(600) for job in jobs]
    assert [result.code for result in results] == [0] * len(jobs), [r.err for r in results]
    return [Model(i, seed + i + 1, json.loads(result.out)["operations"], result.out)
            for i, result in enumerate(results)]


def verify_tree(vm: Machine, where: str) -> None:
    """Read a copy of TREE back from the disk; every file must have its checksum."""
    vm.run("echo 3 >/proc/sys/vm/drop_caches")
    # Half of the files on each CPU.
    vm.run(f"cd {where} && sed -n 'p;n' {TREE_SUMS} | b2sum --quiet -c & "
           f"cd {where} && sed -n 'n;p' {TREE_SUMS} | b2sum --quiet -c && wait $!", 300)


def cut_power_while_copying(vm: Machine, target: str, server: BlockServer, disk: Disk,
                            seed: int) -> dict[str, int]:
    """Start copies of TREE that nothing syncs, and cut the power in the midst of them.

    That is when DISK has had some hundred more writes and a disk has something in its
    volatile cache. It has not for long: every relocation and every commit of the journal
    flushes. Returns how many unflushed sectors each disk had. The guest is of no use after it.
    """
    vm.run("cd /proc/sys/vm && echo 10 >dirty_writeback_centisecs && "
           "echo 1 >dirty_expire_centisecs && echo 65536 >dirty_background_bytes")
    copying = vm.start(f"for i in 1 2 3; do cp -a {TREE} {target}$i || exit 1; done")
    enough = disk.stats()["writes"] + 300
    end = time.monotonic() + 120
    while time.monotonic() < end and not (copying.done and copying.wait().code):
        if disk.stats()["writes"] >= enough:
            # Main is written through: what is in a cache is for slots, and may be little.
            least = 128 if time.monotonic() < end - 90 else 8
            unflushed = server.powercut(seed, least=least)
            if max(unflushed.values()) >= least:
                return unflushed
        time.sleep(0.002)
    if copying.done and copying.wait().code:
        raise MachineError(f"copying {TREE} has failed: {copying.wait().err[-1000:]}")
    raise MachineError(f"copying {TREE} brought nothing into the cache of {disk.name}")
