# SPDX-License-Identifier: GPL-2.0-or-later
"""Other people's suites on a set, beside the same on dm-linear; see README.md.

    python3 -m tests.peers.run [--tests WORDS] [--variants WORDS] [--again] [--minutes N]
                               [--limit SECONDS] [--kernel NAME] SUITE=DIRECTORY...

Also `make peers`. Prints what differs, and writes the figures to build/report.json. Tests that
are on record in build/peers are not run again, unless they differ or --again says so.
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests import report
from tests.harness import cache, kernels, uml
from tests.peers import outcomes, stacks
from tests.peers.outcomes import DIED, DIRECTORY, Outcome, Record, compare
from tests.peers.suites import SUITES, Suite

KERNEL = "uml-peers"
GUEST = Path(__file__).with_name("guest.py")
BATCH = 20                  # tests of a guest
LONGEST_GUEST_S = 5400.0
REPEATS = 2                 # of a test that differs, on both stacks


@dataclass
class Plan:
    """One variant of a suite, from a directory."""

    name: str
    suite: Suite
    variant: str
    source: Path | None
    limit_s: float
    kernel: str

    @property
    def label(self) -> str:
        return f"{self.name}-{self.variant}"

    def key(self, stack: str) -> str:
        """What outcomes depend on: others than these do not count."""
        version = subprocess.run(["git", "-C", str(self.source), "rev-parse", "HEAD"],
                                 capture_output=True, text=True).stdout if self.source else ""
        parts = [version or str(self.source), kernels.kernel_dir(self.kernel).name, stack]
        if stack == stacks.REMAP:
            sources = (path for part in ("kmod", "common")
                       for path in (kernels.PROJECT / part).rglob("*.[ch]"))
            parts.append(cache.key_of(*sorted(sources)))
        return cache.key_of(*parts)

    def record(self, stack: str) -> Record:
        return Record(self.label, stack, self.key(stack))

    def run_guest(self, stack: str, tests: list[str]) -> list[tuple[str, Outcome]]:
        """Outcomes of TESTS, or of the first of them, from one guest."""
        with tempfile.TemporaryDirectory(prefix="disks", dir=DIRECTORY) as directory:
            words = stacks.files(Path(directory), self.suite.disks(self.variant))
            plan = {"suite": self.name, "variant": self.variant, "stack": stack, "tests": tests,
                    "source": str(self.source or ""), "limit_s": self.limit_s}
            limit_s = min(300 + len(tests) * self.limit_s, LONGEST_GUEST_S)
            name = f"{self.label}-{stack}"
            log = kernels.BUILD / "uml-results" / self.kernel / name / "outcomes"
            try:
                outcome = uml.run(GUEST, [json.dumps(plan)], self.kernel, stack == stacks.REMAP,
                                  name, limit_s, words=[*words, "loop.max_loop=8"])
            except (KeyboardInterrupt, SystemExit):    # what is known stays known
                self.record(stack).add(found for found in outcomes.read_log(log.read_text())
                                       if found[1].state != DIED)
                raise
        found = outcomes.read_log(log.read_text()) if log.exists() else []
        if not found:
            raise RuntimeError(f"{self.label} on {stack}: {outcome.failure}; see {outcome.results}")
        sets = outcome.results / "sets"
        if sets.exists() and (wrong := sets.read_text()):
            found[-1] = (found[-1][0], Outcome(DIED, f"afterwards the set is not whole: {wrong}"))
        keep_failures(outcome.results, f"{self.label}-{stack}", found)
        return found

    def run(self, stack: str, tests: list[str]) -> None:
        """Until each of TESTS has an outcome."""
        record, left = self.record(stack), list(tests)
        while left:
            found = self.run_guest(stack, left)
            record.add(found)
            done = {name for name, _ in found}
            for name, result in found:
                print(f"  {stack:6} {name:20} {result.seconds:5.0f} s  {str(result)[:100]}",
                      flush=True)
            left = [name for name in left if name not in done]


def keep_failures(results: Path, label: str, found: list[tuple[str, Outcome]]) -> None:
    """The next guest's results replace these: what failed is copied to build/peers/LABEL."""
    place = DIRECTORY / label
    for name, outcome in found:
        if outcome.state in (outcomes.PASSED, outcomes.SKIPPED):
            continue
        place.mkdir(exist_ok=True)
        stem = name.replace("/", "-")
        if outcome.state == DIED:
            shutil.copy2(results / "console", place / f"{stem}.console")
        for file in [*results.glob(f"full/{name}.*"), *results.glob(f"{stem}.log")]:
            shutil.copy2(file, place / f"{stem}{file.suffix}")


def run_variant(plan: Plan, tests: list[str], again: bool, end: float) -> None:
    if again:
        for stack in stacks.STACKS:
            plan.run(stack, tests)
        return
    for at in range(0, len(tests), BATCH):
        for stack in stacks.STACKS:
            if time.monotonic() > end:
                return
            known = plan.record(stack).runs
            plan.run(stack, [name for name in tests[at:at + BATCH] if name not in known])
        for _ in range(REPEATS):
            differ = list(compared(plan).different)
            differ = [name for name in tests[at:at + BATCH] if name in differ]
            for stack in stacks.STACKS:
                plan.run(stack, differ)


def compared(plan: Plan) -> outcomes.Comparison:
    return compare(*(plan.record(stack).runs for stack in stacks.STACKS))


def tell(plan: Plan) -> bool:
    """Prints and reports the comparison of all that is on record; whether it is good."""
    found = compared(plan)
    report.add("peer_tests", plan.label, len(found.compared))
    report.add("peer_tests_different", plan.label, len(found.different))
    print(f"{plan.label}: {len(found.compared)} tests ran on both, {len(found.different)} differ; "
          f"{found.passed} passed on dm-linear; both skipped {len(found.skipped)}")
    for name, how in found.different.items():
        print(f"  {name}: {how}")
    if found.compared and not found.passed:
        print(f"{plan.label}: nothing passes on dm-linear, so this says nothing about dm-remap")
    return not found.different and (found.passed > 0 or not found.compared)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.peers.run")
    parser.add_argument("--tests", default="", help="names, patterns or groups")
    parser.add_argument("--variants", default="", help="of the suites, such as ext4")
    parser.add_argument("--again", action="store_true", help="also those that are on record")
    parser.add_argument("--minutes", type=float, default=10_000, help="begin nothing after that")
    parser.add_argument("--limit", type=float, help="seconds that a test may take")
    parser.add_argument("--kernel", choices=kernels.FRAGMENTS, default=KERNEL,
                        help="the scenarios' kernel lacks btrfs, quotas, ACLs and thin pools")
    parser.add_argument("suite", nargs="+", help="SUITE=DIRECTORY, of " + ", ".join(SUITES))
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))    # not without its guest
    end = time.monotonic() + 60 * options.minutes
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    good = True
    for word in options.suite:
        name, _, directory = word.partition("=")
        if not (suite := SUITES.get(name)):
            parser.error(f"no suite {name}: there are {', '.join(SUITES)}")
        source = Path(directory).resolve() if directory else None
        if reason := suite.missing(source or Path()):
            parser.error(reason)
        for variant in options.variants.split() or suite.variants:
            if variant not in suite.variants:
                continue
            plan = Plan(name, suite, variant, source, options.limit or suite.limit_s,
                        options.kernel)
            tests = suite.tests(source or Path(), variant, options.tests.split() or [suite.group])
            run_variant(plan, tests, options.again, end)
            good = tell(plan) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
