# SPDX-License-Identifier: GPL-2.0-or-later
"""The package's system-sleep hook: another system wrote a set while the machine slept (O19)."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.scenarios.lib import Rig, pattern
from tests.scenarios.ondisk import Spare

PROJECT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.disks(main="1M", spare="640K"), pytest.mark.plain_only]


def hook(when: str) -> str:
    path = f"{PROJECT / 'build'}:/usr/sbin:/usr/bin:/sbin:/bin"
    result = subprocess.run([PROJECT / "systemd" / "dm-remap.sleep", when, "suspend"],
                            env={**os.environ, "PATH": path}, capture_output=True, text=True,
                            stdin=subprocess.DEVNULL, check=True)
    return result.stderr


def commit_as_somebody_else(rig: Rig) -> None:
    """A newer table block with the same entries, where the next commit of it goes."""
    spare = Spare.of(rig)
    block = spare.newest(1).with_seq(spare.highest() + 1000)
    for sector in [spare.next_sector(1, replica) for replica in (0, 1)]:
        rig.media("spare").write(sector, block.data)


def test_nobody_came(rig: Rig) -> None:
    """Nothing is said, changed or written, however much the set commits."""
    device = rig.create()
    for round in range(3):
        assert hook("pre") == ""
        rig.main.bad(100 + 8 * round, kind="write")
        device.pwrite(100 + 8 * round, pattern(round))
        device.fsync()
        rig.message("r0", "save")    # nothing is left to the timer
        before = rig.media("spare").whole()
        assert hook("post") == ""
        assert rig.media("spare").whole() == before and rig.status()["mode"] == "rw"


def test_the_set_was_changed(rig: Rig) -> None:
    """Our table is not written over theirs, nor anything by it; activated anew it is whole."""
    device = rig.create()
    rig.main.bad(100, kind="write")
    device.pwrite(96, pattern(1, 8))
    device.fsync()
    hook("pre")
    commit_as_somebody_else(rig)
    before = rig.media("spare").whole(), rig.media("main").whole()
    said = hook("post")
    assert said.startswith("<3>r0: the set was changed while this machine slept")
    assert rig.status()["mode"] == "fail"
    for sector in (100, 400):
        with pytest.raises(OSError):
            device.pwrite(sector, pattern(2))
    rig.close()
    rig.remove()
    assert (rig.media("spare").whole(), rig.media("main").whole()) == before
    assert rig.create().pread(96, 8) == pattern(1, 8)
    assert rig.status()["mode"] == "rw"


def test_a_spare_that_cannot_be_read(rig: Rig) -> None:
    """It is said, and nothing is done to the set."""
    rig.create()
    rig.spare.fail()
    assert "cannot compare" in hook("post")
    rig.spare.back()
    assert rig.status()["mode"] == "rw" and hook("post") == ""
