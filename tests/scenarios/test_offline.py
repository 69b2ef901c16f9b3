# SPDX-License-Identifier: GPL-2.0-or-later
"""`dmremap check` and `dump` on spares that the kernel made; the way out without it (O9)."""

import json
from pathlib import Path

import pytest

from tests.scenarios.lib import Rig, pattern
from tests.scenarios.ondisk import Spare
from tests.scenarios.sets import DAMAGED, NOT_FOUND, dmremap, output, paths, refused

pytestmark = [pytest.mark.disks(main="1M", spare="640K"),
              pytest.mark.usefixtures("state_directory"), pytest.mark.plain_only]


def make(rig: Rig) -> str:
    """A set with relocated, rescued and lost sectors; inactive. The spare's path."""
    rig.media("main").write(0, pattern(9, 2048))
    device = rig.create()
    rig.main.bad(800, 100, kind="write")
    device.pwrite(797, pattern(1, 64))
    rig.main.bad(16, kind="read")
    rig.message("r0", "remap 12 10")
    rig.remove()
    rig.main.clear()
    return str(rig.spare.kernel_path)


def test_a_whole_set(rig: Rig) -> None:
    spare = make(rig)
    before = rig.media("spare").whole()
    result = dmremap("check", spare)
    assert result.returncode == 0, result
    assert result.stdout == f"{spare}: all metadata is intact\n"
    copies = json.loads(dmremap("check", spare, "--all", "--json").stdout)["copies"]
    assert len(copies) == 4 * 4 and {copy["block"] for copy in copies} == {0, 1, 2, 3}
    entries = json.loads(dmremap("dump", spare, "--json").stdout)["entries"]
    assert {(e["slot"], e["sector"], tuple(e["redirected"]), tuple(e["lost"]))
            for e in entries} == \
        {(e.slot, e.chunk * 8, e.sectors(e.redirected), e.sectors(e.lost))
         for e in Spare.of(rig).entries() if e.state}
    assert [e["lost"] for e in entries if e["lost"]] == [[16]]
    assert rig.media("spare").whole() == before


def test_an_image_of_it(rig: Rig, tmp_path: Path) -> None:
    make(rig)
    image = tmp_path / "spare.img"
    image.write_bytes(bytes(4096 * 3) + rig.media("spare").whole())
    assert dmremap("check", str(image), "--spare-start", "24").returncode == 0
    result = dmremap("check", str(image))
    assert result.returncode == 3 and "not a dm-remap spare" in result.stderr


def test_what_it_is_instead_is_named(rig: Rig, tmp_path: Path) -> None:
    main, spare = paths(rig, "main", "spare")
    backup = tmp_path / "data.backup"
    output("create", "data", main, spare, "--yes")
    output("backup", "data", str(backup))
    output("deactivate", "data")
    for verb in ("check", "dump"):
        told = refused(NOT_FOUND, verb, str(backup))
        assert 'a backup of set "data"' in told and "restore-backup" in told
        assert 'the main device of set "data"' in refused(NOT_FOUND, verb, main)
    output("release", "data", "--yes")
    assert "not a dm-remap spare" in refused(NOT_FOUND, "check", main)


def test_damage_is_named(rig: Rig) -> None:
    path = make(rig)
    spare = Spare.of(rig)
    place = spare.newest_place(1, 0)
    block = spare.read(0, place, 1)
    spare.write(0, place, 1, block.data[:100] + bytes([block.data[100] ^ 1]) + block.data[101:])
    before = rig.media("spare").whole()
    result = dmremap("check", path, "--json")
    assert result.returncode == DAMAGED and "activation repairs" in result.stderr
    bad, = json.loads(result.stdout)["copies"]
    assert (bad["block"], bad["replica"], bad["place"]) == (1, 0, "AB"[place])
    assert rig.media("spare").whole() == before
    rig.create()
    rig.remove()
    assert dmremap("check", path).returncode == 0


def test_a_lost_block_gives_no_map(rig: Rig) -> None:
    """Old data of main must not be served as good."""
    path = make(rig)
    spare = Spare.of(rig)
    for replica in range(2):
        for place in range(2):
            spare.write(replica, place, 1, bytes(4096))
    for arguments in (["check", path], ["dump", path], ["dump", path, "--dm-table", "/dev/x"]):
        result = dmremap(*arguments)
        assert result.returncode == DAMAGED, result
    assert dmremap("dump", path, "--dm-table", "/dev/x").stdout == ""


def test_without_the_module(rig: Rig) -> None:
    """The printed table serves what the module serves, and errors where it does."""
    path = make(rig)
    device = rig.create()
    seen: list[bytes | None] = []
    for sector in range(2048):
        try:
            seen.append(device.pread(sector))
        except OSError:
            seen.append(None)
    assert seen.count(None) == 1
    rig.remove()
    table = dmremap("dump", path, "--dm-table", str(rig.main.kernel_path)).stdout
    assert "remap" not in table and table.count("error") == 1
    plain = rig.create("plain", table=table)
    for sector, data in enumerate(seen):
        if data is None:
            with pytest.raises(OSError):
                plain.pread(sector)
        else:
            assert plain.pread(sector) == data, sector
