# SPDX-License-Identifier: GPL-2.0-only
"""A member that vanished and came back as another device (D10, O18), and what a new table keeps.

"Came back" is a second disk with what the first one had on its media, without what was
only in its cache.
"""

import os
import time
from collections.abc import Callable

import pytest

from tests.harness.blockd import FUA, Disk
from tests.scenarios import dm
from tests.scenarios.lib import Device, Rig, drop_page_cache, pattern, wait_for

pytestmark = pytest.mark.disks(main="1M", spare="640K", back="1M", other="640K")


def come_back(rig: Rig, gone: Disk, back: Disk) -> None:
    """BACK is GONE after a loss of power: its cache is lost."""
    image = gone.media_path.read_bytes()
    gone.fail()
    rig.media(back.name).write(0, image)
    drop_page_cache(str(back.kernel_path))


def put_in(rig: Rig, **members: Disk) -> None:
    rig.reload(flush=False, **{name: str(disk.kernel_path) for name, disk in members.items()})


def flush_fails(device: Device) -> bool:
    try:
        device.fsync()
    except OSError:
        return True
    return False


def test_flushes_fail_until_the_loss_is_accepted(rig: Rig) -> None:
    """D10: the next flush would succeed, and an acknowledged write is gone."""
    device = rig.create()
    device.pwrite(100, pattern(1, 8))
    device.fsync()
    device.pwrite(200, pattern(2, 8))
    back = rig.server.disk("back")
    come_back(rig, rig.main, back)
    put_in(rig, main=back)
    assert rig.status()["mode"] == "lost-cache"
    assert device.pread(100, 8) == pattern(1, 8) and device.pread(200, 8) != pattern(2, 8)
    assert flush_fails(device) and flush_fails(device)
    assert any("may have lost writes" in line for line in rig.log())
    device.pwrite(200, pattern(3, 8))    # reading and writing go on
    assert flush_fails(device)
    rig.message("r0", "restore")
    assert rig.status()["mode"] == "lost-cache"    # the metadata is not what was lost
    assert "what was lost is lost" in rig.message("r0", "accept_loss")
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
    device = rig.create()
    before(device)
    content = device.pread(0, 2000)
    back = rig.server.disk("back")
    come_back(rig, rig.main, back)
    put_in(rig, main=back)
    assert rig.status()["mode"] == "rw" and not flush_fails(device)
    assert device.pread(0, 2000) == content


def test_what_is_on_the_spare_counts_for_the_spare(rig: Rig) -> None:
    """D10: writes to slots leave nothing in main's cache, but in the spare's."""
    device = rig.create()
    rig.message("r0", "remap 96 8")
    device.fsync()
    device.pwrite(96, pattern(1, 8))
    back, other = rig.server.disk("back"), rig.server.disk("other")
    come_back(rig, rig.main, back)
    put_in(rig, main=back)
    assert rig.status()["mode"] == "rw"
    device.pwrite(96, pattern(2, 8))
    come_back(rig, rig.spare, other)
    put_in(rig, main=back, spare=other)
    assert rig.status()["mode"] == "lost-cache" and flush_fails(device)


def test_writes_with_fua_are_in_no_cache(rig: Rig) -> None:
    """D10: neither a user's nor the worker's: those of a copy, and those that waited for it."""
    device = rig.create()
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
    sent = [r for r in rig.server.log() if r.kind == "write" and r.disk == 0 and
            r.sector == 96 and r.sectors == 8]
    cached = [r for r in sent if not r.flags & FUA]
    back = rig.server.disk("back")
    come_back(rig, rig.main, back)
    put_in(rig, main=back)
    # a write that came late went there like any other, and is in the cache
    assert rig.status()["mode"] == ("lost-cache" if cached else "rw")


def test_a_table_replaced_in_peace_loses_nothing(rig: Rig) -> None:
    """A suspend with a flush empties the caches: a copy made then is whole."""
    device = rig.create()
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
    device = rig.create()
    device.pwrite(200, pattern(2, 8))
    rig.reload(flush=False)
    assert rig.status()["mode"] == "rw" and not flush_fails(device)


def test_over_when_all_have_closed(rig: Rig) -> None:
    """O18: who opens it afterwards relies on no earlier write."""
    device = rig.create()
    device.pwrite(200, pattern(2, 8))
    back = rig.server.disk("back")
    come_back(rig, rig.main, back)
    put_in(rig, main=back)
    held = os.open(device.path, os.O_RDONLY)
    rig.close()
    put_in(rig, main=back)    # a further table keeps it
    assert rig.status()["mode"] == "lost-cache"
    os.close(held)
    wait_for(lambda: rig.status()["mode"] == "rw", "the end of lost-cache")
    again = Device(device.path)
    assert not flush_fails(again)
    again.close()


def test_nobody_had_it_open(rig: Rig) -> None:
    device = rig.create()
    device.pwrite(200, pattern(2, 8))
    rig.close()
    back = rig.server.disk("back")
    come_back(rig, rig.main, back)
    put_in(rig, main=back)
    assert rig.status()["mode"] == "rw"


def test_an_older_spare_does_not_come_back(rig: Rig) -> None:
    """D10: never below what RAM has acknowledged, also where main's mark cannot tell."""
    device = rig.create()
    old = rig.media("spare").whole()
    rig.main.bad(800, 8, kind="write")
    device.pwrite(800, pattern(1, 8))
    other = rig.server.disk("other")
    rig.media("other").write(0, old)
    rig.main.bad(2040, 8, kind="write")    # the mark stays as it was
    with pytest.raises(OSError):
        put_in(rig, spare=other)
    assert any("went back" in line or "older" in line for line in rig.log())
    put_in(rig)
    assert device.pread(800, 8) == pattern(1, 8)


def test_freeze_and_settings_outlive_a_table(rig: Rig) -> None:
    """An administrator's word counts until he takes it back; so does the storm limit's."""
    device = rig.create()
    rig.message("r0", "freeze")
    rig.reload()
    assert rig.status()["mode"] == "frozen"
    rig.main.bad(800, 8, kind="write")
    with pytest.raises(OSError):
        device.pwrite(800, pattern(1, 8))
    rig.message("r0", "thaw")
    rig.reload()
    device.pwrite(800, pattern(1, 8))
    assert rig.status()["mode"] == "rw"


def test_counters_start_anew(rig: Rig) -> None:
    device = rig.create()
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
