# SPDX-License-Identifier: GPL-2.0-or-later
"""A set moves to a larger spare (O10, O22): nothing is lost, whenever the power goes."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.scenarios import dm, locks, sampled
from tests.scenarios.lib import SECTOR, Device, Rig, drop_page_cache, pattern, wait_for
from tests.scenarios.ondisk import Spare
from tests.scenarios.powercuts import crash_states
from tests.scenarios.region import Region
from tests.scenarios.sets import (FAILED, NOT_FOUND, OK, REFUSED, USAGE, WAITING, asked, content_at,
                                  create, dmremap, ext4_on_main, logged, output, paths,
                                  refused, replugged, run, sets, settle)

MIB = 1 << 20
ALL = ("main", "spare", "larger")
pytestmark = [pytest.mark.disks(main="2M:vcache=on", spare="512K:vcache=on", larger="1M:vcache=on"),
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002", larger="SPARE-0003"),
              pytest.mark.plain_only]


def used(rig: Rig, *more: str) -> bytes:
    """An inactive set with relocated chunks, a part of one and a lost sector; its content."""
    ext4_on_main(rig)
    create(rig, *more)
    device = Device("/dev/mapper/data", "data")
    for sector, count in ((800, 16), (817, 3)):
        rig.main.bad(sector, count, kind="both")
        device.pwrite(sector, pattern(sector, count))
    rig.main.bad(1600, kind="read")
    rig.message("data", "remap 1600 4")
    device.close()
    assert content_at("data", 1600) is None
    before = whole(rig)
    output("deactivate", "data")
    settle(rig, *ALL)
    return before


def whole(rig: Rig) -> bytes:
    """The content of "data", the lost sector left out."""
    device = Device("/dev/mapper/data", "data", read_only=True)
    try:
        return device.pread(0, 1600) + device.pread(1601, device.sectors() - 1601)
    finally:
        device.close()


def test_a_slot_that_cannot_be_read_has_a_way_out(rig: Rig) -> None:
    """P10: only what the set needs of it counts, and the refusal of release leads on."""
    before = ext4_on_main(rig)
    create(rig)
    for sector in (1600, 2400):
        rig.message("data", f"remap {sector} 4")
    slot = {remap["sector"]: remap["slot"]
            for remap in json.loads(output("show", "data", "--json"))["remaps"]}
    region = Region(rig)
    settle(rig, *ALL)
    rig.spare.bad(region.slot(slot[1600]) + 6, kind="read")    # which the slot does not serve
    rig.spare.bad(region.slot(slot[2400]) + 1, kind="read")
    told = refused(FAILED, "release", "data", "--yes")
    assert "serves sector 2401 of the set" in told and "resize --accept-loss" in told
    assert dm.devices() == ["data"]
    output("deactivate", "data")
    assert "1 sector" in refused(FAILED, "resize", "data", paths(rig, "larger")[0], "--yes")
    output("resize", "data", paths(rig, "larger")[0], "--yes", "--accept-loss")
    assert "sector 2401 is lost" in refused(REFUSED, "release", "data", "--yes")
    output("release", "data", "--yes", "--give-up", "2401")
    settle(rig, *ALL)
    assert rig.media("main").whole() == before


def test_devices_that_cannot_be_meant(rig: Rig) -> None:
    """Each refusal says what is wrong: not that another holds what the command itself holds."""
    ext4_on_main(rig)
    create(rig, "--backup", "/tmp/data.backup")
    output("deactivate", "data")
    main, spare, larger = paths(rig, *ALL)
    for words, why in ((["resize", "data", main], "is the set's main device"),
                       (["replace-main", "data", spare], "is the set's spare device"),
                       (["replace-spare", "data", main], "is the set's main device"),
                       (["restore-backup", "/tmp/data.backup", main], "is the set's main device")):
        assert why in refused(USAGE, *words, "--yes")
    for verb in ("replace-main", "replace-spare"):
        assert "not a block device" in refused(NOT_FOUND, verb, "data", "/dev/nosuch", "--yes")
    told = refused(NOT_FOUND, "replace-spare", "data", larger, "--yes")
    assert larger in told and "guard" not in told
    for path in (main, spare):
        run("blockdev", "--setro", path)
        told = refused(REFUSED, "activate", "data")
        assert f"{path} is write-protected; use --read-only" in told
        output("activate", "data", "--read-only")
        output("deactivate", "data")
        run("blockdev", "--setrw", path)
    output("activate", "data")


def slots(rig: Rig) -> int:
    return int(rig.status("data")["total"])


def test_to_a_larger_one(rig: Rig) -> None:
    """All is there, the counters and the reasons as well; the old spare is blank and forgotten."""
    before = used(rig)
    main, spare, larger = paths(rig, *ALL)
    output("activate", "data")
    was, shown = rig.status("data"), output("show", "data", "--json")
    output("deactivate", "data")
    said = output("resize", "data", larger, "--yes")
    assert f"{larger} is its spare device now" in said and "lost" not in said
    settle(rig, *ALL)
    assert not any(rig.media("spare").whole())
    replugged()
    assert output("activate", "--auto", main) == "/dev/mapper/data\n"
    assert whole(rig) == before and content_at("data", 1600) is None
    now = rig.status("data")
    assert now["total"] > was["total"] + 100
    for key in ("mode", "used", "lost_sectors", "read_errors", "write_errors", "relocations"):
        assert now[key] == was[key], key
    for line in shown.splitlines():
        if '"cause"' in line:
            assert line in output("show", "data", "--json")
    # more than the old one had room for
    device = Device("/dev/mapper/data", "data")
    rig.main.bad(1800, 1600, kind="write")
    for chunk in range(225, 225 + was["total"]):
        device.pwrite(8 * chunk, pattern(chunk, 8))
    device.close()
    assert rig.status("data")["used"] >= was["total"] and rig.status("data")["mode"] == "rw"
    output("deactivate", "data")
    (found,) = sets()
    assert (found["spare"], found["ignored_copies"]) == (larger, 0)
    # a backup of the new layout can be put back onto it
    assert dmremap("check", larger).returncode == OK


def test_back_to_one_that_is_just_large_enough(rig: Rig) -> None:
    before = used(rig)
    main, spare, larger = paths(rig, *ALL)
    output("resize", "data", larger, "--yes")
    output("activate", "data")
    rig.message("data", "remap 2400 160")
    nr_used = rig.status("data")["used"]
    output("deactivate", "data")
    settle(rig, *ALL)
    was = [rig.media(name).whole() for name in ALL]
    told = refused(FAILED, "resize", "data", spare, "--yes", "--spare-size", "320K")
    assert "is too small" in told
    assert [rig.media(name).whole() for name in ALL] == was
    output("resize", "data", spare, "--yes", "--spare-size", "400K")
    output("activate", "data")
    assert whole(rig) == before and rig.status("data")["used"] == nr_used
    output("deactivate", "data")


@pytest.mark.disks(main="2M", spare="512K", larger="1M", other="512K")
def test_refusals_change_nothing(rig: Rig) -> None:
    used(rig)
    names = (*ALL, "other")
    main, spare, larger, other = paths(rig, *names)
    output("create", "other", larger, other, "--yes")
    output("deactivate", "other")
    for path, role in ((larger, "main"), (other, "spare")):
        assert f"{role} device of a set" in refused(REFUSED, "resize", "data", path, "--yes",
                                                    "--wipe-spare")
    output("release", "other", "--yes")
    rig.media("larger").write(0, pattern(9))
    settle(rig, *names)
    was = [rig.media(name).whole() for name in names]
    for code, words, arguments in (
            (REFUSED, "--wipe-spare", ["data", larger]),
            (USAGE, "spare already", ["data", spare, "--wipe-spare"]),
            (USAGE, "main device", ["data", main, "--wipe-spare"]),
            (NOT_FOUND, "not a block device", ["data", "/dev/null"]),
            (NOT_FOUND, "no such set", ["nobody", larger]),
            (USAGE, "invalid size", ["data", larger, "--spare-size", "x"]),
            (FAILED, "has only", ["data", larger, "--wipe-spare", "--spare-size", "2M"])):
        assert words in refused(code, "resize", *arguments, "--yes"), arguments
    told = dmremap("resize", "data", larger, "--wipe-spare")
    assert told.returncode == REFUSED and "not done" in told.stderr
    settle(rig, *names)
    assert [rig.media(name).whole() for name in names] == was
    output("activate", "data")
    assert "is active" in refused(REFUSED, "resize", "data", larger, "--wipe-spare", "--yes")
    output("deactivate", "data")


def test_what_the_old_spare_does_not_give_back(rig: Rig) -> None:
    """It is told, and an error afterwards: never something else."""
    used(rig)
    larger, = paths(rig, "larger")
    spare = Spare.of(rig)
    slot, = (entry.slot for entry in spare.entries() if entry.state and entry.chunk == 100)
    rig.spare.bad(spare.slot_sector(slot) + 2, 2, kind="both")
    drop_page_cache(paths(rig, "spare")[0])
    told = refused(FAILED, "resize", "data", larger, "--yes")
    assert "2 sectors of" in told and "--accept-loss" in told
    settle(rig, "larger")
    assert not any(rig.media("larger").whole())
    assert "2 sectors of" in output("resize", "data", larger, "--yes", "--accept-loss")
    output("activate", "data")
    expected = pattern(800, 16)
    for i in range(16):
        is_lost = i in (2, 3)
        assert content_at("data", 800 + i) == \
            (None if is_lost else expected[i * SECTOR:(i + 1) * SECTOR]), i
    assert rig.status("data")["lost_sectors"] == 3
    output("deactivate", "data")


@pytest.mark.parametrize("guard", [True, False])
def test_every_power_cut(rig: Rig, guard: bool) -> None:
    """After every write and flush the set is whole, or is so when the command is repeated; and
    the one that is activated serves what it should."""
    before = used(rig, *([] if guard else ["--no-guard"]))
    spare, larger = paths(rig, "spare", "larger")
    images, records = logged(rig, "resize", "data", larger, "--yes")
    ends = {spare: 0, larger: 0, "neither": 0}
    for number, state in crash_states(records, images, seed=20261128):
        for index, name in enumerate(ALL):
            rig.media(name).write(0, state[index])
        what = f"after record {number} of {len(records)}"
        counts = "neither"
        for gone in (None, "larger", "spare"):    # all are here, or one of the two
            if gone:
                rig.server.disk(gone).fail()
                drop_page_cache(paths(rig, gone)[0])
            if dmremap("activate", "data", "--any-hardware").returncode == OK:
                assert whole(rig) == before and content_at("data", 1600) is None, what
                output("deactivate", "data")
                (found,) = sets()
                assert counts in ("neither", found["spare"]), (what, counts, found)
                counts = found["spare"]
            assert dm.devices() == [], what
            if gone:
                rig.server.disk(gone).back()
                drop_page_cache(paths(rig, gone)[0])
        ends[counts] += 1
        if counts == "neither" and guard:    # the new one has everything: the old one may die
            rig.spare.fail()
            drop_page_cache(spare)
            output("resize", "data", larger, "--yes")
            output("activate", "data")
            assert whole(rig) == before, what
            output("deactivate", "data")
            rig.spare.back()
            drop_page_cache(spare)
        result = dmremap("resize", "data", larger, "--yes")
        assert result.returncode == OK or "spare already" in result.stderr, (what, result)
        output("activate", "data")
        (found,) = sets()
        assert found["spare"] == larger and found["ignored_copies"] == 0, (what, found)
        assert whole(rig) == before and content_at("data", 1600) is None, what
        output("deactivate", "data")
    print(ends)
    assert min(ends.values()) >= 1 or sampled.ONE_OF > 1


@pytest.mark.parametrize("guard", [True, False])
def test_the_old_spare_does_not_come_back(rig: Rig, guard: bool) -> None:
    """It could not be wiped: it is refused, by the kernel as well, though it has higher numbers
    than the new one at first: counters are saved under them."""
    before = used(rig, *([] if guard else ["--no-guard"]))
    for _ in range(3):
        output("activate", "data")
        output("deactivate", "data")
    settle(rig, *ALL)
    larger, spare = paths(rig, "larger", "spare")
    old = rig.media("spare").whole()
    output("resize", "data", larger, "--yes")
    output("activate", "data")
    rig.message("data", "remap 3000 8")
    assert whole(rig) == before
    output("deactivate", "data")
    settle(rig, *ALL)
    rig.media("spare").write(0, old)
    rig.server.disk("larger").fail()
    drop_page_cache(larger)
    for options in ([], ["--any-hardware"], ["--any-hardware", "--force-rw"],
                    ["--any-hardware", "--fallback"]):
        assert dmremap("activate", "data", *options).returncode != OK and dm.devices() == []
    rig.server.disk("larger").back()
    drop_page_cache(larger)
    output("resize", "data", larger, "--yes")    # what was left to be done
    settle(rig, *ALL)
    assert not any(rig.media("spare").whole())
    output("activate", "data")
    assert whole(rig) == before
    output("deactivate", "data")
    assert spare not in [found["spare"] for found in sets()]


@pytest.mark.parametrize("guard", [True, False])
def test_from_a_spare_that_takes_no_write(rig: Rig, guard: bool) -> None:
    """A dying disk that has become read-only: it is read, and main's mark says that it is old."""
    before = used(rig, *([] if guard else ["--no-guard"]))
    spare, larger = paths(rig, "spare", "larger")
    old = rig.media("spare").whole()
    run("blockdev", "--setro", spare)
    try:
        plan = dmremap("resize", "data", larger).stdout
        assert "is write-protected, and stays as it is" in plan and "wiped" not in plan
        told = dmremap("resize", "data", larger, "--yes")
        assert told.returncode == OK and "could not be wiped" in told.stderr, told
        settle(rig, *ALL)
        assert rig.media("spare").whole() == old
        # both are there: the old one counts for nothing, write-protected or not
        for command in ("--setro", "--setrw"):
            run("blockdev", command, spare)
            (found,) = sets()
            assert found["state"] == "ready" and found["spare"] == larger, found
            output("activate", "data")
            assert whole(rig) == before
            output("deactivate", "data")
    finally:
        run("blockdev", "--setrw", spare)
    # and alone it is refused
    rig.server.disk("larger").fail()
    drop_page_cache(larger)
    assert dmremap("activate", "data", "--any-hardware").returncode != OK and dm.devices() == []


@pytest.mark.parametrize("guard", [True, False])
def test_power_cuts_beside_a_spare_that_takes_no_write(rig: Rig, guard: bool) -> None:
    before = used(rig, *([] if guard else ["--no-guard"]))
    spare, larger = paths(rig, "spare", "larger")
    images, records = logged(rig, "resize", "data", larger, "--yes")
    # what was written to the old one never happened: it is wiped last
    records = [record for record in records if record.disk != rig.spare.index]
    seen = set()
    for number, state in crash_states(records, images, seed=20261201):
        for index, name in enumerate(ALL):
            rig.media(name).write(0, state[index])
        what = f"after record {number} of {len(records)}"
        run("blockdev", "--setro", spare)
        try:
            result = dmremap("resize", "data", larger, "--yes")
            assert result.returncode == OK or "spare already" in result.stderr, (what, result)
            seen.add(result.returncode)
            output("activate", "data")
            (found,) = sets()
            assert found["spare"] == larger, (what, found)
            assert whole(rig) == before and content_at("data", 1600) is None, what
            output("deactivate", "data")
        finally:
            run("blockdev", "--setrw", spare)
    assert OK in seen


def test_a_frozen_set_stays_so(rig: Rig) -> None:
    """E7: only an administrator ends it."""
    used(rig)
    output("activate", "data")
    rig.message("data", "freeze")
    output("deactivate", "data")
    output("resize", "data", *paths(rig, "larger"), "--yes")
    output("activate", "data")
    assert rig.status("data")["mode"] == "frozen"
    output("deactivate", "data")


def test_a_new_spare_that_takes_nothing(rig: Rig) -> None:
    """An error is an error, and the set is as it was."""
    before = used(rig)
    larger, = paths(rig, "larger")
    rig.server.disk("larger").bad(64, kind="write")
    told = refused(FAILED, "resize", "data", larger, "--yes")
    assert "still uses the old spare" in told
    rig.server.disk("larger").clear()
    output("activate", "data")
    (found,) = sets()
    assert found["spare"] != larger and whole(rig) == before
    output("deactivate", "data")


@pytest.mark.disks(main="2M", spare="512K", larger="4M")    # one wipe touches the slots
@pytest.mark.parametrize("what", ["slot", "table"])
def test_a_new_spare_that_lies(rig: Rig, what: str) -> None:
    """Nothing counts that was not read again: what it acknowledged is something else by then."""
    before = used(rig)
    larger, = paths(rig, "larger")
    disk = rig.server.disk("larger")
    layout = Spare(rig.media("larger"), disk.size_bytes // SECTOR)
    disk.delay("write", 50)    # so that nothing is missed between two holds
    disk.hold("write", layout.slot_sector(1), 8)
    job = rig.background(dmremap, "resize", "data", larger, "--yes")
    wait_for(lambda: disk.held() == 1, "the first wipe")
    disk.release()
    disk.hold("write", layout.slot_sector(1), 8)    # the tables and the first slot are written
    wait_for(lambda: disk.held() == 1, "the write of a slot")
    sector = layout.slot_sector(0) if what == "slot" else layout.sector(0, 0, 1)
    rig.media("larger").write(sector, pattern(7, 8))
    disk.delay("write", 0)
    disk.release()
    told = job.result()
    assert told.returncode == FAILED and "differs from what was written" in told.stderr
    assert "still uses the old spare" in told.stderr
    output("activate", "data")
    (found,) = sets()
    assert found["spare"] != larger and whole(rig) == before
    output("deactivate", "data")


def test_it_is_named_while_it_copies(rig: Rig) -> None:
    """Who has the members, and what to do; for udev that is no failure, and the daemon tries again."""
    before = used(rig)
    main, spare, larger = paths(rig, *ALL)
    replugged()
    disk = rig.server.disk("larger")
    disk.hold("write", 0, disk.size_bytes // SECTOR)
    job = rig.background(dmremap, "resize", "data", larger, "--yes")
    wait_for(disk.held, "the copying")
    try:
        for call, code in ((("activate", "data"), WAITING), (("activate", "--fallback", "data"), WAITING),
                           (("activate", "--auto", main), OK), (("activate", "--auto", spare), OK),
                           (("activate", "--auto", "--exit-code", spare), FAILED),
                           (("adopt-host", "data"), REFUSED)):
            told = dmremap(*call)
            assert told.returncode == code, told
            assert re.fullmatch(rf"dmremap: (data: )?{main} is in use by process \d+ \(\S*dmremap resize "
                                rf"data {larger} --yes\); try again when that has ended\n",
                                told.stderr), told
        assert dm.devices() == []
    finally:
        disk.release()
    assert job.result(60).returncode == OK
    output("activate", "data")
    assert whole(rig) == before
    output("deactivate", "data")


def test_one_that_only_reads_is_not_named(rig: Rig, tmp_path: Path) -> None:
    """Another dmremap looks at the main that something else holds: to wait for it helps nobody."""
    used(rig)
    main, = paths(rig, "main")
    replugged()
    program = Path(shutil.copy("/bin/sleep", tmp_path / "dmremap"))
    with open(main, "rb") as read, subprocess.Popen([program, "60"], stdin=read) as reader:
        holder = os.open(main, os.O_RDWR | os.O_EXCL)
        try:
            wait_for(lambda: Path(f"/proc/{reader.pid}/comm").read_text() == "dmremap\n", "it to run")
            told = dmremap("activate", "data")
            assert told.returncode == REFUSED and "mounted, swap" in told.stderr, told
        finally:
            os.close(holder)
            reader.kill()


def test_a_main_that_takes_no_mark(rig: Rig) -> None:
    before = used(rig)
    larger, = paths(rig, "larger")
    probe_chunk = Spare.of(rig).entries()[0].chunk
    rig.main.bad(8 * probe_chunk, 8, kind="write")
    assert "cannot write the mark" in refused(FAILED, "resize", "data", larger, "--yes")
    rig.main.clear()
    rig.main.bad(800, 16, kind="both")
    output("activate", "data")
    (found,) = sets()
    assert found["spare"] != larger and whole(rig) == before
    output("deactivate", "data")


@pytest.mark.disks(main="2M", spare="512K", larger="1M:logical=4096")
def test_larger_blocks_than_mains(rig: Rig) -> None:
    """The kernel would refuse it: so does the command, before it is too late."""
    before = used(rig)
    larger, = paths(rig, "larger")
    assert "has logical blocks of 4096 bytes" in refused(USAGE, "resize", "data", larger, "--yes")
    output("activate", "data")
    assert whole(rig) == before
    output("deactivate", "data")


def test_a_question_is_asked_without_the_lock(rig: Rig) -> None:
    """The old spare was not wiped yet when the command was killed: it asks before it does that."""
    used(rig)
    spare, larger = paths(rig, "spare", "larger")
    old = rig.media("spare").whole()
    output("resize", "data", larger, "--yes")
    settle(rig, *ALL)
    rig.media("spare").write(0, old)
    with asked("resize", "data", larger) as yes:
        locks.check_free()
        assert yes().returncode == OK
    settle(rig, *ALL)
    assert not any(rig.media("spare").whole()[:4096])
