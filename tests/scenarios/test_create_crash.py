# SPDX-License-Identifier: GPL-2.0-or-later
"""Power cuts during `dmremap create` and `release` (P10, O1, FORMAT.md section 7).

After every write and flush, with all, or a random part torn at sectors, of what was not
flushed: `dmremap activate` makes it the plain disk or the whole set, whichever it was nearer.
"""

import hashlib

import pytest

from tests.harness.blockd import Record
from tests.scenarios import dm, sampled
from tests.scenarios.lib import SECTOR, Device, Rig, pattern
from tests.scenarios.powercuts import crash_states, state_after
from tests.scenarios.sets import (NOT_FOUND, OK, REFUSED, content, create, dmremap, ext4_on_main,
                                  logged, output, paths, refused, sets, settle, signatures)

pytestmark = [pytest.mark.disks(main="2M:vcache=on", spare="512K:vcache=on"),
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002"), pytest.mark.plain_only]


def power_cuts(rig: Rig, before: dict[int, bytes], records: list[Record], plain: bytes,
               whole: bytes) -> None:
    """Every state the log can leave, given to `dmremap activate`, is PLAIN disk or WHOLE set."""
    ends = {"plain": 0, "whole": 0}
    seen: dict[bytes, set[str]] = {}    # by the content of main: wipefs costs a process
    for number, state in crash_states(records, before, seed=20261124):
        for name, index in (("main", 0), ("spare", 1)):
            rig.media(name).write(0, state[index])
        result = dmremap("activate")
        what = f"after record {number} of {len(records)}: {result}"
        if dm.devices():
            assert result.returncode == OK, what
            assert content("data") == whole, what
            raw = hashlib.sha256(rig.media("main").whole()).digest()
            if raw not in seen:
                seen[raw] = signatures(paths(rig, "main")[0])
            assert seen[raw] == {"PMBR"}, what
            output("deactivate", "data")
            ends["whole"] += 1
            continue
        assert sets() == [], what
        settle(rig)
        assert rig.media("main").whole() == plain, what
        ends["plain"] += 1
    print(ends)
    writes = sum(record.kind == "write" for record in records)
    assert min(ends.values()) >= 1 and sum(ends.values()) > writes // sampled.ONE_OF


def test_every_power_cut_during_create(rig: Rig) -> None:
    """A crash at any point leaves the plain disk or the guarded set."""
    plain = ext4_on_main(rig)
    before, records = logged(rig, "create", "data", *paths(rig, "main", "spare"), "--yes")
    output("deactivate", "data")
    power_cuts(rig, before, records, plain, plain)


def test_every_power_cut_during_release(rig: Rig) -> None:
    """The same backwards, with a relocated chunk to bring home."""
    model = bytearray(ext4_on_main(rig))
    create(rig)
    rig.main.bad(800, 8, kind="write")
    device = Device("/dev/mapper/data", "data")
    for sector, count in ((2, 4), (800, 8), (4088, 8)):
        data = pattern(sector, count)
        device.pwrite(sector, data)
        model[sector * SECTOR:(sector + count) * SECTOR] = data
    device.close()
    output("deactivate", "data")
    rig.main.clear()
    before, records = logged(rig, "release", "data", "--yes")
    power_cuts(rig, before, records, bytes(model), bytes(model))


def test_what_was_written_after_an_interrupted_release_stays(rig: Rig) -> None:
    """FORMAT.md section 7: sector 0 decides; a disk in use again is not overwritten."""
    ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    before, records = logged(rig, "release", "data", "--yes")
    last_main = max(i for i, r in enumerate(records) if r.disk == 0 and r.kind == "flush")
    state = state_after(records[:last_main + 1], before)
    rig.media("spare").write(0, state[1])
    rig.media("main").write(0, pattern(5, 8) + state[0][8 * SECTOR:])
    after = rig.media("main").whole()
    assert "interrupted" in refused(REFUSED, "activate")
    settle(rig)
    assert rig.media("main").whole() == after
    assert sets() == []


@pytest.mark.not_on("late", "worst", reason="a flush does not say which sector it was")
def test_a_release_that_cannot_be_completed_is_served(rig: Rig) -> None:
    """Main went bad in between: what it was not given back is reached without the module."""
    plain = ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    before, records = logged(rig, "release", "data", "--yes")
    # the power goes after the superblock with the flag, before anything is given back
    first_super = next(i for i, r in enumerate(records) if r.disk == 1 and r.kind == "write")
    state = state_after(records[:first_super + 4], before)
    for name, index in (("main", 0), ("spare", 1)):
        rig.media(name).write(0, state[index])
    assert sets()[0]["state"] == "unfinished"
    rig.main.bad(2, kind="write")
    told = refused(REFUSED, "activate", "data")
    assert "sector 2 " in told and "--fallback" in told
    output("activate", "data", "--fallback")
    assert content("data") == plain
    output("deactivate", "data")
    rig.main.clear()
    assert "completed" in refused(REFUSED, "activate", "data")
    settle(rig)
    assert rig.media("main").whole() == plain and sets() == []
    # a plain disk is not served from what the spare still has
    rig.media("spare").write(0, state[1])
    assert "is a plain disk" in refused(REFUSED, "activate", paths(rig, "spare")[0], "--fallback")


def test_every_power_cut_during_a_release_without_the_spare(rig: Rig) -> None:
    before = ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    rig.spare.fail()
    main = paths(rig, "main")[0]
    rig.main.destage()
    guarded = rig.media("main").whole()
    start = len(rig.server.log())
    output("release", "--without-spare", main, "--yes")
    rig.main.destage()
    records = [r for r in rig.server.log()[start:] if r.disk == 0]
    for number, state in crash_states(records, {0: guarded}, 7):
        rig.media("main").write(0, state[0])
        result = dmremap("release", "--without-spare", main, "--yes")
        settle(rig, "main")
        after = rig.media("main").whole()
        done = after[:-4096] == before[:-4096]
        assert done and result.returncode in (OK, NOT_FOUND), (number, result)


@pytest.mark.disks(main="2M:vcache=on", spare="512K:vcache=on", other="2M")
@pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002", other="OTHER-0003")
def test_another_main_does_not_end_an_interrupted_create(rig: Rig) -> None:
    """What is hidden of main is on the spare only: another disk is no reason to wipe that."""
    plain = ext4_on_main(rig)
    main, spare, other = paths(rig, "main", "spare", "other")
    before, records = logged(rig, "create", "data", main, spare, "--yes")
    output("deactivate", "data")
    settle(rig)
    state = next(state for state in (state_after(records[:i], before)
                                     for i in range(len(records)))
                 if state[0][:SECTOR] != plain[:SECTOR])
    for name, index in (("main", 0), ("spare", 1)):
        rig.media(name).write(0, state[index])
    kept = rig.media("spare").whole()
    assert "is the spare device of set" in refused(REFUSED, "create", "data", other, spare, "--yes")
    refused(REFUSED, "release", other, spare, "--yes")
    settle(rig, "main", "spare", "other")
    assert rig.media("spare").whole() == kept
    output("create", "data", main, spare, "--yes")
    assert content("data") == plain
    output("deactivate", "data")
