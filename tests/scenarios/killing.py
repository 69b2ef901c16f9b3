# SPDX-License-Identifier: GPL-2.0-or-later
"""The command killed before each call that changes something, and called again.

Callers: test_killed.py, test_killed_others.py. Of writes that follow each other without a flush
it is killed before the first two: tools/killed.c.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.scenarios import dm, inprocess, sampled
from tests.scenarios.lib import Device, Rig, pattern
from tests.scenarios.sets import (LET_GO, OK, content, create, dmremap, ext4_on_main,
                                  settle)

RULES, STATE = Path("/etc/udev/rules.d"), Path(os.environ["STATE_DIRECTORY"])
ALL = ("main", "spare", "other")
MARKS = [pytest.mark.disks(main="1M", spare="512K", other="1M"), pytest.mark.plain_only,
         pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002", other="OTHER-0003")]


def forget_files() -> None:
    for place in (RULES, STATE, LET_GO):
        for file in place.glob("*"):
            file.unlink()


@pytest.fixture(autouse=True)
def no_files_stay() -> Iterator[None]:
    forget_files()
    LET_GO.parent.mkdir(0o700, exist_ok=True)    # or a child that asks a disk makes it, and ends
    yield
    forget_files()


class State:
    """All disks and files, put back before each try."""

    def __init__(self, rig: Rig) -> None:
        settle(rig, *ALL)
        self._rig = rig
        self._media = {name: rig.media(name).whole() for name in ALL}
        self._files = {path: path.read_bytes() for place in (RULES, STATE, LET_GO)
                       for path in place.glob("*")}

    def put_back(self) -> None:
        for name in sorted(dm.devices(), reverse=True):
            dm.remove(name)
        settle(self._rig, *ALL)
        self._rig.server.forget_log()
        for name, image in self._media.items():
            self._rig.media(name).write(0, image)
        forget_files()
        for path, data in self._files.items():
            path.write_bytes(data)


def at_every_step(rig: Rig, arguments: list[str], check: Callable[[int, str], None],
                  codes: tuple[int, ...] = (OK,)) -> None:
    """CHECK gets the exit code and what it said of the call after the one that was killed."""
    state = State(rig)
    for before in filter(sampled.wanted, range(2000)):
        state.put_back()
        code = inprocess.killed(before, *arguments)
        result = dmremap(*arguments)
        what = f"{arguments[0]} killed before call {before} ({code}), and again: {result}"
        print(what)
        assert code in (OK, inprocess.KILLED), what
        assert result.returncode in codes or code == OK, what
        settle(rig, *ALL)
        check(result.returncode, what)
        if code == OK:    # it came to its end
            assert before > 4
            return
    raise AssertionError("it never ends")


def rules() -> list[str]:
    """Those that count for udev: what a killed write left has another name."""
    return [rule.read_text() for rule in RULES.glob("*.rules")]


def backups() -> list[str]:
    return sorted(path.name for path in STATE.glob("*.backup"))


def used(rig: Rig, *more: str) -> bytes:
    """An active set with one relocated chunk, which main would take back; its content."""
    ext4_on_main(rig)
    create(rig, *more)
    rig.main.bad(800, 8, kind="write")
    device = Device("/dev/mapper/data", "data")
    device.pwrite(800, pattern(1, 8))
    device.close()
    rig.main.clear()
    return content("data")
