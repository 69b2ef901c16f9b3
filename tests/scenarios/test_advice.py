# SPDX-License-Identifier: GPL-2.0-or-later
"""No message leads into a circle: what it tells to type is typed, on the state that produced it,
until something works.

Each state lacks something for good. A way ends with a command that does what it says; one that
only says what to attach or detach is no way here, where nothing can be.
"""

import re
import struct
from collections.abc import Callable

import pytest

from tests.scenarios.killing import MARKS, STATE, State, no_files_stay
from tests.scenarios.lib import Device, Rig, pattern
from tests.scenarios.ondisk import FLAGS, HOST, MARKED, Spare, patch_supers
from tests.scenarios.sets import (OK, create, dmremap, ext4_on_main, output, paths, settle)

__all__ = ["no_files_stay"]
pytestmark = [*MARKS, pytest.mark.disks(main="1M", spare="512K", other="1M")]
COMMAND = re.compile(r"dmremap ((?:release|activate|replace-main|replace-spare|adopt-host|deactivate|"
                     r"restore-backup|resize)(?: (?:--[a-z-]+|/dev/\w+|data|remap-\w+|FILE|DEVICE|MAIN|"
                     r"[0-9a-f-]{36}))*)")
OPTION = re.compile(r"(?:[Uu]se|or|add|With|with) (--[a-z-]+)(?! and)")
ALONE = ("release", "activate", "adopt-host", "deactivate")    # they name no set: the same as before
CREATING, RELEASING = 2, 4
DEPTH = 5


def advised(words: list[str], told: str, rig: Rig, name: str) -> list[list[str]]:
    """What TOLD says to type after WORDS."""
    main, other = paths(rig, "main", "other")
    meaning = {"DEVICE": other, "MAIN": main,
               "FILE": next((str(path) for path in STATE.glob("*.backup")), "FILE")}
    found = []
    for match in COMMAND.finditer(told):
        command = [meaning.get(word, word) for word in match[1].split()]
        if command[0] in ALONE and all(word.startswith("--") for word in command[1:]):
            command.append(name)
        if command[0] == "restore-backup" and len(command) == 1:
            command += [meaning["FILE"], other]
        found.append(command)
    found += [[*words, option] for option in OPTION.findall(told)
              if option not in words and option not in ("--backup", "--map", "--give-up")]
    return found


def find_way(rig: Rig, state: State, start: list[str], name: str) -> list[str]:
    """The commands up to one that works; each is tried on the state as it was."""
    ways: list[list[list[str]]] = [[start]]
    seen, log = set(), []
    while ways:
        way = ways.pop(0)
        words = way[-1]
        if tuple(words) in seen or len(way) > DEPTH:
            continue
        seen.add(tuple(words))
        state.put_back()
        result = dmremap(*words, *([] if words[0] in ("activate", "adopt-host", "deactivate") else ["--yes"]))
        log.append(f"{' '.join(words)} ({result.returncode}): {result.stderr.strip()}")
        if result.returncode == OK or "it was undone" in result.stderr or \
                "it was completed" in result.stderr:
            return log
        ways += [[*way, command] for command in advised(words, result.stderr, rig, name)]
    raise AssertionError("no way:\n" + "\n".join(log))


def stale_spare(rig: Rig) -> None:
    settle(rig)
    old = rig.media("spare").whole()
    output("activate", "data")
    output("remap", "data", "400", "8")
    output("deactivate", "data")
    settle(rig)
    rig.media("spare").write(0, old)


def no_spare(rig: Rig) -> None:
    rig.media("spare").write(0, bytes(512 << 10))


def no_main(rig: Rig) -> None:
    rig.media("main").write(0, bytes(1 << 20))


def copy(rig: Rig, mark: bool = True) -> None:
    image = bytearray(rig.media("main").whole())
    if not mark:
        probe = Spare.of(rig).entries()[0].chunk * 4096
        image[probe:probe + 4096] = bytes(4096)
    rig.media("other").write(0, bytes(image))
    no_main(rig)


def copy_without_mark(rig: Rig) -> None:
    copy(rig, mark=False)


def foreign(rig: Rig) -> None:
    patch_supers(rig, HOST, b"another host's id"[:16])


def flagged(flag: int) -> Callable[[Rig], None]:
    def change(rig: Rig) -> None:
        flags = next(struct.unpack_from("<I", block.data, FLAGS)[0]
                     for block in Spare.of(rig).copies(0).values() if block.valid)
        if flag == CREATING:    # it has never been active
            flags &= ~MARKED
        patch_supers(rig, (FLAGS, 4), struct.pack("<I", flags | flag))
    return change


def no_table(rig: Rig) -> None:
    spare = Spare.of(rig)
    for replica in range(2):
        for place in range(2):
            spare.write(replica, place, 1, bytes(4096))


STATES: dict[str, list[Callable[[Rig], None]]] = {
    "stale": [stale_spare], "no-spare": [no_spare], "no-main": [no_main], "copy": [copy],
    "copy-no-mark": [copy_without_mark], "foreign": [foreign], "foreign-copy": [foreign, copy],
    "foreign-copy-no-mark": [foreign, copy_without_mark], "foreign-no-main": [foreign, no_main],
    "foreign-no-spare": [foreign, no_spare], "foreign-creating": [foreign, flagged(CREATING)],
    "foreign-releasing": [foreign, flagged(RELEASING)], "creating-no-main": [flagged(CREATING), no_main],
    "releasing-no-main": [flagged(RELEASING), no_main], "no-table": [no_table],
    "releasing-no-table": [flagged(RELEASING), no_table]}


@pytest.mark.parametrize("guard", [[], ["--no-guard"]], ids=["guard", "no-guard"])
@pytest.mark.parametrize("what", STATES)
def test_every_advice_ends(rig: Rig, what: str, guard: list[str]) -> None:
    ext4_on_main(rig)
    create(rig, *guard)
    output("remap", "data", "800", "8")
    device = Device("/dev/mapper/data", "data")
    device.pwrite(800, pattern(1, 8))
    device.close()
    output("deactivate", "data")
    settle(rig)
    for change in STATES[what]:
        change(rig)
        settle(rig)
    main, spare, other = paths(rig, "main", "spare", "other")
    uses = other if "copy" in what else main
    name = spare if "no-spare" not in what else main
    state = State(rig)
    for start in (["activate", name], ["release", name], ["adopt-host", name],
                  ["create", "data", uses, spare]):
        if start[0] == "adopt-host" and "foreign" not in what or \
                start[0] == "create" and "no-main" in what:
            continue
        print("\n".join(find_way(rig, state, start, name)), "\n")
