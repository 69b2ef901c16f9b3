# SPDX-License-Identifier: GPL-2.0-or-later
"""The caches of main's disks (D18), and a main that blkid cannot read, with real udev and SCSI.

What is decided for which disks: tests/unit/test_write_cache.c.
"""

import json

import pytest

from tests.harness import qemu_module
from tests.harness.blockd import BlockServer
from tests.harness.qemu import Machine
from tests.vm import packages, remap
from tests.vm.adopted import MAKE, NAME, plug, unplug
from tests.vm.conftest import StartServer

MIB = 1 << 20


@pytest.fixture
def server(serve: StartServer) -> BlockServer:
    return serve(main=(64 * MIB, "vcache=on"), spare=(32 * MIB, "vcache=on"))


def cache_of(vm: Machine, disk: str) -> str:
    name = vm.text(f"basename $(readlink -f {disk})")
    return vm.text(f"cat /sys/block/{name}/device/scsi_disk/*/cache_type")


@pytest.mark.packages
def test_the_cache_is_off_while_the_set_is_active(vm: Machine, server: BlockServer) -> None:
    """Turned off on the disk under a partition, again after a change, put back in the end."""
    packages.mask_daemon(vm)
    main, spare = plug(vm, server, "main", "spare")
    assert cache_of(vm, main) == cache_of(vm, spare) == "write back"
    vm.run(f"printf ',\\n' | sfdisk -q {main} && udevadm settle && {MAKE} {main}-part1")
    told = vm.text(f"dmremap create {NAME} {main}-part1 {spare} --yes")
    assert "the write cache is off now" in told
    assert cache_of(vm, main) == "write through" and cache_of(vm, spare) == "write back"
    told = json.loads(vm.text(f"dmremap write-cache {NAME} --json"))
    disk, = told["disks"]
    assert told["write_cache"] == "through"
    assert (disk["cache"], disk["was"]) == ("write through", "write back")
    # as after a power cycle
    vm.run(f"name=$(basename $(readlink -f {main})); "
           f"echo 'write back' >/sys/block/$name/device/scsi_disk/*/cache_type && "
           f"udevadm trigger --settle --action=change /sys/block/$name")
    packages.wait(vm, f"grep -q through /sys/block/$(basename $(readlink -f {main}))"
                      "/device/scsi_disk/*/cache_type")
    vm.run(f"dmremap deactivate {NAME}")
    assert cache_of(vm, main) == "write back"
    vm.run(f"dmremap activate {NAME}")
    assert cache_of(vm, main) == "write through"
    vm.run(f"dmremap write-cache {NAME} keep")
    assert cache_of(vm, main) == "write back"
    vm.run(f"dmremap write-cache {NAME} through")
    assert cache_of(vm, main) == "write through"
    vm.run(f"dmremap release {NAME} --yes")
    assert cache_of(vm, main) == "write back"
    assert vm.text("ls /run/dm-remap/write-cache") == ""


@pytest.mark.packages
def test_a_main_that_blkid_cannot_read_comes_up_by_itself(vm: Machine,
                                                          server: BlockServer) -> None:
    """A sector that blkid wants fails, so it says nothing: the prober is asked all the same."""
    packages.mask_daemon(vm)
    main, spare = plug(vm, server, "main", "spare")
    vm.run(f"{MAKE} {main}")
    server.disk("main").bad(128, 8, kind="both")
    vm.run("echo 3 >/proc/sys/vm/drop_caches")
    told = vm.text(f"dmremap create {NAME} {main} {spare} --yes --accept-unreadable")
    assert "128-135" in told
    vm.run(f"dmremap deactivate {NAME} && udevadm settle")
    unplug(vm, "main", "spare")
    plug(vm, server, "spare", "main")
    packages.wait(vm, f"test -b /dev/mapper/{NAME}")
    assert vm.run(f"dd if=/dev/mapper/{NAME} of=/dev/null bs=512 skip=128 count=1 iflag=direct",
                  check=False).code
    vm.run(f"dd if=/dev/zero of=/dev/mapper/{NAME} bs=512 seek=128 count=8 oflag=direct")
    assert vm.run(f"fsck.ext4 -f -y /dev/mapper/{NAME}", check=False).code in (0, 1)
    vm.run(f"fsck.ext4 -f -n /dev/mapper/{NAME}")


def disks_without_fua(vm: Machine, server: BlockServer) -> str:
    """A device on SCSI disks that need a flush to be durable; returns its path."""
    vm.load_module(qemu_module.build())
    main, spare = (vm.add_disk(disk.name, nbd=disk.socket_path, dpofua=False)
                   for disk in server.disks())
    assert vm.text(f"cat /sys/block/$(basename $(readlink -f {main}))/queue/fua") == "0"
    return remap.activate(vm, main, spare)


@pytest.mark.slow
def test_a_late_error_of_main_that_is_told_once(vm: Machine, server: BlockServer) -> None:
    """D17, D18: without FUA a write is acknowledged after a flush. The kernel sends a flush again
    that a SCSI disk answered with an error: the second one succeeds, and hides it."""
    device = disks_without_fua(vm, server)
    for place in range(100, 120):
        server.disk("main").late(8 * place, 8, times=1)
    vm.run(f"dd if=/dev/urandom of=/run/data bs=4k count=20 && "
           f"dd if=/run/data of={device} bs=4k seek=100 oflag=direct")
    vm.run(f"dd if={device} of=/run/back bs=4k skip=100 count=20 iflag=direct && "
           "cmp /run/data /run/back")
    assert server.disk("main").stats()["lost"] == 160


@pytest.mark.slow
def test_a_late_error_of_a_slot_that_is_told_once(vm: Machine, server: BlockServer) -> None:
    """P1, D17: the same of the spare, when a failed write is relocated."""
    device = disks_without_fua(vm, server)
    vm.run(f"dmsetup message {remap.NAME} 0 remap 400 8 && sync {device}")
    told = vm.text(f"dmsetup message {remap.NAME} 0 verify 400")
    slot = int(told.split("spare_sector=")[1].split()[0])
    server.disk("main").bad(800, 8)
    server.disk("spare").late(slot + 8, 8, times=1)
    vm.run(f"dd if=/dev/urandom of=/run/data bs=4k count=1 && "
           f"dd if=/run/data of={device} bs=4k seek=100 oflag=direct")
    vm.run(f"dd if={device} of=/run/back bs=4k skip=100 count=1 iflag=direct && "
           "cmp /run/data /run/back")
    assert server.disk("spare").stats()["lost"] == 8
    assert remap.status(vm).values["relocations"] == 1


@pytest.mark.slow
def test_a_merged_confirmation_says_nothing_of_its_neighbours(vm: Machine,
                                                              server: BlockServer) -> None:
    """E1: a disk without a cache takes no FUA, so the kernel may merge writes that lie side by
    side: the error of one would be that of all."""
    vm.load_module(qemu_module.build())
    main, spare = (vm.add_disk(disk.name, nbd=disk.socket_path) for disk in server.disks())
    vm.run(f"name=$(basename $(readlink -f {main})) && cd /sys/block/$name && "
           "echo 'write through' | tee device/scsi_disk/*/cache_type && "
           "echo mq-deadline >queue/scheduler && echo 1 >device/queue_depth")
    device = remap.activate(vm, main, spare)
    for place in (110, 130):
        server.disk("main").bad(8 * place + 3, 1, kind="write")
    vm.run(f"dd if=/dev/urandom of=/run/data bs=256k count=1 && "
           f"dd if=/run/data of={device} bs=256k seek=1 count=1 oflag=direct && "
           f"dd if=/run/data of={device} bs=256k seek=2 count=1 oflag=direct")
    vm.run(f"for at in 1 2; do dd if={device} of=/run/back bs=256k skip=$at count=1 "
           "iflag=direct && cmp /run/data /run/back || exit 1; done")
    assert remap.status(vm).values["relocations"] == 2
