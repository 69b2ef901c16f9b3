# SPDX-License-Identifier: GPL-2.0-or-later
"""`make bench`: what dm-remap costs. README.md here says what is measured, and how long it takes.

Owns build/bench.json, the tables on the terminal and the plot.

    python3 -m tests.bench.run                          everything
    python3 -m tests.bench.run --quick                  a few figures of each part
    python3 -m tests.bench.run --only fast_path dying_disk
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench import (activation, contention, dying_disk, guest, profile, recorded, report,
                         userspace)
from tests.bench.fast_path import SPREAD, FastPath, Row
from tests.harness import kernels, qemu_image, uml
from tests.harness.agent import AgentError, CommandFailed
from tests.harness.qemu import Machine, MachineError

RESULT = kernels.BUILD / "bench.json"
PLOT = kernels.BUILD / "bench.svg"
ERRORS = (guest.BenchError, MachineError, AgentError, CommandFailed, kernels.BuildError,
          qemu_image.ImageError)
RELOCATION_TIMEOUT_S = 300
STARTED = time.monotonic()
Measure = Callable[[Machine, bool, Callable[[str], None]], dict[str, Any]]


def say(text: str) -> None:
    """Progress, with the minutes since the start."""
    minutes, seconds = divmod(int(time.monotonic() - STARTED), 60)
    print(f"[{minutes:3}:{seconds:02}] {text}", file=sys.stderr, flush=True)


def fast_path(quick: bool) -> list[Row]:
    """Boot, measure, and bring down to plain disks."""
    with guest.counting() as vm:
        bench = FastPath(vm, quick, say)
        bench.measure_all()
    return bench.rows()


def measure_fast_path(quick: bool) -> dict[str, Any]:
    return {"rows": [asdict(row) for row in fast_path(quick)]}


def in_counting_guest(part: Measure) -> Callable[[bool], dict[str, Any]]:
    """A part that needs a guest of its own: what it leaves behind slows no other."""
    def measure(quick: bool) -> dict[str, Any]:
        with guest.counting() as vm:
            return part(vm, quick, say)
    return measure


def named(name: str, part: Measure) -> Measure:
    return lambda vm, quick, say: {name: part(vm, quick, say)}


def measure_contention(quick: bool) -> dict[str, Any]:
    with guest.two_cpus() as vm:
        return {"two_cpus": contention.measure(vm, quick, say)}


def measure_relocation(quick: bool) -> dict[str, Any]:
    """In User Mode Linux, where the disks are block servers that count."""
    del quick
    outcome = uml.run(guest.HERE / "relocation.py", timeout_s=RELOCATION_TIMEOUT_S)
    if outcome.failure:
        raise guest.BenchError(f"{outcome.failure}\n{outcome.output[-2000:]}")
    return {"relocation": json.loads(outcome.output[outcome.output.index("{"):])}


PARTS = {
    "fast_path": measure_fast_path,
    "profile": in_counting_guest(named("profile", profile.measure)),
    "activation": in_counting_guest(activation.measure),
    "relocation": measure_relocation,
    "dying_disk": in_counting_guest(named("dying_disk", dying_disk.measure)),
    "userspace": in_counting_guest(named("userspace", userspace.measure)),
    "two_cpus": measure_contention,
}


def keep(found: dict[str, Any], path: Path = RESULT) -> dict[str, Any]:
    """Put what was found beside what the file has of the other parts."""
    whole = json.loads(path.read_text()) if path.is_file() else {}
    whole.update(found)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(whole, indent=1) + "\n")
    return whole


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.bench.run")
    parser.add_argument("--quick", action="store_true", help="a few figures of each part")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--record", action="store_true",
                        help="from now on, `make check` compares with what is found")
    options = parser.parse_args()
    found: dict[str, Any] = {}
    failed = []
    for part in options.only:
        say(part.replace("_", " "))
        try:
            found |= PARTS[part](options.quick)
        except ERRORS as error:
            print(f"{part}: {error}", file=sys.stderr, flush=True)
            failed.append(part)
        keep(found)
    report.show(found)
    if options.record and "rows" in found:
        recorded.record([Row(**row) for row in found["rows"]])
    if rows := [Row(**row) for row in found.get("rows", [])]:
        PLOT.write_text(report.plot(rows))
        print(f"plot: {PLOT}")
        if apart := [row for row in rows if row.spread > SPREAD]:
            print(f"repeats of {len(apart)} rows lie more than {SPREAD:.1%} apart",
                  file=sys.stderr)
            failed.append("fast_path")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
