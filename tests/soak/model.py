# SPDX-License-Identifier: GPL-2.0-or-later
"""What each sector may read as: numbers of writes (0: the initial content), or an error.

`now` is what a read may give, `durable` what may be there after a power cut. As on a plain disk, an
error of a flush puts in doubt all that no flush has covered: what was durable may be back. Each
sector has one writer, so nothing else writes it between a write's start and its end. Pure: no I/O.
Callers: life.py; test_soak.py.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(eq=False)
class Flush:
    """One that was sent: what it covers, and what is back on the media if it fails. Until its sender
    is told, it may have failed, and a flush that was sent later have succeeded."""

    last: int
    now: dict[int, frozenset[int]]
    durable: dict[int, frozenset[int]]


class Model:
    """LATE: disks lose what was in a cache, and say so at the next flush."""

    def __init__(self, sectors: Iterable[int], late: bool) -> None:
        self.late = late
        self.now: dict[int, frozenset[int]] = dict.fromkeys(sectors, frozenset({0}))
        self.durable = dict(self.now)
        self.last = 0                          # number of the last write
        self.unreadable: dict[int, int] = {}   # sector -> last write when it failed
        self.harmed: set[int] = set()          # chunks of which a write may fail
        self.named: set[int] = set()           # chunks that had a fault, or that a message named
        self.extents: dict[int, range] = {}
        self.failures = 0                      # of flushes
        self.began: dict[int, int] = {}        # write -> failures when it began
        self.flushes: set[Flush] = set()       # whose senders have not been told
        self.lock = threading.Lock()

    # writers

    def begin(self, sectors: range) -> int:
        """A write is about to be sent; its number."""
        with self.lock:
            self.last += 1
            self.extents[self.last] = sectors
            self.began[self.last] = self.failures
            for sector in sectors:
                self.now[sector] |= {self.last}
                self.durable[sector] |= {self.last}
                for flush in self.flushes:
                    flush.durable[sector] |= {self.last}
            return self.last

    def written(self, number: int, fua: Flush | None) -> None:
        """FUA: began before the write, if that had FUA. A flush that failed meanwhile may have lost
        one without: the disk had it in its cache."""
        durably = fua is not None
        with self.lock:
            self.flushes -= {fua}
            lost = not durably and self.began[number] != self.failures
            for sector in self.extents[number]:
                self.now[sector] = frozenset({number}) | (self.now[sector] if lost else set())
                if durably:
                    self.durable[sector] = self.now[sector]
                if self.unreadable.get(sector, number) < number and (durably or not self.late):
                    del self.unreadable[sector]

    def flush_begins(self) -> Flush:
        with self.lock:
            flush = Flush(self.last, dict(self.now), dict(self.durable))
            self.flushes.add(flush)
            return flush

    def flushed(self, flush: Flush) -> None:
        """Also what failed meanwhile stays in doubt: `now` has it."""
        with self.lock:
            self.flushes.remove(flush)
            for sector, was in self.durable.items():
                later = frozenset(number for number in was if number > flush.last)
                self.durable[sector] = flush.now[sector] | self.now[sector] | later
                killed = self.unreadable.get(sector)
                # what is there has been written since, and is on the media now
                if killed is not None and min(self.durable[sector]) > killed:
                    del self.unreadable[sector]

    def flush_failed(self, flush: Flush) -> None:
        with self.lock:
            self.failures += 1
            self.flushes.remove(flush)
            for sector, was in flush.durable.items():
                self.now[sector] |= was | self.durable[sector]
                self.durable[sector] |= self.now[sector]

    # disks and power

    def harm(self, first: int, count: int, unreadable: bool = False) -> None:
        """From now on the chunks of these sectors may be on the spare, and writes may fail."""
        with self.lock:
            chunks = range(first // 8, (first + count + 7) // 8)
            self.harmed.update(chunks)
            self.named.update(chunks)
            for sector in range(first, first + count) if unreadable else ():
                if sector in self.now:
                    self.unreadable[sector] = self.last

    def cache_is_lost(self) -> None:
        """A disk's, without a power cut."""
        with self.lock:
            for sector, was in self.durable.items():
                self.now[sector] |= was

    def power_is_cut(self) -> None:
        with self.lock:
            self.now = dict(self.durable)

    # readers

    def problem(self, sector: int, number: int) -> str | None:
        """Why SECTOR must not read as write NUMBER. Its writer asks, or none writes."""
        with self.lock:
            allowed = self.now[sector]
            if self.late:    # lost, and no flush of a user was told yet
                allowed |= self.durable[sector]
            for flush in self.flushes:
                allowed |= flush.durable[sector]
            if number in allowed:
                return None
            return f"sector {sector} reads as write {number}, not one of {sorted(allowed)}"

    def must_be_readable(self, sectors: range) -> bool:
        with self.lock:
            return not any(sector in self.unreadable for sector in sectors)

    def must_be_writable(self, sectors: range) -> bool:
        with self.lock:
            return not any(sector // 8 in self.harmed for sector in sectors)

    def settle(self, sector: int, number: int) -> None:
        """After a restart SECTOR read as NUMBER, from its media: nothing else comes back."""
        with self.lock:
            self.now[sector] = self.durable[sector] = frozenset({number})
