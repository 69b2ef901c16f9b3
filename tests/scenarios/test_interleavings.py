# SPDX-License-Identifier: GPL-2.0-or-later
"""I/O that meets a relocation or a `remap` halfway (P1, P2; rules C9, D1 to D6, D8).

Requests are held in the block server, so each order is made, not waited for.
"""

import errno
import mmap
import os
import threading
import time

import pytest

from tests.harness.disks import LATE, MAIN_NO_FUA
from tests.scenarios.aio import Aio
from tests.scenarios.lib import SECTOR, Device, Rig, pattern, wait_for
from tests.scenarios.model import CHUNK
from tests.scenarios.region import Region, check_commit_order, mapped_sectors, words

START = 96                         # first sector of the chunk that all of this is about
OLD = pattern(1, CHUNK)
SHORT_S = 0.15                     # enough for I/O that nothing holds up


def _device(rig: Rig) -> Device:
    r0 = rig.create()
    r0.pwrite(START, OLD)
    r0.fsync()
    return r0


def _piece(data: bytes, first: int, count: int = 1) -> bytes:
    return data[first * SECTOR:(first + count) * SECTOR]


def _hold(rig: Rig, region: Region, stage: str) -> None:
    """Stop a relocation at STAGE."""
    if stage == "first probe":
        rig.main.hold("write", region.probe_chunk * CHUNK, CHUNK)
    elif stage == "probe's reading back":
        rig.main.hold("read", region.probe_chunk * CHUNK, CHUNK)
    else:
        region.hold_step(stage)


CONFIRMING = pytest.mark.not_on(*MAIN_NO_FUA, reason="while a sector is confirmed all other "
                                                     "writes are kept from main (D19)")
STAGES = [pytest.param("first probe", marks=CONFIRMING),
          pytest.param("probe's reading back", marks=CONFIRMING),
          "slot", "flush", "replica 0", "replica 1"]


def _held(rig: Rig) -> int:
    return rig.main.held() + rig.spare.held()


def _go_on(rig: Rig) -> None:
    rig.main.release()
    rig.spare.release()


@pytest.mark.parametrize("stage", STAGES)
def test_neighbours_written_during_a_relocation(rig: Rig, stage: str) -> None:
    """D1: writes to the other sectors of the chunk go on, and none is lost: a relocation
    that copied the chunk would bring their old content back."""
    r0 = _device(rig)
    rig.main.bad(START + 4)
    _hold(rig, Region(rig), stage)
    failing = rig.background(r0.pwrite, START + 4, pattern(2))
    wait_for(lambda: _held(rig) == 1, stage)
    r0.pwrite(START, pattern(3, 3))
    r0.pwrite(START + 6, pattern(4, 2))
    assert r0.pread(START, 4) == pattern(3, 3) + _piece(OLD, 3)
    assert not failing.done()
    _go_on(rig)
    failing.result(timeout=20)
    expected = pattern(3, 3) + _piece(OLD, 3) + pattern(2) + _piece(OLD, 5) + pattern(4, 2)
    assert r0.pread(START, CHUNK) == expected
    assert mapped_sectors(rig, START, CHUNK) == [START + 4]
    r0.fsync()
    rig.powercut()
    assert rig.create().pread(START, CHUNK) == expected


@pytest.mark.not_on(*LATE, reason="one flush fails for both: the healthy chunk waits for the worker")
@pytest.mark.parametrize("stage", STAGES)
def test_failing_neighbours_during_a_relocation(rig: Rig, stage: str) -> None:
    """D2, C9: a second sector of the chunk fails while the first is being relocated; both
    end in one slot, and no commit names the second before its data was flushed."""
    r0 = _device(rig)
    rig.main.bad(START + 2)
    rig.main.bad(START + 5, 2)
    region = Region(rig)
    _hold(rig, region, stage)
    first = rig.background(r0.pwrite, START + 2, pattern(2))
    wait_for(lambda: _held(rig) == 1, stage)
    second = rig.background(r0.pwrite, START + 5, pattern(3, 2))
    again = rig.background(r0.pwrite, START + 8, pattern(4, 2))    # another chunk, healthy
    again.result(timeout=20)
    _go_on(rig)
    first.result(timeout=20)
    second.result(timeout=20)
    assert check_commit_order(region.events()) == 3
    rig.powercut()
    r0 = rig.create()
    assert r0.pread(START + 2) == pattern(2)
    assert r0.pread(START + 5, 2) == pattern(3, 2)
    assert mapped_sectors(rig, START, CHUNK) == [START + 2, START + 5, START + 6]
    assert rig.status()["used"] == 2


@pytest.mark.parametrize("stage", STAGES)
def test_same_sector_written_twice_during_a_relocation(rig: Rig, stage: str) -> None:
    """P2: of two writes under way at once either may win, but one of them, whole, everywhere."""
    r0 = _device(rig)
    rig.main.bad(START + 2, 4)
    _hold(rig, Region(rig), stage)
    first = rig.background(r0.pwrite, START + 1, pattern(2, 6))
    wait_for(lambda: _held(rig) == 1, stage)
    second = rig.background(r0.pwrite, START + 2, pattern(3, 2))
    time.sleep(SHORT_S)
    _go_on(rig)
    first.result(timeout=20)
    second.result(timeout=20)
    found = r0.pread(START, CHUNK)
    assert _piece(found, 2, 2) in (pattern(3, 2), _piece(pattern(2, 6), 1, 2))
    assert _piece(found, 4, 3) == _piece(pattern(2, 6), 3, 3)
    r0.fsync()
    rig.powercut()
    assert rig.create().pread(START, CHUNK) == found


def test_remap_waits_for_a_write_on_its_way(rig: Rig) -> None:
    """D3: a write already sent to main lands before the copy is made; meanwhile reads are
    served and later writes wait."""
    r0 = _device(rig)
    rig.main.hold("write", START + 4)
    early = rig.background(r0.pwrite, START + 4, pattern(2))
    wait_for(lambda: rig.main.held() == 1, "the write")
    remap = rig.background(rig.message, "r0", f"remap {START} {CHUNK}")
    time.sleep(SHORT_S)
    late = rig.background(r0.pwrite, START + 1, pattern(3))
    time.sleep(SHORT_S)
    assert not early.done() and not remap.done() and not late.done()
    assert r0.pread(START, CHUNK) == OLD
    r0.pwrite(START + 8, pattern(4))    # the next chunk is not concerned
    _go_on(rig)
    for future in (early, remap, late):
        future.result(timeout=20)
    expected = _piece(OLD, 0) + pattern(3) + _piece(OLD, 2, 2) + pattern(2) + _piece(OLD, 5, 3)
    assert r0.pread(START, CHUNK) == expected
    assert mapped_sectors(rig, START, CHUNK) == list(range(START, START + CHUNK))
    r0.fsync()
    rig.powercut()
    assert rig.create().pread(START, CHUNK) == expected


@pytest.mark.parametrize("far,sectors", [
    (1100, 1), (1100, 8),    # in another 128 KiB; larger ones are told apart by 2 MiB
    (9000, 1), (9000, 300), (9000, 2048), (70000, 300), (70000, 2048)])
def test_a_drain_waits_for_its_own(rig: Rig, far: int, sectors: int) -> None:
    """D20: a write elsewhere that takes its time, of any size, holds no copy up."""
    r0 = _device(rig)
    rig.main.hold("write", far)
    slow = rig.background(r0.pwrite, far, pattern(2, sectors))
    wait_for(lambda: rig.main.held() >= 1, "the write")
    rig.background(rig.message, "r0", f"remap {START} {CHUNK}").result(timeout=60)
    rig.background(rig.message, "r0", f"unremap {START} {CHUNK}").result(timeout=60)
    assert not slow.done()
    rig.main.release()
    slow.result(timeout=60)
    assert r0.pread(START, CHUNK) == OLD and r0.pread(far, sectors) == pattern(2, sectors)


@pytest.mark.parametrize("stage", ["slot", "replica 0", "replica 1"])    # the slot by FUA
def test_writes_during_the_copy_arrive(rig: Rig, stage: str) -> None:
    """D3: writes to a chunk that `remap` is copying wait, over its borders too, and arrive;
    reads are served meanwhile."""
    r0 = _device(rig)
    r0.pwrite(START + CHUNK, pattern(9, CHUNK))
    r0.fsync()
    _hold(rig, Region(rig), stage)
    remap = rig.background(rig.message, "r0", f"remap {START} {CHUNK}")
    wait_for(lambda: _held(rig) == 1, stage)
    with Aio() as aio:
        try:
            aio.pwrite(r0.fd, START + 2, pattern(2, 2))
            aio.pwrite(r0.fd, START + 6, pattern(3, 4))     # into the next chunk
            assert r0.pread(START, CHUNK) == OLD
            time.sleep(SHORT_S)
            assert not remap.done()
            assert _piece(r0.pread(START, CHUNK), 0, CHUNK) == OLD
        finally:
            _go_on(rig)
        assert aio.wait() == [2 * SECTOR, 4 * SECTOR]
    remap.result(timeout=20)
    expected = _piece(OLD, 0, 2) + pattern(2, 2) + _piece(OLD, 4, 2) + pattern(3, 4) + \
        _piece(pattern(9, CHUNK), 2, 6)
    assert r0.pread(START, 2 * CHUNK) == expected
    r0.fsync()
    rig.powercut()
    assert rig.create().pread(START, 2 * CHUNK) == expected


def test_busy_chunk_does_not_wait_with_nowait(rig: Rig) -> None:
    """D8: a write that must not wait is sent back from a busy chunk, and counts as no error."""
    r0 = _device(rig)
    _hold(rig, Region(rig), "slot")
    remap = rig.background(rig.message, "r0", f"remap {START} {CHUNK}")
    wait_for(lambda: _held(rig) == 1, "the copy")
    with mmap.mmap(-1, SECTOR) as buffer:
        buffer[:] = pattern(2)
        with pytest.raises(BlockingIOError):
            os.pwritev(r0.fd, [buffer], (START + 1) * SECTOR, os.RWF_NOWAIT)
        _go_on(rig)
        remap.result(timeout=20)
        assert r0.pread(START, CHUNK) == OLD
        os.pwritev(r0.fd, [buffer], (START + 1) * SECTOR, os.RWF_NOWAIT)
    assert r0.pread(START + 1) == pattern(2)
    assert rig.status()["write_errors"] == 0


def test_write_that_fails_while_remap_drains(rig: Rig) -> None:
    """D4: `remap` waits for a write, the write fails and would wait for `remap`: it leaves
    the count with its lower I/O, is parked, and finds its place on the spare."""
    r0 = _device(rig)
    rig.main.hold("write", START + 4)
    rig.main.bad(START + 4)
    failing = rig.background(r0.pwrite, START + 3, pattern(2, 2))
    wait_for(lambda: rig.main.held() == 1, "the write")
    remap = rig.background(rig.message, "r0", f"remap {START} {CHUNK}")
    time.sleep(SHORT_S)
    assert not remap.done()
    _go_on(rig)
    remap.result(timeout=20)
    failing.result(timeout=20)
    expected = _piece(OLD, 0, 3) + pattern(2, 2) + _piece(OLD, 5, 3)
    assert r0.pread(START, CHUNK) == expected
    rig.powercut()
    r0 = rig.create()
    # the write failed once, so it was written again with FUA: durable by itself
    assert r0.pread(START, CHUNK) == expected


def test_two_remaps_and_a_relocation_at_once(rig: Rig) -> None:
    """D3, D4: one drain at a time; nothing waits for each other in a circle."""
    r0 = _device(rig)
    rig.main.bad(START + 16 + 4)
    rig.main.hold("write", START + 4)
    early = rig.background(r0.pwrite, START + 4, pattern(2))
    wait_for(lambda: rig.main.held() == 1, "the write")
    futures = [rig.background(rig.message, "r0", f"remap {START} 8"),
               rig.background(rig.message, "r0", f"remap {START + 8} 16"),
               rig.background(r0.pwrite, START + 16 + 4, pattern(3)),
               rig.background(r0.pwrite, START + 9, pattern(4))]
    time.sleep(SHORT_S)
    _go_on(rig)
    for future in (early, *futures):
        future.result(timeout=20)
    assert r0.pread(START + 4) == pattern(2)
    assert r0.pread(START + 20) == pattern(3)
    assert r0.pread(START + 9) == pattern(4)
    r0.fsync()
    rig.powercut()
    r0 = rig.create()
    assert [r0.pread(START + s) for s in (4, 20, 9)] == [pattern(2), pattern(3), pattern(4)]


def test_read_that_fails_after_its_sector_moved(rig: Rig) -> None:
    """D5: a read on its way to main fails there when the sector has its new place already:
    it is sent there, and the rest of it stays right."""
    r0 = _device(rig)
    rig.main.bad(START + 4, kind="both")
    rig.main.hold("read", START, CHUNK)
    reading = rig.background(r0.pread, START, CHUNK)
    wait_for(lambda: rig.main.held() == 1, "the read")
    r0.pwrite(START + 4, pattern(2))
    assert not reading.done()
    _go_on(rig)
    assert reading.result(timeout=20) == \
        _piece(OLD, 0, 4) + pattern(2) + _piece(OLD, 5, 3)
    assert rig.status()["used"] == 2


def test_read_that_fails_where_nothing_moved(rig: Rig) -> None:
    """D5: it is sent once, not again and again, and is an error."""
    r0 = _device(rig)
    rig.main.bad(START + 4, kind="both")
    before = rig.main.stats()["reads"]
    with pytest.raises(OSError) as caught:
        r0.pread(START, CHUNK)
    assert caught.value.errno == errno.EIO
    assert rig.main.stats()["reads"] == before + 1


def test_read_on_its_way_while_a_write_succeeds(rig: Rig) -> None:
    """P2: a read that started before a relocation may return the old content, never any
    other; one that starts after the write's end returns the new."""
    r0 = _device(rig)
    rig.main.bad(START + 4)
    rig.main.hold("read", START, CHUNK)
    early = rig.background(r0.pread, START + 4)
    wait_for(lambda: rig.main.held() == 1, "the read")
    r0.pwrite(START + 4, pattern(2))
    assert r0.pread(START + 4) == pattern(2)
    _go_on(rig)
    assert early.result(timeout=20) in (_piece(OLD, 4), pattern(2))


def _lost(rig: Rig) -> Device:
    """START + 4 is lost."""
    r0 = _device(rig)
    rig.main.bad(START + 4, kind="both")
    rig.message("r0", f"remap {START} {CHUNK}")
    assert rig.status()["lost_sectors"] == 1
    return r0


def test_lost_sector_is_an_error_until_written(rig: Rig) -> None:
    """P2, D6: over restarts too; the other sectors of the chunk are there; a write makes it
    readable, durably before it is acknowledged, without any flush."""
    r0 = _lost(rig)
    for _ in range(2):
        with pytest.raises(OSError) as caught:
            r0.pread(START, CHUNK)
        assert caught.value.errno == errno.ENODATA
        assert r0.pread(START, 4) + r0.pread(START + 5, 3) == _piece(OLD, 0, 4) + \
            _piece(OLD, 5, 3)
        rig.powercut()
        r0 = rig.create()
    rig.server.mark("begin")
    r0.pwrite(START + 3, pattern(2, 2))
    rig.server.mark("acknowledged")
    seen = list(words(Region(rig).events("begin")))
    assert seen[-4:] == ["flush spare", "table 0", "table 1", "acknowledged"]
    assert set(seen[:-4]) == {"slot"}
    assert rig.status()["lost_sectors"] == 0
    rig.powercut()
    r0 = rig.create()
    # sector 3 was an ordinary write to a slot: the commit's flush took it along, or not
    assert r0.pread(START + 4) == _piece(pattern(2, 2), 1)
    assert r0.pread(START + 5, 3) == _piece(OLD, 5, 3)


@pytest.mark.parametrize("stage", ["slot", "flush", "replica 0", "replica 1"])
def test_lost_sector_being_written(rig: Rig, stage: str) -> None:
    """D6, C1: until the commit is complete reads of it fail; other writers of it wait for a
    commit that started after their data; a power cut leaves an error or one of the writes."""
    r0 = _lost(rig)
    region = Region(rig)
    _hold(rig, region, stage)
    first = rig.background(r0.pwrite, START + 4, pattern(2))
    wait_for(lambda: _held(rig) == 1, stage)
    second = rig.background(r0.pwrite, START + 4, pattern(3))
    with pytest.raises(OSError):
        r0.pread(START + 4)
    time.sleep(SHORT_S)
    assert not first.done() and not second.done()
    _go_on(rig)
    first.result(timeout=20)
    second.result(timeout=20)
    found = r0.pread(START + 4)
    assert found in (pattern(2), pattern(3))
    assert check_commit_order(region.events()) == CHUNK
    r0.fsync()
    rig.powercut()
    assert rig.create().pread(START + 4) == found


def test_lost_sector_and_a_power_cut_during_its_write(rig: Rig) -> None:
    """P2: no commit, no content: the slot's bytes of an unacknowledged write are not shown
    as anything but that write."""
    r0 = _lost(rig)
    Region(rig).hold_replica(0)
    writing = rig.background(r0.pwrite, START + 4, pattern(2))
    wait_for(lambda: _held(rig) == 1, "replica 0")
    rig.powercut()
    with pytest.raises(OSError):
        writing.result(timeout=20)
    r0 = rig.create()
    with pytest.raises(OSError):
        r0.pread(START + 4)
    r0.pwrite(START + 4, pattern(3))
    assert r0.pread(START + 4) == pattern(3)


def test_rescue_of_a_device_that_is_gone_loses_nothing(rig: Rig) -> None:
    """P5: `remap` while main is out fails and makes no sector lost."""
    r0 = _device(rig)
    rig.main.fail()
    with pytest.raises(OSError):
        rig.message("r0", f"remap {START} {CHUNK}")
    rig.main.back()
    assert rig.status()["lost_sectors"] == 0
    assert rig.status()["used"] == 1
    assert r0.pread(START, CHUNK) == OLD


def test_rescue_retries_what_failed_in_passing(rig: Rig) -> None:
    """P5, P2: sectors that a passing error made unreadable are not given up as lost."""
    r0 = _device(rig)
    rig.main.bad(START, CHUNK, kind="read", times=3)
    rig.message("r0", f"remap {START} {CHUNK}")
    assert rig.status()["lost_sectors"] == 0
    assert r0.pread(START, CHUNK) == OLD


def test_suspend_and_reload_with_writes_on_their_way(rig: Rig) -> None:
    """D11: a suspend waits for failing writes, which are relocated meanwhile; with noflush
    they come back and are done by the next table."""
    r0 = _device(rig)
    for flush in (True, False):
        sector = START + 16 + 8 * flush
        rig.main.bad(sector)
        rig.main.hold("write", sector)
        writing = rig.background(r0.pwrite, sector, pattern(5 + flush))
        wait_for(lambda: rig.main.held() == 1, "the write")
        reload = rig.background(rig.reload, "r0", None, flush)
        time.sleep(SHORT_S)
        _go_on(rig)
        reload.result(timeout=20)
        writing.result(timeout=20)
        assert r0.pread(sector) == pattern(5 + flush)
        assert mapped_sectors(rig, sector, 1) == [sector]
    rig.powercut()
    r0 = rig.create()
    assert r0.pread(START + 16) == pattern(5)
    assert r0.pread(START + 24) == pattern(6)


def test_sector_becomes_lost_at_once(rig: Rig) -> None:
    """D2, P2: a reader sees neither main's sector nor a lost one as good in between."""
    r0 = _device(rig)
    rig.main.bad(START + 4, kind="both")

    done = threading.Event()

    def read_until_done() -> list[bytes]:
        found = []
        while not done.is_set():
            try:
                found.append(r0.pread(START + 4))
            except OSError:
                pass
            # one that fails while the word changes waits for the writer, so not all at once
            time.sleep(0.005)
        return found

    readers = [rig.background(read_until_done) for _ in range(6)]
    rig.message("r0", f"remap {START} {CHUNK}")
    done.set()
    assert [reader.result(timeout=20) for reader in readers] == [[]] * 6
