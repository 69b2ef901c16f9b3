# SPDX-License-Identifier: GPL-2.0-or-later
"""Time: slow commands, one at a time, and much that waits (P5; rules D20, E7, E8, E9).

An error on a slow disk costs the writes that it concerns, up to the deadline. It must not cost
those that only come along. See test_real_disks.py for the time of one write.
"""

import time

import pytest

from tests.scenarios.late_errors import SLOW_MS, A, set_of, told
from tests.scenarios.lib import Device, Rig, pattern

MIB = 2048                # sectors


def on_a_volume(rig: Rig, more: str = "") -> Device:
    """A set whose main may be several disks, for all it knows."""
    volume = rig.create("volume", f"0 131072 linear {rig.main.kernel_path} 0")
    return rig.create(table=rig.table(main=volume.path, more=more))


@pytest.mark.disks(main="64M:fua=off,serial=on")
def test_one_late_sector_in_a_big_write_back(rig: Rig) -> None:
    """E8: 24 MiB at once to a disk whose flush takes 15 ms; the deadline is a tenth of the
    usual: one late sector does not make the other writes wait until they fail."""
    device = rig.create(more="2 deadline 6")
    rig.main.delay("flush", 15)
    rig.main.late(10 * MIB, times=1)
    writes = [rig.background(device.pwrite, MIB * n, pattern(n, MIB)) for n in range(24)]
    assert [n for n, write in enumerate(writes)
            if told(lambda write=write: write.result(timeout=200))[0]] == []
    device.fsync()
    rig.powercut()
    device = rig.create()
    for n in range(24):
        assert device.pread(MIB * n, MIB) == pattern(n, MIB), n


@pytest.mark.disks(main="64M:serial=on")
def test_verify_waits_for_no_slow_relocation(rig: Rig) -> None:
    """D20: also when the worker is in the middle of it, with main held."""
    device = set_of(rig, "through")
    rig.main.bad(800, 4 * 8, delay_ms=SLOW_MS)
    writing = rig.background(device.pwrite, 800, pattern(7, 4 * 8))
    time.sleep(SLOW_MS * 1.5 / 1000)
    began = time.monotonic()
    assert "not remapped" in rig.message("r0", "verify 100")
    took = time.monotonic() - began
    writing.result(timeout=60)
    assert took < SLOW_MS / 1000, f"{took:.2f} s"
    assert device.pread(800, 4 * 8) == pattern(7, 4 * 8)


@pytest.mark.parametrize("volume", [False, True])
def test_a_megabyte_of_bad_sectors(rig: Rig, volume: bool) -> None:
    """E7, E9: nothing answers in all of the window that a probe speaks for, and the first write
    succeeds there nevertheless, as does one over all of it."""
    device = on_a_volume(rig) if volume else rig.create()
    rig.main.bad(MIB, MIB, kind="both")
    assert told(lambda: device.pwrite(MIB + 1024, pattern(1, 8))) == [False]
    assert device.pread(MIB + 1024, 8) == pattern(1, 8)
    assert told(lambda: device.pwrite(MIB, pattern(2, MIB))) == [False]
    assert device.pread(MIB, MIB) == pattern(2, MIB)


@pytest.mark.disks(main="64M:serial=on")
def test_near_probes_of_a_slow_disk(rig: Rig) -> None:
    """E8, E9: many slow chunks beside a bad one are not all tried while another write waits."""
    device = on_a_volume(rig, more="2 deadline 1")
    rig.main.bad(MIB, 1024, kind="both", delay_ms=500)
    bad = rig.background(device.pwrite, MIB + 512, pattern(1, 8))
    time.sleep(0.7)
    began = time.monotonic()
    device.pwrite(20000, A)
    took = time.monotonic() - began
    failed, = told(lambda: bad.result(timeout=100))
    assert took < 15, f"{took:.1f} s"    # and not the 64 s of all of them
    assert device.pread(20000) == A
    assert failed or device.pread(MIB + 512, 8) == pattern(1, 8)
