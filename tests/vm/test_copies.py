# SPDX-License-Identifier: GPL-2.0-or-later
"""The right disk among others: copies, second paths, old images, strangers (O6, O7, O12).

With the packages installed, so that udev and the daemon decide, and no question can be asked.
"""

import shutil

import pytest

from tests.harness.blockd import BlockServer
from tests.harness.qemu import Machine
from tests.vm import packages
from tests.vm.adopted import (BY_UUID, DEVICE, LEAVE, adopt, assert_hidden, is_whole, plug,
                              the_set, unplug)
from tests.vm.conftest import StartServer

MIB = 1 << 20
pytestmark = pytest.mark.packages


def copy_media(server: BlockServer, source: str, target: str) -> None:
    """As `dd` would; the disks have no cache."""
    shutil.copyfile(server.directory / f"{source}.img", server.directory / f"{target}.img")


def media(server: BlockServer, name: str) -> bytes:
    return (server.directory / f"{name}.img").read_bytes()


def assert_not_active(vm: Machine, **fields: str) -> str:
    """Nothing is made of what is here; the sentence with which the daemon tells why."""
    told = packages.wait_for_entry(vm, **fields)
    assert vm.run(f"test -e {DEVICE} || test -e {BY_UUID}", check=False).code
    return str(told["MESSAGE"])


@pytest.mark.slow
def test_a_copy_of_main(vm: Machine, serve: StartServer) -> None:
    """Alone it is not taken for main, beside main it is ignored, and nothing writes to it."""
    server = serve(main=64 * MIB, copy=64 * MIB, spare=32 * MIB)
    adopt(vm, *plug(vm, server, "main", "spare"))
    vm.run(LEAVE)
    unplug(vm, "main", "spare")
    copy_media(server, "main", "copy")
    before = media(server, "copy")
    copy, _ = plug(vm, server, "copy", "spare")
    told = assert_not_active(vm, DM_REMAP_EVENT="not-activated")
    assert "may be a copy" in told and the_set(vm)["state"] == "other-hardware"
    assert_hidden(vm, copy, "main")
    main, = plug(vm, server, "main")
    is_whole(vm)
    found = the_set(vm)
    assert found["main"] == vm.text(f"readlink -f {main}") and found["ignored_copies"] == 1
    vm.run("echo more >/mnt/more; sync")
    assert media(server, "copy") == before

    # main goes: the copy is not put in its place
    unplug(vm, "main")
    assert vm.run(f"dd if={DEVICE} of=/dev/null bs=4k skip=4000 count=1 iflag=direct",
                  check=False).code
    packages.wait(vm, "journalctl -q -u dm-remapd | "
                      "grep -q 'active, but its main device is gone.*may be a copy'")
    said = vm.text("dmremap activate data")
    assert "active, but its main device is gone" in said and "may be a copy" in said
    assert the_set(vm)["state"] == "active" and media(server, "copy") == before
    plug(vm, server, "main")
    vm.run("umount /mnt")
    is_whole(vm)
    assert media(server, "copy") == before


@pytest.mark.slow
def test_two_paths_to_main(vm: Machine, serve: StartServer) -> None:
    """The same WWN twice: a device in use is not touched, and neither is chosen afterwards."""
    server = serve(main=64 * MIB, spare=32 * MIB)
    socket = server.disk("main").socket_path
    wwn = 0x5000c50012345678

    def paths(number: int) -> list[str]:
        packages.wait(vm, f"udevadm settle && [ $(lsblk -ndo WWN | grep -c {wwn:#x}) = {number} ]")
        return vm.text(f"lsblk -ndpo NAME,WWN | awk '/{wwn:#x}/ {{print $1}}'").split()

    vm.plug("one", nbd=socket, wwn=wwn)
    one, = paths(1)
    spare, = plug(vm, server, "spare")
    adopt(vm, one, spare)
    is_whole(vm)
    vm.plug("two", nbd=socket, wwn=wwn)
    two, = (path for path in paths(2) if path != one)
    assert_hidden(vm, two, "main")
    found = the_set(vm)
    assert (found["state"], found["main"], found["ignored_copies"]) == ("active", one, 1)
    is_whole(vm)
    vm.run(LEAVE)
    refused = vm.run("dmremap activate data", check=False)
    assert refused.code == 5 and "several devices claim to be its main device" in refused.err
    assert vm.run(f"test -e {DEVICE}", check=False).code
    unplug(vm, "one")
    vm.run("dmremap activate data")
    is_whole(vm)
    assert the_set(vm)["main"] == two


@pytest.mark.slow
def test_strangers(vm: Machine, serve: StartServer) -> None:
    """Another set's spare, a disk of the right size, an older image of the spare: none of them
    is taken; the right one is, as soon as it comes."""
    server = serve(main=64 * MIB, spare=32 * MIB, other=64 * MIB, other_spare=32 * MIB,
                   blank=64 * MIB, older=32 * MIB)
    other, other_spare = plug(vm, server, "other", "other_spare")
    vm.run(f"systemctl stop dm-remapd; dmremap create other {other} {other_spare} --yes && "
           "dmremap deactivate other")
    adopt(vm, *plug(vm, server, "main", "spare"))
    vm.run(LEAVE)
    copy_media(server, "spare", "older")
    vm.run("dmremap activate data")
    server.disk("main").bad(8000, 1000, kind="write")
    is_whole(vm)
    vm.run("cp /mnt/data /mnt/more && b2sum /mnt/data /mnt/more >/mnt/data.b2 && "
           f"dmremap remap data 9000 8 && {LEAVE}")
    unplug(vm, "main", "spare", "other", "other_spare")
    vm.run("systemctl start dm-remapd")

    plug(vm, server, "main", "blank", "other_spare")
    assert "its spare device" in assert_not_active(vm, DM_REMAP_EVENT="waiting",
                                                   DM_REMAP_NAME="data")
    assert {one["name"]: one["state"] for one in packages.sets(vm)} == \
        {"data": "waiting", "other": "waiting"}
    plug(vm, server, "other")
    packages.wait(vm, "test -e /dev/mapper/other")
    assert the_set(vm)["state"] == "waiting"

    now = media(server, "spare")
    copy_media(server, "older", "spare")
    plug(vm, server, "spare")
    packages.wait(vm, "journalctl -q -t dmremap | grep -q 'older'", "udev's activation to refuse")
    told = assert_not_active(vm, DM_REMAP_EVENT="not-activated", DM_REMAP_NAME="data")
    assert "older" in told
    unplug(vm, "spare")
    (server.directory / "spare.img").write_bytes(now)
    plug(vm, server, "spare")
    is_whole(vm)


NEW_ID = "0123456789abcdef0123456789abcdef"


@pytest.mark.slow
def test_a_set_of_another_host(vm: Machine, serve: StartServer) -> None:
    """O7: to be plugged in is not enough; a word takes it for now, another one for good."""
    server = serve(main=64 * MIB, spare=32 * MIB)
    adopt(vm, *plug(vm, server, "main", "spare"))
    vm.run(LEAVE)
    unplug(vm, "main", "spare")
    vm.run(f"echo {NEW_ID} >/etc/machine-id && systemctl restart dm-remapd")
    before = media(server, "main"), media(server, "spare")
    main, spare = plug(vm, server, "main", "spare")
    told = assert_not_active(vm, DM_REMAP_EVENT="not-activated")
    assert "another host" in told
    found, = packages.sets(vm)
    assert found["state"] == "foreign" and found["name"].startswith("remap-")
    for path, role in ((main, "main"), (spare, "spare")):
        assert_hidden(vm, path, role)
    assert (media(server, "main"), media(server, "spare")) == before
    vm.run(f"dmremap activate {found['uuid']} --foreign --name data")
    is_whole(vm)
    vm.run(f"{LEAVE} && dmremap adopt-host {found['uuid']}")
    unplug(vm, "main", "spare")
    plug(vm, server, "spare", "main")
    is_whole(vm)


@pytest.mark.slow
def test_a_set_of_no_host(vm: Machine, serve: StartServer) -> None:
    """O7: anybody can make one with nothing but a pen; udev and the daemon leave it alone."""
    server = serve(main=64 * MIB, spare=32 * MIB)
    main, spare = plug(vm, server, "main", "spare")
    table = f"0 {64 * MIB // 512} remap {main} {spare} 0 {32 * MIB // 512}"
    vm.run(f"modprobe dm-remap && dmsetup create raw --table '{table}' && udevadm settle && "
           "dmsetup remove raw && udevadm settle")
    unplug(vm, "main", "spare")
    vm.run("systemctl reload dm-remapd && sleep 2")    # it has seen that they are gone
    plug(vm, server, "main", "spare")
    assert "names no host" in assert_not_active(vm, DM_REMAP_EVENT="not-activated")
    found, = packages.sets(vm)
    assert found["state"] == "no-host" and found["name"].startswith("remap-")
    assert vm.text("dmsetup ls") == "No devices found"


def test_a_spare_whose_main_is_missing(vm: Machine, serve: StartServer) -> None:
    """It waits; what is typed when main is gone for good makes it blank."""
    server = serve(main=64 * MIB, spare=32 * MIB)
    adopt(vm, *plug(vm, server, "main", "spare"))
    vm.run(LEAVE)
    unplug(vm, "main", "spare")
    spare, = plug(vm, server, "spare")
    told = assert_not_active(vm, DM_REMAP_EVENT="waiting")
    assert "its main device" in told and the_set(vm)["state"] == "waiting"
    vm.run(f"dmremap release --without-main {spare} --yes && udevadm settle")
    assert packages.sets(vm) == []
    assert vm.text(f"wipefs {spare}; blkid -p {spare} || true") == ""
    assert vm.run(f"udevadm info -q property {spare} | grep -q dm_remap_member",
                  check=False).code, "udev has not heard of it"
