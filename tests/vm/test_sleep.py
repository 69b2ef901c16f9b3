# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine sleeps while a set is active, and somebody else may have its disks (O19).

A suspend goes as far as the last moment before the processor stops, and back. A hibernation
is restored from its image, see guest_hibernate.py: what the kernel knows then is what it
knew when the image was made.
"""

import time
from pathlib import Path

import pytest

from tests.harness import qemu_module
from tests.harness.agent import Command
from tests.harness.blockd import Disk
from tests.harness.qemu import Machine, disk_path
from tests.scenarios.lib import Media
from tests.scenarios.ondisk import Spare
from tests.vm import remap
from tests.vm.conftest import StartServer

MIB = 1 << 20
WRITE = "dd if=/dev/urandom of={} bs=4k count=1 seek={} oflag=direct status=none"
REMAPPED, FREE = 100, 3000    # chunks
SLEEPS = ["suspend", pytest.param("hibernate", marks=pytest.mark.slow)]
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


def wait_for_quiet(disk: Disk) -> None:
    """A guest that writes to DISK all the time does not any more."""
    writes, since = -1, 0.0
    while time.monotonic() < since + 0.7 or writes < 0:
        if (now := disk.stats()["writes"]) != writes:
            writes, since = now, time.monotonic()
        time.sleep(0.05)


class Sleeper:
    """A guest with a set that has a remapped chunk, whose content is kept in the guest."""

    def __init__(self, vm: Machine, serve: StartServer, kind: str) -> None:
        self.vm, self.hibernates = vm, kind == "hibernate"
        server = serve(main=32 * MIB, spare=16 * MIB, marks=MIB)
        self.main, self.spare, self.marks = (server.disk(n) for n in ("main", "spare", "marks"))
        self.device = remap.plug_in(vm, qemu_module.build(), [self.main, self.spare])
        self.main.bad(8 * REMAPPED, 8, kind="both")
        vm.run(f"{WRITE.format(self.device, REMAPPED)} && dd if={self.device} of=/run/content "
               f"bs=4k count=1 skip={REMAPPED} iflag=direct status=none")
        assert remap.status(vm).values["relocations"] == 1
        # the kernel's delay loop is not worth much in an emulated machine
        self.command = ("echo 20 >/sys/module/suspend/parameters/pm_test_delay && "
                        "echo platform >/sys/power/pm_test && echo freeze >/sys/power/state")
        if self.hibernates:
            vm.put(Path(__file__).with_name("guest_hibernate.py"), "/run/hibernate.py")
            marks = vm.add_disk("marks", nbd=self.marks.socket_path)
            self.command = f"python3 /run/hibernate.py {marks}"

    def sleep(self, *frozen: str) -> Command:
        """Begin to; the programs FROZEN do nothing that the restored kernel does not know."""
        pids = "".join(f" $(pgrep -f '^python3 {program}')" for program in frozen)
        return self.vm.start(self.command + (pids if self.hibernates else ""))

    def wait_for_mark(self, number: int) -> None:
        end = time.monotonic() + 120
        while self.marks.stats()["writes"] < number:
            assert time.monotonic() < end
            time.sleep(0.05)

    def wait_until_asleep(self) -> None:
        """Its disks may be changed now."""
        if self.hibernates:
            self.wait_for_mark(1)
        else:
            wait_for_quiet(self.main)

    def is_kept(self) -> None:
        self.vm.run(f"dd if={self.device} bs=4k count=1 skip={REMAPPED} iflag=direct status=none "
                    "| cmp - /run/content")

    def commit_as_somebody_else(self) -> None:
        """A newer table block with the same entries, where the next commit of it goes."""
        spare = Spare(Media(self.spare), self.spare.size_bytes // 512)
        block = spare.newest(1).with_seq(spare.highest() + 1000)
        places = [spare.next_sector(1, replica) for replica in (0, 1)]
        with open(self.spare.media_path, "r+b") as image:
            for sector in places:
                image.seek(sector * 512)
                image.write(block.data)


@pytest.mark.parametrize("kind", SLEEPS)
def test_nobody_came(vm: Machine, serve: StartServer, kind: str) -> None:
    """What was there is there, and the next bad sector is remapped as ever."""
    guest = Sleeper(vm, serve, kind)
    for number in (1, 2):
        guest.sleep().wait(300).check()
        guest.is_kept()
        guest.main.bad(8 * (FREE + number), 8, kind="write")
        vm.run(WRITE.format(guest.device, FREE + number))
        vm.run(WRITE.format(guest.device, REMAPPED + 4))
        found = remap.status(vm)
        assert found.mode == "rw" and found.values["relocations"] == 1 + number
    assert vm.run("dmesg | grep device-mapper: | grep sle", check=False).out == ""


@pytest.mark.parametrize("kind", SLEEPS)
def test_the_set_was_changed(vm: Machine, serve: StartServer, kind: str) -> None:
    """Another system has had the disks: ours does not write over its table, nor into its
    slots, nor to main, says so, and is whole when it is activated again."""
    guest = Sleeper(vm, serve, kind)
    # Before, and from the first moment after.
    vm.put(WRITER.encode(), "/run/writer.py")
    writers = [vm.start(f"python3 /run/writer.py {guest.device} {REMAPPED} {FREE}")
               for _ in range(3)]
    asleep = guest.sleep("/run/writer.py")
    guest.wait_until_asleep()
    guest.commit_as_somebody_else()
    guest.main.bad(8 * FREE, 8, kind="write")
    if guest.hibernates:
        guest.wait_for_mark(2)
    before = Media(guest.spare).whole(), Media(guest.main).whole()
    guest.spare.hold("read", 0, guest.spare.size_bytes // 512)    # the comparison takes its time
    asleep.wait(300).check()
    time.sleep(1)
    guest.spare.release()
    vm.run("until dmsetup status | grep -q ' fail '; do sleep 0.1; done; sleep 2; touch /run/stop",
           60)
    for writer in writers:
        assert int(writer.wait(60).check().out) > 0
    assert "the set was changed while this machine slept" in vm.text("dmesg")
    vm.run(f"dmsetup remove --retry {remap.NAME}")
    assert (Media(guest.spare).whole(), Media(guest.main).whole()) == before
    remap.activate(vm, disk_path("main"), disk_path("spare"))
    assert remap.status(vm).mode == "rw"


def test_a_spare_that_cannot_be_read_afterwards(vm: Machine, serve: StartServer) -> None:
    """Nothing of the set is written until it can; main serves what it served."""
    guest = Sleeper(vm, serve, "suspend")
    vm.put(WRITER.encode(), "/run/writer.py")
    writer = vm.start(f"python3 /run/writer.py {guest.device} {FREE + 16}")
    asleep = guest.sleep()
    guest.wait_until_asleep()
    guest.spare.bad(0, guest.spare.size_bytes // 512, kind="both")
    guest.main.bad(8 * FREE, 8, kind="write")
    asleep.wait(300).check()
    vm.run("until dmsetup status | grep -q ' meta_fail '; do sleep 0.1; done", 60)
    vm.run("touch /run/stop")
    assert int(writer.wait(60).check().out) == 0    # these were never held up for long
    vm.run(WRITE.format(guest.device, FREE + 8))
    for chunk in (REMAPPED, FREE):
        assert vm.run(WRITE.format(guest.device, chunk), check=False).code
    assert "cannot be read after the sleep" in vm.text("dmesg")
    guest.spare.clear()
    vm.run("until dmsetup status | grep -q ' rw '; do sleep 0.1; done", 60)
    guest.is_kept()
    vm.run(f"{WRITE.format(guest.device, REMAPPED)} && {WRITE.format(guest.device, FREE)}")
    assert remap.status(vm).values["relocations"] == 2


def test_restore_is_no_way_around_it(vm: Machine, serve: StartServer) -> None:
    """The spare cannot be read at first, and was changed: no message, and no reload beneath
    whoever has the device open, writes our table over it."""
    guest = Sleeper(vm, serve, "suspend")
    vm.put(WRITER.encode(), "/run/writer.py")
    writer = vm.start(f"python3 /run/writer.py {guest.device} {FREE + 16}")
    asleep = guest.sleep()
    guest.wait_until_asleep()
    guest.commit_as_somebody_else()
    before = Media(guest.spare).whole()
    guest.spare.bad(0, guest.spare.size_bytes // 512, kind="read")
    asleep.wait(300).check()
    vm.run("until dmsetup status | grep -q ' meta_fail '; do sleep 0.1; done", 60)
    for verb in ("restore", "sync", "save", "remap 8 8", f"unremap {8 * REMAPPED} 8"):
        assert vm.run(f"dmsetup message {remap.NAME} 0 {verb}", check=False).code, verb
    guest.spare.clear()
    vm.run("until dmsetup status | grep -q ' fail '; do sleep 0.1; done", 60)
    assert vm.run(f"dmsetup message {remap.NAME} 0 restore", check=False).code
    assert Media(guest.spare).whole() == before
    vm.run(f"dmsetup suspend {remap.NAME}; dmsetup resume {remap.NAME}")
    assert remap.status(vm).mode == "fail"
    vm.run(f"dmsetup table {remap.NAME} | dmsetup load {remap.NAME}; dmsetup resume {remap.NAME}")
    assert remap.status(vm).mode == "fail"
    vm.run("touch /run/stop")
    assert int(writer.wait(60).check().out) > 0
    vm.run(f"dmsetup suspend {remap.NAME}; dmsetup resume {remap.NAME}")    # closed by all
    assert remap.status(vm).mode == "rw"


DIRTY = """
import os, sys
disk = os.open(sys.argv[1], os.O_RDWR)
while not os.path.exists("/run/stop"):
    os.pwrite(disk, os.urandom(4096 * 16), int(sys.argv[2]) * 4096)
"""


@pytest.mark.slow
def test_no_image_is_older_than_the_media(vm: Machine, serve: StartServer) -> None:
    """What the kernel writes back while it has its image in hand is not remapped."""
    guest = Sleeper(vm, serve, "hibernate")
    vm.put(DIRTY.encode(), "/run/dirty.py")
    # what gets dirty between the last sync and the freeze is written three seconds later
    vm.run("cd /proc/sys/vm && echo 20 >dirty_writeback_centisecs && "
           "echo 300 >dirty_expire_centisecs")
    writer = vm.start(f"python3 /run/dirty.py {guest.device} {FREE}")
    asleep = guest.sleep("/run/dirty.py")
    guest.wait_until_asleep()
    guest.main.bad(8 * FREE, 8 * 16, kind="write")
    refused = guest.main.stats()["errors"]
    guest.wait_for_mark(2)
    assert guest.main.stats()["errors"] > refused
    asleep.wait(300).check()
    vm.run("touch /run/stop")
    writer.wait(60).check()
    vm.run("sync")
    found = remap.status(vm)
    assert found.mode == "rw" and found.values["relocations"] == 17
    guest.is_kept()
