# SPDX-License-Identifier: GPL-2.0-or-later
"""What activation refuses, serves read-only or leaves alone (P4, P7, C5, C6, O6, O19).

Damage that is repaired: test_metadata_copies.py.
"""

import errno
import itertools

import pytest

from tests.scenarios import dm
from tests.scenarios.lib import Rig, pattern, wait_for
from tests.scenarios.made import LATE, LOST, MAIN, SPARE, Made, check_data
from tests.scenarios.ondisk import BLOCK, Block, Spare, check_log

pytestmark = pytest.mark.disks(main=MAIN, spare=SPARE)

BLOCKS = ("superblock", "first table block", "second table block")


def refused(made: Made, sentence: str, what: str, numbers: tuple[int, ...] = (),
            **arguments: object) -> None:
    """Activation fails, says SENTENCE in the log, leaves no device and writes nothing."""
    rig = made.rig
    before = rig.media("main").whole(), rig.media("spare").whole()
    said = len(rig.log())
    with pytest.raises(OSError) as caught:
        rig.create(**arguments)    # type: ignore[arg-type]
    lines = [line for line in rig.log()[said:] if "remap: " in line]
    assert lines and sentence in "\n".join(lines), f"{what}: {lines}"
    assert not numbers or caught.value.errno in numbers, f"{what}: {caught.value}"
    assert dm.devices() == [], what
    assert (rig.media("main").whole(), rig.media("spare").whole()) == before, \
        f"{what}: the media were written"


def test_reads_wait_for_the_repair(rig: Rig) -> None:
    """C5: while the repair is not written, nothing is served."""
    made = Made.make(rig)
    spare = Spare.of(rig)
    made.put_back()
    device = rig.create()
    rig.suspend()
    place = spare.newest_place(1, 1)
    spare.write(1, place, 1, bytes(BLOCK))
    first = spare.sector(1, place, 1)
    rig.spare.hold("write", first, 8)
    resuming = rig.background(rig.resume)
    reading = rig.background(device.pread, LATE[0])
    wait_for(lambda: rig.spare.held() == 1, "the repair")
    mapped = rig.background(dm.status, "r0")
    assert not reading.done() and not resuming.done()
    rig.spare.release()
    resuming.result(timeout=20)
    mapped.result(timeout=20)
    assert reading.result(timeout=20) == pattern(3)
    assert spare.same_everywhere(1)


@pytest.mark.parametrize("number", range(3), ids=[b.replace(" ", "-") for b in BLOCKS])
def test_all_copies_bad_is_refused(rig: Rig, number: int) -> None:
    """P4, P7: nothing left to choose: refused with a reason, the media as they were."""
    made = Made.make(rig)
    spare = Spare.of(rig)
    for name, data in {"zeroed": bytes(BLOCK), "torn": None, "text": b"dm-remap" * 512}.items():
        made.put_back()
        for (replica, place), copy in spare.copies(number).items():
            spare.write(replica, place, number, data or b"\xff" * 60 + copy.data[60:])
        refused(made, "metadata block" if number else "", f"{BLOCKS[number]} {name}")
    made.put_back()
    for replica, place in spare.copies(number):
        rig.spare.bad(spare.sector(replica, place, number), kind="read")
    refused(made, "metadata block" if number else "superblocks", f"{BLOCKS[number]} unreadable")


@pytest.mark.parametrize("number", range(3), ids=[b.replace(" ", "-") for b in BLOCKS])
def test_equal_numbers_with_different_content_are_refused(rig: Rig, number: int) -> None:
    """C6: two valid copies claim one number: neither is believed."""
    made = Made.make(rig)
    spare = Spare.of(rig)
    for replica in (0, 1):
        made.put_back()
        place = spare.newest_place(number, replica)
        twin = spare.newest(number).changed(144 if number == 0 else 72, b"\1\2\3\4")
        spare.write(replica, place, number, twin.data)
        refused(made, f"block {number}" if number else "uperblock", BLOCKS[number])
        # not only between replicas
        made.put_back()
        spare.write(replica, 1 - place, number, twin.data)
        refused(made, f"block {number}" if number else "uperblock", BLOCKS[number])


def test_two_slots_claim_one_chunk(rig: Rig) -> None:
    """C13: equal generations are refused; the successor wins and the other slot is not lost."""
    made = Made.make(rig)
    spare = Spare.of(rig)
    victim = next(e for e in spare.entries() if e.chunk == LATE[0] // 8)
    free = min(set(range(spare.layout.slots)) - {e.slot for e in spare.entries()})
    entry_at = 64 + free % 252 * 16

    def forge(generation: int) -> None:
        made.put_back()
        number = 1 + free // 252
        best = spare.newest(number)
        old_at = 64 + victim.slot % 252 * 16
        old = spare.newest(1 + victim.slot // 252).data[old_at:old_at + 16]
        twin = best.changed(entry_at, old[:12] + bytes([1 | generation << 4]) + old[13:])
        for replica, place in enumerate([spare.newest_place(number, r) for r in (0, 1)]):
            spare.write(replica, place, number, twin.data)
        # the new slot's content: same data, for a move copies it
        old_data = rig.media("spare").read(spare.slot_sector(victim.slot), 8)
        rig.media("spare").write(spare.slot_sector(free), old_data)

    for generation in (0, 2):
        forge(generation)
        refused(made, "both claim", f"generation {generation}")
    forge(1)
    rig.media("spare").write(spare.slot_sector(victim.slot), b"\xee" * 4096)
    named = len(spare.entries())
    device = rig.create()
    made.check(device)
    assert rig.status()["used"] == named - 1
    rig.remove()
    forge(3)
    rig.media("spare").write(spare.slot_sector(free), b"\xee" * 4096)
    made.check(rig.create())


def test_three_slots_claim_one_chunk(rig: Rig) -> None:
    """C13: a chunk moves again only when the move before is finished, so three are refused."""
    made = Made.make(rig)
    spare = Spare.of(rig)
    entries = [e for e in spare.entries() if e.state == 1 and e.chunk == LATE[0] // 8]
    assert len(entries) == 1
    old_at = 64 + entries[0].slot % 252 * 16
    old = spare.newest(1 + entries[0].slot // 252).data[old_at:old_at + 16]
    free = sorted(set(range(spare.layout.slots)) - {e.slot for e in spare.entries()})[:2]
    for generation, slot in enumerate(free, 1):
        number = 1 + slot // 252
        block = spare.newest(number).changed(64 + slot % 252 * 16, old[:12]
                                             + bytes([1 | generation << 4]) + old[13:])
        for replica, place in enumerate([spare.newest_place(number, r) for r in (0, 1)]):
            spare.write(replica, place, number, block.data)
    refused(made, "both claim", "three slots")


@pytest.mark.parametrize("replica", (0, 1))
def test_what_cannot_be_repaired_is_served_read_only(rig: Rig, replica: int) -> None:
    """C5: data is served, nothing is written, the mode says so; whole again after the fault."""
    made = Made.make(rig)
    spare = Spare.of(rig)
    for number in range(3):
        made.put_back()
        place = spare.newest_place(number, replica)
        spare.write(replica, place, number, bytes(BLOCK))
        first, count = spare.replica_sectors(replica)
        rig.spare.bad(first, count, kind="write")
        before = rig.media("main").whole(), rig.media("spare").whole()
        device = rig.create()
        assert rig.status()["mode"] == "ro", BLOCKS[number]
        assert f"replica{replica}=unsure" in rig.message("r0", "metadata_status"), BLOCKS[number]
        made.check(device)
        for sector in (LATE[0], 3000):    # one on the spare, one on main
            with pytest.raises(OSError) as caught:
                device.pwrite(sector, pattern(9))
            assert caught.value.errno in (errno.EIO, errno.EROFS)
        for verb in ("remap 3000", "save", "sync"):
            with pytest.raises(OSError):
                rig.message("r0", verb)
        made.check(device)
        assert (rig.media("main").whole(), rig.media("spare").whole()) == before
        rig.spare.clear()
        rig.suspend()
        rig.resume()
        assert rig.status()["mode"] == "rw"
        assert spare.same_everywhere(number)
        device.pwrite(3000, pattern(9))
        assert device.pread(3000) == pattern(9)
        rig.remove()


def test_an_older_spare_is_refused(rig: Rig) -> None:
    """O6: yesterday's image of the spare does not know today's remaps."""
    made = Made.make(rig)
    for at in (0, 1):
        made.put_back()
        rig.media("spare").write(0, made.images[at][1])
        refused(made, "older", f"the spare's image {at}", (errno.ESTALE,))


def test_an_older_spare_is_refused_after_one_relocation(rig: Rig) -> None:
    """O6: even when only one relocation lies between, and a suspend or removal after it."""
    device = rig.create()
    device.pwrite(8, pattern(1, 8))
    rig.remove()
    old = rig.media("spare").whole()
    device = rig.create()
    rig.main.bad(8)
    device.pwrite(8, pattern(2))
    rig.main.clear()
    rig.remove()
    rig.media("spare").write(0, old)
    with pytest.raises(OSError) as caught:
        rig.create()
    assert caught.value.errno == errno.ESTALE
    assert any("older" in line for line in rig.log())


@pytest.mark.disks(main=MAIN, spare=SPARE, other=MAIN)
def test_another_main_is_refused(rig: Rig) -> None:
    """P7: of the same size, but without the set's mark, or with another set's."""
    made = Made.make(rig)
    other = str(rig.server.disk("other").kernel_path)
    for name, content in {"blank": bytes(len(made.main)), "data": pattern(5, len(made.main) // 512),
                          "formatted": made.main[:-4096] + bytes(4096)}.items():
        rig.media("other").write(0, content)
        refused(made, "not the main device", name, (errno.ENODEV,), main=other)
        assert rig.media("other").whole() == content
    rig.media("other").write(0, made.main)    # a copy of main is as good as main
    made.check(rig.create(main=other))


@pytest.mark.disks(main=MAIN, spare=SPARE, other=SPARE)
def test_main_of_a_set_is_not_formatted_with_a_blank_spare(rig: Rig) -> None:
    """P2, P7: main carries a mark: without its own spare its remapped sectors are old data."""
    made = Made.make(rig)
    blank = rig.media("other").whole()
    refused(made, "mark", "blank spare", spare=str(rig.server.disk("other").kernel_path))
    assert rig.media("other").whole() == blank


def test_read_only_table_writes_nothing(rig: Rig) -> None:
    """O19: not even a repair; and a set that needs none is served."""
    made = Made.make(rig)
    spare = Spare.of(rig)
    for damaged in (False, True):
        made.put_back()
        if damaged:
            for number in range(3):
                spare.write(number % 2, spare.newest_place(number, number % 2), number,
                            bytes(BLOCK))
        before = rig.media("main").whole(), rig.media("spare").whole()
        records = len(rig.server.log())
        for disk in (rig.main, rig.spare):
            disk.read_only()
        device = rig.create(read_only=True)
        made.check(device)
        assert rig.status()["mode"] == "ro"
        for verb in ("save", "sync", "restore", "remap 3000"):
            with pytest.raises(OSError):
                rig.message("r0", verb)
        rig.suspend()
        rig.resume()
        made.check(device)
        rig.remove()
        for disk in (rig.main, rig.spare):
            disk.back()
        written = [r for r in rig.server.log()[records:] if r.kind in ("write", "trim")]
        assert not written, f"{len(written)} writes were sent, first at {written[0].sector}"
        assert (rig.media("main").whole(), rig.media("spare").whole()) == before
        made.check(rig.create())
        rig.remove()


def test_activation_writes_nothing_when_all_is_well(rig: Rig) -> None:
    """O19."""
    made = Made.make(rig)
    made.put_back()
    records = len(rig.server.log())
    made.check(rig.create())
    assert not [r for r in rig.server.log()[records:] if r.kind == "write"]


def test_unknown_features(rig: Rig) -> None:
    """P7: an incompat bit or a newer version is refused; an ro_compat bit allows reading."""
    made = Made.make(rig)
    spare = Spare.of(rig)

    def with_field(offset: int, value: bytes) -> None:
        made.put_back()
        best = spare.newest(0).changed(offset, value)
        for key in spare.copies(0):
            spare.write(*key, 0, best.data)

    with_field(72, b"\1")
    refused(made, "newer", "incompat")
    with_field(48, b"\2")
    refused(made, "newer", "version")
    with_field(56, b"\1")    # compat
    made.check(rig.create())
    assert rig.status()["mode"] == "rw"
    rig.remove()
    with_field(64, b"\1")
    before = rig.media("main").whole(), rig.media("spare").whole()
    made.check(rig.create())
    assert rig.status()["mode"] == "ro"
    rig.remove()
    assert (rig.media("main").whole(), rig.media("spare").whole()) == before


def test_lengths_must_be_those_of_the_set(rig: Rig) -> None:
    """P7: LEN and SPARE_LEN other than formatted are refused, and nothing is written."""
    made = Made.make(rig)
    sectors = len(made.main) // 512
    refused(made, "belongs to a main device of", "LEN", length=sectors - 8)
    for length in (len(made.spare) // 512 - 128, 640):
        refused(made, "the set's region has", "SPARE_LEN", spare_len=length)
    refused(made, "without superblock", "SPARE_START", spare_start=8)


def test_numbers_go_on_after_a_load(rig: Rig) -> None:
    """C1-C3 over activations, repairs and both replicas lost in turn, by the log."""
    made = Made.make(rig)
    spare = Spare.of(rig)
    for turn in range(6):
        replica = turn % 2
        for place in (0, 1):
            spare.write(replica, place, 1 + turn % 2, bytes(BLOCK))
        device = rig.create()
        sector = 3000 + 8 * turn
        rig.main.bad(sector)
        device.pwrite(sector, pattern(20 + turn))
        made.data[sector * 512:sector * 512 + 512] = pattern(20 + turn)
        rig.powercut(seed=turn)
        rig.main.clear()
    check_log(rig, spare)
    check_data(rig.create(), bytes(made.data), {LOST})


@pytest.mark.parametrize("by", ["resume", "reload"])
def test_burnt_numbers_are_not_given_out_again(rig: Rig, by: str) -> None:
    """C2: more of them than a load leaves out, none of which is on the media."""
    Made.make(rig)
    spare = Spare.of(rig)
    rig.create()
    for replica, place in itertools.product((0, 1), (0, 1)):
        rig.spare.bad(spare.sector(replica, place, spare.soft_block), 8)
    for _ in range(300):
        with pytest.raises(OSError):
            rig.message("r0", "save")
    burnt = rig.status()["generation"]
    if by == "reload":
        dm.load("r0", rig.table())
    rig.suspend()
    rig.spare.clear()
    rig.resume()
    assert rig.status()["generation"] > burnt
    rig.message("r0", "save")


def test_blocks_are_as_documented(rig: Rig) -> None:
    """Row 13: CRC-32, indices and one UUID in every block, by FORMAT.md alone."""
    Made.make(rig)
    spare = Spare.of(rig)
    uuid = spare.newest(0).uuid
    for number in (0, *spare.table_blocks, spare.soft_block):
        for copy in spare.copies(number).values():
            assert copy.valid or copy == Block(bytes(BLOCK))
            assert not copy.valid or (copy.index, copy.uuid) == (number, uuid)
    chunks = [e.chunk for e in spare.entries()]
    assert len(chunks) == len(set(chunks))
    assert sorted(chunks)[-1] == spare.probe_chunk()
