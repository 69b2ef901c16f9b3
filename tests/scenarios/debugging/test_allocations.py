# SPDX-License-Identifier: GPL-2.0-or-later
"""Each allocation of each operation fails once: it says so, or does without; nothing is lost.

Those of the user's own task are counted out one by one, also those of device-mapper and the
block layer. Those of the worker all fail at once: a relocation lives on what its pools keep (P6).
Memory that is lost is found at the guest's end (harness/uml_guest.py).
"""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios import dm
from tests.scenarios.debugging import faults
from tests.scenarios.genl import Genl
from tests.scenarios.injected import CHUNK, MAIN_SECTORS, Injected
from tests.scenarios.lib import SECTOR, Device, pattern

STEP = 13
FIGURES = Path(os.environ.get("DM_REMAP_RESULTS", ".")) / "figures"    # for build/report.json
MESSAGES = ("ping", "help", "metadata_status", "verify 88", "remap 200 8 manual", "save", "sync",
            "restore", "freeze", "thaw")


@pytest.fixture(scope="module")
def made() -> Iterator[Injected]:
    injected = Injected()
    faults.set_up()
    yield injected
    injected.close()


@pytest.fixture
def injected(made: Injected) -> Iterator[Injected]:
    """Blank disks, and no device."""
    made.blank()
    yield made
    for lower in (made.main, made.spare):
        lower.clear()
    if "r0" in dm.devices():
        made.deactivate()


def told(operation: str, numbers: range, nr_failed: int) -> None:
    print(f"{nr_failed} allocations failed")
    if numbers.step == 1:
        with open(FIGURES, "a", encoding="ascii") as file:
            file.write(f"allocations_failed\t{operation}\t{nr_failed}\n")


@pytest.fixture(params=[STEP, pytest.param(1, marks=pytest.mark.plain_only)],
                ids=["some", "each"])
def numbers(request: pytest.FixtureRequest, rng: random.Random) -> range:
    """Which allocations fail: other ones in each run, or all of them (which takes long)."""
    return range(1 + rng.randrange(request.param), 10000, request.param)


def whole(injected: Injected) -> bytes:
    assert injected.device
    return b"".join(injected.device.pread(start, 512) for start in range(0, MAIN_SECTORS, 512))


def load_and_resume(injected: Injected) -> None:
    dm.load("r0", injected.table())
    dm.resume("r0")


def unload() -> None:
    dm.remove("r0")
    dm.create("r0")


def test_create(injected: Injected, numbers: range) -> None:
    """A spare is formatted, wholly or not at all; the next try gets there."""
    dm.create("r0")

    def undo() -> None:
        unload()
        injected.blank()    # or main's mark would ask for its spare

    def check() -> None:
        dm.clear("r0")    # a table that was loaded and not resumed
        load_and_resume(injected)
        assert dm.status("r0")[0].split()[3] == "rw"
        undo()

    told("create", numbers, faults.each(numbers, lambda: load_and_resume(injected), undo, check))
    unload()
    injected.activate_again()
    assert whole(injected) == injected.content


def relocated(injected: Injected, sectors: tuple[int, ...] = (80, 96, 1000)) -> None:
    """A set in which these chunks are on the spare."""
    device = injected.activate()
    for sector in sectors:
        injected.main.on("write", sector, CHUNK, 5)
        data = pattern(sector, CHUNK)
        device.pwrite(sector, data)
        injected.content = injected.content[:sector * SECTOR] + data + \
            injected.content[(sector + CHUNK) * SECTOR:]
    injected.main.clear()
    assert int(injected.status()["used"]) == len(sectors) + 1


def test_load(injected: Injected, numbers: range) -> None:
    relocated(injected)
    injected.deactivate()
    dm.create("r0")

    def check() -> None:
        dm.clear("r0")
        load_and_resume(injected)
        assert int(dm.status("r0")[0].split()[4].split("/")[0]) == 4
        unload()

    told("load", numbers, faults.each(numbers, lambda: load_and_resume(injected), unload, check))
    unload()
    injected.activate_again()
    assert whole(injected) == injected.content


def test_reload(injected: Injected, numbers: range) -> None:
    """The table of a live device is replaced, or the old one goes on."""
    relocated(injected)

    def check() -> None:
        dm.resume("r0")    # an old table, or the new one
        dm.clear("r0")
        assert injected.status()["mode"] == "rw" and injected.status()["used"] == "4"

    def reload() -> None:
        dm.load("r0", injected.table())
        dm.suspend("r0")
        dm.resume("r0")

    told("reload", numbers, faults.each(numbers, reload, check, check))
    assert whole(injected) == injected.content


@pytest.mark.parametrize("text", MESSAGES)
def test_message(injected: Injected, numbers: range, text: str) -> None:
    relocated(injected)

    def undo() -> None:
        if text.startswith("remap"):
            injected.message("unremap 200 8")
        injected.message("thaw")

    def check() -> None:
        assert injected.status()["mode"] in ("rw", "frozen")
        assert injected.status()["used"] in ("4", "5")
        injected.message(text)
        undo()

    told(f"message {text}", numbers,
         faults.each(numbers, lambda: injected.message(text), undo, check))
    assert whole(injected) == injected.content
    injected.deactivate()
    injected.activate()
    assert whole(injected) == injected.content


@pytest.mark.parametrize("what", ["netlink", "status", "table"])
def test_dump(injected: Injected, numbers: range, what: str) -> None:
    """What is told is whole, or it is an error."""
    relocated(injected)
    genl = Genl()
    assert injected.device
    number = os.stat(injected.device.path).st_rdev
    ask = {"netlink": lambda: genl.dump("get_remaps", major=os.major(number),
                                        minor=os.minor(number)),
           "status": lambda: dm.status("r0"), "table": lambda: dm.table("r0")}[what]
    wanted = ask()
    assert wanted
    found: list[object] = []

    def fresh() -> None:
        # after an error the rest of an answer may be waiting
        nonlocal genl
        genl.close()
        genl = Genl()

    told(f"dump {what}", numbers,
         faults.each(numbers, lambda: found.append(ask()), lambda: None, fresh))
    genl.close()
    assert all(answer == wanted for answer in found)


def test_remove(injected: Injected, numbers: range) -> None:
    relocated(injected)

    def activate_again() -> None:
        injected.activate_again()

    def check() -> None:
        if "r0" not in dm.devices():
            injected.activate_again()
        assert injected.status()["used"] == "4"

    def remove() -> None:
        injected.close_device()
        dm.remove("r0")

    told("remove", numbers, faults.each(numbers, remove, activate_again, check))
    assert whole(injected) == injected.content


def test_relocation_without_memory(injected: Injected) -> None:
    """P6: what is on its way to a disk needs nothing but what the set has made for it."""
    relocated(injected)
    device = injected.device
    assert isinstance(device, Device)
    injected.main.on("write", 200, 8 * CHUNK, 5)
    data = pattern(9, 8 * CHUNK)
    with faults.workers_without_memory():
        device.pwrite(200, data)                    # many at once
        device.pwrite(200, data[:CHUNK * SECTOR])   # served from the spare
        device.fsync()
    assert int(injected.status()["used"]) == 12
    injected.main.clear()
    injected.content = injected.content[:200 * SECTOR] + data + \
        injected.content[(200 + 8 * CHUNK) * SECTOR:]
    injected.deactivate()
    injected.activate()
    assert whole(injected) == injected.content
