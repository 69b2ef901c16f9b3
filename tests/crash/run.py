# SPDX-License-Identifier: GPL-2.0-or-later
"""Crash states of the real module: run the workload in User Mode Linux, judge every state,
and activate a sample of the states in the module again.

    python3 -m tests.crash.run [--seed N] [--operations N] [--states N] [--activate N]
"""

import argparse
import random
import shutil
import sys
import time
from pathlib import Path

from tests.crash import enumerator, repaired
from tests.crash.geometry import MAIN_SECTORS, REGION_SECTORS, REGION_START, SPARE_SECTORS
from tests.harness import uml

HERE = Path(__file__).resolve().parent


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.crash.run")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--operations", type=int, default=1500)
    parser.add_argument("--states", type=int, default=20000)
    parser.add_argument("--activate", type=int, default=100)
    parser.add_argument("--kasan", action="store_true")
    options = parser.parse_args()
    kernel = "uml-kasan" if options.kasan else "uml"
    print(f"seed {options.seed}", flush=True)

    enumerator.build()
    start = time.monotonic()
    workload = uml.run(HERE / "workload.py", [str(options.seed), str(options.operations)],
                       kernel, name="crash-workload")
    print(workload.output, end="")
    print(f"workload: {time.monotonic() - start:.1f} s", flush=True)
    if workload.failure:
        print(f"FAILED: {workload.failure}\nresults are in {workload.results}")
        return 1

    sample = enumerator.PROJECT / "build" / "crash-states"
    shutil.rmtree(sample, ignore_errors=True)
    sample.mkdir(parents=True)
    more = ["--region", f"{REGION_START}:{REGION_SECTORS}"]
    if options.activate:
        more += ["--sample", f"{sample}:{max(1, options.states // options.activate)}"]
    verdict = enumerator.enumerate_states(workload.results / "log", MAIN_SECTORS, SPARE_SECTORS,
                                          options.states, options.seed, more)
    print(verdict.text, end="", flush=True)
    if not verdict.allowed:
        print(f"FAILED: see above; the log is in {workload.results}")
    failed = not verdict.allowed

    if options.activate:
        start = time.monotonic()
        activation = uml.run(HERE / "activate.py", [str(sample)], kernel, name="crash-activate")
        print(activation.output, end="")
        print(f"activation: {time.monotonic() - start:.1f} s", flush=True)
        wrong = list(repaired.check(sample, activation.results))
        for sentence in wrong[:20]:
            print(sentence)
        if activation.failure or wrong:
            print(f"FAILED: {activation.failure or 'repairs were not durable'}\n"
                  f"results are in {activation.results}")
            failed = True
    if not failed:
        shutil.rmtree(sample)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
