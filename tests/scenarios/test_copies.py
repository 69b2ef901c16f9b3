# SPDX-License-Identifier: GPL-2.0-or-later
"""A raw copy of a member is attached beside it: only the recorded hardware counts (O12)."""

from pathlib import Path

import pytest

from tests.scenarios.lib import SECTOR, Device, Rig, drop_page_cache, pattern
from tests.scenarios.sets import (REFUSED, USAGE, create, ext4_on_main, output, paths, refused, sets,
                                  settle)

pytestmark = [pytest.mark.disks(main="4M", spare="2M", copy="4M", other="2M"),
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002", copy="COPY-0003",
                                  other="OTHER-0004"),
              pytest.mark.usefixtures("state_directory"), pytest.mark.plain_only]


def copy_disk(rig: Rig, source: str, target: str) -> bytes:
    settle(rig, source)
    content = rig.media(source).whole()
    with open(paths(rig, target)[0], "r+b") as file:
        file.write(content)
    settle(rig, target)
    return content


def write(sector: int, data: bytes) -> None:
    device = Device("/dev/mapper/data", "data")
    device.pwrite(sector, data)
    device.close()


def test_the_members_of_a_fallback_are_those_of_its_table(rig: Rig,
                                                          tmp_path: Path) -> None:
    """Once release wrote to the copy of main, and wiped the spare that main needed."""
    model = bytearray(ext4_on_main(rig))
    create(rig)
    output("deactivate", "data")
    copies = {name: copy_disk(rig, source, name)
              for source, name in (("main", "copy"), ("spare", "other"))}
    output("activate", "data", "--fallback")
    for sector in (4, 4000):    # on the spare, and on main
        model[sector * SECTOR:(sector + 4) * SECTOR] = pattern(sector, 4)
        write(sector, pattern(sector, 4))
    found, = sets()
    assert [found["main"], found["spare"]] == paths(rig, "main", "spare")
    assert found["ignored_copies"] == 2
    output("backup", "data", str(tmp_path / "backup"))
    output("release", "data", "--yes")
    settle(rig, "main", "copy", "spare", "other")
    assert rig.media("main").whole() == model
    assert {name: rig.media(name).whole() for name in copies} == copies


def test_a_backup_is_not_restored_for_an_old_copy_of_main(rig: Rig,
                                                          tmp_path: Path) -> None:
    """Its mark is old: a backup without the last remaps passed for a current one."""
    ext4_on_main(rig)
    create(rig)
    file = str(tmp_path / "backup")
    output("backup", "data", file)
    output("deactivate", "data")
    copy_disk(rig, "main", "copy")
    output("activate", "data")
    rig.main.bad(800, 8, kind="write")
    write(800, pattern(800, 8))
    output("deactivate", "data")
    rig.spare.fail()
    drop_page_cache(*paths(rig, "spare"))
    main, copy, other = paths(rig, "main", "copy", "other")
    before = [rig.media(name).whole() for name in ("main", "copy", "other")]

    assert "both claim to be the set's main device" in \
        refused(REFUSED, "restore-backup", file, other, "--yes")
    assert "Use --older" in refused(REFUSED, "restore-backup", file, other, "--yes", "--main", main)
    with open(main, "r+b") as disk:    # as if it were detached
        disk.write(bytes(4096))
    settle(rig, "main")
    assert f"{copy} is other hardware" in refused(REFUSED, "restore-backup", file, other, "--yes")
    settle(rig, "copy", "other")
    assert [rig.media(name).whole() for name in ("copy", "other")] == before[1:]


@pytest.mark.disks(main="4M", spare="2M", copy="4M", other="2M")
def test_both_members_were_replaced_and_are_still_attached(rig: Rig) -> None:
    """The old spare records the old main: that made the old main count again."""
    ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    main, spare, copy, other = paths(rig, "main", "spare", "copy", "other")
    copy_disk(rig, "spare", "other")
    output("replace-spare", "data", other, "--yes")
    copy_disk(rig, "main", "copy")
    output("replace-main", "data", copy, "--yes")
    settle(rig, "main", "spare", "copy", "other")
    found, = sets()
    assert [found["state"], found["main"], found["spare"]] == ["ready", copy, other], found


def test_no_refusal_advises_to_end_the_set_for_its_copy(rig: Rig) -> None:
    """Of a copy they said to release the set, or to wipe the spare that it needs."""
    ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    main, spare, copy, other = paths(rig, "main", "spare", "copy", "other")
    copy_disk(rig, "main", "copy")
    copy_disk(rig, "spare", "other")
    told = refused(REFUSED, "release", "--without-spare", copy, "--yes")
    assert f"{copy} is not the current main device of data: that is {main}" in told
    told = refused(REFUSED, "release", "--without-main", other, "--yes")
    assert f"{other} is not the current spare device of data: that is {spare}" in told
    told = refused(USAGE, "resize", "data", spare, "--yes")
    assert f"{spare} is the set's spare already" in told and "wipe" not in told
    for role, device in (main, "main"), (spare, "spare"):
        assert "is present; run dmremap release data" in \
            refused(REFUSED, "release", f"--without-{'spare' if device == 'main' else 'main'}",
                    role, "--yes")
