# SPDX-License-Identifier: GPL-2.0-or-later
"""A soak: sets live for an hour in User Mode Linux, with everything that can go wrong.

    python3 -m tests.soak.run [--minutes N] [--seed N] [--life N] [--sessions N] [--kasan]

Also `make soak MINUTES=N`. --life repeats one life of a seed alone. Prints the seed and what was
done; build/report.json has the minutes.
"""

import argparse
import json
import random
import signal
import sys
from pathlib import Path

from tests import report
from tests.crash import enumerator
from tests.harness import uml

GUEST = Path(__file__).with_name("endure.py")


def run(minutes: float, seed: int, first: int = 0, lives: int = 0, sessions: int = 5,
        kernel: str = "uml", echo: bool = True) -> uml.Outcome:
    enumerator.build()    # the guest runs its resolver
    arguments = [str(seed), str(first), str(lives), str(minutes), str(sessions)]
    limit_s = 60 * minutes + 3000    # the last life goes on to its end
    outcome = uml.run(GUEST, arguments, kernel, name=f"soak-{seed}", timeout_s=limit_s, echo=echo)
    if not outcome.failure:
        done = json.loads((outcome.results / "done").read_text())
        print(f"{kernel}: {done}")
        if not lives:
            report.add("soak_minutes", kernel, round(done["seconds"] / 60))
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.soak.run")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--life", type=int, help="this one alone")
    parser.add_argument("--sessions", type=int, default=5, help="of each life")
    parser.add_argument("--kasan", action="store_true", help="on the debugging kernel")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))    # not without its guest
    print(f"seed {options.seed}", flush=True)
    alone = options.life is not None
    outcome = run(0 if alone else options.minutes, options.seed, options.life or 0,
                  1 if alone else 0, options.sessions, "uml-kasan" if options.kasan else "uml")
    if outcome.failure:
        print(f"FAILED: {outcome.failure}; results are in {outcome.results}", file=sys.stderr)
    return 1 if outcome.failure else 0


if __name__ == "__main__":
    sys.exit(main())
