# SPDX-License-Identifier: GPL-2.0-or-later
"""Module parameters, the timer that saves counters, and what survives without it (rows 11, 18)."""

import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.lib import Device, Rig, pattern, wait_for
from tests.scenarios.ondisk import Spare

PARAMETERS = Path("/sys/module/dm_remap/parameters")
ENABLED = PARAMETERS / "dm_remap_autosave_enabled"
INTERVAL = PARAMETERS / "dm_remap_autosave_interval"
pytestmark = pytest.mark.disks(main="1M", spare="320K")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = ENABLED.read_text(), INTERVAL.read_text()
    yield
    ENABLED.write_text(before[0])
    INTERVAL.write_text(before[1])


def read_error(rig: Rig, device: Device) -> None:
    rig.main.bad(100, kind="read")
    with pytest.raises(OSError):
        device.pread(100)
    rig.main.clear()


def saved_errors(rig: Rig) -> int:
    """The counter of read errors as it lies on the media."""
    spare = Spare.of(rig)
    return int(struct.unpack_from("<Q", spare.newest(spare.soft_block).data, 56)[0])


def test_defaults_and_range() -> None:
    """Row 18: 1 to 3600 seconds, default 60; anything else is refused and the value stays."""
    assert ENABLED.read_text().strip() == "Y"
    assert INTERVAL.read_text().strip() == "60"
    for good in ("1", "3600", "5", "59"):
        INTERVAL.write_text(good)
        assert INTERVAL.read_text().strip() == good
    for bad in ("0", "3601", "-1", "x", "1x", "", "99999999999999999999", "4294967297", "1.5"):
        with pytest.raises(OSError):
            INTERVAL.write_text(bad or "\n")
        assert INTERVAL.read_text().strip() == "59"
    for bad in ("2", "maybe"):
        with pytest.raises(OSError):
            ENABLED.write_text(bad)
    assert ENABLED.read_text().strip() == "Y"


def test_timer_saves_counters(rig: Rig) -> None:
    """Row 11: with interval 1 a counter is on the media soon, durably."""
    INTERVAL.write_text("1")
    device = rig.create()
    saves = rig.status()["saves_ok"]
    read_error(rig, device)
    errors = rig.status()["read_errors"]
    wait_for(lambda: rig.status()["saves_ok"] > saves, "a save", timeout_s=30)
    rig.powercut()
    assert saved_errors(rig) == errors
    rig.create()
    assert rig.status()["read_errors"] == errors


def test_nothing_new_is_not_saved(rig: Rig) -> None:
    """O19: an idle set is not written to."""
    INTERVAL.write_text("1")
    rig.create()
    time.sleep(1.5)
    saves, records = rig.status()["saves_ok"], len(rig.server.log())
    time.sleep(2.5)
    assert rig.status()["saves_ok"] == saves
    assert not [r for r in rig.server.log()[records:] if r.kind == "write"]


def test_disabled_does_not_save(rig: Rig) -> None:
    """But save and removal do, for they were asked to."""
    INTERVAL.write_text("1")
    ENABLED.write_text("N")
    device = rig.create()
    saves = rig.status()["saves_ok"]
    read_error(rig, device)
    time.sleep(3)
    assert rig.status()["saves_ok"] == saves
    assert saved_errors(rig) == 0
    rig.message("r0", "save")
    assert saved_errors(rig) > 0
    read_error(rig, device)
    errors = rig.status()["read_errors"]
    rig.remove()
    assert saved_errors(rig) == errors
    ENABLED.write_text("Y")
    device = rig.create()
    assert rig.status()["read_errors"] == errors
    saves = rig.status()["saves_ok"]
    read_error(rig, device)
    wait_for(lambda: rig.status()["saves_ok"] > saves, "a save", timeout_s=30)


def test_remaps_do_not_wait_for_the_timer(rig: Rig) -> None:
    """Row 11: v3 lost what was acknowledged 8 s before a power cut. Nothing is timed here."""
    ENABLED.write_text("N")
    device = rig.create()
    rig.main.bad(100, 4)
    device.pwrite(100, pattern(1, 4))
    device.fsync()
    rig.powercut()
    assert rig.create().pread(100, 4) == pattern(1, 4)


def test_counters_survive(rig: Rig) -> None:
    """Over removal, suspend and reload; none goes back."""
    device = rig.create()
    rig.main.bad(200)
    device.pwrite(200, pattern(1))
    rig.main.clear()
    read_error(rig, device)
    rig.message("r0", "remap 300")
    keys = ("read_errors", "write_errors", "relocations", "rejected")
    before = {key: rig.status()[key] for key in keys}
    assert before["read_errors"] and before["write_errors"] and before["relocations"] == 1
    rig.remove()
    device = rig.create()
    assert {key: rig.status()[key] for key in keys} == before
    rig.suspend()
    rig.resume()
    rig.reload()
    assert {key: rig.status()[key] for key in keys} == before


def test_lost_counters_do_no_harm(rig: Rig) -> None:
    """Soft state without a valid copy is not an error."""
    device = rig.create()
    rig.main.bad(200)
    device.pwrite(200, pattern(1))
    rig.main.clear()
    rig.remove()
    spare = Spare.of(rig)
    for block in (spare.soft_block, spare.soft_block + 1):
        for replica, place in spare.copies(spare.soft_block):
            spare.write(replica, place, block, b"\xee" * 4096)
    device = rig.create()
    assert device.pread(200) == pattern(1)
    assert rig.status()["mode"] == "rw"
    rig.message("r0", "save")
    assert spare.same_everywhere(spare.soft_block)
