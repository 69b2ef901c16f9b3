# SPDX-License-Identifier: GPL-2.0-only
"""A member that vanished and came back as another device (D10, O18), and what a new table keeps.

"Came back" is a second disk with what the first one had on its media, without what was
only in its cache.
"""

import mmap
import os
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.harness.blockd import FUA, Disk
from tests.harness.disks import LATE
from tests.scenarios import dm
from tests.scenarios.lib import SECTOR, Device, Rig, drop_page_cache, pattern, wait_for
from tests.scenarios.ondisk import Spare

# what is written through leaves nothing in a cache that could be lost; the superblock keeps it
KEEP = "2 write_cache keep"

pytestmark = [pytest.mark.disks(main="1M", spare="640K", back="1M", other="640K"),
              pytest.mark.not_on(*LATE, reason="what is kept in a cache fails late, and "
                                                         "is not relocated at once")]


def come_back(rig: Rig, gone: Disk, back: Disk) -> None:
    """BACK is GONE after a loss of power: its cache is lost."""
    image = gone.media_path.read_bytes()
    gone.fail()
    rig.media(back.name).write(0, image)
    drop_page_cache(str(back.kernel_path))


def put_in(rig: Rig, **members: Disk) -> None:
    rig.reload(flush=False, **{name: str(disk.kernel_path) for name, disk in members.items()})


def main_comes_back(rig: Rig) -> Disk:
    """The disk "back" is main after a loss of power, and the set goes on with it."""
    back = rig.server.disk("back")
    come_back(rig, rig.main, back)
    put_in(rig, main=back)
    return back


def flush_fails(device: Device) -> bool:
    try:
        device.fsync()
    except OSError:
        return True
    return False


def test_flushes_fail_until_the_loss_is_accepted(rig: Rig) -> None:
    """D10: the next flush would succeed, and an acknowledged write is gone."""
    device = rig.create(more=KEEP)
    device.pwrite(100, pattern(1, 8))
    device.fsync()
    device.pwrite(200, pattern(2, 8))
    main_comes_back(rig)
    assert rig.status()["mode"] == "lost-cache"
    assert device.pread(100, 8) == pattern(1, 8) and device.pread(200, 8) != pattern(2, 8)
    assert flush_fails(device) and flush_fails(device)
    assert any("may have lost writes" in line for line in rig.log())
    device.pwrite(200, pattern(3, 8))    # reading and writing go on
    assert flush_fails(device)
    rig.message("r0", "restore")
    assert rig.status()["mode"] == "lost-cache"    # the metadata is not what was lost
    assert "lost writes stay lost" in rig.message("r0", "accept_loss")
    assert not flush_fails(device) and rig.status()["mode"] == "rw"
    with pytest.raises(OSError):
        rig.message("r0", "accept_loss")


def nothing(device: Device) -> None:
    pass


def flushed(device: Device) -> None:
    device.pwrite(100, pattern(1, 8))
    device.fsync()


def only_read(device: Device) -> None:
    flushed(device)
    device.pread(100, 64)


def failed_write(device: Device) -> None:
    flushed(device)
    with pytest.raises(OSError):
        device.pwrite(1000, pattern(9, 8))


@pytest.mark.parametrize("before", [nothing, flushed, only_read])
def test_nothing_is_lost_that_was_flushed(rig: Rig, before: Callable[[Device], None]) -> None:
    """D10: no false alarm where every completed write is covered by a flush."""
    device = rig.create(more=KEEP)
    before(device)
    content = device.pread(0, 2000)
    main_comes_back(rig)
    assert rig.status()["mode"] == "rw" and not flush_fails(device)
    assert device.pread(0, 2000) == content


def test_what_is_on_the_spare_counts_for_the_spare(rig: Rig) -> None:
    """D10: writes to slots leave nothing in main's cache, but in the spare's."""
    device = rig.create(more=KEEP)
    rig.message("r0", "remap 96 8")
    device.fsync()
    device.pwrite(96, pattern(1, 8))
    back, other = main_comes_back(rig), rig.server.disk("other")
    assert rig.status()["mode"] == "rw"
    device.pwrite(96, pattern(2, 8))
    come_back(rig, rig.spare, other)
    put_in(rig, main=back, spare=other)
    assert rig.status()["mode"] == "lost-cache" and flush_fails(device)


def test_writes_with_fua_are_in_no_cache(rig: Rig) -> None:
    """D10: neither a user's nor the worker's: those of a copy, and those that waited for it."""
    device = rig.create(more=KEEP)
    rig.message("r0", "remap 96 8")
    device.fsync()
    rig.main.hold("write", 96, 8)
    copy = rig.background(rig.message, "r0", "unremap 96 8")
    wait_for(rig.main.held, "the copy")
    waits = rig.background(device.pwrite, 96, pattern(2, 8))
    time.sleep(0.05)    # in the queue, behind the copy
    rig.main.release()
    copy.result(20)
    waits.result(20)
    log = [r for r in rig.server.log() if r.disk == 0]
    flushed = max(n for n, r in enumerate(log) if r.kind == "flush")
    cached = [r for n, r in enumerate(log) if r.kind == "write" and r.sector == 96 and
              r.sectors == 8 and not r.flags & FUA and (rig.main.fua or n > flushed)]
    main_comes_back(rig)
    # a write that came late went there like any other, and is in the cache
    assert rig.status()["mode"] == ("lost-cache" if cached else "rw")


def test_what_is_written_through_is_in_no_cache(rig: Rig) -> None:
    """D10, D18: no flush was sent by anybody, and nothing can be lost."""
    device = rig.create()
    device.pwrite(100, pattern(1, 8))
    main_comes_back(rig)
    assert rig.status()["mode"] == "rw" and not flush_fails(device)
    assert device.pread(100, 8) == pattern(1, 8)


def test_a_table_replaced_in_peace_loses_nothing(rig: Rig) -> None:
    """A suspend with a flush empties the caches: a copy made then is whole."""
    device = rig.create(more=KEEP)
    device.pwrite(200, pattern(2, 8))
    rig.media("back").write(0, rig.main.media_path.read_bytes())    # with the mark
    dm.load("r0", rig.table(main=str(rig.server.disk("back").kernel_path)))
    rig.suspend()
    rig.media("back").write(0, rig.main.media_path.read_bytes())
    rig.resume()
    assert rig.status()["mode"] == "rw" and not flush_fails(device)
    assert device.pread(200, 8) == pattern(2, 8)


def test_the_same_device_loses_nothing(rig: Rig) -> None:
    """It never went away: a plain disk's flush would succeed, too."""
    device = rig.create(more=KEEP)
    device.pwrite(200, pattern(2, 8))
    rig.reload(flush=False)
    assert rig.status()["mode"] == "rw" and not flush_fails(device)


def test_over_when_all_have_closed(rig: Rig) -> None:
    """O18: who opens it afterwards relies on no earlier write."""
    device = rig.create(more=KEEP)
    device.pwrite(200, pattern(2, 8))
    back = main_comes_back(rig)
    held = os.open(device.path, os.O_RDONLY)
    rig.close()
    put_in(rig, main=back)    # a further table keeps it
    assert rig.status()["mode"] == "lost-cache"
    os.close(held)
    rig.wait_for_mode("rw")
    again = Device(device.path)
    assert not flush_fails(again)
    again.close()


def test_nobody_had_it_open(rig: Rig) -> None:
    device = rig.create(more=KEEP)
    device.pwrite(200, pattern(2, 8))
    rig.close()
    main_comes_back(rig)
    assert rig.status()["mode"] == "rw"


def older_spare(rig: Rig, device: Device) -> Disk:
    """A copy of the spare that does not know the last remap; nor does main's mark."""
    old = rig.media("spare").whole()
    rig.main.bad(800, 8, kind="write")
    device.pwrite(800, pattern(1, 8))
    other = rig.server.disk("other")
    rig.media("other").write(0, old)
    rig.main.bad(2040, 8, kind="write")    # the mark stays as it was
    return other


def assert_refused(rig: Rig, device: Device, older: Disk) -> None:
    with pytest.raises(OSError):
        put_in(rig, spare=older)
    assert any("went back" in line or "older" in line for line in rig.log())
    put_in(rig)
    assert device.pread(800, 8) == pattern(1, 8)


def test_an_older_spare_does_not_come_back(rig: Rig) -> None:
    """D10: never below what RAM has acknowledged, also where main's mark cannot tell."""
    device = rig.create(more=KEEP)
    other = older_spare(rig, device)
    assert_refused(rig, device, other)


@pytest.mark.parametrize("leap", [1, 1000])
def test_a_spare_that_another_system_wrote(rig: Rig, leap: int) -> None:
    """D22: it was away while the device was open, and what programs know is of before."""
    device = rig.create(more=KEEP)
    rig.main.bad(800, 8, kind="write")
    device.pwrite(800, pattern(1, 8))
    device.fsync()
    rig.media("other").write(0, rig.media("spare").whole())
    spare = Spare(rig.media("other"), rig.spare.size_bytes // SECTOR)
    block = spare.newest(1).with_seq(spare.highest() + leap)
    for sector in [spare.next_sector(1, replica) for replica in (0, 1)]:
        rig.media("other").write(sector, block.data)
    put_in(rig, spare=rig.server.disk("other"))
    assert rig.status()["mode"] == "fail"
    with pytest.raises(OSError):
        device.pread(800)


def test_freeze_and_settings_outlive_a_table(rig: Rig) -> None:
    """An administrator's word counts until he takes it back; so does the storm limit's (E7)."""
    rig.create()
    rig.message("r0", "freeze")
    rig.reload()
    assert rig.status()["mode"] == "frozen"
    rig.powercut()
    device = rig.create(more=KEEP)
    assert rig.status()["mode"] == "frozen"
    rig.main.bad(800, 8, kind="write")
    with pytest.raises(OSError):
        device.pwrite(800, pattern(1, 8))
    rig.message("r0", "thaw")
    rig.reload()
    device.pwrite(800, pattern(1, 8))
    assert rig.status()["mode"] == "rw"
    rig.powercut()
    rig.create()
    assert rig.status()["mode"] == "rw"


def test_counters_start_anew(rig: Rig) -> None:
    device = rig.create(more=KEEP)
    rig.main.bad(800, 8, kind="write")
    device.pwrite(800, pattern(1, 8))
    rig.message("r0", "save")
    assert rig.status()["relocations"] == 1 and rig.status()["write_errors"] > 0
    rig.message("r0", "stats_clear")
    status = rig.status()
    assert {status[key] for key in ("relocations", "write_errors", "saves_ok")} == {0}
    assert status["used"] == 2 and device.pread(800, 8) == pattern(1, 8)
    rig.message("r0", "save")
    rig.reload()
    assert rig.status()["relocations"] == 0


@pytest.mark.disks(main="8M", spare="640K", back="8M")
def test_journals_cannot_commit_either(rig: Rig) -> None:
    """D10: device-mapper forgets the error of a preflush, so their FUA writes must fail."""
    rig.create(more=KEEP)
    subprocess.run(["mkfs.ext4", "-q", rig.device().path], check=True)
    place = rig.mount(rig.device(), "ext4", "commit=900,noinit_itable")    # no flush by itself
    with open(place / "direct", "wb", buffering=0) as file:
        file.write(pattern(3, 64))
        os.fsync(file.fileno())
    # completed, and in no flush
    direct = os.open(place / "direct", os.O_WRONLY | os.O_DIRECT)
    with mmap.mmap(-1, 4096) as buffer:
        buffer[:] = pattern(4, 8)
        os.pwrite(direct, buffer, 0)
    os.close(direct)
    main_comes_back(rig)
    assert rig.status()["mode"] == "lost-cache"
    with open(place / "after", "wb", buffering=0) as file:
        file.write(pattern(5, 8))
        with pytest.raises(OSError):
            os.fsync(file.fileno())


def test_over_after_a_suspend_without_a_new_table(rig: Rig) -> None:
    """O18: the wait for the last opener goes on after any resume."""
    device = rig.create(more=KEEP)
    device.pwrite(200, pattern(2, 8))
    main_comes_back(rig)
    rig.suspend()
    rig.resume()
    assert rig.status()["mode"] == "lost-cache"
    rig.close()
    rig.wait_for_mode("rw")


def test_a_table_in_between_forgets_nothing(rig: Rig) -> None:
    """D10: what the first instance left unflushed in main is still so for the third."""
    device = rig.create(more=KEEP)
    device.pwrite(200, pattern(2, 8))
    image = rig.main.media_path.read_bytes()
    rig.main.fail()
    put_in(rig)    # main is still the one that is gone
    back = rig.server.disk("back")
    rig.media("back").write(0, image)
    drop_page_cache(str(back.kernel_path))
    put_in(rig, main=back)
    assert device.pread(200, 8) != pattern(2, 8)
    assert rig.status()["mode"] == "lost-cache" and flush_fails(device)


@pytest.mark.parametrize("peace", [True, False])
def test_a_spare_whose_writes_were_durable_loses_nothing(rig: Rig, peace: bool) -> None:
    """D10: relocations flush what they wrote and commit with FUA: another spare with the same
    media is no loss; nor is one that was activated and only read."""
    device = rig.create(more=KEEP)
    rig.main.bad(800, 8, kind="write")
    device.pwrite(800, pattern(1, 8))
    other = rig.server.disk("other")
    if peace:
        rig.message("r0", "remap 96 8")
        device.pwrite(96, pattern(2, 8))
        dm.load("r0", rig.table())    # opens the disks
        rig.suspend()
        dm.clear("r0")
        rig.media("other").write(0, rig.spare.media_path.read_bytes())
        dm.load("r0", rig.table(spare=str(other.kernel_path)))
        rig.resume()
        assert device.pread(96, 8) == pattern(2, 8)
    else:
        come_back(rig, rig.spare, other)
        put_in(rig, spare=other)
    assert rig.status()["mode"] == "rw" and not flush_fails(device)
    assert device.pread(800, 8) == pattern(1, 8)


@pytest.mark.parametrize("hung", ["main", "spare"])
def test_suspend_without_flush_asks_nothing_of_a_hung_member(rig: Rig, hung: str) -> None:
    """D11: soft state, mark and flushes would hang with it; nothing acknowledged needs them."""
    device = rig.create(more=KEEP)
    rig.main.bad(800, 8, kind="write")
    device.pwrite(800, pattern(1, 8))
    device.pwrite(200, pattern(2, 8))
    disk = rig.server.disk(hung)
    for kind in ("write", "read", "flush"):
        disk.hold(kind, *(() if kind == "flush" else (0, disk.size_bytes // 512)))
    suspending = rig.background(rig.suspend, "r0", False)
    suspending.result(20)
    assert disk.held() == 0
    disk.release()
    rig.resume()
    assert device.pread(800, 8) == pattern(1, 8) and device.pread(200, 8) == pattern(2, 8)
    device.fsync()


def fail_to_resume(rig: Rig, **members: Disk) -> None:
    """A table whose metadata cannot be read: device-mapper destroys the one before it."""
    dm.load("r0", rig.table(**{name: str(disk.kernel_path) for name, disk in members.items()}))
    dm.suspend("r0", flush=False)
    spare = members.get("spare", rig.spare)
    spare.bad(0, spare.size_bytes // 512, kind="read")
    drop_page_cache(str(spare.kernel_path))
    with pytest.raises(OSError):
        dm.resume("r0")
    spare.clear()


@pytest.mark.parametrize("another", [True, False])
def test_a_table_that_failed_forgets_nothing(rig: Rig, another: bool) -> None:
    """D10: no table inherited what the first instance knew; the next table does, or the same
    one at its second try."""
    device = rig.create(more=KEEP)
    device.pwrite(200, pattern(2, 8))
    back = rig.server.disk("back")
    come_back(rig, rig.main, back)
    fail_to_resume(rig, main=back)
    if another:
        put_in(rig, main=back)
    else:
        rig.resume()
    assert rig.status()["mode"] == "lost-cache" and flush_fails(device)


@pytest.mark.parametrize("failed", [True, False])
def test_a_table_of_errors_forgets_nothing(rig: Rig, failed: bool) -> None:
    """D10: what the command loads when a return fails, and what a forced removal does."""
    device = rig.create(more=KEEP)
    device.pwrite(200, pattern(2, 8))
    back = rig.server.disk("back")
    come_back(rig, rig.main, back)
    if failed:
        fail_to_resume(rig, main=back)
    dm.load("r0", f"0 {device.sectors()} error")
    if not failed:
        dm.suspend("r0", flush=False)
    dm.resume("r0")
    put_in(rig, main=back)
    assert rig.status()["mode"] == "lost-cache" and flush_fails(device)


def test_a_table_that_failed_forgets_no_commit(rig: Rig) -> None:
    """D10: an older spare is refused after it as well as before."""
    device = rig.create(more=KEEP)
    other = older_spare(rig, device)
    fail_to_resume(rig)
    assert_refused(rig, device, other)


def test_a_device_that_was_removed_leaves_nothing(rig: Rig) -> None:
    """One that is created again starts anew: no process has it open."""
    device = rig.create(more=KEEP)
    device.pwrite(200, pattern(2, 8))
    back = rig.server.disk("back")
    come_back(rig, rig.main, back)
    fail_to_resume(rig, main=back)
    rig.close()
    rig.remove()
    device = rig.create(table=rig.table(main=str(back.kernel_path)))
    assert rig.status()["mode"] == "rw" and not flush_fails(device)


def test_a_read_only_table_forgets_no_commit(rig: Rig) -> None:
    """D10: an older spare is refused after it, too."""
    device = rig.create(more=KEEP)
    other = older_spare(rig, device)
    dm.load("r0", rig.table(), read_only=True)
    dm.suspend("r0", flush=False)
    dm.resume("r0")
    assert rig.status()["mode"] == "ro"
    assert_refused(rig, device, other)
