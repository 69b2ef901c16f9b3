# SPDX-License-Identifier: GPL-2.0-or-later
"""E5: main's probe chunk goes bad, and another one takes its place when the set is loaded."""

import random

import pytest

from tests.scenarios.lib import Device, Rig, pattern
from tests.scenarios.made import check_data
from tests.scenarios.ondisk import Spare, mark_of
from tests.scenarios.powercuts import images_after

pytestmark = pytest.mark.disks(main="512K", spare="320K")

SECTORS = 1024
LAST = SECTORS - 8


def fail_probe(rig: Rig, kind: str) -> Device:
    """A set whose main refuses the last probe: a failed write was not relocated."""
    rig.media("main").write(0, pattern(1, SECTORS))
    device = rig.create()
    rig.main.bad(LAST, 8, kind=kind)
    rig.main.bad(200, kind="write")
    with pytest.raises(OSError):
        device.pwrite(200, pattern(2))
    assert rig.status()["probe"] == "failed"
    return device


def load_again(rig: Rig, how: str) -> Device:
    if how == "suspend":
        rig.suspend()
        rig.resume()
        return rig.device()
    if how == "reload":
        rig.reload()
        return rig.device()
    rig.remove()
    return rig.create()


@pytest.mark.parametrize("kind", ["write", "both"])
@pytest.mark.parametrize("how", ["suspend", "reload", "restart"])
def test_another_one_is_taken(rig: Rig, how: str, kind: str) -> None:
    """Then bad sectors are remapped again, and every sector reads as before."""
    fail_probe(rig, kind)
    device = load_again(rig, how)
    assert rig.status()["probe"] == "ok"
    assert Spare.of(rig).probe_chunk() == LAST // 8 - 1
    assert mark_of(rig.media("main"), LAST // 8 - 1)
    check_data(device, pattern(1, SECTORS))
    device.pwrite(200, pattern(2))
    assert rig.status()["relocations"] == 1
    device.pwrite(LAST, pattern(3, 8))
    device.pwrite(LAST - 8, pattern(4, 8))
    rig.powercut()
    device = rig.create()
    want = bytearray(pattern(1, SECTORS))
    want[200 * 512:201 * 512] = pattern(2)
    check_data(device, bytes(want[:(LAST - 8) * 512]))
    assert rig.status()["probe"] == "ok"
    device.pwrite(LAST - 8, pattern(5, 16))
    device.fsync()
    rig.remove()
    assert rig.create().pread(LAST - 8, 16) == pattern(5, 16)


def test_a_main_that_was_away_keeps_its_probe_chunk(rig: Rig) -> None:
    """P5: it is asked once more, and nothing else is written when it answers."""
    rig.create()
    rig.main.fail()
    with pytest.raises(OSError):
        rig.device().pwrite(200, pattern(2))
    assert rig.status()["probe"] == "failed"
    rig.main.back()
    rig.suspend()
    rig.resume()
    assert rig.status()["probe"] == "ok" and rig.status()["used"] == 1
    assert Spare.of(rig).probe_chunk() == LAST // 8


def test_no_chunk_near_the_end_will_do(rig: Rig) -> None:
    """Then all stays as it is: served, told, and nothing new is mapped."""
    fail_probe(rig, "write")
    rig.main.bad(SECTORS - 64 * 8, 64 * 8, kind="write")
    device = load_again(rig, "restart")
    assert rig.status()["probe"] == "failed" and rig.status()["used"] == 1
    assert any("no probe chunk" in line for line in rig.log())
    check_data(device, pattern(1, SECTORS))
    rig.main.clear()
    load_again(rig, "suspend")
    assert rig.status()["probe"] == "ok"


@pytest.mark.plain_only
def test_power_cut_while_it_is_replaced(rig: Rig, rng: random.Random) -> None:
    """E5: at each write: one remap too many at the most, and all data is right."""
    fail_probe(rig, "write")
    rig.remove()
    before = {n: bytearray(rig.media(name).whole()) for n, name in enumerate(("main", "spare"))}
    rig.server.mark("begin")
    rig.create()
    records = rig.server.log()
    at = max(i for i, r in enumerate(records) if r.kind == "mark" and r.data == b"begin")
    records = [r for r in records[at:] if r.kind in ("write", "flush")]
    rig.remove()
    writes = [r for r in records if r.kind == "write" and r.done]
    assert any(r.disk == 0 and r.sector == LAST - 8 for r in writes) and len(writes) >= 6
    taken = 0
    for end in range(len(records) + 1):
        for how in ("all", "durable", "random"):
            images = images_after(records[:end], before, how, rng)
            rig.media("main").write(0, images[0])
            rig.media("spare").write(0, images[1])
            what = f"cut after {end} of {len(records)}, {how}"
            device = rig.create()
            assert rig.status()["probe"] == "ok", what
            assert rig.status()["used"] in (1, 2, 3), what
            taken += Spare.of(rig).probe_chunk() == LAST // 8 - 1
            check_data(device, pattern(1, SECTORS))
            rig.remove()
            rig.create()
            check_data(rig.device(), pattern(1, SECTORS))
            rig.remove()
    assert taken > 3
