# SPDX-License-Identifier: GPL-2.0-or-later
"""The life of a set on each kernel that is booted: module, command and daemon are installed,
disks are plugged in and pulled out, udev runs.

The details are tested elsewhere, on one kernel. These tests cover what may differ on another.
"""

import json

import pytest

from tests.harness import qemu_snapshot
from tests.harness.blockd import BlockServer
from tests.harness.qemu import Machine, disk_path
from tests.kernels import guests
from tests.kernels.conftest import StartGuest, StartServer
from tests.vm import packages, remap
from tests.vm.adopted import (CHECK, DEVICE, LEAVE, NAME, adopt, assert_hidden, is_whole, plug,
                              status, the_set, unplug)
from tests.vm.dying_disk import DyingDisk

MIB = 1 << 20
BOOT_S = 600
# Sectors of main that cannot be written; 20 MiB of new files meet many of them.
BAD = range(20000, 120000, 1000)
MORE = "head -c 20M /dev/urandom >/mnt/more && sync && b2sum /mnt/more >>/mnt/data.b2 && sync"
READ = f"dd if={DEVICE} of=/dev/null bs=4k count=1 skip=4000 iflag=direct status=none"


@pytest.fixture(params=[name if name == "6.12" else pytest.param(name, marks=pytest.mark.slow)
                        for name in guests.KERNELS])
def kernel(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(serve: StartServer) -> BlockServer:
    return serve(main=(64 * MIB, "vcache=on"), spare=(32 * MIB, "vcache=on"))


def remapped(vm: Machine, server: BlockServer) -> int:
    """Write files to the set, parts of which are relocated; return the number of used slots."""
    is_whole(vm)
    for sector in BAD:
        server.disk("main").bad(sector, 8, kind="write")
    vm.run(MORE)
    state = status(vm)
    assert (state["mode"], state["lost_sectors"]) == ("rw", 0)
    assert state["relocations"] > 10
    return int(state["used_slots"])


def test_errors_told_at_once(vm: Machine, server: BlockServer) -> None:
    """Create a set. A write that fails is relocated, and the event comes over netlink. Remove
    the device and the module, activate again. Release: main alone has all the data."""
    adopt(vm, *plug(vm, server, "main", "spare"))
    listening = vm.start("exec dmremap events --follow --json >/run/events")
    used = remapped(vm, server)
    told = packages.wait_for_entry(vm, DM_REMAP_EVENT="relocated")
    assert told["DM_REMAP_NAME"] == NAME and told["DM_REMAP_CAUSE"] == "write-error"
    packages.wait(vm, "grep -q relocated /run/events")
    listening.kill()
    assert len(json.loads(vm.text(f"dmremap show {NAME} --json"))["remaps"]) == used
    is_whole(vm)

    vm.run(f"{LEAVE} && rmmod dm_remap && ! dmsetup targets | grep -q ^remap")
    vm.run(f"modprobe dm-remap && dmremap activate {NAME} && udevadm settle")
    is_whole(vm)
    assert status(vm)["used_slots"] == used

    for sector in BAD:
        server.disk("main").clear(sector, 8)
    main = the_set(vm)["main"]
    vm.run(f"umount /mnt; dmremap release {NAME} --yes && udevadm settle && rmmod dm_remap && "
           f"mount {main} /mnt && {CHECK}")


def test_errors_told_late(vm_of: StartGuest, serve: StartServer) -> None:
    """The disk reports a write error with the next flush. Main is written through, so that the
    write waits for the flush, and is relocated."""
    server = serve(main=(64 * MIB, "vcache=on,fua=off"), spare=(32 * MIB, "vcache=on"))
    vm, main = vm_of(lambda guest: guest.add_virtio_disk("main", server.disk("main").socket_path))
    spare, = plug(vm, server, "spare")
    device = remap.activate(vm, main, spare)
    before = remap.status(vm).used
    vm.run("head -c 4M /dev/urandom >/run/data")
    for chunk in range(100, 1000, 90):
        server.disk("main").late(8 * chunk, 8, then="error")
    vm.run(f"dd if=/run/data of={device} bs=64k oflag=direct status=none")
    after = remap.status(vm)
    assert server.disk("main").stats()["lost"] > 0, "the disk has lost no write"
    assert after.mode == "rw" and after.values["lost_sectors"] == 0
    assert after.used - before >= 10
    server.powercut()
    vm.run(f"dmsetup remove {remap.NAME}")
    server.power_on()
    remap.activate(vm, main, spare)
    vm.run(f"dd if={device} bs=64k count=64 iflag=direct status=none | cmp - /run/data")
    assert remap.status(vm).used == after.used


@pytest.mark.slow
def test_power_cut_and_boot(vm: Machine, guest: guests.Guest, server: BlockServer) -> None:
    """After a power cut the machine boots, activates the set and reads all data."""
    adopt(vm, *plug(vm, server, "main", "spare"))
    used = remapped(vm, server)
    server.powercut()
    vm.kill()
    server.power_on()

    def both(machine: Machine) -> None:
        for name in ("spare", "main"):    # other letters
            machine.plug(name, nbd=server.disk(name).socket_path)

    with qemu_snapshot.booted(vm.work / "root.qcow2", both, image=guest.image) as second:
        second.run("systemctl is-system-running --wait", BOOT_S, check=False)
        packages.wait(second, f"test -b {DEVICE}")
        is_whole(second)
        assert second.text("uname -r") == guest.image.kernel_release
        state = status(second)
        assert (state["mode"], state["used_slots"], state["lost_sectors"]) == ("rw", used, 0)
        assert second.complaints() == []


@pytest.mark.slow
def test_hotplug(vm: Machine, server: BlockServer) -> None:
    """Main is pulled: nothing is relocated. Main returns: so does the set. Both members are
    pulled and return one by one: udev activates the set."""
    adopt(vm, *plug(vm, server, "main", "spare"))
    used = remapped(vm, server)
    vm.run("umount /mnt")
    vm.remove_disk("main")
    assert vm.run(READ, check=False).code
    told = packages.wait_for_entry(vm, DM_REMAP_EVENT="gone")
    assert told["DM_REMAP_MEMBER"] == "main"
    assert int(vm.text(f"dmsetup status {NAME}").split()[4].split("/")[0]) == used
    plug(vm, server, "main")
    packages.wait(vm, READ)
    is_whole(vm)

    vm.run(LEAVE)
    unplug(vm, "main", "spare")
    main, = plug(vm, server, "main")
    packages.wait(vm, "dmremap list --json | grep -q waiting")
    assert_hidden(vm, main, "main")
    plug(vm, server, "spare")
    is_whole(vm)
    assert status(vm)["used_slots"] == used


@pytest.mark.slow
def test_suspend_and_resume_under_load(vm: Machine, server: BlockServer) -> None:
    """Suspend, resume and reload the device while it is in use and sectors go bad."""
    device = remap.activate(vm, *plug(vm, server, "main", "spare"))
    jobs = remap.start_io(vm, device)
    name = remap.NAME
    with DyingDisk(server.disk("main"), seed=2, most=200):
        vm.run(f"set -e; for round in 1 2; do dmsetup suspend {name}; dmsetup resume {name}; "
               f"dmsetup table {name} | dmsetup load {name}; dmsetup resume {name}; "
               f"dmsetup suspend --noflush {name}; dmsetup resume {name}; done", 600)
    models = remap.finish_io(vm, jobs)
    assert sum(model.operations for model in models) > 50
    after = remap.status(vm)
    assert after.mode == "rw" and after.used > 10 and after.values["lost_sectors"] == 0
    vm.run(f"dmsetup remove {name} && rmmod dm_remap && modprobe dm-remap")
    main, spare = (disk_path(disk.name) for disk in server.disks())
    remap.activate(vm, main, spare)
    for model in models:
        model.check(vm, device)
