# SPDX-License-Identifier: GPL-2.0-or-later
"""What dm-remap(7) says about moving a root file system, and about swap, LUKS and LVM: every command
of it is typed."""

import subprocess
from pathlib import Path

import pytest

from tests.harness import qemu_snapshot
from tests.harness.blockd import BlockServer
from tests.harness.qemu import Machine, disk_path
from tests.vm import minimal_guest, packages, root_set
from tests.vm.conftest import StartServer
from tests.vm.manual_steps import blocks, type_in
from tests.vm.root_set import MIB, NAME, booted

pytestmark = [pytest.mark.packages, pytest.mark.slow, pytest.mark.each_debian]
MAIN_MIB, SPARE_MIB = 1400, 32


def prepare(tree: minimal_guest.Tree) -> None:
    tree.apt_install("lvm2", "cryptsetup-bin", *root_set.unlocking())


@pytest.fixture(scope="module")
def system(prepared: None, tmp_path_factory: pytest.TempPathFactory) -> root_set.System:
    return root_set.make_system(tmp_path_factory.mktemp("system"), MAIN_MIB - 8,
                                ["initramfs-tools"], prepare=prepare)


def switch_off(vm: Machine) -> None:
    vm.start("systemctl poweroff")
    vm.process.wait(300)


def put_in(server: BlockServer, disk: str, system: root_set.System) -> None:
    """DISK gets the system, as a disk without a set."""
    subprocess.run(["dd", f"if={system.root}", f"of={server.disk(disk).media_path}", "bs=1M",
                    "conv=notrunc,sparse", "status=none"], check=True)


def test_a_root_file_system_moves(serve: StartServer, system: root_set.System,
                                  with_packages: Path) -> None:
    """Onto a set, and back."""
    look, host, create, after, back = blocks("Moving an existing root file system onto a set")
    server = serve(main=(MAIN_MIB * MIB, "vcache=on"), spare=(SPARE_MIB * MIB, "vcache=on"))
    put_in(server, "main", system)

    with booted(server, system, "initramfs-tools") as vm:
        assert not vm.text("findmnt -n -o SOURCE /").startswith("/dev/mapper/")
        _, fstab, words, image = type_in(vm, look, {})
        assert f"UUID={root_set.UUID} / " in fstab.out and root_set.UUID in words.out
        assert "usr/sbin/dmremap" in image.out
        vm.run("echo before >/root/before && sync")
        switch_off(vm)

    def rescue(vm: Machine) -> dict[str, str]:
        main, spare = (vm.add_disk(name, nbd=server.disk(name).socket_path)
                       for name in ("main", "spare"))
        vm.run("udevadm settle")
        return {"/dev/sda2": main, "/dev/sdb1": spare}

    with qemu_snapshot.restored(with_packages) as vm:
        # the rescue system is another host
        vm.run("echo 0123456789abcdef0123456789abcdef >/etc/machine-id")
        devices = rescue(vm)
        type_in(vm, host, devices)
        assert "etc" in type_in(vm, create, devices)[2].out.split()
        vm.run("test -s /media/system.backup")
        switch_off(vm)

    with booted(server, system, "initramfs-tools") as vm:
        mounted = type_in(vm, after, {})[0]
        assert mounted.out == f"/dev/mapper/{NAME}\n"
        vm.run("grep -q before /root/before && echo after >/root/after && sync")
        assert vm.complaints() == []
        switch_off(vm)

    with qemu_snapshot.restored(with_packages) as vm:
        vm.run("echo 0123456789abcdef0123456789abcdef >/etc/machine-id")
        type_in(vm, back, rescue(vm))
        switch_off(vm)

    with booted(server, system, "initramfs-tools") as vm:
        assert not vm.text("findmnt -n -o SOURCE /").startswith("/dev/mapper/")
        vm.run("grep -q before /root/before && grep -q after /root/after")


BEFORE = """set -e
mkswap -q -U 0a1b2c3d-0001-4a6b-8c7d-9e0f1a2b3c4d {swap}
echo UUID=0a1b2c3d-0001-4a6b-8c7d-9e0f1a2b3c4d none swap sw,nofail 0 0 >>/etc/fstab
head -c 32 /dev/urandom >/etc/secret.key
chmod 600 /etc/secret.key
cryptsetup luksFormat -q --type luks1 --iter-time 10 \
    --uuid 0a1b2c3d-0002-4a6b-8c7d-9e0f1a2b3c4d {luks} /etc/secret.key
echo secret UUID=0a1b2c3d-0002-4a6b-8c7d-9e0f1a2b3c4d /etc/secret.key luks,nofail >>/etc/crypttab
pvcreate -q {lvm}
vgcreate -q group {lvm}
lvcreate -q -y -n volume -L 16M group
udevadm settle
systemctl daemon-reload
swapon --all
systemctl start systemd-cryptsetup@secret
for device in /dev/mapper/secret /dev/group/volume; do
    head -c 8M /dev/urandom >$device
    head -c 8M $device | b2sum >>/root/sums
done
sync
"""
AFTER = """set -e
for device in /dev/mapper/secret /dev/group/volume; do
    head -c 8M $device | b2sum
done | cmp - /root/sums
"""
SETS = ("swap-disk", "secret-disk", "group-disk")


def everything_is_on_sets(vm: Machine) -> None:
    packages.wait(vm, "swapon --show=NAME --noheadings | grep -q . && test -e /dev/mapper/secret && "
                      "test -e /dev/group/volume", "swap, the LUKS volume and the logical volume")
    vm.run(AFTER)
    node = {name: vm.text(f"basename $(readlink -f /dev/mapper/{name})") for name in SETS}
    assert vm.text("swapon --show=NAME --noheadings") == f"/dev/{node['swap-disk']}"
    assert vm.text("cryptsetup status secret | sed -n 's/ *device: *//p'") in \
        (f"/dev/{node['secret-disk']}", "/dev/mapper/secret-disk")
    assert vm.text("pvs --noheadings -o pv_name").strip() == "/dev/mapper/group-disk"


def test_swap_luks_and_lvm(serve: StartServer, system: root_set.System) -> None:
    """They are adopted as they are, and are there again after a boot."""
    sizes = {f"{role}{i}": size * MIB for i in range(3) for role, size in (("main", 64), ("spare", 16))}
    server = serve(system=(MAIN_MIB * MIB, "vcache=on"), **sizes)
    put_in(server, "system", system)
    paths = [disk_path(name) for name in sizes]
    with booted(server, system, "initramfs-tools") as vm:
        vm.run(BEFORE.format(swap=paths[0], luks=paths[2], lvm=paths[4]), 300)
        swap, luks, lvm = blocks("SWAP, LUKS AND LVM")
        devices = {"/dev/sda3": paths[0], "/dev/sdb2": paths[1], "/dev/sda4": paths[2],
                   "/dev/sdb3": paths[3], "/dev/sda5": paths[4], "/dev/sdb4": paths[5]}
        for commands in (swap, luks, lvm):
            type_in(vm, commands, devices)
        everything_is_on_sets(vm)
        assert vm.complaints() == []
        switch_off(vm)

    with booted(server, system, "initramfs-tools") as vm:
        everything_is_on_sets(vm)
        assert vm.complaints() == []
