# SPDX-License-Identifier: GPL-2.0-or-later
"""What other people's tests did on a stack, on record in build/peers, and their comparison.

A record is of one suite on one stack. It keeps each run of a test, so that a test that differs can
be repeated on both stacks: it is the same if remap did nothing that dm-linear did not do, too.
Callers: run.py, and in the guest guest.py.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

DIRECTORY = Path(__file__).resolve().parents[2] / "build" / "peers"
PASSED, FAILED, SKIPPED, TIMEOUT, DIED = "passed", "failed", "skipped", "timeout", "died"
STARTED = "started"    # only in the log of a guest


@dataclass(frozen=True)
class Outcome:
    """STATE is one of the above; WHY says what failed, or why the test was skipped."""

    state: str
    why: str = ""
    seconds: float = 0.0

    @property
    def kind(self) -> tuple[str, str]:
        """What must be the same. Failures differ in times and sizes, skips do not."""
        return self.state, self.why if self.state == SKIPPED else ""

    def __str__(self) -> str:
        return f"{self.state} ({self.why})" if self.why else self.state


Runs = dict[str, list[Outcome]]


class Record:
    """The runs of one suite on one stack, made with what KEY stands for; others do not count."""

    def __init__(self, suite: str, stack: str, key: str, directory: Path = DIRECTORY) -> None:
        self.path = directory / f"{suite}-{stack}.json"
        self.key = key
        self.runs: Runs = {}
        if self.path.exists():
            known = json.loads(self.path.read_text())
            if known["key"] == key:
                self.runs = {name: [Outcome(**run) for run in runs]
                             for name, runs in known["tests"].items()}

    def add(self, found: Iterable[tuple[str, Outcome]]) -> None:
        for name, outcome in found:
            self.runs.setdefault(name, []).append(outcome)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        tests = {name: [asdict(run) for run in runs] for name, runs in sorted(self.runs.items())}
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps({"key": self.key, "tests": tests}, indent=1) + "\n")
        temporary.rename(self.path)


def read_log(text: str) -> list[tuple[str, Outcome]]:
    """The log of a guest: a test that was started and has no end took the guest with it."""
    found: list[tuple[str, Outcome]] = []
    open_: str | None = None
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:    # the guest died while it wrote this
            continue
        name = entry.pop("name")
        if entry["state"] == STARTED:
            open_ = name
            continue
        open_ = None
        found.append((name, Outcome(**entry)))
    if open_ is not None:
        found.append((open_, Outcome(DIED, "the guest did not go on")))
    return found


@dataclass(frozen=True)
class Comparison:
    """COMPARED: names of tests that ran on both stacks; SKIPPED: of tests that both skipped, which
    say nothing; PASSED: how many passed on dm-linear; DIFFERENT: those that are not the same, each
    with a line that says how."""

    compared: list[str]
    skipped: list[str]
    passed: int
    different: dict[str, str]


def compare(linear: Runs, remap: Runs) -> Comparison:
    both = sorted(set(linear) & set(remap))
    skipped = [name for name in both
               if all(run.state == SKIPPED for run in [*linear[name], *remap[name]])]
    compared = [name for name in both if name not in skipped]
    passed = sum(any(run.state == PASSED for run in linear[name]) for name in compared)
    different = {}
    for name in both:
        if {run.kind for run in remap[name]} - {run.kind for run in linear[name]}:
            said = [" then ".join(map(str, runs[name])) for runs in (linear, remap)]
            different[name] = f"{said[0]} on dm-linear, {said[1]} on dm-remap"
    return Comparison(compared, skipped, passed, different)
