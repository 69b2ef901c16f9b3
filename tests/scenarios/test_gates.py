# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors that a disk tells once, where several may hear them: two gates on one disk, main and
spare on one disk, a held main, loads; and what a pulled disk or spare leaves (D17 to D19, D22, E9).

Told once, an error belongs to the user whose data is gone: a write that was acknowledged is
there, or the next flush fails. An error that was told, or is another one's, fails nothing else.
See test_real_disks.py for one set on two disks.
"""

import time
from pathlib import Path

import pytest

from tests.scenarios.late_errors import BACK, NO_FUA, OLD, A, B, set_of, slot_sector, told
from tests.scenarios.lib import SECTOR, Device, Rig, drop_page_cache, pattern, wait_for
from tests.scenarios.made import older_spare_put_in
from tests.scenarios.ondisk import Spare
from tests.scenarios.region import Region, is_mapped, slot_of

SET = 1                   # slots used by a set that has remapped nothing
DISK = 65536              # sectors of one disk of 32M
SPARE = 16384             # sectors of a spare of 8M
OUT_S = 4                 # how long a disk is pulled: the lost data is looked for meanwhile
SMALL = {"main": "1M", "spare": "1M"}


# one disk, more than one way to it

@pytest.mark.disks(main=NO_FUA)
def test_an_error_at_the_other_gate_of_the_disk(rig: Rig) -> None:
    """D17: main and spare are volumes of one disk; the spare's flush loses what is in main."""
    disk = rig.main.kernel_path
    main = rig.create("main", f"0 {DISK} linear {disk} 0")
    spare = rig.create("spare", f"0 {SPARE} linear {disk} 98304")
    device = rig.create(table=f"0 {DISK} remap {main.path} {spare.path} 0 {SPARE}")
    device.pwrite(800, OLD)
    device.fsync()
    rig.main.late(800, times=1)
    rig.main.hold("flush")
    save = rig.background(rig.message, "r0", "save")
    wait_for(lambda: rig.main.held() == 1, "the flush of ours")
    writes = rig.main.stats()["writes"]
    writing = rig.background(device.pwrite, 800, A)
    wait_for(lambda: rig.main.stats()["writes"] > writes, "the write in the cache")
    time.sleep(0.2)
    rig.main.release()
    told(lambda: save.result(timeout=20), lambda: writing.result(timeout=20))
    first, _ = told(device.fsync, device.fsync)
    assert first or device.pread(800) == A, "lost, and no error told of it"


@pytest.mark.disks(main=NO_FUA)
@pytest.mark.parametrize("mode", ["through", "keep"])
def test_a_write_to_a_slot_while_main_is_held(rig: Rig, mode: str) -> None:
    """D17, D19: main and spare are one disk; a slot's late error is due while a passing error of
    a good sector is confirmed: the user is told of the one, and the other is not remapped."""
    disk = rig.main.kernel_path
    device = rig.create(table=f"0 {DISK} remap {disk} {disk} 98304 {SPARE} 2 write_cache {mode}")
    rig.message("r0", "remap 400 1")
    device.pwrite(400, OLD)
    device.fsync()
    place = rig.message("r0", "verify 400").split("spare_sector=")[1].split()[0]
    rig.main.late(int(place), times=1)
    rig.main.hold("write", int(place))
    slot = rig.background(device.pwrite, 400, B)
    wait_for(lambda: rig.main.held() == 1, "the write to the slot")
    rig.main.bad(1200, times=1, delay_ms=600)
    good = rig.background(device.pwrite, 1200, A)
    time.sleep(1.2)    # the error is there, and confirmed when the slot's write is done
    rig.main.release()
    told(lambda: good.result(timeout=30), lambda: slot.result(timeout=30))
    first, _ = told(device.fsync, device.fsync)
    assert first or device.pread(400) == B, "lost, and no error told of it"
    assert not is_mapped(rig, 1200)


@pytest.mark.disks(main="32M", spare="8M:fua=off")
@pytest.mark.parametrize("shared", ["before", "afterwards"])
def test_an_error_that_is_owed_when_the_gates_change(rig: Rig, shared: str) -> None:
    """D17: a flush of ours had the error; the next table reaches main by a mapped device, of which
    it is not known what lies below, and has one gate for both members; and the reverse."""
    linear = rig.create("main", f"0 {DISK} linear {rig.main.kernel_path} 0")
    mains = [str(rig.main.kernel_path), linear.path]
    first_main, next_main = mains if shared == "afterwards" else reversed(mains)
    device = rig.create(main=first_main)
    rig.message("r0", "remap 400 1")
    device.pwrite(400, OLD)
    device.fsync()
    rig.spare.late(slot_sector(rig, slot_of(rig, 400)), times=1)
    device.pwrite(400, B)
    rig.reload(main=next_main)
    first, second = told(device.fsync, device.fsync)
    assert first or device.pread(400) == B, "lost, and no error told of it"
    assert not second


@pytest.mark.disks(main=NO_FUA)
def test_auto_that_came_while_main_had_no_cache(rig: Rig) -> None:
    """D17, D18: main's cache is on again, has an acknowledged write, and loses it to the flush with
    which `auto` ends."""
    device = set_of(rig, "through")
    rig.suspend()
    rig.create("r1")
    rig.message("r1", "write_cache auto")
    rig.remove("r1")
    cache = Path(f"/sys/block/{rig.main.kernel_path.name}/queue/write_cache")
    cache.write_text("write through")
    rig.resume()
    cache.write_text("write back")
    assert rig.status()["write_cache"] == "auto"
    rig.main.late(800, times=1)
    device.pwrite(800, A)
    rig.main.bad(1200, kind="read", times=1)
    assert told(lambda: device.pread(1200)) == [True]
    wait_for(lambda: rig.main.stats()["lost"], "the flush of ours")
    time.sleep(0.5)    # and the one behind it
    assert told(device.fsync, device.fsync) == [True, False]
    assert device.pread(800) == OLD


# an error that was told, or is another one's

@pytest.mark.disks(main=NO_FUA)
def test_an_error_is_told_once(rig: Rig) -> None:
    """D17: what was given to a flush is owed to no later flush, write or FUA write."""
    device = set_of(rig, "keep")
    rig.main.late(800, times=1)
    device.pwrite(800, A)
    assert told(device.fsync) == [True]
    time.sleep(1)      # what the target does about it is done in the background
    assert told(lambda: device.pwrite(800, A), device.fsync, device.fsync,
                lambda: device.pwrite(2400, B, fua=True)) == [False] * 4
    assert device.pread(800) == A and device.pread(2400) == B


@pytest.mark.disks(main=NO_FUA)
def test_a_relocation_does_not_fail_of_anothers_late_error(rig: Rig) -> None:
    """D17: an owed error is a flush's or a FUA write's; a plain write to a bad sector succeeds."""
    device = set_of(rig, "keep")
    rig.main.bad(400)
    rig.main.late(800, times=1)
    device.pwrite(800, A)
    assert told(lambda: device.pwrite(400, B)) == [False]
    assert device.pread(400) == B
    first, _ = told(device.fsync, device.fsync)
    assert first or device.pread(800) == A, "lost, and no error told of it"


@pytest.mark.disks(spare="8M:fua=off")
def test_a_commit_does_not_fail_of_anothers_slot(rig: Rig) -> None:
    """D19: the slot of a lost sector fails late at the flush that a relocation shares with it."""
    device = rig.create()
    region = Region(rig)
    device.pwrite(1200, OLD)
    rig.main.bad(1200, kind="read")
    rig.message("r0", "remap 1200 1")
    rig.main.clear()
    slot = slot_of(rig, 1200)
    assert slot is not None
    rig.spare.late(region.slot(slot))
    rig.main.bad(2400)
    rig.spare.hold("write", region.slot(slot + 1), 8)
    rescue = rig.background(rig.message, "r0", "remap 4000 1")
    wait_for(lambda: rig.spare.held() == 1, "the copy")
    lost = rig.background(device.pwrite, 1200, A)
    innocent = rig.background(device.pwrite, 2400, B)
    time.sleep(0.3)    # both wait for the worker
    rig.spare.release()
    rescue.result(timeout=20)
    failed, _ = told(lambda: lost.result(timeout=20), lambda: innocent.result(timeout=20))
    status = rig.status()
    assert status["commit_failures"] == 0 and status["rejected"] == 0
    assert failed or device.pread(1200) == A
    assert device.pread(2400) == B


@pytest.mark.disks(spare="8M:fua=off")
@pytest.mark.parametrize("repair", [False, True])
def test_an_error_at_the_flush_of_a_load(rig: Rig, repair: bool) -> None:
    """D17: a new table flushes the spare when it is loaded, also to repair a replica."""
    device = set_of(rig, "through")
    rig.main.bad(400)
    device.pwrite(400, OLD)
    device.fsync()
    region = Region(rig)
    place = slot_sector(rig, slot_of(rig, 400))
    rig.message("r0", "sync")
    rig.message("r0", "save")
    device.fsync()
    if repair:
        for copy in (0, 1):
            rig.media("spare").write(region.block(1, copy, 2), bytes(8 * SECTOR))
    rig.spare.late(place, times=1)
    device.pwrite(400, B)
    rig.reload(flush=False)
    assert (rig.status()["repaired"] > 0) == repair
    first, _ = told(device.fsync, device.fsync)
    assert first or device.pread(400) == B, "lost, and no error told of it"


# a main of several disks of which one is pulled

def two_disks(rig: Rig, more: str = "") -> Device:
    """A set on a volume of main and, behind it, "other"."""
    one, two = rig.main.kernel_path, rig.server.disk("other").kernel_path
    volume = rig.create("volume", f"0 {DISK} linear {one} 0\n{DISK} {DISK} linear {two} 0")
    return rig.create(table=f"0 {2 * DISK} remap {volume.path} {rig.spare.kernel_path} 0 {SPARE}"
                            f" {more}")


@pytest.mark.disks(main="32M:fua=off", other="32M:fua=off")
@pytest.mark.parametrize("mode", BACK)
@pytest.mark.parametrize("disks", [1, 2])
def test_what_is_durable_is_not_lost_with_the_cache(rig: Rig, disks: int, mode: str) -> None:
    """D19, E9: main is pulled, a flush fails, and what was lost with its cache is looked for:
    a chunk that cannot be read meanwhile is neither lost nor bad."""
    more = f"2 write_cache {mode}"
    device = rig.create(more=more) if disks == 1 else two_disks(rig, more)
    data = pattern(1, 8192)
    for sector in range(0, 8192, 256):
        device.pwrite(sector, data[sector * SECTOR:(sector + 256) * SECTOR])
    device.fsync()
    used = rig.status()["used"]
    device.pwrite(40, A)    # something is in the cache
    rig.main.fail()
    told(device.fsync)
    time.sleep(OUT_S)
    rig.main.back()
    time.sleep(1)           # and for a while after
    assert rig.status()["used"] == used
    assert device.pread(48, 2000) == data[48 * SECTOR:2048 * SECTOR]


@pytest.mark.parametrize("cache", ["none", "said to be none"])
def test_remap_by_hand_while_a_disk_is_pulled(request: pytest.FixtureRequest, cache: str) -> None:
    """E9: no sector is called lost because its disk is away for a moment."""
    options = "32M:vcache=off" if cache == "none" else "32M"
    request.node.add_marker(pytest.mark.disks(main=options, other=options))
    rig: Rig = request.getfixturevalue("rig")
    for disk in (rig.main, rig.server.disk("other")):
        queue = Path(f"/sys/block/{disk.kernel_path.name}/queue/write_cache")
        queue.write_text("write through")
    device = two_disks(rig)
    device.pwrite(40, pattern(1, 8))
    device.fsync()
    rig.main.fail()
    told(lambda: rig.message("r0", "remap 40 8"))
    rig.main.back()
    assert rig.status()["lost_sectors"] == 0
    assert device.pread(40, 8) == pattern(1, 8)


# a set without its spare

@pytest.mark.disks(**SMALL)
def test_a_set_that_failed_stays_so_without_its_spare(rig: Rig) -> None:
    """D22: another spare came back; a degraded resume does not forget that."""
    device, old = older_spare_put_in(rig)
    assert told(lambda: device.pwrite(400, A)) == [True]
    rig.spare.fail()
    rig.suspend()
    rig.resume()
    outcome = told(lambda: device.pwrite(400, A))
    rig.close()
    rig.spare.back()
    rig.remove()
    assert outcome == [True]
    assert rig.media("main").read(400) == bytes(SECTOR)
    assert rig.media("spare").whole() == old


@pytest.mark.disks(**SMALL)
def test_a_set_that_failed_stays_so_after_a_resume_that_failed(rig: Rig) -> None:
    """D22: only an old superblock can be read, then none: the next resume knows the mode still."""
    device, _ = older_spare_put_in(rig)
    assert told(lambda: device.pwrite(400, A)) == [True]
    spare = Spare.of(rig)
    for replica in 0, 1:
        rig.spare.bad(spare.sector(replica, 1, 0), 8, kind="read")
    drop_page_cache(str(rig.spare.kernel_path))
    rig.suspend()
    with pytest.raises(OSError):
        rig.resume()
    rig.spare.fail()
    rig.resume()
    outcome = told(lambda: device.pwrite(400, A))
    rig.close()
    rig.spare.back()
    rig.spare.clear()
    rig.remove()
    assert outcome == [True] and rig.media("main").read(400) == bytes(SECTOR)


@pytest.mark.disks(**SMALL)
def test_a_spare_that_was_away_twice_is_the_same(rig: Rig) -> None:
    """D22: two degraded resumes, and the set's own commits are no other host's."""
    device = rig.create()
    rig.main.bad(100)
    device.pwrite(96, pattern(1, 8))
    device.fsync()
    rig.spare.fail()
    for _ in range(2):
        rig.suspend()
        rig.resume()
    rig.spare.back()
    rig.wait_for_mode("rw")
    rig.main.bad(800)
    device.pwrite(800, pattern(4))
    device.fsync()
    rig.suspend()
    rig.resume()
    assert rig.status()["mode"] == "rw"
    assert device.pread(96, 8) == pattern(1, 8) and device.pread(800) == pattern(4)
