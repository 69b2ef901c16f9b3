# SPDX-License-Identifier: GPL-2.0-or-later
"""Suspend, resume, reload, remove, two owners, power cuts at random (D11, D12, O8, rows 6, 10)."""

import errno
import random
import subprocess
from pathlib import Path

import pytest

from tests.scenarios import dm
from tests.scenarios.lib import SECTOR, Rig, pattern, resume_one_of_two, wait_for
from tests.scenarios.made import check_data, older_spare_put_in
from tests.scenarios.ondisk import BLOCK, Spare, check_log

MAIN = 2048
pytestmark = pytest.mark.disks(main="1M", spare="1M", other="1M")


def start(rig: Rig) -> bytearray:
    data = bytearray(pattern(1, MAIN))
    rig.media("main").write(0, bytes(data))
    return data


def relocate(rig: Rig, data: bytearray, sector: int, number: int, count: int = 1,
             name: str = "r0") -> None:
    rig.main.bad(sector, count)
    rig.device(name).pwrite(sector, pattern(number, count))
    rig.main.clear()
    data[sector * SECTOR:(sector + count) * SECTOR] = pattern(number, count)


@pytest.mark.parametrize("flush", (True, False))
def test_suspend_and_resume(rig: Rig, flush: bool) -> None:
    """Everything is there again; a write that waited is done."""
    data = start(rig)
    device = rig.create()
    relocate(rig, data, 100, 2)
    for turn in range(3):
        rig.suspend(flush=flush)
        waiting = rig.background(device.pwrite, 200 + turn, pattern(3 + turn))
        reading = rig.background(device.pread, 100)
        rig.resume()
        waiting.result(timeout=20)
        assert reading.result(timeout=20) == pattern(2)
        data[(200 + turn) * SECTOR:(201 + turn) * SECTOR] = pattern(3 + turn)
        check_data(device, bytes(data))
        relocate(rig, data, 304 + 8 * turn, 10 + turn)
    assert rig.status()["relocations"] == 4
    check_log(rig, Spare.of(rig))


@pytest.mark.parametrize("flush", (True, False))
def test_failed_write_over_a_suspend(rig: Rig, flush: bool) -> None:
    """D11: with noflush a write that waits in the worker goes back to dm and is done afterwards;
    without, the suspend waits for it."""
    data = start(rig)
    device = rig.create()
    rig.main.bad(100)
    rig.spare.hold("write", 0, rig.spare.size_bytes // SECTOR)    # the relocation stops there
    writing = rig.background(device.pwrite, 100, pattern(2))
    wait_for(lambda: rig.spare.held(), "the relocation")
    more = rig.background(device.pwrite, 108, pattern(3))
    suspending = rig.background(rig.suspend, "r0", flush)
    rig.spare.release()
    suspending.result(timeout=30)
    rig.resume()
    writing.result(timeout=30)
    more.result(timeout=30)
    data[100 * SECTOR:101 * SECTOR] = pattern(2)
    data[108 * SECTOR:109 * SECTOR] = pattern(3)
    check_data(device, bytes(data))
    rig.powercut()
    check_data(rig.create(), bytes(data[:108 * SECTOR]))


@pytest.mark.parametrize("flush", (True, False))
def test_reload_the_same_table(rig: Rig, flush: bool) -> None:
    """Row 6: the new instance takes over, the old one writes nothing any more."""
    data = start(rig)
    device = rig.create()
    for turn in range(4):
        relocate(rig, data, 100 + 10 * turn, 2 + turn)
        rig.reload(flush=flush)
        check_data(device, bytes(data))
        assert rig.status()["used"] == 2 + turn
        assert rig.status()["relocations"] == 1 + turn
    check_log(rig, Spare.of(rig))
    rig.powercut()
    check_data(rig.create(), bytes(data))


def test_reload_under_load(rig: Rig) -> None:
    """Row 6: with reads, writes and relocations going on."""
    data = start(rig)
    device = rig.create()
    stop = False

    def load(first: int) -> int:
        done = 0
        while not stop:
            device.pwrite(first + done % 32, pattern(first + done))
            assert device.pread(first + done % 32) == pattern(first + done)
            done += 1
        return done

    rig.main.bad(520, 8)
    rig.main.bad(1040, 16)
    loads = [rig.background(load, first) for first in (512, 1024)]
    try:
        for turn in range(8):
            rig.reload(flush=bool(turn % 2))
            device.pread(turn)
    finally:
        stop = True
    counts = [future.result(timeout=30) for future in loads]
    for first, count in zip((512, 1024), counts, strict=True):
        for done in range(max(0, count - 32), count):
            sector = first + done % 32
            data[sector * SECTOR:(sector + 1) * SECTOR] = pattern(first + done)
    check_data(device, bytes(data))
    check_log(rig, Spare.of(rig))


def test_reload_to_linear_and_back(rig: Rig) -> None:
    """The metadata wait; what was remapped is served again afterwards."""
    data = start(rig)
    device = rig.create()
    relocate(rig, data, 100, 2)
    rig.reload(table=f"0 {MAIN} linear /dev/nbd0 0")
    assert device.pread(100) != pattern(2)
    assert device.pread(99) == bytes(data[99 * SECTOR:100 * SECTOR])
    device.pwrite(300, pattern(5))
    data[300 * SECTOR:301 * SECTOR] = pattern(5)
    rig.reload()
    check_data(device, bytes(data))
    assert rig.status()["used"] == 2


def test_table_is_not_taken_when_cleared(rig: Rig) -> None:
    """D12: a table that is loaded and cleared again writes nothing and owns nothing."""
    data = start(rig)
    device = rig.create()
    relocate(rig, data, 100, 2)
    before = rig.media("spare").whole()
    for _ in range(3):
        dm.load("r0", rig.table())
        dm.clear("r0")
    assert rig.media("spare").whole() == before
    check_data(device, bytes(data))
    relocate(rig, data, 200, 3)
    check_data(device, bytes(data))


def test_table_output_loads_again(rig: Rig) -> None:
    """Verbatim, with every argument."""
    for more in ("", "2 deadline 7"):
        rig.create(more=more)
        shown = dm.table("r0")[0]
        assert shown == rig.table(main="43:0", spare="43:1", more=more)
        rig.remove()
        rig.create(table=shown)
        assert dm.table("r0")[0] == shown
        rig.remove()


def test_two_devices_on_one_spare_or_main(rig: Rig) -> None:
    """O8: refused with the name of the owner, at load and again at resume."""
    data = start(rig)
    rig.create()
    relocate(rig, data, 100, 2)
    before = rig.media("spare").whole(), rig.media("other").whole()
    other = "/dev/nbd2"
    for table in (rig.table(), rig.table(main=other), rig.table(spare=other),
                  rig.table(main="/dev/nbd1", spare=other),
                  f"0 1024 remap {other} /dev/nbd1 0 1024",
                  f"0 1024 remap {other} /dev/nbd0 1024 1024"):
        said = len(rig.log())
        with pytest.raises(OSError) as caught:
            rig.create("r1", table)
        assert caught.value.errno == errno.EBUSY, table
        assert any("already in use by r0" in line for line in rig.log()[said:]), rig.log()[said:]
    assert (rig.media("spare").whole(), rig.media("other").whole()) == before
    # loaded both while it had no owner: the second resume is refused
    rig.remove()
    resume_one_of_two(rig)
    dm.remove("r1")
    dm.resume("r2")
    dm.remove("r2")
    check_data(rig.create(), bytes(data))


def dm_name(rig: Rig, name: str) -> str:
    """What dm calls a device in its own messages: major:minor."""
    return Path(f"/sys/block/{Path(rig.device(name).path).name}/dev").read_text().strip()


def test_regions_of_one_spare(rig: Rig) -> None:
    """Two sets share a spare disk, each in its region, at the same time."""
    contents = {}
    for name, main, first in (("r0", "/dev/nbd0", 0), ("r1", "/dev/nbd2", 1024)):
        device = rig.create(name, f"0 {MAIN} remap {main} /dev/nbd1 {first} 1024")
        rig.server.disk("main" if name == "r0" else "other").bad(100, 8)
        contents[name] = pattern(first + 1, 8)
        device.pwrite(100, contents[name])
        device.fsync()
    for name in ("r0", "r1"):
        assert rig.device(name).pread(100, 8) == contents[name]
    rig.powercut()
    for name, main, first in (("r0", "/dev/nbd0", 0), ("r1", "/dev/nbd2", 1024)):
        device = rig.create(name, f"0 {MAIN} remap {main} /dev/nbd1 {first} 1024")
        assert device.pread(100, 8) == contents[name]


def test_suspended_set_gives_its_media_away(rig: Rig) -> None:
    """D12: owned from preresume to postsuspend; who comes back must find its media unchanged or
    newer, and load them again."""
    data = start(rig)
    rig.create()
    relocate(rig, data, 100, 2)
    rig.suspend()
    rig.create("r1")
    relocate(rig, data, 200, 3, name="r1")
    with pytest.raises(OSError) as caught:
        rig.resume()
    assert caught.value.errno == errno.EBUSY
    rig.remove("r1")
    rig.resume()
    check_data(rig.device("r0"), bytes(data))
    relocate(rig, data, 300, 4)
    check_data(rig.device("r0"), bytes(data))
    check_log(rig, Spare.of(rig))


def test_failed_preresume_can_be_tried_again(rig: Rig) -> None:
    """D12: the media are untouched, and the same table resumes when the cause is gone."""
    data = start(rig)
    device = rig.create()
    relocate(rig, data, 100, 2)
    rig.suspend()
    before = rig.media("main").whole(), rig.media("spare").whole()
    first, count = 8, rig.spare.size_bytes // SECTOR - 8    # it is there: one superblock is read
    rig.spare.bad(first, count, kind="read")
    for _ in range(3):
        with pytest.raises(OSError):
            rig.resume()
    assert (rig.media("main").whole(), rig.media("spare").whole()) == before
    rig.spare.clear()
    rig.resume()
    check_data(device, bytes(data))
    relocate(rig, data, 200, 3)
    # the same of a table that never ran
    rig.remove()
    dm.create("r1")
    dm.load("r1", rig.table())
    rig.spare.fail()
    with pytest.raises(OSError):
        dm.resume("r1")
    rig.spare.back()
    dm.resume("r1")
    dm.remove("r1")
    check_data(rig.create(), bytes(data))


def test_failed_preresume_of_a_neighbour(rig: Rig) -> None:
    """Two targets in one table: when the second is refused, the first is not stuck."""
    table = (f"0 1024 remap /dev/nbd0 /dev/nbd1 0 1024\n"
             f"1024 1024 remap /dev/nbd2 /dev/nbd1 1024 1024")
    device = rig.create(table=table)
    for disk, sector in ((rig.main, 100), (rig.server.disk("other"), 100)):
        disk.bad(sector)
    device.pwrite(100, pattern(1))
    device.pwrite(1124, pattern(2))
    rig.remove()
    second = Spare(rig.media("spare"), 1024, 1024)
    torn = {key: copy.data for key, copy in second.copies(1).items()}
    for key in torn:
        second.write(*key, 1, bytes(BLOCK))
    dm.create("r1")
    dm.load("r1", table)
    for _ in range(2):
        with pytest.raises(OSError):
            dm.resume("r1")
    for key, data in torn.items():
        second.write(*key, 1, data)
    dm.resume("r1")
    dm.remove("r1")
    device = rig.create(table=table)
    assert (device.pread(100), device.pread(1124)) == (pattern(1), pattern(2))


def test_wipe_under_queued_failed_writes(rig: Rig) -> None:
    """What `dmsetup remove --force` does: an error table under writes that wait in the worker."""
    start(rig)
    device = rig.create()
    rig.main.bad(0, MAIN - 8)
    rig.spare.hold("write", 0, rig.spare.size_bytes // SECTOR)
    writes = [rig.background(device.pwrite, 8 * n, pattern(n)) for n in range(20)]
    wait_for(lambda: rig.spare.held(), "the relocation")
    dm.load("r0", f"0 {MAIN} error")
    suspending = rig.background(dm.suspend, "r0", False, False)
    rig.spare.release()
    suspending.result(timeout=30)
    dm.resume("r0")
    results = [future.exception(timeout=30) for future in writes]
    assert all(r is None or isinstance(r, OSError) for r in results)
    acknowledged = [n for n, r in enumerate(results) if r is None]
    rig.remove()
    rig.main.clear()
    device = rig.create()
    for n in acknowledged:
        assert device.pread(8 * n) == pattern(n), n
    check_log(rig, Spare.of(rig))


def test_remove_right_after_failed_writes(rig: Rig) -> None:
    """No timer, work or mark outlives the device: again and again, with everything in motion."""
    data = start(rig)
    for turn in range(15):
        rig.create()
        relocate(rig, data, 16 * turn, turn)
        rig.main.bad(16 * turn + 1)
        rig.spare.bad(Spare.of(rig).next_sector(1, turn % 2), 8)
        with pytest.raises(OSError):
            rig.device("r0").pwrite(16 * turn + 1, pattern(99))
        rig.remove()
        rig.spare.clear()
        rig.main.clear()
    device = rig.create()
    for turn in range(15):
        assert device.pread(16 * turn) == pattern(turn)


def test_power_cuts_at_random(rig: Rig, rng: random.Random) -> None:
    """P1, P2, row 9, row 11: 50 times, against a model of what was acknowledged and flushed."""
    data = start(rig)
    end = 256    # sectors that are used
    possible: list[set[bytes]] = [{bytes(data[s * SECTOR:(s + 1) * SECTOR])} for s in range(end)]
    number = 100
    durable = True    # what is read: nothing is in a volatile cache
    for turn in range(50):
        device = rig.create()
        for sector in range(0, end, 128):
            found = device.pread(sector, 128)
            for i in range(128):
                content = found[i * SECTOR:(i + 1) * SECTOR]
                assert content in possible[sector + i], \
                    f"turn {turn}: sector {sector + i} reads {content[:20]!r}"
                if durable:
                    possible[sector + i] = {content}
        for _ in range(rng.randrange(1, 8)):
            number += 1
            sector, count = rng.randrange(end - 20), rng.choice((1, 1, 3, 8, 20))
            if rng.random() < 0.6:
                rig.main.bad(rng.randrange(sector, sector + count))
            if rng.random() < 0.2:
                rig.spare.bad(Spare.of(rig).next_sector(1, rng.randrange(2)), 8, times=2)
            try:
                device.pwrite(sector, pattern(number, count), fua=rng.random() < 0.3)
            except OSError:
                pass
            written = pattern(number, count)
            for i in range(count):
                possible[sector + i].add(written[i * SECTOR:(i + 1) * SECTOR])
            rig.spare.clear()
            if rng.random() < 0.5:
                device.fsync()
                for at in range(0, end, 32):    # a flush makes certain what is read now
                    try:
                        found = device.pread(at, 32)
                    except OSError:
                        continue
                    for i in range(32):
                        assert found[i * SECTOR:(i + 1) * SECTOR] in possible[at + i]
                        possible[at + i] = {found[i * SECTOR:(i + 1) * SECTOR]}
        if rng.random() < 0.2:
            rig.message("r0", rng.choice(("save", "sync", "clear")))
        durable = rng.random() < 0.8
        if durable:
            rig.powercut(seed=rng.randrange(1 << 30))
        else:
            rig.remove()
        rig.main.clear()
    check_log(rig, Spare.of(rig))


def test_events_of_modes(rig: Rig) -> None:
    """dm's own events fire when the mode changes: dmsetup wait returns."""
    device = rig.create()

    def changes(mode: str, since: int) -> int:
        rig.wait_for_mode(mode)
        return int(wait_for(lambda: (n := dm.event_nr("r0")) > since and n, f"event of {mode}"))

    number = dm.event_nr("r0")
    waiting = subprocess.Popen(["dmsetup", "wait", "r0", str(number)])
    rig.message("r0", "freeze")
    number = changes("frozen", number)
    assert waiting.wait(timeout=30) == 0
    rig.message("r0", "thaw")
    number = changes("rw", number)
    spare = Spare.of(rig)
    rig.spare.bad(spare.next_sector(1, 0), 8)
    rig.main.bad(8)
    with pytest.raises(OSError):
        device.pwrite(8, pattern(1))
    number = changes("meta_fail", number)
    rig.spare.clear()
    rig.message("r0", "restore")
    number = changes("rw", number)
    slots = rig.status()["total"]
    rig.main.bad(0, MAIN - 8)
    for n in range(slots - 1):
        device.pwrite(8 * n, pattern(n))
    assert rig.status()["used"] == slots
    number = changes("full", number)
    rig.main.clear()
    rig.message("r0", "unremap 0 8")
    changes("rw", number)


def test_ima_status(rig: Rig) -> None:
    """The measurement has the target's name, version and every argument."""
    rig.create(table=f"{rig.table()} 3 deadline 7 force_rw")
    try:
        line = dm.ima("r0")[0]
    except OSError:
        pytest.skip("this kernel has no IMA status")
    assert "target_name=remap,target_version=" in line
    for part in ("main_device=43:0", "spare_device=43:1", "spare_start=0", "spare_len=2048",
                 "force_rw=y", "deadline=7"):
        assert part in line
    assert line.rstrip().endswith(";")


def test_status_fields(rig: Rig) -> None:
    """Mode first, used/total, then key=value; the same through dmsetup and with noflush."""
    rig.create()
    words = dm.status("r0")[0].split()
    assert words[:3] == ["0", str(MAIN), "remap"]
    assert words[3] == "rw" and words[4] == f"1/{Spare.of(rig).layout.slots}"
    keys = [word.split("=")[0] for word in words[5:]]
    for key in ("lost_sectors", "bad_slots", "read_errors", "write_errors", "relocations",
                "rejected", "generation", "saves_ok", "saves_failed"):
        assert key in keys
    assert len(keys) == len(set(keys)) and all("=" in word for word in words[5:])
    assert rig.dmsetup("status", "r0").stdout.split() == words
    assert dm.status("r0", flush=False)[0].split() == words
    with pytest.raises(BufferError):
        dm.status("r0", buffer_bytes=400)


def test_module_stays_while_it_is_used(rig: Rig) -> None:
    """Unloading is refused while a device exists, and while a table waits."""
    rig.create()
    result = subprocess.run(["rmmod", "dm_remap"], capture_output=True, text=True)
    assert result.returncode and "in use" in result.stderr
    rig.remove()
    dm.create("r1")
    dm.load("r1", rig.table())
    assert subprocess.run(["rmmod", "dm_remap"], capture_output=True).returncode
    dm.remove("r1")


def test_resume_without_the_spare(rig: Rig) -> None:
    """D22: a set that was active goes on with what it knows: main is served, the spare's sectors
    fail, nothing is remapped; with the spare back and unchanged it is whole."""
    r0 = rig.create()
    rig.main.bad(100)
    r0.pwrite(96, pattern(1, 8))
    r0.fsync()
    rig.spare.fail()
    rig.suspend()
    rig.resume()
    assert rig.status()["mode"] == "meta_fail"
    r0.pwrite(400, pattern(2, 8))
    r0.fsync()    # nothing unflushed is on the spare
    assert r0.pread(400, 8) == pattern(2, 8) and r0.pread(104, 8) == bytes(8 * 512)
    with pytest.raises(OSError):
        r0.pread(100)
    with pytest.raises(OSError):
        r0.pwrite(100, pattern(3))
    used = rig.status()["used"]
    rig.main.bad(800)
    with pytest.raises(OSError):
        r0.pwrite(800, pattern(3))
    assert rig.status()["used"] == used
    rig.suspend()    # and once more
    rig.resume()
    assert r0.pread(400, 8) == pattern(2, 8)
    rig.spare.back()
    rig.wait_for_mode("rw")
    assert r0.pread(96, 8) == pattern(1, 8)
    r0.pwrite(800, pattern(4))
    rig.powercut()
    r0 = rig.create()
    assert r0.pread(96, 8) == pattern(1, 8)
    assert r0.pread(400, 8) == pattern(2, 8) and r0.pread(800) == pattern(4)


def test_restore_does_not_wait_for_the_next_comparison(rig: Rig) -> None:
    """D22: a spare that takes its time to fail is compared seldom; who asks gets an answer now."""
    r0 = rig.create()
    rig.main.bad(100)
    r0.pwrite(96, pattern(1, 8))
    rig.suspend()
    rig.spare.bad(0, rig.spare.size_bytes // 512, kind="both", delay_ms=300)
    rig.resume()
    with pytest.raises(OSError):
        rig.message("r0", "restore")
    rig.spare.clear()
    assert "restored" in rig.message("r0", "restore")
    assert rig.status()["mode"] == "rw" and r0.pread(96, 8) == pattern(1, 8)


def test_another_spare_does_not_end_it(rig: Rig) -> None:
    """D22: what comes back is older: nothing of it is served, and nothing is written."""
    r0, old = older_spare_put_in(rig)
    with pytest.raises(OSError):
        r0.pread(100)
    with pytest.raises(OSError):
        r0.pread(800)
    with pytest.raises(OSError):
        r0.pwrite(400, pattern(2))
    assert r0.pread(400) == bytes(512)
    assert rig.media("spare").whole() == old
    rig.close()
    rig.remove()


def test_activation_without_the_spare_is_refused(rig: Rig) -> None:
    """D22: who knows no table serves nothing."""
    rig.create()
    rig.spare.fail()
    with pytest.raises(OSError):
        dm.load("r0", rig.table())
    rig.remove()
    with pytest.raises(OSError):
        rig.create()
    rig.spare.back()
    rig.create()


@pytest.mark.disks(main="1M", spare="640K", other="1M", others="640K")
@pytest.mark.parametrize("what", ["nothing", "another set"])
def test_the_spare_holds_something_else_after_a_suspend(rig: Rig, what: str) -> None:
    """P7: it is not written, and what it holds is not served; nor is a spare formatted anew."""
    r0 = rig.create()
    rig.message("r0", "remap 96 8")
    r0.pwrite(96, pattern(1), fua=True)
    main, spare = (str(rig.server.disk(name).kernel_path) for name in ("other", "others"))
    rig.create("r1", rig.table(main, spare))
    rig.remove("r1")
    rig.suspend()
    media = rig.media("spare")
    ours = media.whole()
    other = rig.media("others").whole() if what == "another set" else bytes(rig.spare.size_bytes)
    media.write(0, other)
    with pytest.raises(OSError):
        rig.resume()
    words = {"nothing": "the superblocks are gone", "another set": "a different set than before"}
    assert any(words[what] in line for line in rig.log())
    assert media.whole() == other
    media.write(0, ours)
    rig.resume()
    assert r0.pread(96) == pattern(1) and rig.status()["mode"] == "rw"
