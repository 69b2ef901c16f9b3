# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways to lose data that were found by attacking the module, each as a test that failed."""

import errno
import subprocess
import time

import pytest

from tests.scenarios import dm
from tests.scenarios.lib import Device, Rig, partition, pattern, resume_one_of_two, wait_for
from tests.scenarios.ondisk import seal
from tests.scenarios.region import Region


def test_partition_as_main_keeps_its_neighbours(rig: Rig) -> None:
    """A confirming write must get the partition's offset like the first one did (P3)."""
    loop = subprocess.run(["losetup", "-f", "--show", "--direct-io=on", rig.main.kernel_path],
                          capture_output=True, text=True, check=True).stdout.strip()
    try:
        partition(loop, 1, 1, 2048, 65536)
        outside = rig.media("main").read(0, 2048)
        r0 = rig.create(main=f"{loop}p1", length=65536)
        rig.main.bad(2048 + 100, kind="write")
        r0.pwrite(96, pattern(1, 8))
        rig.main.clear()
        rig.main.bad(2048 + 300, kind="write", times=1)
        r0.pwrite(300, pattern(2))
        r0.fsync()
        assert rig.media("main").read(0, 2048) == outside
        assert r0.pread(96, 8) == pattern(1, 8)
        assert r0.pread(300) == pattern(2)
        assert rig.status()["used"] == 2
        rig.remove()
    finally:
        partition(loop, 2, 1)
        subprocess.run(["losetup", "-d", loop], check=True)


@pytest.mark.parametrize("how", ["reload", "recreate"])
def test_flush_covers_what_an_earlier_instance_wrote(rig: Rig, how: str) -> None:
    """D9: an instance that wrote nothing yet still owes the spare a flush (P1)."""
    r0 = rig.create()
    rig.message("r0", "remap 96 8")
    r0.pwrite(96, pattern(1, 8))
    if how == "reload":
        rig.reload()
    else:
        rig.remove()
        r0 = rig.create()
    r0.fsync()
    rig.powercut()
    assert rig.create().pread(96, 8) == pattern(1, 8)


def test_blank_spare_for_a_main_that_has_a_set_is_refused(rig: Rig) -> None:
    """P2, P7: served without its spare, main would return what was there before the remaps."""
    r0 = rig.create(spare_len=8192)
    r0.pwrite(96, pattern(1, 8))
    rig.message("r0", "remap 96 8")
    r0.pwrite(96, pattern(2, 8))
    rig.remove()
    with pytest.raises(OSError):
        rig.create(spare_start=8192, spare_len=8192)
    assert rig.media("spare").read(8192, 8192) == bytes(8192 * 512)
    assert any("mark" in line for line in rig.log())
    assert rig.create(spare_len=8192).pread(96, 8) == pattern(2, 8)


def test_unreadable_copy_does_not_come_back_newer(rig: Rig) -> None:
    """C2, C5: what load could not read may be a later commit; it must not outlive the load."""
    r0 = rig.create()
    r0.pwrite(96, pattern(1, 8))
    r0.fsync()
    region = Region(rig)
    media = rig.media("spare")
    current = max(range(2), key=lambda place: int.from_bytes(
        media.read(region.block(0, place, 1))[32:40], "little"))
    good = region.block(0, current, 1)
    other = region.block(0, 1 - current, 1)
    rig.remove()
    # a commit that a power cut left on one place of one replica: sectors of chunk 12 in slot 1
    block = bytearray(media.read(good, 8))
    block[32:40] = (int.from_bytes(block[32:40], "little") + 1).to_bytes(8, "little")
    block[64 + 16:64 + 32] = (12 | 0xff << 48).to_bytes(8, "little") + bytes(4) + b"\x01\x01\0\0"
    media.write(other, seal(bytes(block)))
    rig.spare.bad(other, count=8, kind="read")
    r0 = rig.create()
    mode = rig.status()["mode"]
    if mode == "rw":
        r0.pwrite(96, pattern(2, 8))
        r0.fsync()
    rig.remove()
    rig.spare.clear()
    r0 = rig.create()
    assert r0.pread(96, 8) == pattern(2 if mode == "rw" else 1, 8)
    assert mode == "rw"


def test_rescue_during_a_hiccup_of_main_loses_nothing(rig: Rig) -> None:
    """P5: what fails once and reads well after a good probe is not lost."""
    r0 = rig.create()
    r0.pwrite(96, pattern(1, 8))
    r0.fsync()
    # the read of the chunk and the first reads of its sectors
    rig.main.bad(96, count=8, kind="read", times=9)
    rig.message("r0", "remap 96 8")
    assert rig.status()["lost_sectors"] == 0
    assert r0.pread(96, 8) == pattern(1, 8)


def test_big_slow_failure_ends_by_its_deadline(rig: Rig) -> None:
    """E4: a bio with many bad chunks on a disk that takes its time is given up in time."""
    r0 = rig.create(more="2 deadline 1")
    rig.main.bad(1024, count=1024, kind="write", delay_ms=100)
    start = time.monotonic()
    with pytest.raises(OSError):
        r0.pwrite(1024, pattern(1, 1024))
    assert time.monotonic() - start < 6
    assert 1 < rig.status()["used"] < 1 + 1024 // 8    # what was confirmed in time is kept


@pytest.mark.disks(main="64M:logical=4096", spare="8M:logical=4096", other="64M:logical=4096")
def test_wrong_main_with_4k_blocks_is_refused(rig: Rig) -> None:
    """P7, O6: the mark is read by the logical block."""
    rig.create()
    rig.remove()
    with pytest.raises(OSError):
        rig.create(main=str(rig.server.disk("other").kernel_path))
    rig.create()


@pytest.mark.parametrize("place", range(2))
def test_unknown_newer_superblock_is_not_passed_over(rig: Rig, place: int) -> None:
    """P7: an older place without the new feature bit is no way around it."""
    rig.create()
    rig.message("r0", "sync")
    rig.remove()
    region, media = Region(rig), rig.media("spare")
    newest = max((media.read(region.block(r, p, 0), 8)[32:40][::-1], r, p)
                 for r in range(2) for p in range(2))
    sector = region.block(newest[1], place, 0)
    block = bytearray(media.read(sector, 8))
    block[32:40] = (int.from_bytes(newest[0], "big") + 5).to_bytes(8, "little")
    block[72:80] = (1 << 7).to_bytes(8, "little")
    media.write(sector, seal(bytes(block)))
    before = media.whole()
    with pytest.raises(OSError):
        rig.create()
    assert media.whole() == before


def test_frozen_set_still_ends_a_lost_sector(rig: Rig) -> None:
    """D6 needs no new remap, so freezing does not forbid it."""
    r0 = rig.create()
    rig.main.bad(98, kind="read")
    rig.message("r0", "remap 98")
    rig.message("r0", "freeze")
    r0.pwrite(98, pattern(3))
    assert r0.pread(98) == pattern(3)


def test_writes_during_a_copy_wait_and_arrive(rig: Rig) -> None:
    """D3: a write in flight to main is drained before the copy reads it."""
    r0: Device = rig.create()
    r0.pwrite(96, pattern(1, 8))
    rig.main.hold("write", 96, 8)
    writing = rig.background(r0.pwrite, 97, pattern(2))
    wait_for(lambda: rig.main.held() == 1, "the write at the disk")
    copying = rig.background(rig.message, "r0", "remap 96 8")
    time.sleep(0.2)
    assert not copying.done()
    rig.main.release()
    writing.result(10)
    copying.result(10)
    assert r0.pread(96, 8) == pattern(1, 8)[:512] + pattern(2) + pattern(1, 8)[1024:]


def test_cut_short_move_does_not_rise_again(rig: Rig) -> None:
    """C13: the old slot's commit as bad failed; its entry must not outlive an unremap."""
    r0 = rig.create()
    region = Region(rig)
    # slots 1 to 251 fill table block 1: the move goes to a slot of another block
    rig.message("r0", "remap 8 2008")
    r0.pwrite(96, pattern(3, 8))
    old = int(rig.message("r0", "verify 96").split("spare_sector=")[1])
    rig.spare.bad(old, 8, kind="write")
    for replica in range(2):
        for place in range(2):
            rig.spare.bad(region.block(replica, place, 1), 8, kind="write")
    r0.pwrite(96, pattern(4, 8))
    with pytest.raises(OSError):
        rig.message("r0", "unremap 96 8")
    rig.remove()
    rig.spare.clear()
    r0 = rig.create()
    assert r0.pread(96, 8) == pattern(4, 8)
    rig.message("r0", "unremap 96 8")
    r0.pwrite(96, pattern(5, 8))
    r0.fsync()
    rig.remove()
    assert rig.create().pread(96, 8) == pattern(5, 8)


def test_restore_after_a_failed_sync(rig: Rig) -> None:
    """C4 for the superblock: what our own failed commit left is not another system's."""
    rig.create()
    end = rig.spare.size_bytes // 512
    rig.spare.bad(end // 2, end // 2, kind="write")
    with pytest.raises(OSError):
        rig.message("r0", "sync")
    rig.spare.clear()
    rig.message("r0", "restore")
    assert rig.status()["mode"] == "rw"


def test_move_during_a_hiccup_of_the_spare_loses_nothing(rig: Rig) -> None:
    """E6 for moves: the other sectors of a bad slot are read twice before they are lost."""
    r0 = rig.create()
    r0.pwrite(96, pattern(1, 8))
    rig.message("r0", "remap 96 8")
    slot = int(rig.message("r0", "verify 96").split("spare_sector=")[1])
    rig.spare.bad(slot + 3, kind="write")
    rig.spare.bad(slot + 5, kind="read", times=1)
    r0.pwrite(99, pattern(2))
    assert rig.status()["lost_sectors"] == 0
    assert r0.pread(96, 8) == pattern(1, 8)[:1536] + pattern(2) + pattern(1, 8)[2048:]


@pytest.mark.disks(main="64M:logical=4096", spare="8M")
def test_physical_blocks_go_and_come_whole(rig: Rig) -> None:
    """D16: neither remap nor unremap cuts a physical block of main."""
    r0 = rig.create()
    r0.pwrite(96, pattern(1, 8))
    rig.message("r0", "remap 99")
    for sector in range(96, 104):
        assert "spare_sector" in rig.message("r0", f"verify {sector}")
    rig.message("r0", "unremap 98")
    for sector in range(96, 104):
        assert "not remapped" in rig.message("r0", f"verify {sector}")
    assert r0.pread(96, 8) == pattern(1, 8)


def test_bad_probe_chunk_is_told_and_maps_nothing(rig: Rig) -> None:
    """E5: it cannot be told from a dead main, so status says it; what is mapped goes on."""
    last = rig.main.size_bytes // 512 - 8
    rig.media("main").write(last - 8, pattern(8, 16))
    r0 = rig.create()
    assert rig.status()["probe"] == "ok"
    rig.main.bad(100, kind="write")
    r0.pwrite(100, pattern(1))
    rig.main.bad(last, count=8, kind="both")
    rig.main.bad(200, kind="write")
    with pytest.raises(OSError):
        r0.pwrite(200, pattern(2))
    assert rig.status()["probe"] == "failed"
    assert rig.status()["used"] == 2
    assert r0.pread(100) == pattern(1)
    assert r0.pread(last - 8, 16) == pattern(8, 16)
    rig.main.clear(last, 8)
    r0.pwrite(200, pattern(2))
    assert r0.pread(200) == pattern(2)
    assert rig.status()["probe"] == "ok"


def test_hiccup_of_the_spare_retires_no_slots(rig: Rig) -> None:
    """D7: one failed write to a slot is no bad slot."""
    r0 = rig.create()
    region = Region(rig)
    # adjacent slots go out as one request
    rig.spare.bad(region.slot(1), count=64, kind="write", times=1)
    rig.main.bad(96, count=32, kind="write")
    r0.pwrite(96, pattern(1, 32))
    assert r0.pread(96, 32) == pattern(1, 32)
    assert rig.status()["bad_slots"] == 0
    assert rig.status()["used"] == 5


@pytest.mark.disks(main="64M", spare="8M", other="64M")
def test_reload_with_a_wrong_main_is_refused_before_the_suspend(rig: Rig) -> None:
    """P7: a refusal changes nothing; the old table goes on."""
    r0 = rig.create()
    r0.pwrite(96, pattern(1))
    with pytest.raises(OSError):
        rig.reload(main=str(rig.server.disk("other").kernel_path))
    assert r0.pread(96) == pattern(1)
    r0.pwrite(96, pattern(2))
    assert r0.pread(96) == pattern(2)


def test_one_owner_at_a_time(rig: Rig) -> None:
    """D12: another device on the same disks is refused, when its table is loaded and, if both
    were loaded before either was resumed, when it is resumed; the owner goes on."""
    r0 = rig.create()
    r0.pwrite(100, pattern(1))
    dm.create("r1")
    with pytest.raises(OSError) as caught:
        dm.load("r1", rig.table())
    assert caught.value.errno == errno.EBUSY
    dm.remove("r1")
    rig.remove("r0")
    resume_one_of_two(rig)
    dm.remove("r2")
    dm.remove("r1")
    assert rig.create().pread(100) == pattern(1)


@pytest.mark.disks(main="1M", spare="640K", back="1M", other="640K")
def test_one_set_has_one_owner_on_whatever_devices(rig: Rig) -> None:
    """D12: a second path to its disks, or copies of them, are the same set."""
    r0 = rig.create()
    r0.pwrite(96, pattern(1, 8))
    rig.message("r0", "remap 96 8")
    r0.fsync()
    rig.message("r0", "sync")
    copies = {"main": "back", "spare": "other"}
    for name, copy in copies.items():
        rig.media(copy).write(0, rig.media(name).whole())
    before = [rig.media(copy).whole() for copy in copies.values()]
    where = {name: str(rig.server.disk(copy).kernel_path) for name, copy in copies.items()}
    with pytest.raises(OSError) as caught:
        rig.create("r1", **where)
    assert caught.value.errno == errno.EBUSY
    assert any("already active as r0" in line for line in rig.log())
    assert [rig.media(copy).whole() for copy in copies.values()] == before
    r0.pwrite(96, pattern(2, 8))
    assert r0.pread(96, 8) == pattern(2, 8)
    rig.remove()
    assert rig.create("r1", **where).pread(96, 8) == pattern(1, 8)


def test_remap_by_hand_takes_another_slot(rig: Rig) -> None:
    """D7: a fresh slot that does not take the copy is bad, also after a restart."""
    r0 = rig.create()
    r0.pwrite(96, pattern(1, 8))
    rig.spare.bad(Region(rig).slot(1), 16, kind="write")
    rig.message("r0", "remap 96 8")
    assert "slot=3" in rig.message("r0", "verify 96")
    assert rig.status()["bad_slots"] == 2
    rig.powercut()
    r0 = rig.create()
    assert r0.pread(96, 8) == pattern(1, 8) and rig.status()["bad_slots"] == 2


def test_remap_by_hand_survives_a_hiccup_of_the_spare(rig: Rig) -> None:
    """D7, E6: one error says nothing of a slot."""
    r0 = rig.create()
    r0.pwrite(96, pattern(1, 8))
    rig.spare.bad(Region(rig).slot(1), 8, kind="write", times=1)
    rig.message("r0", "remap 96 8")
    assert "slot=1" in rig.message("r0", "verify 96") and rig.status()["bad_slots"] == 0
    assert r0.pread(96, 8) == pattern(1, 8)


def test_slow_failing_slots_end_by_the_deadline(rig: Rig) -> None:
    """E4: each bad slot takes the disk its time, and not for ever."""
    r0 = rig.create(more="2 deadline 1")
    rig.main.bad(800, 8, kind="write")
    region = Region(rig)
    rig.spare.bad(region.slot(1), 8 * (region.slots - 1), kind="write", delay_ms=400)
    start = time.monotonic()
    with pytest.raises(OSError):
        r0.pwrite(800, pattern(1, 8))
    assert time.monotonic() - start < 8
    assert rig.status()["used"] == 1


def test_older_spare_is_refused_after_a_remap_by_hand(rig: Rig) -> None:
    """O6: `remap` asks main nothing, so `save` and the timer write the mark."""
    r0 = rig.create()
    r0.pwrite(96, pattern(1, 8))
    r0.fsync()
    old = rig.media("spare").whole()
    rig.message("r0", "remap 96 8")
    r0.pwrite(96, pattern(2, 8))
    r0.fsync()
    rig.message("r0", "save")
    rig.powercut()
    now = rig.media("spare").whole()
    rig.media("spare").write(0, old)
    with pytest.raises(OSError) as caught:
        rig.create()
    assert caught.value.errno == errno.ESTALE
    rig.media("spare").write(0, now)
    assert rig.create().pread(96, 8) == pattern(2, 8)


@pytest.mark.disks(main="2M", spare="8M", stripe="8M")
def test_soft_limits_are_those_of_main(rig: Rig) -> None:
    """O24: what the spare likes is not what the device likes."""
    plain = rig.create()
    want = {name: plain.queue(name) for name in ("minimum_io_size", "optimal_io_size",
                                                 "physical_block_size", "discard_granularity")}
    rig.remove()
    striped = dm.create("striped")
    disks = [rig.spare.kernel_path, rig.server.disk("stripe").kernel_path]
    dm.load("striped", f"0 32768 striped 2 512 {disks[0]} 0 {disks[1]} 0")
    dm.resume("striped")
    rig.media("main").write(0, bytes(2 << 20))
    rig.media("spare").write(0, bytes(8 << 20))
    device = rig.create(spare=striped, spare_len=32768)
    assert {name: device.queue(name) for name in want} == want
    rig.remove()
    dm.remove("striped")
