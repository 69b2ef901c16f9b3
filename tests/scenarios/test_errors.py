# SPDX-License-Identifier: GPL-2.0-or-later
"""Which errors lead to a remap, and which must not (P2, P5, P8; rules D7, E2 to E7; row 4)."""

import contextlib
import errno
import os
import subprocess
import time

import pytest

from tests.scenarios import dm
from tests.scenarios.lib import SECTOR, Device, Rig, pattern, wait_for
from tests.scenarios.model import CHUNK, LARGEST
from tests.scenarios.region import Region, mapped_sectors, slot_of, words

NOTHING = 1    # slots used by a set that has remapped nothing: the probe chunk's


def _fails(device: Device, sector: int, sectors: int = 1) -> int:
    """The errno of a write that must fail."""
    with pytest.raises(OSError) as caught:
        device.pwrite(sector, pattern(99, sectors))
    return caught.value.errno or 0


@pytest.mark.parametrize("action", ["error", "landed", "torn", "partial"])
@pytest.mark.parametrize("sector", [99, 101])
def test_passing_error_maps_nothing(rig: Rig, action: str, sector: int) -> None:
    """E1, E2: an error that the confirming write does not see again was none of the medium,
    whatever it left there; the write succeeds, and that confirming write is durable."""
    r0 = rig.create()
    r0.pwrite(96, pattern(1, 8))
    r0.fsync()
    rig.main.bad(sector, action=action, times=1)
    rig.server.mark("begin")
    r0.pwrite(98, pattern(2, 4))
    assert rig.status()["used"] == NOTHING
    assert rig.status()["write_errors"] == 1
    confirm = [event for event in Region(rig).events("begin") if event.what == "data"][-1]
    assert confirm.fua and confirm.done
    rig.powercut()
    r0 = rig.create()
    assert r0.pread(96, 8) == pattern(1, 8)[:2 * SECTOR] + pattern(2, 4) + \
        pattern(1, 8)[6 * SECTOR:]


@pytest.mark.parametrize("action", ["landed", "torn", "partial"])
def test_lasting_error_of_every_kind(rig: Rig, action: str) -> None:
    """P1, P2: what a failing write left on main is never seen again."""
    r0 = rig.create()
    r0.pwrite(96, pattern(1, 8))
    r0.fsync()
    rig.main.bad(100, action=action)
    r0.pwrite(98, pattern(2, 4))
    assert mapped_sectors(rig, 96, 8) == [98, 99, 100, 101]
    rig.powercut()
    r0 = rig.create()
    assert r0.pread(96, 8) == pattern(1, 8)[:2 * SECTOR] + pattern(2, 4) + \
        pattern(1, 8)[6 * SECTOR:]


def test_sector_healed_by_writing(rig: Rig) -> None:
    """E1, row 4: a sector that is unreadable until written, as disks reallocate it, stays
    on main; so does one whose first write is lost."""
    r0 = rig.create()
    rig.main.bad(100, kind="read", action="heal")
    rig.main.bad(200, kind="read", action="badwrite-heal")
    for sector in (100, 200):
        with pytest.raises(OSError):
            r0.pread(sector)
        r0.pwrite(sector, pattern(sector))
        assert r0.pread(sector) == pattern(sector)
        assert rig.media("main").read(sector) == pattern(sector)
    assert rig.status()["used"] == NOTHING


def test_read_errors_never_map(rig: Rig) -> None:
    """P2: however often a read fails, in whatever size; the good sectors stay readable."""
    r0 = rig.create()
    r0.pwrite(96, pattern(1, 64))
    r0.fsync()
    rig.server.mark("begin")
    rig.main.bad(100, 3, kind="read")
    for first, count in ((100, 1), (96, 8), (96, 64), (102, 20)) * 3:
        with pytest.raises(OSError) as caught:
            r0.pread(first, count)
        assert caught.value.errno == errno.EIO
    assert r0.pread(96, 4) == pattern(1, 64)[:4 * SECTOR]
    assert r0.pread(103, 20) == pattern(1, 64)[7 * SECTOR:27 * SECTOR]
    assert rig.status()["used"] == NOTHING
    assert rig.status()["read_errors"] >= 12
    assert list(words(Region(rig).events("begin"))) == []    # and wrote nothing
    rig.main.clear()
    assert r0.pread(96, 64) == pattern(1, 64)


@pytest.mark.disks(main="8M", spare="8M")
def test_unknown_error_is_passed_up(rig: Rig) -> None:
    """E3: a lower device that is out of space says so to the user, and nothing is mapped,
    although a probe would succeed."""
    subprocess.run(["mkfs.ext4", "-q", "-F", "-b", "4096", rig.main.kernel_path], check=True)
    place = rig.mount(rig.raw("main"), "ext4")
    with open(place / "sparse", "wb") as file:
        file.truncate(32 << 20)
    loop = subprocess.run(["losetup", "-f", "--show", "--direct-io=on", str(place / "sparse")],
                          capture_output=True, text=True, check=True).stdout.strip()
    try:
        r0 = rig.create(main=loop, length=65536)
        error = 0
        for sector in range(0, 65536 - 64, 128):
            try:
                r0.pwrite(sector, pattern(sector, 64))
            except OSError as caught:
                error = caught.errno or 0
                break
        assert error == errno.ENOSPC
        assert rig.status()["used"] == NOTHING
        assert rig.status()["probe"] == "ok"
        assert not any("probe" in line for line in rig.log())
        r0.pwrite(0, pattern(3, 64))    # has its blocks
        assert r0.pread(0, 64) == pattern(3, 64)
        rig.remove()
    finally:
        subprocess.run(["losetup", "-d", loop], check=True)


def test_one_command_longer_than_the_deadline(rig: Rig) -> None:
    """E4, E8: the time counts from the failure, and what is confirmed is relocated."""
    r0 = rig.create(more="2 deadline 1")
    r0.pwrite(100, pattern(1))
    rig.main.bad(100, delay_ms=1300)
    r0.pwrite(100, pattern(2))
    assert r0.pread(100) == pattern(2)
    assert rig.status()["used"] == NOTHING + 1


def test_deadline(rig: Rig) -> None:
    """E4, E8: what is not confirmed in time fails; each try gets further."""
    chunks = 4
    r0 = rig.create(more="2 deadline 1")
    rig.main.bad(96, count=chunks * CHUNK, delay_ms=1300)
    used = [NOTHING]
    for _ in range(chunks):
        began = time.monotonic()
        with contextlib.suppress(OSError):
            r0.pwrite(96, pattern(2, chunks * CHUNK))
        assert time.monotonic() - began < 15
        used.append(rig.status()["used"])
        if used[-1] == NOTHING + chunks:
            break
        assert used[-1] > used[-2]
    assert used[1] < NOTHING + chunks and used[-1] == NOTHING + chunks
    r0.pwrite(96, pattern(3, chunks * CHUNK))
    assert r0.pread(96, chunks * CHUNK) == pattern(3, chunks * CHUNK)


def test_slow_disk_within_the_deadline(rig: Rig) -> None:
    """E4: slow is not too late."""
    r0 = rig.create()
    rig.main.bad(100, delay_ms=400)
    r0.pwrite(100, pattern(1))
    assert r0.pread(100) == pattern(1)


@pytest.mark.parametrize("gone", ["fail", "read_only"])
def test_main_that_is_gone_maps_nothing(rig: Rig, gone: str) -> None:
    """P5, E6: a pulled cable or a write-protected main gives errors, not remaps; existing
    remaps go on being served, and afterwards all is as before."""
    r0 = rig.create()
    rig.main.bad(200)
    r0.pwrite(200, pattern(5))
    r0.pwrite(100, pattern(1))
    getattr(rig.main, gone)()
    for n in range(20):
        assert _fails(r0, 100 + 8 * n if n != 13 else 204, 4) == errno.EIO
    assert _fails(r0, 4096, LARGEST) == errno.EIO
    r0.pwrite(200, pattern(6))
    assert r0.pread(200) == pattern(6)
    assert rig.status()["used"] == NOTHING + 1
    assert rig.status()["mode"] == "rw"
    rig.main.back()
    assert r0.pread(100) == pattern(1)
    r0.pwrite(104, pattern(2, 60))
    assert r0.pread(104, 60) == pattern(2, 60)
    assert rig.status()["used"] == NOTHING + 1


@pytest.mark.not_on("main-no-fua", "no-fua", "late", "worst",
                    reason="a main that takes no flush any more is not probed again")
def test_main_that_goes_after_the_first_probe(rig: Rig) -> None:
    """E6: the confirming writes of a device that dies meanwhile prove nothing."""
    r0 = rig.create()
    rig.main.bad(100, times=1)
    rig.main.delay("write", 300)
    region = Region(rig)
    rig.server.mark("begin")
    writing = rig.background(_fails, r0, 100)
    wait_for(lambda: "probe" in words(region.events("begin")), "the first probe")
    time.sleep(0.1)    # it is read back, which takes no time; the next write takes 300 ms
    rig.main.fail()
    assert writing.result(timeout=20) == errno.EIO
    assert rig.status()["used"] == NOTHING
    events = [event for event in region.events("begin") if event.what == "probe"]
    assert len(events) == 2 and events[0].done and not events[1].done


def test_main_that_comes_back_before_the_first_probe(rig: Rig) -> None:
    """E6: what failed while the cable was out is written to main, not to the spare."""
    r0 = rig.create()
    rig.main.fail()
    rig.main.hold("write", 0, rig.main.size_bytes // SECTOR)
    writing = rig.background(r0.pwrite, 100, pattern(1, 40))
    wait_for(lambda: rig.main.held() == 1, "the write")
    rig.main.release()
    # the probe may already have failed by now: then the write has, too
    rig.main.back()
    try:
        writing.result(timeout=20)
    except OSError:
        r0.pwrite(100, pattern(1, 40))
    assert rig.status()["used"] == NOTHING
    assert rig.media("main").read(100, 40) == pattern(1, 40)


def test_main_that_blinks_between_the_probes(rig: Rig) -> None:
    """E6, P1: a device that is gone for exactly the confirming write deceives the probes.
    That may cost a slot, never data."""
    r0 = rig.create()
    r0.pwrite(96, pattern(7, 8))
    rig.main.bad(100, times=2)
    r0.pwrite(98, pattern(1, 4))
    assert rig.status()["used"] <= NOTHING + 1
    r0.fsync()
    rig.powercut()
    r0 = rig.create()
    assert r0.pread(96, 8) == pattern(7, 8)[:2 * SECTOR] + pattern(1, 4) + \
        pattern(7, 8)[6 * SECTOR:]


def test_probe_that_does_not_stick(rig: Rig) -> None:
    """E5: a main that takes the probe's write but does not give it back is not alive, when
    the chunks that could take over do not answer either."""
    r0 = rig.create()
    probe = Region(rig).probe_chunk * CHUNK
    rig.main.bad(probe - 2 * CHUNK, 3 * CHUNK, kind="read")
    rig.main.bad(100)
    assert _fails(r0, 100) == errno.EIO
    assert rig.status()["used"] == NOTHING
    rig.main.clear(probe - 2 * CHUNK, 3 * CHUNK)
    r0.pwrite(100, pattern(1))
    assert rig.status()["used"] == NOTHING + 1


def test_storm_freezes_until_thawed(rig: Rig) -> None:
    """E7: more than 1024 chunks at once are not believed; an event says so; what is mapped
    goes on, `remap` by hand too, and only `thaw` ends it."""
    r0 = rig.create()
    rig.main.bad(0, 5 * LARGEST, kind="both")
    event_nr = dm.event_nr("r0")
    began = time.monotonic()
    written = 0
    with pytest.raises(OSError) as caught:
        for start in range(0, 5 * LARGEST, 64):
            r0.pwrite(start, pattern(start, 64))
            written += 64
    assert caught.value.errno == errno.EIO
    refilled = int(time.monotonic() - began) + 1
    assert rig.status()["mode"] == "frozen"
    assert 1024 <= rig.status()["relocations"] <= 1024 + refilled
    assert 1024 * CHUNK <= written <= (1024 + refilled) * CHUNK
    wait_for(lambda: dm.event_nr("r0") > event_nr, "an event")
    time.sleep(1.1)    # no refill ends it
    assert _fails(r0, written + 64) == errno.EIO
    r0.pwrite(0, pattern(7, 64))
    assert r0.pread(0, 64) == pattern(7, 64)
    r0.pwrite(6 * LARGEST, pattern(8))
    rig.message("r0", f"remap {6 * LARGEST} 8")
    assert rig.status()["mode"] == "frozen"
    rig.message("r0", "thaw")
    assert rig.status()["mode"] == "rw"
    r0.pwrite(written, pattern(9, 64))
    assert r0.pread(written, 64) == pattern(9, 64)
    rig.powercut()
    r0 = rig.create()
    assert r0.pread(written, 64) == pattern(9, 64)
    assert r0.pread(64, 64) == pattern(64, 64)
    assert r0.pread(6 * LARGEST) == pattern(8)


def test_a_megabyte_of_bad_sectors_is_no_storm(rig: Rig) -> None:
    """E7: 256 chunks pass at once."""
    r0 = rig.create()
    rig.main.bad(0, LARGEST, kind="both")
    r0.pwrite(0, pattern(1, LARGEST))
    assert rig.status()["mode"] == "rw"
    rig.powercut()
    assert rig.create().pread(0, LARGEST) == pattern(1, LARGEST)


def test_freeze_and_thaw(rig: Rig) -> None:
    """E7: `freeze` turns new remaps off: failing writes get their errors."""
    r0 = rig.create()
    rig.main.bad(100, 2)
    r0.pwrite(100, pattern(1))
    rig.message("r0", "freeze")
    assert rig.status()["mode"] == "frozen"
    rig.main.bad(200)
    assert _fails(r0, 200) == errno.EIO
    r0.pwrite(100, pattern(2))
    assert r0.pread(100) == pattern(2)
    assert mapped_sectors(rig, 200, 8) == []
    rig.message("r0", "thaw")
    r0.pwrite(200, pattern(3))
    assert r0.pread(200) == pattern(3)


def test_bad_slot_is_passed_over(rig: Rig) -> None:
    """D7: a spare chunk that refuses data is marked bad, durably, and another one is taken."""
    r0 = rig.create()
    region = Region(rig)
    rig.spare.bad(region.slot(1) + 4)
    rig.main.bad(100, kind="both")
    r0.pwrite(100, pattern(1))
    assert slot_of(rig, 100) == 2
    assert rig.status()["bad_slots"] == 1
    rig.powercut()
    r0 = rig.create()
    assert r0.pread(100) == pattern(1)
    assert rig.status()["bad_slots"] == 1
    rig.spare.clear()
    rig.main.bad(200)
    r0.pwrite(200, pattern(2))
    assert slot_of(rig, 200) == 3


def test_bad_area_on_the_spare(rig: Rig) -> None:
    """D7: sectors go bad together, on a spare too: 64 KiB of them must not end relocation."""
    r0 = rig.create()
    region = Region(rig)
    rig.spare.bad(region.slot(1), 16 * CHUNK)
    rig.main.bad(100, 2, kind="both")
    for _ in range(10):    # a few errors are bearable, for ever is not
        with contextlib.suppress(OSError):
            r0.pwrite(100, pattern(1))
            break
    assert r0.pread(100) == pattern(1)
    assert rig.status()["bad_slots"] > 0


@pytest.mark.parametrize("gone", ["fail", "read_only"])
def test_dead_spare_relocates_nothing(rig: Rig, gone: str) -> None:
    """P8, D7: without a spare a bad sector is an error again, no slot is blamed for it, main
    serves the rest, and all is well when the spare is back."""
    r0 = rig.create()
    rig.main.bad(200, kind="both")
    r0.pwrite(200, pattern(5))
    r0.fsync()
    rig.main.bad(100)
    getattr(rig.spare, gone)()
    for _ in range(3):
        assert _fails(r0, 100, 4) == errno.EIO
    r0.pwrite(300, pattern(6))
    assert r0.pread(300) == pattern(6)
    assert _fails(r0, 200) == errno.EIO
    if gone == "fail":
        with pytest.raises(OSError):
            r0.pread(200)
    else:
        assert r0.pread(200) == pattern(5)
    assert rig.status()["used"] == NOTHING + 1
    rig.spare.back()
    assert r0.pread(200) == pattern(5)
    assert rig.status()["bad_slots"] == 0
    r0.pwrite(100, pattern(7, 4))
    assert rig.status()["mode"] == "rw"
    rig.powercut()
    r0 = rig.create()
    assert r0.pread(100, 4) == pattern(7, 4)
    assert r0.pread(200) == pattern(5)
    assert rig.status()["bad_slots"] == 0


def test_passing_error_of_the_spare(rig: Rig) -> None:
    """D7: a write to a slot in use that fails once is tried again, with FUA."""
    r0 = rig.create()
    rig.main.bad(100, kind="both")
    r0.pwrite(100, pattern(1))
    region = Region(rig)
    rig.spare.bad(region.slot(1) + 4, times=1)
    rig.server.mark("begin")
    r0.pwrite(100, pattern(2))
    events = [event for event in region.events("begin") if event.what == "slot"]
    assert [event.done for event in events] == [False, True]
    assert events[1].fua
    rig.powercut()
    r0 = rig.create()
    assert r0.pread(100) == pattern(2)


def test_slot_in_use_that_turns_bad(rig: Rig) -> None:
    """P2, D7: its write ends well at a new place or in an error; its read is right or an error."""
    r0 = rig.create()
    r0.pwrite(96, pattern(9, 8))
    r0.fsync()
    rig.main.bad(100, kind="both")
    r0.pwrite(100, pattern(1))
    rig.spare.bad(Region(rig).slot(1) + 4, kind="both")
    with pytest.raises(OSError):
        r0.pread(100)
    try:
        r0.pwrite(100, pattern(2))
    except OSError as error:
        assert error.errno == errno.EIO
        with pytest.raises(OSError):
            r0.pread(100)
        assert rig.status()["used"] == NOTHING + 1
    else:
        assert r0.pread(100) == pattern(2)
        rig.powercut()
        r0 = rig.create()
        assert r0.pread(100) == pattern(2)
    assert r0.pread(96, 4) == pattern(9, 8)[:4 * SECTOR]
    assert r0.pread(101, 3) == pattern(9, 8)[5 * SECTOR:]


def test_read_ahead_counts_for_nothing(rig: Rig) -> None:
    """D5: no reader asked for what it failed to read."""
    r0 = rig.create()
    rig.main.bad(1000, kind="read")
    errors = rig.main.stats()["errors"]
    fd = os.open(r0.path, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 992 * SECTOR, 16 * SECTOR, os.POSIX_FADV_WILLNEED)
        wait_for(lambda: rig.main.stats()["errors"] > errors, "the read-ahead")
    finally:
        os.close(fd)    # waits for it
    assert rig.status()["read_errors"] == 0
    with pytest.raises(OSError):
        r0.pread(1000)
    assert rig.status()["read_errors"] == 1


def test_probe_is_durable(rig: Rig) -> None:
    """E5: the probe goes to the medium itself: what a cache takes proves nothing."""
    r0 = rig.create()
    rig.main.bad(100)
    rig.server.mark("begin")
    r0.pwrite(100, pattern(1))
    probes = [event for event in Region(rig).events("begin") if event.what == "probe"]
    assert len(probes) >= 2
    assert all(probe.fua and probe.done for probe in probes)
