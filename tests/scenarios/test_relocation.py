# SPDX-License-Identifier: GPL-2.0-or-later
"""Failed writes get new places, durably (rows 1, 4, 9, 10, 11 of the feature list; P1, P2)."""

import errno
import os
import random

import pytest

from tests.harness.disks import MAIN_NO_FUA
from tests.scenarios.aio import Aio
from tests.scenarios.lib import SECTOR, Rig, pattern, wait_for
from tests.scenarios.model import LARGEST, THOROUGH, Model, noise
from tests.scenarios.region import Region, check_commit_order, mapped_sectors, words


def test_blank_spare_is_formatted_and_data_stays(rig: Rig) -> None:
    rig.media("main").write(1000, pattern(7, 8))
    last = rig.main.size_bytes // 512 - 8
    rig.media("main").write(last, pattern(8, 8))
    r0 = rig.create()
    assert r0.pread(1000, 8) == pattern(7, 8)
    assert r0.pread(last, 8) == pattern(8, 8)
    status = rig.status()
    assert status["mode"] == "rw"
    assert status["used"] == 1
    rig.remove()
    r0 = rig.create()
    assert r0.pread(last, 8) == pattern(8, 8)


def test_first_write_to_a_bad_sector_succeeds_and_survives(rig: Rig) -> None:
    r0 = rig.create()
    rig.main.bad(100, kind="write")
    r0.pwrite(100, pattern(1))
    r0.fsync()
    assert r0.pread(100) == pattern(1)
    rig.powercut()
    r0 = rig.create()
    assert r0.pread(100) == pattern(1)
    assert rig.status()["used"] == 2


def test_read_error_maps_nothing(rig: Rig) -> None:
    r0 = rig.create()
    rig.main.bad(100, kind="read")
    with pytest.raises(OSError) as caught:
        r0.pread(100)
    assert caught.value.errno == errno.EIO
    assert rig.status()["used"] == 1
    assert int(rig.status()["read_errors"]) >= 1


def test_rescue(rig: Rig) -> None:
    r0 = rig.create()
    r0.pwrite(96, pattern(5, 8))
    rig.main.bad(98, kind="both")
    reply = rig.message("r0", "remap 96 8")
    assert "remapped" in reply
    assert r0.pread(96, 2) == pattern(5, 8)[:1024]
    assert r0.pread(99, 5) == pattern(5, 8)[3 * 512:]
    with pytest.raises(OSError):
        r0.pread(98)
    assert rig.status()["lost_sectors"] in (1, "1")
    r0.pwrite(98, pattern(6))
    assert r0.pread(98) == pattern(6)
    rig.powercut()
    r0 = rig.create()
    assert r0.pread(98) == pattern(6)
    assert r0.pread(99, 5) == pattern(5, 8)[3 * 512:]


@pytest.mark.parametrize("how", ["fsync", "RWF_DSYNC", "O_DSYNC", "nothing"])
def test_acknowledged_means_durable(rig: Rig, how: str) -> None:
    """P1: the first write to a bad sector, with FUA too, and even without any flush:
    a write that needed a new remap is durable when it completes."""
    r0 = rig.create()
    rig.main.bad(100, kind="both")
    if how == "O_DSYNC":
        fd = os.open(r0.path, os.O_WRONLY | os.O_DIRECT | os.O_DSYNC)
        os.close(r0.fd)
        r0.fd = fd
    r0.pwrite(100, pattern(1), fua=how == "RWF_DSYNC")
    if how == "fsync":
        r0.fsync()
    rig.powercut()
    r0 = rig.create()
    assert r0.pread(100) == pattern(1)
    assert mapped_sectors(rig, 96, 8) == [100]


@pytest.mark.parametrize("seed", range(6 if THOROUGH else 1))
def test_power_cut_that_keeps_a_part(rig: Rig, seed: int) -> None:
    """P1: whatever part of the caches the power cut leaves, acknowledged relocations are there."""
    rng = random.Random(seed)
    r0 = rig.create()
    content = {}
    for n in range(12):
        sector = rng.randrange(8192)
        rig.main.bad(sector, kind="both")
        r0.pwrite(sector, pattern(n))
        content[sector] = pattern(n)
    rig.powercut(seed)
    r0 = rig.create()
    for sector, data in content.items():
        assert r0.pread(sector) == data


@pytest.mark.not_on(*MAIN_NO_FUA, reason="there a sector is confirmed between flushes of main; "
                                         "test_commit_failures looks at the order of commits")
def test_order_of_one_relocation(rig: Rig) -> None:
    """P1, C1, C10: data to the slot, flush, replica 0, replica 1, then the acknowledgement."""
    r0 = rig.create()
    rig.main.bad(100)
    rig.server.mark("begin")
    r0.pwrite(100, pattern(1))
    rig.server.mark("acknowledged")
    events = Region(rig).events("begin")
    assert list(words(events)) == [
        "data",                            # fails
        "probe", "data", "probe",          # the confirming write between two probes (E6)
        "slot", "flush spare", "table 0", "table 1", "acknowledged"]
    confirm = events[2]
    assert not confirm.done and (confirm.fua or not rig.main.fua)
    assert all(event.fua for event in events if event.what in ("table", "probe"))
    assert all(event.done for event in events if event.what != "data")


@pytest.mark.not_on(*MAIN_NO_FUA, reason="there a sector is confirmed between flushes of main; "
                                         "test_commit_failures looks at the order of commits")
@pytest.mark.parametrize("stage", ["slot", "flush", "replica 0", "replica 1"])
def test_no_acknowledgement_before_the_commit(rig: Rig, stage: str) -> None:
    """P1, C1: while any step of the commit is under way the write is not complete, and a
    power cut then leaves the old or the new content."""
    r0 = rig.create()
    r0.pwrite(100, pattern(1))
    r0.fsync()
    region = Region(rig)
    rig.main.bad(100)
    region.hold_step(stage)
    rig.server.mark("begin")
    writing = rig.background(r0.pwrite, 100, pattern(2))
    wait_for(lambda: rig.spare.held() == 1, f"the {stage} to be held")
    assert not writing.done()
    done = [w for w in words(region.events("begin")) if w not in ("data", "probe")]
    assert done == ["slot", "flush spare", "table 0"][:len(done)]
    assert len(done) == ["slot", "flush", "replica 0", "replica 1"].index(stage)
    assert r0.pread(100) == pattern(1)
    rig.powercut(seed=3)
    with pytest.raises(OSError):
        writing.result(timeout=20)
    r0 = rig.create()
    found = r0.pread(100)
    assert found in (pattern(1), pattern(2))
    if stage in ("slot", "flush", "replica 0"):
        assert found == pattern(1)
    again = r0.pread(100)
    assert again == found
    r0.pwrite(100, pattern(3))
    assert r0.pread(100) == pattern(3)


@pytest.mark.parametrize(("start", "count"), [(0, 2048), (3, 2048), (5, 2041), (7, 1)])
def test_large_write_with_several_bad_sectors(rig: Rig, start: int, count: int) -> None:
    """P1, P3, E1: of a write of 1 MiB, aligned or not, only the runs that main refuses are
    remapped: a chunk's worth at most; the rest is on main."""
    rng = random.Random(start)
    first = 4096
    rig.media("main").write(first, noise(rng, 3 * LARGEST))
    model = Model(rig, rig.create(), first, 3 * LARGEST,
                  rig.media("main").read(first, 3 * LARGEST))
    for bad in (0, 7, 8, 300, 301, 302, 303, 999, 1024, 1503, 2047):
        model.make_bad(first + bad)
    model.write(first + start, noise(rng, count))
    model.device.fsync()
    rig.powercut(seed=start)
    model.device = rig.create()
    model.check_all()
    assert set(mapped_sectors(rig, first, 1024)) == {
        s for s in model.mapped if s < first + 1024}
    assert rig.status()["used"] == model.used()
    raw = rig.media("main").read(first, 3 * LARGEST)
    for s in range(first, first + 3 * LARGEST):
        if s not in model.mapped:
            at = (s - first) * SECTOR
            assert raw[at:at + SECTOR] == model.content[at:at + SECTOR], f"sector {s}"


def test_second_write_goes_straight_to_the_spare(rig: Rig) -> None:
    """Row 4, P1: once remapped, main's sector is left alone, after a restart too."""
    r0 = rig.create()
    rig.main.bad(100, kind="both")
    r0.pwrite(100, pattern(1))
    region = Region(rig)
    for text in ("before", "after"):
        rig.server.mark(text)
        r0.pwrite(100, pattern(2))
        assert r0.pread(100) == pattern(2)
        assert list(words(region.events(text))) == ["slot"]
        assert rig.status()["used"] == 2
        r0.fsync()
        rig.powercut()
        r0 = rig.create()
        assert r0.pread(100) == pattern(2)


def test_neighbours_stay_on_main(rig: Rig) -> None:
    """P3, D1: only the sectors of the failed write move, whatever the chunk holds."""
    rig.media("main").write(96, pattern(9, 8))
    r0 = rig.create()
    rig.main.bad(100)
    r0.pwrite(99, pattern(1, 2))
    assert mapped_sectors(rig, 88, 24) == [99, 100]
    assert r0.pread(96, 8) == pattern(9, 8)[:3 * SECTOR] + pattern(1, 2) + \
        pattern(9, 8)[5 * SECTOR:]
    # a second failure in the chunk joins the same slot
    rig.main.bad(103)
    r0.pwrite(103, pattern(2))
    assert mapped_sectors(rig, 88, 24) == [99, 100, 103]
    assert rig.status()["used"] == 2
    rig.powercut()
    r0 = rig.create()
    assert r0.pread(96, 8) == pattern(9, 8)[:3 * SECTOR] + pattern(1, 2) + \
        pattern(9, 8)[5 * SECTOR:7 * SECTOR] + pattern(2)


@pytest.mark.disks(main="64M:logical=4096", spare="8M")
def test_relocation_on_4kn(rig: Rig) -> None:
    """P1, P3 with logical blocks of 4 KiB on main and 512 bytes on the spare."""
    r0 = rig.create()
    rig.main.bad(101, kind="both")
    r0.pwrite(80, pattern(1, 64))
    rig.powercut()
    r0 = rig.create()
    assert mapped_sectors(rig, 80, 64) == list(range(96, 104))
    assert r0.pread(96, 8) == pattern(1, 64)[16 * SECTOR:24 * SECTOR]


def test_concurrent_failures_share_commits(rig: Rig) -> None:
    """Row 16, C9: 100 writes that fail at once take a few commits, not a hundred; every
    commit names only what was written and flushed before it."""
    r0 = rig.create()
    first, writes = 8000, 100
    rig.main.bad(first, writes * 8, kind="both")
    rig.main.hold("write", first, writes * 8)
    rig.server.mark("begin")
    with Aio() as aio:
        for n in range(writes):
            aio.pwrite(r0.fd, first + 8 * n + n % 5, pattern(n, 1 + n % 3))
        try:
            wait_for(lambda: rig.main.held() == writes, "all writes to reach main")
        finally:
            rig.main.release()
        results = aio.wait()
    assert results == [(1 + n % 3) * SECTOR for n in range(writes)]
    region = Region(rig)
    commits = [event for event in region.events("begin") if event.what == "table"]
    assert rig.status()["relocations"] == writes
    assert 2 <= len(commits) <= 2 * writes // 4
    assert check_commit_order(region.events()) >= writes
    rig.powercut()
    r0 = rig.create()
    for n in range(writes):
        assert r0.pread(first + 8 * n + n % 5, 1 + n % 3) == pattern(n, 1 + n % 3)


@pytest.mark.parametrize("seed", range(3 if THOROUGH else 1))
def test_concurrent_writers_from_threads(rig: Rig, seed: int) -> None:
    """P1, C9: 16 threads on their own sectors, some in shared chunks, while main dies."""
    rng = random.Random(seed)
    r0 = rig.create()
    for _ in range(80):
        rig.main.bad(rng.randrange(2048), rng.choice((1, 1, 2)), kind="both")

    def work(thread: int) -> dict[int, bytes]:
        mine = random.Random(100 * seed + thread)
        done = {}
        for step in range(15):
            sector = mine.randrange(128) * 16 + thread
            data = pattern(1000 * thread + step)
            r0.pwrite(sector, data)
            done[sector] = data
        return done

    content: dict[int, bytes] = {}
    for future in [rig.background(work, thread) for thread in range(16)]:
        content |= future.result(timeout=60)
    r0.fsync()
    assert check_commit_order(Region(rig).events()) > 10
    rig.powercut(seed)
    r0 = rig.create()
    for sector, data in content.items():
        assert r0.pread(sector) == data
