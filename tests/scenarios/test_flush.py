# SPDX-License-Identifier: GPL-2.0-or-later
"""Flush and FUA on two disks (P1; rules C10, D7, D9; row 3).

A flush always reaches main; it reaches the spare if something was written there since the
last flush of it that succeeded, and only then.
"""

import errno
import time

import pytest

from tests.harness.disks import MAIN_NO_FUA
from tests.scenarios.lib import Device, Rig, pattern, wait_for
from tests.scenarios.region import Region, words


def _flushes(rig: Rig) -> tuple[int, int]:
    return rig.main.stats()["flushes"], rig.spare.stats()["flushes"]


def _remapped(rig: Rig, more: int = 1, arguments: str = "") -> Device:
    """A device whose sectors 96 to 103 (of MORE chunks) are on the spare, all flushed."""
    r0 = rig.create(more=arguments)
    rig.message("r0", f"remap 96 {8 * more}")
    r0.fsync()
    return r0


@pytest.mark.not_on(*MAIN_NO_FUA, reason="each write to main has a flush of its own")
def test_untouched_spare_is_not_flushed(rig: Rig) -> None:
    """D9: fsyncs of what is on main flush main only."""
    r0 = rig.create()
    r0.fsync()    # the spare has just been formatted
    main, spare = _flushes(rig)
    for n in range(10):
        r0.pwrite(200 + n, pattern(n))
        r0.pread(200 + n)
        r0.fsync()
    assert _flushes(rig) == (main + 10, spare)


@pytest.mark.not_on(*MAIN_NO_FUA, reason="each write to main has a flush of its own")
def test_written_spare_is_flushed_once(rig: Rig) -> None:
    """D9: one flush of the spare for each fsync that follows writes to it; none without."""
    r0 = _remapped(rig)
    for n in range(5):
        main, spare = _flushes(rig)
        r0.pwrite(96, pattern(n))
        r0.pwrite(97, pattern(n))
        r0.fsync()
        assert _flushes(rig) == (main + 1, spare + 1)
        r0.fsync()
        r0.pwrite(300, pattern(n))
        r0.pread(96, 8)
        r0.fsync()
        assert _flushes(rig) == (main + 3, spare + 1)


def test_fsync_covers_the_spare(rig: Rig) -> None:
    """P1: what was written to remapped sectors survives the power cut after an fsync; what
    was not flushed was really in the cache."""
    r0 = _remapped(rig)
    r0.pwrite(96, pattern(1, 8))
    r0.fsync()
    r0.pwrite(100, pattern(2))
    rig.powercut()
    assert rig.create().pread(96, 8) == pattern(1, 8)


@pytest.mark.parametrize("how", ["reload", "reload without flush", "suspend", "remove"])
def test_flush_after_a_change_of_owner(rig: Rig, how: str) -> None:
    """P1, D9: a new instance knows nothing of what an older one left unflushed: its first
    flush reaches the spare."""
    r0 = _remapped(rig)
    r0.pwrite(96, pattern(1, 8))
    if how == "remove":
        rig.remove()
        r0 = rig.create()
    elif how == "suspend":
        rig.suspend()
        rig.resume()
    else:
        rig.reload(flush=how == "reload")
    r0.fsync()
    rig.powercut()
    assert rig.create().pread(96, 8) == pattern(1, 8)


@pytest.mark.parametrize("disk", ["spare", pytest.param("main", marks=pytest.mark.not_on(
    *MAIN_NO_FUA, reason="nothing acknowledged is in its cache: the next flush makes it good"))])
def test_flush_error_is_passed_up(rig: Rig, disk: str) -> None:
    """C10, D7, D9: whichever disk fails to flush, the fsync fails and nothing is remapped; the
    next fsync asks both again, and its success is true."""
    r0 = _remapped(rig)
    used = rig.status()["used"]
    r0.pwrite(96, pattern(1))
    r0.pwrite(200, pattern(2))
    rig.server.disk(disk).fail_flushes(1)
    with pytest.raises(OSError) as caught:
        r0.fsync()
    assert caught.value.errno == errno.EIO
    assert rig.status()["flush_errors"] == 1
    assert rig.status()["used"] == used
    assert rig.status()["mode"] == "rw"
    main, spare = _flushes(rig)
    r0.fsync()
    main_after, spare_after = _flushes(rig)
    assert main_after == main + 1
    assert spare_after == spare + (1 if disk == "spare" else 0)
    rig.powercut()
    r0 = rig.create()
    assert r0.pread(96) == pattern(1)
    assert r0.pread(200) == pattern(2)


def test_flush_error_of_an_untouched_spare_harms_nobody(rig: Rig) -> None:
    """D9: with nothing written to the spare no flush of it is asked for."""
    r0 = _remapped(rig)
    rig.spare.fail_flushes(1)
    r0.pwrite(300, pattern(1))
    r0.fsync()
    rig.spare.fail_flushes(0)


def test_write_during_a_flush_needs_another(rig: Rig) -> None:
    """D9: a write that completes while a flush is under way is not covered by it."""
    r0 = _remapped(rig)
    r0.pwrite(96, pattern(1))
    rig.spare.hold("flush")
    first = rig.background(r0.fsync)
    wait_for(lambda: rig.spare.held() == 1, "the flush")
    r0.pwrite(97, pattern(2))
    rig.spare.release()
    first.result(timeout=20)
    spare = rig.spare.stats()["flushes"]
    r0.fsync()
    assert rig.spare.stats()["flushes"] == spare + 1
    rig.powercut()
    r0 = rig.create()
    assert (r0.pread(96), r0.pread(97)) == (pattern(1), pattern(2))


def test_second_fsync_does_not_overtake_the_first(rig: Rig) -> None:
    """D9: while the flush that covers a write is under way, no fsync may call it covered."""
    r0 = _remapped(rig)
    r0.pwrite(96, pattern(1))
    rig.spare.hold("flush")
    fsyncs = [rig.background(r0.fsync) for _ in range(3)]
    wait_for(lambda: rig.spare.held() >= 1, "a flush")
    time.sleep(0.1)
    assert not any(fsync.done() for fsync in fsyncs)
    rig.spare.release()
    for fsync in fsyncs:
        fsync.result(timeout=20)


def test_failed_flush_beside_a_write(rig: Rig) -> None:
    """D9: a flush that failed covers nothing, whatever else was counted meanwhile."""
    r0 = _remapped(rig)
    r0.pwrite(96, pattern(1))
    rig.spare.hold("flush")
    rig.spare.fail_flushes(1)
    first = rig.background(r0.fsync)
    wait_for(lambda: rig.spare.held() == 1, "the flush")
    r0.pwrite(97, pattern(2))
    rig.spare.release()
    with pytest.raises(OSError):
        first.result(timeout=20)
    r0.fsync()
    rig.powercut()
    r0 = rig.create()
    assert (r0.pread(96), r0.pread(97)) == (pattern(1), pattern(2))


@pytest.mark.parametrize("mode", ["through", "keep"])
def test_fua_reaches_the_disk_that_serves(rig: Rig, mode: str) -> None:
    """Row 3, D8, D18: FUA goes along to main, to a slot, and with a write over both."""
    r0 = _remapped(rig, arguments=f"2 write_cache {mode}")
    region = Region(rig)
    for sector, count, expected in ((300, 4, ["data"]), (98, 2, ["slot"]),
                                    (90, 20, ["data", "data", "slot"])):
        rig.server.mark(f"from {sector}")
        r0.pwrite(sector, pattern(sector, count), fua=True)
        writes = [e for e in region.events(f"from {sector}") if e.what in ("data", "slot")]
        assert sorted(words(writes)) == expected
        assert all(event.fua for event in writes)
    rig.powercut()
    r0 = rig.create()
    assert r0.pread(90, 20) == pattern(90, 20)
    assert r0.pread(300, 4) == pattern(300, 4)


def test_commit_after_a_failed_flush(rig: Rig) -> None:
    """C10: while the flush before a commit fails no table is written, the user's write fails,
    and nothing is mapped; the next try succeeds."""
    r0 = rig.create()
    r0.pwrite(100, pattern(1))
    r0.fsync()
    rig.main.bad(100)
    rig.spare.fail_flushes(1000)
    rig.server.mark("begin")
    with pytest.raises(OSError) as caught:
        r0.pwrite(100, pattern(2))
    assert caught.value.errno == errno.EIO
    assert "table 0" not in list(words(Region(rig).events("begin")))
    assert rig.status()["used"] == 1
    assert r0.pread(100) == pattern(1)
    rig.spare.fail_flushes(0)
    r0.pwrite(100, pattern(3))
    assert rig.status()["mode"] == "rw"
    rig.powercut()
    assert rig.create().pread(100) == pattern(3)


def test_one_failed_flush_before_a_commit(rig: Rig) -> None:
    """D17: an error told once may be of any write, so the data are written again, durably; what
    was acknowledged before was not in the cache, and nothing is owed."""
    r0 = rig.create()
    r0.pwrite(100, pattern(1))
    r0.fsync()
    rig.main.bad(100)
    rig.spare.lose_flushes(1)
    r0.pwrite(100, pattern(2))
    r0.fsync()
    assert rig.status()["mode"] == "rw" and rig.status()["bad_slots"] == 0
    rig.powercut()
    assert rig.create().pread(100) == pattern(2)


def test_many_fsyncs_at_once(rig: Rig) -> None:
    """P1, D9: threads that write to the spare and fsync: each finds its own data after a
    power cut at any later time."""
    r0 = _remapped(rig, more=16)

    def work(thread: int) -> None:
        for n in range(10):
            r0.pwrite(96 + 8 * thread, pattern(100 * thread + n, 8))
            r0.fsync()
        r0.pwrite(96 + 8 * thread + 7, pattern(thread))    # unflushed: may be lost

    for future in [rig.background(work, thread) for thread in range(16)]:
        future.result(timeout=60)
    rig.powercut()
    r0 = rig.create()
    for thread in range(16):
        assert r0.pread(96 + 8 * thread, 7) == pattern(100 * thread + 9, 8)[:7 * 512]


def test_write_that_was_sent_before_a_flush_and_ends_after_it(rig: Rig) -> None:
    """D9: a flush does not cover it, so the next one must not be left out."""
    r0 = _remapped(rig)
    rig.spare.hold("write", Region(rig).slot(0), 8 * Region(rig).slots)
    writing = rig.background(r0.pwrite, 96, pattern(1))
    wait_for(lambda: rig.spare.held() == 1, "the write")
    r0.fsync()
    rig.spare.release()
    writing.result(timeout=20)
    r0.fsync()
    rig.powercut()
    assert rig.create().pread(96) == pattern(1)
