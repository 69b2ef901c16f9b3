# SPDX-License-Identifier: GPL-2.0-or-later
"""An older table is never taken for the last one without an administrator's word (C5, C15).

After an orderly removal main's mark carries the highest committed number and a digest of
the numbers of all table blocks. So whatever copies are lost, damaged or old afterwards, load
either finds exactly what was committed, or serves nothing read-write.
"""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenarios.lib import Rig, pattern, wait_for
from tests.scenarios.made import LATE, MAIN, SPARE, Made
from tests.scenarios.ondisk import BLOCK, Block, Spare, mark_of

pytestmark = pytest.mark.disks(main=MAIN, spare=SPARE)

INTERVAL = Path("/sys/module/dm_remap/parameters/dm_remap_autosave_interval")
PROBE_FAILED = 8    # flag in the superblock


def unreadable(rig: Rig, spare: Spare, replica: int, block: int) -> None:
    """The newest copy cannot be read until it is written."""
    place = spare.newest_place(block, replica)
    rig.spare.bad(spare.sector(replica, place, block), 8, kind="both", action="heal")


def damaged(_: Rig, spare: Spare, replica: int, block: int) -> None:
    place = spare.newest_place(block, replica)
    data = bytearray(spare.read(replica, place, block).data)
    data[3000] ^= 0x10
    spare.write(replica, place, block, bytes(data))


def both_unreadable(rig: Rig, spare: Spare, block: int) -> None:
    for replica in (0, 1):
        unreadable(rig, spare, replica, block)


def damaged_and_unreadable(rig: Rig, spare: Spare, block: int) -> None:
    unreadable(rig, spare, 1, block)
    damaged(rig, spare, 0, block)


def unreadable_and_damaged(rig: Rig, spare: Spare, block: int) -> None:
    unreadable(rig, spare, 0, block)
    damaged(rig, spare, 1, block)


def zeroed_and_unreadable(rig: Rig, spare: Spare, block: int) -> None:
    unreadable(rig, spare, 0, block)
    for place in (0, 1):
        spare.write(1, place, block, bytes(BLOCK))


def lost_writes(_: Rig, spare: Spare, block: int) -> None:
    """The last write to either replica never reached the media."""
    older = {r: spare.read(r, 1 - spare.newest_place(block, r), block).data for r in (0, 1)}
    places = {r: spare.newest_place(block, r) for r in (0, 1)}
    for replica in (0, 1):
        spare.write(replica, places[replica], block, older[replica])


def both_zeroed(_: Rig, spare: Spare, block: int) -> None:
    places = {r: spare.newest_place(block, r) for r in (0, 1)}
    for replica in (0, 1):
        spare.write(replica, places[replica], block, bytes(BLOCK))


LOSSES: list[Callable[[Rig, Spare, int], None]] = [
    both_unreadable, damaged_and_unreadable, unreadable_and_damaged, zeroed_and_unreadable,
    lost_writes, both_zeroed]


def assert_not_trusted(rig: Rig) -> None:
    """Refused or read-only, the kernel's log says why, and the media are as they were."""
    before = rig.media("main").whole(), rig.media("spare").whole()
    try:
        rig.create()
    except OSError:
        assert "older" in "\n".join(rig.log())
    else:
        assert rig.status()["mode"] == "ro"
        assert "possibly stale" in "\n".join(rig.log()) or "older" in "\n".join(rig.log())
        rig.remove()
    assert (rig.media("main").whole(), rig.media("spare").whole()) == before


@pytest.mark.parametrize("block", [0, 1, 2], ids=["superblock", "not-the-newest", "the-newest"])
@pytest.mark.parametrize("lose", LOSSES, ids=lambda f: f.__name__)
def test_newest_copies_lost(rig: Rig, lose: Callable[[Rig, Spare, int], None],
                            block: int) -> None:
    """C5, C15: refused or read-only, the media as they were; force_rw is an answer for good."""
    made = Made.make(rig)
    if block == 0:    # give it a second content
        rig.create()
        rig.message("r0", "freeze")
        rig.message("r0", "thaw")
        rig.remove()
    spare = Spare.of(rig)
    lose(rig, spare, block)
    assert_not_trusted(rig)
    assert not any("were repaired" in line for line in rig.log())
    rig.create(more="1 force_rw")
    if block == 0:
        rig.message("r0", "thaw")    # the older superblock does not know that it was
    assert rig.status()["mode"] == "rw"
    rig.remove()
    device = rig.create()    # the mark was renewed
    assert rig.status()["mode"] == "rw"
    rig.main.bad(2900, 4)
    device.pwrite(2900, pattern(7, 4))
    rig.main.clear()
    rig.remove()
    device = rig.create()
    assert rig.status()["mode"] == "rw" and device.pread(2900, 4) == pattern(7, 4)


@pytest.mark.parametrize("block", [1, 2])
@pytest.mark.parametrize("lose", [both_unreadable, damaged_and_unreadable,
                                  unreadable_and_damaged, zeroed_and_unreadable],
                         ids=lambda f: f.__name__)
def test_lost_before_an_orderly_removal(rig: Rig, lose: Callable[[Rig, Spare, int], None],
                                        block: int) -> None:
    """The mark is behind after a power cut: what cannot be read may have been the newest."""
    Made.make(rig).put_back(1)
    device = rig.create()
    if block == 1:
        rig.message("r0", f"unremap {0}")    # slot 1: the first table block's last commit
    else:
        rig.main.bad(LATE[0], len(LATE))
        device.pwrite(LATE[0], pattern(3, len(LATE)))
    rig.powercut()
    rig.main.clear()
    spare = Spare.of(rig)
    lose(rig, spare, block)
    assert_not_trusted(rig)


@pytest.mark.parametrize("block", [0, 1, 2])
@pytest.mark.parametrize("replica", [0, 1])
def test_one_replica_is_enough(rig: Rig, replica: int, block: int) -> None:
    """P4: where the other one shows both of its places nothing can be missing."""
    made = Made.make(rig)
    spare = Spare.of(rig)
    for place in (0, 1):
        rig.spare.bad(spare.sector(replica, place, block), 8, kind="both", action="heal")
    device = rig.create()
    assert rig.status()["mode"] == "rw"
    made.check_some(device)


def test_mark_has_the_highest_committed_number(rig: Rig) -> None:
    """C15: after every orderly removal, whatever was committed last, and counters apart."""
    made = Made.make(rig)
    spare = Spare.of(rig)

    def check(what: str) -> None:
        rig.remove()
        found = mark_of(rig.media("main"), spare.probe_chunk())
        committed = max(spare.newest(b).seq for b in (0, *spare.table_blocks))
        assert found and found[1] == committed, f"{what}: {found} is not {committed}"
        rig.create()

    made.check_some(rig.create())
    check("nothing")
    rig.message("r0", "save")
    check("save")
    rig.message("r0", "unremap 0")
    check("unremap")
    rig.message("r0", "freeze")
    check("freeze")
    rig.message("r0", "thaw")
    check("thaw")
    # main does not take the mark, then it does: the superblock says so both times
    rig.main.bad(spare.probe_chunk() * 8, 8, kind="write")
    INTERVAL.write_text("1")
    rig.message("r0", "unremap 8")
    wait_for(lambda: spare.newest(0).data[52] & PROBE_FAILED, "the superblock to say so")
    INTERVAL.write_text("3600")
    rig.main.clear()
    check("after a failed probe")
    INTERVAL.write_text("60")


def test_numbers_of_a_loss_are_not_used_again(rig: Rig) -> None:
    """C2: what was accepted as lost may come back; it is the older one then."""
    Made.make(rig)
    newest = rig.media("spare").whole()
    lost_writes(rig, Spare.of(rig), 2)
    with pytest.raises(OSError):
        rig.create()
    rig.create(more="1 force_rw")
    rig.remove()
    accepted = rig.media("spare").whole()
    rig.create()
    rig.remove()
    rig.media("spare").write(0, newest)
    with pytest.raises(OSError):
        rig.create()
    assert "older" in "\n".join(rig.log())
    rig.media("spare").write(0, accepted)
    rig.create()


@pytest.mark.parametrize("image", [0, 1])
@pytest.mark.parametrize("hidden", [False, True])
def test_an_old_copy_never_counts_again(rig: Rig, hidden: bool, image: int) -> None:
    """O6: none of its numbers is as new as the mark: its slots have old data, too."""
    made = Made.make(rig)
    rig.media("spare").write(0, made.images[image][1])
    if hidden:
        both_unreadable(rig, Spare.of(rig), 1)
    before = rig.media("main").whole(), rig.media("spare").whole()
    with pytest.raises(OSError):
        rig.create(more="1 force_rw")
    assert (rig.media("main").whole(), rig.media("spare").whole()) == before


def test_counters_do_not_count(rig: Rig) -> None:
    """C15: a mark that is newer than the table is newer, whatever number the counters have."""
    made = Made.make(rig)
    spare = Spare.of(rig)
    rig.media("spare").write(0, made.images[1][1])
    chunk = spare.probe_chunk()
    for sector in range(8):    # without a digest, which would tell as well
        data = rig.media("main").read(chunk * 8 + sector, 1)
        rig.media("main").write(chunk * 8 + sector, Block(data).changed(40, bytes(8)).data)
    best = Block(max((c for c in spare.copies(spare.soft_block).values() if c.valid),
                     key=lambda c: c.seq).data)
    for replica in (0, 1):
        for place in (0, 1):
            spare.write(replica, place, spare.soft_block, best.with_seq(best.seq + 100000).data)
    with pytest.raises(OSError):
        rig.create()
    assert "older" in "\n".join(rig.log())


@pytest.mark.parametrize("number", [(1 << 64) - 1, 1 << 63, (1 << 63) - 1])
def test_numbers_that_cannot_be(rig: Rig, number: int) -> None:
    """C16: from 2^63 on damage in every kind of block; the counters' number never decides."""
    made = Made.make(rig)
    spare = Spare.of(rig)
    blocks = [spare.soft_block] if number < 1 << 63 else [0, 1, 2, spare.soft_block]
    for block in blocks:
        for copies in ([(0, spare.newest_place(block, 0))], [(1, spare.newest_place(block, 1))],
                       [(r, p) for r in (0, 1) for p in (0, 1)]):
            if len(copies) > 1 and block != spare.soft_block:
                continue    # nothing is left, and refused
            made.put_back()
            forged = spare.newest(block).with_seq(number).data
            for replica, place in copies:
                spare.write(replica, place, block, forged)
            device = rig.create()
            what = f"block {block}, {copies}"
            assert rig.status()["mode"] == "rw", what
            made.check_some(device)
            rig.main.bad(2900, 4)
            device.pwrite(2900, pattern(7, 4))
            rig.message("r0", "save")
            rig.remove()
            device = rig.create()
            assert rig.status()["mode"] == "rw", what
            assert device.pread(2900, 4) == pattern(7, 4), what
            rig.remove()
            rig.main.clear()


@pytest.mark.parametrize("number", [(1 << 64) - 1, 1 << 63])
def test_mark_with_a_number_that_cannot_be(rig: Rig, number: int) -> None:
    """C16: such a mark says nothing."""
    made = Made.make(rig)
    chunk = Spare.of(rig).probe_chunk()
    for sector in range(4):
        data = rig.media("main").read(chunk * 8 + sector, 1)
        forged = Block(data).changed(32, struct.pack("<Q", number))
        rig.media("main").write(chunk * 8 + sector, forged.data)
    made.check_some(rig.create())
    assert rig.status()["mode"] == "rw"


def test_no_number_is_left(rig: Rig) -> None:
    """C16: a table that cannot be written any more is served read-only."""
    made = Made.make(rig)
    spare = Spare.of(rig)
    forged = spare.newest(1).with_seq((1 << 63) - 1).data
    for replica, place in enumerate([spare.newest_place(1, r) for r in (0, 1)]):
        spare.write(replica, place, 1, forged)
    device = rig.create()
    made.check_some(device)
    assert rig.status()["mode"] == "ro"
    assert "numbers" in "\n".join(rig.log())


def test_mark_while_a_block_is_in_doubt(rig: Rig) -> None:
    """C4, C15: the media hold a commit that failed; the mark of a later one does not know it."""
    Made.make(rig)
    spare = Spare.of(rig)
    device = rig.create()
    place = 1 - spare.newest_place(1, 1)
    rig.spare.bad(spare.sector(1, place, 1), 8, kind="write")
    with pytest.raises(OSError):
        rig.message("r0", "unremap 0")    # block 1: replica 0 has it, replica 1 does not
    assert rig.status()["blocks_in_doubt"] == 1
    rig.main.bad(LATE[0] + 16, 4)
    device.pwrite(LATE[0] + 16, pattern(4, 4))    # block 2, and before it the mark
    # nothing more gets to the media but the mark, which goes before a relocation
    for block in (1, 2):
        for replica, at in spare.copies(block):
            rig.spare.bad(spare.sector(replica, at, block), 8, kind="write")
    rig.main.bad(LATE[0] + 32, 4)
    with pytest.raises(OSError):
        device.pwrite(LATE[0] + 32, pattern(5, 4))
    found = mark_of(rig.media("main"), spare.probe_chunk())
    rig.powercut()
    assert found and found[1] == max(spare.newest(b).seq for b in (0, 1, 2))
    rig.spare.clear()
    rig.main.clear()
    device = rig.create()
    assert rig.status()["mode"] == "rw"
    assert device.pread(LATE[0] + 16, 4) == pattern(4, 4)
