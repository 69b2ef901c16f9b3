# SPDX-License-Identifier: GPL-2.0-or-later
"""A main of several disks, as LVM and md make it: the probe chunk lies on one of them, and says
nothing about the others (P5; rules E6, E9). With md itself: tests/vm/test_stacks.py."""

import contextlib
import random
from pathlib import Path

import pytest

from tests.harness.blockd import Disk
from tests.scenarios.lib import SECTOR, Device, Rig, pattern
from tests.scenarios.region import mapped_sectors

HALF = 16 << 11           # sectors of each disk
STRIPE = 128              # sectors
SET = 1                   # slots used by a set that has remapped nothing

pytestmark = pytest.mark.disks(main="16M", two="16M", spare="8M")


def disks(rig: Rig) -> tuple[Disk, Disk]:
    return rig.main, rig.server.disk("two")


def linear(rig: Rig) -> str:
    one, two = (disk.kernel_path for disk in disks(rig))
    return f"0 {HALF} linear {one} 0\n{HALF} {HALF} linear {two} 0"


def striped(rig: Rig) -> str:
    one, two = (disk.kernel_path for disk in disks(rig))
    return f"0 {2 * HALF} striped 2 {STRIPE} {one} 0 {two} 0"


KINDS = {"linear": linear, "striped": striped}


def where(kind: str, sector: int) -> tuple[int, int]:
    """Which disk has a sector of the volume, and where."""
    if kind == "linear":
        return sector // HALF, sector % HALF
    stripe = sector // STRIPE
    return stripe % 2, stripe // 2 * STRIPE + sector % STRIPE


def sector_on(kind: str, disk: int, number: int) -> int:
    """The NUMBERth chunk, counted in the middle of the volume, that lies on DISK."""
    return [sector for sector in range(HALF // 2, 2 * HALF, 8)
            if where(kind, sector)[0] == disk][number]


def make(rig: Rig, kind: str, cache: bool = True) -> Device:
    for disk in disks(rig):
        queue = Path(f"/sys/block/{disk.kernel_path.name}/queue/write_cache")
        queue.write_text("write back" if cache else "write through")
    volume = rig.create("volume", KINDS[kind](rig))
    return rig.create(table=f"0 {2 * HALF} remap {volume.path} {rig.spare.kernel_path} 0 16384")


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("gone", [0, 1])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_pulled_disk_eats_no_slots(rig: Rig, kind: str, gone: int, cache: bool) -> None:
    """E9: whichever disk is pulled, and wherever the set's own probe chunk lies."""
    r0 = make(rig, kind, cache)
    rng = random.Random(7)
    disks(rig)[gone].fail()
    failed = 0
    for _ in range(60):
        sector = rng.randrange(0, 2 * HALF - 256)
        try:
            r0.pwrite(sector, pattern(1, rng.choice((1, 8, 40))))
        except OSError:
            failed += 1
    assert failed > 10
    assert rig.status()["used"] == SET and rig.status()["lost_sectors"] == 0
    disks(rig)[gone].back()
    r0.pwrite(sector_on(kind, gone, 3), pattern(2, 8))
    r0.fsync()
    assert rig.status()["used"] == SET


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("disk", [0, 1])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_bad_sectors_of_each_disk_are_remapped(rig: Rig, kind: str, disk: int,
                                               cache: bool) -> None:
    """E9: beside the failed one the disk answers; the probe leaves what it was written over."""
    r0 = make(rig, kind, cache)
    sector = sector_on(kind, disk, 5)
    first = sector - 32
    before = pattern(3, 72)
    r0.pwrite(first, before)
    r0.fsync()
    disks(rig)[disk].bad(where(kind, sector)[1] + 2, kind="both")
    r0.pwrite(sector, pattern(4, 8))
    r0.fsync()
    assert rig.status()["used"] == SET + 1
    assert mapped_sectors(rig, sector, 8)
    if cache:    # else a power cut loses what the kernel was told that it need not flush
        rig.powercut()
        r0 = make(rig, kind)
    assert r0.pread(first, 72) == before[:32 * SECTOR] + pattern(4, 8) + before[40 * SECTOR:]


def test_a_bad_sector_while_the_other_disk_is_gone(rig: Rig) -> None:
    """E9, P5: nothing that cannot be made durable is confirmed: a flush asks the pulled disk too."""
    r0 = make(rig, "linear")
    r0.fsync()
    sector = sector_on("linear", 0, 2)
    rig.main.bad(where("linear", sector)[1], kind="both")
    disks(rig)[1].fail()
    with pytest.raises(OSError):
        r0.pwrite(sector, pattern(1, 8))
    assert rig.status()["used"] == SET
    disks(rig)[1].back()
    r0.pwrite(sector, pattern(2, 8))
    assert rig.status()["used"] == SET + 1 and r0.pread(sector, 8) == pattern(2, 8)


def test_a_whole_stripe_is_bad(rig: Rig) -> None:
    """E9: with no good chunk beside it on the same disk nothing is known of the disk."""
    r0 = make(rig, "striped")
    sector = sector_on("striped", 1, 0)
    sector -= sector % STRIPE
    disks(rig)[1].bad(where("striped", sector)[1], STRIPE, kind="both")
    with pytest.raises(OSError):
        r0.pwrite(sector, pattern(1, STRIPE))
    assert rig.status()["used"] == SET


@pytest.mark.parametrize("cache", [True, False])
def test_neighbours_are_written_meanwhile(rig: Rig, cache: bool) -> None:
    """E9, D3: the probe writes a good chunk over with what it read; no user's write gets lost."""
    r0 = make(rig, "linear", cache)
    bad = sector_on("linear", 1, 40)
    _, two = disks(rig)
    written: dict[int, int] = {}

    def neighbours(side: int) -> None:
        for n in range(150):
            at = bad + 8 * side * (1 + n % 3)
            r0.pwrite(at, pattern(n, 8))
            assert r0.pread(at, 8) == pattern(n, 8)
            written[at] = n

    two.delay("write", 1)    # the probe's write is on its way for a while
    jobs = [rig.background(neighbours, side) for side in (-1, 1)]
    while not all(job.done() for job in jobs):
        two.bad(where("linear", bad)[1], times=1)    # refused once: probed, and not remapped
        r0.pwrite(bad, pattern(9, 8))
    for job in jobs:
        job.result(timeout=120)
    for at, number in written.items():
        assert r0.pread(at, 8) == pattern(number, 8), at
    assert rig.status()["used"] == SET


@pytest.mark.disks(main="16M", two="16M", spare="1M")
@pytest.mark.parametrize("full", [True, False])
def test_the_probe_kills_a_good_neighbour(rig: Rig, full: bool) -> None:
    """P1, E9: what is written over with itself may die of that: it is on the spare by then, or, where
    the spare is full, it is not touched."""
    for disk in disks(rig):
        queue = Path(f"/sys/block/{disk.kernel_path.name}/queue/write_cache")
        queue.write_text("write back")
    volume = rig.create("volume", linear(rig))
    r0 = rig.create(table=f"0 {2 * HALF} remap {volume.path} {rig.spare.kernel_path} 0 2048")
    bad = sector_on("linear", 1, 40)
    good = [bad + 8 * distance for distance in (-8, -4, -2, -1, 1, 2, 4, 8)]
    for sector in good:
        r0.pwrite(sector, pattern(sector, 8))
    r0.fsync()
    if full:
        free = rig.status()["total"] - rig.status()["used"]
        rig.message("r0", f"remap 0 {8 * free}")
    two = disks(rig)[1]
    two.bad(where("linear", bad)[1], 8)
    for sector in good:
        two.late(where("linear", sector)[1], 8, then="error")
    with contextlib.suppress(OSError):
        r0.pwrite(bad, pattern(1, 8))
    for sector in good:
        assert r0.pread(sector, 8) == pattern(sector, 8), sector
