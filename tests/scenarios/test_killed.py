# SPDX-License-Identifier: GPL-2.0-or-later
"""Every verb is killed before each call that changes something, and is then called again.
(Of writes that follow each other without a flush, before the first two: tools/killed.c.)

The second call goes on from there, or says that nothing is left to be done; what is there in
the end is what one call leaves. (Power cuts, which lose what was not flushed: test_create_crash,
test_resize, test_activation.)
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.scenarios import dm, inprocess
from tests.scenarios.lib import SECTOR, Device, Rig, pattern
from tests.scenarios.ondisk import Spare
from tests.scenarios.sets import (LET_GO, NOT_FOUND, OK, REFUSED, content, create, dmremap,
                                  ext4_on_main, forget_hardware, hardware, output, paths, sets,
                                  settle, signatures)

RULES, STATE = Path("/etc/udev/rules.d"), Path(os.environ["STATE_DIRECTORY"])
ALL = ("main", "spare", "other")
HOST = (152, 16)
pytestmark = [pytest.mark.disks(main="1M", spare="512K", other="1M"), pytest.mark.plain_only]


def forget_files() -> None:
    for place in (RULES, STATE, LET_GO):
        for file in place.glob("*"):
            file.unlink()


@pytest.fixture(autouse=True)
def disks_with_serials(rig: Rig) -> Iterator[None]:
    hardware(rig, main="MAIN-0001", spare="SPARE-0002", other="OTHER-0003")
    forget_files()
    yield
    forget_hardware()
    forget_files()


class State:
    """All disks and files, put back before each try."""

    def __init__(self, rig: Rig) -> None:
        settle(rig, *ALL)
        self._rig = rig
        self._media = {name: rig.media(name).whole() for name in ALL}
        self._files = {path: path.read_bytes() for place in (RULES, STATE, LET_GO)
                       for path in place.glob("*")}

    def put_back(self) -> None:
        for name in sorted(dm.devices(), reverse=True):
            dm.remove(name)
        settle(self._rig, *ALL)
        self._rig.server.forget_log()
        for name, image in self._media.items():
            self._rig.media(name).write(0, image)
        forget_files()
        for path, data in self._files.items():
            path.write_bytes(data)


def at_every_step(rig: Rig, arguments: list[str], check: Callable[[int, str], None],
                  codes: tuple[int, ...] = (OK,)) -> None:
    """CHECK gets the exit code and what it said of the call after the one that was killed."""
    state = State(rig)
    for before in range(2000):
        state.put_back()
        code = inprocess.killed(before, *arguments)
        result = dmremap(*arguments)
        what = f"{arguments[0]} killed before call {before} ({code}), and again: {result}"
        print(what)
        assert code in (OK, inprocess.KILLED), what
        assert result.returncode in codes or code == OK, what
        settle(rig, *ALL)
        check(result.returncode, what)
        if code == OK:    # it came to its end
            assert before > 5
            return
    raise AssertionError("it never ends")


def rules() -> list[str]:
    """Those that count for udev: what a killed write left has another name."""
    return [rule.read_text() for rule in RULES.glob("*.rules")]


def backups() -> list[str]:
    return sorted(path.name for path in STATE.glob("*.backup"))


@pytest.mark.parametrize("more", [(), ("--no-guard",)], ids=["guard", "no-guard"])
def test_create(rig: Rig, more: tuple[str, ...]) -> None:
    plain = ext4_on_main(rig)
    main, spare = paths(rig, "main", "spare")

    def check(code: int, what: str) -> None:
        if code == REFUSED:    # the first one had come to its end, or almost
            assert "is the main device of set" in what or "is the spare device of set" in what \
                or "in use" in what, what
        found, = sets()
        assert (found["state"], found["name"], found["main"], found["spare"]) == \
            ("active", "data", main, spare), what
        assert content("data") == plain, what
        assert backups() == [f"{found['uuid']}.backup"], what
        if more:
            rule, = rules()
            assert found["uuid"] in rule and "being made" not in rule, what
        settle(rig)
        assert (rig.media("main").whole()[:SECTOR] == plain[:SECTOR]) == bool(more), what

    at_every_step(rig, ["create", "data", main, spare, "--yes", *more], check)


def used(rig: Rig, *more: str) -> bytes:
    """An active set with one relocated chunk, which main would take back; its content."""
    ext4_on_main(rig)
    create(rig, *more)
    rig.main.bad(800, 8, kind="write")
    device = Device("/dev/mapper/data", "data")
    device.pwrite(800, pattern(1, 8))
    device.close()
    rig.main.clear()
    return content("data")


@pytest.mark.parametrize("more", [(), ("--no-guard",)], ids=["guard", "no-guard"])
def test_release(rig: Rig, more: tuple[str, ...]) -> None:
    whole = used(rig, *more)
    output("deactivate", "data")

    def check(code: int, what: str) -> None:
        assert sets() == [] and rules() == [], what
        assert rig.media("main").whole() == whole, what
        assert signatures(paths(rig, "main")[0]) == {"ext4"}, what

    at_every_step(rig, ["release", "data", "--yes"], check, (OK, NOT_FOUND))


@pytest.mark.parametrize("more", [(), ("--no-guard",)], ids=["guard", "no-guard"])
def test_replace_main(rig: Rig, more: tuple[str, ...]) -> None:
    whole = used(rig, *more)
    output("deactivate", "data")
    settle(rig, *ALL)
    other, = paths(rig, "other")
    rig.media("other").write(0, rig.media("main").whole())

    def check(code: int, what: str) -> None:
        output("activate", "data")
        found, = sets()
        assert (found["main"], found["state"]) == (other, "active"), what
        assert content("data") == whole, what
        if more:
            rule, = rules()
            assert "OTHER-0003" in rule, what

    at_every_step(rig, ["replace-main", "data", other, "--yes"], check)


def test_replace_spare(rig: Rig) -> None:
    whole = used(rig)
    output("deactivate", "data")
    settle(rig, *ALL)
    other, = paths(rig, "other")
    rig.media("other").write(0, rig.media("spare").whole())

    def check(code: int, what: str) -> None:
        output("activate", "data")
        found, = sets()
        assert (found["spare"], found["state"]) == (other, "active"), what
        assert content("data") == whole, what

    at_every_step(rig, ["replace-spare", "data", other, "--yes"], check)


def test_resize(rig: Rig) -> None:
    whole = used(rig)
    output("deactivate", "data")
    other, = paths(rig, "other")

    def check(code: int, what: str) -> None:
        output("activate", "data")
        found, = sets()
        assert (found["spare"], found["state"]) == (other, "active"), what
        assert content("data") == whole, what
        # killed while it was being wiped it may hold zeros and old blocks, and is no spare
        assert code != OK or not any(rig.media("spare").whole()), what
        assert found["ignored_copies"] == 0, what
        assert len(backups()) == 1, what

    at_every_step(rig, ["resize", "data", other, "--yes"], check, (OK, 2))


def test_adopt_host(rig: Rig) -> None:
    whole = used(rig)
    output("deactivate", "data")
    settle(rig)
    spare = Spare.of(rig)
    for (replica, place), copy in spare.copies(0).items():
        if copy.valid:
            spare.write(replica, place, 0, copy.changed(HOST[0], b"another host's id"[:16]).data)
    uuid = sets()[0]["uuid"]
    assert sets()[0]["state"] == "foreign"

    def check(code: int, what: str) -> None:
        assert sets()[0]["state"] == "ready", what
        output("activate", "data")
        assert content("data") == whole, what

    at_every_step(rig, ["adopt-host", uuid], check)


@pytest.mark.parametrize("onto", ["spare", "other"])
def test_restore_backup(rig: Rig, tmp_path: Path, onto: str) -> None:
    whole = used(rig)
    output("deactivate", "data")
    file = str(tmp_path / "backup")
    output("backup", "data", file)
    settle(rig, *ALL)
    rig.media("spare").write(0, bytes(8 * SECTOR if onto == "spare" else rig.spare.size_bytes))
    spare = Spare.of(rig)
    for block in (0, 1):
        for replica, place in spare.copies(block):
            spare.write(replica, place, block, bytes(4096))

    def check(code: int, what: str) -> None:
        if code == REFUSED:
            assert "its metadata is whole" in what or "is the spare device of a set" in what, what
        output("activate", "data")
        found, = sets()
        assert (found["spare"], found["state"]) == (paths(rig, onto)[0], "active"), what
        if onto == "spare":
            assert content("data") == whole, what
        else:    # what was remapped is lost, and says so
            assert rig.status("data")["lost_sectors"] == 8, what

    at_every_step(rig, ["restore-backup", file, paths(rig, onto)[0], "--yes"], check,
                  (OK, REFUSED))


def test_backup(rig: Rig, tmp_path: Path) -> None:
    used(rig)
    output("deactivate", "data")
    file = tmp_path / "backup"

    def check(code: int, what: str) -> None:
        spare = Spare.of(rig)
        assert re.match(rb"dmRemapB", file.read_bytes()) and spare.newest(0).valid, what
        output("backup", "data", str(file))    # over itself
        file.unlink()

    at_every_step(rig, ["backup", "data", str(file)], check)
