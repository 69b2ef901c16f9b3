# SPDX-License-Identifier: GPL-2.0-or-later
"""create and release are killed before each call that changes something, and called again.

The second call goes on from there, or says that nothing is left to be done; what is there in
the end is what one call leaves. (Power cuts, which lose what was not flushed: test_create_crash,
test_resize, test_activation.)
"""

import time
from pathlib import Path

import pytest

from tests.scenarios import dm, inprocess, sampled
from tests.scenarios.killing import MARKS, State, at_every_step, backups, no_files_stay, rules, used
from tests.scenarios.lib import SECTOR, Rig, drop_page_cache
from tests.scenarios.sets import (NOT_FOUND, OK, REFUSED, content, dmremap, ext4_on_main, output, paths,
                                  sets, settle, signatures)

__all__ = ["no_files_stay"]
pytestmark = MARKS


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


def test_a_main_stays_hidden_while_its_spare_is_away(rig: Rig) -> None:
    """Once the set counts, no activation takes the rule away; one that does not count leaves none."""
    plain = ext4_on_main(rig)
    main, spare = paths(rig, "main", "spare")
    state, counted, undone = State(rig), 0, 0
    for before in filter(sampled.wanted, range(2000)):
        state.put_back()
        code = inprocess.killed(before, "create", "data", main, spare, "--no-guard", "--yes")
        if code == OK:
            break
        for name in dm.devices():
            dm.remove(name)
        if before % 4 and sampled.ONE_OF == 1 and not sets():    # less is enough of these
            continue
        what = f"create killed before call {before}"
        rig.spare.fail()
        drop_page_cache(spare)
        time.sleep(0.02)    # by the clock of files the rule is older than the look
        dmremap("activate", "--auto", main)
        left = rules()
        rig.spare.back()
        drop_page_cache(spare)
        found = sets()
        if found and found[0]["state"] == "ready":
            counted += 1
            rule, = left
            assert found[0]["uuid"] in rule, what
        dmremap("activate", "--auto", spare)
        dmremap("activate")    # also where there is no set
        undone += not found or found[0]["state"] != "ready"
        assert len(rules()) == len(sets()), what
        settle(rig)
        assert rig.media("main").whole()[:SECTOR] == plain[:SECTOR], what
    assert counted and undone


def test_create_with_its_backup_elsewhere(rig: Rig, tmp_path: Path) -> None:
    """The file of the set that was undone is no other set's."""
    plain = ext4_on_main(rig)
    main, spare = paths(rig, "main", "spare")
    file = tmp_path / "backup"

    def check(code: int, what: str) -> None:
        found, = sets()
        assert (found["state"], found["name"]) == ("active", "data"), what
        assert content("data") == plain and backups() == [], what
        assert bytes.fromhex(found["uuid"].replace("-", "")) in file.read_bytes(), what
        file.unlink()

    at_every_step(rig, ["create", "data", main, spare, "--yes", "--backup", str(file)], check)


@pytest.mark.parametrize("more", [(), ("--no-guard",)], ids=["guard", "no-guard"])
def test_release(rig: Rig, more: tuple[str, ...]) -> None:
    whole = used(rig, *more)
    output("deactivate", "data")

    def check(code: int, what: str) -> None:
        assert sets() == [] and rules() == [], what
        assert rig.media("main").whole() == whole, what
        assert signatures(paths(rig, "main")[0]) == {"ext4"}, what

    at_every_step(rig, ["release", "data", "--yes"], check, (OK, NOT_FOUND))
