# SPDX-License-Identifier: GPL-2.0-or-later
"""A main that fails, or keeps nothing, between two steps of create and release (P10, O1).

One that refuses at once: test_create.py and test_hands_off.py. Power cuts: test_create_crash.py.
"""

import pytest

from tests.scenarios.lib import SECTOR, Device, Rig, pattern, wait_for
from tests.scenarios.sets import (FAILED, OK, content, create, dmremap, ext4_on_main, output,
                                  paths, sets, settle)

pytestmark = [pytest.mark.disks(main="2M:vcache=off", spare="1M:vcache=off"), pytest.mark.plain_only,
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002")]


def with_a_remap(rig: Rig) -> bytes:
    """A set with content of its own in the slots of sectors 800 to 807, inactive."""
    before = ext4_on_main(rig)
    create(rig)
    output("remap", "data", "800", "8")
    device = Device("/dev/mapper/data", "data")
    device.pwrite(800, pattern(1, 8))
    device.close()
    whole = content("data")
    assert whole == before[:800 * SECTOR] + pattern(1, 8) + before[808 * SECTOR:]
    output("deactivate", "data")
    settle(rig)
    return whole


@pytest.mark.parametrize("sector", [0, 1, 7])
def test_a_main_that_keeps_nothing_of_what_hides_it(rig: Rig, sector: int) -> None:
    """Also where that is no signature: without the header nobody would know whose main it is."""
    before = ext4_on_main(rig)
    rig.main.bad(sector, kind="write", action="forgets")
    result = dmremap("create", "data", *paths(rig, "main", "spare"), "--yes")
    assert result.returncode == FAILED, result
    assert ("cannot be written" if not sector else "did not keep") in result.stderr, result
    rig.main.clear()
    settle(rig)
    assert rig.media("main").whole() == before and sets() == []


def test_a_release_onto_a_main_that_keeps_nothing(rig: Rig) -> None:
    """What is copied back is compared before the set ends."""
    whole = with_a_remap(rig)
    rig.main.bad(800, 8, kind="write", action="forgets")
    result = dmremap("release", "data", "--yes")
    assert result.returncode != OK and "800" in result.stderr, result
    rig.main.clear()
    assert sets()[0]["state"] == "ready"
    output("activate", "data")
    assert content("data") == whole
    output("deactivate", "data")
    output("release", "data", "--yes")
    settle(rig)
    assert rig.media("main").whole() == whole


def test_a_release_that_main_refuses_at_its_end_is_undone(rig: Rig) -> None:
    """All that is hidden could be written when it was tried: then the spare says that the release
    counts, and a sector fails."""
    whole = with_a_remap(rig)
    rig.spare.hold("write", 0, rig.spare.size_bytes // SECTOR)
    releases = rig.background(dmremap, "release", "data", "--yes")
    wait_for(rig.spare.held, "the superblock that says so")
    rig.main.bad(2, kind="write")
    rig.spare.release()
    result = releases.result(60)
    assert result.returncode != OK and "the set is unchanged" in result.stderr, result
    assert sets()[0]["state"] == "ready"
    output("activate", "data")
    assert content("data") == whole
    output("deactivate", "data")
    rig.main.clear()
    output("release", "data", "--yes")
    settle(rig)
    assert rig.media("main").whole() == whole
