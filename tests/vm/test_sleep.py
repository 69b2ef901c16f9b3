# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine goes to sleep while a set is active (O19).

As far as processes and notices go: pm_test stops before devices are suspended.
"""

import time

import pytest

from tests.harness import qemu_module
from tests.harness.blockd import Disk
from tests.harness.qemu import Machine
from tests.scenarios.lib import Media
from tests.scenarios.ondisk import Spare
from tests.vm import remap
from tests.vm.conftest import StartServer

MIB = 1 << 20
WRITE = "dd if=/dev/urandom of={} bs=4k count=1 seek={} oflag=direct status=none"
REMAPPED, FREE = 100, 3000    # chunks
QUIET_SECONDS = 1.5
WRITER = """
import mmap, os, sys
disk, chunks = os.open(sys.argv[1], os.O_RDWR | os.O_DIRECT), [int(word) for word in sys.argv[2:]]
data, refused = mmap.mmap(-1, 4096), 0
while not os.path.exists("/run/stop"):
    data[:] = os.urandom(4096)
    for chunk in chunks:
        try:
            os.pwrite(disk, data, chunk * 4096)
        except OSError:
            refused += 1
print(refused)
"""


def sleep_command(state: str) -> str:
    """Five seconds."""
    return f"echo freezer >/sys/power/pm_test && echo {state} >/sys/power/state"


def activate(vm: Machine, main: Disk, spare: Disk) -> str:
    """A set with a remapped chunk, whose content is kept in the guest."""
    device = remap.plug_in(vm, qemu_module.build(), [main, spare])
    main.bad(8 * REMAPPED, 8, kind="both")
    vm.run(f"{WRITE.format(device, REMAPPED)} && dd if={device} of=/run/content bs=4k count=1 "
           f"skip={REMAPPED} iflag=direct status=none")
    assert remap.status(vm).values["relocations"] == 1
    return device


def is_kept(vm: Machine, device: str) -> None:
    vm.run(f"dd if={device} bs=4k count=1 skip={REMAPPED} iflag=direct status=none | "
           "cmp - /run/content")


@pytest.mark.parametrize("state", ["freeze", "disk"])
def test_nobody_came(vm: Machine, serve: StartServer, state: str) -> None:
    """What was there is there, and the next bad sector is remapped as ever."""
    server = serve(main=32 * MIB, spare=16 * MIB)
    main, spare = server.disk("main"), server.disk("spare")
    device = activate(vm, main, spare)
    for number in (1, 2):
        vm.run(sleep_command(state), 300)
        is_kept(vm, device)
        main.bad(8 * (FREE + number), 8, kind="write")
        vm.run(WRITE.format(device, FREE + number))
        vm.run(WRITE.format(device, REMAPPED + 4))
        found = remap.status(vm)
        assert found.mode == "rw" and found.values["relocations"] == 1 + number
    assert "slept" not in vm.text("dmesg")


def wait_until_asleep(disk: Disk) -> None:
    """Until a guest that writes all the time does not."""
    writes, since = -1, 0.0
    while time.monotonic() < since + QUIET_SECONDS or writes < 0:
        if (now := disk.stats()["writes"]) != writes:
            writes, since = now, time.monotonic()
        time.sleep(0.05)


def commit_as_somebody_else(disk: Disk) -> None:
    """A newer table block with the same entries, where the next commit of it goes."""
    spare = Spare(Media(disk), disk.size_bytes // 512)
    block = spare.newest(1).with_seq(spare.highest() + 1000)
    places = [spare.next_sector(1, replica) for replica in (0, 1)]
    with open(disk.media_path, "r+b") as image:
        for sector in places:
            image.seek(sector * 512)
            image.write(block.data)


@pytest.mark.parametrize("state", ["freeze", "disk"])
def test_the_set_was_changed(vm: Machine, serve: StartServer, state: str) -> None:
    """Another system has had the disks: ours does not write over its table, nor into its
    slots, says so, and is whole when it is activated again."""
    server = serve(main=32 * MIB, spare=16 * MIB)
    main, spare = server.disk("main"), server.disk("spare")
    device = activate(vm, main, spare)
    # Before, and from the first moment after: processes thaw before the kernel tells of it.
    vm.put(WRITER.encode(), "/run/writer.py")
    writers = [vm.start(f"python3 /run/writer.py {device} {REMAPPED} {FREE}") for _ in range(3)]
    asleep = vm.start(sleep_command(state))
    wait_until_asleep(main)
    commit_as_somebody_else(spare)
    main.bad(8 * FREE, 8, kind="write")
    before = Media(spare).whole()
    asleep.wait(300).check()
    vm.run("until dmsetup status | grep -q ' fail '; do sleep 0.1; done; sleep 2; touch /run/stop", 60)
    for writer in writers:
        assert int(writer.wait(60).check().out) > 0
    assert "the set was changed while this machine slept" in vm.text("dmesg")
    vm.run(f"dmsetup remove --retry {remap.NAME}")
    assert Media(spare).whole() == before
    remap.activate(vm, *(f"/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_{name}"
                         for name in ("main", "spare")))
    assert remap.status(vm).mode == "rw"
