# SPDX-License-Identifier: GPL-2.0-or-later
"""A model of the commit protocol that writes a block server's log, and can break each rule.

It has two ends. The enumerator is tried on it: it must accept what the rules allow, and
find each broken rule. And it is a second implementation of the format, from FORMAT.md
alone: nothing here uses common/. Not a model of the kernel module: no concurrency but
batches of writes that share a commit.

    python3 -m tests.crash.model LOG [--seed N] [--operations N] [--break RULE]
"""

import argparse
import random
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.crash.stamp import stamp

MAIN_SECTORS = 2048
SPARE_SECTORS = 4096
UUID = bytes(range(16))
ENTRIES = 252

# Those that take disks which lose what they acknowledged and say so once.
TOLD_ONCE = ("swallow-error", "forget-error")
RULES = {
    "ack-before-commit": "acknowledges when the data is durable, the table entry not yet (P1)",
    "no-flush": "commits without a flush of the data before (C10)",
    "data-after-flush": "commits an entry whose data came after the flush (C9)",
    "one-replica": "acknowledges when one replica has the block (C1)",
    "no-fua": "writes table blocks without FUA (C10)",
    "reuse-number": "uses the number of a failed commit again (C2)",
    "toggle-place": "goes to the other place after a failed commit, too (C3)",
    "forget-doubt": "lets sectors of a failed commit be written to main (C4)",
    "whole-chunk": "redirects sectors that were not written (D1)",
    "drop-lost": "forgets which sectors could not be read (P2)",
    "flush-main-only": "passes flushes to main only (D9)",
    "mark-first": "writes the mark before the superblock (C14)",
    "swallow-error": "does not report that a flush of its own has lost data (D17)",
    "forget-error": "forgets that when its next flush succeeds (D17)",
    "mark-ahead": "marks main with a number that is not complete on both replicas (O6)",
}


class Log:
    """Appends records, and keeps what each disk gives to a reader."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "wb")
        self.content: tuple[dict[int, bytes], dict[int, bytes]] = ({}, {})
        self.unflushed: tuple[dict[int, bytes | None], dict[int, bytes | None]] = ({}, {})

    def _append(self, kind: int, flags: int, disk: int, length: int, sector: int,
                data: bytes) -> None:
        header = struct.pack("<IHHIIQQ", 0x4C424D52, kind, flags, disk, length, sector, 0)
        self._file.write(header + data + bytes(-len(data) % 8))

    def write(self, disk: int, sector: int, data: bytes, fua: bool = False,
              failed: bool = False) -> None:
        self._append(1, fua | 2 * failed, disk, len(data) // 512, sector, data)
        if not failed:
            for i in range(len(data) // 512):
                if fua:
                    self.unflushed[disk].pop(sector + i, None)
                else:
                    self.unflushed[disk].setdefault(sector + i, self.content[disk].get(sector + i))
                self.content[disk][sector + i] = data[i * 512:i * 512 + 512]

    def flush(self, disk: int, late: set[int] = set()) -> bool:
        """Of the LATE sectors what is in the cache gets lost, and then the flush fails."""
        lost = sorted(late & set(self.unflushed[disk]))
        for sector in lost:
            old = self.unflushed[disk][sector]
            if old is None:
                del self.content[disk][sector]
            else:
                self.content[disk][sector] = old
            self._append(6, 0, disk, 1, sector, b"")
        self.unflushed[disk].clear()
        self._append(2, 2 | 4 if lost else 0, disk, 0, 0, b"")
        return not lost

    def mark(self, text: str) -> None:
        self._append(3, 0, 0, len(text), 0, text.encode())

    def close(self) -> None:
        self._file.close()


@dataclass(frozen=True)
class Layout:
    """Section 1 of FORMAT.md."""

    table_blocks: int
    place_blocks: int
    slots: int
    end_replica: int

    @classmethod
    def of(cls, region_sectors: int) -> "Layout":
        total = region_sectors // 8 // 16 * 16
        for blocks in range(1, total):
            place = (1 + blocks + 2 + 15) // 16 * 16
            if blocks * ENTRIES >= total - 4 * place:
                return cls(blocks, place, total - 4 * place, (total - 2 * place) * 8)
        raise ValueError(f"a region of {region_sectors} sectors is too small")

    def block(self, replica: int, place: int, number: int) -> int:
        return replica * self.end_replica + (place * self.place_blocks + number) * 8

    def slot(self, slot: int) -> int:
        return (2 * self.place_blocks + slot) * 8


@dataclass
class Entry:
    chunk: int
    redirected: int
    lost: int = 0


def seal(magic: bytes, index: int, number: int, body: bytes, nr_bytes: int = 4096) -> bytes:
    checked = struct.pack("<I16sQQ", index, UUID, number, 0) + body
    checked += bytes(nr_bytes - 12 - len(checked))
    return magic + struct.pack("<I", zlib.crc32(checked)) + checked


class Model:
    def __init__(self, log: Log, seed: int, broken: str | None, told_once: bool) -> None:
        self.log = log
        self.random = random.Random(seed)
        self.broken = broken
        self.layout = Layout.of(SPARE_SECTORS)
        self.entries: dict[int, Entry] = {}
        self.chunks: dict[int, int] = {}
        self.number = 0
        self.place = {n: [1, 1] for n in range(self.layout.table_blocks + 1)}
        self.complete = 0
        self.marked = False
        self.bad: set[int] = set()
        self.next_id = 1
        self.next_flush = 1
        self.late: list[set[int]] = []
        self.told_once = told_once
        self.loses: set[int] = set()    # sectors of main that fail late
        self.owed = False               # an error that a flush of ours was told

    # metadata

    def table_block(self, block: int, number: int) -> bytes:
        first = (block - 1) * ENTRIES
        nr = min(ENTRIES, self.layout.slots - first)
        body = struct.pack("<I12x", nr)
        for slot in range(first, first + nr):
            entry = self.entries.get(slot)
            if entry is None:
                body += bytes(16)
            else:
                where = entry.chunk | entry.redirected << 48 | entry.lost << 56
                body += struct.pack("<QIBBBB", where, 1700000000, 1, 1, 1, 1)
        return seal(b"dmRemapT", block, number, body)

    def superblock(self, number: int) -> bytes:
        layout = self.layout
        body = struct.pack("<IIQQQQQQQQIIIIQQ16s40s200s", 1, int(self.marked), 0, 0, 0,
                           MAIN_SECTORS, SPARE_SECTORS, 0, layout.end_replica, layout.slot(0),
                           layout.slots, layout.table_blocks, 2, layout.place_blocks,
                           MAIN_SECTORS // 8 - 1, 1700000000, b"", b"model", b"serial-1")
        return seal(b"dmRemapS", 0, number, body)

    def commit_block(self, block: int, fail: tuple[int, str] | None = None) -> bool:
        """FAIL: (replica, how): this write reports an error and has done "nothing", is
        "torn" with half of it damaged, or has "landed"."""
        self.number += 1
        image = self.table_block(block, self.number) if block else self.superblock(self.number)
        if self.broken == "mark-ahead" and self.marked:
            self.write_mark(self.number)
        for replica in (0, 1):
            if self.broken == "one-replica" and replica:
                break
            sector = self.layout.block(replica, 1 - self.place[block][replica], block)
            fua = self.broken != "no-fua"
            if fail and fail[0] == replica:
                if fail[1] == "nothing":
                    self.log.write(1, sector, image, fua, failed=True)
                else:
                    torn = image[:2048] + bytes([0x5A]) * 2048
                    self.log.write(1, sector, image if fail[1] == "landed" else torn, fua)
                if self.broken == "toggle-place":
                    self.place[block] = [1 - place for place in self.place[block]]
                if self.broken == "reuse-number":
                    self.number -= 1
                return False
            self.log.write(1, sector, image, fua)
        self.place[block] = [1 - place for place in self.place[block]]
        self.complete = self.number
        return True

    def write_mark(self, number: int) -> None:
        first = MAIN_SECTORS - 8
        data = b"".join(seal(b"dmRemapP", i, number, bytes([i + 1]) * 464, 512)
                        for i in range(8))
        self.log.write(0, first, data, fua=True)

    def format(self) -> None:
        probe = MAIN_SECTORS // 8 - 1
        self.entries[0] = Entry(probe, 0xFF)
        self.chunks[probe] = 0
        self.number = 1
        for replica in (0, 1):
            for block in range(1, self.layout.table_blocks + 1):
                self.log.write(1, self.layout.block(replica, 0, block), self.table_block(block, 1))
                self.place[block] = [0, 0]
        self.log.write(1, self.layout.slot(0), stamp(probe * 8, 8, 0))
        self.log.flush(1)
        if self.broken == "mark-first":
            self.write_mark(1)
        self.commit_block(0)
        self.write_mark(self.complete)
        self.marked = True
        self.commit_block(0)
        self.log.mark("active")

    # what users do

    def _lookup(self, sector: int) -> tuple[int, Entry] | None:
        slot = self.chunks.get(sector // 8)
        if slot is None or not self.entries[slot].redirected >> sector % 8 & 1:
            return None
        return slot, self.entries[slot]

    def _write_main(self, sector: int, data: bytes, fua: bool) -> bool:
        fails = self.bad | self.loses if fua else self.bad
        failed = any(s in fails for s in range(sector, sector + len(data) // 512))
        self.log.write(0, sector, data, fua, failed)
        return not failed

    def _pieces(self, sector: int, count: int) -> Iterable[tuple[int, int]]:
        """Runs of sectors in one chunk that go to one place."""
        end = sector + count
        while sector < end:
            stop = sector + 1
            while stop < end and stop % 8 and \
                    (self._lookup(stop) is None) == (self._lookup(sector) is None):
                stop += 1
            yield sector, stop - sector
            sector = stop

    def _slot_for(self, chunk: int) -> int | None:
        if chunk in self.chunks:
            return self.chunks[chunk]
        slot = self.random.randrange(self.layout.slots)
        for _ in range(self.layout.slots):
            if slot not in self.entries:
                return slot
            slot = (slot + 1) % self.layout.slots
        return None

    def _store(self, write: int, sector: int, count: int, fua: bool,
               touched: set[int], late: list[tuple[int, bytes]]) -> bool:
        """Bring one write's pieces to their places; entries that changed need a commit."""
        for first, nr in self._pieces(sector, count):
            data = stamp(first, nr, write)
            mask = ((1 << nr) - 1) << first % 8
            if found := self._lookup(first):
                slot, entry = found
                self.log.write(1, self.layout.slot(slot) + first % 8, data, fua)
                if entry.lost & mask:
                    entry.lost &= ~mask
                    touched.add(slot)
                continue
            if self._write_main(first, data, fua):
                continue
            slot_ = self._slot_for(first // 8)
            if slot_ is None:
                return False
            if self.broken == "data-after-flush":
                late.append((self.layout.slot(slot_) + first % 8, data))
            else:
                self.log.write(1, self.layout.slot(slot_) + first % 8, data)
            entry = self.entries.setdefault(slot_, Entry(first // 8, 0))
            entry.redirected |= 0xFF if self.broken == "whole-chunk" else mask
            entry.lost &= ~mask
            self.chunks[first // 8] = slot_
            touched.add(slot_)
        return True

    def _commit(self, touched: set[int], before: dict[int, Entry]) -> bool:
        """All blocks of the touched entries; on failure they are as BEFORE again."""
        if self.broken != "no-flush":
            self.log.flush(1)
        fail = None
        if self.random.random() < 0.25:
            fail = self.random.randrange(2), self.random.choice(["nothing", "torn", "landed"])
        blocks = sorted({1 + slot // ENTRIES for slot in touched})
        done = all([self.commit_block(block, fail) for block in blocks])
        if done:
            return True
        for slot in touched:
            chunk = self.entries[slot].chunk
            if slot in before:
                self.entries[slot] = before[slot]
            else:
                del self.entries[slot], self.chunks[chunk]
        if self.broken != "forget-doubt":
            for block in blocks:
                if self.broken == "toggle-place":
                    self.commit_block(block, (0, "torn"))
                self.commit_block(block)
        return False

    def writes(self, batch: list[tuple[int, int, bool]]) -> None:
        before = {slot: Entry(**vars(entry)) for slot, entry in self.entries.items()}
        touched: set[int] = set()
        late: list[tuple[int, bytes]] = []
        done = []
        for sector, count, fua in batch:
            self.log.mark(f"issue {self.next_id} {sector} {count} {int(fua)}")
            stored = self._store(self.next_id, sector, count, fua, touched, late)
            done.append((self.next_id, stored))
            self.next_id += 1
        committed = True
        if touched and self.broken == "ack-before-commit":
            self.log.flush(1)
            self.late.append(touched)
        elif touched:
            if late:
                self.log.flush(1)
            committed = self._commit(touched, before)
            for sector, data in late:
                self.log.write(1, sector, data)
        for write, stored in done:
            self.log.mark(f"ack {write} {0 if stored and committed else 5}")
        # The sectors turn out good after all, and the user tries again: on main.
        if not committed:
            for sector, count, _ in batch:
                self.bad -= set(range(sector, sector + count))
            self.writes([(sector, count, True) for sector, count, _ in batch])

    def flush(self) -> None:
        self.log.mark(f"flush-issue {self.next_flush}")
        done = self.log.flush(0, self.loses) and not self.owed
        self.owed = False
        if self.broken != "flush-main-only":
            self.log.flush(1)
        self.log.mark(f"flush-ack {self.next_flush} {0 if done else 5}")
        self.next_flush += 1
        for touched in self.late:
            for block in sorted({1 + slot // ENTRIES for slot in touched}):
                self.commit_block(block)
        self.late.clear()

    def own_flush(self) -> None:
        """For a probe, say."""
        if not self.log.flush(0, self.loses):
            self.owed = self.broken != "swallow-error"
        elif self.broken == "forget-error":
            self.owed = False

    def rescue(self, chunk: int) -> None:
        """`remap S`: copy what can be read, note what cannot."""
        slot = self._slot_for(chunk)
        if chunk in self.chunks or slot is None:
            return
        unreadable = self.random.randrange(256)
        for bit in range(8):
            if unreadable >> bit & 1:
                self.log.mark(f"readbad {chunk * 8 + bit} 1")
            else:
                sector = chunk * 8 + bit
                data = self.log.content[0].get(sector, stamp(sector, 1, 0))
                self.log.write(1, self.layout.slot(slot) + bit, data)
        lost = 0 if self.broken == "drop-lost" else unreadable
        before = {s: Entry(**vars(entry)) for s, entry in self.entries.items()}
        self.entries[slot] = Entry(chunk, 0xFF, lost)
        self.chunks[chunk] = slot
        self._commit({slot}, before)

    def run(self, operations: int) -> None:
        self.format()
        if self.told_once:
            self.log.mark("told-once")
        for _ in range(operations):
            if self.told_once and self.random.random() < 0.2:
                self.loses.add(self.random.randrange(MAIN_SECTORS - 8))
            if self.told_once and self.random.random() < 0.2:
                self.own_flush()
            choice = self.random.random()
            if choice < 0.12:
                self.bad.add(self.random.randrange(MAIN_SECTORS - 8))
            if choice < 0.70:
                self.writes([self._random_write() for _ in range(self.random.randint(1, 4))])
            elif choice < 0.93:
                self.flush()
            elif choice < 0.97:
                self.rescue(self.random.randrange(MAIN_SECTORS // 8 - 1))
            else:
                self.write_mark(self.complete)

    def _random_write(self) -> tuple[int, int, bool]:
        # half of them near a bad sector
        near = self.random.choice(sorted(self.bad | self.loses) or [0]) if self.random.random() < 0.5 else \
            self.random.randrange(MAIN_SECTORS)
        count = self.random.choice([1, 1, 2, 3, 8, 8, 16, 40])
        sector = min(max(0, near - self.random.randrange(count)), MAIN_SECTORS - count)
        return sector, count, self.random.random() < 0.4


def make_log(path: Path, seed: int, operations: int = 120, broken: str | None = None,
             told_once: bool = False) -> None:
    if broken is not None and broken not in RULES:
        raise ValueError(f"there is no rule '{broken}'")
    log = Log(path)
    Model(log, seed, broken, told_once or broken in TOLD_ONCE).run(operations)
    log.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python3 -m tests.crash.model")
    parser.add_argument("log", type=Path)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--operations", type=int, default=120)
    parser.add_argument("--break", dest="broken", choices=sorted(RULES))
    options = parser.parse_args()
    print(f"seed {options.seed}")
    make_log(options.log, options.seed, options.operations, options.broken)


if __name__ == "__main__":
    main()
