# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks whose important places cannot be read when the set is made (O3, P2, P10).

Refused with all of them named and nothing changed; with --accept-unreadable they are lost from
the start: errors until written, and errors or said again when the set ends. Power cuts are in
test_places_crash.py.
"""

import re
import subprocess
from pathlib import Path

import pytest

from tests.scenarios import dm
from tests.scenarios.hardware import hardware
from tests.scenarios.lib import SECTOR, Device, Rig, drop_page_cache, pattern
from tests.scenarios.sets import (FAILED, OK, REFUSED, USAGE, content_at, create, dmremap, output,
                                  paths, refused, run, sets, settle, signatures)

LAST = 65535
pytestmark = [pytest.mark.disks(main="32M", spare="2M"),
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002"), pytest.mark.plain_only]

# first sector, count, kind of fault, what it is for
PLACES = {
    "2": (2, 1, "read", "superblock of ext2/3/4 (fsck.ext4 -b 8193 -B 1024"),
    "100": (100, 1, "read", None),
    "2047": (2047, 1, "read", None),
    "2049": (2049, 1, "read", None),
    "4096": (4096, 1, "read", None),
    "last": (LAST, 1, "read", None),
    "both-0-25": (0, 26, "both", "superblock of ext2/3/4"),
}


def ext4(rig: Rig) -> bytes:
    """A file system with backup superblocks, of 1 KiB blocks."""
    run("mkfs.ext4", "-q", "-F", "-b", "1024", "-L", "data", paths(rig, "main")[0])
    settle(rig)
    return rig.media("main").whole()


def spoil(rig: Rig, first: int, count: int, kind: str) -> None:
    rig.main.bad(first, count, kind=kind, action="heal" if kind == "read" else "error")
    drop_page_cache(paths(rig, "main")[0])


def media(rig: Rig) -> tuple[bytes, bytes]:
    return rig.media("main").whole(), rig.media("spare").whole()


def try_read(device: Device, sector: int) -> bytes | None:
    """What a device returns; None: an error."""
    try:
        return device.pread(sector)
    except OSError:
        return None


def reads(path: str, sector: int) -> bytes | None:
    device = Device(path, "", read_only=True)
    try:
        return try_read(device, sector)
    finally:
        device.close()


def assert_all_but(rig: Rig, before: bytes, lost: range) -> None:
    """The mapped device has what main had, and errors where that was not readable."""
    device = Device("/dev/mapper/data", "data", read_only=True)
    try:
        for start in range(0, LAST + 1, 256):
            if lost.start < start + 256 and lost.stop > start:
                for sector in range(start, start + 256):
                    wanted = None if sector in lost else \
                        before[sector * SECTOR:(sector + 1) * SECTOR]
                    assert try_read(device, sector) == wanted, sector
            else:
                assert device.pread(start, 256) == \
                    before[start * SECTOR:(start + 256) * SECTOR], start
    finally:
        device.close()


@pytest.mark.parametrize("guard", [True, False], ids=["guard", "no-guard"])
@pytest.mark.parametrize("place", PLACES)
def test_row_9(rig: Rig, place: str, guard: bool) -> None:
    """Refused and nothing changed; accepted and lost; healed by writing; released."""
    first, count, kind, what = PLACES[place]
    lost = range(first, first + count)
    before = ext4(rig)
    spoil(rig, first, count, kind)
    images = media(rig)
    more = [] if guard else ["--no-guard"]
    call = ["create", "data", *paths(rig, "main", "spare"), "--yes", *more]
    result = dmremap(*call)
    assert result.returncode == REFUSED and "--accept-unreadable" in result.stderr, result
    assert f"{first}" in result.stderr and (not what or what[:24] in result.stderr), result
    assert not what or what in result.stdout, result
    assert re.search(rf"^ +{first}[-:]", result.stdout, re.MULTILINE), result
    assert media(rig) == images and sets() == []
    if guard and kind == "both":
        told = refused(FAILED, *call, "--accept-unreadable")
        assert "sector 0, the place of the guard, cannot be written" in told and "--no-guard" in told
        settle(rig)
        assert rig.media("main").whole() == images[0] and sets() == []
        assert not any(rig.media("spare").whole())
        return
    output(*call, "--accept-unreadable")
    main = paths(rig, "main")[0]
    if guard:    # what cannot be read elsewhere keeps wipefs from saying anything
        assert rig.media("main").read(0)[8:16] == b"dmRemapG"
        assert signatures(main) <= {"PMBR"} and (first != 2 or signatures(main))
    assert_all_but(rig, before, lost)
    assert rig.status("data")["lost_sectors"] == count
    # it lasts
    output("deactivate", "data")
    output("activate", "data")
    assert_all_but(rig, before, lost)
    # healed by writing, like any lost sector
    device = Device("/dev/mapper/data", "data")
    for sector in lost:
        device.pwrite(sector, before[sector * SECTOR:(sector + 1) * SECTOR])
        assert device.pread(sector) == before[sector * SECTOR:(sector + 1) * SECTOR]
    device.fsync()
    device.close()
    output("deactivate", "data")
    output("activate", "data")
    assert_all_but(rig, before, range(0))
    assert rig.status("data")["lost_sectors"] == 0
    if kind == "both":
        assert "still cannot be written" in refused(REFUSED, "release", "data", "--yes")
        rig.main.clear()
    output("release", "data", "--yes")
    settle(rig)
    assert rig.media("main").whole() == before
    assert not any(rig.media("spare").whole()) and sets() == []


def test_fsck_puts_a_superblock_right(rig: Rig) -> None:
    """The case that brings an administrator: the command that the plan names does it."""
    ext4(rig)
    main, spare = paths(rig, "main", "spare")
    run("debugfs", "-w", "-R", "mkdir kept", main)
    settle(rig)
    spoil(rig, 2, 2, "both")
    told = output("create", "data", main, spare, "--yes", "--accept-unreadable", "--no-guard")
    command = re.search(r"fsck\.ext4 -b (\d+) -B (\d+)", told)
    heal = re.search(r"dd (if=.*)", told)
    assert command and heal, told
    run("dd", *heal[1].split())
    result = subprocess.run(["fsck.ext4", "-y", "-b", command[1], "-B", command[2],
                             "/dev/mapper/data"], capture_output=True, text=True)
    assert result.returncode == 1, result    # "errors corrected"
    run("fsck.ext4", "-f", "-n", "/dev/mapper/data")
    assert "kept" in subprocess.run(["debugfs", "-R", "ls", "/dev/mapper/data"],
                                    capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("sector", [2, 0])
def test_the_end_of_a_set_with_lost_sectors_in_the_first_chunk(rig: Rig, sector: int) -> None:
    """P2: there the disk has the guard's data; zeros only when they were given up."""
    before = ext4(rig)
    spoil(rig, sector, 1, "read")
    create(rig, "--accept-unreadable")
    for active in (True, False):
        images = media(rig)
        told = refused(REFUSED, "release", "data", "--yes")
        assert f"sector {sector} is lost" in told and "--give-up" in told
        assert dm.devices() == (["data"] if active else []), "nothing was changed"
        assert media(rig) == images
        if active:
            output("deactivate", "data")
    assert "is not lost" in refused(USAGE, "release", "data", "--yes", "--give-up", "9")
    assert "not sectors of a set" in refused(USAGE, "release", "data", "--yes", "--give-up", "x")
    assert "not sectors of a set" in refused(USAGE, "release", "data", "--yes", "--give-up", "9999999")
    told = output("release", "data", "--yes", "--give-up", str(sector))
    assert f"sector {sector} had no recoverable content" in told
    settle(rig)
    wanted = bytearray(before)
    wanted[sector * SECTOR:(sector + 1) * SECTOR] = bytes(SECTOR)
    assert rig.media("main").whole() == wanted and sets() == []


@pytest.mark.parametrize("guard", [True, False], ids=["guard", "no-guard"])
def test_what_is_still_unreadable_stays_an_error(rig: Rig, guard: bool) -> None:
    """P10, P2: the disk is given back as it came, and it is said."""
    before = ext4(rig)
    spoil(rig, 100, 2, "read")
    spoil(rig, LAST, 1, "read")
    create(rig, "--accept-unreadable", *([] if guard else ["--no-guard"]))
    told = output("release", "data", "--yes")
    assert f"sectors 100-101, {LAST} cannot be read, as before" in told
    settle(rig)
    main = paths(rig, "main")[0]
    assert [reads(main, s) for s in (100, 101, LAST)] == [None] * 3
    assert rig.media("main").whole() == before


def test_without_the_spare_it_is_said(rig: Rig) -> None:
    """O2: the header knows that what it keeps of the first chunk is not whole."""
    before = bytearray(ext4(rig))
    spoil(rig, 3, 1, "read")
    create(rig, "--accept-unreadable")
    output("deactivate", "data")
    main, spare = paths(rig, "main", "spare")
    rig.spare.fail()
    drop_page_cache(spare)
    told = output("release", "--without-spare", main, "--yes")
    assert "sector 3 could not be read when the set was made: it becomes zeros" in told
    settle(rig, "main")
    before[3 * SECTOR:4 * SECTOR] = bytes(SECTOR)
    assert rig.media("main").whole()[:-4096] == before[:-4096]


def test_one_that_comes_back_on_main_holds_the_release_back(rig: Rig) -> None:
    """It is unknown whether what main returns all of a sudden is the newest."""
    ext4(rig)
    spoil(rig, 100, 1, "read")
    create(rig, "--accept-unreadable")
    rig.main.clear()
    assert "sector 100 is lost" in refused(REFUSED, "release", "data", "--yes")
    assert "cannot" not in output("release", "data", "--yes", "--give-up", "100")


def test_a_hidden_chunk_with_a_bad_sector(rig: Rig) -> None:
    """Its readable sectors are kept, and the bad one is not written to: undone, it is as it was."""
    main, spare = paths(rig, "main", "spare")
    run("mkswap", main)
    # swap of 4 KiB pages: signature in sector 7; GPT's backup header in the last sector
    rig.media("main").write(LAST, b"EFI PART" + pattern(1)[8:])
    rig.media("main").write(LAST - 7, pattern(7, 7))
    before = rig.media("main").whole()
    spoil(rig, LAST - 2, 1, "read")
    create(rig, "--accept-unreadable")
    assert_all_but(rig, before, range(LAST - 2, LAST - 1))
    assert reads(main, LAST - 2) is None, "not written to"
    assert reads(main, LAST) != before[LAST * SECTOR:], "hidden"
    told = output("release", "data", "--yes")
    assert f"sector {LAST - 2} cannot be read, as before" in told
    settle(rig)
    assert rig.media("main").whole() == before and reads(main, LAST - 2) is None


@pytest.mark.parametrize("first,count,kind", [(5, 1, "write"), (LAST - 1, 1, "write")])
def test_a_create_that_fails_leaves_errors_errors(rig: Rig, first: int, count: int,
                                                  kind: str) -> None:
    """P2: main cannot be hidden; what could not be read cannot be read afterwards either."""
    rig.media("main").write(LAST, b"EFI PART" + pattern(1)[8:])
    before = rig.media("main").whole()
    main, spare = paths(rig, "main", "spare")
    spoil(rig, LAST - 3, 1, "read")
    spoil(rig, 100, 1, "read")
    rig.main.bad(first, count, kind=kind)
    if first != 5:
        rig.main.bad(LAST, 1, kind="write")
    result = dmremap("create", "data", main, spare, "--yes", "--accept-unreadable")
    assert result.returncode == FAILED and "cannot be written" in result.stderr, result
    settle(rig)
    assert rig.media("main").whole() == before and sets() == []
    assert reads(main, LAST - 3) is None and reads(main, 100) is None


def test_a_first_sector_that_is_written_and_cannot_be_undone_is_said(rig: Rig) -> None:
    before = bytearray(ext4(rig))
    main, spare = paths(rig, "main", "spare")
    spoil(rig, 2, 1, "read")
    rig.main.bad(5, 1, kind="write")
    told = refused(FAILED, "create", "data", main, spare, "--yes", "--accept-unreadable")
    settle(rig)
    after = rig.media("main").whole()
    if "now read as zeros" in told:
        assert "2, which could not be read before" in told
        before[2 * SECTOR:3 * SECTOR] = bytes(SECTOR)
    assert after == before and sets() == []


@pytest.mark.parametrize("first", [0, 96, LAST - 7], ids=["chunk-0", "96", "last"])
def test_a_physical_sector_of_eight(rig: Rig, first: int) -> None:
    """512e: nothing less than all of it can be written, the guard's sector 0 neither."""
    before = ext4(rig)
    main = paths(rig, "main")[0]
    rig.main.bad(first, 8, action="heal4k")
    drop_page_cache(main)
    create(rig, "--accept-unreadable")
    assert_all_but(rig, before, range(first, first + 8))
    assert rig.media("main").read(0)[8:16] == b"dmRemapG"
    device = Device("/dev/mapper/data", "data")
    device.pwrite(first, before[first * SECTOR:(first + 8) * SECTOR])
    device.close()
    assert_all_but(rig, before, range(0))
    output("release", "data", "--yes")
    settle(rig)
    assert rig.media("main").whole() == before


def test_a_dead_disk_is_no_disk_with_bad_places(rig: Rig) -> None:
    """P5."""
    ext4(rig)
    rig.main.fail()
    drop_page_cache(paths(rig, "main")[0])
    result = dmremap("create", "data", *paths(rig, "main", "spare"), "--yes",
                     "--accept-unreadable")
    assert result.returncode == FAILED and result.stderr.count("\n") == 1, result
    assert not any(rig.media("spare").whole())


def test_partitions_are_looked_into(rig: Rig) -> None:
    """A superblock that cannot be read on a partition of a whole disk."""
    main, spare = paths(rig, "main", "spare")
    subprocess.run(["sfdisk", "-q", "--label", "gpt", main], input="start=8192,size=16384\n",
                   text=True, check=True, capture_output=True)
    run("mkfs.ext4", "-q", "-F", "-b", "1024", f"{main}p1")
    settle(rig)
    before = rig.media("main").whole()
    spoil(rig, 8194, 1, "read")
    spoil(rig, 1, 1, "read")
    told = dmremap("create", "data", main, spare, "--yes")
    assert told.returncode == REFUSED, told
    assert "1: the header of the GPT; its backup is in the last sector" in told.stdout, told
    assert "8194: partition 1: the superblock of ext2/3/4" in told.stdout, told
    create(rig, "--accept-unreadable")
    assert content_at("data", 8194) is None and content_at("data", 1) is None
    assert content_at("data", 8195) == before[8195 * SECTOR:8196 * SECTOR]


@pytest.mark.disks(main="32M", spare="2M", other="2M")
@pytest.mark.parametrize("sector,guard", [(0, False), (2, True)], ids=["no-guard", "guard"])
def test_a_backup_of_such_a_set(rig: Rig, sector: int, guard: bool, tmp_path: Path) -> None:
    """Onto another spare: what was lost is lost."""
    hardware(rig, main="MAIN-0001", spare="SPARE-0002", other="OTHER-0003")
    before = ext4(rig)
    spoil(rig, sector, 1, "read")
    spoil(rig, 100, 1, "read")
    file = str(tmp_path / "backup")
    create(rig, "--accept-unreadable", *([] if guard else ["--no-guard"]))
    output("deactivate", "data")
    output("backup", "data", file)
    rig.spare.fail()
    main, other = paths(rig, "main", "other")
    drop_page_cache(paths(rig, "spare")[0])
    output("restore-backup", file, other, "--yes", "--main", main)
    output("activate", "data")
    lost = {sector, 100}
    for s in (0, 1, 2, 3, 7, 99, 100, 101, 5000):
        wanted = None if s in lost else before[s * SECTOR:(s + 1) * SECTOR]
        assert content_at("data", s) == wanted, s


@pytest.mark.parametrize("sector", [0, 2])
def test_row_10_and_rescue_3(rig: Rig, sector: int) -> None:
    """What the kernel accepts, the command understands: made by dmsetup, adopted, named."""
    before = ext4(rig)
    spoil(rig, sector, 1, "read")
    rig.create()
    found, = sets()
    assert (found["name"], found["state"]) == ("r0", "active")
    rig.remove()
    found, = sets()
    assert found["state"] == "no-host" and found["main"] == paths(rig, "main")[0]
    output("activate", paths(rig, "main")[0])
    output("deactivate", found["name"])
    assert "belongs to this host" in output("adopt-host", found["uuid"], "--name", "data")
    found, = sets()
    assert (found["name"], found["state"]) == ("data", "ready")
    output("activate", "data")
    assert content_at("data", sector) is None
    assert content_at("data", 500) == before[500 * SECTOR:501 * SECTOR]
    assert "still" not in output("release", "data", "--yes")
    settle(rig)
    assert rig.media("main").whole() == before


# Spare of 2 MiB: superblock A 0-7, table 8-15, counters 16-23, pending 24-31, place B at 128,
# slots from 256; one block of the table.
SPARE_PLACES = {
    "superblock": (3, "is needed for a superblock"),
    "table": (9, "is needed for the only block of the table"),
    "counters": (16, "is needed for the counters"),
    "pending": (25, None),
    "nothing": (100, None),
    "slot-0": (257, None),
    "slot-20": (420, None),
}


def assert_released(rig: Rig, before: bytes, written: bytes) -> None:
    """Release gives main back as it was BEFORE, with what was WRITTEN from sector 1000 on."""
    rig.main.clear()
    output("release", "data", "--yes")
    settle(rig)
    assert rig.media("main").read(0, 1000) == before[:1000 * SECTOR]
    assert rig.media("main").read(1000, len(written) // SECTOR) == written


@pytest.mark.parametrize("kind", ["heal", "both", "read"])
@pytest.mark.parametrize("place", SPARE_PLACES)
@pytest.mark.disks(main="4M", spare="1M")
def test_a_spare_with_a_bad_sector(rig: Rig, place: str, kind: str) -> None:
    """It does without, or says which sector it cannot do without."""
    sector, why = SPARE_PLACES[place]
    run("mkfs.ext4", "-q", "-F", paths(rig, "main")[0])
    settle(rig)
    before = rig.media("main").whole()
    rig.spare.bad(sector, kind="read" if kind == "read" else "both" if kind == "both" else "read",
                  action="heal" if kind == "heal" else "error")
    main, spare = paths(rig, "main", "spare")
    drop_page_cache(spare)
    call = ["create", "data", main, spare, "--yes"]
    assert f"(sector {sector})" in refused(REFUSED, *call)
    result = dmremap(*call, "--wipe-spare")
    if why and kind != "heal":
        assert result.returncode == FAILED and why in result.stderr, result
        assert f"sector {sector} " in result.stderr
        settle(rig)
        assert rig.media("main").whole() == before and sets() == []
        return
    assert result.returncode == OK, result
    assert rig.status("data")["bad_slots"] == (place.startswith("slot") and kind != "heal")
    # it works: all of it can be filled
    rig.main.bad(1000, 80, kind="write")
    device = Device("/dev/mapper/data", "data")
    device.pwrite(1000, pattern(3, 80))
    device.fsync()
    device.close()
    output("deactivate", "data")
    output("activate", "data")
    assert content_at("data", 1003) == pattern(3, 80)[3 * SECTOR:4 * SECTOR]
    assert rig.status("data")["mode"] == "rw"
    assert_released(rig, before, pattern(3, 80))


@pytest.mark.disks(main="4M", spare="64M")
@pytest.mark.parametrize("block,place", [(1, 0), (1, 1), (3, 0)])
def test_a_spare_with_a_dead_place_in_the_table(rig: Rig, block: int, place: int) -> None:
    """C8: named dead from the start; what is there from the start lies in other blocks."""
    sector = block * 8 + place * 80 * 8 + 2
    run("mkfs.ext4", "-q", "-F", paths(rig, "main")[0])
    settle(rig)
    before = rig.media("main").whole()
    rig.spare.bad(sector, kind="both")
    rig.main.bad(2, kind="read", action="heal")
    main, spare = paths(rig, "main", "spare")
    drop_page_cache(spare)
    drop_page_cache(main)
    told = create(rig, "--wipe-spare", "--accept-unreadable")
    assert f"{spare}: sector {sector} cannot be written" in told
    assert rig.status("data")["frozen_blocks"] == 1
    assert content_at("data", 2) is None
    device = Device("/dev/mapper/data", "data")
    device.pwrite(2, before[2 * SECTOR:3 * SECTOR])
    rig.main.bad(1000, 8, kind="write")
    device.pwrite(1000, pattern(3, 8))
    device.fsync()
    device.close()
    output("deactivate", "data")
    result = dmremap("check", spare)
    assert result.returncode == OK, result
    output("activate", "data")
    assert content_at("data", 2) == before[2 * SECTOR:3 * SECTOR]
    assert content_at("data", 1003) == pattern(3, 8)[3 * SECTOR:4 * SECTOR]
    assert rig.status("data")["mode"] == "rw"
    assert_released(rig, before, pattern(3, 8))
