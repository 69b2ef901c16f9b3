# SPDX-License-Identifier: GPL-2.0-or-later
"""Failed writes get new places, durably (rows 1, 4, 9, 10, 11 of the feature list; P1, P2)."""

import errno

import pytest

from tests.scenarios.lib import Rig, pattern


def test_blank_spare_is_formatted_and_data_stays(rig: Rig) -> None:
    rig.media("main").write(1000, pattern(7, 8))
    last = rig.main.size_bytes // 512 - 8
    rig.media("main").write(last, pattern(8, 8))
    r0 = rig.create()
    assert r0.pread(1000, 8) == pattern(7, 8)
    assert r0.pread(last, 8) == pattern(8, 8)
    status = rig.status()
    assert status["mode"] == "rw"
    assert status["used"] == 1
    rig.remove()
    r0 = rig.create()
    assert r0.pread(last, 8) == pattern(8, 8)


def test_first_write_to_a_bad_sector_succeeds_and_survives(rig: Rig) -> None:
    r0 = rig.create()
    rig.main.bad(100, kind="write")
    r0.pwrite(100, pattern(1))
    r0.fsync()
    assert r0.pread(100) == pattern(1)
    rig.powercut()
    r0 = rig.create()
    assert r0.pread(100) == pattern(1)
    assert rig.status()["used"] == 2


def test_read_error_maps_nothing(rig: Rig) -> None:
    r0 = rig.create()
    rig.main.bad(100, kind="read")
    with pytest.raises(OSError) as caught:
        r0.pread(100)
    assert caught.value.errno == errno.EIO
    assert rig.status()["used"] == 1
    assert int(rig.status()["read_errors"]) >= 1


def test_rescue(rig: Rig) -> None:
    r0 = rig.create()
    r0.pwrite(96, pattern(5, 8))
    rig.main.bad(98, kind="both")
    reply = rig.message("r0", "remap 96 8")
    assert "remapped" in reply
    assert r0.pread(96, 2) == pattern(5, 8)[:1024]
    assert r0.pread(99, 5) == pattern(5, 8)[3 * 512:]
    with pytest.raises(OSError):
        r0.pread(98)
    assert rig.status()["lost_sectors"] in (1, "1")
    r0.pwrite(98, pattern(6))
    assert r0.pread(98) == pattern(6)
    rig.powercut()
    r0 = rig.create()
    assert r0.pread(98) == pattern(6)
    assert r0.pread(99, 5) == pattern(5, 8)[3 * 512:]
