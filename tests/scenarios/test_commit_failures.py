# SPDX-License-Identifier: GPL-2.0-or-later
"""Commits that fail: nothing is acknowledged, nothing rises from the dead (C1-C4, C8, C11, P8)."""

import errno
import random
from contextlib import nullcontext

import pytest

from tests.harness.disks import kind_of_guest
from tests.scenarios import dm
from tests.scenarios.lib import SECTOR, Device, Rig, pattern, wait_for
from tests.scenarios.made import MAIN, SPARE, Made, check_data
from tests.scenarios.ondisk import BAD, SESSION, Block, Spare, check_log, mark_of

# 16 slots, one of them for the probe chunk
pytestmark = pytest.mark.disks(main="256K", spare="320K")

SECTORS = 512
ACTIONS = ("error", "landed", "torn")


class Commits:
    """A device with one remap, and the content every sector must have."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.data = bytearray(pattern(1, SECTORS))
        rig.media("main").write(0, bytes(self.data))
        self.device: Device = rig.create()
        self.spare = Spare.of(rig)
        self.write(8, 2)    # an existing remap

    def write(self, sector: int, number: int, count: int = 1) -> None:
        """A write to bad sectors that must succeed."""
        self.rig.main.bad(sector, count)
        self.device.pwrite(sector, pattern(number, count))
        self.note(sector, number, count)
        self.rig.main.clear()

    def note(self, sector: int, number: int, count: int = 1) -> None:
        self.data[sector * SECTOR:(sector + count) * SECTOR] = pattern(number, count)

    def fails(self, sector: int, number: int, count: int = 1) -> None:
        """A write to bad sectors whose commit must fail."""
        self.rig.main.bad(sector, count)
        with pytest.raises(OSError) as caught:
            self.device.pwrite(sector, pattern(number, count))
        assert caught.value.errno == errno.EIO
        self.rig.main.clear()

    def spoil(self, replica: int, action: str = "error", times: int | None = None) -> None:
        """The place that the next commit of the table block goes to."""
        self.rig.spare.bad(self.spare.next_sector(1, replica), 8, action=action, times=times)

    def check(self, but: tuple[int, ...] = ()) -> None:
        """All data right; each sector in BUT fails, or is right."""
        for first, end in zip((0, *(s + 1 for s in but)), (*but, SECTORS), strict=True):
            check_data(self.device, bytes(self.data[:end * SECTOR]), start=first)

    def never_wrong(self, sector: int, *allowed: bytes) -> bytes | None:
        """Reading SECTOR fails, or gives one of ALLOWED."""
        try:
            found = self.device.pread(sector)
        except OSError:
            return None
        assert found in allowed, f"sector {sector} reads as {found[:20]!r}"
        return found

    def fill(self) -> None:
        """Relocate until the spare is full: every slot must be accounted for."""
        status = self.rig.status()
        sector = 256
        while True:
            self.rig.main.bad(sector)
            try:
                self.device.pwrite(sector, pattern(900 + sector))
            except OSError:
                break
            self.note(sector, 900 + sector)
            self.rig.main.clear()
            sector += 8
        self.rig.main.clear()
        full = self.rig.status()
        assert full["mode"] == "full", full
        assert full["used"] + full["bad_slots"] == full["total"] == 16, full
        assert full["retired_slots"] == 0, full
        assert full["used"] == status["used"] + (sector - 256) // 8
        named = [e.slot for e in self.spare.entries()]
        assert len(named) == len(set(named)) == 16
        self.check()


@pytest.fixture
def commits(rig: Rig) -> Commits:
    return Commits(rig)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("replica", (0, 1))
def test_commit_fails_for_good(commits: Commits, replica: int, action: str) -> None:
    """C1, C4, P8: error to the user, mode meta_fail, the rest served; then certain again."""
    rig = commits.rig
    events = dm.event_nr("r0")
    commits.spoil(replica, action)
    committed = commits.spare.newest(1).seq
    commits.fails(100, 3)
    assert rig.status()["mode"] == "meta_fail"
    assert rig.status()["blocks_in_doubt"] == 1
    wait_for(lambda: dm.event_nr("r0") > events, "an event")
    # nothing is acknowledged for the sector, wherever main or the spare would take it
    for number in (4, 5):
        with pytest.raises(OSError):
            commits.device.pwrite(100, pattern(number))
    with pytest.raises(OSError):
        commits.device.pread(100)
    assert "doubt" in rig.message("r0", "verify 100")
    # its neighbours in the chunk, the existing remap and everything else are served
    commits.check(but=(100,))
    commits.device.pwrite(101, pattern(6))
    commits.note(101, 6)
    commits.device.pwrite(8, pattern(7))
    commits.note(8, 7)
    commits.check(but=(100,))
    # nor does another relocation succeed without a commit
    commits.fails(200, 8)
    with pytest.raises(OSError):
        rig.message("r0", "save")
    rig.spare.clear()
    rig.message("r0", "save")
    assert rig.status()["mode"] == "rw"
    assert rig.status()["blocks_in_doubt"] == 0
    # as the failed writes left main: as before
    commits.check()
    commits.write(100, 9)
    commits.write(200, 10)
    commits.check()
    assert commits.spare.newest(1).seq > committed
    check_log(rig, commits.spare)
    commits.fill()
    rig.powercut()
    commits.device = rig.create()
    commits.check()


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("replica", (0, 1))
@pytest.mark.parametrize("times", (1, 2, 3, 4, 5))
def test_commit_fails_for_a_while(commits: Commits, replica: int, action: str,
                                  times: int) -> None:
    """C2, C3, C4: the write may succeed by a retry, else the doubt ends by itself."""
    rig = commits.rig
    commits.spoil(replica, action, times)
    rig.main.bad(100)
    try:
        commits.device.pwrite(100, pattern(3))
        commits.note(100, 3)
    except OSError:
        pass
    rig.main.clear()
    if rig.status()["blocks_in_doubt"]:
        commits.never_wrong(100, pattern(1, SECTORS)[100 * SECTOR:101 * SECTOR])
        rig.message("r0", "save")
    assert rig.status()["mode"] == "rw"
    commits.check()
    commits.write(200, 4)
    commits.fill()
    check_log(rig, commits.spare)
    rig.powercut()
    commits.device = rig.create()
    commits.check()


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("replica", (0, 1))
def test_power_cut_while_in_doubt(commits: Commits, replica: int, action: str) -> None:
    """C4: afterwards the unacknowledged write is there or not, and nothing else differs."""
    rig = commits.rig
    old = bytes(commits.data[100 * SECTOR:101 * SECTOR])
    commits.spoil(replica, action)
    commits.fails(100, 3)
    commits.fails(100, 4)
    commits.device.pwrite(104, pattern(5))    # to main, in the same chunk
    commits.device.fsync()
    commits.note(104, 5)
    rig.powercut()
    rig.spare.clear()
    commits.device = rig.create()
    assert rig.status()["mode"] == "rw"
    commits.check(but=(100,))
    found = commits.never_wrong(100, old, pattern(3), pattern(4))
    assert found is not None
    # and it stays so: what was read is never rolled back
    for destroyed in (0, 1):
        rig.powercut()
        first, count = commits.spare.replica_sectors(destroyed)
        rig.media("spare").write(first, bytes(count * SECTOR))
        commits.device = rig.create()
        assert commits.device.pread(100) == found
        commits.check(but=(100,))
    commits.write(100, 6)
    commits.check()
    check_log(rig, commits.spare)


@pytest.mark.parametrize("replica", (0, 1))
def test_acknowledged_data_stays_over_doubt(commits: Commits, replica: int) -> None:
    """C4: a failed commit, its sector written again on main and flushed, a power cut: the new
    data, never the failed write's."""
    rig = commits.rig
    commits.spoil(replica, times=2)    # and the retry resolves it
    commits.fails(100, 3)
    wait_for(lambda: not rig.status()["blocks_in_doubt"] or rig.message("r0", "save"), "the end")
    commits.device.pwrite(100, pattern(4))    # main takes it now
    commits.device.fsync()
    commits.note(100, 4)
    for seed in range(4):
        rig.powercut(seed)
        first, count = commits.spare.replica_sectors(seed % 2)
        rig.media("spare").write(first, bytes(count * SECTOR))
        commits.device = rig.create()
        commits.check()


@pytest.mark.parametrize("replica", (0, 1))
def test_more_sectors_of_a_remapped_chunk_in_doubt(commits: Commits, replica: int) -> None:
    """C4: the sectors that the entry has already go on being served from the spare."""
    rig = commits.rig
    commits.write(100, 3)
    commits.spoil(replica)
    commits.fails(101, 4)
    commits.check(but=(101,))
    with pytest.raises(OSError):
        commits.device.pread(101)
    commits.device.pwrite(100, pattern(5))
    commits.note(100, 5)
    with pytest.raises(OSError):
        commits.device.pwrite(100, pattern(6, 2))    # 100 may have been written
    assert commits.never_wrong(100, pattern(5), pattern(6, 2)[:SECTOR]) is not None
    commits.device.pwrite(100, pattern(5))
    rig.spare.clear()
    rig.message("r0", "restore")
    assert rig.status()["mode"] == "rw"
    commits.check()
    commits.write(101, 7)
    commits.fill()
    check_log(rig, commits.spare)


@pytest.mark.parametrize("replica", (0, 1))
def test_rescue_whose_commit_fails(commits: Commits, replica: int) -> None:
    """P8: the message fails, the data stay; then it works."""
    rig = commits.rig
    commits.spoil(replica)
    with pytest.raises(OSError):
        rig.message("r0", "remap 100 4")
    commits.check(but=(100, 101, 102, 103))
    for sector in range(100, 104):
        commits.never_wrong(sector, bytes(commits.data[sector * SECTOR:(sector + 1) * SECTOR]))
    rig.spare.clear()
    assert "remapped" in rig.message("r0", "remap 100 4")
    assert rig.status()["mode"] == "rw"
    commits.check()
    commits.fill()
    check_log(rig, commits.spare)


@pytest.mark.parametrize("replica", (0, 1))
def test_unremap_whose_commit_fails(commits: Commits, replica: int) -> None:
    """P2, C4: until the removal is certain neither place may be believed."""
    rig = commits.rig
    commits.spoil(replica)
    with pytest.raises(OSError):
        rig.message("r0", "unremap 8")
    commits.check(but=(8,))
    now = pattern(2)
    commits.never_wrong(8, now)
    try:
        commits.device.pwrite(8, pattern(3))
        now = pattern(3)
        commits.note(8, 3)
    except OSError:
        pass
    rig.powercut()
    rig.spare.clear()
    commits.device = rig.create()
    if commits.never_wrong(8, pattern(2), pattern(3)) == pattern(3):
        commits.note(8, 3)
    commits.check()
    rig.message("r0", "unremap 8")
    assert rig.status()["used"] == 1
    commits.check()
    commits.fill()


def test_restore_leaves_the_failed_mode(commits: Commits) -> None:
    """Row 12: restore checks the media, repairs them and ends meta_fail; not before it can."""
    rig = commits.rig
    commits.spoil(1)
    commits.fails(100, 3)
    with pytest.raises(OSError):
        rig.message("r0", "restore")
    assert rig.status()["mode"] == "meta_fail"
    rig.spare.clear()
    assert "restored" in rig.message("r0", "restore")
    assert rig.status()["mode"] == "rw"
    assert commits.spare.same_everywhere(1)
    commits.check()


@pytest.mark.parametrize("block", (0, 1))
def test_restore_rewrites_every_place(commits: Commits, block: int) -> None:
    """C7: what a replica held while it was out counts for nothing, in either place."""
    rig, spare = commits.rig, commits.spare
    for replica, place in spare.copies(block):
        if (replica, place) != (0, spare.newest_place(block, 0)):
            spare.write(replica, place, block, bytes(4096))
    assert "restored" in rig.message("r0", "restore")
    assert all(copy.valid for copy in spare.copies(block).values())
    commits.check()


@pytest.mark.parametrize("block", (0, 1))
@pytest.mark.parametrize("replica", (0, 1))
def test_failed_sync_can_be_restored(commits: Commits, block: int, replica: int) -> None:
    """No other system wrote: what a sync of our own left half-done is not held against the set."""
    rig = commits.rig
    rig.spare.bad(commits.spare.next_sector(block, replica), 8)
    with pytest.raises(OSError):
        rig.message("r0", "sync")
    commits.check()
    rig.spare.clear()
    assert "restored" in rig.message("r0", "restore")
    assert rig.status()["mode"] == "rw"
    assert commits.spare.same_everywhere(block)
    rig.message("r0", "sync")
    commits.write(100, 3)
    commits.check()
    check_log(rig, commits.spare)


@pytest.mark.parametrize("doubt", (False, True))
def test_somebody_else_wrote_the_metadata(commits: Commits, doubt: bool) -> None:
    """C6, D10: newer metadata than ours on the media: mode fail, nothing is written any more.
    A failed commit of our own is no excuse for what we never wrote."""
    rig = commits.rig
    if doubt:
        commits.spoil(0)
        commits.fails(101, 4)
        rig.spare.clear()
    for replica, place in commits.spare.copies(1):
        stranger = commits.spare.newest(1).with_seq(1 << 40)
        commits.spare.write(replica, place, 1, stranger.data)
    with pytest.raises(OSError):
        rig.message("r0", "restore")
    assert rig.status()["mode"] == "fail"
    assert any("another system wrote" in line for line in rig.log())
    before = rig.media("spare").whole()
    with pytest.raises(OSError):
        commits.device.pwrite(100, pattern(3))
    for verb in ("save", "sync", "remap 100", "unremap 8"):
        with pytest.raises(OSError):
            rig.message("r0", verb)
    assert rig.media("spare").whole() == before
    with pytest.raises(OSError):
        commits.device.pread(8)    # its slot may be another chunk's now
    probe_chunk = range(SECTORS - 8, SECTORS)
    commits.check(but=(8, *((101,) if doubt else ()), *probe_chunk))


def test_media_that_went_back_are_noticed(commits: Commits) -> None:
    """D10: resume never goes behind what this set acknowledged."""
    rig = commits.rig
    old = rig.media("spare").whole()
    commits.write(100, 3)
    rig.suspend()
    rig.media("spare").write(0, old)
    with pytest.raises(OSError):
        rig.resume()
    assert any("went back" in line or "older" in line for line in rig.log())


def test_flush_of_the_spare_fails(commits: Commits) -> None:
    """C10: without a flush that succeeded nothing is committed, and no slot is lost."""
    rig = commits.rig
    number = commits.spare.newest(1).seq
    rig.spare.fail_flushes(1000)
    commits.fails(100, 3)
    assert commits.spare.newest(1).seq == number
    rig.spare.fail_flushes(0)
    commits.check()
    commits.write(100, 4)
    assert rig.status()["mode"] == "rw"
    commits.fill()
    check_log(rig, commits.spare)


def test_numbers_are_never_used_again(commits: Commits, rng: random.Random) -> None:
    """C2, C3: over commits that fail in every way, power cuts and lost replicas."""
    rig = commits.rig
    for turn in range(40):
        sector = rng.randrange(16, 96)
        kind = rng.choice(("commit", "fail", "fail", "cut", "lose"))
        if kind == "fail":
            commits.spoil(rng.randrange(2), rng.choice(ACTIONS), rng.choice((None, 1, 2, 3)))
        elif kind == "cut":
            rig.powercut(seed=turn)
            commits.device = rig.create()
        elif kind == "lose":
            rig.powercut()
            first, count = commits.spare.replica_sectors(turn % 2)
            rig.media("spare").write(first, bytes(count * SECTOR))
            commits.device = rig.create()
        old = bytes(commits.data[sector * SECTOR:(sector + 1) * SECTOR])
        new = pattern(100 + turn)
        rig.main.bad(sector)
        acknowledged = True
        try:
            commits.device.pwrite(sector, new)
            commits.device.fsync()
        except OSError:
            acknowledged = False
        rig.main.clear()
        rig.spare.clear()
        if rig.status()["mode"] == "meta_fail":
            if rng.random() < 0.5:
                rig.powercut()
                commits.device = rig.create()
            else:
                rig.message("r0", "restore")
        found = commits.never_wrong(sector, *((new,) if acknowledged else (old, new)))
        assert found is not None
        commits.data[sector * SECTOR:(sector + 1) * SECTOR] = found
        commits.check()
    assert check_log(rig, commits.spare) > 10


def test_slots_are_used_again_as_the_rule_says(commits: Commits, rng: random.Random) -> None:
    """C11: data goes to a freed slot only when no place of any replica names it."""
    rig = commits.rig
    first = ["unremap", "again", "remap", "unremap", "cut", "remap", "unremap", "remap"]
    for turn in range(60):
        sector = rng.randrange(16, 256)
        kind = first.pop(0) if first else \
            rng.choice(("remap", "remap", "unremap", "unremap", "again", "cut"))
        if kind == "again":
            rig.suspend()
            rig.resume()
        elif kind == "cut":
            rig.powercut(seed=turn)
            commits.device = rig.create()
        elif kind == "unremap":
            chunks = [e.chunk for e in commits.spare.entries()
                      if e.chunk != commits.spare.probe_chunk()]
            if chunks:
                rig.message("r0", f"unremap {rng.choice(chunks) * 8} 8")
        elif rig.status()["mode"] != "full":
            rig.message("r0", f"remap {sector}")
        commits.check()
    # walk the log: what the four copies named when data went to a slot
    slots: dict[tuple[int, int], set[tuple[int, int]]] = {}
    where = {commits.spare.sector(r, p, 1): (r, p) for r in (0, 1) for p in (0, 1)}
    committed: dict[int, int] = {}
    slot_0 = commits.spare.slot_sector(0)
    checked = 0
    for record in rig.server.log():
        if record.disk != 1 or record.kind != "write" or not record.done:
            continue
        if record.sector in where:
            block = Block(record.data)
            names = {(e.slot, e.chunk) for e in block.entries() if e.state != BAD}
            slots[where[record.sector]] = names
            if where[record.sector][0] == 1:
                committed = dict(names)
        elif record.sector >= slot_0:
            slot = (record.sector - slot_0) // 8
            if slot >= 16 or slot in committed:
                continue
            named = [key for key, names in slots.items() if any(s == slot for s, _ in names)]
            assert not named, f"slot {slot} is written while {named} still name it"
            checked += 1
    assert checked > 5


def test_bad_slots_are_accounted_for(commits: Commits) -> None:
    """P5, D7: a slot that does not take data is bad, durably; the others are all used."""
    rig = commits.rig
    rig.spare.bad(commits.spare.slot_sector(3), 8)
    commits.write(100, 3)    # takes slot 2
    commits.write(108, 4)    # meets slot 3 on the way
    commits.write(116, 5)
    commits.fill()
    status = rig.status()
    assert status["bad_slots"] == 1
    rig.powercut()
    commits.device = rig.create()
    assert rig.status()["bad_slots"] == 1
    assert rig.status()["used"] == 15
    commits.check()


def test_spare_dies_and_returns(commits: Commits) -> None:
    """P5, P8: nothing is acknowledged meanwhile, no slot is called bad, all works afterwards."""
    rig = commits.rig
    rig.spare.fail()
    commits.fails(100, 3)
    for verb in ("save", "sync", "remap 200", "restore"):
        with pytest.raises(OSError):
            rig.message("r0", verb)
    commits.device.pwrite(300, pattern(4))    # main is well
    commits.note(300, 4)
    with pytest.raises(OSError):
        commits.device.pread(8)
    rig.spare.back()
    rig.message("r0", "restore")
    commits.check()
    commits.write(100, 5)
    assert rig.status()["mode"] == "rw"
    assert rig.status()["bad_slots"] == 0
    commits.fill()
    check_log(rig, commits.spare)


def test_doubt_ends_by_itself(commits: Commits) -> None:
    """C4: the timer tries again, without an administrator."""
    rig = commits.rig
    commits.spoil(0)
    commits.fails(100, 3)
    rig.spare.clear()
    wait_for(lambda: rig.status()["blocks_in_doubt"] == 0, "a retry", timeout_s=60)
    assert rig.status()["mode"] == "rw"
    commits.check()


def test_removal_while_in_doubt(commits: Commits) -> None:
    """C4: with the fault still there; the next activation decides once and for all."""
    rig = commits.rig
    old = bytes(commits.data[100 * SECTOR:101 * SECTOR])
    for replica in (0, 1):
        commits.spoil(replica)
        commits.fails(100, 3)
        rig.remove()
        rig.spare.clear()
        rig.server.mark(SESSION)
        commits.device = rig.create()
        commits.never_wrong(100, old, pattern(3))
        commits.check(but=(100,))
        rig.suspend()
        rig.resume()
        commits.check(but=(100,))
        old = commits.device.pread(100)
    check_log(rig, commits.spare)


@pytest.mark.disks(main=MAIN, spare=SPARE)
def test_a_bad_block_keeps_no_other_in_doubt(rig: Rig) -> None:
    """C4, C8: one place that is gone for good; the rest of the table lives on."""
    made = Made.make(rig)
    device = rig.create()
    spare = Spare.of(rig)
    rig.spare.bad(spare.next_sector(1, 0), 8)
    first = next(e for e in spare.entries() if e.slot < 252 and e.chunk != spare.probe_chunk())
    with pytest.raises(OSError):
        rig.message("r0", f"unremap {first.chunk * 8} 8")
    assert rig.status()["blocks_in_doubt"] == 1
    rig.spare.bad(spare.next_sector(2, 0), 8, times=4)
    rig.main.bad(2200)
    with pytest.raises(OSError):
        device.pwrite(2200, pattern(7))
    with pytest.raises(OSError):
        rig.message("r0", "save")    # block 1 is not certain
    assert rig.status()["blocks_in_doubt"] == 1
    device.pwrite(2200, pattern(8))
    assert device.pread(2200) == pattern(8)
    rig.powercut()
    rig.spare.clear()
    rig.main.clear()
    device = rig.create()
    assert device.pread(2200) == pattern(8)
    made.data[2200 * SECTOR:2201 * SECTOR] = pattern(8)
    made.check(device)


@pytest.mark.disks(main="1M", spare="2M")
def test_a_block_in_doubt_gives_no_slots(rig: Rig) -> None:
    """C8: what fails next goes to another block, and is not kept waiting for this one."""
    device = rig.create()
    spare = Spare.of(rig)
    rig.main.bad(800, 16, kind="write")
    rig.spare.bad(spare.next_sector(1, 0), 8)
    with pytest.raises(OSError):
        device.pwrite(800, pattern(1))
    assert rig.status()["blocks_in_doubt"] == 1
    device.pwrite(808, pattern(2))
    assert rig.status()["blocks_in_doubt"] == 1 and rig.status()["frozen_blocks"] == 0
    taken, = (entry for entry in spare.entries() if entry.chunk == 101)
    assert taken.slot >= 252
    rig.powercut()
    rig.spare.clear()
    assert rig.create().pread(808) == pattern(2)


def super_writes(rig: Rig, replica: int) -> list[int]:
    spare = Spare.of(rig)
    return [spare.sector(replica, place, 0) for place in (0, 1)]


def settings_cannot_be_stored(rig: Rig) -> None:
    for sector in super_writes(rig, 0) + super_writes(rig, 1):
        rig.spare.bad(sector, 8, kind="write")


@pytest.mark.disks(main="1M", spare="640K")
def test_a_freeze_that_failed_is_over_when_thawed(rig: Rig) -> None:
    """E7, C4: the superblock that says so may be on one replica; "thawed" must be true after
    a restart."""
    rig.create()
    for sector in super_writes(rig, 1):
        rig.spare.bad(sector, 8, kind="write")
    rig.message("r0", "freeze")
    assert rig.status()["mode"] == "frozen"
    rig.spare.clear()
    assert "thawed" in rig.message("r0", "thaw")
    rig.powercut()
    device = rig.create()
    assert rig.status()["mode"] == "rw"
    rig.main.bad(800, kind="write")
    device.pwrite(800, pattern(1))
    assert device.pread(800) == pattern(1)


@pytest.mark.disks(main="1M", spare="640K")
@pytest.mark.parametrize("said", ["freeze", "thaw"])
@pytest.mark.parametrize("new_table", [True, False])
def test_what_no_superblock_says_outlives_a_resume(rig: Rig, said: str, new_table: bool) -> None:
    """E7: the message says "not stored yet"; a new table stores it, as does the timer."""
    rig.create()
    if said == "thaw":
        rig.message("r0", "freeze")
    settings_cannot_be_stored(rig)
    assert "not stored yet" in rig.message("r0", said)
    assert rig.message("r0", "write_cache keep") == "write_cache keep"
    if new_table:
        dm.load("r0", rig.table())
    rig.suspend()
    # not before: it would be stored in leaving
    rig.spare.clear()
    rig.resume()
    for restart in False, True:
        if restart:
            rig.powercut()
            rig.create()
        assert rig.status()["mode"] == {"freeze": "frozen", "thaw": "rw"}[said]
        assert rig.message("r0", "write_cache") == "write_cache keep"


def restarted(rig: Rig, how: str) -> Device:
    """The spare is well again; then the set ends at once, in order, or by a power cut later."""
    rig.spare.clear()
    if how == "in order":
        rig.remove()
    else:
        before = flags_on_the_media(rig)
        wait_for(lambda: flags_on_the_media(rig) != before, "the superblock")
        rig.powercut()
    return rig.create()


def flags_on_the_media(rig: Rig) -> int:
    return int.from_bytes(Spare.of(rig).newest(0).data[52:56], "little")


@pytest.mark.disks(main="8M", spare="8M")
@pytest.mark.parametrize("how", ["power cut", "in order"])
def test_a_storm_is_not_forgotten_for_a_short_error(rig: Rig, how: str) -> None:
    """E7: the superblock could not be written when the storm froze the set."""
    device = rig.create()
    settings_cannot_be_stored(rig)
    rig.main.bad(0, 10240)
    for start in range(0, 7168, 512):
        device.pwrite(start, pattern(start, 512))
    with pytest.raises(OSError):
        for start in range(7168, 10240, 8):    # nothing else is to be committed then
            device.pwrite(start, pattern(start, 8))
    assert rig.status()["mode"] == "frozen"
    device = restarted(rig, how)
    assert rig.status()["mode"] == "frozen"
    assert device.pread(0, 512) == pattern(0, 512)
    with pytest.raises(OSError):
        device.pwrite(10000, pattern(1))
    rig.message("r0", "thaw")
    device.pwrite(10000, pattern(2))
    assert device.pread(10000) == pattern(2)


@pytest.mark.disks(main="1M", spare="640K")
@pytest.mark.parametrize("how", ["power cut", "in order"])
def test_auto_has_ended_although_the_spare_had_an_error(rig: Rig, how: str) -> None:
    """D18: main had an error, and the superblock could not be written just then."""
    device = rig.create()
    rig.message("r0", "write_cache auto")
    settings_cannot_be_stored(rig)
    rig.main.bad(100, kind="read")
    with pytest.raises(OSError):
        device.pread(100)
    wait_for(lambda: rig.spare.stats()["errors"] > 0, "the superblock that cannot be written")
    assert rig.status()["write_cache"] == "through"
    device = restarted(rig, how)
    assert rig.status()["write_cache"] == "through"
    rig.main.late(800)
    device.pwrite(800, pattern(3))
    rig.powercut()
    assert rig.create().pread(800) == pattern(3)


@pytest.mark.disks(main="1M", spare="640K")
def test_auto_ends_while_the_spare_is_away(rig: Rig) -> None:
    """D18, D22: nothing may be written then; it is stored when the spare has been compared."""
    device = rig.create()
    rig.message("r0", "write_cache auto")
    rig.spare.fail()
    rig.suspend()
    rig.resume()
    rig.main.bad(100, kind="read")
    with pytest.raises(OSError):
        device.pread(100)
    assert rig.status()["write_cache"] == "through"
    rig.spare.back()
    rig.wait_for_mode("rw")
    restarted(rig, "power cut")
    assert rig.status()["write_cache"] == "through"


@pytest.mark.disks(main="1M", spare="640K")
def test_auto_ends_with_the_last_flush(rig: Rig) -> None:
    """D18, C15: main tells of its first error when the set leaves, and main's mark knows of the
    superblock that says so."""
    device = rig.create()
    rig.message("r0", "write_cache auto")
    device.pwrite(800, pattern(1))
    rig.main.fail_flushes(1)
    rig.remove()
    spare = Spare.of(rig)
    found = mark_of(rig.media("main"), spare.probe_chunk())
    assert found and found[1] == max(spare.newest(b).seq for b in (0, *spare.table_blocks))
    rig.create()
    assert rig.status()["write_cache"] == "through"


@pytest.mark.disks(main="1M", spare="640K")
def test_nothing_new_while_the_superblock_is_in_doubt(rig: Rig) -> None:
    """C4, P8: what the media say of places and probe chunk is not what memory holds."""
    device = rig.create()
    for sector in super_writes(rig, 1):
        rig.spare.bad(sector, 8, kind="write")
    rig.message("r0", "freeze")
    rig.message("r0", "thaw")
    rig.main.bad(800, kind="write")
    with pytest.raises(OSError):
        device.pwrite(800, pattern(1))
    assert rig.status()["mode"] == "meta_fail" and rig.status()["used"] == 1
    rig.spare.clear()
    device.pwrite(800, pattern(2))
    assert rig.status()["mode"] == "rw" and device.pread(800) == pattern(2)


@pytest.mark.disks(main="1M", spare="640K")
def test_restore_does_not_end_a_flush_that_fails(rig: Rig) -> None:
    """P8: the metadata is whole, and still nothing can be committed."""
    device = rig.create()
    rig.main.bad(800, kind="write")
    rig.spare.fail_flushes(100)
    with pytest.raises(OSError):
        device.pwrite(800, pattern(1))
    assert rig.status()["mode"] == "meta_fail"
    without_fua = "fua=off" in kind_of_guest().spare    # then the superblock is in doubt as well
    with pytest.raises(OSError) if without_fua else nullcontext():
        rig.message("r0", "restore")
    assert rig.status()["mode"] == "meta_fail"
    rig.spare.fail_flushes(0)
    rig.message("r0", "restore")
    assert rig.status()["mode"] == "rw"
