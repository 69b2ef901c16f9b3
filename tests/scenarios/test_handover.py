# SPDX-License-Identifier: GPL-2.0-or-later
"""What one table leaves to the next: settings, and the count of a storm; and to which it does not.

What was in caches: test_lost_cache.py. What no superblock says yet: test_commit_failures.py.
"""

import os
import time
from pathlib import Path

import pytest

from tests.scenarios.lib import Device, Rig, pattern

pytestmark = pytest.mark.disks(main="1M", spare="640K", other="1M", other2="640K")


def setting(device: Device, name: str) -> Path:
    return Path("/sys/block", os.path.basename(os.path.realpath(device.path)), "remap", name)


@pytest.mark.parametrize("flush", [True, False])
@pytest.mark.parametrize("name, value", [("error_threshold", "7"), ("auto_remap", "disabled")])
def test_a_setting_outlives_a_table(rig: Rig, name: str, value: str, flush: bool) -> None:
    """Also one table more, and not one of another device."""
    device = rig.create()
    default = setting(device, name).read_text()
    setting(device, name).write_text(value)
    for _ in range(2):
        rig.reload(flush=flush)
        assert setting(device, name).read_text() == value + "\n"
    rig.remove()
    assert setting(rig.create(), name).read_text() == default != value + "\n"


def test_auto_remap_that_is_disabled_stays_so(rig: Rig) -> None:
    """Seen by what it does."""
    device = rig.create()
    setting(device, "auto_remap").write_text("disabled")
    rig.reload()
    rig.main.bad(800, kind="write")
    with pytest.raises(OSError):
        device.pwrite(800, pattern(1))
    assert rig.status()["used"] == 1


def test_another_set_takes_nothing_over(rig: Rig) -> None:
    """A table with the members of another set, for the same mapped device."""
    members = {name: str(rig.server.disk(disk).kernel_path)
               for name, disk in (("main", "other"), ("spare", "other2"))}
    rig.create("r1", **members)
    rig.remove("r1")
    device = rig.create()
    rig.main.bad(800, 24, kind="write")
    for sector in (800, 808, 816):
        device.pwrite(sector, pattern(1, 8))
    setting(device, "error_threshold").write_text("7")
    rig.message("r0", "freeze")
    assert rig.status()["relocations"] == 3
    rig.reload(**members)
    status = rig.status()
    assert (status["mode"], status["relocations"], status["used"]) == ("rw", 0, 1)
    assert setting(device, "error_threshold").read_text() != "7\n"
    # and the first one is as it was left
    rig.main.clear()
    rig.reload()
    status = rig.status()
    assert (status["mode"], status["used"]) == ("frozen", 4)
    assert device.pread(800, 24) == pattern(1, 8) * 3


@pytest.mark.disks(main="8M", spare="8M")
def test_a_reload_does_not_end_a_storm(rig: Rig) -> None:
    """E7: 1024 chunks, and one more each second, whatever tables come in between."""
    device = rig.create()
    rig.main.bad(0, 8 * 1400, kind="both")
    began = time.monotonic()
    with pytest.raises(OSError):
        for chunk in range(0, 1400, 8):
            if chunk % 400 == 0:
                rig.reload(flush=False)
            device.pwrite(8 * chunk, pattern(chunk, 64))
    status, refilled = rig.status(), int(time.monotonic() - began) + 1
    assert status["mode"] == "frozen"
    assert 1024 <= status["relocations"] <= 1024 + refilled
