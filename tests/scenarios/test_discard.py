# SPDX-License-Identifier: GPL-2.0-or-later
"""Discard and write-zeroes over remapped sectors (P2, P3; rule D14; row 3)."""

import errno
import fcntl
import struct

import pytest

from tests.scenarios.lib import SECTOR, Device, Rig, pattern
from tests.scenarios.model import CHUNK
from tests.scenarios.region import Region, mapped_sectors

FIRST, COUNT = 1024, 256
ON_SPARE = (1024 + 16, 1024 + 17, *range(1024 + 64, 1024 + 72), 1024 + 103)
LOST = 1024 + 120
CONTENT = pattern(4, COUNT)
BLKSECDISCARD = 0x127D


def _device(rig: Rig) -> Device:
    r0 = rig.create()
    r0.pwrite(FIRST, CONTENT)
    r0.fsync()
    for sector in ON_SPARE:
        rig.message("r0", f"remap {sector}")
    rig.main.bad(LOST, kind="both")
    rig.message("r0", f"remap {LOST}")
    rig.main.clear()
    assert rig.status()["lost_sectors"] == 1
    return r0


@pytest.mark.parametrize(("first", "count"), [(FIRST + 8, 160), (FIRST + 17, 1), (FIRST + 3, 77),
                                              (FIRST + 64, 8), (FIRST + 103, 20)])
def test_discard(rig: Rig, first: int, count: int) -> None:
    """D14: what main serves is discarded there; a redirected sector keeps its content, no
    neighbour is touched, and the spare sees nothing of it."""
    r0 = _device(rig)
    rig.server.mark("begin")
    r0.discard(first, count)
    for sector in range(FIRST, FIRST + COUNT):
        if sector == LOST:
            with pytest.raises(OSError) as caught:
                r0.pread(sector)
            assert caught.value.errno == errno.ENODATA
            continue
        at = (sector - FIRST) * SECTOR
        gone = first <= sector < first + count and sector not in ON_SPARE
        expected = bytes(SECTOR) if gone else CONTENT[at:at + SECTOR]    # blockd trims to zeros
        assert r0.pread(sector) == expected, f"sector {sector}"
    events = Region(rig).events("begin")
    assert {event.disk for event in events if event.what == "trim"} <= {"main"}
    assert rig.status()["mode"] == "rw"


@pytest.mark.parametrize(("first", "count"), [(FIRST + 8, 160), (FIRST + 17, 1), (FIRST + 60, 9)])
def test_write_zeroes(rig: Rig, first: int, count: int) -> None:
    """D14: zeros are really written, to slots as to main, and to lost sectors; durably."""
    r0 = _device(rig)
    r0.zeroout(first, count)
    r0.fsync()
    rig.powercut()
    r0 = rig.create()
    zeroed = range(first, first + count)
    for sector in range(FIRST, FIRST + COUNT):
        if sector == LOST and sector not in zeroed:
            continue
        at = (sector - FIRST) * SECTOR
        assert r0.pread(sector) == (bytes(SECTOR) if sector in zeroed
                                    else CONTENT[at:at + SECTOR]), f"sector {sector}"
    assert set(mapped_sectors(rig, FIRST, COUNT)) == {*ON_SPARE, LOST}
    assert rig.status()["lost_sectors"] == (0 if LOST in zeroed else 1)


def test_write_zeroes_to_bad_sectors(rig: Rig) -> None:
    """P1, D14: zeros that main refuses go to the spare as any data do."""
    r0 = _device(rig)
    rig.main.bad(FIRST + 200, 2, kind="both")
    r0.zeroout(FIRST + 190, 30)
    assert r0.pread(FIRST + 190, 30) == bytes(30 * SECTOR)
    rig.powercut()
    r0 = rig.create()
    assert r0.pread(FIRST + 200, 2) == bytes(2 * SECTOR)
    assert {FIRST + 200, FIRST + 201} <= set(mapped_sectors(rig, FIRST + 128, 128))


def test_failing_discard_maps_nothing(rig: Rig) -> None:
    """D14, P5: its error is passed up."""
    r0 = _device(rig)
    used = rig.status()["used"]
    rig.main.read_only()
    with pytest.raises(OSError):
        r0.discard(FIRST + 8, 8)
    assert rig.status()["used"] == used
    rig.main.back()
    assert r0.pread(FIRST + 8, 8) == CONTENT[8 * SECTOR:16 * SECTOR]


def test_no_secure_erase(rig: Rig) -> None:
    """D14: the originals that remaps hide cannot be erased honestly, so it is not offered."""
    r0 = _device(rig)
    with pytest.raises(OSError) as caught:
        fcntl.ioctl(r0.fd, BLKSECDISCARD, struct.pack("QQ", FIRST * SECTOR, CHUNK * SECTOR))
    assert caught.value.errno == errno.EOPNOTSUPP
    assert r0.pread(FIRST, 8) == CONTENT[:8 * SECTOR]


@pytest.mark.disks(main="64M:trim=off", spare="8M")
def test_main_without_discard(rig: Rig) -> None:
    """D14: what main cannot, the device does not claim."""
    r0 = rig.create()
    assert r0.queue("discard_max_bytes") == "0"
    with pytest.raises(OSError) as caught:
        r0.discard(0, 8)
    assert caught.value.errno == errno.EOPNOTSUPP
