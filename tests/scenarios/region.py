# SPDX-License-Identifier: GPL-2.0-or-later
"""Where things lie in a formatted spare region (common/FORMAT.md), and the server's log
in those words.

Callers: scenarios that check *where* or *in which order* something was written.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.harness.blockd import FAILED, FUA, Record
from tests.scenarios.lib import SECTOR, Rig

BLOCK_SECTORS = 8
TABLE_MAGIC = b"dmRemapT"
ENTRIES = 252
PROBE = 5    # the cause of the entry that a new spare begins with


@dataclass(frozen=True)
class Event:
    """One record of the log: WHAT is "data", "slot", "table", "other" (metadata), "probe",
    "flush", "trim", "powercut" or the text of a mark; NUMBER the slot or the replica."""

    what: str
    disk: str
    number: int
    record: Record

    @property
    def fua(self) -> bool:
        """Durable when complete; of a disk without FUA: a flush came behind it."""
        return bool(self.record.flags & FUA)

    @property
    def done(self) -> bool:
        return self.record.done


class Region:
    """The layout of RIG's spare, from the superblock on its media."""

    def __init__(self, rig: Rig, start: int = 0) -> None:
        self._rig = rig
        self.start = start
        super_block = rig.media("spare").read(start)
        assert super_block[:8] == b"dmRemapS", "the spare is not formatted"
        self.replica = [start + s for s in struct.unpack_from("<2Q", super_block, 96)]
        slots_sector, self.slots, self.table_blocks, _, self.place_blocks, self.probe_chunk = \
            struct.unpack_from("<Q4IQ", super_block, 112)
        self.slots_start = start + slots_sector

    def slot(self, number: int) -> int:
        """First sector of a slot on the spare."""
        return self.slots_start + number * BLOCK_SECTORS

    def block(self, replica: int, place: int, number: int) -> int:
        """First sector of a copy of a metadata block on the spare."""
        return self.replica[replica] + (place * self.place_blocks + number) * BLOCK_SECTORS

    def replica_range(self, replica: int) -> tuple[int, int]:
        """First sector and length of a replica, both places."""
        return self.replica[replica], 2 * self.place_blocks * BLOCK_SECTORS

    def hold_replica(self, replica: int) -> None:
        """Park the metadata writes to a replica until spare.release()."""
        self._rig.spare.hold("write", *self.replica_range(replica))

    def hold_step(self, step: str) -> None:
        """Park a step of a commit until spare.release(): "slot", "flush", "replica 0" or 1."""
        if step == "slot":
            self._rig.spare.hold("write", self.slot(0), self.slots * BLOCK_SECTORS)
        elif step == "flush":
            self._rig.spare.hold("flush")
        else:
            self.hold_replica(int(step[-1]))

    def bad_replica(self, replica: int, **how: object) -> None:
        self._rig.spare.bad(*self.replica_range(replica), **how)    # type: ignore[arg-type]

    def _replica_of(self, sector: int) -> int:
        for replica in (0, 1):
            first, count = self.replica_range(replica)
            if first <= sector < first + count:
                return replica
        return -1

    def _event(self, record: Record) -> Event:
        disk = self._rig.server.disks()[record.disk].name
        what, number = record.kind, -1
        if record.kind == "mark":
            what = record.data.decode()
        elif record.kind == "write" and disk == "spare":
            number = self._replica_of(record.sector)
            if number >= 0:
                what = "table" if record.data[:8] == TABLE_MAGIC else "other"
            else:
                what = "slot"
                number = (record.sector - self.slots_start) // BLOCK_SECTORS
        elif record.kind == "write" and disk == "main":
            chunk = record.sector // BLOCK_SECTORS
            what = "probe" if chunk == self.probe_chunk else "data"
        return Event(what, disk, number, record)

    def events(self, mark: str | None = None, fold: bool = True) -> list[Event]:
        """The log since MARK (default: all of it). FOLD: of a disk without FUA, a write and the
        flush that stands for it are one event."""
        found = [self._event(record) for record in self._rig.server.log()]
        for disk in self._rig.server.disks():
            if fold and not disk.fua:
                found = list(_with_fua(found, disk.name))
        if mark is None:
            return found
        return found[[event.what for event in found].index(mark) + 1:]


def _with_fua(events: list[Event], disk: str) -> Iterator[Event]:
    """EVENTS as if DISK had FUA: the flush behind a write, and before any mark, stands for it;
    behind a probe or metadata there is nothing else it could be for."""
    for at, event in enumerate(events):
        if event.disk != disk or event.record.kind in ("mark", "powercut"):
            yield event
            continue
        if event.what == "flush":
            before = next((e for e in reversed(events[:at]) if e.disk == disk), None)
            if not before or before.what not in ("table", "other", "probe"):
                yield event
            continue
        behind = next((e for e in events[at + 1:] if e.what == "flush" and e.disk == disk
                       or e.record.kind == "mark"), None)
        if behind and behind.what == "flush":
            flags = FUA if behind.done else FUA | FAILED
            event = replace(event, record=replace(event.record, flags=event.record.flags | flags))
        yield event


def words(events: list[Event]) -> Iterator[str]:
    """Events as short words, for comparing an order: "slot", "flush spare", "table 0"…"""
    for event in events:
        if event.what in ("flush", "trim"):
            yield f"{event.what} {event.disk}"
        elif event.what in ("table", "other"):
            yield f"{event.what} {event.number}"
        else:
            yield event.what


def _entries(event: Event) -> dict[int, tuple[int, int]]:
    """Slot -> (redirected, lost) of the used entries of a table block's image."""
    index, = struct.unpack_from("<I", event.record.data, 12)
    found = {}
    for n in range(ENTRIES):
        where, _, state, cause = struct.unpack_from("<QIBB", event.record.data, 64 + 16 * n)
        if state & 15 == 1 and cause != PROBE:    # that one counts from the superblock on
            found[(index - 1) * ENTRIES + n] = where >> 48 & 0xFF, where >> 56
    return found


def check_commit_order(events: list[Event]) -> int:
    """P1, C9, C10: whenever a table block names sectors that no table block named before,
    their data was written to the slot, and then the spare flushed, before.

    EVENTS must begin with the log's beginning. Returns how many sectors it has judged.
    """
    written: dict[int, int] = {}     # slot sector -> position of its last write
    flushed = -1                     # position of the last flush that succeeded
    known: dict[int, int] = {}       # slot -> sectors with content, by the last image
    judged = 0
    for position, event in enumerate(events):
        if event.what == "flush" and event.disk == "spare" and event.done:
            flushed = position
        elif event.what == "slot" and event.done:
            first = event.number * BLOCK_SECTORS + event.record.sector % BLOCK_SECTORS
            for n in range(event.record.sectors):
                written[first + n] = position
        elif event.what == "table" and event.number == 0 and event.done:
            for slot, (redirected, lost) in _entries(event).items():
                fresh = redirected & ~lost & ~known.get(slot, 0)
                for bit in (b for b in range(BLOCK_SECTORS) if fresh >> b & 1):
                    judged += 1
                    at = written.get(slot * BLOCK_SECTORS + bit)
                    assert at is not None, f"slot {slot} sector {bit} was never written"
                    fua = events[at].fua
                    assert fua or at < flushed, \
                        f"slot {slot} sector {bit} is named by a commit that no flush preceded"
                known[slot] = known.get(slot, 0) | redirected & ~lost
    return judged


def slot_of(rig: Rig, sector: int, name: str = "r0") -> int | None:
    """The slot that serves SECTOR, or None."""
    reply = rig.message(name, f"verify {sector}").split()
    slots = [word for word in reply if word.startswith("slot=")]
    return int(slots[0][len("slot="):]) if slots else None


def is_mapped(rig: Rig, sector: int, name: str = "r0") -> bool:
    return "not remapped" not in rig.message(name, f"verify {sector}")


def mapped_sectors(rig: Rig, first: int, count: int, name: str = "r0") -> list[int]:
    return [s for s in range(first, first + count) if is_mapped(rig, s, name)]


def whole_media(rig: Rig, disk: str, first: int, count: int) -> bytes:
    """What the disk holds there, as the user of the raw disk would see it."""
    data = rig.media(disk).read(first, count)
    assert len(data) == count * SECTOR
    return data
