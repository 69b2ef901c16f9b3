# SPDX-License-Identifier: GPL-2.0-or-later
"""The rig itself, with dm-linear in place of the target under test."""

import errno
import os
from pathlib import Path

import pytest

from tests.harness.disks import kind_of_guest
from tests.scenarios import dm
from tests.scenarios.lib import Rig, pattern, wait_for

LINEAR = "0 131072 linear /dev/nbd0 0"


def test_data_arrive(rig: Rig) -> None:
    linear = rig.create("l0", LINEAR)
    linear.pwrite(7, pattern(1, 20))
    assert linear.pread(7, 20) == pattern(1, 20)
    assert linear.sectors() == 131072
    assert rig.media("main").read(8, 2) == pattern(1, 20)[512:1536]


@pytest.mark.not_on("late", "worst", reason="there the write succeeds, and the flush fails")
def test_bad_sector(rig: Rig) -> None:
    linear = rig.create("l0", LINEAR)
    rig.main.bad(5, kind="both")
    for attempt in (lambda: linear.pwrite(5, pattern(1)), lambda: linear.pread(0, 8)):
        with pytest.raises(OSError) as caught:
            attempt()
        assert caught.value.errno == errno.EIO
    linear.pwrite(4, pattern(2))
    rig.main.clear()
    linear.pwrite(5, pattern(3))
    assert linear.pread(4, 2) == pattern(2) + pattern(3)


def test_power_cut_loses_unflushed_writes_only(rig: Rig) -> None:
    linear = rig.create("l0", LINEAR)
    linear.pwrite(0, pattern(1))
    linear.fsync()
    linear.pwrite(0, pattern(2))
    linear.pwrite(8, pattern(3), fua=True)
    linear.pwrite(16, pattern(4))
    rig.powercut()
    assert dm.devices() == []
    linear = rig.create("l0", LINEAR)
    # the flush that follows a FUA write through the block device took sector 0 along
    assert linear.pread(0) == pattern(2)
    assert linear.pread(8) == pattern(3)
    assert linear.pread(16) == bytes(512)


@pytest.mark.not_on("main-no-fua", "no-fua", "late", "worst", reason="main has no FUA")
def test_fua_reaches_the_disk(rig: Rig) -> None:
    linear = rig.create("l0", LINEAR)
    linear.pwrite(8, pattern(3), fua=True)
    assert rig.main.stats()["fua"] == 1


def test_held_write_waits(rig: Rig) -> None:
    linear = rig.create("l0", LINEAR)
    rig.main.hold("write", 10)
    writing = rig.background(linear.pwrite, 10, pattern(1))
    wait_for(lambda: rig.main.held() == 1, "a held write")
    assert not writing.done()
    rig.main.release()
    writing.result(timeout=20)


def test_ext4_over_power_cut(rig: Rig) -> None:
    linear = rig.create("l0", LINEAR)
    assert os.system(f"mkfs.ext4 -q {linear.path}") == 0
    place = rig.mount(linear, "ext4")
    with open(place / "kept", "wb") as file:
        file.write(b"kept" * 10000)
        file.flush()
        os.fsync(file.fileno())
    (place / "not synced").write_bytes(b"x" * 100000)
    rig.powercut()
    linear = rig.create("l0", LINEAR)
    place = rig.mount(linear, "ext4")
    assert (place / "kept").read_bytes() == b"kept" * 10000
    rig.umount(place)
    assert os.system(f"fsck.ext4 -fn {linear.path} >/dev/null 2>&1") == 0


def test_bad_table_tells_errno_and_reason(rig: Rig) -> None:
    with pytest.raises(OSError) as caught:
        rig.create("l0", "0 131072 linear /dev/nbd0 x")
    assert caught.value.errno == errno.EINVAL
    assert any("Invalid device sector" in line for line in rig.log())
    assert dm.devices() == []


def test_tables_and_messages(rig: Rig) -> None:
    rig.create("l0", "0 8 linear /dev/nbd0 8\n8 8 error")
    assert dm.table("l0") == ["0 8 linear 43:0 8", "8 8 error"]
    with pytest.raises(OSError) as caught:
        rig.message("l0", "hello")
    assert caught.value.errno == errno.EINVAL
    rig.reload("l0", "0 8 linear /dev/nbd0 16\n8 8 error")
    assert dm.table("l0")[0] == "0 8 linear 43:0 16"
    assert rig.dmsetup("status", "l0").stdout == "0 8 linear \n8 8 error \n"


@pytest.mark.disks(main="16M", spare="1M:logical=4096", third="1M:vcache=off")
def test_other_disks(rig: Rig) -> None:
    assert rig.raw("main").sectors() == 32768
    assert rig.raw("spare").queue("logical_block_size") == "4096"
    third = rig.raw("third")
    third.pwrite(0, pattern(1))
    assert rig.server.disk("third").media_path.read_bytes()[:512] == pattern(1)


def test_log_of_both_disks(rig: Rig) -> None:
    rig.raw("main").pwrite(1, pattern(1))
    rig.server.mark("between")
    spare = rig.raw("spare")
    spare.pwrite(2, pattern(2))
    spare.fsync()
    seen = [(r.kind, r.disk, r.sector) for r in rig.server.log()]
    assert seen == [("write", 0, 1), ("mark", 0, 0), ("write", 1, 2), ("flush", 1, 0)]


def test_host_is_read_only() -> None:
    with pytest.raises(OSError):
        Path("/etc/dm-remap-was-here").write_text("x")


def test_disks_are_of_the_runs_kind(rig: Rig) -> None:
    """harness/disks.py: what the kernel sees of them, and how an error of main comes."""
    kind = kind_of_guest()
    for disk in (rig.main, rig.spare):
        assert disk.fua == ("fua=off" not in kind.options(disk.name))
        assert rig.raw(disk.name).queue("fua") == str(int(disk.fua))
        assert rig.raw(disk.name).queue("write_cache") == "write back"
    main = rig.raw("main")
    rig.main.bad(7)
    try:
        main.pwrite(7, pattern(1))
        came_late = True
        with pytest.raises(OSError):
            main.fsync()
    except OSError:
        came_late = False
    assert came_late == kind.late


@pytest.mark.disks(main="16M:fua=on")
def test_what_a_test_says_of_its_disks_goes_first(rig: Rig) -> None:
    assert rig.main.fua and rig.raw("main").queue("fua") == "1"
