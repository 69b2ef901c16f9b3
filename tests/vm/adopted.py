# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk with a file system and files that became a set, in a guest with the packages."""

import json
from typing import Any

from tests.harness.blockd import BlockServer
from tests.harness.qemu import Machine
from tests.vm import packages

UUID = "4d3b3f0c-9d5e-4f6e-9a55-0d6a8a1f2b01"
BY_UUID = f"/dev/disk/by-uuid/{UUID}"
NAME = "data"
DEVICE = f"/dev/mapper/{NAME}"
MAKE = f"mkfs.ext4 -q -U {UUID}"
DATA = "head -c 8M /dev/urandom >/mnt/data && b2sum /mnt/data >/mnt/data.b2 && sync"
CHECK = "cd /mnt && b2sum --quiet -c data.b2; code=$?; cd /; exit $code"
LEAVE = f"umount /mnt 2>/dev/null; dmremap deactivate {NAME} && udevadm settle"


def plug(vm: Machine, server: BlockServer, *names: str) -> list[str]:
    return [vm.add_disk(name, nbd=server.disk(name).socket_path) for name in names]


def unplug(vm: Machine, *names: str) -> None:
    for name in names:
        vm.remove_disk(name)


def in_fstab(vm: Machine) -> None:
    vm.run(f"echo UUID={UUID} /mnt ext4 nofail,x-systemd.device-timeout=300 0 2 >>/etc/fstab; "
           "systemctl daemon-reload")


def adopt(vm: Machine, main: str, spare: str) -> None:
    """The content of a disk is made and becomes that of a set, named in fstab by UUID."""
    vm.run(f"{MAKE} {main} && mount {main} /mnt && {DATA} && umount /mnt")
    in_fstab(vm)
    vm.run(f"dmremap create {NAME} {main} {spare} --yes")


def is_whole(vm: Machine) -> None:
    """The content is there, through the mapped device and nothing else."""
    packages.wait(vm, f"[ \"$(readlink -f {BY_UUID})\" = \"$(readlink -f {DEVICE})\" ]")
    vm.run("mountpoint -q /mnt || mount /mnt || mountpoint -q /mnt")    # systemd mounts it, too
    assert vm.text("findmnt -n -o SOURCE /mnt") == DEVICE
    vm.run(f"echo 3 >/proc/sys/vm/drop_caches; {CHECK}")


def the_set(vm: Machine) -> dict[str, Any]:
    """What `dmremap list` says of the set, which has its name while it is one of this host."""
    found, = (one for one in packages.sets(vm) if one["name"] == NAME)
    return found


def properties(vm: Machine, device: str) -> dict[str, str]:
    """What udev knows of a device."""
    lines = vm.text(f"udevadm info -q property {device}").splitlines()
    return dict(line.split("=", 1) for line in lines)


def assert_hidden(vm: Machine, device: str, role: str) -> None:
    """O14: named as a member, and as nothing else."""
    known = properties(vm, device)
    for name, value in (("ID_FS_TYPE", "dm_remap_member"), ("UDISKS_IGNORE", "1"),
                        ("SYSTEMD_READY", "0"), ("DM_REMAP_ROLE", role)):
        assert known.get(name) == value, known


def status(vm: Machine) -> dict[str, Any]:
    found, = json.loads(vm.text(f"dmremap status {NAME} --json"))["devices"]
    return dict(found)
