# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the suites of tests/suites.py, a few side by side, and counts.

Owns what is printed: one line a finished job, then what failed and where its output is, a
line for each failed test, and as the last line "N passed, N failed" with ", N skipped" when
there were any. Output of each job is kept in build/check/. Called by tests/run.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from tests import report
from tests.harness import blockd, children, kernels, uml
from tests.suites import ALONE, PYTHON, WAITS, Suite

PROJECT = kernels.PROJECT
OUTPUT = PROJECT / "build" / "check"
SLOTS, MOST_JOBS = ALONE, ALONE // WAITS
TAIL_LINES = 40
# Of each kind of suite that runs in UML: the kernel, which tests of a file (as pytest -m), and
# how many files share a guest (to start one takes the debugging kernel half a minute).
GUESTS = {"uml": ("uml", "", 1), "kasan": ("uml-kasan", "not plain_only", 6),
          "kasan-rest": ("uml-kasan", "plain_only", 1)}
PLAIN_FILE = re.compile(r"^pytestmark = (?:pytest\.mark\.plain_only$"
                        r"|\[[^\n]*(?:\n [^\n]*)*?plain_only\])", re.M)
TALLY = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")


@dataclass
class Result:
    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    trouble: str = ""                # why it failed, when no test says so
    failures: list[str] = field(default_factory=list)    # names of failed tests, and why
    skips: list[str] = field(default_factory=list)       # names and reasons
    output: Path | None = None
    counts: bool = True              # a suite of tests, of which there must be some


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")


def _run(command: list[str], result: Result, timeout_s: float) -> int | None:
    """Run COMMAND with its output in a file; its exit code, or None after a timeout."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    result.output = OUTPUT / f"{_slug(result.name)}.log"
    with open(result.output, "wb") as sink:
        process = children.start(command, cwd=PROJECT, stdout=sink, stderr=subprocess.STDOUT)
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            result.trouble = f"no end after {timeout_s:.0f} s"
            return None
        finally:
            children.end(process)


def _count_junit(path: Path, result: Result) -> None:
    if not path.is_file():
        return
    for case in ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname', '').rsplit('.', 1)[-1]}::{case.get('name')}"
        skip = case.find("skipped")
        wrong = next((w for w in map(case.find, ("failure", "error")) if w is not None), None)
        if wrong is not None:
            result.failed += 1
            result.failures.append(f"{name}: {(wrong.get('message') or '?').splitlines()[0]}")
        elif skip is not None:
            result.skipped += 1
            result.skips.append(f"{name}: {skip.get('message')}")
        else:
            result.passed += 1


def _run_pytest(suite: Suite, result: Result) -> None:
    junit = OUTPUT / f"{_slug(suite.name)}.xml"
    junit.unlink(missing_ok=True)
    code = _run([PYTHON, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--color=no",
                 f"--junitxml={junit}", *shlex.split(suite.command)], result, suite.timeout_s)
    _count_junit(junit, result)
    if code and not result.failed:
        result.trouble = f"pytest ended with exit code {code}"


def _run_cmocka(suite: Suite, result: Result) -> None:
    code = _run(suite.command.split(), result, suite.timeout_s)
    assert result.output is not None
    text = result.output.read_text(errors="replace")
    for verdict, number in re.findall(r"^\[  (PASSED|FAILED)  \] (\d+) test\(s\)", text, re.M):
        if verdict == "PASSED":
            result.passed += int(number)
        else:
            result.failed += int(number)
    if code and not result.failed:
        result.trouble = f"exit code {code}"


def _run_tally(suite: Suite, result: Result) -> None:
    code = _run(suite.command.split(), result, suite.timeout_s)
    assert result.output is not None
    lines = result.output.read_text(errors="replace").splitlines()
    tally = TALLY.match(lines[-1]) if lines else None
    if not tally:
        result.trouble = result.trouble or f"no count at the end (exit code {code})"
        return
    result.passed, result.failed, result.skipped = (int(n or 0) for n in tally.groups())
    result.failures = [line[8:] for line in lines if line.startswith("failed  ")]
    result.skips = [f"{line[8:]}: {after}" for line, after in zip(lines, lines[1:])
                    if line.startswith("skipped ")]
    if code and not result.failed:
        result.trouble = f"exit code {code}"


def _run_make(suite: Suite, result: Result) -> None:
    result.counts = False
    code = _run(suite.command.split(), result, suite.timeout_s)
    if code and not result.trouble:
        result.trouble = f"exit code {code}"


def _run_uml(files: list[Path], suite: Suite, result: Result) -> None:
    kind = suite.kind
    kernel, which, _ = GUESTS[kind]
    outcome = uml.run(files, ["-m", which] if which else [], kernel,
                      name=f"check-{kind}-{files[0].stem}",
                      timeout_s=max(uml.TIMEOUT_S[kernel] + 120 * (len(files) - 1),
                                    suite.timeout_s),
                      kind=suite.disks, one_of=suite.one_of)
    result.output = outcome.results / "output"
    _count_junit(outcome.junit, result)
    figures = outcome.results / "figures"    # a line each: key, part, number
    for line in figures.read_text().splitlines() if figures.exists() else []:
        key, part, number = line.split("\t")
        report.add(key, part, int(number))
    if outcome.failure and not (result.failed and outcome.failure.startswith("exit code")):
        result.trouble = outcome.failure


def _has_tests_for(kind: str, file: Path) -> bool:
    """Whether a guest would find a test in FILE to run: it takes ten seconds to tell."""
    text = file.read_text()
    if kind == "kasan":
        return not PLAIN_FILE.search(text)
    return kind != "kasan-rest" or "plain_only" in text


KINDS = {"pytest": _run_pytest, "cmocka": _run_cmocka, "tally": _run_tally, "make": _run_make}


@dataclass(frozen=True)
class Job:
    suite: Suite
    name: str
    files: list[Path] | None = None

    def run(self, without_kernel: str | None) -> Result:
        """WITHOUT_KERNEL names a suite that should have made a kernel and could not."""
        result = Result(self.name)
        start = time.monotonic()
        try:
            if children.told_to_stop():
                result.trouble = "not run: told to stop"
            elif self.files and without_kernel:
                result.trouble = f"not run, for '{without_kernel}' failed"
            elif self.files:
                _run_uml(self.files, self.suite, result)
            else:
                KINDS[self.suite.kind](self.suite, result)
        except (kernels.BuildError, blockd.BlockServerError) as error:
            result.trouble = str(error)
        if not (result.trouble or result.passed or result.failed or result.skipped) \
                and result.counts:
            result.trouble = "there were no tests"
        result.failed += bool(result.trouble) and not result.failed
        result.seconds = time.monotonic() - start
        return result


def jobs_of(suites: list[Suite]) -> Iterator[Job]:
    for suite in suites:
        if suite.kind not in GUESTS:
            yield Job(suite, suite.name)
            continue
        files: list[Path] = []
        for pattern in suite.command.split():
            found = sorted(PROJECT.glob(pattern))
            files += found or [PROJECT / pattern]    # which then fails
        files = [f for f in files if not f.is_file() or _has_tests_for(suite.kind, f)]
        together = GUESTS[suite.kind][2]
        for group in (files[i:i + together] for i in range(0, len(files), together)):
            names = [file.stem.removeprefix("test_") for file in group]
            yield Job(suite, f"{suite.name}: {' to '.join(dict.fromkeys((names[0], names[-1])))}",
                      group)


class _Slots:
    """SLOTS places; a job takes one or more of them, and jobs start in their order."""

    def __init__(self) -> None:
        self._free = SLOTS
        self._changed = threading.Condition()

    def take(self, number: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._free >= number)
            self._free -= number

    def give(self, number: int) -> None:
        with self._changed:
            self._free += number
            self._changed.notify_all()


def _print_line(result: Result) -> None:
    verdict = "FAILED" if result.failed else "ok"
    counts = f"{result.passed} passed" if result.counts else "nothing to count"
    counts += f", {result.failed} failed" if result.failed else ""
    counts += f", {result.skipped} skipped" if result.skipped else ""
    print(f"{verdict:7}{result.name:45} {result.seconds:6.1f} s  {counts}", flush=True)


def _print_failure(result: Result) -> None:
    print(f"\n--- {result.name}")
    if result.output and result.output.is_file():
        lines = result.output.read_text(errors="replace").splitlines()
        print(f"    the end of {os.path.relpath(result.output, PROJECT)}:")
        for line in lines[-TAIL_LINES:]:
            print(f"    | {line}")


def run(suites: list[Suite]) -> int:
    """Run SUITES and print the sum; 0 when something ran and nothing failed."""
    start = time.monotonic()
    slots = _Slots()
    broken: list[str] = []

    def work(job: Job) -> Result:
        try:
            result = job.run(broken[0] if broken else None)
            if result.failed and not result.counts:
                broken.append(job.name)
        finally:
            slots.give(job.suite.slots)
        _print_line(result)
        return result

    before = {number: signal.signal(number, lambda *_: children.end_all())
              for number in (signal.SIGTERM, signal.SIGINT)}
    with ThreadPoolExecutor(max_workers=MOST_JOBS) as pool:
        running = []
        for job in jobs_of(suites):
            slots.take(job.suite.slots)
            running.append(pool.submit(work, job))
        results = [future.result() for future in running]
    for number, handler in before.items():
        signal.signal(number, handler)

    for result in results:
        if result.failed:
            _print_failure(result)
    failures = [f"{result.name}: {line}" for result in results
                for line in result.failures + [result.trouble] * bool(result.trouble)]
    if failures:
        print("\nfailed:\n" + "\n".join(f"    {failure}" for failure in failures))
    skips = [skip for result in results for skip in result.skips]
    if skips:
        print("\nskipped:\n" + "\n".join(f"    {skip}" for skip in skips))
    passed, failed, skipped = (sum(getattr(result, what) for result in results)
                               for what in ("passed", "failed", "skipped"))
    print(f"\n{time.monotonic() - start:.0f} s in all")
    if not passed and not failed:
        print("nothing was tested", file=sys.stderr)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 0 if passed and not failed else 1
