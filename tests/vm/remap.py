# SPDX-License-Identifier: GPL-2.0-or-later
"""A remap device in the guest: set up and asked with plain dmsetup.

Used by the tests here and by the demo.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from tests.harness.blockd import Disk
from tests.harness.qemu import Machine, MachineError

NAME = "disk"
PATH = f"/dev/mapper/{NAME}"


@dataclass(frozen=True)
class Status:
    """What `dmsetup status` says: mode, slots, and the key=value pairs."""

    line: str
    mode: str
    used: int
    total: int
    values: dict[str, int]


def table(vm: Machine, main: str, spare: str) -> str:
    main_sectors = vm.text(f"blockdev --getsz {main}")
    spare_sectors = vm.text(f"blockdev --getsz {spare}")
    return f"0 {main_sectors} remap {main} {spare} 0 {spare_sectors}"


def activate(vm: Machine, main: str, spare: str) -> str:
    """Create the device (formatting a blank spare) and return its path."""
    line = table(vm, main, spare)
    vm.run(f"dmsetup create {NAME} --table '{line}' || {{ dmesg | tail -20 >&2; exit 1; }}")
    vm.run("udevadm settle")
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


def checksums(vm: Machine, where: str) -> str:
    """SHA-256 of every file below WHERE, a line each, in a fixed order."""
    return vm.text(f"cd {where} && find . -type f -print0 | LC_ALL=C sort -z | "
                   "xargs -0 sha256sum", 300)


def copy_without_sync(vm: Machine, source: str, target: str, disk: Disk) -> None:
    """Start a copy that writes at once and syncs nothing; return in the midst of it.

    That is when something is in the volatile cache of DISK. There is little of it for
    long: every relocation and every commit of the journal flushes the cache.
    """
    vm.run("cd /proc/sys/vm && echo 10 >dirty_writeback_centisecs && "
           "echo 1 >dirty_expire_centisecs && echo 65536 >dirty_background_bytes")
    copying = vm.start(f"for i in 1 2 3; do cp -a {source} {target}$i || exit 1; done")
    end = time.monotonic() + 120
    while disk.stats()["dirty"] < 128:
        if time.monotonic() > end or (copying.done and copying.wait().code):
            raise MachineError(f"copying {source} brought nothing into the cache of {disk.name}")
        time.sleep(0.001)
