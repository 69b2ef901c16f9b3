# SPDX-License-Identifier: GPL-2.0-or-later
"""Forged metadata: checked whole wherever it was found (C16, P7, D12)."""

import os
import struct
from pathlib import Path

import pytest

from tests.crash.model import Layout
from tests.scenarios import dm
from tests.scenarios.lib import Rig, pattern
from tests.scenarios.ondisk import MARKED, Block, Spare

MAIN, SPARE = "1M", "640K"
pytestmark = pytest.mark.disks(main=MAIN, spare=SPARE)

SLOTS, TABLE, SOFT, PLACE = 120, 124, 128, 132    # offsets in the superblock


def u32(value: int) -> bytes:
    return struct.pack("<I", value)


def u64(value: int) -> bytes:
    return struct.pack("<Q", value)


def changed(block: Block, fields: dict[int, bytes]) -> Block:
    for offset, value in fields.items():
        block = block.changed(offset, value)
    return block


def moved(spare: Spare) -> tuple[int, Block]:
    """A superblock in order whose end replica lies 256 sectors before the formula's; where."""
    best = spare.newest(0)
    end = spare.layout.block(1, 0, 0) - 256
    super_block = changed(best, {104: u64(end), SLOTS: u32(spare.layout.slots - 32)})
    return end, super_block.with_seq(best.seq + 10)


def make(rig: Rig) -> Spare:
    device = rig.create()
    rig.main.bad(800, 8, kind="write")
    device.pwrite(800, pattern(1, 8))
    rig.main.clear()
    rig.remove()
    return Spare.of(rig)


def refused(rig: Rig, what: str) -> None:
    before = rig.media("main").whole(), rig.media("spare").whole()
    with pytest.raises(OSError):
        rig.create()
    assert dm.devices() == [], what
    assert (rig.media("main").whole(), rig.media("spare").whole()) == before, what
    text = "\n".join(rig.log())
    assert "BUG" not in text and "Oops" not in text and "WARNING" not in text, what


SECOND: dict[str, dict[int, bytes]] = {
    "slots": {SLOTS: u32(40)},
    "soft blocks": {SOFT: u32(9)},
    "main sectors": {80: u64(1 << 43), 136: u64((1 << 40) - 1)},
    "region sectors": {88: u64(1 << 40)},
    "a huge region": {88: u64(1 << 40), 104: u64((1 << 40) - (1 << 24)), SLOTS: u32(1 << 24),
                      TABLE: u32(66577), PLACE: u32(66592), 112: u64(66592 * 16)},
    "incompat": {72: u64(1)},
    "version": {48: u32(2)},
    "being created": {52: u32(3)},
    "being released": {52: u32(5)},
    "another set": {16: b"another set, 16B"},
}


@pytest.mark.parametrize("name", SECOND)
def test_second_superblock(rig: Rig, name: str) -> None:
    """Row 2: the one that is found by way of the first is as strange as the first."""
    spare = make(rig)
    end, first = moved(spare)
    for place in (0, 1):
        spare.write(0, place, 0, first.data)
    media = rig.media("spare")
    second = changed(first, SECOND[name]).with_seq(first.seq + 10)
    for place in (0, 1):
        media.write(end + place * spare.layout.place_blocks * 8, second.data)
    refused(rig, name)


def test_moved_end_replica(rig: Rig) -> None:
    """A layout other than the formula's is taken, if all four say so."""
    spare = make(rig)
    end, first = moved(spare)
    media = rig.media("spare")
    replica = media.read(spare.sector(1, 0, 0), 2 * spare.layout.place_blocks * 8)
    media.write(end, replica)
    media.write(end + 2 * spare.layout.place_blocks * 8, bytes(256 * 512))
    for place in (0, 1):
        spare.write(0, place, 0, first.data)
        media.write(end + place * spare.layout.place_blocks * 8, first.data)
    device = rig.create()
    assert device.pread(800, 8) == pattern(1, 8)
    assert rig.status()["mode"] == "rw" and rig.status()["total"] == spare.layout.slots - 32


@pytest.mark.parametrize("blocks", [2, 3, 13])
def test_more_table_blocks_than_slots_need(rig: Rig, blocks: int) -> None:
    """Row 3: more than the formula has for the region: refused."""
    spare = make(rig)
    best = changed(spare.newest(0), {TABLE: u32(blocks)})
    for replica in (0, 1):
        for place in (0, 1):
            spare.write(replica, place, 0, best.data)
    refused(rig, f"{blocks} table blocks")


def spare_block_length() -> int:
    """A SPARE_LEN for which the formula itself has a table block without slots."""
    for blocks in range(16, 1 << 16, 16):
        layout = Layout.of(blocks * 8)
        if (layout.table_blocks - 1) * 252 >= layout.slots >= 2:
            return blocks * 8
    raise AssertionError("there is none")


@pytest.mark.disks(main=MAIN, spare="64M")
def test_formula_leaves_a_table_block_without_slots(rig: Rig) -> None:
    """Row 3: nothing is written beyond the slots, and it loads again."""
    length = spare_block_length()
    device = rig.create(spare_len=length)
    rig.main.bad(800, 8, kind="write")
    device.pwrite(800, pattern(1, 8))
    rig.message("r0", "sync")
    rig.message("r0", "restore")
    rig.remove()
    device = rig.create(spare_len=length)
    assert device.pread(800, 8) == pattern(1, 8) and rig.status()["mode"] == "rw"
    spare = Spare.of(rig, 0, length)
    last = spare.table_blocks[-1]
    for copy in spare.copies(last).values():
        assert copy.data[48:52] == bytes(4) and not any(copy.data[64:])


def test_main_of_three_pib(rig: Rig) -> None:
    """Row 5: the map of its regions is too large for this machine: refused with a sentence."""
    created = rig.dmsetup("create", "huge", "--table", f"0 {3 << 41} zero")
    assert created.returncode == 0, created.stderr
    try:
        path = os.path.realpath("/dev/mapper/huge") if Path("/dev/mapper/huge").exists() else \
            rig.dmsetup("info", "-c", "--noheadings", "-o", "major,minor", "huge").stdout.strip()
        with pytest.raises(OSError):
            rig.create(main=path, length=3 << 41)
        text = "\n".join(rig.log())
        assert "WARNING" not in text and "Call Trace" not in text, text
        assert "MiB for the remap table" in text, text
    finally:
        rig.dmsetup("remove", "huge")


@pytest.mark.parametrize("kind", ["first replica", "both"])
def test_unmarked_and_superblock_not_writable(rig: Rig, kind: str) -> None:
    """Row 7, D12: refused and nothing written, or served; never refused after writing."""
    spare = make(rig)
    best = spare.newest(0)
    flags = struct.unpack_from("<I", best.data, 52)[0] & ~MARKED
    for replica in (0, 1):
        for place in (0, 1):
            spare.write(replica, place, 0, best.changed(52, u32(flags)).data)
    probe = next(e for e in spare.entries() if e.cause == 5)
    rig.media("main").write(probe.chunk * 8, rig.media("spare").read(
        spare.slot_sector(probe.slot), 8))
    spare.write(1, spare.newest_place(1, 1), 1, bytes(4096))    # something to repair
    for replica in (0,) if kind == "first replica" else (0, 1):
        for place in (0, 1):
            rig.spare.bad(spare.sector(replica, place, 0), 8, kind="write")
    before = rig.media("main").whole(), rig.media("spare").whole()
    try:
        device = rig.create()
    except OSError:
        assert (rig.media("main").whole(), rig.media("spare").whole()) == before
    else:
        assert rig.status()["mode"] == "ro"
        assert device.pread(800, 8) == pattern(1, 8)
        rig.remove()
    rig.spare.clear()
    assert rig.create().pread(800, 8) == pattern(1, 8)
    assert rig.status()["mode"] == "rw"


@pytest.mark.parametrize("blocks", [2, 13])
def test_second_superblock_with_too_many_table_blocks(rig: Rig, blocks: int) -> None:
    """Rows 2 and 3: no layout of this region has them, so that copy is damaged, and mended."""
    spare = make(rig)
    end, first = moved(spare)
    second = first.changed(TABLE, u32(blocks)).with_seq(first.seq + 10)
    for place in (0, 1):
        spare.write(0, place, 0, first.data)
        rig.media("spare").write(end + place * spare.layout.place_blocks * 8, second.data)
    device = rig.create()
    assert device.pread(800, 8) == pattern(1, 8)
    assert rig.status()["mode"] == "rw" and rig.status()["total"] == spare.layout.slots - 32
    rig.message("r0", "sync")
    rig.remove()
    assert rig.media("spare").read(end, 8) == spare.newest(0).data
