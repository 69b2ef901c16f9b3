# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything at once: writers, readers and fsyncs while main and the spare die, sectors are
rescued and brought back, the device is suspended and reloaded; then the power goes in the
middle of it (P1, P2; rules D1 to D6, D9, D11).

Each writer has its own sectors, in chunks that it shares with the others, and knows for
each of them what a read must return, and what may be there after the power cut: the last
content that was durable, or one written since.
"""

import mmap
import os
import random
import threading
import time

import pytest

from tests.scenarios.lib import SECTOR, Rig, pattern
from tests.scenarios.model import THOROUGH
from tests.scenarios.region import Region, check_commit_order

WRITERS = 8
CHUNKS = 160           # that the small writers share
LARGE_FIRST = 4096     # sectors of the one that writes many at a time
LARGE = 2048
ENOUGH = {"writes": 150, "fsyncs": 8, "messages": 6, "relocations": 6}


class Writer:
    """Owner of SECTORS. The killer marks sectors in `gone`: what was there may be unreadable."""

    def __init__(self, rig: Rig, fd: int, number: int, sectors: range, longest: int,
                 seed: int) -> None:
        self.rig, self.fd, self.number, self.longest = rig, fd, number, longest
        self.sectors = sectors
        self.rng = random.Random(f"{seed} {number}")
        self.current: dict[int, bytes] = {s: bytes(SECTOR) for s in sectors}
        self.allowed: dict[int, set[bytes]] = {s: {bytes(SECTOR)} for s in sectors}
        self.gone: dict[int, float] = {}    # sector -> when it was killed
        self.serial = 0
        self.problem: str | None = None
        self.doing = ""
        self.writes = self.fsyncs = 0

    def _place(self) -> tuple[int, int]:
        count = self.rng.randint(1, self.longest)
        at = self.rng.randrange(len(self.sectors) - count + 1)
        return self.sectors[at], count

    def _write(self, fua: bool) -> None:
        first, count = self._place()
        self.doing = f"write {first}+{count}" + " FUA" * fua
        self.serial += 1
        data = pattern(self.number * 1_000_000 + self.serial, count)
        pieces = {first + n: data[n * SECTOR:(n + 1) * SECTOR] for n in range(count)}
        for sector, piece in pieces.items():
            self.allowed[sector].add(piece)
        began = time.monotonic()
        os.pwritev(self.fd, [_aligned(data)], first * SECTOR, os.RWF_DSYNC if fua else 0)
        for sector, piece in pieces.items():
            self.current[sector] = piece
            if fua:
                self.allowed[sector] = {piece}
            if self.gone.get(sector, began) < began:
                del self.gone[sector]    # it was killed before: this content stays
        self.writes += 1

    def _fsync(self) -> None:
        before = dict(self.current)
        self.doing = "fsync"
        os.fsync(self.fd)
        for sector, piece in before.items():
            self.allowed[sector] = {piece}
        self.fsyncs += 1

    def _read(self) -> None:
        first, count = self._place()
        self.doing = f"read {first}+{count}"
        sectors = range(first, first + count)
        buffer = _aligned(bytes(count * SECTOR))
        try:
            os.preadv(self.fd, [buffer], first * SECTOR)
        except OSError:
            if any(sector in self.gone for sector in sectors):
                return
            raise
        for n, sector in enumerate(sectors):
            found = bytes(buffer[n * SECTOR:(n + 1) * SECTOR])
            if found != self.current[sector]:
                self.problem = f"sector {sector}: {found[:20]!r}, not " \
                               f"{self.current[sector][:20]!r}"
                return

    def run(self, stop: threading.Event, off: threading.Event) -> None:
        while not stop.is_set() and not self.problem:
            what = self.rng.random()
            try:
                if what < 0.55:
                    self._write(fua=what < 0.05)
                elif what < 0.6:
                    self._fsync()
                else:
                    self._read()
            except OSError as error:
                if not off.is_set():
                    self.problem = f"writer {self.number}: {self.doing}: {error}"
                return


def _aligned(data: bytes) -> memoryview:
    """DATA in memory that direct I/O can use."""
    buffer = mmap.mmap(-1, len(data))
    buffer[:] = data
    return memoryview(buffer)


def _kill(rig: Rig, owner: dict[int, Writer], region: Region, rng: random.Random,
          stop: threading.Event) -> None:
    while not stop.wait(0.01):
        sector = rng.choice(list(owner))
        what = rng.random()
        if what < 0.5:
            rig.main.bad(sector, kind="write")
        elif what < 0.7:
            owner[sector].gone[sector] = float("inf")    # whatever is being written now
            rig.main.bad(sector, kind="both")
            owner[sector].gone[sector] = time.monotonic()
        elif what < 0.9:
            rig.main.bad(sector, rng.choice((1, 8, 100)), times=1,
                         action=rng.choice(("error", "landed", "torn")))
        else:
            rig.spare.bad(region.slot(rng.randrange(1, 200)) + rng.randrange(8), times=1)


def _administer(rig: Rig, owner: dict[int, Writer], rng: random.Random,
                stop: threading.Event, sent: list[int]) -> None:
    while not stop.wait(0.02):
        sector = rng.choice(list(owner))
        try:
            what = rng.random()
            if what < 0.4:
                rig.message("r0", f"remap {sector} {rng.choice((1, 4, 8, 30))}")
            elif what < 0.6:
                rig.message("r0", f"unremap {sector} {rng.choice((1, 8))}")
            elif what < 0.7:
                rig.message("r0", rng.choice(("sync", "save", "metadata_status", "thaw")))
            elif what < 0.85:
                rig.suspend("r0", flush=rng.random() < 0.5)
                rig.resume("r0")
            else:
                rig.reload("r0", flush=rng.random() < 0.5)
        except OSError:
            continue    # unremap onto a bad sector, and the like
        sent.append(sector)


@pytest.mark.parametrize("seed", [1, 2] if THOROUGH else [1])
def test_everything_at_once(rig: Rig, seed: int) -> None:
    print(f"seed {seed}")
    r0 = rig.create()
    region = Region(rig)
    writers = [Writer(rig, r0.fd, n, range(n, CHUNKS * 8, 8), 1, seed) for n in range(WRITERS)]
    writers.append(Writer(rig, r0.fd, WRITERS, range(LARGE_FIRST, LARGE_FIRST + LARGE), 300,
                          seed))
    owner = {sector: writer for writer in writers for sector in writer.sectors}
    stop, off = threading.Event(), threading.Event()
    killer = rig.background(_kill, rig, owner, region, random.Random(seed), stop)
    sent: list[int] = []
    administrator = rig.background(_administer, rig, owner, random.Random(-seed), stop, sent)
    runs = [rig.background(writer.run, stop, off) for writer in writers]

    def done() -> dict[str, int]:
        return {"writes": sum(w.writes for w in writers), "messages": len(sent),
                "fsyncs": sum(w.fsyncs for w in writers),
                "relocations": rig.status()["relocations"]}

    def problems() -> list[str]:
        return [writer.problem for writer in writers if writer.problem]

    end = time.monotonic() + 100
    while not problems() and any(n < ENOUGH[what] for what, n in done().items()) \
            and time.monotonic() < end:
        time.sleep(0.1)
    stop.set()
    for future in (killer, administrator, *runs):
        future.result(timeout=60)
    assert problems() == []
    print(done())
    assert time.monotonic() < end, f"too little was done: {done()}"
    assert rig.status()["mode"] == "rw"
    # now without those that suspend, so that the power can go in the middle of the writing
    stop.clear()
    runs = [rig.background(writer.run, stop, off) for writer in writers]
    time.sleep(0.5)
    log = region.events()
    off.set()
    rig.powercut(seed)
    for run in runs:
        run.result(timeout=60)
    assert check_commit_order(log) >= ENOUGH["relocations"]
    assert problems() == []
    r0 = rig.create()
    for sector, writer in owner.items():
        try:
            found = r0.pread(sector)
        except OSError:
            assert sector in writer.gone, f"sector {sector} cannot be read"
            continue
        assert found in writer.allowed[sector], \
            f"sector {sector}: {found[:20]!r}, not one of " \
            f"{[piece[:20] for piece in writer.allowed[sector]]}"
