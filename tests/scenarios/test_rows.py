# SPDX-License-Identifier: GPL-2.0-or-later
"""The rows of the list of features that v3 promised, one test each, by their data.

Short: what is behind each row is tried harder in the files about it (test_data_path,
test_errors, test_metadata*, test_commit_failures, test_messages, test_autosave,
test_table_line). Rows 5 to 8, 16 and from 20 on are about other parts of the project.
"""

import os
import random
import struct
import time
import zlib
from array import array
from pathlib import Path

import pytest

from tests.scenarios import dm
from tests.scenarios.lib import SECTOR, Rig, pattern
from tests.scenarios.made import check_data
from tests.scenarios.model import THOROUGH
from tests.scenarios.ondisk import BLOCK, ENTRIES, TABLE, USED, Spare

MAIN = 4096
pytestmark = pytest.mark.disks(main="2M", spare="2M")


def start(rig: Rig) -> bytearray:
    data = bytearray(pattern(1, MAIN))
    rig.media("main").write(0, bytes(data))
    return data


def test_row_01_remap_by_hand(rig: Rig) -> None:
    """A 64 KiB write across a remapped sector, a 4 KiB bio that starts on it: no neighbour is hit."""
    data = start(rig)
    device = rig.create()
    for sector in (103, 111, 120):
        rig.message("r0", f"remap {sector}")
    for number, (sector, count) in enumerate(((40, 128), (103, 8), (111, 1), (104, 16), (119, 9))):
        device.pwrite(sector, pattern(10 + number, count))
        data[sector * SECTOR:(sector + count) * SECTOR] = pattern(10 + number, count)
        check_data(device, bytes(data))
    rig.powercut(seed=1)
    rig.create()
    assert rig.status()["used"] == 4


def test_row_02_table_by_hand(rig: Rig) -> None:
    """remap, verify, unremap and clear: each checked, and lossless."""
    data = start(rig)
    device = rig.create()
    with pytest.raises(OSError):
        rig.message("r0", "remap 999999999999")
    assert rig.status()["used"] == 1
    rig.message("r0", "remap 100 8")
    assert "remapped slot=" in rig.message("r0", "verify 107")
    device.pwrite(100, pattern(2, 8))
    data[100 * SECTOR:108 * SECTOR] = pattern(2, 8)
    rig.message("r0", "unremap 100 4")
    assert "not remapped" in rig.message("r0", "verify 100")
    check_data(device, bytes(data))
    rig.message("r0", "clear")
    assert rig.status()["used"] == 1
    check_data(device, bytes(data))


def test_row_03_redirection_of_flush_and_fua(rig: Rig) -> None:
    """A flush and a FUA write reach both disks: what they cover survives a power cut."""
    data = start(rig)
    device = rig.create()
    rig.message("r0", "remap 100 8")
    device.pwrite(96, pattern(2, 16))
    device.fsync()
    device.pwrite(200, pattern(3))
    device.pwrite(100, pattern(4), fua=True)
    data[96 * SECTOR:112 * SECTOR] = pattern(2, 16)
    data[100 * SECTOR:101 * SECTOR] = pattern(4)
    rig.powercut()
    assert rig.main.stats()["flushes"] and rig.spare.stats()["flushes"]
    device = rig.create()
    assert device.pread(200) in (pattern(3), bytes(data[200 * SECTOR:201 * SECTOR]))
    data[200 * SECTOR:201 * SECTOR] = device.pread(200)
    check_data(device, bytes(data))


def test_row_04_bad_sectors_are_found_by_writing(rig: Rig) -> None:
    """The first write that fails succeeds already, for exactly the sectors that are bad."""
    data = start(rig)
    device = rig.create()
    rig.main.bad(700)
    rig.main.bad(1003, 2, kind="both")
    device.pwrite(512, pattern(2, 1024))
    data[512 * SECTOR:1536 * SECTOR] = pattern(2, 1024)
    rig.main.clear()
    check_data(device, bytes(data))
    entries = [e for e in Spare.of(rig).entries() if e.chunk != Spare.of(rig).probe_chunk()]
    assert sorted(e.chunk for e in entries) == [700 // 8, 1003 // 8]
    rig.main.bad(2000, kind="read")
    with pytest.raises(OSError):
        device.pread(2000)
    assert rig.status()["read_errors"] >= 1
    assert rig.status()["used"] == 3


def test_row_09_survives_reboots(rig: Rig) -> None:
    """Again and again, on a device that was blank."""
    data = start(rig)
    for turn in range(5):
        device = rig.create()
        check_data(device, bytes(data))
        rig.main.bad(100 * turn, 3)
        device.pwrite(100 * turn, pattern(turn, 3))
        data[100 * turn * SECTOR:(100 * turn + 3) * SECTOR] = pattern(turn, 3)
        device.fsync()
        rig.powercut()
    check_data(rig.create(), bytes(data))


def test_row_10_loads_before_the_first_read_or_refuses(rig: Rig) -> None:
    """With damaged metadata v3 served an empty table."""
    data = start(rig)
    device = rig.create()
    rig.main.bad(100)
    device.pwrite(100, pattern(2))
    data[100 * SECTOR:101 * SECTOR] = pattern(2)
    rig.remove()
    spare = Spare.of(rig)
    for number in (0, 1):
        first, count = spare.replica_sectors(number)
        saved = rig.media("spare").read(first, count)
        rig.media("spare").write(first, bytes(count * SECTOR))
        check_data(rig.create(), bytes(data))
        rig.remove()
        assert len(saved) == count * SECTOR
    for key in spare.copies(1):
        spare.write(*key, 1, b"\xff" * BLOCK)
    with pytest.raises(OSError):
        rig.create()
    assert dm.devices() == []


def test_row_11_persistence_at_once(rig: Rig) -> None:
    """A power cut right after an acknowledged write, the timer switched off."""
    data = start(rig)
    enabled = Path("/sys/module/dm_remap/parameters/dm_remap_autosave_enabled")
    enabled.write_text("N")
    try:
        device = rig.create()
        rig.main.bad(100, 20)
        device.pwrite(100, pattern(2, 20), fua=True)
        data[100 * SECTOR:120 * SECTOR] = pattern(2, 20)
        rig.powercut()
        check_data(rig.create(), bytes(data))
    finally:
        enabled.write_text("Y")


def test_row_12_messages(rig: Rig) -> None:
    """save, restore, metadata_status and sync: replies arrive, and something was written."""
    rig.create()
    spare = Spare.of(rig)
    before = spare.highest()
    assert "saved" in rig.dmsetup("message", "r0", "0", "save").stdout
    assert spare.highest() > before
    before = spare.newest(1).seq
    assert "synced" in rig.dmsetup("message", "r0", "0", "sync").stdout
    assert spare.newest(1).seq > before
    spare.write(1, spare.newest_place(1, 1), 1, bytes(BLOCK))
    assert "restored" in rig.dmsetup("message", "r0", "0", "restore").stdout
    assert spare.same_everywhere(1)
    assert rig.dmsetup("message", "r0", "0", "metadata_status").stdout.startswith("rw uuid=")


def test_row_13_blocks_of_4_kib_with_crc_32(rig: Rig) -> None:
    """The checksum is IEEE's over all that follows it, and a block that fails it is not used."""
    start(rig)
    device = rig.create()
    rig.main.bad(100)
    device.pwrite(100, pattern(2))
    rig.remove()
    spare = Spare.of(rig)
    for number in (0, 1):
        for copy in spare.copies(number).values():
            if copy.magic != bytes(8):
                assert len(copy.data) == 4096
                assert struct.unpack_from("<I", copy.data, 8)[0] == zlib.crc32(copy.data[12:])
    place = spare.newest_place(1, 0)
    copy = spare.read(0, place, 1)
    bent = copy.data[:64] + bytes([copy.data[64] ^ 1]) + copy.data[65:]
    spare.write(0, place, 1, bent)
    assert rig.create().pread(100) == pattern(2)
    assert rig.status()["repaired"] >= 1


def test_row_15_crash_recovery(rig: Rig) -> None:
    """Each commit torn at each sector, on either replica: old or new, and repaired."""
    data = start(rig)
    device = rig.create()
    rig.main.bad(100)
    device.pwrite(100, pattern(2))
    rig.main.clear()
    data[100 * SECTOR:101 * SECTOR] = pattern(2)
    rig.remove()
    spare = Spare.of(rig)
    best = spare.newest(1).with_seq(spare.highest() + 1)
    places = [1 - spare.newest_place(1, replica) for replica in (0, 1)]
    whole = rig.media("spare").whole()
    for replica in (0, 1):
        old = spare.read(replica, places[replica], 1).data
        for cut in range(0, BLOCK + 1, SECTOR):
            rig.media("spare").write(0, whole)
            if replica:    # the first replica has it whole then
                spare.write(0, places[0], 1, best.data)
            spare.write(replica, places[replica], 1, best.data[:cut] + old[cut:])
            check_data(rig.create(), bytes(data))
            assert spare.same_everywhere(1)
            rig.remove()


def test_row_18_module_parameters() -> None:
    """The same names, writable; 1 to 3600 seconds."""
    place = Path("/sys/module/dm_remap/parameters")
    interval = place / "dm_remap_autosave_interval"
    assert os.stat(interval).st_mode & 0o200
    assert os.stat(place / "dm_remap_autosave_enabled").st_mode & 0o200
    before = interval.read_text()
    try:
        interval.write_text("3600")
        for bad in ("0", "3601"):
            with pytest.raises(OSError):
                interval.write_text(bad)
        assert interval.read_text().strip() == "3600"
    finally:
        interval.write_text(before)


def test_row_19_table_line(rig: Rig) -> None:
    """v3's line, and the region begins at SPARE_START: metadata too."""
    data = start(rig)
    rig.media("spare").write(0, pattern(9, 64))
    device = rig.create(table=f"0 {MAIN} remap /dev/nbd0 /dev/nbd1 64 2048")
    rig.main.bad(100)
    device.pwrite(100, pattern(2))
    data[100 * SECTOR:101 * SECTOR] = pattern(2)
    rig.powercut()
    check_data(rig.create(spare_start=64, spare_len=2048), bytes(data))
    whole = rig.media("spare").whole()
    assert whole[:64 * SECTOR] == pattern(9, 64)
    assert whole[64 * SECTOR:64 * SECTOR + 8] == b"dmRemapS"
    assert whole[2112 * SECTOR:] == bytes((4096 - 2112) * SECTOR)


def fill(spare: Spare) -> None:
    """Slot n serves chunk 2 n - 1, whole, for all n but the probe chunk's slot 0."""
    uuid, number = spare.newest(0).uuid, max(spare.newest(b).seq for b in (0, 1)) + 1
    slots = spare.layout.slots
    rest = 1 << 8 * 4 | 3 << 8 * 5 | 1700000000    # used, by hand, when
    assert USED == 1
    first_entry = spare.newest(1).data[64:80]
    blocks = []
    for block in spare.table_blocks:
        first = (block - 1) * ENTRIES
        nr = min(ENTRIES, slots - first)
        entries = array("Q", bytes(nr * 16))
        base = 0xFF << 48
        entries[0::2] = array("Q", [base + max(2 * slot - 1, 0)
                                    for slot in range(first, first + nr)])
        entries[1::2] = array("Q", [rest]) * nr
        body = entries.tobytes()
        if block == 1:
            body = first_entry + body[16:]
        body = struct.pack("<I16sQQI12x", block, uuid, number, 0, nr) + body
        body += bytes(BLOCK - 12 - len(body))
        blocks.append(TABLE + struct.pack("<I", zlib.crc32(body)) + body)
    for replica in (0, 1):
        spare.media.write(spare.sector(replica, 1, 1), b"".join(blocks))


@pytest.mark.long
@pytest.mark.disks(main="9G", spare="4G")
def test_row_14_and_17_a_million_remaps_in_a_second(rig: Rig) -> None:
    """As many as the spare has slots, and activation with all of them in under a second."""
    rig.create()
    rig.remove()
    spare = Spare.of(rig)
    slots = spare.layout.slots
    assert slots > 1_000_000
    fill(spare)
    rng = random.Random(5)
    known = {slot: pattern(slot, 8) for slot in (1, 2, slots - 1,
                                                 *rng.sample(range(3, slots - 1), 20))}
    for slot, data in known.items():
        rig.media("spare").write(spare.slot_sector(slot), data)
        rig.media("main").write(2 * slot * 8, pattern(slot + 1, 8))    # the neighbour stays
    took = []
    for _ in range(5):
        dm.create("r1")
        dm.load("r1", rig.table())
        began = time.monotonic()
        dm.resume("r1")
        took.append(time.monotonic() - began)
        dm.remove("r1")
    print(f"activation with {slots} remaps: best {min(took):.2f} s of {took}")
    device = rig.create()
    status = rig.status()
    assert (status["mode"], status["used"], status["total"]) == ("full", slots, slots)
    for slot, data in known.items():
        chunk = 2 * slot - 1
        assert device.pread(chunk * 8, 16) == data + pattern(slot + 1, 8), slot
        assert f"slot={slot} " in rig.message("r0", f"verify {chunk * 8}")
    rig.main.bad(16 * 8)
    with pytest.raises(OSError):
        device.pwrite(16 * 8, pattern(1))
    rig.message("r0", "unremap 8 8")
    assert rig.status()["used"] == slots - 1 and rig.status()["mode"] == "rw"
    assert device.pread(8, 8) == known[1]
    device.pwrite(16 * 8, pattern(1))    # and the slot is used again
    assert device.pread(16 * 8) == pattern(1)
    assert rig.status()["mode"] == "full"
    assert min(took) < (1 if THOROUGH else 5), took    # the debugging kernel takes longer
