# SPDX-License-Identifier: GPL-2.0-or-later
"""Damaged metadata: any one copy, either replica; repaired before the first read (P4, C5, C6).

Rows 10, 13 and 15 of the feature list.
"""

import random
from collections.abc import Iterator

import pytest

from tests.scenarios.lib import Rig
from tests.scenarios.made import MAIN, SPARE, Made
from tests.scenarios.ondisk import BLOCK, Spare

pytestmark = pytest.mark.disks(main=MAIN, spare=SPARE)

BLOCKS = ("superblock", "first table block", "second table block", "counters")


def damages(copy: bytes, older: bytes, foreign: bytes,
            rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """What may become of a copy: name and bytes."""
    yield "zeroed", bytes(BLOCK)
    yield "all ones", b"\xff" * BLOCK
    yield "stale", older
    yield "of another set", foreign
    for at in (8, 12, 32, 64, BLOCK - 1, rng.randrange(BLOCK)):
        yield f"bit flipped at {at}", \
            copy[:at] + bytes([copy[at] ^ 1 << rng.randrange(8)]) + copy[at + 1:]
    for at in range(512, BLOCK, 512):
        yield f"torn after {at}", copy[:at] + older[at:]
    yield "torn, its head missing", older[:512] + copy[512:]


def activate_and_check(made: Made, what: str) -> None:
    """It loads, all data is right, and each replica is whole on the media before any read."""
    rig, spare = made.rig, Spare.of(made.rig)
    numbers = [spare.newest(b).seq for b in (0, *spare.table_blocks)]
    try:
        device = rig.create()
    except OSError as error:
        raise AssertionError(f"{what}: {error}: {rig.log()[-3:]}") from None
    # as a power cut would leave it: without what is only in the volatile cache
    rig.server.powercut()
    rig.server.power_on()
    for block, number in zip((0, *spare.table_blocks), numbers, strict=True):
        assert spare.same_everywhere(block), f"{what}: block {block} is not on both replicas"
        assert spare.newest(block).seq == number, f"{what}: block {block} has a new number"
    made.check_some(device)
    assert rig.status()["mode"] == "rw", what
    rig.remove()


def lose_replica(made: Made, replica: int, content: bytes | None = None) -> None:
    first, count = Spare.of(made.rig).replica_sectors(replica)
    made.rig.media("spare").write(first, (content or bytes(count * 512))[:count * 512])


@pytest.mark.parametrize("number", range(4), ids=[b.replace(" ", "-") for b in BLOCKS])
def test_any_one_copy_damaged(rig: Rig, rng: random.Random, number: int) -> None:
    """P4, C5: each of the four copies of a block, damaged in every way."""
    made = Made.make(rig)
    spare = Spare.of(rig)
    foreign = {key: copy.changed(16, b"another set, 16B") for key, copy in
               spare.copies(number).items()}
    for (replica, place), copy in spare.copies(number).items():
        at = spare.sector(replica, place, number) * 512
        older = made.images[0][1][at:at + BLOCK]
        newest = spare.newest_place(number, replica) == place
        for name, data in damages(copy.data, older, foreign[replica, place].data, rng):
            what = f"{BLOCKS[number]}, replica {replica}, place {place} {name}"
            if not newest and name.startswith(("bit", "torn after")):
                continue    # of an older copy nothing is needed
            made.put_back()
            spare.write(replica, place, number, data)
            activate_and_check(made, what)
            if newest and name in ("zeroed", "stale", "torn after 1024"):
                lose_replica(made, 1 - replica)
                activate_and_check(made, f"{what}; then replica {1 - replica} zeroed")


@pytest.mark.parametrize("number", range(4), ids=[b.replace(" ", "-") for b in BLOCKS])
def test_any_one_copy_unreadable(rig: Rig, number: int) -> None:
    """P4: a copy that cannot be read is rewritten where its replica needs it."""
    made = Made.make(rig)
    spare = Spare.of(rig)
    for replica, place in spare.copies(number):
        for action in ("error", "heal"):
            made.put_back()
            first = spare.sector(replica, place, number)
            rig.spare.bad(first + 3, kind="read" if action == "error" else "both", action=action)
            activate_and_check(made, f"replica {replica}, place {place}, {action}")
            rig.spare.clear()


@pytest.mark.parametrize("replica", (0, 1))
def test_a_whole_replica_lost(rig: Rig, replica: int) -> None:
    """P4, C7: zeroed, overwritten, an old copy, unreadable; then the other one is lost."""
    made = Made.make(rig)
    first, count = Spare.of(rig).replica_sectors(replica)
    contents = {"zeroed": bytes(count * 512), "overwritten": b"\xa5" * (count * 512),
                "text": b"Lorem ipsum. " * (count * 40)}
    for at, name in enumerate(("as formatted", "as after the bulk")):
        contents[name] = made.images[at][1][first * 512:(first + count) * 512]
    for name, content in contents.items():
        made.put_back()
        lose_replica(made, replica, content)
        activate_and_check(made, f"replica {replica} {name}")
        lose_replica(made, 1 - replica)
        activate_and_check(made, f"replica {replica} {name}, then replica {1 - replica} zeroed")
    made.put_back()
    rig.spare.bad(first, count, kind="read")
    activate_and_check(made, f"replica {replica} unreadable")


def test_one_of_each_block_in_different_replicas(rig: Rig, rng: random.Random) -> None:
    """P4: damage of several blocks at once, each with one whole replica left."""
    made = Made.make(rig)
    spare = Spare.of(rig)
    for turn in range(10):
        made.put_back()
        for number in range(4):
            replica = rng.randrange(2)
            for place in (0, 1):
                spare.write(replica, place, number, rng.randbytes(BLOCK))
        activate_and_check(made, f"turn {turn}")


@pytest.mark.parametrize("replica", (0, 1))
def test_a_replica_that_was_away_is_written_whole(rig: Rig, replica: int) -> None:
    """C7: none of its places may keep what it held when it went away."""
    made = Made.make(rig)
    spare = Spare.of(rig)
    first, count = spare.replica_sectors(replica)
    old = made.images[0][1][first * 512:(first + count) * 512]
    made.put_back()
    lose_replica(made, replica, old)
    activate_and_check(made, f"replica {replica} from the first day")
    for block in (0, *spare.table_blocks):
        best = spare.newest(block).data
        at = [(spare.sector(replica, place, block) - first) * 512 for place in (0, 1)]
        if best not in (old[n:n + BLOCK] for n in at):
            assert [spare.read(replica, place, block).data for place in (0, 1)] == [best, best]
