# SPDX-License-Identifier: GPL-2.0-or-later
"""Two commands at once, and a disk that hangs: each set waits for itself alone (O13)."""

import errno
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from tests.scenarios import dm, inprocess, locks
from tests.scenarios.hardware import hardware
from tests.scenarios.lib import SECTOR, Device, Rig, drop_page_cache, pattern, wait_for
from tests.scenarios.ondisk import Spare
from tests.scenarios.sets import (OK, PROGRAM, REFUSED, WAITING, asked, content, create, dmremap,
                                  ext4_on_main, output, paths, replugged, sets, settle)

RULES = Path("/etc/udev/rules.d")
ALL = ("main", "spare", "main2", "spare2")
LABEL = 168    # offset in the superblock
pytestmark = [pytest.mark.disks(main="2M", spare="1M", main2="2M", spare2="1M"),
              pytest.mark.plain_only,
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002", main2="MAIN-0003",
                                  spare2="SPARE-0004")]


@pytest.fixture(autouse=True)
def no_rules_stay() -> Iterator[None]:
    yield
    for rule in RULES.iterdir():
        rule.unlink()


def two_sets(rig: Rig) -> list[str]:
    """Both inactive; their UUIDs."""
    ext4_on_main(rig)
    create(rig)
    output("create", "second", *paths(rig, "main2", "spare2"), "--yes")
    for name in ("data", "second"):
        output("deactivate", name)
    settle(rig, *ALL)
    found = {line["name"]: line["uuid"] for line in sets()}
    return [found["data"], found["second"]]


def hang_in_the_table(rig: Rig) -> None:
    """What only the kernel reads when the set starts hangs: the command holds its locks then."""
    spare = Spare.of(rig)
    drop_page_cache(paths(rig, "spare")[0])
    for replica in range(2):
        for place in range(2):
            rig.spare.hold("read", spare.sector(replica, place, 1), 8)


def test_a_disk_that_hangs_holds_up_its_own_set_only(rig: Rig) -> None:
    first, _ = two_sets(rig)
    hang_in_the_table(rig)
    waits = rig.background(dmremap, "activate", "data")
    wait_for(rig.spare.held, "the kernel's look at the table")
    began = time.monotonic()
    try:
        for _ in range(2):
            for arguments in (["activate", "second"], ["deactivate", "second"],
                              ["adopt-host", "second"]):
                result = subprocess.run([str(PROGRAM), *arguments], capture_output=True,
                                        text=True, timeout=20)
                assert result.returncode == OK, (arguments, result)
        result = subprocess.run([str(PROGRAM), "release", "second", "--yes"], capture_output=True,
                                text=True, timeout=20)
        assert result.returncode == OK, result
        assert time.monotonic() - began < 25
    finally:
        rig.spare.release()
    assert waits.result(60).returncode == OK
    assert [(line["uuid"], line["state"]) for line in sets()] == [(first, "active")]
    locks.check_free()


@pytest.mark.parametrize("gone", ["main", "spare"])
def test_a_spare_that_hangs_in_its_table_is_not_given_up(rig: Rig, gone: str) -> None:
    """Its superblocks answer: it is here, and what it holds is not known."""
    two_sets(rig)
    before = [rig.media(name).whole() for name in ("main", "spare")]
    if gone == "main":
        rig.main.fail()
        drop_page_cache(paths(rig, "main")[0])
    hang_in_the_table(rig)
    path, = paths(rig, "main" if gone == "spare" else "spare")
    try:
        result = subprocess.run([str(PROGRAM), "release", f"--without-{gone}", path, "--yes"],
                                capture_output=True, text=True, timeout=60)
    finally:
        rig.spare.release()
    if gone == "main":
        rig.main.back()
    assert result.returncode == WAITING, result
    assert f"{paths(rig, 'spare')[0]} does not answer" in result.stderr, result
    settle(rig)
    assert [rig.media(name).whole() for name in ("main", "spare")] == before


@pytest.mark.long
def test_who_holds_a_lock_is_named(rig: Rig) -> None:
    """After half a minute, with the process and what it runs; the set is as it was."""
    first, second = two_sets(rig)
    with locks.holding(locks.set_at(first), 1):
        waits = rig.background(dmremap, "adopt-host", "data")
        output("activate", "second")
        output("deactivate", "second")
        result = waits.result(60)
    assert result.returncode == REFUSED, result
    assert first in result.stderr and "process " in result.stderr and \
        "pytest" in result.stderr, result
    # the members' locks count as well: what another set is made of
    with locks.holding(locks.device_at(paths(rig, "main2")[0]), 1):
        waits = rig.background(dmremap, "activate", second, "--auto", "--exit-code")
        result = waits.result(60)
    assert result.returncode == 1, result    # the daemon tries that again
    assert "process " in result.stderr, result
    output("activate", "second")


def test_two_sets_of_one_name_at_once(rig: Rig) -> None:
    """Both are active afterwards; one of them has the name."""
    first, second = two_sets(rig)
    spare = Spare(rig.media("spare2"), rig.server.disk("spare2").size_bytes // SECTOR)
    for (replica, place), copy in spare.copies(0).items():    # two machines' disks in one
        if copy.valid:
            spare.write(replica, place, 0, copy.changed(LABEL, b"data".ljust(40, b"\0")).data)
    drop_page_cache(paths(rig, "spare2")[0])
    replugged()
    for _ in range(4):
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(lambda uuid: dmremap("activate", uuid), (first, second)))
        assert [result.returncode for result in results] == [OK, OK], results
        names = dm.devices()
        assert len(names) == 2 and "data" in names, names
        for name in names:
            output("deactivate", name)


def test_two_creates_on_the_same_disks(rig: Rig) -> None:
    """One makes its set, whatever the other one sees; nothing is half-made."""
    ext4_on_main(rig)
    main, spare, other = paths(rig, "main", "spare", "spare2")
    calls = [["create", "one", main, spare, "--yes"], ["create", "two", main, other, "--yes"],
             ["create", "three", other, spare, "--yes", "--wipe-spare"]]
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda call: dmremap(*call), calls))
    assert all(result.returncode in (OK, REFUSED) for result in results), results
    made = [r for r in results if r.returncode == OK or "was made, but" in r.stderr]
    found, = sets()
    assert len(made) == 1, results
    # another one may look at a member in the moment when it is let go for device-mapper
    if made[0].returncode != OK:
        assert found["state"] == "ready", (found, results)
        output("activate", found["uuid"])
        found, = sets()
    assert found["state"] == "active", found
    assert list(RULES.iterdir()) == []


@pytest.mark.parametrize("other", [False, True], ids=["finished", "another-set"])
def test_create_goes_on_from_what_is_there_now(rig: Rig, other: bool) -> None:
    """It looked at a set that was half made, and when it has the disks another one has made it."""
    ext4_on_main(rig)
    create_it = ("create", "data", *paths(rig, "main", "spare"), "--yes")
    rig.main.hold("write", 0, 8)
    first = rig.background(dmremap, *create_it)
    wait_for(rig.main.held, "the sector that hides main")
    with inprocess.stopped(*create_it) as go_on:
        rig.main.release()
        assert first.result(60).returncode == OK, first.result(0)
        if other:
            output("release", "data", "--yes")
            output(*create_it)
        rig.message("data", "remap 2000 8")
        device = Device("/dev/mapper/data", "data")
        device.pwrite(2000, pattern(1, 8))
        device.close()
        made, = sets()
        whole = content("data")
        output("deactivate", "data")
        assert go_on() == (REFUSED if other else OK)
    output("activate", "data")
    found, = sets()
    assert (found["uuid"], found["state"]) == (made["uuid"], "active")
    assert content("data") == whole


@pytest.mark.parametrize("gone", ["main", "spare"])
def test_what_comes_back_while_release_waits(rig: Rig, gone: str) -> None:
    """It looks for the other member when it has the lock, not before."""
    first, _ = two_sets(rig)
    there = "spare" if gone == "main" else "main"
    image, before = rig.media(gone).whole(), rig.media(there).whole()
    rig.media(gone).write(0, bytes(len(image)))
    drop_page_cache(paths(rig, gone)[0])
    path, = paths(rig, there)
    with locks.holding(locks.set_at(first), 1):
        waits = rig.background(dmremap, "release", f"--without-{gone}", path, "--yes")
        wait_for(lambda: is_held(path), "the disk that is released")
        time.sleep(3)
        rig.media(gone).write(0, image)
        drop_page_cache(paths(rig, gone)[0])
    result = waits.result(60)
    assert result.returncode == REFUSED and "is present" in result.stderr, result
    settle(rig, *ALL)
    assert rig.media(there).whole() == before


def is_held(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_EXCL))
    except OSError as error:
        return error.errno == errno.EBUSY
    return False


@pytest.mark.parametrize("member", ["main", "spare"])
def test_another_disk_has_the_number_when_the_lock_is_had(rig: Rig, member: str) -> None:
    """A copy that was plugged in instead is not taken for the disk that was looked at."""
    first, _ = two_sets(rig)
    replugged()
    path, = paths(rig, member)
    with locks.holding(locks.set_at(first), 1):
        waits = rig.background(dmremap, "activate", "--auto", "--exit-code", path)
        time.sleep(3)
        hardware(rig, **{member: "COPY-0009"})
    result = waits.result(60)
    assert result.returncode == REFUSED, result
    assert f"{path} is other hardware" in result.stderr, result
    assert dm.devices() == []


@pytest.mark.parametrize("main", ["plain", "other"])
def test_main_without_guard_is_looked_at_when_the_lock_is_had(rig: Rig, main: str) -> None:
    """It was released alone meanwhile, or another disk has its number."""
    plain = ext4_on_main(rig)
    create(rig, "--no-guard")
    first, = sets()
    output("deactivate", "data")
    settle(rig)
    replugged()
    path, = paths(rig, "spare")
    automatic = ("activate", "--auto", "--exit-code", path)
    with locks.holding(locks.set_at(first["uuid"]), 1):
        waits = rig.background(dmremap, *automatic)
        time.sleep(3)
        if main == "plain":
            rig.media("main").write(0, plain)
            drop_page_cache(paths(rig, "main")[0])
        else:
            hardware(rig, main="COPY-0009")
    result = waits.result(60)
    assert dm.devices() == []
    if main == "plain":
        assert result.returncode == WAITING, result
        assert "its main device is missing" in result.stderr, result
    else:
        assert result.returncode == REFUSED and "is other hardware" in result.stderr, result


def test_who_had_a_member_has_let_it_go(rig: Rig) -> None:
    """A member that was held for a moment: the set is activated, and needs no decision."""
    two_sets(rig)
    replugged()
    main, spare = paths(rig, "main", "spare")
    hold = f"import os; os.open({main!r}, os.O_RDWR | os.O_EXCL); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as holder:
        assert holder.stdout and holder.stdout.readline()
        with inprocess.stopped("activate", "--auto", "--exit-code", spare,
                               at="stopped_busy") as go_on:
            holder.communicate(b"\n")
            assert go_on() == OK
    assert "data" in dm.devices()


def test_resize_waits_for_who_has_looked_at_the_old_spare(rig: Rig) -> None:
    """The old one counts as long as an activation is about to use it, which is refused and told
    to come again: not that the spare is blank."""
    two_sets(rig)
    output("release", "second", "--yes")
    replugged()
    spare, spare2 = paths(rig, "spare", "spare2")
    with asked("resize", "data", spare2) as yes:
        with locks.holding(0, 1):    # which the activation takes when it has looked again
            waits = rig.background(dmremap, "activate", "--auto", "--exit-code", spare)
            time.sleep(4)
            resized = rig.background(yes)
            wait([resized], 8)
        result = waits.result(60)
        assert resized.result(60).returncode == OK, resized.result()
    assert result.returncode == 1 and "resize data" in result.stderr, result
    assert dm.devices() == []
    output("activate", "data")
    found, = sets()
    assert (found["state"], found["spare"]) == ("active", spare2)


def test_what_comes_back_while_restore_backup_asks(rig: Rig) -> None:
    """Without main nothing holds the set: it must not get a second spare while it is active."""
    ext4_on_main(rig)
    create(rig, "--no-guard", "--backup", "/tmp/data.backup")
    output("deactivate", "data")
    settle(rig)
    replugged()
    image, other = rig.media("spare").whole(), rig.media("spare2").whole()
    rig.media("spare").write(0, bytes(len(image)))
    spare, spare2 = paths(rig, "spare", "spare2")
    drop_page_cache(spare)
    with asked("restore-backup", "/tmp/data.backup", spare2, "--older") as yes:
        rig.media("spare").write(0, image)
        drop_page_cache(spare)
        output("activate", "--auto", "--exit-code", spare)
        result = yes()
    assert result.returncode == REFUSED, result
    assert f"{paths(rig, 'main')[0]}, the set's main device, was attached" in result.stderr, result
    output("deactivate", "data")
    settle(rig, *ALL)
    assert rig.media("spare2").whole() == other
    replugged()
    output("activate", "--auto", "--exit-code", spare)


@pytest.mark.parametrize("comes", [True, False], ids=["activated", "deactivated"])
def test_write_cache_of_a_set_that_changes_meanwhile(rig: Rig, comes: bool) -> None:
    """Active or not, it is changed: it need not be deactivated for that."""
    ext4_on_main(rig)
    create(rig)
    line, = dm.table("data")
    found, = sets()
    if comes:
        output("deactivate", "data")
        settle(rig)
    with locks.holding(locks.set_at(found["uuid"]), 1):
        waits = rig.background(dmremap, "write-cache", "data", "keep")
        time.sleep(3)
        if comes:
            dm.create("data", f"REMAP-{found['uuid']}")
            dm.load("data", line)
            dm.resume("data")
        else:
            dm.remove("data")
    result = waits.result(60)
    assert result.returncode == OK, result
    if not comes:
        output("activate", "data")
    assert rig.status("data")["write_cache"] == "keep"


def test_import_into_the_set_that_it_asked_about(rig: Rig) -> None:
    """The name is another set's when the question is answered."""
    two_sets(rig)
    output("activate", "data")
    bad = Path("/tmp/bad-sectors")
    bad.write_text("2000\n")
    with asked("import", "data", str(bad)) as yes:
        output("deactivate", "data")
        output("activate", "second", "--name", "data")
        used = rig.status("data")["used"]
        result = yes()
    assert result.returncode == REFUSED and "was replaced meanwhile" in result.stderr, result
    assert rig.status("data")["used"] == used


def test_many_commands_at_once_about_one_set(rig: Rig) -> None:
    """Whatever their order, each is done or refused, and the data are there in the end."""
    plain = ext4_on_main(rig)
    create(rig)
    calls = [["deactivate", "data"], ["activate", "data"], ["adopt-host", "data"],
             ["write-cache", "data", "keep"], ["backup", "data"], ["activate", "--auto"],
             ["release", "data", "--yes"], ["create", "data", *paths(rig, "main", "spare"), "--yes"],
             ["release", "--without-main", paths(rig, "spare")[0], "--yes"],
             ["release", "--without-spare", paths(rig, "main")[0], "--yes", "--accept-loss"]]
    numbers = random.Random(7)
    for _ in range(5):
        numbers.shuffle(calls)
        with ThreadPoolExecutor(len(calls)) as pool:
            results = list(pool.map(lambda call: dmremap(*call), calls))
        for call, result in zip(calls, results):
            assert result.returncode in (OK, 1, 3, 4, REFUSED), (call, result)
            assert result.returncode != 1 or "does not answer" in result.stderr, (call, result)
        locks.check_free()
        found = sets()
        states = [line["state"] for line in found]
        assert states in ([], ["active"], ["ready"]), (results, found)
        if states == ["ready"]:
            output("activate", "data")
        settle(rig)
        assert (content("data") if states else rig.media("main").whole()) == plain, results
        if not states:
            create(rig)
