# SPDX-License-Identifier: GPL-2.0-or-later
"""C8: a metadata sector that can no longer be written is not the end of the set."""

import contextlib
import random

import pytest

from tests.scenarios.lib import SECTOR, Device, Rig, pattern
from tests.scenarios.made import MAIN, SPARE, Made
from tests.scenarios.ondisk import USED, Entry, Spare
from tests.scenarios.powercuts import images_after

pytestmark = pytest.mark.disks(main=MAIN, spare=SPARE)

FREE = 3000     # a sector of main that nothing has happened to


class Frozen:
    """A set of two table blocks; the first one gets a dead place while it runs."""

    def __init__(self, rig: Rig, replica: int, kind: str) -> None:
        self.rig = rig
        self.made = Made.make(rig)
        self.device: Device = rig.create()
        self.spare = Spare.of(rig)
        self.entry: Entry = next(e for e in self.spare.entries() if e.state == USED and
                                 e.slot < 252 and e.chunk != self.spare.probe_chunk())
        self.dead = self.spare.next_sector(1, replica)
        rig.spare.bad(self.dead, 8, kind=kind)

    def unremap(self) -> None:
        with pytest.raises(OSError):
            self.rig.message("r0", f"unremap {self.entry.chunk * 8} 8")

    def freeze(self) -> None:
        self.unremap()
        assert self.rig.status()["blocks_in_doubt"] == 1
        for _ in range(8):
            if self.rig.status()["frozen_blocks"]:
                break
            try:
                self.rig.message("r0", "save")
            except OSError:
                pass
        status = self.rig.status()
        assert (status["frozen_blocks"], status["blocks_in_doubt"], status["mode"]) == (1, 0, "rw")

    def write(self, sector: int, number: int) -> None:
        """A relocation of SECTOR that must succeed."""
        self.rig.main.bad(sector)
        self.device.pwrite(sector, pattern(number))
        self.made.data[sector * SECTOR:(sector + 1) * SECTOR] = pattern(number)

    def again(self) -> None:
        self.rig.powercut()
        self.device = self.rig.create()


@pytest.mark.parametrize("kind", ["write", "both"])
@pytest.mark.parametrize("replica", [0, 1])
def test_the_rest_goes_on(rig: Rig, replica: int, kind: str) -> None:
    """Its entries are served, it takes no change, others do; also after a power cut, and with
    either replica lost."""
    frozen = Frozen(rig, replica, kind)
    frozen.freeze()
    frozen.unremap()    # not in doubt, and not possible
    assert rig.status()["blocks_in_doubt"] == 0
    frozen.write(FREE, 5)
    frozen.made.check(frozen.device)
    frozen.again()
    assert (rig.status()["mode"], rig.status()["frozen_blocks"]) == ("rw", 1)
    frozen.made.check_some(frozen.device)
    frozen.write(FREE + 40, 6)
    assert rig.message("r0", "metadata_status").count("=ok") == 2
    rig.remove()
    whole = rig.media("spare").whole()
    for lost in (0, 1):
        first, count = frozen.spare.replica_sectors(lost)
        rig.media("spare").write(0, whole)
        rig.media("spare").write(first, bytes(count * SECTOR))
        frozen.device = rig.create()
        assert rig.status()["mode"] == "rw"
        frozen.made.check_some(frozen.device)
        rig.remove()


@pytest.mark.parametrize("replica", [0, 1])
def test_what_failed_there_does_not_rise(rig: Rig, replica: int) -> None:
    """C4: the withdrawn commit landed, and is found again after its place was called dead."""
    frozen = Frozen(rig, replica, "write")
    rig.spare.clear()
    rig.spare.bad(frozen.dead, 8, kind="write", action="landed")
    frozen.freeze()
    sector = frozen.entry.chunk * 8
    frozen.device.pwrite(sector, pattern(7, 8))
    frozen.device.fsync()
    frozen.made.data[sector * SECTOR:(sector + 8) * SECTOR] = pattern(7, 8)
    rig.powercut()
    rig.spare.clear()
    frozen.device = rig.create()
    frozen.made.check(frozen.device)


def test_a_place_that_is_bad_at_activation(rig: Rig) -> None:
    """C5, C8: what cannot be read nor written is left out for good, if it is that alone."""
    made = Made.make(rig)
    spare = Spare.of(rig)
    for replica in (0, 1):
        for place in (0, 1):
            made.put_back()
            rig.spare.bad(spare.sector(replica, place, 1), 8, kind="both")
            device = rig.create()
            assert (rig.status()["mode"], rig.status()["frozen_blocks"]) == ("rw", 1)
            made.check_some(device)
            rig.main.bad(FREE)
            device.pwrite(FREE, pattern(5))
            rig.powercut()
            device = rig.create()
            assert device.pread(FREE) == pattern(5) and rig.status()["mode"] == "rw"
            rig.remove()
            rig.spare.clear()
            rig.main.clear()
            # readable again, with whatever it holds: it counts for nothing
            device = rig.create()
            assert device.pread(FREE) == pattern(5)
            made.check_some(device)
            rig.remove()


def test_two_dead_places_of_one_block(rig: Rig) -> None:
    """One of them would have to be believed: in doubt as long as that lasts."""
    frozen = Frozen(rig, 0, "write")
    rig.spare.bad(frozen.spare.next_sector(1, 1), 8, kind="write")
    frozen.unremap()
    for _ in range(10):
        with pytest.raises(OSError):
            rig.message("r0", "save")
    status = rig.status()
    assert (status["frozen_blocks"], status["blocks_in_doubt"]) == (0, 1)
    assert status["mode"] == "meta_fail"
    frozen.write(FREE, 5)
    rig.spare.clear()
    rig.message("r0", "save")
    assert rig.status()["mode"] == "rw"
    frozen.made.check_some(frozen.device)


@pytest.mark.parametrize("verb", ["sync", "restore"])
def test_it_may_be_written_again(rig: Rig, verb: str) -> None:
    """The device below was mended: the block is as good as any other."""
    frozen = Frozen(rig, 1, "write")
    frozen.freeze()
    rig.message("r0", "restore")
    assert rig.status()["frozen_blocks"] == 1
    rig.spare.clear()
    rig.message("r0", verb)
    assert (rig.status()["frozen_blocks"], rig.status()["mode"]) == (0, "rw")
    rig.message("r0", f"unremap {frozen.entry.chunk * 8} 8")
    frozen.again()
    assert rig.status()["frozen_blocks"] == 0
    frozen.made.check(frozen.device)


def test_restore_spares_the_copies_that_are_good(rig: Rig) -> None:
    """C3: while it fails, the other replica's committed copy is not written over."""
    frozen = Frozen(rig, 1, "write")
    place = frozen.spare.newest_place(1, 0)
    committed = frozen.spare.sector(0, place, 1)
    good = rig.media("spare").read(committed, 8)
    frozen.unremap()
    for _ in range(12):
        if rig.status()["frozen_blocks"]:
            break
        with contextlib.suppress(OSError):
            rig.message("r0", "restore")
    assert rig.status()["frozen_blocks"] == 1
    assert rig.media("spare").read(committed, 8) == good
    assert rig.message("r0", "metadata_status").count("=ok") == 2
    frozen.again()
    frozen.made.check_some(frozen.device)


def test_a_slot_of_a_frozen_block_goes_bad(rig: Rig) -> None:
    """C13: its entry moves once; the one on the dead block is known to be the older."""
    frozen = Frozen(rig, 0, "write")
    frozen.freeze()
    sector = frozen.entry.chunk * 8
    rig.spare.bad(frozen.spare.slot_sector(frozen.entry.slot), 8, kind="write")
    frozen.device.pwrite(sector, pattern(8, 8))
    frozen.made.data[sector * SECTOR:(sector + 8) * SECTOR] = pattern(8, 8)
    slot = int(rig.message("r0", f"verify {sector}").split("slot=")[1].split()[0])
    assert slot >= 252
    for _ in range(2):
        frozen.made.check_some(frozen.device)
        # a second move would leave two entries whose order is unknown
        rig.spare.bad(frozen.spare.slot_sector(slot), 8, kind="write")
        with pytest.raises(OSError):
            frozen.device.pwrite(sector, pattern(9, 8))
        frozen.unremap()
        frozen.again()
        rig.spare.clear(frozen.spare.slot_sector(slot), 8)
        frozen.device.pwrite(sector, pattern(8, 8))


@pytest.mark.plain_only
def test_power_cut_while_it_is_frozen(rig: Rig, rng: random.Random) -> None:
    """C8: between any two writes of it the set loads, and no data is wrong."""
    frozen = Frozen(rig, 0, "both")
    frozen.unremap()
    before = {n: bytearray(rig.media(name).whole()) for n, name in enumerate(("main", "spare"))}
    rig.server.mark("begin")
    for _ in range(8):
        try:
            rig.message("r0", "save")
        except OSError:
            continue
    assert rig.status()["frozen_blocks"] == 1
    records = rig.server.log()
    at = max(i for i, r in enumerate(records) if r.kind == "mark" and r.data == b"begin")
    records = [r for r in records[at:] if r.kind in ("write", "flush") and r.done]
    rig.remove()
    for end in range(len(records) + 1):
        images = images_after(records[:end], before, "all" if end % 2 else "random", rng)
        rig.media("main").write(0, images[0])
        rig.media("spare").write(0, images[1])
        device = rig.create()
        assert (rig.status()["mode"], rig.status()["frozen_blocks"]) == ("rw", 1), f"cut {end}"
        frozen.made.check_some(device)
        rig.remove()


def test_a_thaw_that_fails_leaves_it_frozen(rig: Rig) -> None:
    """The superblock still calls the place dead, so nothing new may go there."""
    frozen = Frozen(rig, 0, "write")
    frozen.freeze()
    rig.spare.clear()
    for place in (0, 1):
        rig.spare.bad(frozen.spare.sector(1, place, 0), 8, kind="write")
    assert "repaired=0" in rig.message("r0", "restore")
    assert rig.status()["frozen_blocks"] == 1
    rig.spare.clear()
    rig.message("r0", "restore")
    assert (rig.status()["frozen_blocks"], rig.status()["mode"]) == (0, "rw")
    rig.message("r0", f"unremap {frozen.entry.chunk * 8} 8")
    frozen.made.check(frozen.device)
    frozen.again()
    assert rig.status()["frozen_blocks"] == 0
    frozen.made.check_some(frozen.device)
