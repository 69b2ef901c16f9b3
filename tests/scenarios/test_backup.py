# SPDX-License-Identifier: GPL-2.0-or-later
"""`dmremap backup` and `restore-backup`: what comes back is served by the kernel (O1, O2, O6).

Power cuts and every damaged block are in tests/unit/test_backup.c.
"""

import os
from pathlib import Path

import pytest

from tests.scenarios.lib import SECTOR, Device, Rig, drop_page_cache, pattern
from tests.scenarios.ondisk import Spare
from tests.scenarios.region import Region, slot_of
from tests.scenarios.sets import (DAMAGED, NOT_FOUND, OK, REFUSED, WAITING, content,
                                  content_at, create, dmremap, ext4_on_main, output, paths,
                                  refused, run, sets, settle, signatures)

pytestmark = [pytest.mark.disks(main="4M", spare="2M", other="2M"),
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002", other="SPARE-0003"),
              pytest.mark.usefixtures("state_directory"), pytest.mark.plain_only]


def used_set(rig: Rig) -> bytearray:
    """A set with one relocated chunk, its first 16 sectors written anew; what it serves."""
    model = bytearray(ext4_on_main(rig))
    create(rig)
    rig.main.bad(800, 8, kind="write")
    device = Device("/dev/mapper/data", "data")
    for sector, count in ((2, 4), (800, 8)):
        model[sector * SECTOR:(sector + count) * SECTOR] = pattern(sector, count)
        device.pwrite(sector, pattern(sector, count))
    device.close()
    return model


def destroy_metadata(rig: Rig) -> None:
    spare = Spare.of(rig)
    for replica in range(2):
        for place in range(2):
            for block in range(spare.soft_block):
                spare.write(replica, place, block, bytes(4096))


def test_create_leaves_a_backup_that_only_root_reads(rig: Rig, state_directory: Path) -> None:
    ext4_on_main(rig)
    told = create(rig)
    file, = state_directory.iterdir()
    assert f"a backup of the set is in {file}" in told
    assert sets()[0]["uuid"] in file.name
    assert state_directory.stat().st_mode & 0o777 == 0o700 and file.stat().st_mode & 0o777 == 0o600


def test_a_destroyed_spare_is_whole_again(rig: Rig, tmp_path: Path) -> None:
    """All metadata gone, the slots intact: nothing is lost."""
    model = used_set(rig)
    main, spare = paths(rig, "main", "spare")
    file = str(tmp_path / "backup")
    assert "1 of them" not in output("backup", "data", file)    # of the active set
    output("deactivate", "data")
    assert "its metadata is intact" in refused(REFUSED, "restore-backup", file, spare, "--yes",
                                              "--older")
    output("backup", "data", file)
    settle(rig)
    destroy_metadata(rig)
    assert dmremap("activate", "data").returncode != OK
    assert "all that the backup lists is restored" in \
        output("restore-backup", file, spare, "--yes")
    rig.main.clear()
    output("activate", "data")
    assert content("data") == model
    output("release", "data", "--yes")
    settle(rig)
    assert rig.media("main").whole() == model


def test_another_spare_in_its_place(rig: Rig, tmp_path: Path) -> None:
    """The hidden chunks come back; what only the old one had is an error, never older."""
    model = used_set(rig)
    output("deactivate", "data")
    file = str(tmp_path / "backup")
    output("backup", "data", file)
    rig.spare.fail()
    drop_page_cache(*paths(rig, "spare"))
    rig.main.clear()
    main, other = paths(rig, "main", "other")
    told = output("restore-backup", file, other, "--yes")
    assert "lost     sectors 800 to 807" in told and "a new device in place of the old spare" in told
    output("activate", "data")
    assert content_at("data", 800) is None and content_at("data", 807) is None
    assert content_at("data", 799) == model[799 * SECTOR:800 * SECTOR]
    device = Device("/dev/mapper/data", "data")
    assert device.pread(0, 800) == model[:800 * SECTOR]
    assert device.pread(808, 8192 - 808) == model[808 * SECTOR:]
    device.pwrite(800, model[800 * SECTOR:808 * SECTOR])
    device.close()
    assert content("data") == model
    output("release", "data", "--yes")
    settle(rig, "main", "other")
    assert rig.media("main").whole() == model


def test_a_hidden_chunk_that_cannot_be_read(rig: Rig, tmp_path: Path) -> None:
    """The rest is worth having all the more; what is not in it is lost, and is never old."""
    model = used_set(rig)
    output("deactivate", "data")
    spare = Spare.of(rig)
    slot, = (entry.slot for entry in spare.entries() if entry.state and entry.chunk == 0)
    rig.spare.bad(spare.slot_sector(slot), kind="read")
    settle(rig)
    file = str(tmp_path / "backup")
    told = dmremap("backup", "data", file)
    assert told.returncode == OK and "1 hidden chunk of" in told.stderr
    rig.spare.fail()
    drop_page_cache(*paths(rig, "spare"))
    rig.main.clear()
    other, = paths(rig, "other")
    assert "lost     sectors 0 to 7" in output("restore-backup", file, other, "--yes")
    output("activate", "data")
    assert content_at("data", 0) is None
    assert content_at("data", 799) == model[799 * SECTOR:800 * SECTOR]
    output("deactivate", "data")


@pytest.mark.parametrize("whole", (True, False))
def test_what_was_made_of_the_spare_since_is_not_overwritten(rig: Rig, tmp_path: Path,
                                                             whole: bool) -> None:
    """P7: a file system that was made on the set's own spare, whose end replica survived that; and
    P2: what its slots hold is no longer the set's."""
    model = used_set(rig)
    output("deactivate", "data")
    file = str(tmp_path / "backup")
    output("backup", "data", file)
    main, spare = paths(rig, "main", "spare")
    settle(rig)
    if not whole:
        for place in range(2):
            Spare.of(rig).write(1, place, 0, bytes(4096))
    run("mkfs.ext4", "-q", "-F", "-E", "nodiscard", "-L", "photos", spare)
    settle(rig)
    before = rig.media("spare").whole()
    assert "holds ext4 \"photos\"; use --wipe-spare" in \
        refused(REFUSED, "restore-backup", file, spare, "--yes")
    assert rig.media("spare").whole() == before
    told = output("restore-backup", file, spare, "--wipe-spare", "--yes")
    assert "lost     sectors 800 to 807" in told and "its slots do not count" in told
    rig.main.clear()
    output("activate", "data")
    assert content_at("data", 800) is None and content_at("data", 807) is None
    device = Device("/dev/mapper/data", "data")
    assert device.pread(0, 800) == model[:800 * SECTOR]
    assert device.pread(808, 8192 - 808) == model[808 * SECTOR:]
    device.close()


def test_what_a_slot_holds_is_no_name(rig: Rig, tmp_path: Path) -> None:
    """The second header of LUKS2 in a chunk whose slot lies where that is looked for: the spare is
    still the set's own, and its slots count."""
    ext4_on_main(rig)
    create(rig)
    place, header = 0x40000, b"SKUL\xba\xbe\0\2" + bytes(248) + (0x40000).to_bytes(8, "big")
    device, sector = Device("/dev/mapper/data", "data"), 0
    region = Region(rig)
    for sector in range(1600, 2400, 8):
        output("remap", "data", str(sector), "8")
        if region.slot(slot_of(rig, sector, "data") or 0) * SECTOR == place:
            break
    device.pwrite(sector, header.ljust(4096, b"\0"))
    model = device.pread(0, device.sectors())
    device.close()
    output("deactivate", "data")
    file = str(tmp_path / "backup")
    output("backup", "data", file)
    spare, = paths(rig, "spare")
    settle(rig)
    destroy_metadata(rig)
    settle(rig)
    assert "crypto_LUKS" in signatures(spare)
    output("restore-backup", file, spare, "--yes")
    output("activate", "data")
    assert content("data") == model


def test_an_old_backup_needs_a_word(rig: Rig, state_directory: Path) -> None:
    """O6: what was remapped since is not known to it."""
    used_set(rig)
    output("deactivate", "data")
    first, = state_directory.iterdir()    # of create: before the remap
    main, spare, other = paths(rig, "main", "spare", "other")
    settle(rig)
    destroy_metadata(rig)
    before = rig.media("spare").whole()
    assert "Use --older to restore it anyway" in \
        refused(REFUSED, "restore-backup", str(first), spare, "--yes")
    assert rig.media("spare").whole() == before
    rig.main.fail()
    assert "without the set's main device" in \
        refused(WAITING, "restore-backup", str(first), other, "--yes")
    assert not any(rig.media("other").whole())


def test_the_backup_of_create_is_current_until_something_is_remapped(
        rig: Rig, state_directory: Path) -> None:
    """Activated, deactivated, its counters saved: nothing of that is in a backup."""
    model = ext4_on_main(rig)
    create(rig)
    output("save", "data")
    output("deactivate", "data")
    output("activate", "data")
    output("deactivate", "data")
    settle(rig)
    rig.media("spare").write(0, bytes(rig.spare.size_bytes))
    first, = state_directory.iterdir()
    spare, = paths(rig, "spare")
    said = output("restore-backup", str(first), spare, "--yes")
    assert "OLDER" not in said and "lost     0 chunks" in said, said
    output("activate", "data")
    assert content("data") == model


def test_what_is_no_backup(rig: Rig, tmp_path: Path) -> None:
    ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    file = tmp_path / "backup"
    output("backup", "data", str(file))
    other, = paths(rig, "other")
    whole = file.read_bytes()
    file.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    assert "wrong checksum" in refused(DAMAGED, "restore-backup", str(file), other, "--yes")
    file.write_bytes(b"x" * 20000)
    assert "not a dm-remap backup" in refused(NOT_FOUND, "restore-backup", str(file), other, "--yes")
    assert "not a regular file" in refused(2, "backup", "data", other)
    assert not any(rig.media("other").whole())


def test_a_first_chunk_that_cannot_be_deflated(rig: Rig, tmp_path: Path) -> None:
    """O1: it is kept elsewhere, or there is no set."""
    rig.media("main").write(0, bytes(512) + os.urandom(8 * 512 - 512))
    before = rig.media("main").whole()
    main, spare = paths(rig, "main", "spare")
    assert "--backup FILE" in refused(REFUSED, "create", "data", main, spare, "--yes")
    assert rig.media("main").whole() == before and not any(rig.media("spare").whole())
    file = tmp_path / "backup"
    create(rig, "--backup", str(file))
    assert content("data") == before
    output("deactivate", "data")
    rig.spare.fail()
    assert "--backup FILE" in refused(REFUSED, "release", "--without-spare", main, "--yes")
    output("release", "--without-spare", main, "--backup", str(file), "--yes")
    settle(rig, "main")
    assert rig.media("main").whole()[:-4096] == before[:-4096]
