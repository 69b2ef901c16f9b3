# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks as people have them: a volatile cache without FUA, errors that come late and once,
one command at a time, physical sectors of 4 KiB (P1, P2, P3; rules D17 to D21, E8).

What a disk acknowledged is in its RAM. When the sector fails later, the disk says so to the
flush that comes next, whatever its sender, and the data is gone; the flush after that succeeds.
So a flush or a FUA write of our own can eat an error that is owed to a user. On the same
disk without us the user is told: the control is dm-linear, and no worse may become of it.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from tests.scenarios.late_errors import (BACK, MODES, NO_FUA, OLD, SLOW_MS, A, B, set_of,
                                         slot_sector, told)
from tests.scenarios.lib import SECTOR, Device, Media, Rig, pattern, wait_for
from tests.scenarios.ondisk import USED, Spare
from tests.scenarios.region import Region, is_mapped, mapped_sectors, slot_of


def durable(rig: Rig, sector: int, more: str = "") -> bytes | None:
    """What a sector gives after a power cut; None: an error."""
    rig.powercut()
    try:
        return rig.create(more=more).pread(sector)
    except OSError:
        return None


class Durable(Media):
    """What is on the media by now; the cache is left as it is, for a power cut to take."""

    def read(self, sector: int, count: int = 1) -> bytes:
        with open(self._disk.media_path, "rb") as image:
            image.seek(sector * SECTOR)
            return image.read(count * SECTOR)


def only_bad_ones_are_mapped(rig: Rig, *bad: int) -> None:
    """Of all of main: a good sector is never remapped for another one's late error (D19)."""
    spare = Spare(Durable(rig.spare), rig.spare.size_bytes // SECTOR)
    probe = spare.probe_chunk()
    mapped = {entry.chunk * 8 + i for entry in spare.entries() for i in range(8)
              if entry.state == USED and entry.chunk != probe and entry.redirected >> i & 1}
    assert mapped <= set(bad)
    assert rig.status()["used"] <= 1 + len({sector // 8 for sector in bad})


# 1: another user's FUA write, which is a write and a flush on such a disk

@pytest.mark.disks(main=NO_FUA)
def test_control_a_plain_disk_tells(rig: Rig) -> None:
    linear = rig.create("l0", "0 131072 linear /dev/nbd0 0")
    linear.pwrite(800, OLD)
    linear.fsync()
    rig.main.late(800)
    assert told(lambda: linear.pwrite(800, A), lambda: linear.pwrite(400, B, fua=True),
                linear.fsync) == [False, True, False]
    assert linear.pread(800) == OLD


@pytest.mark.disks(main=NO_FUA)
@pytest.mark.parametrize("mode", MODES)
def test_error_of_another_write_at_a_fua_write(rig: Rig, mode: str) -> None:
    """Number 1: a write that is told to be durable does not swallow what was lost."""
    device = set_of(rig, mode)
    rig.main.late(800)
    outcome = told(lambda: device.pwrite(800, A), lambda: device.pwrite(400, B, fua=True),
                   device.fsync)
    assert outcome[0] is False
    only_bad_ones_are_mapped(rig, 800)
    if mode == "through":
        assert outcome == [False, False, False]
    if not any(outcome):
        assert durable(rig, 800) == A and rig.device().pread(400) == B
    else:
        device.fsync()    # told once


# 2: a relocation, whose probe flushes

@pytest.mark.disks(main=NO_FUA)
@pytest.mark.parametrize("mode", MODES)
def test_error_of_another_write_at_a_relocation(rig: Rig, mode: str) -> None:
    """Number 2: the probe's flush, the confirming write's, or the commit's has the error."""
    device = set_of(rig, mode)
    rig.main.bad(400)
    rig.main.late(800)
    a, b, fsync = told(lambda: device.pwrite(800, A), lambda: device.pwrite(400, B),
                       device.fsync)
    assert not a
    only_bad_ones_are_mapped(rig, 400, 800)
    if mode == "through":
        assert not b and not fsync
    kept = device.pread(800) == A
    assert fsync or kept, "lost, and no error told of it"
    device.fsync()        # told once
    assert fsync or durable(rig, 800) == A
    if not b and not fsync:
        assert rig.device().pread(400) == B


@pytest.mark.disks(main=NO_FUA)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fua", [False, True])
def test_late_error_is_not_a_neighbours(rig: Rig, mode: str, fua: bool) -> None:
    """D19: a passing error of a good sector, confirmed while another one's error is due."""
    device = set_of(rig, mode)
    rig.main.late(800)
    device.pwrite(800, A)
    rig.main.bad(400, times=1)
    told(lambda: device.pwrite(400, B, fua=fua), device.fsync, device.fsync)
    assert not is_mapped(rig, 400)
    only_bad_ones_are_mapped(rig, 800)


# 3: flushes of the target's own

OWN_FLUSHES: dict[str, Callable[[Rig], object]] = {
    "save": lambda rig: rig.message("r0", "save"),
    "sync": lambda rig: rig.message("r0", "sync"),
    "remap": lambda rig: rig.message("r0", "remap 2000 8"),
    "unremap": lambda rig: rig.message("r0", "unremap 400"),
    "suspend": lambda rig: (rig.suspend(), rig.resume()),
    "suspend without flush": lambda rig: (rig.suspend(flush=False), rig.resume()),
    "reload": lambda rig: rig.reload(),
}


@pytest.mark.disks(main=NO_FUA)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("own", sorted(OWN_FLUSHES))
def test_error_of_a_users_write_at_a_flush_of_ours(rig: Rig, own: str, mode: str) -> None:
    """Number 3: whatever we flush for, the error is the user's."""
    device = set_of(rig, mode)
    rig.main.bad(400)
    device.pwrite(400, B)
    device.fsync()
    rig.main.clear()
    rig.main.late(800)
    device.pwrite(800, A)
    told(lambda: OWN_FLUSHES[own](rig))
    outcome = told(device.fsync, device.fsync)
    assert outcome[0] or device.pread(800) == A, "lost, and no error told of it"
    assert outcome == [mode != "through" and outcome[0], False]
    only_bad_ones_are_mapped(rig, 400, 800, *(range(2000, 2008) if own == "remap" else ()))
    if not outcome[0]:
        assert durable(rig, 800) == A


@pytest.mark.disks(main=NO_FUA)
@pytest.mark.parametrize("mode", BACK)
def test_error_of_a_flush_that_nobody_waits_for_is_kept(rig: Rig, mode: str) -> None:
    """D17: also over several flushes of ours that succeed, and a later write."""
    device = set_of(rig, mode)
    rig.main.late(800)
    device.pwrite(800, A)
    for _ in range(3):
        told(lambda: rig.message("r0", "save"))
    rig.main.clear()
    device.pwrite(1200, B)
    assert told(device.fsync, device.fsync)[0] or device.pread(800) == A


@pytest.mark.disks(spare="8M:fua=off")
@pytest.mark.parametrize("own", ["save", "sync", "suspend", "relocation"])
def test_error_of_a_users_write_on_the_spare(rig: Rig, own: str) -> None:
    """D17: a slot that fails late, on a spare whose flushes the commits need."""
    device = set_of(rig, "through")
    rig.main.bad(400)
    device.pwrite(400, OLD)
    device.fsync()
    slot = slot_of(rig, 400)
    spare = slot_sector(rig, slot)
    rig.spare.late(spare)
    wrote, = told(lambda: device.pwrite(400, B))
    rig.main.bad(1200)
    told(lambda: device.pwrite(1200, A) if own == "relocation" else OWN_FLUSHES[own](rig))
    first, second = told(device.fsync, device.fsync)
    kept = device.pread(400) == B
    assert wrote or first or kept, "lost, and no error told of it"
    assert not second
    assert rig.status()["bad_slots"] <= 1
    if not wrote and not first:
        assert durable(rig, 400) == B


# all that was in the cache is gone at once

@pytest.mark.disks(main=NO_FUA)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("own", ["none", "save", "relocation"])
def test_a_flush_that_loses_the_cache(rig: Rig, own: str, mode: str) -> None:
    device = set_of(rig, mode)
    device.pwrite(800, A)
    rig.main.bad(400)
    rig.main.lose_flushes(1)
    if own == "save":
        told(lambda: rig.message("r0", "save"))
    elif own == "relocation":
        told(lambda: device.pwrite(400, B))
    first, second = told(device.fsync, device.fsync)
    assert first or device.pread(800) == A, "lost, and no error told of it"
    assert not second
    only_bad_ones_are_mapped(rig, 400)
    if not first:
        assert durable(rig, 800) == A


# 4: the first promise of the README

@pytest.mark.parametrize("action", ["late", "late then=error"])
@pytest.mark.parametrize("kind", [pytest.param("fua", marks=pytest.mark.disks(main="64M")),
                                  pytest.param("no fua", marks=pytest.mark.disks(main=NO_FUA))])
def test_write_behind_a_cache_is_relocated(rig: Rig, kind: str, action: str) -> None:
    """Number 4: with the defaults the first failing write succeeds, on every disk."""
    device = set_of(rig, "through")
    rig.main.late(800, then="error" if "error" in action else None)
    device.pwrite(800, A)
    device.fsync()
    assert mapped_sectors(rig, 800, 8) == [800] and rig.status()["used"] == 2
    assert durable(rig, 800) == A


@pytest.mark.disks(main=NO_FUA)
@pytest.mark.parametrize("mode", BACK)
def test_second_try_behind_a_cache_succeeds(rig: Rig, mode: str) -> None:
    """Number 4, written back: what was lost is told, cannot be read as if nothing had been,
    and the application's next try ends on the spare."""
    device = set_of(rig, mode)
    rig.main.late(800, then="error")
    outcomes = []
    for _ in range(3):
        outcomes.append(told(lambda: device.pwrite(800, A), device.fsync))
        if not any(outcomes[-1]):
            break
        # what the target does about it is done in the background
        wait_for(lambda: told(lambda: device.pread(800)) == [True] or device.pread(800) == A,
                 "no old data")
        time.sleep(0.2)
    assert outcomes[-1] == [False, False], outcomes
    only_bad_ones_are_mapped(rig, 800)
    assert durable(rig, 800) == A


@pytest.mark.disks(main=NO_FUA)
def test_large_write_with_late_sectors(rig: Rig) -> None:
    """D19: of a large write exactly the chunks that fail are remapped."""
    device = set_of(rig, "through")
    for sector in (1003, 1044, 1045, 1100):
        rig.main.late(sector)
    device.pwrite(1000, pattern(5, 128))
    device.fsync()
    assert rig.status()["used"] <= 1 + 3
    assert durable(rig, 1000) == pattern(5, 128)[:SECTOR]
    assert rig.device().pread(1000, 128) == pattern(5, 128)


# 5: physical sectors of 4 KiB

def test_one_whole_write_heals_a_physical_sector(rig: Rig) -> None:
    """Number 5, D21: the way back writes whole physical sectors."""
    device = set_of(rig, "through")
    device.pwrite(96, pattern(4, 8))
    rig.message("r0", "remap 96 8")
    rig.main.heal4k(96, 8)
    device.pwrite(98, B)
    device.fsync()
    assert "unremapped" in rig.message("r0", "unremap 96 8")
    expected = pattern(4, 8)[:2 * SECTOR] + B + pattern(4, 8)[3 * SECTOR:]
    assert device.pread(96, 8) == expected
    assert rig.media("main").read(96, 8) == expected
    assert rig.status()["used"] == 1
    rig.powercut()
    assert rig.create().pread(96, 8) == expected


def test_what_cannot_be_read_stays_an_error(rig: Rig) -> None:
    """Number 5, P2: seven sectors were lost before anybody wrote them: no zeros."""
    device = set_of(rig, "through")
    rig.main.heal4k(96, 8)
    rig.message("r0", "remap 96 8")
    device.pwrite(98, B)
    device.fsync()
    told(lambda: rig.message("r0", "unremap 96 8"))
    for sector in range(96, 104):
        assert told(lambda: device.pread(sector)) == [sector != 98], sector
    device.pwrite(96, pattern(6, 8))
    assert "unremapped" in rig.message("r0", "unremap 96 8")
    assert rig.media("main").read(96, 8) == pattern(6, 8)


def test_write_of_a_part_of_a_bad_physical_sector(rig: Rig) -> None:
    """P1: it cannot be written on main, so it is on the spare; its neighbours stay bad."""
    device = set_of(rig, "through")
    rig.main.heal4k(96, 8)
    device.pwrite(98, B)
    assert durable(rig, 98) == B
    for sector in (97, 99):
        assert told(lambda: rig.device().pread(sector)) == [True]
    rig.device().pwrite(96, pattern(6, 8))
    assert durable(rig, 98) == pattern(6, 8)[2 * SECTOR:3 * SECTOR]


# 6: time

DEADLINE_S, CHUNKS = 1, 16


@pytest.mark.parametrize("options", ["serial=on", "serial=on,fua=off", "fua=off",
                                     "serial=on,vcache=off"])
def test_slow_and_one_at_a_time(request: pytest.FixtureRequest, options: str) -> None:
    """Number 6, E8: within the deadline and one command more, and ahead with each try."""
    request.node.add_marker(pytest.mark.disks(main=f"64M:{options}"))
    rig: Rig = request.getfixturevalue("rig")
    device = rig.create(more=f"2 deadline {DEADLINE_S}")
    data = pattern(7, CHUNKS * 8)
    rig.main.bad(800, CHUNKS * 8, delay_ms=SLOW_MS)
    used = [rig.status()["used"]]
    for _ in range(CHUNKS + 1):
        rig.server.forget_log()
        began = time.monotonic()
        failed, = told(lambda: device.pwrite(800, data))
        slow = [record for record in rig.server.log() if record.disk == rig.main.index and
                record.sector < 800 + CHUNKS * 8 and record.sector + record.sectors > 800]
        if "serial" in options:
            # the one that failed; as many as have time until the deadline; and what is on its way
            assert len(slow) * SLOW_MS <= 1000 * DEADLINE_S + 4 * SLOW_MS, slow
        else:    # many at once; on a busy machine, too
            assert time.monotonic() - began < 5 * DEADLINE_S, slow
        used.append(rig.status()["used"])
        if not failed:
            break
        assert used[-1] > used[-2], f"no progress: {used}"
    assert not failed, used
    assert used[-1] == 1 + CHUNKS
    assert durable(rig, 800, f"2 deadline {DEADLINE_S}") == data[:SECTOR]
    assert rig.device().pread(800, CHUNKS * 8) == data


@pytest.mark.disks(main="64M:serial=on")
def test_others_go_on_beside_a_slow_relocation(rig: Rig) -> None:
    """D20: a write to another chunk waits for the disk at most, not for the relocation, and
    a request for the state does not wait at all."""
    device = set_of(rig, "through")
    very_slow_s = 2
    rig.main.bad(800, 4 * 8, delay_ms=1000 * very_slow_s)
    writing = rig.background(device.pwrite, 800, pattern(7, 4 * 8))
    time.sleep(very_slow_s / 4)
    began = time.monotonic()
    rig.status()
    rig.message("r0", "verify 100")
    assert time.monotonic() - began < very_slow_s
    device.pwrite(1200, A)
    assert device.pread(1200) == A
    writing.result(timeout=60)
    assert device.pread(800, 4 * 8) == pattern(7, 4 * 8)


# between a write of the worker's and the flush behind it, another one's flush is told that the
# write is gone; the worker's then succeeds

def _a_users_flush_is_held(rig: Rig, device: Device) -> Future[None]:
    """Of the spare: it has a slot that was written."""
    rig.main.bad(400)
    device.pwrite(400, OLD)
    device.fsync()
    device.pwrite(400, B)
    rig.spare.hold("flush")
    flush = rig.background(device.fsync)
    wait_for(lambda: rig.spare.held() == 1, "the flush")
    return flush


@pytest.mark.parametrize("options", ["", "fua=off"])
@pytest.mark.parametrize("what", ["relocation", "rescue", "lost sector"])
def test_a_users_flush_loses_what_the_worker_wrote(request: pytest.FixtureRequest, what: str,
                                                   options: str) -> None:
    """C10, D17: what is committed is there, even if an error said that it is not."""
    request.node.add_marker(pytest.mark.disks(spare=f"8M:{options}" if options else "8M"))
    rig: Rig = request.getfixturevalue("rig")
    device = set_of(rig, "through")
    device.pwrite(1200, OLD)
    if what == "lost sector":
        rig.main.bad(1200, kind="read")
        rig.message("r0", "remap 1200 1")
        rig.main.clear()
    flush = _a_users_flush_is_held(rig, device)
    if what == "relocation":
        rig.main.bad(1200)
    writes = rig.spare.stats()["writes"]
    if what == "rescue":
        work = rig.background(rig.message, "r0", "remap 1200 1")
    else:
        work = rig.background(device.pwrite, 1200, A)
    wait_for(lambda: rig.spare.stats()["writes"] > writes, "its data on the spare")
    time.sleep(0.05)
    rig.spare.lose_flushes(1)
    rig.spare.release()
    assert told(lambda: flush.result(timeout=20)) == [True]
    failed, = told(lambda: work.result(timeout=20))
    found = durable(rig, 1200)
    if what == "rescue":
        assert found == OLD
    elif not failed:
        assert found == A
    else:
        assert found in (OLD, A, None)


@pytest.mark.disks(main=NO_FUA)
def test_anothers_flush_loses_a_write_that_had_to_wait(rig: Rig) -> None:
    """D17: a write to main that the worker serves, for its chunk was busy."""
    device = set_of(rig, "through")
    region = Region(rig)
    rig.spare.hold("write", region.slot(0), region.slots * 8)
    rescue = rig.background(rig.message, "r0", "remap 401 1")
    wait_for(lambda: rig.spare.held() == 1, "the copy")
    waits = rig.background(device.pwrite, 403, A)     # for the chunk
    time.sleep(0.05)
    rig.main.hold("flush")
    other = rig.background(device.pwrite, 2000, B)    # for a flush
    wait_for(lambda: rig.main.held() == 1, "the flush")
    writes = rig.main.stats()["writes"]
    rig.spare.release()
    rescue.result(timeout=20)
    wait_for(lambda: rig.main.stats()["writes"] > writes, "the write that waited")
    time.sleep(0.05)
    rig.main.late(403, times=1)
    rig.main.release()
    waits.result(timeout=20)
    other.result(timeout=20)
    device.fsync()
    assert durable(rig, 403) == A
    assert rig.device().pread(2000) == B


@pytest.mark.disks(main=NO_FUA)
@pytest.mark.parametrize("mode", MODES)
def test_the_error_of_another_write_at_the_probe(rig: Rig, mode: str) -> None:
    """E6, D19: it says nothing about whether main is alive: the failed write is relocated."""
    device = set_of(rig, mode)
    rig.main.bad(400)
    rig.main.fail_flushes(1)    # as if another write were lost
    device.pwrite(400, B)
    assert mapped_sectors(rig, 400, 8) == [400]
    told(device.fsync)
    device.fsync()
    assert durable(rig, 400) == B


@pytest.mark.disks(main=NO_FUA)
def test_nothing_is_salvaged_while_frozen(rig: Rig) -> None:
    """E7, D18: what a failed flush may have lost is looked for when remaps are on again."""
    device = set_of(rig, "keep")
    used = rig.status()["used"]
    rig.message("r0", "freeze")
    rig.main.late(800, times=1, then="error")
    device.pwrite(800, A)
    assert told(device.fsync) == [True]
    time.sleep(1)
    assert rig.status()["used"] == used
    rig.message("r0", "thaw")
    wait_for(lambda: rig.status()["used"] == used + 1, "the lost sector")
