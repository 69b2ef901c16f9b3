# SPDX-License-Identifier: GPL-2.0-or-later
"""Every size and alignment over remapped sectors, against a model (P2, P3; rows 1, 3, 14)."""

import random
from collections.abc import Iterator

import pytest

from tests.scenarios import model
from tests.scenarios.lib import SECTOR, Rig
from tests.scenarios.model import CHUNK, THOROUGH, Model, noise
from tests.scenarios.region import mapped_sectors

BASE = 4096           # first sector of the window
WINDOW = 12 * CHUNK   # what the exhaustive tests touch, and a margin around it


def _window(rig: Rig, logical_sectors: int = 1) -> tuple[Model, random.Random]:
    """A window with every kind of neighbour: clean, whole, partly, alternating, lost."""
    rng = random.Random(f"window {logical_sectors}")
    rig.media("main").write(BASE, noise(rng, 2 * model.LARGEST))
    content = rig.media("main").read(BASE, 2 * model.LARGEST)
    window = Model(rig, rig.create(), BASE, 2 * model.LARGEST, content)
    if logical_sectors == 8:
        window.make_bad(BASE + 6 * CHUNK, CHUNK)
        for chunk in (9, 1, 4, 3, 6):
            window.remap(BASE + chunk * CHUNK, CHUNK)
        return window, rng
    # chunks 1 and 2 whole, in slots that do not follow each other
    window.remap(BASE + 2 * CHUNK, CHUNK)
    window.remap(BASE + 1 * CHUNK, CHUNK)
    # 3: the middle; 4 and 5: an end and a beginning that touch, in slots that follow
    window.remap(BASE + 3 * CHUNK + 3, 2)
    window.remap(BASE + 4 * CHUNK + 6, 4)
    # 6: lost ones beside saved ones beside untouched ones
    window.make_bad(BASE + 6 * CHUNK + 2, 2)
    window.remap(BASE + 6 * CHUNK + 1, 4)
    # 7: every other sector
    for bit in range(0, CHUNK, 2):
        window.remap(BASE + 7 * CHUNK + bit)
    return window, rng


def _exhaust_reads(window: Model, unit: int) -> None:
    largest = 64 if unit == 1 else 16 * unit
    for start in range(0, 16 * unit, unit):
        for count in range(unit, largest + 1, unit if THOROUGH else 3 * unit):
            window.read(BASE + start, count)


def test_every_small_read(rig: Rig) -> None:
    """P3, rows 1 and 3: offsets 0 to 15, 1 to 64 sectors; lost sectors are errors (P2)."""
    window, _ = _window(rig)
    assert window.lost == {BASE + 6 * CHUNK + 2, BASE + 6 * CHUNK + 3}
    assert set(mapped_sectors(rig, BASE, WINDOW)) == window.mapped
    assert rig.status()["lost_sectors"] == 2
    _exhaust_reads(window, 1)


@pytest.mark.parametrize("part", range(4 if THOROUGH else 1))
def test_every_small_write(rig: Rig, part: int) -> None:
    """P3: after each write the whole window is right, margin included; and main's own
    copies of the redirected sectors were never touched."""
    window, rng = _window(rig)
    mapped = sorted(window.mapped)
    before = {s: rig.media("main").read(s) for s in mapped}
    for start in range(part, 16, 4):
        for count in range(1, 65, 1 if THOROUGH else 5):
            window.write(BASE + start, noise(rng, count))
            window.check_all(BASE, WINDOW)
    window.check_all()
    assert sorted(window.mapped) == mapped
    assert {s: rig.media("main").read(s) for s in mapped} == before
    assert rig.status()["used"] == window.used()
    assert rig.status()["lost_sectors"] == len(window.lost)


@pytest.mark.disks(main="64M:logical=4096", spare="8M")
def test_every_small_size_on_4kn(rig: Rig) -> None:
    """P3 with logical blocks of 4 KiB: offsets 0 to 15 and 1 to 16 blocks."""
    window, rng = _window(rig, logical_sectors=8)
    assert rig.raw("main").queue("logical_block_size") == "4096"
    assert len(window.lost) == CHUNK
    _exhaust_reads(window, CHUNK)
    for start in range(16):
        for count in range(1, 17, 1 if THOROUGH else 5):
            window.write(BASE + start * CHUNK, noise(rng, count * CHUNK))
            window.read(BASE + start * CHUNK, count * CHUNK)
    assert not window.lost
    window.check_all()


def _sizes(rng: random.Random) -> Iterator[int]:
    """Powers of two, their neighbours, and odd sizes, up to 1 MiB."""
    for power in range(6, 12):
        yield from (2 ** power - 1, 2 ** power)
        if power < 11:
            yield 2 ** power + 1
    yield from (rng.randrange(65, model.LARGEST, 2) for _ in range(8))


@pytest.mark.parametrize("seed", [1, 2] if THOROUGH else [1])
def test_large_sizes(rig: Rig, seed: int) -> None:
    """P3: up to 1 MiB over a dense mixture of remaps, at every offset in a chunk."""
    window, rng = _window(rig)
    print(f"seed {seed}")
    rng = random.Random(seed)
    window.write(BASE + 6 * CHUNK, noise(rng, CHUNK))    # nothing lost any more
    for _ in range(120):
        sector = BASE + rng.randrange(model.LARGEST)
        window.remap(sector, rng.choice((1, 2, 3, 8, 20)))
    for count in _sizes(rng):
        start = BASE + rng.randrange(16)
        window.write(start, noise(rng, count))
        window.read(start, count)
        window.read(BASE + rng.randrange(16), count)
    window.check_all()
    assert rig.status()["used"] == window.used()


@pytest.mark.disks(main="64M", spare="64M")
@pytest.mark.parametrize("seed", [11, 12] if THOROUGH else [11])
def test_thousands_of_remaps(rig: Rig, seed: int) -> None:
    """Row 14, P1 to P3: a main that dies in thousands of places while it is written; all
    of it is right at once, and again after a power cut."""
    rng = random.Random(seed)
    print(f"seed {seed}")
    sectors = (16 if THOROUGH else 2) * model.LARGEST
    device = rig.create()
    whole = Model(rig, device, 0, sectors, bytes(sectors * SECTOR))
    for _ in range(2):
        for _ in range(700 if THOROUGH else 60):
            start = rng.randrange(sectors - 8)
            whole.make_bad(start, rng.choice((1, 1, 1, 2, 5, 8)))
        rig.message("r0", "thaw")    # dying this fast is a storm
        for start in range(0, sectors, model.LARGEST):
            whole.write(start, noise(rng, model.LARGEST))
        for _ in range(100):
            count = rng.choice((1, 3, 8, 9, 64, 100, 511))
            start = rng.randrange(sectors - count)
            if rng.random() < 0.5:
                whole.write(start, noise(rng, count))
            else:
                whole.read(start, count)
        assert rig.status()["used"] == whole.used()
    assert whole.used() > (1000 if THOROUGH else 50)
    whole.check_all()
    device.fsync()
    rig.powercut()
    whole.device = rig.create()
    whole.check_all()
    assert rig.status()["used"] == whole.used()
    for sector in rng.sample(range(sectors), 200):
        assert ("not remapped" in rig.message("r0", f"verify {sector}")) == \
            (sector not in whole.mapped)


@pytest.mark.parametrize("regions", [2, 3, 5])
def test_remaps_only_where_a_bio_ends(rig: Rig, regions: int) -> None:
    """P3: the lookup's regions of 128 KiB: a bio that begins in clean ones is cut as well."""
    rng = random.Random(regions)
    region = 256
    sectors = regions * region
    first = 4 * region - 8
    rig.media("main").write(0, noise(rng, 10 * region))
    content = rig.media("main").read(0, 10 * region)
    window = Model(rig, rig.create(), 0, 10 * region, content)
    window.remap(first + sectors - 16, 3)
    for count in (sectors - 16, sectors - 15, sectors - 8, sectors):
        window.read(first, count)
        window.write(first, noise(rng, count))
        window.check_all()
