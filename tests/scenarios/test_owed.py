# SPDX-License-Identifier: GPL-2.0-or-later
"""An error that a flush reported, and that is owed to users: who gets it, and until when (D17).

device-mapper sends a journal's commit, a write with preflush and FUA, as a flush and a write, and
forgets the error of the flush. So the write has to fail. See test_real_disks.py and test_gates.py
for where such errors come from.
"""

import fcntl
import mmap
import os
import struct
import subprocess
from pathlib import Path

import pytest

from tests.harness.disks import MAIN_NO_FUA
from tests.scenarios.late_errors import NO_FUA, A, B, set_of, told
from tests.scenarios.lib import Device, Rig, pattern, wait_for

FIBMAP = 1
KEEP = "2 write_cache keep"


class Journal:
    """A file system whose journal commits when it is told to, with a file that is durable."""

    def __init__(self, rig: Rig, device: Device) -> None:
        subprocess.run(["mkfs.ext4", "-q", device.path], check=True)
        self._place = rig.mount(device, "ext4", "commit=900,noinit_itable")
        (self._place / "file").write_bytes(pattern(3, 64))
        os.sync()

    def sector(self) -> int:
        """Of the file's first block, which has 1024 bytes or more."""
        with open(self._place / "file", "rb") as file:
            block = fcntl.ioctl(file, FIBMAP, struct.pack("i", 0))
            return struct.unpack("i", block)[0] * os.fstatvfs(file.fileno()).f_bsize // 512

    def overwrite(self) -> None:
        """Completes, and is in no flush."""
        file = os.open(self._place / "file", os.O_WRONLY | os.O_DIRECT)
        with mmap.mmap(-1, 4096) as buffer:
            buffer[:] = pattern(4, 8)
            os.pwrite(file, buffer, 0)
        os.close(file)

    def commit(self) -> None:
        with open(self._place / "other", "wb", buffering=0) as file:
            file.write(pattern(5, 8))
            os.fsync(file.fileno())


@pytest.mark.disks(main="8M:fua=off", spare="8M:fua=off")
@pytest.mark.parametrize("loses", ["main", "spare"])
def test_a_journal_does_not_commit_over_an_error_that_is_owed(rig: Rig, loses: str) -> None:
    """The flush that was told of the loss was one of ours."""
    device = rig.create(more=KEEP)
    journal = Journal(rig, device)
    if loses == "spare":
        rig.message("r0", f"remap {journal.sector() & ~7} 8")
    device.fsync()
    journal.overwrite()
    disk = rig.server.disk(loses)
    disk.lose_flushes(1)
    told(lambda: rig.message("r0", "save"))
    wait_for(lambda: disk.stats()["lost"], "the flush of ours")
    assert told(journal.commit) == [True]


@pytest.mark.disks(main="8M", spare="8M")
@pytest.mark.not_on(*MAIN_NO_FUA, reason="what is acknowledged is durable, and the next flush succeeds")
def test_a_journal_does_not_commit_over_a_flush_that_failed(rig: Rig) -> None:
    """Its own: as on any disk, whatever may have been in the cache."""
    journal = Journal(rig, rig.create())
    rig.main.fail_flushes(1)
    assert told(journal.commit) == [True]


@pytest.mark.disks(main=NO_FUA)
def test_an_error_outlives_a_flush_of_another_user(rig: Rig) -> None:
    """One that succeeds may have come between the preflush that failed and the write behind it."""
    device = set_of(rig, "keep")
    rig.main.late(800, times=1)
    device.pwrite(800, A)
    assert told(device.fsync, device.fsync) == [True, False]
    assert told(lambda: device.pwrite(2400, B, fua=True)) == [True]
    assert told(lambda: device.pwrite(2400, B, fua=True)) == [False]


@pytest.mark.disks(main=NO_FUA)
@pytest.mark.parametrize("mode", ["keep", "auto"])
def test_what_was_kept_before_is_owed(rig: Rig, mode: str) -> None:
    """D18: the flush with which writing through begins has the error of a write before it."""
    device = set_of(rig, mode)
    rig.main.late(800, times=1)
    device.pwrite(800, A)
    told(lambda: rig.message("r0", "write_cache through"))
    wait_for(lambda: rig.main.stats()["lost"], "the flush of ours")
    first, second = told(device.fsync, device.fsync)
    assert first or device.pread(800) == A, "lost, and no error told of it"
    assert not second


@pytest.mark.disks(main=NO_FUA)
def test_a_flush_that_fails_ends_auto(rig: Rig) -> None:
    """D18: no write of a user has failed, and no read; the next late error is one of no user's."""
    device = set_of(rig, "auto")
    assert rig.status()["write_cache"] == "auto"
    rig.main.fail_flushes(1)
    told(device.fsync)
    wait_for(lambda: rig.status()["write_cache"] == "through", "through")


@pytest.mark.disks(main=NO_FUA)
@pytest.mark.parametrize("failures", [1, 2, 3])
def test_errors_of_what_nobody_relies_on(rig: Rig, failures: int) -> None:
    """D17: what is acknowledged is durable, so a flush fails only if none succeeds any more."""
    device = set_of(rig, "through")
    flushes = rig.main.stats()["flushes"]
    rig.main.fail_flushes(failures)
    assert told(device.fsync) == [False]
    assert rig.main.stats()["flushes"] > flushes + failures
    rig.main.fail_flushes(20)
    assert told(device.fsync) == [True]
    rig.main.fail_flushes(0)


def test_fua_leaves_nothing_to_flush_on_the_spare(rig: Rig) -> None:
    """D9, D10: neither is it flushed afterwards, nor has a spare that is put in its place lost
    anything. The kernel sends a flush behind the write."""
    device = rig.create(more=KEEP)
    rig.message("r0", "remap 96 8")
    device.fsync()
    flushes = rig.spare.stats()["flushes"]
    device.pwrite(96, pattern(1, 8), fua=True)
    # a spare without FUA gets the one that the write waits for
    assert rig.spare.stats()["flushes"] == flushes + (not rig.spare.fua)
    rig.powercut()
    assert Path(rig.create(more=KEEP).path).exists()
    assert rig.device().pread(96, 8) == pattern(1, 8)
