# SPDX-License-Identifier: GPL-2.0-or-later
"""What rescuers bring: lists, maps and numbers of other tools, taken for what they are or refused."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios import locks
from tests.scenarios.hardware import udev_record
from tests.scenarios.lib import SECTOR, Device, Rig, partition, pattern
from tests.scenarios.powercuts import crash_states
from tests.scenarios.sets import (OK, PROGRAM, REFUSED, USAGE, content, content_at, create,
                                  dmremap, ext4_on_main, logged, output, paths, refused, sets,
                                  settle)

MIB = 1 << 20
pytestmark = [pytest.mark.disks(main="4M", spare="2M", copy="4M", disk="6M"),
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002", copy="COPY-0003",
                                  disk="DISK-0004"),
              pytest.mark.plain_only]


def written(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def shown(name: str = "data") -> int:
    return output("show", name).count("import")


# row 4: what was not rescued is lost, and not zeros

MAP = ("# Mapfile. Created by GNU ddrescue version 1.27\n0x0 + 1\n"
       "0x000000 0x100000 +\n0x100000 0x000400 -\n0x100400 0x000200 *\n0x100600 0x2FFA00 +\n")
NOT_RESCUED = range(2048, 2051)


def copied(rig: Rig) -> bytes:
    """A set whose main had three bad sectors, and was copied to another disk as ddrescue does."""
    ext4_on_main(rig)
    for sector in range(2040, 2056):
        rig.media("main").write(sector, pattern(sector))
    create(rig)
    before = content("data")
    output("deactivate", "data")
    settle(rig)
    whole = bytearray(rig.media("main").whole())
    whole[2048 * SECTOR:2051 * SECTOR] = bytes(3 * SECTOR)
    rig.media("copy").write(0, bytes(whole))
    return before


def assert_lost(before: bytes) -> None:
    for sector in range(2040, 2056):
        wanted = None if sector in NOT_RESCUED else before[sector * SECTOR:(sector + 1) * SECTOR]
        assert content_at("data", sector) == wanted, sector


def test_a_map_from_a_pipe_keeps_no_lock(rig: Rig, tmp_path: Path) -> None:
    """Who writes into it may take long, or hang: others wait for the lock."""
    before = copied(rig)
    copy, = paths(rig, "copy")
    pipe = tmp_path / "map"
    os.mkfifo(pipe)
    waits = rig.background(dmremap, "replace-main", "data", copy, "--map", str(pipe), "--yes")
    writer = os.open(pipe, os.O_WRONLY)    # the command has it open now
    try:
        locks.check_free()
        os.write(writer, MAP.encode())
    finally:
        os.close(writer)
    result = waits.result(60)
    assert result.returncode == OK, result
    output("activate", "data")
    assert_lost(before)


def test_what_was_not_rescued_is_lost(rig: Rig, tmp_path: Path) -> None:
    before = copied(rig)
    copy, = paths(rig, "copy")
    told = output("replace-main", "data", copy, "--map", written(tmp_path / "map", MAP), "--yes")
    assert "lost     3 sectors" in told
    output("activate", "data")
    assert_lost(before)
    device = Device("/dev/mapper/data", "data")
    device.pwrite(2048, pattern(9))
    assert device.pread(2048) == pattern(9)
    device.close()
    assert content_at("data", 2049) is None
    assert rig.status("data")["lost_sectors"] == 2


def test_the_map_is_asked_for(rig: Rig) -> None:
    copied(rig)
    copy, = paths(rig, "copy")
    before = rig.media("copy").whole(), rig.media("spare").whole()
    told = dmremap("replace-main", "data", copy)
    assert told.returncode == REFUSED and "--map FILE" in told.stdout
    assert (rig.media("copy").whole(), rig.media("spare").whole()) == before


def test_a_map_of_a_part_is_refused(rig: Rig, tmp_path: Path) -> None:
    copied(rig)
    copy, = paths(rig, "copy")
    before = rig.media("spare").whole()
    part = written(tmp_path / "map", "0x0 +\n0x0 0x100000 +\n")
    assert "sectors from 2048" in refused(USAGE, "replace-main", "data", copy, "--map", part,
                                          "--yes")
    many = written(tmp_path / "many", "0x0 +\n0x0 0x400000 ?\n")
    assert "the lost sectors need" in refused(REFUSED, "replace-main", "data", copy, "--map", many,
                                         "--yes")
    assert rig.media("spare").whole() == before


def test_lost_afterwards(rig: Rig, tmp_path: Path) -> None:
    """import --lost, of a set whose main was replaced without the map; what is served stays."""
    before = copied(rig)
    copy, = paths(rig, "copy")
    file = written(tmp_path / "map", MAP)
    output("replace-main", "data", copy, "--yes")
    output("activate", "data")
    assert content_at("data", 2048) == bytes(SECTOR)
    assert "deactivate first" in refused(REFUSED, "import", "data", file, "--lost", "--yes")
    output("remap", "data", "2049", "1")
    device = Device("/dev/mapper/data", "data")
    device.pwrite(2049, pattern(5))
    device.close()
    output("deactivate", "data")
    assert "there is no terminal" in refused(REFUSED, "import", "data", file, "--lost")
    told = output("import", "data", file, "--lost", "--yes")
    assert "2 sectors" in told and "served from the spare" in told
    output("activate", "data")
    assert content_at("data", 2049) == pattern(5)
    assert content_at("data", 2048) is None and content_at("data", 2050) is None
    assert content_at("data", 2047) == before[2047 * SECTOR:2048 * SECTOR]


def test_power_cuts_while_sectors_are_lost(rig: Rig, tmp_path: Path) -> None:
    """After each write of it the same order ends the same way, and before that all is served."""
    before = copied(rig)
    copy, = paths(rig, "copy")
    file = written(tmp_path / "map", MAP)
    images, records = logged(rig, "replace-main", "data", copy, "--map", file, "--yes")
    for number, state in crash_states(records, images, 11):
        for disk in rig.server.disks():
            rig.media(disk.name).write(0, state[disk.index])
        result = dmremap("replace-main", "data", copy, "--map", file, "--yes")
        assert result.returncode == OK, (number, result)
        output("activate", "data")
        assert_lost(before)
        output("deactivate", "data")


# row 5: numbers of the whole disk

@pytest.fixture
def part(rig: Rig) -> Iterator[str]:
    """A set "data" on partition 1 of "disk", which begins at sector 2048."""
    disk, spare = paths(rig, "disk", "spare")
    partition(disk, 1, 1, 2048, 8192)
    main = f"{disk}p1"
    udev_record(main).write_text("E:ID_SERIAL_SHORT=DISK-0004\nE:ID_MODEL=Testdisk\nE:PARTN=1\n")
    output("create", "data", main, spare, "--yes")
    yield disk
    if sets():
        dmremap("deactivate", "data")
    partition(disk, 2, 1)


def test_numbers_of_the_whole_disk(rig: Rig, part: str) -> None:
    rig.server.disk("disk").bad(2048 + 3000, kind="read")
    used = rig.status("data")["used"]
    told = refused(REFUSED, "remap", "data", "5048")
    assert f"{part}:5048" in told and "3000" in told
    assert rig.status("data")["used"] == used
    for sector in (f"{part}:5048", f"{part}p1:3000"):
        assert "3000 not remapped" in output("verify", "data", sector)
    assert "neither the main device" in refused(USAGE, "remap", "data", "/dev/null:1")
    assert "is not on" in refused(USAGE, "remap", "data", f"{part}:2047")
    output("remap", "data", "5048", "--disk")
    assert "slot" in output("verify", "data", "3000")
    assert "not remapped" in output("verify", "data", "5048")
    assert "can be read" in output("remap", "data", "100")


def test_the_kernels_log_is_of_the_whole_disk(rig: Rig, part: str, tmp_path: Path) -> None:
    name = os.path.basename(part)
    rig.server.disk("disk").bad(2048 + 3000, kind="read")
    log = written(tmp_path / "log",
                  f"[ 1.0] critical medium error, dev {name}, sector 5048 op 0x0:(READ)\n"
                  f"[ 1.1] I/O error, dev {name}, sector 17 op 0x0:(READ)\n"
                  f"[ 1.2] timeout error, dev {name}, sector 5056 op 0x0:(READ)\n"
                  "[ 1.3] I/O error, dev sdz, sector 5048 op 0x0:(READ)\n")
    told = output("import", "data", log)
    assert "1 bad sector in 1 place\n" in told and "lost     1 of them" in told
    assert "1 place not on the main device" in told and "about disks other than" in told
    assert "1 error not of the medium" in told
    assert "slot" in output("verify", "data", "3000") and shown() == 1
    test = "# 1  Extended offline    Completed: read failure       90%     1     5064\n"
    output("import", "data", written(tmp_path / "smart", test), "--yes")
    assert "slot" in output("verify", "data", "3016")
    as_json = ('{"ata_smart_self_test_log": {"standard": {"table": [\n'
               '{"status": {"passed": false}, "lba": 5072}]}}}')
    output("import", "data", written(tmp_path / "json", as_json), "--yes")
    assert "slot" in output("verify", "data", "3024")
    told = refused(USAGE, "import", "data", written(tmp_path / "json", as_json[:-1]), "--yes")
    assert str(tmp_path / "json") in told and "JSON" in told
    told = output("import", "data", written(tmp_path / "bytes", f"{3032 * 512} 512\n"), "--yes",
                  "--format", "bytes")
    assert "(bytes): 1 bad sector in 1 place" in told and "slot" in output("verify", "data", "3032")
    plain = written(tmp_path / "plain", "9000-9001\n")
    assert "--disk" in refused(USAGE, "import", "data", plain)
    output("import", "data", plain, "--disk", "--yes")
    assert "slot" in output("verify", "data", str(9000 - 2048))


# row 6: counted before

def test_free_slots_are_counted_before(rig: Rig, tmp_path: Path) -> None:
    ext4_on_main(rig)
    create(rig)
    rig.main.bad(0, 8000, kind="read")
    before = rig.status("data")
    free = before["total"] - before["used"]
    file = written(tmp_path / "list", "".join(f"{8 * chunk} 1\n" for chunk in range(16, 16 + 480)))
    told = refused(REFUSED, "import", "data", file, "--quiet")
    assert f"480 slots needed, but only {free} free" in told and "Move to a spare of" in told
    assert rig.status("data") | {"read_errors": 0} == before | {"read_errors": 0}
    told = output("import", "data", file, "--up-to", "20")
    assert rig.status("data")["used"] == before["used"] + 20
    assert "20 places" in told and "lost     20 of them" in told
    # those are there already
    told = output("import", "data", file, "--up-to", "0x5", "--json", "--yes")
    assert rig.status("data")["used"] == before["used"] + 25
    ranges = json.loads(told)["ranges"]
    assert json.loads(told)["sectors"] == sum(part["nr_sectors"] for part in ranges) == 25
    # what --lost would not do is refused, and not left out
    for more, why in (["--up-to", "1"], "--up-to is for"), (["--json"], "does not print JSON"):
        assert why in refused(USAGE, "import", "data", file, "--lost", "--yes", *more)
    # of a full spare no part is offered
    output("import", "data", file, "--up-to", str(free - 25), "--quiet", "--yes")
    told = refused(REFUSED, "import", "data", file, "--quiet")
    assert "only 0 free" in told and "--up-to" not in told


def test_a_range_that_is_longer_than_the_spare_has_room(rig: Rig) -> None:
    """The same of `remap`: a count that is too large would fill the spare."""
    ext4_on_main(rig)
    create(rig)
    before = rig.status("data")
    free = before["total"] - before["used"]
    said = refused(REFUSED, "remap", "data", "8", str((free + 1) * 8), "--quiet")
    assert f"{free + 1} slots needed, but only {free} free; nothing was remapped" in said
    assert rig.status("data") | {"read_errors": 0} == before | {"read_errors": 0}
    output("remap", "data", "8", "16")
    # two have a slot by now
    assert "slots needed" in refused(REFUSED, "remap", "data", "8", str((free + 1) * 8), "--quiet")
    output("remap", "data", "8", str(free * 8))
    assert rig.status("data")["used"] == before["total"]



# row 7: what no disk finds bad is asked for

def test_the_block_size_is_named(rig: Rig, tmp_path: Path) -> None:
    ext4_on_main(rig)
    create(rig)
    rig.main.bad(2000, 8, kind="read")
    used = rig.status("data")["used"]
    file = written(tmp_path / "blocks", "250\n")    # of 4096 bytes: sectors 2000-2007
    told = dmremap("import", "data", file)
    assert told.returncode == REFUSED and rig.status("data")["used"] == used
    assert "assuming blocks of 1024 bytes" in told.stdout
    assert "--block-size 4096" in told.stdout
    told = dmremap("import", "data", file, "--block-size", "4k")
    assert told.returncode == OK and "lost     8 of them" in told.stdout


# rows 8 to 11: formats

def test_areas_that_were_not_tried_are_named(rig: Rig, tmp_path: Path) -> None:
    ext4_on_main(rig)
    create(rig)
    rig.main.bad(2048, 8, kind="read")
    file = written(tmp_path / "map", "0x0 +\n0x0 0x100000 +\n0x100000 0x600 *\n0x100600 0x200 /\n")
    told = output("import", "data", file)
    assert "0 bad sectors" in told and '--areas "-*"' in told and '--areas "-/"' in told
    assert shown() == 0
    assert "4 bad sectors in 1 place\n" in output("import", "data", file, "--areas", "*/")
    assert "invalid areas" in refused(USAGE, "import", "data", file, "--areas", "x")


def test_what_is_understood_is_named(rig: Rig, tmp_path: Path) -> None:
    ext4_on_main(rig)
    create(rig)
    for text, words in (("12x\n", "line 1"), ("99999999\n", "list is for another device"),
                        ("# Mapfile\n0 +\n0 1 %\n", "line 3"),
                        ("0x0 +\n0 0x400 -\n0x200 0x200 -\n", "line 3")):
        told = refused(USAGE, "import", "data", written(tmp_path / "list", text))
        assert words in told
    assert "--format to one of badblocks, ddrescue, ranges, bytes, kernel, smartctl, mdadm" in \
        refused(USAGE, "import", "data", written(tmp_path / "list", "12x\n"))
    (tmp_path / "wide").write_bytes("2000\n".encode("utf-16"))
    assert "iconv" in refused(USAGE, "import", "data", str(tmp_path / "wide"))
    (tmp_path / "wide").write_bytes(b"2000\0\n")
    assert "not a text file" in refused(USAGE, "import", "data", str(tmp_path / "wide"))
    assert "unknown format" in refused(USAGE, "import", "data", str(tmp_path / "wide"), "--format", "x")
    assert shown() == 0


def test_a_number_that_is_too_large_is_a_mistake_of_the_file(rig: Rig, tmp_path: Path) -> None:
    ext4_on_main(rig)
    create(rig)
    file = tmp_path / "list"
    for text in ("18446744073709551615\n", "0-18446744073709551615\n", "7 18446744073709551615\n"):
        file.write_text(text)
        assert "line 1" in refused(USAGE, "import", "data", str(file)), text
        assert "too large" in refused(USAGE, "import", "data", str(file)), text


def test_the_standard_input_and_process_substitution(rig: Rig) -> None:
    ext4_on_main(rig)
    create(rig)
    rig.main.bad(2000, 2, kind="read")
    result = subprocess.run([str(PROGRAM), "import", "data", "-"], input="1000\n", text=True,
                            capture_output=True)
    assert result.returncode == OK and "standard input" in result.stdout, result
    rig.main.bad(2400, 2, kind="read")
    if not os.path.exists("/dev/fd"):    # udev makes it
        os.symlink("/proc/self/fd", "/dev/fd")
    result = subprocess.run(["bash", "-c", f"{PROGRAM} import data <(echo 1200)"], text=True,
                            capture_output=True, stdin=subprocess.DEVNULL)
    assert result.returncode == OK and shown() == 2, result
    result = subprocess.run([str(PROGRAM), "import", "data", "/dev/fd/63"], text=True,
                            capture_output=True, stdin=subprocess.DEVNULL)
    assert "sudo" in result.stderr


def test_where_it_stopped(rig: Rig, tmp_path: Path) -> None:
    """Row 12: an import that fails says how far it came, and goes on from there."""
    ext4_on_main(rig)
    create(rig)
    rig.main.bad(2000, 200, kind="read")
    file = written(tmp_path / "list", "2000 1\n2040 1\n2080 1\n")
    slot = rig.status("data")["used"]
    assert slot
    rig.spare.bad(0, 4096, kind="write")
    told = dmremap("import", "data", file)
    assert told.returncode != OK and "stopped at sector 2000: 0 of 3 places" in told.stderr
    rig.spare.clear(0, 4096)
    output("restore", "data")
    output("import", "data", file)
    assert shown() == 3


# row 24: one grammar

def test_one_grammar_for_numbers(rig: Rig) -> None:
    ext4_on_main(rig)
    create(rig)
    for text, sector in (("0x7d0", 2000), ("2000s", 2000), ("1M", 2048), ("08", 8), ("4k", 8)):
        assert output("verify", "data", text).startswith(f"{sector} "), text
    for text in ("1.5k", "1x", "0x", "k", "3K1"):
        assert "not a sector number" in refused(USAGE, "verify", "data", text)
    assert "3 of" not in output("status", "data")
    output("remap", "data", "0x7d0", "4k")
    assert output("verify", "data", "2007").count("slot") == 1
    output("unremap", "data", "2000s", "0x8")


# row 13: what the page cache makes of a small write

def test_a_lost_sector_is_written_past_the_page_cache(rig: Rig) -> None:
    """A buffered write of a part of a page reads the rest first; dm-remap(7) has the two ways."""
    ext4_on_main(rig)
    create(rig)
    rig.main.bad(2000, 1, kind="read")
    rig.message("data", "remap 2000 1")
    dd = ("dd", "if=/dev/zero", "of=/dev/mapper/data", "conv=notrunc,fsync", "status=none")
    for more, code in (("bs=512", "seek=2000"), 1), (("bs=512", "seek=2000", "oflag=direct"), 0):
        result = subprocess.run([*dd, "count=1", *more], capture_output=True, text=True)
        assert result.returncode == code, result
        assert rig.status("data")["lost_sectors"] == code
    rig.main.bad(2008, 1, kind="read")
    rig.message("data", "remap 2008 1")
    subprocess.run([*dd, "count=1", "bs=4096", "seek=251"], check=True)
    assert rig.status("data")["lost_sectors"] == 0
