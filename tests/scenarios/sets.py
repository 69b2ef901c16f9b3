# SPDX-License-Identifier: GPL-2.0-or-later
"""Sets as users make them: the command, and what power cuts leave of what it does.

Their disks have serial numbers, see hardware.py. Callers: the scenarios about sets.
"""

import json
import os
import random
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.harness.blockd import FUA, LANDED, Record
from tests.scenarios import inprocess
from tests.scenarios.lib import SECTOR, Device, Rig, drop_page_cache

PROGRAM = Path(__file__).resolve().parents[2] / "build" / "dmremap"
# /var is the host's and read-only; a set without guard is not made without its backup
os.environ.setdefault("STATE_DIRECTORY", "/tmp/dm-remap-state")
LET_GO = Path("/run/dm-remap/let-go")
OK, FAILED, USAGE, NOT_FOUND, WAITING, REFUSED, DAMAGED = range(7)


def dmremap(*arguments: str) -> subprocess.CompletedProcess[str]:
    if threading.current_thread() is threading.main_thread():
        return inprocess.call(*arguments)
    return subprocess.run([str(PROGRAM), *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)


def output(*arguments: str) -> str:
    result = dmremap(*arguments)
    assert result.returncode == OK, result
    return result.stdout


def refused(code: int, *arguments: str) -> str:
    """The one sentence of a call that must fail with CODE."""
    result = dmremap(*arguments)
    assert result.returncode == code, result
    assert result.stderr.startswith("dmremap: ") and result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def sets() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(output("list", "--json"))["sets"]
    return found


def replugged() -> None:
    """As if the disks of all sets that were deactivated had been unplugged and had come back."""
    for note in LET_GO.glob("*"):
        note.write_text(re.sub(r" \d+$", " 999999", note.read_text(), flags=re.MULTILINE))


def paths(rig: Rig, *names: str) -> list[str]:
    return [str(rig.server.disk(name).kernel_path) for name in names]


def signatures(path: str) -> set[str]:
    """What wipefs sees on a device."""
    found = subprocess.run(["wipefs", "--json", "--no-act", path], capture_output=True, text=True,
                           check=True).stdout
    return {entry["type"] for entry in json.loads(found)["signatures"]} if found.strip() else set()


def run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result


def settle(rig: Rig, *names: str) -> None:
    for name in names or ("main", "spare"):
        rig.server.disk(name).destage()
        drop_page_cache(str(rig.server.disk(name).kernel_path))


def ext4_on_main(rig: Rig) -> bytes:
    run("mkfs.ext4", "-q", "-F", "-L", "data", paths(rig, "main")[0])
    settle(rig)
    return rig.media("main").whole()


def create(rig: Rig, *more: str, name: str = "data") -> str:
    return output("create", name, *paths(rig, "main", "spare"), "--yes", *more)


def content(name: str) -> bytes:
    device = Device(f"/dev/mapper/{name}", name, read_only=True)
    try:
        return device.pread(0, device.sectors())
    finally:
        device.close()


def content_at(name: str, sector: int) -> bytes | None:
    device = Device(f"/dev/mapper/{name}", name, read_only=True)
    try:
        return device.pread(sector)
    except OSError:
        return None
    finally:
        device.close()


class Media:
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


def logged(rig: Rig, *arguments: str) -> tuple[dict[int, bytes], list[Record]]:
    """Run the command: what the disks held before it, by index, and the log of what it did."""
    names = [disk.name for disk in rig.server.disks()]
    settle(rig, *names)
    before = {rig.server.disk(name).index: rig.media(name).whole() for name in names}
    start = len(rig.server.log())
    output(*arguments)
    for name in names:
        rig.server.disk(name).destage()
    return before, rig.server.log()[start:]


def crash_states(records: list[Record], images: dict[int, bytes],
                 seed: int) -> Iterator[tuple[int, dict[int, bytes]]]:
    """After each write of a log that began with IMAGES: what a power cut can leave.

    A flush adds nothing to what was possible before it, but where another disk holds back all
    that it was not told to flush.
    """
    rng = random.Random(seed)
    print(f"seed {seed}")
    media = Media(images)
    yield 0, images
    for number, record in enumerate(records, 1):
        if record.kind in ("write", "trim", "flush"):
            media.take(record)
        if record.kind in ("write", "trim"):
            for state in media.states(rng):
                yield number, state
        elif record.kind == "flush" and media.pending:
            yield number, media.held_back()


def state_after(records: list[Record], images: dict[int, bytes]) -> dict[int, bytes]:
    """What is on the disks when all of a log that began with IMAGES has landed."""
    media = Media(images)
    for record in records:
        media.take(record)
    return media.landed()
