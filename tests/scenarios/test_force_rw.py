# SPDX-License-Identifier: GPL-2.0-or-later
"""Half of the metadata cannot be repaired: read-only, or read-write on request (C5)."""

import pytest

from tests.scenarios.lib import Rig, pattern
from tests.scenarios.ondisk import Spare

pytestmark = pytest.mark.disks(main="1M", spare="640K")


def break_replica(rig: Rig, replica: int) -> None:
    """REPLICA can be neither read nor written."""
    rig.spare.bad(*Spare.of(rig).replica_sectors(replica), kind="both")


def make(rig: Rig) -> None:
    device = rig.create()
    rig.main.bad(800, 8, kind="write")
    device.pwrite(800, pattern(1, 8))
    rig.remove()


@pytest.mark.parametrize("replica", [0, 1])
def test_only_when_said(rig: Rig, replica: int) -> None:
    """C5, O19: read-only without the word; with it new remaps are durable on the other one."""
    make(rig)
    break_replica(rig, replica)
    device = rig.create(more="")
    assert rig.status()["mode"] == "ro" and rig.status()["replica_out"] == "none"
    assert device.pread(800, 8) == pattern(1, 8)
    with pytest.raises(OSError):
        device.pwrite(0, pattern(2))
    rig.remove()
    device = rig.create(more="1 force_rw")
    status = rig.status()
    assert (status["mode"], status["replica_out"]) == ("rw", replica)
    assert "is not used (force_rw)" in "\n".join(rig.log())
    assert f"replica{replica}=out" in rig.message("r0", "metadata_status")
    assert rig.dmsetup("table", "r0").stdout.rstrip().endswith(" 1 force_rw")
    rig.main.bad(1600, 8, kind="write")
    device.pwrite(1600, pattern(3, 8))
    rig.powercut()
    break_replica(rig, replica)
    device = rig.create(more="1 force_rw")
    assert device.pread(1600, 8) == pattern(3, 8) and device.pread(800, 8) == pattern(1, 8)


@pytest.mark.parametrize("replica", [0, 1])
def test_restore_takes_it_back(rig: Rig, replica: int) -> None:
    """C7: what was out is written anew before it counts; then the other one may go."""
    make(rig)
    break_replica(rig, replica)
    device = rig.create(more="1 force_rw")
    rig.main.bad(1600, 8, kind="write")
    device.pwrite(1600, pattern(3, 8))
    with pytest.raises(OSError):
        rig.message("r0", "restore")
    assert (rig.status()["replica_out"], rig.status()["blocks_in_doubt"]) == (replica, 0)
    rig.main.bad(1200, 8, kind="write")
    device.pwrite(1200, pattern(4, 8))
    rig.spare.clear()
    rig.message("r0", "restore")
    assert (rig.status()["mode"], rig.status()["replica_out"]) == ("rw", "none")
    rig.remove()
    first, count = Spare.of(rig).replica_sectors(1 - replica)
    rig.media("spare").write(first, bytes(count * 512))
    device = rig.create()
    assert rig.status()["mode"] == "rw"
    for number, sector in ((1, 800), (3, 1600), (4, 1200)):
        assert device.pread(sector, 8) == pattern(number, 8)


def test_never_with_both_gone(rig: Rig) -> None:
    """P4: there is nothing to go on with."""
    make(rig)
    for replica in (0, 1):
        rig.spare.bad(*Spare.of(rig).replica_sectors(replica), kind="write")
    spare = Spare.of(rig)
    for replica in (0, 1):    # each lacks something
        block = 1 - replica
        place = spare.newest_place(block, replica)
        spare.write(replica, place, block, bytes(4096))
    rig.create(more="1 force_rw")
    assert rig.status()["mode"] == "ro"


def damage_newest(rig: Rig, block: int) -> None:
    """The newest copies of BLOCK on both replicas have a wrong byte far from their headers."""
    spare = Spare.of(rig)
    newest = [(replica, spare.newest_place(block, replica)) for replica in (0, 1)]
    for replica, place in newest:
        data = bytearray(spare.read(replica, place, block).data)
        data[3000] ^= 0x10
        spare.write(replica, place, block, bytes(data))


@pytest.mark.parametrize("block", [0, 1])
def test_newest_damaged_on_both_replicas(rig: Rig, block: int) -> None:
    """C1, C5: no crash leaves that, so what is older is not written upon unasked."""
    make(rig)
    device = rig.create()
    rig.main.bad(1600, 8, kind="write")
    device.pwrite(1600, pattern(3, 8))
    rig.message("r0", "sync")    # so that the superblock has two contents, too
    rig.remove()
    damage_newest(rig, block)
    before = rig.media("spare").whole(), rig.media("main").whole()
    device = rig.create()
    assert rig.status()["mode"] == "ro"
    assert f"metadata block {block}: newest copies of both replicas damaged" \
        in "\n".join(rig.log())
    assert device.pread(800, 8) == pattern(1, 8)
    with pytest.raises(OSError):
        device.pwrite(0, pattern(2))
    rig.remove()
    assert (rig.media("spare").whole(), rig.media("main").whole()) == before
    device = rig.create(more="1 force_rw")
    assert (rig.status()["mode"], rig.status()["replica_out"]) == ("rw", "none")
    assert device.pread(800, 8) == pattern(1, 8)
    device.pwrite(2000, pattern(5))
    rig.remove()
    device = rig.create()    # that was an answer for good
    assert rig.status()["mode"] == "rw"
    assert device.pread(800, 8) == pattern(1, 8) and device.pread(2000) == pattern(5)


def test_nothing_changes_where_nothing_is_broken(rig: Rig) -> None:
    make(rig)
    rig.create(more="3 deadline 5 force_rw")
    assert (rig.status()["mode"], rig.status()["replica_out"]) == ("rw", "none")
    line = rig.dmsetup("table", "r0").stdout.strip()
    assert line.endswith(" 3 deadline 5 force_rw")
    rig.remove()
    rig.create(table=line)
