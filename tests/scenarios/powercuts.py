# SPDX-License-Identifier: GPL-2.0-or-later
"""What a power cut can leave on the disks, from the block server's log of what was done to them.

Callers: scenarios that cut the power after each write of something (tests/crash has a program
for that, which knows what was acknowledged and looks at many more states).
"""

import random
from collections.abc import Iterator

from tests.harness.blockd import FUA, LANDED, Record
from tests.scenarios import sampled
from tests.scenarios.lib import SECTOR


class Replay:
    """The bytes of two disks, replayed from a log up to any point."""

    def __init__(self, images: dict[int, bytes]) -> None:
        self.stable = {index: bytearray(image) for index, image in images.items()}
        self.pending: list[Record] = []

    def _apply(self, to: dict[int, bytearray], record: Record, sectors: range) -> None:
        for s in sectors:
            at = (record.sector + s) * SECTOR
            data = record.data[s * SECTOR:(s + 1) * SECTOR] or bytes(SECTOR)
            to[record.disk][at:at + SECTOR] = data

    def take(self, record: Record) -> None:
        if record.kind in ("write", "trim") and (record.done or record.flags & LANDED):
            self.pending.append(record)
        if record.kind == "flush" and record.done:
            kept = []
            for waiting in self.pending:
                if waiting.disk == record.disk:
                    self._apply(self.stable, waiting, range(waiting.sectors))
                else:
                    kept.append(waiting)
            self.pending = kept

    def landed(self) -> dict[int, bytes]:
        """All of what was not flushed landed."""
        images = {index: bytearray(image) for index, image in self.stable.items()}
        for record in self.pending:
            self._apply(images, record, range(record.sectors))
        return {index: bytes(image) for index, image in images.items()}

    def held_back(self) -> dict[int, bytes]:
        """Nothing of what was neither flushed nor written with FUA landed."""
        images = {index: bytearray(image) for index, image in self.stable.items()}
        for record in self.pending:
            if record.flags & FUA:
                self._apply(images, record, range(record.sectors))
        return {index: bytes(image) for index, image in images.items()}

    def states(self, rng: random.Random) -> Iterator[dict[int, bytes]]:
        """All of what was not flushed landed; then a random part of it, torn at sectors."""
        for chance in (1.0, 0.5):
            images = {index: bytearray(image) for index, image in self.stable.items()}
            for record in self.pending:
                for s in range(record.sectors):
                    if rng.random() < chance:
                        self._apply(images, record, range(s, s + 1))
            yield {index: bytes(image) for index, image in images.items()}
            if not self.pending:
                return


def crash_states(records: list[Record], images: dict[int, bytes],
                 seed: int) -> Iterator[tuple[int, dict[int, bytes]]]:
    """After each write of a log that began with IMAGES: what a power cut can leave, the first and
    the last state of it among them (sampled.py)."""
    last: tuple[int, dict[int, bytes]] | None = None
    for at, state in enumerate(_each_crash_state(records, images, seed)):
        last = None
        if at == 0 or sampled.wanted(at):
            yield state
        else:
            last = state
    if last:
        yield last


def _each_crash_state(records: list[Record], images: dict[int, bytes],
                      seed: int) -> Iterator[tuple[int, dict[int, bytes]]]:
    """A flush adds nothing to what was possible before it, but where another disk holds back all
    that it was not told to flush."""
    rng = random.Random(seed)
    print(f"seed {seed}")
    replay = Replay(images)
    yield 0, images
    for number, record in enumerate(records, 1):
        if record.kind in ("write", "trim", "flush"):
            replay.take(record)
        if record.kind in ("write", "trim"):
            for state in replay.states(rng):
                yield number, state
        elif record.kind == "flush" and replay.pending:
            yield number, replay.held_back()


def state_after(records: list[Record], images: dict[int, bytes]) -> dict[int, bytes]:
    """What is on the disks when all of a log that began with IMAGES has landed."""
    replay = Replay(images)
    for record in records:
        replay.take(record)
    return replay.landed()


def images_after(records: list[Record], images: dict[int, bytearray], how: str,
                 rng: random.Random) -> dict[int, bytes]:
    """Both disks after RECORDS: all of them, only what is durable, or a random half of the rest."""
    result = {disk: bytearray(image) for disk, image in images.items()}
    for number, record in enumerate(records):
        if record.kind != "write":
            continue
        durable = record.flags & FUA or any(
            later.kind == "flush" and later.disk == record.disk for later in records[number:])
        for i in range(record.sectors):
            if how == "all" or durable or (how == "random" and rng.random() < 0.5):
                at = (record.sector + i) * SECTOR
                result[record.disk][at:at + SECTOR] = record.data[i * SECTOR:(i + 1) * SECTOR]
    return {disk: bytes(image) for disk, image in result.items()}
