# SPDX-License-Identifier: GPL-2.0-or-later
"""Activation by the command: returns of members, copies, strangers, read-only, partitions.

There is no hotplug in User Mode Linux, see hardware.py.
"""

import contextlib
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.scenarios import dm, locks
from tests.scenarios.hardware import forget_hardware, gone, hardware
from tests.scenarios.lib import SECTOR, Device, Rig, drop_page_cache, pattern, wait_for
from tests.scenarios.ondisk import MARKED, Spare, seal
from tests.scenarios.sets import (DAMAGED, HAS_FAULT, LET_GO, NOT_FOUND, OK, REFUSED, RETURNED,
                                  USAGE, WAITING, WAS_ACTIVE, content, create, dmremap,
                                  ext4_on_main, output, paths, refused, replugged, sets, settle)

FLAGS, HOST, LABEL = 52, 152, 168    # offsets in the superblock
PROBE = 8184             # sector of the probe chunk on a main of 4 MiB
pytestmark = [pytest.mark.disks(main="4M", spare="2M"),
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002"), pytest.mark.plain_only]


def images(rig: Rig) -> tuple[bytes, bytes]:
    return rig.media("main").whole(), rig.media("spare").whole()


def supers(rig: Rig, offset: int, value: bytes, disk: str = "spare") -> None:
    """VALUE at OFFSET of every superblock that is there."""
    media = rig.media(disk)
    spare = Spare(media, rig.server.disk(disk).size_bytes // SECTOR)
    for (replica, place), block in spare.copies(0).items():
        if block.valid:
            spare.write(replica, place, 0, block.changed(offset, value).data)


def inactive(rig: Rig) -> bytes:
    """A set "data" of an ext4 file system; what is on its mapped device."""
    before = ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    settle(rig)
    replugged()
    return before


def active(rig: Rig) -> Device:
    ext4_on_main(rig)
    create(rig)
    return Device("/dev/mapper/data", "data")


# a member returns (O18)

@pytest.mark.disks(main="4M", spare="2M", back="4M")
def test_main_returns(rig: Rig) -> None:
    """Under another number, with what was written to it."""
    hardware(rig, back="MAIN-0001")
    device = active(rig)
    device.pwrite(1000, pattern(1, 8))
    device.fsync()
    with gone(rig, "main"):
        told = dmremap("activate", "data", "--exit-code")
        assert told.returncode == HAS_FAULT and "main device is gone" in told.stdout, told
        rig.media("back").write(0, rig.media("main").whole())
        drop_page_cache(str(rig.server.disk("back").kernel_path))
        assert sets()[0]["state"] == "returned"
        told = dmremap("activate", "data", "--exit-code")
        assert told.returncode == RETURNED and "was re-added" in told.stdout, told
        assert device.pread(1000, 8) == pattern(1, 8)
        device.pwrite(1008, pattern(2, 8))
        device.fsync()
        assert rig.media("back").read(1008, 8) == pattern(2, 8)
        device.close()
        output("deactivate", "data")


@pytest.mark.disks(main="4M", spare="2M", back="4M")
def test_a_commit_beside_a_return(rig: Rig) -> None:
    """The media were read, then the set committed: that does not make them an older copy."""
    hardware(rig, back="MAIN-0001")
    device = active(rig)
    device.pwrite(1000, pattern(1, 8))
    device.fsync()
    back = rig.server.disk("back")
    rig.media("back").write(0, rig.media("main").whole())
    with gone(rig, "main"):
        drop_page_cache(str(back.kernel_path))
        back.hold("read", PROBE, 8)    # the mark is read last, after the table
        returns = rig.background(dmremap, "activate", "data")
        wait_for(back.held, "the look at the mark")
        output("freeze", "data")
        output("thaw", "data")
        back.release()
        result = returns.result(60)
        assert result.returncode == OK and "was re-added" in result.stdout, result
        assert device.pread(1000, 8) == pattern(1, 8)
        device.close()
        output("deactivate", "data")


@pytest.mark.disks(main="4M", spare="2M", back="2M")
def test_an_older_spare_is_refused_before_it_is_put_in(rig: Rig) -> None:
    """O6, D10: found out before the old table is given up; the right spare then works."""
    hardware(rig, back="SPARE-0002")
    device = active(rig)
    device.fsync()
    old = rig.media("spare").whole()
    rig.main.bad(800, 8, kind="write")
    rig.main.bad(PROBE, 8, kind="write")    # the mark cannot tell; memory can
    output("remap", "data", "800", "8")
    device.pwrite(800, pattern(1, 8))
    device.fsync()
    device.pwrite(1000, pattern(2, 8))
    device.fsync()
    right = rig.media("spare").whole()
    table = rig.dmsetup("table", "data").stdout
    rig.media("back").write(0, old)
    with gone(rig, "spare"):
        assert "older copy of the spare" in refused(REFUSED, "activate", "data")
        assert rig.dmsetup("table", "data").stdout == table
        assert device.pread(1000, 8) == pattern(2, 8)    # main is served as before
        assert rig.media("back").whole() == old
        rig.media("back").write(0, right)
        assert "was re-added" in output("activate", "data")
        assert device.pread(800, 8) == pattern(1, 8)
        assert device.pread(1000, 8) == pattern(2, 8)
        device.close()
        output("deactivate", "data")


@pytest.mark.disks(main="4M", spare="2M", back="2M")
def test_a_return_that_fails_ends_in_errors(rig: Rig) -> None:
    """Nothing hangs: what only the target's resume finds out leaves a table of errors."""
    hardware(rig, back="SPARE-0002")
    device = active(rig)
    device.pwrite(1000, pattern(2, 8))
    device.fsync()
    right = rig.media("spare").whole()
    rig.media("back").write(0, right)
    # the mark is to be written again, and main does not take it: known only in preresume
    flags = Spare.of(rig).newest(0).data[FLAGS:FLAGS + 4]
    assert flags[0] & MARKED
    supers(rig, FLAGS, bytes([flags[0] & ~MARKED]) + flags[1:], "back")
    rig.main.bad(PROBE, 8, kind="write")
    with gone(rig, "spare"):
        told = dmremap("activate", "data")
        assert told.returncode != OK and "all its I/O fails" in told.stderr, told
        assert dm.flags("data") & dm.SUSPEND == 0
        with pytest.raises(OSError):
            rig.background(device.pread, 1000, 8).result(20)
        assert "dead" in output("status", "data")
        found, = sets()
        assert found["state"] == "returned"
        rig.main.clear()
        rig.media("back").write(0, right)
        assert "was re-added" in output("activate", "data")
        assert device.pread(1000, 8) == pattern(2, 8)
        device.pwrite(1000, pattern(3, 8))
        device.fsync()
        assert device.pread(1000, 8) == pattern(3, 8)
        device.close()
        output("deactivate", "data")


@pytest.mark.disks(main="4M", spare="2M", back="4M")
def test_a_read_only_set_stays_read_only(rig: Rig) -> None:
    """O19: a member that returns to it is not written."""
    hardware(rig, back="MAIN-0001")
    before = inactive(rig)
    was = images(rig)
    output("activate", "data", "--read-only")
    rig.media("back").write(0, was[0])
    with gone(rig, "main"):
        assert "was re-added" in output("activate", "data")
        assert dm.flags("data") & dm.READONLY
        assert content("data") == before
        output("deactivate", "data")
        settle(rig, "back")
        assert (rig.media("back").whole(), rig.media("spare").whole()) == was


@pytest.mark.disks(main="4M", spare="2M", back="4M")
def test_a_read_write_set_is_not_mended_read_only(rig: Rig) -> None:
    hardware(rig, back="MAIN-0001")
    device = active(rig)
    device.fsync()
    rig.media("back").write(0, rig.media("main").whole())
    with gone(rig, "main"):
        assert "deactivate first" in refused(REFUSED, "activate", "data", "--read-only")
        assert "was re-added" in output("activate", "data")
        device.close()
        output("deactivate", "data")


def test_a_suspended_device_is_told(rig: Rig) -> None:
    ext4_on_main(rig)
    create(rig)
    rig.suspend("data")
    assert "dmsetup resume data" in output("activate", "data")
    rig.resume("data")
    assert output("activate", "data") == "data: already active\n"


def test_what_is_active_otherwise_is_not_passed_for_it(rig: Rig) -> None:
    """An option that does nothing: whoever asked for read-only would write."""
    ext4_on_main(rig)
    create(rig)
    for option, way in ((["--read-only"], "read-write"), (["--name", "other"], "under this name")):
        assert f"data is active {way}; run dmremap deactivate data first" in \
            refused(REFUSED, "activate", "data", *option)
    for option in (["--force-rw"], ["--name", "data"], ["--fallback"], ["--any-hardware"]):
        assert output("activate", "data", *option) == "data: already active\n"
    output("activate", "--auto", "--read-only", "data")
    output("deactivate", "data")
    output("activate", "data", "--read-only")
    assert output("activate", "data", "--read-only") == "data: already active\n"
    assert "data is active in mode ro" in refused(REFUSED, "activate", "data", "--force-rw")


# read-only (O19)

@pytest.mark.parametrize("flag", [2, 4])
def test_read_only_mends_nothing(rig: Rig, flag: int) -> None:
    """"Writes nothing at all": also when create or release was interrupted."""
    inactive(rig)
    flags = Spare.of(rig).newest(0).data[FLAGS:FLAGS + 4]
    supers(rig, FLAGS, bytes([flags[0] | flag]) + flags[1:])
    was = images(rig)
    assert "writes" in refused(REFUSED, "activate", "data", "--read-only")
    assert dmremap("activate", "--auto", "--read-only").returncode == OK
    settle(rig)
    assert images(rig) == was and dm.devices() == []
    assert "was interrupted" in refused(REFUSED, "activate", "data")    # by hand: mended
    settle(rig)
    assert sets() == []


def with_partitions(rig: Rig, text: str = "size=1M\nsize=2M\n") -> None:
    main, = paths(rig, "main")
    subprocess.run(["sfdisk", "-q", "--label", "dos", main], input=text, text=True, check=True,
                   capture_output=True)
    settle(rig)
    create(rig)


def test_partitions_of_a_read_only_set(rig: Rig) -> None:
    with_partitions(rig)
    output("deactivate", "data")
    settle(rig)
    was = images(rig)
    output("activate", "data", "--read-only")
    for name in ("data", "data-part1", "data-part2"):
        assert dm.flags(name) & dm.READONLY, name
        assert subprocess.run(["blockdev", "--getro", f"/dev/mapper/{name}"], text=True,
                              capture_output=True).stdout == "1\n", name
    output("deactivate", "data")
    settle(rig)
    assert images(rig) == was


# partitions (O16)

def test_partitions_are_completed_and_restored(rig: Rig) -> None:
    """Idempotent: one that was removed is made by the next activate; a failed deactivate as well."""
    with_partitions(rig)
    everything = ["data", "data-part1", "data-part2"]
    dm.remove("data-part1")
    assert output("activate", "data") == "data: already active\n"
    assert sorted(dm.devices()) == everything
    for name in ("data", "data-part1", "data-part2"):
        held = os.open(f"/dev/mapper/{name}", os.O_RDONLY)
        assert "in use" in refused(REFUSED, "deactivate", "data")
        os.close(held)
        assert sorted(dm.devices()) == everything, name
    output("deactivate", "data")
    assert dm.devices() == []
    output("activate", "data")
    assert sorted(dm.devices()) == everything


# copies (O12)

@pytest.mark.disks(main="4M", spare="2M", copy="4M", other="2M")
def test_a_lone_copy_is_not_activated(rig: Rig) -> None:
    """The recorded disk is not here: what is here may be a copy of last year."""
    hardware(rig, copy="COPY-0003", other="OTHER-004")
    before = inactive(rig)
    copy, other, main, spare = paths(rig, "copy", "other", "main", "spare")
    rig.media("copy").write(0, rig.media("main").whole())
    rig.media("other").write(0, rig.media("spare").whole())
    rig.main.fail()
    drop_page_cache(main)
    was = rig.media("copy").whole(), rig.media("spare").whole()
    found, = sets()
    assert found["state"] == "duplicate" or found["ignored_copies"] == 1    # the second spare
    rig.media("other").write(0, bytes(rig.server.disk("other").size_bytes))
    found, = sets()
    assert (found["state"], found["main"]) == ("other-hardware", copy)
    told = dmremap("activate", "--auto", spare)
    assert told.returncode == OK and "--any-hardware" in told.stderr, told
    assert f"replace-main data {copy}" in told.stderr and "COPY-0003" in told.stderr
    assert "copy" in refused(REFUSED, "activate", "data") and dm.devices() == []
    assert f"replace-main data {copy}" in refused(REFUSED, "release", "data", "--yes")
    settle(rig, "copy", "spare")
    assert (rig.media("copy").whole(), rig.media("spare").whole()) == was
    output("activate", "data", "--any-hardware")
    assert content("data") == before
    output("deactivate", "data")
    output("replace-main", "data", copy, "--yes")
    replugged()
    assert output("activate", "--auto", spare) == "/dev/mapper/data\n"
    assert content("data") == before


@pytest.mark.disks(main="4M", spare="2M", other="2M")
def test_a_copied_spare_takes_its_place(rig: Rig) -> None:
    hardware(rig, other="OTHER-004")
    before = inactive(rig)
    other, main, spare = paths(rig, "other", "main", "spare")
    rig.media("other").write(0, rig.media("spare").whole())
    rig.spare.fail()
    drop_page_cache(spare)
    assert f"replace-spare data {other}" in dmremap("activate", "--auto", main).stderr
    assert dm.devices() == []
    output("replace-spare", "data", other, "--yes")
    rig.spare.back()
    drop_page_cache(spare)
    assert "deactivated" in dmremap("activate", "--auto", main).stderr    # and stays so
    told = dmremap("activate", main)
    assert told.stdout == "/dev/mapper/data\n" and f"{spare} claims to be" in told.stderr
    assert rig.dmsetup("deps", "-o", "devname", "data").stdout.count(
        f"({Path(other).name})") == 1
    assert content("data") == before
    assert "ignored copies: " + spare in output("list")
    output("deactivate", "data")
    assert "is the set's main device" in refused(USAGE, "replace-spare", "data", main)


@pytest.mark.disks(main="4M", spare="2M", copy="4M")
def test_hardware_that_says_nothing_is_no_contradiction(rig: Rig) -> None:
    before = inactive(rig)
    forget_hardware()
    output("activate", "--auto", paths(rig, "spare")[0])
    assert content("data") == before


# it was deactivated by hand (O13)

def test_what_was_deactivated_is_left_alone(rig: Rig) -> None:
    """udev's one-shot may come late: only a disk that comes anew, or a word, is a reason."""
    before = inactive(rig)
    main, spare = paths(rig, "main", "spare")
    uuid = sets()[0]["uuid"]
    kept = LET_GO / uuid
    assert kept.exists()
    output("activate", "data")
    assert not kept.exists()
    output("deactivate", "data")
    for what in (main, spare, uuid):
        told = dmremap("activate", "--auto", what)
        assert told.returncode == OK and "it was deactivated" in told.stderr
        assert "it was deactivated" in refused(WAITING, "activate", what, "--auto", "--exit-code")
    assert dmremap("activate", "data", "--exit-code").returncode == OK
    assert dmremap("activate", uuid, "--auto", "--exit-code").returncode == WAS_ACTIVE
    assert dmremap("activate", "--auto", "--exit-code").returncode == OK    # of all sets
    output("deactivate", "data")
    assert dmremap("activate", "--auto").returncode == OK and dm.devices() == []
    note = kept.read_text()
    for line in note.splitlines():    # either disk
        kept.write_text(note.replace(f"{line}\n", f"1{line}\n{line}0\n"))
        assert output("activate", "--auto", main) == "/dev/mapper/data\n"
        assert content("data") == before and not kept.exists()
        output("deactivate", "data")
        assert kept.read_text() == note
    output("activate", "data")
    with open("/dev/mapper/data", "rb"):
        assert "in use" in refused(REFUSED, "deactivate", "data")
    assert not kept.exists()
    output("deactivate", "data")
    # without the module as well
    output("activate", "data", "--fallback")
    output("deactivate", "data")
    assert kept.read_text() == note


def test_a_deactivation_that_cannot_be_noted_is_told(rig: Rig) -> None:
    """It is done all the same: who asks for it wants the disks."""
    inactive(rig)
    output("activate", "data")
    for note in LET_GO.iterdir():
        note.unlink()
    LET_GO.rmdir()
    LET_GO.write_text("")
    try:
        result = dmremap("deactivate", "data")
        assert result.returncode == OK and dm.devices() == [], result
        assert "data: /run/dm-remap/let-go cannot be written" in result.stderr, result
        assert "may be activated automatically" in result.stderr, result
    finally:
        LET_GO.unlink()
    output("activate", sets()[0]["uuid"], "--auto")
    result = dmremap("deactivate", "data")
    assert (result.returncode, result.stderr) == (OK, "") and len(list(LET_GO.iterdir())) == 1


# hosts (O7)

def test_a_set_without_host_waits_for_a_word(rig: Rig) -> None:
    """Anybody can write zeros: such a set is no more trusted than a stranger's."""
    before = inactive(rig)
    supers(rig, HOST, bytes(16))
    was = images(rig)
    found, = sets()
    assert found["state"] == "no-host" and found["name"].startswith("remap-")
    told = dmremap("activate", "--auto", paths(rig, "spare")[0])
    assert told.returncode == OK and "adopt-host" in told.stderr and dm.devices() == []
    settle(rig)
    assert images(rig) == was
    output("activate", found["uuid"])
    assert content(found["name"]) == before
    assert "is active" in refused(REFUSED, "adopt-host", found["uuid"])
    output("deactivate", found["name"])
    output("adopt-host", found["uuid"])
    replugged()
    assert output("activate", "--auto", paths(rig, "main")[0]) == "/dev/mapper/data\n"
    assert content("data") == before


def test_a_set_made_with_plain_dmsetup(rig: Rig) -> None:
    """It has neither host nor guard nor label."""
    device = rig.create("r0")
    device.pwrite(100, pattern(1, 8))
    rig.remove("r0")
    found, = sets()
    assert found["state"] == "no-host", found
    assert dmremap("activate", "--auto").returncode == OK and dm.devices() == []
    output("activate", found["uuid"])
    assert content(found["name"])[100 * SECTOR:108 * SECTOR] == pattern(1, 8)


@pytest.mark.parametrize("flag", [0, 2, 4])
def test_nothing_of_a_stranger_is_written(rig: Rig, flag: int) -> None:
    """O7: not even to mend what was interrupted; a word is enough, then."""
    inactive(rig)
    flags = Spare.of(rig).newest(0).data[FLAGS:FLAGS + 4]
    supers(rig, FLAGS, bytes([flags[0] | flag]) + flags[1:])
    supers(rig, HOST, bytes(range(16)))
    was = images(rig)
    found, = sets()
    assert found["state"] == "foreign"
    for arguments in (["activate", "--auto"], ["activate", found["uuid"]],
                      ["activate", "--auto", paths(rig, "spare")[0]]):
        told = dmremap(*arguments)
        assert "another host" in told.stderr, told
        settle(rig)
        assert images(rig) == was and dm.devices() == []
    if flag:
        assert "was interrupted" in refused(REFUSED, "adopt-host", found["uuid"])
        assert "plain disk" in refused(REFUSED, "activate", found["uuid"], "--foreign")
        assert sets() == []


def test_adopt_host_in_each_crash_state(rig: Rig) -> None:
    """O7: after a new installation. Whatever was written of it, the set can be activated."""
    before = inactive(rig)
    supers(rig, HOST, bytes(range(16)))
    stranger = seal_header(rig, bytes(range(16)))
    uuid = sets()[0]["uuid"]
    assert sets()[0]["state"] == "foreign"
    rig.server.log()
    output("adopt-host", uuid)
    settle(rig)
    spare = rig.media("spare").whole()
    header = rig.media("main").read(1)
    assert header != stranger
    found, = sets()
    assert (found["name"], found["state"]) == ("data", "ready")
    # the header was not written any more: the spare decides
    rig.media("main").write(1, stranger)
    found, = sets()
    assert (found["name"], found["state"]) == ("data", "ready")
    output("adopt-host", "data")    # and it is completed
    settle(rig)
    assert rig.media("main").read(1)[72:88] == header[72:88]
    # only one replica of the superblock was written, or the second was torn off
    on_disk = Spare.of(rig)
    rig.media("spare").write(0, spare)
    place = on_disk.newest_place(0, 1)
    on_disk.write(1, place, 0, bytes(4096))
    assert sets()[0]["state"] == "ready"
    output("activate", "--auto", paths(rig, "main")[0])
    assert content("data") == before


def seal_header(rig: Rig, host: bytes) -> bytes:
    """Main's member header names HOST; its first sector."""
    raw = rig.media("main").read(1, 7)
    sealed = seal(raw[:72] + host + raw[88:])
    rig.media("main").write(1, sealed)
    return sealed[:SECTOR]


@pytest.mark.disks(main="4M", spare="4M")
def test_why_it_failed_is_the_last_reason(rig: Rig) -> None:
    """The kernel says something of each block; what ended it is not cut off."""
    inactive(rig)
    spare = Spare.of(rig)
    *others, last = spare.table_blocks
    for block in others:    # possibly stale, each of them
        for replica in (0, 1):
            spare.write(replica, 1, block, b"?" * 4096)
    for replica in (0, 1):
        for place in (0, 1):
            spare.write(replica, place, last, b"?" * 4096)
    told = refused(DAMAGED, "activate", "data")
    assert f"metadata block {last}: no valid copy (" in told and "restore-backup FILE" in told, told


# several at once (O13)

def test_many_at_once_make_one_device(rig: Rig) -> None:
    with_partitions(rig)
    output("deactivate", "data")
    settle(rig)
    replugged()
    calls = [["activate", "--auto", path] for path in paths(rig, "main", "spare")] * 3
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda arguments: dmremap(*arguments), [*calls, ["activate"]]))
    assert all(r.returncode == OK and r.stderr == "" for r in results), results
    assert sum(r.stdout == "/dev/mapper/data\n" for r in results) == 1, results
    assert sorted(dm.devices()) == ["data", "data-part1", "data-part2"]
    assert rig.status("data")["mode"] == "rw"


@pytest.mark.disks(main="4M", spare="2M", slow="1M")
def test_a_disk_that_does_not_answer_holds_no_lock(rig: Rig) -> None:
    """What is done with looking goes on; so does what takes a device down."""
    before = inactive(rig)
    slow = rig.server.disk("slow")
    drop_page_cache(str(slow.kernel_path))
    slow.hold("read", 0, 2048)
    waits = rig.background(dmremap, "activate", "data")
    wait_for(slow.held, "the scan")
    locks.check_free()
    slow.release()
    result = waits.result(60)
    assert (result.returncode, result.stdout) == (OK, "/dev/mapper/data\n"), result
    assert content("data") == before


def test_a_set_that_waits_leaves_a_note(rig: Rig) -> None:
    """/run/dm-remap/waiting is there exactly while a main without guard may come."""
    note = Path("/run/dm-remap/waiting")
    before = ext4_on_main(rig)
    create(rig, "--no-guard")
    output("deactivate", "data")
    settle(rig)
    replugged()
    main, spare = paths(rig, "main", "spare")
    rig.main.fail()
    drop_page_cache(main)
    assert dmremap("activate", "--auto", spare).returncode == OK and note.exists()
    rig.main.back()
    drop_page_cache(main)
    assert output("activate", "--auto") == "/dev/mapper/data\n"
    assert content("data") == before
    assert dmremap("activate", "--auto").returncode == OK and not note.exists()


# exit codes (dmremap(8))

@pytest.mark.disks(main="4M", spare="2M", small="2M", other="2M")
def test_exit_codes(rig: Rig) -> None:
    """What is refused by a disk or the kernel is no wrong argument."""
    hardware(rig, small="MAIN-0001")
    inactive(rig)
    main, spare, small = paths(rig, "main", "spare", "small")
    cases = [
        (USAGE, ["activate", "data", "--nonsense"]),
        (USAGE, ["activate", "data", "--name", "a/b"]),
        (USAGE, ["deactivate", "/dev/none/x"]),
        (NOT_FOUND, ["activate", "nobody"]),
        (NOT_FOUND, ["deactivate", "nobody"]),
        (NOT_FOUND, ["adopt-host", "nobody"]),
        (NOT_FOUND, ["activate", "/dev/none"]),
        (USAGE, ["adopt-host"]),
        (USAGE, ["replace-spare", "data"]),
    ]
    for code, arguments in cases:
        refused(code, *arguments)
    old = rig.media("spare").whole()
    output("activate", "data")
    output("remap", "data", "800")
    output("deactivate", "data")
    settle(rig)
    new = rig.media("spare").whole()
    rig.media("spare").write(0, old)
    result = dmremap("activate", "data")
    assert result.returncode == REFUSED and "older" in result.stderr, result
    assert dm.devices() == []
    rig.media("spare").write(0, new)
    # main is shorter than it was: its own header tells, and the kernel is not asked
    guard = rig.media("main").read(0, 8)
    rig.media("small").write(0, guard)
    rig.main.fail()
    drop_page_cache(main)
    assert sets()[0]["state"] == "mismatch"
    assert "8192" in refused(REFUSED, "activate", "data")
    rig.media("small").write(0, bytes(8 * SECTOR))
    refused(WAITING, "activate", "data")
    rig.main.back()
    drop_page_cache(main)
    # the kernel refuses: another device has the spare
    dm.create("plain")
    dm.load("plain", rig.table())
    dm.resume("plain")
    refused(REFUSED, "adopt-host", "data")
    dm.remove("plain")
    on_disk = Spare.of(rig)
    for replica, place in on_disk.copies(1):
        on_disk.write(replica, place, 1, b"damaged!" * 512)
    refused(DAMAGED, "activate", "data")
    assert "metadata is damaged" in refused(DAMAGED, "adopt-host", "data")


def test_a_device_without_a_table_gets_one(rig: Rig) -> None:
    """What is left when the command is killed between its steps."""
    before = inactive(rig)
    uuid = sets()[0]["uuid"]
    result = rig.dmsetup("create", "data", "--uuid", f"REMAP-{uuid}", "--notable")
    assert result.returncode == 0, result
    output("activate", "--auto", paths(rig, "main")[0])
    assert content("data") == before and rig.status("data")["mode"] == "rw"
    output("deactivate", "data")


@pytest.mark.disks(main="4M", spare="2M", other="2M")
def test_lvm_with_a_devices_file(rig: Rig) -> None:
    """O17: LVM looks at what is listed; what to type is told, or with --yes done."""
    main, = paths(rig, "main")
    made = subprocess.run(["pvcreate", "-q", "-ff", "-y", main], capture_output=True, text=True)
    assert made.returncode == 0, made
    settle(rig)
    pvid = subprocess.run(["blkid", "-p", "-s", "UUID", "-o", "value", main], text=True,
                          capture_output=True).stdout.strip().replace("-", "")
    create(rig)
    place = Path("/etc/lvm/devices")
    with contextlib.ExitStack() as after:
        for directory in (Path("/etc/lvm"), Path("/run/bin")):
            directory.mkdir(exist_ok=True)
            subprocess.run(["mount", "-t", "tmpfs", "none", str(directory)], check=True)
            after.callback(subprocess.run, ["umount", str(directory)], check=True)
        place.mkdir()
        said = Path("/run/bin/said")
        command = Path("/run/bin/lvm")
        command.write_text(f"#!/bin/sh\necho \"$@\" >>{said}\n")
        command.chmod(0o755)
        after.enter_context(pytest.MonkeyPatch.context()).setenv(
            "PATH", f"/run/bin:{os.environ['PATH']}")
        assert dmremap("activate", "data").stderr == ""    # no such file
        devices = place / "system.devices"
        devices.write_text(f"IDTYPE=sys_wwid IDNAME=naa.1 DEVNAME={main} PVID={pvid}\n")
        told = dmremap("activate", "data")
        assert told.returncode == OK, told
        assert (f"lvm lvmdevices --adddev /dev/mapper/data; lvm lvmdevices --deldev {main}\n"
                in told.stderr)
        assert not said.exists()
        assert dmremap("activate", "data", "--yes").stderr == ""
        assert said.read_text() == (f"lvmdevices --yes --adddev /dev/mapper/data\n"
                                    f"lvmdevices --yes --deldev {main}\n")
        devices.write_text(f"IDTYPE=devname IDNAME=/dev/mapper/data DEVNAME=/dev/mapper/data "
                           f"PVID={pvid}\n")
        assert dmremap("activate", "data").stderr == ""
        # what the disk says is its number: another disk that has it is not given up
        other, = paths(rig, "other")
        devices.write_text(f"IDTYPE=sys_wwid IDNAME=naa.2 DEVNAME={other} PVID={pvid}\n")
        assert "deldev" not in dmremap("activate", "data").stderr
        said.unlink()
        assert dmremap("activate", "data", "--yes").stderr == ""
        assert said.read_text() == "lvmdevices --yes --adddev /dev/mapper/data\n"
        devices.write_text(f"IDTYPE=devname IDNAME=/dev/gone DEVNAME=/dev/gone PVID={pvid}\n")
        assert "--deldev /dev/gone" in dmremap("activate", "data").stderr


def test_without_the_module_it_is_said_of_which_set(rig: Rig) -> None:
    """Row 36: a set that is ready and cannot be activated."""
    ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    replugged()    # or --auto would leave it alone
    subprocess.run(["rmmod", "dm_remap"], check=True)
    try:
        found, = sets()
        assert found["state"] == "ready" and "dm-remap is not loaded" in found["reason"]
        assert "dm-remap is not loaded" in output("list")
        for arguments in (("activate", "data"), ("activate",), ("activate", "--auto", "data")):
            assert refused(NOT_FOUND, *arguments).startswith(
                "dmremap: data: the kernel has no target")
        output("activate", "data", "--fallback")
        output("deactivate", "data")
    finally:
        subprocess.run(["insmod", str(Path(os.environ["DM_REMAP_RESULTS"]) / "dm-remap.ko")],
                       check=True)
    found, = sets()
    assert (found["state"], found["reason"]) == ("ready", None)


@pytest.mark.disks(main="4M", spare="2M", other="4M", back="2M")
@pytest.mark.parametrize("is_active", (False, True))
def test_a_foreign_disk_does_not_take_a_name(rig: Rig, is_active: bool) -> None:
    """Whoever plugs in a disk that calls itself as ours kept our backups from being renewed."""
    inactive(rig)
    output("create", "second", *paths(rig, "other", "back"), "--yes")
    output("deactivate", "second")
    supers(rig, LABEL, b"data".ljust(40, b"\0"), disk="back")
    supers(rig, HOST, bytes(range(16)), disk="back")
    settle(rig, "main", "spare", "other", "back")
    foreign, = [found["uuid"] for found in sets() if found["state"] == "foreign"]
    if is_active:
        output("activate", foreign, "--foreign")
    output("backup", "data", "--renew")
    if not is_active:
        before = rig.media("back").whole()
        assert "data: a set of this name exists already; nothing was changed. Use --name" in \
            refused(REFUSED, "adopt-host", foreign)
        settle(rig, "back")
        assert rig.media("back").whole() == before
    assert output("activate", "data") == "/dev/mapper/data\n"
    output("deactivate", "data")
    assert "becomes a plain disk" in output("release", "data", "--yes")
    if not is_active:    # when it is the only one that calls itself so, it is meant
        assert output("activate", "data", "--foreign").startswith("/dev/mapper/remap-")
        output("deactivate", foreign)
        assert output("adopt-host", "data") == "data belongs to this host from now on\n"
        assert output("adopt-host", "data", "--name", "data") == \
            "data belongs to this host from now on\n"


@pytest.mark.disks(main="4M", spare="2M", other="4M", back="2M")
def test_the_worst_of_all_sets_counts(rig: Rig) -> None:
    """Row 16: a set of another host, then one that waits for its spare."""
    inactive(rig)
    output("create", "second", *paths(rig, "other", "back"), "--yes")
    output("deactivate", "second")
    supers(rig, HOST, bytes(range(16)))
    settle(rig, "main", "spare", "other", "back")
    rig.media("back").write(0, bytes(rig.server.disk("back").size_bytes))
    assert {found["state"] for found in sets()} == {"foreign", "waiting"}
    told = dmremap("activate")
    assert told.returncode == REFUSED and "another host" in told.stderr
    assert "its spare device is missing" in told.stderr


def test_a_fallback_takes_no_list(rig: Rig, tmp_path: Path) -> None:
    """Row 16: refused with a sentence; nothing of the list is wrong."""
    inactive(rig)
    output("activate", "data", "--fallback")
    (tmp_path / "list").write_text("100 8\n")
    assert "fallback" in refused(REFUSED, "import", "data", str(tmp_path / "list"), "--format",
                                 "ranges")
