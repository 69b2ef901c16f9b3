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
from dataclasses import dataclass, replace

from tests.crash.model import Layout
from tests.harness.blockd import FAILED, FUA, LANDED, Record
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

    def sectors(self, mask: int) -> tuple[int, ...]:
        """The sectors of main that MASK selects of its chunk."""
        return tuple(8 * self.chunk + bit for bit in range(8) if mask >> bit & 1)


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


SESSION = "session"    # the mark of a scenario before it activates again without a power cut


def check_log(rig: Rig, spare: Spare, disk: int = 1) -> int:
    """check_records() over the log of RIG so far."""
    return check_records(rig.server.log(), spare, disk, fua=rig.server.disks()[disk].fua)


def check_records(records: Iterable[Record], spare: Spare, disk: int = 1,
                  alone: bool = True, fua: bool = True) -> int:
    """Fails where the log shows a metadata write that a rule forbids; the number of commits.

    C1: replica 1 only after replica 0 has succeeded. C2: a number has one content, and new
    content a number above all before (a number that never reached the media is not known to
    the next session). C3: never into the place that holds the last content that both replicas
    took. C9, C10: with FUA, and after a flush of the data that its new entries name (unless
    others write meanwhile: not ALONE).
    Repairs at activation (old bytes under their own number) are let through. Without FUA
    a write is one that a flush follows, and has ended when that has.
    """
    return _Log(records, spare, disk, alone, fua).check()


class _Log:
    def __init__(self, records: Iterable[Record], spare: Spare, disk: int,
                 alone: bool, fua: bool) -> None:
        own = (r for r in records if r.disk == disk or r.kind in ("mark", "powercut"))
        self.alone = alone
        self.spare = spare
        self.where = {spare.sector(r, p, b): (r, p, b) for r in (0, 1) for p in (0, 1)
                      for b in (0, *spare.table_blocks, spare.soft_block)}
        self.sectors = {copy: sector for sector, copy in self.where.items()}
        self.records = own if fua else self._with_fua(own)
        self.media: dict[int, bytes] = {}                # sector of a copy -> what it holds
        self.content: dict[tuple[int, int], bytes] = {}  # (block, number) -> bytes
        self.reached: set[tuple[int, int]] = set()       # of these, what is on the media
        self.begun: dict[int, tuple[int, int]] = {}      # block -> number, place on replica 0
        # block -> number, per replica the places that hold it
        self.committed: dict[int, tuple[int, dict[int, set[int]]]] = {}
        self.unflushed: set[int] = set()
        self.highest = 1
        self.commits = 0

    def _with_fua(self, records: Iterable[Record]) -> Iterator[Record]:
        """RECORDS as if metadata had been written with FUA: at the flush behind them, with its
        result. What no flush covered before the power went is taken not to be there. No flush
        follows a write that landed and was told to have failed."""
        waiting: list[Record] = []
        for record in records:
            if record.kind == "write" and record.done and not record.flags & LANDED \
                    and record.sector in self.where and record.sectors == BLOCK // SECTOR:
                waiting.append(record)
                continue
            if record.kind in ("flush", "powercut"):
                flags = FUA if record.kind == "flush" and record.done else FUA | FAILED
                if record.kind == "flush" and record.flags & LANDED:
                    flags = FUA | LANDED
                yield from (replace(r, flags=r.flags | flags) for r in waiting)
                waiting.clear()
            elif record.kind == "lost":    # not the flush that comes next, but for nothing
                end = record.sector + record.sectors
                lost = [r for r in waiting
                        if r.sector < end and record.sector < r.sector + r.sectors]
                yield from (replace(r, flags=FUA | FAILED) for r in lost)
                waiting = [r for r in waiting if r not in lost]
            elif record.kind == "write" and record.sector in self.where:
                record = replace(record, flags=record.flags | FUA)
            yield record

    def check(self) -> int:
        power = True
        for record in self.records:
            if not power and not record.done:
                continue    # the device's last words
            if not power or (record.kind == "mark" and record.data.decode() == SESSION):
                self._new_session()
            power = record.kind != "powercut"
            if record.kind == "flush" and record.done:
                self.unflushed.clear()
            elif record.kind == "write" and record.sector in self.where and record.sectors == 8:
                self._metadata(record)
            elif record.kind == "write" and record.done:
                self._other(record)
        return self.commits

    def _new_session(self) -> None:
        self.content = {key: data for key, data in self.content.items() if key in self.reached}
        self.highest = max((number for _, number in self.reached), default=1)
        self.begun.clear()
        # what landed on both replicas counts from the next load on, reported as failed or not
        found: dict[int, dict[tuple[int, int], Block]] = {}
        for sector, data in self.media.items():
            replica, place, number = self.where[sector]
            if Block(data).valid:
                found.setdefault(number, {})[replica, place] = Block(data)
        for number, copies in found.items():
            best = max(copy.seq for copy in copies.values())
            places: dict[int, set[int]] = {}
            for (replica, place), copy in copies.items():
                if copy.seq == best:
                    places.setdefault(replica, set()).add(place)
            if len(places) == 2 and best != self.committed.get(number, (0, {}))[0]:
                self.committed[number] = (best, places)

    def _other(self, record: Record) -> None:
        """Data in slots, part of a copy, or many copies at once."""
        for i in range(record.sectors):
            sector = record.sector + i
            first = sector - sector % 8
            if first in self.where:
                old = self.media.get(first, bytes(BLOCK))
                at = sector % 8 * SECTOR
                self.media[first] = old[:at] + record.data[i * SECTOR:(i + 1) * SECTOR] \
                    + old[at + SECTOR:]
                if sector % 8 == 7 or i == record.sectors - 1:
                    self._reach(first, Block(self.media[first]))
            elif self.alone and not record.flags & FUA:
                self.unflushed.add(sector)

    def _reach(self, sector: int, block: Block) -> None:
        self.media[sector] = block.data
        if block.valid:
            key = self.where[sector][2], block.seq
            self.content.setdefault(key, block.data)
            self.reached.add(key)
            self.highest = max(self.highest, block.seq)

    def _data_flushed(self, number: int, block: Block) -> bool:
        last = self.committed.get(number, (0, {}))[0]
        known = Block(self.content.get((number, last), bytes(BLOCK)))
        before = {e.slot: e for e in known.entries()}
        for e in block.entries():
            old = before.get(e.slot)
            new = e.redirected & ~e.lost
            if old and old.chunk == e.chunk:
                new &= ~(old.redirected & ~old.lost)
            first = self.spare.slot_sector(e.slot)
            if any(new >> i & 1 and first + i in self.unflushed for i in range(8)):
                return False
        return True

    def _repaired(self, number: int, replica: int, place: int, block: Block) -> None:
        last, places = self.committed.get(number, (0, {}))
        if block.seq != last:
            places = {1 - replica: {p for (r, p, b), sector in self.sectors.items()
                                    if (r, b) == (1 - replica, number)
                                    and self.media.get(sector) == block.data}}
        # load writes both places of a replica that was away (C7)
        self.committed[number] = (block.seq,
                                  places | {replica: places.get(replica, set()) | {place}})

    def _metadata(self, record: Record) -> None:
        block = Block(record.data)
        if not block.valid:
            return
        replica, place, number = self.where[record.sector]
        what = f"block {number}, replica {replica}, place {place}, number {block.seq}"
        good = record.done and not record.flags & LANDED
        last, places = self.committed.get(number, (0, {}))
        new = (number, block.seq) not in self.content
        assert self.content.setdefault((number, block.seq), block.data) == block.data, \
            f"{what}: the number belongs to other bytes (C2)"
        assert record.flags & FUA, f"{what}: without FUA (C10)"
        assert places.get(replica) != {place} or block.seq == last, \
            f"{what}: over the last committed copy, number {last} (C3)"
        if new:
            assert replica == 0, f"{what}: replica 1 before replica 0 (C1)"
            assert block.seq > self.highest, f"{what}: {self.highest} was used before (C2)"
            assert number == self.spare.soft_block or self._data_flushed(number, block), \
                f"{what}: names data that is not flushed (C9, C10)"
            self.highest = block.seq
            self.begun[number] = (0, 0)
        if record.done:
            self._reach(record.sector, block)
        if number not in self.begun or block.seq == last:
            if good:
                self._repaired(number, replica, place, block)
        elif replica == 0:
            self.begun[number] = (block.seq, place) if good else (0, 0)
        else:
            assert self.begun[number][0] == block.seq, f"{what}: replica 0 does not have it (C1)"
            if good:
                self.committed[number] = (block.seq,
                                          {0: {self.begun[number][1]}, 1: {place}})
                self.commits += 1


def metadata_writes(records: list[Record], spare: Spare, disk: int = 1) -> list[Record]:
    """The writes in RECORDS that touch either replica."""
    ranges = [spare.replica_sectors(r) for r in (0, 1)]
    return [r for r in records if r.disk == disk and r.kind == "write"
            and any(r.sector < first + count and first < r.sector + r.sectors
                    for first, count in ranges)]


LABEL, IDENTITY, HOST, FLAGS = (168, 40), (208, 200), (152, 16), 52    # in the superblock


def patch(data: bytes, field: tuple[int, int], value: bytes) -> bytes:
    at, length = field
    return data[:at] + value.ljust(length, b"\0")[:length] + data[at + length:]


def patch_supers(rig: Rig, field: tuple[int, int], value: bytes) -> None:
    spare = Spare.of(rig)
    for (replica, place), copy in spare.copies(0).items():
        if copy.valid:
            spare.write(replica, place, 0, seal(patch(copy.data, field, value)))
