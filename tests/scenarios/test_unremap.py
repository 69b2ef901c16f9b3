# SPDX-License-Identifier: GPL-2.0-or-later
"""The way back from the spare (row 2): unremap and clear lose nothing and invent nothing."""

import errno
import random
import time

import pytest

from tests.scenarios.lib import Rig, pattern, wait_for
from tests.scenarios.region import Region, slot_of, words


def remap_by_write(rig: Rig, r0, sector: int, number: int) -> None:
    rig.main.bad(sector, kind="write")
    r0.pwrite(sector, pattern(number))
    rig.main.clear()


def test_unremap_brings_the_last_content_back(rig: Rig) -> None:
    r0 = rig.create()
    remap_by_write(rig, r0, 100, 1)
    r0.pwrite(100, pattern(2))
    assert rig.media("main").read(100) != pattern(2)
    assert "unremapped" in rig.message("r0", "unremap 100")
    assert rig.status()["used"] == 1
    assert r0.pread(100) == pattern(2)
    assert rig.media("main").read(100) == pattern(2)
    rig.powercut()
    r0 = rig.create()
    assert r0.pread(100) == pattern(2)
    assert "not remapped" in rig.message("r0", "verify 100")


def test_unremap_of_some_sectors_keeps_the_others(rig: Rig) -> None:
    r0 = rig.create()
    r0.pwrite(96, pattern(3, 8))
    rig.message("r0", "remap 96 8")
    rig.media("main").write(96, pattern(9, 8))
    rig.message("r0", "unremap 98 2")
    assert r0.pread(96, 8) == pattern(3, 8)
    assert rig.media("main").read(98, 2) == pattern(3, 8)[1024:2048]
    assert rig.media("main").read(100) == pattern(9, 8)[2048:2560]
    assert rig.status()["used"] == 2


@pytest.mark.parametrize("first", range(3))
def test_neighbours_stay_where_they_are(rig: Rig, rng: random.Random, first: int) -> None:
    """Chunks side by side share a chain: one leaves it, the others are found, read and written."""
    r0 = rig.create()
    chunks = list(range(16, 24))
    rng.shuffle(chunks)
    for chunk in chunks:
        r0.pwrite(8 * chunk, pattern(chunk, 8))
        rig.message("r0", f"remap {8 * chunk} 8")
        rig.media("main").write(8 * chunk, pattern(99, 8))
    order = chunks if first == 0 else chunks[::-1] if first == 1 else rng.sample(chunks, 8)
    while order:
        gone = order.pop()
        rig.message("r0", f"unremap {8 * gone} 8")
        assert r0.pread(8 * gone, 8) == pattern(gone, 8) == rig.media("main").read(8 * gone, 8)
        for chunk in order:
            assert r0.pread(8 * chunk, 8) == pattern(chunk, 8), (gone, chunk)
            r0.pwrite(8 * chunk, pattern(chunk, 8))
            assert rig.media("main").read(8 * chunk, 8) == pattern(99, 8), (gone, chunk)


def test_a_main_that_still_fails_keeps_its_remap(rig: Rig) -> None:
    r0 = rig.create()
    rig.main.bad(100, kind="write")
    r0.pwrite(100, pattern(1))
    with pytest.raises(OSError) as caught:
        rig.message("r0", "unremap 100")
    assert caught.value.errno == errno.EIO
    assert r0.pread(100) == pattern(1)
    rig.powercut()
    assert rig.create().pread(100) == pattern(1)


def test_a_slot_that_cannot_be_read_keeps_its_chunk(rig: Rig) -> None:
    """Nothing of it is written to main, and its neighbours in the batch go back."""
    r0 = rig.create()
    for sector in (96, 104, 112):
        r0.pwrite(sector, pattern(sector, 8))
        rig.message("r0", f"remap {sector} 8")
        rig.media("main").write(sector, pattern(9, 8))
    slot = Region(rig).slot(slot_of(rig, 104) or 0)
    rig.spare.bad(slot, 8, kind="read")
    for verb in ("unremap 104 8", "unremap 106 1"):
        with pytest.raises(OSError) as caught:
            rig.message("r0", verb)
        assert caught.value.errno == errno.EIO
    assert any("cannot be read: its chunk stays remapped" in line for line in rig.log())
    with pytest.raises(OSError):
        rig.message("r0", "unremap 96 24")
    assert rig.message("r0", "clear") == "cleared kept=1"
    with pytest.raises(OSError):
        r0.pread(104, 8)
    assert rig.media("main").read(104, 8) == pattern(9, 8)
    for sector in (96, 112):
        assert r0.pread(sector, 8) == pattern(sector, 8) == rig.media("main").read(sector, 8)
    rig.spare.clear()
    assert r0.pread(104, 8) == pattern(104, 8)    # nothing is lost that may be read again
    assert "unremapped" in rig.message("r0", "unremap 104 8")
    assert rig.media("main").read(104, 8) == pattern(104, 8)


def test_lost_sectors_and_the_probe_chunk_stay(rig: Rig) -> None:
    r0 = rig.create()
    rig.main.bad(100, kind="read")
    rig.message("r0", "remap 100")
    rig.main.clear()
    with pytest.raises(OSError):
        rig.message("r0", "unremap 100")
    with pytest.raises(OSError):
        r0.pread(100)
    with pytest.raises(OSError) as caught:
        rig.message("r0", f"unremap {r0.sectors() - 1}")
    assert caught.value.errno == errno.EPERM


def test_clear_says_what_stayed(rig: Rig) -> None:
    r0 = rig.create()
    rng = random.Random(7)
    sectors = sorted(rng.sample(range(0, 100_000, 8), 40))
    for sector in sectors:
        r0.pwrite(sector, pattern(sector))
        rig.message("r0", f"remap {sector}")
        r0.pwrite(sector, pattern(sector + 1))
    rig.main.bad(sectors[3], kind="write")
    rig.main.bad(sectors[20], kind="write")
    assert rig.message("r0", "clear") == "cleared kept=2"
    assert rig.status()["used"] == 3
    for sector in sectors:
        assert r0.pread(sector) == pattern(sector + 1)
    rig.powercut()
    r0 = rig.create()
    for sector in sectors:
        assert r0.pread(sector) == pattern(sector + 1)


def test_slots_are_used_again(rig: Rig) -> None:
    """C11: freed slots wait for one more commit of their block, then serve again."""
    r0 = rig.create(spare_len=1024)
    total = rig.status()["total"]
    for turn in range(3):
        for index in range(total - 1):
            r0.pwrite(index * 8, pattern(1000 * turn + index))
            rig.message("r0", f"remap {index * 8}")
        with pytest.raises(OSError) as caught:
            rig.message("r0", "remap 80000")
        assert caught.value.errno == errno.ENOSPC
        assert rig.status()["mode"] == "full"
        assert rig.message("r0", "clear") == "cleared kept=0"
        for index in range(total - 1):
            assert r0.pread(index * 8) == pattern(1000 * turn + index)
    assert rig.status()["used"] == 1


def test_unremap_waits_for_a_write(rig: Rig) -> None:
    """D3: a write on its way to the slot lands before it is copied back."""
    r0 = rig.create()
    remap_by_write(rig, r0, 100, 1)
    region = Region(rig)
    rig.spare.hold("write", region.slot(0), region.slots * 8)
    writing = rig.background(r0.pwrite, 100, pattern(2))
    wait_for(lambda: rig.spare.held() == 1, "the write")
    unremap = rig.background(rig.message, "r0", "unremap 100")
    time.sleep(0.15)
    assert not writing.done() and not unremap.done()
    rig.spare.release()
    writing.result(timeout=20)
    unremap.result(timeout=20)
    assert r0.pread(100) == pattern(2)
    assert rig.media("main").read(100) == pattern(2)


def test_slot_in_use_by_a_read(rig: Rig) -> None:
    """C11: a freed slot takes nothing new while a read of it is on its way (P2)."""
    r0 = rig.create(spare_len=1024)
    for index in range(rig.status()["total"] - 1):
        r0.pwrite(index * 8, pattern(index, 8))
        rig.message("r0", f"remap {index * 8} 8")
    slot = Region(rig).slot(slot_of(rig, 0))
    rig.main.hold("write", 0, 8)
    unremap = rig.background(rig.message, "r0", "unremap 0 8")
    wait_for(lambda: rig.main.held() == 1, "the copy back to main")
    rig.spare.hold("read", slot, 8)
    reading = rig.background(r0.pread, 0, 8)    # main does not serve it yet
    wait_for(lambda: rig.spare.held() == 1, "the read of the slot")
    rig.main.release()
    unremap.result(timeout=20)
    rig.main.bad(80000, 8)
    writing = rig.background(r0.pwrite, 80000, pattern(999, 8))    # no other slot is left
    time.sleep(0.15)
    assert not writing.done()
    rig.spare.release()
    assert reading.result(timeout=20) == pattern(0, 8)
    writing.result(timeout=20)
    assert r0.pread(80000, 8) == pattern(999, 8)


def test_freed_slot_waits_for_one_more_commit(rig: Rig) -> None:
    """C11: the place that the freeing commit did not write still names the slot, so another
    commit is complete on both replicas before anything else is written there."""
    r0 = rig.create(spare_len=1024)
    for index in range(rig.status()["total"] - 1):
        r0.pwrite(index * 8, pattern(index, 8))
        rig.message("r0", f"remap {index * 8} 8")
    rig.message("r0", "unremap 0 8")
    rig.main.bad(80000, 8)
    rig.server.mark("begin")
    r0.pwrite(80000, pattern(999, 8))    # no other slot is left
    order = [word for word in words(Region(rig).events("begin")) if word[:5] in ("slot", "table")]
    assert order == ["table 0", "table 1", "slot", "table 0", "table 1"]
    assert r0.pread(80000, 8) == pattern(999, 8)
    assert r0.pread(0, 8) == pattern(0, 8)
