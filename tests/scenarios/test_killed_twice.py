# SPDX-License-Identifier: GPL-2.0-or-later
"""create --backup FILE is killed, and the same command that goes on from there is killed, too.

What the third one finds may be of a set that there is not any more: the file must not stand in
its way, and nothing stays beside it.
"""

from pathlib import Path

from tests.scenarios import inprocess
from tests.scenarios.killing import MARKS, State, at_every_step, backups, no_files_stay
from tests.scenarios.lib import Rig
from tests.scenarios.sets import OK, content, dmremap, ext4_on_main, paths, sets, settle

__all__ = ["no_files_stay"]
pytestmark = MARKS


def killed_late(rig: Rig, arguments: list[str], file: Path) -> None:
    """The last state in which there is a backup, and the set does not count."""
    state = State(rig)
    found, before = -1, -1
    while before < 2000:
        before += 1 if found >= 0 else 4    # it is so before more than four calls
        state.put_back()
        file.unlink(missing_ok=True)
        code = inprocess.killed(before, *arguments)
        settle(rig)
        if file.exists() and [line["state"] for line in sets()] == ["unfinished"]:
            found = before
        if code == OK or (found >= 0 and found < before):
            break
    assert found >= 0
    state.put_back()
    file.unlink(missing_ok=True)
    inprocess.killed(found, *arguments)


def test_create_with_its_backup_elsewhere(rig: Rig, tmp_path: Path) -> None:
    plain = ext4_on_main(rig)
    main, spare = paths(rig, "main", "spare")
    file = tmp_path / "backup"
    arguments = ["create", "data", main, spare, "--yes", "--backup", str(file)]

    def check(code: int, what: str) -> None:
        found, = sets()
        assert (found["state"], found["name"]) == ("active", "data"), what
        assert content("data") == plain and backups() == [], what
        assert bytes.fromhex(found["uuid"].replace("-", "")) in file.read_bytes(), what
        assert list(tmp_path.iterdir()) == [file], what
        file.write_bytes(half_way)

    killed_late(rig, arguments, file)
    half_way = file.read_bytes()
    at_every_step(rig, arguments, check)


def test_undone_by_activation(rig: Rig, tmp_path: Path) -> None:
    """Which does not know where the backup is; the same create takes the place of its file."""
    ext4_on_main(rig)
    main, spare = paths(rig, "main", "spare")
    file = tmp_path / "backup"
    arguments = ["create", "data", main, spare, "--yes", "--backup", str(file)]
    killed_late(rig, arguments, file)
    old = file.read_bytes()
    dmremap("activate", spare)
    assert sets() == [] and file.read_bytes() == old
    other = dmremap(*[word.replace("data", "other") for word in arguments])
    assert other.returncode != OK and file.read_bytes() == old, other
    result = dmremap(*arguments)
    assert result.returncode == OK, result
    found, = sets()
    assert bytes.fromhex(found["uuid"].replace("-", "")) in file.read_bytes()
