# SPDX-License-Identifier: GPL-2.0-or-later
"""Crash states of the real module: run the workload in User Mode Linux, judge every state,
and activate a sample of the states in the module again.

    python3 -m tests.crash.run [--shape wide|tight|across] [--disks KIND]
                               [--cache through|keep|auto|bare] [--seed N] [--operations N]
                               [--states N] [--activate N] [--minutes N] [--kasan]

With --minutes it goes on, with another seed and the next shape each time, until something
is wrong or the time is over.
"""

import argparse
import itertools
import random
import shutil
import sys
import time
from pathlib import Path

from tests import report
from tests.crash import enumerator, repaired
from tests.crash.geometry import CACHES, DEFAULT, MAIN_SECTORS, REGION_START, SHAPES, Variant
from tests.harness import blockd, disks, uml
from tests.scenarios import ondisk

HERE = Path(__file__).resolve().parent


def _in_guest(what: str, arguments: list[str], shape: str, variant: Variant,
              kernel: str) -> uml.Outcome:
    start = time.monotonic()
    on = [variant.disks_name, variant.cache]
    name = "-".join(["crash", what, shape, *(on if variant != DEFAULT else [])])
    outcome = uml.run(HERE / f"{what}.py", [shape, *arguments, *on], kernel, name=name)
    print(f"{outcome.output}{what}: {time.monotonic() - start:.1f} s", flush=True)
    return outcome


def _broken_rule(log: Path, shape: str, variant: Variant) -> str | None:
    """What the order of the writes themselves shows, whatever a crash would make of it."""
    spare = ondisk.Spare(None, SHAPES[shape].region_sectors, REGION_START)
    try:
        commits = ondisk.check_records(blockd.read_log(log), spare, alone=False,
                                       fua="fua=off" not in variant.kind.spare)
    except AssertionError as error:
        return str(error).splitlines()[0]
    return None if commits > 20 else f"the log has only {commits} commits"


def run(shape: str, seed: int, operations: int, states: int, activate: int,
        kernel: str = "uml", variant: Variant = DEFAULT) -> list[str]:
    """Sentences on what is wrong; prints what it does meanwhile."""
    enumerator.build()
    workload = _in_guest("workload", [str(seed), str(operations)], shape, variant, kernel)
    if workload.failure and not (workload.results / "log").exists():
        return [f"workload: {workload.failure}; results are in {workload.results}"]

    broken = None if variant.bare else _broken_rule(workload.results / "log", shape, variant)
    wrong = [f"workload: {workload.failure}"] if workload.failure else []
    wrong += [f"the log: {broken}"] if broken else []
    sample = workload.results / "states"
    sample.mkdir()
    more = ["--region", f"{REGION_START}:{SHAPES[shape].region_sectors}"]
    more += ["--bare"] if variant.bare else []
    activate = 0 if variant.bare else activate
    if activate:
        more += ["--sample", f"{sample}:{max(1, states // activate)}"]
    verdict = enumerator.enumerate_states(workload.results / "log", MAIN_SECTORS,
                                          SHAPES[shape].spare_sectors, states, seed, more)
    print(verdict.text, end="", flush=True)
    part = f"{shape}, {variant.disks_name}, {variant.cache}"
    report.add("crash_states", part, verdict.states)
    if not verdict.allowed:
        wrong.append(f"states that are not allowed, see above; results are in {workload.results}")

    if activate:
        activation = _in_guest("activate", [str(sample)], shape, variant, kernel)
        if activation.failure:
            wrong.append(f"activation: {activation.failure}; results are in {activation.results}")
        else:
            report.add("kernel_activated_states", part, len(list(sample.iterdir())))
        wrong += repaired.check(SHAPES[shape], sample, activation.results)
    if not wrong:
        shutil.rmtree(sample)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.crash.run")
    parser.add_argument("--shape", choices=SHAPES, default="wide")
    parser.add_argument("--disks", choices=disks.KINDS, default=disks.PLAIN)
    parser.add_argument("--cache", choices=CACHES, default="through")
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--operations", type=int, default=1500)
    parser.add_argument("--states", type=int, default=20000)
    parser.add_argument("--activate", type=int, default=100)
    parser.add_argument("--kasan", action="store_true")
    options = parser.parse_args()
    variant = Variant(options.disks, options.cache)
    end = time.monotonic() + 60 * options.minutes
    shapes = [options.shape, *(name for name in SHAPES if name != options.shape)]
    for turn in itertools.count():
        shape, seed = shapes[turn % len(shapes)], options.seed + turn
        print(f"--shape {shape} --disks {options.disks} --cache {options.cache} --seed {seed}",
              flush=True)
        wrong = run(shape, seed, options.operations, options.states, options.activate,
                    "uml-kasan" if options.kasan else "uml", variant)
        for sentence in wrong[:20]:
            print(f"FAILED: {sentence}")
        if wrong or time.monotonic() > end:
            break
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
