# SPDX-License-Identifier: GPL-2.0-or-later
"""create and release are killed before each call that changes something, and called again.

The second call goes on from there, or says that nothing is left to be done; what is there in
the end is what one call leaves. (Power cuts, which lose what was not flushed: test_create_crash,
test_resize, test_activation.)
"""

from pathlib import Path

import pytest

from tests.scenarios.killing import MARKS, at_every_step, backups, no_files_stay, rules, used
from tests.scenarios.lib import SECTOR, Rig
from tests.scenarios.sets import (NOT_FOUND, OK, REFUSED, content, ext4_on_main, output, paths,
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
