# SPDX-License-Identifier: GPL-2.0-or-later
"""`dmremap create` and `release`: a disk with data becomes a set and a disk again (O1-O5, O21).

Power cuts in between are in test_create_crash.py.
"""

import json
import os
import random
import subprocess
from pathlib import Path

import pytest

from tests.scenarios import dm
from tests.scenarios.hardware import forget_hardware, hardware
from tests.scenarios.lib import SECTOR, Device, Rig, drop_page_cache, pattern
from tests.scenarios.ondisk import Spare
from tests.scenarios.sets import (FAILED, NOT_FOUND, OK, REFUSED, USAGE, WAITING, content,
                                  content_at, create, dmremap, ext4_on_main, output, paths,
                                  refused, replugged, run, sets, settle, signatures)

MIB = 1 << 20
pytestmark = [pytest.mark.disks(main="4M", spare="2M"),
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002"), pytest.mark.plain_only]


def test_a_disk_with_data_becomes_a_set_and_a_disk_again(rig: Rig) -> None:
    """P10, O1: in place; the raw disk shows no content; release gives it back, byte for byte."""
    before = ext4_on_main(rig)
    main, spare = paths(rig, "main", "spare")
    told = create(rig)
    assert 'holds ext4 "data": it stays' in told and "dmremap release data" in told
    assert content("data") == before
    assert signatures(main) == {"PMBR"} and signatures(spare) == {"PMBR"}
    assert signatures("/dev/mapper/data") == {"ext4"}
    found, = sets()
    assert (found["name"], found["state"], found["main"], found["spare"], found["guarded"]) == \
        ("data", "active", main, spare, 1)
    output("deactivate", "data")
    assert sets()[0]["state"] == "ready"
    assert output("activate", "data") == "/dev/mapper/data\n"
    assert output("activate", "data") == "data: already active\n"
    assert content("data") == before
    output("release", "data", "--yes")
    settle(rig)
    assert rig.media("main").whole() == before
    assert sets() == [] and dm.devices() == []
    refused(NOT_FOUND, "activate", "data")


@pytest.mark.disks(main="4M", spare="2M", other="2M", back="4M")
@pytest.mark.parametrize("taken", ("active", "inactive", "mapped"))
def test_the_name_of_another_is_not_taken(rig: Rig, taken: str) -> None:
    """The plan says that the set is used, and released, by its name: that would be the other one."""
    before = ext4_on_main(rig)
    hardware(rig, other="OTHER-0003", back="BACK-0004")
    main, spare, other, back = paths(rig, "main", "spare", "other", "back")
    if taken == "mapped":
        run("dmsetup", "create", "data", "--table", f"0 8 linear {back} 0")
    else:
        output("create", "data", back, other, "--yes")
    if taken == "inactive":
        output("deactivate", "data")
    found = sets()
    for more in (["--yes"], ["--dry-run"]):
        assert "data: a " in (said := refused(REFUSED, "create", "data", main, spare, *more))
        assert "of this name exists already; nothing was changed" in said
    settle(rig)
    assert sets() == found and rig.media("main").whole() == before
    assert not any(rig.media("spare").whole())
    told = output("create", "data2", main, spare, "--yes")
    assert "/dev/mapper/data2 is active" in told and content("data2") == before
    if taken == "mapped":
        run("dmsetup", "remove", "data")


def test_the_name_of_device_mappers_own_node(rig: Rig) -> None:
    """/dev/mapper/control is another thing: the set would have no node."""
    before = ext4_on_main(rig)
    assert "and not control" in \
        refused(USAGE, "create", "control", *paths(rig, "main", "spare"), "--yes")
    settle(rig)
    assert rig.media("main").whole() == before and not any(rig.media("spare").whole())


def test_release_brings_home_what_was_written(rig: Rig) -> None:
    """P10: through the guard's chunks, through relocated ones, through the probe chunk."""
    model = bytearray(ext4_on_main(rig))
    create(rig)
    device = Device("/dev/mapper/data", "data")
    rig.main.bad(800, 32, kind="write")
    for sector, count in ((0, 16), (796, 48), (4096, 8), (8184, 8)):
        data = pattern(sector, count)
        device.pwrite(sector, data)
        model[sector * SECTOR:(sector + count) * SECTOR] = data
    device.fsync()
    device.close()
    before = rig.media("main").read(0, 8)
    assert "still cannot be written" in refused(REFUSED, "release", "data", "--yes")
    assert rig.media("main").read(0, 8) == before    # the set is as it was
    output("activate", "data")
    assert content("data") == model
    rig.main.clear()
    output("release", "data", "--yes")
    settle(rig)
    assert rig.media("main").whole() == model


@pytest.mark.parametrize("sector", [0, 3])
def test_a_first_chunk_that_cannot_be_read(rig: Rig, sector: int) -> None:
    """A read error is not "not ours": the spare holds what belongs there, and keeps it."""
    before = ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    rig.main.bad(sector, kind="both")
    told = refused(REFUSED, "release", "data", "--yes")
    assert f"sector {sector} " in told and "cannot be released" in told
    rig.main.clear()
    output("activate", "data")
    assert content("data") == before
    output("deactivate", "data")
    rig.main.bad(sector, kind="both", action="heal")
    output("release", "data", "--yes")
    settle(rig)
    assert rig.media("main").whole() == before
    assert not any(rig.media("spare").whole())


def test_lost_sectors_hold_a_release_back(rig: Rig) -> None:
    """P2: main would return something older."""
    ext4_on_main(rig)
    create(rig)
    rig.main.bad(816, kind="read")
    output("remap", "data", "816")
    rig.main.clear()
    assert "sector 816 is lost" in refused(REFUSED, "release", "data", "--yes")
    output("activate", "data")
    device = Device("/dev/mapper/data", "data")
    device.pwrite(816, pattern(1))
    device.close()
    output("release", "data", "--yes")
    settle(rig)
    assert rig.media("main").read(816) == pattern(1)


CONTENT = {
    "xfs": (["mkfs.xfs", "-q", "-f"], 400),
    "btrfs": (["mkfs.btrfs", "-q", "-f"], 120),
    "vfat": (["mkfs.vfat"], 4),
    "swap": (["mkswap"], 4),
    "LVM2_member": (["pvcreate", "-q", "-ff", "-y"], 16),
    "crypto_LUKS": (["cryptsetup", "luksFormat", "--type", "luks2", "-q", "--pbkdf", "pbkdf2",
                     "--pbkdf-force-iterations", "1000", "--key-file", "/proc/version"], 32),
    "minix": (["mkfs.minix"], 4),
    "gpt": (["sfdisk", "-q", "--label", "gpt"], 8),
    "dos": (["sfdisk", "-q", "--label", "dos"], 8),
}


@pytest.mark.disks(main="400M", spare="2M")
@pytest.mark.parametrize("kind", CONTENT)
def test_what_real_tools_make_is_hidden_and_comes_back(rig: Rig, kind: str) -> None:
    """O3: nothing of it is seen on the raw disk, all of it on the mapped device."""
    command, _ = CONTENT[kind]
    main, _ = paths(rig, "main", "spare")
    text = "size=1M\nsize=2M\n" if kind in ("gpt", "dos") else None
    # what is not there is installed by tests/setup; a tool that refuses is no reason to pass
    result = subprocess.run([*command, main], capture_output=True, text=True, input=text)
    assert result.returncode == 0, result
    settle(rig)
    seen = signatures(main)
    assert kind in seen
    head, tail = rig.media("main").read(0, 4096), rig.media("main").read(400 * 2048 - 64, 64)
    create(rig)
    assert signatures(main) == {"PMBR"}
    assert signatures("/dev/mapper/data") == seen
    if kind in ("gpt", "dos"):
        assert sorted(dm.devices()) == ["data", "data-part1", "data-part2"]
        assert len(content("data-part2")) == 2 * MIB
    output("deactivate", "data")
    assert dm.devices() == []
    output("release", "data", "--yes")
    settle(rig)
    assert (rig.media("main").read(0, 4096), rig.media("main").read(400 * 2048 - 64, 64)) == \
        (head, tail)


def test_without_the_spare(rig: Rig) -> None:
    """O2: main alone gives what it held when the set was made."""
    before = ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    main, spare = paths(rig, "main", "spare")
    assert f"its spare {spare} is present" in \
        refused(REFUSED, "release", "--without-spare", main, "--yes")
    rig.spare.fail()
    drop_page_cache(spare)
    result = output("release", "--without-spare", paths(rig, "main")[0], "--yes")
    assert "were on the spare only" in result and "lost" in result
    settle(rig, "main")
    after = rig.media("main").whole()
    probe = len(before) - 4096
    assert after[:probe] == before[:probe] and after[probe:] == bytes(4096)
    run("fsck.ext4", "-f", "-n", paths(rig, "main")[0])


def test_refusals_change_nothing(rig: Rig, tmp_path: Path) -> None:
    """P7, O4, O5: each with its sentence and code."""
    ext4_on_main(rig)
    main, spare = paths(rig, "main", "spare")
    rig.media("spare").write(0, pattern(3, 16))
    before = rig.media("main").whole(), rig.media("spare").whole()
    small = tmp_path / "small"
    small.write_bytes(bytes(64 * 1024))
    cases = [
        (REFUSED, "unknown data", ["create", "data", main, spare, "--yes"]),
        (REFUSED, "there is no terminal", ["create", "data", main, spare, "--wipe-spare"]),
        (USAGE, "invalid name", ["create", "../x", main, spare, "--yes", "--wipe-spare"]),
        (USAGE, "same device", ["create", "x", spare, spare, "--yes"]),
        (USAGE, "invalid size", ["create", "x", main, spare, "--spare-size", "12Q"]),
        (FAILED, "has only", ["create", "x", main, spare, "--spare-size", "1G"]),
        (FAILED, "too small", ["create", "x", main, str(small), "--yes"]),
        (NOT_FOUND, "cannot open", ["create", "x", main, "/dev/none", "--yes"]),
        (USAGE, "name a set", ["release"]),
        (NOT_FOUND, "no such set", ["release", "nobody", "--yes"]),
        (NOT_FOUND, "neither a dm-remap member header", ["release", "--without-spare", main, "--yes"]),
        (NOT_FOUND, "not a member", ["release", "--without-main", spare, "--yes"]),
        (NOT_FOUND, "not a member", ["activate", main]),
    ]
    for code, words, arguments in cases:
        if arguments[1:2] == ["x"] and spare in arguments:
            arguments = [*arguments, "--wipe-spare"]
        result = dmremap(*arguments)
        assert result.returncode == code and words in result.stderr, (arguments, result)
        assert result.stderr.count("\n") == 1, result.stderr
        assert (rig.media("main").whole(), rig.media("spare").whole()) == before, arguments
    held = os.open(main, os.O_RDWR | os.O_EXCL)
    result = dmremap("create", "x", main, spare, "--yes", "--wipe-spare")
    os.close(held)
    assert result.returncode == REFUSED and "is in use" in result.stderr
    output("create", "data", main, spare, "--wipe-spare", "--yes")
    output("deactivate", "data")
    large = tmp_path / "large"
    large.write_bytes(bytes(MIB))
    for first, second in ((main, str(large)), (str(large), spare)):
        assert "device of set" in refused(REFUSED, "create", "y", first, second, "--yes")


def test_a_dry_run_writes_nothing(rig: Rig) -> None:
    before = ext4_on_main(rig)
    told = output("create", "data", *paths(rig, "main", "spare"), "--dry-run")
    assert 'ext4 "data"' in told and "sector 0" in told
    table = output("create", "data", *paths(rig, "main", "spare"), "--print-table")
    assert table.split()[2:5] == ["remap", *paths(rig, "main", "spare")]
    assert rig.media("main").whole() == before and not any(rig.media("spare").whole())


def test_a_sector_that_cannot_be_read_is_not_nothing(rig: Rig) -> None:
    """O3: what is on the device would not be known for sure; more in test_places.py."""
    before = ext4_on_main(rig)
    rig.main.bad(130, kind="read")
    assert "sector 130 cannot be read" in \
        refused(REFUSED, "create", "data", *paths(rig, "main", "spare"), "--yes")
    assert rig.media("main").whole() == before and not any(rig.media("spare").whole())


@pytest.mark.parametrize("sector", [0, 4, 8184])
def test_main_that_cannot_be_hidden_stays_as_it_was(rig: Rig, sector: int) -> None:
    """A create that fails half way puts main right, and the spare is free."""
    before = ext4_on_main(rig)
    rig.main.bad(sector, kind="write")
    result = dmremap("create", "data", *paths(rig, "main", "spare"), "--yes")
    if sector == 8184:    # not the last chunk, then: the one before it
        assert result.returncode == OK and content("data") == before
        return
    assert result.returncode == FAILED and "cannot be written" in result.stderr, result
    settle(rig)
    assert rig.media("main").whole() == before and sets() == []


def test_without_guard(rig: Rig, tmp_path: Path) -> None:
    """Main is left as it is but for the mark, and is found by it and by its hardware."""
    blank = tmp_path / "blank"
    blank.write_bytes(bytes(MIB))
    before = ext4_on_main(rig)
    main, spare = paths(rig, "main", "spare")
    told = create(rig, "--no-guard")
    assert "guard    none" in told
    assert signatures(main) == {"ext4"}
    assert content("data") == before
    found, = sets()
    assert (found["state"], found["guarded"], found["main"]) == ("active", 0, main)
    for arguments in ((main, str(blank)), (str(blank), spare)):
        assert "by the active set data; run dmremap deactivate data first" in \
            refused(REFUSED, "create", "x", *arguments, "--yes"), arguments
    output("deactivate", "data")
    assert rig.media("main").read(0, 8000) == before[:8000 * SECTOR]
    assert "is the main device of a set without guard" in \
        refused(REFUSED, "create", "x", main, str(blank), "--yes")
    output("activate", spare)
    output("release", "data", "--yes")
    settle(rig)
    assert rig.media("main").whole() == before
    forget_hardware()
    assert "needs the guard" in \
        refused(REFUSED, "create", "data", main, spare, "--no-guard", "--yes")


def test_boot_disks_are_refused(rig: Rig) -> None:
    """O5: the firmware reads the raw disk."""
    main, spare = paths(rig, "main", "spare")
    tables = {"an EFI system partition": "label: gpt\nsize=1M,type=uefi\n",
              "a BIOS boot partition":
                  "label: gpt\nsize=1M,type=21686148-6449-6E6F-744E-656564454649\n",
              "an active partition": "label: dos\nsize=1M,bootable\n"}
    for words, text in tables.items():
        rig.media("main").write(0, bytes(4 * MIB))
        subprocess.run(["sfdisk", "-q", main], input=text, text=True, check=True,
                       capture_output=True)
        settle(rig)
        before = rig.media("main").whole()
        assert words in refused(REFUSED, "create", "data", main, spare, "--yes")
        assert rig.media("main").whole() == before
    rig.media("main").write(0, b"\xeb\x63\x90GRUB" + before[7:])
    rig.media("main").write(0, rig.media("main").read(0)[:446] + bytes(1) +
                            rig.media("main").read(0)[447:])
    assert "boot code" in refused(REFUSED, "create", "data", main, spare, "--yes")


@pytest.mark.disks(main="4M", spare="2M", copy="4M", other="2M")
def test_the_right_disk_among_copies(rig: Rig) -> None:
    """O12: the recorded hardware; a copy is ignored and told; two strangers are refused."""
    hardware(rig, copy="COPY-0003", other="OTHER-004")
    before = ext4_on_main(rig)
    main, spare, copy, other = paths(rig, "main", "spare", "copy", "other")
    create(rig)
    output("deactivate", "data")
    settle(rig)
    rig.media("copy").write(0, rig.media("main").whole())
    found, = sets()
    assert (found["main"], found["state"], found["ignored_copies"]) == (main, "ready", 1)
    output("activate", "data")
    rig.media("other").write(0, rig.media("spare").whole())
    found, = sets()    # a copy that appears while the set is active changes nothing
    assert (found["main"], found["spare"], found["state"]) == (main, spare, "active")
    output("deactivate", "data")
    hardware(rig, main="ANOTHER-1", spare="ANOTHER-2")
    found, = sets()
    assert found["state"] == "duplicate"
    assert "claim to be" in refused(REFUSED, "activate", "data")
    # after a raw copy to a new disk: that one, from now on
    hardware(rig, main="MAIN-0001", spare="SPARE-0002")
    output("replace-main", "data", copy, "--yes")
    found, = sets()
    assert (found["main"], found["state"]) == (copy, "ready")
    output("activate", "data")
    assert content("data") == before


@pytest.mark.disks(main="4M", spare="2M", other="2M")
def test_an_older_image_of_the_spare_is_refused(rig: Rig) -> None:
    """O6: it does not know what was remapped since."""
    ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    settle(rig)
    old = rig.media("spare").whole()
    output("activate", "data")
    rig.main.bad(800, 8, kind="write")
    device = Device("/dev/mapper/data", "data")
    device.pwrite(800, pattern(1, 8))
    device.close()
    output("deactivate", "data")
    rig.media("spare").write(0, old)
    for arguments in (["activate", "data"], ["release", "data", "--yes"],
                      ["activate", "data", "--fallback"]):
        result = dmremap(*arguments)
        if dm.devices():    # read-only at most
            assert rig.status("data")["mode"] == "ro", arguments
            output("deactivate", "data")
        else:
            assert result.returncode != OK and "old" in result.stderr, (arguments, result)


def test_foreign_sets_wait_for_a_word(rig: Rig) -> None:
    """O7: a set of another host is listed and told, not activated on its own."""
    before = ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    settle(rig)
    on_disk = Spare.of(rig)
    copies = [(r, p) for r in range(2) for p in range(2)
              if on_disk.read(r, p, 0).valid]
    for replica, place in copies:
        block = on_disk.read(replica, place, 0)
        on_disk.write(replica, place, 0, block.changed(152, bytes(range(16))).data)
    found, = sets()
    assert found["state"] == "foreign" and found["name"].startswith("remap-")
    assert "another host" in refused(REFUSED, "activate", found["uuid"])
    result = dmremap("activate", "--auto", paths(rig, "spare")[0])
    assert result.returncode == OK and dm.devices() == []
    output("activate", found["uuid"], "--foreign")
    assert content(found["name"]) == before


def test_waiting_for_a_member(rig: Rig) -> None:
    """Never half a set."""
    ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    settle(rig)
    replugged()
    main, spare = paths(rig, "main", "spare")
    for gone, here, words in ((rig.spare, main, "spare device is missing: serial:Testdisk_SPARE"),
                              (rig.main, spare, "main device is missing: serial:Testdisk_MAIN")):
        gone.fail()
        drop_page_cache(str(gone.kernel_path))
        assert words in refused(WAITING, "activate", here)
        assert dmremap("activate", "--auto", here).returncode == OK
        assert dm.devices() == []
        gone.back()
    assert output("activate", "--auto", spare) == "/dev/mapper/data\n"


def test_a_spare_whose_main_is_gone_is_freed(rig: Rig) -> None:
    ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    main, spare = paths(rig, "main", "spare")
    assert "its main device" in refused(REFUSED, "release", "--without-main", spare, "--yes")
    rig.main.fail()
    drop_page_cache(main)
    output("release", "--without-main", spare, "--yes")
    assert sets() == []


def test_fallback_serves_what_the_module_serves(rig: Rig) -> None:
    """O9: with linear and error segments, the same bytes and the same errors."""
    ext4_on_main(rig)
    create(rig)
    rig.main.bad(800, 8, kind="write")
    device = Device("/dev/mapper/data", "data")
    device.pwrite(800, pattern(4, 8))
    device.close()
    rig.main.bad(1600, kind="read")
    output("remap", "data", "1600")
    rig.main.clear()
    rng = random.Random(5)
    wanted = {s: content_at("data", s) for s in [0, 800, 1600, 8184, *rng.sample(range(8192), 60)]}
    output("deactivate", "data")
    output("activate", "data", "--fallback")
    table = rig.dmsetup("table", "data").stdout
    assert "remap" not in table and "error" in table
    assert sets()[0]["state"] == "active"
    for sector, data in wanted.items():
        assert content_at("data", sector) == data, sector
    assert "fallback" in output("status", "data")
    told, = json.loads(output("status", "data", "--json"))["devices"]
    assert told["mode"] == "fallback" and told["sectors"] == 8192
    for count in ("used_slots", "total_slots", "relocations", "generation", "probe"):
        assert told[count] is None, "nothing counts without the module"
    output("deactivate", "data")
    output("activate", "data")
    assert "remap" in rig.dmsetup("table", "data").stdout


def test_read_only_activation_writes_nothing(rig: Rig) -> None:
    """O19."""
    before = ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    settle(rig)
    images = rig.media("main").whole(), rig.media("spare").whole()
    output("activate", "data", "--read-only")
    assert content("data") == before
    output("deactivate", "data")
    settle(rig)
    assert (rig.media("main").whole(), rig.media("spare").whole()) == images


def test_import_of_lists(rig: Rig, tmp_path: Path) -> None:
    """Row 24: what badblocks and ddrescue found bad is remapped, with its cause."""
    before = ext4_on_main(rig)
    create(rig)
    blocks = tmp_path / "bad"
    blocks.write_text("400\n401\n500\n")    # of 1024 bytes: sectors 800-803, 1000-1001
    unused = rig.status("data")
    assert "6 bad sectors in 2 places" in output("import", "data", str(blocks), "--dry-run")
    told = json.loads(output("import", "data", str(blocks), "--dry-run", "--json"))["ranges"]
    assert len(told) == 2 and sum(r["nr_sectors"] for r in told) == 6
    assert rig.status("data") == unused
    output("import", "data", str(blocks), "--yes")
    mapped = tmp_path / "map"
    mapped.write_text("# Mapfile. Created by GNU ddrescue version 1.27\n0x0 + 1\n"
                      "0x000000 0x100000 +\n0x100000 0x000200 -\n0x100200 0x2FFE00 +\n")
    output("import", "data", str(mapped), "--yes")
    shown = output("show", "data")
    assert shown.count("import") == 3
    assert content("data") == before
    used = rig.status("data")["used"]
    for text, words in (("12x\n", "line 1"), ("99999999\n", "list is for another device"),
                        ("# Mapfile\n0 +\n0 1 %\n", "line 3")):
        blocks.write_text(text)
        assert words in refused(USAGE, "import", "data", str(blocks))
    assert rig.status("data")["used"] == used


def test_the_raw_partitions_go_and_come(rig: Rig) -> None:
    """A partition of the raw disk is not mounted: they are the mapped device's now."""
    main, _ = paths(rig, "main", "spare")
    subprocess.run(["sfdisk", "-q", "--label", "dos", main], input="size=1M\n", text=True,
                   check=True, capture_output=True)
    assert Path(f"{main}p1").exists()
    settle(rig)
    create(rig)
    assert not Path(f"{main}p1").exists()
    assert sorted(dm.devices()) == ["data", "data-part1"]
    output("release", "data", "--yes")
    assert Path(f"{main}p1").exists() and dm.devices() == []
