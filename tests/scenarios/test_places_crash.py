# SPDX-License-Identifier: GPL-2.0-or-later
"""Power cuts during create and release of a main with sectors that cannot be read (P2, P10).

As test_create_crash.py, but an unreadable sector stays so until the log has written to it: what
`dmremap activate` finds is the plain disk, with its errors, or the whole set.
"""

import random
from itertools import chain

import pytest

from tests.harness.blockd import Record
from tests.scenarios import dm
from tests.scenarios.lib import SECTOR, Device, Rig, drop_page_cache, pattern
from tests.scenarios.powercuts import crash_states, state_after
from tests.scenarios.sets import OK, REFUSED, create, dmremap, logged, output, paths, sets, settle

SECTORS = 4096
pytestmark = [pytest.mark.disks(main="2M:vcache=on", spare="512K:vcache=on"),
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002"), pytest.mark.plain_only]
Content = list[bytes | None]


def image() -> bytes:
    """Swap in the first chunk and GPT's backup in the last sector, and no sector like another."""
    content = bytearray(b"".join(pattern(1000 + s) for s in range(SECTORS)))
    content[:SECTOR] = bytes(SECTOR)    # no boot code
    content[4086:4096] = b"SWAPSPACE2"
    content[-SECTOR:-SECTOR + 8] = b"EFI PART"
    return bytes(content)


def content_of(path: str) -> Content:
    device = Device(path, "", read_only=True)
    found: Content = []
    try:
        for start in range(0, SECTORS, 64):
            try:
                data = device.pread(start, 64)
                found += [data[s * SECTOR:(s + 1) * SECTOR] for s in range(64)]
                continue
            except OSError:
                pass
            for sector in range(start, start + 64):
                try:
                    found.append(device.pread(sector))
                except OSError:
                    found.append(None)
    finally:
        device.close()
    return found


def expected(content: bytes, lost: set[int]) -> Content:
    return [None if s in lost else content[s * SECTOR:(s + 1) * SECTOR] for s in range(SECTORS)]


def spoil(rig: Rig, bad: set[int], image_of_main: bytes, original: bytes) -> None:
    """Those that nothing has been written to yet cannot be read."""
    rig.main.clear()
    for sector in bad:
        place = slice(sector * SECTOR, (sector + 1) * SECTOR)
        if image_of_main[place] == original[place]:
            rig.main.bad(sector, 1, kind="read", action="heal")
    drop_page_cache(paths(rig, "main")[0])


def power_cuts(rig: Rig, before: dict[int, bytes], records: list[Record], bad: set[int],
               original: bytes, plain: Content, whole: Content) -> dict[str, int]:
    ends = {"plain": 0, "whole": 0}
    main = paths(rig, "main")[0]
    for number, state in crash_states(records, before, seed=20261129):
        rig.main.clear()
        for name, index in (("main", 0), ("spare", 1)):
            rig.media(name).write(0, state[index])
        spoil(rig, bad, state[0], original)
        result = dmremap("activate")
        what = f"after record {number} of {len(records)}: {result}"
        if dm.devices():
            assert result.returncode == OK, what
            assert content_of("/dev/mapper/data") == whole, what
            output("deactivate", "data")
            ends["whole"] += 1
            continue
        assert sets() == [], what
        settle(rig)
        assert content_of(main) == plain, what
        ends["plain"] += 1
    print(ends)
    return ends


@pytest.mark.parametrize("guard,bad", [
    (True, {2}), (True, {0, 5, 6}), (True, set(range(8))), (True, {7, 100, SECTORS - 3}),
    (False, {2, 100}),
], ids=["2", "0-5-6", "chunk-0", "hidden", "no-guard"])
def test_every_power_cut_during_create(rig: Rig, guard: bool, bad: set[int]) -> None:
    """The plain disk, with the same errors, or the whole set."""
    original = image()
    rig.media("main").write(0, original)
    spoil(rig, bad, original, original)
    before, records = logged(rig, "create", "data", *paths(rig, "main", "spare"), "--yes",
                             "--accept-unreadable", *([] if guard else ["--no-guard"]))
    output("deactivate", "data")
    there = expected(original, bad)
    ends = power_cuts(rig, before, records, bad, original, there, there)
    assert min(ends.values()) >= 1


@pytest.mark.parametrize("guard", [True, False], ids=["guard", "no-guard"])
def test_every_power_cut_during_release(rig: Rig, guard: bool) -> None:
    """Lost sectors that main still cannot read, and given up ones in the guard's place."""
    original = image()
    bad = {3, 100, SECTORS - 3}
    rig.media("main").write(0, original)
    spoil(rig, bad, original, original)
    create(rig, "--accept-unreadable", *([] if guard else ["--no-guard"]))
    device = Device("/dev/mapper/data", "data")
    model = bytearray(original)
    for sector, count in ((5, 2), (101, 3), (SECTORS - 7, 2)):
        data = pattern(7, count)
        device.pwrite(sector, data)
        model[sector * SECTOR:(sector + count) * SECTOR] = data
    device.close()
    output("deactivate", "data")
    if not guard:    # main's own sectors have what was written: those alone count
        bad = {3, 100, SECTORS - 3}
    before, records = logged(rig, "release", "data", "--yes",
                             *(["--give-up", "3"] if guard else []))
    whole = expected(bytes(model), bad)
    plain = list(whole)
    if guard:
        plain[3] = bytes(SECTOR)
    # main's sector 3 has the guard's data, so nothing of it is unreadable any more
    unreadable = {100, SECTORS - 3} if guard else bad
    ends = power_cuts(rig, before, records, unreadable, original, plain, whole)
    assert min(ends.values()) >= 1


def test_a_first_sector_that_goes_bad_again(rig: Rig, rng: random.Random) -> None:
    """Create was cut short, and sector 0 cannot be read, as before it was begun."""
    original = image()
    rig.media("main").write(0, original)
    spoil(rig, {0}, original, original)
    before, records = logged(rig, "create", "data", *paths(rig, "main", "spare"), "--yes",
                             "--accept-unreadable")
    output("deactivate", "data")
    main_writes = [i for i, r in enumerate(records) if r.disk == 0 and r.kind == "write"]
    # 3: a torn header beside what it precedes
    states = chain.from_iterable(crash_states(records[:main_writes[-1]], before, seed)
                                 for seed in (3, rng.randrange(1 << 32)))
    for number, state in states:
        rig.main.clear()
        for name, index in (("main", 0), ("spare", 1)):
            rig.media(name).write(0, state[index])
        rig.main.bad(0, 1, kind="read", action="heal")
        drop_page_cache(paths(rig, "main")[0])
        result = dmremap("activate")
        if dm.devices():    # the header behind it says that it is ours
            assert content_of("/dev/mapper/data") == expected(original, {0}), number
            output("deactivate", "data")
        elif sets():
            assert result.returncode == REFUSED or "cannot be read" in result.stderr, result
        else:
            settle(rig)
            assert content_of(paths(rig, "main")[0]) == expected(original, {0}), number


def test_a_create_that_is_called_again_makes_no_zeros(rig: Rig) -> None:
    """It is completed: undone, sector 2 would pass for content. release does that, and says it."""
    original = image()
    rig.media("main").write(0, original)
    spoil(rig, {2}, original, original)
    order = ("create", "data", *paths(rig, "main", "spare"), "--yes", "--accept-unreadable")
    before, records = logged(rig, *order)
    output("deactivate", "data")
    settle(rig)
    state = next(state for state in (state_after(records[:i], before)
                                     for i in range(len(records)))
                 if state[0][:SECTOR] != original[:SECTOR])

    def put_back() -> None:
        rig.main.clear()
        for name, index in (("main", 0), ("spare", 1)):
            rig.media(name).write(0, state[index])
        spoil(rig, {2}, state[0], original)

    put_back()
    assert "it is completed" in output(*order)
    assert content_of("/dev/mapper/data") == expected(original, {2})
    output("deactivate", "data")
    settle(rig)
    put_back()
    said = output("release", "data", "--yes")
    assert "sector 2 could not be read when the set was made; now zeros" in said
