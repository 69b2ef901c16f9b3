# SPDX-License-Identifier: GPL-2.0-or-later
"""What the command leaves alone: the guard, strangers' disks, and all of it when it refuses.

Rows 2, 4, 6, 11, 14, 15 and 34 of the list of small things that go wrong (issue 11).
"""

import contextlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.scenarios import dm, locks
from tests.scenarios.hardware import udev_record
from tests.scenarios.lib import SECTOR, Device, Rig, drop_page_cache, pattern, wait_for
from tests.scenarios.ondisk import Spare
from tests.scenarios.sets import (DAMAGED, FAILED, NOT_FOUND, OK, PROGRAM, REFUSED, USAGE, WAITING,
                                  content, create, dmremap, ext4_on_main, output, paths, refused,
                                  replugged, sets, settle, signatures)

RULES, STATE = Path("/etc/udev/rules.d"), Path(os.environ["STATE_DIRECTORY"])
CONTROL = Path("/run/udev/control")
pytestmark = [pytest.mark.disks(main="2M", spare="1M", other="2M"), pytest.mark.plain_only,
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002", other="OTHER-0003")]


@pytest.fixture(autouse=True)
def no_rules_stay() -> Iterator[None]:
    yield
    for rule in RULES.iterdir():
        rule.unlink()


# the guard

@pytest.mark.parametrize("way", ["command", "kernel"])
def test_what_hides_main_stays_on_the_spare(rig: Rig, way: str) -> None:
    """Sectors 0 to 7 are the guard's, and the last chunk but one is the set's own."""
    ext4_on_main(rig)
    create(rig)
    uuid = sets()[0]["uuid"]
    rig.message("data", "remap 2000 8")
    kept = [line["sector"] for line in json.loads(output("show", "data", "--json"))["remaps"]
            if line["cause"] in ("guard", "probe")]
    assert 0 in kept and len(kept) >= 2
    settle(rig)
    before = rig.media("main").whole()
    for sector in kept:
        for first, count in ((sector, 8), (sector + 2, 1), (max(0, sector - 8), 24)):
            if first + count > 4096:
                continue
            if way == "command":
                assert "nothing was changed" in \
                    refused(REFUSED, "unremap", "data", str(first), str(count))
            else:
                with pytest.raises(PermissionError):
                    rig.message("data", f"unremap {first} {count}")
    settle(rig)
    assert rig.media("main").whole() == before
    assert signatures(paths(rig, "main")[0]) == {"PMBR"} and sets()[0]["uuid"] == uuid
    output("unremap", "data", "2000", "8")
    # the whole disk: not even what comes before
    rig.message("data", "remap 2000 8")
    used = rig.status("data")["used"]
    refused(REFUSED, "unremap", "data", "0", "4096")
    assert rig.status("data")["used"] == used
    output("release", "data", "--yes")


# strangers' disks

@contextlib.contextmanager
def udev_runs(rig: Rig, known: dict[str, str]) -> Iterator[None]:
    """As if udev's daemon had looked: KNOWN has what it says of each disk."""
    for name, properties in known.items():
        path = udev_record(rig.server.disk(name).kernel_path)
        kept = path.read_text() if path.exists() else ""
        path.write_text(kept + "".join(f"E:{line}\n" for line in properties.split()))
    CONTROL.touch()
    try:
        yield
    finally:
        CONTROL.unlink()


def member(role: str, uuid: str) -> str:
    return f"ID_FS_TYPE=dm_remap_member DM_REMAP_ROLE={role} DM_REMAP_UUID={uuid} " \
        "ID_FS_LABEL=data"


@contextlib.contextmanager
def hanging(rig: Rig, name: str) -> Iterator[None]:
    disk = rig.server.disk(name)
    drop_page_cache(str(disk.kernel_path))
    disk.hold("read", 0, disk.size_bytes // SECTOR)
    try:
        yield
    finally:
        disk.release()


def inactive(rig: Rig, *more: str) -> str:
    ext4_on_main(rig)
    create(rig, *more)
    output("deactivate", "data")
    settle(rig)
    return str(sets()[0]["uuid"])


def test_no_verb_opens_the_disk_of_a_stranger(rig: Rig) -> None:
    """Udev says that it has other content: it may hang as long as it likes."""
    uuid = inactive(rig)
    with udev_runs(rig, {"main": member("main", uuid), "spare": member("spare", uuid),
                         "other": "ID_FS_TYPE=ext4 ID_FS_USAGE=filesystem"}), \
            hanging(rig, "other"):
        found, = sets()
        assert found["state"] == "ready", found
        output("adopt-host", "data")
        output("backup", "data", "/tmp/backup-of-data")
        assert "data" in output("list", "--names").split()
        assert not rig.server.disk("other").held()
    Path("/tmp/backup-of-data").unlink()


TWO_SETS = pytest.mark.disks(main="2M", spare="1M", other="2M", second="1M")


def two_inactive(rig: Rig, *more: str) -> list[str]:
    """The UUIDs of data, on main and spare, and of more, on other and second."""
    inactive(rig, *more)
    output("create", "more", *paths(rig, "other", "second"), "--yes", *more)
    output("deactivate", "more")
    settle(rig, "main", "spare", "other", "second")
    replugged()
    by_name = {found["name"]: str(found["uuid"]) for found in sets()}
    return [by_name["data"], by_name["more"]]


@TWO_SETS
@pytest.mark.parametrize("by", ["path", "uuid"])
def test_an_automatic_activation_asks_no_other_set(rig: Rig, by: str) -> None:
    """At boot there is one for each disk: together they would ask the square of their number."""
    data, more = two_inactive(rig)
    others = [rig.server.disk(name) for name in ("other", "second")]
    with udev_runs(rig, {"main": member("main", data), "spare": member("spare", data),
                         "other": member("main", more), "second": member("spare", more)}):
        for disk in others:
            drop_page_cache(str(disk.kernel_path))
        before = [disk.stats()["reads"] for disk in others]
        output("activate", "--auto", data if by == "uuid" else paths(rig, "main")[0])
        assert [disk.stats()["reads"] for disk in others] == before
        states = {found["name"]: found["state"] for found in sets()}
        assert states == {"data": "active", "more": "ready"}
        output("activate", "--auto", more)
        output("activate", "--auto", paths(rig, "spare")[0])
    assert {found["state"] for found in sets()} == {"active"}


@TWO_SETS
def test_each_set_that_waits_has_its_note(rig: Rig) -> None:
    """That one is complete says nothing about another; the file is an older version's note."""
    notes = Path("/run/dm-remap/waiting")
    data, more = two_inactive(rig, "--no-guard")
    mains = {"main": data, "other": more}
    notes.touch()
    with udev_runs(rig, {"spare": member("spare", data), "second": member("spare", more)}):
        for name in mains:
            rig.server.disk(name).fail()
            drop_page_cache(paths(rig, name)[0])
        for name in ("spare", "second"):
            assert dmremap("activate", "--auto", paths(rig, name)[0]).returncode == OK
        assert {note.name for note in notes.iterdir()} == {data, more}
        rig.main.back()
        drop_page_cache(paths(rig, "main")[0])
        output("activate", "--auto", data)
        assert [note.name for note in notes.iterdir()] == [more]
        rig.server.disk("other").back()
        drop_page_cache(paths(rig, "other")[0])
        output("activate", "--auto", paths(rig, "other")[0])
        assert {found["state"] for found in sets()} == {"active"}
        output("activate", "--auto", more)
        assert not notes.exists()


def test_a_mapped_device_that_is_being_made_hides_no_member(rig: Rig) -> None:
    """Its disks name it as their holder before it has its UUID in /sys, and after: then what
    another process activates would be missing here."""
    ext4_on_main(rig)
    create(rig)
    minor = os.minor(os.stat("/dev/mapper/data").st_rdev)
    directory = f"/sys/class/block/dm-{minor}/dm"
    subprocess.run(["mount", "-t", "tmpfs", "none", directory], check=True)
    try:
        found, = sets()
    finally:
        subprocess.run(["umount", directory], check=True)
    assert [found["main"], found["spare"]] == paths(rig, "main", "spare"), found


def test_the_end_of_a_strangers_disk_is_not_waited_for(rig: Rig) -> None:
    """Where the mark of a main without guard would be: activation by udev looks there, too."""
    uuid = inactive(rig, "--no-guard")
    other, = paths(rig, "other")
    with udev_runs(rig, {"spare": member("spare", uuid), "main": "ID_FS_TYPE=ext4",
                         "other": "ID_FS_TYPE=ext4"}):
        output("activate", "data")
        drop_page_cache(other)
        rig.server.disk("other").hold("read", 2048, 2048)
        try:
            for arguments, code in ((("--auto",), OK), ((), WAITING)):
                result = subprocess.run([str(PROGRAM), "activate", *arguments, other],
                                        capture_output=True, text=True, timeout=60)
                assert result.returncode == code, result
                assert f"{other} does not answer" in result.stderr, result
        finally:
            rig.server.disk("other").release()
    output("deactivate", "data")


def test_a_member_that_hangs_is_named(rig: Rig) -> None:
    """One of another set: the rest works, and everybody knows which one it is."""
    uuid = inactive(rig)
    strange = "11111111-2222-3333-4444-555555555555"
    with udev_runs(rig, {"main": member("main", uuid), "spare": member("spare", uuid),
                         "other": member("spare", strange)}), hanging(rig, "other"):
        waits = rig.background(lambda: subprocess.run(
            [str(PROGRAM), "list", "--json"], capture_output=True, text=True, timeout=60))
        wait_for(rig.server.disk("other").held, "the question to the disk")
        locks.check_free()    # no scan is under a lock
        result = waits.result(60)    # its output has an end although a child still hangs
        listed = json.loads(result.stdout)
        found = {line["uuid"]: line for line in listed["sets"]}
        path = paths(rig, "other")[0]
        assert found[uuid]["state"] == "ready", found
        assert listed["silent"] == [{"path": path, "role": "spare", "uuid": strange}]
        assert f"{path} does not answer" in output("list")
        output("list", "--names")
        # the set that create was making there is here, although it is silent
        rule = RULES / f"65-dm-remap-{strange}.rules"
        rule.write_text("# The set is being made.\n")
        output("activate", "data")
        assert rule.exists()
    output("deactivate", "data")
    output("activate", "data")
    assert not rule.exists()
    output("deactivate", "data")
    settle(rig)


def waiting_children() -> list[int]:
    """Processes of the command that wait for a disk, and have no parent that waits for them."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            name, _, rest = (process / "stat").read_text().partition("(")[2].rpartition(")")
            if name == "dmremap" and rest.split()[0] == "D":
                found.append(int(process.name))
    return found


def list_by_program() -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(PROGRAM), "list"], capture_output=True, text=True, timeout=60)


def test_a_disk_that_hangs_keeps_one_process(rig: Rig) -> None:
    """However many commands come: those after the first are told since when, and do not wait."""
    uuid = inactive(rig)
    strange = "11111111-2222-3333-4444-555555555555"
    with udev_runs(rig, {"main": member("main", uuid), "spare": member("spare", uuid),
                         "other": member("spare", strange)}), hanging(rig, "other"):
        began = time.monotonic()
        first = list_by_program()
        waited = time.monotonic() - began
        since = first.stdout.partition("still waiting for it since ")[2].partition(")")[0]
        assert since, first
        took = []
        for _ in range(3):
            began = time.monotonic()
            again = list_by_program()
            took.append(time.monotonic() - began)
            assert f"still waiting for it since {since})" in again.stdout, again
            assert "ready" in again.stdout, again
        assert min(took) < waited, (waited, took)
        probe = subprocess.run([str(PROGRAM.parent / "dm-remap-probe"), paths(rig, "other")[0]],
                               capture_output=True, text=True, timeout=60)
        assert (probe.returncode, probe.stdout) == (OK, "DM_REMAP_UNPROBED=1\n"), probe
        assert len(waiting_children()) == 1, waiting_children()
    wait_for(lambda: not waiting_children(), "the end of the child")
    assert "does not answer" not in list_by_program().stdout


@pytest.mark.long
def test_a_slow_disk_is_found(rig: Rig) -> None:
    """Each command has its time, not all of them together."""
    inactive(rig)
    for delayed in (rig.main, rig.spare):
        drop_page_cache(str(delayed.kernel_path))
        delayed.delay("read", 3000)
    result = list_by_program()
    for delayed in (rig.main, rig.spare):
        delayed.delay("read", 0)
    assert "ready" in result.stdout and "does not answer" not in result.stdout, result


def test_a_hanging_member_of_the_set_itself(rig: Rig) -> None:
    uuid = inactive(rig)
    with udev_runs(rig, {"main": member("main", uuid), "spare": member("spare", uuid)}), \
            hanging(rig, "spare"):
        listed = json.loads(output("list", "--json"))
        found = {line["state"]: line for line in listed["sets"]}
        assert "spare device" in found["waiting"]["reason"] and \
            "does not answer" in found["waiting"]["reason"], found
        assert [line["uuid"] for line in listed["silent"]] == [uuid]
        told = refused(4, "adopt-host", "data")
        assert "does not answer" in told
        # no answer for the daemon, which tries it again; and for udev no failure
        for what in (uuid, paths(rig, "spare")[0]):
            assert "does not answer" in refused(FAILED, "activate", what, "--auto", "--exit-code")
        assert "does not answer" in dmremap("activate", uuid, "--auto").stderr
        assert "does not answer" in refused(WAITING, "activate", uuid)
    settle(rig)
    assert content_after_activation(rig)


def test_a_disk_that_is_named_and_hangs(rig: Rig, tmp_path: Path) -> None:
    """The command itself would read it, and no signal would end that."""
    inactive(rig)
    main, spare, other = paths(rig, "main", "spare", "other")
    file = str(tmp_path / "backup")
    output("backup", "data", file)
    before = [rig.media(name).whole() for name in ("main", "spare", "other")]
    with hanging(rig, "other"):
        for arguments in (["check", other], ["dump", other], ["create", "two", other, spare],
                          ["create", "two", main, other], ["resize", "data", other],
                          ["replace-main", "data", other], ["replace-spare", "data", other],
                          ["restore-backup", file, other],
                          ["restore-backup", file, spare, "--main", other]):
            result = subprocess.run([str(PROGRAM), *arguments], capture_output=True, text=True,
                                    stdin=subprocess.DEVNULL, timeout=60)
            assert result.returncode == WAITING, result
            assert f"dmremap: {other} does not answer" in result.stderr, result
            locks.check_free()
    settle(rig, "main", "spare", "other")
    assert [rig.media(name).whole() for name in ("main", "spare", "other")] == before
    output("resize", "data", other, "--yes")
    output("activate", "data")


@pytest.mark.parametrize("more", [(), ("--no-guard",)], ids=["guard", "no-guard"])
@pytest.mark.parametrize("hung", ["main", "spare"])
def test_a_member_that_hangs_is_not_gone(rig: Rig, hung: str, more: tuple[str, ...]) -> None:
    """Nothing is given up for a disk that is here, and only slow."""
    uuid = inactive(rig, *more)
    there, = paths(rig, "spare" if hung == "main" else "main")
    before = [rig.media(name).whole() for name in ("main", "spare")]
    main = "ID_FS_TYPE=ext4 ID_FS_USAGE=filesystem" if more else member("main", uuid)
    with udev_runs(rig, {"main": main, "spare": member("spare", uuid)}), hanging(rig, hung):
        told = refused(4, "release", f"--without-{hung}", there, "--yes")
        assert f"{paths(rig, hung)[0]} does not answer" in told, told
    settle(rig)
    assert [rig.media(name).whole() for name in ("main", "spare")] == before
    assert content_after_activation(rig)


@pytest.mark.long
def test_a_main_without_guard_that_hangs(rig: Rig) -> None:
    """Udev knows nothing of it; whose it is, its hardware tells."""
    uuid = inactive(rig, "--no-guard")
    with udev_runs(rig, {"spare": member("spare", uuid), "main": "ID_FS_TYPE=ext4",
                         "other": "ID_FS_TYPE=ext4"}):
        with hanging(rig, "main"):
            assert "does not answer" in refused(FAILED, "activate", uuid, "--auto", "--exit-code")
            found, = sets()
            assert f"{paths(rig, 'main')[0]} does not answer" in found["reason"], found
        # one that never was active has no mark: then, too, it has to answer
        spare = Spare.of(rig)
        change(spare, FLAGS, lambda old: bytes([old[0] & ~1]))
        with hanging(rig, "main"):
            found, = sets()
            assert "does not answer" in found["reason"], found
        found, = sets()
        assert found["state"] == "ready", found
    settle(rig)


def test_who_does_not_answer_is_named(rig: Rig) -> None:
    """Also where nothing but its hardware tells that it may be the member that is missing."""
    uuid = inactive(rig, "--no-guard")
    with udev_runs(rig, {"spare": member("spare", uuid), "main": "ID_FS_TYPE=ext4",
                         "other": "ID_FS_TYPE=ext4"}), hanging(rig, "main"):
        for arguments in (("adopt-host", uuid), ("resize", uuid, paths(rig, "other")[0])):
            assert f"{paths(rig, 'main')[0]} does not answer" in refused(WAITING, *arguments)
        assert f"{paths(rig, 'main')[0]} does not answer" in \
            refused(NOT_FOUND, "adopt-host", "no-such-set")


# copies

def test_release_by_two_paths_takes_no_copy(rig: Rig) -> None:
    """A clone of main, and other hardware: the spare is the other one's."""
    inactive(rig)
    rig.media("other").write(0, rig.media("main").whole())
    main, spare, other = paths(rig, "main", "spare", "other")
    before = {name: rig.media(name).whole() for name in ("main", "spare", "other")}
    assert "a copy" in refused(REFUSED, "release", other, spare, "--yes")
    assert main in refused(REFUSED, "release", other, spare, "--yes", "--any-hardware")
    settle(rig, "main", "spare", "other")
    rig.media("main").write(0, bytes(rig.main.size_bytes))
    settle(rig, "main", "spare", "other")
    assert "copy" in refused(REFUSED, "release", other, spare, "--yes")
    settle(rig, "main", "spare", "other")
    assert [rig.media(name).whole() for name in ("spare", "other")] == \
        [before["spare"], before["other"]]
    output("release", other, spare, "--yes", "--any-hardware")
    assert signatures(other) == {"ext4"} and sets() == []


def test_main_behind_another_bridge(rig: Rig) -> None:
    """One name of its hardware is the same, another is not; there is a way, and it is named."""
    record = udev_record(paths(rig, "main")[0])
    record.write_text(record.read_text() + "E:ID_PART_ENTRY_UUID=0f1e2d3c-02\n")
    inactive(rig)
    image = rig.media("spare").whole()
    main, spare = paths(rig, "main", "spare")
    output("release", "data", "--yes")
    settle(rig)
    plain = rig.media("main").whole()
    # the release was cut short when nothing but the spare was left to be wiped
    rig.media("spare").write(0, image)
    change(Spare.of(rig), FLAGS, lambda old: bytes([old[0] | RELEASING]))
    settle(rig)
    record.write_text(record.read_text().replace("MAIN-0001", "BRIDGE-99"))
    for arguments in (("release", spare, "--yes"), ("activate", spare)):
        assert f"dmremap release --any-hardware {spare}" in refused(REFUSED, *arguments)
    assert rig.media("spare").whole()[:4096] != bytes(4096)
    output("release", spare, "--yes", "--any-hardware")
    settle(rig)
    assert sets() == [] and rig.media("main").whole() == plain
    assert not any(rig.media("spare").whole()[:4096])
    assert "nothing was changed" not in output("create", "data", main, spare, "--yes")


FLAGS, HOST = (52, 1), (152, 16)    # of the superblock: where, how long
RELEASING = 4


def change(spare: Spare, field: tuple[int, int], new: Callable[[bytes], bytes]) -> None:
    at, length = field
    for (replica, place), copy in spare.copies(0).items():
        if copy.valid:
            spare.write(replica, place, 0,
                        copy.changed(at, new(copy.data[at:at + length])).data)


def test_a_foreign_spare_takes_no_main_away(rig: Rig) -> None:
    """It says that it is of our hardware, and of a main that has no mark yet."""
    stranger = inactive(rig, "--no-guard")
    settle(rig)
    spare = Spare.of(rig)
    change(spare, FLAGS, lambda old: bytes([old[0] & ~1]))
    change(spare, HOST, lambda _: b"another host's id"[:16])
    for rule in RULES.iterdir():
        rule.unlink()
    forged = rig.media("spare").whole()
    rig.media("spare").write(0, bytes(rig.spare.size_bytes))
    main, other = paths(rig, "main", "other")
    ext4_on_main(rig)
    output("create", "own", main, other, "--yes", "--no-guard")
    output("deactivate", "own")
    settle(rig, "main", "spare", "other")
    rig.media("spare").write(0, forged)
    found = {line["uuid"]: line for line in sets()}
    assert found.pop(stranger)["state"] == "foreign"
    own, = found.values()
    assert (own["state"], own["main"]) == ("ready", main), own
    output("activate", "own")
    output("release", "own", "--yes")
    found, = sets()
    assert found["main"] is None, found


def content_after_activation(rig: Rig) -> bool:
    output("activate", "data")
    with contextlib.ExitStack() as stack:
        stack.callback(output, "deactivate", "data")
        return len(content("data")) == rig.main.size_bytes


def test_without_udev_all_are_asked_in_good_time(rig: Rig) -> None:
    """As in an initramfs without it: a disk that hangs costs seconds, not the set."""
    inactive(rig)
    with hanging(rig, "other"):
        began = time.monotonic()
        result = subprocess.run([str(PROGRAM), "activate", "data"], capture_output=True,
                                text=True, timeout=60)
        assert result.returncode == OK, result
        assert time.monotonic() - began < 20
    output("deactivate", "data")


def test_a_spare_whose_start_is_gone_is_found_by_its_hardware(rig: Rig) -> None:
    """Udev sees nothing there any more; main remembers its spare (P4)."""
    uuid = inactive(rig)
    rig.media("spare").write(0, bytes(8 * SECTOR))
    with udev_runs(rig, {"main": member("main", uuid), "other": "ID_FS_TYPE=ext4"}):
        found, = sets()
        assert (found["state"], found["spare"]) == ("ready", paths(rig, "spare")[0])
    output("activate", "data")
    output("deactivate", "data")


def test_a_main_without_guard_is_found_by_its_hardware(rig: Rig) -> None:
    uuid = inactive(rig, "--no-guard")
    with udev_runs(rig, {"spare": member("spare", uuid), "main": "ID_FS_TYPE=ext4",
                         "other": "ID_FS_TYPE=ext4"}), hanging(rig, "other"):
        found, = sets()
        assert (found["state"], found["main"]) == ("ready", paths(rig, "main")[0])
        assert not rig.server.disk("other").held()
    settle(rig)


# refused is unchanged

def lost_sector(rig: Rig) -> None:
    ext4_on_main(rig)
    create(rig)
    rig.main.bad(1600, kind="read")
    rig.message("data", "remap 1600 8")
    assert rig.status("data")["lost_sectors"] == 1
    rig.main.clear()


def test_a_refused_release_leaves_the_set_active(rig: Rig) -> None:
    lost_sector(rig)
    settle(rig)
    before = rig.media("main").whole(), rig.media("spare").whole()
    assert "--give-up" in refused(REFUSED, "release", "data", "--yes")
    assert dm.devices() == ["data"]
    settle(rig)
    assert (rig.media("main").whole(), rig.media("spare").whole()) == before


def test_a_release_that_cannot_have_the_members_leaves_the_set_active(rig: Rig) -> None:
    """Another mapped device has the spare as well, which is found when the set's own is gone."""
    ext4_on_main(rig)
    create(rig)
    before = content("data")
    dm.create("neighbour")
    dm.load("neighbour", f"0 8 linear {paths(rig, 'spare')[0]} 0", read_only=True)
    dm.resume("neighbour")
    told = refused(REFUSED, "release", "data", "--yes")
    assert "is in use" in told and sorted(dm.devices()) == ["data", "neighbour"], told
    assert content("data") == before
    dm.remove("neighbour")
    output("release", "data", "--yes")


def test_a_release_that_main_refuses_leaves_the_set_active(rig: Rig) -> None:
    """Only when it is deactivated can that be tried."""
    ext4_on_main(rig)
    create(rig)
    rig.main.bad(800, 8, kind="write")
    device = Device("/dev/mapper/data", "data")
    device.pwrite(800, pattern(1, 8))
    device.close()
    whole = content("data")
    assert "sector 800 still cannot be written" in refused(REFUSED, "release", "data", "--yes")
    assert dm.devices() == ["data"] and content("data") == whole
    # what is not lost is not given up
    for text in ("800-807", "0-7", "", "x", "800-", "807-800", "1,,x",
                 "800-18446744073709551615"):
        refused(USAGE, "release", "data", "--yes", "--give-up", text)
    assert dm.devices() == ["data"] and content("data") == whole
    rig.main.clear()
    output("release", "data", "--yes")
    settle(rig)
    assert sets() == [] and rig.media("main").whole() == whole


@pytest.mark.parametrize("how", ["read-only", "fallback"])
def test_a_refused_release_leaves_it_active_as_it_was(rig: Rig, how: str) -> None:
    """Read-write it would be written to, which was not asked for."""
    ext4_on_main(rig)
    create(rig)
    rig.main.bad(800, 8, kind="write")
    device = Device("/dev/mapper/data", "data")
    device.pwrite(800, pattern(1, 8))
    device.close()
    whole = content("data")
    output("deactivate", "data")
    output("activate", "data", f"--{how}")
    before = dm.flags("data"), dm.table("data")
    assert "sector 800 still cannot be written" in refused(REFUSED, "release", "data", "--yes")
    assert (dm.flags("data"), dm.table("data")) == before and content("data") == whole


def test_lost_sectors_are_given_up_by_name(rig: Rig) -> None:
    lost_sector(rig)
    whole = [content_of(sector) for sector in range(1592, 1616)]
    assert whole[8] is None
    said = dmremap("release", "data", "--give-up", "1600")
    assert said.returncode == REFUSED and "Given up: sectors 1600." in said.stdout, said
    assert dm.devices() == ["data"]
    output("release", "data", "--yes", "--give-up", "1600")
    assert sets() == [] and signatures(paths(rig, "main")[0]) == {"ext4"}
    settle(rig)
    for i, sector in enumerate(range(1592, 1616)):
        if sector != 1600:
            assert rig.media("main").read(sector) == whole[i]


def content_of(sector: int) -> bytes | None:
    device = Device("/dev/mapper/data", "data", read_only=True)
    try:
        return device.pread(sector)
    except OSError:
        return None
    finally:
        device.close()


@contextlib.contextmanager
def read_only(place: Path) -> Iterator[None]:
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_without_a_backup_or_a_rule_there_is_no_set(rig: Rig) -> None:
    """Refused before anything is written; so is a release whose rule cannot go."""
    ext4_on_main(rig)
    main, spare = paths(rig, "main", "spare")
    before = rig.media("main").whole(), rig.media("spare").whole()
    for more in ([], ["--no-guard"], ["--backup", str(STATE / "file")]):
        with read_only(STATE):
            assert str(STATE) in refused(REFUSED, "create", "data", main, spare, "--yes", *more)
    with read_only(RULES):
        assert str(RULES) in refused(FAILED, "create", "data", main, spare, "--yes", "--no-guard")
    settle(rig)
    assert (rig.media("main").whole(), rig.media("spare").whole()) == before
    assert not list(RULES.iterdir()) and sets() == []
    create(rig, "--no-guard")
    rule, = RULES.iterdir()
    subprocess.run(["mount", "-o", "remount,ro", str(RULES)], check=True)
    try:
        assert rule.name in refused(FAILED, "release", "data", "--yes")
        assert dm.devices() == ["data"] and sets()[0]["state"] == "active"
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(RULES)], check=True)
    output("release", "data", "--yes")
    assert not list(RULES.iterdir())
    settle(rig)
    assert rig.media("main").whole() == before[0]


def test_a_rule_that_is_missing_is_written_by_activation(rig: Rig) -> None:
    """Lost with /etc, or of another main; and one of a set that create never finished goes."""
    inactive(rig, "--no-guard")
    rule, = RULES.iterdir()
    wanted = rule.read_text()
    assert "being made" not in wanted
    stale = RULES / "65-dm-remap-11111111-2222-3333-4444-555555555555.rules"
    others = RULES / "65-dm-remap-21111111-2222-3333-4444-555555555555.rules"
    unfinished = wanted.replace("SUBSYSTEM", "# The set is being made.\nSUBSYSTEM")
    for before in (None, wanted.replace("MAIN-0001", "MAIN-9999"), unfinished):
        rule.unlink() if before is None else rule.write_text(before)
        stale.write_text(unfinished)
        others.write_text(wanted)    # of a set whose disks are not here
        output("activate", "data", "--read-only")
        assert (rule.read_text() if rule.exists() else None) == before    # that writes nothing
        output("deactivate", "data")
        output("activate", "data")
        assert rule.read_text() == wanted and others.exists() and not stale.exists()
        output("deactivate", "data")


def test_udev_is_told_of_a_rule(rig: Rig, tmp_path: Path) -> None:
    """It looks at the directory every three seconds only: a disk may come earlier."""
    uuid = inactive(rig, "--no-guard")
    rule, = RULES.iterdir()
    stale = RULES / "65-dm-remap-11111111-2222-3333-4444-555555555555.rules"
    told, program = tmp_path / "told", tmp_path / "udevadm"
    program.write_text(f"#!/bin/sh\necho $* >>{told}; ls {RULES} >>{told}\n")
    program.chmod(0o755)
    rule.unlink()
    stale.write_text("# The set is being made.\n")
    with udev_runs(rig, {"spare": member("spare", uuid), "main": "ID_FS_TYPE=ext4"}):
        result = subprocess.run([str(PROGRAM), "activate", "data"], capture_output=True, text=True,
                                env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
        assert result.returncode == OK, result
    assert told.read_text().split() == ["control", "--reload", "--timeout=5"] * 2 + [rule.name]
    output("release", "data", "--yes")


# what was deactivated stays so; what is in the way is told

def test_a_replaced_main_stays_deactivated(rig: Rig) -> None:
    inactive(rig)
    rig.media("other").write(0, rig.media("main").whole())
    main, other = paths(rig, "main", "other")
    assert "deactivated" in dmremap("activate", "--auto", main).stderr
    output("replace-main", "data", other, "--yes")
    for path in (main, other):
        assert "deactivated" in dmremap("activate", "--auto", path).stderr
    assert dm.devices() == []
    output("activate", "data")
    assert sets()[0]["main"] == other


def test_who_has_it_open_for_a_moment_is_waited_for(rig: Rig) -> None:
    """As dmsetup remove --retry: udev opens every new device."""
    ext4_on_main(rig)
    create(rig)
    fd = os.open("/dev/mapper/data", os.O_RDONLY)
    timer = threading.Timer(1.0, os.close, [fd])
    timer.start()
    result = subprocess.run([str(PROGRAM), "deactivate", "data"], capture_output=True, text=True)
    timer.join()
    assert result.returncode == OK, result
    assert dm.devices() == []
    output("activate", "data")
    fd = os.open("/dev/mapper/data", os.O_RDONLY)
    began = time.monotonic()
    assert "in use" in refused(REFUSED, "deactivate", "data")
    assert time.monotonic() - began < 15
    os.close(fd)


def test_a_foreign_device_of_that_name_is_told(rig: Rig) -> None:
    """NAME-part1 is in use: the set is active, and its status says so."""
    subprocess.run(["sfdisk", "-q", paths(rig, "main")[0]], text=True, check=True,
                   input="label: gpt\nstart=64,size=1024\nstart=2048,size=512\n",
                   capture_output=True)
    settle(rig)
    dm.create("data-part1")
    dm.load("data-part1", "0 8 zero")
    dm.resume("data-part1")
    result = dmremap("create", "data", *paths(rig, "main", "spare"), "--yes")
    assert result.returncode == OK and "data-part1" in result.stderr, result
    assert sorted(dm.devices()) == ["data", "data-part1", "data-part2"]
    for _ in range(2):
        result = dmremap("activate", "data")
        assert result.returncode == OK and "data-part1" in result.stderr, result
    output("deactivate", "data")
    assert dm.devices() == ["data-part1"]
    result = dmremap("activate", "data")
    assert result.returncode == OK and "data-part1" in result.stderr, result
    dm.remove("data-part1")
    assert dmremap("activate", "data").stderr == ""
    assert sorted(dm.devices()) == ["data", "data-part1", "data-part2"]


@pytest.mark.parametrize("name", ["a b", "a\x1bb", "a\"b"])
def test_a_foreign_device_whose_name_libdevmapper_refuses(rig: Rig, name: str) -> None:
    """A program that calls the kernel itself gave it: it takes no set away."""
    plain = ext4_on_main(rig)
    create(rig)
    dm.create(name)
    dm.load(name, "0 8 zero")
    dm.resume(name)
    assert json.loads(output("status", "--json"))["devices"][0]["name"] == "data"
    output("deactivate", "data")
    assert [line["state"] for line in sets()] == ["ready"]
    output("activate")
    assert content("data") == plain
    assert "data" in output("list", "--names").split()
    output("release", "data", "--yes")
    assert dm.devices() == [name]
    settle(rig)
    assert rig.media("main").whole() == plain


# what is under way is no damage

def test_a_commit_under_way_is_no_damage(rig: Rig) -> None:
    """check looks between the two replicas of a commit: it looks again."""
    ext4_on_main(rig)
    create(rig)
    spare = Spare.of(rig)
    first = spare.sector(1, 0, 1)
    rig.spare.hold("write", first, spare.sector(1, 1, 1) + 8 - first)    # replica 1
    remap = rig.background(rig.message, "data", "remap 2000 8")
    wait_for(rig.spare.held, "the second replica")
    check = rig.background(lambda: subprocess.run(
        [str(PROGRAM), "check", paths(rig, "spare")[0]], capture_output=True, text=True))
    time.sleep(0.25)
    rig.spare.release()
    remap.result(60)
    result = check.result(60)
    assert result.returncode == OK and "all metadata is intact" in result.stdout, result
    # what is damaged stays so
    output("deactivate", "data")
    settle(rig)
    replica, place = next(k for k, copy in spare.copies(1).items()
                          if copy.valid and copy.seq == spare.newest(1).seq)
    spare.write(replica, place, 1, b"damaged!" * 512)
    result = dmremap("check", paths(rig, "spare")[0])
    assert result.returncode == DAMAGED and result.stdout.count("table") == 1, result
