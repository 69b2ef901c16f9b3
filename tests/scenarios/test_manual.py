# SPDX-License-Identifier: GPL-2.0-or-later
"""remap, remap_list, unremap and clear in batches: what they cost at the disks, whom they
hold up, and what stops them (rules D3, D12, D16, D20, D21, E6, E8)."""

import contextlib
import errno
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios import dm
from tests.scenarios.injected import load_inject, unload_inject
from tests.scenarios.lib import SECTOR, Device, Rig, pattern, wait_for
from tests.scenarios.region import Region, mapped_sectors, words

CHUNK = 8
CHUNKS = 256                       # of one batch
SHORT_S = 0.15                     # enough for I/O that nothing holds up


class Count:
    """Commands at the lower disks since it was made, by disk and kind."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._before = self._now()

    def _now(self) -> dict[str, int]:
        return {f"{disk.name} {key}": value for disk in (self._rig.main, self._rig.spare)
                for key, value in disk.stats().items()
                if key in ("reads", "writes", "flushes", "fua", "errors")}

    def all(self) -> dict[str, int]:
        """Those that are not 0."""
        now = self._now()
        return {key: now[key] - self._before[key] for key in now if now[key] != self._before[key]}


@contextlib.contextmanager
def _inject() -> Iterator[None]:
    """The module of the target inject."""
    load_inject()
    try:
        yield
    finally:
        unload_inject()


@contextlib.contextmanager
def _on_512e(rig: Rig) -> Iterator[Device]:
    """r0 on a main with logical blocks of 512 bytes and physical ones of 4 KiB."""
    with _inject():
        below = rig.create("below", f"0 {rig.main.size_bytes // SECTOR} inject "
                                    f"{rig.main.kernel_path} 4096")
        try:
            yield rig.create(main=below.path)
        finally:
            rig.main.release()
            rig.remove("r0")
            rig.remove("below")


# what it costs

@pytest.mark.not_on("main-no-fua", "spare-no-fua", "no-fua", "late",
                    reason="commands are counted on disks with FUA")
def test_commands_for_one_chunk(rig: Rig) -> None:
    """One command for what one command can do."""
    r0 = rig.create()
    r0.pwrite(96, pattern(1, CHUNK))
    r0.fsync()
    count = Count(rig)
    rig.message("r0", "remap 96 8")
    assert count.all() == {"main reads": 1, "spare writes": 3, "spare fua": 3}
    count = Count(rig)
    rig.message("r0", "unremap 96 8")
    assert count.all() == {"main reads": 1, "main writes": 1, "main fua": 1,
                           "spare reads": 1, "spare writes": 2, "spare fua": 2}
    assert r0.pread(96, CHUNK) == pattern(1, CHUNK)


@pytest.mark.not_on("main-no-fua", "spare-no-fua", "no-fua", "late",
                    reason="commands are counted on disks with FUA")
def test_commands_for_many_chunks(rig: Rig) -> None:
    """One commit for each table block; data in large bios, with FUA."""
    r0 = rig.create()
    data = pattern(2, CHUNKS * CHUNK)
    r0.pwrite(0, data)
    r0.fsync()
    count = Count(rig)
    rig.message("r0", f"remap 0 {CHUNKS * CHUNK}")
    told = count.all()
    assert "spare flushes" not in told    # what is written with FUA needs none
    assert told["spare fua"] == told["spare writes"] <= 16 + 2 * 2    # two table blocks
    assert told["main reads"] <= 16
    assert rig.status()["used"] == 1 + CHUNKS
    rig.media("main").write(0, pattern(9, CHUNKS * CHUNK))
    assert r0.pread(0, CHUNKS * CHUNK) == data
    count = Count(rig)
    assert rig.message("r0", "clear") == "cleared kept=0"
    told = count.all()
    assert told.get("spare flushes", 0) <= 2 and told["spare fua"] <= 6
    assert told["main reads"] <= 16 and told["main writes"] <= 16
    assert rig.media("main").read(0, CHUNKS * CHUNK) == data
    rig.powercut()
    assert rig.create().pread(0, CHUNKS * CHUNK) == data


@pytest.mark.not_on("main-no-fua", "spare-no-fua", "no-fua", "late",
                    reason="commands are counted on disks with FUA")
@pytest.mark.disks(main="64M", spare="16M")
def test_scattered_sectors_share_commits(rig: Rig) -> None:
    """remap_list: a thousand places are a few batches."""
    r0 = rig.create()
    rng = random.Random(5)
    chunks = rng.sample(range(rig.main.size_bytes // 4096 - 64), 1000)
    for chunk in chunks[:40]:
        r0.pwrite(8 * chunk, pattern(chunk, CHUNK))
    r0.fsync()
    count = Count(rig)
    begun = time.monotonic()
    reply = rig.message("r0", "remap_list import " + " ".join(
        f"{8 * chunk + 3}:{rng.choice((1, 2))}" for chunk in chunks))
    print(f"1000 places took {time.monotonic() - begun:.2f} s")
    assert reply.startswith("remapped ranges=1000 sectors=") and reply.endswith("lost_sectors=0")
    told = count.all()
    assert told.get("spare flushes", 0) <= 6 and told["spare fua"] <= 4 * 8 + 16
    assert rig.status()["used"] == 1001
    for chunk in chunks[:40]:
        assert r0.pread(8 * chunk, CHUNK) == pattern(chunk, CHUNK)
        assert 8 * chunk + 3 in mapped_sectors(rig, 8 * chunk, CHUNK)


# lists

def test_lists_say_what_is_wrong_and_do_nothing(rig: Rig) -> None:
    rig.create()
    before = rig.media("spare").whole()
    end = rig.main.size_bytes // SECTOR
    for text in ("import 8 9x", "import 8:0", "import 8:", "import :8", "import 8:8:8", "import",
                 "import 8 -1", f"import 8 {end}", f"import 8 {end - 1}:2", "rescuer 8", "8 16",
                 "import 8 0x10", "import 18446744073709551615:2", "import " + "8" * 60,
                 "import 8:18446744073709551615", f"import 0:{end} " * 20,
                 "import " + "8 " * 1025):
        with pytest.raises(OSError):
            rig.message("r0", f"remap_list {text}")
    assert rig.media("spare").whole() == before
    assert rig.status()["used"] == 1


def test_list_in_any_order(rig: Rig) -> None:
    """Sectors of one chunk together or apart, twice, already remapped: all end in one slot."""
    r0 = rig.create()
    r0.pwrite(96, pattern(1, 24))
    r0.fsync()
    rig.message("r0", "remap 101")
    reply = rig.message("r0", "remap_list rescue 96 97:2 110:3 99 104 110 96:8 101 119")
    assert reply == "remapped ranges=9 sectors=19 lost_sectors=0"
    assert mapped_sectors(rig, 96, 24) == [*range(96, 105), 110, 111, 112, 119]
    assert rig.status()["used"] == 4
    assert r0.pread(96, 24) == pattern(1, 24)
    rig.powercut()
    assert rig.create().pread(96, 24) == pattern(1, 24)


def test_list_that_does_not_fit_is_done_in_part(rig: Rig) -> None:
    """Each chunk wholly old or new; the same message again goes on."""
    r0 = rig.create(spare_len=1024)
    free = rig.status()["total"] - 1
    chunks = list(range(0, 4 * (free + 5), 4))
    for chunk in chunks:
        r0.pwrite(8 * chunk, pattern(chunk, CHUNK))
    words_ = " ".join(f"{8 * chunk}:8" for chunk in chunks)
    with pytest.raises(OSError) as caught:
        rig.message("r0", f"remap_list import {words_}")
    assert caught.value.errno == errno.ENOSPC
    assert rig.status()["used"] == free + 1
    assert [len(mapped_sectors(rig, 8 * chunk, CHUNK)) for chunk in chunks] == [8] * free + [0] * 5
    rig.message("r0", f"unremap {8 * chunks[0]} {8 * 4 * 5}")
    with pytest.raises(OSError):
        rig.message("r0", f"remap_list import {words_}")
    for chunk in chunks:
        assert r0.pread(8 * chunk, CHUNK) == pattern(chunk, CHUNK)


def test_only_this_request_is_counted(rig: Rig) -> None:
    r0 = rig.create()
    rig.main.bad(100, 2, kind="read")
    assert "lost_sectors=2 " in rig.message("r0", "remap 96 8")
    assert rig.message("r0", "remap 200 8").endswith("lost_sectors=0")
    rig.main.bad(300, 1, kind="read")
    assert "lost_sectors=1 " in rig.message("r0", "remap 96 400")
    assert rig.status()["lost_sectors"] == 3
    r0.pwrite(100, pattern(1, 2))


def test_frozen_means_no_automatic_remaps(rig: Rig) -> None:
    r0 = rig.create()
    assert "no automatic remaps" in rig.message("r0", "freeze")
    rig.message("r0", "remap 96 8")
    assert rig.status()["mode"] == "frozen" and rig.status()["used"] == 2
    rig.main.bad(200)
    with pytest.raises(OSError):
        r0.pwrite(200, pattern(1))


# whom it holds up

def test_slow_read_holds_up_nothing_else(rig: Rig) -> None:
    """D20: while main takes its time for one sector of a remap, an unrelated failing write is
    relocated, and requests for the state are answered; a write to the chunk itself waits."""
    r0 = rig.create()
    r0.pwrite(96, pattern(1, CHUNK))
    r0.fsync()
    rig.main.bad(100, kind="read")
    rig.main.bad(4000)
    rig.main.hold("read", 96, CHUNK)
    remap = rig.background(rig.message, "r0", "remap 96 8")
    wait_for(lambda: rig.main.held() == 1, "the read")
    early = rig.background(r0.pwrite, 97, pattern(2))

    def others() -> None:
        r0.pwrite(4000, pattern(3))
        assert r0.pread(4000) == pattern(3)
        assert mapped_sectors(rig, 4000, 8) == [4000]
        assert "not remapped" in rig.message("r0", "verify 96")
        assert rig.message("r0", "metadata_status").startswith("rw ")
        assert rig.message("r0", "save").startswith("saved")
        assert rig.status()["used"] == 2

    try:
        rig.background(others).result(timeout=20)
        time.sleep(SHORT_S)
        assert not remap.done() and not early.done()
    finally:
        rig.main.release()
    assert "lost_sectors=1 " in remap.result(timeout=20)
    early.result(timeout=20)
    assert r0.pread(96, 4) == pattern(1, CHUNK)[:SECTOR] + pattern(2) + \
        pattern(1, CHUNK)[2 * SECTOR:4 * SECTOR]
    r0.fsync()
    rig.powercut()
    assert rig.create().pread(97) == pattern(2)


def test_parked_write_to_a_bad_chunk(rig: Rig) -> None:
    """D3, D7: what waited for a busy chunk, and fails beside it, is confirmed and relocated."""
    r0 = rig.create()
    r0.pwrite(96, pattern(1, 16))
    rig.main.bad(104, CHUNK)
    rig.main.hold("read", 96, CHUNK)
    remap = rig.background(rig.message, "r0", "remap 96 8")
    wait_for(lambda: rig.main.held() == 1, "the read")
    parked = rig.background(r0.pwrite, 98, pattern(2, 10))
    time.sleep(SHORT_S)
    assert not parked.done()
    rig.main.release()
    remap.result(timeout=20)
    parked.result(timeout=20)
    expected = pattern(1, 2) + pattern(2, 10)
    assert r0.pread(96, 12) == expected and rig.status()["write_errors"]
    assert mapped_sectors(rig, 96, 16) == [*range(96, 108)]
    r0.fsync()
    rig.powercut()
    assert rig.create().pread(96, 12) == expected


def test_slow_relocation_keeps_nobody_from_asking(rig: Rig) -> None:
    """D20: verify, metadata_status, status wait neither for the worker nor for its disk."""
    r0 = rig.create()
    rig.message("r0", "remap 96 8")
    rig.main.bad(4000)
    rig.main.hold("write", Region(rig).probe_chunk * CHUNK, CHUNK)
    failing = rig.background(r0.pwrite, 4000, pattern(1))
    wait_for(lambda: rig.main.held() == 1, "the probe")

    def ask() -> None:
        assert rig.message("r0", "verify 96").startswith("96 remapped")
        assert "not remapped" in rig.message("r0", "verify 4000")
        assert "uuid=" in rig.message("r0", "metadata_status")
        assert rig.message("r0", "help") and rig.message("r0", "ping") == "pong"
        assert rig.status()["used"] == 2
        place = Path(f"/sys/block/{Path(r0.path).name}/remap")
        assert (place / "mode").read_text() == "rw\n"

    try:
        rig.background(ask).result(timeout=20)
        assert not failing.done()
    finally:
        rig.main.release()
    failing.result(timeout=20)


def test_slow_sectors_end_a_batch_early(rig: Rig) -> None:
    """E8: a write to another chunk of the same request waits for a command or two, not for
    all unreadable sectors."""
    r0 = rig.create()
    data = pattern(1, 512)
    r0.pwrite(0, data)
    r0.fsync()
    for chunk in (2, 20, 40):
        rig.main.bad(8 * chunk, kind="read", delay_ms=1200)
    remap = rig.background(rig.message, "r0", "remap 0 512")
    time.sleep(0.5)
    begun = time.monotonic()
    r0.pwrite(500, pattern(2))
    waited = time.monotonic() - begun
    assert not remap.done()
    assert "lost_sectors=3 " in remap.result(timeout=120)
    took = time.monotonic() - begun
    print(f"the write waited {waited:.1f} s, the message took {took:.1f} s")
    assert waited < 3 and took > 2 * waited
    for chunk in range(64):
        expected = data[4096 * chunk:4096 * chunk + 4096]
        if chunk in (2, 20, 40):
            with pytest.raises(OSError):
                r0.pread(8 * chunk)
            assert r0.pread(8 * chunk + 1, 7) == expected[SECTOR:]
        elif chunk == 62:
            assert r0.pread(8 * 62, 8) == expected[:4 * SECTOR] + pattern(2) + expected[5 * SECTOR:]
        else:
            assert r0.pread(8 * chunk, 8) == expected
    assert rig.status()["used"] == 65


def test_writes_wait_only_for_their_own_chunk(rig: Rig) -> None:
    """A bio over several chunks, some busy, some bad, some lost: every sector arrives."""
    r0 = rig.create()
    r0.pwrite(0, pattern(1, 128))
    r0.fsync()
    rig.main.bad(66, kind="both")
    rig.message("r0", "remap 66")    # lost
    rig.main.bad(20)
    rig.main.hold("read", 32, CHUNK)
    remap = rig.background(rig.message, "r0", "remap 32 16")
    wait_for(lambda: rig.main.held() == 1, "the read")
    whole = rig.background(r0.pwrite, 0, pattern(2, 128))
    r0.pwrite(120, pattern(3, 8))
    time.sleep(SHORT_S)
    assert not whole.done()
    rig.main.release()
    remap.result(timeout=20)
    whole.result(timeout=20)
    expected = pattern(2, 128)
    found = r0.pread(0, 128)
    assert found[:120 * SECTOR] == expected[:120 * SECTOR]
    assert found[120 * SECTOR:] in (expected[120 * SECTOR:], pattern(3, 8))
    r0.fsync()
    rig.powercut()
    assert rig.create().pread(0, 128) == found


def test_failing_write_to_a_busy_chunk_is_parked(rig: Rig) -> None:
    """D4: it comes from below while the copy is under way, and finds its slot."""
    r0 = rig.create()
    r0.pwrite(96, pattern(1, 16))
    r0.fsync()
    rig.main.bad(98, delay_ms=400)
    rig.main.hold("read", 96, CHUNK)
    failing = rig.background(r0.pwrite, 98, pattern(2))
    time.sleep(0.1)
    remap = rig.background(rig.message, "r0", "remap 96 8")
    wait_for(lambda: rig.main.held() == 1, "the read behind the drain")
    time.sleep(1)    # longer than another try of it on main would take
    assert not failing.done() and not remap.done()
    rig.main.release()
    remap.result(timeout=20)
    failing.result(timeout=20)
    expected = pattern(1, 16)[:2 * SECTOR] + pattern(2) + pattern(1, 16)[3 * SECTOR:]
    assert r0.pread(96, 16) == expected
    assert mapped_sectors(rig, 96, 16) == list(range(96, 104))


# what stops it

@pytest.mark.parametrize("back", (False, True))
@pytest.mark.parametrize("flush", (True, False))
def test_suspend_during_a_batch(rig: Rig, flush: bool, back: bool) -> None:
    """D11, D12: it stops at the next command; parked writes end, here or in the next table."""
    r0 = rig.create()
    data = pattern(1, 512)
    r0.pwrite(0, data)
    if back:
        rig.message("r0", "remap 0 512")
    r0.fsync()
    rig.main.hold("write" if back else "read", 0, 8)
    message = rig.background(rig.message, "r0", f"{'un' * back}remap 0 512")
    wait_for(lambda: rig.main.held() == 1, "the copy")
    early = rig.background(r0.pwrite, 300, pattern(2))
    time.sleep(SHORT_S)
    reload = rig.background(rig.reload, "r0", None, flush)
    wait_for(lambda: dm.flags("r0") & dm.INACTIVE_TABLE, "the new table")
    time.sleep(2 * SHORT_S)    # and the suspend, which is next
    assert not early.done() and not reload.done() and not message.done()
    rig.main.release()
    with pytest.raises(OSError) as caught:
        message.result(timeout=20)
    assert caught.value.errno == errno.EBUSY
    reload.result(timeout=20)
    early.result(timeout=20)
    expected = data[:300 * SECTOR] + pattern(2) + data[301 * SECTOR:]
    assert r0.pread(0, 512) == expected
    assert rig.status()["used"] == (65 if back else 1)
    rig.message("r0", f"{'un' * back}remap 0 512")
    assert rig.status()["used"] == (1 if back else 65)
    assert r0.pread(0, 512) == expected
    r0.fsync()
    rig.powercut()
    assert rig.create().pread(0, 512) == expected


def test_suspend_during_the_drain(rig: Rig) -> None:
    """The drain waits for a write on its way, the suspend for the message: neither for ever;
    and what the drain did not wait for, the next one does."""
    r0 = rig.create()
    r0.pwrite(96, pattern(1, CHUNK))
    rig.main.hold("write", 98)
    early = rig.background(r0.pwrite, 98, pattern(2))
    wait_for(lambda: rig.main.held() == 1, "the write")
    message = rig.background(rig.message, "r0", "remap 96 8")
    time.sleep(SHORT_S)
    suspend = rig.background(rig.suspend)
    with pytest.raises(OSError) as caught:
        message.result(timeout=20)
    assert caught.value.errno == errno.EBUSY
    assert not suspend.done()
    rig.main.release()
    suspend.result(timeout=20)
    rig.resume()
    early.result(timeout=20)
    rig.message("r0", "remap 96 8")
    assert r0.pread(98) == pattern(2)
    assert rig.status()["used"] == 2


def test_removal_during_a_batch(rig: Rig) -> None:
    """D12: nothing is copied once the media may have another owner."""
    r0 = rig.create()
    r0.pwrite(0, pattern(1, 512))
    rig.message("r0", "remap 0 512")
    rig.close()
    rig.main.hold("write", 0, 8)
    message = rig.background(rig.message, "r0", "unremap 0 512")
    wait_for(lambda: rig.main.held() == 1, "the copy back")
    remove = rig.background(dm.remove, "r0")
    time.sleep(SHORT_S)
    assert not remove.done()
    rig.main.release()
    with pytest.raises(OSError):
        message.result(timeout=20)
    remove.result(timeout=20)
    before = rig.main.stats()["writes"]
    time.sleep(SHORT_S)
    assert rig.main.stats()["writes"] == before
    r0 = rig.create()
    assert rig.status()["used"] == 65
    assert r0.pread(0, 512) == pattern(1, 512)


def test_one_batch_at_a_time(rig: Rig) -> None:
    """Messages take turns, and each is done."""
    r0 = rig.create()
    data = pattern(1, 4096)
    r0.pwrite(0, data)
    futures = [rig.background(rig.message, "r0", f"remap {first} 256")
               for first in range(0, 4096, 256)]
    futures += [rig.background(r0.pwrite, first, data[first * SECTOR:(first + 64) * SECTOR])
                for first in range(0, 4096, 128)]
    for future in futures:
        future.result(timeout=60)
    assert rig.status()["used"] == 1 + 512
    futures = [rig.background(rig.message, "r0", f"unremap {first} 512")
               for first in range(0, 4096, 512)]
    futures.append(rig.background(rig.message, "r0", "clear"))
    for future in futures:
        future.result(timeout=60)
    assert rig.status()["used"] == 1
    assert r0.pread(0, 4096) == data
    assert rig.media("main").read(0, 4096) == data


# bad disks

def test_bad_slots_in_a_batch(rig: Rig) -> None:
    """D7: their chunks get other slots; they are bad, also after a restart."""
    r0 = rig.create()
    data = pattern(1, 512)
    r0.pwrite(0, data)
    region = Region(rig)
    for slot in (3, 20, 21):
        rig.spare.bad(region.slot(slot), 8)
    rig.message("r0", "remap 0 512")
    assert rig.status()["bad_slots"] == 3 and rig.status()["used"] == 65
    assert r0.pread(0, 512) == data
    rig.powercut()
    r0 = rig.create()
    assert rig.status()["bad_slots"] == 3
    assert r0.pread(0, 512) == data


def test_unremap_of_many_with_one_that_fails(rig: Rig) -> None:
    """The one stays, whatever was in one bio with it goes."""
    r0 = rig.create()
    data = pattern(1, 512)
    r0.pwrite(0, data)
    rig.message("r0", "remap 0 512")
    rig.main.bad(100)
    with pytest.raises(OSError) as caught:
        rig.message("r0", "unremap 0 512")
    assert caught.value.errno == errno.EIO
    assert mapped_sectors(rig, 0, 512) == list(range(96, 104))
    assert any("sector 96 still fails" in line or "sector 100 still fails" in line
               for line in rig.log())
    assert r0.pread(0, 512) == data
    rig.powercut()
    assert rig.create().pread(0, 512) == data


def test_main_that_gives_back_something_else(rig: Rig) -> None:
    """What is read back is compared: main may have lost what it took."""
    r0 = rig.create()
    r0.pwrite(96, pattern(1, 16))
    rig.message("r0", "remap 96 16")
    rig.main.hold("read", 100)
    message = rig.background(rig.message, "r0", "unremap 96 16")
    wait_for(lambda: rig.main.held() == 1, "the reading back")
    rig.media("main").write(100, pattern(7))
    rig.main.release()
    with pytest.raises(OSError) as caught:
        message.result(timeout=20)
    assert caught.value.errno == errno.EIO
    assert mapped_sectors(rig, 96, 16) == list(range(96, 104))
    assert r0.pread(96, 16) == pattern(1, 16)


# physical blocks

def test_heals_as_a_whole(rig: Rig) -> None:
    """A disk of 4 KiB blocks that says it has 512: a block that cannot be read, where only a
    write of all of it helps."""
    r0 = rig.create()
    r0.pwrite(96, pattern(1, CHUNK))
    rig.message("r0", "remap 96 8")
    rig.main.heal4k(96)
    r0.pwrite(98, pattern(2))
    r0.fsync()
    assert rig.message("r0", "unremap 96 8") == "unremapped 96+8"
    expected = pattern(1, CHUNK)[:2 * SECTOR] + pattern(2) + pattern(1, CHUNK)[3 * SECTOR:]
    assert r0.pread(96, CHUNK) == expected
    assert mapped_sectors(rig, 96, CHUNK) == []
    rig.powercut()
    assert rig.create().pread(96, CHUNK) == expected


def test_lost_sectors_are_not_healed_with_something(rig: Rig) -> None:
    """P2: what was never read is written by the user, or stays lost."""
    r0 = rig.create()
    rig.main.heal4k(96)
    assert "lost_sectors=8 " in rig.message("r0", "remap 96 8")
    r0.pwrite(98, pattern(2))
    with pytest.raises(OSError) as caught:
        rig.message("r0", "unremap 96 8")
    assert caught.value.errno == errno.ENODATA
    r0.pwrite(96, pattern(3, CHUNK))
    rig.message("r0", "unremap 96 8")
    assert r0.pread(96, CHUNK) == pattern(3, CHUNK)
    assert rig.status()["used"] == 1


def test_512e_pays_two_commands_for_a_block(rig: Rig) -> None:
    """D21: a read of a physical block says it for all of its sectors; once more to be sure."""
    with _on_512e(rig) as r0:
        r0.pwrite(96, pattern(1, 16))
        r0.fsync()
        rig.main.bad(96, CHUNK, kind="read", delay_ms=1200)
        count = Count(rig)
        assert "lost_sectors=8 " in rig.message("r0", "remap 98")
        assert count.all()["main errors"] == 2
        assert mapped_sectors(rig, 96, 16) == list(range(96, 104))
        rig.main.clear()
        r0.pwrite(96, pattern(2, CHUNK))
        assert r0.pread(96, 16) == pattern(2, CHUNK) + pattern(1, 16)[8 * SECTOR:]


def test_512e_reads_what_can_be_read(rig: Rig) -> None:
    """Where it costs no time, a disk is not taken at its word."""
    with _on_512e(rig) as r0:
        r0.pwrite(96, pattern(1, CHUNK))
        r0.fsync()
        rig.main.bad(99, kind="read")
        assert "lost_sectors=1 " in rig.message("r0", "remap 96 8")
        assert r0.pread(96, 3) == pattern(1, CHUNK)[:3 * SECTOR]
        rig.main.clear()


def test_512e_blocks_go_back_whole(rig: Rig) -> None:
    """D16, D21: a block with one relocated sector is written in one bio, and what main served
    of it is on the spare before: no crash can take it along."""
    with _on_512e(rig) as r0:
        r0.pwrite(96, pattern(1, CHUNK))
        r0.fsync()
        rig.main.bad(98)
        r0.pwrite(98, pattern(2))
        assert mapped_sectors(rig, 96, CHUNK) == [98]
        rig.main.clear()
        rig.main.heal4k(104)
        rig.server.mark("begin")
        rig.message("r0", "unremap 98")
        events = Region(rig).events("begin")
        writes = [event.record for event in events if event.what == "data"]
        assert [(record.sector, record.sectors) for record in writes] == [(96, 8)]
        seen = list(words(events))
        assert seen.index("table 1") < seen.index("data")
        expected = pattern(1, CHUNK)[:2 * SECTOR] + pattern(2) + pattern(1, CHUNK)[3 * SECTOR:]
        assert r0.pread(96, CHUNK) == expected
        assert rig.media("main").read(96, CHUNK) == expected
        assert rig.status()["used"] == 1


def test_512e_block_whose_rest_cannot_be_read_stays(rig: Rig) -> None:
    """Nothing gets lost by it, and the log says why."""
    with _on_512e(rig) as r0:
        r0.pwrite(96, pattern(1, CHUNK))
        r0.fsync()
        rig.main.bad(98)
        r0.pwrite(98, pattern(2))
        rig.main.clear()
        rig.main.bad(101, kind="read")
        for text in ("unremap 98", "unremap 96 8"):
            with pytest.raises(OSError) as caught:
                rig.message("r0", text)
            assert caught.value.errno == errno.EIO
        assert rig.message("r0", "clear") == "cleared kept=1"
        assert any("sector 101 cannot be read" in line for line in rig.log())
        assert mapped_sectors(rig, 96, CHUNK) == [98]
        assert rig.status()["lost_sectors"] == 0
        rig.main.clear()
        assert r0.pread(96, 2) == pattern(1, CHUNK)[:2 * SECTOR]
        assert rig.message("r0", "clear") == "cleared kept=0"
        assert r0.pread(98) == pattern(2)


@pytest.mark.parametrize("seed", range(3))
def test_batches_under_load(rig: Rig, seed: int) -> None:
    """Random writes with bad sectors beside batches both ways, a suspend now and then: what is
    read is what was written last, also after a power cut."""
    print(f"seed {seed}")
    rng = random.Random(seed)
    r0 = rig.create()
    size = 2048
    content = bytearray(pattern(1, size))
    r0.pwrite(0, bytes(content))

    def messages() -> None:
        dice = random.Random(seed)
        for _ in range(25):
            first = dice.randrange(0, size - 8) & ~7
            verb = dice.choice(("remap", "unremap", "clear", "list"))
            text = {"clear": "clear", "list": "remap_list manual " + " ".join(
                f"{dice.randrange(size)}" for _ in range(50))}.get(
                verb, f"{verb} {first} {min(dice.choice((1, 8, 100, 1000)), size - first)}")
            with contextlib.suppress(OSError):
                rig.message("r0", text)

    def suspends() -> None:
        for _ in range(6):
            time.sleep(0.1)
            rig.suspend("r0", random.Random(seed).random() < 0.5)
            rig.resume()

    def write(first: int, number: int) -> None:
        """Its own 128 sectors, so that what is read is known."""
        dice = random.Random(number)
        for n in range(40):
            count = dice.choice((1, 8, 8, 16, 32))
            sector = first + dice.randrange(128 - count)
            data = pattern(1000 * number + n, count)
            r0.pwrite(sector, data)
            content[sector * SECTOR:(sector + count) * SECTOR] = data
            found = r0.pread(sector, count)
            assert found == data, f"seed {seed}: sector {sector}"

    for sector in rng.sample(range(size), 25):
        rig.main.bad(sector)
    futures = [rig.background(messages), rig.background(messages), rig.background(suspends)]
    futures += [rig.background(write, 128 * n, seed * 100 + n) for n in range(16)]
    for future in futures:
        future.result(timeout=120)
    assert r0.pread(0, size) == bytes(content)
    r0.fsync()
    rig.powercut()
    assert rig.create().pread(0, size) == bytes(content)


@pytest.mark.disks(main="16M", spare="1M")
def test_clear_ends_with_the_first_doubt(rig: Rig) -> None:
    """D12, D20: a spare that takes no commit is not asked for every chunk, with a suspend waiting."""
    rig.create()
    rig.message("r0", "remap 0 1504")     # more than a batch
    rig.spare.bad(0, 300, delay_ms=300)
    job = rig.background(rig.message, "r0", "clear")
    time.sleep(1)
    begun = time.monotonic()
    rig.background(dm.suspend, "r0", True, False).result(timeout=120)
    assert time.monotonic() - begun < 40
    with pytest.raises(OSError):
        job.result(timeout=120)
    rig.spare.clear()
    rig.resume()
    rig.message("r0", "clear")
    assert rig.status()["used"] == 1
