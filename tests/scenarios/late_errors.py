# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors that come late, and that a disk tells once: the set they are tried on, who was told.

Callers: test_real_disks.py, test_gates.py, test_slow_disks.py.
"""

from collections.abc import Callable

from tests.scenarios.lib import Device, Rig, pattern
from tests.scenarios.region import Region

NO_FUA = "64M:fua=off"
A, B, OLD = pattern(1), pattern(2), pattern(3)
MODES = ["through", "keep", "auto"]      # of main's cache; the first is the default
BACK = ["keep", "auto"]                  # those in which an error can come late
SLOW_MS = 300                            # what a command takes that is slow


def set_of(rig: Rig, mode: str) -> Device:
    """A set with OLD everywhere that the scenarios write, durably."""
    device = rig.create(more="" if mode == "through" else f"2 write_cache {mode}")
    for sector in (400, 800):
        device.pwrite(sector, OLD)
    device.fsync()
    return device


def told(*steps: Callable[[], object]) -> list[bool]:
    """Does each of STEPS; which of them said that something went wrong."""
    outcome = []
    for step in steps:
        try:
            step()
        except OSError:
            outcome.append(True)
        else:
            outcome.append(False)
    return outcome


def slot_sector(rig: Rig, slot: int | None) -> int:
    assert slot is not None
    return Region(rig).slot(slot)
