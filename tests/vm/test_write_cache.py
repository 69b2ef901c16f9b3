# SPDX-License-Identifier: GPL-2.0-or-later
"""The caches of main's disks (D18), and a main that blkid cannot read, with real udev and SCSI.

With the packages installed. What is decided for which disks: tests/unit/test_write_cache.c.
"""

import json

import pytest

from tests.harness.blockd import BlockServer
from tests.harness.qemu import Machine
from tests.vm import packages
from tests.vm.adopted import MAKE, NAME, plug, unplug
from tests.vm.conftest import StartServer

MIB = 1 << 20
pytestmark = pytest.mark.packages


@pytest.fixture
def server(serve: StartServer) -> BlockServer:
    return serve(main=(64 * MIB, "vcache=on"), spare=(32 * MIB, "vcache=on"))


def cache_of(vm: Machine, disk: str) -> str:
    name = vm.text(f"basename $(readlink -f {disk})")
    return vm.text(f"cat /sys/block/{name}/device/scsi_disk/*/cache_type")


def test_the_cache_is_off_while_the_set_is_active(vm: Machine, server: BlockServer) -> None:
    """Turned off on the disk under a partition, again after a change, put back in the end."""
    packages.mask_daemon(vm)
    main, spare = plug(vm, server, "main", "spare")
    assert cache_of(vm, main) == cache_of(vm, spare) == "write back"
    vm.run(f"printf ',\\n' | sfdisk -q {main} && udevadm settle && {MAKE} {main}-part1")
    told = vm.text(f"dmremap create {NAME} {main}-part1 {spare} --yes")
    assert "its write cache is off now" in told
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
