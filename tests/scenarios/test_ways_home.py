# SPDX-License-Identifier: GPL-2.0-or-later
"""A main without guard whose spare is dead, and a copy of main without the mark: they have a way
home, and every refusal leads to it."""

import json
import struct
from pathlib import Path

import pytest

from tests.scenarios import sampled
from tests.scenarios.lib import Device, Rig, drop_page_cache, pattern
from tests.scenarios.ondisk import FLAGS, HOST, MARKED, Spare, patch_supers
from tests.scenarios.powercuts import crash_states
from tests.scenarios.sets import (DAMAGED, NOT_FOUND, REFUSED, WAITING, content, create, dmremap,
                                  ext4_on_main, logged, output, paths, refused, run, sets, settle)

MIB = 1 << 20
PROBE = 4 * MIB - 4096
pytestmark = [pytest.mark.disks(main="4M", spare="2M", other="2M"),
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002", other="SPARE-0003"),
              pytest.mark.usefixtures("state_directory"), pytest.mark.plain_only]


def dead_spare(rig: Rig, *more: str) -> bytes:
    """What main held before it was made a set, the last chunk included; the spare is zeroed."""
    ext4_on_main(rig)
    rig.media("main").write(PROBE // 512, pattern(77, 8))
    before = rig.media("main").whole()
    create(rig, *more)
    output("deactivate", "data")
    rig.media("spare").write(0, bytes(2 * MIB))
    assert rig.media("main").whole()[PROBE:] != before[PROBE:]
    return before


def test_every_refusal_leads_on(rig: Rig) -> None:
    before = dead_spare(rig, "--no-guard")
    main, spare, other = paths(rig, "main", "spare", "other")
    assert sets() == []
    way = f"dmremap release --without-spare {main}"
    for code, arguments in ((WAITING, ("activate", main)), (WAITING, ("release", main)),
                            (REFUSED, ("create", "data", main, other, "--yes")),
                            (REFUSED, ("create", "data", main, other, "--no-guard", "--yes"))):
        assert way in refused(code, *arguments), arguments
    for verb in ("activate", "release"):
        assert "release --without-spare MAIN" in refused(NOT_FOUND, verb, "data")
    told = output("release", "--without-spare", main, "--yes")
    assert "sectors 8184 to 8191" in told and ".backup" in told
    settle(rig)
    assert rig.media("main").whole() == before
    run("fsck.ext4", "-f", "-n", main)
    assert "neither a dm-remap member header" in refused(NOT_FOUND, "release", "--without-spare", main, "--yes")
    output("create", "data", main, spare, "--yes")


def test_the_backup_is_demanded(rig: Rig, tmp_path: Path) -> None:
    """Without a guard it is all that leads home: no backup, no set; a crash leaves none either."""
    before = ext4_on_main(rig)
    main, spare = paths(rig, "main", "spare")
    (tmp_path / "state").write_text("not a directory")
    assert "--backup FILE" in \
        refused(REFUSED, "create", "data", main, spare, "--no-guard", "--yes")
    assert rig.media("main").whole() == before and not any(rig.media("spare").whole())
    create(rig, "--no-guard", "--backup", str(tmp_path / "elsewhere"))
    output("deactivate", "data")
    rig.media("spare").write(0, bytes(2 * MIB))
    assert "--backup FILE" in refused(REFUSED, "release", "--without-spare", main, "--yes")
    output("release", "--without-spare", main, "--yes", "--backup", str(tmp_path / "elsewhere"))
    settle(rig)
    assert rig.media("main").whole() == before


def test_what_no_backup_has_is_given_up_by_name(rig: Rig, state_directory: Path) -> None:
    before = dead_spare(rig, "--no-guard")
    main, = paths(rig, "main")
    for backup in state_directory.iterdir():
        backup.unlink()
    whole = rig.media("main").whole()
    told = refused(REFUSED, "release", "--without-spare", main, "--yes")
    assert "sectors 8184 to 8191" in told and "--accept-loss" in told and ".backup" in told
    assert rig.media("main").whole() == whole
    output("release", "--without-spare", main, "--yes", "--accept-loss")
    settle(rig)
    assert rig.media("main").whole() == before[:PROBE] + bytes(4096)


def test_a_guarded_main_gets_its_last_chunk_too(rig: Rig) -> None:
    before = dead_spare(rig)
    main, = paths(rig, "main")
    output("release", "--without-spare", main, "--yes")
    settle(rig)
    assert rig.media("main").whole() == before


def test_a_foreign_backup_is_refused(rig: Rig, tmp_path: Path) -> None:
    dead_spare(rig, "--no-guard")
    main, other = paths(rig, "main", "other")
    strange = tmp_path / "strange"
    image = tmp_path / "image"
    image.write_bytes(bytes(MIB))
    output("create", "strange", str(image), other, "--yes", "--backup", str(strange))
    assert "another set" in refused(2, "release", "--without-spare", main, "--backup",
                                    str(strange), "--yes")


@pytest.mark.disks(main="4M", spare="2M", copy="4M")
@pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002", copy="MAIN-0003")
def test_a_copy_without_the_mark(rig: Rig, tmp_path: Path) -> None:
    """One bad place of main: activate, release and replace-main sent to each other."""
    before = ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    output("activate", "data")
    for sector in (1600, 2400):
        output("remap", "data", str(sector), "8")
    device = Device("/dev/mapper/data", "data")
    device.pwrite(1600, pattern(5, 8))
    device.close()
    output("deactivate", "data")
    settle(rig)
    main, spare, copy = paths(rig, "main", "spare", "copy")
    image = bytearray(rig.media("main").whole())
    image[PROBE:] = bytes(4096)
    rig.media("copy").write(0, bytes(image))
    settle(rig, "copy")
    table = tmp_path / "map"
    table.write_text(f"0 +\n0 {PROBE} +\n{PROBE} 4096 -\n")
    rig.main.fail()
    drop_page_cache(main)
    assert f"replace-main data {copy}" in refused(REFUSED, "activate", "data")
    assert "the copy lacks the set's mark (sector 8184)" in \
        output("replace-main", "data", copy, "--map", str(table), "--yes")
    output("activate", "data")
    wanted = bytearray(before)
    wanted[1600 * 512:1608 * 512] = pattern(5, 8)
    assert content("data") == wanted
    output("deactivate", "data")
    # from now on the mark tells again: a spare from before that is an old copy
    settle(rig, "copy", "spare")
    newest = rig.media("spare").whole()
    output("activate", "data")
    output("remap", "data", "3200", "8")
    output("deactivate", "data")
    settle(rig, "copy", "spare")
    rig.media("spare").write(0, newest)
    settle(rig, "spare")
    assert "older copy" in refused(REFUSED, "release", "data", "--yes")
    # what has no header of the set is none of its copies
    rig.media("spare").write(0, newest)
    image[:4096] = bytes(4096)
    rig.media("copy").write(0, bytes(image))
    settle(rig, "copy", "spare")
    assert "is not the main device" in refused(NOT_FOUND, "replace-main", "data", copy, "--yes")


def used_set(rig: Rig, *more: str) -> tuple[bytes, bytes]:
    """An inactive set with a remapped chunk: what main held before, and its content."""
    before = ext4_on_main(rig)
    create(rig, *more)
    output("activate", "data")
    output("remap", "data", "1600", "8")
    device = Device("/dev/mapper/data", "data")
    device.pwrite(1600, pattern(5, 8))
    device.close()
    whole = content("data")
    output("deactivate", "data")
    settle(rig)
    return before, whole


def copied(rig: Rig, place: bytes, *, source: bytes | None = None) -> None:
    """The copy is main, with PLACE where its mark is; main is gone."""
    image = bytearray(source or rig.media("main").whole())
    image[PROBE:] = place
    rig.media("copy").write(0, bytes(image))
    settle(rig, "copy")
    rig.main.fail()
    drop_page_cache(paths(rig, "main")[0])


@pytest.mark.disks(main="4M", spare="2M", copy="4M", other="2M")
@pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002", copy="MAIN-0003")
@pytest.mark.parametrize("place", ["zeros", "before"])
def test_an_unguarded_copy_without_the_mark(rig: Rig, place: str) -> None:
    """Nothing on it tells what it is: every verb leads to replace-main --without-mark."""
    before, whole = used_set(rig, "--no-guard")
    copied(rig, bytes(4096) if place == "zeros" else pattern(9, 8))
    spare, copy, other = paths(rig, "spare", "copy", "other")
    assert "replace-main data DEVICE" in refused(WAITING, "activate", "data")
    assert f"replace-main data {copy}" in refused(NOT_FOUND, "activate", copy)
    untouched = rig.media("copy").whole(), rig.media("spare").whole()
    told = refused(NOT_FOUND, "replace-main", "data", copy, "--yes")
    assert "sector 8184 holds something else" in told and "use --without-mark" in told
    plan = dmremap("replace-main", "data", copy, "--without-mark")    # a question
    assert plan.returncode == REFUSED and "lacks the set's mark (sector 8184)" in plan.stdout
    assert ("holds other data there" in plan.stdout) == (place == "before")
    settle(rig, "copy", "spare")
    assert (rig.media("copy").whole(), rig.media("spare").whole()) == untouched
    # a disk that is of another set is none, whatever is said
    output("create", "more", other, copy, "--wipe-spare", "--yes")
    output("deactivate", "more")
    assert "another set" in refused(REFUSED, "replace-main", "data", copy, "--without-mark", "--yes")
    output("release", "more", "--yes")
    rig.media("copy").write(0, untouched[0])
    settle(rig, "copy")
    output("replace-main", "data", copy, "--without-mark", "--yes")
    output("activate", "data")
    assert content("data") == whole and whole != before
    output("release", "data", "--yes")
    settle(rig, "copy")
    assert rig.media("copy").whole() == whole


@pytest.mark.disks(main="4M", spare="2M", copy="4M")
@pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002", copy="MAIN-0003")
@pytest.mark.parametrize("guard", [[], ["--no-guard"]])
def test_a_foreign_copy_without_the_mark(rig: Rig, guard: list[str]) -> None:
    """adopt-host and replace-main sent to each other."""
    _, whole = used_set(rig, *guard)
    patch_supers(rig, HOST, b"another host's id"[:16])
    copied(rig, bytes(4096))
    uuid, (copy,) = sets()[0]["uuid"], paths(rig, "copy")
    more = ["--without-mark"] if guard else []
    assert "adopt-host" in refused(REFUSED, "replace-main", uuid, copy, *more, "--yes")
    if guard:
        assert "use --without-main" in refused(WAITING, "adopt-host", uuid)
    output("adopt-host", uuid, *(["--without-main"] if guard else []))
    output("replace-main", "data", copy, *more, "--yes")
    output("activate", "data")
    assert content("data") == whole


@pytest.mark.disks(main="4M", spare="2M", copy="4M")
@pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002")
@pytest.mark.parametrize("guard", [[], ["--no-guard"]])
def test_a_copy_without_mark_and_serial(rig: Rig, guard: list[str]) -> None:
    """A virtual disk: "no replacement is needed" was said of a copy that could not be activated."""
    _, whole = used_set(rig, *guard)
    copied(rig, bytes(4096))
    copy, = paths(rig, "copy")
    order = ["replace-main", "data", copy, "--without-mark", "--yes"]
    if guard:
        assert "needs the guard" in refused(REFUSED, *order)
        return
    assert "must stay detached" in output(*order)
    output("activate", "data")
    assert content("data") == whole


@pytest.mark.disks(main="4M", spare="2M", copy="4M")
@pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002", copy="MAIN-0003")
def test_the_only_copy_of_mains_last_chunk(rig: Rig) -> None:
    """The spare's cannot be read, and a mark would be written over the one on the copy."""
    used_set(rig, "--no-guard")
    spare, copy = paths(rig, "spare", "copy")
    flags = next(struct.unpack_from("<I", block.data, FLAGS)[0]
                 for block in Spare.of(rig).copies(0).values() if block.valid)
    patch_supers(rig, (FLAGS, 4), struct.pack("<I", flags & ~MARKED))
    slot, = (entry["slot"] for entry in json.loads(output("dump", spare, "--json"))["entries"]
             if entry["cause"] == "probe")
    copied(rig, pattern(78, 8))
    before = rig.media("copy").whole()
    rig.spare.bad(Spare.of(rig).slot_sector(slot), 8, kind="read")
    for more in ([], ["--without-mark"]):
        told = refused(DAMAGED, "replace-main", "data", copy, *more, "--yes")
        assert "main's last chunk is kept there" in told and spare in told, told
    settle(rig)
    assert rig.media("copy").whole() == before


def test_release_without_an_outdated_spare(rig: Rig) -> None:
    """Each sent to the other: the old copy that is attached is not the spare that is gone."""
    before = ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    settle(rig)
    old = rig.media("spare").whole()
    output("activate", "data")
    output("remap", "data", "3200", "8")
    output("deactivate", "data")
    main, = paths(rig, "main")
    assert "is present; run dmremap release" in \
        refused(REFUSED, "release", "--without-spare", main, "--yes")
    settle(rig)
    rig.media("spare").write(0, old)
    settle(rig)
    assert f"release --without-spare {main}" in refused(REFUSED, "release", "data", "--yes")
    assert f"release --without-spare {main}" in refused(REFUSED, "activate", "data")
    output("release", "--without-spare", main, "--yes")
    settle(rig)
    assert rig.media("main").whole() == before


@pytest.mark.parametrize("guard", [[], ["--no-guard"]])
def test_a_spare_that_is_adopted_alone_is_still_an_old_copy(rig: Rig, guard: list[str]) -> None:
    ext4_on_main(rig)
    create(rig, *guard)
    output("deactivate", "data")
    output("activate", "data")
    output("remap", "data", "1600", "8")
    output("deactivate", "data")
    settle(rig)
    old = rig.media("spare").whole()
    output("activate", "data")
    output("remap", "data", "3200", "8")
    output("deactivate", "data")
    settle(rig)
    rig.media("spare").write(0, old)
    settle(rig)
    patch_supers(rig, HOST, b"another host's id"[:16])
    rig.main.fail()
    drop_page_cache(paths(rig, "main")[0])
    output("adopt-host", sets()[0]["uuid"], "--without-main")
    rig.main.back()
    drop_page_cache(paths(rig, "main")[0])
    assert "older copy" in refused(REFUSED, "release", "data", "--yes")
    assert dmremap("activate", "data").returncode != 0


@pytest.mark.parametrize("guard", [[], ["--no-guard"]])
def test_a_mark_that_became_unreadable(rig: Rig, guard: list[str]) -> None:
    """It is main by its hardware, and the kernel finds another place."""
    _, whole = used_set(rig, *guard)
    rig.main.bad(PROBE // 512, 8, kind="read")
    drop_page_cache(paths(rig, "main")[0])
    assert sets()[0]["state"] == "ready"
    output("activate", "data")
    assert content("data") == whole
    output("deactivate", "data")
    output("activate", "data")
    assert content("data") == whole


def test_a_main_that_answers_nothing_is_missing(rig: Rig) -> None:
    used_set(rig, "--no-guard")
    rig.main.fail()
    drop_page_cache(paths(rig, "main")[0])
    assert sets()[0]["state"] == "waiting"


@pytest.mark.parametrize("guard", [[], ["--no-guard"]])
def test_power_cuts_on_the_way_home(rig: Rig, guard: list[str]) -> None:
    """After each write of it the same order ends with the plain disk."""
    before = dead_spare(rig, *guard)
    main, = paths(rig, "main")
    images, records = logged(rig, "release", "--without-spare", main, "--yes")
    records = [record for record in records if record.disk == 0]
    seen = 0
    for _, state in crash_states(records, {0: images[0]}, 7):
        rig.media("main").write(0, state[0])
        result = dmremap("release", "--without-spare", main, "--yes")
        settle(rig)
        assert rig.media("main").whole() == before, result
        seen += 1
    assert seen > 4 // sampled.ONE_OF
