# SPDX-License-Identifier: GPL-2.0-or-later
"""A file system on a set whose main dies, replayed to its flushes and FUA writes: both disks are
in one log, as xfstests' generic/482 has one disk in it. At each of these points the set is
activated and the file system mounted: what was synced is there, and fsck finds nothing (P1, P2)."""

import os
import random
from pathlib import Path

import pytest

from tests.harness.blockd import FUA, Record
from tests.scenarios.lib import SECTOR, Rig, drop_page_cache
from tests.scenarios.model import THOROUGH
from tests.scenarios.powercuts import Replay
from tests.scenarios.sets import run

FILES = 6
POINTS = 20 if THOROUGH else 5


def _content(name: str, version: int) -> bytes:
    dice = random.Random(f"{name} {version}")
    return b"%s %08d\n" % (name.encode(), version) + dice.randbytes(dice.randrange(60_000))


def _fsync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def _work(rig: Rig, place: Path, rng: random.Random) -> None:
    """Files are replaced by new versions, until enough of them met bad sectors; a mark says what
    is synced from then on."""
    last = rig.main.size_bytes // SECTOR - 64
    for version in range(1, 50):
        if version > 5 and rig.status()["relocations"] > 10:
            return
        for number in range(FILES):
            name = f"f{number}"
            with open(place / f"{name}.new", "wb") as file:
                file.write(_content(name, version))
                file.flush()
                for _ in range(12):
                    rig.main.bad(rng.randrange(last), rng.choice((1, 2, 8)), kind="write")
                os.fsync(file.fileno())
            os.rename(place / f"{name}.new", place / name)
            _fsync(place)
            rig.server.mark(f"synced {name} {version}")
            if rng.random() < 0.3:
                first = rng.randrange(last - 800)
                rig.message("r0", rng.choice(("save", "sync", f"remap {first} 800")))


class Disks:
    """Main and spare, put back to moments of a log, in place: only what differs is written."""

    def __init__(self, rig: Rig, replay: Replay) -> None:
        self.rig, self.replay = rig, replay
        self.disks = {disk.index: disk for disk in rig.server.disks()}
        self._other: set[tuple[int, int, int]] = set()    # may differ from what is stable

    def put(self, held_back: bool) -> None:
        """What all landed gives, or what only flushes and FUA made durable."""
        new = [record for record in self.replay.pending if not held_back or record.flags & FUA]
        files = {index: os.open(disk.media_path, os.O_RDWR) for index, disk in self.disks.items()}
        for index, sector, count in self._other | self._changed():
            stable = self.replay.stable[index][sector * SECTOR:(sector + count) * SECTOR]
            os.pwrite(files[index], stable, sector * SECTOR)
        for record in new:
            data = record.data or bytes(record.sectors * SECTOR)
            os.pwrite(files[record.disk], data, record.sector * SECTOR)
        self._other = {(record.disk, record.sector, record.sectors) for record in new}
        for index, disk in self.disks.items():
            os.close(files[index])
            drop_page_cache(str(disk.kernel_path))

    def take(self, record: Record) -> None:
        before = len(self.replay.pending)
        pending = list(self.replay.pending)
        self.replay.take(record)
        if len(self.replay.pending) < before:    # stable now
            self._other |= {(was.disk, was.sector, was.sectors) for was in pending}

    def _changed(self) -> set[tuple[int, int, int]]:
        """By the activation and the file system of the last moment."""
        for disk in self.disks.values():
            disk.destage()
        changed = {(record.disk, record.sector, record.sectors) for record in self.rig.server.log()
                   if record.kind in ("write", "trim")}
        self.rig.server.forget_log()
        return changed


def _judge(rig: Rig, synced: dict[str, int]) -> None:
    place = rig.mount(rig.create(), "ext4")
    for number in range(FILES):
        name = f"f{number}"
        if name not in synced and not (place / name).exists():
            continue
        data = (place / name).read_bytes()
        version = int(data[:16].split()[1])
        assert data == _content(name, version), f"{name} is not what version {version} was"
        assert synced.get(name, 1) <= version <= synced.get(name, 0) + 1, (name, version, synced)
    rig.umount(place)
    run("e2fsck", "-fn", "/dev/dm-0")
    assert rig.status()["lost_sectors"] == 0
    rig.remove()


@pytest.mark.disks(main="32M", spare="4M")
@pytest.mark.not_on("late", "worst", reason="fsync fails for an error that was told late, and tells "
                    "nothing of what is synced")
def test_replayed_to_each_flush_and_fua(rig: Rig, rng: random.Random) -> None:
    r0 = rig.create()
    run("mkfs.ext4", "-q", "-b4096", "-E", "lazy_itable_init=0", r0.path)
    place = rig.mount(r0, "ext4")
    os.sync()
    replay = Replay({disk.index: rig.media(disk.name).whole() for disk in rig.server.disks()})
    rig.server.forget_log()
    _work(rig, place, rng)
    assert rig.status()["relocations"] > 10 and rig.status()["mode"] == "rw"
    log = rig.server.log()
    rig.umount(place)
    rig.remove()

    disks = Disks(rig, replay)
    points = [at for at, record in enumerate(log) if record.done and
              (record.kind == "flush" or record.kind == "write" and record.flags & FUA)]
    chosen = set(rng.sample(points, min(POINTS, len(points)))) | {points[-1]}
    synced: dict[str, int] = {}
    for at, record in enumerate(log):
        if record.kind == "mark":
            _, name, version = record.data.decode().split()
            synced[name] = int(version)
            continue
        disks.take(record)
        if at in chosen:
            for held_back in (False, True):
                disks.put(held_back)
                try:
                    _judge(rig, synced)
                except AssertionError as error:
                    raise AssertionError(f"record {at} of {len(log)}, held back: {held_back}: "
                                         f"{error}") from error
