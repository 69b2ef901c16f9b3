# SPDX-License-Identifier: GPL-2.0-or-later
"""Sets that put themselves together: hotplug and boot (row 21, O13-O16).

With the packages installed, as a user has them.
"""

import pytest

from tests.harness import qemu_snapshot
from tests.harness.blockd import BlockServer
from tests.harness.qemu import Machine, disk_path
from tests.vm import packages
from tests.vm.adopted import (BY_UUID, CHECK, LEAVE, adopt, assert_hidden, is_whole, plug,
                              the_set, unplug)
from tests.vm.conftest import StartServer

MIB = 1 << 20
pytestmark = [pytest.mark.packages, pytest.mark.each_debian]


@pytest.fixture
def server(serve: StartServer) -> BlockServer:
    return serve(main=(64 * MIB, "vcache=on"), spare=(32 * MIB, "vcache=on"))


@pytest.mark.parametrize("order", [("spare", "main"), ("main", "spare")])
def test_plugged_in_either_order(vm: Machine, server: BlockServer, order: tuple[str, str]) -> None:
    """O13, O14: active when both are there, the daemon masked; the raw disk shows no content."""
    packages.mask_daemon(vm)
    adopt(vm, *plug(vm, server, "main", "spare"))
    is_whole(vm)
    vm.run(LEAVE)
    unplug(vm, "main", "spare")
    first, second = order
    raw, = plug(vm, server, first)
    words = "spare" if first == "main" else "main"
    packages.wait(vm, f"journalctl -q -t dmremap | grep -q 'its {words} device is missing'")
    assert [s["state"] for s in packages.sets(vm)] == ["waiting"]
    assert_hidden(vm, raw, first)
    assert vm.run(f"test -e {BY_UUID}", check=False).code
    plug(vm, server, second)
    is_whole(vm)


FILE = "mount {0} /srv && cp /mnt/data /srv/file && umount /srv"
SAME = "mount {0} /srv && cmp /mnt/data /srv/file && umount /srv"


def on_a_partition_an_array_and_a_volume(vm: Machine, server: BlockServer) -> None:
    """Sets "part" and "volume", with the file that is in /mnt; an old snapshot of the volume."""
    disk, pv, left, right = plug(vm, server, "disk", "pv", "left", "right")
    vm.run(f"printf 'label: gpt\n,40M\n,\n' | sfdisk -q {disk} && udevadm settle && "
           f"mdadm --create /dev/md0 --run --assume-clean --level=1 --raid-devices=2 "
           f"--metadata=1.2 --bitmap=none {left} {right} && pvcreate -q {pv} && "
           f"vgcreate -q vg {pv} && lvcreate -q -y -L 40M -n main vg")
    for name, main, spare in (("part", f"{disk}-part1", "/dev/md0"),
                              ("volume", "/dev/vg/main", f"{disk}-part2")):
        vm.run(f"mkfs.ext4 -q {main} && dmremap create {name} {main} {spare} --yes && "
               + FILE.format(f"/dev/mapper/{name}"))
    vm.run("dmremap deactivate volume && lvcreate -q -y -s -L 8M -n old vg/main && "
           "dmremap activate volume && mount /dev/mapper/volume /srv && echo new >/srv/new && "
           "umount /srv")


@pytest.mark.slow
def test_at_boot(vm: Machine, serve: StartServer) -> None:
    """O13: mounted from fstab by UUID, with the daemon masked and from whatever devices: disks
    under other names, a partition, an array, a logical volume among its snapshots (O12)."""
    server = serve(main=64 * MIB, spare=32 * MIB, disk=64 * MIB, pv=64 * MIB, left=24 * MIB,
                   right=24 * MIB)
    packages.mask_daemon(vm)
    adopt(vm, *plug(vm, server, "main", "spare"))
    is_whole(vm)
    on_a_partition_an_array_and_a_volume(vm, server)
    vm.run("sync")
    vm.start("systemctl poweroff")
    vm.process.wait(120)

    def all_of_them(machine: Machine) -> None:
        for name in ("right", "pv", "spare", "disk", "left", "main"):    # other letters
            machine.plug(name, nbd=server.disk(name).socket_path)

    with qemu_snapshot.booted(vm.work / "root.qcow2", all_of_them) as second:
        packages.wait(second, "mountpoint -q /mnt")
        is_whole(second)
        for name in ("part", "volume"):
            packages.wait(second, f"test -b /dev/mapper/{name}")
            second.run(SAME.format(f"/dev/mapper/{name}"))
        second.run("mount /dev/mapper/volume /srv && grep -q new /srv/new && umount /srv")
        found = {one["name"]: one for one in packages.sets(second)}
        assert {name: one["state"] for name, one in found.items()} == \
            {"data": "active", "part": "active", "volume": "active"}
        assert found["volume"]["main"] == second.text("readlink -f /dev/vg/main")
        assert found["volume"]["ignored_copies"] == 1
        second.run("systemctl -q unmask dm-remapd && systemctl enable --now dm-remapd")
        for name in found:
            packages.wait_for_entry(second, DM_REMAP_EVENT="found", DM_REMAP_NAME=name)
        assert second.text("systemctl --failed --no-legend") == ""
        assert second.complaints() == []


def test_a_set_that_waits_is_told_once(vm: Machine, server: BlockServer) -> None:
    """The daemon says what is missing, and what to do."""
    adopt(vm, *plug(vm, server, "main", "spare"))
    vm.run(LEAVE)
    unplug(vm, "main", "spare")
    plug(vm, server, "main")
    told = packages.wait_for_entry(vm, DM_REMAP_EVENT="waiting")
    assert "spare" in told["MESSAGE"] and "release --without-spare" in told["MESSAGE"]
    vm.run("systemctl kill -s HUP dm-remapd; sleep 3")
    assert len(packages.journal(vm, DM_REMAP_EVENT="waiting")) == 1


def test_tools_do_not_overwrite_a_member(vm: Machine, server: BlockServer) -> None:
    """O1: mkfs and partitioning tools see that the disk is in use, or ask."""
    packages.mask_daemon(vm)
    adopt(vm, *plug(vm, server, "main", "spare"))
    vm.run(LEAVE)
    disks = {name: disk_path(name) for name in ("main", "spare")}
    for path in disks.values():
        before = vm.text(f"head -c 1M {path} | b2sum")
        for tool in (f"mkfs.xfs {path}", f"mount {path} /srv", f"swapon {path}",
                     f"fsck -n -t ext4 {path}"):
            assert vm.run(f"{tool} </dev/null", check=False).code != 0, tool
        assert vm.text(f"head -c 1M {path} | b2sum") == before
    vm.run("dmremap activate data")
    is_whole(vm)
    for path in disks.values():    # active: it cannot be opened at all
        assert vm.run(f"mkfs.ext4 -q -F {path} </dev/null", check=False).code != 0
    vm.run(CHECK)



@pytest.mark.slow
def test_an_array_as_the_spare(vm: Machine, serve: StartServer) -> None:
    """O2, O14: a redundant spare. udev hears of an array by a "change", after its rules."""
    server = serve(main=64 * MIB, left=32 * MIB, right=32 * MIB)
    packages.mask_daemon(vm)
    main, left, right = plug(vm, server, "main", "left", "right")
    vm.run(f"mdadm --create /dev/md0 --run --assume-clean --level=1 --raid-devices=2 "
           f"--metadata=1.2 --bitmap=none {left} {right}")
    adopt(vm, main, "/dev/md0")
    # What create wrote to the array is a "change" as well: udev's one-shot for it comes a
    # moment later, when the set is deactivated already.
    vm.run(f"{LEAVE} && sleep 4 && mdadm --stop /dev/md0")
    assert the_set(vm)["state"] == "waiting"
    vm.run(f"mdadm --assemble /dev/md0 {left} {right}")
    is_whole(vm)
    assert_hidden(vm, "/dev/md0", "spare")
    vm.run(f"{LEAVE} && mdadm --stop /dev/md0")
