# SPDX-License-Identifier: GPL-2.0-or-later
"""C13, D7: a spare chunk that goes bad; its entry moves to another slot, or nothing changes."""

import errno
import time

import pytest

from tests.scenarios import dm
from tests.scenarios.injected import load_inject, unload_inject
from tests.scenarios.lib import Device, Rig, pattern, wait_for
from tests.scenarios.ondisk import Spare
from tests.scenarios.region import Region


def spare_sector(rig: Rig, sector: int) -> int:
    return int(rig.message("r0", f"verify {sector}").split("spare_sector=")[1])


def mapped(rig: Rig):
    r0 = rig.create()
    r0.pwrite(96, pattern(1, 8))
    rig.message("r0", "remap 96 8")
    rig.media("main").write(96, pattern(9, 8))
    return r0


def test_write_to_a_bad_slot_moves_the_chunk(rig: Rig) -> None:
    r0 = mapped(rig)
    before = spare_sector(rig, 99)
    rig.spare.bad(before, kind="write")
    r0.pwrite(99, pattern(2))
    assert spare_sector(rig, 99) != before
    want = pattern(1, 8)[:1536] + pattern(2) + pattern(1, 8)[2048:]
    assert r0.pread(96, 8) == want
    status = rig.status()
    assert (status["used"], status["bad_slots"]) == (2, 1)
    rig.powercut()
    r0 = rig.create()
    assert r0.pread(96, 8) == want
    assert rig.status()["bad_slots"] == 1


def test_unreadable_neighbours_become_lost_not_wrong(rig: Rig) -> None:
    r0 = mapped(rig)
    before = spare_sector(rig, 96)
    rig.spare.bad(before + 3, kind="write")
    rig.spare.bad(before + 5, kind="read")
    r0.pwrite(99, pattern(2))
    assert rig.status()["lost_sectors"] == 1
    with pytest.raises(OSError):
        r0.pread(101)
    assert r0.pread(100) == pattern(1, 8)[2048:2560]
    r0.pwrite(101, pattern(3))
    rig.powercut()
    r0 = rig.create()
    assert r0.pread(101) == pattern(3)
    assert r0.pread(99) == pattern(2)


def test_moves_again_and_again(rig: Rig) -> None:
    """More moves than generations there are, each over a power cut."""
    r0 = mapped(rig)
    for turn in range(6):
        rig.spare.bad(spare_sector(rig, 99), kind="write")
        r0.pwrite(99, pattern(10 + turn))
        r0.fsync()
        rig.powercut()
        r0 = rig.create()
        assert r0.pread(99) == pattern(10 + turn)
        assert r0.pread(96, 3) == pattern(1, 8)[:1536]
        assert rig.status()["bad_slots"] == turn + 1


def test_growth_of_a_chunk_whose_slot_is_bad(rig: Rig) -> None:
    """The failing write is to a sector of main; its chunk has a slot that takes no more."""
    r0 = rig.create()
    r0.pwrite(96, pattern(1, 8))
    r0.fsync()
    rig.message("r0", "remap 96")
    before = spare_sector(rig, 96)
    rig.spare.bad(before, count=8, kind="write")
    rig.main.bad(100, kind="write")
    r0.pwrite(100, pattern(2))
    want = pattern(1, 8)[:2048] + pattern(2) + pattern(1, 8)[2560:]
    assert r0.pread(96, 8) == want
    rig.powercut()
    assert rig.create().pread(96, 8) == want


def test_a_dead_spare_moves_nothing(rig: Rig) -> None:
    r0 = mapped(rig)
    rig.spare.fail()
    with pytest.raises(OSError):
        r0.pwrite(99, pattern(2))
    rig.spare.back()
    assert rig.status()["bad_slots"] == 0
    assert rig.status()["used"] == 2
    got = r0.pread(99)
    assert got in (pattern(1, 8)[1536:2048], pattern(2))
    r0.pwrite(99, pattern(3))
    assert r0.pread(99) == pattern(3)


def test_a_transient_error_of_the_slot_moves_nothing(rig: Rig) -> None:
    r0 = mapped(rig)
    before = spare_sector(rig, 99)
    rig.spare.bad(before, kind="write", times=2)
    r0.pwrite(99, pattern(2))
    assert spare_sector(rig, 99) == before
    assert r0.pread(99) == pattern(2)


def test_move_waits_for_a_write(rig: Rig) -> None:
    """D3: a write on its way to the old slot lands before the slot is copied."""
    r0 = mapped(rig)
    slot = spare_sector(rig, 96)
    rig.spare.hold("write", slot + 1)
    early = rig.background(r0.pwrite, 97, pattern(3))
    wait_for(lambda: rig.spare.held() == 1, "the write")
    rig.spare.bad(slot + 3, kind="write")
    failing = rig.background(r0.pwrite, 99, pattern(2))
    time.sleep(0.3)
    assert not early.done() and not failing.done()
    rig.spare.release()
    early.result(timeout=20)
    failing.result(timeout=20)
    assert spare_sector(rig, 96) != slot
    assert r0.pread(97) == pattern(3)
    assert r0.pread(99) == pattern(2)


def test_power_cut_during_a_move(rig: Rig) -> None:
    """C13: when half of the first commit is durable both slots may name the chunk, never none."""
    r0 = mapped(rig)
    r0.fsync()
    region = Region(rig)
    rig.spare.bad(spare_sector(rig, 99), kind="write")
    rig.spare.hold("write", region.block(1, 0, 1), 8)
    rig.spare.hold("write", region.block(1, 1, 1), 8)
    writing = rig.background(r0.pwrite, 99, pattern(2))
    wait_for(lambda: rig.spare.held() == 1, "the commit to replica 1")
    rig.powercut()
    assert isinstance(writing.exception(timeout=20), OSError)
    content = rig.create().pread(96, 8)
    assert content[:1536] + content[2048:] == pattern(1, 8)[:1536] + pattern(1, 8)[2048:]
    assert content[1536:2048] in (pattern(1, 8)[1536:2048], pattern(2))


def test_a_hiccup_of_the_fresh_slot_retires_nothing(rig: Rig) -> None:
    """D7, E6: the slot that the entry moves to is judged like any other."""
    r0 = mapped(rig)
    rig.spare.bad(spare_sector(rig, 99), kind="write")
    rig.spare.bad(Region(rig).slot(2), 8, kind="write", times=1)
    r0.pwrite(99, pattern(2))
    assert spare_sector(rig, 96) == Region(rig).slot(2)
    assert rig.status()["bad_slots"] == 1


def test_bad_place_of_the_counters_stops_no_move(rig: Rig) -> None:
    """D7, C3: the spare is asked elsewhere whether it is alive."""
    r0 = mapped(rig)
    spare = Spare.of(rig)
    for replica in (0, 1):
        for place in (0, 1):
            rig.spare.bad(spare.sector(replica, place, spare.soft_block), 8, kind="write")
    rig.spare.bad(spare_sector(rig, 99), kind="write")
    r0.pwrite(99, pattern(2))
    assert rig.status()["bad_slots"] == 1 and r0.pread(99) == pattern(2)
    rig.powercut()
    assert rig.create().pread(99) == pattern(2)


def slot_that_refuses_once(rig: Rig) -> tuple[Device, int]:
    """The device, and the first sector of a mapped chunk's slot, which will refuse sector 100 once
    when a write to it fails on main."""
    device = rig.create()
    rig.message("r0", "remap 96 1")
    slot = spare_sector(rig, 96)
    rig.main.bad(100, kind="write")
    rig.spare.bad(slot + 4, kind="write", times=1)
    return device, slot


def test_growth_over_a_transient_error(rig: Rig) -> None:
    """D7: more sectors of a mapped chunk; the slot refuses once, and is no bad slot."""
    device, slot = slot_that_refuses_once(rig)
    device.pwrite(100, pattern(3))
    status = rig.status()
    assert (status["used"], status["bad_slots"]) == (2, 0)
    assert spare_sector(rig, 100) == slot + 4 and device.pread(100) == pattern(3)


@pytest.mark.not_on("spare-no-fua", "no-fua", "worst",
                    reason="there a slot that cannot be flushed does not take it")
def test_a_slot_that_took_it_is_not_bad_when_the_commit_fails(rig: Rig) -> None:
    """D7: it refused once and then took the data; what failed is the flush."""
    device, slot = slot_that_refuses_once(rig)
    rig.spare.fail_flushes(1000)
    with pytest.raises(OSError):
        device.pwrite(100, pattern(3))
    rig.spare.fail_flushes(0)
    status = rig.status()
    assert (status["mode"], status["bad_slots"], status["used"]) == ("meta_fail", 0, 2)
    assert spare_sector(rig, 96) == slot
    device.pwrite(100, pattern(4))
    assert spare_sector(rig, 100) == slot + 4 and device.pread(100) == pattern(4)
    assert rig.status()["bad_slots"] == 0


def test_an_error_that_is_not_of_the_medium(rig: Rig) -> None:
    """E3, P2: the other sectors of a bad slot cannot be read for a moment; none is lost."""
    load_inject()
    try:
        sectors = rig.spare.size_bytes // 512
        below = rig.create("below", f"0 {sectors} inject {rig.spare.kernel_path}")
        device = rig.create(table=rig.table(spare=below.path))
        device.pwrite(96, pattern(1, 8))
        rig.message("r0", "remap 96 8")
        rig.media("main").write(96, pattern(9, 8))
        slot = spare_sector(rig, 96)
        dm.message("below", f"on write {slot + 3} 1 {errno.ENODATA}")
        dm.message("below", f"on read {slot} 8 {errno.ETIMEDOUT}")
        with pytest.raises(OSError):
            device.pwrite(99, pattern(2))
        dm.message("below", "clear")
        status = rig.status()
        assert (status["lost_sectors"], status["bad_slots"]) == (0, 0)
        assert device.pread(96, 3) == pattern(1, 8)[:1536]
        assert device.pread(100, 4) == pattern(1, 8)[2048:]
        device.pwrite(99, pattern(2))
        assert device.pread(99) == pattern(2)
    finally:
        rig.powercut()
        unload_inject()
