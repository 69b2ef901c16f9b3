# SPDX-License-Identifier: GPL-2.0-or-later
"""Metadata as it lies on the media, by FORMAT.md alone, and the rules that writing it keeps.

Spare reads, damages and forges copies of metadata blocks behind the kernel's back;
check_log() reads a block server's log and fails where a commit broke a rule of C1-C3
or C10. Nothing here uses common/, so a mistake there is not repeated here.
Callers: the scenarios about metadata, the crash workload (for its log only).
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.crash.model import Layout
from tests.harness.blockd import FUA, LANDED, Record
from tests.scenarios.lib import SECTOR, Media, Rig

BLOCK = 4096
ENTRIES = 252
FREE, USED, BAD = 0, 1, 2
SUPER, TABLE, SOFT = b"dmRemapS", b"dmRemapT", b"dmRemapC"
MARK = b"dmRemapP"
MARKED = 1


def seal(data: bytes) -> bytes:
    """DATA (a block or a sector of the mark) with a checksum that is right."""
    return data[:8] + struct.pack("<I", zlib.crc32(data[12:])) + data[12:]


@dataclass(frozen=True)
class Entry:
    slot: int
    chunk: int
    redirected: int
    lost: int
    state: int
    generation: int
    cause: int


@dataclass(frozen=True)
class Block:
    """One copy of a metadata block."""

    data: bytes

    @property
    def magic(self) -> bytes:
        return self.data[:8]

    @property
    def index(self) -> int:
        return int(struct.unpack_from("<I", self.data, 12)[0])

    @property
    def uuid(self) -> bytes:
        return self.data[16:32]

    @property
    def seq(self) -> int:
        return int(struct.unpack_from("<Q", self.data, 32)[0])

    @property
    def valid(self) -> bool:
        return self.magic in (SUPER, TABLE, SOFT) and seal(self.data) == self.data

    def entries(self) -> Iterator[Entry]:
        first = (self.index - 1) * ENTRIES
        for i in range(ENTRIES):
            where, _, state, cause, _, _ = struct.unpack_from("<QIBBBB", self.data, 64 + i * 16)
            if state & 15:
                yield Entry(first + i, where & (1 << 48) - 1, where >> 48 & 255, where >> 56,
                            state & 15, state >> 4 & 3, cause)

    def changed(self, offset: int, value: bytes) -> "Block":
        """With VALUE at OFFSET, and sealed again."""
        return Block(seal(self.data[:offset] + value + self.data[offset + len(value):]))

    def with_seq(self, seq: int) -> "Block":
        return self.changed(32, struct.pack("<Q", seq))


class Spare:
    """The region START, SECTORS of a disk's media."""

    def __init__(self, media: Media | None, sectors: int, start: int = 0) -> None:
        self.media = media
        self.start = start
        self.sectors = sectors
        self.layout = Layout.of(sectors)
        self.super_block = 0
        self.table_blocks = range(1, 1 + self.layout.table_blocks)
        self.soft_block = 1 + self.layout.table_blocks

    @classmethod
    def of(cls, rig: Rig, start: int = 0, sectors: int | None = None) -> "Spare":
        return cls(rig.media("spare"), sectors or rig.spare.size_bytes // SECTOR - start, start)

    def sector(self, replica: int, place: int, block: int) -> int:
        """Where a copy lies on the disk."""
        return self.start + self.layout.block(replica, place, block)

    def slot_sector(self, slot: int) -> int:
        return self.start + self.layout.slot(slot)

    def read(self, replica: int, place: int, block: int) -> Block:
        return Block(self.media.read(self.sector(replica, place, block), BLOCK // SECTOR))

    def write(self, replica: int, place: int, block: int, data: bytes) -> None:
        self.media.write(self.sector(replica, place, block), data)

    def copies(self, block: int) -> dict[tuple[int, int], Block]:
        return {(r, p): self.read(r, p, block) for r in (0, 1) for p in (0, 1)}

    def newest(self, block: int) -> Block:
        return max((c for c in self.copies(block).values() if c.valid), key=lambda c: c.seq)

    def newest_place(self, block: int, replica: int) -> int:
        """Which place of REPLICA holds the newest content."""
        best = self.newest(block)
        return next(p for p in (0, 1) if self.read(replica, p, block).data == best.data)

    def next_sector(self, block: int, replica: int) -> int:
        """Where the next commit of BLOCK goes in REPLICA, as C3 demands."""
        return self.sector(replica, 1 - self.newest_place(block, replica), block)

    def entries(self) -> list[Entry]:
        return [entry for block in self.table_blocks for entry in self.newest(block).entries()]

    def highest(self) -> int:
        """The highest number on the media."""
        blocks = (0, *self.table_blocks, self.soft_block)
        return max(c.seq for block in blocks for c in self.copies(block).values() if c.valid)

    def replica_sectors(self, replica: int) -> tuple[int, int]:
        """First sector and length of all of one replica."""
        return self.sector(replica, 0, 0), 2 * self.layout.place_blocks * 8

    def probe_chunk(self) -> int:
        return int(struct.unpack_from("<Q", self.newest(0).data, 136)[0])

    def same_everywhere(self, block: int) -> bool:
        """Whether each replica holds the newest content (C1, C5)."""
        best = self.newest(block).data
        return all(any(self.read(r, p, block).data == best for p in (0, 1)) for r in (0, 1))


def mark_of(media: Media, chunk: int) -> tuple[bytes, int] | None:
    """UUID and number of the mark on main, or None when there is none."""
    data = media.read(chunk * 8, 1)
    if data[:8] != MARK or seal(data) != data:
        return None
    return data[16:32], struct.unpack_from("<Q", data, 32)[0]


def check_log(rig: Rig, spare: Spare, disk: int = 1) -> int:
    """check_records() over the log of RIG so far."""
    return check_records(rig.server.log(), spare, disk)


def check_records(records: Iterable[Record], spare: Spare, disk: int = 1,
                  alone: bool = True) -> int:
    """Fails where the log shows a metadata write that a rule forbids; the number of commits.

    C1: replica 1 only after replica 0 has succeeded. C2: a number has one content, and new
    content a number above all before. C3: never into the place that holds the last content
    that both replicas took. C10: with FUA; a flush between the data in slots and the table,
    unless others write to mapped sectors meanwhile (not ALONE).
    Repairs at activation (old bytes under their own number) are let through.
    """
    where = {spare.sector(r, p, b): (r, p, b) for r in (0, 1) for p in (0, 1)
             for b in (0, *spare.table_blocks, spare.soft_block)}
    slots = range(spare.slot_sector(0), spare.slot_sector(spare.layout.slots))
    content: dict[tuple[int, int], bytes] = {}       # (block, number) -> bytes
    begun: dict[int, tuple[int, int]] = {}           # block -> number, place on replica 0
    committed: dict[int, tuple[int, dict[int, int]]] = {}    # block -> number, place per replica
    highest, commits, unflushed = 1, 0, False
    for record in (r for r in records if r.disk == disk):
        if record.kind == "flush" and record.done:
            unflushed = False
        if record.kind != "write":
            continue
        unflushed |= alone and record.sector in slots and record.done
        block = Block(record.data)
        if record.sector not in where or record.sectors != 8 or not block.valid:
            continue
        replica, place, number = where[record.sector]
        what = f"block {number}, replica {replica}, place {place}, number {block.seq}"
        good = record.done and not record.flags & LANDED
        last, places = committed.get(number, (0, {}))
        new = (number, block.seq) not in content
        assert content.setdefault((number, block.seq), block.data) == block.data, \
            f"{what}: the number belongs to other bytes (C2)"
        assert record.flags & FUA, f"{what}: without FUA (C10)"
        assert places.get(replica) != place or block.seq == last, \
            f"{what}: over the last committed copy, number {last} (C3)"
        if new:
            assert replica == 0, f"{what}: replica 1 before replica 0 (C1)"
            assert block.seq > highest, f"{what}: {highest} was used before (C2)"
            assert number == spare.soft_block or not unflushed, f"{what}: data not flushed (C10)"
            highest = block.seq
            begun[number] = (0, 0)
        if block.seq == last and good:
            places[replica] = place                  # a repair
        elif replica == 0:
            begun[number] = (block.seq, place) if good else (0, 0)
        elif begun.get(number, (0, 0))[0] == block.seq and good:
            committed[number] = (block.seq, {0: begun[number][1], 1: place})
            commits += 1
        else:
            assert not new and not good or begun.get(number, (0, 0))[0] == block.seq, \
                f"{what}: replica 0 does not have it (C1)"
    return commits


def metadata_writes(records: list[Record], spare: Spare, disk: int = 1) -> list[Record]:
    """The writes in RECORDS that touch either replica."""
    ranges = [spare.replica_sectors(r) for r in (0, 1)]
    return [r for r in records if r.disk == disk and r.kind == "write"
            and any(r.sector < first + count and first < r.sector + r.sectors
                    for first, count in ranges)]
