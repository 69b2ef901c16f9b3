# SPDX-License-Identifier: GPL-2.0-or-later
"""What a relocation costs in commands to the disks: no more than it must (C1, C10).

The counting is that of tests/bench/relocation.py, whose figures `make bench` prints.
"""

import pytest

from tests.bench import relocation
from tests.scenarios.lib import Rig

with_fua = pytest.mark.disks(main="64M:fua=on", spare="8M:fua=on")
without_fua = pytest.mark.disks(main="64M:fua=off", spare="8M:fua=off")
pytestmark = pytest.mark.not_on("late", "worst", reason="what fails there fails later")


@with_fua
def test_one(rig: Rig) -> None:
    """Beside the write that fails, what confirms it and its two probes: one write of data, one
    flush and one commit, which is a write to each replica."""
    assert relocation.one(rig) == {
        "main: data, FUA": 2, "main: probe, FUA": 2,
        "spare: slot": 1, "spare: flush": 1, "spare: table, FUA": 2}


@with_fua
def test_many_share_a_commit(rig: Rig) -> None:
    """64 that wait for the worker have one flush and one commit, as the one before them has."""
    counted = relocation.many(rig)
    assert counted["spare: flush"] == 2
    assert counted["spare: table, FUA"] == 4
    assert counted["main: probe, FUA"] == 4
    assert counted["main: data, FUA"] == 2 * (relocation.MANY + 1)
    assert counted["spare: slot"] <= relocation.MANY + 1     # the kernel may make one of several


@without_fua
def test_one_without_fua(rig: Rig) -> None:
    """A cache flush stands for each FUA.  On main there is one before each of two probes and one
    after it, so that each flush tells of one thing only, and one before the write that confirms,
    which is sent once: it may need seconds to fail."""
    assert relocation.one(rig) == {
        "main: data": 2, "main: probe": 2, "main: flush": 5,
        "spare: slot": 1, "spare: table": 2, "spare: flush": 3}


@without_fua
def test_many_share_flushes_without_fua(rig: Rig) -> None:
    counted = relocation.many(rig)
    assert counted["spare: flush"] <= 6
    assert counted["spare: table"] == 4
    assert counted["main: flush"] <= 2 * (relocation.MANY + 1)
