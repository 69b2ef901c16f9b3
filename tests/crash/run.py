# SPDX-License-Identifier: GPL-2.0-or-later
"""Crash states of the real module: run the workload in User Mode Linux, judge every state,
and activate a sample of the states in the module again.

    python3 -m tests.crash.run [--shape wide|tight|across] [--seed N] [--operations N]
                               [--states N] [--activate N] [--kasan]
"""

import argparse
import random
import shutil
import sys
import time
from pathlib import Path

from tests.crash import enumerator, repaired
from tests.crash.geometry import MAIN_SECTORS, REGION_START, SHAPES
from tests.harness import blockd, uml
from tests.scenarios import ondisk

HERE = Path(__file__).resolve().parent


def _in_guest(what: str, arguments: list[str], shape: str, kernel: str) -> uml.Outcome:
    start = time.monotonic()
    outcome = uml.run(HERE / f"{what}.py", [shape, *arguments], kernel,
                      name=f"crash-{what}-{shape}")
    print(f"{outcome.output}{what}: {time.monotonic() - start:.1f} s", flush=True)
    return outcome


def _broken_rule(log: Path, shape: str) -> str | None:
    """What the order of the writes themselves shows, whatever a crash would make of it."""
    spare = ondisk.Spare(None, SHAPES[shape].region_sectors, REGION_START)
    try:
        commits = ondisk.check_records(blockd.read_log(log), spare, alone=False)
    except AssertionError as error:
        return str(error).splitlines()[0]
    return None if commits > 20 else f"the log has only {commits} commits"


def run(shape: str, seed: int, operations: int, states: int, activate: int,
        kernel: str = "uml") -> list[str]:
    """Sentences on what is wrong; prints what it does meanwhile."""
    enumerator.build()
    workload = _in_guest("workload", [str(seed), str(operations)], shape, kernel)
    if workload.failure:
        return [f"workload: {workload.failure}; results are in {workload.results}"]

    broken = _broken_rule(workload.results / "log", shape)
    wrong = [f"the log: {broken}"] if broken else []
    sample = workload.results / "states"
    sample.mkdir()
    more = ["--region", f"{REGION_START}:{SHAPES[shape].region_sectors}"]
    if activate:
        more += ["--sample", f"{sample}:{max(1, states // activate)}"]
    verdict = enumerator.enumerate_states(workload.results / "log", MAIN_SECTORS,
                                          SHAPES[shape].spare_sectors, states, seed, more)
    print(verdict.text, end="", flush=True)
    if not verdict.allowed:
        wrong.append(f"states that are not allowed, see above; results are in {workload.results}")

    if activate:
        activation = _in_guest("activate", [str(sample)], shape, kernel)
        if activation.failure:
            wrong.append(f"activation: {activation.failure}; results are in {activation.results}")
        wrong += repaired.check(SHAPES[shape], sample, activation.results)
    if not wrong:
        shutil.rmtree(sample)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.crash.run")
    parser.add_argument("--shape", choices=SHAPES, default="wide")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--operations", type=int, default=1500)
    parser.add_argument("--states", type=int, default=20000)
    parser.add_argument("--activate", type=int, default=100)
    parser.add_argument("--kasan", action="store_true")
    options = parser.parse_args()
    print(f"--shape {options.shape} --seed {options.seed}", flush=True)
    wrong = run(options.shape, options.seed, options.operations, options.states,
                options.activate, "uml-kasan" if options.kasan else "uml")
    for sentence in wrong[:20]:
        print(f"FAILED: {sentence}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
