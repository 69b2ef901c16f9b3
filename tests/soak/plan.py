# SPDX-License-Identifier: GPL-2.0-or-later
"""What a soak does, decided by its seed alone: lives of a set, each of some sessions.

A life is one set on fresh disks of one kind, from `dmremap create` to an account of each of its
slots; a session goes from an activation to a restart, in order or by a power cut. What writers do
is a list for each; what goes wrong meanwhile, and what administrators do, stands at a step: after
so many operations of the writers. So a seed repeats the decisions, though not their timing.
Callers: life.py, which does it; test_soak.py.
"""

import random
from dataclasses import dataclass, field

from tests.harness.disks import KINDS

MAIN_SECTORS = 32768
SMALL = range(512, 1536)       # chunks that the small writers share
LARGE = range(2048, 4096)      # of the one that writes much at a time
FRESH = range(4096, 8064)      # that are remapped at the end of a life, until no slot is left
SWAP = range(8192, 24576)      # a swap area, where sectors fail to be written
WRITERS = 4                    # small ones; one more writes much
SPARES = {"tight": 768, "wide": 4096}    # sectors


@dataclass(frozen=True)
class Action:
    """WHAT with ARGUMENTS; of faults and administrators AT a step, of writers in order."""

    what: str
    arguments: tuple[int | str, ...] = ()
    at: int = 0

    @property
    def sectors(self) -> range | None:
        """Of main that it is about; None: all."""
        if self.what not in ("bad", "late", "remap", "unremap"):
            return None
        first, count = int(self.arguments[0]), int(self.arguments[1])
        return range(first, first + count)


@dataclass(frozen=True)
class Session:
    """ENDING: deactivate, powercut (all caches are lost), half (a random half is kept), or account:
    the last one goes over to it as it is. SEED: of what is kept, and of the swapper's memory."""

    writers: list[list[Action]]
    events: list[Action]
    swaps: bool
    ending: str
    seed: int

    @property
    def steps(self) -> int:
        return sum(map(len, self.writers))


@dataclass(frozen=True)
class Life:
    number: int
    disks: str
    logical: int
    cache: str
    guard: bool
    spare: str
    sessions: list[Session] = field(default_factory=list)

    @property
    def unit(self) -> int:
        return self.logical // 512

    @property
    def late(self) -> bool:
        return KINDS[self.disks].late

    def options(self, disk: str) -> str:
        """Of the block server."""
        more = KINDS[self.disks].options(disk)
        return f"vcache=on,logical={self.logical},{more}".rstrip(",")

    def __str__(self) -> str:
        return f"{self.disks} disks of {self.logical}, {self.cache}, {self.spare} spare, " \
               f"{'guard' if self.guard else 'no guard'}"


def units(writer: int, unit: int) -> list[int]:
    """The first sectors of what WRITER owns, UNIT sectors each."""
    if writer == WRITERS:
        return list(LARGE[::unit])
    return list(SMALL[writer * unit::WRITERS * unit])


def _writer(dice: random.Random, number: int, unit: int, count: int) -> list[Action]:
    own = units(number, unit)
    longest = 256 // unit if number == WRITERS else 1
    actions = []
    for _ in range(count):
        length = dice.choice((1, 1, 2, 8, dice.randint(1, longest)))
        length = min(length, longest)
        place = own[dice.randrange(len(own) - length + 1)]
        what = dice.choices(("write", "fua", "read", "flush"), (50, 6, 34, 6))[0]
        actions.append(Action(what, (place, length * unit) if what != "flush" else ()))
    return actions


def _sector(dice: random.Random, hot: list[int]) -> int:
    area = dice.choice((SMALL, LARGE))
    return dice.choice(hot) if dice.random() < 0.6 else dice.choice(area)


def _fault(dice: random.Random, life: Life, hot: list[int]) -> Action:
    sector, count = _sector(dice, hot), dice.choice((1, 1, 2, 8, 30))
    times = dice.choice((0, 0, 1, 2))    # 0: for good
    choice = dice.random()
    if life.late and choice < 0.4:
        return Action("late", (sector, count, times, int(dice.random() < 0.5)))
    if life.late and choice < 0.45:
        return Action("lose_cache", (dice.choice(("main", "spare")),))
    if choice < 0.55:
        action = dice.choice(("error", "error", "landed", "torn", "badwrite-heal"))
        return Action("bad", (sector, count, "write", action, times))
    if choice < 0.68:
        return Action("bad", (sector, count, "both", "error", 0))
    if choice < 0.72:
        return Action("bad", (sector, count, "both", "heal4k", 0))
    if choice < 0.9:
        return Action("bad_slot", (dice.randrange(1, 60), dice.choice((1, 5, 0, 0))))
    return Action("bad_metadata", (dice.randrange(2), dice.choice((0, 1, 1, 1)),
                                   dice.choice(("error", "partial", "landed")),
                                   dice.choice((1, 2, 2, 4))))


def _deed(dice: random.Random, hot: list[int]) -> Action:
    sector = _sector(dice, hot)
    what = dice.choices(("remap", "remap_list", "unremap", "message", "suspend", "reload",
                         "command", "kill_daemon", "reload_daemon"),
                        (22, 8, 18, 16, 10, 10, 6, 3, 2))[0]
    if what in ("remap", "unremap"):
        return Action(what, (sector, dice.choice((1, 4, 8, 30, 200))))
    if what == "remap_list":
        return Action(what, tuple(_sector(dice, hot) for _ in range(dice.randint(2, 8))))
    if what == "message":
        return Action(what, (dice.choice(("save", "sync", "metadata_status", "thaw", "restore")),))
    if what in ("suspend", "reload"):
        return Action(what, (dice.randrange(2),))
    if what == "command":
        return Action(what, (dice.choice(("status", "list", "save", "verify")),))
    return Action(what)


def _session(dice: random.Random, life: Life, hot: list[int], scale: float, last: bool) -> Session:
    writers = [_writer(dice, number, life.unit, round(scale * (70 if number < WRITERS else 50)))
               for number in range(WRITERS + 1)]
    steps = sum(map(len, writers))
    swaps = dice.random() < 0.3
    events = [_fault(dice, life, hot) for _ in range(round(scale * 36))]
    if dice.random() < 0.5:    # metadata that fail may make a set read-only, which excuses much
        events = [event for event in events if event.what != "bad_metadata"]
    events += [_deed(dice, hot) for _ in range(round(scale * 40))]
    if swaps:    # only errors that a swap area survives, too
        events = [event for event in events if event.what != "lose_cache"]
        events += [Action("bad", (dice.choice(SWAP[64:]), 1, "write", "error", 0))
                   for _ in range(10)]
    elif dice.random() < 0.4:    # while all other members are attached
        events.append(Action("return"))
    else:
        events += [Action("outage", (disk, dice.randint(10, 80)))
                   for disk in ("main", "spare") if dice.random() < 0.4]
    events = [Action(event.what, event.arguments, dice.randrange(steps)) for event in events]
    events.append(Action("remap", (dice.choice(SMALL[:-256]), 200)))    # slots that are in use
    events += [Action("remap", (dice.choice(LARGE[:-64]), 30), event.at + 5)
               for event in events if event.what == "outage"]    # for nothing
    ending = "account" if last else dice.choice(("deactivate", "powercut", "half", "half"))
    return Session(writers, sorted(events, key=lambda event: event.at), swaps, ending,
                   dice.randrange(1 << 32))


def life(seed: int, number: int, sessions: int = 5, scale: float = 1.0) -> Life:
    """Life NUMBER of a soak with SEED: always the same one. SCALE: of the sessions' length."""
    dice = random.Random(f"{seed} {number}")
    kinds = list(KINDS)
    # the kinds in turn, so that a short soak sees more than one
    kind = kinds[(seed + number) % len(kinds)]
    made = Life(number, kind, dice.choice((512, 512, 4096)),
                dice.choice(("through", "through", "keep", "auto")), dice.random() < 0.5,
                dice.choice(tuple(SPARES)))
    hot = [dice.choice(dice.choice((SMALL, LARGE))) for _ in range(40)]
    for turn in range(1, sessions + 1):
        made.sessions.append(_session(dice, made, hot, scale, turn == sessions))
    return made
