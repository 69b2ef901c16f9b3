# SPDX-License-Identifier: GPL-2.0-or-later
"""As test_killed, of the verbs that change a set: each is killed anywhere, and called again."""

import re
from pathlib import Path

import pytest

from tests.scenarios.killing import (ALL, MARKS, STATE, at_every_step, backups, no_files_stay,
                                     rules, used)
from tests.scenarios.lib import SECTOR, Rig
from tests.scenarios.ondisk import Spare
from tests.scenarios.sets import (NOT_FOUND, OK, REFUSED, content, output, paths, sets, settle)

__all__ = ["no_files_stay"]
HOST = (152, 16)
pytestmark = MARKS


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


def test_write_cache(rig: Rig) -> None:
    """Again after it was killed between the replicas: both have it then."""
    used(rig)
    output("deactivate", "data")

    def check(code: int, what: str) -> None:
        settle(rig, *ALL)
        output("check", paths(rig, "spare")[0])
        assert "keep" in output("write-cache", "data"), what

    at_every_step(rig, ["write-cache", "data", "keep"], check)


@pytest.mark.parametrize("more", [(), ("--fallback",)], ids=["module", "fallback"])
def test_activate(rig: Rig, more: tuple[str, ...]) -> None:
    """What was asked for is what is done, also where a device without a table was left."""
    whole = used(rig)
    output("deactivate", "data")

    def check(code: int, what: str) -> None:
        found, = sets()
        assert (found["state"], found["mode"] == "fallback") == ("active", bool(more)), what
        assert content("data") == whole, what

    at_every_step(rig, ["activate", "data", *more], check)


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
            assert "its metadata is intact" in what or "is the spare device of a set" in what, what
        output("activate", "data")
        found, = sets()
        assert (found["spare"], found["state"]) == (paths(rig, onto)[0], "active"), what
        if onto == "spare":
            assert content("data") == whole, what
        else:    # what was remapped is lost, and says so
            assert rig.status("data")["lost_sectors"] == 8, what

    at_every_step(rig, ["restore-backup", file, paths(rig, onto)[0], "--yes"], check,
                  (OK, REFUSED))


@pytest.mark.parametrize("more", [(), ("--no-guard",)], ids=["guard", "no-guard"])
def test_release_without_spare(rig: Rig, more: tuple[str, ...]) -> None:
    used(rig, *more)
    output("deactivate", "data")
    main, = paths(rig, "main")
    rig.media("spare").write(0, bytes(rig.spare.size_bytes))

    def check(code: int, what: str) -> None:
        assert rules() == [], what
        assert code == OK or "it is a plain disk" in what, what

    at_every_step(rig, ["release", "--without-spare", main, "--yes"], check, (OK, NOT_FOUND))


def test_a_backup_that_is_renewed(rig: Rig) -> None:
    """Each file that is there is whole, and those before are there in their order."""
    used(rig)
    output("backup", "data", "--renew")
    for sector in (808, 816):
        rig.message("data", f"remap {sector} 8")
        output("backup", "data", "--renew")
    rig.message("data", "remap 824 8")
    output("deactivate", "data")
    uuid = sets()[0]["uuid"]
    before = {path.name: path.read_bytes() for path in STATE.glob("*.backup*")}
    kept = [f"{uuid}.backup{more}" for more in ("", ".1", ".2", ".week")]
    assert sorted(before) == kept

    def check(code: int, what: str) -> None:
        now = {path.name: path.read_bytes() for path in STATE.glob("*.backup*")}
        assert sorted(now) == kept and now[kept[3]] == before[kept[3]], what
        assert (now[kept[1]], now[kept[2]]) == (before[kept[0]], before[kept[1]]), what
        assert "up to date" in output("backup", "data", "--renew"), what

    at_every_step(rig, ["backup", "data", "--renew"], check)


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
